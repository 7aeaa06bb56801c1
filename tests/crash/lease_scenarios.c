// ipc/queue/queue_lease. Claims: what is received under a lease is released once, by its holder or by whoever took it
// back, wherever either of them is killed or stopped; what was delivered in vain is among the dead letters, at least
// once, or is delivered.
#include <sys/mman.h>

#include "ipc/queue/queue_internal.h"
#include "ipc/queue/select.h"
#include "tests/crash/queue_fixture.h"

SHOAL_SELECT_TYPED(messages, struct message)

#define BYTES (16u * 1024)
#define POLICY(id, text, ...) CRASH_SCENARIO(id, .name = "policy: " text, .cleanup = queue_unmake, __VA_ARGS__)

// ---- leases of less than an hour, and the clock is set forward ----
#define HOUR UINT64_C(3600000000000)
#define E ((struct shoal_event *)T->raw)  // never set
static uint32_t kind = SHOAL_QUEUE_MPMC;
static void make(struct shoal_queue_options options, uint32_t inside) {
  CRASH_OK(shoal_event_init(E));
  options.kind = kind;
  queue_make(options, 0, inside);
}
// The same of a kind that works under a lock.
#define OF_KIND(setup, name, KIND)   \
  static void setup##_##name(void) { \
    kind = KIND;                     \
    setup();                         \
    kind = SHOAL_QUEUE_MPMC;         \
  }
static void leased(uint32_t inside) { make((struct shoal_queue_options){.lease_ns = HOUR / 2}, inside); }
static void leased_two(void) { leased(2); }
static void op_extend_release(void) {
  int rc = shoal_queue_extend(Q, &loan);
  CRASH_EXPECT(rc == 0 || rc == -ETIMEDOUT, "extend answered %d", rc);
  release();
}
static void release_all(void) {
  for (int idle = 0; idle < 3; idle += !loan.data) {
    release();
    receive();
  }
}
// Stopped under the lock it holds up all, as queue.h says: there is nobody who could go on.
static int is_inside(void) {
  return Q->kind != SHOAL_QUEUE_MPMC && shoal_load32_relaxed(&Q->ordered.shm->lock.word) & SHOAL_ROLE_LOCK_OWNER_;
}
static void time_passes(void) {
  T->late++;
  crash_survivor(release_all);
  T->late++;  // of those that were told of their hour only now
  crash_survivor(release_all);
}
static void time_passes_outside(void) {
  if (!is_inside()) time_passes();
}
static void each_released_once(void) {
  time_passes();
  ledger_once();
  CRASH_EXPECT(ledger_taken() == 2, "%u released of two", ledger_taken());
  crash_kill_victim();
  crash_survivor(survive);
  ledger_once();
}
POLICY(lease_resumed, "receive and release, its time runs out, goes on", .kind = CRASH_RESUMED, .setup = leased_two,
       .prepare = consuming, .op = op_receive_release, .stopped = time_passes, .check = each_released_once);
POLICY(extend_resumed, "extend and release, its time runs out, goes on", .kind = CRASH_RESUMED, .setup = leased_two,
       .prepare = receive, .op = op_extend_release, .stopped = time_passes, .check = each_released_once);

// Released by the dead, or by who comes later.
static void check_leased(void) {
  uint32_t before = ledger_taken(), inside = there();
  time_passes();
  ledger_once();
  CRASH_EXPECT(ledger_taken() == before + inside, "%u in the ring, %u were released", inside, ledger_taken() - before);
  crash_survivor(survive);
}
POLICY(lease, "receive and release, leased", .setup = leased_two, .prepare = consuming, .op = op_receive_release,
       .check = check_leased);
POLICY(extend, "extend and release, leased", .setup = leased_two, .prepare = receive, .op = op_extend_release,
       .check = check_leased);

// Given back, left behind, or got: each is released once all the same.
static void op_return_in_time(void) {
  int rc = shoal_queue_return(Q, &loan);
  CRASH_EXPECT(rc == 0 || rc == -ETIMEDOUT, "return answered %d", rc);
}
POLICY(lease_return, "return, leased", .setup = leased_two, .prepare = receive, .op = op_return, .check = check_leased);
POLICY(lease_return_resumed, "return, its time runs out, goes on", .kind = CRASH_RESUMED, .setup = leased_two,
       .prepare = receive, .op = op_return_in_time, .stopped = time_passes, .check = each_released_once);
POLICY(lease_leave, "leave with a leased one in hand", .setup = leased_two, .prepare = receive,
       .op = op_leave_consuming, .check = check_leased);
POLICY(lease_get, "get, leased", .setup = leased_two, .prepare = consuming, .op = op_get, .check = check_leased);

// Another sleeps for what is given back.
static void leased_one(void) { leased(1); }
static void one_more(void) { fixture_asleep(consumer, 1); }
static void handed_on(void) {
  CRASH_UNTIL(T->taken[1], "what was given back is left beside a sleeping consumer");
  ledger_once();
}
POLICY(lease_return_wake, "return, leased, another asleep, goes on", .kind = CRASH_RESUMED, .setup = leased_one,
       .prepare = receive, .ready = one_more, .op = op_return, .check = handed_on);

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
       .prepare = consuming, .op = op_receive_release, .prepare2 = consuming, .op2 = op_receive_release,
       .check = check_leased);
// Who only looks lets go of it.
static void op_look(void) {
  struct message m;
  int rc = messages_peek(Q, &m, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 && m.id == 1, "peek answered %d", rc);
}
POLICY(let_go, "peek, a lease has run out", .setup = held_too_long, .prepare = consuming, .op = op_look,
       .check = check_leased);
POLICY(let_go_pair, "pair, peek, a lease has run out; take back and release", .kind = CRASH_PAIR,
       .setup = held_too_long, .prepare = consuming, .op = op_look, .prepare2 = consuming, .op2 = op_receive_release,
       .check = check_leased);
POLICY(take_back_stalled, "stopped, take back and release; another dies in it", .kind = CRASH_STALLED,
       .setup = held_too_long, .prepare = consuming, .op = op_receive_release, .prepare2 = consuming,
       .op2 = op_receive_release, .check = check_leased);

POLICY(extend_pair, "pair, extend and release, then take back", .kind = CRASH_PAIR, .setup = leased_two,
       .prepare = receive, .op = op_extend_release, .prepare2 = consuming, .op2 = op_receive_release,
       .check = check_leased);

// The victim sleeps when the time runs out, before another: whichever wakes by its timer has the message.
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
  fixture_open_gate();
  if (!there()) put_next();  // the other was faster, and takes no more
  crash_deadline_passes(&Q->wait.shm->ev[SHOAL_CONSUMER]);
}
static void taken_by_the_other(void) {
  the_time_runs_out();
  CRASH_UNTIL(there() == 0 || crash_all_finished(), "what a sleeping holder has is not delivered again");
}
POLICY(due, "get, asleep until a lease runs out, before another", .setup = held_one_gated, .prepare = consuming,
       .op = op_get, .asleep = the_time_runs_out, .check = taken_by_the_other);

// ---- dead letters ----
static struct shoal_queue *D;
enum {
  BURIED = QUEUE_WORDS,  // T->word: how often the first is among them
  CLEARED                // how many a clear has dropped
};
// What is delivered once in vain goes there; the first of `inside` has been.
static void in_vain_of(struct shoal_queue_options options, uint32_t inside) {
  static void *memory;
  if (!memory) memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  memset(memory, 0, BYTES);
  options.delivery_max = 1;
  make(options, inside);
  queue_place(memory, BYTES, (struct shoal_queue_options){0}, &D);
  receive();
  op_return();
  shoal_queue_leave(Q, SHOAL_CONSUMER);
  T->word[HELD] = 0;
  Q->dead = D;
}
static void in_vain(uint64_t lease_ns, uint32_t inside) {
  in_vain_of((struct shoal_queue_options){.lease_ns = lease_ns}, inside);
}
static void once_in_vain(void) { in_vain(0, 2); }
static void once_in_vain_leased(void) { in_vain(HOUR / 2, 2); }
static void no_room_for_it(void) {
  in_vain(0, 2);
  for (uint32_t id = 50; id < 50 + CAPACITY; id++) {
    struct message m = message(id);
    CRASH_EXPECT(messages_put(D, &m, SHOAL_TRY) == 0, "no room among the dead letters");
  }
}
static void take_dead_letters(void) {
  struct message m;
  for (int rc, idle = 0; idle < 3; idle += rc != 0) {
    rc = messages_get(D, &m, SHOAL_TRY);
    if (rc) continue;
    CRASH_EXPECT(m.not_id == ~m.id && (m.id - 1 < 2 || m.id - 50 < CAPACITY), "%x %x among the dead letters", m.id,
                 m.not_id);
    if (m.id == 1) T->word[BURIED]++;
    else took(&m);  // the victim died with it in hand
  }
}
// Each death, or end of a lease, between the copy and the end of the message makes one copy more.
static void buried(uint32_t most) {
  crash_survivor(release_all);
  crash_survivor(take_dead_letters);
  CRASH_EXPECT(T->word[BURIED] - 1 < most, "buried %u times", T->word[BURIED]);
  CRASH_EXPECT(T->taken[1] == 0, "delivered once more");
  CRASH_EXPECT(there() == 0, "%u messages left in the ring", there());
}
static void check_buried(void) {
  buried(crash_victim_finished() ? 1 : 2);
  ledger_once();
}
static void check_buried_late(void) {
  time_passes();
  buried(2);
  ledger_once();
  CRASH_EXPECT(T->taken[2] == 1, "the other came %u times", T->taken[2]);
}
static void check_buried_pair(void) {
  buried(3);
  CRASH_EXPECT(T->taken[2] <= 2, "the other came %u times", T->taken[2]);
}
// It is delivered all the same, and nothing is pushed out.
static void check_no_room(void) {
  uint32_t inside = there(), before = ledger_taken();
  crash_survivor(release_all);
  CRASH_EXPECT(ledger_taken() == before + inside, "%u in the ring, %u came out", inside, ledger_taken() - before);
  crash_survivor(take_dead_letters);
  ledger_once();
  for (uint32_t id = 50; id < 50 + CAPACITY; id++) CRASH_EXPECT(T->taken[id] == 1, "a dead letter is lost");
}
POLICY(bury, "receive and release, one goes to dead letters", .setup = once_in_vain, .prepare = consuming,
       .op = op_receive_release, .check = check_buried);
POLICY(bury_get, "get, one goes to dead letters", .setup = once_in_vain, .prepare = consuming, .op = op_get,
       .check = check_buried);
POLICY(bury_full, "receive and release, there is no room among the dead letters", .setup = no_room_for_it,
       .prepare = consuming, .op = op_receive_release, .check = check_no_room);
POLICY(bury_late, "receive and release, one goes to dead letters, its time runs out, goes on", .kind = CRASH_RESUMED,
       .setup = once_in_vain_leased, .prepare = consuming, .op = op_receive_release, .stopped = time_passes,
       .check = check_buried_late);
POLICY(bury_pair, "pair, receive and release, one goes to dead letters, twice", .kind = CRASH_PAIR,
       .setup = once_in_vain, .prepare = consuming, .op = op_receive_release, .prepare2 = consuming,
       .op2 = op_receive_release, .check = check_buried_pair);

// ---- under a lock: the same, of the kinds whose cells lie there ----
OF_KIND(leased_two, by_priority, SHOAL_QUEUE_PRIORITY)
OF_KIND(leased_one, by_priority, SHOAL_QUEUE_PRIORITY)
OF_KIND(held_too_long, by_priority, SHOAL_QUEUE_PRIORITY)
OF_KIND(held_too_long, in_a_stack, SHOAL_QUEUE_LIFO)
OF_KIND(once_in_vain, in_line, SHOAL_QUEUE_FIFO)
OF_KIND(once_in_vain_leased, in_line, SHOAL_QUEUE_FIFO)
OF_KIND(no_room_for_it, in_line, SHOAL_QUEUE_FIFO)

POLICY(cell_lease, "priority: receive and release, leased", .setup = leased_two_by_priority, .prepare = consuming,
       .op = op_receive_release, .check = check_leased);
POLICY(cell_lease_resumed, "priority: receive and release, its time runs out, goes on", .kind = CRASH_RESUMED,
       .setup = leased_two_by_priority, .prepare = consuming, .op = op_receive_release, .stopped = time_passes_outside,
       .check = each_released_once);
POLICY(cell_extend, "priority: extend and release, leased", .setup = leased_two_by_priority, .prepare = receive,
       .op = op_extend_release, .check = check_leased);
POLICY(cell_extend_resumed, "priority: extend and release, its time runs out, goes on", .kind = CRASH_RESUMED,
       .setup = leased_two_by_priority, .prepare = receive, .op = op_extend_release, .stopped = time_passes_outside,
       .check = each_released_once);
POLICY(cell_return, "priority: return, leased", .setup = leased_two_by_priority, .prepare = receive, .op = op_return,
       .check = check_leased);
POLICY(cell_return_wake, "priority: return, leased, another asleep, goes on", .kind = CRASH_RESUMED,
       .setup = leased_one_by_priority, .prepare = receive, .ready = one_more, .op = op_return, .check = handed_on);
POLICY(cell_leave, "priority: leave with a leased one in hand", .setup = leased_two_by_priority, .prepare = receive,
       .op = op_leave_consuming, .check = check_leased);
POLICY(cell_get, "priority: get, leased", .setup = leased_two_by_priority, .prepare = consuming, .op = op_get,
       .check = check_leased);
POLICY(cell_back, "priority: take back and release", .setup = held_too_long_by_priority, .prepare = consuming,
       .op = op_receive_release, .check = check_leased);
POLICY(cell_back_lifo, "lifo: take back and release", .setup = held_too_long_in_a_stack, .prepare = consuming,
       .op = op_receive_release, .check = check_leased);
POLICY(cell_back_pair, "pair, priority: take back and release, twice", .kind = CRASH_PAIR,
       .setup = held_too_long_by_priority, .prepare = consuming, .op = op_receive_release, .prepare2 = consuming,
       .op2 = op_receive_release, .check = check_leased);
POLICY(cell_look, "priority: peek, a lease has run out", .setup = held_too_long_by_priority, .prepare = consuming,
       .op = op_look, .check = check_leased);
POLICY(cell_bury, "fifo: receive and release, one goes to dead letters", .setup = once_in_vain_in_line,
       .prepare = consuming, .op = op_receive_release, .check = check_buried);
POLICY(cell_bury_full, "fifo: receive and release, there is no room among the dead letters",
       .setup = no_room_for_it_in_line, .prepare = consuming, .op = op_receive_release, .check = check_no_room);
POLICY(cell_bury_late, "fifo: receive and release, one goes to dead letters, its time runs out, goes on",
       .kind = CRASH_RESUMED, .setup = once_in_vain_leased_in_line, .prepare = consuming, .op = op_receive_release,
       .stopped = time_passes_outside, .check = check_buried_late);

// A put, while a lease is taken back.
static void room_for_one(void) { leased(CAPACITY - 1); }
OF_KIND(room_for_one, by_priority, SHOAL_QUEUE_PRIORITY)
static void time_passes_and_one_comes(void) {
  if (is_inside()) return;
  T->late++;
  put_next();
  crash_survivor(release_all);
}
static void all_released_once(void) {
  time_passes();
  ledger_once();
  CRASH_EXPECT(ledger_taken() == T->word[NEXT], "%u released of %u", ledger_taken(), T->word[NEXT]);
  crash_kill_victim();
  crash_survivor(survive);
  ledger_once();
}
POLICY(lease_put, "receive and release, its time runs out, one is put, goes on", .kind = CRASH_RESUMED,
       .setup = room_for_one, .prepare = consuming, .op = op_receive_release, .stopped = time_passes_and_one_comes,
       .check = all_released_once);
POLICY(cell_put, "priority: receive and release, its time runs out, one is put, goes on", .kind = CRASH_RESUMED,
       .setup = room_for_one_by_priority, .prepare = consuming, .op = op_receive_release,
       .stopped = time_passes_and_one_comes, .check = all_released_once);

// ---- a consumer that is stopped on its way, at its claim, its copy, its release, for longer than its lease; others release what it
// had, and the next messages lie where that lay ----
OF_KIND(leased_two, in_line, SHOAL_QUEUE_FIFO)
OF_KIND(leased_two, in_a_stack, SHOAL_QUEUE_LIFO)
#define LONG 8u  // hours: a second that passes is one
// The victim has claimed a message, and another is stopped inside: after a second it answers that it has none, and the
// message stays leased; or it had not claimed it yet, and is told so, too.
static void another_goes_inside(void) {
  if (is_inside()) return;
  crash_actor(inside_until_told, 0);
  crash_at_gate(1);
}
static void op_get_or_not(void) {
  struct message m;
  int rc = messages_get(Q, &m, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || rc == -ETIMEDOUT, "get answered %d", rc);
  if (rc == 0) took(&m);
}
static void op_clear_or_not(void) {
  int n = shoal_queue_clear(Q);
  CRASH_EXPECT(n >= 0 || n == -ETIMEDOUT, "clear answered %d", n);
  T->word[CLEARED] = (uint32_t)(n > 0 ? n : 0);
}
// What stayed in hand, the task_done of the next would end, and not what was got.
static void op_finish(const struct message *m) {
  int rc;
  took(m);
  while ((rc = shoal_queue_task_done(Q)) == -ETIMEDOUT) continue;
  CRASH_EXPECT(rc == 0, "task_done answered %d", rc);
}
static void op_clear_then_finish(void) {
  struct message m;
  op_clear_or_not();
  if (messages_get(Q, &m, SHOAL_TRY) == 0) op_finish(&m);
}
static void op_get_then_finish(void) {
  struct message m;
  int rc = messages_get(Q, &m, SHOAL_TRY);
  if (rc == -ETIMEDOUT) rc = messages_get(Q, &m, SHOAL_TRY);
  if (rc == 0) op_finish(&m);
}
static void it_goes_on(void) {
  if (!T->gate) crash_open_gate();
}
static void a_second_passes_then_it_goes_on(void) {
  if (!T->at_gate) return;
  crash_victim_asleep_or_finished();
  a_second_passes();
  crash_victim_asleep_or_finished();
  it_goes_on();
}
static void both_came_or_were_dropped(void) {
  it_goes_on();
  T->late += LONG;
  time_passes();
  ledger_once();
  CRASH_EXPECT(ledger_taken() + T->word[CLEARED] == 2, "%u came, %u were dropped, of two", ledger_taken(),
               T->word[CLEARED]);
}
static void each_got_or_dropped_once(void) {
  both_came_or_were_dropped();
  crash_kill_victim();
  crash_survivor(survive);
  ledger_once();
}
static void leased_long(void) { make((struct shoal_queue_options){.lease_ns = LONG * HOUR}, 2); }
static void joinable_leased_long(void) {
  make((struct shoal_queue_options){.lease_ns = LONG * HOUR, .joinable = 1}, 2);
}
OF_KIND(leased_long, in_line, SHOAL_QUEUE_FIFO)
OF_KIND(joinable_leased_long, in_line, SHOAL_QUEUE_FIFO)
#define BARRED(id, text, state, what, look)                                                               \
  POLICY(barred_##id, text ", another is stopped inside, goes on", .kind = CRASH_RESUMED, .setup = state, \
         .prepare = consuming, .op = what, .stopped = another_goes_inside, .asleep = a_second_passes,     \
         .resumed = a_second_passes_then_it_goes_on, .check = look)
// One of the two was delivered in vain, and goes to dead letters with the victim's get: its copy there comes first, and
// who cannot go in to end it leaves it to its lease, after which there is one copy more.
static void once_in_vain_long(void) { in_vain(LONG * HOUR, 2); }
OF_KIND(once_in_vain_long, in_line, SHOAL_QUEUE_FIFO)
static void buried_and_got(void) {
  it_goes_on();
  T->late += LONG;
  time_passes();
  T->late += LONG;  // of what was taken back meanwhile
  time_passes();
  buried(2);
  ledger_once();
  CRASH_EXPECT(T->taken[2] == 1, "the other came %u times", T->taken[2]);
}
// Joinable: it is got all the same, whether it has been moved or not.
static void joinable_once_in_vain_long(void) {
  in_vain_of((struct shoal_queue_options){.lease_ns = LONG * HOUR, .joinable = 1}, 2);
}
OF_KIND(joinable_once_in_vain_long, in_line, SHOAL_QUEUE_FIFO)
static void buried_or_got(void) {
  it_goes_on();
  T->late += LONG;
  time_passes();
  T->late += LONG;
  time_passes();
  crash_survivor(take_dead_letters);
  ledger_once();
  CRASH_EXPECT(T->word[BURIED] + T->taken[1] >= 1 && T->word[BURIED] <= 2, "buried %u times, and came %u times",
               T->word[BURIED], T->taken[1]);
  CRASH_EXPECT(T->taken[2] == 1, "the other came %u times", T->taken[2]);
  CRASH_EXPECT(there() == 0, "%u messages left in the ring", there());
}
BARRED(bury_finish, "fifo: get and task_done, leased, one goes to dead letters", joinable_once_in_vain_long_in_line,
       op_get_then_finish, buried_or_got);
BARRED(bury, "fifo: get, leased, one goes to dead letters", once_in_vain_long_in_line, op_get_or_not, buried_and_got);
BARRED(get, "fifo: get, leased", leased_long_in_line, op_get_or_not, each_got_or_dropped_once);
BARRED(clear, "fifo: clear, leased", leased_long_in_line, op_clear_or_not, each_got_or_dropped_once);
BARRED(finish, "fifo: clear, then get and task_done, leased", joinable_leased_long_in_line, op_clear_then_finish,
       both_came_or_were_dropped);

// A lease is ended by its holder, who cannot go in, while the victim is inside and looks which have run out: the other
// one has. It is due from then on, whatever the victim has seen.
static void holds_and_lets_go(int i) {
  (void)i;
  receive();
  crash_gate();
  shoal_queue_not_got_(Q, &loan);
}
static void one_due_one_held(void) {
  make((struct shoal_queue_options){.lease_ns = LONG * HOUR}, 2);
  crash_actor(holder_lives, 0);
  CRASH_UNTIL(crash_finished(0), "nobody holds it");
  T->late += LONG - 1;
  crash_actor(holds_and_lets_go, 1);
  crash_at_gate(1);
  T->late += 2;
}
OF_KIND(one_due_one_held, in_line, SHOAL_QUEUE_FIFO)
static void other_lets_go(void) {
  crash_open_gate();
  crash_all_asleep_or_finished();
  if (!crash_finished(1)) a_second_passes();
  CRASH_UNTIL(crash_finished(1), "who cannot go in waits for more than a second");
}
static void both_are_due(void) {
  crash_survivor(release_all);
  ledger_once();
  CRASH_EXPECT(ledger_taken() == 2, "%u came at once, of two", ledger_taken());
}
POLICY(let_go_beside, "fifo: get, a lease has run out, another's is let go, goes on", .kind = CRASH_RESUMED,
       .setup = one_due_one_held_in_line, .prepare = consuming, .op = op_get, .stopped = other_lets_go,
       .check = both_are_due);

static void op_try_get_n(void) {
  struct message m[3];
  int n = messages_get_n(Q, m, 3, SHOAL_TRY);
  CRASH_EXPECT(n > 0 || n == -EAGAIN, "get_n answered %d", n);
  for (int i = 0; i < n; i++) took(&m[i]);
}
static void others_come_and_go(void) {
  if (is_inside()) return;
  time_passes();
  while (can_put()) put_next();
}
// Of what was put since no time has run out: nobody but who took it has it.
static void all_received_once(void) {
  crash_survivor(release_all);
  ledger_once();
  all_released_once();
}
#define LATE(id, text, state, role, what, look)                                                                     \
  POLICY(late_##id, text ", its time runs out, others come and go, goes on", .kind = CRASH_RESUMED, .setup = state, \
         .prepare = role, .op = what, .stopped = others_come_and_go, .check = look)
#define LATE_OF_KIND(id, of, state)                                                                      \
  LATE(id##_get, of "get", state, consuming, op_try_get, all_received_once);                             \
  LATE(id##_get_n, of "get three at once", state, consuming, op_try_get_n, all_received_once);           \
  LATE(id##_release, of "receive and release", state, consuming, op_receive_release, all_received_once); \
  LATE(id##_return, of "return", state, receive, op_return_in_time, all_received_once)
LATE_OF_KIND(mpmc, "", leased_two);
LATE_OF_KIND(fifo, "fifo: ", leased_two_in_line);
LATE_OF_KIND(lifo, "lifo: ", leased_two_in_a_stack);
LATE_OF_KIND(priority, "priority: ", leased_two_by_priority);

// Joinable: what a get answers is in hand, or was until its time ran out; it is not the next message, which nobody has
// got.
static void joinable_leased_two(void) { make((struct shoal_queue_options){.lease_ns = HOUR / 2, .joinable = 1}, 2); }
OF_KIND(joinable_leased_two, in_line, SHOAL_QUEUE_FIFO)
OF_KIND(joinable_leased_two, by_priority, SHOAL_QUEUE_PRIORITY)
static void op_get_and_finish(void) {
  struct message m;
  int rc = messages_get(Q, &m, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN, "get answered %d (%s)", rc, shoal_reason());
  if (rc) return;
  rc = shoal_queue_task_done(Q);
  CRASH_EXPECT(rc == 0 || (rc == -ETIMEDOUT && m.id <= 2), "got %u, and task_done answered %d (%s)", m.id, rc,
               shoal_reason());
  if (rc == 0) took(&m);
}
static void all_finished_once(void) {
  crash_survivor(release_all);
  ledger_once();
  time_passes();
  ledger_once();
  CRASH_EXPECT(ledger_taken() == T->word[NEXT], "%u released of %u", ledger_taken(), T->word[NEXT]);
}
LATE(joinable, "get and task_done", joinable_leased_two, consuming, op_get_and_finish, all_finished_once);
LATE(fifo_joinable, "fifo: get and task_done", joinable_leased_two_in_line, consuming, op_get_and_finish,
     all_finished_once);
LATE(priority_joinable, "priority: get and task_done", joinable_leased_two_by_priority, consuming, op_get_and_finish,
     all_finished_once);

// A dead letter is what was delivered in vain, not what lies there since: take_dead_letters() knows that from its id.
static void check_buried_alone(void) {
  crash_survivor(release_all);
  crash_survivor(take_dead_letters);
  ledger_once();
  CRASH_EXPECT(T->word[BURIED] >= 1, "it is nowhere");
  for (uint32_t id = 2; id <= T->word[NEXT]; id++)
    CRASH_EXPECT(T->taken[id] == 1, "%u came %u times", id, T->taken[id]);
}
LATE(bury, "receive and release, one goes to dead letters", once_in_vain_leased, consuming, op_receive_release,
     check_buried_alone);
LATE(fifo_bury, "fifo: receive and release, one goes to dead letters", once_in_vain_leased_in_line, consuming,
     op_receive_release, check_buried_alone);

// ---- in a select ----
static void select_within(shoal_deadline deadline) {
  struct message m;
  struct shoal_case c[] = {messages_on_get(Q, &m), shoal_on_event(E)};
  c[0].turn_ = 2;  // begins with the queue
  int k = shoal_select(c, 2, deadline);
  CRASH_EXPECT((k == 0 && c[0].result == 0) || k == -EAGAIN, "select answered %d, %d", k, c[0].result);
  if (k == 0) took(&m);
}
static void op_select(void) { select_within(SHOAL_FOREVER); }
static void op_try_select(void) { select_within(SHOAL_TRY); }
static void op_select_ready(void) {
  struct shoal_case c[] = {shoal_on_readable(Q), shoal_on_event(E)};
  int n = shoal_select_ready(c, 2, SHOAL_TRY);
  CRASH_EXPECT(n == 1 && c[0].ready && !c[1].ready, "ready answered %d", n);
}
// Two more take one each. Whoever comes to sleep may wake those before it, so any of the three may be the first in
// line.
static void empty_gated(void) {
  leased(0);
  for (int i = 0; i < 2; i++) crash_actor(takes_one, i);
  crash_at_gate(2);
}
static void one_for_it(void) {
  fixture_open_gate();
  for (int i = 0; i < 3; i++) {
    put_next();
    crash_all_asleep_or_finished();
    if (there()) return;  // nobody else was told of it
  }
}
static void none_beside_a_sleeper(void) {
  if (!T->word[NEXT]) one_for_it();
  CRASH_UNTIL(there() == 0 || crash_all_finished(), "a message is left beside a sleeping consumer");
  ledger_once();
}
#define SELECT_OF_KIND(id, of, KIND)                                                                                   \
  OF_KIND(leased_two, to_select_##id, KIND)                                                                            \
  OF_KIND(empty_gated, to_select_##id, KIND)                                                                           \
  OF_KIND(held_too_long, to_select_##id, KIND)                                                                         \
  OF_KIND(held_one_gated, to_select_##id, KIND)                                                                        \
  POLICY(select_##id, of "select, get, leased", .setup = leased_two_to_select_##id, .prepare = consuming,              \
         .op = op_select, .check = check_leased);                                                                      \
  POLICY(select_wake_##id, of "select, get, leased, asleep beside two others", .setup = empty_gated_to_select_##id,    \
         .prepare = consuming, .op = op_select, .asleep = one_for_it, .check = none_beside_a_sleeper);                 \
  POLICY(select_late_##id, of "select, get, its time runs out, others come and go, goes on", .kind = CRASH_RESUMED,    \
         .setup = leased_two_to_select_##id, .prepare = consuming, .op = op_try_select, .stopped = others_come_and_go, \
         .check = all_received_once);                                                                                  \
  POLICY(select_back_##id, of "select, get, a lease has run out", .setup = held_too_long_to_select_##id,               \
         .prepare = consuming, .op = op_try_select, .check = check_leased);                                            \
  POLICY(select_ready_##id, of "select, ready, a lease has run out", .setup = held_too_long_to_select_##id,            \
         .prepare = consuming, .op = op_select_ready, .check = check_leased);                                          \
  POLICY(select_due_##id, of "select, get, asleep until a lease runs out, before another",                             \
         .setup = held_one_gated_to_select_##id, .prepare = consuming, .op = op_select, .asleep = the_time_runs_out,   \
         .check = taken_by_the_other)
SELECT_OF_KIND(mpmc, "", SHOAL_QUEUE_MPMC);
SELECT_OF_KIND(fifo, "fifo: ", SHOAL_QUEUE_FIFO);
SELECT_OF_KIND(lifo, "lifo: ", SHOAL_QUEUE_LIFO);
SELECT_OF_KIND(priority, "priority: ", SHOAL_QUEUE_PRIORITY);
