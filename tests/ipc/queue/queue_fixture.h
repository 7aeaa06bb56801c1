// tests/ipc/queue/queue_fixture.h: a queue in an arena, its users, and who sleeps there.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/queue/queue.h"
#include "tests/harness/stage.h"

SHOAL_QUEUE_TYPED(number_queue, uint64_t)

#define LEDGER_MAX 200000  // each test says its own LEDGER, of so many at the most
struct shared {            // the start of each arena; the queue follows
  uint64_t queue_size;
  uint32_t element_size;
  shoal_atomic32 ready, stage, done, stop;
  shoal_atomic64 answers[16];  // by body
  shoal_atomic64 sum;
  uint8_t ledger[LEDGER_MAX];
};
#define QUEUE_AT ((sizeof(struct shared) + 63) & ~(size_t)63)
static inline struct shared *shared(void) { return arena.memory; }

static inline struct shoal_queue *attach(void *memory) {
  struct shared *s = memory;
  struct shoal_queue *q;
  CHECK(shoal_queue_attach_((char *)memory + QUEUE_AT, s->queue_size, s->element_size, &q) == 0);
  return q;
}
static inline struct shoal_queue *make(const struct shoal_queue_options *o) {
  uint64_t size = shoal_queue_size_(o);
  assert_true(size > 0);
  arena_make(&arena, QUEUE_AT + size);
  shared()->queue_size = size;
  shared()->element_size = o->element_size;
  assert_int_equal(shoal_queue_place_((char *)arena.memory + QUEUE_AT, size, o), 0);
  return attach(arena.memory);
}
static inline struct shoal_queue *make_mpmc(uint32_t capacity) {
  return make(&(struct shoal_queue_options){.capacity = capacity, .element_size = 8});
}
static inline struct shoal_queue *make_spsc(uint32_t capacity) {
  return make(&(struct shoal_queue_options){.capacity = capacity, .element_size = 8, .kind = SHOAL_QUEUE_SPSC});
}
static inline void unmake(struct shoal_queue *q) {
  assert_int_equal(shoal_queue_detach(q), 0);
  arena_free(&arena);
}

static inline void put_number(struct shoal_queue *q, uint64_t v) { CHECK(number_queue_put(q, &v, SHOAL_FOREVER) == 0); }
static inline uint64_t get_number(struct shoal_queue *q) {
  uint64_t v = 0;
  CHECK(number_queue_get(q, &v, SHOAL_FOREVER) == 0);
  return v;
}
static inline struct shoal_loan receive(struct shoal_queue *q) {
  struct shoal_loan loan;
  CHECK(shoal_queue_receive(q, &loan, SHOAL_FOREVER) == 0);
  return loan;
}
static inline struct shoal_queue_info info_of(struct shoal_queue *q) {
  struct shoal_queue_info info;
  CHECK(shoal_queue_info(q, &info) == 0);
  return info;
}
static inline void never_late(struct shoal_queue *q) { assert_int_equal(info_of(q).late, 0); }

// ---- bodies ----

static inline void get_until_told(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  uint64_t v;
  int rc;
  while ((rc = number_queue_get(q, &v, SHOAL_FOREVER)) == 0) shoal_add64_relaxed(&s->sum, v);
  CHECK(rc == -EPIPE);
  shoal_store64_relaxed(&s->answers[i], (uint64_t)-rc);
}
static inline void put_until_told(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  uint64_t v = 1;
  int rc;
  while ((rc = number_queue_put(q, &v, SHOAL_FOREVER)) == 0) shoal_add64_relaxed(&s->sum, 1);
  CHECK(rc == -EPIPE);
  shoal_store64_relaxed(&s->answers[i], (uint64_t)-rc);
}
// As a producer, as a consumer, with a message or with a place.
enum { PRODUCING = SHOAL_PRODUCER, CONSUMING = SHOAL_CONSUMER, HOLDING, RESERVING };
static inline void stay(void *memory, unsigned what) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  struct shoal_loan loan;
  if (what == HOLDING) CHECK(shoal_queue_receive(q, &loan, SHOAL_FOREVER) == 0);
  else if (what == RESERVING) CHECK(shoal_queue_reserve(q, &loan, SHOAL_FOREVER) == 0);
  else CHECK(shoal_queue_join(q, (int)what) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  for (;;) pause();
}

// They fall asleep in their order.
static inline void sleepers_start(struct peer *peers, unsigned n, arena_body body) {
  for (unsigned i = 0; i < n; i++) peers[i] = asleep(body, i);
  for (unsigned i = 0; i < n; i++) peer_asleep(&peers[i]);
}
static inline void peers_join(struct peer *peers, unsigned n) {
  for (unsigned i = 0; i < n; i++) peer_join(&peers[i]);
}
