// Who uses which object: records of {process, entry} in the segment, and beside them a list in private memory, from
// which a child of fork learns what it has inherited.
//
// Opening and removing race for an object's memory: each writes, then looks at what the other wrote.
//   opener   record := mine [F1];      state?  [F2]  still LIVE, of this generation: it is mine to use
//   remover  state := REMOVED [F3];    records? [F4] none: nobody has it, nobody will
//   closer   record := 0 [F5];         state?  [F2]  REMOVED: try to free it
// [F1] pairs with [F4], [F3] pairs with [F2], [F5] pairs with [F4]. All are sequentially consistent: else both could
// miss the other, and memory in use be freed, or memory be freed by none.
#include "core/error.h"
#include "core/segment_internal.h"

#define ENTRY_BITS (64 - SHOAL_PROCESS_BITS_)
#define ENTRY_MASK ((UINT64_C(1) << ENTRY_BITS) - 1)
SHOAL_STATIC_ASSERT((uint64_t)SHOAL_OBJECTS_MAX_ * 2 <= ENTRY_MASK + 1, "a record names any entry");

static shoal_atomic64 *record_at(struct shoal_segment *seg, uint32_t i) {
  return &seg->lines[i / SHOAL_LINE_RECORDS_].record[i % SHOAL_LINE_RECORDS_];
}
static shoal_process_id_ process_of(uint64_t record) { return record >> ENTRY_BITS; }
static struct shoal_reference_line_shm *line_of(struct shoal_segment *seg, uint32_t entry, uint32_t i) {
  return &seg->lines[(entry + i) & (seg->g.lines - 1)];
}

static int add(struct shoal_segment *seg, uint32_t entry, uint64_t mine, uint32_t *record) {
  for (uint32_t i = 0; i < seg->g.lines; i++) {
    struct shoal_reference_line_shm *line = line_of(seg, entry, i);
    for (uint32_t k = 0; k < SHOAL_LINE_RECORDS_; k++) {
      uint64_t none = 0;
      if (shoal_load64_relaxed(&line->record[k])) continue;
      if (!shoal_cas64_seq_cst(&line->record[k], &none, mine)) continue;  // [F1]
      *record = (uint32_t)(line - seg->lines) * SHOAL_LINE_RECORDS_ + k;
      return 1;
    }
    // [F1] before a record stands in the next line, all who look in this one are sent on
    if (!shoal_load64_relaxed(&line->overflowed)) shoal_store64_seq_cst(&line->overflowed, 1);
  }
  return 0;
}

int shoal_reference_add_(struct shoal_segment *seg, uint32_t entry, uint32_t *record) {
  uint64_t mine = shoal_process_self_() << ENTRY_BITS | entry;
  if (add(seg, entry, mine, record)) return 0;
  shoal_reference_sweep_(seg);
  if (add(seg, entry, mine, record)) return 0;
  return shoal_fail_(-ENOSPC, "no more than %u uses of objects", seg->g.lines * SHOAL_LINE_RECORDS_);
}

void shoal_reference_drop_(struct shoal_segment *seg, uint32_t record) {
  shoal_store64_seq_cst(record_at(seg, record), 0);  // [F5]
}

int shoal_reference_any_(struct shoal_segment *seg, uint32_t entry) {
  for (uint32_t i = 0; i < seg->g.lines; i++) {
    struct shoal_reference_line_shm *line = line_of(seg, entry, i);
    for (uint32_t k = 0; k < SHOAL_LINE_RECORDS_; k++) {
      uint64_t r = shoal_load64_seq_cst(&line->record[k]);  // [F4]
      if (r && (r & ENTRY_MASK) == entry) return 1;
    }
    if (!shoal_load64_seq_cst(&line->overflowed)) return 0;  // [F4]
  }
  return 0;
}

void shoal_reference_sweep_(struct shoal_segment *seg) {
  struct {
    shoal_process_id_ process;
    int gone;
  } known[64] = {{0, 0}}, *k;
  for (uint32_t i = 0; i < seg->g.lines * SHOAL_LINE_RECORDS_; i++) {
    uint64_t r = shoal_load64_relaxed(record_at(seg, i));
    if (r == 0) continue;
    k = &known[process_of(r) % 64];
    if (k->process != process_of(r)) {
      k->process = process_of(r);
      k->gone = shoal_process_gone_(k->process);
    }
    if (k->gone) shoal_cas64_seq_cst(record_at(seg, i), &r, 0);  // [F5] by CAS: another sweeper may have been here
  }
}

// ---- what this process holds ----

#define KEY(entry, generation) ((uint64_t)(generation) << 32 | UINT64_C(1) << 31 | (entry))  // never 0
#define WHERE(epoch, record) ((uint64_t)(epoch) << 32 | (record))
#define LOST UINT32_MAX

static struct shoal_held_ *slot_of(struct shoal_segment *seg, uint32_t entry, uint32_t i) {
  return &seg->held[(entry * SHOAL_LINE_RECORDS_ + i) & seg->held_mask];
}

// The list is long and all but empty: of what was never used, each page that is looked at would be a fault, in each
// child of fork.
static uint32_t part_size(const struct shoal_segment *seg) { return seg->held_mask / 64 + 1; }

// The first of them.
static struct shoal_held_ *part_of(struct shoal_segment *seg, uint64_t parts) {
  return seg->held + (size_t)__builtin_ctzll(parts) * part_size(seg);
}

// Before the slot is taken, so that a child forked right after that looks there.
static void use_part(struct shoal_segment *seg, const struct shoal_held_ *h) {
  uint64_t was = shoal_load64_relaxed(&seg->held_parts);
  uint64_t part = UINT64_C(1) << (uint32_t)(h - seg->held) / part_size(seg);
  while (!(was & part) && !shoal_cas64_relaxed(&seg->held_parts, &was, was | part)) continue;
}

int shoal_held_add_(struct shoal_segment *seg, uint32_t entry, uint32_t generation, uint32_t record) {
  shoal_add32_relaxed(&seg->held_count, 1);
  for (uint32_t i = 0; i <= seg->held_mask; i++) {
    struct shoal_held_ *h = slot_of(seg, entry, i);
    uint64_t none = 0;
    if (shoal_load64_relaxed(&h->what)) continue;
    use_part(seg, h);
    if (!shoal_cas64_relaxed(&h->what, &none, KEY(entry, generation))) continue;
    shoal_store64_relaxed(&h->where, WHERE(shoal_self_()->epoch, record + 1));
    return 0;
  }
  shoal_add32_relaxed(&seg->held_count, UINT32_MAX);
  return shoal_fail_(-ENOSPC, "no more uses of objects in this process");
}

// Gives up one that was found to be `where`; 0 if another thread was faster.
static int give_up(struct shoal_segment *seg, struct shoal_held_ *h, uint64_t where, uint32_t entry) {
  if (where == 0 || !shoal_cas64_relaxed(&h->where, &where, 0)) return 0;
  shoal_store64_relaxed(&h->what, 0);
  shoal_add32_relaxed(&seg->held_count, UINT32_MAX);
  if (where >> 32 != shoal_self_()->epoch || (uint32_t)where == LOST) return 1;  // the parent's record, or none
  shoal_reference_drop_(seg, (uint32_t)where - 1);
  shoal_directory_freed_(seg, entry);
  return 1;
}

int shoal_held_drop_(struct shoal_segment *seg, uint32_t entry, uint32_t generation) {
  for (uint32_t i = 0; i <= seg->held_mask; i++) {
    struct shoal_held_ *h = slot_of(seg, entry, i);
    if (shoal_load64_relaxed(&h->what) != KEY(entry, generation)) continue;
    if (give_up(seg, h, shoal_load64_relaxed(&h->where), entry)) return 0;
  }
  return shoal_fail_(-EINVAL, "this process does not have the object open");
}

void shoal_held_drop_all_(struct shoal_segment *seg) {
  for (uint64_t parts = shoal_load64_relaxed(&seg->held_parts); parts; parts &= parts - 1) {
    struct shoal_held_ *h = part_of(seg, parts), *end = h + part_size(seg);
    for (; h < end && shoal_load32_relaxed(&seg->held_count); h++) {
      uint64_t what = shoal_load64_relaxed(&h->what);
      if (what) give_up(seg, h, shoal_load64_relaxed(&h->where), (uint32_t)what & INT32_MAX);
    }
  }
}

// One that was inherited is the child's, with a record of its own.
static void renew(struct shoal_segment *seg, struct shoal_held_ *h, uint32_t epoch) {
  uint64_t what = shoal_load64_relaxed(&h->what), where = shoal_load64_relaxed(&h->where);
  uint32_t entry = (uint32_t)what & INT32_MAX, record = 0;
  if (what == 0 || where == 0 || where >> 32 == epoch) return;
  int rc = shoal_reference_add_(seg, entry, &record);
  int kept = rc == 0 && shoal_directory_has_(seg, entry, (uint32_t)(what >> 32));
  int mine = shoal_cas64_relaxed(&h->where, &where, WHERE(epoch, kept ? record + 1 : LOST));
  if (rc == 0 && !(kept && mine)) {
    shoal_reference_drop_(seg, record);
    shoal_directory_freed_(seg, entry);
  }
}

// In a child of fork. Any thread may, several at once: when one has been through the list, all is registered.
void shoal_held_renew_(struct shoal_segment *seg) {
  uint32_t epoch = shoal_self_()->epoch;
  for (uint64_t parts = shoal_load64_relaxed(&seg->held_parts); parts; parts &= parts - 1) {
    struct shoal_held_ *h = part_of(seg, parts), *end = h + part_size(seg);
    for (; h < end && shoal_load32_relaxed(&seg->held_count); h++) renew(seg, h, epoch);
  }
}

int shoal_held_confirm_(struct shoal_segment *seg, uint32_t entry, uint32_t generation) {
  for (uint32_t i = 0; i <= seg->held_mask; i++) {
    struct shoal_held_ *h = slot_of(seg, entry, i);
    uint64_t where = shoal_load64_relaxed(&h->where);  // 0: a thread that is not here was about to say it at the fork
    if (shoal_load64_relaxed(&h->what) == KEY(entry, generation) && where && (uint32_t)where != LOST) return 0;
  }
  return shoal_fail_(-ENOENT, "the object was removed before this child of fork came to use it");
}

// ---- told of by another process ----

int shoal_object_hold_(struct shoal_segment *seg, const struct shoal_object *object) {
  shoal_proc_id id;
  uint32_t record;
  int rc = shoal_proc_self(seg, &id);
  if (rc == 0 && object->entry >= seg->g.entries) rc = shoal_fail_(-EINVAL, "no object is in entry %u", object->entry);
  if (rc == 0) rc = shoal_reference_add_(seg, object->entry, &record);
  if (rc) return rc;
  rc = shoal_directory_has_(seg, object->entry, object->generation)
           ? shoal_held_add_(seg, object->entry, object->generation, record)
           : shoal_fail_(-ENOENT, "the object in entry %u is no more", object->entry);
  if (rc == 0) return 0;
  shoal_reference_drop_(seg, record);
  shoal_directory_freed_(seg, object->entry);
  return rc;
}
