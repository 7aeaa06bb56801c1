// What ipc/work/manager.h claims:
// - one call makes or opens each kind of object, with or without a name; another process finds it by that name, and its
//   type
// - a manager by name outlives who made it, until its name is removed; who is one too many is refused
// - whatever stands in its words, each call answers, and what is listed ends
// - what there is is listed, with its type and what it holds, whoever has a lock of it meanwhile; removed; counted;
//   bounded
// - close and drop give back all that was got, and only that; who holds something is refused, and it stays
// - bad input has a code and a reason, and leaves nothing
// - many cycles of attaching and detaching leak nothing: no object, participant, block, descriptor, mapping
#include "ipc/work/manager.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// cmocka wants those above first
#include <cmocka.h>

#include "core/error.h"
#include "core/heap.h"
#include "tests/harness/stage.h"

#define F SHOAL_FOREVER

static const struct shoal_segment_options small = {
    .size = 256 << 10, .size_max = 64 << 20, .participants = 32, .objects = 64};
static struct shoal_manager *m;

#define assert_refused(code, call) \
  assert_int_equal(call, code);    \
  assert_true(*shoal_reason() != 0)

static const struct shoal_queue_options eight = {.capacity = 8, .element_size = 8};
static const struct shoal_topic_options four = {.capacity = 8, .element_size = 4};

struct all {
  struct shoal_dict *dict;
  struct shoal_namespace *ns;
  struct shoal_list *list;
  struct shoal_array value, array;
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
};
#define KINDS 18u
#define NAME(name) (named ? (name) : NULL)
static void get_all(struct shoal_manager *from, int named, struct all *a) {
  CHECK(shoal_manager_dict(from, NAME("dict"), NULL, &a->dict) == 0);
  CHECK(shoal_manager_namespace(from, NAME("ns"), &a->ns) == 0);
  CHECK(shoal_manager_list(from, NAME("list"), &a->list) == 0);
  CHECK(shoal_manager_value(from, NAME("value"), "int", 4, NULL, &a->value) == 0);
  CHECK(shoal_manager_array(from, NAME("array"), "double", 8, 5, NULL, &a->array) == 0);
  CHECK(shoal_manager_vector(from, NAME("vector"), "long", 8, NULL, &a->vector) == 0);
  CHECK(shoal_manager_text(from, NAME("text"), 100, "first", &a->text) == 0);
  CHECK(shoal_manager_queue(from, NAME("queue"), &eight, &a->queue) == 0);
  CHECK(shoal_manager_topic(from, NAME("topic"), &four, &a->topic) == 0);
  CHECK(shoal_manager_lock(from, NAME("lock"), &a->lock) == 0);
  CHECK(shoal_manager_rlock(from, NAME("rlock"), &a->rlock) == 0);
  CHECK(shoal_manager_rwlock(from, NAME("rwlock"), 4, &a->rwlock) == 0);
  CHECK(shoal_manager_condition(from, NAME("condition"), 4, &a->condition) == 0);
  CHECK(shoal_manager_semaphore(from, NAME("semaphore"), 2, 2, 0, &a->semaphore) == 0);
  CHECK(shoal_manager_event(from, NAME("event"), &a->event) == 0);
  CHECK(shoal_manager_barrier(from, NAME("barrier"), 2, NULL, &a->barrier) == 0);
  CHECK(shoal_manager_once(from, NAME("once"), &a->once) == 0);
  CHECK(shoal_manager_seqlock(from, NAME("seqlock"), 16, NULL, &a->seqlock) == 0);
}
static void drop_all(const struct all *a) {
  const void *its[] = {a->dict,      a->ns,        a->list,  a->value.data, a->array.data, a->vector.shm,
                       a->text.lock, a->queue,     a->topic, a->lock,       a->rlock,      a->rwlock,
                       a->condition, a->semaphore, a->event, a->barrier,    a->once,       a->seqlock};
  for (unsigned i = 0; i < KINDS; i++) CHECK(shoal_manager_drop(m, its[i]) == 0);
}
static void fill(const struct all *a) {
  int seven = 7;
  uint64_t size, message = 5;
  long element = 3;
  CHECK(shoal_dict_set(a->dict, "k", 1, "value", 5, F) == 0);
  CHECK(shoal_namespace_set(a->ns, "x", "1", 1, F) == 0);
  CHECK(shoal_list_append(a->list, "one", 3, F) == 0);
  CHECK(shoal_value_set(&a->value, &seven, F) == 0);
  CHECK(shoal_array_set(&a->array, 4, &(double){2.5}, F) == 0);
  struct shoal_vector v = a->vector;
  CHECK(shoal_vector_append(&v, &element, NULL, F) == 0);
  CHECK(shoal_text_append(&a->text, " and more", 9, F) == 0);
  CHECK(shoal_queue_put(a->queue, &message, F) == 0);
  CHECK(shoal_queue_leave(a->queue, SHOAL_PRODUCER) == 0);
  CHECK(shoal_event_set(a->event) == 0);
  CHECK(shoal_dict_get(a->dict, "k", 1, &message, 8, &size) == 0 && size == 5);
}
static void find_filled(const struct all *a) {
  char text[101];
  uint64_t size, message = 0;
  double d;
  int seven;
  CHECK(shoal_dict_contains(a->dict, "k", 1) == 1);
  CHECK(shoal_namespace_has(a->ns, "x") == 1);
  CHECK(shoal_list_len(a->list) == 1);
  CHECK(shoal_value_get(&a->value, &seven, F) == 0 && seven == 7);
  CHECK(shoal_array_get(&a->array, 4, &d, F) == 0 && d == 2.5);
  CHECK(shoal_vector_length(&a->vector) == 1);
  CHECK(shoal_text_get(&a->text, text, sizeof text, &size) == 0 && strcmp(text, "first and more") == 0);
  CHECK(shoal_queue_get(a->queue, &message, F) == 0 && message == 5);
  CHECK(shoal_queue_leave(a->queue, SHOAL_CONSUMER) == 0);
  CHECK(shoal_event_is_set(a->event));
  CHECK(shoal_lock_acquire(a->lock, F) == 0 && shoal_lock_release(a->lock) == 0);
}

static void in_another_process(void *memory, unsigned i) {
  struct shoal_segment *other;
  struct shoal_manager *mine;
  struct all a;
  (void)memory, (void)i;
  CHECK(shoal_segment_open_fd(shoal_segment_fd(shoal_manager_segment(m)), &other) == 0);
  CHECK(shoal_manager_on(other, &mine) == 0);
  get_all(mine, 1, &a);
  find_filled(&a);
  CHECK(shoal_manager_close(mine) == 0);
  CHECK(shoal_segment_close(other) == 0);
}
static struct shoal_manager_info info(void) {
  struct shoal_manager_info i;
  CHECK(shoal_manager_info(m, &i) == 0);
  return i;
}
static void test_every_kind_by_name(void **state) {
  struct all a, again;
  (void)state;
  assert_int_equal(shoal_manager_create(NULL, &small, &m), 0);
  get_all(m, 1, &a);
  fill(&a);
  arena_begin(64);
  struct peer p = peer_start(&arena, in_another_process, 0);
  peer_join(&p);
  arena_end(NULL);
  get_all(m, 1, &again);
  assert_ptr_equal(again.lock, a.lock);  // where it lies is the same
  assert_int_equal(info().got, 2 * KINDS);
  assert_int_equal(shoal_manager_drop(m, again.dict), 0);
  assert_int_equal(shoal_dict_contains(a.dict, "k", 1), 1);
  assert_int_equal(info().got, 2 * KINDS - 1);
  assert_int_equal(shoal_manager_close(m), 0);
}

static void inherits(void *memory, unsigned i) {
  const struct all *a = memory;
  (void)i;
  find_filled(a);
  CHECK(shoal_manager_drop(m, a->list) == 0);
  CHECK(shoal_manager_close(m) == 0);
}
static void test_every_kind_without_a_name(void **state) {
  char name[SHOAL_NAME_MAX + 1];
  struct shoal_manager_item item;
  struct shoal_dict *by_name;
  (void)state;
  assert_int_equal(shoal_manager_create(NULL, &small, &m), 0);
  struct all *a = arena_begin(sizeof *a);
  get_all(m, 0, a);
  fill(a);
  struct peer p = peer_start(&arena, inherits, 0);
  peer_join(&p);
  assert_int_equal(shoal_manager_name(m, a->dict, name), 0);
  assert_string_equal(name, "#dict-1");
  assert_int_equal(shoal_manager_name(m, a->queue, name), 0);
  assert_string_equal(name, "#queue-8");
  assert_int_equal(shoal_manager_dict(m, "#dict-1", NULL, &by_name), 0);
  assert_int_equal(shoal_dict_contains(by_name, "k", 1), 1);
  assert_int_equal(shoal_manager_drop(m, a->dict), 0);  // its name goes, and it stays for who has it
  assert_int_equal(shoal_manager_find(m, "#dict-1", &item), -ENOENT);
  assert_int_equal(shoal_dict_contains(by_name, "k", 1), 1);
  assert_int_equal(info().nameless, KINDS);
  a->dict = by_name;
  drop_all(a);
  assert_int_equal(info().got, 0);
  arena_end(NULL);
  assert_int_equal(shoal_manager_close(m), 0);
}

// ---- managers by name ----

static const char *own_name(void) {
  static char name[SHOAL_NAME_MAX + 1];
  if (!*name) snprintf(name, sizeof name, "test-manager-%d-%llx", (int)getpid(), (unsigned long long)shoal_now_ns());
  return name;
}
static void opens_by_name(void *memory, unsigned i) {
  struct shoal_manager *mine;
  struct all a;
  (void)memory, (void)i;
  CHECK(shoal_manager_open(own_name(), &mine) == 0);
  get_all(mine, 1, &a);
  find_filled(&a);
  CHECK(shoal_dict_set(a.dict, "theirs", 6, "", 0, F) == 0);
  CHECK(shoal_manager_close(mine) == 0);
}
static void test_by_name(void **state) {
  struct shoal_manager *other;
  struct shoal_dict *d;
  struct all a;
  (void)state;
  assert_refused(-ENOENT, shoal_manager_open(own_name(), &other));
  assert_refused(-ENOENT, shoal_manager_unlink(own_name()));
  assert_refused(-EINVAL, shoal_manager_open(NULL, &other));
  assert_int_equal(shoal_manager_open_or_create(NULL, &small, &m), 0);
  assert_int_equal(shoal_manager_dict(m, "dict", NULL, &d), 0);
  assert_int_equal(shoal_manager_close(m), 0);
  assert_int_equal(shoal_manager_open_or_create(own_name(), &small, &m), 0);
  assert_refused(-EEXIST, shoal_manager_create(own_name(), &small, &other));
  get_all(m, 1, &a);
  fill(&a);
  arena_begin(64);
  struct peer p = peer_start(&arena, opens_by_name, 0);
  peer_join(&p);
  arena_end(NULL);
  assert_int_equal(shoal_dict_contains(a.dict, "theirs", 6), 1);
  assert_int_equal(shoal_manager_close(m), 0);  // it outlives who had it open
  assert_int_equal(shoal_manager_open(own_name(), &m), 0);
  assert_int_equal(shoal_manager_open_or_create(own_name(), NULL, &other), 0);
  assert_int_equal(shoal_manager_info(other, &(struct shoal_manager_info){0}), 0);
  assert_int_equal(shoal_manager_dict(other, "dict", NULL, &d), 0);
  assert_int_equal(shoal_dict_contains(d, "theirs", 6), 1);
  assert_int_equal(shoal_manager_unlink(own_name()), 0);
  assert_refused(-ENOENT, shoal_manager_unlink(own_name()));
  assert_refused(-ENOENT, shoal_manager_open(own_name(), &(struct shoal_manager *){0}));
  assert_int_equal(shoal_dict_set(d, "later", 5, "", 0, F), 0);  // who has it goes on
  assert_int_equal(shoal_manager_dict(m, "dict", NULL, &a.dict), 0);
  assert_int_equal(shoal_dict_contains(a.dict, "later", 5), 1);
  assert_int_equal(shoal_manager_close(other), 0);
  assert_int_equal(shoal_manager_create(own_name(), &small, &other), 0);  // another one
  assert_int_equal(shoal_manager_dict(other, "dict", NULL, &d), 0);
  assert_int_equal(shoal_dict_len(d), 0);
  assert_int_equal(shoal_manager_unlink(own_name()), 0);
  assert_int_equal(shoal_manager_close(other) + shoal_manager_close(m), 0);
}

static void uses_it(void *memory, unsigned i) {
  struct shoal_manager *mine;
  struct shoal_event *e;
  (void)i;
  CHECK(shoal_manager_open(own_name(), &mine) == 0 && shoal_manager_event(mine, "e", &e) == 0);
  stage_keep(memory);
  CHECK(shoal_manager_close(mine) == 0);
}
static void is_one_too_many(void *memory, unsigned i) {
  struct shoal_manager *mine = NULL;
  (void)memory, (void)i;
  CHECK(shoal_manager_open(own_name(), &mine) == -EUSERS && !mine && *shoal_reason());
  CHECK(shoal_manager_open_or_create(own_name(), NULL, &mine) == -EUSERS && !mine);
}
// Who is one too many is told so, and is in nobody's way; when another has left, or was killed, it may.
static void test_as_many_as_may_use_it(void **state) {
  struct shoal_event *e;
  (void)state;
  shoal_atomic32 *stage = arena_begin(64);
  assert_int_equal(
      shoal_manager_create(own_name(), &(struct shoal_segment_options){.size = 64 << 10, .participants = 2}, &m), 0);
  assert_int_equal(shoal_manager_event(m, "e", &e), 0);
  struct peer second = keeper(uses_it, 0, stage);
  struct peer third = peer_start(&arena, is_one_too_many, 0);
  peer_join(&third);
  assert_int_equal(info().participants, 2);
  let_go(&second, stage);
  say(stage, 0);
  second = keeper(uses_it, 0, stage);
  third = peer_start(&arena, is_one_too_many, 0);
  peer_join(&third);
  peer_kill(&second);
  say(stage, 0);
  second = keeper(uses_it, 0, stage);
  let_go(&second, stage);
  assert_int_equal(shoal_manager_unlink(own_name()), 0);
  assert_int_equal(shoal_manager_close(m), 0);
  arena_end(NULL);
}

// What another wrote where the manager's own is, and where what it lists is.
static int is_bounded(const struct shoal_manager_item *item, void *arg) {
  CHECK(memchr(item->name, 0, sizeof item->name) && memchr(item->type, 0, sizeof item->type));
  CHECK(memchr(item->text, 0, sizeof item->text));
  ++*(unsigned *)arg;
  return 0;
}
static void is_scribbled_over(void *memory, unsigned i) {
  struct shoal_manager *other;
  struct shoal_manager_item item;
  struct shoal_manager_info about;
  uint64_t random = 88172645463325252 + i;
  struct all a;
  unsigned listed = 0;
  (void)memory;
  CHECK(shoal_manager_create(NULL, &small, &m) == 0);
  get_all(m, 1, &a);
  fill(&a);
  struct shoal_segment *s = shoal_manager_segment(m);
  uint64_t *first = a.value.data, *last = first;  // all objects lie behind each other
  const void *its[] = {a.array.data, a.vector.shm, a.text.lock, a.lock, a.rlock, a.event, a.once, a.seqlock};
  for (unsigned k = 0; k < sizeof its / sizeof *its; k++) {
    uint64_t *at = (uint64_t *)(uintptr_t)its[k];
    if (at < first) first = at;
    if (at > last) last = at;
  }
  first -= 32;
  for (unsigned n = 0; n < 400; n++) {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    first[random % (uint64_t)(last + 8 - first)] = random % 3 ? random : n % 2 ? UINT64_MAX : random >> random % 64;
    if (n % 16) continue;
    CHECK(shoal_manager_each(m, is_bounded, &listed) == 0);
    CHECK(shoal_manager_find(m, "array", &item) == 0 && shoal_manager_info(m, &about) == 0);
    if (shoal_manager_on(s, &other) == 0) CHECK(shoal_manager_close(other) == 0);
  }
  CHECK(listed >= 25 * KINDS);
}
static void test_hostile_contents(void **state) {
  struct shoal_manager *other;
  struct shoal_segment *s;
  struct shoal_object object;
  (void)state;
  static const struct {
    const char *type;
    uint64_t size;
    int rc;
  } wrong[] = {{"shoal:manager", 64, -EPROTO}, {"shoal:manager", 4096, -EPROTO}, {"mine", 64, -EBADMSG}};
  for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_int_equal(shoal_segment_create(own_name(), &small, &s), 0);
    assert_int_equal(shoal_object_create(s, "shoal.manager", wrong[i].type, wrong[i].size, NULL, NULL, &object), 0);
    assert_refused(wrong[i].rc, shoal_manager_on(s, &other));
    assert_refused(wrong[i].rc, shoal_manager_open(own_name(), &other));
    assert_refused(wrong[i].rc, shoal_manager_open_or_create(own_name(), NULL, &other));
    assert_int_equal(shoal_manager_unlink(own_name()), 0);
    assert_int_equal(shoal_segment_close(s), 0);
  }
  arena_begin(64);
  for (unsigned i = 0; i < 8; i++) {
    struct peer p = peer_start(&arena, is_scribbled_over, i);
    peer_join(&p);
  }
  arena_end(NULL);
}

// ---- what there is ----

static int print(const struct shoal_manager_item *item, void *arg) {
  char *to = arg;
  if (strcmp(item->type, "lock") != 0 && strcmp(item->type, "topic:4") != 0 && strcmp(item->type, "queue:8") != 0)
    sprintf(to + strlen(to), "%s %s: %s; ", item->type, item->name, item->text);
  return 0;
}
static int stop(const struct shoal_manager_item *item, void *arg) {
  (void)item, (void)arg;
  return 42;
}
static void assert_listed(const char *name, const char *type, const char *text) {
  struct shoal_manager_item item;
  assert_int_equal(shoal_manager_find(m, name, &item), 0);
  assert_string_equal(item.name, name);
  assert_string_equal(item.type, type);
  if (text) assert_string_equal(item.text, text);
  assert_true(item.size >= 64);
}
static void test_what_there_is(void **state) {
  struct shoal_object mine;
  struct shoal_queue_info queue;
  uint64_t message = 1;
  char text[2000] = "", held[40];
  struct all a;
  (void)state;
  assert_int_equal(shoal_manager_create(NULL, &small, &m), 0);
  get_all(m, 1, &a);
  fill(&a);
  assert_int_equal(shoal_queue_put(a.queue, &message, F), 0);
  assert_int_equal(shoal_lock_acquire(a.lock, F), 0);
  assert_int_equal(shoal_object_create(shoal_manager_segment(m), "mine", "own type", 100, NULL, NULL, &mine), 0);
  assert_listed("dict", "dict", "1 entries");
  assert_listed("ns", "namespace", "1 entries");
  assert_listed("list", "list", "1 values");
  assert_listed("value", "value", "1 of int");
  assert_listed("array", "array", "5 of double");
  assert_listed("vector", "vector", "1 of long");
  assert_listed("text", "text", "14 of 100 bytes");
  assert_listed("queue", "queue:8", NULL);
  assert_listed("topic", "topic:4", NULL);
  sprintf(held, "held by %d", (int)gettid());
  assert_listed("lock", "lock", held);
  assert_listed("rlock", "rlock", "free");
  assert_listed("event", "event", "set");
  assert_listed("once", "once", "begun 0 times");
  assert_listed("mine", "own type", "");
  assert_int_equal(shoal_manager_each(m, print, text), 0);
  assert_non_null(strstr(text, "array array: 5 of double; "));
  assert_null(strstr(text, "shoal"));
  assert_int_equal(shoal_manager_each(m, stop, NULL), 42);
  assert_int_equal(shoal_queue_info(a.queue, &queue), 0);  // looking took nobody's role
  assert_int_equal(queue.producers, 1);
  assert_int_equal(shoal_lock_release(a.lock), 0);
  assert_int_equal(shoal_manager_close(m), 0);
}

static void test_removal(void **state) {
  struct shoal_dict *d, *other;
  struct shoal_manager_item item;
  (void)state;
  assert_int_equal(shoal_manager_create(NULL, &small, &m), 0);
  assert_int_equal(shoal_manager_dict(m, "d", NULL, &d), 0);
  assert_int_equal(shoal_dict_set(d, "k", 1, "v", 1, F), 0);
  uint64_t used = info().used;
  assert_int_equal(shoal_manager_remove(m, "d"), 0);
  assert_int_equal(shoal_manager_find(m, "d", &item), -ENOENT);
  assert_int_equal(shoal_dict_contains(d, "k", 1), 1);  // who has it goes on
  assert_int_equal(info().used, used);
  assert_int_equal(shoal_manager_dict(m, "d", NULL, &other), 0);  // another one
  assert_int_equal(shoal_dict_contains(other, "k", 1), 0);
  assert_int_equal(shoal_manager_drop(m, d), 0);
  assert_int_equal(info().used, used);
  assert_int_equal(shoal_manager_drop(m, other), 0);
  assert_int_equal(shoal_manager_remove(m, "d"), 0);
  assert_true(info().used < used);
  assert_refused(-ENOENT, shoal_manager_remove(m, "d"));
  assert_refused(-EPERM, shoal_manager_remove(m, "shoal.manager"));
  assert_int_equal(shoal_manager_close(m), 0);
}

// ---- limits, and what is refused ----

static void test_limits(void **state) {
  struct shoal_event *e;
  int rc = 0, n = 0;
  (void)state;
  assert_int_equal(
      shoal_manager_create(
          NULL,
          &(struct shoal_segment_options){.size = 64 << 10, .size_max = 1 << 20, .participants = 4, .objects = 10}, &m),
      0);
  while (rc == 0) rc = shoal_manager_event(m, NULL, &e), n += rc == 0;
  assert_int_equal(rc, -ENOSPC);
  assert_int_equal(n, 9);  // and the manager's own
  assert_int_equal(info().objects, info().objects_max);
  assert_int_equal(shoal_manager_drop(m, e), 0);
  assert_int_equal(shoal_manager_event(m, "again", &e), 0);
  assert_int_equal(shoal_manager_drop(m, e), 0);
  assert_int_equal(shoal_manager_remove(m, "again"), 0);
  struct shoal_array a;
  assert_refused(-ENOSPC, shoal_manager_array(m, "large", "char", 1, 2 << 20, NULL, &a));
  assert_int_equal(info().size_max, 1 << 20);
  assert_int_equal(shoal_manager_close(m), 0);
}

static void test_bad_input(void **state) {
  char name[SHOAL_NAME_MAX + 1], longer[SHOAL_NAME_MAX + 2];
  struct shoal_lock *lock = NULL, *same = NULL;
  struct shoal_dict *d;
  struct shoal_array a;
  struct shoal_queue *q;
  struct shoal_pipe *ends[2];
  struct shoal_manager *none;
  struct shoal_manager_item item;
  (void)state;
  memset(longer, 'x', sizeof longer), longer[SHOAL_NAME_MAX + 1] = 0;
  assert_refused(-EINVAL, shoal_manager_create("no/name", NULL, &none));
  assert_refused(-ENOENT, shoal_manager_open("shoal-no-such-manager", &none));
  assert_int_equal(shoal_manager_create(NULL, &small, &m), 0);
  assert_int_equal(shoal_manager_lock(m, "lock", &lock), 0);
  struct shoal_manager_info before = info();
  assert_refused(-EBADMSG, shoal_manager_dict(m, "lock", NULL, &d));
  assert_refused(-EINVAL, shoal_manager_dict(m, "", NULL, &d));
  assert_refused(-EINVAL, shoal_manager_dict(m, "shoal.heap", NULL, &d));
  assert_refused(-EINVAL, shoal_manager_pipe(m, "shoal.p", NULL, ends));
  assert_refused(-ENAMETOOLONG, shoal_manager_dict(m, longer, NULL, &d));
  assert_refused(-EINVAL, shoal_manager_dict(m, "d", &(struct shoal_dict_options){.stripes = 3}, &d));
  assert_refused(-EINVAL, shoal_manager_queue(m, "q", NULL, &q));
  assert_refused(-EINVAL, shoal_manager_drop(m, &before));
  assert_refused(-EINVAL, shoal_manager_drop(m, NULL));
  assert_refused(-EINVAL, shoal_manager_name(m, "x", name));
  assert_refused(-EINVAL, shoal_manager_find(m, NULL, &item));
  struct shoal_manager_info after = info();
  assert_memory_equal(&before, &after, sizeof before);
  assert_int_equal(shoal_manager_array(m, "a", "int", 4, 3, NULL, &a), 0);
  assert_refused(-EBADMSG, shoal_manager_array(m, "a", "int", 4, 4, NULL, &a));
  assert_refused(-EBADMSG, shoal_manager_array(m, "a", "float", 4, 3, NULL, &a));
  assert_refused(-EBADMSG, shoal_manager_value(m, "a", "int", 4, NULL, &a));
  assert_int_equal(shoal_lock_acquire(lock, F), 0);
  assert_refused(-EBUSY, shoal_manager_drop(m, lock));
  assert_refused(-EBUSY, shoal_manager_close(m));
  assert_int_equal(shoal_manager_lock(m, "lock", &same), 0);  // the manager is there still
  assert_ptr_equal(same, lock);
  assert_int_equal(shoal_lock_release(lock), 0);
  assert_int_equal(shoal_manager_close(m), 0);
}

static void test_pipe(void **state) {
  struct shoal_pipe *ends[2], *end;
  char text[8];
  uint64_t size;
  (void)state;
  assert_int_equal(shoal_manager_create(NULL, &small, &m), 0);
  assert_int_equal(shoal_manager_pipe(m, "p", NULL, ends), 0);
  assert_refused(-EEXIST, shoal_manager_pipe(m, "p", NULL, ends));
  assert_listed("p", "pipe:bytes", "");
  assert_int_equal(shoal_manager_pipe_end(m, "p", 0, 0, &end), 0);
  assert_int_equal(shoal_pipe_send(ends[1], "hi", 2, F), 0);
  assert_int_equal(shoal_pipe_recv(end, text, 8, &size, F), 0);
  assert_int_equal(size, 2);
  assert_int_equal(shoal_pipe_close(&end), 0);
  assert_int_equal(shoal_pipe_close(&ends[0]), 0);
  assert_int_equal(shoal_pipe_close(&ends[1]), 0);
  assert_int_equal(shoal_manager_close(m), 0);
}

// ---- several ----

static void gets_and_drops(void *memory, unsigned i) {
  (void)memory;
  for (unsigned n = 0; n < 60; n++) {
    struct all a;
    struct shoal_event *e[3];
    get_all(m, 1, &a);
    for (unsigned k = 0; k < 3; k++) CHECK(shoal_manager_event(m, NULL, &e[k]) == 0);
    CHECK(shoal_dict_set(a.dict, &i, 4, &n, 4, F) == 0);
    for (unsigned k = 0; k < 3; k++) CHECK(shoal_manager_drop(m, e[k]) == 0);
    drop_all(&a);
    if (n % 16 == 0) CHECK(shoal_manager_remove(m, "event") <= 0);
  }
}
static void test_together(void **state) {
  (void)state;
  for (enum driver by = THREADS; by < DRIVERS; by++) {
    assert_int_equal(shoal_manager_create(NULL, &small, &m), 0);
    arena_begin(64);
    run(&arena, by, 3, gets_and_drops);
    arena_end(NULL);
    assert_int_equal(info().nameless, 3 * 60 * 3);
    assert_int_equal(shoal_manager_close(m), 0);
  }
}

// ---- many cycles ----

struct use {
  uint64_t descriptors, mappings, used, blocks;
  uint32_t objects, participants;
};
static uint64_t mappings(void) {  // of segments: the allocator's come and go
  char line[512];
  FILE *f = fopen("/proc/self/maps", "re");
  uint64_t n = 0;
  CHECK(f != NULL);
  while (fgets(line, sizeof line, f)) n += strstr(line, "shoal") != NULL;
  CHECK(fclose(f) == 0);
  return n;
}
static uint64_t entries(const char *path) {
  DIR *d = opendir(path);
  uint64_t n = 0;
  CHECK(d != NULL);
  while (readdir(d)) n++;
  CHECK(closedir(d) == 0);
  return n;
}
static struct use use(void) {
  struct use u = {.descriptors = entries("/proc/self/fd"), .mappings = mappings()};
  struct shoal_manager_info i = info();
  u.used = i.used, u.objects = i.objects, u.participants = i.participants;
  struct shoal_heap_info heap_info;
  struct shoal_heap *heap;
  CHECK(shoal_heap_open(shoal_manager_segment(m), &heap) == 0);
  CHECK(shoal_heap_reap(heap) >= 0);
  CHECK(shoal_heap_info(heap, &heap_info) == 0);
  CHECK(shoal_heap_close(heap) == 0);
  u.blocks = heap_info.blocks;
  return u;
}
static void cycle(int fd) {
  struct shoal_manager *other;
  struct shoal_segment *s;
  struct all a;
  CHECK(shoal_segment_open_fd(fd, &s) == 0);
  CHECK(shoal_manager_on(s, &other) == 0);
  get_all(other, 1, &a);
  CHECK(shoal_dict_set(a.dict, "k", 1, "v", 1, F) == 0);
  CHECK(shoal_dict_remove(a.dict, "k", 1, F) == 0);
  CHECK(shoal_manager_close(other) == 0);
  CHECK(shoal_segment_close(s) == 0);
}
static void inner(void) {
  struct shoal_dict *d, *nameless;
  CHECK(shoal_manager_dict(m, "dict", NULL, &d) == 0);
  CHECK(shoal_manager_dict(m, NULL, NULL, &nameless) == 0);
  CHECK(shoal_dict_set(nameless, "k", 1, "v", 1, F) == 0);
  CHECK(shoal_manager_drop(m, nameless) == 0);
  CHECK(shoal_manager_drop(m, d) == 0);
}
static void test_many_cycles(void **state) {
  const char *set = getenv("SHOAL_CYCLES");
  unsigned long n = set ? strtoul(set, NULL, 10) : 300;
  struct all a;
  (void)state;
  assert_int_equal(shoal_manager_create(NULL, &small, &m), 0);
  get_all(m, 1, &a);
  int fd = shoal_segment_fd(shoal_manager_segment(m));
  for (int i = 0; i < 50; i++) cycle(fd), inner();
  struct use before = use();
  for (unsigned long i = 0; i < n; i++) cycle(fd);
  for (unsigned long i = 0; i < n * 10; i++) inner();
  struct use after = use();
  assert_int_equal(after.objects, before.objects);
  assert_int_equal(after.participants, before.participants);
  assert_int_equal(after.used, before.used);
  assert_int_equal(after.blocks, before.blocks);
  assert_int_equal(after.descriptors, before.descriptors);
  assert_int_equal(after.mappings, before.mappings);
  assert_int_equal(shoal_manager_close(m), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_kind_by_name),
      cmocka_unit_test(test_every_kind_without_a_name),
      cmocka_unit_test(test_by_name),
      cmocka_unit_test(test_as_many_as_may_use_it),
      cmocka_unit_test(test_hostile_contents),
      cmocka_unit_test(test_what_there_is),
      cmocka_unit_test(test_removal),
      cmocka_unit_test(test_limits),
      cmocka_unit_test(test_bad_input),
      cmocka_unit_test(test_pipe),
      cmocka_unit_test(test_together),
      cmocka_unit_test(test_many_cycles),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
