#include "tests/crash/fixture.h"

#include <sys/mman.h>

struct shoal_segment *S;
struct shoal_heap *H;
static uint64_t blocks_before;

// ---- where it lies ----

void *fixture_memory(size_t bytes) {
  static void *memory;
  if (!memory) memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  memset(memory, 0, bytes);
  shoal_spin_max_ = 3;  // what a spin is made of, and not two hundred times that
  return memory;
}

void fixture_segment(uint64_t size_max) {
  const struct shoal_segment_options small = {.size = 1 << 20, .size_max = size_max, .participants = 16, .objects = 16};
  shoal_spin_max_ = 3;
  CRASH_OK(shoal_segment_create(NULL, &small, &S));
  CRASH_OK(shoal_heap_open(S, &H));
}
void fixture_segment_end(void) {
  shoal_heap_close(H);
  CRASH_OK(shoal_segment_close(S));
}

uint64_t fixture_blocks(void) {
  struct shoal_heap_info info;
  CRASH_OK(shoal_heap_info(H, &info));
  return info.blocks;
}
void fixture_warm(void) {
  CRASH_EXPECT(shoal_heap_reap(H) >= 0, "reap: %s", shoal_reason());
  blocks_before = fixture_blocks();
}
void fixture_no_block_lost(void) {
  CRASH_EXPECT(shoal_heap_reap(H) >= 0, "reap: %s", shoal_reason());
  CRASH_EXPECT(fixture_blocks() == blocks_before, "%lu blocks are held, %lu were before", fixture_blocks(),
               blocks_before);
}
void fixture_just(uint64_t blocks, uint64_t objects, const char *when) {
  struct shoal_heap_audit a = {0};
  struct shoal_heap_info heap = {0};
  struct shoal_segment_info info = {.objects = 0};
  CRASH_EXPECT(shoal_heap_reap(H) >= 0, "reap: %s", shoal_reason());
  CRASH_OK(shoal_heap_audit(H, &a));
  CRASH_EXPECT(!a.damaged && a.dead_runs + a.dead_blocks + a.unreferenced == 0,
               "%s: %lu damaged, %lu runs and %lu blocks of the dead, %lu that nothing leads to", when, a.damaged,
               a.dead_runs, a.dead_blocks, a.unreferenced);
  CRASH_OK(shoal_heap_info(H, &heap));
  CRASH_OK(shoal_segment_info(S, &info));
  CRASH_EXPECT(heap.objects == blocks && heap.blocks == blocks, "%s: %u of %lu blocks are objects', not %lu", when,
               heap.objects, heap.blocks, blocks);
  CRASH_EXPECT(info.objects - heap.chunks - 1 == objects, "%s: %u objects, not %lu", when,
               info.objects - heap.chunks - 1, objects);
}
void fixture_use(uint64_t bytes) {
  shoal_proc_id me;
  void *block;
  CRASH_OK(shoal_proc_self(S, &me));
  CRASH_OK(shoal_heap_alloc(H, bytes, &block));
  CRASH_OK(shoal_heap_free(H, block));
}

// ---- the ledger ----

void ledger_took(uint64_t id) {
  CRASH_EXPECT(id < CRASH_IDS, "a message of nobody's: %lu", id);
  if (id < CRASH_IDS) __atomic_fetch_add(&T->taken[id], 1, __ATOMIC_SEQ_CST);
}
uint32_t ledger_taken(void) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < CRASH_IDS; i++) n += T->taken[i];
  return n;
}
uint32_t ledger_mine(void) { return T->taken[MINE] + T->taken[MINE + 1] + T->taken[MINE + 2]; }
void ledger_once(void) {
  for (uint32_t i = 0; i < CRASH_IDS; i++) CRASH_EXPECT(T->taken[i] <= 1, "%u was received %u times", i, T->taken[i]);
}

// ---- those who sleep ----

void fixture_asleep(void (*body)(int), int n) {
  for (int i = 0; i < n; i++) crash_asleep(crash_actor(body, 0));
}
void fixture_gated(void (*body)(int), int n) {
  for (int i = 0; i < n; i++) crash_actor(body, 1);
  crash_at_gate((uint32_t)n);
}
void fixture_open_gate(void) {
  if (T->gate) return;
  crash_open_gate();
  crash_all_asleep();
}
void fixture_told(uint32_t n) { CRASH_UNTIL(T->word[ENDED] == n, "%u of %u are told of the end", T->word[ENDED], n); }
void fixture_roles_free(struct shoal_eventcount_view *view) {
  shoal_role_reap(view);
  for (uint32_t role = 1; role <= view->count[0] + view->count[1]; role++)
    CRASH_EXPECT(!shoal_role_is_dead(view, role), "role %u stays the dead one's", role);
}
