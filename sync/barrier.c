#include "sync/barrier.h"

#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/backoff.h"
#include "core/error.h"
#include "sync/gate.h"

// shoal_barrier.word. Whatever is decided is decided by a compare-and-set of all of it.
union word {
  uint64_t all;
  struct {
    uint32_t left : 10;     // FILLING: have not arrived. ACTING: the place of who runs the action. BROKEN: why
    uint32_t parties : 10;  // of a turn
    uint32_t state : 2;
    uint32_t sense : 1;   // flips when a turn is completed, and only then
    uint32_t resets : 9;  // counts them
    uint32_t turn;        // moves on whenever those who wait have to look
  };
};
SHOAL_STATIC_ASSERT(sizeof(union word) == 8 && offsetof(union word, turn) == 4, "half_[1] is the turn");

enum { NONE, FILLING, ACTING, BROKEN };  // states; NONE: not a barrier

// A call of wait. It cannot be overtaken by two completions, since the second needs its arrival: however late it looks,
// another sense than that of its arrival says that its turn was completed, whatever has happened since. (Of resets it
// notices but those that are no multiple of 512, and of turns none while they are one of 2^32: it is stopped, and they
// go on without it.)
struct visit {
  struct shoal_barrier *b;
  struct shoal_seat *seat;
  int (*action)(void *arg);
  void *arg;
  int only_last;  // SHOAL_TRY
  int failure;    // what the action answered
  int arrived;
  union word at;  // as it was when it arrived or, if it has not, when it last looked
  uint32_t index;
};

#define RESETTING 5                       // a reason to be broken, besides those of the header
#define RECORD_WAITS (UINT64_C(1) << 32)  // in a seat's record, above the turn

// ---- the word ----

static union word look(const struct shoal_barrier *b) {
  // [B2] pairs with [B1]; after the gate's [G1] it sees, or is seen
  return (union word){.all = shoal_load64_seq_cst(&b->word)};
}
// *w: what was found, if it had changed. Sequentially consistent: the gate is looked at after it.
static int change(struct shoal_barrier *b, union word *w, union word next) {
  return shoal_cas64_seq_cst(&b->word, &w->all, next.all);  // [B1] pairs with [B2]; the gate's [G2] comes after it
}
static union word next_turn(union word w, uint32_t parties) {
  w.turn++;
  w.state = FILLING;
  w.parties = parties & SHOAL_BARRIER_MAX;
  w.left = parties & SHOAL_BARRIER_MAX;
  return w;
}
static union word completed(union word w) {
  w.sense ^= 1;
  return next_turn(w, w.parties);
}
static union word broken(union word w, uint32_t why) {
  w.turn++;
  w.state = BROKEN;
  w.left = why & SHOAL_BARRIER_MAX;
  return w;
}

static int is_open(union word w) { return w.state == FILLING || w.state == ACTING; }
static int is_resetting(union word w) { return w.state == BROKEN && w.left == RESETTING; }
static int acts(union word w, uint32_t place) { return w.state == ACTING && w.left == place; }

static void ring(struct shoal_barrier *b) {
  if (shoal_gate_asleep_(&b->gate)) shoal_gate_ring_(&b->gate);
}

// 1, or 0: the turn is over, or the barrier is broken already.
static int break_turn(struct shoal_barrier *b, uint32_t turn, uint32_t why, uint32_t culprit) {
  union word w = look(b);
  do {
    if (w.turn != turn || !is_open(w)) return 0;
    shoal_store32_relaxed(&b->culprit, culprit);
  } while (!change(b, &w, broken(w, why)));
  ring(b);
  return 1;
}
// A reset is begun as a broken turn, in which all that sleep are told while nobody can join them: whom the kernel wakes
// when its author is killed has to be one of them. Whoever comes ends it. The word after it.
static union word end_reset(struct shoal_barrier *b, union word w) {
  if (is_resetting(w)) ring(b);
  while (is_resetting(w)) {
    union word next = next_turn(w, w.parties);
    next.resets++;
    if (change(b, &w, next)) w = next;
  }
  return w;
}

// Whatever turn it is.
static void break_it(struct shoal_barrier *b, uint32_t why, uint32_t culprit) {
  union word w;
  do w = end_reset(b, look(b));
  while (!break_turn(b, w.turn, why, culprit) && look(b).turn != w.turn);
}

static int is_none(const struct shoal_barrier *b) {
  union word w = look(b);
  return w.state == NONE;
}
static int not_a_barrier(void) { return shoal_fail_(-EINVAL, "not a barrier, or destroyed"); }

static int is_broken(const struct shoal_barrier *b, union word w) {
  static const char *const why[] = {[SHOAL_BARRIER_ABORTED] = "aborted",
                                    [SHOAL_BARRIER_TIMED_OUT] = "a deadline passed",
                                    [SHOAL_BARRIER_DIED] = "a party died",
                                    [SHOAL_BARRIER_FAILED] = "the action failed"};
  uint32_t n = w.left;
  return shoal_fail_(-EPIPE, "the barrier is broken: %s, by thread %u", n && n < 5 ? why[n] : "no reason given",
                     shoal_load32_relaxed(&b->culprit));
}

// ---- places ----

static uint32_t places(const struct shoal_barrier *b) {
  uint32_t n = __atomic_load_n(&b->parties, __ATOMIC_RELAXED), seats = shoal_seats_count_(&b->seats);
  if (n > SHOAL_BARRIER_MAX) n = SHOAL_BARRIER_MAX;
  return n < seats ? n : seats;
}
static int drops(const struct shoal_barrier *b) {
  return (__atomic_load_n(&b->flags, __ATOMIC_RELAXED) & SHOAL_BARRIER_DROP) != 0;
}
static uint32_t place_of(const struct shoal_barrier *b, const struct shoal_seat *seat) {
  return (uint32_t)(seat - shoal_seat_at_(&b->seats, 0));
}
static uint32_t tid_of(const struct shoal_seat *seat) { return (uint32_t)shoal_seat_owner_(seat); }
static int awaited(const struct shoal_seat *seat) {
  return shoal_load32_relaxed(&seat->event) != SHOAL_BARRIER_DROPPED_;
}
static int waits_in(const struct shoal_seat *seat, uint32_t turn) {
  return shoal_load64_relaxed(&seat->record) == (RECORD_WAITS | turn);
}

// A place has been marked, or its mark taken away, by who sits there or its heir: if that one dies midway it is done
// again. The turn starts over: all who wait arrive anew, so nothing need be known of what the dead had done. While the
// action runs all have arrived, and it is not run twice for another's death: only the next turn differs. The turn moves
// all the same: of two who count at once, the later has seen both marks, for the earlier made its compare-and-set fail,
// equal numbers or not.
static void recount(struct shoal_barrier *b, uint32_t place) {
  union word w = look(b), next;
  do {
    uint32_t n = 0;
    for (uint32_t i = 0; i < places(b); i++) n += awaited(shoal_seat_at_(&b->seats, i));
    next = w;
    if (w.state == FILLING || acts(w, place)) next = next_turn(w, n);
    else next.turn++, next.parties = n & SHOAL_BARRIER_MAX;
  } while (!change(b, &w, next));
}

// Rings before the seat is free: whoever is woken in place of all by a death in between finds the seat, and rings.
static void recover(struct shoal_seat *seat, void *arg) {
  struct shoal_barrier *b = arg;
  if (drops(b)) {
    shoal_store32_relaxed(&seat->event, SHOAL_BARRIER_DROPPED_);
    recount(b, place_of(b, seat));
  } else {
    break_it(b, SHOAL_BARRIER_DIED, tid_of(seat));
  }
  shoal_store64_relaxed(&seat->record, 0);
  ring(b);
}
static int reap(struct shoal_barrier *b) { return shoal_seat_reap_(&b->seats, recover, b); }

static struct shoal_seat *find_place(struct shoal_barrier *b) {
  struct shoal_seat *seat = shoal_seat_find_if_(&b->seats, awaited);
  if (!seat) seat = shoal_seat_find_(&b->seats);
  if (!seat && reap(b)) seat = shoal_seat_find_(&b->seats);
  return seat;
}

static SHOAL_NOINLINE int sit_down(struct shoal_barrier *b, struct shoal_thread_ *t, struct shoal_seat **out) {
  if (is_none(b)) return not_a_barrier();
  struct shoal_seat *seat = find_place(b);
  if (!seat) return -EUSERS;
  if (!shoal_seat_taken_(shoal_seat_word_(seat))) shoal_seat_sit_(t, seat);  // [A2] of sync/seat.h
  if (!awaited(seat)) {
    shoal_store32_relaxed(&seat->event, 0);
    recount(b, place_of(b, seat));
    ring(b);
  }
  *out = seat;
  return 0;
}

// ---- arriving ----

static int is_over(const struct visit *v, union word w) {
  if (w.state == BROKEN && !is_resetting(w)) return is_broken(v->b, w);
  return w.state == NONE ? not_a_barrier() : shoal_fail_(-EPIPE, "the barrier was reset");
}

// Runs the action, and ends the turn with it, if the word still says that it is run here: nobody else can have made it
// say so. Killed here: the others watch its seat.
static int act(struct visit *v, union word w) {
  uint32_t place = place_of(v->b, v->seat);
  v->failure = v->action(v->arg);
  do {
    if (!acts(w, place)) return is_over(v, w);
    if (v->failure) shoal_store32_relaxed(&v->b->culprit, shoal_self_()->tid);
  } while (!change(v->b, &w, v->failure ? broken(w, SHOAL_BARRIER_FAILED) : completed(w)));
  return v->failure ? shoal_fail_(-ECANCELED, "the barrier's action failed") : 0;
}

static int wait_to_arrive(struct visit *v, union word w) {
  if (w.state != ACTING) return is_over(v, w);
  return acts(w, place_of(v->b, v->seat)) ? shoal_fail_(-EDEADLK, "a wait within the action") : -EAGAIN;
}

static int arrive(struct visit *v, union word w) {
  union word next;
  do {
    if (SHOAL_UNLIKELY(is_resetting(w))) w = end_reset(v->b, w);
    v->at = w;
    if (SHOAL_UNLIKELY(w.state != FILLING)) return wait_to_arrive(v, w);
    next = w;
    if (w.left > 1 && v->only_last) return -EAGAIN;
    if (w.left > 1) next.left--;
    else if (!v->action) next = completed(w);
    else next.state = ACTING, next.left = place_of(v->b, v->seat) & SHOAL_BARRIER_MAX;
  } while (!change(v->b, &w, next));
  v->index = w.left ? w.left - 1 : 0;
  v->arrived = w.left > 1;
  if (v->arrived) {
    shoal_store64_relaxed(&v->seat->record, RECORD_WAITS | w.turn);
    return -EAGAIN;
  }
  int rc = v->action ? act(v, next) : 0;
  ring(v->b);
  return rc;
}

// The word has moved on, and the turn was not completed. If others were dropped it arrives anew, unless the action
// runs: nobody can run it before this one has arrived.
static int look_again(struct visit *v, union word w) {
  if (!is_open(w) || w.resets != v->at.resets || !drops(v->b)) return is_over(v, w);
  if (w.state == FILLING) return arrive(v, w);
  v->at = w;
  shoal_store64_relaxed(&v->seat->record, RECORD_WAITS | w.turn);
  return -EAGAIN;
}

static int attempt(void *op) {
  struct visit *v = op;
  union word w = look(v->b);
  if (!v->arrived) return arrive(v, w);
  if (w.turn == v->at.turn && is_open(w)) return -EAGAIN;
  return w.sense != v->at.sense ? 0 : look_again(v, w);
}

// ---- waiting ----

// In the hands of an heir, whose death is not its owner's.
static int adopted(const struct shoal_seat *seat, uint32_t word) {
  return shoal_seat_taken_(word) && shoal_robust_owner(word) != tid_of(seat);
}

// The places are a circle. Each sleeper watches those behind it, up to and with the next that has arrived: so each
// place is watched by the sleeper before it. Places nobody has taken, too: who sits down there and dies does not change
// what they wait for otherwise.
static int watch_those_behind(const struct visit *v, struct shoal_watch_ *set) {
  uint32_t n = places(v->b), me = place_of(v->b, v->seat);
  int beyond = 0;
  for (uint32_t i = 1; i < n; i++) {
    struct shoal_seat *seat = shoal_seat_at_(&v->b->seats, (me + i) % n);
    uint32_t word = shoal_seat_word_(seat);  // [A2] of sync/seat.h
    if (shoal_seat_is_dead_(word)) {  // since the reaping; or damaged, where that does not look: not to be met for ever
      shoal_seat_reap_one_(seat, recover, v->b);
      return 1;
    }
    if (beyond ? adopted(seat, word) : (word || awaited(seat))) shoal_watch_add_(set, &seat->live.word, word);
    beyond |= waits_in(seat, v->at.turn);
  }
  return 0;
}

static int watch(void *op, struct shoal_watch_ *set) {
  struct visit *v = op;
  int reaped = reap(v->b);
  if (reaped || !set) return reaped;
  shoal_watch_add_(set, &v->b->half_[1], v->at.turn);
  return watch_those_behind(v, set);
}

// What a thread has learnt of waiting. Where parties share processors, one that waits holds up those that it waits for:
// it gives way to them. If others than they run then, for long, and do so again, it had better sleep, to be woken in
// front of them; one time slice is what the start of a crowd takes, too. Two that sleep for each other would never find
// out that they need not: now and then it spins for as long as a wake-up may take.
#define PROBE 64  // every so many of those
#define PROBE_SPIN (4 * SHOAL_SPIN_MAX)
#define YIELDS 4
#define YIELD_NOBODY_NS 1000  // so quick that nobody else wanted to run: a spin would have done
#define YIELD_HOG_NS 500000   // so slow that it was a stranger's time slice
#define YIELD_REST 256
static __thread struct {
  uint32_t spin;
  uint32_t rest;   // turns without giving way
  uint32_t wary;   // turns in which giving way has to pay before one stranger is forgiven again
  uint32_t turns;  // in which it spun in vain
} patience = {SHOAL_SPIN_MAX / 2, 0, 0, 1};

static int moved(const struct visit *v) { return look(v->b).turn != v->at.turn; }

static void met_stranger(void) {
  if (patience.wary) patience.rest = YIELD_REST;
  patience.wary = YIELD_REST;
}

static int give_way(struct visit *v) {
  int64_t from = shoal_now_ns();
  for (int i = 0; i < YIELDS && !patience.rest; i++) {
    sched_yield();
    int64_t to = shoal_now_ns();
    if (to - from > YIELD_HOG_NS) met_stranger();
    if (moved(v)) {
      if (patience.wary) patience.wary--;
      if (to - from < YIELD_NOBODY_NS) patience.spin = shoal_spin_paid(patience.spin, SHOAL_SPIN_MAX);
      return attempt(v);
    }
    from = to;
  }
  return -EAGAIN;
}

static int spin(struct visit *v) {
  uint32_t budget = patience.turns % PROBE ? patience.spin : PROBE_SPIN;
  for (uint32_t i = 0; i < budget; i++) {
    shoal_pause();
    if (!moved(v)) continue;
    patience.spin = shoal_spin_paid(budget, SHOAL_SPIN_MAX);
    return attempt(v);
  }
  patience.turns++;
  patience.spin = shoal_spin_failed(patience.spin);
  if (!patience.rest) return give_way(v);
  patience.rest--;
  return -EAGAIN;
}

// The deadline has passed: nobody of this turn goes on, unless all have arrived by now.
static int give_up(struct visit *v) {
  for (;;) {
    int rc = attempt(v);
    if (rc != -EAGAIN) return rc;
    if (!v->arrived || break_turn(v->b, v->at.turn, SHOAL_BARRIER_TIMED_OUT, shoal_self_()->tid)) return -ETIMEDOUT;
  }
}

// It goes on with its own turn, but the kernel may have woken it for the end of the next, whose author was killed: it
// tells those who sleep in that.
static void pass_on(const struct visit *v) {
  if (look(v->b).turn != v->at.turn + 1) ring(v->b);
}

static int wait_as(struct visit *v, shoal_deadline deadline) {
  static const struct shoal_gate_ops_ ops = {attempt, watch};
  if (v->only_last) return shoal_gate_wait_(&v->b->gate, &ops, v, deadline);
  int rc = attempt(v);
  if (rc == -EAGAIN) rc = spin(v);
  if (rc != -EAGAIN) return rc;
  rc = shoal_gate_sleep_(&v->b->gate, &ops, v, deadline);
  if (rc == -ETIMEDOUT) rc = give_up(v);
  if (rc == 0) pass_on(v);
  return rc;
}

static shoal_deadline deadline_of(const struct shoal_barrier *b, shoal_deadline deadline) {
  int64_t timeout = __atomic_load_n(&b->timeout_ns, __ATOMIC_RELAXED);
  return timeout > 0 && shoal_deadline_is_forever(deadline) ? shoal_after_ns(timeout) : deadline;
}

int shoal_barrier_wait_action(struct shoal_barrier *b, shoal_deadline deadline, int (*action)(void *), void *arg,
                              uint32_t *index) {
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &b->gate);
  struct visit v = {.b = b, .action = action, .arg = arg, .only_last = shoal_deadline_is_try(deadline)};
  int rc = 0;
  v.seat = shoal_seat_recall_(t, &b->seats);
  if (SHOAL_UNLIKELY(!v.seat || shoal_load32_relaxed(&v.seat->live.word) == 0)) rc = sit_down(b, t, &v.seat);
  if (SHOAL_LIKELY(rc == 0)) {
    rc = wait_as(&v, deadline_of(b, deadline));
    shoal_store64_relaxed(&v.seat->record, 0);
  }
  if (SHOAL_UNLIKELY(v.failure)) rc = v.failure;
  shoal_pending_restore_(t, pending);
  if (rc == 0 && index) *index = v.index;
  return rc;
}

int shoal_barrier_wait(struct shoal_barrier *b, shoal_deadline deadline, uint32_t *index) {
  return shoal_barrier_wait_action(b, deadline, NULL, NULL, index);
}

// ---- the rest ----

int shoal_barrier_join(struct shoal_barrier *b) {
  struct shoal_thread_ *t = shoal_self_();
  struct shoal_seat *seat;
  void *pending = shoal_pending_set_(t, &b->gate);
  int rc = sit_down(b, t, &seat);
  shoal_pending_restore_(t, pending);
  return rc;
}

int shoal_barrier_leave(struct shoal_barrier *b) {
  struct shoal_thread_ *t = shoal_self_();
  struct shoal_seat *seat = shoal_seat_known_(&b->seats);
  if (!seat) return 0;
  if (acts(look(b), place_of(b, seat))) return shoal_fail_(-EDEADLK, "the party runs the barrier's action");
  void *pending = shoal_pending_set_(t, &b->gate);
  if (drops(b) && shoal_seat_taken_(shoal_seat_word_(seat))) {  // [A2] of sync/seat.h
    shoal_store32_relaxed(&seat->event, SHOAL_BARRIER_DROPPED_);
    recount(b, place_of(b, seat));
    ring(b);
  }
  shoal_seat_leave_(&b->seats, seat);
  shoal_pending_restore_(t, pending);
  return 0;
}

int shoal_barrier_abort(struct shoal_barrier *b) {
  struct shoal_thread_ *t = shoal_self_();
  if (is_none(b)) return not_a_barrier();
  void *pending = shoal_pending_set_(t, &b->gate);
  break_it(b, SHOAL_BARRIER_ABORTED, t->tid);
  shoal_pending_restore_(t, pending);
  return 0;
}

int shoal_barrier_reset(struct shoal_barrier *b) {
  struct shoal_thread_ *t = shoal_self_();
  if (is_none(b)) return not_a_barrier();
  void *pending = shoal_pending_set_(t, &b->gate);
  reap(b);
  union word w = look(b), begun;
  do begun = broken(w, RESETTING);
  while (w.state != NONE && !is_resetting(w) && !change(b, &w, begun));
  end_reset(b, look(b));
  shoal_pending_restore_(t, pending);
  return 0;
}

uint64_t shoal_barrier_size(uint32_t parties) {
  if (parties == 0 || parties > SHOAL_BARRIER_MAX) return 0;
  return sizeof(struct shoal_barrier) + shoal_seats_size_(parties);
}

int shoal_barrier_init(struct shoal_barrier *b, uint32_t parties, const struct shoal_barrier_options *options) {
  uint64_t size = shoal_barrier_size(parties);
  struct shoal_barrier_options o = options ? *options : (struct shoal_barrier_options){0};
  if (!size) return shoal_fail_(-EINVAL, "a barrier of %u parties: 1..%u", parties, SHOAL_BARRIER_MAX);
  if (o.flags & ~SHOAL_BARRIER_DROP || o.timeout_ns < 0) return shoal_fail_(-EINVAL, "unknown options of a barrier");
  memset(b, 0, size);
  int rc = shoal_seats_init_(&b->seats, parties);
  if (rc) return rc;
  b->parties = parties;
  b->flags = o.flags;
  b->timeout_ns = o.timeout_ns;
  shoal_store64_relaxed(&b->word, next_turn((union word){0}, parties).all);
  return 0;
}

int shoal_barrier_check_(const void *memory, uint64_t size) {
  const struct shoal_barrier *b = memory;
  if (size < sizeof *b) return shoal_fail_(-EPROTO, "no room for a barrier");
  uint32_t parties = __atomic_load_n(&b->parties, __ATOMIC_RELAXED);
  uint64_t needed = shoal_barrier_size(parties);
  if (!needed || needed > size || is_none(b) || shoal_seats_said_(&b->seats) != parties)
    return shoal_fail_(-EPROTO, "no barrier, or it does not fit");
  return 0;
}

// Another thread that lives and has not left: the last it does here is to give up the seat. One that died between
// taking the seat and sitting down has left.
static uint32_t another(const struct shoal_barrier *b) {
  for (uint32_t i = 0, top = shoal_seats_top_(&b->seats); i < top && i < places(b); i++) {
    const struct shoal_seat *seat = shoal_seat_at_(&b->seats, i);
    uint32_t tid = shoal_robust_owner(shoal_seat_word_(seat));          // [A2] of sync/seat.h
    if (!tid) tid = (uint32_t)shoal_load64_acquire(&seat->live.user_);  // [A3] pairs with [R3] in sync/seat.c
    if (tid && tid != shoal_self_()->tid && (syscall(SYS_tkill, tid, 0) == 0 || errno != ESRCH)) return tid;
  }
  return 0;
}

int shoal_barrier_destroy(struct shoal_barrier *b) {
  if (is_none(b)) return not_a_barrier();
  reap(b);
  uint32_t tid = another(b);
  if (tid) return shoal_fail_(-EBUSY, "thread %u has not left the barrier", tid);
  union word w = look(b), next;
  if (w.state == ACTING) return shoal_fail_(-EBUSY, "the barrier's action runs");
  do next = (union word){.turn = w.turn + 1};
  while (!change(b, &w, next));
  return shoal_barrier_leave(b);
}

int shoal_barrier_info(const struct shoal_barrier *b, struct shoal_barrier_info *out) {
  union word w = look(b);
  if (w.state == NONE) return not_a_barrier();
  uint32_t why = w.state == BROKEN && !is_resetting(w) ? w.left : 0;
  uint32_t waiting = w.state == ACTING ? w.parties : w.state == FILLING ? (uint32_t)w.parties - w.left : 0;
  *out = (struct shoal_barrier_info){.places = places(b),
                                     .parties = w.parties,
                                     .waiting = waiting,
                                     .broken = why,
                                     .culprit = why ? shoal_load32_relaxed(&b->culprit) : 0};
  return 0;
}

int shoal_barrier_party(const struct shoal_barrier *b, uint32_t place, struct shoal_barrier_party *out) {
  union word w = look(b);
  if (w.state == NONE) return not_a_barrier();
  if (place >= places(b)) return shoal_fail_(-EINVAL, "place %u of %u", place, places(b));
  const struct shoal_seat *seat = shoal_seat_at_(&b->seats, place);
  uint32_t word = shoal_seat_word_(seat), tid = tid_of(seat);  // [A2] of sync/seat.h
  uint32_t state = waits_in(seat, w.turn) ? SHOAL_PARTY_WAITS : SHOAL_PARTY_AWAY;
  if (acts(w, place)) state = SHOAL_PARTY_ACTS;
  if (shoal_seat_is_dead_(word)) state = SHOAL_PARTY_DEAD;
  if (!shoal_seat_taken_(word)) state = awaited(seat) ? SHOAL_PARTY_NONE : SHOAL_PARTY_DROPPED, tid = 0;
  *out = (struct shoal_barrier_party){state, tid};
  return 0;
}

SHOAL_NAMED_DEFINE_(shoal_barrier, "barrier", shoal_barrier_check_, shoal_barrier_size(parties),
                    shoal_barrier_init(it, parties, options), uint32_t parties,
                    const struct shoal_barrier_options *options)
