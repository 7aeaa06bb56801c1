// The kind for one producer and one consumer at a time.
#include "core/error.h"
#include "ipc/queue/message.h"
#include "ipc/queue/queue_internal.h"

static const char *refuses(const struct shoal_queue_options *o) {
  if (o->grow) return "SHOAL_QUEUE_SPSC does not grow";
  int more = o->producers > 1 || o->consumers > 1 || o->drop;
  return more ? "SHOAL_QUEUE_SPSC has one producer, one consumer, and drops nothing" : NULL;
}
static uint64_t size_of(const struct shoal_queue_options *o) { return shoal_spsc_size(o->capacity, o->element_size); }
static int init(void *ring, uint64_t size, const struct shoal_queue_options *o) {
  return shoal_spsc_init(ring, size, o->capacity, o->element_size);
}
static int attach(struct shoal_queue *q, void *ring, uint64_t size) {
  struct shoal_spsc_info info;
  if (q->wait.count[SHOAL_PRODUCER] != 1 || q->wait.count[SHOAL_CONSUMER] != 1 || !(q->wait.flags & SHOAL_EC_UNCLAIMED))
    return shoal_fail_(-EPROTO, "not the roles of one producer and one consumer");
  int rc = shoal_spsc_info(ring, size, &info);
  if (rc) return rc;
  q->spsc = ring;
  q->spsc_bytes = size;
  q->element_size = info.element_size;
  return 0;
}

// ---- what the sleeping protocol asks ----

// A put that may not have seen the closing, and may still publish; this is its consumer.
static uint32_t blocker(struct shoal_eventcount_view *view, int side) {
  const uint32_t producer = 1;
  if (side == SHOAL_PRODUCER || !shoal_eventcount_closed(view->shm)) return 0;
  const struct shoal_role *role = shoal_role_at_(view, producer);
  if (shoal_load32_relaxed(&role->tid) != shoal_robust_owner(shoal_load32_relaxed(&role->live.word))) return 0;
  uint32_t begun = shoal_load32_relaxed(&role->busy);  // after the closing was seen, and a fence: [A2]
  return begun == (uint32_t)shoal_queue_of_(view)->consumer.ring.next ? 0 : producer;
}
// The next owner of the role finds all in the ring. Of byte messages, the block of one that was not published is freed;
// one whose block is gone was received.
static int recover(struct shoal_eventcount_view *view, uint32_t role, shoal_deadline deadline) {
  struct shoal_queue *q = shoal_queue_of_(view);
  (void)deadline;
  if (!q->heap) return 0;
  const uint32_t producer = 1;
  const void *slot =
      (role == producer ? shoal_spsc_put_slot_ : shoal_spsc_get_slot_)(q->spsc, q->spsc_bytes, q->slot_size);
  if (slot && role == producer) shoal_message_end_(q, slot);
  else if (slot && !shoal_message_is_there_(q, slot)) shoal_spsc_received_(q->spsc);
  return 0;
}

static int produce(struct shoal_queue *q) {
  q->producer.lent = 0;
  int rc = shoal_spsc_produce(&q->producer.ring, q->spsc, q->spsc_bytes, q->slot_size);
  if (rc) return rc;
  q->producer.tid = shoal_self_()->tid;
  shoal_queue_spsc_begin_(q, 0);
  return 0;
}
static int consume(struct shoal_queue *q) {
  q->consumer.lent = 0;
  q->consumer.told = UINT64_MAX;
  int rc = shoal_spsc_consume(&q->consumer.ring, q->spsc, q->spsc_bytes, q->slot_size);
  if (!rc) q->consumer.first = q->consumer.ring.next, q->consumer.tid = shoal_self_()->tid;
  return rc;
}
// Positions are private: who has not taken the role has none, whatever the shared words say.
static int owns(struct shoal_eventcount_view *view, int side) {
  const struct shoal_queue *q = shoal_queue_of_(view);
  return (side == SHOAL_PRODUCER ? q->producer.tid : q->consumer.tid) == shoal_self_()->tid;
}
// -EUSERS if another thread has that: its.
static void join_mate(struct shoal_queue *mate, int side) {
  const uint32_t producer = 1, consumer = 2;
  const struct shoal_role *role = shoal_role_at_(&mate->wait, side == SHOAL_PRODUCER ? producer : consumer);
  uint32_t word = shoal_load32_relaxed(&role->live.word);
  if (!shoal_robust_owner(word)) (void)shoal_role_mine(&mate->wait, side);
}
static __thread uint32_t alone;  // no mate

int shoal_queue_join_alone_(struct shoal_queue *q, int side) {
  alone = 1;
  int rc = shoal_queue_join(q, side);
  alone = 0;
  return rc;
}

// [K3] pairs with [K2] of ipc/queue/pipe.c: who sees no keeper sees that the role is taken
static void end_keeping(shoal_atomic64 *keeper) {
  uint64_t word = shoal_load64_relaxed(keeper);
  while (!shoal_cas64_acq_rel(keeper, &word, shoal_keeper_next_(word, 0))) continue;  // [K3]
}

static int join(struct shoal_eventcount_view *view, int side) {
  struct shoal_queue *q = shoal_queue_of_(view);
  int rc = shoal_queue_confirm_(q);
  if (!rc) rc = (side == SHOAL_PRODUCER ? produce : consume)(q);
  if (!rc && q->keeper[side]) end_keeping(q->keeper[side]);
  if (!rc && q->mate && !alone) join_mate(q->mate, !side);
  return rc;
}
static const struct shoal_wait_ops wait_ops = {blocker, recover, NULL, join, NULL, owns};

// Of what is lent.
static void *place(struct shoal_queue *q, int side) {
  const struct shoal_spsc_producer *p = &q->producer.ring;
  const struct shoal_spsc_consumer *c = &q->consumer.ring;
  return side == SHOAL_PRODUCER ? shoal_spsc_at_(p->count, p->next, p->end, p->shape)
                                : shoal_spsc_at_(c->count, c->next, c->end, c->shape);
}
static int leave(struct shoal_queue *q, int side, uint32_t me) {
  (void)me;
  if (side == SHOAL_PRODUCER && q->producer.lent && q->heap) shoal_message_end_(q, place(q, side));
  if (side == SHOAL_PRODUCER) q->producer.tid = 0, shoal_spsc_producer_leave(&q->producer.ring);
  else q->consumer.tid = 0, shoal_spsc_consumer_leave(&q->consumer.ring);
  return 0;
}

// ---- beside the fast paths ----

int shoal_queue_spsc_refused_(struct shoal_queue *q, int rc) {
  struct shoal_eventcount *ec = q->wait.shm;
  shoal_queue_spsc_begin_(q, 0);
  shoal_queue_spsc_barrier_(q, q->wait.roles);
  if (shoal_eventcount_closed(ec)) shoal_eventcount_ring(ec);
  return rc;
}

// A producer sleeps; it finds room only if the ring has released some since it was told.
void shoal_queue_spsc_released_(struct shoal_queue *q) {
  uint64_t released = shoal_load64_relaxed(&q->spsc->released);
  if (released == q->consumer.told) return;
  q->consumer.told = released;
  shoal_eventcount_wake_(q->wait.shm, SHOAL_PRODUCER, 1);
}

// ---- attempts ----

static int put(void *arg) {
  struct shoal_queue_op_ *op = arg;
  return shoal_queue_put_spsc_(op->q, op->me, op->in, op->q->element_size);
}
static int get(void *arg) {
  struct shoal_queue_op_ *op = arg;
  return shoal_queue_get_spsc_(op->q, op->me, op->out, op->q->element_size);
}

// One of them the whole way, so that what a put does besides is done; the rest as a batch.
static int put_n(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_queue *q = op->q;
  struct shoal_role *role = shoal_role_at_(&q->wait, op->me);
  int rc = shoal_queue_put_spsc_(q, op->me, op->in, q->element_size);
  if (rc) return rc;
  shoal_queue_spsc_begin_(q, op->n - 1);
  shoal_queue_spsc_barrier_(q, role);
  op->done = 1;
  if (!shoal_eventcount_closed(q->wait.shm))
    op->done += shoal_spsc_try_put_n(&q->producer.ring, op->in + q->element_size, op->n - 1);
  (void)shoal_queue_spsc_refused_(q, 0);  // what found no room
  if (shoal_eventcount_asleep_(q->wait.shm, SHOAL_CONSUMER)) shoal_eventcount_wake_(q->wait.shm, SHOAL_CONSUMER, 1);
  return 0;
}

static int get_n(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_queue *q = op->q;
  struct shoal_role *role = shoal_role_at_(&q->wait, op->me);
  if (q->consumer.lent) return -EBUSY;
  op->done = shoal_spsc_try_get_n(&q->consumer.ring, op->out, op->n);
  shoal_queue_spsc_barrier_(q, role);
  if (shoal_eventcount_asleep_(q->wait.shm, SHOAL_PRODUCER)) shoal_queue_spsc_released_(q);
  return op->done ? 0 : -EAGAIN;
}

static int reserve(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_queue *q = op->q;
  struct shoal_role *role = shoal_role_at_(&q->wait, op->me);
  if (q->producer.lent) return -EBUSY;
  shoal_queue_spsc_begin_(q, 1);  // until it is committed or cancelled
  shoal_queue_spsc_barrier_(q, role);
  if (shoal_eventcount_closed(q->wait.shm)) return shoal_queue_spsc_refused_(q, -EPIPE);
  op->loan.data = shoal_spsc_reserve(&q->producer.ring);
  op->loan.token = q->producer.ring.next;
  q->producer.lent = op->loan.data != NULL;
  return q->producer.lent ? 0 : shoal_queue_spsc_refused_(q, -EAGAIN);
}
static int receive(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_queue *q = op->q;
  struct shoal_role *role = shoal_role_at_(&q->wait, op->me);
  if (q->consumer.lent) return -EBUSY;
  op->loan.data = shoal_spsc_peek(&q->consumer.ring);
  op->loan.token = q->consumer.ring.next;
  op->loan.redelivered = q->consumer.ring.inherited && op->loan.token == q->consumer.first;
  q->consumer.lent = op->loan.data != NULL;
  shoal_queue_spsc_barrier_(q, role);
  if (shoal_eventcount_asleep_(q->wait.shm, SHOAL_PRODUCER)) shoal_queue_spsc_released_(q);
  return q->consumer.lent ? 0 : -EAGAIN;
}

static int peek(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_queue *q = op->q;
  if (q->consumer.lent) return -EBUSY;
  const void *next = shoal_spsc_peek(&q->consumer.ring);
  int rc = next ? 0 : -EAGAIN;
  if (next && q->element_size) memcpy(op->out, next, q->element_size);
  else if (next) rc = shoal_message_copy_(op, next, 0);
  shoal_queue_spsc_barrier_(q, shoal_role_at_(&q->wait, op->me));
  if (shoal_eventcount_asleep_(q->wait.shm, SHOAL_PRODUCER)) shoal_queue_spsc_released_(q);
  return rc;
}
static int ready(struct shoal_queue *q, int side, uint32_t me, shoal_deadline deadline) {
  (void)deadline;  // nobody stands inside
  if (side == SHOAL_PRODUCER) {
    if (q->producer.lent) return -EBUSY;
    if (shoal_eventcount_closed(q->wait.shm)) return -EPIPE;
    return shoal_spsc_reserve(&q->producer.ring) ? 0 : -EAGAIN;
  }
  if (q->consumer.lent) return -EBUSY;
  int rc = shoal_spsc_peek(&q->consumer.ring) ? 0 : -EAGAIN;
  shoal_queue_spsc_barrier_(q, shoal_role_at_(&q->wait, me));
  if (shoal_eventcount_asleep_(q->wait.shm, SHOAL_PRODUCER)) shoal_queue_spsc_released_(q);
  return rc;
}

// ---- loans ----

static int is_lent(struct shoal_queue *q, int side, const struct shoal_loan *loan) {
  return side == SHOAL_PRODUCER ? q->producer.lent && q->producer.ring.next == loan->token
                                : q->consumer.lent && q->consumer.ring.next == loan->token;
}

static void finish_put(struct shoal_queue *q, struct shoal_role *role, enum shoal_queue_end_ how) {
  struct shoal_eventcount *ec = q->wait.shm;
  q->producer.lent = 0;
  if (how == SHOAL_COMMIT_) shoal_spsc_commit(&q->producer.ring);
  else shoal_queue_spsc_begin_(q, 0);
  shoal_queue_spsc_barrier_(q, role);
  if (shoal_eventcount_asleep_(ec, SHOAL_CONSUMER)) shoal_eventcount_wake_(ec, SHOAL_CONSUMER, 1);
}
static void finish_get(struct shoal_queue *q, struct shoal_role *role, enum shoal_queue_end_ how) {
  q->consumer.lent = 0;
  if (how == SHOAL_RELEASE_) shoal_spsc_release(&q->consumer.ring);
  shoal_queue_spsc_barrier_(q, role);
  if (shoal_eventcount_asleep_(q->wait.shm, SHOAL_PRODUCER)) shoal_queue_spsc_released_(q);
}

static int finish(struct shoal_queue *q, const struct shoal_loan *loan, enum shoal_queue_end_ how) {
  struct shoal_role *role = shoal_role_at_(&q->wait, loan->role);
  (shoal_queue_side_(how) == SHOAL_PRODUCER ? finish_put : finish_get)(q, role, how);
  return 0;
}

static void *slot(struct shoal_queue *q, const struct shoal_loan *loan, int side) {
  (void)loan;
  return place(q, side);
}

// ---- byte messages ----

#define SHAPE shoal_spsc_shape_(sizeof(struct shoal_message_shm))  // known to the compiler; attach has checked it

static int send(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_queue *q = op->q;
  struct shoal_eventcount *ec = q->wait.shm;
  struct shoal_role *role = shoal_role_at_(&q->wait, op->me);
  if (SHOAL_UNLIKELY(q->producer.lent)) return -EBUSY;
  shoal_queue_spsc_begin_(q, 1);
  shoal_queue_spsc_barrier_(q, role);
  if (SHOAL_UNLIKELY(shoal_eventcount_closed(ec))) return shoal_queue_spsc_refused_(q, -EPIPE);
  void *at = shoal_spsc_reserve_(&q->producer.ring, SHAPE);
  int rc = SHOAL_LIKELY(at != NULL) ? shoal_message_fill_(op, at) : -EAGAIN;
  if (SHOAL_UNLIKELY(rc)) return shoal_queue_spsc_refused_(q, rc);
  shoal_spsc_commit_(&q->producer.ring, SHAPE);
  shoal_queue_spsc_barrier_(q, role);
  if (SHOAL_UNLIKELY(shoal_eventcount_asleep_(ec, SHOAL_CONSUMER))) shoal_eventcount_wake_(ec, SHOAL_CONSUMER, 1);
  return 0;
}

static int recv(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_queue *q = op->q;
  if (SHOAL_UNLIKELY(q->consumer.lent)) return -EBUSY;
  void *at = shoal_spsc_peek_(&q->consumer.ring, SHAPE);
  int rc = SHOAL_LIKELY(at != NULL) ? shoal_message_take_(op, at) : -EAGAIN;
  if (SHOAL_LIKELY(at && rc != -EMSGSIZE)) shoal_spsc_release_(&q->consumer.ring, SHAPE);
  shoal_queue_spsc_barrier_(q, shoal_role_at_(&q->wait, op->me));
  if (SHOAL_UNLIKELY(shoal_eventcount_asleep_(q->wait.shm, SHOAL_PRODUCER))) shoal_queue_spsc_released_(q);
  return rc;
}

static void info(struct shoal_queue *q, struct shoal_queue_info *out) {
  struct shoal_spsc_info ring;
  if (shoal_spsc_info(q->spsc, q->spsc_bytes, &ring)) return;
  out->capacity = (uint32_t)ring.capacity;
  out->put = ring.put;
  out->size = ring.size;
  out->full = !shoal_spsc_put_slot_(q->spsc, q->spsc_bytes, q->slot_size);
}

const struct shoal_queue_kind_ shoal_queue_spsc_ = {
    .name = "spsc",
    .roles = 1,
    .wait_flags = SHOAL_EC_UNCLAIMED,
    .wait = &wait_ops,
    .refuses = refuses,
    .size = size_of,
    .init = init,
    .attach = attach,
    .put = put,
    .get = get,
    .put_n = put_n,
    .get_n = get_n,
    .reserve = reserve,
    .receive = receive,
    .send = send,
    .recv = recv,
    .ready = ready,
    .peek = peek,
    .is_lent = is_lent,
    .finish = finish,
    .slot = slot,
    .leave = leave,
    .info = info,
};
