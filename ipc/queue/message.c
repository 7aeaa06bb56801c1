#include "ipc/queue/message.h"

#include "core/error.h"
#include "ipc/queue/queue_internal.h"

#define BLOCK SHOAL_MESSAGE_BLOCK_

// The C library writes long copies around the caches, and who reads them next, on another processor, waits for memory.
// In pieces they stay there; what is longer than caches are goes whole.
#define PIECE (UINT64_C(1) << 16)
#define PIECES (UINT64_C(1) << 22)
static void copy(void *to, const void *from, uint64_t size) {
  uint64_t done = 0;
  for (; size <= PIECES && size - done > PIECE; done += PIECE)
    memcpy((char *)to + done, (const char *)from + done, PIECE);
  memcpy((char *)to + done, (const char *)from + done, size - done);
}

// ---- a slot ----

struct message {  // a slot's words, each read once
  uint64_t size;
  struct shoal_block_ref block;
  int in_block;
};

static struct message look(const void *slot) {
  const struct shoal_message_shm *shm = slot;
  struct message m = {.size = shoal_load64_relaxed(&shm->size)};
  m.in_block = (m.size & BLOCK) != 0;
  m.size &= ~BLOCK;
  m.block.off = __atomic_load_n(&shm->in.block.off, __ATOMIC_RELAXED);
  m.block.seq = __atomic_load_n(&shm->in.block.seq, __ATOMIC_RELAXED);
  return m;
}

static void end(const struct shoal_queue *q, const struct message *m) {
  if (m->in_block) shoal_block_end_(q->heap, &m->block, q->object.entry, q->object.generation);
}

static int damaged(uint64_t size) {
  return shoal_fail_(-EPROTO, "a damaged message of %llu bytes", (unsigned long long)size);
}
// -ENOENT: its block is gone.
static int find(const struct shoal_queue *q, const struct message *m, void **data) {
  uint64_t usable;
  if (!m->in_block) return damaged(m->size);
  int rc = shoal_block_at_(q->heap, &m->block, q->object.entry, q->object.generation, data, &usable);
  return !rc && m->size > usable ? damaged(m->size) : rc;
}

static int is_keyed(const struct shoal_queue *q) { return q->slot_size == sizeof(struct shoal_keyed_message_shm); }
static int64_t *key_in(void *slot) { return &((struct shoal_keyed_message_shm *)slot)->key; }
static void tell_key(struct shoal_queue_op_ *op, const void *slot) {
  if (is_keyed(op->q)) op->key = ((const struct shoal_keyed_message_shm *)slot)->key;
}

// What its slot says is never a block that it does not have: an older message's words are there still.
static int fill_block(const struct shoal_queue_op_ *op, struct shoal_message_shm *shm) {
  const struct shoal_object *object = &op->q->object;
  // [B1] pairs with [B2] of `end_if`: who sees this message's words sees that the slot was claimed again
  shoal_store64_release((shoal_atomic64 *)&shm->in.block.off, 0);
  SHOAL_COMPILER_BARRIER();
  shoal_store64_release(&shm->size, op->size | BLOCK);  // [B1]
  SHOAL_COMPILER_BARRIER();
  if (shoal_block_give_(op->q->heap, op->block, object->entry, object->generation, &shm->in.block)) {
    shoal_store64_relaxed(&shm->size, 0);
    return shoal_fail_(-EPROTO, "the heap is damaged: it says that our block is not ours");
  }
  return 0;
}

int shoal_message_fill_(const struct shoal_queue_op_ *op, void *slot) {
  struct shoal_message_shm *shm = slot;
  if (is_keyed(op->q)) *key_in(slot) = op->key;
  if (SHOAL_UNLIKELY(op->block != NULL)) return fill_block(op, shm);
  shoal_store64_release(&shm->size, op->size);  // [B1]; first: if we die, what follows is not taken for a block's place
  SHOAL_COMPILER_BARRIER();
  if (op->size) memcpy(shm->in.bytes, op->in, op->size);
  return 0;
}

static int take_block(struct shoal_queue_op_ *op, const void *slot) {
  struct message m = look(slot);
  void *data;
  if (find(op->q, &m, &data)) {
    end(op->q, &m);
    return damaged(m.size);
  }
  op->size = m.size;
  if (m.size > op->room) return -EMSGSIZE;
  copy(op->out, data, m.size);
  SHOAL_COMPILER_BARRIER();  // it counts as received when it is
  end(op->q, &m);
  return 0;
}

int shoal_message_take_(struct shoal_queue_op_ *op, void *slot) {
  const struct shoal_message_shm *shm = slot;
  uint64_t size = shoal_load64_relaxed(&shm->size);
  if (SHOAL_UNLIKELY(size > SHOAL_MESSAGE_INLINE)) return take_block(op, slot);
  op->size = size;
  if (SHOAL_UNLIKELY(size > op->room)) return -EMSGSIZE;
  if (size) memcpy(op->out, shm->in.bytes, size);
  return 0;
}

int shoal_message_fits_(struct shoal_queue_op_ *op, const void *slot, uint32_t *in_block) {
  struct message m = look(slot);
  void *data;
  *in_block = (uint32_t)m.in_block;
  op->size = m.size;
  tell_key(op, slot);
  if ((m.in_block || m.size > SHOAL_MESSAGE_INLINE) && find(op->q, &m, &data)) return damaged(m.size);
  return m.size > op->room ? -EMSGSIZE : 0;
}

int shoal_message_copy_(struct shoal_queue_op_ *op, const void *slot, int racing) {
  struct shoal_message_shm seen;
  tell_key(op, slot);
  if (racing) slot = (shoal_copy_racing_(&seen, slot, sizeof seen), &seen);
  struct message m = look(slot);
  void *data = (void *)(uintptr_t)((const struct shoal_message_shm *)slot)->in.bytes;
  int rc = m.in_block || m.size > SHOAL_MESSAGE_INLINE ? find(op->q, &m, &data) : 0;
  if (rc) return damaged(m.size);
  op->size = m.size;
  if (m.size > op->room) return -EMSGSIZE;
  if (racing && m.in_block) shoal_copy_racing_(op->out, data, m.size);
  else if (m.size) copy(op->out, data, m.size);
  return 0;
}

// ---- loans ----

int shoal_message_resolve_(const struct shoal_queue *q, struct shoal_loan *loan) {
  struct message m = look(loan->data);
  void *data = ((struct shoal_message_shm *)loan->data)->in.bytes, *block = NULL;
  int rc = m.in_block || m.size > SHOAL_MESSAGE_INLINE ? find(q, &m, &block) : 0;
  loan->block_ = block ? m.block.off : 0;
  loan->life_ = m.block.seq;
  if (rc) return rc;
  if (is_keyed(q)) loan->key = *key_in(loan->data);
  loan->data = block ? block : data;
  loan->size = m.size;
  return 0;
}

int shoal_message_end_lent_(const struct shoal_queue *q, const struct shoal_loan *loan) {
  struct shoal_block_ref block = {.off = loan->block_, .seq = loan->life_};
  return shoal_block_end_(q->heap, &block, q->object.entry, q->object.generation);
}

int shoal_message_receive_(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct shoal_queue *q = op->q;
  int rc = q->ops->receive(op);
  if (rc) return rc;
  op->loan.role = op->me;
  op->loan.handle_ = (uint32_t)q->wait.id;
  if (!shoal_message_resolve_(q, &op->loan)) return 0;
  (void)shoal_queue_finish_(q, &op->loan, SHOAL_RELEASE_);
  return shoal_fail_(-EPROTO, "a damaged message");
}

int shoal_message_finish_(struct shoal_queue *q, const struct shoal_loan *loan, enum shoal_queue_end_ how) {
  if (how == SHOAL_RETURN_) return 0;
  struct shoal_message_shm *shm = q->ops->slot(q, loan, shoal_queue_side_(how));
  struct message m = look(shm);
  if (how != SHOAL_COMMIT_) {
    end(q, &m);
    return 0;
  }
  if (loan->size > m.size)
    return shoal_fail_(-EINVAL, "%llu bytes in a reservation of %llu", (unsigned long long)loan->size,
                       (unsigned long long)m.size);
  if (is_keyed(q)) *key_in(shm) = loan->key;
  shoal_store64_relaxed(&shm->size, loan->size | (m.in_block ? BLOCK : 0));
  return 0;
}

// ---- after a death ----

void shoal_message_end_(const struct shoal_queue *q, const void *slot) {
  struct message m = look(slot);
  end(q, &m);
}
int shoal_message_is_there_(const struct shoal_queue *q, const void *slot) {
  struct message m = look(slot);
  void *data;
  uint64_t usable;
  return !m.in_block || !shoal_block_at_(q->heap, &m.block, q->object.entry, q->object.generation, &data, &usable);
}

static const struct shoal_queue *queue_of(const struct shoal_mpmc *ring) {
  return (const struct shoal_queue *)(const void *)((const char *)ring - offsetof(struct shoal_queue, ring));
}
// Another may have skipped the slot, and a third filled it, since it was seen to be the dead one's.
static void end_if(const struct shoal_mpmc *ring, const void *payload, const shoal_atomic64 *ctl, uint64_t c) {
  struct message m = look(payload);
  const shoal_atomic64 *off = (const shoal_atomic64 *)&((const struct shoal_message_shm *)payload)->in.block.off;
  m.block.off = shoal_load64_acquire(off);                                                                      // [B2]
  m.block.seq = __atomic_load_n(&((const struct shoal_message_shm *)payload)->in.block.seq, __ATOMIC_ACQUIRE);  // [B2]
  if (shoal_load64_acquire(ctl) == c) end(queue_of(ring), &m);  // [B2] pairs with [B1]
}
static int is_there(const struct shoal_mpmc *ring, const void *payload) {
  return shoal_message_is_there_(queue_of(ring), payload);
}
const struct shoal_payload_ops shoal_message_payload_ = {end_if, is_there};

// The same of cells, under their lock.
static const struct shoal_queue *queue_over(const struct shoal_ordered *o) {
  return (const struct shoal_queue *)(const void *)((const char *)o - offsetof(struct shoal_queue, ordered));
}
static void end_in_cell(const struct shoal_ordered *o, const void *payload) {
  shoal_message_end_(queue_over(o), payload);
}
static int is_in_cell(const struct shoal_ordered *o, const void *payload) {
  return shoal_message_is_there_(queue_over(o), payload);
}
const struct shoal_ordered_payload_ shoal_message_in_cell_ = {end_in_cell, is_in_cell};

// ---- a handle ----

int shoal_message_attach_(struct shoal_queue *q) {
  uint32_t size =
      q->kind == SHOAL_QUEUE_PRIORITY ? sizeof(struct shoal_keyed_message_shm) : sizeof(struct shoal_message_shm);
  if (q->slot_size != size || (is_keyed(q) && q->ordered.key.offset != offsetof(struct shoal_keyed_message_shm, key)))
    return shoal_fail_(-EPROTO, "byte messages in a ring of elements of %u bytes", q->slot_size);
  if (!q->segment) return shoal_fail_(-EINVAL, "byte messages have to be in a segment");
  int rc = shoal_heap_open(q->segment, &q->heap);
  if (rc) return rc;
  q->element_size = 0;
  q->message_max = shoal_heap_most_(q->heap, &q->object);
  if (q->message_max < SHOAL_MESSAGE_INLINE) q->message_max = SHOAL_MESSAGE_INLINE;
  q->ring.payload = &shoal_message_payload_;
  q->ordered.payload = &shoal_message_in_cell_;
  return 0;
}

static int has_no_bytes(const struct shoal_queue *q) { return q->element_size ? shoal_queue_misfit_(q, 0) : 0; }
int shoal_message_has_no_key_(const struct shoal_queue *q) {
  int rc = has_no_bytes(q);
  return rc || is_keyed(q) ? rc : shoal_fail_(-EINVAL, "a key in a queue of kind %s", q->ops->name);
}

static int too_large(const struct shoal_queue *q, uint64_t size) {
  if (SHOAL_LIKELY(size <= q->message_max)) return 0;
  return shoal_fail_(-EMSGSIZE, "%llu bytes: the segment never holds more than %llu", (unsigned long long)size,
                     (unsigned long long)q->message_max);
}
// A block for the message, if it needs one.
static int prepare(struct shoal_queue *q, uint64_t size, void **block) {
  int rc = has_no_bytes(q);
  if (rc || size <= SHOAL_MESSAGE_INLINE) return rc;
  rc = too_large(q, size);
  return rc ? rc : shoal_heap_alloc(q->heap, size, block);
}
// The same, with the message in it: before a slot is claimed, so that nobody waits for the copying.
int shoal_message_prepare_(struct shoal_queue_op_ *op) {
  int rc = prepare(op->q, op->size, &op->block);
  if (!rc && op->block) copy(op->block, op->in, op->size);
  return rc;
}

static void drop(struct shoal_queue *q, void *block) {
  if (block) shoal_heap_free(q->heap, block);
}
void shoal_message_drop_(struct shoal_queue_op_ *op) {
  drop(op->q, op->block);
  op->block = NULL;
}
static int is_dropped(const struct shoal_queue *q, int rc) {
  return rc == -EAGAIN && q->overflow == SHOAL_OVERFLOW_DROP_NEWEST;
}

// ---- what users call ----

int shoal_message_check_(const struct shoal_queue *q, uint64_t size) {
  int rc = has_no_bytes(q);
  return rc ? rc : too_large(q, size);
}

static int send(struct shoal_queue_op_ *op, shoal_deadline deadline) {
  struct shoal_queue *q = op->q;
  int rc = shoal_message_prepare_(op);
  if (SHOAL_UNLIKELY(rc)) return rc;
  rc = shoal_queue_run_(op, SHOAL_PRODUCER, 0, q->attempt.send, deadline);
  if (SHOAL_LIKELY(!rc)) return 0;
  shoal_message_drop_(op);
  if (!is_dropped(q, rc)) return rc;
  shoal_queue_discarded_(q, 1);
  return SHOAL_DROPPED;
}
int shoal_queue_send(struct shoal_queue *q, const void *data, uint64_t size, shoal_deadline deadline) {
  struct shoal_queue_op_ op = {.q = q, .in = data, .size = size};
  return send(&op, deadline);
}
int shoal_queue_send_key(struct shoal_queue *q, int64_t key, const void *data, uint64_t size, shoal_deadline deadline) {
  struct shoal_queue_op_ op = {.q = q, .in = data, .size = size, .key = key};
  int rc = shoal_message_has_no_key_(q);
  return rc ? rc : send(&op, deadline);
}

static uint32_t keeps(const struct shoal_queue *q) { return q->joinable || q->leased; }
static int no_room(const struct shoal_queue_op_ *op) {
  return shoal_fail_(-EMSGSIZE, "a message of %llu bytes for a buffer of %llu", (unsigned long long)op->size,
                     (unsigned long long)op->room);
}
// `key` NULL: it is not asked for.
static int copy_out(struct shoal_queue_op_ *op, uint32_t holds, int (*attempt)(void *), int64_t *key, uint64_t *size,
                    shoal_deadline deadline) {
  int rc = has_no_bytes(op->q);
  if (SHOAL_UNLIKELY(rc)) return rc;
  rc = shoal_queue_run_(op, SHOAL_CONSUMER, holds, attempt, deadline);
  if (rc == 0 || rc == -EMSGSIZE) {
    if (size) *size = op->size;
    if (key) *key = op->key;
  }
  return SHOAL_UNLIKELY(rc == -EMSGSIZE) ? no_room(op) : rc;
}
int shoal_queue_recv(struct shoal_queue *q, void *buffer, uint64_t capacity, uint64_t *size, shoal_deadline deadline) {
  struct shoal_queue_op_ op = {.q = q, .out = buffer, .room = capacity};
  return copy_out(&op, keeps(q), q->attempt.recv, NULL, size, deadline);
}
int shoal_queue_recv_key(struct shoal_queue *q, int64_t *key, void *buffer, uint64_t capacity, uint64_t *size,
                         shoal_deadline deadline) {
  struct shoal_queue_op_ op = {.q = q, .out = buffer, .room = capacity};
  int rc = shoal_message_has_no_key_(q);
  return rc ? rc : copy_out(&op, keeps(q), q->attempt.recv, key, size, deadline);
}
int shoal_queue_peek_bytes(struct shoal_queue *q, void *buffer, uint64_t capacity, uint64_t *size,
                           shoal_deadline deadline) {
  struct shoal_queue_op_ op = {.q = q, .out = buffer, .room = capacity};
  return copy_out(&op, 0, shoal_queue_peek_once_, NULL, size, deadline);
}
int shoal_queue_peek_key(struct shoal_queue *q, int64_t *key, void *buffer, uint64_t capacity, uint64_t *size,
                         shoal_deadline deadline) {
  struct shoal_queue_op_ op = {.q = q, .out = buffer, .room = capacity};
  int rc = shoal_message_has_no_key_(q);
  return rc ? rc : copy_out(&op, 0, shoal_queue_peek_once_, key, size, deadline);
}

int shoal_queue_reserve_bytes(struct shoal_queue *q, uint64_t size, struct shoal_loan *loan, shoal_deadline deadline) {
  struct shoal_queue_op_ op = {.q = q, .size = size};
  struct shoal_loan place;
  int rc = prepare(q, size, &op.block);
  if (rc) return rc;
  rc = shoal_queue_lend_(q, SHOAL_PRODUCER, q->attempt.reserve, &place, deadline);
  if (rc) {
    drop(q, op.block);
    return rc;
  }
  struct shoal_message_shm *shm = place.data;
  if (op.block) rc = shoal_message_fill_(&op, shm);
  else shoal_store64_release(&shm->size, size);  // [B1]
  if (rc) {
    (void)shoal_queue_finish_(q, &place, SHOAL_CANCEL_);
    drop(q, op.block);
    return rc;
  }
  place.data = op.block ? op.block : shm->in.bytes;
  place.size = size;
  *loan = place;
  return 0;
}

// ---- several ----

static int send_each(void *arg) {
  struct shoal_queue_op_ *op = arg;
  const struct iovec *m = op->messages + op->done;
  int rc = 0;
  for (; op->done < op->n; op->done++, m++) {
    if (!op->block) {  // else it waited with it
      op->in = m->iov_base;
      op->size = m->iov_len;
      rc = shoal_message_prepare_(op);
    }
    if (!rc) rc = op->q->attempt.send(op);
    if (rc) return op->done ? 0 : rc;
    op->block = NULL;
  }
  return 0;
}
int shoal_queue_send_n(struct shoal_queue *q, const struct iovec *messages, uint32_t n, shoal_deadline deadline) {
  int rc = n - 1 >= INT32_MAX ? shoal_fail_(-EINVAL, "%u messages", n) : has_no_bytes(q);
  for (uint32_t i = 0; i < n && !rc; i++) rc = too_large(q, messages[i].iov_len);
  if (rc) return rc;
  struct shoal_queue_op_ op = {.q = q, .n = n, .messages = (struct iovec *)(uintptr_t)messages};
  rc = shoal_queue_run_(&op, SHOAL_PRODUCER, 0, send_each, deadline);
  shoal_message_drop_(&op);
  if (q->overflow == SHOAL_OVERFLOW_DROP_NEWEST && (!rc || rc == -EAGAIN)) {
    shoal_queue_discarded_(q, n - op.done);
    rc = 0;
  }
  return rc ? rc : (int)op.done;
}

static int recv_each(void *arg) {
  struct shoal_queue_op_ *op = arg;
  struct iovec *m = op->messages;
  int rc = 0;
  for (op->done = 0; op->done < op->n; op->done++, m++) {
    op->out = m->iov_base;
    op->room = m->iov_len;
    rc = op->q->attempt.recv(op);
    if (rc) break;
    m->iov_len = op->size;
  }
  return op->done ? 0 : rc;
}
int shoal_queue_recv_n(struct shoal_queue *q, struct iovec *messages, uint32_t n, shoal_deadline deadline) {
  struct shoal_queue_op_ op = {.q = q, .n = n, .messages = messages};
  int rc = n - 1 >= INT32_MAX ? shoal_fail_(-EINVAL, "%u messages", n) : has_no_bytes(q);
  if (rc) return rc;
  rc = shoal_queue_run_(&op, SHOAL_CONSUMER, keeps(q), recv_each, deadline);
  if (rc != -EMSGSIZE) return rc ? rc : (int)op.done;
  messages[0].iov_len = op.size;
  return no_room(&op);
}
