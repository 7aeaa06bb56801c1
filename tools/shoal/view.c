// What there is to say of an object, by its type. Runs in look.c's child, on its own copy: it opens, and never closes.
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/heap.h"
#include "ipc/data/list.h"
#include "ipc/data/namespace.h"
#include "ipc/data/text.h"
#include "ipc/data/value.h"
#include "ipc/data/vector.h"
#include "ipc/queue/pipe.h"
#include "ipc/queue/topic.h"
#include "ipc/work/executor.h"
#include "sync/barrier.h"
#include "sync/condition.h"
#include "sync/event.h"
#include "sync/lock_order.h"
#include "sync/once.h"
#include "sync/rlock.h"
#include "sync/rwlock.h"
#include "sync/semaphore.h"
#include "sync/seqlock.h"
#include "tools/shoal/tool.h"

typedef struct shoal_segment seg_t;
typedef const struct shoal_object_info object_t;
typedef struct tool_row row_t;

static void number(row_t *row, const char *key, uint64_t n) { tool_add(row, FIELD_NUMBER, key, n); }
static void bytes(row_t *row, const char *key, uint64_t n) { tool_add(row, FIELD_BYTES, key, n); }
static void counter(row_t *row, const char *key, uint64_t n) { tool_add(row, FIELD_COUNTER, key, n); }
static void flag(row_t *row, const char *key, uint64_t yes) { tool_add(row, FIELD_FLAG, key, yes != 0); }
static void text(row_t *row, const char *key, const char *s) { tool_add_text(row, FIELD_TEXT, key, s); }

static const char *word_of(uint32_t n, const char *const *words, uint32_t count) {
  return n < count ? words[n] : "unknown";
}
#define WORD(n, ...) \
  word_of(n, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void tids(row_t *row, const char *key, const uint32_t *tid, uint32_t max) {
  char list[TOOL_TEXT_MAX] = "";
  size_t n = 0;
  for (uint32_t i = 0; i < max && tid[i] && n < sizeof list - 12; i++)
    n += (size_t)snprintf(list + n, sizeof list - n, n ? ",%u" : "%u", tid[i]);
  tool_add_text(row, FIELD_TIDS, key, list);
}

// Who sleeps on a word only the kernel knows, and it knows the word by its file: the copy's is another. Asked through a
// page that is shared for that moment, if we may; else it is not told.
static int64_t asleep_at(seg_t *look, const shoal_atomic32 *word) {
  char path[64];
  shoal_off off = shoal_segment_off(look, word), page = (shoal_off)sysconf(_SC_PAGESIZE);
  snprintf(path, sizeof path, "/proc/self/fd/%d", shoal_segment_fd(look));
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return -1;
  char *at = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)(off / page * page));
  close(fd);
  if (at == MAP_FAILED) return -1;
  int n = shoal_futex_sleepers((shoal_atomic32 *)(void *)(at + off % page));
  munmap(at, page);
  return n;
}
static void sleepers(row_t *row, seg_t *look, const shoal_atomic32 *word) {
  int64_t n = asleep_at(look, word);
  if (n >= 0) number(row, "waiters", (uint64_t)n);
}
// Of both sides, and who joins; of both directions of a pipe. A select counts at each of its queues.
static void sleepers_of(row_t *row, seg_t *look, const struct shoal_eventcount *a, const struct shoal_eventcount *b) {
  const shoal_atomic32 *const words[] = {
      &a->ev[0], &a->ev[1], &a->done, b ? &b->ev[0] : NULL, b ? &b->ev[1] : NULL, b ? &b->done : NULL, NULL};
  int64_t sum = 0;
  for (size_t i = 0; words[i]; i++) {
    int64_t n = asleep_at(look, words[i]);
    if (n < 0) return;
    sum += n;
  }
  number(row, "waiters", (uint64_t)sum);
}

static const char *let_go(uint32_t dead, uint32_t guarded) {  // guarded: SHOAL_LOCK_*
  return guarded == SHOAL_LOCK_NOTRECOVERABLE ? "given up" : dead ? "its owner died" : "free";
}
static void lock_words(row_t *row, uint32_t owner, uint32_t waiters, uint32_t dead, uint32_t guarded) {
  text(row, "state", owner ? "held" : let_go(dead, guarded));
  number(row, "owner", owner);
  flag(row, "waiters", waiters);
  flag(row, "owner_died", dead);
}
static void trust(row_t *row, uint32_t state) {
  text(row, "guards", WORD(state, "consistent", "inconsistent", "not recoverable"));
}

// ---- sync ----

static int view_lock(seg_t *look, object_t *o, row_t *row) {
  struct shoal_lock *it;
  struct shoal_lock_info i = {0};
  int rc = shoal_lock_open(look, o->name, &it);
  if (rc || (rc = shoal_lock_info(it, &i))) return rc;
  lock_words(row, i.owner, i.waiters, i.dead, i.state);
  trust(row, i.state);
  return 0;
}
static int view_rlock(seg_t *look, object_t *o, row_t *row) {
  struct shoal_rlock *it;
  struct shoal_rlock_info i = {0};
  int rc = shoal_rlock_open(look, o->name, &it);
  if (rc || (rc = shoal_rlock_info(it, &i))) return rc;
  lock_words(row, i.owner, i.waiters, i.dead, i.state);
  number(row, "depth", i.depth);
  trust(row, i.state);
  return 0;
}
static int view_rwlock(seg_t *look, object_t *o, row_t *row) {
  struct shoal_rwlock *it;
  struct shoal_rwlock_info i = {0};
  int rc = shoal_rwlock_open(look, o->name, &it);
  if (rc || (rc = shoal_rwlock_info(it, &i))) return rc;
  lock_words(row, i.writer, i.waiters, i.dead, SHOAL_LOCK_CONSISTENT);
  number(row, "readers", i.readers);
  tids(row, "reader", i.reader, SHOAL_RWLOCK_READERS);
  return 0;
}
static int view_seqlock(seg_t *look, object_t *o, row_t *row) {
  struct shoal_seqlock *it;
  struct shoal_seqlock_info i = {0};
  int rc = shoal_seqlock_open(look, o->name, &it);
  if (rc || (rc = shoal_seqlock_info(it, &i))) return rc;
  lock_words(row, i.writer, i.waiters, i.dead, SHOAL_LOCK_CONSISTENT);
  counter(row, "version", i.version);
  bytes(row, "size", i.size);
  return 0;
}
static int view_condition(seg_t *look, object_t *o, row_t *row) {
  struct shoal_condition *it;
  struct shoal_condition_info i = {0};
  int rc = shoal_condition_open(look, o->name, &it);
  if (rc || (rc = shoal_condition_info(it, &i))) return rc;
  text(row, "state", i.waiters ? "waited for" : "idle");
  number(row, "waiters", i.waiters);
  number(row, "granted", i.granted);
  number(row, "dead", i.dead);
  number(row, "places", i.places);
  counter(row, "waits", i.waits);
  return 0;
}
static int view_event(seg_t *look, object_t *o, row_t *row) {
  struct shoal_event *it;
  struct shoal_event_info i = {0};
  int rc = shoal_event_open(look, o->name, &it);
  if (rc || (rc = shoal_event_info(it, &i))) return rc;
  text(row, "state", i.set ? "set" : "clear");
  sleepers(row, look, &it->half[0]);
  counter(row, "sets", i.sets);
  return 0;
}
static int view_semaphore(seg_t *look, object_t *o, row_t *row) {
  struct shoal_semaphore *it;
  struct shoal_semaphore_info i = {0};
  int rc = shoal_semaphore_open(look, o->name, &it);
  if (rc || (rc = shoal_semaphore_info(it, &i))) return rc;
  text(row, "state", i.value ? "free" : "none left");
  number(row, "value", i.value);
  number(row, "held", i.held);
  tids(row, "holders", i.holders, SHOAL_SEMAPHORE_HOLDERS);
  sleepers(row, look, &it->gate);
  number(row, "bound", i.bound);
  counter(row, "returned", i.returned);
  return 0;
}
static int view_barrier(seg_t *look, object_t *o, row_t *row) {
  struct shoal_barrier *it;
  struct shoal_barrier_info i = {0};
  int rc = shoal_barrier_open(look, o->name, &it);
  if (rc || (rc = shoal_barrier_info(it, &i))) return rc;
  text(row, "state",
       WORD(i.broken, "whole", "broken: aborted", "broken: timed out", "broken: a party died",
            "broken: its action failed"));
  number(row, "parties", i.parties);
  number(row, "waiters", i.waiting);
  number(row, "culprit", i.culprit);
  number(row, "places", i.places);
  return 0;
}
static int view_once(seg_t *look, object_t *o, row_t *row) {
  struct shoal_once *it;
  struct shoal_once_info i = {0};
  int rc = shoal_once_open(look, o->name, &it);
  if (rc || (rc = shoal_once_info(it, &i))) return rc;
  text(row, "state", i.state == SHOAL_ONCE_NEW && i.runner ? "runs" : WORD(i.state, "new", "done", "destroyed"));
  number(row, "owner", i.runner);
  counter(row, "runs", i.runs);
  counter(row, "deaths", i.deaths);
  return 0;
}

static int view_lock_order(seg_t *look, object_t *o, row_t *row) {
  struct shoal_lock_order *it;
  struct shoal_lock_order_info i = {0};
  int rc = shoal_lock_order_open(look, o->name, &it);
  if (rc || (rc = shoal_lock_order_info(it, &i))) return rc;
  text(row, "state", i.deadlocks ? "deadlocks met" : i.cycles ? "cycles met" : "no cycle");
  number(row, "names", i.names);
  number(row, "edges", i.edges);
  counter(row, "cycles", i.cycles);
  counter(row, "deadlocks", i.deadlocks);
  counter(row, "untracked", i.untracked);
  if (i.last[0]) text(row, "last", i.last);
  return 0;
}

// ---- ipc/queue ----

// The last producer has left, and nothing can come again: asked in the copy, as a receiver. SPSC has room for one.
static int has_ended(struct shoal_queue *q, const struct shoal_queue_info *i) {
  struct shoal_loan loan;
  if (i->kind == SHOAL_QUEUE_SPSC && i->put && !i->producers) return 1;
  return shoal_queue_receive(q, &loan, SHOAL_TRY) == -EPIPE;
}
static int view_queue(seg_t *look, object_t *o, row_t *row) {
  struct shoal_queue *q;
  struct shoal_queue_info i = {0};
  int rc = shoal_queue_open(look, o->name, tool_element_size(o->type), &q);
  if (rc || (rc = shoal_queue_info(q, &i))) return rc;
  text(row, "state", i.closed ? "closed" : i.full ? "full" : i.size ? "filled" : has_ended(q, &i) ? "ended" : "empty");
  text(row, "kind", WORD(i.kind, "mpmc", "spsc", "fifo", "lifo", "priority"));
  number(row, "depth", i.size);
  number(row, "capacity", i.capacity);
  if (i.type[0]) text(row, "of", i.type);
  number(row, "element_size", i.element_size);
  number(row, "producers", i.producers);
  number(row, "consumers", i.consumers);
  sleepers_of(row, look, q->wait.shm, NULL);
  flag(row, "closed", i.closed);
  flag(row, "full", i.full);
  text(row, "overflow", WORD(i.overflow, "wait", "refuse", "drop newest", "drop oldest"));
  if (i.joinable || i.lease_ns || i.delivery_max) number(row, "held", i.held);
  if (i.lease_ns) number(row, "lease_ns", i.lease_ns);
  if (i.lease_ns || i.delivery_max) counter(row, "expired", i.expired), counter(row, "buried", i.buried);
  if (i.grow) number(row, "grown", i.grown);
  counter(row, "put", i.put);
  counter(row, "gone", i.gone);
  counter(row, "holes", i.holes);
  counter(row, "redelivered", i.redelivered);
  counter(row, "dropped", i.dropped);
  counter(row, "discarded", i.discarded);
  counter(row, "sleeps", i.sleeps);
  counter(row, "wakes", i.wakes);
  counter(row, "woken", i.woken);
  counter(row, "rings", i.rings);
  counter(row, "late", i.late);
  counter(row, "reaped", i.reaped);
  counter(row, "joins", i.joins);
  return 0;
}
static int view_topic(seg_t *look, object_t *o, row_t *row) {
  struct shoal_topic *t;
  struct shoal_topic_info i = {0};
  int rc = shoal_topic_open(look, o->name, tool_element_size(o->type), &t);
  if (rc || (rc = shoal_topic_info(t, &i))) return rc;
  text(row, "state", i.closed ? "closed" : i.subscribers ? "read" : "unread");
  number(row, "depth", i.lag);
  number(row, "capacity", i.capacity);
  number(row, "element_size", i.element_size);
  number(row, "history", i.history);
  number(row, "publishers", i.publishers);
  number(row, "subscribers", i.subscribers);
  number(row, "groups", i.groups);
  sleepers_of(row, look, t->wait.shm, NULL);
  flag(row, "closed", i.closed);
  counter(row, "published", i.published);
  counter(row, "holes", i.holes);
  counter(row, "missed", i.missed);
  counter(row, "redelivered", i.redelivered);
  counter(row, "sleeps", i.sleeps);
  counter(row, "wakes", i.wakes);
  counter(row, "woken", i.woken);
  counter(row, "late", i.late);
  counter(row, "reaped", i.reaped);
  return 0;
}

static void view_way(row_t *row, const struct shoal_pipe_way_ *way, unsigned end) {
  static const char *const keys[2][6] = {
      {"depth_0", "capacity_0", "sender_0", "receiver_1", "sender_keeper_0", "receiver_keeper_1"},
      {"depth_1", "capacity_1", "sender_1", "receiver_0", "sender_keeper_1", "receiver_keeper_0"}};
  if (!way->capacity) return;
  number(row, keys[end][0], way->size);
  number(row, keys[end][1], way->capacity);
  flag(row, keys[end][2], way->sender);
  flag(row, keys[end][3], way->receiver);
  number(row, keys[end][4], way->sender_keeper);
  number(row, keys[end][5], way->receiver_keeper);
}
static int view_pipe(seg_t *look, object_t *o, row_t *row) {
  struct shoal_pipe *p;
  struct shoal_pipe_info i = {0};
  int rc = shoal_pipe_look_(look, o->name, tool_element_size(o->type), 0, &p);
  if (rc || (rc = shoal_pipe_info(p, &i))) return rc;
  text(row, "state", i.out.closed || i.in.closed ? "closed" : i.out.size || i.in.size ? "filled" : "empty");
  number(row, "depth", i.out.size + i.in.size);
  number(row, "capacity", (uint64_t)i.out.capacity + i.in.capacity);
  number(row, "element_size", i.element_size);
  flag(row, "duplex", i.duplex);
  sleepers_of(row, look, (p->out ? p->out : p->in)->wait.shm, p->out && p->in ? p->in->wait.shm : NULL);
  view_way(row, &i.out, 0);
  view_way(row, &i.in, 1);
  return 0;
}

// ---- ipc/data ----

static void view_shape(row_t *row, const char *of, uint64_t size, uint64_t count) {
  text(row, "of", of);
  bytes(row, "element_size", size);
  number(row, "length", count);
}
int tool_array_open(seg_t *look, object_t *o, struct shoal_array *out) {
  const struct shoal_array_shm *shm = shoal_segment_at(look, o->off, sizeof *shm);
  if (!shm || o->size < sizeof *shm) return shoal_fail_(-EPROTO, "too small");
  char type[SHOAL_ARRAY_TYPE_MAX + 1];
  memcpy(type, shm->type, sizeof type);
  type[sizeof type - 1] = 0;
  return strcmp(o->type, "value") == 0 ? shoal_value_open(look, o->name, type, shm->size, out)
                                       : shoal_array_open(look, o->name, type, shm->size, shm->count, out);
}
static int view_array(seg_t *look, object_t *o, row_t *row) {
  struct shoal_array a;
  struct shoal_array_info i = {.size = 0};
  int rc = tool_array_open(look, o, &a);
  if (rc || (rc = shoal_array_info(&a, &i))) return rc;
  text(row, "state", !i.locked ? "no lock" : i.lock.owner ? "locked" : let_go(i.lock.dead, i.lock.state));
  view_shape(row, i.type, i.size, i.count);
  if (i.columns) number(row, "columns", i.columns);
  if (!i.locked) return 0;
  number(row, "owner", i.lock.owner);
  flag(row, "waiters", i.lock.waiters);
  trust(row, i.lock.state);
  return 0;
}

static int view_vector(seg_t *look, object_t *o, row_t *row) {
  const struct shoal_vector_shm *shm = shoal_segment_at(look, o->off, sizeof *shm);
  if (!shm || o->size < sizeof *shm) return shoal_fail_(-EPROTO, "too small");
  char type[SHOAL_VECTOR_TYPE_MAX + 1];
  memcpy(type, shm->type, sizeof type);
  type[sizeof type - 1] = 0;
  struct shoal_vector v;
  struct shoal_vector_info i = {.size = 0};
  int rc = shoal_vector_open(look, o->name, type, shm->size, &v);
  if (rc || (rc = shoal_vector_info(&v, &i))) return rc;
  text(row, "state", i.writer ? "appended to" : "idle");
  view_shape(row, i.type, i.size, i.length);
  number(row, "limit", i.limit);
  bytes(row, "used", i.bytes);
  number(row, "owner", i.writer);
  return 0;
}
static int view_text(seg_t *look, object_t *o, row_t *row) {
  struct shoal_text t;
  struct shoal_text_info i = {0};
  int rc = shoal_text_open(look, o->name, 0, &t);
  if (rc || (rc = shoal_text_info(&t, &i))) return rc;
  text(row, "state", i.writer ? "written" : "idle");
  number(row, "length", i.length);
  number(row, "capacity", i.capacity);
  counter(row, "version", i.version);
  number(row, "owner", i.writer);
  return 0;
}
static int view_dict_info(row_t *row, const struct shoal_dict_info *i) {
  text(row, "state", i->dead ? "a writer died" : i->writers ? "written" : "idle");
  number(row, "length", i->entries);
  number(row, "capacity", i->capacity);
  bytes(row, "payload", i->payload);
  bytes(row, "table", i->table);
  number(row, "stripes", i->stripes);
  number(row, "writers", i->writers);
  number(row, "waiters", i->waiting);
  number(row, "dead", i->dead);
  return 0;
}
static int view_dict(seg_t *look, object_t *o, row_t *row) {
  struct shoal_dict *d;
  struct shoal_dict_info i = {0};
  int rc = shoal_dict_open(look, o->name, &d);
  if (rc == 0) rc = shoal_dict_info(d, &i);
  return rc ? rc : view_dict_info(row, &i);
}
static int view_namespace(seg_t *look, object_t *o, row_t *row) {
  struct shoal_namespace *ns;
  struct shoal_dict_info i = {0};
  int rc = shoal_namespace_open(look, o->name, &ns);
  if (rc == 0) rc = shoal_namespace_info(ns, &i);
  return rc ? rc : view_dict_info(row, &i);
}
static int view_list(seg_t *look, object_t *o, row_t *row) {
  struct shoal_list *l;
  struct shoal_list_info i = {0};
  int rc = shoal_list_open(look, o->name, &l);
  if (rc || (rc = shoal_list_info(l, &i))) return rc;
  lock_words(row, i.owner, i.waiting, i.dead, SHOAL_LOCK_CONSISTENT);
  number(row, "length", i.length);
  number(row, "capacity", i.capacity);
  return 0;
}

// ---- others ----

static int view_heap(seg_t *look, object_t *o, row_t *row) {
  struct shoal_heap *heap;
  struct shoal_heap_info i = {0};
  (void)o;
  int rc = shoal_heap_open(look, &heap);
  if (rc || (rc = shoal_heap_info(heap, &i))) return rc;
  bytes(row, "size", i.size);
  bytes(row, "used", i.used);
  bytes(row, "largest", i.largest);
  number(row, "blocks", i.blocks);
  bytes(row, "held", i.held);
  number(row, "objects", i.objects);
  number(row, "chunks", i.chunks);
  number(row, "processes", i.processes ? i.processes - 1 : 0);  // without this one
  return 0;
}
// Its workers have gone with it. Asked in the copy, as who submits.
struct nothing {
  uint32_t reserved;
};
SHOAL_TASK(shoal_view_nothing, struct nothing) { return 0; }
static int has_no_creator(struct shoal_executor *ex) {
  struct nothing nothing = {0};
  return SHOAL_APPLY(ex, shoal_view_nothing, &nothing, NULL, SHOAL_TRY) == -EPIPE;
}
static int view_executor(seg_t *look, object_t *o, row_t *row) {
  struct shoal_executor *ex;
  struct shoal_executor_info i = {0};
  int rc = shoal_executor_open(look, o->name, &ex);
  if (rc || (rc = shoal_executor_info(ex, &i))) return rc;
  int alone = !i.broken && !i.closed && has_no_creator(ex);
  text(row, "state",
       i.broken    ? "broken"
       : i.closed  ? "closed"
       : alone     ? "its creator died"
       : i.running ? "working"
                   : "idle");
  number(row, "workers", i.workers);
  number(row, "depth", i.pending);
  number(row, "running", i.running);
  number(row, "finished", i.finished);
  number(row, "letters", i.letters);
  number(row, "jobs", i.jobs);
  number(row, "capacity", i.jobs_max);
  if (i.broken) text(row, "why", i.reason);
  return 0;
}

int tool_view_workers(seg_t *look, object_t *o, int (*tell)(const struct shoal_executor_running *, void *), void *arg) {
  struct shoal_executor *ex;
  if (strcmp(o->type, "executor") != 0) return 0;
  int rc = shoal_executor_open(look, o->name, &ex);
  return rc ? rc : shoal_executor_running(ex, tell, arg);
}

static const struct {
  const char *kind;
  int (*view)(seg_t *look, object_t *o, row_t *row);
} views[] = {{"lock", view_lock},           {"rlock", view_rlock},
             {"rwlock", view_rwlock},       {"seqlock", view_seqlock},
             {"condition", view_condition}, {"event", view_event},
             {"semaphore", view_semaphore}, {"barrier", view_barrier},
             {"once", view_once},           {"lock_order", view_lock_order},
             {"queue:", view_queue},        {"topic:", view_topic},
             {"pipe:", view_pipe},          {"value", view_array},
             {"array", view_array},         {"vector", view_vector},
             {"text", view_text},           {"dict", view_dict},
             {"namespace", view_namespace}, {"list", view_list},
             {"executor", view_executor},   {"shoal:heap", view_heap}};

int tool_view(struct shoal_segment *look, const struct shoal_object_info *object, struct tool_row *row) {
  for (size_t i = 0; i < sizeof views / sizeof *views; i++)
    if (tool_is_of_kind(object->type, views[i].kind)) return views[i].view(look, object, row);
  return 0;
}
