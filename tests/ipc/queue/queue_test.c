// Claims of ipc/queue/queue:
//   1 what is put is got: once, whole, each producer's in order; by threads and by processes at different addresses
//   2 try, deadline and for ever answer as promised; capacity is rounded up, absurd sizes and another type's calls are
//   refused 3 in place: commit, cancel, release, return; a loan ends once, by the thread that took it, or nothing is
//   changed 4 close: nothing whose put answered 0 is left behind, everybody is told, also those who wait for what
//   others hold 5 end of stream: by leaving and by death, to all that sleep, at once
//   6 deaths: a hole is skipped; a message in hand is redelivered to who sleeps, or dropped by policy; a swallowed wake
//   is
//     made good. All without the once-a-second look
//   7 roles: the table is reaped before it is full; a child has none of its parent's; more queues than the cache holds
//   8 operations nest, in signal handlers too
//   9 what went through is known from the ring's positions, of every kind
//  10 a damaged header is refused, and whatever a peer writes, nothing outside the memory is touched
#include "ipc/queue/queue.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/proc.h"
#include "tests/harness/drivers.h"

SHOAL_QUEUE_TYPED(number_queue, uint64_t)

#define LEDGER 200000

struct shared {  // the start of each arena; the queue follows
  uint64_t queue_size;
  uint32_t element_size;
  shoal_atomic32 ready, stage, done;
  shoal_atomic64 answers[16];  // by body
  shoal_atomic64 sum;
  uint8_t ledger[LEDGER];
};
#define QUEUE_AT ((sizeof(struct shared) + 63) & ~(size_t)63)

static struct arena arena;

static struct shoal_queue *attach(void *memory) {
  struct shared *s = memory;
  struct shoal_queue *q;
  CHECK(shoal_queue_attach_((char *)memory + QUEUE_AT, s->queue_size, s->element_size, &q) == 0);
  return q;
}

static struct shoal_queue *make(const struct shoal_queue_options *o) {
  uint64_t size = shoal_queue_size_(o);
  assert_true(size > 0);
  arena_make(&arena, QUEUE_AT + size);
  struct shared *s = arena.memory;
  s->queue_size = size;
  s->element_size = o->element_size;
  assert_int_equal(shoal_queue_place_((char *)arena.memory + QUEUE_AT, size, o), 0);
  return attach(arena.memory);
}
static struct shoal_queue *make_numbers(uint32_t capacity) {
  return make(&(struct shoal_queue_options){.capacity = capacity, .element_size = 8});
}
static void unmake(struct shoal_queue *q) {
  assert_int_equal(shoal_queue_detach(q), 0);
  arena_free(&arena);
}
static struct shared *shared(void) { return arena.memory; }

static void put_number(struct shoal_queue *q, uint64_t v) { CHECK(number_queue_put(q, &v, SHOAL_FOREVER) == 0); }
static uint64_t get_number(struct shoal_queue *q) {
  uint64_t v = 0;
  CHECK(number_queue_get(q, &v, SHOAL_FOREVER) == 0);
  return v;
}
static struct shoal_queue_info info_of(struct shoal_queue *q) {
  struct shoal_queue_info info;
  CHECK(shoal_queue_info(q, &info) == 0);
  return info;
}
static void await(shoal_atomic32 *word, uint32_t n) {
  while (shoal_load32_seq_cst(word) < n) sched_yield();
}
static void never_late(struct shoal_queue *q) { assert_int_equal(info_of(q).late, 0); }

// ---- 1 ----

#define PRODUCERS 3
#define CONSUMERS 3
#define EACH 30000

// Message: producer << 32 | number. Consumers see each producer's numbers rise.
static void produce_or_consume(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  if (i < PRODUCERS) {
    CHECK(shoal_queue_join(q, SHOAL_PRODUCER) == 0);
    shoal_add32_seq_cst(&s->ready, 1);
    await(&s->ready, PRODUCERS);  // so that no consumer sees all producers gone too early
    for (uint64_t n = 0; n < EACH; n++) put_number(q, (uint64_t)i << 32 | n);
  } else {
    uint64_t v, last[PRODUCERS] = {0};
    int rc;
    while ((rc = number_queue_get(q, &v, SHOAL_FOREVER)) == 0) {
      uint64_t producer = v >> 32, n = v & UINT32_MAX;
      CHECK(producer < PRODUCERS && n < EACH && n + 1 > last[producer]);
      last[producer] = n + 1;
      CHECK(__atomic_fetch_add(&s->ledger[producer * EACH + n], 1, __ATOMIC_RELAXED) == 0);
      shoal_add64_relaxed(&s->sum, 1);
    }
    CHECK(rc == -EPIPE);
  }
  CHECK(shoal_queue_detach(q) == 0);
}

// As if the kernel had no fence for all threads.
static void publish_by_exchange(void) {
  struct shoal_queue_shm *shm = (void *)((char *)arena.memory + QUEUE_AT);
  shm->wait.flags |= SHOAL_EC_EXCHANGE;
}

static void many_to_many(enum driver driver, uint32_t capacity) {
  struct shoal_queue *q = make_numbers(capacity);
  if (capacity == 16) publish_by_exchange();
  run(&arena, driver, PRODUCERS + CONSUMERS, produce_or_consume);
  assert_int_equal(shoal_load64_relaxed(&shared()->sum), PRODUCERS * EACH);
  for (unsigned i = 0; i < PRODUCERS * EACH; i++) assert_int_equal(shared()->ledger[i], 1);
  never_late(q);
  unmake(q);
}
static void test_many_to_many_once_each_in_order_threads(void **state) { (void)state, many_to_many(THREADS, 64); }
static void test_many_to_many_once_each_in_order_processes(void **state) { (void)state, many_to_many(PROCESSES, 64); }
static void test_smallest_ring_threads(void **state) { (void)state, many_to_many(THREADS, 2); }
static void test_smallest_ring_processes(void **state) { (void)state, many_to_many(PROCESSES, 2); }

static void test_published_by_exchange_threads(void **state) { (void)state, many_to_many(THREADS, 16); }
static void test_published_by_exchange_processes(void **state) { (void)state, many_to_many(PROCESSES, 16); }

static struct shoal_queue *one_handle;
static void use_one_handle(void *memory, unsigned i) {
  struct shared *s = memory;
  CHECK(shoal_queue_join(one_handle, i % 2 ? SHOAL_PRODUCER : SHOAL_CONSUMER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->ready, 4);  // or the first consumer is done, and gone, before the second has come
  for (uint64_t n = 0; n < EACH; n++)
    if (i % 2) put_number(one_handle, n);
    else shoal_add64_relaxed(&s->sum, get_number(one_handle));
  CHECK(shoal_queue_leave(one_handle, i % 2 ? SHOAL_PRODUCER : SHOAL_CONSUMER) == 0);
}
static void test_threads_share_a_handle(void **state) {
  (void)state;
  one_handle = make_numbers(16);
  shoal_queue_join(one_handle, SHOAL_PRODUCER);
  run(&arena, THREADS, 4, use_one_handle);
  assert_int_equal(shoal_load64_relaxed(&shared()->sum), 2ull * EACH * (EACH - 1) / 2);
  unmake(one_handle);
}

static void batches(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  uint64_t block[50];
  CHECK(shoal_queue_join(q, i ? SHOAL_PRODUCER : SHOAL_CONSUMER) == 0);
  if (i) {
    uint64_t next = 0;
    while (next < EACH) {
      uint32_t n = 1 + (uint32_t)(next * 7 % 50);
      for (uint32_t k = 0; k < n; k++) block[k] = next + k;
      for (uint32_t k = 0; k < n;) {
        int moved = shoal_queue_put_n(q, block + k, n - k, SHOAL_FOREVER);
        CHECK(moved > 0);
        k += (uint32_t)moved;
      }
      next += n;
    }
    shoal_store64_relaxed(&s->sum, next);
  } else {
    uint64_t next = 0;
    int n;
    while ((n = shoal_queue_get_n(q, block, 1 + next % 50, SHOAL_FOREVER)) > 0)
      for (int k = 0; k < n; k++) CHECK(block[k] == next++);
    CHECK(n == -EPIPE);
    await(&s->done, 0);
    shoal_store64_relaxed(&s->answers[0], next);
  }
  CHECK(shoal_queue_detach(q) == 0);
}
static void batches_keep_order(enum driver driver) {
  struct shoal_queue *q = make_numbers(32);
  run(&arena, driver, 2, batches);
  assert_int_equal(shoal_load64_relaxed(&shared()->answers[0]), shoal_load64_relaxed(&shared()->sum));
  assert_int_equal(shoal_queue_put_n(q, NULL, 0, SHOAL_TRY), -EINVAL);
  never_late(q);
  unmake(q);
}
static void test_batches_keep_order_threads(void **state) { (void)state, batches_keep_order(THREADS); }
static void test_batches_keep_order_processes(void **state) { (void)state, batches_keep_order(PROCESSES); }

static void stream_spsc(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  uint64_t v;
  CHECK(shoal_queue_join(q, i ? SHOAL_CONSUMER : SHOAL_PRODUCER) == 0);
  if (i == 0) {
    for (uint64_t n = 0; n < 10 * EACH; n++) put_number(q, n);
    CHECK(shoal_queue_leave(q, SHOAL_PRODUCER) == 0);
  } else {
    uint64_t n = 0;
    while (number_queue_get(q, &v, SHOAL_FOREVER) == 0) CHECK(v == n++);
    shoal_store64_relaxed(&s->sum, n);
  }
  CHECK(shoal_queue_detach(q) == 0);
}
static struct shoal_queue *make_spsc(uint32_t capacity) {
  return make(&(struct shoal_queue_options){.capacity = capacity, .element_size = 8, .kind = SHOAL_QUEUE_SPSC});
}
static void spsc_in_order(enum driver driver, uint32_t capacity) {
  struct shoal_queue *q = make_spsc(capacity);
  if (capacity == 16) publish_by_exchange();
  run(&arena, driver, 2, stream_spsc);
  assert_int_equal(shoal_load64_relaxed(&shared()->sum), 10 * EACH);
  never_late(q);
  unmake(q);
}
static void test_spsc_in_order_threads(void **state) {
  (void)state, spsc_in_order(THREADS, 1000), spsc_in_order(THREADS, 4);
}
static void test_spsc_in_order_processes(void **state) {
  (void)state, spsc_in_order(PROCESSES, 1000), spsc_in_order(PROCESSES, 4);
}
static void test_spsc_with_full_barriers(void **state) {
  (void)state, spsc_in_order(THREADS, 16), spsc_in_order(PROCESSES, 16);
}
static void test_spsc_batches_keep_order(void **state) {
  (void)state;
  for (enum driver driver = THREADS; driver < DRIVERS; driver++) {
    struct shoal_queue *q = make_spsc(32);
    run(&arena, driver, 2, batches);
    assert_int_equal(shoal_load64_relaxed(&shared()->answers[0]), shoal_load64_relaxed(&shared()->sum));
    never_late(q);
    unmake(q);
  }
}

// ---- 2 ----

static void test_answers_without_a_peer(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(4);
  uint64_t v = 7, w = 0;
  assert_int_equal(number_queue_get(q, &w, SHOAL_TRY), -EAGAIN);
  assert_int_equal(number_queue_get(q, &w, shoal_after_ms(2)), -ETIMEDOUT);
  assert_int_equal(number_queue_get(q, &w, shoal_after_ns(0)), -ETIMEDOUT);
  for (int i = 0; i < 4; i++) assert_int_equal(number_queue_put(q, &v, SHOAL_TRY), 0);
  assert_int_equal(number_queue_put(q, &v, SHOAL_TRY), -EAGAIN);
  assert_int_equal(number_queue_put(q, &v, shoal_after_ms(2)), -ETIMEDOUT);
  assert_int_equal(info_of(q).size, 4);
  for (int i = 0; i < 4; i++) assert_int_equal(number_queue_get(q, &w, SHOAL_FOREVER), 0);
  assert_int_equal(w, 7);
  assert_int_equal(info_of(q).producers, 1);
  assert_int_equal(info_of(q).consumers, 1);
  unmake(q);
}

static void test_capacities(void **state) {
  (void)state;
  static const uint32_t asked[] = {1, 2, 3, 1000, 1024}, given[] = {2, 2, 4, 1024, 1024};
  for (int i = 0; i < 5; i++) {
    struct shoal_queue *q = make_numbers(asked[i]);
    uint64_t v = 0;
    assert_int_equal(info_of(q).capacity, given[i]);
    for (uint32_t n = 0; n < given[i]; n++) assert_int_equal(number_queue_put(q, &v, SHOAL_TRY), 0);
    assert_int_equal(number_queue_put(q, &v, SHOAL_TRY), -EAGAIN);
    unmake(q);
  }
}

static void test_absurd_options_are_refused(void **state) {
  (void)state;
  static const char *const why[] = {
      "options.capacity is not given",
      "too large: 1073741825 elements of 8 bytes, 64 producers, 64 consumers",
      "too large: 4294967295 elements of 4294967295 bytes, 64 producers, 64 consumers",
      "options.element_size is not given",
      "too large: 8 elements of 1073741825 bytes, 64 producers, 64 consumers",
      "options.kind is 77: there is no such kind",
      "too large: 8 elements of 8 bytes, 1025 producers, 64 consumers",
      "too large: 8 elements of 8 bytes, 64 producers, 4294967295 consumers",
      "SHOAL_QUEUE_SPSC has one producer, one consumer, and drops nothing",
      "SHOAL_QUEUE_SPSC has one producer, one consumer, and drops nothing",
  };
  static const struct shoal_queue_options absurd[] = {
      {.capacity = 0, .element_size = 8},
      {.capacity = (1u << 30) + 1, .element_size = 8},
      {.capacity = UINT32_MAX, .element_size = UINT32_MAX},
      {.capacity = 8, .element_size = 0},
      {.capacity = 8, .element_size = (1u << 30) + 1},
      {.capacity = 8, .element_size = 8, .kind = 77},
      {.capacity = 8, .element_size = 8, .producers = SHOAL_ROLES_MAX + 1},
      {.capacity = 8, .element_size = 8, .consumers = UINT32_MAX},
      {.capacity = 8, .element_size = 8, .kind = SHOAL_QUEUE_SPSC, .producers = 2},
      {.capacity = 8, .element_size = 8, .kind = SHOAL_QUEUE_SPSC, .drop = 1},
  };
  char small[256] __attribute__((aligned(64))) = {0};
  for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++) {
    assert_int_equal(shoal_queue_size_(&absurd[i]), 0);
    assert_int_equal(shoal_queue_place_(small, sizeof small, &absurd[i]), -EINVAL);
    assert_string_equal(shoal_reason(), why[i]);
  }
  struct shoal_queue_options fair = {.capacity = 8, .element_size = 8};
  assert_int_equal(shoal_queue_place_(small, sizeof small, &fair), -EINVAL);
  fair.capacity = 1u << 30, fair.element_size = 1u << 30;  // 2^60 bytes: no overflow, somebody else will refuse
  assert_true(shoal_queue_size_(&fair) > UINT64_C(1) << 60);
}

// ---- 3 ----

static void test_in_place_elements_are_aligned_and_apart(void **state) {
  (void)state;
  static const uint32_t sizes[] = {1, 8, 9, 24, 25, 56, 57, 64, 100, 4096, 1u << 20};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    uint32_t size = sizes[i];
    struct shoal_queue *q = make(&(struct shoal_queue_options){.capacity = 4, .element_size = size});
    struct shoal_loan loans[4];
    for (int k = 0; k < 4; k++) {
      assert_int_equal(shoal_queue_reserve(q, &loans[k], SHOAL_TRY), 0);
      assert_int_equal((uintptr_t)loans[k].data % (size > 56 ? 64 : 8), 0);
      memset(loans[k].data, 'a' + k, size);
    }
    for (int k = 0; k < 4; k++) assert_int_equal(shoal_queue_commit(q, &loans[k]), 0);
    for (int k = 0; k < 4; k++) {
      assert_int_equal(shoal_queue_receive(q, &loans[k], SHOAL_TRY), 0);
      for (uint32_t b = 0; b<size; b += size> 4096 ? 977 : 1) assert_int_equal(((char *)loans[k].data)[b], 'a' + k);
      assert_int_equal(((char *)loans[k].data)[size - 1], 'a' + k);
    }
    for (int k = 0; k < 4; k++) assert_int_equal(shoal_queue_release(q, &loans[k]), 0);
    unmake(q);
  }
}

static void test_a_cancelled_reservation_is_skipped(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(4);
  struct shoal_loan a, b, c;
  assert_int_equal(shoal_queue_reserve(q, &a, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_reserve(q, &b, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_reserve(q, &c, SHOAL_TRY), 0);
  *(uint64_t *)c.data = 3;
  assert_int_equal(shoal_queue_commit(q, &c), 0);
  uint64_t v;
  assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EAGAIN);  // behind two reservations
  assert_int_equal(shoal_queue_cancel(q, &a), 0);
  assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_queue_cancel(q, &b), 0);
  assert_int_equal(get_number(q), 3);
  for (uint64_t i = 0; i < 4; i++) assert_int_equal(number_queue_put(q, &i, SHOAL_TRY), 0);
  for (uint64_t i = 0; i < 4; i++) assert_int_equal(get_number(q), i);
  unmake(q);
}

static void test_a_returned_message_comes_first(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(8);
  struct shoal_loan a, b;
  for (uint64_t i = 0; i < 5; i++) put_number(q, i);
  assert_int_equal(shoal_queue_receive(q, &a, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_receive(q, &b, SHOAL_TRY), 0);
  assert_int_equal(*(uint64_t *)b.data, 1);
  assert_int_equal(shoal_queue_return(q, &b), 0);
  assert_int_equal(get_number(q), 1);
  assert_int_equal(shoal_queue_return(q, &a), 0);
  assert_int_equal(shoal_queue_receive(q, &a, SHOAL_TRY), 0);
  assert_int_equal(*(uint64_t *)a.data, 0);
  assert_int_equal(a.redelivered, 0);
  assert_int_equal(shoal_queue_release(q, &a), 0);
  for (uint64_t i = 2; i < 5; i++) assert_int_equal(get_number(q), i);
  for (uint64_t i = 0; i < 8; i++) assert_int_equal(number_queue_put(q, &i, SHOAL_TRY), 0);
  unmake(q);
}

// Not a death: nothing is counted, and nothing dropped.
static void test_leaving_gives_loans_back(void **state) {
  (void)state;
  struct shoal_queue *q = make(&(struct shoal_queue_options){.capacity = 4, .element_size = 8, .drop = 1});
  struct shoal_loan loan, kept;
  put_number(q, 1), put_number(q, 2);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  kept = loan;
  assert_int_equal(shoal_queue_leave(q, SHOAL_CONSUMER), 0);
  assert_int_equal(info_of(q).size, 2);
  assert_int_equal(shoal_queue_release(q, &kept), -EPERM);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  assert_int_equal(*(uint64_t *)loan.data, 1);
  assert_int_equal(loan.redelivered, 0);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  assert_int_equal(shoal_queue_reserve(q, &loan, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_leave(q, SHOAL_PRODUCER), 0);
  put_number(q, 3);
  assert_int_equal(get_number(q), 2);
  assert_int_equal(get_number(q), 3);
  struct shoal_queue_info info = info_of(q);
  assert_int_equal(info.dropped + info.redelivered + info.holes, 0);
  unmake(q);
}

static void test_what_went_through(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_LIFO; kind++) {
    struct shoal_queue *q = make(&(struct shoal_queue_options){.capacity = 8, .element_size = 8, .kind = kind});
    uint64_t all = 0;
    for (unsigned round = 1; round <= 40; round++) {  // round and round the ring
      unsigned n = round % 7 + 1;
      for (unsigned i = 0; i < n; i++) put_number(q, i);
      all += n;
      assert_int_equal(info_of(q).put, all);
      assert_int_equal(info_of(q).gone, all - n);
      for (unsigned i = 0; i < n; i++) get_number(q);
      assert_int_equal(info_of(q).put, all);
      assert_int_equal(info_of(q).gone, all);
    }
    unmake(q);
  }
}

// What put gives up when it finds the queue closed lies behind the last message.
static void test_a_closed_and_drained_queue_is_empty(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(4);
  struct shoal_loan loan;
  uint64_t v = 2;
  put_number(q, 1);
  assert_int_equal(shoal_queue_close(q), 0);
  for (int i = 0; i < 2; i++) assert_int_equal(number_queue_put(q, &v, SHOAL_TRY), -EPIPE);
  assert_int_equal(info_of(q).size, 1);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  assert_int_equal(info_of(q).size, 0);
  assert_int_equal(shoal_queue_return(q, &loan), 0);
  assert_int_equal(info_of(q).size, 1);
  assert_int_equal(get_number(q), 1);
  assert_int_equal(info_of(q).size, 0);
  unmake(q);
}

static struct shoal_loan foreign;
static void *end_foreign_loan(void *arg) {
  struct shoal_queue *q = arg;
  CHECK(shoal_queue_release(q, &foreign) == -EPERM);
  CHECK(shoal_queue_return(q, &foreign) == -EPERM);
  CHECK(info_of(q).consumers == 1);
  return NULL;
}
static void test_a_loan_ends_once_and_by_its_thread(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(4);
  struct shoal_loan loan, copy;
  pthread_t thread;
  put_number(q, 1), put_number(q, 2);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  foreign = copy = loan;
  assert_int_equal(pthread_create(&thread, NULL, end_foreign_loan, q), 0);
  pthread_join(thread, NULL);
  assert_non_null(foreign.data);
  assert_int_equal(shoal_queue_commit(q, &copy), -EPERM);
  assert_int_equal(shoal_queue_cancel(q, &copy), -EPERM);
  copy.token += 4;
  assert_int_equal(shoal_queue_release(q, &copy), -EINVAL);
  copy.token = UINT64_MAX;
  assert_int_equal(shoal_queue_release(q, &copy), -EINVAL);
  copy = loan;
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  assert_int_equal(shoal_queue_release(q, &loan), -EINVAL);
  assert_int_equal(shoal_queue_release(q, &copy), -EINVAL);
  assert_int_equal(shoal_queue_return(q, &copy), -EINVAL);
  assert_int_equal(get_number(q), 2);
  assert_int_equal(info_of(q).size, 0);
  unmake(q);
}

static void test_spsc_lends_one_at_a_time(void **state) {
  (void)state;
  struct shoal_queue *q = make_spsc(8);
  struct shoal_loan a, b;
  uint64_t v = 5;
  assert_int_equal(shoal_queue_reserve(q, &a, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_reserve(q, &b, SHOAL_TRY), -EBUSY);
  assert_int_equal(number_queue_put(q, &v, SHOAL_TRY), -EBUSY);
  assert_int_equal(shoal_queue_cancel(q, &a), 0);
  assert_int_equal(shoal_queue_reserve(q, &a, SHOAL_TRY), 0);
  *(uint64_t *)a.data = 4;
  b = a;
  assert_int_equal(shoal_queue_release(q, &b), -EPERM);
  assert_int_equal(shoal_queue_commit(q, &a), 0);
  assert_int_equal(shoal_queue_commit(q, &b), -EINVAL);
  put_number(q, 5);
  assert_int_equal(shoal_queue_receive(q, &a, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_receive(q, &b, SHOAL_TRY), -EBUSY);
  assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EBUSY);
  assert_int_equal(shoal_queue_return(q, &a), 0);
  assert_int_equal(shoal_queue_receive(q, &a, SHOAL_TRY), 0);
  assert_int_equal(*(uint64_t *)a.data, 4);
  assert_int_equal(shoal_queue_release(q, &a), 0);
  assert_int_equal(get_number(q), 5);
  unmake(q);
}

// ---- 4 ----

static void put_until_closed(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  uint64_t v = i, n = 0;
  CHECK(shoal_queue_join(q, i < 2 ? SHOAL_PRODUCER : SHOAL_CONSUMER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  if (i < 2) {
    int rc;
    while ((rc = number_queue_put(q, &v, SHOAL_FOREVER)) == 0) n++;
    CHECK(rc == -EPIPE);
    shoal_store64_relaxed(&s->answers[i], n);
  } else if (i < 4) {
    int rc;
    while ((rc = number_queue_get(q, &v, SHOAL_FOREVER)) == 0) shoal_add64_relaxed(&s->sum, 1);
    CHECK(rc == -EPIPE);
    shoal_add32_seq_cst(&s->done, 1);
  } else {
    await(&s->ready, 5);
    while (shoal_load64_relaxed(&s->sum) < 500) sched_yield();
    CHECK(shoal_queue_close(q) == 0);
  }
  CHECK(shoal_queue_detach(q) == 0);
}
static void close_loses_nothing(enum driver driver) {
  for (int round = 0; round < 20; round++) {
    struct shoal_queue *q = make_numbers(round % 2 ? 4 : 64);
    run(&arena, driver, 5, put_until_closed);
    uint64_t put = shoal_load64_relaxed(&shared()->answers[0]) + shoal_load64_relaxed(&shared()->answers[1]);
    assert_int_equal(put, shoal_load64_relaxed(&shared()->sum));
    assert_int_equal(info_of(q).closed, 1);
    never_late(q);
    unmake(q);
  }
}
static void test_close_loses_nothing_threads(void **state) { (void)state, close_loses_nothing(THREADS); }
static void test_close_loses_nothing_processes(void **state) { (void)state, close_loses_nothing(PROCESSES); }

static void close_spsc(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  uint64_t v = 1, n = 0;
  if (i < 2) {
    CHECK(shoal_queue_join(q, i ? SHOAL_CONSUMER : SHOAL_PRODUCER) == 0);
    shoal_add32_seq_cst(&s->ready, 1);
    await(&s->ready, 2);
    int rc;
    while ((rc = i ? number_queue_get(q, &v, SHOAL_FOREVER) : number_queue_put(q, &v, SHOAL_FOREVER)) == 0)
      shoal_store64_relaxed(&s->answers[i], ++n);
    CHECK(rc == -EPIPE);
  } else {
    while (shoal_load64_relaxed(&s->answers[1]) < 2000) sched_yield();
    CHECK(shoal_queue_close(q) == 0);
  }
  CHECK(shoal_queue_detach(q) == 0);
}
static void test_spsc_close_loses_nothing(void **state) {
  (void)state;
  for (int round = 0; round < 20; round++) {
    struct shoal_queue *q = make_spsc(round % 3 ? 1000 : 4);
    run(&arena, round % 2 ? THREADS : PROCESSES, 3, close_spsc);
    assert_int_equal(shoal_load64_relaxed(&shared()->answers[0]), shoal_load64_relaxed(&shared()->answers[1]));
    never_late(q);
    unmake(q);
  }
}

static void get_until_told(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  uint64_t v;
  int rc;
  while ((rc = number_queue_get(q, &v, SHOAL_FOREVER)) == 0) shoal_add64_relaxed(&s->sum, v);
  CHECK(rc == -EPIPE);
  shoal_store64_relaxed(&s->answers[i], (uint64_t)-rc);
}
static void put_until_told(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  uint64_t v = 1;
  int rc;
  while ((rc = number_queue_put(q, &v, SHOAL_FOREVER)) == 0) shoal_add64_relaxed(&s->sum, 1);
  CHECK(rc == -EPIPE);
  shoal_store64_relaxed(&s->answers[i], (uint64_t)-rc);
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

static void test_close_tells_all_that_sleep(void **state) {
  (void)state;
  for (int side = 0; side < 2; side++) {
    struct shoal_queue *q = make_numbers(2);
    struct peer peers[4];
    shoal_queue_join(q, SHOAL_PRODUCER);
    shoal_queue_join(q, SHOAL_CONSUMER);
    sleepers_start(peers, 4, side == SHOAL_CONSUMER ? get_until_told : put_until_told);
    assert_int_equal(shoal_queue_close(q), 0);
    peers_join(peers, 4);
    uint64_t v = 1;
    assert_int_equal(number_queue_put(q, &v, SHOAL_FOREVER), -EPIPE);
    assert_int_equal(number_queue_put(q, &v, SHOAL_TRY), -EPIPE);
    never_late(q);
    unmake(q);
  }
}

static void test_the_end_waits_for_what_others_hold(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(4);
  struct shoal_loan loan;
  struct peer peers[2];
  put_number(q, 5);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  sleepers_start(peers, 2, get_until_told);
  assert_int_equal(shoal_queue_close(q), 0);
  uint64_t v;
  assert_int_equal(number_queue_get(q, &v, SHOAL_FOREVER), -EPIPE);  // who holds something is not made to wait
  for (int i = 0; i < 2; i++) {
    peer_asleep(&peers[i]);
    assert_int_equal(waitpid(peers[i].pid, NULL, WNOHANG), 0);
  }
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  peers_join(peers, 2);
  never_late(q);
  unmake(q);
}

static void receive_and_stay(void *memory, unsigned i) {
  (void)i;
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  struct shoal_loan loan;
  CHECK(shoal_queue_receive(q, &loan, SHOAL_FOREVER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  for (;;) pause();
}
static void test_after_the_end_a_dead_consumers_message_is_still_received(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(4);
  put_number(q, 5);
  struct peer holder = peer_start(&arena, receive_and_stay, 0), peers[2];
  await(&shared()->ready, 1);
  assert_int_equal(shoal_queue_close(q), 0);
  sleepers_start(peers, 2, get_until_told);
  peer_kill(&holder);
  peers_join(peers, 2);
  assert_int_equal(shoal_load64_relaxed(&shared()->sum), 5);
  never_late(q);
  unmake(q);
}

// ---- 5 ----

static void stay(void *memory, unsigned side) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  CHECK(shoal_queue_join(q, (int)side) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  for (;;) pause();
}

// The kernel wakes one sleeper of a dead word; it is the protocol that has the others told.
static void test_the_last_producers_death_ends_the_stream_for_all(void **state) {
  (void)state;
  for (int round = 0; round < 5; round++) {
    struct shoal_queue *q = make_numbers(4);
    struct peer producers[2], peers[5];
    for (int i = 0; i < 2; i++) producers[i] = peer_start(&arena, stay, SHOAL_PRODUCER);
    await(&shared()->ready, 2);
    sleepers_start(peers, 5, get_until_told);
    peer_kill(&producers[0]);
    for (int i = 0; i < 5; i++) peer_asleep(&peers[i]);
    peer_kill(&producers[1]);
    peers_join(peers, 5);
    never_late(q);
    unmake(q);
  }
}

static void test_the_last_producers_leaving_ends_the_stream_for_all(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(4);
  struct peer peers[4];
  shoal_queue_join(q, SHOAL_PRODUCER);
  sleepers_start(peers, 4, get_until_told);
  put_number(q, 40);
  assert_int_equal(shoal_queue_leave(q, SHOAL_PRODUCER), 0);
  peers_join(peers, 4);
  assert_int_equal(shoal_load64_relaxed(&shared()->sum), 40);
  uint64_t v;
  assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EPIPE);
  put_number(q, 1);  // a new producer: the stream goes on
  assert_int_equal(get_number(q), 1);
  never_late(q);
  unmake(q);
}

static void test_a_full_queue_whose_consumers_are_dead(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(4);
  struct peer consumer = peer_start(&arena, stay, SHOAL_CONSUMER), peers[3];
  await(&shared()->ready, 1);
  sleepers_start(peers, 3, put_until_told);
  assert_int_equal(shoal_load64_relaxed(&shared()->sum), 4);
  peer_kill(&consumer);
  peers_join(peers, 3);
  uint64_t v = 1;
  assert_int_equal(number_queue_put(q, &v, SHOAL_TRY), -EPIPE);
  for (int i = 0; i < 4; i++) assert_int_equal(get_number(q), 1);  // a new consumer finds what was put
  never_late(q);
  unmake(q);
}

// ---- 6 ----

static void reserve_and_stay(void *memory, unsigned i) {
  (void)i;
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  struct shoal_loan loan;
  CHECK(shoal_queue_reserve(q, &loan, SHOAL_FOREVER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  for (;;) pause();
}
static void test_a_dead_producers_hole_is_skipped_by_sleepers(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(8);
  struct peer holders[2], peers[2];
  shoal_queue_join(q, SHOAL_PRODUCER);
  for (uint32_t i = 0; i < 2; i++) {
    holders[i] = peer_start(&arena, reserve_and_stay, 0);
    await(&shared()->ready, i + 1);
  }
  put_number(q, 3), put_number(q, 4);
  sleepers_start(peers, 2, get_until_told);
  peer_kill(&holders[1]);
  for (int i = 0; i < 2; i++) peer_asleep(&peers[i]);
  assert_int_equal(shoal_load64_relaxed(&shared()->sum), 0);  // the first is still alive
  peer_kill(&holders[0]);
  while (shoal_load64_relaxed(&shared()->sum) < 7) sched_yield();
  assert_int_equal(shoal_queue_close(q), 0);
  peers_join(peers, 2);
  assert_int_equal(info_of(q).holes, 2);
  never_late(q);
  unmake(q);
}

static void test_a_dead_consumers_message_wakes_a_sleeper(void **state) {
  (void)state;
  for (int round = 0; round < 10; round++) {
    struct shoal_queue *q = make_numbers(8);
    struct peer holder, peers[3];
    shoal_queue_join(q, SHOAL_PRODUCER);
    if (round % 2) sleepers_start(peers, 3, get_until_told);  // before the holder is one, or after
    else put_number(q, 9);
    holder = peer_start(&arena, receive_and_stay, 0);
    if (round % 2) {
      // it sleeps with the others: puts go on until it has one
      for (uint64_t n = 1; !shoal_load32_seq_cst(&shared()->ready); n++) {
        put_number(q, 9);
        usleep(1000);
      }
    }
    await(&shared()->ready, 1);
    if (round % 2 == 0) sleepers_start(peers, 3, get_until_told);
    for (int i = 0; i < 3; i++) peer_asleep(&peers[i]);
    uint64_t before = shoal_load64_relaxed(&shared()->sum);
    peer_kill(&holder);
    while (shoal_load64_relaxed(&shared()->sum) != before + 9) sched_yield();
    assert_int_equal(shoal_queue_close(q), 0);
    peers_join(peers, 3);
    assert_int_equal(info_of(q).redelivered, 1);
    never_late(q);
    unmake(q);
  }
}

static void test_redelivery_is_counted(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(8);
  put_number(q, 9), put_number(q, 10);
  for (uint32_t i = 0; i < 3; i++) {
    struct peer holder = peer_start(&arena, receive_and_stay, 0);
    await(&shared()->ready, i + 1);
    peer_kill(&holder);
  }
  struct shoal_loan loan;
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY),
                   0);  // 10 is newer, and nobody has looked after the dead yet
  assert_int_equal(*(uint64_t *)loan.data, 10);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);  // nothing else: now somebody has
  assert_int_equal(*(uint64_t *)loan.data, 9);
  assert_true(loan.redelivered >= 1);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  unmake(q);
}

static void test_a_dead_consumers_message_is_dropped_by_policy(void **state) {
  (void)state;
  struct shoal_queue *q = make(&(struct shoal_queue_options){.capacity = 2, .element_size = 8, .drop = 1});
  put_number(q, 1);
  struct peer holder = peer_start(&arena, receive_and_stay, 0), peer;
  await(&shared()->ready, 1);
  put_number(q, 2);
  shoal_queue_join(q, SHOAL_CONSUMER);
  sleepers_start(&peer, 1, put_until_told);  // the queue is full: one place is the holder's
  peer_kill(&holder);
  while (shoal_load64_relaxed(&shared()->sum) < 1) sched_yield();
  assert_int_equal(get_number(q), 2);
  assert_int_equal(get_number(q), 1);
  assert_int_equal(shoal_queue_close(q), 0);
  peer_join(&peer);
  assert_int_equal(info_of(q).dropped, 1);
  assert_int_equal(info_of(q).redelivered, 0);
  never_late(q);
  unmake(q);
}

static void get_one(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  uint64_t v;
  CHECK(number_queue_get(q, &v, SHOAL_FOREVER) == 0);
  shoal_store64_relaxed(&s->answers[i], v);
}
// On one processor, and with us in front of all others: who is woken is killed before it has run. The message is not
// lost, and the other not asleep.
static void test_a_woken_consumer_killed_before_it_takes_the_message(void **state) {
  (void)state;
  cpu_set_t all, one;
  int cpu = 0;
  assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
  while (!CPU_ISSET(cpu, &all)) cpu++;  // the first that there is for us need not be 0
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
  int in_front = sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1}) == 0;
  for (int round = 0; round < 40; round++) {
    sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
    struct shoal_queue *q = make_numbers(4);
    struct peer peers[2];
    shoal_queue_join(q, SHOAL_PRODUCER);
    sleepers_start(peers, 2, get_one);
    if (in_front) sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
    put_number(q, 1);
    int woken = peer_is_asleep(&peers[0]);
    peer_kill(&peers[woken]);
    if (in_front) assert_int_equal(shoal_load64_relaxed(&shared()->answers[woken]), 0);
    if (info_of(q).size == 0) put_number(q, 2);  // it had the first, though it may not have said so
    peer_join(&peers[!woken]);
    never_late(q);
    unmake(q);
  }
  sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
  sched_setaffinity(0, sizeof all, &all);
}

static void random_life(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  if (i < 2) {  // producer: numbers its messages; a number is used once even if it dies
    for (;;) {
      uint64_t v = shoal_add64_relaxed(&s->answers[0], 1);
      if (v >= LEDGER) break;
      struct shoal_loan loan;
      if (v % 5) {
        CHECK(number_queue_put(q, &v, SHOAL_FOREVER) == 0);
      } else {
        CHECK(shoal_queue_reserve(q, &loan, SHOAL_FOREVER) == 0);
        *(uint64_t *)loan.data = v;
        CHECK(shoal_queue_commit(q, &loan) == 0);
      }
      __atomic_fetch_or(&s->ledger[v], 0x80, __ATOMIC_RELAXED);  // its put has answered 0
    }
  } else {  // consumer: two-phase, its work is idempotent
    struct shoal_loan loan;
    int rc;
    while ((rc = shoal_queue_receive(q, &loan, SHOAL_FOREVER)) == 0) {
      if (*(uint64_t *)loan.data % 64 == 0) usleep(200);
      __atomic_fetch_or(&s->ledger[*(uint64_t *)loan.data], 1, __ATOMIC_RELAXED);
      CHECK(shoal_queue_release(q, &loan) == 0);
    }
    CHECK(rc == -EPIPE);
  }
}
static void test_random_kills_among_processes(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(16);
  struct peer peers[6];
  shoal_queue_join(q, SHOAL_PRODUCER), shoal_queue_join(q, SHOAL_CONSUMER);
  for (unsigned i = 0; i < 6; i++) peers[i] = peer_start(&arena, random_life, i);
  uint32_t seed = 12345;
  int kills = 0;
  while (shoal_load64_relaxed(&shared()->answers[0]) < LEDGER && kills < 600) {
    seed = seed * 1664525 + 1013904223;
    usleep(seed >> 16 & 1023);
    unsigned i = (seed >> 8) % 6;
    peer_kill(&peers[i]);
    peers[i] = peer_start(&arena, random_life, i);
    kills++;
  }
  shoal_store64_relaxed(&shared()->answers[0], LEDGER);
  peers_join(peers, 2);
  assert_int_equal(shoal_queue_close(q), 0);
  shoal_queue_leave(q, SHOAL_CONSUMER);
  peers_join(peers + 2, 4);
  unsigned lost = 0, sent = 0;
  for (unsigned v = 0; v < LEDGER; v++) {
    if (shared()->ledger[v] & 0x80) sent++;
    if (shared()->ledger[v] == 0x80) lost++;
  }
  print_message("%d kills, %u messages, late %llu, redelivered %llu, holes %llu\n", kills, sent,
                (unsigned long long)info_of(q).late, (unsigned long long)info_of(q).redelivered,
                (unsigned long long)info_of(q).holes);
  assert_int_equal(lost, 0);
  assert_int_equal(info_of(q).size, 0);
  unmake(q);
}

static void test_spsc_roles_are_taken_over_from_the_dead(void **state) {
  (void)state;
  struct shoal_queue *q = make_spsc(8);
  uint64_t v = 3;
  put_number(q, 1), put_number(q, 2);
  struct peer holder = peer_start(&arena, receive_and_stay, 0);
  await(&shared()->ready, 1);
  assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EUSERS);
  peer_kill(&holder);
  struct shoal_loan loan;
  for (uint64_t n = 1; n <= 2; n++) {
    assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
    assert_int_equal(*(uint64_t *)loan.data, n);
    assert_int_equal(loan.redelivered, n == 1);
    assert_int_equal(shoal_queue_release(q, &loan), 0);
  }
  assert_int_equal(shoal_queue_leave(q, SHOAL_PRODUCER), 0);
  struct peer producer = peer_start(&arena, stay, SHOAL_PRODUCER);
  await(&shared()->ready, 2);
  struct peer killer = {fork()};
  if (killer.pid == 0) {
    usleep(20000);
    kill(producer.pid, SIGKILL);
    _exit(0);
  }
  assert_int_equal(number_queue_get(q, &v, SHOAL_FOREVER), -EPIPE);
  peer_join(&killer);
  peer_kill(&producer);
  put_number(q, 7);
  assert_int_equal(get_number(q), 7);
  never_late(q);
  unmake(q);
}

// A put that was overtaken wakes for those that overtook it, too.
static void test_what_was_put_behind_a_reservation_is_announced_with_it(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(8);
  struct peer peers[3];
  struct shoal_loan loan;
  shoal_queue_join(q, SHOAL_PRODUCER);
  sleepers_start(peers, 3, get_one);
  assert_int_equal(shoal_queue_reserve(q, &loan, SHOAL_TRY), 0);
  *(uint64_t *)loan.data = 1;
  put_number(q, 2), put_number(q, 3);
  for (int i = 0; i < 3; i++) peer_asleep(&peers[i]);
  assert_int_equal(shoal_queue_commit(q, &loan), 0);
  peers_join(peers, 3);
  never_late(q);
  unmake(q);
}

static void put_one(void *memory, unsigned i) {
  (void)i;
  put_number(attach(memory), 1);
}
// Places freed in another order than they were taken: the oldest one makes all of them useful at once.
static void test_places_behind_a_loan_are_announced_with_it(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(4);
  struct peer peers[3];
  struct shoal_loan loan;
  for (uint64_t i = 0; i < 4; i++) put_number(q, i);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  sleepers_start(peers, 3, put_one);
  assert_int_equal(get_number(q), 1);
  assert_int_equal(get_number(q), 2);
  for (int i = 0; i < 3; i++) peer_asleep(&peers[i]);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  peers_join(peers, 3);
  assert_int_equal(get_number(q), 3);
  never_late(q);
  unmake(q);
}

// Full, with a live producer's reservation in the oldest place: still no consumer will ever make room.
static void test_a_reservation_does_not_hide_that_all_consumers_are_dead(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(2);
  struct peer consumer = peer_start(&arena, stay, SHOAL_CONSUMER), peer;
  struct shoal_loan loan;
  await(&shared()->ready, 1);
  assert_int_equal(shoal_queue_reserve(q, &loan, SHOAL_TRY), 0);
  sleepers_start(&peer, 1, put_until_told);
  peer_kill(&consumer);
  peer_join(&peer);
  assert_int_equal(shoal_queue_commit(q, &loan), 0);
  never_late(q);
  unmake(q);
}

// ---- 7 ----

static void *join_once(void *arg) { return (void *)(intptr_t)shoal_queue_join(arg, SHOAL_CONSUMER); }
static intptr_t join_in_thread(struct shoal_queue *q) {
  pthread_t thread;
  void *rc;
  CHECK(pthread_create(&thread, NULL, join_once, q) == 0 && pthread_join(thread, &rc) == 0);
  return (intptr_t)rc;
}
static void test_a_full_table_of_the_living_and_of_the_dead(void **state) {
  (void)state;
  struct shoal_queue *q = make(&(struct shoal_queue_options){.capacity = 4, .element_size = 8, .consumers = 2});
  assert_int_equal(shoal_queue_join(q, SHOAL_CONSUMER), 0);
  for (int i = 0; i < 10; i++) assert_int_equal(join_in_thread(q), 0);  // each takes the place of the thread before it
  struct peer peer = peer_start(&arena, stay, SHOAL_CONSUMER);
  await(&shared()->ready, 1);
  assert_int_equal(join_in_thread(q), -EUSERS);
  assert_int_equal(info_of(q).consumers, 2);
  peer_kill(&peer);
  assert_int_equal(join_in_thread(q), 0);
  assert_int_equal(shoal_queue_join(q, 2), -EINVAL);
  unmake(q);
}

static void test_a_child_has_roles_of_its_own(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(8);
  struct shoal_loan loan;
  put_number(q, 1), put_number(q, 2);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    CHECK(shoal_queue_release(q, &loan) == -EPERM);
    CHECK(get_number(q) == 2);
    put_number(q, 3);
    CHECK(info_of(q).consumers == 2 && info_of(q).producers == 2);
    CHECK(shoal_queue_receive(q, &loan, SHOAL_TRY) == 0);
    _exit(0);
  }
  struct peer child = {pid};
  peer_join(&child);
  struct shoal_loan again;
  assert_int_equal(shoal_queue_receive(q, &again, SHOAL_FOREVER), 0);  // what the child had
  assert_int_equal(*(uint64_t *)again.data, 3);
  assert_int_equal(again.redelivered, 1);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  assert_int_equal(shoal_queue_release(q, &again), 0);
  assert_int_equal(info_of(q).consumers, 1);
  unmake(q);
}

static void test_more_queues_than_the_cache_holds(void **state) {
  (void)state;
  enum { N = 3 * SHOAL_ROLE_CACHE_ };
  struct shoal_queue_options o = {.capacity = 2, .element_size = 8};
  uint64_t size = shoal_queue_size_(&o);
  struct shoal_queue *q[N];
  char *memory[N];
  for (int i = 0; i < N; i++) {
    memory[i] = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(shoal_queue_place_(memory[i], size, &o), 0);
    assert_int_equal(shoal_queue_attach_(memory[i], size, 8, &q[i]), 0);
  }
  for (uint64_t round = 0; round < 3; round++) {
    for (int i = 0; i < N; i++) put_number(q[i], round + (uint64_t)i);
    for (int i = 0; i < N; i++) assert_int_equal(get_number(q[i]), round + (uint64_t)i);
  }
  for (int i = 0; i < N; i++) {
    assert_int_equal(info_of(q[i]).producers, 1);
    assert_int_equal(info_of(q[i]).joins, 2);
    assert_int_equal(shoal_queue_detach(q[i]), 0);
    munmap(memory[i], size);
  }
}

static struct shoal_queue *held_queue;
static void *hold_until_told(void *arg) {
  struct shared *s = arg;
  struct shoal_loan loan;
  CHECK(shoal_queue_receive(held_queue, &loan, SHOAL_FOREVER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  while (!shoal_load32_seq_cst(&s->stage)) usleep(1000);
  CHECK(shoal_queue_release(held_queue, &loan) == 0);
  return NULL;
}
static void test_more_holders_than_one_sleep_can_watch(void **state) {
  (void)state;
  enum { N = SHOAL_FUTEX_MANY + 40 };
  struct shoal_queue *q = make(&(struct shoal_queue_options){.capacity = 256, .element_size = 8, .consumers = 256});
  pthread_t threads[N];
  held_queue = q;
  for (int i = 0; i < N; i++) put_number(q, 1);
  for (int i = 0; i < N; i++) assert_int_equal(pthread_create(&threads[i], NULL, hold_until_told, shared()), 0);
  await(&shared()->ready, N);
  struct peer peer;
  sleepers_start(&peer, 1, get_until_told);
  uint64_t sleeps = info_of(q).sleeps;
  put_number(q, 33);
  while (shoal_load64_relaxed(&shared()->sum) != 33) sched_yield();
  peer_asleep(&peer);
  assert_true(info_of(q).sleeps > sleeps);
  shoal_store32_seq_cst(&shared()->stage, 1);
  for (int i = 0; i < N; i++) pthread_join(threads[i], NULL);
  assert_int_equal(shoal_queue_close(q), 0);
  peer_join(&peer);
  unmake(q);
}

static void *join_and_wait(void *arg) {
  CHECK(shoal_queue_join(held_queue, SHOAL_PRODUCER) == 0);
  struct shared *s = arg;
  shoal_store32_seq_cst(&s->ready, 1);
  await(&s->stage, 1);
  CHECK(shoal_queue_leave(held_queue, SHOAL_PRODUCER) == 0);
  return NULL;
}
static void test_detach_waits_for_no_thread_but_refuses(void **state) {
  (void)state;
  struct shoal_queue *q = held_queue = make_numbers(4);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, join_and_wait, shared()), 0);
  await(&shared()->ready, 1);
  assert_int_equal(shoal_queue_detach(q), -EBUSY);
  shoal_store32_seq_cst(&shared()->stage, 1);
  pthread_join(thread, NULL);
  unmake(q);
}

// ---- 8 ----

static struct shoal_queue *signal_queue;
static volatile sig_atomic_t signal_puts, signal_gets;
static void put_and_get_in_handler(int signal) {
  (void)signal;
  int old = errno;
  uint64_t v = 1;
  if (number_queue_put(signal_queue, &v, SHOAL_TRY) == 0) signal_puts++;
  if (number_queue_get(signal_queue, &v, SHOAL_TRY) == 0) signal_gets += (int)v;
  errno = old;
}
static void test_operations_in_a_signal_handler(void **state) {
  (void)state;
  struct shoal_queue *q = signal_queue = make_numbers(8);
  shoal_queue_join(q, SHOAL_PRODUCER), shoal_queue_join(q, SHOAL_CONSUMER);
  struct sigaction action = {.sa_handler = put_and_get_in_handler, .sa_flags = SA_RESTART}, old;
  sigaction(SIGVTALRM, &action, &old);
  struct itimerval often = {{0, 100}, {0, 100}}, off = {{0, 0}, {0, 0}};
  setitimer(ITIMER_VIRTUAL, &often, NULL);
  uint64_t in = 0, out = 0, v;
  for (int i = 0; i < 3000000 || signal_puts < 50; i++) {
    v = 1;
    if (number_queue_put(q, &v, SHOAL_TRY) == 0) in++;
    if (number_queue_get(q, &v, SHOAL_TRY) == 0) out += v;
  }
  setitimer(ITIMER_VIRTUAL, &off, NULL);
  sigaction(SIGVTALRM, &old, NULL);
  while (number_queue_get(q, &v, SHOAL_TRY) == 0) out += v;
  assert_int_equal(in + (uint64_t)signal_puts, out + (uint64_t)signal_gets);
  assert_null(shoal_self_()->head->pending);
  assert_int_equal(shoal_load32_relaxed(&q->wait.roles[q->wait.count[0]].busy), 0);
  unmake(q);
}

// ---- 9 ----

static void test_a_damaged_header_is_refused(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(16), *other = NULL;
  char *memory = (char *)arena.memory + QUEUE_AT;
  uint64_t size = shared()->queue_size;
  assert_int_equal(shoal_queue_attach_(memory, size, 12, &other), -EBADMSG);
  for (uint64_t cut = 0; cut < size; cut += 64) assert_int_equal(shoal_queue_attach_(memory, cut, 8, &other), -EPROTO);
  struct shoal_queue_shm *shm = (struct shoal_queue_shm *)(void *)memory;
  struct shoal_mpmc_shm *ring = (struct shoal_mpmc_shm *)(void *)(memory + shm->ring);
  uint32_t *fields[] = {&shm->magic.v_,      &shm->kind,          &shm->ring,      &shm->wait.roles[0],
                        &shm->wait.roles[1], &ring->element_size, &ring->capacity, &shm->element_size};
  static const uint32_t values[] = {0, 1, 3, 5, 63, 1u << 16, 1u << 30, 0x7fffffff, 0x80000000, UINT32_MAX};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
      uint32_t good = *fields[i];
      *fields[i] = values[k];
      int rc = shoal_queue_attach_(memory, size, 8, &other);
      if (rc == 0) assert_int_equal(shoal_queue_detach(other), 0);  // smaller than it could be, and sound
      else assert_true(rc == -EPROTO || rc == -EBADMSG);
      assert_true(rc != 0 || (fields[i] != &shm->magic.v_ && fields[i] != &ring->element_size));
      *fields[i] = good;
    }
  put_number(q, 4);
  assert_int_equal(get_number(q), 4);
  unmake(q);
}

// A peer scribbles over everything while this process works: it may be told nonsense, it never leaves its memory.
static void use_scribbled(void *memory, unsigned seed) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  struct shoal_loan loan;
  uint64_t v = 1, x = seed + 1;
  shoal_queue_join(q, SHOAL_PRODUCER), shoal_queue_join(q, SHOAL_CONSUMER);
  uint64_t *words = (uint64_t *)((char *)memory + QUEUE_AT);
  signal(SIGALRM, SIG_DFL);
  alarm(2);  // it may wait for ever for what a liar holds
  for (int i = 0; i < 400; i++) {
    for (int k = 0; k < 3; k++) {
      x ^= x << 13, x ^= x >> 7, x ^= x << 17;
      uint64_t at = x % (s->queue_size / 8);
      // the words of a robust list are addresses: they belong to the C library's trust in its own process
      uint64_t role_bytes = at * 8 - sizeof(struct shoal_queue_shm);
      if (at * 8 >= sizeof(struct shoal_queue_shm) && at * 8 < sizeof(struct shoal_queue_shm) + 128 * 64 &&
          role_bytes % 64 < 40)
        continue;
      words[at] = x >> (x % 64);
    }
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
  for (unsigned seed = 0; seed < 30; seed++) {
    struct shoal_queue *q = make_numbers(16);
    struct peer p = peer_start(&arena, use_scribbled, seed);
    int status;
    assert_int_equal(waitpid(p.pid, &status, 0), p.pid);
    assert_true(WIFEXITED(status) || WTERMSIG(status) == SIGALRM);
    free(q);
    arena_free(&arena);
  }
}

static void test_named_in_a_segment(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_queue *q, *again;
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  struct shoal_queue_options o = {.capacity = 16};
  assert_int_equal(number_queue_create(seg, "numbers", &(struct shoal_queue_options){.capacity = 0}, &q), -EINVAL);
  shoal_reason_clear();
  assert_int_equal(number_queue_create(seg, "numbers", NULL, &q), -EINVAL);
  assert_string_equal(shoal_reason(), "options.capacity is not given");
  assert_int_equal(number_queue_open_or_create(seg, "numbers", NULL, &q), -EINVAL);
  shoal_reason_clear();
  assert_int_equal(shoal_queue_create(seg, "numbers", NULL, &q), -EINVAL);
  assert_string_equal(shoal_reason(), "options.capacity is not given");
  assert_int_equal(shoal_queue_open_or_create(seg, "numbers", NULL, &q), -EINVAL);
  assert_int_equal(number_queue_open(seg, "numbers", &q), -ENOENT);
  assert_int_equal(number_queue_create(seg, "numbers", &o, &q), 0);
  assert_int_equal(number_queue_create(seg, "numbers", &o, &again), -EEXIST);
  assert_int_equal(shoal_queue_open(seg, "numbers", 4, &again), -EBADMSG);
  fflush(NULL);
  struct peer child = {fork()};
  if (child.pid == 0) {
    struct shoal_queue *mine;
    CHECK(number_queue_open_or_create(seg, "numbers", &o, &mine) == 0);
    for (uint64_t n = 0; n < 1000; n++) put_number(mine, n);
    CHECK(shoal_queue_detach(mine) == 0);
    _exit(0);
  }
  for (uint64_t n = 0; n < 1000; n++) assert_int_equal(get_number(q), n);
  peer_join(&child);
  uint64_t v;
  assert_int_equal(number_queue_get(q, &v, SHOAL_FOREVER), -EPIPE);
  assert_int_equal(number_queue_open(seg, "numbers", &again), 0);
  put_number(q, 77);
  assert_int_equal(get_number(again), 77);
  assert_int_equal(shoal_queue_unlink(seg, "numbers"), 0);
  assert_int_equal(shoal_queue_unlink(seg, "numbers"), -ENOENT);
  struct shoal_object other;
  assert_int_equal(shoal_object_create(seg, "numbers", "lock", 64, NULL, NULL, &other), 0);
  assert_int_equal(shoal_queue_unlink(seg, "numbers"), -EBADMSG);  // not a queue's name
  assert_int_equal(shoal_object_remove(seg, "numbers"), 0);
  assert_int_equal(shoal_object_close(seg, &other), 0);
  assert_int_equal(shoal_queue_detach(again), 0);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}

// Who comes while it is being made sleeps, and has it when it is made.
static void test_opened_while_it_is_made(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_queue *q;
  struct shoal_object object;
  struct shoal_queue_options o = {.capacity = 16, .element_size = 8};
  uint64_t size = shoal_queue_size_(&o);
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(number_queue_open_or_create(seg, "none", &(struct shoal_queue_options){.capacity = 0}, &q), -EINVAL);
  assert_int_equal(shoal_object_begin_(seg, "numbers", "queue:8", size, &object), 0);
  fflush(NULL);
  struct peer child = {fork()};
  if (child.pid == 0) {
    CHECK(number_queue_open_or_create(seg, "numbers", &o, &q) == 0);
    put_number(q, 7);
    CHECK(shoal_queue_detach(q) == 0);
    _exit(0);
  }
  peer_asleep(&child);
  assert_int_equal(shoal_object_end_(seg, &object, shoal_queue_place_(object.memory, size, &o)), 0);
  peer_join(&child);
  assert_int_equal(number_queue_open_or_create(seg, "numbers", &(struct shoal_queue_options){.capacity = 0}, &q), 0);
  assert_int_equal(get_number(q), 7);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_object_close(seg, &object), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}

// The child opens nothing by itself: its role holds the queue, when its parent has long done with it.
static void test_a_child_of_fork_holds_the_queue_it_uses(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_segment_info info;
  struct shoal_queue *q;
  shoal_atomic32 *stage = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(number_queue_create(seg, "numbers", &(struct shoal_queue_options){.capacity = 16}, &q), 0);
  fflush(NULL);
  struct peer child = {fork()};
  if (child.pid == 0) {
    put_number(q, 5);
    shoal_add32_seq_cst(stage, 1);
    await(stage, 2);
    CHECK(get_number(q) == 5);
    _exit(0);
  }
  await(stage, 1);
  assert_int_equal(shoal_queue_unlink(seg, "numbers"), 0);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_segment_info(seg, &info), 0);
  assert_true(info.used > 0);
  assert_int_equal(info.participants, 2);  // the child's thread is one
  shoal_add32_seq_cst(stage, 1);
  peer_join(&child);
  shoal_proc_reap(seg);
  assert_int_equal(shoal_segment_info(seg, &info), 0);
  assert_int_equal(info.used, 0);
  assert_int_equal(shoal_segment_close(seg), 0);
  munmap(stage, 4096);
}

struct pair {
  uint64_t a, b;
};
SHOAL_QUEUE_TYPED(pair_queue, struct pair)
SHOAL_QUEUE_TYPED(byte_queue, char)

// All queues have one type of handle: what is called with another's writes no byte, and takes no message.
static void another_types_calls_are_refused(uint32_t kind) {
  struct shoal_queue *q = make(&(struct shoal_queue_options){.capacity = 4, .element_size = 8, .kind = kind});
  struct pair pair = {1, 2}, two[2] = {{0}};
  char byte = 'x';
  assert_int_equal(pair_queue_put(q, &pair, SHOAL_TRY), -EBADMSG);
  assert_int_equal(pair_queue_put_n(q, two, 2, SHOAL_TRY), -EBADMSG);
  assert_int_equal(byte_queue_put(q, &byte, SHOAL_FOREVER), -EBADMSG);
  assert_string_equal(shoal_reason(), "elements of 8 bytes, not 1");
  put_number(q, 7);
  assert_int_equal(byte_queue_get(q, &byte, SHOAL_FOREVER), -EBADMSG);
  assert_int_equal(pair_queue_get(q, &pair, SHOAL_TRY), -EBADMSG);
  assert_int_equal(pair_queue_get_n(q, two, 2, SHOAL_TRY), -EBADMSG);
  assert_true(byte == 'x' && pair.a == 1 && pair.b == 2);
  assert_int_equal(get_number(q), 7);
  unmake(q);
}
static void test_another_types_calls_are_refused(void **state) {
  (void)state;
  another_types_calls_are_refused(SHOAL_QUEUE_MPMC);
  another_types_calls_are_refused(SHOAL_QUEUE_SPSC);
}

// Another type of the same size is refused by its name, whatever the kind; who tells no name, or opens one that was
// made without, is asked for none.
struct also_a_pair {
  int64_t a, b;
};
SHOAL_QUEUE_TYPED(also_pair_queue, struct also_a_pair)
static void test_another_type_of_the_same_size_is_refused(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_segment_info before, after;
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_LIFO; kind++) {
    struct shoal_queue *q, *other = NULL;
    struct shoal_queue_options o = {.capacity = 4, .kind = kind};
    assert_int_equal(pair_queue_create(seg, "pairs", &o, &q), 0);
    assert_int_equal(shoal_segment_info(seg, &before), 0);
    assert_int_equal(also_pair_queue_open(seg, "pairs", &other), -EBADMSG);
    assert_string_equal(shoal_reason(), "its elements are of type struct pair, not struct also_a_pair");
    assert_int_equal(also_pair_queue_open_or_create(seg, "pairs", &o, &other), -EBADMSG);
    assert_int_equal(also_pair_queue_create(seg, "pairs", &o, &other), -EEXIST);
    assert_int_equal(shoal_queue_open_as(seg, "pairs", "struct pai", 16, &other), -EBADMSG);
    assert_int_equal(number_queue_open(seg, "pairs", &other), -EBADMSG);  // nor one of another size
    assert_null(other);
    assert_int_equal(shoal_segment_info(seg, &after), 0);
    assert_int_equal(after.used, before.used);
    assert_int_equal(pair_queue_open(seg, "pairs", &other), 0);
    struct shoal_queue_info info;
    assert_int_equal(shoal_queue_info(other, &info), 0);
    assert_string_equal(info.type, "struct pair");
    assert_int_equal(shoal_queue_detach(other), 0);
    assert_int_equal(shoal_queue_open(seg, "pairs", 16, &other), 0);
    assert_int_equal(shoal_queue_detach(other), 0);
    assert_int_equal(shoal_queue_open_as(seg, "pairs", "", 16, &other), 0);
    assert_int_equal(shoal_queue_detach(other), 0);
    assert_int_equal(shoal_queue_detach(q), 0);
    assert_int_equal(shoal_queue_unlink(seg, "pairs"), 0);
    o.element_size = 16;
    assert_int_equal(shoal_queue_create(seg, "pairs", &o, &q), 0);
    assert_int_equal(also_pair_queue_open(seg, "pairs", &other), 0);
    assert_int_equal(shoal_queue_detach(other), 0);
    assert_int_equal(shoal_queue_detach(q), 0);
    assert_int_equal(shoal_queue_unlink(seg, "pairs"), 0);
  }
  assert_int_equal(shoal_segment_close(seg), 0);
}
// A name may be 63 bytes long; what stands in the segment need not end. Byte messages have no type.
static void test_names_of_types(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_queue *q, *other;
  char longest[SHOAL_QUEUE_TYPE_MAX + 2];
  memset(longest, 'T', sizeof longest);
  longest[SHOAL_QUEUE_TYPE_MAX + 1] = 0;
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  struct shoal_queue_options o = {.capacity = 4, .element_size = 8, .type = longest};
  assert_int_equal(shoal_queue_create(seg, "q", &o, &q), -EINVAL);
  assert_string_equal(shoal_reason(), "options.type: 63 bytes at most");
  longest[SHOAL_QUEUE_TYPE_MAX] = 0;
  assert_int_equal(shoal_queue_create(seg, "q", &o, &q), 0);
  assert_int_equal(shoal_queue_open_as(seg, "q", longest, 8, &other), 0);
  assert_int_equal(shoal_queue_detach(other), 0);
  q->shm->type[SHOAL_QUEUE_TYPE_MAX] = 'T';
  assert_int_equal(shoal_queue_open_as(seg, "q", "T", 8, &other), -EBADMSG);
  assert_int_equal(shoal_queue_open_as(seg, "q", longest, 8, &other), 0);
  assert_int_equal(shoal_queue_detach(other), 0);
  assert_int_equal(shoal_queue_detach(q), 0);
  struct shoal_queue_options bytes = {.capacity = 4, .bytes = 1, .type = "T"};
  assert_int_equal(shoal_queue_create(seg, "b", &bytes, &q), -EINVAL);
  assert_string_equal(shoal_reason(), "options.type: byte messages have none");
  assert_int_equal(shoal_segment_close(seg), 0);
}

int main(void) {
  watchdog(240);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_many_to_many_once_each_in_order_threads),
      cmocka_unit_test(test_many_to_many_once_each_in_order_processes),
      cmocka_unit_test(test_smallest_ring_threads),
      cmocka_unit_test(test_smallest_ring_processes),
      cmocka_unit_test(test_published_by_exchange_threads),
      cmocka_unit_test(test_published_by_exchange_processes),
      cmocka_unit_test(test_threads_share_a_handle),
      cmocka_unit_test(test_batches_keep_order_threads),
      cmocka_unit_test(test_batches_keep_order_processes),
      cmocka_unit_test(test_spsc_in_order_threads),
      cmocka_unit_test(test_spsc_in_order_processes),
      cmocka_unit_test(test_spsc_with_full_barriers),
      cmocka_unit_test(test_spsc_batches_keep_order),
      cmocka_unit_test(test_spsc_lends_one_at_a_time),
      cmocka_unit_test(test_spsc_close_loses_nothing),
      cmocka_unit_test(test_spsc_roles_are_taken_over_from_the_dead),
      cmocka_unit_test(test_what_was_put_behind_a_reservation_is_announced_with_it),
      cmocka_unit_test(test_answers_without_a_peer),
      cmocka_unit_test(test_capacities),
      cmocka_unit_test(test_absurd_options_are_refused),
      cmocka_unit_test(test_another_types_calls_are_refused),
      cmocka_unit_test(test_another_type_of_the_same_size_is_refused),
      cmocka_unit_test(test_names_of_types),
      cmocka_unit_test(test_in_place_elements_are_aligned_and_apart),
      cmocka_unit_test(test_a_cancelled_reservation_is_skipped),
      cmocka_unit_test(test_a_returned_message_comes_first),
      cmocka_unit_test(test_leaving_gives_loans_back),
      cmocka_unit_test(test_what_went_through),
      cmocka_unit_test(test_a_closed_and_drained_queue_is_empty),
      cmocka_unit_test(test_a_loan_ends_once_and_by_its_thread),
      cmocka_unit_test(test_close_loses_nothing_threads),
      cmocka_unit_test(test_close_loses_nothing_processes),
      cmocka_unit_test(test_close_tells_all_that_sleep),
      cmocka_unit_test(test_the_end_waits_for_what_others_hold),
      cmocka_unit_test(test_after_the_end_a_dead_consumers_message_is_still_received),
      cmocka_unit_test(test_the_last_producers_death_ends_the_stream_for_all),
      cmocka_unit_test(test_the_last_producers_leaving_ends_the_stream_for_all),
      cmocka_unit_test(test_a_full_queue_whose_consumers_are_dead),
      cmocka_unit_test(test_a_dead_producers_hole_is_skipped_by_sleepers),
      cmocka_unit_test(test_a_dead_consumers_message_wakes_a_sleeper),
      cmocka_unit_test(test_redelivery_is_counted),
      cmocka_unit_test(test_a_dead_consumers_message_is_dropped_by_policy),
      cmocka_unit_test(test_a_woken_consumer_killed_before_it_takes_the_message),
      cmocka_unit_test(test_random_kills_among_processes),
      cmocka_unit_test(test_places_behind_a_loan_are_announced_with_it),
      cmocka_unit_test(test_a_reservation_does_not_hide_that_all_consumers_are_dead),
      cmocka_unit_test(test_a_full_table_of_the_living_and_of_the_dead),
      cmocka_unit_test(test_a_child_has_roles_of_its_own),
      cmocka_unit_test(test_more_queues_than_the_cache_holds),
      cmocka_unit_test(test_more_holders_than_one_sleep_can_watch),
      cmocka_unit_test(test_detach_waits_for_no_thread_but_refuses),
      cmocka_unit_test(test_operations_in_a_signal_handler),
      cmocka_unit_test(test_a_damaged_header_is_refused),
      cmocka_unit_test(test_scribbled_memory_is_survived),
      cmocka_unit_test(test_named_in_a_segment),
      cmocka_unit_test(test_opened_while_it_is_made),
      cmocka_unit_test(test_a_child_of_fork_holds_the_queue_it_uses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
