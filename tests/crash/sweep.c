// tests/crash/sweep.c: kills a process at every instruction of every operation, and asks the survivors.
//   sweep [--only REGEX] [--points N] [--all] [--pairs N] [--jobs N] [--stop] [--verbose] [--json FILE] [--list]
#include <errno.h>
#include <getopt.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/crash/engine.h"

extern const struct crash_scenario *const __start_crash_scenarios[], *const __stop_crash_scenarios[];

static struct {
  struct crash_limits limits;
  uint64_t pairs;  // 0: no --pairs
  int jobs, list;
  const char *only, *json;
} options = {.limits = {.points = 150}, .only = "", .jobs = 2};

static void usage(void) {
  fprintf(
      stderr,
      "sweep [--only REGEX] [--points N] [--all] [--pairs N] [--jobs N] [--stop] [--verbose] [--json FILE] [--list]\n"
      "  --only REGEX  the scenarios whose name it matches\n"
      "  --points N    kill points of one scenario, about (%u; 2 or more): a longer one is killed at the first two\n"
      "                visits and the last of each of its instructions, and at every so many of the rest; --all: at\n"
      "                every one\n"
      "  --pairs N     the scenarios in pairs only, N kill points in all, about\n"
      "  --jobs N      scenarios at a time (%d)\n"
      "  --stop        end with the first failure of any\n"
      "  --json FILE   the rows, for a program\n"
      "  --list        the names only\n",
      options.limits.points, options.jobs);
  _exit(2);
}

static void parse(int argc, char **argv) {
  enum { ONLY, POINTS, ALL, PAIRS, JOBS, STOP, VERBOSE, JSON, LIST };
  static const struct option known[] = {{"only", 1, NULL, ONLY},   {"points", 1, NULL, POINTS},
                                        {"all", 0, NULL, ALL},     {"jobs", 1, NULL, JOBS},
                                        {"stop", 0, NULL, STOP},   {"verbose", 0, NULL, VERBOSE},
                                        {"json", 1, NULL, JSON},   {"list", 0, NULL, LIST},
                                        {"pairs", 1, NULL, PAIRS}, {NULL, 0, NULL, 0}};
  int c, has_pairs = 0;
  while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) switch (c) {
      case ONLY: options.only = optarg; break;
      case POINTS: options.limits.points = (uint32_t)atoi(optarg); break;
      case ALL: options.limits.all = 1; break;
      case PAIRS: options.pairs = strtoull(optarg, NULL, 10), has_pairs = 1; break;
      case JOBS: options.jobs = atoi(optarg); break;
      case STOP: options.limits.stop = 1; break;
      case VERBOSE: options.limits.verbose = 1; break;
      case JSON: options.json = optarg; break;
      case LIST: options.list = 1; break;
      default: usage();
    }
  if (optind < argc || options.limits.points < 2 || options.jobs < 1 ||
      (has_pairs && (!options.pairs || options.limits.all)))
    usage();
}

static int by_name(const void *a, const void *b) {
  return strcmp((*(const struct crash_scenario *const *)a)->name, (*(const struct crash_scenario *const *)b)->name);
}

static int has_second(const struct crash_scenario *s) { return s->kind == CRASH_PAIR || s->kind == CRASH_STALLED; }

// The scenarios asked for, sorted.
static size_t select_scenarios(const struct crash_scenario **out) {
  regex_t re;
  size_t n = 0;
  if (regcomp(&re, options.only, REG_EXTENDED | REG_NOSUB)) usage();
  for (const struct crash_scenario *const *s = __start_crash_scenarios; s < __stop_crash_scenarios; s++)
    if ((!options.pairs || has_second(*s)) && !regexec(&re, (*s)->name, 0, NULL, 0)) out[n++] = *s;
  regfree(&re);
  qsort(out, n, sizeof *out, by_name);
  return n;
}

// What is left of --pairs is shared among those that have not begun: a short scenario leaves the others more.
static void share(const struct crash_result *r, uint32_t *planned, size_t next, size_t n) {
  uint64_t spent = 0;
  if (!options.pairs) return;
  for (size_t i = 0; i < next; i++) spent += r[i].done ? r[i].points : planned[i];
  uint64_t each = spent < options.pairs ? (options.pairs - spent + n - next - 1) / (n - next) : 0;
  planned[next] = options.limits.points = each < 2 ? 2 : each < UINT32_MAX ? (uint32_t)each : UINT32_MAX;
}

static pid_t start_driver(const struct crash_scenario *s, struct crash_result *r) {
  pid_t parent = getpid(), pid = fork();
  if (pid < 0) crash_abort("fork");
  if (pid) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(2);
  crash_sweep(s, &options.limits, r);
  _exit(0);
}

static void print(const struct crash_scenario *s, struct crash_result *r) {
  char at[64];
  if (!r->done) {
    r->failures++;
    if (!r->why[0]) snprintf(r->why, sizeof r->why, "the driver died, or hung, at point %u", r->points);
  }
  int n = snprintf(at, sizeof at, "%u of %u", r->at[0], r->places[0]);
  if (has_second(s)) snprintf(at + n, sizeof at - (size_t)n, ", %u of %u", r->at[1], r->places[1]);
  printf("%-66s %-24s %7u %5u %6.1f%s%s\n", s->name, at, r->points, r->failures, r->seconds, r->why[0] ? "  " : "",
         r->why);
}

// What was swept, and whether all is well.
static int summary(const struct crash_scenario **s, size_t n, const struct crash_result *r, long seconds) {
  uint32_t points[2] = {0}, at = 0, places = 0, whole = 0, strayed = 0, failures = 0;
  for (size_t i = 0; i < n; i++) {
    points[has_second(s[i])] += r[i].points;
    if (!has_second(s[i])) at += r[i].at[0], places += r[i].places[0], whole += r[i].at[0] == r[i].places[0];
    strayed += r[i].strayed, failures += r[i].failures;
  }
  printf("%zu scenarios, %ld s: %u single kill points, at %u of %u places (%u scenarios at every one), %u in pairs\n",
         n, seconds, points[0], at, places, whole, points[1]);
  printf("%u kill points (%u off their trace), %u failures\n", points[0] + points[1], strayed, failures);
  return failures != 0;
}

static size_t which(const pid_t *pid, size_t n, pid_t ended) {
  size_t i = 0;
  while (i < n && pid[i] != ended) i++;
  return i;
}

// How many were begun: all of them, unless --stop. Everything that a driver started dies with it.
static size_t run_all(const struct crash_scenario **s, size_t n, struct crash_result *r) {
  pid_t *pid = calloc(n + 1, sizeof *pid);
  uint32_t *planned = calloc(n + 1, sizeof *planned);
  size_t started = 0;
  int running = 0, stopped = 0;
  for (;;) {
    for (; !stopped && started < n && running < options.jobs; started++, running++) {
      share(r, planned, started, n);
      pid[started] = start_driver(s[started], &r[started]);
    }
    if (!running) break;
    size_t i = which(pid, started, wait(NULL));
    if (i == started) continue;
    running--;
    pid[i] = 0;
    if (stopped) continue;
    print(s[i], &r[i]);
    stopped = options.limits.stop && r[i].failures;
    for (size_t k = 0; stopped && k < started; k++)
      if (pid[k]) kill(pid[k], SIGKILL);
  }
  free(pid), free(planned);
  return started;
}

static void write_string(FILE *f, const char *s) {
  fputc('"', f);
  for (; *s; s++) fprintf(f, *s == '"' || *s == '\\' ? "\\%c" : (unsigned char)*s < ' ' ? "?" : "%c", *s);
  fputc('"', f);
}

static void write_json(const struct crash_scenario **s, size_t n, const struct crash_result *r) {
  static const char *const kinds[] = {"single", "resumed", "pair", "stalled"};
  FILE *f = fopen(options.json, "w");
  if (!f) crash_abort(options.json);
  fprintf(f, "[\n");
  for (size_t i = 0; i < n; i++) {
    fprintf(f, "  {\"name\": ");
    write_string(f, s[i]->name);
    fprintf(f, ", \"kind\": \"%s\", \"places\": [%u, %u], \"killed_at\": [%u, %u], \"points\": %u, ", kinds[s[i]->kind],
            r[i].places[0], r[i].places[1], r[i].at[0], r[i].at[1], r[i].points);
    fprintf(f, "\"failures\": %u, \"strayed\": %u, ", r[i].failures, r[i].strayed);
    fprintf(f, "\"seconds\": %.1f, \"first\": ", r[i].seconds);
    write_string(f, r[i].why);
    fprintf(f, "}%s\n", i + 1 < n ? "," : "");
  }
  fprintf(f, "]\n");
  if (fclose(f)) crash_abort(options.json);
}

// `rep movsb`, by which the C library moves what is longer than some KiB, is a step a byte.
static void without_rep(char **argv) {
  if (getenv("GLIBC_TUNABLES")) return;
  setenv("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=1073741824:glibc.cpu.x86_rep_stosb_threshold=1073741824",
         1);
  execv("/proc/self/exe", argv);
  crash_abort("/proc/self/exe");
}

int main(int argc, char **argv) {
  without_rep(argv);
  parse(argc, argv);
  setvbuf(stdout, NULL, _IOLBF, 0);
  size_t most = (size_t)(__stop_crash_scenarios - __start_crash_scenarios);
  const struct crash_scenario **s = calloc(most + 1, sizeof *s);
  size_t n = select_scenarios(s);
  if (options.list) {
    for (size_t i = 0; i < n; i++) puts(s[i]->name);
    return 0;
  }
  if (!n) {
    fprintf(stderr, "sweep: no scenario matches \"%s\"\n", options.only);
    return 2;
  }
  struct crash_result *r = mmap(NULL, sizeof *r * n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (r == MAP_FAILED) crash_abort("mmap");
  struct timespec begun, ended;
  clock_gettime(CLOCK_MONOTONIC, &begun);
  printf("%-66s %-24s %7s %5s %6s\n", "scenario", "killed at", "points", "fail", "s");
  n = run_all(s, n, r);
  clock_gettime(CLOCK_MONOTONIC, &ended);
  int bad = summary(s, n, r, (long)(ended.tv_sec - begun.tv_sec));
  if (options.json) write_json(s, n, r);
  return bad;
}
