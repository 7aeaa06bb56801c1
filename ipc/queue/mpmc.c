#include "ipc/queue/mpmc.h"

#include "core/count_internal.h"
#include "core/error.h"

// ---- lifecycle ----

static uint32_t log2_up(uint64_t n) {
  uint32_t shift = 1;
  while ((UINT64_C(1) << shift) < n) shift++;
  return shift;
}

uint64_t shoal_mpmc_size(uint64_t capacity, uint64_t element_size) {
  if (capacity - 1 >= SHOAL_MPMC_CAPACITY_MAX || element_size - 1 >= SHOAL_MPMC_ELEMENT_MAX) return 0;
  return sizeof(struct shoal_mpmc_shm) + ((uint64_t)shoal_mpmc_stride_((uint32_t)element_size) << log2_up(capacity));
}

int shoal_mpmc_init(struct shoal_mpmc_shm *shm, uint64_t capacity, uint64_t element_size, uint32_t drop) {
  if (!shoal_mpmc_size(capacity, element_size))
    return shoal_fail_(-EINVAL, "%llu elements of %llu bytes", (unsigned long long)capacity,
                       (unsigned long long)element_size);
  shm->capacity = UINT32_C(1) << log2_up(capacity);
  shm->element_size = (uint32_t)element_size;
  shm->drop = drop != 0;
  return 0;
}

int shoal_mpmc_attach(struct shoal_mpmc *ring, struct shoal_mpmc_shm *shm, uint64_t size,
                      const struct shoal_eventcount_view *view) {
  if (size < sizeof *shm) return shoal_fail_(-EPROTO, "no room for a ring");
  uint32_t capacity = __atomic_load_n(&shm->capacity, __ATOMIC_RELAXED);
  uint32_t element_size = __atomic_load_n(&shm->element_size, __ATOMIC_RELAXED);
  uint64_t needed = shoal_mpmc_size(capacity, element_size);
  if (!needed || needed > size || capacity < 2 || (capacity & (capacity - 1)))
    return shoal_fail_(-EPROTO, "a ring of %u elements of %u bytes does not fit", capacity, element_size);
  *ring = (struct shoal_mpmc){
      .shm = shm,
      .slots = (char *)(shm + 1),
      .mask = capacity - 1,
      .shift = log2_up(capacity),
      .stride = shoal_mpmc_stride_(element_size),
      .element_size = element_size,
      .drop = __atomic_load_n(&shm->drop, __ATOMIC_RELAXED),
      .exchange = view->flags & SHOAL_EC_EXCHANGE,
      .view = view,
  };
  return 0;
}

// ---- pace ----
//
// How long to keep away is learned by each role for itself, in words of its own line: as long as others move on fast
// meanwhile, longer; else half as long.

struct patience {  // pauses
  uint32_t least, most;
  uint32_t pays;  // it pays if others get a message done in so many of them
  uint32_t came;  // so many messages since the last time may be a stream
  uint32_t hold;  // times that it does not pay to keep off before it is tried again
};
// The least is about what the meeting itself costs.
static const struct patience give_way = {16, 512, 2, 0, 0};
// The least lets the other side get a dozen lines away, so that both ask for lines which the other has left: in a
// shorter time it gets no faster, and it is seen not to pay.
static const struct patience keep_off = {64, 256, 4, 2, 64};
static const struct patience keep_off_short = {16, 128, 2, 2, 64};  // a ring that has no dozen lines to spare
// Of a patient ring: a message is a part of what its producer does. One since the last time may be a stream of which
// each is taken as it comes, so that its producer gets no faster than that: only to keep off tells.
static const struct patience keep_off_patient = {64, 256, 16, 1, 256};

struct pace {  // in live.user_
  uint16_t give_way, keep_off, hold, met;
};
SHOAL_STATIC_ASSERT(sizeof(struct pace) == 8, "as long as live.user_");
static struct pace *pace_of(const struct shoal_mpmc *ring, uint32_t me) {
  return (struct pace *)(void *)&shoal_role_at_(ring->view, me)->live.user_;
}

static uint16_t keep_away(uint16_t learned, const struct patience *p, const shoal_atomic64 *hint) {
  uint32_t n = learned < p->least ? p->least : learned < p->most ? learned : p->most;
  uint64_t before = shoal_load64_relaxed(hint);
  for (uint32_t i = 0; i < n; i++) shoal_pause();
  return (uint16_t)((shoal_load64_relaxed(hint) - before) * p->pays >= n ? n * 2 : n / 2);
}

uint64_t shoal_mpmc_give_way_(const struct shoal_mpmc *ring, uint32_t me, const shoal_atomic64 *hint, uint64_t at) {
  struct pace *pace = pace_of(ring, me);
  pace->give_way = keep_away(pace->give_way, &give_way, hint);
  uint64_t now = shoal_load64_relaxed(hint);
  return now > at ? now : at;
}

int shoal_mpmc_keep_off_(const struct shoal_mpmc *ring, uint32_t me, const shoal_atomic64 *others, uint64_t at) {
  struct pace *pace = pace_of(ring, me);
  const struct patience *p = shoal_mpmc_is_short_(ring, ring->stride) ? &keep_off_short
                             : ring->patient                          ? &keep_off_patient
                                                                      : &keep_off;
  uint16_t came = (uint16_t)(at - pace->met);
  pace->met = (uint16_t)at;
  if (came < p->came) return 0;
  if (pace->hold) return pace->hold--, 0;
  uint64_t before = shoal_load64_relaxed(others);
  pace->keep_off = keep_away(pace->keep_off, p, others);
  if (pace->keep_off < p->least) pace->hold = (uint16_t)p->hold;
  return shoal_load64_relaxed(others) != before;
}

// ---- holes and strays ----

static shoal_atomic64 *ctl_at(const struct shoal_mpmc *ring, uint64_t at) {
  return shoal_mpmc_at(ring, at, ring->stride).ctl;
}
static uint64_t lap_at(const struct shoal_mpmc *ring, uint64_t at) { return shoal_mpmc_at(ring, at, ring->stride).lap; }

static void end_payload(const struct shoal_mpmc *ring, const shoal_atomic64 *ctl, uint64_t c) {
  if (ring->payload) ring->payload->end(ring, (const char *)ctl + shoal_mpmc_offset_(ring->element_size), ctl, c);
}
static int is_there(const struct shoal_mpmc *ring, const shoal_atomic64 *ctl) {
  return !ring->payload || ring->payload->is_there(ring, (const char *)ctl + shoal_mpmc_offset_(ring->element_size));
}

// A claim to write is in its lap only once, so this one is the dead role's for as long as the word is the same.
void shoal_mpmc_skip_(const struct shoal_mpmc *ring, shoal_atomic64 *ctl, uint64_t c) {
  end_payload(ring, ctl, c);  // before: whoever dies in between leaves it to the next one
  if (shoal_cas64_seq_cst(ctl, &c, shoal_slot_lap_(c) + SHOAL_SLOT_LAP_)) {  // [F1]
    shoal_add64_relaxed(&ring->shm->holes, 1);
    shoal_note_skip_(ctl);
  }
}

// All slots were looked at since `seen`: the word stands, if nobody has told of one since.
static void no_strays(const struct shoal_mpmc *ring, uint64_t seen) {
  shoal_cas64_relaxed(&ring->shm->strays, &seen, seen & ~(uint64_t)SHOAL_STRAYS_);
}

int shoal_mpmc_claim_stray_(const struct shoal_mpmc *ring, uint32_t me, struct shoal_claim *claim) {
  uint64_t seen = shoal_load64_seq_cst(&ring->shm->strays);  // [S2] pairs with [S1]: who made one before is found below
  if (!(seen & SHOAL_STRAYS_)) return 0;
  for (uint64_t k = 0; k <= ring->mask; k++) {
    shoal_atomic64 *ctl = ctl_at(ring, k);
    uint64_t c = shoal_load64_relaxed(ctl);
    if (shoal_slot_state_(c) != SHOAL_SLOT_READING_ || shoal_slot_owner_(c)) continue;
    if (!shoal_cas64_seq_cst(ctl, &c, c | me)) continue;  // [G1] pairs with [S3]
    *claim = shoal_mpmc_at(ring, (c >> 24) << ring->shift | k, ring->stride);
    return 1;
  }
  no_strays(ring, seen);
  return 0;
}

// 0: somebody else was faster, which only a lease that ran out allows.
static int stray(shoal_atomic64 *ctl, uint64_t c, uint32_t deaths) {
  // [S3] pairs with [G1] of who takes it: what was done to the payload in place is seen
  return shoal_cas64_release(ctl, &c,
                             shoal_slot_lap_(c) | shoal_slot_(SHOAL_SLOT_READING_, 0) | deaths * SHOAL_SLOT_DEATH_);
}
// [S1] after the slot: a consumer that finds the word 0 is woken, or told by a later one. Pairs with [S2]
void shoal_mpmc_tell_of_strays_(const struct shoal_mpmc *ring) {
  uint64_t old = shoal_load64_relaxed(&ring->shm->strays);
  // [S1]: no value comes twice, or who found none before would unsay what was told since
  while (!shoal_cas64_seq_cst(&ring->shm->strays, &old, (old + 2) | SHOAL_STRAYS_)) continue;
}

void shoal_mpmc_return(const struct shoal_mpmc *ring, const struct shoal_claim *claim) {
  uint64_t c = shoal_load64_relaxed(claim->ctl);
  stray(claim->ctl, c, shoal_slot_deaths_(c));
  shoal_mpmc_tell_of_strays_(ring);
}

void shoal_mpmc_give_back(const struct shoal_mpmc *ring, uint32_t me) {
  for (uint64_t k = 0; k <= ring->mask; k++) {
    shoal_atomic64 *ctl = ctl_at(ring, k);
    uint64_t c = shoal_load64_relaxed(ctl);
    if (shoal_slot_owner_(c) != me) continue;
    if (shoal_slot_state_(c) == SHOAL_SLOT_READING_) {
      stray(ctl, c, shoal_slot_deaths_(c));
      continue;
    }
    end_payload(ring, ctl, c);
    shoal_store64_release(ctl, shoal_slot_lap_(c) + SHOAL_SLOT_LAP_);  // [F1] pairs with [W1]
  }
  shoal_mpmc_tell_of_strays_(ring);
}

// By compare-and-set: its lease may have run out meanwhile, and the slot be another's by now, or that of the next
// message.
static int vacate(shoal_atomic64 *ctl, uint64_t c) {
  return shoal_cas64_release(ctl, &c, shoal_slot_lap_(c) + SHOAL_SLOT_LAP_);  // [F1] pairs with [W1]
}
static void recover_message(const struct shoal_mpmc *ring, shoal_atomic64 *ctl, uint64_t c) {
  uint32_t deaths = shoal_slot_deaths_(c);
  if (!is_there(ring, ctl)) {
    (void)vacate(ctl, c);
  } else if (ring->drop) {
    end_payload(ring, ctl, c);
    if (vacate(ctl, c)) shoal_add64_relaxed(&ring->shm->dropped, 1);
  } else if (stray(ctl, c, deaths < SHOAL_SLOT_DEATHS_MAX_ ? deaths + 1 : deaths)) {
    shoal_add64_relaxed(&ring->shm->redelivered, 1);
    shoal_note_redeliver_(ctl);
  }
}

// Its caller is the role's owner, or its only heir. A killed heir's strays may not have been told of: the next one
// tells.
void shoal_mpmc_recover(const struct shoal_mpmc *ring, uint32_t role) {
  for (uint64_t k = 0; k <= ring->mask; k++) {
    shoal_atomic64 *ctl = ctl_at(ring, k);
    uint64_t c = shoal_load64_relaxed(ctl);
    if (shoal_slot_owner_(c) != role) continue;
    if (shoal_slot_state_(c) == SHOAL_SLOT_WRITING_) shoal_mpmc_skip_(ring, ctl, c);
    else if (shoal_slot_state_(c) == SHOAL_SLOT_READING_) recover_message(ring, ctl, c);
  }
  shoal_mpmc_tell_of_strays_(ring);
}

// ---- peeking ----

// Whoever takes the message may write there meanwhile: then the copy is thrown away. Hidden from ThreadSanitizer, which
// knows only of the race.
SHOAL_NOINLINE SHOAL_NO_TSAN void shoal_copy_racing_(void *out, const void *in, uint64_t n) {
  const volatile uint64_t *words = in;
  const volatile char *from = in;
  char *to = out;
  uint64_t i = 0;
  for (; n - i >= 8; i += 8) {
    uint64_t word = words[i / 8];
    memcpy(to + i, &word, 8);
  }
  for (; i < n; i++) to[i] = from[i];
}

struct peek {
  void (*copy)(void *arg, const void *payload);
  void *arg;
};
// 1: the word was `c` before, [G1], and after it: so was the message.
static int copy_of(const struct shoal_mpmc *ring, const struct shoal_claim *claim, uint64_t c, const struct peek *p) {
  p->copy(p->arg, shoal_claim_data(claim, ring->element_size));
  // [G2] keeps the loads of the copy before it; pairs with [W1]: who writes there has claimed it, and changed the word
  return shoal_cas64_acq_rel(claim->ctl, &c, c);
}

static int peek_stray(const struct shoal_mpmc *ring, const struct peek *p) {
  uint64_t seen = shoal_load64_seq_cst(&ring->shm->strays);  // [S2]
  if (!(seen & SHOAL_STRAYS_)) return 0;
  for (uint64_t k = 0; k <= ring->mask; k++) {
    struct shoal_claim claim = shoal_mpmc_at(ring, k, ring->stride);
    uint64_t c = shoal_load64_acquire(claim.ctl);  // [G1] pairs with [S3]
    if (shoal_slot_state_(c) != SHOAL_SLOT_READING_ || shoal_slot_owner_(c)) continue;
    if (copy_of(ring, &claim, c, p)) return 1;
  }
  no_strays(ring, seen);
  return 0;
}

int shoal_mpmc_peek(const struct shoal_mpmc *ring, void (*copy)(void *arg, const void *payload), void *arg) {
  const struct peek p = {copy, arg};
  if (peek_stray(ring, &p)) return 1;
  uint64_t steps = 0;
  for (uint64_t h = shoal_load64_relaxed(&ring->shm->head); !shoal_mpmc_lost_(ring, steps++);) {
    struct shoal_claim claim = shoal_mpmc_at(ring, h, ring->stride);
    uint64_t c = shoal_load64_seq_cst(claim.ctl);  // [A1]'s second half; [G1] pairs with [P1]
    int64_t ahead = shoal_slot_ahead_(c, claim.lap);
    uint32_t state = shoal_slot_state_(c);
    if (ahead == 0 && state == SHOAL_SLOT_FULL_) {
      if (copy_of(ring, &claim, c, &p)) return 1;
    } else if (ahead > 0 || (ahead == 0 && state == SHOAL_SLOT_READING_)) {
      h = shoal_mpmc_past_get_(ring, h, ahead, state);
    } else if (ahead == 0 && state == SHOAL_SLOT_WRITING_ && shoal_role_is_dead(ring->view, shoal_slot_owner_(c))) {
      shoal_mpmc_skip_(ring, claim.ctl, c);
    } else {
      return 0;
    }
  }
  return 0;
}

// ---- looking ----

// How many slots behind `at` stand, each in its own lap, as `what` above that lap.
static int behind(const struct shoal_mpmc *ring, uint64_t at, uint64_t what) {
  int n = 0;
  while (n < (int)SHOAL_ROLES_MAX) {
    struct shoal_claim next = shoal_mpmc_at(ring, ++at, ring->stride);
    // [C1] of sync/eventcount.h: who overtook has claimed, and looked at ev, before; pairs with [A1]
    if (shoal_load64_seq_cst(next.ctl) != next.lap + what) break;
    n++;
  }
  return n;
}
int shoal_mpmc_messages_behind(const struct shoal_mpmc *ring, uint64_t at) {
  return behind(ring, at, shoal_slot_(SHOAL_SLOT_FULL_, 0));
}
int shoal_mpmc_places_behind(const struct shoal_mpmc *ring, uint64_t at) { return behind(ring, at, SHOAL_SLOT_LAP_); }

static uint32_t blocker_of_get(const struct shoal_mpmc *ring) {
  if (shoal_load64_seq_cst(&ring->shm->strays) & SHOAL_STRAYS_) return SHOAL_BLOCKER_NONE;  // [S2]
  uint64_t steps = 0;
  for (uint64_t h = shoal_load64_relaxed(&ring->shm->head); !shoal_mpmc_lost_(ring, steps++);) {
    uint64_t c = shoal_load64_seq_cst(ctl_at(ring, h));  // [A1]'s second half
    int64_t ahead = shoal_slot_ahead_(c, lap_at(ring, h));
    uint32_t state = shoal_slot_state_(c);
    if (ahead > 0 || (ahead == 0 && state == SHOAL_SLOT_READING_)) {
      h = shoal_mpmc_past_get_(ring, h, ahead, state);
      continue;
    }
    if (ahead < 0 || state == SHOAL_SLOT_EMPTY_) return 0;
    return state == SHOAL_SLOT_WRITING_ ? shoal_slot_owner_(c) : SHOAL_BLOCKER_NONE;
  }
  return 0;
}

// The next position that a put would claim, and what stands there.
static struct shoal_claim end_of(const struct shoal_mpmc *ring, uint64_t *c) {
  uint64_t steps = 0;
  for (uint64_t t = shoal_load64_relaxed(&ring->shm->tail);;) {
    struct shoal_claim claim = shoal_mpmc_at(ring, t, ring->stride);
    *c = shoal_load64_seq_cst(claim.ctl);  // [A1]'s second half
    int64_t ahead = shoal_slot_ahead_(*c, claim.lap);
    uint32_t state = shoal_slot_state_(*c);
    if (ahead < 0 || (ahead == 0 && state == SHOAL_SLOT_EMPTY_) || shoal_mpmc_lost_(ring, steps++)) return claim;
    t = shoal_mpmc_past_put_(ring, t, ahead, state);
  }
}
uint64_t shoal_mpmc_claimed(const struct shoal_mpmc *ring) {
  uint64_t c;
  return end_of(ring, &c).at;
}
static uint32_t blocker_of_put(const struct shoal_mpmc *ring) {
  uint64_t c;
  struct shoal_claim end = end_of(ring, &c);
  return shoal_slot_ahead_(c, end.lap) == 0 ? SHOAL_BLOCKER_NONE : shoal_slot_owner_(c);
}

int shoal_mpmc_claim_oldest(const struct shoal_mpmc *ring, uint32_t me, struct shoal_claim *claim) {
  uint64_t c;
  struct shoal_claim end = end_of(ring, &c);
  uint32_t state = shoal_slot_state_(c);
  int message = state == SHOAL_SLOT_FULL_ || (state == SHOAL_SLOT_READING_ && !shoal_slot_owner_(c));
  if (shoal_slot_ahead_(c, end.lap) != -1 || !message) return 0;
  uint64_t mine = shoal_slot_lap_(c) | shoal_slot_(SHOAL_SLOT_READING_, me);
  if (!shoal_cas64_seq_cst(end.ctl, &c, mine)) return 0;  // [G1] pairs with [P1], [S3]
  *claim = shoal_mpmc_at(ring, end.at - ring->mask - 1, ring->stride);
  return 1;
}

// Nothing was claimed while all slots were seen empty: so they were, all at once.
int shoal_mpmc_is_done(const struct shoal_mpmc *ring, uint32_t *owner) {
  uint64_t ignored, before = end_of(ring, &ignored).at;
  for (uint64_t k = 0; k <= ring->mask; k++) {
    uint64_t c = shoal_load64_seq_cst(ctl_at(ring, k));  // [A1]'s second half
    *owner = shoal_slot_owner_(c);
    if (shoal_slot_state_(c) == SHOAL_SLOT_WRITING_ && shoal_role_is_dead(ring->view, *owner))
      shoal_mpmc_skip_(ring, ctl_at(ring, k), c);
    else if (shoal_slot_state_(c) != SHOAL_SLOT_EMPTY_) return 0;
  }
  *owner = SHOAL_BLOCKER_NONE;
  return end_of(ring, &ignored).at == before;
}
static uint32_t blocker_of_join(const struct shoal_mpmc *ring) {
  uint32_t owner;
  shoal_mpmc_is_done(ring, &owner);
  return owner;
}

uint32_t shoal_mpmc_blocker(const struct shoal_mpmc *ring, int side) {
  if (side == SHOAL_JOINER) return blocker_of_join(ring);
  return side == SHOAL_CONSUMER ? blocker_of_get(ring) : blocker_of_put(ring);
}

int shoal_mpmc_in_hand(const struct shoal_mpmc *ring, uint32_t me, uint64_t from, uint64_t *at) {
  for (uint64_t k = from; k - from <= ring->mask; k++) {
    uint64_t c = shoal_load64_relaxed(ctl_at(ring, k));
    if (shoal_slot_state_(c) != SHOAL_SLOT_READING_ || shoal_slot_owner_(c) != me) continue;
    *at = (c >> 24) << ring->shift | (k & ring->mask);
    return 1;
  }
  return 0;
}
uint64_t shoal_mpmc_count_held(const struct shoal_mpmc *ring, uint32_t me) {
  uint64_t n = 0;
  for (uint64_t k = 0; k <= ring->mask; k++) {
    uint64_t c = shoal_load64_relaxed(ctl_at(ring, k));
    uint32_t owner = shoal_slot_owner_(c);
    n += me ? owner == me : owner && shoal_slot_state_(c) == SHOAL_SLOT_READING_;
  }
  return n;
}
// The word may tell of strays that have gone since, or never were: as a get, a look finds out.
int shoal_mpmc_readable(const struct shoal_mpmc *ring) {
  uint64_t seen = shoal_load64_seq_cst(&ring->shm->strays);  // [S2]
  if (seen & SHOAL_STRAYS_) {
    for (uint64_t k = 0; k <= ring->mask; k++) {
      uint64_t c = shoal_load64_relaxed(ctl_at(ring, k));
      if (shoal_slot_state_(c) == SHOAL_SLOT_READING_ && !shoal_slot_owner_(c)) return 1;
    }
    no_strays(ring, seen);
  }
  return blocker_of_get(ring) == SHOAL_BLOCKER_NONE;
}

int shoal_mpmc_held(const struct shoal_mpmc *ring, uint32_t me) {
  int held = 0;
  for (uint64_t k = 0; k <= ring->mask; k++) {
    uint64_t c = shoal_load64_seq_cst(ctl_at(ring, k));  // [A1]'s second half, for E
    if (shoal_slot_state_(c) != SHOAL_SLOT_READING_) continue;
    if (shoal_slot_owner_(c) == me) return 0;
    held = 1;
  }
  return held;
}

int shoal_mpmc_holds(const struct shoal_mpmc *ring, uint32_t me, uint64_t at, uint32_t state, uint32_t *deaths) {
  uint64_t c = shoal_load64_relaxed(ctl_at(ring, at));
  if (shoal_slot_ahead_(c, lap_at(ring, at)) || shoal_slot_state_(c) != state || shoal_slot_owner_(c) != me) return 0;
  *deaths = shoal_slot_deaths_(c);
  return 1;
}

static uint64_t strays(const struct shoal_mpmc *ring) {
  uint64_t n = 0;
  if (!(shoal_load64_relaxed(&ring->shm->strays) & SHOAL_STRAYS_)) return 0;
  for (uint64_t k = 0; k <= ring->mask; k++) {
    uint64_t c = shoal_load64_relaxed(ctl_at(ring, k));
    n += shoal_slot_state_(c) == SHOAL_SLOT_READING_ && !shoal_slot_owner_(c);
  }
  return n;
}

// The slots say it, not the hints: a place given up at the tail is no message.
uint64_t shoal_mpmc_count(const struct shoal_mpmc *ring) {
  uint64_t n = strays(ring), h = shoal_load64_relaxed(&ring->shm->head), capacity = ring->mask + 1;
  for (uint64_t looks = 0; looks < 2 * capacity; looks++) {  // others may be as fast as this
    uint64_t c = shoal_load64_relaxed(ctl_at(ring, h));
    int64_t ahead = shoal_slot_ahead_(c, lap_at(ring, h));
    uint32_t state = shoal_slot_state_(c);
    if (ahead > 0 || (ahead == 0 && state == SHOAL_SLOT_READING_)) {
      h = shoal_mpmc_past_get_(ring, h, ahead, state);
      continue;
    }
    if (ahead < 0 || state == SHOAL_SLOT_EMPTY_) break;
    n += state == SHOAL_SLOT_FULL_;
    h++;
  }
  return n < capacity ? n : capacity;
}
