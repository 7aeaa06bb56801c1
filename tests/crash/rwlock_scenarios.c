// sync/rwlock. Claims: no survivor hangs, whoever dies where, reader or writer: inside, waiting, just woken or waking;
// no writer is beside a reader or another writer; whoever comes after a writer that died inside is told, and has the
// lock alone, until it has said that all is whole; who only waited, or read, leaves nothing to be told.
#include <errno.h>

#include "sync/rwlock.h"
#include "tests/crash/crash.h"

#define L ((struct shoal_rwlock *)T->raw)

// T->word: a writer is inside, or died there; writes that were done; takers that were told; takers that found it given
// up; a writer's deadline has passed.
enum { HALF_DONE, WRITES, TOLD, GIVEN_UP, GAVE_UP };

static void make(uint32_t seats) { CRASH_EXPECT(shoal_rwlock_init(L, seats) == 0, "init"); }
static void setup(void) { make(8); }
// What a thread does once in its life looks at a clock, which is never stepped twice the same way.
static void join(void) { CRASH_EXPECT(shoal_robust_check() == 0, "no robust list"); }

// ---- what is done under the lock ----
static void add(int word) { __atomic_fetch_add(&T->word[word], 1, __ATOMIC_RELAXED); }

static int acquire(int reads) {
  int rc = reads ? shoal_rwlock_read_acquire(L, SHOAL_FOREVER) : shoal_rwlock_write_acquire(L, SHOAL_FOREVER);
  if (rc == -ENOTRECOVERABLE) {
    add(GIVEN_UP);
    return rc;
  }
  CRASH_EXPECT(rc == 0 || rc == -EOWNERDEAD, "acquire answered %d", rc);
  CRASH_EXPECT(!T->word[HALF_DONE] || rc == -EOWNERDEAD, "a writer is inside, or died there, and nobody is told");
  if (rc || !reads) T->word[HALF_DONE] = 1;
  if (rc) add(TOLD);
  return rc;
}
static void release(int reads) {
  int rc = reads ? shoal_rwlock_read_release(L) : shoal_rwlock_write_release(L);
  CRASH_EXPECT(rc == 0, "release answered %d", rc);
}
static void release_alone(int reads) {
  CRASH_EXPECT(T->word[HALF_DONE], "another was inside");
  add(WRITES);
  T->word[HALF_DONE] = 0;
  release(reads);
}
static void repair_and_release(int reads) {
  int rc = shoal_rwlock_consistent(L);
  CRASH_EXPECT(rc == 0, "consistent answered %d", rc);
  release_alone(reads);
}
static void look_and_release(void) {
  uint32_t writes = T->word[WRITES];
  for (int i = 0; i < 4; i++)
    CRASH_EXPECT(!T->word[HALF_DONE] && writes == T->word[WRITES], "a writer is beside a reader");
  release(1);
}
static void use(int reads) {
  int rc = acquire(reads);
  if (rc == -ENOTRECOVERABLE) return;
  if (rc) repair_and_release(reads);
  else if (reads) look_and_release();
  else release_alone(0);
}
static void read_once(void) { use(1); }
static void write_once(void) { use(0); }
static void read_acquire(void) { acquire(1); }
static void write_acquire(void) { acquire(0); }
static void write_release(void) { release_alone(0); }
static void reader(int i) {
  (void)i;
  use(1);
}
static void writer(int i) {
  (void)i;
  use(0);
}

// ---- survivors ----
static uint32_t live_word(uint32_t seat) { return shoal_seat_at_(&L->seats, seat)->live.word.v_; }
static void all_served(void) {
  CRASH_UNTIL(crash_all_finished(), "a survivor hangs: word %x, door %x, seats %x %x %x", L->writer.word.v_, L->door.v_,
              live_word(0), live_word(1), live_word(2));
  CRASH_EXPECT(!T->word[GIVEN_UP], "given up, and nobody did");
}
static void more_come(void) {
  struct shoal_rwlock_info info;
  crash_actor(reader, 0);
  crash_actor(writer, 0);
  crash_actor(reader, 0);
  all_served();
  shoal_rwlock_info(L, &info);
  CRASH_EXPECT(info.readers == 0 && info.writer == 0, "%u readers and writer %u are left", info.readers, info.writer);
}
static void more_come_untold(void) {
  more_come();
  CRASH_EXPECT(!T->word[TOLD], "told of a death that left nothing in doubt");
}
static void sleeps(void (*body)(int)) { crash_asleep(crash_actor(body, 0)); }
static void writer_asleep(void) { sleeps(writer); }
static void writer_and_reader_asleep(void) {
  sleeps(writer);
  sleeps(reader);
}
static void all_kinds_asleep(void) {
  sleeps(reader);
  sleeps(writer);
  sleeps(reader);
}

CRASH_SCENARIO(rw_read, .name = "rwlock: read, alone", .setup = setup, .prepare = join, .op = read_once,
               .check = more_come_untold);
CRASH_SCENARIO(rw_write, .name = "rwlock: write, alone", .setup = setup, .prepare = join, .op = write_once,
               .check = more_come);
CRASH_SCENARIO(rw_read_release, .name = "rwlock: the last reader goes, a writer and a reader asleep", .setup = setup,
               .prepare = read_acquire, .ready = writer_and_reader_asleep, .op = look_and_release,
               .check = more_come_untold);
CRASH_SCENARIO(rw_write_release, .name = "rwlock: a writer goes, all kinds asleep", .setup = setup,
               .prepare = write_acquire, .ready = all_kinds_asleep, .op = write_release, .check = more_come);

// ---- others come while the victim stands there; it goes on, or dies ----
static void others_come(void) {
  crash_actor(writer, 0);
  crash_actor(reader, 0);
  crash_all_asleep_or_finished();
}
CRASH_SCENARIO(rw_read_stands, .name = "rwlock: read, stopped, others come, dies", .setup = setup, .prepare = join,
               .op = read_once, .stopped = others_come, .check = more_come_untold);
CRASH_SCENARIO(rw_read_goes_on, .name = "rwlock: read, stopped, others come, goes on", .kind = CRASH_RESUMED,
               .setup = setup, .prepare = join, .op = read_once, .stopped = others_come, .check = more_come_untold);
CRASH_SCENARIO(rw_write_stands, .name = "rwlock: write, stopped, others come, dies", .setup = setup, .prepare = join,
               .op = write_once, .stopped = others_come, .check = more_come);
CRASH_SCENARIO(rw_write_goes_on, .name = "rwlock: write, stopped, others come, goes on", .kind = CRASH_RESUMED,
               .setup = setup, .prepare = join, .op = write_once, .stopped = others_come, .check = more_come_untold);

// ---- the victim waits for a holder, before others or behind them; the holder lets go, or dies ----
static void hold(int reads) {
  int rc = acquire(reads);
  crash_gate();
  if (reads && rc == 0) look_and_release();
  else release_alone(reads);
}
static void held_for(int reads) {
  setup();
  crash_actor(hold, reads);
  crash_at_gate(1);
}
static void read_held(void) { held_for(1); }
static void write_held(void) { held_for(0); }
static void read_held_and_awaited(void) {
  read_held();
  writer_asleep();
}
static void write_held_and_awaited(void) {
  write_held();
  writer_and_reader_asleep();
}
static void others_then_let_go(void) {
  if (T->gate) return;  // its second sleep ends by itself
  sleeps(reader);
  sleeps(writer);
  crash_open_gate();
}
static void before_others(void) {
  int waited = crash_victim_slept();
  if (!waited) crash_open_gate();
  more_come();
  CRASH_EXPECT(waited || !T->word[TOLD], "told of a death that left nothing in doubt");
}
static void holder_dies(void) { crash_kill(0); }
static void others_then_holder_dies(void) {
  if (T->gate) return;
  T->gate = 1;
  sleeps(reader);
  sleeps(writer);
  holder_dies();
}
static void holder_has_died(void) {
  holder_dies();
  more_come();
}
CRASH_SCENARIO(rw_first_writer, .name = "rwlock: a writer waits for a reader, before others", .setup = read_held,
               .prepare = join, .op = write_once, .asleep = others_then_let_go, .check = before_others);
CRASH_SCENARIO(rw_last_writer, .name = "rwlock: a writer waits behind a writer that waits for a reader",
               .setup = read_held_and_awaited, .prepare = join, .op = write_once, .asleep = crash_open_gate,
               .check = before_others);
CRASH_SCENARIO(rw_first_reader, .name = "rwlock: a reader waits for a writer, before others", .setup = write_held,
               .prepare = join, .op = read_once, .asleep = others_then_let_go, .check = before_others);
CRASH_SCENARIO(rw_last_reader, .name = "rwlock: a reader waits behind others", .setup = write_held_and_awaited,
               .prepare = join, .op = read_once, .asleep = crash_open_gate, .check = before_others);
CRASH_SCENARIO(rw_barred_reader, .name = "rwlock: a reader waits behind a writer that waits for a reader",
               .setup = read_held_and_awaited, .prepare = join, .op = read_once, .asleep = crash_open_gate,
               .check = before_others);
CRASH_SCENARIO(rw_reader_dies, .name = "rwlock: a writer waits for a reader, which dies", .setup = read_held,
               .prepare = join, .op = write_once, .asleep = others_then_holder_dies, .check = holder_has_died);
CRASH_SCENARIO(rw_writer_dies, .name = "rwlock: a reader waits for a writer, which dies", .setup = write_held,
               .prepare = join, .op = read_once, .asleep = others_then_holder_dies, .check = holder_has_died);
CRASH_SCENARIO(rw_waiter_dies, .name = "rwlock: a writer waits for a writer that waits for a reader, which dies",
               .setup = read_held_and_awaited, .prepare = join, .op = write_once, .asleep = others_then_holder_dies,
               .check = holder_has_died);

// ---- a writer gives up: the door is open, although a reader is inside still ----
static void write_in_vain(void) {
  int rc = shoal_rwlock_write_acquire(L, shoal_after_ms(60000));
  CRASH_EXPECT(rc == -ETIMEDOUT, "answered %d", rc);
  T->word[GAVE_UP] = 1;
}
static void write_try(void) {
  int rc = shoal_rwlock_write_acquire(L, SHOAL_TRY);
  CRASH_EXPECT(rc == -EAGAIN, "answered %d", rc);
}
static void its_deadline_passes(void) {
  for (uint32_t i = 0; i < 3; i++) crash_deadline_passes(&shoal_seat_at_(&L->seats, i)->live.word);
  crash_deadline_passes(&L->writer.word);
}
static void its_deadline_passes_soon(void) {
  CRASH_UNTIL((its_deadline_passes(), T->word[GAVE_UP]), "a writer hangs past its deadline");
}
static void readers_come_in(void) {
  int first = crash_actor(reader, 0), last = crash_actor(reader, 0);
  CRASH_UNTIL(crash_finished(first) && crash_finished(last), "nobody wants to write, and a reader hangs");
  crash_open_gate();
  more_come_untold();
}
static void reader_comes(void) {
  crash_actor(reader, 0);
  crash_all_asleep_or_finished();
}
CRASH_SCENARIO(rw_deadline, .name = "rwlock: a writer gives up at its deadline", .setup = read_held, .prepare = join,
               .op = write_in_vain, .asleep = its_deadline_passes, .check = readers_come_in);
CRASH_SCENARIO(rw_deadline_stands, .name = "rwlock: a writer gives up, stopped, a reader comes, goes on",
               .kind = CRASH_RESUMED, .setup = read_held, .prepare = join, .op = write_in_vain,
               .asleep = its_deadline_passes, .stopped = reader_comes, .resumed = its_deadline_passes_soon,
               .check = readers_come_in);
CRASH_SCENARIO(rw_try, .name = "rwlock: a writer tries", .setup = read_held, .prepare = join, .op = write_try,
               .check = readers_come_in);

// ---- reading again; a writer that goes on as a reader ----
static void read_again(void) {
  acquire(1);
  release(1);
}
static void downgrade(void) {
  add(WRITES);
  T->word[HALF_DONE] = 0;
  int rc = shoal_rwlock_downgrade(L);
  CRASH_EXPECT(rc == 0, "downgrade answered %d", rc);
  look_and_release();
}
CRASH_SCENARIO(rw_again, .name = "rwlock: a reader reads again, a writer and a reader asleep", .setup = setup,
               .prepare = read_acquire, .ready = writer_and_reader_asleep, .op = read_again, .check = more_come_untold);
CRASH_SCENARIO(rw_downgrade, .name = "rwlock: a writer goes on as a reader, all kinds asleep", .setup = setup,
               .prepare = write_acquire, .ready = all_kinds_asleep, .op = downgrade, .check = more_come);
CRASH_SCENARIO(rw_downgrade_stands, .name = "rwlock: a writer goes on as a reader, stopped, others come, goes on",
               .kind = CRASH_RESUMED, .setup = setup, .prepare = write_acquire, .op = downgrade, .stopped = others_come,
               .check = more_come_untold);

// ---- a writer has died inside ----
static void dead_writer(void) {
  write_held();
  holder_dies();
}
CRASH_SCENARIO(rw_repair_reading, .name = "rwlock: a reader repairs", .setup = dead_writer, .prepare = join,
               .op = read_once, .check = more_come);
CRASH_SCENARIO(rw_repair_writing, .name = "rwlock: a writer repairs", .setup = dead_writer, .prepare = join,
               .op = write_once, .check = more_come);
// Two deep: the second level is not left behind in the seat, for whoever has it next.
static void dead_writer_one_seat(void) {
  make(1);
  crash_actor(hold, 0);
  crash_at_gate(1);
  holder_dies();
}
static void repair_two_deep(void) {
  acquire(1);
  int rc = shoal_rwlock_consistent(L), rc2 = shoal_rwlock_read_acquire(L, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 && rc2 == 0, "consistent answered %d, reading again %d", rc, rc2);
}
static void downgrade_two_deep(void) {
  downgrade();
  release(1);
}
static void reads_no_more(void) {
  for (int i = 0; i < 2; i++) {
    use(1);
    int rc = shoal_rwlock_read_release(L);
    CRASH_EXPECT(rc == -EPERM, "released, it read on: %d", rc);
  }
}
static void read_no_more(void) {
  crash_survivor(reads_no_more);
  more_come();
}
CRASH_SCENARIO(rw_downgrade_deep, .name = "rwlock: a reader that repairs, two deep, goes on beside others",
               .setup = dead_writer_one_seat, .prepare = repair_two_deep, .op = downgrade_two_deep,
               .check = read_no_more);
static void give_up(void) { release(1); }
static void given_up_or_repaired(void) {
  CRASH_UNTIL(crash_all_finished(), "a survivor hangs: word %x, door %x", L->writer.word.v_, L->door.v_);
  uint32_t given_up = T->word[GIVEN_UP], told = T->word[TOLD] - 1;  // the victim was the first to be told
  CRASH_EXPECT(given_up == 2 || (given_up == 0 && told == 1), "%u found it given up, %u were told", given_up, told);
  CRASH_EXPECT(!crash_victim_finished() || given_up == 2, "released in doubt, and only %u found it given up", given_up);
}
CRASH_SCENARIO(rw_give_up, .name = "rwlock: given up by a reader, a writer and a reader asleep", .setup = dead_writer,
               .prepare = read_acquire, .ready = writer_and_reader_asleep, .op = give_up,
               .check = given_up_or_repaired);

// ---- more readers than seats ----
static void sit_once(int i) {
  reader(i);
  crash_gate();  // has the seat, for as long as it lives
}
static void without_a_seat(void) {
  make(1);
  crash_actor(sit_once, 0);
  crash_at_gate(1);
}
static void a_dead_ones_seat(void) {
  make(1);
  crash_actor(hold, 1);
  crash_at_gate(1);
  holder_dies();
}
static void seat_given_back(void) {
  crash_open_gate();
  more_come();
}
static void leave(void) {
  int rc = shoal_rwlock_leave(L);
  CRASH_EXPECT(rc == 0, "leave answered %d", rc);
}
CRASH_SCENARIO(rw_no_seat, .name = "rwlock: read, without a seat", .setup = without_a_seat, .prepare = join,
               .op = read_once, .check = seat_given_back);
CRASH_SCENARIO(rw_no_seat_goes_on, .name = "rwlock: read, without a seat, stopped, others come, goes on",
               .kind = CRASH_RESUMED, .setup = without_a_seat, .prepare = join, .op = read_once, .stopped = others_come,
               .check = seat_given_back);
CRASH_SCENARIO(rw_reap, .name = "rwlock: read, in a dead reader's seat", .setup = a_dead_ones_seat, .prepare = join,
               .op = read_once, .check = more_come_untold);
static void one_seat(void) { make(1); }
CRASH_SCENARIO(rw_leave, .name = "rwlock: a thread leaves its seat", .setup = one_seat, .prepare = read_once,
               .op = leave, .check = more_come_untold);

// ---- two deaths ----
#define PAIR(id, text, ...) CRASH_SCENARIO(id, .name = "rwlock: pair, " text, .kind = CRASH_PAIR, __VA_ARGS__)
PAIR(rw_pair_read_write, "a reader, then a writer", .setup = setup, .op = read_once, .op2 = write_once,
     .check = more_come);
PAIR(rw_pair_write_read, "a writer, then the reader that repairs", .setup = setup, .prepare = join, .op = write_once,
     .prepare2 = join, .op2 = read_once, .check = more_come);
PAIR(rw_pair_reap, "a reader, then the one that would have its seat", .setup = one_seat, .prepare = join,
     .op = read_once, .prepare2 = join, .op2 = read_once, .check = more_come_untold);
PAIR(rw_pair_release, "the last reader goes, others asleep; then a writer that comes", .setup = setup,
     .prepare = read_acquire, .ready = writer_and_reader_asleep, .op = look_and_release, .prepare2 = join,
     .op2 = write_once, .asleep2 = all_served, .check = more_come);
PAIR(rw_pair_write_release, "a writer goes, others asleep; then a reader that comes", .setup = setup,
     .prepare = write_acquire, .ready = all_kinds_asleep, .op = write_release, .prepare2 = join, .op2 = read_once,
     .asleep2 = all_served, .check = more_come);

// ---- one stopped, another that waits for it for a while is killed, the stopped one goes on ----
static void write_for_a_while(void) {
  int rc = shoal_rwlock_write_acquire(L, shoal_after_ms(60000));
  CRASH_EXPECT(rc == 0 || rc == -ETIMEDOUT, "answered %d", rc);
  if (rc) return;
  CRASH_EXPECT(!T->word[HALF_DONE], "a writer is inside");
  T->word[HALF_DONE] = 1;
  release_alone(0);
}
static void read_for_a_while(void) {
  int rc = shoal_rwlock_read_acquire(L, shoal_after_ms(60000));
  CRASH_EXPECT(rc == 0 || rc == -ETIMEDOUT, "answered %d", rc);
  if (rc == 0) look_and_release();
}
#define STALLED(id, text, what, what2)                                                                    \
  CRASH_SCENARIO(id, .name = "rwlock: stopped, " text, .kind = CRASH_STALLED, .setup = setup, .op = what, \
                 .op2 = what2, .asleep2 = its_deadline_passes, .check = more_come)
STALLED(rw_stalled_read, "a reader; a writer dies", read_once, write_for_a_while);
STALLED(rw_stalled_write, "a writer; a reader dies", write_once, read_for_a_while);
STALLED(rw_stalled_writes, "a writer; a writer dies", write_once, write_for_a_while);
