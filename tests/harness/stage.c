#include "tests/harness/stage.h"

struct arena arena;

void *arena_begin(size_t size) {
  watchdog(240);
  arena_make(&arena, size);
  return arena.memory;
}
int arena_end(void **state) {
  (void)state;
  arena_free(&arena);
  return 0;
}

struct peer keeper(arena_body keep, unsigned i, shoal_atomic32 *stage) {
  say(stage, 0);
  struct peer p = peer_start(&arena, keep, i);
  await(stage, 1);
  return p;
}
struct peer asleep(arena_body body, unsigned i) {
  struct peer p = peer_start(&arena, body, i);
  peer_asleep(&p);
  return p;
}
void let_go(struct peer *p, shoal_atomic32 *stage) {
  say(stage, 2);
  peer_join(p);
}
