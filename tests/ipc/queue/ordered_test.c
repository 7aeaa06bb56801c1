// Claims of the kinds FIFO, LIFO and PRIORITY of ipc/queue/queue (growing and giving way: ordered_room_test.c; beside
// what is damaged, or stands inside: ordered_hurt_test.c):
//   1 order: first in first out; last in first out; the smallest key, and among equals the first put; whatever the
//     member's type
//   2 what is put is got: once, whole, by threads and processes; batches, too; exactly `capacity` fit
//   3 try, deadline and for ever answer as promised; absurd options and another key are refused
//   4 loans: commit, cancel, release, return, leave; a loan ends once
//   5 close and the end of the stream, to all that sleep, and not before what others hold is through
//   6 deaths: of who holds, of who has reserved, of who is inside; nobody needs the once-a-second look
#include <math.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/queue_internal.h"
#include "tests/ipc/queue/ordered_fixture.h"

struct job {
  int32_t urgency;
  uint32_t id;
};
SHOAL_PRIORITY_TYPED(jobs, struct job, urgency)

// ---- 1 ----

static void test_first_and_last_in(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_FIFO; kind <= SHOAL_QUEUE_LIFO; kind++) {
    struct shoal_queue *q = make_numbers(kind, 100);
    for (int lap = 0; lap < 5; lap++) {
      for (uint64_t i = 0; i < 100; i++) put_number(q, i);
      for (uint64_t i = 0; i < 100; i++) assert_int_equal(get_number(q), kind == SHOAL_QUEUE_FIFO ? i : 99 - i);
    }
    // half in, half out
    for (uint64_t i = 0; i < 60; i++) put_number(q, i);
    for (uint64_t i = 0; i < 30; i++) assert_int_equal(get_number(q), kind == SHOAL_QUEUE_FIFO ? i : 59 - i);
    for (uint64_t i = 60; i < 100; i++) put_number(q, i);
    for (uint64_t i = 0; i < 70; i++)
      assert_int_equal(get_number(q), kind == SHOAL_QUEUE_FIFO ? 30 + i : i < 40 ? 99 - i : 69 - i);
    unmake(q);
  }
}

static void test_the_smallest_first_and_equals_in_order(void **state) {
  (void)state;
  struct shoal_queue *q;
  struct shoal_segment *seg;
  struct job job;
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(jobs_create(seg, "jobs", &(struct shoal_queue_options){.capacity = 5000}, &q), 0);
  for (int lap = 0; lap < 3; lap++) {
    struct job last = {INT32_MIN, 0};
    for (uint32_t i = 1; i <= 5000; i++) {
      job = (struct job){(int32_t)(random32() % 200) - 100, i};
      assert_int_equal(jobs_put(q, &job, SHOAL_TRY), 0);
    }
    assert_int_equal(jobs_put(q, &job, SHOAL_TRY), -EAGAIN);
    for (uint32_t i = 1; i <= 5000; i++, last = job) {
      assert_int_equal(jobs_get(q, &job, SHOAL_TRY), 0);
      assert_true(job.urgency > last.urgency || (job.urgency == last.urgency && job.id > last.id));
    }
    assert_int_equal(jobs_get(q, &job, SHOAL_TRY), -EAGAIN);
  }
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}

// Each type: what is put out of order comes in order. The key lies at an odd place.
struct odd {
  char before[3];
  char key[8];
  char after;
} __attribute__((packed));
static void in_order(uint32_t type, const void *rising, uint32_t n) {
  uint32_t size = type & 0xff;
  struct shoal_queue *q = make(&(struct shoal_queue_options){.capacity = n,
                                                             .element_size = sizeof(struct odd),
                                                             .kind = SHOAL_QUEUE_PRIORITY,
                                                             .key = {type, offsetof(struct odd, key)}});
  for (uint32_t i = 0; i < n; i++) {
    struct odd x = {.after = (char)((i * 7 + 3) % n)};
    memcpy(x.key, (const char *)rising + (i * 7 + 3) % n * size, size);
    assert_int_equal(shoal_queue_put(q, &x, SHOAL_TRY), 0);
  }
  for (uint32_t i = 0; i < n; i++) {
    struct odd x;
    assert_int_equal(shoal_queue_get(q, &x, SHOAL_TRY), 0);
    assert_int_equal(x.after, i);
    assert_memory_equal(x.key, (const char *)rising + i * size, size);
  }
  unmake(q);
}
#define IN_ORDER(type, T, ...)                              \
  do {                                                      \
    static const T rising[] = {__VA_ARGS__};                \
    assert_int_equal(SHOAL_KEY_TYPE(T), type);              \
    in_order(type, rising, sizeof rising / sizeof *rising); \
  } while (0)
static void test_keys_of_all_types(void **state) {
  (void)state;
  IN_ORDER(SHOAL_KEY_U8, uint8_t, 0, 1, 127, 128, 255);
  IN_ORDER(SHOAL_KEY_U16, uint16_t, 0, 1, 255, 256, UINT16_MAX);
  IN_ORDER(SHOAL_KEY_U32, uint32_t, 0, 1, 70000, INT32_MAX, UINT32_MAX);
  IN_ORDER(SHOAL_KEY_U64, uint64_t, 0, 1, UINT32_MAX, INT64_MAX, UINT64_MAX);
  IN_ORDER(SHOAL_KEY_I8, int8_t, INT8_MIN, -1, 0, 1, INT8_MAX);
  IN_ORDER(SHOAL_KEY_I16, int16_t, INT16_MIN, -256, -1, 0, INT16_MAX);
  IN_ORDER(SHOAL_KEY_I32, int32_t, INT32_MIN, -65536, -1, 0, 1, INT32_MAX);
  IN_ORDER(SHOAL_KEY_I64, int64_t, INT64_MIN, INT32_MIN, -1, 0, UINT32_MAX, INT64_MAX);
  IN_ORDER(SHOAL_KEY_F32, float, -INFINITY, -1e30f, -1.5f, -1e-40f, 0, 1e-40f, 2, INFINITY, NAN);
  IN_ORDER(SHOAL_KEY_F64, double, -INFINITY, -1e300, -1, -5e-324, 0, 5e-324, .1, .5, 1e300, INFINITY, NAN);
}
static void test_zeros_are_equal_and_so_are_nans(void **state) {
  (void)state;
  struct number {
    double key;
    uint64_t id;
  } x, put[] = {{NAN, 1}, {0., 2}, {-NAN, 3}, {-0., 4}, {0., 5}, {INFINITY, 6}};
  static const uint64_t expected[] = {2, 4, 5, 6, 1, 3};
  struct shoal_queue *q = make(&(struct shoal_queue_options){
      .capacity = 6, .element_size = sizeof x, .kind = SHOAL_QUEUE_PRIORITY, .key = {SHOAL_KEY_F64, 0}});
  for (int i = 0; i < 6; i++) assert_int_equal(shoal_queue_put(q, &put[i], SHOAL_TRY), 0);
  for (int i = 0; i < 6; i++) {
    assert_int_equal(shoal_queue_get(q, &x, SHOAL_TRY), 0);
    assert_int_equal(x.id, expected[i]);
  }
  unmake(q);
}

// ---- 2 ----

#define EACH 5000u
static void produce_or_consume(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  uint64_t block[7], v;
  if (i < 3) {
    CHECK(shoal_queue_join(q, SHOAL_PRODUCER) == 0);
    shoal_add32_seq_cst(&s->ready, 1);
    await(&s->ready, 3);
    for (uint64_t n = 0; n < EACH;) {
      for (uint64_t k = 0; k < 7; k++) block[k] = i * EACH + n + k;
      int put = n % 2 ? number_queue_put_n(q, block, n + 7 <= EACH ? 7 : 1, SHOAL_FOREVER)
                      : number_queue_put(q, block, SHOAL_FOREVER) + 1;
      CHECK(put > 0);
      n += (uint64_t)put;
    }
  } else {
    uint64_t last[3] = {0};
    int rc, batch = i == 4;
    while ((rc = batch ? number_queue_get_n(q, block, 5, SHOAL_FOREVER) : number_queue_get(q, &v, SHOAL_FOREVER)) >= 0)
      for (int k = 0; k < (batch ? rc : 1); k++) {
        uint64_t x = batch ? block[k] : v, from = x / EACH, n = x % EACH + 1;
        CHECK(x < 3 * EACH && __atomic_fetch_add(&s->ledger[x], 1, __ATOMIC_RELAXED) == 0);
        CHECK(q->kind != SHOAL_QUEUE_FIFO || n > last[from]);
        last[from] = n;
        shoal_add64_relaxed(&s->sum, 1);
      }
    CHECK(rc == -EPIPE);
  }
  CHECK(shoal_queue_detach(q) == 0);
}
static void many_to_many(enum driver driver) {
  EACH_KIND(kind) for (uint32_t capacity = 1; capacity < 200; capacity *= 13) {
    struct shoal_queue *q = make_numbers(kind, capacity);
    run(&arena, driver, 6, produce_or_consume);
    assert_int_equal(shoal_load64_relaxed(&shared()->sum), 3 * EACH);
    for (unsigned i = 0; i < 3 * EACH; i++) assert_int_equal(shared()->ledger[i], 1);
    never_late(q);
    assert_int_equal(info_of(q).remade, 0);
    unmake(q);
  }
}
static void test_many_to_many_once_each_threads(void **state) { (void)state, many_to_many(THREADS); }
static void test_many_to_many_once_each_processes(void **state) { (void)state, many_to_many(PROCESSES); }

static void test_elements_of_all_sizes(void **state) {
  (void)state;
  static const uint32_t sizes[] = {1, 8, 9, 40, 41, 56, 512, 513, 4096, 100000};
  EACH_KIND(kind) for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    uint32_t size = sizes[i];
    static char in[3][100000], out[3][100000];
    struct shoal_queue_options o = numbers_of(kind, 3);
    o.element_size = size;
    o.key.type = o.key.type ? SHOAL_KEY_U8 : 0;
    struct shoal_queue *q = make(&o);
    char *elements = malloc((size_t)3 * size);
    assert_non_null(elements);
    for (int k = 0; k < 3; k++) memset(in[k], 'a' + k, size), memcpy(elements + (size_t)k * size, in[k], size);
    assert_int_equal(shoal_queue_put_n(q, elements, 3, SHOAL_TRY), 3);
    for (int k = 0; k < 3; k++) {
      assert_int_equal(shoal_queue_get(q, out[k], SHOAL_TRY), 0);
      assert_memory_equal(out[k], in[kind == SHOAL_QUEUE_LIFO ? 2 - k : k], size);
    }
    struct shoal_loan loan;
    assert_int_equal(shoal_queue_reserve(q, &loan, SHOAL_TRY), 0);
    assert_int_equal((uintptr_t)loan.data % (size > 40 ? 64 : 8), 0);
    memset(loan.data, 'x', size);
    assert_int_equal(shoal_queue_commit(q, &loan), 0);
    assert_int_equal(shoal_queue_get_n(q, elements, 3, SHOAL_TRY), 1);
    for (uint32_t b = 0; b < size; b++) assert_int_equal(elements[b], 'x');
    free(elements);
    unmake(q);
  }
}

// ---- 3 ----

static void test_answers(void **state) {
  (void)state;
  EACH_KIND(kind) for (uint32_t capacity = 1; capacity <= 3; capacity++) {
    struct shoal_queue *q = make_numbers(kind, capacity);
    uint64_t v = 7, w[4] = {0};
    assert_int_equal(info_of(q).capacity, capacity);
    assert_int_equal(info_of(q).kind, kind);
    assert_int_equal(number_queue_get(q, w, SHOAL_TRY), -EAGAIN);
    assert_int_equal(number_queue_get(q, w, shoal_after_ms(2)), -ETIMEDOUT);
    assert_int_equal(number_queue_get(q, w, shoal_after_ns(0)), -ETIMEDOUT);
    for (uint32_t i = 0; i < capacity; i++) assert_int_equal(number_queue_put(q, &v, SHOAL_TRY), 0);
    assert_int_equal(number_queue_put(q, &v, SHOAL_TRY), -EAGAIN);
    assert_int_equal(number_queue_put(q, &v, shoal_after_ms(2)), -ETIMEDOUT);
    assert_int_equal(number_queue_put_n(q, w, 4, SHOAL_TRY), -EAGAIN);
    assert_int_equal(number_queue_put_n(q, w, 0, SHOAL_TRY), -EINVAL);
    assert_int_equal(info_of(q).size, capacity);
    assert_int_equal(number_queue_get_n(q, w, 4, SHOAL_FOREVER), capacity);
    assert_int_equal(w[0], 7);
    assert_int_equal(number_queue_get_n(q, w, 4, SHOAL_TRY), -EAGAIN);
    assert_int_equal(shoal_queue_close(q), 0);
    assert_int_equal(number_queue_put(q, &v, SHOAL_TRY), -EPIPE);
    assert_int_equal(number_queue_get(q, w, SHOAL_TRY), -EPIPE);
    assert_int_equal(number_queue_get(q, w, SHOAL_FOREVER), -EPIPE);
    unmake(q);
  }
}

static void test_absurd_options_are_refused(void **state) {
  (void)state;
  static const struct {
    struct shoal_queue_options options;
    const char *why;
  } absurd[] = {
      {{.capacity = 8, .element_size = 8, .kind = SHOAL_QUEUE_PRIORITY}, "options.key is not given"},
      {{.capacity = 8, .element_size = 8, .kind = SHOAL_QUEUE_PRIORITY, .key = {0x103, 0}}, "options.key.type is none"},
      {{.capacity = 8, .element_size = 8, .kind = SHOAL_QUEUE_PRIORITY, .key = {0x302, 0}}, "options.key.type is none"},
      {{.capacity = 8, .element_size = 8, .kind = SHOAL_QUEUE_PRIORITY, .key = {SHOAL_KEY_U32, 5}},
       "options.key lies outside the element"},
      {{.capacity = 8, .element_size = 8, .kind = SHOAL_QUEUE_PRIORITY, .key = {SHOAL_KEY_U32, UINT32_MAX}},
       "options.key lies outside the element"},
      {{.capacity = 8, .element_size = 8, .kind = SHOAL_QUEUE_LIFO, .key = {SHOAL_KEY_U32, 0}},
       "options.key is for SHOAL_QUEUE_PRIORITY"},
      {{.capacity = 8, .element_size = 8, .kind = SHOAL_QUEUE_SPSC, .grow = 1}, "SHOAL_QUEUE_SPSC does not grow"},
      {{.capacity = (1u << 30) + 1, .element_size = 8, .kind = SHOAL_QUEUE_LIFO},
       "too large: 1073741825 elements of 8 bytes, 0 producers, 0 consumers"},
      {{.element_size = 8, .kind = SHOAL_QUEUE_FIFO}, "options.capacity is not given"},
      {{.capacity = 8, .kind = SHOAL_QUEUE_PRIORITY}, "options.element_size is not given"},
  };
  char small[256] __attribute__((aligned(64))) = {0};
  for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++) {
    assert_int_equal(shoal_queue_size_(&absurd[i].options), 0);
    assert_int_equal(shoal_queue_place_(small, sizeof small, &absurd[i].options), -EINVAL);
    if (!strstr(absurd[i].why, "too large")) assert_string_equal(shoal_reason(), absurd[i].why);
    else assert_non_null(strstr(shoal_reason(), "too large"));
  }
}

SHOAL_PRIORITY_TYPED(by_id, struct job, id)
SHOAL_QUEUE_TYPED(plain_jobs, struct job)
struct other_job {
  int32_t urgency;
  uint32_t id;
};
SHOAL_PRIORITY_TYPED(other_jobs, struct other_job, urgency)
static void test_another_key_is_refused(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_queue *q, *other = NULL;
  struct shoal_queue_options o = {.capacity = 4};
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(jobs_create(seg, "jobs", &o, &q), 0);
  assert_int_equal(info_of(q).key.type, SHOAL_KEY_I32);
  assert_int_equal(info_of(q).key.offset, 0);
  assert_int_equal(by_id_open(seg, "jobs", &other), -EBADMSG);
  assert_string_equal(shoal_reason(), "sorted by a key of type signed 32 at byte 0, not unsigned 32 at 4");
  assert_int_equal(by_id_open_or_create(seg, "jobs", &o, &other), -EBADMSG);
  assert_null(other);
  assert_int_equal(other_jobs_open(seg, "jobs", &other), -EBADMSG);
  assert_string_equal(shoal_reason(), "its elements are of type struct job, not struct other_job");
  assert_int_equal(other_jobs_open_or_create(seg, "jobs", &o, &other), -EBADMSG);
  assert_null(other);
  assert_int_equal(jobs_open(seg, "jobs", &other), 0);
  assert_int_equal(shoal_queue_detach(other), 0);
  assert_int_equal(jobs_open_or_create(seg, "jobs", &o, &other), 0);
  assert_int_equal(shoal_queue_detach(other), 0);
  assert_int_equal(plain_jobs_open(seg, "jobs", &other), 0);  // who does not ask takes what is next
  assert_int_equal(shoal_queue_detach(other), 0);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_queue_unlink(seg, "jobs"), 0);
  assert_int_equal(plain_jobs_create(seg, "jobs", &o, &q), 0);
  assert_int_equal(jobs_open(seg, "jobs", &other), -EBADMSG);
  assert_string_equal(shoal_reason(), "not of kind PRIORITY, but MPMC");
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}

// ---- 4 ----

static uint64_t number_in(const struct shoal_loan *loan) { return *(uint64_t *)loan->data; }

static void test_loans(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue *q = make_numbers(kind, 4);
    struct shoal_loan a, b, copy;
    uint64_t v;
    assert_int_equal(shoal_queue_reserve(q, &a, SHOAL_TRY), 0);
    assert_int_equal(shoal_queue_reserve(q, &b, SHOAL_TRY), 0);
    *(uint64_t *)a.data = 1, *(uint64_t *)b.data = 2;
    assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EAGAIN);
    assert_int_equal(shoal_queue_commit(q, &b), 0);  // holds up nobody
    assert_int_equal(get_number(q), 2);
    copy = a;
    assert_int_equal(shoal_queue_cancel(q, &a), 0);
    assert_int_equal(shoal_queue_commit(q, &a), -EINVAL);
    assert_int_equal(shoal_queue_commit(q, &copy), -EINVAL);
    assert_int_equal(shoal_queue_reserve(q, &a, SHOAL_TRY), 0);
    assert_int_equal(shoal_queue_commit(q, &copy), -EINVAL);  // the same cell, another loan
    assert_int_equal(shoal_queue_release(q, &a), -EPERM);
    assert_int_equal(shoal_queue_cancel(q, &a), 0);
    for (v = 1; v <= 4; v++) put_number(q, v);
    a = receive_now(q);
    assert_int_equal(number_in(&a), kind == SHOAL_QUEUE_LIFO ? 4 : 1);
    assert_int_equal(number_queue_put(q, &v, SHOAL_TRY), -EAGAIN);  // it takes its place still
    assert_int_equal(info_of(q).size, 3);
    assert_int_equal(shoal_queue_return(q, &a), 0);
    copy = a = receive_now(q);
    assert_int_equal(number_in(&a), kind == SHOAL_QUEUE_LIFO ? 4 : 1);
    assert_int_equal(a.redelivered, 0);
    assert_int_equal(shoal_queue_release(q, &a), 0);
    assert_int_equal(shoal_queue_release(q, &copy), -EINVAL);
    copy.token = UINT64_MAX;
    assert_int_equal(shoal_queue_return(q, &copy), -EINVAL);
    a = receive_now(q);
    assert_int_equal(shoal_queue_leave(q, SHOAL_CONSUMER), 0);  // no death
    assert_int_equal(info_of(q).redelivered + info_of(q).dropped, 0);
    for (uint64_t i = 0; i < 3; i++) assert_int_equal(get_number(q), kind == SHOAL_QUEUE_LIFO ? 3 - i : 2 + i);
    assert_int_equal(shoal_queue_reserve(q, &a, SHOAL_TRY), 0);
    assert_int_equal(shoal_queue_leave(q, SHOAL_PRODUCER), 0);
    for (v = 1; v <= 4; v++) put_number(q, v);
    assert_int_equal(info_of(q).holes, 0);
    unmake(q);
  }
}

// What was changed in place, and put back, keeps its key.
static void test_a_returned_message_keeps_its_key(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(SHOAL_QUEUE_PRIORITY, 4);
  put_number(q, 5), put_number(q, 5), put_number(q, 7);
  struct shoal_loan loan = receive_now(q);
  *(uint64_t *)loan.data = 9;
  assert_int_equal(shoal_queue_return(q, &loan), 0);
  assert_int_equal(get_number(q), 9);
  assert_int_equal(get_number(q), 5);
  assert_int_equal(get_number(q), 7);
  unmake(q);
}

// ---- 5 ----

static struct peer stays(unsigned what) {
  uint32_t n = shoal_load32_seq_cst(&shared()->ready);
  struct peer p = peer_start(&arena, stay, what);
  await(&shared()->ready, n + 1);
  return p;
}

static void test_close_tells_all_that_sleep(void **state) {
  (void)state;
  EACH_KIND(kind) for (int side = 0; side < 2; side++) {
    struct shoal_queue *q = make_numbers(kind, 2);
    struct peer peers[4];
    shoal_queue_join(q, SHOAL_PRODUCER), shoal_queue_join(q, SHOAL_CONSUMER);
    sleepers_start(peers, 4, side ? get_until_told : put_until_told);
    assert_int_equal(shoal_queue_close(q), 0);
    peers_join(peers, 4);
    never_late(q);
    unmake(q);
  }
}
static void test_the_end_waits_for_what_others_hold(void **state) {
  (void)state;
  EACH_KIND(kind) for (int dies = 0; dies < 2; dies++) {
    struct shoal_queue *q = make_numbers(kind, 4);
    struct shoal_loan loan = {0};
    struct peer peers[2], holder = {0};
    put_number(q, 5);
    if (dies) holder = stays(HOLDING);
    else loan = receive_now(q);
    sleepers_start(peers, 2, get_until_told);
    assert_int_equal(shoal_queue_close(q), 0);
    for (int i = 0; i < 2; i++) {
      peer_asleep(&peers[i]);
      assert_int_equal(waitpid(peers[i].pid, NULL, WNOHANG), 0);
    }
    if (dies) peer_kill(&holder);
    else assert_int_equal(shoal_queue_release(q, &loan), 0);
    peers_join(peers, 2);
    assert_int_equal(shoal_load64_relaxed(&shared()->sum), dies ? 5 : 0);
    never_late(q);
    unmake(q);
  }
}
// It comes back, one of two who wait for its end has it, and stays: the other is told.
static void get_and_stay_or_be_told(void *memory, unsigned i) {
  struct shared *s = memory;
  uint64_t v;
  (void)i;
  int rc = number_queue_get(attach(memory), &v, SHOAL_FOREVER);
  CHECK(rc == 0 || rc == -EPIPE);
  shoal_add32_seq_cst(rc ? &s->ready : &s->done, 1);
  while (rc == 0) pause();
}
static void test_the_end_is_told_when_the_last_is_got(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_PRIORITY; kind++) {
    if (kind == SHOAL_QUEUE_SPSC) continue;
    struct shoal_queue *q = make_numbers(kind, 4);
    struct peer peers[2];
    put_number(q, 5);
    struct shoal_loan loan = receive_now(q);
    sleepers_start(peers, 2, get_and_stay_or_be_told);
    assert_int_equal(shoal_queue_close(q), 0);
    for (int i = 0; i < 2; i++) peer_asleep(&peers[i]);
    assert_int_equal(shoal_queue_return(q, &loan), 0);
    await(&shared()->done, 1);
    await(&shared()->ready, 1);
    for (int i = 0; i < 2; i++) peer_kill(&peers[i]);
    never_late(q);
    unmake(q);
  }
}
// What was reserved before the closing may still be committed: a consumer waits for it.
static void the_end_waits_for_what_is_reserved(uint32_t kind, int how) {
  struct shoal_queue *q = make_numbers(kind, 4);
  struct shoal_loan loan = {0};
  struct peer peers[2], holder = {0};
  if (how == 2) holder = stays(RESERVING);
  else assert_int_equal(shoal_queue_reserve(q, &loan, SHOAL_TRY), 0);
  sleepers_start(peers, 2, get_until_told);
  assert_int_equal(shoal_queue_close(q), 0);
  for (int i = 0; i < 2; i++) peer_asleep(&peers[i]);
  if (how == 2) peer_kill(&holder);
  else *(uint64_t *)loan.data = 6;
  if (how == 0) assert_int_equal(shoal_queue_commit(q, &loan), 0);
  if (how == 1) assert_int_equal(shoal_queue_cancel(q, &loan), 0);
  peers_join(peers, 2);
  assert_int_equal(shoal_load64_relaxed(&shared()->sum), how ? 0 : 6);
  never_late(q);
  unmake(q);
}
static void test_the_end_waits_for_what_is_reserved(void **state) {
  (void)state;
  for (int how = 0; how < 3; how++) {
    EACH_KIND(kind) the_end_waits_for_what_is_reserved(kind, how);
    the_end_waits_for_what_is_reserved(SHOAL_QUEUE_MPMC, how);
  }
}
static void test_the_last_peers_death_ends_the_stream(void **state) {
  (void)state;
  EACH_KIND(kind) for (unsigned side = 0; side < 2; side++) {
    struct shoal_queue *q = make_numbers(kind, 2);
    struct peer last = stays(side), peers[3];
    sleepers_start(peers, 3, side == PRODUCING ? get_until_told : put_until_told);
    peer_kill(&last);
    peers_join(peers, 3);
    never_late(q);
    unmake(q);
  }
}

// ---- 6 ----

static void test_a_dead_holders_message_wakes_a_sleeper(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue *q = make_numbers(kind, 4);
    struct peer peers[3];
    put_number(q, 9);
    struct peer holder = stays(HOLDING);
    sleepers_start(peers, 3, get_until_told);
    peer_kill(&holder);
    while (shoal_load64_relaxed(&shared()->sum) != 9) sched_yield();
    assert_int_equal(shoal_queue_close(q), 0);
    peers_join(peers, 3);
    assert_int_equal(info_of(q).redelivered, 1);
    never_late(q);
    unmake(q);
  }
}
static void test_redelivery_is_counted_and_in_order(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue *q = make_numbers(kind, 4);
    put_number(q, 3);
    for (uint32_t i = 0; i < 3; i++) {
      struct peer holder = stays(HOLDING);
      peer_kill(&holder);
      assert_int_equal(shoal_role_reap(&q->wait), 1);
    }
    put_number(q, 4), put_number(q, 2);
    static const uint64_t expected[][3] = {{3, 4, 2}, {2, 4, 3}, {2, 3, 4}};
    for (int i = 0; i < 3; i++) {
      struct shoal_loan loan = receive_now(q);
      assert_int_equal(number_in(&loan), expected[kind - SHOAL_QUEUE_FIFO][i]);
      assert_int_equal(loan.redelivered, number_in(&loan) == 3 ? 3 : 0);
      assert_int_equal(shoal_queue_release(q, &loan), 0);
    }
    assert_int_equal(info_of(q).redelivered, 3);
    unmake(q);
  }
}
static void test_a_dead_holders_message_is_dropped_by_policy(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue_options o = numbers_of(kind, 1);
    o.drop = 1;
    struct shoal_queue *q = make(&o);
    put_number(q, 9);
    struct peer holder = stays(HOLDING), peer;
    sleepers_start(&peer, 1, put_until_told);
    shoal_queue_join(q, SHOAL_CONSUMER);
    peer_kill(&holder);
    while (shoal_load64_relaxed(&shared()->sum) < 1) sched_yield();
    assert_int_equal(get_number(q), 1);
    assert_int_equal(shoal_queue_close(q), 0);
    peer_join(&peer);
    assert_int_equal(info_of(q).dropped, 1);
    never_late(q);
    unmake(q);
  }
}
static void test_a_dead_ones_reservation_is_room_again(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue *q = make_numbers(kind, 1);
    shoal_queue_join(q, SHOAL_CONSUMER);
    struct peer holder = stays(RESERVING), peers[2];
    sleepers_start(peers, 2, put_until_told);
    peer_kill(&holder);
    while (shoal_load64_relaxed(&shared()->sum) < 1) sched_yield();
    assert_int_equal(get_number(q), 1);
    assert_int_equal(shoal_queue_close(q), 0);
    peers_join(peers, 2);
    assert_int_equal(info_of(q).holes, 1);
    never_late(q);
    unmake(q);
  }
}

// It dies inside, having made nonsense of all but the cells. Who comes next makes the order anew.
static void die_inside(void *memory, unsigned i) {
  (void)i;
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  struct shoal_ordered_shm *shm = q->ordered.shm;
  CHECK(shoal_queue_join(q, SHOAL_CONSUMER) == 0);
  int me = (int)shoal_role_known(&q->wait, SHOAL_CONSUMER);
  CHECK(shoal_ordered_enter(&q->ordered, (uint32_t)me, SHOAL_FOREVER) == 0);
  shoal_store32_relaxed(&shm->count, 1);
  shoal_store32_relaxed(&shm->first, 3), shoal_store32_relaxed(&shm->last, 2), shoal_store32_relaxed(&shm->free, 7);
  shoal_store32_relaxed(&shm->lent, 77), shoal_store32_relaxed(&shm->writing, 7);
  if (q->ordered.chunk[0].places) memset((void *)q->ordered.chunk[0].places, 0x77, 2400);
  shoal_add32_seq_cst(&s->ready, 1);
  for (;;) pause();
}
static void look(void *memory, unsigned i) {
  (void)i;
  struct shoal_queue *q = attach(memory);
  struct shoal_loan loan;
  CHECK(shoal_queue_receive(q, &loan, SHOAL_FOREVER) == 0);
  CHECK(shoal_queue_return(q, &loan) == 0);
}
static void test_a_death_inside_leaves_the_order(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue *q = make_numbers(kind, 3000);
    for (uint64_t i = 0; i < 2500; i++) put_number(q, i * 1237 % 2500);
    for (uint64_t i = 0; i < 500; i++) get_number(q);
    struct shoal_loan a = receive_now(q), b;
    assert_int_equal(shoal_queue_reserve(q, &b, SHOAL_TRY), 0);
    struct peer p = peer_start(&arena, die_inside, 0), sleeper;
    await(&shared()->ready, 1);
    sleepers_start(&sleeper, 1, look);  // for the lock
    peer_kill(&p);
    peer_join(&sleeper);
    assert_int_equal(shoal_queue_return(q, &a), 0);
    *(uint64_t *)b.data = 2500;
    assert_int_equal(shoal_queue_commit(q, &b), 0);
    assert_int_equal(info_of(q).size, 2001);
    for (uint64_t i = 0; i < 2001; i++) {
      uint64_t v = get_number(q), old = kind == SHOAL_QUEUE_FIFO ? 500 + i : 2000 - i;
      if (kind == SHOAL_QUEUE_PRIORITY) assert_int_equal(v, 500 + i);
      else if (v != 2500) assert_int_equal(v, old * 1237 % 2500);
    }
    for (uint64_t i = 0; i < 3000; i++) put_number(q, i);
    assert_int_equal(info_of(q).remade, 1);
    never_late(q);
    unmake(q);
  }
}

static void random_life(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  struct shoal_loan loan;
  if (i < 2) {
    for (;;) {
      uint64_t v = shoal_add64_relaxed(&s->answers[0], 1);
      if (v >= LEDGER) break;
      if (v % 5) {
        CHECK(number_queue_put(q, &v, SHOAL_FOREVER) == 0);
      } else {
        CHECK(shoal_queue_reserve(q, &loan, SHOAL_FOREVER) == 0);
        *(uint64_t *)loan.data = v;
        CHECK(shoal_queue_commit(q, &loan) == 0);
      }
      __atomic_fetch_or(&s->ledger[v], 0x80, __ATOMIC_RELAXED);
    }
    return;
  }
  int rc;
  while ((rc = shoal_queue_receive(q, &loan, SHOAL_FOREVER)) == 0) {
    __atomic_fetch_or(&s->ledger[number_in(&loan)], 1, __ATOMIC_RELAXED);
    CHECK(shoal_queue_release(q, &loan) == 0);
  }
  CHECK(rc == -EPIPE);
}
static void test_random_kills_among_processes(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue *q = make_numbers(kind, 16);
    struct peer peers[6];
    shoal_queue_join(q, SHOAL_PRODUCER), shoal_queue_join(q, SHOAL_CONSUMER);
    for (unsigned i = 0; i < 6; i++) peers[i] = peer_start(&arena, random_life, i);
    for (int kills = 0; kills < 200; kills++) {
      usleep(random32() & 1023);
      unsigned i = random32() % 6;
      peer_kill(&peers[i]);
      peers[i] = peer_start(&arena, random_life, i);
    }
    shoal_store64_relaxed(&shared()->answers[0], LEDGER);
    peers_join(peers, 2);
    assert_int_equal(shoal_queue_close(q), 0);
    peers_join(peers + 2, 4);
    for (uint32_t v = 0; v < LEDGER; v++) assert_true(shared()->ledger[v] != 0x80);
    never_late(q);
    unmake(q);
  }
}

int main(void) {
  watchdog(280);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_first_and_last_in),
      cmocka_unit_test(test_the_smallest_first_and_equals_in_order),
      cmocka_unit_test(test_keys_of_all_types),
      cmocka_unit_test(test_zeros_are_equal_and_so_are_nans),
      cmocka_unit_test(test_many_to_many_once_each_threads),
      cmocka_unit_test(test_many_to_many_once_each_processes),
      cmocka_unit_test(test_elements_of_all_sizes),
      cmocka_unit_test(test_answers),
      cmocka_unit_test(test_absurd_options_are_refused),
      cmocka_unit_test(test_another_key_is_refused),
      cmocka_unit_test(test_loans),
      cmocka_unit_test(test_a_returned_message_keeps_its_key),
      cmocka_unit_test(test_close_tells_all_that_sleep),
      cmocka_unit_test(test_the_end_waits_for_what_others_hold),
      cmocka_unit_test(test_the_end_is_told_when_the_last_is_got),
      cmocka_unit_test(test_the_end_waits_for_what_is_reserved),
      cmocka_unit_test(test_the_last_peers_death_ends_the_stream),
      cmocka_unit_test(test_a_dead_holders_message_wakes_a_sleeper),
      cmocka_unit_test(test_redelivery_is_counted_and_in_order),
      cmocka_unit_test(test_a_dead_holders_message_is_dropped_by_policy),
      cmocka_unit_test(test_a_dead_ones_reservation_is_room_again),
      cmocka_unit_test(test_a_death_inside_leaves_the_order),
      cmocka_unit_test(test_random_kills_among_processes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
