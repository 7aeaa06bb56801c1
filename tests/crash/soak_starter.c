// tests/crash/soak_starter.c: creators of executors whose workers their starters fork. Starters and workers are killed
// at any instant by a process of its own, creators by the driver.
//
// The ledger is the array that is mapped: a job without retries has begun once at most; with retries it was done; a map
// that says all is done has done all. In the end no process is left. Whom the killer ends is a child of that creator
// still, or it ends nobody.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/error.h"
#include "core/heap.h"
#include "ipc/work/map.h"
#include "ipc/work/process.h"
#include "tests/crash/soak.h"

#define CREATORS 3
#define WORKERS 2u
#define JOBS 24u
#define RETRIES 62u

static struct table {
  volatile uint64_t done, killed, doubled, lost;
  volatile uint32_t closing;
  struct {
    volatile pid_t creator, starter, worker[WORKERS];
  } seat[CREATORS];
} * t;
static struct shoal_segment *seg;
static struct shoal_heap *heap;

struct starter_job {
  uint32_t begun, ended, pause_us;
};
SHOAL_TASK(starter_job, struct starter_job) {  // in a fresh image: it knows its argument only
  __atomic_fetch_add(&arg->begun, 1, __ATOMIC_SEQ_CST);
  soak_pause_us(arg->pause_us);
  __atomic_fetch_add(&arg->ended, 1, __ATOMIC_SEQ_CST);
  return 0;
}

// ---- creators ----

static void show(struct shoal_executor *ex, int seat) {
  struct shoal_executor_worker w;
  t->seat[seat].starter = shoal_starter_pid();
  for (unsigned i = 0; i < WORKERS; i++)
    if (shoal_executor_worker(ex, i, &w) == 0) t->seat[seat].worker[i] = w.pid;
}
static void look(const struct starter_job *jobs, uint32_t retries, int rc) {
  for (uint32_t i = 0; i < JOBS; i++) {
    if (!retries && jobs[i].begun > 1) __atomic_fetch_add(&t->doubled, 1, __ATOMIC_SEQ_CST);
    if ((retries || rc == 0) && !jobs[i].ended) __atomic_fetch_add(&t->lost, 1, __ATOMIC_SEQ_CST);
  }
  __atomic_fetch_add(&t->done, JOBS, __ATOMIC_SEQ_CST);
}
static void map(struct shoal_executor *ex, struct starter_job *jobs, uint32_t retries, int seat) {
  struct shoal_failure failure = {.code = 0};
  struct shoal_map *m;
  for (uint32_t i = 0; i < JOBS; i++) jobs[i] = (struct starter_job){.pause_us = soak_below(4) ? 0 : soak_below(300)};
  int rc = SHOAL_MAP_ASYNC(ex, starter_job, jobs, JOBS, 1, &m);
  SOAK_EXPECT(rc == 0, "map answered %d (%s)", rc, shoal_reason());
  if (rc) return;
  while ((rc = shoal_map_get(m, &failure, shoal_after_us(1000))) == -ETIMEDOUT) show(ex, seat);
  SOAK_EXPECT(rc == 0 || (rc == -EREMOTEIO && !retries && failure.code == -ENOTRECOVERABLE), "map: %d, %d (%s)", rc,
              failure.code, shoal_reason());
  look(jobs, retries, rc);
  shoal_map_end(m);
}
static void live(struct starter_job *jobs, int seat) {
  struct shoal_context context = {SHOAL_START_STARTER, seg};
  uint32_t retries = soak_below(2) ? RETRIES : 0;
  struct shoal_executor_options o = {
      .workers = WORKERS, .jobs = 64, .retries = retries, .tasks_max = soak_below(2) ? 0 : 10, .context = &context};
  struct shoal_executor *ex;
  int rc = shoal_executor_create(seg, NULL, &o, &ex);
  SOAK_EXPECT(rc == 0 || rc == -EPIPE, "create answered %d (%s)", rc, shoal_reason());
  if (rc) return;  // its starter was killed again and again
  for (uint32_t n = 1 + soak_below(8); n && !t->closing; n--) {
    show(ex, seat);
    map(ex, jobs, retries, seat);
  }
  rc = soak_below(4) ? shoal_executor_shutdown(ex, 0, SHOAL_FOREVER) : shoal_executor_terminate(ex, soak_deadline());
  SOAK_EXPECT(rc == 0, "the end answered %d (%s)", rc, shoal_reason());
  rc = shoal_executor_detach(ex);
  SOAK_EXPECT(rc == 0, "detach answered %d (%s)", rc, shoal_reason());
}
static void work(uint32_t id, int seat) {
  void *jobs = NULL;
  (void)id;
  t->seat[seat].creator = getpid();
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_heap_open(seg, &heap);
  if (rc == 0) rc = shoal_heap_alloc(heap, JOBS * sizeof(struct starter_job), &jobs);
  SOAK_EXPECT(rc == 0, "segment: %d (%s)", rc, shoal_reason());
  while (rc == 0 && !t->closing) live(jobs, seat);
  rc = shoal_starter_end();
  SOAK_EXPECT(rc == 0, "the starter's end: %d", rc);
  _exit(0);
}

// ---- the killer ----

static void kill_child(pid_t child, pid_t creator) {
  int fd = child > 0 && creator > 0 ? (int)syscall(SYS_pidfd_open, child, 0) : -1;
  if (fd < 0) return;
  if (soak_parent(child) == creator && syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0) t->killed++;
  close(fd);
}
static void kill_on(void) {
  while (!t->closing) {
    soak_pause_us(soak_below(4000));
    uint32_t seat = soak_below(CREATORS), what = soak_below(4);
    pid_t creator = t->seat[seat].creator;
    if (what < 3) kill_child(t->seat[seat].starter, creator);
    else kill_child(t->seat[seat].worker[soak_below(WORKERS)], creator);
  }
  _exit(0);
}

// ---- the driver ----

static void begin(void) {
  if (!t) t = soak_shared(sizeof *t);
  *t = (struct table){.done = 0};
  soak_adopt();
  pid_t killer = soak_fork();
  for (int n = getpid() % 97; killer == 0 && n; n--) soak_random();
  if (killer == 0) kill_on();
}
static uint64_t progress(void) { return t->done; }
static void end(void) {
  t->closing = 1;
  soak_all_end(CREATORS, CREATORS, "creator", "");
  for (int seat = 0; seat < CREATORS; seat++) soak_kill(seat);
  soak_no_orphan();
  soak.done += t->done;
  soak.kills += t->killed;
  soak.doubled += t->doubled;
  soak.lost += t->lost;
}

const struct soak_room soak_starter = {"starter", CREATORS, begin, work, progress, NULL, end, NULL, NULL};
