// report.h: the figures, for people and for programs.
#pragma once

#include "examples/wordcount/job.h"

struct report {
  const struct job *job;
  const struct counts *counts;
  const struct figures *together, *alone;
  int exact;
};

void report_print(const struct report *r);
int report_json(const struct report *r, const char *file);  // 0, or -1 and errno
