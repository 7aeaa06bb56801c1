// The kind for any number of producers and consumers.
#include "ipc/queue/message.h"
#include "ipc/queue/queue_internal.h"

static const char *refuses(const struct shoal_queue_options *o) {
  (void)o;
  return NULL;
}
static uint64_t size_of(const struct shoal_queue_options *o) { return shoal_mpmc_size(o->capacity, o->element_size); }
static int init(void *ring, uint64_t size, const struct shoal_queue_options *o) {
  (void)size;
  return shoal_mpmc_init(ring, o->capacity, o->element_size, o->drop);
}
static int attach(struct shoal_queue *q, void *ring, uint64_t size) {
  int rc = shoal_mpmc_attach(&q->ring, ring, size, &q->wait);
  q->element_size = q->ring.element_size;
  return rc;
}

// ---- what the sleeping protocol asks ----

static uint32_t blocker(struct shoal_eventcount_view *view, int side) {
  return shoal_mpmc_blocker(&shoal_queue_of_(view)->ring, side);
}
static int recover(struct shoal_eventcount_view *view, uint32_t role, shoal_deadline deadline) {
  (void)deadline;
  shoal_mpmc_recover(&shoal_queue_of_(view)->ring, role);
  return 0;
}
static int held(struct shoal_eventcount_view *view, uint32_t me) {
  return shoal_mpmc_held(&shoal_queue_of_(view)->ring, me);
}
static int join(struct shoal_eventcount_view *view, int side) {
  (void)side;
  return shoal_queue_confirm_(shoal_queue_of_(view));
}
static int64_t due(struct shoal_eventcount_view *view, int side) {
  return shoal_queue_wakes_(shoal_queue_of_(view), side);
}
static const struct shoal_wait_ops wait_ops = {blocker, recover, held, join, due, NULL};

// What is lent goes back as it is, whatever the policy. Killed on the way, the rest dies with its holder.
static int leave(struct shoal_queue *q, int side, uint32_t me) {
  if (!shoal_load32_relaxed(&shoal_role_at_(&q->wait, me)->holder)) return 0;
  if (side == SHOAL_CONSUMER) shoal_queue_forget_(q, me);
  shoal_mpmc_give_back(&q->ring, me);
  return 0;
}

// ---- beside the fast paths ----

static struct shoal_claim claim_at(const struct shoal_queue *q, uint64_t at) {
  return shoal_mpmc_at(&q->ring, at, q->ring.stride);
}

// To a put that drops the oldest, a message in nobody's hands is room: who sleeps for that is told of messages, too.
static int awaits_messages(const struct shoal_queue *q) {
  return q->overflow == SHOAL_OVERFLOW_DROP_OLDEST && shoal_eventcount_asleep_(q->wait.shm, SHOAL_PRODUCER);
}
static int awaited(const struct shoal_queue *q) {
  return shoal_eventcount_asleep_(q->wait.shm, SHOAL_CONSUMER) || awaits_messages(q);
}
static void bump_for_message(struct shoal_queue *q) {
  shoal_eventcount_bump_(q->wait.shm, SHOAL_CONSUMER);
  if (awaits_messages(q)) shoal_eventcount_bump_(q->wait.shm, SHOAL_PRODUCER);
}
static void wake_for_messages(struct shoal_queue *q, uint64_t n) {
  int most = n < INT32_MAX ? (int)n : INT32_MAX;
  shoal_eventcount_wake_(q->wait.shm, SHOAL_CONSUMER, most);
  if (awaits_messages(q)) shoal_eventcount_wake_(q->wait.shm, SHOAL_PRODUCER, most);
}

// After a claim: somebody sleeps, or the queue is closed. The bump has a sleeper that is not queued yet look again if
// we die.
static int claimed(struct shoal_queue *q, uint64_t at) {
  struct shoal_eventcount *ec = q->wait.shm;
  if (shoal_eventcount_closed(ec)) {
    struct shoal_claim claim = claim_at(q, at);
    shoal_mpmc_cancel(&q->ring, &claim);
    shoal_eventcount_ring(ec);
    return -EPIPE;
  }
  bump_for_message(q);
  return 0;
}

static void published(struct shoal_queue *q, uint64_t at) {
  wake_for_messages(q, 1 + (uint64_t)shoal_mpmc_messages_behind(&q->ring, at));
}
void shoal_queue_gives_back_(struct shoal_queue *q) {
  if (awaited(q)) bump_for_message(q);
}
void shoal_queue_is_back_(struct shoal_queue *q, uint64_t at) {
  struct shoal_eventcount *ec = q->wait.shm;
  if (shoal_eventcount_asleep_(ec, SHOAL_CONSUMER)) shoal_eventcount_wake_(ec, SHOAL_CONSUMER, 1);
  if (awaits_messages(q)) shoal_eventcount_wake_(ec, SHOAL_PRODUCER, 1 + shoal_mpmc_messages_behind(&q->ring, at));
}

// Positions first..last are free, not all of them ours: as many sleepers as there are places, those that overtook us
// included, which alone were of no use.
static void freed(struct shoal_queue *q, uint64_t first, uint64_t last) {
  struct shoal_eventcount *ec = q->wait.shm;
  if (shoal_eventcount_asleep_(ec, SHOAL_PRODUCER)) {
    uint64_t n = last - first + 1 + (uint64_t)shoal_mpmc_places_behind(&q->ring, last);
    shoal_eventcount_wake_(ec, SHOAL_PRODUCER, n < INT32_MAX ? (int)n : INT32_MAX);
  }
  // [C1] pairs with [A1]: claims of others were waited for
  if (shoal_load32_seq_cst(&ec->ev[SHOAL_CONSUMER]) & SHOAL_EV_E_)
    shoal_eventcount_wake_(ec, SHOAL_CONSUMER, INT32_MAX);
}
void shoal_queue_freed_(struct shoal_queue *q, uint64_t at) { freed(q, at, at); }

// ---- attempts ----

// From the claim on. 0, -EPIPE
static int put_claimed(struct shoal_queue *q, const struct shoal_claim *claim, const void *element) {
  if (awaited(q) | shoal_eventcount_closed(q->wait.shm)) {
    int rc = claimed(q, claim->at);
    if (rc) return rc;
  }
  memcpy(shoal_claim_data(claim, q->element_size), element, q->element_size);
  shoal_mpmc_publish(&q->ring, claim);
  if (awaited(q)) published(q, claim->at);
  return 0;
}
static int put(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_claim claim;
  if (!shoal_mpmc_claim_put(&op->q->ring, op->me, op->q->element_size, &claim)) return -EAGAIN;  // [C1]
  return put_claimed(op->q, &claim, op->in);
}

// Claims the next message, and says before that the role has it: seen by whoever sees the claim, which is a full
// barrier. `size`: of a slot. *busy: what the role's was before. 0: there is none.
SHOAL_INLINE int claim_next(const struct shoal_queue_op_ *op, uint32_t size, struct shoal_claim *claim,
                            struct shoal_role **role, uint32_t *busy) {
  struct shoal_role *r = *role = shoal_role_at_(&op->q->wait, op->me);
  *busy = shoal_load32_relaxed(&r->busy);
  shoal_store32_relaxed(&r->busy, *busy + 1);
  if (shoal_mpmc_claim_get(&op->q->ring, op->me, size, claim)) return 1;  // [C1]
  shoal_store32_relaxed(&r->busy, *busy);
  return 0;
}
// From the claim on; `busy` is what the role's was before.
static void got(struct shoal_queue *q, const struct shoal_claim *claim, struct shoal_role *role, uint32_t busy) {
  struct shoal_eventcount *ec = q->wait.shm;
  shoal_mpmc_commit(&q->ring, claim);
  // [R6] pairs with [A6] in sync/eventcount.c: whoever sees the role idle sees the slot freed
  shoal_store32_release(&role->busy, busy);
  if (shoal_eventcount_asleep_for_room_(ec)) shoal_queue_freed_(q, claim->at);
}
static void get_claimed(struct shoal_queue *q, const struct shoal_claim *claim, struct shoal_role *role, uint32_t busy,
                        void *element) {
  if (shoal_eventcount_asleep_(q->wait.shm, SHOAL_PRODUCER)) shoal_eventcount_bump_(q->wait.shm, SHOAL_PRODUCER);
  memcpy(element, shoal_claim_data(claim, q->element_size), q->element_size);
  got(q, claim, role, busy);
}
static int get(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_role *role;
  struct shoal_claim claim;
  uint32_t busy;
  if (!claim_next(op, op->q->element_size, &claim, &role, &busy)) return -EAGAIN;
  get_claimed(op->q, &claim, role, busy, op->out);
  return 0;
}

struct use {
  struct shoal_queue_op_ op;
  void (*use)(void *arg, const void *element);
  void *arg;
};
static int use_next(void *arg) {
  struct use *u = arg;
  struct shoal_queue *q = u->op.q;
  struct shoal_role *role;
  struct shoal_claim claim;
  uint32_t busy;
  if (!claim_next(&u->op, q->element_size, &claim, &role, &busy)) return -EAGAIN;
  if (shoal_eventcount_asleep_(q->wait.shm, SHOAL_PRODUCER)) shoal_eventcount_bump_(q->wait.shm, SHOAL_PRODUCER);
  u->use(u->arg, shoal_claim_data(&claim, q->element_size));
  got(q, &claim, role, busy);
  return 0;
}
int shoal_queue_use_(struct shoal_queue *q, void (*use)(void *arg, const void *element), void *arg,
                     shoal_deadline deadline) {
  struct use u;
  u.op.q = q, u.use = use, u.arg = arg;  // use_next reads no more of it: the whole is not cleared for each element
  return shoal_queue_run_(&u.op, SHOAL_CONSUMER, 0, use_next, deadline);
}

// ---- what the inline forms end with, when there is more to do ----

int shoal_queue_put_claimed_(struct shoal_queue *q, uint64_t at, const void *element, void *pending) {
  struct shoal_claim claim = claim_at(q, at);
  int rc = put_claimed(q, &claim, element);
  shoal_pending_restore_(shoal_self_(), pending);
  return rc;
}
int shoal_queue_get_claimed_(struct shoal_queue *q, uint32_t me, uint64_t at, void *element, void *pending) {
  struct shoal_claim claim = claim_at(q, at);
  struct shoal_role *role = shoal_role_at_(&q->wait, me);
  get_claimed(q, &claim, role, shoal_load32_relaxed(&role->busy) - 1, element);
  shoal_pending_restore_(shoal_self_(), pending);
  return 0;
}
int shoal_queue_put_told_(struct shoal_queue *q, uint64_t at, void *pending) {
  published(q, at);
  shoal_pending_restore_(shoal_self_(), pending);
  return 0;
}
int shoal_queue_get_told_(struct shoal_queue *q, uint64_t at, void *pending) {
  shoal_queue_freed_(q, at);
  shoal_pending_restore_(shoal_self_(), pending);
  return 0;
}

// ---- attempts for several ----

static int put_n(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_queue *q = op->q;
  struct shoal_claim claim;
  uint64_t first = 0, last = 0;
  int rc = -EAGAIN;
  for (op->done = 0; op->done < op->n && shoal_mpmc_claim_put(&q->ring, op->me, q->element_size, &claim); op->done++) {
    if (awaited(q) | shoal_eventcount_closed(q->wait.shm)) {
      int closed = claimed(q, claim.at);
      if (closed) {
        rc = closed;
        break;
      }
    }
    memcpy(shoal_claim_data(&claim, q->element_size), op->in + (size_t)op->done * q->element_size, q->element_size);
    shoal_mpmc_publish(&q->ring, &claim);
    if (!op->done) first = claim.at;
    last = claim.at;
  }
  if (!op->done) return rc;
  if (awaited(q))  // what overtook us included
    wake_for_messages(q, last - first + 1 + (uint64_t)shoal_mpmc_messages_behind(&q->ring, last));
  return 0;
}

static int get_n(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_queue *q = op->q;
  struct shoal_eventcount *ec = q->wait.shm;
  struct shoal_role *role = shoal_role_at_(&q->wait, op->me);
  uint32_t busy = shoal_load32_relaxed(&role->busy);
  struct shoal_claim claim;
  uint64_t first = 0, last = 0;
  shoal_store32_relaxed(&role->busy, busy + 1);
  for (op->done = 0; op->done < op->n && shoal_mpmc_claim_get(&q->ring, op->me, q->element_size, &claim); op->done++) {
    if (shoal_eventcount_asleep_(ec, SHOAL_PRODUCER)) shoal_eventcount_bump_(ec, SHOAL_PRODUCER);
    memcpy(op->out + (size_t)op->done * q->element_size, shoal_claim_data(&claim, q->element_size), q->element_size);
    shoal_mpmc_commit(&q->ring, &claim);
    if (!op->done || claim.at < first) first = claim.at;  // a stray stands behind the others
    if (!op->done || claim.at > last) last = claim.at;
  }
  shoal_store32_release(&role->busy, busy);  // [R6] pairs with [A6] in sync/eventcount.c
  if (!op->done) return -EAGAIN;
  if (shoal_eventcount_asleep_for_room_(ec)) freed(q, first, last);
  return 0;
}

static int lend(struct shoal_queue_op_ *op, const struct shoal_claim *claim, uint32_t state) {
  op->loan.data = shoal_claim_data(claim, op->q->slot_size);
  op->loan.token = claim->at;
  shoal_mpmc_holds(&op->q->ring, op->me, claim->at, state, &op->loan.redelivered);
  return 0;
}
static int reserve(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_claim claim;
  if (!shoal_mpmc_claim_put(&op->q->ring, op->me, op->q->slot_size, &claim)) return -EAGAIN;
  int rc = shoal_eventcount_closed(op->q->wait.shm) ? claimed(op->q, claim.at) : 0;
  return rc ? rc : lend(op, &claim, SHOAL_SLOT_WRITING_);
}
static int receive(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_claim claim;
  if (!shoal_mpmc_claim_get(&op->q->ring, op->me, op->q->slot_size, &claim)) return -EAGAIN;
  return lend(op, &claim, SHOAL_SLOT_READING_);
}

static int evict(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_claim claim;
  if (!shoal_mpmc_claim_oldest(&op->q->ring, op->me, &claim)) return -EAGAIN;
  return lend(op, &claim, SHOAL_SLOT_READING_);
}
static void copy_next(void *arg, const void *payload) {
  struct shoal_queue_op_ *op = arg;
  if (!op->q->element_size) op->rc = shoal_message_copy_(op, payload, 1);
  else shoal_copy_racing_(op->out, payload, op->q->element_size);
}
static int peek(void *arg) {
  struct shoal_queue_op_ *op = arg;
  (void)shoal_queue_look_due_(op->q, op->me);
  return shoal_mpmc_peek(&op->q->ring, copy_next, op) ? op->rc : -EAGAIN;
}

// ---- joinable ----

static int done(struct shoal_queue *q, uint32_t *owner) { return shoal_mpmc_is_done(&q->ring, owner); }
static void keep(struct shoal_queue *q, struct shoal_queue_taken_ *taken, const struct shoal_loan *loan) {
  (void)q;
  if (!taken->count++ || loan->token < taken->from) taken->from = loan->token;
}
static int in_hand(struct shoal_queue *q, struct shoal_queue_taken_ *taken, struct shoal_loan *loan) {
  if (!shoal_mpmc_in_hand(&q->ring, loan->role, taken->from, &loan->token)) return 0;
  struct shoal_claim claim = claim_at(q, loan->token);
  loan->data = shoal_claim_data(&claim, q->slot_size);
  if (!shoal_mpmc_holds(&q->ring, loan->role, loan->token, SHOAL_SLOT_READING_, &loan->redelivered)) return 0;
  taken->from = loan->token + 1;
  if (taken->count) taken->count--;
  return 1;
}
static uint64_t held_by(struct shoal_queue *q, uint32_t me) { return shoal_mpmc_count_held(&q->ring, me); }

static int ready(struct shoal_queue *q, int side, uint32_t me, shoal_deadline deadline) {
  (void)deadline;  // nobody stands inside
  if (shoal_queue_wakes_(q, side) != INT64_MAX) (void)shoal_queue_look_due_(q, me);
  if (side == SHOAL_CONSUMER) return shoal_mpmc_readable(&q->ring) ? 0 : -EAGAIN;
  if (shoal_eventcount_closed(q->wait.shm)) return -EPIPE;
  uint32_t blocker = shoal_mpmc_blocker(&q->ring, side);
  return blocker == SHOAL_BLOCKER_NONE || (!blocker && q->overflow == SHOAL_OVERFLOW_DROP_OLDEST) ? 0 : -EAGAIN;
}

// ---- loans ----

static int is_lent(struct shoal_queue *q, int side, const struct shoal_loan *loan) {
  uint32_t deaths;
  return shoal_mpmc_holds(&q->ring, loan->role, loan->token,
                          side == SHOAL_PRODUCER ? SHOAL_SLOT_WRITING_ : SHOAL_SLOT_READING_, &deaths);
}

static void finish_put(struct shoal_queue *q, uint64_t at, enum shoal_queue_end_ how) {
  struct shoal_claim claim = claim_at(q, at);
  struct shoal_eventcount *ec = q->wait.shm;
  if (awaited(q)) bump_for_message(q);
  if (how == SHOAL_COMMIT_) shoal_mpmc_publish(&q->ring, &claim);
  else shoal_mpmc_cancel(&q->ring, &claim);
  if (awaited(q)) published(q, at);
  if (how == SHOAL_CANCEL_ && shoal_eventcount_asleep_(ec, SHOAL_PRODUCER)) freed(q, at, at);
  if (shoal_eventcount_closed(ec))
    shoal_eventcount_ring(ec);  // all who wait for the end of this claim, not one of them
}

static void finish_get(struct shoal_queue *q, uint64_t at, enum shoal_queue_end_ how) {
  struct shoal_claim claim = claim_at(q, at);
  struct shoal_eventcount *ec = q->wait.shm;
  if (how == SHOAL_RELEASE_) {
    if (shoal_eventcount_asleep_(ec, SHOAL_PRODUCER)) shoal_eventcount_bump_(ec, SHOAL_PRODUCER);
    shoal_mpmc_commit(&q->ring, &claim);
    if (shoal_eventcount_asleep_for_room_(ec)) freed(q, at, at);
  } else {
    shoal_queue_gives_back_(q);
    shoal_mpmc_return(&q->ring, &claim);
    shoal_queue_is_back_(q, at);
  }
}

static void *slot(struct shoal_queue *q, const struct shoal_loan *loan, int side) {
  (void)side;
  struct shoal_claim claim = claim_at(q, loan->token);
  return shoal_claim_data(&claim, q->slot_size);
}

static int finish(struct shoal_queue *q, const struct shoal_loan *loan, enum shoal_queue_end_ how) {
  (shoal_queue_side_(how) == SHOAL_PRODUCER ? finish_put : finish_get)(q, loan->token, how);
  if (q->joinable && (how == SHOAL_RELEASE_ || how == SHOAL_CANCEL_)) shoal_queue_done_(q, loan->role);
  return 0;
}

// ---- byte messages ----

#define SLOT (uint32_t)sizeof(struct shoal_message_shm)  // known to the compiler; attach has checked it

static int send(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_queue *q = op->q;
  struct shoal_claim claim;
  if (SHOAL_UNLIKELY(!shoal_mpmc_claim_put(&q->ring, op->me, SLOT, &claim))) return -EAGAIN;
  if (SHOAL_UNLIKELY(awaited(q) | shoal_eventcount_closed(q->wait.shm))) {
    int rc = claimed(q, claim.at);
    if (rc) return rc;
  }
  int rc = shoal_message_fill_(op, shoal_claim_data(&claim, SLOT));
  if (SHOAL_UNLIKELY(rc)) {
    finish_put(q, claim.at, SHOAL_CANCEL_);
    return rc;
  }
  shoal_mpmc_publish(&q->ring, &claim);
  if (SHOAL_UNLIKELY(awaited(q))) published(q, claim.at);
  return 0;
}

// One that finds no room is given back: it comes before newer ones.
static int recv(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_queue *q = op->q;
  struct shoal_eventcount *ec = q->wait.shm;
  struct shoal_role *role;
  struct shoal_claim claim;
  uint32_t busy;
  if (SHOAL_UNLIKELY(!claim_next(op, SLOT, &claim, &role, &busy))) return -EAGAIN;
  if (SHOAL_UNLIKELY(shoal_eventcount_asleep_(ec, SHOAL_PRODUCER))) shoal_eventcount_bump_(ec, SHOAL_PRODUCER);
  int rc = shoal_message_take_(op, shoal_claim_data(&claim, SLOT));
  if (SHOAL_UNLIKELY(rc == -EMSGSIZE)) finish_get(q, claim.at, SHOAL_RETURN_);
  else shoal_mpmc_commit(&q->ring, &claim);
  // [R6] pairs with [A6] in sync/eventcount.c: whoever sees the role idle sees the slot freed
  shoal_store32_release(&role->busy, busy);
  if (SHOAL_UNLIKELY(shoal_eventcount_asleep_for_room_(ec))) shoal_queue_freed_(q, claim.at);
  return rc;
}

static void info(struct shoal_queue *q, struct shoal_queue_info *out) {
  out->capacity = (uint32_t)q->ring.mask + 1;
  out->drop = q->ring.drop;
  out->size = shoal_mpmc_count(&q->ring);  // first: what is put meanwhile does not count as there and never put
  out->put = shoal_mpmc_claimed(&q->ring);
  out->full = shoal_mpmc_blocker(&q->ring, SHOAL_PRODUCER) != SHOAL_BLOCKER_NONE;
  out->holes = shoal_load64_relaxed(&q->ring.shm->holes);
  out->redelivered = shoal_load64_relaxed(&q->ring.shm->redelivered);
  out->dropped = shoal_load64_relaxed(&q->ring.shm->dropped);
}

const struct shoal_queue_kind_ shoal_queue_mpmc_ = {
    .name = "mpmc",
    .roles = SHOAL_ROLES_DEFAULT,
    .holds = 1,
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
    .evicts = 1,
    .evict = evict,
    .peek = peek,
    .done = done,
    .keep = keep,
    .in_hand = in_hand,
    .held = held_by,
    .ready = ready,
    .receive_leased = shoal_queue_receive_from_ring_,
    .finish_leased = shoal_queue_finish_in_ring_,
    .extend = shoal_queue_extend_in_ring_,
    .is_lent = is_lent,
    .finish = finish,
    .slot = slot,
    .leave = leave,
    .info = info,
};
