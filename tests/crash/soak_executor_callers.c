// tests/crash/soak_executor_callers.c: the callers of soak_executor.c, and their jobs: what they ask for, what they are
// told, and that the ledger explains it.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/select.h"
#include "ipc/work/map.h"
#include "tests/crash/soak.h"
#include "tests/crash/soak_executor.h"

#define WINDOW 12u
#define MANY 24u
#define BYTES_MAX 3000u

enum { PLAIN, SLOW, FAILS, LONG, NESTS };  // job.kind
struct job {
  uint32_t place, in, out, kind;
  uint32_t second;  // of the job after it, whose place is the next: its result
};
struct large {
  struct job job;
  uint32_t more[60];
};
struct bytes {  // some of it
  struct job job;
  char more[BYTES_MAX];
};

static struct table *t;
static struct shoal_segment *seg;
void callers_begin(struct table *shared, struct shoal_segment *segment) { t = shared, seg = segment; }

// ---- the ledger ----

// The first of n.
static uint32_t new_places(uint32_t era, uint32_t n) {
  uint64_t place = __atomic_fetch_add(&t->next, n, __ATOMIC_SEQ_CST) % (PLACES - n);  // full() ends the round before
  for (uint32_t i = 0; i < n; i++) t->record[place + i].era = era;
  return (uint32_t)place;
}
static uint32_t new_place(uint32_t era) { return new_places(era, 1); }
static struct job new_job(uint32_t era) {
  static const uint32_t kinds[] = {PLAIN, PLAIN, PLAIN, SLOW, FAILS, NESTS, NESTS, LONG};
  uint32_t kind = kinds[soak_below(8)];
  if (kind == LONG && soak_below(8)) kind = PLAIN;
  struct job j = {new_places(era, 2), soak_below(1000), 0, kind, 0};
  if (kind == FAILS) t->record[j.place].flags = FAILING;
  return j;
}
static uint32_t answer_of(uint32_t in) { return 3 * in + 1; }
static void flag(uint32_t place, uint8_t what) { __atomic_fetch_or(&t->record[place].flags, what, __ATOMIC_SEQ_CST); }
static const struct era *era_of(uint32_t place) { return &t->era[t->record[place].era]; }

static void expect_failure(uint32_t place, const struct shoal_failure *f) {
  const struct record *r = &t->record[place];
  switch (f->code) {
    case -EDOM:  // or the one before it did
      SOAK_EXPECT(r[r->flags & SECOND ? -1 : 0].ended, "job %u failed by itself, and has not ended", place);
      break;
    case -ENOSPC: break;  // for what a job of bytes replies
    case -ETIMEDOUT: SOAK_EXPECT(era_of(place)->limited, "job %u has a time limit", place); break;
    case -ENOTRECOVERABLE:
      SOAK_EXPECT(!era_of(place)->retries || f->attempt > RETRIES || era_of(place)->fate == TERMINATED,
                  "job %u fell with its worker, attempt %u", place, f->attempt);
      break;
    default: soak_fault("job %u failed with %d (%s)", place, f->code, f->message);
  }
}
// What somebody was told of the end of a job.
static void ended(uint32_t place, int rc, const struct shoal_failure *f) {
  struct record *r = &t->record[place];
  uint8_t is = rc == 0 ? DONE : rc == -ECANCELED ? CANCELLED : FAILED, was = 0;
  if (!__atomic_compare_exchange_n(&r->end, &was, is, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
    SOAK_EXPECT(was == is, "job %u ended as %u, and as %u", place, was, is);
  if (is == DONE) SOAK_EXPECT(r->ended, "job %u is done, and has not ended", place);
  if (is == FAILED && f) expect_failure(place, f);
}
static void expect_answer(const struct job *j) {
  SOAK_EXPECT(j->out == answer_of(j->in), "job %u: %u of %u", j->place, j->out, j->in);
}
// 1: the job is over, and that is in the ledger.
static int told(uint32_t place, int rc, const struct shoal_failure *f) {
  if (rc == 0 || rc == -EREMOTEIO || rc == -ECANCELED) return ended(place, rc, f), 1;
  SOAK_EXPECT(soak_gave_up(rc) || rc == -EPIPE, "job %u: get answered %d (%s)", place, rc, shoal_reason());
  return 0;
}

// ---- tasks ----

static void nest(uint32_t era);
static int run(struct job *j) {
  struct record *r = &t->record[j->place % PLACES];
  if (__atomic_fetch_add(&r->begun, 1, __ATOMIC_SEQ_CST) && !era_of(j->place)->retries)
    __atomic_fetch_add(&t->twice, 1, __ATOMIC_SEQ_CST);
  SOAK_EXPECT(!(r->flags & UNBEGUN), "job %u was cancelled, and begins", j->place);
  if (j->kind == SLOW) soak_pause_us(soak_below(300));
  if (j->kind == LONG) soak_pause_us(10000);
  if (j->kind == NESTS) nest(r->era);
  j->out = answer_of(j->in);
  __atomic_fetch_add(&r->ended, 1, __ATOMIC_SEQ_CST);
  __atomic_fetch_add(&t->done, 1, __ATOMIC_SEQ_CST);
  return j->kind == FAILS ? shoal_task_fail(-EDOM, "as asked") : 0;
}
SHOAL_TASK(small_job, struct job) { return run(arg); }
SHOAL_TASK(large_job, struct large) { return run(&arg->job); }
// After small_job, on what that came to; run again, it finds its argument as it was, but for the answer.
SHOAL_TASK(second_job, struct job) {
  struct job j = {arg->place + 1, arg->out, 0, PLAIN, 0};
  int rc = run(&j);
  arg->second = j.out;
  return rc;
}
// Replies what it was given, with the answer; on the way to that, the half of it.
SHOAL_BYTES_TASK(bytes_job) {
  struct job j;
  void *out;
  memcpy(&j, arg->data, sizeof j);
  int rc = soak_below(2) ? shoal_bytes_reply(arg, arg->size / 2, &out) : 0;
  if (!rc) rc = shoal_bytes_reply(arg, arg->size, &out);
  if (rc) return rc;
  memcpy(out, arg->data, arg->size);
  rc = run(&j);
  memcpy(out, &j, sizeof j);
  return rc;
}
struct indices {
  struct shoal_range range;
  uint32_t first;
};
SHOAL_TASK(index_job, struct indices) {
  for (uint64_t i = arg->range.begin; i < arg->range.end; i++)
    run(&(struct job){.place = arg->first + (uint32_t)i, .kind = i % 8 ? PLAIN : SLOW});
  return 0;
}

// A task that submits another, and waits for it.
static void nest(uint32_t era) {
  struct shoal_executor *ex = shoal_executor_current();
  struct job j = {new_place(era), soak_below(1000), 0, PLAIN, 0};
  struct shoal_future f;
  struct shoal_failure failure = {.code = 0};
  if (SHOAL_SUBMIT(ex, small_job, &j, &f)) return;  // no cell is free, or it was terminated
  flag(j.place, ACKED);
  int rc = shoal_future_get(&f, &j, sizeof j, &failure, SHOAL_FOREVER);
  if (told(j.place, rc, &failure) && rc == 0) expect_answer(&j);
  (void)shoal_future_release(&f);
}

// ---- callers ----

static struct held {
  struct shoal_future f;
  uint32_t place;
  uint32_t bytes;  // 0: it is a struct
  int is_large, given, is_second;
} held[WINDOW];
static uint32_t held_n;
static uint32_t era;  // that of this process
static struct shoal_executor *ex;

static int refused(int rc) {  // of a submit: 1: it is no more
  if (rc == -EPIPE) return 1;
  SOAK_EXPECT(soak_gave_up(rc) || rc == -ENOSPC || rc == -EUSERS, "submit answered %d (%s)", rc, shoal_reason());
  return 0;
}
static void drop(uint32_t i) {
  int rc = shoal_future_release(&held[i].f);
  SOAK_EXPECT(rc == 0 || (rc == -EINVAL && held[i].given), "release answered %d", rc);
  held[i] = held[--held_n];
}
static char filling(uint32_t place, uint32_t i) { return (char)(place + i); }
static int get_bytes(const struct held *h, struct job *j, struct shoal_failure *failure, shoal_deadline deadline) {
  struct bytes b;
  uint64_t size = 0;
  int rc = shoal_future_get_bytes(&h->f, &b, sizeof b, &size, failure, deadline);
  if (rc) return rc;
  SOAK_EXPECT(size == h->bytes, "job %u: %lu bytes, not %u", h->place, size, h->bytes);
  for (uint32_t i = 0; i < h->bytes - sizeof *j; i++)
    SOAK_EXPECT(b.more[i] == filling(h->place, i), "job %u: byte %u is another's", h->place, i);
  *j = b.job;
  return 0;
}
static int get(uint32_t i, shoal_deadline deadline) {
  struct large l;
  struct shoal_failure failure = {.code = 0};
  struct held *h = &held[i];
  int rc = h->bytes ? get_bytes(h, &l.job, &failure, deadline)
                    : shoal_future_get(&h->f, &l, h->is_large ? sizeof l : sizeof l.job, &failure, deadline);
  if (rc == -EINVAL && h->given) return held[i] = held[--held_n], 0;  // whom it was given to has released it
  if (rc == 0) expect_answer(&l.job);
  if (rc == 0 && h->is_second) SOAK_EXPECT(l.job.second == answer_of(l.job.out), "job %u: %u", h->place, l.job.second);
  if (told(h->place, rc, &failure)) drop(i);
  return rc;
}

static int submit_bytes(const struct job *j, uint32_t size, struct shoal_future *f) {
  struct bytes b = {.job = *j};
  for (uint32_t i = 0; i < size - sizeof *j; i++) b.more[i] = filling(j->place, i);
  return shoal_executor_submit_task(ex, &bytes_job_task_, &b, size, soak_deadline(), f);
}
static int submit(void) {
  struct large l = {.job = new_job(era)};
  struct held *h = &held[held_n];
  int nobody = soak_below(6) == 0, rc;
  *h = (struct held){.place = l.job.place, .is_large = soak_below(4) == 0};
  if (!h->is_large && soak_below(3) == 0) h->bytes = (uint32_t)sizeof l.job + 1 + soak_below(BYTES_MAX);
  struct shoal_future *f = nobody ? NULL : &h->f;
  if (h->bytes) rc = submit_bytes(&l.job, h->bytes, f);
  else if (h->is_large) rc = SHOAL_SUBMIT_UNTIL(ex, large_job, &l, soak_deadline(), f);
  else rc = SHOAL_SUBMIT_UNTIL(ex, small_job, &l.job, soak_deadline(), f);
  if (rc) return refused(rc);
  flag(l.job.place, ACKED);
  held_n += !nobody;
  return 0;
}
static void cancel(uint32_t i) {
  int force = soak_below(4) == 0, rc = shoal_future_cancel(&held[i].f, force ? SHOAL_FORCE : 0);
  if (rc == 0) flag(held[i].place, force ? FORCED : UNBEGUN);
  SOAK_EXPECT(rc == 0 || rc == -EALREADY || (rc == -EBUSY && !force) || (rc == -EINVAL && held[i].given),
              "cancel answered %d (%s)", rc, shoal_reason());
}
// A job that begins when this one is over; this one may be given up.
static int then(uint32_t i) {
  struct held *h = &held[held_n];
  uint32_t place = held[i].place + 1;
  if (held_n == WINDOW || held[i].is_large || held[i].bytes || held[i].is_second || held[i].given) return 0;
  if (t->record[place].flags) return 0;  // it has, or had, one
  *h = (struct held){.place = place, .is_second = 1};
  flag(place, SECOND);
  int nobody = soak_below(6) == 0, rc = SHOAL_THEN(&held[i].f, second_job, nobody ? NULL : &h->f);
  if (rc) return refused(rc);
  flag(place, ACKED);
  held_n += !nobody;
  if (soak_below(4) == 0) drop(i);
  return 0;
}

// Callbacks, of this process and executor.
static volatile uint32_t asked, called;
static int threaded;  // a thread calls them, also when nothing runs any more
static void call(const struct shoal_future *f, void *arg) {
  uint32_t place = (uint32_t)(uintptr_t)arg;
  struct shoal_failure failure = {.code = 0};
  int rc = shoal_future_get(f, NULL, 0, &failure, SHOAL_TRY);
  __atomic_fetch_add(&called, 1, __ATOMIC_SEQ_CST);
  if (rc == -EPIPE || rc == -ENOTRECOVERABLE) return;  // nothing runs any more
  if (rc != -EINVAL) (void)told(place, rc, &failure);  // else it was given up
  SOAK_EXPECT(!soak_gave_up(rc), "job %u is not over, and its callback is called", place);
}
static void on_done(uint32_t i) {
  int rc = shoal_future_on_done(&held[i].f, call, (void *)(uintptr_t)held[i].place);
  SOAK_EXPECT(rc == 0 || (rc == -EINVAL && held[i].given), "on_done answered %d (%s)", rc, shoal_reason());
  asked += rc == 0;
}
static int poll_callbacks(void) {
  int rc = shoal_executor_poll(ex, soak_deadline());
  return rc >= 0 || soak_gave_up(rc) ? 0 : refused(rc);
}

// As they complete: each once.
static void completed(void) {
  struct shoal_future f[WINDOW];
  struct shoal_completed c;
  uint32_t n = held_n, seen = 0;
  unsigned i;
  for (uint32_t k = 0; k < n; k++) f[k] = held[k].f;
  int rc = shoal_completed_begin(&c, f, n);
  SOAK_EXPECT(rc == 0, "completed_begin answered %d", rc);
  while ((rc = shoal_completed_next(&c, &i, soak_deadline())) == 0) {
    SOAK_EXPECT(i < n && !(seen >> i & 1), "future %u of %u is completed again", i, n);
    SOAK_EXPECT(i < n && shoal_future_done(&f[i]), "future %u of %u is completed, and not over", i, n);
    seen |= 1u << i;
  }
  if (rc == -ENOENT) SOAK_EXPECT(seen == (1u << n) - 1, "%x of %u are completed, and no more", seen, n);
  else SOAK_EXPECT(soak_gave_up(rc) || rc == -EPIPE, "completed_next answered %d (%s)", rc, shoal_reason());
  shoal_completed_end(&c);
}
static void select_one(void) {
  struct shoal_case cases[WINDOW];
  for (uint32_t i = 0; i < held_n; i++) cases[i] = shoal_on_future(&held[i].f);
  int rc = shoal_select(cases, held_n, soak_deadline());
  SOAK_EXPECT(rc >= 0 || soak_gave_up(rc), "select answered %d (%s)", rc, shoal_reason());
  if (rc < 0 || cases[rc].result == -EPIPE) return;
  SOAK_EXPECT(shoal_future_done(&held[rc].f), "select says %d, of a job that is not over", cases[rc].result);
  (void)get((uint32_t)rc, SHOAL_TRY);
}

static void wait_any(void) {
  struct shoal_future f[WINDOW];
  for (uint32_t i = 0; i < held_n; i++) f[i] = held[i].f;
  int rc = shoal_future_wait(f, held_n, soak_below(2) ? SHOAL_FIRST_DONE : SHOAL_FIRST_FAILED, soak_deadline());
  SOAK_EXPECT(rc >= 0 || soak_gave_up(rc) || rc == -EPIPE, "wait answered %d (%s)", rc, shoal_reason());
  for (uint32_t i = held_n; i-- && rc >= 0;)
    if (shoal_future_done(&held[i].f) == 1) (void)get(i, SHOAL_TRY);
}

// To another caller, who releases it, too.
static void give(uint32_t i) {
  if (held[i].is_second) return;
  held[i].given = 1;
  t->mail[soak_below(MAIL)] = shoal_future_token(&held[i].f) | (uint64_t)era << 52;
}
static void take(void) {
  uint64_t mail = __atomic_exchange_n(&t->mail[soak_below(MAIL)], 0, __ATOMIC_SEQ_CST);
  struct shoal_future f;
  struct job j;
  if (mail >> 52 != era || shoal_future_open(ex, mail & ((UINT64_C(1) << 52) - 1), &f)) return;
  int rc = shoal_future_get(&f, &j, sizeof j, NULL, soak_deadline());
  if (rc == 0) ended(j.place, 0, NULL), expect_answer(&j);  // -EBADMSG: it is a large one
  (void)shoal_future_release(&f);
}

static int apply(void) {
  struct job j = new_job(era);
  struct shoal_failure failure = {.code = 0};
  int rc = SHOAL_APPLY(ex, small_job, &j, &failure, soak_deadline());
  if (rc == -EREMOTEIO || rc == -ECANCELED || rc == 0) ended(j.place, rc, &failure);
  else return refused(rc);
  if (rc == 0) expect_answer(&j);
  return 0;
}
static void map_over(struct shoal_map *m, void *arg) {
  SOAK_EXPECT(threaded || shoal_map_ready(m) == 1, "a map is not over, and its callback is called");
  __atomic_fetch_add((uint32_t *)arg, 1, __ATOMIC_SEQ_CST);
}
// With a callback, which runs once, or, if the map is ended before, not.
static int map_async(struct job *jobs, uint32_t n, struct shoal_failure *failure) {
  uint32_t calls = 0;
  struct shoal_map *m;
  int rc = SHOAL_MAP_ASYNC(ex, small_job, jobs, n, soak_below(3), &m);
  if (rc) return rc;
  rc = shoal_map_on_done(m, map_over, &calls);
  SOAK_EXPECT(rc == 0, "on_done answered %d (%s)", rc, shoal_reason());
  rc = shoal_map_get(m, failure, soak_deadline());
  (void)shoal_map_end(m);
  SOAK_EXPECT(calls <= 1, "the callback of a map was called %u times", calls);
  return rc;
}
static int map(void) {
  struct job jobs[MANY];
  struct shoal_failure failure = {.code = 0};
  uint32_t n = 1 + soak_below(MANY), how = soak_below(3);
  for (uint32_t i = 0; i < n; i++) jobs[i] = (struct job){new_place(era), i, 0, PLAIN, 0};
  int rc = how == 0   ? map_async(jobs, n, &failure)
           : how == 1 ? SHOAL_MAP(ex, small_job, jobs, n, &failure, soak_deadline())
                      : SHOAL_STARMAP(ex, small_job, jobs, n, &failure, soak_deadline());
  for (uint32_t i = 0; i < n && rc == 0; i++) ended(jobs[i].place, 0, NULL), expect_answer(&jobs[i]);
  return rc == 0 || rc == -EREMOTEIO || rc == -ECANCELED ? 0 : refused(rc);
}
static int next_item(void *left, void *item) {
  if (!*(uint32_t *)left) return 0;
  --*(uint32_t *)left;
  *(struct job *)item = (struct job){new_place(era), soak_below(1000), 0, PLAIN, 0};
  return 1;
}
static int imap(void) {
  struct shoal_imap_options o = {.window = 1 + soak_below(4), .unordered = soak_below(2)};
  o.chunk = 1 + soak_below(o.window);
  struct shoal_imap *it;
  struct job j;
  uint32_t left = 1 + soak_below(MANY);
  int rc = SHOAL_IMAP(ex, small_job, next_item, &left, &o, &it);
  SOAK_EXPECT(rc == 0, "imap answered %d (%s)", rc, shoal_reason());
  if (rc) return 0;
  do {
    rc = shoal_imap_next(it, &j, sizeof j, NULL, soak_deadline());
    if (rc == 0) ended(j.place, 0, NULL), expect_answer(&j);
  } while (rc == 0 || rc == -EREMOTEIO || rc == -ECANCELED);
  (void)shoal_imap_end(it);
  return rc == -ENOENT ? 0 : refused(rc);
}
static int for_each(void) {
  uint32_t n = 1 + soak_below(MANY), first = new_places(era, n);
  struct indices all = {.first = first};
  int rc = SHOAL_FOR_EACH(ex, index_job, &all, n, NULL, NULL, soak_deadline());
  for (uint32_t i = 0; i < n && rc == 0; i++)
    SOAK_EXPECT(t->record[first + i].ended, "index %u of %u is not done", i, n);
  return rc == 0 || rc == -EREMOTEIO || rc == -ECANCELED ? 0 : refused(rc);
}

// 1: this executor takes no more.
static int step(void) {
  uint32_t what = soak_below(38), i = held_n ? soak_below(held_n) : 0;
  if (held_n < WINDOW && (what < 12 || !held_n)) return submit();
  if (what < 18) return get(i, soak_deadline()) == -EPIPE;
  switch (what) {
    case 18: return map();
    case 19: return imap();
    case 20: return for_each();
    case 21: wait_any(); return 0;
    case 22: give(i); return 0;
    case 23: take(); return 0;
    case 24: drop(i); return 0;
    case 25:
    case 26: cancel(i); return 0;
    case 27:
    case 28: return then(i);
    case 29:
    case 30: on_done(i); return 0;
    case 31: return poll_callbacks();
    case 32: completed(); return 0;
    case 33: select_one(); return 0;
    default: return apply();
  }
}
void callers_work(uint32_t id, int seat) {
  char name[32];
  (void)id, (void)seat;
  for (; !t->closing; soak_pause_us(100)) {
    era = t->now;
    name_of(era, name);
    if (!era || shoal_executor_open(seg, name, &ex)) continue;
    threaded = soak_below(4) == 0 && shoal_executor_callback_thread(ex) == 0;
    asked = called = 0;
    while (!t->closing && !step()) continue;
    while (held_n) {
      uint32_t before = held_n;
      int rc = get(0, SHOAL_FOREVER);
      SOAK_EXPECT(!soak_gave_up(rc), "waiting for ever answered %d", rc);
      if (held_n == before) drop(0);  // the creator has gone
    }
    int rc = threaded ? 0 : shoal_executor_poll(ex, SHOAL_TRY);  // all are over, or given up
    int is_last = rc >= 0;
    rc = shoal_executor_detach(ex);
    SOAK_EXPECT(rc == 0, "detach answered %d (%s)", rc, shoal_reason());
    if (is_last) SOAK_EXPECT(called == asked, "%u callbacks of %u were called", called, asked);
  }
  _exit(0);
}
