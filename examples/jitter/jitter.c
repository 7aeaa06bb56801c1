// One process sends at a steady pace, another takes: how long each message was under way, as a histogram. Linked
// statically; each process on a processor of its own, its memory locked, the ring in huge pages where the kernel gives
// them: what there is to do against jitter without rights. --fifo asks for real-time scheduling, too.
#include <argp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "core/backoff.h"
#include "core/deadline.h"
#include "core/directory.h"
#include "core/segment.h"
#include "ipc/queue/spsc.h"
#include "ipc/work/process.h"

#define CAPACITY 1024
#define SUB 4                  // buckets for each power of two
#define BUCKETS (64 * SUB)     // of nanoseconds
#define BAR 50                 // characters of the longest
#define LOOK_EVERY (1u << 16)  // empty looks, then: does the sender live?

struct mark {
  int64_t sent;  // ns
};
SHOAL_SPSC_TYPED(marks, struct mark)

struct plan {
  uint64_t messages, interval;  // ns from one to the next
  int from, to;                 // processors
  int fifo;
  struct shoal_spsc_shm *ring;
  uint64_t bytes;
};

// ---- the machine ----

static void settle(const struct plan *plan, int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  if (sched_setaffinity(0, sizeof set, &set)) fprintf(stderr, "jitter: processor %d: %m\n", processor);
  if (mlockall(MCL_CURRENT | MCL_FUTURE)) fprintf(stderr, "jitter: mlockall: %m (ulimit -l)\n");
  const struct sched_param first = {.sched_priority = 1};
  if (plan->fifo && sched_setscheduler(0, SCHED_FIFO, &first)) fprintf(stderr, "jitter: SCHED_FIFO: %m\n");
}

// ---- sending and taking ----

static int send_all(void *arg) {
  const struct plan *plan = arg;
  marks_producer p;
  settle(plan, plan->from);
  int rc = marks_produce(&p, plan->ring, plan->bytes);
  int64_t due = shoal_now_ns();
  for (uint64_t i = 0; rc == 0 && i < plan->messages; i++, due += (int64_t)plan->interval) {
    struct mark m;
    do shoal_pause();
    while ((m.sent = shoal_now_ns()) < due);
    while (marks_try_put(&p, &m)) sched_yield();  // the taker is behind: that, too, is under way
  }
  return rc ? rc : marks_producer_leave(&p);
}

static unsigned bucket_of(uint64_t ns) {
  if (ns < SUB) return (unsigned)ns;
  unsigned top = 63 - (unsigned)__builtin_clzll(ns);
  return (top - 1) * SUB + (unsigned)(ns >> (top - 2)) % SUB;
}
static uint64_t begins_at(unsigned bucket) {
  if (bucket < SUB) return bucket;
  unsigned top = bucket / SUB + 1;
  return (uint64_t)(SUB + bucket % SUB) << (top - 2);
}

// -EPIPE: the sender has died.
static int take_all(const struct plan *plan, marks_consumer *c, struct shoal_process *sender, uint64_t *counts,
                    uint64_t *longest) {
  struct mark m;
  unsigned empty = 0;
  int rc = 0;
  for (uint64_t n = 0; rc == 0 && n < plan->messages;) {
    if (marks_try_get(c, &m)) {
      shoal_pause();
      if (++empty % LOOK_EVERY == 0 && shoal_process_is_alive(sender) == 0 && marks_peek(c) == NULL) rc = -EPIPE;
      continue;
    }
    uint64_t ns = (uint64_t)(shoal_now_ns() - m.sent);
    counts[bucket_of(ns)]++;
    if (ns > *longest) *longest = ns;
    n++;
  }
  return rc;
}

// ---- what came out ----

static uint64_t below(const uint64_t *counts, uint64_t messages, double share) {
  uint64_t seen = 0, wanted = (uint64_t)((double)messages * share);
  unsigned b = 0;
  while (b < BUCKETS - 1 && (seen += counts[b]) <= wanted) b++;
  return begins_at(b + 1);
}

static void print(const struct plan *plan, const uint64_t *counts, uint64_t longest) {
  uint64_t most = 0, n = plan->messages, p50 = below(counts, n, .5), p999 = below(counts, n, .999);
  for (unsigned b = 0; b < BUCKETS; b++)
    if (counts[b] > most) most = counts[b];
  for (unsigned b = 0; b < BUCKETS; b++) {
    if (!counts[b]) continue;
    printf("%10llu ns %10llu  ", (unsigned long long)begins_at(b), (unsigned long long)counts[b]);
    for (uint64_t k = 0; k * most < counts[b] * BAR; k++) putchar('#');
    putchar('\n');
  }
  printf(
      "%llu messages, one every %llu ns: half in less than %llu ns, 99 %% %llu, 99.9 %% %llu, the longest %llu; jitter "
      "%llu\n",
      (unsigned long long)n, (unsigned long long)plan->interval, (unsigned long long)p50,
      (unsigned long long)below(counts, n, .99), (unsigned long long)p999, (unsigned long long)longest,
      (unsigned long long)(p999 - p50));
}

// ---- the program ----

static int make_ring(void *memory, uint64_t bytes, void *arg) {
  (void)arg;
  return marks_init(memory, bytes, CAPACITY);
}

static int measure(struct plan *plan, struct shoal_segment *seg) {
  static uint64_t counts[BUCKETS];
  uint64_t longest = 0;
  struct shoal_process sender;
  struct shoal_object ring;
  marks_consumer c;
  plan->bytes = marks_size(CAPACITY);
  int rc = shoal_object_create(seg, "ring", "spsc:mark", plan->bytes, make_ring, NULL, &ring);
  if (rc) return rc;
  plan->ring = ring.memory;
  settle(plan, plan->to);
  if ((rc = marks_consume(&c, plan->ring, plan->bytes))) return rc;  // the sender finds its taker there
  rc = shoal_process_start(&sender, send_all, plan, NULL);
  if (rc == 0) {
    rc = take_all(plan, &c, &sender, counts, &longest);
    int joined = shoal_process_join(&sender, SHOAL_FOREVER);
    shoal_process_close(&sender);
    if (rc == 0) rc = joined;
  }
  if (rc == 0) print(plan, counts, longest);
  marks_consumer_leave(&c);
  return rc;
}

static const struct argp_option options[] = {
    {"messages", 'n', "N", 0, "how many (100000)", 0},
    {"interval", 'i', "NS", 0, "nanoseconds from one to the next (10000)", 0},
    {"processors", 'p', "A,B", 0, "of the sender and of the taker (0,1)", 0},
    {"fifo", 'f', NULL, 0, "real-time scheduling: needs CAP_SYS_NICE, and processors that nobody else needs", 0},
    {0}};

static uint64_t number(struct argp_state *state, const char *arg) {
  char *end;
  uint64_t n = strtoull(arg, &end, 10);
  if (*end || n < 1 || n > 1000000000) argp_error(state, "%s: a number from 1 to 1000000000", arg);
  return n;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct plan *plan = state->input;
  switch (key) {
    case 'n': plan->messages = number(state, arg); return 0;
    case 'i': plan->interval = number(state, arg); return 0;
    case 'f': plan->fifo = 1; return 0;
    case 'p':
      if (sscanf(arg, "%d,%d", &plan->from, &plan->to) != 2 || plan->from < 0 || plan->to < 0 ||
          plan->from >= CPU_SETSIZE || plan->to >= CPU_SETSIZE || plan->from == plan->to)
        argp_error(state, "%s: two processors, as 0,1", arg);
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

int main(int argc, char **argv) {
  const struct argp argp = {options, parse, NULL, "How long a message is under way from one processor to another.",
                            NULL,    NULL,  NULL};
  const struct shoal_segment_options still = {
      .size = 2 << 20,
      .participants = 8,
      .objects = 8,
      .flags = SHOAL_SEGMENT_PREFAULT | SHOAL_SEGMENT_LOCKED | SHOAL_SEGMENT_HUGE};
  struct plan plan = {.messages = 100000, .interval = 10000, .to = 1};
  struct shoal_segment *seg;
  argp_parse(&argp, argc, argv, 0, NULL, &plan);
  int rc = shoal_segment_create(NULL, &still, &seg);
  if (rc == 0) {
    rc = measure(&plan, seg);
    int closed = shoal_segment_close(seg);
    if (rc == 0) rc = closed;
  }
  if (rc) fprintf(stderr, "jitter: %s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc ? 1 : 0;
}
