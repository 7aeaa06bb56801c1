// Policies of a queue, whatever its kind: what a put does that finds no room, and what is looked at or dropped, not
// received.
#include <stdlib.h>

#include "core/error.h"
#include "ipc/queue/message.h"
#include "ipc/queue/queue_internal.h"

#define LEASE_MIN UINT64_C(1000000)
#define LEASE_MAX (UINT64_C(1) << 58)  // the word of a lease holds times of twice that

static const char *lease_refuses(const struct shoal_queue_kind_ *kind, const struct shoal_queue_options *o) {
  if (!kind->receive_leased)
    return "options.lease_ns, .delivery_max, .dead_letters: this kind delivers again only after deaths";
  if (o->drop) return "options.drop: what is dropped is not delivered again";
  if (o->lease_ns && o->lease_ns - LEASE_MIN > LEASE_MAX - LEASE_MIN)
    return "options.lease_ns: from a millisecond to nine years";
  if (o->delivery_max > SHOAL_SLOT_DEATHS_MAX_) return "options.delivery_max: 1,023 at most";
  if (o->dead_letters && !o->delivery_max) return "options.dead_letters: without .delivery_max nothing gets there";
  if (o->dead_letters && strlen(o->dead_letters) - 1 >= SHOAL_NAME_MAX)
    return "options.dead_letters: no such name can be";
  return NULL;
}

const char *shoal_queue_policy_refuses_(const struct shoal_queue_kind_ *kind, const struct shoal_queue_options *o) {
  if (o->overflow > SHOAL_OVERFLOW_DROP_OLDEST) return "options.overflow: there is no such policy";
  if (o->overflow == SHOAL_OVERFLOW_DROP_OLDEST && !kind->evicts)
    return "options.overflow: the consumer of this kind claims nothing, so nobody knows what it is reading";
  if (o->joinable && !kind->in_hand) return "options.joinable: this kind keeps nothing in hand";
  if (o->lease_ns || o->delivery_max || o->dead_letters) return lease_refuses(kind, o);
  return NULL;
}

void shoal_queue_discarded_(struct shoal_queue *q, uint64_t n) { shoal_add64_relaxed(&q->shm->discarded, n); }

// ---- drop ----

static struct shoal_queue_info ring_of(struct shoal_queue *q) {
  struct shoal_queue_info info = {0};
  q->ops->info(q, &info);
  return info;
}

// What a message lies in ends before its slot does; under a lease, with it.
static void end_bytes(struct shoal_queue *q, struct shoal_loan *loan) {
  if (!q->leased) shoal_message_end_(q, loan->data);
  else (void)shoal_message_resolve_(q, loan);
}

// Takes a message and ends it. 0, -EAGAIN: none that is in nobody's hands, -EBUSY.
static int drop(struct shoal_queue_op_ *op, int (*take)(void *)) {
  struct shoal_queue_op_ mine = {.q = op->q, .me = op->me, .deadline = op->deadline};
  struct shoal_queue *q = op->q;
  struct shoal_role *role = shoal_role_at_(&q->wait, op->me);
  uint32_t busy = shoal_load32_relaxed(&role->busy);
  shoal_store32_relaxed(&role->busy, busy + 1);  // seen by whoever sees the claim, which then watches this role
  int rc = take(&mine);
  mine.loan.role = op->me;
  if (!rc && !q->element_size) end_bytes(q, &mine.loan);
  if (!rc && !shoal_queue_end_(q, &mine.loan, SHOAL_RELEASE_)) shoal_queue_discarded_(q, 1);
  shoal_store32_release(&role->busy, busy);  // [R6] pairs with [A6] in sync/eventcount.c
  return rc;
}

static int drop_next(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_queue *q = op->q;
  if (!q->ops->drop) return drop(op, q->ops->receive);
  int rc = q->ops->drop(op);
  if (!rc) shoal_queue_discarded_(q, 1);
  return rc;
}

// In hand, and its lease has run out: it is in nobody's.
static int drop_oldest(struct shoal_queue_op_ *op) {
  int rc = drop(op, op->q->ops->evict);
  return rc == -EAGAIN && shoal_queue_look_due_(op->q, op->me) ? drop(op, op->q->ops->evict) : rc;
}
// Somebody else may have made room, or taken what was made: again, as long as it gets on.
static int or_drop(struct shoal_queue_op_ *op, int (*attempt)(void *)) {
  int rc;
  while ((rc = attempt(op)) == -EAGAIN && !drop_oldest(op)) continue;
  return rc;
}
static int put_or_drop(void *arg) {
  struct shoal_queue_op_ *op = arg;
  return or_drop(op, op->q->ops->put);
}
static int send_or_drop(void *arg) {
  struct shoal_queue_op_ *op = arg;
  return or_drop(op, op->q->ops->send);
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
  struct shoal_queue_info info = ring_of(q);
  uint64_t most = info.size > info.capacity ? info.size : info.capacity, n = 0;  // or others' puts would keep it here
  int rc = 0;
  struct shoal_queue_op_ op = {.q = q};
  while (n < most && !(rc = shoal_queue_run_(&op, SHOAL_CONSUMER, 0, drop_next, SHOAL_TRY))) n++;
  return rc == 0 || rc == -EAGAIN || rc == -EPIPE || n ? (int)n : rc;
}

// ---- joinable ----

static struct shoal_queue_taken_ *taken_by(struct shoal_queue *q, uint32_t me) {
  struct shoal_queue_taken_ *taken = &q->taken[me - 1 - q->wait.count[SHOAL_PRODUCER]];
  if (taken->tid != shoal_self_()->tid) *taken = (struct shoal_queue_taken_){.tid = shoal_self_()->tid};
  return taken;
}

static void keep(struct shoal_queue_op_ *op) {
  op->loan.role = op->me;
  op->q->ops->keep(op->q, taken_by(op->q, op->me), &op->loan);
}
int shoal_queue_got_(struct shoal_queue *q, struct shoal_loan *loan) {
  if (!q->joinable) return shoal_queue_release(q, loan);
  q->ops->keep(q, taken_by(q, loan->role), loan);
  return 0;
}
void shoal_queue_not_got_(struct shoal_queue *q, struct shoal_loan *loan) {
  if (shoal_queue_return(q, loan) == -ETIMEDOUT && q->ops->let_go) q->ops->let_go(q, loan);
}
// Stopped for longer than its lease, it may have read what is another's by now: then it looks for the next one.
static int get_and_keep(void *arg) {
  struct shoal_queue_op_ *op = arg;
  int rc;
  do {
    rc = op->q->attempt.receive(op);
    if (rc) return rc;
    memcpy(op->out, op->loan.data, op->q->element_size);
  } while (!shoal_queue_is_still_(op->q, &op->loan));
  keep(op);
  return 0;
}
static int recv_and_keep(void *arg) {
  struct shoal_queue_op_ *op = arg;
  int rc;
  op->fits = 1;
  do {
    rc = op->q->attempt.receive(op);
    if (rc) return rc;
    op->size = op->loan.size;
    op->key = op->loan.key;
    if (op->size > op->room) return shoal_queue_unreceive_(op), -EMSGSIZE;
    if (op->size) memcpy(op->out, op->loan.data, op->size);
  } while (!shoal_queue_is_still_(op->q, &op->loan));
  keep(op);
  return 0;
}
static int get_each(void *arg) {
  struct shoal_queue_op_ *op = arg, one = *op;
  int rc = 0;
  for (op->done = 0; op->done < op->n && !rc; op->done += !rc, one.out += op->q->element_size)
    rc = one.q->attempt.get(&one);
  return op->done ? 0 : rc;
}

static int not_joinable(void) { return shoal_fail_(-EINVAL, "the queue was made without options.joinable"); }

void shoal_queue_gave_back_(struct shoal_queue *q, uint32_t me) {
  if (q->joinable) taken_by(q, me)->count = 0;
}

// Of what the thread has got, something went to another: that is what is said first, whichever it is. Asked after the
// look at what is in hand: what is lost after that the release itself will say.
static int is_late(const struct shoal_queue_taken_ *taken, struct shoal_queue *q, uint32_t me) {
  return q->lease_ns && taken->count > q->ops->held(q, me);
}

int shoal_queue_task_done(struct shoal_queue *q) {
  if (!q->joinable) return not_joinable();
  struct shoal_loan loan = {.role = shoal_role_known(&q->wait, SHOAL_CONSUMER), .handle_ = (uint32_t)q->wait.id};
  struct shoal_queue_taken_ *taken = loan.role ? taken_by(q, loan.role) : NULL, before = {.count = 0};
  if (taken) before = *taken;
  int found = taken && q->ops->in_hand(q, taken, &loan);
  if (taken && is_late(&before, q, loan.role)) {
    *taken = before;
    taken->count--;
    return shoal_fail_(-ETIMEDOUT, "the lease of a message that this thread had got has run out");
  }
  if (!found) return shoal_fail_(-EINVAL, "this thread has no message in hand: task_done was called once too often");
  if (q->leased && !q->element_size) (void)shoal_message_resolve_(q, &loan);
  int rc = shoal_queue_release(q, &loan);
  // it did not get inside, and all is in hand as before
  if (rc == -EDEADLK || (rc == -ETIMEDOUT && q->ops->is_lent(q, SHOAL_CONSUMER, &loan) > 0)) *taken = before;
  return rc;
}

// The barrier lets one of two that finish the last two see the other's done.
void shoal_queue_done_(struct shoal_queue *q, uint32_t me) {
  shoal_add32_seq_cst(&shoal_role_at_(&q->wait, me)->busy, 0);  // [C1] pairs with [A1]
  uint32_t owner;
  if (shoal_eventcount_joiner_asleep_(q->wait.shm) && q->ops->done(q, &owner))
    shoal_eventcount_wake_(q->wait.shm, SHOAL_JOINER, INT32_MAX);
}

static int all_done(void *arg) {
  struct shoal_queue_op_ *op = arg;
  uint32_t owner;
  return op->q->ops->done(op->q, &owner) ? 0 : -EAGAIN;
}
static int waits_for_itself(struct shoal_queue *q, uint32_t producer, uint32_t consumer) {
  return (producer && q->ops->held(q, producer)) || (consumer && q->ops->held(q, consumer));
}
int shoal_queue_join_tasks(struct shoal_queue *q, shoal_deadline deadline) {
  if (!q->joinable) return not_joinable();
  int rc = shoal_queue_confirm_(q);
  if (rc) return rc;
  struct shoal_queue_op_ op = {.q = q, .me = shoal_role_known(&q->wait, SHOAL_CONSUMER)};
  if (waits_for_itself(q, shoal_role_known(&q->wait, SHOAL_PRODUCER), op.me))
    return shoal_fail_(-EDEADLK, "the caller has something in hand, which it would wait for");
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &q->wait.shm->bell);
  rc = all_done(&op);
  if (rc) rc = shoal_eventcount_wait(&q->wait, SHOAL_JOINER, op.me, all_done, &op, deadline);
  shoal_pending_restore_(t, pending);
  if (rc != -EPIPE || !op.me) return rc;  // else the caller is the only consumer
  return shoal_deadline_is_try(deadline)
             ? -EAGAIN
             : shoal_fail_(-EDEADLK, "no other consumer is left: the caller would wait for itself");
}

// ---- looking ----

// The wake that it came by was meant for one who takes the message.
int shoal_queue_peek_once_(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_eventcount *ec = op->q->wait.shm;
  int rc = op->q->ops->peek(op);
  if (rc != -EAGAIN && shoal_eventcount_asleep_(ec, SHOAL_CONSUMER)) shoal_eventcount_wake_(ec, SHOAL_CONSUMER, 1);
  return rc;
}
int shoal_queue_peek(struct shoal_queue *q, void *element, shoal_deadline deadline) {
  struct shoal_queue_op_ op = {.q = q, .out = element};
  if (!q->element_size) return shoal_queue_misfit_(q, 0);
  return shoal_queue_run_(&op, SHOAL_CONSUMER, 0, shoal_queue_peek_once_, deadline);
}

int64_t shoal_queue_size(struct shoal_queue *q) { return (int64_t)ring_of(q).size; }
int shoal_queue_empty(struct shoal_queue *q) { return ring_of(q).size == 0; }
int shoal_queue_full(struct shoal_queue *q) { return ring_of(q).full != 0; }

void shoal_queue_policy_info_(struct shoal_queue *q, struct shoal_queue_info *out) {
  out->discarded += shoal_load64_relaxed(&q->shm->discarded);  // beside those that gave way under a lock
  out->overflow = q->overflow;
  out->joinable = q->joinable;
  out->lease_ns = (uint64_t)q->lease_ns;
  out->delivery_max = q->delivery_max;
  if (q->joinable || q->leased) out->held = q->ops->held(q, 0);
  if (!q->leased) return;
  out->expired = shoal_load64_relaxed(&q->extra->expired);
  out->buried = shoal_load64_relaxed(&q->extra->buried);
}

// ---- the attempts of this handle ----

static uint32_t word_of(const uint32_t *shared) { return __atomic_load_n(shared, __ATOMIC_RELAXED); }

static int make_taken(struct shoal_queue *q) {
  size_t size = q->wait.count[SHOAL_CONSUMER] * sizeof *q->taken;
  q->taken = aligned_alloc(sizeof *q->taken, size);
  if (!q->taken) return shoal_fail_(-ENOMEM, "no memory for a handle");
  memset(q->taken, 0, size);
  return 0;
}

static void choose_attempts(struct shoal_queue *q) {
  const struct shoal_queue_kind_ *ops = q->ops;
  q->puts = q->overflow == SHOAL_OVERFLOW_DROP_OLDEST ? UINT32_MAX : q->kind;
  q->gets = q->joinable || q->leased ? UINT32_MAX : q->kind;
  q->attempt = (struct shoal_queue_attempts_){ops->put,     ops->get,     ops->put_n, ops->get_n,
                                              ops->reserve, ops->receive, ops->send,  ops->recv};
  if (!q->element_size) q->attempt.receive = shoal_message_receive_;
  if (q->overflow == SHOAL_OVERFLOW_DROP_OLDEST && ops->evict) {
    q->attempt.put = put_or_drop;
    q->attempt.put_n = put_n_or_drop;
    q->attempt.reserve = reserve_or_drop;
    q->attempt.send = send_or_drop;
  }
  if (q->leased) {
    q->attempt.receive = ops->receive_leased;
    q->attempt.get = shoal_queue_get_leased_;
    q->attempt.recv = shoal_queue_recv_leased_;
  }
  if (q->joinable) q->attempt.get = get_and_keep, q->attempt.recv = recv_and_keep;
  if (q->joinable || q->leased) q->attempt.get_n = get_each;
}

int shoal_queue_policy_attach_(struct shoal_queue *q, uint64_t size) {
  uint64_t extra = __atomic_load_n(&q->shm->extra, __ATOMIC_RELAXED);
  if (extra && !q->ops->receive_leased) return shoal_fail_(-EPROTO, "leases of a kind that gives none");
  int rc = extra ? shoal_queue_extra_attach_(q, extra, size) : 0;
  if (rc) return rc;
  struct shoal_queue_options o = {.overflow = word_of(&q->shm->overflow),
                                  .joinable = word_of(&q->shm->joinable),
                                  .lease_ns = (uint64_t)q->lease_ns,
                                  .delivery_max = q->delivery_max};
  const char *refused = shoal_queue_policy_refuses_(q->ops, &o);
  if (refused) return shoal_fail_(-EPROTO, "%s", refused);
  int evicts = o.overflow == SHOAL_OVERFLOW_DROP_OLDEST && !q->ops->evict;
  if (evicts != (q->ordered.evicts != 0)) return shoal_fail_(-EPROTO, "a queue and its cells of different policies");
  q->overflow = o.overflow;
  q->joinable = o.joinable;
  q->leased = extra != 0;
  choose_attempts(q);
  return q->joinable ? make_taken(q) : 0;
}

void shoal_queue_policy_detach_(struct shoal_queue *q) { free(q->taken); }
