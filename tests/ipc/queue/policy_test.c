// Claims of ipc/queue/queue.h, of its policies:
//   1 a put that finds no room waits, is refused, is dropped, or drops the oldest; what is dropped is counted, in
//   order, and what
//     is in hands is not dropped; what is given back, or committed, is room to who waits to drop it
//   2 clear drops what is in nobody's hands; size, empty and full are exact when all is quiet; peek takes nothing, and
//   a wake
//     that it used is handed on
//   3 a closed queue that is reopened works as before, for all
//   4 joinable: what was got is unfinished until task_done, by the thread that got it, once; join sleeps until nothing
//   is, and is
//     woken by the last; what a dead one had got comes again; nobody waits for himself or for consumers that are gone
//   5 leases: what is not released in time is delivered again, to sleepers too; only one can release it; an extension
//   is in time or
//     refused; deliveries are counted, and one too many goes to dead letters, never lost
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/proc.h"
#include "ipc/queue/message.h"
#include "ipc/queue/select.h"
#include "tests/harness/drivers.h"

SHOAL_QUEUE_TYPED(number_queue, uint64_t)

#define LEDGER 60000

struct shared {  // the start of each arena; the queue follows
  uint64_t queue_size;
  shoal_atomic32 ready, stage, done, stop;
  shoal_atomic64 sum;
  uint8_t ledger[LEDGER];
};
#define QUEUE_AT ((sizeof(struct shared) + 63) & ~(size_t)63)

static struct arena arena;
static struct shared *shared(void) { return arena.memory; }

static struct shoal_queue *attach(void *memory) {
  struct shared *s = memory;
  struct shoal_queue *q;
  CHECK(shoal_queue_attach_((char *)memory + QUEUE_AT, s->queue_size, 8, &q) == 0);
  return q;
}
static struct shoal_queue *make(struct shoal_queue_options o) {
  o.element_size = 8;
  if (o.kind == SHOAL_QUEUE_PRIORITY) o.key = (struct shoal_queue_key){SHOAL_KEY_U64, 0};
  uint64_t size = shoal_queue_size_(&o);
  assert_true(size > 0);
  arena_make(&arena, QUEUE_AT + size);
  shared()->queue_size = size;
  assert_int_equal(shoal_queue_place_((char *)arena.memory + QUEUE_AT, size, &o), 0);
  return attach(arena.memory);
}
static void unmake(struct shoal_queue *q) {
  assert_int_equal(shoal_queue_detach(q), 0);
  arena_free(&arena);
}
static int put(struct shoal_queue *q, uint64_t v) { return number_queue_put(q, &v, SHOAL_TRY); }
static uint64_t get(struct shoal_queue *q) {
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
static void refused(struct shoal_queue_options o, const char *why) {
  char small[256] __attribute__((aligned(64))) = {0};
  o.element_size = 8;
  assert_int_equal(shoal_queue_place_(small, sizeof small, &o), -EINVAL);
  assert_string_equal(shoal_reason(), why);
}

// ---- 1 ----

static void test_a_full_queue_refuses(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_SPSC; kind++) {
    struct shoal_queue *q =
        make((struct shoal_queue_options){.capacity = 2, .kind = kind, .overflow = SHOAL_OVERFLOW_REFUSE});
    struct shoal_loan loan;
    uint64_t v = 0, three[3] = {7, 8, 9}, n = 0;
    while (number_queue_put(q, &n, SHOAL_FOREVER) == 0) n++;
    assert_true(n >= 2);
    assert_int_equal(number_queue_put(q, &v, SHOAL_FOREVER), -EAGAIN);
    assert_int_equal(number_queue_put_n(q, three, 3, SHOAL_FOREVER), -EAGAIN);
    assert_int_equal(shoal_queue_reserve(q, &loan, SHOAL_FOREVER), -EAGAIN);
    for (uint64_t i = 0; i < n; i++) assert_int_equal(get(q), i);
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
        make((struct shoal_queue_options){.capacity = 4, .kind = kind, .overflow = SHOAL_OVERFLOW_DROP_NEWEST});
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
    for (uint64_t i = 0; i < n; i++) assert_int_equal(get(q), i);
    rc = number_queue_put_n(q, five, 5, SHOAL_FOREVER);
    assert_true(rc >= 4);
    assert_int_equal(info_of(q).discarded, 6 + 5 - rc);
    for (int i = 0; i < rc; i++) assert_int_equal(get(q), five[i]);
    assert_int_equal(number_queue_put_n(q, five, 0, SHOAL_FOREVER), -EINVAL);
    shoal_queue_close(q);
    assert_int_equal(number_queue_put(q, five, SHOAL_FOREVER), -EPIPE);
    unmake(q);
  }
}

static void test_the_oldest_is_dropped(void **state) {
  (void)state;
  struct shoal_queue *q = make((struct shoal_queue_options){.capacity = 4, .overflow = SHOAL_OVERFLOW_DROP_OLDEST});
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
  for (uint64_t i = 7; i < 11; i++) assert_int_equal(get(q), i);
  assert_int_equal(number_queue_put_n(q, ten, 10, SHOAL_TRY), 10);
  for (uint64_t i = 6; i < 10; i++) assert_int_equal(get(q), 100 + i);
  assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EAGAIN);
  for (uint64_t i = 0; i < 4; i++) put(q, i);
  assert_int_equal(shoal_queue_reserve(q, &loan, SHOAL_TRY), 0);
  *(uint64_t *)loan.data = 4;
  assert_int_equal(shoal_queue_commit(q, &loan), 0);
  for (uint64_t i = 1; i < 5; i++) assert_int_equal(get(q), i);
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
#define HOUR UINT64_C(3600000000000)
// As if the lease of what is in hand were over then.
static void ends_at(struct shoal_queue *q, const struct shoal_loan *loan, int64_t ns) {
  if (q->kind == SHOAL_QUEUE_MPMC) {
    shoal_atomic64 *word = &q->until[loan->token % 4];
    shoal_store64_relaxed(word, (shoal_load64_relaxed(word) & 0x3fff) | (uint64_t)ns >> 10 << 14);
  } else {
    shoal_ordered_lease(&q->ordered, (uint32_t)loan->token, ns);
  }
  shoal_store64_relaxed(&q->extra->next, (uint64_t)ns);
}
static struct shoal_queue *make_dropping(uint32_t kind, uint64_t lease_ns) {
  return make((struct shoal_queue_options){
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
    struct shoal_queue *q =
        make((struct shoal_queue_options){.capacity = 8, .kind = dropping[k], .overflow = SHOAL_OVERFLOW_DROP_OLDEST});
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
    struct shoal_queue *q = make((struct shoal_queue_options){.capacity = 8, .kind = kind});
    assert_int_equal(shoal_queue_clear(q), 0);
    for (uint64_t i = 0; i < 5; i++) put(q, i);
    assert_int_equal(shoal_queue_size(q), 5);
    assert_int_equal(shoal_queue_clear(q), 5);
    assert_int_equal(info_of(q).discarded, 5);
    assert_int_equal(shoal_queue_size(q), 0);
    put(q, 6);
    assert_int_equal(get(q), 6);
    put(q, 7);
    shoal_queue_close(q);
    assert_int_equal(shoal_queue_clear(q), 1);
    assert_int_equal(shoal_queue_clear(q), 0);
    unmake(q);
  }
  struct shoal_queue *q = make((struct shoal_queue_options){.capacity = 8});
  struct shoal_loan kept, returned;
  uint64_t v;
  for (uint64_t i = 0; i < 4; i++) put(q, i);
  assert_int_equal(shoal_queue_receive(q, &kept, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_receive(q, &returned, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_return(q, &returned), 0);
  assert_int_equal(shoal_queue_clear(q), 3);
  assert_int_equal(*(uint64_t *)kept.data, 0);
  assert_int_equal(shoal_queue_return(q, &kept), 0);
  assert_int_equal(get(q), 0);
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
  struct shoal_queue *q = make((struct shoal_queue_options){.capacity = 2});
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
    struct shoal_queue *q = make((struct shoal_queue_options){.capacity = 4, .kind = kind});
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
    while (n-- > (kind == SHOAL_QUEUE_MPMC)) get(q);
    assert_true(shoal_queue_empty(q) && !shoal_queue_full(q));
    unmake(q);
  }
}

static void test_peek_takes_nothing(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_SPSC; kind++) {
    struct shoal_queue *q = make((struct shoal_queue_options){.capacity = 4, .kind = kind});
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
    for (uint64_t i = 1; i <= 3; i++) assert_int_equal(get(q), i);
    shoal_queue_close(q);
    assert_int_equal(number_queue_peek(q, &v, SHOAL_FOREVER), -EPIPE);
    unmake(q);
  }
}

// The word for strays tells of one that has gone: who looks finds out, and does not look for ever.
static void test_peek_finds_nothing_after_what_came_again_is_gone(void **state) {
  (void)state;
  struct shoal_queue *q = make((struct shoal_queue_options){.capacity = 4});
  struct shoal_loan loan;
  uint64_t v;
  assert_int_equal(put(q, 1), 0);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_return(q, &loan), 0);
  assert_int_equal(get(q), 1);
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
    for (uint64_t n = 1; n <= 20000; n++) CHECK(get(q) == n);
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
  struct shoal_queue *q = make((struct shoal_queue_options){.capacity = 4});
  run(&arena, THREADS, 3, peek_on);
  unmake(q);
}
static void test_what_is_peeked_rises_processes(void **state) {
  (void)state;
  struct shoal_queue *q = make((struct shoal_queue_options){.capacity = 4});
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
  struct shoal_queue *q = make((struct shoal_queue_options){.capacity = 4});
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
    struct shoal_queue *q = make((struct shoal_queue_options){.capacity = 4, .kind = kind});
    uint64_t v = 0;
    assert_int_equal(shoal_queue_reopen(q), -EINVAL);
    assert_string_equal(shoal_reason(), "the queue is not closed");
    for (int lap = 0; lap < 3; lap++) {
      put(q, 1);
      shoal_queue_close(q);
      assert_int_equal(put(q, 2), -EPIPE);
      assert_int_equal(info_of(q).closed, 1);
      if (lap == 1) assert_int_equal(get(q), 1);
      if (lap == 1) assert_int_equal(number_queue_get(q, &v, SHOAL_FOREVER), -EPIPE);
      assert_int_equal(shoal_queue_reopen(q), 0);
      assert_int_equal(shoal_queue_reopen(q), -EINVAL);
      assert_int_equal(info_of(q).closed, 0);
      assert_int_equal(put(q, 3), 0);
      if (lap != 1) assert_int_equal(get(q), 1);
      assert_int_equal(get(q), 3);
      assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EAGAIN);
    }
    unmake(q);
  }
}

// A getter that waits for what another holds, in a closed queue, waits for messages once it is open again.
static void get_seven(void *memory, unsigned i) {
  (void)i;
  struct shoal_queue *q = attach(memory);
  CHECK(get(q) == 7);
  CHECK(shoal_queue_detach(q) == 0);
}
static void test_who_waited_for_the_end_waits_for_messages(void **state) {
  (void)state;
  struct shoal_queue *q = make((struct shoal_queue_options){.capacity = 4});
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

// ---- 4 ----

static const uint32_t keeping[] = {SHOAL_QUEUE_MPMC, SHOAL_QUEUE_FIFO, SHOAL_QUEUE_PRIORITY};  // rising ones in order
#define EACH_KEEPING(kind) for (uint32_t k_ = 0, kind; k_ < 3 && (kind = keeping[k_], 1); k_++)
static struct shoal_queue *make_joinable(uint32_t kind, uint32_t capacity) {
  struct shoal_queue_options o = {.capacity = capacity, .kind = kind, .joinable = 1};
  if (kind == SHOAL_QUEUE_PRIORITY) o.key = (struct shoal_queue_key){SHOAL_KEY_U64, 0};
  return make(o);
}

static void got_is_unfinished(uint32_t kind) {
  struct shoal_queue *q = make_joinable(kind, 4);
  uint64_t two[2];
  assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_task_done(q), -EINVAL);
  assert_string_equal(shoal_reason(), "this thread has no message in hand: task_done was called once too often");
  for (int lap = 0; lap < 5; lap++) {
    for (uint64_t i = 0; i < 4; i++) assert_int_equal(put(q, i), 0);
    assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), -EAGAIN);
    assert_int_equal(shoal_queue_join_tasks(q, shoal_after_ms(1)), lap ? -EDEADLK : -ETIMEDOUT);  // a consumer itself
    assert_int_equal(get(q), 0);
    assert_int_equal(number_queue_get_n(q, two, 2, SHOAL_TRY), 2);
    assert_true(two[0] == 1 && two[1] == 2);
    assert_true(info_of(q).held == 3 && info_of(q).size == 1 && info_of(q).joinable);
    assert_int_equal(put(q, 9), -EAGAIN);  // it takes its room
    assert_int_equal(shoal_queue_join_tasks(q, SHOAL_FOREVER), -EDEADLK);
    assert_int_equal(shoal_queue_task_done(q), 0);
    assert_int_equal(put(q, 4), 0);  // the oldest was done with: its place is the next
    for (uint64_t i = 3; i < 5; i++) assert_int_equal(get(q), i);
    for (int i = 0; i < 4; i++) assert_int_equal(shoal_queue_task_done(q), 0);
    assert_int_equal(shoal_queue_task_done(q), -EINVAL);
    assert_int_equal(shoal_queue_join_tasks(q, SHOAL_FOREVER), 0);
  }
  unmake(q);
}
static void test_what_was_got_is_unfinished(void **state) {
  (void)state;
  EACH_KEEPING(kind) got_is_unfinished(kind);
}

static void a_release_is_a_task_done(uint32_t kind) {
  struct shoal_queue *q = make_joinable(kind, 4);
  struct shoal_loan loan;
  put(q, 1), put(q, 2);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  assert_int_equal(shoal_queue_task_done(q), -EINVAL);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_return(q, &loan), 0);
  assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), -EAGAIN);
  assert_int_equal(get(q), 2);
  assert_int_equal(shoal_queue_leave(q, SHOAL_CONSUMER), 0);  // to leave is to give it back
  assert_int_equal(shoal_queue_task_done(q), -EINVAL);
  assert_int_equal(get(q), 2);
  assert_int_equal(shoal_queue_task_done(q), 0);
  assert_int_equal(shoal_queue_reserve(q, &loan, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_join_tasks(q, SHOAL_FOREVER), -EDEADLK);
  assert_int_equal(shoal_queue_cancel(q, &loan), 0);
  assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), 0);
  put(q, 3);
  assert_int_equal(shoal_queue_clear(q), 1);
  assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), 0);
  put(q, 4);
  shoal_queue_leave(q, SHOAL_CONSUMER);
  assert_int_equal(shoal_queue_join_tasks(q, SHOAL_FOREVER), -EPIPE);
  unmake(q);
}
static void test_a_release_is_a_task_done(void **state) {
  (void)state;
  EACH_KEEPING(kind) a_release_is_a_task_done(kind);
}

// In the order of the gets, whatever the kind's is.
static void test_the_first_that_was_got_is_done(void **state) {
  (void)state;
  struct shoal_queue *q = make_joinable(SHOAL_QUEUE_LIFO, 8);
  struct shoal_loan loan;
  for (uint64_t i = 1; i <= 5; i++) put(q, i);
  for (uint64_t i = 5; i >= 2; i--) assert_int_equal(get(q), i);
  for (int i = 0; i < 2; i++) assert_int_equal(shoal_queue_task_done(q), 0);  // 5, 4
  assert_int_equal(get(q), 1);
  assert_int_equal(shoal_queue_task_done(q), 0);  // 3
  assert_int_equal(shoal_queue_leave(q, SHOAL_CONSUMER), 0);
  assert_int_equal(shoal_queue_task_done(q), -EINVAL);
  assert_int_equal(get(q) + get(q), 3);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), -EAGAIN);
  put(q, 7);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  for (int i = 0; i < 3; i++) assert_int_equal(shoal_queue_task_done(q), 0);  // what is in place comes last
  assert_int_equal(shoal_queue_task_done(q), -EINVAL);
  assert_int_equal(shoal_queue_release(q, &loan), -EINVAL);
  assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), 0);
  unmake(q);
}

// A joiner that knew of no cells but the first sees what is unfinished in later ones.
static void test_a_queue_that_has_grown_is_joined(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_queue *q, *joins;
  struct shoal_queue_options o = {.capacity = 2, .grow = 1, .joinable = 1};
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(number_queue_create(seg, "tasks", &o, &q), 0);
  assert_int_equal(number_queue_open(seg, "tasks", &joins), 0);
  for (uint64_t i = 0; i < 11; i++) assert_int_equal(put(q, i), 0);
  assert_true(info_of(q).grown == 3);
  for (uint64_t i = 0; i < 11; i++) assert_int_equal(get(q), i);
  for (uint64_t i = 0; i < 11; i++) {
    assert_int_equal(info_of(joins).held, 11 - i);
    assert_int_equal(shoal_queue_join_tasks(joins, SHOAL_TRY), -EAGAIN);
    assert_int_equal(shoal_queue_task_done(q), 0);
  }
  assert_int_equal(shoal_queue_join_tasks(joins, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_queue_detach(joins), 0);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}

static void test_not_joinable(void **state) {
  (void)state;
  struct shoal_queue *q = make((struct shoal_queue_options){.capacity = 4});
  assert_int_equal(shoal_queue_task_done(q), -EINVAL);
  assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), -EINVAL);
  assert_string_equal(shoal_reason(), "the queue was made without options.joinable");
  unmake(q);
  refused((struct shoal_queue_options){.capacity = 4, .kind = SHOAL_QUEUE_SPSC, .joinable = 1},
          "options.joinable: this kind keeps nothing in hand");
}

static void get_two_and_stay(void *memory, unsigned i) {
  (void)i;
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  get(q), get(q);
  shoal_add32_seq_cst(&s->ready, 1);
  for (;;) pause();
}
static void join_until(void *memory, unsigned rc) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  CHECK(shoal_queue_join_tasks(q, SHOAL_FOREVER) == -(int)rc);
  shoal_add32_seq_cst(&s->done, 1);
  CHECK(shoal_queue_detach(q) == 0);
}
static void a_dead_ones_unfinished_come_again(uint32_t kind) {
  struct shoal_queue *q = make_joinable(kind, 8);
  for (uint64_t i = 0; i < 3; i++) put(q, i);
  struct peer worker = peer_start(&arena, get_two_and_stay, 0), joiners[2];
  await(&shared()->ready, 1);
  for (int i = 0; i < 2; i++) joiners[i] = peer_start(&arena, join_until, 0), peer_asleep(&joiners[i]);
  assert_int_equal(get(q), 2);
  peer_kill(&worker);
  for (uint64_t i = 0; i < 2; i++) assert_int_equal(get(q), i);
  assert_int_equal(info_of(q).redelivered, 2);
  for (int i = 0; i < 3; i++) {
    for (int k = 0; k < 2; k++) peer_asleep(&joiners[k]);
    assert_int_equal(shoal_queue_task_done(q), 0);
  }
  for (int i = 0; i < 2; i++) peer_join(&joiners[i]);
  assert_int_equal(info_of(q).late, 0);
  unmake(q);
}
static void test_a_dead_ones_unfinished_come_again(void **state) {
  (void)state;
  EACH_KEEPING(kind) a_dead_ones_unfinished_come_again(kind);
}
static void nobody_will_finish(uint32_t kind) {
  struct shoal_queue *q = make_joinable(kind, 8);
  for (uint64_t i = 0; i < 3; i++) put(q, i);
  struct peer worker = peer_start(&arena, get_two_and_stay, 0), joiners[2];
  await(&shared()->ready, 1);
  for (int i = 0; i < 2; i++) joiners[i] = peer_start(&arena, join_until, EPIPE), peer_asleep(&joiners[i]);
  peer_kill(&worker);
  for (int i = 0; i < 2; i++) peer_join(&joiners[i]);
  assert_int_equal(info_of(q).late, 0);
  unmake(q);
}
static void test_joiners_are_told_that_nobody_will_finish(void **state) {
  (void)state;
  EACH_KEEPING(kind) nobody_will_finish(kind);
}

// Each round: both producers put, and join; then all of it has been done.
#define ROUNDS 80
#define EACH_ROUND 20
static void work_or_join(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  CHECK(shoal_queue_join(q, i < 2 ? SHOAL_PRODUCER : SHOAL_CONSUMER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->ready, 5);
  if (i < 2) {
    for (uint32_t round = 1; round <= ROUNDS; round++) {
      for (uint64_t n = 0; n < EACH_ROUND; n++) CHECK(number_queue_put(q, &n, SHOAL_FOREVER) == 0);
      shoal_add32_seq_cst(&s->stage, 1);
      await(&s->stage, 2 * round);
      CHECK(shoal_queue_join_tasks(q, SHOAL_FOREVER) == 0);
      CHECK(shoal_load64_seq_cst(&s->sum) >= (uint64_t)2 * round * EACH_ROUND);
      shoal_add32_seq_cst(&s->done, 1);
      await(&s->done, 2 * round);
    }
  } else {
    uint64_t v;
    while (number_queue_get(q, &v, SHOAL_FOREVER) == 0) {
      shoal_add64_seq_cst(&s->sum, 1);
      CHECK(shoal_queue_task_done(q) == 0);
    }
  }
  CHECK(shoal_queue_detach(q) == 0);
}
static void joined_when_done(enum driver driver) {
  EACH_KEEPING(kind) {
    struct shoal_queue *q = make_joinable(kind, 16);
    run(&arena, driver, 5, work_or_join);
    assert_int_equal(shoal_load64_relaxed(&shared()->sum), 2 * ROUNDS * EACH_ROUND);
    assert_int_equal(info_of(q).late, 0);
    unmake(q);
  }
}
static void test_joined_when_all_is_done_threads(void **state) { (void)state, joined_when_done(THREADS); }
static void test_joined_when_all_is_done_processes(void **state) { (void)state, joined_when_done(PROCESSES); }

// ---- 5 ----

static uint32_t leasing[] = {SHOAL_QUEUE_MPMC, SHOAL_QUEUE_FIFO, SHOAL_QUEUE_PRIORITY};
#define EACH_LEASING(test)                                                                    \
  cmocka_unit_test_prestate(test, &leasing[0]), cmocka_unit_test_prestate(test, &leasing[1]), \
      cmocka_unit_test_prestate(test, &leasing[2])
static struct shoal_queue_options of_kind(struct shoal_queue_options o, void **state) {
  o.kind = *(uint32_t *)*state;
  if (o.kind == SHOAL_QUEUE_PRIORITY) o.key = (struct shoal_queue_key){SHOAL_KEY_U64, 0};
  return o;
}
static struct shoal_queue *make_leased(void **state, uint64_t lease_ns, uint32_t delivery_max) {
  struct shoal_queue_options o = {.capacity = 4, .lease_ns = lease_ns, .delivery_max = delivery_max};
  return make(of_kind(o, state));
}
static struct shoal_loan receive(struct shoal_queue *q) {
  struct shoal_loan loan;
  CHECK(shoal_queue_receive(q, &loan, SHOAL_FOREVER) == 0);
  return loan;
}
static void run_out(struct shoal_queue *q, const struct shoal_loan *loan) { ends_at(q, loan, 1024); }

static void test_a_lease_that_has_run_out_is_over(void **state) {
  (void)state;
  struct shoal_queue *q = make_leased(state, HOUR, 0);
  uint64_t v;
  for (uint64_t i = 1; i <= 3; i++) put(q, i);
  struct shoal_loan first = receive(q), again;
  assert_int_equal(first.redelivered, 0);
  assert_int_equal(*(uint64_t *)receive(q).data, 2);
  run_out(q, &first);
  again = receive(q);  // before newer ones
  assert_int_equal(*(uint64_t *)again.data, 1);
  assert_int_equal(again.redelivered, 1);
  assert_int_equal(info_of(q).expired, 1);
  assert_int_equal(shoal_queue_release(q, &first), -ETIMEDOUT);
  assert_string_equal(shoal_reason(), "position 0: its lease has run out, or it was given back");
  assert_int_equal(shoal_queue_return(q, &first), -ETIMEDOUT);
  assert_int_equal(shoal_queue_extend(q, &first), -ETIMEDOUT);
  assert_non_null(first.data);
  assert_int_equal(shoal_queue_extend(q, &again), 0);
  assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), 0);
  assert_int_equal(v, 3);
  assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EAGAIN);
  run_out(q, &again);
  assert_int_equal(shoal_queue_extend(q, &again), 0);  // nobody has taken it
  assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EAGAIN);
  run_out(q, &again);
  assert_int_equal(shoal_queue_release(q, &again), 0);
  assert_int_equal(shoal_queue_release(q, &again), -EINVAL);
  assert_int_equal(info_of(q).held, 1);
  assert_int_equal(info_of(q).lease_ns, HOUR);
  unmake(q);
}

// Left behind, it is delivered anew: the time that its word said is not the next one's.
static void test_who_leaves_takes_its_lease_along(void **state) {
  (void)state;
  struct shoal_queue *q = make_leased(state, HOUR, 0);
  put(q, 1);
  struct shoal_loan loan = receive(q);
  assert_true(shoal_load64_relaxed(&q->until[0]) != 0);
  assert_int_equal(shoal_queue_leave(q, SHOAL_CONSUMER), 0);
  assert_int_equal(shoal_load64_relaxed(&q->until[0]), 0);
  assert_int_equal(shoal_queue_release(q, &loan), -EPERM);
  loan = receive(q);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  unmake(q);
}

static void get_one_two_three(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  uint64_t v;
  if (i) {
    struct shoal_loan loan = receive(q);
    CHECK(loan.redelivered == 1 && *(uint64_t *)loan.data == 1);
    CHECK(shoal_queue_release(q, &loan) == 0);
  } else {
    CHECK(number_queue_get(q, &v, SHOAL_FOREVER) == 0 && v == 1);
  }
  shoal_add32_seq_cst(&s->done, 1);
  CHECK(shoal_queue_detach(q) == 0);
}
// Nobody wakes it: it wakes when the lease runs out.
static void test_a_sleeper_takes_what_runs_out(void **state) {
  (void)state;
  for (unsigned way = 0; way < 2; way++) {
    struct shoal_queue *q = make_leased(state, 20000000, 0);
    put(q, 1);
    struct shoal_loan loan = receive(q);
    struct peer p = peer_start(&arena, get_one_two_three, way);
    peer_join(&p);
    assert_int_equal(shoal_queue_release(q, &loan), -ETIMEDOUT);
    assert_int_equal(info_of(q).late, 0);
    assert_int_equal(info_of(q).expired, 1);
    unmake(q);
  }
}

// Nothing is due: it sleeps; something is: it is seen.
static void test_who_only_looks_at_leases(void **state) {
  (void)state;
  struct shoal_queue *q = make_leased(state, HOUR, 0);
  uint64_t v = 0;
  struct shoal_case readable[] = {shoal_on_readable(q)};
  assert_int_equal(number_queue_peek(q, &v, shoal_after_ms(60)), -ETIMEDOUT);
  assert_int_equal(shoal_select(readable, 1, shoal_after_ms(60)), -ETIMEDOUT);
  assert_true(info_of(q).sleeps < 10);
  for (int way = 0; way < 2; way++) {
    put(q, 7);
    struct shoal_loan loan = receive(q);
    assert_int_equal(number_queue_peek(q, &v, SHOAL_TRY), -EAGAIN);
    assert_int_equal(shoal_select(readable, 1, SHOAL_TRY), -EAGAIN);
    run_out(q, &loan);
    if (way == 0) assert_true(number_queue_peek(q, &v, SHOAL_TRY) == 0 && v == 7);
    else assert_int_equal(shoal_select_ready(readable, 1, SHOAL_TRY), 1);
    assert_int_equal(shoal_queue_release(q, &loan), -ETIMEDOUT);
    struct shoal_loan again = receive(q);
    assert_true(*(uint64_t *)again.data == 7 && again.redelivered == 1);
    assert_int_equal(shoal_queue_release(q, &again), 0);
  }
  assert_int_equal(info_of(q).expired, 2);
  unmake(q);
}

static void test_deliveries_in_vain_are_counted(void **state) {
  (void)state;
  struct shoal_queue *q = make_leased(state, 0, 3);
  uint64_t v;
  put(q, 1), put(q, 2);
  for (uint32_t i = 0; i < 3; i++) {
    struct shoal_loan loan = receive(q);
    assert_int_equal(*(uint64_t *)loan.data, 1);
    assert_int_equal(loan.redelivered, i);
    assert_int_equal(shoal_queue_return(q, &loan), 0);
  }
  struct shoal_loan loan = receive(q);  // the other is dropped
  assert_int_equal(*(uint64_t *)loan.data, 2);
  assert_int_equal(info_of(q).dropped, 1);
  assert_int_equal(shoal_queue_extend(q, &loan), -EINVAL);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EAGAIN);
  for (uint64_t lap = 0; lap < 40; lap++) {
    put(q, lap);
    assert_int_equal(get(q), lap);
  }
  unmake(q);
}

static void test_dead_letters(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_queue *q, *dead, *again;
  uint64_t v;
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  struct shoal_queue_options o = {.capacity = 4, .delivery_max = 1, .dead_letters = "dead"}, plain = {.capacity = 2};
  o = of_kind(o, state);
  assert_int_equal(number_queue_create(seg, "work", &o, &q), -ENOENT);
  assert_int_equal(
      shoal_queue_create(seg, "dead", &(struct shoal_queue_options){.capacity = 2, .element_size = 4}, &dead), 0);
  assert_int_equal(number_queue_create(seg, "work", &o, &q), -EBADMSG);
  assert_int_equal(number_queue_open_or_create(seg, "work", &o, &q), -EBADMSG);
  assert_int_equal(shoal_queue_detach(dead), 0);
  assert_int_equal(shoal_queue_unlink(seg, "dead"), 0);
  assert_int_equal(number_queue_create(seg, "dead", &plain, &dead), 0);
  assert_int_equal(number_queue_create(seg, "work", &o, &q), 0);
  assert_int_equal(number_queue_open(seg, "work", &again), 0);
  for (uint64_t i = 0; i < 3; i++) {
    put(q, i);
    struct shoal_loan loan = receive(q);
    assert_int_equal(shoal_queue_return(q, &loan), 0);
    if (i < 2) assert_int_equal(number_queue_get(again, &v, SHOAL_TRY), -EAGAIN);
  }
  struct shoal_loan loan = receive(q);  // no room there: never lost
  assert_int_equal(*(uint64_t *)loan.data, 2);
  assert_int_equal(shoal_queue_return(q, &loan), 0);
  assert_int_equal(info_of(q).buried, 2);
  for (uint64_t i = 0; i < 2; i++) assert_int_equal(get(dead), i);
  assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EAGAIN);
  assert_int_equal(get(dead), 2);
  assert_int_equal(shoal_queue_detach(again), 0);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_queue_detach(dead), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}

// Its deliveries are counted no further than 1,023, in the ring; its lease runs out as before.
static void test_deliveries_without_number(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_queue *q, *dead;
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  struct shoal_queue_options o = {.capacity = 4, .lease_ns = HOUR, .delivery_max = 1, .dead_letters = "dead"};
  o = of_kind(o, state);
  assert_int_equal(number_queue_create(seg, "dead", &(struct shoal_queue_options){.capacity = 2}, &dead), 0);
  assert_int_equal(number_queue_create(seg, "work", &o, &q), 0);
  put(dead, 0), put(dead, 0), put(q, 7);
  for (int i = 0; i < 1100; i++) {
    struct shoal_loan late = receive(q);
    assert_int_equal(*(uint64_t *)late.data, 7);
    run_out(q, &late);
  }
  struct shoal_loan last = receive(q);
  assert_true(last.redelivered >= SHOAL_SLOT_DEATHS_MAX_);
  assert_int_equal(info_of(q).expired, 1100);
  // Who would take it back has said so, and is stopped there; its holder gives it back.
  if (q->kind == SHOAL_QUEUE_MPMC) {
    shoal_atomic64 *word = &q->until[last.token % 4];
    shoal_store64_relaxed(word, (shoal_load64_relaxed(word) & 0x3fff) | UINT64_C(1) << 63);
    assert_int_equal(shoal_queue_return(q, &last), 0);
    last = receive(q);
  }
  assert_int_equal(shoal_queue_extend(q, &last), 0);
  assert_int_equal(shoal_queue_release(q, &last), 0);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_queue_detach(dead), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}

typedef double as_long;
SHOAL_QUEUE_TYPED(other_queue, as_long)
static void test_dead_letters_of_another_type_are_refused(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_queue *q = NULL, *dead;
  struct shoal_queue_options o = {.capacity = 4, .delivery_max = 1, .dead_letters = "dead"};
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(other_queue_create(seg, "dead", &(struct shoal_queue_options){.capacity = 2}, &dead), 0);
  assert_int_equal(number_queue_create(seg, "work", &o, &q), -EBADMSG);
  assert_string_equal(shoal_reason(), "its elements are of type as_long, not uint64_t");
  assert_null(q);
  assert_int_equal(number_queue_open(seg, "work", &q), -ENOENT);
  assert_int_equal(other_queue_create(seg, "work", &o, &q), 0);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_queue_detach(dead), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}

// A dead letter that its queue would drop is delivered all the same.
static void test_dead_letters_are_not_dropped(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_queue *q, *dead;
  uint64_t n = 0;
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  struct shoal_queue_options o = {.capacity = 4, .delivery_max = 1, .dead_letters = "dead"};
  o = of_kind(o, state);
  struct shoal_queue_options drops = {.capacity = 2, .overflow = SHOAL_OVERFLOW_DROP_NEWEST};
  assert_int_equal(number_queue_create(seg, "dead", &drops, &dead), 0);
  assert_int_equal(number_queue_create(seg, "work", &o, &q), 0);
  for (; n < 3; n++) {
    put(q, n);
    struct shoal_loan loan = receive(q);
    assert_int_equal(shoal_queue_return(q, &loan), 0);
  }
  assert_int_equal(number_queue_get(q, &n, SHOAL_TRY), 0);
  assert_int_equal(n, 2);
  assert_int_equal(info_of(q).buried, 2);
  for (uint64_t i = 0; i < 2; i++) assert_int_equal(get(dead), i);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_queue_detach(dead), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}

// What comes again has its order among the others: a job's key, or the top of the stack.
static void test_what_runs_out_comes_in_its_order(void **state) {
  (void)state;
  struct shoal_queue_options o = {.capacity = 4, .lease_ns = HOUR};
  for (o.kind = SHOAL_QUEUE_LIFO; o.kind <= SHOAL_QUEUE_PRIORITY; o.kind++) {
    if (o.kind == SHOAL_QUEUE_PRIORITY) o.key = (struct shoal_queue_key){SHOAL_KEY_U64, 0};
    struct shoal_queue *q = make(o);
    put(q, 5), put(q, 7);
    struct shoal_loan loan = receive(q);
    uint64_t has = *(uint64_t *)loan.data;
    assert_int_equal(has, o.kind == SHOAL_QUEUE_LIFO ? 7 : 5);
    put(q, 3);
    run_out(q, &loan);
    if (o.kind == SHOAL_QUEUE_PRIORITY) assert_int_equal(get(q), 3);
    assert_int_equal(get(q), has);
    if (o.kind == SHOAL_QUEUE_LIFO) assert_int_equal(get(q), 3);
    assert_int_equal(get(q), 12 - has);
    assert_int_equal(shoal_queue_release(q, &loan), -ETIMEDOUT);
    unmake(q);
  }
}

// Their cells were used before, and are not in the order of what lies in them.
static void test_several_that_run_out_keep_their_order(void **state) {
  (void)state;
  struct shoal_queue_options o = {.capacity = 3, .lease_ns = HOUR};
  for (o.kind = SHOAL_QUEUE_FIFO; o.kind <= SHOAL_QUEUE_LIFO; o.kind++) {
    struct shoal_queue *q = make(o);
    struct shoal_loan loan[3];
    for (uint64_t i = 1; i <= 3; i++) put(q, i);
    for (int i = 0; i < 3; i++) get(q);
    for (uint64_t i = 4; i <= 6; i++) put(q, i);
    for (int i = 0; i < 3; i++) loan[i] = receive(q);
    for (int i = 0; i < 3; i++) run_out(q, &loan[i]);
    for (uint64_t i = 4; i <= 6; i++) assert_int_equal(get(q), o.kind == SHOAL_QUEUE_FIFO ? i : 10 - i);
    unmake(q);
  }
}

// The leases of what lies in memory that came later, and of blocks: each end is one, and none is left.
static void test_leases_of_a_queue_that_grows(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_queue *q;
  struct shoal_loan loan[40];
  char bytes[100] = "";
  uint64_t size;
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  struct shoal_queue_options o = {.capacity = 2, .grow = 1, .bytes = 1, .lease_ns = HOUR, .delivery_max = 2};
  assert_int_equal(shoal_queue_create(seg, "work", &o, &q), 0);
  for (int i = 0; i < 40; i++) {
    bytes[0] = (char)i;
    assert_int_equal(shoal_queue_send(q, bytes, i % 2 ? 100 : 3, SHOAL_TRY), 0);
  }
  for (int i = 0; i < 40; i++) loan[i] = receive(q);
  for (int i = 0; i < 40; i += 3) assert_int_equal(shoal_queue_release(q, &loan[i]), 0);
  for (int i = 39; i >= 0; i--)
    if (i % 3) shoal_ordered_lease(&q->ordered, (uint32_t)loan[i].token, 1);
  shoal_store64_relaxed(&q->extra->next, 0);
  for (int i = 0; i < 40; i++) {
    if (i % 3 == 0) continue;
    assert_int_equal(shoal_queue_recv(q, bytes, 2, &size, SHOAL_TRY), -EMSGSIZE);  // not a delivery in vain
    assert_int_equal(shoal_queue_recv(q, bytes, sizeof bytes, &size, SHOAL_TRY), 0);
    assert_true(bytes[0] == i && size == (i % 2 ? 100u : 3u));
    assert_int_equal(shoal_queue_release(q, &loan[i]), -ETIMEDOUT);
  }
  assert_int_equal(info_of(q).expired, 26);
  assert_int_equal(info_of(q).held, 0);
  assert_true(info_of(q).grown > 3);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}

static void test_leases_that_make_no_sense(void **state) {
  (void)state;
  struct shoal_queue *q = make((struct shoal_queue_options){.capacity = 4});
  put(q, 1);
  struct shoal_loan loan = receive(q);
  assert_int_equal(shoal_queue_extend(q, &loan), -EINVAL);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  unmake(q);
  refused((struct shoal_queue_options){.capacity = 4, .kind = SHOAL_QUEUE_SPSC, .lease_ns = HOUR},
          "options.lease_ns, .delivery_max, .dead_letters: this kind delivers again only after deaths");
  refused((struct shoal_queue_options){.capacity = 4, .drop = 1, .delivery_max = 1},
          "options.drop: what is dropped is not delivered again");
  refused((struct shoal_queue_options){.capacity = 4, .lease_ns = 999999},
          "options.lease_ns: from a millisecond to nine years");
  refused((struct shoal_queue_options){.capacity = 4, .lease_ns = (UINT64_C(1) << 58) + 1},
          "options.lease_ns: from a millisecond to nine years");
  refused((struct shoal_queue_options){.capacity = 4, .lease_ns = UINT64_MAX},
          "options.lease_ns: from a millisecond to nine years");
  refused((struct shoal_queue_options){.capacity = 4, .delivery_max = 1024}, "options.delivery_max: 1,023 at most");
  refused((struct shoal_queue_options){.capacity = 4, .dead_letters = "dead"},
          "options.dead_letters: without .delivery_max nothing gets there");
  refused((struct shoal_queue_options){.capacity = 4, .delivery_max = 1, .dead_letters = ""},
          "options.dead_letters: no such name can be");
}

// Who asks for a promise that the queue there does not give is told, and who asks for none takes it as it is.
static void test_another_policy_is_not_opened(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_queue *q, *other = NULL, *letters[2];
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  const struct shoal_queue_options plain = {.capacity = 4}, drops = {.capacity = 4, .drop = 1};
  for (int i = 0; i < 2; i++) assert_int_equal(number_queue_create(seg, i ? "b" : "a", &plain, &letters[i]), 0);
  struct shoal_queue_options o = {
      .capacity = 4, .lease_ns = HOUR, .delivery_max = 3, .joinable = 1, .dead_letters = "a"};
  assert_int_equal(number_queue_create(seg, "q", &o, &q), 0);
  struct shoal_queue_options others[7] = {o, o, o, o, o, o, o};
  others[0].lease_ns = 0;
  others[1].delivery_max = 2;
  others[2].joinable = 0;
  others[3].overflow = SHOAL_OVERFLOW_REFUSE;
  others[4] = (struct shoal_queue_options){.capacity = 4, .kind = SHOAL_QUEUE_FIFO};
  others[5].dead_letters = NULL;
  others[6].dead_letters = "b";
  const char *why =
      "the queue there has another kind, overflow, joinable, lease_ns, delivery_max, drop or dead_letters";
  for (int i = 0; i < 7; i++) {
    assert_int_equal(number_queue_open_or_create(seg, "q", &others[i], &other), -EBADMSG);
    assert_string_equal(shoal_reason(), why);
    assert_null(other);
  }
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_FIFO; kind += SHOAL_QUEUE_FIFO) {
    struct shoal_queue_options has = drops, asks = plain;
    has.kind = asks.kind = kind;
    for (int i = 0; i < 2; i++) {
      struct shoal_queue *there;
      assert_int_equal(number_queue_create(seg, "drops", i ? &asks : &has, &there), 0);
      assert_int_equal(number_queue_open_or_create(seg, "drops", i ? &has : &asks, &other), -EBADMSG);
      assert_string_equal(shoal_reason(), why);
      assert_int_equal(number_queue_open_or_create(seg, "drops", i ? &asks : &has, &other), 0);
      assert_int_equal(shoal_queue_detach(other), 0);
      other = NULL;
      assert_int_equal(shoal_queue_detach(there), 0);
      assert_int_equal(shoal_queue_unlink(seg, "drops"), 0);
    }
  }
  struct shoal_queue_options none = {.capacity = 0};
  assert_int_equal(number_queue_open_or_create(seg, "q", &none, &other), 0);
  assert_int_equal(shoal_queue_detach(other), 0);
  o.capacity = 2;
  assert_int_equal(number_queue_open_or_create(seg, "q", &o, &other), 0);
  assert_int_equal(shoal_queue_detach(other), 0);
  assert_int_equal(shoal_queue_detach(q), 0);
  for (int i = 0; i < 2; i++) assert_int_equal(shoal_queue_detach(letters[i]), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}

static void receive_and_die(void *memory, unsigned i) {
  (void)i;
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  receive(q);
  shoal_add32_seq_cst(&s->ready, 1);
  for (;;) pause();
}
static void test_deaths_count_too(void **state) {
  (void)state;
  struct shoal_queue *q = make_leased(state, HOUR, 2);
  uint64_t v;
  put(q, 1);
  for (uint32_t i = 0; i < 2; i++) {
    struct peer p = peer_start(&arena, receive_and_die, 0);
    await(&shared()->ready, i + 1);
    peer_kill(&p);
  }
  assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EAGAIN);
  assert_int_equal(info_of(q).dropped, 1);
  unmake(q);
}

// A lease is short, and holders dally: a message may be in many hands, and is released once.
#define LEASED 600
// Its lease may have run out by now, and another's release made room: a race that the release after it tells of.
static SHOAL_NOINLINE SHOAL_NO_TSAN uint64_t number_in(const struct shoal_loan *loan) {
  return *(const volatile uint64_t *)loan->data;
}
static void release_some(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  CHECK(shoal_queue_join(q, i ? SHOAL_CONSUMER : SHOAL_PRODUCER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->ready, 4);
  if (i == 0) {
    for (uint64_t v = 0; v < LEASED; v++) CHECK(number_queue_put(q, &v, SHOAL_FOREVER) == 0);
  } else {
    struct shoal_loan loan;
    while (shoal_queue_receive(q, &loan, SHOAL_FOREVER) == 0) {
      uint64_t v = number_in(&loan);
      if ((v + i + loan.redelivered) % 5 == 0) usleep(1500);
      int rc = (v + i) % 7 == 0 ? shoal_queue_extend(q, &loan) : 0;
      if (rc == 0) rc = shoal_queue_release(q, &loan);
      CHECK(rc == 0 || rc == -ETIMEDOUT);
      if (rc == 0) CHECK(v < LEASED && __atomic_fetch_add(&s->ledger[v], 1, __ATOMIC_RELAXED) == 0);
    }
  }
  CHECK(shoal_queue_detach(q) == 0);
}
static void released_once(void **state, enum driver driver) {
  struct shoal_queue *q = make_leased(state, 1000000, 0);
  run(&arena, driver, 4, release_some);
  for (int i = 0; i < LEASED; i++) assert_int_equal(shared()->ledger[i], 1);
  assert_int_equal(info_of(q).late, 0);
  unmake(q);
}
static void test_released_once_threads(void **state) { released_once(state, THREADS); }
static void test_released_once_processes(void **state) { released_once(state, PROCESSES); }

static void test_joinable_with_leases(void **state) {
  (void)state;
  struct shoal_queue *q =
      make(of_kind((struct shoal_queue_options){4, .joinable = 1, .lease_ns = HOUR, .delivery_max = 5}, state));
  put(q, 1);
  assert_int_equal(get(q), 1);
  struct shoal_loan taken = {.token = 0};
  run_out(q, &taken);
  assert_int_equal(get(q), 1);
  assert_int_equal(shoal_queue_task_done(q), -ETIMEDOUT);  // the first time it was got
  assert_int_equal(shoal_queue_task_done(q), 0);
  assert_int_equal(shoal_queue_task_done(q), -EINVAL);
  assert_int_equal(shoal_queue_join_tasks(q, SHOAL_FOREVER), 0);
  unmake(q);
}

static void get_and_be_done(void *memory, unsigned i) {
  (void)i;
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  CHECK(get(q) == 1);
  CHECK(shoal_queue_task_done(q) == 0);
  shoal_add32_seq_cst(&s->done, 1);
  CHECK(shoal_queue_detach(q) == 0);
}
// Another got it meanwhile: who is late hears of it, and ends no other message in its stead.
static void test_a_late_task_done_ends_no_other(void **state) {
  (void)state;
  for (uint64_t more = 0; more < 2; more++) {
    struct shoal_queue *q =
        make(of_kind((struct shoal_queue_options){.capacity = 4, .joinable = 1, .lease_ns = HOUR}, state));
    for (uint64_t i = 0; i <= more; i++) put(q, 1 + i);
    for (uint64_t i = 0; i <= more; i++) assert_int_equal(get(q), 1 + i);
    struct shoal_loan taken = {.token = 0};
    run_out(q, &taken);
    struct peer p = peer_start(&arena, get_and_be_done, 0);
    peer_join(&p);
    assert_int_equal(shoal_queue_task_done(q), -ETIMEDOUT);
    assert_int_equal(info_of(q).held, more);
    if (more) assert_int_equal(shoal_queue_task_done(q), 0);
    assert_int_equal(shoal_queue_task_done(q), -EINVAL);
    put(q, 3);
    assert_int_equal(get(q), 3);
    shoal_queue_leave(q, SHOAL_CONSUMER);
    assert_int_equal(shoal_queue_task_done(q), -EINVAL);  // given back, not late
    assert_int_equal(get(q), 3);
    assert_int_equal(shoal_queue_task_done(q), 0);
    unmake(q);
  }
}

// What stands there is not believed.
static void test_damaged_policies_are_refused(void **state) {
  (void)state;
  struct shoal_queue *q = make_leased(state, HOUR, 2), *other;
  char *memory = (char *)arena.memory + QUEUE_AT;
  uint64_t size = shared()->queue_size, good = q->shm->extra;
  static const uint64_t absurd[] = {1, 64, UINT32_MAX, UINT64_MAX & ~UINT64_C(63), UINT64_MAX};
  for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++) {
    q->shm->extra = i == 1 ? size : absurd[i];
    assert_int_equal(shoal_queue_attach_(memory, size, 8, &other), -EPROTO);
  }
  q->shm->extra = good;
  assert_int_equal(shoal_queue_attach_(memory, size - 64, 8, &other), -EPROTO);
  q->shm->overflow = 17;
  assert_int_equal(shoal_queue_attach_(memory, size, 8, &other), -EPROTO);
  q->shm->overflow = 0;
  q->extra->lease_ns = UINT64_MAX;
  assert_int_equal(shoal_queue_attach_(memory, size, 8, &other), -EPROTO);
  q->extra->lease_ns = HOUR;
  for (int k = 0; k < 4; k++) shoal_store64_relaxed(&q->until[k], UINT64_MAX);
  shoal_store64_relaxed(&q->extra->next, UINT64_MAX);
  put(q, 1);
  struct shoal_loan loan = receive(q);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
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
      cmocka_unit_test(test_what_was_got_is_unfinished),
      cmocka_unit_test(test_a_release_is_a_task_done),
      cmocka_unit_test(test_the_first_that_was_got_is_done),
      cmocka_unit_test(test_a_queue_that_has_grown_is_joined),
      cmocka_unit_test(test_not_joinable),
      cmocka_unit_test(test_a_dead_ones_unfinished_come_again),
      cmocka_unit_test(test_joiners_are_told_that_nobody_will_finish),
      cmocka_unit_test(test_joined_when_all_is_done_threads),
      cmocka_unit_test(test_joined_when_all_is_done_processes),
      EACH_LEASING(test_a_lease_that_has_run_out_is_over),
      cmocka_unit_test_prestate(test_who_leaves_takes_its_lease_along, &leasing[0]),
      EACH_LEASING(test_a_sleeper_takes_what_runs_out),
      EACH_LEASING(test_who_only_looks_at_leases),
      EACH_LEASING(test_deliveries_in_vain_are_counted),
      EACH_LEASING(test_dead_letters),
      EACH_LEASING(test_deliveries_without_number),
      cmocka_unit_test(test_dead_letters_of_another_type_are_refused),
      EACH_LEASING(test_dead_letters_are_not_dropped),
      cmocka_unit_test(test_what_runs_out_comes_in_its_order),
      cmocka_unit_test(test_several_that_run_out_keep_their_order),
      cmocka_unit_test(test_leases_of_a_queue_that_grows),
      cmocka_unit_test(test_leases_that_make_no_sense),
      cmocka_unit_test(test_another_policy_is_not_opened),
      EACH_LEASING(test_deaths_count_too),
      EACH_LEASING(test_released_once_threads),
      EACH_LEASING(test_released_once_processes),
      EACH_LEASING(test_joinable_with_leases),
      EACH_LEASING(test_a_late_task_done_ends_no_other),
      cmocka_unit_test_prestate(test_damaged_policies_are_refused, &leasing[0]),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
