// ipc/queue/queue of the kinds FIFO, LIFO and PRIORITY. Claims: what lies in a cell when somebody dies is received, once, whole
// and in order; what was put before put returned is there; nobody sleeps beside a message, a free place, the lock of a dead one
// or beyond the end of the stream; it keeps its capacity, and the roles of the dead are free again.
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "ipc/queue/queue.h"
#include "tests/crash/crash.h"

#define CAPACITY 4u
#define BYTES (16u * 1024)
#define MINE 100u  // what the victim puts; a second victim's is one more

struct message {
  int64_t key;  // falls as the id rises: PRIORITY takes out as LIFO does
  uint32_t id, not_id;
};
static struct message message(uint32_t id) { return (struct message){-(int64_t)id, id, ~id}; }

enum { ENDED, SENT, NEXT, ACKNOWLEDGED, HELD, TURN, TOGETHER };  // T->word

static struct shoal_queue *Q;

// ---- the cells, looked at from outside ----
static uint32_t cells_in(uint32_t a, uint32_t b) {
  uint32_t n = 0;
  for (uint32_t c = 0; c < CAPACITY; c++) {
    const char *data = shoal_ordered_data(&Q->ordered, c);
    uint32_t state = shoal_load32_relaxed(&((const struct shoal_cell_shm *)(const void *)(data - 24))->word) >> 22 & 3;
    n += state == a || state == b;
  }
  return n;
}
static uint32_t there(void) { return cells_in(SHOAL_CELL_READY_, SHOAL_CELL_READING_); }
static int can_put(void) { return cells_in(SHOAL_CELL_FREE_, SHOAL_CELL_FREE_) > 0; }

// ---- the driver never waits ----
static void put(uint32_t id) {
  struct message m = message(id);
  int rc = shoal_queue_put(Q, &m, SHOAL_TRY);
  CRASH_EXPECT(rc == 0, "put of %u answered %d", id, rc);
}
static void put_next(void) { put(1 + T->word[NEXT]++); }
static void took(const struct message *m) {
  CRASH_EXPECT(m->not_id == ~m->id && m->id < CRASH_IDS && m->key == -(int64_t)m->id, "torn: %x %x", m->id, m->not_id);
  if (m->id < CRASH_IDS) __atomic_fetch_add(&T->taken[m->id], 1, __ATOMIC_SEQ_CST);
}
static uint32_t taken(void) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < CRASH_IDS; i++) n += T->taken[i];
  return n;
}

static void make(uint32_t kind, uint32_t before, uint32_t inside, uint32_t drop) {
  static void *memory;
  if (!memory) memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  memset(memory, 0, BYTES);
  shoal_spin_max_ = 3;
  struct shoal_queue_options o = {.capacity = CAPACITY,
                                  .element_size = sizeof(struct message),
                                  .kind = kind,
                                  .producers = 6,
                                  .consumers = 6,
                                  .drop = drop};
  if (kind == SHOAL_QUEUE_PRIORITY) o.key = (struct shoal_queue_key){SHOAL_KEY_I64, 0};
  int rc = shoal_queue_place_(memory, BYTES, &o);
  if (rc == 0) rc = shoal_queue_attach_(memory, BYTES, sizeof(struct message), &Q);
  if (rc) crash_fail("making the queue: %d", rc);
  struct message m;
  for (uint32_t i = 0; i < before; i++) put(0);
  for (uint32_t i = 0; i < before; i++) rc |= shoal_queue_get(Q, &m, SHOAL_TRY);
  CRASH_EXPECT(rc == 0, "get answered %d", rc);
  shoal_queue_leave(Q, SHOAL_CONSUMER);
  for (uint32_t i = 0; i < inside; i++) put_next();
}
static void detach(void) {
  shoal_queue_detach(Q);
  Q = NULL;
}
#define STATES(kind, KIND)                                \
  static void kind##_empty(void) { make(KIND, 2, 0, 0); } \
  static void kind##_one(void) { make(KIND, 3, 1, 0); }   \
  static void kind##_two(void) { make(KIND, 0, 2, 0); }   \
  static void kind##_part(void) { make(KIND, 4, 3, 0); }  \
  static void kind##_full(void) { make(KIND, 4, 4, 0); }
STATES(fifo, SHOAL_QUEUE_FIFO)
STATES(lifo, SHOAL_QUEUE_LIFO)
STATES(priority, SHOAL_QUEUE_PRIORITY)
static void one_to_drop(void) { make(SHOAL_QUEUE_PRIORITY, 3, 1, 1); }

static void join(int side) {
  int rc = shoal_queue_join(Q, side);
  CRASH_EXPECT(rc == 0, "join answered %d", rc);
}
static void producing(void) { join(SHOAL_PRODUCER); }
static void consuming(void) { join(SHOAL_CONSUMER); }

// ---- what victims do ----
static void put_within(uint32_t id, shoal_deadline deadline) {
  struct message m = message(id);
  int rc = shoal_queue_put(Q, &m, deadline);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "put answered %d", rc);
  if (rc == 0) T->word[ACKNOWLEDGED]++;
}
static void get_within(shoal_deadline deadline) {
  struct message m;
  int rc = shoal_queue_get(Q, &m, deadline);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "get answered %d", rc);
  if (rc == 0) took(&m);
}
static void get(void) { get_within(SHOAL_TRY); }
static void op_put(void) { put_within(MINE, SHOAL_FOREVER); }
static void op_try_put(void) { put_within(MINE, SHOAL_TRY); }
static void op_get(void) { get_within(SHOAL_FOREVER); }
static void op_try_get(void) { get_within(SHOAL_TRY); }
static void op_put_n(void) {
  struct message m[3] = {message(MINE), message(MINE + 1), message(MINE + 2)};
  int n = shoal_queue_put_n(Q, m, 3, SHOAL_FOREVER);
  CRASH_EXPECT(n > 0 || n == -EPIPE, "put_n answered %d", n);
  if (n > 0) T->word[ACKNOWLEDGED] += (uint32_t)n;
}
static void op_get_n(void) {
  struct message m[3];
  int n = shoal_queue_get_n(Q, m, 3, SHOAL_FOREVER);
  CRASH_EXPECT(n > 0 || n == -EPIPE, "get_n answered %d", n);
  for (int i = 0; i < n; i++) took(&m[i]);
}
static struct shoal_loan loan;
static void reserve(void) {
  int rc = shoal_queue_reserve(Q, &loan, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0, "reserve answered %d", rc);
  *(struct message *)loan.data = message(MINE);
}
static void op_commit(void) {
  int rc = shoal_queue_commit(Q, &loan);
  CRASH_EXPECT(rc == 0, "commit answered %d", rc);
  T->word[ACKNOWLEDGED]++;
}
static void op_cancel(void) {
  int rc = shoal_queue_cancel(Q, &loan);
  CRASH_EXPECT(rc == 0, "cancel answered %d", rc);
}
static void op_reserve_commit(void) {
  reserve();
  op_commit();
}
static void op_reserve_cancel(void) {
  reserve();
  op_cancel();
}
static void receive(void) {
  int rc = shoal_queue_receive(Q, &loan, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN, "receive answered %d", rc);
  T->word[HELD] = rc == 0;
}
static void op_receive_release(void) {
  receive();
  if (!T->word[HELD]) return;
  struct message m = *(struct message *)loan.data;
  int rc = shoal_queue_release(Q, &loan);
  CRASH_EXPECT(rc == 0, "release answered %d", rc);
  took(&m);
}
static void op_return(void) {
  int rc = shoal_queue_return(Q, &loan);
  CRASH_EXPECT(rc == 0, "return answered %d", rc);
}
static void op_receive_return(void) {
  receive();
  if (T->word[HELD]) op_return();
}
static void op_close(void) { shoal_queue_close(Q); }
static void op_leave_consuming(void) { shoal_queue_leave(Q, SHOAL_CONSUMER); }
static void op_leave_producing(void) { shoal_queue_leave(Q, SHOAL_PRODUCER); }

// ---- the survivor: takes what is there, in order, then fills and empties it ----
static int in_order(uint32_t last, uint32_t id) {
  return last == 0 || (Q->kind == SHOAL_QUEUE_FIFO ? id > last : id < last);
}
static void drain(void) {  // FIFO, LIFO: what a dead one had in hand comes first; PRIORITY: in its place
  uint32_t last = 0;
  shoal_role_reap(&Q->wait);
  for (int rc, idle = 0; idle < 2; idle += rc != 0) {
    rc = shoal_queue_receive(Q, &loan, SHOAL_TRY);
    CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "receive answered %d", rc);
    if (rc) continue;
    struct message m = *(struct message *)loan.data;
    took(&m);
    CRASH_EXPECT(loan.redelivered || T->word[TOGETHER] || in_order(last, m.id), "%u after %u", m.id, last);
    if (!loan.redelivered) last = m.id;
    rc = shoal_queue_release(Q, &loan);
    CRASH_EXPECT(rc == 0, "release answered %d", rc);
  }
}
static void fill_and_empty(void) {
  struct message m;
  for (uint32_t lap = 0, n; lap < 3; lap++) {
    for (n = 0; n < 10; n++) {
      m = message(200 + n);
      if (shoal_queue_put(Q, &m, SHOAL_TRY)) break;
    }
    CRASH_EXPECT(n == CAPACITY, "room for %u only", n);
    for (uint32_t i = 0; i < CAPACITY; i++) {
      uint32_t id = 200 + (Q->kind == SHOAL_QUEUE_FIFO ? i : CAPACITY - 1 - i);
      CRASH_EXPECT(shoal_queue_get(Q, &m, SHOAL_TRY) == 0 && m.id == id, "in a lap %u comes for %u", m.id, id);
    }
    CRASH_EXPECT(shoal_queue_get(Q, &m, SHOAL_TRY) == -EAGAIN, "too many in a lap");
  }
}
static void survive(void) {
  if (!shoal_eventcount_closed(Q->wait.shm)) producing();
  drain();
  CRASH_EXPECT(there() == 0, "%u messages left in the cells", there());
  for (uint32_t role = 1; role <= Q->wait.count[0] + Q->wait.count[1]; role++)
    CRASH_EXPECT(!shoal_role_is_dead(&Q->wait, role), "role %u stays the dead one's", role);
  if (!shoal_eventcount_closed(Q->wait.shm)) fill_and_empty();
}
static uint32_t mine_taken(void) { return T->taken[MINE] + T->taken[MINE + 1] + T->taken[MINE + 2]; }
static void check_but_put(void) {
  uint32_t inside = there(), before = taken();
  crash_survivor(survive);
  for (uint32_t i = 0; i < CRASH_IDS; i++) CRASH_EXPECT(T->taken[i] <= 1, "%u was received %u times", i, T->taken[i]);
  CRASH_EXPECT(taken() == before + inside, "%u inside, %u came out", inside, taken() - before);
}
static void check(void) {
  check_but_put();
  CRASH_EXPECT(mine_taken() >= T->word[ACKNOWLEDGED], "%u put, %u came", T->word[ACKNOWLEDGED], mine_taken());
}

#define ORDERED(id, text, ...) CRASH_SCENARIO(id, .name = text, .cleanup = detach, __VA_ARGS__)
#define ALONE(kind, id, text, state, role, what) \
  ORDERED(kind##_##id, #kind ": " text, .setup = kind##_##state, .prepare = role, .op = what, .check = check)
#define ALL_ALONE(kind)                                                               \
  ALONE(kind, put_empty, "put, empty", empty, producing, op_put);                     \
  ALONE(kind, put_part, "put, part full", part, producing, op_put);                   \
  ALONE(kind, put_full, "try to put, full", full, producing, op_try_put);             \
  ALONE(kind, put_first, "put, joining by it", part, NULL, op_put);                   \
  ALONE(kind, put_n, "put three at once", one, producing, op_put_n);                  \
  ALONE(kind, get_empty, "try to get, empty", empty, consuming, op_try_get);          \
  ALONE(kind, get_one, "get, one inside", one, consuming, op_get);                    \
  ALONE(kind, get_full, "get, full", full, consuming, op_get);                        \
  ALONE(kind, get_n, "get three at once", full, consuming, op_get_n);                 \
  ALONE(kind, commit, "reserve and commit", part, producing, op_reserve_commit);      \
  ALONE(kind, cancel, "reserve and cancel", part, producing, op_reserve_cancel);      \
  ALONE(kind, release, "receive and release", full, consuming, op_receive_release);   \
  ALONE(kind, again, "receive and return", part, consuming, op_receive_return);       \
  ALONE(kind, leave, "leave with a loan in hand", part, receive, op_leave_consuming); \
  ALONE(kind, leave_reserved, "leave with a reservation", part, reserve, op_leave_producing)
ALL_ALONE(fifo);
ALL_ALONE(lifo);
ALL_ALONE(priority);

static void check_drop(void) {
  crash_survivor(survive);
  uint64_t dropped = shoal_load64_relaxed(&Q->ordered.shm->dropped);
  CRASH_EXPECT(taken() + dropped <= 1, "%u received, %lu dropped", taken(), dropped);
}
ORDERED(priority_drop, "priority: receive and release, a dead one's message is dropped", .setup = one_to_drop,
        .prepare = consuming, .op = op_receive_release, .check = check_drop);

// ---- contended: others sleep for a message ----
static void consumer(int gated) {
  struct message m;
  consuming();
  if (gated) crash_gate();
  while (shoal_queue_get(Q, &m, SHOAL_FOREVER) == 0) took(&m);
  __atomic_fetch_add(&T->word[ENDED], 1, __ATOMIC_SEQ_CST);
}
static void producer(int gated) {
  producing();
  if (gated) crash_gate();
  for (uint32_t id = 150;; id++) {
    struct message m = message(id);
    if (shoal_queue_put(Q, &m, SHOAL_FOREVER)) break;
    __atomic_fetch_add(&T->word[SENT], 1, __ATOMIC_SEQ_CST);
  }
  __atomic_fetch_add(&T->word[ENDED], 1, __ATOMIC_SEQ_CST);
}
static void asleep(void (*body)(int), int n) {
  for (int i = 0; i < n; i++) crash_asleep(crash_actor(body, 0));
}
static void consumers_go_on(void) {
  CRASH_UNTIL(there() == 0, "%u messages left beside sleeping consumers", there());
  crash_all_asleep();
  uint32_t before = taken();
  put_next();
  CRASH_UNTIL(taken() == before + 1, "the next message is not taken");
  put_next();
  put_next();
  CRASH_UNTIL(taken() == before + 3, "the two after it are not taken");
  CRASH_EXPECT(mine_taken() >= T->word[ACKNOWLEDGED], "%u put, %u came", T->word[ACKNOWLEDGED], mine_taken());
  for (uint32_t i = 0; i < CRASH_IDS; i++) CRASH_EXPECT(T->taken[i] <= 1, "%u was received %u times", i, T->taken[i]);
}
static void two_asleep(void) {
  lifo_empty();
  asleep(consumer, 2);
}
static void two_asleep_by_priority(void) {
  priority_empty();
  asleep(consumer, 2);
}
#define WAKES(id, text, state, role, what)                                                         \
  ORDERED(wake_##id, text, .setup = state, .prepare = role, .ready = crash_all_asleep, .op = what, \
          .check = consumers_go_on)
WAKES(lifo_put, "lifo: put, two asleep", two_asleep, producing, op_put);
WAKES(lifo_put_n, "lifo: put three at once, two asleep", two_asleep, producing, op_put_n);
WAKES(lifo_commit, "lifo: reserve and commit, two asleep", two_asleep, producing, op_reserve_commit);
WAKES(lifo_cancel, "lifo: reserve and cancel, two asleep", two_asleep, producing, op_reserve_cancel);
WAKES(priority_put, "priority: put, two asleep", two_asleep_by_priority, producing, op_put);

static void empty_gated(void) {
  lifo_empty();
  for (int i = 0; i < 2; i++) crash_actor(consumer, 1);
  crash_at_gate(2);
}
static void open_gate(void) {
  crash_open_gate();
  crash_all_asleep();
}
static void first_in_line(void) {
  if (!T->gate) open_gate();
  put_next();
}
static void first_in_line_died(void) {
  if (!T->gate) open_gate();
  consumers_go_on();
}
static void last_in_line(void) {
  for (int i = 0; i < 2 && !T->word[TURN]; i++) {
    uint32_t before = taken();
    put_next();
    CRASH_UNTIL(taken() == before + 1, "those who slept before do not take");
    crash_all_asleep();
  }
  T->word[TURN] = 1;
  put_next();
}
ORDERED(get_first, "lifo: get, asleep before two others", .setup = empty_gated, .prepare = consuming, .op = op_get,
        .asleep = first_in_line, .check = first_in_line_died);
ORDERED(get_last, "lifo: get, asleep behind two others", .setup = two_asleep, .prepare = consuming,
        .ready = crash_all_asleep, .op = op_get, .asleep = last_in_line, .check = consumers_go_on);

// Somebody sleeps for what the victim holds.
static void one_more(void) { asleep(consumer, 1); }
ORDERED(loan_return, "priority: return, another asleep", .setup = priority_one, .prepare = receive, .ready = one_more,
        .op = op_return, .check = consumers_go_on);
ORDERED(loan_leave, "lifo: leave with a loan in hand, another asleep", .setup = lifo_one, .prepare = receive,
        .ready = one_more, .op = op_leave_consuming, .check = consumers_go_on);

// ---- for room ----
static void producers_go_on(void) {
  CRASH_UNTIL(!can_put(), "a free place beside a sleeping producer");
  crash_all_asleep();
  for (int i = 0; i < 3; i++) {
    uint32_t before = T->word[SENT];
    get();
    CRASH_UNTIL(T->word[SENT] > before, "a producer sleeps beside a free place");
    crash_all_asleep();
  }
}
static void full_two_putters(void) {
  priority_full();
  consuming();
  asleep(producer, 2);
}
ORDERED(room_get, "priority: get, two producers asleep", .setup = full_two_putters, .prepare = consuming,
        .ready = crash_all_asleep, .op = op_get, .check = producers_go_on);
ORDERED(room_get_n, "priority: get three at once, two producers asleep", .setup = full_two_putters,
        .prepare = consuming, .ready = crash_all_asleep, .op = op_get_n, .check = producers_go_on);
ORDERED(room_release, "priority: receive and release, two producers asleep", .setup = full_two_putters,
        .prepare = consuming, .ready = crash_all_asleep, .op = op_receive_release, .check = producers_go_on);
static void full_gated(void) {
  lifo_full();
  consuming();
  crash_actor(producer, 1);
  crash_at_gate(1);
}
static void first_for_room(void) {
  if (!T->gate) open_gate();
  get();
}
static void first_for_room_died(void) {
  if (!T->gate) open_gate();
  producers_go_on();
}
ORDERED(room_put, "lifo: put, asleep for room before another", .setup = full_gated, .prepare = producing, .op = op_put,
        .asleep = first_for_room, .check = first_for_room_died);

// ---- for the lock: the victim is inside, or before, or behind it; three come meanwhile, and sleep if they must ----
static void puts_one(int i) {
  producing();
  put_within(160 + (uint32_t)i, SHOAL_FOREVER);
}
static void gets_one(int i) {
  (void)i;
  consuming();
  op_get();
}
static void three_come(void) {
  T->word[TOGETHER] = 1;  // in no order
  for (int i = 0; i < 2; i++) crash_actor(puts_one, i);
  crash_actor(gets_one, 0);
  crash_all_asleep_or_finished();
}
static void all_through(void) {
  CRASH_UNTIL(crash_all_finished(), "somebody waits for the lock, and nobody is inside");
  check_but_put();
}
static void inside_goes_on(void) {
  CRASH_UNTIL(crash_all_finished() && crash_victim_finished(), "the lock is not passed on");
}
#define INSIDE(id, text, state, role, what)                                                                           \
  ORDERED(inside_##id, text ", three come and it dies", .setup = state, .prepare = role, .op = what,                  \
          .stopped = three_come, .check = all_through);                                                               \
  ORDERED(inside_on_##id, text ", three come and it goes on", .kind = CRASH_RESUMED, .setup = state, .prepare = role, \
          .op = what, .stopped = three_come, .check = inside_goes_on)
INSIDE(put, "priority: put, one inside", priority_one, producing, op_put);
INSIDE(get, "priority: get, two inside", priority_two, consuming, op_get);
INSIDE(release, "lifo: receive and release, two inside", lifo_two, consuming, op_receive_release);
INSIDE(leave, "fifo: leave with a loan in hand, two inside", fifo_two, receive, op_leave_consuming);

// The victim sleeps for the lock of one that is stopped inside; then that one is killed: who is woken dies, too.
static void stands_inside(int i) {
  (void)i;
  consuming();
  int me = (int)shoal_role_known(&Q->wait, SHOAL_CONSUMER);
  int rc = shoal_ordered_enter(&Q->ordered, (uint32_t)me, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0, "enter answered %d", rc);
  shoal_store32_relaxed(&Q->ordered.shm->count, 3);  // in the midst of it
  T->word[SENT] = 1;
}
static void holder_of_the_lock(void) {
  lifo_two();
  producing();
  crash_actor(stands_inside, 0);
  CRASH_UNTIL(T->word[SENT], "nobody gets inside");
}
static void holder_dies(void) {
  T->word[TOGETHER] = 1;
  if (!T->word[TURN]) {
    crash_actor(gets_one, 0);  // behind it, for the lock
    crash_all_asleep();
    crash_kill(0);
  }
  T->word[TURN] = 1;
}
static void holder_died(void) {
  holder_dies();
  all_through();
}
ORDERED(lock_heir, "lifo: put, asleep for the lock of one who dies", .setup = holder_of_the_lock, .prepare = producing,
        .op = op_put, .asleep = holder_dies, .check = holder_died);

// ---- the end of the stream ----
static void all_told(uint32_t n) {
  CRASH_UNTIL(T->word[ENDED] == n, "%u of %u are told of the end", T->word[ENDED], n);
}
static void empty_three_asleep(void) {
  priority_empty();
  asleep(consumer, 3);
}
static void closed_or_not(void) {
  if (!shoal_eventcount_closed(Q->wait.shm)) shoal_queue_close(Q);
  all_told(3);
}
ORDERED(close, "priority: close, three consumers asleep", .setup = empty_three_asleep, .ready = crash_all_asleep,
        .op = op_close, .check = closed_or_not);
static void reserved_and_closed(void) {
  asleep(consumer, 3);
  shoal_queue_close(Q);
  crash_all_asleep();
}
static void told_after_it(void) {
  all_told(3);
  CRASH_EXPECT(there() == 0, "told of the end beside a message");
  CRASH_EXPECT(mine_taken() >= T->word[ACKNOWLEDGED], "%u put, %u came", T->word[ACKNOWLEDGED], mine_taken());
}
ORDERED(end_commit, "lifo: commit after the close, three asleep", .setup = lifo_empty, .prepare = reserve,
        .ready = reserved_and_closed, .op = op_commit, .check = told_after_it);
ORDERED(end_cancel, "lifo: cancel after the close, three asleep", .setup = lifo_empty, .prepare = reserve,
        .ready = reserved_and_closed, .op = op_cancel, .check = told_after_it);

ORDERED(end_commit_on, "lifo: commit after the close, three asleep, goes on", .kind = CRASH_RESUMED,
        .setup = lifo_empty, .prepare = reserve, .ready = reserved_and_closed, .op = op_commit, .check = told_after_it);
ORDERED(end_cancel_on, "lifo: cancel after the close, three asleep, goes on", .kind = CRASH_RESUMED,
        .setup = lifo_empty, .prepare = reserve, .ready = reserved_and_closed, .op = op_cancel, .check = told_after_it);

// ---- pairs ----
#define PAIR(by, id, text, state, role, what, role2, what2)                                                  \
  ORDERED(pair_##by##_##id, #by ": pair, " text, .kind = CRASH_PAIR, .setup = by##_##state, .prepare = role, \
          .op = what, .prepare2 = role2, .op2 = what2, .check = check_but_put)
#define ALL_PAIRS(by)                                                                 \
  PAIR(by, put_get, "put, then get", two, producing, op_put, consuming, op_try_get);  \
  PAIR(by, get_put, "get, then put", full, consuming, op_get, producing, op_try_put); \
  PAIR(by, loans, "receive and release, twice", two, consuming, op_receive_release, consuming, op_receive_release)
ALL_PAIRS(fifo);
ALL_PAIRS(lifo);
ALL_PAIRS(priority);
