// copy.h: the walker's side of a copy. copy.c goes through the tree; large.c cuts large files; after.c does what comes
// when all contents are there: further names of files, what directories keep, and --verify.
#pragma once

#include "examples/copy_tree/crew.h"
#include "examples/copy_tree/dir.h"
#include "examples/copy_tree/entry.h"
#include "examples/copy_tree/links.h"
#include "examples/copy_tree/progress.h"

struct large {  // a file that is copied, or compared, in ranges
  shoal_off dir;
  struct stat st;
  char *name;
  int64_t sent;   // bytes of it that the workers have been given
  uint64_t left;  // ranges without a result
  int failed, verifying;
};

struct copy {
  const struct job *job;
  struct figures *f;
  struct shoal_segment *seg;
  struct shoal_heap *heap;
  struct crew crew;
  struct trees walk;   // where the walk is
  struct trees other;  // and where something else is done meanwhile
  shoal_off *dirs;     // all, parents before children; the root is none of them. 0: lost
  size_t dir_count, dir_room;
  struct large *larges;
  size_t large_count, large_room;
  uint32_t open[WORKERS_MAX];  // of those that are copied, which have not been sent whole
  unsigned open_count;
  struct links links;
  struct unit draft;  // what is gathered for the workers
  struct hand hand;   // of the walk's directory
  int verifying;
  struct progress progress;
};

// Says so, in one line, and counts it. `name` NULL: the directory itself.
void complain(struct copy *c, shoal_off dir, const char *name, enum step step, int code);
struct hand hand_in(struct copy *c, const struct trees *t, struct tally *tally);

// Two workers that write to one file wait for its lock. So ranges of as many files as there are workers take turns, and
// of fewer with entries.
int large_turn(struct copy *c);  // one of each
int large_end(struct copy *c);   // all that are left
int large_begin(struct copy *c, const char *name, const struct stat *st);
int large_verify(struct copy *c, const char *name, const struct stat *st);
int large_result(struct copy *c, const struct result *r);
void large_free(struct copy *c);

void make_links(struct copy *c);
void finish_dirs(struct copy *c);
int verify_all(struct copy *c);

int add_entry(struct copy *c, enum work work, char type, const char *name, int64_t size);
int flush(struct copy *c);  // what is gathered goes to the workers
