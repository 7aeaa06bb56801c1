// ipc/work, what workers begin with: the argument of init_task lies in the pool's object. Claim: killed anywhere in
// making or ending a pool or an executor with one, whoever made it leaves nothing of it in the segment.
#include <signal.h>
#include <unistd.h>

#include "ipc/work/executor.h"
#include "ipc/work/pool.h"
#include "ipc/work/task.h"
#include "tests/crash/fixture.h"

enum { POOLS = OWN_WORDS };  // T->word: the queue of a pool is there
#define LOOKS 50000u         // 200 us each

struct start {
  uint32_t n;
  char text[996];
};
SHOAL_TASK(initial_begin, struct start) { return arg->text[0] == 'x' ? 0 : shoal_task_fail(-EINVAL, "not told"); }
SHOAL_TASK(initial_job, struct start) { return 0; }

static const struct start START = {.text = "x"};
static struct shoal_queue *Q;
static struct shoal_pool *P;
static struct shoal_executor *X;

static void make(void) { fixture_segment(4 << 20); }
static void make_with_queue(void) {
  static const struct shoal_queue_options o = {.capacity = 4, .element_size = sizeof(struct start), .consumers = 4};
  make();
  T->word[POOLS] = 1;
  CRASH_OK(shoal_queue_create(S, NULL, &o, &Q));
}
static void end_with_queue(void) {
  CRASH_OK(shoal_queue_detach(Q));
  fixture_segment_end();
}

static const struct shoal_context by_fork = {.method = SHOAL_START_FORK};
static void ignore_children(void) {  // each signal would stop the victim
  sigset_t told;
  sigemptyset(&told);
  sigaddset(&told, SIGCHLD);
  sigprocmask(SIG_BLOCK, &told, NULL);
}
static void op_pool(void) {
  struct shoal_pool_options o = {.task = "initial_job", .queue = Q, .workers = 1, .context = &by_fork};
  o.init_task = o.finalize_task = "initial_begin", o.init_argument = &START, o.init_size = sizeof START;
  CRASH_OK(shoal_pool_create(S, &o, &P));
}
static void op_executor(void) {
  struct shoal_executor_options o = {.workers = 1, .jobs = 16, .producers = 4, .context = &by_fork};
  o.init_task = o.finalize_task = "initial_begin", o.init_argument = &START, o.init_size = sizeof START;
  CRASH_OK(shoal_executor_create(S, NULL, &o, &X));
}
static void with_pool(void) {
  ignore_children();
  op_pool();
}
static void with_executor(void) {
  ignore_children();
  op_executor();
}
static void op_pool_end(void) { CRASH_OK(shoal_pool_destroy(P)); }
static void op_executor_end(void) { CRASH_OK(shoal_executor_detach(X)); }
static void by_itself(void) {}  // the victim sleeps until its worker has ended

// ---- who is left: the workers of the dead end meanwhile ----

static uint32_t objects(void) {
  struct shoal_heap_info heap = {0};
  struct shoal_segment_info info = {.objects = 0};
  CRASH_EXPECT(shoal_proc_reap(S) >= 0, "reap: %s", shoal_reason());
  CRASH_OK(shoal_heap_info(H, &heap));
  CRASH_OK(shoal_segment_info(S, &info));
  return info.objects - heap.chunks - 1;
}
static void nothing_stays(void) {
  for (unsigned looks = 0; objects() > T->word[POOLS] && looks < LOOKS; looks++) usleep(200);
  fixture_just(0, T->word[POOLS], "in the end");
}
static void check_gone(void) {
  crash_kill_victim();
  crash_survivor(nothing_stays);
}

#define INITIAL(id, text, ...) \
  CRASH_SCENARIO(id, .name = "initial: " text, .asleep = by_itself, .check = check_gone, __VA_ARGS__)
INITIAL(pool, "a pool is made", .setup = make_with_queue, .prepare = ignore_children, .op = op_pool,
        .cleanup = end_with_queue);
INITIAL(pool_end, "a pool is destroyed", .setup = make_with_queue, .prepare = with_pool, .op = op_pool_end,
        .cleanup = end_with_queue);
INITIAL(executor, "an executor is made", .setup = make, .prepare = ignore_children, .op = op_executor,
        .cleanup = fixture_segment_end);
INITIAL(executor_end, "an executor is ended", .setup = make, .prepare = with_executor, .op = op_executor_end,
        .cleanup = fixture_segment_end);
