// Claims of sync/barrier when its memory is overwritten by somebody who does not know what he does:
//   1 a wait under way ends when it looks again and the barrier is no more
//   2 a place that looks dead where nobody ever sat keeps no deadline from passing
//   3 whatever stands in its words, each call comes to its end
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sync/barrier.h"
#include "sync/gate.h"
#include "tests/harness/stage.h"

#define PARTIES 4
struct shared {
  union {
    struct shoal_barrier barrier;
    char room[128 + 64 * PARTIES];
  };
  shoal_atomic32 ends;
};

static int setup(void **state) {
  (void)state;
  arena_begin(sizeof(struct shared));
  return 0;
}
static struct shoal_barrier *fresh(uint32_t flags) {
  struct shared *s = arena.memory;
  struct shoal_barrier_options options = {.flags = flags};
  assert_int_equal(shoal_barrier_init(&s->barrier, PARTIES, &options), 0);
  return &s->barrier;
}

// ---- 1 ----

static void wait_in_vain(void *memory, unsigned i) {
  struct shared *s = memory;
  (void)i;
  CHECK(shoal_barrier_wait(&s->barrier, SHOAL_FOREVER, NULL) == -EINVAL);
}
static void test_a_wait_ends_with_the_barrier(void **state) {
  (void)state;
  struct shoal_barrier *b = fresh(0);
  struct peer p = asleep(wait_in_vain, 0);
  uint64_t states = UINT64_C(3) << 20, word = shoal_load64_relaxed(&b->word);
  assert_int_not_equal(word & states, 0);
  shoal_store64_relaxed(&b->word, word & ~states);  // in the same turn
  shoal_gate_ring_(&b->gate);
  peer_join(&p);
}

// ---- 2 ----

static void test_a_dead_place_nobody_had(void **state) {
  (void)state;
  for (uint32_t flags = 0; flags <= SHOAL_BARRIER_DROP; flags++) {
    struct shoal_barrier *b = fresh(flags);
    assert_int_equal(shoal_barrier_join(b), 0);
    shoal_store32_relaxed(&shoal_seat_at_(&b->seats, PARTIES - 1)->live.word, FUTEX_OWNER_DIED);
    int rc = shoal_barrier_wait(b, shoal_after_ms(20), NULL);
    assert_true(rc == -ETIMEDOUT || rc == -EPIPE);
    assert_int_equal(shoal_barrier_leave(b), 0);
  }
}

// ---- 3 ----

static uint64_t any(uint64_t *seed) {
  *seed = *seed * 6364136223846793005u + 1442695040888963407u;
  return *seed >> 33 ^ *seed << 31;
}
// All but what the kernel follows: the links of this thread's seat, and whose word is whose.
static void overwrite(struct shoal_barrier *b, uint64_t seed) {
  shoal_store64_relaxed(&b->word, any(&seed));
  shoal_store32_relaxed(&b->gate, (uint32_t)any(&seed));
  shoal_store32_relaxed(&b->culprit, (uint32_t)any(&seed));
  b->flags = (uint32_t)any(&seed);
  shoal_store32_relaxed(&b->seats.top, (uint32_t)any(&seed));
  for (uint32_t i = 0; i < PARTIES; i++) {
    struct shoal_seat *seat = shoal_seat_at_(&b->seats, i);
    shoal_store32_relaxed(&seat->event, (uint32_t)any(&seed) & 3);
    shoal_store64_relaxed(&seat->record, any(&seed));
    if (i) shoal_store32_relaxed(&seat->live.word, any(&seed) & 1 ? 0 : (uint32_t)any(&seed));
  }
}
static int nothing(void *arg) {
  (void)arg;
  return 0;
}
static void use(struct shoal_barrier *b, uint64_t seed) {
  struct shoal_barrier_info info;
  struct shoal_barrier_party party;
  CHECK(shoal_barrier_join(b) == 0);
  overwrite(b, seed);
  int rc = shoal_barrier_wait(b, SHOAL_TRY, NULL);
  rc |= shoal_barrier_wait_action(b, shoal_after_us(50), nothing, NULL, NULL);
  rc |= shoal_barrier_info(b, &info);
  for (uint32_t i = 0; i < PARTIES; i++) rc |= shoal_barrier_party(b, i, &party);
  rc |= shoal_barrier_abort(b);
  rc |= shoal_barrier_reset(b);
  rc |= shoal_barrier_wait(b, shoal_after_us(50), NULL);
  rc |= shoal_barrier_leave(b);
  rc |= shoal_barrier_destroy(b);
  CHECK(rc <= 0);
}
static void use_damaged(void *memory, unsigned i) {
  struct shared *s = memory;
  for (uint64_t seed = i; seed < 2000; seed += 2) {
    CHECK(shoal_barrier_init(&s->barrier, PARTIES, NULL) == 0);
    use(&s->barrier, seed);
  }
  shoal_add32_relaxed(&s->ends, 1);
}
static void test_each_call_ends(void **state) {
  (void)state;
  struct shared *s = arena.memory;
  for (unsigned i = 0; i < 2; i++) {
    struct peer p = peer_start(&arena, use_damaged, i);
    peer_join(&p);
  }
  assert_int_equal(shoal_load32_relaxed(&s->ends), 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_a_wait_ends_with_the_barrier, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_a_dead_place_nobody_had, setup, arena_end),
      cmocka_unit_test_setup_teardown(test_each_call_ends, setup, arena_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
