#include "examples/copy_tree/entry.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "examples/copy_tree/data.h"
#include "examples/copy_tree/dir.h"

int hand_failed(struct hand *h, enum step step, int code) {
  h->step = step;
  h->code = code < 0 ? -code : code;
  return -1;
}
static int failed(struct hand *h, enum step step) { return hand_failed(h, step, errno); }

static struct spot opened(int fd) { return (struct spot){fd, -1, NULL}; }
static struct spot named(int dir, const char *name) { return (struct spot){-1, dir, name}; }

struct part part_name(const struct job *job, uint64_t unit, unsigned entry) {
  struct part p;
  snprintf(p.name, sizeof p.name, ".copy_tree.%016llx.%llu.%u", (unsigned long long)job->run, (unsigned long long)unit,
           entry);
  return p;
}

int part_is_one(const char *name) {
  unsigned long long run, unit;
  unsigned entry;
  int end = 0;
  return sscanf(name, ".copy_tree.%16llx.%llu.%u%n", &run, &unit, &entry, &end) == 3 && name[end] == '\0';
}

static struct part own_part(const struct hand *h) { return part_name(h->job, h->unit, h->entry); }

// ---- is it there already? ----

static int same_time(const struct stat *a, const struct stat *b) {
  return a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int same_target(struct hand *h, const char *name) {
  char a[PATH_MAX], b[PATH_MAX];
  ssize_t n = readlinkat(h->from, name, a, sizeof a), m = readlinkat(h->to, name, b, sizeof b);
  return n >= 0 && n == m && memcmp(a, b, (size_t)n) == 0;
}

int entry_there(struct hand *h, const char *name, const struct stat *st) {
  struct stat have;
  if (fstatat(h->to, name, &have, AT_SYMLINK_NOFOLLOW) || (have.st_mode ^ st->st_mode) & S_IFMT) return 0;
  if (!same_time(st, &have)) return 0;
  if (S_ISREG(st->st_mode)) return have.st_size == st->st_size;
  return S_ISLNK(st->st_mode) ? same_target(h, name) : have.st_rdev == st->st_rdev;
}

// ---- regular files ----

static int open_source(struct hand *h, const char *name, struct stat *st) {
  int fd = open_unseen(h->from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return failed(h, STEP_OPEN);
  if (fstat(fd, st) == 0 && S_ISREG(st->st_mode)) return fd;
  close(fd);
  return hand_failed(h, STEP_CHANGED, 0);
}

// A file without a name, if the file system makes such: killed, nothing is left. Else one that has its part's name.
static int make_file(struct hand *h, mode_t mode, int *has_name) {
  static int cannot;
  *has_name = 0;
  int fd = cannot ? -1 : openat(h->to, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode & 0777);
  if (fd >= 0) return fd;
  if (!cannot && errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT) return failed(h, STEP_MAKE);
  cannot = *has_name = 1;
  fd = openat(h->to, own_part(h).name, O_CREAT | O_TRUNC | O_NOFOLLOW | O_RDWR | O_CLOEXEC, 0600);
  return fd < 0 ? failed(h, STEP_MAKE) : fd;
}

static int give_name(int fd, int dir, const char *name) {
  static int not_allowed;
  char path[32];
  if (!not_allowed && linkat(fd, "", dir, name, AT_EMPTY_PATH) == 0) return 0;
  if (!not_allowed && errno != ENOENT) return -1;
  not_allowed = 1;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return linkat(AT_FDCWD, path, dir, name, AT_SYMLINK_FOLLOW);
}

// In one step: whoever looks finds what was there before, or the whole of the new.
static int replace(struct hand *h, const char *part, const char *name) {
  if (renameat(h->to, part, h->to, name) == 0) return 0;
  failed(h, STEP_NAME);
  unlinkat(h->to, part, 0);
  return -1;
}

static int publish(struct hand *h, int fd, int has_name, const char *name) {
  struct part part = own_part(h);
  if (has_name) return replace(h, part.name, name);
  if (give_name(fd, h->to, name) == 0) return 0;
  if (errno != EEXIST) return failed(h, STEP_NAME);
  if (give_name(fd, h->to, part.name) && errno == EEXIST) {
    unlinkat(h->to, part.name, 0);
    if (give_name(fd, h->to, part.name)) return failed(h, STEP_NAME);
  }
  return replace(h, part.name, name);
}

// As it was made: all that we make in one directory have its owner, and the mode that was asked for. (An access control
// list that is inherited may change that: then the mode is set anyway.)
static int look_at_made(struct hand *h, int to, mode_t mode, struct stat *have) {
  if (!h->made.st_nlink) {
    if (fstat(to, &h->made)) return failed(h, STEP_MAKE);
    h->made.st_nlink = 1;  // it is known
  }
  *have = h->made;
  have->st_mode = S_IFREG | (mode & 0777);
  return 0;
}

// As it was when it was opened.
static int is_still(int from, const struct stat *st) {
  struct stat now;
  return fstat(from, &now) == 0 && now.st_size == st->st_size && same_time(st, &now);
}

static int fill(struct hand *h, int from, int to, int has_name, const struct stat *st) {
  const struct timespec times[2] = {st->st_atim, st->st_mtim};
  struct stat have;
  if (!has_name ? look_at_made(h, to, st->st_mode, &have) : fstat(to, &have) && failed(h, STEP_MAKE)) return -1;
  int64_t n = data_copy(from, to, st);
  if (n < 0) return n == -ENODATA ? hand_failed(h, STEP_CHANGED, 0) : hand_failed(h, STEP_COPY, (int)n);
  if (!is_still(from, st)) return hand_failed(h, STEP_CHANGED, 0);
  if (meta_copy(opened(from), opened(to), st, &have, h->inherits, h->job->root, &h->step)) return failed(h, h->step);
  if (meta_times(opened(to), times, &h->step)) return failed(h, h->step);
  h->tally->bytes += (uint64_t)n;
  return 0;
}

static int copy_file(struct hand *h, int from, const char *name, const struct stat *st) {
  int has_name, to = make_file(h, st->st_mode, &has_name);
  if (to < 0) return -1;
  int rc = fill(h, from, to, has_name, st);
  if (rc && has_name) unlinkat(h->to, own_part(h).name, 0);
  if (!rc) rc = publish(h, to, has_name, name);
  if (close(to) && !rc) rc = failed(h, STEP_COPY);
  h->tally->files += rc == 0;
  return rc;
}

static int skip(struct hand *h, const char *name, const struct stat *st) {
  if (!h->job->resume || !entry_there(h, name, st)) return 0;
  h->tally->skipped++;
  if (S_ISREG(st->st_mode)) h->tally->bytes += (uint64_t)st->st_size;
  return 1;
}

static int copy_regular(struct hand *h, const char *name) {
  struct stat st;
  int from = open_source(h, name, &st);
  if (from < 0) return -1;
  int rc = skip(h, name, &st) ? 0 : copy_file(h, from, name, &st);
  close(from);
  return rc;
}

// ---- what has no contents ----

static int make_symlink(struct hand *h, const char *name, const char *as) {
  char target[PATH_MAX];
  ssize_t n = readlinkat(h->from, name, target, sizeof target - 1);
  if (n < 0) return failed(h, STEP_OPEN);
  target[n] = '\0';
  return symlinkat(target, h->to, as) ? failed(h, STEP_MAKE) : 0;
}

static int make_special(struct hand *h, const struct stat *st, const char *as) {
  return mknodat(h->to, as, st->st_mode, st->st_rdev) ? failed(h, STEP_MAKE) : 0;
}

static int make_other(struct hand *h, const char *name, const struct stat *st, const char *as) {
  return S_ISLNK(st->st_mode) ? make_symlink(h, name, as) : make_special(h, st, as);
}

static int dress_other(struct hand *h, const char *name, const struct stat *st, const char *as) {
  const struct timespec times[2] = {st->st_atim, st->st_mtim};
  struct spot to = named(h->to, as);
  struct stat have;
  if (fstatat(h->to, as, &have, AT_SYMLINK_NOFOLLOW)) return failed(h, STEP_MAKE);
  int inherits = h->inherits && !S_ISLNK(st->st_mode);
  if (meta_copy(named(h->from, name), to, st, &have, inherits, h->job->root, &h->step)) return failed(h, h->step);
  return meta_times(to, times, &h->step) ? failed(h, h->step) : 0;
}

static int copy_other(struct hand *h, const char *name) {
  struct stat st;
  struct part part = own_part(h);
  if (fstatat(h->from, name, &st, AT_SYMLINK_NOFOLLOW)) return failed(h, STEP_OPEN);
  if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) return hand_failed(h, STEP_CHANGED, 0);
  if (skip(h, name, &st)) return 0;
  const char *as = name;
  int rc = make_other(h, name, &st, as);
  if (rc && h->step == STEP_MAKE && h->code == EEXIST) {
    as = part.name;
    unlinkat(h->to, as, 0);
    rc = make_other(h, name, &st, as);
  }
  if (!rc) rc = dress_other(h, name, &st, as);
  if (!rc && as != name) rc = replace(h, as, name);
  else if (rc && as != name) unlinkat(h->to, as, 0);
  *(S_ISLNK(st.st_mode) ? &h->tally->symlinks : &h->tally->specials) += rc == 0;
  return rc;
}

int entry_copy(struct hand *h, char type, const char *name) {
  return type == REGULAR ? copy_regular(h, name) : copy_other(h, name);
}

// ---- large files, and links ----

int range_copy(struct hand *h, const char *name, int64_t from, int64_t to) {
  struct stat st;
  int source = open_source(h, name, &st);
  if (source < 0) return -1;
  int part = openat(h->to, own_part(h).name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
  int64_t n = part < 0 ? -errno : data_copy_range(source, part, &st, from, to);
  if (part >= 0 && close(part) && n >= 0) n = -errno;
  close(source);
  if (n < 0) return n == -ENODATA ? hand_failed(h, STEP_CHANGED, 0) : hand_failed(h, STEP_COPY, (int)n);
  h->tally->bytes += (uint64_t)n;
  return 0;
}

static int dress_part(struct hand *h, int from, const struct stat *st) {
  const struct timespec times[2] = {st->st_atim, st->st_mtim};
  struct stat have;
  int to = openat(h->to, own_part(h).name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
  if (to < 0) return failed(h, STEP_NAME);
  int rc = fstat(to, &have) ? failed(h, STEP_MAKE) : 0;
  if (!rc && meta_copy(opened(from), opened(to), st, &have, h->inherits, h->job->root, &h->step))
    rc = failed(h, h->step);
  if (!rc && meta_times(opened(to), times, &h->step)) rc = failed(h, h->step);
  close(to);
  return rc;
}

int part_finish(struct hand *h, const char *name, const struct stat *st) {
  struct stat now;
  int from = open_source(h, name, &now);
  if (from < 0) return -1;
  int rc = now.st_size != st->st_size || !same_time(st, &now) ? hand_failed(h, STEP_CHANGED, 0) : 0;
  if (!rc) rc = dress_part(h, from, st);
  if (!rc) rc = replace(h, own_part(h).name, name);
  close(from);
  h->tally->files += rc == 0;
  return rc;
}

int entry_link(struct hand *h, int first_dir, const char *first, const char *name) {
  struct part part = own_part(h);
  struct stat a, b;
  if (linkat(first_dir, first, h->to, name, 0) == 0) return 0;
  if (errno != EEXIST) return failed(h, STEP_LINK);
  if (fstatat(first_dir, first, &a, AT_SYMLINK_NOFOLLOW) == 0 && fstatat(h->to, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
      a.st_dev == b.st_dev && a.st_ino == b.st_ino)
    return 0;
  unlinkat(h->to, part.name, 0);
  if (linkat(first_dir, first, h->to, part.name, 0)) return failed(h, STEP_LINK);
  return replace(h, part.name, name);
}

// ---- the same? ----

static int verify_contents(struct hand *h, const char *name, int64_t at, int64_t end) {
  int from = open_unseen(h->from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  int to = open_unseen(h->to, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  int same = from < 0 || to < 0 ? -errno : data_same(from, to, at, end);
  if (from >= 0) close(from);
  if (to >= 0) close(to);
  if (same < 0) return hand_failed(h, STEP_OPEN, same);
  return same ? 0 : hand_failed(h, DIFFERS_CONTENTS, 0);
}

int range_verify(struct hand *h, const char *name, int64_t from, int64_t to) {
  if (verify_contents(h, name, from, to)) return -1;
  h->tally->bytes += (uint64_t)(to - from);
  return 0;
}

int entry_verify(struct hand *h, char type, const char *name) {
  struct stat st, have;
  if (fstatat(h->from, name, &st, AT_SYMLINK_NOFOLLOW) || fstatat(h->to, name, &have, AT_SYMLINK_NOFOLLOW))
    return failed(h, STEP_OPEN);
  int same = meta_same(named(h->from, name), named(h->to, name), &st, &have, h->job->root);
  if (same) return same < 0 ? hand_failed(h, STEP_XATTR, same) : hand_failed(h, (enum step)same, 0);
  if (S_ISLNK(st.st_mode) && !same_target(h, name)) return hand_failed(h, DIFFERS_TARGET, 0);
  if (type == REGULAR && verify_contents(h, name, 0, st.st_size)) return -1;
  h->tally->verified++;
  if (type == REGULAR) h->tally->bytes += (uint64_t)st.st_size;
  return 0;
}
