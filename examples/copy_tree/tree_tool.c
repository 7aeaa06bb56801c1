// tree_tool make DIR: a tree with one of everything; what the user or the file system may not have is left out.
// tree_tool deep DIR: directories in one another, with paths longer than any system call takes, and cp can copy.
// tree_tool bulk DIR FILES MIB: so many small files in many directories, and a large one.
// tree_tool grow FILE: writes one byte after another, until it is killed.
// tree_tool list DIR: all that there is to know of a tree, but times of access: two copies are the same if this is.
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static void must(int ok, const char *what) {
  if (ok) return;
  perror(what);
  exit(1);
}

static int allowed(int rc, const char *what) {
  if (rc == 0 || errno == EPERM || errno == ENOTSUP || errno == EINVAL) return rc == 0;
  must(0, what);
  return 0;
}

// ---- make ----

static void write_text(int dir, const char *name, size_t size, unsigned seed) {
  static char data[1 << 20];
  for (size_t i = 0; i < sizeof data; i++) data[i] = (char)((seed = seed * 1103515245 + 12345) >> 16);
  int fd = openat(dir, name, O_CREAT | O_EXCL | O_WRONLY, 0644);
  must(fd >= 0, name);
  for (size_t n; size > 0; size -= n) {
    n = size < sizeof data ? size : sizeof data;
    must(write(fd, data, n) == (ssize_t)n, name);
  }
  close(fd);
}

static void write_at(int dir, const char *name, off_t at, const char *text, off_t size) {
  int fd = openat(dir, name, O_CREAT | O_WRONLY, 0644);
  must(fd >= 0 && pwrite(fd, text, strlen(text), at) == (ssize_t)strlen(text) && ftruncate(fd, size) == 0, name);
  close(fd);
}

static int make_dir(int dir, const char *name) {
  must(mkdirat(dir, name, 0755) == 0, name);
  int fd = openat(dir, name, O_RDONLY | O_DIRECTORY);
  must(fd >= 0, name);
  return fd;
}

static void set_time(int dir, const char *name, long seconds, long ns) {
  const struct timespec times[2] = {{seconds, ns}, {seconds, ns}};
  must(utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) == 0, name);
}

static void make_names(int top) {
  static const char *const names[] = {"with space",   "with\nnewline", "-v", "\\back\tslash\177",
                                      "\303\244\377", "...",           "*"};
  char longest[256] = {0};
  int dir = make_dir(top, "na\nmes");
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++) write_text(dir, names[i], 10 + i, i);
  memset(longest, 'n', 255);
  write_text(dir, longest, 255, 255);
  must(symlinkat("with\nnewline", dir, "link\nof it") == 0, "symlink");
  close(dir);
}

static int deep(const char *path) {
  char name[64];
  int dir = make_dir(AT_FDCWD, path);
  for (int i = 0; i < 150; i++) {
    snprintf(name, sizeof name, "a-name-that-is-not-short-at-all-%03d", i);
    int next = make_dir(dir, name);
    if (i % 50 == 49) write_text(next, "file", 1000, 7);
    close(dir);
    dir = next;
  }
  close(dir);
  return 0;
}

static void make_sparse(int top) {
  int dir = make_dir(top, "sparse");
  write_at(dir, "all hole", 0, "", 1 << 20);
  write_at(dir, "middle", 1 << 20, "data", 3 << 20);
  write_at(dir, "end", (2 << 20) - 4, "data", 2 << 20);
  write_at(dir, "large", 12 << 20, "data", 40 << 20);
  write_at(dir, "large", 0, "begin", 40 << 20);
  write_text(dir, "full and large", (16 << 20) + 17, 3);
  close(dir);
}

static void make_links(int top) {
  int one = make_dir(top, "links"), two = make_dir(one, "below");
  write_text(one, "file", 100, 1);
  must(linkat(one, "file", two, "same file", 0) == 0 && linkat(one, "file", one, "again", 0) == 0, "link");
  must(symlinkat("file", one, "symbolic") == 0 && symlinkat("nowhere", one, "dangling") == 0, "symlink");
  must(linkat(one, "symbolic", two, "same symbolic", 0) == 0, "link");
  must(symlinkat("..", two, "to a directory") == 0, "symlink");
  must(mkfifoat(one, "fifo", 0640) == 0 && linkat(one, "fifo", two, "same fifo", 0) == 0, "fifo");
  must(linkat(top, "sparse/full and large", two, "large", 0) == 0, "link");
  set_time(one, "symbolic", 1000000000, 123456789);
  close(two);
  close(one);
}

static void make_specials(int top) {
  int dir = make_dir(top, "specials");
  allowed(mknodat(dir, "socket", S_IFSOCK | 0755, 0), "socket");
  allowed(mknodat(dir, "null", S_IFCHR | 0666, makedev(1, 3)), "device");
  allowed(mknodat(dir, "block", S_IFBLK | 0600, makedev(7, 200)), "device");
  close(dir);
}

// An access control list: the owner all, user 1234 reads, the group and others read; as the kernel has it.
static const uint16_t acl[] = {2, 0,     1,     7,  65535, 65535, 2,     4,  1234, 0,     4,
                               4, 65535, 65535, 16, 4,     65535, 65535, 32, 4,    65535, 65535};

static void make_attributes(int top) {
  int dir = make_dir(top, "attributes");
  char value[3000];
  memset(value, 'v', sizeof value);
  write_text(dir, "extended", 100, 9);
  must(fchdir(dir) == 0, "chdir");
  allowed(setxattr("extended", "user.long", value, sizeof value, 0), "xattr");
  allowed(setxattr("extended", "user.none", "", 0, 0), "xattr");
  allowed(setxattr(".", "user.of directory", "x", 1, 0), "xattr");
  write_text(dir, "listed", 100, 10);
  allowed(setxattr("listed", "system.posix_acl_access", acl, sizeof acl, 0), "acl");
  must(mkdirat(dir, "giving", 0755) == 0, "giving");
  write_text(dir, "giving/before", 10, 11);
  allowed(setxattr("giving", "system.posix_acl_default", acl, sizeof acl, 0), "acl");
  write_text(dir, "giving/after", 10, 12);
  close(dir);
}

static void make_modes(int top) {
  static const mode_t modes[] = {0, 0400, 0111, 0600, 0666, 0777, 04755, 02755, 01644};
  char name[16];
  int dir = make_dir(top, "modes");
  for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++) {
    if (geteuid() != 0 && !(modes[i] & 0400)) continue;  // cp would fail
    snprintf(name, sizeof name, "%04o", modes[i]);
    write_text(dir, name, 20, modes[i]);
    allowed(fchownat(dir, name, 1000 + i, 2000 + i, 0), "owner");
    must(fchmodat(dir, name, modes[i], 0) == 0, name);
    set_time(dir, name, 86400L * 365 * (long)(i * 7) - 1000000, 999999999 - (long)i);
  }
  close(make_dir(dir, "read only"));
  write_text(dir, "read only/file", 20, 1);
  must(fchmodat(dir, "read only", 0555, 0) == 0, "mode");
  close(make_dir(dir, "sticky"));
  must(fchmodat(dir, "sticky", 01777, 0) == 0, "mode");
  set_time(dir, "sticky", 1234567890, 1);
  set_time(dir, "read only", 1234567890, 2);
  close(dir);
}

static int make(const char *path) {
  int top = make_dir(AT_FDCWD, path);
  write_text(top, "empty", 0, 0);
  close(make_dir(top, "empty directory"));
  make_names(top);
  make_sparse(top);
  make_links(top);
  make_specials(top);
  make_attributes(top);
  make_modes(top);
  set_time(top, ".", 987654321, 123456789);
  close(top);
  return 0;
}

// 1..8 KiB.
static void write_small(int dir, unsigned number) {
  static char data[8192];
  char name[32];
  snprintf(name, sizeof name, "%u", number);
  memset(data, 'a' + (int)(number % 26), sizeof data);
  size_t size = 1024 + number * 2654435761u % 7169;
  int fd = openat(dir, name, O_CREAT | O_EXCL | O_WRONLY, 0644);
  must(fd >= 0 && write(fd, data, size) == (ssize_t)size, name);
  close(fd);
}

static int bulk(const char *path, unsigned files, size_t mib) {
  char name[32];
  int top = make_dir(AT_FDCWD, path), dir = -1;
  for (unsigned i = 0; i < files; i++) {
    if (i % 100 == 0) {
      if (dir >= 0) close(dir);
      snprintf(name, sizeof name, "d%u", i / 100);
      dir = make_dir(top, name);
    }
    write_small(dir, i);
  }
  if (dir >= 0) close(dir);
  if (mib) write_text(top, "large", mib << 20, 5);
  close(top);
  return 0;
}

// ---- list ----

static void put_name(const char *name) {
  for (; *name; name++)
    if ((unsigned char)*name > ' ' && *name != 127 && *name != '\\') putchar(*name);
    else printf("\\%03o", (unsigned char)*name);
}

static int by_name(const FTSENT **a, const FTSENT **b) { return strcmp((*a)->fts_name, (*b)->fts_name); }

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void list_xattrs(const char *path) {
  static char names[4096], value[65536];
  char *sorted[64] = {0};
  size_t count = 0;
  ssize_t n = llistxattr(path, names, sizeof names);
  for (char *name = names; name < names + n && count < 64; name += strlen(name) + 1) sorted[count++] = name;
  qsort(sorted, count, sizeof *sorted, by_text);
  for (size_t i = 0; i < count; i++) {
    ssize_t size = lgetxattr(path, sorted[i], value, sizeof value);
    printf(" %s=", sorted[i]);
    for (ssize_t k = 0; k < size; k++) printf("%02x", (unsigned char)value[k]);
  }
}

static uint64_t hash_of(int fd) {
  static uint64_t data[1 << 13];
  uint64_t h = 14695981039346656037u;
  for (ssize_t n; memset(data, 0, sizeof data), (n = read(fd, data, sizeof data)) > 0;)
    for (ssize_t i = 0; i < (n + 7) / 8; i++) h = (h ^ data[i]) * 1099511628211u, h ^= h >> 32;
  return h;
}

static void list_contents(const char *path, off_t size) {
  int fd = open(path, O_RDONLY);
  if (fd < 0) return (void)printf(" unreadable");
  printf(" %016llx", (unsigned long long)hash_of(fd));
  for (off_t at = 0, hole; at < size && (at = lseek(fd, at, SEEK_DATA)) >= 0; at = hole) {
    hole = lseek(fd, at, SEEK_HOLE);
    printf(" %lld-%lld", (long long)at, (long long)hole);
  }
  close(fd);
}

// Of files with several names: the number of the line of the first.
static long first_line(const struct stat *st, long line) {
  static struct {
    ino_t inode;
    long line;
  } seen[256];
  static unsigned count;
  for (unsigned i = 0; i < count; i++)
    if (seen[i].inode == st->st_ino) return seen[i].line;
  must(count < 256, "too many links");
  seen[count].inode = st->st_ino;
  return seen[count++].line = line;
}

static void list_one(const char *path, const struct stat *st, long line) {
  char target[4096];
  printf(" %06o %u:%u %lld.%09ld", st->st_mode, st->st_uid, st->st_gid, (long long)st->st_mtim.tv_sec,
         st->st_mtim.tv_nsec);
  if (!S_ISDIR(st->st_mode)) printf(" %lld %llx", (long long)st->st_size, (unsigned long long)st->st_rdev);
  if (!S_ISDIR(st->st_mode) && st->st_nlink > 1)
    printf(" %u names, as %ld", (unsigned)st->st_nlink, first_line(st, line));
  ssize_t n = S_ISLNK(st->st_mode) ? readlink(path, target, sizeof target - 1) : 0;
  target[n > 0 ? n : 0] = '\0';
  printf(" ");
  put_name(target);
  list_xattrs(path);
  if (S_ISREG(st->st_mode)) list_contents(path, st->st_size);
  putchar('\n');
}

static int list(char *path) {
  char dot[] = ".", *const here[] = {dot, NULL};
  long line = 0;
  must(chdir(path) == 0, path);
  FTS *fts = fts_open(here, FTS_PHYSICAL, by_name);
  must(fts != NULL, path);
  for (FTSENT *e; (e = fts_read(fts));) {
    if (e->fts_info == FTS_DP) continue;
    must(e->fts_info != FTS_ERR && e->fts_info != FTS_DNR && e->fts_info != FTS_NS, e->fts_path);
    put_name(e->fts_path);
    list_one(e->fts_accpath, e->fts_statp, ++line);
  }
  fts_close(fts);
  return 0;
}

static void __attribute__((noreturn)) grow(const char *path) {
  int fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0644);
  must(fd >= 0, path);
  for (;;) must(write(fd, "x", 1) == 1, path);
}

int main(int argc, char **argv) {
  umask(022);
  if (argc == 3 && strcmp(argv[1], "make") == 0) return make(argv[2]);
  if (argc == 3 && strcmp(argv[1], "deep") == 0) return deep(argv[2]);
  if (argc == 5 && strcmp(argv[1], "bulk") == 0) return bulk(argv[2], (unsigned)atoi(argv[3]), (size_t)atoi(argv[4]));
  if (argc == 3 && strcmp(argv[1], "grow") == 0) grow(argv[2]);
  if (argc == 3 && strcmp(argv[1], "list") == 0) return list(argv[2]);
  fprintf(stderr, "tree_tool make DIR | deep DIR | bulk DIR FILES MIB | grow FILE | list DIR\n");
  return 2;
}
