// Claims: who attaches and detaches leaves nothing. A segment with a dict, a list in it and a namespace is mapped,
// opened, used, closed and unmapped again and again by one process; beside that threads join by using it and end, and
// children make containers and blocks and die without a word. After so many times just what was there before is there:
// participants, objects, bytes of the segment and of the heap, blocks, of which none is a stranger's; and of this
// process descriptors, mappings and private memory.
//   SHOAL_CYCLES=1000000 (otherwise 1,500)
#include <dirent.h>
#include <pthread.h>
#include <sys/wait.h>

#include "ipc/data/nested.h"
#include "tests/ipc/data/fixture.h"

static struct shoal_dict *dict;
static uint32_t cycles;

// ---- what there is ----

struct figures {
  uint64_t used, size, heap, heap_used, blocks, held;
  uint32_t participants, objects, slabs, chunks, strangers, descriptors, mappings,
      none;  // compared as bytes: no padding
};

static uint32_t descriptors(void) {
  uint32_t n = 0;
  DIR *d = opendir("/proc/self/fd");
  CHECK(d);
  while (readdir(d)) n++;
  closedir(d);
  return n;
}
static uint32_t mappings(void) {  // of segments: the allocator's are its own affair
  uint32_t n = 0;
  char line[512];
  FILE *f = fopen("/proc/self/maps", "re");
  CHECK(f);
  while (fgets(line, sizeof line, f)) n += strstr(line, "shoal") != NULL;
  fclose(f);
  return n;
}
// Bytes that malloc has given out. 0: a sanitizer's malloc, which has a checker of its own.
int mallctl(const char *name, void *old, size_t *old_size, void *to, size_t to_size) __attribute__((weak));
static uint64_t private_bytes(void) {
  uint64_t epoch = 1;
  size_t bytes = 0, n = sizeof epoch, m = sizeof bytes;
  if (!mallctl) return 0;
  (void)mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
  if (mallctl("epoch", &epoch, &n, &epoch, sizeof epoch) || mallctl("stats.allocated", &bytes, &m, NULL, 0)) return 0;
  return bytes;
}

static struct figures look(void) {
  struct shoal_segment_info s;
  struct shoal_heap_info h;
  struct shoal_heap *heap;
  struct shoal_heap_audit a;
  struct figures f;
  memset(&f, 0, sizeof f);
  CHECK(shoal_heap_open(seg, &heap) == 0);
  CHECK(shoal_heap_reap(heap) >= 0);  // containers of the dead, and what was in them
  CHECK(shoal_heap_audit(heap, &a) == 0 && !a.damaged && !a.unreferenced);
  CHECK(shoal_heap_info(heap, &h) == 0 && shoal_segment_info(seg, &s) == 0);
  CHECK(shoal_heap_close(heap) == 0);
  f.used = s.used, f.size = s.size, f.participants = s.participants, f.objects = s.objects;
  f.heap = h.size, f.heap_used = h.used, f.blocks = h.blocks, f.held = h.held, f.slabs = h.slabs, f.chunks = h.chunks;
  f.strangers = (uint32_t)(a.dead_runs + a.dead_blocks), f.descriptors = descriptors(), f.mappings = mappings();
  return f;
}

// ---- a cycle ----

static void use(struct shoal_segment *s, uint32_t n) {
  struct shoal_dict *d;
  struct shoal_list *l;
  struct shoal_namespace *ns;
  char text[64] = "a value, of some length or other, as there are in lists";
  uint64_t size;
  CHECK(shoal_dict_open(s, "d", &d) == 0 && shoal_namespace_open(s, "ns", &ns) == 0);
  CHECK(shoal_dict_get_list(d, "l", 1, &l) == 0);
  CHECK(shoal_dict_set(d, "n", 1, &n, sizeof n, F) == 0 && shoal_namespace_set(ns, "n", &n, sizeof n, F) == 0);
  CHECK(shoal_list_append(l, text, 40 + n % 20, F) == 0 && shoal_list_pop(l, 0, text, sizeof text, &size, F) == 0);
  CHECK(shoal_list_close(l) + shoal_namespace_close(ns) + shoal_dict_close(d) == 0);
}
static void attach(uint32_t n) {
  struct shoal_segment *s;
  CHECK(shoal_segment_open_fd(shoal_segment_fd(seg), &s) == 0);
  use(s, n);
  CHECK(shoal_segment_close(s) == 0);
}
static void *joins_and_ends(void *n) {
  use(seg, *(uint32_t *)n);
  return NULL;
}
static void in_a_thread(uint32_t n) {
  pthread_t t;
  CHECK(pthread_create(&t, NULL, joins_and_ends, &n) == 0 && pthread_join(t, NULL) == 0);
}
// Of so many deaths, one after the other, each leaves a block of another size, small ones and pages: what comes before
// the first look has all of them, so the heap has been as large as it has to be.
#define SIZES 8u
static const uint32_t sizes[SIZES] = {100, 9000, 700, 5000, 1600, 40, 3000, 12000};
static void makes_and_dies(uint32_t n) {
  struct shoal_segment *s;
  struct shoal_heap *heap;
  struct shoal_dict *d, *inner;
  struct shoal_list *l;
  void *block;
  CHECK(shoal_segment_open_fd(shoal_segment_fd(seg), &s) == 0 && shoal_heap_open(s, &heap) == 0);
  CHECK(shoal_heap_alloc(heap, sizes[n / 64 % SIZES], &block) == 0 && shoal_dict_create(s, NULL, NULL, &inner) == 0);
  CHECK(shoal_dict_setdefault_list(inner, "l", 1, &l, F) == 0 && shoal_list_append(l, "x", 1, F) == 0);
  CHECK(shoal_dict_open(s, "d", &d) == 0 && shoal_dict_set(d, "n", 1, &n, sizeof n, F) == 0);
  _exit(0);
}
static void in_a_child(uint32_t n) {
  struct peer p = {fork()};
  CHECK(p.pid >= 0);
  if (p.pid == 0) makes_and_dies(n);
  peer_join(&p);
}
static void run_cycles(uint32_t count) {
  for (uint32_t n = 0; n < count; n++) {
    attach(n);
    if (n % 16 == 0) in_a_thread(n);
    if (n % 64 == 0) in_a_child(n);
  }
  for (uint32_t n = 0; n < 20; n++) use(seg, n);  // the list's values are of the same lengths each time
}

static void test_nothing_is_left(void **state) {
  (void)state;
  struct shoal_list *l;
  struct shoal_namespace *ns;
  CHECK(shoal_segment_create(NULL, &small, &seg) == 0 && shoal_dict_create(seg, "d", NULL, &dict) == 0);
  CHECK(shoal_dict_setdefault_list(dict, "l", 1, &l, F) == 0 && shoal_namespace_create(seg, "ns", &ns) == 0);
  for (int i = 0; i < 20; i++) CHECK(shoal_list_append(l, "value", 5, F) == 0);
  CHECK(shoal_list_close(l) + shoal_namespace_close(ns) == 0);
  run_cycles(cycles / 10 + 2 * 64 * SIZES);
  struct figures before = look(), after;
  uint64_t memory = private_bytes();
  run_cycles(cycles);
  after = look();
  uint64_t then = private_bytes();
  print_message(
      "%u cycles: participants %u, objects %u, %lu bytes in use, heap %lu, blocks %lu, descriptors %u, mappings %u, "
      "private memory %lu, then %lu\n",
      cycles, after.participants, after.objects, (unsigned long)after.used, (unsigned long)after.heap,
      (unsigned long)after.blocks, after.descriptors, after.mappings, (unsigned long)memory, (unsigned long)then);
  assert_memory_equal(&before, &after, sizeof before);
  assert_int_equal(after.strangers, 0);
  assert_true(then < memory + cycles);  // less than a byte a cycle
  CHECK(shoal_dict_close(dict) == 0 && shoal_segment_close(seg) == 0);
}

int main(void) {
  const char *many = getenv("SHOAL_CYCLES");
  cycles = many ? (uint32_t)strtoul(many, NULL, 0) : 1500;
  watchdog(280 + cycles / 10);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing_is_left)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
