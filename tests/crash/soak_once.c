// tests/crash/soak_once.c: all workers go from one object to the next. Each runs to its end once, for whoever asks; it
// was begun once, and once more for each runner that was killed at it, or that failed.
#include <errno.h>
#include <string.h>

#include "sync/once.h"
#include "tests/crash/soak.h"

#define WORKERS 6
#define OBJECTS 8192u
static struct thing {
  struct shoal_once once;
  volatile uint32_t runner, begun, ended, failed;  // of `once`; its runner
  volatile uint32_t answered, told;                // calls that had run it, and came back: done; failed
} SHOAL_ALIGNED(64) * things;
static volatile uint64_t *front;  // the object they are at

static void begin(void) {
  if (!things) {
    things = soak_shared(OBJECTS * sizeof *things);
    front = soak_shared(sizeof *front);
  }
  memset((void *)things, 0, OBJECTS * sizeof *things);
  *front = 0;
  for (uint32_t i = 0; i < OBJECTS; i++) {
    int rc = shoal_once_init(&things[i].once);
    SOAK_EXPECT(rc == 0, "init: %d", rc);
  }
}

static int ran;
static int act(void *arg) {
  struct thing *t = arg;
  uint32_t me = (uint32_t)shoal_self_()->tid;
  t->runner = me;
  t->begun++;
  SOAK_EXPECT(!t->answered, "run again, and it was done");
  soak_linger();
  if (soak_below(32) == 0) {
    t->failed++;
    return -ECANCELED;
  }
  t->ended++;
  SOAK_EXPECT(t->runner == me, "two ran it");
  ran = 1;
  return 0;
}
static void one_step(void) {
  uint64_t at = *front;
  if (at >= OBJECTS) {
    soak_pause_us(100);
    return;
  }
  struct thing *t = &things[at];
  ran = 0;
  int rc = shoal_once_run(&t->once, act, t, soak_deadline());
  if (rc == -ECANCELED) __atomic_fetch_add(&t->told, 1, __ATOMIC_RELAXED);
  if (rc == -ECANCELED || soak_gave_up(rc)) return;
  SOAK_EXPECT(rc == 0 && t->ended, "run: %d, ended %u times", rc, t->ended);
  if (ran) __atomic_fetch_add(&t->answered, 1, __ATOMIC_RELAXED);
  __atomic_compare_exchange_n(front, &at, at + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
static void work(uint32_t id, int seat) {
  (void)id, (void)seat;
  for (;;) one_step();
}
static uint64_t progress(void) { return *front; }
static int full(void) { return *front >= OBJECTS; }
static int settled(uint64_t seen, int asleep) { return full() || soak_moved(seen, asleep); }

static void end(void) {
  for (int seat = 0; seat < WORKERS; seat++) soak_kill(seat);
  for (uint32_t i = 0; i < *front; i++) {
    struct thing *t = &things[i];
    struct shoal_once_info info;
    shoal_once_info(&t->once, &info);
    if (info.state != SHOAL_ONCE_DONE || !t->ended) soak.lost++;
    if (t->answered > 1) soak.doubled += t->answered - 1;
    SOAK_EXPECT(t->ended <= 1 + info.deaths, "ended %u times, and %u died at it", t->ended, info.deaths);
    // Killed before it had begun, a runner died at it and did not run; killed as it failed, it did both.
    SOAK_EXPECT(info.runs <= 1 + info.deaths + t->failed && info.runs >= 1 + t->told,
                "run %u times: %u died at it, %u failed, %u were told", info.runs, info.deaths, t->failed, t->told);
    SOAK_EXPECT(t->begun <= info.runs && !info.runner, "begun %u times of %u, by %u", t->begun, info.runs, info.runner);
  }
  soak.done += *front;
}
const struct soak_room soak_once = {"once", WORKERS, begin, work, progress, full, end, settled, NULL};
