#include "examples/wordcount/read.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BINARY_LOOK 4096  // a NUL in so many first bytes: not a text

uint64_t cpu_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int is_letter(char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }

static size_t read_at(int fd, char *to, size_t size, uint64_t from) {
  size_t got = 0;
  while (got < size) {
    ssize_t n = pread(fd, to + got, size - got, (off_t)(from + got));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    got += (size_t)n;
  }
  return got;
}

static int begins_binary(int fd, const char *text, size_t size, uint64_t from) {
  char first[BINARY_LOOK];
  if (from == 0) return memchr(text, 0, size < BINARY_LOOK ? size : BINARY_LOOK) != NULL;
  return memchr(first, 0, read_at(fd, first, BINARY_LOOK, 0)) != NULL;
}

// Text at `to`: the piece without the end of a word begun before it, with the end of its own last word. 0: no text.
static size_t read_piece(int fd, const struct piece *piece, char *to) {
  size_t before = piece->from > 0, own = before + (size_t)(piece->to - piece->from);
  size_t got = read_at(fd, to, own + WORD_MAX - 1, piece->from - before);
  if (got <= before || begins_binary(fd, to, got, piece->from)) return 0;
  if (own > got) own = got;  // the file has shrunk
  if (before) {
    int within = is_letter(to[0]);  // its first word began before it
    to[0] = ' ';
    for (size_t i = 1; within && i < own && is_letter(to[i]); i++) to[i] = ' ';
  }
  while (own < got && is_letter(to[own - 1]) && is_letter(to[own])) own++;
  return own;
}

void read_unit(const struct unit *unit, struct block *block) {
  uint64_t began = cpu_ns();
  char *to = block->text;
  block->unit = unit->id;
  block->files = block->skipped = block->bytes = 0;
  for (uint32_t at = 0; at < unit->used;) {
    const struct piece *piece = (const struct piece *)(unit->pieces + at);
    int fd = open(piece->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    size_t size = fd < 0 ? 0 : read_piece(fd, piece, to);
    if (fd >= 0) close(fd);
    if (size > 0) {
      block->bytes += (uint32_t)(piece->to - piece->from);
      to += size;
      *to++ = ' ';
    }
    if (piece->from == 0) *(size ? &block->files : &block->skipped) += 1;
    at += piece->size;
  }
  memset(to, 0, 64);
  block->size = (uint32_t)(to - block->text);
  block->read_ns = cpu_ns() - began;
}
