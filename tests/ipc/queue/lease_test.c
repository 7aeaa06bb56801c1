// Claims of leases of ipc/queue/queue: what is not released in time is delivered again, to sleepers too; only one can
// release it; an extension is in time or refused; deliveries are counted, and one too many goes to dead letters, never
// lost; a policy that makes no sense, or is damaged, or is another than was asked for, is refused.
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/message.h"
#include "ipc/queue/select.h"
#include "tests/ipc/queue/policy_fixture.h"

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
  return make_with(of_kind(o, state));
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
    assert_int_equal(get_number(q), lap);
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
  for (uint64_t i = 0; i < 2; i++) assert_int_equal(get_number(dead), i);
  assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EAGAIN);
  assert_int_equal(get_number(dead), 2);
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
  for (uint64_t i = 0; i < 2; i++) assert_int_equal(get_number(dead), i);
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
    struct shoal_queue *q = make_with(o);
    put(q, 5), put(q, 7);
    struct shoal_loan loan = receive(q);
    uint64_t has = *(uint64_t *)loan.data;
    assert_int_equal(has, o.kind == SHOAL_QUEUE_LIFO ? 7 : 5);
    put(q, 3);
    run_out(q, &loan);
    if (o.kind == SHOAL_QUEUE_PRIORITY) assert_int_equal(get_number(q), 3);
    assert_int_equal(get_number(q), has);
    if (o.kind == SHOAL_QUEUE_LIFO) assert_int_equal(get_number(q), 3);
    assert_int_equal(get_number(q), 12 - has);
    assert_int_equal(shoal_queue_release(q, &loan), -ETIMEDOUT);
    unmake(q);
  }
}

// Their cells were used before, and are not in the order of what lies in them.
static void test_several_that_run_out_keep_their_order(void **state) {
  (void)state;
  struct shoal_queue_options o = {.capacity = 3, .lease_ns = HOUR};
  for (o.kind = SHOAL_QUEUE_FIFO; o.kind <= SHOAL_QUEUE_LIFO; o.kind++) {
    struct shoal_queue *q = make_with(o);
    struct shoal_loan loan[3];
    for (uint64_t i = 1; i <= 3; i++) put(q, i);
    for (int i = 0; i < 3; i++) get_number(q);
    for (uint64_t i = 4; i <= 6; i++) put(q, i);
    for (int i = 0; i < 3; i++) loan[i] = receive(q);
    for (int i = 0; i < 3; i++) run_out(q, &loan[i]);
    for (uint64_t i = 4; i <= 6; i++) assert_int_equal(get_number(q), o.kind == SHOAL_QUEUE_FIFO ? i : 10 - i);
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
  struct shoal_queue *q = make_with((struct shoal_queue_options){.capacity = 4});
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
  const char *why[7] = {"lease_ns 3600000000000, not 0",
                        "delivery_max 3, not 2",
                        "joinable 1, not 0",
                        "overflow 0, not 1",
                        "kind MPMC, not FIFO",
                        "dead_letters \"a\", not \"\"",
                        "dead_letters \"a\", not \"b\""};
  for (int i = 0; i < 7; i++) {
    assert_int_equal(number_queue_open_or_create(seg, "q", &others[i], &other), -EBADMSG);
    assert_string_equal(shoal_reason() + strlen("the queue there has "), why[i]);
    assert_null(other);
  }
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_FIFO; kind += SHOAL_QUEUE_FIFO) {
    struct shoal_queue_options has = drops, asks = plain;
    has.kind = asks.kind = kind;
    for (int i = 0; i < 2; i++) {
      struct shoal_queue *there;
      assert_int_equal(number_queue_create(seg, "drops", i ? &asks : &has, &there), 0);
      assert_int_equal(number_queue_open_or_create(seg, "drops", i ? &has : &asks, &other), -EBADMSG);
      assert_string_equal(shoal_reason() + strlen("the queue there has "), i ? "drop 0, not 1" : "drop 1, not 0");
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
      make_with(of_kind((struct shoal_queue_options){4, .joinable = 1, .lease_ns = HOUR, .delivery_max = 5}, state));
  put(q, 1);
  assert_int_equal(get_number(q), 1);
  struct shoal_loan taken = {.token = 0};
  run_out(q, &taken);
  assert_int_equal(get_number(q), 1);
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
  CHECK(get_number(q) == 1);
  CHECK(shoal_queue_task_done(q) == 0);
  shoal_add32_seq_cst(&s->done, 1);
  CHECK(shoal_queue_detach(q) == 0);
}
// Another got it meanwhile: who is late hears of it, and ends no other message in its stead.
static void test_a_late_task_done_ends_no_other(void **state) {
  (void)state;
  for (uint64_t more = 0; more < 2; more++) {
    struct shoal_queue *q =
        make_with(of_kind((struct shoal_queue_options){.capacity = 4, .joinable = 1, .lease_ns = HOUR}, state));
    for (uint64_t i = 0; i <= more; i++) put(q, 1 + i);
    for (uint64_t i = 0; i <= more; i++) assert_int_equal(get_number(q), 1 + i);
    struct shoal_loan taken = {.token = 0};
    run_out(q, &taken);
    struct peer p = peer_start(&arena, get_and_be_done, 0);
    peer_join(&p);
    assert_int_equal(shoal_queue_task_done(q), -ETIMEDOUT);
    assert_int_equal(info_of(q).held, more);
    if (more) assert_int_equal(shoal_queue_task_done(q), 0);
    assert_int_equal(shoal_queue_task_done(q), -EINVAL);
    put(q, 3);
    assert_int_equal(get_number(q), 3);
    shoal_queue_leave(q, SHOAL_CONSUMER);
    assert_int_equal(shoal_queue_task_done(q), -EINVAL);  // given back, not late
    assert_int_equal(get_number(q), 3);
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
