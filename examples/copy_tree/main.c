// copy_tree: a directory tree copied by several processes that may be killed at any time; as cp -a copies it.
//
//     copy_tree [OPTIONS] SOURCE DEST
//
// DEST becomes what SOURCE is: contents, holes, modes, owners, times, extended attributes and access control lists,
// symbolic and hard links, fifos, devices, sockets. What is in DEST besides stays. A file has its name when all of it
// is there: killed in between, neither a half nor (but for large files, replaced ones, and file systems without
// O_TMPFILE) a trace of it is left; --resume goes on, and removes such traces. copy.c is the walker, crew.c its
// workers, entry.c what one does with one file.
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "examples/copy_tree/job.h"
#include "examples/copy_tree/meta.h"
#include "ipc/work/processors.h"

enum { ALL_COPIED = 0, SOME_FAILED = 1, USAGE = 2 };

volatile sig_atomic_t interrupted;
static void interrupt(int signal) { interrupted = signal; }

static const struct argp_option options[] = {
    {"workers", 'w', "N", 0, "processes that copy (one for each processor)", 0},
    {"resume", 'r', NULL, 0, "skip what DEST has already: same type, size and time", 0},
    {"verify", 'v', NULL, 0, "compare contents and all else afterwards", 0},
    {"quiet", 'q', NULL, 0, "say nothing but errors", 0},
    {"chaos", 'c', NULL, 0, "kill one of the workers every 50 ms", 0},
    {"json", 'j', "FILE", 0, "write the figures there", 0},
    {0},
};

static unsigned number(struct argp_state *state, const char *text, unsigned long max) {
  char *end;
  errno = 0;
  unsigned long n = strtoul(text, &end, 10);
  if (end == text || *end || errno || *text == '-' || n < 1 || n > max)
    argp_error(state, "%s is not a number from 1 to %lu", text, max);
  return (unsigned)n;
}

static char *without_slashes(char *path) {
  for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--) path[n - 1] = '\0';
  return path;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct job *job = state->input;
  switch (key) {
    case 'w': job->workers = number(state, arg, WORKERS_MAX); return 0;
    case 'r': job->resume = 1; return 0;
    case 'v': job->verify = 1; return 0;
    case 'q': job->quiet = 1; return 0;
    case 'c': job->chaos = 1; return 0;
    case 'j': job->json = arg; return 0;
    case ARGP_KEY_ARG:
      if (state->arg_num > 1) argp_usage(state);
      *(state->arg_num ? &job->dest : &job->source) = without_slashes(arg);
      return 0;
    case ARGP_KEY_END:
      if (state->arg_num < 2) argp_usage(state);
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

// ---- the two roots ----

static void __attribute__((noreturn)) refuse(const char *path, const char *why) {
  fprintf(stderr, "copy_tree: %s: %s\n", path, why);
  exit(USAGE);
}

static int same_file(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

// Whether the directory is `top`, or lies in it.
static int lies_in(int dir, const struct stat *top) {
  struct stat st, above;
  int fd = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC), in = 0;
  if (fd < 0 || fstat(fd, &st)) return 0;
  while (!(in = same_file(&st, top))) {
    int up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    close(fd);
    fd = up;
    if (fd < 0 || fstat(fd, &above) || same_file(&st, &above)) break;
    st = above;
  }
  if (fd >= 0) close(fd);
  return in;
}

static int open_dir(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) refuse(path, strerror(errno));
  return fd;
}

// Where DEST will be made, so that nothing has been made when it is refused.
static int open_parent(const char *dest) {
  char *copy = strdup(dest);
  if (!copy) refuse(dest, strerror(errno));
  int fd = open_dir(dirname(copy));
  free(copy);
  return fd;
}

static void open_roots(struct job *job) {
  struct stat st;
  job->from = open_dir(job->source);
  if (fstat(job->from, &job->top)) refuse(job->source, strerror(errno));
  int there = stat(job->dest, &st) == 0, near = there ? open_dir(job->dest) : open_parent(job->dest);
  if (there && same_file(&st, &job->top)) refuse(job->dest, "is the source");
  if (lies_in(near, &job->top)) refuse(job->dest, "lies in the source");
  if (there && lies_in(job->from, &st)) refuse(job->source, "lies in what would be the copy");
  if (!there && mkdir(job->dest, 0700)) refuse(job->dest, strerror(errno));
  job->to = open_dir(job->dest);
  if (!there && meta_inherits(near)) meta_forget_inherited(job->to);
  close(near);
  if (fstat(job->to, &job->copy_top)) refuse(job->dest, strerror(errno));
}

static void on_signals(void) {
  struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESTART};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGHUP, &action, NULL);
}

int main(int argc, char **argv) {
  static const struct argp argp = {options,
                                   parse,
                                   "SOURCE DEST",
                                   "Copies a directory tree by several processes.\v"
                                   "Exit status: 0 all is copied, 1 some is not, 2 usage.",
                                   NULL,
                                   NULL,
                                   NULL};
  struct job job = {.workers = (unsigned)shoal_cpu_count(), .root = geteuid() == 0};
  struct figures f = {0};
  if (job.workers > WORKERS_MAX) job.workers = WORKERS_MAX;
  argp_err_exit_status = USAGE;
  argp_parse(&argp, argc, argv, 0, NULL, &job);
  mode_t mask = umask(0);
  if (getrandom(&job.run, sizeof job.run, 0) != sizeof job.run) refuse("getrandom", strerror(errno));
  open_roots(&job);
  on_signals();
  int rc = copy_all(&job, &f);
  umask(mask);
  if (interrupted) return 128 + interrupted;
  if (!rc && !job.quiet) report_print(&job, &f);
  if (!rc && job.json && report_json(&job, &f)) rc = -errno, perror(job.json);
  return rc || f.failed || f.differing ? SOME_FAILED : ALL_COPIED;
}
