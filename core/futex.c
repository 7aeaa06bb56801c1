#include "core/futex.h"

#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/count_internal.h"
#include "core/error.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

struct waitv {  // the kernel's struct futex_waitv; Debian 12's headers have it, older ones do not
  uint64_t value, address;
  uint32_t flags, reserved;
};
#define WAITV_32 2u
#define LOOK_NS INT64_C(10000000)

static struct timespec *to_timespec(shoal_deadline deadline, struct timespec *ts) {
  if (shoal_deadline_is_forever(deadline)) return NULL;
  ts->tv_sec = deadline.ns / 1000000000;
  ts->tv_nsec = deadline.ns % 1000000000;
  return ts;
}

static int result(long rc) {
  if (rc >= 0) return (int)rc;
  return errno == ETIMEDOUT ? -ETIMEDOUT : -EAGAIN;
}

static void note_block(const shoal_atomic32 *word, shoal_deadline deadline) {
  STAP_PROBE2(shoal, block, word, deadline.ns);
  shoal_count_(word, SHOAL_COUNT_BLOCKS_, 1);
}
static int note_wake(const shoal_atomic32 *word, int asked, long result) {
  int woken = result > 0 ? (int)result : 0;
  STAP_PROBE3(shoal, wake, word, asked, woken);
  shoal_count_(word, SHOAL_COUNT_WAKES_, 1);
  if (woken) shoal_count_(word, SHOAL_COUNT_WOKEN_, (uint64_t)woken);
  return woken;
}

static int wait_at(shoal_atomic32 *word, uint32_t value, shoal_deadline deadline) {
  struct timespec ts;
  return result(syscall(SYS_futex, &word->v_, FUTEX_WAIT_BITSET, value, to_timespec(deadline, &ts), NULL,
                        FUTEX_BITSET_MATCH_ANY));
}

int shoal_futex_wait(shoal_atomic32 *word, uint32_t value, shoal_deadline deadline) {
  note_block(word, deadline);
  return wait_at(word, value, deadline);
}

int shoal_futex_wake(shoal_atomic32 *word, int n) {
  return note_wake(word, n, syscall(SYS_futex, &word->v_, FUTEX_WAKE, n, NULL, NULL, 0));
}

// Moves nobody, from the word to itself: the kernel says how many that were, unless the word changes meanwhile.
int shoal_futex_sleepers(const shoal_atomic32 *word) {
  long n;
  do n = syscall(SYS_futex, &word->v_, FUTEX_CMP_REQUEUE, 0, (uintptr_t)INT_MAX, &word->v_, shoal_load32_relaxed(word));
  while (n < 0 && errno == EAGAIN);
  return n > 0 ? (int)n : 0;
}

void shoal_futex_clear_and_wake(shoal_atomic32 *word, unsigned bit) {
  note_wake(word, INT_MAX,
            syscall(SYS_futex, &word->v_, FUTEX_WAKE_OP, INT_MAX, NULL, &word->v_,
                    FUTEX_OP((unsigned)(FUTEX_OP_ANDN | FUTEX_OP_OPARG_SHIFT), bit, FUTEX_OP_CMP_EQ, 0)));
}

int shoal_futex_has_waitv(void) {
  static shoal_atomic32 answer;  // 0 unknown, 1 no, 2 yes
  uint32_t known = shoal_load32_relaxed(&answer);
  if (!known) {
    // waiting for nothing is EINVAL where there is one; a filter's errno may be any other
    known = syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) < 0 && errno == EINVAL ? 2 : 1;
    shoal_store32_relaxed(&answer, known);
  }
  return known == 2;
}

// Without futex_waitv. A change that is followed by a wake of the first word is seen before it sleeps, or wakes it.
static int wait_at_first(const struct shoal_futex_entry *entries, unsigned n, unsigned first, shoal_deadline deadline) {
  for (;;) {
    for (unsigned i = 0; i < n; i++)
      if (shoal_load32_relaxed(entries[i].word) != entries[i].value) return -EAGAIN;
    shoal_deadline look = shoal_after_ns(LOOK_NS);
    int last = deadline.ns <= look.ns, rc = wait_at(entries[first].word, entries[first].value, last ? deadline : look);
    if (rc == 0) return (int)first;
    if (rc != -ETIMEDOUT || last) return rc;
  }
}

int shoal_futex_wait_many(const struct shoal_futex_entry *entries, unsigned n, unsigned first,
                          shoal_deadline deadline) {
  struct waitv v[SHOAL_FUTEX_MANY];
  struct timespec ts;
  if (n == 0 || n > SHOAL_FUTEX_MANY || first >= n) return -EINVAL;
  note_block(entries[first].word, deadline);
  if (!shoal_futex_has_waitv()) return wait_at_first(entries, n, first, deadline);
  for (unsigned i = 0; i < n; i++)
    v[i] = (struct waitv){entries[i].value, (uint64_t)(uintptr_t)&entries[i].word->v_, WAITV_32, 0};
  return result(syscall(SYS_futex_waitv, v, n, 0, to_timespec(deadline, &ts), CLOCK_MONOTONIC));
}

int shoal_fence_all_register(void) {
  return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) ? -ENOSYS : 0;
}

int shoal_fence_all_needed_(void) {
  if (shoal_fence_all_register() == 0) return 0;
  return shoal_fail_(-ENOSYS, "this process may not use membarrier, which the object was made for");
}

int shoal_fence_all(void) { return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) ? -ENOSYS : 0; }
