#include "examples/copy_tree/crew.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/copy_tree/dir.h"
#include "ipc/work/task.h"

#define WAIT_MS 5          // the walker sleeps no longer, and looks after the workers so often
#define CHAOS_EVERY_MS 50  // --chaos: a kill
#define UNITS 64u          // waiting
#define RESULTS 16u
#define DELIVERIES_MAX 200u  // a unit that so many workers died with is what kills them

// What workers have from the fork.
static struct shoal_queue *results;
static struct trees trees;
static const struct job *job;

// ---- in the workers ----

static int send_result(const struct unit *u) {
  struct shoal_loan loan;
  const struct state *s = &u->state[u->now & 1];
  int rc = shoal_queue_reserve(results, &loan, SHOAL_FOREVER);
  if (rc) return rc;
  struct result *r = loan.data;
  *r = (struct result){.id = u->id, .dir = u->dir, .work = u->work, .large = u->large};
  r->tally = s->tally;
  r->failures = s->failures;
  memcpy(r->failure, u->failures, s->failures);
  return shoal_queue_commit(results, &loan);
}

SHOAL_TASK(copy_unit, struct unit) {
  unit_do(arg, &trees, job);
  return send_result(arg);
}

static void given_up(void *arg, const struct shoal_failure *failure, void *element) {
  (void)arg;
  if (failure->code != -ENOTRECOVERABLE) return;
  unit_give_up(element);
  if (send_result(element)) return;  // nobody takes results any more
}

// ---- in the walker ----

static int say(int rc, const char *what) {
  if (rc < 0) fprintf(stderr, "copy_tree: %s: %s: %s\n", what, shoal_strerror(rc), shoal_reason());
  return rc;
}

// Whether this unit's result comes for the first time.
static int first_time(struct crew *c, uint64_t unit) {
  if (unit >= c->seen_room) {
    uint64_t room = unit * 2 + 1024;
    unsigned char *seen = realloc(c->seen, room);
    if (!seen) return say(shoal_fail_(-ENOMEM, "%llu units", (unsigned long long)unit), "results");
    memset(seen + c->seen_room, 0, room - c->seen_room);
    c->seen = seen;
    c->seen_room = room;
  }
  return c->seen[unit] ? 0 : (c->seen[unit] = 1);
}

static int take(struct crew *c, const struct result *r) {
  int first = first_time(c, r->id);
  if (first < 0) return first;
  c->received += (uint64_t)first;
  c->f->redelivered += !first;
  return first ? c->take(c->arg, r) : 0;
}

// 1: one was there; 0: none; <0 an error.
static int drain(struct crew *c, shoal_deadline deadline) {
  struct shoal_loan loan;
  int rc = shoal_queue_receive(c->results, &loan, deadline);
  if (rc) return rc == -EAGAIN || rc == -ETIMEDOUT ? 0 : say(rc, "results");
  rc = take(c, loan.data);
  if (!rc) rc = say(shoal_queue_release(c->results, &loan), "results");
  return rc ? rc : 1;
}

static int tend(struct crew *c) {
  if (!shoal_deadline_passed(c->next_tend)) return 0;
  c->next_tend = shoal_after_ms(WAIT_MS);
  c->tick(c->arg);
  int rc = shoal_pool_tend(c->pool, SHOAL_TRY);
  return rc < 0 ? say(rc, "workers") : 0;
}

static void chaos(struct crew *c) {
  struct shoal_worker_info info;
  if (!c->job->chaos || !shoal_deadline_passed(c->next_kill)) return;
  c->next_kill = shoal_after_ms(CHAOS_EVERY_MS);
  if (shoal_pool_worker(c->pool, (unsigned)random() % c->job->workers, &info) || info.pid <= 0) return;
  if (kill(info.pid, SIGKILL) == 0) c->f->kills++;
}

static int step(struct crew *c, shoal_deadline deadline) {
  int rc = drain(c, deadline);
  while (rc == 1) rc = drain(c, SHOAL_TRY);
  if (!rc) rc = tend(c);
  chaos(c);
  return rc ? rc : interrupted ? -EINTR : 0;
}

int crew_send(struct crew *c, const struct unit *u) {
  struct shoal_loan loan;
  int rc = step(c, SHOAL_TRY);
  while (!rc && (rc = shoal_queue_reserve(c->units, &loan, SHOAL_TRY)) == -EAGAIN)
    rc = step(c, shoal_after_ms(WAIT_MS));
  if (rc) return rc == -EINTR ? rc : say(rc, "units");
  struct unit *to = loan.data;
  memcpy(to, u, offsetof(struct unit, names) + u->used);
  to->id = c->sent++;
  return say(shoal_queue_commit(c->units, &loan), "units");
}

int crew_settle(struct crew *c) {
  int rc = 0;
  while (!rc && c->received < c->sent) rc = step(c, shoal_after_ms(WAIT_MS));
  return rc;
}

int crew_stop(struct crew *c) {
  int rc = say(shoal_pool_close(c->pool), "workers");
  while (!rc && (rc = shoal_pool_join(c->pool, SHOAL_TRY)) == -EAGAIN)
    if ((rc = drain(c, shoal_after_ms(1))) > 0) rc = 0;
  return rc;
}

static int queue(struct shoal_segment *seg, const char *name, uint32_t capacity, uint32_t size,
                 struct shoal_queue **out) {
  const struct shoal_queue_options o = {.capacity = capacity, .element_size = size};
  return say(shoal_queue_create(seg, name, &o, out), name);
}

// Workers may all be dead at a time. The results stay open for those who come: this process is a producer, too.
int crew_start(struct crew *c, struct shoal_segment *seg) {
  int rc = queue(seg, "units", UNITS, sizeof(struct unit), &c->units);
  if (!rc) rc = queue(seg, "results", RESULTS, sizeof(struct result), &c->results);
  if (!rc) rc = say(shoal_queue_join(c->results, SHOAL_PRODUCER), "results");
  if (!rc) rc = say(shoal_queue_join(c->results, SHOAL_CONSUMER), "results");
  if (rc) return rc;
  results = c->results;
  job = c->job;
  trees = trees_at_root(seg, job->from, job->to);
  c->next_kill = shoal_after_ms(CHAOS_EVERY_MS);
  const struct shoal_pool_options o = {.task = "copy_unit",
                                       .queue = c->units,
                                       .workers = job->workers,
                                       .deliveries_max = DELIVERIES_MAX,
                                       .failed = given_up};
  return say(shoal_pool_create(seg, &o, &c->pool), "workers");
}

void crew_free(struct crew *c) {
  struct shoal_pool_info info;
  if (c->pool && shoal_pool_info(c->pool, &info) == 0) c->f->restarts += info.restarts;
  if (c->pool) shoal_pool_destroy(c->pool);
  if (c->units) shoal_queue_detach(c->units);
  if (c->results) shoal_queue_detach(c->results);
  free(c->seen);
}
