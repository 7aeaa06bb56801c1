// data.h: what is in a file, from one descriptor to another.
#pragma once

#include <stdint.h>
#include <sys/stat.h>

// All that is in `from`, whose state is *st, into the empty file `to`; holes stay holes. Where the file system shares
// blocks, they are shared. How many bytes, or -errno; -ENODATA: it has shrunk meanwhile.
int64_t data_copy(int from, int to, const struct stat *st);
// Bytes at..end, into a file that is as long already.
int64_t data_copy_range(int from, int to, const struct stat *st, int64_t at, int64_t end);
int data_clone(int from, int to, dev_t device);  // 1 all blocks are shared; 0 it cannot be
// Whether bytes at..end are the same: 1, 0, -errno.
int data_same(int from, int to, int64_t at, int64_t end);
