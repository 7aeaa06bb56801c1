#include "sync/semaphore.h"

#include <limits.h>
#include <string.h>

#include "core/error.h"
#include "core/reach.h"

__thread struct shoal_permit_hint_ shoal_permit_hints_[SHOAL_PERMIT_HINTS_];

static uint32_t kind_of(const struct shoal_semaphore *s) { return __atomic_load_n(&s->kind, __ATOMIC_RELAXED); }
static uint32_t bound_of(const struct shoal_semaphore *s) { return __atomic_load_n(&s->bound, __ATOMIC_RELAXED); }
static int is_held(const struct shoal_semaphore *s) { return kind_of(s) == SHOAL_SEMAPHORE_KIND_HELD_; }
static int is_consumed(const struct shoal_semaphore *s) { return kind_of(s) == SHOAL_SEMAPHORE_KIND_CONSUMED_; }
static int check(const struct shoal_semaphore *s) {
  if (is_held(s) || is_consumed(s)) return 0;
  return shoal_fail_(
      -EINVAL, kind_of(s) == SHOAL_SEMAPHORE_KIND_DESTROYED_ ? "the semaphore has been destroyed" : "not a semaphore");
}

// ---- the permits that are held ----

// How many to look at, whatever stands in the memory.
static uint32_t count_of(const struct shoal_semaphore *s) {
  uint32_t n = shoal_load32_relaxed(&s->permits), bound = bound_of(s);
  if (bound > SHOAL_SEMAPHORE_HELD_MAX) bound = SHOAL_SEMAPHORE_HELD_MAX;
  if (n > bound) n = bound;
  return (uint32_t)(shoal_reach_(s + 1, n * sizeof(struct shoal_permit)) / sizeof(struct shoal_permit));
}
static shoal_atomic32 *word_at(const struct shoal_semaphore *s, uint32_t i) {
  return &shoal_permit_at_(s, i)->robust.word;
}
static int is_free(uint32_t word) { return shoal_robust_owner(word) == 0; }

static uint32_t count_words(const struct shoal_semaphore *s, uint32_t mask, uint32_t value) {
  uint32_t found = 0;
  for (uint32_t i = 0, n = count_of(s); i < n; i++) found += (shoal_load32_relaxed(word_at(s, i)) & mask) == value;
  return found;
}
static uint32_t count_free(const struct shoal_semaphore *s) { return count_words(s, FUTEX_TID_MASK, 0); }

// 1 if permit i is the caller's now. list_op_pending points at the gate, and again at the end.
static int take(struct shoal_semaphore *s, uint32_t i) {
  struct shoal_robust *r = &shoal_permit_at_(s, i)->robust;
  struct shoal_thread_ *t = shoal_self_();
  uint32_t word = shoal_load32_relaxed(&r->word);
  if (!is_free(word)) return 0;
  void *gate = shoal_pending_set_(t, &r->word);
  // [P2] pairs with [P1], and with the kernel's mark
  int taken = shoal_cas32_seq_cst(&r->word, &word, t->tid | FUTEX_WAITERS);
  if (taken) shoal_robust_enlist_(t, r);
  shoal_pending_restore_(t, gate);
  if (taken && shoal_robust_is_dead(word)) shoal_add32_relaxed(&s->returned, 1);
  return taken;
}

static int attempt_held(void *op) {
  struct shoal_semaphore *s = op;
  struct shoal_permit_hint_ *hint = shoal_permit_hint_at_(s);
  uint32_t n = count_of(s), from = hint->s == s ? hint->index : shoal_self_()->tid;
  for (uint32_t k = 0; k < n; k++) {
    uint32_t i = (from + k) % n;
    if (!take(s, i)) continue;
    *hint = (struct shoal_permit_hint_){s, i};
    return 0;
  }
  return -EAGAIN;
}

// The first sleeper of all makes sure that whoever has not seen that somebody sleeps here has its release seen. One
// that may not leaves that to the next; what it misses until then, it sees when it looks again.
static int fence_once(struct shoal_semaphore *s) {
  if (shoal_load32_acquire(&s->fenced)) return 0;  // [P5] pairs with [P6]
  shoal_or32_seq_cst(&s->gate, SHOAL_GATE_FLAG);   // [P4] pairs with [P3]
  if (shoal_fence_all()) return 0;
  shoal_store32_release(&s->fenced, 1);  // [P6] pairs with [P5]: after the fence
  return 1;
}

#define WATCHED (SHOAL_FUTEX_MANY - 2)  // beside the gate and their number
static int watch_held(void *op, struct shoal_watch_ *w) {
  static __thread uint32_t window;
  struct shoal_semaphore *s = op;
  if (!w) return 0;  // a permit of the dead waits for whoever comes, and who takes one sees the next
  if (fence_once(s)) return 1;
  uint32_t n = shoal_load32_relaxed(&s->permits);
  shoal_watch_add_(w, &s->permits, n);
  n = count_of(s);
  if (n > WATCHED) window += WATCHED;  // more than can be watched: with every sleep others
  for (uint32_t k = 0; k < n; k++) {
    uint32_t i = (window + k) % n, word = shoal_load32_seq_cst(word_at(s, i));  // [P4] comes after arming the gate
    if (w->late && !is_free(word)) shoal_robust_mark_if_gone_(&shoal_permit_at_(s, i)->robust, word);
    if (is_free(word)) return 1;
    shoal_watch_add_(w, word_at(s, i), word);
  }
  return 0;
}

// ---- the permits that are consumed ----

static int attempt_consumed(void *op) {
  struct shoal_semaphore *s = op;
  uint32_t n = shoal_load32_seq_cst(&s->permits);  // [P4] comes after arming the gate
  while (n)
    if (shoal_cas32_seq_cst(&s->permits, &n, n - 1)) return 0;  // [P2] pairs with [P1]
  return -EAGAIN;
}
static int watch_consumed(void *op, struct shoal_watch_ *w) {
  struct shoal_semaphore *s = op;
  if (w) shoal_watch_add_(w, &s->permits, 0);
  return 0;
}

// ---- acquire ----

static uint32_t value_of(const struct shoal_semaphore *s) {
  return is_held(s) ? count_free(s) : shoal_load32_relaxed(&s->permits);
}
// Somebody sleeps and there is another permit: the wake for that one may have died with its receiver.
static void pass_on(struct shoal_semaphore *s) {
  if (shoal_gate_asleep_(&s->gate) && value_of(s)) shoal_gate_wake_(&s->gate, 1);
}

int shoal_semaphore_taken_(struct shoal_semaphore *s, void *pending) {
  pass_on(s);
  shoal_pending_restore_(shoal_self_(), pending);
  return 0;
}

int shoal_semaphore_acquire_slow_(struct shoal_semaphore *s, shoal_deadline deadline) {
  static const struct shoal_gate_ops_ held = {attempt_held, watch_held};
  static const struct shoal_gate_ops_ consumed = {attempt_consumed, watch_consumed};
  if (is_consumed(s) && attempt_consumed(s) == 0) return 0;
  const struct shoal_gate_ops_ *ops = is_held(s) ? &held : &consumed;
  int rc = check(s);
  if (rc) return rc;
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &s->gate);
  rc = shoal_deadline_is_try(deadline) ? ops->attempt(s) : shoal_gate_wait_(&s->gate, ops, s, deadline);
  if (rc == 0) pass_on(s);
  shoal_pending_restore_(t, pending);
  return rc;
}

// ---- the same in steps ----

int shoal_semaphore_begin_(struct shoal_semaphore_op_ *op, struct shoal_semaphore *s) {
  *op = (struct shoal_semaphore_op_){.s = s};
  return check(s);
}
int shoal_semaphore_attempt_(struct shoal_semaphore_op_ *op) {
  int rc = is_held(op->s) ? attempt_held(op->s) : attempt_consumed(op->s);
  if (rc == 0) pass_on(op->s);
  return rc;
}
int shoal_semaphore_look_(struct shoal_semaphore_op_ *op) { return value_of(op->s) ? 0 : -EAGAIN; }
void shoal_semaphore_arm_(struct shoal_semaphore_op_ *op) { op->gate = shoal_gate_arm_(&op->s->gate); }
int shoal_semaphore_watch_(struct shoal_semaphore_op_ *op, struct shoal_watch_ *w) {
  w->n = 1;
  w->late = op->late;
  w->entries[0] = (struct shoal_futex_entry){&op->s->gate, op->gate};
  return is_held(op->s) ? watch_held(op->s, w) : watch_consumed(op->s, w);
}
void shoal_semaphore_woken_(struct shoal_semaphore_op_ *op, int late) {
  op->late = (uint32_t)late;
  pass_on(op->s);
}

// ---- release ----

// `n` permits have been given back; `gate` as it was afterwards.
static void wake(struct shoal_semaphore *s, uint32_t n, uint32_t gate) {
  if (gate & SHOAL_GATE_W) shoal_gate_wake_(&s->gate, n < INT_MAX ? (int)n : INT_MAX);
}
// After mere stores: a read-modify-write sees who has armed the gate, or is seen by who does.
static uint32_t gate_of(struct shoal_semaphore *s) { return shoal_add32_seq_cst(&s->gate, 0); }  // [P3] pairs with [P4]

int shoal_semaphore_released_(struct shoal_semaphore *s, void *pending) {
  wake(s, 1, gate_of(s));
  shoal_pending_restore_(shoal_self_(), pending);
  return 0;
}

static int add(struct shoal_semaphore *s, uint32_t n) {
  uint32_t permits = shoal_load32_relaxed(&s->permits), bound = bound_of(s);
  do
    if (permits > bound || n > bound - permits)
      return shoal_fail_(-EOVERFLOW, "%u permits and %u more: at most %u", permits, n, bound);
  while (!shoal_cas32_seq_cst(&s->permits, &permits, permits + n));  // [P1] pairs with [P2]; [P3]
  return 0;
}

// Of those the caller holds. *pending: where list_op_pending is to point in the end; not at what is no longer ours.
static void give_back(struct shoal_semaphore *s, uint32_t n, void **pending) {
  struct shoal_thread_ *t = shoal_self_();
  for (uint32_t i = 0, all = count_of(s); n && i < all; i++) {
    struct shoal_robust *r = &shoal_permit_at_(s, i)->robust;
    if (shoal_robust_owner(shoal_load32_relaxed(&r->word)) != t->tid) continue;
    if (*pending == shoal_robust_entry_(&r->word)) *pending = NULL;
    void *gate = shoal_pending_set_(t, &r->word);
    shoal_robust_delist_(t, r);
    shoal_store32_release(&r->word, 0);  // [P1] pairs with [P2]
    shoal_pending_restore_(t, gate);
    *shoal_permit_hint_at_(s) = (struct shoal_permit_hint_){s, i};
    n--;
  }
}

int shoal_semaphore_release_n(struct shoal_semaphore *s, uint32_t n) {
  int rc = n ? check(s) : shoal_fail_(-EINVAL, "a release of nothing");
  if (rc) return rc;
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &s->gate);
  uint32_t held = is_held(s) ? count_words(s, FUTEX_TID_MASK, t->tid) : 0;
  if (n > held) rc = add(s, n - held);
  if (rc == 0 && held) give_back(s, n < held ? n : held, &pending);
  // [P3] comes after the compare-and-set of add()
  if (rc == 0) wake(s, n, held ? gate_of(s) : shoal_load32_seq_cst(&s->gate));
  shoal_pending_restore_(t, pending);
  return rc;
}

// ---- lifecycle ----

uint64_t shoal_semaphore_size(uint32_t bound, uint32_t flags) {
  if (flags & SHOAL_SEMAPHORE_CONSUMED) return sizeof(struct shoal_semaphore);
  if (bound == 0 || bound > SHOAL_SEMAPHORE_HELD_MAX) return 0;
  return sizeof(struct shoal_semaphore) + (uint64_t)bound * sizeof(struct shoal_permit);
}

int shoal_semaphore_init(struct shoal_semaphore *s, uint32_t value, uint32_t bound, uint32_t flags) {
  int consumed = (flags & SHOAL_SEMAPHORE_CONSUMED) != 0;
  if (bound == 0) bound = consumed ? SHOAL_SEMAPHORE_MAX : value;
  uint32_t most = consumed ? SHOAL_SEMAPHORE_MAX : SHOAL_SEMAPHORE_HELD_MAX;
  if (flags & ~SHOAL_SEMAPHORE_CONSUMED) return shoal_fail_(-EINVAL, "unknown flags %x", flags);
  if (value > bound) return shoal_fail_(-EINVAL, "value %u is above bound %u", value, bound);
  if (bound == 0 || bound > most) return shoal_fail_(-EINVAL, "bound %u is not between 1 and %u", bound, most);
  int rc = shoal_robust_check();
  if (rc) return rc;
  memset(s, 0, shoal_semaphore_size(bound, flags));
  s->permits.v_ = value;
  s->bound = bound;
  if (shoal_fence_all_register()) {  // no such fence here: as if somebody had slept, for good
    s->gate.v_ = SHOAL_GATE_FLAG;
    s->fenced.v_ = 1;
  }
  s->kind = consumed ? SHOAL_SEMAPHORE_KIND_CONSUMED_ : SHOAL_SEMAPHORE_KIND_HELD_;
  return 0;
}

int shoal_semaphore_destroy(struct shoal_semaphore *s) {
  int rc = check(s);
  if (rc) return rc;
  uint32_t held = is_held(s) ? count_of(s) - count_free(s) : 0;
  if (held) return shoal_fail_(-EBUSY, "%u permits are held", held);
  int sleepers = shoal_futex_sleepers(&s->gate);
  if (sleepers) return shoal_fail_(-EBUSY, "%d threads sleep for a permit", sleepers);
  __atomic_store_n(&s->kind, SHOAL_SEMAPHORE_KIND_DESTROYED_, __ATOMIC_RELAXED);
  return 0;
}

int shoal_semaphore_check_(const void *memory, uint64_t size) {
  const struct shoal_semaphore *s = memory;
  uint64_t needed =
      size < sizeof *s ? 0 : shoal_semaphore_size(bound_of(s), is_consumed(s) ? SHOAL_SEMAPHORE_CONSUMED : 0);
  if (!needed || check(s) || needed > size)
    return shoal_fail_(-EPROTO, "no semaphore in these %llu bytes", (unsigned long long)size);
  return shoal_load32_acquire(&s->fenced) ? 0 : shoal_fence_all_needed_();  // [P5]
}

static void list_holders(const struct shoal_semaphore *s, struct shoal_semaphore_info *out) {
  for (uint32_t i = 0, k = 0, n = count_of(s); i < n && k < SHOAL_SEMAPHORE_HOLDERS; i++) {
    uint32_t owner = shoal_robust_owner(shoal_load32_relaxed(word_at(s, i)));
    if (owner) out->holders[k++] = owner;
  }
}

int shoal_semaphore_info(const struct shoal_semaphore *s, struct shoal_semaphore_info *out) {
  int rc = check(s);
  if (rc) return rc;
  uint32_t free = value_of(s), all = is_held(s) ? count_of(s) : free;
  *out = (struct shoal_semaphore_info){.value = free,
                                       .held = all > free ? all - free : 0,
                                       .waiters = (uint32_t)shoal_futex_sleepers(&s->gate),
                                       .bound = bound_of(s),
                                       .returned = shoal_load32_relaxed(&s->returned),
                                       .flags = is_held(s) ? 0 : SHOAL_SEMAPHORE_CONSUMED};
  if (is_held(s)) list_holders(s, out);
  return 0;
}

SHOAL_NAMED_DEFINE_(shoal_semaphore, "semaphore", shoal_semaphore_check_,
                    shoal_semaphore_size(bound ? bound : value, flags), shoal_semaphore_init(it, value, bound, flags),
                    uint32_t value, uint32_t bound, uint32_t flags)
