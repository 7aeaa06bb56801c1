#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/segment_internal.h"
#include "tests/fuzz/fuzz.h"

#define EDITS 8  // before it is opened, at most

#define PAGE 4096
#define WORDS (PAGE / 8)

static struct {
  struct {
    uint64_t off;
    uint64_t word[WORDS];
  } * page;  // those of the file, as stage_make left it, that are not all zeros
  uint32_t pages, n_used;
  uint32_t *used;  // their words that are not zero: page * WORDS + word
  uint64_t size;   // of the file, bytes
  int fd;
  struct shoal_segment *seg;
} stage;

// ---- the image ----

static void make(void) {
  static const struct shoal_segment_options small = {
      .size = 256 << 10, .size_max = 1 << 20, .participants = 4, .objects = 16};
  struct shoal_segment *seg;
  FUZZ_CHECK(shoal_segment_create(NULL, &small, &seg) == 0);
  stage_make(seg);
  stage.fd = dup(shoal_segment_fd(seg));
  FUZZ_CHECK(stage.fd >= 0 && shoal_segment_close(seg) == 0);
  stage.size = (uint64_t)lseek(stage.fd, 0, SEEK_END);
  stage.page = calloc(stage.size / PAGE, sizeof *stage.page);
  stage.used = calloc(stage.size / 8, sizeof *stage.used);
  FUZZ_CHECK(stage.page && stage.used);
  for (uint64_t off = 0; off < stage.size; off += PAGE) {
    uint64_t *word = stage.page[stage.pages].word;
    uint32_t before = stage.n_used;
    FUZZ_CHECK(pread(stage.fd, word, PAGE, (off_t)off) == PAGE);
    for (uint32_t i = 0; i < WORDS; i++)
      if (word[i]) stage.used[stage.n_used++] = stage.pages * WORDS + i;
    if (stage.n_used > before) stage.page[stage.pages++].off = off;
  }
}

static void restore(void) {
  FUZZ_CHECK(ftruncate(stage.fd, 0) == 0 && ftruncate(stage.fd, (off_t)stage.size) == 0);
  for (uint32_t i = 0; i < stage.pages; i++)
    FUZZ_CHECK(pwrite(stage.fd, stage.page[i].word, PAGE, (off_t)stage.page[i].off) == PAGE);
}

// ---- editing ----

// A word, mostly one that is not zero: page * WORDS + word.
static uint32_t where(struct script *s) {
  uint32_t n = (uint32_t)script_take(s, 3);
  return n & 0xc00000 ? stage.used[n % stage.n_used] : n % (stage.pages * WORDS);
}
static uint64_t off_of(uint32_t where) { return stage.page[where / WORDS].off + 8 * (where % WORDS); }
static uint64_t other_word(uint64_t old, struct script *s) {
  uint32_t other;
  switch (script_below(s, 8)) {
    case 0: return script_take(s, 8);
    case 1: return old ^ UINT64_C(1) << script_below(s, 64);
    case 2: return old + (uint64_t)(int8_t)script_take(s, 1);
    case 3: other = where(s); return stage.page[other / WORDS].word[other % WORDS];
    case 4: return (old & ~UINT64_C(0xffffffff)) | script_take(s, 4);
    case 5: return (old & UINT64_C(0xffffffff)) | script_take(s, 4) << 32;
    case 6: return script_take(s, 2);
    default: return 0 - script_take(s, 1);
  }
}

// Whether that word is a link of this thread's own robust list. An entry points at its middle word: see core/robust.h.
static int is_linked(const char *at) {
  struct shoal_robust_head_ *head = shoal_self_()->head;
  char *entry = head->next;
  for (unsigned i = 0; i < 4096 && entry != (char *)head; i++) {
    if (at >= entry - 8 && at < entry + 16) return 1;
    entry = *(char **)(void *)entry;
  }
  return 0;
}

static void nobody_writes(struct shoal_segment_shm *header) {
  uint32_t owner = shoal_robust_owner(shoal_load32_relaxed(&header->writer.word));
  if (owner && (tgkill((int)owner, (int)owner, 0) == 0 || kill((int)owner, 0) == 0))
    shoal_store32_relaxed(&header->writer.word, 0);
}

void stage_edit(struct script *s) {
  uint64_t off = off_of(where(s)), word;
  char *at = stage.seg->base + off;
  memcpy(&word, at, sizeof word);
  word = other_word(word, s);
  if (is_linked(at)) return;
  memcpy(at, &word, sizeof word);
  nobody_writes(stage.seg->header);
}

// ---- one script ----

struct shoal_segment *stage_open(struct script *s) {
  if (!stage.page) make();
  restore();
  for (uint32_t n = script_below(s, EDITS + 1); n--;) {
    uint64_t off = off_of(where(s)), word;
    FUZZ_CHECK(pread(stage.fd, &word, sizeof word, (off_t)off) == sizeof word);
    word = other_word(word, s);
    FUZZ_CHECK(pwrite(stage.fd, &word, sizeof word, (off_t)off) == sizeof word);
  }
  struct shoal_segment_shm *header = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, stage.fd, 0);
  FUZZ_CHECK(header != MAP_FAILED);
  nobody_writes(header);
  munmap(header, 4096);
  if (shoal_segment_open_fd(stage.fd, &stage.seg)) stage.seg = NULL;
  return stage.seg;
}

// What stands on the thread's robust list lies in memory that begins anew.
void stage_close(void) {
  struct shoal_thread_ *t = shoal_self_();
  if (!stage.seg) return;
  t->head->next = t->head;
  t->head->pending = NULL;
  restore();
  FUZZ_CHECK(shoal_segment_close(stage.seg) == 0);
  stage.seg = NULL;
}
