#include "sync/rwlock.h"

#include <string.h>

#include "core/backoff.h"
#include "core/error.h"

static uint32_t door_of(const struct shoal_rwlock *l) { return shoal_load32_relaxed(&l->door); }
static void set_door(struct shoal_rwlock *l, uint32_t door) {
  shoal_store32_release(&l->door, door);  // [W3] pairs with [B1]
}
static uint32_t owner_of(const struct shoal_rwlock *l) {
  return shoal_robust_owner(shoal_load32_relaxed(&l->writer.word));
}

static int is_lock(const struct shoal_rwlock *l) {
  return door_of(l) - SHOAL_RWLOCK_OPEN <= SHOAL_RWLOCK_DESTROYED - SHOAL_RWLOCK_OPEN;
}

// ---- the word ----

static int is_reading(struct shoal_rwlock *l) {
  struct shoal_thread_ *t = shoal_self_();
  const struct shoal_seat *seat = shoal_seat_recall_(t, &l->seats);
  if (!seat) seat = shoal_seat_known_(&l->seats);
  return seat && shoal_rwlock_reads_(t, seat);
}

static int refuse(struct shoal_rwlock *l) {
  return shoal_fail_(-EDEADLK, "the calling thread, %u, %s", shoal_self_()->tid,
                     is_reading(l)     ? "reads"
                     : l->writer.state ? "reads, alone"
                                       : "has the lock for writing");
}

// The word, and what its last owner left: 0 or, with the word just as well, -EOWNERDEAD; or why not.
static int take_word(struct shoal_rwlock *l, shoal_deadline deadline) {
  if (!is_lock(l)) return shoal_fail_(-EINVAL, "not a readers-writer lock");
  int rc = shoal_robust_acquire_(&l->writer, deadline);
  if (rc && rc != -EOWNERDEAD) return rc;
  switch (door_of(l)) {
    case SHOAL_RWLOCK_WRITING:
    case SHOAL_RWLOCK_IN_DOUBT: return shoal_fail_(-EOWNERDEAD, "who had the lock alone died");
    case SHOAL_RWLOCK_NOTRECOVERABLE:
      rc = shoal_fail_(-ENOTRECOVERABLE, "released without shoal_rwlock_consistent after a death");
      break;
    case SHOAL_RWLOCK_DESTROYED: rc = shoal_fail_(-EINVAL, "the lock has been destroyed"); break;
    default: return 0;  // who only waited has left nothing in doubt
  }
  shoal_robust_release_(&l->writer);  // wakes the next, who will be told as well
  return rc;
}

static void give_word(struct shoal_rwlock *l, uint32_t door) {
  set_door(l, door);
  shoal_robust_release_(&l->writer);
}

// ---- the seats; the caller has the word ----

static void empty(struct shoal_seat *seat, void *arg) {
  (void)arg;
  seat->live.state = 0;
}

// [W2] pairs with [B2]: who rises after it has the wake, who rose before it is seen to have risen.
static void announce_sleep(struct shoal_rwlock *l) {
  shoal_exchange32_seq_cst(&l->door, SHOAL_RWLOCK_AWAITED);  // [W2]
  if (!(l->flags & SHOAL_RWLOCK_EXCHANGE_)) shoal_fence_all();
}

static void sleep_on(struct shoal_seat *seat, uint32_t word, shoal_deadline deadline) {
  int64_t now = shoal_now_ns();
  int64_t end = deadline.ns - now > SHOAL_RECHECK_NS ? now + SHOAL_RECHECK_NS : deadline.ns;
  if (shoal_futex_wait(&seat->live.word, word, (shoal_deadline){end}) == -ETIMEDOUT && end != deadline.ns)
    shoal_robust_mark_if_gone_(&seat->live, word);
}

// A word without an owner that no death has marked is nobody's: it would be waited for for ever.
static int is_taken(uint32_t word) { return shoal_robust_owner(word) || shoal_robust_is_dead(word); }

// Until nobody sits there. It spins, of the budget of all seats, before it sleeps.
static int wait_for(struct shoal_rwlock *l, struct shoal_seat *seat, shoal_deadline deadline, uint32_t *spin) {
  for (uint32_t word; is_taken(word = shoal_load32_seq_cst(&seat->live.word));) {  // [W2]
    if (shoal_seat_is_dead_(word)) shoal_seat_reap_one_(seat, empty, NULL);
    else if (*spin) (*spin)--, shoal_pause();
    else if (shoal_deadline_is_try(deadline)) return -EAGAIN;
    else if (shoal_deadline_passed(deadline)) return -ETIMEDOUT;
    else if (door_of(l) != SHOAL_RWLOCK_AWAITED) announce_sleep(l);
    else sleep_on(seat, word, deadline);
  }
  return 0;
}

// Shuts the door and waits for all who are inside; if that fails the door is open again.
static int shut_out(struct shoal_rwlock *l, shoal_deadline deadline) {
  uint32_t spin = shoal_deadline_is_try(deadline) ? 0 : SHOAL_SPIN_MAX;
  int rc = 0;
  if (shoal_deadline_is_try(deadline) && shoal_seats_sitting_(&l->seats)) return is_reading(l) ? -EDEADLK : -EAGAIN;
  shoal_exchange32_seq_cst(&l->door, SHOAL_RWLOCK_CLOSING);  // [W1] pairs with [B1], [B2]
  for (uint32_t i = 0, asked = 0, top = shoal_seats_top_(&l->seats); i < top && rc == 0; i++) {
    struct shoal_seat *seat = shoal_seat_at_(&l->seats, i);
    if (!is_taken(shoal_load32_seq_cst(&seat->live.word))) continue;  // [W1]
    // before it waits for another, who may never leave
    rc = !asked++ && is_reading(l) ? -EDEADLK : wait_for(l, seat, deadline, &spin);
  }
  if (rc) set_door(l, SHOAL_RWLOCK_OPEN);
  return rc;
}

// `rc`: what taking the word answered. Inside alone, as a writer (`depth` 0) or as a reader; or the word is given back.
static int be_alone(struct shoal_rwlock *l, uint32_t depth, int rc, shoal_deadline deadline) {
  if (rc == 0) rc = shut_out(l, deadline);
  if (rc && rc != -EOWNERDEAD) {
    shoal_robust_release_(&l->writer);
    return rc == -EDEADLK ? refuse(l) : rc;
  }
  l->writer.state = depth;
  set_door(l, rc ? SHOAL_RWLOCK_IN_DOUBT : SHOAL_RWLOCK_WRITING);
  return rc;
}

// ---- writers ----

// Linearized by the last seat that is seen empty.
int shoal_rwlock_write_acquire(struct shoal_rwlock *l, shoal_deadline deadline) {
  int rc = take_word(l, SHOAL_TRY);
  if (rc == -EAGAIN) {  // who has it may wait for the caller to leave
    if (is_reading(l)) return refuse(l);
    if (!shoal_deadline_is_try(deadline)) rc = take_word(l, deadline);
  }
  if (rc == -EDEADLK) return refuse(l);
  return rc && rc != -EOWNERDEAD ? rc : be_alone(l, 0, rc, deadline);
}

static int not_alone(const struct shoal_rwlock *l, int reader) {
  uint32_t owner = owner_of(l);
  if (owner != shoal_self_()->tid) {
    if (!owner) return shoal_fail_(-EPERM, "nobody has the lock for writing");
    return shoal_fail_(-EPERM, "thread %u has the lock", owner);
  }
  if (!reader != !l->writer.state) return shoal_fail_(-EPERM, "the calling thread %s", reader ? "writes" : "reads");
  return 0;
}

static void leave_alone(struct shoal_rwlock *l) {
  give_word(l, door_of(l) == SHOAL_RWLOCK_IN_DOUBT ? SHOAL_RWLOCK_NOTRECOVERABLE : SHOAL_RWLOCK_OPEN);
}

int shoal_rwlock_write_release_slow_(struct shoal_rwlock *l) {
  int rc = not_alone(l, 0);
  if (rc == 0) leave_alone(l);
  return rc;
}

// ---- readers ----

// NULL: as many living threads as there are seats have one.
static struct shoal_seat *find_seat(struct shoal_rwlock *l) {
  struct shoal_seat *seat = shoal_seat_mine_(shoal_self_(), &l->seats);
  if (!seat && shoal_seat_reap_(&l->seats, empty, NULL)) seat = shoal_seat_find_(&l->seats);
  return seat;
}

static int deeper(uint32_t *depth) {
  if (*depth == UINT32_MAX) return shoal_fail_(-EOVERFLOW, "the calling thread reads %u deep", *depth);
  ++*depth;
  return 0;
}

// By the writer's word. Who has it, no writer has; the next one sees who sits.
static int queue_up(struct shoal_rwlock *l, struct shoal_seat *seat, shoal_deadline deadline) {
  struct shoal_thread_ *t = shoal_self_();
  if (owner_of(l) == t->tid) return l->writer.state ? deeper(&l->writer.state) : refuse(l);
  int rc = take_word(l, deadline);
  if (rc && rc != -EOWNERDEAD) return rc;
  if (rc || !seat) return be_alone(l, 1, rc, deadline);
  shoal_seat_sit_(t, seat);
  give_word(l, SHOAL_RWLOCK_OPEN);
  return 0;
}

// Sits, and has found the door shut.
int shoal_rwlock_turned_away_(struct shoal_rwlock *l, struct shoal_seat *seat, shoal_deadline deadline) {
  shoal_rwlock_rise_(l, shoal_self_(), seat);
  return queue_up(l, seat, deadline);
}

// No seat is remembered, or the caller reads already.
int shoal_rwlock_read_again_(struct shoal_rwlock *l, shoal_deadline deadline) {
  struct shoal_thread_ *t = shoal_self_();
  struct shoal_seat *seat = find_seat(l);
  if (!seat) return queue_up(l, NULL, deadline);
  if (shoal_rwlock_reads_(t, seat)) return deeper(&seat->live.state);
  shoal_rwlock_sit_(t, seat);
  if (shoal_load32_seq_cst(&l->door) == SHOAL_RWLOCK_OPEN) return 0;  // [B1]
  return shoal_rwlock_turned_away_(l, seat, deadline);
}

int shoal_rwlock_read_release_slow_(struct shoal_rwlock *l) {
  struct shoal_thread_ *t = shoal_self_();
  struct shoal_seat *seat = shoal_seat_known_(&l->seats);
  if (seat && shoal_rwlock_reads_(t, seat)) {
    if (seat->live.state) seat->live.state--;
    else shoal_rwlock_rise_(l, t, seat);
    return 0;
  }
  if (owner_of(l) != t->tid) return shoal_fail_(-EPERM, "the calling thread, %u, does not read", t->tid);
  int rc = not_alone(l, 1);
  if (rc == 0 && --l->writer.state == 0) leave_alone(l);
  return rc;
}

// Killed on the way: it sits, and has the word, inside; or it has both, the door open; or it sits.
int shoal_rwlock_downgrade(struct shoal_rwlock *l) {
  struct shoal_thread_ *t = shoal_self_();
  if (owner_of(l) != t->tid) return shoal_fail_(-EPERM, "the calling thread, %u, does not have the lock alone", t->tid);
  if (door_of(l) != SHOAL_RWLOCK_WRITING) return shoal_fail_(-EINVAL, "what the lock guards is in doubt");
  struct shoal_seat *seat = find_seat(l);
  uint32_t depth = l->writer.state ? l->writer.state : 1;
  if (!seat) {
    l->writer.state = depth;
    return 0;
  }
  shoal_seat_sit_(t, seat);
  seat->live.state = depth - 1;  // not before: killed in between, it would be left to whoever has the seat next
  give_word(l, SHOAL_RWLOCK_OPEN);
  return 0;
}

int shoal_rwlock_leave(struct shoal_rwlock *l) {
  struct shoal_seat *seat = shoal_seat_known_(&l->seats);
  if (!seat) return 0;
  if (shoal_rwlock_reads_(shoal_self_(), seat)) return shoal_fail_(-EBUSY, "the calling thread reads");
  shoal_seat_leave_(&l->seats, seat);
  return 0;
}

// ---- the lock ----

int shoal_rwlock_consistent(struct shoal_rwlock *l) {
  if (owner_of(l) != shoal_self_()->tid) return shoal_fail_(-EPERM, "the calling thread does not have the lock alone");
  if (door_of(l) != SHOAL_RWLOCK_IN_DOUBT) return shoal_fail_(-EINVAL, "what the lock guards is not in doubt");
  set_door(l, SHOAL_RWLOCK_WRITING);
  return 0;
}

uint64_t shoal_rwlock_size(uint32_t threads) {
  uint64_t seats = shoal_seats_size_(threads);
  return seats ? sizeof(struct shoal_rwlock) + seats : 0;
}

int shoal_rwlock_init(struct shoal_rwlock *l, uint32_t threads) {
  uint64_t size = shoal_rwlock_size(threads);
  if (size) memset(l, 0, size);
  int rc = shoal_seats_init_(&l->seats, threads);
  if (rc) return rc;
  l->flags = shoal_fence_all_register() ? SHOAL_RWLOCK_EXCHANGE_ : 0;
  set_door(l, SHOAL_RWLOCK_OPEN);
  return 0;
}

int shoal_rwlock_destroy(struct shoal_rwlock *l) {
  if (!is_lock(l)) return shoal_fail_(-EINVAL, "not a readers-writer lock");
  int rc = shoal_robust_acquire_(&l->writer, SHOAL_TRY);
  if (rc && rc != -EOWNERDEAD) return shoal_fail_(-EBUSY, "thread %u has the lock", owner_of(l));
  uint32_t door = door_of(l);
  rc = door <= SHOAL_RWLOCK_AWAITED ? shut_out(l, SHOAL_TRY) : 0;  // else nobody reads
  if (rc == 0) set_door(l, SHOAL_RWLOCK_DESTROYED);
  shoal_robust_release_(&l->writer);
  if (rc) return shoal_fail_(-EBUSY, "the lock is being read under");
  return door == SHOAL_RWLOCK_DESTROYED ? shoal_fail_(-EINVAL, "the lock has been destroyed") : 0;
}

int shoal_rwlock_check_(const struct shoal_rwlock *l, uint64_t size) {
  if (size < sizeof *l || !is_lock(l)) return shoal_fail_(-EPROTO, "no readers-writer lock");
  uint32_t count = __atomic_load_n(&l->seats.count, __ATOMIC_RELAXED);
  uint64_t needed = count ? shoal_rwlock_size(count) : 0;
  if (!needed || needed > size) return shoal_fail_(-EPROTO, "%u seats do not fit", count);
  return l->flags & SHOAL_RWLOCK_EXCHANGE_ ? 0 : shoal_fence_all_needed_();
}

static int check(const void *memory, uint64_t size) { return shoal_rwlock_check_(memory, size); }

static void list_readers(const struct shoal_rwlock *l, struct shoal_rwlock_info *out) {
  for (uint32_t i = 0, k = 0, n = shoal_seats_top_(&l->seats); i < n && k < SHOAL_RWLOCK_READERS; i++) {
    uint32_t owner = shoal_robust_owner(shoal_seat_word_(shoal_seat_at_(&l->seats, i)));
    if (owner) out->reader[k++] = owner;
  }
}

int shoal_rwlock_info(const struct shoal_rwlock *l, struct shoal_rwlock_info *out) {
  uint32_t word = shoal_load32_relaxed(&l->writer.word);
  *out = (struct shoal_rwlock_info){.writer = shoal_robust_owner(word),
                                    .readers = shoal_seats_sitting_(&l->seats),
                                    .waiters = (word & FUTEX_WAITERS) != 0 || door_of(l) == SHOAL_RWLOCK_AWAITED,
                                    .dead = shoal_robust_is_dead(word) && !shoal_robust_owner(word),
                                    .state = door_of(l)};
  list_readers(l, out);
  return 0;
}

SHOAL_NAMED_DEFINE_(shoal_rwlock, "rwlock", check, shoal_rwlock_size(threads), shoal_rwlock_init(it, threads),
                    uint32_t threads)
