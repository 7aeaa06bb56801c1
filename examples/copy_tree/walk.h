// walk.h: what is in a directory.
#pragma once

#include <stdint.h>
#include <sys/stat.h>

// Calls `visit` for each entry of the open directory, in the order of their inodes, which is that in which they lie on
// a disk. `st` NULL: its state is not to be had, errno says why. 0, the first answer that is not 0, or -errno.
int walk_dir(int dir, int (*visit)(void *arg, const char *name, const struct stat *st), void *arg);
// The same, of names only and in no order.
int walk_names(int dir, int (*visit)(void *arg, const char *name), void *arg);

// How many files are below, and bytes in them, about.
void walk_count(const char *path, uint64_t *files, uint64_t *bytes);
