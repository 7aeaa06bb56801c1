#include "sync/gate.h"

#include <limits.h>

#include "core/backoff.h"

#define W_BIT 31

int shoal_watch_add_(struct shoal_watch_ *w, shoal_atomic32 *word, uint32_t value) {
  if (w->n == SHOAL_FUTEX_MANY) return 0;
  w->entries[w->n++] = (struct shoal_futex_entry){word, value};
  return 1;
}

void shoal_gate_ring_(shoal_atomic32 *gate) { shoal_futex_clear_and_wake(gate, W_BIT); }

void shoal_gate_wake_(shoal_atomic32 *gate, int n) {
  if (n == INT_MAX || shoal_futex_wake(gate, n) < n) shoal_gate_ring_(gate);
}

uint32_t shoal_gate_arm_(shoal_atomic32 *gate) {
  return shoal_or32_seq_cst(gate, SHOAL_GATE_W) | SHOAL_GATE_W;  // [G1] pairs with [G2]
}

// Woken by another word than the gate, or by nobody: a death, of which the kernel has told no one else.
static void sleep_once(struct shoal_watch_ *w, shoal_deadline deadline) {
  int64_t now = shoal_now_ns();
  int64_t end = deadline.ns - now > SHOAL_RECHECK_NS ? now + SHOAL_RECHECK_NS : deadline.ns;
  int woke = w->n == 1 ? shoal_futex_wait(w->entries[0].word, w->entries[0].value, (shoal_deadline){end})
                       : shoal_futex_wait_many(w->entries, w->n, 0, (shoal_deadline){end});
  w->late = woke == -ETIMEDOUT && end != deadline.ns;
  if (woke > 0 || w->late) shoal_gate_ring_(w->entries[0].word);
}

// Spins for about what a wake-up costs; the budget learns.
static int spin(const struct shoal_gate_ops_ *ops, void *op) {
  static __thread uint32_t budget = SHOAL_SPIN_MAX / 2;
  for (uint32_t i = 0; i < budget; i++) {
    shoal_pause();
    int rc = ops->attempt(op);
    if (rc != -EAGAIN) {
      budget = shoal_spin_paid(budget, SHOAL_SPIN_MAX);
      return rc;
    }
  }
  budget = shoal_spin_failed(budget);
  return -EAGAIN;
}

int shoal_gate_sleep_(shoal_atomic32 *gate, const struct shoal_gate_ops_ *ops, void *op, shoal_deadline deadline) {
  struct shoal_watch_ w;
  int slept = 0, rc;
  for (w.late = 0;;) {
    w.n = 1;
    w.entries[0] = (struct shoal_futex_entry){gate, shoal_gate_arm_(gate)};
    rc = ops->attempt(op);
    if (rc != -EAGAIN) break;
    if (ops->watch && ops->watch(op, &w)) continue;
    if (shoal_deadline_passed(deadline)) {
      rc = -ETIMEDOUT;
      break;
    }
    sleep_once(&w, deadline);
    slept = 1;
  }
  if (slept && ops->watch) ops->watch(op, NULL);
  if (slept && rc && shoal_gate_asleep_(gate)) shoal_gate_wake_(gate, 1);  // the baton
  return rc;
}

int shoal_gate_wait_(shoal_atomic32 *gate, const struct shoal_gate_ops_ *ops, void *op, shoal_deadline deadline) {
  int rc = ops->attempt(op);
  if (rc != -EAGAIN) return rc;
  if (shoal_deadline_is_try(deadline)) {
    struct shoal_watch_ w;
    w.n = 1, w.late = 0;
    return ops->watch && ops->watch(op, &w) ? ops->attempt(op) : -EAGAIN;
  }
  rc = spin(ops, op);
  return rc == -EAGAIN ? shoal_gate_sleep_(gate, ops, op, deadline) : rc;
}
