// tests/ipc/data/fixture.h: a segment, the account of the heap in it, and words that are scribbled over.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka wants those above first
#include <cmocka.h>

#include "core/heap.h"
#include "tests/harness/stage.h"

#define F SHOAL_FOREVER

static const struct shoal_segment_options small = {
    .size = 256 << 10, .size_max = 64 << 20, .participants = 32, .objects = 32};
static struct shoal_segment *seg;

static inline struct shoal_heap_info heap_info(void) {
  struct shoal_heap_info info;
  struct shoal_heap *heap;
  CHECK(shoal_heap_open(seg, &heap) == 0);
  CHECK(shoal_heap_reap(heap) >= 0);
  CHECK(shoal_heap_info(heap, &info) == 0);
  CHECK(shoal_heap_close(heap) == 0);
  return info;
}

static inline uint32_t rnd(uint32_t *state) {
  *state ^= *state << 13, *state ^= *state >> 17;
  return *state ^= *state << 5;
}
// As a hostile or broken peer would change one of the victim's words.
static inline void scribble(uint64_t *(*victim_word)(uint32_t *random), uint32_t *random) {
  uint64_t *at = victim_word(random), r = (uint64_t)rnd(random) << 32 | rnd(random);
  switch (rnd(random) % 6) {
    case 0: *at = r; break;
    case 1: *at = UINT64_MAX; break;
    case 2: *at ^= UINT64_C(1) << r % 64; break;
    case 3: *at = r >> r % 64; break;
    case 4: *at = *victim_word(random); break;
    default: *at += r % 5 - 2;
  }
}
// What a damaged word leads to may be anything, also the links of this thread's robust words, which are believed.
static inline int is_a_block(struct shoal_heap *heap, const void *at) { return shoal_heap_usable(heap, at) >= 24; }
// Eight times, each in a process, which may not crash.
static inline void in_processes(arena_body body) {
  arena_begin(4096);
  for (unsigned i = 0; i < 8; i++) {
    struct peer p = peer_start(&arena, body, i);
    peer_join(&p);
  }
  arena_end(NULL);
}
