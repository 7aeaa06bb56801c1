// A file as a segment: its header, participants and directory are edited before it is opened and while it is used. It
// is refused, or each call answers, and what an object is said to have is there.
#include <stdio.h>
#include <string.h>

#include "core/directory.h"
#include "core/heap.h"
#include "core/proc.h"
#include "tests/fuzz/fuzz.h"

#define NAMES 6
#define OPEN 4

static void name_of(struct script *s, char to[8]) { snprintf(to, 8, "o%u", script_below(s, NAMES)); }
static uint64_t size_of(struct script *s) { return 1 + script_below(s, 4000); }

static int fill(void *memory, uint64_t size, void *arg) {
  memset(memory, 'x', size);
  return arg ? -ECANCELED : 0;
}

void stage_make(struct shoal_segment *seg) {
  struct shoal_object o, part;
  struct shoal_heap *heap;
  void *block;
  for (unsigned i = 0; i < NAMES - 2; i++) {
    char name[8];
    snprintf(name, sizeof name, "o%u", i);
    FUZZ_CHECK(shoal_object_create(seg, name, "t", 100 + 300 * i, fill, NULL, &o) == 0);
    if (i == 1) FUZZ_CHECK(shoal_object_part_(seg, &o, 1, 700, &part) == 0);
    FUZZ_CHECK(shoal_object_close(seg, &o) == 0);
  }
  FUZZ_CHECK(shoal_heap_open(seg, &heap) == 0 && shoal_heap_alloc(heap, 100, &block) == 0 &&
             shoal_heap_close(heap) == 0);
}

static int count_names(const struct shoal_object_info *info, void *arg) {
  *(size_t *)arg += strlen(info->name) + strlen(info->type);
  return 0;
}
static void look(struct shoal_segment *seg) {
  struct shoal_segment_info info;
  size_t length = 0;
  shoal_segment_info(seg, &info);
  (void)shoal_object_list(seg, count_names, &length);
}

// Blocks of a heap that may be damaged: what it gives is there.
static void use_heap(struct script *s, struct shoal_segment *seg) {
  struct shoal_heap *heap;
  struct shoal_heap_info info;
  void *block[4];
  unsigned n = 0;
  if (shoal_heap_open(seg, &heap)) return;
  for (unsigned i = 0; i < 4; i++) {
    uint64_t size = size_of(s);
    if (shoal_heap_alloc(heap, size, &block[n]) == 0) memset(block[n++], 'y', size);
    if (n && script_below(s, 3) == 0) (void)shoal_heap_free(heap, block[--n]);
    if (script_below(s, 4) == 0) stage_edit(s);
  }
  (void)shoal_heap_info(heap, &info);
  (void)shoal_heap_reap(heap);
  (void)shoal_heap_close(heap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct script s = {data, data + size};
  struct shoal_object o[OPEN] = {{0}};
  struct shoal_segment *seg = stage_open(&s);
  char name[8];
  if (!seg) return 0;
  while (stage_left(&s)) {
    struct shoal_object *one = &o[script_below(&s, OPEN)];
    switch (script_below(&s, 12)) {
      case 0:
      case 1: stage_edit(&s); break;
      case 2:
      case 3:
        name_of(&s, name);
        if (!one->memory && shoal_object_open(seg, name, "t", one) == 0) memset(one->memory, 'y', one->size);
        break;
      case 4:
        name_of(&s, name);
        if (!one->memory)
          (void)!shoal_object_create(seg, script_below(&s, 4) ? name : NULL, "t", size_of(&s), fill,
                                     script_below(&s, 4) ? NULL : seg, one);
        break;
      case 5:
        if (one->memory) (void)shoal_object_close(seg, one);
        memset(one, 0, sizeof *one);
        break;
      case 6: name_of(&s, name), (void)shoal_object_remove(seg, name); break;
      case 7: look(seg); break;
      case 8: (void)shoal_proc_reap(seg); break;
      case 9: {
        struct shoal_object part;
        if (one->memory && shoal_object_part_(seg, one, script_below(&s, 3), size_of(&s), &part) == 0)
          memset(part.memory, 'z', part.size);
        break;
      }
      case 10: (void)shoal_segment_grow(seg, (256 << 10) + (uint64_t)script_below(&s, 200) * 4096); break;
      default: use_heap(&s, seg);
    }
  }
  stage_close();
  return 0;
}
