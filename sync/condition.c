#include "sync/condition.h"

#include <string.h>

#include "core/backoff.h"
#include "core/error.h"
#include "core/futex.h"
#include "sync/eventcount.h"

#define MAGIC 0x434f4e44u  // "COND"
#define ASLEEP SHOAL_CONDITION_ASLEEP_
#define AWAKE SHOAL_CONDITION_AWAKE_
#define GRANTED SHOAL_CONDITION_GRANTED_

static int waits(uint32_t event) { return (event & FUTEX_WAITERS) != 0; }

// ---- the lock ----

static uint32_t lock_owner(struct shoal_condition_lock_ l) {
  return shoal_robust_owner(shoal_load32_relaxed(&l.lock->robust.word));
}
SHOAL_STATIC_ASSERT(offsetof(struct shoal_rlock, lock) == 0, "an rlock is found by its lock");

// How often the caller held it.
static uint32_t let_go(struct shoal_condition_lock_ l) {
  if (l.recursive) return shoal_rlock_unlock_all_((struct shoal_rlock *)l.lock);
  shoal_lock_release(l.lock);
  return 1;
}
static int lock_again(struct shoal_condition_lock_ l, uint32_t depth) {
  return l.recursive ? shoal_rlock_lock_again_((struct shoal_rlock *)l.lock, depth)
                     : shoal_lock_acquire(l.lock, SHOAL_FOREVER);
}

static int lock_in_doubt(struct shoal_condition_lock_ l) {
  struct shoal_lock_info info;
  shoal_lock_info(l.lock, &info);
  return info.state != SHOAL_LOCK_CONSISTENT;
}

// Left by the dead, and nobody has taken it since; or given up. Nobody may be left to say so.
static int lock_is_lost(struct shoal_condition_lock_ l) {
  struct shoal_lock_info info;
  shoal_lock_info(l.lock, &info);
  return info.dead || info.state == SHOAL_LOCK_NOTRECOVERABLE || info.state == SHOAL_LOCK_DESTROYED;
}

// ---- life ----

uint64_t shoal_condition_size(uint32_t threads) {
  uint64_t seats = shoal_seats_size_(threads);
  return seats ? sizeof(struct shoal_condition) + seats : 0;
}

int shoal_condition_init(struct shoal_condition *c, uint32_t threads) {
  uint64_t size = shoal_condition_size(threads);
  memset(c, 0, size ? size : sizeof *c);
  int rc = shoal_seats_init_(&c->seats, threads);
  if (rc == 0) c->magic = MAGIC;
  return rc;
}

int shoal_condition_check_(const void *memory, uint64_t size) {
  const struct shoal_condition *c = memory;
  if (size < sizeof *c || c->magic != MAGIC) return shoal_fail_(-EPROTO, "not a condition");
  uint32_t places = c->seats.count;
  uint64_t needed = places ? shoal_condition_size(places) : 0;
  if (needed && needed <= size) return 0;
  return shoal_fail_(-EPROTO, "a condition with %u places does not fit %llu bytes", places, (unsigned long long)size);
}

static int usable(const struct shoal_condition *c) {
  if (SHOAL_LIKELY(__atomic_load_n(&c->magic, __ATOMIC_RELAXED) == MAGIC)) return 0;
  return shoal_fail_(-EINVAL, "not a condition, or destroyed");
}

static int mine(const struct shoal_condition *c, struct shoal_condition_lock_ l) {
  int rc = usable(c);
  if (SHOAL_UNLIKELY(rc)) return rc;
  uint32_t owner = lock_owner(l);
  if (SHOAL_LIKELY(owner == shoal_self_()->tid)) return 0;
  return owner ? shoal_fail_(-EPERM, "the lock is held by thread %u", owner)
               : shoal_fail_(-EPERM, "nobody holds the lock");
}

// ---- grants ----

// Killed after the compare-and-set: list_op_pending has the kernel wake the sleeper. A thread that has left and waits
// anew, under another ticket, gets it, too, but is not the one it was meant for: 0.
static int grant(struct shoal_seat *seat, uint64_t ticket) {
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &seat->event);
  uint32_t event = shoal_load32_relaxed(&seat->event);
  while (waits(event) && !shoal_cas32_seq_cst(&seat->event, &event, GRANTED)) continue;  // [C5] pairs with [C6]
  int given = waits(event) && shoal_load64_relaxed(&seat->record) == ticket;
  if (event == ASLEEP) shoal_futex_wake(&seat->event, 1);
  shoal_pending_restore_(t, pending);
  return given;
}

// The living one with the oldest ticket that waits for a notification; 0: none. *dead: there are some in line.
static uint64_t find_oldest(const struct shoal_condition *c, struct shoal_seat **oldest, int *dead) {
  uint64_t ticket = 0;
  for (uint32_t i = 0, top = shoal_seats_top_(&c->seats); i < top; i++) {
    struct shoal_seat *seat = shoal_seat_at_(&c->seats, i);
    uint32_t event = shoal_load32_acquire(&seat->event), word = shoal_seat_word_(seat);  // [C4] pairs with [C3]
    *dead |= shoal_seat_is_dead_(word);
    if (!waits(event) || !shoal_robust_owner(word)) continue;
    uint64_t its = shoal_load64_relaxed(&seat->record);
    if (!its || (ticket && its > ticket))
      continue;  // 0: it has left, or an heir has emptied it, since its event was read
    ticket = its;
    *oldest = seat;
  }
  return ticket;
}

// The ticket of the one notified; 0: nobody waits.
static uint64_t grant_oldest(struct shoal_condition *c, int *dead) {
  struct shoal_seat *seat = NULL;
  uint64_t ticket;
  do ticket = find_oldest(c, &seat, dead);
  while (ticket && !grant(seat, ticket));
  return ticket;
}

// Out of line without a notification: 0 if it was given one before.
static int withdraw(struct shoal_seat *seat) {
  uint32_t event = shoal_load32_relaxed(&seat->event);
  while (event != GRANTED && !shoal_cas32_seq_cst(&seat->event, &event, 0)) continue;  // [C2] pairs with [C1]
  return event != GRANTED;
}

// What a dead one was notified of the next is notified of. Its heir dies between: another, too.
static void recover(struct shoal_seat *seat, void *condition) {
  int dead = 0;
  if (!withdraw(seat)) grant_oldest(condition, &dead);
  shoal_store64_relaxed(&seat->record, 0);
  shoal_store32_relaxed(&seat->event, 0);
}

int shoal_condition_notify_(struct shoal_condition *c, struct shoal_condition_lock_ lock, uint32_t n) {
  int rc = mine(c, lock), dead = 0;
  if (SHOAL_UNLIKELY(rc)) return rc;
  uint64_t last = shoal_load64_relaxed(&c->tickets), served = shoal_load64_relaxed(&c->served);
  for (; n && served < last; n--) {
    uint64_t ticket = grant_oldest(c, &dead);
    served = ticket ? ticket : last;
    shoal_store64_relaxed(&c->served, served);
  }
  if (SHOAL_UNLIKELY(dead)) shoal_seat_reap_(&c->seats, recover, c);
  return 0;
}

// ---- the line ----

struct neighbours {
  struct shoal_seat *before, *behind;  // NULL: none
  uint64_t ticket_before, ticket_behind;
  uint32_t word;  // the live word of `before`
  int dead;
};

static void compare(struct neighbours *n, uint64_t mine, struct shoal_seat *seat, uint32_t word) {
  uint64_t its = shoal_load64_relaxed(&seat->record);
  if (its < mine && its >= n->ticket_before) {
    n->before = seat;
    n->ticket_before = its;
    n->word = word;
  } else if (its > mine && (!n->behind || its < n->ticket_behind)) {
    n->behind = seat;
    n->ticket_behind = its;
  }
}

// Who stands next to `mine`. The dead stand in line until they have been reaped.
static struct neighbours look(const struct shoal_condition *c, const struct shoal_seat *mine) {
  struct neighbours n = {0};
  uint64_t ticket = shoal_load64_relaxed(&mine->record);
  for (uint32_t i = 0, top = shoal_seats_top_(&c->seats); i < top; i++) {
    struct shoal_seat *seat = shoal_seat_at_(&c->seats, i);
    uint32_t event = shoal_load32_seq_cst(&seat->event), word = shoal_seat_word_(seat);  // [C1], [C2], [C4]
    n.dead |= shoal_seat_is_dead_(word);
    if (event && word && seat != mine) compare(&n, ticket, seat, word);
  }
  return n;
}

// It has left while older ones are in line: who watches it watches one of them instead. One that is notified already
// does the same when it leaves. Killed after the compare-and-set: as in grant(), or the next grant would wake nobody.
static void hand_on(struct shoal_condition *c, struct shoal_seat *seat) {
  struct shoal_thread_ *t = shoal_self_();
  struct neighbours n = look(c, seat);
  uint32_t asleep = ASLEEP;
  if (!n.before || !n.behind) return;
  void *pending = shoal_pending_set_(t, &n.behind->event);
  if (shoal_cas32_seq_cst(&n.behind->event, &asleep, AWAKE))  // [C2] pairs with [C1]
    shoal_futex_wake(&n.behind->event, 1);
  shoal_pending_restore_(t, pending);
}

// ---- waiting ----

struct waiter {
  struct shoal_condition *c;
  struct shoal_thread_ *t;
  struct shoal_seat *seat;
  struct shoal_condition_lock_ lock;
  int first;  // nobody was before it when it last looked
};

static void enter(struct waiter *w) {
  uint64_t ticket = shoal_load64_relaxed(&w->c->tickets) + 1;
  shoal_store64_relaxed(&w->c->tickets, ticket);
  shoal_seat_sit_(w->t, w->seat);
  shoal_store64_relaxed(&w->seat->record, ticket);
  shoal_store32_release(&w->seat->event, AWAKE);  // [C3] pairs with [C4]
}

static void leave(struct waiter *w) {
  // [C2] pairs with [C1]
  if (!w->first && shoal_exchange32_seq_cst(&w->seat->event, 0) == GRANTED) hand_on(w->c, w->seat);
  shoal_store32_relaxed(&w->seat->event, 0);
  shoal_store64_relaxed(&w->seat->record, 0);
  shoal_seat_rise_(w->t, w->seat);
}

static int granted(const struct waiter *w) {
  return shoal_load32_acquire(&w->seat->event) == GRANTED;  // [C6] pairs with [C5]
}

// About as long as a wake-up takes; the budget learns.
static int spin(const struct waiter *w) {
  static __thread uint32_t budget = SHOAL_SPIN_MAX / 2;
  for (uint32_t i = 0; i < budget && i < shoal_spin_max_; i++) {
    shoal_pause();
    if (!granted(w)) continue;
    budget = shoal_spin_paid(budget, SHOAL_SPIN_MAX);
    return 1;
  }
  budget = shoal_spin_failed(budget);
  return 0;
}

// The one before it, chosen after everybody can see that it falls asleep; the dead are dealt with. 0: it need not
// sleep.
static int fall_asleep(struct waiter *w, struct neighbours *n) {
  uint32_t event = AWAKE;
  if (!shoal_cas32_seq_cst(&w->seat->event, &event, ASLEEP) && event == GRANTED) return 0;  // [C1] pairs with [C2]
  while (*n = look(w->c, w->seat), n->dead) shoal_seat_reap_(&w->c->seats, recover, w->c);
  w->first = !n->before;
  return 1;
}

// Beside its own event, and the death of the one before it. Whoever dies having been woken for that has the kernel wake
// another who watches the same: list_op_pending points there until the seat has been looked at.
static int sleep_until(struct waiter *w, const struct neighbours *n, int64_t end) {
  if (!n->before) return shoal_futex_wait(&w->seat->event, ASLEEP, (shoal_deadline){end});
  struct shoal_futex_entry entries[] = {{&w->seat->event, ASLEEP}, {&n->before->live.word, n->word}};
  shoal_pending_set_(w->t, &n->before->live.word);
  int woke = shoal_futex_wait_many(entries, 2, 0, (shoal_deadline){end});
  if (woke == 1) shoal_seat_reap_one_(n->before, recover, w->c);
  return woke;
}

// 1: nobody is left who would wake it.
static int sleep_once(struct waiter *w, shoal_deadline deadline) {
  struct neighbours n;
  if (!fall_asleep(w, &n)) return 0;
  int64_t now = shoal_now_ns();
  int64_t end = deadline.ns - now > SHOAL_RECHECK_NS ? now + SHOAL_RECHECK_NS : deadline.ns;
  if (sleep_until(w, &n, end) != -ETIMEDOUT || end == deadline.ns) return 0;
  if (n.before) shoal_robust_mark_if_gone_(&n.before->live, n.word);
  return lock_is_lost(w->lock);
}

static int await(struct waiter *w, shoal_deadline deadline) {
  void *pending = w->t->head->pending;
  int rc = 0;
  if (!shoal_deadline_is_try(deadline) && spin(w)) return 0;
  while (!granted(w)) {
    int late = shoal_deadline_passed(deadline);
    if (!late && !sleep_once(w, deadline)) continue;
    if (!withdraw(w->seat)) break;
    if (!w->first) hand_on(w->c, w->seat);
    if (late) rc = shoal_deadline_error(deadline);
    break;
  }
  shoal_pending_restore_(w->t, pending);
  return rc;
}

// The lock is not to be had: by nobody, so nobody could notify the others; or by itself only, for its order (-EDEADLK).
static void pass_on(const struct waiter *w, int why) {
  int dead = 0;
  if (why == -EDEADLK && !granted(w)) return;
  while (grant_oldest(w->c, &dead) && why != -EDEADLK) continue;
}

int shoal_condition_wait_(struct shoal_condition *c, struct shoal_condition_lock_ lock, shoal_deadline deadline) {
  int rc = mine(c, lock);
  if (SHOAL_UNLIKELY(rc)) return rc;
  if (lock_in_doubt(lock)) return shoal_fail_(-EINVAL, "what the lock guards is in doubt: repair it first, and say so");
  struct waiter w = {.c = c, .t = shoal_self_(), .lock = lock};
  w.seat = shoal_seat_mine_(w.t, &c->seats);
  if (!w.seat && shoal_seat_reap_(&c->seats, recover, c)) w.seat = shoal_seat_mine_(w.t, &c->seats);
  if (!w.seat) return -EUSERS;
  enter(&w);
  uint32_t depth = let_go(lock);
  rc = await(&w, deadline);
  int held = lock_again(lock, depth);
  if (held && held != -EOWNERDEAD) pass_on(&w, held);
  leave(&w);
  return held ? held : rc;
}

int shoal_condition_wait_for_(struct shoal_condition *c, struct shoal_condition_lock_ lock, int (*predicate)(void *),
                              void *arg, shoal_deadline deadline) {
  int rc = mine(c, lock);
  while (rc == 0 && !predicate(arg)) rc = shoal_condition_wait_(c, lock, deadline);
  if ((rc == -ETIMEDOUT || rc == -EAGAIN) && predicate(arg)) return 0;
  return rc;
}

int shoal_condition_destroy(struct shoal_condition *c) {
  int rc = usable(c);
  if (rc) return rc;
  shoal_seat_reap_(&c->seats, recover, c);
  uint32_t in_line = shoal_seats_sitting_(&c->seats);
  if (in_line) return shoal_fail_(-EBUSY, "%u threads are in line", in_line);
  __atomic_store_n(&c->magic, 0, __ATOMIC_RELAXED);
  return 0;
}

int shoal_condition_info(const struct shoal_condition *c, struct shoal_condition_info *out) {
  int rc = usable(c);
  if (rc) return rc;
  *out = (struct shoal_condition_info){.places = c->seats.count, .waits = shoal_load64_relaxed(&c->tickets)};
  for (uint32_t i = 0, top = shoal_seats_top_(&c->seats); i < top; i++) {
    const struct shoal_seat *seat = shoal_seat_at_(&c->seats, i);
    uint32_t event = shoal_load32_relaxed(&seat->event), word = shoal_load32_relaxed(&seat->live.word);
    if (shoal_seat_is_dead_(word)) out->dead++;
    else if (word && waits(event)) out->waiters++;
    else if (word && event == GRANTED) out->granted++;
  }
  return 0;
}

SHOAL_NAMED_DEFINE_(shoal_condition, "condition", shoal_condition_check_, shoal_condition_size(threads),
                    shoal_condition_init(it, threads), uint32_t threads)
