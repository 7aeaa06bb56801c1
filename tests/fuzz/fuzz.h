// tests/fuzz/fuzz.h: what the fuzzers share: an input read as a script, and a segment that begins each script as
// damaged as it says.
//
// USE
//   void stage_make(struct shoal_segment *seg) { ...the objects of the segment... }   // once: its bytes are kept
//   int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
//     struct script s = {data, data + size};
//     struct shoal_segment *seg = stage_take(&s);
//     while (stage_left(&s)) { ...an operation that script_below(&s, n) chooses, or stage_edit(&s)... }
//     return stage_close(), 0;
//   }
//
// Any word may be edited but two: the links of the calling thread's robust list, which core/robust.h says must be
// believed, and the word of the directory's writer if it would name a thread that lives: whoever creates waits for that
// one, as documented.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/deadline.h"
#include "core/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Not assert: the shipped form is fuzzed.
#define FUZZ_CHECK(x) ((x) ? (void)0 : fuzz_failed(#x, __FILE__, __LINE__))
_Noreturn static inline void fuzz_failed(const char *what, const char *file, int line) {
  fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
  abort();
}

struct script {
  const uint8_t *at, *end;
};
static inline int script_left(const struct script *s) { return s->at < s->end; }
static inline uint64_t script_take(struct script *s, unsigned bytes) {  // little-endian; zeros behind the end
  uint64_t value = 0;
  for (unsigned i = 0; i < bytes && s->at < s->end; i++) value |= (uint64_t)*s->at++ << 8 * i;
  return value;
}
static inline uint32_t script_below(struct script *s, uint32_t n) {
  return (uint32_t)script_take(s, n > 256 ? 2 : 1) % n;
}

void stage_make(struct shoal_segment *seg);          // the fuzzer's
struct shoal_segment *stage_open(struct script *s);  // opened anew, its words damaged before. NULL: refused
// Opened once, and joined; its words are damaged now. For fuzzers of what is in it: four times as many scripts a second
// as with an open each.
struct shoal_segment *stage_take(struct script *s);
void stage_edit(struct script *s);
int stage_left(const struct script *s);  // before each operation: script_left
// Until when the call may wait: not at all, or shortly, as the script's last byte says, of which something has been
// taken. No time passes but by the call's looks at the clock and its sleeps; one that overstays by three seconds, or
// sleeps for ever, is a failure.
shoal_deadline stage_until(const struct script *s);
void stage_close(void);
