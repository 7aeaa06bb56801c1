#include "ipc/queue/topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "ipc/queue/queue_internal.h"
#include "ipc/queue/topic_internal.h"

#define MAGIC 0x54703032u
#define ALIGN(n) (((n) + 63) & ~UINT64_C(63))
#define GROUPS_DEFAULT 8u
#define AHEAD_PART 8u  // of a ring: how far publishers ask for room

// ---- layout ----

struct layout {
  uint32_t capacity, history, publishers, subscribers, groups;
  uint64_t seats, group, claims, slots, size;  // bytes from the start; size 0: absurd
};

static uint64_t claims_of_one(uint32_t subscribers) { return ALIGN(subscribers * sizeof(shoal_atomic64)); }

// One slot more than a history: there is always one to write.
static uint32_t capacity_of(const struct shoal_topic_options *o) {
  uint64_t least = o->history == o->capacity ? (uint64_t)o->capacity + 1 : o->capacity, n = 2;
  while (n < least) n *= 2;
  return (uint32_t)n;
}

static struct layout lay_out(const struct shoal_topic_options *o) {
  struct layout l = {.history = o->history, .groups = o->groups ? o->groups : GROUPS_DEFAULT};
  l.publishers = o->publishers ? o->publishers : SHOAL_ROLES_DEFAULT;
  l.subscribers = o->subscribers ? o->subscribers : SHOAL_ROLES_DEFAULT;
  uint64_t wait = shoal_eventcount_size(l.publishers, l.subscribers);
  if (shoal_queue_type_refused_(o->type, o->element_size)) return l;
  if (!wait || l.groups > SHOAL_TOPIC_GROUPS_MAX || o->history > o->capacity) return l;
  if (o->capacity - 1 >= SHOAL_MPMC_CAPACITY_MAX / 2 || o->element_size - 1 >= SHOAL_MPMC_ELEMENT_MAX) return l;
  l.capacity = capacity_of(o);
  l.seats = offsetof(struct shoal_topic_shm, wait) + wait;
  l.group = l.seats + (uint64_t)l.subscribers * sizeof(struct shoal_topic_seat_shm);
  l.claims = l.group + (uint64_t)l.groups * sizeof(struct shoal_topic_group_shm);
  l.slots = l.claims + l.groups * claims_of_one(l.subscribers);
  l.size = l.slots + (uint64_t)l.capacity * shoal_mpmc_stride_(o->element_size);
  return l;
}

uint64_t shoal_topic_size_(const struct shoal_topic_options *options) { return lay_out(options).size; }

// -EINVAL, and what of the options it is.
static int absurd(const struct shoal_topic_options *o) {
  if (!o->capacity) return shoal_fail_(-EINVAL, "options.capacity is not given");
  if (!o->element_size) return shoal_fail_(-EINVAL, "options.element_size is not given");
  const char *why = shoal_queue_type_refused_(o->type, o->element_size);
  if (why) return shoal_fail_(-EINVAL, "%s", why);
  if (o->history > o->capacity) return shoal_fail_(-EINVAL, "a history of %u in a ring of %u", o->history, o->capacity);
  if (o->groups > SHOAL_TOPIC_GROUPS_MAX)
    return shoal_fail_(-EINVAL, "%u groups: at most %u", o->groups, SHOAL_TOPIC_GROUPS_MAX);
  return shoal_fail_(-EINVAL, "too large: %u messages of %u bytes, %u publishers, %u subscribers", o->capacity,
                     o->element_size, o->publishers, o->subscribers);
}

int shoal_topic_place_(void *memory, uint64_t size, const struct shoal_topic_options *options) {
  struct shoal_topic_shm *shm = memory;
  struct layout l = lay_out(options);
  if (!l.size) return absurd(options);
  if (l.size > size)
    return shoal_fail_(-EINVAL, "a topic of %llu bytes in %llu", (unsigned long long)l.size, (unsigned long long)size);
  int rc = shoal_eventcount_init(&shm->wait, l.publishers, l.subscribers, SHOAL_EC_AWAITS);
  if (rc) return rc;
  shm->element_size = options->element_size;
  shm->capacity = l.capacity;
  shm->history = l.history;
  shm->groups = l.groups;
  if (options->type) memcpy(shm->type, options->type, strlen(options->type));
  shoal_store64_relaxed(&shm->wanted, l.capacity);  // nothing lies a ring before the first
  shoal_store64_relaxed(&shm->limit, l.capacity);
  shoal_store32_release(&shm->magic, MAGIC);  // [M1] pairs with [M2]: it is whole
  return 0;
}

// ---- this process's view ----

static uint32_t blocker(struct shoal_eventcount_view *view, int side);
static int recover(struct shoal_eventcount_view *view, uint32_t role, shoal_deadline deadline);
static int held(struct shoal_eventcount_view *view, uint32_t me);
static int confirm(struct shoal_eventcount_view *view, int side);
static const struct shoal_wait_ops wait_ops = {blocker, recover, held, confirm, NULL, NULL};

static uint32_t log2_of(uint32_t n) { return 31u - (uint32_t)__builtin_clz(n); }

static uint32_t ahead_of(const struct layout *l) {
  uint32_t spare = l->capacity - l->history, part = l->capacity / AHEAD_PART;
  uint32_t ahead = spare < part ? spare : part;
  return ahead ? ahead : 1;
}

static void view(struct shoal_topic *t, struct shoal_topic_shm *shm, const struct layout *l) {
  char *base = (char *)shm;
  t->shm = shm;
  t->seats = (struct shoal_topic_seat_shm *)(void *)(base + l->seats);
  t->group = (struct shoal_topic_group_shm *)(void *)(base + l->group);
  t->claims = (shoal_atomic64 *)(void *)(base + l->claims);
  t->slots = base + l->slots;
  t->mask = l->capacity - 1;
  t->shift = log2_of(l->capacity);
  t->history = l->history;
  t->groups = l->groups;
  t->claims_stride = (uint32_t)(claims_of_one(l->subscribers) / sizeof(shoal_atomic64));
  t->ahead = ahead_of(l);
}

static int attach(struct shoal_topic *t, struct shoal_topic_shm *shm, uint64_t size) {
  if (size < sizeof *shm || shoal_load32_acquire(&shm->magic) != MAGIC)  // [M2] pairs with [M1]
    return shoal_fail_(-EPROTO, "not a topic");
  int rc = shoal_eventcount_attach(&t->wait, &shm->wait, size - offsetof(struct shoal_topic_shm, wait), &wait_ops);
  if (rc) return rc;
  struct shoal_topic_options o = {
      .capacity = __atomic_load_n(&shm->capacity, __ATOMIC_RELAXED),
      .element_size = __atomic_load_n(&shm->element_size, __ATOMIC_RELAXED),
      .history = __atomic_load_n(&shm->history, __ATOMIC_RELAXED),
      .publishers = t->wait.count[SHOAL_PRODUCER],
      .subscribers = t->wait.count[SHOAL_CONSUMER],
      .groups = __atomic_load_n(&shm->groups, __ATOMIC_RELAXED),
  };
  struct layout l = lay_out(&o);
  if (!l.size || l.size > size || l.capacity != o.capacity || !o.groups)
    return shoal_fail_(-EPROTO, "a topic of %u messages of %u bytes does not fit", o.capacity, o.element_size);
  t->element_size = o.element_size;
  t->stride = shoal_mpmc_stride_(o.element_size);
  view(t, shm, &l);
  return 0;
}

int shoal_topic_misfit_(const struct shoal_topic *t, uint32_t size) {
  return shoal_fail_(-EBADMSG, "messages of %u bytes, not %u", t->element_size, size);
}

int shoal_topic_attach_(void *memory, uint64_t size, uint32_t element_size, struct shoal_topic **out) {
  struct shoal_topic *t = calloc(1, sizeof *t);
  if (!t) return shoal_fail_(-ENOMEM, "no memory for a handle");
  int rc = attach(t, memory, size);
  if (!rc && t->element_size != element_size) rc = shoal_topic_misfit_(t, element_size);
  if (rc) free(t);
  else *out = t;
  return rc;
}

// ---- in a segment ----

static void type_of(uint32_t element_size, char type[SHOAL_TYPE_MAX + 1]) {
  snprintf(type, SHOAL_TYPE_MAX + 1, "topic:%u", element_size);
}

static int init_object(void *memory, uint64_t size, void *options) { return shoal_topic_place_(memory, size, options); }

static int attach_object(struct shoal_segment *seg, struct shoal_object object, const char *type, uint32_t element_size,
                         struct shoal_topic **out) {
  struct shoal_topic *t = NULL;
  int rc = shoal_topic_attach_(object.memory, object.size, element_size, &t);
  if (!rc) rc = shoal_queue_type_differs_(t->shm->type, type);
  if (rc) {
    free(t);
    shoal_object_close(seg, &object);
    return rc;
  }
  t->segment = seg;
  t->object = object;
  *out = t;
  return 0;
}

int shoal_topic_create(struct shoal_segment *seg, const char *name, const struct shoal_topic_options *options,
                       struct shoal_topic **out) {
  struct shoal_topic_options o = shoal_topic_options_(options);
  struct shoal_object object;
  char type[SHOAL_TYPE_MAX + 1];
  uint64_t size = shoal_topic_size_(&o);
  if (!size) return absurd(&o);
  type_of(o.element_size, type);
  int rc = shoal_object_create(seg, name, type, size, init_object, &o, &object);
  return rc ? rc : attach_object(seg, object, o.type, o.element_size, out);
}

int shoal_topic_open_as(struct shoal_segment *seg, const char *name, const char *type, uint32_t element_size,
                        struct shoal_topic **out) {
  struct shoal_object object;
  char family[SHOAL_TYPE_MAX + 1];
  type_of(element_size, family);
  int rc = shoal_object_open(seg, name, family, &object);
  return rc ? rc : attach_object(seg, object, type, element_size, out);
}
int shoal_topic_open(struct shoal_segment *seg, const char *name, uint32_t element_size, struct shoal_topic **out) {
  return shoal_topic_open_as(seg, name, NULL, element_size, out);
}

int shoal_topic_open_or_create(struct shoal_segment *seg, const char *name, const struct shoal_topic_options *options,
                               struct shoal_topic **out) {
  struct shoal_topic_options o = shoal_topic_options_(options);
  struct shoal_object object;
  char type[SHOAL_TYPE_MAX + 1];
  uint64_t size = shoal_topic_size_(&o);
  if (!o.element_size) return absurd(&o);
  type_of(o.element_size, type);
  int rc = size ? shoal_object_open_or_create(seg, name, type, size, init_object, &o, &object)
                : shoal_object_open(seg, name, type, &object);
  if (!size && rc == -ENOENT) return absurd(&o);
  return rc ? rc : attach_object(seg, object, o.type, o.element_size, out);
}

int shoal_topic_unlink(struct shoal_segment *seg, const char *name) {
  return shoal_object_remove_typed(seg, name, "topic:");
}

int shoal_topic_detach(struct shoal_topic *t) {
  if (shoal_role_elsewhere_(&t->wait)) return shoal_fail_(-EBUSY, "another thread has a role through this handle");
  int rc = shoal_topic_unsubscribe(t);
  if (rc) return rc;
  shoal_topic_leave(t);
  if (t->segment) shoal_object_close(t->segment, &t->object);
  free(t);
  return 0;
}

int shoal_topic_close(struct shoal_topic *t) {
  shoal_eventcount_close(&t->wait);
  return 0;
}

// ---- what the sleeping protocol asks ----

static uint32_t known(struct shoal_topic *t, int side) {
  const struct shoal_role_cache_ *e = &shoal_role_cache_[t->wait.id % SHOAL_ROLE_CACHE_];
  if (SHOAL_LIKELY(e->id == t->wait.id && e->epoch == shoal_epoch() && e->role[side])) return e->role[side];
  return shoal_role_known(&t->wait, side);
}

static uint32_t blocker(struct shoal_eventcount_view *view, int side) {
  struct shoal_topic *t = shoal_topic_of_(view);
  return side == SHOAL_PRODUCER ? shoal_topic_blocker_of_publish_(t) : shoal_topic_blocker_of_get_(t, known(t, side));
}
static int recover(struct shoal_eventcount_view *view, uint32_t role, shoal_deadline deadline) {
  struct shoal_topic *t = shoal_topic_of_(view);
  if (role > view->count[SHOAL_PRODUCER]) return shoal_topic_unsubscribe_(t, role, 1, deadline);
  shoal_topic_recover_publisher_(t, role);
  return 0;
}
static int held(struct shoal_eventcount_view *view, uint32_t me) {
  struct shoal_topic *t = shoal_topic_of_(view);
  uint32_t g = shoal_topic_group_of_(t, shoal_topic_seat_(t, me));
  return g ? shoal_topic_group_held_(t, g - 1, me) : 0;
}
// As shoal_queue_confirm_.
static int confirm(struct shoal_eventcount_view *view, int side) {
  struct shoal_topic *t = shoal_topic_of_(view);
  (void)side;
  return t->segment ? shoal_object_confirm(t->segment, &t->object) : 0;
}

// ---- roles ----

static void *begin(const struct shoal_topic *t) { return shoal_pending_set_(shoal_self_(), &t->wait.shm->bell); }
static void end(void *pending) { shoal_pending_restore_(shoal_self_(), pending); }

int shoal_topic_join(struct shoal_topic *t) {
  int role = shoal_role_mine(&t->wait, SHOAL_PRODUCER);
  return role < 0 ? role : 0;
}

int shoal_topic_leave(struct shoal_topic *t) { return shoal_role_leave(&t->wait, SHOAL_PRODUCER); }

static int check_subscription(const struct shoal_topic_subscription *how) {
  if (how->slow > SHOAL_TOPIC_DROP) return shoal_fail_(-EINVAL, "policy %u for the slow", how->slow);
  if (!how->group) return 0;
  size_t n = strnlen(how->group, SHOAL_TOPIC_GROUP_NAME_MAX + 1);
  if (n == 0) return shoal_fail_(-EINVAL, "a group without a name");
  if (n > SHOAL_TOPIC_GROUP_NAME_MAX)
    return shoal_fail_(-ENAMETOOLONG, "a group's name has up to %u bytes", SHOAL_TOPIC_GROUP_NAME_MAX);
  return 0;
}

int shoal_topic_subscribe(struct shoal_topic *t, const struct shoal_topic_subscription *how) {
  static const struct shoal_topic_subscription plain = {0, SHOAL_TOPIC_WAIT, NULL};
  if (!how) how = &plain;
  int rc = check_subscription(how);
  if (rc) return rc;
  if (known(t, SHOAL_CONSUMER)) return shoal_fail_(-EBUSY, "this thread subscribes already");
  int me = shoal_role_mine(&t->wait, SHOAL_CONSUMER);
  if (me < 0) return me;
  void *pending = begin(t);
  rc = shoal_topic_subscribe_(t, (uint32_t)me, how);
  end(pending);
  if (rc) shoal_role_leave(&t->wait, SHOAL_CONSUMER);
  return rc;
}

int shoal_topic_unsubscribe(struct shoal_topic *t) {
  uint32_t me = known(t, SHOAL_CONSUMER);
  if (!me) return 0;
  void *pending = begin(t);
  int rc = shoal_topic_unsubscribe_(t, me, 0, SHOAL_TRY);
  end(pending);
  return rc ? rc : shoal_role_leave(&t->wait, SHOAL_CONSUMER);
}

// ---- publishing ----

static int claim(void *op) { return shoal_topic_claim_(op); }
int shoal_topic_publish_once_(void *arg) {
  struct shoal_topic_op_ *op = arg;
  int rc = shoal_topic_claim_(op);
  if (rc) return rc;
  memcpy(shoal_topic_data_(op->t, &op->claim), op->in, op->t->element_size);
  shoal_topic_finish_(op->t, &op->claim, SHOAL_TOPIC_FULL_);
  return 0;
}

int shoal_topic_would_publish_(void *arg) {
  const struct shoal_topic_op_ *op = arg;
  if (shoal_eventcount_closed(op->t->wait.shm)) return -EPIPE;
  return shoal_topic_blocker_of_publish_(op->t) == SHOAL_BLOCKER_NONE ? 0 : -EAGAIN;
}

// Points list_op_pending at the bell, attempts, waits. Barred from a dead member's role it looks once a second, while
// it has time, whether what it waits for has come all the same.
static int run(struct shoal_topic_op_ *op, int side, int (*attempt)(void *), shoal_deadline deadline) {
  void *pending = begin(op->t);
  int rc;
  do {
    rc = attempt(op);
    if (SHOAL_UNLIKELY(rc == -EAGAIN)) rc = shoal_eventcount_wait(&op->t->wait, side, op->me, attempt, op, deadline);
  } while (SHOAL_UNLIKELY(rc == -ETIMEDOUT) && !shoal_deadline_passed(deadline));
  end(pending);
  return rc;
}

int shoal_topic_publish(struct shoal_topic *t, const void *element, shoal_deadline deadline) {
  int me = shoal_role_mine(&t->wait, SHOAL_PRODUCER);
  if (SHOAL_UNLIKELY(me < 0)) return me;
  struct shoal_topic_op_ op = {.t = t, .me = (uint32_t)me, .in = element};
  return run(&op, SHOAL_PRODUCER, shoal_topic_publish_once_, deadline);
}

static struct shoal_loan loan_of(const struct shoal_topic_op_ *op) {
  return (struct shoal_loan){.data = shoal_topic_data_(op->t, &op->claim),
                             .token = op->claim.at,
                             .role = op->me,
                             .redelivered = op->deaths,
                             .size = op->t->element_size,
                             .handle_ = (uint32_t)op->t->wait.id};
}

int shoal_topic_reserve(struct shoal_topic *t, struct shoal_loan *loan, shoal_deadline deadline) {
  int me = shoal_role_mine(&t->wait, SHOAL_PRODUCER);
  if (me < 0) return me;
  struct shoal_topic_op_ op = {.t = t, .me = (uint32_t)me};
  shoal_role_hold(&t->wait, op.me);
  int rc = run(&op, SHOAL_PRODUCER, claim, deadline);
  if (rc) return rc;
  *loan = loan_of(&op);
  return 0;
}

static int check_loan(struct shoal_topic *t, int side, const struct shoal_loan *loan) {
  if (!loan->data) return shoal_fail_(-EINVAL, "given back already");
  if (loan->handle_ != (uint32_t)t->wait.id || known(t, side) != loan->role)
    return shoal_fail_(-EPERM, "the loan of another thread, topic, or side");
  return 0;
}

static int finish(struct shoal_topic *t, struct shoal_loan *loan, uint32_t state) {
  int rc = check_loan(t, SHOAL_PRODUCER, loan);
  if (rc) return rc;
  struct shoal_claim at = shoal_topic_at_(t, loan->token);
  if (shoal_load64_relaxed(at.ctl) != (at.lap | shoal_slot_(SHOAL_TOPIC_WRITING_, loan->role)))
    return shoal_fail_(-EINVAL, "position %llu is not reserved", (unsigned long long)loan->token);
  void *pending = begin(t);
  // The claim is long ago: a sleeper that is not queued yet looks again if we die between the publishing and its wake.
  if (shoal_eventcount_asleep_(t->wait.shm, SHOAL_CONSUMER)) shoal_eventcount_bump_(t->wait.shm, SHOAL_CONSUMER);
  shoal_topic_finish_(t, &at, state);
  end(pending);
  if (state == SHOAL_TOPIC_HOLE_) shoal_add64_relaxed(&t->shm->holes, 1);
  *loan = (struct shoal_loan){0};
  return 0;
}
int shoal_topic_commit(struct shoal_topic *t, struct shoal_loan *loan) { return finish(t, loan, SHOAL_TOPIC_FULL_); }
int shoal_topic_cancel(struct shoal_topic *t, struct shoal_loan *loan) { return finish(t, loan, SHOAL_TOPIC_HOLE_); }

// ---- subscribing ----

static int next(void *op) { return shoal_topic_next_(op); }
int shoal_topic_get_once_(void *arg) {
  struct shoal_topic_op_ *op = arg;
  int rc = shoal_topic_next_(op);
  if (rc) return rc;
  memcpy(op->out, shoal_topic_data_(op->t, &op->claim), op->t->element_size);
  shoal_topic_end_(op->t, op->me, op->claim.at, 0);
  return 0;
}

int shoal_topic_would_get_(void *arg) {
  struct shoal_topic_op_ *op = arg;
  op->look = 1;
  return shoal_topic_next_(op);
}

int shoal_topic_mine_(struct shoal_topic *t, int side) {
  if (side == SHOAL_PRODUCER) return shoal_role_mine(&t->wait, side);
  int me = (int)known(t, side);
  return SHOAL_LIKELY(me) ? me : shoal_fail_(-EINVAL, "this thread does not subscribe");
}

static int read_next(struct shoal_topic_op_ *op, int (*attempt)(void *), shoal_deadline deadline) {
  int me = shoal_topic_mine_(op->t, SHOAL_CONSUMER);
  if (SHOAL_UNLIKELY(me < 0)) return me;
  op->me = (uint32_t)me;
  int rc = run(op, SHOAL_CONSUMER, attempt, deadline);
  return rc == -EBUSY ? shoal_fail_(rc, "this thread holds a message") : rc;
}

int shoal_topic_get(struct shoal_topic *t, void *element, shoal_deadline deadline) {
  struct shoal_topic_op_ op = {.t = t, .out = element};
  return read_next(&op, shoal_topic_get_once_, deadline);
}

int shoal_topic_receive(struct shoal_topic *t, struct shoal_loan *loan, shoal_deadline deadline) {
  struct shoal_topic_op_ op = {.t = t};
  int rc = read_next(&op, next, deadline);
  if (rc) return rc;
  *loan = loan_of(&op);
  return 0;
}

static int give_back(struct shoal_topic *t, struct shoal_loan *loan, int again) {
  int rc = check_loan(t, SHOAL_CONSUMER, loan);
  if (rc) return rc;
  if (!shoal_topic_in_hand_(t, loan->role, loan->token))
    return shoal_fail_(-EINVAL, "position %llu is not held", (unsigned long long)loan->token);
  void *pending = begin(t);
  shoal_topic_end_(t, loan->role, loan->token, again);
  end(pending);
  *loan = (struct shoal_loan){0};
  return 0;
}
int shoal_topic_release(struct shoal_topic *t, struct shoal_loan *loan) { return give_back(t, loan, 0); }
int shoal_topic_return(struct shoal_topic *t, struct shoal_loan *loan) { return give_back(t, loan, 1); }

// ---- looking at it ----

static uint64_t cursor_of(const struct shoal_topic *t, const struct shoal_topic_seat_shm *seat) {
  uint32_t g = shoal_topic_group_of_(t, seat);
  return g ? shoal_topic_group_cursor_(t, g - 1) : shoal_load64_relaxed(&seat->cursor);
}
static uint32_t owner_of(const struct shoal_topic *t, uint32_t i) {
  const struct shoal_role *role = shoal_role_at_(&t->wait, shoal_topic_role_(t, i));
  return shoal_robust_owner(shoal_load32_relaxed(&role->live.word));
}
static uint64_t lag_of(const struct shoal_topic *t, uint32_t i) {
  uint64_t tail = shoal_topic_tail_(t), cursor = cursor_of(t, &t->seats[i]);
  return cursor < tail ? tail - cursor : 0;
}

int shoal_topic_subscriber(struct shoal_topic *t, uint32_t i, struct shoal_topic_subscriber_info *out) {
  uint32_t owner = i < t->wait.count[SHOAL_CONSUMER] ? owner_of(t, i) : 0;
  if (!owner) return shoal_fail_(-ENOENT, "nobody in place %u", i);
  const struct shoal_role *role = shoal_role_at_(&t->wait, shoal_topic_role_(t, i));
  const struct shoal_topic_seat_shm *seat = &t->seats[i];
  uint32_t g = shoal_topic_group_of_(t, seat);
  struct shoal_topic_subscriber_info info = {.tid = owner};
  // [Q1] pairs with [R8] of sync/eventcount.c; until then its pid is that of who was there before
  if (shoal_load32_acquire(&role->tid) == owner) info.pid = shoal_load32_relaxed(&role->pid);
  info.slow = shoal_load32_relaxed(&seat->slow);
  info.holds = shoal_load64_relaxed(&seat->hand) != 0;
  info.lag = lag_of(t, i);
  info.missed = shoal_load64_relaxed(g ? &t->group[g - 1].missed : &seat->missed);
  uint64_t name[4] = {0};
  for (unsigned k = 0; g && k < 4; k++) name[k] = shoal_load64_relaxed(&t->group[g - 1].name[k]);
  memcpy(info.group, name, SHOAL_TOPIC_GROUP_NAME_MAX);
  *out = info;
  return 0;
}

static void count_waits(const struct shoal_eventcount_counters *c, struct shoal_topic_info *out) {
  out->wakes = shoal_load64_relaxed(&c->wakes);
  out->woken = shoal_load64_relaxed(&c->woken);
  out->sleeps = shoal_load64_relaxed(&c->sleeps);
  out->rings = shoal_load64_relaxed(&c->rings);
  out->fences = shoal_load64_relaxed(&c->fences);
  out->late = shoal_load64_relaxed(&c->late);
  out->reaped = shoal_load64_relaxed(&c->reaped);
  out->joins = shoal_load64_relaxed(&c->joins);
}

int shoal_topic_info(struct shoal_topic *t, struct shoal_topic_info *out) {
  struct shoal_topic_info info = {
      .capacity = (uint32_t)shoal_topic_capacity_(t),
      .element_size = t->element_size,
      .history = t->history,
      .publishers = shoal_role_count(&t->wait, SHOAL_PRODUCER),
      .subscribers = shoal_role_count(&t->wait, SHOAL_CONSUMER),
      .publishers_max = t->wait.count[SHOAL_PRODUCER],
      .subscribers_max = t->wait.count[SHOAL_CONSUMER],
      .groups_max = t->groups,
      .closed = (uint32_t)shoal_eventcount_closed(t->wait.shm),
      .published = shoal_topic_tail_(t),
      .holes = shoal_load64_relaxed(&t->shm->holes),
      .missed = shoal_load64_relaxed(&t->shm->missed),
      .redelivered = shoal_load64_relaxed(&t->shm->redelivered),
  };
  for (uint32_t g = 0; g < t->groups; g++) info.groups += shoal_load32_relaxed(&t->group[g].live) != 0;
  for (uint32_t i = 0; i < info.subscribers_max; i++) {
    uint64_t lag = owner_of(t, i) ? lag_of(t, i) : 0;
    if (lag > info.lag) info.lag = lag;
  }
  count_waits(&t->wait.shm->counters, &info);
  *out = info;
  return 0;
}
