#include "ipc/queue/message.h"

#include "core/error.h"
#include "ipc/queue/queue_internal.h"

#define BLOCK SHOAL_MESSAGE_BLOCK_

// The C library writes long copies around the caches, and who reads them next, on another processor, waits for memory. In pieces
// they stay there; what is longer than caches are goes whole.
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
static int find(const struct shoal_queue *q, const struct message *m, void **data) {
  uint64_t usable;
  if (!m->in_block || shoal_block_at_(q->heap, &m->block, q->object.entry, q->object.generation, data, &usable) ||
      m->size > usable)
    return damaged(m->size);
  return 0;
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
  if (SHOAL_UNLIKELY(op->block != NULL)) return fill_block(op, shm);
  shoal_store64_release(&shm->size, op->size);  // [B1]; first: if we die, what follows is not taken for a block's place
  SHOAL_COMPILER_BARRIER();
  if (op->size) memcpy(shm->in.bytes, op->in, op->size);
  return 0;
}

static int take_block(struct shoal_queue_op_ *op, const void *slot) {
  struct message m = look(slot);
  void *data;
  int rc = find(op->q, &m, &data);
  if (rc) return rc;
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

// ---- loans ----

int shoal_message_lend_(struct shoal_queue *q, struct shoal_loan *loan) {
  struct message m = look(loan->data);
  void *data = ((struct shoal_message_shm *)loan->data)->in.bytes;
  if (m.in_block || m.size > SHOAL_MESSAGE_INLINE) {
    int rc = find(q, &m, &data);
    if (rc) {
      (void)shoal_queue_finish_(q, loan, SHOAL_RELEASE_);
      return rc;
    }
  }
  loan->data = data;
  loan->size = m.size;
  return 0;
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
  m.block.off = shoal_load64_acquire(off);                      // [B2]
  if (shoal_load64_acquire(ctl) == c) end(queue_of(ring), &m);  // [B2] pairs with [B1]
}
static int is_there(const struct shoal_mpmc *ring, const void *payload) {
  return shoal_message_is_there_(queue_of(ring), payload);
}
const struct shoal_payload_ops shoal_message_payload_ = {end_if, is_there};

// ---- a handle ----

int shoal_message_attach_(struct shoal_queue *q) {
  struct shoal_segment_info info;
  if (q->slot_size != sizeof(struct shoal_message_shm) || !q->ops->send)
    return shoal_fail_(-EPROTO, "byte messages in a ring of elements of %u bytes", q->slot_size);
  if (!q->segment) return shoal_fail_(-EINVAL, "byte messages have to be in a segment");
  int rc = shoal_segment_info(q->segment, &info);
  if (!rc) rc = shoal_heap_open(q->segment, &q->heap);
  if (rc) return rc;
  q->element_size = 0;
  q->message_max = info.size_max;
  q->ring.payload = &shoal_message_payload_;
  return 0;
}

static int has_no_bytes(const struct shoal_queue *q) { return q->element_size ? shoal_queue_misfit_(q, 0) : 0; }

// A block for the message, if it needs one.
static int prepare(struct shoal_queue *q, uint64_t size, void **block) {
  int rc = has_no_bytes(q);
  if (rc || size <= SHOAL_MESSAGE_INLINE) return rc;
  if (size > q->message_max)
    return shoal_fail_(-EMSGSIZE, "%llu bytes: the segment never holds more than %llu", (unsigned long long)size,
                       (unsigned long long)q->message_max);
  return shoal_heap_alloc(q->heap, size, block);
}

static void drop(struct shoal_queue *q, void *block) {
  if (block) shoal_heap_free(q->heap, block);
}

// ---- what users call ----

int shoal_queue_send(struct shoal_queue *q, const void *data, uint64_t size, shoal_deadline deadline) {
  struct shoal_queue_op_ op = {.q = q, .in = data, .size = size};
  int rc = prepare(q, size, &op.block);
  if (SHOAL_UNLIKELY(rc)) return rc;
  if (op.block) copy(op.block, data, size);  // before a slot is claimed: nobody waits for the copying
  rc = shoal_queue_run_(&op, SHOAL_PRODUCER, 0, q->ops->send, shoal_queue_patience_(q, deadline));
  if (SHOAL_UNLIKELY(rc)) drop(q, op.block);
  return rc;
}

int shoal_queue_recv(struct shoal_queue *q, void *buffer, uint64_t capacity, uint64_t *size, shoal_deadline deadline) {
  struct shoal_queue_op_ op = {.q = q, .out = buffer, .room = capacity};
  int rc = has_no_bytes(q);
  if (SHOAL_UNLIKELY(rc)) return rc;
  rc = shoal_queue_run_(&op, SHOAL_CONSUMER, 0, q->ops->recv, deadline);
  if (rc == 0 || rc == -EMSGSIZE) *size = op.size;
  if (SHOAL_UNLIKELY(rc == -EMSGSIZE))
    return shoal_fail_(rc, "a message of %llu bytes for a buffer of %llu", (unsigned long long)op.size,
                       (unsigned long long)capacity);
  return rc;
}

int shoal_queue_reserve_bytes(struct shoal_queue *q, uint64_t size, struct shoal_loan *loan, shoal_deadline deadline) {
  struct shoal_queue_op_ op = {.q = q, .size = size};
  struct shoal_loan place;
  int rc = prepare(q, size, &op.block);
  if (rc) return rc;
  rc = shoal_queue_lend_(q, SHOAL_PRODUCER, q->ops->reserve, &place, shoal_queue_patience_(q, deadline));
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
