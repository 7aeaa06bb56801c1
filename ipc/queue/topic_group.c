// A group of a topic: each message goes to one of its members.
//
// A member claims in two steps, so that its death at any instruction tells whether the message was its own:
//   an entry says what it tries:  claims[i] = position, TRIES, me        publishers leave the position alone from here
//   on the cursor says who had it:   cursor = position + 1, i, me           by compare-and-set: only one had
// Who moves the cursor next first turns the last one's TRIES into HELD. So an entry that TRIES had its position if the
// cursor still names it, and if it does not, never; it would be HELD, or free again.
//   HELD --released--> 0;   HELD, its holder died or returned it --> STRAY --taken--> HELD, another's
// Positions are kept modulo 2^40 here, and extended by the topic's limit, which is less than a ring and a bit away.
#include <limits.h>
#include <string.h>

#include "core/count_internal.h"
#include "core/error.h"
#include "ipc/queue/topic_internal.h"

#define POSITION SHOAL_SLOT_LAP_  // one position, above 24 bits of state, deaths and owner, or of entry and owner
#define POSITIONS (UINT64_C(1) << 40)

static uint64_t low(uint64_t at) { return at * POSITION; }
static uint64_t extended(const struct shoal_topic *t, uint64_t word) {
  uint64_t near = shoal_load64_relaxed(&t->shm->limit);
  return near + (uint64_t)((int64_t)(low(word >> 24) - low(near)) >> 24);
}
static uint32_t entry_of(uint64_t cursor) { return (uint32_t)(cursor >> 12) & 0xfff; }
static uint64_t cursor_of(uint64_t at, uint32_t entry, uint32_t owner) {
  return low(at) | (uint64_t)entry << 12 | owner;
}
static int is_at(uint64_t word, uint64_t at) { return word >> 24 == at % POSITIONS; }

static shoal_atomic64 *claim_of(const struct shoal_topic *t, uint32_t g, uint32_t entry) {
  return &t->claims[(uint64_t)g * t->claims_stride + entry];
}
static int drops(const struct shoal_topic *t, uint32_t g) {
  return shoal_load32_relaxed(&t->group[g].slow) == SHOAL_TOPIC_DROP;
}

// ---- what publishers see ----

// The cursor before the claims: what leaves it has been entered there.
void shoal_topic_group_least_(const struct shoal_topic *t, uint32_t g, struct shoal_topic_least_ *least) {
  const struct shoal_topic_group_shm *group = &t->group[g];
  if (!shoal_load32_seq_cst(&group->live)) return;                         // [O2]'s second half
  uint64_t cursor = shoal_load64_seq_cst(&group->cursor);                  // [O2]'s second half; [C3] pairs with [C4]
  if (!drops(t, g)) shoal_topic_consider_(least, extended(t, cursor), 0);  // its members are watched
  for (uint32_t i = 0, top = shoal_topic_top_(t); i < top; i++) {
    uint64_t c = shoal_load64_seq_cst(claim_of(t, g, i));  // [O2]'s second half; [H2] pairs with [H1]
    if (shoal_slot_state_(c)) shoal_topic_consider_(least, extended(t, c), shoal_slot_owner_(c));
  }
}

uint64_t shoal_topic_group_cursor_(const struct shoal_topic *t, uint32_t g) {
  return extended(t, shoal_load64_seq_cst(&t->group[g].cursor));  // [A1]'s second half
}

// ---- claiming ----

// The last to move the cursor: what it tried is its own from now on, whatever becomes of it.
static void confirm(const struct shoal_topic *t, uint32_t g, uint64_t cursor) {
  uint32_t owner = (uint32_t)cursor & 0xfff, entry = entry_of(cursor);
  if (!owner || entry >= t->wait.count[SHOAL_CONSUMER]) return;
  uint64_t tried = low((cursor >> 24) - 1) | shoal_slot_(SHOAL_TOPIC_TRIES_, owner);
  uint64_t its = low((cursor >> 24) - 1) | shoal_slot_(SHOAL_TOPIC_HELD_, owner);
  shoal_cas64_seq_cst(claim_of(t, g, entry), &tried, its);  // [C3] pairs with [C4]
}

static void let_go(const struct shoal_topic *t, uint32_t g, uint32_t entry) {
  shoal_exchange64_seq_cst(claim_of(t, g, entry), 0);  // [H1] pairs with [H2], [C1]
  shoal_topic_passed_(t);
}

// A free entry; the number of seats: none is, so there are strays.
static uint32_t enter(const struct shoal_topic *t, uint32_t g, uint32_t me, uint64_t at) {
  uint32_t top = shoal_topic_top_(t), own = me - shoal_topic_role_(t, 0), n = top > own ? top : own + 1;
  for (uint32_t k = 0; k < n; k++) {
    uint32_t i = (own + k) % n;
    uint64_t none = 0;
    if (shoal_load64_relaxed(claim_of(t, g, i))) continue;
    // [O1] pairs with [O2]
    if (shoal_cas64_seq_cst(claim_of(t, g, i), &none, low(at) | shoal_slot_(SHOAL_TOPIC_TRIES_, me))) return i;
  }
  return t->wait.count[SHOAL_CONSUMER];
}

// 1: the cursor has moved from `*cursor`; else *cursor is what it is now.
static int advance(const struct shoal_topic *t, uint32_t g, uint64_t *cursor, uint64_t to) {
  confirm(t, g, *cursor);
  return shoal_cas64_seq_cst(&t->group[g].cursor, cursor, to);  // [C4] pairs with [C3]
}

static void take(struct shoal_topic_op_ *op, uint32_t entry, uint64_t at, uint32_t deaths) {
  struct shoal_topic_seat_shm *seat = shoal_topic_seat_(op->t, op->me);
  op->claim = shoal_topic_at_(op->t, at);
  op->deaths = deaths;
  shoal_store32_relaxed(&seat->entry, entry);
  shoal_store64_relaxed(&seat->hand, at + 1);
}

// As shoal_mpmc_claim_stray_.
static int take_stray(struct shoal_topic_op_ *op, uint32_t g) {
  const struct shoal_topic *t = op->t;
  uint64_t seen = shoal_load64_seq_cst(&t->group[g].strays);  // [S2] pairs with [S1]
  if (!(seen & SHOAL_STRAYS_)) return 0;
  for (uint32_t i = 0; i < t->wait.count[SHOAL_CONSUMER]; i++) {
    shoal_atomic64 *claim = claim_of(t, g, i);
    uint64_t c = shoal_load64_relaxed(claim);
    uint64_t mine =
        low(c >> 24) | (c & (SHOAL_SLOT_DEATHS_MAX_ * SHOAL_SLOT_DEATH_)) | shoal_slot_(SHOAL_TOPIC_HELD_, op->me);
    if (shoal_slot_state_(c) != SHOAL_TOPIC_STRAY_) continue;
    if (op->look) return 1;
    if (!shoal_cas64_seq_cst(claim, &c, mine)) continue;  // [S4] pairs with [S3]
    take(op, i, extended(t, c), shoal_slot_deaths_(c));
    return 1;
  }
  shoal_cas64_relaxed(&t->group[g].strays, &seen, seen & ~(uint64_t)SHOAL_STRAYS_);  // nobody has told of one since
  return 0;
}

static void tell_of_strays(const struct shoal_topic *t, uint32_t g) {
  uint64_t old = shoal_load64_relaxed(&t->group[g].strays);
  while (!shoal_cas64_seq_cst(&t->group[g].strays, &old, (old + 2) | SHOAL_STRAYS_)) continue;  // [S1] pairs with [S2]
}

// The message at `cursor` is there: 0, it is ours; -EAGAIN, it may be another's; -EBUSY, no entry is free, so there
// are strays.
static int try_claim(struct shoal_topic_op_ *op, uint32_t g, uint64_t cursor, uint64_t at) {
  const struct shoal_topic *t = op->t;
  uint32_t entry = enter(t, g, op->me, at);
  if (entry == t->wait.count[SHOAL_CONSUMER]) {
    tell_of_strays(t, g);
    return -EBUSY;
  }
  int in_time = !drops(t, g) || shoal_topic_oldest_(t) <= at;
  if (in_time && advance(t, g, &cursor, cursor_of(at + 1, entry, op->me))) {
    take(op, entry, at, 0);
    return 0;
  }
  let_go(t, g, entry);
  return -EAGAIN;
}

// 0: see shoal_topic_missed_; or the cursor has too few bits for it.
static int miss(const struct shoal_topic *t, uint32_t g, uint64_t cursor, uint64_t at, int64_t ahead) {
  uint64_t n = shoal_topic_missed_(t, at, ahead);
  if (!n || n >= POSITIONS / 2) return 0;
  if (!advance(t, g, &cursor, cursor_of(at + n, 0, 0))) return 1;
  shoal_add64_relaxed(&t->group[g].missed, n);
  shoal_add64_relaxed(&t->shm->missed, n);
  shoal_topic_passed_(t);
  return 1;
}

#define TRIES_MAX 1000u  // without a free entry, or a stray: somebody has damaged them

int shoal_topic_group_next_(struct shoal_topic_op_ *op, uint32_t g) {
  const struct shoal_topic *t = op->t;
  uint64_t steps = 0;
  for (uint32_t tries = 0; tries < TRIES_MAX && !shoal_topic_lost_(t, steps++);) {
    if (take_stray(op, g)) return 0;
    uint64_t cursor = shoal_load64_seq_cst(&t->group[g].cursor), at = extended(t, cursor);  // [A1]'s second half; [C3]
    struct shoal_claim claim = shoal_topic_at_(t, at);
    uint64_t c = shoal_load64_seq_cst(claim.ctl);  // [A1]'s second half; [G1] pairs with [P1]
    int64_t ahead = shoal_slot_ahead_(c, claim.lap);
    uint32_t state = shoal_slot_state_(c);
    if (ahead < 0) return -EAGAIN;
    if (ahead > 0 || (drops(t, g) && shoal_topic_oldest_(t) > at)) {
      if (!miss(t, g, cursor, at, ahead)) return -EAGAIN;
    } else if (state == SHOAL_TOPIC_WRITING_) {
      if (!shoal_role_is_dead(&t->wait, shoal_slot_owner_(c))) return -EAGAIN;
      shoal_topic_skip_(t, &claim, c);
    } else if (state != SHOAL_TOPIC_FULL_) {
      if (advance(t, g, &cursor, cursor_of(at + 1, 0, 0))) shoal_topic_passed_(t);
    } else if (op->look) {
      return 0;
    } else {
      int rc = try_claim(op, g, cursor, at);
      if (!rc) return 0;
      tries += rc == -EBUSY;
    }
  }
  return -EAGAIN;
}

// ---- what a member holds ----

int shoal_topic_group_in_hand_(const struct shoal_topic *t, uint32_t g, uint32_t me, uint32_t entry, uint64_t at) {
  if (entry >= t->wait.count[SHOAL_CONSUMER]) return 0;
  uint64_t c = shoal_load64_relaxed(claim_of(t, g, entry));
  uint32_t state = shoal_slot_state_(c);
  return is_at(c, at) && shoal_slot_owner_(c) == me && (state == SHOAL_TOPIC_TRIES_ || state == SHOAL_TOPIC_HELD_);
}

// `c` was in the entry and is its owner's. 0: it has changed.
static int stray(const struct shoal_topic *t, uint32_t g, uint32_t entry, uint64_t c, int died) {
  uint64_t deaths = shoal_slot_deaths_(c);
  if (died && deaths < SHOAL_SLOT_DEATHS_MAX_) deaths++;
  uint64_t left = low(c >> 24) | shoal_slot_(SHOAL_TOPIC_STRAY_, 0) | deaths * SHOAL_SLOT_DEATH_;
  return shoal_cas64_seq_cst(claim_of(t, g, entry), &c, left);  // [S3] pairs with [S4]: its holder has read it
}

void shoal_topic_group_end_(const struct shoal_topic *t, uint32_t g, uint32_t entry, int again) {
  if (entry >= t->wait.count[SHOAL_CONSUMER]) return;
  if (!again) {
    let_go(t, g, entry);
    return;
  }
  while (!stray(t, g, entry, shoal_load64_relaxed(claim_of(t, g, entry)), 0)) continue;  // confirmed meanwhile
  tell_of_strays(t, g);
  shoal_eventcount_wake_(t->wait.shm, SHOAL_CONSUMER, INT_MAX);
}

int shoal_topic_group_held_(const struct shoal_topic *t, uint32_t g, uint32_t me) {
  int held = 0;
  for (uint32_t i = 0; i < t->wait.count[SHOAL_CONSUMER]; i++) {
    uint64_t c = shoal_load64_seq_cst(claim_of(t, g, i));  // [A1]'s second half, for E
    if (!shoal_slot_state_(c)) continue;
    if (shoal_slot_owner_(c) == me) return 0;
    held = 1;
  }
  return held;
}

uint32_t shoal_topic_group_blocker_(const struct shoal_topic *t, uint32_t g) {
  if (shoal_load64_seq_cst(&t->group[g].strays) & SHOAL_STRAYS_) return SHOAL_BLOCKER_NONE;  // [S2]
  return shoal_topic_blocker_at_(t, shoal_topic_group_cursor_(t, g));
}

// ---- joining and leaving, one at a time ----

// Whoever has the lock has a role, or looks after one: its live word has the same thread.
static int has_role(const struct shoal_topic *t, uint32_t tid) {
  for (uint32_t r = 1; r <= t->wait.count[SHOAL_PRODUCER] + t->wait.count[SHOAL_CONSUMER]; r++)
    if (shoal_robust_owner(shoal_load32_relaxed(&shoal_role_at_(&t->wait, r)->live.word)) == tid) return 1;
  return 0;
}
static void doubt_owner(const struct shoal_topic *t) {
  uint32_t word = shoal_load32_relaxed(&t->shm->lock.word), tid = shoal_robust_owner(word);
  if (!tid || has_role(t, tid)) return;
  shoal_cas32_relaxed(&t->shm->lock.word, &word, (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED);  // a stranger's: damage
}
#define DOUBT_MS 100  // it is held for microseconds, or its owner is stopped

// A second at most: those who wait for something else besides look at that again.
static int lock(const struct shoal_topic *t, shoal_deadline deadline) {
  shoal_deadline end = shoal_after_ns(SHOAL_RECHECK_NS);
  if (!shoal_deadline_is_try(deadline) && deadline.ns < end.ns) end = deadline;
  do {
    shoal_deadline doubt = shoal_after_ms(DOUBT_MS);
    // -EOWNERDEAD: what the dead one left is in order at every instruction
    if (shoal_robust_acquire_(&t->shm->lock, doubt.ns < end.ns ? doubt : end) != -ETIMEDOUT) return 0;
    doubt_owner(t);
  } while (!shoal_deadline_passed(end));
  return shoal_fail_(-ETIMEDOUT, "somebody stands in a change of groups, or its lock is damaged");
}
static void unlock(const struct shoal_topic *t) { shoal_robust_release_(&t->shm->lock); }

struct name {
  uint64_t words[(SHOAL_TOPIC_GROUP_NAME_MAX + 1) / 8];
};
static struct name name_of(const struct shoal_topic *t, uint32_t g) {
  struct name name;
  for (unsigned i = 0; i < 4; i++) name.words[i] = shoal_load64_relaxed(&t->group[g].name[i]);
  return name;
}

// A seat other than `but` says that it is in the group.
static int has_members(const struct shoal_topic *t, uint32_t g, const struct shoal_topic_seat_shm *but) {
  for (uint32_t i = 0; i < t->wait.count[SHOAL_CONSUMER]; i++)
    if (&t->seats[i] != but && shoal_load32_relaxed(&t->seats[i].group) == g + 1) return 1;
  return 0;
}

// Which group goes by that name, or the first that is nobody's; t->groups: none.
static uint32_t find(const struct shoal_topic *t, const struct name *name, const struct shoal_topic_seat_shm *seat) {
  uint32_t unused = t->groups;
  for (uint32_t g = 0; g < t->groups; g++) {
    struct name its = name_of(t, g);
    if (shoal_load32_relaxed(&t->group[g].live) && !memcmp(&its, name, sizeof its)) return g;
    if (unused == t->groups && !shoal_load32_relaxed(&t->group[g].live) && !has_members(t, g, seat)) unused = g;
  }
  return unused;
}

// It is seen when all of it is in order; until then the seat holds on to the messages.
static void begin(struct shoal_topic *t, uint32_t g, struct shoal_topic_seat_shm *seat, const struct name *name,
                  const struct shoal_topic_subscription *how) {
  struct shoal_topic_group_shm *group = &t->group[g];
  for (uint32_t i = 0; i < t->wait.count[SHOAL_CONSUMER]; i++) shoal_store64_relaxed(claim_of(t, g, i), 0);
  for (unsigned i = 0; i < 4; i++) shoal_store64_relaxed(&group->name[i], name->words[i]);
  shoal_store64_relaxed(&group->missed, 0);
  shoal_store32_relaxed(&group->slow, how->slow);
  shoal_store64_relaxed(&group->cursor, cursor_of(shoal_topic_start_(t, seat, how->history), 0, 0));
  shoal_store32_seq_cst(&group->live, 1);  // [O1] pairs with [O2]
}

static int join(struct shoal_topic *t, struct shoal_topic_seat_shm *seat, const struct name *name,
                const struct shoal_topic_subscription *how) {
  uint32_t g = find(t, name, seat);
  if (g == t->groups) return shoal_fail_(-EUSERS, "all %u groups have members", t->groups);
  int lives = (int)shoal_load32_relaxed(&t->group[g].live);
  if (lives && shoal_load32_relaxed(&t->group[g].slow) != how->slow)
    return shoal_fail_(-EBADMSG, "the group %s has another policy for slow members", how->group);
  shoal_store32_relaxed(&seat->group, g + 1);  // first: whoever reaps us finds what we have begun
  if (!lives) begin(t, g, seat, name, how);
  else shoal_topic_start_(t, seat, 0);  // so that its claims are looked at
  shoal_topic_hold_(t, seat, 0);
  return 0;
}

int shoal_topic_group_join_(struct shoal_topic *t, uint32_t me, const struct shoal_topic_subscription *how) {
  struct name name = {{0}};
  memcpy(&name, how->group, strlen(how->group));
  shoal_role_hold(&t->wait, me);  // others wait for what it may die with
  int rc = lock(t, SHOAL_TRY);
  if (rc) return rc;
  rc = join(t, shoal_topic_seat_(t, me), &name, how);
  unlock(t);
  return rc;
}

// What a dead member tried was its own if the cursor says so, or if the next to claim has said so.
static int had(const struct shoal_topic *t, uint32_t g, uint32_t entry, uint64_t c) {
  uint64_t tried = c >> 24;
  uint64_t cursor = shoal_load64_seq_cst(&t->group[g].cursor);  // [C3] pairs with [C4]
  if (cursor == cursor_of(tried + 1, entry, shoal_slot_owner_(c))) return 1;
  return shoal_slot_state_(shoal_load64_seq_cst(claim_of(t, g, entry))) == SHOAL_TOPIC_HELD_;  // [C3]
}

static int leave_behind(const struct shoal_topic *t, uint32_t g, uint32_t entry, uint64_t c, int died) {
  if (shoal_slot_state_(c) == SHOAL_TOPIC_TRIES_ && !had(t, g, entry, c)) {
    shoal_cas64_seq_cst(claim_of(t, g, entry), &c, 0);  // [H1] pairs with [H2]
    return 0;
  }
  c = shoal_load64_seq_cst(claim_of(t, g, entry));  // [C3]: it may have been confirmed
  return stray(t, g, entry, c, died);
}

int shoal_topic_group_leave_(struct shoal_topic *t, uint32_t me, uint32_t g, int died, shoal_deadline deadline) {
  struct shoal_topic_seat_shm *seat = shoal_topic_seat_(t, me);
  int rc = lock(t, deadline);
  if (rc) return rc;
  for (uint32_t i = 0; i < t->wait.count[SHOAL_CONSUMER]; i++) {
    uint64_t c = shoal_load64_seq_cst(claim_of(t, g, i));  // [C3]
    while (shoal_slot_state_(c) && shoal_slot_owner_(c) == me) {
      if (leave_behind(t, g, i, c, died) && died) {
        shoal_add64_relaxed(&t->shm->redelivered, 1);
        shoal_note_redeliver_(claim_of(t, g, i));
      }
      c = shoal_load64_seq_cst(claim_of(t, g, i));  // [C3]
    }
  }
  tell_of_strays(t, g);
  // [H1] pairs with [H2]; before the seat says so, or nobody would know of a group that has no members
  if (!has_members(t, g, seat)) shoal_store32_release(&t->group[g].live, 0);
  shoal_store32_relaxed(&seat->group, 0);
  unlock(t);
  return 0;
}

int shoal_topic_group_is_barred_(const struct shoal_topic *t) {
  if (!shoal_robust_owner(shoal_load32_relaxed(&t->shm->lock.word))) return 0;
  for (uint32_t i = 0; i < t->wait.count[SHOAL_CONSUMER]; i++)
    if (shoal_topic_group_of_(t, &t->seats[i]) && shoal_role_is_dead(&t->wait, shoal_topic_role_(t, i))) return 1;
  return 0;
}
