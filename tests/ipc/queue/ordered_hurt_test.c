// Claims of the kinds FIFO, LIFO and PRIORITY of ipc/queue/queue, beside what is not as it should be:
//   1 a damaged header is refused, and whatever a peer writes, nothing outside the memory is touched
//   2 the lock: nobody waits for it beyond his deadline, nor for one who is not inside; who is inside is told so
//   3 what is held ends though somebody is stopped inside; a commit, and what a lease is to decide, says so after a
//     second
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/queue_internal.h"
#include "ipc/queue/select.h"
#include "tests/ipc/queue/ordered_fixture.h"

// ---- 1 ----

static void test_a_damaged_header_is_refused(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(SHOAL_QUEUE_PRIORITY, 16), *other = NULL;
  char *memory = (char *)arena.memory + QUEUE_AT;
  uint64_t size = shared()->queue_size;
  for (uint64_t cut = 0; cut < size; cut += 64) assert_int_equal(shoal_queue_attach_(memory, cut, 8, &other), -EPROTO);
  struct shoal_queue_shm *shm = (struct shoal_queue_shm *)(void *)memory;
  struct shoal_ordered_shm *ring = (struct shoal_ordered_shm *)(void *)(memory + shm->ring);
  uint32_t *fields[] = {&shm->kind, &shm->ring,        &ring->element_size, &ring->capacity, &ring->key_type,
                        &ring->by,  &ring->key_offset, &shm->element_size,  &ring->grow};
  static const uint32_t values[] = {0, 1, 3, 5, 63, 1u << 16, 1u << 30, 0x7fffffff, 0x80000000, UINT32_MAX};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
      uint32_t good = *fields[i];
      *fields[i] = values[k];
      int rc = shoal_queue_attach_(memory, size, 8, &other);
      if (rc == 0) assert_int_equal(shoal_queue_detach(other), 0);
      else assert_true(rc == -EPROTO || rc == -EBADMSG);
      *fields[i] = good;
    }
  put_number(q, 4);
  assert_int_equal(get_number(q), 4);
  unmake(q);
}

// As tests/ipc/queue/queue_test.c.
static void use_scribbled(void *memory, unsigned seed) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  struct shoal_loan loan;
  uint64_t v = 1, x = seed + 1;
  shoal_queue_join(q, SHOAL_PRODUCER), shoal_queue_join(q, SHOAL_CONSUMER);
  uint64_t *words = (uint64_t *)((char *)memory + QUEUE_AT);
  signal(SIGALRM, SIG_DFL);
  alarm(2);
  for (int i = 0; i < 400; i++) {
    for (int k = 0; k < 3; k++) {
      x ^= x << 13, x ^= x >> 7, x ^= x << 17;
      uint64_t at = x % (s->queue_size / 8), roles = sizeof(struct shoal_queue_shm);
      if (at * 8 >= roles && at * 8 < roles + 128 * 64 && (at * 8 - roles) % 64 < 40) continue;
      words[at] = x >> (x % 64);
    }
    // the lock: in other tests; held by the living it is waited for
    shoal_store32_relaxed(&q->ordered.shm->lock.word, 0);
    shoal_queue_put(q, &v, SHOAL_TRY);
    shoal_queue_get(q, &v, SHOAL_TRY);
    if (shoal_queue_receive(q, &loan, SHOAL_TRY) == 0) shoal_queue_return(q, &loan);
    if (shoal_queue_reserve(q, &loan, SHOAL_TRY) == 0) shoal_queue_cancel(q, &loan);
    shoal_queue_put(q, &v, shoal_after_us(10));
  }
  _exit(0);
}
static void test_scribbled_memory_is_survived(void **state) {
  (void)state;
  EACH_KIND(kind) for (unsigned seed = 0; seed < 20; seed++) {
    struct shoal_queue_options o = numbers_of(kind, 16);
    o.grow = seed % 2;
    struct shoal_queue *q = make(&o);
    struct peer p = peer_start(&arena, use_scribbled, seed);
    int status;
    assert_int_equal(waitpid(p.pid, &status, 0), p.pid);
    assert_true(WIFEXITED(status) || WTERMSIG(status) == SIGALRM);
    free(q);
    arena_free(&arena);
  }
}

// ---- 2 ----

// As a signal handler that interrupts the queue itself: it is told, and its loan is still one.
static void test_a_loan_does_not_end_from_within(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(SHOAL_QUEUE_FIFO, 4);
  struct shoal_loan loan;
  put_number(q, 1);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  assert_int_equal(shoal_ordered_enter(&q->ordered, loan.role, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_queue_release(q, &loan), -EDEADLK);
  assert_int_equal(shoal_queue_return(q, &loan), -EDEADLK);
  assert_non_null(loan.data);
  shoal_ordered_leave(&q->ordered, loan.role);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  unmake(q);
  for (unsigned leased = 0; leased < 2; leased++) {  // nor is a task counted
    struct shoal_queue_options o = numbers_of(SHOAL_QUEUE_FIFO, 4);
    o.joinable = 1;
    o.lease_ns = leased ? UINT64_C(3600000000000) : 0;
    q = make(&o);
    for (uint64_t n = 1; n <= 2; n++) put_number(q, n);
    for (uint64_t n = 1, got; n <= 2; n++) {
      assert_int_equal(shoal_queue_get(q, &got, SHOAL_TRY), 0);
      assert_int_equal(got, n);
    }
    uint32_t me = (uint32_t)shoal_role_mine(&q->wait, SHOAL_CONSUMER);
    struct shoal_queue_taken_ *taken = &q->taken[me - 1 - q->wait.count[SHOAL_PRODUCER]], before = *taken;
    assert_int_equal(shoal_ordered_enter(&q->ordered, me, SHOAL_FOREVER), 0);
    assert_int_equal(shoal_queue_task_done(q), -EDEADLK);
    assert_memory_equal(&before, taken, sizeof before);
    shoal_ordered_leave(&q->ordered, me);
    for (int i = 0; i < 2; i++) assert_int_equal(shoal_queue_task_done(q), 0);
    assert_int_equal(shoal_queue_task_done(q), -EINVAL);
    unmake(q);
  }
}

static void stay_inside(void *memory, unsigned i) {
  (void)i;
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  int me = shoal_role_mine(&q->wait, SHOAL_CONSUMER);
  CHECK(me > 0 && shoal_ordered_enter(&q->ordered, (uint32_t)me, SHOAL_FOREVER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  for (;;) pause();
}
// Whatever the call, and whatever the policy: it ends at its deadline.
static void ends_beside_one_inside(struct shoal_queue *q) {
  struct shoal_loan loan;
  uint64_t v = 1;
  struct shoal_case takes = shoal_on_get(q, &v), puts = shoal_on_put(q, &v);
  assert_int_equal(number_queue_put(q, &v, shoal_after_ms(2)), -ETIMEDOUT);
  assert_int_equal(number_queue_get(q, &v, shoal_after_ms(2)), -ETIMEDOUT);
  assert_int_equal(number_queue_put_n(q, &v, 1, shoal_after_ms(2)), -ETIMEDOUT);
  assert_int_equal(shoal_queue_reserve(q, &loan, shoal_after_ms(2)), -ETIMEDOUT);
  assert_int_equal(shoal_select(&takes, 1, shoal_after_ms(2)), -ETIMEDOUT);
  assert_int_equal(shoal_select(&puts, 1, shoal_after_ms(2)), -ETIMEDOUT);
}
static void test_nobody_waits_beyond_the_deadline_for_the_lock(void **state) {
  (void)state;
  for (uint32_t overflow = SHOAL_OVERFLOW_WAIT; overflow <= SHOAL_OVERFLOW_DROP_NEWEST; overflow++) {
    struct shoal_queue_options o = numbers_of(SHOAL_QUEUE_FIFO, 4);
    o.overflow = overflow;
    struct shoal_queue *q = make(&o);
    put_number(q, 1);
    struct peer p = peer_start(&arena, stay_inside, 0);
    await(&shared()->ready, 1);
    ends_beside_one_inside(q);
    peer_kill(&p);
    assert_int_equal(get_number(q), 1);
    unmake(q);
  }
}

static void test_a_lock_that_names_nobody_is_taken(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue *q = make_numbers(kind, 4);
    put_number(q, 1);
    static const uint32_t nobody[] = {0xfff, 129, 0xfff | FUTEX_WAITERS, 70};  // 70: a role that nobody has
    for (int i = 0; i < 4; i++) {
      shoal_store32_relaxed(&q->ordered.shm->lock.word, nobody[i]);
      assert_int_equal(get_number(q), 1);
      put_number(q, 1);
    }
    unmake(q);
  }
}

// A look, too, waits for who stands inside until its deadline, be that sooner or later than what a try waits.
static void test_a_look_waits_until_its_deadline(void **state) {
  (void)state;
  struct shoal_queue_options o = numbers_of(SHOAL_QUEUE_FIFO, 4);
  o.lease_ns = 1000000;
  struct shoal_queue *q = make(&o);
  put_number(q, 1);
  struct peer p = peer_start(&arena, stay_inside, 0);
  await(&shared()->ready, 1);
  struct shoal_case readable = shoal_on_readable(q);
  shoal_deadline later = shoal_after_ns(SHOAL_RECHECK_NS + SHOAL_RECHECK_NS / 4);
  assert_int_equal(shoal_select_ready(&readable, 1, later), -ETIMEDOUT);
  assert_true(shoal_deadline_passed(later));
  assert_int_equal(shoal_select_ready(&readable, 1, shoal_after_ms(2)), -ETIMEDOUT);
  peer_kill(&p);
  assert_int_equal(shoal_select_ready(&readable, 1, SHOAL_FOREVER), 1);
  unmake(q);
}

// Its lock names one who lives, and is not inside: nobody who only tries waits for him.
static void live_on(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  (void)i;
  CHECK(shoal_queue_join(q, SHOAL_PRODUCER) == 0);
  shoal_store32_seq_cst(&s->done, shoal_role_known(&q->wait, SHOAL_PRODUCER));
  for (;;) pause();
}
static void try_each_way(void *memory, unsigned i) {
  struct shoal_queue *q = attach(memory);
  uint64_t v = 1;
  struct shoal_case cases[] = {shoal_on_get(q, &v)};
  int rc = i == 0   ? number_queue_put(q, &v, SHOAL_TRY)
           : i == 1 ? number_queue_get(q, &v, SHOAL_TRY)
           : i == 2 ? shoal_queue_clear(q)
           : i == 3 ? number_queue_get_n(q, &v, 1, SHOAL_TRY)
                    : shoal_select(cases, 1, SHOAL_TRY);
  CHECK(rc == -ETIMEDOUT);
  CHECK(strcmp(shoal_reason(), "somebody stands inside the queue, or its lock is damaged") == 0);
  _exit(0);
}
static void test_a_lock_that_names_the_living_is_no_trap(void **state) {
  (void)state;
  struct shoal_queue *q = make_numbers(SHOAL_QUEUE_PRIORITY, 4);
  put_number(q, 1);
  struct peer lives = peer_start(&arena, live_on, 0), tries[5];
  await(&shared()->done, 1);
  shoal_store32_relaxed(&q->ordered.shm->lock.word, shoal_load32_relaxed(&shared()->done));
  for (unsigned i = 0; i < 5; i++) tries[i] = peer_start(&arena, try_each_way, i);
  for (unsigned i = 0; i < 5; i++) peer_join(&tries[i]);
  peer_kill(&lives);
  assert_int_equal(get_number(q), 1);
  unmake(q);
}

// ---- 3 ----

static void stop(struct peer *p) {
  int status;
  CHECK(kill(p->pid, SIGSTOP) == 0 && waitpid(p->pid, &status, WUNTRACED) == p->pid);
}
static void stands_inside(void *memory, unsigned i) {
  (void)i;
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  CHECK(shoal_queue_join(q, SHOAL_CONSUMER) == 0);
  uint32_t me = shoal_role_known(&q->wait, SHOAL_CONSUMER);
  shoal_add32_seq_cst(&s->ready, 1);
  while (shoal_load64_relaxed(&s->answers[0]) == 0) sched_yield();
  CHECK(shoal_ordered_enter(&q->ordered, me, SHOAL_FOREVER) == 0);
  shoal_store64_seq_cst(&s->answers[1], 1);
  while (shoal_load64_relaxed(&s->answers[2]) == 0) sched_yield();
  shoal_ordered_leave(&q->ordered, me);
  CHECK(shoal_queue_detach(q) == 0);
}
static struct peer holder;
static void let_in_and_stop(void) {
  shoal_store64_seq_cst(&shared()->answers[0], 1);
  while (shoal_load64_relaxed(&shared()->answers[1]) == 0) sched_yield();
  stop(&holder);
}
static void let_go_on(void) {
  shoal_store64_seq_cst(&shared()->answers[2], 1);
  kill(holder.pid, SIGCONT);
  peer_join(&holder);
}
static void ends_beside_one_stopped(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  struct shoal_loan loan;
  CHECK((i < 2 ? shoal_queue_receive : shoal_queue_reserve)(q, &loan, SHOAL_TRY) == 0);
  uint64_t v = i < 2 ? *(uint64_t *)loan.data : 9;
  *(uint64_t *)loan.data = v;
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->done, 1);
  int rc = i == 0   ? shoal_queue_release(q, &loan)
           : i == 1 ? shoal_queue_return(q, &loan)
           : i == 2 ? shoal_queue_cancel(q, &loan)
                    : shoal_queue_commit(q, &loan);
  CHECK(rc == (i == 3 ? -ETIMEDOUT : 0) && (i == 3) == (loan.data != NULL));
  if (i == 1) shoal_store64_relaxed(&s->answers[3], v);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->done, 2);  // that one has gone on: who leaves waits for it no longer than a second
  if (i == 3) CHECK(shoal_queue_commit(q, &loan) == 0);
  CHECK(shoal_queue_detach(q) == 0);
}
// One stands inside, and is stopped: release, return and cancel end all the same, a commit says so, and can be
// repeated.
static void test_claims_end_beside_one_who_is_stopped_inside(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue *q = make_numbers(kind, 5);
    for (uint64_t v = 1; v <= 3; v++) put_number(q, v);
    holder = peer_start(&arena, stands_inside, 0);
    await(&shared()->ready, 1);
    struct peer p[4];
    for (unsigned i = 0; i < 4; i++) {
      p[i] = peer_start(&arena, ends_beside_one_stopped, i);
      await(&shared()->ready, 2 + i);
    }
    let_in_and_stop();
    shoal_store32_seq_cst(&shared()->done, 1);
    await(&shared()->ready, 9);
    let_go_on();
    shoal_store32_seq_cst(&shared()->done, 2);
    for (unsigned i = 0; i < 4; i++) peer_join(&p[i]);
    uint64_t sum = 0, returned = shoal_load64_relaxed(&shared()->answers[3]), first = get_number(q);
    for (int i = 0; i < 2; i++) sum += get_number(q);
    assert_int_equal(first + sum, returned + 9 + (kind == SHOAL_QUEUE_LIFO ? 1 : 3));
    assert_int_equal(first, kind == SHOAL_QUEUE_LIFO ? 9 : returned);
    uint64_t v = 0;
    assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EAGAIN);
    for (uint64_t i = 0; i < 5; i++) assert_int_equal(number_queue_put(q, &i, SHOAL_TRY), 0);
    assert_int_equal(number_queue_put(q, &v, SHOAL_TRY), -EAGAIN);
    unmake(q);
  }
}

// Counts from before such an end are not what a look goes by.
static void test_a_look_after_such_an_end_sees_what_is_there(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue *q = make_numbers(kind, 2);
    assert_int_equal(shoal_queue_join(q, SHOAL_CONSUMER), 0);
    uint32_t me = shoal_role_known(&q->wait, SHOAL_CONSUMER);
    shoal_store32_relaxed(&q->ordered.shm->ended, 1);
    assert_int_equal(q->ops->ready(q, SHOAL_CONSUMER, me, SHOAL_TRY), -EAGAIN);
    put_number(q, 1);
    shoal_store32_relaxed(&q->ordered.shm->ended, 1);
    assert_int_equal(q->ops->ready(q, SHOAL_CONSUMER, me, SHOAL_TRY), 0);
    unmake(q);
  }
}

// Who leaves says so, and has what it had; so does who detaches.
static void test_who_leaves_beside_one_who_is_stopped_inside(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue *q = make_numbers(kind, 5);
    struct shoal_loan loan, place;
    for (uint64_t v = 1; v <= 3; v++) put_number(q, v);
    assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
    assert_int_equal(shoal_queue_reserve(q, &place, SHOAL_TRY), 0);
    uint64_t first = *(uint64_t *)loan.data;
    holder = peer_start(&arena, stands_inside, 0);
    await(&shared()->ready, 1);
    let_in_and_stop();
    assert_int_equal(shoal_queue_leave(q, SHOAL_CONSUMER), -ETIMEDOUT);
    assert_int_equal(shoal_queue_detach(q), -ETIMEDOUT);
    assert_int_equal(info_of(q).producers, 1);
    assert_int_equal(*(uint64_t *)loan.data, first);
    let_go_on();
    *(uint64_t *)place.data = 9;
    assert_int_equal(shoal_queue_commit(q, &place), 0);
    assert_int_equal(shoal_queue_leave(q, SHOAL_CONSUMER), 0);
    assert_int_equal(shoal_queue_release(q, &loan), -EPERM);
    assert_int_equal(get_number(q), first);
    for (int i = 0; i < 3; i++) get_number(q);
    uint64_t v = 0;
    assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EAGAIN);
    unmake(q);
  }
}

// One has died with a message in hand, and nobody gets inside to take it back: a try says so, and a wait when its time
// is over; who waits for ever has the message as soon as that one goes on.
static void dies_with_one(void *memory, unsigned i) {
  (void)i;
  struct shoal_loan loan;
  CHECK(shoal_queue_receive(attach(memory), &loan, SHOAL_TRY) == 0);
  _exit(0);
}
static void gets_for_ever(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  (void)i;
  CHECK(shoal_queue_join(q, SHOAL_CONSUMER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->done, 1);
  CHECK(get_number(q) == 1);
  CHECK(shoal_queue_detach(q) == 0);
}
static void test_the_dead_beside_one_who_is_stopped_inside(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue_options o = numbers_of(kind, 5);
    o.consumers = 4;
    struct shoal_queue *q = make(&o), *others;
    uint64_t v = 0;
    put_number(q, 1);
    holder = peer_start(&arena, stands_inside, 0);
    struct peer waits = peer_start(&arena, gets_for_ever, 0);
    await(&shared()->ready, 2);
    assert_int_equal(shoal_queue_join(q, SHOAL_CONSUMER), 0);
    run(&arena, PROCESSES, 1, dies_with_one);
    let_in_and_stop();
    assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -ETIMEDOUT);
    assert_int_equal(number_queue_get(q, &v, shoal_after_ms(5)), -ETIMEDOUT);
    struct shoal_case cases[] = {shoal_on_get(q, &v), shoal_on_time(shoal_after_ms(5))};
    assert_int_equal(shoal_select(cases, 2, SHOAL_FOREVER), 1);
    assert_int_equal(shoal_role_reap(&q->wait), -ETIMEDOUT);
    others = attach(arena.memory);
    assert_int_equal(shoal_queue_join(others, SHOAL_CONSUMER), -ETIMEDOUT);  // only the dead one's role may be free
    assert_int_equal(shoal_queue_detach(others), 0);
    assert_int_equal(info_of(q).reaped, 0);
    shoal_store32_seq_cst(&shared()->done, 1);
    peer_asleep(&waits);
    let_go_on();
    peer_join(&waits);
    struct shoal_queue_info info = info_of(q);
    assert_int_equal(info.reaped, 1);
    assert_int_equal(info.redelivered, 1);
    unmake(q);
  }
}

// Under a lease it is the lease that decides: told so, nothing changed, and it can be tried again.
static void test_leases_beside_one_who_is_stopped_inside(void **state) {
  (void)state;
  struct shoal_queue_options o = numbers_of(SHOAL_QUEUE_FIFO, 4);
  o.lease_ns = UINT64_C(3600000000000);
  struct shoal_queue *q = make(&o);
  struct shoal_loan loan;
  put_number(q, 1);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  holder = peer_start(&arena, stands_inside, 0);
  await(&shared()->ready, 1);
  let_in_and_stop();
  assert_int_equal(shoal_queue_extend(q, &loan), -ETIMEDOUT);
  assert_int_equal(shoal_queue_release(q, &loan), -ETIMEDOUT);
  assert_non_null(loan.data);
  let_go_on();
  assert_int_equal(shoal_queue_extend(q, &loan), 0);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  unmake(q);
}

// A large element is copied outside, and who is inside by then is stopped: the page that is copied from, or to, sees to
// it.
static char *page;
static void in_the_midst(int signal) {
  (void)signal;
  let_in_and_stop();
  mprotect(page, 4096, PROT_READ | PROT_WRITE);
}
static void test_large_ones_beside_one_who_is_stopped_inside(void **state) {
  (void)state;
  struct sigaction old, act = {.sa_handler = in_the_midst};
  page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(page, MAP_FAILED);
  for (int gets = 0; gets < 2; gets++) {
    struct shoal_queue *q = make(&(struct shoal_queue_options){.capacity = 2, .element_size = 4096, .kind = 2});
    assert_int_equal(shoal_queue_join(q, SHOAL_CONSUMER), 0);
    memset(page, 'a', 4096);
    assert_int_equal(shoal_queue_put(q, page, SHOAL_TRY), 0);
    holder = peer_start(&arena, stands_inside, 0);
    await(&shared()->ready, 1);
    sigaction(SIGSEGV, &act, &old);
    mprotect(page, 4096, PROT_NONE);
    int rc = gets ? shoal_queue_get(q, page, SHOAL_TRY) : shoal_queue_put(q, page, SHOAL_TRY);
    sigaction(SIGSEGV, &old, NULL);
    assert_int_equal(rc, gets ? 0 : -ETIMEDOUT);
    let_go_on();
    memset(page, 'b', 4096);
    for (int i = gets; i < 2; i++) assert_int_equal(shoal_queue_put(q, page, SHOAL_TRY), i == 1 && !gets ? -EAGAIN : 0);
    assert_int_equal(shoal_queue_get(q, page, SHOAL_TRY), 0);
    assert_int_equal(page[4095], gets ? 'b' : 'a');
    unmake(q);
  }
  munmap(page, 4096);
}

// Under a lease a get that has its copy has to go in once more: it says that it could not, and the message comes again
// when its lease is over; one that is to keep it (joinable) has it.
static void test_leased_gets_beside_one_who_is_stopped_inside(void **state) {
  (void)state;
  struct sigaction old, act = {.sa_handler = in_the_midst};
  page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(page, MAP_FAILED);
  for (uint32_t joinable = 0; joinable < 2; joinable++) {
    struct shoal_queue_options o = numbers_of(SHOAL_QUEUE_FIFO, 4);
    o.lease_ns = joinable ? UINT64_C(3600000000000) : 100000000;
    o.joinable = joinable;
    struct shoal_queue *q = make(&o);
    for (uint64_t v = 1; v <= 2; v++) put_number(q, v);
    assert_int_equal(shoal_queue_join(q, SHOAL_CONSUMER), 0);
    holder = peer_start(&arena, stands_inside, 0);
    await(&shared()->ready, 1);
    sigaction(SIGSEGV, &act, &old);
    mprotect(page, 4096, PROT_NONE);
    int rc = shoal_queue_get(q, page, SHOAL_TRY);
    sigaction(SIGSEGV, &old, NULL);
    assert_int_equal(rc, joinable ? 0 : -ETIMEDOUT);
    assert_int_equal(info_of(q).held, 1);
    if (joinable) assert_int_equal(shoal_queue_task_done(q), -ETIMEDOUT);
    assert_int_equal(shoal_queue_clear(q), -ETIMEDOUT);
    let_go_on();
    struct shoal_loan loan;
    uint64_t sum = joinable;
    if (joinable) assert_int_equal(shoal_queue_task_done(q), 0);
    for (uint32_t i = joinable; i < 2; i++) {
      assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_FOREVER), 0);
      assert_int_equal(loan.redelivered, *(uint64_t *)loan.data == 1);
      sum += *(uint64_t *)loan.data;
      assert_int_equal(shoal_queue_release(q, &loan), 0);
    }
    assert_int_equal(sum, 3);
    assert_int_equal(info_of(q).held, 0);
    uint64_t v;
    assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), -EAGAIN);
    unmake(q);
  }
  munmap(page, 4096);
}

static void receives_two(void *memory, unsigned i) {
  (void)i;
  struct shoal_loan loan[2];
  struct shoal_queue *q = attach(memory);
  for (int k = 0; k < 2; k++) CHECK(shoal_queue_receive(q, &loan[k], SHOAL_FOREVER) == 0);
  for (int k = 0; k < 2; k++) CHECK(shoal_queue_release(q, &loan[k]) == 0);
  CHECK(shoal_queue_detach(q) == 0);
}
// A task_done that cannot go in changes nothing: what it could not end is in hand as before, and, once its lease has
// run out and another has it, that is what is told of it, once.
static void test_task_done_beside_one_who_is_stopped_inside(void **state) {
  (void)state;
  struct shoal_queue_options o = numbers_of(SHOAL_QUEUE_FIFO, 4);
  o.lease_ns = UINT64_C(3600000000000);
  o.joinable = 1;
  struct shoal_queue *q = make(&o);
  uint64_t v;
  for (v = 1; v <= 2; v++) put_number(q, v);
  for (int k = 0; k < 2; k++) assert_int_equal(number_queue_get(q, &v, SHOAL_TRY), 0);
  holder = peer_start(&arena, stands_inside, 0);
  await(&shared()->ready, 1);
  let_in_and_stop();
  assert_int_equal(shoal_queue_task_done(q), -ETIMEDOUT);
  let_go_on();
  for (uint32_t cell = 0; cell < 2; cell++) shoal_ordered_lease(&q->ordered, cell, 1);  // as if its hour had passed
  shoal_store64_relaxed(&q->extra->next, 0);
  run(&arena, PROCESSES, 1, receives_two);
  for (int k = 0; k < 2; k++) assert_int_equal(shoal_queue_task_done(q), -ETIMEDOUT);
  assert_int_equal(shoal_queue_task_done(q), -EINVAL);
  unmake(q);
}

int main(void) {
  watchdog(280);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_damaged_header_is_refused),
      cmocka_unit_test(test_scribbled_memory_is_survived),
      cmocka_unit_test(test_a_loan_does_not_end_from_within),
      cmocka_unit_test(test_nobody_waits_beyond_the_deadline_for_the_lock),
      cmocka_unit_test(test_a_lock_that_names_nobody_is_taken),
      cmocka_unit_test(test_a_look_waits_until_its_deadline),
      cmocka_unit_test(test_a_lock_that_names_the_living_is_no_trap),
      cmocka_unit_test(test_claims_end_beside_one_who_is_stopped_inside),
      cmocka_unit_test(test_a_look_after_such_an_end_sees_what_is_there),
      cmocka_unit_test(test_who_leaves_beside_one_who_is_stopped_inside),
      cmocka_unit_test(test_the_dead_beside_one_who_is_stopped_inside),
      cmocka_unit_test(test_leases_beside_one_who_is_stopped_inside),
      cmocka_unit_test(test_large_ones_beside_one_who_is_stopped_inside),
      cmocka_unit_test(test_leased_gets_beside_one_who_is_stopped_inside),
      cmocka_unit_test(test_task_done_beside_one_who_is_stopped_inside),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
