#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>

static __thread struct shoal_kept_reason_ last;

const char *shoal_reason(void) { return last.text; }
void shoal_reason_clear(void) { last.text[0] = 0; }

void shoal_reason_keep_(struct shoal_kept_reason_ *kept) { *kept = last; }
void shoal_reason_restore_(const struct shoal_kept_reason_ *kept) { last = *kept; }

void shoal_note_(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(last.text, sizeof last.text, format, args);
  va_end(args);
}

const char *shoal_strerror(int code) {
  switch (code < 0 ? -code : code) {
    case 0: return "success";
    case EAGAIN: return "full, empty, held by another or not over yet: try again";
    case ETIMEDOUT: return "the deadline passed";
    case EPIPE: return "closed, or the last peer has gone";
    case EOWNERDEAD: return "acquired from a dead owner: check what it guards";
    case ENOTRECOVERABLE: return "given up, for good, after a death or a failure";
    case EPERM: return "not permitted to this caller";
    case EINVAL: return "invalid argument";
    case ENAMETOOLONG: return "name too long";
    case EBADMSG: return "object of another type, size or count";
    case EEXIST: return "the name is taken";
    case ENOENT: return "no such name";
    case EPROTO: return "foreign, damaged or incompatible segment";
    case ENOSPC: return "no space left in the segment or in shared memory";
    case ENOMEM: return "out of address space or private memory";
    case EUSERS: return "too many participants";
    case EBUSY: return "in use";
    case EDEADLK: return "would wait for itself";
    case EOVERFLOW: return "outside the segment, or above a bound";
    case ENOSYS: return "not supported by this kernel or C library";
    case ECHILD: return "not a child of this process";
    case EMSGSIZE: return "message too large";
    case ENOTSUP: return "not supported for one of this kind, or for threads";
    case ERANGE: return "index beyond the end";
    case EREMOTEIO: return "the task failed";
    case ECANCELED: return "the task was cancelled";
    case EALREADY: return "it is over already";
    case EACCES: return "permission denied";
    case EIO: return "reading or writing failed";
    case EINTR: return "interrupted";
    case ELOOP: return "it would be inside itself";
    case EMLINK: return "too many lead to it";
    case EMFILE: return "no file descriptor is left to this process";
    case ENFILE: return "no file descriptor is left to this machine";
    default: return "system error";
  }
}
