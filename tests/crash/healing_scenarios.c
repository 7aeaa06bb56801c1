// ipc/work, how workers go and others come: recycled, retired, tried again later; and those who start them. Claims:
// whoever is killed in it, a job runs at most once or, with retries, at least once; one that waits to be tried again
// does not begin before it is due, and can be cancelled; what a killed creator or supervisor has started ends with it,
// and who waits is told.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/work/supervisor.h"
#include "tests/crash/executor_fixture.h"

#define HOUR_NS INT64_C(3600000000000)

enum { STARTED = RETRIES + 1, TOLD };  // T->word
enum { PIDS = 4 };                     // T->out from the first: processes that were started

SHOAL_TASK(healing_job, struct small) {
  __atomic_fetch_add(&T->taken[arg->id], 1, __ATOMIC_SEQ_CST);
  arg->out = 2 * arg->in;
  return 0;
}

static void submit(void) {
  struct small p = {.id = ID, .in = 21};
  OK(SHOAL_SUBMIT(X, healing_job, &p, &F));
}
#define HEALING(id, text, ...) CRASH_SCENARIO(id, .name = "healing: " text, .cleanup = end, __VA_ARGS__)
#define HEALING_PAIR(id, text, ...) HEALING(id, "pair, " text, .kind = CRASH_PAIR, __VA_ARGS__)

static void all_is_free(void) {
  struct shoal_executor_info info;
  shoal_executor_reap(X);
  OK(shoal_executor_info(X, &info));
  CRASH_EXPECT(info.jobs == 0, "%u cells are not free", info.jobs);
}
// A worker that waits for it runs it itself, when it is due.
static void is_over(void) {
  job_is_over_by(SHOAL_FOREVER);
  all_is_free();
}
static void check_over(void) { crash_survivor(is_over); }

// ---- tried again later ----
static void with_back_off(void) {
  make_with((struct shoal_executor_options){.retries = 3, .retry_delay_ns = 1});
  submit();
}
static void with_long_back_off(void) {
  make_with((struct shoal_executor_options){.retries = 3, .retry_delay_ns = 2 * HOUR_NS});
  submit();
}
HEALING(later, "a worker runs a job that is tried again later", .setup = with_back_off, .prepare = be_worker,
        .op = op_work, .check = check_over);

// Whatever orders come, it is not begun; but it can be cancelled.
static void waits_for_its_time(void) {
  struct shoal_order_ order = {F.job, F.generation};
  uint32_t ran = T->taken[ID];
  int begun = shoal_job_state_of_(shoal_job_look_(X, F.job, F.generation)) == SHOAL_JOB_RUNNING_;
  repair();
  OK(shoal_queue_put(X->queue, &order, SHOAL_TRY));
  heal();
  CRASH_EXPECT(!begun || T->taken[ID] == ran, "it was begun before it was due");
  int rc = shoal_future_cancel(&F, 0);
  CRASH_EXPECT(rc == 0 || rc == -EALREADY, "cancel: %d", rc);
  OK(shoal_future_release(&F));
  all_is_free();
}
static void check_waits(void) { crash_survivor(waits_for_its_time); }
HEALING(much_later, "a worker runs a job, not due again yet", .setup = with_long_back_off, .prepare = be_worker,
        .op = op_work, .check = check_waits);

static void op_cancel(void) {
  (void)shoal_future_cancel(&F, 0);
  OK(shoal_future_release(&F));
}
static void begin_and_leave(void) {
  uint64_t s = shoal_load64_acquire(&X->cells[F.job].state);
  s = shoal_job_with_(s, SHOAL_JOB_RUNNING_) | shoal_job_by_(0, 0, 1);
  shoal_store64_release(&X->cells[F.job].state, s);
}
static void begin_and_die(void) {
  begin_and_leave();
  repair();
}
static void it_waits(void) {
  with_long_back_off();
  begin_and_die();
}
static void cancelled(void) {
  heal();
  CRASH_EXPECT(T->taken[ID] == 0, "it ran %u times", T->taken[ID]);
  (void)shoal_future_cancel(&F, 0);
  (void)shoal_future_release(&F);
  all_is_free();
}
static void check_cancelled(void) { crash_survivor(cancelled); }
HEALING(later_cancelled, "cancel and release what is to be tried again later", .setup = it_waits, .prepare = produce,
        .op = op_cancel, .check = check_cancelled);

// Condemned while its dead worker's end is dealt with: nobody else looks after it.
static void with_dead(void) {
  with_long_back_off();
  begin_and_leave();
}
static void op_ended(void) { shoal_executor_ended_(X, 0, 0, -9); }
static void condemned_is_over(void) {
  int over = shoal_future_done(&F);
  CRASH_EXPECT(over == 1, "it is not over: %d", over);
  OK(shoal_future_release(&F));
  all_is_free();
}
static void check_condemned(void) { crash_survivor(condemned_is_over); }
HEALING(later_condemned, "who has it tried again later, it is condemned, goes on", .kind = CRASH_RESUMED,
        .setup = with_dead, .op = op_ended, .stopped = be_condemned, .check = check_condemned);

HEALING_PAIR(pair_later, "a worker, then who has it tried again later", .setup = with_back_off, .prepare = be_worker,
             .op = op_work, .op2 = repair, .check = check_over);

// ---- workers of a pool: recycled, retired ----
static struct shoal_pool P;
static struct shoal_pool_worker_ W;
static const struct shoal_pool_hooks_ hooks_of_all = {.run = shoal_executor_run_};
static struct shoal_pool_hooks_ hooks;

static void make_pool(uint32_t retries) {
  make_with((struct shoal_executor_options){.retries = retries});
  memset(&P, 0, sizeof P);
  OK(shoal_object_create(S, NULL, "pool", sizeof *P.header + 3 * sizeof *P.shared + sizeof(struct small), NULL, NULL,
                         &P.object));
  hooks = hooks_of_all;
  hooks.arg = X;
  P.seg = S, P.queue = X->queue, P.workers = 3;
  P.header = P.object.memory;
  P.shared = (struct shoal_worker_shm *)(P.header + 1);
  P.options.hooks_ = &hooks;
  P.options.tasks_max = 1;
  W = (struct shoal_pool_worker_){.pool = &P};
  submit();
}
static void end_pool(void) {
  shoal_object_close(S, &P.object);
  end();
}
static void with_one_task_each(void) { make_pool(3); }
static void with_memory(void) {
  make_pool(3);
  P.options.tasks_max = 0, P.options.memory_max = 1;
}
static void with_age(void) {
  make_pool(3);
  P.options.tasks_max = 0, P.options.age_max_ns = 1;
}
static void with_one_too_many(void) {
  make_pool(3);
  shoal_store32_relaxed(&P.header->surplus, 1);
}
// What they begin with: each with a copy of its own, before its first job.
static const struct small START = {.in = 7};
static uint32_t begun;
static int is_worker;
SHOAL_TASK(healing_begin, struct small) {
  begun = arg->in++;
  return 0;
}
SHOAL_TASK(healing_job_of_begun, struct small) {
  CRASH_EXPECT(!is_worker || begun == START.in, "a worker runs a job, and has begun with %u", begun);
  __atomic_fetch_add(&T->taken[arg->id], 1, __ATOMIC_SEQ_CST);
  arg->out = 2 * arg->in;
  return 0;
}
static void with_start(void) {
  struct small p = {.id = ID, .in = 21};
  make_pool(3);
  shoal_future_cancel(&F, 0);
  OK(shoal_future_release(&F));
  OK(SHOAL_SUBMIT(X, healing_job_of_begun, &p, &F));
  P.initial = (struct shoal_initial_){.init = &healing_begin_task_, .size = sizeof START};
  P.initial.argument = memcpy(P.shared + 3, &START, sizeof START);
}

static void op_worker(void) {
  is_worker = 1;
  OK(shoal_pool_be_worker_(&W));
}
static void op_successor(void) {
  W.incarnation = 1;
  P.options.age_max_ns = 1;  // it waits for no more, if all is done
  shoal_store32_relaxed(&P.shared[0].live.word, 0);
  op_worker();
}
static void check_recycled(void) {
  if (shoal_load32_relaxed(&P.shared[0].state) == SHOAL_WORKER_RECYCLED_)
    CRASH_EXPECT(T->taken[ID] == 1, "it has done its share, and its task ran %u times", T->taken[ID]);
  check_over();
}
// It has gone before it took anything; or has not gone, and then somebody still has to.
static void check_retired(void) {
  uint32_t surplus = shoal_load32_relaxed(&P.header->surplus), ran = T->taken[ID];
  if (shoal_load32_relaxed(&P.shared[0].state) == SHOAL_WORKER_RETIRED_)
    CRASH_EXPECT(!surplus && !ran, "it has retired: %u are too many, the job ran %u times", surplus, ran);
  CRASH_EXPECT(surplus <= 1 && !ran, "%u are too many, the job ran %u times", surplus, ran);
  check_over();
}
#define POOL(id, text, ...) \
  CRASH_SCENARIO(id, .name = "healing: " text, .cleanup = end_pool, .op = op_worker, __VA_ARGS__)
POOL(recycled, "a worker has done its share, and goes", .setup = with_one_task_each, .check = check_recycled);
POOL(recycled_memory, "a worker has too much memory, and goes", .setup = with_memory, .check = check_recycled);
POOL(recycled_age, "a worker is too old, and goes", .setup = with_age, .check = check_recycled);
POOL(retired, "a worker is one too many, and goes", .setup = with_one_too_many, .check = check_retired);
POOL(pair_recycled, "pair, a worker that goes, then its successor", .kind = CRASH_PAIR, .setup = with_one_task_each,
     .ready2 = have_repaired, .op2 = op_successor, .check = check_over);
POOL(begun, "a worker begins with an argument", .setup = with_start, .check = check_over);
POOL(pair_begun, "pair, a worker begins with an argument, then its successor", .kind = CRASH_PAIR, .setup = with_start,
     .ready2 = have_repaired, .op2 = op_successor, .check = check_over);

// ---- who starts them is killed: with real processes ----

// It sleeps, and no SIGKILL is on its way: nothing will end it. What has ended, or is ending, does neither.
static int stays(pid_t pid) {
  char path[32], line[128], state = 0;
  unsigned long long pending = 0, bits;
  snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  FILE *f = fopen(path, "re");
  if (!f) return 0;
  while (fgets(line, sizeof line, f)) {
    if (sscanf(line, "State: %c", &state) == 1) continue;
    if (sscanf(line, "SigPnd: %llx", &bits) == 1 || sscanf(line, "ShdPnd: %llx", &bits) == 1) pending |= bits;
  }
  fclose(f);
  return state == 'S' && !(pending >> (SIGKILL - 1) & 1);
}
static void check_all_ended(void) {
  crash_kill_victim();
  for (uint32_t i = 0; i < PIDS; i++) {
    pid_t pid = (pid_t)T->out[i];
    int looks = 0;
    while (pid && looks < 3 && stays(pid)) looks++;  // it may have begun to end between the two lines
    CRASH_EXPECT(looks < 3, "process %d has outlived who started it", (int)pid);
    if (looks == 3) kill(pid, SIGKILL);
  }
}
static void note_self(void) {
  uint32_t i = __atomic_fetch_add(&T->word[STARTED], 1, __ATOMIC_SEQ_CST);
  if (i < PIDS) T->out[i] = (uint64_t)getpid();
}
static int stay(void *unused) {
  (void)unused;
  note_self();
  while (pause()) continue;
  return 0;
}
static struct shoal_supervisor *V;
static void supervise(void) {
  sigset_t told;  // each signal would stop the victim
  sigemptyset(&told);
  sigaddset(&told, SIGCHLD);
  sigprocmask(SIG_BLOCK, &told, NULL);
  OK(shoal_supervisor_create(&(struct shoal_supervisor_options){.strategy = SHOAL_ONE_FOR_ALL}, &V));
  for (int i = 0; i < 2; i++)
    OK(shoal_supervisor_add(V, &(struct shoal_supervised){.name = i ? "b" : "a", .work = stay, .grace_ns = -1}));
}
static void kill_one(void) {
  while (!T->out[0] || !T->out[1]) usleep(100);
  kill((pid_t)T->out[0], SIGKILL);
}
static void op_restart(void) { OK(shoal_supervisor_tend(V, SHOAL_FOREVER)); }
CRASH_SCENARIO(supervised, .name = "supervisor: one of two is killed, both are started again", .prepare = supervise,
               .ready = kill_one, .op = op_restart, .check = check_all_ended);

// ---- so is the creator of an executor, as it replaces one, or changes their number; somebody waits for a job ----
static struct shoal_segment *R;  // the driver's
static int init_real(void *arg, unsigned worker) {
  (void)arg, (void)worker;
  note_self();
  return 0;
}
static void with_segment(void) {
  const struct shoal_segment_options options = {
      .size = 1100 << 10, .size_max = 1100 << 10, .participants = 16, .objects = 16};
  shoal_spin_max_ = 3;
  OK(shoal_segment_create(NULL, &options, &R));
}
static void without_segment(void) { shoal_segment_close(R); }
static void create_with(unsigned workers) {
  struct shoal_executor_options o = {
      .workers = workers, .workers_max = 2, .jobs = 16, .producers = 8, .init = init_real};
  sigset_t told;  // each signal would stop the victim
  sigemptyset(&told);
  sigaddset(&told, SIGCHLD);
  sigprocmask(SIG_BLOCK, &told, NULL);
  OK(shoal_executor_create(R, "real", &o, &X));
  for (unsigned i = 0; i < workers; i++)
    while (!T->out[i]) usleep(100);  // who waits for one that has not begun looks again and again; in here, in an hour
}
static void create_one(void) { create_with(1); }
static void create_two(void) { create_with(2); }

SHOAL_TASK(endless_job, struct small) {
  T->taken[arg->id]++;
  while (pause()) continue;
  return 0;
}
static void wait_for_endless(int i) {
  struct shoal_executor *ex;
  struct shoal_future f;
  struct small s = {.id = ID, .in = 21};
  (void)i;
  OK(shoal_executor_open(R, "real", &ex));
  OK(SHOAL_SUBMIT(ex, endless_job, &s, &f));
  int rc = shoal_future_get(&f, NULL, 0, NULL, SHOAL_FOREVER);
  CRASH_EXPECT(rc == -EPIPE || rc == -EREMOTEIO, "get answered %d", rc);
  T->word[TOLD] = 1;
}
static int is_dead(pid_t pid) {
  char path[32], text[256] = "", *at;
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *f = fopen(path, "re");
  size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
  if (f) fclose(f);
  at = strrchr(text, ')');
  return n == 0 || (at && at[2] == 'Z');
}
static void somebody_waits(void) {
  crash_actor(wait_for_endless, 0);
  crash_all_asleep();
  while (!T->taken[ID]) usleep(100);
}
static void one_dies(void) {
  somebody_waits();
  kill((pid_t)T->out[0], SIGKILL);
  while (!is_dead((pid_t)T->out[0])) usleep(100);
}
static void by_itself(void) {}  // the victim sleeps until a worker of its own has ended
static void check_creator(void) {
  check_all_ended();
  CRASH_UNTIL(T->word[TOLD], "who waits was not told that the creator has gone");
}
static void op_replace(void) { OK(shoal_executor_tend(X, SHOAL_FOREVER)); }
static void op_grow(void) { OK(shoal_executor_resize(X, 2, SHOAL_FOREVER)); }
// It does not wait: whom it has told is on the way to its end for a while, which is looked at again and again, too.
static void op_shrink(void) {
  int rc = shoal_executor_resize(X, 1, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN, "resize answered %d", rc);
}
#define CREATOR(id, text, ...)                                                                                \
  CRASH_SCENARIO(id, .name = "healing: the creator " text, .setup = with_segment, .cleanup = without_segment, \
                 .asleep = by_itself, .check = check_creator, __VA_ARGS__)
CREATOR(replaces, "replaces a killed worker", .prepare = create_one, .ready = one_dies, .op = op_replace);
CREATOR(grows, "has more workers", .prepare = create_one, .ready = somebody_waits, .op = op_grow);
CREATOR(shrinks, "has fewer workers", .prepare = create_two, .ready = somebody_waits, .op = op_shrink);
