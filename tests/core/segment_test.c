// What core/segment.h claims:
// - a segment has one content at every address it is mapped at; growth is seen by all, nobody maps anew
// - nobody sees a half-made segment, however its maker is killed, and a killed maker leaves nothing behind
// - a foreign, damaged, truncated or otherwise different file is refused, with the reason, and nothing crashes
// - a full /dev/shm is -ENOSPC, changes nothing, and is never a SIGBUS
// - gc removes what nobody has open, and nothing that anybody has, whatever opens at the same time
// - close refuses while another thread of the process, or an owned word, needs the mapping
#include <dirent.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "core/deadline.h"
#include "tests/core/support.h"

static const struct shoal_segment_options small = {
    .size = 64 << 10, .size_max = 16 << 20, .participants = 8, .objects = 16};

static void path_of_name(const char *name, char *path, size_t n) {
  snprintf(path, n, "%s/shoal.%s", shoal_shm_directory_, name);
}

// ---- life ----

static void test_two_mappings_one_content(void **state) {
  (void)state;
  const char *name = test_name("two");
  struct shoal_segment *a, *b;
  assert_ok(shoal_segment_create(name, &small, &a));
  assert_ok(shoal_segment_open(name, NULL, &b));
  assert_ptr_not_equal(a->base, b->base);
  shoal_off off = shoal_segment_off(a, a->units + 12345);
  strcpy(shoal_segment_at(a, off, 6), "hello");
  assert_string_equal(shoal_segment_at(b, off, 6), "hello");
  assert_string_equal(info_of(b).name, name);
  assert_int_equal(shoal_segment_off(a, NULL), 0);
  assert_int_equal(shoal_segment_off(a, a->header), 0);
  assert_ok(shoal_segment_close(a));
  assert_string_equal(shoal_segment_at(b, off, 6), "hello");
  assert_ok(shoal_segment_unlink(name));
  assert_string_equal(shoal_segment_at(b, off, 6), "hello");
  assert_int_equal(shoal_segment_unlink(name), -ENOENT);
  assert_int_equal(shoal_segment_open(name, NULL, &a), -ENOENT);
  assert_ok(shoal_segment_close(b));
}

static void test_names(void **state) {
  (void)state;
  struct shoal_segment *seg;
  char longest[SHOAL_NAME_MAX + 2];
  memset(longest, 'n', sizeof longest);
  longest[sizeof longest - 1] = 0;
  const char *bad[] = {"", ".hidden", "a/b", "a b", "../x", "\xc3\xa4"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_equal(shoal_segment_create(bad[i], NULL, &seg), -EINVAL);
    assert_int_equal(shoal_segment_open(bad[i], NULL, &seg), -EINVAL);
    assert_int_equal(shoal_segment_unlink(bad[i]), -EINVAL);
  }
  assert_int_equal(shoal_segment_create(longest, NULL, &seg), -ENAMETOOLONG);
  longest[SHOAL_NAME_MAX] = 0;
  shoal_segment_unlink(longest);
  assert_ok(shoal_segment_create(longest, &small, &seg));
  assert_int_equal(shoal_segment_create(longest, &small, &(struct shoal_segment *){NULL}), -EEXIST);
  assert_ok(shoal_segment_unlink(longest));
  assert_ok(shoal_segment_close(seg));
}

static void test_options(void **state) {
  (void)state;
  const char *name = test_name("options");
  struct shoal_segment *seg, *other;
  struct shoal_segment_options o = small;
  struct stat st;
  char path[128];
  o.mode = 0640;
  o.flags = SHOAL_SEGMENT_PREFAULT | SHOAL_SEGMENT_HUGE;
  assert_ok(shoal_segment_create(name, &o, &seg));
  path_of_name(name, path, sizeof path);
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 07777, 0640);
  o.flags = SHOAL_SEGMENT_LOCKED;
  assert_ok(shoal_segment_open(name, &o, &other));
  struct shoal_segment_info info = info_of(other);
  assert_int_equal(info.size, small.size);
  assert_int_equal(info.size_max, small.size_max);
  assert_int_equal(info.participants_max, small.participants);
  assert_int_equal(info.objects_max, small.objects);
  assert_int_equal(info.used, 0);
  assert_ok(shoal_segment_close(other));
  assert_ok(shoal_segment_close(seg));
  assert_ok(shoal_segment_unlink(name));
  struct shoal_segment_options wrong[] = {
      {.size = 2 << 20, .size_max = 1 << 20},
      {.size_max = UINT64_C(1) << 60},
      {.participants = 65536},
      {.objects = 10000000},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_int_equal(shoal_segment_create(NULL, &wrong[i], &seg), -EINVAL);
  assert_int_equal(shoal_segment_create(name, &(struct shoal_segment_options){.flags = SHOAL_SEGMENT_HARDENED}, &seg),
                   -EINVAL);
}

// Only what is used takes memory, and a core dump has no holes to fill.
static void test_sparse(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(NULL);
  struct stat st;
  assert_int_equal(fstat(seg->fd, &st), 0);
  assert_true((uint64_t)st.st_blocks * 512 < (UINT64_C(16) << 20) + (UINT64_C(4) << 20));
  assert_true((uint64_t)st.st_size > UINT64_C(512) << 20);
  assert_ok(shoal_segment_close(seg));
}

static void test_anonymous_by_fd(void **state) {
  (void)state;
  struct shoal_segment_options o = small;
  o.flags = SHOAL_SEGMENT_HARDENED;
  struct shoal_segment *seg = anonymous(&o);
  assert_int_equal(ftruncate(shoal_segment_fd(seg), 4096), -1);
  assert_int_equal(errno, EPERM);
  pid_t pid = fork_child();
  if (pid == 0) {
    struct shoal_segment *mine = again(seg);
    strcpy(mine->units + 100, "from the child");
    MUST(shoal_segment_grow(mine, 1 << 20) == 0);
    MUST(shoal_segment_close(mine) == 0);
    MUST(shoal_segment_close(seg) == 0);
    _exit(0);
  }
  assert_exits(pid, 0);
  assert_string_equal(seg->units + 100, "from the child");
  assert_int_equal(info_of(seg).size, 1 << 20);
  assert_ok(shoal_segment_close(seg));
  assert_int_equal(shoal_segment_open_fd(-1, &seg), -ENOENT);
  int fds[2];
  assert_int_equal(pipe(fds), 0);
  assert_int_equal(shoal_segment_open_fd(fds[0], &seg), -EPROTO);
  close(fds[0]);
  close(fds[1]);
}

// ---- growth ----

static void test_growth_is_seen_by_all(void **state) {
  (void)state;
  struct shoal_segment *a = anonymous(&small), *b = again(a);
  shoal_off end = a->g.units_off + small.size;
  assert_non_null(shoal_segment_at(b, end - 8, 8));
  assert_null(shoal_segment_at(b, end - 8, 9));
  assert_null(shoal_segment_at(b, end, 1));
  assert_ok(shoal_segment_grow(a, small.size / 2));
  assert_int_equal(info_of(a).size, small.size);
  assert_ok(shoal_segment_grow(a, small.size + 1));
  assert_int_equal(info_of(a).size, small.size + 4096);
  char *at = shoal_segment_at(b, end, 4096);
  assert_non_null(at);
  memset(at, 'x', 4096);
  assert_int_equal(*(char *)shoal_segment_at(a, end + 4095, 1), 'x');
  assert_int_equal(shoal_segment_grow(a, small.size_max + 1), -ENOSPC);
  assert_ok(shoal_segment_grow(b, small.size_max));
  assert_non_null(shoal_segment_at(a, a->g.units_off, small.size_max));
  assert_null(shoal_segment_at(a, a->g.units_off, small.size_max + 1));
  // hostile arguments
  assert_null(shoal_segment_at(a, 0, 1));
  assert_null(shoal_segment_at(a, 4096, 1));
  assert_null(shoal_segment_at(a, a->g.units_off - 1, 1));
  assert_null(shoal_segment_at(a, a->g.units_off, UINT64_MAX));
  assert_null(shoal_segment_at(a, UINT64_MAX, 1));
  assert_null(shoal_segment_at(a, UINT64_MAX - 7, 8));
  assert_null(shoal_segment_at(a, a->g.units_off + 8, UINT64_MAX - 7));
  assert_ok(shoal_segment_close(b));
  assert_ok(shoal_segment_close(a));
}

// A size that says more than the file has is not believed.
static void test_shared_size_is_not_trusted(void **state) {
  (void)state;
  struct shoal_segment *a = anonymous(&small);
  const uint64_t lies[] = {small.size + 4096, small.size + 1, small.size_max + 4096, UINT64_MAX, 0};
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    shoal_store64_relaxed(&a->header->size, lies[i]);
    assert_int_equal(shoal_segment_size_(a), small.size);
    assert_null(shoal_segment_at(a, a->g.units_off + small.size, 1));
  }
  assert_ok(shoal_segment_close(a));
}

// Nor is it waited for to be as large as was asked for.
static void test_nothing_grows_under_a_false_size(void **state) {
  (void)state;
  struct shoal_segment *a = anonymous(&small);
  struct shoal_object o;
  const uint64_t lies[] = {UINT64_MAX, small.size_max + 4096, small.size_max - 1};
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    shoal_store64_relaxed(&a->header->size, lies[i]);
    assert_int_equal(shoal_segment_grow(a, small.size + 4096), -EPROTO);
    assert_int_equal(shoal_object_create(a, "large", "t", 2 * small.size, NULL, NULL, &o), -EPROTO);
    assert_int_equal(shoal_segment_size_(a), small.size);
  }
  shoal_store64_relaxed(&a->header->size, small.size);
  assert_ok(shoal_object_create(a, "large", "t", 2 * small.size, NULL, NULL, &o));
  assert_ok(shoal_segment_close(a));
}

static void *grow_some(void *arg) {
  struct shoal_segment *seg = arg;
  for (uint64_t size = 64 << 10; size <= small.size_max; size += 36 << 10) {
    MUST(shoal_segment_grow(seg, size) == 0);
    void *at = shoal_segment_at(seg, seg->g.units_off + size - 4096, 4096);
    MUST(at != NULL);
    shoal_store32_relaxed((shoal_atomic32 *)at, 1);
  }
  return NULL;
}

static void test_growers_together(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  pthread_t threads[3];
  pid_t pid = fork_child();  // before the threads: those that had ended would be leaks of the child's, to TSan
  if (pid == 0) {
    grow_some(again(seg));
    _exit(0);
  }
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, grow_some, seg);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  assert_exits(pid, 0);
  assert_true(info_of(seg).size >= small.size_max - (36 << 10));
  assert_ok(shoal_segment_close(seg));
}

// ---- damage ----

// 0 opened; or the code of the refusal. Opens by fd a memory file with these contents.
static int try_contents(const void *contents, size_t n, uint64_t size, const char **reason) {
  int fd = memfd_create("contents", MFD_CLOEXEC);
  assert_int_equal(pwrite(fd, contents, n, 0), n);
  assert_int_equal(ftruncate(fd, (off_t)size), 0);
  struct shoal_segment *seg = NULL;
  int rc = shoal_segment_open_fd(fd, &seg);
  if (rc == 0) {
    struct shoal_segment_info info;
    assert_ok(shoal_segment_info(seg, &info));
    assert_ok(shoal_segment_close(seg));
  }
  *reason = shoal_reason();
  close(fd);
  return rc;
}

static uint64_t checksum(const void *p, size_t n) {
  uint64_t h = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < n; i++) h = (h ^ ((const unsigned char *)p)[i]) * UINT64_C(0x100000001b3);
  return h;
}

static void test_each_mismatch_has_its_reason(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_segment_shm good, h;
  uint64_t size = seg->g.units_off + small.size;
  const char *reason;
  memcpy(&good, seg->header, sizeof good);
  assert_int_equal(try_contents(&good, sizeof good, size, &reason), 0);
#define REFUSED(change, why)                                                         \
  do {                                                                               \
    h = good;                                                                        \
    change;                                                                          \
    h.check = checksum(&h, offsetof(struct shoal_segment_shm, check));               \
    assert_int_equal(try_contents(&h, sizeof h, size, &reason), -EPROTO);            \
    if (!strstr(reason, why)) fail_msg("%s: the reason is \"%s\"", #change, reason); \
  } while (0)
  REFUSED(h.magic++, "not a shoal segment");
  REFUSED(h.format = 99, "format 99");
  REFUSED(h.layout++, "layout");
  REFUSED(h.place.boot[3]++, "boot");
  REFUSED(h.place.pid_namespace++, "pid namespace");
  REFUSED(h.place.time_namespace++, "time namespace");
  REFUSED(h.participants = 0, "participants");
  REFUSED(h.participants = 65536, "participants");
  REFUSED(h.objects = 0, "objects");
  REFUSED(h.objects = UINT32_MAX, "objects");
  REFUSED(h.size_max = 0, "size_max");
  REFUSED(h.size_max += 512, "size_max");
  REFUSED(h.size_max = UINT64_MAX, "size_max");
  REFUSED(h.size_max = UINT64_C(1) << 46, "truncated");
  REFUSED(h.objects = 500000, "truncated");
  REFUSED(memset(h.name, 'n', sizeof h.name), "name");
  REFUSED(h.size.v_ = 0, "size 0");
  REFUSED(h.size.v_ += 1, "size");
  REFUSED(h.size.v_ = UINT64_MAX, "size");
  REFUSED(h.size.v_ += 4096, "truncated");
  h = good;
  h.name[5] = 'x';
  assert_int_equal(try_contents(&h, sizeof h, size, &reason), -EPROTO);
  assert_non_null(strstr(reason, "damaged"));
  assert_ok(shoal_segment_close(seg));
}

// Every byte of the constant part, every bit: refused. Every byte behind it: refused or opened, never a crash.
static void test_every_header_byte(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  unsigned char good[512];
  uint64_t size = seg->g.units_off + small.size;
  const char *reason;
  unsigned refused = 0;
  memcpy(good, seg->header, sizeof good);
  size_t constant = offsetof(struct shoal_segment_shm, check) + sizeof(uint64_t);
  for (size_t i = 0; i < sizeof good; i++)
    for (unsigned bit = 0; bit < 8; bit++) {
      good[i] ^= (unsigned char)(1u << bit);
      int rc = try_contents(good, sizeof good, size, &reason);
      if (rc == -EPROTO) refused++;
      else if (rc != 0 || i < constant) fail_msg("byte %zu, bit %u: %d (%s)", i, bit, rc, reason);
      good[i] ^= (unsigned char)(1u << bit);
    }
  assert_true(refused >= constant * 8);
  assert_ok(shoal_segment_close(seg));
}

static void test_random_contents(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  unsigned char bytes[8192];
  uint32_t seed = 20261121;
  const char *reason;
  for (int i = 0; i < 500; i++) {
    for (size_t k = 0; k < sizeof bytes; k++) bytes[k] = (unsigned char)random_next(&seed);
    if (i % 2) memcpy(bytes, seg->header, offsetof(struct shoal_segment_shm, size) + 8);  // only what changes is random
    int rc = try_contents(bytes, sizeof bytes, seg->g.units_off + small.size, &reason);
    if (i % 2 == 0) assert_int_equal(rc, -EPROTO);
  }
  assert_ok(shoal_segment_close(seg));
}

static void test_truncated_files(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  unsigned char page[4096];
  const char *reason;
  memcpy(page, seg->header, sizeof page);
  const uint64_t full = seg->g.units_off + small.size;
  const uint64_t sizes[] = {0, 1, 8, 319, 320, 4096, seg->g.owners_off, seg->g.units_off, full - 4096, full - 1};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    assert_int_equal(try_contents(page, sizeof page, sizes[i], &reason), -EPROTO);
  assert_int_equal(try_contents(page, sizeof page, full, &reason), 0);
  assert_ok(shoal_segment_close(seg));
}

static void test_foreign_files(void **state) {
  (void)state;
  const char *name = test_name("foreign");
  char path[128];
  struct shoal_segment *seg;
  path_of_name(name, path, sizeof path);
  assert_int_equal(symlink("/etc/passwd", path), 0);
  assert_int_equal(shoal_segment_open(name, NULL, &seg), -EPROTO);
  assert_int_equal(shoal_segment_create(name, NULL, &seg), -EEXIST);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(mkfifo(path, 0600), 0);
  assert_int_equal(shoal_segment_open(name, NULL, &seg), -EPROTO);
  assert_int_equal(shoal_segment_gc() >= 0, 1);
  assert_int_equal(access(path, F_OK), 0);
  assert_ok(shoal_segment_unlink(name));
  int fd = open(path, O_CREAT | O_RDWR, 0600);
  assert_int_equal(write(fd, "some text", 9), 9);
  close(fd);
  assert_int_equal(shoal_segment_open(name, NULL, &seg), -EPROTO);
  assert_int_equal(shoal_segment_open_or_create(name, NULL, &seg), -EPROTO);
  shoal_segment_gc();
  assert_int_equal(access(path, F_OK), 0);  // not ours to remove unasked
  assert_ok(shoal_segment_unlink(name));
}

// Without a name there is none to be found: a new one is made, where that was asked for.
static void test_no_name(void **state) {
  (void)state;
  struct shoal_segment *seg = NULL;
  assert_int_equal(shoal_segment_open(NULL, NULL, &seg), -EINVAL);
  assert_int_equal(shoal_segment_look(NULL, &seg), -EINVAL);
  assert_int_equal(shoal_segment_unlink(NULL), -EINVAL);
  assert_int_equal(shoal_segment_collect(NULL), -EINVAL);
  assert_null(seg);
  assert_ok(shoal_segment_open_or_create(NULL, &small, &seg));
  assert_int_equal(info_of(seg).name[0], 0);
  assert_ok(shoal_segment_close(seg));
}

static void test_made_where_none_was_leaves_no_reason(void **state) {
  (void)state;
  const char *name = test_name("reason");
  struct shoal_segment *seg;
  shoal_reason_clear();
  assert_ok(shoal_segment_open_or_create(name, &small, &seg));
  assert_string_equal(shoal_reason(), "");
  assert_ok(shoal_segment_close(seg));
  assert_ok(shoal_segment_unlink(name));
}

// ---- deaths ----

// Killed at a random moment of create, open_or_create, grow, close, unlink: who opens the name beside it finds a
// segment or nothing; in the end nothing is left but, perhaps, the name, which gc takes.
static void test_random_kills_among_making_processes(void **state) {
  (void)state;
  const char *name = test_name("maker");
  uint32_t seed = 7;
  int opened = 0;
  for (int round = 0; round < 150 || opened == 0; round++) {  // on a slow machine later, but it has to happen
    pid_t pid = fork_child();
    if (pid == 0)
      for (;;) {
        struct shoal_segment *seg;
        int rc = shoal_segment_create(name, &small, &seg);
        MUST(rc == 0 || rc == -EEXIST);
        if (rc == -EEXIST) MUST(shoal_segment_open_or_create(name, &small, &seg) == 0);
        MUST(shoal_segment_grow(seg, 128 << 10) == 0);
        shoal_segment_unlink(name);
        MUST(shoal_segment_close(seg) == 0);
      }
    int64_t end = shoal_now_ns() + random_next(&seed) % 4000000 * (1 + round / 150);
    do {
      struct shoal_segment *seg;
      int rc = shoal_segment_open(name, NULL, &seg);
      if (rc == 0) {
        opened++;
        assert_true(info_of(seg).size >= small.size);
        assert_ok(shoal_segment_close(seg));
      } else {
        assert_int_equal(rc, -ENOENT);
      }
    } while (shoal_now_ns() < end);
    kill_and_wait(pid);
  }
  assert_true(opened > 0);
  shoal_segment_unlink(name);
  DIR *dir = opendir(shoal_shm_directory_);
  for (struct dirent *e; (e = readdir(dir));) assert_null(strstr(e->d_name, name));
  closedir(dir);
}

static void test_gc_takes_only_the_abandoned(void **state) {
  (void)state;
  char used[64], left[64];
  strcpy(used, test_name("used"));
  strcpy(left, test_name("left"));
  shoal_atomic32 *ready = shared_memory(4096);
  pid_t pid = fork_child();
  if (pid == 0) {
    struct shoal_segment *a, *b;
    MUST(shoal_segment_create(used, &small, &a) == 0);
    MUST(shoal_segment_create(left, &small, &b) == 0);
    signal_to(ready);
    for (;;) pause();
  }
  await(ready, 1);
  struct shoal_segment *seg, *none;
  assert_ok(shoal_segment_open(used, NULL, &seg));
  shoal_reason_clear();
  assert_true(shoal_segment_gc() >= 0);
  assert_string_equal(shoal_reason(), "");  // what is in use is no failure
  assert_ok(shoal_segment_open(left, NULL, &none));
  assert_ok(shoal_segment_close(none));
  kill_and_wait(pid);
  assert_true(shoal_segment_gc() >= 1);
  assert_int_equal(shoal_segment_open(left, NULL, &none), -ENOENT);
  assert_ok(shoal_segment_open(used, NULL, &none));
  assert_ok(shoal_segment_close(none));
  assert_ok(shoal_segment_close(seg));
  assert_true(shoal_segment_gc() >= 1);
  assert_int_equal(shoal_segment_open(used, NULL, &none), -ENOENT);
}

// What a process has open keeps its name while collectors run, unless somebody unlinks it: here nobody does.
static void test_gc_beside_open_and_create(void **state) {
  (void)state;
  const char *name = test_name("beside");
  shoal_atomic32 *stop = shared_memory(4096);
  pid_t users[3], collectors[2];
  for (int i = 0; i < 2; i++) {
    collectors[i] = fork_child();
    if (collectors[i] == 0) {
      int removed = 0;
      while (!shoal_load32_relaxed(stop)) {
        int rc = shoal_segment_gc();
        MUST(rc >= 0);
        removed += rc;
      }
      _exit(removed > 0 ? 0 : 1);
    }
  }
  for (int i = 0; i < 3; i++) {
    users[i] = fork_child();
    if (users[i] == 0) {
      for (int n = 0; n < 300; n++) {
        struct shoal_segment *seg;
        struct stat st;
        MUST(shoal_segment_open_or_create(name, &small, &seg) == 0);
        for (int k = 0; k < 20; k++) {
          MUST(fstat(shoal_segment_fd(seg), &st) == 0);
          MUST(st.st_nlink == 1);
          if (k == 10) sched_yield();
        }
        MUST(shoal_segment_close(seg) == 0);
      }
      _exit(0);
    }
  }
  for (int i = 0; i < 3; i++) assert_exits(users[i], 0);
  signal_to(stop);
  for (int i = 0, st; i < 2; i++) assert_int_equal(waitpid(collectors[i], &st, 0), collectors[i]);
  shoal_segment_gc();
}

// ---- space ----

// In a child with a mount namespace of its own: /dev/shm of `size`. Exits 77 where mounting is refused.
static void small_shm(const char *size) {
  static char dir[] = "/tmp/shoal-test-XXXXXX";
  char options[64];
  MUST(mkdtemp(dir) != NULL);
  snprintf(options, sizeof options, "size=%s,mode=1777", size);
  if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
      mount("tmpfs", dir, "tmpfs", 0, options)) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) || mount("tmpfs", dir, "tmpfs", 0, options)) {
      rmdir(dir);
      _exit(77);
    }
  }
  shoal_shm_directory_ = dir;
}

static void in_small_shm(const char *size, void (*body)(void)) {
  pid_t pid;
  int st;
  pid = fork_child();
  if (pid == 0) {
    small_shm(size);
    body();
    umount2(shoal_shm_directory_, MNT_DETACH);
    rmdir(shoal_shm_directory_);
    _exit(0);
  }
  assert_int_equal(waitpid(pid, &st, 0), pid);
  if (WIFEXITED(st) && WEXITSTATUS(st) == 77) {
    print_message("mounting a tmpfs is not permitted here\n");
    skip();
  }
  if (st) fail_msg("status %x", st);
}

static void full_shm(void) {
  struct shoal_segment *seg, *other;
  struct shoal_segment_options o = {.size = 8 << 20, .size_max = 64 << 20, .participants = 8, .objects = 16};
  struct stat st;
  MUST(shoal_segment_create("full", &o, &seg) == -ENOSPC);
  MUST(shoal_segment_open("full", NULL, &seg) == -ENOENT);
  o.size = 1 << 20;
  MUST(shoal_segment_create("full", &o, &seg) == 0);
  MUST(shoal_segment_open("full", NULL, &other) == 0);
  MUST(shoal_segment_grow(seg, 32 << 20) == -ENOSPC);
  MUST(info_of(seg).size == 1 << 20 && info_of(other).size == 1 << 20);
  MUST(shoal_segment_at(other, seg->g.units_off + (1 << 20), 1) == NULL);
  MUST(fstat(seg->fd, &st) == 0);
  MUST((uint64_t)st.st_size == seg->g.units_off + (1 << 20));
  uint64_t size = 1 << 20;
  while (shoal_segment_grow(seg, size + 4096) == 0) size += 4096;
  MUST(size > 2 << 20 && info_of(other).size == size);
  memset(shoal_segment_at(other, seg->g.units_off, size), 0xff, size);  // every byte there is, and no SIGBUS
  for (uint64_t i = 0; i < size / SHOAL_UNIT_; i++) MUST(shoal_load32_relaxed(&seg->owners[i]) == 0);
  for (uint32_t i = 0; i < seg->g.entries; i++) shoal_store64_relaxed(&seg->entries[i].off, 1);
  for (uint32_t i = 0; i < seg->g.lines; i++) MUST(shoal_load64_relaxed(&seg->lines[i].overflowed) == 0);
  MUST(shoal_segment_create("second", &o, &(struct shoal_segment *){NULL}) == -ENOSPC);
}
static void test_full_shm(void **state) {
  (void)state;
  in_small_shm("4m", full_shm);
}

// An allocation is interrupted by no timer, however long it takes.
static void on_alarm(int sig) { (void)sig; }
static void test_growth_under_signals(void **state) {
  (void)state;
  struct sigaction act = {.sa_handler = on_alarm}, old;
  struct itimerspec every = {{0, 50000}, {0, 50000}};
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
  timer_t timer;
  sigaction(SIGUSR1, &act, &old);
  assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
  timer_settime(timer, 0, &every, NULL);
  struct shoal_segment *seg = anonymous(&(struct shoal_segment_options){.size = 1 << 20, .size_max = 64 << 20});
  assert_ok(shoal_segment_grow(seg, 64 << 20));
  timer_delete(timer);
  sigaction(SIGUSR1, &old, NULL);
  assert_ok(shoal_segment_close(seg));
}

// As it is made, a large one lets signals through: one finds its file half as long as it will be.
static struct {
  int fd;
  off_t whole;
  shoal_atomic32 half;
} seen;
static void looks_at_the_file(int sig) {
  struct stat st;
  int error = errno;
  (void)sig;
  if (fstat(seen.fd, &st) == 0 && st.st_size > seen.whole / 8 && st.st_size < seen.whole * 7 / 8)
    shoal_store32_relaxed(&seen.half, 1);
  errno = error;
}
static void test_creation_lets_signals_through(void **state) {
  (void)state;
  struct sigaction act = {.sa_handler = looks_at_the_file, .sa_flags = SA_RESTART}, old;
  struct itimerspec every = {{0, 50000}, {0, 50000}};
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
  const struct shoal_segment_options o = {.size = 64 << 20, .size_max = 64 << 20};
  timer_t timer;
  seen.whole = 64 << 20;
  seen.fd = open("/", O_RDONLY | O_CLOEXEC);  // the next one's number
  close(seen.fd);
  sigaction(SIGUSR1, &act, &old);
  assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
  timer_settime(timer, 0, &every, NULL);
  while (!shoal_load32_relaxed(&seen.half)) {
    struct shoal_segment *seg = anonymous(&o);
    assert_int_equal(seg->fd, seen.fd);
    assert_ok(shoal_segment_close(seg));
  }
  timer_delete(timer);
  sigaction(SIGUSR1, &old, NULL);
}

static void test_no_address_space(void **state) {
  (void)state;
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
  skip();  // a sanitizer wants the address space for itself
#endif
  pid_t pid = fork_child();
  if (pid == 0) {
    struct rlimit limit = {UINT64_C(1) << 30, UINT64_C(1) << 30};
    struct shoal_segment *seg;
    if (setrlimit(RLIMIT_AS, &limit)) _exit(77);
    MUST(shoal_segment_create(NULL, NULL, &seg) == -ENOMEM);
    MUST(shoal_segment_create(NULL, &small, &seg) == 0);
    _exit(0);
  }
  int st;
  waitpid(pid, &st, 0);
  if (!WIFEXITED(st) || (WEXITSTATUS(st) && WEXITSTATUS(st) != 77)) fail_msg("status %x", st);
}

// ---- limits, and other namespaces ----

// In a child without privileges, which are above limits; its own /proc it may still read.
static void become_nobody(void) {
  // where root alone has a number, in a sandbox's namespace, it may not lock beyond its limit, either
  MUST(geteuid() != 0 || setresuid(65534, 65534, 65534) == 0 || errno == EINVAL);
  MUST(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
}
static void limit_to(int resource, rlim_t most) { MUST(setrlimit(resource, &(struct rlimit){most, most}) == 0); }

static void few_files(void) {
  struct shoal_segment *seg;
  struct rlimit old;
  MUST(getrlimit(RLIMIT_NOFILE, &old) == 0);
  MUST(setrlimit(RLIMIT_NOFILE, &(struct rlimit){3, old.rlim_max}) == 0);
  MUST(shoal_segment_create(NULL, &small, &seg) == -EMFILE);
  MUST(shoal_segment_create(test_name("files"), &small, &seg) == -EMFILE);
  MUST(setrlimit(RLIMIT_NOFILE, &old) == 0);
  MUST(shoal_segment_open(test_name("files"), NULL, &seg) == -ENOENT);
  MUST(shoal_segment_create(NULL, &small, &seg) == 0);
}
static void short_files(void) {  // SIGXFSZ would end it
  struct shoal_segment *seg;
  struct shoal_segment_options o = {.size = 256 << 10, .size_max = 16 << 20, .participants = 8, .objects = 16};
  sigset_t pending;
  MUST(shoal_segment_create(NULL, &o, &seg) == 0);
  limit_to(RLIMIT_FSIZE, 4 << 20);
  MUST(shoal_segment_grow(seg, 8 << 20) == -ENOSPC);
  MUST(info_of(seg).size == 256 << 10);
  MUST(shoal_segment_grow(seg, 300 << 10) == 0);
  o.size = 8 << 20;
  MUST(shoal_segment_create(NULL, &o, &seg) == -ENOSPC);
  MUST(sigpending(&pending) == 0 && !sigismember(&pending, SIGXFSZ));
}
static void no_locked_memory(void) {
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
  _exit(77);  // a sanitizer's mlock does nothing
#endif
  struct shoal_segment *seg;
  struct shoal_segment_options o = {.size = 1 << 20, .size_max = 16 << 20, .participants = 8, .objects = 16};
  become_nobody();
  limit_to(RLIMIT_MEMLOCK, 64 << 10);
  o.flags = SHOAL_SEGMENT_LOCKED;
  MUST(shoal_segment_create(NULL, &o, &seg) == -ENOMEM && strstr(shoal_reason(), "mlock"));
  o.flags = 0;
  MUST(shoal_segment_create(NULL, &o, &seg) == 0);
}
static void test_limits(void **state) {
  (void)state;
  in_child(few_files);
  in_child(short_files);
  in_child(no_locked_memory);
}

// A container: a pid namespace with a /proc of its own, /dev/shm as it was.
static void inside(void) {
  struct shoal_segment *seg;
  shoal_proc_id id;
  MUST(getpid() == 1 && mount("proc", "/proc", "proc", 0, NULL) == 0);
  MUST(shoal_segment_open("outside", NULL, &seg) == -EPROTO && strstr(shoal_reason(), "another pid namespace"));
  MUST(shoal_segment_create(NULL, &small, &seg) == 0 && shoal_proc_self(seg, &id) == 0);
  pid_t pid = fork();
  if (pid == 0) {
    MUST(shoal_proc_self(seg, &id) == 0);
    kill(getpid(), SIGKILL);
  }
  int st;
  MUST(waitpid(pid, &st, 0) == pid && shoal_proc_reap(seg) == 1 && shoal_proc_alive(seg, id, 1));
}
static void namespaces(void) {
  static char dir[] = "/tmp/shoal-test-XXXXXX";
  struct shoal_segment *seg;
  MUST(mkdtemp(dir) != NULL);
  shoal_shm_directory_ = dir;
  MUST(shoal_segment_create("outside", &small, &seg) == 0);
  int may = !unshare(CLONE_NEWPID | CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), st = 0;
  pid_t pid = may ? fork() : 0;
  if (may && pid == 0) {
    inside();
    _exit(0);
  }
  if (may) MUST(waitpid(pid, &st, 0) == pid);
  MUST(shoal_segment_unlink("outside") == 0 && rmdir(dir) == 0);
  if (!may) fprintf(stderr, "a pid namespace is not permitted here\n");
  if (!may || st) _exit(may ? 99 : 77);
}
static void test_in_another_pid_namespace(void **state) {
  (void)state;
  in_child(namespaces);
}

// ---- close ----

struct beside {
  struct shoal_segment *seg;
  shoal_atomic32 joined, leave, left, end;
};
static void *participant(void *arg) {
  struct beside *b = arg;
  shoal_proc_id id;
  MUST(shoal_proc_self(b->seg, &id) == 0);
  signal_to(&b->joined);
  await(&b->leave, 1);
  MUST(shoal_proc_leave(b->seg) == 0);
  signal_to(&b->left);
  await(&b->end, 1);
  return NULL;
}

static void test_close_refuses_beside_a_participant(void **state) {
  (void)state;
  struct beside b = {.seg = anonymous(&small)};
  pthread_t thread;
  pthread_create(&thread, NULL, participant, &b);
  await(&b.joined, 1);
  assert_int_equal(shoal_segment_close(b.seg), -EBUSY);
  assert_int_equal(info_of(b.seg).participants, 1);
  signal_to(&b.leave);
  await(&b.left, 1);
  assert_ok(shoal_segment_close(b.seg));  // the thread lives on, but not here
  signal_to(&b.end);
  pthread_join(thread, NULL);
}

static void *participant_that_exits(void *arg) {
  shoal_proc_id id;
  MUST(shoal_proc_self(arg, &id) == 0);
  return NULL;
}
static void test_close_after_a_thread_exited(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  pthread_t thread;
  pthread_create(&thread, NULL, participant_that_exits, seg);
  pthread_join(thread, NULL);
  assert_ok(shoal_segment_close(seg));
}

static void test_close_refuses_with_a_word_owned(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_robust *word = (struct shoal_robust *)seg->units;
  shoal_proc_id id;
  assert_ok(shoal_proc_self(seg, &id));
  assert_ok(shoal_robust_acquire_(word, SHOAL_TRY));
  assert_int_equal(shoal_segment_close(seg), -EBUSY);
  shoal_robust_release_(word);
  pthread_mutexattr_t attr;
  pthread_mutex_t *mutex = (pthread_mutex_t *)(seg->units + 512);
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(mutex, &attr);
  pthread_mutex_lock(mutex);
  assert_int_equal(shoal_segment_close(seg), -EBUSY);
  assert_non_null(shoal_segment_at(seg, seg->g.units_off, 1));
  pthread_mutex_unlock(mutex);
  assert_ok(shoal_segment_close(seg));
}

int main(void) {
  alarm(WATCHDOG_S);
  own_folder();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_two_mappings_one_content),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_options),
      cmocka_unit_test(test_sparse),
      cmocka_unit_test(test_anonymous_by_fd),
      cmocka_unit_test(test_growth_is_seen_by_all),
      cmocka_unit_test(test_shared_size_is_not_trusted),
      cmocka_unit_test(test_nothing_grows_under_a_false_size),
      cmocka_unit_test(test_growers_together),
      cmocka_unit_test(test_each_mismatch_has_its_reason),
      cmocka_unit_test(test_every_header_byte),
      cmocka_unit_test(test_random_contents),
      cmocka_unit_test(test_truncated_files),
      cmocka_unit_test(test_foreign_files),
      cmocka_unit_test(test_no_name),
      cmocka_unit_test(test_made_where_none_was_leaves_no_reason),
      cmocka_unit_test(test_random_kills_among_making_processes),
      cmocka_unit_test(test_gc_takes_only_the_abandoned),
      cmocka_unit_test(test_gc_beside_open_and_create),
      cmocka_unit_test(test_full_shm),
      cmocka_unit_test(test_growth_under_signals),
      cmocka_unit_test(test_creation_lets_signals_through),
      cmocka_unit_test(test_no_address_space),
      cmocka_unit_test(test_limits),
      cmocka_unit_test(test_in_another_pid_namespace),
      cmocka_unit_test(test_close_refuses_beside_a_participant),
      cmocka_unit_test(test_close_after_a_thread_exited),
      cmocka_unit_test(test_close_refuses_with_a_word_owned),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  return own_folder_ends() || failed;
}
