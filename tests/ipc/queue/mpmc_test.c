// Claims of ipc/queue/mpmc:
//   1 first in, first out, as many as the capacity; a claim holds up what is behind it until it is published or
//   cancelled 2 laps wrap; a hint that comes late, or never, loses and doubles nothing
//   3 a dead producer's hole is skipped in passing; a dead consumer's message becomes a stray, found before newer ones,
//   its
//     deaths counted; or is dropped
//   4 it can be told who is in the way, and who holds what
//   5 what cannot be a ring is refused
#include "ipc/queue/mpmc.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/drivers.h"

#define ROLES 16
#define NUMBERS 100000

struct shared {
  shoal_atomic64 next, received;
  shoal_atomic32 producing;
  uint8_t ledger[NUMBERS];
};
#define ROLES_AT ((sizeof(struct shared) + 63) & ~(size_t)63)

struct ring {
  struct shoal_eventcount_view view;
  struct shoal_mpmc ring;
};
static struct arena arena;

static uint32_t no_blocker(struct shoal_eventcount_view *view, int side) { return (void)view, (void)side, 0; }
static int recover(struct shoal_eventcount_view *view, uint32_t role, shoal_deadline deadline) {
  (void)deadline;
  shoal_mpmc_recover(&((struct ring *)view)->ring, role);
  return 0;
}
static const struct shoal_wait_ops ops = {no_blocker, recover, NULL, NULL, NULL, NULL};

static struct shoal_mpmc_shm *ring_in(void *memory) {
  return (struct shoal_mpmc_shm *)(void *)((char *)memory + ROLES_AT + shoal_eventcount_size(ROLES, ROLES));
}
static void attach(struct ring *r, void *memory) {
  uint64_t roles = shoal_eventcount_size(ROLES, ROLES);
  CHECK(shoal_eventcount_attach(&r->view, (void *)((char *)memory + ROLES_AT), roles, &ops) == 0);
  CHECK(shoal_mpmc_attach(&r->ring, ring_in(memory), arena.size - ROLES_AT - roles, &r->view) == 0);
}
static void make(struct ring *r, uint32_t capacity, uint32_t drop) {
  arena_make(&arena, ROLES_AT + shoal_eventcount_size(ROLES, ROLES) + shoal_mpmc_size(capacity, 8));
  assert_int_equal(shoal_eventcount_init((void *)((char *)arena.memory + ROLES_AT), ROLES, ROLES, 0), 0);
  assert_int_equal(shoal_mpmc_init(ring_in(arena.memory), capacity, 8, drop), 0);
  attach(r, arena.memory);
}
static void unmake(struct ring *r) {
  shoal_role_leave(&r->view, SHOAL_PRODUCER);
  shoal_role_leave(&r->view, SHOAL_CONSUMER);
  arena_free(&arena);
}
static uint32_t mine(struct ring *r, int side) {
  int role = shoal_role_mine(&r->view, side);
  CHECK(role > 0);
  return (uint32_t)role;
}

static int put(struct ring *r, uint64_t v) {
  struct shoal_claim claim;
  if (!shoal_mpmc_claim_put(&r->ring, mine(r, SHOAL_PRODUCER), 8, &claim)) return 0;
  *(uint64_t *)shoal_claim_data(&claim, 8) = v;
  shoal_mpmc_publish(&r->ring, &claim);
  return 1;
}
static int get(struct ring *r, uint64_t *v) {
  struct shoal_claim claim;
  if (!shoal_mpmc_claim_get(&r->ring, mine(r, SHOAL_CONSUMER), 8, &claim)) return 0;
  *v = *(uint64_t *)shoal_claim_data(&claim, 8);
  shoal_mpmc_commit(&r->ring, &claim);
  return 1;
}
static void expect(struct ring *r, uint64_t v) {
  uint64_t got = UINT64_MAX;
  assert_true(get(r, &got));
  assert_int_equal(got, v);
}

// ---- 1 ----

static void test_first_in_first_out(void **state) {
  (void)state;
  struct ring r;
  uint64_t v;
  make(&r, 8, 0);
  for (uint64_t round = 0; round < 50; round++) {
    for (uint64_t i = 0; i < 8; i++) assert_true(put(&r, round + i));
    assert_false(put(&r, 0));
    assert_int_equal(shoal_mpmc_count(&r.ring), 8);
    for (uint64_t i = 0; i < 8; i++) expect(&r, round + i);
    assert_false(get(&r, &v));
    assert_true(put(&r, 1));
    expect(&r, 1);  // so that the next round begins elsewhere
  }
  unmake(&r);
}

static void test_a_claim_holds_up_what_is_behind_it(void **state) {
  (void)state;
  struct ring r;
  struct shoal_claim a, b;
  uint64_t v;
  make(&r, 4, 0);
  uint32_t p = mine(&r, SHOAL_PRODUCER), c = mine(&r, SHOAL_CONSUMER);
  assert_true(shoal_mpmc_claim_put(&r.ring, p, 8, &a));
  assert_true(put(&r, 2));
  assert_true(put(&r, 3));
  assert_false(get(&r, &v));
  assert_int_equal(shoal_mpmc_blocker(&r.ring, SHOAL_CONSUMER), p);
  assert_int_equal(shoal_mpmc_messages_behind(&r.ring, a.at), 2);
  *(uint64_t *)shoal_claim_data(&a, 8) = 1;
  shoal_mpmc_publish(&r.ring, &a);
  assert_int_equal(shoal_mpmc_blocker(&r.ring, SHOAL_CONSUMER), SHOAL_BLOCKER_NONE);
  assert_true(shoal_mpmc_claim_get(&r.ring, c, 8, &b));
  expect(&r, 2);  // a message in hand holds up no consumer
  assert_true(put(&r, 4));
  assert_false(put(&r, 5));  // but the producers, once round
  assert_int_equal(shoal_mpmc_blocker(&r.ring, SHOAL_PRODUCER), c);
  shoal_mpmc_commit(&r.ring, &b);
  assert_int_equal(shoal_mpmc_blocker(&r.ring, SHOAL_PRODUCER), SHOAL_BLOCKER_NONE);
  assert_true(put(&r, 5));
  for (uint64_t i = 3; i <= 5; i++) expect(&r, i);
  assert_int_equal(shoal_mpmc_blocker(&r.ring, SHOAL_CONSUMER), 0);
  unmake(&r);
}

// A hole made out of order, a lap ahead, says nothing of the messages before it.
static void test_a_late_consumer_passes_no_message_beside_a_hole(void **state) {
  (void)state;
  struct ring r;
  struct shoal_claim hole;
  make(&r, 4, 0);
  for (uint64_t i = 0; i < 4; i++) assert_true(put(&r, i));
  expect(&r, 0);
  assert_true(shoal_mpmc_claim_put(&r.ring, mine(&r, SHOAL_PRODUCER), 8, &hole));
  shoal_mpmc_cancel(&r.ring, &hole);
  shoal_store64_relaxed(&r.ring.shm->head, 0);  // the hint of who got 0 came late
  for (uint64_t i = 1; i < 4; i++) expect(&r, i);
  unmake(&r);
}

// ---- 2 ----

static void test_laps_wrap(void **state) {
  (void)state;
  struct ring r;
  make(&r, 4, 0);
  uint64_t lap = (UINT64_C(1) << 40) - 3;
  for (uint64_t k = 0; k < 4; k++) shoal_store64_relaxed(shoal_mpmc_at(&r.ring, k, 16).ctl, lap << 24);
  shoal_store64_relaxed(&r.ring.shm->tail, lap * 4);
  shoal_store64_relaxed(&r.ring.shm->head, lap * 4);
  for (uint64_t i = 0; i < 40; i++) {
    assert_true(put(&r, i));
    assert_true(put(&r, i + 1));
    expect(&r, i);
    expect(&r, i + 1);
  }
  assert_true(shoal_slot_lap_(shoal_load64_relaxed(shoal_mpmc_at(&r.ring, 0, 16).ctl)) >> 24 < 100);
  unmake(&r);
}

static uint32_t random_next(uint32_t *seed) { return *seed = *seed * 1664525 + 1013904223, *seed >> 8; }

#define WORKERS 6
// Producers cancel now and then, consumers return; worker 0 sets the hints back, as a late store would.
static void work_beside_late_hints(void *memory, unsigned i) {
  struct shared *s = memory;
  struct ring r;
  struct shoal_claim claim;
  uint32_t seed = i;
  attach(&r, memory);
  if (i == 0) {
    for (int n = 0; n < 20000; n++) {
      shoal_atomic64 *hint = random_next(&seed) % 2 ? &r.ring.shm->tail : &r.ring.shm->head;
      uint64_t now = shoal_load64_relaxed(hint), back = random_next(&seed) % 100;
      if (now > back) shoal_store64_relaxed(hint, random_next(&seed) % 50 ? now - back : 0);
      sched_yield();
    }
  } else if (i % 2) {
    uint32_t me = mine(&r, SHOAL_PRODUCER);
    for (;;) {
      uint64_t v = shoal_add64_relaxed(&s->next, 1);
      if (v >= NUMBERS) break;
      for (int done = 0; !done;) {
        if (!shoal_mpmc_claim_put(&r.ring, me, 8, &claim)) {
          sched_yield();
        } else if (random_next(&seed) % 10 == 0) {
          shoal_mpmc_cancel(&r.ring, &claim);
        } else {
          *(uint64_t *)shoal_claim_data(&claim, 8) = v;
          shoal_mpmc_publish(&r.ring, &claim);
          done = 1;
        }
      }
    }
  } else {
    uint32_t me = mine(&r, SHOAL_CONSUMER);
    while (shoal_load64_relaxed(&s->received) < NUMBERS) {
      if (!shoal_mpmc_claim_get(&r.ring, me, 8, &claim)) {
        sched_yield();
      } else if (random_next(&seed) % 20 == 0) {
        shoal_mpmc_return(&r.ring, &claim);
      } else {
        uint64_t v = *(uint64_t *)shoal_claim_data(&claim, 8);
        CHECK(v < NUMBERS && __atomic_fetch_add(&s->ledger[v], 1, __ATOMIC_RELAXED) == 0);
        shoal_mpmc_commit(&r.ring, &claim);
        shoal_add64_relaxed(&s->received, 1);
      }
    }
  }
  shoal_role_leave(&r.view, SHOAL_PRODUCER);
  shoal_role_leave(&r.view, SHOAL_CONSUMER);
}
static void late_hints(enum driver driver) {
  for (uint32_t capacity = 2; capacity <= 32; capacity *= 4) {
    struct ring r;
    make(&r, capacity, 0);
    run(&arena, driver, WORKERS, work_beside_late_hints);
    const struct shared *s = arena.memory;
    for (int i = 0; i < NUMBERS; i++) assert_int_equal(s->ledger[i], 1);
    uint64_t v;
    assert_false(get(&r, &v));
    unmake(&r);
  }
}
static void test_late_hints_lose_and_double_nothing_threads(void **state) { (void)state, late_hints(THREADS); }
static void test_late_hints_lose_and_double_nothing_processes(void **state) { (void)state, late_hints(PROCESSES); }

// ---- 3 ----

static void claim_some_and_die(void *memory, unsigned i) {
  struct ring r;
  struct shoal_claim claim;
  attach(&r, memory);
  if (i == 0) CHECK(shoal_mpmc_claim_put(&r.ring, mine(&r, SHOAL_PRODUCER), 8, &claim));
  else CHECK(shoal_mpmc_claim_get(&r.ring, mine(&r, SHOAL_CONSUMER), 8, &claim));
}

static void test_a_dead_producers_hole_is_skipped(void **state) {
  (void)state;
  for (enum driver driver = THREADS; driver < DRIVERS; driver++) {
    struct ring r;
    make(&r, 4, 0);
    assert_true(put(&r, 1));
    run(&arena, driver, 1, claim_some_and_die);
    assert_true(put(&r, 2));
    expect(&r, 1);
    expect(&r, 2);
    for (uint64_t i = 0; i < 4; i++) assert_true(put(&r, i));
    for (uint64_t i = 0; i < 4; i++) expect(&r, i);
    assert_int_equal(shoal_load64_relaxed(&r.ring.shm->holes), 1);
    assert_int_equal(shoal_role_reap(&r.view), 1);
    assert_int_equal(shoal_role_reap(&r.view), 0);
    unmake(&r);
  }
}

static void get_and_die(void *memory, unsigned i) { (void)i, claim_some_and_die(memory, 1); }

static void test_a_dead_consumers_message_is_a_stray(void **state) {
  (void)state;
  struct ring r;
  struct shoal_claim claim;
  uint32_t deaths = 0;
  make(&r, 4, 0);
  uint32_t me = mine(&r, SHOAL_CONSUMER);
  assert_true(put(&r, 1) && put(&r, 2) && put(&r, 3));
  for (uint32_t n = 1; n <= 3; n++) {
    run(&arena, n % 2 ? THREADS : PROCESSES, 1, get_and_die);
    assert_int_equal(shoal_mpmc_held(&r.ring, me), 1);
    assert_int_equal(shoal_role_reap(&r.view), 1);
    assert_true(shoal_mpmc_claim_get(&r.ring, me, 8, &claim));
    assert_int_equal(*(uint64_t *)shoal_claim_data(&claim, 8), 1);
    assert_int_equal(shoal_mpmc_holds(&r.ring, me, claim.at, SHOAL_SLOT_READING_, &deaths), 1);
    assert_int_equal(deaths, n);
    assert_int_equal(shoal_mpmc_held(&r.ring, me), 0);  // but by myself
    shoal_mpmc_return(&r.ring, &claim);
  }
  for (uint64_t i = 1; i <= 3; i++) expect(&r, i);
  assert_int_equal(shoal_load64_relaxed(&r.ring.shm->redelivered), 3);
  assert_int_equal(shoal_mpmc_held(&r.ring, me), 0);
  for (uint64_t i = 0; i < 4; i++) assert_true(put(&r, i));
  unmake(&r);
}

static void test_deaths_are_counted_to_a_limit(void **state) {
  (void)state;
  struct ring r;
  struct shoal_claim claim;
  uint32_t deaths = 0;
  make(&r, 2, 0);
  uint32_t me = mine(&r, SHOAL_CONSUMER);
  assert_true(put(&r, 7));
  for (int n = 0; n < 1030; n++) {
    assert_true(shoal_mpmc_claim_get(&r.ring, me, 8, &claim));
    shoal_mpmc_recover(&r.ring, me);
  }
  assert_true(shoal_mpmc_claim_get(&r.ring, me, 8, &claim));
  assert_true(shoal_mpmc_holds(&r.ring, me, claim.at, SHOAL_SLOT_READING_, &deaths));
  assert_int_equal(deaths, SHOAL_SLOT_DEATHS_MAX_);
  assert_int_equal(*(uint64_t *)shoal_claim_data(&claim, 8), 7);
  shoal_mpmc_commit(&r.ring, &claim);
  unmake(&r);
}

static void test_a_dead_consumers_message_is_dropped(void **state) {
  (void)state;
  struct ring r;
  uint64_t v;
  make(&r, 2, 1);
  assert_true(put(&r, 1) && put(&r, 2));
  run(&arena, PROCESSES, 1, get_and_die);
  assert_false(put(&r, 3));
  assert_int_equal(shoal_role_reap(&r.view), 1);
  assert_true(put(&r, 3));
  expect(&r, 2);
  expect(&r, 3);
  assert_false(get(&r, &v));
  assert_int_equal(shoal_load64_relaxed(&r.ring.shm->dropped), 1);
  unmake(&r);
}

// ---- 4 ----

static void test_who_holds_what(void **state) {
  (void)state;
  struct ring r;
  struct shoal_claim claim;
  uint32_t deaths;
  make(&r, 4, 0);
  uint32_t p = mine(&r, SHOAL_PRODUCER), c = mine(&r, SHOAL_CONSUMER);
  assert_true(shoal_mpmc_claim_put(&r.ring, p, 8, &claim));
  assert_true(shoal_mpmc_holds(&r.ring, p, claim.at, SHOAL_SLOT_WRITING_, &deaths));
  assert_false(shoal_mpmc_holds(&r.ring, c, claim.at, SHOAL_SLOT_WRITING_, &deaths));
  assert_false(shoal_mpmc_holds(&r.ring, p, claim.at, SHOAL_SLOT_READING_, &deaths));
  assert_false(shoal_mpmc_holds(&r.ring, p, claim.at + 4, SHOAL_SLOT_WRITING_, &deaths));
  shoal_mpmc_publish(&r.ring, &claim);
  assert_false(shoal_mpmc_holds(&r.ring, p, claim.at, SHOAL_SLOT_WRITING_, &deaths));
  unmake(&r);
}

// ---- 5 ----

static void test_sizes(void **state) {
  (void)state;
  assert_int_equal(shoal_mpmc_size(0, 8), 0);
  assert_int_equal(shoal_mpmc_size(8, 0), 0);
  assert_int_equal(shoal_mpmc_size((UINT64_C(1) << 30) + 1, 8), 0);
  assert_int_equal(shoal_mpmc_size(8, (UINT64_C(1) << 30) + 1), 0);
  assert_int_equal(shoal_mpmc_size(UINT64_MAX, UINT64_MAX), 0);
  assert_int_equal(shoal_mpmc_size(8, 8), sizeof(struct shoal_mpmc_shm) + 8 * 16);
  assert_int_equal(shoal_mpmc_size(5, 24), sizeof(struct shoal_mpmc_shm) + 8 * 32);
  assert_int_equal(shoal_mpmc_size(1, 56), sizeof(struct shoal_mpmc_shm) + 2 * 64);
  assert_int_equal(shoal_mpmc_size(2, 57), sizeof(struct shoal_mpmc_shm) + 2 * 128);
  assert_int_equal(shoal_mpmc_size(2, 65), sizeof(struct shoal_mpmc_shm) + 2 * 192);
}

static void test_what_is_no_ring_is_refused(void **state) {
  (void)state;
  struct ring r;
  struct shoal_mpmc other;
  make(&r, 8, 0);
  struct shoal_mpmc_shm *shm = ring_in(arena.memory);
  uint64_t size = shoal_mpmc_size(8, 8);
  assert_int_equal(shoal_mpmc_attach(&other, shm, size, &r.view), 0);
  assert_int_equal(shoal_mpmc_attach(&other, shm, size - 1, &r.view), -EPROTO);
  assert_int_equal(shoal_mpmc_attach(&other, shm, 0, &r.view), -EPROTO);
  static const uint32_t wrong[] = {0, 1, 3, 7, 9, 16, 1u << 31, UINT32_MAX};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    shm->capacity = wrong[i];
    assert_int_equal(shoal_mpmc_attach(&other, shm, size, &r.view), -EPROTO);
  }
  shm->capacity = 8;
  shm->element_size = UINT32_MAX;
  assert_int_equal(shoal_mpmc_attach(&other, shm, size, &r.view), -EPROTO);
  shm->element_size = 0;
  assert_int_equal(shoal_mpmc_attach(&other, shm, size, &r.view), -EPROTO);
  shm->element_size = 8;
  unmake(&r);
}

// While a dead consumer's message is found to have been received, its lease runs out: another takes the slot, finds the
// same, and frees it; the next message goes in there. That one stays.
static struct ring *taken_over;
static int received_meanwhile(const struct shoal_mpmc *ring, const void *payload) {
  shoal_atomic64 *ctl = (shoal_atomic64 *)(uintptr_t)((const char *)payload - 8);
  uint64_t lap = shoal_slot_lap_(shoal_load64_relaxed(ctl)) + SHOAL_SLOT_LAP_;
  (void)ring;
  shoal_store64_relaxed(ctl, lap);
  CHECK(put(taken_over, 77));
  return 0;
}
static void nothing_ends(const struct shoal_mpmc *ring, const void *payload, const shoal_atomic64 *ctl, uint64_t c) {
  (void)ring, (void)payload, (void)ctl, (void)c;
}
static void test_a_slot_that_moves_on_while_it_is_recovered(void **state) {
  (void)state;
  static const struct shoal_payload_ops payload = {nothing_ends, received_meanwhile};
  struct ring r;
  struct shoal_claim claim;
  uint64_t v = 0;
  make(&r, 2, 0);
  assert_true(put(&r, 1) && put(&r, 2));
  assert_true(shoal_mpmc_claim_get(&r.ring, mine(&r, SHOAL_CONSUMER), 8, &claim));
  r.ring.payload = &payload;
  taken_over = &r;
  shoal_mpmc_recover(&r.ring, mine(&r, SHOAL_CONSUMER));
  r.ring.payload = NULL;
  assert_true(get(&r, &v) && v == 2);
  assert_true(get(&r, &v) && v == 77);
  assert_false(get(&r, &v));
  for (uint64_t i = 0; i < 6; i++) assert_true(put(&r, i) && get(&r, &v) && v == i);
  unmake(&r);
}

int main(void) {
  watchdog(240);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_first_in_first_out),
      cmocka_unit_test(test_a_claim_holds_up_what_is_behind_it),
      cmocka_unit_test(test_a_late_consumer_passes_no_message_beside_a_hole),
      cmocka_unit_test(test_laps_wrap),
      cmocka_unit_test(test_late_hints_lose_and_double_nothing_threads),
      cmocka_unit_test(test_late_hints_lose_and_double_nothing_processes),
      cmocka_unit_test(test_a_dead_producers_hole_is_skipped),
      cmocka_unit_test(test_a_dead_consumers_message_is_a_stray),
      cmocka_unit_test(test_deaths_are_counted_to_a_limit),
      cmocka_unit_test(test_a_dead_consumers_message_is_dropped),
      cmocka_unit_test(test_who_holds_what),
      cmocka_unit_test(test_sizes),
      cmocka_unit_test(test_what_is_no_ring_is_refused),
      cmocka_unit_test(test_a_slot_that_moves_on_while_it_is_recovered),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
