#include "sync/event.h"

#include <string.h>

#include "core/error.h"

#define SET SHOAL_EVENT_SET_
#define W SHOAL_EVENT_W_
#define CLEARED SHOAL_EVENT_CLEARED_
#define ONE SHOAL_EVENT_ONE_

static uint32_t kind_of(const struct shoal_event *e) { return __atomic_load_n(&e->kind, __ATOMIC_RELAXED); }
static int check(const struct shoal_event *e) {
  if (kind_of(e) == SHOAL_EVENT_KIND_) return 0;
  return shoal_fail_(-EINVAL,
                     kind_of(e) == SHOAL_EVENT_KIND_DESTROYED_ ? "the event has been destroyed" : "not an event");
}
static uint32_t upper(uint64_t word) { return (uint32_t)(word >> 32); }

// ---- wait ----

int shoal_event_begin_(struct shoal_event_op_ *op, struct shoal_event *e) {
  int rc = check(e);
  if (rc) return rc;
  *op = (struct shoal_event_op_){.e = e, .sets = upper(shoal_load64_relaxed(&e->word) & ~CLEARED)};
  return 0;
}

int shoal_event_look_(void *arg) {
  struct shoal_event_op_ *op = arg;
  op->word = shoal_load64_seq_cst(&op->e->word);  // [E2] pairs with [E1]
  return (op->word & SET) || upper(op->word & ~CLEARED) != op->sets ? 0 : -EAGAIN;
}

void shoal_event_arm_(struct shoal_event_op_ *op) { op->gate = shoal_gate_arm_(&op->e->half[0]); }

void shoal_event_words_(const struct shoal_event_op_ *op, struct shoal_futex_entry words[2]) {
  words[0] = (struct shoal_futex_entry){&op->e->half[0], op->gate};
  words[1] = (struct shoal_futex_entry){&op->e->half[1], upper(op->word)};
}

void shoal_event_end_(struct shoal_event_op_ *op) {
  if ((op->word & SET) && shoal_gate_asleep_(&op->e->half[0])) shoal_gate_ring_(&op->e->half[0]);
}

// Set, cleared, and the gate armed again by another: only the count tells.
static int watch(void *arg, struct shoal_watch_ *w) {
  struct shoal_event_op_ *op = arg;
  if (w) shoal_watch_add_(w, &op->e->half[1], upper(op->word));
  return 0;
}

int shoal_event_wait_slow_(struct shoal_event *e, shoal_deadline deadline) {
  static const struct shoal_gate_ops_ ops = {shoal_event_look_, watch};
  struct shoal_event_op_ op;
  int rc = shoal_event_begin_(&op, e);
  if (rc) return rc;
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &e->half[0]);
  rc = shoal_gate_wait_(&e->half[0], &ops, &op, deadline);
  if (rc == 0) shoal_event_end_(&op);
  shoal_pending_restore_(t, pending);
  return rc;
}

// ---- set and clear; list_op_pending points at the gate ----

// [E3] is a read-modify-write of the word: in its order with a clear's, one of the two sees what came before the other.
static void set(struct shoal_event *e) {
  uint64_t word = shoal_add64_seq_cst(&e->word, 0);  // [E3] pairs with [E4]
  while (!(word & SET))
    if (shoal_cas64_seq_cst(&e->word, &word, (word | SET) + ONE)) break;  // [E1] pairs with [E2]
  if (word & W) shoal_gate_ring_(&e->half[0]);  // also if it was set already: whoever set it may be dead
}

// Sleepers that a set has not woken yet are woken first, or the next one to sleep might be woken in their stead.
static void clear(struct shoal_event *e) {
  uint64_t word = shoal_load64_seq_cst(&e->word);  // [E4] pairs with [E3]
  while (word & SET) {
    if (word & W) {
      shoal_gate_ring_(&e->half[0]);
      word = shoal_load64_seq_cst(&e->word);                                     // [E4]
    } else if (shoal_cas64_seq_cst(&e->word, &word, (word & ~SET) | CLEARED)) {  // [E4]
      word = CLEARED;
    }
  }
  if (!(word & CLEARED) || shoal_load32_acquire(&e->fenced)) return;  // [E5] pairs with [E6]
  if (shoal_fence_all() == 0)                                         // [E4]
    shoal_store32_release(&e->fenced, 1);                             // [E6] pairs with [E5]: after the fence
}

static int change(struct shoal_event *e, void (*how)(struct shoal_event *)) {
  int rc = check(e);
  if (rc) return rc;
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &e->half[0]);
  how(e);
  shoal_pending_restore_(t, pending);
  return 0;
}
int shoal_event_set_slow_(struct shoal_event *e) { return change(e, set); }
int shoal_event_clear(struct shoal_event *e) { return change(e, clear); }

// ---- lifecycle ----

int shoal_event_init(struct shoal_event *e) {
  int rc = shoal_robust_check();
  if (rc) return rc;
  memset(e, 0, sizeof *e);
  if (shoal_fence_all_register()) {  // no such fence here: as if it had been cleared
    e->word.v_ = CLEARED;
    e->fenced.v_ = 1;
  }
  e->kind = SHOAL_EVENT_KIND_;
  return 0;
}

int shoal_event_destroy(struct shoal_event *e) {
  int rc = check(e);
  if (rc) return rc;
  int sleepers = shoal_futex_sleepers(&e->half[0]);
  if (sleepers) return shoal_fail_(-EBUSY, "%d threads wait for the event", sleepers);
  shoal_store64_relaxed(&e->word, 0);  // so that no operation is too fast to look at the kind
  __atomic_store_n(&e->kind, SHOAL_EVENT_KIND_DESTROYED_, __ATOMIC_RELAXED);
  return 0;
}

int shoal_event_check_(const void *memory, uint64_t size) {
  const struct shoal_event *e = memory;
  if (size < sizeof *e || kind_of(e) != SHOAL_EVENT_KIND_)
    return shoal_fail_(-EPROTO, "no event in these %llu bytes", (unsigned long long)size);
  return shoal_load32_acquire(&e->fenced) ? 0 : shoal_fence_all_needed_();  // [E5]
}

int shoal_event_info(const struct shoal_event *e, struct shoal_event_info *out) {
  int rc = check(e);
  if (rc) return rc;
  uint64_t word = shoal_load64_relaxed(&e->word);
  *out = (struct shoal_event_info){
      .set = (word & SET) != 0, .waiters = (uint32_t)shoal_futex_sleepers(&e->half[0]), .sets = upper(word) >> 1};
  return 0;
}

SHOAL_NAMED_DEFINE_(shoal_event, "event", shoal_event_check_, sizeof(struct shoal_event), shoal_event_init(it))
