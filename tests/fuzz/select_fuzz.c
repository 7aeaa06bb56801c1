// Selects over queues, a pipe, a topic, an event, a semaphore and times, performed, looked at, and armed for a loop's
// sleep, in a segment whose words are edited before these are opened and while they are used: each call answers, and of
// its cases the one that it says.
#include <string.h>
#include <unistd.h>

#include "ipc/queue/select_internal.h"
#include "tests/fuzz/fuzz.h"

#define CASES 6u
#define SIZE 8u
#define BYTES 200u

enum { MPMC, LEASED, CELLS, SPSC, LINES, LETTERS, QUEUES };

static const struct kind {
  const char *name;
  struct shoal_queue_options o;
} kinds[QUEUES] = {
    [MPMC] = {"mpmc", {.element_size = SIZE}},
    [LEASED] = {"leased", {.element_size = SIZE, .lease_ns = 1000000, .delivery_max = 3}},
    [CELLS] = {"cells", {.element_size = SIZE, .kind = SHOAL_QUEUE_FIFO, .joinable = 1}},
    [SPSC] = {"spsc", {.element_size = SIZE, .kind = SHOAL_QUEUE_SPSC}},
    [LINES] = {"lines", {.bytes = 1}},
    [LETTERS] = {"letters", {.bytes = 1, .kind = SHOAL_QUEUE_PRIORITY, .overflow = SHOAL_OVERFLOW_DROP_OLDEST}},
};

static struct {  // NULL: it was refused
  struct shoal_queue *queue[QUEUES];
  struct shoal_pipe *end[2];
  struct shoal_topic *topic;
  struct shoal_event *event;
  struct shoal_semaphore *semaphore;
} opened;

void stage_make(struct shoal_segment *seg) {
  static const struct shoal_topic_options news = {
      .capacity = 4, .element_size = SIZE, .publishers = 2, .subscribers = 2, .groups = 1};
  char message[100] = "abc";
  struct shoal_pipe *ends[2];
  for (unsigned k = 0; k < QUEUES; k++) {
    struct shoal_queue_options o = kinds[k].o;
    struct shoal_queue *q;
    o.capacity = 4;
    o.producers = o.consumers = o.kind == SHOAL_QUEUE_SPSC ? 1 : 2;
    FUZZ_CHECK(shoal_queue_create(seg, kinds[k].name, &o, &q) == 0);
    FUZZ_CHECK((o.bytes ? shoal_queue_send(q, message, 90, SHOAL_TRY) : shoal_queue_put(q, message, SHOAL_TRY)) == 0);
    FUZZ_CHECK(shoal_queue_detach(q) == 0);
  }
  FUZZ_CHECK(shoal_pipe_create(seg, "pipe", &(struct shoal_pipe_options){.capacity = 4, .duplex = 1}, ends) == 0);
  for (unsigned i = 0; i < 2; i++) FUZZ_CHECK(shoal_pipe_give(&ends[i], (uint32_t)getpid()) == 0);
  FUZZ_CHECK(shoal_topic_create(seg, "topic", &news, &opened.topic) == 0 && shoal_topic_detach(opened.topic) == 0);
  FUZZ_CHECK(shoal_event_create(seg, "event", &opened.event) == 0 && shoal_event_close(seg, opened.event) == 0);
  FUZZ_CHECK(shoal_semaphore_create(seg, "semaphore", 1, 3, 0, &opened.semaphore) == 0);
  FUZZ_CHECK(shoal_semaphore_close(seg, opened.semaphore) == 0);
}

static void open_all(struct shoal_segment *seg) {
  memset(&opened, 0, sizeof opened);
  for (unsigned k = 0; k < QUEUES; k++)
    (void)!shoal_queue_open(seg, kinds[k].name, kinds[k].o.element_size, &opened.queue[k]);
  for (unsigned i = 0; i < 2; i++) (void)!shoal_pipe_open(seg, "pipe", 0, i, &opened.end[i]);
  (void)!shoal_topic_open(seg, "topic", SIZE, &opened.topic);
  (void)!shoal_event_open(seg, "event", &opened.event);
  (void)!shoal_semaphore_open(seg, "semaphore", &opened.semaphore);
}

// ---- what stays open because a damaged word says that somebody has it ----

static void detach(struct script *s, struct shoal_queue *q) {
  stage_left(s);
  if (!q || !shoal_queue_detach(q)) return;
  if (q->ordered.shm) shoal_store32_relaxed(&q->ordered.shm->lock.word, 0);
  FUZZ_CHECK(shoal_queue_detach(q) == 0);
}
static void close_end(struct script *s, struct shoal_pipe **p) {
  stage_left(s);
  if (!*p || !shoal_pipe_close(p)) return;
  for (uint32_t r = 1; r <= 2; r++) {
    shoal_store32_relaxed(&shoal_role_at_(&(*p)->out->wait, r)->pid, 0);
    shoal_store32_relaxed(&shoal_role_at_(&(*p)->in->wait, r)->pid, 0);
  }
  FUZZ_CHECK(shoal_pipe_close(p) == 0);
}
static void close_all(struct script *s, struct shoal_segment *seg) {
  for (unsigned k = 0; k < QUEUES; k++) detach(s, opened.queue[k]);
  for (unsigned i = 0; i < 2; i++) close_end(s, &opened.end[i]);
  stage_left(s);
  if (opened.topic && shoal_topic_detach(opened.topic)) {
    shoal_store32_relaxed(&opened.topic->shm->lock.word, 0);
    FUZZ_CHECK(shoal_topic_detach(opened.topic) == 0);
  }
  if (opened.event) (void)shoal_event_close(seg, opened.event);
  if (opened.semaphore) (void)shoal_semaphore_close(seg, opened.semaphore);
}

// ---- cases ----

static char in[BYTES], out[BYTES];
static uint64_t got;

static struct shoal_case of_queue(struct script *s) {
  uint32_t k = script_below(s, QUEUES), what = script_below(s, 6);
  struct shoal_queue *q = opened.queue[k];
  if (!q) return shoal_on_nothing();
  if (what == 0) return shoal_on_readable(q);
  if (what == 1) return shoal_on_writable(q);
  if (kinds[k].o.element_size) return what < 4 ? shoal_on_get(q, in) : shoal_on_put(q, out);
  uint64_t size = script_below(s, BYTES + 1);
  if (what < 4) return shoal_on_recv(q, in, size, &got);
  return k == LETTERS && what == 5 ? shoal_on_send_key(q, (int64_t)size - 100, out, size) : shoal_on_send(q, out, size);
}
static struct shoal_case of_pipe(struct script *s) {
  struct shoal_pipe *p = opened.end[script_below(s, 2)];
  uint32_t what = script_below(s, 6);
  uint64_t size = script_below(s, BYTES + 1);
  if (!p) return shoal_on_nothing();
  switch (what) {
    case 0: return shoal_on_pipe_readable(p);
    case 1: return shoal_on_pipe_writable(p);
    case 2:
    case 3: return shoal_on_pipe_recv(p, in, size, &got);
    default: return shoal_on_pipe_send(p, out, size);
  }
}
static struct shoal_case of_topic(struct script *s) {
  uint32_t what = script_below(s, 6);
  if (!opened.topic) return shoal_on_nothing();
  switch (what) {
    case 0: return shoal_on_topic_readable(opened.topic);
    case 1: return shoal_on_topic_writable(opened.topic);
    case 2:
    case 3: return shoal_on_topic_get(opened.topic, in);
    default: return shoal_on_topic_publish(opened.topic, out);
  }
}
static struct shoal_case any_case(struct script *s) {
  switch (script_below(s, 16)) {
    case 0: return shoal_on_nothing();
    case 1: return shoal_on_time(shoal_after_ns(script_below(s, 5000) * 1000));
    case 2:
    case 3: return opened.event ? shoal_on_event(opened.event) : shoal_on_nothing();
    case 4:
    case 5: return opened.semaphore ? shoal_on_acquire(opened.semaphore) : shoal_on_nothing();
    case 6:
    case 7: return of_pipe(s);
    case 8:
    case 9: return of_topic(s);
    default: return of_queue(s);
  }
}
// Not anywhere, but as the script says; and one at least sleeps in a futex, by the stage's clock.
static uint32_t some_cases(struct script *s, struct shoal_case *cases) {
  uint32_t n = 1 + script_below(s, CASES), turn = 1 + script_below(s, CASES);
  for (uint32_t i = 0; i < n; i++) cases[i] = any_case(s);
  if (opened.event) cases[n++] = shoal_on_event(opened.event);
  else if (opened.queue[MPMC]) cases[n++] = shoal_on_writable(opened.queue[MPMC]);
  else return 0;
  cases[0].turn_ = turn;
  return n;
}

static void select_one(struct script *s) {
  struct shoal_case cases[CASES + 1];
  uint32_t looks = script_below(s, 3) == 0, n = some_cases(s, cases);
  shoal_deadline until = stage_until(s);
  if (!n) return;
  int rc = looks ? shoal_select_ready(cases, n, until) : shoal_select(cases, n, until);
  FUZZ_CHECK(rc < 0 || (uint32_t)rc < n + looks);
}
// As a selector, whose thread sleeps in the caller's stead.
static void arm(struct script *s) {
  static struct shoal_select_ armed;
  static shoal_atomic32 word;
  struct shoal_case cases[CASES + 1];
  uint32_t n = some_cases(s, cases), words = 0, woke = script_below(s, 8);
  if (!n || shoal_select_prepare_(&armed, cases, n, &words) != -EAGAIN) return;
  FUZZ_CHECK(words && words <= SHOAL_FUTEX_MANY);
  armed.entries[armed.words - 1] = (struct shoal_futex_entry){&word, 0};
  if (script_below(s, 2)) stage_edit(s);
  shoal_select_woken_(&armed, woke < 2 ? -ETIMEDOUT : woke < 3 ? -EAGAIN : (int)(woke % words));
}

// ---- what else is done to them ----

static void use_queue(struct script *s) {
  uint32_t k = script_below(s, QUEUES), what = script_below(s, 8);
  struct shoal_queue *q = opened.queue[k];
  uint32_t element = kinds[k].o.element_size;
  if (!q) return;
  switch (what) {
    case 0:
    case 1:
      (void)(element ? shoal_queue_put(q, out, SHOAL_TRY) : shoal_queue_send(q, out, BYTES / 2, SHOAL_TRY));
      break;
    case 2:
    case 3:
      (void)(element ? shoal_queue_get(q, in, SHOAL_TRY) : shoal_queue_recv(q, in, BYTES, &got, SHOAL_TRY));
      break;
    case 4: (void)shoal_queue_leave(q, (int)script_below(s, 2)); break;
    case 5: (void)shoal_queue_join(q, (int)script_below(s, 2)); break;
    case 6: (void)shoal_queue_task_done(q); break;
    default: (void)(script_below(s, 2) ? shoal_queue_close(q) : shoal_queue_reopen(q));
  }
}
static void use_other(struct script *s) {
  static const struct shoal_topic_subscription how[] = {{0}, {.slow = SHOAL_TOPIC_DROP}, {.group = "g"}};
  switch (script_below(s, 8)) {
    case 0:
      if (opened.event) (void)shoal_event_set(opened.event);
      break;
    case 1:
      if (opened.event) (void)shoal_event_clear(opened.event);
      break;
    case 2:
      if (opened.semaphore) (void)shoal_semaphore_release(opened.semaphore);
      break;
    case 3:
      if (opened.topic) (void)!shoal_topic_subscribe(opened.topic, &how[script_below(s, 3)]);
      break;
    case 4:
      if (opened.topic) (void)shoal_topic_unsubscribe(opened.topic);
      break;
    case 5:
      if (opened.topic) (void)shoal_topic_publish(opened.topic, out, SHOAL_TRY);
      break;
    case 6:
      if (opened.end[0]) (void)shoal_pipe_send(opened.end[0], out, 20, SHOAL_TRY);
      break;
    default:
      if (opened.end[1]) (void)shoal_pipe_leave(opened.end[1]);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct script s = {data, data + size};
  struct shoal_segment *seg = stage_take(&s);
  open_all(seg);
  while (stage_left(&s)) {
    uint32_t what = script_below(&s, 12);
    if (what < 2) stage_edit(&s);
    else if (what < 4) use_queue(&s);
    else if (what < 6) use_other(&s);
    else if (what < 7) arm(&s);
    else select_one(&s);
  }
  close_all(&s, seg);
  stage_close();
  return 0;
}
