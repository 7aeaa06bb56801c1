// ipc/data/array_file.h: an array that is a file, and is there when the next process opens it, after the next boot,
// too.
//
// USE
//   struct shoal_array a;
//   rc = shoal_array_file_open_or_create("/var/lib/me/counts", "int64_t", sizeof(int64_t), 1000, NULL, 0, &a);
//   ...all of ipc/data/array.h, among all processes that have the file open...
//   rc = shoal_array_sync(&a);                                      // on the disk, now
//   rc = shoal_array_file_close(&a);                                // mine; the file is removed as any other
//
//   one page: magic, format, length, whose locks these are | what stands in a segment for an array
//
// SAFETY   create, open: any process, together. sync: any thread. close: one thread, when no other of its process uses
//          the view. All of one machine and one pid namespace at a time. A child of fork inherits the view.
// ORDERING that of ipc/data/array.h.
// CRASH    create: a file without a name until it is whole and on the disk. A user dies: as of an array; what it wrote
//          is the kernel's, and kept. The machine dies: kept is what was synced; what was written later may be there or
//          not, page by page. Whoever had the lock then is dead to the first who opens it: what a block left is told, a
//          set that was under way is undone by what the disk has of what it overwrote. If that page and the head's are
//          of two moments, an element gets what another had, and nobody is told.
// HOSTILE  contents: as of an array. Who may truncate the file can kill its users by SIGBUS: its mode keeps others from
//          that.
// COST     open: about ten system calls; then that of an array. sync: what the disk takes.
#pragma once

#include <sys/types.h>

#include "ipc/data/array.h"

SHOAL_BEGIN

// `mode` 0: 0600. A given lock is refused, for it would not be in the file. -EEXIST; -ENOENT no such folder; -ENOSPC,
// -EACCES, -EINVAL, and others of open(2). On a file system that has no O_TMPFILE, a maker that is killed leaves
// PATH.XXXXXX.
int shoal_array_file_create(const char *path, const char *type, uint64_t size, uint64_t count,
                            const struct shoal_array_options *options, mode_t mode,
                            struct shoal_array *out) SHOAL_MUST_CHECK;
// `count` 0: as many as there are. -ENOENT; -EBADMSG of another type, size or count; -EPROTO no such file, a damaged
// one, or one in use in another pid namespace. Sleeps while somebody else, alive, is opening it.
int shoal_array_file_open(const char *path, const char *type, uint64_t size, uint64_t count,
                          struct shoal_array *out) SHOAL_MUST_CHECK;
int shoal_array_file_open_or_create(const char *path, const char *type, uint64_t size, uint64_t count,
                                    const struct shoal_array_options *options, mode_t mode,
                                    struct shoal_array *out) SHOAL_MUST_CHECK;
// Returns when all that was written before is on the disk. -EINVAL: no file; -EIO.
int shoal_array_sync(const struct shoal_array *a) SHOAL_MUST_CHECK;
// -EBUSY: the calling thread holds its lock. -EINVAL: not open, or no file.
int shoal_array_file_close(struct shoal_array *a);

SHOAL_END
