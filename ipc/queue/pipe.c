#include "ipc/queue/pipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/error.h"
#include "core/identity_internal.h"
#include "ipc/queue/queue_internal.h"

#define MAGIC UINT32_C(0x50697032)
#define CAPACITY 64u

// ---- layout ----

static struct shoal_queue_options ring_options(const struct shoal_pipe_options *o) {
  return (struct shoal_queue_options){
      .capacity = o->capacity ? o->capacity : CAPACITY,
      .element_size = o->element_size,
      .kind = SHOAL_QUEUE_SPSC,
      .bytes = !o->element_size,
      .type = o->type,
  };
}

static uint64_t ring_size(const struct shoal_pipe_options *o) {
  struct shoal_queue_options ring = ring_options(o);
  uint64_t size = (shoal_queue_size_(&ring) + 63) & ~UINT64_C(63);
  return size <= UINT32_MAX / 2 ? size : 0;  // positions are 32 bits
}

static void type_of(uint32_t element_size, char type[SHOAL_TYPE_MAX + 1]) {
  if (element_size) snprintf(type, SHOAL_TYPE_MAX + 1, "pipe:%u", element_size);
  else snprintf(type, SHOAL_TYPE_MAX + 1, "pipe:bytes");
}

static int init(void *memory, uint64_t size, void *arg) {
  const struct shoal_pipe_options *o = arg;
  struct shoal_queue_options ring = ring_options(o);
  struct shoal_pipe_shm *shm = memory;
  uint64_t each = ring_size(o);
  (void)size;
  shm->element_size = o->element_size;
  for (uint32_t end = 0; end < 2; end++) {
    for (int side = 0; side < 2; side++) shoal_store64_relaxed(&shm->keeper[end][side], shoal_process_self_());
    if (end == 0 && !o->duplex) continue;
    shm->ring[end] = (uint32_t)(sizeof *shm + (1 - end) * each);
    int rc = shoal_queue_place_((char *)memory + shm->ring[end], each, &ring);
    if (rc) return rc;
  }
  shoal_store32_release(&shm->magic, MAGIC);  // [M1] pairs with [M2]
  return 0;
}

// ---- handles ----

static struct shoal_role *role_of(const struct shoal_queue *q, int side) {
  const uint32_t producer = 1, consumer = 2;
  return shoal_role_at_(&q->wait, side == SHOAL_PRODUCER ? producer : consumer);
}
// The thread that has that role; 0: none.
static uint32_t owner_of(const struct shoal_queue *q, int side) {
  // [P1] pairs with [R3] of core/robust.c: whose it was before has taken its number away
  return shoal_robust_owner(shoal_load32_acquire(&role_of(q, side)->live.word));
}
// Nobody was seen to have the role of `side`: somebody may still take it as long as the one who keeps the end lives.
// Who has just taken it is nobody's to wait for, and not seen yet.
static int expected(struct shoal_eventcount_view *view, int side) {
  const struct shoal_queue *q = shoal_queue_of_(view);
  // [K2] pairs with [K3] of ipc/queue/queue_spsc.c, [K4]
  shoal_process_id_ keeper = shoal_keeper_(shoal_load64_acquire(q->keeper[side]));
  if (!keeper) return owner_of(q, side) != 0;
  return !shoal_process_gone_(keeper);
}

// The queue that `end` sends into; NULL if it sends nothing.
static int attach_ring(struct shoal_pipe *p, uint32_t end, struct shoal_queue **out) {
  uint32_t at = __atomic_load_n(&p->shm->ring[end], __ATOMIC_RELAXED);
  if (!at) return 0;
  if (at % 64 || at < sizeof *p->shm || at >= p->object.size) return shoal_fail_(-EPROTO, "a pipe's ring lies outside");
  int rc =
      shoal_queue_attach_at_((char *)p->shm + at, p->object.size - at, p->element_size, p->segment, &p->object, out);
  if (rc) return rc;
  if ((*out)->kind != SHOAL_QUEUE_SPSC) return shoal_fail_(-EPROTO, "a pipe over a queue of kind %u", (*out)->kind);
  (*out)->keeper[SHOAL_PRODUCER] = &p->shm->keeper[end][SHOAL_PRODUCER];
  (*out)->keeper[SHOAL_CONSUMER] = &p->shm->keeper[!end][SHOAL_CONSUMER];
  (*out)->wait.expected = expected;
  return 0;
}

static void drop(struct shoal_pipe *p) {
  if (p->out) shoal_queue_detach(p->out);
  if (p->in) shoal_queue_detach(p->in);
  free(p);
}

static int attach(struct shoal_segment *seg, const struct shoal_object *object, uint32_t element_size, uint32_t side,
                  struct shoal_pipe **out) {
  struct shoal_pipe *p = calloc(1, sizeof *p);
  if (!p) return shoal_fail_(-ENOMEM, "no memory for a handle");
  *p = (struct shoal_pipe){
      .shm = object->memory, .segment = seg, .object = *object, .side = side, .element_size = element_size};
  int rc = 0;
  if (object->size < sizeof *p->shm || shoal_load32_acquire(&p->shm->magic) != MAGIC)  // [M2] pairs with [M1]
    rc = shoal_fail_(-EPROTO, "not a pipe");
  if (!rc) rc = attach_ring(p, side, &p->out);
  if (!rc) rc = attach_ring(p, !side, &p->in);
  if (!rc && !p->out && !p->in) rc = shoal_fail_(-EPROTO, "a pipe of no rings");
  if (rc) {
    drop(p);
    return rc;
  }
  if (p->out) p->out->mate = p->in;
  if (p->in) p->in->mate = p->out;
  *out = p;
  return 0;
}

// The first `n` handles of an object that this process has opened once. On failure it is closed.
static int attach_ends(struct shoal_segment *seg, struct shoal_object *object, uint32_t element_size, uint32_t side,
                       uint32_t n, struct shoal_pipe **ends) {
  struct shoal_pipe *made[2] = {NULL, NULL};
  struct shoal_pipe_use_ *use = malloc(sizeof *use);
  int rc = use ? 0 : shoal_fail_(-ENOMEM, "no memory for a handle");
  for (uint32_t i = 0; i < n && !rc; i++) rc = attach(seg, object, element_size, side + i, &made[i]);
  for (uint32_t i = 0; i < n; i++) {
    if (!rc) made[i]->use = use, ends[i] = made[i];
    else if (made[i]) drop(made[i]);
  }
  if (!rc) {
    *use = (struct shoal_pipe_use_){.handles = {n}};
    return 0;
  }
  free(use);
  shoal_object_close(seg, object);
  return rc;
}

int shoal_pipe_create(struct shoal_segment *seg, const char *name, const struct shoal_pipe_options *options,
                      struct shoal_pipe *ends[2]) {
  struct shoal_pipe_options o = shoal_pipe_options_(options);
  struct shoal_object object;
  char type[SHOAL_TYPE_MAX + 1];
  const char *why = shoal_queue_type_refused_(o.type, o.element_size);
  if (why) return shoal_fail_(-EINVAL, "%s", why);
  uint64_t each = ring_size(&o);
  if (!each) return shoal_fail_(-EINVAL, "a pipe of %u messages of %u bytes", o.capacity, o.element_size);
  type_of(o.element_size, type);
  uint64_t size = sizeof(struct shoal_pipe_shm) + (o.duplex ? 2 : 1) * each;
  int rc = shoal_object_create(seg, name, type, size, init, &o, &object);
  return rc ? rc : attach_ends(seg, &object, o.element_size, 0, 2, ends);
}

// ---- whose an end is ----

static int is_ours(uint32_t tid) { return !shoal_thread_missing_((uint32_t)getpid(), tid); }
// The process whose thread has that role, UINT32_MAX: another one; 0: nobody. What an heir is emptying is the dead one's.
static uint32_t holder(const struct shoal_queue *q, int side) {
  uint32_t owner = q ? owner_of(q, side) : 0;
  if (!owner) return 0;
  const struct shoal_role *role = role_of(q, side);
  // [P2] pairs with [R8] of sync/eventcount.c; 0: just taken, its pid is that of who had it before
  if (shoal_load32_acquire(&role->tid)) return shoal_load32_relaxed(&role->pid);
  return is_ours(owner) ? (uint32_t)getpid() : UINT32_MAX;
}
static int is_kept(const struct shoal_queue *q, int side) {
  shoal_process_id_ keeper = q ? shoal_keeper_(shoal_load64_relaxed(q->keeper[side])) : 0;
  return keeper && keeper != shoal_process_self_() && !shoal_process_gone_(keeper);
}
// Another process's: it uses it, or keeps it and lives.
static int is_anothers(const struct shoal_pipe *p) {
  uint32_t me = (uint32_t)getpid(), sends = holder(p->out, SHOAL_PRODUCER), receives = holder(p->in, SHOAL_CONSUMER);
  if (sends || receives) return sends != me && receives != me;
  return is_kept(p->out, SHOAL_PRODUCER) || is_kept(p->in, SHOAL_CONSUMER);
}
// Another thread of this process has it.
static int is_busy(const struct shoal_queue *q, int side) {
  uint32_t owner = q ? owner_of(q, side) : 0;
  return owner && owner != shoal_self_()->tid && is_ours(owner);
}

// Somebody has it, and not the calling thread by this handle.
static int is_taken(struct shoal_queue *q, int side) { return owner_of(q, side) && !shoal_role_known(&q->wait, side); }
static int has_none(struct shoal_queue *q, int side) { return !q || is_taken(q, side); }

// `who` keeps what nobody has, or what the calling thread is about to leave. 0: it was taken meanwhile, and is its taker's.
static int keep(struct shoal_queue *q, int side, shoal_process_id_ who) {
  for (int kept = 0; q && !kept;) {
    // before the look at who has it: [K3] of ipc/queue/queue_spsc.c
    uint64_t old = shoal_load64_acquire(q->keeper[side]);
    if (is_taken(q, side)) return 0;
    // [K1] pairs with [A5] of sync/eventcount.h: who sees us gone from the role sees who is to come
    kept = shoal_cas64_acq_rel(q->keeper[side], &old, shoal_keeper_next_(old, who));  // [K1]
  }
  return q != NULL;
}

int shoal_pipe_unlink(struct shoal_segment *seg, const char *name) {
  return shoal_object_remove_typed(seg, name, "pipe:");
}

int shoal_pipe_detach_(struct shoal_pipe **p) {
  struct shoal_pipe *mine = *p;
  if (is_busy(mine->out, SHOAL_PRODUCER) || is_busy(mine->in, SHOAL_CONSUMER))
    return shoal_fail_(-EBUSY, "another thread uses this end of the pipe");
  struct shoal_pipe_use_ *use = mine->use;
  struct shoal_segment *seg = mine->segment;
  struct shoal_object object = mine->object;
  drop(mine);
  *p = NULL;
  // [U1] pairs with [U2], the same step by another end's thread: the last one sees what the others left
  if (shoal_add32_seq_cst(&use->handles, UINT32_MAX) != 1) return 0;  // [U1], [U2]
  if (!shoal_load32_relaxed(&use->given)) shoal_object_close(seg, &object);
  free(use);
  return 0;
}

int shoal_pipe_look_(struct shoal_segment *seg, const char *name, uint32_t element_size, uint32_t side,
                     struct shoal_pipe **out) {
  struct shoal_object object;
  char family[SHOAL_TYPE_MAX + 1];
  if (side > 1) return shoal_fail_(-EINVAL, "a pipe has ends 0 and 1, not %u", side);
  type_of(element_size, family);
  int rc = shoal_object_open(seg, name, family, &object);
  return rc ? rc : attach_ends(seg, &object, element_size, side, 1, out);
}
int shoal_pipe_open_as(struct shoal_segment *seg, const char *name, const char *type, uint32_t element_size,
                       uint32_t side, struct shoal_pipe **out) {
  struct shoal_pipe *p;
  int rc = shoal_pipe_look_(seg, name, element_size, side, &p);
  if (rc) return rc;
  rc = shoal_queue_type_differs_((p->out ? p->out : p->in)->shm->type, type);
  if (rc) {
    (void)shoal_pipe_detach_(&p);
    return rc;
  }
  (void)keep(p->out, SHOAL_PRODUCER, shoal_process_self_());
  (void)keep(p->in, SHOAL_CONSUMER, shoal_process_self_());
  *out = p;
  return 0;
}
int shoal_pipe_open(struct shoal_segment *seg, const char *name, uint32_t element_size, uint32_t side,
                    struct shoal_pipe **out) {
  return shoal_pipe_open_as(seg, name, NULL, element_size, side, out);
}

// What nobody will receive needs no memory.
static void drain(struct shoal_queue *q) {
  struct shoal_loan loan;
  while (shoal_queue_receive(q, &loan, SHOAL_TRY) == 0) (void)shoal_queue_release(q, &loan);
}

int shoal_pipe_close(struct shoal_pipe **p) {
  struct shoal_pipe *mine = *p;
  if (!is_anothers(mine)) {
    if (mine->out) shoal_queue_close(mine->out);
    if (mine->in) shoal_queue_close(mine->in);
    if (mine->in && !is_busy(mine->in, SHOAL_CONSUMER)) drain(mine->in);
  }
  return shoal_pipe_detach_(p);
}

// Of another process's thread, or kept by that process.
static int is_of(const struct shoal_queue *q, int side, uint32_t pid, shoal_process_id_ process) {
  if (!q || process == shoal_process_self_()) return 0;
  uint32_t tid = owner_of(q, side);
  return tid ? !shoal_thread_missing_(pid, tid) : shoal_keeper_(shoal_load64_relaxed(q->keeper[side])) == process;
}

static int has(const struct shoal_pipe *p, uint32_t pid, shoal_process_id_ process) {
  return is_of(p->out, SHOAL_PRODUCER, pid, process) || is_of(p->in, SHOAL_CONSUMER, pid, process);
}
static int has_neither(const struct shoal_pipe *p) {
  return has_none(p->out, SHOAL_PRODUCER) && has_none(p->in, SHOAL_CONSUMER);
}

// Another process may take the end at any time: whoever has it, and is not the calling thread, was seen twice.
int shoal_pipe_give(struct shoal_pipe **p, uint32_t pid) {
  struct shoal_pipe *mine = *p;
  shoal_process_id_ heir = shoal_process_of_(pid);
  if (!heir) return shoal_fail_(-EINVAL, "there is no process %u", pid);
  if (is_busy(mine->out, SHOAL_PRODUCER) || is_busy(mine->in, SHOAL_CONSUMER))
    return shoal_fail_(-EBUSY, "another thread uses this end of the pipe");
  for (int its = 0; !its;) {
    int neither = has_neither(mine), anothers = is_anothers(mine);
    if (!anothers && neither && has_neither(mine))
      return shoal_fail_(-EBUSY, "another handle uses this end of the pipe");
    // a child may be quicker, and have it already
    its = !anothers || has(mine, pid, heir);
    if (its && !(keep(mine->out, SHOAL_PRODUCER, heir) | keep(mine->in, SHOAL_CONSUMER, heir)))
      its = has(mine, pid, heir);
    if (!its && is_anothers(mine) && !has(mine, pid, heir))
      return shoal_fail_(-EUSERS, "another process has this end of the pipe");
  }
  shoal_store32_relaxed(&mine->use->given, 1);  // a child comes to hold what it has inherited with its first use only
  return shoal_pipe_detach_(p);
}

// Who has not this direction leaves none, and keeps none.
static void leave(struct shoal_queue *q, int side) {
  if (!q || !shoal_role_known(&q->wait, side)) return;
  (void)keep(q, side, shoal_process_self_());
  (void)shoal_queue_leave(q, side);
}
int shoal_pipe_leave(struct shoal_pipe *p) {
  leave(p->out, SHOAL_PRODUCER);
  leave(p->in, SHOAL_CONSUMER);
  return 0;
}

// [K4] pairs with [K2]: what the dead kept nobody keeps
static int bury_keeper(struct shoal_queue *q, int side) {
  uint64_t word = shoal_load64_relaxed(q->keeper[side]);
  shoal_process_id_ keeper = shoal_keeper_(word);
  if (!keeper || !shoal_process_gone_(keeper)) return 0;
  return shoal_cas64_acq_rel(q->keeper[side], &word, shoal_keeper_next_(word, 0));  // [K4]
}
int shoal_pipe_reap_keepers_(struct shoal_pipe *p) {
  int n = 0;
  for (int i = 0; i < 2; i++) {
    struct shoal_queue *q = i ? p->in : p->out;
    int ended = q ? bury_keeper(q, SHOAL_PRODUCER) + bury_keeper(q, SHOAL_CONSUMER) : 0;
    if (ended) shoal_eventcount_ring(q->wait.shm);
    n += ended;
  }
  return n;
}

// ---- directions ----

int shoal_pipe_one_way_(const struct shoal_pipe *p, int side) {
  return shoal_fail_(-EPERM, "end %u of a one-way pipe does not %s", p->side,
                     side == SHOAL_PRODUCER ? "send" : "receive");
}
#define DIRECTION(p, q, side) \
  if (SHOAL_UNLIKELY(!(p)->q)) return shoal_pipe_one_way_(p, side)
#define SENDING(p) DIRECTION(p, out, SHOAL_PRODUCER)
#define RECEIVING(p) DIRECTION(p, in, SHOAL_CONSUMER)

int shoal_pipe_join(struct shoal_pipe *p, int side) {
  if (side == SHOAL_PRODUCER) {
    SENDING(p);
    return shoal_queue_join_alone_(p->out, side);
  }
  if (side != SHOAL_CONSUMER) return shoal_fail_(-EINVAL, "side %d", side);
  RECEIVING(p);
  return shoal_queue_join_alone_(p->in, side);
}

int shoal_pipe_send(struct shoal_pipe *p, const void *data, uint64_t size, shoal_deadline deadline) {
  SENDING(p);
  return shoal_queue_send(p->out, data, size, deadline);
}
int shoal_pipe_recv(struct shoal_pipe *p, void *buffer, uint64_t capacity, uint64_t *size, shoal_deadline deadline) {
  RECEIVING(p);
  return shoal_queue_recv(p->in, buffer, capacity, size, deadline);
}
int shoal_pipe_send_n(struct shoal_pipe *p, const struct iovec *messages, uint32_t n, shoal_deadline deadline) {
  SENDING(p);
  return shoal_queue_send_n(p->out, messages, n, deadline);
}
int shoal_pipe_recv_n(struct shoal_pipe *p, struct iovec *messages, uint32_t n, shoal_deadline deadline) {
  RECEIVING(p);
  return shoal_queue_recv_n(p->in, messages, n, deadline);
}
int shoal_pipe_peek(struct shoal_pipe *p, void *buffer, uint64_t capacity, uint64_t *size, shoal_deadline deadline) {
  RECEIVING(p);
  return shoal_queue_peek_bytes(p->in, buffer, capacity, size, deadline);
}
int shoal_pipe_fits_(const struct shoal_pipe *p, uint32_t size) {
  return p->element_size == size ? 0 : shoal_queue_misfit_(p->out ? p->out : p->in, size);
}
int shoal_pipe_poll(struct shoal_pipe *p, shoal_deadline deadline) {
  RECEIVING(p);
  struct shoal_queue_op_ op = {.q = p->in};
  return shoal_queue_run_(&op, SHOAL_CONSUMER, 0, shoal_queue_would_get_, deadline);
}

// ---- in place ----

int shoal_pipe_reserve(struct shoal_pipe *p, uint64_t size, struct shoal_loan *loan, shoal_deadline deadline) {
  SENDING(p);
  if (!p->element_size) return shoal_queue_reserve_bytes(p->out, size, loan, deadline);
  return size == p->element_size ? shoal_queue_reserve(p->out, loan, deadline)
                                 : shoal_fail_(-EBADMSG, "messages of %u bytes", p->element_size);
}
int shoal_pipe_commit(struct shoal_pipe *p, struct shoal_loan *loan) {
  SENDING(p);
  return shoal_queue_commit(p->out, loan);
}
int shoal_pipe_cancel(struct shoal_pipe *p, struct shoal_loan *loan) {
  SENDING(p);
  return shoal_queue_cancel(p->out, loan);
}
int shoal_pipe_receive(struct shoal_pipe *p, struct shoal_loan *loan, shoal_deadline deadline) {
  RECEIVING(p);
  return shoal_queue_receive(p->in, loan, deadline);
}
int shoal_pipe_release(struct shoal_pipe *p, struct shoal_loan *loan) {
  RECEIVING(p);
  return shoal_queue_release(p->in, loan);
}
int shoal_pipe_return(struct shoal_pipe *p, struct shoal_loan *loan) {
  RECEIVING(p);
  return shoal_queue_return(p->in, loan);
}

// ---- looking at it ----

static void way_of(struct shoal_queue *q, struct shoal_pipe_way_ *out) {
  const uint64_t pid = (1u << 22) - 1;  // of an identity
  struct shoal_queue_info info;
  if (!q || shoal_queue_info(q, &info)) return;
  out->capacity = info.capacity;
  out->closed = info.closed;
  out->sender = info.producers;
  out->receiver = info.consumers;
  out->sender_keeper = (uint32_t)(shoal_load64_relaxed(q->keeper[SHOAL_PRODUCER]) & pid);
  out->receiver_keeper = (uint32_t)(shoal_load64_relaxed(q->keeper[SHOAL_CONSUMER]) & pid);
  out->size = info.size;
}

int shoal_pipe_info(struct shoal_pipe *p, struct shoal_pipe_info *out) {
  struct shoal_pipe_info info = {.side = p->side, .duplex = p->out && p->in, .element_size = p->element_size};
  way_of(p->out, &info.out);
  way_of(p->in, &info.in);
  *out = info;
  return 0;
}
