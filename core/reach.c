#include "core/reach.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

__thread struct shoal_reach_cache_ shoal_reach_cache_[SHOAL_REACH_SETS_][2];
shoal_atomic64 shoal_reach_changes_;

#define NOTED 256u
static struct {
  shoal_atomic64 at;  // 0: free
  shoal_atomic64 size;
} noted[NOTED];
static shoal_atomic32 top;  // nothing was ever noted at or above this place

void shoal_reach_note_(const void *memory, uint64_t size) {
  for (uint32_t i = 0; i < NOTED; i++) {
    uint64_t none = 0;
    // [N2] pairs with [N3]: whose place it was is done with it
    if (shoal_load64_relaxed(&noted[i].at) || !shoal_cas64_acq_rel(&noted[i].at, &none, (uintptr_t)memory)) continue;
    shoal_store64_release(&noted[i].size, size);  // [N1] pairs with [N4]
    uint32_t n = shoal_load32_relaxed(&top);
    while (n < i + 1 && !shoal_cas32_relaxed(&top, &n, i + 1)) continue;
    break;
  }
  shoal_add64_relaxed(&shoal_reach_changes_, 1);
}

// `most` of those that begin in these bytes.
static void forget(uintptr_t begin, uint64_t length, uint32_t most) {
  for (uint32_t i = 0, n = shoal_load32_relaxed(&top); i < n && most; i++) {
    uint64_t none = 0, size = shoal_load64_relaxed(&noted[i].size);
    if (shoal_load64_relaxed(&noted[i].at) - begin >= length || !size) continue;
    if (!shoal_cas64_relaxed(&noted[i].size, &size, none)) continue;  // another thread forgets it
    shoal_store64_release(&noted[i].at, none);                        // [N3] pairs with [N2]
    most--;
  }
  shoal_add64_relaxed(&shoal_reach_changes_, 1);
}
void shoal_reach_forget_(const void *memory) { forget((uintptr_t)memory, 1, 1); }
void shoal_reach_forget_all_(const void *base, uint64_t length) { forget((uintptr_t)base, length, NOTED); }

// 1, and the bytes from `at` to the end of the object that it is a part of, or ends; 0: no such object is noted. Of
// several, of which all but one are memory given back, the longest.
static int known_behind(uintptr_t at, uint64_t *bytes) {
  int known = 0;
  for (uint32_t i = 0, n = shoal_load32_relaxed(&top); i < n; i++) {
    uint64_t size = shoal_load64_acquire(&noted[i].size);  // [N4] pairs with [N1]
    uint64_t begin = shoal_load64_relaxed(&noted[i].at);
    if (at - 1 - begin >= size) continue;
    if (!known || *bytes < size - (at - begin)) *bytes = size - (at - begin);
    known = 1;
  }
  return known;
}

// An operation that there is none of, so that nothing is done; but the kernel looks at the set first.
static int can_read(uintptr_t at) {
  return syscall(SYS_rt_sigprocmask, ~0, at & ~(uintptr_t)7, NULL, 8) && errno != EFAULT;
}

#define PAGE UINT64_C(4096)  // the smallest there is
uint64_t shoal_readable_(const void *from, uint64_t bytes) {
  uintptr_t begin = (uintptr_t)from;
  uint64_t found = 0;
  if (begin + bytes < begin) return 0;
  while (found < bytes && can_read(begin + found)) found += PAGE - (begin + found) % PAGE;
  return found < bytes ? found : bytes;
}

// Adds no bits to it, and wakes whoever sleeps, of this process alone, at a word of our own.
int shoal_writable_(const shoal_atomic32 *word) {
  static shoal_atomic32 nobody_sleeps_here;
  return syscall(SYS_futex, &nobody_sleeps_here.v_, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 0, NULL, &word->v_,
                 FUTEX_OP((unsigned)FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, 0)) >= 0;
}

// A signal handler finds all of it or nothing.
static void keep(struct shoal_reach_cache_ *e, const void *from, uint64_t bytes, uint64_t changes) {
  e->from = NULL;
  SHOAL_COMPILER_BARRIER();
  e->bytes = bytes, e->changes = changes;
  SHOAL_COMPILER_BARRIER();
  e->from = from;
}

uint64_t shoal_reach_slow_(const void *from, uint64_t bytes) {
  struct shoal_reach_cache_ *set = shoal_reach_set_(from), was = set[0];
  uint64_t changes = shoal_load64_relaxed(&shoal_reach_changes_), reach = bytes;
  if (!shoal_reach_known_(&set[1], from, bytes) && !known_behind((uintptr_t)from, &reach))
    reach = shoal_readable_(from, bytes);
  if (was.from != from && shoal_reach_known_(&set[0], was.from, was.bytes)) keep(&set[1], was.from, was.bytes, changes);
  keep(&set[0], from, reach, changes);
  return bytes < reach ? bytes : reach;
}
