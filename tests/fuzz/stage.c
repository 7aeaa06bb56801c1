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
  uint64_t size;           // of the file, bytes
  uint64_t *image;         // of it, as stage_make left it
  uint64_t *file;          // it, mapped
  uint32_t *page, pages;   // where those begin that are not all zeros, in words
  uint32_t *used, n_used;  // the words that are not zero
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
  stage.file = mmap(NULL, stage.size, PROT_READ | PROT_WRITE, MAP_SHARED, stage.fd, 0);
  stage.image = malloc(stage.size);
  stage.page = calloc(stage.size / PAGE, sizeof *stage.page);
  stage.used = calloc(stage.size / 8, sizeof *stage.used);
  FUZZ_CHECK(stage.file != MAP_FAILED && stage.image && stage.page && stage.used);
  memcpy(stage.image, stage.file, stage.size);
  for (uint32_t at = 0; at < stage.size / 8; at += WORDS) {
    uint32_t before = stage.n_used;
    for (uint32_t i = at; i < at + WORDS; i++)
      if (stage.image[i]) stage.used[stage.n_used++] = i;
    if (stage.n_used > before) stage.page[stage.pages++] = at;
  }
}

// A mapping that stays, and no page given back, which would have to be faulted in: that is most of what a script costs.
static void restore(void) {
  if (lseek(stage.fd, 0, SEEK_END) != (off_t)stage.size) FUZZ_CHECK(ftruncate(stage.fd, (off_t)stage.size) == 0);
  memcpy(stage.file, stage.image, stage.size);
}

// ---- editing ----

// A word of the file, mostly one that is not zero.
static uint32_t where(struct script *s) {
  uint32_t n = (uint32_t)script_take(s, 3);
  if (n & 0xc00000) return stage.used[n % stage.n_used];
  n %= stage.pages * WORDS;
  return stage.page[n / WORDS] + n % WORDS;
}
static uint64_t other_word(uint64_t old, struct script *s) {
  switch (script_below(s, 8)) {
    case 0: return script_take(s, 8);
    case 1: return old ^ UINT64_C(1) << script_below(s, 64);
    case 2: return old + (uint64_t)(int8_t)script_take(s, 1);
    case 3: return stage.image[where(s)];
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
  uint64_t word;
  char *at = stage.seg->base + 8 * (uint64_t)where(s);
  memcpy(&word, at, sizeof word);
  word = other_word(word, s);
  if (is_linked(at)) return;
  memcpy(at, &word, sizeof word);
  nobody_writes(stage.seg->header);
}

// ---- one script ----

struct shoal_segment *stage_open(struct script *s) {
  if (!stage.image) make();
  restore();
  for (uint32_t n = script_below(s, EDITS + 1); n--;) {
    uint64_t *word = &stage.file[where(s)];
    *word = other_word(*word, s);
  }
  nobody_writes((struct shoal_segment_shm *)stage.file);
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
