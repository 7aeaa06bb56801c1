// ipc/queue/spsc. Claims: a producer killed anywhere leaves a prefix of what it put, each message whole; a consumer
// killed anywhere has what it took, and its successor the rest, what was only peeked included; either role can be taken
// over by the living, as often as its owner dies; the ring keeps its capacity.
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "ipc/queue/spsc.h"
#include "tests/crash/crash.h"

#define CAPACITY 6u
#define BYTES 4096u

struct message {  // two in a group
  uint64_t id, not_id, id_again;
};
SHOAL_SPSC_TYPED(ring, struct message)

static struct shoal_spsc_shm *R;
static ring_producer P;
static ring_consumer C;

// T->out. A victim notes what it is about to do and what it has done: what lies between may have happened.
enum { BEFORE, PRELOADED, PUTTING, PUT, TAKING, TAKEN };

static void make(uint64_t before, uint64_t preloaded) {
  if (!R) R = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  memset(R, 0xa5, BYTES);  // what was there says nothing
  if (ring_size(CAPACITY) > BYTES || ring_init(R, BYTES, CAPACITY)) crash_fail("ring_init");
  T->out[BEFORE] = before;
  T->out[PRELOADED] = before + preloaded;
}
static void empty(void) { make(3, 0); }
static void one_inside(void) { make(4, 1); }
static void part(void) { make(13, 3); }
static void almost(void) { make(11, 5); }
static void full(void) { make(18, 6); }

static struct message message(uint64_t id) { return (struct message){id, ~id, id}; }
static int is_whole(const struct message *m) { return m->not_id == ~m->id && m->id_again == m->id; }

static void produce(void) {
  int rc = ring_produce(&P, R, BYTES);
  CRASH_EXPECT(rc == 0, "produce answered %d", rc);
  uint64_t next = P.role.next;
  CRASH_EXPECT(next >= T->out[PUT] && next <= T->out[PUTTING], "the producer goes on behind %lu, and %lu..%lu were put",
               next, T->out[PUT], T->out[PUTTING]);
  T->out[PUT] = T->out[PUTTING] = next;
}
static void consume(void) {
  int rc = ring_consume(&C, R, BYTES);
  CRASH_EXPECT(rc == 0, "consume answered %d", rc);
  uint64_t next = C.role.next;
  CRASH_EXPECT(next >= T->out[TAKEN] && next <= T->out[TAKING],
               "the consumer goes on behind %lu, and %lu..%lu were taken", next, T->out[TAKEN], T->out[TAKING]);
  T->out[TAKEN] = T->out[TAKING] = next;
}
// Messages 1..BEFORE went through the ring, those up to PRELOADED are in it. The caller holds both roles then.
static void load(void) {
  struct message m;
  consume();
  produce();
  while (P.role.next < T->out[PRELOADED]) {
    m = message(P.role.next + 1);
    if (ring_try_put(&P, &m) || (m.id <= T->out[BEFORE] && ring_try_get(&C, &m))) crash_fail("load");
  }
  T->out[PUT] = T->out[PUTTING] = T->out[PRELOADED];
  T->out[TAKEN] = T->out[TAKING] = T->out[BEFORE];
}
static void as_producer(void) {
  load();
  ring_consumer_leave(&C);
}
static void as_consumer(void) {
  load();
  ring_producer_leave(&P);
}

// ---- what victims do ----
static void put(void) {
  struct message m = message(++T->out[PUTTING]);
  int rc = ring_try_put(&P, &m);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN, "put answered %d", rc);
  if (rc) T->out[PUTTING]--;
  T->out[PUT] = T->out[PUTTING];
}
static void put_three(void) {
  for (int i = 0; i < 3; i++) put();
}
static void put_n(void) {
  struct message m[5];
  for (uint64_t i = 0; i < 5; i++) m[i] = message(T->out[PUT] + 1 + i);
  T->out[PUTTING] += 5;
  T->out[PUT] += ring_try_put_n(&P, m, 5);
  T->out[PUTTING] = T->out[PUT];
}
static void reserve_commit(void) {
  struct message *m = ring_reserve(&P);
  CRASH_EXPECT(m != NULL, "no room");
  *m = message(T->out[PUT] + 1);
  T->out[PUTTING]++;
  ring_commit(&P);
  T->out[PUT]++;
}
static void get(void) {
  struct message m;
  T->out[TAKING]++;
  int rc = ring_try_get(&C, &m);
  if (rc) T->out[TAKING]--;
  else CRASH_EXPECT(m.id == T->out[TAKING] && is_whole(&m), "got %lu for %lu", m.id, T->out[TAKING]);
  T->out[TAKEN] = T->out[TAKING];
}
static void get_three(void) {
  for (int i = 0; i < 3; i++) get();
}
static void get_n(void) {
  struct message m[5];
  T->out[TAKING] += 5;
  T->out[TAKEN] += ring_try_get_n(&C, m, 5);
  T->out[TAKING] = T->out[TAKEN];
}
static void peek_release(void) {
  for (int i = 0; i < 3; i++) {
    struct message *m = ring_peek(&C);
    CRASH_EXPECT(m && m->id == T->out[TAKEN] + 1 && is_whole(m), "peeked another");
    T->out[TAKING]++;
    ring_release(&C);
    T->out[TAKEN]++;
  }
}
static void leave_producing(void) { ring_producer_leave(&P); }
static void leave_consuming(void) { ring_consumer_leave(&C); }

// ---- the survivor: takes both roles over ----
static void survive(void) {
  struct message m;
  produce();
  consume();
  uint64_t id = T->out[TAKEN];
  for (; ring_try_get(&C, &m) == 0; id++)
    CRASH_EXPECT(is_whole(&m) && m.id == id + 1, "behind %lu comes %lu %lx %lu", id, m.id, m.not_id, m.id_again);
  CRASH_EXPECT(id == T->out[PUT], "%lu were put, up to %lu came out", T->out[PUT], id);
  for (int lap = 0; lap < 3; lap++) {
    uint64_t first = id + 1;
    for (m = message(id + 1); ring_try_put(&P, &m) == 0; m = message(id + 1)) id++;
    CRASH_EXPECT(id - first + 1 >= CAPACITY, "room for %lu only", id - first + 1);
    for (; ring_try_get(&C, &m) == 0; first++) CRASH_EXPECT(m.id == first && is_whole(&m), "%lu after a lap", m.id);
    CRASH_EXPECT(first == id + 1, "%lu messages lost after a lap", id + 1 - first);
  }
}
static void check(void) {
  crash_kill_victim();  // a stalled one has gone on, and has its role still
  crash_survivor(survive);
}

#define SPSC(id, text, state, role, what) \
  CRASH_SCENARIO(id, .name = "spsc: " text, .setup = state, .prepare = role, .op = what, .check = check)

SPSC(spsc_put_empty, "put, empty", empty, as_producer, put);
SPSC(spsc_put_part, "put three, part full", part, as_producer, put_three);
SPSC(spsc_put_full, "put three, almost full, then full", almost, as_producer, put_three);
SPSC(spsc_put_n, "put a batch over three groups", one_inside, as_producer, put_n);
SPSC(spsc_reserve, "reserve and commit", part, as_producer, reserve_commit);
SPSC(spsc_get_empty, "get, empty", empty, as_consumer, get);
SPSC(spsc_get_one, "get three, one inside", one_inside, as_consumer, get_three);
SPSC(spsc_get_full, "get three, full", full, as_consumer, get_three);
SPSC(spsc_get_n, "get a batch over three groups", almost, as_consumer, get_n);
SPSC(spsc_peek, "peek and release three", part, as_consumer, peek_release);
SPSC(spsc_leave_p, "leave, the producer", part, as_producer, leave_producing);
SPSC(spsc_leave_c, "leave, the consumer", part, as_consumer, leave_consuming);

// ---- take-over: the role's owner is dead ----
static void loader_dies(void) {
  crash_survivor(load);  // killed with both roles
}
static void part_left_by_the_dead(void) {
  part();
  loader_dies();
}
static void produce_put(void) {
  produce();
  put_three();
}
static void consume_get(void) {
  consume();
  get_three();
}
CRASH_SCENARIO(spsc_take_p, .name = "spsc: take the dead producer's role over, put three",
               .setup = part_left_by_the_dead, .op = produce_put, .check = check);
CRASH_SCENARIO(spsc_take_c, .name = "spsc: take the dead consumer's role over, get three",
               .setup = part_left_by_the_dead, .op = consume_get, .check = check);

// ---- pairs ----
CRASH_SCENARIO(spsc_pair_pp, .name = "spsc: pair, the producer, then its successor", .kind = CRASH_PAIR, .setup = part,
               .prepare = as_producer, .op = put_three, .op2 = produce_put, .check = check);
CRASH_SCENARIO(spsc_pair_cc, .name = "spsc: pair, the consumer, then its successor", .kind = CRASH_PAIR,
               .setup = almost, .prepare = as_consumer, .op = get_three, .op2 = consume_get, .check = check);
CRASH_SCENARIO(spsc_pair_pc, .name = "spsc: pair, the producer, then the consumer", .kind = CRASH_PAIR,
               .setup = one_inside, .prepare = as_producer, .op = put_n, .op2 = consume_get, .check = check);
CRASH_SCENARIO(spsc_stalled_pc, .name = "spsc: the producer stopped, the consumer dies, the producer goes on",
               .kind = CRASH_STALLED, .setup = one_inside, .prepare = as_producer, .op = put_n, .op2 = consume_get,
               .check = check);
CRASH_SCENARIO(spsc_stalled_cp, .name = "spsc: the consumer stopped, the producer dies, the consumer goes on",
               .kind = CRASH_STALLED, .setup = almost, .prepare = as_consumer, .op = get_three, .op2 = produce_put,
               .check = check);
