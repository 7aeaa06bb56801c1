// entry.h: one entry of a directory, copied or compared by one process.
#pragma once

#include "examples/copy_tree/unit.h"

struct hand {  // of who copies: where it is, and what came of the last entry
  const struct job *job;
  int from, to;   // the directories
  int inherits;   // what is made in `to` gets an access control list from it
  uint64_t unit;  // and which entry: of its temporary name
  unsigned entry;
  struct stat made;  // of what is made in `to`, once a first has been: st_nlink is not 0
  struct tally *tally;
  enum step step;
  int code;
};

// 0, or -1: step and code say what failed, or differs.
int entry_copy(struct hand *h, char type, const char *name);
int entry_verify(struct hand *h, char type, const char *name);
// A range of a large file, into its part.
int range_copy(struct hand *h, const char *name, int64_t from, int64_t to);
int range_verify(struct hand *h, const char *name, int64_t from, int64_t to);

// ---- for the walker ----
// Whether the file is there already, as *st says: type, size and time (a symbolic link: target); and so on.
int entry_there(struct hand *h, const char *name, const struct stat *st);
// All of a large file is in its part: gives it what is left to give, and its name.
int part_finish(struct hand *h, const char *name, const struct stat *st);
int entry_link(struct hand *h, int first_dir, const char *first, const char *name);
int hand_failed(struct hand *h, enum step step, int code);  // -1
