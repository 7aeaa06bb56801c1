#include "ipc/work/thread.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/futex.h"
#include "core/heap_internal.h"
#include "core/robust.h"
#include "ipc/work/thread_internal.h"

// shoal_thread.state; CLOSED is also: not started. AWAITED: it runs, and who waits for the end of the process joins it.
enum { CLOSED, RUNNING, AWAITED, ENDED, JOINING, JOINED };

static struct {  // entered
  shoal_atomic32 lock;
  shoal_atomic32 pid;  // whose threads these are; also read by who has not entered
  uint64_t idents;
  unsigned started, foreign;  // with default names
  int at_exit;
  struct shoal_thread *first, **last;  // those that run, without the main thread
} all = {.idents = 1, .last = &all.first};

static struct shoal_thread main_thread = {.ident = 1, .state = {RUNNING}, .name = "MainThread"};
static __thread struct shoal_thread *current;
static __thread struct shoal_thread foreign;

static int are_ours(void) { return (pid_t)shoal_load32_relaxed(&all.pid) == getpid(); }

static int enter(void) {
  int rc = shoal_robust_check();
  if (rc) return rc;
  shoal_private_acquire_(&all.lock);
  if (!are_ours()) {  // a child of fork has none of its parent's
    shoal_store32_relaxed(&all.pid, (uint32_t)getpid());
    all.first = NULL;
    all.last = &all.first;
  }
  return 0;
}

static void leave(void) { shoal_private_release_(&all.lock); }

static void enlist(struct shoal_thread *t) {
  t->next = NULL;
  *all.last = t;
  all.last = &t->next;
}

static void delist(struct shoal_thread *t) {
  struct shoal_thread **at = &all.first;
  while (*at && *at != t) at = &(*at)->next;
  if (!*at) return;
  *at = t->next;
  if (all.last == &t->next) all.last = at;
}

// ---- who is it ----

const struct shoal_thread *shoal_thread_main(void) {
  shoal_store32_relaxed(&main_thread.tid, (uint32_t)getpid());
  return &main_thread;
}

const struct shoal_thread *shoal_thread_current(void) {
  pid_t process = getpid(), tid = (pid_t)syscall(SYS_gettid);
  if (current && current->process == process) return current;
  if (tid == process) return shoal_thread_main();
  if (foreign.process == process) return &foreign;
  foreign = (struct shoal_thread){.process = process, .daemon = 1, .state = {RUNNING}, .tid = {(uint32_t)tid}};
  if (enter() == 0) {
    foreign.ident = ++all.idents;
    snprintf(foreign.name, sizeof foreign.name, "Foreign-%u", ++all.foreign);
    leave();
  }
  return &foreign;
}

// ---- it runs ----

// Also when it is ended by pthread_exit or pthread_cancel. Nobody looks at the struct's list any more when it says so.
static void end(void *thread) {
  struct shoal_thread *t = thread;
  if (enter()) abort();  // it could once
  delist(t);
  uint32_t next = shoal_load32_relaxed(&t->state) == AWAITED ? JOINED : ENDED;
  // [E1] pairs with [E2]: its result is there. The struct may be gone from here on.
  shoal_store32_release(&t->state, next);
  shoal_futex_wake(&t->state, INT_MAX);
  leave();
}

static void *begin(void *thread) {
  struct shoal_thread *t = thread;
  current = t;
  if (enter()) abort();  // whoever started it has written its handle before it let the lock go
  shoal_store32_relaxed(&t->tid, (uint32_t)syscall(SYS_gettid));
  leave();
  char name[16];
  snprintf(name, sizeof name, "%.15s", t->name);
  pthread_setname_np(pthread_self(), name);
  pthread_cleanup_push(end, t);
  t->result = t->run ? t->run(t) : t->work(t->arg);
  pthread_cleanup_pop(1);
  return NULL;
}

static int name_thread(struct shoal_thread *t, const struct shoal_thread_options *o, unsigned number) {
  int n = o->name ? snprintf(t->name, sizeof t->name, "%s", o->name)
                  : snprintf(t->name, sizeof t->name, "Thread-%u", number);
  if (n == 0) return shoal_fail_(-EINVAL, "a thread's name is empty");
  return n <= SHOAL_NAME_MAX ? 0 : shoal_fail_(-ENAMETOOLONG, "a thread's name of %d bytes", n);
}

static int create(struct shoal_thread *t, const struct shoal_thread_options *o) {
  pthread_attr_t attributes;
  int error = pthread_attr_init(&attributes);
  if (error == 0 && o->stack) error = pthread_attr_setstacksize(&attributes, o->stack);
  if (error == 0) error = pthread_create(&t->handle, &attributes, begin, t);
  pthread_attr_destroy(&attributes);
  errno = error;
  return error ? shoal_fail_(error == EAGAIN ? -EUSERS : -error, "a thread: %m") : 0;
}

static int start_entered(struct shoal_thread *t, const struct shoal_thread_options *o) {
  int rc = name_thread(t, o, all.started + 1);
  if (rc) return rc;
  if (!all.at_exit && atexit(shoal_threads_await_)) return shoal_fail_(-ENOMEM, "nobody would wait at exit");
  all.at_exit = 1;
  t->ident = all.idents + 1;
  rc = create(t, o);
  if (rc) return rc;
  all.idents++;
  all.started += !o->name;
  enlist(t);
  return 0;
}

static int start(struct shoal_thread *t, const struct shoal_thread *what, const struct shoal_thread_options *options) {
  static const struct shoal_thread_options defaults;
  const struct shoal_thread_options *o = options ? options : &defaults;
  if (!what->work && !what->run) return shoal_fail_(-EINVAL, "nothing to run");
  if (o->daemon > SHOAL_NO_DAEMON) return shoal_fail_(-EINVAL, "daemon %d", (int)o->daemon);
  int daemon = o->daemon == SHOAL_DAEMON || (o->daemon == SHOAL_DAEMON_INHERIT && shoal_thread_current()->daemon);
  int rc = enter();
  if (rc) return rc;
  *t = *what;
  t->daemon = daemon;
  t->process = getpid();
  t->result = -ENOTRECOVERABLE;
  shoal_store32_relaxed(&t->state, RUNNING);
  rc = start_entered(t, o);
  if (rc) *t = (struct shoal_thread){.ident = 0};
  leave();
  return rc;
}

int shoal_thread_start(struct shoal_thread *t, int (*work)(void *), void *arg,
                       const struct shoal_thread_options *options) {
  return start(t, &(struct shoal_thread){.work = work, .arg = arg}, options);
}

int shoal_thread_start_run(struct shoal_thread *t, int (*run)(struct shoal_thread *),
                           const struct shoal_thread_options *options) {
  return start(t, &(struct shoal_thread){.run = run}, options);
}

// ---- it ends ----

static int check_ours(const struct shoal_thread *t) {
  if (shoal_load32_relaxed(&t->state) == CLOSED)
    return shoal_fail_(-EINVAL, "the thread was not started, or was closed");
  if (t != &main_thread && t->process != getpid())
    return shoal_fail_(-ECHILD, "%s is a thread of process %d", t->name, t->process);
  return 0;
}

// It has ended; from here on it is nothing any more.
static void reap(struct shoal_thread *t) {
  pthread_join(t->handle, NULL);
  shoal_store32_release(&t->state, JOINED);  // [E1]
  shoal_futex_wake(&t->state, INT_MAX);
}

int shoal_thread_join(struct shoal_thread *t, shoal_deadline deadline) {
  int rc = check_ours(t);
  if (rc) return rc;
  if (t == shoal_thread_current()) return shoal_fail_(-EDEADLK, "%s waits for its own end", t->name);
  for (;;) {
    uint32_t seen = shoal_load32_acquire(&t->state);  // [E2] pairs with [E1]
    if (seen == JOINED) return 0;
    if (seen == ENDED) {
      if (shoal_cas32_acquire(&t->state, &seen, JOINING)) reap(t);  // [E2]
      continue;
    }
    if (shoal_deadline_is_try(deadline)) return -EAGAIN;
    if (shoal_futex_wait(&t->state, seen, deadline) == -ETIMEDOUT) return -ETIMEDOUT;
  }
}

int shoal_thread_is_alive(struct shoal_thread *t) {
  int rc = check_ours(t);
  uint32_t state = shoal_load32_acquire(&t->state);  // [E2]
  return rc ? rc : state == RUNNING || state == AWAITED;
}

int shoal_thread_result(struct shoal_thread *t, int *result) {
  int rc = shoal_thread_is_alive(t);
  if (rc) return rc < 0 ? rc : -EAGAIN;
  *result = t->result;
  return 0;
}

int shoal_thread_close(struct shoal_thread *t) {
  int rc = shoal_thread_is_alive(t);
  if (rc > 0) return shoal_fail_(-EBUSY, "%s still runs", t->name);
  if (rc == 0) rc = shoal_thread_join(t, SHOAL_FOREVER);
  if (rc == 0) shoal_store32_relaxed(&t->state, CLOSED);
  return rc;
}

// One that is no daemon, nor the caller, to be joined by the caller. 0: there is none.
static int await_one(pthread_t *handle) {
  if (enter()) return 0;
  struct shoal_thread *t = all.first;
  while (t && (t->daemon || t == current || shoal_load32_relaxed(&t->state) != RUNNING)) t = t->next;
  if (t) {
    shoal_store32_relaxed(&t->state, AWAITED);
    *handle = t->handle;
  }
  leave();
  return t != NULL;
}

void shoal_threads_await_(void) {
  pthread_t handle;
  if (!are_ours()) return;  // it never had any: the children of most are spared what entering costs
  while (await_one(&handle)) pthread_join(handle, NULL);
}

// ---- all of them ----

static struct shoal_thread_info info_of(const struct shoal_thread *t) {
  struct shoal_thread_info info = {.ident = t->ident, .tid = shoal_load32_relaxed(&t->tid), .daemon = t->daemon};
  memcpy(info.name, t->name, sizeof info.name);
  return info;
}

unsigned shoal_thread_active_count(void) {
  unsigned n = 1;
  if (enter()) return n;
  for (const struct shoal_thread *t = all.first; t; t = t->next) n++;
  leave();
  return n;
}

int shoal_thread_enumerate(int (*each)(const struct shoal_thread_info *, void *), void *arg) {
  unsigned n = 1;
  int rc = enter();
  if (rc) return rc;
  for (const struct shoal_thread *t = all.first; t; t = t->next) n++;
  struct shoal_thread_info *list = malloc(n * sizeof *list);
  if (list) list[0] = info_of(shoal_thread_main());
  n = 1;
  for (const struct shoal_thread *t = all.first; t && list; t = t->next) list[n++] = info_of(t);
  leave();
  if (!list) return shoal_fail_(-ENOMEM, "no memory for a list of threads");
  for (unsigned i = 0; i < n && rc == 0; i++) rc = each(&list[i], arg);
  free(list);
  return rc;
}

// ---- values of which each thread has its own ----

struct shoal_local_value_ {
  struct shoal_local *local;
  struct shoal_local_value_ *next, **before;
  uint64_t reserved;
  char bytes[];
};
SHOAL_STATIC_ASSERT(offsetof(struct shoal_local_value_, bytes) % 16 == 0 || sizeof(void *) != 8, "aligned");

static void destroy_value(struct shoal_local_value_ *v) {
  if (v->local->destroy) v->local->destroy(v->bytes);
  free(v);
}

// A thread ends that has one.
static void value_ends(void *value) {
  struct shoal_local_value_ *v = value;
  if (shoal_robust_check()) return;
  shoal_private_acquire_(&v->local->lock);
  *v->before = v->next;
  if (v->next) v->next->before = v->before;
  shoal_private_release_(&v->local->lock);
  destroy_value(v);
}

int shoal_local_create(struct shoal_local *local, uint64_t size, void (*destroy)(void *value)) {
  int rc = shoal_robust_check();
  if (rc) return rc;
  if (size > PTRDIFF_MAX / 2) return shoal_fail_(-EINVAL, "a value of %llu bytes", (unsigned long long)size);
  pthread_key_t key;
  int error = pthread_key_create(&key, value_ends);
  if (error) return shoal_fail_(error == EAGAIN ? -EUSERS : -error, "no key for values of threads");
  *local = (struct shoal_local){.key = key, .size = size, .destroy = destroy};
  return 0;
}

static void *new_value(struct shoal_local *local) {
  struct shoal_local_value_ *v = shoal_robust_check() ? NULL : calloc(1, sizeof *v + local->size);
  if (!v || pthread_setspecific(local->key, v)) {
    free(v);
    shoal_note_("no memory for a thread's value");
    return NULL;
  }
  v->local = local;
  v->before = &local->values;
  shoal_private_acquire_(&local->lock);
  v->next = local->values;
  if (v->next) v->next->before = &v->next;
  local->values = v;
  shoal_private_release_(&local->lock);
  return v->bytes;
}

void *shoal_local_get(struct shoal_local *local) {
  struct shoal_local_value_ *v = pthread_getspecific(local->key);
  return SHOAL_LIKELY(v != NULL) ? v->bytes : new_value(local);
}

void shoal_local_close(struct shoal_local *local) {
  pthread_key_delete(local->key);
  while (local->values) {
    struct shoal_local_value_ *v = local->values;
    local->values = v->next;
    destroy_value(v);
  }
}
