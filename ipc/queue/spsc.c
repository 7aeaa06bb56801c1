#include "ipc/queue/spsc.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/backoff.h"
#include "core/deadline.h"
#include "core/error.h"

#define MAGIC UINT32_C(0x53505331)  // "SPS1": the layout's version
#define QUANTUM_BYTES (32u * 1024)  // groups that wait for release, at most (but one)
#define TRIAL 512u                  // messages that a way of looking is tried on
#define HOLD_MIN (8 * TRIAL)        // messages from one trial to the next
#define HOLD_MAX (1024 * TRIAL)

// ---- geometry ----

struct geometry {
  struct shoal_spsc_shape_ shape;
  uint32_t groups, quantum;
};

static char *group_at(const struct shoal_spsc_shm *shm, const struct geometry *g, uint64_t i) {
  return (char *)(shm + 1) + i % g->groups * g->shape.group;
}

static uint64_t geometry_bytes(const struct geometry *g) {
  return sizeof(struct shoal_spsc_shm) + (uint64_t)g->groups * g->shape.group;
}

static int geometry_plan(struct geometry *g, uint32_t capacity, uint32_t element_size) {
  if (capacity == 0 || capacity > SHOAL_SPSC_CAPACITY_MAX)
    return shoal_fail_(-EINVAL, "a ring of %u elements: 1..%u", capacity, SHOAL_SPSC_CAPACITY_MAX);
  if (element_size == 0 || element_size > SHOAL_SPSC_ELEMENT_MAX)
    return shoal_fail_(-EINVAL, "an element of %u bytes: 1..%u", element_size, SHOAL_SPSC_ELEMENT_MAX);
  g->shape = shoal_spsc_shape_(element_size);
  uint32_t groups = (capacity + g->shape.slots - 1) / g->shape.slots;
  g->quantum = groups / 4 < QUANTUM_BYTES / g->shape.group ? groups / 4 : QUANTUM_BYTES / g->shape.group;
  if (g->quantum == 0) g->quantum = 1;
  g->groups = groups + g->quantum;
  return 0;
}

// The geometry of a ring that anybody may have written: each word is read once and checked.
static int geometry_read(struct geometry *g, const struct shoal_spsc_shm *shm, uint64_t bytes) {
  if ((uintptr_t)shm % SHOAL_CACHE_LINE || bytes < sizeof *shm) return shoal_fail_(-EPROTO, "no place for a ring");
  if (shoal_load32_relaxed(&shm->magic) != MAGIC) return shoal_fail_(-EPROTO, "not a ring, or of another version");
  uint32_t element_size = shoal_load32_relaxed(&shm->element_size);
  if (element_size == 0 || element_size > SHOAL_SPSC_ELEMENT_MAX) return shoal_fail_(-EPROTO, "damaged: element size");
  g->shape = shoal_spsc_shape_(element_size);
  g->groups = shoal_load32_relaxed(&shm->groups);
  g->quantum = shoal_load32_relaxed(&shm->quantum);
  if (g->quantum == 0 || g->quantum >= g->groups) return shoal_fail_(-EPROTO, "damaged: quantum");
  if (geometry_bytes(g) > bytes) return shoal_fail_(-EPROTO, "damaged: larger than its place");
  return 0;
}

uint64_t shoal_spsc_size(uint32_t capacity, uint32_t element_size) {
  struct geometry g;
  return geometry_plan(&g, capacity, element_size) ? 0 : geometry_bytes(&g);
}

int shoal_spsc_init(struct shoal_spsc_shm *shm, uint64_t bytes, uint32_t capacity, uint32_t element_size) {
  struct geometry g;
  int rc = geometry_plan(&g, capacity, element_size);
  if (rc) return rc;
  if ((uintptr_t)shm % SHOAL_CACHE_LINE) return shoal_fail_(-EINVAL, "not aligned to %d", SHOAL_CACHE_LINE);
  if (bytes < geometry_bytes(&g)) return shoal_fail_(-EINVAL, "%llu bytes are too few", (unsigned long long)bytes);
  memset(shm, 0, sizeof *shm);
  for (uint32_t i = 0; i < g.groups; i++) shoal_store64_relaxed((shoal_atomic64 *)group_at(shm, &g, i), 0);
  shoal_store32_relaxed(&shm->element_size, element_size);
  shoal_store32_relaxed(&shm->groups, g.groups);
  shoal_store32_relaxed(&shm->quantum, g.quantum);
  shoal_store32_relaxed(&shm->magic, MAGIC);
  return 0;
}

// ---- positions ----

// How many messages of group `i` are published. A count from an earlier lap, or one that makes no sense, is none.
static uint32_t published(const struct shoal_spsc_shm *shm, const struct geometry *g, uint64_t i) {
  // [C1] pairs with [P1]
  uint64_t n = shoal_load64_acquire((const shoal_atomic64 *)group_at(shm, g, i)) - i * g->shape.slots;
  return n <= g->shape.slots ? (uint32_t)n : 0;
}

// The number of the next message to be put, the first not released being `released`.
static uint64_t next_put(const struct shoal_spsc_shm *shm, const struct geometry *g, uint64_t released) {
  uint64_t low = released / g->shape.slots, high = low + g->groups - 1;
  while (low < high) {  // full groups come first
    uint64_t middle = low + (high - low) / 2;
    if (published(shm, g, middle) == g->shape.slots) low = middle + 1;
    else high = middle;
  }
  return low * g->shape.slots + published(shm, g, low);
}

// `released` and `taken` as they could have been written by a consumer. `taken` is stored first, so it is read last.
static int positions_read(const struct shoal_spsc_shm *shm, const struct geometry *g, uint64_t *released,
                          uint64_t *taken) {
  *released = shoal_load64_acquire(&shm->released);  // [P2] pairs with [C2]
  *taken = shoal_load64_relaxed(&shm->taken);
  if (*released % g->shape.slots || *released > UINT64_MAX / 4 || *taken - *released > UINT64_MAX / 4)
    return shoal_fail_(-EPROTO, "damaged: positions");
  return 0;
}

int shoal_spsc_info(const struct shoal_spsc_shm *shm, uint64_t bytes, struct shoal_spsc_info *out) {
  struct geometry g;
  uint64_t released, taken;
  int rc = geometry_read(&g, shm, bytes);
  if (!rc) rc = positions_read(shm, &g, &released, &taken);
  if (rc) return rc;
  uint64_t next = next_put(shm, &g, released), total = (uint64_t)g.groups * g.shape.slots;
  uint64_t size = next > taken ? next - taken : 0;
  *out = (struct shoal_spsc_info){
      .element_size = g.shape.element,
      .capacity = total - (uint64_t)g.quantum * g.shape.slots,
      .size = size < total ? size : total,
      .put = next,
      .producer = shoal_robust_owner(shoal_load32_relaxed(&shm->producer.word)),
      .consumer = shoal_robust_owner(shoal_load32_relaxed(&shm->consumer.word)),
  };
  return 0;
}

// ---- after an owner's death ----

static void *slot_at(const struct shoal_spsc_shm *shm, const struct geometry *g, uint64_t i) {
  return group_at(shm, g, i / g->shape.slots) + g->shape.offset + i % g->shape.slots * g->shape.stride;
}

static int look(const struct shoal_spsc_shm *shm, uint64_t bytes, uint32_t element_size, struct geometry *g,
                uint64_t *released, uint64_t *taken) {
  return geometry_read(g, shm, bytes) || g->shape.element != element_size || positions_read(shm, g, released, taken);
}

void *shoal_spsc_put_slot_(struct shoal_spsc_shm *shm, uint64_t bytes, uint32_t element_size) {
  struct geometry g;
  uint64_t released, taken;
  if (look(shm, bytes, element_size, &g, &released, &taken)) return NULL;
  uint64_t next = next_put(shm, &g, released);
  return next - released < (uint64_t)g.groups * g.shape.slots ? slot_at(shm, &g, next) : NULL;
}

void *shoal_spsc_get_slot_(struct shoal_spsc_shm *shm, uint64_t bytes, uint32_t element_size) {
  struct geometry g;
  uint64_t released, taken;
  if (look(shm, bytes, element_size, &g, &released, &taken)) return NULL;
  return taken < next_put(shm, &g, released) ? slot_at(shm, &g, taken) : NULL;
}

void shoal_spsc_received_(struct shoal_spsc_shm *shm) {
  shoal_store64_relaxed(&shm->taken, shoal_load64_relaxed(&shm->taken) + 1);
}

// ---- roles ----

// Takes `owner` for the calling thread if it is free or its owner is dead. 0, or -EBUSY. `state` is 1 while the role is
// held; so it tells a successor how the last owner went.
static int role_take(struct shoal_robust *owner, uint32_t *inherited) {
  uint32_t word = shoal_load32_relaxed(&owner->word), tid = shoal_robust_owner(word);
  // The kernel marks no more than 2,048 words of a thread: of an owner without a mark ask whether it is there.
  int dead = shoal_robust_is_dead(word) || (tid && syscall(SYS_tkill, tid, 0) && errno == ESRCH);
  if (dead) shoal_cas32_relaxed(&owner->word, &word, 0);
  if (shoal_live_take_(owner)) return shoal_fail_(-EBUSY, "the role's owner lives: thread %u", tid);
  *inherited = owner->state;
  owner->state = 1;
  return 0;
}

static int role_leave(struct shoal_robust *owner) {
  if (shoal_robust_owner(shoal_load32_relaxed(&owner->word)) != shoal_self_()->tid)
    return shoal_fail_(-EPERM, "the role is not this thread's");
  owner->state = 0;
  shoal_live_drop_(owner);
  return 0;
}

static int attach(struct geometry *g, struct shoal_spsc_shm *shm, uint64_t bytes, uint32_t element_size) {
  int rc = shoal_robust_check();
  if (!rc) rc = geometry_read(g, shm, bytes);
  if (!rc && g->shape.element != element_size)
    rc = shoal_fail_(-EBADMSG, "elements of %u bytes, not %u", g->shape.element, element_size);
  return rc;
}

int shoal_spsc_produce(struct shoal_spsc_producer *p, struct shoal_spsc_shm *shm, uint64_t bytes,
                       uint32_t element_size) {
  struct geometry g;
  uint32_t inherited;
  uint64_t released, taken;
  int rc = attach(&g, shm, bytes, element_size);
  if (!rc) rc = role_take(&shm->producer, &inherited);
  if (rc) return rc;
  rc = positions_read(shm, &g, &released, &taken);
  if (rc) {
    shoal_live_drop_(&shm->producer);
    return rc;
  }
  uint64_t slots = g.shape.slots, next = next_put(shm, &g, released);
  uint64_t group =
      next > released && next % slots == 0 ? next / slots - 1 : next / slots;  // a full one is not left yet
  char *at = group_at(shm, &g, group);
  *p = (struct shoal_spsc_producer){
      .next = next,
      .end = (group + 1) * slots,
      .count = (shoal_atomic64 *)at,
      .limit = released + g.groups * slots,
      .first = group_at(shm, &g, 0),
      .last = group_at(shm, &g, g.groups - 1),
      .total = g.groups * slots,
      .shm = shm,
      .shape = g.shape,
      .inherited = inherited,
  };
  return 0;
}

int shoal_spsc_consume(struct shoal_spsc_consumer *c, struct shoal_spsc_shm *shm, uint64_t bytes,
                       uint32_t element_size) {
  struct geometry g;
  uint32_t inherited;
  uint64_t released, taken;
  int rc = attach(&g, shm, bytes, element_size);
  if (!rc) rc = role_take(&shm->consumer, &inherited);
  if (rc) return rc;
  rc = positions_read(shm, &g, &released, &taken);
  if (!rc && taken > next_put(shm, &g, released)) rc = shoal_fail_(-EPROTO, "damaged: more taken than put");
  if (rc) {
    shoal_live_drop_(&shm->consumer);
    return rc;
  }
  uint64_t slots = g.shape.slots, group = taken / slots;
  // [C2] pairs with [P2]
  shoal_store64_release(&shm->released, group * slots);
  char *at = group_at(shm, &g, group);
  *c = (struct shoal_spsc_consumer){
      .next = taken,
      .ready = taken,
      .end = (group + 1) * slots,
      .shm = shm,
      .count = (shoal_atomic64 *)at,
      .first = group_at(shm, &g, 0),
      .last = group_at(shm, &g, g.groups - 1),
      .quantum = g.quantum,
      .crossings = g.quantum,
      .shape = g.shape,
      .inherited = inherited,
  };
  shoal_spsc_keep_off(c, SHOAL_SPSC_KEEP_OFF_NS);
  return 0;
}

int shoal_spsc_producer_leave(struct shoal_spsc_producer *p) {
  int rc = p->shm ? role_leave(&p->shm->producer) : shoal_fail_(-EPERM, "not a producer");
  if (!rc) memset(p, 0, sizeof *p);
  return rc;
}

int shoal_spsc_consumer_leave(struct shoal_spsc_consumer *c) {
  int rc = c->shm ? role_leave(&c->shm->consumer) : shoal_fail_(-EPERM, "not a consumer");
  if (!rc) memset(c, 0, sizeof *c);
  return rc;
}

// ---- once a quantum ----

int shoal_spsc_room_(struct shoal_spsc_producer *p) {
  // [P2] pairs with [C2]: the consumer has read what is about to be written over
  uint64_t limit = shoal_load64_acquire(&p->shm->released) + p->total;
  if (limit - p->next < p->shape.slots || limit - p->next > p->total) return 0;
  p->limit = limit;
  return 1;
}

void shoal_spsc_give_back_(struct shoal_spsc_consumer *c) {
  c->crossings = c->quantum;
  shoal_store64_relaxed(&c->shm->taken, c->next);  // never behind `released`: a batch stores it late
  // [C2] pairs with [P2]: these slots are not read any more
  shoal_store64_release(&c->shm->released, c->next);
}

// ---- keeping off the frontier ----
//
// A consumer that has caught up sees each message as it is put, and each time takes the line that the producer is
// about to write next: a line a message instead of a line a group. If it stays away for a moment there is a stretch
// to be read that the producer has left. Whether that pays depends on the producer's pace, the message's size, the
// ring and the machine; so it is measured: a trial without, a trial with, the better one until the next. Both begin
// and end at the frontier, so what is measured is how fast messages came.

enum { HOLD, TRY_WITHOUT, TRY_WITH };

void shoal_spsc_keep_off(struct shoal_spsc_consumer *c, uint32_t ns) {
  c->keep_off = (struct shoal_spsc_keep_off_){
      .ns = ns, .phase = HOLD, .span = TRIAL, .hold = HOLD_MIN, .met = c->next, .begun = c->next};
}

static void next_phase(struct shoal_spsc_keep_off_ *k, uint64_t at) {
  int64_t now = shoal_now_ns(), pace = (now - k->begun_ns) * 256 / (int64_t)(at - k->begun);
  if (k->phase == HOLD) {
    k->phase = TRY_WITHOUT;
    k->on = 0;
    k->span = TRIAL;
  } else if (k->phase == TRY_WITHOUT) {
    k->phase = TRY_WITH;
    k->on = 1;
    k->off_pace = pace;
  } else {
    uint32_t won = pace + pace / 4 < k->off_pace;
    k->hold = won != k->won ? HOLD_MIN : k->hold < HOLD_MAX ? k->hold * 2 : HOLD_MAX;
    k->phase = HOLD;
    k->on = k->won = won;
    k->span = k->hold;
  }
  k->begun = at;
  k->begun_ns = now;
}

// Met the producer at message `at`: whether to keep off. One message since the last time is no stream.
static int keep_off(struct shoal_spsc_keep_off_ *k, uint64_t at) {
  uint64_t came = at - k->met;
  k->met = at;
  if (came < 2 || k->ns == 0) return 0;
  if (at - k->begun >= k->span) next_phase(k, at);
  return (int)k->on;
}

void shoal_spsc_wait_(struct shoal_spsc_consumer *c) {
  c->keep_off.due = 0;
  for (int64_t end = shoal_now_ns() + c->keep_off.ns; shoal_now_ns() < end;) shoal_pause();
}

uint32_t shoal_spsc_frontier_(struct shoal_spsc_consumer *c, uint32_t n, uint32_t got) {
  if (!keep_off(&c->keep_off, c->next + n)) return n;
  if (n || got) {  // these first
    c->keep_off.due = 1;
    return n;
  }
  shoal_spsc_wait_(c);
  return shoal_spsc_published_(c);
}

// ---- the element size known at run time ----

int shoal_spsc_try_put(struct shoal_spsc_producer *p, const void *element) {
  return shoal_spsc_put_(p, element, p->shape);
}

int shoal_spsc_try_get(struct shoal_spsc_consumer *c, void *element) { return shoal_spsc_get_(c, element, c->shape); }

uint32_t shoal_spsc_try_put_n(struct shoal_spsc_producer *p, const void *elements, uint32_t n) {
  return shoal_spsc_put_n_(p, elements, n, p->shape);
}

uint32_t shoal_spsc_try_get_n(struct shoal_spsc_consumer *c, void *elements, uint32_t n) {
  return shoal_spsc_get_n_(c, elements, n, c->shape);
}
