// ipc/queue/queue_policy. Claims: what is dropped to make room, cleared, peeked at, leased or finished by a victim is received once, or
// was dropped by it; the ring keeps its capacity; nobody sleeps beside what a dropping, peeking or closing victim has left.
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "ipc/queue/queue.h"
#include "tests/crash/crash.h"

#define CAPACITY 4u
#define BYTES (16u * 1024)
#define MINE 100u  // the message that the victim puts

struct message {
  uint64_t id, not_id;
};
SHOAL_QUEUE_TYPED(messages, struct message)

enum { ENDED, SENT, NEXT, ACKNOWLEDGED, DROPS, HELD };  // T->word

static struct shoal_queue *Q;

static uint32_t slots_in(uint32_t a, uint32_t b) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < CAPACITY; i++) {
    uint32_t state = shoal_slot_state_(shoal_load64_relaxed(shoal_mpmc_at(&Q->ring, i, Q->ring.stride).ctl));
    n += state == a || state == b;
  }
  return n;
}
static uint32_t there(void) { return slots_in(SHOAL_SLOT_FULL_, SHOAL_SLOT_READING_); }
static int can_put(void) { return shoal_mpmc_blocker(&Q->ring, SHOAL_PRODUCER) == SHOAL_BLOCKER_NONE; }

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
static uint32_t taken(void) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < CRASH_IDS; i++) n += T->taken[i];
  return n;
}
static void join(int side) {
  int rc = shoal_queue_join(Q, side);
  CRASH_EXPECT(rc == 0, "join answered %d", rc);
}
static void producing(void) { join(SHOAL_PRODUCER); }
static void consuming(void) { join(SHOAL_CONSUMER); }

// The driver is a producer afterwards, and no consumer.
static void make(struct shoal_queue_options options, uint32_t inside) {
  static void *memory;
  if (!memory) memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  memset(memory, 0, BYTES);
  shoal_spin_max_ = 3;
  options.capacity = CAPACITY, options.element_size = sizeof(struct message);
  options.producers = options.consumers = 6;
  int rc = shoal_queue_place_(memory, BYTES, &options);
  if (rc == 0) rc = shoal_queue_attach_(memory, BYTES, sizeof(struct message), &Q);
  if (rc) crash_fail("making the queue: %d", rc);
  producing();
  for (uint32_t i = 0; i < inside; i++) put_next();
}
static void detach(void) {
  shoal_queue_detach(Q);
  Q = NULL;
}
#define POLICY(id, text, ...) CRASH_SCENARIO(id, .name = "policy: " text, .cleanup = detach, __VA_ARGS__)

// ---- the survivor: takes what is there, then fills and empties the ring ----
static void drain(void) {
  struct message m;
  for (int rc, idle = 0; idle < 3; idle += rc != 0) {
    rc = messages_get(Q, &m, SHOAL_TRY);
    CRASH_EXPECT(rc == 0 || rc == -EAGAIN, "get answered %d", rc);
    if (rc == 0) took(&m);
  }
  CRASH_EXPECT(there() == 0, "%u messages left in the ring", there());
}
static void fill_and_empty(void) {
  for (uint32_t lap = 0; lap < 3; lap++) {
    struct message m = message(200);
    while (can_put() && messages_put(Q, &m, SHOAL_TRY) == 0 && m.id < 220) m = message(m.id + 1);
    CRASH_EXPECT(m.id == 200 + CAPACITY, "room for %lu only", m.id - 200);
    for (uint64_t id = 200; id < 200 + CAPACITY; id++)
      CRASH_EXPECT(messages_get(Q, &m, SHOAL_TRY) == 0 && m.id == id, "in a lap %lu comes for %lu", m.id, id);
    CRASH_EXPECT(messages_get(Q, &m, SHOAL_TRY) == -EAGAIN, "too many in a lap");
  }
}
static void survive(void) {
  producing();
  drain();
  shoal_role_reap(&Q->wait);
  fill_and_empty();
}
static void once(void) {
  for (uint32_t i = 0; i < CRASH_IDS; i++) CRASH_EXPECT(T->taken[i] <= 1, "%u was received %u times", i, T->taken[i]);
}

// ---- room is made ----
static void full_drops_oldest(void) { make((struct shoal_queue_options){.overflow = SHOAL_OVERFLOW_DROP_OLDEST}, 4); }
static void full_drops_newest(void) { make((struct shoal_queue_options){.overflow = SHOAL_OVERFLOW_DROP_NEWEST}, 4); }
static void op_put(void) {
  struct message m = message(MINE);
  int rc = messages_put(Q, &m, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0, "put answered %d", rc);
  if (rc == 0) T->word[ACKNOWLEDGED]++;
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
static void op_put_dropped(void) {
  struct message m = message(MINE);
  int rc = messages_put(Q, &m, SHOAL_FOREVER);
  CRASH_EXPECT(rc == SHOAL_DROPPED, "put answered %d", rc);
}
// One at most is gone, and it was the oldest.
static void check_oldest(void) {
  uint32_t inside = there();
  crash_survivor(survive);
  once();
  CRASH_EXPECT(taken() == inside && inside >= CAPACITY - 1, "%u in the ring, %u came out", inside, taken());
  CRASH_EXPECT(T->taken[MINE] >= T->word[ACKNOWLEDGED], "put, and not received");
  for (uint32_t id = 2; id <= 4; id++) CRASH_EXPECT(T->taken[id] == 1, "%u, not the oldest, was dropped", id);
}
static void check_all_there(void) {
  crash_survivor(survive);
  once();
  CRASH_EXPECT(taken() == 4 && !T->taken[MINE], "%u came out of four", taken());
}
POLICY(drop_oldest, "put, full, the oldest goes", .setup = full_drops_oldest, .prepare = producing, .op = op_put,
       .check = check_oldest);
POLICY(drop_oldest_reserve, "reserve and commit, full, the oldest goes", .setup = full_drops_oldest,
       .prepare = producing, .op = op_reserve_commit, .check = check_oldest);
POLICY(drop_newest, "put, full, the newest goes", .setup = full_drops_newest, .prepare = producing,
       .op = op_put_dropped, .check = check_all_there);

// Another makes room meanwhile, unless the oldest is in the victim's hand.
static void put_one_more(void) {
  struct message m = message(5);
  int rc = messages_put(Q, &m, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN, "put answered %d", rc);
  if (rc == 0) T->word[SENT]++;
}
static void check_overtaken(void) {
  crash_survivor(survive);
  once();
  CRASH_EXPECT(T->taken[5] == T->word[SENT], "put %u, and %u came", T->word[SENT], T->taken[5]);
  CRASH_EXPECT(T->taken[3] && T->taken[4], "not the oldest was dropped");
}
POLICY(drop_overtaken, "put, full, the oldest goes, overtaken", .setup = full_drops_oldest, .prepare = producing,
       .op = op_put, .stopped = put_one_more, .check = check_overtaken);
static void check_overtaken_resumed(void) {
  check_overtaken();
  CRASH_EXPECT(T->taken[MINE] == 1, "put, and not received");
}
POLICY(drop_overtaken_resumed, "put, full, the oldest goes, overtaken, goes on", .kind = CRASH_RESUMED,
       .setup = full_drops_oldest, .prepare = producing, .op = op_put, .stopped = put_one_more,
       .check = check_overtaken_resumed);

static void op_get(void) {
  struct message m;
  int rc = messages_get(Q, &m, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN, "get answered %d", rc);
  if (rc == 0) took(&m);
}
static void check_gets(void) {
  uint32_t inside = there(), before = taken();
  crash_survivor(survive);
  once();
  CRASH_EXPECT(taken() == before + inside, "%u in the ring, %u came out", inside, taken() - before);
}
POLICY(drop_pair, "pair, put, full, the oldest goes, then get", .kind = CRASH_PAIR, .setup = full_drops_oldest,
       .prepare = producing, .op = op_put, .prepare2 = consuming, .op2 = op_get, .check = check_gets);

// ---- clear ----
static void part(void) { make((struct shoal_queue_options){0}, 3); }
static void full(void) { make((struct shoal_queue_options){0}, 4); }
static void op_clear(void) {
  int rc = shoal_queue_clear(Q);
  CRASH_EXPECT(rc >= 3, "clear answered %d", rc);
}
static void check_cleared(void) {
  uint32_t inside = there();
  crash_survivor(survive);
  once();
  CRASH_EXPECT(taken() == inside, "%u in the ring, %u came out", inside, taken());
  CRASH_EXPECT(!crash_victim_finished() || taken() == 0, "cleared, and %u came out", taken());
}
POLICY(clear, "clear, part full", .setup = part, .prepare = consuming, .op = op_clear, .check = check_cleared);

static void producer(int i) {
  (void)i;
  producing();
  for (uint64_t id = 150;; id++) {
    struct message m = message(id);
    if (messages_put(Q, &m, SHOAL_FOREVER)) break;
    __atomic_fetch_add(&T->word[SENT], 1, __ATOMIC_SEQ_CST);
  }
}
static void full_two_putters(void) {
  full();
  consuming();
  for (int i = 0; i < 2; i++) crash_asleep(crash_actor(producer, 0));
}
static void no_room_left(void) { CRASH_UNTIL(!can_put(), "a free place beside a sleeping producer"); }
POLICY(clear_room, "clear, two producers asleep", .setup = full_two_putters, .prepare = consuming,
       .ready = crash_all_asleep, .op = op_clear, .check = no_room_left);

// ---- peek ----
static void op_peek(void) {
  struct message m;
  int rc = messages_peek(Q, &m, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0 && m.not_id == ~m.id, "peek answered %d", rc);
}
static void check_peeked(void) {
  crash_survivor(survive);
  once();
  CRASH_EXPECT(taken() == 3, "%u came out of three", taken());
}
POLICY(peek, "peek, part full", .setup = part, .prepare = consuming, .op = op_peek, .check = check_peeked);

static void empty(void) { make((struct shoal_queue_options){0}, 0); }
static void consumer(int i) {
  struct message m;
  consuming();
  if (i) crash_gate();
  while (messages_get(Q, &m, SHOAL_FOREVER) == 0) took(&m);
  __atomic_fetch_add(&T->word[ENDED], 1, __ATOMIC_SEQ_CST);
}
static void empty_one_gated(void) {
  empty();
  crash_actor(consumer, 1);
  crash_at_gate(1);
}
static void open_gate(void) {
  if (T->gate) return;
  crash_open_gate();
  crash_all_asleep();
}
// The victim is first in line, and takes nothing.
static void peeker_first_in_line(void) {
  open_gate();
  put_next();
}
static void taken_all_the_same(void) {
  open_gate();
  CRASH_UNTIL(there() == 0, "a message is left beside a sleeping consumer");
  crash_all_asleep_or_finished();
  put_next();
  CRASH_UNTIL(there() == 0, "the next message is left beside a sleeping consumer");
}
POLICY(peek_asleep, "peek, asleep before another that gets", .setup = empty_one_gated, .prepare = consuming,
       .op = op_peek, .asleep = peeker_first_in_line, .check = taken_all_the_same);
// ---- closed, and open again ----
static void one_inside_closed(void) {
  make((struct shoal_queue_options){0}, 1);
  shoal_queue_close(Q);
}
static void op_reopen(void) { CRASH_EXPECT(shoal_queue_reopen(Q) == 0, "it was closed"); }
static void check_reopened(void) {
  if (shoal_eventcount_closed(Q->wait.shm)) shoal_queue_reopen(Q);
  crash_survivor(survive);
  once();
  CRASH_EXPECT(taken() == 1, "%u came out of one", taken());
}
POLICY(reopen, "reopen, one inside", .setup = one_inside_closed, .op = op_reopen, .check = check_reopened);

// A consumer sleeps in the closed queue, for what another holds.
static void holder(int i) {
  struct shoal_loan loan;
  (void)i;
  int rc = shoal_queue_receive(Q, &loan, SHOAL_TRY);
  CRASH_EXPECT(rc == 0, "receive answered %d", rc);
}
static void held_and_closed(void) {
  make((struct shoal_queue_options){0}, 1);
  crash_actor(holder, 0);
  CRASH_UNTIL(crash_finished(0), "nobody holds it");
  crash_asleep(crash_actor(consumer, 0));
  shoal_queue_close(Q);
  crash_all_asleep();
}
static void opened_for_sleepers(void) {
  if (shoal_eventcount_closed(Q->wait.shm)) shoal_queue_reopen(Q);
  crash_all_asleep();
  CRASH_EXPECT(T->word[ENDED] == 0, "told of the end while another held a message");
  put_next();
  CRASH_UNTIL(T->taken[2] == 1, "a message is left beside a sleeping consumer");
  crash_kill(0);
  CRASH_UNTIL(T->taken[1] == 1, "a dead one's message is left");
}
POLICY(reopen_asleep, "reopen, one asleep for what another holds", .setup = held_and_closed, .op = op_reopen,
       .check = opened_for_sleepers);

// ---- joinable ----
enum { JOINED = 10 };  // T->word
static void joinable_two(void) { make((struct shoal_queue_options){.joinable = 1}, 2); }
static void joiner(int i) {
  (void)i;
  int rc = shoal_queue_join_tasks(Q, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0, "join answered %d", rc);
  uint32_t left = slots_in(SHOAL_SLOT_FULL_, SHOAL_SLOT_READING_);
  CRASH_EXPECT(left == 0, "joined beside %u unfinished", left);
  __atomic_fetch_add(&T->word[JOINED], 1, __ATOMIC_SEQ_CST);
}
static void get_one(void) {
  struct message m;
  int rc = messages_get(Q, &m, SHOAL_TRY);
  CRASH_EXPECT(rc == 0, "get answered %d", rc);
  T->word[HELD] = (uint32_t)m.id;
}
static void task_done(void) {
  int rc = shoal_queue_task_done(Q);
  CRASH_EXPECT(rc == 0, "task_done answered %d", rc);
}
static void op_get_done(void) {
  get_one();
  task_done();
}
static void finish_all(void) {
  struct message m;
  consuming();
  for (int rc, idle = 0; idle < 3; idle += rc != 0) {
    rc = messages_get(Q, &m, SHOAL_TRY);
    if (rc == 0) took(&m), task_done();
  }
}
static void two_joiners(void) {
  consuming();  // the driver: somebody is left
  for (int i = 0; i < 2; i++) crash_asleep(crash_actor(joiner, 0));
}
// Whatever is left is finished by a survivor: then, and not before, the joiners are told.
static void joined(void) {
  if (there()) {
    crash_all_asleep();
    CRASH_EXPECT(T->word[JOINED] == 0 || !there(), "joined beside %u unfinished", there());
    crash_survivor(finish_all);
  }
  once();
  CRASH_UNTIL(T->word[JOINED] == 2, "%u of 2 are told that all is done", T->word[JOINED]);
}
static void leave_consuming(void) { shoal_queue_leave(Q, SHOAL_CONSUMER); }
POLICY(task_done, "task_done, two joiners asleep", .setup = joinable_two, .prepare = get_one, .ready = two_joiners,
       .op = task_done, .check = joined);
static void joinable_one(void) { make((struct shoal_queue_options){.joinable = 1}, 1); }
POLICY(last_done, "the last task_done, two joiners asleep", .setup = joinable_one, .prepare = get_one,
       .ready = two_joiners, .op = task_done, .check = joined);
POLICY(last_done_resumed, "the last task_done, goes on, two joiners asleep", .kind = CRASH_RESUMED,
       .setup = joinable_one, .prepare = get_one, .ready = two_joiners, .op = task_done, .check = joined);
POLICY(get_done, "get and task_done, two joiners asleep", .setup = joinable_one, .prepare = consuming,
       .ready = two_joiners, .op = op_get_done, .check = joined);
POLICY(leave_unfinished, "leave with one unfinished, two joiners asleep", .setup = joinable_one, .prepare = get_one,
       .ready = two_joiners, .op = leave_consuming, .check = joined);

// The victim joins, asleep before another; who wakes them is the last task_done of another process.
static void one_more_joins(int i) {
  crash_gate();
  joiner(i);
}
static void joinable_one_gated(void) {
  joinable_one();
  consuming();
  crash_actor(one_more_joins, 0);
  crash_at_gate(1);
}
static void op_join(void) {
  int rc = shoal_queue_join_tasks(Q, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0, "join answered %d", rc);
}
static void finish_for_the_first(void) {
  open_gate();
  crash_survivor(finish_all);
}
static void other_joined(void) {
  finish_for_the_first();
  CRASH_UNTIL(T->word[JOINED] == 1, "the other joiner is not told");
  once();
}
POLICY(join_asleep, "join, asleep before another", .setup = joinable_one_gated, .op = op_join,
       .asleep = finish_for_the_first, .check = other_joined);

// A consumer dies with one unfinished: who joins, and who gets, are told.
static void consumes_and_finishes(int i) {
  struct message m;
  (void)i;
  consuming();
  while (messages_get(Q, &m, SHOAL_FOREVER) == 0) took(&m), task_done();
}
static void a_consumer_and_a_joiner(void) {
  crash_asleep(crash_actor(consumes_and_finishes, 0));
  crash_asleep(crash_actor(joiner, 0));
}
static void taken_and_joined(void) {
  CRASH_UNTIL(T->word[JOINED] == 1, "the joiner is not told: %u unfinished", there());
  once();
}
POLICY(done_handed_on, "task_done, a consumer and a joiner asleep", .setup = joinable_one, .prepare = get_one,
       .ready = a_consumer_and_a_joiner, .op = task_done, .check = taken_and_joined);

// ---- leases: of an hour, and the clock is set forward ----
#define HOUR UINT64_C(3600000000000)
static struct shoal_loan loan;
static void leased(uint32_t inside) { make((struct shoal_queue_options){.lease_ns = HOUR / 2}, inside); }
static void leased_two(void) { leased(2); }
static void receive(void) {
  int rc = shoal_queue_receive(Q, &loan, SHOAL_TRY);
  CRASH_EXPECT(rc == 0, "receive answered %d", rc);
}
// Released, it is done with; else another has it, or will.
static void release(void) {
  struct message m = *(struct message *)loan.data;
  int rc = shoal_queue_release(Q, &loan);
  CRASH_EXPECT(rc == 0 || rc == -ETIMEDOUT, "release answered %d", rc);
  if (rc == 0) took(&m);
}
static void op_receive_release(void) {
  receive();
  release();
}
static void op_try_receive_release(void) {
  int rc = shoal_queue_receive(Q, &loan, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN, "receive answered %d", rc);
  if (rc == 0) release();
}
static void op_extend_release(void) {
  int rc = shoal_queue_extend(Q, &loan);
  CRASH_EXPECT(rc == 0 || rc == -ETIMEDOUT, "extend answered %d", rc);
  release();
}
static void release_all(void) {
  for (int rc, idle = 0; idle < 3; idle += rc != 0) {
    rc = shoal_queue_receive(Q, &loan, SHOAL_TRY);
    CRASH_EXPECT(rc == 0 || rc == -EAGAIN, "receive answered %d", rc);
    if (rc == 0) release();
  }
}
static void time_passes(void) {
  T->late++;
  crash_survivor(release_all);
  T->late++;  // of those that were told of their hour only now
  crash_survivor(release_all);
}
static void each_released_once(void) {
  time_passes();
  once();
  CRASH_EXPECT(taken() == 2, "%u released of two", taken());
  crash_kill_victim();
  crash_survivor(survive);
  once();
}
POLICY(lease_resumed, "receive and release, its time runs out, goes on", .kind = CRASH_RESUMED, .setup = leased_two,
       .prepare = consuming, .op = op_try_receive_release, .stopped = time_passes, .check = each_released_once);
POLICY(extend_resumed, "extend and release, its time runs out, goes on", .kind = CRASH_RESUMED, .setup = leased_two,
       .prepare = receive, .op = op_extend_release, .stopped = time_passes, .check = each_released_once);

// Released by the dead, or by who comes later.
static void check_leased(void) {
  uint32_t before = taken(), inside = there();
  time_passes();
  once();
  CRASH_EXPECT(taken() == before + inside, "%u in the ring, %u were released", inside, taken() - before);
  crash_survivor(survive);
}
POLICY(lease, "receive and release, leased", .setup = leased_two, .prepare = consuming, .op = op_receive_release,
       .check = check_leased);
POLICY(extend, "extend and release, leased", .setup = leased_two, .prepare = receive, .op = op_extend_release,
       .check = check_leased);

// A holder lives, and does nothing: the victim takes its message back.
static void holder_lives(int i) {
  (void)i;
  receive();
}
static void held_too_long(void) {
  leased(1);
  crash_actor(holder_lives, 0);
  CRASH_UNTIL(crash_finished(0), "nobody holds it");
  T->late++;
}
POLICY(take_back, "take back and release", .setup = held_too_long, .prepare = consuming, .op = op_receive_release,
       .check = check_leased);
POLICY(take_back_pair, "pair, take back and release, twice", .kind = CRASH_PAIR, .setup = held_too_long,
       .prepare = consuming, .op = op_receive_release, .prepare2 = consuming, .op2 = op_try_receive_release,
       .check = check_leased);
POLICY(take_back_stalled, "stopped, take back and release; another dies in it", .kind = CRASH_STALLED,
       .setup = held_too_long, .prepare = consuming, .op = op_try_receive_release, .prepare2 = consuming,
       .op2 = op_try_receive_release, .check = check_leased);

// The victim sleeps when the time runs out, before another: whichever wakes by its timer has the message.
static void op_get_leased(void) {
  struct message m;
  int rc = messages_get(Q, &m, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0, "get answered %d", rc);
}
static void takes_one(int i) {
  (void)i;
  struct message m;
  consuming();
  crash_gate();
  if (messages_get(Q, &m, SHOAL_FOREVER) == 0) took(&m);
}
static void held_one_gated(void) {
  leased(1);
  crash_actor(holder_lives, 0);
  CRASH_UNTIL(crash_finished(0), "nobody holds it");
  crash_actor(takes_one, 0);
  crash_at_gate(1);
}
static void the_time_runs_out(void) {
  open_gate();
  if (!there()) put_next();  // the other was faster, and takes no more
  crash_deadline_passes(&Q->wait.shm->ev[SHOAL_CONSUMER]);
}
static void taken_by_the_other(void) {
  the_time_runs_out();
  CRASH_UNTIL(there() == 0 || crash_all_finished(), "what a sleeping holder has is not delivered again");
}
POLICY(due, "get, asleep until a lease runs out, before another", .setup = held_one_gated, .prepare = consuming,
       .op = op_get_leased, .asleep = the_time_runs_out, .check = taken_by_the_other);

// ---- dead letters ----
static struct shoal_queue *D;
static void once_in_vain(void) {
  static void *memory;
  if (!memory) memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  memset(memory, 0, BYTES);
  struct shoal_queue_options options = {.capacity = 4, .element_size = sizeof(struct message), .producers = 6};
  int rc = shoal_queue_place_(memory, BYTES, &options);
  if (rc == 0) rc = shoal_queue_attach_(memory, BYTES, sizeof(struct message), &D);
  if (rc) crash_fail("making the queue: %d", rc);
  make((struct shoal_queue_options){.delivery_max = 1}, 2);
  receive();
  shoal_queue_return(Q, &loan);
  shoal_queue_leave(Q, SHOAL_CONSUMER);
  Q->dead = D;
}
static void take_dead_letters(void) {
  struct message m;
  for (int rc, idle = 0; idle < 3; idle += rc != 0) {
    rc = messages_get(D, &m, SHOAL_TRY);
    if (rc == 0) {
      CRASH_EXPECT(m.not_id == ~m.id && m.id - 1 < 2, "%lx %lx among the dead letters", m.id, m.not_id);
      if (m.id == 1) T->word[DROPS]++;
      else took(&m);  // the victim died with it in hand
    }
  }
}
static void check_buried(void) {
  crash_survivor(release_all);
  crash_survivor(take_dead_letters);
  once();
  CRASH_EXPECT(T->word[DROPS] == 1 || (T->word[DROPS] == 2 && !crash_victim_finished()), "buried %u times",
               T->word[DROPS]);
  CRASH_EXPECT(T->taken[1] == 0, "delivered once more");
  CRASH_EXPECT(T->taken[2] <= 1, "the other came %u times", T->taken[2]);
  CRASH_EXPECT(there() == 0, "%u messages left in the ring", there());
}
POLICY(bury, "receive and release, one goes to dead letters", .setup = once_in_vain, .prepare = consuming,
       .op = op_receive_release, .check = check_buried);
