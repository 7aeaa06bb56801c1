#include "examples/copy_tree/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int dir_add(struct shoal_heap *heap, struct shoal_segment *seg, shoal_off parent, const char *name,
            const struct stat *st, shoal_off *out) {
  size_t length = strlen(name);
  void *block;
  int rc = shoal_heap_alloc(heap, sizeof(struct dir) + length + 1, &block);
  if (rc) return rc;
  struct dir *d = block;
  d->parent = parent;
  d->times[0] = st->st_atim.tv_sec, d->times[1] = st->st_atim.tv_nsec;
  d->times[2] = st->st_mtim.tv_sec, d->times[3] = st->st_mtim.tv_nsec;
  d->length = (uint32_t)length;
  memcpy(d->name, name, length + 1);
  *out = shoal_segment_off(seg, block);
  return 0;
}

const struct dir *dir_at(struct shoal_segment *seg, shoal_off dir) {
  const struct dir *d = shoal_segment_at(seg, dir, sizeof *d);
  return d && shoal_segment_at(seg, dir, sizeof *d + d->length + 1) ? d : NULL;
}

// ---- paths ----

// The path of `dir` from `*stop`, or from the root if that is not on the way: then *stop is 0.
static char *path_from(struct shoal_segment *seg, shoal_off dir, shoal_off *stop) {
  size_t size = 0;
  shoal_off at;
  const struct dir *d;
  for (at = dir; at && at != *stop; at = d->parent) {
    if (!(d = dir_at(seg, at))) return NULL;
    size += d->length + 1;
  }
  *stop = at;
  size += size == 0;
  char *path = malloc(size);
  if (!path) return NULL;
  char *end = path + size - 1;
  *end = '\0';
  for (at = dir; at != *stop; at = d->parent) {
    d = dir_at(seg, at);
    if (*end) *--end = '/';
    end -= d->length;
    memcpy(end, d->name, d->length);
  }
  return path;
}

char *trees_path(struct trees *t, shoal_off dir) {
  shoal_off root = 0;
  return path_from(t->seg, dir, &root);
}

// ---- opening ----

int open_unseen(int dir, const char *name, int flags) {
  int fd = openat(dir, name, flags | O_NOATIME | O_CLOEXEC);
  return fd >= 0 || errno != EPERM ? fd : openat(dir, name, flags | O_CLOEXEC);
}

// Through no symbolic link: whoever may write in the trees would lead the copy out of them.
static int open_beneath(int dir, const char *path, uint64_t flags) {
  struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags,
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
  int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
  if (fd >= 0 || errno != EPERM || !flags) return fd;
  how.flags &= ~flags;
  return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

// Where the kernel's limit has the path end for now: at a '/', or at its end.
static char *piece_end(char *path) {
  size_t length = strnlen(path, PATH_MAX);
  if (length < PATH_MAX) return path + length;
  char *end = path + PATH_MAX - 1;
  while (*end != '/') end--;
  return end;
}

static int open_path(int base, char *path, uint64_t flags) {
  int fd = base;
  for (char *rest = path; *rest;) {
    char *end = piece_end(rest), kept = *end;
    *end = '\0';
    int next = open_beneath(fd, rest, flags), error = errno;
    *end = kept;
    if (fd != base) close(fd);
    if (next < 0) return -error;
    fd = next;
    rest = kept ? end + 1 : end;
  }
  return fd;
}

struct trees trees_at_root(struct shoal_segment *seg, int from, int to) {
  return (struct trees){seg, {from, to}, {from, to}, 0};
}

void trees_leave(struct trees *t) {
  for (int side = 0; side < SIDES; side++) {
    if (t->fd[side] != t->root[side]) close(t->fd[side]);
    t->fd[side] = t->root[side];
  }
  t->at = 0;
}

static int open_both(const struct trees *t, shoal_off base, char *path, int *fd) {
  const int *from = base == t->at ? t->fd : t->root;
  for (int side = 0; side < SIDES; side++) {
    fd[side] = from[side] < 0 ? -1 : open_path(from[side], path, side == SOURCE ? O_NOATIME : 0);
    if (fd[side] >= 0 || from[side] < 0) continue;
    int rc = fd[side];
    if (side == COPY && fd[SOURCE] >= 0) close(fd[SOURCE]);
    return rc;
  }
  return 0;
}

int trees_go(struct trees *t, shoal_off dir) {
  shoal_off base = t->at;
  int fd[SIDES];
  if (dir == t->at) return 0;
  if (dir == 0) return trees_leave(t), 0;
  char *path = path_from(t->seg, dir, &base);
  if (!path) return -ENOMEM;
  int rc = open_both(t, base, path, fd);
  free(path);
  if (rc) return rc;
  trees_leave(t);
  memcpy(t->fd, fd, sizeof fd);
  t->at = dir;
  return 0;
}
