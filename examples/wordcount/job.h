// job.h: what is counted and how, and what came out of it.
#pragma once

#include <signal.h>
#include <stdint.h>

#include "examples/wordcount/count.h"

struct job {  // what the command line says
  char **paths;
  uint64_t limit;  // bytes
  unsigned workers, producers;
  int chaos;
  const char *json;
};

struct figures {
  uint64_t units, files, skipped, bytes, lines;   // skipped: binary or unreadable files; bytes: of text
  uint64_t walk_ns, read_ns, count_ns, merge_ns;  // processor time in the application's stages
  uint64_t cpu_ns, wall_ns;                       // of all processes; what is not in the stages is shoal's cost
  uint64_t walked;                                // bytes of files, text or not
  uint64_t blocks_depth, results_depth, looks;    // sums over `looks` at the queues
  uint64_t kills, restarts, redelivered;          // redelivered: results that came twice and were dropped
};

extern volatile sig_atomic_t interrupted;

// Reads all files once, so that every run finds them in memory. Fills `walked` and `units`.
int warm_up(const struct job *job, struct figures *f);
// The same count by one process, without shoal; and by a walker, readers and workers joined by queues.
int count_alone(const struct job *job, struct counts *counts, struct figures *f);
int count_together(const struct job *job, const struct figures *expected, struct counts *counts, struct figures *f);

uint64_t process_cpu_ns(void);  // of this process and its children that have ended
