// ipc/queue/queue of kind SPSC. Claims: a producer killed anywhere leaves a prefix of what it put, a consumer all that
// it had not taken, a message in hand included; who sleeps on the other side is given it, or told of the end, at once;
// a role is its successor's, as often as its owner dies; the ring keeps its capacity.
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "ipc/queue/queue.h"
#include "tests/crash/crash.h"

#define CAPACITY 6u
#define BYTES (4u * 1024)

struct message {  // two in a group of the ring
  uint64_t id, not_id, id_again;
};
SHOAL_QUEUE_TYPED(messages, struct message)

// T->out: the ids up to which messages are put and taken. Whoever does so notes it before and after: what lies between
// may have happened.
enum { PUTTING, PUT, TAKING, TAKEN };
enum { ENDED, HELD, JOINED };  // T->word: an actor was told of the end; a loan is out; an actor has its role

static struct shoal_queue *Q;

// ---- roles: whoever has one goes on where the last owner stopped ----
static void join(int side, int doing, int done) {
  int rc = shoal_queue_join(Q, side);
  CRASH_EXPECT(rc == 0, "join answered %d", rc);
  uint64_t next = side == SHOAL_PRODUCER ? Q->producer.ring.next : Q->consumer.ring.next;
  CRASH_EXPECT(next >= T->out[done] && next <= T->out[doing], "side %d goes on behind %lu, not %lu..%lu", side, next,
               T->out[done], T->out[doing]);
  T->out[done] = T->out[doing] = next;
}
static void producing(void) { join(SHOAL_PRODUCER, PUTTING, PUT); }
static void consuming(void) { join(SHOAL_CONSUMER, TAKING, TAKEN); }
static void both(void) {
  producing();
  consuming();
}
static void op_leave_producing(void) { shoal_queue_leave(Q, SHOAL_PRODUCER); }
static void op_leave_consuming(void) { shoal_queue_leave(Q, SHOAL_CONSUMER); }
static void neither(void) {
  op_leave_producing();
  op_leave_consuming();
}

// ---- operations ----
static struct message message(uint64_t id) { return (struct message){id, ~id, id}; }
static void took(const struct message *m) {
  uint64_t id = T->out[TAKEN] + 1;
  CRASH_EXPECT(m->id == id && m->not_id == ~id && m->id_again == id, "for %lu comes %lu %lx %lu", id, m->id, m->not_id,
               m->id_again);
  T->out[TAKEN] = id;
}
static int put(shoal_deadline deadline) {
  struct message m = message(T->out[PUT] + 1);
  T->out[PUTTING] = m.id;
  int rc = messages_put(Q, &m, deadline);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "put answered %d", rc);
  T->out[PUT] += rc == 0;
  T->out[PUTTING] = T->out[PUT];
  return rc;
}
static int get(shoal_deadline deadline) {
  struct message m;
  T->out[TAKING] = T->out[TAKEN] + 1;
  int rc = messages_get(Q, &m, deadline);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "get answered %d", rc);
  if (rc == 0) took(&m);
  T->out[TAKING] = T->out[TAKEN];
  return rc;
}
static void op_put(void) { put(SHOAL_FOREVER); }
static void op_get(void) { get(SHOAL_FOREVER); }
static void op_try_put(void) { put(SHOAL_TRY); }
static void op_try_get(void) { get(SHOAL_TRY); }
static void op_put_n(void) {
  struct message m[4];
  for (uint64_t i = 0; i < 4; i++) m[i] = message(T->out[PUT] + 1 + i);
  T->out[PUTTING] += 4;
  int n = messages_put_n(Q, m, 4, SHOAL_FOREVER);
  CRASH_EXPECT(n > 0 || n == -EPIPE, "put_n answered %d", n);
  T->out[PUT] += n > 0 ? (uint64_t)n : 0;
  T->out[PUTTING] = T->out[PUT];
}
static void op_get_n(void) {
  struct message m[4];
  T->out[TAKING] += 4;
  int n = messages_get_n(Q, m, 4, SHOAL_FOREVER);
  CRASH_EXPECT(n > 0 || n == -EPIPE, "get_n answered %d", n);
  for (int i = 0; i < n; i++) took(&m[i]);
  T->out[TAKING] = T->out[TAKEN];
}

static struct shoal_loan loan;
static void lent(int rc) {
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "a loan is answered %d", rc);
  T->word[HELD] = rc == 0;
}
static void ended(int rc) { CRASH_EXPECT(rc == 0, "the end of a loan is answered %d", rc); }
static void reserve(void) { lent(shoal_queue_reserve(Q, &loan, SHOAL_TRY)); }
static void receive(void) { lent(shoal_queue_receive(Q, &loan, SHOAL_TRY)); }
static void op_commit(void) {
  *(struct message *)loan.data = message(++T->out[PUTTING]);
  ended(shoal_queue_commit(Q, &loan));
  T->out[PUT]++;
}
static void op_cancel(void) {
  memset(loan.data, 0x5a, sizeof(struct message));
  ended(shoal_queue_cancel(Q, &loan));
}
static void op_release(void) {
  struct message m = *(struct message *)loan.data;
  T->out[TAKING]++;
  ended(shoal_queue_release(Q, &loan));
  took(&m);
}
static void op_return(void) { ended(shoal_queue_return(Q, &loan)); }
static void op_reserve_commit(void) {
  reserve();
  if (T->word[HELD]) op_commit();
}
static void op_reserve_cancel(void) {
  reserve();
  if (T->word[HELD]) op_cancel();
}
static void op_receive_release(void) {
  receive();
  if (T->word[HELD]) op_release();
}
static void op_close(void) { shoal_queue_close(Q); }

// ---- states; nobody has a role ----
static void make(uint32_t flags) {
  static void *memory;
  const struct shoal_queue_options options = {
      .capacity = CAPACITY, .element_size = sizeof(struct message), .kind = SHOAL_QUEUE_SPSC};
  if (!memory) memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  memset(memory, 0, BYTES);
  shoal_spin_max_ = 3;  // what a spin is made of, and not two hundred times that
  int rc = shoal_queue_place_(memory, BYTES, &options);
  ((struct shoal_queue_shm *)memory)->wait.flags |= flags;
  if (rc == 0) rc = shoal_queue_attach_(memory, BYTES, sizeof(struct message), &Q);
  if (rc) crash_fail("making the queue: %d", rc);
}
// Messages up to `before` went through, `inside` more are in it.
static void load(uint32_t before, uint32_t inside) {
  both();
  while (T->out[PUT] < before + inside) {
    op_try_put();
    if (T->out[PUT] <= before) op_try_get();
  }
  neither();
}
static void of(uint32_t before, uint32_t inside) {
  make(0);
  load(before, inside);
}
static void detach(void) {
  shoal_queue_detach(Q);
  Q = NULL;
}
static void unused(void) { make(0); }
static void empty(void) { of(3, 0); }
static void one_inside(void) { of(4, 1); }
static void part(void) { of(13, 3); }
static void almost(void) { of(9, 6); }
static void full(void) { of(9, 7); }  // the consumer stands in the midst of a group, which is given back as a whole
static void empty_with_exchange(void) {
  make(SHOAL_EC_EXCHANGE);
  load(3, 0);
}
static void full_with_exchange(void) {
  make(SHOAL_EC_EXCHANGE);
  load(9, 7);
}

// ---- the survivor: takes both roles over, takes what is there, then fills and empties the ring ----
static uint64_t inside(void) {
  struct shoal_queue_info info;
  shoal_queue_info(Q, &info);
  return info.size;
}
static void drain(void) {
  for (uint32_t n = 0; receive(), T->word[HELD]; n++) {
    CRASH_EXPECT(!loan.redelivered || n == 0, "message %u in line is said to have been received before", n);
    op_release();
  }
  CRASH_EXPECT(T->out[TAKEN] == T->out[PUT], "%lu were put, up to %lu came out", T->out[PUT], T->out[TAKEN]);
  CRASH_EXPECT(inside() == 0, "drained, and it says that %lu are inside", inside());
}
static void survive(void) {
  both();
  drain();
  for (int lap = 0; lap < 3 && !shoal_eventcount_closed(Q->wait.shm); lap++) {
    uint64_t first = T->out[PUT];
    while (put(SHOAL_TRY) == 0 && T->out[PUT] - first < 2 * CAPACITY) continue;
    CRASH_EXPECT(T->out[PUT] - first >= CAPACITY, "room for %lu only", T->out[PUT] - first);
    drain();
  }
}
static void check(void) {
  crash_kill_victim();  // one that was stopped has gone on, and has its role still
  neither();
  crash_survivor(survive);
}

#define QUEUE(id, text, ...) CRASH_SCENARIO(id, .name = "spsc queue: " text, .cleanup = detach, __VA_ARGS__)
// The victim has one role, the driver the other.
#define PRODUCER(id, text, state, what) \
  QUEUE(id, text, .setup = state, .prepare = producing, .ready = consuming, .op = what, .check = check)
#define CONSUMER(id, text, state, what) \
  QUEUE(id, text, .setup = state, .prepare = consuming, .ready = producing, .op = what, .check = check)

PRODUCER(put_empty, "put, empty", empty, op_put);
PRODUCER(put_part, "put, part full", part, op_put);
PRODUCER(put_full, "try to put, full", full, op_try_put);
PRODUCER(put_n, "put four at once, over three groups", one_inside, op_put_n);
PRODUCER(put_n_almost, "put four at once, almost full", almost, op_put_n);
PRODUCER(commit_empty, "reserve and commit, empty", empty, op_reserve_commit);
PRODUCER(commit_part, "reserve and commit, part full", part, op_reserve_commit);
PRODUCER(commit_full, "reserve, full", full, op_reserve_commit);
PRODUCER(cancel_part, "reserve and cancel, part full", part, op_reserve_cancel);
PRODUCER(leave_p, "leave, the producer", part, op_leave_producing);
CONSUMER(get_empty, "try to get, empty", empty, op_try_get);
CONSUMER(get_one, "get, one inside", one_inside, op_get);
CONSUMER(get_part, "get, part full", part, op_get);
CONSUMER(get_full, "get, full", full, op_get);
CONSUMER(get_n, "get four at once, full", full, op_get_n);
CONSUMER(release_empty, "receive, empty", empty, op_receive_release);
CONSUMER(release_part, "receive and release, part full", part, op_receive_release);
CONSUMER(release_full, "receive and release, full", full, op_receive_release);
CONSUMER(leave_c, "leave, the consumer", part, op_leave_consuming);

static void producing_reserved(void) {
  producing();
  reserve();
}
static void consuming_received(void) {
  consuming();
  receive();
}
QUEUE(leave_p_loan, "leave with a reservation", .setup = part, .prepare = producing_reserved, .ready = consuming,
      .op = op_leave_producing, .check = check);
QUEUE(leave_c_loan, "leave with a message in hand", .setup = part, .prepare = consuming_received, .ready = producing,
      .op = op_leave_consuming, .check = check);
QUEUE(return_part, "return", .setup = part, .prepare = consuming_received, .ready = producing, .op = op_return,
      .check = check);
QUEUE(close_part, "close, part full", .setup = part, .ready = both, .op = op_close, .check = check);

// ---- take-over: the owner of both roles is dead, a message in its hand ----
static void both_received(void) {
  both();
  receive();
}
static void a_dead_pair(void) {
  part();
  crash_survivor(both_received);
}
QUEUE(take_p, "put, the last producer is dead", .setup = a_dead_pair, .op = op_put, .check = check);
QUEUE(take_c, "get, the last consumer is dead", .setup = a_dead_pair, .op = op_get, .check = check);
QUEUE(first_put, "put, the first ever", .setup = unused, .op = op_put, .check = check);

// ---- the other side sleeps: it is given the message, the room, or told of the end ----
static void consumer(int i) {
  (void)i;
  consuming();
  while (get(SHOAL_FOREVER) == 0) continue;
  T->word[ENDED] = 1;
}
static void producer(int i) {
  (void)i;
  producing();
  while (put(SHOAL_FOREVER) == 0) continue;
  T->word[ENDED] = 1;
}
static void consumer_asleep(void) { crash_asleep(crash_actor(consumer, 0)); }
static void producer_asleep(void) { crash_asleep(crash_actor(producer, 0)); }
static void told(void) {
  CRASH_UNTIL(T->word[ENDED], "the other side sleeps on");
  crash_kill(0);
  check();
}
// The consumer was told when nothing was left to take.
static void took_and_told(void) {
  CRASH_UNTIL(T->word[ENDED], "the consumer sleeps on");
  CRASH_EXPECT(inside() == 0, "told of the end beside %lu messages", inside());
  told();
}
#define WAKES_CONSUMER(id, text, state, role, what)                                                              \
  QUEUE(id, text ", the consumer asleep", .setup = state, .prepare = role, .ready = consumer_asleep, .op = what, \
        .check = took_and_told)
#define WAKES_PRODUCER(id, text, state, what)                                                                         \
  QUEUE(id, text ", the producer asleep", .setup = state, .prepare = consuming, .ready = producer_asleep, .op = what, \
        .check = told)
WAKES_CONSUMER(wake_put, "put", empty, producing, op_put);
WAKES_CONSUMER(wake_put_exchange, "put by exchange", empty_with_exchange, producing, op_put);
WAKES_CONSUMER(wake_put_n, "put four at once", empty, producing, op_put_n);
WAKES_CONSUMER(wake_commit, "reserve and commit", empty, producing, op_reserve_commit);
WAKES_CONSUMER(wake_cancel, "reserve and cancel", empty, producing, op_reserve_cancel);
WAKES_CONSUMER(wake_leave_p, "leave", empty, producing, op_leave_producing);
WAKES_CONSUMER(wake_leave_p_loan, "leave with a reservation", empty, producing_reserved, op_leave_producing);

// The first producer ever: before it has come there is no end to be told of.
static void took_if_it_came(void) {
  if (shoal_load32_relaxed(&Q->wait.shm->seen[SHOAL_PRODUCER])) {
    took_and_told();
    return;
  }
  crash_kill(0);
  check();
}
QUEUE(wake_first, "put, the first ever, the consumer asleep", .setup = unused, .ready = consumer_asleep, .op = op_put,
      .check = took_if_it_came);

// A quantum is a group, and is given back with the first look beyond it.
static void op_get_three(void) {
  for (int i = 0; i < 3; i++) op_get();
}
static void op_release_three(void) {
  for (int i = 0; i < 3; i++) op_receive_release();
}
WAKES_PRODUCER(room_get, "get three", full, op_get_three);
WAKES_PRODUCER(room_get_exchange, "get three by exchange", full_with_exchange, op_get_three);
WAKES_PRODUCER(room_get_n, "get four at once", full, op_get_n);
WAKES_PRODUCER(room_release, "receive and release three", full, op_release_three);
WAKES_PRODUCER(room_leave_c, "leave", full, op_leave_consuming);

// A victim without a role closes; else somebody puts, or makes room, and closes then.
static void closed_or_not(void) {
  if (!shoal_eventcount_closed(Q->wait.shm)) {
    uint64_t next = T->out[TAKEN] + 1;
    op_try_put();
    CRASH_UNTIL(T->out[TAKEN] == next, "the next message is not taken");
    op_close();
  }
  took_and_told();
}
static void room_closed_or_not(void) {
  if (!shoal_eventcount_closed(Q->wait.shm)) {
    uint64_t next = T->out[PUT] + 2;
    op_get_three();
    CRASH_UNTIL(T->out[PUT] == next, "the room is not used");
    op_close();
  }
  told();
}
static void beside_consumer(void) {
  producing();
  consumer_asleep();
}
static void beside_producer(void) {
  consuming();
  producer_asleep();
}
QUEUE(close_consumer, "close, the consumer asleep", .setup = empty, .ready = beside_consumer, .op = op_close,
      .check = closed_or_not);
QUEUE(close_producer, "close, the producer asleep", .setup = full, .ready = beside_producer, .op = op_close,
      .check = room_closed_or_not);

// The other side comes to sleep, or to its end, while the victim stands.
static void consumer_comes(void) {
  crash_actor(consumer, 0);
  crash_all_asleep_or_finished();
}
static void producer_comes(void) {
  crash_actor(producer, 0);
  crash_all_asleep_or_finished();
}
QUEUE(put_met, "put, the consumer comes to sleep meanwhile", .setup = empty, .prepare = producing, .op = op_put,
      .stopped = consumer_comes, .check = took_and_told);
QUEUE(get_met, "get three, the producer comes to sleep meanwhile", .setup = full, .prepare = consuming,
      .op = op_get_three, .stopped = producer_comes, .check = told);
static void all_taken(void) {
  CRASH_UNTIL(T->out[TAKEN] == T->out[PUT], "the consumer sleeps beside a message");
  crash_all_asleep();
  crash_kill(0);
  check();
}
static void no_room(void) {
  crash_all_asleep();
  CRASH_EXPECT(T->out[PUT] == T->out[TAKEN] + 6, "the producer sleeps beside room: %lu are inside", inside());
  crash_kill(0);
  check();
}
QUEUE(put_met_goes_on, "put, the consumer comes to sleep meanwhile, goes on", .kind = CRASH_RESUMED, .setup = empty,
      .prepare = producing, .op = op_put, .stopped = consumer_comes, .check = all_taken);
QUEUE(commit_met_goes_on, "reserve and commit, the consumer comes to sleep meanwhile, goes on", .kind = CRASH_RESUMED,
      .setup = empty, .prepare = producing, .op = op_reserve_commit, .stopped = consumer_comes, .check = all_taken);
QUEUE(get_met_goes_on, "get three, the producer comes to sleep meanwhile, goes on", .kind = CRASH_RESUMED,
      .setup = full, .prepare = consuming, .op = op_get_three, .stopped = producer_comes, .check = no_room);

// Closed while a put stands somewhere: the consumer is told of the end when that has gone in, or has been refused, or
// is dead.
static void closed_and_consumer_comes(void) {
  op_close();
  consumer_comes();
}
static void taken_or_refused(void) {
  CRASH_UNTIL(T->word[ENDED], "the consumer is not told of the end");
  CRASH_EXPECT(T->out[TAKEN] == T->out[PUT] && inside() == 0, "put up to %lu, taken up to %lu", T->out[PUT],
               T->out[TAKEN]);
}
#define CLOSED(id, text, state, what)                                                                                  \
  QUEUE(closed_##id, text ", closed meanwhile, the consumer comes", .setup = state, .prepare = producing, .op = what,  \
        .stopped = closed_and_consumer_comes, .check = took_and_told);                                                 \
  QUEUE(closed_on_##id, text ", closed meanwhile, the consumer comes, goes on", .kind = CRASH_RESUMED, .setup = state, \
        .prepare = producing, .op = what, .stopped = closed_and_consumer_comes, .check = taken_or_refused)
CLOSED(put, "put", one_inside, op_put);
CLOSED(put_n, "put four at once", one_inside, op_put_n);
CLOSED(put_full, "try to put, full", full, op_try_put);
CLOSED(cancel, "reserve and cancel", empty, op_reserve_cancel);

// ---- the victim sleeps ----
static void op_try_get_three(void) {
  for (int i = 0; i < 3; i++) op_try_get();
}
QUEUE(get_asleep, "get, asleep until the next put", .setup = empty, .prepare = consuming, .ready = producing,
      .op = op_get, .asleep = op_try_put, .check = check);
QUEUE(put_asleep, "put, asleep until there is room", .setup = full, .prepare = producing, .ready = consuming,
      .op = op_put, .asleep = op_try_get_three, .check = check);
QUEUE(get_asleep_closed, "get, asleep until the closing", .setup = empty, .prepare = consuming, .ready = producing,
      .op = op_get, .asleep = op_close, .check = check);
QUEUE(put_asleep_closed, "put, asleep until the closing", .setup = full, .prepare = producing, .ready = consuming,
      .op = op_put, .asleep = op_close, .check = check);

static void idle(int side) {
  if (side == SHOAL_PRODUCER) producing();
  else consuming();
  T->word[JOINED] = 1;
}
static void idle_producer(void) {
  crash_actor(idle, SHOAL_PRODUCER);
  CRASH_UNTIL(T->word[JOINED], "the producer does not join");
}
static void idle_consumer(void) {
  crash_actor(idle, SHOAL_CONSUMER);
  CRASH_UNTIL(T->word[JOINED], "the consumer does not join");
}
static void peer_dies(void) { crash_kill(0); }
static void peer_dead(void) {
  peer_dies();
  check();
}
QUEUE(get_end, "get, asleep until the producer dies", .setup = empty, .prepare = consuming, .ready = idle_producer,
      .op = op_get, .asleep = peer_dies, .check = peer_dead);
QUEUE(put_end, "put, asleep until the consumer dies", .setup = full, .prepare = producing, .ready = idle_consumer,
      .op = op_put, .asleep = peer_dies, .check = peer_dead);

// ---- pairs ----
static void op_put_three(void) {
  for (int i = 0; i < 3; i++) op_try_put();
}
static void produce_put(void) {
  producing();
  op_put_three();
}
static void consume_get(void) {
  consuming();
  op_try_get_three();
}
static void consume_release(void) {
  consuming();
  op_release_three();
}
#define PAIR(id, text, state, role, what, what2)                                                          \
  QUEUE(id, "pair, " text, .kind = CRASH_PAIR, .setup = state, .prepare = role, .op = what, .op2 = what2, \
        .check = check)
PAIR(pair_pp, "the producer, then its successor", one_inside, producing, op_put_three, produce_put);
PAIR(pair_cc, "the consumer, then its successor", almost, consuming, op_try_get_three, consume_get);
PAIR(pair_pc, "the producer, then the consumer", one_inside, producing, op_put_n, consume_get);
PAIR(pair_cp, "the consumer, then the producer", full, consuming, op_get_three, produce_put);
PAIR(pair_loans, "the consumer with a message in hand, then its successor", part, consuming, op_receive_release,
     consume_release);
PAIR(pair_takers, "two successors of a dead producer", a_dead_pair, NULL, op_put, produce_put);

// ---- one stopped on its way to sleep, the other side dies, the stopped one goes on: by what was done, or told of the end ----
#define ON_ITS_WAY(id, text, state, role, what, role2, what2)                                                        \
  QUEUE(id, "stopped, " text, .kind = CRASH_STALLED, .setup = state, .prepare = role, .op = what, .prepare2 = role2, \
        .op2 = what2, .prepared_both = 1, .asleep = op_close, .check = check, .times = 5)
ON_ITS_WAY(sleeper_put, "a get on its way to sleep; a put dies", empty, consuming, op_get, producing, op_put);
ON_ITS_WAY(sleeper_commit, "a get on its way to sleep; a reserve and commit dies", empty, consuming, op_get, producing,
           op_reserve_commit);
ON_ITS_WAY(sleeper_leave, "a get on its way to sleep; a leave dies", empty, consuming, op_get, producing,
           op_leave_producing);
ON_ITS_WAY(sleeper_get, "a put on its way to sleep; a get of four dies", full, producing, op_put, consuming, op_get_n);
