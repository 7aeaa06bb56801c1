// Leases: a received message comes again if its holder lives, but neither releases nor extends in time; and dead
// letters: what has come too often goes elsewhere. Here for the mpmc ring, beside which a word a slot says how long its
// delivery may take (the kinds under a lock have theirs in queue_ordered.c), and what is the same for all.
//
//   until = taken:1 | time:49 (of 1,024 ns) | tag:14        tag: of the delivery, deaths:10 and the lap's last 4 bits
//
// A word of another tag, or 0, says nothing yet: whoever looks gives the lease its time from then on. So a holder that
// is stopped between its claim and its word loses it, too.
// Taking back is two steps: `taken` into the word that has run out, then the slot from its holder. An extension changes
// the same word, so it is in time or it is refused; a release changes the same slot, so either it counts or the message
// comes again. `deaths` tells one delivery from the next. Killed in between: whoever looks next finds `taken`, and goes
// on.
#include <stdlib.h>

#include "core/error.h"
#include "ipc/queue/message.h"
#include "ipc/queue/queue_internal.h"

#define TAKEN (UINT64_C(1) << 63)
#define TAG_BITS 14
#define TAG_MASK ((UINT64_C(1) << TAG_BITS) - 1)
#define TIME_SHIFT 10
#define TIME_MASK ((UINT64_C(1) << 49) - 1)

static uint64_t tag_of(uint64_t c) { return (uint64_t)shoal_slot_deaths_(c) << 4 | ((c >> 24) & 15); }
static uint64_t until(int64_t ns, uint64_t tag) {
  return ((((uint64_t)ns >> TIME_SHIFT) + 1) & TIME_MASK) << TAG_BITS | tag;
}
static int64_t time_of(uint64_t word) { return (int64_t)(((word >> TAG_BITS) & TIME_MASK) << TIME_SHIFT); }

static shoal_atomic64 *until_at(const struct shoal_queue *q, uint64_t at) { return &q->until[at & q->ring.mask]; }
static struct shoal_claim claim_at(const struct shoal_queue *q, uint64_t at) {
  return shoal_mpmc_at(&q->ring, at, q->ring.stride);
}
static uint64_t more(uint64_t c) { return shoal_slot_deaths_(c) < SHOAL_SLOT_DEATHS_MAX_ ? c + SHOAL_SLOT_DEATH_ : c; }

// Before the slot is another's.
static void forget(struct shoal_queue *q, uint64_t at, uint64_t c) {
  if (!q->lease_ns) return;
  uint64_t u = shoal_load64_relaxed(until_at(q, at));
  if ((u & TAG_MASK) == tag_of(c)) shoal_cas64_relaxed(until_at(q, at), &u, 0);
}

// ---- what has run out ----

enum { STILL_HIS, RUN_OUT };

// `*least`: when it runs out, if that is sooner.
static int look_at(struct shoal_queue *q, uint64_t k, uint64_t c, int64_t now, int64_t *least) {
  shoal_atomic64 *word = until_at(q, k);
  uint64_t u = shoal_load64_acquire(word), tag = tag_of(c);  // [L1] pairs with [L2]
  if (!u || (u & TAG_MASK) != tag) {
    shoal_cas64_acq_rel(word, &u, until(now + q->lease_ns, tag));  // [L2]
    return STILL_HIS;
  }
  if (u & TAKEN) return RUN_OUT;
  int64_t end = time_of(u);
  if (end <= now && shoal_cas64_acq_rel(word, &u, TAKEN | tag)) return RUN_OUT;  // [L2]
  if (end < *least) *least = end;
  return STILL_HIS;
}

static int take_back(struct shoal_queue *q, uint32_t me, int64_t now, struct shoal_claim *claim) {
  uint64_t seen = shoal_load64_relaxed(&q->extra->next);
  int64_t least = now + q->lease_ns;  // what is received from here on runs out later
  for (uint64_t k = 0; k <= q->ring.mask; k++) {
    shoal_atomic64 *ctl = claim_at(q, k).ctl;
    uint64_t c = shoal_load64_acquire(ctl);  // [G1] pairs with [P1] and [S3] of ipc/queue/mpmc.h
    if (shoal_slot_state_(c) != SHOAL_SLOT_READING_ || !shoal_slot_owner_(c)) continue;
    if (look_at(q, k, c, now, &least) == STILL_HIS) continue;
    uint64_t mine = (more(c) & ~UINT64_C(0xfff)) | me;
    if (!shoal_cas64_seq_cst(ctl, &c, mine)) continue;  // [G1]; else released, or another's
    shoal_add64_relaxed(&q->extra->expired, 1);
    *claim = claim_at(q, (c >> 24) << q->ring.shift | k);
    return 1;
  }
  shoal_cas64_relaxed(&q->extra->next, &seen, (uint64_t)least);
  return 0;
}

int64_t shoal_queue_due_(struct shoal_queue *q) {
  return q->lease_ns ? (int64_t)shoal_load64_relaxed(&q->extra->next) : INT64_MAX;
}

// ---- the end of a delivery ----

int shoal_queue_run_out_(uint64_t at) {
  return shoal_fail_(-ETIMEDOUT, "position %llu: its lease has run out, or it was given back", (unsigned long long)at);
}
// What the slot says while this delivery lasts.
static uint64_t word_of(const struct shoal_claim *claim, const struct shoal_loan *loan) {
  uint64_t deaths = (uint64_t)(loan->redelivered & SHOAL_SLOT_DEATHS_MAX_) * SHOAL_SLOT_DEATH_;
  return claim->lap | shoal_slot_(SHOAL_SLOT_READING_, loan->role) | deaths;
}

// What `me` holds is about to be left behind: the same delivery, as it is told, will be another's.
void shoal_queue_forget_(struct shoal_queue *q, uint32_t me) {
  for (uint64_t k = 0; q->lease_ns && k <= q->ring.mask; k++) {
    uint64_t c = shoal_load64_relaxed(claim_at(q, k).ctl);
    if (shoal_slot_state_(c) == SHOAL_SLOT_READING_ && shoal_slot_owner_(c) == me) forget(q, k, c);
  }
}
// The slot of this delivery is free. -ETIMEDOUT: another has it.
static int vacate(struct shoal_queue *q, const struct shoal_loan *loan, const struct shoal_claim *claim, uint64_t c) {
  struct shoal_eventcount *ec = q->wait.shm;
  forget(q, loan->token, c);
  if (shoal_eventcount_asleep_(ec, SHOAL_PRODUCER)) shoal_eventcount_bump_(ec, SHOAL_PRODUCER);
  if (!shoal_cas64_seq_cst(claim->ctl, &c, claim->lap + SHOAL_SLOT_LAP_))  // [F1] pairs with [W1] of ipc/queue/mpmc.h
    return shoal_queue_run_out_(loan->token);
  if (shoal_eventcount_asleep_for_room_(ec)) shoal_queue_freed_(q, loan->token);
  if (q->joinable) shoal_queue_done_(q, loan->role);
  return 0;
}
static int release(struct shoal_queue *q, const struct shoal_loan *loan, const struct shoal_claim *claim, uint64_t c) {
  if (!loan->block_) return vacate(q, loan, claim, c);
  // A block's end is what counts, whoever has the slot by then: that one finds it gone. Who was seen late ends nothing:
  // the block may be the next holder's.
  uint64_t now = shoal_load64_acquire(claim->ctl);  // [G1] pairs with [S3] of ipc/queue/mpmc.h
  if (now != c) return shoal_queue_run_out_(loan->token);
  int rc = shoal_message_end_lent_(q, loan);
  SHOAL_COMPILER_BARRIER();  // killed between: it was received, as its block says
  (void)vacate(q, loan, claim, c);
  return rc ? shoal_queue_run_out_(loan->token) : 0;
}
// Received by another whose lease had run out: then it does not come again.
static int is_gone(const struct shoal_queue *q, const struct shoal_loan *loan) {
  struct shoal_block_ref block = {.off = loan->block_, .seq = loan->life_};
  void *data;
  uint64_t usable;
  if (!loan->block_) return 0;
  return shoal_block_at_(q->heap, &block, q->object.entry, q->object.generation, &data, &usable) != 0;
}
static int give_back(struct shoal_queue *q, const struct shoal_loan *loan, const struct shoal_claim *claim, uint64_t c,
                     uint64_t stray) {
  if (is_gone(q, loan)) return (void)vacate(q, loan, claim, c), shoal_queue_run_out_(loan->token);
  shoal_queue_gives_back_(q);
  if (!shoal_cas64_seq_cst(claim->ctl, &c, stray & ~UINT64_C(0xfff)))  // [S3] pairs with [G1]
    return shoal_queue_run_out_(loan->token);
  shoal_mpmc_tell_of_strays_(&q->ring);
  shoal_queue_is_back_(q, loan->token);
  return 0;
}
int shoal_queue_finish_in_ring_(struct shoal_queue *q, const struct shoal_loan *loan, enum shoal_queue_end_ how,
                                uint32_t counts, shoal_deadline deadline) {
  (void)deadline;
  struct shoal_claim claim = claim_at(q, loan->token);
  uint64_t c = word_of(&claim, loan);
  if (how == SHOAL_RELEASE_) return release(q, loan, &claim, c);
  if (!counts) forget(q, loan->token, c);
  return give_back(q, loan, &claim, c, counts ? more(c) : c);
}
int shoal_queue_ended_(struct shoal_queue_op_ *op, enum shoal_queue_end_ how, uint32_t counts) {
  int rc = op->q->ops->finish_leased(op->q, &op->loan, how, counts, op->deadline);
  return rc == -ETIMEDOUT ? 1 : rc == -EBUSY ? -ETIMEDOUT : rc;
}
void shoal_queue_unreceive_(struct shoal_queue_op_ *op) {
  if (op->q->leased) (void)shoal_queue_ended_(op, SHOAL_RETURN_, 0);
  else (void)shoal_queue_finish_(op->q, &op->loan, SHOAL_RETURN_);
}

int shoal_queue_extend_in_ring_(struct shoal_queue *q, const struct shoal_loan *loan) {
  struct shoal_claim claim = claim_at(q, loan->token);
  uint64_t c = word_of(&claim, loan), tag = tag_of(c);
  shoal_atomic64 *word = until_at(q, loan->token);
  uint64_t u = shoal_load64_acquire(word);  // [L1] before the slot: a later holder's word is not taken for ours
  do {
    // [L1] after the word
    if (shoal_load64_acquire(claim.ctl) != c || ((u & TAKEN) && (u & TAG_MASK) == tag))
      return shoal_queue_run_out_(loan->token);
  } while (!shoal_cas64_acq_rel(word, &u, until(shoal_now_ns() + q->lease_ns, tag)));  // [L2]
  return 0;
}

// ---- receiving ----

int shoal_queue_is_still_(struct shoal_queue *q, const struct shoal_loan *loan) {
  return !q->lease_ns || q->ops->extend(q, loan) != -ETIMEDOUT;
}

// The copy first: killed in between, it is there twice, and never lost. -ESTALE: it was not the caller's any more, and
// what was read is the next message's, perhaps; -EINPROGRESS: nobody gets inside to say. Else not 0: there is no room
// for it.
static int copy_to(struct shoal_queue *q, struct shoal_queue *dead, const struct shoal_loan *loan) {
  void *copy = malloc(loan->size ? loan->size : 1);
  if (!copy) return shoal_fail_(-ENOMEM, "private memory");
  memcpy(copy, loan->data, loan->size);
  int rc = q->lease_ns ? q->ops->extend(q, loan) : 0;
  if (!rc && dead->element_size) rc = shoal_queue_put(dead, copy, SHOAL_TRY);
  else if (!rc && dead->kind == SHOAL_QUEUE_PRIORITY)
    rc = shoal_queue_send_key(dead, loan->key, copy, loan->size, SHOAL_TRY);
  else if (!rc) rc = shoal_queue_send(dead, copy, loan->size, SHOAL_TRY);
  else rc = rc == -EBUSY ? -EINPROGRESS : -ESTALE;
  free(copy);
  return rc;
}
static shoal_atomic64 *dropped(const struct shoal_queue *q) {
  return q->kind == SHOAL_QUEUE_MPMC ? &q->ring.shm->dropped : &q->ordered.shm->dropped;
}
int shoal_queue_bury_(struct shoal_queue_op_ *op) {
  struct shoal_queue *q = op->q;
  if (!q->delivery_max || op->loan.redelivered < q->delivery_max) return 0;
  int barred = q->joinable ? 0 : -ETIMEDOUT;
  int rc = q->dead ? copy_to(q, q->dead, &op->loan) : 0;
  if (rc == -EINPROGRESS) return barred;
  if (rc) return rc == -ESTALE;  // SHOAL_DROPPED: not there, either
  rc = shoal_queue_ended_(op, SHOAL_RELEASE_, 1);
  if (!rc) shoal_add64_relaxed(q->dead ? &q->extra->buried : dropped(q), 1);
  return rc == -ETIMEDOUT ? barred : rc < 0 ? rc : 1;
}

static int claim_any(struct shoal_queue *q, uint32_t me, struct shoal_claim *claim) {
  if (q->lease_ns) {
    int64_t now = shoal_now_ns();
    if (now >= shoal_queue_due_(q) && take_back(q, me, now, claim)) return 1;
  }
  return shoal_mpmc_claim_get(&q->ring, me, q->slot_size, claim);
}

// Before a look that takes nothing, or a put that drops the oldest: what has run out is given back first, delivered
// once in vain; so that sees it, and knows when the next one is due. Its holder for this moment: whoever sees it asleep
// watches the role.
int shoal_queue_look_due_(struct shoal_queue *q, uint32_t me) {
  struct shoal_claim claim;
  int64_t now = q->lease_ns ? shoal_now_ns() : 0;
  if (!q->lease_ns || now < shoal_queue_due_(q)) return 0;
  struct shoal_role *role = shoal_role_at_(&q->wait, me);
  uint32_t busy = shoal_load32_relaxed(&role->busy);
  shoal_store32_relaxed(&role->busy, busy + 1);
  while (take_back(q, me, now, &claim)) {
    uint64_t c = shoal_load64_relaxed(claim.ctl);
    if (shoal_slot_state_(c) != SHOAL_SLOT_READING_ || shoal_slot_owner_(c) != me) continue;
    forget(q, claim.at, c);
    shoal_queue_gives_back_(q);
    if (!shoal_cas64_seq_cst(claim.ctl, &c, c & ~UINT64_C(0xfff))) continue;  // [S3] pairs with [G1]
    shoal_mpmc_tell_of_strays_(&q->ring);
    shoal_queue_is_back_(q, claim.at);
  }
  shoal_store32_release(&role->busy, busy);  // [R6] pairs with [A6] in sync/eventcount.c
  return 1;
}

// Of byte messages. -ENOENT, -EPROTO: there is none, and its slot is free; or what was read is another's by now, or the
// next one's.
static int resolve(struct shoal_queue *q, struct shoal_loan *loan, const struct shoal_claim *claim, uint64_t c) {
  int rc = shoal_message_resolve_(q, loan);
  if (rc == -EPROTO) shoal_message_payload_.end(&q->ring, loan->data, claim->ctl, c);
  return rc && vacate(q, loan, claim, c) ? -ENOENT : rc;
}

int shoal_queue_receive_from_ring_(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_queue *q = op->q;
  struct shoal_claim claim;
  while (claim_any(q, op->me, &claim)) {
    uint64_t c = shoal_load64_relaxed(claim.ctl);
    if (shoal_slot_lap_(c) != claim.lap || shoal_slot_state_(c) != SHOAL_SLOT_READING_ ||
        shoal_slot_owner_(c) != op->me)
      continue;  // it took a lease's time to come here: another's, or the next message's
    // Deaths are at their most: what is said of the last delivery, that it has run out perhaps, is not of this one.
    if (shoal_slot_deaths_(c) == SHOAL_SLOT_DEATHS_MAX_) forget(q, claim.at, c);
    op->loan = (struct shoal_loan){.data = shoal_claim_data(&claim, q->slot_size),
                                   .token = claim.at,
                                   .role = op->me,
                                   .redelivered = shoal_slot_deaths_(c),
                                   .size = q->element_size,
                                   .handle_ = (uint32_t)q->wait.id};
    int rc = q->element_size ? 0 : resolve(q, &op->loan, &claim, c);
    if (rc == -ENOENT) continue;  // received
    if (rc) return rc;
    if (shoal_queue_bury_(op)) continue;  // here nobody has to get inside
    if (q->lease_ns)
      shoal_store64_release(until_at(q, claim.at), until(shoal_now_ns() + q->lease_ns, tag_of(c)));  // [L2]
    return 0;
  }
  return -EAGAIN;
}
int shoal_queue_get_leased_(void *arg) {
  struct shoal_queue_op_ *op = arg;
  int rc, ended;
  while (!(rc = op->q->ops->receive_leased(op))) {
    memcpy(op->out, op->loan.data, op->q->element_size);
    ended = shoal_queue_ended_(op, SHOAL_RELEASE_, 1);
    if (ended <= 0) return ended;
  }
  return rc;
}

int shoal_queue_recv_leased_(void *arg) {
  struct shoal_queue_op_ *op = arg;
  int rc, ended;
  op->fits = 1;
  while (!(rc = op->q->ops->receive_leased(op))) {
    op->size = op->loan.size;
    op->key = op->loan.key;
    if (op->size > op->room) return shoal_queue_unreceive_(op), -EMSGSIZE;
    if (op->size) memcpy(op->out, op->loan.data, op->size);
    ended = shoal_queue_ended_(op, SHOAL_RELEASE_, 1);
    if (ended <= 0) return ended;
  }
  return rc;
}

// ---- its words ----

// Of the ring's; the other kinds keep theirs with their cells.
static uint64_t places_of(const struct shoal_queue_options *o) {
  uint64_t n = 2;
  if (o->kind != SHOAL_QUEUE_MPMC || o->grow) return 0;
  while (n < o->capacity) n *= 2;
  return n;
}
uint64_t shoal_queue_extra_size_(const struct shoal_queue_options *o) {
  if (!o->lease_ns && !o->delivery_max) return 0;
  return sizeof(struct shoal_queue_extra_shm) + ((places_of(o) * sizeof(shoal_atomic64) + 63) & ~UINT64_C(63));
}
void shoal_queue_extra_init_(struct shoal_queue_extra_shm *extra, const struct shoal_queue_options *o) {
  extra->lease_ns = o->lease_ns;
  extra->delivery_max = o->delivery_max;
  if (o->dead_letters) memcpy(extra->dead_letters, o->dead_letters, strlen(o->dead_letters));
}
int shoal_queue_extra_attach_(struct shoal_queue *q, uint64_t off, uint64_t size) {
  struct shoal_queue_extra_shm *extra;
  uint64_t places = q->kind == SHOAL_QUEUE_MPMC ? q->ring.mask + 1 : 0;
  uint32_t in_cells = q->kind != SHOAL_QUEUE_MPMC && !q->ordered.leases;
  if (in_cells) return shoal_fail_(-EPROTO, "leases of cells that have no words for them");
  if (off % 64 || off > size || size - off < sizeof *extra + places * sizeof(shoal_atomic64))
    return shoal_fail_(-EPROTO, "the leases lie outside");
  q->extra = extra = (void *)((char *)q->shm + off);
  q->until = places ? (shoal_atomic64 *)(extra + 1) : NULL;
  q->lease_ns = (int64_t)__atomic_load_n(&extra->lease_ns, __ATOMIC_RELAXED);
  q->delivery_max = __atomic_load_n(&extra->delivery_max, __ATOMIC_RELAXED);
  return 0;
}
