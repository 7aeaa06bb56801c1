// ipc/work/executor. Claims: whoever is killed in it, a job runs at most once or, with retries, at least once, and is over in one state; a
// submit that returned is a job that runs; who waits for a job is woken; every cell is free again.
#include <errno.h>
#include <string.h>

#include "core/error.h"
#include "ipc/work/executor_internal.h"
#include "tests/crash/crash.h"

#define ID 7u

struct small {
  uint32_t id, in, out;
};
struct large {
  uint32_t id, in, out, more[30];
};
static int run(uint32_t id) {
  __atomic_fetch_add(&T->taken[id], 1, __ATOMIC_SEQ_CST);
  return 0;
}
SHOAL_TASK(small_job, struct small) {
  arg->out = 2 * arg->in;
  return run(arg->id);
}
SHOAL_TASK(large_job, struct large) {
  arg->out = 2 * arg->in;
  return run(arg->id);
}

enum { ACKNOWLEDGED, RETRIES, GOT };  // T->word

static const struct shoal_segment_options options = {
    .size = 1100 << 10, .size_max = 1100 << 10, .participants = 16, .objects = 16};
static struct shoal_segment *S;
static struct shoal_executor *X;
static struct shoal_future F;

#define OK(call)                                                               \
  do {                                                                         \
    int rc_ = (call);                                                          \
    CRASH_EXPECT(rc_ >= 0, "%s answered %d (%s)", #call, rc_, shoal_reason()); \
  } while (0)

static void make_with(uint32_t retries, int letters) {
  struct shoal_executor_options o = {
      .workers = 2, .jobs = 16, .producers = 8, .retries = retries, .dead_letters = letters};
  shoal_spin_max_ = 3;
  T->word[RETRIES] = retries;
  OK(shoal_segment_create(NULL, &options, &S));
  OK(shoal_executor_make_(S, NULL, &o, NULL, &X));
  OK(shoal_queue_join(X->queue, SHOAL_PRODUCER));
}
static void make(uint32_t retries) { make_with(retries, 0); }
static void end(void) {
  shoal_executor_detach(X);
  shoal_segment_close(S);
}
#define EXECUTOR(id, text, ...) CRASH_SCENARIO(id, .name = "executor: " text, .cleanup = end, __VA_ARGS__)

static void submit_small(void) {
  struct small s = {.id = ID, .in = 21};
  OK(SHOAL_SUBMIT(X, small_job, &s, &F));
}

// ---- who is left: worker 1, and what the creator does about worker 0 ----
static void work_off(void) {
  struct shoal_loan loan;
  OK(shoal_executor_be_worker_(X, 1, 0));
  while (shoal_queue_receive(X->queue, &loan, SHOAL_TRY) == 0) shoal_executor_serve_(X, &loan);
}
static void heal(void) {
  shoal_role_reap(&X->queue->wait);
  shoal_executor_ended_(X, 0, 0, -9);
  work_off();
}
static void all_cells_are_free(void) {
  struct shoal_executor_info info;
  struct small s = {.id = 9, .in = 4};
  shoal_executor_reap(X);
  OK(shoal_executor_info(X, &info));
  CRASH_EXPECT(info.jobs == 0, "%u cells are not free", info.jobs);
  for (int i = 0; i < 40; i++) {
    OK(SHOAL_SUBMIT_UNTIL(X, small_job, &s, SHOAL_TRY, NULL));
    work_off();
  }
  CRASH_EXPECT(T->taken[9] == 40, "%u of 40 later jobs have run", T->taken[9]);
}

// ---- submit ----
static void submit_is_exact(void) {
  heal();
  uint32_t ran = T->taken[ID];
  shoal_executor_reap(X);
  work_off();
  CRASH_EXPECT(T->taken[ID] == ran, "it ran when it had been given up");
  CRASH_EXPECT(ran <= 1 && ran >= T->word[ACKNOWLEDGED], "submitted %u, it ran %u times", T->word[ACKNOWLEDGED], ran);
  all_cells_are_free();
}
static void check_submit(void) { crash_survivor(submit_is_exact); }
static void with_nothing(void) { make(0); }
static void produce(void) { OK(shoal_queue_join(X->queue, SHOAL_PRODUCER)); }
static void op_submit(void) {
  submit_small();
  T->word[ACKNOWLEDGED] = 1;
}
static void op_submit_large(void) {
  struct large l = {.id = ID, .in = 21};
  OK(SHOAL_SUBMIT(X, large_job, &l, NULL));
  T->word[ACKNOWLEDGED] = 1;
}
EXECUTOR(submit, "submit", .setup = with_nothing, .prepare = produce, .op = op_submit, .check = check_submit);
EXECUTOR(submit_large, "submit a large one, nobody's future", .setup = with_nothing, .prepare = produce,
         .op = op_submit_large, .check = check_submit);

// ---- a worker: claim, run, complete ----
static void with_job(void) {
  make(0);
  submit_small();
}
static void with_retries(void) {
  make(3);
  submit_small();
}
static void detached(void) {
  make(0);
  submit_small();
  OK(shoal_future_release(&F));
}
static void be_worker(void) { OK(shoal_executor_be_worker_(X, 0, 0)); }
static void op_work(void) {
  struct shoal_loan loan;
  OK(shoal_queue_receive(X->queue, &loan, SHOAL_FOREVER));
  OK(shoal_executor_serve_(X, &loan));
}
static void job_is_over(void) {
  struct small s;
  struct shoal_failure failure = {.code = 0};
  heal();
  int rc = shoal_future_get(&F, &s, sizeof s, &failure, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || (rc == -EREMOTEIO && failure.code == -ENOTRECOVERABLE && !T->word[RETRIES]),
               "it ended with %d, %d", rc, failure.code);
  if (rc == 0) CRASH_EXPECT(s.out == 42 && T->taken[ID] >= 1, "%u, run %u times", s.out, T->taken[ID]);
  CRASH_EXPECT(T->word[RETRIES] || T->taken[ID] <= 1, "it ran %u times", T->taken[ID]);
  OK(shoal_future_release(&F));
  all_cells_are_free();
}
static void check_work(void) { crash_survivor(job_is_over); }
EXECUTOR(work, "a worker runs a job", .setup = with_job, .prepare = be_worker, .op = op_work, .check = check_work);
EXECUTOR(work_retried, "a worker runs a job that is retried", .setup = with_retries, .prepare = be_worker,
         .op = op_work, .check = check_work);

static void forgotten_is_exact(void) {
  heal();
  CRASH_EXPECT(T->taken[ID] <= 1, "it ran %u times", T->taken[ID]);
  struct shoal_executor_info info;
  OK(shoal_executor_info(X, &info));
  CRASH_EXPECT(info.pending + info.running + info.finished == 0, "it is not over");
}
static void check_forgotten(void) { crash_survivor(forgotten_is_exact); }
EXECUTOR(work_detached, "a worker runs a job without a future", .setup = detached, .prepare = be_worker, .op = op_work,
         .check = check_forgotten);

// ---- who waits is woken ----
static void getter(int i) {
  struct small s;
  (void)i;
  int rc = shoal_future_get(&F, &s, sizeof s, NULL, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0 || rc == -EREMOTEIO, "get answered %d", rc);
  T->word[GOT] = 1;
}
static void somebody_waits(void) {
  crash_actor(getter, 0);
  crash_all_asleep();
}
static void check_woken(void) {
  crash_survivor(heal);
  CRASH_UNTIL(T->word[GOT], "who waits was not woken");
  crash_survivor(job_is_over);
}
EXECUTOR(work_awaited, "a worker runs a job, and somebody waits", .setup = with_job, .prepare = be_worker,
         .ready = somebody_waits, .op = op_work, .check = check_woken);

static void op_get(void) {
  struct small s;
  int rc = shoal_future_get(&F, &s, sizeof s, NULL, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0 && s.out == 42, "get answered %d", rc);
}
static void run_it(void) { crash_survivor(work_off); }
EXECUTOR(get, "get, asleep", .setup = with_job, .op = op_get, .asleep = run_it, .check = check_work);

// ---- giving up ----
static void op_give_up(void) {
  (void)shoal_future_cancel(&F, 0);
  OK(shoal_future_release(&F));
}
static void op_release(void) { OK(shoal_future_release(&F)); }
static void own_job(void) {
  produce();
  submit_small();
}
static void given_up(void) {
  heal();
  CRASH_EXPECT(T->taken[ID] <= 1, "it ran %u times", T->taken[ID]);
  all_cells_are_free();
}
static void check_given_up(void) { crash_survivor(given_up); }
EXECUTOR(give_up, "cancel and release", .setup = with_nothing, .prepare = own_job, .op = op_give_up,
         .check = check_given_up);
EXECUTOR(release, "release what is not over", .setup = with_nothing, .prepare = own_job, .op = op_release,
         .check = check_given_up);

// ---- a dead letter ----
static void with_letter(void) {
  make_with(0, 1);
  submit_small();
  uint64_t s = shoal_load64_acquire(&X->cells[F.job].state);  // worker 0 begins it, and dies
  s = shoal_job_with_(s, SHOAL_JOB_RUNNING_) | shoal_job_by_(0, 0, 1);
  shoal_store64_release(&X->cells[F.job].state, s);
  shoal_executor_end_(X, F.job, s);
}
static int read_one(struct small *s) {
  struct shoal_letter letter;
  int rc = shoal_executor_letter(X, &letter, s, sizeof *s);
  if (rc == 0)
    CRASH_EXPECT(s->in == 21 && letter.failure.code == -ENOTRECOVERABLE, "%u, %d", s->in, letter.failure.code);
  return rc;
}
static void op_letter(void) {
  struct small s;
  OK(read_one(&s));
  OK(shoal_future_release(&F));
}
static void letter_is_read(void) {
  struct small s;
  int rc = read_one(&s);
  CRASH_EXPECT(rc == 0 || rc == -ENOENT, "a letter: %d", rc);
  CRASH_EXPECT(read_one(&s) == -ENOENT, "it is there twice");
  (void)shoal_future_release(&F);
  all_cells_are_free();
}
static void check_letter(void) { crash_survivor(letter_is_read); }
EXECUTOR(letter, "a dead letter is read, and its future released", .setup = with_letter, .op = op_letter,
         .check = check_letter);

// ---- one after another ----
static struct shoal_future G;

static void op_then(void) {
  OK(SHOAL_THEN(&F, small_job, &G));
  T->word[ACKNOWLEDGED] = 1;
  OK(shoal_future_release(&G));
  OK(shoal_future_release(&F));
}
// Both are of the same struct, and number.
static void then_is_exact(void) {
  heal();
  uint32_t ran = T->taken[ID];
  shoal_executor_reap(X);
  work_off();
  CRASH_EXPECT(T->taken[ID] == ran, "it ran when it had been given up");
  CRASH_EXPECT(ran <= 2 && ran >= 1 + T->word[ACKNOWLEDGED], "submitted %u, they ran %u times", T->word[ACKNOWLEDGED],
               ran);
  all_cells_are_free();
}
static void check_then(void) { crash_survivor(then_is_exact); }
EXECUTOR(then, "a job after another, and both released", .setup = with_nothing, .prepare = own_job, .op = op_then,
         .check = check_then);

static void with_next(void) {
  with_job();
  OK(SHOAL_THEN(&F, small_job, &G));
}
static void op_work_both(void) {
  op_work();
  op_work();
}
static void next_is_over(void) {
  struct small s;
  struct shoal_failure failure = {.code = 0};
  heal();
  int rc = shoal_future_get(&G, &s, sizeof s, &failure, SHOAL_TRY);  // which helps
  if (rc == -EAGAIN) work_off(), rc = shoal_future_get(&G, &s, sizeof s, &failure, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || rc == -ECANCELED || (rc == -EREMOTEIO && failure.code == -ENOTRECOVERABLE),
               "it ended with %d, %d", rc, failure.code);
  CRASH_EXPECT(rc == 0 ? T->taken[ID] == 2 : T->taken[ID] <= 2, "%d, run %u times", rc, T->taken[ID]);
  (void)shoal_future_release(&F);
  OK(shoal_future_release(&G));
  all_cells_are_free();
}
static void check_next(void) { crash_survivor(next_is_over); }
EXECUTOR(work_next, "a worker runs a job and the next", .setup = with_next, .prepare = be_worker, .op = op_work_both,
         .check = check_next);
EXECUTOR(give_up_first, "cancel and release the first of two", .setup = with_next, .op = op_give_up,
         .check = check_next);
