// Policies of a queue, whatever its kind: what a put does that finds no room, and what is looked at or dropped, not received.
#include "core/error.h"
#include "ipc/queue/queue_internal.h"

const char *shoal_queue_policy_refuses_(const struct shoal_queue_kind_ *kind, const struct shoal_queue_options *o) {
  if (o->overflow > SHOAL_OVERFLOW_DROP_OLDEST) return "options.overflow: there is no such policy";
  if (o->overflow == SHOAL_OVERFLOW_DROP_OLDEST && !kind->evict)
    return "options.overflow: only the consumer of this kind can take the oldest out";
  return NULL;
}

void shoal_queue_discarded_(struct shoal_queue *q, uint64_t n) { shoal_add64_relaxed(&q->shm->discarded, n); }

// ---- drop ----

static struct shoal_queue_info ring_of(struct shoal_queue *q) {
  struct shoal_queue_info info = {0};
  q->ops->info(q, &info);
  return info;
}

// Takes a message and ends it. 0, -EAGAIN: none that is in nobody's hands, -EBUSY.
static int drop(struct shoal_queue_op_ *op, int (*take)(void *)) {
  struct shoal_queue_op_ mine = {.q = op->q, .me = op->me};
  struct shoal_queue *q = op->q;
  struct shoal_role *role = shoal_role_at_(&q->wait, op->me);
  uint32_t busy = shoal_load32_relaxed(&role->busy);
  shoal_store32_relaxed(&role->busy, busy + 1);  // seen by whoever sees the claim, which then watches this role
  int rc = take(&mine);
  mine.loan.role = op->me;
  if (!rc) {
    q->ops->finish(q, &mine.loan, SHOAL_RELEASE_);
    shoal_queue_discarded_(q, 1);
  }
  shoal_store32_release(&role->busy, busy);  // [R6]
  return rc;
}

static int drop_next(void *arg) {
  struct shoal_queue_op_ *op = arg;
  return drop(op, op->q->ops->receive);
}

// Somebody else may have made room, or taken what was made: again, as long as it gets on.
static int or_drop(struct shoal_queue_op_ *op, int (*attempt)(void *)) {
  int rc;
  while ((rc = attempt(op)) == -EAGAIN && !drop(op, op->q->ops->evict)) continue;
  return rc;
}
static int put_or_drop(void *arg) {
  struct shoal_queue_op_ *op = arg;
  return or_drop(op, op->q->ops->put);
}
static int reserve_or_drop(void *arg) {
  struct shoal_queue_op_ *op = arg;
  return or_drop(op, op->q->ops->reserve);
}
static int put_n_or_drop(void *arg) {
  struct shoal_queue_op_ *op = arg, one = *op;
  int rc = 0;
  for (op->done = 0; op->done < op->n && !rc; op->done += !rc, one.in += op->q->element_size) rc = put_or_drop(&one);
  return op->done ? 0 : rc;
}

int shoal_queue_clear(struct shoal_queue *q) {
  struct shoal_queue_op_ op = {.q = q};
  struct shoal_queue_info info = ring_of(q);
  uint64_t most = info.size > info.capacity ? info.size : info.capacity, n = 0;  // or others' puts would keep it here
  int rc = 0;
  while (n < most && !(rc = shoal_queue_run_(&op, SHOAL_CONSUMER, 0, drop_next, SHOAL_TRY))) n++;
  return rc == 0 || rc == -EAGAIN || rc == -EPIPE || n ? (int)n : rc;
}

// ---- looking ----

// The wake that it came by was meant for one who takes the message.
static int peek(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_eventcount *ec = op->q->wait.shm;
  int rc = op->q->ops->peek(op);
  if (!rc && shoal_eventcount_asleep_(ec, SHOAL_CONSUMER)) shoal_eventcount_wake_(ec, SHOAL_CONSUMER, 1);
  return rc;
}
int shoal_queue_peek(struct shoal_queue *q, void *element, shoal_deadline deadline) {
  struct shoal_queue_op_ op = {.q = q, .out = element};
  if (!q->ops->peek) return shoal_fail_(-EINVAL, "a queue of kind %s cannot be peeked into", q->ops->name);
  return shoal_queue_run_(&op, SHOAL_CONSUMER, 0, peek, deadline);
}

int64_t shoal_queue_size(struct shoal_queue *q) { return (int64_t)ring_of(q).size; }
int shoal_queue_empty(struct shoal_queue *q) { return ring_of(q).size == 0; }
int shoal_queue_full(struct shoal_queue *q) { return ring_of(q).full != 0; }

void shoal_queue_policy_info_(struct shoal_queue *q, struct shoal_queue_info *out) {
  out->overflow = q->overflow;
  out->discarded = shoal_load64_relaxed(&q->shm->discarded);
}

// ---- the attempts of this handle ----

int shoal_queue_policy_attach_(struct shoal_queue *q) {
  const struct shoal_queue_kind_ *ops = q->ops;
  struct shoal_queue_options o = {.overflow = __atomic_load_n(&q->shm->overflow, __ATOMIC_RELAXED)};
  const char *refused = shoal_queue_policy_refuses_(ops, &o);
  if (refused) return shoal_fail_(-EPROTO, "%s", refused);
  q->overflow = o.overflow;
  q->attempt = (struct shoal_queue_attempts_){ops->put, ops->get, ops->put_n, ops->get_n, ops->reserve, ops->receive};
  if (q->overflow == SHOAL_OVERFLOW_DROP_OLDEST) {
    q->attempt.put = put_or_drop;
    q->attempt.put_n = put_n_or_drop;
    q->attempt.reserve = reserve_or_drop;
  }
  return 0;
}
