// What core/directory.h claims, of what several processes and threads do:
// - an object is seen by nobody before its init has succeeded; if its process is killed in there, it never was
// - a lookup beside any change of other names finds what lives, and never mixes two objects
// - memory is reused only when the name is removed and all who had the object have closed it or died
// - children of fork and raw clone hold what their parent had open
// - what has no name is seen by nobody, and gone with the last who holds it, however they end
// - however processes are killed, the directory, the owner words and the references agree afterwards, and nothing leaks
#include "core/deadline.h"
#include "tests/core/directory_fixture.h"
#include "tests/harness/drivers.h"

// ---- several processes ----

struct shared {
  shoal_atomic32 ready, go, stop;
};

static int announce_and_wait(void *memory, uint64_t size, void *arg) {
  struct shared *s = arg;
  (void)size;
  strcpy(memory, "made");
  signal_to(&s->ready);
  await(&s->go, 1);
  return 0;
}

static pid_t child_in_init(struct shoal_segment *seg, struct shared *s) {
  pid_t pid;
  shoal_store32_relaxed(&s->ready, 0);
  shoal_store32_relaxed(&s->go, 0);
  pid = fork_child();
  if (pid == 0) {
    struct shoal_object o;
    MUST(shoal_object_create(seg, "jobs", "test", 2000, announce_and_wait, s, &o) == 0);
    _exit(0);
  }
  await(&s->ready, 1);
  return pid;
}

static void test_unseen_before_init_is_done(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shared *s = shared_memory(sizeof *s);
  pid_t pid = child_in_init(seg, s);
  assert_false(exists(seg, "jobs"));
  assert_int_equal(create(seg, "jobs", 10), -EEXIST);
  assert_int_equal(shoal_object_remove(seg, "jobs"), -ENOENT);
  shoal_proc_reap(seg);
  assert_int_equal(create(seg, "jobs", 10), -EEXIST);
  signal_to(&s->go);
  assert_exits(pid, 0);
  struct shoal_object o;
  assert_ok(shoal_object_open(seg, "jobs", "test", &o));
  assert_string_equal(o.memory, "made");
  assert_ok(shoal_object_close(seg, &o));
  shoal_proc_reap(seg);
  verify_empties(seg);
  assert_ok(shoal_segment_close(seg));
}

static void test_creator_killed_in_init(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shared *s = shared_memory(sizeof *s);
  for (int by_reap = 0; by_reap < 2; by_reap++) {
    pid_t pid = child_in_init(seg, s);
    assert_int_equal(info_of(seg).used, 2048);
    kill_and_wait(pid);
    assert_false(exists(seg, "jobs"));
    if (by_reap) {
      shoal_proc_reap(seg);
      assert_int_equal(info_of(seg).used, 0);
    }
    int nine = 9;
    struct shoal_object o;
    assert_ok(shoal_object_create(seg, "jobs", "test", 2000, fill, &nine, &o));
    assert_int_equal(info_of(seg).used, 2048);
    assert_ok(shoal_object_close(seg, &o));
    assert_ok(shoal_object_remove(seg, "jobs"));
  }
  shoal_proc_reap(seg);
  verify_empties(seg);
  assert_ok(shoal_segment_close(seg));
}

static int exit_thread(void *memory, uint64_t size, void *arg) {
  (void)memory;
  (void)size;
  pthread_exit(arg);
}
static void *exit_in_init(void *arg) {
  struct shoal_object o;
  int rc = shoal_object_create(arg, "jobs", "test", 2000, exit_thread, NULL, &o);
  MUST(rc && 0);  // not reached
  return NULL;
}
static void test_creator_thread_exits_in_init(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  pthread_t thread;
  pthread_create(&thread, NULL, exit_in_init, seg);
  pthread_join(thread, NULL);
  assert_int_equal(info_of(seg).used, 2048);
  assert_ok(create(seg, "jobs", 100));
  shoal_held_drop_all_(seg);
  shoal_proc_reap(seg);
  verify_empties(seg);
  assert_ok(shoal_segment_close(seg));
}

static void *open_or_create_in_thread(void *arg) {
  struct shoal_object o;
  struct shoal_segment *seg = arg;
  MUST(shoal_object_open_or_create(seg, "jobs", "test", 2000, NULL, NULL, &o) == 0);
  return (void *)(uintptr_t)(strcmp(o.memory, "made") == 0 ? 1 : 2);
}

// Sleepers wait for a creator; its success, or its death, wakes them all.
static void test_open_or_create_waits(void **state) {
  (void)state;
  struct shared *s = shared_memory(sizeof *s);
  for (int killed = 0; killed < 2; killed++) {
    struct shoal_segment *seg = anonymous(&small);
    pid_t pid = child_in_init(seg, s);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, open_or_create_in_thread, seg);
    struct shoal_entry_shm *e = NULL;
    for (uint32_t i = 0; i < seg->g.entries; i++)
      if (STATE_OF(shoal_load64_relaxed(&seg->entries[i].state)) == CREATING) e = &seg->entries[i];
    assert_non_null(e);
    while (!(shoal_load64_relaxed(&e->state) & 8)) sched_yield();  // somebody sleeps, or is about to
    if (killed) kill_and_wait(pid);
    else signal_to(&s->go);
    for (int i = 0; i < 4; i++) {
      void *answer;
      pthread_join(threads[i], &answer);
      assert_int_equal((uintptr_t)answer, killed ? 2 : 1);
    }
    if (!killed) assert_exits(pid, 0);
    shoal_held_drop_all_(seg);
    shoal_proc_reap(seg);
    verify_empties(seg);
    assert_ok(shoal_segment_close(seg));
  }
}

static pid_t child_that_holds(struct shoal_segment *seg, struct shared *s, int raw, int until) {
  pid_t pid;
  shoal_store32_relaxed(&s->ready, 0);
  shoal_store32_relaxed(&s->go, 0);
  pid = raw ? clone_child() : fork_child();
  if (pid == 0) {
    struct shoal_object o;
    if (until) {  // opens it itself
      MUST(shoal_object_open(seg, "jobs", "test", &o) == 0);
    } else {  // inherits it
      shoal_proc_id id;
      MUST(shoal_proc_self(seg, &id) == 0);
    }
    signal_to(&s->ready);
    await(&s->go, 1);
    _exit(0);
  }
  await(&s->ready, 1);
  return pid;
}

static void test_memory_waits_for_its_users(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shared *s = shared_memory(sizeof *s);
  for (int how = 0; how < 6; how++) {  // inherited by fork, by clone, or opened; killed or exits
    struct shoal_object o;
    assert_ok(shoal_object_create(seg, "jobs", "test", 2000, NULL, NULL, &o));
    pid_t pid = child_that_holds(seg, s, how % 3 == 1, how % 3 == 2);
    assert_ok(shoal_object_remove(seg, "jobs"));
    assert_ok(shoal_object_close(seg, &o));
    assert_int_equal(info_of(seg).used, 2048);
    shoal_proc_reap(seg);
    assert_int_equal(info_of(seg).used, 2048);
    if (how < 3) {
      kill_and_wait(pid);
    } else {
      signal_to(&s->go);
      assert_exits(pid, 0);
    }
    shoal_proc_reap(seg);
    assert_int_equal(info_of(seg).used, 0);
    verify(seg);
  }
  verify_empties(seg);
  assert_ok(shoal_segment_close(seg));
}

static int count_each(const struct shoal_object_info *info, void *arg) {
  (void)info;
  ++*(int *)arg;
  return 0;
}

static void test_without_a_name(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shared *s = shared_memory(sizeof *s);
  struct shoal_object o[20];
  int listed = 0, seven = 7;
  for (int i = 0; i < 20; i++) assert_ok(shoal_object_create(seg, NULL, "test", 2000, fill, &seven, &o[i]));
  assert_int_equal(((char *)o[19].memory)[1999], 7);
  assert_ok(shoal_object_list(seg, count_each, &listed));
  assert_int_equal(listed, 0);
  shoal_proc_reap(seg);
  assert_int_equal(info_of(seg).used, 20 * 2048);
  verify(seg);
  for (int i = 1; i < 20; i++) assert_ok(shoal_object_close(seg, &o[i]));
  pid_t pid = child_that_holds(seg, s, 0, 0);
  assert_ok(shoal_object_close(seg, &o[0]));
  shoal_proc_reap(seg);
  assert_int_equal(info_of(seg).used, 2048);  // the child's
  kill_and_wait(pid);
  shoal_proc_reap(seg);
  assert_int_equal(info_of(seg).used, 0);
  pid = fork_child();
  if (pid == 0) {
    MUST(shoal_object_create(seg, NULL, "test", 2000, NULL, NULL, &o[0]) == 0);
    raise(SIGKILL);
  }
  assert_int_equal(waitpid(pid, NULL, 0), pid);
  shoal_proc_reap(seg);
  assert_int_equal(info_of(seg).used, 0);
  verify_empties(seg);
  assert_ok(shoal_segment_close(seg));
}

// The user's participant has left, or was reaped, while the process lives: what it has open stays.
static void test_references_outlive_participants(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small), *other = again(seg);
  struct shoal_object o;
  assert_ok(create(seg, "jobs", 2000));
  assert_ok(shoal_object_open(seg, "jobs", "test", &o));
  assert_ok(shoal_proc_leave(seg));
  assert_ok(shoal_object_remove(other, "jobs"));
  shoal_proc_reap(other);
  assert_int_equal(info_of(seg).used, 2048);
  assert_ok(shoal_object_close(seg, &o));
  assert_int_equal(info_of(seg).used, 2048);  // that of create
  assert_ok(shoal_segment_close(seg));
  assert_int_equal(info_of(other).used, 0);
  verify_empties(other);
  assert_ok(shoal_segment_close(other));
}

// A child that comes too late learns that what it inherited is gone.
static void test_child_confirms_what_it_inherited(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shared *s = shared_memory(sizeof *s);
  struct shoal_object kept, lost;
  pid_t pid;
  assert_ok(shoal_object_create(seg, "kept", "test", 100, NULL, NULL, &kept));
  assert_ok(shoal_object_create(seg, "lost", "test", 100, NULL, NULL, &lost));
  assert_ok(shoal_object_confirm(seg, &kept));
  pid = fork_child();
  if (pid == 0) {
    await(&s->go, 1);
    MUST(shoal_object_confirm(seg, &kept) == 0);
    MUST(shoal_object_confirm(seg, &lost) == -ENOENT);
    MUST(shoal_object_close(seg, &lost) == 0);
    MUST(shoal_object_close(seg, &kept) == 0);
    MUST(shoal_segment_close(seg) == 0);
    _exit(0);
  }
  assert_ok(shoal_object_remove(seg, "lost"));
  assert_ok(shoal_object_close(seg, &lost));
  assert_ok(create(seg, "in its place", 100));
  signal_to(&s->go);
  assert_exits(pid, 0);
  assert_true(exists(seg, "kept"));
  assert_true(exists(seg, "in its place"));
  shoal_held_drop_all_(seg);
  verify_empties(seg);
  assert_ok(shoal_segment_close(seg));
}

// A child that closes what it inherited, never having used the segment, takes nothing from its parent.
static void test_child_closes_without_joining(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_object o;
  pid_t pid;
  assert_ok(shoal_object_create(seg, "jobs", "test", 100, NULL, NULL, &o));
  for (int whole = 0; whole < 2; whole++) {
    pid = fork_child();
    if (pid == 0) {
      if (whole) MUST(shoal_segment_close(seg) == 0);
      else MUST(shoal_object_close(seg, &o) == 0);
      _exit(0);
    }
    assert_exits(pid, 0);
  }
  assert_ok(shoal_object_remove(seg, "jobs"));
  assert_int_equal(info_of(seg).used, 512);
  assert_ok(shoal_object_close(seg, &o));
  assert_int_equal(info_of(seg).used, 0);
  assert_ok(shoal_segment_close(seg));
}

// ---- concurrent bodies: threads, and processes at other addresses ----

struct body {
  struct shoal_segment *seg;
  struct shared *s;
  int index;
  void (*run)(struct body *);
};
static void *body_thread(void *arg) {
  struct body *b = arg;
  b->run(b);
  return NULL;
}
static void run_together(struct shoal_segment *seg, struct shared *s, void (**runs)(struct body *), int n, int driver) {
  struct body bodies[16];
  pthread_t threads[16];
  pid_t pids[16];
  for (int i = 0; i < n; i++) {
    bodies[i] = (struct body){seg, s, i, runs[i]};
    if (driver == 0) {
      pthread_create(&threads[i], NULL, body_thread, &bodies[i]);
    } else {
      pids[i] = fork_child();
      if (pids[i] == 0) {
        bodies[i].seg = again(seg);
        runs[i](&bodies[i]);
        MUST(shoal_segment_close(bodies[i].seg) == 0);
        _exit(0);
      }
    }
  }
  for (int i = 0; i < n; i++) {
    if (driver == 0) pthread_join(threads[i], NULL);
    else assert_exits(pids[i], 0);
  }
}

static int sign(void *memory, uint64_t size, void *name) {
  strncpy(memory, name, size);
  ((char *)memory)[size - 1] = (char)size;
  return 0;
}

// What is LIVE throughout is found every time, whatever happens beside it in the same places of the table.
static void find_stable(struct body *b) {
  struct shoal_object o;
  char name[16];
  for (int round = 0; round < 3000; round++) {
    snprintf(name, sizeof name, "s%d", round % 8);
    MUST(shoal_object_open(b->seg, name, "test", &o) == 0);
    MUST(strcmp(o.memory, name) == 0);
    MUST(shoal_object_close(b->seg, &o) == 0);
  }
  signal_to(&b->s->stop);
}
// Names come and go; what is opened is what was asked for.
static void come_and_go(struct body *b) {
  uint32_t seed = 1000u + (uint32_t)b->index;
  while (shoal_load32_relaxed(&b->s->stop) < 2) {
    struct shoal_object o;
    char name[16];
    uint64_t size = 64 + random_next(&seed) % 1500;
    snprintf(name, sizeof name, "v%u", random_next(&seed) % 12);
    const char *as = random_next(&seed) % 4 ? name : NULL;  // now and then without one
    int rc = random_next(&seed) % 2 ? shoal_object_create(b->seg, as, "test", size, sign, name, &o)
                                    : shoal_object_open(b->seg, name, "test", &o);
    if (rc == 0) {
      MUST(strcmp(o.memory, name) == 0);
      MUST(((char *)o.memory)[o.size - 1] == (char)o.size);
      if (random_next(&seed) % 2) {
        rc = shoal_object_remove(b->seg, name);
        MUST(rc == 0 || rc == -ENOENT);
      }
      MUST(strcmp(o.memory, name) == 0);
      MUST(shoal_object_close(b->seg, &o) == 0);
    } else {
      MUST(rc == -EEXIST || rc == -ENOENT || rc == -ENOSPC);
    }
  }
}

static void test_lookups_beside_changes(void **state) {
  (void)state;
  for (int driver = 0; driver < DRIVERS; driver++) {
    struct shoal_segment *seg = anonymous(&(struct shoal_segment_options){
        .size = 64 << 10, .size_max = 16 << 20, .participants = 16, .objects = 20});  // a table of 32: long searches
    struct shared *s = shared_memory(sizeof *s);
    char name[16];
    for (int i = 0; i < 8; i++) {
      struct shoal_object o;
      snprintf(name, sizeof name, "s%d", i);
      assert_ok(shoal_object_create(seg, name, "test", 100, sign, name, &o));
    }
    void (*runs[])(struct body *) = {find_stable, find_stable, come_and_go, come_and_go};
    run_together(seg, s, runs, 4, driver);
    shoal_held_drop_all_(seg);
    shoal_proc_reap(seg);
    verify_empties(seg);
    assert_ok(shoal_segment_close(seg));
    munmap(s, sizeof *s);
  }
}

// One name, many who want it: exactly one makes it, all get the same.
static void want(struct body *b) {
  for (unsigned round = 0; round < 200; round++) {
    struct shoal_object o;
    char name[16];
    snprintf(name, sizeof name, "w%u", round % 50);
    MUST(shoal_object_open_or_create(b->seg, name, "test", 64, NULL, NULL, &o) == 0);
    shoal_add32_relaxed(o.memory, 1);
    MUST(shoal_object_close(b->seg, &o) == 0);
  }
}
static void test_open_or_create_together(void **state) {
  (void)state;
  for (int driver = 0; driver < DRIVERS; driver++) {
    struct shoal_segment *seg = anonymous(&small);
    void (*runs[])(struct body *) = {want, want, want, want};
    run_together(seg, NULL, runs, 4, driver);
    for (unsigned i = 0; i < 50; i++) {
      struct shoal_object o;
      char name[16];
      snprintf(name, sizeof name, "w%u", i);
      assert_ok(shoal_object_open(seg, name, "test", &o));
      assert_int_equal(*(uint32_t *)o.memory, 16);
      assert_ok(shoal_object_close(seg, &o));
    }
    verify_empties(seg);
    assert_ok(shoal_segment_close(seg));
  }
}

// Many processes create, open, close and remove, and are killed at random moments. Afterwards everything agrees, and
// nothing has leaked: all memory and every entry comes back.
static void test_random_kills_among_processes(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shared *s = shared_memory(sizeof *s);
  uint32_t seed = 4711;
  pid_t pids[4] = {0};
  for (int round = 0; round < 400; round++) {
    int i = (int)(random_next(&seed) % 4);
    if (pids[i]) kill_and_wait(pids[i]);
    pids[i] = fork_child();
    if (pids[i] == 0) {
      struct body b = {again(seg), s, round, come_and_go};
      come_and_go(&b);
      _exit(98);
    }
    int64_t end = shoal_now_ns() + random_next(&seed) % 3000000;
    while (shoal_now_ns() < end) {
      struct shoal_object o;
      char name[16];
      snprintf(name, sizeof name, "v%u", random_next(&seed) % 12);
      if (random_next(&seed) % 8 == 0) shoal_proc_reap(seg);
      int rc = shoal_object_open(seg, name, "test", &o);
      if (rc == 0) {
        assert_string_equal(o.memory, name);
        assert_ok(shoal_object_close(seg, &o));
      } else {
        assert_int_equal(rc, -ENOENT);
      }
    }
  }
  for (int i = 0; i < 4; i++)
    if (pids[i]) kill_and_wait(pids[i]);
  shoal_proc_reap(seg);
  verify_empties(seg);
  for (uint32_t i = 0; i < seg->g.participants; i++) {
    uint32_t word = shoal_load32_relaxed(&seg->procs[i].live.word);
    assert_true(word == 0 || shoal_robust_owner(word) == (uint32_t)getpid());
  }
  assert_ok(shoal_segment_close(seg));
}

// More users of one object than fit in its line of records; they spill, and are found.
// What the dead had open does not keep the living from opening.
static void test_the_dead_do_not_fill_the_table_of_uses(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&(struct shoal_segment_options){.participants = 8, .objects = 8});
  struct shoal_object object;
  assert_ok(shoal_object_create(seg, "one", "type", 64, NULL, NULL, &object));
  for (int life = 0; life < 300; life++) {
    int status;
    pid_t pid = fork_child();
    if (pid == 0) {
      struct shoal_object mine;
      _exit(shoal_object_open(seg, "one", "type", &mine) != 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
  }
  assert_ok(shoal_segment_close(seg));
}

// The owner words say that what lies there is free: nothing is zeroed, nor lent, that holds a word of this thread.
static void test_no_object_over_a_held_word(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_object whole, held, part, other;
  assert_ok(shoal_object_create(seg, "whole", "test", 64, NULL, NULL, &whole));
  assert_ok(shoal_object_create(seg, "held", "test", 512, NULL, NULL, &held));
  struct shoal_robust *word = (struct shoal_robust *)(void *)((char *)held.memory + 448);
  assert_ok(shoal_robust_acquire_(word, SHOAL_FOREVER));
  uint64_t unit = (held.off - seg->g.units_off) / SHOAL_UNIT_;
  uint32_t owner = shoal_load32_relaxed(&seg->owners[unit]);
  for (uint64_t i = 0; i < 512 / SHOAL_UNIT_; i++) shoal_store32_relaxed(&seg->owners[unit + i], 0);
  shoal_store64_relaxed(&seg->next_unit, unit);
  assert_int_equal(shoal_object_part_(seg, &whole, 1, 512, &part), -EPROTO);
  shoal_store64_relaxed(&seg->next_unit, unit);
  assert_int_equal(create(seg, "other", 512), -EPROTO);
  for (uint64_t i = 0; i < 512 / SHOAL_UNIT_; i++) shoal_store32_relaxed(&seg->owners[unit + i], owner);
  // a part that is there, of whose place it is said
  assert_ok(shoal_object_part_(seg, &whole, 1, 512, &part));
  shoal_store64_relaxed(&seg->entries[part.entry].off, held.off);
  assert_int_equal(shoal_object_part_(seg, &whole, 1, 512, &other), -EPROTO);
  shoal_store64_relaxed(&seg->entries[part.entry].off, part.off);
  assert_ok(shoal_object_part_(seg, &whole, 1, 512, &other));
  shoal_robust_release_(word);
  assert_ok(shoal_object_close(seg, &held));
  assert_ok(shoal_object_close(seg, &whole));
  assert_ok(shoal_segment_close(seg));
}

static void test_many_references_to_one_object(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_object made, o[40];
  assert_ok(shoal_object_create(seg, "jobs", "test", 100, NULL, NULL, &made));
  for (int i = 0; i < 40; i++) assert_ok(shoal_object_open(seg, "jobs", "test", &o[i]));
  assert_ok(shoal_object_remove(seg, "jobs"));
  assert_ok(shoal_object_close(seg, &made));
  for (int i = 0; i < 40; i++) {
    assert_int_equal(info_of(seg).used, 512);
    assert_ok(shoal_object_close(seg, &o[i]));
  }
  assert_int_equal(info_of(seg).used, 0);
  uint32_t most = seg->g.lines * SHOAL_LINE_RECORDS_ - 1;  // as many uses as the segment holds
  assert_ok(create(seg, "jobs", 100));
  struct shoal_object *all = calloc(most + 1, sizeof *all);
  for (uint32_t i = 0; i < most; i++) assert_ok(shoal_object_open(seg, "jobs", "test", &all[i]));
  assert_int_equal(shoal_object_open(seg, "jobs", "test", &all[most]), -ENOSPC);
  assert_int_equal(create(seg, "other", 100), -ENOSPC);
  assert_false(info_of(seg).used > 512);
  for (uint32_t i = 0; i < most; i++) assert_ok(shoal_object_close(seg, &all[i]));
  free(all);
  shoal_held_drop_all_(seg);
  verify_empties(seg);
  assert_ok(shoal_segment_close(seg));
}

// The directory's contents are not trusted: an entry that points outside is refused, by everybody, for ever.
static void test_damaged_entries(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&small);
  struct shoal_object o;
  assert_ok(shoal_object_create(seg, "jobs", "test", 100, NULL, NULL, &o));
  struct shoal_entry_shm *e = &seg->entries[o.entry];
  const uint64_t off = o.off;
  const struct {
    uint64_t off, size;
  } bad[] = {{0, 100},          {4096, 100},           {UINT64_MAX, 100},         {UINT64_MAX - 50, 100}, {off, 0},
             {off, UINT64_MAX}, {off, UINT64_MAX / 2}, {off, small.size_max + 1}, {off - 1, UINT64_MAX},  {off + 1, 90},
             {off + 64, 36}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    shoal_store64_relaxed(&e->off, bad[i].off);
    shoal_store64_relaxed(&e->size, bad[i].size);
    assert_int_equal(shoal_object_open(seg, "jobs", "test", &o), -EPROTO);
    assert_ok(create(seg, "beside", 3000));
    assert_ok(shoal_object_remove(seg, "beside"));
    shoal_segment_info(seg, &(struct shoal_segment_info){.size = 0});
  }
  assert_ok(shoal_object_remove(seg, "jobs"));
  shoal_held_drop_all_(seg);
  assert_ok(shoal_segment_close(seg));
}

int main(void) {
  alarm(WATCHDOG_S);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_unseen_before_init_is_done),
      cmocka_unit_test(test_creator_killed_in_init),
      cmocka_unit_test(test_creator_thread_exits_in_init),
      cmocka_unit_test(test_open_or_create_waits),
      cmocka_unit_test(test_memory_waits_for_its_users),
      cmocka_unit_test(test_without_a_name),
      cmocka_unit_test(test_references_outlive_participants),
      cmocka_unit_test(test_no_object_over_a_held_word),
      cmocka_unit_test(test_child_confirms_what_it_inherited),
      cmocka_unit_test(test_child_closes_without_joining),
      cmocka_unit_test(test_lookups_beside_changes),
      cmocka_unit_test(test_open_or_create_together),
      cmocka_unit_test(test_random_kills_among_processes),
      cmocka_unit_test(test_the_dead_do_not_fill_the_table_of_uses),
      cmocka_unit_test(test_many_references_to_one_object),
      cmocka_unit_test(test_damaged_entries),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
