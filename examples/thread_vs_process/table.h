// table.h: what was measured, as a table and as a plot.
#pragma once

#include <stdio.h>

enum { SEQUENTIAL, THREADS, PROCESSES, WAYS };
enum { EMPTY, PROCESSOR, FILES, NETWORK, WORKLOADS };
#define COUNTS 4  // 1, 2, 4, 8 workers

struct table {
  double seconds[WORKLOADS][COUNTS][WAYS];
};
extern const char *const workload_names[WORKLOADS], *const way_names[WAYS];

void table_print(const struct table *t, FILE *out);
int table_plot(const struct table *t, const char *file);  // SVG; 0, -1 and errno
