// Claims of ipc/queue/pipe:
//   1 messages of any length arrive whole and in order, both ways; between threads, and processes at different
//   addresses 2 poll, try, deadline and for ever answer as promised; a buffer that is too small loses nothing
//   3 the end comes after all that was sent: by closing, by the death of whoever has the end or was to take it; not by
//   leaving 4 an end is handed on: to a child of fork, by name, from a dead owner, from thread to thread
//   5 what is another's is neither closed with a copy nor given away; a direction that an end does not have, another
//   type, a
//     hostile header: refused
#include "ipc/queue/pipe.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/error.h"
#include "tests/harness/drivers.h"

SHOAL_PIPE_TYPED(number_pipe, uint64_t)

struct shared {
  shoal_atomic32 ready, stage;
};
static struct arena arena;
static struct shoal_segment *seg;
static struct shoal_pipe *ends[2];

static struct shared *shared(void) { return arena.memory; }
static void await(shoal_atomic32 *word, uint32_t n) {
  while (shoal_load32_seq_cst(word) < n) sched_yield();
}

static void make_named(const char *name, uint32_t duplex, uint32_t capacity) {
  arena_make(&arena, sizeof(struct shared));
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(
      shoal_pipe_create(seg, name, &(struct shoal_pipe_options){.duplex = duplex, .capacity = capacity}, ends), 0);
}
static void make(uint32_t duplex, uint32_t capacity) { make_named(NULL, duplex, capacity); }
static void unmake(void) {
  for (int i = 0; i < 2; i++)
    if (ends[i]) assert_int_equal(shoal_pipe_close(&ends[i]), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
  arena_free(&arena);
}

static int say(struct shoal_pipe *p, const char *text) { return shoal_pipe_send(p, text, strlen(text), SHOAL_FOREVER); }
// What comes next is `text`.
static int hears(struct shoal_pipe *p, const char *text) {
  char buffer[64];
  uint64_t size;
  int rc = shoal_pipe_recv(p, buffer, sizeof buffer, &size, SHOAL_FOREVER);
  return rc == 0 && size == strlen(text) && memcmp(buffer, text, size) == 0;
}
static int ended(struct shoal_pipe *p) {
  uint64_t size;
  return shoal_pipe_recv(p, NULL, 0, &size, SHOAL_FOREVER);
}

// ---- 1 ----

#define MIB (UINT64_C(1) << 20)
static const uint64_t sizes[] = {0, 1, 48, 49, 4096, MIB, 64 * MIB};
#define SIZES (sizeof sizes / sizeof *sizes)

static void fill(unsigned char *data, uint64_t size, uint64_t id) {
  for (uint64_t i = 0; i < size; i += 4096)
    memset(data + i, (int)(id * 31 + (i >> 12)), size - i < 4096 ? size - i : 4096);
}
static int is_filled(const unsigned char *data, uint64_t size, uint64_t id) {
  static __thread unsigned char page[4096];
  for (uint64_t i = 0; i < size; i += 4096) {
    uint64_t n = size - i < 4096 ? size - i : 4096;
    memset(page, (int)(id * 31 + (i >> 12)), n);
    if (memcmp(page, data + i, n) != 0) return 0;
  }
  return 1;
}

// Sends back what it receives, alternately from a buffer and in place.
static void echo(void *memory, unsigned i) {
  struct shoal_segment *mine = seg;
  struct shoal_pipe *p = ends[1];
  (void)memory;
  if (i) {
    CHECK(shoal_segment_open_fd(shoal_segment_fd(seg), &mine) == 0);
    CHECK(shoal_pipe_open(mine, "echo", 0, 1, &p) == 0);
  }
  for (unsigned n = 0; shoal_pipe_poll(p, SHOAL_FOREVER) == 0; n++) {
    struct shoal_loan in, out;
    CHECK(shoal_pipe_receive(p, &in, SHOAL_TRY) == 0);
    if (n % 2) {
      CHECK(shoal_pipe_send(p, in.data, in.size, SHOAL_FOREVER) == 0);
    } else {
      CHECK(shoal_pipe_reserve(p, in.size, &out, SHOAL_FOREVER) == 0);
      memcpy(out.data, in.data, in.size);
      CHECK(shoal_pipe_commit(p, &out) == 0);
    }
    CHECK(shoal_pipe_release(p, &in) == 0);
  }
  CHECK(shoal_pipe_poll(p, SHOAL_TRY) == -EPIPE);
  CHECK(shoal_pipe_close(&p) == 0);
  if (i) CHECK(shoal_segment_close(mine) == 0);
}
static void echoes(void) {
  for (unsigned n = 0; n < 2 * SIZES; n++) {
    uint64_t size = sizes[n % SIZES], got;
    unsigned char *data = malloc(size + 1);
    assert_non_null(data);
    fill(data, size, n);
    assert_int_equal(shoal_pipe_send(ends[0], data, size, SHOAL_FOREVER), 0);
    memset(data, 0, size);
    assert_int_equal(shoal_pipe_recv(ends[0], data, size, &got, SHOAL_FOREVER), 0);
    assert_true(got == size && is_filled(data, size, n));
    free(data);
  }
}
static void test_echo_of_a_child(void **state) {
  (void)state;
  make_named("echo", 1, 4);
  struct peer p = peer_start(&arena, echo, 0);
  assert_int_equal(shoal_pipe_give(&ends[1], (uint32_t)p.pid), 0);
  assert_null(ends[1]);
  echoes();
  assert_int_equal(shoal_pipe_close(&ends[0]), 0);
  peer_join(&p);
  unmake();
}
static void test_echo_at_another_address(void **state) {
  (void)state;
  make_named("echo", 1, 4);
  struct peer p = peer_start(&arena, echo, 1);
  echoes();
  assert_int_equal(shoal_pipe_close(&ends[0]), 0);
  peer_join(&p);
  assert_int_equal(shoal_pipe_unlink(seg, "echo"), 0);
  assert_int_equal(shoal_pipe_unlink(seg, "echo"), -ENOENT);
  unmake();
}
static void *echo_thread(void *arg) {
  (void)arg;
  echo(NULL, 0);
  return NULL;
}
static void test_echo_of_a_thread(void **state) {
  pthread_t thread;
  (void)state;
  make(1, 4);
  assert_int_equal(pthread_create(&thread, NULL, echo_thread, NULL), 0);
  echoes();
  assert_int_equal(shoal_pipe_close(&ends[0]), 0);
  pthread_join(thread, NULL);
  ends[1] = NULL;
  unmake();
}

#define STREAM 100000
static void stream_of(void *memory, unsigned i) {
  struct {
    uint64_t n, more[24];
  } m = {0};
  (void)memory, (void)i;
  for (; m.n < STREAM; m.n++) CHECK(shoal_pipe_send(ends[1], &m, m.n % 9 ? 8 : 100 + m.n % 80, SHOAL_FOREVER) == 0);
}
static void test_stream(void **state) {
  (void)state;
  make(0, 16);
  struct peer p = peer_start(&arena, stream_of, 0);
  uint64_t m[25], size;
  for (uint64_t n = 0; n < STREAM; n++) {
    assert_int_equal(shoal_pipe_recv(ends[0], m, sizeof m, &size, SHOAL_FOREVER), 0);
    assert_true(m[0] == n && size == (n % 9 ? 8 : 100 + n % 80));
  }
  assert_int_equal(ended(ends[0]), -EPIPE);
  peer_join(&p);
  unmake();
}

// ---- 2 ----

static void test_waiting(void **state) {
  char small[4];
  uint64_t size = 0;
  (void)state;
  make(0, 2);
  assert_int_equal(shoal_pipe_poll(ends[0], SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_pipe_poll(ends[0], shoal_after_ms(1)), -ETIMEDOUT);
  assert_int_equal(shoal_pipe_recv(ends[0], small, 4, &size, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_pipe_recv(ends[0], small, 4, &size, shoal_after_ms(1)), -ETIMEDOUT);
  assert_int_equal(say(ends[1], "a longer one"), 0);
  assert_int_equal(shoal_pipe_poll(ends[0], SHOAL_FOREVER), 0);
  assert_int_equal(shoal_pipe_recv(ends[0], small, 4, &size, SHOAL_FOREVER), -EMSGSIZE);
  assert_int_equal(size, 12);
  assert_true(hears(ends[0], "a longer one"));
  int rc = 0, sent = 0;
  while ((rc = shoal_pipe_send(ends[1], "x", 1, SHOAL_TRY)) == 0) sent++;
  assert_int_equal(rc, -EAGAIN);
  assert_true(sent >= 2);
  assert_int_equal(shoal_pipe_send(ends[1], "x", 1, shoal_after_ms(1)), -ETIMEDOUT);
  struct shoal_pipe_info info;
  assert_int_equal(shoal_pipe_info(ends[0], &info), 0);
  assert_int_equal(info.in.size, sent);
  assert_int_equal(info.in.sender, 1);
  assert_int_equal(info.out.capacity, 0);
  while (sent--) assert_true(hears(ends[0], "x"));
  assert_int_equal(shoal_pipe_poll(ends[0], SHOAL_TRY), -EAGAIN);
  struct shoal_loan loan;
  assert_int_equal(say(ends[1], "y"), 0);
  assert_int_equal(shoal_pipe_receive(ends[0], &loan, SHOAL_TRY), 0);
  assert_int_equal(shoal_pipe_poll(ends[0], SHOAL_TRY), -EBUSY);
  assert_int_equal(shoal_pipe_return(ends[0], &loan), 0);
  assert_true(hears(ends[0], "y"));
  unmake();
}

// ---- 3 ----

static void test_end_by_closing(void **state) {
  (void)state;
  make(1, 4);
  assert_int_equal(say(ends[1], "one"), 0);
  assert_int_equal(say(ends[0], "unread"), 0);
  assert_int_equal(shoal_pipe_close(&ends[1]), 0);
  assert_int_equal(shoal_pipe_send(ends[0], "x", 1, SHOAL_FOREVER), -EPIPE);
  assert_int_equal(shoal_pipe_poll(ends[0], SHOAL_FOREVER), 0);
  assert_true(hears(ends[0], "one"));
  assert_int_equal(ended(ends[0]), -EPIPE);
  assert_int_equal(shoal_pipe_poll(ends[0], SHOAL_FOREVER), -EPIPE);
  unmake();
}

enum { SAYS_TWO, ASLEEP, IN_A_RESERVATION, NEVER_TOUCHES, HEARS_ONE };
static void dies(void *memory, unsigned how) {
  struct shared *s = memory;
  struct shoal_loan loan;
  if (how == SAYS_TWO || how == IN_A_RESERVATION) {
    CHECK(say(ends[1], "one") == 0 && say(ends[1], "a second one, too long to lie in a slot of the ring itself") == 0);
  }
  if (how == IN_A_RESERVATION) CHECK(shoal_pipe_reserve(ends[1], 100000, &loan, SHOAL_FOREVER) == 0);
  if (how == ASLEEP || how == HEARS_ONE) CHECK(hears(ends[1], "go"));
  shoal_add32_seq_cst(&s->ready, 1);
  if (how == ASLEEP) ended(ends[1]);
  for (;;) pause();
}
static void end_by_death(unsigned how) {
  make(1, 4);
  struct peer p = peer_start(&arena, dies, how);
  assert_int_equal(shoal_pipe_give(&ends[1], (uint32_t)p.pid), 0);
  if (how == ASLEEP || how == HEARS_ONE) assert_int_equal(say(ends[0], "go"), 0);
  await(&shared()->ready, 1);
  if (how != SAYS_TWO && how != IN_A_RESERVATION) assert_int_equal(shoal_pipe_poll(ends[0], SHOAL_TRY), -EAGAIN);
  peer_kill(&p);
  if (how == SAYS_TWO || how == IN_A_RESERVATION) {
    assert_true(hears(ends[0], "one"));
    assert_true(hears(ends[0], "a second one, too long to lie in a slot of the ring itself"));
  }
  assert_int_equal(ended(ends[0]), -EPIPE);
  struct shoal_queue_info info;
  assert_int_equal(shoal_queue_info(ends[0]->in, &info), 0);
  if (how != NEVER_TOUCHES) assert_int_equal(info.late, 0);
  unmake();
}
static void test_end_by_death(void **state) {
  (void)state;
  for (unsigned how = SAYS_TWO; how <= HEARS_ONE; how++) end_by_death(how);
}

// The receiver sleeps when it happens.
static void sleeps_for_the_end(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  CHECK(hears(ends[1], "go"));
  shoal_add32_seq_cst(&s->ready, 1);
  CHECK(ended(ends[1]) == -EPIPE);
}
static void test_sleeper_is_told(void **state) {
  (void)state;
  for (int how = 0; how < 2; how++) {
    make(1, 4);
    struct peer p = peer_start(&arena, sleeps_for_the_end, 0);
    assert_int_equal(shoal_pipe_give(&ends[1], (uint32_t)p.pid), 0);
    assert_int_equal(say(ends[0], "go"), 0);
    await(&shared()->ready, 1);
    peer_asleep(&p);
    if (how) assert_int_equal(shoal_pipe_close(&ends[0]), 0);
    else assert_int_equal(shoal_pipe_leave(ends[0]), 0);
    if (how) peer_join(&p);
    else peer_kill(&p);  // this process keeps the end: it has not ended
    unmake();
  }
}

// ---- 4 ----

static void says_one(void *memory, unsigned i) {
  (void)memory, (void)i;
  CHECK(say(ends[1], "from the first") == 0);
  CHECK(shoal_pipe_close(&ends[0]) == 0);  // its parent's
  for (;;) pause();
}
static void goes_on(void *memory, unsigned i) {
  struct shoal_segment *mine;
  struct shoal_pipe *p;
  (void)memory, (void)i;
  CHECK(shoal_segment_open_fd(shoal_segment_fd(seg), &mine) == 0);
  CHECK(shoal_pipe_open(mine, "line", 0, 1, &p) == 0);
  CHECK(say(p, "from the second") == 0);
  CHECK(shoal_pipe_close(&p) == 0 && shoal_segment_close(mine) == 0);
}
static void test_handed_on_by_name(void **state) {
  (void)state;
  make_named("line", 0, 4);
  struct peer p = peer_start(&arena, says_one, 0);
  assert_int_equal(shoal_pipe_give(&ends[1], (uint32_t)p.pid), 0);
  assert_true(hears(ends[0], "from the first"));
  peer_kill(&p);
  assert_int_equal(ended(ends[0]), -EPIPE);
  p = peer_start(&arena, goes_on, 0);
  peer_join(&p);
  assert_true(hears(ends[0], "from the second"));
  assert_int_equal(ended(ends[0]), -EPIPE);
  unmake();
}

static void has_it_already(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  CHECK(say(ends[1], "early") == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->stage, 1);
  CHECK(say(ends[1], "late") == 0);
  CHECK(shoal_pipe_close(&ends[1]) == 0);
}
static void test_given_to_who_has_it_already(void **state) {
  (void)state;
  for (int duplex = 0; duplex < 2; duplex++) {
    make(duplex, 4);
    struct peer p = peer_start(&arena, has_it_already, 0);
    await(&shared()->ready, 1);
    assert_int_equal(shoal_pipe_give(&ends[1], (uint32_t)p.pid), 0);
    shoal_store32_seq_cst(&shared()->stage, 1);
    peer_join(&p);
    assert_true(hears(ends[0], "early") && hears(ends[0], "late"));
    assert_int_equal(ended(ends[0]), -EPIPE);
    unmake();
  }
}

static void comes_late(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  await(&s->stage, 1);
  CHECK(hears(ends[1], "early") && ended(ends[1]) == -EPIPE);
  CHECK(shoal_pipe_close(&ends[1]) == 0);
}
// All is sent, closed and given away before the child uses it for the first time.
static void test_handed_to_a_child_that_comes_late(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    make(1, 4);
    struct peer p = peer_start(&arena, comes_late, 0);
    assert_int_equal(say(ends[0], "early"), 0);
    if (i) assert_int_equal(shoal_pipe_give(&ends[1], (uint32_t)p.pid), 0);
    assert_int_equal(shoal_pipe_close(&ends[0]), 0);
    if (!i) assert_int_equal(shoal_pipe_give(&ends[1], (uint32_t)p.pid), 0);
    shoal_store32_seq_cst(&shared()->stage, 1);
    peer_join(&p);
    unmake();
  }
}

static void reads_and_dies(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_loan loan;
  (void)i;
  CHECK(hears(ends[0], "one"));
  CHECK(shoal_pipe_receive(ends[0], &loan, SHOAL_FOREVER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  for (;;) pause();
}
static void test_receiver_is_succeeded(void **state) {
  char longer[200];
  memset(longer, 'x', sizeof longer);
  (void)state;
  make(0, 4);
  struct peer p = peer_start(&arena, reads_and_dies, 0);
  assert_int_equal(say(ends[1], "one"), 0);
  assert_int_equal(shoal_pipe_send(ends[1], longer, sizeof longer, SHOAL_FOREVER), 0);
  await(&shared()->ready, 1);
  uint64_t size;
  assert_int_equal(shoal_pipe_recv(ends[0], longer, 4, &size, SHOAL_TRY), -EUSERS);
  peer_kill(&p);
  struct shoal_loan loan;
  assert_int_equal(shoal_pipe_receive(ends[0], &loan, SHOAL_FOREVER), 0);
  assert_int_equal(loan.size, sizeof longer);
  assert_int_equal(loan.redelivered, 1);
  assert_int_equal(shoal_pipe_release(ends[0], &loan), 0);
  unmake();
}

static void *says(void *arg) {
  CHECK(say(ends[0], arg) == 0);
  CHECK(shoal_pipe_leave(ends[0]) == 0);
  return NULL;
}
static void test_threads_take_turns(void **state) {
  pthread_t thread;
  (void)state;
  make(1, 4);
  assert_int_equal(pthread_create(&thread, NULL, says, "one"), 0);
  pthread_join(thread, NULL);
  assert_int_equal(say(ends[0], "two"), 0);
  assert_int_equal(shoal_pipe_leave(ends[0]), 0);
  assert_int_equal(pthread_create(&thread, NULL, says, "three"), 0);
  pthread_join(thread, NULL);
  assert_true(hears(ends[1], "one") && hears(ends[1], "two") && hears(ends[1], "three"));
  assert_int_equal(shoal_pipe_poll(ends[1], SHOAL_TRY), -EAGAIN);
  unmake();
}

static void *one_direction(void *arg) {
  struct shared *s = shared();
  CHECK(shoal_pipe_join(ends[0], SHOAL_PRODUCER) == 0);
  CHECK(say(ends[0], arg) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->stage, 1);
  CHECK(shoal_pipe_leave(ends[0]) == 0);
  return NULL;
}
static void test_a_thread_for_each_direction(void **state) {
  pthread_t thread;
  (void)state;
  make(1, 4);
  assert_int_equal(pthread_create(&thread, NULL, one_direction, "out"), 0);
  await(&shared()->ready, 1);
  assert_int_equal(say(ends[1], "in"), 0);
  assert_true(hears(ends[0], "in"));
  assert_int_equal(shoal_pipe_send(ends[0], "x", 1, SHOAL_TRY), -EUSERS);
  struct shoal_pipe *same = ends[0];
  assert_int_equal(shoal_pipe_give(&ends[0], (uint32_t)getpid()), -EBUSY);
  assert_ptr_equal(ends[0], same);
  assert_true(hears(ends[1], "out"));
  shoal_store32_seq_cst(&shared()->stage, 1);
  pthread_join(thread, NULL);
  unmake();
}

static struct shoal_pipe_info info_of(struct shoal_pipe *p) {
  struct shoal_pipe_info info;
  assert_int_equal(shoal_pipe_info(p, &info), 0);
  return info;
}
static void *sends_and_dies(void *arg) {
  struct shared *s = shared();
  CHECK(shoal_pipe_join(ends[0], SHOAL_PRODUCER) == 0 && say(ends[0], arg) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->stage, 1);
  return NULL;
}
static void *leaves(void *arg) {
  CHECK(shoal_pipe_leave(arg) == 0);
  return NULL;
}
// The thread that has the other direction leaves, or one that has nothing.
static void test_who_leaves_keeps_its_own_direction_only(void **state) {
  (void)state;
  for (int has = 0; has < 2; has++) {
    pthread_t sender, other;
    make(1, 4);
    assert_int_equal(pthread_create(&sender, NULL, sends_and_dies, "out"), 0);
    await(&shared()->ready, 1);
    if (has) assert_int_equal(shoal_pipe_join(ends[0], SHOAL_CONSUMER), 0);
    assert_int_equal(info_of(ends[0]).in.receiver_keeper, has ? 0 : getpid());
    if (has) assert_int_equal(shoal_pipe_leave(ends[0]), 0);
    else assert_int_equal(pthread_create(&other, NULL, leaves, ends[0]) || pthread_join(other, NULL), 0);
    struct shoal_pipe_info info = info_of(ends[0]);
    assert_int_equal(info.out.sender_keeper, 0);
    assert_int_equal(info.in.receiver_keeper, getpid());
    shoal_store32_seq_cst(&shared()->stage, 1);
    pthread_join(sender, NULL);
    assert_true(hears(ends[1], "out"));
    assert_int_equal(ended(ends[1]), -EPIPE);
    unmake();
  }
}

// ---- 5 ----

static void gives_what_it_has(void *memory, unsigned takes) {
  struct shared *s = memory;
  struct shoal_pipe *mine = ends[0];
  const uint32_t me = (uint32_t)getpid();
  if (takes) {
    CHECK(shoal_pipe_join(mine, SHOAL_PRODUCER) == 0);
    CHECK(shoal_pipe_give(&mine, me) == 0 && mine == NULL);
  } else {
    CHECK(shoal_pipe_give(&mine, me) == -EUSERS && mine == ends[0]);
    CHECK(strcmp(shoal_reason(), "another process has this end of the pipe") == 0);
  }
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->stage, 1);
}
// A thread of this process had the end, and another process is emptying what it left: it is no less this one's to close.
static void *sends_and_ends(void *text) {
  CHECK(say(ends[1], text) == 0);
  return NULL;
}
static void empties(void *memory, unsigned unused) {
  struct shared *s = memory;
  (void)unused;
  struct shoal_role *role = shoal_role_at_(&ends[1]->out->wait, 1);
  uint32_t word = shoal_load32_acquire(&role->live.word);
  CHECK(shoal_robust_is_dead(word) && shoal_live_adopt_(&role->live, word) == 0);
  shoal_store32_seq_cst(&s->stage, 1);
  for (;;) pause();
}
static void test_what_an_heir_empties_is_closed(void **state) {
  (void)state;
  make(0, 4);
  pthread_t thread;
  char text[] = "the last";
  assert_int_equal(pthread_create(&thread, NULL, sends_and_ends, text), 0);
  pthread_join(thread, NULL);
  struct peer p = peer_start(&arena, empties, 0);
  await(&shared()->stage, 1);
  assert_int_equal(shoal_pipe_close(&ends[1]), 0);
  assert_true(hears(ends[0], text));
  char buffer[8];
  uint64_t size;
  assert_int_equal(shoal_pipe_recv(ends[0], buffer, sizeof buffer, &size, SHOAL_TRY), -EPIPE);
  peer_kill(&p);
  unmake();
}

// What another keeps, or has: all of the end, or one direction of it.
static void test_what_is_anothers_is_not_given(void **state) {
  (void)state;
  enum { KEPT, USED, ONE_DIRECTION };
  for (unsigned how = KEPT; how <= ONE_DIRECTION; how++) {
    make(1, 4);
    if (how == USED) assert_int_equal(say(ends[0], "mine"), 0);
    if (how == ONE_DIRECTION) assert_int_equal(shoal_pipe_join(ends[0], SHOAL_CONSUMER), 0);
    struct shoal_pipe_info before = info_of(ends[0]);
    struct peer p = peer_start(&arena, gives_what_it_has, how == ONE_DIRECTION);
    await(&shared()->ready, 1);
    struct shoal_pipe_info after = info_of(ends[0]);
    if (how == ONE_DIRECTION) before.out.sender_keeper = (uint32_t)p.pid;
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(say(ends[1], "to whom it was"), 0);
    assert_true(hears(ends[0], "to whom it was"));
    shoal_store32_seq_cst(&shared()->stage, 1);
    peer_join(&p);
    unmake();
  }
}

static void closes_copies(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  CHECK(shoal_pipe_close(&ends[0]) == 0);  // the parent's, which has it
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->stage, 1);
  CHECK(hears(ends[1], "still there"));
}
static void test_a_copy_is_closed(void **state) {
  (void)state;
  make(1, 4);
  assert_int_equal(say(ends[0], "still there"), 0);
  struct peer p = peer_start(&arena, closes_copies, 0);
  assert_int_equal(shoal_pipe_give(&ends[1], (uint32_t)p.pid), 0);
  await(&shared()->ready, 1);
  assert_int_equal(shoal_pipe_poll(ends[0], SHOAL_TRY), -EAGAIN);
  shoal_store32_seq_cst(&shared()->stage, 1);
  peer_join(&p);
  assert_int_equal(ended(ends[0]), -EPIPE);
  unmake();
}

static void test_refusals(void **state) {
  struct shoal_pipe *other[2];
  uint64_t size, number = 7;
  struct shoal_loan loan;
  (void)state;
  make_named("line", 0, 4);
  assert_int_equal(shoal_pipe_send(ends[0], "x", 1, SHOAL_TRY), -EPERM);
  assert_int_equal(shoal_pipe_recv(ends[1], &number, 8, &size, SHOAL_TRY), -EPERM);
  assert_int_equal(shoal_pipe_poll(ends[1], SHOAL_TRY), -EPERM);
  assert_int_equal(shoal_pipe_receive(ends[1], &loan, SHOAL_TRY), -EPERM);
  assert_int_equal(shoal_pipe_join(ends[1], SHOAL_CONSUMER), -EPERM);
  assert_int_equal(shoal_pipe_join(ends[1], 2), -EINVAL);
  assert_int_equal(number_pipe_open(seg, "line", 0, &other[0]), -EBADMSG);
  assert_int_equal(shoal_pipe_open(seg, "line", 0, 2, &other[0]), -EINVAL);
  assert_int_equal(shoal_pipe_open(seg, "none", 0, 0, &other[0]), -ENOENT);
  assert_int_equal(number_pipe_send(ends[1], &number, SHOAL_TRY), -EBADMSG);
  assert_int_equal(shoal_pipe_give(&ends[1], 0), -EINVAL);
  assert_non_null(ends[1]);
  assert_int_equal(shoal_pipe_create(seg, "line", &(struct shoal_pipe_options){0}, other), -EEXIST);
  assert_int_equal(shoal_pipe_create(seg, "huge", &(struct shoal_pipe_options){.capacity = UINT32_MAX}, other),
                   -EINVAL);
  assert_int_equal(shoal_pipe_create(seg, "bytes", NULL, other), 0);  // as zeroes
  for (int i = 0; i < 2; i++) assert_int_equal(shoal_pipe_close(&other[i]), 0);
  assert_int_equal(shoal_pipe_unlink(seg, "bytes"), 0);
  assert_int_equal(number_pipe_create(seg, "numbers", NULL, other), 0);
  assert_int_equal(number_pipe_send(other[1], &number, SHOAL_TRY), 0);
  assert_int_equal(number_pipe_send(other[0], &number, SHOAL_TRY), -EPERM);
  assert_int_equal(shoal_pipe_send(other[1], &number, 8, SHOAL_TRY), -EBADMSG);
  assert_int_equal(shoal_pipe_reserve(other[1], 9, &loan, SHOAL_TRY), -EBADMSG);
  number = 0;
  assert_int_equal(number_pipe_recv(other[0], &number, SHOAL_TRY), 0);
  assert_int_equal(number, 7);
  for (int i = 0; i < 2; i++) assert_int_equal(shoal_pipe_close(&other[i]), 0);
  assert_int_equal(shoal_pipe_unlink(seg, "numbers"), 0);
  unmake();
}

// Refused, whoever asks has nothing of the pipe, and ends nothing.
SHOAL_PIPE_TYPED(double_pipe, double)
static void test_another_type_of_the_same_size_is_refused(void **state) {
  (void)state;
  struct shoal_pipe *other = NULL, *two[2];
  struct shoal_pipe_info before, after;
  uint64_t number = 7;
  arena_make(&arena, sizeof(struct shared));
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(number_pipe_create(seg, "line", &(struct shoal_pipe_options){.duplex = 1}, ends), 0);
  assert_int_equal(shoal_pipe_info(ends[0], &before), 0);
  for (uint32_t side = 0; side < 2; side++) {
    assert_int_equal(double_pipe_open(seg, "line", side, &other), -EBADMSG);
    assert_string_equal(shoal_reason(), "its elements are of type uint64_t, not double");
  }
  assert_null(other);
  assert_int_equal(shoal_pipe_info(ends[0], &after), 0);
  assert_memory_equal(&before, &after, sizeof before);
  assert_int_equal(number_pipe_open(seg, "line", 1, &other), 0);
  assert_int_equal(shoal_pipe_close(&other), 0);
  assert_int_equal(shoal_pipe_unlink(seg, "line"), 0);
  for (int i = 0; i < 2; i++) assert_int_equal(shoal_pipe_close(&ends[i]), 0);
  assert_int_equal(number_pipe_create(seg, "line", NULL, ends), 0);
  assert_int_equal(double_pipe_open(seg, "line", 1, &other), -EBADMSG);
  assert_int_equal(number_pipe_send(ends[1], &number, SHOAL_TRY), 0);
  assert_int_equal(number_pipe_recv(ends[0], &number, SHOAL_TRY), 0);
  assert_int_equal(shoal_pipe_open_as(seg, "line", NULL, 8, 0, &other), 0);
  assert_int_equal(shoal_pipe_close(&other), 0);
  assert_int_equal(shoal_pipe_unlink(seg, "line"), 0);
  for (int i = 0; i < 2; i++) assert_int_equal(shoal_pipe_close(&ends[i]), 0);
  struct shoal_pipe_options named = {.type = "number"};  // as another language spells it
  assert_int_equal(number_pipe_create(seg, "line", &named, ends), 0);
  assert_int_equal(shoal_pipe_open_as(seg, "line", "number", 8, 0, &other), 0);
  assert_int_equal(shoal_pipe_close(&other), 0);
  assert_int_equal(number_pipe_open(seg, "line", 0, &other), -EBADMSG);
  struct shoal_pipe_options o = {.type = "T"};
  assert_int_equal(shoal_pipe_create(seg, "bytes", &o, two), -EINVAL);
  assert_string_equal(shoal_reason(), "options.type: byte messages have none");
  unmake();
}

static void test_hostile_header(void **state) {
  (void)state;
  make_named("line", 1, 4);
  struct shoal_pipe_shm *shm = ends[0]->shm, good = *shm;
  const uint32_t wild[] = {1, 64, 100, 4096, UINT32_MAX, UINT32_MAX - 63, 1 << 20};
  for (unsigned i = 0; i < 2 * sizeof wild / sizeof *wild; i++) {
    struct shoal_pipe *p;
    shm->ring[i % 2] = wild[i / 2];
    assert_int_equal(shoal_pipe_open(seg, "line", 0, i & 1, &p), -EPROTO);
    shm->ring[i % 2] = good.ring[i % 2];
  }
  struct shoal_pipe *p;
  shm->ring[0] = shm->ring[1] = 0;
  for (uint32_t side = 0; side < 2; side++) assert_int_equal(shoal_pipe_open(seg, "line", 0, side, &p), -EPROTO);
  assert_string_equal(shoal_reason(), "a pipe of no rings");
  memcpy(shm->ring, good.ring, sizeof good.ring);
  shoal_store32_relaxed(&shm->magic, 5);
  assert_int_equal(shoal_pipe_open(seg, "line", 0, 0, &p), -EPROTO);
  for (int i = 0; i < 4; i++) shoal_store64_relaxed(&shm->keeper[i / 2][i % 2], UINT64_MAX);
  assert_int_equal(shoal_pipe_poll(ends[0], SHOAL_TRY) == -EAGAIN, 0);
  unmake();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_echo_of_a_child),
      cmocka_unit_test(test_echo_at_another_address),
      cmocka_unit_test(test_echo_of_a_thread),
      cmocka_unit_test(test_stream),
      cmocka_unit_test(test_waiting),
      cmocka_unit_test(test_end_by_closing),
      cmocka_unit_test(test_end_by_death),
      cmocka_unit_test(test_sleeper_is_told),
      cmocka_unit_test(test_handed_on_by_name),
      cmocka_unit_test(test_handed_to_a_child_that_comes_late),
      cmocka_unit_test(test_receiver_is_succeeded),
      cmocka_unit_test(test_threads_take_turns),
      cmocka_unit_test(test_a_thread_for_each_direction),
      cmocka_unit_test(test_who_leaves_keeps_its_own_direction_only),
      cmocka_unit_test(test_given_to_who_has_it_already),
      cmocka_unit_test(test_what_an_heir_empties_is_closed),
      cmocka_unit_test(test_what_is_anothers_is_not_given),
      cmocka_unit_test(test_a_copy_is_closed),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_another_type_of_the_same_size_is_refused),
      cmocka_unit_test(test_hostile_header),
  };
  watchdog(280);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
