// Claims: nothing grows with the number of messages. For each kind and policy: the bytes of the segment in use, the
// size of the heap and of its chunks are the same after so many messages from one process to another as after a
// twentieth of them; no block is left.
//   SHOAL_GROWTH_MESSAGES=10000000 (of each; otherwise 40,000)     SHOAL_GROWTH_ONLY=KIND
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/queue/pipe.h"
#include "ipc/queue/select.h"
#include "ipc/queue/topic.h"
#include "tests/harness/drivers.h"

#define BATCH 32u
#define LONGEST 10000u

static struct shoal_segment *seg;
static struct shoal_queue *q;
static struct shoal_topic *topic;
static struct shoal_pipe *ends[2];
static volatile uint32_t *subscribed;  // shared

// ---- so many at once; how many, or an error ----

static int put_n(uint32_t n) {
  uint64_t elements[BATCH] = {n, 1, 2};
  return shoal_queue_put_n(q, elements, n < BATCH ? n : BATCH, SHOAL_FOREVER);
}
static int get_n(uint32_t n) {
  uint64_t elements[BATCH];
  return shoal_queue_get_n(q, elements, n < BATCH ? n : BATCH, SHOAL_FOREVER);
}
static int receive(uint32_t n) {
  struct shoal_loan loan;
  (void)n;
  int rc = shoal_queue_receive(q, &loan, SHOAL_FOREVER);
  return rc ? rc : shoal_queue_release(q, &loan) ? -EINVAL : 1;
}
static int select_get(uint32_t n) {
  uint64_t element;
  struct shoal_case c[] = {shoal_on_nothing(), shoal_on_get(q, &element)};
  (void)n;
  return shoal_select(c, 2, SHOAL_FOREVER) == 1 && c[1].result == 0 ? 1 : -EINVAL;
}
static int get_and_finish(uint32_t n) {
  uint64_t element;
  (void)n;
  int rc = shoal_queue_get(q, &element, SHOAL_FOREVER);
  return rc ? rc : shoal_queue_task_done(q) ? -EINVAL : 1;
}
static uint64_t length(uint32_t n) { return n % 64 == 0 ? n % LONGEST : n % 8 ? n % 48 : n % 500; }
static char text[LONGEST];
static int send(uint32_t n) {
  int rc = shoal_queue_send(q, text, length(n), SHOAL_FOREVER);
  return rc ? rc : 1;
}
static int recv(uint32_t n) {
  uint64_t size;
  int rc = shoal_queue_recv(q, text, sizeof text, &size, SHOAL_FOREVER);
  CHECK(rc || size == length(n));
  return rc ? rc : 1;
}
static int pipe_send(uint32_t n) {
  int rc = shoal_pipe_send(ends[0], text, length(n), SHOAL_FOREVER);
  return rc ? rc : 1;
}
static int pipe_recv(uint32_t n) {
  uint64_t size;
  int rc = shoal_pipe_recv(ends[1], text, sizeof text, &size, SHOAL_FOREVER);
  CHECK(rc || size == length(n));
  return rc ? rc : 1;
}
static int publish(uint32_t n) {
  uint64_t element = n;
  while (!*subscribed) sched_yield();
  int rc = shoal_topic_publish(topic, &element, SHOAL_FOREVER);
  return rc ? rc : 1;
}
static int read_topic(uint32_t n) {
  uint64_t element;
  if (!*subscribed) CHECK(shoal_topic_subscribe(topic, NULL) == 0);
  *subscribed = 1;
  int rc = shoal_topic_get(topic, &element, SHOAL_FOREVER);
  CHECK(rc || element == n);
  return rc ? rc : 1;
}

// ---- what is passed through ----

static const struct kind {
  const char *name;
  int (*put)(uint32_t left), (*get)(uint32_t left);
  struct shoal_queue_options o;
} kinds[] = {
    {"mpmc", put_n, get_n, {.element_size = 8}},
    {"leased", put_n, receive, {.element_size = 8, .lease_ns = 3600000000000, .delivery_max = 3}},
    {"fifo leased",
     put_n,
     receive,
     {.element_size = 8, .kind = SHOAL_QUEUE_FIFO, .lease_ns = 3600000000000, .delivery_max = 3}},
    {"select", put_n, select_get, {.element_size = 8}},
    {"joinable", put_n, get_and_finish, {.element_size = 8, .joinable = 1}},
    {"spsc", put_n, get_n, {.element_size = 8, .kind = SHOAL_QUEUE_SPSC}},
    {"fifo", put_n, get_n, {.element_size = 8, .kind = SHOAL_QUEUE_FIFO}},
    {"lifo", put_n, get_n, {.element_size = 8, .kind = SHOAL_QUEUE_LIFO}},
    {"priority", put_n, get_n, {.element_size = 8, .kind = SHOAL_QUEUE_PRIORITY, .key = {SHOAL_KEY_U64, 0}}},
    {"bytes", send, recv, {.bytes = 1}},
    {"bytes spsc", send, recv, {.bytes = 1, .kind = SHOAL_QUEUE_SPSC}},
    {"pipe", pipe_send, pipe_recv, {0}},
    {"topic", publish, read_topic, {0}},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static void begin(const struct kind *k) {
  static const struct shoal_segment_options small = {
      .size = 1 << 20, .size_max = 1 << 26, .participants = 16, .objects = 64};
  assert_int_equal(shoal_segment_create(NULL, &small, &seg), 0);
  struct shoal_queue_options o = k->o;
  o.capacity = 64;
  if (k->put == publish) {
    struct shoal_topic_options to = {.capacity = 64, .element_size = 8};
    assert_int_equal(shoal_topic_create(seg, "x", &to, &topic), 0);
  } else if (k->put == pipe_send) {
    assert_int_equal(shoal_pipe_create(seg, "x", &(struct shoal_pipe_options){.capacity = 64}, ends), 0);
    struct shoal_pipe *out = ends[1];  // end 1 sends
    ends[1] = ends[0], ends[0] = out;
  } else {
    assert_int_equal(shoal_queue_create(seg, "x", &o, &q), 0);
  }
}
static void end(const struct kind *k) {
  if (k->put == publish) assert_int_equal(shoal_topic_detach(topic), 0);
  else if (k->put == pipe_send) shoal_pipe_close(&ends[0]), shoal_pipe_close(&ends[1]);
  else assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}

// Another process takes out what this one puts in. Before it has come, or when the last one has gone, a put may find no
// reader.
static void pass(const struct kind *k, uint32_t n) {
  *subscribed = 0;
  fflush(NULL);
  struct peer reader = {fork()};
  assert_true(reader.pid >= 0);
  if (reader.pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint32_t left = n; left;) {
      int rc = k->get(left);
      CHECK(rc > 0);
      left -= (uint32_t)rc;
    }
    _exit(0);
  }
  for (uint32_t left = n; left;) {
    int rc = k->put(left);
    CHECK(rc > 0 || rc == -EPIPE);
    if (rc > 0) left -= (uint32_t)rc;
    else sched_yield();
  }
  peer_join(&reader);
}

struct figures {
  uint64_t used, size, heap, blocks;
  uint32_t chunks, objects;
};
static struct figures look(void) {
  struct shoal_segment_info s;
  struct shoal_heap_info h = {0};
  struct shoal_heap *heap;
  assert_int_equal(shoal_heap_open(seg, &heap), 0);
  shoal_heap_reap(heap);
  assert_int_equal(shoal_heap_info(heap, &h), 0);
  assert_int_equal(shoal_segment_info(seg, &s), 0);
  shoal_heap_close(heap);
  return (struct figures){s.used, s.size, h.size, h.blocks, h.chunks, s.objects};
}

static void test_nothing_grows(void **state) {
  (void)state;
  const char *many = getenv("SHOAL_GROWTH_MESSAGES"), *only = getenv("SHOAL_GROWTH_ONLY");
  uint32_t n = many ? (uint32_t)strtoul(many, NULL, 0) : 40000;
  for (unsigned i = 0; i < KINDS; i++) {
    if (only && strcmp(only, kinds[i].name)) continue;
    begin(&kinds[i]);
    pass(&kinds[i], n / 20 + 1);
    struct figures before = look();
    pass(&kinds[i], n);
    struct figures after = look();
    print_message("%-11s %9u messages: %lu bytes in use before, %lu after; heap %lu, %lu; %lu blocks left\n",
                  kinds[i].name, n, (unsigned long)before.used, (unsigned long)after.used, (unsigned long)before.heap,
                  (unsigned long)after.heap, (unsigned long)after.blocks);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(after.blocks, 0);
    end(&kinds[i]);
  }
}

int main(void) {
  watchdog(getenv("SHOAL_GROWTH_MESSAGES") ? 3600 : 280);
  subscribed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (subscribed == MAP_FAILED) return 2;
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing_grows)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
