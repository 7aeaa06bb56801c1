#include "ipc/data/array_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/segment_internal.h"

#define MAGIC UINT64_C(0x0a79617272610a89)
#define FORMAT 1u
#define PAGE UINT64_C(4096)
#define PIECE (UINT64_C(16) << 20)  // is allocated at a time: signals wait meanwhile

// Its maker; `place`: whoever opens it while nobody else has it open.
struct shoal_array_file_shm {
  uint64_t magic;
  uint32_t format;
  uint32_t reserved_;
  uint64_t length;  // of the file
  struct shoal_place_ place;
};
SHOAL_STATIC_ASSERT(sizeof(struct shoal_array_file_shm) == 56, "layout");
SHOAL_STATIC_ASSERT(offsetof(struct shoal_array_file_shm, place) == 24, "layout");

enum { IN_USE, BEING_OPENED };  // bytes that are locked
static int file_lock(int fd, off_t byte, short type, int wait) {
  struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
  while (fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock))
    if (errno != EINTR) return errno == EACCES ? -EAGAIN : -errno;
  return 0;
}

static int map(int fd, uint64_t length, char **out) {
  void *base = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) return shoal_fail_(-ENOMEM, "no %lu bytes of address space: %m", (unsigned long)length);
  *out = base;
  return 0;
}

// ---- make ----

struct maker {
  int fd;
  char folder[PATH_MAX], temporary[PATH_MAX];  // "": it has no name yet
};

static int maker_open(const char *path, struct maker *m) {
  const char *slash = strrchr(path, '/');
  size_t n = slash ? (size_t)(slash - path) + (slash == path) : 1;
  m->temporary[0] = 0;
  if (strlen(path) + 8 > sizeof m->temporary) return shoal_fail_(-ENAMETOOLONG, "%s", path);
  memcpy(m->folder, slash ? path : ".", n);
  m->folder[n] = 0;
  m->fd = open(m->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (m->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
    snprintf(m->temporary, sizeof m->temporary, "%s.XXXXXX", path);
    m->fd = mkostemp(m->temporary, O_CLOEXEC);
  }
  return m->fd < 0 ? shoal_fail_(-errno, "%s: %m", m->folder) : 0;
}

static int maker_publish(const struct maker *m, const char *path) {
  char self[32];
  snprintf(self, sizeof self, "/proc/self/fd/%d", m->fd);
  const char *from = m->temporary[0] ? m->temporary : self;
  if (linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW))
    return errno == EEXIST ? shoal_fail_(-EEXIST, "%s", path) : shoal_fail_(-errno, "linkat %s: %m", path);
  int folder = open(m->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);  // the name is to be on the disk, too
  if (folder >= 0) {
    (void)fsync(folder);
    close(folder);
  }
  return 0;
}

// All that is touched is allocated: a full disk is -ENOSPC, never SIGBUS.
static int write_all(const struct maker *m, mode_t mode, uint64_t length) {
  struct shoal_array_file_shm h = {.magic = MAGIC, .format = FORMAT, .length = length};
  int rc = shoal_place_(&h.place);
  if (rc) return rc;
  if (fchmod(m->fd, mode ? mode : 0600)) return shoal_fail_(-errno, "fchmod: %m");
  rc = file_lock(m->fd, IN_USE, F_RDLCK, 0);
  if (rc) return shoal_fail_(rc, "file lock");
  for (uint64_t at = 0; at < length; at += PIECE) {
    struct shoal_longer_ longer;
    shoal_longer_begin_(&longer);
    int error = posix_fallocate(m->fd, (off_t)at, (off_t)(length - at < PIECE ? length - at : PIECE));
    rc = shoal_longer_end_(&longer, -error);
    if (rc) return shoal_fail_(rc, "no %lu bytes: %s", (unsigned long)length, strerror(error));
  }
  return pwrite(m->fd, &h, sizeof h, 0) == (ssize_t)sizeof h ? 0 : shoal_fail_(-errno, "pwrite: %m");
}

static int fill(const struct maker *m, const char *path, const char *type, uint64_t size, uint64_t count,
                const struct shoal_array_options *o, uint64_t length, struct shoal_array *out) {
  char *base = NULL;
  struct shoal_array a;
  int rc = map(m->fd, length, &base);
  if (rc) return rc;
  rc = shoal_array_init(base + PAGE, type, size, count, o, &a);
  if (rc == 0 && (msync(base, length, MS_SYNC) || fsync(m->fd))) rc = shoal_fail_(-errno, "msync: %m");
  if (rc == 0) rc = maker_publish(m, path);
  if (rc) {
    munmap(base, length);
    return rc;
  }
  a.fd_ = m->fd;
  a.mapped_ = length;
  *out = a;
  return 0;
}

int shoal_array_file_create(const char *path, const char *type, uint64_t size, uint64_t count,
                            const struct shoal_array_options *o, mode_t mode, struct shoal_array *out) {
  struct maker m;
  uint64_t bytes = shoal_array_bytes(size, count), length = (PAGE + bytes + PAGE - 1) / PAGE * PAGE;
  if (!path || !*path) return shoal_fail_(-EINVAL, "a file has a path");
  if (!bytes) return shoal_fail_(-EINVAL, "%lu elements of %lu bytes", (unsigned long)count, (unsigned long)size);
  if (o && o->lock) return shoal_fail_(-EINVAL, "a given lock is not in the file");
  int rc = shoal_robust_check();
  if (rc == 0 && access(path, F_OK) == 0) rc = shoal_fail_(-EEXIST, "%s", path);
  if (rc == 0) rc = maker_open(path, &m);
  if (rc) return rc;
  rc = write_all(&m, mode, length);
  if (rc == 0) rc = fill(&m, path, type, size, count, o, length, out);
  if (m.temporary[0]) unlink(m.temporary);
  if (rc) close(m.fd);
  return rc;
}

// ---- open ----

static int header_read(int fd, struct shoal_array_file_shm *h) {
  struct stat st;
  if (fstat(fd, &st)) return shoal_fail_(-errno, "fstat: %m");
  if (!S_ISREG(st.st_mode)) return shoal_fail_(-EPROTO, "not a regular file");
  if (pread(fd, h, sizeof *h, 0) != (ssize_t)sizeof *h || h->magic != MAGIC)
    return shoal_fail_(-EPROTO, "not a file with an array");
  if (h->format != FORMAT) return shoal_fail_(-EPROTO, "format %u, this library has %u", h->format, FORMAT);
  if (h->length != (uint64_t)st.st_size || h->length <= PAGE || h->length > INT64_MAX)
    return shoal_fail_(-EPROTO, "%lu bytes, not %lu", (unsigned long)st.st_size, (unsigned long)h->length);
  return 0;
}

// Nobody else has it open: who had its lock is gone, whatever boot it was of.
static void renew(const struct shoal_array *a, char *base, const struct shoal_place_ *here) {
  if (a->lock_) {
    shoal_atomic32 *word = &a->lock_->robust.word;
    uint32_t old = shoal_load32_relaxed(word);
    int dead = shoal_robust_owner(old) || shoal_robust_is_dead(old);
    shoal_store32_relaxed(word, dead ? FUTEX_OWNER_DIED : 0);
  }
  memcpy(base + offsetof(struct shoal_array_file_shm, place), here, sizeof *here);
}

static int attach(int fd, int alone, const char *type, uint64_t size, uint64_t count, struct shoal_array *out) {
  struct shoal_array_file_shm h = {.magic = 0};
  struct shoal_place_ here = {{0}, 0, 0};
  struct shoal_array a;
  char *base = NULL;
  int rc = header_read(fd, &h);
  if (rc == 0) rc = shoal_place_(&here);
  if (rc == 0 && !alone && memcmp(&here, &h.place, sizeof here) != 0)
    rc = shoal_fail_(-EPROTO, "in use in another pid namespace, or on another machine");
  if (rc == 0) rc = map(fd, h.length, &base);
  if (rc) return rc;
  rc = shoal_array_attach(base + PAGE, h.length - PAGE, type, size, count, NULL, &a);
  if (rc) {
    munmap(base, h.length);
    return rc;
  }
  if (alone) renew(&a, base, &here);
  a.fd_ = fd;
  a.mapped_ = h.length;
  *out = a;
  return 0;
}

int shoal_array_file_open(const char *path, const char *type, uint64_t size, uint64_t count, struct shoal_array *out) {
  int rc = shoal_robust_check();
  if (rc) return rc;
  if (!path || !*path) return shoal_fail_(-EINVAL, "a file has a path");
  int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return shoal_fail_(-errno, "%s: %m", path);
  // The exclusive lock proves that nobody else has it open; the shared one is kept. One opener at a time: who waits for
  // one that fails, or dies, is alone then.
  rc = file_lock(fd, BEING_OPENED, F_WRLCK, 1);
  int alone = rc == 0 && file_lock(fd, IN_USE, F_WRLCK, 0) == 0;
  if (rc == 0 && !alone) rc = file_lock(fd, IN_USE, F_RDLCK, 1);
  if (rc) rc = shoal_fail_(rc, "file lock: %s", strerror(-rc));
  if (rc == 0) rc = attach(fd, alone, type, size, count, out);
  if (rc == 0 && alone) (void)file_lock(fd, IN_USE, F_RDLCK, 0);
  if (rc == 0) (void)file_lock(fd, BEING_OPENED, F_UNLCK, 0);
  if (rc) close(fd);
  return rc;
}

int shoal_array_file_open_or_create(const char *path, const char *type, uint64_t size, uint64_t count,
                                    const struct shoal_array_options *o, mode_t mode, struct shoal_array *out) {
  struct shoal_kept_reason_ kept;
  int rc = -ENOENT;
  shoal_reason_keep_(&kept);
  for (int tries = 0; rc == -ENOENT && tries < 100; tries++) {  // a link to nothing is neither there nor to be made
    rc = shoal_array_file_open(path, type, size, count, out);
    if (rc != -ENOENT) break;
    rc = shoal_array_file_create(path, type, size, count, o, mode, out);
    if (rc == -EEXIST) rc = -ENOENT;  // somebody else made it, who may have removed it again
    else break;
  }
  if (rc == 0) shoal_reason_restore_(&kept);
  return rc;
}

// ---- keep, close ----

static char *base_of(const struct shoal_array *a) { return (char *)a->shm - PAGE; }

int shoal_array_sync(const struct shoal_array *a) {
  if (a->fd_ < 0) return shoal_fail_(-EINVAL, "not a file");
  return msync(base_of(a), a->mapped_, MS_SYNC) ? shoal_fail_(-errno, "msync: %m") : 0;
}

int shoal_array_file_close(struct shoal_array *a) {
  if (a->fd_ < 0 || !a->shm) return shoal_fail_(-EINVAL, "not open, or not a file");
  if (shoal_robust_owns_in_(base_of(a), a->mapped_, NULL)) return shoal_fail_(-EBUSY, "this thread holds its lock");
  munmap(base_of(a), a->mapped_);
  close(a->fd_);
  *a = (struct shoal_array){.fd_ = -1};
  return 0;
}
