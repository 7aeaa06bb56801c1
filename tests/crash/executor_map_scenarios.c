// ipc/work/executor, of several in one call: maps, chunks, ranges. Claims: whoever is killed, who waits for a map is
// woken, and its jobs run all the same; each death takes what was in hand, and no other; what was submitted runs, or
// never was, and nothing of a dead caller's stays.
#include <string.h>

#include "ipc/work/map.h"
#include "tests/crash/executor_fixture.h"

#define FIRST 20u  // of several
#define MANY 3u

enum { ACKNOWLEDGED = RETRIES + 1, GOT };  // T->word

SHOAL_TASK(second_fails, struct small) {
  small_job_run_(arg);
  return arg->id == FIRST + 1 ? shoal_task_fail(-EDOM, "by itself") : 0;
}
struct indices {
  struct shoal_range range;
  uint32_t first, fails;
};
SHOAL_TASK(index_job, struct indices) {
  for (uint64_t i = arg->range.begin; i < arg->range.end; i++) run(arg->first + (uint32_t)i);
  return arg->fails && arg->range.begin == 1 ? -EDOM : 0;
}

// ---- a map: who waits for it is woken, whoever dies; killed in there, the map's jobs run all the same ----

static struct shoal_map *M;
static struct small mapped[MANY];

static void with_map(void) {
  make(0);
  for (uint32_t i = 0; i < MANY; i++) mapped[i] = (struct small){.id = FIRST + i, .in = 1 + i};
  OK(SHOAL_MAP_ASYNC(X, small_job, mapped, MANY, 1, &M));
}
static void map_waiter(int i) {
  (void)i;
  OK(shoal_map_wait(M, SHOAL_FOREVER));
  CRASH_EXPECT(shoal_map_ready(M) == 1, "waited for, it is not ready");
  T->word[GOT] = 1;
}
static void map_is_awaited(void) {
  crash_actor(map_waiter, 0);
  crash_all_asleep();
}
static void map_is_over_by(uint32_t deaths) {
  struct shoal_failure failure = {.code = 0};
  uint32_t lost = 0;
  heal();
  OK(shoal_map_wait(M, SHOAL_TRY));
  int rc = shoal_map_get(M, &failure, SHOAL_TRY);
  for (uint32_t i = 0; i < MANY; i++) {
    CRASH_EXPECT(T->taken[FIRST + i] <= 1, "%u ran %u times", i, T->taken[FIRST + i]);
    CRASH_EXPECT(!mapped[i].out || mapped[i].out == 2 * (1 + i), "%u: %u", i, mapped[i].out);
    lost += !mapped[i].out;
  }
  CRASH_EXPECT(lost <= deaths && (lost ? rc == -EREMOTEIO && failure.code == -ENOTRECOVERABLE : rc == 0),
               "%u lost, and it ended with %d, %d", lost, rc, failure.code);
  OK(shoal_map_end(M));
  all_cells_are_free();
}
static void map_is_over(void) { map_is_over_by(1); }
static void map_is_whole(void) { map_is_over_by(0); }
static void check_map_woken(void) {
  crash_survivor(heal);
  CRASH_UNTIL(T->word[GOT], "who waits for the map was not woken");
  crash_survivor(map_is_over);
}
static void op_work_map(void) {
  for (uint32_t i = 0; i < MANY; i++) op_work();
}
static void op_map_wait(void) { OK(shoal_map_wait(M, SHOAL_FOREVER)); }
static void check_map(void) { crash_survivor(map_is_over); }
static void check_map_whole(void) { crash_survivor(map_is_whole); }
EXECUTOR(map_awaited, "a worker runs a map, and somebody waits for it", .setup = with_map, .prepare = be_worker,
         .ready = map_is_awaited, .op = op_work_map, .check = check_map_woken);
EXECUTOR(map_wait, "wait for a map, asleep", .setup = with_map, .op = op_map_wait, .asleep = run_it,
         .check = check_map_whole);

// ---- several in one job: retried, it goes on behind what was done ----

static void with_chunk(void) {
  static struct small chunk[MANY];
  make(3);
  for (uint32_t i = 0; i < MANY; i++) chunk[i] = (struct small){.id = FIRST + i, .in = i};
  struct shoal_submission_ s = {
      .task = &small_job_task_, .argument = chunk, .size = sizeof chunk, .deadline = SHOAL_FOREVER};
  OK(shoal_job_submit_(X, &s, &F));
}
static uint32_t several_are_done(void) {
  uint32_t more = 0;
  for (uint32_t i = 0; i < MANY; i++) {
    CRASH_EXPECT(T->taken[FIRST + i], "%u is not done", i);
    more += T->taken[FIRST + i] - 1;
  }
  return more;
}
static void chunk_is_done(void) {
  struct small chunk[MANY];
  heal();
  OK(shoal_future_get(&F, chunk, sizeof chunk, NULL, SHOAL_TRY));
  uint32_t more = several_are_done();
  CRASH_EXPECT(more <= 1, "%u were done again", more);
  for (uint32_t i = 0; i < MANY; i++) CRASH_EXPECT(chunk[i].out == 2 * i, "%u: %u", i, chunk[i].out);
  OK(shoal_future_release(&F));
  all_cells_are_free();
}
static void check_chunk(void) { crash_survivor(chunk_is_done); }
EXECUTOR(work_chunk, "a worker runs several, retried", .setup = with_chunk, .prepare = be_worker, .op = op_work,
         .check = check_chunk);

// ---- several chunks in one job: each death takes the one in hand, and no other ----

#define FIVE 5u
static void with_chunks_of(const struct shoal_task *task, uint32_t n, uint32_t chunk) {
  static struct small chunks[FIVE];
  make(0);
  for (uint32_t i = 0; i < n; i++) chunks[i] = (struct small){.id = FIRST + i, .in = 1 + i};
  struct shoal_submission_ s = {
      .task = task, .argument = chunks, .size = n * sizeof *chunks, .chunk = chunk, .deadline = SHOAL_FOREVER};
  OK(shoal_job_submit_(X, &s, &F));
}
static void with_chunks(void) { with_chunks_of(&small_job_task_, MANY, 1); }
static void chunks_are_over(uint32_t deaths) {
  struct small chunks[MANY] = {{0}};
  struct shoal_failure failure = {.code = 0};
  uint32_t lost = 0, first = MANY;
  heal();
  int rc = shoal_future_get(&F, chunks, sizeof chunks, &failure, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || (rc == -EREMOTEIO && failure.code == -ENOTRECOVERABLE), "it ended with %d, %d", rc,
               failure.code);
  if (rc) shoal_future_copy_kept_(&F, chunks, sizeof chunks, sizeof *chunks);
  for (uint32_t i = MANY; i--;) {
    CRASH_EXPECT(T->taken[FIRST + i] <= 1, "%u ran %u times", i, T->taken[FIRST + i]);
    CRASH_EXPECT(!chunks[i].out || (chunks[i].out == 2 * (1 + i) && T->taken[FIRST + i]), "%u: %u", i, chunks[i].out);
    if (!chunks[i].out) lost++, first = i;
  }
  CRASH_EXPECT(lost <= deaths && (lost != 0) == (rc != 0), "%u lost, and it ended with %d", lost, rc);
  CRASH_EXPECT(!rc || (failure.element == first && failure.worker == 0 && failure.attempt == 1),
               "chunk %u was lost, told of %lu, worker %u, attempt %u", first, failure.element, failure.worker,
               failure.attempt);
  OK(shoal_future_release(&F));
  all_cells_are_free();
}
static void one_chunk_is_lost(void) { chunks_are_over(1); }
static void two_chunks_are_lost(void) { chunks_are_over(2); }
static void check_chunks(void) { crash_survivor(one_chunk_is_lost); }
static void check_two_chunks(void) { crash_survivor(two_chunks_are_lost); }
EXECUTOR(work_chunks, "a worker runs several chunks", .setup = with_chunks, .prepare = be_worker, .op = op_work,
         .check = check_chunks);

// Chunks of two, the last one short, and the second struct fails by itself: that is told, unless its chunk is lost
// before.
static void with_a_failure(void) { with_chunks_of(&second_fails_task_, FIVE, 2); }
static void failure_is_told(uint32_t deaths) {
  struct small c[FIVE] = {{0}};
  struct shoal_failure failure = {.code = 0};
  uint32_t lost = 0;
  heal();
  int rc = shoal_future_get(&F, c, sizeof c, &failure, SHOAL_TRY);
  CRASH_EXPECT(rc == -EREMOTEIO, "it ended with %d", rc);
  shoal_future_copy_kept_(&F, c, sizeof c, sizeof *c);
  for (uint32_t i = 0; i < FIVE; i++) {
    CRASH_EXPECT(T->taken[FIRST + i] <= 1, "%u ran %u times", i, T->taken[FIRST + i]);
    CRASH_EXPECT(!c[i].out || (c[i].out == 2 * (1 + i) && T->taken[FIRST + i]), "%u: %u", i, c[i].out);
    CRASH_EXPECT(!c[i].out == !c[i & ~1u].out, "half of the chunk of %u is lost", i);
    lost += i % 2 == 0 && !c[i].out;
  }
  CRASH_EXPECT(lost <= deaths, "%u chunks lost", lost);
  CRASH_EXPECT(c[0].out ? failure.code == -EDOM : failure.code == -EDOM || failure.code == -ENOTRECOVERABLE,
               "it failed by %d", failure.code);
  CRASH_EXPECT(
      failure.code == -EDOM ? failure.element == 1 && !strcmp(failure.message, "by itself") : failure.element < 2,
      "element %lu: %s", failure.element, failure.message);
  CRASH_EXPECT(failure.attempt == 1 && failure.worker != 1, "worker %u, attempt %u", failure.worker, failure.attempt);
  OK(shoal_future_release(&F));
  all_cells_are_free();
}
static void told_after_one(void) { failure_is_told(1); }
static void told_after_two(void) { failure_is_told(2); }
static void check_told(void) { crash_survivor(told_after_one); }
static void check_told_after_two(void) { crash_survivor(told_after_two); }
EXECUTOR(work_failing_chunks, "a worker runs chunks of two, one fails by itself", .setup = with_a_failure,
         .prepare = be_worker, .op = op_work, .check = check_told);

static struct shoal_block_ref cursor_ref;
static void ranges_that(uint32_t fail) {
  struct indices all = {.first = FIRST, .fails = fail};
  void *block;
  make(3);
  OK(shoal_heap_alloc_aligned(X->heap, sizeof(struct shoal_cursor_shm_), 64, &block));
  struct shoal_cursor_shm_ *cursor = block;
  memset(block, 0, sizeof *cursor);
  cursor->end = MANY, cursor->grain = cursor->parts = 1;
  OK(shoal_block_give_(X->heap, block, X->object.entry, X->object.generation, &cursor_ref));
  struct shoal_submission_ s = {.task = &index_job_task_,
                                .argument = &all,
                                .size = sizeof all,
                                .off = shoal_segment_off(S, block),
                                .ranges = 1,
                                .deadline = SHOAL_FOREVER};
  OK(shoal_job_submit_(X, &s, &F));
}
static void with_ranges(void) { ranges_that(0); }
static void ranges_are_done(void) {
  heal();
  OK(shoal_future_get(&F, NULL, 0, NULL, SHOAL_TRY));
  several_are_done();
  OK(shoal_future_release(&F));
  shoal_block_end_(X->heap, &cursor_ref, X->object.entry, X->object.generation);
  all_cells_are_free();
}
static void check_ranges(void) { crash_survivor(ranges_are_done); }
EXECUTOR(work_ranges, "a worker claims ranges, retried", .setup = with_ranges, .prepare = be_worker, .op = op_work,
         .check = check_ranges);

static void with_failing_ranges(void) { ranges_that(1); }
static void op_work_in_vain(void) { (void)shoal_executor_serve_(X, SHOAL_FOREVER); }
static void range_has_failed(void) {
  struct shoal_failure failure = {.code = 0};
  heal();
  int rc = shoal_future_get(&F, NULL, 0, &failure, SHOAL_TRY);
  CRASH_EXPECT(rc == -EREMOTEIO && failure.code == -EDOM, "a range has failed, and it ended with %d, %d", rc,
               failure.code);
}
static void check_failed_range(void) { crash_survivor(range_has_failed); }
EXECUTOR(work_failing_ranges, "a worker claims ranges, one fails, retried", .setup = with_failing_ranges,
         .prepare = be_worker, .op = op_work_in_vain, .check = check_failed_range);

// ---- pairs ----

PAIR(pair_chunks, "a worker of several chunks, then its successor", .setup = with_chunks, .prepare = be_worker,
     .op = op_work, .ready2 = have_repaired, .op2 = op_succeed, .check = check_two_chunks);
PAIR(pair_failing_chunks, "a worker of chunks, one fails by itself, then its successor", .setup = with_a_failure,
     .prepare = be_worker, .op = op_work, .ready2 = have_repaired, .op2 = op_succeed, .check = check_told_after_two);
PAIR(pair_map_awaited, "a worker of a map, then who repairs, and somebody waits for it", .setup = with_map,
     .prepare = be_worker, .ready = map_is_awaited, .op = op_work_map, .op2 = repair, .check = check_map_woken);
PAIR(pair_map_wait, "who waits for a map, then the worker", .setup = with_map, .op = op_map_wait, .asleep = run_it,
     .prepare2 = be_worker, .op2 = work_all, .check = check_map);

// ---- who calls is killed: what was submitted runs, or never was; nothing of theirs stays ----

// Whose jobs they were is dead: each ran once, all up to one that was acknowledged did, and the others may have.
static void left_by_caller(void) {
  struct shoal_executor_info info;
  heal();
  shoal_executor_reap(X);
  work_off();
  for (uint32_t i = 0; i < MANY; i++) {
    CRASH_EXPECT(T->taken[FIRST + i] <= 1, "%u ran %u times", i, T->taken[FIRST + i]);
    CRASH_EXPECT(T->taken[FIRST + i] >= (i < T->word[ACKNOWLEDGED]), "%u was submitted, and did not run", i);
  }
  shoal_executor_reap(X);
  OK(shoal_executor_info(X, &info));
  CRASH_EXPECT(info.pending + info.running == 0, "%u, %u are not over", info.pending, info.running);
  all_cells_are_free();
}
static void check_left_by_caller(void) { crash_survivor(left_by_caller); }
static void op_map(void) {
  struct small own[MANY];
  struct shoal_map *map;
  for (uint32_t i = 0; i < MANY; i++) own[i] = (struct small){.id = FIRST + i, .in = 1 + i};
  OK(SHOAL_MAP_ASYNC(X, small_job, own, MANY, 1, &map));
  T->word[ACKNOWLEDGED] = MANY;
  OK(shoal_map_get(map, NULL, SHOAL_FOREVER));
  for (uint32_t i = 0; i < MANY; i++) CRASH_EXPECT(own[i].out == 2 * (1 + i), "%u: %u", i, own[i].out);
  OK(shoal_map_end(map));
}
static int three_of_them(void *arg, void *item) {
  uint32_t *next = arg, i = (*next)++;
  *(struct small *)item = (struct small){.id = FIRST + i, .in = 1 + i};
  return i < MANY;
}
static void op_imap(void) {
  const struct shoal_imap_options o = {.window = 2};
  uint32_t next = 0, i = 0;
  struct shoal_imap *it;
  struct small s;
  int rc;
  OK(SHOAL_IMAP(X, small_job, three_of_them, &next, &o, &it));
  for (; (rc = shoal_imap_next(it, &s, sizeof s, NULL, SHOAL_FOREVER)) == 0; T->word[ACKNOWLEDGED] = ++i)
    CRASH_EXPECT(s.id == FIRST + i && s.out == 2 * (1 + i), "%u: %u, %u", i, s.id - FIRST, s.out);
  CRASH_EXPECT(rc == -ENOENT && i == MANY, "it ended after %u, with %d", i, rc);
  OK(shoal_imap_end(it));
}
static void op_apply(void) {
  struct small s = {.id = FIRST, .in = 21};
  int rc = SHOAL_APPLY(X, small_job, &s, NULL, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0 && s.out == 42, "apply answered %d", rc);
  T->word[ACKNOWLEDGED] = 1;
}
static void submit_many(struct shoal_future *f) {
  for (uint32_t i = 0; i < MANY; i++) {
    struct small s = {.id = FIRST + i, .in = 1 + i};
    OK(SHOAL_SUBMIT(X, small_job, &s, &f[i]));
  }
  T->word[ACKNOWLEDGED] = MANY;
}
static void release_many(const struct shoal_future *f) {
  for (uint32_t i = 0; i < MANY; i++) OK(shoal_future_release(&f[i]));
}
static void op_wait_many(void) {
  struct shoal_future f[MANY];
  submit_many(f);
  int n = shoal_future_wait(f, MANY, SHOAL_ALL_DONE, SHOAL_FOREVER);
  CRASH_EXPECT(n == MANY, "wait answered %d", n);
  release_many(f);
}
static void op_completed(void) {
  struct shoal_future f[MANY];
  struct shoal_completed c;
  uint32_t seen = 0;
  unsigned i;
  submit_many(f);
  OK(shoal_completed_begin(&c, f, MANY));
  for (int rc; (rc = shoal_completed_next(&c, &i, SHOAL_FOREVER)) != -ENOENT; seen |= 1u << i) OK(rc);
  CRASH_EXPECT(seen == (1u << MANY) - 1, "seen %x", seen);
  shoal_completed_end(&c);
  release_many(f);
}
#define CALLER(id, text, operation)                                                                             \
  EXECUTOR(id, "who calls " text, .setup = with_nothing, .prepare = produce, .op = operation, .asleep = run_it, \
           .check = check_left_by_caller)
CALLER(caller_map, "a map", op_map);
CALLER(caller_imap, "imap", op_imap);
CALLER(caller_apply, "apply", op_apply);
CALLER(caller_wait, "wait for many", op_wait_many);
CALLER(caller_completed, "for what is over", op_completed);

// ---- for_each: its caller is killed; a worker is ----

struct summed {
  struct shoal_range range;
  uint32_t first, sum, more[12];
};
SHOAL_TASK(sum_job, struct summed) {
  for (uint64_t i = arg->range.begin; i < arg->range.end; i++) {
    run(arg->first + (uint32_t)i);
    arg->sum += 1u << i;
  }
  return 0;
}
static void add_sums(void *argument, const void *part) {
  ((struct summed *)argument)->sum += ((const struct summed *)part)->sum;
}
static void op_for_each(void) {
  const struct shoal_for_each_options o = {.gather = add_sums};
  struct summed all = {.first = FIRST};
  OK(SHOAL_FOR_EACH(X, sum_job, &all, MANY, &o, NULL, SHOAL_FOREVER));
  CRASH_EXPECT(all.sum == (1u << MANY) - 1, "sum %x", all.sum);
  T->word[ACKNOWLEDGED] = MANY;
}
// The cursor of who is dead is the executor's until its end.
static void each_is_over(void) {
  struct shoal_executor_info info;
  heal();
  shoal_executor_reap(X);
  work_off();
  for (uint32_t i = 0; i < MANY; i++) CRASH_EXPECT(T->taken[FIRST + i] <= 1, "%u ran %u times", i, T->taken[FIRST + i]);
  shoal_executor_reap(X);
  OK(shoal_executor_info(X, &info));
  CRASH_EXPECT(info.jobs == 0, "%u cells are not free", info.jobs);
}
static void check_each(void) { crash_survivor(each_is_over); }
static void check_each_afresh(void) { crash_survivor(left_by_caller); }
EXECUTOR(caller_for_each, "who calls for_each", .setup = with_nothing, .prepare = produce, .op = op_for_each,
         .asleep = run_it, .check = check_each);
EXECUTOR(caller_for_each_afresh, "who calls for_each, gathered, retried", .setup = retries_only, .prepare = produce,
         .op = op_for_each, .asleep = run_it, .check = check_each_afresh);

static void with_range(void) {
  static struct summed twice[2] = {{.range = {0, MANY}, .first = FIRST}};
  make(3);
  struct shoal_submission_ s = {
      .task = &sum_job_task_, .argument = twice, .size = sizeof twice, .ranges = 1, .deadline = SHOAL_FOREVER};
  OK(shoal_job_submit_(X, &s, &F));
}
static void sum_is_exact(void) {
  struct summed twice[2];
  heal();
  OK(shoal_future_get(&F, twice, sizeof twice, NULL, SHOAL_TRY));
  several_are_done();
  CRASH_EXPECT(twice[1].sum == (1u << MANY) - 1, "sum %x", twice[1].sum);
  OK(shoal_future_release(&F));
  all_cells_are_free();
}
static void check_sum(void) { crash_survivor(sum_is_exact); }
EXECUTOR(work_range, "a worker sums up a range, gathered, retried", .setup = with_range, .prepare = be_worker,
         .op = op_work, .check = check_sum);
PAIR(pair_range, "a worker of a range, gathered, then its successor, retried", .setup = with_range,
     .prepare = be_worker, .op = op_work, .ready2 = have_repaired, .op2 = op_succeed, .check = check_sum);
