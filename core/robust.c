#include "core/robust.h"

#include <limits.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/backoff.h"
#include "core/count_internal.h"
#include "core/error.h"
#include "core/futex.h"
#include "core/identity_internal.h"

#define NEVER_STARTED 1u  // an epoch that no process has
__thread struct shoal_thread_ shoal_thread_ = {.epoch = NEVER_STARTED};
static const uint32_t before_start;
const volatile uint32_t *shoal_epoch_ = &before_start;
static shoal_atomic32 last_epoch = {NEVER_STARTED};  // inherited by fork, so it only grows from parent to child

// The page's word is this process's epoch; the kernel wipes it in a child, where the first thread to look writes anew.
// No step waits for another thread: fork may leave it behind.
static int epoch_start(void) {
  const volatile uint32_t *page = __atomic_load_n(&shoal_epoch_, __ATOMIC_RELAXED);
  if (page == &before_start) {
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *mine = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mine == MAP_FAILED) return shoal_fail_(-ENOMEM, "no page for the epoch: %m");
    if (madvise(mine, size, MADV_WIPEONFORK)) {
      munmap(mine, size);
      return shoal_fail_(-ENOSYS, "no page that fork wipes: %m");
    }
    if (__atomic_compare_exchange_n(&shoal_epoch_, &page, mine, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) page = mine;
    else munmap(mine, size);
  }
  if (shoal_epoch() == 0) {
    shoal_fence_all_register();
    uint32_t none = 0, epoch = shoal_add32_relaxed(&last_epoch, 1) + 1;
    shoal_cas32_relaxed((shoal_atomic32 *)(uintptr_t)page, &none, epoch);
  }
  return 0;
}

// musl sets a thread's list when it first locks a robust, process-shared mutex.
static void c_library_start(void) {
  pthread_mutexattr_t attributes;
  pthread_mutex_t mutex;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutex_init(&mutex, &attributes);
  pthread_mutex_lock(&mutex);
  pthread_mutex_unlock(&mutex);
  pthread_mutex_destroy(&mutex);
}

#ifdef __GLIBC__
static int at_thread_end(void) { return 0; }
#else
// When a thread ends by return or pthread_exit, musl goes through the list itself, and wakes nobody who sleeps as we
// do, for a shared word. So what the kernel would have done is done before, in the last round of the thread's
// destructors.
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t ends;  // its value: the round
static int has_ends;

static void mark(shoal_atomic32 *word, int pending) {
  uint32_t tid = shoal_thread_.tid, old = shoal_load32_relaxed(word);
  // [R1] pairs with [A1]: what the owner wrote is seen
  while (shoal_robust_owner(old) == tid && !shoal_cas32_release(word, &old, (old & FUTEX_WAITERS) | FUTEX_OWNER_DIED))
    continue;
  if (shoal_robust_owner(old) == tid ? !(old & FUTEX_WAITERS) : !(pending && shoal_robust_owner(old) == 0)) return;
  shoal_futex_wake(word, 1);
  // The C library's mutexes stand there, too.
  syscall(SYS_futex, &word->v_, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
}
// The kernel walks the list of the last thread when the process is gone: until then what it holds is not a dead one's.
// A first thread that has ended stays there until then, and is none: but for a moment, when it is past its destructors
// and not yet a zombie, it counts. Then, and where what it is cannot be read (no descriptor left), this one is taken
// for one of several, and marks too soon: what it holds is said to be a dead one's while the process still ends.
static int is_last_thread(void) {
  struct stat st;
  uint32_t first = (uint32_t)getpid();
  if (stat("/proc/self/task", &st)) return 0;
  return st.st_nlink == 3 || (st.st_nlink == 4 && first != shoal_thread_.tid && shoal_thread_gone_(first, first, 0));
}
static void thread_ends(void *round) {
  struct shoal_robust_head_ *head = shoal_thread_.head;
  if (!head) return;  // it has never held anything
  // in a child of fork: what is there is its parent's, and not to be marked
  if (shoal_thread_.epoch != shoal_epoch()) {
    head->next = head, head->pending = NULL;
    return;
  }
  if ((intptr_t)round < PTHREAD_DESTRUCTOR_ITERATIONS) {
    pthread_setspecific(ends, (void *)((intptr_t)round + 1));
    return;
  }
  if (is_last_thread()) return;
  // What is in the list is marked when the link behind it has been read: then it may have another owner, who writes his
  // own there.
  if (head->pending && !shoal_robust_before_(&shoal_thread_, head->pending))
    mark((shoal_atomic32 *)(void *)((char *)head->pending + head->offset), 1);
  for (unsigned i = 0; i < 2048 && head->next != (void *)head; i++) {
    char *entry = head->pending = head->next;  // killed before the mark, the kernel finds it here
    SHOAL_COMPILER_BARRIER();
    head->next = *(void **)(void *)entry;
    SHOAL_COMPILER_BARRIER();
    mark((shoal_atomic32 *)(void *)(entry + head->offset), 0);
  }
  head->pending = NULL;
}
static void make_key(void) { has_ends = !pthread_key_create(&ends, thread_ends); }
static int at_thread_end(void) {
  pthread_once(&once, make_key);
  if (has_ends && !pthread_setspecific(ends, (void *)1)) return 0;
  return shoal_fail_(-ENOMEM, "no more keys of threads");
}
#endif

static int thread_start(void) {
  struct shoal_robust_head_ *head = NULL, *inherited = shoal_thread_.head;
  size_t size = 0;
  if (syscall(SYS_get_robust_list, 0, &head, &size)) return shoal_fail_(-ENOSYS, "get_robust_list: %m");
  if (!head) {
    if (inherited) inherited->next = inherited, inherited->pending = NULL;  // the parent's entries are not ours
    c_library_start();
    if (syscall(SYS_get_robust_list, 0, &head, &size)) return shoal_fail_(-ENOSYS, "get_robust_list: %m");
  }
  if (!head && inherited) {  // child of a raw clone, of which the C library knows nothing
    head = inherited;
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
  int rc = at_thread_end();
  if (!rc) rc = epoch_start();
  if (rc) return rc;
  uint32_t tid = (uint32_t)syscall(SYS_gettid);
  struct timespec now;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);  // not the vdso's: that one never ends when it is stepped slowly
  uint64_t born = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
  shoal_thread_ = (struct shoal_thread_){head, tid, shoal_epoch(), born << 32 | tid};
  return 0;
}

int shoal_robust_check(void) { return shoal_thread_.epoch == shoal_epoch() ? 0 : thread_start(); }

void shoal_thread_start_(void) {
  if (thread_start()) __builtin_trap();  // documented: cannot fail after shoal_robust_check()
}

int shoal_robust_owns_in_(const void *base, uint64_t length, const struct shoal_robust *but) {
  const struct shoal_robust_head_ *head = shoal_self_()->head;
  uintptr_t entry = (uintptr_t)head->next;
  for (unsigned i = 0; i < 2048; i++) {
    entry &= ~(uintptr_t)1;
    if (entry == (uintptr_t)head) return 0;
    uintptr_t word = entry - (uintptr_t)SHOAL_ROBUST_OFFSET_;
    if (word - (uintptr_t)base < length && word != (uintptr_t)but) return 1;
    entry = *(const uintptr_t *)entry;
  }
  return 0;
}

#define LONGEST 65536u  // of lists that have an end: the kernel looks at fewer, a thread may hold more
void *shoal_robust_before_(const struct shoal_thread_ *t, const void *entry) {
  uintptr_t at = (uintptr_t)t->head;
  for (unsigned i = 0; i < LONGEST; i++) {
    uintptr_t next = *(const uintptr_t *)at & ~(uintptr_t)1;
    if (next == (uintptr_t)entry) return (void *)at;
    if (next == (uintptr_t)t->head) return NULL;
    at = next;
  }
  return NULL;
}

int shoal_live_take_(struct shoal_robust *r) { return shoal_live_adopt_(r, 0); }

int shoal_live_adopt_(struct shoal_robust *r, uint32_t word) {
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &r->word);
  // [A3] pairs with [R3]: the former owner, or its heir, has finished with what the word stands for; or it comes after
  // the kernel's mark: what the dead one wrote is seen
  int taken = shoal_cas32_acquire(&r->word, &word, t->tid | FUTEX_WAITERS);
  if (taken) shoal_robust_enlist_(t, r);
  if (taken && word) shoal_note_claim_(&r->word);
  shoal_pending_restore_(t, pending);
  return taken ? 0 : -EBUSY;
}

// Out of the list first: the next heir, who may come with the store, writes its own links there.
static void live_leave(struct shoal_robust *r, uint32_t word) {
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &r->word);
  shoal_robust_delist_(t, r);
  shoal_store32_release(&r->word, word);  // [R3] pairs with [A3]
  shoal_futex_wake(&r->word, INT_MAX);
  shoal_pending_restore_(t, pending);
}
void shoal_live_drop_(struct shoal_robust *r) { live_leave(r, 0); }
void shoal_live_abandon_(struct shoal_robust *r) { live_leave(r, FUTEX_OWNER_DIED); }

// Killed between the store and the wake: the owner part is 0 and pending points here, so the kernel wakes one.
// Nobody there to wake: the bit goes. Only the kernel can see to it that nobody has come to sleep meanwhile.
void shoal_robust_release_slow_(struct shoal_robust *r) {
  shoal_store32_release(&r->word, FUTEX_WAITERS);  // [R1] pairs with [A1]
  if (shoal_futex_wake(&r->word, 1) == 0) shoal_futex_clear_and_wake(&r->word, 31);
}

// A word left by a thread that the kernel did not mark. tids are reused: a newcomer's looks alive, and is waited for;
// one that takes this word between the two steps would be taken for the dead (core/README.md, Limits).
void shoal_robust_mark_if_gone_(struct shoal_robust *r, uint32_t word) {
  if (syscall(SYS_tkill, shoal_robust_owner(word), 0) && errno == ESRCH)
    shoal_cas32_relaxed(&r->word, &word, (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED);
}

// Each look takes the line from who works under it, which costs it about as long as SPIN_STEP_MIN pauses; the later
// ones wait longer. In all about what a sleep and a wake-up cost. Measured with two and with eight processes on two
// processors: first looks after 1, 2, 4.. pauses let 20 M pairs/s through where these let 45 M and a mutex that sleeps
// at once 30 M.
#define SPIN_STEP_MIN 32u
#define SPIN_STEP_MAX 256u
#define SPIN_ALL (3 * SHOAL_SPIN_MAX)
int shoal_robust_acquire_slow_(struct shoal_robust *r, struct shoal_thread_ *t, shoal_deadline deadline) {
  unsigned spin = shoal_deadline_is_try(deadline) ? 0 : SPIN_ALL, step = SPIN_STEP_MIN;
  for (;;) {
    uint32_t word = shoal_load32_relaxed(&r->word);
    if (shoal_robust_owner(word) == 0) {
      // [A1] pairs with [R1], and with what a dead owner wrote: the kernel's mark comes after
      if (shoal_cas32_acquire(&r->word, &word, t->tid | (word & FUTEX_WAITERS))) {
        if (shoal_robust_is_dead(word)) shoal_note_owner_died_(&r->word);
        return shoal_robust_is_dead(word) ? -EOWNERDEAD : 0;
      }
      continue;
    }
    if (shoal_robust_owner(word) == t->tid) return -EDEADLK;
    if (spin) {
      unsigned pauses = step < spin ? step : spin;
      spin -= pauses;
      while (pauses--) shoal_pause();
      if (step < SPIN_STEP_MAX) step *= 2;
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
    if (shoal_futex_wait(&r->word, word, (shoal_deadline){end}) == -ETIMEDOUT) shoal_robust_mark_if_gone_(r, word);
  }
}
