#include "examples/copy_tree/meta.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ACL_ACCESS "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

const char *step_text(enum step step) {
  static const char *const texts[] = {[STEP_NONE] = "",
                                      [STEP_OPEN] = "open",
                                      [STEP_MAKE] = "make",
                                      [STEP_COPY] = "copy",
                                      [STEP_OWNER] = "owner",
                                      [STEP_XATTR] = "extended attributes",
                                      [STEP_MODE] = "mode",
                                      [STEP_TIMES] = "times",
                                      [STEP_NAME] = "name",
                                      [STEP_LINK] = "link",
                                      [STEP_CHANGED] = "changed while it was copied",
                                      [STEP_DEADLY] = "given up: too many workers died with it",
                                      [DIFFERS_TYPE] = "differs: type",
                                      [DIFFERS_SIZE] = "differs: size",
                                      [DIFFERS_CONTENTS] = "differs: contents",
                                      [DIFFERS_TARGET] = "differs: target",
                                      [DIFFERS_DEVICE] = "differs: device",
                                      [DIFFERS_OWNER] = "differs: owner",
                                      [DIFFERS_MODE] = "differs: mode",
                                      [DIFFERS_TIME] = "differs: time",
                                      [DIFFERS_XATTR] = "differs: extended attributes",
                                      [DIFFERS_LINK] = "differs: not a link to the same file"};
  return texts[step];
}

// ---- extended attributes ----

// No descriptor of a symbolic link or a device is to be had; this names it, and no link is followed.
static const char *route_to(char *path, struct spot s) {
  snprintf(path, PATH_MAX, "/proc/self/fd/%d/%s", s.dir, s.name);
  return path;
}

static ssize_t list_xattr(struct spot s, char *names, size_t size) {
  char r[PATH_MAX];
  return s.fd >= 0 ? flistxattr(s.fd, names, size) : llistxattr(route_to(r, s), names, size);
}
static ssize_t get_xattr(struct spot s, const char *name, void *value, size_t size) {
  char r[PATH_MAX];
  return s.fd >= 0 ? fgetxattr(s.fd, name, value, size) : lgetxattr(route_to(r, s), name, value, size);
}
static int set_xattr(struct spot s, const char *name, const void *value, size_t size) {
  char r[PATH_MAX];
  return s.fd >= 0 ? fsetxattr(s.fd, name, value, size, 0) : lsetxattr(route_to(r, s), name, value, size, 0);
}
static int remove_xattr(struct spot s, const char *name) {
  char r[PATH_MAX];
  return s.fd >= 0 ? fremovexattr(s.fd, name) : lremovexattr(route_to(r, s), name);
}

// The whole of what `name` says, or of the names if it is NULL, to be freed; its size, or -errno.
static ssize_t whole_xattr(struct spot s, const char *name, char **out) {
  for (size_t room = 4096;; room *= 2) {
    char *data = malloc(room + 1);
    if (!data) return -ENOMEM;
    ssize_t n = name ? get_xattr(s, name, data, room) : list_xattr(s, data, room);
    if (n >= 0) {
      data[n] = '\0';
      *out = data;
      return n;
    }
    free(data);
    if (errno != ERANGE || room > (1 << 20)) return -errno;
  }
}

static int not_there(int error) { return error == ENOTSUP || error == EPERM || error == ENOSYS || error == ELOOP; }

static int copy_xattr(struct spot from, struct spot to, const char *name) {
  char *value;
  ssize_t n = whole_xattr(from, name, &value);
  if (n < 0) return n == -ENODATA || not_there((int)-n) ? 0 : (errno = (int)-n, -1);
  int rc = set_xattr(to, name, value, (size_t)n), error = errno;
  free(value);
  errno = error;
  return rc && !not_there(error) ? -1 : 0;
}

// How many were there, or -1. What the target's file system does not know, or the user may not set, is left out, as by
// cp -a.
static int copy_xattrs(struct spot from, struct spot to) {
  char *names;
  int count = 0, rc = 0;
  if (list_xattr(from, NULL, 0) <= 0) return 0;
  ssize_t n = whole_xattr(from, NULL, &names);
  if (n < 0) return errno = (int)-n, -1;
  for (char *name = names; name < names + n && rc == 0; name += strlen(name) + 1, count++)
    rc = copy_xattr(from, to, name);
  int error = errno;
  free(names);
  errno = error;
  return rc ? -1 : count;
}

static int same_xattr(struct spot from, struct spot to, const char *name) {
  char *a = NULL, *b = NULL;
  ssize_t n = whole_xattr(from, name, &a);
  if (n < 0) return (int)n;
  ssize_t m = whole_xattr(to, name, &b);
  int same = m == n && memcmp(a, b, (size_t)n) == 0;
  if (m >= 0) free(b);
  free(a);
  return same;
}

static int same_xattrs(struct spot from, struct spot to) {
  char *names;
  int same = 1;
  ssize_t n = list_xattr(from, NULL, 0), m = list_xattr(to, NULL, 0);
  if (n < 0) return 1;
  if (n != m) return 0;
  if (n == 0) return 1;
  if ((n = whole_xattr(from, NULL, &names)) < 0) return (int)n;
  for (char *name = names; name < names + n && same == 1; name += strlen(name) + 1) same = same_xattr(from, to, name);
  free(names);
  return same;
}

int meta_inherits(int dir) { return fgetxattr(dir, ACL_DEFAULT, NULL, 0) > 0; }

void meta_forget_inherited(int fd) {
  fremovexattr(fd, ACL_ACCESS);
  fremovexattr(fd, ACL_DEFAULT);
}

// ---- all of it ----

static int change_owner(struct spot s, uid_t uid, gid_t gid) {
  return s.fd >= 0 ? fchown(s.fd, uid, gid) : fchownat(s.dir, s.name, uid, gid, AT_SYMLINK_NOFOLLOW);
}
static int change_mode(struct spot s, mode_t mode) {
  return s.fd >= 0 ? fchmod(s.fd, mode) : fchmodat(s.dir, s.name, mode, 0);
}

// Who may not give files away keeps the group if that is allowed; -1, errno is EPERM: not both are as they were.
static int copy_owner(struct spot to, const struct stat *st) {
  if (change_owner(to, st->st_uid, st->st_gid) == 0) return 0;
  if (errno != EPERM && errno != EINVAL) return -1;
  if (change_owner(to, (uid_t)-1, st->st_gid)) return errno = EPERM, -1;
  return errno = EPERM, -1;
}

int meta_copy(struct spot from, struct spot to, const struct stat *st, const struct stat *have, int inherits, int root,
              enum step *step) {
  mode_t mode = st->st_mode & 07777;
  int changed = inherits;
  if (inherits) remove_xattr(to, ACL_ACCESS);
  if (st->st_uid != have->st_uid || st->st_gid != have->st_gid) {
    *step = STEP_OWNER;
    changed = 1;
    if (copy_owner(to, st)) {
      if (root || errno != EPERM) return -1;
      mode &= 0777;  // with another owner the others would mean another; as cp -a
    }
  }
  *step = STEP_XATTR;
  int attributes = copy_xattrs(from, to);
  if (attributes < 0) return -1;
  if (S_ISLNK(st->st_mode) || (!changed && !attributes && (have->st_mode & 07777) == mode)) return 0;
  *step = STEP_MODE;
  return change_mode(to, mode);
}

int meta_times(struct spot to, const struct timespec *times, enum step *step) {
  *step = STEP_TIMES;
  return to.fd >= 0 ? futimens(to.fd, times) : utimensat(to.dir, to.name, times, AT_SYMLINK_NOFOLLOW);
}

static int same_owner(const struct stat *a, const struct stat *b) {
  return a->st_uid == b->st_uid && a->st_gid == b->st_gid;
}

int meta_same(struct spot from, struct spot to, const struct stat *st, const struct stat *have, int root) {
  mode_t mask = same_owner(st, have) ? 07777 : 0777;
  if ((st->st_mode ^ have->st_mode) & S_IFMT) return DIFFERS_TYPE;
  if (root && !same_owner(st, have)) return DIFFERS_OWNER;
  if (!S_ISLNK(st->st_mode) && (st->st_mode ^ have->st_mode) & mask) return DIFFERS_MODE;
  if (S_ISREG(st->st_mode) && st->st_size != have->st_size) return DIFFERS_SIZE;
  if (st->st_rdev != have->st_rdev) return DIFFERS_DEVICE;
  if (st->st_mtim.tv_sec != have->st_mtim.tv_sec || st->st_mtim.tv_nsec != have->st_mtim.tv_nsec) return DIFFERS_TIME;
  int same = same_xattrs(from, to);
  return same < 0 ? same : same ? STEP_NONE : DIFFERS_XATTR;
}
