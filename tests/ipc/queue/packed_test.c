// Claims of ipc/queue/packed, for queues of kinds MPMC and SPSC, where not said otherwise:
//   1 what is put is got, short and long, from another process, and nothing of it stays in the heap
//   2 what does not fit a format, or is damaged, is still the next to be received; nothing is stored
//   3 with a key the smallest comes first, and only kind PRIORITY takes one
//   4 what cannot be packed is not sent; a full queue and a wrong one answer as byte messages do
//   5 a put that somebody who is stopped inside keeps from its end leaves nothing behind (PRIORITY)
//   6 joinable, what is got is in hand until task_done, and nothing else is, though somebody is stopped inside
//   7 through a pipe, both ways: as through a queue, to its end; refused in a direction that it has not, and of another
//   type
#include "ipc/queue/packed.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/error.h"
#include "tests/harness/drivers.h"

static struct shoal_segment *seg;
static struct shoal_heap *heap;
static struct shoal_packed m;
static uint64_t blocks;

static uint64_t blocks_now(void) {
  struct shoal_heap_info info;
  CHECK(shoal_heap_info(heap, &info) == 0);
  return info.blocks;
}
static struct shoal_queue *make_of(struct shoal_queue_options o) {
  struct shoal_queue *q;
  o.capacity = 4;
  o.bytes = 1;
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(shoal_heap_open(seg, &heap), 0);
  assert_int_equal(shoal_queue_create(seg, "values", &o, &q), 0);
  blocks = blocks_now();
  return q;
}
static struct shoal_queue *make(uint32_t kind) { return make_of((struct shoal_queue_options){.kind = kind}); }
static void unmake(struct shoal_queue *q) {
  assert_int_equal(blocks_now(), blocks);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_queue_unlink(seg, "values"), 0);
  assert_int_equal(shoal_heap_close(heap), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
  shoal_packed_free(&m);
}
#define EACH_KIND(kind) for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_SPSC; kind++)
#define ROUNDS 200

static char text[100000];
static size_t length_of(int i) { return (size_t)i * i % sizeof text; }

static void test_put_by_another_process(void **state) {
  (void)state;
  memset(text, 'x', sizeof text);
  EACH_KIND(kind) {
    struct shoal_queue *q = make(kind);
    int status, n;
    const char *s;
    size_t length;
    pid_t child = fork();
    if (child == 0) {
      int rc = 0;
      for (int i = 0; i < ROUNDS && rc == 0; i++)
        rc = shoal_queue_put_packed(q, SHOAL_FOREVER, "{s:i, s:S}", "i", i, "text", text, length_of(i));
      _exit(rc != 0);
    }
    for (int i = 0; i < ROUNDS; i++) {
      assert_int_equal(shoal_queue_get_packed(q, SHOAL_FOREVER, &m, "{s:S, s:i}", "text", &s, &length, "i", &n), 0);
      assert_true(n == i && length == length_of(i));
      assert_memory_equal(s, text, length);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(shoal_queue_get_packed(q, SHOAL_FOREVER, &m, "x"), -EPIPE);
    unmake(q);
  }
}

static void test_the_smallest_key_comes_first(void **state) {
  (void)state;
  static const int64_t keys[] = {3, -7, 0, 3, INT64_MIN, INT64_MAX};
  static const int order[] = {4, 1, 2, 0, 3};
  struct shoal_queue *q = make(SHOAL_QUEUE_PRIORITY);
  int n;
  int64_t key = 5;
  for (int lap = 0; lap < 2; lap++) {
    for (int i = 0; i < 4; i++) assert_int_equal(shoal_queue_put_packed_key(q, keys[i], SHOAL_TRY, "[i]", i), 0);
    assert_int_equal(shoal_queue_put_packed_key(q, 1, SHOAL_TRY, "[i]", 9), -EAGAIN);
    for (int i = 1; i < 5; i++) {
      assert_int_equal(shoal_queue_get_packed_key(q, &key, SHOAL_TRY, &m, "s", NULL, NULL), -EBADMSG);
      assert_int_equal(key, i == 1 ? 5 : keys[order[i - 1]]);
      assert_int_equal(shoal_queue_get_packed_key(q, &key, SHOAL_TRY, &m, "[i]", &n), 0);
      assert_int_equal(n, order[i]);
      assert_int_equal(key, keys[order[i]]);
    }
    key = 5;
  }
  assert_int_equal(shoal_queue_put_packed(q, SHOAL_TRY, "[i]", 2), 0);  // with key 0
  assert_int_equal(shoal_queue_put_packed_key(q, INT64_MIN, SHOAL_TRY, "[i]", 4), 0);
  assert_int_equal(shoal_queue_put_packed_key(q, INT64_MAX, SHOAL_TRY, "[i]", 5), 0);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(shoal_queue_get_packed(q, SHOAL_TRY, &m, "[i]", &n), 0);
    assert_int_equal(n, i == 0 ? 4 : i == 1 ? 2 : 5);
  }
  unmake(q);
  EACH_KIND(kind) {
    q = make(kind);
    assert_int_equal(shoal_queue_put_packed_key(q, 1, SHOAL_TRY, "[i]", 1), -EINVAL);
    assert_non_null(strstr(shoal_reason(), "a key in a queue of kind "));
    assert_int_equal(shoal_queue_put_packed(q, SHOAL_TRY, "i", 1), 0);
    assert_int_equal(shoal_queue_get_packed_key(q, &key, SHOAL_TRY, &m, "i", &n), -EINVAL);
    assert_int_equal(shoal_queue_get_packed(q, SHOAL_TRY, &m, "i", &n), 0);
    unmake(q);
  }
}

static void test_what_does_not_fit_stays(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue *q = make(kind);
    int i = 7;
    const char *s;
    size_t length;
    char buffer[8];
    uint64_t size;
    assert_int_equal(shoal_queue_put_packed(q, SHOAL_TRY, "[i n s]", 42, "hello"), 0);
    assert_int_equal(shoal_queue_send(q, "\xdd\xff\xff\xff\xff", 5, SHOAL_TRY), 0);
    assert_int_equal(shoal_queue_get_packed(q, SHOAL_TRY, &m, "[i i *]", &i, &i), -EBADMSG);
    assert_int_equal(shoal_queue_get_packed(q, SHOAL_TRY, &m, "[i", &i), -EINVAL);
    assert_int_equal(i, 7);
    assert_int_equal(m.size, 9);  // what came
    assert_int_equal(shoal_queue_get_packed(q, SHOAL_TRY, &m, "[i n s]", &i, &s, &length), 0);
    assert_true(i == 42 && length == 5 && memcmp(s, "hello", 5) == 0);
    assert_int_equal(shoal_queue_get_packed(q, SHOAL_TRY, &m, "x"), -EPROTO);
    assert_int_equal(shoal_queue_recv(q, buffer, sizeof buffer, &size, SHOAL_TRY), 0);
    assert_int_equal(size, 5);
    assert_int_equal(shoal_queue_get_packed(q, SHOAL_TRY, &m, "x"), -EAGAIN);
    unmake(q);
  }
}

// That it has no byte messages, by every call, of every kind.
static void wrong_is_said(uint32_t kind) {
  struct shoal_queue_options o = {4, 8, .kind = kind};
  struct shoal_queue *numbers;
  int64_t key = 5;
  int i;
  if (kind == SHOAL_QUEUE_PRIORITY) o.key = (struct shoal_queue_key){SHOAL_KEY_I64, 0};
  assert_int_equal(shoal_queue_create(seg, "numbers", &o, &numbers), 0);
  assert_int_equal(shoal_queue_put_packed(numbers, SHOAL_TRY, "i", 1), -EBADMSG);
  assert_int_equal(shoal_queue_put_packed_key(numbers, 1, SHOAL_TRY, "i", 1), -EBADMSG);
  assert_int_equal(shoal_queue_get_packed(numbers, SHOAL_TRY, &m, "i", &i), -EBADMSG);
  assert_int_equal(shoal_queue_get_packed_key(numbers, &key, SHOAL_TRY, &m, "i", &i), -EBADMSG);
  assert_int_equal(key, 5);
  assert_int_equal(shoal_queue_detach(numbers), 0);
  assert_int_equal(shoal_queue_unlink(seg, "numbers"), 0);
}
static void test_what_is_refused(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue *q = make(kind);
    int put = 0, i, rc;
    assert_int_equal(shoal_queue_put_packed(q, SHOAL_TRY, "[i", 1), -EINVAL);
    assert_int_equal(shoal_queue_put_packed(q, SHOAL_TRY, "v", "\xc1", (size_t)1), -EPROTO);
    assert_int_equal(shoal_queue_get_packed(q, SHOAL_TRY, &m, "x"), -EAGAIN);
    while ((rc = shoal_queue_put_packed(q, SHOAL_TRY, "i", put)) == 0) put++;
    assert_int_equal(rc, -EAGAIN);
    for (int n = 0; n < put; n++) {
      assert_int_equal(shoal_queue_get_packed(q, SHOAL_TRY, &m, "i", &i), 0);
      assert_int_equal(i, n);
    }
    for (uint32_t k = SHOAL_QUEUE_MPMC; k <= SHOAL_QUEUE_PRIORITY; k++) wrong_is_said(k);
    unmake(q);
  }
}

// Whoever is inside when the value has been packed, and its reservation is to be committed, is stopped there: the page
// that is packed from sees to it.
static struct { shoal_atomic32 enter, inside, leave; } * stage;
static char *page;
static pid_t holder;
static void stands_inside(struct shoal_queue *q) {
  int me = shoal_role_mine(&q->wait, SHOAL_CONSUMER);
  CHECK(me > 0);
  while (!shoal_load32_seq_cst(&stage->enter)) sched_yield();
  CHECK(shoal_ordered_enter(&q->ordered, (uint32_t)me, SHOAL_FOREVER) == 0);
  shoal_store32_seq_cst(&stage->inside, 1);
  while (!shoal_load32_seq_cst(&stage->leave)) sched_yield();
  shoal_ordered_leave(&q->ordered, (uint32_t)me);
  CHECK(shoal_queue_detach(q) == 0);
  _exit(0);
}
static void in_the_midst(int signal) {
  int status;
  (void)signal;
  shoal_store32_seq_cst(&stage->enter, 1);
  while (!shoal_load32_seq_cst(&stage->inside)) sched_yield();
  CHECK(kill(holder, SIGSTOP) == 0 && waitpid(holder, &status, WUNTRACED) == holder);
  mprotect(page, 4096, PROT_READ | PROT_WRITE);
}
static void make_pages(void) {
  stage = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(stage != MAP_FAILED && page != MAP_FAILED);
  memset(page, 'a', 4096);
}
static void unmake_pages(void) {
  munmap(page, 4096);
  munmap(stage, 4096);
}
static struct sigaction before;
static void is_about_to_enter(struct shoal_queue *q) {
  struct sigaction act = {.sa_handler = in_the_midst};
  fflush(NULL);
  holder = fork();
  if (holder == 0) stands_inside(q);
  sigaction(SIGSEGV, &act, &before);
  mprotect(page, 4096, PROT_NONE);
}
static void goes_on(void) {
  struct peer p = {holder};
  sigaction(SIGSEGV, &before, NULL);
  shoal_store32_seq_cst(&stage->leave, 1);
  kill(holder, SIGCONT);
  peer_join(&p);
}
static void test_put_beside_one_who_is_stopped_inside(void **state) {
  (void)state;
  make_pages();
  struct shoal_queue *q = make(SHOAL_QUEUE_PRIORITY);
  assert_int_equal(shoal_queue_join(q, SHOAL_PRODUCER), 0);
  is_about_to_enter(q);
  int rc = shoal_queue_put_packed(q, SHOAL_TRY, "S", page, (size_t)4000);
  assert_int_equal(rc, -ETIMEDOUT);
  goes_on();
  assert_int_equal(blocks_now(), blocks);
  int n;
  for (int i = 0; i < 4; i++)
    assert_int_equal(shoal_queue_put_packed(q, SHOAL_TRY, "i", i), 0);  // all places are there
  for (int i = 0; i < 4; i++) assert_int_equal(shoal_queue_get_packed(q, SHOAL_TRY, &m, "i", &n), 0);
  unmake(q);
  unmake_pages();
}

static uint64_t held(struct shoal_queue *q) {
  struct shoal_queue_info info;
  CHECK(shoal_queue_info(q, &info) == 0);
  return info.held;
}
static void test_joinable_ones_are_in_hand(void **state) {
  (void)state;
  for (int leased = 0; leased < 2; leased++)
    for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_PRIORITY; kind++) {
      if (kind == SHOAL_QUEUE_SPSC) continue;
      struct shoal_queue *q = make_of(
          (struct shoal_queue_options){.kind = kind, .joinable = 1, .lease_ns = leased ? UINT64_C(3600000000000) : 0});
      int n;
      for (int i = 0; i < 3; i++)
        assert_int_equal(shoal_queue_put_packed(q, SHOAL_TRY, "[i S]", i, text, (size_t)(100 * i)), 0);
      for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(shoal_queue_get_packed(q, SHOAL_TRY, &m, "i", &n), -EBADMSG);
        assert_int_equal(held(q), i);
        assert_int_equal(shoal_queue_get_packed(q, SHOAL_TRY, &m, "[i *]", &n), 0);
        assert_int_equal(held(q), i + 1);
      }
      for (uint64_t i = 3; i--;) {
        assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), -EDEADLK);
        assert_int_equal(shoal_queue_task_done(q), 0);
        assert_int_equal(held(q), i);
      }
      assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), 0);
      assert_int_equal(shoal_queue_task_done(q), -EINVAL);
      unmake(q);
    }
}

// It has its copy, and then somebody is stopped inside: what fits is got, and in hand; what does not is the next to
// come again, and in nobody's hand, so that a task_done ends what was got.
static void test_joinable_ones_beside_one_who_is_stopped_inside(void **state) {
  (void)state;
  for (int fits = 0; fits < 2; fits++) {
    make_pages();
    struct shoal_queue *q = make_of(
        (struct shoal_queue_options){.kind = SHOAL_QUEUE_FIFO, .joinable = 1, .lease_ns = UINT64_C(3600000000000)});
    struct shoal_packed mine = {.data = page, .capacity = 4096};
    int n = 0;
    for (int i = 1; i < 3; i++) assert_int_equal(shoal_queue_put_packed(q, SHOAL_TRY, "[i]", i), 0);
    assert_int_equal(shoal_queue_join(q, SHOAL_CONSUMER), 0);
    is_about_to_enter(q);
    int rc = shoal_queue_get_packed(q, SHOAL_TRY, &mine, fits ? "[i]" : "s", &n, &n);
    assert_int_equal(rc, fits ? 0 : -EBADMSG);
    assert_int_equal(n, fits);
    assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), fits ? -EDEADLK : -EAGAIN);
    assert_int_equal(shoal_queue_task_done(q), fits ? -ETIMEDOUT : -EINVAL);
    goes_on();
    for (int i = 1 + fits; i < 3; i++) {
      assert_int_equal(shoal_queue_get_packed(q, SHOAL_TRY, &m, "[i]", &n), 0);
      assert_int_equal(n, i);
    }
    for (uint64_t i = 2; i--;) {
      assert_int_equal(shoal_queue_task_done(q), 0);
      assert_int_equal(held(q), i);
    }
    assert_int_equal(shoal_queue_task_done(q), -EINVAL);
    assert_int_equal(shoal_queue_get_packed(q, SHOAL_TRY, &m, "[i]", &n), -EAGAIN);
    unmake(q);
    unmake_pages();
  }
}

static void answer(struct shoal_pipe *end) {
  struct shoal_packed mine = {0};
  const char *s;
  size_t length;
  int i, rc;
  while ((rc = shoal_pipe_recv_packed(end, SHOAL_FOREVER, &mine, "[i S]", &i, &s, &length)) == 0)
    CHECK(shoal_pipe_send_packed(end, SHOAL_FOREVER, "{s:i, s:S}", "i", i + 1, "text", s, length) == 0);
  CHECK(rc == -EPIPE);
  shoal_packed_free(&mine);
  CHECK(shoal_pipe_close(&end) == 0);
  _exit(0);
}
static void test_through_a_pipe(void **state) {
  (void)state;
  struct shoal_pipe *ends[2];
  const struct shoal_pipe_options o = {.capacity = 4, .duplex = 1};
  const char *s;
  size_t length;
  int n;
  memset(text, 'x', sizeof text);
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(shoal_heap_open(seg, &heap), 0);
  assert_int_equal(shoal_pipe_create(seg, NULL, &o, ends), 0);
  blocks = blocks_now();
  fflush(NULL);
  struct peer p = {fork()};
  if (p.pid == 0) answer(ends[1]);
  assert_int_equal(shoal_pipe_give(&ends[1], (uint32_t)p.pid), 0);
  for (int i = 0; i < ROUNDS; i++) {
    assert_int_equal(shoal_pipe_send_packed(ends[0], SHOAL_FOREVER, "[i S]", i, text, length_of(i)), 0);
    if (i == 7) assert_int_equal(shoal_pipe_recv_packed(ends[0], SHOAL_FOREVER, &m, "[i]", &n), -EBADMSG);
    assert_int_equal(shoal_pipe_recv_packed(ends[0], SHOAL_FOREVER, &m, "{s:i, s:S}", "i", &n, "text", &s, &length), 0);
    assert_true(n == i + 1 && length == length_of(i));
    assert_memory_equal(s, text, length);
  }
  assert_int_equal(shoal_pipe_recv_packed(ends[0], SHOAL_TRY, &m, "x"), -EAGAIN);
  assert_int_equal(shoal_pipe_close(&ends[0]), 0);
  peer_join(&p);
  assert_int_equal(blocks_now(), blocks);
  shoal_packed_free(&m);
  assert_int_equal(shoal_heap_close(heap), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}
static void test_what_a_pipe_refuses(void **state) {
  (void)state;
  struct shoal_pipe *ends[2];
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  for (uint32_t size = 0; size <= 8; size += 8) {
    const struct shoal_pipe_options o = {.capacity = 4, .element_size = size};
    assert_int_equal(shoal_pipe_create(seg, NULL, &o, ends), 0);
    assert_int_equal(shoal_pipe_send_packed(ends[0], SHOAL_TRY, "i", 1), -EPERM);
    assert_int_equal(shoal_pipe_recv_packed(ends[1], SHOAL_TRY, &m, "x"), -EPERM);
    assert_int_equal(shoal_pipe_send_packed(ends[1], SHOAL_TRY, "i", 1), size ? -EBADMSG : 0);
    assert_int_equal(shoal_pipe_recv_packed(ends[0], SHOAL_TRY, &m, "x"), size ? -EBADMSG : 0);
    for (int i = 0; i < 2; i++) assert_int_equal(shoal_pipe_close(&ends[i]), 0);
  }
  shoal_packed_free(&m);
  assert_int_equal(shoal_segment_close(seg), 0);
}

int main(void) {
  watchdog(120);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_put_by_another_process),
      cmocka_unit_test(test_the_smallest_key_comes_first),
      cmocka_unit_test(test_what_does_not_fit_stays),
      cmocka_unit_test(test_what_is_refused),
      cmocka_unit_test(test_put_beside_one_who_is_stopped_inside),
      cmocka_unit_test(test_joinable_ones_are_in_hand),
      cmocka_unit_test(test_joinable_ones_beside_one_who_is_stopped_inside),
      cmocka_unit_test(test_through_a_pipe),
      cmocka_unit_test(test_what_a_pipe_refuses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
