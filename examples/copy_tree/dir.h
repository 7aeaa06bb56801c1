// dir.h: a directory of the tree, known to all processes by the offset of a struct in the segment: what it is called,
// and the one that it lies in. So neither a path nor a descriptor is handed around, and a tree may be as deep as it
// likes.
#pragma once

#include <stdint.h>
#include <sys/stat.h>

#include "core/heap.h"

struct dir {         // the walker writes it once; 0 stands for the root, which has none
  shoal_off parent;  // 0: the root
  int64_t times[4];  // atime, mtime: seconds and nanoseconds
  uint32_t length;   // of the name
  char name[];
};

enum { SOURCE, COPY, SIDES };

struct trees {  // a process's own view of both trees: the directory that it is in
  struct shoal_segment *seg;
  int root[SIDES], fd[SIDES];  // a root of -1 is not looked at
  shoal_off at;
};

struct trees trees_at_root(struct shoal_segment *seg, int from, int to);
int trees_go(struct trees *t, shoal_off dir);  // 0, -errno: then it stays where it was
void trees_leave(struct trees *t);             // back to the roots
// The path below the root, to be freed; "" is the root's own. NULL: no memory.
char *trees_path(struct trees *t, shoal_off dir);

int dir_add(struct shoal_heap *heap, struct shoal_segment *seg, shoal_off parent, const char *name,
            const struct stat *st, shoal_off *out);
const struct dir *dir_at(struct shoal_segment *seg, shoal_off dir);  // NULL: nothing is there

// openat() that leaves the source's times of access as they are, if it may. -1 and errno.
int open_unseen(int dir, const char *name, int flags);
