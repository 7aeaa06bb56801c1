// core/arena. Claims: its process ends at any instruction of jemalloc's or ours: what it had of the heap comes back
// whole, by whoever sweeps, and nothing else does; what it handed to others is readable while it lives; the heap serves
// another arena then.
#include "core/arena.h"
#include "core/heap_internal.h"
#include "tests/crash/fixture.h"

// jemalloc's: what is free goes back at once, through our hooks.
const char *malloc_conf = "dirty_decay_ms:0,muzzy_decay_ms:0,narenas:1";

#define BIG (UINT64_C(3) << 20)
#define SIZE UINT64_C(1000)

static const struct shoal_segment_options options = {
    .size = 24 << 20, .size_max = 24 << 20, .participants = 8, .objects = 8};
static struct shoal_arena *A;
static void *mine;             // the victim's block
static unsigned char *others;  // the driver's, of the heap
enum { PUBLISHED };            // T->out: where the victim's first block is

static void segment(void) {
  void *block = NULL;
  CRASH_OK(shoal_segment_create(NULL, &options, &S));
  CRASH_OK(shoal_heap_open(S, &H));
  CRASH_OK(shoal_heap_alloc(H, 16 << 20, &block));  // a chunk for all that comes
  CRASH_OK(shoal_heap_free(H, block));
  CRASH_OK(shoal_heap_alloc(H, SIZE, &block));
  others = block;
  memset(others, 0x5a, SIZE);
}
static void join(void) {
  int rc = 0;
  CRASH_EXPECT(shoal_cache_of_(H, &rc) != NULL, "no place in the heap: %d", rc);
}
static void make(void) { CRASH_OK(shoal_arena_create(H, &A)); }
static void alloc(uint64_t size) {
  CRASH_OK(shoal_arena_alloc(A, size, &mine));
  memset(mine, 0x33, SIZE);
  T->out[PUBLISHED] = shoal_segment_off(S, mine);
}
static void has_arena(void) {
  join();
  make();
}
static void has_block(void) {
  has_arena();
  alloc(SIZE);
}
static void has_big(void) {
  has_arena();
  alloc(BIG);
}

static void op_create(void) { make(); }
static void op_alloc(void) { alloc(SIZE); }
static void op_alloc_big(void) { alloc(BIG); }
static void op_free(void) {
  T->out[PUBLISHED] = 0;
  CRASH_OK(shoal_arena_free(A, mine));
}
static void op_realloc(void) {
  T->out[PUBLISHED] = 0;
  CRASH_OK(shoal_arena_realloc(A, &mine, BIG));
  for (uint64_t i = 0; i < SIZE; i++) CRASH_EXPECT(((unsigned char *)mine)[i] == 0x33, "byte %lu was not moved", i);
}
static void op_destroy(void) {
  T->out[PUBLISHED] = 0;
  CRASH_OK(shoal_arena_destroy(A));
}
static void op_reap(void) { CRASH_EXPECT(shoal_heap_reap(H) >= 0, "reap: %s", shoal_reason()); }

// The victim stands: who was told where reads what it wrote.
static void readable(void) {
  const unsigned char *at = T->out[PUBLISHED] ? shoal_segment_at(S, T->out[PUBLISHED], SIZE) : NULL;
  for (uint64_t i = 0; at && i < SIZE; i++) CRASH_EXPECT(at[i] == 0x33, "byte %lu is %u", i, at[i]);
}
static void only_others(const char *when) {
  struct shoal_heap_audit a = {0};
  struct shoal_heap_info info;
  op_reap();
  CRASH_OK(shoal_heap_audit(H, &a));
  CRASH_EXPECT(!a.damaged && a.dead_runs + a.dead_blocks + a.unreferenced == 0,
               "%s: %lu damaged, %lu runs and %lu blocks of the dead, %lu that nothing leads to", when, a.damaged,
               a.dead_runs, a.dead_blocks, a.unreferenced);
  CRASH_OK(shoal_heap_info(H, &info));
  CRASH_EXPECT(info.blocks == 1 && a.held == 0, "%s: %lu blocks, %lu pages are held", when, info.blocks, a.held);
  for (uint64_t i = 0; i < SIZE; i++) CRASH_EXPECT(others[i] == 0x5a, "%s: a block of another's was written", when);
}
static void survive(void) {
  only_others("after a sweep");
  make();
  for (int i = 0; i < 3; i++) alloc(BIG);
  for (int i = 0; i < 50; i++) alloc(SIZE + 60 * (uint64_t)i);
  CRASH_OK(shoal_arena_destroy(A));
  only_others("in the end");
}
static void check(void) { crash_survivor(survive); }
static void end(void) {
  CRASH_OK(shoal_heap_close(H));
  CRASH_OK(shoal_segment_close(S));
}

#define ARENA(id, text, ...)                                                                                \
  CRASH_SCENARIO(arena_##id, .name = "arena: " text, .setup = segment, .stopped = readable, .check = check, \
                 .cleanup = end, __VA_ARGS__)
ARENA(create, "create", .prepare = join, .op = op_create);
ARENA(alloc, "alloc, its first extent is carved", .prepare = has_arena, .op = op_alloc);
ARENA(alloc_joins, "alloc, joining the heap by it", .prepare = make, .op = op_alloc);
ARENA(alloc_more, "alloc, of an extent it has", .prepare = has_block, .op = op_alloc);
ARENA(alloc_big, "alloc, an extent of its own", .prepare = has_block, .op = op_alloc_big);
ARENA(free, "free", .prepare = has_block, .op = op_free);
ARENA(free_big, "free, an extent goes back", .prepare = has_big, .op = op_free);
ARENA(realloc, "realloc, to an extent of its own", .prepare = has_block, .op = op_realloc);
ARENA(destroy, "destroy", .prepare = has_big, .op = op_destroy);
ARENA(pair_alloc, "pair, an extent is carved, then reap", .kind = CRASH_PAIR, .prepare = has_arena, .op = op_alloc_big,
      .prepare2 = join, .op2 = op_reap);
ARENA(pair_free, "pair, an extent goes back, then another is carved", .kind = CRASH_PAIR, .prepare = has_big,
      .op = op_free, .prepare2 = has_arena, .op2 = op_alloc_big);
ARENA(pair_destroy, "pair, destroy, then reap", .kind = CRASH_PAIR, .prepare = has_big, .op = op_destroy,
      .prepare2 = join, .op2 = op_reap);
