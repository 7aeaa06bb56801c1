// core/heap. Claims: whoever is killed inside, every page stays in one run and every block somebody's or free; what the
// dead had comes back, all of it, by whoever sweeps; a block given to an object is the object's or its process's, and
// ended once.
#include <errno.h>
#include <string.h>

#include "core/error.h"
#include "core/heap_internal.h"
#include "tests/crash/crash.h"

#define SMALL 4000u  // bytes: fifteen in a slab, eight in a list
#define SLAB_BLOCKS 15u
#define PAGES(n) ((n)*UINT64_C(4096))

enum { HELD, BLOCKS, DONE, ENDED };  // T->word: what is to be left, pages and small blocks; the victim came to its end
#define REF ((struct shoal_block_ref *)T->raw)

// One chunk of 1 MiB, and room for no other.
static const struct shoal_segment_options options = {
    .size = 1100 << 10, .size_max = 1100 << 10, .participants = 8, .objects = 8};
static struct shoal_segment *S;
static struct shoal_heap *H;
static struct shoal_object holder;
static void *mine[64];

static void *alloc(uint64_t size) {
  void *block = NULL;
  OK(shoal_heap_alloc(H, size, &block));
  return block;
}
static void release(void *block) { OK(shoal_heap_free(H, block)); }

// ---- the audit: nobody else is at work ----
static struct shoal_heap_audit audit(void) {
  struct shoal_heap_audit a = {0};
  OK(shoal_heap_audit(H, &a));
  CRASH_EXPECT(!a.damaged, "%lu pages or blocks are damaged, the first at %lu", a.damaged, a.damaged_at);
  return a;
}
// All that is free can be had, in pairs of pages, and once more when it was freed.
static void use_all(void) {
  static void *all[256];
  for (int lap = 0; lap < 2; lap++) {
    int n = 0;
    while (n < 256 && shoal_heap_alloc(H, 2 * PAGES(1), &all[n]) == 0) n++;
    struct shoal_heap_audit a = audit();
    CRASH_EXPECT(a.free_pages < 8, "%lu pages are free and cannot be had", a.free_pages);
    while (n--) release(all[n]);
  }
}
static void survive(void) {
  OK(shoal_heap_reap(H));
  struct shoal_heap_audit a = audit();
  CRASH_EXPECT(a.dead_runs + a.dead_blocks == 0, "%lu runs and %lu blocks are the dead's, after a sweep", a.dead_runs,
               a.dead_blocks);
  CRASH_EXPECT(a.held == T->word[HELD] && a.blocks == T->word[BLOCKS],
               "%lu pages and %lu blocks are held, not %u and %u", a.held, a.blocks, T->word[HELD], T->word[BLOCKS]);
  use_all();
  for (int i = 0; i < 20; i++) mine[i] = alloc(SMALL);
  for (int i = 0; i < 20; i++) release(mine[i]);
  a = audit();
  CRASH_EXPECT(a.held == T->word[HELD] && a.blocks == T->word[BLOCKS], "%lu pages and %lu blocks are held in the end",
               a.held, a.blocks);
}
static void check(void) {
  crash_kill_victim();  // stalled, it went on and lives
  crash_survivor(survive);
}

// ---- states ----
static void without_chunk(void) {
  H = NULL;
  OK(shoal_segment_create(NULL, &options, &S));
  OK(shoal_heap_open(S, &H));
}
static void fresh(void) {
  without_chunk();
  release(alloc(PAGES(2)));
}
static void with_holder(void) {
  fresh();
  OK(shoal_object_create(S, "holder", "crash", 64, NULL, NULL, &holder));
}
static void give(void *block) { OK(shoal_block_give_(H, block, holder.entry, holder.generation, REF)); }
// All pages in free runs of two.
static void fragmented(void) {
  static void *all[256];
  int n = 0;
  fresh();
  while (n < 256 && shoal_heap_alloc(H, PAGES(2), &all[n]) == 0) n++;
  while (n--) release(all[n]);
}
static void close_all(void) {
  OK(shoal_heap_close(H));
  OK(shoal_segment_close(S));
  memset(mine, 0, sizeof mine);
}

// ---- the victim ----
static void warm(void) {  // it has a place and lists, and no block
  int rc = 0;
  CRASH_EXPECT(shoal_cache_of_(H, &rc) != NULL, "no place: %d (%s)", rc, shoal_reason());
}
static void op_alloc_large(void) { mine[0] = alloc(PAGES(3)); }
static void op_alloc_joined(void) { mine[0] = alloc(PAGES(7)); }
static void has_large(void) {
  warm();
  op_alloc_large();
}
static void had_large(void) {
  has_large();
  release(mine[0]);
}
static void op_free(void) { release(mine[0]); }
static void op_again(void) {
  op_alloc_large();
  op_free();
}
static void op_alloc_small(void) { mine[0] = alloc(SMALL); }
static void has_small(void) {
  warm();
  op_alloc_small();
}
static void had_small(void) {
  has_small();
  release(mine[0]);
}
static void op_realloc_more(void) { OK(shoal_heap_realloc(H, &mine[0], PAGES(3))); }
static void op_realloc_less(void) { OK(shoal_heap_realloc(H, &mine[0], 100)); }
static void op_reap(void) { OK(shoal_heap_reap(H)); }
static void has_slab(void) {
  warm();
  for (unsigned i = 0; i < SLAB_BLOCKS; i++) mine[i] = alloc(SMALL);
}
static void op_flush_refill(void) {
  for (unsigned i = 0; i < SLAB_BLOCKS; i++) release(mine[i]);
  for (unsigned i = 0; i < SLAB_BLOCKS; i++) mine[i] = alloc(SMALL);
}
static shoal_atomic64 *words;  // of the slab
static void has_slab_and_knows_where(void) {
  has_slab();
  const struct shoal_chunk_ *c = &H->chunk[0];
  uint64_t page = (uint64_t)((char *)mine[0] - c->data) / SHOAL_PAGE_;
  words = shoal_slab_words_(c, page - (shoal_load32_relaxed(&c->page[page].tag) & 0xff));
}
// All pages are one block, and where the slab's words were it looks as if its blocks were this process's.
static void op_free_again(void) {
  uint64_t forged = SHOAL_WORD_(1, PROCESS, shoal_load32_relaxed(&H->owner));
  for (unsigned i = 0; i < SLAB_BLOCKS; i++) release(mine[i]);
  op_reap();
  void *all = alloc(PAGES(H->chunk[0].pages));
  for (unsigned i = 0; i < SLAB_BLOCKS; i++) shoal_store64_relaxed(&words[i], forged);
  for (unsigned i = 0; i < SLAB_BLOCKS; i++) {
    int rc = shoal_heap_free(H, mine[i]);
    CRASH_EXPECT(rc == -EINVAL, "free answered %d", rc);
    CRASH_EXPECT(shoal_load64_relaxed(&words[i]) == forged, "it wrote to another's block");
  }
  release(all);
}
static void op_close(void) { OK(shoal_heap_close(H)); }
static void op_open(void) {
  struct shoal_segment *again;
  struct shoal_heap *heap;
  void *block;
  OK(shoal_segment_open_fd(shoal_segment_fd(S), &again));
  OK(shoal_heap_open(again, &heap));
  OK(shoal_heap_alloc(heap, SMALL, &block));
}

#define HEAP(id, text, ...) \
  CRASH_SCENARIO(heap_##id, .name = "heap: " text, .check = check, .cleanup = close_all, __VA_ARGS__)
#define SAME(id, text, ...) CRASH_SCENARIO(heap_##id, .name = "heap: " text, .cleanup = close_all, __VA_ARGS__)

HEAP(alloc_large, "alloc pages, a run is split", .setup = fresh, .prepare = warm, .op = op_alloc_large, .times = 4);
HEAP(alloc_joined, "alloc pages, runs are joined", .setup = fragmented, .prepare = warm, .op = op_alloc_joined);
HEAP(free_large, "free pages", .setup = fresh, .prepare = has_large, .op = op_free);
HEAP(again_large, "alloc and free pages it had lately", .setup = fresh, .prepare = had_large, .op = op_again);
HEAP(alloc_chunk, "alloc pages, the first chunk", .setup = without_chunk, .prepare = warm, .op = op_alloc_large);
HEAP(alloc_join, "alloc pages, joining by it", .setup = fresh, .op = op_alloc_large);
HEAP(alloc_small, "alloc a small one", .setup = fresh, .prepare = had_small, .op = op_alloc_small);
HEAP(alloc_slab, "alloc a small one, the first", .setup = fresh, .prepare = warm, .op = op_alloc_small);
HEAP(free_small, "free a small one", .setup = fresh, .prepare = has_small, .op = op_free);
HEAP(flush_refill, "free and alloc a slab's blocks", .setup = fresh, .prepare = has_slab, .op = op_flush_refill);
HEAP(realloc_more, "realloc, a small one to pages", .setup = fresh, .prepare = has_small, .op = op_realloc_more);
HEAP(realloc_less, "realloc, pages to a small one", .setup = fresh, .prepare = has_large, .op = op_realloc_less);
HEAP(free_again, "free, reap, and free in a slab", .setup = fresh, .prepare = has_slab_and_knows_where,
     .op = op_free_again);
HEAP(reap_own, "reap, its own empty slab", .setup = fresh, .prepare = had_small, .op = op_reap);
HEAP(close, "close, with a block", .setup = fresh, .prepare = has_small, .op = op_close);
HEAP(open, "open, in a mapping of its own", .setup = fresh, .op = op_open);

// ---- another's block ----
static void drivers_small(void) {
  fresh();
  mine[0] = alloc(SMALL);
}
static void drivers_large(void) {
  fresh();
  mine[0] = alloc(PAGES(3));
}
// It was freed or not, once; and its slab serves its owner as if nothing had been.
static void check_drivers(void) {
  struct shoal_heap_audit a;
  int rc = shoal_heap_free(H, mine[0]);
  CRASH_EXPECT(rc == (crash_victim_finished() ? -EINVAL : rc == 0 ? 0 : -EINVAL), "free answered %d", rc);
  op_reap();
  for (unsigned i = 0; i < SLAB_BLOCKS; i++) mine[i] = alloc(SMALL);
  a = audit();
  CRASH_EXPECT(a.slabs == 1, "%u slabs for the blocks of one", a.slabs);
  for (unsigned i = 0; i < SLAB_BLOCKS; i++) release(mine[i]);
  op_reap();
  check();
}
SAME(free_remote, "free another's small one", .setup = drivers_small, .prepare = warm, .op = op_free,
     .check = check_drivers);
SAME(free_remote_large, "free another's pages", .setup = drivers_large, .prepare = warm, .op = op_free,
     .check = check_drivers);

// ---- blocks of objects ----
static void small_to_give(void) {
  has_small();
  memset(mine[0], 0x5a, SMALL);
}
static void large_to_give(void) {
  has_large();
  memset(mine[0], 0x5a, SMALL);
}
static void op_give(void) {
  give(mine[0]);
  T->word[DONE] = 1;
}
// It knows the slab: the next is given, and ended, by a plain store.
static void knows_its_slab(void) {
  has_small();
  void *last = alloc(SMALL);
  release(mine[0]);  // for which it looks: it is not the last
  release(last);
  op_alloc_small();
}
static void warm_to_give(void) {
  knows_its_slab();
  memset(mine[0], 0x5a, SMALL);
}
static int at(void **data) {
  uint64_t usable;
  int rc = shoal_block_at_(H, REF, holder.entry, holder.generation, data, &usable);
  CRASH_EXPECT(rc == 0 || rc == -ENOENT, "at answered %d", rc);
  return rc == 0;
}
// If the object has it, the reference leads to it.
static void given_or_not(void) {
  unsigned char *data = NULL;
  struct shoal_heap_info info;
  OK(shoal_heap_reap(H));
  OK(shoal_heap_info(H, &info));
  int has = at((void **)&data);
  CRASH_EXPECT(has || !T->word[DONE], "given, and not to be found");
  CRASH_EXPECT(info.objects == (unsigned)has, "the object has %u blocks, the reference leads to %d", info.objects, has);
  if (has) {
    CRASH_EXPECT(data[0] == 0x5a && memcmp(data, data + 1, SMALL - 1) == 0, "its bytes are not what was written");
    OK(shoal_block_end_(H, REF, holder.entry, holder.generation));
  }
  survive();
}
static void check_given(void) { crash_survivor(given_or_not); }
SAME(give_small, "give a small one", .setup = with_holder, .prepare = small_to_give, .op = op_give,
     .check = check_given);
SAME(give_warm, "give a small one of a slab it knows", .setup = with_holder, .prepare = warm_to_give, .op = op_give,
     .check = check_given);
SAME(give_large, "give pages", .setup = with_holder, .prepare = large_to_give, .op = op_give, .check = check_given);

// Where the reference is to stand there is one of a block that these pages will be in a later life, ended long ago, as
// by its place it says: killed half-way, it must not lead to that.
#define LATER 40u
static uint32_t sequence_of(const void *pages) {
  const struct shoal_chunk_ *c = &H->chunk[0];
  uint64_t page = (uint64_t)((const char *)pages - c->data) / SHOAL_PAGE_;
  return shoal_word_seq_(shoal_load64_relaxed(&c->page[page].owner));
}
static void large_to_give_later(void) {
  large_to_give();
  *REF = (struct shoal_block_ref){.seq = sequence_of(mine[0]) + LATER};
  T->out[0] = REF->seq;
}
// Alloc and free are two steps, and with an object between them three.
static void lead_nowhere(void) {
  struct shoal_block_ref other = {.off = 0};
  void *data;
  OK(shoal_heap_reap(H));
  if (at(&data)) OK(shoal_block_end_(H, REF, holder.entry, holder.generation));
  else CRASH_EXPECT(!T->word[DONE], "given, and not to be found");
  for (uint32_t left = UINT32_MAX; left > 1;) {
    void *pages = alloc(PAGES(3));
    left = (uint32_t)T->out[0] - sequence_of(pages);
    CRASH_EXPECT(left <= LATER, "%u steps are left", left);
    if (left > LATER || T->failed) return;
    if (left != 1 && left != 4) {
      release(pages);
      continue;
    }
    OK(shoal_block_give_(H, pages, holder.entry, holder.generation, &other));
    CRASH_EXPECT(left != 1 || other.seq == (uint32_t)T->out[0], "sequence %u, not %lu", other.seq, T->out[0]);
    CRASH_EXPECT(!at(&data), "it leads to a block that it was not given for");
    OK(shoal_block_end_(H, &other, holder.entry, holder.generation));
  }
  survive();
}
static void check_lead_nowhere(void) { crash_survivor(lead_nowhere); }
SAME(give_later, "give pages, where their later life was named", .setup = with_holder, .prepare = large_to_give_later,
     .op = op_give, .check = check_lead_nowhere);

static void given_small(void) {
  with_holder();
  give(alloc(SMALL));
}
static void given_large(void) {
  with_holder();
  give(alloc(PAGES(3)));
}
static void op_end(void) {
  int rc = shoal_block_end_(H, REF, holder.entry, holder.generation);
  CRASH_EXPECT(rc == 0 || rc == -ENOENT, "end answered %d", rc);
  if (rc == 0) T->word[ENDED]++;
  T->word[DONE] = 1;
}
static void op_take(void) {
  int rc = shoal_block_take_(H, REF, holder.entry, holder.generation);
  CRASH_EXPECT(rc == 0, "take answered %d", rc);
  T->word[DONE] = 1;
}
static void op_take_free(void) {
  op_take();
  release(shoal_segment_at(S, REF->off, 1));
}
static void ended_or_not(void) {
  uint32_t ended = T->word[ENDED];
  if (!T->word[DONE]) op_end();  // the object's, or the victim did not live to say
  else CRASH_EXPECT(shoal_block_end_(H, REF, holder.entry, holder.generation) == -ENOENT, "ended, and ended again");
  CRASH_EXPECT(T->word[ENDED] <= 1 && ended <= 1, "ended %u times", T->word[ENDED]);
  survive();
}
static void check_ended(void) { crash_survivor(ended_or_not); }
SAME(end_small, "end a small one of another's slab", .setup = given_small, .prepare = warm, .op = op_end,
     .check = check_ended);
SAME(end_large, "end pages", .setup = given_large, .prepare = warm, .op = op_end, .check = check_ended);
SAME(take_small, "take a small one, free it", .setup = given_small, .prepare = warm, .op = op_take_free,
     .check = check_ended);
SAME(take_large, "take pages", .setup = given_large, .prepare = warm, .op = op_take, .check = check_ended);
static void own_given(void) {
  has_small();
  give(mine[0]);
}
SAME(end_own, "end a small one of its own slab", .setup = with_holder, .prepare = own_given, .op = op_end,
     .check = check_ended);
static void op_end_alone(void) {
  OK(shoal_block_end_alone_(H, REF, holder.entry, holder.generation));
  T->word[ENDED]++;
  T->word[DONE] = 1;
}
static void own_given_warm(void) {
  knows_its_slab();
  give(mine[0]);
}
// Ended, though it may have had no time to say so.
static void ended_alone_or_not(void) {
  uint32_t told = T->word[ENDED];
  int rc = shoal_block_end_(H, REF, holder.entry, holder.generation);
  CRASH_EXPECT(rc == -ENOENT || (rc == 0 && !told), "ended, and end answered %d", rc);
  survive();
}
static void check_ended_alone(void) {
  crash_kill_victim();
  crash_survivor(ended_alone_or_not);
}
SAME(end_alone, "end a small one alone, of a slab it knows", .setup = with_holder, .prepare = own_given_warm,
     .op = op_end_alone, .check = check_ended_alone);
static void op_give_end_give(void) {  // from one list into the other
  op_end_alone();
  op_alloc_small();
  op_give();
}
static void of_three_steps(void) {
  (void)shoal_block_end_(H, REF, holder.entry, holder.generation);
  survive();
}
static void check_three_steps(void) {
  crash_kill_victim();
  crash_survivor(of_three_steps);
}
SAME(end_give, "end alone, alloc and give again", .setup = with_holder, .prepare = own_given_warm,
     .op = op_give_end_give, .check = check_three_steps);
SAME(pair_end, "pair, two end the same", .kind = CRASH_PAIR, .setup = given_small, .prepare = warm, .op = op_end,
     .prepare2 = warm, .op2 = op_end, .check = check_ended);
SAME(stalled_end, "stalled, two end the same", .kind = CRASH_STALLED, .setup = given_large, .prepare = warm,
     .op = op_end, .prepare2 = warm, .op2 = op_end, .check = check_ended, .times = 3);

// ---- what the dead have left ----
static void lives_and_dies(void) {
  warm();
  for (int i = 0; i < 3; i++) alloc(SMALL);
  alloc(PAGES(3));
  alloc(PAGES(5));
}
static void the_dead(void) {
  fresh();
  crash_survivor(lives_and_dies);
}
static void gives_and_dies(void) {
  lives_and_dies();
  give(alloc(SMALL));
}
// Its slab is nobody's, with one block, the object's.
static void orphaned(void) {
  with_holder();
  crash_survivor(gives_and_dies);
  op_reap();
  T->word[BLOCKS] = 1;
}
static void object_gone(void) {
  given_large();
  give(alloc(SMALL));
  OK(shoal_object_remove(S, "holder"));
  OK(shoal_object_close(S, &holder));
}
HEAP(reap, "reap a dead process", .setup = the_dead, .prepare = warm, .op = op_reap);
HEAP(reap_object, "reap an object's", .setup = object_gone, .prepare = warm, .op = op_reap);
HEAP(adopt, "alloc a small one, of a slab of nobody", .setup = orphaned, .prepare = warm, .op = op_alloc_small);
HEAP(pair_alloc, "pair, alloc pages by joining, then reap", .kind = CRASH_PAIR, .setup = fragmented, .prepare = warm,
     .op = op_alloc_joined, .prepare2 = warm, .op2 = op_reap);
HEAP(pair_split, "pair, alloc pages by splitting, then reap", .kind = CRASH_PAIR, .setup = fresh, .prepare = warm,
     .op = op_alloc_large, .prepare2 = warm, .op2 = op_reap);
HEAP(pair_slab, "pair, alloc a small one, then reap", .kind = CRASH_PAIR, .setup = fresh, .prepare = warm,
     .op = op_alloc_small, .prepare2 = warm, .op2 = op_reap);
HEAP(pair_reap, "pair, reap, then reap", .kind = CRASH_PAIR, .setup = the_dead, .prepare = warm, .op = op_reap,
     .prepare2 = warm, .op2 = op_reap);
HEAP(stalled_reap, "stalled, reap beside alloc", .kind = CRASH_STALLED, .setup = the_dead, .prepare = warm,
     .op = op_reap, .prepare2 = warm, .op2 = op_alloc_joined);
HEAP(stalled_alloc, "stalled, alloc pages beside reap", .kind = CRASH_STALLED, .setup = fragmented, .prepare = warm,
     .op = op_alloc_joined, .prepare2 = warm, .op2 = op_reap);
HEAP(pair_adopt, "pair, adopt, then reap", .kind = CRASH_PAIR, .setup = orphaned, .prepare = warm, .op = op_alloc_small,
     .prepare2 = warm, .op2 = op_reap);
