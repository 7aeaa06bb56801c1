// ipc/queue/queue on ipc/queue/mpmc and sync/eventcount. Claims: what is in the ring when somebody dies is received,
// once, and whole; what was put before put returned is in the ring; nobody sleeps beside a message, beside a free place
// or beyond the end of the stream; the ring keeps its capacity, and the roles of the dead are free again.
#include "tests/crash/queue_fixture.h"

static void make(uint32_t before, uint32_t inside) { queue_make((struct shoal_queue_options){0}, before, inside); }
static void empty(void) { make(5, 0); }
static void one_inside(void) { make(7, 1); }
static void two_inside(void) { make(7, 2); }
static void part(void) { make(6, 3); }
static void full(void) { make(5, 4); }
static void one_to_drop(void) { queue_make((struct shoal_queue_options){.drop = 1}, 7, 1); }

static void full_consuming(void) {
  full();
  consuming();
}

#define QUEUE(id, text, ...) CRASH_SCENARIO(id, .name = "queue: " text, .cleanup = queue_unmake, __VA_ARGS__)
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
  CRASH_EXPECT(ledger_taken() + dropped <= 1, "%u received, %lu dropped", ledger_taken(), dropped);
}
QUEUE(drop, "receive and release, a dead one's message is dropped", .setup = one_to_drop, .prepare = consuming,
      .op = op_receive_release, .check = check_drop);
// To leave is no death.
static void check_left(void) {
  check_drop();
  CRASH_EXPECT(!crash_victim_finished() || ledger_taken() == 1, "left with the message in hand, and it is gone");
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
  CRASH_EXPECT(ledger_taken() >= put_so_far, "%u were put, %u came", put_so_far, ledger_taken());
}
QUEUE(hole, "get, overtaken, then a hole", .kind = CRASH_RESUMED, .setup = part, .prepare = consuming, .op = op_get,
      .stopped = overtake, .check = check_hole);
QUEUE(hole_release, "receive and release, overtaken, then a hole", .kind = CRASH_RESUMED, .setup = part,
      .prepare = consuming, .op = op_receive_release, .stopped = overtake, .check = check_hole);

// ---- sleepers ----
static void idle_producer(int i) {
  (void)i;
  producing();
  T->word[SENT] = 1;
}
static void empty_one_asleep(void) {
  empty();
  fixture_asleep(consumer, 1);
}
static void empty_two_asleep(void) {
  empty();
  fixture_asleep(consumer, 2);
}
static void empty_two_gated(void) {
  empty();
  fixture_gated(consumer, 2);
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
  fixture_asleep(takes_one, 3);
}
static void each_taken(void) {
  CRASH_UNTIL(there() == 0 || crash_all_finished(), "%u messages left beside sleeping consumers", there());
}
QUEUE(once_n, "put three at once, three asleep that take one each", .setup = empty_three_take_one, .prepare = producing,
      .ready = crash_all_asleep, .op = op_put_n, .check = each_taken);

// Two more puts overtake the victim's while it stands; they lie behind its claim until it is dead.
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
QUEUE(get_first_in_line, "get, asleep before two others", .setup = empty_two_gated, .prepare = consuming, .op = op_get,
      .asleep = first_in_line, .check = first_in_line_died);
QUEUE(get_last_in_line, "get, asleep behind two others", .setup = empty_two_asleep, .prepare = consuming,
      .ready = crash_all_asleep, .op = op_get, .asleep = last_in_line, .check = consumers_go_on);

// The victim holds a message while another consumer sleeps for it.
static void one_more_consumer(void) { fixture_asleep(consumer, 1); }
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
static void empty_three_asleep(void) {
  empty();
  fixture_asleep(consumer, 3);
}
static void closed_or_not(void) {
  if (is_closed()) {
    fixture_told(3);
    return;
  }
  consumers_go_on();
  shoal_queue_close(Q);
  fixture_told(3);
}
QUEUE(close_getters, "close, three consumers asleep", .setup = empty_three_asleep, .ready = crash_all_asleep,
      .op = op_close, .check = closed_or_not);

static void full_two_putters(void) {
  full_consuming();
  fixture_asleep(producer, 2);
}
static void putters_closed_or_not(void) {
  if (!is_closed()) shoal_queue_close(Q);
  fixture_told(2);
}
QUEUE(close_putters, "close, two producers asleep", .setup = full_two_putters, .ready = crash_all_asleep,
      .op = op_close, .check = putters_closed_or_not);

static void two_consumers(void) { fixture_asleep(consumer, 2); }
static void empty_not_producing(void) {
  empty();
  not_producing();
}
static void two_told(void) { fixture_told(2); }
QUEUE(end_leave, "the last producer leaves, two consumers asleep", .setup = empty_not_producing, .prepare = producing,
      .ready = two_consumers, .op = op_leave_producing, .check = two_told);

// The last producer puts, and dies in it: its message, if it is there, comes first.
static void last_put_told(void) {
  two_told();
  CRASH_EXPECT(there() == 0, "told of the end beside a message");
  CRASH_EXPECT(ledger_mine() >= T->word[ACKNOWLEDGED], "%u put, %u came", T->word[ACKNOWLEDGED], ledger_mine());
}
QUEUE(end_put, "the last producer puts, two consumers asleep", .setup = empty_not_producing, .prepare = producing,
      .ready = two_consumers, .op = op_put, .check = last_put_told);

// The last producer dies while all sleep; the victim is the one whom the kernel wakes.
static void a_producer_two_gated(void) {
  empty_not_producing();
  crash_actor(idle_producer, 0);
  CRASH_UNTIL(T->word[SENT], "the producer does not join");
  fixture_gated(consumer, 2);
}
static void last_producer_dies(void) {
  fixture_open_gate();
  crash_kill(0);
}
static void end_told(void) {
  last_producer_dies();
  fixture_told(2);
}
QUEUE(end_death, "the last producer dies, the victim is told first", .setup = a_producer_two_gated,
      .prepare = consuming, .op = op_get, .asleep = last_producer_dies, .check = end_told);

// The last consumer dies: producers that sleep for room are told.
static void full_not_consuming(void) { full(); }
QUEUE(end_consumer, "the last consumer receives and releases, two producers asleep", .setup = full_not_consuming,
      .prepare = consuming, .ready = NULL, .op = op_receive_release, .check = check);

// ---- asleep for room ----
static void full_one_gated(void) {
  full_consuming();
  fixture_gated(producer, 1);
}
static void full_one_asleep(void) {
  full_consuming();
  fixture_asleep(producer, 1);
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
  if (!is_closed()) a_message_comes();
}
STALLED(sleeper_close, "a get on its way to sleep; a close dies", empty, consuming, op_get, NULL, op_close,
        .asleep = put_next, .resumed = closed_or_a_message, .prepared_both = 1, .times = 5);
