#include "ipc/queue/role_lock.h"

#include "core/count_internal.h"
#include "core/error.h"

#define OWNER SHOAL_ROLE_LOCK_OWNER_
#define W FUTEX_WAITERS
#define SEQUENCE (OWNER + 1)

// Each look takes the line from who works under the lock, and who takes it over has all that was written there to
// fetch. So who meets others here again and again lets them get on with it; who has met nobody for long comes back
// soon.
#define SPIN_STEP_MIN 32u
#define SPIN_STEP_AGAIN 512u
#define SPIN_STEP_MAX 1024u
#define SPIN_ALL (12 * (shoal_spin_max_ < SHOAL_SPIN_MAX ? shoal_spin_max_ : SHOAL_SPIN_MAX))
#define AGAIN_NS 1000000

static uint32_t taken(uint32_t word, uint32_t me, int from_the_dead) {
  return ((from_the_dead ? word + SEQUENCE : word) & ~OWNER) | me;
}

// The holder's live word, or NULL: it is no role, so nobody's.
static struct shoal_robust *live_of(const struct shoal_eventcount_view *view, uint32_t owner) {
  return shoal_role_valid_(view, owner) ? &shoal_role_at_(view, owner)->live : NULL;
}

static unsigned spin(unsigned left, unsigned *step) {
  unsigned pauses = *step < left ? *step : left;
  for (unsigned i = 0; i < pauses; i++) shoal_pause();
  if (*step < SPIN_STEP_MAX) *step *= 2;
  return left - pauses;
}

static unsigned first_step(void) {
  static __thread int64_t met;
  int64_t now = shoal_now_ns(), since = now - met;
  met = now;
  return since < AGAIN_NS ? SPIN_STEP_AGAIN : SPIN_STEP_MIN;
}

// What wakes it other than the lock may have been meant for a sleeper of the event: all look again. 1: it slept in
// vain.
static int sleep_for(struct shoal_role_lock *l, struct shoal_eventcount_view *view, uint32_t armed,
                     struct shoal_robust *live, uint32_t live_word, shoal_deadline deadline) {
  struct shoal_eventcount *ec = view->shm;
  struct shoal_futex_entry entries[] = {
      {&ec->bell, shoal_load32_relaxed(&ec->bell)}, {&l->sleepers, armed}, {&live->word, live_word}};
  int64_t now = shoal_now_ns();
  int64_t end = deadline.ns - now > SHOAL_RECHECK_NS ? now + SHOAL_RECHECK_NS : deadline.ns;
  int woke = shoal_futex_wait_many(entries, 3, 1, (shoal_deadline){end});
  int late = woke == -ETIMEDOUT && end != deadline.ns;
  if (late && shoal_robust_owner(live_word)) shoal_robust_mark_if_gone_(live, live_word);
  if (woke == 0 || woke == 2 || late) shoal_eventcount_ring(ec);
  return late;
}

// What is held by nobody at all, for a second, is damage. A role that is only free just now may be its new owner's.
static int is_abandoned(uint32_t live_word, int late) {
  return shoal_robust_is_dead(live_word) || (late && !shoal_robust_owner(live_word));
}

// Whoever releases from here on sees it; who has released before is seen by the next look. Answers the word to sleep
// at: W, and what damage there may be.
static uint32_t arm(struct shoal_role_lock *l, const struct shoal_eventcount_view *view) {
  uint32_t armed = shoal_or32_seq_cst(&l->sleepers, W) | W;   // [S2] pairs with [S1]
  if (!(view->flags & SHOAL_EC_EXCHANGE)) shoal_fence_all();  // [S2] pairs with [S1]
  return armed;
}

// Who only tries does wait for those inside, but not for ever: what stands there may be damage.
static int gave_up(int tried) {
  return tried ? shoal_fail_(-ETIMEDOUT, "somebody stands inside the queue, or its lock is damaged") : -ETIMEDOUT;
}

int shoal_role_lock_acquire_slow_(struct shoal_role_lock *l, struct shoal_eventcount_view *view, uint32_t me, int heir,
                                  shoal_deadline deadline) {
  unsigned left = SPIN_ALL, step = 0;
  uint32_t armed = 0, slept_on = 0;
  int late = 0, tried = shoal_deadline_is_try(deadline);  // late: it slept in vain beside a word of nobody's
  if (tried) deadline = shoal_after_ns(SHOAL_RECHECK_NS);
  for (;;) {
    uint32_t word = shoal_load32_relaxed(&l->word), owner = word & OWNER;
    if (!owner) {
      if (shoal_cas32_acquire(&l->word, &word, taken(word, me, heir))) return 0;  // [T2]
      continue;
    }
    struct shoal_robust *live = live_of(view, owner);
    uint32_t live_word = live ? shoal_load32_acquire(&live->word) : FUTEX_OWNER_DIED;  // [A5] of sync/eventcount.h
    if (is_abandoned(live_word, late && word == slept_on) || (heir && owner == me)) {
      // [T2], and what the dead one wrote is seen: the kernel's mark comes after
      if (shoal_cas32_acquire(&l->word, &word, taken(word, me, 1))) {
        shoal_note_owner_died_(&l->word);
        return -EOWNERDEAD;
      }
      continue;
    }
    if (shoal_robust_owner(live_word) == shoal_self_()->tid)
      return shoal_fail_(-EDEADLK, "interrupted by this call, the thread is inside the queue");
    if (left) {
      if (!step) step = first_step();
      left = spin(left, &step);
      continue;
    }
    if (shoal_deadline_passed(deadline)) return gave_up(tried);
    if (!armed) {
      armed = arm(l, view);
      continue;
    }
    late = sleep_for(l, view, armed, live, live_word, deadline) && !shoal_robust_owner(live_word);
    slept_on = word;
    armed = 0;
    left = SPIN_ALL;
  }
}

// W stays until the kernel has been told to wake everybody: who overtakes the woken one knows of the others.
void shoal_role_lock_pass_on_(struct shoal_role_lock *l) {
  if (shoal_futex_wake(&l->sleepers, 1) == 0) shoal_futex_clear_and_wake(&l->sleepers, 31);
}
