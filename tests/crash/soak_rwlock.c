// tests/crash/soak_rwlock.c: a readers-writer lock over a pair of numbers that are equal whenever no writer is inside,
// with fewer seats than workers; and beside it the same pair as a snapshot.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "sync/rwlock.h"
#include "sync/seqlock.h"
#include "tests/crash/soak.h"

#define WORKERS 8
#define SEATS 6

struct pair {
  uint64_t a, b;
};
SHOAL_SEQLOCK_TYPED(pair, struct pair)

static struct guarded {
  volatile uint64_t a, b, reads;
  volatile uint32_t inside, told;
  struct shoal_rwlock lock;
} * pair;
static struct shoal_seqlock *snapshot;

static void begin(void) {
  if (!pair) {
    pair = soak_shared(sizeof *pair + shoal_rwlock_size(SEATS));
    snapshot = soak_shared(pair_size());
  }
  pair->a = pair->b = pair->reads = pair->inside = pair->told = 0;
  int rc = shoal_rwlock_init(&pair->lock, SEATS), rc2 = pair_init(snapshot, NULL);
  SOAK_EXPECT(rc == 0 && rc2 == 0, "init: %d, %d", rc, rc2);
}
static shoal_deadline deadline(void) {
  switch (soak_below(8)) {
    case 0: return SHOAL_TRY;
    case 1: return shoal_after_us(soak_below(300));
    default: return SHOAL_FOREVER;
  }
}
static void linger(void) {
  if (soak_below(16) == 0) soak_pause_us(soak_below(100));
}
static int gave_up(int rc) { return rc == -EAGAIN || rc == -ETIMEDOUT; }

// ---- under the lock ----
static void repair(void) {
  pair->b = pair->a;
  pair->inside = 0;
  pair->told++;
  int rc = shoal_rwlock_consistent(&pair->lock);
  SOAK_EXPECT(rc == 0, "consistent: %d", rc);
}
static void look(void) {
  uint64_t a = pair->a;
  SOAK_EXPECT(!pair->inside && a == pair->b, "a reader beside a writer, or one died there and nobody was told");
  linger();
  SOAK_EXPECT(a == pair->a && a == pair->b, "written beside a reader");
}
static void change(void) {
  SOAK_EXPECT(!pair->inside, "two inside, or one died there and the next was not told");
  pair->inside = 1;
  SOAK_EXPECT(pair->a == pair->b, "half-done, and not told");
  pair->a++;
  linger();
  pair->b++;
  pair->inside = 0;
}
static void read_once(void) {
  int rc = shoal_rwlock_read_acquire(&pair->lock, deadline());
  if (gave_up(rc)) return;
  SOAK_EXPECT(rc == 0 || rc == -EOWNERDEAD, "read_acquire: %d", rc);
  if (rc) repair();
  look();
  if (soak_below(8) == 0) {
    rc = shoal_rwlock_read_acquire(&pair->lock, SHOAL_FOREVER);
    SOAK_EXPECT(rc == 0, "again: %d", rc);
    if (rc == 0) rc = shoal_rwlock_read_release(&pair->lock);
  }
  rc = shoal_rwlock_read_release(&pair->lock);
  SOAK_EXPECT(rc == 0, "read_release: %d", rc);
  __atomic_fetch_add(&pair->reads, 1, __ATOMIC_RELAXED);
}
static void write_once(void) {
  int rc = shoal_rwlock_write_acquire(&pair->lock, deadline());
  if (gave_up(rc)) return;
  SOAK_EXPECT(rc == 0 || rc == -EOWNERDEAD, "write_acquire: %d", rc);
  if (rc) repair();
  change();
  int goes_on = soak_below(4) == 0;
  if (goes_on) {
    rc = shoal_rwlock_downgrade(&pair->lock);
    SOAK_EXPECT(rc == 0, "downgrade: %d", rc);
    look();
  }
  rc = goes_on ? shoal_rwlock_read_release(&pair->lock) : shoal_rwlock_write_release(&pair->lock);
  SOAK_EXPECT(rc == 0, "release: %d", rc);
}

// ---- the snapshot ----
static void load(uint64_t *last) {
  struct pair p = {0};
  int rc = pair_load(snapshot, &p);
  SOAK_EXPECT(rc == 0 && p.a == p.b && p.a >= *last, "load: %d, %lu and %lu after %lu", rc, p.a, p.b, *last);
  *last = p.a;
}
static void publish(void) {
  struct pair *draft = NULL;
  int rc = pair_begin(snapshot, &draft, deadline());
  if (gave_up(rc)) return;
  SOAK_EXPECT(rc == 0, "begin: %d", rc);
  if (rc) return;
  SOAK_EXPECT(draft->a == draft->b, "a draft of %lu and %lu", draft->a, draft->b);
  draft->a++;
  linger();
  draft->b++;
  rc = soak_below(8) ? pair_commit(snapshot) : shoal_seqlock_cancel(snapshot);
  SOAK_EXPECT(rc == 0, "commit: %d", rc);
}

static void work(uint32_t id, int seat) {
  uint64_t last = 0;
  (void)id, (void)seat;
  for (;;) {
    if (soak_below(4)) read_once();
    else write_once();
    load(&last);
    if (soak_below(4) == 0) publish();
    if (soak_below(64) == 0) shoal_rwlock_leave(&pair->lock);
  }
}
static uint64_t progress(void) { return pair->a + pair->reads; }
static void end(void) {
  struct shoal_rwlock_info info;
  for (int seat = 0; seat < WORKERS; seat++) soak_kill(seat);
  int rc = shoal_rwlock_write_acquire(&pair->lock, SHOAL_TRY);
  SOAK_EXPECT(rc == 0 || rc == -EOWNERDEAD, "nobody is left, and the lock answers %d", rc);
  if (rc == -EOWNERDEAD) repair();
  shoal_rwlock_write_release(&pair->lock);
  shoal_rwlock_info(&pair->lock, &info);
  SOAK_EXPECT(!info.readers && !info.writer, "%u readers and writer %u are left", info.readers, info.writer);
  soak.done += progress() + shoal_seqlock_version(snapshot);
}
const struct soak_room soak_rwlock = {"rwlock", WORKERS, begin, work, progress, NULL, end, soak_moved, NULL};
