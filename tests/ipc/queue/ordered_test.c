// Claims of the kinds FIFO, LIFO and PRIORITY of ipc/queue/queue:
//   1 order: first in first out; last in first out; the smallest key, and among equals the first put; whatever the
//   member's type 2 what is put is got: once, whole, by threads and processes; batches, too; exactly `capacity` fit
//   3 try, deadline and for ever answer as promised; absurd options and another key are refused
//   4 loans: commit, cancel, release, return, leave; a loan ends once, by the thread that took it
//   5 close and the end of the stream, to all that sleep, and not before what others hold is through
//   6 deaths: of who holds, of who has reserved, of who is inside; nobody needs the once-a-second look
//   7 growing: to the end of the segment, and on; by many; the memory goes with the queue
//   8 a damaged header is refused, and whatever a peer writes, nothing outside the memory is touched
//   9 without room one message gives way, if the queue drops the oldest: FIFO the next, LIFO the one at the bottom,
//   PRIORITY the
//     one that would be received last; whatever else is done meanwhile, and after deaths inside; each is counted
//  10 what is held ends though somebody is stopped inside; a commit, and what a lease is to decide, says so after a
//  second
#include <math.h>
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
#include "ipc/queue/queue_internal.h"
#include "ipc/queue/select.h"
#include "tests/harness/drivers.h"

struct job {
  int32_t urgency;
  uint32_t id;
};
SHOAL_QUEUE_TYPED(numbers, uint64_t)
SHOAL_PRIORITY_TYPED(jobs, struct job, urgency)

#define LEDGER 100000u
struct shared {
  uint64_t size;
  uint32_t element_size;
  shoal_atomic32 ready, done;
  shoal_atomic64 sum, answers[8];
  uint8_t ledger[LEDGER];
};
#define QUEUE_AT ((sizeof(struct shared) + 63) & ~(size_t)63)
static struct arena arena;
static struct shared *shared(void) { return arena.memory; }

static struct shoal_queue *attach(void *memory) {
  struct shared *s = memory;
  struct shoal_queue *q;
  CHECK(shoal_queue_attach_((char *)memory + QUEUE_AT, s->size, s->element_size, &q) == 0);
  return q;
}
static struct shoal_queue *make(const struct shoal_queue_options *o) {
  uint64_t size = shoal_queue_size_(o);
  assert_true(size > 0);
  arena_make(&arena, QUEUE_AT + size);
  shared()->size = size;
  shared()->element_size = o->element_size;
  assert_int_equal(shoal_queue_place_((char *)arena.memory + QUEUE_AT, size, o), 0);
  return attach(arena.memory);
}
static const struct shoal_queue_key by_number = {SHOAL_KEY_U64, 0};
static struct shoal_queue_options numbers_of(uint32_t kind, uint32_t capacity) {
  struct shoal_queue_options o = {.capacity = capacity, .element_size = 8, .kind = kind};
  if (kind == SHOAL_QUEUE_PRIORITY) o.key = by_number;
  return o;
}
static struct shoal_queue *make_numbers(uint32_t kind, uint32_t capacity) {
  struct shoal_queue_options o = numbers_of(kind, capacity);
  return make(&o);
}
static void unmake(struct shoal_queue *q) {
  assert_int_equal(shoal_queue_detach(q), 0);
  arena_free(&arena);
}
static void put_number(struct shoal_queue *q, uint64_t v) { CHECK(numbers_put(q, &v, SHOAL_FOREVER) == 0); }
static uint64_t get_number(struct shoal_queue *q) {
  uint64_t v = 0;
  CHECK(numbers_get(q, &v, SHOAL_FOREVER) == 0);
  return v;
}
static struct shoal_queue_info info_of(struct shoal_queue *q) {
  struct shoal_queue_info info;
  CHECK(shoal_queue_info(q, &info) == 0);
  return info;
}
static void never_late(struct shoal_queue *q) { assert_int_equal(info_of(q).late, 0); }
static void await(shoal_atomic32 *word, uint32_t n) {
  while (shoal_load32_seq_cst(word) < n) sched_yield();
}
#define EACH_KIND(kind) for (uint32_t kind = SHOAL_QUEUE_FIFO; kind <= SHOAL_QUEUE_PRIORITY; kind++)

static uint32_t random_state = 1;
static uint32_t random32(void) {
  random_state ^= random_state << 13, random_state ^= random_state >> 17;
  return random_state ^= random_state << 5;
}

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
      int put = n % 2 ? numbers_put_n(q, block, n + 7 <= EACH ? 7 : 1, SHOAL_FOREVER)
                      : numbers_put(q, block, SHOAL_FOREVER) + 1;
      CHECK(put > 0);
      n += (uint64_t)put;
    }
  } else {
    uint64_t last[3] = {0};
    int rc, batch = i == 4;
    while ((rc = batch ? numbers_get_n(q, block, 5, SHOAL_FOREVER) : numbers_get(q, &v, SHOAL_FOREVER)) >= 0)
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
    assert_int_equal(numbers_get(q, w, SHOAL_TRY), -EAGAIN);
    assert_int_equal(numbers_get(q, w, shoal_after_ms(2)), -ETIMEDOUT);
    assert_int_equal(numbers_get(q, w, shoal_after_ns(0)), -ETIMEDOUT);
    for (uint32_t i = 0; i < capacity; i++) assert_int_equal(numbers_put(q, &v, SHOAL_TRY), 0);
    assert_int_equal(numbers_put(q, &v, SHOAL_TRY), -EAGAIN);
    assert_int_equal(numbers_put(q, &v, shoal_after_ms(2)), -ETIMEDOUT);
    assert_int_equal(numbers_put_n(q, w, 4, SHOAL_TRY), -EAGAIN);
    assert_int_equal(numbers_put_n(q, w, 0, SHOAL_TRY), -EINVAL);
    assert_int_equal(info_of(q).size, capacity);
    assert_int_equal(numbers_get_n(q, w, 4, SHOAL_FOREVER), capacity);
    assert_int_equal(w[0], 7);
    assert_int_equal(numbers_get_n(q, w, 4, SHOAL_TRY), -EAGAIN);
    assert_int_equal(shoal_queue_close(q), 0);
    assert_int_equal(numbers_put(q, &v, SHOAL_TRY), -EPIPE);
    assert_int_equal(numbers_get(q, w, SHOAL_TRY), -EPIPE);
    assert_int_equal(numbers_get(q, w, SHOAL_FOREVER), -EPIPE);
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

static struct shoal_loan receive(struct shoal_queue *q) {
  struct shoal_loan loan;
  CHECK(shoal_queue_receive(q, &loan, SHOAL_TRY) == 0);
  return loan;
}
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
    assert_int_equal(numbers_get(q, &v, SHOAL_TRY), -EAGAIN);
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
    a = receive(q);
    assert_int_equal(number_in(&a), kind == SHOAL_QUEUE_LIFO ? 4 : 1);
    assert_int_equal(numbers_put(q, &v, SHOAL_TRY), -EAGAIN);  // it takes its place still
    assert_int_equal(info_of(q).size, 3);
    assert_int_equal(shoal_queue_return(q, &a), 0);
    copy = a = receive(q);
    assert_int_equal(number_in(&a), kind == SHOAL_QUEUE_LIFO ? 4 : 1);
    assert_int_equal(a.redelivered, 0);
    assert_int_equal(shoal_queue_release(q, &a), 0);
    assert_int_equal(shoal_queue_release(q, &copy), -EINVAL);
    copy.token = UINT64_MAX;
    assert_int_equal(shoal_queue_return(q, &copy), -EINVAL);
    a = receive(q);
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
  struct shoal_loan loan = receive(q);
  *(uint64_t *)loan.data = 9;
  assert_int_equal(shoal_queue_return(q, &loan), 0);
  assert_int_equal(get_number(q), 9);
  assert_int_equal(get_number(q), 5);
  assert_int_equal(get_number(q), 7);
  unmake(q);
}

// ---- 5 ----

static void get_until_told(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  uint64_t v;
  int rc;
  while ((rc = numbers_get(q, &v, SHOAL_FOREVER)) == 0) shoal_add64_relaxed(&s->sum, v);
  CHECK(rc == -EPIPE);
  shoal_store64_relaxed(&s->answers[i], 1);
}
static void put_until_told(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  uint64_t v = 1;
  int rc;
  while ((rc = numbers_put(q, &v, SHOAL_FOREVER)) == 0) shoal_add64_relaxed(&s->sum, 1);
  CHECK(rc == -EPIPE);
  shoal_store64_relaxed(&s->answers[i], 1);
}
static void sleepers_start(struct peer *peers, unsigned n, arena_body body) {
  for (unsigned i = 0; i < n; i++) {
    peers[i] = peer_start(&arena, body, i);
    peer_asleep(&peers[i]);
  }
  for (unsigned i = 0; i < n; i++) peer_asleep(&peers[i]);
}
static void peers_join(struct peer *peers, unsigned n) {
  for (unsigned i = 0; i < n; i++) peer_join(&peers[i]);
}
static void stay(void *memory, unsigned what) {  // with a role, a message or a place
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  struct shoal_loan loan;
  if (what < 2) CHECK(shoal_queue_join(q, (int)what) == 0);
  else if (what == 2) CHECK(shoal_queue_receive(q, &loan, SHOAL_FOREVER) == 0);
  else CHECK(shoal_queue_reserve(q, &loan, SHOAL_FOREVER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  for (;;) pause();
}
enum { PRODUCING, CONSUMING, HOLDING, RESERVING };
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
    else loan = receive(q);
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
  int rc = numbers_get(attach(memory), &v, SHOAL_FOREVER);
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
    struct shoal_loan loan = receive(q);
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
      struct shoal_loan loan = receive(q);
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
    struct shoal_loan a = receive(q), b;
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
        CHECK(numbers_put(q, &v, SHOAL_FOREVER) == 0);
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

// ---- 7 ----

static struct shoal_queue_options growing(uint32_t kind) {
  struct shoal_queue_options o = numbers_of(kind, 3);
  o.grow = 1;
  return o;
}
static uint64_t used_of(struct shoal_segment *seg) {
  struct shoal_segment_info info;
  CHECK(shoal_segment_info(seg, &info) == 0);
  return info.used;
}

static void test_grows_to_the_end_of_the_segment_and_on(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_segment *seg;
    struct shoal_queue *q, *other;
    struct shoal_queue_options o = growing(kind);
    struct shoal_segment_options small = {.size = 1 << 20, .size_max = 4 << 20, .objects = 64};
    assert_int_equal(shoal_segment_create(NULL, &small, &seg), 0);
    uint64_t before = used_of(seg), n = 0, rc = 0;
    assert_int_equal(numbers_create(seg, "numbers", &o, &q), 0);
    assert_int_equal(numbers_open(seg, "numbers", &other), 0);
    assert_int_equal(info_of(q).capacity, 4);
    while ((rc = (uint64_t)numbers_put(n % 2 ? q : other, &n, SHOAL_FOREVER)) == 0) n++;
    assert_int_equal((int)rc, -ENOSPC);
    assert_true(n >= 1 << 14);
    assert_int_equal(info_of(q).capacity, n);
    assert_int_equal(info_of(q).size, n);
    assert_int_equal(info_of(q).capacity, UINT64_C(4) << info_of(q).grown);
    assert_int_equal(numbers_put(q, &n, SHOAL_TRY), -ENOSPC);
    for (uint64_t i = 0; i < n; i++) {
      assert_int_equal(get_number(i % 2 ? other : q), kind == SHOAL_QUEUE_LIFO ? n - 1 - i : i);
      if (i == 10)
        put_number(q, kind == SHOAL_QUEUE_LIFO ? n - 1 - i : n), get_number(other),
            i += kind != SHOAL_QUEUE_LIFO;  // and on
    }
    assert_int_equal(shoal_queue_detach(other), 0);
    assert_int_equal(shoal_queue_unlink(seg, "numbers"), 0);
    put_number(q, 5);
    assert_int_equal(shoal_queue_detach(q), 0);
    assert_int_equal(used_of(seg), before);
    assert_int_equal(shoal_segment_close(seg), 0);
  }
}

static void test_the_ring_that_grows_is_a_list(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_queue *q;
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(numbers_create(seg, "n", &(struct shoal_queue_options){.capacity = 5, .grow = 1}, &q), 0);
  assert_int_equal(info_of(q).kind, SHOAL_QUEUE_FIFO);
  for (uint64_t i = 0; i < 1000; i++) put_number(q, i);
  for (uint64_t i = 0; i < 1000; i++) assert_int_equal(get_number(q), i);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
  struct shoal_queue_options o = growing(SHOAL_QUEUE_FIFO);
  q = make(&o);  // not in a segment
  for (uint64_t i = 0; i < 4; i++) put_number(q, i);
  uint64_t v = 4;
  assert_int_equal(numbers_put(q, &v, SHOAL_FOREVER), -ENOSPC);
  assert_int_equal(get_number(q), 0);
  put_number(q, 4);
  unmake(q);
}

// Four put, two get, all may be the one who makes it grow; now and then one is killed.
static struct shoal_segment *common;
static struct shoal_queue *inherited;
static void grow_together(unsigned i) {
  struct shared *s = shared();
  for (uint64_t v; (v = shoal_add64_relaxed(&s->answers[0], 1)) < LEDGER;) {
    put_number(inherited, v);
    __atomic_fetch_or(&s->ledger[v], 0x80, __ATOMIC_RELAXED);
    if (i == 0 && v % 16 == 0) usleep(50);
  }
}
static void test_grows_while_its_users_are_killed(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue_options o = growing(kind);
    arena_make(&arena, sizeof(struct shared));
    assert_int_equal(shoal_segment_create(NULL, NULL, &common), 0);
    assert_int_equal(numbers_create(common, "n", &o, &inherited), 0);
    pid_t pids[4] = {0};
    for (int kills = 0; kills < 60; kills++) {
      for (unsigned i = 0; i < 4; i++) {
        if (pids[i]) continue;
        fflush(NULL);
        if ((pids[i] = fork()) == 0) grow_together(i), _exit(0);
      }
      usleep(random32() & 511);
      unsigned i = random32() % 4;
      kill(pids[i], SIGKILL);
      waitpid(pids[i], NULL, 0);
      pids[i] = 0;
    }
    for (unsigned i = 0; i < 4; i++)
      if (pids[i]) assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
    uint64_t v;
    uint32_t got = 0;
    while (numbers_get(inherited, &v, SHOAL_TRY) == 0) {
      assert_true(v < LEDGER && !(shared()->ledger[v] & 1));
      shared()->ledger[v] |= 1, got++;
    }
    for (uint32_t k = 0; k < LEDGER; k++) assert_true(shared()->ledger[k] != 0x80);
    assert_true(got <= LEDGER && info_of(inherited).capacity >= got);
    assert_int_equal(shoal_queue_unlink(common, "n"), 0);
    assert_int_equal(shoal_queue_detach(inherited), 0);
    assert_int_equal(shoal_segment_close(common), 0);
    arena_free(&arena);
  }
}

// ---- 8 ----

static void test_a_damaged_header_is_refused(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(SHOAL_QUEUE_PRIORITY, 16), *other = NULL;
  char *memory = (char *)arena.memory + QUEUE_AT;
  uint64_t size = shared()->size;
  for (uint64_t cut = 0; cut < size; cut += 64) assert_int_equal(shoal_queue_attach_(memory, cut, 8, &other), -EPROTO);
  struct shoal_queue_shm *shm = (struct shoal_queue_shm *)(void *)memory;
  struct shoal_ordered_shm *ring = (struct shoal_ordered_shm *)(void *)(memory + shm->ring);
  uint32_t *fields[] = {&shm->kind, &shm->ring,        &ring->element_size, &ring->capacity, &ring->key_type,
                        &ring->by,  &ring->key_offset, &shm->element_size,  &ring->grow};
  static const uint32_t values[] = {0, 1, 3, 5, 63, 1u << 16, 1u << 30, 0x7fffffff, 0x80000000, UINT32_MAX};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
      uint32_t good = *fields[i];
      *fields[i] = values[k];
      int rc = shoal_queue_attach_(memory, size, 8, &other);
      if (rc == 0) assert_int_equal(shoal_queue_detach(other), 0);
      else assert_true(rc == -EPROTO || rc == -EBADMSG);
      *fields[i] = good;
    }
  put_number(q, 4);
  assert_int_equal(get_number(q), 4);
  unmake(q);
}

// As tests/ipc/queue/queue_test.c.
static void use_scribbled(void *memory, unsigned seed) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  struct shoal_loan loan;
  uint64_t v = 1, x = seed + 1;
  shoal_queue_join(q, SHOAL_PRODUCER), shoal_queue_join(q, SHOAL_CONSUMER);
  uint64_t *words = (uint64_t *)((char *)memory + QUEUE_AT);
  signal(SIGALRM, SIG_DFL);
  alarm(2);
  for (int i = 0; i < 400; i++) {
    for (int k = 0; k < 3; k++) {
      x ^= x << 13, x ^= x >> 7, x ^= x << 17;
      uint64_t at = x % (s->size / 8), roles = sizeof(struct shoal_queue_shm);
      if (at * 8 >= roles && at * 8 < roles + 128 * 64 && (at * 8 - roles) % 64 < 40) continue;
      words[at] = x >> (x % 64);
    }
    // the lock: in other tests; held by the living it is waited for
    shoal_store32_relaxed(&q->ordered.shm->lock.word, 0);
    shoal_queue_put(q, &v, SHOAL_TRY);
    shoal_queue_get(q, &v, SHOAL_TRY);
    if (shoal_queue_receive(q, &loan, SHOAL_TRY) == 0) shoal_queue_return(q, &loan);
    if (shoal_queue_reserve(q, &loan, SHOAL_TRY) == 0) shoal_queue_cancel(q, &loan);
    shoal_queue_put(q, &v, shoal_after_us(10));
  }
  _exit(0);
}
static void test_scribbled_memory_is_survived(void **state) {
  (void)state;
  EACH_KIND(kind) for (unsigned seed = 0; seed < 20; seed++) {
    struct shoal_queue_options o = numbers_of(kind, 16);
    o.grow = seed % 2;
    struct shoal_queue *q = make(&o);
    struct peer p = peer_start(&arena, use_scribbled, seed);
    int status;
    assert_int_equal(waitpid(p.pid, &status, 0), p.pid);
    assert_true(WIFEXITED(status) || WTERMSIG(status) == SIGALRM);
    free(q);
    arena_free(&arena);
  }
}

// As a signal handler that interrupts the queue itself: it is told, and its loan is still one.
static void test_a_loan_does_not_end_from_within(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(SHOAL_QUEUE_FIFO, 4);
  struct shoal_loan loan;
  put_number(q, 1);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  assert_int_equal(shoal_ordered_enter(&q->ordered, loan.role, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_queue_release(q, &loan), -EDEADLK);
  assert_int_equal(shoal_queue_return(q, &loan), -EDEADLK);
  assert_non_null(loan.data);
  shoal_ordered_leave(&q->ordered, loan.role);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  unmake(q);
  for (unsigned leased = 0; leased < 2; leased++) {  // nor is a task counted
    struct shoal_queue_options o = numbers_of(SHOAL_QUEUE_FIFO, 4);
    o.joinable = 1;
    o.lease_ns = leased ? UINT64_C(3600000000000) : 0;
    q = make(&o);
    for (uint64_t n = 1; n <= 2; n++) put_number(q, n);
    for (uint64_t n = 1, got; n <= 2; n++) {
      assert_int_equal(shoal_queue_get(q, &got, SHOAL_TRY), 0);
      assert_int_equal(got, n);
    }
    uint32_t me = (uint32_t)shoal_role_mine(&q->wait, SHOAL_CONSUMER);
    struct shoal_queue_taken_ *taken = &q->taken[me - 1 - q->wait.count[SHOAL_PRODUCER]], before = *taken;
    assert_int_equal(shoal_ordered_enter(&q->ordered, me, SHOAL_FOREVER), 0);
    assert_int_equal(shoal_queue_task_done(q), -EDEADLK);
    assert_memory_equal(&before, taken, sizeof before);
    shoal_ordered_leave(&q->ordered, me);
    for (int i = 0; i < 2; i++) assert_int_equal(shoal_queue_task_done(q), 0);
    assert_int_equal(shoal_queue_task_done(q), -EINVAL);
    unmake(q);
  }
}

static void stay_inside(void *memory, unsigned i) {
  (void)i;
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  int me = shoal_role_mine(&q->wait, SHOAL_CONSUMER);
  CHECK(me > 0 && shoal_ordered_enter(&q->ordered, (uint32_t)me, SHOAL_FOREVER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  for (;;) pause();
}
// Whatever the call, and whatever the policy: it ends at its deadline.
static void ends_beside_one_inside(struct shoal_queue *q) {
  struct shoal_loan loan;
  uint64_t v = 1;
  struct shoal_case takes = shoal_on_get(q, &v), puts = shoal_on_put(q, &v);
  assert_int_equal(numbers_put(q, &v, shoal_after_ms(2)), -ETIMEDOUT);
  assert_int_equal(numbers_get(q, &v, shoal_after_ms(2)), -ETIMEDOUT);
  assert_int_equal(numbers_put_n(q, &v, 1, shoal_after_ms(2)), -ETIMEDOUT);
  assert_int_equal(shoal_queue_reserve(q, &loan, shoal_after_ms(2)), -ETIMEDOUT);
  assert_int_equal(shoal_select(&takes, 1, shoal_after_ms(2)), -ETIMEDOUT);
  assert_int_equal(shoal_select(&puts, 1, shoal_after_ms(2)), -ETIMEDOUT);
}
static void test_nobody_waits_beyond_the_deadline_for_the_lock(void **state) {
  (void)state;
  for (uint32_t overflow = SHOAL_OVERFLOW_WAIT; overflow <= SHOAL_OVERFLOW_DROP_NEWEST; overflow++) {
    struct shoal_queue_options o = numbers_of(SHOAL_QUEUE_FIFO, 4);
    o.overflow = overflow;
    struct shoal_queue *q = make(&o);
    put_number(q, 1);
    struct peer p = peer_start(&arena, stay_inside, 0);
    await(&shared()->ready, 1);
    ends_beside_one_inside(q);
    peer_kill(&p);
    assert_int_equal(get_number(q), 1);
    unmake(q);
  }
}

static void test_a_lock_that_names_nobody_is_taken(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue *q = make_numbers(kind, 4);
    put_number(q, 1);
    static const uint32_t nobody[] = {0xfff, 129, 0xfff | FUTEX_WAITERS, 70};  // 70: a role that nobody has
    for (int i = 0; i < 4; i++) {
      shoal_store32_relaxed(&q->ordered.shm->lock.word, nobody[i]);
      assert_int_equal(get_number(q), 1);
      put_number(q, 1);
    }
    unmake(q);
  }
}

// A look, too, waits for who stands inside until its deadline, be that sooner or later than what a try waits.
static void test_a_look_waits_until_its_deadline(void **state) {
  (void)state;
  struct shoal_queue_options o = numbers_of(SHOAL_QUEUE_FIFO, 4);
  o.lease_ns = 1000000;
  struct shoal_queue *q = make(&o);
  put_number(q, 1);
  struct peer p = peer_start(&arena, stay_inside, 0);
  await(&shared()->ready, 1);
  struct shoal_case readable = shoal_on_readable(q);
  shoal_deadline later = shoal_after_ns(SHOAL_RECHECK_NS + SHOAL_RECHECK_NS / 4);
  assert_int_equal(shoal_select_ready(&readable, 1, later), -ETIMEDOUT);
  assert_true(shoal_deadline_passed(later));
  assert_int_equal(shoal_select_ready(&readable, 1, shoal_after_ms(2)), -ETIMEDOUT);
  peer_kill(&p);
  assert_int_equal(shoal_select_ready(&readable, 1, SHOAL_FOREVER), 1);
  unmake(q);
}

// Its lock names one who lives, and is not inside: nobody who only tries waits for him.
static void live_on(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  (void)i;
  CHECK(shoal_queue_join(q, SHOAL_PRODUCER) == 0);
  shoal_store32_seq_cst(&s->done, shoal_role_known(&q->wait, SHOAL_PRODUCER));
  for (;;) pause();
}
static void try_each_way(void *memory, unsigned i) {
  struct shoal_queue *q = attach(memory);
  uint64_t v = 1;
  struct shoal_case cases[] = {shoal_on_get(q, &v)};
  int rc = i == 0   ? numbers_put(q, &v, SHOAL_TRY)
           : i == 1 ? numbers_get(q, &v, SHOAL_TRY)
           : i == 2 ? shoal_queue_clear(q)
           : i == 3 ? numbers_get_n(q, &v, 1, SHOAL_TRY)
                    : shoal_select(cases, 1, SHOAL_TRY);
  CHECK(rc == -ETIMEDOUT);
  CHECK(strcmp(shoal_reason(), "somebody stands inside the queue, or its lock is damaged") == 0);
  _exit(0);
}
static void test_a_lock_that_names_the_living_is_no_trap(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(SHOAL_QUEUE_PRIORITY, 4);
  put_number(q, 1);
  struct peer lives = peer_start(&arena, live_on, 0), tries[5];
  await(&shared()->done, 1);
  shoal_store32_relaxed(&q->ordered.shm->lock.word, shoal_load32_relaxed(&shared()->done));
  for (unsigned i = 0; i < 5; i++) tries[i] = peer_start(&arena, try_each_way, i);
  for (unsigned i = 0; i < 5; i++) peer_join(&tries[i]);
  peer_kill(&lives);
  assert_int_equal(get_number(q), 1);
  unmake(q);
}

// ---- 10 ----

static void stop(struct peer *p) {
  int status;
  CHECK(kill(p->pid, SIGSTOP) == 0 && waitpid(p->pid, &status, WUNTRACED) == p->pid);
}
static void stands_inside(void *memory, unsigned i) {
  (void)i;
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  CHECK(shoal_queue_join(q, SHOAL_CONSUMER) == 0);
  uint32_t me = shoal_role_known(&q->wait, SHOAL_CONSUMER);
  shoal_add32_seq_cst(&s->ready, 1);
  while (shoal_load64_relaxed(&s->answers[0]) == 0) sched_yield();
  CHECK(shoal_ordered_enter(&q->ordered, me, SHOAL_FOREVER) == 0);
  shoal_store64_seq_cst(&s->answers[1], 1);
  while (shoal_load64_relaxed(&s->answers[2]) == 0) sched_yield();
  shoal_ordered_leave(&q->ordered, me);
  CHECK(shoal_queue_detach(q) == 0);
}
static struct peer holder;
static void let_in_and_stop(void) {
  shoal_store64_seq_cst(&shared()->answers[0], 1);
  while (shoal_load64_relaxed(&shared()->answers[1]) == 0) sched_yield();
  stop(&holder);
}
static void let_go_on(void) {
  shoal_store64_seq_cst(&shared()->answers[2], 1);
  kill(holder.pid, SIGCONT);
  peer_join(&holder);
}
static void ends_beside_one_stopped(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  struct shoal_loan loan;
  CHECK((i < 2 ? shoal_queue_receive : shoal_queue_reserve)(q, &loan, SHOAL_TRY) == 0);
  uint64_t v = i < 2 ? *(uint64_t *)loan.data : 9;
  *(uint64_t *)loan.data = v;
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->done, 1);
  int rc = i == 0   ? shoal_queue_release(q, &loan)
           : i == 1 ? shoal_queue_return(q, &loan)
           : i == 2 ? shoal_queue_cancel(q, &loan)
                    : shoal_queue_commit(q, &loan);
  CHECK(rc == (i == 3 ? -ETIMEDOUT : 0) && (i == 3) == (loan.data != NULL));
  if (i == 1) shoal_store64_relaxed(&s->answers[3], v);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->done, 2);  // that one has gone on: who leaves waits for it no longer than a second
  if (i == 3) CHECK(shoal_queue_commit(q, &loan) == 0);
  CHECK(shoal_queue_detach(q) == 0);
}
// One stands inside, and is stopped: release, return and cancel end all the same, a commit says so, and can be
// repeated.
static void test_claims_end_beside_one_who_is_stopped_inside(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue *q = make_numbers(kind, 5);
    for (uint64_t v = 1; v <= 3; v++) put_number(q, v);
    holder = peer_start(&arena, stands_inside, 0);
    await(&shared()->ready, 1);
    struct peer p[4];
    for (unsigned i = 0; i < 4; i++) {
      p[i] = peer_start(&arena, ends_beside_one_stopped, i);
      await(&shared()->ready, 2 + i);
    }
    let_in_and_stop();
    shoal_store32_seq_cst(&shared()->done, 1);
    await(&shared()->ready, 9);
    let_go_on();
    shoal_store32_seq_cst(&shared()->done, 2);
    for (unsigned i = 0; i < 4; i++) peer_join(&p[i]);
    uint64_t sum = 0, returned = shoal_load64_relaxed(&shared()->answers[3]), first = get_number(q);
    for (int i = 0; i < 2; i++) sum += get_number(q);
    assert_int_equal(first + sum, returned + 9 + (kind == SHOAL_QUEUE_LIFO ? 1 : 3));
    assert_int_equal(first, kind == SHOAL_QUEUE_LIFO ? 9 : returned);
    uint64_t v = 0;
    assert_int_equal(numbers_get(q, &v, SHOAL_TRY), -EAGAIN);
    for (uint64_t i = 0; i < 5; i++) assert_int_equal(numbers_put(q, &i, SHOAL_TRY), 0);
    assert_int_equal(numbers_put(q, &v, SHOAL_TRY), -EAGAIN);
    unmake(q);
  }
}

// Counts from before such an end are not what a look goes by.
static void test_a_look_after_such_an_end_sees_what_is_there(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue *q = make_numbers(kind, 2);
    assert_int_equal(shoal_queue_join(q, SHOAL_CONSUMER), 0);
    uint32_t me = shoal_role_known(&q->wait, SHOAL_CONSUMER);
    shoal_store32_relaxed(&q->ordered.shm->ended, 1);
    assert_int_equal(q->ops->ready(q, SHOAL_CONSUMER, me, SHOAL_TRY), -EAGAIN);
    put_number(q, 1);
    shoal_store32_relaxed(&q->ordered.shm->ended, 1);
    assert_int_equal(q->ops->ready(q, SHOAL_CONSUMER, me, SHOAL_TRY), 0);
    unmake(q);
  }
}

// Who leaves says so, and has what it had; so does who detaches.
static void test_who_leaves_beside_one_who_is_stopped_inside(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue *q = make_numbers(kind, 5);
    struct shoal_loan loan, place;
    for (uint64_t v = 1; v <= 3; v++) put_number(q, v);
    assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
    assert_int_equal(shoal_queue_reserve(q, &place, SHOAL_TRY), 0);
    uint64_t first = *(uint64_t *)loan.data;
    holder = peer_start(&arena, stands_inside, 0);
    await(&shared()->ready, 1);
    let_in_and_stop();
    assert_int_equal(shoal_queue_leave(q, SHOAL_CONSUMER), -ETIMEDOUT);
    assert_int_equal(shoal_queue_detach(q), -ETIMEDOUT);
    assert_int_equal(info_of(q).producers, 1);
    assert_int_equal(*(uint64_t *)loan.data, first);
    let_go_on();
    *(uint64_t *)place.data = 9;
    assert_int_equal(shoal_queue_commit(q, &place), 0);
    assert_int_equal(shoal_queue_leave(q, SHOAL_CONSUMER), 0);
    assert_int_equal(shoal_queue_release(q, &loan), -EPERM);
    assert_int_equal(get_number(q), first);
    for (int i = 0; i < 3; i++) get_number(q);
    uint64_t v = 0;
    assert_int_equal(numbers_get(q, &v, SHOAL_TRY), -EAGAIN);
    unmake(q);
  }
}

// One has died with a message in hand, and nobody gets inside to take it back: a try says so, and a wait when its time
// is over; who waits for ever has the message as soon as that one goes on.
static void dies_with_one(void *memory, unsigned i) {
  (void)i;
  struct shoal_loan loan;
  CHECK(shoal_queue_receive(attach(memory), &loan, SHOAL_TRY) == 0);
  _exit(0);
}
static void gets_for_ever(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  (void)i;
  CHECK(shoal_queue_join(q, SHOAL_CONSUMER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->done, 1);
  CHECK(get_number(q) == 1);
  CHECK(shoal_queue_detach(q) == 0);
}
static void test_the_dead_beside_one_who_is_stopped_inside(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue_options o = numbers_of(kind, 5);
    o.consumers = 4;
    struct shoal_queue *q = make(&o), *others;
    uint64_t v = 0;
    put_number(q, 1);
    holder = peer_start(&arena, stands_inside, 0);
    struct peer waits = peer_start(&arena, gets_for_ever, 0);
    await(&shared()->ready, 2);
    assert_int_equal(shoal_queue_join(q, SHOAL_CONSUMER), 0);
    run(&arena, PROCESSES, 1, dies_with_one);
    let_in_and_stop();
    assert_int_equal(numbers_get(q, &v, SHOAL_TRY), -ETIMEDOUT);
    assert_int_equal(numbers_get(q, &v, shoal_after_ms(5)), -ETIMEDOUT);
    struct shoal_case cases[] = {shoal_on_get(q, &v), shoal_on_time(shoal_after_ms(5))};
    assert_int_equal(shoal_select(cases, 2, SHOAL_FOREVER), 1);
    assert_int_equal(shoal_role_reap(&q->wait), -ETIMEDOUT);
    others = attach(arena.memory);
    assert_int_equal(shoal_queue_join(others, SHOAL_CONSUMER), -ETIMEDOUT);  // only the dead one's role may be free
    assert_int_equal(shoal_queue_detach(others), 0);
    assert_int_equal(info_of(q).reaped, 0);
    shoal_store32_seq_cst(&shared()->done, 1);
    peer_asleep(&waits);
    let_go_on();
    peer_join(&waits);
    struct shoal_queue_info info = info_of(q);
    assert_int_equal(info.reaped, 1);
    assert_int_equal(info.redelivered, 1);
    unmake(q);
  }
}

// Under a lease it is the lease that decides: told so, nothing changed, and it can be tried again.
static void test_leases_beside_one_who_is_stopped_inside(void **state) {
  (void)state;
  struct shoal_queue_options o = numbers_of(SHOAL_QUEUE_FIFO, 4);
  o.lease_ns = UINT64_C(3600000000000);
  struct shoal_queue *q = make(&o);
  struct shoal_loan loan;
  put_number(q, 1);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  holder = peer_start(&arena, stands_inside, 0);
  await(&shared()->ready, 1);
  let_in_and_stop();
  assert_int_equal(shoal_queue_extend(q, &loan), -ETIMEDOUT);
  assert_int_equal(shoal_queue_release(q, &loan), -ETIMEDOUT);
  assert_non_null(loan.data);
  let_go_on();
  assert_int_equal(shoal_queue_extend(q, &loan), 0);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  unmake(q);
}

// A large element is copied outside, and who is inside by then is stopped: the page that is copied from, or to, sees to
// it.
static char *page;
static void in_the_midst(int signal) {
  (void)signal;
  let_in_and_stop();
  mprotect(page, 4096, PROT_READ | PROT_WRITE);
}
static void test_large_ones_beside_one_who_is_stopped_inside(void **state) {
  (void)state;
  struct sigaction old, act = {.sa_handler = in_the_midst};
  page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(page, MAP_FAILED);
  for (int gets = 0; gets < 2; gets++) {
    struct shoal_queue *q = make(&(struct shoal_queue_options){.capacity = 2, .element_size = 4096, .kind = 2});
    assert_int_equal(shoal_queue_join(q, SHOAL_CONSUMER), 0);
    memset(page, 'a', 4096);
    assert_int_equal(shoal_queue_put(q, page, SHOAL_TRY), 0);
    holder = peer_start(&arena, stands_inside, 0);
    await(&shared()->ready, 1);
    sigaction(SIGSEGV, &act, &old);
    mprotect(page, 4096, PROT_NONE);
    int rc = gets ? shoal_queue_get(q, page, SHOAL_TRY) : shoal_queue_put(q, page, SHOAL_TRY);
    sigaction(SIGSEGV, &old, NULL);
    assert_int_equal(rc, gets ? 0 : -ETIMEDOUT);
    let_go_on();
    memset(page, 'b', 4096);
    for (int i = gets; i < 2; i++) assert_int_equal(shoal_queue_put(q, page, SHOAL_TRY), i == 1 && !gets ? -EAGAIN : 0);
    assert_int_equal(shoal_queue_get(q, page, SHOAL_TRY), 0);
    assert_int_equal(page[4095], gets ? 'b' : 'a');
    unmake(q);
  }
  munmap(page, 4096);
}

// Under a lease a get that has its copy has to go in once more: it says that it could not, and the message comes again
// when its lease is over; one that is to keep it (joinable) has it.
static void test_leased_gets_beside_one_who_is_stopped_inside(void **state) {
  (void)state;
  struct sigaction old, act = {.sa_handler = in_the_midst};
  page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(page, MAP_FAILED);
  for (uint32_t joinable = 0; joinable < 2; joinable++) {
    struct shoal_queue_options o = numbers_of(SHOAL_QUEUE_FIFO, 4);
    o.lease_ns = joinable ? UINT64_C(3600000000000) : 100000000;
    o.joinable = joinable;
    struct shoal_queue *q = make(&o);
    for (uint64_t v = 1; v <= 2; v++) put_number(q, v);
    assert_int_equal(shoal_queue_join(q, SHOAL_CONSUMER), 0);
    holder = peer_start(&arena, stands_inside, 0);
    await(&shared()->ready, 1);
    sigaction(SIGSEGV, &act, &old);
    mprotect(page, 4096, PROT_NONE);
    int rc = shoal_queue_get(q, page, SHOAL_TRY);
    sigaction(SIGSEGV, &old, NULL);
    assert_int_equal(rc, joinable ? 0 : -ETIMEDOUT);
    assert_int_equal(info_of(q).held, 1);
    if (joinable) assert_int_equal(shoal_queue_task_done(q), -ETIMEDOUT);
    assert_int_equal(shoal_queue_clear(q), -ETIMEDOUT);
    let_go_on();
    struct shoal_loan loan;
    uint64_t sum = joinable;
    if (joinable) assert_int_equal(shoal_queue_task_done(q), 0);
    for (uint32_t i = joinable; i < 2; i++) {
      assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_FOREVER), 0);
      assert_int_equal(loan.redelivered, *(uint64_t *)loan.data == 1);
      sum += *(uint64_t *)loan.data;
      assert_int_equal(shoal_queue_release(q, &loan), 0);
    }
    assert_int_equal(sum, 3);
    assert_int_equal(info_of(q).held, 0);
    uint64_t v;
    assert_int_equal(numbers_get(q, &v, SHOAL_TRY), -EAGAIN);
    unmake(q);
  }
  munmap(page, 4096);
}

static void receives_two(void *memory, unsigned i) {
  (void)i;
  struct shoal_loan loan[2];
  struct shoal_queue *q = attach(memory);
  for (int k = 0; k < 2; k++) CHECK(shoal_queue_receive(q, &loan[k], SHOAL_FOREVER) == 0);
  for (int k = 0; k < 2; k++) CHECK(shoal_queue_release(q, &loan[k]) == 0);
  CHECK(shoal_queue_detach(q) == 0);
}
// A task_done that cannot go in changes nothing: what it could not end is in hand as before, and, once its lease has
// run out and another has it, that is what is told of it, once.
static void test_task_done_beside_one_who_is_stopped_inside(void **state) {
  (void)state;
  struct shoal_queue_options o = numbers_of(SHOAL_QUEUE_FIFO, 4);
  o.lease_ns = UINT64_C(3600000000000);
  o.joinable = 1;
  struct shoal_queue *q = make(&o);
  uint64_t v;
  for (v = 1; v <= 2; v++) put_number(q, v);
  for (int k = 0; k < 2; k++) assert_int_equal(numbers_get(q, &v, SHOAL_TRY), 0);
  holder = peer_start(&arena, stands_inside, 0);
  await(&shared()->ready, 1);
  let_in_and_stop();
  assert_int_equal(shoal_queue_task_done(q), -ETIMEDOUT);
  let_go_on();
  for (uint32_t cell = 0; cell < 2; cell++) shoal_ordered_lease(&q->ordered, cell, 1);  // as if its hour had passed
  shoal_store64_relaxed(&q->extra->next, 0);
  run(&arena, PROCESSES, 1, receives_two);
  for (int k = 0; k < 2; k++) assert_int_equal(shoal_queue_task_done(q), -ETIMEDOUT);
  assert_int_equal(shoal_queue_task_done(q), -EINVAL);
  unmake(q);
}

// ---- 9 ----

static struct shoal_queue_options dropping(uint32_t kind, uint32_t capacity) {
  struct shoal_queue_options o = numbers_of(kind, capacity);
  if (kind == SHOAL_QUEUE_PRIORITY)
    o.key = (struct shoal_queue_key){SHOAL_KEY_U32, 4};  // the upper half: equals are many
  o.overflow = SHOAL_OVERFLOW_DROP_OLDEST;
  return o;
}

static struct model {  // what is inside, in the order in which it is received
  uint64_t v[64], id, dropped;
  uint32_t kind, capacity, n, lent;
} model;
static uint64_t model_remove(uint32_t i) {
  uint64_t v = model.v[i];
  memmove(&model.v[i], &model.v[i + 1], (--model.n - i) * sizeof v);
  return v;
}
static void model_insert(uint32_t i, uint64_t v) {
  memmove(&model.v[i + 1], &model.v[i], (model.n++ - i) * sizeof v);
  model.v[i] = v;
}
static void model_add(uint64_t v, int again) {
  uint32_t i = model.kind == SHOAL_QUEUE_FIFO && !again ? model.n : 0;
  while (model.kind == SHOAL_QUEUE_PRIORITY && i < model.n && model.v[i] < v) i++;
  model_insert(i, v);
}
static int model_make_room(void) {
  if (model.n + model.lent < model.capacity) return 0;
  if (!model.n) return -EAGAIN;
  model_remove(model.kind == SHOAL_QUEUE_FIFO ? 0 : model.n - 1);
  model.dropped++;
  return 0;
}
static uint64_t new_number(void) { return (uint64_t)(random32() % 8) << 32 | ++model.id; }

static void model_put(struct shoal_queue *q) {
  uint64_t v = new_number();
  int rc = model_make_room();
  assert_int_equal(numbers_put(q, &v, SHOAL_TRY), rc);
  if (rc == 0) model_add(v, 0);
}
static void model_put_n(struct shoal_queue *q) {
  uint64_t v[3];
  int n = 0;
  for (int i = 0; i < 3; i++) {
    v[i] = new_number();
    if (model_make_room()) continue;
    model_add(v[i], 0);
    n++;
  }
  assert_int_equal(numbers_put_n(q, v, 3, SHOAL_TRY), n ? n : -EAGAIN);
}
static void model_get(struct shoal_queue *q) {
  uint64_t v = 0;
  int rc = numbers_get(q, &v, SHOAL_TRY);
  assert_int_equal(rc, model.n ? 0 : -EAGAIN);
  if (rc == 0) assert_int_equal(v, model_remove(0));
}
// One of each side at a time is lent.
static void model_lend(struct shoal_queue *q, struct shoal_loan *out, struct shoal_loan *in) {
  if (!in->data) {
    int rc = model_make_room();
    assert_int_equal(shoal_queue_reserve(q, in, SHOAL_TRY), rc);
    model.lent += rc == 0;
  }
  if (out->data) return;
  assert_int_equal(shoal_queue_receive(q, out, SHOAL_TRY), model.n ? 0 : -EAGAIN);
  if (!model.n) return;
  assert_int_equal(*(uint64_t *)out->data, model_remove(0));
  model.lent++;
}
static void model_end(struct shoal_queue *q, struct shoal_loan *out, struct shoal_loan *in) {
  if (out->data) {
    uint64_t v = *(uint64_t *)out->data;
    model.lent--;
    if (random32() % 2) {
      assert_int_equal(shoal_queue_return(q, out), 0);
      model_add(v, 1);
    } else {
      assert_int_equal(shoal_queue_release(q, out), 0);
    }
  }
  if (!in->data) return;
  model.lent--;
  if (random32() % 4 == 0) {
    assert_int_equal(shoal_queue_cancel(q, in), 0);
    return;
  }
  uint64_t v = *(uint64_t *)in->data = new_number();
  assert_int_equal(shoal_queue_commit(q, in), 0);
  model_add(v, 0);
}
static void die_in_the_midst(void *memory, unsigned capacity) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  struct shoal_ordered_shm *shm = q->ordered.shm;
  int me = shoal_role_mine(&q->wait, SHOAL_CONSUMER);
  CHECK(me > 0 && shoal_ordered_enter(&q->ordered, (uint32_t)me, SHOAL_FOREVER) == 0);
  shoal_store32_relaxed(&shm->count, 1), shoal_store32_relaxed(&shm->lent, 0), shoal_store32_relaxed(&shm->fronts, 7);
  shoal_store32_relaxed(&shm->first, 1), shoal_store32_relaxed(&shm->last, 9), shoal_store32_relaxed(&shm->free, 1);
  if (q->ordered.chunk[0].places) memset((void *)q->ordered.chunk[0].places, 0x77, 16 * (capacity + 8));
  shoal_add32_seq_cst(&s->ready, 1);
  for (;;) pause();
}
static void model_death(void) {
  uint32_t before = shoal_load32_seq_cst(&shared()->ready);
  struct peer p = peer_start(&arena, die_in_the_midst, model.capacity);
  await(&shared()->ready, before + 1);
  peer_kill(&p);
}
static void test_the_one_that_gives_way(void **state) {
  (void)state;
  for (uint32_t round = 0; round < 90; round++) {
    struct shoal_loan out = {0}, in = {0};
    uint32_t capacity = 1 + random32() % (round % 2 ? 40 : 6);
    model = (struct model){.kind = SHOAL_QUEUE_FIFO + round % 3, .capacity = capacity};
    struct shoal_queue_options o = dropping(model.kind, capacity);
    struct shoal_queue *q = make(&o);
    shoal_queue_join(q, SHOAL_PRODUCER);
    shoal_queue_join(q, SHOAL_CONSUMER);
    for (int i = 0; i < 2000; i++) {
      uint32_t what = random32() % 16;
      if (what < 6) model_put(q);
      else if (what == 6) model_put_n(q);
      else if (what < 11) model_get(q);
      else if (what < 13) model_lend(q, &out, &in);
      else if (what < 15) model_end(q, &out, &in);
      else if (i % 50 == 0) model_death(), model_put(q);
      assert_int_equal(shoal_queue_size(q), model.n);
      assert_int_equal(info_of(q).discarded, model.dropped);
    }
    model_end(q, &out, &in);
    while (model.n) model_get(q);
    model_get(q);
    unmake(q);
  }
}

// What grows does so to the end of the segment; from there on it drops.
static void test_what_cannot_grow_drops(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_segment *seg;
    struct shoal_queue *q;
    struct shoal_queue_options o = growing(kind);
    struct shoal_segment_options small = {.size = 1 << 20, .size_max = 4 << 20, .objects = 64};
    o.overflow = SHOAL_OVERFLOW_DROP_OLDEST;
    assert_int_equal(shoal_segment_create(NULL, &small, &seg), 0);
    assert_int_equal(numbers_create(seg, "numbers", &o, &q), 0);
    uint64_t n = 0, extra = 1000;
    while (info_of(q).discarded < extra) put_number(q, n++);
    uint64_t kept = info_of(q).size;
    assert_true(kept >= 1 << 14);
    assert_int_equal(kept, n - extra);
    assert_int_equal(info_of(q).capacity, kept);
    for (uint64_t i = 0; i < kept; i++) {
      uint64_t v = kind == SHOAL_QUEUE_FIFO   ? extra + i
                   : kind == SHOAL_QUEUE_LIFO ? n - 1 - i
                   : i < kept - 1             ? i
                                              : n - 1;
      assert_int_equal(get_number(q), v);
    }
    struct shoal_loan loans[4];  // a queue that was placed has its first cells only
    assert_int_equal(shoal_queue_detach(q), 0);
    assert_int_equal(shoal_segment_close(seg), 0);
    q = make(&o);
    for (uint64_t i = 0; i < 9; i++) put_number(q, i);
    assert_int_equal(info_of(q).discarded, 5);
    for (int i = 0; i < 4; i++) loans[i] = receive(q);
    assert_int_equal(numbers_put(q, &n, SHOAL_FOREVER), -ENOSPC);  // it does not wait
    for (int i = 0; i < 4; i++) assert_int_equal(shoal_queue_release(q, &loans[i]), 0);
    unmake(q);
  }
}

// Copied outside the lock, and by a reservation.
static void test_large_ones_give_way(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue_options o = dropping(kind, 3);
    o.element_size = 2000;
    struct shoal_queue *q = make(&o);
    uint32_t v[500] = {0};
    for (uint32_t i = 0; i < 7; i++) {
      v[0] = v[499] = i;
      assert_int_equal(shoal_queue_put(q, v, SHOAL_TRY), 0);
    }
    static const uint32_t order[3][3] = {{4, 5, 6}, {6, 5, 4}, {0, 1, 6}};
    for (int i = 0; i < 3; i++) {
      assert_int_equal(shoal_queue_get(q, v, SHOAL_TRY), 0);
      assert_int_equal(v[0], order[kind - SHOAL_QUEUE_FIFO][i]);
      assert_int_equal(v[499], v[0]);
    }
    assert_int_equal(info_of(q).discarded, 4);
    shoal_queue_close(q);
    assert_int_equal(shoal_queue_put(q, v, SHOAL_TRY), -EPIPE);
    unmake(q);
  }
}

// Of a ring, and of cells, the policy is what the header says it is.
static void test_cells_of_another_policy_are_refused(void **state) {
  (void)state;
  struct shoal_queue_options o = dropping(SHOAL_QUEUE_LIFO, 4);
  struct shoal_queue *q = make(&o), *other;
  q->shm->overflow = SHOAL_OVERFLOW_WAIT;
  assert_int_equal(shoal_queue_attach_(q->shm, shared()->size, 8, &other), -EPROTO);
  q->shm->overflow = SHOAL_OVERFLOW_DROP_OLDEST;
  q->ordered.shm->evicts = 0;
  assert_int_equal(shoal_queue_attach_(q->shm, shared()->size, 8, &other), -EPROTO);
  unmake(q);
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
      cmocka_unit_test(test_the_one_that_gives_way),
      cmocka_unit_test(test_what_cannot_grow_drops),
      cmocka_unit_test(test_large_ones_give_way),
      cmocka_unit_test(test_cells_of_another_policy_are_refused),
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
      cmocka_unit_test(test_grows_to_the_end_of_the_segment_and_on),
      cmocka_unit_test(test_the_ring_that_grows_is_a_list),
      cmocka_unit_test(test_grows_while_its_users_are_killed),
      cmocka_unit_test(test_a_damaged_header_is_refused),
      cmocka_unit_test(test_scribbled_memory_is_survived),
      cmocka_unit_test(test_a_loan_does_not_end_from_within),
      cmocka_unit_test(test_nobody_waits_beyond_the_deadline_for_the_lock),
      cmocka_unit_test(test_a_lock_that_names_nobody_is_taken),
      cmocka_unit_test(test_a_look_waits_until_its_deadline),
      cmocka_unit_test(test_a_lock_that_names_the_living_is_no_trap),
      cmocka_unit_test(test_claims_end_beside_one_who_is_stopped_inside),
      cmocka_unit_test(test_a_look_after_such_an_end_sees_what_is_there),
      cmocka_unit_test(test_who_leaves_beside_one_who_is_stopped_inside),
      cmocka_unit_test(test_the_dead_beside_one_who_is_stopped_inside),
      cmocka_unit_test(test_leases_beside_one_who_is_stopped_inside),
      cmocka_unit_test(test_large_ones_beside_one_who_is_stopped_inside),
      cmocka_unit_test(test_leased_gets_beside_one_who_is_stopped_inside),
      cmocka_unit_test(test_task_done_beside_one_who_is_stopped_inside),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
