// wordcount: the words of real files, counted by readers and workers that may be killed at any time, and counted
// exactly.
//
// The model of how to build a program on shoal. together.c is the program; walk.c, read.c and count.c are its stages,
// which know nothing of processes; alone.c runs them in one process, to compare.
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "examples/wordcount/report.h"
#include "ipc/work/processors.h"

#define LIMIT_MAX (UINT64_C(8) << 30)  // a word takes two bytes: no count passes 32 bits

volatile sig_atomic_t interrupted;
static void interrupt(int signal) { interrupted = signal; }

static const struct argp_option options[] = {
    {"workers", 'w', "N", 0, "processes that count (one for each processor)", 0},
    {"producers", 'p', "N", 0, "processes that read (1)", 0},
    {"chaos", 'c', NULL, 0, "kill one of them every 50 ms", 0},
    {"limit", 'l', "BYTES", 0, "of files, at most, binary ones passed over (512M; K, M, G)", 0},
    {"json", 'j', "FILE", 0, "write the figures there too", 0},
    {0},
};

static uint64_t number(struct argp_state *state, const char *text, uint64_t min, uint64_t max) {
  static const char units[] = "KMG";
  char *end;
  errno = 0;
  unsigned long long n = strtoull(text, &end, 10);
  const char *unit = *end ? strchr(units, *end) : NULL;
  unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
  if (unit) end++;
  if (end == text || *end || errno || *text == '-' || n > max >> shift || n << shift < min)
    argp_error(state, "%s is not a number from %llu to %llu", text, (unsigned long long)min, (unsigned long long)max);
  return n << shift;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  static char share[] = "/usr/share", *usual[] = {share, NULL};
  struct job *job = state->input;
  switch (key) {
    case 'w': job->workers = (unsigned)number(state, arg, 1, 48); return 0;
    case 'p': job->producers = (unsigned)number(state, arg, 1, 48); return 0;
    case 'c': job->chaos = 1; return 0;
    case 'l': job->limit = number(state, arg, 1, LIMIT_MAX); return 0;
    case 'j': job->json = arg; return 0;
    case ARGP_KEY_ARGS: job->paths = state->argv + state->next; return 0;
    case ARGP_KEY_NO_ARGS: job->paths = usual; return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

static void on_signals(void) {
  struct sigaction action = {.sa_handler = interrupt};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGHUP, &action, NULL);
}

static int all_there(char **paths) {
  for (; *paths; paths++) {
    if (access(*paths, R_OK) == 0) continue;
    perror(*paths);
    return 0;
  }
  return 1;
}

static int same(const struct figures *a, const struct figures *b) {
  return a->units == b->units && a->files == b->files && a->skipped == b->skipped && a->bytes == b->bytes &&
         a->lines == b->lines;
}

int main(int argc, char **argv) {
  static const struct argp argp = {options, parse, "[PATH...]", "Counts the words in files.", NULL, NULL, NULL};
  struct job job = {.limit = UINT64_C(512) << 20, .workers = (unsigned)shoal_cpu_count(), .producers = 1};
  struct figures warm = {0}, together = {0}, alone = {0};
  argp_parse(&argp, argc, argv, 0, NULL, &job);
  if (!all_there(job.paths)) return 1;
  on_signals();
  struct counts *counts = counts_create(), *expected = counts_create();
  int rc = warm_up(&job, &warm);
  if (!rc) rc = count_together(&job, &warm, counts, &together);
  if (!rc) rc = count_alone(&job, expected, &alone);
  if (interrupted) return 128 + interrupted;
  if (rc) return 1;
  struct report report = {&job, counts, &together, &alone, 0};
  report.exact = counts_equal(counts, expected, stdout) && same(&together, &alone);
  report_print(&report);
  if (job.json && report_json(&report, job.json)) {
    perror(job.json);
    return 1;
  }
  counts_destroy(counts);
  counts_destroy(expected);
  return report.exact ? 0 : 1;
}
