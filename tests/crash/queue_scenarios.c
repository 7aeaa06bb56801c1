// ipc/queue/queue on ipc/queue/mpmc and sync/eventcount. Claims: what is in the ring when somebody dies is received, once, and
// whole; what was put before put returned is in the ring; nobody sleeps beside a message, beside a free place or beyond the
// end of the stream; the ring keeps its capacity, and the roles of the dead are free again.
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "ipc/queue/queue.h"
#include "tests/crash/crash.h"

#define CAPACITY 4u
#define BYTES (16u * 1024)
#define MINE 100u  // the message that the victim puts; a second victim's is one more

struct message {
  uint64_t id, not_id;
};
SHOAL_QUEUE_TYPED(messages, struct message)

enum { ENDED, SENT, NEXT, ACKNOWLEDGED, HELD, TURN };  // T->word

static struct shoal_queue *Q;

// ---- the ring, looked at from outside ----
static uint32_t slots_in(uint32_t a, uint32_t b) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < CAPACITY; i++) {
    uint32_t state = shoal_slot_state_(shoal_load64_relaxed(shoal_mpmc_at(&Q->ring, i, Q->ring.stride).ctl));
    n += state == a || state == b;
  }
  return n;
}
static uint32_t there(void) {
  return slots_in(SHOAL_SLOT_FULL_, SHOAL_SLOT_READING_);
}  // put, and not received for good
static int can_put(void) { return shoal_mpmc_blocker(&Q->ring, SHOAL_PRODUCER) == SHOAL_BLOCKER_NONE; }

// ---- the driver puts and gets, and never waits ----
static struct message message(uint64_t id) { return (struct message){id, ~id}; }
static void put(uint64_t id) {
  struct message m = message(id);
  int rc = messages_put(Q, &m, SHOAL_TRY);
  CRASH_EXPECT(rc == 0, "put of %lu answered %d", id, rc);
}
static void put_next(void) { put(1 + T->word[NEXT]++); }
static void took(const struct message *m) {
  CRASH_EXPECT(m->not_id == ~m->id && m->id < CRASH_IDS, "a torn message: %lx %lx", m->id, m->not_id);
  if (m->id < CRASH_IDS) __atomic_fetch_add(&T->taken[m->id], 1, __ATOMIC_SEQ_CST);
}
static void get(void) {
  struct message m;
  int rc = messages_get(Q, &m, SHOAL_TRY);
  if (rc == 0) took(&m);
  else CRASH_EXPECT(rc == -EAGAIN || rc == -EPIPE, "get answered %d", rc);
}
static uint32_t taken(void) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < CRASH_IDS; i++) n += T->taken[i];
  return n;
}

static void make_of(struct shoal_queue_options options, uint32_t before, uint32_t inside) {
  static void *memory;
  if (!memory) memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  memset(memory, 0, BYTES);
  shoal_spin_max_ = 3;  // what a spin is made of, and not two hundred times that
  options.capacity = CAPACITY, options.element_size = sizeof(struct message);
  options.producers = options.consumers = 6;
  int rc = shoal_queue_place_(memory, BYTES, &options);
  if (rc == 0) rc = shoal_queue_attach_(memory, BYTES, sizeof(struct message), &Q);
  if (rc) crash_fail("making the queue: %d", rc);
  for (uint32_t i = 0; i < before; i++) put(0), get();
  T->taken[0] = 0;
  shoal_queue_leave(Q, SHOAL_CONSUMER);
  for (uint32_t i = 0; i < inside; i++) put_next();
}
// The driver is a producer afterwards: the stream has not ended; and no consumer.
static void make(uint32_t before, uint32_t inside) { make_of((struct shoal_queue_options){0}, before, inside); }
static void detach(void) {
  shoal_queue_detach(Q);
  Q = NULL;
}
static void empty(void) { make(5, 0); }
static void one_inside(void) { make(7, 1); }
static void two_inside(void) { make(7, 2); }
static void part(void) { make(6, 3); }
static void full(void) { make(5, 4); }
static void one_to_drop(void) { make_of((struct shoal_queue_options){.drop = 1}, 7, 1); }

static void join(int side) {
  int rc = shoal_queue_join(Q, side);
  CRASH_EXPECT(rc == 0, "join answered %d", rc);
}
static void producing(void) { join(SHOAL_PRODUCER); }
static void consuming(void) { join(SHOAL_CONSUMER); }
static void not_producing(void) { shoal_queue_leave(Q, SHOAL_PRODUCER); }
static void full_consuming(void) {
  full();
  consuming();
}

// ---- what victims do ----
static void put_within(uint64_t id, shoal_deadline deadline) {
  struct message m = message(id);
  int rc = messages_put(Q, &m, deadline);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "put answered %d", rc);
  if (rc == 0) T->word[ACKNOWLEDGED]++;
}
static void get_within(shoal_deadline deadline) {
  struct message m;
  int rc = messages_get(Q, &m, deadline);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "get answered %d", rc);
  if (rc == 0) took(&m);
}
static void op_put(void) { put_within(MINE, SHOAL_FOREVER); }
static void op_put_another(void) { put_within(MINE + 1, SHOAL_FOREVER); }
static void op_try_put(void) { put_within(MINE, SHOAL_TRY); }
static void op_get(void) { get_within(SHOAL_FOREVER); }
static void op_try_get(void) { get_within(SHOAL_TRY); }
static void op_put_n(void) {
  struct message m[3] = {message(MINE), message(MINE + 1), message(MINE + 2)};
  int n = messages_put_n(Q, m, 3, SHOAL_FOREVER);
  CRASH_EXPECT(n > 0 || n == -EPIPE, "put_n answered %d", n);
  if (n > 0) T->word[ACKNOWLEDGED] += (uint32_t)n;
}
static void op_get_n(void) {
  struct message m[3];
  int n = messages_get_n(Q, m, 3, SHOAL_FOREVER);
  CRASH_EXPECT(n > 0 || n == -EPIPE, "get_n answered %d", n);
  for (int i = 0; i < n; i++) took(&m[i]);
}
static void op_reserve_commit(void) {
  struct shoal_loan loan;
  int rc = shoal_queue_reserve(Q, &loan, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0, "reserve answered %d", rc);
  *(struct message *)loan.data = message(MINE);
  rc = shoal_queue_commit(Q, &loan);
  CRASH_EXPECT(rc == 0, "commit answered %d", rc);
  T->word[ACKNOWLEDGED]++;
}
static void op_reserve_cancel(void) {
  struct shoal_loan loan;
  int rc = shoal_queue_reserve(Q, &loan, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0, "reserve answered %d", rc);
  memset(loan.data, 0x5a, sizeof(struct message));
  rc = shoal_queue_cancel(Q, &loan);
  CRASH_EXPECT(rc == 0, "cancel answered %d", rc);
}
static struct shoal_loan loan;
static void receive(void) {
  int rc = shoal_queue_receive(Q, &loan, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN, "receive answered %d", rc);
  if (rc == 0) T->word[HELD] = (uint32_t)((struct message *)loan.data)->id;
}
static void release(void) {  // done with what it holds, once it has been released
  if (!T->word[HELD]) return;
  struct message m = *(struct message *)loan.data;
  int rc = shoal_queue_release(Q, &loan);
  CRASH_EXPECT(rc == 0, "release answered %d", rc);
  if (rc == 0) took(&m);
}
static void op_receive_release(void) {
  receive();
  release();
}
static void op_return(void) {
  int rc = shoal_queue_return(Q, &loan);
  CRASH_EXPECT(rc == 0, "return answered %d", rc);
}
static void op_close(void) { shoal_queue_close(Q); }
static void op_leave_producing(void) { shoal_queue_leave(Q, SHOAL_PRODUCER); }
static void op_leave_consuming(void) { shoal_queue_leave(Q, SHOAL_CONSUMER); }

// ---- the survivor: takes what is there, then fills and empties the ring ----
static void drain(void) {  // what comes again, a dead one having had it, or given it back, comes out of order
  struct shoal_loan loan;
  uint64_t last = 0;
  for (int rc, idle = 0; idle < 3; idle += rc != 0) {
    rc = shoal_queue_receive(Q, &loan, SHOAL_TRY);
    CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "receive answered %d", rc);
    if (rc) continue;
    struct message m = *(struct message *)loan.data;
    took(&m);
    CRASH_EXPECT(loan.redelivered || m.id > last || m.id == T->word[HELD], "%lu after %lu", m.id, last);
    if (!loan.redelivered) last = m.id;
    rc = shoal_queue_release(Q, &loan);
    CRASH_EXPECT(rc == 0, "release answered %d", rc);
  }
}
static void fill_and_empty(void) {
  for (uint32_t lap = 0; lap < 3; lap++) {
    struct message m = message(200);
    while (messages_put(Q, &m, SHOAL_TRY) == 0 && m.id < 220) m = message(m.id + 1);
    CRASH_EXPECT(m.id == 200 + CAPACITY, "room for %lu only", m.id - 200);
    for (uint64_t id = 200; id < 200 + CAPACITY; id++)
      CRASH_EXPECT(messages_get(Q, &m, SHOAL_TRY) == 0 && m.id == id, "in a lap %lu comes for %lu", m.id, id);
    CRASH_EXPECT(messages_get(Q, &m, SHOAL_TRY) == -EAGAIN, "too many in a lap");
  }
}
static void survive(void) {
  if (!shoal_eventcount_closed(Q->wait.shm)) producing();
  drain();
  CRASH_EXPECT(there() == 0, "%u messages left in the ring", there());
  shoal_role_reap(&Q->wait);
  for (uint32_t role = 1; role <= Q->wait.count[0] + Q->wait.count[1]; role++)
    CRASH_EXPECT(!shoal_role_is_dead(&Q->wait, role), "role %u stays the dead one's", role);
  if (!shoal_eventcount_closed(Q->wait.shm)) fill_and_empty();
}
// All that was in the ring comes out, nothing comes twice.
static void check_but_put(void) {
  uint32_t inside = there(), before = taken();
  crash_survivor(survive);
  for (uint32_t i = 0; i < CRASH_IDS; i++) CRASH_EXPECT(T->taken[i] <= 1, "%u was received %u times", i, T->taken[i]);
  CRASH_EXPECT(taken() == before + inside, "%u in the ring, %u came out", inside, taken() - before);
}
static uint32_t mine_taken(void) { return T->taken[MINE] + T->taken[MINE + 1] + T->taken[MINE + 2]; }
// What put acknowledged has come, or is gone with a consumer that died just then.
static void check(void) {
  check_but_put();
  CRASH_EXPECT(mine_taken() >= T->word[ACKNOWLEDGED], "%u put, %u came", T->word[ACKNOWLEDGED], mine_taken());
}
#define QUEUE(id, text, ...) CRASH_SCENARIO(id, .name = "queue: " text, .cleanup = detach, __VA_ARGS__)
#define NOBODY_ASLEEP(id, text, state, role, what) \
  QUEUE(id, text, .setup = state, .prepare = role, .op = what, .check = check)

NOBODY_ASLEEP(put_empty, "put, empty", empty, producing, op_put);
NOBODY_ASLEEP(put_part, "put, part full", part, producing, op_put);
NOBODY_ASLEEP(put_full, "try to put, full", full_consuming, producing, op_try_put);
NOBODY_ASLEEP(put_first, "put, joining by it", part, NULL, op_put);
NOBODY_ASLEEP(put_n, "put three at once", one_inside, producing, op_put_n);
NOBODY_ASLEEP(get_empty, "try to get, empty", empty, consuming, op_try_get);
NOBODY_ASLEEP(get_one, "get, one inside", one_inside, consuming, op_get);
NOBODY_ASLEEP(get_part, "get, part full", part, consuming, op_get);
NOBODY_ASLEEP(get_full, "get, full", full, consuming, op_get);
NOBODY_ASLEEP(get_first, "get, joining by it", part, NULL, op_get);
NOBODY_ASLEEP(get_n, "get three at once", full, consuming, op_get_n);
NOBODY_ASLEEP(reserve_commit, "reserve and commit", part, producing, op_reserve_commit);
NOBODY_ASLEEP(reserve_cancel, "reserve and cancel", part, producing, op_reserve_cancel);
NOBODY_ASLEEP(receive_release, "receive and release", part, consuming, op_receive_release);
NOBODY_ASLEEP(leave_consuming, "leave with a loan in hand", part, receive, op_leave_consuming);

// The message that a dead one held is dropped: it is lost by order, and nothing else is.
static void check_drop(void) {
  crash_survivor(survive);
  uint64_t dropped = shoal_load64_relaxed(&Q->ring.shm->dropped);
  CRASH_EXPECT(taken() + dropped <= 1, "%u received, %lu dropped", taken(), dropped);
}
QUEUE(drop, "receive and release, a dead one's message is dropped", .setup = one_to_drop, .prepare = consuming,
      .op = op_receive_release, .check = check_drop);
// To leave is no death.
static void check_left(void) {
  check_drop();
  CRASH_EXPECT(!crash_victim_finished() || taken() == 1, "left with the message in hand, and it is gone");
}
QUEUE(leave_drop, "leave with a loan in hand, a dead one's is dropped", .setup = one_to_drop, .prepare = receive,
      .op = op_leave_consuming, .check = check_left);

// The victim's hint comes late and sets the head back; then a position ends without having been received.
static void overtake(void) {
  get();
  put_next();
}
static void refill_with_hole(void) {
  producing();
  while (there() < 3) put_next();
  op_reserve_cancel();
  survive();
}
static void check_hole(void) {
  uint32_t put_so_far = T->word[NEXT];
  crash_kill_victim();
  crash_survivor(refill_with_hole);
  CRASH_EXPECT(taken() >= put_so_far, "%u were put, %u came", put_so_far, taken());
}
QUEUE(hole, "get, overtaken, then a hole", .kind = CRASH_RESUMED, .setup = part, .prepare = consuming, .op = op_get,
      .stopped = overtake, .check = check_hole);
QUEUE(hole_release, "receive and release, overtaken, then a hole", .kind = CRASH_RESUMED, .setup = part,
      .prepare = consuming, .op = op_receive_release, .stopped = overtake, .check = check_hole);

// ---- sleepers ----
static void consumer(int gated) {
  struct message m;
  consuming();
  if (gated) crash_gate();
  while (messages_get(Q, &m, SHOAL_FOREVER) == 0) took(&m);
  __atomic_fetch_add(&T->word[ENDED], 1, __ATOMIC_SEQ_CST);
}
static void producer(int gated) {
  producing();
  if (gated) crash_gate();
  for (uint64_t id = 150;; id++) {
    struct message m = message(id);
    if (messages_put(Q, &m, SHOAL_FOREVER)) break;
    __atomic_fetch_add(&T->word[SENT], 1, __ATOMIC_SEQ_CST);
  }
  __atomic_fetch_add(&T->word[ENDED], 1, __ATOMIC_SEQ_CST);
}
static void idle_producer(int i) {
  (void)i;
  producing();
  T->word[SENT] = 1;
}
static void asleep(void (*body)(int), int n) {
  for (int i = 0; i < n; i++) crash_asleep(crash_actor(body, 0));
}
static void gated(void (*body)(int), uint32_t n) {
  for (uint32_t i = 0; i < n; i++) crash_actor(body, 1);
  crash_at_gate(n);
}
static void open_gate(void) {
  crash_open_gate();
  crash_all_asleep();
}

// Consumers sleep; the ring is empty. Whatever the victim did, messages that are there are taken, and later ones too.
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
static void empty_one_asleep(void) {
  empty();
  asleep(consumer, 1);
}
static void empty_two_asleep(void) {
  empty();
  asleep(consumer, 2);
}
static void empty_two_gated(void) {
  empty();
  gated(consumer, 2);
}
#define WAKES(id, text, state, role, what) \
  QUEUE(id, text, .setup = state, .prepare = role, .ready = crash_all_asleep, .op = what, .check = consumers_go_on)

WAKES(wake_one, "put, one asleep", empty_one_asleep, producing, op_put);
WAKES(wake_two, "put, two asleep", empty_two_asleep, producing, op_put);
WAKES(wake_first, "put, joining by it, two asleep", empty_two_asleep, NULL, op_put);
WAKES(wake_n, "put three at once, two asleep", empty_two_asleep, producing, op_put_n);
WAKES(wake_commit, "reserve and commit, two asleep", empty_two_asleep, producing, op_reserve_commit);
WAKES(wake_join, "join, two asleep", empty_two_asleep, NULL, producing);
WAKES(wake_leave, "leave of a producer, two asleep", empty_two_asleep, producing, op_leave_producing);

// Sleepers that take one message and then do something else: each message needs a wake of its own.
static void takes_one(int i) {
  (void)i;
  consuming();
  op_get();
}
static void empty_three_take_one(void) {
  empty();
  asleep(takes_one, 3);
}
static void each_taken(void) {
  CRASH_UNTIL(there() == 0 || crash_all_finished(), "%u messages left beside sleeping consumers", there());
}
QUEUE(once_n, "put three at once, three asleep that take one each", .setup = empty_three_take_one, .prepare = producing,
      .ready = crash_all_asleep, .op = op_put_n, .check = each_taken);

// Two more puts overtake the victim's while it stands; they lie behind its claim until it is dead.
static void put_two(void) {
  put_next();
  put_next();
}
QUEUE(overtaken, "put, overtaken by two, two asleep", .setup = empty_two_asleep, .prepare = producing,
      .ready = crash_all_asleep, .op = op_put, .stopped = put_two, .check = consumers_go_on);
QUEUE(overtaken_once, "put, overtaken by two, goes on, three asleep that take one each", .kind = CRASH_RESUMED,
      .setup = empty_three_take_one, .prepare = producing, .ready = crash_all_asleep, .op = op_put, .stopped = put_two,
      .check = each_taken);
QUEUE(overtaken_once_dies, "put, overtaken by two, three asleep that take one each", .setup = empty_three_take_one,
      .prepare = producing, .ready = crash_all_asleep, .op = op_put, .stopped = put_two, .check = each_taken);
QUEUE(overtaken_cancel, "reserve and cancel, overtaken by two, two asleep", .setup = empty_two_asleep,
      .prepare = producing, .ready = crash_all_asleep, .op = op_reserve_cancel, .stopped = put_two,
      .check = consumers_go_on);
QUEUE(overtaken_resumed, "put, overtaken by two, goes on", .kind = CRASH_RESUMED, .setup = empty_two_asleep,
      .prepare = producing, .ready = crash_all_asleep, .op = op_put, .stopped = put_two, .check = consumers_go_on);

// The victim sleeps for a message. First in line: it gets the wake, the others sleep behind it.
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
    crash_all_asleep();  // again, behind the victim: awake, they would take what is to wake it
  }
  T->word[TURN] = 1;
  put_next();
}
QUEUE(get_first_in_line, "get, asleep before two others", .setup = empty_two_gated, .prepare = consuming, .op = op_get,
      .asleep = first_in_line, .check = first_in_line_died);
QUEUE(get_last_in_line, "get, asleep behind two others", .setup = empty_two_asleep, .prepare = consuming,
      .ready = crash_all_asleep, .op = op_get, .asleep = last_in_line, .check = consumers_go_on);

// The victim holds a message while another consumer sleeps for it.
static void one_more_consumer(void) { asleep(consumer, 1); }
static void handed_on(void) {
  CRASH_UNTIL(there() == 0, "the message of the dead is left beside a sleeping consumer");
  consumers_go_on();
}
QUEUE(loan_release, "receive and release, another asleep meanwhile", .setup = one_inside, .prepare = consuming,
      .op = op_receive_release, .stopped = one_more_consumer, .check = handed_on);
QUEUE(loan_return, "return, another asleep", .setup = one_inside, .prepare = receive, .ready = one_more_consumer,
      .op = op_return, .check = handed_on);
QUEUE(loan_leave, "leave with a loan in hand, another asleep", .setup = one_inside, .prepare = receive,
      .ready = one_more_consumer, .op = op_leave_consuming, .check = handed_on);

// ---- the end of the stream ----
static void all_told(uint32_t n) {
  CRASH_UNTIL(T->word[ENDED] == n, "%u of %u are told of the end", T->word[ENDED], n);
}
static void empty_three_asleep(void) {
  empty();
  asleep(consumer, 3);
}
static void closed_or_not(void) {
  if (shoal_eventcount_closed(Q->wait.shm)) {
    all_told(3);
    return;
  }
  consumers_go_on();
  shoal_queue_close(Q);
  all_told(3);
}
QUEUE(close_getters, "close, three consumers asleep", .setup = empty_three_asleep, .ready = crash_all_asleep,
      .op = op_close, .check = closed_or_not);

static void full_two_putters(void) {
  full_consuming();
  asleep(producer, 2);
}
static void putters_closed_or_not(void) {
  if (!shoal_eventcount_closed(Q->wait.shm)) shoal_queue_close(Q);
  all_told(2);
}
QUEUE(close_putters, "close, two producers asleep", .setup = full_two_putters, .ready = crash_all_asleep,
      .op = op_close, .check = putters_closed_or_not);

static void two_consumers(void) { asleep(consumer, 2); }
static void empty_not_producing(void) {
  empty();
  not_producing();
}
static void two_told(void) { all_told(2); }
QUEUE(end_leave, "the last producer leaves, two consumers asleep", .setup = empty_not_producing, .prepare = producing,
      .ready = two_consumers, .op = op_leave_producing, .check = two_told);

// The last producer puts, and dies in it: its message, if it is there, comes first.
static void last_put_told(void) {
  two_told();
  CRASH_EXPECT(there() == 0, "told of the end beside a message");
  CRASH_EXPECT(mine_taken() >= T->word[ACKNOWLEDGED], "%u put, %u came", T->word[ACKNOWLEDGED], mine_taken());
}
QUEUE(end_put, "the last producer puts, two consumers asleep", .setup = empty_not_producing, .prepare = producing,
      .ready = two_consumers, .op = op_put, .check = last_put_told);

// The last producer dies while all sleep; the victim is the one whom the kernel wakes.
static void a_producer_two_gated(void) {
  empty_not_producing();
  crash_actor(idle_producer, 0);
  CRASH_UNTIL(T->word[SENT], "the producer does not join");
  gated(consumer, 2);
}
static void last_producer_dies(void) {
  if (!T->gate) open_gate();
  crash_kill(0);
}
static void end_told(void) {
  last_producer_dies();
  all_told(2);
}
QUEUE(end_death, "the last producer dies, the victim is told first", .setup = a_producer_two_gated,
      .prepare = consuming, .op = op_get, .asleep = last_producer_dies, .check = end_told);

// The last consumer dies: producers that sleep for room are told.
static void full_not_consuming(void) { full(); }
QUEUE(end_consumer, "the last consumer receives and releases, two producers asleep", .setup = full_not_consuming,
      .prepare = consuming, .ready = NULL, .op = op_receive_release, .check = check);

// ---- asleep for room ----
static void producers_go_on(void) {
  CRASH_UNTIL(!can_put(), "a free place beside a sleeping producer");
  crash_all_asleep();
  for (int i = 0; i < 3; i++) {
    uint32_t before = T->word[SENT];
    get();
    CRASH_UNTIL(T->word[SENT] > before || !can_put(), "a producer sleeps beside a free place");
    crash_all_asleep();
  }
  CRASH_EXPECT(T->word[SENT] > 0, "no producer got on");
}
static void full_one_gated(void) {
  full_consuming();
  gated(producer, 1);
}
static void full_one_asleep(void) {
  full_consuming();
  asleep(producer, 1);
}
static void first_for_room(void) {
  if (!T->gate) open_gate();
  get();
}
static void first_for_room_died(void) {
  if (!T->gate) open_gate();
  producers_go_on();
}
static void last_for_room(void) {
  uint32_t before = T->word[SENT];
  get();
  if (!T->word[TURN]) {
    CRASH_UNTIL(T->word[SENT] > before, "the one that slept before does not put");
    crash_all_asleep();
    get();
  }
  T->word[TURN] = 1;
}
QUEUE(put_first_in_line, "put, asleep for room before another", .setup = full_one_gated, .prepare = producing,
      .op = op_put, .asleep = first_for_room, .check = first_for_room_died);
QUEUE(put_last_in_line, "put, asleep for room behind another", .setup = full_one_asleep, .prepare = producing,
      .ready = crash_all_asleep, .op = op_put, .asleep = last_for_room, .check = producers_go_on);
QUEUE(room_get, "get, two producers asleep", .setup = full_two_putters, .prepare = consuming, .ready = crash_all_asleep,
      .op = op_get, .check = producers_go_on);
QUEUE(room_release, "receive and release, two producers asleep", .setup = full_two_putters, .prepare = consuming,
      .ready = crash_all_asleep, .op = op_receive_release, .check = producers_go_on);
QUEUE(room_get_n, "get three at once, two producers asleep", .setup = full_two_putters, .prepare = consuming,
      .ready = crash_all_asleep, .op = op_get_n, .check = producers_go_on);

// The oldest place is freed after younger ones: all become free at once, and each is somebody's.
static void puts_one(int i) {
  producing();
  put_within(160 + (uint64_t)i, SHOAL_FOREVER);
}
static void full_three_put_one(void) {
  full_consuming();
  for (int i = 0; i < 3; i++) crash_asleep(crash_actor(puts_one, i));
}
static void get_two(void) {
  get();
  get();
  crash_all_asleep_or_finished();
}
static void each_put(void) { CRASH_UNTIL(!can_put() || crash_all_finished(), "a producer sleeps beside a free place"); }
QUEUE(room_overtaken, "get, overtaken by two, goes on, three asleep that put one each", .kind = CRASH_RESUMED,
      .setup = full_three_put_one, .prepare = consuming, .ready = crash_all_asleep, .op = op_get, .stopped = get_two,
      .check = each_put);
QUEUE(room_overtaken_release, "receive and release, overtaken by two, goes on, three asleep that put one each",
      .kind = CRASH_RESUMED, .setup = full_three_put_one, .prepare = consuming, .ready = crash_all_asleep,
      .op = op_receive_release, .stopped = get_two, .check = each_put);
QUEUE(room_overtaken_dies, "get, overtaken by two, three asleep that put one each", .setup = full_three_put_one,
      .prepare = consuming, .ready = crash_all_asleep, .op = op_get, .stopped = get_two, .check = each_put);

// The ring is full but for the victim's put, which is under way in the oldest place; another sleeps behind it; the last
// consumer dies.
static void idle_consumer(int i) {
  (void)i;
  consuming();
  T->word[SENT] = 1;
}
static void empty_idle_consumer(void) {
  empty();
  crash_actor(idle_consumer, 0);
  CRASH_UNTIL(T->word[SENT], "the consumer does not join");
}
static void last_consumer_dies(void) {
  put_two();
  put_next();
  crash_actor(puts_one, 0);
  crash_all_asleep_or_finished();
  crash_kill(0);
  crash_all_asleep_or_finished();
}
static void putters_told(void) {
  CRASH_UNTIL(crash_all_finished(), "a producer sleeps, the queue is full, and no consumer is left");
}
QUEUE(end_full, "put into the oldest place, the last consumer dies, goes on", .kind = CRASH_RESUMED,
      .setup = empty_idle_consumer, .prepare = producing, .op = op_put, .stopped = last_consumer_dies,
      .check = putters_told);
QUEUE(end_full_dies, "put into the oldest place, the last consumer dies", .setup = empty_idle_consumer,
      .prepare = producing, .op = op_put, .stopped = last_consumer_dies, .check = putters_told);

// ---- pairs ----
#define PAIR(id, text, state, role, what, role2, what2)                                                        \
  QUEUE(id, "pair, " text, .kind = CRASH_PAIR, .setup = state, .prepare = role, .op = what, .prepare2 = role2, \
        .op2 = what2, .check = check_but_put)
PAIR(pair_put_get, "put, then get", empty, producing, op_put, consuming, op_try_get);
PAIR(pair_get_get, "get, then get", two_inside, consuming, op_get, consuming, op_try_get);
PAIR(pair_get_put, "get from a full one, then put", full, consuming, op_get, producing, op_try_put);
PAIR(pair_loans, "receive and release, twice", two_inside, consuming, op_receive_release, consuming,
     op_receive_release);
PAIR(pair_put_put, "put, then put", part, producing, op_put, producing, op_try_put);

// A dead one's message in hand: the reaper dies, then the reaper's reaper.
static void a_dead_loan(void) {
  two_inside();
  crash_survivor(receive);  // and is killed
}
PAIR(pair_reapers, "two reapers of a dead consumer", a_dead_loan, consuming, op_try_get, consuming, op_try_get);

// ---- one stopped, another killed, the stopped one goes on ----
#define STALLED(id, text, state, role, what, role2, what2, ...)                                                      \
  QUEUE(id, "stopped, " text, .kind = CRASH_STALLED, .setup = state, .prepare = role, .op = what, .prepare2 = role2, \
        .op2 = what2, __VA_ARGS__)
STALLED(stalled_put_get, "a put; a get dies", one_inside, producing, op_put, consuming, op_try_get,
        .check = check_but_put);
STALLED(stalled_get_get, "a get; a get dies", two_inside, consuming, op_get, consuming, op_try_get, .check = check);
STALLED(stalled_loan, "a receive; a get dies", two_inside, consuming, op_receive_release, consuming, op_try_get,
        .check = check);

// A consumer is stopped on its way to sleep, and nobody else is there: only the put that dies can wake it.
static void a_message_comes(void) {
  CRASH_UNTIL(there() == 0 || crash_victim_finished(), "a message is left, and the consumer sleeps");
  if (!crash_victim_finished()) put_next();
}
STALLED(sleeper_put, "a get on its way to sleep; a put dies", empty, consuming, op_get, producing, op_put_another,
        .asleep = put_next, .resumed = a_message_comes, .prepared_both = 1, .times = 5);
static void closed_or_a_message(void) {
  if (!shoal_eventcount_closed(Q->wait.shm)) a_message_comes();
}
STALLED(sleeper_close, "a get on its way to sleep; a close dies", empty, consuming, op_get, NULL, op_close,
        .asleep = put_next, .resumed = closed_or_a_message, .prepared_both = 1, .times = 5);
