// tests/harness/stage.h: a test's arena, made before it and freed behind it, and words in it by which peers take turns.
//
// USE
//   static int setup(void **state) {
//     struct shared *s = *state = arena_begin(sizeof *s);
//     ...
//   }
//   cmocka_unit_test_setup_teardown(test_it, setup, arena_end)
//
//   static void keep(void *memory, unsigned i) { ...takes it; stage_keep(&s->stage); ...gives it back }
//   struct peer p = keeper(keep, 0, &s->stage);       // it has it
//   let_go(&p, &s->stage);                            // it has given it back, and ended well; or peer_kill(&p)
#pragma once

#include <sched.h>

#include "core/atomic.h"
#include "tests/harness/drivers.h"

extern struct arena arena;       // the running test's
void *arena_begin(size_t size);  // its memory; starts the watchdog
int arena_end(void **state);     // a teardown

static inline void say(shoal_atomic32 *word, uint32_t n) { shoal_store32_release(word, n); }  // [T1] pairs with [T2]
static inline void await(shoal_atomic32 *word, uint32_t at_least) {
  while (shoal_load32_acquire(word) < at_least) sched_yield();  // [T2] pairs with [T1]
}

// Says 1, and comes back when somebody has said 2.
static inline void stage_keep(shoal_atomic32 *stage) {
  say(stage, 1);
  await(stage, 2);
}
// A process in `keep`, which has said 1.
struct peer keeper(arena_body keep, unsigned i, shoal_atomic32 *stage);
void let_go(struct peer *p, shoal_atomic32 *stage);
// A process in `body`, asleep by now.
struct peer asleep(arena_body body, unsigned i);
