// What the shoal command claims of watching:
// - stat and watch tell what changed; top, in a pipe, as JSON, and on a terminal, where it listens to its keys
// - show and stat tell what participants have counted, show how fast counters rise; top tells what workers run, and for
//   how long
// - beside what cannot be looked at, top listens to its keys, shows what it knew, and says what it waits for; a
//   stranger's file is among its segments
#include <pty.h>

#include "core/proc.h"
#include "ipc/work/future.h"
#include "tests/tools/filled.h"

static void test_stat_and_watch(void **state) {
  (void)state;
  const char *name = test_name("watch");
  struct shoal_segment *seg;
  struct shoal_queue *q;
  uint32_t three = 3;
  char target[160], out[160];
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_ok(shoal_queue_create(seg, "q", &(struct shoal_queue_options){.capacity = 8, .element_size = 4}, &q));
  snprintf(target, sizeof target, "%s/q", name);
  struct run *r = tool("stat", "--json", "--interval", "0.01", name);
  assert_status(r, 0);
  assert_json(r);
  assert_has(r, "\"per_second\":{");
  assert_has(tool("stat", "-i", "0.01", "-n", "2", target), "PER SECOND");
  int fd[3] = {open("/dev/null", O_RDWR), memfd_create("out", MFD_CLOEXEC), 2};
  snprintf(out, sizeof out, "/proc/self/fd/%d", fd[1]);
  pid_t pid = start_tool(WORDS("watch", "-i", "0.01", "-n", "2", target), fd);
  struct stat st = {.st_size = 0};
  while (st.st_size == 0) assert_int_equal(fstat(fd[1], &st), 0);  // its first look
  assert_ok(shoal_queue_put(q, &three, SHOAL_TRY));
  assert_int_equal(status_of(pid), 0);
  char *text = slurp(fd[1]);
  assert_non_null(strstr(text, " state=filled depth=1"));
  free(text);
  close(fd[0]);
  assert_status(tool("watch", "-i", "0.01", "-t", "0.02", target), 4);
  assert_status(tool("watch", "-i", "0.01", "-t", "0", target), 4);  // at its second look
  assert_status(tool("watch", name), 2);
  assert_ok(shoal_queue_detach(q));
  assert_ok(shoal_queue_unlink(seg, "q"));
  assert_status(tool("watch", target), 1);
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

static void put_and_get(struct shoal_queue *q) {
  for (uint32_t n = 0;; n++) MUST(shoal_queue_put(q, &n, SHOAL_TRY) == 0 && shoal_queue_get(q, &n, SHOAL_TRY) == 0);
}
static void test_show_tells_rates(void **state) {
  (void)state;
  const char *name = test_name("rates");
  struct shoal_segment *seg;
  struct shoal_queue *q;
  char target[160];
  assert_ok(shoal_segment_create(name, &small, &seg));
  fill(seg);
  assert_ok(shoal_queue_create(seg, "q", &(struct shoal_queue_options){.capacity = 8, .element_size = 4}, &q));
  snprintf(target, sizeof target, "%s/q", name);
  struct run *r = tool("show", "--json", target);
  assert_json(r);
  assert_has(r, "\"per_second\":{\"put\":0,");
  pid_t pid = fork_child();
  if (pid == 0) put_and_get(q);
  while (!strstr(tool("show", "--interval", "0.01", target)->out, " a second\n")) sched_yield();
  kill_and_wait(pid);
  assert_has(tool("show", "--json", "-i0", joined(name, "an event")), "\"per_second\":{\"sets\":0}");
  assert_has(tool("show", "--json", "-i0", joined(name, "a lock")), "\"per_second\":{}}");
  r = tool("show", "--json", name);
  assert_json(r);
  assert_has(r, "\"per_second\":{\"blocks\":");
  assert_ok(shoal_queue_detach(q));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

static void test_top_in_a_pipe(void **state) {
  (void)state;
  const char *name = test_name("top");
  struct shoal_segment *seg;
  assert_ok(shoal_segment_create(name, &small, &seg));
  fill(seg);
  fill_queues(seg);
  struct run *r = tool("top", "-n", "2", "-i", "0.01", "-s", "depth", "-f", name);
  assert_status(r, 0);
  assert_has(r, joined(name, "a lock"));
  assert_true(strstr(r->out, joined(name, "fifo")) < strstr(r->out, joined(name, "a lock")));  // it has a depth
  r = tool("top", "-n", "1", "--json", "-f", "rwlock");
  assert_json(r);
  assert_has(r, "an rwlock");
  assert_null(strstr(r->out, "\"an event\""));
  assert_status(tool("top", "-s", "nonsense"), 2);
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

// What it has written to its terminal so far contains the text.
static void await_text(int terminal, const char *text) {
  static char seen[1 << 20];
  size_t n = 0;
  seen[0] = 0;
  while (!strstr(seen, text)) {
    ssize_t got = n < sizeof seen - 1 ? read(terminal, seen + n, sizeof seen - 1 - n) : -1;
    if (got <= 0) fail_msg("no \"%s\" on the terminal", text);
    for (size_t i = n; i < n + (size_t)got; i++) seen[i] = seen[i] ? seen[i] : ' ';
    seen[n += (size_t)got] = 0;
  }
}
static void press(int terminal, const char *keys) {
  assert_int_equal(write(terminal, keys, strlen(keys)), strlen(keys));
}

static void test_top_on_a_terminal(void **state) {
  (void)state;
  const char *name = test_name("screen");
  struct shoal_segment *seg;
  struct winsize size = {.ws_row = 40, .ws_col = 160};
  int terminal;
  assert_ok(shoal_segment_create(name, &small, &seg));
  fill(seg);
  fflush(NULL);
  pid_t pid = forkpty(&terminal, NULL, NULL, &size);
  if (pid == 0) {
    setenv("TERM", "xterm", 1);
    execl(tool_path, "shoal", "top", "-i", "0.05", "-f", name, (char *)NULL);
    _exit(127);
  }
  assert_true(pid > 0);
  await_text(terminal, "a barrier");  // the first of them
  press(terminal, "s");
  await_text(terminal, "depth");
  press(terminal, "\n");  // that alone
  await_text(terminal, "parties");
  press(terminal, "\033");
  await_text(terminal, "OBJECT");
  press(terminal, "/rwlock\n");
  await_text(terminal, "only");
  press(terminal, "q");
  while (read(terminal, &(char[4096]){0}, 4096) > 0) continue;  // until it has closed its end
  assert_int_equal(status_of(pid), 0);
  close(terminal);
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

// Who holds a lock, whether others wait, and all that the first line says: on 80 columns.
static void test_top_on_a_narrow_terminal(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_lock *lock;
  struct winsize size = {.ws_row = 500, .ws_col = 80};  // others' segments, too
  char name[32], wanted[64], seen[1 << 16] = "";
  int terminal;
  snprintf(name, sizeof name, "%llx", (long long)shoal_now_ns());  // one that leaves room for an object's
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_ok(shoal_lock_create(seg, "a lock", &lock));
  assert_ok(shoal_lock_acquire(lock, SHOAL_FOREVER));
  fflush(NULL);
  pid_t pid = forkpty(&terminal, NULL, NULL, &size);
  if (pid == 0) {
    setenv("TERM", "xterm", 1);
    execl(tool_path, "shoal", "top", "-n2", "-i0.05", "-swaiters", (char *)NULL);
    _exit(127);
  }
  assert_true(pid > 0);
  for (ssize_t n = 0, got; (got = read(terminal, seen + n, sizeof seen - 1 - (size_t)n)) > 0;) n += got;
  snprintf(wanted, sizeof wanted, "%d %7s held", (int)getpid(), "no");
  if (!strstr(seen, "esc back") || !strstr(seen, wanted)) fail_msg("%s", seen);
  assert_int_equal(status_of(pid), 0);
  close(terminal);
  assert_ok(shoal_lock_release(lock));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

static char state_of(pid_t pid) {
  char path[64], text[512] = "";
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  const char *end = n > 0 ? strrchr(text, ')') : NULL;
  return end ? end[2] : 0;
}
// One of its looks, in the middle of it.
static pid_t stop_a_look(pid_t top) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)top, (int)top);
  for (;; sched_yield()) {
    char text[16] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && read(fd, text, sizeof text - 1) >= 0);
    close(fd);
    pid_t look = (pid_t)atoi(text);
    if (!look || kill(look, SIGSTOP)) continue;
    char is;
    while ((is = state_of(look)) != 'T' && is && is != 'Z') sched_yield();
    if (is == 'T') return look;
  }
}
// However late a loaded machine is, once of a few times the answer comes before the look is given up.
static void test_top_beside_a_look_that_does_not_end(void **state) {
  (void)state;
  const char *name = test_name("stopped");
  struct shoal_segment *seg;
  struct winsize size = {.ws_row = 200, .ws_col = 160};
  int terminal, answered = 0;
  assert_ok(shoal_segment_create(name, &small, &seg));
  fill(seg);
  fflush(NULL);
  pid_t pid = forkpty(&terminal, NULL, NULL, &size);
  if (pid == 0) {
    setenv("TERM", "xterm", 1);
    execl(tool_path, "shoal", "top", "-i", "0.01", "-f", name, (char *)NULL);
    _exit(127);
  }
  assert_true(pid > 0);
  await_text(terminal, "a barrier");
  for (int i = 0; i < 10 && !answered; i++) {
    pid_t look = stop_a_look(pid);
    await_text(terminal, "looking at ");
    press(terminal, "\n");  // of the first of them, as it was known
    await_text(terminal, "parties");
    answered = state_of(look) == 'T';
    press(terminal, "\033");
    await_text(terminal, "an event");
    await_text(terminal, "busy, or damaged");
  }
  assert_true(answered);
  stop_a_look(pid);
  press(terminal, "q");
  while (read(terminal, &(char[4096]){0}, 4096) > 0) continue;
  assert_int_equal(status_of(pid), 0);
  close(terminal);
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

static void test_top_tells_what_it_cannot_look_at(void **state) {
  (void)state;
  char path[160];
  const char *name = test_name("hello");
  path_of(name, path);
  make_file(name, "hello", 5, 5);
  struct run *r = tool("top", "--json", "-n", "1");
  assert_json(r);
  assert_has(r, name);
  assert_has(r, "not a shoal segment");
  assert_has(tool("top", "-n", "1"), "not a shoal segment");
  assert_int_equal(unlink(path), 0);
}

// Of one object, with a window that it does not fit into.
static void test_top_scrolls(void **state) {
  (void)state;
  const char *name = test_name("scroll");
  struct shoal_segment *seg;
  struct winsize size = {.ws_row = 9, .ws_col = 160};
  int terminal;
  assert_ok(shoal_segment_create(name, &small, &seg));
  fill_queues(seg);
  fflush(NULL);
  pid_t pid = forkpty(&terminal, NULL, NULL, &size);
  if (pid == 0) {
    setenv("TERM", "xterm", 1);
    execl(tool_path, "shoal", "top", "-i", "0.05", "-f", "lines", (char *)NULL);
    _exit(127);
  }
  assert_true(pid > 0);
  await_text(terminal, "queue:bytes");
  press(terminal, "\n");
  await_text(terminal, "capacity");
  for (int i = 0; i < 60; i++) press(terminal, "\033OB");  // down
  await_text(terminal, "joins");
  for (int i = 0; i < 60; i++) press(terminal, "\033OA");
  await_text(terminal, "capacity");
  press(terminal, "q");
  while (read(terminal, &(char[4096]){0}, 4096) > 0) continue;
  assert_int_equal(status_of(pid), 0);
  close(terminal);
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

static void test_counts_are_told(void **state) {
  (void)state;
  const char *name = test_name("counts");
  struct shoal_segment *seg;
  struct shoal_event *event;
  shoal_proc_id me;
  char wanted[128];
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_ok(shoal_event_create(seg, "event", &event));
  assert_ok(shoal_proc_self(seg, &me));
  do assert_int_equal(shoal_event_wait(event, shoal_after_ms(1)), -ETIMEDOUT);
  while (info_of(seg).counters.blocks == 0);  // one that is held up finds its deadline passed, and does not sleep
  assert_int_equal(info_of(seg).counters.blocks, 1);
  struct run *r = tool("show", "--json", name);
  assert_json(r);
  snprintf(wanted, sizeof wanted, "\"tid\":%d,\"alive\":true,\"blocks\":1,", (int)gettid());
  assert_has(r, wanted);
  assert_has(r, "\"objects_max\":64,\"blocks\":1,");
  assert_has(tool("show", name), " blocks=1");
  r = tool("stat", "--json", "-i", "0.01", name);
  assert_json(r);
  snprintf(wanted, sizeof wanted, "\"tid\":%d,\"per_second\":{\"blocks\":0,", (int)gettid());
  assert_has(r, wanted);
  assert_has(r, "\"segment\":{\"name\":");
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

SHOAL_TASK(shoal_test_wait, uint64_t) {
  shoal_atomic32 *gate = *(shoal_atomic32 **)(void *)arg;  // of a parent that has mapped it before it forked
  signal_to(gate);
  await(gate, 2);
  return 0;
}
static void test_top_shows_what_workers_run(void **state) {
  (void)state;
  const char *name = test_name("work");
  struct shoal_segment *seg;
  struct shoal_executor *ex;
  struct shoal_future f;
  shoal_atomic32 *gate = shared_memory(4096);
  uint64_t argument = (uint64_t)(uintptr_t)gate;
  for (int64_t limit = 0; limit < 2; limit++) {
    struct shoal_executor_options o = {.workers = 1, .jobs = 16, .time_limit_ns = limit * INT64_C(3600000000000)};
    shoal_store32_release(gate, 0);
    assert_ok(shoal_segment_create(name, &small, &seg));
    assert_ok(shoal_executor_create(seg, "maths", &o, &ex));
    assert_null(strstr(tool("top", "--json", "-n", "1", "-f", name)->out, "shoal_test_wait"));
    assert_ok(SHOAL_SUBMIT(ex, shoal_test_wait, &argument, &f));
    await(gate, 1);
    assert_null(strstr(tool("top", "--json", "-n", "1", "-f", "nothing of that name")->out, "shoal_test_wait"));
    struct run *r = tool("top", "--json", "-n", "1", "-f", name);
    assert_json(r);
    assert_has(r, "\"task\":\"shoal_test_wait\",\"jobs\":1");
    assert_has(r, limit ? "\"at_least\":false" : "\"at_least\":true,");
    r = tool("top", "-n", "2", "-i", "0.05", "-f", name);
    assert_has(r, "worker 1");
    assert_has(r, limit ? "s shoal_test_wait" : ">   0.0");
    signal_to(gate);
    assert_ok(shoal_future_get(&f, &argument, sizeof argument, NULL, SHOAL_FOREVER));
    assert_ok(shoal_future_release(&f));
    assert_null(strstr(tool("top", "--json", "-n", "1", "-f", name)->out, "shoal_test_wait"));
    assert_ok(shoal_executor_shutdown(ex, 0, SHOAL_FOREVER));
    assert_ok(shoal_executor_detach(ex));
    assert_ok(shoal_segment_unlink(name));
    assert_ok(shoal_segment_close(seg));
  }
}

int main(int argc, char **argv) {
  alarm(WATCHDOG_S);
  if (argc < 2) return 2;
  tool_path = argv[1];
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_show_tells_rates),
      cmocka_unit_test(test_stat_and_watch),
      cmocka_unit_test(test_top_in_a_pipe),
      cmocka_unit_test(test_top_on_a_terminal),
      cmocka_unit_test(test_top_on_a_narrow_terminal),
      cmocka_unit_test(test_top_beside_a_look_that_does_not_end),
      cmocka_unit_test(test_top_tells_what_it_cannot_look_at),
      cmocka_unit_test(test_top_scrolls),
      cmocka_unit_test(test_counts_are_told),
      cmocka_unit_test(test_top_shows_what_workers_run),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
