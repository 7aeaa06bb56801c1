// ipc/queue/message on both rings. Claims: a message whose send returned is received, whole, by one; one whose sender or
// receiver was killed is received at most once; and when all are received the heap holds what it held before: no block is
// lost with a reservation, a lease, or a call cut off anywhere.
#include <errno.h>
#include <string.h>

#include "core/error.h"
#include "core/proc.h"
#include "ipc/queue/message.h"
#include "tests/crash/crash.h"

#define CAPACITY 4u
#define MINE 100u  // the message that the victim sends; a second victim's is one more
#define LONGEST 9000u

enum { ENDED, SENT, NEXT, HELD, ACKNOWLEDGED, LOST };  // T->word

static struct shoal_segment *S;
static struct shoal_queue *Q;
static struct shoal_heap *H;
static uint64_t blocks_before;
static uint64_t bytes;  // of a message: 16 lie in the slot, 100 in a slab, 9000 in pages of their own

#define OK(call)                                                               \
  do {                                                                         \
    int rc_ = (call);                                                          \
    CRASH_EXPECT(rc_ == 0, "%s answered %d (%s)", #call, rc_, shoal_reason()); \
  } while (0)

// ---- messages ----
static void write_message(void *data, uint64_t id) { memset(data, (int)id, bytes); }
static void took(const void *data, uint64_t size) {
  const unsigned char *c = data;
  CRASH_EXPECT(size == bytes, "a message of %lu bytes", size);
  for (uint64_t i = 1; i < size && i < bytes; i++)
    if (c[i] != c[0]) {
      crash_fail("a torn message: byte %lu is %u, not %u", i, c[i], c[0]);
      break;
    }
  __atomic_fetch_add(&T->taken[c[0]], 1, __ATOMIC_SEQ_CST);
}
static int send_id(uint64_t id, shoal_deadline deadline) {
  unsigned char data[LONGEST];
  write_message(data, id);
  int rc = shoal_queue_send(Q, data, bytes, deadline);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "send answered %d (%s)", rc, shoal_reason());
  return rc;
}
static int recv_one(shoal_deadline deadline) {
  unsigned char data[LONGEST];
  uint64_t size = 0;
  int rc = shoal_queue_recv(Q, data, sizeof data, &size, deadline);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "recv answered %d (%s)", rc, shoal_reason());
  if (rc == 0) took(data, size);
  return rc;
}

// ---- states; nobody has a role ----
static void leave(void) {
  shoal_queue_leave(Q, SHOAL_PRODUCER);
  shoal_queue_leave(Q, SHOAL_CONSUMER);
}
static uint64_t blocks(void) {
  struct shoal_heap_info info;
  OK(shoal_heap_info(H, &info));
  return info.blocks;
}
static void make(uint32_t kind, uint64_t size, uint32_t inside) {
  const struct shoal_segment_options small = {.size = 1 << 20, .size_max = 16 << 20, .participants = 16, .objects = 16};
  const struct shoal_queue_options options = {.capacity = CAPACITY, .kind = kind, .bytes = 1};
  shoal_spin_max_ = 3;
  bytes = size;
  OK(shoal_segment_create(NULL, &small, &S));
  OK(shoal_queue_create(S, "bytes", &options, &Q));
  OK(shoal_heap_open(S, &H));
  for (int i = 0; i < 3; i++) {  // through a lap; the heap has its memory
    OK(send_id(0, SHOAL_TRY));
    OK(recv_one(SHOAL_TRY));
  }
  T->taken[0] = 0;
  OK(shoal_heap_reap(H) < 0);
  blocks_before = blocks();
  while (T->word[NEXT] < inside && send_id(T->word[NEXT] + 1, SHOAL_TRY) == 0) T->word[NEXT]++;
  leave();
}
static void unmake(void) {
  shoal_queue_detach(Q);
  shoal_heap_close(H);
  shoal_segment_close(S);
}

// ---- what victims do ----
static struct shoal_loan loan;
// Has used the segment and the heap before.
static void warm(void) {
  shoal_proc_id me;
  void *block;
  OK(shoal_proc_self(S, &me));
  OK(shoal_heap_alloc(H, bytes, &block));
  OK(shoal_heap_free(H, block));
}
static void producing(void) {
  warm();
  OK(shoal_queue_join(Q, SHOAL_PRODUCER));
}
static void consuming(void) {
  warm();
  OK(shoal_queue_join(Q, SHOAL_CONSUMER));
}
static void op_send(void) { T->word[ACKNOWLEDGED] += send_id(MINE, SHOAL_TRY) == 0; }
static void op_send_another(void) { T->word[ACKNOWLEDGED] += send_id(MINE + 1, SHOAL_TRY) == 0; }
static void op_recv(void) { recv_one(SHOAL_TRY); }
static void reserve(void) {
  int rc = shoal_queue_reserve_bytes(Q, bytes + 3, &loan, SHOAL_TRY);
  T->word[HELD] = rc == 0;
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN, "reserve answered %d", rc);
}
static void receive(void) {
  int rc = shoal_queue_receive(Q, &loan, SHOAL_TRY);
  T->word[HELD] = rc == 0;
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "receive answered %d (%s)", rc, shoal_reason());
}
static void op_commit(void) {
  if (!T->word[HELD]) return;
  write_message(loan.data, MINE);
  loan.size = bytes;
  OK(shoal_queue_commit(Q, &loan));
  T->word[ACKNOWLEDGED]++;
}
static void op_cancel(void) { OK(shoal_queue_cancel(Q, &loan)); }
static void op_release(void) {
  unsigned char data[LONGEST];
  uint64_t size = loan.size;
  if (!T->word[HELD]) return;
  memcpy(data, loan.data, size <= bytes ? size : 0);
  OK(shoal_queue_release(Q, &loan));
  took(data, size);
}
static void op_reserve_commit(void) {
  reserve();
  op_commit();
}
static void op_reserve_cancel(void) {
  reserve();
  if (T->word[HELD]) op_cancel();
}
static void op_receive_release(void) {
  receive();
  op_release();
}
static void op_return(void) { OK(shoal_queue_return(Q, &loan)); }
static void op_leave(void) { leave(); }
static void op_too_small(void) {
  char data[8];
  uint64_t size = 0;
  int rc = shoal_queue_recv(Q, data, sizeof data, &size, SHOAL_TRY);
  CRASH_EXPECT(rc == -EMSGSIZE && size == bytes, "too small a buffer: %d, of %lu", rc, size);
}

// ---- the survivor ----
static uint32_t taken(void) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < CRASH_IDS; i++) n += T->taken[i];
  return n;
}
static void drain(void) {
  for (int idle = 0; idle < 3; idle += !T->word[HELD]) {
    receive();
    op_release();
  }
}
static void survive(void) {
  producing();
  consuming();
  drain();
  for (uint32_t lap = 0; lap < 2; lap++) {
    uint32_t n = 0, before = taken();
    while (n < 8 && send_id(200 + n, SHOAL_TRY) == 0) n++;
    CRASH_EXPECT(n >= CAPACITY, "room for %u only", n);
    drain();
    CRASH_EXPECT(taken() == before + n, "%u were sent, %u came", n, taken() - before);
    for (uint32_t i = 0; i < n; i++) T->taken[200 + i] = 0;
  }
  shoal_role_reap(&Q->wait);
  int rc = shoal_heap_reap(H);
  CRASH_EXPECT(rc >= 0, "reap answered %d", rc);
  CRASH_EXPECT(blocks() == blocks_before, "%lu blocks are held, %lu were before", blocks(), blocks_before);
}
// At most `lost` went with a consumer that died with them in hand.
static void check_with(uint32_t lost) {
  crash_survivor(survive);
  uint32_t sent = T->word[NEXT] + T->word[ACKNOWLEDGED];
  for (uint32_t i = 0; i < CRASH_IDS; i++) CRASH_EXPECT(T->taken[i] <= 1, "%u was received %u times", i, T->taken[i]);
  CRASH_EXPECT(taken() + lost >= sent, "%u were sent, %u came", sent, taken());
}
static void check_sent(void) { check_with(0); }
static void check_received(void) { check_with(!crash_victim_finished()); }
static void check_pair(void) { check_with(2); }

// ---- the other side sleeps ----
static void consumer(int i) {
  (void)i;
  consuming();
  while (recv_one(SHOAL_FOREVER) == 0) continue;
  leave();
  T->word[ENDED] = 1;
}
static void consumer_asleep(void) { crash_asleep(crash_actor(consumer, 0)); }
static void told(void) {
  crash_kill_victim();
  CRASH_UNTIL(T->word[ENDED], "the consumer sleeps on");
  check_sent();
}

#define SCENARIO(id, of, how, text, ...) \
  CRASH_SCENARIO(id, .name = "bytes " of ": " text ", " how, .cleanup = unmake, __VA_ARGS__)
#define OF(k, of, KIND, s, how, n)                                                                                    \
  static void k##s##_empty(void) { make(KIND, n, 0); }                                                                \
  static void k##s##_part(void) { make(KIND, n, 2); }                                                                 \
  static void k##s##_full(void) { make(KIND, n, UINT32_MAX); }                                                        \
  static void k##s##_reserved(void) { producing(), reserve(); }                                                       \
  static void k##s##_received(void) { consuming(), receive(); }                                                       \
  SCENARIO(k##s##_send_empty, of, how, "send, empty", .setup = k##s##_empty, .prepare = producing, .op = op_send,     \
           .check = check_sent);                                                                                      \
  SCENARIO(k##s##_send_part, of, how, "send, joining by it", .setup = k##s##_part, .prepare = warm, .op = op_send,    \
           .check = check_sent);                                                                                      \
  SCENARIO(k##s##_send_full, of, how, "send, full", .setup = k##s##_full, .prepare = producing, .op = op_send,        \
           .check = check_sent);                                                                                      \
  SCENARIO(k##s##_wake, of, how, "send, the consumer asleep", .setup = k##s##_empty, .prepare = producing,            \
           .ready = consumer_asleep, .op = op_send, .check = told);                                                   \
  SCENARIO(k##s##_commit, of, how, "reserve and commit, part full", .setup = k##s##_part, .prepare = producing,       \
           .op = op_reserve_commit, .check = check_sent);                                                             \
  SCENARIO(k##s##_commit_wake, of, how, "reserve and commit, the consumer asleep", .setup = k##s##_empty,             \
           .prepare = producing, .ready = consumer_asleep, .op = op_reserve_commit, .check = told);                   \
  SCENARIO(k##s##_cancel, of, how, "reserve and cancel, part full", .setup = k##s##_part, .prepare = producing,       \
           .op = op_reserve_cancel, .check = check_sent);                                                             \
  SCENARIO(k##s##_leave, of, how, "leave with a reservation", .setup = k##s##_part, .prepare = k##s##_reserved,       \
           .op = op_leave, .check = check_sent);                                                                      \
  SCENARIO(k##s##_recv_part, of, how, "recv, part full", .setup = k##s##_part, .prepare = consuming, .op = op_recv,   \
           .check = check_received);                                                                                  \
  SCENARIO(k##s##_recv_full, of, how, "recv, full, joining by it", .setup = k##s##_full, .prepare = warm,             \
           .op = op_recv, .check = check_received);                                                                   \
  SCENARIO(k##s##_too_small, of, how, "recv, too small a buffer", .setup = k##s##_part, .prepare = consuming,         \
           .op = op_too_small, .check = check_sent);                                                                  \
  SCENARIO(k##s##_release, of, how, "receive and release", .setup = k##s##_part, .prepare = consuming,                \
           .op = op_receive_release, .check = check_received);                                                        \
  SCENARIO(k##s##_return, of, how, "return", .setup = k##s##_part, .prepare = k##s##_received, .op = op_return,       \
           .check = check_sent);                                                                                      \
  SCENARIO(k##s##_leave_c, of, how, "leave with a message in hand", .setup = k##s##_part, .prepare = k##s##_received, \
           .op = op_leave, .check = check_sent);                                                                      \
  SCENARIO(k##s##_send_pair, of, how, "pair, send, then who recovers", .kind = CRASH_PAIR, .setup = k##s##_part,      \
           .prepare = producing, .op = op_reserve_commit, .prepare2 = warm, .op2 = op_send_another,                   \
           .check = check_pair);                                                                                      \
  SCENARIO(k##s##_recv_pair, of, how, "pair, recv, then who recovers", .kind = CRASH_PAIR, .setup = k##s##_part,      \
           .prepare = consuming, .op = op_recv, .prepare2 = warm, .op2 = op_recv, .check = check_pair)

OF(mpmc, "mpmc", SHOAL_QUEUE_MPMC, s, "in the slot", 16);
OF(mpmc, "mpmc", SHOAL_QUEUE_MPMC, b, "in a block", 100);
OF(spsc, "spsc", SHOAL_QUEUE_SPSC, s, "in the slot", 16);
OF(spsc, "spsc", SHOAL_QUEUE_SPSC, b, "in a block", 100);
OF(spsc, "spsc", SHOAL_QUEUE_SPSC, p, "in pages", 9000);
