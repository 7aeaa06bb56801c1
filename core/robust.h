// core/robust.h: words that the kernel marks when the thread that owns them dies.
//
// Everything that must not outlive its owner stands on this: a participant's liveness word, a role's, a lock. Such a
// word is enlisted in the C library's own robust list (see get_robust_list(2)), so the kernel, at the thread's death by
// any cause and at exec, sets FUTEX_OWNER_DIED in it and wakes one sleeper.
//
//   word   0 free | TID of the owner | FUTEX_WAITERS: somebody may sleep here | FUTEX_OWNER_DIED: the kernel's mark; a
//          participant that leaves sets it, too, beside its number
//
// Whoever sleeps has set FUTEX_WAITERS, and it stays in the word, free or owned, until the kernel has been told to wake
// everybody: so a thread that overtakes the woken one knows of the others, even if the woken one is killed.
//
// The second leg is list_op_pending: one word a thread that the kernel looks at as well. It covers the instructions
// between taking a word and enlisting it; and an operation that points it at any other word (a bell, whose owner part
// is always 0) has the kernel wake one sleeper there if it dies inside. An operation saves and restores what it found
// there, so operations nest.
//
// SAFETY   the thread that acquired or enlisted a word releases or delists it, at the same address; the memory stays
//          mapped until then.
//          In a signal handler, whatever it interrupts here: an operation that puts the list back as it found it:
//          acquire with SHOAL_TRY, then release, before it returns; a live word taken or adopted, and dropped. Not:
//          keeping what it acquired, giving back what it did not take (the interrupted operation has read the links),
//          waiting (for itself). And not while the thread is inside the C library's lock or unlock of a robust mutex,
//          which links its neighbour first: block the signal there.
// CRASH    at any instruction: the word is free, or owned by the living, or marked. Never owned by the dead, but for
//          what the kernel refuses: more than 2,048 entries a thread; and but for what a signal handler's operation
//          interrupted, if the thread dies in the handler: there is one list_op_pending. Sleepers look again every
//          SHOAL_RECHECK_NS.
// COST     acquire and release: two compare-and-sets, five stores to the thread's own lines. A release out of the order
//          of a stack: a load for each word that the thread has enlisted since (the links back lie in shared memory,
//          and are not believed): n words given back in the order they were taken are n * n / 2 loads.
// SOURCE   the protocol of glibc's and musl's robust mutexes (Linux Documentation/locking/robust-futexes.rst). The list
//          is theirs: an entry points at `next_`, and finds its neighbour's `prev_` 8 bytes before it.
#pragma once

#include <linux/futex.h>

#include "core/atomic.h"
#include "core/deadline.h"

SHOAL_BEGIN

struct shoal_robust {
  shoal_atomic32 word;   // the owner, the kernel at its death, sleepers (FUTEX_WAITERS)
  uint32_t state;        // for the object that embeds it; the owner
  shoal_atomic64 user_;  // for the object that embeds it
  uint64_t list_[3];  // the C library's links, the owner: addresses in the owner's process, meaningless to all others
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_robust) == 40, "the C libraries' entries fit");

struct shoal_robust_head_ {  // struct robust_list_head of the kernel
  void *next;
  long offset;
  void *pending;
};

// What a thread knows of itself. `epoch` differs from shoal_epoch() in a thread that has not started yet and, since its
// page is wiped by fork, in a child of fork or of a raw clone. A child's epoch differs from those of all its ancestors.
struct shoal_thread_ {
  struct shoal_robust_head_ *head;
  uint32_t tid;
  uint32_t epoch;
  uint64_t id;  // the tid, and above it when it began: a later thread with the same number is another
};
extern __thread struct shoal_thread_ shoal_thread_ __attribute__((tls_model("initial-exec")));
extern const volatile uint32_t *shoal_epoch_;
SHOAL_INLINE uint32_t shoal_epoch(void) {
  return __atomic_load_n(__atomic_load_n(&shoal_epoch_, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
}
void shoal_thread_start_(void);

// 0; -ENOSYS: this C library's robust list is not one we know; -ENOMEM: no page for what fork wipes. Called once by
// whoever creates or opens something.
int shoal_robust_check(void);

// The calling thread. Never fails after shoal_robust_check() answered 0 in this process.
SHOAL_INLINE struct shoal_thread_ *shoal_self_(void) {
  if (SHOAL_UNLIKELY(shoal_thread_.epoch != shoal_epoch())) shoal_thread_start_();
  return &shoal_thread_;
}

#ifdef __GLIBC__
#define SHOAL_ROBUST_OFFSET_ 32  // from the word to its entry; checked against the head at thread start
#else
#define SHOAL_ROBUST_OFFSET_ (-shoal_thread_.head->offset)
#endif

SHOAL_INLINE void *shoal_robust_entry_(const shoal_atomic32 *word) { return (char *)word + SHOAL_ROBUST_OFFSET_; }

// What a message calls a thread: its number and, while it lives, its name.
struct shoal_thread_name_ {
  char text[32];
};
struct shoal_thread_name_ shoal_thread_name_(uint32_t tid);

// Points list_op_pending at `word` and answers what was there, for shoal_pending_restore_.
SHOAL_INLINE void *shoal_pending_set_(struct shoal_thread_ *t, const shoal_atomic32 *word) {
  struct shoal_robust_head_ *head = t->head;
  void *old = head->pending;
  head->pending = shoal_robust_entry_(word);
  SHOAL_COMPILER_BARRIER();
  return old;
}
SHOAL_INLINE void shoal_pending_restore_(struct shoal_thread_ *t, void *old) {
  SHOAL_COMPILER_BARRIER();
  t->head->pending = old;
}

// Links a word that this thread owns, or unlinks it. list_op_pending points at it meanwhile. Only an entry that is not
// the first has a `prev_` that means anything, to the C library: whoever links in front of it writes it, whoever
// unlinks there mends it. Linking writes it last: a signal handler that links a word and unlinks it again mends what
// was the first, to the head.
SHOAL_INLINE void shoal_robust_enlist_(struct shoal_thread_ *t, struct shoal_robust *r) {
  struct shoal_robust_head_ *head = t->head;
  char *entry = (char *)shoal_robust_entry_(&r->word);
  void *next = head->next;
  *(void *volatile *)entry = next;
  SHOAL_COMPILER_BARRIER();
  head->next = entry;
  SHOAL_COMPILER_BARRIER();
  char *peer = (char *)((uintptr_t)next & ~(uintptr_t)1);
  if (SHOAL_UNLIKELY(peer != (char *)head)) *(void **)(peer - 8) = entry;
  SHOAL_COMPILER_BARRIER();
}
// Which entry of the thread's list leads to this one: searched, not believed; NULL: it is not in the list, though its
// word has the thread's number. Releases in the order of a stack need not search; others read a link of each word
// enlisted since.
void *shoal_robust_before_(const struct shoal_thread_ *t, const void *entry);
SHOAL_INLINE void shoal_robust_delist_(struct shoal_thread_ *t, struct shoal_robust *r) {
  struct shoal_robust_head_ *head = t->head;
  char *entry = (char *)shoal_robust_entry_(&r->word);
  void *prev = SHOAL_LIKELY(head->next == entry) ? head : shoal_robust_before_(t, entry);
  if (SHOAL_UNLIKELY(!prev)) return;
  void *next = *(void **)entry;
  *(void **)prev = next;  // the kernel reads only forward: unlink there first
  SHOAL_COMPILER_BARRIER();
  char *peer = (char *)((uintptr_t)next & ~(uintptr_t)1);
  if (SHOAL_UNLIKELY(peer != (char *)head)) *(void **)(peer - 8) = prev;
  SHOAL_COMPILER_BARRIER();
}

SHOAL_INLINE uint32_t shoal_robust_owner(uint32_t word) { return word & FUTEX_TID_MASK; }
SHOAL_INLINE int shoal_robust_is_dead(uint32_t word) { return (word & FUTEX_OWNER_DIED) != 0; }

// ---- a word that tells whether its owner lives: a participant's, a role's ----
// Takes `r` if it is free (0), enlists it, and holds it as TID | FUTEX_WAITERS, so that its death wakes. 0, or -EBUSY.
int shoal_live_take_(struct shoal_robust *r);
// The same with a word that the kernel has marked and that is still `word`: the caller is the dead one's only heir,
// until it drops the word or dies in turn. 0, or -EBUSY.
int shoal_live_adopt_(struct shoal_robust *r, uint32_t word);
// Gives it back (0) and wakes all who sleep on it. Only the owner.
void shoal_live_drop_(struct shoal_robust *r);
// What was adopted is a dead one's again, for another heir; wakes all who sleep on it. Only the owner.
void shoal_live_abandon_(struct shoal_robust *r);

// Whether the calling thread has a word in these `length` bytes on its list, other than `but`.
int shoal_robust_owns_in_(const void *base, uint64_t length, const struct shoal_robust *but);
// Whether a byte of them is of such a word, or of its links, which are believed: who writes there writes what a release
// follows.
SHOAL_INLINE int shoal_robust_owns_some_of_(const void *base, uint64_t length) {
  const uint64_t before = sizeof(struct shoal_robust) - 1;
  return shoal_robust_owns_in_((const void *)((uintptr_t)base - before), length + before, NULL);
}

// Marks a word whose owner is gone though the kernel has not marked it (a list it could not walk).
void shoal_robust_mark_if_gone_(struct shoal_robust *r, uint32_t word);

// ---- a word that one thread owns at a time ----
// 0 or, with the word owned just as well, -EOWNERDEAD; -EDEADLK it is the caller's already; -EAGAIN, -ETIMEDOUT.
int shoal_robust_acquire_slow_(struct shoal_robust *r, struct shoal_thread_ *t, shoal_deadline deadline);

// Outside of any operation list_op_pending stays at the word until it is released, which saves two stores: a word that
// is enlisted and pending as well is marked once. `slow` is asked where the word is not free at once: it answers as
// shoal_robust_acquire_slow_, and calls it.
SHOAL_INLINE int shoal_robust_acquire_by_(struct shoal_robust *r, shoal_deadline deadline,
                                          int (*slow)(struct shoal_robust *, struct shoal_thread_ *, shoal_deadline)) {
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &r->word);
  uint32_t word = 0;
  int rc = 0;
  // [A1] pairs with [R1]: what the last owner wrote is seen
  if (SHOAL_UNLIKELY(!shoal_cas32_acquire(&r->word, &word, t->tid))) {
    rc = slow(r, t, deadline);
    if (rc && rc != -EOWNERDEAD) {
      shoal_pending_restore_(t, pending);
      return rc;
    }
  }
  shoal_robust_enlist_(t, r);
  if (SHOAL_UNLIKELY(pending != NULL)) shoal_pending_restore_(t, pending);
  return rc;
}

SHOAL_INLINE int shoal_robust_acquire_(struct shoal_robust *r, shoal_deadline deadline) {
  return shoal_robust_acquire_by_(r, deadline, shoal_robust_acquire_slow_);
}

void shoal_robust_release_slow_(struct shoal_robust *r);

// Only the owner, `t`.
SHOAL_INLINE void shoal_robust_release_as_(struct shoal_robust *r, struct shoal_thread_ *t) {
  void *pending = t->head->pending, *entry = shoal_robust_entry_(&r->word);
  uint32_t word = t->tid;
  if (SHOAL_LIKELY(pending == entry)) pending = NULL;
  else shoal_pending_set_(t, &r->word);
  shoal_robust_delist_(t, r);
  // [R1] pairs with [A1]. Killed before it: the kernel marks the word, pending points here.
  if (SHOAL_UNLIKELY(!shoal_cas32_release(&r->word, &word, 0))) shoal_robust_release_slow_(r);
  shoal_pending_restore_(t, pending);
}
SHOAL_INLINE void shoal_robust_release_(struct shoal_robust *r) { shoal_robust_release_as_(r, shoal_self_()); }

SHOAL_END
