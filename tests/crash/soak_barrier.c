// tests/crash/soak_barrier.c: two barriers of four places, one broken by deaths, one that drops the dead. Whoever has
// passed a turn finds that nobody of it is still before it: each says in its line what it has come to, and what it has
// passed.
#include <errno.h>
#include <string.h>

#include "sync/barrier.h"
#include "tests/crash/soak.h"

#define PARTIES 4
static struct work {
  union {
    struct shoal_barrier barrier;
    char room[128 + 64 * PARTIES];
  };
  volatile uint64_t passed, broken, acted;  // by those inside, together: an atomic addition each
  volatile uint32_t acting;                 // tid of who runs the action
} SHOAL_ALIGNED(64) * both;

static void add(volatile uint64_t *n) { __atomic_fetch_add(n, 1, __ATOMIC_RELAXED); }

static void begin(void) {
  if (!both) both = soak_shared(4096);
  memset((void *)both, 0, 2 * sizeof *both);
  for (int i = 0; i < 2; i++) {
    struct shoal_barrier_options options = {.flags = i ? SHOAL_BARRIER_DROP : 0};
    int rc = shoal_barrier_init(&both[i].barrier, PARTIES, &options);
    SOAK_EXPECT(rc == 0, "init: %d", rc);
  }
}

// Nobody goes on while it runs, and it runs once at a time, unless its runner was killed in it.
static int act(void *arg) {
  struct work *w = arg;
  uint32_t me = (uint32_t)shoal_self_()->tid;
  w->acting = me;
  add(&w->acted);
  if (soak_below(64) == 0) soak_pause_us(soak_below(50));
  if (w->acting != me) soak_fault("two ran the action, or one went on before its end");
  w->acting = 0;
  return soak_below(1024) ? 0 : -ECANCELED;
}

static shoal_deadline deadline(void) {
  return soak_below(64) ? SHOAL_FOREVER : soak_below(2) ? SHOAL_TRY : shoal_after_us(soak_below(2000));
}

static void mend(struct work *w, int rc) {
  if (rc == -EPIPE || rc == -ETIMEDOUT || rc == -ECANCELED) {
    add(&w->broken);
    int again = shoal_barrier_reset(&w->barrier);
    SOAK_EXPECT(again == 0, "reset: %d", again);
  } else {
    SOAK_EXPECT(rc == -EAGAIN || rc == -EUSERS, "wait: %d", rc);
  }
}

static void one_step(struct work *w) {
  uint32_t index;
  int rc = shoal_barrier_wait_action(&w->barrier, deadline(), act, w, &index);
  if (rc == 0) add(&w->passed);
  else mend(w, rc);
  if (rc == 0) SOAK_EXPECT(index < PARTIES, "index %u of %d", index, PARTIES);
  if (soak_below(256) == 0) rc = shoal_barrier_abort(&w->barrier);
  if (soak_below(256) == 0) rc = shoal_barrier_leave(&w->barrier);
}

// Four at each; who was killed is replaced at the same one.
static void work(uint32_t id, int seat) {
  (void)id;
  for (;;) one_step(&both[seat & 1]);
}
static uint64_t progress(void) { return both[0].passed + both[1].passed + both[0].broken + both[1].broken; }

static void end(void) {
  for (int seat = 0; seat < 2 * PARTIES; seat++) soak_kill(seat);
  for (int i = 0; i < 2; i++) {
    struct shoal_barrier_info info;
    int rc = shoal_barrier_reset(&both[i].barrier);
    if (rc == 0) rc = shoal_barrier_info(&both[i].barrier, &info);
    SOAK_EXPECT(rc == 0 && !info.broken && !info.waiting, "nobody is left, and %u wait", info.waiting);
    SOAK_EXPECT(info.parties == (i ? 0 : PARTIES), "nobody is left, and %u are waited for", info.parties);
    rc = shoal_barrier_destroy(&both[i].barrier);
    SOAK_EXPECT(rc == 0, "destroy: %d", rc);
  }
  soak.done += both[0].passed + both[1].passed;
}
const struct soak_room soak_barrier = {"barrier", 2 * PARTIES, begin, work, progress, NULL, end, NULL, NULL};
