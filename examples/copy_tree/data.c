#include "examples/copy_tree/data.h"

#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

// Up to here through a buffer, which takes less than having the kernel splice pages.
#define BUFFER (128 << 10)
#define AT_ONCE (INT64_C(1) << 30)

static char buffer[2][BUFFER];

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int put(int to, const char *data, size_t size, int64_t at) {
  while (size > 0) {
    ssize_t n = pwrite(to, data, size, at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    data += n, size -= (size_t)n, at += n;
  }
  return 0;
}

static ssize_t get(int from, char *data, size_t size, int64_t at) {
  ssize_t n;
  do n = pread(from, data, size, at);
  while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n;
}

// Copies until `end` or the end of the file, which is looked for when `size` bytes of it are there. How many, or
// -errno.
static int64_t by_hand(int from, int to, int64_t at, int64_t end, int64_t size) {
  int64_t begin = at;
  while (at < end) {
    size_t room = (size_t)least(BUFFER, end - at);
    ssize_t n = get(from, buffer[0], room, at);
    if (n <= 0) return n < 0 ? n : at - begin;
    int rc = put(to, buffer[0], (size_t)n, at);
    if (rc) return rc;
    at += n;
    if ((size_t)n < room && at >= size) break;
  }
  return at - begin;
}

// The same within the kernel; -EOPNOTSUPP, and nothing done: it cannot.
static int64_t by_kernel(int from, int to, int64_t at, int64_t end) {
  off64_t in = at, out = at;
  while (in < end) {
    ssize_t n = copy_file_range(from, &in, to, &out, (size_t)least(AT_ONCE, end - in), 0);
    if (n == 0) break;
    if (n > 0 || errno == EINTR) continue;
    if (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG) return -errno;
    return in == at ? -EOPNOTSUPP : -errno;
  }
  return in - at;
}

static int64_t copy_span(int from, int to, int64_t at, int64_t end, int64_t size) {
  static int cannot;
  if (least(end, size) - at > BUFFER && !cannot) {
    int64_t n = by_kernel(from, to, at, end);
    if (n != -EOPNOTSUPP) return n;
    cannot = 1;
  }
  return by_hand(from, to, at, end, size);
}

int data_clone(int from, int to, dev_t device) {
  static dev_t cannot;
  if (device == cannot) return 0;
  if (ioctl(to, FICLONE, from) == 0) return 1;
  cannot = device;
  return 0;
}

// The next stretch of data in at..end, if there is one: 1, 0. A file system that tells of no holes has none.
static int next_data(int from, int64_t *at, int64_t *end) {
  off_t data = lseek(from, *at, SEEK_DATA);
  if (data < 0) return errno != ENXIO;
  if (data >= *end) return 0;
  off_t hole = lseek(from, data, SEEK_HOLE);
  *at = data;
  if (hole >= 0) *end = least(*end, hole);
  return 1;
}

static int64_t copy_sparse(int from, int to, int64_t begin, int64_t end, int64_t size) {
  int64_t at = begin, stop = end;
  for (; at < end && next_data(from, &at, &stop); at = stop, stop = end) {
    int64_t n = copy_span(from, to, at, stop, size);
    if (n < 0) return n;
    if (n < stop - at) return -ENODATA;
  }
  return end - begin;
}

static int has_holes(const struct stat *st) { return st->st_blocks * INT64_C(512) < st->st_size; }

int64_t data_copy_range(int from, int to, const struct stat *st, int64_t at, int64_t end) {
  if (has_holes(st)) return copy_sparse(from, to, at, end, st->st_size);
  int64_t n = copy_span(from, to, at, end, st->st_size);
  return n >= 0 && n < end - at ? -ENODATA : n;
}

int64_t data_copy(int from, int to, const struct stat *st) {
  if (st->st_size > 0 && data_clone(from, to, st->st_dev)) return st->st_size;
  if (has_holes(st)) {
    int64_t n = copy_sparse(from, to, 0, st->st_size, st->st_size);
    return n >= 0 && ftruncate(to, st->st_size) ? -errno : n;
  }
  int64_t n = copy_span(from, to, 0, INT64_MAX, st->st_size);
  return n >= 0 && n < st->st_size ? -ENODATA : n;
}

// ---- the same? ----

static int same_span(int from, int to, int64_t at, int64_t end) {
  while (at < end) {
    size_t room = (size_t)least(BUFFER, end - at);
    ssize_t n = get(from, buffer[0], room, at), m = get(to, buffer[1], room, at);
    if (n < 0 || m < 0) return (int)least(n, m);
    if (n != m || memcmp(buffer[0], buffer[1], (size_t)n) != 0) return 0;
    if (n == 0) break;
    at += n;
  }
  return 1;
}

// What is a hole on both sides is the same.
int data_same(int from, int to, int64_t at, int64_t end) {
  while (at < end) {
    int64_t a = at, b = at, a_end = end, b_end = end;
    int here = next_data(from, &a, &a_end), there = next_data(to, &b, &b_end);
    if (!here && !there) return 1;
    if (!here || (there && b < a)) a = b, a_end = b_end;
    int same = same_span(from, to, a, a_end);
    if (same != 1) return same;
    at = a_end;
  }
  return 1;
}
