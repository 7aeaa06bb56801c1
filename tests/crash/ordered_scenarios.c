// ipc/queue/queue of the kinds FIFO, LIFO and PRIORITY. Claims: what lies in a cell when somebody dies is received,
// once, whole and in order; what was put before put returned is there; nobody sleeps beside a message, a free place,
// the lock of a dead one or beyond the end of the stream; it keeps its capacity, and the roles of the dead are free
// again.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/crash/queue_fixture.h"

static void make(uint32_t kind, uint32_t before, uint32_t inside, uint32_t drop) {
  queue_make((struct shoal_queue_options){.kind = kind, .drop = drop}, before, inside);
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

#define ORDERED(id, text, ...) CRASH_SCENARIO(id, .name = text, .cleanup = queue_unmake, __VA_ARGS__)
#define ALONE(kind, id, text, state, role, what) \
  ORDERED(kind##_##id, #kind ": " text, .setup = kind##_##state, .prepare = role, .op = what, .check = check)
#define ALL_ALONE(kind)                                                                        \
  ALONE(kind, put_empty, "put, empty", empty, producing, op_put);                              \
  ALONE(kind, put_part, "put, part full", part, producing, op_put);                            \
  ALONE(kind, put_full, "try to put, full", full, producing, op_try_put);                      \
  ALONE(kind, put_first, "put, joining by it", part, NULL, op_put);                            \
  ALONE(kind, put_n, "put three at once", one, producing, op_put_n);                           \
  ALONE(kind, get_empty, "try to get, empty", empty, consuming, op_try_get);                   \
  ALONE(kind, get_one, "get, one inside", one, consuming, op_get);                             \
  ALONE(kind, get_full, "get, full", full, consuming, op_get);                                 \
  ALONE(kind, get_n, "get three at once", full, consuming, op_get_n);                          \
  ALONE(kind, commit, "reserve and commit", part, producing, op_reserve_commit);               \
  ALONE(kind, commit_empty, "reserve and commit, empty", empty, producing, op_reserve_commit); \
  ALONE(kind, cancel, "reserve and cancel", part, producing, op_reserve_cancel);               \
  ALONE(kind, release, "receive and release", full, consuming, op_receive_release);            \
  ALONE(kind, again, "receive and return", part, consuming, op_receive_return);                \
  ALONE(kind, again_one, "receive and return, one inside", one, consuming, op_receive_return); \
  ALONE(kind, leave, "leave with a loan in hand", part, receive, op_leave_consuming);          \
  ALONE(kind, leave_reserved, "leave with a reservation", part, reserve, op_leave_producing)
ALL_ALONE(fifo);
ALL_ALONE(lifo);
ALL_ALONE(priority);

static void check_drop(void) {
  crash_survivor(survive);
  uint64_t dropped = shoal_load64_relaxed(&Q->ordered.shm->dropped);
  CRASH_EXPECT(ledger_taken() + dropped <= 1, "%u received, %lu dropped", ledger_taken(), dropped);
}
ORDERED(priority_drop, "priority: receive and release, a dead one's message is dropped", .setup = one_to_drop,
        .prepare = consuming, .op = op_receive_release, .check = check_drop);

// ---- contended: others sleep for a message ----
static void two_asleep(void) {
  lifo_empty();
  fixture_asleep(consumer, 2);
}
static void two_asleep_by_priority(void) {
  priority_empty();
  fixture_asleep(consumer, 2);
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
  fixture_gated(consumer, 2);
}
ORDERED(get_first, "lifo: get, asleep before two others", .setup = empty_gated, .prepare = consuming, .op = op_get,
        .asleep = first_in_line, .check = first_in_line_died);
ORDERED(get_last, "lifo: get, asleep behind two others", .setup = two_asleep, .prepare = consuming,
        .ready = crash_all_asleep, .op = op_get, .asleep = last_in_line, .check = consumers_go_on);

// Somebody sleeps for what the victim holds.
static void one_more(void) { fixture_asleep(consumer, 1); }
ORDERED(loan_return, "priority: return, another asleep", .setup = priority_one, .prepare = receive, .ready = one_more,
        .op = op_return, .check = consumers_go_on);
ORDERED(loan_leave, "lifo: leave with a loan in hand, another asleep", .setup = lifo_one, .prepare = receive,
        .ready = one_more, .op = op_leave_consuming, .check = consumers_go_on);

// ---- for room ----
static void full_two_putters(void) {
  priority_full();
  consuming();
  fixture_asleep(producer, 2);
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
  fixture_gated(producer, 1);
}
ORDERED(room_put, "lifo: put, asleep for room before another", .setup = full_gated, .prepare = producing, .op = op_put,
        .asleep = first_for_room, .check = first_for_room_died);

// ---- for the lock: the victim is inside, or before, or behind it; three come meanwhile, and sleep if they must ----
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

// ---- somebody is stopped inside, and the victim ends what it holds: after a second it does so from outside ----
static void one_inside(void) {
  T->word[TOGETHER] = 1;  // what is given back is among those of its age
  crash_actor(inside_until_told, 0);
  crash_at_gate(1);
}
static void goes_on_inside(void) {
  crash_open_gate();
  CRASH_UNTIL(crash_finished(0), "it does not come out");
}
static void ended_outside(void) {
  goes_on_inside();
  check_but_put();
}
static void op_commit_in_vain(void) {
  int rc = shoal_queue_commit(Q, &loan);
  CRASH_EXPECT(rc == -ETIMEDOUT && loan.data, "commit answered %d", rc);
}
#define OUTSIDE(by, id, state, role, what)                                                                    \
  ORDERED(by##_outside_##id, #by ": " #id ", one stopped inside", .setup = by##_##state, .prepare = role,     \
          .ready = one_inside, .op = what, .asleep = a_second_passes, .check = ended_outside, .times = 14);   \
  ORDERED(by##_outside_on_##id, #by ": " #id ", one stopped inside, all go on", .kind = CRASH_RESUMED,        \
          .setup = by##_##state, .prepare = role, .ready = one_inside, .op = what, .asleep = a_second_passes, \
          .resumed = goes_on_inside, .check = ended_outside);                                                 \
  ORDERED(by##_outside_pair_##id, #by ": pair, " #id ", one stopped inside, then get", .kind = CRASH_PAIR,    \
          .setup = by##_##state, .prepare = role, .ready = one_inside, .op = what, .asleep = a_second_passes, \
          .prepare2 = consuming, .ready2 = goes_on_inside, .op2 = op_try_get, .check = check_but_put)
OUTSIDE(fifo, release, full, receive, release);
OUTSIDE(lifo, return, part, receive, op_return);
OUTSIDE(priority, cancel, part, reserve, op_cancel);
OUTSIDE(fifo, cancel, empty, reserve, op_cancel);
ORDERED(commit_in_vain, "fifo: commit, one stopped inside", .setup = fifo_part, .prepare = reserve, .ready = one_inside,
        .op = op_commit_in_vain, .asleep = a_second_passes, .check = ended_outside);

// Of the last reservation, and it is closed: who waits is told of the end, even if that one dies untold.
static void closed_one_inside(void) {
  shoal_queue_close(Q);
  one_inside();
}
static void the_end_is_told(void) {
  goes_on_inside();
  crash_actor(consumer, 0);
  fixture_told(1);
  check_but_put();
}
ORDERED(outside_end, "fifo: cancel after the close, one stopped inside", .setup = fifo_empty, .prepare = reserve,
        .ready = closed_one_inside, .op = op_cancel, .asleep = a_second_passes, .check = the_end_is_told, .times = 14);
ORDERED(outside_end_on, "fifo: cancel after the close, one stopped inside, all go on", .kind = CRASH_RESUMED,
        .setup = fifo_empty, .prepare = reserve, .ready = closed_one_inside, .op = op_cancel, .asleep = a_second_passes,
        .resumed = goes_on_inside, .check = the_end_is_told);

// Who leaves then is told that nothing has changed, and leaves later; who meets a dead one gives its role up again,
// dead as it was.
static void op_leave_at_last(void) {
  int rc;
  while ((rc = shoal_queue_leave(Q, SHOAL_CONSUMER)) == -ETIMEDOUT)
    CRASH_EXPECT(shoal_role_known(&Q->wait, SHOAL_CONSUMER), "it has left");
  CRASH_EXPECT(rc == 0, "leave answered %d", rc);
}
static void a_second_passes_then_it_goes_on(void) {
  if (T->word[TURN]++) goes_on_inside();
  else a_second_passes();
}
static void goes_on_if_not_yet(void) {
  if (!T->gate) goes_on_inside();
}
static void left_at_last(void) {
  goes_on_if_not_yet();
  check_but_put();
}
#define LEAVE(id, text, ...)                                                                                       \
  ORDERED(id, "lifo: leave, one stopped inside" text, .setup = lifo_part, .prepare = receive, .ready = one_inside, \
          .op = op_leave_at_last, .asleep = a_second_passes_then_it_goes_on, __VA_ARGS__)
LEAVE(leave_at_last, "", .check = left_at_last);
LEAVE(leave_at_last_on, ", all go on", .kind = CRASH_RESUMED, .resumed = goes_on_if_not_yet, .check = left_at_last);

static void dies_with_one(int i) {
  (void)i;
  receive();
}
static void one_dead_one_inside(void) {
  crash_actor(dies_with_one, 0);
  CRASH_UNTIL(crash_finished(0), "nothing is received");
  one_inside();
  crash_kill(0);
}
static void op_get_in_vain(void) {
  struct message m;
  int rc = messages_get(Q, &m, SHOAL_TRY);
  CRASH_EXPECT(rc == -ETIMEDOUT || (rc == 0 && T->gate), "get answered %d", rc);
  if (rc == 0) took(&m);
}
static void goes_on_beside_the_dead(void) {
  if (!T->gate) crash_open_gate();
  CRASH_UNTIL(crash_finished(1), "it does not come out");
}
static void the_dead_ones_comes(void) {
  goes_on_beside_the_dead();
  check_but_put();
}
// Another comes while the victim looks after the dead one, and watches it; that one is its heir.
static void one_watches(void) {
  if (!T->word[TURN]) crash_actor(gets_one, 0);
  T->word[TURN] = 1;
  crash_all_asleep_or_finished();
  a_second_passes();
}
static void the_one_that_watched_has_it(void) {
  if (!T->word[TURN]) crash_actor(gets_one, 0);
  goes_on_beside_the_dead();
  all_through();
}
#define DEAD(by, id, text, ...)                                                                                   \
  ORDERED(by##_dead_##id, #by ": get, another dead with the message, one stopped inside" text, .setup = by##_one, \
          .prepare = consuming, .ready = one_dead_one_inside, .op = op_get_in_vain, __VA_ARGS__)
DEAD(fifo, alone, "", .asleep = a_second_passes, .check = the_dead_ones_comes);
DEAD(lifo, on, ", all go on", .kind = CRASH_RESUMED, .asleep = a_second_passes, .resumed = goes_on_beside_the_dead,
     .check = the_dead_ones_comes);
DEAD(fifo, watched, ", a third comes", .asleep = one_watches, .check = the_one_that_watched_has_it);
// Another comes while the victim stands, and adopts what that has given up; it leads the kernel to all of the victim's
// words still.
static void another_adopts(void) {
  goes_on_beside_the_dead();
  crash_actor(gets_one, 0);
  crash_all_asleep_or_finished();
}
static void its_words_are_marked(void) {
  for (uint32_t r = 1; r <= Q->wait.count[SHOAL_PRODUCER] + Q->wait.count[SHOAL_CONSUMER]; r++) {
    uint32_t tid = shoal_robust_owner(shoal_load32_relaxed(&shoal_role_at_(&Q->wait, r)->live.word));
    CRASH_EXPECT(!tid || syscall(SYS_tkill, tid, 0) == 0, "role %u is of one who is gone", r);
  }
  all_through();
}
DEAD(fifo, adopted, ", a third adopts it", .asleep = a_second_passes, .stopped = another_adopts,
     .check = its_words_are_marked, .times = 6);
DEAD(priority, pair, ", then another get", .kind = CRASH_PAIR, .asleep = a_second_passes, .prepare2 = consuming,
     .ready2 = goes_on_beside_the_dead, .op2 = op_try_get, .check = check_but_put);

// ---- the end of the stream ----
static void empty_three_asleep(void) {
  priority_empty();
  fixture_asleep(consumer, 3);
}
static void closed_or_not(void) {
  if (!is_closed()) shoal_queue_close(Q);
  fixture_told(3);
}
ORDERED(close, "priority: close, three consumers asleep", .setup = empty_three_asleep, .ready = crash_all_asleep,
        .op = op_close, .check = closed_or_not);
static void reserved_and_closed(void) {
  fixture_asleep(consumer, 3);
  shoal_queue_close(Q);
  crash_all_asleep();
}
static void told_after_it(void) {
  fixture_told(3);
  CRASH_EXPECT(there() == 0, "told of the end beside a message");
  CRASH_EXPECT(ledger_mine() >= T->word[ACKNOWLEDGED], "%u put, %u came", T->word[ACKNOWLEDGED], ledger_mine());
}
ORDERED(end_commit, "lifo: commit after the close, three asleep", .setup = lifo_empty, .prepare = reserve,
        .ready = reserved_and_closed, .op = op_commit, .check = told_after_it);
ORDERED(end_cancel, "lifo: cancel after the close, three asleep", .setup = lifo_empty, .prepare = reserve,
        .ready = reserved_and_closed, .op = op_cancel, .check = told_after_it);

ORDERED(end_commit_on, "lifo: commit after the close, three asleep, goes on", .kind = CRASH_RESUMED,
        .setup = lifo_empty, .prepare = reserve, .ready = reserved_and_closed, .op = op_commit, .check = told_after_it);
ORDERED(end_cancel_on, "lifo: cancel after the close, three asleep, goes on", .kind = CRASH_RESUMED,
        .setup = lifo_empty, .prepare = reserve, .ready = reserved_and_closed, .op = op_cancel, .check = told_after_it);

// Another tries meanwhile: nothing is there yet, or it waits for who is inside; it is not the end.
static void tries(int i) {
  struct message m;
  (void)i;
  consuming();
  int rc = messages_get(Q, &m, SHOAL_TRY);
  if (rc == 0) took(&m);
  CRASH_EXPECT(rc != -EPIPE || !there(), "told of the end beside a message");
}
static void one_tries(void) {
  crash_actor(tries, 0);
  crash_all_asleep_or_finished();
}
static void tried(void) {
  CRASH_UNTIL(crash_all_finished(), "who tries does not come back");
  check();
}
ORDERED(end_commit_tried, "lifo: commit after the close, another tries, goes on", .kind = CRASH_RESUMED,
        .setup = lifo_empty, .prepare = reserve, .ready = op_close, .op = op_commit, .stopped = one_tries,
        .check = tried);

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
