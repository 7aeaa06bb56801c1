#include "examples/wordcount/report.h"

#include <stdio.h>

#define TOP 20

static double mega_a_second(uint64_t bytes, uint64_t ns) { return ns ? (double)bytes * 1e3 / (double)ns : 0; }
static double mean(uint64_t sum, uint64_t n) { return n ? (double)sum / (double)n : 0; }
static uint64_t stages_ns(const struct figures *f) { return f->walk_ns + f->read_ns + f->count_ns + f->merge_ns; }
static double speed_up(const struct report *r) { return (double)r->alone->wall_ns / (double)r->together->wall_ns; }

// Per cent of all processor time that went to anything but the application's own work.
static double cost(const struct figures *f) {
  return f->cpu_ns ? 100.0 * ((double)f->cpu_ns - (double)stages_ns(f)) / (double)f->cpu_ns : 0;
}

static void print_stage(const char *name, uint64_t ns, uint64_t bytes) {
  printf("  %-6s %8.3f s  %8.0f MB/s\n", name, (double)ns / 1e9, mega_a_second(bytes, ns));
}

void report_print(const struct report *r) {
  const struct figures *t = r->together, *a = r->alone;
  struct ranked top[TOP];
  size_t n = counts_top(r->counts, top, TOP);
  for (size_t i = 0; i < n; i++) printf("%10llu  %s\n", (unsigned long long)top[i].count, top[i].word);
  printf("%llu words, %llu different; %llu lines, %.1f MB in %llu files; %llu binary or unreadable\n",
         (unsigned long long)counts_words(r->counts), (unsigned long long)counts_unique(r->counts),
         (unsigned long long)t->lines, (double)t->bytes / 1e6, (unsigned long long)t->files,
         (unsigned long long)t->skipped);
  printf("%.3f s, %.0f MB/s: %u readers, %u workers, %llu units\n", (double)t->wall_ns / 1e9,
         mega_a_second(t->bytes, t->wall_ns), r->job->producers, r->job->workers, (unsigned long long)t->units);
  printf("processor time by stage:\n");
  print_stage("walk", t->walk_ns, t->walked);
  print_stage("read", t->read_ns, t->bytes);
  print_stage("count", t->count_ns, t->bytes);
  print_stage("merge", t->merge_ns, t->bytes);
  printf("  mean depth of queues: blocks %.1f, results %.1f\n", mean(t->blocks_depth, t->looks),
         mean(t->results_depth, t->looks));
  printf("shoal's own cost: %.1f %% of %.3f s%s\n", cost(t), (double)t->cpu_ns / 1e9,
         r->job->chaos ? ", and what the killed had begun" : "");
  if (r->job->chaos)
    printf("kills: %llu, restarts: %llu, results that came twice: %llu\n", (unsigned long long)t->kills,
           (unsigned long long)t->restarts, (unsigned long long)t->redelivered);
  printf("one process: %.3f s, %.0f MB/s; speed-up %.2f\n", (double)a->wall_ns / 1e9,
         mega_a_second(a->bytes, a->wall_ns), speed_up(r));
  printf("exact: %s\n", r->exact ? "yes" : "no");
}

static void json_number(FILE *out, const char *name, double value, int last) {
  fprintf(out, "  \"%s\": %.15g%s\n", name, value, last ? "" : ",");
}

int report_json(const struct report *r, const char *file) {
  const struct figures *t = r->together, *a = r->alone;
  const struct {
    const char *name;
    double value;
  } fields[] = {
      {"workers", r->job->workers},
      {"producers", r->job->producers},
      {"units", (double)t->units},
      {"files", (double)t->files},
      {"skipped", (double)t->skipped},
      {"bytes", (double)t->bytes},
      {"lines", (double)t->lines},
      {"words", (double)counts_words(r->counts)},
      {"unique", (double)counts_unique(r->counts)},
      {"seconds", (double)t->wall_ns / 1e9},
      {"megabytes_per_second", mega_a_second(t->bytes, t->wall_ns)},
      {"walk_seconds", (double)t->walk_ns / 1e9},
      {"read_seconds", (double)t->read_ns / 1e9},
      {"count_seconds", (double)t->count_ns / 1e9},
      {"merge_seconds", (double)t->merge_ns / 1e9},
      {"cpu_seconds", (double)t->cpu_ns / 1e9},
      {"blocks_depth", mean(t->blocks_depth, t->looks)},
      {"results_depth", mean(t->results_depth, t->looks)},
      {"shoal_cost_percent", cost(t)},
      {"kills", (double)t->kills},
      {"restarts", (double)t->restarts},
      {"redelivered", (double)t->redelivered},
      {"alone_seconds", (double)a->wall_ns / 1e9},
      {"speed_up", speed_up(r)},
  };
  struct ranked top[TOP];
  size_t n = counts_top(r->counts, top, TOP);
  FILE *out = fopen(file, "w");
  if (!out) return -1;
  fprintf(out, "{\n");
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) json_number(out, fields[i].name, fields[i].value, 0);
  fprintf(out, "  \"top\": {");
  for (size_t i = 0; i < n; i++)
    fprintf(out, "%s\"%s\": %llu", i ? ", " : "", top[i].word, (unsigned long long)top[i].count);
  fprintf(out, "},\n  \"exact\": %s\n}\n", r->exact ? "true" : "false");
  return fclose(out) ? -1 : 0;
}
