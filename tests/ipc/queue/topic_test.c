// Claims of ipc/queue/topic, subscribers that read alone (those in groups: topic_group_test.c):
//   1 every subscriber sees every message once, whole, all in the same order; by threads and by processes; sixteen of
//   them
//   2 try and for ever answer as promised; absurd options, another type, a thread without a subscription are refused
//   3 in place: commit, cancel, release, return; a loan ends once, by the thread that took it, or nothing is changed
//   (4, 5: topic_slow_test.c)
//   6 the end: closed, or the last publisher left or died, when all has been received; a new publisher, and it goes on
//   7 deaths: publishers' holes are skipped, subscribers hold up nobody; all without the once-a-second look
//   8 damaged headers are refused, and whatever a peer writes, nothing outside the memory is touched
#include "tests/ipc/queue/topic_fixture.h"

#include <pthread.h>
#include <sys/wait.h>

#include "core/error.h"

// ---- 1 ----

#define PUBLISHERS 2u
#define EACH 5000u
static unsigned subscribers;

static void publish_or_read(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = attach(memory);
  if (i < PUBLISHERS) {
    CHECK(shoal_topic_join(t) == 0);
    shoal_add32_seq_cst(&s->ready, 1);
    await(&s->ready, PUBLISHERS + subscribers);
    for (uint64_t n = 0; n < EACH; n++) publish(t, (uint64_t)i << 32 | n);
  } else {
    subscribe(t);
    shoal_add32_seq_cst(&s->ready, 1);
    uint64_t v, next[PUBLISHERS] = {0}, order = 0;
    int rc;
    await(&s->ready, PUBLISHERS + subscribers);
    while ((rc = numbers_get(t, &v, SHOAL_FOREVER)) == 0) {
      CHECK(v >> 32 < PUBLISHERS && (v & UINT32_MAX) == next[v >> 32]++);
      order = order * 1099511628211u + v;
    }
    CHECK(rc == -EPIPE && next[0] == EACH && next[1] == EACH);
    shoal_store64_relaxed(&s->answers[i], order);
  }
  CHECK(shoal_topic_detach(t) == 0);
}
static void all_see_all(enum driver driver, uint32_t capacity, unsigned n) {
  struct shoal_topic *t = make_of(capacity);
  subscribers = n;
  if (capacity == 16) t->shm->wait.flags |= SHOAL_EC_EXCHANGE;  // as if the kernel had no fence for all threads
  run(&arena, driver, PUBLISHERS + n, publish_or_read);
  for (unsigned i = 1; i < n; i++)
    assert_int_equal(shoal_load64_relaxed(&shared()->answers[PUBLISHERS]),
                     shoal_load64_relaxed(&shared()->answers[PUBLISHERS + i]));
  assert_int_equal(info_of(t).published, PUBLISHERS * EACH);
  unmake(t);
}
static void test_all_see_all_in_one_order_threads(void **state) { (void)state, all_see_all(THREADS, 64, 3); }
static void test_all_see_all_in_one_order_processes(void **state) { (void)state, all_see_all(PROCESSES, 64, 3); }
static void test_smallest_ring_threads(void **state) { (void)state, all_see_all(THREADS, 2, 2); }
static void test_smallest_ring_processes(void **state) { (void)state, all_see_all(PROCESSES, 2, 2); }
static void test_published_by_exchange(void **state) { (void)state, all_see_all(PROCESSES, 16, 2); }
static void test_sixteen_subscribers_threads(void **state) { (void)state, all_see_all(THREADS, 1024, 16); }
static void test_sixteen_subscribers_processes(void **state) { (void)state, all_see_all(PROCESSES, 1024, 16); }

// ---- 2 ----

static void test_absurd_options_are_refused(void **state) {
  (void)state;
  static const struct shoal_topic_options absurd[] = {
      {.element_size = 8},
      {.capacity = 8},
      {.capacity = 8, .element_size = 8, .history = 9},
      {.capacity = 8, .element_size = 8, .groups = 65},
      {.capacity = 8, .element_size = 8, .publishers = 1025},
      {.capacity = 8, .element_size = 8, .subscribers = UINT32_MAX},
      {.capacity = UINT32_MAX, .element_size = 8},
      {.capacity = 8, .element_size = UINT32_MAX},
  };
  char memory[64] SHOAL_ALIGNED(64) = {0};
  for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++) {
    assert_int_equal(shoal_topic_size_(&absurd[i]), 0);
    assert_int_equal(shoal_topic_place_(memory, sizeof memory, &absurd[i]), -EINVAL);
  }
  assert_int_equal(shoal_topic_place_(memory, sizeof memory, &(struct shoal_topic_options){8, 8, 0, 1, 1, 1, NULL}),
                   -EINVAL);
}

static void *subscribe_to_publish_only(void *topic) {
  struct shoal_loan loan;
  uint64_t v;
  CHECK(numbers_get(topic, &v, SHOAL_FOREVER) == -EINVAL);
  CHECK(shoal_topic_receive(topic, &loan, SHOAL_FOREVER) == -EINVAL);
  CHECK(shoal_topic_unsubscribe(topic) == 0);
  return NULL;
}
static void test_answers_without_a_peer(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(4);
  struct shoal_topic_subscriber_info who;
  pthread_t thread;
  assert_int_equal(try_get(t), -EINVAL);
  assert_int_equal(shoal_topic_subscriber(t, 0, &who), -ENOENT);
  subscribe(t);
  assert_int_equal(shoal_topic_subscribe(t, NULL), -EBUSY);
  assert_int_equal(shoal_topic_subscribe(t, &(struct shoal_topic_subscription){.slow = 2}), -EINVAL);
  assert_int_equal(pthread_create(&thread, NULL, subscribe_to_publish_only, t), 0);
  pthread_join(thread, NULL);
  assert_int_equal(try_get(t), -EAGAIN);
  uint64_t v = 1;
  assert_int_equal(numbers_get(t, &v, shoal_after_ms(5)), -ETIMEDOUT);
  assert_int_equal(shoal_topic_publish(t, &v, SHOAL_TRY), 0);
  assert_int_equal(info_of(t).lag, 1);
  assert_int_equal(shoal_topic_subscriber(t, 0, &who), 0);
  assert_int_equal(who.pid, getpid());
  assert_int_equal(who.lag, 1);
  assert_string_equal(who.group, "");
  struct shoal_role *role = shoal_role_at_(&t->wait, t->wait.count[SHOAL_PRODUCER] + 1);
  uint32_t tid = shoal_load32_relaxed(&role->tid);
  shoal_store32_relaxed(&role->tid, tid + 1);  // as the one before left it, until the next has said who it is
  assert_int_equal(shoal_topic_subscriber(t, 0, &who), 0);
  assert_int_equal(who.tid, tid);
  assert_int_equal(who.pid, 0);
  shoal_store32_relaxed(&role->tid, tid);
  assert_int_equal(shoal_topic_subscriber(t, 64, &who), -ENOENT);
  assert_int_equal(get(t), 1);
  for (v = 0; v < 4; v++) publish(t, v);
  assert_int_equal(try_publish(t, 4), -EAGAIN);
  assert_int_equal(numbers_publish(t, &v, shoal_after_ms(5)), -ETIMEDOUT);
  assert_int_equal(shoal_topic_unsubscribe(t), 0);
  assert_int_equal(try_publish(t, 4), 0);
  assert_int_equal(info_of(t).subscribers, 0);
  unmake(t);
}

SHOAL_TOPIC_TYPED(bytes, char)
static void test_another_types_calls_are_refused(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(4);
  char byte = 'x';
  subscribe(t);
  assert_int_equal(bytes_publish(t, &byte, SHOAL_TRY), -EBADMSG);
  publish(t, 7);
  assert_int_equal(bytes_get(t, &byte, SHOAL_TRY), -EBADMSG);
  assert_string_equal(shoal_reason(), "messages of 8 bytes, not 1");
  assert_int_equal(get(t), 7);
  unmake(t);
}

SHOAL_TOPIC_TYPED(doubles, double)
static void test_another_type_of_the_same_size_is_refused(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_topic *t, *other = NULL;
  struct shoal_topic_options o = {.capacity = 4};
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(numbers_create(seg, "t", &o, &t), 0);
  assert_int_equal(doubles_open(seg, "t", &other), -EBADMSG);
  assert_string_equal(shoal_reason(), "its elements are of type uint64_t, not double");
  assert_int_equal(doubles_open_or_create(seg, "t", &o, &other), -EBADMSG);
  assert_null(other);
  assert_int_equal(numbers_open(seg, "t", &other), 0);
  assert_int_equal(shoal_topic_detach(other), 0);
  assert_int_equal(numbers_open_or_create(seg, "t", &o, &other), 0);
  assert_int_equal(shoal_topic_detach(other), 0);
  assert_int_equal(shoal_topic_open(seg, "t", 8, &other), 0);
  assert_int_equal(shoal_topic_detach(other), 0);
  assert_int_equal(shoal_topic_detach(t), 0);
  o.element_size = 8;
  assert_int_equal(shoal_topic_create(seg, "u", &o, &t), 0);
  assert_int_equal(doubles_open(seg, "u", &other), 0);
  assert_int_equal(shoal_topic_detach(other), 0);
  assert_int_equal(shoal_topic_detach(t), 0);
  o.type = "a name that is far too long for what there is room for in the words of a topic";
  assert_int_equal(shoal_topic_create(seg, "v", &o, &t), -EINVAL);
  assert_string_equal(shoal_reason(), "options.type: 63 bytes at most");
  assert_int_equal(shoal_segment_close(seg), 0);
}

static void test_a_full_table_of_the_living_and_of_the_dead(void **state);

// ---- 3 ----

static void test_in_place(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(8), *other = attach(arena.memory);
  struct shoal_loan a, b, c;
  subscribe(t), subscribe(other);
  assert_int_equal(shoal_topic_reserve(t, &a, SHOAL_TRY), 0);
  assert_int_equal(shoal_topic_reserve(t, &b, SHOAL_TRY), 0);
  assert_int_equal(shoal_topic_reserve(t, &c, SHOAL_TRY), 0);
  *(uint64_t *)c.data = 3, *(uint64_t *)b.data = 2, *(uint64_t *)a.data = 1;
  assert_int_equal(shoal_topic_commit(t, &c), 0);
  assert_int_equal(shoal_topic_cancel(t, &b), 0);
  assert_int_equal(try_get(t), -EAGAIN);  // the first is still to come
  assert_int_equal(shoal_topic_commit(t, &a), 0);
  assert_int_equal(receive(t, &a), 1);
  assert_int_equal(receive(other, &b), 1);
  assert_ptr_equal(a.data, b.data);  // one copy for all
  assert_int_equal(shoal_topic_return(t, &a), 0);
  assert_int_equal(receive(t, &a), 1);
  assert_int_equal(shoal_topic_release(t, &a), 0);
  assert_int_equal(receive(t, &a), 3);
  assert_int_equal(shoal_topic_release(t, &a), 0);
  assert_int_equal(shoal_topic_release(other, &b), 0);
  assert_int_equal(get(other), 3);
  assert_int_equal(info_of(t).holes, 1);
  assert_int_equal(shoal_topic_detach(other), 0);
  unmake(t);
}

static struct shoal_loan foreign;
static void *end_foreign_loan(void *topic) {
  CHECK(shoal_topic_release(topic, &foreign) == -EPERM);
  CHECK(shoal_topic_commit(topic, &foreign) == -EPERM);
  return NULL;
}
static void test_a_loan_ends_once_and_by_its_thread(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(4);
  struct shoal_loan loan, copy;
  pthread_t thread;
  subscribe(t);
  publish(t, 1), publish(t, 2);
  receive(t, &loan);
  assert_int_equal(shoal_topic_receive(t, &copy, SHOAL_TRY), -EBUSY);
  assert_int_equal(try_get(t), -EBUSY);
  foreign = copy = loan;
  assert_int_equal(pthread_create(&thread, NULL, end_foreign_loan, t), 0);
  pthread_join(thread, NULL);
  assert_int_equal(shoal_topic_commit(t, &copy), -EPERM);
  copy.token += 4;
  assert_int_equal(shoal_topic_release(t, &copy), -EINVAL);
  copy.token = UINT64_MAX;
  assert_int_equal(shoal_topic_release(t, &copy), -EINVAL);
  copy = loan;
  assert_int_equal(shoal_topic_release(t, &loan), 0);
  assert_int_equal(shoal_topic_release(t, &loan), -EINVAL);
  assert_int_equal(shoal_topic_release(t, &copy), -EINVAL);
  assert_int_equal(shoal_topic_return(t, &copy), -EINVAL);
  assert_int_equal(get(t), 2);
  assert_int_equal(shoal_topic_reserve(t, &loan, SHOAL_TRY), 0);
  copy = loan;
  assert_int_equal(shoal_topic_release(t, &copy), -EPERM);
  assert_int_equal(shoal_topic_commit(t, &loan), 0);
  assert_int_equal(shoal_topic_cancel(t, &copy), -EINVAL);
  unmake(t);
}

static void test_leaving_cancels_reservations(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(4);
  struct shoal_loan loan;
  subscribe(t);
  assert_int_equal(shoal_topic_reserve(t, &loan, SHOAL_TRY), 0);
  assert_int_equal(shoal_topic_leave(t), 0);
  assert_int_equal(shoal_topic_commit(t, &loan), -EPERM);
  publish(t, 5);
  assert_int_equal(get(t), 5);
  unmake(t);
}

// ---- 6 ----

static void read_until_told(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = attach(memory);
  uint64_t v;
  int rc;
  subscribe_as(t, i % 2 ? SHOAL_TOPIC_DROP : SHOAL_TOPIC_WAIT, SHOAL_TOPIC_ALL, NULL);
  shoal_add32_seq_cst(&s->ready, 1);
  while ((rc = numbers_get(t, &v, SHOAL_FOREVER)) == 0) shoal_add64_relaxed(&s->answers[i], v);
  CHECK(rc == -EPIPE);
}
static void stay_publisher(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = attach(memory);
  struct shoal_loan loan;
  CHECK(shoal_topic_join(t) == 0);
  if (i) CHECK(shoal_topic_reserve(t, &loan, SHOAL_FOREVER) == 0);
  shoal_add32_seq_cst(&s->stage, 1);
  for (;;) pause();
}
static void all_got(unsigned n, uint64_t sum) {
  for (unsigned i = 0; i < n; i++)
    while (shoal_load64_relaxed(&shared()->answers[i]) != sum) sched_yield();
}

static void test_the_end_is_told_to_all(void **state) {
  (void)state;
  for (int how = 0; how < 3; how++) {
    struct shoal_topic *t = make_of(8);
    struct peer publisher, peers[4];
    assert_int_equal(shoal_topic_join(t), 0);
    sleepers_start(peers, 4, read_until_told);
    publisher = peer_start(&arena, stay_publisher, 0);
    await(&shared()->stage, 1);
    publish(t, 5), publish(t, 6);
    all_got(4, 11);
    if (how == 0) assert_int_equal(shoal_topic_close(t), 0);
    else assert_int_equal(shoal_topic_leave(t), 0);
    if (how == 2)
      for (int i = 0; i < 4; i++) peer_asleep(&peers[i]);
    peer_kill(&publisher);
    peers_join(peers, 4);
    assert_int_equal(try_publish(t, 1), how == 0 ? -EPIPE : 0);
    unmake(t);
  }
}

static void test_a_new_publisher_goes_on(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(8);
  subscribe(t);
  publish(t, 1);
  assert_int_equal(shoal_topic_leave(t), 0);
  assert_int_equal(get(t), 1);
  uint64_t v;
  assert_int_equal(numbers_get(t, &v, SHOAL_FOREVER), -EPIPE);
  publish(t, 2);
  assert_int_equal(get(t), 2);
  assert_int_equal(shoal_topic_close(t), 0);
  assert_int_equal(numbers_get(t, &v, SHOAL_FOREVER), -EPIPE);
  assert_int_equal(try_publish(t, 3), -EPIPE);
  assert_int_equal(info_of(t).closed, 1);
  unmake(t);
}

static void publish_until_told(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = attach(memory);
  uint64_t v = i;
  int rc;
  while ((rc = numbers_publish(t, &v, SHOAL_FOREVER)) == 0) shoal_add64_relaxed(&s->sum, 1);
  CHECK(rc == -EPIPE);
}
static void test_close_tells_publishers(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(4);
  struct peer peers[3];
  subscribe(t);
  sleepers_start(peers, 3, publish_until_told);
  assert_int_equal(shoal_topic_close(t), 0);
  peers_join(peers, 3);
  unsigned n = 0;
  while (try_get(t) >= 0) n++;
  assert_int_equal(n, shoal_load64_relaxed(&shared()->sum));
  unmake(t);
}

// ---- 7 ----

static void test_a_dead_publishers_hole_is_skipped_by_all(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(8);
  struct peer holders[2], peers[3];
  assert_int_equal(shoal_topic_join(t), 0);
  for (uint32_t i = 0; i < 2; i++) {
    holders[i] = peer_start(&arena, stay_publisher, 1);
    await(&shared()->stage, i + 1);
  }
  publish(t, 3), publish(t, 4);
  sleepers_start(peers, 3, read_until_told);
  peer_kill(&holders[1]);
  for (int i = 0; i < 3; i++) peer_asleep(&peers[i]);
  for (int i = 0; i < 3; i++) assert_int_equal(shoal_load64_relaxed(&shared()->answers[i]), 0);
  peer_kill(&holders[0]);
  all_got(3, 7);
  assert_int_equal(shoal_topic_close(t), 0);
  peers_join(peers, 3);
  assert_int_equal(info_of(t).holes, 2);
  unmake(t);
}

static void stay_subscriber(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = attach(memory);
  struct shoal_loan loan;
  subscribe_as(t, i % 2 ? SHOAL_TOPIC_DROP : SHOAL_TOPIC_WAIT, SHOAL_TOPIC_ALL, i & 4 ? "group" : NULL);
  if (i & 2) receive(t, &loan);
  shoal_add32_seq_cst(&s->stage, 1);
  for (;;) pause();
}
// In each state in which a subscriber can be in the way: waiting to be read by it, or in its hands; alone and in a
// group.
static void test_the_dead_hold_up_nobody(void **state) {
  (void)state;
  for (unsigned how = 0; how < 8; how++) {
    if (how % 4 == 1) continue;  // is in nobody's way
    struct shoal_topic *t = make_of(4);
    struct peer publisher, dead;
    publish(t, 9);
    dead = peer_start(&arena, stay_subscriber, how);
    await(&shared()->stage, 1);
    sleepers_start(&publisher, 1, publish_ten);
    assert_int_equal(shoal_load64_relaxed(&shared()->sum), 3);
    peer_kill(&dead);
    peer_join(&publisher);
    assert_int_equal(info_of(t).subscribers, 0);
    assert_int_equal(info_of(t).groups, 0);
    unmake(t);
  }
}

// Without subscribers nobody is in the way but another publisher's reservation of a lap ago.
static void test_publishers_come_round_to_a_reservation(void **state) {
  (void)state;
  for (int how = 0; how < 3; how++) {
    struct shoal_topic *t = make_of(4);
    struct peer publisher, holder = peer_start(&arena, stay_publisher, 1);
    struct shoal_loan loan;
    await(&shared()->stage, 1);
    if (how) peer_kill(&holder);
    if (how) assert_int_equal(shoal_topic_reserve(t, &loan, SHOAL_TRY), 0);
    sleepers_start(&publisher, 1, publish_ten);
    if (how == 0) peer_kill(&holder);
    if (how == 1) assert_int_equal(shoal_topic_commit(t, &loan), 0);
    if (how == 2) assert_int_equal(shoal_topic_cancel(t, &loan), 0);
    peer_join(&publisher);
    unmake(t);
  }
}

static void test_a_full_table_of_the_living_and_of_the_dead(void **state) {
  (void)state;
  struct shoal_topic *t = make((struct shoal_topic_options){.capacity = 4, .publishers = 1, .subscribers = 2});
  struct peer dead[2];
  for (unsigned i = 0; i < 2; i++) dead[i] = peer_start(&arena, stay_subscriber, 0);
  await(&shared()->stage, 2);
  assert_int_equal(shoal_topic_subscribe(t, NULL), -EUSERS);
  peer_kill(&dead[0]);
  assert_int_equal(shoal_topic_subscribe(t, NULL), 0);
  peer_kill(&dead[1]);
  for (uint64_t n = 0; n < 20; n++) {
    publish(t, n);
    assert_int_equal(get(t), n);
  }
  unmake(t);
}

static void random_life(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = attach(memory);
  if (i < 2) {
    for (;;) publish(t, shoal_add64_relaxed(&s->sum, 1));
  } else {
    uint64_t v;
    subscribe_as(t, i % 2 ? SHOAL_TOPIC_DROP : SHOAL_TOPIC_WAIT, i, NULL);
    while (numbers_get(t, &v, SHOAL_FOREVER) == 0) continue;
  }
}
static void test_random_kills_among_processes(void **state) {
  (void)state;
  struct shoal_topic *t = make((struct shoal_topic_options){.capacity = 16, .history = 8});
  struct peer peers[6];
  assert_int_equal(shoal_topic_join(t), 0);
  for (unsigned i = 0; i < 6; i++) peers[i] = peer_start(&arena, random_life, i);
  uint32_t seed = 12345;
  for (int kills = 0; kills < 300; kills++) {
    seed = seed * 1664525 + 1013904223;
    uint64_t before = shoal_load64_relaxed(&shared()->sum);
    while (shoal_load64_relaxed(&shared()->sum) < before + (seed >> 16) % 50) sched_yield();
    unsigned i = (seed >> 8) % 6;
    peer_kill(&peers[i]);
    peers[i] = peer_start(&arena, random_life, i);
  }
  for (unsigned i = 0; i < 6; i++) peer_kill(&peers[i]);
  subscribe(t);
  for (uint64_t n = 0; n < 100; n++) {
    publish(t, n);
    assert_int_equal(get(t), n);
  }
  assert_int_equal(shoal_topic_detach(t), 0);  // random kills may be late: see tests/README.md
  arena_free(&arena);
}

// ---- 8 ----

static void test_a_damaged_header_is_refused(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(16), *other = NULL;
  struct shoal_topic_shm *shm = t->shm;
  uint64_t size = shared()->topic_size;
  assert_int_equal(shoal_topic_attach_(shm, size, 12, &other), -EBADMSG);
  for (uint64_t cut = 0; cut < size; cut += 64) assert_int_equal(shoal_topic_attach_(shm, cut, 8, &other), -EPROTO);
  uint32_t *fields[] = {&shm->magic.v_, &shm->element_size,  &shm->capacity,     &shm->history,
                        &shm->groups,   &shm->wait.roles[0], &shm->wait.roles[1]};
  static const uint32_t values[] = {0, 1, 3, 5, 63, 1u << 16, 1u << 30, 0x7fffffff, 0x80000000, UINT32_MAX};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
      uint32_t good = *fields[i];
      *fields[i] = values[k];
      int rc = shoal_topic_attach_(shm, size, 8, &other);
      if (rc == 0) assert_int_equal(shoal_topic_detach(other), 0);  // smaller than it could be, and sound
      else assert_true(rc == -EPROTO || rc == -EBADMSG);
      *fields[i] = good;
    }
  subscribe(t);
  publish(t, 4);
  assert_int_equal(get(t), 4);
  unmake(t);
}

// A peer scribbles over everything while this process works: it may be told nonsense, it never leaves its memory.
static void use_scribbled(void *memory, unsigned seed) {
  struct shared *s = memory;
  struct shoal_topic *t = attach(memory);
  struct shoal_topic_subscriber_info who;
  struct shoal_loan loan;
  uint64_t v = 1, x = seed + 1, roles = offsetof(struct shoal_topic_shm, wait) + sizeof(struct shoal_eventcount);
  subscribe_as(t, seed % 2, seed % 5, seed % 3 ? "group" : NULL);
  uint64_t *words = (uint64_t *)((char *)memory + TOPIC_AT);
  signal(SIGALRM, SIG_DFL);
  alarm(2);  // it may wait for ever for what a liar holds
  for (int i = 0; i < 400; i++) {
    for (int k = 0; k < 3; k++) {
      x ^= x << 13, x ^= x >> 7, x ^= x << 17;
      uint64_t at = x % (s->topic_size / 8), lock = at * 8 - offsetof(struct shoal_topic_shm, lock);
      // the words of a robust list are addresses: they belong to the C library's trust in its own process
      if (lock < sizeof(struct shoal_robust) || (at * 8 - roles < 128 * 64 && (at * 8 - roles) % 64 < 40)) continue;
      words[at] = x >> (x % 64);
    }
    shoal_topic_publish(t, &v, SHOAL_TRY);
    shoal_topic_get(t, &v, SHOAL_TRY);
    if (shoal_topic_receive(t, &loan, SHOAL_TRY) == 0) shoal_topic_return(t, &loan);
    if (shoal_topic_receive(t, &loan, SHOAL_TRY) == 0) shoal_topic_release(t, &loan);
    if (shoal_topic_reserve(t, &loan, SHOAL_TRY) == 0) shoal_topic_cancel(t, &loan);
    shoal_topic_publish(t, &v, shoal_after_us(10));
    shoal_topic_subscriber(t, (uint32_t)i % 64, &who);
    if (i % 20) continue;
    info_of(t);
    shoal_topic_unsubscribe(t);
    int rc = shoal_topic_subscribe(t, &(struct shoal_topic_subscription){.history = 3, .group = i % 40 ? "g" : NULL});
    (void)rc;
  }
  _exit(0);
}
static void test_scribbled_memory_is_survived(void **state) {
  (void)state;
  for (unsigned seed = 0; seed < 30; seed++) {
    struct shoal_topic *t = make_of(16);
    struct peer p = peer_start(&arena, use_scribbled, seed);
    int status;
    assert_int_equal(waitpid(p.pid, &status, 0), p.pid);
    assert_true(WIFEXITED(status) || WTERMSIG(status) == SIGALRM);
    free(t);
    arena_free(&arena);
  }
}

static void test_named_in_a_segment(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_topic *t, *again;
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  struct shoal_topic_options o = {.capacity = 16, .history = 16};
  assert_int_equal(numbers_create(seg, "t", &(struct shoal_topic_options){.capacity = 0}, &t), -EINVAL);
  assert_int_equal(numbers_open_or_create(seg, "t", &(struct shoal_topic_options){.capacity = 0}, &t), -EINVAL);
  shoal_reason_clear();
  assert_int_equal(numbers_create(seg, "t", NULL, &t), -EINVAL);
  assert_string_equal(shoal_reason(), "options.capacity is not given");
  assert_int_equal(numbers_open_or_create(seg, "t", NULL, &t), -EINVAL);
  assert_int_equal(shoal_topic_create(seg, "t", NULL, &t), -EINVAL);
  shoal_reason_clear();
  assert_int_equal(shoal_topic_open_or_create(seg, "t", NULL, &t), -EINVAL);
  assert_string_equal(shoal_reason(), "options.capacity is not given");
  assert_int_equal(numbers_open(seg, "t", &t), -ENOENT);
  assert_int_equal(numbers_create(seg, "t", &o, &t), 0);
  assert_int_equal(numbers_create(seg, "t", &o, &again), -EEXIST);
  assert_int_equal(shoal_topic_open(seg, "t", 4, &again), -EBADMSG);
  assert_int_equal(shoal_queue_unlink(seg, "t"), -EBADMSG);
  subscribe(t);
  fflush(NULL);
  struct peer child = {fork()};
  if (child.pid == 0) {
    struct shoal_topic *mine;
    CHECK(try_get(t) == -EINVAL);  // it has not its parent's subscription
    CHECK(numbers_open_or_create(seg, "t", &o, &mine) == 0);
    for (uint64_t n = 0; n < 1000; n++) publish(mine, n);
    CHECK(shoal_topic_detach(mine) == 0);
    _exit(0);
  }
  for (uint64_t n = 0; n < 1000; n++) assert_int_equal(get(t), n);
  peer_join(&child);
  assert_int_equal(numbers_open(seg, "t", &again), 0);
  subscribe_as(again, SHOAL_TOPIC_WAIT, 1, NULL);
  assert_int_equal(get(again), 999);
  assert_int_equal(shoal_topic_unlink(seg, "t"), 0);
  assert_int_equal(shoal_topic_unlink(seg, "t"), -ENOENT);
  assert_int_equal(shoal_topic_detach(again), 0);
  assert_int_equal(shoal_topic_detach(t), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}

static void *stay_until(void *topic) {
  subscribe(topic);
  shoal_add32_seq_cst(&shared()->ready, 1);
  await(&shared()->stage, 1);
  CHECK(shoal_topic_unsubscribe(topic) == 0);
  return NULL;
}
static void test_detach_refuses_while_another_thread_has_a_role(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(4);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, stay_until, t), 0);
  await(&shared()->ready, 1);
  assert_int_equal(shoal_topic_detach(t), -EBUSY);
  shoal_store32_seq_cst(&shared()->stage, 1);
  pthread_join(thread, NULL);
  unmake(t);
}

int main(void) {
  watchdog(240);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_all_see_all_in_one_order_threads),
      cmocka_unit_test(test_all_see_all_in_one_order_processes),
      cmocka_unit_test(test_smallest_ring_threads),
      cmocka_unit_test(test_smallest_ring_processes),
      cmocka_unit_test(test_published_by_exchange),
      cmocka_unit_test(test_sixteen_subscribers_threads),
      cmocka_unit_test(test_sixteen_subscribers_processes),
      cmocka_unit_test(test_absurd_options_are_refused),
      cmocka_unit_test(test_answers_without_a_peer),
      cmocka_unit_test(test_another_types_calls_are_refused),
      cmocka_unit_test(test_another_type_of_the_same_size_is_refused),
      cmocka_unit_test(test_in_place),
      cmocka_unit_test(test_a_loan_ends_once_and_by_its_thread),
      cmocka_unit_test(test_leaving_cancels_reservations),
      cmocka_unit_test(test_the_end_is_told_to_all),
      cmocka_unit_test(test_a_new_publisher_goes_on),
      cmocka_unit_test(test_close_tells_publishers),
      cmocka_unit_test(test_a_dead_publishers_hole_is_skipped_by_all),
      cmocka_unit_test(test_the_dead_hold_up_nobody),
      cmocka_unit_test(test_publishers_come_round_to_a_reservation),
      cmocka_unit_test(test_a_full_table_of_the_living_and_of_the_dead),
      cmocka_unit_test(test_random_kills_among_processes),
      cmocka_unit_test(test_a_damaged_header_is_refused),
      cmocka_unit_test(test_scribbled_memory_is_survived),
      cmocka_unit_test(test_named_in_a_segment),
      cmocka_unit_test(test_detach_refuses_while_another_thread_has_a_role),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
