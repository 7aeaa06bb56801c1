#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/reach.h"
#include "core/segment_internal.h"
#include "tests/fuzz/fuzz.h"

#define EDITS 8  // before it is opened, at most

#define PAGE 4096
#define WORDS (PAGE / 8)

// Where anything may lie: all but the hole before the units, which nobody touches.
struct part {
  uint32_t at, words;
};

static struct {
  uint64_t size;           // of the file, bytes
  uint64_t *image;         // of it, as stage_make left it, or as stage_take opened it
  uint64_t *file;          // it, mapped for as long as the process lives
  struct part part[2];     // the tables; the units
  char *blank;             // for each of its pages: it is all zeros
  uint32_t *page, pages;   // where those begin that are not, in words
  uint32_t *used, n_used;  // the words that are not zero
  int fd;
  struct shoal_segment *seg;   // the script's
  struct shoal_segment *kept;  // opened once, for all scripts; its mapping is `file` then
  void *linked;                // the calling thread's robust list, as it was then
  int64_t start_ns;            // of each script, as of the image
  int64_t until_ns;            // when the call that runs is to be over; 0: nothing has begun
  int64_t late_ns;             // how late its next sleep ends
} stage;

static int64_t now_ns = INT64_C(3600) * 1000000000;

// ---- the image ----

static const uint64_t zeros[WORDS];

// Which words may be damaged.
static void note(const struct part *p) {
  for (uint32_t at = p->at; at < p->at + p->words; at += WORDS) {
    uint32_t before = stage.n_used;
    for (uint32_t i = at; i < at + WORDS; i++)
      if (stage.image[i]) stage.used[stage.n_used++] = i;
    if (stage.n_used > before) stage.page[stage.pages++] = at;
  }
}

static void take_image(void) {
  for (const struct part *p = stage.part; p < stage.part + 2; p++)
    for (uint32_t at = p->at; at < p->at + p->words; at += WORDS) {
      memcpy(stage.image + at, stage.file + at, PAGE);
      stage.blank[at / WORDS] = (char)!memcmp(stage.image + at, zeros, PAGE);
    }
}

static void make(void) {
  static const struct shoal_segment_options small = {
      .size = 256 << 10, .size_max = 1 << 20, .participants = 4, .objects = 16};
  struct shoal_segment *seg;
  stage.until_ns = now_ns;
  FUZZ_CHECK(shoal_segment_create(NULL, &small, &seg) == 0);
  stage_make(seg);
  uint64_t owners = seg->g.owners_off + seg->g.size_max / SHOAL_UNIT_ * sizeof(shoal_atomic32);
  stage.part[0] = (struct part){0, (uint32_t)((owners + PAGE - 1) / PAGE) * WORDS};
  stage.part[1].at = (uint32_t)(seg->g.units_off / 8);
  stage.fd = dup(shoal_segment_fd(seg));
  FUZZ_CHECK(stage.fd >= 0 && shoal_segment_close(seg) == 0);
  stage.size = (uint64_t)lseek(stage.fd, 0, SEEK_END);
  stage.part[1].words = (uint32_t)(stage.size / 8) - stage.part[1].at;
  stage.file = mmap(NULL, stage.size, PROT_READ | PROT_WRITE, MAP_SHARED, stage.fd, 0);
  stage.image = malloc(stage.size);
  stage.blank = malloc(stage.size / PAGE);
  stage.page = calloc(stage.size / PAGE, sizeof *stage.page);
  stage.used = calloc(stage.size / 8, sizeof *stage.used);
  FUZZ_CHECK(stage.file != MAP_FAILED && stage.image && stage.blank && stage.page && stage.used);
  take_image();
  note(&stage.part[0]);
  note(&stage.part[1]);
}

// Most pages are all zeros, and stay so: to look is cheaper than to write.
static void restore_part(const struct part *p) {
  for (uint32_t at = p->at; at < p->at + p->words; at += WORDS) {
    if (stage.blank[at / WORDS] && memcmp(stage.file + at, zeros, PAGE) == 0) continue;
    memcpy(stage.file + at, stage.image + at, PAGE);
  }
}
// A mapping that stays, and no page given back, which would have to be faulted in: that would be most of what a script
// costs.
static void restore(void) {
  if (lseek(stage.fd, 0, SEEK_END) != (off_t)stage.size) FUZZ_CHECK(ftruncate(stage.fd, (off_t)stage.size) == 0);
  restore_part(&stage.part[0]);
  restore_part(&stage.part[1]);
}

// ---- in place of core ----

// Nobody else is there to wake this thread, and time is what the script's calls spend: a sleep lasts until its
// deadline, and takes none. So a wait that never ends is seen at once, by the clock. The sleeps of a call end ever
// later, as on a busy machine: who sleeps for a millisecond at a time, in doubt, would try some hundred thousand times
// in a second that costs nothing.
#define READ_NS 100                      // what a look at the clock costs
#define SLEEP_NS 10000                   // what a sleep costs at least
#define LATE_NS (SHOAL_RECHECK_NS / 4)   // at most
#define GRACE_NS (3 * SHOAL_RECHECK_NS)  // some calls wait a second for who is stopped inside, try or not

static void spend(int64_t ns) {
  now_ns += ns;
  FUZZ_CHECK(now_ns <= stage.until_ns + GRACE_NS);  // else the call overstays
}
static int sleep_until(shoal_deadline deadline) {
  FUZZ_CHECK(!shoal_deadline_is_forever(deadline));  // only who is woken looks again
  if (deadline.ns > now_ns) spend(deadline.ns - now_ns + stage.late_ns);
  stage.late_ns = stage.late_ns < LATE_NS / 2 ? 2 * stage.late_ns + SLEEP_NS : LATE_NS;
  return -ETIMEDOUT;
}

int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out) {
  if (clock != CLOCK_MONOTONIC || !stage.until_ns) return __real_clock_gettime(clock, out);
  spend(READ_NS);
  *out = (struct timespec){now_ns / 1000000000, now_ns % 1000000000};
  return 0;
}
int __wrap_shoal_futex_wait(shoal_atomic32 *word, uint32_t value, shoal_deadline deadline);
int __wrap_shoal_futex_wait(shoal_atomic32 *word, uint32_t value, shoal_deadline deadline) {
  spend(SLEEP_NS);
  return shoal_load32_relaxed(word) == value ? sleep_until(deadline) : -EAGAIN;
}
int __wrap_shoal_futex_wait_many(const struct shoal_futex_entry *words, unsigned n, unsigned first,
                                 shoal_deadline deadline);
int __wrap_shoal_futex_wait_many(const struct shoal_futex_entry *words, unsigned n, unsigned first,
                                 shoal_deadline deadline) {
  spend(SLEEP_NS);
  FUZZ_CHECK(n > 0 && n <= SHOAL_FUTEX_MANY && first < n);
  for (unsigned i = 0; i < n; i++)
    if (shoal_load32_relaxed(words[i].word) != words[i].value) return -EAGAIN;
  return sleep_until(deadline);
}

// Both are the same each time they are read below /proc: this process never forks, nor has it a second thread that
// joins.
int __real_shoal_place_(struct shoal_place_ *out);
int __wrap_shoal_place_(struct shoal_place_ *out);
int __wrap_shoal_place_(struct shoal_place_ *out) {
  static struct shoal_place_ place;
  int rc = place.pid_namespace ? 0 : __real_shoal_place_(&place);
  if (rc == 0) *out = place;
  return rc;
}
uint64_t __real_shoal_thread_start_time_(uint32_t pid, uint32_t tid);
uint64_t __wrap_shoal_thread_start_time_(uint32_t pid, uint32_t tid);
uint64_t __wrap_shoal_thread_start_time_(uint32_t pid, uint32_t tid) {
  static uint64_t mine;
  if (tid != shoal_self_()->tid) return __real_shoal_thread_start_time_(pid, tid);
  if (!mine) mine = __real_shoal_thread_start_time_(pid, tid);
  return mine;
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

// What a damaged object lends may lie over a link of the thread's list, which must be believed: then the list begins
// anew.
static void mend_list(void) {
  struct shoal_robust_head_ *head = shoal_self_()->head;
  char *entry = head->next, *base = stage.seg->base;
  uint64_t there = stage.seg->g.units_off + shoal_load64_relaxed(&stage.seg->size);
  for (unsigned i = 0; entry != (char *)head; i++, entry = *(char **)(void *)entry) {
    if (i < 4096 && (uint64_t)(entry - base) < there && (uintptr_t)entry % 8 == 0) continue;
    head->next = head;
    return;
  }
}

int stage_left(const struct script *s) {
  mend_list();
  stage.until_ns = now_ns;
  stage.late_ns = 0;
  return script_left(s);
}

// Whether that word is a link of this thread's own robust list. An entry points at its middle word: see core/robust.h.
static int is_linked(const char *at) {
  struct shoal_robust_head_ *head = shoal_self_()->head;
  for (char *entry = head->next; entry != (char *)head; entry = *(char **)(void *)entry)
    if (at >= entry - 8 && at < entry + 16) return 1;
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
  mend_list();
  memcpy(&word, at, sizeof word);
  word = other_word(word, s);
  if (is_linked(at)) return;
  memcpy(at, &word, sizeof word);
  nobody_writes(stage.seg->header);
}

// ---- one script ----

shoal_deadline stage_until(const struct script *s) {
  static const int64_t after_ns[8] = {0, 0, 0, 0, 1000000, 1000000, 20000000, SHOAL_RECHECK_NS + 1000000};
  int64_t ns = after_ns[s->at[-1] >> 5];
  stage.until_ns = now_ns + ns;
  return ns ? (shoal_deadline){stage.until_ns} : SHOAL_TRY;
}

struct shoal_segment *stage_open(struct script *s) {
  if (!stage.image) make(), stage.start_ns = now_ns;
  stage.until_ns = now_ns = stage.start_ns;
  for (uint32_t n = script_below(s, EDITS + 1); n--;) {
    uint64_t *word = &stage.file[where(s)];
    *word = other_word(*word, s);
  }
  nobody_writes((struct shoal_segment_shm *)stage.file);
  if (shoal_segment_open_fd(stage.fd, &stage.seg) == 0) return stage.seg;
  stage.seg = NULL;
  restore();
  return NULL;
}

static void keep(void) {
  shoal_proc_id id;
  make();
  FUZZ_CHECK(shoal_segment_open_fd(stage.fd, &stage.kept) == 0 && shoal_proc_self(stage.kept, &id) == 0);
  FUZZ_CHECK(munmap(stage.file, stage.size) == 0);
  stage.file = (uint64_t *)(void *)stage.kept->base;
  stage.linked = shoal_self_()->head->next;
  take_image();
}

struct shoal_segment *stage_take(struct script *s) {
  if (!stage.image) keep(), stage.start_ns = now_ns;
  stage.until_ns = now_ns = stage.start_ns;
  stage.seg = stage.kept;
  for (uint32_t n = script_below(s, EDITS + 1); n--;) stage_edit(s);
  return stage.seg;
}

// As it was when it was opened, but for what is only where to look first.
static void forget(struct shoal_segment *seg) {
  shoal_reach_forget_all_(seg->base, seg->g.length);
  memset(seg->held, 0, ((size_t)seg->held_mask + 1) * sizeof *seg->held);
  shoal_store32_relaxed(&seg->held_count, 0);
  shoal_store64_relaxed(&seg->size, 8 * (uint64_t)stage.part[1].words);
  shoal_store64_relaxed(&seg->next_unit, 0);
}

// What stands on the thread's robust list lies in memory that begins anew.
void stage_close(void) {
  struct shoal_thread_ *t = shoal_self_();
  if (!stage.seg) return;
  t->head->next = stage.kept ? stage.linked : t->head;
  t->head->pending = NULL;
  restore();
  if (stage.kept) {
    forget(stage.kept);
  } else {
    FUZZ_CHECK(shoal_segment_close(stage.seg) == 0);
    restore_part(&stage.part[0]);  // what closing has written
  }
  stage.seg = NULL;
}
