// tests/crash/soak_closed.c: one message at a time, and replacements join before the kill, so nothing but the protocol
// itself can wake a survivor: a message that lies in the ring while all living consumers sleep stops everything, and is
// seen.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/queue/queue.h"
#include "tests/crash/soak.h"
#include "tests/harness/victim.h"

#define ACTIVE 6   // seats 0, 1 produce, 2..5 consume
#define SPARES 12  // of each side at most, joined and waiting
#define CAPACITY 8u
#define BYTES (64u * 1024)
#define TICKETS 4096u

SHOAL_QUEUE_TYPED(numbers, uint64_t)

static struct table {
  volatile uint32_t go[TICKETS];  // 1 joined, 2 it may begin
  volatile uint64_t put, got, skipped;
} * t;
static struct shoal_queue *q;
static struct spare {
  pid_t pid;
  uint32_t ticket;
} spares[2][SPARES];
static uint32_t n_spares[2], next_ticket;

static uint64_t answered(void) { return t->got + t->skipped; }

// Draws a number when the last one has come through, and puts it. Killed in between, the number is skipped by the
// driver.
static void produce(void) {
  for (;;) {
    uint64_t n = t->put;
    if (n > answered()) {
      soak_pause_us(5);
      continue;
    }
    if (!__atomic_compare_exchange_n(&t->put, &n, n + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) continue;
    n++;
    while (numbers_put(q, &n, SHOAL_FOREVER)) soak_pause_us(100);
  }
}
static void consume(void) {
  uint64_t n;
  for (;;) {
    if (numbers_get(q, &n, SHOAL_FOREVER)) soak_pause_us(100);
    else __atomic_fetch_add(&t->got, 1, __ATOMIC_SEQ_CST);
  }
}
static struct spare spawn(int consumes) {
  struct spare s = {.ticket = next_ticket++ % TICKETS};
  t->go[s.ticket] = 0;
  s.pid = soak_fork();
  if (s.pid == 0) {
    while (shoal_queue_join(q, consumes ? SHOAL_CONSUMER : SHOAL_PRODUCER)) soak_pause_us(500);
    t->go[s.ticket] = 1;
    while (t->go[s.ticket] != 2) soak_pause_us(30);
    if (consumes) consume();
    else produce();
  }
  while (t->go[s.ticket] != 1) soak_pause_us(20);
  return s;
}
static void seat_taken(int seat, struct spare s) {
  soak_pid[seat] = s.pid;
  t->go[s.ticket] = 2;
}
static struct spare spare_of(int side) { return n_spares[side] ? spares[side][--n_spares[side]] : spawn(side); }
static void fill_spares(void) {
  for (int side = 0; side < 2; side++) {
    if (n_spares[side] >= 2) continue;
    while (n_spares[side] < (side ? SPARES : SPARES / 2)) spares[side][n_spares[side]++] = spawn(side);
    soak_pause_us(300);  // joining rings: let it pass
  }
}

// A message is there, or in the hands of a dead one.
static int there(void) {
  for (uint32_t i = 0; i < CAPACITY; i++) {
    uint32_t state = shoal_slot_state_(shoal_load64_relaxed(shoal_mpmc_at(&q->ring, i, q->ring.stride).ctl));
    if (state == SHOAL_SLOT_FULL_ || state == SHOAL_SLOT_READING_) return 1;
  }
  return 0;
}
// One to three at once, one consumer at least stays.
static int kill_some(int *killed) {
  int n = 0, consumers = 0;
  for (uint32_t m = 1 + soak_below(3); m; m--) {
    int seat = (int)soak_below(ACTIVE);
    if (!soak_pid[seat] || (seat >= 2 && ++consumers > ACTIVE - 3)) continue;
    soak_kill(seat);
    soak.kills++;
    killed[n++] = seat;
    if (soak_below(2)) soak_pause_us(soak_below(20));
  }
  return n;
}
// None is between what it has published and its wake, held up by who has the processor.
static int producers_rest(void) {
  for (int seat = 0; seat < 2; seat++)
    if (soak_pid[seat] && !process_rests(soak_pid[seat])) return 0;
  return 1;
}
// The survivors have to empty the ring. If all of them sleep, and it is not empty, only their once-a-second look will.
static void await_empty(void) {
  int64_t begun = soak_now_ns();
  uint64_t before = 0;
  for (int late = 0; there(); soak_pause_us(10)) {
    if (soak_now_ns() - begun > INT64_C(3000000)) {
      uint64_t now = producers_rest() ? soak_all_asleep(soak_pid + 2, ACTIVE - 2) : 0;
      if (now && now == before && !late) soak.rechecks += late = 1;
      before = now;
    }
    if (soak_now_ns() - begun < INT64_C(4000000000)) continue;
    soak.stalled++;
    printf("  STALLED: a message, and all consumers asleep\n");
    return;
  }
  double took = (double)(soak_now_ns() - begun) / 1e9;
  if (took > soak.longest) soak.longest = took;
}
// A number drawn by one that was killed before it put it.
static void skip_lost_number(void) {
  soak_pause_us(50);
  uint64_t seen = answered(), drawn = t->put;
  for (int64_t begun = soak_now_ns(); t->put > seen && !there() && answered() == seen && t->put == drawn;
       soak_pause_us(20))
    if (soak_now_ns() - begun > INT64_C(2000000)) {
      t->skipped = t->put - t->got;
      return;
    }
}

void soak_closed_loop(double seconds) {
  struct shoal_queue_options options = {.capacity = CAPACITY, .element_size = sizeof(uint64_t)};
  void *memory = soak_shared(BYTES);
  t = soak_shared(sizeof *t);
  shoal_spin_max_ = soak_below(2) ? SHOAL_SPIN_MAX : 0;
  if (shoal_queue_place_(memory, BYTES, &options) || shoal_queue_attach_(memory, BYTES, sizeof(uint64_t), &q)) {
    soak_fault("making the queue");
    return;
  }
  for (int seat = 0; seat < ACTIVE; seat++) seat_taken(seat, spawn(seat >= 2));
  for (int64_t begun = soak_now_ns(); soak_now_ns() - begun < (int64_t)(seconds * 1e9) && !soak.stalled;) {
    int killed[ACTIVE];
    fill_spares();
    uint64_t seen = answered();
    for (int64_t from = soak_now_ns(); answered() == seen && soak_now_ns() - from < 3000000;) continue;
    for (int64_t until = soak_now_ns() + soak_below(40000); soak_now_ns() < until;)
      continue;  // somewhere in the next cycle
    int n = kill_some(killed);
    await_empty();
    for (int i = 0; i < n; i++) seat_taken(killed[i], spare_of(killed[i] >= 2));
    skip_lost_number();
  }
  soak.done = t->got;
  for (int side = 0; side < 2; side++)
    while (n_spares[side]) {
      soak_pid[0] ? soak_kill(0) : (void)0;
      soak_pid[0] = spares[side][--n_spares[side]].pid;
    }
  for (int seat = 0; seat < ACTIVE; seat++) soak_kill(seat);
}
