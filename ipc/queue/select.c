#include "ipc/queue/select.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/select_internal.h"

static int is_queue(const struct shoal_case *c) { return shoal_case_is_queue_(c); }
static int is_topic(const struct shoal_case *c) { return shoal_case_is_topic_(c); }
static int is_counted(const struct shoal_case *c) { return is_queue(c) || is_topic(c); }  // it has an eventcount
static int is_other(const struct shoal_case *c) { return c->kind == SHOAL_CASE_FD || c->kind == SHOAL_CASE_PROCESS; }
static int takes(const struct shoal_case *c) { return shoal_case_takes_(c); }
static struct shoal_eventcount_view *view_of(const struct shoal_case *c) {
  return is_topic(c) ? &c->topic->wait : &c->queue->wait;
}
static int side_of(const struct shoal_case *c) {
  switch (c->kind) {
    case SHOAL_CASE_GET:
    case SHOAL_CASE_READABLE:
    case SHOAL_CASE_RECV:
    case SHOAL_CASE_TOPIC_GET:
    case SHOAL_CASE_TOPIC_READABLE: return SHOAL_CONSUMER;
    default: return SHOAL_PRODUCER;
  }
}
// Which case is looked at in the k-th place.
static uint32_t at(const struct shoal_select_ *s, uint32_t k) {
  uint32_t i = s->first + k;
  return i < s->n ? i : i - s->n;
}

// ---- attempts ----

// The message is copied into a block only if it seems to go: the case may wait for long.
static int send_now(void *arg) {
  struct shoal_queue_op_ *op = arg;
  int large = op->size > SHOAL_MESSAGE_INLINE && op->q->overflow != SHOAL_OVERFLOW_DROP_OLDEST;
  int rc = large ? shoal_queue_would_put_(op) : 0;
  if (!rc) rc = shoal_message_prepare_(op);
  if (!rc) rc = op->q->attempt.send(op);
  if (rc) shoal_message_drop_(op);
  return rc;
}
static int recv_now(void *arg) {
  struct shoal_queue_op_ *op = arg;
  int rc = op->q->attempt.recv(op);
  if (rc == 0 || rc == -EMSGSIZE) *op->of->got = op->size, op->of->key = op->key;
  return rc;
}

typedef int (*attempt_fn)(void *op);
static attempt_fn attempt_of(const struct shoal_select_ *s, const struct shoal_case *c) {
  int gets = side_of(c) == SHOAL_CONSUMER, looks = s->only_look || !takes(c);
  if (is_topic(c) && looks) return gets ? shoal_topic_would_get_ : shoal_topic_would_publish_;
  if (is_topic(c)) return gets ? shoal_topic_get_once_ : shoal_topic_publish_once_;
  if (looks) return gets ? shoal_queue_would_get_ : shoal_queue_would_put_;
  if (shoal_case_is_bytes_(c)) return gets ? recv_now : send_now;
  return gets ? c->queue->attempt.get : c->queue->attempt.put;
}
static void op_of(const struct shoal_select_ *s, struct shoal_case *c, uint32_t me, union shoal_select_op_ *op) {
  if (is_topic(c)) {
    op->topic = (struct shoal_topic_op_){.t = c->topic, .me = me, .in = c->element, .out = c->element};
    return;
  }
  op->queue = (struct shoal_queue_op_){.q = c->queue,
                                       .me = me,
                                       .deadline = s->deadline,
                                       .in = c->element,
                                       .out = c->element,
                                       .size = c->size,
                                       .room = c->size,
                                       .key = c->key,
                                       .of = c};
}
// list_op_pending stays there until the next one: it is restored when the select ends.
static void point_at(const struct shoal_case *c) {
  if (is_counted(c)) shoal_pending_set_(&shoal_thread_, &view_of(c)->shm->bell);
  else if (c->kind == SHOAL_CASE_EVENT) shoal_pending_set_(&shoal_thread_, &c->event->half[0]);
  else if (c->kind == SHOAL_CASE_ACQUIRE) shoal_pending_set_(&shoal_thread_, &c->semaphore->gate);
}
// What it takes stays in its hands beyond the call: who sleeps there watches it.
static int keeps(const struct shoal_case *c) {
  return is_queue(c) && takes(c) && side_of(c) == SHOAL_CONSUMER && (c->queue->joinable || c->queue->leased);
}
static int role_of(const struct shoal_case *c) {
  return is_topic(c) ? shoal_topic_mine_(c->topic, side_of(c)) : shoal_role_mine(&c->queue->wait, side_of(c));
}
// A queue with a lock, beside other cases, and a topic: who stands inside may be stopped there, so it is waited for as
// long as those inside need, and no longer. It is looked at again soon.
#define INSIDE_NS INT64_C(5000000)
static int has_lock(const struct shoal_select_ *s, const struct shoal_case *c) {
  return s->n > 1 && is_queue(c) && c->queue->ordered.shm != NULL;
}
static int can_be_barred(const struct shoal_select_ *s, const struct shoal_case *c) {
  return is_topic(c) ? s->n > 1 || s->can_sleep : has_lock(s, c);
}
static shoal_deadline inside(const struct shoal_select_ *s) {
  shoal_deadline soon = shoal_after_ns(INSIDE_NS);
  return s->can_sleep && !shoal_deadline_is_try(s->deadline) && s->deadline.ns < soon.ns ? s->deadline : soon;
}
static int bar(struct shoal_select_ *s, int rc) {
  if (rc != -ETIMEDOUT) return rc;
  s->barred = 1;
  return -EAGAIN;
}
static int try_locked(struct shoal_select_ *s, attempt_fn attempt, struct shoal_queue_op_ *op) {
  op->deadline = inside(s);
  return attempt(op);
}
// -ETIMEDOUT: barred, which ends a settling before it adopts who is dead there, only to leave him and to tell all who
// sleep.
static int try_source(void *op) {
  union shoal_source_ *source = SHOAL_EMBEDS(op, union shoal_source_, queue.op);
  return try_locked(source->queue.select, source->queue.attempt, op);
}
static int try_topic(void *op) {
  const union shoal_source_ *source = SHOAL_EMBEDS(op, union shoal_source_, queue.op);
  int rc = source->queue.attempt(op);
  return rc == -EAGAIN && shoal_topic_group_is_barred_(source->queue.op.topic.t) ? -ETIMEDOUT : rc;
}
static int try_counted(struct shoal_select_ *s, struct shoal_case *c) {
  union shoal_select_op_ op;
  int me = role_of(c);
  if (me < 0) return s->n == 1 && !s->can_sleep ? me : bar(s, me);
  op_of(s, c, (uint32_t)me, &op);
  point_at(c);
  if (keeps(c) && !s->only_look) shoal_role_hold(&c->queue->wait, (uint32_t)me);
  return has_lock(s, c) ? bar(s, try_locked(s, attempt_of(s, c), &op.queue)) : attempt_of(s, c)(&op);
}
static int try_permit(const struct shoal_select_ *s, const struct shoal_case *c, struct shoal_semaphore_op_ *op) {
  point_at(c);
  return (s->only_look ? shoal_semaphore_look_ : shoal_semaphore_attempt_)(op);
}

static int open_process(const struct shoal_case *c, uint32_t i, struct pollfd *fd) {
  fd->events = POLLIN;
  fd->fd = (int)syscall(SYS_pidfd_open, c->fd, 0);
  if (fd->fd >= 0 || errno == ESRCH) return 0;
  if (errno == EINVAL) return shoal_fail_(-EINVAL, "case %u: %d is a thread, not a process", i, c->fd);
  return shoal_fail_(errno == ENOSYS ? -ENOSYS : errno == ENOMEM ? -ENOMEM : -ENOSPC, "case %u: pidfd_open: %m", i);
}
static int open_others(struct shoal_select_ *s) {
  int rc = 0;
  for (uint32_t i = 0; i < s->n; i++) {
    const struct shoal_case *c = &s->cases[i];
    s->fds[i] = (struct pollfd){.fd = c->kind == SHOAL_CASE_FD ? c->fd : -1, .events = c->events};
    if (c->kind == SHOAL_CASE_PROCESS && rc == 0) rc = open_process(c, i, &s->fds[i]);
  }
  s->opened = 1;
  return rc;
}
static void close_others(struct shoal_select_ *s) {
  for (uint32_t i = 0; i < s->n; i++)
    if (s->cases[i].kind == SHOAL_CASE_PROCESS && s->fds[i].fd >= 0) close(s->fds[i].fd);
}
// All at once, once a round.
static int try_other(struct shoal_select_ *s, uint32_t i) {
  int rc = s->opened ? 0 : open_others(s);
  if (rc == 0 && !s->polled) poll(s->fds, s->n, 0), s->polled = 1;
  if (rc) return rc;
  if (s->cases[i].kind == SHOAL_CASE_PROCESS) return s->fds[i].fd < 0 || s->fds[i].revents ? 0 : -EAGAIN;
  if (s->fds[i].revents & POLLNVAL) return shoal_fail_(-EINVAL, "case %u: descriptor %d is not open", i, s->fds[i].fd);
  return s->fds[i].revents ? s->fds[i].revents : -EAGAIN;
}

// What is neither a queue, nor an event or a semaphore. A case's answers are 0 or more, -EAGAIN, or an error.
static int try_rest(struct shoal_select_ *s, uint32_t i) {
  const struct shoal_case *c = &s->cases[i];
  if (is_other(c)) return try_other(s, i);
  if (c->kind == SHOAL_CASE_WORD) return c->source->look(c->element);
  return c->kind == SHOAL_CASE_TIME && shoal_deadline_passed(c->at) ? 0 : -EAGAIN;
}

// ---- a round: each case once, in turn. The answer of the call: an index, -EAGAIN, or an error ----

static int answer(struct shoal_select_ *s, uint32_t i, int rc) {
  const struct shoal_case *c = &s->cases[i];
  int is_its =
      (rc == -EPIPE && is_counted(c)) || (rc == -EMSGSIZE && c->kind == SHOAL_CASE_RECV) || c->kind == SHOAL_CASE_WORD;
  if (rc < 0 && !is_its) return rc;
  s->cases[i].result = rc;
  if (!s->only_look) s->cases[0].turn_ = i + 1;
  return (int)i;
}

// Nothing to get at a glance. Who finds nothing anywhere looks at all of them once more, and closely.
static int is_bare(const struct shoal_case *c) {
  const struct shoal_queue *q = c->queue;
  return q->gets == SHOAL_QUEUE_MPMC && side_of(c) == SHOAL_CONSUMER && shoal_mpmc_looks_empty(&q->ring);
}

static int try_once(struct shoal_select_ *s, uint32_t i) {
  struct shoal_case *c = &s->cases[i];
  struct shoal_semaphore_op_ permit = {.s = c->semaphore};
  if (is_counted(c)) return try_counted(s, c);
  if (c->kind == SHOAL_CASE_EVENT) return shoal_event_is_set(c->event) ? 0 : -EAGAIN;
  return c->kind == SHOAL_CASE_ACQUIRE ? try_permit(s, c, &permit) : try_rest(s, i);
}
static int first_round(struct shoal_select_ *s) {
  s->polled = 0;
  for (uint32_t k = 0; k < s->n; k++) {
    uint32_t i = at(s, k);
    if (is_queue(&s->cases[i]) && is_bare(&s->cases[i])) continue;
    int rc = try_once(s, i);
    if (rc != -EAGAIN) return answer(s, i, rc);
  }
  return -EAGAIN;
}

// Who has its sources already.
static int round_of(struct shoal_select_ *s, int rest_too) {
  s->polled = 0;
  for (uint32_t k = 0; k < s->n; k++) {
    uint32_t i = at(s, k);
    const struct shoal_case *c = &s->cases[i];
    union shoal_source_ *source = &s->sources[i];
    int rc = -EAGAIN;
    if (is_counted(c)) {
      point_at(c);
      rc = source->queue.sleeper.attempt(source->queue.sleeper.op);
      if (can_be_barred(s, c)) rc = bar(s, rc);
    } else if (c->kind == SHOAL_CASE_EVENT) {
      rc = shoal_event_look_(&source->event);
    } else if (c->kind == SHOAL_CASE_ACQUIRE) {
      rc = try_permit(s, c, &source->permit.op);
    } else if (rest_too) {
      rc = try_rest(s, i);
    }
    if (rc != -EAGAIN) return answer(s, i, rc);
  }
  return -EAGAIN;
}

// ---- sources ----

static int add_queue(struct shoal_select_ *s, uint32_t i) {
  struct shoal_case *c = &s->cases[i];
  union shoal_source_ *source = &s->sources[i];
  int me = role_of(c);
  if (me < 0) return me;
  op_of(s, c, (uint32_t)me, &source->queue.op);
  source->queue.select = s;
  source->queue.attempt = attempt_of(s, c);
  source->queue.sleeper = (struct shoal_sleeper_){.view = view_of(c),
                                                  .attempt = !can_be_barred(s, c) ? source->queue.attempt
                                                             : is_topic(c)        ? try_topic
                                                                                  : try_source,
                                                  .op = &source->queue.op,
                                                  .side = side_of(c),
                                                  .me = (uint32_t)me,
                                                  .deadline = s->deadline,
                                                  .can_sleep = s->can_sleep};
  s->queue_at[s->queues++] = (uint8_t)i;
  point_at(c);
  if (s->can_sleep) shoal_role_hold(view_of(c), (uint32_t)me);
  return 0;
}

static int add_event(struct shoal_select_ *s, uint32_t i) {
  s->event_at[s->events++] = (uint8_t)i;
  return shoal_event_begin_(&s->sources[i].event, s->cases[i].event);
}

static int add_permit(struct shoal_select_ *s, uint32_t i) {
  struct shoal_select_permit_ *permit = &s->sources[i].permit;
  s->permit_at[s->permits++] = (uint8_t)i;
  permit->n = 0;
  return shoal_semaphore_begin_(&permit->op, s->cases[i].semaphore);
}

// -ETIMEDOUT: a newcomer is barred from a queue, where the only role left is a dead one's, by who is stopped inside.
// The next call goes on with that one.
static int add_sources(struct shoal_select_ *s) {
  int rc = 0;
  for (; s->added < s->n; s->added++) {
    uint32_t i = s->added;
    const struct shoal_case *c = &s->cases[i];
    if (is_counted(c)) rc = add_queue(s, i);
    else if (c->kind == SHOAL_CASE_EVENT) rc = add_event(s, i);
    else if (c->kind == SHOAL_CASE_ACQUIRE) rc = add_permit(s, i);
    else if (is_other(c)) s->others++;
    else if (c->kind == SHOAL_CASE_WORD) s->words_of_others++;
    else if (c->kind == SHOAL_CASE_TIME && c->at.ns < s->until.ns) s->until = c->at;
    if (rc) return rc;
  }
  s->words = 2 * (s->queues + s->events + s->permits) + (s->others != 0);
  return 0;
}

static struct shoal_sleeper_ *sleeper(struct shoal_select_ *s, uint32_t k) {
  return &s->sources[s->queue_at[k]].queue.sleeper;
}

static struct shoal_select_permit_ *permit(struct shoal_select_ *s, uint32_t k) {
  return &s->sources[s->permit_at[k]].permit;
}

// ---- arm, settle ----

// A queue in several cases is armed several times, and its event moves each time: all sleep on what it was last.
static void agree_on_events(struct shoal_select_ *s) {
  for (uint32_t k = 0; s->can_sleep && k < s->queues; k++)
    for (uint32_t later = k + 1; later < s->queues; later++)
      if (sleeper(s, later)->ev.word == sleeper(s, k)->ev.word) sleeper(s, k)->ev.value = sleeper(s, later)->ev.value;
}
// One fence for all that need it, when all are armed.
static void arm(struct shoal_select_ *s) {
  int fence = 0;
  s->woken = 0;
  for (uint32_t k = 0; k < s->queues; k++) {
    shoal_sleeper_arm_(sleeper(s, k));
    fence |= !sleeper(s, k)->fenced && !(sleeper(s, k)->view->flags & SHOAL_EC_EXCHANGE);
  }
  agree_on_events(s);
  for (uint32_t k = 0; s->can_sleep && k < s->events; k++) shoal_event_arm_(&s->sources[s->event_at[k]].event);
  for (uint32_t k = 0; s->can_sleep && k < s->permits; k++) shoal_semaphore_arm_(&permit(s, k)->op);
  if (fence) shoal_fence_all();  // [A1] of sync/eventcount.h
  for (uint32_t k = 0; k < s->queues; k++) sleeper(s, k)->fenced = 1;
}

// What is left of the words is shared out among those that come after; the order changes from call to call.
static int settle_queue(struct shoal_select_ *s, uint32_t i, uint32_t *used, uint32_t *left) {
  struct shoal_sleeper_ *sleeper = &s->sources[i].queue.sleeper;
  sleeper->witnesses = s->entries + *used;
  sleeper->room = (SHOAL_FUTEX_MANY - *used) / (*left > 1 ? *left : 1);
  sleeper->n = 0;
  --*left;
  point_at(&s->cases[i]);
  int barred = can_be_barred(s, &s->cases[i]);
  if (barred) sleeper->deadline = inside(s);
  int rc = shoal_sleeper_settle_(sleeper);
  *used += sleeper->n;
  return barred ? bar(s, rc) : rc;
}

// Of the permits as many as there is room for.
static int settle_permit(struct shoal_select_ *s, uint32_t i, uint32_t *used, uint32_t *left) {
  struct shoal_select_permit_ *p = &s->sources[i].permit;
  struct shoal_watch_ w;
  uint32_t room = (SHOAL_FUTEX_MANY - *used) / (*left > 1 ? *left : 1);
  int rc = try_permit(s, &s->cases[i], &p->op);
  while (rc == -EAGAIN && s->can_sleep && shoal_semaphore_watch_(&p->op, &w)) rc = try_permit(s, &s->cases[i], &p->op);
  --*left;
  if (rc != -EAGAIN || !s->can_sleep) return rc;
  memcpy(p->words, w.entries, sizeof p->words);
  p->from = *used;
  p->n = w.n - 2 < room ? w.n - 2 : room;
  memcpy(s->entries + p->from, w.entries + 2, p->n * sizeof *w.entries);
  *used += p->n;
  return -EAGAIN;
}

static int settle_word(struct shoal_select_ *s, uint32_t i, uint32_t *used, uint32_t *left) {
  const struct shoal_case *c = &s->cases[i];
  uint32_t room = (SHOAL_FUTEX_MANY - *used) / (*left > 1 ? *left : 1), n = 0;
  int rc;
  --*left;
  do rc = c->source->look(c->element);
  while (rc == -EAGAIN && s->can_sleep && !(n = c->source->arm(c->element, s->entries + *used, room, &s->soon)));
  *used += n;
  s->more += n;
  return rc;
}

static int settle(struct shoal_select_ *s) {
  uint32_t used = s->words, left = s->queues + s->permits + s->words_of_others;
  s->polled = 0;
  s->more = 0;
  s->soon = SHOAL_FOREVER;
  s->barred = 0;
  for (uint32_t k = 0; k < s->n; k++) {
    uint32_t i = at(s, k);
    const struct shoal_case *c = &s->cases[i];
    int rc = is_counted(c)                   ? settle_queue(s, i, &used, &left)
             : c->kind == SHOAL_CASE_EVENT   ? shoal_event_look_(&s->sources[i].event)
             : c->kind == SHOAL_CASE_ACQUIRE ? settle_permit(s, i, &used, &left)
             : c->kind == SHOAL_CASE_WORD    ? settle_word(s, i, &used, &left)
                                             : try_rest(s, i);
    if (rc != -EAGAIN) return answer(s, i, rc);
  }
  if (s->barred) {
    shoal_deadline again = shoal_after_ns(INSIDE_NS);
    if (again.ns < s->soon.ns) s->soon = again;
  }
  return -EAGAIN;
}

static int must_arm_again(struct shoal_select_ *s) {
  int again = 0;
  for (uint32_t k = 0; k < s->queues; k++) again |= sleeper(s, k)->draining != sleeper(s, k)->armed_for_end;
  return again;
}

// ---- sleep ----

static uint32_t fill_in(struct shoal_select_ *s) {
  uint32_t n = s->words + s->more;
  for (uint32_t k = 0; k < s->queues; k++) {
    s->entries[k] = sleeper(s, k)->bell;  // all before the first event: sync/eventcount.h says why
    s->entries[s->queues + k] = sleeper(s, k)->ev;
    n += sleeper(s, k)->n;
  }
  for (uint32_t k = 0; k < s->events; k++)
    shoal_event_words_(&s->sources[s->event_at[k]].event, s->entries + 2 * (size_t)(s->queues + k));
  for (uint32_t k = 0; k < s->permits; k++) {
    memcpy(s->entries + 2 * (size_t)(s->queues + s->events + k), permit(s, k)->words, sizeof permit(s, k)->words);
    n += permit(s, k)->n;
  }
  return n;
}

static void after_sleep(struct shoal_select_ *s, int woke) {
  for (uint32_t k = 0; k < s->permits; k++) {  // first: list_op_pending is at the gate of the first one
    point_at(&s->cases[s->permit_at[k]]);
    shoal_semaphore_woken_(&permit(s, k)->op, s->late);
  }
  for (uint32_t k = 0; k < s->queues; k++) {
    struct shoal_sleeper_ *q = sleeper(s, k);
    const struct shoal_futex_entry *by = s->entries + (woke > 0 ? woke : 0);
    int here = woke == (int)k || (by >= q->witnesses && by < q->witnesses + q->n);
    point_at(&s->cases[s->queue_at[k]]);
    shoal_sleeper_woken_(q, s->late ? SHOAL_WOKEN_LATE_ : here ? SHOAL_WOKEN_BY_DEATH_ : SHOAL_WOKEN_BY_EVENT_);
  }
  for (uint32_t k = 0; k < s->events; k++) {
    struct shoal_event_op_ *e = &s->sources[s->event_at[k]].event;
    shoal_event_look_(e);
    shoal_event_end_(e);
  }
}

static void sleep_in_futex(struct shoal_select_ *s) {
  int64_t now = shoal_now_ns();
  int64_t end = s->until.ns - now > SHOAL_RECHECK_NS ? now + SHOAL_RECHECK_NS : s->until.ns;
  uint32_t n = fill_in(s);
  int64_t due = s->soon.ns;
  for (uint32_t k = 0; k < s->queues; k++) {
    int64_t its = shoal_sleeper_due_(sleeper(s, k));
    if (its < due) due = its;
    shoal_add64_relaxed(&sleeper(s, k)->view->shm->counters.sleeps, 1);
  }
  if (due < end) end = due;
  // At a queue the roles are watched; a permit is for one, whose death nobody else would see.
  if (s->permits + s->events + s->queues)
    point_at(&s->cases[s->permits ? s->permit_at[0] : s->events ? s->event_at[0] : s->queue_at[0]]);
  int woke = shoal_futex_wait_many(s->entries, n, shoal_select_first_(s, n), (shoal_deadline){end});
  s->woken = woke >= 0;
  s->late = woke == -ETIMEDOUT && end != s->until.ns && end != due;
  if (s->woken || s->late) after_sleep(s, woke);
}

static void sleep_in_poll(struct shoal_select_ *s) {
  struct timespec ts;
  int64_t left = s->until.ns - shoal_now_ns();
  ts.tv_sec = left > 0 ? left / 1000000000 : 0;
  ts.tv_nsec = left > 0 ? left % 1000000000 : 0;
  ppoll(s->fds, s->opened ? s->n : 0, shoal_deadline_is_forever(s->until) ? NULL : &ts, NULL);
}

static int sleep_once(struct shoal_select_ *s) {
  int watched, rc;
  if (!s->queues && !s->events && !s->permits && !s->words_of_others) return sleep_in_poll(s), 0;
  if (!s->others) return sleep_in_futex(s), 0;
  rc = shoal_fds_watch_(s->fds, s->n, &s->entries[s->words - 1], &watched);
  if (rc) return rc;
  sleep_in_futex(s);
  shoal_fds_unwatch_(watched);
  return 0;
}

// Spins for about what a wake-up costs, however many there are to look at; the budget learns.
static int spin(struct shoal_select_ *s) {
  static __thread uint32_t budget = SHOAL_SPIN_MAX / 2;
  uint32_t most = budget < shoal_spin_max_ ? budget : shoal_spin_max_, cases = s->queues + s->events + s->permits;
  for (uint32_t looks = 0; cases && looks < most && !s->barred; looks += cases) {
    shoal_pause();
    int rc = round_of(s, 0);
    if (rc == -EAGAIN) continue;
    budget = shoal_spin_paid(budget, SHOAL_SPIN_MAX);
    return rc;
  }
  budget = shoal_spin_failed(budget);
  return -EAGAIN;
}

// Somebody may have woken this thread at any of the queues, and only one of them is told.
static void hand_on(struct shoal_select_ *s, int chosen) {
  for (uint32_t k = 0; k < s->queues; k++) {
    uint32_t i = s->queue_at[k];
    const struct shoal_case *c = &s->cases[i];
    if ((int)i == chosen && takes(c) && !s->only_look && c->result == 0) continue;
    point_at(c);
    shoal_sleeper_hand_on_(&s->sources[i].queue.sleeper);
  }
}

// Nobody counts on this thread meanwhile: it is not armed, or has looked since it was woken.
static int help(struct shoal_select_ *s) {
  for (uint32_t k = 0; s->words_of_others && s->can_sleep && k < s->n; k++) {
    const struct shoal_case *c = &s->cases[at(s, k)];
    if (c->kind == SHOAL_CASE_WORD && c->source->help && c->source->help(c->element)) return 1;
  }
  return 0;
}

static int wait_for_one(struct shoal_select_ *s, shoal_deadline deadline) {
  int rc = s->can_sleep ? spin(s) : -EAGAIN;
  s->woken = s->late = 0;
  while (rc == -EAGAIN) {
    if (!shoal_deadline_passed(deadline) && help(s)) {
      rc = round_of(s, 1);
      continue;
    }
    arm(s);
    rc = settle(s);
    if (rc != -EAGAIN) break;
    if (!s->can_sleep || shoal_deadline_passed(deadline)) return shoal_deadline_error(deadline);
    if (must_arm_again(s)) continue;
    rc = sleep_once(s);
    if (rc == 0) rc = round_of(s, 1);
  }
  if (s->woken) hand_on(s, rc);
  if (s->late && rc >= 0 && is_counted(&s->cases[rc]))
    shoal_add64_relaxed(&view_of(&s->cases[rc])->shm->counters.late, 1);
  return rc;
}

static uint32_t anywhere(uint32_t n) {
  static __thread uint32_t x;
  if (!x) x = shoal_self_()->tid * 2654435761u | 1;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return (uint32_t)((uint64_t)x * n >> 32);
}

static int run(struct shoal_select_ *s, shoal_deadline deadline) {
  int rc = first_round(s);
  if (rc != -EAGAIN) return rc;
  s->until = deadline;
  while ((rc = add_sources(s)) == -ETIMEDOUT) {
    if (!s->can_sleep || shoal_deadline_passed(deadline)) return shoal_deadline_error(deadline);
    rc = first_round(s);
    if (rc != -EAGAIN) return rc;
  }
  return rc ? rc : wait_for_one(s, deadline);
}

static void init(struct shoal_select_ *s, struct shoal_case *cases, uint32_t n, shoal_deadline deadline) {
  s->cases = cases;
  s->n = n;
  s->first = cases[0].turn_ ? cases[0].turn_ % n : anywhere(n);
  s->deadline = deadline;
  s->can_sleep = !shoal_deadline_is_try(deadline);
  s->only_look = s->opened = s->barred = 0;
  s->added = s->queues = s->events = s->permits = s->others = s->words_of_others = s->more = 0;
}

// All that are ready, `first` among them.
static int count_ready(struct shoal_select_ *s, int first) {
  int n = 0, result = s->cases[first].result;
  s->polled = 0;
  for (uint32_t i = 0; i < s->n; i++) {
    int rc = try_once(s, i);
    s->cases[i].ready = i == (uint32_t)first || (rc != -EAGAIN && answer(s, i, rc) >= 0);
    n += (int)s->cases[i].ready;
    if (i == (uint32_t)first && (rc == -EAGAIN || answer(s, i, rc) < 0)) s->cases[i].result = result;
  }
  return n;
}

static int call(struct shoal_case *cases, uint32_t n, shoal_deadline deadline, int only_look) {
  struct shoal_select_ s;  // not zeroed: of most of it a call that need not sleep makes no use
  int rc = shoal_select_check_(cases, n);
  if (rc) return rc;
  init(&s, cases, n, deadline);
  s.only_look = only_look;
  void *pending = shoal_self_()->head->pending;
  rc = run(&s, deadline);
  if (only_look && rc >= 0) rc = count_ready(&s, rc);
  shoal_pending_restore_(&shoal_thread_, pending);
  if (s.opened) close_others(&s);
  return rc;
}
int shoal_select(struct shoal_case *cases, uint32_t n, shoal_deadline deadline) { return call(cases, n, deadline, 0); }
int shoal_select_ready(struct shoal_case *cases, uint32_t n, shoal_deadline deadline) {
  return call(cases, n, deadline, 1);
}

// ---- for a thread that sleeps in the caller's stead: select_loop.c ----

static int check_for_loop(const struct shoal_case *cases, uint32_t n) {
  int rc = shoal_select_check_(cases, n);
  if (rc == 0 && n == SHOAL_SELECT_MAX) return shoal_fail_(-EINVAL, "%u cases: one less at most", n);
  for (uint32_t i = 0; i < n && rc == 0; i++)
    if (is_other(&cases[i]) || cases[i].kind == SHOAL_CASE_TIME)
      rc = shoal_fail_(-EINVAL, "case %u: descriptors and times are the loop's own", i);
  return rc;
}

static int look_and_arm(struct shoal_select_ *s) {
  int rc = first_round(s);
  if (rc == -EAGAIN) {
    s->until = SHOAL_FOREVER;
    int added = add_sources(s);
    if (added) return added;
    s->words++;  // the caller's
    do {
      arm(s);
      rc = settle(s);
    } while (rc == -EAGAIN && must_arm_again(s));
  }
  return rc;
}

int shoal_select_prepare_(struct shoal_select_ *s, struct shoal_case *cases, uint32_t n, uint32_t *words) {
  int rc = check_for_loop(cases, n);
  if (rc) return rc;
  init(s, cases, n, SHOAL_TRY);
  s->can_sleep = s->only_look = 1;
  void *pending = shoal_self_()->head->pending;
  rc = look_and_arm(s);
  shoal_pending_restore_(&shoal_thread_, pending);
  if (rc == -EAGAIN) *words = fill_in(s);
  return rc;
}

void shoal_select_woken_(struct shoal_select_ *s, int woke) {
  void *pending = shoal_self_()->head->pending;
  s->woken = woke >= 0;
  s->late = woke == -ETIMEDOUT;
  if (s->woken || s->late) after_sleep(s, woke);
  if (s->woken) hand_on(s, -1);
  shoal_pending_restore_(&shoal_thread_, pending);
}
