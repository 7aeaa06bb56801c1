// ipc/queue/packed.h: values of no fixed type through a queue of byte messages, or a pipe, one line to put and one to
// get.
//
// USE
//   rc = shoal_queue_put_packed(q, SHOAL_FOREVER, "[i n s]", 42, "hello");    // Python's [42, None, "hello"]
//
//   struct shoal_packed m = {0};                                               // used again by the next get
//   int i;
//   const char *s;
//   size_t length;
//   rc = shoal_queue_get_packed(q, SHOAL_FOREVER, &m, "[i n s]", &i, &s, &length);    // s: in m
//   rc = shoal_queue_get_packed(q, SHOAL_FOREVER, &m, "x");                    // any; then shoal_packed_print, shoal_reader
//   rc = shoal_pipe_send_packed(p, SHOAL_FOREVER, "{s:i}", "answer", 42);      // through a pipe
//   rc = shoal_pipe_recv_packed(p, SHOAL_FOREVER, &m, "{s:i}", "answer", &i);
//   shoal_packed_free(&m);
//
// The formats are those of ipc/data/codec.h. A target of its own, //ipc/queue:packed.
//
// SAFETY, ORDERING, CRASH  those of ipc/queue/message.h: killed before a put returns, the message is in the queue or
//                          never was; killed before a get returns, another receives it, or (at the very end, when it
//                          has been released) it is gone with its process.
// COST     put: packed where it will be read, never copied. get: a copy into m.
#pragma once

#include "ipc/data/codec.h"
#include "ipc/queue/message.h"
#include "ipc/queue/pipe.h"

SHOAL_BEGIN

// The codes of shoal_queue_send and of shoal_pack; nothing is sent then. DROP_NEWEST: -EAGAIN. Kind PRIORITY: with key
// 0. FIFO, LIFO, PRIORITY: -ETIMEDOUT, whatever the deadline, where somebody was stopped inside meanwhile
// (ipc/queue/queue.h, KINDS).
int shoal_queue_put_packed(struct shoal_queue *q, shoal_deadline deadline, const char *format, ...) SHOAL_MUST_CHECK;
// The same of kind PRIORITY: the smallest key is received first, equals in the order of their puts. -EINVAL: another
// kind.
int shoal_queue_put_packed_key(struct shoal_queue *q, int64_t key, shoal_deadline deadline, const char *format,
                               ...) SHOAL_MUST_CHECK;
// The codes of shoal_queue_receive and of shoal_unpack, -EBADMSG: no queue of byte messages. A message that does not
// fit the format, or is damaged, is the next to be received again: by another format, or by shoal_queue_recv. Nothing
// is stored then; m is the message that came. Joinable: what was got is in hand until shoal_queue_task_done, as it is
// with recv. FIFO, LIFO, PRIORITY under a lease: -ETIMEDOUT, as a get there (ipc/queue/queue.h, KINDS).
int shoal_queue_get_packed(struct shoal_queue *q, shoal_deadline deadline, struct shoal_packed *m, const char *format,
                           ...) SHOAL_MUST_CHECK;
// The same of kind PRIORITY, and *key is what it was put with. -EINVAL: another kind.
int shoal_queue_get_packed_key(struct shoal_queue *q, int64_t *key, shoal_deadline deadline, struct shoal_packed *m,
                               const char *format, ...) SHOAL_MUST_CHECK;

// The same through a pipe of byte messages, with the codes of shoal_pipe_reserve, _receive too. -EPERM: not a direction
// of this end.
int shoal_pipe_send_packed(struct shoal_pipe *p, shoal_deadline deadline, const char *format, ...) SHOAL_MUST_CHECK;
int shoal_pipe_recv_packed(struct shoal_pipe *p, shoal_deadline deadline, struct shoal_packed *m, const char *format,
                           ...) SHOAL_MUST_CHECK;

SHOAL_END
