// ipc/data/text.h: a string in shared memory that is never read torn, and never waited for.
//
// USE
//   struct shoal_text t;
//   rc = shoal_text_create(seg, "status", 200, "starting", &t);     // or _open, _open_or_create; NULL: no name, for my children
//   rc = shoal_text_set(&t, bytes, size, SHOAL_FOREVER);
//   rc = shoal_text_append(&t, bytes, size, SHOAL_FOREVER);
//   rc = shoal_text_printf(&t, SHOAL_FOREVER, "%u of %u", i, n);
//   char buffer[201];
//   rc = shoal_text_get(&t, buffer, sizeof buffer, &length);         // any reader: the whole string of one moment
//   rc = shoal_text_update(&t, upper, NULL, SHOAL_FOREVER);          // int upper(char *bytes, uint64_t *length, ...)
//   rc = shoal_text_close(seg, &t);
//
// A seqlock (sync/seqlock.h) whose value is a length and the bytes; any bytes, NUL among them. Under a lock instead, of
// its own or a given one, in place and torn when its holder dies: an array of char (ipc/data/array.h).
//
// SAFETY   get: any thread, in signal handlers, too. The others: any thread. close: alone.
// ORDERING [S1]..[S4] of sync/seqlock.h.
// CRASH    a writer dies, at any instruction: the string is the old one or the new one, whole. Nobody is told.
// HOSTILE  contents: lengths are bounded by the capacity that this process checked when it opened it.
// COST     get: the bytes that are there, copied once; again for each two strings that were published meanwhile. A
//          change: what a lock costs, and up to three copies of the capacity.
#pragma once

#include "sync/seqlock.h"

SHOAL_BEGIN

#define SHOAL_TEXT_MAX (UINT64_C(1) << 20)  // bytes of a string, at most

struct shoal_text {  // this process's view
  struct shoal_seqlock *lock;
  uint64_t capacity;  // bytes
};

// `capacity`: 1..SHOAL_TEXT_MAX bytes. `first`: ends with NUL; NULL: "". -EINVAL, -EMSGSIZE, and the codes of
// shoal_object_create.
int shoal_text_create(struct shoal_segment *seg, const char *name, uint64_t capacity, const char *first,
                      struct shoal_text *out) SHOAL_MUST_CHECK;
// `capacity` 0: whatever it is. -ENOENT; -EBADMSG no text, or of another capacity; -EPROTO damaged.
int shoal_text_open(struct shoal_segment *seg, const char *name, uint64_t capacity,
                    struct shoal_text *out) SHOAL_MUST_CHECK;
int shoal_text_open_or_create(struct shoal_segment *seg, const char *name, uint64_t capacity, const char *first,
                              struct shoal_text *out) SHOAL_MUST_CHECK;
int shoal_text_close(struct shoal_segment *seg, struct shoal_text *t);  // -EINVAL not open; -EBUSY
int shoal_text_unlink(struct shoal_segment *seg, const char *name);     // -ENOENT, -EBADMSG
// Placed, in memory aligned to 64; a process that has another view of it attaches.
uint64_t shoal_text_bytes(uint64_t capacity);  // 0: none of that capacity
int shoal_text_init(void *memory, uint64_t capacity, const char *first, struct shoal_text *out) SHOAL_MUST_CHECK;
int shoal_text_attach(void *memory, uint64_t bytes, uint64_t capacity, struct shoal_text *out) SHOAL_MUST_CHECK;

// The string and a NUL, and how long it is (`length`, if not NULL). -EMSGSIZE: `size` is too small, *length says for
// what, and `out` is "". -EINVAL: no room for a NUL; it was destroyed. Never sleeps.
int shoal_text_get(const struct shoal_text *t, char *out, uint64_t size, uint64_t *length) SHOAL_MUST_CHECK;
uint64_t shoal_text_length(const struct shoal_text *t);  // 0, too, if it was destroyed
// -EMSGSIZE: more than the capacity, and nothing changed. -EINVAL, -EDEADLK; -EAGAIN (SHOAL_TRY), -ETIMEDOUT. May
// sleep, for writers only.
int shoal_text_set(const struct shoal_text *t, const void *bytes, uint64_t n, shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_text_append(const struct shoal_text *t, const void *bytes, uint64_t n,
                      shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_text_printf(const struct shoal_text *t, shoal_deadline deadline, const char *format, ...)
    SHOAL_PRINTF(3, 4) SHOAL_MUST_CHECK;
// `change` has the string in its hands, and room for `capacity` bytes; it sets *length. If it answers other than 0, or
// dies, nothing changed; its answer is the call's. It begins nothing with this text itself.
int shoal_text_update(const struct shoal_text *t,
                      int (*change)(char *bytes, uint64_t *length, uint64_t capacity, void *arg), void *arg,
                      shoal_deadline deadline) SHOAL_MUST_CHECK;

struct shoal_text_info {
  uint64_t capacity, length;
  uint64_t version;  // how many strings it has been
  uint32_t writer;   // tid of who changes it; 0: nobody
};
int shoal_text_info(const struct shoal_text *t, struct shoal_text_info *out);

SHOAL_END
