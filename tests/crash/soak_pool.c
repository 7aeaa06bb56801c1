// tests/crash/soak_pool.c: pools, one after another, on one queue. Producers are killed by the driver, each worker at a
// random instant by its timer; creators terminate their pools, or are killed; the last one drains the queue.
//
// The ledger has a record an element, and one a worker. Each element whose put returned was done, or, where deliveries
// are limited, given up, or untold, if as many workers as that takes have died, and the queue has delivered again as
// often; it has begun once, and once more for each worker, at most, that died and had begun nothing after it. Each
// worker begins with an argument.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/work/pool.h"
#include "ipc/work/task.h"
#include "tests/crash/soak.h"

#define PRODUCERS 6
#define WORKERS 3u
#define PLACES (1u << 22)
#define LIVES (1u << 18)
#define NAME "elements"

enum { SENT = 1, DONE = 2, GIVEN_UP = 4 };

static struct table {
  struct record {
    volatile uint8_t is;
    volatile uint16_t begun, died;  // died: with it, or since, but before they began another
  } record[PLACES];
  volatile uint64_t next, done, lives;
  volatile uint32_t closed, deliveries;
  struct life {                     // of a worker
    volatile uint32_t last, ended;  // 1 + the element that it began last
  } life[LIVES];
} * t;
static struct life *life;  // a worker's own
static struct shoal_segment *seg;
static struct shoal_queue *queue;  // each process has its own
static pid_t creator;

struct element {
  uint32_t place, check, pause_us;
};
static uint32_t check_of(uint32_t place) { return place ^ 0x5eed0f1eu; }
static uint8_t mark(uint32_t place, uint8_t what) {
  return __atomic_fetch_or(&t->record[place].is, what, __ATOMIC_SEQ_CST);
}

// ---- workers ----

struct pool_start {
  uint32_t check, spent;
};
SHOAL_TASK(pool_begin, struct pool_start) {  // dies at some instant, wherever it is then
  SOAK_EXPECT(arg->check == check_of(1) && !arg->spent, "a worker begins with %x %x", arg->check, arg->spent);
  arg->spent = 1;
  life = &t->life[__atomic_fetch_add(&t->lives, 1, __ATOMIC_SEQ_CST) % LIVES];  // full() ends it before
  for (int n = getpid() % 97; n; n--) soak_random();
  uint32_t us = soak_below(2) ? 500 + soak_below(20000) : 20000 + soak_below(200000);
  return setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, us}}, NULL);
}
SHOAL_TASK(pool_end, struct pool_start) {
  SOAK_EXPECT(arg->spent == 1, "a worker ends with what was no beginning");
  life->ended = 1;
  return 0;
}
SHOAL_TASK(pool_element, struct element) {
  int sound = arg->place < PLACES && arg->place < t->next && arg->check == check_of(arg->place);
  SOAK_EXPECT(sound, "received %x %x, which nobody sent", arg->place, arg->check);
  if (!sound) return -EPROTO;
  life->last = arg->place + 1;
  __atomic_fetch_add(&t->record[arg->place].begun, 1, __ATOMIC_SEQ_CST);
  soak_pause_us(arg->pause_us);
  mark(arg->place, DONE);
  __atomic_fetch_add(&t->done, 1, __ATOMIC_SEQ_CST);
  return 0;
}
static void given_up(void *arg, const struct shoal_failure *failure, void *element) {
  struct element *e = element;
  (void)arg;
  SOAK_EXPECT(failure->code == -ENOTRECOVERABLE, "element %u failed with %d (%s)", e->place, failure->code,
              failure->message);
  mark(e->place, GIVEN_UP);
}

// ---- producers ----

static int gave_up(int rc) { return soak_gave_up(rc) || (rc == -EPIPE && t->closed); }
static int open_queue(void) {
  int rc = shoal_queue_open(seg, NAME, sizeof(struct element), &queue);
  SOAK_EXPECT(rc == 0, "open answered %d (%s)", rc, shoal_reason());
  return rc;
}
static struct element next_element(void) {
  uint32_t place = (uint32_t)(__atomic_fetch_add(&t->next, 1, __ATOMIC_SEQ_CST) % PLACES);  // full() ends it before
  return (struct element){place, check_of(place), soak_below(8) ? 0 : soak_below(400)};
}
static void work(uint32_t id, int seat) {
  (void)id, (void)seat;
  if (open_queue()) _exit(1);
  while (!t->closed) {
    struct element e = next_element();
    int rc = shoal_queue_put(queue, &e, soak_deadline());
    if (rc == 0) mark(e.place, SENT);
    else SOAK_EXPECT(gave_up(rc), "put answered %d (%s)", rc, shoal_reason());
  }
  int rc = shoal_queue_detach(queue);
  SOAK_EXPECT(rc == 0, "detach answered %d (%s)", rc, shoal_reason());
  _exit(0);
}

// ---- creators ----

static void tend(struct shoal_pool *pool) {
  for (shoal_deadline end = shoal_after_ms(10 + soak_below(300)); !t->closed && !shoal_deadline_passed(end);) {
    struct element e = next_element();
    int rc = shoal_pool_tend(pool, shoal_after_us(soak_below(5000)));
    SOAK_EXPECT(rc >= 0, "tend answered %d (%s)", rc, shoal_reason());
    rc = shoal_pool_submit(pool, &e, soak_deadline());
    if (rc == 0) mark(e.place, SENT);
    else SOAK_EXPECT(gave_up(rc), "submit answered %d (%s)", rc, shoal_reason());
  }
}
static void end_pool(struct shoal_pool *pool) {
  struct shoal_pool_info info;
  int rc = t->closed ? shoal_pool_join(pool, SHOAL_FOREVER) : shoal_pool_terminate(pool, soak_deadline());
  SOAK_EXPECT(rc == 0, "the end answered %d (%s)", rc, shoal_reason());
  rc = shoal_pool_info(pool, &info);
  SOAK_EXPECT(rc == 0 && !info.alive, "%u workers are left", info.alive);
  rc = shoal_pool_destroy(pool);
  SOAK_EXPECT(rc == 0, "destroy answered %d (%s)", rc, shoal_reason());
}
static void create(void) {
  struct pool_start start = {check_of(1), 0};
  struct shoal_pool_options o = {.task = "pool_element",
                                 .workers = WORKERS,
                                 .init_task = "pool_begin",
                                 .finalize_task = "pool_end",
                                 .init_argument = &start,
                                 .init_size = sizeof start,
                                 .tasks_max = soak_below(4) ? 0 : 50,
                                 .deliveries_max = t->deliveries,
                                 .failed = given_up};
  struct shoal_pool *pool;
  for (int n = getpid() % 61; n; n--) soak_random();
  if (open_queue()) _exit(1);
  o.queue = queue;
  int rc = shoal_pool_create(seg, &o, &pool);
  SOAK_EXPECT(rc == 0, "create answered %d (%s)", rc, shoal_reason());
  if (rc) _exit(1);
  start.check = 0;  // it is theirs by now
  tend(pool);
  end_pool(pool);
  rc = shoal_queue_detach(queue);
  SOAK_EXPECT(rc == 0, "detach answered %d (%s)", rc, shoal_reason());
  _exit(0);
}

// ---- the driver ----

static void next_creator(void) {
  creator = soak_fork();
  if (!creator) create();
}
static void creator_ended(int status) {
  int killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  SOAK_EXPECT(killed || (WIFEXITED(status) && !WEXITSTATUS(status)), "a creator ended with %x", (unsigned)status);
}
static void buried(int seat) {
  int status, doomed = soak_below(100) == 0;
  (void)seat;
  if (doomed) kill(creator, SIGKILL);
  if (waitpid(creator, &status, doomed ? 0 : WNOHANG) != creator) return;
  soak.kills += (uint64_t)doomed;
  creator_ended(status);
  next_creator();
}
static void begin(void) {
  static const struct shoal_segment_options small = {
      .size = 1 << 20, .size_max = 1 << 24, .participants = 1024, .objects = 64};
  static const struct shoal_queue_options o = {
      .capacity = 64, .element_size = sizeof(struct element), .producers = 64, .consumers = 64};
  if (!t) t = soak_shared(sizeof *t);
  memset((void *)t->record, 0, (t->next < PLACES ? t->next : PLACES) * sizeof *t->record);
  memset((void *)&t->next, 0, sizeof *t - offsetof(struct table, next));
  soak_adopt();
  int rc = shoal_segment_create(NULL, &small, &seg);
  if (!rc) rc = shoal_queue_create(seg, NAME, &o, &queue);
  // however many die: the queue has not ended, and is read
  if (!rc) rc = shoal_queue_join(queue, SHOAL_PRODUCER);
  if (!rc) rc = shoal_queue_join(queue, SHOAL_CONSUMER);
  SOAK_EXPECT(rc == 0, "queue: %d %s", rc, shoal_reason());
  shoal_spin_max_ = soak_below(2) ? SHOAL_SPIN_MAX : 0;
  t->deliveries = soak_below(2) ? 0 : 1 + soak_below(3);
  next_creator();
}
static uint64_t progress(void) { return t->done; }
static int full(void) { return t->next > PLACES / 2 || t->lives > LIVES / 2; }

static uint64_t bury(void) {  // those who had begun nothing
  uint64_t spare = 0;
  for (uint64_t i = 0; i < t->lives && i < LIVES; i++) {
    const struct life *l = &t->life[i];
    if (l->ended) continue;
    if (l->last) t->record[l->last - 1].died++;
    else spare++;
  }
  return spare;
}
// With so many it died: it is given up; with as many more that were to tell of it: it is told of no more.
static uint32_t killed_by(const struct record *r) {
  int is_missing = r->is & SENT && !(r->is & (DONE | GIVEN_UP));
  return r->is & GIVEN_UP ? t->deliveries : is_missing ? 2 * t->deliveries : 0;
}
// The queue's own count of what it delivered again. The heir of a death may have died before it had counted.
static uint64_t redelivered(void) {
  struct shoal_queue_info info;
  int rc = shoal_queue_info(queue, &info);
  SOAK_EXPECT(rc == 0, "info answered %d (%s)", rc, shoal_reason());
  return rc ? 0 : info.redelivered + 1;
}
// A death explains one more beginning of what it had begun last; or, before it began the next, a delivery of that. Most
// have nothing in hand, and explain none: no more were delivered again than the queue says.
static void settle(void) {
  uint64_t spare = bury(), short_of = 0, again_in_all = 0, most = redelivered();
  for (uint64_t i = 0; i < t->next && i < PLACES; i++) {
    const struct record *r = &t->record[i];
    uint32_t killed = killed_by(r), again = r->begun - (r->is & DONE ? r->begun > 0 : 0);
    if (again > r->died) {
      printf("  element %lu has begun %u times, done %d, %u have died\n", i, r->begun, (r->is & DONE) != 0, r->died);
      soak.doubled += again - r->died;
    }
    if (r->died < killed) short_of += killed - r->died;
    else if (r->died > killed && r->died > again) spare += r->died - (killed > again ? killed : again);
    again_in_all += killed > again ? killed : again;
    if (!killed && r->is & SENT && !(r->is & DONE)) soak.lost++;
  }
  uint64_t deaths = short_of > spare ? short_of - spare : 0, again = again_in_all > most ? again_in_all - most : 0;
  if (t->deliveries && deaths + again) {
    printf("  given up or missing: %lu deaths too few, %lu deliveries\n", deaths, again);
    soak.lost += ((deaths > again ? deaths : again) - 1) / (2 * t->deliveries) + 1;
  }
  soak.done += t->done;
}
static void end(void) {
  int status;
  t->closed = 1;  // before producers are awaited: it may be full, and nobody's pool be there
  int rc = shoal_queue_close(queue);
  SOAK_EXPECT(rc == 0, "close: %d %s", rc, shoal_reason());
  soak_all_end(PRODUCERS, PRODUCERS, "producer", "");
  for (int seat = 0; seat < PRODUCERS; seat++) soak_kill(seat);
  if (soak_wait(creator, &status)) creator_ended(status);
  else soak_fault("a creator does not end"), kill(creator, SIGKILL), waitpid(creator, NULL, 0);
  next_creator();  // the one before may have terminated, with elements left
  if (soak_wait(creator, &status)) creator_ended(status);
  else soak.stalled++, kill(creator, SIGKILL), waitpid(creator, NULL, 0);
  soak_no_orphan();
  settle();
  rc = shoal_queue_detach(queue);
  if (!rc) rc = shoal_segment_close(seg);
  SOAK_EXPECT(rc == 0, "closing: %d %s", rc, shoal_reason());
}

const struct soak_room soak_pool = {"pool", PRODUCERS, begin, work, progress, full, end, NULL, buried};
