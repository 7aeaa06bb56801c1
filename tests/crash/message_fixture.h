// tests/crash/message_fixture.h: a queue of byte messages in a segment, who joins it, and who sleeps at it. How a
// message is sent and received, and what the survivor finds, is each file's.
#pragma once

#include "ipc/queue/queue.h"
#include "tests/crash/fixture.h"

#define CAPACITY 4u

static struct shoal_queue *Q;

// ---- the file's ----
static int send_id(uint64_t id, shoal_deadline deadline);
static int recv_one(shoal_deadline deadline);
static void warm(void);                 // what a victim needs of the heap, before it is stepped
static void check_with(uint32_t lost);  // at most so many went with a consumer that died with them in hand

// ---- states; nobody has a role ----
static inline void leave(void) {
  CRASH_OK(shoal_queue_leave(Q, SHOAL_PRODUCER));
  CRASH_OK(shoal_queue_leave(Q, SHOAL_CONSUMER));
}
static inline void join_producing(void) { CRASH_OK(shoal_queue_join(Q, SHOAL_PRODUCER)); }
static inline void join_consuming(void) { CRASH_OK(shoal_queue_join(Q, SHOAL_CONSUMER)); }
// After a lap, by which the heap has its memory: `inside` messages, or as many as there is room for.
static inline void fill_up(uint32_t inside) {
  T->taken[0] = 0;
  fixture_warm();
  leave();
  join_consuming();  // gives back what was received: now, and not when it is to be full
  while (T->word[NEXT] < inside && send_id(T->word[NEXT] + 1, SHOAL_TRY) == 0) T->word[NEXT]++;
  leave();
}

// ---- what victims do ----
static inline void producing(void) {
  warm();
  join_producing();
}
static inline void consuming(void) {
  warm();
  join_consuming();
}

// ---- what they find ----
static inline void check_sent(void) { check_with(0); }
static inline void check_received(void) { check_with(!crash_victim_finished()); }
static inline void check_pair(void) { check_with(2); }
static inline void left_and_sent(void) {
  leave();
  check_sent();
}
static inline void left_and_received(void) {
  leave();
  check_received();
}

// ---- the other side sleeps, or the victim does ----
static inline void consumer(int i) {
  (void)i;
  consuming();
  while (recv_one(SHOAL_FOREVER) == 0) continue;
  leave();
  T->word[ENDED] = 1;
}
static inline void consumer_asleep(void) { fixture_asleep(consumer, 1); }
static inline void told(void) {
  crash_kill_victim();
  CRASH_UNTIL(T->word[ENDED], "the consumer sleeps on");
  check_sent();
}
static inline void send_next(void) { CRASH_OK(send_id(++T->word[NEXT], SHOAL_TRY)); }
static inline void recv_some(void) {  // a quantum of spsc is a group: with the first look beyond it there is room
  for (int i = 0; i < 3; i++) recv_one(SHOAL_TRY);
}
