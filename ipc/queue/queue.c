#include "ipc/queue/queue.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/error.h"
#include "ipc/queue/message.h"
#include "ipc/queue/queue_internal.h"

#define MAGIC 0x51753033u
#define ALIGN(n) (((n) + 63) & ~UINT64_C(63))

// ---- layout ----

struct layout {
  uint32_t producers, consumers;
  uint64_t ring, extra, size;  // bytes from the start to the ring, to the leases, to the end; size 0: absurd
};

enum { KINDS = SHOAL_QUEUE_PRIORITY + 1 };
static const struct shoal_queue_kind_ *const kinds[KINDS] = {
    [SHOAL_QUEUE_MPMC] = &shoal_queue_mpmc_,         [SHOAL_QUEUE_SPSC] = &shoal_queue_spsc_,
    [SHOAL_QUEUE_FIFO] = &shoal_queue_fifo_,         [SHOAL_QUEUE_LIFO] = &shoal_queue_lifo_,
    [SHOAL_QUEUE_PRIORITY] = &shoal_queue_priority_,
};

// The mpmc ring cannot grow.
static uint32_t kind_of(const struct shoal_queue_options *o) {
  return o->kind == SHOAL_QUEUE_MPMC && o->grow ? SHOAL_QUEUE_FIFO : o->kind;
}

const char *shoal_queue_type_refused_(const char *type, uint32_t element_size) {
  if (!type || !*type) return NULL;
  if (!element_size) return "options.type: byte messages have none";
  return strnlen(type, SHOAL_QUEUE_TYPE_MAX + 1) > SHOAL_QUEUE_TYPE_MAX ? "options.type: 63 bytes at most" : NULL;
}

static const char *refused(const struct shoal_queue_options *o) {
  const struct shoal_queue_kind_ *kind = kinds[kind_of(o)];
  if (o->kind != SHOAL_QUEUE_PRIORITY && o->key.type) return "options.key is for SHOAL_QUEUE_PRIORITY";
  if (o->bytes && (o->element_size || o->key.type))
    return "byte messages have no element size, and no key among its bytes";
  const char *why = kind->refuses(o);
  if (!why) why = shoal_queue_type_refused_(o->type, o->element_size);
  return why ? why : shoal_queue_policy_refuses_(kind, o);
}
// As the ring is to be made.
static struct shoal_queue_options ring_options(const struct shoal_queue_options *o) {
  struct shoal_queue_options ring = *o;
  if (!o->bytes) return ring;
  ring.element_size = sizeof(struct shoal_message_shm);
  if (o->kind != SHOAL_QUEUE_PRIORITY) return ring;
  ring.element_size = sizeof(struct shoal_keyed_message_shm);
  ring.key = (struct shoal_queue_key){SHOAL_KEY_I64, offsetof(struct shoal_keyed_message_shm, key)};
  return ring;
}

static struct layout lay_out(const struct shoal_queue_options *options) {
  struct layout l = {0, 0, 0, 0, 0};
  struct shoal_queue_options ring_is = ring_options(options), *o = &ring_is;
  if (o->kind >= KINDS || refused(options)) return l;
  const struct shoal_queue_kind_ *kind = kinds[kind_of(o)];
  l.producers = o->producers ? o->producers : kind->roles;
  l.consumers = o->consumers ? o->consumers : kind->roles;
  uint64_t ring = kind->size(o), wait = shoal_eventcount_size(l.producers, l.consumers);
  if (!wait || !ring) return l;
  l.ring = offsetof(struct shoal_queue_shm, wait) + wait;
  l.extra = ALIGN(l.ring + ring);
  uint64_t extra = shoal_queue_extra_size_(o);
  l.size = extra ? l.extra + extra : l.ring + ring;
  return l;
}

uint64_t shoal_queue_size_(const struct shoal_queue_options *options) { return lay_out(options).size; }

static void *ring_at(struct shoal_queue_shm *shm, uint64_t off) { return (char *)shm + off; }

// -EINVAL, and what of the options it is.
static int absurd(const struct shoal_queue_options *o, const struct layout *l) {
  if (!o->capacity) return shoal_fail_(-EINVAL, "options.capacity is not given");
  if (!o->element_size && !o->bytes) return shoal_fail_(-EINVAL, "options.element_size is not given");
  if (o->kind >= KINDS) return shoal_fail_(-EINVAL, "options.kind is %u: there is no such kind", o->kind);
  const char *why = refused(o);
  if (why) return shoal_fail_(-EINVAL, "%s", why);
  return shoal_fail_(-EINVAL, "too large: %u elements of %u bytes, %u producers, %u consumers", o->capacity,
                     o->element_size, l->producers, l->consumers);
}

int shoal_queue_place_(void *memory, uint64_t size, const struct shoal_queue_options *options) {
  struct shoal_queue_shm *shm = memory;
  struct layout l = lay_out(options);
  if (!l.size) return absurd(options, &l);
  if (l.size > size)
    return shoal_fail_(-EINVAL, "a queue of %llu bytes in %llu", (unsigned long long)l.size, (unsigned long long)size);
  const struct shoal_queue_kind_ *kind = kinds[kind_of(options)];
  struct shoal_queue_options ring = ring_options(options);
  // who drops waits for hands, not for readers: theirs is no end
  uint32_t flags = kind->wait_flags | (options->overflow == SHOAL_OVERFLOW_DROP_OLDEST ? SHOAL_EC_AWAITS : 0);
  int rc = shoal_eventcount_init(&shm->wait, l.producers, l.consumers, flags);
  if (!rc) rc = kind->init(ring_at(shm, l.ring), l.size - l.ring, &ring);
  if (rc) return rc;
  shm->kind = kind_of(options);
  shm->element_size = options->element_size;  // 0: byte messages
  shm->ring = (uint32_t)l.ring;
  shm->overflow = options->overflow;
  shm->joinable = options->joinable != 0;
  if (options->type) memcpy(shm->type, options->type, strlen(options->type));
  if (shoal_queue_extra_size_(options)) {
    shm->extra = l.extra;
    shoal_queue_extra_init_(ring_at(shm, l.extra), options);
  }
  shoal_store32_release(&shm->magic, MAGIC);  // [M1] pairs with [M2]: it is whole
  return 0;
}

static int attach(struct shoal_queue *q, struct shoal_queue_shm *shm, uint64_t size) {
  if (size < sizeof *shm || shoal_load32_acquire(&shm->magic) != MAGIC)  // [M2] pairs with [M1]
    return shoal_fail_(-EPROTO, "not a queue");
  uint32_t ring = __atomic_load_n(&shm->ring, __ATOMIC_RELAXED);
  q->kind = __atomic_load_n(&shm->kind, __ATOMIC_RELAXED);
  if (q->kind >= KINDS) return shoal_fail_(-EPROTO, "a queue of unknown kind %u", q->kind);
  if (ring % 64 || ring < sizeof *shm || ring > size) return shoal_fail_(-EPROTO, "the ring lies outside");
  q->ops = kinds[q->kind];
  int rc = shoal_eventcount_attach(&q->wait, &shm->wait, ring - offsetof(struct shoal_queue_shm, wait), q->ops->wait);
  if (!rc) rc = q->ops->attach(q, ring_at(shm, ring), size - ring);
  if (rc) return rc;
  q->slot_size = q->element_size;
  uint32_t element_size = __atomic_load_n(&shm->element_size, __ATOMIC_RELAXED);
  if (element_size && element_size != q->element_size)
    return shoal_fail_(-EPROTO, "a queue and its ring of different element sizes");
  q->shm = shm;
  rc = element_size ? 0 : shoal_message_attach_(q);
  return rc ? rc : shoal_queue_policy_attach_(q, size);
}

int shoal_queue_misfit_(const struct shoal_queue *q, uint32_t size) {
  if (!q->element_size) return shoal_fail_(-EBADMSG, "it carries byte messages: send, recv");
  if (!size) return shoal_fail_(-EBADMSG, "it carries elements of %u bytes, no byte messages", q->element_size);
  return shoal_fail_(-EBADMSG, "elements of %u bytes, not %u", q->element_size, size);
}

int shoal_queue_type_differs_(const char has[SHOAL_QUEUE_TYPE_MAX + 1], const char *type) {
  char is[SHOAL_QUEUE_TYPE_MAX + 1];
  memcpy(is, has, sizeof is);
  is[sizeof is - 1] = 0;
  if (!type || !*type || !*is || strcmp(is, type) == 0) return 0;
  return shoal_fail_(-EBADMSG, "its elements are of type %s, not %s", is, type);
}

static void dispose(struct shoal_queue *q) {
  shoal_queue_policy_detach_(q);
  if (q->heap) shoal_heap_close(q->heap);
  free(q);
}

int shoal_queue_attach_at_(void *memory, uint64_t size, uint32_t element_size, struct shoal_segment *seg,
                           const struct shoal_object *object, struct shoal_queue **out) {
  struct shoal_queue *q = aligned_alloc(64, ALIGN(sizeof *q));
  if (!q) return shoal_fail_(-ENOMEM, "no memory for a handle");
  memset(q, 0, sizeof *q);
  q->segment = seg;
  q->borrowed = 1;
  if (object) q->object = *object;
  int rc = attach(q, memory, size);
  q->ordered.segment = seg;
  if (!rc && q->element_size != element_size) rc = shoal_queue_misfit_(q, element_size);
  if (rc) dispose(q);
  else *out = q;
  return rc;
}
int shoal_queue_attach_(void *memory, uint64_t size, uint32_t element_size, struct shoal_queue **out) {
  return shoal_queue_attach_at_(memory, size, element_size, NULL, NULL, out);
}

// ---- in a segment ----

static void type_of(uint32_t element_size, char type[SHOAL_TYPE_MAX + 1]) {
  if (element_size) snprintf(type, SHOAL_TYPE_MAX + 1, "queue:%u", element_size);
  else snprintf(type, SHOAL_TYPE_MAX + 1, "queue:bytes");
}

static int init_object(void *memory, uint64_t size, void *options) { return shoal_queue_place_(memory, size, options); }

static int attach_object(struct shoal_segment *seg, struct shoal_object object, const char *type, uint32_t element_size,
                         struct shoal_queue **out) {
  struct shoal_queue *q = NULL;
  int rc = shoal_queue_attach_at_(object.memory, object.size, element_size, seg, &object, &q);
  if (!rc) rc = shoal_queue_type_differs_(q->shm->type, type);
  if (rc) {
    if (q) dispose(q);
    shoal_object_close(seg, &object);
    return rc;
  }
  q->borrowed = 0;
  *out = q;
  return 0;
}

static const char *kind_name(uint32_t kind) {
  static const char *const names[] = {"MPMC", "SPSC", "FIFO", "LIFO", "PRIORITY"};
  return kind < sizeof names / sizeof *names ? names[kind] : "none that is known";
}

// As C calls it, but for the size: "signed 32".
static const char *key_name(uint32_t type, char text[16]) {
  static const char *const kinds_of[] = {"unknown", "unsigned", "signed", "float"};
  snprintf(text, 16, "%s %u", kinds_of[type >> 8 < 4 ? type >> 8 : 0], 8 * (type & 255));
  return text;
}

// Detached and -EBADMSG: not of kind PRIORITY, or by another key.
static int check_key(int rc, struct shoal_queue *q, struct shoal_queue_key key) {
  if (rc) return rc;
  const struct shoal_queue_key *has = &q->ordered.key;
  char is[16], asked[16];
  if (q->kind == SHOAL_QUEUE_PRIORITY && has->type == key.type && has->offset == key.offset) return 0;
  if (q->kind != SHOAL_QUEUE_PRIORITY) rc = shoal_fail_(-EBADMSG, "not of kind PRIORITY, but %s", kind_name(q->kind));
  else
    rc = shoal_fail_(-EBADMSG, "sorted by a key of type %s at byte %u, not %s at %u", key_name(has->type, is),
                     has->offset, key_name(key.type, asked), key.offset);
  shoal_queue_detach(q);
  return rc;
}

// Without the dead letters of its own, which may be its own.
static int open_alone(struct shoal_segment *seg, const char *name, const char *type, uint32_t element_size,
                      struct shoal_queue **out) {
  struct shoal_object object;
  char family[SHOAL_TYPE_MAX + 1];
  type_of(element_size, family);
  int rc = shoal_object_open(seg, name, family, &object);
  return rc ? rc : attach_object(seg, object, type, element_size, out);
}

// "": none.
static void dead_letters_of(const struct shoal_queue *q, char name[SHOAL_NAME_MAX + 1]) {
  memset(name, 0, SHOAL_NAME_MAX + 1);
  if (q->leased) memcpy(name, q->extra->dead_letters, SHOAL_NAME_MAX);
}

// The queue as the user sees it: with its dead letters.
static int attach_whole(struct shoal_segment *seg, struct shoal_object object, const char *type, uint32_t element_size,
                        struct shoal_queue **out) {
  struct shoal_queue *q;
  char name[SHOAL_NAME_MAX + 1];
  int rc = attach_object(seg, object, type, element_size, &q);
  if (rc) return rc;
  dead_letters_of(q, name);
  if (name[0]) rc = open_alone(seg, name, type, element_size, &q->dead);
  if (rc) shoal_queue_detach(q);
  else *out = q;
  return rc;
}

// Before the queue is made: where its dead letters go must be there.
static int check_dead_letters(struct shoal_segment *seg, const struct shoal_queue_options *o) {
  struct shoal_queue *dead;
  int rc = o->dead_letters ? open_alone(seg, o->dead_letters, o->type, o->element_size, &dead) : 0;
  if (!rc && o->dead_letters) shoal_queue_detach(dead);
  return rc;
}

int shoal_queue_create(struct shoal_segment *seg, const char *name, const struct shoal_queue_options *options,
                       struct shoal_queue **out) {
  struct shoal_queue_options o = shoal_queue_options_(options);
  struct shoal_object object;
  char type[SHOAL_TYPE_MAX + 1];
  uint64_t size = shoal_queue_size_(&o);
  if (!size) return shoal_queue_place_(NULL, 0, &o);  // says why
  type_of(o.element_size, type);
  int rc = check_dead_letters(seg, &o);
  if (!rc) rc = shoal_object_create(seg, name, type, size, init_object, &o, &object);
  return rc ? rc : attach_whole(seg, object, o.type, o.element_size, out);
}

int shoal_queue_open_as(struct shoal_segment *seg, const char *name, const char *type, uint32_t element_size,
                        struct shoal_queue **out) {
  struct shoal_object object;
  char family[SHOAL_TYPE_MAX + 1];
  type_of(element_size, family);
  int rc = shoal_object_open(seg, name, family, &object);
  return rc ? rc : attach_whole(seg, object, type, element_size, out);
}
int shoal_queue_open(struct shoal_segment *seg, const char *name, uint32_t element_size, struct shoal_queue **out) {
  return shoal_queue_open_as(seg, name, NULL, element_size, out);
}

int shoal_queue_open_by_(struct shoal_segment *seg, const char *name, const char *type, uint32_t element_size,
                         struct shoal_queue_key key, struct shoal_queue **out) {
  struct shoal_queue *q = NULL;
  int rc = shoal_queue_open_as(seg, name, type, element_size, &q);
  rc = check_key(rc, q, key);
  if (!rc) *out = q;
  return rc;
}

// Detached and -EBADMSG: the one there does not do what is asked for. How much it holds is no promise of that kind.
static int check_policy(int rc, struct shoal_queue *q, const struct shoal_queue_options *o) {
  if (rc) return rc;
  char letters[SHOAL_NAME_MAX + 1];
  const char *asked = o->dead_letters ? o->dead_letters : "";
  const struct {
    const char *name;
    uint64_t is, asked;
  } options[] = {{"overflow", q->overflow, o->overflow},
                 {"joinable", q->joinable, o->joinable != 0},
                 {"lease_ns", (uint64_t)q->lease_ns, o->lease_ns},
                 {"delivery_max", q->delivery_max, o->delivery_max},
                 {"drop", q->ring.drop | q->ordered.drop, o->drop != 0}};
  dead_letters_of(q, letters);
  if (q->kind != kind_of(o))
    rc = shoal_fail_(-EBADMSG, "the queue there has kind %s, not %s", kind_name(q->kind), kind_name(kind_of(o)));
  for (unsigned i = 0; !rc && i < sizeof options / sizeof *options; i++)
    if (options[i].is != options[i].asked)
      rc = shoal_fail_(-EBADMSG, "the queue there has %s %llu, not %llu", options[i].name,
                       (unsigned long long)options[i].is, (unsigned long long)options[i].asked);
  if (!rc && strcmp(letters, asked) != 0)
    rc = shoal_fail_(-EBADMSG, "the queue there has dead_letters \"%s\", not \"%s\"", letters, asked);
  if (rc) shoal_queue_detach(q);
  return rc;
}

int shoal_queue_open_or_create(struct shoal_segment *seg, const char *name, const struct shoal_queue_options *options,
                               struct shoal_queue **out) {
  struct shoal_queue_options o = shoal_queue_options_(options);
  struct shoal_object object;
  struct shoal_queue *q = NULL;
  char type[SHOAL_TYPE_MAX + 1];
  uint64_t size = shoal_queue_size_(&o);
  if (!o.element_size && !o.bytes) return shoal_queue_place_(NULL, 0, &o);  // says why
  type_of(o.element_size, type);
  int rc = size ? check_dead_letters(seg, &o) : 0;
  if (rc) return rc;
  rc = size ? shoal_object_open_or_create(seg, name, type, size, init_object, &o, &object)
            : shoal_object_open(seg, name, type, &object);
  if (!size && rc == -ENOENT) return shoal_queue_place_(NULL, 0, &o);  // says why
  if (!rc) rc = attach_whole(seg, object, o.type, o.element_size, &q);
  if (o.kind == SHOAL_QUEUE_PRIORITY) rc = check_key(rc, q, ring_options(&o).key);
  if (size) rc = check_policy(rc, q, &o);
  if (!rc) *out = q;
  return rc;
}

int shoal_queue_unlink(struct shoal_segment *seg, const char *name) {
  return shoal_object_remove_typed(seg, name, "queue:");
}

int shoal_queue_detach(struct shoal_queue *q) {
  if (shoal_role_elsewhere_(&q->wait) || (q->dead && shoal_role_elsewhere_(&q->dead->wait)))
    return shoal_fail_(-EBUSY, "another thread has a role through this handle");
  int rc = shoal_queue_leave(q, SHOAL_PRODUCER);
  if (!rc) rc = shoal_queue_leave(q, SHOAL_CONSUMER);
  if (!rc && q->dead) rc = shoal_queue_detach(q->dead);
  if (rc) return rc;
  if (q->segment && !q->borrowed) shoal_object_close(q->segment, &q->object);
  dispose(q);
  return 0;
}

int shoal_queue_close(struct shoal_queue *q) {
  shoal_eventcount_close(&q->wait);
  return 0;
}

int shoal_queue_reopen(struct shoal_queue *q) {
  return shoal_eventcount_reopen(&q->wait) ? 0 : shoal_fail_(-EINVAL, "the queue is not closed");
}

int shoal_queue_join(struct shoal_queue *q, int side) {
  if (side != SHOAL_PRODUCER && side != SHOAL_CONSUMER) return shoal_fail_(-EINVAL, "side %d", side);
  int role = shoal_role_mine(&q->wait, side);
  return role < 0 ? role : 0;
}

int shoal_queue_leave(struct shoal_queue *q, int side) {
  if (side != SHOAL_PRODUCER && side != SHOAL_CONSUMER) return shoal_fail_(-EINVAL, "side %d", side);
  uint32_t me = shoal_role_known(&q->wait, side);
  int rc = q->dead && side == SHOAL_CONSUMER ? shoal_queue_leave(q->dead, SHOAL_PRODUCER) : 0;
  if (!rc && me) rc = q->ops->leave(q, side, me);
  if (rc) return rc;
  if (me && side == SHOAL_CONSUMER) shoal_queue_gave_back_(q, me);
  return shoal_role_leave(&q->wait, side);
}

// ---- whole elements ----

static int put_wait(struct shoal_queue *q, struct shoal_queue_op_ *op, shoal_deadline deadline) {
  int rc = q->attempt.put != q->ops->put ? q->attempt.put(op) : -EAGAIN;
  if (rc != -EAGAIN) return rc;
  rc = shoal_eventcount_wait(&q->wait, SHOAL_PRODUCER, op->me, q->attempt.put, op, shoal_queue_patience_(q, deadline));
  if (rc != -EAGAIN || q->overflow != SHOAL_OVERFLOW_DROP_NEWEST) return rc;
  shoal_queue_discarded_(q, 1);
  return SHOAL_DROPPED;
}

// After the first attempt; or (`first`) that, too, of a kind that has none without an op, or under a policy.
static SHOAL_NOINLINE int put_on(struct shoal_queue *q, uint32_t me, const void *element, int first,
                                 shoal_deadline deadline) {
  struct shoal_queue_op_ op = {.q = q, .me = me, .deadline = deadline, .in = element};
  int rc = first ? q->ops->put(&op) : -EAGAIN;
  return rc == -EAGAIN ? put_wait(q, &op, deadline) : rc;
}
int shoal_queue_put_any_(struct shoal_queue *q, const void *element, uint32_t size, shoal_deadline deadline) {
  if (q->element_size != size) return shoal_queue_misfit_(q, size);
  int me = shoal_role_mine(&q->wait, SHOAL_PRODUCER), first = !q->ops->put_one;
  if (me < 0) return me;
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &q->wait.shm->bell);
  int rc = first ? -EAGAIN : q->ops->put_one(q, (uint32_t)me, element, deadline);
  if (rc == -EAGAIN) rc = put_on(q, (uint32_t)me, element, first, deadline);
  shoal_pending_restore_(t, pending);
  return rc;
}

static SHOAL_NOINLINE int get_on(struct shoal_queue *q, uint32_t me, void *element, int first,
                                 shoal_deadline deadline) {
  struct shoal_queue_op_ op = {.q = q, .me = me, .deadline = deadline, .out = element};
  if (q->joinable || q->leased) shoal_role_hold(&q->wait, me);
  int rc = first ? q->attempt.get(&op) : -EAGAIN;
  return rc == -EAGAIN ? shoal_eventcount_wait(&q->wait, SHOAL_CONSUMER, me, q->attempt.get, &op, deadline) : rc;
}
int shoal_queue_get_any_(struct shoal_queue *q, void *element, uint32_t size, shoal_deadline deadline) {
  if (q->element_size != size) return shoal_queue_misfit_(q, size);
  int me = shoal_role_mine(&q->wait, SHOAL_CONSUMER), first = q->gets != q->kind || !q->ops->get_one;
  if (me < 0) return me;
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &q->wait.shm->bell);
  int rc = first ? -EAGAIN : q->ops->get_one(q, (uint32_t)me, element, deadline);
  if (rc == -EAGAIN) rc = get_on(q, (uint32_t)me, element, first, deadline);
  shoal_pending_restore_(t, pending);
  return rc;
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
    case 0: return shoal_queue_misfit_(q, 0);
    case 4: return put_4(q, element, deadline);
    case 8: return put_8(q, element, deadline);
    case 16: return put_16(q, element, deadline);
    default: return put_any(q, element, deadline);
  }
}
int shoal_queue_get(struct shoal_queue *q, void *element, shoal_deadline deadline) {
  switch (q->element_size) {
    case 0: return shoal_queue_misfit_(q, 0);
    case 4: return get_4(q, element, deadline);
    case 8: return get_8(q, element, deadline);
    case 16: return get_16(q, element, deadline);
    default: return get_any(q, element, deadline);
  }
}

int shoal_queue_run_(struct shoal_queue_op_ *op, int side, uint32_t holds, int (*attempt)(void *),
                     shoal_deadline deadline) {
  struct shoal_queue *q = op->q;
  int me = shoal_role_mine(&q->wait, side);
  if (me < 0) return me;
  op->me = (uint32_t)me;
  op->deadline = deadline;
  if (side == SHOAL_PRODUCER) deadline = shoal_queue_patience_(q, deadline);
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &q->wait.shm->bell);
  if (holds) shoal_role_hold(&q->wait, op->me);
  int rc = attempt(op);
  if (rc == -EAGAIN) rc = shoal_eventcount_wait(&q->wait, side, op->me, attempt, op, deadline);
  shoal_pending_restore_(t, pending);
  return rc;
}

static int would_go(const struct shoal_queue_op_ *op, int side) {
  struct shoal_queue *q = op->q;
  if (q->ops->ready) return q->ops->ready(q, side, op->me, op->deadline);
  if (side == SHOAL_PRODUCER && shoal_eventcount_closed(q->wait.shm)) return -EPIPE;
  return q->ops->wait->blocker(&q->wait, side) == SHOAL_BLOCKER_NONE ? 0 : -EAGAIN;
}
int shoal_queue_would_get_(void *op) { return would_go(op, SHOAL_CONSUMER); }
int shoal_queue_would_put_(void *op) { return would_go(op, SHOAL_PRODUCER); }

int shoal_queue_put_n(struct shoal_queue *q, const void *elements, uint32_t n, shoal_deadline deadline) {
  if (n - 1 >= INT32_MAX) return shoal_fail_(-EINVAL, "%u elements", n);
  if (!q->element_size) return shoal_queue_misfit_(q, 0);
  struct shoal_queue_op_ op = {.q = q, .in = elements, .n = n};
  int rc = shoal_queue_run_(&op, SHOAL_PRODUCER, 0, q->attempt.put_n, deadline);
  if (q->overflow == SHOAL_OVERFLOW_DROP_NEWEST && (!rc || rc == -EAGAIN)) {
    shoal_queue_discarded_(q, n - op.done);
    rc = 0;
  }
  return rc ? rc : (int)op.done;
}
int shoal_queue_get_n(struct shoal_queue *q, void *elements, uint32_t n, shoal_deadline deadline) {
  if (n - 1 >= INT32_MAX) return shoal_fail_(-EINVAL, "%u elements", n);
  if (!q->element_size) return shoal_queue_misfit_(q, 0);
  struct shoal_queue_op_ op = {.q = q, .out = elements, .n = n};
  int rc = shoal_queue_run_(&op, SHOAL_CONSUMER, q->joinable || q->leased, q->attempt.get_n, deadline);
  return rc ? rc : (int)op.done;
}

// ---- in place ----

int shoal_queue_lend_(struct shoal_queue *q, int side, int (*attempt)(void *), struct shoal_loan *loan,
                      shoal_deadline deadline) {
  struct shoal_queue_op_ op = {.q = q};
  int rc = shoal_queue_run_(&op, side, q->ops->holds, attempt, deadline);
  op.loan.role = op.me;
  op.loan.handle_ = (uint32_t)q->wait.id;
  if (q->element_size) op.loan.size = q->element_size;
  if (!rc) *loan = op.loan;
  return rc;
}
int shoal_queue_reserve(struct shoal_queue *q, struct shoal_loan *loan, shoal_deadline deadline) {
  if (!q->element_size) return shoal_queue_misfit_(q, 0);
  return shoal_queue_lend_(q, SHOAL_PRODUCER, q->attempt.reserve, loan, deadline);
}
int shoal_queue_receive(struct shoal_queue *q, struct shoal_loan *loan, shoal_deadline deadline) {
  return shoal_queue_lend_(q, SHOAL_CONSUMER, q->attempt.receive, loan, deadline);
}

// Only the owner of a claim changes it: what is the caller's now stays so.
static int check(struct shoal_queue *q, int side, const struct shoal_loan *loan) {
  if (!loan->data) return shoal_fail_(-EINVAL, "given back already");
  if (loan->handle_ != (uint32_t)q->wait.id || shoal_role_known(&q->wait, side) != loan->role)
    return shoal_fail_(-EPERM, "the loan of another thread, queue, or side");
  if (q->leased && side == SHOAL_CONSUMER) return 0;  // the word itself will say
  int lent = q->ops->is_lent(q, side, loan);
  if (!lent) return shoal_fail_(-EINVAL, "position %llu is not on loan", (unsigned long long)loan->token);
  return lent < 0 ? lent : 0;
}

int shoal_queue_finish_(struct shoal_queue *q, struct shoal_loan *loan, enum shoal_queue_end_ how) {
  int rc = check(q, shoal_queue_side_(how), loan);
  if (rc) return rc;
  struct shoal_thread_ *t = shoal_self_();
  void *pending = shoal_pending_set_(t, &q->wait.shm->bell);
  if (!q->element_size && !(q->leased && shoal_queue_side_(how) == SHOAL_CONSUMER))
    rc = shoal_message_finish_(q, loan, how);
  if (!rc) rc = shoal_queue_end_(q, loan, how);
  if (rc == -EBUSY) rc = -ETIMEDOUT;
  shoal_pending_restore_(t, pending);
  if (!rc) *loan = (struct shoal_loan){0};
  return rc;
}

int shoal_queue_commit(struct shoal_queue *q, struct shoal_loan *loan) {
  return shoal_queue_finish_(q, loan, SHOAL_COMMIT_);
}
int shoal_queue_cancel(struct shoal_queue *q, struct shoal_loan *loan) {
  return shoal_queue_finish_(q, loan, SHOAL_CANCEL_);
}
int shoal_queue_release(struct shoal_queue *q, struct shoal_loan *loan) {
  return shoal_queue_finish_(q, loan, SHOAL_RELEASE_);
}
int shoal_queue_return(struct shoal_queue *q, struct shoal_loan *loan) {
  return shoal_queue_finish_(q, loan, SHOAL_RETURN_);
}

int shoal_queue_extend(struct shoal_queue *q, struct shoal_loan *loan) {
  if (!q->lease_ns) return shoal_fail_(-EINVAL, "the queue was made without options.lease_ns");
  int rc = check(q, SHOAL_CONSUMER, loan);
  if (!rc) rc = q->ops->extend(q, loan);
  return rc == -EBUSY ? -ETIMEDOUT : rc;
}

// ---- looking at it ----

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
  memcpy(info.type, q->shm->type, SHOAL_QUEUE_TYPE_MAX);
  q->ops->info(q, &info);
  shoal_queue_policy_info_(q, &info);
  info.gone = info.put > info.size ? info.put - info.size : 0;
  *out = info;
  return 0;
}
