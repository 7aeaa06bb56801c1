// job.h: what is copied and how, and what came of it.
#pragma once

#include <signal.h>
#include <stdint.h>
#include <sys/stat.h>

#define WORKERS_MAX 48

struct job {  // what the command line says
  const char *source, *dest;
  unsigned workers;
  int verify, resume, quiet, chaos;
  const char *json;
  int from, to;          // the two roots, open
  struct stat top;       // of the source's
  struct stat copy_top;  // of the copy's
  int root;              // owners are kept
  uint64_t run;          // random: of the names of what is not whole yet
};

struct tally {                                // of what is no directory
  uint64_t files, symlinks, specials;         // copied; specials: fifos, devices, sockets
  uint64_t skipped, verified, bytes, failed;  // skipped: there already; bytes: of what these files hold
};

struct figures {
  struct tally copied, checked;
  uint64_t directories, links;    // links: names beside the first of a file
  uint64_t all_files, all_bytes;  // that a first look found; 0: there was none
  uint64_t failed, differing;     // lines on stderr of the copy, and of --verify
  uint64_t kills, restarts, redelivered;
  int64_t copy_ns, verify_ns;
};

extern volatile sig_atomic_t interrupted;

// Copies, and verifies if the job says so. 0, and figures that tell of errors; <0 it had to be given up: why is said.
int copy_all(const struct job *job, struct figures *f);
int report_json(const struct job *job, const struct figures *f);
void report_print(const struct job *job, const struct figures *f);
