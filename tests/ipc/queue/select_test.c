// Claims of ipc/queue/select:
//   1 each kind of case, ready before, while it sleeps, or never; alone, and in a mix of all; the others are left alone
//   2 try, deadline and for ever answer as promised; cases that make no sense are refused, and nothing has happened
//   3 of several that are ready each has its turn
//   4 the end of a queue is that case's answer: closed, by leaving, by death, once nobody holds a message any more
//   5 no wake-up is lost: of two selects with one message each, of a select that takes something else, or only looks,
//   or is
//     killed when it has been woken. All without the once-a-second look
//   6 64 cases, more descriptors than one, a child of fork; somebody stopped inside one queue is in no other case's way
//   7 an eventfd for other event loops; one that is busy keeps no wake-up to itself
//   8 byte messages and pipes: what is sent, or received, is one message, in a block or not, and nothing of it if
//   another case
//     is performed; both ends of a pipe, their directions, and their ends
//   9 topics: the next message, for each subscriber and one member of a group; publishing, when there is room; their ends;
//     looks take nothing; no subscriber, no wake-up is lost; deaths of who was woken
//  10 a permit: taken by one, given back by its holder's death, its wake-up handed on; all that is ready, at once
#include "ipc/queue/select.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/error.h"
#include "tests/harness/drivers.h"

SHOAL_QUEUE_TYPED(number_queue, uint64_t)
SHOAL_SELECT_TYPED(number_queue, uint64_t)
SHOAL_PIPE_TYPED(number_pipe, uint64_t)
SHOAL_PIPE_SELECT_TYPED(number_pipe, uint64_t)

#define QUEUES 64
#define LEDGER 100000

struct shared {  // the start of each arena; the queues follow
  uint64_t queue_size;
  shoal_atomic32 ready, stage, done;
  shoal_atomic64 answers[QUEUES];
  shoal_atomic64 sum;
  struct shoal_event event;
  struct shoal_semaphore items;  // consumed
  struct {
    struct shoal_semaphore s;
    struct shoal_permit permits[2];
  } held[2];
  uint8_t ledger[LEDGER];
};
#define QUEUES_AT ((sizeof(struct shared) + 63) & ~(size_t)63)

static struct arena arena;
static struct shoal_queue *Q[QUEUES];  // this process's handles
static uint32_t queues;

static struct shared *shared(void) { return arena.memory; }
static struct shoal_queue *attach(void *memory, uint32_t i) {
  struct shared *s = memory;
  struct shoal_queue *q;
  CHECK(shoal_queue_attach_((char *)memory + QUEUES_AT + i * s->queue_size, s->queue_size, 8, &q) == 0);
  return q;
}
static void make_of(uint32_t n, struct shoal_queue_options o) {
  o.element_size = 8;
  uint64_t size = (shoal_queue_size_(&o) + 63) & ~UINT64_C(63);
  queues = n;
  arena_make(&arena, QUEUES_AT + n * size);
  shared()->queue_size = size;
  assert_int_equal(shoal_event_init(&shared()->event), 0);
  assert_int_equal(shoal_semaphore_init(&shared()->items, 0, 0, SHOAL_SEMAPHORE_CONSUMED), 0);
  for (uint32_t i = 0; i < n; i++) {
    assert_int_equal(shoal_queue_place_((char *)arena.memory + QUEUES_AT + i * size, size, &o), 0);
    Q[i] = attach(arena.memory, i);
  }
}
static void make(uint32_t n) {
  make_of(n, (struct shoal_queue_options){.capacity = 4, .producers = 8, .consumers = 8});
}
static struct shoal_queue_info info_of(struct shoal_queue *q) {
  struct shoal_queue_info info;
  CHECK(shoal_queue_info(q, &info) == 0);
  return info;
}
static void unmake(void) {
  for (uint32_t i = 0; i < queues; i++) {
    assert_int_equal(info_of(Q[i]).late, 0);
    assert_int_equal(shoal_queue_detach(Q[i]), 0);
  }
  arena_free(&arena);
}

static void put(struct shoal_queue *q, uint64_t v) { CHECK(number_queue_put(q, &v, SHOAL_FOREVER) == 0); }
static uint64_t get(struct shoal_queue *q) {
  uint64_t v = 0;
  CHECK(number_queue_get(q, &v, SHOAL_TRY) == 0);
  return v;
}
static void fill(struct shoal_queue *q) {
  for (uint64_t v = 0; number_queue_put(q, &v, SHOAL_TRY) == 0;) continue;
}
static void await(shoal_atomic32 *word, uint32_t n) {
  while (shoal_load32_seq_cst(word) < n) sched_yield();
}

// ---- 1, 2 ----

enum { GETS, PUTS, READS, WRITES, WAITS, ACQUIRES, TIMES, POLLS, DIES, KINDS };
static int pipe_[2];
static pid_t child;
static uint64_t element;

// Queue 0 is empty, 1 is full; 2 and 3 too, for those that only look.
static struct shoal_case case_of(void *memory, struct shoal_queue *const q[4], int kind) {
  switch (kind) {
    case GETS: return number_queue_on_get(q[0], &element);
    case PUTS: return number_queue_on_put(q[1], &element);
    case READS: return shoal_on_readable(q[2]);
    case WRITES: return shoal_on_writable(q[3]);
    case WAITS: return shoal_on_event(&((struct shared *)memory)->event);
    case ACQUIRES: return shoal_on_acquire(&((struct shared *)memory)->items);
    case TIMES: return shoal_on_time(shoal_after_s(3600));
    case POLLS: return shoal_on_fd(pipe_[0], POLLIN);
    default: return shoal_on_process(child);
  }
}
static void begin(uint32_t kind_of_queue) {
  make_of(4, (struct shoal_queue_options){.capacity = 4, .kind = kind_of_queue});
  for (int i = 0; i < 4; i++) {  // the stream has begun, and has not ended
    assert_int_equal(shoal_queue_join(Q[i], i % 2 ? SHOAL_CONSUMER : SHOAL_PRODUCER), 0);
  }
  element = 0;
  for (int i = 1; i < 4; i += 2) {
    fill(Q[i]);
    assert_int_equal(shoal_queue_leave(Q[i], SHOAL_PRODUCER), 0);
  }
  assert_int_equal(pipe(pipe_), 0);
  child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
  }
}
static uint64_t last;  // of what was drained
static uint64_t drain(struct shoal_queue *q) {
  uint64_t v = 0;
  while (number_queue_get(q, &v, SHOAL_TRY) == 0) continue;
  return v;
}
static void make_ready(int kind) {
  switch (kind) {
    case GETS: put(Q[0], 7); break;
    case PUTS: element = 7, last = drain(Q[1]); break;
    case WRITES: drain(Q[3]); break;
    case READS: put(Q[2], 7); break;
    case WAITS: assert_int_equal(shoal_event_set(&shared()->event), 0); break;
    case ACQUIRES: assert_int_equal(shoal_semaphore_release(&shared()->items), 0); break;
    case POLLS: assert_int_equal(write(pipe_[1], "x", 1), 1); break;
    case DIES: kill(child, SIGKILL); break;
    default: break;
  }
}
static void end(void) {
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  close(pipe_[0]);
  close(pipe_[1]);
  unmake();
}

// All of them, `kind` in the middle; a time is ready soon if it is what is waited for.
static uint32_t mix(void *memory, struct shoal_queue *const q[4], int kind, struct shoal_case cases[KINDS + 1]) {
  for (int k = 0; k < KINDS; k++) cases[k] = case_of(memory, q, k);
  cases[KINDS] = shoal_on_nothing();
  if (kind == TIMES) cases[TIMES].at = shoal_after_ms(30);
  return KINDS + 1;
}
static void answers_with(struct shoal_case *cases, uint32_t n, int i, int kind, shoal_deadline deadline) {
  CHECK(shoal_select(cases, n, deadline) == i);
  CHECK(cases[i].result == (kind == POLLS ? POLLIN : 0));
  CHECK(kind != GETS || element == 7);
}

static void ready_first(uint32_t kind_of_queue) {
  for (int kind = 0; kind < KINDS; kind++) {
    struct shoal_case cases[KINDS + 1];
    begin(kind_of_queue);
    struct shoal_case one = case_of(arena.memory, Q, kind);
    assert_int_equal(shoal_select(&one, 1, SHOAL_TRY), -EAGAIN);
    make_ready(kind);
    if (kind == TIMES) one.at = shoal_after_ns(0);
    if (kind == DIES) assert_int_equal(waitpid(child, NULL, 0), child);  // none of that number any more
    uint32_t n = mix(arena.memory, Q, -1, cases);
    if (kind == TIMES) cases[TIMES].at = shoal_after_ns(0);
    answers_with(cases, n, kind, kind, SHOAL_TRY);
    if (kind == GETS) assert_int_equal(info_of(Q[0]).size, 0), put(Q[0], 7), element = 0;
    if (kind == PUTS) assert_int_equal(get(Q[1]), 7);
    if (kind == READS) assert_int_equal(info_of(Q[2]).size, 1);
    if (kind == ACQUIRES) make_ready(kind);  // that one was taken
    answers_with(&one, 1, 0, kind, SHOAL_FOREVER);
    end();
  }
}
static void test_what_is_ready_is_answered(void **state) {
  (void)state;
  ready_first(SHOAL_QUEUE_MPMC);
  ready_first(SHOAL_QUEUE_SPSC);
}

static int late_kind, late_alone;
static void sleeps_for_one(void *memory, unsigned i) {
  struct shoal_queue *q[4];
  struct shoal_case cases[KINDS + 1];
  (void)i;
  for (uint32_t k = 0; k < 4; k++) q[k] = attach(memory, k);
  element = late_kind == PUTS ? 7 : 0;
  uint32_t n = mix(memory, q, late_kind, cases);
  if (late_alone) answers_with(&cases[late_kind], 1, 0, late_kind, SHOAL_FOREVER);
  else answers_with(cases, n, late_kind, late_kind, SHOAL_FOREVER);
  for (uint32_t k = 0; k < 4; k++) CHECK(shoal_queue_detach(q[k]) == 0);
}
static void ready_late(uint32_t kind_of_queue) {
  for (int kind = 0; kind < KINDS; kind++) {
    for (late_alone = 0; late_alone < 2; late_alone++) {
      if ((kind == WAITS || kind == ACQUIRES) && kind_of_queue == SHOAL_QUEUE_SPSC) continue;
      late_kind = kind;
      begin(kind_of_queue);
      struct peer p = peer_start(&arena, sleeps_for_one, 0);
      if (kind != TIMES && !(late_alone && kind >= POLLS)) peer_asleep(&p);
      make_ready(kind);
      peer_join(&p);
      if (kind == PUTS && last != 7) assert_int_equal(get(Q[1]), 7);
      end();
    }
  }
}
static void test_what_becomes_ready_is_answered(void **state) {
  (void)state;
  ready_late(SHOAL_QUEUE_MPMC);
  ready_late(SHOAL_QUEUE_SPSC);
}

static void test_what_never_becomes_ready(void **state) {
  (void)state;
  struct shoal_case cases[KINDS + 1];
  begin(SHOAL_QUEUE_MPMC);
  uint32_t n = mix(arena.memory, Q, -1, cases);
  shoal_deadline soon = shoal_after_ms(20);
  assert_int_equal(shoal_select(cases, n, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_select(cases, n, soon), -ETIMEDOUT);
  assert_true(shoal_now_ns() >= soon.ns);
  assert_int_equal(shoal_select(cases, n, soon), -ETIMEDOUT);  // passed already
  for (int k = 0; k < KINDS; k++) assert_int_equal(shoal_select(&cases[k], 1, SHOAL_TRY), -EAGAIN);
  for (int k = 0; k < KINDS; k++) assert_int_equal(shoal_select(&cases[k], 1, shoal_after_ms(2)), -ETIMEDOUT);
  struct shoal_case nothing = shoal_on_nothing();
  assert_int_equal(shoal_select(&nothing, 1, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_select(&nothing, 1, shoal_after_ms(2)), -ETIMEDOUT);
  assert_int_equal(element, 0);
  assert_int_equal(info_of(Q[0]).size, 0);
  end();
}

static void refused(struct shoal_case c, int code, const char *why) {
  uint64_t v = 0;
  struct shoal_case cases[2] = {number_queue_on_get(Q[0], &v), c};  // the first is ready, and not performed
  assert_int_equal(shoal_select(cases, 2, SHOAL_TRY), code);
  assert_string_equal(shoal_reason(), why);
  assert_int_equal(info_of(Q[0]).size, 1);
}
static void test_cases_that_make_no_sense(void **state) {
  (void)state;
  uint64_t v = 0;
  make(2);
  put(Q[0], 7);
  struct shoal_case c = shoal_on_nothing(), many[SHOAL_SELECT_MAX + 1];
  for (uint32_t i = 0; i <= SHOAL_SELECT_MAX; i++) many[i] = c;
  assert_int_equal(shoal_select(many, 0, SHOAL_TRY), -EINVAL);
  assert_int_equal(shoal_select(many, SHOAL_SELECT_MAX + 1, SHOAL_TRY), -EINVAL);
  assert_string_equal(shoal_reason(), "65 cases: 1..64");
  refused(number_queue_on_get(NULL, &v), -EINVAL, "case 1: no queue");
  refused(shoal_on_writable(NULL), -EINVAL, "case 1: no queue");
  refused(number_queue_on_put(Q[1], NULL), -EINVAL, "case 1: no element");
  refused(shoal_on_queue_(SHOAL_CASE_GET, Q[1], &v, 4), -EBADMSG, "case 1: elements of 8 bytes, not 4");
  refused(shoal_on_event(NULL), -EINVAL, "case 1: no event");
  refused(shoal_on_event((struct shoal_event *)shared()->ledger), -EINVAL, "not an event");
  refused(shoal_on_acquire(NULL), -EINVAL, "case 1: no semaphore");
  refused(shoal_on_acquire((struct shoal_semaphore *)shared()->ledger), -EINVAL, "not a semaphore");
  uint64_t size = 0;
  refused(shoal_on_send(Q[1], "x", 1), -EBADMSG, "it carries elements of 8 bytes, no byte messages");
  refused(shoal_on_recv(Q[1], &v, 8, &size), -EBADMSG, "it carries elements of 8 bytes, no byte messages");
  refused(shoal_on_recv(Q[1], &v, 8, NULL), -EINVAL, "case 1: no buffer, or no size");
  refused(shoal_on_send(Q[1], NULL, 1), -EINVAL, "case 1: no buffer, or no size");
  refused(shoal_on_fd(-1, POLLIN), -EINVAL, "case 1: descriptor -1");
  refused(shoal_on_process(0), -EINVAL, "case 1: process 0");
  c.kind = 99;
  refused(c, -EINVAL, "case 1: there is no kind 99");
  assert_int_equal(get(Q[0]), 7);
  int fds[2];
  assert_int_equal(pipe(fds), 0);
  close(fds[0]), close(fds[1]);
  struct shoal_case closed = shoal_on_fd(fds[0], POLLIN);
  assert_int_equal(shoal_select(&closed, 1, SHOAL_FOREVER), -EINVAL);
  unmake();
}

static void test_a_loan_of_an_spsc_queue_is_in_the_way(void **state) {
  (void)state;
  struct shoal_loan loan;
  uint64_t v = 0;
  make_of(1, (struct shoal_queue_options){.capacity = 4, .kind = SHOAL_QUEUE_SPSC});
  put(Q[0], 7);
  assert_int_equal(shoal_queue_receive(Q[0], &loan, SHOAL_TRY), 0);
  struct shoal_case cases[] = {number_queue_on_get(Q[0], &v), shoal_on_readable(Q[0])};
  assert_int_equal(shoal_select(&cases[0], 1, SHOAL_TRY), -EBUSY);
  assert_int_equal(shoal_select(&cases[1], 1, SHOAL_TRY), -EBUSY);
  assert_int_equal(shoal_queue_return(Q[0], &loan), 0);
  assert_int_equal(shoal_select(&cases[1], 1, SHOAL_TRY), 0);
  assert_int_equal(shoal_select(&cases[0], 1, SHOAL_TRY), 0);
  assert_int_equal(v, 7);
  unmake();
}

// It sleeps, and is woken.
static void sleeps_twice(void *memory, unsigned i) {
  struct shoal_queue *q = attach(memory, 0);
  uint64_t v = 0;
  struct shoal_case c[] = {number_queue_on_get(q, &v), shoal_on_readable(q), number_queue_on_get(q, &v)};
  (void)i;
  CHECK(shoal_select(c, 3, SHOAL_FOREVER) >= 0);
  CHECK(shoal_queue_detach(q) == 0);
}
static void test_a_queue_in_several_cases(void **state) {
  (void)state;
  make(1);
  uint64_t v = 0;
  struct shoal_case c[] = {number_queue_on_get(Q[0], &v), shoal_on_readable(Q[0]), number_queue_on_get(Q[0], &v)};
  assert_int_equal(shoal_queue_join(Q[0], SHOAL_PRODUCER), 0);
  assert_int_equal(shoal_select(c, 3, shoal_after_ms(60)), -ETIMEDOUT);
  assert_true(info_of(Q[0]).sleeps < 30);  // each sleep counts in each case
  struct peer p = peer_start(&arena, sleeps_twice, 0);
  peer_asleep(&p);
  put(Q[0], 1);
  peer_join(&p);
  unmake();
}

static void test_no_role_is_free(void **state) {
  (void)state;
  uint64_t v;
  make_of(1, (struct shoal_queue_options){.capacity = 4, .producers = 1, .consumers = 1});
  struct shoal_queue *other = attach(arena.memory, 0);
  assert_int_equal(shoal_queue_join(other, SHOAL_CONSUMER), 0);
  struct shoal_case c = number_queue_on_get(Q[0], &v);
  assert_int_equal(shoal_select(&c, 1, SHOAL_TRY), -EUSERS);
  assert_int_equal(shoal_queue_detach(other), 0);
  assert_int_equal(shoal_select(&c, 1, SHOAL_TRY), -EAGAIN);
  unmake();
}

static void test_a_descriptor_hangs_up(void **state) {
  (void)state;
  int fds[2];
  make(1);
  assert_int_equal(shoal_queue_join(Q[0], SHOAL_PRODUCER), 0);
  assert_int_equal(pipe(fds), 0);
  struct shoal_case cases[] = {shoal_on_fd(fds[0], POLLIN), shoal_on_readable(Q[0]), shoal_on_fd(fds[1], POLLOUT),
                               shoal_on_fd(fds[0], POLLPRI)};  // one twice
  assert_int_equal(shoal_select(cases, 4, SHOAL_FOREVER), 2);
  assert_int_equal(cases[2].result, POLLOUT);
  cases[2] = shoal_on_nothing();
  assert_int_equal(shoal_select(cases, 4, SHOAL_TRY), -EAGAIN);
  close(fds[1]);
  int i = shoal_select(cases, 4, SHOAL_FOREVER);
  assert_true((i == 0 || i == 3) && cases[i].result == POLLHUP);
  close(fds[0]);
  unmake();
}

static void waits_for_a_pulse(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_case c[] = {shoal_on_event(&s->event), shoal_on_readable(attach(memory, 0))};
  (void)i;
  CHECK(shoal_select(c, 2, SHOAL_FOREVER) == 0);
}
static void test_an_event_that_is_cleared_at_once(void **state) {
  (void)state;
  make(1);
  assert_int_equal(shoal_queue_join(Q[0], SHOAL_PRODUCER), 0);
  struct peer p[2] = {peer_start(&arena, waits_for_a_pulse, 0), peer_start(&arena, waits_for_a_pulse, 1)};
  peer_asleep(&p[0]);
  peer_asleep(&p[1]);
  assert_int_equal(shoal_event_set(&shared()->event), 0);
  assert_int_equal(shoal_event_clear(&shared()->event), 0);
  peer_join(&p[0]);
  peer_join(&p[1]);
  unmake();
}

// ---- 3 ----

static void test_each_has_its_turn(void **state) {
  (void)state;
  uint64_t v = 0;
  uint32_t turns[4] = {0};
  make(2);
  shoal_event_set(&shared()->event);
  put(Q[0], 1), put(Q[1], 1);
  struct shoal_case cases[] = {number_queue_on_get(Q[0], &v), shoal_on_nothing(), number_queue_on_get(Q[1], &v),
                               shoal_on_event(&shared()->event)};
  for (int n = 0; n < 3000; n++) {
    int i = shoal_select(cases, 4, SHOAL_TRY);
    assert_true(i >= 0 && i != 1);
    turns[i]++;
    if (i != 3) put(Q[i / 2], 1);
  }
  assert_true(turns[0] == 1000 && turns[2] == 1000 && turns[3] == 1000);
  memset(turns, 0, sizeof turns);
  for (int n = 0; n < 3000; n++) {  // arrays made anew each time
    struct shoal_case fresh[] = {shoal_on_readable(Q[0]), shoal_on_readable(Q[1])};
    turns[shoal_select(fresh, 2, SHOAL_TRY)]++;
  }
  assert_true(turns[0] > 1000 && turns[1] > 1000);
  unmake();
}

// ---- 4 ----

static void test_the_end_of_a_queue_is_its_answer(void **state) {
  (void)state;
  uint64_t v = 5;
  make(3);
  put(Q[0], 7);
  assert_int_equal(shoal_queue_join(Q[1], SHOAL_PRODUCER), 0);
  shoal_queue_close(Q[0]);
  struct shoal_case cases[] = {number_queue_on_get(Q[0], &v), number_queue_on_get(Q[1], &v)};
  assert_int_equal(shoal_select(cases, 2, SHOAL_FOREVER), 0);
  assert_true(cases[0].result == 0 && v == 7);  // what was in it comes first
  for (int i = 0; i < 3; i++) {
    assert_int_equal(shoal_select(cases, 2, i ? SHOAL_FOREVER : SHOAL_TRY), 0);
    assert_int_equal(cases[0].result, -EPIPE);
  }
  cases[0] = shoal_on_put(Q[0], &v);
  assert_int_equal(shoal_select(cases, 2, SHOAL_FOREVER), 0);
  assert_int_equal(cases[0].result, -EPIPE);
  cases[0] = shoal_on_writable(Q[0]);
  assert_int_equal(shoal_select(cases, 2, SHOAL_FOREVER), 0);
  assert_int_equal(cases[0].result, -EPIPE);
  cases[0] = shoal_on_readable(Q[0]);
  assert_int_equal(shoal_select(cases, 2, SHOAL_FOREVER), 0);
  assert_int_equal(cases[0].result, -EPIPE);
  cases[0] = shoal_on_nothing();
  assert_int_equal(shoal_select(cases, 2, SHOAL_TRY), -EAGAIN);
  unmake();
}

static void told_of_the_end(void *memory, unsigned i) {
  struct shared *s = memory;
  uint64_t v;
  struct shoal_case c[] = {number_queue_on_get(attach(memory, 0), &v), number_queue_on_get(attach(memory, 1), &v),
                           shoal_on_readable(attach(memory, 2))};
  shoal_add32_seq_cst(&s->ready, 1);
  CHECK(shoal_select(c, 3, SHOAL_FOREVER) == (int)i && c[i].result == -EPIPE);
}
static void produces_idly(void *memory, unsigned i) {
  struct shared *s = memory;
  CHECK(shoal_queue_join(attach(memory, i), SHOAL_PRODUCER) == 0);
  shoal_add32_seq_cst(&s->stage, 1);
  for (;;) pause();
}
static void test_the_death_of_the_last_peer(void **state) {
  (void)state;
  for (unsigned i = 0; i < 3; i++) {
    make(3);
    for (unsigned k = 0; k < 3; k++)
      if (k != i) assert_int_equal(shoal_queue_join(Q[k], SHOAL_PRODUCER), 0);
    struct peer producer = peer_start(&arena, produces_idly, i);
    await(&shared()->stage, 1);
    struct peer p[2] = {peer_start(&arena, told_of_the_end, i), peer_start(&arena, told_of_the_end, i)};
    peer_asleep(&p[0]);
    peer_asleep(&p[1]);
    peer_kill(&producer);
    peer_join(&p[0]);
    peer_join(&p[1]);
    unmake();
  }
}
static void test_closed_while_they_sleep(void **state) {
  (void)state;
  make(3);
  for (unsigned k = 0; k < 3; k++) assert_int_equal(shoal_queue_join(Q[k], SHOAL_PRODUCER), 0);
  struct peer p[2] = {peer_start(&arena, told_of_the_end, 1), peer_start(&arena, told_of_the_end, 1)};
  peer_asleep(&p[0]);
  peer_asleep(&p[1]);
  shoal_queue_close(Q[1]);
  peer_join(&p[0]);
  peer_join(&p[1]);
  unmake();
}
static void test_the_end_waits_for_what_others_hold(void **state) {
  (void)state;
  struct shoal_loan loan;
  make(3);
  for (unsigned k = 0; k < 3; k++) assert_int_equal(shoal_queue_join(Q[k], SHOAL_PRODUCER), 0);
  put(Q[1], 7);
  assert_int_equal(shoal_queue_receive(Q[1], &loan, SHOAL_TRY), 0);
  shoal_queue_close(Q[1]);
  struct peer p = peer_start(&arena, told_of_the_end, 1);
  peer_asleep(&p);
  assert_int_equal(shoal_queue_release(Q[1], &loan), 0);
  peer_join(&p);
  unmake();
}

// ---- 5 ----

static unsigned born;
// Has all that a first sleep does once behind it, and sleeps when it is its turn: nobody is rung, so all sleep in their
// order.
static void line_up(struct shared *s, struct shoal_case *c, uint32_t n) {
  unsigned turn = born;
  for (uint32_t k = 0; k < n; k++) CHECK(shoal_select(&c[k], 1, shoal_after_ns(1)) == -ETIMEDOUT);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->stage, turn);
}
static void took(struct shared *s, unsigned i, uint64_t v) {
  shoal_store64_relaxed(&s->answers[i], v);
  shoal_add32_seq_cst(&s->done, 1);
}
// Takes one message of either queue, and goes.
static void selects_one(void *memory, unsigned i) {
  struct shared *s = memory;
  uint64_t v = 0;
  struct shoal_queue *a = attach(memory, 0), *b = attach(memory, 1);
  struct shoal_case c[] = {number_queue_on_get(a, &v), number_queue_on_get(b, &v)};
  line_up(s, c, 2);
  int k = shoal_select(c, 2, SHOAL_FOREVER);
  CHECK(k >= 0 && c[k].result == 0);
  took(s, i, v);
  CHECK(shoal_queue_detach(a) == 0 && shoal_queue_detach(b) == 0);
}
static void looks_only(void *memory, unsigned i) {
  struct shoal_queue *a = attach(memory, 0), *b = attach(memory, 1);
  struct shoal_case c[] = {shoal_on_readable(a), shoal_on_readable(b)};
  (void)i;
  line_up(memory, c, 2);
  CHECK(shoal_select(c, 2, SHOAL_FOREVER) >= 0);
  CHECK(shoal_queue_detach(a) == 0 && shoal_queue_detach(b) == 0);
}
static void gets_one(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory, i);
  uint64_t v = 0;
  struct shoal_case c = number_queue_on_get(q, &v);
  line_up(s, &c, 1);
  CHECK(number_queue_get(q, &v, SHOAL_FOREVER) == 0);
  took(s, i, v);
  CHECK(shoal_queue_detach(q) == 0);
}
static void make_two(void) {
  born = 0;
  make(2);
  for (int k = 0; k < 2; k++) assert_int_equal(shoal_queue_join(Q[k], SHOAL_PRODUCER), 0);
}
static struct peer bear(arena_body body, unsigned i) {
  born++;
  struct peer p = peer_start(&arena, body, i);
  await(&shared()->ready, born);
  return p;
}
static void fall_asleep(struct peer *p, unsigned n) {
  for (unsigned i = 0; i < n; i++) {
    shoal_store32_seq_cst(&shared()->stage, i + 1);
    peer_asleep(&p[i]);
  }
}
static void stop(struct peer *p) {
  int status;
  CHECK(kill(p->pid, SIGSTOP) == 0 && waitpid(p->pid, &status, WUNTRACED) == p->pid);
}
// Inside a queue with a lock.
static void stands_inside(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory, i);
  CHECK(shoal_queue_join(q, SHOAL_CONSUMER) == 0);
  int me = shoal_role_mine(&q->wait, SHOAL_CONSUMER);
  CHECK(me > 0 && shoal_ordered_enter(&q->ordered, (uint32_t)me, SHOAL_FOREVER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  while (shoal_load32_seq_cst(&s->stage) == 0) sched_yield();
  shoal_ordered_leave(&q->ordered, (uint32_t)me);
  CHECK(shoal_queue_detach(q) == 0);
}
static void test_one_is_stopped_inside(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_FIFO; kind <= SHOAL_QUEUE_LIFO; kind++) {
    uint64_t v = 0;
    born = 0;
    make_of(2, (struct shoal_queue_options){
                   .capacity = 4, .producers = 8, .consumers = 8, .kind = kind, .lease_ns = 1000000});
    put(Q[0], 1), put(Q[1], 2);
    struct peer p = bear(stands_inside, 0);
    stop(&p);
    struct shoal_case c[] = {number_queue_on_get(Q[0], &v), number_queue_on_get(Q[1], &v),
                             shoal_on_time(shoal_after_ms(50))};
    c[0].turn_ = 3;  // the search begins there
    assert_int_equal(shoal_select(c, 3, SHOAL_FOREVER), 1);
    assert_int_equal(v, 2);
    assert_int_equal(shoal_select(c, 3, SHOAL_FOREVER), 2);
    c[2] = shoal_on_nothing();
    c[0].turn_ = 3;
    assert_int_equal(shoal_select(c, 3, SHOAL_TRY), -EAGAIN);
    assert_int_equal(shoal_select(c, 3, shoal_after_ms(30)), -ETIMEDOUT);
    kill(p.pid, SIGCONT);
    shoal_store32_seq_cst(&shared()->stage, 1);
    assert_int_equal(shoal_select(c, 3, SHOAL_FOREVER), 0);
    assert_int_equal(v, 1);
    peer_join(&p);
    unmake();
  }
}
static void dies_with_one(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_loan loan;
  CHECK(shoal_queue_receive(attach(memory, i), &loan, SHOAL_TRY) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  _exit(0);
}
// Who cannot go in leaves a dead role there alone: those who sleep at the queue are not told to look again for nothing.
static void test_a_dead_one_beside_one_who_is_stopped_inside(void **state) {
  (void)state;
  uint64_t v = 0;
  struct shoal_queue_info before, after;
  born = 0;
  make_of(2, (struct shoal_queue_options){.capacity = 4, .producers = 8, .consumers = 8, .kind = SHOAL_QUEUE_FIFO});
  put(Q[0], 1);
  struct shoal_case c[] = {number_queue_on_get(Q[0], &v), number_queue_on_get(Q[1], &v)};
  struct peer dead = bear(dies_with_one, 0);
  peer_join(&dead);
  assert_int_equal(shoal_queue_join(Q[0], SHOAL_CONSUMER), 0);
  shoal_role_hold(&Q[0]->wait, shoal_role_known(&Q[0]->wait, SHOAL_CONSUMER));
  struct peer p = bear(stands_inside, 0);
  stop(&p);
  assert_int_equal(shoal_queue_info(Q[0], &before), 0);
  assert_int_equal(shoal_select(c, 2, shoal_after_ms(60)), -ETIMEDOUT);
  assert_int_equal(shoal_queue_info(Q[0], &after), 0);
  assert_int_equal(after.reaped, 0);
  assert_int_equal(after.rings, before.rings);
  kill(p.pid, SIGCONT);
  shoal_store32_seq_cst(&shared()->stage, 1);
  assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 0);
  assert_int_equal(v, 1);
  peer_join(&p);
  unmake();
}
// All roles are taken, one of them by a dead one, who cannot be taken out beside one who is stopped inside: who comes
// to be the third waits as long as it says, alone or beside other cases.
static void test_a_newcomer_beside_one_who_is_stopped_inside(void **state) {
  (void)state;
  uint64_t v = 0;
  born = 0;
  make_of(2, (struct shoal_queue_options){.capacity = 4, .producers = 8, .consumers = 2, .kind = SHOAL_QUEUE_FIFO});
  put(Q[0], 1);
  struct peer dead = bear(dies_with_one, 0);
  peer_join(&dead);
  struct peer p = bear(stands_inside, 0);
  stop(&p);
  shoal_deadline later = shoal_after_ns(SHOAL_RECHECK_NS + SHOAL_RECHECK_NS / 4);
  struct shoal_case c[] = {number_queue_on_get(Q[0], &v), number_queue_on_get(Q[1], &v),
                           shoal_on_time(shoal_after_ns(2 * SHOAL_RECHECK_NS + SHOAL_RECHECK_NS / 2))};
  assert_int_equal(shoal_select(c, 1, later), -ETIMEDOUT);
  assert_true(shoal_deadline_passed(later));
  assert_int_equal(shoal_select(c, 3, SHOAL_FOREVER), 2);
  // a descriptor that is ready between two looks
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  struct itimerspec when = {.it_value = {1, 250000000}};
  assert_int_equal(timerfd_settime(timer, 0, &when, NULL), 0);
  c[1] = shoal_on_fd(timer, POLLIN);
  assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 1);
  close(timer);
  c[1] = number_queue_on_get(Q[1], &v);
  assert_int_equal(shoal_select(c, 2, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_select(c, 1, SHOAL_TRY), -ETIMEDOUT);
  put(Q[1], 2);
  assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 1);
  assert_int_equal(v, 2);
  kill(p.pid, SIGCONT);
  shoal_store32_seq_cst(&shared()->stage, 1);
  assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 0);
  assert_int_equal(v, 1);
  peer_join(&p);
  unmake();
}
static uint64_t answer(unsigned i) { return shoal_load64_relaxed(&shared()->answers[i]); }

static void test_two_selects_and_a_message_each(void **state) {
  (void)state;
  for (int round = 0; round < 40; round++) {
    make_two();
    struct peer p[2] = {bear(selects_one, 0), bear(selects_one, 1)};
    if (round % 2) fall_asleep(p, 2);
    else shoal_store32_seq_cst(&shared()->stage, 2);
    put(Q[0], 1), put(Q[round / 2 % 2], 2);
    peer_join(&p[0]);
    peer_join(&p[1]);
    assert_int_equal(answer(0) + answer(1), 3);
    unmake();
  }
}

// The select is woken for both; it takes one, and who sleeps behind it at the other is to have that.
static void test_a_wake_that_is_not_used_is_handed_on(void **state) {
  (void)state;
  for (int stopped = 0; stopped < 2; stopped++) {
    make_two();
    struct peer p[3] = {bear(selects_one, 2), bear(gets_one, 0), bear(gets_one, 1)};
    fall_asleep(p, 3);
    if (stopped) stop(&p[0]);
    put(Q[0], 1), put(Q[1], 2);
    if (stopped) kill(p[0].pid, SIGCONT);
    await(&shared()->done, 2);
    put(Q[answer(0) ? 1 : 0], 4);  // for the third: a get, or the select, for which any is right
    for (int i = 0; i < 3; i++) peer_join(&p[i]);
    assert_int_equal(answer(0) + answer(1) + answer(2), 7);
    unmake();
  }
}
static void test_who_only_looked_hands_on(void **state) {
  (void)state;
  make_two();
  struct peer p[3] = {bear(looks_only, 0), bear(looks_only, 0), bear(gets_one, 0)};
  fall_asleep(p, 3);
  put(Q[0], 1);
  peer_join(&p[0]);
  peer_join(&p[2]);
  put(Q[1], 2);  // the other one may have found the message gone
  peer_join(&p[1]);
  unmake();
}
static void a_woken_select_is_killed(arena_body survivor) {
  for (unsigned k = 0; k < 2; k++) {
    make_two();
    struct peer p[2] = {bear(selects_one, 2), bear(survivor, k)};
    fall_asleep(p, 2);
    stop(&p[0]);
    put(Q[k], 1);  // wakes the first
    peer_kill(&p[0]);
    peer_join(&p[1]);
    assert_int_equal(answer(k), 1);
    unmake();
  }
}
static void test_a_woken_select_is_killed(void **state) { (void)state, a_woken_select_is_killed(gets_one); }
static void test_a_woken_select_is_killed_before_another(void **state) {
  (void)state, a_woken_select_is_killed(selects_one);
}

// What a select takes from a joinable queue is in hand until task_done: its death is seen at once, as a get's is.
static void keeps_what_it_took(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory, 0);
  uint64_t v = 0;
  struct shoal_case c = number_queue_on_get(q, &v);
  (void)i;
  CHECK(shoal_select(&c, 1, SHOAL_TRY) == 0 && v == 5);
  shoal_add32_seq_cst(&s->ready, 1);
  for (;;) pause();
}
static void test_what_a_dead_select_had_taken_comes_again(void **state) {
  (void)state;
  born = 0;
  make_of(1, (struct shoal_queue_options){.capacity = 4, .producers = 8, .consumers = 8, .joinable = 1});
  put(Q[0], 5);
  struct peer p[2] = {bear(keeps_what_it_took, 0), bear(gets_one, 0)};
  shoal_store32_seq_cst(&shared()->stage, 2);
  peer_asleep(&p[1]);
  peer_kill(&p[0]);
  peer_join(&p[1]);
  assert_int_equal(answer(0), 5);
  unmake();
}

// Two queues and a way back; puts and gets by selects and by plain calls, each message once.
#define EACH 6000u
#define PRODUCERS 3u
static void many(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q[3];
  uint64_t in = 0, out;
  for (uint32_t k = 0; k < 3; k++) q[k] = attach(memory, k);
  int producer = i < PRODUCERS;
  for (int k = 0; k < 3; k++) CHECK(shoal_queue_join(q[k], producer ? SHOAL_PRODUCER : SHOAL_CONSUMER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->ready, PRODUCERS + 4);
  if (producer) {
    struct shoal_case c[] = {number_queue_on_put(q[0], &out), number_queue_on_put(q[1], &out),
                             number_queue_on_put(q[2], &out)};
    for (uint32_t n = 0; n < EACH; n++) {
      out = i * EACH + n;
      if (i == 0) CHECK(number_queue_put(q[n % 3], &out, SHOAL_FOREVER) == 0);
      else CHECK(shoal_select(c, 3, SHOAL_FOREVER) >= 0);
    }
  } else {
    struct shoal_case c[] = {number_queue_on_get(q[0], &in), number_queue_on_get(q[1], &in),
                             number_queue_on_get(q[2], &in)};
    uint32_t open = i == PRODUCERS ? 1 : 3;
    while (open) {
      int rc, k = 0;
      if (i == PRODUCERS) rc = number_queue_get(q[0], &in, SHOAL_FOREVER);
      else k = shoal_select(c, 3, SHOAL_FOREVER), rc = c[k < 0 ? 0 : k].result;
      CHECK(k >= 0 && (rc == 0 || rc == -EPIPE));
      if (rc) c[k] = shoal_on_nothing(), open--;
      else CHECK(in < LEDGER && __atomic_fetch_add(&s->ledger[in], 1, __ATOMIC_RELAXED) == 0);
      if (rc == 0) shoal_add64_relaxed(&s->sum, 1);
    }
  }
  for (uint32_t k = 0; k < 3; k++) CHECK(shoal_queue_detach(q[k]) == 0);
}
static void test_many(enum driver driver, struct shoal_queue_options o) {
  make_of(3, o);
  run(&arena, driver, PRODUCERS + 4, many);
  assert_int_equal(shoal_load64_relaxed(&shared()->sum), PRODUCERS * EACH);
  unmake();
}
static void test_many_threads(void **state) {
  (void)state;
  test_many(THREADS, (struct shoal_queue_options){.capacity = 2});
}
static void test_many_processes(void **state) {
  (void)state;
  test_many(PROCESSES, (struct shoal_queue_options){.capacity = 2});
  test_many(PROCESSES, (struct shoal_queue_options){.capacity = 64});
}

// One message at a time, and the next only when it has come: a lost wake-up is not made good by what comes later.
static void one_at_a_time(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q[2] = {attach(memory, 0), attach(memory, 1)};
  uint64_t v = 0;
  struct shoal_case c[] = {number_queue_on_get(q[0], &v), number_queue_on_get(q[1], &v)};
  int side = i ? SHOAL_CONSUMER : SHOAL_PRODUCER;
  CHECK(shoal_queue_join(q[0], side) == 0 && shoal_queue_join(q[1], side) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->ready, 5);
  for (uint32_t n = 0; i == 0 && n < 2 * EACH; n += 2) {
    put(q[0], n), put(q[n / 2 % 2], n + 1);
    await(&s->done, n + 2);
  }
  if (i == 0) shoal_queue_close(q[0]), shoal_queue_close(q[1]);
  while (i) {
    int k = i < 4 ? shoal_select(c, 2, SHOAL_FOREVER) : 0;
    int rc = i < 4 ? c[k].result : number_queue_get(q[0], &v, SHOAL_FOREVER);
    CHECK(k >= 0 && (rc == 0 || rc == -EPIPE));
    if (rc) break;
    shoal_add32_seq_cst(&s->done, 1);
  }
  CHECK(shoal_queue_detach(q[0]) == 0 && shoal_queue_detach(q[1]) == 0);
}
static void test_one_at_a_time(enum driver driver) {
  make(2);
  run(&arena, driver, 5, one_at_a_time);
  assert_int_equal(shoal_load32_relaxed(&shared()->done), 2 * EACH);
  unmake();
}
static void test_one_at_a_time_threads(void **state) { (void)state, test_one_at_a_time(THREADS); }
static void test_one_at_a_time_processes(void **state) { (void)state, test_one_at_a_time(PROCESSES); }

// ---- 6 ----

static void echoes_64(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_case cases[QUEUES];
  uint64_t v;
  (void)i;
  for (uint32_t k = 0; k < QUEUES; k++) cases[k] = number_queue_on_get(attach(memory, k), &v);
  for (uint32_t n = 0; n < 2 * QUEUES; n++) {
    int k = shoal_select(cases, QUEUES, SHOAL_FOREVER);
    CHECK(k >= 0 && cases[k].result == 0 && v == (uint64_t)k);
    shoal_store32_seq_cst(&s->done, n + 1);
  }
}
static void test_sixty_four(void **state) {
  (void)state;
  make(QUEUES);
  for (uint32_t k = 0; k < QUEUES; k++) assert_int_equal(shoal_queue_join(Q[k], SHOAL_PRODUCER), 0);
  struct peer p = peer_start(&arena, echoes_64, 0);
  for (uint32_t n = 0; n < 2 * QUEUES; n++) {
    if (n % 5 == 0) peer_asleep(&p);
    put(Q[n * 37 % QUEUES], n * 37 % QUEUES);
    await(&shared()->done, n + 1);
  }
  peer_join(&p);
  unmake();
}

// The watcher's thread does not come along with fork. ThreadSanitizer does not follow a fork of several threads.
static void test_descriptors_in_a_child(void **state) {
  (void)state;
#ifdef __SANITIZE_THREAD__
  skip();
#endif
  uint64_t v;
  int a[2], b[2];
  make(1);
  assert_int_equal(shoal_queue_join(Q[0], SHOAL_PRODUCER), 0);
  assert_true(pipe(a) == 0 && pipe(b) == 0);
  struct shoal_case cases[] = {shoal_on_fd(a[0], POLLIN), number_queue_on_get(Q[0], &v)};
  assert_int_equal(shoal_select(cases, 2, shoal_after_ms(5)), -ETIMEDOUT);
  fflush(NULL);
  struct peer p = {fork()};
  if (p.pid == 0) {
    char byte;
    int rc = shoal_select(cases, 2, SHOAL_FOREVER);
    _exit(rc == 0 && read(a[0], &byte, 1) == 1 && write(b[1], "y", 1) == 1 ? 0 : 1);
  }
  peer_asleep(&p);
  assert_int_equal(write(a[1], "x", 1), 1);
  cases[0] = shoal_on_fd(b[0], POLLIN);
  assert_int_equal(shoal_select(cases, 2, SHOAL_FOREVER), 0);
  peer_join(&p);
  for (int i = 0; i < 2; i++) close(a[i]), close(b[i]);
  unmake();
}

// ---- 7 ----

static int is_readable(int fd, int ms) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  return poll(&p, 1, ms) == 1;
}
static void loops(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_selector *sel;
  uint64_t v;
  struct shoal_queue *q[2] = {attach(memory, 0), attach(memory, 1)};
  struct shoal_case c[] = {number_queue_on_get(q[0], &v), number_queue_on_get(q[1], &v), shoal_on_event(&s->event)};
  (void)i;
  CHECK(shoal_selector_open(&sel) == 0);
  for (int rc, ends = 0; ends < 2;) {
    while ((rc = shoal_selector_arm(sel, c, 3)) == 1) {
      int k = shoal_select(c, 3, SHOAL_TRY);
      CHECK(k >= 0 || k == -EAGAIN);
      if (k < 0) continue;
      if (k == 2) shoal_event_clear(&s->event);
      else if (c[k].result) c[k] = shoal_on_nothing(), ends++;
      shoal_add32_seq_cst(&s->done, 1);
    }
    CHECK(rc == 0);
    if (ends < 2) CHECK(is_readable(shoal_selector_fd(sel), -1));
  }
  CHECK(shoal_selector_close(sel) == 0);
  for (int k = 0; k < 2; k++) CHECK(shoal_queue_detach(q[k]) == 0);
}
static void test_an_event_loop(void **state) {
  (void)state;
  make_two();
  struct peer p = peer_start(&arena, loops, 0);
  for (uint32_t n = 0; n < 600; n++) {
    if (n % 3 == 2) assert_int_equal(shoal_event_set(&shared()->event), 0);
    else put(Q[n % 3], n);
    await(&shared()->done, n + 1);
  }
  shoal_queue_close(Q[0]), shoal_queue_close(Q[1]);
  peer_join(&p);
  unmake();
}
// Woken for a message that its loop does not come to take: another, asleep behind it, does.
static void test_a_loop_that_is_busy(void **state) {
  (void)state;
#ifdef __SANITIZE_THREAD__
  skip();
#endif
  struct shoal_selector *sel;
  uint64_t v;
  make_two();
  struct shoal_case c[] = {number_queue_on_get(Q[0], &v), shoal_on_readable(Q[1])}, fd = shoal_on_fd(0, POLLIN);
  assert_int_equal(shoal_selector_open(&sel), 0);
  assert_int_equal(shoal_selector_arm(sel, &fd, 1), -EINVAL);
  assert_int_equal(shoal_selector_arm(sel, c, 2), 0);
  assert_int_equal(shoal_selector_arm(sel, c, 2), 0);
  struct peer p = bear(gets_one, 0);
  fall_asleep(&p, 1);
  put(Q[0], 5);
  peer_join(&p);
  assert_int_equal(answer(0), 5);
  put(Q[1], 6);
  assert_true(is_readable(shoal_selector_fd(sel), -1));
  assert_int_equal(shoal_selector_arm(sel, c, 2), 1);
  assert_int_equal(shoal_select(c, 2, SHOAL_TRY), 1);
  fflush(NULL);
  struct peer child_ = {fork()};
  if (child_.pid == 0) _exit(shoal_selector_arm(sel, c, 2) == -EPERM && shoal_selector_close(sel) == 0 ? 0 : 1);
  peer_join(&child_);
  get(Q[1]);
  assert_int_equal(shoal_selector_arm(sel, c, 2), 0);
  assert_int_equal(shoal_selector_close(sel), 0);
  unmake();
}

// ---- 8 ----

static struct shoal_segment *seg;
static struct shoal_heap *heap;
static void make_segment(void) {
  assert_int_equal(shoal_segment_create(NULL, &(struct shoal_segment_options){.size = 8 << 20}, &seg), 0);
  assert_int_equal(shoal_heap_open(seg, &heap), 0);
  arena_make(&arena, sizeof(struct shared));
}
static void unmake_segment(void) {
  assert_int_equal(shoal_heap_close(heap), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
  arena_free(&arena);
}
static uint64_t blocks(void) {
  struct shoal_heap_info info;
  CHECK(shoal_heap_info(heap, &info) == 0);
  return info.blocks;
}

#define LONG 3000u
static char text[LONG], got[LONG];
static void test_byte_messages(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_PRIORITY; kind++) {
    make_segment();
    struct shoal_queue *q[2];
    const struct shoal_queue_options o = {.capacity = 2, .bytes = 1, .kind = kind};
    for (int k = 0; k < 2; k++) assert_int_equal(shoal_queue_create(seg, k ? "b" : "a", &o, &q[k]), 0);
    uint64_t size = 0, before = blocks(), n = 0;
    struct shoal_case c[] = {shoal_on_recv(q[0], got, LONG, &size), shoal_on_send(q[1], text, LONG)};
    memset(text, 'x', LONG);
    while (shoal_select(c, 2, SHOAL_TRY) == 1) n++;
    assert_true(n >= 2);
    assert_int_equal(blocks(), before + n);
    assert_int_equal(shoal_select(c, 2, shoal_after_ms(2)), -ETIMEDOUT);
    assert_int_equal(blocks(), before + n);  // none for what was not sent
    assert_int_equal(shoal_queue_send(q[0], text, LONG, SHOAL_TRY), 0);
    c[0].size = 5;
    assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 0);
    assert_true(c[0].result == -EMSGSIZE && size == LONG);
    c[0].size = LONG;
    assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 0);
    assert_true(c[0].result == 0 && size == LONG && !memcmp(got, text, LONG));
    c[1].size = 0;
    assert_int_equal(shoal_queue_recv(q[1], got, LONG, &size, SHOAL_TRY), 0);
    if (kind != SHOAL_QUEUE_SPSC) assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 1);
    c[1].size = UINT64_MAX;
    assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), -EMSGSIZE);
    assert_true(shoal_queue_clear(q[1]) > 0);
    assert_int_equal(blocks(), before);
    for (int k = 0; k < 2; k++) assert_int_equal(shoal_queue_detach(q[k]), 0);
    unmake_segment();
  }
}

static void test_byte_messages_by_their_keys(void **state) {
  (void)state;
  const int64_t keys[] = {5, INT64_MIN, 5, -3};
  const unsigned order[] = {1, 3, 0, 2};
  struct shoal_queue *q, *unsorted;
  make_segment();
  const struct shoal_queue_options o = {.capacity = 4, .bytes = 1, .kind = SHOAL_QUEUE_PRIORITY};
  const struct shoal_queue_options other = {.capacity = 4, .bytes = 1};
  assert_int_equal(shoal_queue_create(seg, "a", &o, &q), 0);
  assert_int_equal(shoal_queue_create(seg, "b", &other, &unsorted), 0);
  for (unsigned i = 0; i < 4; i++) {  // in the slot, and in a block
    memset(text, (int)i, LONG);
    struct shoal_case c[] = {shoal_on_nothing(), shoal_on_send_key(q, keys[i], text, i < 2 ? 40 : LONG)};
    assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 1);
  }
  struct shoal_case c[] = {shoal_on_nothing(), shoal_on_send_key(q, 1, text, LONG)};
  assert_int_equal(shoal_select(c, 2, SHOAL_TRY), -EAGAIN);
  for (unsigned k = 0; k < 4; k++) {
    uint64_t size, is = order[k] < 2 ? 40 : LONG;
    c[1] = shoal_on_recv(q, text, is - 1, &size);
    assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 1);
    assert_true(c[1].result == -EMSGSIZE && c[1].key == keys[order[k]] && size == is);
    c[1] = shoal_on_recv(q, text, LONG, &size);
    assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 1);
    assert_true(c[1].result == 0 && c[1].key == keys[order[k]] && size == is);
    assert_int_equal(text[39], order[k]);
  }
  c[1] = shoal_on_send(q, text, 1);
  assert_int_equal(shoal_select(c, 2, SHOAL_TRY), 1);
  c[1] = shoal_on_send_key(unsorted, 1, text, 1);
  assert_int_equal(shoal_select(c, 2, SHOAL_TRY), -EINVAL);
  assert_string_equal(shoal_reason(), "case 1: a key in a queue that is sorted by none");
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_queue_detach(unsorted), 0);
  unmake_segment();
}

// The other ends: answers each message with one of the same size, then waits for the end.
static struct shoal_pipe *ends[2], *numbers[2];
static void answers(void *memory, unsigned i) {
  uint64_t size = 0, number = 0, left = 2;
  struct shoal_case c[] = {shoal_on_pipe_recv(ends[1], got, LONG, &size), number_pipe_on_recv(numbers[1], &number)};
  (void)memory, (void)i;
  while (left) {
    int k = shoal_select(c, 2, SHOAL_FOREVER);
    CHECK(k >= 0);
    if (c[k].result == -EPIPE) {
      c[k] = shoal_on_nothing(), left--;
      continue;
    }
    struct shoal_case one = k ? number_pipe_on_send(numbers[1], &number) : shoal_on_pipe_send(ends[1], got, size);
    CHECK(c[k].result == 0 && shoal_select(&one, 1, SHOAL_FOREVER) == 0);
  }
}
static void test_pipes(void **state) {
  (void)state;
  make_segment();
  const struct shoal_pipe_options o = {.capacity = 4, .duplex = 1};
  assert_int_equal(shoal_pipe_create(seg, NULL, &o, ends), 0);
  assert_int_equal(number_pipe_create(seg, NULL, &o, numbers), 0);
  struct peer p = peer_start(&arena, answers, 0);
  assert_int_equal(shoal_pipe_give(&ends[1], (uint32_t)p.pid), 0);
  assert_int_equal(shoal_pipe_give(&numbers[1], (uint32_t)p.pid), 0);
  uint64_t size = 0, number = 0;
  struct shoal_case c[] = {shoal_on_pipe_recv(ends[0], got, LONG, &size), number_pipe_on_recv(numbers[0], &number),
                           shoal_on_pipe_readable(ends[0]), shoal_on_pipe_writable(ends[0])};
  for (uint64_t n = 1; n <= 200; n++) {
    uint64_t out = n;
    memset(text, (int)n, LONG);
    assert_int_equal(shoal_select(&c[3], 1, SHOAL_FOREVER), 0);
    if (n % 2) assert_int_equal(shoal_pipe_send(ends[0], text, n * 15, SHOAL_FOREVER), 0);
    else assert_int_equal(number_pipe_send(numbers[0], &out, SHOAL_FOREVER), 0);
    assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), n % 2 ? 0 : 1);
    if (n % 2) assert_true(size == n * 15 && !memcmp(got, text, size));
    else assert_int_equal(number, n);
  }
  assert_int_equal(shoal_select(&c[2], 1, SHOAL_TRY), -EAGAIN);
  if (!peer_is_asleep(&p)) peer_asleep(&p);
  peer_kill(&p);
  for (int k = 0; k < 2; k++) {  // its death is both ends', at once
    assert_int_equal(shoal_select(&c[k], 1, SHOAL_FOREVER), 0);
    assert_int_equal(c[k].result, -EPIPE);
  }
  assert_int_equal(shoal_pipe_close(&ends[0]), 0);
  assert_int_equal(shoal_pipe_close(&numbers[0]), 0);
  unmake_segment();
}
static void test_directions_of_pipes(void **state) {
  (void)state;
  make_segment();
  uint64_t size, number[3] = {1, 2, 3};
  assert_int_equal(number_pipe_create(seg, NULL, &(struct shoal_pipe_options){.capacity = 4}, numbers), 0);
  assert_int_equal(shoal_pipe_create(seg, NULL, &(struct shoal_pipe_options){.capacity = 4}, ends), 0);
  struct shoal_case wrong[] = {shoal_on_pipe_recv(ends[1], got, LONG, &size),
                               shoal_on_pipe_send(ends[0], text, 1),
                               shoal_on_pipe_readable(ends[1]),
                               shoal_on_pipe_writable(ends[0]),
                               number_pipe_on_recv(numbers[1], number),
                               number_pipe_on_send(numbers[0], number)};
  for (int k = 0; k < 6; k++) assert_int_equal(shoal_select(&wrong[k], 1, SHOAL_TRY), -EPERM);
  struct shoal_case typed = shoal_on_pipe_send(numbers[1], text, 8);
  assert_int_equal(shoal_select(&typed, 1, SHOAL_TRY), -EBADMSG);
  struct iovec two[2] = {{text, 100}, {text, 3}};
  assert_int_equal(shoal_pipe_send_n(ends[0], two, 2, SHOAL_TRY), -EPERM);
  assert_int_equal(shoal_pipe_send_n(numbers[1], two, 2, SHOAL_TRY), -EBADMSG);
  assert_int_equal(number_pipe_send_n(ends[1], number, 3, SHOAL_TRY), -EBADMSG);
  assert_int_equal(number_pipe_send_n(numbers[0], number, 3, SHOAL_TRY), -EPERM);
  assert_int_equal(shoal_pipe_send_n(ends[1], two, 2, SHOAL_TRY), 2);
  assert_int_equal(shoal_pipe_peek(ends[0], NULL, 0, &size, SHOAL_TRY), -EMSGSIZE);
  assert_int_equal(size, 100);
  two[0].iov_base = got;
  assert_int_equal(shoal_pipe_recv_n(ends[0], two, 2, SHOAL_TRY), 2);
  assert_true(two[0].iov_len == 100 && two[1].iov_len == 3);
  assert_int_equal(number_pipe_send_n(numbers[1], number, 3, SHOAL_TRY), 3);
  memset(number, 0, sizeof number);
  assert_int_equal(number_pipe_recv_n(numbers[0], number, 3, SHOAL_TRY), 3);
  assert_int_equal(number[2], 3);
  for (int k = 0; k < 2; k++) {
    assert_int_equal(shoal_pipe_close(&ends[k]), 0);
    assert_int_equal(shoal_pipe_close(&numbers[k]), 0);
  }
  unmake_segment();
}

// ---- 9 ----

static void make_held(void) {
  born = 0;
  make(1);
  for (int k = 0; k < 2; k++) assert_int_equal(shoal_semaphore_init(&shared()->held[k].s, 1, 2, 0), 0);
}
static uint32_t value_of(struct shoal_semaphore *s) {
  struct shoal_semaphore_info info;
  CHECK(shoal_semaphore_info(s, &info) == 0);
  return info.value;
}
// Takes a permit of the first semaphore, or of the second, or a message; the permit is held until its end.
static void selects_a_permit(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory, 0);
  uint64_t v = 0;
  struct shoal_case c[] = {shoal_on_acquire(&s->held[i % 2].s), shoal_on_acquire(&s->held[!(i % 2)].s),
                           number_queue_on_get(q, &v)};
  line_up(s, c, 3);
  int k = shoal_select(c, 3, SHOAL_FOREVER);
  CHECK(k >= 0 && c[k].result == 0);
  took(s, i, 1 + (uint64_t)k);
  CHECK(shoal_queue_detach(q) == 0);
}
static void acquires(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_case c = shoal_on_acquire(&s->held[i % 2].s);
  line_up(s, &c, 1);
  CHECK(shoal_semaphore_acquire(&s->held[i % 2].s, SHOAL_FOREVER) == 0);
  took(s, i, 9);
}
static void holds_both(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  for (int k = 0; k < 2; k++) CHECK(shoal_semaphore_acquire(&s->held[k].s, SHOAL_FOREVER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  for (;;) pause();
}
static struct peer bear_holder(void) { return bear(holds_both, 0); }

static void test_a_permit_is_taken_by_one(void **state) {
  (void)state;
  make_held();
  assert_int_equal(shoal_queue_join(Q[0], SHOAL_PRODUCER), 0);
  struct shoal_case c[] = {shoal_on_acquire(&shared()->held[0].s), shoal_on_acquire(&shared()->held[1].s)};
  int first = shoal_select(c, 2, SHOAL_TRY);
  assert_true(first >= 0);
  assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), !first);
  assert_int_equal(shoal_select(c, 2, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_select(c, 2, shoal_after_ms(2)), -ETIMEDOUT);
  for (int k = 0; k < 2; k++) {
    assert_int_equal(value_of(&shared()->held[k].s), 0);
    assert_int_equal(shoal_semaphore_release(&shared()->held[k].s), 0);
    assert_int_equal(value_of(&shared()->held[k].s), 1);
  }
  unmake();
}

// The holder is killed: both permits come back, to two that sleep for either; in a select, or not.
static void test_a_dead_holders_permits(void **state) {
  (void)state;
  for (unsigned plain = 0; plain < 2; plain++) {
    make_held();
    assert_int_equal(shoal_queue_join(Q[0], SHOAL_PRODUCER), 0);
    struct peer holder = bear_holder();
    struct peer p[2] = {bear(selects_a_permit, 0), bear(plain ? acquires : selects_a_permit, 1)};
    shoal_store32_seq_cst(&shared()->stage, 3);
    peer_asleep(&p[0]), peer_asleep(&p[1]);
    peer_kill(&holder);
    if (!plain) peer_join(&p[0]);
    peer_join(&p[1]);
    if (plain) peer_join(&p[0]);
    unmake();
  }
}

// The select is woken for a permit and for a message, and takes one: who sleeps behind it has the other. Or it is
// killed.
static void test_a_permits_wake_is_handed_on(void **state) {
  (void)state;
  for (int killed = 0; killed < 2; killed++) {
    make_held();
    assert_int_equal(shoal_queue_join(Q[0], SHOAL_PRODUCER), 0);
    for (int k = 0; k < 2; k++) assert_int_equal(shoal_semaphore_acquire(&shared()->held[k].s, SHOAL_TRY), 0);
    struct peer p[2] = {bear(selects_a_permit, 0), bear(acquires, 2)};
    for (unsigned i = 0; i < 2; i++) {
      shoal_store32_seq_cst(&shared()->stage, i + 1);
      peer_asleep(&p[i]);
    }
    stop(&p[0]);
    assert_int_equal(shoal_semaphore_release(&shared()->held[0].s), 0);  // wakes the select
    put(Q[0], 5);
    if (killed) peer_kill(&p[0]);
    else kill(p[0].pid, SIGCONT);
    if (!killed) {
      await(&shared()->done, 1);
      if (answer(0) == 1) assert_int_equal(shoal_semaphore_release(&shared()->held[0].s), 0);  // a second permit
      peer_join(&p[0]);
    }
    peer_join(&p[1]);
    assert_int_equal(answer(2), 9);
    if (info_of(Q[0]).size) assert_int_equal(get(Q[0]), 5);
    assert_int_equal(shoal_semaphore_release(&shared()->held[1].s), 0);  // before it is unmapped
    unmake();
  }
}

// Two semaphores, four who take either and give it back: never more inside than there are permits.
static void takes_either(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_case c[] = {shoal_on_acquire(&s->held[0].s), shoal_on_acquire(&s->held[1].s)};
  for (uint32_t n = 0; n < 500; n++) {
    int k = 0,
        rc = i ? (k = shoal_select(c, 2, SHOAL_FOREVER), 0) : shoal_semaphore_acquire(&s->held[0].s, SHOAL_FOREVER);
    CHECK(k >= 0 && rc == 0);
    CHECK(shoal_add64_relaxed(&s->answers[k], 1) == 0);
    if (n % 16 == 0) sched_yield();
    shoal_add64_relaxed(&s->answers[k], UINT64_MAX);
    shoal_add64_relaxed(&s->sum, 1);
    CHECK(shoal_semaphore_release(&s->held[k].s) == 0);
  }
}
static void either(enum driver driver) {
  make_held();
  run(&arena, driver, 4, takes_either);
  assert_int_equal(shoal_load64_relaxed(&shared()->sum), 4 * 500);
  for (int k = 0; k < 2; k++) assert_int_equal(value_of(&shared()->held[k].s), 1);
  unmake();
}
static void test_either_permit_threads(void **state) { (void)state, either(THREADS); }
static void test_either_permit_processes(void **state) { (void)state, either(PROCESSES); }

static void test_all_that_is_ready(void **state) {
  (void)state;
  struct shoal_case c[KINDS + 1];
  begin(SHOAL_QUEUE_MPMC);
  uint32_t n = mix(arena.memory, Q, -1, c);
  assert_int_equal(shoal_select_ready(c, n, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_select_ready(c, n, shoal_after_ms(2)), -ETIMEDOUT);
  make_ready(GETS), make_ready(ACQUIRES), make_ready(POLLS);
  for (int again = 0; again < 2; again++) {
    assert_int_equal(shoal_select_ready(c, n, SHOAL_FOREVER), 3);
    for (int k = 0; k <= KINDS; k++) assert_int_equal(c[k].ready, k == GETS || k == ACQUIRES || k == POLLS);
    assert_int_equal(c[POLLS].result, POLLIN);
    assert_true(c[GETS].result == 0 && element == 0 && info_of(Q[0]).size == 1);
  }
  assert_int_equal(shoal_queue_close(Q[1]), 0);
  assert_int_equal(shoal_select_ready(c, n, SHOAL_FOREVER), 4);
  assert_true(c[PUTS].ready && c[PUTS].result == -EPIPE);
  end();
}

// ---- 9 ----

SHOAL_TOPIC_TYPED(topic_of, uint64_t)
SHOAL_TOPIC_SELECT_TYPED(topic_of, uint64_t)

static struct shoal_segment *topic_seg;
static struct shoal_topic *topic;
static void make_topic(uint32_t capacity) {
  static const struct shoal_segment_options small = {.size = 1 << 20, .size_max = 1 << 22, .participants = 32};
  struct shoal_topic_options o = {.capacity = capacity, .publishers = 4, .subscribers = 8, .groups = 2};
  assert_int_equal(shoal_segment_create(NULL, &small, &topic_seg), 0);
  assert_int_equal(topic_of_create(topic_seg, "t", &o, &topic), 0);
}
static void unmake_topic(void) {
  struct shoal_topic_info info;
  assert_int_equal(shoal_topic_info(topic, &info), 0);
  assert_int_equal(info.late, 0);
  assert_int_equal(shoal_topic_detach(topic), 0);
  assert_int_equal(shoal_segment_close(topic_seg), 0);
}
static struct shoal_topic *open_topic(void) {
  struct shoal_topic *t;
  CHECK(topic_of_open(topic_seg, "t", &t) == 0);
  return t;
}
static void subscribe(struct shoal_topic *t, uint32_t slow, const char *group) {
  CHECK(shoal_topic_subscribe(t, &(struct shoal_topic_subscription){.slow = slow, .group = group}) == 0);
}
static int publish(uint64_t v) { return topic_of_publish(topic, &v, SHOAL_TRY); }

// A message in the ring, a hole before it, one that was passed over: alone, dropping, and in a group.
static void test_a_topic_is_read(void **state) {
  (void)state;
  static const char *const groups[] = {NULL, NULL, "g", "g"};
  for (uint32_t way = 0; way < 4; way++) {
    uint32_t slow = way % 2 ? SHOAL_TOPIC_DROP : SHOAL_TOPIC_WAIT;
    uint64_t v = 77, w;
    struct shoal_loan loan;
    make_topic(4);
    make(1);
    shoal_queue_join(Q[0], SHOAL_PRODUCER);
    struct shoal_topic *t = open_topic();
    struct shoal_case c[] = {topic_of_on_get(t, &v), number_queue_on_get(Q[0], &w), shoal_on_topic_readable(t)};
    assert_int_equal(shoal_select(c, 1, SHOAL_TRY), -EINVAL);
    assert_string_equal(shoal_reason(), "this thread does not subscribe");
    subscribe(t, slow, groups[way]);
    assert_int_equal(shoal_topic_join(topic), 0);
    assert_int_equal(shoal_select(c, 3, SHOAL_TRY), -EAGAIN);
    assert_int_equal(shoal_select(c, 3, shoal_after_ms(1)), -ETIMEDOUT);
    assert_int_equal(shoal_topic_reserve(topic, &loan, SHOAL_TRY), 0);
    assert_int_equal(shoal_select(&c[2], 1, shoal_after_ms(1)), -ETIMEDOUT);
    assert_int_equal(shoal_topic_cancel(topic, &loan), 0);
    assert_int_equal(shoal_select(&c[2], 1, shoal_after_ms(1)), -ETIMEDOUT);  // a hole is no message
    assert_int_equal(publish(1), 0);
    for (int again = 0; again < 2; again++) assert_int_equal(shoal_select(&c[2], 1, SHOAL_FOREVER), 0);
    assert_int_equal(shoal_select_ready(c, 2, SHOAL_TRY), 1);
    assert_true(c[0].ready && !c[1].ready && v == 77);
    c[0].turn_ = 3;  // the first in turn
    assert_int_equal(shoal_select(c, 3, SHOAL_FOREVER), 0);
    assert_int_equal(v, 1);
    assert_int_equal(shoal_select(c, 3, SHOAL_TRY), -EAGAIN);
    for (uint64_t i = 2; i < 12; i++) assert_int_equal(publish(i), slow == SHOAL_TOPIC_DROP || i < 6 ? 0 : -EAGAIN);
    assert_int_equal(shoal_select(&c[2], 1, SHOAL_TRY), 0);
    assert_int_equal(shoal_select(c, 1, SHOAL_TRY), 0);
    assert_true(slow == SHOAL_TOPIC_DROP ? v > 6 : v == 2);
    assert_int_equal(shoal_topic_receive(t, &loan, SHOAL_TRY), 0);
    assert_int_equal(shoal_select(c, 3, SHOAL_FOREVER), -EBUSY);
    assert_int_equal(shoal_topic_return(t, &loan), 0);
    assert_int_equal(shoal_select(&c[2], 1, SHOAL_TRY), 0);  // it came back
    while (shoal_select(c, 1, SHOAL_TRY) == 0) continue;
    put(Q[0], 5);
    assert_int_equal(shoal_select(c, 3, SHOAL_FOREVER), 1);
    assert_int_equal(publish(20), 0);
    shoal_topic_close(topic);
    assert_int_equal(shoal_select(c, 1, SHOAL_FOREVER), 0);
    assert_true(c[0].result == 0 && v == 20);
    assert_int_equal(shoal_select(c, 3, SHOAL_FOREVER) % 2, 0);
    assert_int_equal(c[0].result + c[2].result, -EPIPE);
    assert_int_equal(shoal_topic_detach(t), 0);
    unmake_topic();
    unmake();
  }
}

static void test_a_topic_is_published(void **state) {
  (void)state;
  uint64_t v = 1, w = 0;
  make_topic(2);
  struct shoal_topic *t = open_topic();
  struct shoal_case c[] = {topic_of_on_publish(topic, &v), shoal_on_topic_writable(topic)};
  assert_int_equal(shoal_select(c, 1, SHOAL_FOREVER), 0);  // nobody reads it: it goes
  subscribe(t, SHOAL_TOPIC_WAIT, NULL);
  for (v = 2; v < 4; v++) {
    assert_int_equal(shoal_select(&c[1], 1, SHOAL_TRY), 0);
    assert_int_equal(shoal_select(c, 1, SHOAL_TRY), 0);
  }
  assert_int_equal(shoal_select(c, 2, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_select(c, 2, shoal_after_ms(1)), -ETIMEDOUT);
  for (uint64_t i = 2; i < 4; i++) assert_true(topic_of_get(t, &w, SHOAL_TRY) == 0 && w == i);
  assert_int_equal(topic_of_get(t, &w, SHOAL_TRY), -EAGAIN);
  shoal_topic_close(topic);
  assert_int_equal(shoal_select(c, 1, SHOAL_FOREVER), 0);
  assert_int_equal(c[0].result, -EPIPE);
  assert_int_equal(shoal_select(&c[1], 1, SHOAL_FOREVER), 0);
  assert_int_equal(c[1].result, -EPIPE);
  make(1);
  put(Q[0], 7);
  refused(shoal_on_topic_get(NULL, &v), -EINVAL, "case 1: no topic");
  refused(shoal_on_topic_publish(topic, NULL), -EINVAL, "case 1: no element");
  refused(shoal_on_topic_(SHOAL_CASE_TOPIC_GET, topic, &v, 4), -EBADMSG, "case 1: messages of 8 bytes, not 4");
  assert_int_equal(get(Q[0]), 7);
  unmake();
  assert_int_equal(shoal_topic_detach(t), 0);
  unmake_topic();
}

// Each sleeps for a topic and a queue; all see the one message, and the queue's goes to one of them. A killed one keeps
// nothing.
static void sleeps_for_topic(void *memory, unsigned i) {
  struct shared *s = memory;
  uint64_t v = 0, w = 0;
  struct shoal_topic *t = open_topic();
  struct shoal_queue *q = attach(memory, 0);
  struct shoal_case c[] = {topic_of_on_get(t, &v), number_queue_on_get(q, &w)};
  subscribe(t, SHOAL_TOPIC_WAIT, NULL);
  shoal_add32_seq_cst(&s->ready, 1);
  for (int n = 0; n < 3; n++) {
    int k = shoal_select(c, 2, SHOAL_FOREVER);
    CHECK(k == 1 ? c[1].result == 0 && w == 50 : k == 0 && c[0].result == 0 && v == (uint64_t)n);
    if (k == 0) continue;
    n--;
    shoal_add32_seq_cst(&s->stage, 1);
  }
  shoal_add32_seq_cst(&s->done, 1);
  CHECK(i < 8);
  CHECK(shoal_topic_detach(t) == 0 && shoal_queue_detach(q) == 0);
}
static void test_all_that_sleep_for_a_topic(void **state) {
  (void)state;
  make_topic(4);
  make(1);
  struct peer p[4];
  assert_int_equal(shoal_topic_join(topic), 0);
  assert_int_equal(shoal_queue_join(Q[0], SHOAL_PRODUCER), 0);
  for (unsigned i = 0; i < 4; i++) p[i] = peer_start(&arena, sleeps_for_topic, i);
  await(&shared()->ready, 4);
  for (unsigned i = 0; i < 4; i++) peer_asleep(&p[i]);
  assert_int_equal(publish(0), 0);
  put(Q[0], 50);
  await(&shared()->stage, 1);
  for (unsigned i = 0; i < 4; i++) peer_asleep(&p[i]);
  assert_int_equal(publish(1), 0);
  peer_kill(&p[0]);
  for (uint64_t v = 2; v < 12; v++)  // nobody waits for the dead
    assert_int_equal(topic_of_publish(topic, &v, SHOAL_FOREVER), 0);
  for (unsigned i = 1; i < 4; i++) peer_join(&p[i]);
  unmake();
  unmake_topic();
}

static void dies_with_a_message(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = open_topic();
  struct shoal_loan loan;
  (void)i;
  subscribe(t, SHOAL_TOPIC_WAIT, "g");
  CHECK(shoal_topic_receive(t, &loan, SHOAL_FOREVER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  _exit(0);
}
static void stands_in_a_change(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = open_topic();
  (void)i;
  CHECK(shoal_topic_join(t) == 0 && shoal_robust_acquire_(&t->shm->lock, SHOAL_FOREVER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  while (shoal_load32_seq_cst(&s->stage) == 0) sched_yield();
  shoal_robust_release_(&t->shm->lock);
  CHECK(shoal_topic_detach(t) == 0);
}
static struct shoal_topic_info topic_info(void) {
  struct shoal_topic_info info;
  CHECK(shoal_topic_info(topic, &info) == 0);
  return info;
}
// A dead member is about, and somebody is stopped in a change of groups: that is in no other case's way, nor in the way
// of what is published; and nobody is told to look again for nothing.
static void test_one_is_stopped_in_a_change_of_groups(void **state) {
  (void)state;
  uint64_t v = 0, w = 0;
  born = 0;
  make_topic(4);
  make(1);
  struct shoal_topic *t = open_topic();
  subscribe(t, SHOAL_TOPIC_WAIT, "g");
  assert_int_equal(publish(1), 0);
  assert_int_equal(shoal_queue_join(Q[0], SHOAL_PRODUCER), 0);
  struct peer dead = bear(dies_with_a_message, 0);
  peer_join(&dead);
  struct peer p = bear(stands_in_a_change, 0);
  stop(&p);
  struct shoal_case c[] = {topic_of_on_get(t, &v), number_queue_on_get(Q[0], &w), shoal_on_time(shoal_after_ms(50))};
  c[0].turn_ = 3;  // the search begins there
  assert_int_equal(shoal_select(c, 3, SHOAL_FOREVER), 2);
  struct shoal_topic_info before = topic_info();
  assert_int_equal(shoal_select(c, 2, SHOAL_TRY), -EAGAIN);
  for (uint32_t n = 1; n < 3; n++) assert_int_equal(shoal_select(c, n, shoal_after_ms(30)), -ETIMEDOUT);
  assert_int_equal(topic_info().rings, before.rings);
  assert_int_equal(shoal_select(c, 1, SHOAL_TRY), -ETIMEDOUT);
  assert_int_equal(topic_info().reaped, 0);
  put(Q[0], 5);
  assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 1);
  assert_int_equal(publish(2), 0);
  assert_int_equal(shoal_select(c, 1, SHOAL_FOREVER), 0);
  assert_int_equal(v, 2);
  kill(p.pid, SIGCONT);
  shoal_store32_seq_cst(&shared()->stage, 1);
  assert_int_equal(shoal_select(c, 2, SHOAL_FOREVER), 0);
  assert_int_equal(v, 1);
  peer_join(&p);
  assert_int_equal(shoal_topic_detach(t), 0);
  unmake();
  unmake_topic();
}

static void publishes_by_select(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory, 0);
  uint64_t v, w;
  (void)i;
  struct shoal_case c[] = {number_queue_on_get(q, &w), topic_of_on_publish(topic, &v)};
  CHECK(shoal_topic_join(topic) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  for (v = 0; v < 3000; v++) CHECK(shoal_select(c, 2, SHOAL_FOREVER) == 1);
  CHECK(shoal_topic_leave(topic) == 0 && shoal_queue_detach(q) == 0);
}
static void reads_by_select(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = open_topic();
  struct shoal_queue *q = attach(memory, 0);
  uint64_t v, w, n = 0;
  struct shoal_case c[] = {number_queue_on_get(q, &w), topic_of_on_get(t, &v)};
  subscribe(t, SHOAL_TOPIC_WAIT, i < 3 ? NULL : "g");
  shoal_add32_seq_cst(&s->done, 1);
  while (shoal_select(c, 2, SHOAL_FOREVER) == 1 && c[1].result == 0) {
    CHECK(i == 3 || i == 4 ? v >= n : v == n);
    n = v + 1;
    if (i == 3 || i == 4) shoal_add64_relaxed(&s->sum, 1);
  }
  CHECK(c[1].result == -EPIPE && (i == 3 || i == 4 || n == 3000));
  CHECK(shoal_topic_detach(t) == 0 && shoal_queue_detach(q) == 0);
}
static void read_or_publish(void *memory, unsigned i) {
  struct shared *s = memory;
  if (i == 0) await(&s->done, 4);
  if (i == 0) publishes_by_select(memory, i);
  else reads_by_select(memory, i);
}
static void topic_by_select(enum driver driver) {
  make_topic(4);
  make(1);
  assert_int_equal(shoal_queue_join(Q[0], SHOAL_PRODUCER), 0);
  run(&arena, driver, 5, read_or_publish);
  assert_int_equal(shoal_load64_relaxed(&shared()->sum), 3000);
  unmake();
  unmake_topic();
}
static void test_a_topic_by_select_threads(void **state) { (void)state, topic_by_select(THREADS); }
static void test_a_topic_by_select_processes(void **state) { (void)state, topic_by_select(PROCESSES); }

int main(void) {
  watchdog(240);
  const struct CMUnitTest tests[] = {
      // first: its child makes a thread, and under ThreadSanitizer no parent with threads may fork such a child
      cmocka_unit_test(test_an_event_loop),
      cmocka_unit_test(test_what_is_ready_is_answered),
      cmocka_unit_test(test_what_becomes_ready_is_answered),
      cmocka_unit_test(test_what_never_becomes_ready),
      cmocka_unit_test(test_cases_that_make_no_sense),
      cmocka_unit_test(test_a_loan_of_an_spsc_queue_is_in_the_way),
      cmocka_unit_test(test_a_queue_in_several_cases),
      cmocka_unit_test(test_no_role_is_free),
      cmocka_unit_test(test_a_descriptor_hangs_up),
      cmocka_unit_test(test_an_event_that_is_cleared_at_once),
      cmocka_unit_test(test_each_has_its_turn),
      cmocka_unit_test(test_the_end_of_a_queue_is_its_answer),
      cmocka_unit_test(test_the_death_of_the_last_peer),
      cmocka_unit_test(test_closed_while_they_sleep),
      cmocka_unit_test(test_the_end_waits_for_what_others_hold),
      cmocka_unit_test(test_one_is_stopped_inside),
      cmocka_unit_test(test_a_dead_one_beside_one_who_is_stopped_inside),
      cmocka_unit_test(test_a_newcomer_beside_one_who_is_stopped_inside),
      cmocka_unit_test(test_two_selects_and_a_message_each),
      cmocka_unit_test(test_a_wake_that_is_not_used_is_handed_on),
      cmocka_unit_test(test_who_only_looked_hands_on),
      cmocka_unit_test(test_a_woken_select_is_killed),
      cmocka_unit_test(test_a_woken_select_is_killed_before_another),
      cmocka_unit_test(test_what_a_dead_select_had_taken_comes_again),
      cmocka_unit_test(test_many_threads),
      cmocka_unit_test(test_many_processes),
      cmocka_unit_test(test_one_at_a_time_threads),
      cmocka_unit_test(test_one_at_a_time_processes),
      cmocka_unit_test(test_sixty_four),
      cmocka_unit_test(test_descriptors_in_a_child),
      cmocka_unit_test(test_a_loop_that_is_busy),
      cmocka_unit_test(test_byte_messages),
      cmocka_unit_test(test_byte_messages_by_their_keys),
      cmocka_unit_test(test_pipes),
      cmocka_unit_test(test_directions_of_pipes),
      cmocka_unit_test(test_a_permit_is_taken_by_one),
      cmocka_unit_test(test_a_dead_holders_permits),
      cmocka_unit_test(test_a_permits_wake_is_handed_on),
      cmocka_unit_test(test_either_permit_threads),
      cmocka_unit_test(test_either_permit_processes),
      cmocka_unit_test(test_all_that_is_ready),
      cmocka_unit_test(test_a_topic_is_read),
      cmocka_unit_test(test_a_topic_is_published),
      cmocka_unit_test(test_all_that_sleep_for_a_topic),
      cmocka_unit_test(test_one_is_stopped_in_a_change_of_groups),
      cmocka_unit_test(test_a_topic_by_select_threads),
      cmocka_unit_test(test_a_topic_by_select_processes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
