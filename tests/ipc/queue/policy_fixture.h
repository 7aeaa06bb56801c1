// tests/ipc/queue/policy_fixture.h: queues of numbers with a policy.
#pragma once

#include "ipc/queue/queue_internal.h"
#include "tests/ipc/queue/queue_fixture.h"

static inline struct shoal_queue *make_with(struct shoal_queue_options o) {
  o.element_size = 8;
  if (o.kind == SHOAL_QUEUE_PRIORITY) o.key = (struct shoal_queue_key){SHOAL_KEY_U64, 0};
  return make(&o);
}
static inline int put(struct shoal_queue *q, uint64_t v) { return number_queue_put(q, &v, SHOAL_TRY); }
static inline void refused(struct shoal_queue_options o, const char *why) {
  char small[256] __attribute__((aligned(64))) = {0};
  o.element_size = 8;
  assert_int_equal(shoal_queue_place_(small, sizeof small, &o), -EINVAL);
  assert_string_equal(shoal_reason(), why);
}

#define HOUR UINT64_C(3600000000000)
// As if the lease of what is in hand were over then.
static inline void ends_at(struct shoal_queue *q, const struct shoal_loan *loan, int64_t ns) {
  if (q->kind == SHOAL_QUEUE_MPMC) {
    shoal_atomic64 *word = &q->until[loan->token % 4];
    shoal_store64_relaxed(word, (shoal_load64_relaxed(word) & 0x3fff) | (uint64_t)ns >> 10 << 14);
  } else {
    shoal_ordered_lease(&q->ordered, (uint32_t)loan->token, ns);
  }
  shoal_store64_relaxed(&q->extra->next, (uint64_t)ns);
}
