// Claims of ipc/queue/message, of deaths and damage:
//   1 deaths, leaving, dropping: no block stays behind, and no message is lost or comes twice
//   2 whatever a peer writes into a slot, nothing outside the segment is touched; what is damaged goes with its block
#include <unistd.h>

#include "tests/ipc/queue/bytes_fixture.h"

// ---- 1 ----

enum { RESERVE_SHORT, RESERVE_LONG, RECEIVE };
static void take_a_loan_and_wait(void *memory, unsigned what) {
  struct shared *s = memory;
  struct shoal_segment *mine;
  struct shoal_queue *q = open_again(&mine);
  struct shoal_loan loan;
  int rc = what == RECEIVE ? shoal_queue_receive(q, &loan, SHOAL_TRY)
                           : shoal_queue_reserve_bytes(q, what == RESERVE_LONG ? 50000 : 5, &loan, SHOAL_TRY);
  CHECK(rc == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  for (;;) pause();
}
static void killed_with_a_loan(unsigned what) {
  struct peer p = peer_start(&arena, take_a_loan_and_wait, what);
  await(&shared()->ready, 1);
  peer_kill(&p);
  shoal_store32_seq_cst(&shared()->ready, 0);
}
static void deaths(uint32_t kind) {
  struct shoal_queue *q = make(kind, 4);
  uint64_t size;
  for (unsigned what = RESERVE_SHORT; what <= RESERVE_LONG; what++) {
    killed_with_a_loan(what);
    for (uint64_t i = 0; i < 3; i++) assert_int_equal(send_filled(q, 100 + i, i, SHOAL_TRY), 0);
    for (uint64_t i = 0; i < 3; i++) recv_filled(q, 100 + i, i);
    shoal_queue_leave(q, SHOAL_PRODUCER);
    shoal_queue_leave(q, SHOAL_CONSUMER);
  }
  for (unsigned i = 0; i < 2; i++) {
    assert_int_equal(send_filled(q, i ? 3 : 7777, i, SHOAL_TRY), 0);
    killed_with_a_loan(RECEIVE);
    struct shoal_loan loan;
    assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_FOREVER), 0);
    assert_int_equal(loan.redelivered, 1);
    assert_true(loan.size == (i ? 3 : 7777) && is_filled(loan.data, loan.size, i));
    assert_int_equal(shoal_queue_release(q, &loan), 0);
    shoal_queue_leave(q, SHOAL_CONSUMER);
  }
  assert_int_equal(shoal_queue_recv(q, NULL, 0, &size, SHOAL_TRY), -EAGAIN);
  assert_true(shoal_heap_reap(heap) >= 0);
  unmake(q);
}
static void test_deaths(void **state) {
  (void)state;
  deaths(SHOAL_QUEUE_MPMC);
  deaths(SHOAL_QUEUE_SPSC);
  deaths(SHOAL_QUEUE_FIFO);
}

static void test_dropped_with_its_block(void **state) {
  (void)state;
  make_segment(0);
  struct shoal_queue *q = make_with((struct shoal_queue_options){.capacity = 4, .drop = 1});
  uint64_t size;
  assert_int_equal(send_filled(q, 7777, 1, SHOAL_TRY), 0);
  killed_with_a_loan(RECEIVE);
  assert_int_equal(shoal_queue_recv(q, NULL, 0, &size, SHOAL_TRY), -EAGAIN);
  struct shoal_queue_info info;
  assert_int_equal(shoal_queue_info(q, &info), 0);
  assert_int_equal(info.dropped, 1);
  unmake(q);
}

static void leaving(uint32_t kind) {
  struct shoal_queue *q = make(kind, 4);
  struct shoal_loan loan;
  assert_int_equal(shoal_queue_reserve_bytes(q, 9999, &loan, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_leave(q, SHOAL_PRODUCER), 0);
  assert_int_equal(heap_info().blocks, blocks_before);
  assert_true(shoal_queue_commit(q, &loan) < 0);
  assert_int_equal(send_filled(q, 9999, 1, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_leave(q, SHOAL_CONSUMER), 0);
  recv_filled(q, 9999, 1);
  unmake(q);
}
static void test_leaving_with_a_loan(void **state) {
  (void)state;
  leaving(SHOAL_QUEUE_MPMC);
  leaving(SHOAL_QUEUE_SPSC);
  leaving(SHOAL_QUEUE_FIFO);
}

// What is in a queue goes with it.
static void test_unlinked_with_messages(void **state) {
  (void)state;
  struct shoal_queue *q = make(SHOAL_QUEUE_MPMC, 4);
  uint64_t before = blocks_before;
  for (unsigned i = 0; i < 3; i++) assert_int_equal(send_filled(q, 5000, i, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_queue_unlink(seg, NAME), 0);
  assert_true(shoal_heap_reap(heap) >= 0);
  assert_int_equal(heap_info().blocks, before);
  unmake_segment();
}

// ---- 2 ----

static uint64_t random_of(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 20;
}
static void hostile(uint32_t kind) {
  struct shoal_queue *q = make(kind, 4);
  uint64_t state = 7, size, refused = 0;
  static unsigned char buffer[64 * KIB];
  for (int round = 0; round < 3000; round++) {
    struct shoal_loan loan, other;
    assert_int_equal(shoal_queue_reserve_bytes(q, 40, &loan, SHOAL_TRY), 0);
    struct shoal_message_shm *slot = (void *)((char *)loan.data - offsetof(struct shoal_message_shm, in));
    assert_int_equal(shoal_queue_commit(q, &loan), 0);
    uint64_t r = random_of(&state);
    uint64_t wild[] = {r & 63, r, UINT64_MAX, SHOAL_MESSAGE_BLOCK_ | (r & 0xffff), SHOAL_MESSAGE_BLOCK_ | r};
    shoal_store64_relaxed(&slot->size, wild[r % 5]);
    slot->in.block.off = r % 3 ? random_of(&state) % (8 * MIB) : random_of(&state) << 20;
    slot->in.block.seq = (uint32_t)(random_of(&state) % 4);
    int rc = r % 2 ? shoal_queue_recv(q, buffer, sizeof buffer, &size, SHOAL_TRY)
                   : shoal_queue_receive(q, &other, SHOAL_TRY);
    assert_true(rc == 0 || rc == -EPROTO);
    refused += rc != 0;
    if (rc == 0 && r % 2 == 0) assert_int_equal(shoal_queue_release(q, &other), 0);
    assert_int_equal(shoal_queue_recv(q, buffer, sizeof buffer, &size, SHOAL_TRY), -EAGAIN);
  }
  assert_true(refused > 500);
  assert_int_equal(send_filled(q, 100, 1, SHOAL_TRY), 0);
  recv_filled(q, 100, 1);
  unmake(q);
}
static void test_hostile(void **state) {
  (void)state;
  hostile(SHOAL_QUEUE_MPMC);
  hostile(SHOAL_QUEUE_SPSC);
  hostile(SHOAL_QUEUE_FIFO);
}

// A damaged message is told of once, and its block goes with it.
static struct shoal_message_shm *send_in_a_block(struct shoal_queue *q) {
  struct shoal_loan loan;
  assert_int_equal(shoal_queue_reserve_bytes(q, 100, &loan, SHOAL_TRY), 0);
  struct shoal_message_shm *slot = q->ops->slot(q, &loan, SHOAL_PRODUCER);
  fill(loan.data, 100, 0);
  assert_int_equal(shoal_queue_commit(q, &loan), 0);
  return slot;
}
static void damage(struct shoal_message_shm *slot) { shoal_store64_relaxed(&slot->size, SHOAL_MESSAGE_BLOCK_ | MIB); }

enum { BY_RECV, BY_RECEIVE, BY_CLEAR };
static int meet(struct shoal_queue *q, int how) {
  char buffer[KIB];
  uint64_t size;
  struct shoal_loan loan;
  if (how == BY_CLEAR) return shoal_queue_clear(q);
  return how == BY_RECV ? shoal_queue_recv(q, buffer, sizeof buffer, &size, SHOAL_TRY)
                        : shoal_queue_receive(q, &loan, SHOAL_TRY);
}
static void damaged(struct shoal_queue *q, const struct shoal_queue_options *o) {
  for (int how = BY_RECV; how <= BY_CLEAR; how++) {
    damage(send_in_a_block(q));
    assert_int_equal(heap_info().blocks, blocks_before + 1);
    assert_int_equal(meet(q, how), how == BY_CLEAR ? 1 : -EPROTO);
    assert_int_equal(heap_info().blocks, blocks_before);
    assert_int_equal(meet(q, BY_RECV), -EAGAIN);
    if (o->joinable) assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), 0);
  }
}
static void damaged_in_hand(struct shoal_queue *q, const struct shoal_queue_options *o) {
  if (!o->joinable) return;
  struct shoal_message_shm *slot = send_in_a_block(q);
  recv_filled(q, 100, 0);
  damage(slot);
  assert_int_equal(shoal_queue_task_done(q), 0);
  assert_int_equal(heap_info().blocks, blocks_before);
}
// Nothing leads to its block, and that is not the reason. (In the ring, under a lease, such a message was received.)
static void damaged_without_a_block(struct shoal_queue *q, const struct shoal_queue_options *o) {
  const char why[] = "a damaged message";
  for (int how = BY_RECV; how <= BY_RECEIVE && !(o->kind == SHOAL_QUEUE_MPMC && o->lease_ns); how++) {
    struct shoal_message_shm *slot = send_in_a_block(q);
    struct shoal_block_ref ref = slot->in.block;
    slot->in.block.off = 0;
    assert_int_equal(meet(q, how), -EPROTO);
    assert_memory_equal(shoal_reason(), why, sizeof why - 1);
    assert_int_equal(shoal_block_end_(heap, &ref, q->object.entry, q->object.generation), 0);
  }
}
// One that is not the first of several is not told of; what was there before it and behind it is received.
static void damaged_among_several(struct shoal_queue *q, const struct shoal_queue_options *o) {
  unsigned char out[3][100];
  struct iovec got[3] = {{out[0], 100}, {out[1], 100}, {out[2], 100}};
  send_in_a_block(q);
  damage(send_in_a_block(q));
  send_in_a_block(q);
  for (int i = 0; i < 2; i++) {
    memset(out, 0xa5, sizeof out);
    assert_int_equal(shoal_queue_recv_n(q, got, 3, SHOAL_TRY), 1);
    assert_true(got[0].iov_len == 100 && is_filled(out[0], 100, 0));
    if (o->joinable) assert_int_equal(shoal_queue_task_done(q), 0);
  }
  damage(send_in_a_block(q));
  assert_int_equal(shoal_queue_recv_n(q, got, 3, SHOAL_TRY), -EPROTO);
  assert_int_equal(shoal_queue_recv_n(q, got, 3, SHOAL_TRY), -EAGAIN);
}
static void in_each(void (*body)(struct shoal_queue *q, const struct shoal_queue_options *o)) {
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_PRIORITY; kind++)
    for (uint32_t with = 0; with < (kind == SHOAL_QUEUE_SPSC ? 1 : 4); with++) {
      struct shoal_queue_options o = {
          .capacity = 4, .kind = kind, .joinable = with & 1, .lease_ns = with / 2 * UINT64_C(3600000000000)};
      make_segment(0);
      struct shoal_queue *q = make_with(o);
      body(q, &o);
      unmake(q);
    }
}
static void test_a_damaged_message_goes_with_its_block(void **state) {
  (void)state;
  in_each(damaged);
}
static void test_what_is_damaged_in_hand_goes_with_its_block(void **state) {
  (void)state;
  in_each(damaged_in_hand);
}
static void test_a_damaged_message_is_the_reason(void **state) {
  (void)state;
  in_each(damaged_without_a_block);
}
static void test_a_damaged_message_ends_a_batch(void **state) {
  (void)state;
  in_each(damaged_among_several);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_deaths),
      cmocka_unit_test(test_dropped_with_its_block),
      cmocka_unit_test(test_leaving_with_a_loan),
      cmocka_unit_test(test_unlinked_with_messages),
      cmocka_unit_test(test_hostile),
      cmocka_unit_test(test_a_damaged_message_goes_with_its_block),
      cmocka_unit_test(test_what_is_damaged_in_hand_goes_with_its_block),
      cmocka_unit_test(test_a_damaged_message_is_the_reason),
      cmocka_unit_test(test_a_damaged_message_ends_a_batch),
  };
  watchdog(280);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
