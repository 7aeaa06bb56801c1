// meta.h: what is kept beside the contents: owner, extended attributes with access control lists, mode, times.
#pragma once

#include <sys/stat.h>

struct spot {  // a file: open, or what has this name in that directory
  int fd;      // -1: by name
  int dir;
  const char *name;
};

enum step {  // what failed, or differs
  STEP_NONE,
  STEP_OPEN,
  STEP_MAKE,
  STEP_COPY,
  STEP_OWNER,
  STEP_XATTR,
  STEP_MODE,
  STEP_TIMES,
  STEP_NAME,
  STEP_LINK,
  STEP_CHANGED,
  STEP_DEADLY,
  DIFFERS_TYPE,
  DIFFERS_SIZE,
  DIFFERS_CONTENTS,
  DIFFERS_TARGET,
  DIFFERS_DEVICE,
  DIFFERS_OWNER,
  DIFFERS_MODE,
  DIFFERS_TIME,
  DIFFERS_XATTR,
  DIFFERS_LINK,
};
const char *step_text(enum step step);

// Gives `to`, as it stands in *have, all that `from` has by *st, but not the times, which go last: meta_times.
// `inherits`: it may have an access control list from its directory. `root`: owners must be kept; else they are if
// that is allowed. 0, or -1, *step and errno.
int meta_copy(struct spot from, struct spot to, const struct stat *st, const struct stat *have, int inherits, int root,
              enum step *step);
int meta_times(struct spot to, const struct timespec *times, enum step *step);
// STEP_NONE: the same; else what is not. -errno.
int meta_same(struct spot from, struct spot to, const struct stat *st, const struct stat *have, int root);
int meta_inherits(int dir);  // whether what is made in it gets an access control list
void meta_forget_inherited(int fd);
