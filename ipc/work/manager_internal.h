// ipc/work/manager_internal.h: what a manager knows of each kind of object.
#pragma once

#include "ipc/work/manager.h"

SHOAL_BEGIN

enum {
  SHOAL_MANAGED_DICT_,
  SHOAL_MANAGED_NAMESPACE_,
  SHOAL_MANAGED_LIST_,
  SHOAL_MANAGED_VALUE_,
  SHOAL_MANAGED_ARRAY_,
  SHOAL_MANAGED_VECTOR_,
  SHOAL_MANAGED_TEXT_,
  SHOAL_MANAGED_QUEUE_,
  SHOAL_MANAGED_TOPIC_,
  SHOAL_MANAGED_LOCK_,
  SHOAL_MANAGED_RLOCK_,
  SHOAL_MANAGED_RWLOCK_,
  SHOAL_MANAGED_CONDITION_,
  SHOAL_MANAGED_SEMAPHORE_,
  SHOAL_MANAGED_EVENT_,
  SHOAL_MANAGED_BARRIER_,
  SHOAL_MANAGED_ONCE_,
  SHOAL_MANAGED_SEQLOCK_,
  SHOAL_MANAGED_KINDS_
};

union shoal_managed_ {
  struct shoal_dict *dict;
  struct shoal_namespace *ns;
  struct shoal_list *list;
  struct shoal_array array;  // of a value, too
  struct shoal_vector vector;
  struct shoal_text text;
  struct shoal_queue *queue;
  struct shoal_topic *topic;
  struct shoal_lock *lock;
  struct shoal_rlock *rlock;
  struct shoal_rwlock *rwlock;
  struct shoal_condition *condition;
  struct shoal_semaphore *semaphore;
  struct shoal_event *event;
  struct shoal_barrier *barrier;
  struct shoal_once *once;
  struct shoal_seqlock *seqlock;
  const void *it;  // all but the plain structs
};

struct shoal_wanted_ {  // what a getter asks for
  unsigned kind;
  const void *options;  // or the first bytes
  const char *type;
  uint64_t size, count;
  uint32_t number[3];
};

struct shoal_kind_of_ {
  const char *type;  // in the directory; ends in ':' if more may follow
  int (*open)(struct shoal_segment *seg, const char *name, const struct shoal_wanted_ *w, union shoal_managed_ *v);
  int (*close)(struct shoal_segment *seg, union shoal_managed_ *v);
  // Says of what is held open what it is; leaves `item->text` as it is, if that cannot be known.
  void (*tell)(struct shoal_segment *seg, const struct shoal_object *object, struct shoal_manager_item *item);
  uint64_t least;  // bytes that `tell` may look at
};
extern const struct shoal_kind_of_ shoal_kinds_[SHOAL_MANAGED_KINDS_];
// What `drop` takes for it.
const void *shoal_managed_it_(unsigned kind, const union shoal_managed_ *v);

SHOAL_END
