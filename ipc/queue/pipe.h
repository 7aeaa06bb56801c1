// ipc/queue/pipe.h: a pipe between two: messages of any length, one way or both, boundaries kept, ended by closing or
// by death.
//
// USE
//   struct shoal_pipe *ends[2];
//   rc = shoal_pipe_create(seg, NULL, &(struct shoal_pipe_options){.duplex = 1}, ends);
//   pid_t child = fork();
//   if (child == 0) exit(serve(ends[1]));           // uses its end as it is
//   rc = shoal_pipe_give(&ends[1], child);          // mine no longer: the child's death is the end of what it sends
//   rc = shoal_pipe_send(ends[0], "hello", 5, SHOAL_FOREVER);
//   rc = shoal_pipe_recv(ends[0], buffer, sizeof buffer, &size, shoal_after_ms(100));  // -EPIPE: nothing can come any more
//   rc = shoal_pipe_close(&ends[0]);
//
// One way: ends[1] sends, ends[0] receives. Duplex: both do both. Another process opens an end by the pipe's name.
//
// WHOSE AN END IS
//          A thread takes an end with its first send, receive or poll, both directions unless another has one (or one
//          only: shoal_pipe_join), and has it until it leaves, closes or dies; -EUSERS for everybody else meanwhile.
//          Until it is taken its *keeper* answers for it: the process that created the pipe, or opened the end, or was
//          given it. An end that nobody has can be taken by whoever has the pipe open, and goes on where it stopped.
// THE END  of what an end sends has come when it was closed, or its thread has died, or its keeper died before it was
//          taken (who leaves is no end: its process keeps it); receivers first get all that was sent. They may go on if
//          the end is taken again. Sends into an end that was closed answer -EPIPE; into one whose owner died, when the
//          ring is full: a successor may come.
//
// SAFETY   the two directions, and the two ends, run together in any threads and processes. One direction of one end:
//          one thread. create, open, close, give of one handle: one thread, and nothing beside it. After fork the child
//          uses the handles as they are; those that it does not need it may close or forget: nobody waits for them.
// ORDERING messages of one direction arrive in the order in which they were sent; what was written before a send is
//          seen.
// CRASH    a message sent whole is received, once, or again by the successor of a receiver that died with it in hand;
//          one that was not sent whole never was, and its memory is freed by whoever notices. A death wakes the other
//          side at once; that of a keeper is noticed within a second.
// COST     as a queue of kind SHOAL_QUEUE_SPSC: up to 48 bytes a line, no read-modify-write, above that what its block
//          costs (ipc/queue/message.h); no system call unless somebody sleeps. 5 KiB a direction with 64 messages, and
//          their blocks.
// SOURCE   ipc/queue/queue.h and ipc/queue/message.h, one or two of them in an object.
#pragma once

#include <string.h>

#include "ipc/queue/message.h"

SHOAL_BEGIN

struct shoal_pipe_options {  // zero: the default
  uint32_t capacity;         // messages a direction, at least (64)
  uint32_t duplex;           // 1: both ends send and receive
  uint32_t element_size;     // 0: messages of any length; else all have so many bytes (typed forms fill it in)
  uint32_t reserved_;
  const char *type;  // the name of the messages' type, up to 63 bytes; typed forms fill in theirs. NULL: not told
};

struct shoal_pipe;  // this process's handle of one end

// ---- lifecycle ----
// `name` NULL: for the creator and the children it forks. `options` NULL: zeroes. -EEXIST, -EINVAL, -ENAMETOOLONG,
// -ENOSPC, -ENOSYS, -ENOMEM.
int shoal_pipe_create(struct shoal_segment *seg, const char *name, const struct shoal_pipe_options *options,
                      struct shoal_pipe *ends[2]) SHOAL_MUST_CHECK;
// End `side` (0, 1), this process's from here on unless somebody has it. -ENOENT, -EBADMSG another type or element
// size, -EINVAL, -EPROTO, -ENOSYS, -ENOMEM.
int shoal_pipe_open(struct shoal_segment *seg, const char *name, uint32_t element_size, uint32_t side,
                    struct shoal_pipe **out) SHOAL_MUST_CHECK;
// The same of messages of a type with that name; of another: -EBADMSG. NULL, or a pipe that was made without one:
// nothing is asked. Typed forms do this.
int shoal_pipe_open_as(struct shoal_segment *seg, const char *name, const char *type, uint32_t element_size,
                       uint32_t side, struct shoal_pipe **out) SHOAL_MUST_CHECK;
// The name. -ENOENT, -EBADMSG no pipe's.
int shoal_pipe_unlink(struct shoal_segment *seg, const char *name);
// Ends the end, for good, and frees the handle; what it has not received is dropped. If another process has the end, or
// it was given to one that lives, only the handle is freed. *p becomes NULL. -EBUSY: another thread of this process
// uses the end; it is closed, the handle stays.
int shoal_pipe_close(struct shoal_pipe **p);
// Hands the end to process `pid`, a child that has inherited it or who opens it by name, and frees the handle. What the
// calling thread has of it it leaves. The pipe's memory stays this process's, too, until it closes the segment: a child
// holds nothing of it before its first use. *p becomes NULL. Nothing changed: -EINVAL, no such process; -EBUSY, another
// thread uses it, or another handle; -EUSERS, a third process has the end, or keeps it and lives. A direction that
// another has while this process has the other one stays that one's.
int shoal_pipe_give(struct shoal_pipe **p, uint32_t pid);
// Takes one direction for the calling thread, SHOAL_PRODUCER or SHOAL_CONSUMER, so that another may take the other.
// -EUSERS.
int shoal_pipe_join(struct shoal_pipe *p, int side);
// The calling thread no longer has the end, and this process keeps what it had of it: another of its threads may take
// it; no end has come. What others have is theirs. 0.
int shoal_pipe_leave(struct shoal_pipe *p);

// ---- messages; as in ipc/queue/message.h. -EPERM: not a direction of this end ----
int shoal_pipe_send(struct shoal_pipe *p, const void *data, uint64_t size, shoal_deadline deadline);
int shoal_pipe_recv(struct shoal_pipe *p, void *buffer, uint64_t capacity, uint64_t *size, shoal_deadline deadline);
// Several, as shoal_queue_send_n and _recv_n; a pipe of one type: -EBADMSG (typed forms: name##_send_n, name##_recv_n).
int shoal_pipe_send_n(struct shoal_pipe *p, const struct iovec *messages, uint32_t n, shoal_deadline deadline);
int shoal_pipe_recv_n(struct shoal_pipe *p, struct iovec *messages, uint32_t n, shoal_deadline deadline);
// A copy of the next message, and nothing is taken; as shoal_queue_peek_bytes. Its size only: `capacity` 0.
int shoal_pipe_peek(struct shoal_pipe *p, void *buffer, uint64_t capacity, uint64_t *size, shoal_deadline deadline);
// 0: the next receive has no need to wait. -EAGAIN (SHOAL_TRY) or -ETIMEDOUT, -EPIPE the end has come, -EUSERS, -EBUSY:
// a message is in hand.
int shoal_pipe_poll(struct shoal_pipe *p, shoal_deadline deadline);

// ---- in place; one message a direction in hand (-EBUSY), and no send, or receive, beside it ----
// As shoal_queue_reserve_bytes; of a pipe of one type `size` is its messages', -EBADMSG otherwise.
int shoal_pipe_reserve(struct shoal_pipe *p, uint64_t size, struct shoal_loan *loan, shoal_deadline deadline);
// As shoal_queue_commit, and the like: 0, at once; -EINVAL: given back already, -EPERM: another thread's or end's;
// nothing changed.
int shoal_pipe_commit(struct shoal_pipe *p, struct shoal_loan *loan);
int shoal_pipe_cancel(struct shoal_pipe *p, struct shoal_loan *loan);
// Errors as recv, but for a buffer.
int shoal_pipe_receive(struct shoal_pipe *p, struct shoal_loan *loan, shoal_deadline deadline);
int shoal_pipe_release(struct shoal_pipe *p, struct shoal_loan *loan);
int shoal_pipe_return(struct shoal_pipe *p, struct shoal_loan *loan);

// ---- looking at it ----
struct shoal_pipe_info {
  uint32_t side, duplex, element_size, reserved_;
  struct shoal_pipe_way_ {
    uint32_t capacity, closed;
    uint32_t sender, receiver;                // 1: somebody has it
    uint32_t sender_keeper, receiver_keeper;  // process ids; 0: it was taken, or given up
    uint64_t size;                            // messages sent and not taken
  } out, in;                                  // as this end sees it; zero: no such direction
};
// A snapshot, by any thread of a process that has the end open; waits for nobody. 0.
int shoal_pipe_info(struct shoal_pipe *p, struct shoal_pipe_info *out);
// For tools. As shoal_pipe_open, and nothing of the end becomes this process's; the handle is freed by detach.
int shoal_pipe_look_(struct shoal_segment *seg, const char *name, uint32_t element_size, uint32_t side,
                     struct shoal_pipe **out) SHOAL_MUST_CHECK;
int shoal_pipe_detach_(struct shoal_pipe **p);
// What the dead keep, of both ends, nobody does: who waits for them is told. How many.
int shoal_pipe_reap_keepers_(struct shoal_pipe *p);

// ---- in the segment ----
struct shoal_pipe_shm {
  shoal_atomic32 magic;   // last, by who makes it
  uint32_t element_size;  // constant, as are the next
  uint32_t ring[2];       // bytes from here to the queue that end 0, end 1 sends into; 0: it sends nothing
  uint64_t reserved_[6];
  // Of each end, to send and to receive: changes:20 | process:44. Who opens it, gives it, takes it, leaves it.
  shoal_atomic64 keeper[2][2];
  uint64_t reserved_keeper_[4];
} SHOAL_ALIGNED(64);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_pipe_shm) == 128, "two lines; the queues follow");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_pipe_shm, keeper) == 64, "what changes keeps off what does not");

struct shoal_pipe_use_ {  // private, of the handles made together
  shoal_atomic32 handles, given;
};
struct shoal_pipe {
  struct shoal_queue *out, *in;  // NULL: not a direction of this end
  struct shoal_pipe_shm *shm;
  struct shoal_segment *segment;
  struct shoal_object object;
  struct shoal_pipe_use_ *use;
  uint32_t side, element_size;
};

int shoal_pipe_one_way_(const struct shoal_pipe *p, int side);    // -EPERM, and why
int shoal_pipe_fits_(const struct shoal_pipe *p, uint32_t size);  // 0, -EBADMSG: messages of another size

// NULL: zeroes.
SHOAL_INLINE struct shoal_pipe_options shoal_pipe_options_(const struct shoal_pipe_options *options) {
  struct shoal_pipe_options o;
  if (options) o = *options;
  else memset(&o, 0, sizeof o);
  return o;
}

SHOAL_END

// The same for messages of type T. Only forwards, with a constant size.
// clang-format off
#define SHOAL_PIPE_TYPED(name, T) \
  SHOAL_STATIC_ASSERT(sizeof(#T) <= SHOAL_QUEUE_TYPE_MAX + 1, "the type's name is too long"); \
  SHOAL_INLINE int name##_create(struct shoal_segment *seg, const char *as, const struct shoal_pipe_options *options, struct shoal_pipe *ends[2]) { struct shoal_pipe_options o = shoal_pipe_options_(options); o.element_size = sizeof(T); if (!o.type) o.type = #T; return shoal_pipe_create(seg, as, &o, ends); } \
  SHOAL_INLINE int name##_open(struct shoal_segment *seg, const char *as, uint32_t side, struct shoal_pipe **out) { return shoal_pipe_open_as(seg, as, #T, sizeof(T), side, out); } \
  SHOAL_INLINE int name##_send(struct shoal_pipe *p, const T *message, shoal_deadline deadline) { return p->out ? shoal_queue_put_(p->out, message, sizeof(T), deadline) : shoal_pipe_one_way_(p, SHOAL_PRODUCER); } \
  SHOAL_INLINE int name##_recv(struct shoal_pipe *p, T *message, shoal_deadline deadline) { return p->in ? shoal_queue_get_(p->in, message, sizeof(T), deadline) : shoal_pipe_one_way_(p, SHOAL_CONSUMER); } \
  SHOAL_INLINE int name##_send_n(struct shoal_pipe *p, const T *messages, uint32_t n, shoal_deadline deadline) { int rc = p->out ? shoal_pipe_fits_(p, sizeof(T)) : shoal_pipe_one_way_(p, SHOAL_PRODUCER); return rc ? rc : shoal_queue_put_n(p->out, messages, n, deadline); } \
  SHOAL_INLINE int name##_recv_n(struct shoal_pipe *p, T *messages, uint32_t n, shoal_deadline deadline) { int rc = p->in ? shoal_pipe_fits_(p, sizeof(T)) : shoal_pipe_one_way_(p, SHOAL_CONSUMER); return rc ? rc : shoal_queue_get_n(p->in, messages, n, deadline); }
// clang-format on
