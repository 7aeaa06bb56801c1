// tests/ipc/queue/topic_fixture.h: a topic of numbers in an arena, for the tests of ipc/queue/topic.
#pragma once

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/queue/topic.h"
#include "tests/harness/stage.h"

SHOAL_TOPIC_TYPED(numbers, uint64_t)

#define LEDGER 100000

struct shared {  // the start of each arena; the topic follows
  uint64_t topic_size;
  shoal_atomic32 ready, stage, done;
  shoal_atomic64 answers[32];  // by body
  shoal_atomic64 sum;
  uint8_t ledger[LEDGER];
};
#define TOPIC_AT ((sizeof(struct shared) + 63) & ~(size_t)63)

static inline struct shared *shared(void) { return arena.memory; }

static inline struct shoal_topic *attach(void *memory) {
  struct shared *s = memory;
  struct shoal_topic *t;
  CHECK(shoal_topic_attach_((char *)memory + TOPIC_AT, s->topic_size, 8, &t) == 0);
  return t;
}
static inline struct shoal_topic *make(struct shoal_topic_options o) {
  o.element_size = 8;
  uint64_t size = shoal_topic_size_(&o);
  assert_true(size > 0);
  arena_make(&arena, TOPIC_AT + size);
  shared()->topic_size = size;
  assert_int_equal(shoal_topic_place_((char *)arena.memory + TOPIC_AT, size, &o), 0);
  return attach(arena.memory);
}
static inline struct shoal_topic *make_of(uint32_t capacity) {
  return make((struct shoal_topic_options){.capacity = capacity});
}
static inline struct shoal_topic_info info_of(struct shoal_topic *t) {
  struct shoal_topic_info info;
  CHECK(shoal_topic_info(t, &info) == 0);
  return info;
}
static inline void unmake(struct shoal_topic *t) {
  assert_int_equal(info_of(t).late, 0);  // nothing came by the once-a-second look only
  assert_int_equal(shoal_topic_detach(t), 0);
  arena_free(&arena);
}

static inline void subscribe_as(struct shoal_topic *t, uint32_t slow, uint32_t history, const char *group) {
  struct shoal_topic_subscription how = {.history = history, .slow = slow, .group = group};
  CHECK(shoal_topic_subscribe(t, &how) == 0);
}
static inline void subscribe(struct shoal_topic *t) { subscribe_as(t, SHOAL_TOPIC_WAIT, 0, NULL); }
static inline int try_publish(struct shoal_topic *t, uint64_t v) { return numbers_publish(t, &v, SHOAL_TRY); }
static inline void publish(struct shoal_topic *t, uint64_t v) { CHECK(numbers_publish(t, &v, SHOAL_FOREVER) == 0); }
static inline uint64_t get(struct shoal_topic *t) {
  uint64_t v = 0;
  CHECK(numbers_get(t, &v, SHOAL_FOREVER) == 0);
  return v;
}
// The next number, or a negative errno.
static inline int64_t try_get(struct shoal_topic *t) {
  uint64_t v = 0;
  int rc = numbers_get(t, &v, SHOAL_TRY);
  return rc ? rc : (int64_t)v;
}
static inline uint64_t receive(struct shoal_topic *t, struct shoal_loan *loan) {
  CHECK(shoal_topic_receive(t, loan, SHOAL_FOREVER) == 0);
  return *(uint64_t *)loan->data;
}

static inline void sleepers_start(struct peer *peers, unsigned n, arena_body body) {
  for (unsigned i = 0; i < n; i++) peers[i] = peer_start(&arena, body, i);
  for (unsigned i = 0; i < n; i++) peer_asleep(&peers[i]);
}
static inline void peers_join(struct peer *peers, unsigned n) {
  for (unsigned i = 0; i < n; i++) peer_join(&peers[i]);
}
static inline void publish_ten(void *memory, unsigned i) {
  struct shoal_topic *t = attach(memory);
  struct shared *s = memory;
  (void)i;
  for (uint64_t n = 0; n < 10; n++) {
    publish(t, n);
    shoal_add64_relaxed(&s->sum, 1);
  }
}
