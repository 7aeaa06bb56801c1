// Claims
//   map         results in place, each struct once, for any chunk, of private arrays and of those in the segment
//   starmap     several arguments are a tuple
//   failures    the first failure and its index; the others are done. A worker's death fails its chunk, and no more
//   lost        of chunks that travel together as well
//   resumed     with retries a chunk whose worker died goes on behind what was done
//   async       ready and successful tell; ended before its time, it leaves nothing behind
//   no room     in the queue: the deadline holds for the submits, too
//   imap        in order, and as they complete; of an endless input no more than the window is asked for; failures are
//   results for_each    every index once, in ranges; parts are gathered; failure stops it; killed workers: with retries
//   every index at least
//               once, without at most once
//   gathered    with retries, what is gathered counts each index once, whoever died with it
//   broken      meanwhile: what a worker still claims from is nobody else's
//   chunks      of imap: the window stays; what comes before the first that failed has its result, the others of its chunk are told
//   called back of a map: once, when all is over, and not when it was ended before; it may end the map
//   wait        first, first failure (a cancelled one is none), all; as completed gives each once; callbacks run once each
//   refused     what does not fit changes nothing
#include "ipc/work/map.h"

#include "core/directory.h"
#include "core/heap.h"
#include "ipc/work/executor_internal.h"
#include "tests/ipc/work/executor_support.h"

struct item {
  uint32_t id, in;
  uint64_t out;
};
SHOAL_TASK(cube, struct item) {
  shoal_add32_relaxed(&ledger->begun[arg->id], 1);
  arg->out = (uint64_t)arg->in * arg->in * arg->in;
  return 0;
}
SHOAL_TASK(refuse_thirds, struct item) {
  shoal_add32_relaxed(&ledger->begun[arg->id], 1);
  arg->out = 1;
  return arg->id % 3 == 2 ? shoal_task_fail(-EDOM, "%u", arg->id) : 0;
}
SHOAL_TASK(die_of_13, struct item) {
  if (shoal_add32_relaxed(&ledger->begun[arg->id], 1) == 0 && arg->id == 13) raise(SIGKILL);
  arg->out = 1;
  return 0;
}
SHOAL_TASK(refuse_3_die_of_6, struct item) {
  if (shoal_add32_relaxed(&ledger->begun[arg->id], 1) == 0 && arg->id == 6) raise(SIGKILL);
  return arg->id == 3 ? shoal_task_fail(-EDOM, "3") : 0;
}
SHOAL_TASK(wait_for_go, struct item) {
  while (shoal_load32_relaxed(&ledger->go) <= arg->in) usleep(100);
  return arg->id % 2 ? -EDOM : 0;
}

struct part {
  struct shoal_range range;
  uint64_t sum, ranges, die, fail_at;
};
SHOAL_TASK(sum_range, struct part) {
  arg->ranges++;
  for (uint64_t i = arg->range.begin; i < arg->range.end; i++) {
    if (arg->die && i % arg->die == arg->die - 1 && !shoal_add32_relaxed(&ledger->ended[i], 1)) raise(SIGKILL);
    if (arg->fail_at && i == arg->fail_at) return shoal_task_fail(-EDOM, "at %u", (unsigned)i);
    if (i < IDS) shoal_add32_relaxed(&ledger->begun[i], 1);
    arg->sum += i;
  }
  return 0;
}
static void add_part(void *argument, const void *part) {
  struct part *all = argument;
  all->sum += ((const struct part *)part)->sum;
  all->ranges += ((const struct part *)part)->ranges;
}

static void fill(struct item *items, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) items[i] = (struct item){i, i, 0};
}
static void check_cubes(const struct item *items, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    assert_int_equal(items[i].out, (uint64_t)i * i * i);
    assert_int_equal(shoal_load32_relaxed(&ledger->begun[i]), 1);
  }
}
static void check_empty(struct shoal_executor *ex) {
  struct shoal_executor_info info;
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.jobs, 0);
  end_executor(ex);
}

static void test_map(void **state) {
  (void)state;
  static const uint32_t sizes[] = {0, 1, 2, 7, 1000, 5000};
  static const uint64_t chunks[] = {0, 1, 3, UINT64_C(1) << 60, UINT64_MAX};
  static struct item own[5000];
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.jobs = 1024});
  struct shoal_object object;
  assert_int_equal(shoal_object_create(seg, NULL, "items", sizeof own, NULL, NULL, &object), 0);
  for (unsigned k = 0; k < 6 * 5 * 2; k++) {
    uint32_t n = sizes[k / 10];
    uint64_t chunk = chunks[k % 5];
    struct item *items = k % 10 / 5 ? object.memory : own;
    struct shoal_map *map;
    set_up(NULL);
    fill(items, n);
    assert_int_equal(SHOAL_MAP_ASYNC(ex, cube, items, n, chunk, &map), 0);
    assert_int_equal(shoal_map_get(map, NULL, SHOAL_FOREVER), 0);
    assert_int_equal(shoal_map_successful(map), 1);
    assert_int_equal(shoal_map_end(map), 0);
    check_cubes(items, n);
  }
  shoal_object_close(seg, &object);
  check_empty(ex);
}

static void test_failures(void **state) {
  (void)state;
  struct item items[100];
  struct shoal_failure failure;
  struct shoal_map *map;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){0});
  fill(items, 100);
  assert_int_equal(SHOAL_MAP(ex, refuse_thirds, items, 100, &failure, SHOAL_FOREVER), -EREMOTEIO);
  assert_int_equal(failure.element, 2);
  assert_int_equal(failure.code, -EDOM);
  assert_string_equal(failure.message, "2");
  assert_non_null(strstr(shoal_reason(), "task refuse_thirds, worker "));
  const char *why = strstr(shoal_reason(), "(-33): ");
  assert_non_null(why);
  assert_string_equal(why, "(-33): 2");  // the first that failed, not the last
  for (uint32_t i = 0; i < 100; i++) assert_int_equal(items[i].out, 1);
  set_up(NULL);
  fill(items, 100);
  assert_int_equal(SHOAL_MAP_ASYNC(ex, die_of_13, items, 100, 5, &map), 0);
  assert_int_equal(shoal_map_get(map, &failure, SHOAL_FOREVER), -EREMOTEIO);
  assert_int_equal(failure.code, -ENOTRECOVERABLE);
  assert_int_equal(failure.element, 13);
  assert_int_equal(shoal_map_successful(map), 0);
  shoal_map_end(map);
  for (uint32_t i = 0; i < 100; i++) assert_int_equal(items[i].out, i / 5 != 2);
  check_empty(ex);
}

SHOAL_TASK(die_of_some, struct item) {
  if (shoal_add32_relaxed(&ledger->begun[arg->id], 1) == 0 && arg->id % 1000 == 513) raise(SIGKILL);
  arg->out = 1;
  return 0;
}
// Short chunks travel together once it is known that they are; each death takes the one in hand, all the same.
static void test_lost(void **state) {
  (void)state;
  enum { N = 4000 };
  static struct item own[N];
  struct shoal_object object;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){0});
  assert_int_equal(shoal_object_create(seg, NULL, "items", sizeof own, NULL, NULL, &object), 0);
  for (unsigned k = 0; k < 4; k++) {
    struct item *items = k / 2 ? object.memory : own;
    uint32_t chunk = k % 2 ? 3 : 1;
    struct shoal_failure failure;
    struct shoal_map *map;
    set_up(NULL);
    fill(items, N);
    shoal_store64_relaxed(&ex->pace,
                          (uint64_t)(uintptr_t)&die_of_some_task_ << 16 | 48);  // as a map without deaths would
    assert_int_equal(SHOAL_MAP_ASYNC(ex, die_of_some, items, N, chunk, &map), 0);
    assert_int_equal(shoal_map_get(map, &failure, SHOAL_FOREVER), -EREMOTEIO);
    assert_int_equal(failure.code, -ENOTRECOVERABLE);
    assert_true(failure.signal == SIGKILL || !failure.signal);  // unless that place has died again
    assert_int_equal(failure.attempt, 1);
    assert_int_equal(failure.element, 513);
    shoal_map_end(map);
    for (uint32_t i = 0; i < N; i++) {
      uint32_t dead = i / 1000 * 1000 + 513, with_it = i / chunk == dead / chunk;
      assert_int_equal(shoal_load32_relaxed(&ledger->begun[i]), !with_it || i <= dead);
      assert_int_equal(items[i].out, items == own ? !with_it : !with_it || i < dead);
    }
  }
  shoal_object_close(seg, &object);
  check_empty(ex);
}

static void test_resumed(void **state) {
  (void)state;
  struct item items[100];
  struct shoal_map *map;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.retries = 1});
  fill(items, 100);
  assert_int_equal(SHOAL_MAP_ASYNC(ex, die_of_13, items, 100, 50, &map), 0);
  assert_int_equal(shoal_map_get(map, NULL, SHOAL_FOREVER), 0);
  shoal_map_end(map);
  for (uint32_t i = 0; i < 100; i++) {
    assert_int_equal(items[i].out, 1);
    assert_int_equal(shoal_load32_relaxed(&ledger->begun[i]), 1 + (i == 13));
  }
  check_empty(ex);
}

// What failed before a death is still the first failure.
static void test_failed_before(void **state) {
  (void)state;
  struct item items[10];
  struct shoal_failure failure;
  struct shoal_map *map;
  for (uint32_t retries = 0; retries < 2; retries++) {
    struct shoal_executor *ex = executor_of((struct shoal_executor_options){.retries = retries});
    set_up(NULL);
    fill(items, 10);
    assert_int_equal(SHOAL_MAP_ASYNC(ex, refuse_3_die_of_6, items, 10, 10, &map), 0);
    assert_int_equal(shoal_map_get(map, &failure, SHOAL_FOREVER), -EREMOTEIO);
    assert_int_equal(failure.code, -EDOM);
    assert_int_equal(failure.element, 3);
    assert_string_equal(failure.message, "3");
    assert_int_equal(shoal_load32_relaxed(&ledger->begun[9]), retries);
    shoal_map_end(map);
    check_empty(ex);
  }
}

struct power {
  uint32_t base, exponent;
  uint64_t result;
};
SHOAL_TASK(power, struct power) {
  if (!arg->base && !arg->exponent) return shoal_task_fail(-EDOM, "0 to the 0th");
  arg->result = 1;
  for (uint32_t i = 0; i < arg->exponent; i++) arg->result *= arg->base;
  return 0;
}
static void test_starmap(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){0});
  struct power tuples[] = {{2, 5, 0}, {3, 2, 0}, {10, 3, 0}, {0, 0, 7}};
  struct shoal_failure failure;
  struct shoal_map *map;
  assert_int_equal(SHOAL_STARMAP(ex, power, tuples, 3, NULL, SHOAL_FOREVER), 0);
  assert_true(tuples[0].result == 32 && tuples[1].result == 9 && tuples[2].result == 1000 && tuples[3].result == 7);
  for (unsigned i = 0; i < 3; i++) tuples[i].exponent = 1;
  assert_int_equal(SHOAL_STARMAP_ASYNC(ex, power, tuples, 4, 1, &map), 0);
  assert_int_equal(shoal_map_wait(map, SHOAL_FOREVER), 0);  // whatever it came to
  assert_int_equal(shoal_map_successful(map), 0);
  assert_int_equal(shoal_map_get(map, &failure, SHOAL_FOREVER), -EREMOTEIO);
  assert_true(failure.code == -EDOM && failure.element == 3);
  assert_true(tuples[0].result == 2 && tuples[1].result == 3 && tuples[2].result == 10);
  assert_int_equal(shoal_map_end(map), 0);
  check_empty(ex);
}

static void test_async(void **state) {
  (void)state;
  struct item items[100];
  struct shoal_map *map;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){0});
  for (uint32_t i = 0; i < 100; i++) items[i] = (struct item){.id = 2 * i};
  for (int round = 0; round < 2; round++) {
    assert_int_equal(SHOAL_MAP_ASYNC(ex, wait_for_go, items, 100, 1, &map), 0);
    assert_int_equal(shoal_map_ready(map), 0);
    assert_int_equal(shoal_map_successful(map), -EAGAIN);
    assert_int_equal(shoal_map_get(map, NULL, SHOAL_TRY), -EAGAIN);
    assert_int_equal(shoal_map_get(map, NULL, shoal_after_ms(1)), -ETIMEDOUT);
    assert_int_equal(shoal_map_wait(map, SHOAL_TRY), -EAGAIN);
    assert_int_equal(shoal_map_wait(map, shoal_after_ms(1)), -ETIMEDOUT);
    if (round) shoal_store32_relaxed(&ledger->go, 1);
    if (round) assert_int_equal(shoal_map_wait(map, SHOAL_FOREVER), 0);
    if (round) assert_int_equal(shoal_map_successful(map), 1);
    if (round) assert_int_equal(shoal_map_get(map, NULL, SHOAL_FOREVER), 0);
    if (round) assert_int_equal(shoal_map_ready(map), 1);
    assert_int_equal(shoal_map_end(map), 0);
    if (!round) shoal_store32_relaxed(&ledger->go, 1), usleep(1000), shoal_store32_relaxed(&ledger->go, 0);
  }
  assert_int_equal(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER), 0);
  check_empty(ex);
}

static void test_no_room(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1, .jobs = 16});
  struct item held = {.in = 0}, items[4] = {{.id = 2}};
  int rc;
  while ((rc = SHOAL_SUBMIT_UNTIL(ex, wait_for_go, &held, SHOAL_TRY, NULL)) == 0) continue;
  assert_int_equal(rc, -EAGAIN);
  rc = SHOAL_MAP(ex, cube, items, 4, NULL, SHOAL_TRY);
  assert_true(rc == -EAGAIN || rc == -ETIMEDOUT);
  rc = SHOAL_MAP(ex, cube, items, 4, NULL, shoal_after_ms(10));
  assert_int_equal(rc, -ETIMEDOUT);
  shoal_store32_relaxed(&ledger->go, 1);
  assert_int_equal(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER), 0);
  check_empty(ex);
}

static uint32_t asked;
static int count_up(void *arg, void *item) {
  uint32_t n = *(uint32_t *)arg;
  if (asked == n) return 0;
  *(struct item *)item = (struct item){asked, asked, 0};
  asked++;
  return 1;
}
static void test_imap(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.jobs = 64});
  struct shoal_imap *it;
  struct item item;
  for (uint32_t unordered = 0; unordered < 2; unordered++) {
    uint32_t n = 2000, got = 0, forever = UINT32_MAX;
    struct shoal_imap_options o = {.window = 10, .unordered = unordered};
    set_up(NULL);
    asked = 0;
    assert_int_equal(SHOAL_IMAP(ex, cube, count_up, &n, &o, &it), 0);
    for (int rc; (rc = shoal_imap_next(it, &item, sizeof item, NULL, SHOAL_FOREVER)) != -ENOENT; got++) {
      assert_int_equal(rc, 0);
      if (!unordered) assert_int_equal(item.id, got);
      assert_true(asked <= got + 10);
      assert_int_equal(item.out, (uint64_t)item.in * item.in * item.in);
      assert_int_equal(shoal_add32_relaxed(&ledger->ended[item.id], 1), 0);
    }
    assert_int_equal(got, n);
    shoal_imap_end(it);
    asked = 0;
    assert_int_equal(SHOAL_IMAP(ex, refuse_thirds, count_up, &forever, &o, &it), 0);
    for (uint32_t i = 0; i < 300; i++) {
      struct shoal_failure failure;
      int rc = shoal_imap_next(it, &item, sizeof item, &failure, SHOAL_FOREVER);
      if (!unordered) assert_int_equal(rc, i % 3 == 2 ? -EREMOTEIO : 0);
    }
    shoal_imap_end(it);
  }
  uint32_t one = 1;
  asked = 0;
  assert_int_equal(SHOAL_IMAP(ex, wait_for_go, count_up, &one, NULL, &it), 0);
  assert_int_equal(shoal_imap_next(it, &item, sizeof item, NULL, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_imap_next(it, &item, sizeof item, NULL, shoal_after_ms(1)), -ETIMEDOUT);
  shoal_store32_relaxed(&ledger->go, 1);
  assert_int_equal(shoal_imap_next(it, &item, sizeof item, NULL, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_imap_next(it, &item, sizeof item, NULL, SHOAL_FOREVER), -ENOENT);
  shoal_imap_end(it);
  assert_int_equal(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER), 0);
  check_empty(ex);
}

// What imap gives of n arguments in chunks: refuse_thirds fails the third of each three.
static void imap_chunks(struct shoal_executor *ex, struct shoal_imap_options o, uint32_t n) {
  struct shoal_imap *it;
  uint32_t got = 0;
  set_up(NULL);
  asked = 0;
  assert_int_equal(SHOAL_IMAP(ex, cube, count_up, &n, &o, &it), 0);
  for (int rc;; got++) {
    struct item item = {.id = 0};
    if ((rc = shoal_imap_next(it, &item, sizeof item, NULL, SHOAL_FOREVER)) == -ENOENT) break;
    assert_int_equal(rc, 0);
    if (!o.unordered) assert_int_equal(item.id, got);
    assert_true(asked <= got + o.window);
    assert_int_equal(item.out, (uint64_t)item.in * item.in * item.in);
    assert_int_equal(shoal_add32_relaxed(&ledger->ended[item.id], 1), 0);
  }
  assert_int_equal(got, n);
  shoal_imap_end(it);
  set_up(NULL);
  asked = 0;
  assert_int_equal(SHOAL_IMAP(ex, refuse_thirds, count_up, &n, &o, &it), 0);
  for (uint32_t i = 0, rank = 0; i < n; i++) {
    struct item item = {.id = UINT32_MAX};
    struct shoal_failure failure = {.code = 0};
    int rc = shoal_imap_next(it, &item, sizeof item, &failure, SHOAL_FOREVER);
    if (rc) assert_int_equal(rc, -EREMOTEIO);
    if (rc) assert_int_equal(failure.code, -EDOM);
    if (o.unordered) continue;
    rank = i - i % o.chunk;  // where its chunk begins
    uint32_t first = rank + (5 - rank % 3) % 3;
    assert_int_equal(rc, i < first ? 0 : -EREMOTEIO);
    if (rc) assert_int_equal(failure.element, first);
    else assert_int_equal(item.id, i);
  }
  assert_int_equal(shoal_imap_next(it, &(struct item){0}, sizeof(struct item), NULL, SHOAL_FOREVER), -ENOENT);
  shoal_imap_end(it);
}
static void test_imap_chunks(void **state) {
  (void)state;
  static const struct shoal_imap_options options[] = {{.window = 10, .chunk = 3}, {.window = 10, .chunk = 10},
                                                      {.window = 11, .chunk = 2}, {.window = 200, .chunk = 50},
                                                      {.window = 10, .chunk = 1}, {.window = 1, .chunk = 1}};
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.jobs = 64});
  for (unsigned i = 0; i < sizeof options / sizeof *options; i++) {
    struct shoal_imap_options o = options[i];
    for (o.unordered = 0; o.unordered < 2; o.unordered++) {
      imap_chunks(ex, o, 1000);
      imap_chunks(ex, o, 1);
      imap_chunks(ex, o, 0);
    }
  }
  check_empty(ex);
}

// A worker dies in a chunk: those before have their results. An error of the input comes behind what it had given.
static int fail_at_8(void *arg, void *item) {
  (void)arg;
  *(struct item *)item = (struct item){asked, asked, 0};
  return asked == 8 ? -EIO : (int)(++asked > 0);
}
static void test_imap_chunk_dies(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.jobs = 64});
  struct shoal_imap_options o = {.window = 20, .chunk = 5};
  struct shoal_imap *it;
  struct shoal_failure failure;
  struct item item;
  uint32_t n = 20;
  asked = 0;
  assert_int_equal(SHOAL_IMAP(ex, die_of_13, count_up, &n, &o, &it), 0);
  for (uint32_t i = 0; i < n; i++) {
    int rc = shoal_imap_next(it, &item, sizeof item, &failure, SHOAL_FOREVER);
    assert_int_equal(rc, i < 13 || i >= 15 ? 0 : -EREMOTEIO);
    if (rc) assert_int_equal(failure.code, -ENOTRECOVERABLE);
    if (rc) assert_int_equal(failure.element, 13);
    else assert_true(item.id == i && item.out == 1);
  }
  assert_int_equal(shoal_imap_next(it, &item, sizeof item, NULL, SHOAL_FOREVER), -ENOENT);
  shoal_imap_end(it);
  asked = 0;
  assert_int_equal(SHOAL_IMAP(ex, cube, fail_at_8, NULL, &o, &it), 0);
  for (uint32_t i = 0; i < 8; i++) {
    assert_int_equal(shoal_imap_next(it, &item, sizeof item, NULL, SHOAL_FOREVER), 0);
    assert_int_equal(item.id, i);
  }
  for (int i = 0; i < 2; i++) assert_int_equal(shoal_imap_next(it, &item, sizeof item, NULL, SHOAL_FOREVER), -EIO);
  shoal_imap_end(it);
  check_empty(ex);
}

// No cell for the next, or closed: what is out is given out.
static void test_imap_stopped(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1, .jobs = 16});
  struct shoal_imap_options o = {.window = 16};
  struct item item = {.id = 100};
  struct shoal_future f;
  struct shoal_imap *it;
  uint32_t n = 40, got = 0;
  int rc = SHOAL_SUBMIT(ex, cube, &item, &f);
  assert_int_equal(rc, 0);
  assert_int_equal(SHOAL_IMAP(ex, cube, count_up, &n, &o, &it), 0);
  for (asked = 0; (rc = shoal_imap_next(it, &item, sizeof item, NULL, SHOAL_FOREVER)) == 0; got++) {
    assert_int_equal(item.id, got);
    if (got == 10) assert_int_equal(shoal_executor_close(ex), 0);
  }
  assert_int_equal(rc, -EPIPE);
  assert_int_equal(asked, got + 1);  // the one that it holds
  shoal_imap_end(it);
  assert_int_equal(shoal_future_release(&f), 0);
  check_empty(ex);
}

static void test_for_each(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){0});
  struct shoal_for_each_options o = {.gather = add_part};
  static const uint64_t sizes[] = {0, 1, 2, 1000, IDS};
  for (unsigned k = 0; k < 5; k++) {
    struct part p = {.sum = 0};
    uint64_t n = sizes[k];
    set_up(NULL);
    assert_int_equal(SHOAL_FOR_EACH(ex, sum_range, &p, n, &o, NULL, SHOAL_FOREVER), 0);
    assert_int_equal(p.sum, n ? n * (n - 1) / 2 : 0);
    assert_true(n < 10 || p.ranges < n);
    for (uint64_t i = 0; i < n; i++) assert_int_equal(shoal_load32_relaxed(&ledger->begun[i]), 1);
  }
  struct part p = {.fail_at = 5000};
  struct shoal_failure failure;
  assert_int_equal(SHOAL_FOR_EACH(ex, sum_range, &p, IDS, NULL, &failure, SHOAL_FOREVER), -EREMOTEIO);
  assert_string_equal(failure.message, "at 5000");
  p.fail_at = 0;
  o.grain = 1;
  check_empty(ex);
  for (uint32_t k = 0; k < 4; k++) {
    uint32_t retries = k / 2, gathers = k % 2;
    ex = executor_of((struct shoal_executor_options){.retries = retries * 60});
    p = (struct part){.die = 5000};
    set_up(NULL);
    int rc = SHOAL_FOR_EACH(ex, sum_range, &p, IDS, gathers ? &o : NULL, NULL, SHOAL_FOREVER);
    assert_int_equal(rc, retries ? 0 : -EREMOTEIO);
    assert_int_equal(p.sum, retries && gathers ? (uint64_t)IDS * (IDS - 1) / 2 : 0);
    for (uint64_t i = 0; i < IDS; i++) {
      if (retries) assert_true(shoal_load32_relaxed(&ledger->begun[i]) >= 1);
      else assert_true(shoal_load32_relaxed(&ledger->begun[i]) <= 1);
    }
    check_empty(ex);
  }
}

// What is gathered counts each index once, however often a range was begun.
static void test_gathered(void **state) {
  (void)state;
  static const uint64_t sizes[] = {0, 1, 2, 50, 1000, IDS};
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.retries = 60, .jobs = 64});
  struct shoal_for_each_options o = {.gather = add_part};
  struct shoal_failure failure;
  for (unsigned k = 0; k < 6; k++) {
    struct part p = {.sum = 0};
    uint64_t n = sizes[k];
    set_up(NULL);
    assert_int_equal(SHOAL_FOR_EACH(ex, sum_range, &p, n, &o, NULL, SHOAL_FOREVER), 0);
    assert_int_equal(p.sum, n ? n * (n - 1) / 2 : 0);
    for (uint64_t i = 0; i < n; i++) assert_int_equal(shoal_load32_relaxed(&ledger->begun[i]), 1);
  }
  struct part p = {.die = 10};
  o.grain = 400;
  assert_int_equal(SHOAL_FOR_EACH(ex, sum_range, &p, 1000, &o, NULL, SHOAL_FOREVER), 0);
  assert_int_equal(p.sum, 1000 * 999 / 2);
  assert_in_range(p.ranges, 1, 2);
  p = (struct part){.fail_at = 5000};
  assert_int_equal(SHOAL_FOR_EACH(ex, sum_range, &p, IDS, &o, &failure, SHOAL_FOREVER), -EREMOTEIO);
  assert_string_equal(failure.message, "at 5000");
  assert_int_equal(p.sum, 0);
  check_empty(ex);
}

SHOAL_TASK(die_or_hold, struct part) {
  if (arg->range.begin) raise(SIGKILL);
  shoal_add32_relaxed(&ledger->begun[0], 1);
  while (!shoal_load32_relaxed(&ledger->go)) usleep(100);
  return 0;
}
static void test_broken(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){
      .workers = 2, .retries = 60, .restarts_max = 2, .restarts_within_ns = INT64_C(3600000000000)});
  struct part p = {.sum = 0};
  struct shoal_heap_info info;
  struct shoal_heap *heap;
  assert_int_equal(shoal_heap_open(seg, &heap), 0);
  assert_int_equal(SHOAL_FOR_EACH(ex, die_or_hold, &p, 2, NULL, NULL, SHOAL_FOREVER), -ENOTRECOVERABLE);
  while (!shoal_load32_relaxed(&ledger->begun[0])) usleep(100);
  assert_int_equal(shoal_heap_info(heap, &info), 0);
  assert_int_equal(info.objects, 1);
  shoal_store32_relaxed(&ledger->go, 1);
  end_executor(ex);
  shoal_heap_reap(heap);
  assert_int_equal(shoal_heap_info(heap, &info), 0);
  assert_int_equal(info.blocks, 0);
  assert_int_equal(shoal_heap_close(heap), 0);
}

static unsigned called;
static void count_call(const struct shoal_future *f, void *arg) {
  assert_int_equal(shoal_future_done(f), 1);
  *(unsigned *)arg += 1;
}

static void test_wait(void **state) {
  (void)state;
  enum { N = 8 };
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = WORKERS});
  struct shoal_future f[N];
  unsigned i, calls = 0, seen = 0;
  assert_int_equal(shoal_executor_poll(ex, SHOAL_FOREVER), 0);
  for (i = 0; i < N; i++) {
    struct item item = {.id = i == 5, .in = i};  // an odd one fails
    assert_int_equal(SHOAL_SUBMIT(ex, wait_for_go, &item, &f[i]), 0);
    assert_int_equal(shoal_future_on_done(&f[i], count_call, &calls), 0);
  }
  assert_int_equal(shoal_executor_poll(ex, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_executor_poll(ex, shoal_after_ms(1)), -ETIMEDOUT);
  assert_int_equal(shoal_future_wait(f, N, SHOAL_FIRST_DONE, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_future_wait(f, N, SHOAL_ALL_DONE, shoal_after_ms(1)), -ETIMEDOUT);
  assert_int_equal(shoal_future_wait(f, 0, SHOAL_ALL_DONE, SHOAL_FOREVER), 0);
  shoal_store32_relaxed(&ledger->go, 1);
  assert_int_equal(shoal_future_wait(f, N, SHOAL_FIRST_DONE, SHOAL_FOREVER), 1);
  shoal_store32_relaxed(&ledger->go, 6);
  assert_in_range(shoal_future_wait(f, N, SHOAL_FIRST_FAILED, SHOAL_FOREVER), 4, 6);
  assert_int_equal(shoal_future_succeeded(&f[5]), 0);
  while (calls < 6) assert_true(shoal_executor_poll(ex, SHOAL_FOREVER) >= 0);
  struct shoal_completed c;
  assert_int_equal(shoal_completed_begin(&c, f, N), 0);
  for (unsigned k = 0; k < N; k++) {
    if (k == 6) assert_int_equal(shoal_completed_next(&c, &i, SHOAL_TRY), -EAGAIN);
    if (k == 6) shoal_store32_relaxed(&ledger->go, 7);
    if (k == 7) assert_int_equal(shoal_completed_next(&c, &i, shoal_after_ms(1)), -ETIMEDOUT);
    if (k == 7) shoal_store32_relaxed(&ledger->go, 8);
    assert_int_equal(shoal_completed_next(&c, &i, SHOAL_FOREVER), 0);
    assert_false(seen & 1u << i);
    seen |= 1u << i;
    if (k >= 6) assert_int_equal(i, k);
  }
  assert_int_equal(shoal_completed_next(&c, &i, SHOAL_FOREVER), -ENOENT);
  shoal_completed_end(&c);
  assert_int_equal(shoal_future_wait(f, N, SHOAL_ALL_DONE, SHOAL_FOREVER), N);
  assert_int_equal(calls, N);
  for (i = 0; i < N; i++) assert_int_equal(shoal_future_release(&f[i]), 0);
  assert_int_equal(shoal_future_on_done(&f[0], count_call, &called), -EINVAL);
  check_empty(ex);
}

// The first is held up; one that is cancelled has not failed.
static void test_wait_for_a_failure(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1});
  struct shoal_future f[3];
  for (uint32_t i = 0; i < 3; i++) {
    struct item item = {.id = i == 2, .in = 0};
    assert_int_equal(SHOAL_SUBMIT(ex, wait_for_go, &item, &f[i]), 0);
  }
  assert_int_equal(shoal_future_cancel(&f[1], 0), 0);
  assert_int_equal(shoal_future_wait(f, 3, SHOAL_FIRST_FAILED, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_future_wait(f, 3, SHOAL_FIRST_DONE, SHOAL_TRY), 1);
  shoal_store32_relaxed(&ledger->go, 1);
  assert_int_equal(shoal_future_wait(f, 3, SHOAL_FIRST_FAILED, SHOAL_FOREVER), 3);
  for (int i = 0; i < 3; i++) assert_int_equal(shoal_future_release(&f[i]), 0);
  check_empty(ex);
}

static void *cancel_soon(void *f) {
  usleep(20000);
  return (void *)(intptr_t)shoal_future_cancel(f, 0);
}
struct told {
  unsigned n;
  int rc, end;
  struct shoal_failure failure;
};
static void tell_map(struct shoal_map *map, void *arg) {
  struct told *t = arg;
  t->n++;
  t->rc = shoal_map_get(map, &t->failure, SHOAL_TRY);
  if (t->end) assert_int_equal(shoal_map_end(map), 0);
}
static void test_map_called_back(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = WORKERS});
  struct item items[40];
  struct told told = {.n = 0}, second = {.n = 0}, dropped = {.n = 0};
  struct shoal_map *map, *other;
  for (uint32_t i = 0; i < 40; i++) items[i] = (struct item){.id = 0, .in = i / 20};  // the second half waits longer
  assert_int_equal(SHOAL_MAP_ASYNC(ex, wait_for_go, items, 40, 1, &map), 0);
  assert_int_equal(shoal_map_on_done(map, NULL, NULL), -EINVAL);
  assert_int_equal(shoal_map_on_done(map, tell_map, &told), 0);
  assert_int_equal(shoal_map_on_done(map, tell_map, &second), 0);
  assert_int_equal(SHOAL_MAP_ASYNC(ex, wait_for_go, items, 40, 1, &other), 0);
  assert_int_equal(shoal_map_on_done(other, tell_map, &dropped), 0);
  assert_int_equal(shoal_executor_poll(ex, SHOAL_TRY), -EAGAIN);
  shoal_store32_relaxed(&ledger->go, 1);
  assert_int_equal(shoal_executor_poll(ex, shoal_after_ms(20)), -ETIMEDOUT);
  assert_int_equal(shoal_map_end(other), 0);
  shoal_store32_relaxed(&ledger->go, 2);
  assert_in_range(shoal_executor_poll(ex, SHOAL_FOREVER), 1, 2);  // 1: the second within the first one's get
  assert_true(told.n == 1 && told.rc == 0 && second.n == 1 && second.rc == 0 && dropped.n == 0);
  assert_int_equal(shoal_executor_poll(ex, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_map_end(map), 0);

  told = (struct told){.end = 1};  // a failure; and the callback ends the map, in a get, in a wait for it
  fill(items, 40);
  struct shoal_failure failure;
  assert_int_equal(SHOAL_MAP_ASYNC(ex, refuse_thirds, items, 40, 1, &map), 0);
  assert_int_equal(shoal_map_on_done(map, tell_map, &told), 0);
  assert_int_equal(shoal_map_get(map, &failure, SHOAL_FOREVER), -EREMOTEIO);
  assert_non_null(strstr(shoal_reason(), "refuse_thirds"));
  assert_true(told.n == 1 && told.rc == -EREMOTEIO && told.failure.element == failure.element);

  told = (struct told){.end = 1};
  fill(items, 40);
  assert_int_equal(SHOAL_MAP_ASYNC(ex, refuse_thirds, items, 40, 1, &map), 0);
  assert_int_equal(shoal_map_on_done(map, tell_map, &told), 0);
  assert_int_equal(shoal_map_wait(map, SHOAL_FOREVER), 0);
  assert_true(told.n == 1 && told.rc == -EREMOTEIO && told.failure.element == 2 && told.failure.code == -EDOM);

  told = (struct told){.end = 1};  // of nothing: over at once
  assert_int_equal(SHOAL_MAP_ASYNC(ex, cube, items, 0, 1, &map), 0);
  assert_int_equal(shoal_map_on_done(map, tell_map, &told), 0);
  assert_int_equal(shoal_executor_poll(ex, SHOAL_FOREVER), 1);
  assert_true(told.n == 1 && told.rc == 0);
  assert_int_equal(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER), 0);
  check_empty(ex);
}

// More callbacks than can be slept on: the last is due first.
static void test_many_callbacks(void **state) {
  (void)state;
  enum { N = 150 };
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1, .jobs = 512});
  struct shoal_future f[N];
  unsigned calls = 0;
  pthread_t t;
  void *answer;
  for (unsigned i = 0; i < N; i++) {
    struct item item = {.id = 0};
    assert_int_equal(SHOAL_SUBMIT(ex, wait_for_go, &item, &f[i]), 0);
    assert_int_equal(shoal_future_on_done(&f[i], count_call, &calls), 0);
  }
  assert_int_equal(shoal_executor_poll(ex, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_executor_poll(ex, shoal_after_ms(50)), -ETIMEDOUT);
  assert_int_equal(pthread_create(&t, NULL, cancel_soon, &f[N - 1]), 0);
  assert_int_equal(shoal_executor_poll(ex, SHOAL_FOREVER), 1);
  pthread_join(t, &answer);
  assert_null(answer);
  shoal_store32_relaxed(&ledger->go, 1);
  while (calls < N) assert_true(shoal_executor_poll(ex, SHOAL_FOREVER) >= 0);
  for (unsigned i = 0; i < N; i++) assert_int_equal(shoal_future_release(&f[i]), 0);
  check_empty(ex);
}

static void test_refused(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1, .jobs = 16});
  struct item item;
  struct shoal_map *map;
  struct shoal_imap *it;
  uint32_t n = 1;
  assert_int_equal(shoal_map(ex, "nobody", &item, 1, sizeof item, NULL, SHOAL_FOREVER), -ENOENT);
  assert_int_equal(shoal_map(ex, "cube", &item, 1, 5, NULL, SHOAL_FOREVER), -EBADMSG);
  assert_int_equal(SHOAL_MAP_ASYNC(ex, cube, (struct item *)NULL, 1, 0, &map), -EINVAL);
  assert_int_equal(SHOAL_MAP_ASYNC(ex, cube, &item, UINT64_MAX / 8, 0, &map), -EINVAL);
  struct shoal_imap_options o = {.window = 17};
  assert_int_equal(SHOAL_IMAP(ex, cube, count_up, &n, &o, &it), -EINVAL);
  o = (struct shoal_imap_options){.window = 4, .chunk = 5};
  assert_int_equal(SHOAL_IMAP(ex, cube, count_up, &n, &o, &it), -EINVAL);
  o = (struct shoal_imap_options){.chunk = UINT32_MAX};
  assert_int_equal(SHOAL_IMAP(ex, cube, count_up, &n, &o, &it), -EINVAL);
  assert_int_equal(shoal_imap_begin(ex, &cube_task_, 3, count_up, &n, NULL, &it), -EBADMSG);
  assert_int_equal(SHOAL_IMAP(ex, cube, NULL, &n, NULL, &it), -EINVAL);
  assert_int_equal(SHOAL_MAP_ASYNC(ex, cube, &item, UINT64_C(1) << 44, 0, &map), -EINVAL);
  assert_non_null(strstr(shoal_reason(), "17592186044416 elements in 4 jobs"));
  assert_int_equal(SHOAL_MAP_ASYNC(ex, cube, &item, UINT64_C(1) << 32, UINT64_C(1) << 31, &map), -EINVAL);
  assert_non_null(strstr(shoal_reason(), "chunks of 2147483648 elements"));
  struct part p = {.sum = 0}, *no_part = NULL;
  assert_int_equal(shoal_for_each_task(ex, &sum_range_task_, &p, 3, 5, NULL, NULL, SHOAL_FOREVER), -EBADMSG);
  assert_int_equal(SHOAL_FOR_EACH(ex, sum_range, no_part, 5, NULL, NULL, SHOAL_FOREVER), -EINVAL);
  assert_int_equal(SHOAL_FOR_EACH(ex, sum_range, no_part, 0, NULL, NULL, SHOAL_FOREVER), -EINVAL);
  assert_int_equal(shoal_future_wait(NULL, 0, (enum shoal_wait_for)3, SHOAL_TRY), -EINVAL);
  assert_int_equal(shoal_executor_close(ex), 0);
  assert_int_equal(SHOAL_FOR_EACH(ex, sum_range, &p, 5, NULL, NULL, SHOAL_FOREVER), -EPIPE);
  assert_int_equal(SHOAL_MAP(ex, cube, &item, 1, NULL, SHOAL_FOREVER), -EPIPE);
  check_empty(ex);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_map, set_up),
      cmocka_unit_test_setup(test_starmap, set_up),
      cmocka_unit_test_setup(test_failures, set_up),
      cmocka_unit_test_setup(test_lost, set_up),
      cmocka_unit_test_setup(test_resumed, set_up),
      cmocka_unit_test_setup(test_async, set_up),
      cmocka_unit_test_setup(test_imap, set_up),
      cmocka_unit_test_setup(test_imap_chunks, set_up),
      cmocka_unit_test_setup(test_imap_chunk_dies, set_up),
      cmocka_unit_test_setup(test_map_called_back, set_up),
      cmocka_unit_test_setup(test_for_each, set_up),
      cmocka_unit_test_setup(test_gathered, set_up),
      cmocka_unit_test_setup(test_wait_for_a_failure, set_up),
      cmocka_unit_test_setup(test_wait, set_up),
      cmocka_unit_test_setup(test_refused, set_up),
      cmocka_unit_test_setup(test_broken, set_up),
      cmocka_unit_test_setup(test_failed_before, set_up),
      cmocka_unit_test_setup(test_no_room, set_up),
      cmocka_unit_test_setup(test_imap_stopped, set_up),
      cmocka_unit_test_setup(test_many_callbacks, set_up),
  };
  return cmocka_run_group_tests(tests, begin_tests, end_tests);
}
