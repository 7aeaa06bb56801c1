// What core/segment.h claims of looking and collecting:
// - through a look every call works, in a full segment, too, where who lives stays alive, and in a heap that has a
//   place for nobody more; no byte of the file changes; nobody sees a participant more
// - who looks keeps nobody from collecting, and goes on when the name is gone
// - list tells of every file that has a segment's name: whose, whether it could be opened, whether it is in use, though
//   its user was killed; it changes none of them
// - collect removes what nobody has open and says why it does not: in use, no segment, not there
#include "core/directory.h"
#include "core/heap.h"
#include "core/proc.h"
#include "tests/core/support.h"

static const struct shoal_segment_options small = {
    .size = 64 << 10, .size_max = 16 << 20, .participants = 8, .objects = 16};

static void path_of_name(const char *name, char *path, size_t n) {
  snprintf(path, n, "%s/shoal.%s", shoal_shm_directory_, name);
}

static uint64_t sum_of(const char *name) {
  char path[160], buffer[4096];
  path_of_name(name, path, sizeof path);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  uint64_t sum = 0;
  assert_true(fd >= 0);
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;)
    for (ssize_t i = 0; i < n; i++) sum = (sum ^ (unsigned char)buffer[i]) * UINT64_C(0x100000001b3);
  close(fd);
  return sum;
}

static int set_seven(void *memory, uint64_t size, void *arg) {
  (void)size, (void)arg;
  *(uint32_t *)memory = 7;
  return 0;
}

static void test_a_look_changes_nothing(void **state) {
  (void)state;
  const char *name = test_name("look");
  struct shoal_segment *seg, *view;
  struct shoal_object object, seen;
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_ok(shoal_object_create(seg, "seven", "test", 4096, set_seven, NULL, &object));
  uint32_t users = info_of(seg).participants;
  uint64_t before = sum_of(name);
  assert_ok(shoal_segment_look(name, &view));
  assert_int_equal(info_of(view).participants, users);
  assert_ok(shoal_object_open(view, "seven", "test", &seen));
  assert_int_equal(*(uint32_t *)seen.memory, 7);
  *(uint32_t *)seen.memory = 8;
  assert_ok(shoal_object_remove(view, "seven"));
  assert_ok(shoal_object_create(view, "eight", "test", 64, NULL, NULL, &seen));
  assert_ok(shoal_proc_name(view, "somebody"));
  (void)shoal_proc_reap(view);
  assert_int_equal(shoal_segment_grow(view, 1 << 20), -EPERM);
  assert_int_equal(info_of(seg).participants, users);
  assert_ok(shoal_segment_close(view));
  assert_true(sum_of(name) == before);
  assert_int_equal(*(uint32_t *)object.memory, 7);
  assert_ok(shoal_segment_look(name, &view));
  *(uint32_t *)object.memory = 9;  // what others write is seen
  assert_ok(shoal_object_open(view, "seven", "test", &seen));
  assert_int_equal(*(uint32_t *)seen.memory, 9);
  assert_ok(shoal_segment_close(view));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

static void test_a_look_into_a_full_segment(void **state) {
  (void)state;
  const char *name = test_name("full");
  struct shoal_segment_options o = small;
  struct shoal_segment *seg, *view;
  struct shoal_object object, seen;
  shoal_proc_id me;
  o.participants = 1;
  assert_ok(shoal_segment_create(name, &o, &seg));
  assert_ok(shoal_object_create(seg, "seven", "test", 64, set_seven, NULL, &object));
  assert_ok(shoal_proc_self(seg, &me));
  assert_ok(shoal_segment_look(name, &view));
  assert_ok(shoal_object_open(view, "seven", "test", &seen));
  assert_int_equal(*(uint32_t *)seen.memory, 7);
  assert_true(shoal_proc_alive(view, me, 1));  // though its place is ours there
  assert_ok(shoal_segment_close(view));
  assert_int_equal(info_of(seg).participants, 1);
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

static void test_a_look_into_a_heap_without_places(void **state) {
  (void)state;
  const char *name = test_name("heap");
  struct shoal_segment_options o = {.size = 3 << 20, .size_max = 16 << 20, .participants = 1, .objects = 16};
  struct shoal_segment *seg, *view;
  struct shoal_heap *heap, *seen;
  struct shoal_heap_info is, was;
  void *block, *copies[40];
  assert_ok(shoal_segment_create(name, &o, &seg));
  assert_ok(shoal_heap_open(seg, &heap));
  assert_ok(shoal_heap_alloc(heap, 100, &block));
  memset(block, 7, 100);
  assert_ok(shoal_heap_info(heap, &was));
  uint64_t before = sum_of(name);
  assert_ok(shoal_segment_look(name, &view));
  assert_ok(shoal_heap_open(view, &seen));
  assert_ok(shoal_heap_info(seen, &is));
  assert_memory_equal(&is, &was, sizeof is);
  char *there = shoal_segment_at(view, shoal_segment_off(seg, block), 100);
  assert_int_equal(there[99], 7);
  assert_true(shoal_heap_usable(seen, there) >= 100);
  for (int lap = 0; lap < 3; lap++) {  // allocates, frees, sweeps: what is the look's is not taken for a dead one's
    for (int i = 0; i < 40; i++) assert_ok(shoal_heap_alloc(seen, (uint64_t)i * 200, &copies[i]));
    assert_int_equal(shoal_heap_reap(seen), 0);
    for (int i = 0; i < 40; i++) memset(copies[i], i, (size_t)i * 200);
    for (int i = 0; i < 40; i++) assert_ok(shoal_heap_free(seen, copies[i]));
  }
  assert_ok(shoal_heap_free(seen, there));
  (void)shoal_heap_reap(seen);
  assert_ok(shoal_heap_close(seen));
  assert_ok(shoal_segment_close(view));
  assert_true(sum_of(name) == before);
  assert_ok(shoal_heap_free(heap, block));
  assert_ok(shoal_heap_close(heap));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

static void test_a_look_keeps_nobody_from_collecting(void **state) {
  (void)state;
  const char *name = test_name("free");
  struct shoal_segment *seg, *view, *none;
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_ok(shoal_segment_look(name, &view));
  assert_int_equal(shoal_segment_collect(name), -EBUSY);
  assert_ok(shoal_segment_close(seg));
  assert_ok(shoal_segment_collect(name));
  assert_int_equal(info_of(view).participants_max, small.participants);
  assert_ok(shoal_segment_close(view));
  assert_int_equal(shoal_segment_look(name, &none), -ENOENT);
  assert_int_equal(shoal_segment_collect(name), -ENOENT);
  assert_int_equal(shoal_segment_collect("../x"), -EINVAL);
  assert_int_equal(shoal_segment_look("../x", &none), -EINVAL);
}

// ---- what list tells ----

struct wanted {
  const char *name;
  struct shoal_segment_file found;
  int times;
};
static int note(const struct shoal_segment_file *f, void *arg) {
  struct wanted *w = arg;
  if (strcmp(f->name, w->name) != 0) return 0;
  w->found = *f;
  w->times++;
  return 0;
}
static struct shoal_segment_file listed(const char *name) {
  struct wanted w = {.name = name};
  assert_ok(shoal_segment_list(note, &w));
  assert_int_equal(w.times, 1);
  return w.found;
}

static void test_list_tells_who_is_used(void **state) {
  (void)state;
  char name[SHOAL_NAME_MAX + 1];
  strcpy(name, test_name("listed"));
  shoal_atomic32 *ready = shared_memory(4096);
  pid_t pid = fork_child();
  if (pid == 0) {
    struct shoal_segment *seg;
    shoal_proc_id me;
    MUST(shoal_segment_create(name, &small, &seg) == 0);
    MUST(shoal_proc_self(seg, &me) == 0);
    signal_to(ready);
    for (;;) pause();
  }
  await(ready, 1);
  struct shoal_segment_file f = listed(name);
  assert_int_equal(f.error, 0);
  assert_int_equal(f.in_use, 1);
  assert_int_equal(f.ours, 1);
  assert_int_equal(f.uid, getuid());
  assert_int_equal(f.mode & 07777, 0600);
  assert_true(f.born > 0 && f.length > f.allocated);
  kill_and_wait(pid);
  f = listed(name);
  assert_int_equal(f.error, 0);
  assert_int_equal(f.in_use, 0);
  assert_ok(shoal_segment_collect(name));
}

static void make_file(const char *name, const void *content, size_t n) {
  char path[160];
  path_of_name(name, path, sizeof path);
  int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, content, n), n);
  close(fd);
}
static void end_file(const char *name) {
  char path[160];
  path_of_name(name, path, sizeof path);
  assert_int_equal(unlink(path), 0);
}

static void test_list_tells_of_foreign_files(void **state) {
  (void)state;
  char name[100], path[160];
  snprintf(name, sizeof name, "%s", test_name("foreign"));
  make_file(name, "hello", 5);
  struct shoal_segment_file f = listed(name);
  assert_int_equal(f.error, -EPROTO);
  assert_int_equal(f.ours, 0);
  assert_non_null(strstr(f.reason, "not a shoal segment"));
  assert_int_equal(shoal_segment_collect(name), -EPROTO);
  end_file(name);
  struct shoal_segment_shm h = {.magic = SHOAL_MAGIC_, .format = 99};  // of a version to come
  make_file(name, &h, sizeof h);
  f = listed(name);
  assert_int_equal(f.error, -EPROTO);
  assert_int_equal(f.ours, 1);
  assert_ok(shoal_segment_collect(name));
  path_of_name(name, path, sizeof path);
  assert_int_equal(mkfifo(path, 0600), 0);
  f = listed(name);
  assert_int_equal(f.error, -EPROTO);
  assert_int_equal(shoal_segment_collect(name), -EPROTO);
  end_file(name);
  assert_int_equal(symlink("/etc/passwd", path), 0);
  assert_int_equal(listed(name).error, -EPROTO);
  assert_int_equal(shoal_segment_collect(name), -EPROTO);
  end_file(name);
  strcat(name, "\n\x1b[2J");  // no name of ours, and told all the same
  make_file(name, &h, sizeof h);
  assert_true(listed(name).error < 0);
  end_file(name);
}

int main(void) {
  alarm(WATCHDOG_S);
  own_folder();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_look_changes_nothing),
      cmocka_unit_test(test_a_look_into_a_full_segment),
      cmocka_unit_test(test_a_look_into_a_heap_without_places),
      cmocka_unit_test(test_a_look_keeps_nobody_from_collecting),
      cmocka_unit_test(test_list_tells_who_is_used),
      cmocka_unit_test(test_list_tells_of_foreign_files),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  return own_folder_ends() || failed;
}
