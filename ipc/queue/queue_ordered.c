// The kinds that work under a lock: FIFO, LIFO, PRIORITY.
//
// WAKING   who finds somebody asleep bumps inside, before the change, and wakes outside. A sleeper that armed before it
//          looked, and found nothing inside, was there before: its arming is seen. So no claim and no fence is asked of
//          anybody.
#include "core/error.h"
#include "ipc/queue/message.h"
#include "ipc/queue/queue_internal.h"

#define SMALL 512u   // bytes that are copied inside
#define SO_MANY 64u  // elements that are moved in one go

static struct shoal_ordered_options options_of(const struct shoal_queue_options *o, uint32_t by) {
  uint32_t capacity = o->capacity;
  if (o->grow && capacity - 1 < SHOAL_ORDERED_CAPACITY_MAX)
    while (capacity & (capacity - 1)) capacity = (capacity | (capacity - 1)) + 1;
  uint32_t leases = o->lease_ns || o->delivery_max, evicts = o->overflow == SHOAL_OVERFLOW_DROP_OLDEST;
  return (struct shoal_ordered_options){capacity, o->element_size, by, o->drop, o->grow, o->key, leases, evicts};
}
static const char *refuses(const struct shoal_queue_options *o) {
  if (o->kind != SHOAL_QUEUE_PRIORITY || !o->element_size) return NULL;
  return shoal_queue_key_refused_(o->key, o->element_size);
}

#define KIND(by, BY)                                                                     \
  static uint64_t by##_size(const struct shoal_queue_options *o) {                       \
    struct shoal_ordered_options options = options_of(o, BY);                            \
    return shoal_ordered_size(&options);                                                 \
  }                                                                                      \
  static int by##_init(void *ring, uint64_t size, const struct shoal_queue_options *o) { \
    struct shoal_ordered_options options = options_of(o, BY);                            \
    (void)size;                                                                          \
    return shoal_ordered_init(ring, &options);                                           \
  }                                                                                      \
  static int by##_attach(struct shoal_queue *q, void *ring, uint64_t size) {             \
    int rc = shoal_ordered_attach(&q->ordered, ring, size, BY, &q->wait);                \
    q->element_size = q->ordered.element_size;                                           \
    return rc;                                                                           \
  }
KIND(fifo, SHOAL_ORDERED_FIFO)
KIND(lifo, SHOAL_ORDERED_LIFO)
KIND(priority, SHOAL_ORDERED_PRIORITY)

// ---- what the sleeping protocol asks ----

static uint32_t counted(const shoal_atomic32 *n) { return shoal_load32_relaxed(n); }
static int is_full(const struct shoal_ordered *o) {
  return counted(&o->shm->count) + counted(&o->shm->lent) >= shoal_ordered_cells(o) && !o->grow;
}

static int has_no_room(const struct shoal_ordered *o) { return is_full(o) && !(o->evicts && counted(&o->shm->count)); }

// 0: nobody who has a role.
static uint32_t owner_inside(const struct shoal_queue *q) {
  // [T2] pairs with [T1] of ipc/queue/role_lock.h: who is inside no more has counted what it did there
  uint32_t owner = shoal_load32_acquire(&q->ordered.shm->lock.word) & SHOAL_ROLE_LOCK_OWNER_;
  return shoal_role_valid_(&q->wait, owner) ? owner : 0;
}

// In the way of a get: one who has reserved before the closing, and may commit; or who does so, inside, and may be dead
// there; or one who has cancelled outside, and was killed before it could say so: nobody knows which.
static uint32_t blocker(struct shoal_eventcount_view *view, int side) {
  const struct shoal_queue *q = shoal_queue_of_(view);
  const struct shoal_ordered *o = &q->ordered;
  uint32_t owner = SHOAL_BLOCKER_NONE;
  if (side == SHOAL_JOINER) return shoal_ordered_is_done(o, &owner) ? SHOAL_BLOCKER_NONE : owner;
  if (shoal_ordered_is_stale(o)) return SHOAL_BLOCKER_NONE;
  if (side == SHOAL_PRODUCER) return has_no_room(o) ? 0 : SHOAL_BLOCKER_NONE;
  // [O2] pairs with [O1]: who has committed by now has a message that counts
  uint32_t writing = shoal_load32_acquire(&o->shm->writing);
  if (counted(&o->shm->count)) return SHOAL_BLOCKER_NONE;
  if (!writing) return 0;
  uint32_t role = shoal_ordered_writer(o);
  if (!role) role = owner_inside(q);
  return role || !counted(&o->shm->count) ? role : SHOAL_BLOCKER_NONE;
}

// Its caller is the role's owner, or its only heir.
static int empty(struct shoal_queue *q, uint32_t role, int dead, shoal_deadline deadline) {
  int rc = shoal_ordered_inherit(&q->ordered, role, deadline);
  if (rc) return rc;
  shoal_ordered_empty(&q->ordered, role, dead);
  shoal_ordered_leave(&q->ordered, role);
  return 0;
}
static int recover(struct shoal_eventcount_view *view, uint32_t role, shoal_deadline deadline) {
  return empty(shoal_queue_of_(view), role, 1, deadline);
}

// Inside: a consumer that has armed, and sees another's claim here, is seen by who gives it up.
static int held(struct shoal_eventcount_view *view, uint32_t me) {
  struct shoal_ordered *o = &shoal_queue_of_(view)->ordered;
  if (shoal_ordered_enter(o, me, SHOAL_TRY)) return 1;  // who stands inside may hold some
  int held = counted(&o->shm->lent) ? shoal_ordered_held(o, me) : 0;
  shoal_ordered_leave(o, me);
  return held;
}
static int join(struct shoal_eventcount_view *view, int side) {
  (void)side;
  return shoal_queue_confirm_(shoal_queue_of_(view));
}
static int64_t due(struct shoal_eventcount_view *view, int side) {
  return shoal_queue_wakes_(shoal_queue_of_(view), side);
}
static const struct shoal_wait_ops wait_ops = {blocker, recover, held, join, due, NULL};

// The thread is inside, and was interrupted: what ends a loan has to go in, too.
static int is_inside(const struct shoal_queue *q) {
  uint32_t owner = owner_inside(q);
  if (!owner) return 0;
  return shoal_robust_owner(shoal_load32_relaxed(&shoal_role_at_(&q->wait, owner)->live.word)) == shoal_self_()->tid;
}
static int interrupts(void) {
  return shoal_fail_(-EDEADLK, "interrupted by this call, the thread is inside the queue");
}

static int leave(struct shoal_queue *q, int side, uint32_t me) {
  struct shoal_role *role = shoal_role_at_(&q->wait, me);
  if (is_inside(q)) return interrupts();
  if (!shoal_load32_relaxed(&role->holder)) return 0;
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &q->wait.shm->bell);
  int rc = empty(q, me, 0, SHOAL_TRY);
  if (!rc) shoal_store32_relaxed(&role->holder, 0);  // nothing is left to give back with the role
  shoal_pending_restore_(t, pending);
  if (!rc && side == SHOAL_CONSUMER && q->taken)
    q->taken[me - 1 - q->wait.count[SHOAL_PRODUCER]] = (struct shoal_queue_taken_){0};
  return rc;
}

// ---- telling ----

// Before a change that `side` may sleep for.
static void bump(struct shoal_queue *q, int side) {
  if (SHOAL_UNLIKELY(shoal_eventcount_asleep_(q->wait.shm, side))) shoal_eventcount_bump_(q->wait.shm, side);
}
// After it, outside.
static void wake(struct shoal_queue *q, int side, uint32_t n) {
  if (SHOAL_UNLIKELY(n && shoal_eventcount_asleep_(q->wait.shm, side)))
    shoal_eventcount_wake_(q->wait.shm, side, (int)n);
}
// Around what ends messages that are in nobody's hands: it makes room, and may be the end for who has seen one in
// another's hands, in a closed queue, and sleeps until that is over: it armed before it was inside.
static int awaits_the_end(const struct shoal_queue *q) {
  return SHOAL_UNLIKELY(shoal_load32_relaxed(&q->wait.shm->ev[SHOAL_CONSUMER]) & SHOAL_EV_E_) != 0;
}
static void bump_for_room(struct shoal_queue *q) {
  bump(q, SHOAL_PRODUCER);
  if (awaits_the_end(q)) bump(q, SHOAL_CONSUMER);
}
static void wake_for_room(struct shoal_queue *q, uint32_t n) {
  wake(q, SHOAL_PRODUCER, n);
  if (n && awaits_the_end(q)) wake(q, SHOAL_CONSUMER, INT32_MAX);
}
// Around what makes a message that is in nobody's hands: to a put that drops the oldest it is room.
static void bump_for_message(struct shoal_queue *q) {
  bump(q, SHOAL_CONSUMER);
  if (q->ordered.evicts) bump(q, SHOAL_PRODUCER);
}
static void wake_for_messages(struct shoal_queue *q, uint32_t n) {
  wake(q, SHOAL_CONSUMER, n);
  if (q->ordered.evicts) wake(q, SHOAL_PRODUCER, n);
}
// A reservation has ended: if the queue is closed, all who waited for its end.
static void wake_for_the_end(struct shoal_queue *q, uint32_t n) {
  wake(q, SHOAL_CONSUMER, shoal_eventcount_closed(q->wait.shm) ? INT32_MAX : n);
}

// Nothing there, and nobody armed, so not the caller either: not worth the lock. Spinning is made of this.
static int in_vain(const struct shoal_queue *q, int side) {
  if (shoal_eventcount_asleep_(q->wait.shm, side) || shoal_ordered_is_stale(&q->ordered)) return 0;
  return side == SHOAL_PRODUCER ? has_no_room(&q->ordered) : !counted(&q->ordered.shm->count);
}

// ---- attempts ----

// Under a lease, once in its time: what has run out is told to as many as it is for, and to who waits for what can be
// dropped.
// [E1] let_go() ends a lease, then says that it is time; [E2] here that it is time, then all leases: one sees the
// other.
static int look_due(struct shoal_queue *q, uint32_t me, shoal_deadline deadline) {
  int64_t now = q->lease_ns ? shoal_now_ns() : 0, next = now + q->lease_ns;
  if (!q->lease_ns || now < shoal_queue_due_(q)) return 0;
  int rc = shoal_ordered_enter(&q->ordered, me, deadline);
  if (rc) return rc;
  bump_for_message(q);
  uint64_t due = (uint64_t)now;
  shoal_exchange64_seq_cst(&q->extra->next, due);  // [E2] pairs with [E1]
  uint32_t n = shoal_ordered_take_back(&q->ordered, now, &next);
  shoal_add64_relaxed(&q->extra->expired, n);
  shoal_cas64_relaxed(&q->extra->next, &due, (uint64_t)next);
  shoal_ordered_leave(&q->ordered, me);
  wake_for_messages(q, n);
  return 0;
}

// To a put that drops the oldest what has run out is room, once there is no other.
static int looks_due(const struct shoal_queue *q, int side) {
  const struct shoal_ordered *o = &q->ordered;
  return side == SHOAL_CONSUMER || (o->evicts && (o->grow || has_no_room(o)));
}
static int enter(struct shoal_queue_op_ *op, int side) {
  int rc = looks_due(op->q, side) ? look_due(op->q, op->me, op->deadline) : 0;
  if (rc) return rc;
  if (in_vain(op->q, side)) return -EAGAIN;
  rc = shoal_ordered_enter(&op->q->ordered, op->me, op->deadline);
  if (rc || side == SHOAL_CONSUMER || !shoal_eventcount_closed(op->q->wait.shm)) return rc;
  shoal_ordered_leave(&op->q->ordered, op->me);
  return -EPIPE;
}

// Inside, so one at a time.
static int grow(struct shoal_queue *q) {
  struct shoal_ordered *o = &q->ordered;
  struct shoal_object part;
  uint32_t k = shoal_load32_relaxed(&o->known) + 1;
  if (!q->segment) return shoal_fail_(-ENOSPC, "a queue that was placed does not grow");
  if (shoal_ordered_cells(o) > SHOAL_ORDERED_CAPACITY_MAX / 2)
    return shoal_fail_(-ENOSPC, "no more than %u elements", shoal_ordered_cells(o));
  int rc = shoal_object_part_(q->segment, &q->object, k, shoal_ordered_chunk_size_(o, k), &part);
  return rc ? rc : shoal_ordered_add(o, part.off);
}

static int take(struct shoal_queue *q, uint32_t *cell) {
  int rc = shoal_ordered_take(&q->ordered, cell);
  if (rc != -EAGAIN || !q->ordered.grow) return rc;
  rc = grow(q);
  if (rc == -ENOSPC && q->ordered.evicts && !shoal_ordered_evict(&q->ordered, cell)) return 0;
  return rc ? rc : shoal_ordered_take(&q->ordered, cell);
}

static int put_some(struct shoal_queue_op_ *op, uint32_t most) {
  struct shoal_queue *q = op->q;
  uint32_t cell, n = 0;
  int rc = enter(op, SHOAL_PRODUCER);
  if (rc) return rc;
  for (; n < most && (rc = take(q, &cell)) == 0; n++) {
    if (!n) bump_for_message(q);
    memcpy(shoal_ordered_data(&q->ordered, cell), op->in, q->element_size);
    shoal_ordered_ready(&q->ordered, cell, SHOAL_ORDERED_NEW, 0);
    op->in += q->element_size;
    op->done++;
  }
  shoal_ordered_leave(&q->ordered, op->me);
  wake_for_messages(q, n);
  return n ? 0 : rc;
}

static int get_some(struct shoal_queue_op_ *op, uint32_t most) {
  struct shoal_queue *q = op->q;
  uint32_t cell, n = 0;
  int rc = enter(op, SHOAL_CONSUMER);
  if (rc) return rc;
  for (; n < most && (rc = shoal_ordered_next(&q->ordered, &cell)) == 0; n++) {
    if (!n) bump_for_room(q);
    memcpy(op->out, shoal_ordered_data(&q->ordered, cell), q->element_size);
    shoal_ordered_free(&q->ordered, cell);
    op->out += q->element_size;
    op->done++;
  }
  shoal_ordered_leave(&q->ordered, op->me);
  wake_for_room(q, n);
  return n ? 0 : rc;
}

static int reserve(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_queue *q = op->q;
  uint32_t cell = 0;
  int rc = enter(op, SHOAL_PRODUCER);
  if (rc) return rc;
  rc = take(q, &cell);
  if (!rc) {
    shoal_ordered_reserve(&q->ordered, cell, op->me);
    op->loan.data = shoal_ordered_data(&q->ordered, cell);
    op->loan.token = shoal_ordered_token(&q->ordered, cell);
  }
  shoal_ordered_leave(&q->ordered, op->me);
  return rc;
}

// Inside, of the next message, before it is in hand: whatever else became of it would need another entry. -EMSGSIZE: it
// has no room, and stays; -EPROTO: it is damaged.
static int look_at(struct shoal_queue_op_ *op) {
  struct shoal_queue *q = op->q;
  struct shoal_loan loan = op->loan;
  if (q->element_size || !(q->leased || op->fits)) return 0;
  if (shoal_message_resolve_(q, &loan)) return -EPROTO;
  op->size = loan.size;
  op->key = loan.key;
  if (op->fits && loan.size > op->room) return -EMSGSIZE;
  if (q->leased) op->loan = loan;
  return 0;
}
// A message that was in nobody's hands is over; outside.
static void is_over(struct shoal_queue *q, uint32_t me) {
  wake_for_room(q, 1);
  if (q->joinable) shoal_queue_done_(q, me);
}
// Inside. The block after its cell: killed between, whoever takes the lock ends what lies in a free one.
static void discard(struct shoal_queue *q, uint32_t cell) {
  bump_for_room(q);
  shoal_ordered_free(&q->ordered, cell);
  if (!q->element_size) shoal_message_end_(q, shoal_ordered_data(&q->ordered, cell));
}
static int receive(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_ordered *o = &op->q->ordered;
  uint32_t cell = 0, damaged = 0;
  int rc = enter(op, SHOAL_CONSUMER);
  if (rc) return rc;
  rc = shoal_ordered_next(o, &cell);
  if (!rc) {
    op->loan.data = shoal_ordered_data(o, cell);
    rc = look_at(op);
    damaged = rc == -EPROTO;
  }
  if (damaged) {
    discard(op->q, cell);
  } else if (!rc) {
    if (op->q->leased) shoal_ordered_lease(o, cell, shoal_now_ns() + op->q->lease_ns);  // before it is in hand
    shoal_ordered_receive(o, cell, op->me);
    op->loan.token = shoal_ordered_token(o, cell);
    shoal_ordered_holds(o, op->me, op->loan.token, SHOAL_CELL_READING_, &op->loan.redelivered);
  }
  shoal_ordered_leave(o, op->me);
  if (damaged) is_over(op->q, op->me);
  wake(op->q, SHOAL_CONSUMER, rc == -EMSGSIZE);  // as recv_one()
  return damaged ? shoal_fail_(-EPROTO, "a damaged message") : rc;
}

static int drop(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_queue *q = op->q;
  uint32_t cell = 0;
  int rc = enter(op, SHOAL_CONSUMER);
  if (rc) return rc;
  rc = shoal_ordered_next(&q->ordered, &cell);
  if (!rc) discard(q, cell);
  shoal_ordered_leave(&q->ordered, op->me);
  if (!rc) is_over(q, op->me);
  return rc;
}

// ---- loans ----

static int is_lent(struct shoal_queue *q, int side, const struct shoal_loan *loan) {
  uint32_t deaths;
  if (is_inside(q)) return interrupts();
  return shoal_ordered_holds(&q->ordered, loan->role, loan->token,
                             side == SHOAL_PRODUCER ? SHOAL_CELL_WRITING_ : SHOAL_CELL_READING_, &deaths);
}

// Inside. Which delivery of which message of whom: nobody else ends what this says.
static int is_his(const struct shoal_ordered *o, const struct shoal_loan *loan) {
  uint32_t deaths;
  return shoal_ordered_holds(o, loan->role, loan->token, SHOAL_CELL_READING_, &deaths) && deaths == loan->redelivered;
}

// Somebody is stopped inside: what nobody else may end ends all the same, and everybody looks again, who then waits for
// that one.
static int finish_outside(struct shoal_queue *q, const struct shoal_loan *loan, enum shoal_queue_end_ how,
                          uint32_t deaths, uint32_t leased) {
  if (leased && !is_his(&q->ordered, loan)) return shoal_queue_run_out_((uint32_t)loan->token);
  if (leased && how == SHOAL_RELEASE_ && loan->block_) (void)shoal_message_end_lent_(q, loan);
  shoal_eventcount_bump_(q->wait.shm, SHOAL_PRODUCER);
  shoal_eventcount_bump_(q->wait.shm, SHOAL_CONSUMER);
  shoal_ordered_end_outside(&q->ordered, (uint32_t)loan->token, how == SHOAL_RETURN_, deaths);
  shoal_eventcount_ring(q->wait.shm);
  if (how != SHOAL_RETURN_ && q->joinable) shoal_queue_done_(q, loan->role);
  return 0;
}
// `deaths`: what it comes again with. Under a lease it may be another's by now, and what it lies in ends inside.
// -ETIMEDOUT, nothing changed: that, or nobody gets inside, and it is a commit; -EBUSY: and the lease's end is to
// decide.
static int finish_if(struct shoal_queue *q, const struct shoal_loan *loan, enum shoal_queue_end_ how, uint32_t deaths,
                     uint32_t leased, shoal_deadline deadline) {
  struct shoal_ordered *o = &q->ordered;
  struct shoal_eventcount *ec = q->wait.shm;
  uint32_t cell = (uint32_t)loan->token;
  int gives_room = how == SHOAL_CANCEL_ || how == SHOAL_RELEASE_;
  int rc = shoal_ordered_enter(o, loan->role, deadline);
  if (rc == -ETIMEDOUT && how != SHOAL_COMMIT_ && !(leased && q->lease_ns))
    return finish_outside(q, loan, how, deaths, leased);
  if (rc) return leased && rc == -ETIMEDOUT ? -EBUSY : rc;
  if (leased && !is_his(o, loan)) {
    shoal_ordered_leave(o, loan->role);
    return shoal_queue_run_out_((uint32_t)loan->token);
  }
  if (gives_room) bump(q, SHOAL_PRODUCER), bump(q, SHOAL_CONSUMER);  // one may wait for the end of this claim
  else bump_for_message(q);
  if (leased && gives_room && loan->block_) (void)shoal_message_end_lent_(q, loan);
  SHOAL_COMPILER_BARRIER();  // killed between: it was received, as its block says
  if (gives_room) shoal_ordered_free(o, cell);
  else if (how == SHOAL_COMMIT_) shoal_ordered_ready(o, cell, SHOAL_ORDERED_NEW, 0);
  else shoal_ordered_ready(o, cell, SHOAL_ORDERED_AGAIN, deaths);
  shoal_ordered_leave(o, loan->role);
  if (how == SHOAL_COMMIT_ || how == SHOAL_CANCEL_) wake_for_the_end(q, 1);
  if (gives_room || q->ordered.evicts) wake(q, SHOAL_PRODUCER, 1);
  if (how == SHOAL_RETURN_) wake(q, SHOAL_CONSUMER, 1);
  // [C1] pairs with [A1]: claims of others were waited for
  if (how == SHOAL_RELEASE_ && shoal_load32_seq_cst(&ec->ev[SHOAL_CONSUMER]) & SHOAL_EV_E_)
    shoal_eventcount_wake_(ec, SHOAL_CONSUMER, INT32_MAX);
  if (gives_room && q->joinable) shoal_queue_done_(q, loan->role);
  return 0;
}
static int finish(struct shoal_queue *q, const struct shoal_loan *loan, enum shoal_queue_end_ how) {
  return finish_if(q, loan, how, loan->redelivered, 0, SHOAL_TRY);
}

// ---- leases ----

// A second at least: what is in hand already is not left behind for others who are inside for a moment.
static int finish_leased(struct shoal_queue *q, const struct shoal_loan *loan, enum shoal_queue_end_ how,
                         uint32_t counts, shoal_deadline deadline) {
  if (!q->lease_ns || deadline.ns < shoal_after_ns(SHOAL_RECHECK_NS).ns) deadline = SHOAL_TRY;
  return finish_if(q, loan, how, loan->redelivered + counts, 1, deadline);
}
static int extend(struct shoal_queue *q, const struct shoal_loan *loan) {
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &q->wait.shm->bell);
  int rc = shoal_ordered_enter(&q->ordered, loan->role, SHOAL_TRY), his = 0;
  if (!rc) {
    his = is_his(&q->ordered, loan);
    if (his) shoal_ordered_lease(&q->ordered, (uint32_t)loan->token, shoal_now_ns() + q->lease_ns);
    shoal_ordered_leave(&q->ordered, loan->role);
  }
  // What was read before has been for a second; nor can it be another's, and then his again.
  if (rc == -ETIMEDOUT && (his = is_his(&q->ordered, loan))) rc = -EBUSY;
  shoal_pending_restore_(t, pending);
  return his || (rc && rc != -ETIMEDOUT) ? rc : shoal_queue_run_out_((uint32_t)loan->token);
}
static void let_go(struct shoal_queue *q, const struct shoal_loan *loan) {
  uint32_t cell = (uint32_t)loan->token;
  uint64_t until = shoal_ordered_until(&q->ordered, cell);
  if (!is_his(&q->ordered, loan) || !shoal_ordered_run_out(&q->ordered, cell, until)) return;
  shoal_store64_release(&q->extra->next, 0);  // [E1]
  shoal_eventcount_ring(q->wait.shm);
}
static int receive_leased(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_queue *q = op->q;
  int rc, over;
  do {
    op->loan = (struct shoal_loan){.role = op->me, .size = q->element_size, .handle_ = (uint32_t)q->wait.id};
    rc = receive(op);
    if (rc) return rc;
    over = shoal_queue_bury_(op);
    if (over < 0) return over;
  } while (over);
  return 0;
}
static int ready(struct shoal_queue *q, int side, uint32_t me, shoal_deadline deadline) {
  int rc = looks_due(q, side) ? look_due(q, me, deadline) : 0;
  if (!rc && shoal_ordered_is_stale(&q->ordered)) {  // what the counts say is what was before
    rc = shoal_ordered_enter(&q->ordered, me, deadline);
    if (!rc) shoal_ordered_leave(&q->ordered, me);
  }
  if (rc) return rc;
  if (side == SHOAL_PRODUCER && shoal_eventcount_closed(q->wait.shm)) return -EPIPE;
  return blocker(&q->wait, side) == SHOAL_BLOCKER_NONE ? 0 : -EAGAIN;
}

static void *slot(struct shoal_queue *q, const struct shoal_loan *loan, int side) {
  (void)side;
  return shoal_ordered_data(&q->ordered, (uint32_t)loan->token);
}

// ---- joinable ----

static int done(struct shoal_queue *q, uint32_t *owner) { return shoal_ordered_is_done(&q->ordered, owner); }
static uint64_t held_by(struct shoal_queue *q, uint32_t me) { return shoal_ordered_count_held(&q->ordered, me); }
// In the order of the gets, which is not that of the puts: chained in the cells, whose words are checked again. Under a
// lease the words may be a list's by now: there, the times say it.
static int is_of(struct shoal_queue *q, uint32_t me, uint64_t token, uint32_t *deaths) {
  return shoal_ordered_holds(&q->ordered, me, token, SHOAL_CELL_READING_, deaths);
}
static void keep(struct shoal_queue *q, struct shoal_queue_taken_ *taken, const struct shoal_loan *loan) {
  uint32_t deaths;
  if (q->leased) {
    taken->count++;
    return;
  }
  if (taken->count && !is_of(q, loan->role, taken->last, &deaths))
    taken->count = 0;  // an earlier thread's of this number
  if (taken->count++) shoal_ordered_chain_(&q->ordered, taken->last, loan->token);
  else taken->from = loan->token;
  taken->last = loan->token;
}
static int in_hand(struct shoal_queue *q, struct shoal_queue_taken_ *taken, struct shoal_loan *loan) {
  uint32_t me = loan->role, *deaths = &loan->redelivered;
  loan->token = taken->from;
  if (q->leased) {
    if (!shoal_ordered_in_hand(&q->ordered, me, &loan->token) || !is_of(q, me, loan->token, deaths)) return 0;
    taken->count -= taken->count != 0;
  } else if (!taken->count || !is_of(q, me, loan->token, deaths)) {
    taken->count = 0;
    if (!shoal_ordered_in_hand(&q->ordered, me, &loan->token) || !is_of(q, me, loan->token, deaths))
      return 0;  // else one in place
  } else if (--taken->count && !shoal_ordered_chained_(&q->ordered, me, loan->token, &taken->from)) {
    taken->count = 0;
  }
  loan->data = shoal_ordered_data(&q->ordered, (uint32_t)loan->token);
  return 1;
}

// ---- whole elements ----

// A large element is copied outside, as its producer's or consumer's claim.
static int put_large(struct shoal_queue_op_ *op) {
  int rc = reserve(op);
  if (rc) return rc;
  op->loan.role = op->me;
  memcpy(op->loan.data, op->in, op->q->element_size);
  rc = finish_if(op->q, &op->loan, SHOAL_COMMIT_, 0, 0, op->deadline);
  if (rc) (void)finish(op->q, &op->loan, SHOAL_CANCEL_);
  if (rc) return rc;
  op->in += op->q->element_size;
  op->done++;
  return 0;
}
static int get_large(struct shoal_queue_op_ *op) {
  int rc = receive(op);
  if (rc) return rc;
  op->loan.role = op->me;
  memcpy(op->out, op->loan.data, op->q->element_size);
  (void)finish(op->q, &op->loan, SHOAL_RELEASE_);
  op->out += op->q->element_size;
  op->done++;
  return 0;
}
// Its claim lasts no longer than this call, in which whoever falls asleep watches it.
static int large(struct shoal_queue_op_ *op, int (*move)(struct shoal_queue_op_ *op)) {
  struct shoal_role *role = shoal_role_at_(&op->q->wait, op->me);
  uint32_t busy = shoal_load32_relaxed(&role->busy);
  shoal_store32_relaxed(&role->busy, busy + 1);  // before the lock is taken: seen by whoever sees the claim
  int rc = move(op);
  shoal_store32_release(&role->busy, busy);  // [R6] pairs with [A6] in sync/eventcount.c
  return rc;
}

static int put(void *arg) {
  struct shoal_queue_op_ *op = arg;
  return op->q->element_size <= SMALL ? put_some(op, 1) : large(op, put_large);
}
static int get(void *arg) {
  struct shoal_queue_op_ *op = arg;
  return op->q->element_size <= SMALL ? get_some(op, 1) : large(op, get_large);
}

static int many(struct shoal_queue_op_ *op, int (*some)(struct shoal_queue_op_ *op, uint32_t most),
                int (*one)(void *)) {
  int rc = 0;
  for (op->done = 0; op->done < op->n && !rc;) {
    uint32_t left = op->n - op->done;
    rc = op->q->element_size <= SMALL ? some(op, left < SO_MANY ? left : SO_MANY) : one(op);
  }
  return op->done ? 0 : rc;
}
// The common case at once; what has to grow, or to be copied outside, goes the long way.
static int put_one(struct shoal_queue *q, uint32_t me, const void *element, shoal_deadline deadline) {
  if (SHOAL_LIKELY(q->element_size <= SMALL && !q->ordered.grow)) {
    if (in_vain(q, SHOAL_PRODUCER)) return -EAGAIN;
    int rc = shoal_ordered_put(&q->ordered, me, element, deadline);
    wake_for_messages(q, rc == 0);
    return rc;
  }
  struct shoal_queue_op_ op = {.q = q, .me = me, .deadline = deadline, .in = element};
  return put(&op);
}
static int get_one(struct shoal_queue *q, uint32_t me, void *element, shoal_deadline deadline) {
  if (SHOAL_LIKELY(q->element_size <= SMALL)) {
    if (in_vain(q, SHOAL_CONSUMER)) return -EAGAIN;
    int rc = shoal_ordered_get(&q->ordered, me, element, deadline);
    wake_for_room(q, rc == 0);
    return rc;
  }
  struct shoal_queue_op_ op = {.q = q, .me = me, .deadline = deadline, .out = element};
  return get(&op);
}

static int put_n(void *op) { return many(op, put_some, put); }
static int get_n(void *op) { return many(op, get_some, get); }

static int peek(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_queue *q = op->q;
  uint32_t cell = 0;
  int rc = enter(op, SHOAL_CONSUMER);
  if (rc) return rc;
  rc = shoal_ordered_next(&q->ordered, &cell);
  const void *next = rc ? NULL : shoal_ordered_data(&q->ordered, cell);
  if (next && !q->element_size) rc = shoal_message_copy_(op, next, 0);
  else if (next) memcpy(op->out, next, q->element_size);
  shoal_ordered_leave(&q->ordered, op->me);
  return rc;
}

// ---- byte messages ----

// Killed before it is ready, its cell is free, and who takes the lock next ends the block.
static int send(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_queue *q = op->q;
  uint32_t cell = 0, taken = 0;
  int rc = enter(op, SHOAL_PRODUCER);
  if (rc) return rc;
  rc = take(q, &cell);
  if (!rc) {
    taken = 1;
    bump_for_message(q);
    rc = shoal_message_fill_(op, shoal_ordered_data(&q->ordered, cell));
    if (rc) shoal_ordered_free(&q->ordered, cell);
    else shoal_ordered_ready(&q->ordered, cell, SHOAL_ORDERED_NEW, 0);
  }
  shoal_ordered_leave(&q->ordered, op->me);
  wake_for_messages(q, !rc);
  if (rc && taken && q->joinable) shoal_queue_done_(q, op->me);  // what gave way to nothing may have been the last
  return rc;
}

// Inside: a short one is copied, a long one becomes the caller's claim, one without room stays. *claimed: it has to be
// copied.
static int take_next(struct shoal_queue_op_ *op, uint32_t *claimed) {
  struct shoal_ordered *o = &op->q->ordered;
  uint32_t cell = 0;
  int rc = shoal_ordered_next(o, &cell);
  if (rc) return rc;
  void *next = shoal_ordered_data(o, cell);
  uint32_t in_block;
  rc = shoal_message_fits_(op, next, &in_block);
  if (rc == -EMSGSIZE) return rc;
  if (rc) {
    discard(op->q, cell);
    return shoal_fail_(-EPROTO, "a damaged message of %llu bytes", (unsigned long long)op->size);
  }
  bump_for_room(op->q);
  if (!in_block) {
    rc = shoal_message_take_(op, next);
    shoal_ordered_free(o, cell);
    return rc;
  }
  *claimed = 1;
  shoal_ordered_receive(o, cell, op->me);
  op->loan = (struct shoal_loan){.data = next, .token = shoal_ordered_token(o, cell), .role = op->me};
  return 0;
}
static int recv_one(struct shoal_queue_op_ *op) {
  struct shoal_queue *q = op->q;
  uint32_t claimed = 0;
  int rc = enter(op, SHOAL_CONSUMER);
  if (rc) return rc;
  rc = take_next(op, &claimed);
  shoal_ordered_leave(&q->ordered, op->me);
  if (!claimed) {
    wake_for_room(q, rc == 0 || rc == -EPROTO);
    wake(q, SHOAL_CONSUMER, rc == -EMSGSIZE);  // the one that it came by was meant for who takes the message
    return rc;
  }
  rc = shoal_message_take_(op, op->loan.data);
  (void)finish(q, &op->loan, SHOAL_RELEASE_);
  return rc;
}
static int recv(void *arg) { return large(arg, recv_one); }

static void info(struct shoal_queue *q, struct shoal_queue_info *out) {
  const struct shoal_ordered *o = &q->ordered;
  uint32_t chunks = shoal_load32_relaxed(&o->shm->chunks);
  out->grow = o->grow;
  out->grown = o->grow && chunks < SHOAL_ORDERED_CHUNKS_ ? chunks : 0;
  out->capacity = o->capacity << out->grown;
  out->drop = o->drop;
  out->size = counted(&o->shm->count);
  out->put = shoal_load64_relaxed(&o->shm->seq);
  out->full = (uint32_t)is_full(o);
  out->key = o->key;
  out->holes = shoal_load64_relaxed(&o->shm->holes);
  out->redelivered = shoal_load64_relaxed(&o->shm->redelivered);
  out->dropped = shoal_load64_relaxed(&o->shm->dropped);
  out->discarded = shoal_load64_relaxed(&o->shm->evicted);
  out->remade = shoal_load64_relaxed(&o->shm->remade);
}

#define TABLE(by)                                                                         \
  const struct shoal_queue_kind_ shoal_queue_##by##_ = {.name = #by,                      \
                                                        .roles = SHOAL_ROLES_DEFAULT,     \
                                                        .holds = 1,                       \
                                                        .wait = &wait_ops,                \
                                                        .refuses = refuses,               \
                                                        .size = by##_size,                \
                                                        .init = by##_init,                \
                                                        .attach = by##_attach,            \
                                                        .put = put,                       \
                                                        .get = get,                       \
                                                        .put_n = put_n,                   \
                                                        .get_n = get_n,                   \
                                                        .put_one = put_one,               \
                                                        .get_one = get_one,               \
                                                        .reserve = reserve,               \
                                                        .receive = receive,               \
                                                        .send = send,                     \
                                                        .recv = recv,                     \
                                                        .evicts = 1,                      \
                                                        .peek = peek,                     \
                                                        .drop = drop,                     \
                                                        .done = done,                     \
                                                        .keep = keep,                     \
                                                        .in_hand = in_hand,               \
                                                        .held = held_by,                  \
                                                        .ready = ready,                   \
                                                        .receive_leased = receive_leased, \
                                                        .finish_leased = finish_leased,   \
                                                        .extend = extend,                 \
                                                        .let_go = let_go,                 \
                                                        .is_lent = is_lent,               \
                                                        .finish = finish,                 \
                                                        .slot = slot,                     \
                                                        .leave = leave,                   \
                                                        .info = info};
TABLE(fifo)
TABLE(lifo)
TABLE(priority)
