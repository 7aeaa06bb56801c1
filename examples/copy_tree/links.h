// links.h: files with more than one name. The first that is met is copied; when all are, the others are linked to it.
#pragma once

#include <stddef.h>
#include <sys/stat.h>

#include "core/offset.h"

struct first {  // name of a file
  dev_t device;
  ino_t inode;
  struct stat st;
  shoal_off dir;
  char name[];
};
struct later {
  const struct first *first;
  shoal_off dir;
  char *name;
};
struct links {
  void *firsts;  // a tree, tsearch(3)
  struct later *later;
  size_t count, room;
};

// 1: it has been met, and this name is noted; 0 it is the first; -ENOMEM.
int links_meet(struct links *l, shoal_off dir, const char *name, const struct stat *st);
void links_free(struct links *l);
