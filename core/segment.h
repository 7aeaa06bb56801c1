// core/segment.h: a shared-memory file that every process maps, at an address of its own.
//
// USE
//   struct shoal_segment *seg;
//   int rc = shoal_segment_create("words", NULL, &seg);          // or _open, or _open_or_create
//   ...objects by name: core/directory.h, ipc/queue/queue.h...
//   shoal_segment_close(seg);                                     // mine
//   shoal_segment_unlink("words");                                // the name
//
// The file is /dev/shm/shoal.NAME. It outlives its users, so the next start finds what the last one left, until
// somebody unlinks it or collects what nobody has open. A process maps it once, at its largest size: when it grows,
// nobody maps anew, and an address stays good until close.
//
// SAFETY   create, open, unlink, gc: any thread of any process, together. A segment is used by any number of threads,
//          and by children of fork or of a raw clone, which inherit it as it is. close: one thread, when no other of
//          its process uses it. at, off: also in a signal handler, if the segment has been used in this process before.
// ORDERING [S1] pairs with [S2] (core/segment.c): who sees the new size sees memory that is allocated.
// CRASH    create: a file without a name until it is whole; killed before, it never was. grow: memory is allocated,
//          then the size says so; killed between, the next to grow finds it allocated. unlink, gc: one system call.
//          Every lock on the file is the kernel's, and ends with its holder.
// HOSTILE  contents: every length and position used for a bound is this process's own, checked copy. A peer that may
//          write can make operations fail or wait; it cannot make them leave the segment. A peer that truncates the
//          file can still kill its users by SIGBUS: SHOAL_SEGMENT_HARDENED, or the file's mode, keeps it from that.
// COST     at: three compares. create: about thirty system calls; open: about twenty; tables of 1.6 MiB by default, and
//          an owner word for every 512 bytes.
#pragma once

#include <sys/types.h>

#include "core/error.h"
#include "core/offset.h"

SHOAL_BEGIN

struct shoal_segment;  // this process's view

enum shoal_segment_flags {
  SHOAL_SEGMENT_PREFAULT = 1,  // touch every page now
  SHOAL_SEGMENT_LOCKED = 2,    // mlock: never paged out
  SHOAL_SEGMENT_HUGE = 4,      // huge pages, copied together as it grows (Linux 6.1), or asked for; refused: small ones
  SHOAL_SEGMENT_HARDENED = 8,  // anonymous only: sealed against shrinking
};

struct shoal_segment_options {  // zero: the default
  uint64_t size;                // bytes for objects, to begin with (16 MiB)
  uint64_t size_max;            // bytes for objects that it may grow to: address space only (64 GiB)
  uint32_t participants;        // threads that may use it at a time (1,024)
  uint32_t objects;             // names it may hold (4,096)
  mode_t mode;                  // of the file (0600)
  unsigned flags;               // enum shoal_segment_flags
};

// `name`: 1..SHOAL_NAME_MAX of [A-Za-z0-9._-], not beginning with a dot; NULL: anonymous, for children of fork and for
// whom shoal_segment_fd() is passed to. -EEXIST, -EINVAL, -ENAMETOOLONG, -ENOSPC, -ENOMEM, -EACCES, -EMFILE, -ENOSYS.
int shoal_segment_create(const char *name, const struct shoal_segment_options *options,
                         struct shoal_segment **out) SHOAL_MUST_CHECK;
// Of the options only `flags` counts. Sleeps while a collector judges that file: no longer than that takes or the
// collector lives, but as long as it is stopped (SIGSTOP) there. -ENOENT, -EPROTO (and why: shoal_reason()), -EACCES,
// -ENOMEM; -EINVAL, -ENAMETOOLONG no such name can be; -EMFILE, -ENOSYS.
int shoal_segment_open(const char *name, const struct shoal_segment_options *options,
                       struct shoal_segment **out) SHOAL_MUST_CHECK;
// Opens it or, if there is none, creates it: the codes of both but -ENOENT and -EEXIST. Who comes at the same time has
// the same one. `name` NULL: as create.
int shoal_segment_open_or_create(const char *name, const struct shoal_segment_options *options,
                                 struct shoal_segment **out) SHOAL_MUST_CHECK;
// The segment of a file that is open: of another process's, handed over by fork or SCM_RIGHTS. `fd` stays the caller's.
// As open; -ENOENT: there is no such descriptor.
int shoal_segment_open_fd(int fd, struct shoal_segment **out) SHOAL_MUST_CHECK;
int shoal_segment_fd(const struct shoal_segment *seg);  // stays the segment's

// To look at what is in it: the mapping is this process's own copy, page by page from its first write on, so nothing
// that any call does through it reaches the segment, and nobody is held up: it is no user, takes no place of a
// participant or in the heap, and does not keep the name from gc. Every call works, in the copy; grow, and what needs
// to: -EPERM; the heap of a segment for 65,535 processes, all alive and using it: -EUSERS. What others change
// is seen until a call has written to that page: open it anew for a newer look. No call that may wait: who would wake
// it writes to the segment. A file that is truncated meanwhile is a SIGBUS. Reading is enough: -EACCES without that;
// else as open.
int shoal_segment_look(const char *name, struct shoal_segment **out) SHOAL_MUST_CHECK;

// Closes what this process has open in it, takes back what this thread joined, and unmaps. -EBUSY, and nothing changed:
// another thread of this process is a participant, or this thread owns a lock or a role in it (a queue it has used and
// not detached).
int shoal_segment_close(struct shoal_segment *seg);
// Removes the name; who has it open goes on. Sleeps as open does. -ENOENT; -EACCES; -EINVAL, -ENAMETOOLONG.
int shoal_segment_unlink(const char *name);
// Removes every segment that nobody has open, and what a killed creator left: also one that was closed and is kept
// under its name for the next start. The number removed, or why /dev/shm could not be read. Waits for nobody.
int shoal_segment_gc(void);
// The same of one name: 0. -ENOENT; -EBUSY somebody has it open; -EPROTO no segment, of whatever version; -EACCES.
int shoal_segment_collect(const char *name);

struct shoal_segment_file {
  char name[256];  // of any bytes: what follows "shoal." in the file's name
  int error;       // 0: it could be opened; or what open would answer, and why
  char reason[128];
  int ours;                    // 1: a segment, of this version or another
  int in_use;                  // 1: somebody has it open; -1: unknown, without the right to read it
  uint32_t uid, gid, mode;     // of the file
  uint64_t length, allocated;  // bytes, address space and memory
  int64_t born;                // seconds since 1970; where the kernel does not know, when it was last changed by a call
};
// Calls `each` for every name in /dev/shm that begins as segments do, whatever it is, until it answers other than 0,
// and answers that. Opens them to read, locks nothing, changes nothing. Or why /dev/shm could not be read.
int shoal_segment_list(int (*each)(const struct shoal_segment_file *, void *), void *arg);

// Makes it at least `size` bytes, for objects. Objects do so by themselves. -ENOSPC: beyond size_max or this process's
// RLIMIT_FSIZE (no SIGXFSZ comes), or /dev/shm is full, and nothing changed. -EPROTO: its header says a size that is
// none.
int shoal_segment_grow(struct shoal_segment *seg, uint64_t size);

// What is counted on slow paths only: uncontended operations count nothing. Of a thread in the segments where it is a
// participant (shoal_proc_self, or any use of a queue, joins); of the eight that it used last.
struct shoal_counters {
  uint64_t blocks;        // sleeps in the kernel
  uint64_t wakes, woken;  // calls of the kernel to wake; who was asleep of those
  uint64_t claims;        // roles and seats of the dead that were taken over, to undo what they had
  uint64_t owner_deaths;  // locks, of the library's own too, that were taken after their owner's death
  uint64_t skips;         // places in queues whose writer died; kind SPSC notes none
  uint64_t redeliveries;  // messages that came again, since their receiver died; kind SPSC notes none
  uint64_t reaps;         // dead participants whose slots were freed
};

struct shoal_segment_info {
  char name[SHOAL_NAME_MAX + 1];
  uint64_t size, size_max, used;  // bytes for objects: there, at most, and given to them
  uint32_t participants, participants_max, objects, objects_max;
  struct shoal_counters counters;  // since it was made, of all who ever used it
};
// 0. Looks at every slot and every name: exact when nobody else is at work.
int shoal_segment_info(struct shoal_segment *seg, struct shoal_segment_info *out);

// The address of `size` bytes at `off`, or NULL: not wholly inside. Never reads bounds from the segment.
void *shoal_segment_at(struct shoal_segment *seg, shoal_off off, uint64_t size);
// The offset of an address inside; 0 if it is not.
shoal_off shoal_segment_off(struct shoal_segment *seg, const void *address);

SHOAL_END
