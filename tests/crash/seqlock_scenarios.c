// sync/seqlock. Claims: whatever a writer dies of, and where, a reader has at once the last value that was published,
// whole; a store that returned is published, one that was cut off is, or is not; the next writer begins from it, and
// waits for nobody who is dead.
#include <errno.h>

#include "sync/seqlock.h"
#include "tests/crash/crash.h"

struct small {
  uint64_t word[2];
};
struct large {
  uint64_t word[9];
};
SHOAL_SEQLOCK_TYPED(small, struct small)
SHOAL_SEQLOCK_TYPED(large, struct large)

#define S ((struct shoal_seqlock *)T->raw)
#define B ((struct shoal_seqlock *)(T->raw + 1024))

// T->word: the number that was published last, for certain; that may be published. All words of a value are its number.
enum { PUBLISHED, BEGUN };

static void setup(void) {
  CRASH_EXPECT(small_init(S, NULL) == 0 && large_init(B, NULL) == 0, "init");
  T->word[PUBLISHED] = T->word[BEGUN] = 0;
}

// What a thread does once in its life looks at a clock, which is never stepped twice the same way.
static void join(void) { CRASH_EXPECT(shoal_robust_check() == 0, "no robust list"); }

// ---- readers: any process, the driver too ----
static int all_are(const uint64_t *word, unsigned n, uint64_t number) {
  while (n--)
    if (word[n] != number) return 0;
  return 1;
}
static void look(void) {
  struct small s = {0};
  struct large b = {0};
  uint32_t least = T->word[PUBLISHED];
  int rc = small_load(S, &s), rc2 = large_load(B, &b);
  uint32_t most = T->word[BEGUN];
  CRASH_EXPECT(rc == 0 && rc2 == 0, "load answered %d, %d", rc, rc2);
  CRASH_EXPECT(all_are(s.word, 2, s.word[0]) && all_are(b.word, 9, b.word[0]), "a mixed value");
  CRASH_EXPECT(s.word[0] >= least && s.word[0] <= most, "read %lu of %u..%u", s.word[0], least, most);
  CRASH_EXPECT(b.word[0] >= least && b.word[0] <= most, "read %lu of %u..%u", b.word[0], least, most);
}

// ---- writers ----
static void set(uint64_t *word, unsigned n, uint64_t number) {
  while (n--) word[n] = number;
}
static void store(void) {
  struct small s;
  struct large b;
  uint32_t number = ++T->word[BEGUN];
  set(s.word, 2, number);
  set(b.word, 9, number);
  int rc = small_store(S, &s, SHOAL_FOREVER), rc2 = large_store(B, &b, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0 && rc2 == 0, "store answered %d, %d", rc, rc2);
  T->word[PUBLISHED] = number;
}
// Both begun: what is in the drafts is what is published.
static void begin(struct small **s, struct large **b) {
  int rc = small_begin(S, s, SHOAL_FOREVER), rc2 = large_begin(B, b, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0 && rc2 == 0, "begin answered %d, %d", rc, rc2);
  if (rc || rc2) return;
  struct small now = {0};
  struct large now2 = {0};
  rc = small_load(S, &now), rc2 = large_load(B, &now2);
  CRASH_EXPECT(rc == 0 && all_are((*s)->word, 2, now.word[0]), "a draft of something else");
  CRASH_EXPECT(rc2 == 0 && all_are((*b)->word, 9, now2.word[0]), "a draft of something else");
}
static void change(void) {
  struct small *s = NULL;
  struct large *b = NULL;
  begin(&s, &b);
  uint32_t number = ++T->word[BEGUN];
  set(s->word, 2, number);
  set(b->word, 9, number);
  int rc = small_commit(S), rc2 = large_commit(B);
  CRASH_EXPECT(rc == 0 && rc2 == 0, "commit answered %d, %d", rc, rc2);
  T->word[PUBLISHED] = number;
}
static void change_in_vain(void) {
  struct small *s = NULL;
  struct large *b = NULL;
  begin(&s, &b);
  set(s->word, 1, 1000);
  set(b->word, 5, 1000);
  int rc = shoal_seqlock_cancel(S), rc2 = shoal_seqlock_cancel(B);
  CRASH_EXPECT(rc == 0 && rc2 == 0, "cancel answered %d, %d", rc, rc2);
}
static void looker(int i) {
  (void)i;
  look();
}
static void changer(int i) {
  (void)i;
  change();
}
static void changes_twice(int i) {
  (void)i;
  change();
  store();
}

// ---- survivors ----
static void all_done(void) { CRASH_UNTIL(crash_all_finished(), "a writer hangs"); }
static void go_on(void) {
  look();
  crash_survivor(change);
  look();
  crash_survivor(store);
  look();
  crash_survivor(change);
  look();
  CRASH_EXPECT(T->word[PUBLISHED] == T->word[BEGUN], "not all of them have written");
}
static void two_changes(void) {
  setup();
  crash_survivor(change);
  crash_survivor(change);
}

CRASH_SCENARIO(seq_store, .name = "seqlock: store", .setup = setup, .prepare = join, .op = store, .check = go_on);
CRASH_SCENARIO(seq_change, .name = "seqlock: begin and commit", .setup = two_changes, .prepare = join, .op = change,
               .check = go_on);
CRASH_SCENARIO(seq_cancel, .name = "seqlock: begin and cancel", .setup = two_changes, .prepare = join,
               .op = change_in_vain, .check = go_on);

// ---- readers do not wait for a writer that stands still; a reader that stands still reads no mixed value ----
static void read_beside(void) {
  int reader = crash_actor(looker, 0);
  CRASH_UNTIL(crash_finished(reader), "a reader hangs");
}
static void write_twice_beside(void) {
  int writer = crash_actor(changes_twice, 0);
  CRASH_UNTIL(crash_finished(writer), "a writer hangs");
}
CRASH_SCENARIO(seq_store_stands, .name = "seqlock: store, stopped, a reader comes, goes on", .kind = CRASH_RESUMED,
               .setup = two_changes, .prepare = join, .op = store, .stopped = read_beside, .check = go_on);
CRASH_SCENARIO(seq_change_stands, .name = "seqlock: begin and commit, stopped, a reader comes, goes on",
               .kind = CRASH_RESUMED, .setup = two_changes, .prepare = join, .op = change, .stopped = read_beside,
               .check = go_on);
CRASH_SCENARIO(seq_load_stands, .name = "seqlock: load, stopped, a writer writes twice, goes on", .kind = CRASH_RESUMED,
               .setup = two_changes, .prepare = join, .op = look, .stopped = write_twice_beside, .check = go_on);
CRASH_SCENARIO(seq_load_dies, .name = "seqlock: load", .setup = two_changes, .prepare = join, .op = look,
               .stopped = write_twice_beside, .check = go_on);

// ---- writers that wait for a writer ----
static void hold(int i) {
  struct small *s = NULL;
  struct large *b = NULL;
  (void)i;
  begin(&s, &b);
  set(b->word, 5, 1000);
  crash_gate();
  CRASH_EXPECT(shoal_seqlock_cancel(S) == 0 && shoal_seqlock_cancel(B) == 0, "cancel");
}
static void held(void) {
  setup();
  crash_actor(hold, 0);
  crash_at_gate(1);
}
static void another_then_let_go(void) {
  if (T->gate) return;
  crash_asleep(crash_actor(changer, 0));
  crash_open_gate();
}
static void another_then_dies(void) {
  if (T->gate) return;
  T->gate = 1;
  crash_asleep(crash_actor(changer, 0));
  crash_kill(0);
}
static void go_on_behind(void) {
  if (!crash_victim_slept()) crash_open_gate();
  all_done();
  go_on();
}
static void go_on_without(void) {
  crash_kill(0);
  all_done();
  go_on();
}
CRASH_SCENARIO(seq_waits, .name = "seqlock: a writer waits for a writer, before another", .setup = held,
               .prepare = join, .op = change, .asleep = another_then_let_go, .check = go_on_behind);
CRASH_SCENARIO(seq_waits_dead, .name = "seqlock: a writer waits for a writer, which dies", .setup = held,
               .prepare = join, .op = change, .asleep = another_then_dies, .check = go_on_without);

CRASH_SCENARIO(seq_pair_store, .name = "seqlock: pair, a store, then a change", .kind = CRASH_PAIR, .setup = setup,
               .prepare = join, .op = store, .prepare2 = join, .op2 = change, .check = go_on);
CRASH_SCENARIO(seq_pair_change, .name = "seqlock: pair, a change, then a store", .kind = CRASH_PAIR,
               .setup = two_changes, .prepare = join, .op = change, .prepare2 = join, .op2 = store, .check = go_on);
