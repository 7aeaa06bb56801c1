// tests/tools/filled.h: segments in which there is one of everything, for tests of the shoal command.
#pragma once

#include "ipc/data/list.h"
#include "ipc/data/namespace.h"
#include "ipc/data/text.h"
#include "ipc/data/value.h"
#include "ipc/data/vector.h"
#include "ipc/queue/message.h"
#include "ipc/queue/pipe.h"
#include "ipc/queue/topic.h"
#include "sync/barrier.h"
#include "sync/condition.h"
#include "sync/event.h"
#include "sync/lock_order.h"
#include "sync/once.h"
#include "sync/rlock.h"
#include "sync/rwlock.h"
#include "sync/semaphore.h"
#include "sync/seqlock.h"
#include "tests/tools/tool_support.h"

static const struct shoal_segment_options small = {
    .size = 1 << 20, .size_max = 64 << 20, .participants = 16, .objects = 64};

static inline void path_of(const char *name, char path[160]) { snprintf(path, 160, "/dev/shm/shoal.%s", name); }
static inline const char *joined(const char *segment, const char *object) {
  static char text[2 * SHOAL_NAME_MAX + 2];
  snprintf(text, sizeof text, "%s/%s", segment, object);
  return text;
}

// ---- files ----

static inline uint64_t sum_of(const char *name) {
  static char buffer[1 << 16];
  char path[160];
  uint64_t sum = 0;
  path_of(name, path);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  assert_true(fd >= 0);
  for (off_t at = 0; (at = lseek(fd, at, SEEK_DATA)) >= 0;)  // holes are zero, and stay holes
    for (off_t end = lseek(fd, at, SEEK_HOLE); at < end;) {
      ssize_t n = pread(fd, buffer, sizeof buffer, at);
      for (ssize_t i = 0; i < n; i++) sum = (sum ^ (unsigned char)buffer[i]) * UINT64_C(0x100000001b3);
      if (n <= 0) break;
      at += n;
    }
  close(fd);
  return sum;
}
static inline void make_file(const char *name, const void *content, size_t n, off_t length) {
  char path[160];
  path_of(name, path);
  int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, content, n), n);
  assert_int_equal(ftruncate(fd, length), 0);
  close(fd);
}

// ---- everything there is ----

static inline int thirteen(void *memory, uint64_t size, void *arg) {
  (void)arg;
  memset(memory, 13, size);
  return 0;
}

static inline void fill(struct shoal_segment *seg) {
  struct shoal_lock *lock;
  struct shoal_rlock *rlock;
  struct shoal_rwlock *rwlock;
  struct shoal_seqlock *seqlock;
  struct shoal_condition *condition;
  struct shoal_event *event;
  struct shoal_semaphore *semaphore;
  struct shoal_barrier *barrier;
  struct shoal_once *once;
  struct shoal_lock_order *order;
  MUST(shoal_lock_create(seg, "a lock", &lock) == 0);
  MUST(shoal_rlock_create(seg, "an rlock", &rlock) == 0);
  MUST(shoal_rwlock_create(seg, "an rwlock", 4, &rwlock) == 0);
  MUST(shoal_seqlock_create(seg, "a seqlock", 16, NULL, &seqlock) == 0);
  MUST(shoal_condition_create(seg, "a condition", 4, &condition) == 0);
  MUST(shoal_event_create(seg, "an event", &event) == 0);
  MUST(shoal_semaphore_create(seg, "a semaphore", 3, 3, 0, &semaphore) == 0);
  MUST(shoal_barrier_create(seg, "a barrier", 2, 0, &barrier) == 0);
  MUST(shoal_once_create(seg, "a once", &once) == 0);
  MUST(shoal_lock_order_create(seg, "an order", 0, 0, &order) == 0);
}
static inline void fill_queues(struct shoal_segment *seg) {
  struct shoal_queue *q;
  struct shoal_topic *t;
  struct shoal_pipe *ends[2];
  uint32_t three = 3;
  static const char *const names[] = {"mpmc", "spsc", "fifo", "lifo"};
  for (uint32_t kind = 0; kind < 4; kind++) {
    struct shoal_queue_options o = {.capacity = 8, .element_size = 4, .kind = kind};
    MUST(shoal_queue_create(seg, names[kind], &o, &q) == 0);
    MUST(shoal_queue_put(q, &three, SHOAL_TRY) == 0);
    MUST(shoal_queue_detach(q) == 0);
  }
  MUST(shoal_queue_create(seg, "lines", &(struct shoal_queue_options){.capacity = 8, .bytes = 1}, &q) == 0);
  MUST(shoal_queue_send(q, "hello", 5, SHOAL_TRY) == 0);
  MUST(shoal_queue_detach(q) == 0);
  MUST(shoal_topic_create(seg, "a topic", &(struct shoal_topic_options){.capacity = 8, .element_size = 4}, &t) == 0);
  MUST(shoal_topic_detach(t) == 0);
  MUST(shoal_pipe_create(seg, "a pipe", &(struct shoal_pipe_options){.capacity = 8, .element_size = 4, .duplex = 1},
                         ends) == 0);
  MUST(shoal_pipe_close(&ends[0]) == 0 && shoal_pipe_close(&ends[1]) == 0);
}
static inline void fill_data(struct shoal_segment *seg) {
  struct shoal_array a;
  struct shoal_vector v;
  struct shoal_text t;
  struct shoal_dict *d;
  struct shoal_namespace *ns;
  struct shoal_list *l;
  struct shoal_object object;
  MUST(shoal_value_create(seg, "a value", "int", 4, NULL, &a) == 0);
  MUST(shoal_array_create(seg, "an array", "double", 8, 10, NULL, &a) == 0);
  MUST(shoal_vector_create(seg, "a vector", "int", 4, NULL, &v) == 0);
  MUST(shoal_text_create(seg, "a text", 32, "hello", &t) == 0);
  MUST(shoal_dict_create(seg, "a dict", NULL, &d) == 0);
  MUST(shoal_dict_set(d, "k", 1, "v", 1, SHOAL_FOREVER) == 0);
  MUST(shoal_namespace_create(seg, "a namespace", &ns) == 0);
  MUST(shoal_list_create(seg, "a list", &l) == 0);
  MUST(shoal_object_create(seg, "my own", "thing", 100, thirteen, NULL, &object) == 0);
  MUST(shoal_dict_close(d) == 0 && shoal_namespace_close(ns) == 0 && shoal_list_close(l) == 0);
  MUST(shoal_vector_close(&v) == 0);
}
