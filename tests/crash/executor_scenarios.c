// ipc/work/executor. Claims: whoever is killed in it, a job runs at most once or, with retries, at least once, and is
// over in one state; a submit that returned is a job that runs; who waits for a job is woken; every cell is free again.
// Of several in one call: executor_map_scenarios.c.
#include <string.h>

#include "core/identity.h"
#include "tests/crash/executor_fixture.h"

#define FIRST 20u  // of several

enum { ACKNOWLEDGED = RETRIES + 1, GOT, STUCK, BETWEEN };  // T->word

struct large {
  uint32_t id, in, out, more[30];
};
SHOAL_TASK(large_job, struct large) {
  arg->out = 2 * arg->in;
  return run(arg->id);
}

SHOAL_TASK(failing_job, struct small) {
  run(arg->id);
  return shoal_task_fail(-EDOM, "by itself");
}
SHOAL_TASK(stuck_job, struct small) {
  if (__atomic_exchange_n(&T->word[STUCK], 0, __ATOMIC_SEQ_CST)) crash_gate();
  arg->out = 2 * arg->in;
  return run(arg->id);
}

static struct shoal_future G;  // another

static void submit_small(void) {
  struct small s = {.id = ID, .in = 21};
  OK(SHOAL_SUBMIT(X, small_job, &s, &F));
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

// ---- a cell is claimed twice ----
// The victim has seen that it is free; before it has it, another has used it, and was killed before its owner's word
// said that it is free again. Between the victim's two words another reaps, and a third claims it.
static int stands_between(void) {
  uint64_t owner = shoal_load64_relaxed(&X->cells[0].owner), s = shoal_load64_relaxed(&X->cells[0].state);
  return shoal_job_state_of_(s) == SHOAL_JOB_FREE_ && owner && owner >> SHOAL_PROCESS_BITS_ != shoal_job_generation_(s);
}
static void use_and_leave(void) {
  struct small s = {.id = FIRST, .in = 21};
  OK(SHOAL_SUBMIT(X, small_job, &s, &G));
  uint64_t owner = shoal_load64_relaxed(&X->cells[G.job].owner);
  work_off();
  OK(shoal_future_release(&G));
  shoal_store64_relaxed(&X->cells[G.job].owner, owner);
}
static void reap(void) { shoal_executor_reap(X); }
static void submit_another(void) {
  struct small s = {.id = FIRST + 1, .in = 21};
  OK(SHOAL_SUBMIT(X, small_job, &s, NULL));
}
static void cell_goes_round(void) {
  if (shoal_load64_relaxed(&X->cells[0].owner) || T->word[ACKNOWLEDGED]) return;  // it has one already
  crash_survivor(use_and_leave);
  crash_survivor(reap);
  T->word[BETWEEN] = (uint32_t)crash_step_until(stands_between);
  if (!T->word[BETWEEN]) return;
  crash_survivor(reap);
  crash_survivor(submit_another);
}
static void each_ran_once(void) {
  heal();
  CRASH_EXPECT(T->taken[FIRST + 1] == T->word[BETWEEN], "another's ran %u times", T->taken[FIRST + 1]);
  submit_is_exact();
}
static void check_between(void) {
  crash_kill_victim();
  crash_survivor(each_ran_once);
}
static void produced(void) {  // its last job lay in the cell
  produce();
  submit_small();
  OK(shoal_future_cancel(&F, 0));
  OK(shoal_future_release(&F));
}
EXECUTOR(claim_left, "submit, its cell was another's, is reaped and claimed between its two words, goes on",
         .kind = CRASH_RESUMED, .setup = with_nothing, .prepare = produced, .op = op_submit, .stopped = cell_goes_round,
         .check = check_between);
EXECUTOR(claim_left_dies, "submit, its cell was another's, is reaped and claimed between its two words",
         .setup = with_nothing, .prepare = produced, .op = op_submit, .stopped = cell_goes_round,
         .check = check_between);

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
static void job_is_over(void) {
  job_is_over_by(SHOAL_TRY);
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
  all_cells_are_free();
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

// ---- giving up what a worker ends meanwhile ----

static void freed_all_the_same(void) {
  CRASH_EXPECT(T->taken[ID] == 1, "it ran %u times", T->taken[ID]);
  all_cells_are_free();
}
static void check_freed(void) { crash_survivor(freed_all_the_same); }
EXECUTOR(release_overtaken, "release, others end it, goes on", .kind = CRASH_RESUMED, .setup = with_nothing,
         .prepare = own_job, .op = op_release, .stopped = run_it, .check = check_freed);

static void with_stuck(void) {
  struct small s = {.id = ID, .in = 21};
  make(3);
  T->word[STUCK] = 1;
  OK(SHOAL_SUBMIT(X, stuck_job, &s, &F));
}
static void work_as(int worker) {
  OK(shoal_executor_be_worker_(X, (uint32_t)worker, 0));
  work_all();
}
static void somebody_runs_it(void) {
  crash_actor(work_as, 0);
  crash_at_gate(1);
}
static void op_condemn(void) { OK(shoal_future_cancel(&F, SHOAL_FORCE)); }
static void condemned_is_over(void) {
  struct small s;
  heal();
  int rc = shoal_future_get(&F, &s, sizeof s, NULL, SHOAL_TRY);
  CRASH_EXPECT(rc == -ECANCELED || (rc == 0 && !T->word[ACKNOWLEDGED] && T->taken[ID] == 1), "it ended with %d", rc);
  CRASH_EXPECT(rc == 0 || T->taken[ID] == 0, "cancelled, it ran %u times", T->taken[ID]);
  OK(shoal_future_release(&F));
  all_cells_are_free();
}
// Who is killed before the creator is told whom to kill: who waits says so.
static void somebody_looks(void) {
  (void)shoal_future_done(&F);
  int rc = shoal_future_get(&F, NULL, 0, NULL, SHOAL_TRY);
  uint64_t s = shoal_job_look_(X, F.job, F.generation);
  CRASH_EXPECT(rc == -EAGAIN, "get answered %d", rc);
  CRASH_EXPECT(shoal_job_state_of_(s) != SHOAL_JOB_CONDEMNED_ || shoal_load32_relaxed(&X->desks[0].kill) == 1,
               "condemned, and nobody kills its worker");
}
static void check_condemned(void) {
  crash_survivor(somebody_looks);
  T->word[ACKNOWLEDGED] = (uint32_t)crash_victim_finished();
  crash_kill(0);
  crash_survivor(condemned_is_over);
}
EXECUTOR(condemn, "cancel by force, its worker is killed", .setup = with_stuck, .ready = somebody_runs_it,
         .op = op_condemn, .check = check_condemned);

// ---- an order that is there twice ----

static void order_again(void) {
  struct shoal_order_ order = {F.job, F.generation};
  OK(shoal_queue_put(X->queue, &order, SHOAL_TRY));
}
static void work_twice(void) {
  order_again();
  work_off();
}
static void order_it_again(void) { crash_survivor(work_twice); }
static void ran_once(void) {
  CRASH_EXPECT(T->taken[ID] == 1, "it ran %u times", T->taken[ID]);
  job_is_over();
}
static void check_ran_once(void) { crash_survivor(ran_once); }
EXECUTOR(work_overtaken, "a worker runs a job, its order comes twice, goes on", .kind = CRASH_RESUMED,
         .setup = with_retries, .prepare = be_worker, .op = work_all, .stopped = order_it_again,
         .check = check_ran_once);

// ---- two that end what a dead one ran; the faster's cell has its next job already ----

static uint64_t dead_state;
static void die_with_it(void) {  // worker 0 begins it, and dies
  uint64_t s = shoal_load64_acquire(&X->cells[F.job].state);
  dead_state = shoal_job_with_(s, SHOAL_JOB_RUNNING_) | shoal_job_by_(0, 0, 1);
  shoal_store64_release(&X->cells[F.job].state, dead_state);
}
static void with_dead(void) {
  with_job();
  die_with_it();
}
static void op_end_dead(void) { shoal_executor_end_(X, F.job, dead_state); }
static void fail_in_its_cell(void) {
  struct small s = {.id = ID, .in = 21};
  struct shoal_future next;
  work_off();  // the dead one's order
  int over = shoal_future_done(&F);
  CRASH_EXPECT(over == 1, "it is not over: %d", over);
  OK(shoal_future_release(&F));
  OK(SHOAL_SUBMIT(X, failing_job, &s, &next));
  CRASH_EXPECT(next.job == F.job, "cell %u, not %u", next.job, F.job);
  work_off();
  T->out[0] = shoal_future_token(&next);
}
static void be_overtaken(void) { crash_survivor(fail_in_its_cell); }
static void failure_is_its_own(void) {
  struct shoal_failure failure = {.code = 0};
  struct shoal_future next;
  OK(shoal_future_open(X, T->out[0], &next));
  int rc = shoal_future_get(&next, NULL, 0, &failure, SHOAL_TRY);
  CRASH_EXPECT(rc == -EREMOTEIO && failure.code == -EDOM && strcmp(failure.message, "by itself") == 0,
               "it ended with %d, %d: %s", rc, failure.code, failure.message);
  OK(shoal_future_release(&next));
  all_cells_are_free();
}
static void check_own_failure(void) { crash_survivor(failure_is_its_own); }
EXECUTOR(end_overtaken, "who ends a dead one's job, its cell has another, goes on", .kind = CRASH_RESUMED,
         .setup = with_dead, .op = op_end_dead, .stopped = be_overtaken, .check = check_own_failure);

// ---- condemned while its dead worker's end is dealt with: nobody else looks after it ----

static void condemned_is_ended(void) {
  int over = shoal_future_done(&F);
  CRASH_EXPECT(over == 1, "it is not over: %d", over);
  OK(shoal_future_release(&F));
}
static void check_ended(void) { crash_survivor(condemned_is_ended); }
EXECUTOR(end_condemned, "who ends a dead one's job, it is condemned, goes on", .kind = CRASH_RESUMED,
         .setup = with_dead, .op = op_end_dead, .stopped = be_condemned, .check = check_ended);

static void it_runs_and_is_ordered(void) {
  somebody_runs_it();
  crash_survivor(order_again);
}
static void be_worker_1(void) { OK(shoal_executor_be_worker_(X, 1, 0)); }
static void another_runs_it(void) {
  heal();
  ran_once();
}
static void check_dropped(void) {
  CRASH_EXPECT(T->taken[ID] == 0, "another runs what runs already");
  crash_kill(0);
  crash_survivor(another_runs_it);
}
EXECUTOR(work_dropped, "a worker finds an order of what another runs", .setup = with_stuck, .prepare = be_worker_1,
         .ready = it_runs_and_is_ordered, .op = work_all, .check = check_dropped);

// ---- bytes: the argument and the result are blocks ----

SHOAL_BYTES_TASK(bytes_job) {
  char *out;
  int rc = shoal_bytes_reply(arg, arg->size, (void **)&out);
  if (rc) return rc;
  memcpy(out, arg->data, arg->size);
  rc = shoal_bytes_reply(arg, 2 * arg->size, (void **)&out);
  if (rc) return rc;
  memcpy(out + arg->size, arg->data, arg->size);
  return run(ID);
}
static char bytes[200];
static void submit_bytes(void) {
  memset(bytes, 'x', sizeof bytes);
  OK(SHOAL_SUBMIT_BYTES(X, bytes_job, bytes, sizeof bytes, &F));
}
static void bytes_that(uint32_t retries) {
  make(retries);
  submit_bytes();
}
static void with_bytes(void) { bytes_that(0); }
static void with_bytes_retried(void) { bytes_that(3); }
static void own_bytes(void) {
  produce();
  submit_bytes();
}
static void op_submit_bytes(void) {
  submit_bytes();
  T->word[ACKNOWLEDGED] = 1;
}
static void bytes_are_there(void) {
  struct shoal_failure failure = {.code = 0};
  const void *at = NULL;
  uint64_t size = 0;
  int rc = shoal_future_view_bytes(&F, &at, &size, &failure, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || (rc == -EREMOTEIO && failure.code == -ENOTRECOVERABLE && !T->word[RETRIES]),
               "it ended with %d, %d", rc, failure.code);
  if (rc) return;
  CRASH_EXPECT(size == 2 * sizeof bytes && !memcmp(at, bytes, sizeof bytes) &&
                   !memcmp((const char *)at + sizeof bytes, bytes, sizeof bytes),
               "%lu bytes, or others", size);
}
static void bytes_are_over(void) {
  heal();
  CRASH_EXPECT(T->word[RETRIES] || T->taken[ID] <= 1, "it ran %u times", T->taken[ID]);
  bytes_are_there();
  OK(shoal_future_release(&F));
  all_cells_are_free();
}
static void check_bytes(void) { crash_survivor(bytes_are_over); }
EXECUTOR(submit_bytes, "submit bytes", .setup = with_nothing, .prepare = produce, .op = op_submit_bytes,
         .check = check_submit);
EXECUTOR(work_bytes, "a worker runs a job of bytes", .setup = with_bytes, .prepare = be_worker, .op = op_work,
         .check = check_bytes);
EXECUTOR(work_bytes_retried, "a worker runs a job of bytes, retried", .setup = with_bytes_retried, .prepare = be_worker,
         .op = op_work, .check = check_bytes);

static void op_get_bytes(void) {
  char out[2 * sizeof bytes];
  uint64_t size;
  OK(shoal_future_get_bytes(&F, out, sizeof out, &size, NULL, SHOAL_FOREVER));
  OK(shoal_future_release(&F));
}
EXECUTOR(get_bytes, "bytes are got and released by who submitted them", .setup = with_nothing, .prepare = own_bytes,
         .ready = run_it, .op = op_get_bytes, .check = check_given_up);

// ---- a large one is got; another releases it meanwhile, and dies between its block's end and its word's ----

enum { OTHERS = 0x77777777 };
static void submit_large(uint32_t more, struct shoal_future *out) {
  struct large l = {.id = ID, .in = 21};
  for (unsigned i = 0; i < sizeof l.more / sizeof *l.more; i++) l.more[i] = more;
  OK(SHOAL_SUBMIT_UNTIL(X, large_job, &l, SHOAL_TRY, out));
}
static void with_large(void) {
  make(0);
  submit_large(ID, &F);
}
static void op_get_large(void) {
  struct large l;
  T->rc[0] = shoal_future_get(&F, &l, sizeof l, NULL, SHOAL_TRY);
  T->word[GOT] = 0;
  for (unsigned i = 0; i < sizeof l.more / sizeof *l.more && !T->rc[0]; i++) T->word[GOT] += l.more[i] != ID;
}
// In the driver, whose block it was: it has the same again, for the next job.
static void its_block_is_anothers(void) {
  struct shoal_job_shm *cell = &X->cells[F.job];
  struct shoal_block_ref was = cell->block;
  OK(shoal_block_end_(X->heap, &was, X->object.entry, X->object.generation));
  submit_large(OTHERS, &G);
  CRASH_EXPECT(X->cells[G.job].block.off == was.off, "the next job has a block elsewhere");
}
static void got_its_own(void) {
  CRASH_EXPECT(T->rc[0] == 0 || T->rc[0] == -EINVAL, "get answered %d", T->rc[0]);
  CRASH_EXPECT(T->word[GOT] == 0, "%u words of what it got are another's", T->word[GOT]);
  work_off();
  OK(shoal_future_release(&G));
  OK(shoal_future_release(&F));
  all_cells_are_free();
}
static void check_got_its_own(void) { crash_survivor(got_its_own); }
EXECUTOR(get_released, "a large one is got, its block another's, goes on", .kind = CRASH_RESUMED, .setup = with_large,
         .ready = run_it, .op = op_get_large, .stopped = its_block_is_anothers, .check = check_got_its_own);

// ---- a task that submits, and waits: it runs what nobody has begun itself ----

#define WITHIN (ID + 1)
SHOAL_TASK(nesting_job, struct small) {
  struct small s = {.id = WITHIN, .in = arg->in};
  int rc = SHOAL_APPLY(X, small_job, &s, NULL, SHOAL_FOREVER);
  arg->out = s.out;
  return rc ? rc : run(arg->id);
}
static void nested(uint32_t retries) {
  struct small s = {.id = ID, .in = 21};
  make(retries);
  OK(SHOAL_SUBMIT(X, nesting_job, &s, &F));
}
static void with_nested(void) { nested(0); }
static void with_nested_retried(void) { nested(3); }
static void both_are_over(void) {
  job_is_over_by(SHOAL_TRY);
  CRASH_EXPECT(T->taken[WITHIN] >= T->taken[ID], "one ran %u times, the one within it %u", T->taken[ID],
               T->taken[WITHIN]);
  CRASH_EXPECT(T->word[RETRIES] || T->taken[WITHIN] <= 1, "the one within ran %u times", T->taken[WITHIN]);
  all_cells_are_free();
}
static void check_nested(void) { crash_survivor(both_are_over); }
EXECUTOR(work_nested, "a worker runs a job that submits another, and waits", .setup = with_nested, .prepare = be_worker,
         .op = op_work, .check = check_nested);
EXECUTOR(work_nested_retried, "a worker runs a job that submits another, and waits, retried",
         .setup = with_nested_retried, .prepare = be_worker, .op = op_work, .check = check_nested);

// ---- a worker that goes ----

static void op_retire(void) {
  op_work();
  OK(shoal_queue_leave(X->queue, SHOAL_CONSUMER));
}
EXECUTOR(retire, "a worker runs a job, and leaves", .setup = with_retries, .prepare = be_worker, .op = op_retire,
         .check = check_work);

// ---- pairs ----

static void op_submit_other(void) {
  struct small s = {.id = ID + 1, .in = 21};
  OK(SHOAL_SUBMIT(X, small_job, &s, NULL));
}
static void submitted_is_over(void) {
  struct shoal_executor_info info;
  heal();
  uint32_t ran = T->taken[ID];
  CRASH_EXPECT(T->word[RETRIES] || ran <= 1, "it ran %u times", ran);
  CRASH_EXPECT(!T->word[RETRIES] || ran >= T->word[ACKNOWLEDGED], "submitted, it did not run");
  shoal_executor_reap(X);
  OK(shoal_executor_info(X, &info));
  CRASH_EXPECT(info.pending + info.running == 0, "it is not over");
  all_cells_are_free();
}
static void check_submitted(void) { crash_survivor(submitted_is_over); }

PAIR(pair_submit, "submit, then the worker, retried", .setup = retries_only, .prepare = produce, .op = op_submit,
     .prepare2 = be_worker, .op2 = work_all, .check = check_submitted);
PAIR(pair_submit_large, "submit a large one, then who finds its cell", .setup = with_nothing, .prepare = produce,
     .op = op_submit_large, .prepare2 = produce, .op2 = op_submit_other, .check = check_submitted);
PAIR(pair_work, "a worker, then the next", .setup = with_job, .prepare = be_worker, .op = op_work,
     .prepare2 = be_worker_1, .op2 = work_all, .check = check_work);
PAIR(pair_work_retried, "a worker, then the next, retried", .setup = with_retries, .prepare = be_worker, .op = op_work,
     .prepare2 = be_worker_1, .op2 = work_all, .check = check_work);
PAIR(pair_repair, "a worker, then who repairs, retried", .setup = with_retries, .prepare = be_worker, .op = op_work,
     .op2 = repair, .check = check_work);
PAIR(pair_replace, "a worker, then its successor, retried", .setup = with_retries, .prepare = be_worker, .op = op_work,
     .ready2 = have_repaired, .op2 = op_succeed, .check = check_work);
PAIR(pair_bytes, "a worker of bytes, then its successor, retried", .setup = with_bytes_retried, .prepare = be_worker,
     .op = op_work, .ready2 = have_repaired, .op2 = op_succeed, .check = check_bytes);
PAIR(pair_get_bytes, "who gets bytes, then who finds their cell", .setup = with_nothing, .prepare = own_bytes,
     .ready = run_it, .op = op_get_bytes, .prepare2 = produce, .op2 = op_submit_other, .check = check_given_up);
PAIR(pair_awaited, "a worker, then who repairs, and somebody waits", .setup = with_job, .prepare = be_worker,
     .ready = somebody_waits, .op = op_work, .op2 = repair, .check = check_woken);
PAIR(pair_get, "who waits, then the worker", .setup = with_job, .op = op_get, .asleep = run_it, .prepare2 = be_worker,
     .op2 = work_all, .check = check_work);
PAIR(pair_give_up, "cancel and release, then the worker", .setup = with_nothing, .prepare = own_job, .op = op_give_up,
     .prepare2 = be_worker, .op2 = work_all, .check = check_given_up);
PAIR(pair_release, "release, then the worker", .setup = with_nothing, .prepare = own_job, .op = op_release,
     .prepare2 = be_worker, .op2 = work_all, .check = check_given_up);

// ---- a dead letter ----

static void with_letter(void) {
  make_with((struct shoal_executor_options){.dead_letters = 1});
  submit_small();
  die_with_it();
  op_end_dead();
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

// Another takes it meanwhile, and its cell has a larger one.
static void op_read(void) {
  struct small s;
  T->rc[0] = read_one(&s);
}
static void take_it_for_another(void) {
  struct small s;
  T->rc[1] = read_one(&s);
  OK(shoal_future_release(&F));
  submit_large(ID, &G);
  CRASH_EXPECT(G.job == F.job, "cell %u, not %u", G.job, F.job);
  T->out[0] = shoal_future_token(&G);
}
static void be_forestalled(void) { crash_survivor(take_it_for_another); }
static void one_has_it(void) {
  int mine = T->rc[0], others = T->rc[1];
  CRASH_EXPECT((mine == 0 && others == -ENOENT) || (mine == -ENOENT && others == 0), "answered %d and %d", mine,
               others);
  work_off();
  OK(shoal_future_open(X, T->out[0], &G));
  OK(shoal_future_release(&G));
  all_cells_are_free();
}
static void check_one_has_it(void) { crash_survivor(one_has_it); }
EXECUTOR(letter_forestalled, "a dead letter is read, another takes it, its cell has a larger one, goes on",
         .kind = CRASH_RESUMED, .setup = with_letter, .op = op_read, .stopped = be_forestalled,
         .check = check_one_has_it);

// ---- one after another ----

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

EXECUTOR(then_over, "a job after another that is over, and both released", .setup = with_nothing, .prepare = own_job,
         .ready = run_it, .op = op_then, .check = check_then);

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

// ---- the executor ends between a submit's look and the job ----

static void end_it(void) {
  OK(shoal_executor_close(X));
  OK(shoal_queue_close(X->queue));
  work_off();
}
static void it_ends(void) { crash_survivor(end_it); }
static void op_then_get(void) {
  int rc = SHOAL_THEN(&F, small_job, &G);
  if (rc == 0) {
    rc = shoal_future_get(&G, NULL, 0, NULL, SHOAL_FOREVER);
    CRASH_EXPECT((rc == 0 && T->taken[ID] == 2) || rc == -ECANCELED, "run %u times, get answered %d", T->taken[ID], rc);
    OK(shoal_future_release(&G));
  } else {
    CRASH_EXPECT(rc == -EPIPE && T->taken[ID] == 1, "run %u times, then answered %d", T->taken[ID], rc);
  }
  OK(shoal_future_release(&F));
}
static void nothing_is_left(void) {
  struct shoal_executor_info info;
  shoal_executor_reap(X);
  no_block_is_lost();
  OK(shoal_executor_info(X, &info));
  CRASH_EXPECT(info.jobs == 0, "%u cells are not free", info.jobs);
}
static void check_nothing_is_left(void) { crash_survivor(nothing_is_left); }
EXECUTOR(then_ended, "a job after another that is over, the executor ends, goes on", .kind = CRASH_RESUMED,
         .setup = with_nothing, .prepare = own_job, .ready = run_it, .op = op_then_get, .asleep = run_it,
         .stopped = it_ends, .check = check_nothing_is_left);

// ---- a task that submits, and selects ----

SHOAL_TASK(selecting_job, struct small) {
  struct small s = {.id = WITHIN, .in = arg->in};
  struct shoal_future f;
  int rc = SHOAL_SUBMIT(X, small_job, &s, &f);
  if (rc) return rc;
  struct shoal_case cases[] = {shoal_on_future(&f)};
  rc = shoal_select(cases, 1, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0 && cases[0].result == 0, "select answered %d, %d", rc, cases[0].result);
  rc = shoal_future_get(&f, &s, sizeof s, NULL, SHOAL_TRY);
  arg->out = s.out;
  (void)shoal_future_release(&f);
  return rc ? rc : run(arg->id);
}
static void selecting(uint32_t retries) {
  struct small s = {.id = ID, .in = 21};
  make(retries);
  OK(SHOAL_SUBMIT(X, selecting_job, &s, &F));
}
static void with_selecting(void) { selecting(0); }
static void with_selecting_retried(void) { selecting(3); }
EXECUTOR(work_selecting, "a worker runs a job that submits another, and selects", .setup = with_selecting,
         .prepare = be_worker, .op = op_work, .check = check_nested);
EXECUTOR(work_selecting_retried, "a worker runs a job that submits another, and selects, retried",
         .setup = with_selecting_retried, .prepare = be_worker, .op = op_work, .check = check_nested);
