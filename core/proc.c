#include "core/proc.h"

#include <limits.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/error.h"
#include "core/futex.h"
#include "core/segment_internal.h"

// A slot's word and generation, read together:  word | generation << 32.
static uint32_t word_of(uint64_t both) { return (uint32_t)both; }
static uint32_t generation_of(uint64_t both) { return (uint32_t)(both >> 32); }
static uint64_t both_of(uint32_t word, uint32_t generation) { return (uint64_t)generation << 32 | word; }
static shoal_proc_id id_of(uint32_t slot, uint32_t generation) { return generation << 16 | (slot + 1); }
static int lives(uint32_t word) { return shoal_robust_owner(word) != 0; }

// ---- which slot is mine ----

// The segments this thread used last. What does not fit is found again in the segment's seats.
static __thread struct membership {
  uint64_t segment;
  uint32_t epoch;
  uint32_t slot;
  shoal_proc_id id;
  uintptr_t base, length;  // of the mapping: who is a participant keeps it open
  shoal_atomic64 *count;
} memberships[8];

static struct membership *membership_of(struct shoal_segment *seg) { return &memberships[seg->serial % 8]; }

// A number that no other thread of this process has or had.
static uint64_t seat_of(struct shoal_thread_ *t) {
  static shoal_atomic32 threads;
  static __thread uint64_t seat;
  if (seat >> 32 != t->epoch) seat = (uint64_t)t->epoch << 32 | (shoal_add32_relaxed(&threads, 1) + 1);
  return seat;
}

static int find_seat(struct shoal_segment *seg, uint64_t seat, uint32_t *slot) {
  for (uint32_t i = 0; i < seg->g.participants; i++)
    if (shoal_load64_relaxed(&seg->seats[i]) == seat) {
      *slot = i;
      return 1;
    }
  return 0;
}

// The calling thread's slot if it is a participant.
static int slot_of_self(struct shoal_segment *seg, uint32_t *slot) {
  struct shoal_thread_ *t = shoal_self_();
  struct membership *m = membership_of(seg);
  if (m->segment != seg->serial || m->epoch != t->epoch) return find_seat(seg, seat_of(t), slot);
  *slot = m->slot;
  return 1;
}

const struct shoal_robust *shoal_proc_live_(struct shoal_segment *seg) {
  uint32_t slot;
  return slot_of_self(seg, &slot) ? &seg->procs[slot].live : NULL;
}

// ---- counts ----

#ifndef SHOAL_UNCOUNTED_
void shoal_count_(const void *at, enum shoal_count_ which, uint64_t n) {
  for (struct membership *m = memberships; m < memberships + sizeof memberships / sizeof *memberships; m++)
    if ((uintptr_t)at - m->base < m->length && m->epoch == shoal_epoch()) {
      shoal_store64_relaxed(&m->count[which], shoal_load64_relaxed(&m->count[which]) + n);
      return;
    }
}
#endif

SHOAL_STATIC_ASSERT(sizeof(struct shoal_counters) == SHOAL_COUNTS_ * sizeof(uint64_t), "a member for each");
static void add_counts(const struct shoal_proc_shm *p, int since_joined, struct shoal_counters *to) {
  uint64_t sum[SHOAL_COUNTS_];
  memcpy(sum, to, sizeof sum);
  for (unsigned i = 0; i < SHOAL_COUNTS_; i++)
    sum[i] += shoal_load64_acquire(&p->count[i]) - (since_joined ? shoal_load64_acquire(&p->since[i]) : 0);  // [P5]
  memcpy(to, sum, sizeof sum);
}

void shoal_proc_counted_(struct shoal_segment *seg, struct shoal_counters *out) {
  struct shoal_counters sum = {0};
  for (uint32_t i = 0; i < seg->g.participants; i++) add_counts(&seg->procs[i], 0, &sum);
  *out = sum;
}

// ---- join and leave ----

static void put_name(struct shoal_proc_shm *p, const char *name) {
  uint64_t words[8] = {0};
  memcpy(words, name, strnlen(name, SHOAL_NAME_MAX));
  for (unsigned i = 0; i < 8; i++) shoal_store64_relaxed(&p->name[i], words[i]);
}

// Killed before the last store: a dead slot of whom nobody knows more than that it is dead.
static void describe(struct shoal_proc_shm *p, struct shoal_thread_ *t) {
  char name[SHOAL_NAME_MAX + 1] = "";
  uint32_t pid = (uint32_t)getpid();
  prctl(PR_GET_NAME, name);
  put_name(p, name);
  shoal_store32_relaxed(&p->pid, pid);
  shoal_store32_relaxed(&p->tid, t->tid);
  shoal_store64_relaxed(&p->start_time, shoal_thread_start_time_(pid, t->tid));
  for (unsigned i = 0; i < SHOAL_COUNTS_; i++) shoal_store64_relaxed(&p->since[i], shoal_load64_relaxed(&p->count[i]));
  uint32_t described = generation_of(shoal_load64_relaxed(&p->both)) + 1;
  // [P1] pairs with [P2]: who reads that we are described reads our pid, not a predecessor's
  shoal_store32_release(&p->described, described);
}

// In a copy nobody misses a place: its owner lives on without it, so that nothing of its own is told as left by the
// dead.
static void displace(struct shoal_segment *seg, uint32_t slot) {
  uint64_t both = shoal_load64_relaxed(&seg->procs[slot].both);
  seg->displaced = id_of(slot, generation_of(both));
  shoal_store64_relaxed(&seg->procs[slot].both, both_of(0, generation_of(both) + 1));
}

static int take_slot(struct shoal_segment *seg, uint32_t *slot) {
  for (int all = 0;;) {
    uint32_t n = seg->g.participants, first = shoal_load32_relaxed(&seg->next_slot);
    for (uint32_t i = 0; i < n; i++) {
      uint32_t at = (first + i) % n;
      struct shoal_robust *live = &seg->procs[at].live;
      if (shoal_load32_relaxed(&live->word) || shoal_live_take_(live)) continue;
      shoal_store32_relaxed(&seg->next_slot, (at + 1) % n);
      *slot = at;
      return 0;
    }
    if (shoal_proc_reap_(seg, all)) continue;
    if (all && !seg->looks) return shoal_fail_(-EUSERS, "%u threads use the segment, all alive", n);
    if (all) displace(seg, n - 1);
    all = 1;
  }
}

static void forget(struct membership *m) {
  m->epoch = 0;
  m->length = 0;
  SHOAL_COMPILER_BARRIER();
}

static int join(struct shoal_segment *seg, struct shoal_thread_ *t, shoal_proc_id *out) {
  struct membership *m = membership_of(seg);
  uint64_t seat = seat_of(t);
  uint32_t slot = 0;
  if (!find_seat(seg, seat, &slot)) {
    int rc = take_slot(seg, &slot);
    if (rc) return rc;
    describe(&seg->procs[slot], t);
    shoal_store64_relaxed(&seg->seats[slot], seat);
  }
  if (shoal_load32_relaxed(&seg->held_epoch) != t->epoch) {
    shoal_held_renew_(seg);
    shoal_store32_relaxed(&seg->held_epoch, t->epoch);
  }
  shoal_proc_id id = id_of(slot, generation_of(shoal_load64_relaxed(&seg->procs[slot].both)));
  forget(m);  // a signal's handler that counts meanwhile finds none, rather than a half
  m->segment = seg->serial;
  m->slot = slot;
  m->id = id;
  m->base = (uintptr_t)seg->base;
  m->count = seg->procs[slot].count;
  SHOAL_COMPILER_BARRIER();
  m->length = seg->g.length;
  m->epoch = t->epoch;
  *out = id;
  return 0;
}

int shoal_proc_self(struct shoal_segment *seg, shoal_proc_id *out) {
  struct shoal_thread_ *t = shoal_self_();
  struct membership *m = membership_of(seg);
  if (SHOAL_UNLIKELY(m->segment != seg->serial || m->epoch != t->epoch)) return join(seg, t, out);
  *out = m->id;
  return 0;
}

int shoal_proc_name(struct shoal_segment *seg, const char *name) {
  shoal_proc_id id;
  int rc = shoal_proc_self(seg, &id);
  if (rc == 0) put_name(&seg->procs[(id & 0xffff) - 1], name);
  return rc;
}

// The generation changes first: from then on nobody has this id, and a death leaves nothing to undo. The next owner has
// this generation, too, and its thread may have this one's number, for whom a reaper who has looked before would take
// it: so the word of who leaves is none that a newcomer has.
int shoal_proc_leave(struct shoal_segment *seg) {
  uint32_t slot;
  if (!slot_of_self(seg, &slot)) return 0;
  struct shoal_proc_shm *p = &seg->procs[slot];
  uint64_t both = shoal_load64_relaxed(&p->both);
  while (!shoal_cas64_relaxed(&p->both, &both, both_of(word_of(both) | FUTEX_OWNER_DIED, generation_of(both) + 1)))
    continue;
  shoal_store64_relaxed(&seg->seats[slot], 0);  // before the slot can be another thread's of this process
  struct membership *m = membership_of(seg);
  if (m->segment == seg->serial) forget(m);  // before its line of counts can be another's
  shoal_live_drop_(&p->live);
  return 0;
}

int shoal_proc_others_(struct shoal_segment *seg) {
  struct shoal_thread_ *t = shoal_self_();
  uint64_t mine = seat_of(t);
  for (uint32_t i = 0; i < seg->g.participants; i++) {
    uint64_t seat = shoal_load64_relaxed(&seg->seats[i]);
    if (seat == mine || seat >> 32 != t->epoch) continue;
    uint32_t word = shoal_load32_relaxed(&seg->procs[i].live.word);
    if (lives(word) && !shoal_thread_missing_((uint32_t)getpid(), shoal_robust_owner(word))) return 1;
  }
  return 0;
}

// ---- the dead ----

struct details {
  uint32_t pid, tid;
  uint64_t start_time;
};

// What the slot's present owner has said of itself; zero if nothing yet.
static struct details details_of(struct shoal_proc_shm *p, uint64_t both) {
  struct details d = {0, shoal_robust_owner(word_of(both)), 0};
  // [P2] pairs with [P1]: the details are of the generation that we mean
  if (shoal_load32_acquire(&p->described) != generation_of(both) + 1) return d;
  // [P5] pairs with [P3]: what a newcomer says of itself comes after the generation that it has, which is read again
  d.pid = shoal_load32_acquire(&p->pid);
  d.tid = shoal_load32_acquire(&p->tid);                // [P5]
  d.start_time = shoal_load64_acquire(&p->start_time);  // [P5]
  return d;
}

// A living word whose owner the kernel could not mark: `thorough` tells a thread from a later one with its number, too.
static int mark_if_gone(struct shoal_proc_shm *p, uint64_t both, int thorough) {
  struct details d = details_of(p, both);
  int gone = thorough ? shoal_thread_gone_(d.pid, d.tid, d.start_time) : shoal_thread_missing_(d.pid, d.tid);
  if (!gone || !shoal_cas64_relaxed(&p->both, &both, both_of(FUTEX_WAITERS | FUTEX_OWNER_DIED, generation_of(both))))
    return 0;
  shoal_futex_wake(&p->live.word, INT_MAX);
  return 1;
}

int shoal_proc_alive(struct shoal_segment *seg, shoal_proc_id id, int sure) {
  uint32_t slot = (id & 0xffff) - 1;
  if (slot >= seg->g.participants) return 0;
  if (SHOAL_UNLIKELY(id == seg->displaced)) return 1;
  struct shoal_proc_shm *p = &seg->procs[slot];
  uint64_t both = shoal_load64_acquire(&p->both);  // [P4] pairs with the kernel's mark: what the dead wrote is seen
  if (id_of(slot, generation_of(both)) != id || !lives(word_of(both))) return 0;
  return !(sure && mark_if_gone(p, both, 1));
}

int shoal_proc_witness_(struct shoal_segment *seg, shoal_proc_id id, struct shoal_futex_entry *out) {
  if (!shoal_proc_alive(seg, id, 1)) return 0;
  struct shoal_proc_shm *p = &seg->procs[(id & 0xffff) - 1];
  uint64_t both = shoal_load64_relaxed(&p->both);
  if (id_of((id & 0xffff) - 1, generation_of(both)) != id || !lives(word_of(both))) return 0;
  *out = (struct shoal_futex_entry){&p->live.word, word_of(both)};
  return 1;
}

#define BATCH 64

// Dead slots as they were seen before anything was undone: a slot that dies later waits for the next round.
static unsigned collect_dead(struct shoal_segment *seg, int all, uint32_t *slots, uint64_t *seen) {
  unsigned n = 0;
  for (uint32_t i = 0; i < seg->g.participants && n < BATCH; i++) {
    struct shoal_proc_shm *p = &seg->procs[i];
    uint64_t both = shoal_load64_acquire(&p->both);                                                      // [P4]
    if (all && lives(word_of(both)) && mark_if_gone(p, both, 0)) both = shoal_load64_acquire(&p->both);  // [P4]
    if (!shoal_robust_is_dead(word_of(both)) || lives(word_of(both))) continue;
    slots[n] = i;
    seen[n++] = both;
  }
  return n;
}

// Wakes first: who sleeps on a dead word looks again, and who comes later sees that it is dead.
static int free_slot(struct shoal_proc_shm *p, uint64_t both) {
  shoal_futex_wake(&p->live.word, INT_MAX);
  // [P3] pairs with [A3] of core/robust.c: all that referred to the id was undone before a newcomer takes the slot.
  // Word and generation in one step: a reaper that comes late cannot free the slot of whoever had it since.
  if (!shoal_cas64_acq_rel(&p->both, &both, both_of(0, generation_of(both) + 1))) return 0;
  STAP_PROBE1(shoal, reap, &p->live.word);
  shoal_count_(p, SHOAL_COUNT_REAPS_, 1);
  return 1;
}

int shoal_proc_reap_(struct shoal_segment *seg, int all) {
  int freed = 0;
  if (all) shoal_reference_sweep_(seg);
  for (;;) {
    uint32_t slots[BATCH];
    uint64_t seen[BATCH];
    unsigned n = collect_dead(seg, all, slots, seen);
    if (n || all) shoal_directory_tidy_(seg);
    for (unsigned i = 0; i < n; i++) freed += free_slot(&seg->procs[slots[i]], seen[i]);
    if (n < BATCH) return freed;
  }
}

int shoal_proc_reap(struct shoal_segment *seg) {
  int freed = shoal_proc_reap_(seg, 1);
  if (seg->looks && shoal_robust_owner(shoal_load32_relaxed(&seg->header->writer.word)))
    return shoal_fail_(-EBUSY, "its directory was being changed: what the dead left there is not seen");
  return freed;
}

// ---- who is there ----

int shoal_proc_list(struct shoal_segment *seg, int (*each)(const struct shoal_proc_info *, void *), void *arg) {
  for (uint32_t i = 0; i < seg->g.participants; i++) {
    struct shoal_proc_shm *p = &seg->procs[i];
    uint64_t both = shoal_load64_acquire(&p->both);  // [P4]
    if (word_of(both) == 0) continue;
    struct details d = details_of(p, both);
    struct shoal_proc_info info = {.id = id_of(i, generation_of(both)),
                                   .pid = d.pid,
                                   .tid = d.tid,
                                   .start_time = d.start_time,
                                   .alive = lives(word_of(both))};
    uint64_t name[8];
    for (unsigned k = 0; k < 8; k++) name[k] = d.pid ? shoal_load64_acquire(&p->name[k]) : 0;  // [P5]
    memcpy(info.name, name, SHOAL_NAME_MAX);
    if (d.pid) add_counts(p, 1, &info.counters);
    if (generation_of(shoal_load64_acquire(&p->both)) != generation_of(both)) continue;  // [P4] left meanwhile
    int rc = each(&info, arg);
    if (rc) return rc;
  }
  return 0;
}
