// A manager: what a process has got of a segment, and what there is. [N1], [N2]: ipc/work/manager.h.
#include "ipc/work/manager.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/atomic.h"
#include "core/error.h"
#include "ipc/work/manager_internal.h"

#define OWN "shoal.manager"
#define TYPE "shoal:manager"

// A note's state: how often it was got, times 4, and one of these. Whoever has it BUSY works on it.
enum { FREE, BUSY, GOT, STATES = 4 };
static uint32_t state_of(uint32_t word) { return word % STATES; }
static uint32_t in_state(uint32_t word, uint32_t state) { return word - state_of(word) + state; }
struct note {
  struct note *next;  // never changed once others see the note
  shoal_atomic32 state;
  unsigned kind;
  const void *it;  // what it is dropped by; NULL: not got
  union shoal_managed_ view;
  char name[SHOAL_NAME_MAX + 1];
  pid_t maker;  // who gave it that name; 0: the caller did
};

struct shoal_manager {
  struct shoal_segment *seg;
  struct shoal_manager_shm *shm;
  struct shoal_object object;
  struct note *notes;  // the newest; they go with the manager
  int whose;           // 1: it closes the segment
};

// ---- notes ----

static struct note *first(const struct shoal_manager *m) {
  return __atomic_load_n(&m->notes, __ATOMIC_ACQUIRE);  // [N2] pairs with [N1]
}
static struct note *note_new(struct shoal_manager *m) {
  struct note *n = calloc(1, sizeof *n);
  if (!n) return NULL;
  shoal_store32_relaxed(&n->state, BUSY);
  n->next = first(m);                                                                                   // [N2]
  while (!__atomic_compare_exchange_n(&m->notes, &n->next, n, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) { /* [N1] */
  }
  return n;
}
// Busy, and the caller's. NULL: no memory.
static struct note *note_take(struct shoal_manager *m) {
  for (struct note *n = first(m); n; n = n->next) {
    uint32_t word = shoal_load32_relaxed(&n->state);
    if (state_of(word) == FREE && shoal_cas32_acquire(&n->state, &word, in_state(word, BUSY))) return n;  // [N2]
  }
  return note_new(m);
}
static void note_say(struct note *n, uint32_t state) {
  uint32_t word = shoal_load32_relaxed(&n->state);
  shoal_store32_release(&n->state, in_state(word, state) + (state == GOT ? STATES : 0));  // [N1]
}

// NULL: nothing of the kind was got. Looked at, not claimed: others look, too. *word: as it was then, and only as long
// as it is the note of that.
static struct note *note_find(struct shoal_manager *m, const void *it, uint32_t *word) {
  for (struct note *n = first(m); n && it; n = n->next) {
    *word = shoal_load32_acquire(&n->state);  // [N2]
    if (state_of(*word) == GOT && __atomic_load_n(&n->it, __ATOMIC_RELAXED) == it) return n;
  }
  return NULL;
}
static int note_claim(struct note *n, uint32_t word) {
  return shoal_cas32_acquire(&n->state, &word, in_state(word, BUSY));  // [N2]
}
static int not_got(void) { return shoal_fail_(-EINVAL, "nothing that this process got of this manager"); }

// It is nobody's afterwards, or, if its close refuses, got still.
static int note_end(struct shoal_manager *m, struct note *n) {
  int rc = shoal_kinds_[n->kind].close(m->seg, &n->view);
  if (rc == 0 && n->maker == getpid()) (void)shoal_object_remove(m->seg, n->name);
  if (rc == 0) __atomic_store_n(&n->it, NULL, __ATOMIC_RELAXED);
  note_say(n, rc ? GOT : FREE);
  return rc;
}

int shoal_manager_drop(struct shoal_manager *m, const void *it) {
  struct note *n;
  uint32_t word;
  do n = note_find(m, it, &word);
  while (n && !note_claim(n, word));  // lost: it is another's by now, perhaps a view of the same object
  return n ? note_end(m, n) : not_got();
}

int shoal_manager_name(struct shoal_manager *m, const void *it, char name[SHOAL_NAME_MAX + 1]) {
  struct note *n;
  uint32_t word, same;
  do {
    n = note_find(m, it, &word);
    if (!n) return not_got();
    memcpy(name, n->name, sizeof n->name);
    same = word;
  } while (!shoal_cas32_acq_rel(&n->state, &same, word));  // [N2] after the name; another's by now: not that of `it`
  return 0;
}

// ---- lifecycle ----

static int init(void *memory, uint64_t size, void *arg) {
  struct shoal_manager_shm *shm = memory;
  (void)size, (void)arg;
  shm->kind = SHOAL_MANAGER_KIND_;
  return 0;
}
static int begin(struct shoal_manager *m) {
  int rc = shoal_object_open_or_create(m->seg, OWN, TYPE, sizeof *m->shm, init, NULL, &m->object);
  if (rc) return rc;
  m->shm = m->object.memory;
  if (m->object.size == sizeof *m->shm && __atomic_load_n(&m->shm->kind, __ATOMIC_RELAXED) == SHOAL_MANAGER_KIND_)
    return 0;
  (void)shoal_object_close(m->seg, &m->object);
  return shoal_fail_(-EPROTO, "the manager is damaged");
}
static int make(struct shoal_segment *seg, int whose, struct shoal_manager **out) {
  struct shoal_manager *m = calloc(1, sizeof *m);
  int rc = m ? 0 : shoal_fail_(-ENOMEM, "private memory");
  if (rc == 0) *m = (struct shoal_manager){.seg = seg, .whose = whose};
  if (rc == 0) rc = begin(m);
  if (rc == 0) *out = m;
  else free(m);
  return rc;
}
int shoal_manager_on(struct shoal_segment *seg, struct shoal_manager **out) { return make(seg, 0, out); }

static int made(int rc, struct shoal_segment *seg, struct shoal_manager **out) {
  if (rc) return rc;
  rc = make(seg, 1, out);
  if (rc) (void)shoal_segment_close(seg);
  return rc;
}
int shoal_manager_create(const char *name, const struct shoal_segment_options *options, struct shoal_manager **out) {
  struct shoal_segment *seg = NULL;
  int rc = shoal_segment_create(name, options, &seg);
  int then = made(rc, seg, out);
  if (rc == 0 && then && name) (void)shoal_segment_unlink(name);
  return then;
}
int shoal_manager_open(const char *name, struct shoal_manager **out) {
  struct shoal_segment *seg = NULL;
  int rc = shoal_segment_open(name, NULL, &seg);
  return made(rc, seg, out);
}
int shoal_manager_open_or_create(const char *name, const struct shoal_segment_options *options,
                                 struct shoal_manager **out) {
  struct shoal_segment *seg = NULL;
  int rc = shoal_segment_open_or_create(name, options, &seg);
  return made(rc, seg, out);
}

static int drop_all(struct shoal_manager *m) {
  int rc = 0;
  for (struct note *n = first(m); n; n = n->next) {
    uint32_t word = shoal_load32_relaxed(&n->state);
    int ended = state_of(word) == GOT && note_claim(n, word) ? note_end(m, n) : 0;
    if (rc == 0) rc = ended;
  }
  return rc;
}
int shoal_manager_close(struct shoal_manager *m) {
  int rc = drop_all(m);
  if (rc == 0 && m->whose) rc = shoal_segment_close(m->seg);
  if (rc == 0 && !m->whose) rc = shoal_object_close(m->seg, &m->object);
  if (rc) return rc;
  for (struct note *n = m->notes, *next; n; n = next) next = n->next, free(n);
  free(m);
  return 0;
}
int shoal_manager_unlink(const char *name) { return shoal_segment_unlink(name); }
struct shoal_segment *shoal_manager_segment(const struct shoal_manager *m) {
  return m->seg;
}

// ---- getters ----

static int is_own(const char *name) { return strncmp(name, "shoal.", 6) == 0; }

// *name, or, if there is none, one that nobody has had.
static int name_it(struct shoal_manager *m, const char *name, const char *type, struct note *n) {
  n->maker = name ? 0 : getpid();
  if (!name) {
    unsigned long number = (unsigned long)shoal_add64_relaxed(&m->shm->nameless, 1) + 1;
    (void)snprintf(n->name, sizeof n->name, "#%.*s-%lu", (int)strcspn(type, ":"), type, number);
    return 0;
  }
  if (is_own(name)) return shoal_fail_(-EINVAL, "\"%s\": a name of the library's own", name);
  if (strnlen(name, SHOAL_NAME_MAX + 1) > SHOAL_NAME_MAX)
    return shoal_fail_(-ENAMETOOLONG, "a name of more than %d bytes", SHOAL_NAME_MAX);
  (void)snprintf(n->name, sizeof n->name, "%s", name);
  return 0;
}

static int get(struct shoal_manager *m, const char *name, const struct shoal_wanted_ *w, union shoal_managed_ *out) {
  const struct shoal_kind_of_ *k = &shoal_kinds_[w->kind];
  struct note *n = note_take(m);
  if (!n) return shoal_fail_(-ENOMEM, "private memory");
  n->kind = w->kind;
  int rc = name_it(m, name, k->type, n);
  if (rc == 0) rc = k->open(m->seg, n->name, w, &n->view);
  if (rc == 0) {
    *out = n->view;
    __atomic_store_n(&n->it, shoal_managed_it_(n->kind, &n->view), __ATOMIC_RELAXED);
  }
  note_say(n, rc ? FREE : GOT);
  return rc;
}

// Only forward.
#define GET(field, of, ...)                                                            \
  union shoal_managed_ v;                                                              \
  int rc = get(m, name, &(const struct shoal_wanted_){.kind = of, ##__VA_ARGS__}, &v); \
  if (rc == 0) *out = v.field;                                                         \
  return rc

int shoal_manager_dict(struct shoal_manager *m, const char *name, const struct shoal_dict_options *options,
                       struct shoal_dict **out) {
  GET(dict, SHOAL_MANAGED_DICT_, .options = options);
}
int shoal_manager_namespace(struct shoal_manager *m, const char *name, struct shoal_namespace **out) {
  GET(ns, SHOAL_MANAGED_NAMESPACE_);
}
int shoal_manager_list(struct shoal_manager *m, const char *name, struct shoal_list **out) {
  GET(list, SHOAL_MANAGED_LIST_);
}
int shoal_manager_value(struct shoal_manager *m, const char *name, const char *type, uint64_t size,
                        const struct shoal_array_options *options, struct shoal_array *out) {
  GET(array, SHOAL_MANAGED_VALUE_, .type = type, .size = size, .options = options);
}
int shoal_manager_array(struct shoal_manager *m, const char *name, const char *type, uint64_t size, uint64_t count,
                        const struct shoal_array_options *options, struct shoal_array *out) {
  GET(array, SHOAL_MANAGED_ARRAY_, .type = type, .size = size, .count = count, .options = options);
}
int shoal_manager_vector(struct shoal_manager *m, const char *name, const char *type, uint64_t size,
                         const struct shoal_vector_options *options, struct shoal_vector *out) {
  GET(vector, SHOAL_MANAGED_VECTOR_, .type = type, .size = size, .options = options);
}
int shoal_manager_text(struct shoal_manager *m, const char *name, uint64_t capacity, const char *first_bytes,
                       struct shoal_text *out) {
  GET(text, SHOAL_MANAGED_TEXT_, .size = capacity, .options = first_bytes);
}
int shoal_manager_queue(struct shoal_manager *m, const char *name, const struct shoal_queue_options *options,
                        struct shoal_queue **out) {
  GET(queue, SHOAL_MANAGED_QUEUE_, .options = options);
}
int shoal_manager_topic(struct shoal_manager *m, const char *name, const struct shoal_topic_options *options,
                        struct shoal_topic **out) {
  GET(topic, SHOAL_MANAGED_TOPIC_, .options = options);
}
int shoal_manager_lock(struct shoal_manager *m, const char *name, struct shoal_lock **out) {
  GET(lock, SHOAL_MANAGED_LOCK_);
}
int shoal_manager_rlock(struct shoal_manager *m, const char *name, struct shoal_rlock **out) {
  GET(rlock, SHOAL_MANAGED_RLOCK_);
}
int shoal_manager_rwlock(struct shoal_manager *m, const char *name, uint32_t threads, struct shoal_rwlock **out) {
  GET(rwlock, SHOAL_MANAGED_RWLOCK_, .number = {threads});
}
int shoal_manager_condition(struct shoal_manager *m, const char *name, uint32_t threads, struct shoal_condition **out) {
  GET(condition, SHOAL_MANAGED_CONDITION_, .number = {threads});
}
int shoal_manager_semaphore(struct shoal_manager *m, const char *name, uint32_t value, uint32_t bound, uint32_t flags,
                            struct shoal_semaphore **out) {
  GET(semaphore, SHOAL_MANAGED_SEMAPHORE_, .number = {value, bound, flags});
}
int shoal_manager_event(struct shoal_manager *m, const char *name, struct shoal_event **out) {
  GET(event, SHOAL_MANAGED_EVENT_);
}
int shoal_manager_barrier(struct shoal_manager *m, const char *name, uint32_t parties,
                          const struct shoal_barrier_options *options, struct shoal_barrier **out) {
  GET(barrier, SHOAL_MANAGED_BARRIER_, .number = {parties}, .options = options);
}
int shoal_manager_once(struct shoal_manager *m, const char *name, struct shoal_once **out) {
  GET(once, SHOAL_MANAGED_ONCE_);
}
int shoal_manager_seqlock(struct shoal_manager *m, const char *name, uint64_t size, const void *first_bytes,
                          struct shoal_seqlock **out) {
  GET(seqlock, SHOAL_MANAGED_SEQLOCK_, .size = size, .options = first_bytes);
}

int shoal_manager_pipe(struct shoal_manager *m, const char *name, const struct shoal_pipe_options *options,
                       struct shoal_pipe *ends[2]) {
  if (name && is_own(name)) return shoal_fail_(-EINVAL, "\"%s\": a name of the library's own", name);
  return shoal_pipe_create(m->seg, name, options, ends);
}
int shoal_manager_pipe_end(struct shoal_manager *m, const char *name, uint32_t element_size, uint32_t side,
                           struct shoal_pipe **out) {
  return shoal_pipe_open(m->seg, name, element_size, side, out);
}

// ---- what there is ----

static const struct shoal_kind_of_ *kind_of(const char *type) {
  for (unsigned k = 0; k < SHOAL_MANAGED_KINDS_; k++) {
    const char *known = shoal_kinds_[k].type;
    uint64_t n = strlen(known);
    if (strncmp(type, known, known[n - 1] == ':' ? n : SHOAL_TYPE_MAX + 1) == 0) return &shoal_kinds_[k];
  }
  return NULL;
}

struct asked {
  struct shoal_manager *m;
  int (*each)(const struct shoal_manager_item *item, void *arg);
  void *arg;
};
// One that is removed meanwhile is listed without a text.
static int list_one(const struct shoal_object_info *info, void *arg) {
  const struct asked *a = arg;
  struct shoal_manager_item item = {.size = info->size};
  const struct shoal_kind_of_ *k = kind_of(info->type);
  struct shoal_object object;
  if (is_own(info->name)) return 0;
  memcpy(item.name, info->name, sizeof item.name);
  memcpy(item.type, info->type, sizeof item.type);
  if (k && shoal_object_open(a->m->seg, item.name, item.type, &object) == 0) {
    if (object.size >= k->least) k->tell(a->m->seg, &object, &item);
    (void)shoal_object_close(a->m->seg, &object);
  }
  return a->each(&item, a->arg);
}
int shoal_manager_each(struct shoal_manager *m, int (*each)(const struct shoal_manager_item *item, void *arg),
                       void *arg) {
  struct asked a = {m, each, arg};
  return shoal_object_list(m->seg, list_one, &a);
}

struct sought {
  const char *name;
  struct shoal_manager_item *out;
};
static int is_it(const struct shoal_manager_item *item, void *arg) {
  const struct sought *s = arg;
  if (strcmp(item->name, s->name) != 0) return 0;
  *s->out = *item;
  return 1;
}
int shoal_manager_find(struct shoal_manager *m, const char *name, struct shoal_manager_item *out) {
  struct shoal_manager_item found;
  if (!name) return shoal_fail_(-EINVAL, "no name to be found");
  int rc = shoal_manager_each(m, is_it, &(struct sought){name, &found});
  if (rc == 1) *out = found;
  return rc == 1 ? 0 : rc ? rc : shoal_fail_(-ENOENT, "no object \"%.63s\"", name);
}

int shoal_manager_remove(struct shoal_manager *m, const char *name) {
  if (name && is_own(name)) return shoal_fail_(-EPERM, "\"%s\" is the library's own", name);
  return shoal_object_remove(m->seg, name);
}

int shoal_manager_info(struct shoal_manager *m, struct shoal_manager_info *out) {
  struct shoal_segment_info s;
  int rc = shoal_segment_info(m->seg, &s);
  if (rc) return rc;
  struct shoal_manager_info info = {.size = s.size, .size_max = s.size_max, .used = s.used};
  info.objects = s.objects, info.objects_max = s.objects_max;
  info.participants = s.participants, info.participants_max = s.participants_max;
  info.nameless = shoal_load64_relaxed(&m->shm->nameless);
  for (struct note *n = first(m); n; n = n->next) info.got += state_of(shoal_load32_relaxed(&n->state)) == GOT;
  *out = info;
  return 0;
}
