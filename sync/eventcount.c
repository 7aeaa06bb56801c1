#include "sync/eventcount.h"

#include <limits.h>
#include <sched.h>
#include <unistd.h>

#include "core/error.h"
#include "core/identity_internal.h"

#define W SHOAL_EV_W_
#define W2 SHOAL_EV_W2_
#define E SHOAL_EV_E_
#define SEQUENCE SHOAL_EV_SEQUENCE_

// Of a role's live.state: its spin budget, and above it how many sleeps were soon over since it last spun for long.
#define BUDGET 0xffffu
#define SLEPT (BUDGET + 1)
#define PROBE 32u
#define SOON_NS INT64_C(50000)

uint32_t shoal_spin_max_ = SHOAL_SPIN_LONG;
__thread struct shoal_role_cache_ shoal_role_cache_[SHOAL_ROLE_CACHE_];
static __thread uint32_t window;  // where the next sleep's choice of witnesses begins

static void count(shoal_atomic64 *counter, uint64_t n) { shoal_add64_relaxed(counter, n); }

// ---- lifecycle ----

uint64_t shoal_eventcount_size(uint32_t producers, uint32_t consumers) {
  if (producers - 1 >= SHOAL_ROLES_MAX || consumers - 1 >= SHOAL_ROLES_MAX) return 0;
  return sizeof(struct shoal_eventcount) + ((uint64_t)producers + consumers) * sizeof(struct shoal_role);
}

int shoal_eventcount_init(struct shoal_eventcount *shm, uint32_t producers, uint32_t consumers, uint32_t flags) {
  if (!shoal_eventcount_size(producers, consumers))
    return shoal_fail_(-EINVAL, "%u producers, %u consumers: 1..%u of each", producers, consumers, SHOAL_ROLES_MAX);
  int rc = shoal_robust_check();
  if (rc) return rc;
  shm->flags = flags | (shoal_fence_all_register() ? SHOAL_EC_EXCHANGE : 0);
  shm->roles[SHOAL_PRODUCER] = producers;
  shm->roles[SHOAL_CONSUMER] = consumers;
  return 0;
}

// Never used twice in a process, and hardly in two: a role's place is told from that of a forgotten thread by it.
static uint64_t new_id(void) {
  static shoal_atomic64 last;
  uint64_t none = 0;
  if (!shoal_load64_relaxed(&last)) shoal_cas64_relaxed(&last, &none, (uint64_t)shoal_now_ns() << 8 | 1);
  return shoal_add64_relaxed(&last, 1);
}

int shoal_eventcount_attach(struct shoal_eventcount_view *view, struct shoal_eventcount *shm, uint64_t size,
                            const struct shoal_wait_ops *ops) {
  int rc = shoal_robust_check();
  if (rc) return rc;
  if (size < sizeof *shm) return shoal_fail_(-EPROTO, "no room for an eventcount");
  struct shoal_eventcount_view v = {.shm = shm, .roles = (struct shoal_role *)(shm + 1), .ops = ops};
  v.flags = __atomic_load_n(&shm->flags, __ATOMIC_RELAXED);
  for (int side = 0; side < 2; side++) v.count[side] = __atomic_load_n(&shm->roles[side], __ATOMIC_RELAXED);
  uint64_t needed = shoal_eventcount_size(v.count[0], v.count[1]);
  if (!needed || needed > size) return shoal_fail_(-EPROTO, "%u and %u roles do not fit", v.count[0], v.count[1]);
  if (!(v.flags & SHOAL_EC_EXCHANGE) && (rc = shoal_fence_all_needed_())) return rc;
  v.id = new_id();
  *view = v;
  return 0;
}

// ---- waking ----

static shoal_atomic32 *event_of(struct shoal_eventcount *shm, int side) {
  return side == SHOAL_JOINER ? &shm->done : &shm->ev[side];
}

void shoal_eventcount_bump_(struct shoal_eventcount *shm, int side) {
  shoal_add32_seq_cst(event_of(shm, side), SEQUENCE);  // [C1] before the publish
}

// W goes when those who were woken were all that slept, and nobody has armed since: the word is as we left it.
void shoal_eventcount_wake_(struct shoal_eventcount *shm, int side, int n) {
  shoal_atomic32 *ev = event_of(shm, side);
  uint32_t now = shoal_add32_seq_cst(ev, SEQUENCE) + SEQUENCE;  // [C1] after the publish
  if (!(now & W)) return;
  int woken = shoal_futex_wake(ev, n);
  count(&shm->counters.wakes, 1);
  count(&shm->counters.woken, (uint64_t)woken);
  if (woken < n || !(now & W2)) shoal_cas32_relaxed(ev, &now, now & ~(W | W2 | E));
}

void shoal_eventcount_ring(struct shoal_eventcount *shm) {
  count(&shm->counters.rings, 1);
  for (int side = SHOAL_PRODUCER; side <= SHOAL_CONSUMER; side++) shoal_eventcount_wake_(shm, side, INT_MAX);
  // [C1] after two full barriers: who arms later sees what this tells of
  if (shoal_eventcount_joiner_asleep_(shm)) shoal_eventcount_wake_(shm, SHOAL_JOINER, INT_MAX);
}

void shoal_eventcount_close(struct shoal_eventcount_view *view) {
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &view->shm->bell);
  shoal_store32_seq_cst(&view->shm->bell, SHOAL_BELL_CLOSED);  // [A2] pairs with [C2]
  shoal_eventcount_ring(view->shm);
  shoal_pending_restore_(t, pending);
}

int shoal_eventcount_reopen(struct shoal_eventcount_view *view) {
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &view->shm->bell);
  uint32_t closed = SHOAL_BELL_CLOSED;
  // [C1] whoever puts from here on sees nobody told of the end that could still come: who looks again finds it open
  int reopened = shoal_cas32_seq_cst(&view->shm->bell, &closed, 0);
  if (reopened) shoal_eventcount_ring(view->shm);
  shoal_pending_restore_(t, pending);
  return reopened;
}

// ---- roles ----

static uint32_t first_of(const struct shoal_eventcount_view *view, int side) {
  return side == SHOAL_PRODUCER ? 1 : 1 + view->count[SHOAL_PRODUCER];
}
static int side_of(const struct shoal_eventcount_view *view, uint32_t role) {
  return role <= view->count[SHOAL_PRODUCER] ? SHOAL_PRODUCER : SHOAL_CONSUMER;
}
// The side whose last member's end is the end for who sleeps on `side`.
static int peers_of(int side) { return side == SHOAL_CONSUMER ? SHOAL_PRODUCER : SHOAL_CONSUMER; }
static uint32_t top_of(const struct shoal_eventcount_view *view, int side) {
  uint32_t top = shoal_load32_acquire(&view->shm->top[side]);  // [A7] pairs with [R7]: the roles below were taken
  return top < view->count[side] ? top : view->count[side];
}
static uint32_t live_word(const struct shoal_role *role) { return shoal_load32_acquire(&role->live.word); }  // [A5]

// Only its owner, or its heir: `holding` unless it is known that it holds nothing.
static int give_back(struct shoal_eventcount_view *view, uint32_t r, uint32_t holding, shoal_deadline deadline) {
  struct shoal_role *role = shoal_role_at_(view, r);
  int rc = holding ? view->ops->recover(view, r, deadline) : 0;
  if (rc) return rc;
  shoal_store32_relaxed(&role->busy, 0);
  shoal_store32_relaxed(&role->holder, 0);
  shoal_store32_relaxed(&role->tid, 0);  // until its next owner has said who it is
  shoal_live_drop_(&role->live);         // [R4] is [R3] of core/robust.c
  shoal_eventcount_ring(view->shm);
  return 0;
}

// 1 if the dead role is free now; 0 if somebody else is at it; negative: it is dead still, and why.
static int reap(struct shoal_eventcount_view *view, uint32_t r, uint32_t word, shoal_deadline deadline) {
  struct shoal_robust *live = &shoal_role_at_(view, r)->live;
  if (shoal_live_adopt_(live, word)) return 0;
  int rc = give_back(view, r, 1, deadline);
  if (rc) {
    shoal_live_abandon_(live);
    shoal_eventcount_ring(view->shm);  // who has seen it adopted looks after it now
    return rc;
  }
  count(&view->shm->counters.reaped, 1);
  return 1;
}

// How many; or why the first that was tried was not.
static int reap_side(struct shoal_eventcount_view *view, int side) {
  int n = 0, rc = 0;
  uint32_t r = first_of(view, side);
  for (uint32_t i = 0; i < view->count[side] && rc >= 0; i++, r++, n += rc > 0) {
    uint32_t word = live_word(shoal_role_at_(view, r));
    rc = shoal_robust_is_dead(word) ? reap(view, r, word, SHOAL_TRY) : 0;
  }
  return n ? n : rc;
}

int shoal_role_reap(struct shoal_eventcount_view *view) {
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &view->shm->bell);
  int n = reap_side(view, SHOAL_PRODUCER), more = n < 0 ? 0 : reap_side(view, SHOAL_CONSUMER);
  shoal_pending_restore_(t, pending);
  return more > 0 || !n ? n + more : n;
}

static void remember(const struct shoal_eventcount_view *view, int side, uint32_t role) {
  struct shoal_role_cache_ *e = &shoal_role_cache_[view->id % SHOAL_ROLE_CACHE_];
  if (e->id != view->id || e->epoch != shoal_epoch())
    *e = (struct shoal_role_cache_){view->id, shoal_epoch(), {0, 0}, {0, 0}};
  e->role[side] = (uint16_t)role;
}

// Its words are in order before anybody looks at it: what lies at or above `top` is looked at by nobody, and of one that
// somebody had before `tid` is 0 until then.
static void settle(struct shoal_eventcount_view *view, int side, uint32_t i) {
  struct shoal_role *role = shoal_role_at_(view, first_of(view, side) + i);
  shoal_store32_relaxed(&role->pid, (uint32_t)getpid());
  shoal_store64_relaxed(&role->handle, view->id);
  role->live.state = SHOAL_SPIN_LONG / 2;
  // [R8] pairs with [P2] of ipc/queue/pipe.c, [Q1] of ipc/queue/topic.c
  shoal_store32_release(&role->tid, shoal_self_()->tid);
  uint32_t top = shoal_load32_relaxed(&view->shm->top[side]);
  while (top < i + 1 && !shoal_cas32_acq_rel(&view->shm->top[side], &top, i + 1)) continue;  // [R7] pairs with [A7]
  shoal_store32_relaxed(&view->shm->seen[side], 1);
  count(&view->shm->counters.joins, 1);
  shoal_eventcount_ring(view->shm);
}

static int take_free(struct shoal_eventcount_view *view, int side) {
  uint32_t first = first_of(view, side);
  for (uint32_t i = 0; i < view->count[side]; i++) {
    struct shoal_role *role = shoal_role_at_(view, first + i);
    if (shoal_load32_relaxed(&role->live.word) || shoal_live_take_(&role->live)) continue;
    int rc = view->ops->join ? view->ops->join(view, side) : 0;
    if (rc) {
      shoal_live_drop_(&role->live);
      return rc;
    }
    settle(view, side, i);
    return (int)(first + i);
  }
  return -EUSERS;
}

static int join(struct shoal_eventcount_view *view, int side) {
  int role = take_free(view, side), reaped = 0;
  while (role == -EUSERS && (reaped = reap_side(view, side)) > 0) role = take_free(view, side);
  if (reaped < 0) return reaped;
  if (role == -EUSERS)
    return shoal_fail_(-EUSERS, "all %u %s are taken by the living", view->count[side],
                       side == SHOAL_PRODUCER ? "producers" : "consumers");
  return role;
}

static int is_mine(const struct shoal_eventcount_view *view, uint32_t r) {
  const struct shoal_role *role = shoal_role_at_(view, r);
  uint32_t tid = shoal_thread_.tid;
  return shoal_robust_owner(shoal_load32_relaxed(&role->live.word)) == tid && shoal_load32_relaxed(&role->tid) == tid &&
         shoal_load64_relaxed(&role->handle) == view->id;
}

static uint32_t find(const struct shoal_eventcount_view *view, int side) {
  uint32_t r = first_of(view, side), end = r + top_of(view, side);
  while (r < end && !is_mine(view, r)) r++;
  return r < end ? r : 0;
}

uint32_t shoal_role_known(struct shoal_eventcount_view *view, int side) {
  shoal_self_();
  uint32_t role = find(view, side);
  if (role && view->ops->owns && !view->ops->owns(view, side)) return 0;
  if (role) remember(view, side, role);
  return role;
}

int shoal_role_find_(struct shoal_eventcount_view *view, int side) {
  struct shoal_thread_ *t = shoal_self_();
  int role = (int)shoal_role_known(view, side);
  if (role) return role;
  void *pending = shoal_pending_set_(t, &view->shm->bell);
  role = join(view, side);
  shoal_pending_restore_(t, pending);
  if (role > 0) remember(view, side, (uint32_t)role);
  return role;
}

void shoal_role_hold(struct shoal_eventcount_view *view, uint32_t role) {
  struct shoal_role *r = shoal_role_at_(view, role);
  if (SHOAL_LIKELY(shoal_load32_relaxed(&r->holder))) return;
  shoal_store32_relaxed(&r->holder, 1);  // before the ring's read-modify-writes: who looks again because of it sees it
  shoal_eventcount_ring(view->shm);
}

int shoal_role_leave(struct shoal_eventcount_view *view, int side) {
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &view->shm->bell);
  int rc = 0;
  for (uint32_t r; !rc && (r = find(view, side));)
    rc = give_back(view, r, shoal_load32_relaxed(&shoal_role_at_(view, r)->holder), SHOAL_TRY);
  if (!rc) remember(view, side, 0);
  shoal_pending_restore_(t, pending);
  return rc;
}

uint32_t shoal_role_count(const struct shoal_eventcount_view *view, int side) {
  uint32_t n = 0, r = first_of(view, side), end = r + top_of(view, side);
  for (; r < end; r++) n += shoal_robust_owner(live_word(shoal_role_at_(view, r))) != 0;
  return n;
}

int shoal_role_elsewhere_(const struct shoal_eventcount_view *view) {
  for (uint32_t r = 1; r <= view->count[0] + view->count[1]; r++) {
    const struct shoal_role *role = shoal_role_at_(view, r);
    uint32_t owner = shoal_robust_owner(shoal_load32_relaxed(&role->live.word));
    if (owner && owner != shoal_self_()->tid && shoal_load64_relaxed(&role->handle) == view->id &&
        shoal_load32_relaxed(&role->pid) == (uint32_t)getpid() &&
        !shoal_thread_missing_((uint32_t)getpid(), owner))  // else another process undoes what one of ours had
      return 1;
  }
  return 0;
}

// ---- waiting ----

enum { LOOK_AGAIN = 1 };
#define EVENT 1  // entries[0] is the bell
#define WITNESSES_FROM 2
#define LOOKS_MAX 256u  // in a row, each of which said that the next attempt need not fail: its words are damaged
#define DOUBT_NS INT64_C(1000000)

static void witness(struct shoal_sleeper_ *s, struct shoal_role *role, uint32_t word) {
  if (s->n < s->room) s->witnesses[s->n++] = (struct shoal_futex_entry){&role->live.word, word};
}

static void fence(struct shoal_sleeper_ *s) {
  if (s->view->flags & SHOAL_EC_EXCHANGE) return;
  count(&s->view->shm->counters.fences, 1);
  shoal_fence_all();
}

// The claim in the way. A live word is always read before the claim, or the flag, that makes it a witness is read, or
// read again: if it has changed since, futex_waitv refuses to sleep.
static int look_at_blocker(struct shoal_sleeper_ *s, uint32_t *blocker) {
  struct shoal_eventcount_view *view = s->view;
  uint32_t b = *blocker = view->ops->blocker(view, s->side);
  s->blocked = 0;
  if (b == SHOAL_BLOCKER_NONE) return LOOK_AGAIN;
  if (!shoal_role_valid_(view, b)) return 0;
  uint32_t word = live_word(shoal_role_at_(view, b));
  if (shoal_robust_owner(word)) {
    s->blocked = 1;
    witness(s, shoal_role_at_(view, b), word);
    if (s->can_sleep) fence(s);  // [A1]
  }
  return view->ops->blocker(view, s->side) == b ? 0 : LOOK_AGAIN;
}

// What may die with a message, or a place for one, in hand; or dies while it empties the role of another.
static int must_watch(const struct shoal_role *role, uint32_t word) {
  // [A6] pairs with [R6], the release of `busy` in ipc/queue/queue.h: seen idle, its slot is seen freed
  return shoal_load32_acquire(&role->busy) || shoal_load32_relaxed(&role->holder) ||
         shoal_load32_relaxed(&role->tid) != shoal_robust_owner(word);
}

// Nobody lives on `side`, and nobody is to come.
static int deserted(struct shoal_eventcount_view *view, int side) {
  if (view->expected) return !view->expected(view, side);
  return (int)shoal_load32_relaxed(&view->shm->seen[side]);
}
static int awaits(const struct shoal_sleeper_ *s) {
  return s->side == SHOAL_PRODUCER && (s->view->flags & SHOAL_EC_AWAITS);
}

// Every other role: reaps the dead, chooses witnesses, looks for a peer.
static int look_at_roles(struct shoal_sleeper_ *s, uint32_t blocker) {
  struct shoal_eventcount_view *view = s->view;
  uint32_t producers = top_of(view, SHOAL_PRODUCER), all = producers + top_of(view, SHOAL_CONSUMER);
  int again = 0, peer = 0, left_out = 0;
  for (uint32_t i = 0, from = window; i < all; i++) {
    uint32_t k = (from + i) % all;
    uint32_t r = k < producers ? 1 + k : first_of(view, SHOAL_CONSUMER) + k - producers;
    struct shoal_role *role = shoal_role_at_(view, r);
    uint32_t word = live_word(role);
    if (!word || r == s->me) continue;
    if (!shoal_robust_owner(word)) {
      int rc = reap(view, r, word, s->deadline);
      if (rc < 0) return rc;
      again = 1;
      continue;
    }
    int is_peer = side_of(view, r) == peers_of(s->side), chosen = r == blocker;
    if (!chosen && (must_watch(role, word) || (is_peer && awaits(s)))) {
      chosen = s->n + 1 < s->room;
      if (chosen) witness(s, role, word);
      else if (!left_out++) window = k;  // the next sleep begins with it
    }
    if (!chosen && is_peer && !peer) witness(s, role, word);
    peer |= is_peer;
  }
  if (again) return LOOK_AGAIN;
  s->ending = (shoal_eventcount_closed(view->shm) && s->side != SHOAL_JOINER) ||
              (!peer && !awaits(s) && deserted(view, peers_of(s->side)));
  return 0;
}

static int look(struct shoal_sleeper_ *s) {
  uint32_t blocker;
  s->n = 0;
  int rc = look_at_blocker(s, &blocker);
  return rc ? rc : look_at_roles(s, blocker);
}

static uint32_t arm(shoal_atomic32 *ev, uint32_t end) {
  uint32_t old = shoal_load32_relaxed(ev), armed;
  do armed = (old + SEQUENCE) | W | end | (old & W) * W2;
  while (!shoal_cas32_seq_cst(ev, &old, armed));  // [A1] pairs with [C1]
  return armed;
}

// An event may hide the bell: is there anything that only the bell would have told?
static int in_doubt(struct shoal_sleeper_ *s) {
  if (shoal_eventcount_closed(s->view->shm) && !s->rung) return s->rung = 1;
  for (int side = 0; side < 2; side++) {
    uint32_t r = first_of(s->view, side), end = r + top_of(s->view, side);
    for (; r < end; r++)
      if (shoal_robust_is_dead(live_word(shoal_role_at_(s->view, r)))) return 1;
  }
  return 0;
}

static void mark_the_gone(struct shoal_eventcount_view *view) {
  for (int side = 0; side < 2; side++) {
    uint32_t r = first_of(view, side), end = r + top_of(view, side);
    for (; r < end; r++) {
      uint32_t word = live_word(shoal_role_at_(view, r));
      if (shoal_robust_owner(word)) shoal_robust_mark_if_gone_(&shoal_role_at_(view, r)->live, word);
    }
  }
}

void shoal_sleeper_woken_(struct shoal_sleeper_ *s, enum shoal_woken_ by) {
  if (by == SHOAL_WOKEN_LATE_) mark_the_gone(s->view);
  if (by != SHOAL_WOKEN_BY_EVENT_ || in_doubt(s)) shoal_eventcount_ring(s->view->shm);
}

void shoal_sleeper_hand_on_(struct shoal_sleeper_ *s) {
  uint32_t now = shoal_load32_seq_cst(s->ev.word);  // [C1] as who published what the wake was for
  if ((now ^ s->ev.value) >= SEQUENCE) shoal_eventcount_wake_(s->view->shm, s->side, 1);
}

// Spins for about what a wake-up costs; the budget learns. One that has shrunk to nothing would never learn that the
// sleeps are short because of the wake-ups themselves: after PROBE of those it spins for long, once.
static int spin(struct shoal_role *role, int (*attempt)(void *op), void *op) {
  uint32_t state = role->live.state, budget = state & BUDGET, looks = state / SLEPT < PROBE ? budget : SHOAL_SPIN_LONG;
  for (uint32_t i = 0; i < looks && i < shoal_spin_max_; i++) {
    shoal_pause();
    int rc = attempt(op);
    if (rc != -EAGAIN) {
      role->live.state = shoal_spin_paid(2 * i > budget ? 2 * i : budget, SHOAL_SPIN_LONG);
      return rc;
    }
  }
  role->live.state = shoal_spin_failed(budget) | (state / SLEPT < PROBE ? state & ~BUDGET : 0);
  return -EAGAIN;
}
// Lets others run before it arms, what it waits for among them. The spin learns nothing of it: the time was theirs.
static int give_way(const struct shoal_eventcount_view *view, int (*attempt)(void *op), void *op,
                    shoal_deadline deadline) {
  int rc = -EAGAIN;
  for (uint32_t i = 0; rc == -EAGAIN && i < view->yields && i < shoal_spin_max_; i++) {
    if (shoal_deadline_passed(deadline)) break;
    sched_yield();
    rc = attempt(op);
  }
  return rc;
}
static void slept(struct shoal_role *role, int64_t since_ns) {
  uint32_t state = role->live.state;
  if (state / SLEPT < PROBE && shoal_now_ns() - since_ns < SOON_NS) role->live.state = state + SLEPT;
}

void shoal_sleeper_arm_(struct shoal_sleeper_ *s) {
  struct shoal_eventcount *shm = s->view->shm;
  s->armed_for_end = s->draining;
  s->fenced = !s->can_sleep || !((s->view->flags & SHOAL_EC_UNCLAIMED) || s->draining);
  // [A2] before the attempt: if it closes after, the sleep is refused
  s->bell = (struct shoal_futex_entry){&shm->bell, shoal_load32_seq_cst(&shm->bell)};
  shoal_atomic32 *ev = event_of(shm, s->side);
  if (s->can_sleep) s->ev = (struct shoal_futex_entry){ev, arm(ev, s->draining ? E : 0)};
}

int shoal_sleeper_settle_(struct shoal_sleeper_ *s) {
  const struct shoal_wait_ops *ops = s->view->ops;
  uint32_t looks = 0;
  s->doubt = 0;
  for (int ended = 0;;) {
    int rc = s->attempt(s->op);
    if (rc != -EAGAIN) return rc;
    int looked = look(s);
    if (looked < 0) return looked;
    if (looked) {
      if (++looks < LOOKS_MAX) continue;
      s->doubt = 1;
      return -EAGAIN;
    }
    looks = 0;
    if (!s->fenced) {
      fence(s);  // [A1]
      s->fenced = 1;
    } else if (!s->ending || (s->blocked && s->side == SHOAL_CONSUMER)) {  // a message may still come; room may not
      return -EAGAIN;
    } else if (!ended) {                                  // the last peer may have put, then died or closed: once more
      if (s->view->flags & SHOAL_EC_UNCLAIMED) fence(s);  // [A2]
      ended = 1;
    } else if (s->side == SHOAL_CONSUMER && ops->held && ops->held(s->view, s->me)) {
      s->draining = 1;
      return -EAGAIN;
    } else {
      return -EPIPE;
    }
  }
}

int64_t shoal_sleeper_due_(const struct shoal_sleeper_ *s) {
  int64_t due = s->view->ops->due ? s->view->ops->due(s->view, s->side) : INT64_MAX;
  int64_t soon = s->doubt ? shoal_now_ns() + DOUBT_NS : INT64_MAX;
  return due < soon ? due : soon;
}

// 1 if it slept until the re-check.
static int sleep_once(struct shoal_sleeper_ *s, struct shoal_futex_entry *entries, int64_t now,
                      shoal_deadline deadline) {
  int64_t end = deadline.ns - now > SHOAL_RECHECK_NS ? now + SHOAL_RECHECK_NS : deadline.ns;
  int64_t due = shoal_sleeper_due_(s);
  if (due < end) end = due;
  count(&s->view->shm->counters.sleeps, 1);
  entries[0] = s->bell;
  entries[EVENT] = s->ev;
  int woke = shoal_futex_wait_many(entries, WITNESSES_FROM + s->n, EVENT, (shoal_deadline){end});
  int late = woke == -ETIMEDOUT && end != deadline.ns && end != due;
  if (woke >= 0 || late)
    shoal_sleeper_woken_(s, late ? SHOAL_WOKEN_LATE_ : woke == EVENT ? SHOAL_WOKEN_BY_EVENT_ : SHOAL_WOKEN_BY_DEATH_);
  return late;
}

// It armed, and found what it waited for before it slept: nobody need wake it. Not if another has armed, or was told,
// since.
static void disarm(const struct shoal_sleeper_ *s) {
  uint32_t armed = s->ev.value;
  if (!(armed & W2)) shoal_cas32_relaxed(s->ev.word, &armed, armed & ~(W | E));
}

int shoal_eventcount_wait(struct shoal_eventcount_view *view, int side, uint32_t me, int (*attempt)(void *op), void *op,
                          shoal_deadline deadline) {
  struct shoal_futex_entry entries[SHOAL_FUTEX_MANY];
  struct shoal_sleeper_ s = {.view = view,
                             .attempt = attempt,
                             .op = op,
                             .side = side,
                             .me = me,
                             .deadline = deadline,
                             .can_sleep = !shoal_deadline_is_try(deadline),
                             .witnesses = entries + WITNESSES_FROM,
                             .room = SHOAL_FUTEX_MANY - WITNESSES_FROM};
  struct shoal_role *role = s.can_sleep && side != SHOAL_JOINER ? shoal_role_at_(view, me) : NULL;
  uint32_t budget = role ? role->live.state & BUDGET : 0;
  int rc = role ? spin(role, attempt, op) : -EAGAIN, late = 0;
  int64_t from = 0;  // of the last sleep
  if (role && rc == -EAGAIN) rc = give_way(view, attempt, op, deadline);
  while (rc == -EAGAIN) {
    shoal_sleeper_arm_(&s);
    rc = shoal_sleeper_settle_(&s);
    if (rc != -EAGAIN && s.can_sleep) disarm(&s);
    if (rc == 0 && role && !from)
      role->live.state = shoal_spin_paid(budget, SHOAL_SPIN_LONG);  // had it looked a little longer
    if (rc != -EAGAIN) break;
    if (!s.can_sleep || shoal_deadline_passed(deadline)) return shoal_deadline_error(deadline);
    if (s.draining != s.armed_for_end) continue;
    from = shoal_now_ns();
    late = sleep_once(&s, entries, from, deadline);
    rc = attempt(op);
  }
  if (rc == 0 && role && from) slept(role, from);
  if (late) count(&view->shm->counters.late, 1);
  return rc;
}
