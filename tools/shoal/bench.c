// shoal bench: some figures of this machine, in seconds. `//bench:report` of the source measures all, with peers beside
// them.
//
// Two processes, each on a processor of its own if there are two. What a case moves is counted and compared when its
// clock has stopped: a figure of a wrong result is none.
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/backoff.h"
#include "core/futex.h"
#include "ipc/queue/queue.h"
#include "ipc/queue/spsc.h"
#include "ipc/work/future.h"
#include "ipc/work/processors.h"
#include "sync/lock.h"
#include "tools/shoal/tool.h"

SHOAL_SPSC_TYPED(number_ring, uint64_t)
SHOAL_QUEUE_TYPED(number_queue, uint64_t)

enum { SLOTS = 1024, SAMPLES = 1 << 16, BATCH = 64, WORKERS = 2, JOBS = 256 };
#define LAST UINT64_MAX         // the end of what is sent
#define REST_NS INT64_C(60000)  // so long that the other side has given up looking, and sleeps

struct figure {
  double value, p99;  // p99: 0 if there is none
};
struct shared {  // by the two processes of a case
  shoal_atomic32 ready SHOAL_ALIGNED(64);
  shoal_atomic64 there SHOAL_ALIGNED(64);
  shoal_atomic64 back SHOAL_ALIGNED(64);
  shoal_atomic32 ask SHOAL_ALIGNED(64);
  shoal_atomic32 answer SHOAL_ALIGNED(64);
  shoal_atomic64 received SHOAL_ALIGNED(64);
  uint64_t sum;  // under the lock
};
struct bench {
  struct tool_common common;
  struct tool_json json;
  int64_t ns;  // of each case
  const char *only;
  int processors[2], n_processors;
  struct shoal_segment *seg;
  struct shared *shared;
  pid_t other;       // who is beside us; 0: nobody, or we are it
  unsigned relaxed;  // how often, with it
  int gone, lost;    // it has ended; and what it left has been waited for in vain
  int64_t *taken;    // SAMPLES
  // ---- of the case ----
  struct shoal_spsc_shm *ring[2];
  uint64_t ring_size;
  struct shoal_queue *queue[2];
  struct shoal_lock *lock;
};

// ---- two processes ----

static void bind_to(const struct bench *b, int which) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((size_t)b->processors[which], &set);
  if (b->n_processors == 2) sched_setaffinity(0, sizeof set, &set);
}
// 1: go on waiting; 0: nobody is there any more for whom to wait.
static int still(struct bench *b) {
  siginfo_t info = {.si_pid = 0};
  if (b->gone) b->lost = 1;  // and has been looked for what it did last
  else if (b->other && !waitid(P_PID, (id_t)b->other, &info, WEXITED | WNOHANG | WNOWAIT)) b->gone = info.si_pid != 0;
  return !b->lost;
}
static int relax(struct bench *b) {
  if (b->n_processors == 2) shoal_pause();
  else sched_yield();
  return ++b->relaxed % 65536 != 0 || still(b);
}

// `run` in a child, its answer the exit code: 0 all was right. Returns when it runs.
static pid_t beside(struct bench *b, int (*run)(struct bench *)) {
  shoal_store32_relaxed(&b->shared->ready, 0);
  fflush(NULL);
  pid_t pid = b->other = fork();
  b->gone = b->lost = 0;
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bind_to(b, 1);
    shoal_store32_release(&b->shared->ready, 1);  // [B1] pairs with [B1]
    _exit(run(b) ? 1 : 0);
  }
  while (pid > 0 && !shoal_load32_acquire(&b->shared->ready) && still(b)) sched_yield();  // [B1]
  return pid > 0 ? pid : shoal_fail_(-errno, "fork: %m");
}
static int lost(void) { return shoal_fail_(-EPIPE, "the process beside has ended before its time"); }
static int ended(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  if (WIFSIGNALED(status)) return lost();
  return WEXITSTATUS(status) == 0 ? 0 : shoal_fail_(-EPROTO, "what came is not what was sent");
}
static int killed(pid_t pid, int rc) {
  char reason[160];
  snprintf(reason, sizeof reason, "%s", shoal_reason());
  kill(pid, SIGKILL);  // no harm if it gave up by itself
  return ended(pid) == -EPROTO ? -EPROTO : shoal_fail_(rc, "%s", reason);
}

static void spread(struct bench *b, uint64_t n, struct figure *out) {
  const uint64_t middle = n / 2, late = n * 99 / 100;
  qsort(b->taken, n, sizeof *b->taken, tool_by_size);
  *out = (struct figure){(double)b->taken[middle], (double)b->taken[late]};
}
// Round trips, one after another, until the time is over or there is no room for more; each has what it took in
// nanoseconds.
static int round_trips(struct bench *b, int64_t rest, int (*once)(struct bench *, uint64_t), struct figure *out) {
  int64_t end = shoal_now_ns() + b->ns;
  uint64_t n = 0;
  for (int64_t now = shoal_now_ns(); now < end || n < BATCH; n++) {
    for (int64_t until = now + rest; now < until; now = shoal_now_ns()) relax(b);
    int rc = once(b, n + 1);
    int64_t then = shoal_now_ns();
    if (rc) return rc;
    b->taken[n % SAMPLES] = then - now;
    now = then;
  }
  spread(b, n < SAMPLES ? n : SAMPLES, out);
  return once(b, LAST);
}

// ---- two cache lines, and the kernel: what nothing can be faster than ----

static int lines_answer(struct bench *b) {
  for (uint64_t n, last = 0;; last = n) {
    while ((n = shoal_load64_acquire(&b->shared->there)) == last) relax(b);  // [B2] pairs with [B2]
    shoal_store64_release(&b->shared->back, n);                              // [B2]
    if (n == LAST) return 0;
  }
}
static int lines_ask(struct bench *b, uint64_t n) {
  shoal_store64_release(&b->shared->there, n);         // [B2]
  while (shoal_load64_acquire(&b->shared->back) != n)  // [B2]
    if (!relax(b)) return lost();
  return 0;
}
static int lines(struct bench *b, struct figure *out) {
  pid_t pid = beside(b, lines_answer);
  if (pid < 0) return pid;
  int rc = round_trips(b, 0, lines_ask, out);
  return rc ? killed(pid, rc) : ended(pid);
}

static void tell(shoal_atomic32 *word, uint32_t n) {
  shoal_store32_release(word, n);  // [B3] pairs with [B3]
  shoal_futex_wake(word, 1);
}
// `before`: nobody will tell any more.
static uint32_t hear(struct bench *b, shoal_atomic32 *word, uint32_t before) {
  for (uint32_t n;;) {
    if ((n = shoal_load32_acquire(word)) != before) return n;  // [B3]
    if (shoal_futex_wait(word, before, shoal_after_ms(200)) == -ETIMEDOUT && !still(b)) return before;
  }
}
static int futex_answer(struct bench *b) {
  for (uint32_t n = 0; n != UINT32_MAX;) {
    n = hear(b, &b->shared->ask, n);
    for (int64_t until = shoal_now_ns() + REST_NS; shoal_now_ns() < until;) relax(b);
    tell(&b->shared->answer, n);
  }
  return 0;
}
static int futex_ask(struct bench *b, uint64_t n) {
  uint32_t before = shoal_load32_relaxed(&b->shared->answer);
  tell(&b->shared->ask, (uint32_t)n);
  uint32_t answer = hear(b, &b->shared->answer, before);
  return b->lost ? lost() : answer == (uint32_t)n ? 0 : shoal_fail_(-EPROTO, "another answer");
}
// Both rest before they speak; what is told is the trip without that.
static int asleep(struct figure *f) {
  f->value = (f->value - (double)REST_NS) / 1e3;
  f->p99 = (f->p99 - (double)REST_NS) / 1e3;
  return 0;
}
static int futex(struct bench *b, struct figure *out) {
  pid_t pid = beside(b, futex_answer);
  if (pid < 0) return pid;
  int rc = round_trips(b, REST_NS, futex_ask, out);
  return rc ? killed(pid, rc) : (asleep(out), ended(pid));
}

// ---- rings ----

static int make_rings(struct bench *b) {
  b->ring_size = number_ring_size(SLOTS);
  for (int i = 0; i < 2; i++) {
    struct shoal_object o;
    int rc = shoal_object_create(b->seg, i ? "ring-back" : "ring", "bench", b->ring_size, NULL, NULL, &o);
    if (rc || (rc = number_ring_init(o.memory, b->ring_size, SLOTS))) return rc;
    b->ring[i] = o.memory;
  }
  return 0;
}
static void ring_put(struct bench *b, number_ring_producer *p, uint64_t n) {
  while (number_ring_try_put(p, &n) && relax(b)) continue;
}
static uint64_t ring_get(struct bench *b, number_ring_consumer *c) {
  uint64_t n = 0;
  while (number_ring_try_get(c, &n) && relax(b)) continue;
  return n;
}
static number_ring_producer producer;
static number_ring_consumer consumer;
static int take_ends(struct bench *b, int out, int in) {
  int rc = out < 0 ? 0 : number_ring_produce(&producer, b->ring[out], b->ring_size);
  return rc || in < 0 ? rc : number_ring_consume(&consumer, b->ring[in], b->ring_size);
}
static int ring_answer(struct bench *b) {
  int rc = take_ends(b, 1, 0);
  for (uint64_t n = 0; !rc && n != LAST;) ring_put(b, &producer, n = ring_get(b, &consumer));
  return rc;
}
static int ring_ask(struct bench *b, uint64_t n) {
  ring_put(b, &producer, n);
  uint64_t back = ring_get(b, &consumer);
  return b->lost ? lost() : back == n ? 0 : shoal_fail_(-EPROTO, "another message came back");
}
static void leave_ends(void) {
  number_ring_producer_leave(&producer);
  number_ring_consumer_leave(&consumer);
}
static int ring_round_trip(struct bench *b, struct figure *out) {
  int rc = take_ends(b, 0, 1);
  pid_t pid = rc ? rc : beside(b, ring_answer);
  if (pid < 0) return pid;
  rc = round_trips(b, 0, ring_ask, out);
  leave_ends();
  return rc ? killed(pid, rc) : ended(pid);
}

// How fast numbers 0, 1, 2.. come through; the other side expects each.
static int expect(uint64_t n, uint64_t wanted) { return n == LAST ? 1 : n == wanted ? 0 : -1; }
static int stream(struct bench *b, int (*run)(struct bench *), int (*send)(struct bench *, uint64_t),
                  struct figure *out) {
  pid_t pid = beside(b, run);
  if (pid < 0) return pid;
  int64_t begun = shoal_now_ns(), end = begun + b->ns;
  uint64_t n = 0;
  int rc = 0;
  while (!rc && shoal_now_ns() < end)
    for (unsigned i = 0; i < SLOTS && !rc; i++) rc = send(b, n++);
  if (!rc) rc = send(b, LAST);
  if (rc) return killed(pid, rc);
  rc = ended(pid);
  *out = (struct figure){(double)n * 1e3 / (double)(shoal_now_ns() - begun), 0};
  return rc;
}
static int ring_drain(struct bench *b) {
  int rc = take_ends(b, -1, 0), end = 0;
  for (uint64_t i = 0; !rc && !end; i++) end = expect(ring_get(b, &consumer), i);
  return rc ? rc : end < 0;
}
static int ring_send(struct bench *b, uint64_t n) {
  ring_put(b, &producer, n);
  return b->lost ? lost() : 0;
}
static int ring_stream(struct bench *b, struct figure *out) {
  int rc = take_ends(b, 0, -1);
  if (!rc) rc = stream(b, ring_drain, ring_send, out);
  number_ring_producer_leave(&producer);
  return rc;
}

// ---- queues ----

static int make_queues(struct bench *b) {
  const struct shoal_queue_options o = {.capacity = SLOTS};
  int rc = number_queue_create(b->seg, "queue", &o, &b->queue[0]);
  return rc ? rc : number_queue_create(b->seg, "queue-back", &o, &b->queue[1]);
}
static int queue_drain(struct bench *b) {
  int rc = 0, end = 0;
  uint64_t n;
  for (uint64_t i = 0; !rc && !end; i++)
    if (!(rc = number_queue_get(b->queue[0], &n, SHOAL_FOREVER))) end = expect(n, i);
  return rc ? rc : end < 0;
}
static int queue_send(struct bench *b, uint64_t n) { return number_queue_put(b->queue[0], &n, SHOAL_FOREVER); }
static int queue_stream(struct bench *b, struct figure *out) { return stream(b, queue_drain, queue_send, out); }

static int queue_answer(struct bench *b) {
  int rc = 0;
  for (uint64_t n = 0; !rc && n != LAST;) {
    rc = number_queue_get(b->queue[0], &n, SHOAL_FOREVER);
    for (int64_t until = shoal_now_ns() + REST_NS; shoal_now_ns() < until;) relax(b);
    if (!rc) rc = number_queue_put(b->queue[1], &n, SHOAL_FOREVER);
  }
  return rc;
}
static int queue_ask(struct bench *b, uint64_t n) {
  uint64_t answer = 0;
  int rc = number_queue_put(b->queue[0], &n, SHOAL_FOREVER);
  if (!rc) rc = number_queue_get(b->queue[1], &answer, SHOAL_FOREVER);
  return rc ? rc : answer == n ? 0 : shoal_fail_(-EPROTO, "another message came back");
}
static int queue_asleep(struct bench *b, struct figure *out) {
  pid_t pid = beside(b, queue_answer);
  if (pid < 0) return pid;
  int rc = round_trips(b, REST_NS, queue_ask, out);
  return rc ? killed(pid, rc) : (asleep(out), ended(pid));
}

// ---- a lock ----

static int make_lock(struct bench *b) { return shoal_lock_create(b->seg, "lock", &b->lock); }
static int pairs(struct bench *b, uint64_t *n) {
  int rc = 0;
  for (int64_t end = shoal_now_ns() + b->ns; !rc && shoal_now_ns() < end;)
    for (unsigned i = 0; i < SLOTS && !rc; i++, ++*n) {
      rc = shoal_lock_acquire(b->lock, SHOAL_FOREVER);
      if (!rc) b->shared->sum++, rc = shoal_lock_release(b->lock);
    }
  return rc;
}
static int lock_alone(struct bench *b, struct figure *out) {
  uint64_t n = 0;
  int64_t begun = shoal_now_ns();
  int rc = pairs(b, &n);
  *out = (struct figure){(double)(shoal_now_ns() - begun) / (double)n, 0};
  return rc;
}
static int lock_other(struct bench *b) {
  uint64_t n = 0;
  int rc = pairs(b, &n);
  shoal_store64_relaxed(&b->shared->received, n);
  return rc;
}
static int lock_two(struct bench *b, struct figure *out) {
  uint64_t n = 0;
  b->shared->sum = 0;
  pid_t pid = beside(b, lock_other);
  if (pid < 0) return pid;
  int64_t begun = shoal_now_ns();
  int rc = pairs(b, &n);
  if (rc) return killed(pid, rc);
  rc = ended(pid);
  n += shoal_load64_relaxed(&b->shared->received);
  *out = (struct figure){(double)n * 1e3 / (double)(shoal_now_ns() - begun), 0};
  return rc || b->shared->sum == n ? rc : shoal_fail_(-EPROTO, "two were inside at once");
}

// ---- workers ----

struct bench_sum {
  uint64_t in, out;
};
SHOAL_TASK(shoal_bench_add, struct bench_sum) {
  arg->out = arg->in + 1;
  return 0;
}

static int round_of_jobs(struct shoal_executor *ex, uint64_t first) {
  struct shoal_future f[JOBS];
  int n = 0, rc = 0, wrong = 0;
  for (; n < JOBS && !rc; n += !rc)
    rc = SHOAL_SUBMIT(ex, shoal_bench_add, &(struct bench_sum){.in = first + (uint64_t)n}, &f[n]);
  for (int i = 0; i < n; i++) {
    struct bench_sum s = {0, 0};
    if (!rc) rc = shoal_future_get(&f[i], &s, sizeof s, NULL, SHOAL_FOREVER);
    wrong += !rc && s.out != first + (uint64_t)i + 1;
    shoal_future_release(&f[i]);
  }
  return rc ? rc : wrong ? shoal_fail_(-EPROTO, "a job has another result") : 0;
}
static int jobs(struct bench *b, struct figure *out) {
  struct shoal_executor *ex;
  const struct shoal_executor_options o = {.workers = WORKERS, .jobs = 4 * JOBS};
  int rc = shoal_executor_create(b->seg, "executor", &o, &ex);
  if (rc) return rc;
  uint64_t n = 0;
  rc = round_of_jobs(ex, 0);  // the workers have started
  int64_t begun = shoal_now_ns();
  while (!rc && shoal_now_ns() < begun + b->ns) rc = round_of_jobs(ex, n), n += JOBS;
  *out = (struct figure){(double)n * 1e3 / (double)(shoal_now_ns() - begun), 0};
  shoal_executor_shutdown(ex, 0, shoal_after_s(10));
  shoal_executor_detach(ex);
  shoal_executor_unlink(b->seg, "executor");
  return rc;
}

// ---- the command ----

static const struct {
  const char *name, *unit, *says;
  int (*run)(struct bench *b, struct figure *out);
} cases[] = {
    {"lines/rtt", "ns", "two cache lines, there and back: nothing is faster", lines},
    {"spsc/rtt", "ns", "a number through two rings, there and back", ring_round_trip},
    {"spsc/stream", "M/s", "numbers through a ring, one by one", ring_stream},
    {"queue/stream", "M/s", "numbers through a blocking queue, one by one", queue_stream},
    {"futex/asleep", "us", "a sleeper woken, who wakes another: nothing is faster", futex},
    {"queue/asleep", "us", "the same through two blocking queues", queue_asleep},
    {"lock/alone", "ns", "a robust lock, taken and given back", lock_alone},
    {"lock/two", "M/s", "the same, by two processes at once", lock_two},
    {"executor/jobs", "M/s", "jobs that do nothing, done by two workers", jobs},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct bench *b = state->input;
  switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &b->common; return 0;
    case 't':
      b->ns = tool_seconds(arg, state);
      if (b->ns < 1000000 || b->ns > INT64_C(60000000000)) argp_error(state, "from a millisecond to a minute a case");
      return 0;
    case 'f': b->only = arg; return 0;
    case ARGP_KEY_ARG: argp_usage(state); return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}
static const struct argp_option options[] = {{"time", 't', "SECONDS", 0, "For each case (0.4)", 0},
                                             {"filter", 'f', "TEXT", 0, "Only cases whose names contain it", 0},
                                             {0}};
static const struct argp_child children[] = {TOOL_COMMON, {0}};
static const struct argp argp = {
    options,
    parse,
    NULL,
    "Measures on this machine, in some seconds, what rings, queues, locks, sleepers and workers do, beside what the "
    "hardware and the kernel allow. Medians; the 99th percentile where there is one. Exit status 1: no case has such a "
    "name; 3: a result was wrong.",
    children,
    NULL,
    NULL};

static void say(struct bench *b, size_t i, const struct figure *f) {
  if (!b->common.json) {
    printf("%-14s %10.2f %-4s", cases[i].name, f->value, cases[i].unit);
    if (f->p99 > 0) printf(" %10.2f", f->p99);
    else printf(" %10s", "");
    printf("  %s\n", cases[i].says);
    fflush(stdout);
    return;
  }
  tool_json_open(&b->json, NULL, '{');
  tool_json_text(&b->json, "name", cases[i].name);
  tool_json_text(&b->json, "says", cases[i].says);
  tool_json_text(&b->json, "unit", cases[i].unit);
  tool_json_float(&b->json, "value", f->value);
  if (f->p99 > 0) tool_json_float(&b->json, "p99", f->p99);
  tool_json_close(&b->json, '}');
}

static void choose_processors(struct bench *b) {
  cpu_set_t may;
  CPU_ZERO(&may);
  sched_getaffinity(0, sizeof may, &may);
  int quota = shoal_cpu_count();
  for (int i = 0; i < CPU_SETSIZE && b->n_processors < 2 && b->n_processors < quota; i++)
    if (CPU_ISSET((size_t)i, &may)) b->processors[b->n_processors++] = i;
}
static int prepare(struct bench *b) {
  const struct shoal_segment_options o = {.size = 8 << 20, .size_max = 256 << 20, .participants = 64, .objects = 64};
  struct shoal_object shared;
  choose_processors(b);
  b->taken = calloc(SAMPLES, sizeof *b->taken);
  if (!b->taken) return shoal_fail_(-ENOMEM, "private memory");
  int rc = shoal_segment_create(NULL, &o, &b->seg);
  if (!rc) rc = shoal_object_create(b->seg, "shared", "bench", sizeof *b->shared, NULL, NULL, &shared);
  if (rc) return rc;
  b->shared = shared.memory;
  rc = make_rings(b);
  if (!rc) rc = make_queues(b);
  return rc ? rc : make_lock(b);
}

static void finish(struct bench *b) {
  for (int i = 0; i < 2; i++)
    if (b->queue[i]) shoal_queue_detach(b->queue[i]);
  if (b->seg) shoal_segment_close(b->seg);
  free(b->taken);
}

static int run(int argc, char **argv) {
  struct bench b = {.json = {.out = stdout}, .ns = 400000000, .only = ""};
  cpu_set_t before;
  argp_parse(&argp, argc, argv, 0, NULL, &b);
  sched_getaffinity(0, sizeof before, &before);
  size_t meant = 0;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) meant += strstr(cases[i].name, b.only) != NULL;
  if (!meant) return tool_failed(shoal_fail_(-ENOENT, "no case has \"%s\" in its name", b.only), "bench");
  int rc = prepare(&b);
  if (rc) return finish(&b), tool_failed(rc, "bench");
  if (b.common.json) tool_json_open(&b.json, NULL, '[');
  else printf("%-14s %10s %-4s %10s\n", "CASE", "MEDIAN", "", "P99");
  for (size_t i = 0; i < sizeof cases / sizeof *cases && !rc; i++) {
    struct figure f = {0, 0};
    if (!strstr(cases[i].name, b.only)) continue;
    if (cases[i].run == jobs) sched_setaffinity(0, sizeof before, &before);  // which its workers inherit
    else bind_to(&b, 0);
    rc = cases[i].run(&b, &f);
    if (rc) tool_failed(rc, cases[i].name);
    else say(&b, i, &f);
  }
  if (b.common.json) tool_json_close(&b.json, ']');
  finish(&b);
  return rc ? TOOL_FAILED : TOOL_DONE;
}

const struct tool_command tool_bench = {"bench", "figures of this machine, in seconds", &argp, run};
