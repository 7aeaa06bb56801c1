// Claims: whatever stands in a queue's shared words, or in a topic's, a pipe's, the heap's behind byte messages and
// packed values, or in those that a select or a selector sleeps on, every operation answers, and soon, and touches
// nothing outside: words of a live one are scribbled over, then all of its operations called, with guard pages around
// it (and AddressSanitizer around what the caller gives). Each kind in a process of its own, with a watchdog.
//   SHOAL_FUZZ_ROUNDS=20000   of each kind (a few hundred)          SHOAL_FUZZ_SEED=S    0: another each time (1)
//   SHOAL_FUZZ_ONLY=KIND      one kind, and with                    SHOAL_FUZZ_FROM=N    from that round on
//   SHOAL_FUZZ_PATIENCE=5     seconds of a round (60)
//   SHOAL_FUZZ_STORM=1        scribbled over all the while, by a thread: nothing is repeated exactly then
// Not scribbled over: the links of the C library's robust list, which core/robust.h says must be believed.
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/queue/packed.h"
#include "ipc/queue/pipe.h"
#include "ipc/queue/select.h"
#include "ipc/queue/topic.h"
#include "tests/harness/drivers.h"

#define GUARD (1u << 20)
#define LOANS 4
#define OPS 16

// ---- randomness: of each round its own ----

static __thread uint32_t state;
static uint32_t rnd(void) {
  state ^= state << 13, state ^= state >> 17;
  return state ^= state << 5;
}
static uint32_t below(uint32_t n) { return rnd() % n; }
static uint64_t rnd64(void) { return (uint64_t)rnd() << 32 | rnd(); }
static uint32_t setting(const char *name, uint32_t otherwise) {
  const char *s = getenv(name);
  return s ? (uint32_t)strtoul(s, NULL, 0) : otherwise;
}

static struct where {  // shared: where a process is, for who finds it dead
  volatile uint32_t round, op;
} * where;
#define OP(n) (where->op = (n))

// ---- scribbling ----

struct range {
  char *at;
  uint64_t size;
};
static struct range ranges[8];
static unsigned n_ranges;
static struct range links[300];  // left alone
static unsigned n_links;

static void may_scribble(void *at, uint64_t size) { ranges[n_ranges++] = (struct range){at, size}; }
static void leave_links(struct shoal_robust *r) {
  CHECK(n_links < sizeof links / sizeof *links);
  links[n_links++] = (struct range){(char *)r->list_, sizeof r->list_};
}
static void leave_roles(struct shoal_eventcount_view *view) {
  for (uint32_t r = 1; r <= view->count[0] + view->count[1]; r++) leave_links(&shoal_role_at_(view, r)->live);
}
static int is_link(const char *at) {
  for (unsigned i = 0; i < n_links; i++)
    if (at + 8 > links[i].at && at < links[i].at + links[i].size) return 1;
  return 0;
}

static uint64_t nasty(uint64_t old, const char *other) {
  uint64_t word;
  switch (below(12)) {
    case 0: return 0;
    case 1: return UINT64_MAX;
    case 2: return rnd64();
    case 3: return rnd64() >> below(64);
    case 4: return below(300);
    case 5: return old ^ UINT64_C(1) << below(64);
    case 6: return old + 1;
    case 7: return old - 1;
    case 8: return old ^ (uint64_t)below(4) << 22;    // a slot's state
    case 9: return old + ((uint64_t)below(4) << 24);  // its lap
    case 10: return old + (rnd64() << 24);
    default: memcpy(&word, other, sizeof word); return word;
  }
}
static char *anywhere(void) {
  const struct range *r = &ranges[below(n_ranges)];
  uint64_t words = r->size / 8, most = below(2) && words > 128 ? 128 : words;  // the beginning is what matters most
  return r->at + 8 * (rnd64() % most);
}
static void scribble(void) {
  for (uint32_t n = 1 + below(below(2) ? 3 : 16); n--;) {
    char *at = anywhere();
    uint64_t old, word;
    if (is_link(at)) continue;
    memcpy(&old, at, sizeof old);
    word = nasty(old, anywhere());
    uint32_t half = below(4);  // 0, 1: that half of it
    memcpy(at + (half == 1) * 4, (char *)&word + (half == 1) * 4, half < 2 ? 4 : 8);
  }
}

// ---- all the while ----

static shoal_atomic32 storm;  // 0 there is none, 1 calm, 2 it blows, 3 it is to calm down

static void *blow(void *unused) {
  state = (uint32_t)shoal_now_ns() | 1;
  for (;; sched_yield()) {
    uint32_t now = shoal_load32_seq_cst(&storm);
    if (now == 2) scribble();
    if (now == 3) shoal_store32_seq_cst(&storm, 1);
  }
  return unused;
}
static void begin_storms(void) {
  pthread_t thread;
  shoal_store32_seq_cst(&storm, 1);
  CHECK(pthread_create(&thread, NULL, blow, NULL) == 0);
}
static void rise(void) {
  scribble();
  if (shoal_load32_seq_cst(&storm)) shoal_store32_seq_cst(&storm, 2);
}
static void calm(void) {
  if (!shoal_load32_seq_cst(&storm)) return;
  shoal_store32_seq_cst(&storm, 3);
  while (shoal_load32_seq_cst(&storm) != 1) sched_yield();
}

// ---- memory with guards ----

static char *guarded, *guarded_end;
#define ROOM (256u << 10)
static void guard_memory(void) {
  char *p = mmap(NULL, ROOM + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(p != MAP_FAILED);
  guarded = p + GUARD, guarded_end = guarded + ROOM;
  CHECK(mprotect(guarded, ROOM, PROT_READ | PROT_WRITE) == 0);
}
// Zeroed, at one of the guards.
static void *placed(uint64_t size) {
  CHECK(size <= ROOM);
  memset(guarded, 0, ROOM);
  return below(2) ? guarded : guarded_end - ((size + 63) & ~UINT64_C(63));
}
// What was on the thread's robust list lies in memory that begins anew.
static void forget_list(void) { shoal_self_()->head->next = shoal_self_()->head, shoal_self_()->head->pending = NULL; }

// ---- the operations of a queue ----

static shoal_deadline soon(void) { return below(8) ? SHOAL_TRY : shoal_after_us(below(50)); }

struct loans {
  struct shoal_loan loan[LOANS];
};
static void touch(struct shoal_loan *loan) {  // all of it is there
  if (loan->data && loan->size) memset(loan->data, (int)rnd(), loan->size);
}
static void some_loan(struct shoal_queue *q, struct loans *l) {
  struct shoal_loan *loan = &l->loan[below(LOANS)];
  if (below(4)) touch(loan);
  switch (below(5)) {
    case 0: shoal_queue_commit(q, loan); break;
    case 1: shoal_queue_cancel(q, loan); break;
    case 2: shoal_queue_release(q, loan); break;
    case 3: shoal_queue_return(q, loan); break;
    default: shoal_queue_extend(q, loan);
  }
}
static void borrow(struct shoal_queue *q, struct loans *l, int bytes) {
  struct shoal_loan *loan = &l->loan[below(LOANS)];
  if (loan->data) return;
  if (below(2)) (void)shoal_queue_receive(q, loan, soon());
  else if (bytes) (void)shoal_queue_reserve_bytes(q, below(3) ? below(200) : below(20000), loan, soon());
  else (void)shoal_queue_reserve(q, loan, soon());
}
static void move_elements(struct shoal_queue *q, uint32_t size, uint32_t which) {
  uint32_t n = which < 2 ? 1 : 1 + below(5);
  void *elements = calloc(n, size);
  CHECK(elements);
  switch (which) {
    case 0: (void)shoal_queue_put(q, elements, soon()); break;
    case 1: (void)shoal_queue_get(q, elements, soon()); break;
    case 2: (void)shoal_queue_put_n(q, elements, n, soon()); break;
    case 3: (void)shoal_queue_get_n(q, elements, n, soon()); break;
    default: (void)shoal_queue_peek(q, elements, soon());
  }
  free(elements);
}
static void move_batch(struct shoal_queue *q, void *bytes, uint64_t size, int gets) {
  struct iovec v[4];
  for (unsigned i = 0; i < 4; i++) v[i] = (struct iovec){(char *)bytes + size / 4 * i, size / 4};
  if (gets) (void)shoal_queue_recv_n(q, v, 1 + below(4), soon());
  else (void)shoal_queue_send_n(q, v, 1 + below(4), soon());
}
static void move_bytes(struct shoal_queue *q, uint32_t which) {
  uint64_t n = below(3) ? below(100) : below(6000), size;
  int64_t key;
  void *bytes = calloc(1, n ? n : 1);
  CHECK(bytes);
  switch (which % 8) {
    case 1: (void)shoal_queue_recv(q, bytes, n, &size, soon()); break;
    case 3:
      (void)(q->kind == SHOAL_QUEUE_PRIORITY ? shoal_queue_recv_key(q, &key, bytes, n, &size, soon())
                                             : shoal_queue_recv(q, bytes, n, &size, soon()));
      break;
    case 4: (void)shoal_queue_peek_bytes(q, bytes, n, &size, soon()); break;
    case 5:
    case 6: move_batch(q, bytes, n, which % 2); break;
    case 7: (void)shoal_queue_send_key(q, (int32_t)rnd(), bytes, n, soon()); break;
    default: (void)shoal_queue_send(q, bytes, n, soon());
  }
  free(bytes);
}
static void look_at_queue(struct shoal_queue *q) {
  struct shoal_queue_info info;
  shoal_queue_info(q, &info);
  shoal_queue_size(q), shoal_queue_empty(q), shoal_queue_full(q);
}
static void queue_op(struct shoal_queue *q, struct loans *l, uint32_t size) {
  uint32_t which = below(20);
  OP(which);
  switch (which) {
    default: size ? move_elements(q, size, which % 5) : move_bytes(q, which); break;
    case 8:
    case 9:
    case 10: borrow(q, l, !size); break;
    case 11:
    case 12: some_loan(q, l); break;
    case 13: look_at_queue(q); break;
    case 14: (void)shoal_queue_task_done(q); break;
    case 15: (void)shoal_queue_join_tasks(q, soon()); break;
    case 16: (void)shoal_queue_leave(q, (int)below(2)); break;
    case 17: (void)(below(2) ? shoal_queue_close(q) : shoal_queue_reopen(q)); break;
    case 18: (void)shoal_queue_clear(q); break;
    case 19: (void)shoal_queue_join(q, (int)below(2));
  }
}

static void live_queue(struct shoal_queue *q, struct loans *l, uint32_t size) {
  for (uint32_t i = 1 + below(6); i--;) size ? move_elements(q, size, 0) : move_bytes(q, 0);
  for (uint32_t i = below(4); i--;) borrow(q, l, !size);
}

// ---- placed queues ----

static void queue_round(const struct shoal_queue_options *o) {
  struct shoal_queue *q = NULL, *other = NULL;
  struct loans l = {0}, none = {0};
  uint64_t size = shoal_queue_size_(o);
  void *memory = placed(size);
  CHECK(shoal_queue_place_(memory, size, o) == 0 && shoal_queue_attach_(memory, size, o->element_size, &q) == 0);
  may_scribble(memory, size);
  leave_roles(&q->wait);
  if (q->kind == SHOAL_QUEUE_SPSC) leave_links(&q->spsc->producer), leave_links(&q->spsc->consumer);
  live_queue(q, &l, o->element_size);
  rise();
  for (unsigned i = 0; i < OPS; i++) queue_op(q, &l, o->element_size);
  OP(100);
  if (shoal_queue_attach_(memory, size, o->element_size, &other) == 0) {
    for (unsigned i = 0; i < OPS / 4; i++) queue_op(other, &none, o->element_size);
    (void)shoal_queue_detach(other);
  }
  calm();
  OP(101);
  (void)shoal_queue_detach(q);
}
#define ROUND(round, name, ...)                       \
  static void name(void) {                            \
    struct shoal_queue_options o = {__VA_ARGS__};     \
    o.capacity = 2u << below(4);                      \
    o.producers = o.kind == SHOAL_QUEUE_SPSC ? 1 : 3; \
    o.consumers = o.producers;                        \
    round(&o);                                        \
  }
#define QUEUE(name, ...) ROUND(queue_round, name, __VA_ARGS__)
QUEUE(mpmc_8, .element_size = 8)
QUEUE(mpmc_100, .element_size = 100, .drop = 1)
QUEUE(mpmc_joinable, .element_size = 16, .joinable = 1)
QUEUE(mpmc_drops, .element_size = 8, .overflow = SHOAL_OVERFLOW_DROP_OLDEST)
QUEUE(mpmc_lease, .element_size = 24, .lease_ns = 1000000, .delivery_max = 2)
QUEUE(spsc_8, .element_size = 8, .kind = SHOAL_QUEUE_SPSC)
QUEUE(spsc_100, .element_size = 100, .kind = SHOAL_QUEUE_SPSC)
QUEUE(fifo, .element_size = 8, .kind = SHOAL_QUEUE_FIFO)
QUEUE(fifo_joinable, .element_size = 8, .kind = SHOAL_QUEUE_FIFO, .joinable = 1)
QUEUE(lifo, .element_size = 60, .kind = SHOAL_QUEUE_LIFO, .overflow = SHOAL_OVERFLOW_DROP_NEWEST)
QUEUE(fifo_drops, .element_size = 8, .kind = SHOAL_QUEUE_FIFO, .overflow = SHOAL_OVERFLOW_DROP_OLDEST)
QUEUE(lifo_drops, .element_size = 8, .kind = SHOAL_QUEUE_LIFO, .overflow = SHOAL_OVERFLOW_DROP_OLDEST)
QUEUE(priority_drops, .element_size = 8, .kind = SHOAL_QUEUE_PRIORITY, .key = {SHOAL_KEY_U64, 0},
      .overflow = SHOAL_OVERFLOW_DROP_OLDEST)
QUEUE(fifo_lease, .element_size = 8, .kind = SHOAL_QUEUE_FIFO, .lease_ns = 1000000, .delivery_max = 2)
QUEUE(priority_lease, .element_size = 8, .kind = SHOAL_QUEUE_PRIORITY, .key = {SHOAL_KEY_I32, 4}, .lease_ns = 1000000,
      .joinable = 1)
QUEUE(priority, .element_size = 8, .kind = SHOAL_QUEUE_PRIORITY, .key = {SHOAL_KEY_I32, 4})

// ---- in a segment ----

static struct shoal_segment *segment;
static int add_object(const struct shoal_object_info *info, void *arg) {
  (void)arg;
  char *at = shoal_segment_at(segment, info->off, info->size);
  if (!at || n_ranges == sizeof ranges / sizeof *ranges) return 0;
  may_scribble(at, info->size < 16384 ? info->size : 16384);  // of the heap's chunks: its words
  if (info->size > 131072) may_scribble(at + 65536, 4096);
  return 0;
}
static void segment_begin(void) {
  static const struct shoal_segment_options small = {
      .size = 1 << 20, .size_max = 4 << 20, .participants = 8, .objects = 16};
  CHECK(shoal_segment_create(NULL, &small, &segment) == 0);
}
static void segment_end(void) {
  forget_list();
  CHECK(shoal_segment_close(segment) == 0);
}

static void named_round(const struct shoal_queue_options *o) {
  struct shoal_queue *q, *dead = NULL;
  struct loans l = {0};
  segment_begin();
  struct shoal_queue_options letters = {.capacity = 4, .element_size = o->element_size, .producers = 3, .consumers = 3};
  if (o->dead_letters) CHECK(shoal_queue_create(segment, o->dead_letters, &letters, &dead) == 0);
  CHECK(shoal_queue_create(segment, "q", o, &q) == 0);
  live_queue(q, &l, o->element_size);
  leave_roles(&q->wait);
  if (q->kind == SHOAL_QUEUE_SPSC) leave_links(&q->spsc->producer), leave_links(&q->spsc->consumer);
  if (dead) leave_roles(&dead->wait);
  shoal_object_list(segment, add_object, NULL);
  rise();
  for (unsigned i = 0; i < OPS; i++) queue_op(q, &l, o->element_size);
  OP(100);
  struct shoal_queue *again;
  if (shoal_queue_open(segment, "q", o->element_size, &again) == 0) {
    queue_op(again, &l, o->element_size);
    (void)shoal_queue_detach(again);
  }
  calm();
  OP(101);
  (void)shoal_queue_detach(q);
  if (dead) (void)shoal_queue_detach(dead);
  segment_end();
}
#define NAMED(name, ...) ROUND(named_round, name, __VA_ARGS__)
NAMED(growing_fifo, .element_size = 8, .kind = SHOAL_QUEUE_FIFO, .grow = 1)
NAMED(growing_priority, .element_size = 8, .kind = SHOAL_QUEUE_PRIORITY, .grow = 1, .key = {SHOAL_KEY_F32, 0})
NAMED(lease_letters, .element_size = 8, .lease_ns = 1000000, .delivery_max = 1, .dead_letters = "dead")
NAMED(bytes_mpmc, .bytes = 1)
NAMED(bytes_priority, .bytes = 1, .kind = SHOAL_QUEUE_PRIORITY, .lease_ns = 1000000)
NAMED(bytes_spsc, .bytes = 1, .kind = SHOAL_QUEUE_SPSC)

static void pipe_loan(struct shoal_pipe *p, struct shoal_loan *loan) {
  switch (below(6)) {
    case 0:
      if (!loan->data) (void)shoal_pipe_reserve(p, below(300), loan, soon());
      break;
    case 1:
      if (!loan->data) (void)shoal_pipe_receive(p, loan, soon());
      break;
    case 2: (void)shoal_pipe_commit(p, loan); break;
    case 3: (void)shoal_pipe_cancel(p, loan); break;
    case 4: (void)shoal_pipe_release(p, loan); break;
    default: (void)shoal_pipe_return(p, loan);
  }
  touch(loan);
}
static void pipe_op(struct shoal_pipe *p, struct shoal_loan *loan) {
  struct shoal_pipe_info info;
  char bytes[300] = "";
  uint64_t size;
  uint32_t which = below(12);
  OP(which);
  switch (which) {
    case 0:
    case 1:
    case 2: (void)shoal_pipe_send(p, bytes, below(300), soon()); break;
    case 3:
    case 4: (void)shoal_pipe_recv(p, bytes, sizeof bytes, &size, soon()); break;
    case 5: (void)shoal_pipe_poll(p, soon()); break;
    case 6: shoal_pipe_info(p, &info); break;
    case 7: (void)shoal_pipe_leave(p); break;
    case 8: (void)shoal_pipe_join(p, (int)below(2)); break;
    default: pipe_loan(p, loan);
  }
}
static void leave_pipe(struct shoal_queue *q) {
  leave_roles(&q->wait);
  leave_links(&q->spsc->producer), leave_links(&q->spsc->consumer);
}
static void pipe_both_ways(void) {
  struct shoal_pipe *ends[2], *again;
  struct shoal_loan loan[2] = {{0}, {0}};
  segment_begin();
  CHECK(shoal_pipe_create(segment, "p", &(struct shoal_pipe_options){.capacity = 4, .duplex = 1}, ends) == 0);
  leave_pipe(ends[0]->out), leave_pipe(ends[0]->in);
  for (uint32_t i = below(12); i--;) pipe_op(ends[i % 2], &loan[i % 2]);
  shoal_object_list(segment, add_object, NULL);
  rise();
  for (unsigned i = 0; i < OPS; i++) pipe_op(ends[i % 2], &loan[i % 2]);
  OP(100);
  if (shoal_pipe_open(segment, "p", 0, below(2), &again) == 0) {
    pipe_op(again, &loan[0]);
    (void)shoal_pipe_close(&again);
  }
  calm();
  OP(101);
  (void)shoal_pipe_close(&ends[0]), (void)shoal_pipe_close(&ends[1]);
  segment_end();
}

// ---- topics ----

static void topic_loan(struct shoal_topic *t, struct shoal_loan *loan) {
  switch (below(6)) {
    case 0:
      if (!loan->data) (void)shoal_topic_reserve(t, loan, soon());
      break;
    case 1:
      if (!loan->data) (void)shoal_topic_receive(t, loan, soon());
      break;
    case 2: (void)shoal_topic_commit(t, loan); break;
    case 3: (void)shoal_topic_cancel(t, loan); break;
    case 4: (void)shoal_topic_release(t, loan); break;
    default: (void)shoal_topic_return(t, loan);
  }
}
static void subscribe(struct shoal_topic *t) {
  static const char *const groups[] = {NULL, "a", "b"};
  struct shoal_topic_subscription how = {
      .history = below(2) ? below(9) : SHOAL_TOPIC_ALL, .slow = below(2), .group = groups[below(3)]};
  (void)!shoal_topic_subscribe(t, &how);
}
static void topic_op(struct shoal_topic *t, struct shoal_loan *loan, void *element) {
  struct shoal_topic_info info;
  struct shoal_topic_subscriber_info of;
  uint32_t which = below(16);
  OP(which);
  switch (which) {
    case 0:
    case 1:
    case 2: (void)shoal_topic_publish(t, element, soon()); break;
    case 3:
    case 4:
    case 5: (void)shoal_topic_get(t, element, soon()); break;
    case 6: subscribe(t); break;
    case 7: (void)shoal_topic_unsubscribe(t); break;
    case 8: shoal_topic_info(t, &info); break;
    case 9: (void)shoal_topic_subscriber(t, below(4), &of); break;
    case 10: (void)(below(2) ? shoal_topic_leave(t) : shoal_topic_join(t)); break;
    case 11:
      if (below(4) == 0) shoal_topic_close(t);
      break;
    default: topic_loan(t, loan);
  }
}
static void topic_round(void) {
  struct shoal_topic_options o = {.capacity = 2u << below(4),
                                  .element_size = below(2) ? 8 : 100,
                                  .publishers = 3,
                                  .subscribers = 4,
                                  .groups = 2,
                                  .history = below(3)};
  struct shoal_topic *t, *other;
  struct shoal_loan loan = {0}, none = {0};
  uint64_t size = shoal_topic_size_(&o);
  void *memory = placed(size), *element = calloc(1, o.element_size);
  CHECK(element && shoal_topic_place_(memory, size, &o) == 0);
  CHECK(shoal_topic_attach_(memory, size, o.element_size, &t) == 0);
  may_scribble(memory, size);
  leave_roles(&t->wait);
  leave_links(&t->shm->lock);
  subscribe(t);
  for (uint32_t i = below(12); i--;) topic_op(t, &loan, element);
  rise();
  for (unsigned i = 0; i < OPS; i++) topic_op(t, &loan, element);
  OP(100);
  if (shoal_topic_attach_(memory, size, o.element_size, &other) == 0) {
    for (unsigned i = 0; i < OPS / 4; i++) topic_op(other, &none, element);
    (void)shoal_topic_detach(other);
  }
  calm();
  OP(101);
  (void)shoal_topic_detach(t);
  free(element);
}

// ---- packed values: a message of any bytes is read, too ----

static void read_packed(struct shoal_queue *q) {
  static struct shoal_packed m;
  static FILE *nowhere;
  const char *s;
  size_t length;
  int i, rc;
  if (below(2)) {
    if (shoal_queue_get_packed(q, soon(), &m, "[i n s]", &i, &s, &length) == 0) (void)memchr(s, 1, length);
    return;
  }
  rc = shoal_queue_get_packed(q, soon(), &m, "x");
  if (!nowhere) nowhere = fopen("/dev/null", "w");
  if (rc == 0) (void)!shoal_packed_print(m.data, m.size, nowhere);
}
static void packed_op(struct shoal_queue *q, struct loans *l) {
  static char text[3000];
  OP(200);
  switch (below(6)) {
    case 0:
    case 1: (void)!shoal_queue_put_packed(q, soon(), "[i n S]", 42, text, (size_t)below(sizeof text)); break;
    case 2: (void)!shoal_queue_put_packed_key(q, (int32_t)rnd(), soon(), "{s:i}", "i", 1); break;
    case 3:
    case 4: read_packed(q); break;
    default: queue_op(q, l, 0);
  }
}
static void packed_round(void) {
  struct shoal_queue_options o = {.capacity = 2u << below(4), .bytes = 1, .producers = 3, .consumers = 3};
  struct shoal_queue *q;
  struct loans l = {0};
  o.kind = below(2) ? SHOAL_QUEUE_MPMC : SHOAL_QUEUE_PRIORITY;
  segment_begin();
  CHECK(shoal_queue_create(segment, "q", &o, &q) == 0);
  for (uint32_t i = 1 + below(6); i--;) packed_op(q, &l);
  leave_roles(&q->wait);
  shoal_object_list(segment, add_object, NULL);
  rise();
  for (unsigned i = 0; i < OPS; i++) packed_op(q, &l);
  calm();
  OP(101);
  (void)shoal_queue_detach(q);
  segment_end();
}

// ---- a select, and a selector, at everything ----

static struct several {
  struct shoal_queue *q[3];  // of elements: a ring, a ring under leases, cells
  struct shoal_topic *t;
  struct shoal_event *e;
  struct shoal_semaphore *s;
} all;
static char *carved;
static void *carve(uint64_t size) {
  char *at = carved;
  carved += (size + 63) & ~UINT64_C(63);
  CHECK(carved <= guarded_end);
  return at;
}
static void place_queue(unsigned i, struct shoal_queue_options o) {
  o.capacity = 2u << below(3), o.element_size = 8;
  o.producers = o.consumers = o.kind == SHOAL_QUEUE_SPSC ? 1 : 3;
  uint64_t size = shoal_queue_size_(&o);
  void *memory = carve(size);
  CHECK(shoal_queue_place_(memory, size, &o) == 0 && shoal_queue_attach_(memory, size, 8, &all.q[i]) == 0);
  may_scribble(memory, size);
  leave_roles(&all.q[i]->wait);
}
static void place_topic(void) {
  struct shoal_topic_options o = {
      .capacity = 2u << below(3), .element_size = 8, .publishers = 3, .subscribers = 4, .groups = 2};
  uint64_t size = shoal_topic_size_(&o);
  void *memory = carve(size);
  CHECK(shoal_topic_place_(memory, size, &o) == 0 && shoal_topic_attach_(memory, size, 8, &all.t) == 0);
  may_scribble(memory, size);
  leave_roles(&all.t->wait);
  leave_links(&all.t->shm->lock);
  subscribe(all.t);
}
// Its kind and its bound say how large it is: who places one believes them.
static void place_semaphore(void) {
  uint32_t flags = below(2) * SHOAL_SEMAPHORE_CONSUMED;
  all.s = carve(shoal_semaphore_size(3, flags));
  CHECK(shoal_semaphore_init(all.s, below(3), 3, flags) == 0);
  may_scribble(all.s, offsetof(struct shoal_semaphore, kind));
  if (flags) return;
  struct shoal_permit *permits = (struct shoal_permit *)(void *)(all.s + 1);
  may_scribble(permits, 3 * sizeof *permits);
  for (unsigned i = 0; i < 3; i++) leave_links(&permits[i].robust);
}
static void place_all(void) {
  static const uint32_t of_cells[] = {SHOAL_QUEUE_FIFO, SHOAL_QUEUE_LIFO, SHOAL_QUEUE_PRIORITY};
  struct shoal_queue_options cells = {.kind = of_cells[below(3)], .lease_ns = below(2) * 1000000u};
  if (cells.kind == SHOAL_QUEUE_PRIORITY) cells.key = (struct shoal_queue_key){SHOAL_KEY_I32, 4};
  memset(guarded, 0, ROOM);
  carved = guarded;
  place_queue(0, (struct shoal_queue_options){.joinable = below(2)});
  place_queue(1, (struct shoal_queue_options){.lease_ns = 1000000, .delivery_max = 3});
  place_queue(2, cells);
  place_topic();
  all.e = carve(sizeof *all.e);
  CHECK(shoal_event_init(all.e) == 0);
  may_scribble(all.e, sizeof *all.e);
  place_semaphore();
}
static uint64_t element_in, element_out;
static struct shoal_case any_case(int of_loop) {
  struct shoal_queue *q = all.q[below(3)];
  switch (below(of_loop ? 11 : 13)) {
    case 0:
    case 1: return shoal_on_get(q, &element_in);
    case 2: return shoal_on_put(q, &element_out);
    case 3: return shoal_on_readable(q);
    case 4: return shoal_on_writable(q);
    case 5: return shoal_on_topic_get(all.t, &element_in);
    case 6: return shoal_on_topic_publish(all.t, &element_out);
    case 7: return below(2) ? shoal_on_topic_readable(all.t) : shoal_on_topic_writable(all.t);
    case 8: return shoal_on_acquire(all.s);
    case 9: return shoal_on_event(all.e);
    case 10: return shoal_on_nothing();
    case 11: return shoal_on_time(soon());
    default: return shoal_on_process(getppid());
  }
}
static uint32_t some_cases(struct shoal_case *cases, int of_loop) {
  uint32_t n = 1 + below(6);
  for (uint32_t i = 0; i < n; i++) cases[i] = any_case(of_loop);
  return n;
}
static void touch_one(void) {
  uint64_t v = 0;
  struct shoal_queue *q = all.q[below(3)];
  switch (below(6)) {
    case 0: (void)shoal_queue_put(q, &v, SHOAL_TRY); break;
    case 1: (void)shoal_queue_get(q, &v, SHOAL_TRY); break;
    case 2: (void)shoal_topic_publish(all.t, &v, SHOAL_TRY); break;
    case 3: (void)shoal_semaphore_release(all.s); break;
    case 4: (void)(below(2) ? shoal_event_set(all.e) : shoal_event_clear(all.e)); break;
    default: (void)shoal_queue_leave(q, (int)below(2));
  }
}
static void select_op(struct shoal_selector *f) {
  static struct shoal_case cases[8], armed[8];  // what is armed stays until it is armed anew
  uint32_t which = below(8);
  OP(300 + which);
  switch (which) {
    case 0:
    case 1:
    case 2: (void)!shoal_select(cases, some_cases(cases, 0), soon()); break;
    case 3:
    case 4: (void)!shoal_select_ready(cases, some_cases(cases, 0), soon()); break;
    case 5: (void)!shoal_selector_arm(f, armed, some_cases(armed, 1)); break;
    default: touch_one();
  }
}
static void select_round(void) {
  struct shoal_selector *f;
  place_all();
  CHECK(shoal_selector_open(&f) == 0);
  for (uint32_t i = below(12); i--;) select_op(f);
  rise();
  for (unsigned i = 0; i < 2 * OPS; i++) select_op(f);
  calm();
  OP(101);
  (void)shoal_selector_close(f);
  for (unsigned i = 0; i < 3; i++) (void)shoal_queue_detach(all.q[i]);
  (void)shoal_topic_detach(all.t);
}

// ---- rounds ----

static const struct kind {
  const char *name;
  void (*round)(void);
  uint32_t share;  // of the rounds, in sixteenths
} kinds[] = {
    {"mpmc_8", mpmc_8, 16},
    {"mpmc_100", mpmc_100, 16},
    {"mpmc_joinable", mpmc_joinable, 16},
    {"mpmc_drops", mpmc_drops, 16},
    {"mpmc_lease", mpmc_lease, 16},
    {"spsc_8", spsc_8, 16},
    {"spsc_100", spsc_100, 16},
    {"fifo", fifo, 8},
    {"fifo_joinable", fifo_joinable, 8},
    {"lifo", lifo, 16},
    {"fifo_drops", fifo_drops, 16},
    {"lifo_drops", lifo_drops, 16},
    {"priority_drops", priority_drops, 16},
    {"fifo_lease", fifo_lease, 8},
    {"priority_lease", priority_lease, 8},
    {"priority", priority, 16},
    {"topic", topic_round, 16},
    {"growing_fifo", growing_fifo, 4},
    {"growing_priority", growing_priority, 4},
    {"lease_letters", lease_letters, 4},
    {"bytes_mpmc", bytes_mpmc, 4},
    {"bytes_spsc", bytes_spsc, 4},
    {"bytes_priority", bytes_priority, 4},
    {"packed", packed_round, 4},
    {"select", select_round, 8},
    {"pipe", pipe_both_ways, 4},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static void one_round(uint32_t k, uint32_t seed, uint32_t round, uint32_t patience) {
  where->round = round;
  state = seed * 2654435761u ^ (k + 1) * 40503u ^ (round + 1) * 2246822519u;
  state += !state;
  n_ranges = n_links = 0;
  alarm(patience);
  kinds[k].round();
  forget_list();
}
static void rounds(uint32_t k, uint32_t seed, uint32_t from, uint32_t n) {
  uint32_t patience = setting("SHOAL_FUZZ_PATIENCE", 60);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int sig = 1; sig < 32; sig++) signal(sig, SIG_DFL);  // cmocka's are its own
  guard_memory();
  CHECK(shoal_robust_check() == 0);
  if (setting("SHOAL_FUZZ_STORM", 0)) begin_storms();
  for (uint32_t round = from; round < from + n; round++) one_round(k, seed, round, patience);
  _exit(0);
}

static void test_scribbled_words(void **unused) {
  (void)unused;
  const char *only = getenv("SHOAL_FUZZ_ONLY");
  uint32_t seed = setting("SHOAL_FUZZ_SEED", 1);
  if (!seed) seed = (uint32_t)shoal_now_ns() ^ (uint32_t)getpid();
  uint32_t n = setting("SHOAL_FUZZ_ROUNDS", 320), from = setting("SHOAL_FUZZ_FROM", 0);
  int bad = 0;
  print_message("seed %u\n", seed);
  for (uint32_t k = 0; k < KINDS; k++) {
    int status;
    if (only && strcmp(only, kinds[k].name)) continue;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) rounds(k, seed, from, n * kinds[k].share / 16);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    print_message(
        "SHOAL_FUZZ_SEED=%u SHOAL_FUZZ_ONLY=%s SHOAL_FUZZ_FROM=%u SHOAL_FUZZ_ROUNDS=16: operation %u: status %x\n",
        seed, kinds[k].name, where->round, where->op, (unsigned)status);
    bad++;
  }
  assert_int_equal(bad, 0);
}

int main(void) {
  where = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (where == MAP_FAILED) return 2;
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_scribbled_words)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
