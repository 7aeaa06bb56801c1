#include "ipc/queue/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/error.h"

#define MAGIC 0x51753031u
#define ALIGN(n) (((n) + 63) & ~UINT64_C(63))

// ---- layout ----

struct layout {
  uint32_t producers, consumers;
  uint64_t ring, size;  // bytes from the start to the ring, to the end; size 0: absurd
};

static uint32_t or_default(uint32_t n, uint32_t kind) {
  return n ? n : kind == SHOAL_QUEUE_SPSC ? 1 : SHOAL_ROLES_DEFAULT;
}

static struct layout lay_out(const struct shoal_queue_options *o) {
  struct layout l = {or_default(o->producers, o->kind), or_default(o->consumers, o->kind), 0, 0};
  uint64_t ring = 0, wait = shoal_eventcount_size(l.producers, l.consumers);
  if (o->kind == SHOAL_QUEUE_MPMC) ring = shoal_mpmc_size(o->capacity, o->element_size);
  if (o->kind == SHOAL_QUEUE_SPSC && l.producers == 1 && l.consumers == 1 && !o->drop)
    ring = shoal_spsc_size(o->capacity, o->element_size);
  if (!wait || !ring) return l;
  l.ring = offsetof(struct shoal_queue_shm, wait) + wait;
  l.size = l.ring + ring;
  return l;
}

uint64_t shoal_queue_size_(const struct shoal_queue_options *options) { return lay_out(options).size; }

static void *ring_at(struct shoal_queue_shm *shm, uint64_t off) { return (char *)shm + off; }

// -EINVAL, and what of the options it is.
static int absurd(const struct shoal_queue_options *o, const struct layout *l) {
  if (!o->capacity) return shoal_fail_(-EINVAL, "options.capacity is not given");
  if (!o->element_size) return shoal_fail_(-EINVAL, "options.element_size is not given");
  if (o->kind != SHOAL_QUEUE_MPMC && o->kind != SHOAL_QUEUE_SPSC)
    return shoal_fail_(-EINVAL, "options.kind is %u: there is no such kind", o->kind);
  if (o->kind == SHOAL_QUEUE_SPSC && (l->producers > 1 || l->consumers > 1 || o->drop))
    return shoal_fail_(-EINVAL, "SHOAL_QUEUE_SPSC has one producer, one consumer, and drops nothing");
  return shoal_fail_(-EINVAL, "too large: %u elements of %u bytes, %u producers, %u consumers", o->capacity,
                     o->element_size, l->producers, l->consumers);
}

int shoal_queue_place_(void *memory, uint64_t size, const struct shoal_queue_options *options) {
  struct shoal_queue_shm *shm = memory;
  struct layout l = lay_out(options);
  if (!l.size) return absurd(options, &l);
  if (l.size > size)
    return shoal_fail_(-EINVAL, "a queue of %llu bytes in %llu", (unsigned long long)l.size, (unsigned long long)size);
  int spsc = options->kind == SHOAL_QUEUE_SPSC;
  int rc = shoal_eventcount_init(&shm->wait, l.producers, l.consumers, spsc ? SHOAL_EC_UNCLAIMED : 0);
  if (rc) return rc;
  void *ring = ring_at(shm, l.ring);
  rc = spsc ? shoal_spsc_init(ring, l.size - l.ring, options->capacity, options->element_size)
            : shoal_mpmc_init(ring, options->capacity, options->element_size, options->drop);
  if (rc) return rc;
  shm->kind = options->kind;
  shm->element_size = options->element_size;
  shm->ring = (uint32_t)l.ring;
  shoal_store32_release(&shm->magic, MAGIC);  // [M1] pairs with [M2]: it is whole
  return 0;
}

static const struct shoal_wait_ops mpmc_ops, spsc_ops;

static int attach_ring(struct shoal_queue *q, void *ring, uint64_t size) {
  struct shoal_spsc_info info;
  int rc;
  if (q->kind == SHOAL_QUEUE_MPMC) {
    rc = shoal_mpmc_attach(&q->ring, ring, size, &q->wait);
    q->element_size = q->ring.element_size;
    return rc;
  }
  if (q->wait.count[SHOAL_PRODUCER] != 1 || q->wait.count[SHOAL_CONSUMER] != 1 || !(q->wait.flags & SHOAL_EC_UNCLAIMED))
    return shoal_fail_(-EPROTO, "not the roles of one producer and one consumer");
  rc = shoal_spsc_info(ring, size, &info);
  if (rc) return rc;
  q->spsc = ring;
  q->spsc_bytes = size;
  q->element_size = info.element_size;
  return 0;
}

static int attach(struct shoal_queue *q, struct shoal_queue_shm *shm, uint64_t size) {
  if (size < sizeof *shm || shoal_load32_acquire(&shm->magic) != MAGIC)  // [M2] pairs with [M1]
    return shoal_fail_(-EPROTO, "not a queue");
  uint32_t ring = __atomic_load_n(&shm->ring, __ATOMIC_RELAXED);
  q->kind = __atomic_load_n(&shm->kind, __ATOMIC_RELAXED);
  if (q->kind != SHOAL_QUEUE_MPMC && q->kind != SHOAL_QUEUE_SPSC)
    return shoal_fail_(-EPROTO, "a queue of unknown kind %u", q->kind);
  if (ring % 64 || ring < sizeof *shm || ring > size) return shoal_fail_(-EPROTO, "the ring lies outside");
  int rc = shoal_eventcount_attach(&q->wait, &shm->wait, ring - offsetof(struct shoal_queue_shm, wait),
                                   q->kind == SHOAL_QUEUE_MPMC ? &mpmc_ops : &spsc_ops);
  if (!rc) rc = attach_ring(q, ring_at(shm, ring), size - ring);
  if (rc) return rc;
  if (__atomic_load_n(&shm->element_size, __ATOMIC_RELAXED) != q->element_size)
    return shoal_fail_(-EPROTO, "a queue and its ring of different element sizes");
  return 0;
}

int shoal_queue_misfit_(const struct shoal_queue *q, uint32_t size) {
  return shoal_fail_(-EBADMSG, "elements of %u bytes, not %u", q->element_size, size);
}

int shoal_queue_attach_(void *memory, uint64_t size, uint32_t element_size, struct shoal_queue **out) {
  struct shoal_queue *q = aligned_alloc(64, ALIGN(sizeof *q));
  if (!q) return shoal_fail_(-ENOMEM, "no memory for a handle");
  memset(q, 0, sizeof *q);
  int rc = attach(q, memory, size);
  if (!rc && q->element_size != element_size) rc = shoal_queue_misfit_(q, element_size);
  if (rc) free(q);
  else *out = q;
  return rc;
}

// ---- what the sleeping protocol asks ----

static struct shoal_queue *queue_of(struct shoal_eventcount_view *view) {
  return (struct shoal_queue *)((char *)view - offsetof(struct shoal_queue, wait));
}
static uint32_t mpmc_blocker(struct shoal_eventcount_view *view, int side) {
  return shoal_mpmc_blocker(&queue_of(view)->ring, side);
}
static void mpmc_recover(struct shoal_eventcount_view *view, uint32_t role) {
  shoal_mpmc_recover(&queue_of(view)->ring, role);
}
static int mpmc_held(struct shoal_eventcount_view *view, uint32_t me) {
  return shoal_mpmc_held(&queue_of(view)->ring, me);
}
// A child of fork comes to hold what it has inherited, and the thread is a participant of the segment, before it has a role.
static int confirm(struct shoal_queue *q) { return q->segment ? shoal_object_confirm(q->segment, &q->object) : 0; }
static int mpmc_join(struct shoal_eventcount_view *view, int side) {
  (void)side;
  return confirm(queue_of(view));
}
static const struct shoal_wait_ops mpmc_ops = {mpmc_blocker, mpmc_recover, mpmc_held, mpmc_join};

// A put that may not have seen the closing, and may still publish.
static uint32_t spsc_blocker(struct shoal_eventcount_view *view, int side) {
  const uint32_t producer = 1;
  if (side == SHOAL_PRODUCER || !shoal_eventcount_closed(view->shm)) return 0;
  return shoal_load32_acquire(&shoal_role_at_(view, producer)->busy) ? producer : 0;  // [A6] pairs with [R6]
}
// The next owner of the role finds all in the ring.
static void spsc_recover(struct shoal_eventcount_view *view, uint32_t role) { (void)view, (void)role; }

static int spsc_join(struct shoal_eventcount_view *view, int side) {
  struct shoal_queue *q = queue_of(view);
  int rc = confirm(q);
  if (rc) return rc;
  if (side == SHOAL_PRODUCER) {
    q->producer.lent = 0;
    return shoal_spsc_produce(&q->producer.ring, q->spsc, q->spsc_bytes, q->element_size);
  }
  q->consumer.lent = 0;
  q->consumer.told = UINT64_MAX;
  rc = shoal_spsc_consume(&q->consumer.ring, q->spsc, q->spsc_bytes, q->element_size);
  if (!rc) q->consumer.first = q->consumer.ring.next;
  return rc;
}
// To leave is no death: what is lent goes back as it is, whatever the policy. Killed on the way, the rest dies with its holder.
static void mpmc_leave(struct shoal_queue *q, uint32_t me) {
  if (shoal_load32_relaxed(&shoal_role_at_(&q->wait, me)->holder)) shoal_mpmc_give_back(&q->ring, me);
}
static void spsc_leave(struct shoal_queue *q, int side) {
  if (side == SHOAL_PRODUCER) shoal_spsc_producer_leave(&q->producer.ring);
  else shoal_spsc_consumer_leave(&q->consumer.ring);
}
static const struct shoal_wait_ops spsc_ops = {spsc_blocker, spsc_recover, NULL, spsc_join};

// ---- in a segment ----

static void type_of(uint32_t element_size, char type[SHOAL_TYPE_MAX + 1]) {
  snprintf(type, SHOAL_TYPE_MAX + 1, "queue:%u", element_size);
}

static int init_object(void *memory, uint64_t size, void *options) { return shoal_queue_place_(memory, size, options); }

static int attach_object(struct shoal_segment *seg, struct shoal_object object, uint32_t element_size,
                         struct shoal_queue **out) {
  int rc = shoal_queue_attach_(object.memory, object.size, element_size, out);
  if (rc) {
    shoal_object_close(seg, &object);
    return rc;
  }
  (*out)->segment = seg;
  (*out)->object = object;
  return 0;
}

int shoal_queue_create(struct shoal_segment *seg, const char *name, const struct shoal_queue_options *options,
                       struct shoal_queue **out) {
  struct shoal_queue_options o = *options;
  struct shoal_object object;
  char type[SHOAL_TYPE_MAX + 1];
  uint64_t size = shoal_queue_size_(&o);
  if (!size) return shoal_queue_place_(NULL, 0, &o);  // says why
  type_of(o.element_size, type);
  int rc = shoal_object_create(seg, name, type, size, init_object, &o, &object);
  return rc ? rc : attach_object(seg, object, o.element_size, out);
}

int shoal_queue_open(struct shoal_segment *seg, const char *name, uint32_t element_size, struct shoal_queue **out) {
  struct shoal_object object;
  char type[SHOAL_TYPE_MAX + 1];
  type_of(element_size, type);
  int rc = shoal_object_open(seg, name, type, &object);
  return rc ? rc : attach_object(seg, object, element_size, out);
}

int shoal_queue_open_or_create(struct shoal_segment *seg, const char *name, const struct shoal_queue_options *options,
                               struct shoal_queue **out) {
  struct shoal_queue_options o = *options;
  struct shoal_object object;
  char type[SHOAL_TYPE_MAX + 1];
  uint64_t size = shoal_queue_size_(&o);
  type_of(o.element_size, type);
  int rc =
      size ? shoal_object_open_or_begin_(seg, name, type, size, &object) : shoal_object_open(seg, name, type, &object);
  if (!size && rc == -ENOENT) return shoal_queue_place_(NULL, 0, &o);  // says why
  if (rc == 1) rc = shoal_object_end_(seg, &object, init_object(object.memory, size, &o));
  return rc ? rc : attach_object(seg, object, o.element_size, out);
}

int shoal_queue_unlink(struct shoal_segment *seg, const char *name) {
  return shoal_object_remove_typed(seg, name, "queue:");
}

static int used_by_another(const struct shoal_queue *q) {
  const struct shoal_eventcount_view *view = &q->wait;
  for (uint32_t r = 1; r <= view->count[0] + view->count[1]; r++) {
    const struct shoal_role *role = shoal_role_at_(view, r);
    uint32_t owner = shoal_robust_owner(shoal_load32_relaxed(&role->live.word));
    if (owner && owner != shoal_self_()->tid && shoal_load64_relaxed(&role->handle) == view->id &&
        shoal_load32_relaxed(&role->pid) == (uint32_t)getpid())
      return 1;
  }
  return 0;
}

int shoal_queue_detach(struct shoal_queue *q) {
  if (used_by_another(q)) return shoal_fail_(-EBUSY, "another thread has a role through this handle");
  shoal_queue_leave(q, SHOAL_PRODUCER);
  shoal_queue_leave(q, SHOAL_CONSUMER);
  if (q->segment) shoal_object_close(q->segment, &q->object);
  free(q);
  return 0;
}

int shoal_queue_close(struct shoal_queue *q) {
  shoal_eventcount_close(&q->wait);
  return 0;
}

int shoal_queue_join(struct shoal_queue *q, int side) {
  if (side != SHOAL_PRODUCER && side != SHOAL_CONSUMER) return shoal_fail_(-EINVAL, "side %d", side);
  int role = shoal_role_mine(&q->wait, side);
  return role < 0 ? role : 0;
}

int shoal_queue_leave(struct shoal_queue *q, int side) {
  if (side != SHOAL_PRODUCER && side != SHOAL_CONSUMER) return shoal_fail_(-EINVAL, "side %d", side);
  uint32_t me = shoal_role_known(&q->wait, side);
  if (me && q->kind == SHOAL_QUEUE_SPSC) spsc_leave(q, side);
  else if (me) mpmc_leave(q, me);
  return shoal_role_leave(&q->wait, side);
}

// ---- beside the fast paths ----

static struct shoal_claim claim_at(const struct shoal_queue *q, uint64_t at) {
  return shoal_mpmc_at(&q->ring, at, q->ring.stride);
}

// After a claim: somebody sleeps, or the queue is closed. The bump has a sleeper that is not queued yet look again if we die.
int shoal_queue_claimed_(struct shoal_queue *q, uint64_t at) {
  struct shoal_eventcount *ec = q->wait.shm;
  if (shoal_eventcount_closed(ec)) {
    struct shoal_claim claim = claim_at(q, at);
    shoal_mpmc_cancel(&q->ring, &claim);
    shoal_eventcount_ring(ec);
    return -EPIPE;
  }
  shoal_eventcount_bump_(ec, SHOAL_CONSUMER);
  return 0;
}

void shoal_queue_published_(struct shoal_queue *q, uint64_t at) {
  shoal_eventcount_wake_(q->wait.shm, SHOAL_CONSUMER, 1 + shoal_mpmc_messages_behind(&q->ring, at));
}

// Positions first..last are free, not all of them ours: as many sleepers as there are places, those that overtook us
// included, which alone were of no use.
static void freed(struct shoal_queue *q, uint64_t first, uint64_t last) {
  struct shoal_eventcount *ec = q->wait.shm;
  if (shoal_eventcount_asleep_(ec, SHOAL_PRODUCER)) {
    uint64_t n = last - first + 1 + (uint64_t)shoal_mpmc_places_behind(&q->ring, last);
    shoal_eventcount_wake_(ec, SHOAL_PRODUCER, n < INT32_MAX ? (int)n : INT32_MAX);
  }
  // [C1] pairs with [A1]: claims of others were waited for
  if (shoal_load32_seq_cst(&ec->ev[SHOAL_CONSUMER]) & SHOAL_EV_E_)
    shoal_eventcount_wake_(ec, SHOAL_CONSUMER, INT32_MAX);
}
void shoal_queue_freed_(struct shoal_queue *q, uint64_t at) { freed(q, at, at); }

// The put that was refused may have been waited for: tell.
int shoal_queue_spsc_refused_(struct shoal_queue *q) {
  shoal_store32_release(&shoal_role_at_(&q->wait, 1)->busy, 0);  // [R6]
  shoal_eventcount_ring(q->wait.shm);
  return -EPIPE;
}

// A producer sleeps; it finds room only if the ring has released some since it was told.
void shoal_queue_spsc_released_(struct shoal_queue *q) {
  uint64_t released = shoal_load64_relaxed(&q->spsc->released);
  if (released == q->consumer.told) return;
  q->consumer.told = released;
  shoal_eventcount_wake_(q->wait.shm, SHOAL_PRODUCER, 1);
}

// ---- attempts: 0, -EAGAIN, -EPIPE ----

struct op {
  struct shoal_queue *q;
  uint32_t me, n, done;
  const char *in;
  char *out;
  struct shoal_claim claim;  // MPMC
  void *place;               // SPSC
};

static int attempt_put(void *arg) {
  struct op *op = arg;
  return shoal_queue_put_once_(op->q, op->me, op->in, op->q->element_size);
}
static int attempt_get(void *arg) {
  struct op *op = arg;
  return shoal_queue_get_once_(op->q, op->me, op->out, op->q->element_size);
}

// One of them the whole way, so that what a put does besides is done; the rest as a batch.
static int spsc_put_n(struct op *op) {
  struct shoal_queue *q = op->q;
  struct shoal_role *role = shoal_role_at_(&q->wait, op->me);
  int rc = shoal_queue_put_spsc_(q, op->me, op->in, q->element_size);
  if (rc) return rc;
  shoal_store32_relaxed(&role->busy, 1);
  shoal_queue_spsc_barrier_(q, role);
  op->done = 1;
  if (!shoal_eventcount_closed(q->wait.shm))
    op->done += shoal_spsc_try_put_n(&q->producer.ring, op->in + q->element_size, op->n - 1);
  shoal_queue_spsc_barrier_(q, role);
  shoal_store32_release(&role->busy, 0);  // [R6]
  if (shoal_eventcount_asleep_(q->wait.shm, SHOAL_CONSUMER)) shoal_eventcount_wake_(q->wait.shm, SHOAL_CONSUMER, 1);
  return 0;
}

static int spsc_get_n(struct op *op) {
  struct shoal_queue *q = op->q;
  struct shoal_role *role = shoal_role_at_(&q->wait, op->me);
  if (q->consumer.lent) return -EBUSY;
  op->done = shoal_spsc_try_get_n(&q->consumer.ring, op->out, op->n);
  shoal_queue_spsc_barrier_(q, role);
  if (shoal_eventcount_asleep_(q->wait.shm, SHOAL_PRODUCER)) shoal_queue_spsc_released_(q);
  return op->done ? 0 : -EAGAIN;
}

static int attempt_put_n(void *arg) {
  struct op *op = arg;
  struct shoal_queue *q = op->q;
  if (q->kind == SHOAL_QUEUE_SPSC) return spsc_put_n(op);
  struct shoal_eventcount *ec = q->wait.shm;
  struct shoal_claim claim;
  uint64_t first = 0, last = 0;
  int rc = -EAGAIN;
  for (op->done = 0; op->done < op->n && shoal_mpmc_claim_put(&q->ring, op->me, q->element_size, &claim); op->done++) {
    if (shoal_eventcount_asleep_(ec, SHOAL_CONSUMER) | shoal_eventcount_closed(ec)) {
      int closed = shoal_queue_claimed_(q, claim.at);
      if (closed) {
        rc = closed;
        break;
      }
    }
    memcpy(shoal_claim_data(&claim, q->element_size), op->in + (size_t)op->done * q->element_size, q->element_size);
    shoal_mpmc_publish(&q->ring, &claim);
    if (!op->done) first = claim.at;
    last = claim.at;
  }
  if (!op->done) return rc;
  if (shoal_eventcount_asleep_(ec, SHOAL_CONSUMER)) {
    uint64_t n = last - first + 1 + (uint64_t)shoal_mpmc_messages_behind(&q->ring, last);  // what overtook us included
    shoal_eventcount_wake_(ec, SHOAL_CONSUMER, n < INT32_MAX ? (int)n : INT32_MAX);
  }
  return 0;
}

static int attempt_get_n(void *arg) {
  struct op *op = arg;
  struct shoal_queue *q = op->q;
  if (q->kind == SHOAL_QUEUE_SPSC) return spsc_get_n(op);
  struct shoal_eventcount *ec = q->wait.shm;
  struct shoal_role *role = shoal_role_at_(&q->wait, op->me);
  uint32_t busy = shoal_load32_relaxed(&role->busy);
  struct shoal_claim claim;
  uint64_t first = 0, last = 0;
  shoal_store32_relaxed(&role->busy, busy + 1);
  for (op->done = 0; op->done < op->n && shoal_mpmc_claim_get(&q->ring, op->me, q->element_size, &claim); op->done++) {
    if (shoal_eventcount_asleep_(ec, SHOAL_PRODUCER)) shoal_eventcount_bump_(ec, SHOAL_PRODUCER);
    memcpy(op->out + (size_t)op->done * q->element_size, shoal_claim_data(&claim, q->element_size), q->element_size);
    shoal_mpmc_commit(&q->ring, &claim);
    if (!op->done || claim.at < first) first = claim.at;  // a stray stands behind the others
    if (!op->done || claim.at > last) last = claim.at;
  }
  shoal_store32_release(&role->busy, busy);  // [R6]
  if (!op->done) return -EAGAIN;
  if (shoal_eventcount_asleep_for_room_(ec)) freed(q, first, last);
  return 0;
}

static int attempt_reserve(void *arg) {
  struct op *op = arg;
  if (!shoal_mpmc_claim_put(&op->q->ring, op->me, op->q->element_size, &op->claim)) return -EAGAIN;
  return shoal_eventcount_closed(op->q->wait.shm) ? shoal_queue_claimed_(op->q, op->claim.at) : 0;
}
static int attempt_receive(void *arg) {
  struct op *op = arg;
  return shoal_mpmc_claim_get(&op->q->ring, op->me, op->q->element_size, &op->claim) ? 0 : -EAGAIN;
}

static int attempt_reserve_spsc(void *arg) {
  struct op *op = arg;
  struct shoal_queue *q = op->q;
  struct shoal_role *role = shoal_role_at_(&q->wait, op->me);
  if (q->producer.lent) return -EBUSY;
  shoal_store32_relaxed(&role->busy, 1);  // until it is committed or cancelled
  shoal_queue_spsc_barrier_(q, role);
  if (shoal_eventcount_closed(q->wait.shm)) return shoal_queue_spsc_refused_(q);
  op->place = shoal_spsc_reserve(&q->producer.ring);
  if (op->place) return 0;
  shoal_store32_release(&role->busy, 0);  // [R6]
  return -EAGAIN;
}
static int attempt_receive_spsc(void *arg) {
  struct op *op = arg;
  struct shoal_queue *q = op->q;
  struct shoal_role *role = shoal_role_at_(&q->wait, op->me);
  if (q->consumer.lent) return -EBUSY;
  op->place = shoal_spsc_peek(&q->consumer.ring);
  shoal_queue_spsc_barrier_(q, role);
  if (shoal_eventcount_asleep_(q->wait.shm, SHOAL_PRODUCER)) shoal_queue_spsc_released_(q);
  return op->place ? 0 : -EAGAIN;
}

// ---- whole elements ----

int shoal_queue_put_wait_(struct shoal_queue *q, uint32_t me, const void *element, shoal_deadline deadline) {
  struct op op = {.q = q, .me = me, .in = element};
  return shoal_eventcount_wait(&q->wait, SHOAL_PRODUCER, me, attempt_put, &op, deadline);
}
int shoal_queue_get_wait_(struct shoal_queue *q, uint32_t me, void *element, shoal_deadline deadline) {
  struct op op = {.q = q, .me = me, .out = element};
  return shoal_eventcount_wait(&q->wait, SHOAL_CONSUMER, me, attempt_get, &op, deadline);
}

// Sizes that a compiler copies better than memcpy finds out at run time; each a function of its own, for its registers.
#define SIZED(name, n)                                                                                        \
  static SHOAL_NOINLINE int put_##name(struct shoal_queue *q, const void *element, shoal_deadline deadline) { \
    return shoal_queue_put_(q, element, n, deadline);                                                         \
  }                                                                                                           \
  static SHOAL_NOINLINE int get_##name(struct shoal_queue *q, void *element, shoal_deadline deadline) {       \
    return shoal_queue_get_(q, element, n, deadline);                                                         \
  }
SIZED(4, 4)
SIZED(8, 8)
SIZED(16, 16)
SIZED(any, q->element_size)

int shoal_queue_put(struct shoal_queue *q, const void *element, shoal_deadline deadline) {
  switch (q->element_size) {
    case 4: return put_4(q, element, deadline);
    case 8: return put_8(q, element, deadline);
    case 16: return put_16(q, element, deadline);
    default: return put_any(q, element, deadline);
  }
}
int shoal_queue_get(struct shoal_queue *q, void *element, shoal_deadline deadline) {
  switch (q->element_size) {
    case 4: return get_4(q, element, deadline);
    case 8: return get_8(q, element, deadline);
    case 16: return get_16(q, element, deadline);
    default: return get_any(q, element, deadline);
  }
}

// Joins, points list_op_pending at the bell, attempts, waits. The role, or a negative errno.
static int run(struct op *op, int side, int holds, int (*attempt)(void *), shoal_deadline deadline) {
  struct shoal_queue *q = op->q;
  int me = shoal_role_mine(&q->wait, side);
  if (me < 0) return me;
  op->me = (uint32_t)me;
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &q->wait.shm->bell);
  if (holds) shoal_role_hold(&q->wait, op->me);
  int rc = attempt(op);
  if (rc == -EAGAIN) rc = shoal_eventcount_wait(&q->wait, side, op->me, attempt, op, deadline);
  shoal_pending_restore_(t, pending);
  return rc;
}

int shoal_queue_put_n(struct shoal_queue *q, const void *elements, uint32_t n, shoal_deadline deadline) {
  if (n - 1 >= INT32_MAX) return shoal_fail_(-EINVAL, "%u elements", n);
  struct op op = {.q = q, .in = elements, .n = n};
  int rc = run(&op, SHOAL_PRODUCER, 0, attempt_put_n, deadline);
  return rc ? rc : (int)op.done;
}
int shoal_queue_get_n(struct shoal_queue *q, void *elements, uint32_t n, shoal_deadline deadline) {
  if (n - 1 >= INT32_MAX) return shoal_fail_(-EINVAL, "%u elements", n);
  struct op op = {.q = q, .out = elements, .n = n};
  int rc = run(&op, SHOAL_CONSUMER, 0, attempt_get_n, deadline);
  return rc ? rc : (int)op.done;
}

// ---- in place ----

static void lend(const struct op *op, uint32_t state, struct shoal_loan *loan) {
  struct shoal_loan l = {
      .data = shoal_claim_data(&op->claim, op->q->element_size), .token = op->claim.at, .role = op->me};
  shoal_mpmc_holds(&op->q->ring, op->me, op->claim.at, state, &l.redelivered);
  *loan = l;
}

static int reserve_spsc(struct shoal_queue *q, struct shoal_loan *loan, shoal_deadline deadline) {
  struct op op = {.q = q};
  int rc = run(&op, SHOAL_PRODUCER, 0, attempt_reserve_spsc, deadline);
  if (rc) return rc;
  q->producer.lent = 1;
  *loan = (struct shoal_loan){op.place, q->producer.ring.next, op.me, 0};
  return 0;
}
static int receive_spsc(struct shoal_queue *q, struct shoal_loan *loan, shoal_deadline deadline) {
  struct op op = {.q = q};
  int rc = run(&op, SHOAL_CONSUMER, 0, attempt_receive_spsc, deadline);
  if (rc) return rc;
  q->consumer.lent = 1;
  uint64_t at = q->consumer.ring.next;
  *loan = (struct shoal_loan){op.place, at, op.me, q->consumer.ring.inherited && at == q->consumer.first};
  return 0;
}

int shoal_queue_reserve(struct shoal_queue *q, struct shoal_loan *loan, shoal_deadline deadline) {
  struct op op = {.q = q};
  if (q->kind == SHOAL_QUEUE_SPSC) return reserve_spsc(q, loan, deadline);
  int rc = run(&op, SHOAL_PRODUCER, 1, attempt_reserve, deadline);
  if (!rc) lend(&op, SHOAL_SLOT_WRITING_, loan);
  return rc;
}
int shoal_queue_receive(struct shoal_queue *q, struct shoal_loan *loan, shoal_deadline deadline) {
  struct op op = {.q = q};
  if (q->kind == SHOAL_QUEUE_SPSC) return receive_spsc(q, loan, deadline);
  int rc = run(&op, SHOAL_CONSUMER, 1, attempt_receive, deadline);
  if (!rc) lend(&op, SHOAL_SLOT_READING_, loan);
  return rc;
}

static int is_lent(struct shoal_queue *q, int side, const struct shoal_loan *loan) {
  uint32_t deaths;
  if (q->kind == SHOAL_QUEUE_MPMC)
    return shoal_mpmc_holds(&q->ring, loan->role, loan->token,
                            side == SHOAL_PRODUCER ? SHOAL_SLOT_WRITING_ : SHOAL_SLOT_READING_, &deaths);
  return side == SHOAL_PRODUCER ? q->producer.lent && q->producer.ring.next == loan->token
                                : q->consumer.lent && q->consumer.ring.next == loan->token;
}

// Only the owner of a claim changes it: what is the caller's now stays so.
static int check(struct shoal_queue *q, int side, const struct shoal_loan *loan) {
  if (!loan->data) return shoal_fail_(-EINVAL, "given back already");
  if (shoal_role_known(&q->wait, side) != loan->role)
    return shoal_fail_(-EPERM, "the loan of another thread, or of the other side");
  if (!is_lent(q, side, loan))
    return shoal_fail_(-EINVAL, "position %llu is not on loan", (unsigned long long)loan->token);
  return 0;
}

enum ending { COMMIT, CANCEL, RELEASE, RETURN };

static void finish_put(struct shoal_queue *q, uint64_t at, enum ending how) {
  struct shoal_claim claim = claim_at(q, at);
  struct shoal_eventcount *ec = q->wait.shm;
  if (shoal_eventcount_asleep_(ec, SHOAL_CONSUMER)) shoal_eventcount_bump_(ec, SHOAL_CONSUMER);
  if (how == COMMIT) shoal_mpmc_publish(&q->ring, &claim);
  else shoal_mpmc_cancel(&q->ring, &claim);
  if (shoal_eventcount_asleep_(ec, SHOAL_CONSUMER)) shoal_queue_published_(q, at);
  if (how == CANCEL && shoal_eventcount_asleep_(ec, SHOAL_PRODUCER)) freed(q, at, at);
}

static void finish_get(struct shoal_queue *q, uint64_t at, enum ending how) {
  struct shoal_claim claim = claim_at(q, at);
  struct shoal_eventcount *ec = q->wait.shm;
  int side = how == RELEASE ? SHOAL_PRODUCER : SHOAL_CONSUMER;
  if (shoal_eventcount_asleep_(ec, side)) shoal_eventcount_bump_(ec, side);
  if (how == RELEASE) {
    shoal_mpmc_commit(&q->ring, &claim);
    if (shoal_eventcount_asleep_for_room_(ec)) freed(q, at, at);
  } else {
    shoal_mpmc_return(&q->ring, &claim);
    if (shoal_eventcount_asleep_(ec, SHOAL_CONSUMER)) shoal_eventcount_wake_(ec, SHOAL_CONSUMER, 1);
  }
}

static void finish_put_spsc(struct shoal_queue *q, struct shoal_role *role, enum ending how) {
  struct shoal_eventcount *ec = q->wait.shm;
  q->producer.lent = 0;
  if (how == COMMIT) shoal_spsc_commit(&q->producer.ring);
  shoal_queue_spsc_barrier_(q, role);
  shoal_store32_release(&role->busy, 0);  // [R6]
  if (shoal_eventcount_asleep_(ec, SHOAL_CONSUMER)) shoal_eventcount_wake_(ec, SHOAL_CONSUMER, 1);
}
static void finish_get_spsc(struct shoal_queue *q, struct shoal_role *role, enum ending how) {
  q->consumer.lent = 0;
  if (how == RELEASE) shoal_spsc_release(&q->consumer.ring);
  shoal_queue_spsc_barrier_(q, role);
  if (shoal_eventcount_asleep_(q->wait.shm, SHOAL_PRODUCER)) shoal_queue_spsc_released_(q);
}

static void end_loan(struct shoal_queue *q, const struct shoal_loan *loan, enum ending how) {
  struct shoal_role *role = shoal_role_at_(&q->wait, loan->role);
  int put = how == COMMIT || how == CANCEL;
  if (q->kind == SHOAL_QUEUE_MPMC) (put ? finish_put : finish_get)(q, loan->token, how);
  else if (put) finish_put_spsc(q, role, how);
  else finish_get_spsc(q, role, how);
}

static int finish(struct shoal_queue *q, struct shoal_loan *loan, enum ending how) {
  int side = how == COMMIT || how == CANCEL ? SHOAL_PRODUCER : SHOAL_CONSUMER;
  int rc = check(q, side, loan);
  if (rc) return rc;
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &q->wait.shm->bell);
  end_loan(q, loan, how);
  shoal_pending_restore_(t, pending);
  *loan = (struct shoal_loan){0};
  return 0;
}

int shoal_queue_commit(struct shoal_queue *q, struct shoal_loan *loan) { return finish(q, loan, COMMIT); }
int shoal_queue_cancel(struct shoal_queue *q, struct shoal_loan *loan) { return finish(q, loan, CANCEL); }
int shoal_queue_release(struct shoal_queue *q, struct shoal_loan *loan) { return finish(q, loan, RELEASE); }
int shoal_queue_return(struct shoal_queue *q, struct shoal_loan *loan) { return finish(q, loan, RETURN); }

// ---- looking at it ----

static void ring_info(struct shoal_queue *q, struct shoal_queue_info *out) {
  if (q->kind == SHOAL_QUEUE_SPSC) {
    struct shoal_spsc_info info;
    if (shoal_spsc_info(q->spsc, q->spsc_bytes, &info)) return;
    out->capacity = (uint32_t)info.capacity;
    out->size = info.size;
    return;
  }
  out->capacity = (uint32_t)q->ring.mask + 1;
  out->drop = q->ring.drop;
  out->size = shoal_mpmc_count(&q->ring);
  out->holes = shoal_load64_relaxed(&q->ring.shm->holes);
  out->redelivered = shoal_load64_relaxed(&q->ring.shm->redelivered);
  out->dropped = shoal_load64_relaxed(&q->ring.shm->dropped);
}

int shoal_queue_info(struct shoal_queue *q, struct shoal_queue_info *out) {
  const struct shoal_eventcount_counters *c = &q->wait.shm->counters;
  struct shoal_queue_info info = {
      .element_size = q->element_size,
      .kind = q->kind,
      .producers = shoal_role_count(&q->wait, SHOAL_PRODUCER),
      .consumers = shoal_role_count(&q->wait, SHOAL_CONSUMER),
      .producers_max = q->wait.count[SHOAL_PRODUCER],
      .consumers_max = q->wait.count[SHOAL_CONSUMER],
      .closed = (uint32_t)shoal_eventcount_closed(q->wait.shm),
      .wakes = shoal_load64_relaxed(&c->wakes),
      .woken = shoal_load64_relaxed(&c->woken),
      .sleeps = shoal_load64_relaxed(&c->sleeps),
      .rings = shoal_load64_relaxed(&c->rings),
      .fences = shoal_load64_relaxed(&c->fences),
      .late = shoal_load64_relaxed(&c->late),
      .reaped = shoal_load64_relaxed(&c->reaped),
      .joins = shoal_load64_relaxed(&c->joins),
  };
  ring_info(q, &info);
  *out = info;
  return 0;
}
