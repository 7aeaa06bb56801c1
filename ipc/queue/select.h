// ipc/queue/select.h: waits for the first of several things: queues, pipes, topics, events, semaphores, processes,
// descriptors, times.
//
// USE
//   SHOAL_SELECT_TYPED(job_queue, struct job)                 // beside SHOAL_QUEUE_TYPED(job_queue, struct job)
//
//   struct shoal_case cases[] = {
//       job_queue_on_get(jobs, &job),                         // takes from it
//       result_queue_on_put(results, &result),                // or puts into it: one of them, not both
//       shoal_on_pipe_recv(p, buffer, sizeof buffer, &size),  // or this
//       shoal_on_event(stop), shoal_on_process(child.pid), shoal_on_fd(socket, POLLIN),
//       shoal_on_time(shoal_after_s(1)),
//   };
//   for (;;) switch (shoal_select(cases, 7, SHOAL_FOREVER)) {
//     case 0: if (cases[0].result == -EPIPE) return; work(&job); break;
//     case 6: cases[6] = shoal_on_time(shoal_after_s(1)); break;  // a tick: once over, a time stays ready
//     ...
//   }
//
// A case is performed (get, put, send, recv, publish, acquire) or only reported (the others) by the call that answers
// with its index; of all others nothing has happened. Of several that are ready, each has its turn: the search begins
// behind the case that was answered last with this array, or, in an array of zeroes and makers as above, anywhere. A
// queue that has ended is ready, with -EPIPE in `result`: set the case to shoal_on_nothing() to go on without it. Locks
// and conditions are no cases: a semaphore of one permit is the lock that can be waited for among others.
//
// SAFETY   any thread; an array belongs to one call at a time. The thread becomes a consumer, or a producer, of each
//          queue, when a select of its first looks closely at that; a publisher likewise, a subscriber it must be
//          already. A queue may stand in several cases. An event, queue or topic stays until the call returns.
//          A newcomer for whom there is only a dead one's role, at a queue in which somebody is stopped
//          (ipc/queue/queue.h, KINDS), tries again until its deadline; each try takes a second for each such queue, and
//          one more, in which the other cases wait. In a signal handler: not.
// ORDERING as get, put, shoal_event_wait.
// SLEEP    all words of all objects in one futex_waitv (sync/eventcount.h: the same protocol, step by step). A wake-up
//          that came for a case that is not performed wakes another in its stead. Descriptors and pidfds, if there are
//          queues or events, too, are watched meanwhile by a thread of the library, made by the first such sleep of a
//          process.
// CRASH    killed at any instruction: as get and put. Its roles are watched by all who sleep at those queues, from its
//          first sleep there on, because list_op_pending can point at one of them only.
//          A peer's death is seen at once, as long as all words fit in one futex_waitv (128): two a queue, and one for
//          each role that is to be watched, at least one a queue; so up to 42 queues. With more, some are left to the
//          re-check (SHOAL_RECHECK_NS); what living peers do is always seen at once. An event whose setter is killed
//          before it has woken all, and then the one whom the kernel woke, too, in a select: by the re-check. So is a
//          permit for which a select was woken that dies at once, if it waited for several semaphores and that is not
//          its first; and the death of a permit's holder, if not all permits fit in.
// COST     one is ready: what it costs itself, and a look at those before it. None: two system calls, and for each
//          queue what a get that finds nothing costs.
// SOURCE   of this house.
#pragma once

#include <poll.h>

#include "ipc/queue/message.h"
#include "ipc/queue/pipe.h"
#include "ipc/queue/topic.h"
#include "sync/event.h"
#include "sync/semaphore.h"

SHOAL_BEGIN

#define SHOAL_SELECT_MAX 64u  // cases

enum {  // kinds of cases
  SHOAL_CASE_NOTHING = 0,
  SHOAL_CASE_GET,
  SHOAL_CASE_PUT,
  SHOAL_CASE_READABLE,
  SHOAL_CASE_WRITABLE,
  SHOAL_CASE_SEND,
  SHOAL_CASE_SEND_KEY,
  SHOAL_CASE_RECV,
  SHOAL_CASE_EVENT,
  SHOAL_CASE_TIME,
  SHOAL_CASE_FD,
  SHOAL_CASE_PROCESS,
  SHOAL_CASE_ACQUIRE,
  SHOAL_CASE_TOPIC_GET,
  SHOAL_CASE_TOPIC_READABLE,
  SHOAL_CASE_TOPIC_PUBLISH,
  SHOAL_CASE_TOPIC_WRITABLE,
  SHOAL_CASE_WORD,
};

// What another room has to be waited for: something that is ready when words say so. Reported, never performed.
struct shoal_word_source_ {
  // 0 or more: it is ready, and this is the case's result; -EAGAIN: it is not; an error: so is this. Any number of
  // times.
  int (*look)(const void *object);
  // To sleep until it may be ready: fills in at most `room` words, 2 at least, and lowers *until if it is to be looked
  // at then. How many; 0: look again first.
  unsigned (*arm)(const void *object, struct shoal_futex_entry *entries, unsigned room, shoal_deadline *until);
  // Before a sleep: does itself what is waited for, if it can, however long that takes. 1: look again; 0: nothing to be
  // done. Or NULL.
  int (*help)(const void *object);
};

struct shoal_case {  // private memory; made by the functions below
  uint32_t kind;
  // Of the case that was answered: 0; of a queue, pipe or topic -EPIPE: closed, or its last peer has gone, and nothing
  // can come any more; of a recv -EMSGSIZE: the message is larger than its buffer, *size says how large, and it is
  // still the next; of a descriptor the events that poll(2) reports, POLLERR and POLLHUP included; of another room's
  // what it says.
  int32_t result;
  struct shoal_queue *queue;
  struct shoal_topic *topic;
  struct shoal_event *event;
  struct shoal_semaphore *semaphore;
  const struct shoal_word_source_ *source;  // of `element`
  void *element;                            // where a get, or recv, goes; what a put, or send, takes is only read
  uint64_t size;   // of the element, 0: whatever the queue's is; of the message, or of the buffer
  int64_t key;     // of a send to kind PRIORITY; of a recv there the message's, told with *got
  uint64_t *got;   // of a recv: where the message's size goes
  uint32_t ready;  // shoal_select_ready: 1
  int fd;          // or pid; or -EPERM: the pipe has no such direction
  short events;
  uint32_t turn_;  // in the first case: one more than the index that was answered last
  shoal_deadline at;
};

SHOAL_INLINE struct shoal_case shoal_case_(uint32_t kind) {
  struct shoal_case c;
  memset(&c, 0, sizeof c);
  c.kind = kind;
  return c;
}
// Never ready.
SHOAL_INLINE struct shoal_case shoal_on_nothing(void) { return shoal_case_(SHOAL_CASE_NOTHING); }
SHOAL_INLINE struct shoal_case shoal_on_queue_(uint32_t kind, struct shoal_queue *q, void *element, uint64_t size) {
  struct shoal_case c = shoal_case_(kind);
  c.queue = q;
  c.element = element;
  c.size = size;
  return c;
}
// Gets into `element`; puts what stands there when the case is performed. As shoal_queue_get and _put,
// but that it waits for room under every policy but DROP_OLDEST: no case is refused or dropped while others may go.
SHOAL_INLINE struct shoal_case shoal_on_get(struct shoal_queue *q, void *element) {
  return shoal_on_queue_(SHOAL_CASE_GET, q, element, 0);
}
SHOAL_INLINE struct shoal_case shoal_on_put(struct shoal_queue *q, const void *element) {
  return shoal_on_queue_(SHOAL_CASE_PUT, q, (void *)(uintptr_t)element, 0);
}
// Byte messages, as shoal_queue_recv (kind PRIORITY: the case's `key` is the message's then) and _send (with key 0).
SHOAL_INLINE struct shoal_case shoal_on_recv(struct shoal_queue *q, void *buffer, uint64_t capacity, uint64_t *size) {
  struct shoal_case c = shoal_on_queue_(SHOAL_CASE_RECV, q, buffer, capacity);
  c.got = size;
  return c;
}
SHOAL_INLINE struct shoal_case shoal_on_send(struct shoal_queue *q, const void *data, uint64_t size) {
  return shoal_on_queue_(SHOAL_CASE_SEND, q, (void *)(uintptr_t)data, size);
}
// The same of kind PRIORITY, as shoal_queue_send_key; of another: -EINVAL.
SHOAL_INLINE struct shoal_case shoal_on_send_key(struct shoal_queue *q, int64_t key, const void *data, uint64_t size) {
  struct shoal_case c = shoal_on_queue_(SHOAL_CASE_SEND_KEY, q, (void *)(uintptr_t)data, size);
  c.key = key;
  return c;
}
// A get, or a put, would go; nothing is taken, so another may be faster.
SHOAL_INLINE struct shoal_case shoal_on_readable(struct shoal_queue *q) {
  return shoal_on_queue_(SHOAL_CASE_READABLE, q, NULL, 0);
}
SHOAL_INLINE struct shoal_case shoal_on_writable(struct shoal_queue *q) {
  return shoal_on_queue_(SHOAL_CASE_WRITABLE, q, NULL, 0);
}
// An end of a pipe; the thread takes it, as with shoal_pipe_recv and the like. -EPERM: not a direction of this end.
SHOAL_INLINE struct shoal_case shoal_on_pipe_(uint32_t kind, struct shoal_queue *q, void *data, uint64_t size) {
  struct shoal_case c = shoal_on_queue_(kind, q, data, size);
  c.fd = q ? 0 : -EPERM;
  return c;
}
SHOAL_INLINE struct shoal_case shoal_on_pipe_recv(struct shoal_pipe *p, void *buffer, uint64_t capacity,
                                                  uint64_t *size) {
  struct shoal_case c = shoal_on_pipe_(SHOAL_CASE_RECV, p->in, buffer, capacity);
  c.got = size;
  return c;
}
SHOAL_INLINE struct shoal_case shoal_on_pipe_send(struct shoal_pipe *p, const void *data, uint64_t size) {
  return shoal_on_pipe_(SHOAL_CASE_SEND, p->out, (void *)(uintptr_t)data, size);
}
SHOAL_INLINE struct shoal_case shoal_on_pipe_readable(struct shoal_pipe *p) {
  return shoal_on_pipe_(SHOAL_CASE_READABLE, p->in, NULL, 0);
}
SHOAL_INLINE struct shoal_case shoal_on_pipe_writable(struct shoal_pipe *p) {
  return shoal_on_pipe_(SHOAL_CASE_WRITABLE, p->out, NULL, 0);
}
// A topic: the next message that this thread, a subscriber, has not read, as with shoal_topic_get; or one to be
// published.
SHOAL_INLINE struct shoal_case shoal_on_topic_(uint32_t kind, struct shoal_topic *t, void *element, uint64_t size) {
  struct shoal_case c = shoal_on_queue_(kind, NULL, element, size);
  c.topic = t;
  return c;
}
SHOAL_INLINE struct shoal_case shoal_on_topic_get(struct shoal_topic *t, void *element) {
  return shoal_on_topic_(SHOAL_CASE_TOPIC_GET, t, element, 0);
}
SHOAL_INLINE struct shoal_case shoal_on_topic_publish(struct shoal_topic *t, const void *element) {
  return shoal_on_topic_(SHOAL_CASE_TOPIC_PUBLISH, t, (void *)(uintptr_t)element, 0);
}
SHOAL_INLINE struct shoal_case shoal_on_topic_readable(struct shoal_topic *t) {
  return shoal_on_topic_(SHOAL_CASE_TOPIC_READABLE, t, NULL, 0);
}
SHOAL_INLINE struct shoal_case shoal_on_topic_writable(struct shoal_topic *t) {
  return shoal_on_topic_(SHOAL_CASE_TOPIC_WRITABLE, t, NULL, 0);
}
// Takes a permit: it is this thread's, as with shoal_semaphore_acquire.
SHOAL_INLINE struct shoal_case shoal_on_acquire(struct shoal_semaphore *s) {
  struct shoal_case c = shoal_case_(SHOAL_CASE_ACQUIRE);
  c.semaphore = s;
  return c;
}
// It is set, or was since select was called.
SHOAL_INLINE struct shoal_case shoal_on_event(struct shoal_event *e) {
  struct shoal_case c = shoal_case_(SHOAL_CASE_EVENT);
  c.event = e;
  return c;
}
// Ready from then on: for a tick, make the case anew each time.
SHOAL_INLINE struct shoal_case shoal_on_time(shoal_deadline at) {
  struct shoal_case c = shoal_case_(SHOAL_CASE_TIME);
  c.at = at;
  return c;
}
// `events` as for poll(2). A pidfd (struct shoal_process' sentinel) is POLLIN when its process has ended.
SHOAL_INLINE struct shoal_case shoal_on_fd(int fd, short events) {
  struct shoal_case c = shoal_case_(SHOAL_CASE_FD);
  c.fd = fd;
  c.events = events;
  return c;
}
// The process has ended, or there is none of that number (any more): of a child, until it has been waited for.
SHOAL_INLINE struct shoal_case shoal_on_process(pid_t pid) {
  struct shoal_case c = shoal_case_(SHOAL_CASE_PROCESS);
  c.fd = (int)pid;
  return c;
}

// Another room's: see its header (ipc/work/future.h).
SHOAL_INLINE struct shoal_case shoal_on_word_(const struct shoal_word_source_ *source, const void *object) {
  struct shoal_case c = shoal_case_(SHOAL_CASE_WORD);
  c.source = source;
  c.element = (void *)(uintptr_t)object;
  return c;
}

// The index of the case that was performed or is ready; its `result` says more. Sleeps until `deadline`: -EAGAIN
// (SHOAL_TRY), -ETIMEDOUT. -EINVAL: 0 or more than SHOAL_SELECT_MAX cases, one makes no sense, a descriptor is not
// open, the thread does not subscribe to a topic, a key for a queue that is sorted by none; -EBADMSG: an
// element's size is not the queue's, or one has byte messages and the other has not; -EMSGSIZE: a send of more than the
// segment can ever hold; -EPERM: not a direction of that pipe's end; -EUSERS: no role is free; -EBUSY: kind SPSC, a
// pipe, or a topic's subscriber, and a loan is out; -ENOSYS, -ENOMEM, -ENOSPC: no pidfd, none of the library's
// descriptors, or no memory for what is sent; -EPROTO: a damaged byte message, which is gone. After any other error
// nothing has been performed.
int shoal_select(struct shoal_case *cases, uint32_t n, shoal_deadline deadline) SHOAL_MUST_CHECK;
// How many are ready, 1 or more: `ready` of each says whether it is, `result` as above; nothing is performed, so
// another may be faster. Sleeps, and errors, as shoal_select.
int shoal_select_ready(struct shoal_case *cases, uint32_t n, shoal_deadline deadline) SHOAL_MUST_CHECK;

// ---- for an event loop of the program's own: an eventfd, armed only when the loop is about to sleep ----
//   rc = shoal_selector_open(&sel);  ...poll, epoll, libuv, asyncio: wait for shoal_selector_fd(sel) to be readable...
//   before each sleep:  while ((rc = shoal_selector_arm(sel, cases, n)) == 1) work(shoal_select(cases, n, SHOAL_TRY));
// A thread of the library sleeps in the caller's stead, takes nothing, and hands on at once what woke it.
struct shoal_selector;
// -ENOMEM, -ENOSPC, -ENOSYS.
int shoal_selector_open(struct shoal_selector **out) SHOAL_MUST_CHECK;
// Readable from when something may have become ready, or a second has passed, until it is armed again. Only to be
// polled.
int shoal_selector_fd(const struct shoal_selector *f);
// 0: nothing is ready, and the descriptor will tell, once. 1: a case is ready now, and it is not armed. Errors as
// shoal_select; -EINVAL, too: a descriptor, process or time, which are the loop's own, or SHOAL_SELECT_MAX cases.
// -EPERM: in a child of fork. -ETIMEDOUT, not armed: a newcomer, kept from its role for a second (SAFETY, above). The
// cases, their queues and events, and the calling thread, stay until it is armed anew or closed; one thread at a time.
int shoal_selector_arm(struct shoal_selector *f, struct shoal_case *cases, uint32_t n) SHOAL_MUST_CHECK;
// 0.
int shoal_selector_close(struct shoal_selector *f);

SHOAL_END

// For a queue of elements of type T, whose other calls SHOAL_QUEUE_TYPED(name, T) makes.
// clang-format off
#define SHOAL_SELECT_TYPED(name, T) \
  SHOAL_INLINE struct shoal_case name##_on_get(struct shoal_queue *q, T *element) { return shoal_on_queue_(SHOAL_CASE_GET, q, element, sizeof(T)); } \
  SHOAL_INLINE struct shoal_case name##_on_put(struct shoal_queue *q, const T *element) { return shoal_on_queue_(SHOAL_CASE_PUT, q, (void *)(uintptr_t)element, sizeof(T)); }
// For a topic of messages of type T, whose other calls SHOAL_TOPIC_TYPED(name, T) makes.
#define SHOAL_TOPIC_SELECT_TYPED(name, T) \
  SHOAL_INLINE struct shoal_case name##_on_get(struct shoal_topic *t, T *message) { return shoal_on_topic_(SHOAL_CASE_TOPIC_GET, t, message, sizeof(T)); } \
  SHOAL_INLINE struct shoal_case name##_on_publish(struct shoal_topic *t, const T *message) { return shoal_on_topic_(SHOAL_CASE_TOPIC_PUBLISH, t, (void *)(uintptr_t)message, sizeof(T)); }
// For a pipe of messages of type T, whose other calls SHOAL_PIPE_TYPED(name, T) makes.
#define SHOAL_PIPE_SELECT_TYPED(name, T) \
  SHOAL_INLINE struct shoal_case name##_on_recv(struct shoal_pipe *p, T *message) { return shoal_on_pipe_(SHOAL_CASE_GET, p->in, message, sizeof(T)); } \
  SHOAL_INLINE struct shoal_case name##_on_send(struct shoal_pipe *p, const T *message) { return shoal_on_pipe_(SHOAL_CASE_PUT, p->out, (void *)(uintptr_t)message, sizeof(T)); }
// clang-format on
