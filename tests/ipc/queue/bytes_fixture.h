// tests/ipc/queue/bytes_fixture.h: a queue of byte messages in a segment whose blocks are counted.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/queue/message.h"
#include "ipc/queue/queue_internal.h"
#include "tests/harness/stage.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define NAME "lines"

struct shared {
  shoal_atomic32 ready, stage;
  shoal_atomic64 received;
  uint8_t ledger[8192];
};
static struct shoal_segment *seg;
static struct shoal_heap *heap;
static uint64_t blocks_before;

static inline struct shared *shared(void) { return arena.memory; }

static inline void make_segment(uint64_t size_max) {
  const struct shoal_segment_options options = {.size = 4 * MIB, .size_max = size_max};
  arena_make(&arena, sizeof(struct shared));
  assert_int_equal(shoal_segment_create(NULL, &options, &seg), 0);
  assert_int_equal(shoal_heap_open(seg, &heap), 0);
}
static inline struct shoal_heap_info heap_info(void) {
  struct shoal_heap_info info;
  CHECK(shoal_heap_info(heap, &info) == 0);
  return info;
}
static inline void unmake_segment(void) {
  assert_int_equal(shoal_heap_close(heap), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
  arena_free(&arena);
}
static inline struct shoal_queue *make_with(struct shoal_queue_options o) {
  struct shoal_queue *q;
  o.bytes = 1;
  assert_int_equal(shoal_queue_create(seg, NAME, &o, &q), 0);
  blocks_before = heap_info().blocks;
  return q;
}
static inline struct shoal_queue *make(uint32_t kind, uint32_t capacity) {
  make_segment(0);
  return make_with((struct shoal_queue_options){.capacity = capacity, .kind = kind});
}
static inline void unmake(struct shoal_queue *q) {
  assert_int_equal(heap_info().blocks, blocks_before);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_queue_unlink(seg, NAME), 0);
  unmake_segment();
}
// In a child: the same queue at another address.
static inline struct shoal_queue *open_again(struct shoal_segment **mine) {
  struct shoal_queue *q;
  CHECK(shoal_segment_open_fd(shoal_segment_fd(seg), mine) == 0);
  CHECK(shoal_queue_open(*mine, NAME, 0, &q) == 0);
  return q;
}

// Not only zeros, and another pattern for each message.
static inline void fill(unsigned char *data, uint64_t size, uint64_t id) {
  for (uint64_t i = 0; i < size; i += 4096)
    memset(data + i, (int)(id * 31 + (i >> 12)), size - i < 4096 ? size - i : 4096);
}
static inline int is_filled(const unsigned char *data, uint64_t size, uint64_t id) {
  static __thread unsigned char page[4096];
  for (uint64_t i = 0; i < size; i += 4096) {
    uint64_t n = size - i < 4096 ? size - i : 4096;
    memset(page, (int)(id * 31 + (i >> 12)), n);
    if (memcmp(page, data + i, n) != 0) return 0;
  }
  return 1;
}
static inline void *filled(uint64_t size, uint64_t id) {
  unsigned char *data = malloc(size + 1);
  CHECK(data);
  fill(data, size, id);
  return data;
}
static inline int send_filled(struct shoal_queue *q, uint64_t size, uint64_t id, shoal_deadline deadline) {
  void *data = filled(size, id);
  int rc = shoal_queue_send(q, data, size, deadline);
  free(data);
  return rc;
}
static inline void recv_filled(struct shoal_queue *q, uint64_t size, uint64_t id) {
  unsigned char *data = malloc(size + 1);
  uint64_t got = ~size;
  CHECK(data);
  data[size] = 0xa5;
  CHECK(shoal_queue_recv(q, data, size, &got, SHOAL_FOREVER) == 0);
  CHECK(got == size && is_filled(data, size, id) && data[size] == 0xa5);
  free(data);
}

static inline struct shoal_queue *make_like(struct shoal_queue_options o) {
  make_segment(0);
  return make_with(o);
}
