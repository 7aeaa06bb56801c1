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

static struct shoal_seat *remember(struct shoal_seats *s, uint32_t i) {
  *shoal_seat_cached_(s) = (struct shoal_seat_cache_){s, i};
  return shoal_seat_at_(s, i);
}

struct shoal_seat *shoal_seat_known_(struct shoal_seats *s) {
  uint64_t me = shoal_self_()->id;
  for (uint32_t i = 0, top = shoal_seats_top_(s); i < top; i++)
    if (shoal_seat_owner_(shoal_seat_at_(s, i)) == me) return remember(s, i);
  return NULL;
}

// Killed at any step: the seat is empty, and its owner is no more.
static struct shoal_seat *take(struct shoal_seats *s, uint32_t i, uint64_t from) {
  struct shoal_seat *seat = shoal_seat_at_(s, i);
  uint64_t before = from, me = shoal_self_()->id;
  if (shoal_seat_word_(seat)) return NULL;
  if (!shoal_cas64_acq_rel(&seat->live.user_, &before, me)) return NULL;  // [A3] pairs with [R3]
  if (shoal_seat_word_(seat)) {  // taken, sat in and emptied meanwhile: its heir has not let go yet
    shoal_cas64_acq_rel(&seat->live.user_, &me, from);  // [R3]
    return NULL;
  }
  // The second of two heirs, the first killed before it let go, may have made it nobody's after we had taken it, then
  // let go.
  if (shoal_seat_owner_(seat) != me) return NULL;
  uint32_t top = shoal_load32_relaxed(&s->top);
  while (top < i + 1 && !shoal_cas32_seq_cst(&s->top, &top, i + 1)) continue;  // [R1] pairs with [A1]
  return remember(s, i);
}

// The owner of an empty seat is no more: there is no thread with its number, or it is the caller, which is another.
static int forsaken(const struct shoal_seat *seat, uint64_t owner) {
  uint32_t tid = (uint32_t)owner;
  if (!tid || shoal_seat_word_(seat)) return 0;
  return tid == shoal_self_()->tid || (syscall(SYS_tkill, tid, 0) && errno == ESRCH);
}

struct shoal_seat *shoal_seat_find_if_(struct shoal_seats *s, int (*likes)(const struct shoal_seat *seat)) {
  struct shoal_seat *found = shoal_seat_known_(s);
  uint32_t count = shoal_seats_count_(s);
  for (int late = 0; late < 2; late++)
    for (uint32_t i = 0; !found && i < count; i++) {
      const struct shoal_seat *seat = shoal_seat_at_(s, i);
      uint64_t owner = shoal_seat_owner_(seat);
      if ((!likes || likes(seat)) && (late ? forsaken(seat, owner) : !owner)) found = take(s, i, owner);
    }
  if (!found) shoal_note_("%u threads use it, all alive", count);
  return found;
}
struct shoal_seat *shoal_seat_find_(struct shoal_seats *s) {
  return shoal_seat_find_if_(s, NULL);
}

void shoal_seat_leave_(struct shoal_seats *s, struct shoal_seat *seat) {
  if (shoal_load32_relaxed(&seat->live.word)) shoal_live_drop_(&seat->live);
  shoal_store64_release(&seat->live.user_, 0);  // [R3] pairs with [A3]: who takes it finds its words in order
  shoal_seat_cached_(s)->seats = NULL;
}

int shoal_seat_reap_one_(struct shoal_seat *seat, void (*recover)(struct shoal_seat *seat, void *arg), void *arg) {
  uint32_t word = shoal_seat_word_(seat);
  if (!shoal_seat_is_dead_(word) || shoal_live_adopt_(&seat->live, word)) return 0;
  recover(seat, arg);
  shoal_store64_relaxed(&seat->live.user_, 0);  // before the word, or it might be a newcomer's
  shoal_live_drop_(&seat->live);                // [R2] is [R3] of core/robust.c
  return 1;
}

int shoal_seat_reap_(struct shoal_seats *s, void (*recover)(struct shoal_seat *seat, void *arg), void *arg) {
  int n = 0;
  for (uint32_t i = 0, top = shoal_seats_top_(s); i < top; i++)
    n += shoal_seat_reap_one_(shoal_seat_at_(s, i), recover, arg);
  return n;
}

uint32_t shoal_seats_sitting_(const struct shoal_seats *s) {
  uint32_t n = 0;
  for (uint32_t i = 0, top = shoal_seats_top_(s); i < top; i++)
    n += shoal_robust_owner(shoal_seat_word_(shoal_seat_at_(s, i))) != 0;
  return n;
}
