// tests/crash/soak_seqlock.c: a value that says how often each seat has changed it. Each load is one of them whole, and
// not older than the last; what a seat has been told that it committed is there in the end.
#include <errno.h>
#include <string.h>

#include "sync/seqlock.h"
#include "tests/crash/soak.h"

#define WORKERS 6
struct tally {
  uint64_t all, by[WORKERS];
};
SHOAL_SEQLOCK_TYPED(tally, struct tally)

static struct shoal_seqlock *s;
static struct counts {
  volatile uint64_t begun, done;  // the seat's own
} * counts;

static void begin(void) {
  if (!s) {
    s = soak_shared(tally_size());
    counts = soak_shared(WORKERS * sizeof *counts);
  }
  memset(counts, 0, WORKERS * sizeof *counts);
  int rc = tally_init(s, NULL);
  SOAK_EXPECT(rc == 0, "init: %d", rc);
}
static void expect_whole(const struct tally *t, const char *what) {
  uint64_t sum = 0;
  for (int i = 0; i < WORKERS; i++) sum += t->by[i];
  SOAK_EXPECT(sum == t->all, "%s: %lu in all, %lu together", what, t->all, sum);
}
static void look(uint64_t *last) {
  struct tally t = {0};
  int rc = tally_load(s, &t);
  SOAK_EXPECT(rc == 0 && t.all >= *last, "load: %d, %lu after %lu", rc, t.all, *last);
  expect_whole(&t, "a load");
  *last = t.all;
}
static uint64_t progress(void) { return shoal_seqlock_version(s); }
static void change(int seat) {
  struct tally *draft = NULL;
  int rc = tally_begin(s, &draft, soak_deadline());
  if (soak_gave_up(rc)) return;
  SOAK_EXPECT(rc == 0, "begin: %d", rc);
  if (rc) return;
  expect_whole(draft, "a draft");
  draft->all++;
  soak_linger();
  draft->by[seat]++;
  if (soak_below(8) == 0) {
    rc = shoal_seqlock_cancel(s);
    SOAK_EXPECT(rc == 0, "cancel: %d", rc);
    return;
  }
  counts[seat].begun++;
  uint64_t seen = progress() + 1;
  rc = tally_commit(s);
  SOAK_EXPECT(rc == 0, "commit: %d", rc);
  counts[seat].done++;
  if (soak_below(4) == 0) soak_await_other(seat, seen);
}
static void work(uint32_t id, int seat) {
  uint64_t last = 0;
  (void)id;
  for (;;) {
    look(&last);
    if (soak_below(4)) change(seat);
  }
}
static void end(void) {
  struct tally t = {0};
  for (int seat = 0; seat < WORKERS; seat++) soak_kill(seat);
  int rc = tally_load(s, &t);
  SOAK_EXPECT(rc == 0 && t.all == shoal_seqlock_version(s) - 1, "load: %d, %lu, version %lu", rc, t.all,
              shoal_seqlock_version(s));
  expect_whole(&t, "the end");
  for (int i = 0; i < WORKERS; i++) {
    if (t.by[i] < counts[i].done) soak.lost += counts[i].done - t.by[i];
    if (t.by[i] > counts[i].begun) soak.doubled += t.by[i] - counts[i].begun;
  }
  rc = tally_store(s, &t, SHOAL_TRY);
  if (rc == 0) rc = shoal_seqlock_destroy(s);
  SOAK_EXPECT(rc == 0, "nobody is left, and it answers %d", rc);
  soak.done += t.all;
}
const struct soak_room soak_seqlock = {"seqlock", WORKERS, begin, work, progress, NULL, end, soak_moved, NULL};
