// tests/core/directory_fixture.h: a small segment, and whether all that its directory says agrees.
#pragma once

#include "tests/core/support.h"

static const struct shoal_segment_options small = {
    .size = 64 << 10, .size_max = 16 << 20, .participants = 16, .objects = 64};

static inline int create(struct shoal_segment *seg, const char *name, uint64_t size) {
  struct shoal_object o;
  return shoal_object_create(seg, name, "test", size, NULL, NULL, &o);
}
static inline int exists(struct shoal_segment *seg, const char *name) {
  struct shoal_object o;
  int rc = shoal_object_open(seg, name, "test", &o);
  MUST(rc == 0 || rc == -ENOENT);
  if (rc == 0) MUST(shoal_object_close(seg, &o) == 0);
  return rc == 0;
}

// ---- the whole structure, seen from inside ----

#define STATE_OF(w) ((unsigned)((w)&7))
enum { EMPTY, FREE, CREATING, LIVE, REMOVED };

// Nobody else is at work. Every word agrees with every other.
static inline void verify(struct shoal_segment *seg) {
  uint64_t units = shoal_segment_size_(seg) / SHOAL_UNIT_;
  uint32_t in_use = 0, mask = seg->g.entries - 1;
  uint32_t *owners = calloc(units, sizeof *owners);
  assert_non_null(owners);
  assert_int_equal(shoal_load32_relaxed(&seg->header->writer.word), 0);
  for (uint32_t at = 0; at <= mask; at++) {
    struct shoal_entry_shm *e = &seg->entries[at];
    unsigned st = STATE_OF(shoal_load64_relaxed(&e->state));
    assert_true(st == EMPTY || st == FREE || st == LIVE || st == REMOVED);
    if (st == REMOVED) assert_true(shoal_reference_any_(seg, at));
    if (st < CREATING) continue;
    in_use++;
    uint64_t first = (shoal_load64_relaxed(&e->off) - seg->g.units_off) / SHOAL_UNIT_;
    uint64_t n = shoal_units_(shoal_load64_relaxed(&e->size));
    assert_true(n > 0 && first < units && n <= units - first);
    for (uint64_t u = first; u < first + n; u++) {
      assert_int_equal(owners[u], 0);
      owners[u] = at + 1;
    }
    if (st != LIVE) continue;
    // its own hash leads to it, past nothing that is EMPTY
    struct shoal_object o;
    char name[SHOAL_NAME_MAX + 1], type[SHOAL_TYPE_MAX + 1];
    memcpy(name, (const void *)e->name, sizeof name);
    memcpy(type, (const void *)e->type, sizeof type);
    assert_ok(shoal_object_open(seg, name, type, &o));
    assert_int_equal(o.entry, at);
    assert_ok(shoal_object_close(seg, &o));
  }
  for (uint64_t u = 0; u < units; u++)
    if (shoal_load32_relaxed(&seg->owners[u]) != owners[u])
      fail_msg("unit %llu: owner %u, the entries say %u", (unsigned long long)u, shoal_load32_relaxed(&seg->owners[u]),
               owners[u]);
  assert_int_equal(shoal_load32_relaxed(&seg->header->objects_used), in_use);
  free(owners);
}

static inline int remove_each(const struct shoal_object_info *info, void *arg) {
  return shoal_object_remove(arg, info->name);
}

// After everybody has closed: removing all leaves nothing at all.
static inline void verify_empties(struct shoal_segment *seg) {
  verify(seg);
  assert_ok(shoal_object_list(seg, remove_each, seg));
  shoal_proc_reap(seg);
  verify(seg);
  assert_int_equal(info_of(seg).used, 0);
  assert_int_equal(info_of(seg).objects, 0);
  for (uint32_t i = 0; i < seg->g.entries; i++)
    assert_int_equal(STATE_OF(shoal_load64_relaxed(&seg->entries[i].state)), EMPTY);
  for (uint32_t i = 0; i < seg->g.lines * SHOAL_LINE_RECORDS_; i++)
    assert_int_equal(shoal_load64_relaxed(&seg->lines[i / SHOAL_LINE_RECORDS_].record[i % SHOAL_LINE_RECORDS_]), 0);
}

// ---- one process ----

static inline int fill(void *memory, uint64_t size, void *arg) {
  for (uint64_t i = 0; i < size; i++)
    if (((char *)memory)[i]) return -EIO;
  memset(memory, *(int *)arg, size);
  return 0;
}
