// What a manager can make, by kind: only forwards.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "ipc/work/manager_internal.h"

typedef struct shoal_segment *segment;
typedef const struct shoal_wanted_ *wanted;
typedef union shoal_managed_ *view;

#define UL(x) ((unsigned long)(x))
#define TELL(item, ...) ((void)snprintf((item)->text, sizeof(item)->text, __VA_ARGS__))

// clang-format off
static int dict_open(segment seg, const char *name, wanted w, view v) { return shoal_dict_open_or_create(seg, name, w->options, &v->dict); }
static int dict_close(segment seg, view v) { (void)seg; return shoal_dict_close(v->dict); }
static int ns_open(segment seg, const char *name, wanted w, view v) { (void)w; return shoal_namespace_open_or_create(seg, name, &v->ns); }
static int ns_close(segment seg, view v) { (void)seg; return shoal_namespace_close(v->ns); }
static int list_open(segment seg, const char *name, wanted w, view v) { (void)w; return shoal_list_open_or_create(seg, name, &v->list); }
static int list_close(segment seg, view v) { (void)seg; return shoal_list_close(v->list); }
static int value_open(segment seg, const char *name, wanted w, view v) { return shoal_value_open_or_create(seg, name, w->type, w->size, w->options, &v->array); }
static int array_open(segment seg, const char *name, wanted w, view v) { return shoal_array_open_or_create(seg, name, w->type, w->size, w->count, w->options, &v->array); }
static int array_close(segment seg, view v) { return shoal_array_close(seg, &v->array); }
static int vector_open(segment seg, const char *name, wanted w, view v) { return shoal_vector_open_or_create(seg, name, w->type, w->size, w->options, &v->vector); }
static int vector_close(segment seg, view v) { (void)seg; return shoal_vector_close(&v->vector); }
static int text_open(segment seg, const char *name, wanted w, view v) { return shoal_text_open_or_create(seg, name, w->size, w->options, &v->text); }
static int text_close(segment seg, view v) { return shoal_text_close(seg, &v->text); }
static int queue_open(segment seg, const char *name, wanted w, view v) { return shoal_queue_open_or_create(seg, name, w->options, &v->queue); }
static int queue_close(segment seg, view v) { (void)seg; return shoal_queue_detach(v->queue); }
static int topic_open(segment seg, const char *name, wanted w, view v) { return shoal_topic_open_or_create(seg, name, w->options, &v->topic); }
static int topic_close(segment seg, view v) { (void)seg; return shoal_topic_detach(v->topic); }
static int lock_open(segment seg, const char *name, wanted w, view v) { (void)w; return shoal_lock_open_or_create(seg, name, &v->lock); }
static int lock_close(segment seg, view v) { return shoal_lock_close(seg, v->lock); }
static int rlock_open(segment seg, const char *name, wanted w, view v) { (void)w; return shoal_rlock_open_or_create(seg, name, &v->rlock); }
static int rlock_close(segment seg, view v) { return shoal_rlock_close(seg, v->rlock); }
static int rwlock_open(segment seg, const char *name, wanted w, view v) { return shoal_rwlock_open_or_create(seg, name, w->number[0], &v->rwlock); }
static int rwlock_close(segment seg, view v) { return shoal_rwlock_close(seg, v->rwlock); }
static int condition_open(segment seg, const char *name, wanted w, view v) { return shoal_condition_open_or_create(seg, name, w->number[0], &v->condition); }
static int condition_close(segment seg, view v) { return shoal_condition_close(seg, v->condition); }
static int semaphore_open(segment seg, const char *name, wanted w, view v) { return shoal_semaphore_open_or_create(seg, name, w->number[0], w->number[1], w->number[2], &v->semaphore); }
static int semaphore_close(segment seg, view v) { return shoal_semaphore_close(seg, v->semaphore); }
static int event_open(segment seg, const char *name, wanted w, view v) { (void)w; return shoal_event_open_or_create(seg, name, &v->event); }
static int event_close(segment seg, view v) { return shoal_event_close(seg, v->event); }
static int barrier_open(segment seg, const char *name, wanted w, view v) { return shoal_barrier_open_or_create(seg, name, w->number[0], w->options, &v->barrier); }
static int barrier_close(segment seg, view v) { return shoal_barrier_close(seg, v->barrier); }
static int once_open(segment seg, const char *name, wanted w, view v) { (void)w; return shoal_once_open_or_create(seg, name, &v->once); }
static int once_close(segment seg, view v) { return shoal_once_close(seg, v->once); }
static int seqlock_open(segment seg, const char *name, wanted w, view v) { return shoal_seqlock_open_or_create(seg, name, w->size, w->options, &v->seqlock); }
static int seqlock_close(segment seg, view v) { return shoal_seqlock_close(seg, v->seqlock); }
// clang-format on

// ---- what is said of them ----

static void dict_tell(segment seg, const struct shoal_object *o, struct shoal_manager_item *item) {
  struct shoal_dict *d;
  if (shoal_dict_attach(seg, o, o->memory, &d)) return;
  TELL(item, "%lu entries", UL(shoal_dict_len(d)));
  (void)shoal_dict_close(d);
}
static void list_tell(segment seg, const struct shoal_object *o, struct shoal_manager_item *item) {
  struct shoal_list *l;
  if (shoal_list_attach(seg, o, o->memory, &l)) return;
  TELL(item, "%lu values", UL(shoal_list_len(l)));
  (void)shoal_list_close(l);
}
static void array_tell(segment seg, const struct shoal_object *o, struct shoal_manager_item *item) {
  const struct shoal_array_shm *a = o->memory;
  char type[SHOAL_ARRAY_TYPE_MAX + 1];
  (void)seg;
  memcpy(type, a->type, sizeof type);
  type[SHOAL_ARRAY_TYPE_MAX] = 0;
  TELL(item, "%lu of %s", UL(__atomic_load_n(&a->count, __ATOMIC_RELAXED)), type);
}
static void vector_tell(segment seg, const struct shoal_object *o, struct shoal_manager_item *item) {
  const struct shoal_vector_shm *v = o->memory;
  char type[SHOAL_VECTOR_TYPE_MAX + 1];
  (void)seg;
  memcpy(type, v->type, sizeof type);
  type[SHOAL_VECTOR_TYPE_MAX] = 0;
  TELL(item, "%lu of %s", UL(shoal_load64_relaxed(&v->count)), type);
}
static void text_tell(segment seg, const struct shoal_object *o, struct shoal_manager_item *item) {
  struct shoal_text t;
  (void)seg;
  if (shoal_text_attach(o->memory, o->size, 0, &t)) return;
  TELL(item, "%lu of %lu bytes", UL(shoal_text_length(&t)), UL(t.capacity));
}
static void owner_tell(struct shoal_manager_item *item, uint32_t owner) {
  if (owner) TELL(item, "held by %u", owner);
  else TELL(item, "free");
}
static void lock_tell(segment seg, const struct shoal_object *o, struct shoal_manager_item *item) {
  struct shoal_lock_info info;
  (void)seg;
  if (shoal_lock_info(o->memory, &info) == 0) owner_tell(item, info.owner);
}
static void rlock_tell(segment seg, const struct shoal_object *o, struct shoal_manager_item *item) {
  struct shoal_rlock_info info;
  (void)seg;
  if (shoal_rlock_info(o->memory, &info) == 0) owner_tell(item, info.owner);
}
static void event_tell(segment seg, const struct shoal_object *o, struct shoal_manager_item *item) {
  struct shoal_event_info info;
  (void)seg;
  if (shoal_event_info(o->memory, &info) == 0) TELL(item, "%s", info.set ? "set" : "not set");
}
static void once_tell(segment seg, const struct shoal_object *o, struct shoal_manager_item *item) {
  struct shoal_once_info info;
  (void)seg;
  if (shoal_once_info(o->memory, &info) == 0) TELL(item, "begun %u times", info.runs);
}
static void size_tell(segment seg, const struct shoal_object *o, struct shoal_manager_item *item) {
  (void)seg;
  TELL(item, "%lu bytes", UL(o->size));
}

const struct shoal_kind_of_ shoal_kinds_[SHOAL_MANAGED_KINDS_] = {
    [SHOAL_MANAGED_DICT_] = {"dict", dict_open, dict_close, dict_tell, 0},
    [SHOAL_MANAGED_NAMESPACE_] = {"namespace", ns_open, ns_close, dict_tell, 0},
    [SHOAL_MANAGED_LIST_] = {"list", list_open, list_close, list_tell, 0},
    [SHOAL_MANAGED_VALUE_] = {"value", value_open, array_close, array_tell, sizeof(struct shoal_array_shm)},
    [SHOAL_MANAGED_ARRAY_] = {"array", array_open, array_close, array_tell, sizeof(struct shoal_array_shm)},
    [SHOAL_MANAGED_VECTOR_] = {"vector", vector_open, vector_close, vector_tell, sizeof(struct shoal_vector_shm)},
    [SHOAL_MANAGED_TEXT_] = {"text", text_open, text_close, text_tell, sizeof(struct shoal_seqlock)},
    [SHOAL_MANAGED_QUEUE_] = {"queue:", queue_open, queue_close, size_tell, 0},
    [SHOAL_MANAGED_TOPIC_] = {"topic:", topic_open, topic_close, size_tell, 0},
    [SHOAL_MANAGED_LOCK_] = {"lock", lock_open, lock_close, lock_tell, sizeof(struct shoal_lock)},
    [SHOAL_MANAGED_RLOCK_] = {"rlock", rlock_open, rlock_close, rlock_tell, sizeof(struct shoal_rlock)},
    [SHOAL_MANAGED_RWLOCK_] = {"rwlock", rwlock_open, rwlock_close, size_tell, 0},
    [SHOAL_MANAGED_CONDITION_] = {"condition", condition_open, condition_close, size_tell, 0},
    [SHOAL_MANAGED_SEMAPHORE_] = {"semaphore", semaphore_open, semaphore_close, size_tell, 0},
    [SHOAL_MANAGED_EVENT_] = {"event", event_open, event_close, event_tell, sizeof(struct shoal_event)},
    [SHOAL_MANAGED_BARRIER_] = {"barrier", barrier_open, barrier_close, size_tell, 0},
    [SHOAL_MANAGED_ONCE_] = {"once", once_open, once_close, once_tell, sizeof(struct shoal_once)},
    [SHOAL_MANAGED_SEQLOCK_] = {"seqlock", seqlock_open, seqlock_close, size_tell, 0},
};

const void *shoal_managed_it_(unsigned kind, const union shoal_managed_ *v) {
  switch (kind) {
    case SHOAL_MANAGED_VALUE_:
    case SHOAL_MANAGED_ARRAY_: return v->array.data;
    case SHOAL_MANAGED_VECTOR_: return v->vector.shm;
    case SHOAL_MANAGED_TEXT_: return v->text.lock;
    default: return v->it;
  }
}
