#include "core/robust.h"

#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/backoff.h"
#include "core/error.h"
#include "core/futex.h"

__thread struct shoal_thread_ shoal_thread_;
static const uint32_t before_start = 1;  // no thread has epoch 1
const volatile uint32_t *shoal_epoch_ = &before_start;
static shoal_atomic32 starting;  // 0 no page yet, 1 being made, 2 made
static volatile uint32_t *epoch_page;

// The page's word is this process's epoch; the kernel wipes it in a child, where the first thread to look writes anew.
static int epoch_start(void) {
  uint32_t state = 0;
  // [A2] pairs with [R2]: the page is there
  while ((state = shoal_load32_acquire(&starting)) != 2) {
    if (state == 0 && shoal_cas32_relaxed(&starting, &state, 1)) {
      void *page =
          mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (page == MAP_FAILED || madvise(page, 1, MADV_WIPEONFORK)) {
        shoal_store32_relaxed(&starting, 0);
        return shoal_fail_(-ENOSYS, "no page that fork wipes: %m");
      }
      epoch_page = page;
      shoal_store32_release(&starting, 2);  // [R2] pairs with [A2]
    } else {
      shoal_pause();
    }
  }
  if (*epoch_page == 0) {
    shoal_fence_all_register();
    *epoch_page = 2 + (uint32_t)getpid();  // differs from every ancestor's: their pids are not this one
  }
  shoal_epoch_ = epoch_page;
  return 0;
}

static int thread_start(void) {
  struct shoal_robust_head_ *head = NULL;
  size_t size = 0;
  if (syscall(SYS_get_robust_list, 0, &head, &size)) return shoal_fail_(-ENOSYS, "get_robust_list: %m");
  if (!head && shoal_thread_.head) {  // child of a raw clone: the head is there, with the parent's entries, but not set
    head = shoal_thread_.head;
    head->next = head;
    head->pending = NULL;
    size = sizeof *head;
    if (syscall(SYS_set_robust_list, head, size)) return shoal_fail_(-ENOSYS, "set_robust_list: %m");
  }
  if (!head || size != sizeof *head) return shoal_fail_(-ENOSYS, "this thread has no robust list");
#ifdef __GLIBC__
  if (head->offset != -SHOAL_ROBUST_OFFSET_)
#else
  if (head->offset != -32 && head->offset != -28)
#endif
    return shoal_fail_(-ENOSYS, "unknown robust list: word at %ld of its entry", head->offset);
  int rc = epoch_start();
  if (rc) return rc;
  shoal_thread_ = (struct shoal_thread_){head, (uint32_t)syscall(SYS_gettid), *shoal_epoch_};
  return 0;
}

int shoal_robust_check(void) { return shoal_thread_.epoch == *shoal_epoch_ ? 0 : thread_start(); }

void shoal_thread_start_(void) {
  if (thread_start()) __builtin_trap();  // documented: cannot fail after shoal_robust_check()
}

int shoal_live_take_(struct shoal_robust *r) {
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &r->word);
  uint32_t word = 0;
  // [A3] pairs with [R3]: the former owner, or its reaper, has finished with what the word stands for
  int taken = shoal_cas32_acquire(&r->word, &word, t->tid | FUTEX_WAITERS);
  if (taken) shoal_robust_enlist_(t, r);
  shoal_pending_restore_(t, pending);
  return taken ? 0 : -EBUSY;
}

void shoal_live_drop_(struct shoal_robust *r) {
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &r->word);
  shoal_robust_delist_(t, r);
  shoal_store32_release(&r->word, 0);  // [R3] pairs with [A3]
  shoal_futex_wake(&r->word, INT_MAX);
  shoal_pending_restore_(t, pending);
}

// Killed between the store and the wake: the owner part is 0 and pending points here, so the kernel wakes one.
// Nobody there to wake: the bit goes. Only the kernel can see to it that nobody has come to sleep meanwhile.
void shoal_robust_release_slow_(struct shoal_robust *r) {
  shoal_store32_release(&r->word, FUTEX_WAITERS);  // [R1] pairs with [A1]
  if (shoal_futex_wake(&r->word, 1) == 0) shoal_futex_clear_and_wake(&r->word, 31);
}

// A word left by a thread that the kernel did not mark. tids are reused: a newcomer's looks alive, and is waited for.
static void mark_if_gone(struct shoal_robust *r, uint32_t word) {
  if (syscall(SYS_tkill, shoal_robust_owner(word), 0) && errno == ESRCH)
    shoal_cas32_relaxed(&r->word, &word, (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED);
}

int shoal_robust_acquire_slow_(struct shoal_robust *r, struct shoal_thread_ *t, shoal_deadline deadline) {
  unsigned spin = shoal_deadline_is_try(deadline) ? 0 : SHOAL_SPIN_MAX;
  for (;;) {
    uint32_t word = shoal_load32_relaxed(&r->word);
    if (shoal_robust_owner(word) == 0) {
      // [A1] pairs with [R1], and with what a dead owner wrote: the kernel's mark comes after
      if (shoal_cas32_acquire(&r->word, &word, t->tid | (word & FUTEX_WAITERS)))
        return shoal_robust_is_dead(word) ? -EOWNERDEAD : 0;
      continue;
    }
    if (shoal_robust_owner(word) == t->tid) return -EDEADLK;
    if (spin) {
      spin--;
      shoal_pause();
      continue;
    }
    if (shoal_deadline_is_try(deadline)) return -EAGAIN;
    int64_t now = shoal_now_ns();
    if (now >= deadline.ns) return -ETIMEDOUT;
    if (!(word & FUTEX_WAITERS)) {
      if (!shoal_cas32_relaxed(&r->word, &word, word | FUTEX_WAITERS)) continue;
      word |= FUTEX_WAITERS;
    }
    int64_t end = deadline.ns - now > SHOAL_RECHECK_NS ? now + SHOAL_RECHECK_NS : deadline.ns;
    if (shoal_futex_wait(&r->word, word, (shoal_deadline){end}) == -ETIMEDOUT) mark_if_gone(r, word);
  }
}
