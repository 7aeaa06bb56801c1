// Claims of ipc/queue/queue, of MPMC and SPSC (ends and deaths: queue_end_test.c; names, types, damage:
// queue_open_test.c):
//   1 what is put is got: once, whole, each producer's in order; by threads and by processes at different addresses
//   2 try, deadline and for ever answer as promised; capacity is rounded up, absurd sizes are refused
//   3 in place: commit, cancel, release, return; a loan ends once, by the thread that took it, or nothing is changed;
//     what went through is known from the ring's positions, of every kind
//   4 roles: the table is reaped before it is full; a child has none of its parent's; more queues than the cache holds
//   5 operations nest, in signal handlers too
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/error.h"
#include "tests/ipc/queue/queue_fixture.h"

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
  struct shoal_queue *q = make_mpmc(capacity);
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
  one_handle = make_mpmc(16);
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
  struct shoal_queue *q = make_mpmc(32);
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
  struct shoal_queue *q = make_mpmc(4);
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
    struct shoal_queue *q = make_mpmc(asked[i]);
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
  struct shoal_queue *q = make_mpmc(4);
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
  struct shoal_queue *q = make_mpmc(8);
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
  struct shoal_queue *q = make_mpmc(4);
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
  struct shoal_queue *q = make_mpmc(4);
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
  struct shoal_queue *q = make_mpmc(8);
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
  struct shoal_queue *q = held_queue = make_mpmc(4);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, join_and_wait, shared()), 0);
  await(&shared()->ready, 1);
  assert_int_equal(shoal_queue_detach(q), -EBUSY);
  shoal_store32_seq_cst(&shared()->stage, 1);
  pthread_join(thread, NULL);
  unmake(q);
}

// ---- 5 ----

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
  struct shoal_queue *q = signal_queue = make_mpmc(8);
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
      cmocka_unit_test(test_answers_without_a_peer),
      cmocka_unit_test(test_capacities),
      cmocka_unit_test(test_absurd_options_are_refused),
      cmocka_unit_test(test_in_place_elements_are_aligned_and_apart),
      cmocka_unit_test(test_a_cancelled_reservation_is_skipped),
      cmocka_unit_test(test_a_returned_message_comes_first),
      cmocka_unit_test(test_leaving_gives_loans_back),
      cmocka_unit_test(test_what_went_through),
      cmocka_unit_test(test_a_closed_and_drained_queue_is_empty),
      cmocka_unit_test(test_a_loan_ends_once_and_by_its_thread),
      cmocka_unit_test(test_a_full_table_of_the_living_and_of_the_dead),
      cmocka_unit_test(test_a_child_has_roles_of_its_own),
      cmocka_unit_test(test_more_queues_than_the_cache_holds),
      cmocka_unit_test(test_more_holders_than_one_sleep_can_watch),
      cmocka_unit_test(test_detach_waits_for_no_thread_but_refuses),
      cmocka_unit_test(test_operations_in_a_signal_handler),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
