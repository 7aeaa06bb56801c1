// tests/ipc/queue/ordered_fixture.h: queues of numbers of the kinds that have an order.
#pragma once

#include "tests/ipc/queue/queue_fixture.h"

#define LEDGER 100000u

static const struct shoal_queue_key by_number = {SHOAL_KEY_U64, 0};
static inline struct shoal_queue_options numbers_of(uint32_t kind, uint32_t capacity) {
  struct shoal_queue_options o = {.capacity = capacity, .element_size = 8, .kind = kind};
  if (kind == SHOAL_QUEUE_PRIORITY) o.key = by_number;
  return o;
}
static inline struct shoal_queue *make_numbers(uint32_t kind, uint32_t capacity) {
  struct shoal_queue_options o = numbers_of(kind, capacity);
  return make(&o);
}
#define EACH_KIND(kind) for (uint32_t kind = SHOAL_QUEUE_FIFO; kind <= SHOAL_QUEUE_PRIORITY; kind++)

static inline struct shoal_loan receive_now(struct shoal_queue *q) {
  struct shoal_loan loan;
  CHECK(shoal_queue_receive(q, &loan, SHOAL_TRY) == 0);
  return loan;
}

static uint32_t random_state = 1;
static inline uint32_t random32(void) {
  random_state ^= random_state << 13, random_state ^= random_state >> 17;
  return random_state ^= random_state << 5;
}
