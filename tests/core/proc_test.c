// What core/proc.h claims:
// - a thread is one participant, whatever it calls and however many segments it uses; a child of fork is another
// - every death is seen: SIGKILL, exec, thread exit, exit; also one that the kernel could not mark, by `sure`
// - a dead participant's slot is used again, under another id; a stale id never lives again
// - a full table refuses the newcomer, unless somebody in it is dead
// - reaping is for anybody, any number at a time, and may be killed midway
#include <sys/prctl.h>

#include "core/deadline.h"
#include "tests/core/support.h"

static const struct shoal_segment_options few = {
    .size = 64 << 10, .size_max = 1 << 20, .participants = 4, .objects = 16};

static shoal_proc_id self(struct shoal_segment *seg) {
  shoal_proc_id id = 0;
  MUST(shoal_proc_self(seg, &id) == 0);
  MUST(id != 0);
  return id;
}

// ---- identity ----

static void test_one_id_a_thread(void **state) {
  (void)state;
  struct shoal_segment *seg[20];
  shoal_proc_id id[20];
  for (int i = 0; i < 20; i++) seg[i] = anonymous(&few);
  for (int i = 0; i < 20; i++) id[i] = self(seg[i]);
  for (int round = 0; round < 3; round++)
    for (int i = 0; i < 20; i++) {
      assert_int_equal(self(seg[i]), id[i]);
      assert_int_equal(info_of(seg[i]).participants, 1);
      assert_true(shoal_proc_alive(seg[i], id[i], 1));
    }
  for (int i = 0; i < 20; i++) assert_ok(shoal_segment_close(seg[i]));
}

static void test_leave_and_join_again(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&few);
  assert_ok(shoal_proc_leave(seg));
  shoal_proc_id first = self(seg);
  assert_ok(shoal_proc_leave(seg));
  assert_ok(shoal_proc_leave(seg));
  assert_int_equal(info_of(seg).participants, 0);
  assert_false(shoal_proc_alive(seg, first, 0));
  for (int i = 0; i < 1000; i++) {
    shoal_proc_id id = self(seg);
    assert_int_not_equal(id, first);
    assert_false(shoal_proc_alive(seg, first, 0));
    assert_true(shoal_proc_alive(seg, id, 1));
    assert_ok(shoal_proc_leave(seg));
  }
  assert_false(shoal_proc_alive(seg, 0, 1));
  assert_false(shoal_proc_alive(seg, UINT32_MAX, 1));
  assert_ok(shoal_segment_close(seg));
}

static int count_each(const struct shoal_proc_info *info, void *arg) {
  struct shoal_proc_info *last = arg;
  *last = *info;
  return 0;
}
static int stop_at_first(const struct shoal_proc_info *info, void *arg) {
  (void)info;
  ++*(int *)arg;
  return -EPIPE;
}

static void test_list_and_names(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&few);
  struct shoal_proc_info info = {0};
  char longest[200];
  shoal_proc_id id = self(seg);
  assert_ok(shoal_proc_name(seg, "the one"));
  assert_int_equal(shoal_proc_list(seg, count_each, &info), 0);
  assert_int_equal(info.id, id);
  assert_int_equal(info.pid, getpid());
  assert_int_equal(info.tid, syscall(SYS_gettid));
  assert_int_equal(info.start_time, shoal_thread_start_time_(info.pid, info.tid));
  assert_true(info.start_time > 0);
  assert_true(info.alive);
  assert_string_equal(info.name, "the one");
  memset(longest, 'x', sizeof longest);
  longest[sizeof longest - 1] = 0;
  assert_ok(shoal_proc_name(seg, longest));
  shoal_proc_list(seg, count_each, &info);
  assert_int_equal(strlen(info.name), SHOAL_NAME_MAX);
  int calls = 0;
  assert_int_equal(shoal_proc_list(seg, stop_at_first, &calls), -EPIPE);
  assert_int_equal(calls, 1);
  assert_ok(shoal_segment_close(seg));
}

// The kernel's line has the name in its middle.
static void test_start_time_whatever_the_name(void **state) {
  (void)state;
  char old[17] = "", line[1024] = "";
  unsigned long long start = 0;
  prctl(PR_GET_NAME, old);
  prctl(PR_SET_NAME, ") R 1 (2 3)");
  int fd = open("/proc/thread-self/stat", O_RDONLY);
  assert_true(read(fd, line, sizeof line - 1) > 0);
  close(fd);
  assert_int_equal(sscanf(strrchr(line, ')'),
                          ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &start),
                   1);
  assert_int_equal(shoal_thread_start_time_((uint32_t)getpid(), (uint32_t)syscall(SYS_gettid)), start);
  prctl(PR_SET_NAME, old);
}

// ---- fork ----

static void test_child_of_fork_is_another(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&few);
  shoal_proc_id mine = self(seg);
  for (int raw = 0; raw < 2; raw++) {
    pid_t pid = raw ? clone_child() : fork_child();
    if (pid == 0) {
      shoal_proc_id id = self(seg);
      MUST(id != mine && self(seg) == id);
      MUST(shoal_proc_alive(seg, mine, 1) && shoal_proc_alive(seg, id, 1));
      MUST(info_of(seg).participants == 2);
      MUST(raw || shoal_segment_close(seg) == 0);
      _exit(0);
    }
    assert_exits(pid, 0);
    assert_int_equal(self(seg), mine);
    assert_true(shoal_proc_alive(seg, mine, 1));
    assert_int_equal(info_of(seg).participants, 1);
    assert_int_equal(shoal_proc_reap(seg), raw);  // the first one left, the second died
  }
  assert_ok(shoal_segment_close(seg));
}

static void *first_use(void *arg) {
  self(arg);
  MUST(info_of(arg).participants == 2);
  return NULL;
}
// The child's first thread to use the library is one that its parent never had.
static void test_first_use_in_a_new_thread_of_a_child(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&few);
  self(seg);
  pid_t pid = fork_child();
  if (pid == 0) {
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, first_use, seg) == 0);
    MUST(pthread_join(thread, NULL) == 0);
    _exit(0);
  }
  assert_exits(pid, 0);
  assert_ok(shoal_segment_close(seg));
}

static void test_grandchildren(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&few);
  self(seg);
  pid_t pid = fork_child();
  if (pid == 0) {  // this generation never looks
    pid = fork_child();
    if (pid == 0) {
      self(seg);
      MUST(info_of(seg).participants == 2);
      pid = fork_child();
      if (pid == 0) {
        self(seg);
        MUST(info_of(seg).participants == 3);
        _exit(0);
      }
      int st;
      MUST(waitpid(pid, &st, 0) == pid && st == 0);
      _exit(0);
    }
    int st;
    MUST(waitpid(pid, &st, 0) == pid && st == 0);
    _exit(0);
  }
  assert_exits(pid, 0);
  assert_ok(shoal_segment_close(seg));
}

// ---- deaths ----

struct report {
  shoal_atomic32 id, go;
};
static void *join_and_exit(void *arg) {
  struct shoal_segment *seg = ((void **)arg)[0];
  struct report *r = ((void **)arg)[1];
  shoal_store32_relaxed(&r->id, self(seg));
  return NULL;
}

enum { KILLED, EXITED, EXECUTED, THREAD_EXITED, RAW_CLONE_KILLED, KINDS };

static void test_every_death_is_seen(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&few);
  struct report *r = shared_memory(sizeof *r);
  for (int kind = 0; kind < KINDS; kind++) {
    shoal_store32_relaxed(&r->id, 0);
    shoal_store32_relaxed(&r->go, 0);
    pid_t pid = kind == RAW_CLONE_KILLED ? clone_child() : fork_child();
    if (pid == 0) {
      pthread_t thread;
      void *args[] = {seg, r};
      if (kind == THREAD_EXITED) {
        MUST(pthread_create(&thread, NULL, join_and_exit, args) == 0);
        MUST(pthread_join(thread, NULL) == 0);
        for (;;) pause();
      }
      shoal_store32_release(&r->id, self(seg));
      await(&r->go, 1);
      if (kind == EXITED) _exit(0);
      if (kind == EXECUTED) execl("/bin/sleep", "sleep", "1000", NULL);
      for (;;) pause();
    }
    while (!shoal_load32_acquire(&r->id)) sched_yield();
    shoal_proc_id id = shoal_load32_relaxed(&r->id);
    if (kind != THREAD_EXITED) assert_true(shoal_proc_alive(seg, id, 1));
    signal_to(&r->go);
    if (kind == EXECUTED || kind == THREAD_EXITED) {
      while (shoal_proc_alive(seg, id, 0)) sched_yield();  // the process lives on
      assert_int_equal(kill(pid, 0), 0);
    } else if (kind == EXITED) {
      assert_exits(pid, 0);
    } else {
      kill_and_wait(pid);
    }
    assert_false(shoal_proc_alive(seg, id, 0));
    assert_int_equal(shoal_proc_reap(seg), 1);
    assert_int_equal(shoal_proc_reap(seg), 0);
    assert_int_equal(info_of(seg).participants, 0);
    if (kind == EXECUTED || kind == THREAD_EXITED) kill_and_wait(pid);
  }
  assert_ok(shoal_segment_close(seg));
}

// The kernel gives up after 2,048 entries; what was enlisted first comes last.
static void test_unmarked_death(void **state) {
  (void)state;
  struct shoal_segment_options o = few;
  o.size = 1 << 20;
  struct shoal_segment *seg = anonymous(&o);
  struct report *r = shared_memory(sizeof *r);
  pid_t pid = fork_child();
  if (pid == 0) {
    shoal_proc_id id = self(seg);
    struct shoal_robust *words = (struct shoal_robust *)seg->units;
    for (int i = 0; i < 2100; i++) MUST(shoal_robust_acquire_(&words[i], SHOAL_TRY) == 0);
    shoal_store32_release(&r->id, id);
    for (;;) pause();
  }
  while (!shoal_load32_acquire(&r->id)) sched_yield();
  shoal_proc_id id = shoal_load32_relaxed(&r->id);
  kill_and_wait(pid);
  assert_true(shoal_proc_alive(seg, id, 0));  // the mark is missing
  assert_false(shoal_proc_alive(seg, id, 1));
  assert_false(shoal_proc_alive(seg, id, 0));
  assert_int_equal(shoal_proc_reap(seg), 1);
  assert_ok(shoal_segment_close(seg));
}

// An unmarked word whose thread number another thread has now: the start time tells.
static void test_reused_thread_number(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&few);
  shoal_proc_id id = self(seg);
  struct shoal_proc_shm *p = &seg->procs[(id & 0xffff) - 1];
  assert_true(shoal_proc_alive(seg, id, 1));
  shoal_store64_relaxed(&p->start_time, shoal_load64_relaxed(&p->start_time) - 1);
  assert_true(shoal_proc_alive(seg, id, 0));
  assert_false(shoal_proc_alive(seg, id, 1));
  assert_false(shoal_proc_alive(seg, id, 0));
  assert_ok(shoal_segment_close(seg));
}

// ---- a full table ----

static void test_full_table(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&few);
  struct report *r = shared_memory(sizeof *r);
  pid_t pids[4];
  for (int i = 0; i < 4; i++) {
    pids[i] = fork_child();
    if (pids[i] == 0) {
      self(seg);
      signal_to(&r->go);
      for (;;) pause();
    }
  }
  await(&r->go, 4);
  shoal_proc_id id;
  assert_int_equal(shoal_proc_self(seg, &id), -EUSERS);
  assert_int_equal(shoal_proc_name(seg, "nobody"), -EUSERS);
  kill_and_wait(pids[2]);
  assert_ok(shoal_proc_self(seg, &id));  // by itself
  assert_int_equal(info_of(seg).participants, 4);
  for (int i = 0; i < 4; i++)
    if (i != 2) kill_and_wait(pids[i]);
  assert_int_equal(shoal_proc_reap(seg), 3);
  assert_ok(shoal_segment_close(seg));
}

static void *one_of_many(void *arg) {
  struct shoal_segment *seg = ((void **)arg)[0];
  struct report *r = ((void **)arg)[1];
  shoal_proc_id id = self(seg);
  signal_to(&r->id);
  await(&r->go, 1);
  MUST(self(seg) == id && shoal_proc_alive(seg, id, 0));
  MUST(shoal_proc_leave(seg) == 0);
  return NULL;
}

static void test_1024_participants(void **state) {
  (void)state;
  enum { PROCESSES = 8, THREADS = 128 };
  struct shoal_segment *seg = anonymous(NULL);
  struct report *r = shared_memory(sizeof *r);
  pid_t pids[PROCESSES];
  for (int i = 0; i < PROCESSES; i++) {
    pids[i] = fork_child();
    if (pids[i] == 0) {
      pthread_t threads[THREADS];
      pthread_attr_t attr;
      void *args[] = {i % 2 ? again(seg) : seg, r};
      pthread_attr_init(&attr);
      pthread_attr_setstacksize(&attr, 64 << 10);
      for (int k = 0; k < THREADS; k++) MUST(pthread_create(&threads[k], &attr, one_of_many, args) == 0);
      for (int k = 0; k < THREADS; k++) MUST(pthread_join(threads[k], NULL) == 0);
      _exit(0);
    }
  }
  await(&r->id, PROCESSES * THREADS);
  assert_int_equal(info_of(seg).participants, 1024);
  shoal_proc_id id;
  assert_int_equal(shoal_proc_self(seg, &id), -EUSERS);
  signal_to(&r->go);
  for (int i = 0; i < PROCESSES; i++) assert_exits(pids[i], 0);
  assert_int_equal(info_of(seg).participants, 0);
  assert_ok(shoal_proc_self(seg, &id));
  assert_ok(shoal_segment_close(seg));
}

static void test_65535_slots(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&(struct shoal_segment_options){.participants = 65535, .size_max = 1 << 20});
  shoal_store32_relaxed(&seg->next_slot, 65534);
  shoal_proc_id id = self(seg);
  assert_int_equal(id & 0xffff, 65535);
  assert_true(shoal_proc_alive(seg, id, 1));
  assert_int_equal(info_of(seg).participants_max, 65535);
  assert_ok(shoal_segment_close(seg));
}

// ---- reapers ----

// Reapers beside each other, beside joiners, and killed at random: in the end every slot is free, and no living
// participant ever lost its own.
static void test_random_kills_among_reaping_and_joining_processes(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(
      &(struct shoal_segment_options){.size = 64 << 10, .size_max = 1 << 20, .participants = 8, .objects = 16});
  uint32_t seed = 99;
  pid_t pids[5];
  for (int i = 0; i < 5; i++) pids[i] = 0;
  for (int round = 0; round < 300; round++) {
    int i = (int)(random_next(&seed) % 5);
    if (pids[i]) kill_and_wait(pids[i]);
    pids[i] = fork_child();
    if (pids[i] == 0)
      for (uint32_t mine = seed + (uint32_t)getpid();;) {
        shoal_proc_id id;
        int rc = shoal_proc_self(seg, &id);
        MUST(rc == 0 || rc == -EUSERS);
        if (rc) continue;
        for (uint32_t n = random_next(&mine) % 8; n; n--) {
          MUST(shoal_proc_alive(seg, id, 0));
          MUST(shoal_proc_reap(seg) >= 0);
        }
        MUST(shoal_proc_alive(seg, id, 1));
        if (random_next(&mine) % 2) MUST(shoal_proc_leave(seg) == 0);
      }
    int64_t end = shoal_now_ns() + random_next(&seed) % 500000;
    while (shoal_now_ns() < end) MUST(shoal_proc_reap(seg) >= 0);
  }
  for (int i = 0; i < 5; i++)
    if (pids[i]) kill_and_wait(pids[i]);
  shoal_proc_reap(seg);
  for (uint32_t i = 0; i < seg->g.participants; i++)
    assert_int_equal(shoal_load32_relaxed(&seg->procs[i].live.word), 0);
  assert_ok(shoal_segment_close(seg));
}

// A reaper that stopped between its look and its last step comes too late: the slot has been freed, taken, and left
// dead by another.
static void test_late_reaper_frees_nobody_else(void **state) {
  (void)state;
  struct shoal_segment *seg = anonymous(&few);
  struct report *r = shared_memory(sizeof *r);
  uint64_t seen[2];
  for (int i = 0; i < 2; i++) {
    pid_t pid = fork_child();
    if (pid == 0) {
      shoal_store32_relaxed(&seg->next_slot, 0);
      shoal_store32_release(&r->id, self(seg));
      _exit(0);
    }
    assert_exits(pid, 0);
    assert_int_equal(shoal_load32_relaxed(&r->id) & 0xffff, 1);
    seen[i] = shoal_load64_relaxed(&seg->procs[0].both);
    if (i == 0) assert_int_equal(shoal_proc_reap(seg), 1);
  }
  assert_int_equal((uint32_t)seen[0], (uint32_t)seen[1]);  // the same mark; only the generation tells
  uint64_t late = seen[0];
  assert_false(shoal_cas64_acq_rel(&seg->procs[0].both, &late, 0));
  assert_int_equal(shoal_proc_reap(seg), 1);
  assert_ok(shoal_segment_close(seg));
}

int main(void) {
  alarm(WATCHDOG_S);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_id_a_thread),
      cmocka_unit_test(test_leave_and_join_again),
      cmocka_unit_test(test_list_and_names),
      cmocka_unit_test(test_start_time_whatever_the_name),
      cmocka_unit_test(test_child_of_fork_is_another),
      cmocka_unit_test(test_first_use_in_a_new_thread_of_a_child),
      cmocka_unit_test(test_grandchildren),
      cmocka_unit_test(test_every_death_is_seen),
      cmocka_unit_test(test_unmarked_death),
      cmocka_unit_test(test_reused_thread_number),
      cmocka_unit_test(test_full_table),
      cmocka_unit_test(test_1024_participants),
      cmocka_unit_test(test_65535_slots),
      cmocka_unit_test(test_random_kills_among_reaping_and_joining_processes),
      cmocka_unit_test(test_late_reaper_frees_nobody_else),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
