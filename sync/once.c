#include "sync/once.h"

#include <string.h>

#include "core/error.h"
#include "core/futex.h"

// The runner's.
static void count(shoal_atomic32 *counter) { shoal_store32_relaxed(counter, shoal_load32_relaxed(counter) + 1); }
static uint32_t runner_of(const struct shoal_once *once) {
  return shoal_robust_owner(shoal_load32_relaxed(&once->robust.word));
}

int shoal_once_init(struct shoal_once *once) {
  int rc = shoal_robust_check();
  if (rc == 0) memset(once, 0, sizeof *once);
  return rc;
}

int shoal_once_destroy(struct shoal_once *once) {
  int rc = shoal_robust_acquire_(&once->robust, SHOAL_TRY);
  if (rc && rc != -EOWNERDEAD)
    return shoal_fail_(-EBUSY, "thread %s runs it", shoal_thread_name_(runner_of(once)).text);
  if (rc && shoal_load32_relaxed(&once->state) == SHOAL_ONCE_NEW) count(&once->deaths);  // who comes next is not told
  rc = 0;
  if (shoal_futex_sleepers(&once->robust.word)) rc = shoal_fail_(-EBUSY, "somebody waits for its end");
  else if (shoal_load32_relaxed(&once->state) == SHOAL_ONCE_DESTROYED)
    rc = shoal_fail_(-EINVAL, "it has been destroyed");
  else shoal_store32_relaxed(&once->state, SHOAL_ONCE_DESTROYED);
  shoal_robust_release_(&once->robust);  // wakes who sleeps
  return rc;
}

// The runner. Killed before the store: not done. After it: done, and whoever takes the word sees that. A child that
// `fn` has forked comes back here as well, and has nothing to say.
static int run(struct shoal_once *once, int (*fn)(void *), void *arg) {
  count(&once->runs);
  int rc = fn(arg);
  if (runner_of(once) != shoal_self_()->tid) return shoal_fail_(-EPERM, "a child of fork does not run it");
  if (rc == 0) shoal_store32_release(&once->state, SHOAL_ONCE_DONE);  // [O1] pairs with [O2]
  shoal_robust_release_(&once->robust);
  return rc;
}

int shoal_once_run_slow_(struct shoal_once *once, int (*fn)(void *), void *arg, shoal_deadline deadline) {
  int rc = shoal_robust_acquire_(&once->robust, deadline);
  if (rc == -EDEADLK) return shoal_fail_(rc, "the calling thread runs it already");
  if (rc && rc != -EOWNERDEAD) return rc;
  uint32_t state = shoal_load32_relaxed(&once->state);
  if (state == SHOAL_ONCE_NEW) {
    if (rc) count(&once->deaths);
    return run(once, fn, arg);
  }
  shoal_robust_release_(&once->robust);
  return state == SHOAL_ONCE_DONE ? 0 : shoal_fail_(-EINVAL, "it has been destroyed, or is none");
}

int shoal_once_info(const struct shoal_once *once, struct shoal_once_info *out) {
  *out = (struct shoal_once_info){.state = shoal_load32_relaxed(&once->state),
                                  .runner = runner_of(once),
                                  .runs = shoal_load32_relaxed(&once->runs),
                                  .deaths = shoal_load32_relaxed(&once->deaths)};
  return 0;
}

static int check(const void *memory, uint64_t size) {
  const struct shoal_once *once = memory;
  (void)size;
  uint32_t state = shoal_load32_relaxed(&once->state);
  return state < SHOAL_ONCE_DESTROYED ? 0 : shoal_fail_(-EPROTO, "destroyed, or damaged");
}

SHOAL_NAMED_DEFINE_(shoal_once, "once", check, sizeof(struct shoal_once), shoal_once_init(it))
