// Claims of the policies of ipc/queue/queue (joinable queues: joinable_test.c; leases: lease_test.c):
//   1 a put that finds no room waits, is refused, is dropped, or drops the oldest; what is dropped is counted, in
//     order, and what is in hands is not dropped; what is given back, or committed, is room to who waits to drop it
//   2 clear drops what is in nobody's hands; size, empty and full are exact when all is quiet; peek takes nothing, and
//     a wake that it used is handed on
//   3 a closed queue that is reopened works as before, for all
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/select.h"
#include "tests/ipc/queue/policy_fixture.h"

#define LEDGER 60000

// ---- 1 ----

static void test_a_full_queue_refuses(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_SPSC; kind++) {
    struct shoal_queue *q =
        make_with((struct shoal_queue_options){.capacity = 2, .kind = kind, .overflow = SHOAL_OVERFLOW_REFUSE});
    struct shoal_loan loan;
    uint64_t v = 0, three[3] = {7, 8, 9}, n = 0;
    while (number_queue_put(q, &n, SHOAL_FOREVER) == 0) n++;
    assert_true(n >= 2);
    assert_int_equal(number_queue_put(q, &v, SHOAL_FOREVER), -EAGAIN);
    assert_int_equal(number_queue_put_n(q, three, 3, SHOAL_FOREVER), -EAGAIN);
    assert_int_equal(shoal_queue_reserve(q, &loan, SHOAL_FOREVER), -EAGAIN);
    for (uint64_t i = 0; i < n; i++) assert_int_equal(get_number(q), i);
    assert_int_equal(info_of(q).overflow, SHOAL_OVERFLOW_REFUSE);
    assert_int_equal(info_of(q).discarded, 0);
    shoal_queue_close(q);
    assert_int_equal(number_queue_put(q, &v, SHOAL_FOREVER), -EPIPE);
    unmake(q);
  }
}

static void test_the_newest_is_dropped(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_SPSC; kind++) {
    struct shoal_queue *q =
        make_with((struct shoal_queue_options){.capacity = 4, .kind = kind, .overflow = SHOAL_OVERFLOW_DROP_NEWEST});
    struct shoal_loan loan;
    uint64_t five[5] = {100, 101, 102, 103, 104}, n = 0;
    int rc;
    shoal_queue_join(q, SHOAL_CONSUMER);
    while ((rc = number_queue_put(q, &n, SHOAL_FOREVER)) == 0) n++;
    assert_int_equal(rc, SHOAL_DROPPED);
    assert_int_equal(shoal_queue_reserve(q, &loan, SHOAL_FOREVER), -EAGAIN);
    assert_int_equal(info_of(q).discarded, 1);
    assert_int_equal(number_queue_put_n(q, five, 5, SHOAL_FOREVER), 0);
    assert_int_equal(info_of(q).discarded, 6);
    for (uint64_t i = 0; i < n; i++) assert_int_equal(get_number(q), i);
    rc = number_queue_put_n(q, five, 5, SHOAL_FOREVER);
    assert_true(rc >= 4);
    assert_int_equal(info_of(q).discarded, 6 + 5 - rc);
    for (int i = 0; i < rc; i++) assert_int_equal(get_number(q), five[i]);
    assert_int_equal(number_queue_put_n(q, five, 0, SHOAL_FOREVER), -EINVAL);
    shoal_queue_close(q);
    assert_int_equal(number_queue_put(q, five, SHOAL_FOREVER), -EPIPE);
    unmake(q);
  }
}

static void test_the_oldest_is_dropped(void **state) {
  (void)state;
  struct shoal_queue *q =
      make_with((struct shoal_queue_options){.capacity = 4, .overflow = SHOAL_OVERFLOW_DROP_OLDEST});
  struct shoal_loan loan;
  uint64_t ten[10], v;
  for (uint64_t i = 0; i < 10; i++) {
    ten[i] = 100 + i;
    assert_int_equal(put(q, i), 0);  // nobody has ever consumed
  }
  assert_int_equal(info_of(q).discarded, 6);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  assert_int_equal(*(uint64_t *)loan.data, 6);
  assert_int_equal(number_queue_put_n(q, ten, 10, SHOAL_TRY), -EAGAIN);  // the oldest is in a hand
  assert_int_equal(put(q, 10), -EAGAIN);
  assert_int_equal(number_queue_put(q, ten, shoal_after_ms(2)), -ETIMEDOUT);
  assert_int_equal(shoal_queue_size(q), 3);  // and nothing was dropped in vain
  assert_int_equal(shoal_queue_return(q, &loan), 0);
  assert_int_equal(put(q, 10), 0);
  for (uint64_t i = 7; i < 11; i++) assert_int_equal(get_number(q), i);
  assert_int_equal(number_queue_put_n(q, ten, 10, SHOAL_TRY), 10);
  for (uint64_t i = 6; i < 10; i++) assert_int_equal(get_number(q), 100 + i);
  assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EAGAIN);
  for (uint64_t i = 0; i < 4; i++) put(q, i);
  assert_int_equal(shoal_queue_reserve(q, &loan, SHOAL_TRY), 0);
  *(uint64_t *)loan.data = 4;
  assert_int_equal(shoal_queue_commit(q, &loan), 0);
  for (uint64_t i = 1; i < 5; i++) assert_int_equal(get_number(q), i);
  shoal_queue_leave(q, SHOAL_CONSUMER);
  for (uint64_t i = 0; i < 9; i++) assert_int_equal(put(q, i), 0);  // the last consumer has left
  shoal_queue_close(q);
  assert_int_equal(put(q, 1), -EPIPE);
  unmake(q);
}

// ---- who waits to drop the oldest ----

static const uint32_t dropping[] = {SHOAL_QUEUE_MPMC, SHOAL_QUEUE_FIFO, SHOAL_QUEUE_LIFO, SHOAL_QUEUE_PRIORITY};
#define DROPPING (sizeof dropping / sizeof *dropping)

static void put_another(void *memory, unsigned i) {
  struct shoal_queue *q = attach(memory);
  uint64_t v = 100 + i;
  CHECK(number_queue_put(q, &v, SHOAL_FOREVER) == 0);
  CHECK(shoal_queue_detach(q) == 0);
}
static struct shoal_queue *make_dropping(uint32_t kind, uint64_t lease_ns) {
  return make_with((struct shoal_queue_options){
      .capacity = 4, .kind = kind, .overflow = SHOAL_OVERFLOW_DROP_OLDEST, .lease_ns = lease_ns});
}
// All four are lent, so two producers sleep. The first of them that is in nobody's hands is room for one, and what that
// one has put for the other; of MPMC, which has places, the second is.
static void two_go_on(struct shoal_queue *q, struct shoal_loan *loans,
                      int (*end)(struct shoal_queue *q, struct shoal_loan *loan)) {
  struct peer p[2];
  struct shoal_case writable = shoal_on_writable(q);
  assert_int_equal(shoal_select_ready(&writable, 1, SHOAL_TRY), -EAGAIN);
  for (unsigned i = 0; i < 2; i++) {
    p[i] = peer_start(&arena, put_another, i);
    peer_asleep(&p[i]);
  }
  for (int i = 0; i < (q->kind == SHOAL_QUEUE_MPMC ? 2 : 1); i++) assert_int_equal(end(q, &loans[i]), 0);
  for (int i = 0; i < 2; i++) peer_join(&p[i]);
  assert_int_equal(info_of(q).discarded, 2);
  assert_int_equal(info_of(q).late, 0);
  assert_int_equal(shoal_select_ready(&writable, 1, SHOAL_TRY), q->kind == SHOAL_QUEUE_MPMC ? -EAGAIN : 1);
}
static void test_what_is_given_back_is_room(void **state) {
  (void)state;
  for (unsigned k = 0; k < 2 * DROPPING; k++) {
    struct shoal_queue *q = make_dropping(dropping[k / 2], k % 2 ? HOUR : 0);
    struct shoal_loan loans[4];
    for (uint64_t i = 0; i < 4; i++) assert_int_equal(put(q, i), 0);
    for (int i = 0; i < 4; i++) assert_int_equal(shoal_queue_receive(q, &loans[i], SHOAL_TRY), 0);
    two_go_on(q, loans, shoal_queue_return);
    for (int i = 0; i < 4; i++)
      if (loans[i].data) assert_int_equal(shoal_queue_release(q, &loans[i]), 0);
    unmake(q);
  }
}
// All are in hands, and the leases run out, all at one moment, while producers sleep; nobody else looks. What gives way
// was delivered once in vain.
static void test_what_has_run_out_is_room(void **state) {
  (void)state;
  for (unsigned k = 0; k < DROPPING; k++) {
    struct shoal_queue *q = make_dropping(dropping[k], HOUR);
    struct shoal_case writable = shoal_on_writable(q);
    struct shoal_loan loans[4];
    for (uint64_t i = 0; i < 4; i++) assert_int_equal(put(q, i), 0);
    for (int i = 0; i < 4; i++) assert_int_equal(shoal_queue_receive(q, &loans[i], SHOAL_TRY), 0);
    int64_t end = shoal_after_ms(300).ns;
    for (int i = 0; i < 4; i++) ends_at(q, &loans[i], end);
    struct peer p = peer_start(&arena, put_another, 0);
    peer_join(&p);
    assert_int_equal(info_of(q).discarded, 1);
    assert_int_equal(info_of(q).late, 0);
    assert_true(info_of(q).expired > 0);
    assert_int_equal(shoal_select_ready(&writable, 1, SHOAL_FOREVER), 1);
    assert_int_equal(put(q, 9), 0);
    assert_int_equal(info_of(q).discarded, 2);
    int late = 0;
    for (int i = 0; i < 4; i++) late += shoal_queue_release(q, &loans[i]) == -ETIMEDOUT;
    assert_int_equal(late, 4);
    unmake(q);
  }
}
// Also where the last consumer has left: that is no end for who drops.
static void test_what_is_committed_is_room(void **state) {
  (void)state;
  for (unsigned k = 0; k < 2 * DROPPING; k++) {
    struct shoal_queue *q = make_dropping(dropping[k / 2], 0);
    struct shoal_loan loans[4];
    shoal_queue_join(q, SHOAL_CONSUMER);
    if (k % 2) shoal_queue_leave(q, SHOAL_CONSUMER);
    for (int i = 0; i < 4; i++) {
      assert_int_equal(shoal_queue_reserve(q, &loans[i], SHOAL_TRY), 0);
      *(uint64_t *)loans[i].data = (uint64_t)i;
    }
    two_go_on(q, loans, shoal_queue_commit);
    for (int i = 0; i < 4; i++)
      if (loans[i].data) assert_int_equal(shoal_queue_cancel(q, &loans[i]), 0);
    unmake(q);
  }
}

// Received ones rise, unless the newest is the first, and with those that were dropped they are all.
static void flood_or_drain(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  shoal_queue_join(q, i < 2 ? SHOAL_PRODUCER : SHOAL_CONSUMER);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->ready, 4);
  if (i < 2) {
    for (uint64_t n = 0; n < LEDGER / 2; n++) {
      uint64_t v = i * (LEDGER / 2) + n;
      CHECK(number_queue_put(q, &v, SHOAL_FOREVER) == 0);
    }
  } else {
    uint64_t v, last[2] = {0, 0};
    while (number_queue_get(q, &v, SHOAL_FOREVER) == 0) {
      uint64_t of = v / (LEDGER / 2), n = v % (LEDGER / 2) + 1;
      CHECK(n > last[of] || q->kind == SHOAL_QUEUE_LIFO || q->kind == SHOAL_QUEUE_PRIORITY);
      last[of] = n;
      CHECK(__atomic_fetch_add(&s->ledger[v], 1, __ATOMIC_RELAXED) == 0);
      shoal_add64_relaxed(&s->sum, 1);
    }
  }
  CHECK(shoal_queue_detach(q) == 0);
}
static void what_is_dropped_is_counted(enum driver driver) {
  for (unsigned k = 0; k < DROPPING; k++) {
    struct shoal_queue *q = make_with(
        (struct shoal_queue_options){.capacity = 8, .kind = dropping[k], .overflow = SHOAL_OVERFLOW_DROP_OLDEST});
    run(&arena, driver, 4, flood_or_drain);
    assert_int_equal(shoal_load64_relaxed(&shared()->sum) + info_of(q).discarded, LEDGER);
    assert_int_equal(info_of(q).late, 0);
    unmake(q);
  }
}
static void test_what_is_dropped_is_counted_threads(void **state) { (void)state, what_is_dropped_is_counted(THREADS); }
static void test_what_is_dropped_is_counted_processes(void **state) {
  (void)state, what_is_dropped_is_counted(PROCESSES);
}

static void test_policies_that_make_no_sense(void **state) {
  (void)state;
  refused((struct shoal_queue_options){.capacity = 4, .overflow = 4}, "options.overflow: there is no such policy");
  refused((struct shoal_queue_options){.capacity = 4, .kind = SHOAL_QUEUE_SPSC, .overflow = SHOAL_OVERFLOW_DROP_OLDEST},
          "options.overflow: the consumer of this kind claims nothing, so nobody knows what it is reading");
}

// ---- 2 ----

static void test_clear_drops_what_nobody_holds(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_SPSC; kind++) {
    struct shoal_queue *q = make_with((struct shoal_queue_options){.capacity = 8, .kind = kind});
    assert_int_equal(shoal_queue_clear(q), 0);
    for (uint64_t i = 0; i < 5; i++) put(q, i);
    assert_int_equal(shoal_queue_size(q), 5);
    assert_int_equal(shoal_queue_clear(q), 5);
    assert_int_equal(info_of(q).discarded, 5);
    assert_int_equal(shoal_queue_size(q), 0);
    put(q, 6);
    assert_int_equal(get_number(q), 6);
    put(q, 7);
    shoal_queue_close(q);
    assert_int_equal(shoal_queue_clear(q), 1);
    assert_int_equal(shoal_queue_clear(q), 0);
    unmake(q);
  }
  struct shoal_queue *q = make_with((struct shoal_queue_options){.capacity = 8});
  struct shoal_loan kept, returned;
  uint64_t v;
  for (uint64_t i = 0; i < 4; i++) put(q, i);
  assert_int_equal(shoal_queue_receive(q, &kept, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_receive(q, &returned, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_return(q, &returned), 0);
  assert_int_equal(shoal_queue_clear(q), 3);
  assert_int_equal(*(uint64_t *)kept.data, 0);
  assert_int_equal(shoal_queue_return(q, &kept), 0);
  assert_int_equal(get_number(q), 0);
  assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EAGAIN);
  unmake(q);
}

static void clear_when_told(void *memory, unsigned i) {
  (void)i;
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  uint64_t v = 9;
  CHECK(shoal_queue_join(q, SHOAL_PRODUCER) == 0);
  CHECK(number_queue_put(q, &v, SHOAL_FOREVER) == 0);
  shoal_add32_seq_cst(&s->done, 1);
  CHECK(shoal_queue_detach(q) == 0);
}
static void test_clear_wakes_who_waits_for_room(void **state) {
  (void)state;
  struct shoal_queue *q = make_with((struct shoal_queue_options){.capacity = 2});
  shoal_queue_join(q, SHOAL_CONSUMER);
  put(q, 1), put(q, 2);
  struct peer p = peer_start(&arena, clear_when_told, 0);
  peer_asleep(&p);
  assert_true(shoal_queue_clear(q) >= 2);  // the other's put may be in time
  peer_join(&p);
  assert_int_equal(info_of(q).late, 0);
  unmake(q);
}

static void test_size_empty_and_full(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_SPSC; kind++) {
    struct shoal_queue *q = make_with((struct shoal_queue_options){.capacity = 4, .kind = kind});
    struct shoal_loan loan;
    int64_t n = 0;
    assert_true(shoal_queue_empty(q) && !shoal_queue_full(q));
    for (int full = 0; full = shoal_queue_full(q), put(q, 1) == 0; n++) {
      assert_false(full);
      assert_int_equal(shoal_queue_size(q), n + 1);
      assert_false(shoal_queue_empty(q));
      assert_int_equal(info_of(q).size, n + 1);
    }
    assert_true(shoal_queue_full(q) && info_of(q).full);
    if (kind == SHOAL_QUEUE_MPMC) {  // lent: it takes its room still
      assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
      assert_int_equal(shoal_queue_size(q), n - 1);
      assert_true(shoal_queue_full(q));
      assert_int_equal(shoal_queue_release(q, &loan), 0);
    }
    while (n-- > (kind == SHOAL_QUEUE_MPMC)) get_number(q);
    assert_true(shoal_queue_empty(q) && !shoal_queue_full(q));
    unmake(q);
  }
}

static void test_peek_takes_nothing(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_SPSC; kind++) {
    struct shoal_queue *q = make_with((struct shoal_queue_options){.capacity = 4, .kind = kind});
    struct shoal_loan loan;
    uint64_t v = 77;
    assert_int_equal(number_queue_peek(q, &v, SHOAL_TRY), -EAGAIN);
    assert_int_equal(number_queue_peek(q, &v, shoal_after_ms(1)), -ETIMEDOUT);
    assert_int_equal(v, 77);
    for (uint64_t i = 1; i <= 3; i++) put(q, i);
    for (int i = 0; i < 2; i++) {
      assert_int_equal(number_queue_peek(q, &v, SHOAL_FOREVER), 0);
      assert_int_equal(v, 1);
    }
    assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
    assert_int_equal(number_queue_peek(q, &v, SHOAL_TRY), kind == SHOAL_QUEUE_SPSC ? -EBUSY : 0);
    if (kind == SHOAL_QUEUE_MPMC) assert_int_equal(v, 2);
    assert_int_equal(shoal_queue_return(q, &loan), 0);
    assert_int_equal(number_queue_peek(q, &v, SHOAL_TRY), 0);
    assert_int_equal(v, 1);  // it came back, and comes first
    for (uint64_t i = 1; i <= 3; i++) assert_int_equal(get_number(q), i);
    shoal_queue_close(q);
    assert_int_equal(number_queue_peek(q, &v, SHOAL_FOREVER), -EPIPE);
    unmake(q);
  }
}

// The word for strays tells of one that has gone: who looks finds out, and does not look for ever.
static void test_peek_finds_nothing_after_what_came_again_is_gone(void **state) {
  (void)state;
  struct shoal_queue *q = make_with((struct shoal_queue_options){.capacity = 4});
  struct shoal_loan loan;
  uint64_t v;
  assert_int_equal(put(q, 1), 0);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_return(q, &loan), 0);
  assert_int_equal(get_number(q), 1);
  assert_int_equal(number_queue_peek(q, &v, SHOAL_TRY), -EAGAIN);
  assert_int_equal(number_queue_peek(q, &v, shoal_after_ms(1)), -ETIMEDOUT);
  unmake(q);
}

static void peek_on(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  uint64_t v, last = 0;
  shoal_queue_join(q, i ? SHOAL_CONSUMER : SHOAL_PRODUCER);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->ready, 3);
  if (i == 0) {
    for (v = 1; v <= 20000; v++) CHECK(number_queue_put(q, &v, SHOAL_FOREVER) == 0);
  } else if (i == 1) {
    for (uint64_t n = 1; n <= 20000; n++) CHECK(get_number(q) == n);
  } else {
    while (number_queue_peek(q, &v, SHOAL_FOREVER) == 0) {
      CHECK(v >= last && v <= 20000);
      last = v;
    }
  }
  CHECK(shoal_queue_detach(q) == 0);
}
static void test_what_is_peeked_rises_threads(void **state) {
  (void)state;
  struct shoal_queue *q = make_with((struct shoal_queue_options){.capacity = 4});
  run(&arena, THREADS, 3, peek_on);
  unmake(q);
}
static void test_what_is_peeked_rises_processes(void **state) {
  (void)state;
  struct shoal_queue *q = make_with((struct shoal_queue_options){.capacity = 4});
  run(&arena, PROCESSES, 3, peek_on);
  assert_int_equal(info_of(q).late, 0);
  unmake(q);
}

static void peek_or_get(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  uint64_t v;
  CHECK((i ? number_queue_get(q, &v, SHOAL_FOREVER) : number_queue_peek(q, &v, SHOAL_FOREVER)) == 0);
  shoal_add32_seq_cst(&s->done, 1);
  while (i == 0) pause();
}
// One put wakes one sleeper: here the one that only looks.
static void test_a_peek_hands_the_wake_on(void **state) {
  (void)state;
  struct shoal_queue *q = make_with((struct shoal_queue_options){.capacity = 4});
  shoal_queue_join(q, SHOAL_PRODUCER);
  struct peer looks = peer_start(&arena, peek_or_get, 0);
  peer_asleep(&looks);
  struct peer gets = peer_start(&arena, peek_or_get, 1);
  peer_asleep(&gets);
  put(q, 5);
  peer_join(&gets);
  put(q, 6);  // if the other was woken first
  await(&shared()->done, 2);
  peer_kill(&looks);
  assert_int_equal(info_of(q).late, 0);
  unmake(q);
}

// ---- 3 ----

static void test_a_reopened_queue_works(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_SPSC; kind++) {
    struct shoal_queue *q = make_with((struct shoal_queue_options){.capacity = 4, .kind = kind});
    uint64_t v = 0;
    assert_int_equal(shoal_queue_reopen(q), -EINVAL);
    assert_string_equal(shoal_reason(), "the queue is not closed");
    for (int lap = 0; lap < 3; lap++) {
      put(q, 1);
      shoal_queue_close(q);
      assert_int_equal(put(q, 2), -EPIPE);
      assert_int_equal(info_of(q).closed, 1);
      if (lap == 1) assert_int_equal(get_number(q), 1);
      if (lap == 1) assert_int_equal(number_queue_get(q, &v, SHOAL_FOREVER), -EPIPE);
      assert_int_equal(shoal_queue_reopen(q), 0);
      assert_int_equal(shoal_queue_reopen(q), -EINVAL);
      assert_int_equal(info_of(q).closed, 0);
      assert_int_equal(put(q, 3), 0);
      if (lap != 1) assert_int_equal(get_number(q), 1);
      assert_int_equal(get_number(q), 3);
      assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EAGAIN);
    }
    unmake(q);
  }
}

// A getter that waits for what another holds, in a closed queue, waits for messages once it is open again.
static void get_seven(void *memory, unsigned i) {
  (void)i;
  struct shoal_queue *q = attach(memory);
  CHECK(get_number(q) == 7);
  CHECK(shoal_queue_detach(q) == 0);
}
static void test_who_waited_for_the_end_waits_for_messages(void **state) {
  (void)state;
  struct shoal_queue *q = make_with((struct shoal_queue_options){.capacity = 4});
  struct shoal_loan loan;
  put(q, 5);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  struct peer p = peer_start(&arena, get_seven, 0);
  peer_asleep(&p);
  shoal_queue_close(q);
  peer_asleep(&p);
  assert_int_equal(shoal_queue_reopen(q), 0);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  peer_asleep(&p);
  put(q, 7);
  peer_join(&p);
  assert_int_equal(info_of(q).late, 0);
  unmake(q);
}

int main(void) {
  watchdog(200);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_full_queue_refuses),
      cmocka_unit_test(test_the_newest_is_dropped),
      cmocka_unit_test(test_the_oldest_is_dropped),
      cmocka_unit_test(test_what_is_given_back_is_room),
      cmocka_unit_test(test_what_has_run_out_is_room),
      cmocka_unit_test(test_what_is_committed_is_room),
      cmocka_unit_test(test_what_is_dropped_is_counted_threads),
      cmocka_unit_test(test_what_is_dropped_is_counted_processes),
      cmocka_unit_test(test_policies_that_make_no_sense),
      cmocka_unit_test(test_clear_drops_what_nobody_holds),
      cmocka_unit_test(test_clear_wakes_who_waits_for_room),
      cmocka_unit_test(test_size_empty_and_full),
      cmocka_unit_test(test_peek_takes_nothing),
      cmocka_unit_test(test_peek_finds_nothing_after_what_came_again_is_gone),
      cmocka_unit_test(test_what_is_peeked_rises_threads),
      cmocka_unit_test(test_what_is_peeked_rises_processes),
      cmocka_unit_test(test_a_peek_hands_the_wake_on),
      cmocka_unit_test(test_a_reopened_queue_works),
      cmocka_unit_test(test_who_waited_for_the_end_waits_for_messages),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
