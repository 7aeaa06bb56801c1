// Claims of ipc/queue/select (wake-ups and permits: select_wake_test.c; byte messages, pipes, topics:
// select_kinds_test.c):
//   1 each kind of case, ready before, while it sleeps, or never; alone, and in a mix of all; the others are left alone
//   2 try, deadline and for ever answer as promised; cases that make no sense are refused, and nothing has happened
//   3 of several that are ready each has its turn
//   4 the end of a queue is that case's answer: closed, by leaving, by death, once nobody holds a message any more
//   5 64 cases, more descriptors than one, a child of fork
//   6 an eventfd for other event loops; one that is busy keeps no wake-up to itself
//   7 all that is ready, at once
#include <string.h>
#include <sys/prctl.h>

#include "core/error.h"
#include "tests/ipc/queue/select_fixture.h"

static void fill(struct shoal_queue *q) {
  for (uint64_t v = 0; number_queue_put(q, &v, SHOAL_TRY) == 0;) continue;
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

// ---- 6 ----

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

// ---- 10 ----

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

// ---- 7 ----

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
      cmocka_unit_test(test_sixty_four),
      cmocka_unit_test(test_descriptors_in_a_child),
      cmocka_unit_test(test_a_loop_that_is_busy),
      cmocka_unit_test(test_either_permit_threads),
      cmocka_unit_test(test_either_permit_processes),
      cmocka_unit_test(test_all_that_is_ready),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
