// What core/ claims of a process that is slow, not dead: it may be stopped at any access to shared memory, for as long
// as the others need to change everything under it, and when it goes on
// - what it opened is what it asked for, whole, and stays so; or it learns that it is gone
// - as a reaper it frees nobody else's slot and undoes nobody else's work
// - as a joiner it is alive, and as one who leaves it is gone, whoever looks meanwhile
// - as a thread that leaves, it touches nothing of the thread that has its slot since
// and nothing leaks. The files under test are compiled here, so that each access counts.
#include "core/atomic.h"
#include "core/deadline.h"
#include "core/futex.h"
#include "core/robust.h"

static void access_(void);
#define shoal_load32_relaxed(...) (access_(), shoal_load32_relaxed(__VA_ARGS__))
#define shoal_load32_acquire(...) (access_(), shoal_load32_acquire(__VA_ARGS__))
#define shoal_load64_relaxed(...) (access_(), shoal_load64_relaxed(__VA_ARGS__))
#define shoal_load64_acquire(...) (access_(), shoal_load64_acquire(__VA_ARGS__))
#define shoal_load64_seq_cst(...) (access_(), shoal_load64_seq_cst(__VA_ARGS__))
#define shoal_store32_relaxed(...) (access_(), shoal_store32_relaxed(__VA_ARGS__))
#define shoal_store32_release(...) (access_(), shoal_store32_release(__VA_ARGS__))
#define shoal_store64_relaxed(...) (access_(), shoal_store64_relaxed(__VA_ARGS__))
#define shoal_store64_release(...) (access_(), shoal_store64_release(__VA_ARGS__))
#define shoal_store64_seq_cst(...) (access_(), shoal_store64_seq_cst(__VA_ARGS__))
#define shoal_cas64_relaxed(...) (access_(), shoal_cas64_relaxed(__VA_ARGS__))
#define shoal_cas64_release(...) (access_(), shoal_cas64_release(__VA_ARGS__))
#define shoal_cas64_acq_rel(...) (access_(), shoal_cas64_acq_rel(__VA_ARGS__))
#define shoal_cas64_seq_cst(...) (access_(), shoal_cas64_seq_cst(__VA_ARGS__))
#define shoal_live_take_(...) (access_(), shoal_live_take_(__VA_ARGS__))
#define shoal_live_drop_(...) (access_(), shoal_live_drop_(__VA_ARGS__))

#include "core/directory.c"
#include "core/proc.c"
#include "core/reference.c"
#include "core/segment.c"
#include "core/space.c"
#include "tests/core/support.h"

static __thread long stop_at, accesses;  // stop_at 0: never
static void (*instead)(void);            // of stopping

static void access_(void) {
  if (!stop_at || ++accesses != stop_at) return;
  if (!instead) {
    raise(SIGSTOP);
    return;
  }
  stop_at = 0;
  instead();
}

static const struct shoal_segment_options tiny = {
    .size = 16 << 10, .size_max = 1 << 20, .participants = 4, .objects = 6};

struct scene {
  struct shoal_segment *seg;
  struct shoal_object object, other;  // as the driver has them open
};

static int paint(void *memory, uint64_t size, void *colour) {
  memset(memory, *(int *)colour, size);
  return 0;
}
static struct shoal_object make(struct shoal_segment *seg, const char *name, const char *type, int colour) {
  struct shoal_object o;
  MUST(shoal_object_create(seg, name, type, colour == 1 ? 1500 : 1400, paint, &colour, &o) == 0);
  return o;
}
static int colour_of(const struct shoal_object *o) {
  const char *bytes = o->memory;
  for (uint64_t i = 1; i < o->size; i++) MUST(bytes[i] == bytes[0]);
  MUST(o->size == (bytes[0] == 1 ? 1500 : 1400));
  return bytes[0];
}
static void drop(struct shoal_segment *seg, const char *name, struct shoal_object *o) {
  MUST(shoal_object_remove(seg, name) == 0);
  MUST(shoal_object_close(seg, o) == 0);
}
static shoal_proc_id joined(struct shoal_segment *seg) {
  shoal_proc_id id;
  MUST(shoal_proc_self(seg, &id) == 0);
  return id;
}
static int writer_is_taken(struct scene *s) { return s->seg->header->writer.word.v_ != 0; }

static int die(void *memory, uint64_t size, void *arg) {
  (void)memory;
  (void)size;
  (void)arg;
  return raise(SIGKILL);
}
// A child that died while it created "new", and one that died while it had the removed "object" open.
static void leave_corpses(struct shoal_segment *seg) {
  for (int i = 0; i < 2; i++) {
    pid_t pid = fork_child();
    if (pid == 0) {
      struct shoal_object o;
      if (i) MUST(shoal_object_open(seg, "object", "test", &o) == 0 && shoal_object_remove(seg, "object") == 0);
      else MUST(shoal_object_create(seg, "new", "test", 900, die, NULL, &o));
      raise(SIGKILL);
    }
    waitpid(pid, NULL, 0);
  }
}

// Everything that the scene held is given back, and nothing is left.
static void strike(struct scene *s) {
  shoal_held_drop_all_(s->seg);
  while (shoal_proc_reap(s->seg)) continue;
  for (uint32_t at = 0; at < s->seg->g.entries; at++) {
    if (STATE(s->seg->entries[at].state.v_) != LIVE) continue;
    MUST(shoal_object_remove(s->seg, (const char *)s->seg->entries[at].name) == 0);
  }
  struct shoal_segment_info info = info_of(s->seg);
  assert_int_equal(info.used, 0);
  assert_int_equal(info.objects, 0);
  assert_int_equal(s->seg->header->objects_used.v_, 0);
  for (uint64_t i = 0; i < info.size / SHOAL_UNIT_; i++) assert_int_equal(s->seg->owners[i].v_, 0);
  for (uint32_t i = 0; i < s->seg->g.lines * SHOAL_LINE_RECORDS_; i++) assert_int_equal(record_at(s->seg, i)->v_, 0);
  for (uint32_t i = 0; i < s->seg->g.participants; i++) {
    uint32_t word = s->seg->procs[i].live.word.v_;
    assert_true(word == 0 || shoal_robust_owner(word) == (uint32_t)getpid());
  }
  assert_ok(shoal_segment_close(s->seg));
}

struct play {
  int inherits;                       // the slow one uses the driver's mapping, as a child of fork does
  void (*setup)(struct scene *);      // the driver
  void (*prepare)(struct scene *);    // the slow one, before it can be stopped
  void (*slow)(struct scene *);       // stopped at each access
  void (*meanwhile)(struct scene *);  // the driver
  void (*after)(struct scene *);      // the driver, the slow one has gone on, and ended
};

static void perform(const struct play *p) {
  long point = 1;
  for (int ended = 0; !ended; point++) {
    struct scene s = {.seg = anonymous(&tiny)};
    pid_t pid;
    int st;
    if (p->setup) p->setup(&s);
    pid = fork_child();
    if (pid == 0) {
      if (!p->inherits) s.seg = again(s.seg);
      if (p->prepare) p->prepare(&s);
      accesses = 0;
      stop_at = point;
      p->slow(&s);
      _exit(0);
    }
    assert_int_equal(waitpid(pid, &st, WUNTRACED), pid);
    ended = !WIFSTOPPED(st);
    if (!ended) {
      p->meanwhile(&s);
      kill(pid, SIGCONT);
      assert_int_equal(waitpid(pid, &st, 0), pid);
    }
    if (st) fail_msg("stopped at access %ld: status %x", point, st);
    if (!ended && p->after) p->after(&s);
    strike(&s);
  }
  print_message("%ld points\n", point - 2);
  assert_true(point > 3);
}

// ---- open and close ----

static void one_object(struct scene *s) { s->object = make(s->seg, "object", "test", 1); }
static void two_objects(struct scene *s) {
  one_object(s);
  s->other = make(s->seg, "other", "test", 3);
}
static void join_first(struct scene *s) { joined(s->seg); }
static void open_first(struct scene *s) { MUST(shoal_object_open(s->seg, "object", "test", &s->object) == 0); }
static void open_it(struct scene *s) {
  struct shoal_object o;
  int rc = shoal_object_open(s->seg, "object", "test", &o);
  MUST(rc == 0 || rc == -ENOENT || rc == -EBADMSG);
  if (rc == 0) colour_of(&o);
}
static void open_the_first(struct scene *s) {
  struct shoal_object o;
  int rc = shoal_object_open(s->seg, "object", "test", &o);
  MUST(rc == 0 || rc == -ENOENT);
  if (rc == 0) MUST(colour_of(&o) == 1);
}
static void close_it(struct scene *s) { MUST(shoal_object_close(s->seg, &s->object) == 0); }

static void replace_by_another_name(struct scene *s) {
  drop(s->seg, "object", &s->object);
  make(s->seg, "another", "test", 2);
}
static void replace_by_the_same_name(struct scene *s) {
  drop(s->seg, "object", &s->object);
  make(s->seg, "object", "test", 2);
}
static void replace_twice(struct scene *s) {  // elsewhere in the table, then of another type
  drop(s->seg, "object", &s->object);
  drop(s->seg, "other", &s->other);
  struct shoal_object o = make(s->seg, "object", "test", 2);
  drop(s->seg, "object", &o);
  make(s->seg, "object", "not a test", 2);
}
static void remove_only(struct scene *s) { drop(s->seg, "object", &s->object); }

static void test_open(void **state) {
  (void)state;
  perform(&(struct play){0, one_object, join_first, open_the_first, replace_by_another_name, NULL});
  perform(&(struct play){0, one_object, join_first, open_it, replace_by_the_same_name, NULL});
  perform(&(struct play){0, two_objects, join_first, open_it, replace_twice, NULL});
}
static void test_close(void **state) {
  (void)state;
  perform(&(struct play){0, one_object, open_first, close_it, remove_only, NULL});
}

// ---- a child of fork that registers what it inherited ----

static void removed_object(struct scene *s) {
  one_object(s);
  MUST(shoal_object_remove(s->seg, "object") == 0);
}
static void confirm(struct scene *s) {
  int rc = shoal_object_confirm(s->seg, &s->object);
  MUST(rc == 0 || rc == -ENOENT);
  if (rc == 0) MUST(colour_of(&s->object) == 1);
}
static void close_and_reuse(struct scene *s) {
  if (writer_is_taken(s)) return;  // it looks at the entry; nobody can free anything now
  if (STATE(s->seg->entries[s->object.entry].state.v_) == LIVE) MUST(shoal_object_remove(s->seg, "object") == 0);
  MUST(shoal_object_close(s->seg, &s->object) == 0);
  make(s->seg, "another", "test", 2);
}
static void test_child_of_fork(void **state) {
  (void)state;
  perform(&(struct play){1, one_object, NULL, confirm, close_and_reuse, NULL});
  perform(&(struct play){1, removed_object, NULL, confirm, close_and_reuse, NULL});
}

// ---- reapers ----

static void corpses(struct scene *s) {
  one_object(s);
  MUST(shoal_object_close(s->seg, &s->object) == 0);
  MUST(shoal_proc_leave(s->seg) == 0);
  leave_corpses(s->seg);
}
static void reap(struct scene *s) { shoal_proc_reap(s->seg); }
// Another reaps; the slots are taken again, one by somebody who lives, the others by more who die at the same things.
static void reap_and_reuse(struct scene *s) {
  if (writer_is_taken(s)) return;
  shoal_proc_reap(s->seg);
  s->object = make(s->seg, "object", "test", 1);  // joins
  MUST(shoal_object_close(s->seg, &s->object) == 0);
  leave_corpses(s->seg);
  s->other = make(s->seg, "other", "test", 3);
}
static void expect_ours_untouched(struct scene *s) {
  if (s->other.memory == NULL) return;
  MUST(shoal_proc_alive(s->seg, joined(s->seg), 1));
  MUST(shoal_directory_has_(s->seg, s->other.entry, s->other.generation));
  MUST(colour_of(&s->other) == 3);
  MUST(shoal_reference_any_(s->seg, s->other.entry));
}
static void test_reaper(void **state) {
  (void)state;
  perform(&(struct play){0, corpses, NULL, reap, reap_and_reuse, expect_ours_untouched});
  perform(&(struct play){0, corpses, join_first, reap, reap_and_reuse, expect_ours_untouched});
}

// ---- join and leave ----

static int count(const struct shoal_proc_info *info, void *arg) {
  ++*(int *)arg;
  return info->id == 0;
}
static void look_at_everybody(struct scene *s) {
  int n = 0;
  MUST(shoal_proc_list(s->seg, count, &n) == 0);
  MUST(n <= 2);
  shoal_proc_reap(s->seg);
  for (uint32_t i = 0; i < s->seg->g.participants; i++) {
    uint64_t both = s->seg->procs[i].both.v_;
    if (both) shoal_proc_alive(s->seg, (uint32_t)(both >> 32) << 16 | (i + 1), 1);
  }
  joined(s->seg);
}
static void join_and_check(struct scene *s) {
  shoal_proc_id id = joined(s->seg);
  MUST(shoal_proc_alive(s->seg, id, 1) && joined(s->seg) == id);
}
static void leave(struct scene *s) {
  shoal_proc_id id = joined(s->seg);
  MUST(shoal_proc_leave(s->seg) == 0);
  MUST(!shoal_proc_alive(s->seg, id, 1));
}
static void test_join_and_leave(void **state) {
  (void)state;
  perform(&(struct play){0, NULL, NULL, join_and_check, look_at_everybody, NULL});
  perform(&(struct play){0, NULL, join_first, leave, look_at_everybody, NULL});
}

// ---- threads of one process ----

// The only slot: whoever leaves it touches nothing of the thread that has it since.
static struct {
  struct shoal_segment *seg;
  pthread_t thread;
  shoal_atomic32 came, end;
  int rc;
} heir;
static void *take_the_slot(void *arg) {
  shoal_proc_id id;
  heir.rc = shoal_proc_self(heir.seg, &id);
  signal_to(&heir.came);
  await(&heir.end, 1);
  if (heir.rc == 0) MUST(shoal_proc_leave(heir.seg) == 0);
  return arg;
}
static void let_the_heir_come(void) {
  MUST(pthread_create(&heir.thread, NULL, take_the_slot, NULL) == 0);
  await(&heir.came, 1);
}
static void test_a_slot_taken_while_its_last_owner_leaves(void **state) {
  (void)state;
  for (long point = 1, passed = 0; !passed; point++) {
    memset(&heir, 0, sizeof heir);
    heir.seg = anonymous(&(struct shoal_segment_options){.size = 16 << 10, .participants = 1, .objects = 2});
    joined(heir.seg);
    instead = let_the_heir_come;
    accesses = 0;
    stop_at = point;
    assert_ok(shoal_proc_leave(heir.seg));
    passed = stop_at != 0;
    stop_at = 0;
    if (!passed) {
      if (heir.rc == 0) assert_true(shoal_proc_others_(heir.seg));
      signal_to(&heir.end);
      pthread_join(heir.thread, NULL);
    }
    assert_ok(shoal_segment_close(heir.seg));
  }
  instead = NULL;
}

// ---- growth ----

static void grow(struct scene *s) {
  MUST(shoal_segment_grow(s->seg, 200000) == 0);
  MUST(shoal_segment_size_(s->seg) >= 200000);
  memset(shoal_segment_at(s->seg, s->seg->g.units_off, 200000), 1, 200000);
}
static void grow_less(struct scene *s) { MUST(shoal_segment_grow(s->seg, 100000) == 0); }
static void grow_more(struct scene *s) { MUST(shoal_segment_grow(s->seg, 400000) == 0); }
static void expect_more(struct scene *s) { assert_true(shoal_segment_size_(s->seg) >= 400000); }
static void test_grow(void **state) {
  (void)state;
  perform(&(struct play){0, NULL, NULL, grow, grow_less, NULL});
  perform(&(struct play){0, NULL, NULL, grow, grow_more, expect_more});
}

int main(void) {
  alarm(WATCHDOG_S);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_open),
      cmocka_unit_test(test_close),
      cmocka_unit_test(test_child_of_fork),
      cmocka_unit_test(test_reaper),
      cmocka_unit_test(test_join_and_leave),
      cmocka_unit_test(test_grow),
      cmocka_unit_test(test_a_slot_taken_while_its_last_owner_leaves),
  };
#ifdef __SANITIZE_THREAD__
  cmocka_set_test_filter("test_a_slot*");  // the one with threads: it sees one process
#endif
  return cmocka_run_group_tests(tests, NULL, NULL);
}
