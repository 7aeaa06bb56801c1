// tests/ipc/queue/select_fixture.h: queues in one arena, and who selects among them.
#pragma once

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "core/error.h"
#include "ipc/queue/select.h"
#include "tests/harness/stage.h"

SHOAL_QUEUE_TYPED(number_queue, uint64_t)
SHOAL_SELECT_TYPED(number_queue, uint64_t)

#define QUEUES 64
#define LEDGER 100000

struct shared {  // the start of each arena; the queues follow
  uint64_t queue_size;
  shoal_atomic32 ready, stage, done;
  shoal_atomic64 answers[QUEUES];
  shoal_atomic64 sum;
  struct shoal_event event;
  struct shoal_semaphore items;  // consumed
  struct {
    struct shoal_semaphore s;
    struct shoal_permit permits[2];
  } held[2];
  uint8_t ledger[LEDGER];
};
#define QUEUES_AT ((sizeof(struct shared) + 63) & ~(size_t)63)

static struct shoal_queue *Q[QUEUES];  // this process's handles
static uint32_t queues;

static inline struct shared *shared(void) { return arena.memory; }
static inline struct shoal_queue *attach(void *memory, uint32_t i) {
  struct shared *s = memory;
  struct shoal_queue *q;
  CHECK(shoal_queue_attach_((char *)memory + QUEUES_AT + i * s->queue_size, s->queue_size, 8, &q) == 0);
  return q;
}
static inline void make_of(uint32_t n, struct shoal_queue_options o) {
  o.element_size = 8;
  uint64_t size = (shoal_queue_size_(&o) + 63) & ~UINT64_C(63);
  queues = n;
  arena_make(&arena, QUEUES_AT + n * size);
  shared()->queue_size = size;
  assert_int_equal(shoal_event_init(&shared()->event), 0);
  assert_int_equal(shoal_semaphore_init(&shared()->items, 0, 0, SHOAL_SEMAPHORE_CONSUMED), 0);
  for (uint32_t i = 0; i < n; i++) {
    assert_int_equal(shoal_queue_place_((char *)arena.memory + QUEUES_AT + i * size, size, &o), 0);
    Q[i] = attach(arena.memory, i);
  }
}
static inline void make(uint32_t n) {
  make_of(n, (struct shoal_queue_options){.capacity = 4, .producers = 8, .consumers = 8});
}
static inline struct shoal_queue_info info_of(struct shoal_queue *q) {
  struct shoal_queue_info info;
  CHECK(shoal_queue_info(q, &info) == 0);
  return info;
}
static inline void unmake(void) {
  for (uint32_t i = 0; i < queues; i++) {
    assert_int_equal(info_of(Q[i]).late, 0);
    assert_int_equal(shoal_queue_detach(Q[i]), 0);
  }
  arena_free(&arena);
}

static inline void put(struct shoal_queue *q, uint64_t v) { CHECK(number_queue_put(q, &v, SHOAL_FOREVER) == 0); }
static inline uint64_t get(struct shoal_queue *q) {
  uint64_t v = 0;
  CHECK(number_queue_get(q, &v, SHOAL_TRY) == 0);
  return v;
}

static unsigned born;
// Has all that a first sleep does once behind it, and sleeps when it is its turn: nobody is rung, so all sleep in their
// order.
static inline void line_up(struct shared *s, struct shoal_case *c, uint32_t n) {
  unsigned turn = born;
  for (uint32_t k = 0; k < n; k++) CHECK(shoal_select(&c[k], 1, shoal_after_ns(1)) == -ETIMEDOUT);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->stage, turn);
}
static inline void took(struct shared *s, unsigned i, uint64_t v) {
  shoal_store64_relaxed(&s->answers[i], v);
  shoal_add32_seq_cst(&s->done, 1);
}
static inline void gets_one(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory, i);
  uint64_t v = 0;
  struct shoal_case c = number_queue_on_get(q, &v);
  line_up(s, &c, 1);
  CHECK(number_queue_get(q, &v, SHOAL_FOREVER) == 0);
  took(s, i, v);
  CHECK(shoal_queue_detach(q) == 0);
}
static inline void make_two(void) {
  born = 0;
  make(2);
  for (int k = 0; k < 2; k++) assert_int_equal(shoal_queue_join(Q[k], SHOAL_PRODUCER), 0);
}
static inline struct peer bear(arena_body body, unsigned i) {
  born++;
  struct peer p = peer_start(&arena, body, i);
  await(&shared()->ready, born);
  return p;
}
static inline void fall_asleep(struct peer *p, unsigned n) {
  for (unsigned i = 0; i < n; i++) {
    shoal_store32_seq_cst(&shared()->stage, i + 1);
    peer_asleep(&p[i]);
  }
}
static inline void stop(struct peer *p) {
  int status;
  CHECK(kill(p->pid, SIGSTOP) == 0 && waitpid(p->pid, &status, WUNTRACED) == p->pid);
}

static inline void make_held(void) {
  born = 0;
  make(1);
  for (int k = 0; k < 2; k++) assert_int_equal(shoal_semaphore_init(&shared()->held[k].s, 1, 2, 0), 0);
}
static inline uint32_t value_of(struct shoal_semaphore *s) {
  struct shoal_semaphore_info info;
  CHECK(shoal_semaphore_info(s, &info) == 0);
  return info.value;
}

static inline void refused(struct shoal_case c, int code, const char *why) {
  uint64_t v = 0;
  struct shoal_case cases[2] = {number_queue_on_get(Q[0], &v), c};  // the first is ready, and not performed
  assert_int_equal(shoal_select(cases, 2, SHOAL_TRY), code);
  assert_string_equal(shoal_reason(), why);
  assert_int_equal(info_of(Q[0]).size, 1);
}

static inline uint64_t answer(unsigned i) { return shoal_load64_relaxed(&shared()->answers[i]); }
