// What is due is two flags of each child: `leave`, it is to end; `again`, it is to be started when it is down. A step
// ends the last that is to leave, one at a time; when nobody is to leave any more, all who are to come are started, the
// first first (one for one: at once).
#include "ipc/work/supervisor.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/error.h"

#define WITHIN_NS INT64_C(5000000000)
#define GRACE_NS INT64_C(5000000000)
#define RETRY_NS INT64_C(10000000)  // run: after a start that failed

struct child {
  struct shoal_supervised spec;
  struct shoal_process process;
  enum shoal_supervised_state is;
  int leave, again;
  int64_t kill_ns, started_ns;  // kill: when its grace is over
  uint64_t restarts, ends;
  struct shoal_process_info last;
  char name[SHOAL_NAME_MAX + 1];
};

enum { TERM, PARENT, EXTRA };  // what is looked at beside the children

struct shoal_supervisor {
  pid_t owner;
  enum shoal_strategy strategy;
  uint32_t max, counted, next;  // of `times`: the last `max` restarts that count
  int64_t within_ns, *times;
  struct child **children;
  struct pollfd *sentinels;  // EXTRA, then one each
  unsigned n, room;
  int extra[EXTRA], told;  // run: descriptors; one of them was readable
  unsigned fresh;          // started again within this call
  uint64_t restarts;
  int ending, broken;
  char reason[192];
};

static int check_owner(const struct shoal_supervisor *sv) {
  return sv->owner == getpid() ? 0 : shoal_fail_(-ECHILD, "a supervisor of process %d", sv->owner);
}
static int say_broken(const struct shoal_supervisor *sv) { return shoal_fail_(sv->broken, "%s", sv->reason); }
static int may_start(const struct shoal_supervisor *sv) {
  if (sv->broken) return say_broken(sv);
  return sv->ending ? shoal_fail_(-EPIPE, "the supervisor is shut down") : 0;
}

static unsigned alive(const struct shoal_supervisor *sv) {
  unsigned n = 0;
  for (unsigned i = 0; i < sv->n; i++) n += sv->children[i]->is != SHOAL_CHILD_DOWN;
  return n;
}
static int is_due(const struct shoal_supervisor *sv) {
  for (unsigned i = 0; i < sv->n; i++)
    if (sv->children[i]->leave || sv->children[i]->again) return 1;
  return 0;
}

// ---- one child ----

static int start(struct child *c) {
  const struct shoal_supervised *s = &c->spec;
  struct shoal_process_options o = s->process ? *s->process : (struct shoal_process_options){0};
  o.name = c->name;
  o.daemon = !s->parental;
  int rc = s->task ? shoal_process_start_task(&c->process, s->task, s->argument, s->size, &o)
                   : shoal_process_start(&c->process, s->work, s->arg, &o);
  if (rc) return rc;
  c->is = SHOAL_CHILD_RUNS;
  c->started_ns = shoal_now_ns();
  return 0;
}

// To end it: SIGTERM, later SIGKILL. When the next is due.
static int64_t urge(struct child *c) {
  if (c->is == SHOAL_CHILD_RUNS) {
    c->is = SHOAL_CHILD_ENDS;
    c->kill_ns = c->spec.grace_ns < 0 ? 0 : shoal_after_ns(c->spec.grace_ns).ns;
    if (c->kill_ns) (void)shoal_process_terminate(&c->process);
  }
  if (shoal_now_ns() >= c->kill_ns) {
    (void)shoal_process_kill(&c->process);
    c->kill_ns = INT64_MAX;
  }
  return c->kill_ns;
}

static void leaves(struct child *c, int again) {
  c->leave = c->is != SHOAL_CHILD_DOWN;
  c->again = again;
}

// ---- restarts ----

static int count_restart(struct shoal_supervisor *sv) {
  if (sv->max == SHOAL_RESTARTS_UNLIMITED) return 1;
  int64_t now = shoal_now_ns(), *oldest = &sv->times[sv->next];
  if (sv->counted == sv->max && now - *oldest < sv->within_ns) return 0;
  *oldest = now;
  sv->next = (sv->next + 1) % sv->max;
  sv->counted += sv->counted < sv->max;
  return 1;
}

static void end_all(struct shoal_supervisor *sv) {
  sv->ending = 1;
  for (unsigned i = 0; i < sv->n; i++) leaves(sv->children[i], 0);
}
static void give_up(struct shoal_supervisor *sv, const char *name, const char *what) {
  sv->broken = -ENOTRECOVERABLE;
  snprintf(sv->reason, sizeof sv->reason, "%s %s, and more than %u restarts in %lld ms are too many", name, what,
           sv->max, (long long)(sv->within_ns / 1000000));
  end_all(sv);
}

// Others are ended, and started again, with child `i`, which has ended.
static void mark(struct shoal_supervisor *sv, unsigned i) {
  unsigned first = sv->strategy == SHOAL_ONE_FOR_ALL ? 0 : sv->strategy == SHOAL_REST_FOR_ONE ? i : sv->n;
  sv->children[i]->again = 1;
  for (unsigned k = first; k < sv->n; k++) {
    struct child *c = sv->children[k];
    if (c->is == SHOAL_CHILD_RUNS && !c->leave) leaves(c, c->spec.restart != SHOAL_TEMPORARY);
  }
}

static int comes_again(const struct child *c) {
  int well = c->last.code_known && c->last.code == 0;
  return c->spec.restart == SHOAL_PERMANENT || (c->spec.restart == SHOAL_TRANSIENT && !well);
}
static void say_end(const struct child *c, char *out, size_t size) {
  if (!c->last.code_known) snprintf(out, size, "has ended, nobody knows how");
  else if (c->last.signal) snprintf(out, size, "was killed by signal %d", c->last.signal);
  else snprintf(out, size, "has ended with %d", c->last.code);
}

static void ended(struct shoal_supervisor *sv, unsigned i) {
  struct child *c = sv->children[i];
  char what[48];
  (void)shoal_process_info(&c->process, &c->last);
  (void)shoal_process_close(&c->process);
  int asked = c->leave;
  c->is = SHOAL_CHILD_DOWN;
  c->leave = 0;
  c->ends++;
  if (asked || !comes_again(c)) return;
  if (count_restart(sv)) return mark(sv, i);
  say_end(c, what, sizeof what);
  give_up(sv, c->name, what);
}

// Those who are to come again, when all have left who go with them. 0, or why not: then the next call tries again.
static int start_due(struct shoal_supervisor *sv) {
  for (unsigned i = 0; i < sv->n && sv->strategy != SHOAL_ONE_FOR_ONE; i++)
    if (sv->children[i]->leave) return 0;
  for (unsigned i = 0; i < sv->n; i++) {
    struct child *c = sv->children[i];
    if (!c->again || c->is != SHOAL_CHILD_DOWN) continue;
    int rc = start(c);
    if (rc && !count_restart(sv)) return give_up(sv, c->name, "could not be started"), 0;
    if (rc) return rc;
    c->again = 0;
    c->restarts++;
    sv->restarts++;
    sv->fresh++;
  }
  return 0;
}

// ---- the loop ----

// Until a child ends, or what `run` looks at is readable.
static int sleep_until(struct shoal_supervisor *sv, int64_t until) {
  int64_t left = until ? until - shoal_now_ns() : 0;
  struct timespec timeout = {left > 0 ? left / 1000000000 : 0, left > 0 ? left % 1000000000 : 0};
  for (unsigned i = 0; i < EXTRA; i++) sv->sentinels[i] = (struct pollfd){sv->extra[i], POLLIN, 0};
  for (unsigned i = 0; i < sv->n; i++) {
    struct child *c = sv->children[i];
    sv->sentinels[EXTRA + i] = (struct pollfd){c->is == SHOAL_CHILD_DOWN ? -1 : c->process.sentinel, POLLIN, 0};
  }
  int n = ppoll(sv->sentinels, EXTRA + sv->n, until == INT64_MAX ? NULL : &timeout, NULL);
  if (n < 0) return errno == EINTR ? 0 : shoal_fail_(-errno, "poll: %m");
  for (unsigned i = 0; i < EXTRA; i++)
    if (sv->sentinels[i].revents) sv->told = 1;
  for (unsigned i = 0; i < sv->n; i++)
    if (sv->sentinels[EXTRA + i].revents && shoal_process_join(&sv->children[i]->process, SHOAL_TRY) == 0) ended(sv, i);
  return 0;
}

// What can be done at once. *wake: when there will be more, if nobody ends before.
static int step(struct shoal_supervisor *sv, int64_t *wake) {
  int rc = sleep_until(sv, 0);
  if (rc) return rc;
  *wake = INT64_MAX;
  for (unsigned i = sv->n; i--;) {
    if (!sv->children[i]->leave) continue;
    *wake = urge(sv->children[i]);
    break;
  }
  return start_due(sv);
}

// Until `done`. 0; -EAGAIN, -ETIMEDOUT; an error of a start, with what is due still to be done.
static int go_on(struct shoal_supervisor *sv, int (*done)(const struct shoal_supervisor *, const struct child *),
                 const struct child *c, shoal_deadline deadline) {
  sv->fresh = 0;
  for (;;) {
    int64_t wake;
    int rc = step(sv, &wake);
    if (rc) return rc;
    if (done(sv, c)) return 0;
    if (shoal_deadline_is_try(deadline) || shoal_deadline_passed(deadline)) return shoal_deadline_error(deadline);
    rc = sleep_until(sv, wake < deadline.ns ? wake : deadline.ns);
    if (rc) return rc;
  }
}

static int is_news(const struct shoal_supervisor *sv, const struct child *c) {
  (void)c;
  return !is_due(sv) && (sv->fresh || !alive(sv));
}
static int is_over(const struct shoal_supervisor *sv, const struct child *c) {
  (void)c;
  return sv->told || sv->broken || (!is_due(sv) && !alive(sv));
}
static int all_down(const struct shoal_supervisor *sv, const struct child *c) {
  (void)c;
  return !alive(sv);
}
static int is_down(const struct shoal_supervisor *sv, const struct child *c) {
  (void)sv;
  return c->is == SHOAL_CHILD_DOWN;
}
static int is_settled(const struct shoal_supervisor *sv, const struct child *c) {
  return sv->ending || (!c->leave && !c->again);
}

static int gave_up(int rc) { return rc == -EAGAIN || rc == -ETIMEDOUT; }

int shoal_supervisor_tend(struct shoal_supervisor *sv, shoal_deadline deadline) {
  int rc = check_owner(sv);
  if (rc) return rc;
  rc = go_on(sv, is_news, NULL, deadline);
  if (sv->broken) return say_broken(sv);
  return rc == 0 || gave_up(rc) ? (int)sv->fresh : rc;
}

// ---- run ----

static int watch(struct shoal_supervisor *sv, sigset_t *before) {
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  int parent = shoal_process_parent_sentinel(), fd = signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) return shoal_fail_(-errno, "signalfd: %m");
  pthread_sigmask(SIG_BLOCK, &term, before);
  sv->extra[TERM] = fd;
  sv->extra[PARENT] = parent < 0 ? -1 : parent;
  sv->told = parent == -EPIPE;
  return 0;
}
// Signals that came meanwhile have had their answer.
static void unwatch(struct shoal_supervisor *sv, const sigset_t *before) {
  struct signalfd_siginfo come;
  while (read(sv->extra[TERM], &come, sizeof come) == sizeof come) continue;
  close(sv->extra[TERM]);
  sv->extra[TERM] = sv->extra[PARENT] = -1;
  pthread_sigmask(SIG_SETMASK, before, NULL);
}

int shoal_supervisor_run(struct shoal_supervisor *sv) {
  sigset_t before;
  int rc = check_owner(sv);
  if (!rc) rc = watch(sv, &before);
  if (rc) return rc;
  int term = sv->extra[TERM];
  while (!is_over(sv, NULL))
    if (go_on(sv, is_over, NULL, SHOAL_FOREVER)) (void)sleep_until(sv, shoal_after_ns(RETRY_NS).ns);
  sv->extra[TERM] = sv->extra[PARENT] = -1;
  rc = shoal_supervisor_shutdown(sv, SHOAL_FOREVER);
  sv->extra[TERM] = term;
  unwatch(sv, &before);
  return sv->broken ? say_broken(sv) : rc;
}

// ---- children by name ----

static struct child *find(const struct shoal_supervisor *sv, const char *name) {
  for (unsigned i = 0; i < sv->n && name; i++)
    if (strcmp(sv->children[i]->name, name) == 0) return sv->children[i];
  return NULL;
}
static int seek(const struct shoal_supervisor *sv, const char *name, struct child **out) {
  int rc = check_owner(sv);
  if (rc) return rc;
  *out = find(sv, name);
  return *out ? 0 : shoal_fail_(-ENOENT, "no child is called %s", name ? name : "NULL");
}

static int check(const struct shoal_supervised *s) {
  size_t length = s->name ? strlen(s->name) : 0;
  if (length == 0 || length > SHOAL_NAME_MAX) return shoal_fail_(-EINVAL, "a child's name of %zu bytes", length);
  if (!s->work == !s->task) return shoal_fail_(-EINVAL, "%s: a function or a task", s->name);
  if (s->restart > SHOAL_TEMPORARY) return shoal_fail_(-EINVAL, "%s: restart %d", s->name, (int)s->restart);
  return 0;
}
static int make_room(struct shoal_supervisor *sv) {
  if (sv->n < sv->room) return 0;
  unsigned room = 2 * sv->room + 8;
  void *children = realloc(sv->children, room * sizeof(struct child *));
  if (children) sv->children = children;
  void *sentinels = realloc(sv->sentinels, (EXTRA + room) * sizeof *sv->sentinels);
  if (sentinels) sv->sentinels = sentinels;
  if (!children || !sentinels) return shoal_fail_(-ENOMEM, "no memory for a child");
  sv->room = room;
  return 0;
}

int shoal_supervisor_add(struct shoal_supervisor *sv, const struct shoal_supervised *spec) {
  int rc = check_owner(sv);
  if (!rc) rc = check(spec);
  if (!rc) rc = may_start(sv);
  if (!rc && find(sv, spec->name)) rc = shoal_fail_(-EEXIST, "a child is called %s", spec->name);
  if (!rc) rc = make_room(sv);
  if (rc) return rc;
  struct child *c = calloc(1, sizeof *c);
  if (!c) return shoal_fail_(-ENOMEM, "no memory for a child");
  c->spec = *spec;
  if (c->spec.grace_ns == 0) c->spec.grace_ns = GRACE_NS;
  snprintf(c->name, sizeof c->name, "%s", spec->name);
  c->spec.name = c->name;
  rc = start(c);
  if (rc) free(c);
  else sv->children[sv->n++] = c;
  return rc;
}

int shoal_supervisor_stop(struct shoal_supervisor *sv, const char *name, shoal_deadline deadline) {
  struct child *c;
  int rc = seek(sv, name, &c);
  if (rc) return rc;
  leaves(c, 0);
  return go_on(sv, is_down, c, deadline);
}

int shoal_supervisor_restart(struct shoal_supervisor *sv, const char *name, shoal_deadline deadline) {
  struct child *c;
  int rc = seek(sv, name, &c);
  if (!rc) rc = may_start(sv);
  if (rc) return rc;
  leaves(c, 1);
  rc = go_on(sv, is_settled, c, deadline);
  return sv->broken ? say_broken(sv) : rc;
}

int shoal_supervisor_remove(struct shoal_supervisor *sv, const char *name, shoal_deadline deadline) {
  struct child *c;
  int rc = seek(sv, name, &c);
  if (!rc) rc = shoal_supervisor_stop(sv, name, deadline);
  if (rc) return rc;
  unsigned kept = 0;
  for (unsigned i = 0; i < sv->n; i++)
    if (sv->children[i] != c) sv->children[kept++] = sv->children[i];
  sv->n = kept;
  free(c);
  return 0;
}

// ---- the end ----

int shoal_supervisor_shutdown(struct shoal_supervisor *sv, shoal_deadline deadline) {
  int rc = check_owner(sv);
  if (rc) return rc;
  end_all(sv);
  return go_on(sv, all_down, NULL, deadline);
}

int shoal_supervisor_destroy(struct shoal_supervisor *sv) {
  int rc = check_owner(sv);
  if (rc) return rc;
  for (unsigned i = 0; i < sv->n; i++) {
    struct child *c = sv->children[i];
    c->spec.grace_ns = -1;
    c->kill_ns = 0;  // also of one that ends already
  }
  rc = shoal_supervisor_shutdown(sv, SHOAL_FOREVER);
  if (rc) return rc;
  for (unsigned i = 0; i < sv->n; i++) free(sv->children[i]);
  free(sv->children);
  free(sv->sentinels);
  free(sv->times);
  free(sv);
  return 0;
}

// ---- the beginning ----

int shoal_supervisor_create(const struct shoal_supervisor_options *options, struct shoal_supervisor **out) {
  struct shoal_supervisor_options o = options ? *options : (struct shoal_supervisor_options){0};
  if (o.strategy > SHOAL_REST_FOR_ONE) return shoal_fail_(-EINVAL, "strategy %d", (int)o.strategy);
  if (o.restarts_max > SHOAL_RESTARTS_MAX && o.restarts_max != SHOAL_RESTARTS_UNLIMITED)
    return shoal_fail_(-EINVAL, "%u restarts; at most %u", o.restarts_max, SHOAL_RESTARTS_MAX);
  if (o.restarts_within_ns < 0) return shoal_fail_(-EINVAL, "restarts within %lld ns", (long long)o.restarts_within_ns);
  if (!o.restarts_max) o.restarts_max = 1;
  if (!o.restarts_within_ns) o.restarts_within_ns = WITHIN_NS;
  struct shoal_supervisor *sv = calloc(1, sizeof *sv);
  int64_t *times = malloc((o.restarts_max <= SHOAL_RESTARTS_MAX ? o.restarts_max : 1) * sizeof *times);
  struct pollfd *sentinels = malloc(EXTRA * sizeof *sentinels);
  if (!sv || !times || !sentinels) {
    free(sv), free(times), free(sentinels);
    return shoal_fail_(-ENOMEM, "no memory for a supervisor");
  }
  *sv = (struct shoal_supervisor){.owner = getpid(),
                                  .strategy = o.strategy,
                                  .max = o.restarts_max,
                                  .within_ns = o.restarts_within_ns,
                                  .times = times,
                                  .sentinels = sentinels,
                                  .extra = {-1, -1}};
  *out = sv;
  return 0;
}

// ---- looking ----

int shoal_supervisor_info(struct shoal_supervisor *sv, struct shoal_supervisor_info *out) {
  int rc = check_owner(sv);
  if (rc) return rc;
  *out = (struct shoal_supervisor_info){.strategy = sv->strategy,
                                        .children = sv->n,
                                        .alive = alive(sv),
                                        .restarts = sv->restarts,
                                        .ending = sv->ending,
                                        .broken = sv->broken};
  memcpy(out->reason, sv->reason, sizeof out->reason);
  return 0;
}

static void tell(const struct child *c, struct shoal_supervised_info *out) {
  *out = (struct shoal_supervised_info){.state = c->is,
                                        .restart = c->spec.restart,
                                        .pid = c->is == SHOAL_CHILD_DOWN ? 0 : c->process.pid,
                                        .started_ns = c->started_ns,
                                        .restarts = c->restarts,
                                        .ends = c->ends,
                                        .last = c->last};
  memcpy(out->name, c->name, sizeof out->name);
}
int shoal_supervisor_child(struct shoal_supervisor *sv, const char *name, struct shoal_supervised_info *out) {
  struct child *c;
  int rc = seek(sv, name, &c);
  if (!rc) tell(c, out);
  return rc;
}
int shoal_supervisor_list(struct shoal_supervisor *sv, int (*each)(const struct shoal_supervised_info *, void *),
                          void *arg) {
  int rc = check_owner(sv);
  for (unsigned i = 0; i < sv->n && !rc; i++) {
    struct shoal_supervised_info info;
    tell(sv->children[i], &info);
    rc = each(&info, arg);
  }
  return rc;
}
