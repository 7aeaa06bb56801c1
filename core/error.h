// core/error.h: what failed, and why.
//
// USE
//   #include "core/segment.h"
//   struct shoal_segment *seg;
//   int rc = shoal_segment_open("words", NULL, &seg);
//   if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
//
// Every call answers 0 or a negative errno. The reason of the last failure of this thread stays until the next that
// notes one. Answers rather than failures come without, and leave it alone, so that it is not theirs: -EAGAIN,
// -ETIMEDOUT and -EPIPE of a wait, -EUSERS of a barrier's or condition's; -ENOENT of what reads a dict or a namespace,
// or is through; -EMSGSIZE of a message, whose size is told; -EBUSY of a side that has its one loan.
//
// THE CODES
//   -EAGAIN          full, empty, held by another or not over yet       -ETIMEDOUT  the deadline passed
//   -EPIPE           closed, or the last peer has gone                  -EOWNERDEAD yours, but look at what it guards
//   -ENOTRECOVERABLE the guarded data was given up, the pool is broken  -EPERM      not yours to do
//   -EINVAL          an argument makes no sense                         -ENAMETOOLONG, -EBADMSG wrong name; wrong type
//   -EEXIST, -ENOENT the name is taken; there is no such name           -EPROTO     foreign, damaged or another version
//   -ENOSPC          the segment or /dev/shm is full                    -ENOMEM     no address space or private memory
//   -EUSERS          too many participants or roles                     -EBUSY      in use, so not now
//   -EDEADLK         it would wait for itself                           -EOVERFLOW  outside the segment, above a bound
//   -ENOSYS          this kernel or C library cannot                    -ECHILD     a process of another parent
//   -EMSGSIZE        the message is larger than what it is to go into   -ERANGE     an index beyond the end
//   -ENOTSUP         not for one of this kind, or not for threads       -EALREADY   it is over already
//   -EACCES          the rights of a file or a segment forbid it        -EIO        reading or writing a file failed
//   -EREMOTEIO       the task failed, not the call: its record says how  -ECANCELED  the task was cancelled
//   -ELOOP, -EMLINK  it would be inside itself; too many lead to it     -EMFILE, -ENFILE no file descriptor is left
//   -EINTR           a signal came where a file system lets it interrupt
#pragma once

#include "core/base.h"

SHOAL_BEGIN

// What a code means: a sentence, static, never NULL. Accepts the code with either sign.
const char *shoal_strerror(int code);

// Why the last call of this thread that noted a reason failed: one line, "" if none has. Valid until the next that
// does.
const char *shoal_reason(void);
void shoal_reason_clear(void);  // "" from here on

// Notes the reason and answers `code`: `return shoal_fail_(-EINVAL, "capacity %zu", n);`. A macro, so that compilers
// and analyzers see that the answer is not 0.
#define shoal_fail_(code, ...) \
  __extension__({              \
    int code_ = (code);        \
    shoal_note_(__VA_ARGS__);  \
    code_;                     \
  })
void shoal_note_(const char *format, ...) SHOAL_PRINTF(1, 2);

// For who has failed, and calls what may fail in turn before it answers.
struct shoal_kept_reason_ {
  char text[192];
};
void shoal_reason_keep_(struct shoal_kept_reason_ *kept);
void shoal_reason_restore_(const struct shoal_kept_reason_ *kept);

SHOAL_END
