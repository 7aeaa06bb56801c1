// A child looks, and tells in rows. If it crashes, or is caught in what a scribbled segment has it do, another goes on
// behind the object that it was at.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/proc.h"
#include "tools/shoal/tool.h"

enum { PATIENCE_MS = 10000, HASTY_MS = 3000 };  // without a row

struct work {  // the child's
  const char *segment, *object;
  unsigned what;
  uint32_t from;  // the first object
  int pipe;
  struct shoal_segment *look;
  struct shoal_object_info *objects;
  size_t n, room;
};

// ---- in the child ----

static size_t length_of(const struct tool_row *row) {
  return offsetof(struct tool_row, field) + row->fields * sizeof row->field[0];
}

static void tell(const struct work *w, const struct tool_row *row) {
  const char *from = (const char *)row;
  for (size_t left = length_of(row); left;) {
    ssize_t n = write(w->pipe, from, left);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) _exit(0);  // nobody listens
    from += n, left -= (size_t)n;
  }
}

static struct tool_row *new_row(const struct work *w, uint32_t kind) {
  struct tool_row *row = calloc(1, sizeof *row);
  if (!row) _exit(1);
  row->kind = kind;
  snprintf(row->segment, sizeof row->segment, "%s", w->segment);
  return row;
}
static void say(struct tool_row *row, int rc) {
  row->error = rc;
  if (rc) snprintf(row->reason, sizeof row->reason, "%s", *shoal_reason() ? shoal_reason() : shoal_strerror(rc));
}
static void tell_and_free(const struct work *w, struct tool_row *row, int rc) {
  say(row, rc);
  tell(w, row);
  free(row);
}

static int lives(const struct work *w, const struct shoal_proc_info *p) {
  return p->alive && shoal_proc_alive(w->look, p->id, 1);
}
static int count_dead(const struct shoal_proc_info *p, void *arg) {
  uint64_t *dead = ((void **)arg)[1];
  *dead += !lives(((void **)arg)[0], p);
  return 0;
}

static void add_counters(struct tool_row *row, const struct shoal_counters *c) {
  tool_add(row, FIELD_COUNTER, "blocks", c->blocks);
  tool_add(row, FIELD_COUNTER, "wakes", c->wakes);
  tool_add(row, FIELD_COUNTER, "woken", c->woken);
  tool_add(row, FIELD_COUNTER, "claims", c->claims);
  tool_add(row, FIELD_COUNTER, "owner_deaths", c->owner_deaths);
  tool_add(row, FIELD_COUNTER, "skips", c->skips);
  tool_add(row, FIELD_COUNTER, "redeliveries", c->redeliveries);
  tool_add(row, FIELD_COUNTER, "reaps", c->reaps);
}

static int tell_segment(struct work *w) {
  struct shoal_segment_info i = {.size = 0};
  struct tool_row *row = new_row(w, ROW_SEGMENT);
  uint64_t dead = 0;
  int repairs = (w->what & LOOK_REPAIR) != 0;
  int rc = w->what & LOOK_FOR_GOOD ? shoal_segment_open(w->segment, NULL, &w->look)
                                   : shoal_segment_look(w->segment, &w->look);
  int open = rc == 0;
  if (open && !repairs) rc = shoal_segment_info(w->look, &i);
  else if (open && w->what & LOOK_SEGMENT) rc = tool_repair_segment(w->look, row);
  if (rc == 0 && !repairs) {
    shoal_proc_list(w->look, count_dead, (void *[]){w, &dead});
    tool_add(row, FIELD_BYTES, "size", i.size);
    tool_add(row, FIELD_BYTES, "size_max", i.size_max);
    tool_add(row, FIELD_BYTES, "used", i.used);
    tool_add(row, FIELD_NUMBER, "participants", i.participants);
    tool_add(row, FIELD_NUMBER, "participants_max", i.participants_max);
    tool_add(row, FIELD_NUMBER, "dead", dead);
    tool_add(row, FIELD_NUMBER, "objects", i.objects);
    tool_add(row, FIELD_NUMBER, "objects_max", i.objects_max);
    add_counters(row, &i.counters);
  }
  say(row, rc);
  if (rc && open && w->what & LOOK_FOR_GOOD) shoal_segment_close(w->look);  // before the parent ends us
  tell(w, row);
  free(row);
  return rc;
}

static int tell_participant(const struct shoal_proc_info *p, void *arg) {
  struct work *w = arg;
  struct tool_row *row = new_row(w, ROW_PARTICIPANT);
  memcpy(row->name, p->name, SHOAL_NAME_MAX);
  snprintf(row->type, sizeof row->type, "thread %u", p->tid);
  tool_add(row, FIELD_NUMBER, "pid", p->pid);
  tool_add(row, FIELD_NUMBER, "tid", p->tid);
  tool_add(row, FIELD_FLAG, "alive", (uint64_t)lives(w, p));
  add_counters(row, &p->counters);
  tell_and_free(w, row, 0);
  return 0;
}

static int note(const struct shoal_object_info *o, void *arg) {
  struct work *w = arg;
  if (*w->object && strcmp(o->name, w->object) != 0) return 0;
  if (w->n == w->room) {
    w->room = w->room ? 2 * w->room : 64;
    w->objects = realloc(w->objects, w->room * sizeof *w->objects);
    if (!w->objects) _exit(1);
  }
  w->objects[w->n++] = *o;
  return 0;
}

struct telling {
  struct work *w;
  const struct shoal_object_info *executor;
};
static int tell_worker(const struct shoal_executor_running *r, void *arg) {
  struct telling *t = arg;
  struct tool_row *row = new_row(t->w, ROW_WORKER);
  memcpy(row->name, t->executor->name, sizeof row->name);
  snprintf(row->type, sizeof row->type, "worker %u", r->worker + 1);
  tool_add(row, FIELD_NUMBER, "worker", r->worker + 1);
  tool_add(row, FIELD_NUMBER, "tid", r->tid);
  tool_add_text(row, FIELD_TEXT, "task", r->task);
  tool_add(row, FIELD_NUMBER, "jobs", r->jobs);
  tool_add(row, FIELD_NUMBER, "token", r->token);
  if (r->busy_ns >= 0) tool_add(row, FIELD_NUMBER, "busy_ns", (uint64_t)r->busy_ns);
  tell_and_free(t->w, row, 0);
  return 0;
}

static void tell_object(struct work *w, uint32_t i) {
  struct tool_row *row = new_row(w, ROW_BEGUN);
  row->index = i;
  memcpy(row->name, w->objects[i].name, sizeof row->name);
  memcpy(row->type, w->objects[i].type, sizeof row->type);
  row->size = w->objects[i].size;
  tell(w, row);
  row->kind = ROW_OBJECT;
  shoal_reason_clear();
  int rc = w->what & LOOK_REPAIR ? tool_repair(w->look, &w->objects[i], w->what & LOOK_LOCKS, row)
                                 : tool_view(w->look, &w->objects[i], row);
  if (rc) row->fields = 0;
  if (rc == 0 && w->what & LOOK_WORKERS)  // before its row: whatever comes of that is the object's
    tool_view_workers(w->look, &w->objects[i], tell_worker, &(struct telling){w, &w->objects[i]});
  tell_and_free(w, row, rc);
}

static void look(struct work *w) {
  struct rlimit none = {0, 0};
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setrlimit(RLIMIT_CORE, &none);
  if (!freopen("/dev/null", "w", stderr)) _exit(1);
  if (tell_segment(w)) _exit(0);
  if (w->what & LOOK_PARTICIPANTS) shoal_proc_list(w->look, tell_participant, w);
  if (w->what & LOOK_OBJECTS) shoal_object_list(w->look, note, w);
  for (uint32_t i = w->from; i < w->n; i++) tell_object(w, i);
  if (w->what & LOOK_FOR_GOOD) shoal_segment_close(w->look);  // it has been a user
  _exit(0);
}

// ---- in the parent ----

struct listening {
  unsigned what;
  tool_wait_fn *wait;  // NULL: by poll
  void *arg;
  uint32_t next;  // object
  int rc, error;  // of `each`; of the segment
  int ended, resumed, late;
  struct tool_row row, begun;
};

// A user of the segment is not ended for being slow: it waits for somebody, who may go on.
static int read_all(struct listening *l, int fd, void *to, size_t n) {
  for (char *at = to; n;) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int ms = l->late ? -1 : l->what & LOOK_HASTY ? HASTY_MS : PATIENCE_MS;
    int ready = l->wait ? l->wait(fd, ms, l->begun.kind == ROW_BEGUN ? &l->begun : NULL, l->arg) : poll(&p, 1, ms);
    if (ready == -ECANCELED) l->rc = ready;
    if (ready < 0 && !l->rc && errno == EINTR) continue;
    if (ready == 0) l->late = 1;
    if (ready == 0 && l->what & LOOK_FOR_GOOD) {
      fprintf(stderr, "shoal: %s is busy: waiting for who has it, perhaps a stopped process\n",
              l->begun.kind == ROW_BEGUN ? tool_clean(l->begun.name) : "the segment");
      continue;
    }
    ssize_t got = ready > 0 ? read(fd, at, n) : -1;
    if (got <= 0) return 0;
    at += got, n -= (size_t)got;
  }
  return 1;
}
static int read_row(struct listening *l, int fd) {
  struct tool_row *row = &l->row;
  l->late = 0;
  return read_all(l, fd, row, offsetof(struct tool_row, field)) && row->fields <= TOOL_FIELDS_MAX &&
         read_all(l, fd, row->field, row->fields * sizeof row->field[0]);
}

static void hear(struct listening *l, int (*each)(const struct tool_row *, void *), void *arg) {
  const struct tool_row *row = &l->row;
  if (row->kind == ROW_BEGUN) {
    l->begun = *row;
    return;
  }
  if (row->kind != ROW_WORKER) l->begun.kind = 0;  // else its object's own is still to come
  if (row->kind == ROW_SEGMENT && row->error) l->error = shoal_fail_(row->error, "%s", row->reason);
  else if (row->kind == ROW_OBJECT) l->next = row->index + 1, l->rc = each(row, arg);
  else if (row->kind == ROW_WORKER || (!l->resumed && (row->kind != ROW_SEGMENT || l->what & LOOK_SEGMENT)))
    l->rc = each(row, arg);
}

// The child has ended, or must. What it was at when it crashed is told as such.
static void judge(struct listening *l, pid_t pid, int (*each)(const struct tool_row *, void *), void *arg) {
  int status = 0;
  kill(pid, SIGKILL);  // no harm if it is over: it has not been waited for
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  int given_up = l->late && !(l->what & LOOK_FOR_GOOD);  // though it may have ended meanwhile
  l->ended = l->rc || l->error || (!given_up && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  if (l->ended) return;
  if (l->begun.kind != ROW_BEGUN) {
    l->error = shoal_fail_(-EPROTO, l->late ? "it is busy, or damaged: to look at it does not end"
                                            : "it is damaged, or was truncated: to look at it does not end well");
    return;
  }
  l->begun.kind = ROW_OBJECT;
  l->begun.error = -EPROTO;
  snprintf(l->begun.reason, sizeof l->begun.reason, "it is %s",
           l->late ? "busy, or damaged: to look at it does not end" : "damaged: to look at it does not end well");
  l->next = l->begun.index + 1;
  l->resumed = 1;
  l->rc = each(&l->begun, arg);
  l->begun.kind = 0;
}

static int look_from(struct listening *l, const char *segment, const char *object,
                     int (*each)(const struct tool_row *, void *), void *arg) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC)) return shoal_fail_(-errno, "pipe: %m");
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0)
    look(&(struct work){.segment = segment, .object = object, .what = l->what, .from = l->next, .pipe = ends[1]});
  int error = errno;
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return shoal_fail_(-error, "fork: %s", strerror(error));
  }
  while (!l->rc && !l->error && read_row(l, ends[0])) hear(l, each, arg);
  siginfo_t info;
  struct pollfd left = {.fd = ends[0], .events = POLLIN};
  if (!l->rc && !l->error && poll(&left, 1, 0) > 0 && left.revents == POLLHUP)  // its end: let it exit by itself
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) continue;
  close(ends[0]);
  judge(l, pid, each, arg);
  return l->error;
}

int tool_look(const char *segment, const char *object, unsigned what,
              int (*each)(const struct tool_row *row, void *arg), void *arg) {
  return tool_look_and(segment, object, what, each, NULL, arg);
}
int tool_look_and(const char *segment, const char *object, unsigned what,
                  int (*each)(const struct tool_row *row, void *arg), tool_wait_fn *wait, void *arg) {
  struct listening *l = calloc(1, sizeof *l);
  if (!l) return shoal_fail_(-ENOMEM, "private memory");
  int rc = 0;
  l->what = what, l->wait = wait, l->arg = arg;
  while (rc == 0 && !l->ended && !l->rc) rc = look_from(l, segment, object, each, arg);
  if (rc == 0) rc = l->rc;
  free(l);
  return rc;
}
