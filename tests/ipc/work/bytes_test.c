// Claims
//   any length  of arguments and results, from none to megabytes; results are read in place or copied, as often as one
//               likes
//   room        a result is moved when it grows, and is as it was where there is no room; too small a buffer is told how many
//   failed      what a task had replied before it failed, or its worker died, is no result, and no memory is lost
//   given up    by force, while it runs: likewise; a dead letter has the argument
//   retried     what a dead attempt had replied is not what the next one answers
//   elsewhere   another process opens the future, and gets them
//   refused     structs where bytes are wanted, bytes where structs are
#include "core/heap.h"
#include "ipc/work/executor_internal.h"
#include "ipc/work/map.h"
#include "ipc/work/pool.h"
#include "tests/ipc/work/executor_support.h"

SHOAL_BYTES_TASK(reversed) {
  char *out;
  if (arg->size == 0) return 0;
  int rc = shoal_bytes_reply(arg, arg->size, (void **)&out);
  for (uint64_t i = 0; !rc && i < arg->size; i++) out[i] = ((const char *)arg->data)[arg->size - 1 - i];
  return rc;
}
// The numbers from 0 on, one more than there was room for each time, up to as many as the argument says.
SHOAL_BYTES_TASK(grown) {
  uint32_t n, *out;
  memcpy(&n, arg->data, sizeof n);
  for (uint32_t i = 0; i < n; i++) {
    int rc = shoal_bytes_reply(arg, (i + 1) * sizeof *out, (void **)&out);
    if (rc) return rc;
    out[i] = i;
  }
  return 0;
}
SHOAL_BYTES_TASK(asks_for_all) {
  char *out;
  int rc = shoal_bytes_reply(arg, 3, (void **)&out);
  if (rc) return rc;
  memcpy(out, "abc", 3);
  return shoal_bytes_reply(arg, UINT64_C(1) << 40, (void **)&out) == -ENOSPC ? 0 : -EIO;
}
SHOAL_BYTES_TASK(fails_after_all) {
  void *out;
  int rc = shoal_bytes_reply(arg, 5000, &out);
  return rc ? rc : shoal_task_fail(-EDOM, "after %u bytes", (unsigned)arg->size);
}
// The first attempt replies, and dies; the next answers nothing.
SHOAL_BYTES_TASK(dies_after_all) {
  void *out;
  if (shoal_add32_relaxed(&ledger->begun[0], 1)) return 0;
  if (shoal_bytes_reply(arg, 5000, &out) == 0) raise(SIGKILL);
  return -EIO;
}
SHOAL_BYTES_TASK(holds_after_all) {
  void *out;
  int rc = shoal_bytes_reply(arg, 5000, &out);
  shoal_add32_relaxed(&ledger->begun[0], 1);
  while (!rc && !shoal_load32_relaxed(&ledger->go)) usleep(100);
  return rc;
}
SHOAL_TASK(of_a_struct, struct small) { return 0; }

static void nothing_is_left(struct shoal_executor *ex) {
  struct shoal_executor_info info;
  struct shoal_heap_info heap;
  assert_int_equal(shoal_executor_info(ex, &info), 0);
  assert_int_equal(info.jobs, 0);
  shoal_heap_reap(ex->heap);
  assert_int_equal(shoal_heap_info(ex->heap, &heap), 0);
  assert_int_equal(heap.objects, 0);
  assert_int_equal(heap.blocks, 0);
  end_executor(ex);
}

static void reverse(struct shoal_executor *ex, uint64_t n) {
  struct shoal_future f;
  const void *at = &f;
  uint64_t size = 1;
  char *in = malloc(n + 1), *out = malloc(n + 1);
  for (uint64_t i = 0; i < n; i++) in[i] = (char)(i * 7 + i / 256);
  assert_int_equal(SHOAL_SUBMIT_BYTES(ex, reversed, n ? in : NULL, n, &f), 0);
  assert_int_equal(shoal_future_view_bytes(&f, &at, &size, NULL, SHOAL_FOREVER), 0);
  assert_int_equal(size, n);
  if (n == 0) assert_null(at);
  else assert_int_equal((uintptr_t)at % 16, 0);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(shoal_future_get_bytes(&f, out, n, &size, NULL, SHOAL_TRY), 0);
    assert_int_equal(size, n);
    for (uint64_t k = 0; k < n; k++) assert_true(out[k] == in[n - 1 - k]);
  }
  if (n) assert_int_equal(shoal_future_get_bytes(&f, out, n - 1, &size, NULL, SHOAL_TRY), -EMSGSIZE);
  assert_int_equal(size, n);
  assert_int_equal(shoal_future_view_bytes(&f, &at, NULL, NULL, SHOAL_TRY), 0);
  assert_int_equal(shoal_future_get_bytes(&f, out, n, NULL, NULL, SHOAL_TRY), 0);
  assert_int_equal(shoal_future_get(&f, out, n, NULL, SHOAL_TRY), 0);
  assert_int_equal(shoal_future_get(&f, out, n + 1, NULL, SHOAL_TRY), -EBADMSG);
  assert_int_equal(shoal_future_release(&f), 0);
  assert_int_equal(shoal_future_get_bytes(&f, out, n, &size, NULL, SHOAL_TRY), -EINVAL);
  assert_int_equal(shoal_executor_apply_bytes(ex, &reversed_task_, in, n, out, n, &size, NULL, SHOAL_FOREVER), 0);
  assert_int_equal(size, n);
  if (n) assert_true(out[0] == in[n - 1]);
  free(in);
  free(out);
}
static void any_length(int threads) {
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.threads = threads});
  for (uint64_t n = 0; n < 60; n++) reverse(ex, n);
  for (uint64_t n = 100; n < (UINT64_C(4) << 20); n = 3 * n + 1) reverse(ex, n);
  nothing_is_left(ex);
}
static void test_any_length(void **state) {
  (void)state;
  any_length(0);
  any_length(1);
}

static void test_room(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){0});
  uint32_t n = 3000, out[3000];
  uint64_t size = 0;
  int rc = shoal_executor_apply_bytes(ex, &grown_task_, &n, sizeof n, out, sizeof out, &size, NULL, SHOAL_FOREVER);
  assert_int_equal(rc, 0);
  assert_int_equal(size, sizeof out);
  for (uint32_t i = 0; i < n; i++) assert_int_equal(out[i], i);
  rc = shoal_executor_apply_bytes(ex, &grown_task_, &n, sizeof n, out, 8, &size, NULL, SHOAL_FOREVER);
  assert_int_equal(rc, -EMSGSIZE);
  assert_int_equal(size, sizeof out);
  rc = shoal_executor_apply_bytes(ex, &asks_for_all_task_, NULL, 0, out, 8, &size, NULL, SHOAL_FOREVER);
  assert_int_equal(rc, 0);
  assert_int_equal(size, 3);
  assert_memory_equal(out, "abc", 3);
  nothing_is_left(ex);
}

static void test_failed(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){0});
  struct shoal_failure failure;
  uint64_t size = 77;
  char in[100] = "", out[8];
  int rc = shoal_executor_apply_bytes(ex, &fails_after_all_task_, in, 100, out, 8, &size, &failure, SHOAL_FOREVER);
  assert_int_equal(rc, -EREMOTEIO);
  assert_int_equal(failure.code, -EDOM);
  assert_string_equal(failure.message, "after 100 bytes");
  rc = shoal_executor_apply_bytes(ex, &dies_after_all_task_, in, 100, out, 8, &size, &failure, SHOAL_FOREVER);
  assert_int_equal(rc, -EREMOTEIO);
  assert_int_equal(failure.code, -ENOTRECOVERABLE);
  assert_int_equal(failure.signal, SIGKILL);
  assert_int_equal(size, 77);
  nothing_is_left(ex);
}

static void test_given_up(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.workers = 1, .dead_letters = 1});
  struct shoal_future f;
  struct shoal_letter letter;
  char in[100], out[100];
  memset(in, 'x', sizeof in);
  assert_int_equal(SHOAL_SUBMIT_BYTES(ex, holds_after_all, in, sizeof in, &f), 0);
  while (!shoal_load32_relaxed(&ledger->begun[0])) usleep(100);
  assert_int_equal(shoal_future_cancel(&f, SHOAL_FORCE), 0);
  assert_int_equal(shoal_future_get(&f, NULL, 0, NULL, SHOAL_FOREVER), -ECANCELED);
  assert_int_equal(shoal_future_release(&f), 0);
  set_up(NULL);
  assert_int_equal(SHOAL_SUBMIT_BYTES(ex, dies_after_all, in, sizeof in, NULL), 0);
  int rc;
  while ((rc = shoal_executor_letter(ex, &letter, out, 99)) == -ENOENT)
    (void)shoal_executor_tend(ex, shoal_after_ms(1));
  assert_int_equal(rc, -EMSGSIZE);
  assert_int_equal(letter.size, 100);
  assert_int_equal(shoal_executor_letter(ex, &letter, out, 100), 0);
  assert_memory_equal(out, in, 100);
  assert_int_equal(letter.failure.code, -ENOTRECOVERABLE);
  nothing_is_left(ex);
}

static void test_retried(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){.retries = 1});
  uint64_t size = 77;
  char out[8];
  int rc = shoal_executor_apply_bytes(ex, &dies_after_all_task_, NULL, 0, out, 8, &size, NULL, SHOAL_FOREVER);
  assert_int_equal(rc, 0);
  assert_int_equal(size, 0);
  assert_int_equal(shoal_load32_relaxed(&ledger->begun[0]), 2);
  nothing_is_left(ex);
}

static void test_elsewhere(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){0});
  struct shoal_future f;
  int status;
  assert_int_equal(SHOAL_SUBMIT_BYTES(ex, reversed, "stressed", 8, &f), 0);
  uint64_t token = shoal_future_token(&f);
  pid_t child = fork();
  if (child == 0) {
    struct shoal_future mine;
    char out[8] = "";
    uint64_t size = 0;
    int rc = shoal_future_open(ex, token, &mine);
    if (!rc) rc = shoal_future_get_bytes(&mine, out, sizeof out, &size, NULL, SHOAL_FOREVER);
    if (!rc) rc = shoal_future_release(&mine);
    _exit(rc || size != 8 || memcmp(out, "desserts", 8));
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_int_equal(shoal_future_release(&f), -EINVAL);
  nothing_is_left(ex);
}

static void test_refused(void **state) {
  (void)state;
  struct shoal_executor *ex = executor_of((struct shoal_executor_options){0});
  struct shoal_future f, then;
  struct small s = {.id = 0};
  struct shoal_map *map;
  struct shoal_imap *it;
  const void *at;
  uint64_t size;
  assert_int_equal(SHOAL_SUBMIT_BYTES(ex, reversed, NULL, 3, &f), -EINVAL);
  assert_int_equal(shoal_executor_apply_task(ex, &reversed_task_, &s, sizeof s, NULL, SHOAL_FOREVER), -EBADMSG);
  assert_int_equal(
      shoal_executor_apply_bytes(ex, &of_a_struct_task_, &s, sizeof s, &s, sizeof s, &size, NULL, SHOAL_FOREVER),
      -EBADMSG);
  assert_int_equal(shoal_map_async(ex, &reversed_task_, &s, 1, 0, 0, &map), -EBADMSG);
  assert_int_equal(shoal_imap_begin(ex, &reversed_task_, 0, NULL, NULL, NULL, &it), -EBADMSG);
  assert_int_equal(SHOAL_SUBMIT(ex, of_a_struct, &s, &f), 0);
  assert_int_equal(shoal_future_view_bytes(&f, &at, &size, NULL, SHOAL_FOREVER), -EBADMSG);
  assert_int_equal(SHOAL_THEN(&f, reversed, &then), -EBADMSG);
  assert_int_equal(shoal_future_release(&f), 0);
  assert_int_equal(SHOAL_SUBMIT_BYTES(ex, reversed, &s, sizeof s, &f), 0);
  assert_int_equal(SHOAL_THEN(&f, of_a_struct, &then), -EBADMSG);
  assert_int_equal(shoal_future_release(&f), 0);
  assert_int_equal(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER), 0);
  nothing_is_left(ex);
  struct shoal_queue *q;
  struct shoal_pool *pool;
  assert_int_equal(shoal_queue_create(seg, NULL, &(struct shoal_queue_options){.capacity = 4, .element_size = 8}, &q),
                   0);
  assert_int_equal(shoal_pool_create(seg, &(struct shoal_pool_options){.task = "reversed", .queue = q}, &pool),
                   -EBADMSG);
  assert_int_equal(shoal_queue_detach(q), 0);
  struct shoal_process p;
  assert_int_equal(shoal_process_start_task(&p, "reversed", NULL, 0, NULL), -EBADMSG);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_any_length, set_up), cmocka_unit_test_setup(test_room, set_up),
      cmocka_unit_test_setup(test_failed, set_up),     cmocka_unit_test_setup(test_retried, set_up),
      cmocka_unit_test_setup(test_elsewhere, set_up),  cmocka_unit_test_setup(test_refused, set_up),
      cmocka_unit_test_setup(test_given_up, set_up),
  };
  return cmocka_run_group_tests(tests, begin_tests, end_tests);
}
