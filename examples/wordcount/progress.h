// progress.h: how far it is: one line that stays on a terminal, a line a second elsewhere.
#pragma once

#include "core/deadline.h"
#include "examples/wordcount/job.h"

struct progress {
  int64_t began_ns;
  uint64_t bytes;  // of all text
  unsigned processes;
  int terminal;
  shoal_deadline next;
};

void progress_start(struct progress *p, uint64_t bytes, unsigned processes);
int progress_due(const struct progress *p);
void progress_show(struct progress *p, const struct figures *f, uint64_t queued);
void progress_end(struct progress *p);  // wipes the line
