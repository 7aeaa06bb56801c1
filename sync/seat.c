#include "sync/seat.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "core/error.h"

__thread struct shoal_seat_cache_ shoal_seat_cache_[SHOAL_SEAT_CACHE_];

uint64_t shoal_seats_size_(uint32_t count) {
  if (count == 0) count = SHOAL_SEATS_DEFAULT;
  return count > SHOAL_SEATS_MAX ? 0 : (uint64_t)count * sizeof(struct shoal_seat);
}

int shoal_seats_init_(struct shoal_seats *s, uint32_t count) {
  if (!shoal_seats_size_(count)) return shoal_fail_(-EINVAL, "%u threads: at most %u", count, SHOAL_SEATS_MAX);
  s->count = count ? count : SHOAL_SEATS_DEFAULT;
  return shoal_robust_check();
}

static uint32_t count_of(const struct shoal_seats *s) {
  uint32_t count = __atomic_load_n(&s->count, __ATOMIC_RELAXED);
  return count < SHOAL_SEATS_MAX ? count : SHOAL_SEATS_MAX;
}

static struct shoal_seat *remember(struct shoal_seats *s, uint32_t i) {
  *shoal_seat_cached_(s) = (struct shoal_seat_cache_){s, shoal_self_()->epoch, i};
  return shoal_seat_at_(s, i);
}

// A seat with our number that is marked, or in the hands of an heir, was a dead thread's that had the number before us.
static int is_mine(const struct shoal_seat *seat, uint32_t tid) {
  if (shoal_load32_relaxed(&seat->tid) != tid) return 0;
  uint32_t word = shoal_load32_relaxed(&seat->live.word);
  return word == 0 || shoal_robust_owner(word) == tid;
}

struct shoal_seat *shoal_seat_known_(struct shoal_seats *s) {
  uint32_t tid = shoal_self_()->tid, top = shoal_seats_top_(s);
  for (uint32_t i = 0; i < top; i++)
    if (is_mine(shoal_seat_at_(s, i), tid)) return remember(s, i);
  return NULL;
}

// Killed at any step: the seat is empty, and its owner is no more.
static struct shoal_seat *take(struct shoal_seats *s, uint32_t i, uint32_t from) {
  struct shoal_seat *seat = shoal_seat_at_(s, i);
  uint32_t before = from, tid = shoal_self_()->tid;
  if (shoal_seat_word_(seat)) return NULL;
  if (!shoal_cas32_acq_rel(&seat->tid, &before, tid)) return NULL;  // [A3] pairs with [R3]
  if (shoal_seat_word_(seat)) {  // somebody took it, sat and died meanwhile, or has our predecessor's number
    shoal_cas32_acq_rel(&seat->tid, &tid, from);  // [R3]
    return NULL;
  }
  uint32_t top = shoal_load32_relaxed(&s->top);
  while (top < i + 1 && !shoal_cas32_acq_rel(&s->top, &top, i + 1)) continue;  // [R1] pairs with [A1]
  return remember(s, i);
}

// The owner of an empty seat is no more. A newcomer with its number is taken for it, and keeps the seat.
static int forsaken(const struct shoal_seat *seat, uint32_t tid) {
  return tid && shoal_seat_word_(seat) == 0 && syscall(SYS_tkill, tid, 0) && errno == ESRCH;
}

struct shoal_seat *shoal_seat_find_(struct shoal_seats *s) {
  struct shoal_seat *seat = shoal_seat_known_(s);
  uint32_t count = count_of(s);
  for (uint32_t i = 0; !seat && i < count; i++)
    if (shoal_load32_relaxed(&shoal_seat_at_(s, i)->tid) == 0) seat = take(s, i, 0);
  for (uint32_t i = 0; !seat && i < count; i++) {
    uint32_t tid = shoal_load32_relaxed(&shoal_seat_at_(s, i)->tid);
    if (forsaken(shoal_seat_at_(s, i), tid)) seat = take(s, i, tid);
  }
  if (!seat) shoal_note_("%u threads use it, all alive", count);
  return seat;
}

void shoal_seat_leave_(struct shoal_seats *s, struct shoal_seat *seat) {
  if (shoal_load32_relaxed(&seat->live.word)) shoal_live_drop_(&seat->live);
  shoal_store32_release(&seat->tid, 0);  // [R3] pairs with [A3]: who takes it finds its words in order
  shoal_seat_cached_(s)->seats = NULL;
}

int shoal_seat_reap_(struct shoal_seats *s, void (*recover)(struct shoal_seat *seat, void *arg), void *arg) {
  int n = 0;
  for (uint32_t i = 0, top = shoal_seats_top_(s); i < top; i++) {
    struct shoal_seat *seat = shoal_seat_at_(s, i);
    uint32_t word = shoal_seat_word_(seat);
    if (!shoal_seat_is_dead_(word) || shoal_live_adopt_(&seat->live, word)) continue;
    recover(seat, arg);
    shoal_store32_relaxed(&seat->tid, 0);  // before the word, or it might be a newcomer's with that number
    shoal_live_drop_(&seat->live);         // [R2] is [R3] of core/robust.c
    n++;
  }
  return n;
}

uint32_t shoal_seats_sitting_(const struct shoal_seats *s) {
  uint32_t n = 0;
  for (uint32_t i = 0, top = shoal_seats_top_(s); i < top; i++)
    n += shoal_robust_owner(shoal_seat_word_(shoal_seat_at_(s, i))) != 0;
  return n;
}
