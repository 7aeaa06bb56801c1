// thread_vs_process: the same work one after the other, by threads, and by processes, for 1, 2, 4 and 8 workers.
//
// What is to be seen: starting costs more than doing nothing; work that needs a processor gets faster by as many
// workers as there are processors, threads as well as processes (C has no global lock); waiting costs nothing, so that
// eight wait in the time of one.
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/directory.h"
#include "core/error.h"
#include "examples/thread_vs_process/workload.h"
#include "ipc/work/process.h"
#include "ipc/work/thread.h"

#define WORKERS_MAX (1 << (COUNTS - 1))

struct share {  // of a worker; in the segment, where a process leaves its result, too
  int workload;
  int64_t result;
};

static struct load load;
static struct share *shares;

static int work(void *arg) {
  struct share *s = arg;
  s->result = workload_do(s->workload, &load);
  return 0;
}

// ---- three ways; 0 or an error ----

static int sequential(unsigned n) {
  for (unsigned i = 0; i < n; i++) work(&shares[i]);
  return 0;
}

static int threads(unsigned n) {
  struct shoal_thread t[WORKERS_MAX];
  unsigned started = 0;
  int rc = 0;
  for (; started < n && !rc; started += !rc) rc = shoal_thread_start(&t[started], work, &shares[started], NULL);
  for (unsigned i = 0; i < started; i++) {
    int ended = shoal_thread_join(&t[i], SHOAL_FOREVER);
    if (!ended) ended = shoal_thread_close(&t[i]);
    if (!rc) rc = ended;
  }
  return rc;
}

static int processes(unsigned n) {
  struct shoal_process p[WORKERS_MAX];
  unsigned started = 0;
  int rc = 0;
  for (; started < n && !rc; started += !rc) rc = shoal_process_start(&p[started], work, &shares[started], NULL);
  for (unsigned i = 0; i < started; i++) {
    int ended = shoal_process_join(&p[i], SHOAL_FOREVER);
    if (!ended) ended = shoal_process_close(&p[i]);
    if (!rc) rc = ended;
  }
  return rc;
}

// ---- measuring ----

// All workers do the same, so they have the same result.
static int all_done(unsigned n) {
  for (unsigned i = 0; i < n; i++) {
    if (shares[i].result < 0) return (int)shares[i].result;
    if (shares[i].result != shares[0].result) return shoal_fail_(-EPROTO, "workers %u and 0 have different results", i);
  }
  return 0;
}

static int once(int workload, unsigned n, int way, double *seconds) {
  static int (*const ways[WAYS])(unsigned) = {sequential, threads, processes};
  for (unsigned i = 0; i < n; i++) shares[i] = (struct share){workload, -EPIPE};
  int64_t began = shoal_now_ns();
  int rc = ways[way](n);
  double took = (double)(shoal_now_ns() - began) / 1e9;
  if (*seconds == 0 || took < *seconds) *seconds = took;
  return rc ? rc : all_done(n);
}

static int measure(struct table *t, unsigned times) {
  int rc = 0;
  for (int w = 0; w < WORKLOADS; w++)
    for (int n = 0; n < COUNTS; n++)
      for (unsigned i = 0; i < times; i++)
        for (int way = 0; way < WAYS && !rc; way++) rc = once(w, 1u << n, way, &t->seconds[w][n][way]);
  return rc;
}

// The server is a process of its own, and there before any thread.
static int measure_with_server(struct table *t, unsigned times) {
  const struct shoal_process_options options = {.name = "server", .daemon = 1};
  struct shoal_process server;
  int socket = server_listen(&load.port);
  if (socket < 0) return socket;
  int rc = shoal_process_start(&server, server_run, (void *)(intptr_t)socket, &options);
  close(socket);
  if (rc) return rc;
  rc = measure(t, times);
  int ended = shoal_process_terminate(&server);
  if (!ended) ended = shoal_process_join(&server, SHOAL_FOREVER);
  if (!ended) ended = shoal_process_close(&server);
  return rc ? rc : ended;
}

static int measure_all(struct table *t, unsigned times) {
  char file[] = "/tmp/thread_vs_process.XXXXXX";
  struct shoal_segment *seg;
  struct shoal_object object;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc) return rc;
  rc = shoal_object_create(seg, NULL, "shares", WORKERS_MAX * sizeof *shares, NULL, NULL, &object);
  if (!rc) shares = object.memory;
  int made = rc ? -1 : file_make(file);
  load.file = file;
  if (!rc) rc = made ? made : measure_with_server(t, times);
  if (!made) unlink(file);
  int closed = shoal_segment_close(seg);
  return rc ? rc : closed;
}

// ---- the command line ----

struct arguments {
  const char *svg;
  unsigned size, times;
};
static const struct argp_option options[] = {
    {"svg", 's', "FILE", 0, "plot it there", 0},
    {"size", 'n', "N", 0, "how much each worker does (20)", 0},
    {"times", 't', "N", 0, "the fastest of so many (5)", 0},
    {0},
};

static unsigned number(struct argp_state *state, const char *text) {
  char *end;
  unsigned long n = strtoul(text, &end, 10);
  if (end == text || *end || *text == '-' || n < 1 || n > 10000)
    argp_error(state, "%s is not a number from 1 to 10000", text);
  return (unsigned)n;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct arguments *a = state->input;
  switch (key) {
    case 's': a->svg = arg; return 0;
    case 'n': a->size = number(state, arg); return 0;
    case 't': a->times = number(state, arg); return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

int main(int argc, char **argv) {
  static const struct argp argp = {options, parse, NULL, "The same work by threads and by processes.",
                                   NULL,    NULL,  NULL};
  struct arguments a = {.size = 20, .times = 5};
  struct table t = {0};
  argp_parse(&argp, argc, argv, 0, NULL, &a);
  load.size = a.size;
  int rc = measure_all(&t, a.times);
  if (rc) return fprintf(stderr, "thread_vs_process: %s: %s\n", shoal_strerror(rc), shoal_reason()), 1;
  table_print(&t, stdout);
  if (a.svg && table_plot(&t, a.svg)) return perror(a.svg), 1;
  return 0;
}
