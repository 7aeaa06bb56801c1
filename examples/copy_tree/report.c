#include <stdio.h>

#include "examples/copy_tree/job.h"

static double seconds(int64_t ns) { return (double)ns / 1e9; }
static double rate(uint64_t bytes, int64_t ns) { return ns ? (double)bytes * 1e3 / (double)ns : 0; }

void report_print(const struct job *job, const struct figures *f) {
  const struct tally *t = &f->copied;
  printf("%llu files, %llu links, %llu symbolic links, %llu others, %llu directories; %llu were there\n",
         (unsigned long long)t->files, (unsigned long long)f->links, (unsigned long long)t->symlinks,
         (unsigned long long)t->specials, (unsigned long long)f->directories, (unsigned long long)t->skipped);
  printf("%.1f MB in %.3f s, %.1f MB/s; %llu failed\n", (double)t->bytes / 1e6, seconds(f->copy_ns),
         rate(t->bytes, f->copy_ns), (unsigned long long)f->failed);
  if (job->verify)
    printf("verified: %llu the same, %llu not, in %.3f s\n", (unsigned long long)f->checked.verified,
           (unsigned long long)f->differing, seconds(f->verify_ns));
  if (job->chaos)
    printf("kills: %llu, restarts: %llu, results that came twice: %llu\n", (unsigned long long)f->kills,
           (unsigned long long)f->restarts, (unsigned long long)f->redelivered);
}

int report_json(const struct job *job, const struct figures *f) {
  const struct tally *t = &f->copied;
  const struct {
    const char *name;
    double value;
  } fields[] = {
      {"workers", job->workers},
      {"files", (double)t->files},
      {"links", (double)f->links},
      {"symlinks", (double)t->symlinks},
      {"specials", (double)t->specials},
      {"directories", (double)f->directories},
      {"skipped", (double)t->skipped},
      {"bytes", (double)t->bytes},
      {"failed", (double)f->failed},
      {"seconds", seconds(f->copy_ns)},
      {"megabytes_per_second", rate(t->bytes, f->copy_ns)},
      {"verified", (double)f->checked.verified},
      {"differing", (double)f->differing},
      {"verify_seconds", seconds(f->verify_ns)},
      {"kills", (double)f->kills},
      {"restarts", (double)f->restarts},
      {"redelivered", (double)f->redelivered},
  };
  const size_t n = sizeof fields / sizeof *fields;
  FILE *out = fopen(job->json, "w");
  if (!out) return -1;
  fprintf(out, "{\n");
  for (size_t i = 0; i < n; i++)
    fprintf(out, "  \"%s\": %.15g%s\n", fields[i].name, fields[i].value, i + 1 < n ? "," : "");
  fprintf(out, "}\n");
  return fclose(out) ? -1 : 0;
}
