// A subscriber of a topic that reads alone. Its hold, in its own seat, is all that publishers look at: of one that is
// waited for, the next position always; of one that is not, the message in its hands.
#include <string.h>

#include "ipc/queue/topic_internal.h"

static int drops(const struct shoal_topic_seat_shm *seat) {
  return shoal_load32_relaxed(&seat->slow) == SHOAL_TOPIC_DROP;
}

// One exchange: a full barrier before the look at wanted [O1], and before the look at who sleeps [C1].
void shoal_topic_hold_(const struct shoal_topic *t, struct shoal_topic_seat_shm *seat, uint64_t hold) {
  shoal_exchange64_seq_cst(&seat->hold, hold);  // [H1] pairs with [H2]: what was read below it has been read
  shoal_topic_passed_(t);
}

// ---- beginning ----

// A publisher looks below `top` only.
static void raise_top(const struct shoal_topic *t, const struct shoal_topic_seat_shm *seat) {
  uint32_t top = shoal_load32_relaxed(&t->shm->top), needed = (uint32_t)(seat - t->seats) + 1;
  while (top < needed && !shoal_cas32_seq_cst(&t->shm->top, &top, needed)) continue;  // [O1] pairs with [O2]
}

// Holds on to the oldest message that nobody wants to overwrite: from here on all that lies above stays.
static uint64_t hold_oldest(const struct shoal_topic *t, struct shoal_topic_seat_shm *seat) {
  uint64_t from, oldest = shoal_topic_oldest_(t);
  do {
    from = oldest;
    shoal_exchange64_seq_cst(&seat->hold, from + 1);  // [O1] pairs with [O2]
    oldest = shoal_topic_oldest_(t);
  } while (oldest > from);
  return from;
}

static int is_hole(const struct shoal_topic *t, uint64_t at) {
  struct shoal_claim claim = shoal_topic_at_(t, at);
  return shoal_load64_relaxed(claim.ctl) == (claim.lap | shoal_slot_(SHOAL_TOPIC_HOLE_, 0));
}

uint64_t shoal_topic_start_(const struct shoal_topic *t, struct shoal_topic_seat_shm *seat, uint32_t history) {
  raise_top(t, seat);
  uint64_t from = hold_oldest(t, seat), at = shoal_topic_tail_(t);
  uint64_t steps = 0;
  for (uint32_t n = 0; n < history && at > from && !shoal_topic_lost_(t, steps++); n += !is_hole(t, at)) at--;
  shoal_topic_hold_(t, seat, at + 1);
  return at;
}

int shoal_topic_subscribe_(struct shoal_topic *t, uint32_t me, const struct shoal_topic_subscription *how) {
  struct shoal_topic_seat_shm *seat = shoal_topic_seat_(t, me);
  shoal_store64_relaxed(&seat->missed, 0);
  shoal_store64_relaxed(&seat->hand, 0);
  shoal_store32_relaxed(&seat->slow, how->slow);
  if (how->group) return shoal_topic_group_join_(t, me, how);
  shoal_store64_relaxed(&seat->cursor, shoal_topic_start_(t, seat, how->history));
  if (how->slow == SHOAL_TOPIC_DROP) shoal_topic_hold_(t, seat, 0);
  return 0;
}

// By its owner, or its only heir. Its caller rings.
int shoal_topic_unsubscribe_(struct shoal_topic *t, uint32_t me, int died, shoal_deadline deadline) {
  struct shoal_topic_seat_shm *seat = shoal_topic_seat_(t, me);
  uint32_t g = shoal_topic_group_of_(t, seat);
  int rc = g ? shoal_topic_group_leave_(t, me, g - 1, died, deadline) : 0;
  if (rc) return rc;
  shoal_exchange64_seq_cst(&seat->hold, 0);  // [H1]
  return 0;
}

// ---- reading ----

static void move(const struct shoal_topic *t, struct shoal_topic_seat_shm *seat, uint64_t to) {
  shoal_store64_relaxed(&seat->cursor, to);
  if (!drops(seat)) shoal_topic_hold_(t, seat, to + 1);
}

uint64_t shoal_topic_missed_(const struct shoal_topic *t, uint64_t at, int64_t ahead) {
  uint64_t oldest = shoal_topic_oldest_(t), n = 1;
  if (oldest > at) n = oldest - at;
  else if (ahead > 0) n = (uint64_t)ahead << t->shift;  // nobody has wanted what is gone: it is damaged
  // after oldest: who wanted that stood at the tail, and asked for less than a ring more
  int64_t claimed = (int64_t)(shoal_topic_tail_(t) - at);
  return claimed > 0 && n <= (uint64_t)claimed ? n : 0;
}

// 0: see shoal_topic_missed_.
static int miss(const struct shoal_topic *t, struct shoal_topic_seat_shm *seat, uint64_t at, int64_t ahead) {
  uint64_t n = shoal_topic_missed_(t, at, ahead);
  if (!n) return 0;
  shoal_add64_relaxed(&seat->missed, n);
  shoal_add64_relaxed(&t->shm->missed, n);
  move(t, seat, at + n);
  return 1;
}

// Nobody waits for it: it holds on for the time of the reading, unless it comes too late.
static int pin(const struct shoal_topic *t, struct shoal_topic_seat_shm *seat, uint64_t at) {
  shoal_exchange64_seq_cst(&seat->hold, at + 1);  // [O1] pairs with [O2]
  if (shoal_topic_oldest_(t) <= at) return 1;
  shoal_topic_hold_(t, seat, 0);
  return 0;
}

static int next_alone(struct shoal_topic_op_ *op, struct shoal_topic_seat_shm *seat) {
  const struct shoal_topic *t = op->t;
  for (uint64_t steps = 0; !shoal_topic_lost_(t, steps); steps++) {
    uint64_t at = shoal_load64_relaxed(&seat->cursor);
    op->claim = shoal_topic_at_(t, at);
    uint64_t c = shoal_load64_seq_cst(op->claim.ctl);  // [A1]'s second half; [G1] pairs with [P1]: the payload is there
    int64_t ahead = shoal_slot_ahead_(c, op->claim.lap);
    uint32_t state = shoal_slot_state_(c);
    if (ahead < 0) return -EAGAIN;
    if (ahead == 0 && state == SHOAL_TOPIC_WRITING_) {
      if (!shoal_role_is_dead(&t->wait, shoal_slot_owner_(c))) return -EAGAIN;
      shoal_topic_skip_(t, &op->claim, c);
    } else if (ahead == 0 && state != SHOAL_TOPIC_FULL_) {
      move(t, seat, at + 1);
    } else if (ahead > 0 || (drops(seat) && (op->look ? shoal_topic_oldest_(t) > at : !pin(t, seat, at)))) {
      if (!miss(t, seat, at, ahead)) return -EAGAIN;
    } else if (op->look) {
      return 0;
    } else {
      shoal_store64_relaxed(&seat->hand, at + 1);
      return 0;
    }
  }
  return -EAGAIN;
}

int shoal_topic_next_(struct shoal_topic_op_ *op) {
  struct shoal_topic_seat_shm *seat = shoal_topic_seat_(op->t, op->me);
  uint32_t g = shoal_topic_group_of_(op->t, seat);
  if (SHOAL_UNLIKELY(shoal_load64_relaxed(&seat->hand))) return -EBUSY;
  return g ? shoal_topic_group_next_(op, g - 1) : next_alone(op, seat);
}

int shoal_topic_in_hand_(const struct shoal_topic *t, uint32_t me, uint64_t at) {
  const struct shoal_topic_seat_shm *seat = shoal_topic_seat_(t, me);
  uint32_t g = shoal_topic_group_of_(t, seat);
  if (at == UINT64_MAX || shoal_load64_relaxed(&seat->hand) != at + 1) return 0;
  return !g || shoal_topic_group_in_hand_(t, g - 1, me, shoal_load32_relaxed(&seat->entry), at);
}

void shoal_topic_end_(struct shoal_topic *t, uint32_t me, uint64_t at, int again) {
  struct shoal_topic_seat_shm *seat = shoal_topic_seat_(t, me);
  uint32_t g = shoal_topic_group_of_(t, seat);
  shoal_store64_relaxed(&seat->hand, 0);
  if (g) {
    shoal_topic_group_end_(t, g - 1, shoal_load32_relaxed(&seat->entry), again);
  } else {
    if (!again) shoal_store64_relaxed(&seat->cursor, at + 1);
    if (drops(seat)) shoal_topic_hold_(t, seat, 0);
    else if (!again) shoal_topic_hold_(t, seat, at + 2);
  }
}

// ---- what a sleeper looks at ----

uint32_t shoal_topic_blocker_at_(const struct shoal_topic *t, uint64_t at) {
  struct shoal_claim claim = shoal_topic_at_(t, at);
  uint64_t c = shoal_load64_seq_cst(claim.ctl);  // [A1]'s second half
  int64_t ahead = shoal_slot_ahead_(c, claim.lap);
  if (ahead < 0) return 0;
  return ahead == 0 && shoal_slot_state_(c) == SHOAL_TOPIC_WRITING_ ? shoal_slot_owner_(c) : SHOAL_BLOCKER_NONE;
}

uint32_t shoal_topic_blocker_of_get_(const struct shoal_topic *t, uint32_t me) {
  const struct shoal_topic_seat_shm *seat = shoal_topic_seat_(t, me);
  uint32_t g = shoal_topic_group_of_(t, seat);
  return g ? shoal_topic_group_blocker_(t, g - 1) : shoal_topic_blocker_at_(t, shoal_load64_relaxed(&seat->cursor));
}
