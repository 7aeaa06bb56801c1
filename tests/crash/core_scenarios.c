// core/robust: a word that one thread owns at a time. Claims: no survivor hangs, and who takes it after an owner's
// death is told; a liveness word tells the truth.
#include <errno.h>
#include <string.h>

#include "core/robust.h"
#include "tests/crash/crash.h"

#define R ((struct shoal_robust *)T->raw)

enum { INSIDE, TOLD };  // T->word: the owner stands inside; who took it then was told

static void acquire(void) {
  int rc = shoal_robust_acquire_(R, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0 || rc == -EOWNERDEAD, "acquire answered %d", rc);
  if (T->word[INSIDE]) T->word[TOLD] += rc == -EOWNERDEAD;
  CRASH_EXPECT(!T->word[INSIDE] || rc == -EOWNERDEAD, "its owner died inside, and nobody was told");
  T->word[INSIDE] = 1;
}
static void release(void) {
  T->word[INSIDE] = 0;
  shoal_robust_release_(R);
}
static void acquire_release(void) {
  acquire();
  release();
}
static void taker(int i) {
  (void)i;
  acquire_release();
}
static void all_served(void) { CRASH_UNTIL(crash_all_finished(), "a taker hangs, the word is %x", R->word.v_); }
static void two_takers(void) {
  crash_actor(taker, 0);
  crash_actor(taker, 1);
  all_served();
}
static void two_sleepers(void) {
  crash_asleep(crash_actor(taker, 0));
  crash_asleep(crash_actor(taker, 1));
}

CRASH_SCENARIO(robust_alone, .name = "robust: acquire and release, alone", .op = acquire_release, .check = two_takers);
CRASH_SCENARIO(robust_release, .name = "robust: release, two asleep", .prepare = acquire, .ready = two_sleepers,
               .op = release, .check = all_served);

// A barger: the word is released while the victim is on its way, and taken by it before the one woken runs.
CRASH_SCENARIO(robust_pair, .name = "robust: pair, an owner's death, then the next's", .kind = CRASH_PAIR,
               .op = acquire_release, .op2 = acquire_release, .check = two_takers);
CRASH_SCENARIO(robust_pair_release, .name = "robust: pair, dies releasing to sleepers, then a barger dies",
               .kind = CRASH_PAIR, .prepare = acquire, .ready = two_sleepers, .op = release, .op2 = acquire_release,
               .asleep2 = all_served, .check = all_served);
