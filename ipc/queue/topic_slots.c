// The publishers' side of a topic: claiming a slot, publishing it, and whom a slot's reuse must wait for.
//
//   publisher  wanted = W [O2] - looks at every seat and group - limit = the least they say, at most W - claims below
//   it reader     hold = p [O1]   - looks at wanted               - too late if p is wanted already, else reads p
// Of the two one sees the other. What a limit was granted on stays true: who holds on later has seen the W it was
// granted within.
#include <limits.h>
#include <string.h>

#include "core/count_internal.h"
#include "ipc/queue/topic_internal.h"

static int ahead_of(const struct shoal_claim *claim, uint64_t c, int64_t *ahead) {
  *ahead = shoal_slot_ahead_(c, claim->lap);
  return *ahead >= 0;
}
// The position after the last that is known to be claimed, `at` having been claimed, in this slot, `ahead` laps later.
static uint64_t past(const struct shoal_topic *t, uint64_t at, int64_t ahead) {
  return at + ((uint64_t)ahead << t->shift) + 1;
}

uint64_t shoal_topic_tail_(const struct shoal_topic *t) {
  uint64_t steps = 0;
  for (uint64_t at = shoal_load64_relaxed(&t->shm->tail);;) {
    struct shoal_claim claim = shoal_topic_at_(t, at);
    int64_t ahead;
    // [A1]'s second half, sync/eventcount.h
    if (!ahead_of(&claim, shoal_load64_seq_cst(claim.ctl), &ahead) || shoal_topic_lost_(t, steps++)) return at;
    at = past(t, at, ahead);
  }
}

// ---- who may be overwritten ----

// At most `all`. Seats before groups: who begins a group holds on by its seat until the group does.
static struct shoal_topic_least_ least_of(const struct shoal_topic *t, uint64_t all) {
  struct shoal_topic_least_ least = {all, 0};
  for (uint32_t i = 0, top = shoal_topic_top_(t); i < top; i++) {
    uint64_t hold = shoal_load64_seq_cst(&t->seats[i].hold);  // [O2]'s second half; [H2] pairs with [H1]
    if (hold) shoal_topic_consider_(&least, hold - 1, shoal_topic_role_(t, i));
  }
  for (uint32_t g = 0; g < t->groups; g++) shoal_topic_group_least_(t, g, &least);
  return least;
}

// 1 if position `at` may be claimed now.
static int make_room(const struct shoal_topic *t, uint64_t at) {
  uint64_t capacity = shoal_topic_capacity_(t), want = at + t->ahead;
  uint64_t wanted = shoal_load64_seq_cst(&t->shm->wanted);                                 // [O2]
  while (wanted < want && !shoal_cas64_seq_cst(&t->shm->wanted, &wanted, want)) continue;  // [O2] pairs with [O1]
  uint64_t granted = least_of(t, want - capacity).at + capacity;
  uint64_t limit = shoal_load64_acquire(&t->shm->limit);  // [L2]
  // [L1] pairs with [L2]: who claims below it, too, comes after those who read there
  while (limit < granted && !shoal_cas64_acq_rel(&t->shm->limit, &limit, granted)) continue;
  return at < (limit > granted ? limit : granted);
}

// ---- claiming ----

// Only a claim of a dead role: it is in its lap only once, so this one is the dead role's for as long as the word is
// the same.
void shoal_topic_skip_(const struct shoal_topic *t, const struct shoal_claim *claim, uint64_t c) {
  if (shoal_cas64_seq_cst(claim->ctl, &c, shoal_slot_lap_(c) | shoal_slot_(SHOAL_TOPIC_HOLE_, 0))) {  // [P1]
    shoal_add64_relaxed(&t->shm->holes, 1);
    shoal_note_skip_(claim->ctl);
  }
}

// Publishes are ordered by it.
static int take(const struct shoal_claim *claim, uint64_t c, uint32_t me) {
  // [C1] of sync/eventcount.h
  return shoal_cas64_seq_cst(claim->ctl, &c, claim->lap | shoal_slot_(SHOAL_TOPIC_WRITING_, me));
}

// Asks, once a line, for the one that will be claimed eight lines later, if all who are waited for have left it: it
// lies with whoever read there last.
static void look_ahead(const struct shoal_topic *t, uint64_t at) {
  uint32_t each = t->stride < SHOAL_CACHE_LINE ? SHOAL_CACHE_LINE / t->stride : 1;  // messages a line
  uint64_t need = at + UINT64_C(8) * each;
  if (at % each || need >= shoal_load64_relaxed(&t->shm->limit)) return;
  shoal_prefetch_write(t->slots + (need & t->mask) * t->stride);
}

// 0, -EAGAIN
static int claim_slot(const struct shoal_topic *t, uint32_t me, struct shoal_claim *claim) {
  uint64_t steps = 0;
  for (uint64_t at = shoal_load64_relaxed(&t->shm->tail); !shoal_topic_lost_(t, steps++);) {
    *claim = shoal_topic_at_(t, at);
    uint64_t c = shoal_load64_seq_cst(claim->ctl);  // [A1]'s second half
    int64_t ahead;
    if (ahead_of(claim, c, &ahead)) {
      at = past(t, at, ahead);
    } else if (shoal_slot_state_(c) == SHOAL_TOPIC_WRITING_) {  // since the last lap
      if (!shoal_role_is_dead(&t->wait, shoal_slot_owner_(c))) return -EAGAIN;
      shoal_topic_skip_(t, claim, c);
    } else if (at >= shoal_load64_acquire(&t->shm->limit) && !make_room(t, at)) {  // [L2] pairs with [L1]
      if (shoal_topic_tail_(t) == at) return -EAGAIN;
      at = shoal_topic_tail_(t);
    } else if (take(claim, c, me)) {
      shoal_mpmc_hint_(&t->shm->tail, at + 1);
      look_ahead(t, at);
      return 0;
    }
  }
  return -EAGAIN;
}

// After a claim: somebody sleeps, or it is closed. The bumps have sleepers that are not queued yet look again if we
// die.
static int claimed(const struct shoal_topic *t, const struct shoal_claim *claim) {
  struct shoal_eventcount *ec = t->wait.shm;
  if (shoal_eventcount_closed(ec)) {
    shoal_store64_release(claim->ctl, claim->lap | shoal_slot_(SHOAL_TOPIC_HOLE_, 0));  // [P1]
    shoal_eventcount_ring(ec);
    return -EPIPE;
  }
  for (int side = 0; side < 2; side++)
    if (shoal_eventcount_asleep_(ec, side)) shoal_eventcount_bump_(ec, side);
  return 0;
}

static int any_asleep(const struct shoal_eventcount *ec) {
  return shoal_eventcount_asleep_(ec, SHOAL_CONSUMER) | shoal_eventcount_asleep_(ec, SHOAL_PRODUCER);
}

int shoal_topic_claim_(struct shoal_topic_op_ *op) {
  int rc = claim_slot(op->t, op->me, &op->claim);
  if (rc) return rc;
  const struct shoal_eventcount *ec = op->t->wait.shm;
  if (SHOAL_UNLIKELY(any_asleep(ec) | shoal_eventcount_closed(ec))) return claimed(op->t, &op->claim);
  return 0;
}

// ---- publishing ----

// A publisher has come round and waits for this slot: the one before it has been claimed in the next lap.
static int has_come_round(const struct shoal_topic *t, uint64_t at) {
  struct shoal_claim before = shoal_topic_at_(t, at + t->mask);
  int64_t ahead;
  return ahead_of(&before, shoal_load64_seq_cst(before.ctl), &ahead);  // [C1] pairs with [A1]
}

static void tell(const struct shoal_topic *t, uint64_t at) {
  struct shoal_eventcount *ec = t->wait.shm;
  if (shoal_eventcount_asleep_(ec, SHOAL_CONSUMER)) shoal_eventcount_wake_(ec, SHOAL_CONSUMER, INT_MAX);
  if (shoal_eventcount_asleep_(ec, SHOAL_PRODUCER) && has_come_round(t, at))
    shoal_eventcount_wake_(ec, SHOAL_PRODUCER, INT_MAX);
}

void shoal_topic_finish_(const struct shoal_topic *t, const struct shoal_claim *claim, uint32_t state) {
  uint64_t c = claim->lap | shoal_slot_(state, 0);
  if (SHOAL_UNLIKELY(t->wait.flags & SHOAL_EC_EXCHANGE)) shoal_exchange64_seq_cst(claim->ctl, c);  // [P1] and a barrier
  else shoal_store64_release(claim->ctl, c);  // [P1] pairs with [G1]
  SHOAL_COMPILER_BARRIER();                   // the load of ev stays behind it
  if (SHOAL_UNLIKELY(any_asleep(t->wait.shm))) tell(t, claim->at);
}

void shoal_topic_recover_publisher_(const struct shoal_topic *t, uint32_t role) {
  for (uint64_t k = 0; k <= t->mask; k++) {
    struct shoal_claim claim = shoal_topic_at_(t, k);
    uint64_t c = shoal_load64_relaxed(claim.ctl);
    if (shoal_slot_owner_(c) == role && shoal_slot_state_(c) == SHOAL_TOPIC_WRITING_) shoal_topic_skip_(t, &claim, c);
  }
}

// ---- waiting for room ----

static uint64_t places(const struct shoal_topic *t, uint64_t tail) {
  uint64_t capacity = shoal_topic_capacity_(t), end = least_of(t, tail).at + capacity;
  return end > tail ? end - tail : 0;
}

// The last of those who were in the way sees, in the order of their exchanges, that the others have passed: it wakes.
void shoal_topic_passed_(const struct shoal_topic *t) {
  struct shoal_eventcount *ec = t->wait.shm;
  if (SHOAL_LIKELY(!shoal_eventcount_asleep_for_room_(ec))) return;
  if (shoal_eventcount_asleep_(ec, SHOAL_PRODUCER)) {
    uint64_t n = places(t, shoal_topic_tail_(t));
    if (n) shoal_eventcount_wake_(ec, SHOAL_PRODUCER, n < INT_MAX ? (int)n : INT_MAX);
  }
  // [C1] pairs with [A1]: claims of others were waited for
  if (shoal_load32_seq_cst(&ec->ev[SHOAL_CONSUMER]) & SHOAL_EV_E_) shoal_eventcount_wake_(ec, SHOAL_CONSUMER, INT_MAX);
}

uint32_t shoal_topic_blocker_of_publish_(const struct shoal_topic *t) {
  uint64_t at = shoal_topic_tail_(t), capacity = shoal_topic_capacity_(t);
  struct shoal_claim claim = shoal_topic_at_(t, at);
  uint64_t c = shoal_load64_seq_cst(claim.ctl);  // [A1]'s second half
  if (shoal_slot_ahead_(c, claim.lap) >= 0) return SHOAL_BLOCKER_NONE;
  if (shoal_slot_state_(c) == SHOAL_TOPIC_WRITING_) return shoal_slot_owner_(c);
  struct shoal_topic_least_ least = least_of(t, at);
  return at < least.at + capacity ? SHOAL_BLOCKER_NONE : least.role;
}
