// ipc/queue/queue_policy. Claims: what is dropped to make room, cleared, peeked at or finished by a victim is received
// once, or was dropped by it; the ring keeps its capacity; nobody sleeps beside what a dropping, peeking or closing
// victim has left.
#include "tests/crash/queue_fixture.h"

static void make(struct shoal_queue_options options, uint32_t inside) { queue_make(options, 0, inside); }
#define POLICY(id, text, ...) CRASH_SCENARIO(id, .name = "policy: " text, .cleanup = queue_unmake, __VA_ARGS__)

// ---- room is made ----
static void full_drops_oldest(void) { make((struct shoal_queue_options){.overflow = SHOAL_OVERFLOW_DROP_OLDEST}, 4); }
static void full_drops_newest(void) { make((struct shoal_queue_options){.overflow = SHOAL_OVERFLOW_DROP_NEWEST}, 4); }
static void op_put_dropped(void) {
  struct message m = message(MINE);
  int rc = messages_put(Q, &m, SHOAL_FOREVER);
  CRASH_EXPECT(rc == SHOAL_DROPPED, "put answered %d", rc);
}
// One at most is gone, and it was the oldest.
static void check_oldest(void) {
  uint32_t inside = there();
  crash_survivor(survive);
  ledger_once();
  CRASH_EXPECT(ledger_taken() == inside && inside >= CAPACITY - 1, "%u in the ring, %u came out", inside,
               ledger_taken());
  CRASH_EXPECT(T->taken[MINE] >= T->word[ACKNOWLEDGED], "put, and not received");
  for (uint32_t id = 2; id <= 4; id++) CRASH_EXPECT(T->taken[id] == 1, "%u, not the oldest, was dropped", id);
}
static void check_all_there(void) {
  crash_survivor(survive);
  ledger_once();
  CRASH_EXPECT(ledger_taken() == 4 && !T->taken[MINE], "%u came out of four", ledger_taken());
}
POLICY(drop_oldest, "put, full, the oldest goes", .setup = full_drops_oldest, .prepare = producing, .op = op_put,
       .check = check_oldest);
POLICY(drop_oldest_reserve, "reserve and commit, full, the oldest goes", .setup = full_drops_oldest,
       .prepare = producing, .op = op_reserve_commit, .check = check_oldest);
POLICY(drop_newest, "put, full, the newest goes", .setup = full_drops_newest, .prepare = producing,
       .op = op_put_dropped, .check = check_all_there);

// Three at once, and room for two.
static void op_put_n_dropped(void) {
  struct message m[3] = {message(MINE), message(MINE + 1), message(MINE + 2)};
  int n = messages_put_n(Q, m, 3, SHOAL_FOREVER);
  CRASH_EXPECT(n == 2, "three answered %d", n);
  T->word[ACKNOWLEDGED] += (uint32_t)n;
}
static void check_two_of_three(void) {
  check();
  CRASH_EXPECT(!T->taken[MINE + 2], "dropped, and received");
}
#define DROPS_NEWEST(by, of, BY)                                                                          \
  static void by##_part_drops_newest(void) {                                                              \
    make((struct shoal_queue_options){.kind = BY, .overflow = SHOAL_OVERFLOW_DROP_NEWEST}, 2);            \
  }                                                                                                       \
  POLICY(by##_drop_newest_n, of "put three at once, room for two, the newest goes", .prepare = producing, \
         .setup = by##_part_drops_newest, .op = op_put_n_dropped, .check = check_two_of_three)
DROPS_NEWEST(mpmc, "", SHOAL_QUEUE_MPMC);
DROPS_NEWEST(fifo, "fifo: ", SHOAL_QUEUE_FIFO);
DROPS_NEWEST(lifo, "lifo: ", SHOAL_QUEUE_LIFO);
DROPS_NEWEST(priority, "priority: ", SHOAL_QUEUE_PRIORITY);

// Three at once: the oldest three go, if anything goes.
static void check_oldest_three(void) {
  uint32_t inside = there();
  crash_survivor(survive);
  ledger_once();
  CRASH_EXPECT(ledger_taken() == inside && inside >= CAPACITY - 1, "%u in the ring, %u came out", inside,
               ledger_taken());
  CRASH_EXPECT(ledger_mine() >= T->word[ACKNOWLEDGED], "put, and not received");
  CRASH_EXPECT(T->taken[4] == 1, "the last one, not the oldest, was dropped");
}
POLICY(drop_oldest_n, "put three at once, full, the oldest go", .setup = full_drops_oldest, .prepare = producing,
       .op = op_put_n, .check = check_oldest_three);

// Another makes room meanwhile, unless the oldest is in the victim's hand.
static void put_one_more(void) {
  struct message m = message(5);
  int rc = messages_put(Q, &m, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN, "put answered %d", rc);
  if (rc == 0) T->word[SENT]++;
}
static void check_overtaken(void) {
  T->word[TOGETHER] = 1;
  crash_survivor(survive);
  ledger_once();
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

POLICY(drop_pair, "pair, put, full, the oldest goes, then get", .kind = CRASH_PAIR, .setup = full_drops_oldest,
       .prepare = producing, .op = op_put, .prepare2 = consuming, .op2 = op_try_get, .check = check_but_put);

// Under a lock all that gives way is counted, whoever dies.
static void check_counted(void) {
  struct shoal_queue_info info;
  uint32_t inside = there();
  crash_survivor(survive);
  ledger_once();
  CRASH_OK(shoal_queue_info(Q, &info));
  CRASH_EXPECT(ledger_taken() == inside && inside >= CAPACITY - 1, "%u inside, %u came out", inside, ledger_taken());
  CRASH_EXPECT(ledger_taken() + info.discarded == 4 + ledger_mine(), "%u came out, %u of the victims, %lu gave way",
               ledger_taken(), ledger_mine(), info.discarded);
  CRASH_EXPECT(ledger_mine() >= T->word[ACKNOWLEDGED], "%u put, %u came", T->word[ACKNOWLEDGED], ledger_mine());
  CRASH_EXPECT(T->taken[4] == 1, "the last one, not the first, gave way");
}
#define GIVES_WAY(by, BY)                                                                                        \
  static void by##_drops(void) {                                                                                 \
    make((struct shoal_queue_options){.kind = BY, .overflow = SHOAL_OVERFLOW_DROP_OLDEST}, 4);                   \
  }                                                                                                              \
  POLICY(by##_drop, #by ": put, full, one gives way", .setup = by##_drops, .prepare = producing, .op = op_put,   \
         .check = check_counted);                                                                                \
  POLICY(by##_drop_n, #by ": put three at once, full, they give way", .setup = by##_drops, .prepare = producing, \
         .op = op_put_n, .check = check_counted);                                                                \
  POLICY(by##_drop_reserve, #by ": reserve and commit, full, one gives way", .setup = by##_drops,                \
         .prepare = producing, .op = op_reserve_commit, .check = check_counted);                                 \
  POLICY(by##_drop_pair, #by ": pair, put, full, one gives way, twice", .kind = CRASH_PAIR, .setup = by##_drops, \
         .prepare = producing, .op = op_put, .prepare2 = producing, .op2 = op_put_another, .check = check_counted)
GIVES_WAY(fifo, SHOAL_QUEUE_FIFO);
GIVES_WAY(lifo, SHOAL_QUEUE_LIFO);
GIVES_WAY(priority, SHOAL_QUEUE_PRIORITY);

// ---- asleep for what can be dropped: all is lent; what the victim gives back, or commits, is room ----
static void lifo_drops_none(void) {
  make((struct shoal_queue_options){.kind = SHOAL_QUEUE_LIFO, .overflow = SHOAL_OVERFLOW_DROP_OLDEST}, 0);
}
static void full_drops_leased(void) {
  make((struct shoal_queue_options){.lease_ns = UINT64_C(1800000000000), .overflow = SHOAL_OVERFLOW_DROP_OLDEST}, 4);
}
static void none_drops(void) { make((struct shoal_queue_options){.overflow = SHOAL_OVERFLOW_DROP_OLDEST}, 0); }
static void receives(int n) {
  struct shoal_loan mine[CAPACITY];
  consuming();
  for (int i = 0; i < n; i++) CRASH_OK(shoal_queue_receive(Q, &mine[i], SHOAL_TRY));
}
static void reserves(int n) {
  struct shoal_loan mine[CAPACITY];
  producing();
  for (int i = 0; i < n; i++) CRASH_OK(shoal_queue_reserve(Q, &mine[i], SHOAL_TRY));
}
static void lent_to_another(void (*lend)(int)) {
  consuming();  // the driver: somebody is left
  int holder = crash_actor(lend, CAPACITY - 1);
  CRASH_UNTIL(crash_finished(holder), "the others are not lent");
  fixture_asleep(puts_one, 1);
}
static void all_received(void) { lent_to_another(receives); }
static void all_reserved(void) { lent_to_another(reserves); }
static void other_has_put(void) {
  CRASH_UNTIL(crash_all_finished(), "a producer sleeps beside what it could drop");
  ledger_once();
}
#define ROOM(id, text, state, role, others, what)                                                             \
  POLICY(room_##id, text ", a producer that drops asleep", .setup = state, .prepare = role, .ready = others,  \
         .op = what, .check = other_has_put);                                                                 \
  POLICY(room_on_##id, text ", a producer that drops asleep, goes on", .kind = CRASH_RESUMED, .setup = state, \
         .prepare = role, .ready = others, .op = what, .check = other_has_put)
ROOM(return, "return", full_drops_oldest, receive, all_received, op_return);
ROOM(return_leased, "return, leased", full_drops_leased, receive, all_received, op_return);
ROOM(return_lifo, "lifo: return", lifo_drops, receive, all_received, op_return);
ROOM(return_priority, "priority: return", priority_drops, receive, all_received, op_return);
ROOM(commit, "commit", none_drops, reserve, all_reserved, op_commit);
ROOM(commit_lifo, "lifo: commit", lifo_drops_none, reserve, all_reserved, op_commit);
ROOM(leave, "leave with a loan in hand", full_drops_oldest, receive, all_received, op_leave_consuming);

// All are in hands, and their leases have run out: the victim takes one back, and drops it.
static void receives_all(int i) {
  (void)i;
  receives(CAPACITY);
}
static void run_out(void) {
  int holder = crash_actor(receives_all, 0);
  CRASH_UNTIL(crash_finished(holder), "the messages are not lent");
  T->late++;
}
static void priority_drops_leased(void) {
  make(
      (struct shoal_queue_options){
          .kind = SHOAL_QUEUE_PRIORITY, .lease_ns = UINT64_C(1800000000000), .overflow = SHOAL_OVERFLOW_DROP_OLDEST},
      4);
}
static void run_out_check(void) {
  T->late++;  // of those that were told of their hour only now
  crash_survivor(survive);
  CRASH_EXPECT(ledger_mine() >= T->word[ACKNOWLEDGED], "%u put, %u came", T->word[ACKNOWLEDGED], ledger_mine());
  CRASH_EXPECT(ledger_taken() >= CAPACITY - 2, "%u came out", ledger_taken());
  ledger_once();
}
#define RUN_OUT(by, text, state)                                                                                      \
  POLICY(by##_run_out, text "put, all in hands have run out", .setup = state, .prepare = producing, .ready = run_out, \
         .op = op_put, .check = run_out_check);                                                                       \
  POLICY(by##_run_out_pair, text "pair, put, all in hands have run out, twice", .kind = CRASH_PAIR, .setup = state,   \
         .prepare = producing, .ready = run_out, .op = op_put, .prepare2 = producing, .op2 = op_put_another,          \
         .check = run_out_check)
RUN_OUT(mpmc, "", full_drops_leased);
RUN_OUT(priority, "priority: ", priority_drops_leased);

// Another comes round to the place that the victim is putting into.
static void goes_round(int n) {
  producing();
  for (int i = 0; i < n; i++) put_within(160 + (uint32_t)i, SHOAL_FOREVER);
}
static void one_goes_round(void) {
  crash_actor(goes_round, CAPACITY);
  crash_all_asleep_or_finished();
}
POLICY(round, "put, another goes round and comes behind it", .setup = none_drops, .prepare = producing, .op = op_put,
       .stopped = one_goes_round, .check = other_has_put);
POLICY(round_on, "put, another goes round and comes behind it, goes on", .kind = CRASH_RESUMED, .setup = none_drops,
       .prepare = producing, .op = op_put, .stopped = one_goes_round, .check = other_has_put);

// Two sleep, the victim first; one is given back. What the first has put in its place is room to the other.
static void gives_one_back(int n) {
  struct shoal_loan mine[CAPACITY];
  consuming();
  for (int i = 0; i < n; i++) CRASH_OK(shoal_queue_receive(Q, &mine[i], SHOAL_TRY));
  crash_gate();
  CRASH_OK(shoal_queue_return(Q, &mine[0]));
}
static void all_with_one(void) {
  lifo_drops();
  crash_actor(gives_one_back, CAPACITY);
  crash_at_gate(1);
}
static void one_is_given_back(void) {
  if (T->gate) return;
  crash_asleep(crash_actor(puts_one, 0));
  crash_open_gate();
}
static void another_sleeps_behind_it(void) {
  crash_victim_asleep_or_finished();
  one_is_given_back();
}
static void both_have_put(void) {
  one_is_given_back();
  other_has_put();
}
POLICY(room_in_turn, "lifo: put, asleep before another that drops what it has put", .setup = all_with_one,
       .prepare = producing, .op = op_put, .asleep = one_is_given_back, .check = both_have_put);
POLICY(room_in_turn_on, "lifo: put, asleep before another that drops what it has put, goes on", .kind = CRASH_RESUMED,
       .setup = all_with_one, .prepare = producing, .op = op_put, .asleep = one_is_given_back,
       .resumed = another_sleeps_behind_it, .check = both_have_put);

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
  ledger_once();
  CRASH_EXPECT(ledger_taken() == inside, "%u in the ring, %u came out", inside, ledger_taken());
  CRASH_EXPECT(!crash_victim_finished() || ledger_taken() == 0, "cleared, and %u came out", ledger_taken());
}
POLICY(clear, "clear, part full", .setup = part, .prepare = consuming, .op = op_clear, .check = check_cleared);
static void fifo_part(void) { make((struct shoal_queue_options){.kind = SHOAL_QUEUE_FIFO}, 3); }
POLICY(clear_fifo, "clear, part full, under a lock", .setup = fifo_part, .prepare = consuming, .op = op_clear,
       .check = check_cleared);
static void op_clear_rest(void) { CRASH_EXPECT(shoal_queue_clear(Q) >= 0, "clear"); }
POLICY(clear_pair, "pair, clear, then clear", .kind = CRASH_PAIR, .setup = part, .prepare = consuming, .op = op_clear,
       .prepare2 = consuming, .op2 = op_clear_rest, .check = check_but_put);

static void full_two_putters(void) {
  full();
  consuming();
  fixture_asleep(producer, 2);
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
  ledger_once();
  CRASH_EXPECT(ledger_taken() == 3, "%u came out of three", ledger_taken());
}
POLICY(peek, "peek, part full", .setup = part, .prepare = consuming, .op = op_peek, .check = check_peeked);
#define PEEKS(by, BY)                                                                                  \
  static void by##_three(void) { make((struct shoal_queue_options){.kind = BY}, 3); }                  \
  POLICY(by##_peek, #by ": peek, part full", .setup = by##_three, .prepare = consuming, .op = op_peek, \
         .check = check_peeked)
PEEKS(fifo, SHOAL_QUEUE_FIFO);
PEEKS(lifo, SHOAL_QUEUE_LIFO);
PEEKS(priority, SHOAL_QUEUE_PRIORITY);

static void empty(void) { make((struct shoal_queue_options){0}, 0); }
static void empty_one_gated(void) {
  empty();
  fixture_gated(consumer, 1);
}
// The victim is first in line, and takes nothing.
static void peeker_first_in_line(void) {
  fixture_open_gate();
  put_next();
}
static void taken_all_the_same(void) {
  fixture_open_gate();
  CRASH_UNTIL(there() == 0, "a message is left beside a sleeping consumer");
  crash_all_asleep_or_finished();
  put_next();
  CRASH_UNTIL(there() == 0, "the next message is left beside a sleeping consumer");
}
POLICY(peek_asleep, "peek, asleep before another that gets", .setup = empty_one_gated, .prepare = consuming,
       .op = op_peek, .asleep = peeker_first_in_line, .check = taken_all_the_same);
// ---- closed, and open again ----
static void closed_with_one(uint32_t kind) {
  make((struct shoal_queue_options){.kind = kind}, 1);
  shoal_queue_close(Q);
}
static void op_reopen(void) { CRASH_EXPECT(shoal_queue_reopen(Q) == 0, "it was closed"); }
static void check_reopened(void) {
  if (is_closed()) shoal_queue_reopen(Q);
  crash_survivor(survive);
  ledger_once();
  CRASH_EXPECT(ledger_taken() == 1, "%u came out of one", ledger_taken());
}
#define REOPENS(by, of, BY)                              \
  static void by##_closed(void) { closed_with_one(BY); } \
  POLICY(by##_reopen, of "reopen, one inside", .setup = by##_closed, .op = op_reopen, .check = check_reopened)
REOPENS(mpmc, "", SHOAL_QUEUE_MPMC);
REOPENS(fifo, "fifo: ", SHOAL_QUEUE_FIFO);
REOPENS(lifo, "lifo: ", SHOAL_QUEUE_LIFO);
REOPENS(priority, "priority: ", SHOAL_QUEUE_PRIORITY);

// A consumer sleeps in the closed queue, for what another holds.
static void holder(int i) {
  (void)i;
  receive();
}
static void held_and_closed(void) {
  make((struct shoal_queue_options){0}, 1);
  crash_actor(holder, 0);
  CRASH_UNTIL(crash_finished(0), "nobody holds it");
  fixture_asleep(consumer, 1);
  shoal_queue_close(Q);
  crash_all_asleep();
}
static void opened_for_sleepers(void) {
  if (is_closed()) shoal_queue_reopen(Q);
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
enum { JOINED = QUEUE_WORDS };  // T->word
static void joinable_two(void) { make((struct shoal_queue_options){.joinable = 1}, 2); }
static void priority_joinable_one(void) {
  make((struct shoal_queue_options){.kind = SHOAL_QUEUE_PRIORITY, .joinable = 1}, 1);
}
static void fifo_joinable_one(void) { make((struct shoal_queue_options){.kind = SHOAL_QUEUE_FIFO, .joinable = 1}, 1); }
static void lifo_joinable_two(void) { make((struct shoal_queue_options){.kind = SHOAL_QUEUE_LIFO, .joinable = 1}, 2); }
static void joiner(int i) {
  (void)i;
  int rc = shoal_queue_join_tasks(Q, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0, "join answered %d", rc);
  uint32_t left = there();
  CRASH_EXPECT(left == 0, "joined beside %u unfinished", left);
  __atomic_fetch_add(&T->word[JOINED], 1, __ATOMIC_SEQ_CST);
}
static void get_one(void) {
  struct message m;
  int rc = messages_get(Q, &m, SHOAL_TRY);
  CRASH_EXPECT(rc == 0, "get answered %d", rc);
  T->word[HELD] = m.id;
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
  fixture_asleep(joiner, 2);
}
// Whatever is left is finished by a survivor: then, and not before, the joiners are told.
static void joined(void) {
  if (there()) {
    crash_all_asleep();
    CRASH_EXPECT(T->word[JOINED] == 0 || !there(), "joined beside %u unfinished", there());
    crash_survivor(finish_all);
  }
  ledger_once();
  CRASH_UNTIL(T->word[JOINED] == 2, "%u of 2 are told that all is done", T->word[JOINED]);
}
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
       .ready = two_joiners, .op = op_leave_consuming, .check = joined);

// Two die with the last one, or with one each.
static void op_try_get_done(void) {
  struct message m;
  if (messages_get(Q, &m, SHOAL_TRY) == 0) task_done();
}
POLICY(done_pair, "pair, task_done, then get and task_done, two joiners asleep", .kind = CRASH_PAIR,
       .setup = joinable_two, .prepare = get_one, .ready = two_joiners, .op = task_done, .prepare2 = consuming,
       .op2 = op_try_get_done, .check = joined);

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
  fixture_open_gate();
  crash_survivor(finish_all);
}
static void other_joined(void) {
  finish_for_the_first();
  CRASH_UNTIL(T->word[JOINED] == 1, "the other joiner is not told");
  ledger_once();
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
  ledger_once();
}
POLICY(done_handed_on, "task_done, a consumer and a joiner asleep", .setup = joinable_one, .prepare = get_one,
       .ready = a_consumer_and_a_joiner, .op = task_done, .check = taken_and_joined);

// ---- the same under a lock ----
POLICY(priority_done, "priority: the last task_done, two joiners asleep", .setup = priority_joinable_one,
       .prepare = get_one, .ready = two_joiners, .op = task_done, .check = joined);
POLICY(priority_done_on, "priority: the last task_done, goes on, two joiners asleep", .kind = CRASH_RESUMED,
       .setup = priority_joinable_one, .prepare = get_one, .ready = two_joiners, .op = task_done, .check = joined);
POLICY(fifo_get_done, "fifo: get and task_done, two joiners asleep", .setup = fifo_joinable_one, .prepare = consuming,
       .ready = two_joiners, .op = op_get_done, .check = joined);
POLICY(fifo_leave, "fifo: leave with one unfinished, two joiners asleep", .setup = fifo_joinable_one,
       .prepare = get_one, .ready = two_joiners, .op = op_leave_consuming, .check = joined);
POLICY(lifo_done_pair, "lifo: pair, task_done, then get and task_done, two joiners asleep", .kind = CRASH_PAIR,
       .setup = lifo_joinable_two, .prepare = get_one, .ready = two_joiners, .op = task_done, .prepare2 = consuming,
       .op2 = op_try_get_done, .check = joined);
POLICY(priority_handed_on, "priority: task_done, a consumer and a joiner asleep", .setup = priority_joinable_one,
       .prepare = get_one, .ready = a_consumer_and_a_joiner, .op = task_done, .check = taken_and_joined);
static void fifo_gated(void) {
  fifo_joinable_one();
  consuming();
  crash_actor(one_more_joins, 0);
  crash_at_gate(1);
}
POLICY(fifo_join_asleep, "fifo: join, asleep before another", .setup = fifo_gated, .op = op_join,
       .asleep = finish_for_the_first, .check = other_joined);
static void one_got(int i) {
  (void)i;
  consuming();
  get_one();
  crash_gate();
  task_done();
}
// The one that is got is done with only when another has been put: at no moment all is.
static void fifo_one_in_hand(void) {
  fifo_joinable_one();
  crash_actor(one_got, 0);
  crash_at_gate(1);
}
static void puts_then_done(void) {
  put_next();
  crash_open_gate();
  CRASH_UNTIL(crash_finished(0), "task_done does not return");
}
static void never_joined(void) { CRASH_EXPECT(there() == 1, "%u unfinished", there()); }
static void op_join_never(void) {
  int rc = shoal_queue_join_tasks(Q, SHOAL_TRY);
  CRASH_EXPECT(rc == -EAGAIN, "joined, and at each moment something was unfinished: %d", rc);
}
POLICY(fifo_never_done, "fifo: try to join, a task puts another before it is done with", .kind = CRASH_RESUMED,
       .setup = fifo_one_in_hand, .op = op_join_never, .stopped = puts_then_done, .check = never_joined);
