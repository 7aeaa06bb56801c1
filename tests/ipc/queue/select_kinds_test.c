// Claims of ipc/queue/select, of what is no queue of elements:
//   1 byte messages and pipes: what is sent, or received, is one message, in a block or not, and nothing of it if
//     another case is performed; both ends of a pipe, their directions, and their ends
//   2 topics: the next message, for each subscriber and one member of a group; publishing, when there is room; their
//     ends; looks take nothing; no subscriber, no wake-up is lost; deaths of who was woken
#include <string.h>

#include "core/error.h"
#include "tests/ipc/queue/select_fixture.h"

SHOAL_PIPE_TYPED(number_pipe, uint64_t)
SHOAL_PIPE_SELECT_TYPED(number_pipe, uint64_t)

// ---- 1 ----

static struct shoal_segment *seg;
static struct shoal_heap *heap;
static void make_segment(void) {
  assert_int_equal(shoal_segment_create(NULL, &(struct shoal_segment_options){.size = 8 << 20}, &seg), 0);
  assert_int_equal(shoal_heap_open(seg, &heap), 0);
  arena_make(&arena, sizeof(struct shared));
}
static void unmake_segment(void) {
  assert_int_equal(shoal_heap_close(heap), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
  arena_free(&arena);
}
static uint64_t blocks(void) {
  struct shoal_heap_info info;
  CHECK(shoal_heap_info(heap, &info) == 0);
  return info.blocks;
}

#define LONG 3000u
static char text[LONG], got[LONG];
static void test_byte_messages(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_PRIORITY; kind++) {
    make_segment();
    struct shoal_queue *q[2];
    const struct shoal_queue_options o = {.capacity = 2, .bytes = 1, .kind = kind};
    for (int k = 0; k < 2; k++) assert_int_equal(shoal_queue_create(seg, k ? "b" : "a", &o, &q[k]), 0);
    uint64_t size = 0, before = blocks(), n = 0;
    struct shoal_case c[] = {shoal_on_recv(q[0], got, LONG, &size), shoal_on_send(q[1], text, LONG)};
    memset(text, 'x', LONG);
    while (shoal_select(c, 2, SHOAL_TRY) == 1) n++;
    assert_true(n >= 2);
    assert_int_equal(blocks(), before + n);
    assert_int_equal(shoal_select(c, 2, shoal_after_ms(2)), -ETIMEDOUT);
    assert_int_equal(blocks(), before + n);  // none for what was not sent
    assert_int_equal(shoal_queue_send(q[0], text, LONG, SHOAL_TRY), 0);
    c[0].size = 5;
    assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 0);
    assert_true(c[0].result == -EMSGSIZE && size == LONG);
    c[0].size = LONG;
    assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 0);
    assert_true(c[0].result == 0 && size == LONG && !memcmp(got, text, LONG));
    c[1].size = 0;
    assert_int_equal(shoal_queue_recv(q[1], got, LONG, &size, SHOAL_TRY), 0);
    if (kind != SHOAL_QUEUE_SPSC) assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 1);
    c[1].size = UINT64_MAX;
    assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), -EMSGSIZE);
    assert_true(shoal_queue_clear(q[1]) > 0);
    assert_int_equal(blocks(), before);
    for (int k = 0; k < 2; k++) assert_int_equal(shoal_queue_detach(q[k]), 0);
    unmake_segment();
  }
}

static void test_byte_messages_by_their_keys(void **state) {
  (void)state;
  const int64_t keys[] = {5, INT64_MIN, 5, -3};
  const unsigned order[] = {1, 3, 0, 2};
  struct shoal_queue *q, *unsorted;
  make_segment();
  const struct shoal_queue_options o = {.capacity = 4, .bytes = 1, .kind = SHOAL_QUEUE_PRIORITY};
  const struct shoal_queue_options other = {.capacity = 4, .bytes = 1};
  assert_int_equal(shoal_queue_create(seg, "a", &o, &q), 0);
  assert_int_equal(shoal_queue_create(seg, "b", &other, &unsorted), 0);
  for (unsigned i = 0; i < 4; i++) {  // in the slot, and in a block
    memset(text, (int)i, LONG);
    struct shoal_case c[] = {shoal_on_nothing(), shoal_on_send_key(q, keys[i], text, i < 2 ? 40 : LONG)};
    assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 1);
  }
  struct shoal_case c[] = {shoal_on_nothing(), shoal_on_send_key(q, 1, text, LONG)};
  assert_int_equal(shoal_select(c, 2, SHOAL_TRY), -EAGAIN);
  for (unsigned k = 0; k < 4; k++) {
    uint64_t size, is = order[k] < 2 ? 40 : LONG;
    c[1] = shoal_on_recv(q, text, is - 1, &size);
    assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 1);
    assert_true(c[1].result == -EMSGSIZE && c[1].key == keys[order[k]] && size == is);
    c[1] = shoal_on_recv(q, text, LONG, &size);
    assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 1);
    assert_true(c[1].result == 0 && c[1].key == keys[order[k]] && size == is);
    assert_int_equal(text[39], order[k]);
  }
  c[1] = shoal_on_send(q, text, 1);
  assert_int_equal(shoal_select(c, 2, SHOAL_TRY), 1);
  c[1] = shoal_on_send_key(unsorted, 1, text, 1);
  assert_int_equal(shoal_select(c, 2, SHOAL_TRY), -EINVAL);
  assert_string_equal(shoal_reason(), "case 1: a key in a queue that is sorted by none");
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_queue_detach(unsorted), 0);
  unmake_segment();
}

// The other ends: answers each message with one of the same size, then waits for the end.
static struct shoal_pipe *ends[2], *numbers[2];
static void answers(void *memory, unsigned i) {
  uint64_t size = 0, number = 0, left = 2;
  struct shoal_case c[] = {shoal_on_pipe_recv(ends[1], got, LONG, &size), number_pipe_on_recv(numbers[1], &number)};
  (void)memory, (void)i;
  while (left) {
    int k = shoal_select(c, 2, SHOAL_FOREVER);
    CHECK(k >= 0);
    if (c[k].result == -EPIPE) {
      c[k] = shoal_on_nothing(), left--;
      continue;
    }
    struct shoal_case one = k ? number_pipe_on_send(numbers[1], &number) : shoal_on_pipe_send(ends[1], got, size);
    CHECK(c[k].result == 0 && shoal_select(&one, 1, SHOAL_FOREVER) == 0);
  }
}
static void test_pipes(void **state) {
  (void)state;
  make_segment();
  const struct shoal_pipe_options o = {.capacity = 4, .duplex = 1};
  assert_int_equal(shoal_pipe_create(seg, NULL, &o, ends), 0);
  assert_int_equal(number_pipe_create(seg, NULL, &o, numbers), 0);
  struct peer p = peer_start(&arena, answers, 0);
  assert_int_equal(shoal_pipe_give(&ends[1], (uint32_t)p.pid), 0);
  assert_int_equal(shoal_pipe_give(&numbers[1], (uint32_t)p.pid), 0);
  uint64_t size = 0, number = 0;
  struct shoal_case c[] = {shoal_on_pipe_recv(ends[0], got, LONG, &size), number_pipe_on_recv(numbers[0], &number),
                           shoal_on_pipe_readable(ends[0]), shoal_on_pipe_writable(ends[0])};
  for (uint64_t n = 1; n <= 200; n++) {
    uint64_t out = n;
    memset(text, (int)n, LONG);
    assert_int_equal(shoal_select(&c[3], 1, SHOAL_FOREVER), 0);
    if (n % 2) assert_int_equal(shoal_pipe_send(ends[0], text, n * 15, SHOAL_FOREVER), 0);
    else assert_int_equal(number_pipe_send(numbers[0], &out, SHOAL_FOREVER), 0);
    assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), n % 2 ? 0 : 1);
    if (n % 2) assert_true(size == n * 15 && !memcmp(got, text, size));
    else assert_int_equal(number, n);
  }
  assert_int_equal(shoal_select(&c[2], 1, SHOAL_TRY), -EAGAIN);
  if (!peer_is_asleep(&p)) peer_asleep(&p);
  peer_kill(&p);
  for (int k = 0; k < 2; k++) {  // its death is both ends', at once
    assert_int_equal(shoal_select(&c[k], 1, SHOAL_FOREVER), 0);
    assert_int_equal(c[k].result, -EPIPE);
  }
  assert_int_equal(shoal_pipe_close(&ends[0]), 0);
  assert_int_equal(shoal_pipe_close(&numbers[0]), 0);
  unmake_segment();
}
static void test_directions_of_pipes(void **state) {
  (void)state;
  make_segment();
  uint64_t size, number[3] = {1, 2, 3};
  assert_int_equal(number_pipe_create(seg, NULL, &(struct shoal_pipe_options){.capacity = 4}, numbers), 0);
  assert_int_equal(shoal_pipe_create(seg, NULL, &(struct shoal_pipe_options){.capacity = 4}, ends), 0);
  struct shoal_case wrong[] = {shoal_on_pipe_recv(ends[1], got, LONG, &size),
                               shoal_on_pipe_send(ends[0], text, 1),
                               shoal_on_pipe_readable(ends[1]),
                               shoal_on_pipe_writable(ends[0]),
                               number_pipe_on_recv(numbers[1], number),
                               number_pipe_on_send(numbers[0], number)};
  for (int k = 0; k < 6; k++) assert_int_equal(shoal_select(&wrong[k], 1, SHOAL_TRY), -EPERM);
  struct shoal_case typed = shoal_on_pipe_send(numbers[1], text, 8);
  assert_int_equal(shoal_select(&typed, 1, SHOAL_TRY), -EBADMSG);
  struct iovec two[2] = {{text, 100}, {text, 3}};
  assert_int_equal(shoal_pipe_send_n(ends[0], two, 2, SHOAL_TRY), -EPERM);
  assert_int_equal(shoal_pipe_send_n(numbers[1], two, 2, SHOAL_TRY), -EBADMSG);
  assert_int_equal(number_pipe_send_n(ends[1], number, 3, SHOAL_TRY), -EBADMSG);
  assert_int_equal(number_pipe_send_n(numbers[0], number, 3, SHOAL_TRY), -EPERM);
  assert_int_equal(shoal_pipe_send_n(ends[1], two, 2, SHOAL_TRY), 2);
  assert_int_equal(shoal_pipe_peek(ends[0], NULL, 0, &size, SHOAL_TRY), -EMSGSIZE);
  assert_int_equal(size, 100);
  two[0].iov_base = got;
  assert_int_equal(shoal_pipe_recv_n(ends[0], two, 2, SHOAL_TRY), 2);
  assert_true(two[0].iov_len == 100 && two[1].iov_len == 3);
  assert_int_equal(number_pipe_send_n(numbers[1], number, 3, SHOAL_TRY), 3);
  memset(number, 0, sizeof number);
  assert_int_equal(number_pipe_recv_n(numbers[0], number, 3, SHOAL_TRY), 3);
  assert_int_equal(number[2], 3);
  for (int k = 0; k < 2; k++) {
    assert_int_equal(shoal_pipe_close(&ends[k]), 0);
    assert_int_equal(shoal_pipe_close(&numbers[k]), 0);
  }
  unmake_segment();
}

// ---- 2 ----

SHOAL_TOPIC_TYPED(topic_of, uint64_t)
SHOAL_TOPIC_SELECT_TYPED(topic_of, uint64_t)

static struct shoal_segment *topic_seg;
static struct shoal_topic *topic;
static void make_topic(uint32_t capacity) {
  static const struct shoal_segment_options small = {.size = 1 << 20, .size_max = 1 << 22, .participants = 32};
  struct shoal_topic_options o = {.capacity = capacity, .publishers = 4, .subscribers = 8, .groups = 2};
  assert_int_equal(shoal_segment_create(NULL, &small, &topic_seg), 0);
  assert_int_equal(topic_of_create(topic_seg, "t", &o, &topic), 0);
}
static void unmake_topic(void) {
  struct shoal_topic_info info;
  assert_int_equal(shoal_topic_info(topic, &info), 0);
  assert_int_equal(info.late, 0);
  assert_int_equal(shoal_topic_detach(topic), 0);
  assert_int_equal(shoal_segment_close(topic_seg), 0);
}
static struct shoal_topic *open_topic(void) {
  struct shoal_topic *t;
  CHECK(topic_of_open(topic_seg, "t", &t) == 0);
  return t;
}
static void subscribe(struct shoal_topic *t, uint32_t slow, const char *group) {
  CHECK(shoal_topic_subscribe(t, &(struct shoal_topic_subscription){.slow = slow, .group = group}) == 0);
}
static int publish(uint64_t v) { return topic_of_publish(topic, &v, SHOAL_TRY); }

// A message in the ring, a hole before it, one that was passed over: alone, dropping, and in a group.
static void test_a_topic_is_read(void **state) {
  (void)state;
  static const char *const groups[] = {NULL, NULL, "g", "g"};
  for (uint32_t way = 0; way < 4; way++) {
    uint32_t slow = way % 2 ? SHOAL_TOPIC_DROP : SHOAL_TOPIC_WAIT;
    uint64_t v = 77, w;
    struct shoal_loan loan;
    make_topic(4);
    make(1);
    shoal_queue_join(Q[0], SHOAL_PRODUCER);
    struct shoal_topic *t = open_topic();
    struct shoal_case c[] = {topic_of_on_get(t, &v), number_queue_on_get(Q[0], &w), shoal_on_topic_readable(t)};
    assert_int_equal(shoal_select(c, 1, SHOAL_TRY), -EINVAL);
    assert_string_equal(shoal_reason(), "this thread does not subscribe");
    subscribe(t, slow, groups[way]);
    assert_int_equal(shoal_topic_join(topic), 0);
    assert_int_equal(shoal_select(c, 3, SHOAL_TRY), -EAGAIN);
    assert_int_equal(shoal_select(c, 3, shoal_after_ms(1)), -ETIMEDOUT);
    assert_int_equal(shoal_topic_reserve(topic, &loan, SHOAL_TRY), 0);
    assert_int_equal(shoal_select(&c[2], 1, shoal_after_ms(1)), -ETIMEDOUT);
    assert_int_equal(shoal_topic_cancel(topic, &loan), 0);
    assert_int_equal(shoal_select(&c[2], 1, shoal_after_ms(1)), -ETIMEDOUT);  // a hole is no message
    assert_int_equal(publish(1), 0);
    for (int again = 0; again < 2; again++) assert_int_equal(shoal_select(&c[2], 1, SHOAL_FOREVER), 0);
    assert_int_equal(shoal_select_ready(c, 2, SHOAL_TRY), 1);
    assert_true(c[0].ready && !c[1].ready && v == 77);
    c[0].turn_ = 3;  // the first in turn
    assert_int_equal(shoal_select(c, 3, SHOAL_FOREVER), 0);
    assert_int_equal(v, 1);
    assert_int_equal(shoal_select(c, 3, SHOAL_TRY), -EAGAIN);
    for (uint64_t i = 2; i < 12; i++) assert_int_equal(publish(i), slow == SHOAL_TOPIC_DROP || i < 6 ? 0 : -EAGAIN);
    assert_int_equal(shoal_select(&c[2], 1, SHOAL_TRY), 0);
    assert_int_equal(shoal_select(c, 1, SHOAL_TRY), 0);
    assert_true(slow == SHOAL_TOPIC_DROP ? v > 6 : v == 2);
    assert_int_equal(shoal_topic_receive(t, &loan, SHOAL_TRY), 0);
    assert_int_equal(shoal_select(c, 3, SHOAL_FOREVER), -EBUSY);
    assert_int_equal(shoal_topic_return(t, &loan), 0);
    assert_int_equal(shoal_select(&c[2], 1, SHOAL_TRY), 0);  // it came back
    while (shoal_select(c, 1, SHOAL_TRY) == 0) continue;
    put(Q[0], 5);
    assert_int_equal(shoal_select(c, 3, SHOAL_FOREVER), 1);
    assert_int_equal(publish(20), 0);
    shoal_topic_close(topic);
    assert_int_equal(shoal_select(c, 1, SHOAL_FOREVER), 0);
    assert_true(c[0].result == 0 && v == 20);
    assert_int_equal(shoal_select(c, 3, SHOAL_FOREVER) % 2, 0);
    assert_int_equal(c[0].result + c[2].result, -EPIPE);
    assert_int_equal(shoal_topic_detach(t), 0);
    unmake_topic();
    unmake();
  }
}

static void test_a_topic_is_published(void **state) {
  (void)state;
  uint64_t v = 1, w = 0;
  make_topic(2);
  struct shoal_topic *t = open_topic();
  struct shoal_case c[] = {topic_of_on_publish(topic, &v), shoal_on_topic_writable(topic)};
  assert_int_equal(shoal_select(c, 1, SHOAL_FOREVER), 0);  // nobody reads it: it goes
  subscribe(t, SHOAL_TOPIC_WAIT, NULL);
  for (v = 2; v < 4; v++) {
    assert_int_equal(shoal_select(&c[1], 1, SHOAL_TRY), 0);
    assert_int_equal(shoal_select(c, 1, SHOAL_TRY), 0);
  }
  assert_int_equal(shoal_select(c, 2, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_select(c, 2, shoal_after_ms(1)), -ETIMEDOUT);
  for (uint64_t i = 2; i < 4; i++) assert_true(topic_of_get(t, &w, SHOAL_TRY) == 0 && w == i);
  assert_int_equal(topic_of_get(t, &w, SHOAL_TRY), -EAGAIN);
  shoal_topic_close(topic);
  assert_int_equal(shoal_select(c, 1, SHOAL_FOREVER), 0);
  assert_int_equal(c[0].result, -EPIPE);
  assert_int_equal(shoal_select(&c[1], 1, SHOAL_FOREVER), 0);
  assert_int_equal(c[1].result, -EPIPE);
  make(1);
  put(Q[0], 7);
  refused(shoal_on_topic_get(NULL, &v), -EINVAL, "case 1: no topic");
  refused(shoal_on_topic_publish(topic, NULL), -EINVAL, "case 1: no element");
  refused(shoal_on_topic_(SHOAL_CASE_TOPIC_GET, topic, &v, 4), -EBADMSG, "case 1: messages of 8 bytes, not 4");
  assert_int_equal(get(Q[0]), 7);
  unmake();
  assert_int_equal(shoal_topic_detach(t), 0);
  unmake_topic();
}

// Each sleeps for a topic and a queue; all see the one message, and the queue's goes to one of them. A killed one keeps
// nothing.
static void sleeps_for_topic(void *memory, unsigned i) {
  struct shared *s = memory;
  uint64_t v = 0, w = 0;
  struct shoal_topic *t = open_topic();
  struct shoal_queue *q = attach(memory, 0);
  struct shoal_case c[] = {topic_of_on_get(t, &v), number_queue_on_get(q, &w)};
  subscribe(t, SHOAL_TOPIC_WAIT, NULL);
  shoal_add32_seq_cst(&s->ready, 1);
  for (int n = 0; n < 3; n++) {
    int k = shoal_select(c, 2, SHOAL_FOREVER);
    CHECK(k == 1 ? c[1].result == 0 && w == 50 : k == 0 && c[0].result == 0 && v == (uint64_t)n);
    if (k == 0) continue;
    n--;
    shoal_add32_seq_cst(&s->stage, 1);
  }
  shoal_add32_seq_cst(&s->done, 1);
  CHECK(i < 8);
  CHECK(shoal_topic_detach(t) == 0 && shoal_queue_detach(q) == 0);
}
static void test_all_that_sleep_for_a_topic(void **state) {
  (void)state;
  make_topic(4);
  make(1);
  struct peer p[4];
  assert_int_equal(shoal_topic_join(topic), 0);
  assert_int_equal(shoal_queue_join(Q[0], SHOAL_PRODUCER), 0);
  for (unsigned i = 0; i < 4; i++) p[i] = peer_start(&arena, sleeps_for_topic, i);
  await(&shared()->ready, 4);
  for (unsigned i = 0; i < 4; i++) peer_asleep(&p[i]);
  assert_int_equal(publish(0), 0);
  put(Q[0], 50);
  await(&shared()->stage, 1);
  for (unsigned i = 0; i < 4; i++) peer_asleep(&p[i]);
  assert_int_equal(publish(1), 0);
  peer_kill(&p[0]);
  for (uint64_t v = 2; v < 12; v++)  // nobody waits for the dead
    assert_int_equal(topic_of_publish(topic, &v, SHOAL_FOREVER), 0);
  for (unsigned i = 1; i < 4; i++) peer_join(&p[i]);
  unmake();
  unmake_topic();
}

static void dies_with_a_message(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = open_topic();
  struct shoal_loan loan;
  (void)i;
  subscribe(t, SHOAL_TOPIC_WAIT, "g");
  CHECK(shoal_topic_receive(t, &loan, SHOAL_FOREVER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  _exit(0);
}
static void stands_in_a_change(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = open_topic();
  (void)i;
  CHECK(shoal_topic_join(t) == 0 && shoal_robust_acquire_(&t->shm->lock, SHOAL_FOREVER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  while (shoal_load32_seq_cst(&s->stage) == 0) sched_yield();
  shoal_robust_release_(&t->shm->lock);
  CHECK(shoal_topic_detach(t) == 0);
}
static struct shoal_topic_info topic_info(void) {
  struct shoal_topic_info info;
  CHECK(shoal_topic_info(topic, &info) == 0);
  return info;
}
// A dead member is about, and somebody is stopped in a change of groups: that is in no other case's way, nor in the way
// of what is published; and nobody is told to look again for nothing.
static void test_one_is_stopped_in_a_change_of_groups(void **state) {
  (void)state;
  uint64_t v = 0, w = 0;
  born = 0;
  make_topic(4);
  make(1);
  struct shoal_topic *t = open_topic();
  subscribe(t, SHOAL_TOPIC_WAIT, "g");
  assert_int_equal(publish(1), 0);
  assert_int_equal(shoal_queue_join(Q[0], SHOAL_PRODUCER), 0);
  struct peer dead = bear(dies_with_a_message, 0);
  peer_join(&dead);
  struct peer p = bear(stands_in_a_change, 0);
  stop(&p);
  struct shoal_case c[] = {topic_of_on_get(t, &v), number_queue_on_get(Q[0], &w), shoal_on_time(shoal_after_ms(50))};
  c[0].turn_ = 3;  // the search begins there
  assert_int_equal(shoal_select(c, 3, SHOAL_FOREVER), 2);
  struct shoal_topic_info before = topic_info();
  assert_int_equal(shoal_select(c, 2, SHOAL_TRY), -EAGAIN);
  for (uint32_t n = 1; n < 3; n++) assert_int_equal(shoal_select(c, n, shoal_after_ms(30)), -ETIMEDOUT);
  assert_int_equal(topic_info().rings, before.rings);
  assert_int_equal(shoal_select(c, 1, SHOAL_TRY), -ETIMEDOUT);
  assert_int_equal(topic_info().reaped, 0);
  put(Q[0], 5);
  assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 1);
  assert_int_equal(publish(2), 0);
  assert_int_equal(shoal_select(c, 1, SHOAL_FOREVER), 0);
  assert_int_equal(v, 2);
  kill(p.pid, SIGCONT);
  shoal_store32_seq_cst(&shared()->stage, 1);
  assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 0);
  assert_int_equal(v, 1);
  peer_join(&p);
  assert_int_equal(shoal_topic_detach(t), 0);
  unmake();
  unmake_topic();
}

static void publishes_by_select(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory, 0);
  uint64_t v, w;
  (void)i;
  struct shoal_case c[] = {number_queue_on_get(q, &w), topic_of_on_publish(topic, &v)};
  CHECK(shoal_topic_join(topic) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  for (v = 0; v < 3000; v++) CHECK(shoal_select(c, 2, SHOAL_FOREVER) == 1);
  CHECK(shoal_topic_leave(topic) == 0 && shoal_queue_detach(q) == 0);
}
static void reads_by_select(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = open_topic();
  struct shoal_queue *q = attach(memory, 0);
  uint64_t v, w, n = 0;
  struct shoal_case c[] = {number_queue_on_get(q, &w), topic_of_on_get(t, &v)};
  subscribe(t, SHOAL_TOPIC_WAIT, i < 3 ? NULL : "g");
  shoal_add32_seq_cst(&s->done, 1);
  while (shoal_select(c, 2, SHOAL_FOREVER) == 1 && c[1].result == 0) {
    CHECK(i == 3 || i == 4 ? v >= n : v == n);
    n = v + 1;
    if (i == 3 || i == 4) shoal_add64_relaxed(&s->sum, 1);
  }
  CHECK(c[1].result == -EPIPE && (i == 3 || i == 4 || n == 3000));
  CHECK(shoal_topic_detach(t) == 0 && shoal_queue_detach(q) == 0);
}
static void read_or_publish(void *memory, unsigned i) {
  struct shared *s = memory;
  if (i == 0) await(&s->done, 4);
  if (i == 0) publishes_by_select(memory, i);
  else reads_by_select(memory, i);
}
static void topic_by_select(enum driver driver) {
  make_topic(4);
  make(1);
  assert_int_equal(shoal_queue_join(Q[0], SHOAL_PRODUCER), 0);
  run(&arena, driver, 5, read_or_publish);
  assert_int_equal(shoal_load64_relaxed(&shared()->sum), 3000);
  unmake();
  unmake_topic();
}
static void test_a_topic_by_select_threads(void **state) { (void)state, topic_by_select(THREADS); }
static void test_a_topic_by_select_processes(void **state) { (void)state, topic_by_select(PROCESSES); }

int main(void) {
  watchdog(240);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_byte_messages),
      cmocka_unit_test(test_byte_messages_by_their_keys),
      cmocka_unit_test(test_pipes),
      cmocka_unit_test(test_directions_of_pipes),
      cmocka_unit_test(test_a_topic_is_read),
      cmocka_unit_test(test_a_topic_is_published),
      cmocka_unit_test(test_all_that_sleep_for_a_topic),
      cmocka_unit_test(test_one_is_stopped_in_a_change_of_groups),
      cmocka_unit_test(test_a_topic_by_select_threads),
      cmocka_unit_test(test_a_topic_by_select_processes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
