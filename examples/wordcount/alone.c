#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "core/deadline.h"
#include "examples/wordcount/job.h"
#include "examples/wordcount/read.h"

static uint64_t usage_ns(int who) {
  struct rusage u;
  getrusage(who, &u);
  return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 +
         (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

uint64_t process_cpu_ns(void) { return usage_ns(RUSAGE_SELF) + usage_ns(RUSAGE_CHILDREN); }

static int each_block(const struct job *job, struct counts *counts, struct figures *f) {
  struct walk *walk = walk_open(job->paths, job->limit);
  struct unit *unit = malloc(sizeof *unit);
  struct block *block = malloc(sizeof *block);
  int rc = walk && unit && block ? 0 : -1;
  uint64_t began = cpu_ns();
  while (rc == 0 && !interrupted && walk_next(walk, unit)) {
    f->walk_ns += cpu_ns() - began;
    read_unit(unit, block);
    f->files += block->files;
    f->skipped += block->skipped;
    f->bytes += block->bytes;
    f->read_ns += block->read_ns;
    began = cpu_ns();
    if (counts) {
      counts_add_text(counts, block->text, block->size);
      f->lines += count_lines(block->text, block->size);
      f->count_ns += cpu_ns() - began;
      began = cpu_ns();
    }
  }
  if (rc) perror("wordcount");
  if (walk) {
    f->walked = walk_bytes(walk);
    f->units = walk_units(walk);
    walk_close(walk);
  }
  free(block);
  free(unit);
  return rc;
}

int warm_up(const struct job *job, struct figures *f) { return each_block(job, NULL, f); }

int count_alone(const struct job *job, struct counts *counts, struct figures *f) {
  int64_t began = shoal_now_ns();
  uint64_t cpu = process_cpu_ns();
  int rc = each_block(job, counts, f);
  f->cpu_ns = process_cpu_ns() - cpu;
  f->wall_ns = (uint64_t)(shoal_now_ns() - began);
  return rc;
}
