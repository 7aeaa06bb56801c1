// ipc/work/manager. Claims: whoever is killed while it gets, drops, lists or closes, what was got by a name is there,
// whole, or the name is free; what was made without one stays under the name that it was given, at most, and can be
// removed by that; then nothing is left.
#include "ipc/work/manager.h"
#include "tests/crash/fixture.h"

static struct shoal_manager *m;
static struct shoal_dict *d;
static uint64_t used_before;

static uint64_t used(void) {
  struct shoal_manager_info info;
  CRASH_OK(shoal_manager_info(m, &info));
  return info.used;
}
static void nobody_yet(void) {
  m = NULL;
  fixture_segment(1 << 20);
}
static void nothing_there(void) {
  nobody_yet();
  fixture_use(100);
  CRASH_OK(shoal_manager_on(S, &m));
  used_before = used();
}
static void got_two(void) {
  struct shoal_event *e;
  nothing_there();
  CRASH_OK(shoal_manager_dict(m, "d", NULL, &d));
  CRASH_OK(shoal_manager_event(m, "e", &e));
}
static void cleanup(void) {
  if (m) CRASH_OK(shoal_manager_close(m));
  fixture_segment_end();
}
static void warm(void) { fixture_use(100); }

static int remove_all(const struct shoal_manager_item *item, void *arg) {
  ++*(unsigned *)arg;
  CRASH_OK(shoal_manager_remove(m, item->name));
  return 0;
}
static void find_and_end(void) {
  struct shoal_event *e;
  unsigned n = 0;
  uint64_t size = 0;
  char value[4];
  CRASH_OK(shoal_manager_dict(m, "d", NULL, &d));
  int rc = shoal_dict_get(d, "k", 1, value, 4, &size);
  CRASH_EXPECT(rc == -ENOENT || (rc == 0 && size == 1), "get answered %d", rc);
  CRASH_OK(shoal_dict_set(d, "k", 1, "v", 1, SHOAL_FOREVER));
  CRASH_OK(shoal_manager_event(m, "e", &e));
  CRASH_OK(shoal_event_set(e));
  CRASH_OK(shoal_manager_drop(m, d) + shoal_manager_drop(m, e));
  CRASH_OK(shoal_manager_each(m, remove_all, &n));
  CRASH_EXPECT(n == 2 || n == 3, "%u objects", n);  // one without a name, perhaps
}
static void check(void) {
  crash_survivor(find_and_end);
  if (m) CRASH_OK(shoal_manager_close(m));  // what this process had got, too
  CRASH_OK(shoal_manager_on(S, &m));
  CRASH_EXPECT(shoal_heap_reap(H) >= 0, "reap: %s", shoal_reason());
  CRASH_EXPECT(!used_before || used() == used_before, "%lu bytes in use, %lu before", used(), used_before);
  fixture_just(0, 1, "in the end");
}

static void op_on(void) { CRASH_OK(shoal_manager_on(S, &m)); }
static void op_get(void) {
  CRASH_OK(shoal_manager_dict(m, "d", NULL, &d));
  CRASH_OK(shoal_dict_set(d, "k", 1, "v", 1, SHOAL_FOREVER));
}
static void op_nameless(void) { CRASH_OK(shoal_manager_dict(m, NULL, NULL, &d)); }
static void has_nameless(void) {
  warm();
  op_nameless();
}
static void op_drop(void) { CRASH_OK(shoal_manager_drop(m, d)); }
static int look(const struct shoal_manager_item *item, void *arg) {
  (void)item, (void)arg;
  return 0;
}
static void op_each(void) { CRASH_OK(shoal_manager_each(m, look, NULL)); }
static void op_close(void) { CRASH_OK(shoal_manager_close(m)); }
static void op_remove(void) { CRASH_OK(shoal_manager_remove(m, "d")); }
static void check_on(void) {
  op_on();
  used_before = 0;  // chunks of the heap are made by the survivor
  check();
}

#define MANAGER(id, text, ...) CRASH_SCENARIO(manager_##id, .name = "manager: " text, .cleanup = cleanup, __VA_ARGS__)
MANAGER(on, "its own object", .setup = nobody_yet, .prepare = warm, .op = op_on, .check = check_on);
MANAGER(get, "get by a name, which makes it", .setup = nothing_there, .prepare = warm, .op = op_get, .check = check);
MANAGER(open, "get by a name that is there", .setup = got_two, .prepare = warm, .op = op_get, .check = check);
MANAGER(nameless, "get without a name", .setup = nothing_there, .prepare = warm, .op = op_nameless, .check = check);
MANAGER(drop, "drop what has no name", .setup = nothing_there, .prepare = has_nameless, .op = op_drop, .check = check);
MANAGER(each, "list what there is", .setup = got_two, .prepare = warm, .op = op_each, .check = check);
MANAGER(remove, "remove a name", .setup = got_two, .prepare = warm, .op = op_remove, .check = check);
MANAGER(close, "close, with what was got", .setup = got_two, .prepare = warm, .op = op_close, .check = check);
