// Where a list lies, and what a process knows of it.
#include <stdlib.h>

#include "core/reach.h"
#include "ipc/data/list_internal.h"

// ---- a view ----

uint64_t shoal_list_size(void) { return sizeof(struct shoal_list_shm); }

static int write_head(struct shoal_list_shm *shm) {
  int rc = shoal_robust_check();
  if (rc) return rc;
  memset(shm, 0, sizeof *shm);
  shm->kind = SHOAL_LIST_KIND_;
  return 0;
}

static int view(struct shoal_segment *seg, const struct shoal_object *object, void *memory, uint32_t named,
                struct shoal_list **out) {
  struct shoal_list_shm *shm = memory;
  uint64_t room = object->size - (uint64_t)((char *)memory - (char *)object->memory);
  if (room < sizeof *shm || room > object->size || __atomic_load_n(&shm->kind, __ATOMIC_RELAXED) != SHOAL_LIST_KIND_)
    return shoal_fail_(-EPROTO, "no list is there");
  struct shoal_list *l = calloc(1, sizeof *l);
  if (!l) return shoal_fail_(-ENOMEM, "private memory");
  int rc = shoal_robust_check();
  if (rc == 0) rc = shoal_keep_open_(&l->keep, seg, object);
  if (rc) {
    free(l);
    return rc;
  }
  l->shm = shm;
  l->named = named;
  l->object = *object;
  *out = l;
  return 0;
}

int shoal_list_attach(struct shoal_segment *seg, const struct shoal_object *object, void *memory,
                      struct shoal_list **out) {
  return view(seg, object, memory, 0, out);
}
int shoal_list_init(struct shoal_segment *seg, const struct shoal_object *object, void *memory,
                    struct shoal_list **out) {
  int rc = shoal_keep_place_(object, memory, sizeof(struct shoal_list_shm));
  if (rc == 0) rc = write_head(memory);
  return rc ? rc : view(seg, object, memory, 0, out);
}

static int forget(struct shoal_list *l) {
  int rc = shoal_keep_close_(&l->keep);
  free(l);
  return rc;
}
int shoal_list_close(struct shoal_list *l) {
  int rc = l->named ? shoal_object_close(l->keep.seg, &l->object) : 0;
  if (rc) return rc;
  if (l->named) shoal_reach_forget_(l->object.memory);
  return forget(l);
}

int shoal_list_destroy(struct shoal_list *l, shoal_deadline deadline) {
  struct shoal_row_ row;
  int rc = shoal_list_begin_(l, &row, deadline);
  if (rc) return rc;
  rc = shoal_list_change_(l, &row, 0, row.length, NULL, 0);
  if (rc == 0) __atomic_store_n(&l->shm->kind, 0, __ATOMIC_RELAXED);
  shoal_list_unlock_(l);
  return rc ? rc : shoal_list_close(l);
}

int shoal_list_info(struct shoal_list *l, struct shoal_list_info *out) {
  struct shoal_row_ r;
  uint32_t word = shoal_load32_relaxed(&l->shm->lock.word);
  int rc = shoal_list_look_(l, &r);
  if (rc) return rc;
  *out = (struct shoal_list_info){.length = r.length,
                                  .capacity = r.room,
                                  .row = r.shm ? sizeof *r.shm + 8 * r.room : 0,
                                  .owner = shoal_robust_owner(word),
                                  .waiting = (word & FUTEX_WAITERS) != 0,
                                  .dead = shoal_robust_is_dead(word) && !shoal_robust_owner(word),
                                  .holders = shoal_object_ties_(l->keep.seg, &l->object)};
  return 0;
}

// ---- by name ----

#define TYPE "list"

static int view_named(struct shoal_segment *seg, struct shoal_object *object, struct shoal_list **out) {
  int rc = view(seg, object, object->memory, 1, out);
  if (rc) (void)shoal_object_close(seg, object);
  else shoal_reach_note_(object->memory, object->size);
  return rc;
}
static int begun(struct shoal_segment *seg, struct shoal_object *object, struct shoal_list **out) {
  struct shoal_list *l = NULL;
  int rc = write_head(object->memory);
  if (rc == 0) rc = view(seg, object, object->memory, 1, &l);  // who cannot have a heap leaves no name behind
  rc = shoal_object_end_(seg, object, rc);
  if (rc) {
    if (l) forget(l);
    return rc;
  }
  shoal_reach_note_(object->memory, object->size);
  *out = l;
  return 0;
}
int shoal_list_create(struct shoal_segment *seg, const char *name, struct shoal_list **out) {
  struct shoal_object object;
  int rc = name ? shoal_object_begin_(seg, name, TYPE, sizeof(struct shoal_list_shm), &object)
                : shoal_object_begin_tied_(seg, TYPE, sizeof(struct shoal_list_shm), &object);
  return rc ? rc : begun(seg, &object, out);
}
int shoal_list_open(struct shoal_segment *seg, const char *name, struct shoal_list **out) {
  struct shoal_object object;
  int rc = shoal_object_open(seg, name, TYPE, &object);
  return rc ? rc : view_named(seg, &object, out);
}
int shoal_list_open_or_create(struct shoal_segment *seg, const char *name, struct shoal_list **out) {
  struct shoal_object object;
  int rc = shoal_object_open_or_begin_(seg, name, TYPE, sizeof(struct shoal_list_shm), &object);
  if (rc == 1) return begun(seg, &object, out);
  return rc ? rc : view_named(seg, &object, out);
}
int shoal_list_open_at_(struct shoal_segment *seg, const struct shoal_handle_shm *h, struct shoal_list **out) {
  struct shoal_object object;
  int rc = shoal_object_open_at_(seg, h->entry, h->generation, TYPE, &object);
  return rc ? rc : view_named(seg, &object, out);
}
int shoal_list_unlink(struct shoal_segment *seg, const char *name) {
  return shoal_object_remove_typed(seg, name, TYPE);
}
