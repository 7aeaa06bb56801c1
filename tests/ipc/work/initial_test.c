// ipc/work/pool, ipc/work/executor: what their workers begin with: init_task, finalize_task. Claims, of an executor by
// fork, by starter, by spawn and of threads, and of a pool of processes
//   begun       each worker, one that replaces another and one that a resize adds, runs it before its first job, on a
//               copy of its own of what the argument was at the creation; finalize_task has that copy as it was left;
//               in the end nothing stays in the segment
//   failed      its failure breaks the pool, and the reason tells its code and what it said; so of a function
//   bytes       a bytes task has any number of them, and no result
//   refused     what is no task, has another size, or does not go together; nothing is left of it
#include "core/heap.h"
#include "tests/ipc/work/executor_support.h"

struct tally {  // in the segment, as a fresh image has no ledger
  shoal_atomic32 inits, finals, sum, told;
};
static struct shoal_object object;
static struct tally *tally;

struct start {
  shoal_off tally;
  uint32_t n;
  int code;
  char text[200];
};
static __thread uint32_t begun;  // the worker's

static struct tally *tally_at(shoal_off off) {
  struct shoal_segment *s = shoal_process_segment();
  return shoal_segment_at(s ? s : seg, off, sizeof(struct tally));
}
SHOAL_TASK(begin_worker, struct start) {
  if (arg->code) return shoal_task_fail(arg->code, "there is no %s", arg->text);
  shoal_add32_relaxed(&tally_at(arg->tally)->inits, 1);
  begun = arg->n++;  // its copy is its own
  return 0;
}
SHOAL_TASK(end_worker, struct start) {
  struct tally *t = tally_at(arg->tally);
  shoal_add32_relaxed(&t->finals, 1);
  shoal_add32_relaxed(&t->sum, arg->n);
  return 0;
}
SHOAL_BYTES_TASK(begin_with_bytes) {
  void *out;
  begun = (uint32_t)arg->size + ((const unsigned char *)arg->data)[arg->size - 1];
  return shoal_bytes_reply(arg, 8, &out) == -ENOTSUP ? 0 : -EPROTO;
}
SHOAL_TASK(what_begun, struct small) {
  if (arg->in == 13) raise(SIGKILL);
  arg->out = begun;
  return 0;
}
SHOAL_TASK(tell_begun, struct start) {  // a pool's
  if (arg->n == 13) raise(SIGKILL);
  shoal_add32_relaxed(&tally_at(arg->tally)->told, begun);
  return 0;
}

// ---- each way to have workers ----

static const struct shoal_context by[] = {
    {SHOAL_START_FORK, NULL}, {SHOAL_START_STARTER, NULL}, {SHOAL_START_SPAWN, NULL}};
enum { BY_THREAD = 3, WAYS };
#define EACH_WAY(w) (int w = 0; w < WAYS; w++)

static struct shoal_executor_options options_of(int way, unsigned workers) {
  return (struct shoal_executor_options){
      .workers = workers, .threads = way == BY_THREAD, .context = way == BY_THREAD ? NULL : &by[way]};
}
static int set_up_tally(void **state) {
  if (shoal_object_create(seg, NULL, "tally", sizeof *tally, NULL, NULL, &object)) return -1;
  tally = object.memory;
  return set_up(state);
}
static int end_tally(void **state) {
  (void)state;
  return shoal_object_close(seg, &object);
}

static uint32_t objects(void) {
  struct shoal_segment_info info;
  assert_int_equal(shoal_segment_info(seg, &info), 0);
  return info.objects;
}
static uint32_t begun_of(struct shoal_executor *ex) {
  struct small s = {.in = 1};
  if (SHOAL_APPLY(ex, what_begun, &s, NULL, SHOAL_FOREVER)) fail();
  return s.out;
}

static void begin_one(int way) {
  struct start start = {.tally = object.off, .n = 40, .text = "x"};
  struct shoal_executor_options o = options_of(way, 1);
  struct shoal_executor_info info;
  uint32_t before = objects();
  memset(tally, 0, sizeof *tally);
  o.workers_max = 3, o.tasks_max = 5;
  o.init_task = "begin_worker", o.finalize_task = "end_worker";
  o.init_argument = &start, o.init_size = sizeof start;
  struct shoal_executor *ex = executor_of(o);
  memset(&start, 0xff, sizeof start);
  for (int i = 0; i < 12; i++) assert_int_equal(begun_of(ex), 40);
  struct small killer = {.in = 13};
  int rc = way == BY_THREAD ? 0 : SHOAL_APPLY(ex, what_begun, &killer, NULL, SHOAL_FOREVER);
  assert_int_equal(rc, way == BY_THREAD ? 0 : -EREMOTEIO);
  assert_int_equal(shoal_executor_resize(ex, 3, SHOAL_FOREVER), 0);
  for (int i = 0; i < 12; i++) assert_int_equal(begun_of(ex), 40);
  assert_int_equal(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.restarts, way == BY_THREAD ? 0 : 1);
  assert_true(info.recycled > 0);
  assert_int_equal(shoal_load32_relaxed(&tally->inits), 3 + info.restarts + info.recycled);
  assert_int_equal(shoal_load32_relaxed(&tally->finals), 3 + info.recycled);
  assert_int_equal(shoal_load32_relaxed(&tally->sum), 41 * (3 + info.recycled));
  end_executor(ex);
  assert_int_equal(objects(), before);
}
static void test_begun(void **state) {
  (void)state;
  for
    EACH_WAY(way) begin_one(way);
}

static void pool_of(int way) {
  struct start start = {.tally = object.off, .n = 7, .text = "x"}, job = {.tally = object.off, .n = 1};
  struct shoal_queue_options q = {.capacity = 64, .element_size = sizeof(struct start)};
  struct shoal_pool_options o = {.task = "tell_begun", .workers = 2, .context = &by[way], .threaded = THREADED};
  struct shoal_pool_info info;
  struct shoal_pool *pool;
  uint32_t before = objects();
  memset(tally, 0, sizeof *tally);
  o.deliveries_max = 1;
  o.init_task = "begin_worker", o.finalize_task = "end_worker";
  o.init_argument = &start, o.init_size = sizeof start;
  assert_int_equal(shoal_queue_create(seg, NULL, &q, &o.queue), 0);
  assert_int_equal(shoal_pool_create(seg, &o, &pool), 0);
  memset(&start, 0xff, sizeof start);
  for (int i = 0; i < 20; i++) {
    job.n = i == 10 ? 13 : 1;
    assert_int_equal(shoal_pool_submit(pool, &job, SHOAL_FOREVER), 0);
  }
  assert_int_equal(shoal_pool_close(pool), 0);
  assert_int_equal(shoal_pool_join(pool, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_pool_info(pool, &info), 0);
  assert_int_equal(info.restarts, 1);
  assert_int_equal(shoal_load32_relaxed(&tally->inits), 3);
  assert_int_equal(shoal_load32_relaxed(&tally->sum), 2 * 8);
  assert_int_equal(shoal_load32_relaxed(&tally->told), 19 * 7);
  assert_int_equal(shoal_pool_destroy(pool), 0);
  assert_int_equal(shoal_queue_detach(o.queue), 0);
  assert_int_equal(objects(), before);
}
static void test_pool(void **state) {
  (void)state;
  for (int way = 0; way < BY_THREAD; way++) pool_of(way);
}

// ---- failed ----

static int fail_by_function(void *arg, unsigned worker) {
  (void)worker;
  return shoal_task_fail(-EDOM, "there is no %s", (const char *)arg);
}
static void expect_broken(struct shoal_executor_options o, const char *why) {
  struct shoal_executor *ex = executor_of(o);
  struct shoal_executor_info info;
  struct small s = {.in = 1};
  int rc = SHOAL_APPLY(ex, what_begun, &s, NULL, SHOAL_FOREVER);
  assert_int_equal(rc, -ENOTRECOVERABLE);
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.broken, -ENOTRECOVERABLE);
  assert_non_null(strstr(info.reason, "the initializer failed"));
  assert_non_null(strstr(info.reason, why));
  end_executor(ex);
}
static void test_failed(void **state) {
  (void)state;
  struct start start = {.tally = object.off, .code = -EDOM, .text = "water"};
  for
    EACH_WAY(way) {
      struct shoal_executor_options o = options_of(way, 2);
      o.init_task = "begin_worker", o.init_argument = &start, o.init_size = sizeof start;
      expect_broken(o, "-33, there is no water");
    }
  struct shoal_executor_options o = options_of(0, 1);
  o.init = fail_by_function, o.arg = (void *)(uintptr_t) "air";
  expect_broken(o, "-33, there is no air");
}

// ---- bytes ----

static void test_bytes(void **state) {
  (void)state;
  unsigned char bytes[777] = {0};
  for
    EACH_WAY(way) {
      struct shoal_executor_options o = options_of(way, 1);
      bytes[sizeof bytes - 1] = 9;
      o.init_task = "begin_with_bytes", o.init_argument = bytes, o.init_size = sizeof bytes;
      struct shoal_executor *ex = executor_of(o);
      bytes[sizeof bytes - 1] = 8;
      assert_int_equal(begun_of(ex), 777 + 9);
      end_executor(ex);
    }
}

// ---- refused ----

static int refused(const char *init, const char *finalize, const void *argument, uint64_t size) {
  struct shoal_executor *none;
  struct shoal_executor_options o = options_of(0, 1);
  o.init_task = init, o.finalize_task = finalize, o.init_argument = argument, o.init_size = size;
  return make_executor(o, &none);
}
static int refused_beside_function(const char *init, const char *finalize) {
  struct shoal_executor *none;
  struct start start = {.n = 1};
  struct shoal_executor_options o = options_of(0, 1);
  o.init = fail_by_function, o.init_task = init, o.finalize_task = finalize;
  o.init_argument = &start, o.init_size = sizeof start;
  return make_executor(o, &none);
}
static void test_refused(void **state) {
  (void)state;
  struct start s = {.n = 1};
  struct shoal_queue_options q = {.capacity = 64, .element_size = sizeof s};
  struct shoal_pool_options o = {
      .task = "tell_begun", .init_task = "begin_worker", .init_argument = &s, .init_size = 3};
  struct shoal_pool *pool;
  uint32_t before = objects();
  assert_int_equal(refused("no_such_task", NULL, &s, sizeof s), -ENOENT);
  assert_int_equal(refused("begin_worker", "no_such_task", &s, sizeof s), -ENOENT);
  assert_int_equal(refused("begin_worker", NULL, &s, sizeof s - 1), -EBADMSG);
  assert_int_equal(refused("begin_worker", NULL, NULL, 0), -EBADMSG);
  assert_int_equal(refused("begin_worker", "what_begun", &s, sizeof s), -EBADMSG);
  assert_int_equal(refused("begin_worker", NULL, NULL, sizeof s), -EINVAL);
  assert_int_equal(refused(NULL, NULL, &s, sizeof s), -EINVAL);
  assert_int_equal(refused_beside_function("begin_worker", NULL), -EINVAL);
  assert_int_equal(refused_beside_function(NULL, "end_worker"), -EINVAL);
  assert_int_equal(objects(), before);
  assert_int_equal(shoal_queue_create(seg, NULL, &q, &o.queue), 0);
  assert_int_equal(shoal_pool_create(seg, &o, &pool), -EBADMSG);
  assert_int_equal(shoal_queue_detach(o.queue), 0);
}

static struct shoal_heap *heap;  // which the first executor would make
static int begin_all(void **state) { return begin_tests(state) || shoal_heap_open(seg, &heap); }
static int end_all(void **state) { return shoal_heap_close(heap) || shoal_starter_end() || end_tests(state); }

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up_tally, end_tally)
int main(void) {
  const struct CMUnitTest tests[] = {TEST(begun), TEST(pool), TEST(failed), TEST(bytes), TEST(refused)};
  return cmocka_run_group_tests(tests, begin_all, end_all);
}
