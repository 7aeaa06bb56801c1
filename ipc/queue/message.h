// ipc/queue/message.h: messages of any length through a queue, with their boundaries kept.
//
// A queue made with options.bytes carries messages of 0 bytes up to what its segment may grow to hold beside it. Up to
// 48 bytes lie in the slot; longer ones in a block of the segment's heap, which is the queue's from before the message
// is published until it is received: handing it over costs the same for a kilobyte as for a gigabyte.
//
// USE
//   rc = shoal_queue_create(seg, "lines", &(struct shoal_queue_options){.capacity = 64, .bytes = 1}, &q);
//   rc = shoal_queue_send(q, text, strlen(text), SHOAL_FOREVER);
//   rc = shoal_queue_recv(q, buffer, sizeof buffer, &size, SHOAL_FOREVER);  // -EMSGSIZE: size says how long it is
//
//   struct shoal_loan loan;                                                  // in place: never copied
//   rc = shoal_queue_reserve_bytes(q, 1 << 20, &loan, SHOAL_FOREVER);
//   loan.size = render(loan.data, loan.size);                                // less may be used
//   rc = shoal_queue_commit(q, &loan);
//   rc = shoal_queue_receive(q, &loan, SHOAL_FOREVER);                       // there: loan.data, loan.size
//   rc = shoal_queue_release(q, &loan);
//
//   struct iovec many[8] = {{text, strlen(text)}, ...};                      // several
//   rc = shoal_queue_send_n(q, many, 8, SHOAL_FOREVER);                      // how many went in
//
// Every kind of queue, with the policies that it has for elements. Everything else is as ipc/queue/queue.h says:
// deadlines, closing, leave, return, leases, task_done, clear, info. PRIORITY is sorted by a number that is sent beside
// the message.
//
// SAFETY   as the queue; not in a signal handler.
// ORDERING as the queue: [P1], [G1] of its ring carry the block's contents, too.
// CRASH    the block's word decides. A producer killed before it published: the block was its process's, or the queue's
//          by a slot that was never published, and whoever skips that slot frees it. A consumer killed: the message is
//          received by another unless its block was ended, which is when it counts as received; short ones as any
//          element. The queue unlinked and closed by all: the next sweep of the heap frees what was in it.
// LEASE    of two that have a message in a block, the one received it whose release ended that; the other is told. A
//          dead letter is a copy: it needs as much memory again, or else it is delivered once more. From PRIORITY to
//          PRIORITY it keeps its key.
// MEMORY   a send waits for a slot, never for memory: -ENOSPC at once, nothing sent. While it waits it has its block,
//          one of many has those that went in and the next. What is dropped, cleared, or evicted gives its block back
//          at once.
// COST     up to 48 bytes: a slot of 64, as an element of 56. Above: one block claimed, one given, one ended.
// SOURCE   own; the blocks: core/heap.h.
#pragma once

#include <sys/uio.h>

#include "core/heap.h"
#include "ipc/queue/queue.h"

SHOAL_BEGIN

#define SHOAL_MESSAGE_INLINE 48u                  // bytes: up to here a message lies in its slot
#define SHOAL_MESSAGE_BLOCK_ (UINT64_C(1) << 63)  // of `size`: it lies in a block

// Sends a copy of `size` bytes (`data` may be NULL if it is 0). 0, -EAGAIN (SHOAL_TRY) or -ETIMEDOUT, -EPIPE, -EUSERS;
// -ENOSPC no memory now; -EMSGSIZE more than the segment can ever hold in one stretch, between this queue and the
// heap's own words; -EBADMSG no queue of byte messages. options.overflow: SHOAL_DROPPED too. Kind PRIORITY: with key 0.
int shoal_queue_send(struct shoal_queue *q, const void *data, uint64_t size, shoal_deadline deadline);
// The same of kind PRIORITY: the smallest key is received first, equals in the order of their sends. -EINVAL: another
// kind.
int shoal_queue_send_key(struct shoal_queue *q, int64_t key, const void *data, uint64_t size, shoal_deadline deadline);
// Receives one into `capacity` bytes; *size: how many it has. What lies behind them in the buffer may change, too. 0,
// -EAGAIN or -ETIMEDOUT, -EPIPE, -EUSERS, -EBADMSG; -EMSGSIZE it has more than `capacity`, *size says how many, and is
// still the next to be received; -EPROTO it was damaged, and is gone.
int shoal_queue_recv(struct shoal_queue *q, void *buffer, uint64_t capacity, uint64_t *size, shoal_deadline deadline);
// The same of kind PRIORITY, and *key is told with *size (NULL: is not). -EINVAL: another kind, and nothing is taken.
int shoal_queue_recv_key(struct shoal_queue *q, int64_t *key, void *buffer, uint64_t capacity, uint64_t *size,
                         shoal_deadline deadline);
// Several of them: as many of `n` as go without waiting, once the first has gone: 1..n, or an error and none. -EINVAL:
// n is 0. -EMSGSIZE: one of them is more than the segment can ever hold, none was sent. DROP_NEWEST: how many went in,
// 0..n; the others are dropped. Kind PRIORITY: all with key 0, and recv_n tells no key.
int shoal_queue_send_n(struct shoal_queue *q, const struct iovec *messages, uint32_t n, shoal_deadline deadline);
// Up to `n` that are there, each into a buffer of its own; of each received, its length becomes the message's. One that
// has no room ends the batch; is it the first, -EMSGSIZE, and messages[0].iov_len says how many bytes it has. One that
// was damaged ends it, too, and is gone; is it the first, -EPROTO, else nothing tells of it.
int shoal_queue_recv_n(struct shoal_queue *q, struct iovec *messages, uint32_t n, shoal_deadline deadline);
// A copy of the message that a recv would have had at some moment of the call, errors as that; nothing is taken. Its
// size only: with `capacity` 0, -EMSGSIZE, if it is not 0. SPSC: the consumer's. FIFO, LIFO, PRIORITY: copied under the
// lock.
int shoal_queue_peek_bytes(struct shoal_queue *q, void *buffer, uint64_t capacity, uint64_t *size,
                           shoal_deadline deadline);
int shoal_queue_peek_key(struct shoal_queue *q, int64_t *key, void *buffer, uint64_t capacity, uint64_t *size,
                         shoal_deadline deadline);  // and its key, as recv_key
// A place for a message of up to `size` bytes, at 8 bytes; above 48 bytes at 16, from 4096 bytes on at a page.
// loan->size may be made smaller before the commit (larger: -EINVAL), loan->key set. Errors as send (DROP_NEWEST:
// -EAGAIN).
int shoal_queue_reserve_bytes(struct shoal_queue *q, uint64_t size, struct shoal_loan *loan, shoal_deadline deadline);

// ---- in the ring ----
struct shoal_message_shm {  // who has claimed its slot
  shoal_atomic64 size;      // bytes; SHOAL_MESSAGE_BLOCK_
  union {
    char bytes[SHOAL_MESSAGE_INLINE];
    struct shoal_block_ref block;
  } in;
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_message_shm) == 56, "with its control word, or count, a line");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_message_shm, in) == 8, "layout");

struct shoal_keyed_message_shm {  // kind PRIORITY
  struct shoal_message_shm message;
  int64_t key;  // who has the cell's claim
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_keyed_message_shm) == 64, "a line");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_keyed_message_shm, key) == 56, "the message comes first");

SHOAL_END
