// Claims of ipc/queue/topic about groups:
//   1 each message goes to one member of each group, and to all who read alone; by threads and by processes
//   2 a dead member's message goes to another member, who may be asleep, before newer ones; not what it released
//   3 a member that leaves, or returns a message, gives it to another; that is no death
//   4 a group is there as long as it has members; its policy and history are its first member's
//   5 the end is told when nothing is in other members' hands
//   6 a group that nobody waits for is passed by, and told what it missed
//   7 beside one who is stopped in a change of groups others are told so after a second, or at their deadline, and have
//   all they had
#include "tests/ipc/queue/topic_fixture.h"

#include <sys/wait.h>

// ---- 1 ----

#define MEMBERS 3u
#define GROUPS 2u
#define EACH 8000u

// Body 0 publishes, 1 reads alone, the others are members.
static void publish_or_share(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = attach(memory);
  static const char *const names[GROUPS] = {"left", "right"};
  unsigned g = (i - 2) % GROUPS;
  if (i == 0) CHECK(shoal_topic_join(t) == 0);
  else subscribe_as(t, SHOAL_TOPIC_WAIT, 0, i == 1 ? NULL : names[g]);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->ready, 2 + MEMBERS * GROUPS);
  if (i == 0) {
    for (uint64_t n = 0; n < EACH; n++) publish(t, n);
  } else {
    struct shoal_loan loan;
    uint64_t n = 0, last = 0;
    int rc;
    for (; (rc = shoal_topic_receive(t, &loan, SHOAL_FOREVER)) == 0; n++) {
      uint64_t v = *(uint64_t *)loan.data;
      CHECK(v < EACH && (v > last || v == 0) && loan.redelivered == 0);
      last = v;
      if (i > 1) CHECK(__atomic_fetch_add(&s->ledger[g * EACH + v], 1, __ATOMIC_RELAXED) == 0);
      CHECK(shoal_topic_release(t, &loan) == 0);
    }
    CHECK(rc == -EPIPE);
    shoal_store64_relaxed(&s->answers[i], n);
  }
  CHECK(shoal_topic_detach(t) == 0);
}
static void once_in_each_group(enum driver driver, uint32_t capacity) {
  struct shoal_topic *t = make_of(capacity);
  run(&arena, driver, 2 + MEMBERS * GROUPS, publish_or_share);
  for (unsigned i = 0; i < GROUPS * EACH; i++) assert_int_equal(shared()->ledger[i], 1);
  assert_int_equal(shoal_load64_relaxed(&shared()->answers[1]), EACH);
  assert_int_equal(info_of(t).groups, 0);
  unmake(t);
}
static void test_once_in_each_group_threads(void **state) { (void)state, once_in_each_group(THREADS, 64); }
static void test_once_in_each_group_processes(void **state) { (void)state, once_in_each_group(PROCESSES, 64); }
static void test_smallest_ring_threads(void **state) { (void)state, once_in_each_group(THREADS, 2); }
static void test_smallest_ring_processes(void **state) { (void)state, once_in_each_group(PROCESSES, 2); }

// ---- 2 ----

static struct shoal_topic *member(uint32_t history, const char *group) {
  struct shoal_topic *t = attach(arena.memory);
  subscribe_as(t, SHOAL_TOPIC_WAIT, history, group);
  return t;
}
static void receive_and_stay(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = attach(memory);
  struct shoal_loan loan;
  subscribe_as(t, SHOAL_TOPIC_WAIT, 0, "group");
  shoal_add32_seq_cst(&s->ready, 1);
  shoal_store64_relaxed(&s->answers[i], receive(t, &loan));
  shoal_add32_seq_cst(&s->stage, 1);
  for (;;) pause();
}
static void get_until_told(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = attach(memory);
  uint64_t v;
  int rc;
  subscribe_as(t, SHOAL_TOPIC_WAIT, 0, "group");
  shoal_add32_seq_cst(&s->ready, 1);
  while ((rc = numbers_get(t, &v, SHOAL_FOREVER)) == 0) shoal_add64_relaxed(&s->answers[i], v);
  CHECK(rc == -EPIPE);
}

static void test_a_dead_members_message_goes_to_another(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(8), *mine = member(0, "group");
  struct peer holders[3];
  struct shoal_loan loan;
  uint64_t sum = 0;
  for (unsigned i = 0; i < 3; i++) {
    holders[i] = peer_start(&arena, receive_and_stay, i);
    await(&shared()->ready, i + 1);
    publish(t, i + 1);
    await(&shared()->stage, i + 1);
  }
  publish(t, 4), publish(t, 5);
  for (int i = 0; i < 3; i++) peer_kill(&holders[i]);
  shoal_role_reap(&mine->wait);
  for (int i = 0; i < 3; i++) {
    uint64_t v = receive(mine, &loan);
    assert_true(v <= 3);
    assert_int_equal(loan.redelivered, 1);
    sum += v;
    assert_int_equal(shoal_topic_release(mine, &loan), 0);
  }
  assert_int_equal(sum, 6);
  assert_int_equal(get(mine), 4);
  assert_int_equal(get(mine), 5);
  assert_int_equal(try_get(mine), -EAGAIN);
  assert_int_equal(info_of(t).redelivered, 3);
  assert_int_equal(shoal_topic_detach(mine), 0);
  unmake(t);
}

static void test_a_dead_members_message_wakes_a_sleeper(void **state) {
  (void)state;
  for (int round = 0; round < 10; round++) {
    struct shoal_topic *t = make_of(8);
    struct peer holder, peers[3];
    assert_int_equal(shoal_topic_join(t), 0);
    holder = peer_start(&arena, receive_and_stay, 8);
    await(&shared()->ready, 1);
    publish(t, 9);
    await(&shared()->stage, 1);
    sleepers_start(peers, 3, get_until_told);
    peer_kill(&holder);
    uint64_t sum = 0;
    while (sum != 9) {
      sum = 0;
      for (int i = 0; i < 3; i++) sum += shoal_load64_relaxed(&shared()->answers[i]);
      sched_yield();
    }
    assert_int_equal(shoal_topic_close(t), 0);
    peers_join(peers, 3);
    unmake(t);
  }
}

// A member after the other dies with the same message in hand: it is counted.
static void test_deaths_are_counted(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(8), *mine = member(0, "group");
  struct shoal_loan loan;
  publish(t, 9);
  for (uint32_t i = 0; i < 4; i++) {
    struct peer holder = peer_start(&arena, receive_and_stay, i);
    await(&shared()->stage, i + 1);
    peer_kill(&holder);
    shoal_role_reap(&mine->wait);
  }
  assert_int_equal(receive(mine, &loan), 9);
  assert_int_equal(loan.redelivered, 4);
  assert_int_equal(shoal_topic_release(mine, &loan), 0);
  assert_int_equal(shoal_topic_detach(mine), 0);
  unmake(t);
}

// ---- 3 ----

static void test_leaving_and_returning_are_no_deaths(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(8), *a = member(0, "group"), *b = member(0, "group");
  struct shoal_loan loan;
  publish(t, 1), publish(t, 2), publish(t, 3);
  assert_int_equal(receive(a, &loan), 1);
  assert_int_equal(get(b), 2);
  assert_int_equal(shoal_topic_return(a, &loan), 0);
  assert_int_equal(receive(b, &loan), 1);
  assert_int_equal(loan.redelivered, 0);
  assert_int_equal(shoal_topic_unsubscribe(b), 0);
  assert_int_equal(shoal_topic_release(b, &loan), -EPERM);
  assert_int_equal(receive(a, &loan), 1);
  assert_int_equal(loan.redelivered, 0);
  assert_int_equal(shoal_topic_release(a, &loan), 0);
  assert_int_equal(get(a), 3);
  assert_int_equal(info_of(t).redelivered, 0);
  assert_int_equal(shoal_topic_detach(a), 0);
  assert_int_equal(shoal_topic_detach(b), 0);
  unmake(t);
}

// ---- 4 ----

static void test_groups_come_and_go(void **state) {
  (void)state;
  struct shoal_topic *t = make((struct shoal_topic_options){.capacity = 8, .history = 4, .groups = 2});
  struct shoal_topic_subscriber_info who;
  for (uint64_t n = 0; n < 6; n++) publish(t, n);
  struct shoal_topic *a = member(2, "one"), *b = member(4, "one"), *c = member(3, "two");
  assert_int_equal(shoal_topic_subscribe(t, &(struct shoal_topic_subscription){.group = "three"}), -EUSERS);
  assert_int_equal(shoal_topic_subscribe(t, &(struct shoal_topic_subscription){.group = ""}), -EINVAL);
  assert_int_equal(
      shoal_topic_subscribe(t, &(struct shoal_topic_subscription){.group = "0123456789012345678901234567890x"}),
      -ENAMETOOLONG);
  assert_int_equal(
      shoal_topic_subscribe(t, &(struct shoal_topic_subscription){.slow = SHOAL_TOPIC_DROP, .group = "one"}), -EBADMSG);
  assert_int_equal(info_of(t).groups, 2);
  assert_int_equal(info_of(t).subscribers, 3);
  assert_int_equal(shoal_topic_subscriber(t, 1, &who), 0);
  assert_string_equal(who.group, "one");
  assert_int_equal(who.lag, 2);
  assert_int_equal(get(b), 4);
  assert_int_equal(get(a), 5);
  assert_int_equal(get(c), 3);
  assert_int_equal(shoal_topic_detach(a), 0);
  assert_int_equal(shoal_topic_detach(b), 0);
  a = member(1, "three");  // in the first one's place
  assert_int_equal(get(a), 5);
  assert_int_equal(shoal_topic_detach(a), 0);
  a = member(0, "two");
  assert_int_equal(get(a), 4);
  assert_int_equal(get(c), 5);
  assert_int_equal(shoal_topic_detach(a), 0);
  assert_int_equal(shoal_topic_detach(c), 0);
  for (uint64_t n = 0; n < 30; n++) publish(t, n);  // nobody is in the way
  unmake(t);
}

static void test_a_group_is_waited_for(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(4), *a = member(0, "group"), *b = member(0, "group");
  struct shoal_loan loan;
  uint64_t n = 0;
  while (try_publish(t, n) == 0) n++;
  assert_int_equal(n, 4);
  assert_int_equal(receive(a, &loan), 0);
  for (uint64_t v = 1; v < 4; v++) assert_int_equal(get(b), v);
  assert_int_equal(try_publish(t, 4), -EAGAIN);  // the oldest is still in a's hands
  assert_int_equal(shoal_topic_release(a, &loan), 0);
  for (; n < 8; n++) assert_int_equal(try_publish(t, n), 0);
  assert_int_equal(try_publish(t, 8), -EAGAIN);
  assert_int_equal(shoal_topic_detach(a), 0);
  assert_int_equal(shoal_topic_detach(b), 0);
  unmake(t);
}

// ---- 5 ----

static void test_the_end_waits_for_what_others_hold(void **state) {
  (void)state;
  for (int how = 0; how < 3; how++) {
    struct shoal_topic *t = make_of(8);
    struct peer holder, peers[2];
    assert_int_equal(shoal_topic_join(t), 0);
    subscribe_as(t, SHOAL_TOPIC_WAIT, 0, how ? "other" : "group");
    struct shoal_loan loan;
    if (how) holder = peer_start(&arena, receive_and_stay, 8), await(&shared()->ready, 1);
    publish(t, 5);
    receive(t, &loan);
    if (how) await(&shared()->stage, 1);
    sleepers_start(peers, 2, get_until_told);
    assert_int_equal(how == 2 ? shoal_topic_leave(t) : shoal_topic_close(t), 0);
    for (int i = 0; i < 2; i++) peer_asleep(&peers[i]);
    assert_int_equal(shoal_topic_release(t, &loan), 0);  // of how: in another group it is none of theirs
    if (how) peer_kill(&holder);
    peers_join(peers, 2);
    assert_int_equal(shoal_load64_relaxed(&shared()->answers[0]) + shoal_load64_relaxed(&shared()->answers[1]),
                     how ? 5 : 0);
    unmake(t);
  }
}

// ---- 6 ----

static void test_a_group_is_passed_by(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(16), *other = attach(arena.memory);
  struct shoal_topic_subscriber_info who;
  struct shoal_loan loan;
  uint64_t n = 0, received = 0;
  subscribe_as(t, SHOAL_TOPIC_DROP, 0, "group"), subscribe_as(other, SHOAL_TOPIC_DROP, 0, "group");
  for (uint64_t round = 1; round <= 40; round++) {
    for (uint64_t k = 0; k < round; k++) assert_int_equal(try_publish(t, n++), 0);
    for (int64_t v, last = -1; (v = try_get(received % 2 ? t : other)) >= 0; received++) {
      assert_true(v > last && (uint64_t)v < n);
      last = v;
    }
    assert_int_equal(received + info_of(t).missed, n);
  }
  assert_int_equal(shoal_topic_subscriber(t, 1, &who), 0);
  assert_true(who.missed > 0 && who.missed == info_of(t).missed);
  publish(t, 77);
  assert_int_equal(receive(other, &loan), 77);
  for (n = 1; try_publish(t, n) == 0;) n++;
  assert_int_equal(n, 16);  // what a member holds stays
  assert_int_equal(*(uint64_t *)loan.data, 77);
  assert_int_equal(shoal_topic_release(other, &loan), 0);
  assert_int_equal(try_publish(t, 1), 0);
  assert_int_equal(shoal_topic_detach(other), 0);
  unmake(t);
}

// ---- 7 ----

static void stands_inside(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = attach(memory);
  (void)i;
  CHECK(shoal_topic_join(t) == 0 && shoal_robust_acquire_(&t->shm->lock, SHOAL_FOREVER) == 0);
  shoal_store32_seq_cst(&s->done, 1);
  while (shoal_load32_seq_cst(&s->done) == 1) sched_yield();
  shoal_robust_release_(&t->shm->lock);
  CHECK(shoal_topic_detach(t) == 0);
}
static struct peer stopped_inside(void) {
  struct peer p = peer_start(&arena, stands_inside, 0);
  int status;
  await(&shared()->done, 1);
  CHECK(kill(p.pid, SIGSTOP) == 0 && waitpid(p.pid, &status, WUNTRACED) == p.pid);
  return p;
}
static void goes_on(struct peer *p) {
  shoal_store32_seq_cst(&shared()->done, 2);
  kill(p->pid, SIGCONT);
  peer_join(p);
}

// What is no change of groups goes on.
static void test_changes_beside_one_who_is_stopped_in_one(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(8), *mine = member(0, "group"), *late = attach(arena.memory),
                     *alone = attach(arena.memory);
  const struct shoal_topic_subscription how = {.group = "group"};
  struct shoal_loan loan;
  publish(t, 1), publish(t, 2);
  assert_int_equal(receive(mine, &loan), 1);
  struct peer p = stopped_inside();
  assert_int_equal(shoal_topic_subscribe(late, &how), -ETIMEDOUT);
  assert_int_equal(shoal_topic_unsubscribe(mine), -ETIMEDOUT);
  assert_int_equal(shoal_topic_detach(mine), -ETIMEDOUT);
  assert_int_equal(info_of(t).subscribers, 1);
  subscribe(alone);
  publish(t, 3);
  assert_int_equal(get(alone), 3);
  assert_int_equal(shoal_topic_detach(alone), 0);
  assert_int_equal(shoal_topic_release(mine, &loan), 0);
  assert_int_equal(get(mine), 2);
  goes_on(&p);
  assert_int_equal(shoal_topic_subscribe(late, &how), 0);
  assert_int_equal(shoal_topic_detach(mine), 0);
  assert_int_equal(get(late), 3);
  assert_int_equal(shoal_topic_detach(late), 0);
  assert_int_equal(info_of(t).groups, 0);
  unmake(t);
}

static void reads_one(void *memory, unsigned i) {
  struct shoal_topic *t = attach(memory);
  (void)i;
  subscribe(t);
  CHECK(get(t) == 1);
  CHECK(shoal_topic_detach(t) == 0);
}
// The dead one stays, and what it held; who waits for something else has that.
static void test_a_dead_member_beside_one_who_is_stopped_in_a_change(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(8), *mine = member(0, "group");
  struct shoal_loan loan;
  uint64_t v = 0;
  publish(t, 9);
  struct peer dead = peer_start(&arena, receive_and_stay, 0), reader;
  await(&shared()->stage, 1);
  peer_kill(&dead);
  struct peer p = stopped_inside();
  sleepers_start(&reader, 1, reads_one);
  publish(t, 1);
  peer_join(&reader);
  assert_int_equal(get(mine), 1);
  assert_int_equal(try_get(mine), -ETIMEDOUT);
  assert_int_equal(shoal_role_reap(&t->wait), -ETIMEDOUT);
  shoal_deadline later = shoal_after_ns(SHOAL_RECHECK_NS + SHOAL_RECHECK_NS / 4);
  assert_int_equal(numbers_get(mine, &v, later), -ETIMEDOUT);
  assert_true(shoal_deadline_passed(later));
  for (v = 2; v < 8; v++) publish(t, v);
  assert_int_equal(try_publish(t, 8), -ETIMEDOUT);
  for (v = 2; v < 8; v++) assert_int_equal(get(mine), v);
  goes_on(&p);
  assert_int_equal(receive(mine, &loan), 9);
  assert_int_equal(loan.redelivered, 1);
  assert_int_equal(shoal_topic_release(mine, &loan), 0);
  assert_int_equal(try_publish(t, 8), 0);
  assert_int_equal(shoal_topic_detach(mine), 0);
  unmake(t);
}

// ---- all of it ----

#define KILLS 200u
#define EACH_KILL 100u  // messages
#define NUMBERS (KILLS * EACH_KILL)
SHOAL_STATIC_ASSERT(NUMBERS <= LEDGER, "each has a byte");

static void random_life(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_topic *t = attach(memory);
  struct shoal_loan loan;
  int rc;
  if (i == 0) {  // numbers its messages; a number is used once even if it dies
    for (uint64_t v; (v = shoal_add64_relaxed(&s->sum, 1)) < NUMBERS;) {
      while (v >= EACH_KILL * (1 + shoal_load32_relaxed(&s->stage))) sched_yield();
      publish(t, v);
      __atomic_fetch_or(&s->ledger[v], 0x80, __ATOMIC_RELAXED);
    }
    return;
  }
  subscribe_as(t, SHOAL_TOPIC_WAIT, 0, "group");
  while ((rc = shoal_topic_receive(t, &loan, SHOAL_FOREVER)) == 0) {
    uint8_t *at = &s->ledger[*(uint64_t *)loan.data];
    uint8_t before = __atomic_fetch_add(at, 1, __ATOMIC_RELAXED);
    // before a release it may have been received by who died; then it says so
    CHECK(loan.redelivered || !(before & 0x7f));
    for (int k = 0; *(uint64_t *)loan.data % 8 == 0 && k < 20; k++) sched_yield();
    CHECK(shoal_topic_release(t, &loan) == 0);
    shoal_add64_relaxed(&s->answers[31], 1);
  }
  CHECK(rc == -EPIPE);
}
static void test_random_kills_among_processes(void **state) {
  (void)state;
  struct shoal_topic *t = make_of(16);
  struct peer peers[5];
  assert_int_equal(shoal_topic_join(t), 0);
  subscribe_as(t, SHOAL_TOPIC_WAIT, 0, "group");  // so that it stays
  for (unsigned i = 0; i < 5; i++) peers[i] = peer_start(&arena, random_life, i);
  uint32_t seed = 4711;
  int kills = 0;
  for (; kills < (int)KILLS; kills++) {
    seed = seed * 1664525 + 1013904223;
    uint64_t until = (uint64_t)kills * EACH_KILL + (seed >> 16) % EACH_KILL;
    while (shoal_load64_relaxed(&shared()->sum) < until) sched_yield();
    unsigned i = (seed >> 8) % 5;
    peer_kill(&peers[i]);
    peers[i] = peer_start(&arena, random_life, i);
    shoal_store32_relaxed(&shared()->stage, (uint32_t)kills + 1);
  }
  shoal_store32_relaxed(&shared()->stage, UINT32_MAX / EACH_KILL - 1);
  peer_join(&peers[0]);
  assert_int_equal(shoal_topic_close(t), 0);
  assert_int_equal(shoal_topic_unsubscribe(t), 0);
  peers_join(peers + 1, 4);
  unsigned sent = 0, lost = 0;
  for (unsigned v = 0; v < NUMBERS; v++) {
    sent += shared()->ledger[v] >> 7;
    lost += shared()->ledger[v] == 0x80;
  }
  print_message("%d kills, %u messages, redelivered %llu, late %llu\n", kills, sent,
                (unsigned long long)info_of(t).redelivered, (unsigned long long)info_of(t).late);
  assert_int_equal(lost, 0);
  assert_int_equal(shoal_topic_detach(t), 0);
  arena_free(&arena);
}

int main(void) {
  watchdog(240);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_once_in_each_group_threads),
      cmocka_unit_test(test_once_in_each_group_processes),
      cmocka_unit_test(test_smallest_ring_threads),
      cmocka_unit_test(test_smallest_ring_processes),
      cmocka_unit_test(test_a_dead_members_message_goes_to_another),
      cmocka_unit_test(test_a_dead_members_message_wakes_a_sleeper),
      cmocka_unit_test(test_deaths_are_counted),
      cmocka_unit_test(test_leaving_and_returning_are_no_deaths),
      cmocka_unit_test(test_groups_come_and_go),
      cmocka_unit_test(test_a_group_is_waited_for),
      cmocka_unit_test(test_the_end_waits_for_what_others_hold),
      cmocka_unit_test(test_a_group_is_passed_by),
      cmocka_unit_test(test_changes_beside_one_who_is_stopped_in_one),
      cmocka_unit_test(test_a_dead_member_beside_one_who_is_stopped_in_a_change),
      cmocka_unit_test(test_random_kills_among_processes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
