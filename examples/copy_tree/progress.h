// progress.h: how far it is: a bar that stays in its line on a terminal, a line a second elsewhere.
#pragma once

#include "core/deadline.h"
#include "examples/copy_tree/job.h"

struct progress {
  const char *what;
  int64_t began_ns;
  const struct tally *done;
  uint64_t files, bytes;  // in all; 0: not known
  int quiet, terminal, shown;
  shoal_deadline next;
};

void progress_start(struct progress *p, const char *what, const struct tally *done, const struct job *job,
                    const struct figures *f);
void progress_show(struct progress *p);  // if it is time
void progress_wipe(struct progress *p);  // before another line, and at the end
int progress_on_terminal(void);
