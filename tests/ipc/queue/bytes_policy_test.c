// Claims of ipc/queue/message under the policies of queues: what is dropped, cleared or buried gives its block back;
// what is unfinished keeps it until task_done; of two under a lease one receives the message and the other is told; a
// look takes nothing.
#include <pthread.h>
#include <sched.h>

#include "tests/ipc/queue/bytes_fixture.h"

static struct shoal_queue_info info_of(struct shoal_queue *q) {
  struct shoal_queue_info info;
  CHECK(shoal_queue_info(q, &info) == 0);
  return info;
}
static struct shoal_queue *one_handle;
static void *in_thread(void *(*body)(void *), void *arg) {
  pthread_t thread;
  void *result;
  CHECK(pthread_create(&thread, NULL, body, arg) == 0);
  pthread_join(thread, &result);
  return result;
}

static void test_without_room(void **state) {
  (void)state;
  const uint32_t kinds[] = {SHOAL_QUEUE_MPMC, SHOAL_QUEUE_SPSC, SHOAL_QUEUE_LIFO};
  for (unsigned i = 0; i < 6; i++) {
    uint32_t newest = i % 2;
    struct shoal_queue *q = make_like((struct shoal_queue_options){
        .capacity = 2, .kind = kinds[i / 2], .overflow = newest ? SHOAL_OVERFLOW_DROP_NEWEST : SHOAL_OVERFLOW_REFUSE});
    struct shoal_loan loan;
    uint64_t n = 0, size;
    int rc;
    while ((rc = send_filled(q, 1000, n, SHOAL_FOREVER)) == 0) n++;
    assert_int_equal(rc, newest ? SHOAL_DROPPED : -EAGAIN);
    assert_int_equal(send_filled(q, 10, n, SHOAL_FOREVER), rc);
    assert_int_equal(shoal_queue_reserve_bytes(q, 1000, &loan, SHOAL_FOREVER), -EAGAIN);
    struct iovec two[2] = {{"a", 1}, {"b", 1}};
    assert_int_equal(shoal_queue_send_n(q, two, 2, SHOAL_FOREVER), newest ? 0 : -EAGAIN);
    assert_int_equal(info_of(q).discarded, newest ? 4 : 0);
    assert_int_equal(heap_info().blocks, blocks_before + n);
    assert_int_equal(shoal_queue_peek_bytes(q, NULL, 0, &size, SHOAL_TRY), -EMSGSIZE);
    assert_int_equal(size, 1000);
    assert_int_equal(shoal_queue_clear(q), n);
    unmake(q);
  }
}

static void test_the_oldest_is_dropped_with_its_block(void **state) {
  (void)state;
  struct shoal_queue *q =
      make_like((struct shoal_queue_options){.capacity = 4, .overflow = SHOAL_OVERFLOW_DROP_OLDEST});
  struct shoal_loan loan;
  for (uint64_t i = 0; i < 20; i++) {
    assert_int_equal(send_filled(q, i % 3 ? 5000 + i : i, i, SHOAL_FOREVER), 0);
    assert_true(heap_info().blocks <= blocks_before + 4);
  }
  assert_int_equal(shoal_queue_reserve_bytes(q, 300, &loan, SHOAL_FOREVER), 0);
  fill(loan.data, 300, 20);
  assert_int_equal(shoal_queue_commit(q, &loan), 0);
  assert_int_equal(info_of(q).discarded, 17);
  for (uint64_t i = 17; i < 20; i++) recv_filled(q, i % 3 ? 5000 + i : i, i);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  assert_true(loan.size == 300 && is_filled(loan.data, 300, 20));
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  for (uint64_t i = 0; i < 4; i++) assert_int_equal(send_filled(q, 700, i, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  assert_int_equal(send_filled(q, 700, 4, SHOAL_TRY), -EAGAIN);  // the oldest is in a hand
  assert_int_equal(heap_info().blocks, blocks_before + 4);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  for (uint64_t i = 1; i < 4; i++) recv_filled(q, 700, i);
  unmake(q);
}

static void test_one_gives_way_with_its_block(void **state) {
  (void)state;
  static const uint64_t order[3][4] = {{16, 17, 18, 19}, {19, 18, 17, 16}, {0, 1, 2, 19}};
  for (uint32_t kind = SHOAL_QUEUE_FIFO; kind <= SHOAL_QUEUE_PRIORITY; kind++) {
    struct shoal_queue *q =
        make_like((struct shoal_queue_options){.capacity = 4, .kind = kind, .overflow = SHOAL_OVERFLOW_DROP_OLDEST});
    struct shoal_loan loans[4];
    for (uint64_t i = 0; i < 20; i++) {
      assert_int_equal(send_filled(q, i % 3 ? 5000 + i : i, i, SHOAL_FOREVER), 0);
      assert_true(heap_info().blocks <= blocks_before + 4);
    }
    assert_int_equal(info_of(q).discarded, 16);
    for (int k = 0; k < 4; k++) {
      uint64_t i = order[kind - SHOAL_QUEUE_FIFO][k];
      recv_filled(q, i % 3 ? 5000 + i : i, i);
    }
    assert_int_equal(heap_info().blocks, blocks_before);
    for (uint64_t i = 0; i < 4; i++) assert_int_equal(send_filled(q, 700, i, SHOAL_FOREVER), 0);
    for (int i = 0; i < 4; i++) assert_int_equal(shoal_queue_receive(q, &loans[i], SHOAL_TRY), 0);
    assert_int_equal(send_filled(q, 700, 4, SHOAL_TRY), -EAGAIN);  // all are in hands
    assert_int_equal(heap_info().blocks, blocks_before + 4);
    assert_int_equal(shoal_queue_return(q, &loans[0]), 0);
    assert_int_equal(shoal_queue_reserve_bytes(q, 3000, &loans[0], SHOAL_TRY), 0);
    assert_int_equal(heap_info().blocks, blocks_before + 4);
    assert_int_equal(shoal_queue_cancel(q, &loans[0]), 0);
    for (int i = 1; i < 4; i++) assert_int_equal(shoal_queue_release(q, &loans[i]), 0);
    assert_int_equal(info_of(q).discarded, 17);
    unmake(q);
  }
}

static void test_clear_frees_the_blocks(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_PRIORITY; kind++) {
    struct shoal_queue *q = make(kind, 4);
    for (uint64_t i = 0; i < 3; i++) assert_int_equal(send_filled(q, i * 3000, i, SHOAL_TRY), 0);
    assert_int_equal(shoal_queue_clear(q), 3);
    assert_int_equal(info_of(q).discarded, 3);
    assert_int_equal(heap_info().blocks, blocks_before);
    assert_int_equal(shoal_queue_close(q), 0);
    assert_int_equal(send_filled(q, 3000, 0, SHOAL_TRY), -EPIPE);
    assert_int_equal(shoal_queue_reopen(q), 0);
    assert_int_equal(send_filled(q, 3000, 7, SHOAL_TRY), 0);
    recv_filled(q, 3000, 7);
    unmake(q);
  }
}

static void test_a_look_takes_nothing(void **state) {
  (void)state;
  static unsigned char buffer[64 * KIB];
  const uint64_t of[] = {0, 40, 60000};
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_PRIORITY; kind++) {
    struct shoal_queue *q = make(kind, 4);
    for (uint64_t i = 0; i < 3; i++) {
      uint64_t size = 77;
      assert_int_equal(shoal_queue_peek_bytes(q, buffer, 9, &size, SHOAL_TRY), -EAGAIN);
      assert_int_equal(size, 77);
      assert_int_equal(send_filled(q, of[i], i, SHOAL_TRY), 0);
      for (int again = 0; again < 2; again++) {
        assert_int_equal(shoal_queue_peek_bytes(q, buffer, sizeof buffer, &size, SHOAL_FOREVER), 0);
        assert_true(size == of[i] && is_filled(buffer, size, i));
        if (!i) continue;
        assert_int_equal(shoal_queue_peek_bytes(q, buffer, of[i] - 1, &size, SHOAL_FOREVER), -EMSGSIZE);
        assert_int_equal(size, of[i]);
      }
      recv_filled(q, of[i], i);
    }
    unmake(q);
  }
}

static void *recv_and_die(void *arg) {
  uint64_t size;
  unsigned char byte[100];
  (void)arg;
  CHECK(shoal_queue_recv(one_handle, byte, sizeof byte, &size, SHOAL_TRY) == 0 && size == 100);
  return NULL;
}
static void test_unfinished_until_it_is_done(void **state) {
  (void)state;
  for (uint64_t lease = 0; lease < 2; lease++) {
    struct shoal_queue *q = one_handle =
        make_like((struct shoal_queue_options){.capacity = 4, .joinable = 1, .lease_ns = lease * 3600000000000});
    unsigned char buffer[100];
    struct iovec two[2] = {{buffer, 100}, {buffer, 100}};
    uint64_t size = 0;
    for (uint64_t i = 0; i < 3; i++) assert_int_equal(send_filled(q, i == 1 ? 10 : 100, i, SHOAL_TRY), 0);
    assert_int_equal(shoal_queue_recv(q, buffer, 99, &size, SHOAL_TRY), -EMSGSIZE);
    assert_int_equal(size, 100);
    assert_int_equal(shoal_queue_task_done(q), -EINVAL);
    recv_filled(q, 100, 0);
    recv_filled(q, 10, 1);
    assert_int_equal(heap_info().blocks, blocks_before + 2);
    assert_int_equal(info_of(q).held, 2);
    assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), -EDEADLK);
    assert_int_equal(shoal_queue_task_done(q), 0);
    assert_int_equal(heap_info().blocks, blocks_before + 1);
    assert_int_equal(shoal_queue_task_done(q), 0);
    assert_int_equal(shoal_queue_task_done(q), -EINVAL);
    in_thread(recv_and_die, NULL);  // it comes again
    assert_int_equal(shoal_queue_recv_n(q, two, 2, SHOAL_FOREVER), 1);
    assert_true(two[0].iov_len == 100 && is_filled(buffer, 100, 2));
    assert_int_equal(shoal_queue_task_done(q), 0);
    assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), 0);
    unmake(q);
  }
}

#define LEASE_NS UINT64_C(1000000)
static void out_of_time(void) {
  shoal_deadline end = shoal_after_ns(3 * (int64_t)LEASE_NS);
  while (!shoal_deadline_passed(end)) sched_yield();
}
static void *take_over(void *arg) {
  CHECK(shoal_queue_receive(one_handle, arg, SHOAL_FOREVER) == 0);
  return NULL;
}
static void *take_over_and_release(void *arg) {
  take_over(arg);
  CHECK(shoal_queue_release(one_handle, arg) == 0);
  return NULL;
}
static void test_one_of_two_receives_it(void **state) {
  (void)state;
  for (uint64_t size = 20; size <= 20000; size *= 1000) {
    struct shoal_queue *q = one_handle = make_like((struct shoal_queue_options){.capacity = 4, .lease_ns = LEASE_NS});
    struct shoal_loan mine, others;
    assert_int_equal(send_filled(q, size, 1, SHOAL_TRY), 0);
    assert_int_equal(shoal_queue_receive(q, &mine, SHOAL_TRY), 0);
    out_of_time();
    in_thread(take_over_and_release, &others);
    assert_int_equal(heap_info().blocks, blocks_before);
    assert_int_equal(send_filled(q, size, 2, SHOAL_TRY), 0);  // perhaps the same block, in its next life
    assert_int_equal(shoal_queue_extend(q, &mine), -ETIMEDOUT);
    struct shoal_loan copy = mine;
    assert_int_equal(shoal_queue_release(q, &mine), -ETIMEDOUT);
    assert_int_equal(shoal_queue_return(q, &copy), -ETIMEDOUT);
    recv_filled(q, size, 2);

    assert_int_equal(send_filled(q, size, 3, SHOAL_TRY), 0);  // run out, but nobody came for it
    assert_int_equal(shoal_queue_receive(q, &mine, SHOAL_TRY), 0);
    out_of_time();
    assert_int_equal(shoal_queue_release(q, &mine), 0);
    assert_int_equal(heap_info().blocks, blocks_before);

    assert_int_equal(send_filled(q, size, 4, SHOAL_TRY), 0);  // taken over by one that ends
    assert_int_equal(shoal_queue_receive(q, &mine, SHOAL_TRY), 0);
    out_of_time();
    in_thread(take_over, &others);
    assert_int_equal(shoal_queue_release(q, &mine), -ETIMEDOUT);
    recv_filled(q, size, 4);
    uint64_t got;
    assert_int_equal(shoal_queue_recv(q, NULL, 0, &got, SHOAL_TRY), -EAGAIN);
    unmake(q);
  }
}

// All messages, each released by exactly one, whatever runs out meanwhile.
static void hurry(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = one_handle;
  uint32_t x = i * 7919 + 1;
  for (;;) {
    struct shoal_loan loan;
    int rc = shoal_queue_receive(q, &loan, SHOAL_FOREVER);
    if (rc == -EPIPE) break;
    CHECK(rc == 0 && loan.size >= 8);
    uint64_t id;
    memcpy(&id, loan.data, 8);  // what is late may read the next one's
    x = x * 1664525 + 1013904223;
    if (x >> 28 == 0) out_of_time();
    if (shoal_queue_release(q, &loan) == 0) shoal_add64_relaxed(&s->received, 1);
  }
  CHECK(shoal_queue_leave(q, SHOAL_CONSUMER) == 0);
}
static void hurry_or_send(void *memory, unsigned i) {
  if (i) return hurry(memory, i);
  for (uint64_t id = 0; id < 600; id++) CHECK(send_filled(one_handle, 8 + id % 2 * 100, id, SHOAL_FOREVER) == 0);
  CHECK(shoal_queue_close(one_handle) == 0);
  CHECK(shoal_queue_leave(one_handle, SHOAL_PRODUCER) == 0);
}
static void test_released_once(void **state) {
  (void)state;
  one_handle = make_like((struct shoal_queue_options){.capacity = 8, .lease_ns = LEASE_NS});
  run(&arena, PROCESSES, 4, hurry_or_send);
  assert_int_equal(shoal_load64_relaxed(&shared()->received), 600);
  unmake(one_handle);
}

static void test_dead_letters_are_copies(void **state) {
  (void)state;
  for (uint64_t size = 20; size <= 20000; size *= 1000) {
    struct shoal_queue *dead, *q;
    struct shoal_loan loan;
    make_segment(0);
    assert_int_equal(shoal_queue_create(seg, "dead", &(struct shoal_queue_options){.capacity = 2, .bytes = 1}, &dead),
                     0);
    q = make_with((struct shoal_queue_options){.capacity = 4, .delivery_max = 2, .dead_letters = "dead"});
    for (uint64_t i = 0; i < 3; i++) {
      assert_int_equal(send_filled(q, size + i, i, SHOAL_TRY), 0);
      for (int vain = 0; vain < 2; vain++) {
        assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
        assert_int_equal(loan.redelivered, vain);
        assert_int_equal(shoal_queue_return(q, &loan), 0);
        uint64_t is;
        if (!vain) assert_int_equal(shoal_queue_recv(q, NULL, 0, &is, SHOAL_TRY), -EMSGSIZE);  // no delivery
      }
      uint64_t is;
      if (i < 2) assert_int_equal(shoal_queue_recv(q, NULL, 0, &is, SHOAL_TRY), -EAGAIN);
    }
    assert_int_equal(info_of(q).buried, 2);
    recv_filled(q, size + 2, 2);  // there was no room for it
    for (uint64_t i = 0; i < 2; i++) recv_filled(dead, size + i, i);
    assert_int_equal(shoal_queue_detach(dead), 0);
    assert_int_equal(shoal_queue_unlink(seg, "dead"), 0);
    unmake(q);
  }
}

// Buried in another order than that of their keys; of a kind without keys: 0.
static void test_dead_letters_keep_their_keys(void **state) {
  (void)state;
  const int64_t keys[] = {5, -3, 0};
  for (unsigned keyed = 0; keyed < 2; keyed++) {
    struct shoal_queue *dead, *q;
    struct shoal_loan loan;
    const struct shoal_queue_options letters = {.capacity = 4, .bytes = 1, .kind = SHOAL_QUEUE_PRIORITY};
    make_segment(0);
    assert_int_equal(shoal_queue_create(seg, "dead", &letters, &dead), 0);
    q = make_with((struct shoal_queue_options){.capacity = 4,
                                               .kind = keyed ? SHOAL_QUEUE_PRIORITY : SHOAL_QUEUE_FIFO,
                                               .delivery_max = 1,
                                               .dead_letters = "dead"});
    for (uint64_t i = 0; i < 3; i++) {
      char buffer[300];
      void *data = filled(20 + 100 * i, i);
      uint64_t is;
      if (keyed) assert_int_equal(shoal_queue_send_key(q, keys[i], data, 20 + 100 * i, SHOAL_TRY), 0);
      else assert_int_equal(shoal_queue_send(q, data, 20 + 100 * i, SHOAL_TRY), 0);
      free(data);
      assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
      assert_int_equal(shoal_queue_return(q, &loan), 0);
      assert_int_equal(shoal_queue_recv(q, buffer, sizeof buffer, &is, SHOAL_TRY), -EAGAIN);
    }
    const unsigned order[2][3] = {{0, 1, 2}, {1, 2, 0}};
    for (unsigned k = 0; k < 3; k++) {
      unsigned i = order[keyed][k];
      assert_int_equal(shoal_queue_receive(dead, &loan, SHOAL_TRY), 0);
      assert_int_equal(loan.key, keyed ? keys[i] : 0);
      assert_int_equal(loan.size, 20 + 100 * i);
      assert_int_equal(shoal_queue_release(dead, &loan), 0);
    }
    assert_int_equal(shoal_queue_detach(dead), 0);
    assert_int_equal(shoal_queue_unlink(seg, "dead"), 0);
    unmake(q);
  }
}

static void test_loans_of_another_queue(void **state) {
  (void)state;
  struct shoal_queue *q = make(SHOAL_QUEUE_MPMC, 4), *other;
  struct shoal_loan a, b, copy;
  assert_int_equal(shoal_queue_create(seg, "other", &(struct shoal_queue_options){.capacity = 4, .bytes = 1}, &other),
                   0);
  assert_int_equal(shoal_queue_reserve_bytes(q, 100, &a, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_reserve_bytes(other, 100, &b, SHOAL_TRY), 0);
  copy = a;
  assert_int_equal(shoal_queue_commit(other, &copy), -EPERM);
  assert_int_equal(shoal_queue_cancel(other, &copy), -EPERM);
  assert_int_equal(shoal_queue_cancel(q, &a), 0);
  assert_int_equal(shoal_queue_cancel(q, &copy), -EINVAL);
  assert_int_equal(shoal_queue_commit(other, &b), 0);
  assert_int_equal(shoal_queue_receive(other, &b, SHOAL_TRY), 0);
  copy = b;
  assert_int_equal(shoal_queue_release(q, &copy), -EPERM);
  assert_int_equal(shoal_queue_release(other, &b), 0);
  assert_int_equal(shoal_queue_release(other, &copy), -EINVAL);
  assert_int_equal(shoal_queue_detach(other), 0);
  assert_int_equal(shoal_queue_unlink(seg, "other"), 0);
  unmake(q);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_without_room),
      cmocka_unit_test(test_the_oldest_is_dropped_with_its_block),
      cmocka_unit_test(test_one_gives_way_with_its_block),
      cmocka_unit_test(test_clear_frees_the_blocks),
      cmocka_unit_test(test_a_look_takes_nothing),
      cmocka_unit_test(test_unfinished_until_it_is_done),
      cmocka_unit_test(test_one_of_two_receives_it),
      cmocka_unit_test(test_released_once),
      cmocka_unit_test(test_dead_letters_are_copies),
      cmocka_unit_test(test_dead_letters_keep_their_keys),
      cmocka_unit_test(test_loans_of_another_queue),
  };
  watchdog(280);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
