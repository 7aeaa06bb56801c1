// Claims: nothing grows with the number of tasks, whichever way they are asked for. After so many, as after a twentieth
// of them: no cell is taken, no block of the heap is left, the segment is as large, and creator and workers have no
// more memory of their own than BYTES. An imap reads an input that never ends no further than its window.
//   SHOAL_GROWTH_TASKS=10000000 (of each; otherwise 100,000)     SHOAL_GROWTH_ONLY=KIND
#include "core/heap.h"
#include "ipc/work/map.h"
#include "tests/ipc/work/executor_support.h"

#define WINDOW 1000u
#define STRICT 7u  // an imap's window
#define BYTES (256u << 10)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MEMORY 0  // they keep what was freed
#else
#define OWN_MEMORY 1
#endif

static struct shoal_executor *ex;

struct large {
  uint64_t in, out, more[62];
};
SHOAL_TASK(add_one, struct small) {
  arg->out = arg->in + 1;
  return 0;
}
SHOAL_TASK(add_one_to_large, struct large) {
  arg->out = arg->in + 1;
  return 0;
}
SHOAL_TASK(refuse, struct small) { return shoal_task_fail(-EDOM, "%u", arg->in); }
SHOAL_TASK(ask_another, struct small) {
  arg->out = arg->in;
  return SHOAL_APPLY(shoal_executor_current(), add_one, arg, NULL, SHOAL_FOREVER);
}

// ---- so many at once ----

static void submit(const struct shoal_task *task, uint32_t n, int answer) {
  static struct shoal_future f[WINDOW];
  struct large l = {.in = 1};
  for (uint32_t i = 0; i < n; i++) CHECK(!shoal_executor_submit_task(ex, task, &l, task->size, SHOAL_FOREVER, &f[i]));
  for (uint32_t i = 0; i < n; i++) {
    CHECK(shoal_future_get(&f[i], &l, task->size, NULL, SHOAL_FOREVER) == answer);
    CHECK(!shoal_future_release(&f[i]));
  }
}
static void get(uint32_t n) { submit(&add_one_task_, n, 0); }
static void get_large(uint32_t n) { submit(&add_one_to_large_task_, n, 0); }
static void fail_all(uint32_t n) { submit(&refuse_task_, n, -EREMOTEIO); }
static void nest(uint32_t n) { submit(&ask_another_task_, n, 0); }
static void give_up(uint32_t n) {
  struct large l = {.in = 1};
  for (uint32_t i = 0; i < n; i++) CHECK(!SHOAL_SUBMIT(ex, add_one_to_large, &l, NULL));
}
static void cancel(uint32_t n) {
  static struct shoal_future f[WINDOW];
  struct large l = {.in = 1};
  for (uint32_t i = 0; i < n; i++) CHECK(!SHOAL_SUBMIT(ex, add_one_to_large, &l, &f[i]));
  for (uint32_t i = 0; i < n; i++) {
    (void)shoal_future_cancel(&f[i], 0);
    CHECK(!shoal_future_release(&f[i]));
  }
}
static void count(const struct shoal_future *f, void *n) {
  ++*(uint32_t *)n;
  CHECK(!shoal_future_release(f));
}
static void call_back(uint32_t n) {
  struct small s = {.in = 1};
  struct shoal_future f;
  uint32_t called = 0;
  for (uint32_t i = 0; i < n; i++)
    CHECK(!SHOAL_SUBMIT(ex, add_one, &s, &f) && !shoal_future_on_done(&f, count, &called));
  while (called < n) CHECK(shoal_executor_poll(ex, SHOAL_FOREVER) >= 0);
}
static void then(uint32_t n) {
  struct small s = {.in = 1};
  struct shoal_future f, next;
  for (uint32_t i = 0; i < n; i += 2) {
    CHECK(!SHOAL_SUBMIT(ex, add_one, &s, &f) && !SHOAL_THEN(&f, add_one, &next) && !shoal_future_release(&f));
    CHECK(!shoal_future_get(&next, NULL, 0, NULL, SHOAL_FOREVER) && !shoal_future_release(&next));
  }
}
static void map(uint32_t n) {
  static struct small items[WINDOW];
  struct shoal_map *m;
  CHECK(!SHOAL_MAP_ASYNC(ex, add_one, items, n, 1, &m));
  CHECK(!shoal_map_get(m, NULL, SHOAL_FOREVER) && !shoal_map_end(m));
}

// Numbers without an end. How many have been asked for.
static int next_number(void *asked, void *item) {
  *(struct small *)item = (struct small){.in = ++*(uint32_t *)asked};
  return 1;
}
static void read_endless(uint32_t n, uint32_t unordered) {
  struct shoal_imap_options o = {.window = STRICT, .unordered = unordered};
  struct shoal_imap *it;
  struct small s;
  uint32_t asked = 0;
  CHECK(!SHOAL_IMAP(ex, add_one, next_number, &asked, &o, &it));
  for (uint32_t i = 1; i <= n; i++) {
    CHECK(!shoal_imap_next(it, &s, sizeof s, NULL, SHOAL_FOREVER));
    CHECK(s.out == s.in + 1 && (unordered || s.in == i));
    CHECK(asked <= i - 1 + STRICT);
  }
  CHECK(!shoal_imap_end(it));
}
static void imap(uint32_t n) { read_endless(n, 0); }
static void imap_unordered(uint32_t n) { read_endless(n, 1); }

// As many as there can ever be at a time: all workers are busy, and the queue is full.
static void fill(void) {
  struct large l = {.in = 1};
  int rc = 0;
  shoal_store32_relaxed(&ledger->go, 0);
  for (unsigned i = 0; i < WORKERS; i++) CHECK(!SHOAL_SUBMIT(ex, hold, (&(struct small){.id = i, .in = 1}), NULL));
  for (unsigned i = 0; i < WORKERS; i++) await_begun(i);
  while (!rc) rc = SHOAL_SUBMIT_UNTIL(ex, add_one_to_large, &l, SHOAL_TRY, NULL);
  CHECK(rc == -EAGAIN);
  shoal_store32_relaxed(&ledger->go, 1);
}

static const struct kind {
  const char *name;
  void (*pass)(uint32_t n);
  int at_once;  // else in windows
} kinds[] = {
    {"get", get, 0},
    {"large", get_large, 0},
    {"failed", fail_all, 0},
    {"nested", nest, 0},
    {"given up", give_up, 1},
    {"cancelled", cancel, 0},
    {"callbacks", call_back, 0},
    {"then", then, 0},
    {"map", map, 0},
    {"imap", imap, 1},
    {"imap unordered", imap_unordered, 1},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static void pass(const struct kind *k, uint32_t n) {
  if (k->at_once) return k->pass(n);
  for (uint32_t left = n; left;) {
    uint32_t now = left < WINDOW ? left : WINDOW;
    k->pass(now);
    left -= now;
  }
}

// ---- what there is ----

// Resident, but for files and segments.
static uint64_t own_bytes(pid_t pid) {
  char path[32];
  unsigned long resident = 0, shared = 0;
  snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
  FILE *f = fopen(path, "re");
  CHECK(f && fscanf(f, "%*u %lu %lu", &resident, &shared) == 2);
  fclose(f);
  return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}
struct figures {
  uint64_t segment, heap, blocks, creator, worker[WORKERS];
};
static struct figures look(void) {
  struct shoal_executor_info info;
  struct shoal_segment_info s;
  struct shoal_heap_info h = {.blocks = 0};
  struct shoal_heap *heap;
  do {
    CHECK(shoal_executor_tend(ex, SHOAL_TRY) >= 0 && !shoal_executor_info(ex, &info));
    if (info.jobs) usleep(100);
  } while (info.jobs);
  CHECK(!shoal_heap_open(seg, &heap));
  shoal_heap_reap(heap);
  CHECK(!shoal_heap_info(heap, &h) && !shoal_segment_info(seg, &s));
  shoal_heap_close(heap);
  struct figures f = {s.used, h.size, h.blocks, own_bytes(getpid()), {0}};
  for (unsigned i = 0; i < WORKERS; i++) {
    struct shoal_executor_worker w;
    CHECK(!shoal_executor_worker(ex, i, &w) && w.restarts == 0);
    f.worker[i] = own_bytes(w.pid);
  }
  return f;
}
static uint64_t most_of(const struct figures *f) {
  uint64_t most = 0;
  for (unsigned i = 0; i < WORKERS; i++) most = f->worker[i] > most ? f->worker[i] : most;
  return most;
}

static void test_nothing_grows(void **state) {
  (void)state;
  const char *many = getenv("SHOAL_GROWTH_TASKS"), *only = getenv("SHOAL_GROWTH_ONLY");
  uint32_t n = many ? (uint32_t)strtoul(many, NULL, 0) : 100000;
  for (unsigned i = 0; i < KINDS; i++) {
    if (only && strcmp(only, kinds[i].name)) continue;
    set_up(NULL);
    ex = executor_of((struct shoal_executor_options){.jobs = 2 * WINDOW});
    fill();
    pass(&kinds[i], n / 20 + 2 * WINDOW);
    struct figures before = look();
    pass(&kinds[i], n);
    struct figures after = look();
    print_message(
        "%-14s %9u tasks, bytes before and after: segment %lu, %lu; heap %lu, %lu; creator %lu, %lu; worker "
        "%lu, %lu\n",
        kinds[i].name, n, (unsigned long)before.segment, (unsigned long)after.segment, (unsigned long)before.heap,
        (unsigned long)after.heap, (unsigned long)before.creator, (unsigned long)after.creator,
        (unsigned long)most_of(&before), (unsigned long)most_of(&after));
    assert_int_equal(after.blocks, before.blocks);
    assert_int_equal(after.segment, before.segment);
    assert_int_equal(after.heap, before.heap);
    for (unsigned w = 0; OWN_MEMORY && w < WORKERS; w++) assert_true(after.worker[w] <= before.worker[w] + BYTES);
    if (OWN_MEMORY) assert_true(after.creator <= before.creator + BYTES);
    end_executor(ex);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing_grows)};
  if (begin_tests(NULL)) return 2;
  watchdog(getenv("SHOAL_GROWTH_TASKS") ? 7200 : 280);
  return cmocka_run_group_tests(tests, NULL, end_tests);
}
