#include "examples/wordcount/count.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

// A word is up to eight units of eight small letters, the last filled with zeros. Its first unit stands in the table;
// the others, of the few words that have them, stand behind one another in `rest`.
#define UNITS 8
#define ONES UINT64_C(0x0101010101010101)
#define HIGH (ONES * 0x80)

struct word {
  uint64_t unit[UNITS];
  uint32_t units;
};

struct slot {
  uint64_t first;
  uint32_t count;  // 0: free
  uint32_t rest;   // 0: the word has one unit; else where the others stand in `rest`, times 8, plus how many they are
};

struct counts {
  struct slot *slots;
  unsigned bits;  // log2 of how many slots
  uint64_t unique, words;
  uint64_t *rest;
  size_t rest_used, rest_room;
};

// ---- memory ----

static void *must(void *p) {
  if (p) return p;
  perror("wordcount");
  exit(1);
}

// Zeroed. Mapped, to be had in huge pages, and to be kept out of fork: with a copy in each child, a parent that has
// replaced one copies every page that it writes to next.
static void *map(size_t size) {
  void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) must(NULL);
  madvise(p, size, MADV_HUGEPAGE);
  madvise(p, size, MADV_DONTFORK);
  return p;
}

static size_t slots_size(unsigned bits) { return sizeof(struct slot) << bits; }
static size_t rest_size(const struct counts *c) { return c->rest_room * sizeof *c->rest; }

static void grow_rest(struct counts *c) {
  size_t size = rest_size(c);
  c->rest = mremap(c->rest, size, 2 * size, MREMAP_MAYMOVE);
  if (c->rest == MAP_FAILED) must(NULL);
  c->rest_room *= 2;
}

struct counts *counts_create(void) {
  struct counts *c = must(calloc(1, sizeof *c));
  c->bits = 13;
  c->slots = map(slots_size(c->bits));
  c->rest_room = 1 << 12;
  c->rest = map(rest_size(c));
  return c;
}

void counts_destroy(struct counts *c) {
  munmap(c->slots, slots_size(c->bits));
  munmap(c->rest, rest_size(c));
  free(c);
}

void counts_clear(struct counts *c) {
  memset(c->slots, 0, slots_size(c->bits));
  c->unique = c->words = c->rest_used = 0;
}

// ---- the table ----

static inline uint64_t mix(uint64_t h, uint64_t unit) {
  h = (h ^ unit) * UINT64_C(0x9e3779b97f4a7c15);
  return h ^ h >> 32;
}

static inline uint64_t hash_of(const struct word *w) {
  uint64_t h = mix(0, w->unit[0]);
  for (uint32_t i = 1; i < w->units; i++) h = mix(h, w->unit[i]);
  return h * UINT64_C(0xd6e8feb86659fd93);
}

static inline size_t home(const struct counts *c, uint64_t hash) { return hash >> (64 - c->bits); }

static void load(const struct counts *c, const struct slot *s, struct word *w) {
  w->unit[0] = s->first;
  w->units = 1 + s->rest % 8;
  for (uint32_t i = 1; i < w->units; i++) w->unit[i] = c->rest[s->rest / 8 + i - 1];
}

static inline int holds(const struct counts *c, const struct slot *s, const struct word *w) {
  if (s->first != w->unit[0] || s->rest % 8 != w->units - 1) return 0;
  for (uint32_t i = 1; i < w->units; i++)
    if (c->rest[s->rest / 8 + i - 1] != w->unit[i]) return 0;
  return 1;
}

// The word's slot, or the free one where it belongs.
static inline struct slot *find(const struct counts *c, const struct word *w, uint64_t hash) {
  size_t mask = ((size_t)1 << c->bits) - 1;
  for (size_t i = home(c, hash);; i = (i + 1) & mask)
    if (c->slots[i].count == 0 || holds(c, &c->slots[i], w)) return &c->slots[i];
}

static void grow(struct counts *c) {
  struct slot *old = c->slots;
  size_t n = (size_t)1 << c->bits++;
  struct word w;
  c->slots = map(slots_size(c->bits));
  for (size_t i = 0; i < n; i++) {
    if (old[i].count == 0) continue;
    load(c, &old[i], &w);
    *find(c, &w, hash_of(&w)) = old[i];
  }
  munmap(old, n * sizeof *old);
}

static __attribute__((noinline)) void insert(struct counts *c, const struct word *w, struct slot *s, uint32_t n) {
  *s = (struct slot){w->unit[0], n, 0};
  if (w->units > 1) {
    if (c->rest_used + UNITS > c->rest_room) grow_rest(c);
    s->rest = (uint32_t)(c->rest_used * 8 + w->units - 1);
    memcpy(c->rest + c->rest_used, w->unit + 1, (w->units - 1) * sizeof *c->rest);
    c->rest_used += w->units - 1;
  }
  if (++c->unique > ((uint64_t)1 << c->bits) * 5 / 8) grow(c);
}

static inline void add(struct counts *c, const struct word *w, uint64_t hash, uint32_t n) {
  struct slot *s = find(c, w, hash);
  c->words += n;
  if (s->count) s->count += n;
  else insert(c, w, s, n);
}

// ---- text ----

static inline uint64_t load8(const char *p) {
  uint64_t v;
  memcpy(&v, p, 8);
  return v;
}

// 0x80 for every byte that is a letter. Little-endian, as all that follows: the first letter is the lowest byte.
static inline uint64_t letters(uint64_t v) {
  uint64_t low = (v | ONES * 0x20) & ~HIGH;
  return (low + ONES * (0x80 - 'a')) & ~(low + ONES * (0x7f - 'z')) & ~v & HIGH;
}

static inline unsigned leading(uint64_t high_bits) { return high_bits ? (unsigned)__builtin_ctzll(high_bits) / 8 : 8; }

static inline uint64_t first_letters(uint64_t v, unsigned n) {  // n is 1..8
  return (v | ONES * 0x20) & (~UINT64_C(0) >> (64 - 8 * n));
}

// The word that begins at p; answers where its letters end.
static inline const char *scan(const char *p, uint64_t v, unsigned n, struct word *w) {
  w->unit[0] = first_letters(v, n);
  w->units = 1;
  p += n;
  while (n == 8) {
    v = load8(p);
    n = leading(~letters(v) & HIGH);
    if (n > 0 && w->units < UNITS) w->unit[w->units++] = first_letters(v, n);
    p += n;
  }
  return p;
}

void counts_add_text(struct counts *c, const char *text, size_t size) {
  const char *p = text, *end = text + size;
  struct word w;
  while (p < end) {
    uint64_t v = load8(p), l = letters(v);
    unsigned gap = leading(l);
    if (gap > 0) {
      p += gap;
      continue;
    }
    p = scan(p, v, leading(~l & HIGH), &w);
    add(c, &w, hash_of(&w), 1);
  }
}

uint64_t count_lines(const char *text, size_t size) {
  uint64_t n = 0;
  for (const char *p = text, *end = text + size; (p = memchr(p, '\n', (size_t)(end - p))); p++) n++;
  return n;
}

// ---- encoded ----

// A byte with the length less one and, above it, how the count is written; the letters; the count: nothing for 1, one
// byte up to 255, else four. A word that occurs once took its letters and a separator in the text.
enum { ONCE = 0, BYTE = 64, WIDE = 128 };

static unsigned length_of(const struct word *w) {
  return 8 * w->units - (unsigned)__builtin_clzll(w->unit[w->units - 1]) / 8;
}

size_t counts_encode(const struct counts *c, char *to) {
  char *begin = to;
  struct word w;
  for (size_t i = 0; i < (size_t)1 << c->bits; i++) {
    const struct slot *s = &c->slots[i];
    if (s->count == 0) continue;
    load(c, s, &w);
    unsigned length = length_of(&w);
    unsigned form = s->count == 1 ? ONCE : s->count < 256 ? BYTE : WIDE;
    *to++ = (char)((length - 1) | form);
    for (uint32_t u = 0; u < w.units; u++) memcpy(to + 8 * u, &w.unit[u], 8);
    to += length;
    memcpy(to, &s->count, 4);
    to += form == ONCE ? 0 : form == BYTE ? 1 : 4;
  }
  return (size_t)(to - begin);
}

static const char *decode(const char *from, struct word *w, uint32_t *count) {
  unsigned head = (unsigned char)*from++, length = head % 64 + 1;
  w->units = (length + 7) / 8;
  for (uint32_t u = 0; u < w->units; u++) w->unit[u] = load8(from + 8 * u);
  w->unit[w->units - 1] &= ~UINT64_C(0) >> (64 * w->units - 8 * length);
  from += length;
  *count = 1;
  if (head & BYTE) *count = (unsigned char)*from++;
  if (head & WIDE) {
    memcpy(count, from, 4);
    from += 4;
  }
  return from;
}

#define AHEAD 32  // words decoded, and their slots asked for, before the first of them is added

void counts_add_encoded(struct counts *c, const char *from, size_t size) {
  const char *end = from + size;
  struct word words[AHEAD];
  uint64_t hashes[AHEAD];
  uint32_t counts[AHEAD];
  while (from < end) {
    unsigned n = 0;
    for (; n < AHEAD && from < end; n++) {
      from = decode(from, &words[n], &counts[n]);
      hashes[n] = hash_of(&words[n]);
      __builtin_prefetch(&c->slots[home(c, hashes[n])], 1);
    }
    for (unsigned i = 0; i < n; i++) add(c, &words[i], hashes[i], counts[i]);
  }
}

// ---- looking ----

uint64_t counts_unique(const struct counts *c) { return c->unique; }
uint64_t counts_words(const struct counts *c) { return c->words; }

static void spell(const struct word *w, char to[65]) {
  memset(to, 0, 65);
  memcpy(to, w->unit, 8 * w->units);
}

int counts_equal(const struct counts *a, const struct counts *b, FILE *out) {
  struct word w;
  char spelt[65];
  int differ = 0;
  for (size_t i = 0; i < (size_t)1 << a->bits && differ < 10; i++) {
    if (a->slots[i].count == 0) continue;
    load(a, &a->slots[i], &w);
    uint32_t other = find(b, &w, hash_of(&w))->count;
    if (other == a->slots[i].count) continue;
    spell(&w, spelt);
    fprintf(out, "differs: %s: %u here, %u there\n", spelt, a->slots[i].count, other);
    differ++;
  }
  return differ == 0 && a->unique == b->unique && a->words == b->words;
}

size_t counts_top(const struct counts *c, struct ranked *top, size_t n) {
  size_t used = 0;
  struct word w;
  for (size_t i = 0; i < (size_t)1 << c->bits; i++) {
    const struct slot *s = &c->slots[i];
    if (s->count == 0 || (used == n && s->count < top[n - 1].count)) continue;
    struct ranked r = {.count = s->count};
    load(c, s, &w);
    spell(&w, r.word);
    size_t at = used;
    while (at > 0 &&
           (top[at - 1].count < r.count || (top[at - 1].count == r.count && strcmp(r.word, top[at - 1].word) < 0)))
      at--;
    if (at == n) continue;
    if (used < n) used++;
    memmove(top + at + 1, top + at, (used - at - 1) * sizeof *top);
    top[at] = r;
  }
  return used;
}
