#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/directory_internal.h"
#include "core/error.h"
#include "core/reach.h"

#ifndef __GLIBC__  // musl 1.2.3 has neither
#include <linux/stat.h>
#define MADV_POPULATE_WRITE 23
#endif

#define PREFIX "shoal."

const char *shoal_shm_directory_ = "/dev/shm";

static uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }

static uint32_t power_of_two(uint64_t n) {
  uint32_t p = 1;
  while (p < n) p *= 2;
  return p;
}

// ---- geometry and header ----

static void geometry(const struct shoal_segment_shm *h, struct shoal_geometry_ *g) {
  g->participants = h->participants;
  g->objects = h->objects;
  g->size_max = h->size_max;
  g->entries = power_of_two(h->objects + h->objects / 2 + 1);
  g->lines = power_of_two((2 * (uint64_t)h->objects + 16 * (uint64_t)h->participants) / SHOAL_LINE_RECORDS_ + 1);
  g->participants_off = SHOAL_PAGE_;
  g->entries_off = g->participants_off + round_up(g->participants * sizeof(struct shoal_proc_shm), SHOAL_PAGE_);
  g->lines_off = g->entries_off + round_up(g->entries * sizeof(struct shoal_entry_shm), SHOAL_PAGE_);
  g->owners_off = g->lines_off + round_up(g->lines * sizeof(struct shoal_reference_line_shm), SHOAL_PAGE_);
  g->units_off = round_up(g->owners_off + g->size_max / SHOAL_UNIT_ * sizeof(shoal_atomic32), SHOAL_HUGE_PAGE_);
  g->length = g->units_off + g->size_max;
}

static uint64_t check_of(const struct shoal_segment_shm *h) {  // FNV-1a
  const unsigned char *bytes = (const unsigned char *)h;
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < offsetof(struct shoal_segment_shm, check); i++)
    hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
  return hash;
}

static int header_make(const char *name, const struct shoal_segment_options *o, struct shoal_segment_shm *h) {
  static const struct shoal_segment_options defaults;
  if (!o) o = &defaults;
  uint64_t size = o->size ? o->size : UINT64_C(16) << 20;
  uint64_t size_max = o->size_max ? o->size_max : UINT64_C(64) << 30;
  if (!o->size && size > size_max) size = size_max;
  if (!o->size_max && size_max < size) size_max = size;
  if (size > size_max || size_max > SHOAL_SIZE_MAX_)
    return shoal_fail_(-EINVAL, "size %llu, size_max %llu", (unsigned long long)size, (unsigned long long)size_max);
  if (o->participants > SHOAL_PARTICIPANTS_MAX_) return shoal_fail_(-EINVAL, "%u participants", o->participants);
  if (o->objects > SHOAL_OBJECTS_MAX_) return shoal_fail_(-EINVAL, "%u objects", o->objects);
  *h = (struct shoal_segment_shm){
      .magic = SHOAL_MAGIC_,
      .format = SHOAL_FORMAT_,
      .participants = o->participants ? o->participants : 1024,
      .layout = SHOAL_LAYOUT_,
      .size_max = round_up(size_max, SHOAL_PAGE_),
      .objects = o->objects ? o->objects : 4096,
      .size = {round_up(size, SHOAL_PAGE_)},
  };
  if (name) memcpy(h->name, name, strlen(name));
  int rc = shoal_place_(&h->place);
  h->check = check_of(h);
  return rc;
}

// Judges a private copy; what is in the segment may change at any time.
static int header_check(const struct shoal_segment_shm *h, uint64_t file_size) {
  struct shoal_place_ here;
  struct shoal_geometry_ g;
  if (h->magic != SHOAL_MAGIC_) return shoal_fail_(-EPROTO, "not a shoal segment");
  if (h->format != SHOAL_FORMAT_)
    return shoal_fail_(-EPROTO, "format %u, this library has %u", h->format, SHOAL_FORMAT_);
  if (h->layout != SHOAL_LAYOUT_) return shoal_fail_(-EPROTO, "the shared structures have another layout");
  if (h->check != check_of(h)) return shoal_fail_(-EPROTO, "the header is damaged");
  int rc = shoal_place_(&here);
  if (rc) return rc;
  if (memcmp(h->place.boot, here.boot, sizeof here.boot) != 0) return shoal_fail_(-EPROTO, "made before the last boot");
  if (h->place.pid_namespace != here.pid_namespace) return shoal_fail_(-EPROTO, "of another pid namespace");
  if (h->place.time_namespace != here.time_namespace) return shoal_fail_(-EPROTO, "of another time namespace");
  if (h->participants == 0 || h->participants > SHOAL_PARTICIPANTS_MAX_)
    return shoal_fail_(-EPROTO, "%u participants", h->participants);
  if (h->objects == 0 || h->objects > SHOAL_OBJECTS_MAX_) return shoal_fail_(-EPROTO, "%u objects", h->objects);
  if (h->size_max == 0 || h->size_max > SHOAL_SIZE_MAX_ || h->size_max % SHOAL_PAGE_)
    return shoal_fail_(-EPROTO, "size_max %llu", (unsigned long long)h->size_max);
  if (memchr(h->name, 0, sizeof h->name) == NULL) return shoal_fail_(-EPROTO, "its name has no end");
  geometry(h, &g);
  uint64_t size = h->size.v_;
  if (size == 0 || size > g.size_max || size % SHOAL_PAGE_)
    return shoal_fail_(-EPROTO, "size %llu of %llu", (unsigned long long)size, (unsigned long long)g.size_max);
  if (file_size < g.units_off + size)
    return shoal_fail_(-EPROTO, "the file is truncated: %llu of %llu bytes", (unsigned long long)file_size,
                       (unsigned long long)(g.units_off + size));
  return 0;
}

// The header first: a file only grows, so it is at least as long as the header says, whatever others do meanwhile.
static int header_read(int fd, struct shoal_segment_shm *h) {
  struct stat st;
  ssize_t n = pread(fd, h, sizeof *h, 0);
  int error = errno;
  if (fstat(fd, &st)) return shoal_fail_(-errno, "fstat: %m");
  if (!S_ISREG(st.st_mode)) return shoal_fail_(-EPROTO, "not a regular file");
  if (n < 0) return shoal_fail_(-error, "pread: %s", strerror(error));
  if ((size_t)n < sizeof *h) return shoal_fail_(-EPROTO, "not a shoal segment: %zd bytes", n);
  return header_check(h, (uint64_t)st.st_size);
}

// ---- files ----

static int check_name(const char *name) {
  if (!name) return shoal_fail_(-EINVAL, "a segment without a name is not found by one");
  size_t n = strnlen(name, SHOAL_NAME_MAX + 1);
  if (n > SHOAL_NAME_MAX) return shoal_fail_(-ENAMETOOLONG, "more than %d bytes", SHOAL_NAME_MAX);
  if (n == 0 || name[0] == '.') return shoal_fail_(-EINVAL, "a segment's name is not \"%s\"", name);
  for (const char *c = name; *c; c++)
    if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || strchr("._-", *c)))
      return shoal_fail_(-EINVAL, "a segment's name has no '%c'", *c);
  return 0;
}

struct path_ {
  char text[256];
};
static int path_of(const char *name, struct path_ *path) {
  int rc = check_name(name);
  if (rc) return rc;
  int n = snprintf(path->text, sizeof path->text, "%s/" PREFIX "%s", shoal_shm_directory_, name);
  return (size_t)n < sizeof path->text ? 0 : shoal_fail_(-ENAMETOOLONG, "%s", shoal_shm_directory_);
}

// Whoever has the segment open holds the shared lock, through its own open file description; the exclusive one proves
// that nobody has. The kernel gives both back when their holder dies.
static int file_lock(int fd, short type, int wait) {
  struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_len = 1};
  while (fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock))
    if (errno != EINTR) return shoal_fail_(-errno, "file lock: %m");
  return 0;
}
// The exclusive lock, if nobody has the file open. If somebody has, that is no failure of who collects: no reason.
static int lock_alone(int fd) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
  return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

void shoal_longer_begin_(struct shoal_longer_ *l) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &l->mask);
  sigpending(&before);
  l->pending = sigismember(&before, SIGXFSZ);
}

int shoal_longer_end_(const struct shoal_longer_ *l, int rc) {
  sigset_t limit;
  sigemptyset(&limit);
  sigaddset(&limit, SIGXFSZ);
  if (rc == -EFBIG && !l->pending) sigtimedwait(&limit, NULL, &(struct timespec){0, 0});
  pthread_sigmask(SIG_SETMASK, &l->mask, NULL);
  return rc == -EFBIG ? -ENOSPC : rc;
}

#define PIECE (UINT64_C(16) << 20)  // is allocated at a time: signals wait meanwhile

static int fallocate_range(int fd, uint64_t from, uint64_t to, uint64_t piece) {
  for (uint64_t at = from, n; at < to; at += n) {
    struct shoal_longer_ longer;
    int rc, error;
    n = to - at < piece ? to - at : piece;
    shoal_longer_begin_(&longer);
    do rc = error = fallocate(fd, 0, (off_t)at, (off_t)n) ? -errno : 0;
    while (rc == -EINTR);
    rc = shoal_longer_end_(&longer, rc);
    if (rc)
      return shoal_fail_(rc, "no %llu bytes of shared memory: %s", (unsigned long long)(to - from), strerror(-error));
  }
  return 0;
}

// The memory of units from..to (bytes of them) and of their owner words; with from 0, of the tables as well. All that
// may be touched without SIGBUS. Doing it again changes nothing. From 0 the file is this thread's alone, and goes if
// there is no room. Else it is allocated at once: of pieces, what there was room for would stay, since another who
// grows it may count on that.
static int allocate(int fd, const struct shoal_geometry_ *g, uint64_t from, uint64_t to) {
  uint64_t words_from = from ? g->owners_off + from / SHOAL_UNIT_ * sizeof(shoal_atomic32) : 0;
  uint64_t words_to = g->owners_off + to / SHOAL_UNIT_ * sizeof(shoal_atomic32), piece = from ? UINT64_MAX : PIECE;
  int rc = fallocate_range(fd, words_from, words_to, piece);
  return rc ? rc : fallocate_range(fd, g->units_off + from, g->units_off + to, piece);
}

// A file without a name: if its maker is killed, it never was.
static int file_make(const char *name, const struct shoal_segment_options *o, int *out) {
  mode_t mode = o && o->mode ? o->mode : 0600;
  int fd = name ? open(shoal_shm_directory_, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)
                : memfd_create("shoal", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return shoal_fail_(-errno, "%s: %m", name ? shoal_shm_directory_ : "memfd_create");
  int rc = fchmod(fd, mode) ? shoal_fail_(-errno, "fchmod %o: %m", (unsigned)mode) : file_lock(fd, F_RDLCK, 0);
  if (rc) close(fd);
  else *out = fd;
  return rc;
}

static int file_publish(int fd, const char *path) {
  char self[32];
  snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
  if (linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0) return 0;
  return errno == EEXIST ? shoal_fail_(-EEXIST, "%s", path) : shoal_fail_(-errno, "linkat %s: %m", path);
}

// To look only: it locks nothing, so nobody is kept from anything.
static int file_open_to_look(int dir, const char *file, int *out) {
  int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return shoal_fail_(errno == ELOOP ? -EPROTO : errno == EPERM ? -EACCES : -errno, "%s: %m", file);
  *out = fd;
  return 0;
}

// Opens a name and locks it against collection.
static int file_open(const char *path, int *out) {
  for (;;) {
    struct stat st;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) return shoal_fail_(-ENOENT, "%s", path);
    if (fd < 0) return shoal_fail_(errno == ELOOP ? -EPROTO : errno == EPERM ? -EACCES : -errno, "%s: %m", path);
    int rc = file_lock(fd, F_RDLCK, 1);
    if (rc == 0 && fstat(fd, &st)) rc = shoal_fail_(-errno, "fstat: %m");
    if (rc == 0 && st.st_nlink > 0) {
      *out = fd;
      return 0;
    }
    close(fd);  // removed between open and lock: whoever has the name now, or nobody
    if (rc) return rc;
  }
}

// ---- mapping ----

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
// Whole huge pages as far as `to`, small ones gathered: to ask alone is in vain where the kernel gives files none by
// itself.
static void gather(struct shoal_segment *seg, uint64_t from, uint64_t to) {
  from = from / SHOAL_HUGE_PAGE_ * SHOAL_HUGE_PAGE_;
  to = to / SHOAL_HUGE_PAGE_ * SHOAL_HUGE_PAGE_;
  if (from < to && madvise(seg->base + from, to - from, MADV_COLLAPSE))
    madvise(seg->base + from, to - from, MADV_HUGEPAGE);
}

// Address space for the whole segment. `huge`: where huge pages can be mapped.
static int reserve(struct shoal_segment *seg, int huge) {
  uint64_t length = seg->g.length, spare = huge ? SHOAL_HUGE_PAGE_ : 0;
  int kind = (seg->looks ? MAP_PRIVATE : MAP_SHARED) | MAP_NORESERVE;
  char *base = mmap(NULL, length + spare, huge ? PROT_NONE : PROT_READ | PROT_WRITE, kind, seg->fd, 0);
  if (base != MAP_FAILED && huge) {
    char *at = base + (-(uintptr_t)base & (SHOAL_HUGE_PAGE_ - 1)), *end = base + length + spare;
    char *stop = at + round_up(length, (uint64_t)sysconf(_SC_PAGESIZE));
    if (at > base) munmap(base, (size_t)(at - base));
    if (end > stop) munmap(stop, (size_t)(end - stop));
    base = mmap(at, length, PROT_READ | PROT_WRITE, kind | MAP_FIXED, seg->fd, 0);
    if (base == MAP_FAILED) munmap(at, length);
  }
  if (base == MAP_FAILED) return shoal_fail_(-ENOMEM, "no %llu bytes of address space: %m", (unsigned long long)length);
  seg->base = base;
  return 0;
}

// What the options ask for, on memory that has just come within reach.
static int cover(struct shoal_segment *seg, uint64_t from, uint64_t to) {
  uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  from = from / page * page;
  char *at = seg->base + from;
  size_t n = round_up(to, page) - from;
  madvise(at, n, MADV_DODUMP);
  if (seg->flags & SHOAL_SEGMENT_HUGE) gather(seg, from, to);
  if ((seg->flags & SHOAL_SEGMENT_LOCKED) && mlock(at, n)) return shoal_fail_(-ENOMEM, "mlock: %m");
  if ((seg->flags & SHOAL_SEGMENT_PREFAULT) && madvise(at, n, MADV_POPULATE_WRITE))
    for (size_t i = 0; i < n; i += page) (void)*(volatile char *)(at + i);
  return 0;
}

static int cover_units(struct shoal_segment *seg, uint64_t from, uint64_t to) {
  const struct shoal_geometry_ *g = &seg->g;
  uint64_t words = from ? g->owners_off + from / SHOAL_UNIT_ * sizeof(shoal_atomic32) : 0;
  int rc = cover(seg, words, g->owners_off + to / SHOAL_UNIT_ * sizeof(shoal_atomic32));
  return rc ? rc : cover(seg, g->units_off + from, g->units_off + to);
}

static void detach(struct shoal_segment *seg) {
  if (seg->base) shoal_reach_forget_all_(seg->base, seg->g.length), munmap(seg->base, seg->g.length);
  free(seg->seats);
  free(seg->held);
  free(seg);
}

// `h`: a checked private copy. On success the segment owns fd.
static int attach(int fd, const struct shoal_segment_shm *h, unsigned flags, int looks, struct shoal_segment **out) {
  static shoal_atomic64 serials;
  struct shoal_segment *seg = calloc(1, sizeof *seg);
  if (!seg) return shoal_fail_(-ENOMEM, "private memory");
  struct shoal_geometry_ *g = &seg->g;
  geometry(h, g);
  seg->held_mask = power_of_two((uint64_t)g->lines * SHOAL_LINE_RECORDS_) - 1;
  seg->held = calloc((size_t)seg->held_mask + 1, sizeof *seg->held);
  seg->seats = calloc(g->participants, sizeof *seg->seats);  // NOLINT(clang-analyzer-optin.portability.UnixAPI): not 0
  seg->serial = shoal_add64_relaxed(&serials, 1) + 1;
  seg->flags = flags;
  seg->looks = looks;
  seg->fd = fd;
  seg->held_epoch.v_ = shoal_self_()->epoch;
  memcpy(seg->name, h->name, sizeof seg->name);
  int rc = seg->held && seg->seats ? 0 : shoal_fail_(-ENOMEM, "private memory");
  if (rc == 0) rc = reserve(seg, (flags & SHOAL_SEGMENT_HUGE) != 0);
  if (rc == 0) {
    madvise(seg->base, g->length, MADV_DONTDUMP);
    seg->size.v_ = h->size.v_;
    rc = cover_units(seg, 0, seg->size.v_);
  }
  if (rc) {
    detach(seg);
    return rc;
  }
  seg->header = (struct shoal_segment_shm *)seg->base;
  seg->procs = (struct shoal_proc_shm *)(seg->base + g->participants_off);
  seg->entries = (struct shoal_entry_shm *)(seg->base + g->entries_off);
  seg->lines = (struct shoal_reference_line_shm *)(seg->base + g->lines_off);
  seg->owners = (shoal_atomic32 *)(seg->base + g->owners_off);
  seg->units = seg->base + g->units_off;
  *out = seg;
  return 0;
}

// ---- create, open, close ----

int shoal_segment_create(const char *name, const struct shoal_segment_options *o, struct shoal_segment **out) {
  struct shoal_segment_shm h;
  struct shoal_geometry_ g;
  struct path_ path;
  int fd = -1;
  unsigned flags = o ? o->flags : 0;
  int rc = shoal_robust_check();
  if (rc == 0 && name) rc = path_of(name, &path);
  if (rc == 0 && name && access(path.text, F_OK) == 0) rc = shoal_fail_(-EEXIST, "%s", path.text);
  if (rc == 0 && name && (flags & SHOAL_SEGMENT_HARDENED)) rc = shoal_fail_(-EINVAL, "only an anonymous segment seals");
  if (rc == 0) rc = header_make(name, o, &h);
  if (rc == 0) rc = file_make(name, o, &fd);
  if (rc) return rc;
  struct shoal_segment *seg = NULL;
  geometry(&h, &g);
  rc = allocate(fd, &g, 0, h.size.v_);
  if (rc == 0 && pwrite(fd, &h, sizeof h, 0) != (ssize_t)sizeof h) rc = shoal_fail_(-errno, "pwrite: %m");
  if (rc == 0 && (flags & SHOAL_SEGMENT_HARDENED) && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL))
    rc = shoal_fail_(-errno, "F_ADD_SEALS: %m");
  if (rc == 0) rc = attach(fd, &h, flags, 0, &seg);
  if (rc == 0 && name) rc = file_publish(fd, path.text);
  if (rc) {
    if (seg) detach(seg);
    close(fd);
    return rc;
  }
  *out = seg;
  return 0;
}

static int open_locked(int fd, unsigned flags, struct shoal_segment **out) {
  struct shoal_segment_shm h = {.magic = 0};
  int rc = header_read(fd, &h);
  if (rc == 0) rc = attach(fd, &h, flags, 0, out);
  if (rc) close(fd);
  return rc;
}

int shoal_segment_open(const char *name, const struct shoal_segment_options *o, struct shoal_segment **out) {
  struct path_ path;
  int fd;
  int rc = shoal_robust_check();
  if (rc == 0) rc = path_of(name, &path);
  if (rc == 0) rc = file_open(path.text, &fd);
  return rc ? rc : open_locked(fd, o ? o->flags : 0, out);
}

int shoal_segment_open_or_create(const char *name, const struct shoal_segment_options *o, struct shoal_segment **out) {
  struct shoal_kept_reason_ kept;
  int rc;
  if (!name) return shoal_segment_create(NULL, o, out);
  shoal_reason_keep_(&kept);
  do {
    rc = shoal_segment_open(name, o, out);
    if (rc == -ENOENT) rc = shoal_segment_create(name, o, out);
  } while (rc == -EEXIST);
  if (rc == 0) shoal_reason_restore_(&kept);
  return rc;
}

int shoal_segment_open_fd(int fd, struct shoal_segment **out) {
  char self[32];
  int rc = shoal_robust_check();
  if (rc) return rc;
  snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
  int own = open(self, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (own < 0) return shoal_fail_(-errno, "%s: %m", self);
  rc = file_lock(own, F_RDLCK, 1);
  if (rc) {
    close(own);
    return rc;
  }
  return open_locked(own, 0, out);
}

int shoal_segment_look(const char *name, struct shoal_segment **out) {
  struct shoal_segment_shm h = {.magic = 0};
  struct path_ path;
  int fd = -1;
  int rc = shoal_robust_check();
  if (rc == 0) rc = path_of(name, &path);
  if (rc == 0) rc = file_open_to_look(AT_FDCWD, path.text, &fd);
  if (rc == 0) rc = header_read(fd, &h);
  if (rc == 0) rc = attach(fd, &h, 0, 1, out);
  if (rc && fd >= 0) close(fd);
  return rc;
}

int shoal_segment_fd(const struct shoal_segment *seg) { return seg->fd; }

int shoal_segment_close(struct shoal_segment *seg) {
  if (shoal_proc_others_(seg)) return shoal_fail_(-EBUSY, "another thread of this process uses it");
  if (shoal_robust_owns_in_(seg->base, seg->g.length, shoal_proc_live_(seg)))
    return shoal_fail_(-EBUSY, "this thread owns a lock in it, or a role: release, detach its queues");
  if (!seg->looks) shoal_held_drop_all_(seg);  // or it might wait for the writer word, which nobody gives back in here
  int rc = shoal_proc_leave(seg);
  if (rc) return rc;
  close(seg->fd);
  detach(seg);
  return 0;
}

// ---- names ----

int shoal_segment_unlink(const char *name) {
  struct path_ path;
  int fd = -1;
  int rc = path_of(name, &path);
  // The shared lock keeps the name with this file while a collector looks at it. Whether we may remove what we
  // cannot open is for the kernel to say.
  if (rc == 0 && (rc = file_open(path.text, &fd)) != -ENOENT)
    rc = unlink(path.text) == 0 ? 0 : shoal_fail_(errno == EPERM ? -EACCES : -errno, "%s: %m", path.text);
  if (fd >= 0) close(fd);
  return rc;
}

// Whether the file begins as a segment of any version does.
static int is_ours(int fd, struct stat *st) {
  uint64_t magic = 0;
  return fstat(fd, st) == 0 && S_ISREG(st->st_mode) && pread(fd, &magic, sizeof magic, 0) == (ssize_t)sizeof magic &&
         magic == SHOAL_MAGIC_;
}

// 0: it was a segment without users, and is gone; -EBUSY, -EPROTO, -EACCES .. While we hold the exclusive lock nobody
// else removes the name, so it cannot come to stand for another file between the look and the unlink.
static int collect(int dir, const char *file) {
  struct stat mine, named;
  int fd = openat(dir, file, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY), rc = 0;
  if (fd < 0) return errno == EPERM ? -EACCES : errno == ELOOP || errno == ENXIO ? -EPROTO : -errno;
  if (!is_ours(fd, &mine)) rc = -EPROTO;
  else if (!lock_alone(fd)) rc = -EBUSY;
  else if (fstatat(dir, file, &named, AT_SYMLINK_NOFOLLOW)) rc = -errno;
  else if (named.st_ino != mine.st_ino || named.st_dev != mine.st_dev) rc = -ENOENT;
  else if (unlinkat(dir, file, 0)) rc = errno == EPERM ? -EACCES : -errno;
  close(fd);
  return rc;
}

int shoal_segment_collect(const char *name) {
  struct path_ path;
  int rc = path_of(name, &path);
  if (rc) return rc;
  rc = collect(AT_FDCWD, path.text);
  return rc ? shoal_fail_(rc, "%s: %s", path.text, rc == -EBUSY ? "somebody has it open" : shoal_strerror(rc)) : 0;
}

int shoal_segment_gc(void) {
  DIR *dir = opendir(shoal_shm_directory_);
  if (!dir) return shoal_fail_(-errno, "%s: %m", shoal_shm_directory_);
  int removed = 0;
  for (struct dirent *e; (e = readdir(dir));)
    if (strncmp(e->d_name, PREFIX, sizeof PREFIX - 1) == 0) removed += collect(dirfd(dir), e->d_name) == 0;
  closedir(dir);
  return removed;
}

static int is_locked(int fd) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
  return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static int64_t born_of(int dir, const char *file, const struct stat *st) {
  struct statx sx;
  if (syscall(SYS_statx, dir, file, AT_SYMLINK_NOFOLLOW, STATX_BTIME, &sx) || !(sx.stx_mask & STATX_BTIME))
    return (int64_t)st->st_mtim.tv_sec;
  return (int64_t)sx.stx_btime.tv_sec;
}

// Judges by a descriptor that can neither write nor lock.
static void look_at(int dir, const char *file, struct shoal_segment_file *f) {
  struct shoal_segment_shm h;
  struct stat st;
  int fd = -1;
  f->error = file_open_to_look(dir, file, &fd);
  f->in_use = -1;
  if (f->error) return;
  f->ours = is_ours(fd, &st);
  f->in_use = is_locked(fd);
  f->error = header_read(fd, &h);
  if (f->error == 0) f->error = check_name(f->name);
  close(fd);
}

// 0: it has gone meanwhile. What is no regular file is not opened: to open a device may do something.
static int describe_file(int dir, const char *file, struct shoal_segment_file *f) {
  struct stat st;
  if (fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW)) return 0;
  *f = (struct shoal_segment_file){.uid = st.st_uid,
                                   .gid = st.st_gid,
                                   .mode = st.st_mode,
                                   .length = (uint64_t)st.st_size,
                                   .allocated = (uint64_t)st.st_blocks * 512,
                                   .born = born_of(dir, file, &st)};
  snprintf(f->name, sizeof f->name, "%s", file + sizeof PREFIX - 1);
  shoal_reason_clear();
  if (S_ISREG(st.st_mode)) look_at(dir, file, f);
  else f->error = shoal_fail_(-EPROTO, "not a regular file");
  snprintf(f->reason, sizeof f->reason, "%s", f->error ? shoal_reason() : "");
  return f->error != -ENOENT;
}

int shoal_segment_list(int (*each)(const struct shoal_segment_file *, void *), void *arg) {
  DIR *dir = opendir(shoal_shm_directory_);
  if (!dir) return shoal_fail_(-errno, "%s: %m", shoal_shm_directory_);
  int rc = 0;
  for (struct dirent *e; rc == 0 && (e = readdir(dir));) {
    struct shoal_segment_file f;
    if (strncmp(e->d_name, PREFIX, sizeof PREFIX - 1) == 0 && describe_file(dirfd(dir), e->d_name, &f))
      rc = each(&f, arg);
  }
  closedir(dir);
  return rc;
}

// ---- size ----

static void raise_to(shoal_atomic64 *size, uint64_t to) {
  uint64_t old = shoal_load64_relaxed(size);
  // [S1] pairs with [S2]: the memory is allocated before a size says so, or its first user is killed by SIGBUS
  while (old < to && !shoal_cas64_release(size, &old, to)) continue;
}

// The shared size is believed only as far as the file reaches.
uint64_t shoal_segment_size_(struct shoal_segment *seg) {
  uint64_t mine = shoal_load64_relaxed(&seg->size);
  uint64_t now = shoal_load64_acquire(&seg->header->size);  // [S2] pairs with [S1]
  struct stat st;
  if (SHOAL_LIKELY(now <= mine)) return mine;
  if (now > seg->g.size_max || now % SHOAL_PAGE_ || fstat(seg->fd, &st) ||
      (uint64_t)st.st_size < seg->g.units_off + now)
    return mine;
  cover_units(seg, mine, now);
  raise_to(&seg->size, now);
  return now;
}

// Killed after allocate: memory that nobody knows of, which the next to grow finds there.
int shoal_segment_grow(struct shoal_segment *seg, uint64_t size) {
  uint64_t old = shoal_segment_size_(seg);
  if (size > seg->g.size_max)
    return shoal_fail_(-ENOSPC, "%llu bytes: size_max is %llu", (unsigned long long)size,
                       (unsigned long long)seg->g.size_max);
  size = round_up(size, SHOAL_PAGE_);
  if (size <= old) return 0;
  if (seg->looks) return shoal_fail_(-EPERM, "a segment that is only looked at does not grow");
  int rc = allocate(seg->fd, &seg->g, old, size);
  if (rc) return rc;
  raise_to(&seg->header->size, size);
  return shoal_segment_size_(seg) >= size ? 0 : shoal_fail_(-EPROTO, "the size in its header is damaged");
}

// ---- addresses ----

void *shoal_segment_at(struct shoal_segment *seg, shoal_off off, uint64_t size) {
  uint64_t at = off - seg->g.units_off, end = shoal_load64_relaxed(&seg->size);
  if (off < seg->g.units_off || at > seg->g.size_max || size > seg->g.size_max - at) return NULL;
  if (at + size > end && at + size > shoal_segment_size_(seg)) return NULL;
  return seg->base + off;
}

shoal_off shoal_segment_off(struct shoal_segment *seg, const void *address) {
  uintptr_t off = (uintptr_t)address - (uintptr_t)seg->base;
  return off >= seg->g.units_off && off < seg->g.units_off + shoal_segment_size_(seg) ? off : 0;
}

// ---- who is there ----

int shoal_segment_info(struct shoal_segment *seg, struct shoal_segment_info *out) {
  struct shoal_segment_info info = {.size = shoal_segment_size_(seg),
                                    .size_max = seg->g.size_max,
                                    .participants_max = seg->g.participants,
                                    .objects_max = seg->g.objects};
  memcpy(info.name, seg->name, sizeof info.name);
  for (uint32_t i = 0; i < seg->g.participants; i++)
    info.participants += shoal_robust_owner(shoal_load32_relaxed(&seg->procs[i].live.word)) != 0;
  for (uint32_t at = 0; at < seg->g.entries; at++) {
    uint64_t w = shoal_load64_acquire(&seg->entries[at].state);  // [D2] pairs with [D1]
    if (SHOAL_ENTRY_STATE_(w) < SHOAL_ENTRY_CREATING_) continue;
    info.objects++;
    info.used += shoal_units_(shoal_load64_relaxed(&seg->entries[at].size)) * SHOAL_UNIT_;
  }
  shoal_proc_counted_(seg, &info.counters);
  *out = info;
  return 0;
}
