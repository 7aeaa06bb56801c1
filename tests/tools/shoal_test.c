// What the shoal command claims of looking:
// - ls, show, gc and doctor change no byte of a segment, take no place in it, and say what is there: who is alive, who
//   was killed, who holds a lock and how many wait, of every type of object
// - what is damaged, foreign, truncated or named to command a terminal is told as such; the command never crashes of it
// - gc removes nothing without --yes, nothing that somebody alive has open, nothing that is no segment
// - --json is JSON; the exit status is what the manual says
// - stat and watch tell what changed; top, in a pipe, as JSON, and on a terminal, where it listens to its keys
// - show and stat tell what participants have counted; top tells what workers run, and for how long
// - repair without --yes changes no byte, and says what it then does with --yes, once; what a lock guards is its user's
//   to judge
// - repair says what of the heap is of the dead, damaged, or led to by nothing, and says damaged what it cannot mend,
//   each time; killed in the middle of an allocation, nothing is left; a million blocks of the living, or no memory to
//   look, hide nothing
// - who sleeps at a queue, a topic or a pipe is counted; show says who keeps an end of a pipe, and repair ends what the
//   dead had or kept of it, and says of locks in values that it leaves them
// - beside what cannot be looked at, top listens to its keys, shows what it knew, and says what it waits for
// - a look that is killed leaves whole JSON, a stranger's file among the segments of top, a killed child a doctor that
//   says so
// - bench measures, and says so as JSON
// - the tracepoints are in the binary, as notes that perf and bpftrace read
// - the manual and the completion name the commands and the options that there are, and no others
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include "core/count_internal.h"
#include "core/directory_internal.h"
#include "core/heap_internal.h"
#include "core/proc.h"
#include "ipc/work/future.h"
#include "tests/harness/refuse.h"
#include "tests/harness/victim.h"
#include "tests/tools/filled.h"

static uint64_t sum_of(const char *name) {
  static char buffer[1 << 16];
  char path[160];
  uint64_t sum = 0;
  path_of(name, path);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  assert_true(fd >= 0);
  for (off_t at = 0; (at = lseek(fd, at, SEEK_DATA)) >= 0;)  // holes are zero, and stay holes
    for (off_t end = lseek(fd, at, SEEK_HOLE); at < end;) {
      ssize_t n = pread(fd, buffer, sizeof buffer, at);
      for (ssize_t i = 0; i < n; i++) sum = (sum ^ (unsigned char)buffer[i]) * UINT64_C(0x100000001b3);
      if (n <= 0) break;
      at += n;
    }
  close(fd);
  return sum;
}

// ---- looking ----

static void test_everything_is_shown_and_nothing_changed(void **state) {
  (void)state;
  const char *name = test_name("all");
  struct shoal_segment *seg;
  assert_ok(shoal_segment_create(name, &small, &seg));
  fill(seg);
  fill_queues(seg);
  fill_data(seg);
  uint32_t users = info_of(seg).participants;
  uint64_t before = sum_of(name);
  struct run *r = tool("show", "--json", name);
  assert_status(r, 0);
  assert_json(r);
  if (strstr(r->out, "\"error\"")) fail_msg("%s", r->out);
  static const char *const shown[] = {"lock",      "rlock",   "rwlock", "seqlock",    "condition",   "event",
                                      "semaphore", "barrier", "once",   "queue:4",    "queue:bytes", "topic:4",
                                      "pipe:4",    "value",   "array",  "vector",     "text",        "dict",
                                      "namespace", "list",    "thing",  "shoal:heap", "lock_order"};
  for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
    char type[64];
    snprintf(type, sizeof type, "\"type\":\"%s\"", shown[i]);
    assert_has(r, type);
  }
  assert_has(r, "\"pid\":");
  assert_has(r, "\"of\":\"double\"");
  r = tool("show", "--json", joined(name, "lines"));
  assert_json(r);
  assert_has(r, "\"depth\":1,\"capacity\":8");
  assert_has(tool("show", joined(name, "a dict")), "length               1");
  r = tool("show", name);
  assert_has(r, "an rwlock");
  assert_has(r, "filled");
  assert_has(tool("ls"), name);
  assert_status(tool("ls", name), 0);
  assert_json(tool("ls", "--json"));
  assert_has(tool("gc", name), "somebody alive has it open");
  assert_true(sum_of(name) == before);
  assert_int_equal(info_of(seg).participants, users);
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

static int fails(void *arg) {
  (void)arg;
  return -EIO;
}
static void test_why_a_barrier_is_broken(void **state) {
  (void)state;
  const char *name = test_name("broken");
  struct shoal_segment *seg;
  struct shoal_barrier *b;
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_ok(shoal_barrier_create(seg, "b", 1, NULL, &b));
  assert_has(tool("show", joined(name, "b")), "whole");
  assert_int_equal(shoal_barrier_wait_action(b, SHOAL_FOREVER, fails, NULL, NULL), -EIO);
  assert_has(tool("show", joined(name, "b")), "broken: its action failed");
  assert_ok(shoal_barrier_reset(b));
  assert_ok(shoal_barrier_abort(b));
  assert_has(tool("show", joined(name, "b")), "broken: aborted");
  assert_ok(shoal_barrier_leave(b));
  assert_ok(shoal_barrier_close(seg, b));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}
static void test_what_an_order_has_met(void **state) {
  (void)state;
  const char *name = test_name("order");
  static const char *const names[] = {"accounts", "journal"};
  struct shoal_segment *seg;
  struct shoal_lock_order *order;
  struct shoal_lock *lock[2];
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_ok(shoal_lock_order_create(seg, "order", 0, 0, &order));
  for (int i = 0; i < 2; i++) {
    assert_ok(shoal_lock_create(seg, names[i], &lock[i]));
    assert_ok(shoal_lock_attach(lock[i], order, names[i]));
  }
  assert_has(tool("show", "--json", joined(name, "order")), "\"state\":\"no cycle\"");
  for (int first = 0; first < 2; first++) {
    assert_ok(shoal_lock_acquire(lock[first], SHOAL_FOREVER));
    assert_ok(shoal_lock_acquire(lock[!first], SHOAL_FOREVER));
    for (int i = 0; i < 2; i++) assert_ok(shoal_lock_release(lock[i]));
  }
  struct run *r = tool("show", "--json", joined(name, "order"));
  assert_json(r);
  assert_has(r, "\"state\":\"cycles met\"");
  assert_has(r, "\"cycles\":1");
  assert_has(r, "accounts");
  for (int i = 0; i < 2; i++) assert_ok(shoal_lock_close(seg, lock[i]));
  assert_ok(shoal_lock_order_close(seg, order));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

static void test_a_killed_holder_and_who_waits(void **state) {
  (void)state;
  const char *name = test_name("killed");
  struct shoal_segment *seg;
  struct shoal_lock *lock;
  struct shoal_event *event;
  char wanted[64], target[160];
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_ok(shoal_lock_create(seg, "lock", &lock));
  assert_ok(shoal_event_create(seg, "event", &event));
  shoal_atomic32 *ready = shared_memory(4096);
  pid_t pid = fork_child();
  if (pid == 0) {
    shoal_proc_id me;
    MUST(shoal_proc_self(seg, &me) == 0 && shoal_lock_acquire(lock, SHOAL_FOREVER) == 0);
    signal_to(ready);
    MUST(shoal_event_wait(event, SHOAL_FOREVER) == 0);
    _exit(0);
  }
  await(ready, 1);
  snprintf(wanted, sizeof wanted, "\"owner\":%d", (int)pid);
  snprintf(target, sizeof target, "%s/event", name);
  assert_has(tool("show", "--json", joined(name, "lock")), wanted);
  while (!strstr(tool("show", "--json", target)->out, "\"waiters\":1")) sched_yield();
  kill_and_wait(pid);
  assert_has(tool("show", "--json", joined(name, "lock")), "\"owner_died\":true");
  assert_has(tool("show", "--json", target), "\"waiters\":0");
  struct run *r = tool("ls", "--json", name);
  assert_json(r);
  assert_has(r, "\"dead\":1");
  assert_has(r, "\"in_use\":true");
  assert_has(tool("show", name), "dead");
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

// At a queue, a topic, a pipe: asleep, and counted.
static void wait_at(struct shoal_segment *seg, int which) {
  struct shoal_queue *q;
  struct shoal_topic *t;
  struct shoal_pipe *p;
  char buffer[64];
  uint64_t size;
  if (which == 0) MUST(shoal_queue_open(seg, "q", 4, &q) == 0 && shoal_queue_get(q, buffer, SHOAL_FOREVER));
  if (which == 1)
    MUST(shoal_topic_open(seg, "t", 4, &t) == 0 && shoal_topic_subscribe(t, NULL) == 0 &&
         shoal_topic_get(t, buffer, SHOAL_FOREVER));
  if (which == 2)
    MUST(shoal_pipe_open(seg, "p", 0, 1, &p) == 0 && shoal_pipe_recv(p, buffer, sizeof buffer, &size, SHOAL_FOREVER));
}
static void test_who_waits_is_counted(void **state) {
  (void)state;
  const char *name = test_name("waits");
  static const char *const names[] = {"q", "t", "p"};
  struct shoal_segment *seg;
  struct shoal_queue *q;
  struct shoal_topic *t;
  struct shoal_pipe *ends[2];
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_ok(shoal_queue_create(seg, "q", &(struct shoal_queue_options){.capacity = 8, .element_size = 4}, &q));
  assert_ok(shoal_topic_create(seg, "t", &(struct shoal_topic_options){.capacity = 8, .element_size = 4}, &t));
  assert_ok(shoal_pipe_create(seg, "p", &(struct shoal_pipe_options){.capacity = 8, .duplex = 1}, ends));
  assert_ok(shoal_queue_join(q, SHOAL_PRODUCER));
  assert_ok(shoal_topic_join(t));
  for (int which = 0; which < 3; which++) {
    assert_has(tool("show", "--json", joined(name, names[which])), "\"waiters\":0");
    pid_t pid = fork_child();
    if (pid == 0) wait_at(seg, which);
    while (!strstr(tool("show", "--json", joined(name, names[which]))->out, "\"waiters\":1")) sched_yield();
    kill_and_wait(pid);
  }
  assert_ok(shoal_queue_detach(q));
  assert_ok(shoal_topic_detach(t));
  assert_ok(shoal_pipe_close(&ends[0]));
  assert_ok(shoal_pipe_close(&ends[1]));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

// ---- what is not as it should be ----

static void test_scribbled_segments(void **state) {
  (void)state;
  const char *name = test_name("scribbled");
  uint32_t random = 0x9e3779b9;
  for (unsigned round = 0; round < 12; round++) {
    struct shoal_segment *seg;
    assert_ok(shoal_segment_create(name, &small, &seg));
    fill(seg);
    fill_queues(seg);
    fill_data(seg);
    char *from = (char *)(round % 2 ? seg->units : (char *)seg->entries);
    uint64_t n = round % 2 ? info_of(seg).used : (uint64_t)seg->g.entries * sizeof(struct shoal_entry_shm);
    for (unsigned i = 0; i < 1u << (round / 2 * 2); i++) from[random_next(&random) % n] ^= (char)random_next(&random);
    uint64_t before = sum_of(name);
    struct run *r = tool("show", "--json", name);
    assert_true(r->status >= 0 && r->status <= 3);
    assert_json(r);
    assert_true(tool("show", joined(name, "lines"))->status >= 0);
    assert_true(tool("ls", name)->status >= 0);
    assert_true(sum_of(name) == before);
    assert_ok(shoal_segment_unlink(name));
    while (shoal_segment_close(seg)) assert_ok(shoal_proc_leave(seg));
  }
}

static void make_file(const char *name, const void *content, size_t n, off_t length) {
  char path[160];
  path_of(name, path);
  int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, content, n), n);
  assert_int_equal(ftruncate(fd, length), 0);
  close(fd);
}

static void test_foreign_and_truncated_files(void **state) {
  (void)state;
  char name[100], path[160];
  struct shoal_segment *seg;
  shoal_atomic32 *ready = shared_memory(4096);
  snprintf(name, sizeof name, "%s", test_name("foreign"));
  path_of(name, path);
  make_file(name, "hello", 5, 5);
  assert_status(tool("ls", name), 3);
  assert_has(tool("ls", name), "not a shoal segment");
  assert_status(tool("show", name), 3);
  assert_status(tool("gc", "--yes", name), 1);
  assert_int_equal(unlink(path), 0);
  pid_t pid = fork_child();
  if (pid == 0) {
    MUST(shoal_segment_create(name, &small, &seg) == 0 && truncate(path, 100000) == 0);
    signal_to(ready);
    for (;;) pause();  // it does not touch it again
  }
  await(ready, 1);
  assert_has(tool("ls", "--json", name), "truncated");
  assert_status(tool("show", "--json", name), 3);
  assert_has(tool("gc", "--yes", name), "somebody alive");
  kill_and_wait(pid);
  assert_has(tool("gc", "--yes", name), "nobody could");
  assert_int_equal(access(path, F_OK), -1);
  strcat(name, "\n\x1b[2J");  // a command to the terminal
  make_file(name, "hello", 5, 5);
  struct run *r = tool("ls");
  assert_null(strchr(r->out, '\x1b'));
  assert_has(r, "\\x0a\\x1b[2J");
  assert_json(tool("ls", "--json"));
  path_of(name, path);
  assert_int_equal(unlink(path), 0);
}

static void *be_one(void *seg) {
  shoal_proc_id me;
  MUST(shoal_proc_self(seg, &me) == 0);
  for (;;) pause();
  return NULL;
}
static pid_t child_of(pid_t pid) {
  char path[64], text[16] = "";
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  assert_true(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
  close(fd);
  return (pid_t)atoi(text);
}
// Of the look itself, when it has told of some participants, and waits until somebody reads of them.
static void test_json_of_a_killed_look(void **state) {
  (void)state;
  enum { MANY = 120 };
  const struct shoal_segment_options o = {.size = 1 << 20, .size_max = 1 << 20, .participants = 200, .objects = 4};
  const char *name = test_name("cut");
  struct shoal_segment *seg;
  int ends[2], told = 0;
  assert_ok(shoal_segment_create(name, &o, &seg));
  pid_t pid = fork_child();
  if (pid == 0) {
    pthread_t thread;
    for (int i = 0; i < MANY; i++) MUST(pthread_create(&thread, NULL, be_one, seg) == 0);
    for (;;) pause();
  }
  while (info_of(seg).participants < MANY) sched_yield();
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  assert_true(fcntl(ends[1], F_SETPIPE_SZ, 8192) > 0);
  pid_t shows = start_tool(WORDS("show", "--json", name), (const int[3]){0, ends[1], 2});
  close(ends[1]);
  while (told < 4096) assert_int_equal(ioctl(ends[0], FIONREAD, &told), 0);
  assert_int_equal(kill(child_of(shows), SIGKILL), 0);
  char *text = calloc(1, 1 << 20);
  for (ssize_t n = 0, got; (got = read(ends[0], text + n, (1 << 20) - 1 - (size_t)n)) > 0;) n += got;
  assert_int_equal(status_of(shows), 3);
  const char *end = json_value(text);
  if (!end || *json_space(end)) fail_msg("no JSON: %s", text);
  free(text);
  close(ends[0]);
  kill_and_wait(pid);
  assert_ok(shoal_segment_unlink(name));
  while (shoal_segment_close(seg)) assert_ok(shoal_proc_leave(seg));
}

// ---- collecting ----

static void test_gc(void **state) {
  (void)state;
  char name[SHOAL_NAME_MAX + 1], path[160];
  strcpy(name, test_name("gc"));
  path_of(name, path);
  shoal_atomic32 *ready = shared_memory(4096);
  pid_t pid = fork_child();
  if (pid == 0) {
    struct shoal_segment *seg;
    shoal_proc_id me;
    MUST(shoal_segment_create(name, &small, &seg) == 0 && shoal_proc_self(seg, &me) == 0);
    signal_to(ready);
    for (;;) pause();
  }
  await(ready, 1);
  struct run *r = tool("gc", "--yes", "--json", name);
  assert_json(r);
  assert_status(r, 1);
  assert_has(r, "\"action\":\"stays\"");
  kill_and_wait(pid);
  assert_has(tool("gc", name), "1 of its users were killed");
  assert_int_equal(access(path, F_OK), 0);
  r = tool("gc", "--yes", "--json", name);
  assert_status(r, 0);
  assert_has(r, "\"action\":\"removed\"");
  assert_int_equal(access(path, F_OK), -1);
  assert_status(tool("gc", "--yes", name), 1);
}

// ---- watching ----

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

// ---- repairing ----

// Dies with a lock, a place to write, a message in hand, a half of memory, and as a participant.
static void leave_all(struct shoal_segment *seg, struct shoal_queue *q) {
  struct shoal_lock *lock;
  struct shoal_loan in, out;
  struct shoal_heap *heap;
  void *block;
  MUST(shoal_lock_open(seg, "lock", &lock) == 0 && shoal_lock_acquire(lock, SHOAL_TRY) == 0);
  MUST(shoal_queue_receive(q, &in, SHOAL_TRY) == 0 && shoal_queue_reserve(q, &out, SHOAL_TRY) == 0);
  MUST(shoal_heap_open(seg, &heap) == 0 && shoal_heap_alloc(heap, 1 << 20, &block) == 0);
  kill(getpid(), SIGKILL);
}
static void test_repair(void **state) {
  (void)state;
  const char *name = test_name("repair");
  const struct shoal_segment_options roomy = {.size = 4 << 20, .size_max = 64 << 20, .participants = 16, .objects = 64};
  struct shoal_segment *seg;
  struct shoal_lock *lock;
  struct shoal_queue *q;
  struct shoal_heap *heap;
  struct shoal_lock_info info;
  uint32_t three = 3, got = 0;
  int status;
  assert_ok(shoal_segment_create(name, &roomy, &seg));
  assert_ok(shoal_lock_create(seg, "lock", &lock));
  assert_ok(shoal_heap_open(seg, &heap));
  assert_ok(shoal_queue_create(seg, "q", &(struct shoal_queue_options){.capacity = 8, .element_size = 4}, &q));
  assert_ok(shoal_queue_put(q, &three, SHOAL_TRY));
  assert_has(tool("repair", name), "Nothing is to be done.");
  pid_t pid = fork_child();
  if (pid == 0) leave_all(seg, q);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  uint64_t before = sum_of(name);
  struct run *r = tool("repair", "--json", "--locks", name);
  assert_status(r, 0);
  assert_json(r);
  assert_has(r, "\"type\":\"segment\",\"action\":\"would be\",\"participants_freed\":1");
  assert_has(r, "\"redelivered\":1");
  assert_has(r, "\"holes_skipped\":1");
  assert_has(r, "\"blocks_freed\":1");
  assert_has(r, "\"made_consistent\":1");
  assert_has(tool("repair", name), "With --yes,");
  assert_true(sum_of(name) == before);
  assert_has(tool("repair", "--yes", joined(name, "lock")), "left       lock ");  // and nothing else, see below
  uint32_t users = info_of(seg).participants;
  r = tool("repair", "--yes", name);
  assert_status(r, 0);
  assert_has(r, "participants_freed=1");
  assert_has(r, "redelivered=1");
  assert_has(r, "left       lock ");
  assert_int_equal(info_of(seg).participants, users);  // nobody more, it has left
  assert_ok(shoal_lock_info(lock, &info));
  assert_true(info.dead);
  r = tool("repair", "--yes", "--locks", joined(name, "lock"));
  assert_has(r, "made_consistent=1");
  assert_ok(shoal_lock_acquire(lock, SHOAL_TRY));  // and not -EOWNERDEAD
  assert_ok(shoal_lock_release(lock));
  assert_null(strstr(tool("repair", "--json", name)->out, "\"name\":\"q\""));  // once
  assert_ok(shoal_queue_get(q, &got, SHOAL_TRY));
  assert_int_equal(got, 3);
  assert_int_equal(shoal_queue_get(q, &got, SHOAL_TRY), -EAGAIN);
  assert_status(tool("repair", joined(name, "nothing")), 1);
  assert_status(tool("repair"), 2);
  assert_ok(shoal_queue_detach(q));
  assert_ok(shoal_heap_close(heap));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

// An end of a pipe, used or only kept, and the lock of a value.
static void leave_others(struct shoal_segment *seg) {
  struct shoal_pipe *p;
  struct shoal_array a;
  MUST(shoal_pipe_open(seg, "p", 0, 0, &p) == 0 && shoal_pipe_send(p, "x", 1, SHOAL_TRY) == 0);
  MUST(shoal_pipe_open(seg, "kept", 0, 0, &p) == 0 && shoal_pipe_open(seg, "one way", 0, 1, &p) == 0);
  MUST(shoal_value_open(seg, "v", "int", 4, &a) == 0 && shoal_array_acquire(&a, SHOAL_TRY) == 0);
  kill(getpid(), SIGKILL);
}
static void test_repair_of_what_else_the_dead_had(void **state) {
  (void)state;
  const char *name = test_name("others");
  static const char *const names[] = {"p", "kept", "one way"};
  struct shoal_segment *seg;
  struct shoal_pipe *ends[3][2];
  struct shoal_array a;
  char target[160], keeper[64], got[8];
  uint64_t size;
  int status;
  assert_ok(shoal_segment_create(name, &small, &seg));
  for (uint32_t i = 0; i < 3; i++) {
    struct shoal_pipe_options o = {.capacity = 8, .duplex = i < 2};
    assert_ok(shoal_pipe_create(seg, names[i], &o, ends[i]));
  }
  assert_ok(shoal_value_create(seg, "v", "int", 4, NULL, &a));
  struct run *r = tool("repair", name);
  assert_has(r, "Nothing is to be done.");
  snprintf(target, sizeof target, "%s/kept", name);
  snprintf(keeper, sizeof keeper, "\"sender_keeper_0\":%d", (int)getpid());
  assert_has(tool("show", "--json", target), keeper);
  pid_t pid = fork_child();
  if (pid == 0) leave_others(seg);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  snprintf(keeper, sizeof keeper, "\"sender_keeper_0\":%d", (int)pid);
  assert_has(tool("show", "--json", target), keeper);
  uint64_t before = sum_of(name);
  for (int yes = 0; yes < 2; yes++) {
    char done[160];
    const char *word = yes ? "repaired" : "would be";
    r = yes ? tool("repair", "--yes", "--json", name) : tool("repair", "--json", name);
    assert_status(r, 0);
    assert_json(r);
    snprintf(done, sizeof done, "\"name\":\"p\",\"type\":\"pipe:bytes\",\"action\":\"%s\",\"roles_freed\":2}", word);
    assert_has(r, done);
    snprintf(done, sizeof done, "\"name\":\"kept\",\"type\":\"pipe:bytes\",\"action\":\"%s\",\"keepers_freed\":2}",
             word);
    assert_has(r, done);
    snprintf(done, sizeof done, "\"name\":\"one way\",\"type\":\"pipe:bytes\",\"action\":\"%s\",\"keepers_freed\":1}",
             word);
    assert_has(r, done);
    assert_has(r, "\"name\":\"v\",\"type\":\"value\",\"action\":\"left\"");
    assert_true(yes || sum_of(name) == before);
  }
  assert_null(strstr(tool("repair", "--json", name)->out, "pipe:bytes"));  // once
  assert_has(tool("show", "--json", target), "\"sender_keeper_0\":0");
  assert_ok(shoal_pipe_recv(ends[0][1], got, sizeof got, &size, SHOAL_TRY));
  assert_int_equal(shoal_pipe_recv(ends[0][1], got, sizeof got, &size, SHOAL_FOREVER), -EPIPE);
  assert_int_equal(shoal_pipe_recv(ends[1][1], got, sizeof got, &size, SHOAL_FOREVER), -EPIPE);
  assert_int_equal(shoal_pipe_recv(ends[2][0], got, sizeof got, &size, SHOAL_FOREVER), -EPIPE);
  assert_ok(shoal_pipe_send(ends[1][0], "x", 1, SHOAL_TRY));  // whoever has it open may take it
  assert_ok(shoal_pipe_recv(ends[1][1], got, sizeof got, &size, SHOAL_FOREVER));
  assert_has(tool("repair", "--yes", "--locks", name), "made_consistent=1");
  assert_ok(shoal_array_acquire(&a, SHOAL_TRY));  // and not -EOWNERDEAD
  assert_ok(shoal_array_release(&a));
  for (int i = 0; i < 6; i++) assert_ok(shoal_pipe_close(&ends[i / 2][i % 2]));
  assert_ok(shoal_value_close(seg, &a));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

// Who looks for a place frees the dead one's first.
static void test_repair_of_a_full_segment(void **state) {
  (void)state;
  const char *name = test_name("full");
  struct shoal_segment_options o = small;
  struct shoal_segment *seg;
  shoal_proc_id me;
  int status;
  o.participants = 2;
  assert_ok(shoal_segment_create(name, &o, &seg));
  assert_ok(shoal_proc_self(seg, &me));
  pid_t pid = fork_child();
  if (pid == 0) {
    MUST(shoal_proc_self(seg, &me) == 0);
    kill(getpid(), SIGKILL);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  assert_has(tool("repair", name), "participants_freed=1");
  assert_has(tool("repair", "--yes", name), "participants_freed=1");
  assert_has(tool("repair", name), "Nothing is to be done.");
  assert_int_equal(info_of(seg).participants, 1);
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

// Somebody alive has the directory as the copy is made: in it, he has it for ever.
static void test_repair_beside_a_busy_directory(void **state) {
  (void)state;
  const char *name = test_name("busy");
  struct shoal_segment *seg;
  struct shoal_object o;
  assert_ok(shoal_segment_create(name, &small, &seg));
  shoal_atomic32 *ready = shared_memory(4096);
  pid_t dead = fork_child();
  if (dead == 0) {
    MUST(shoal_object_create(seg, "thing", "thing", 64, NULL, NULL, &o) == 0 && shoal_object_remove(seg, "thing") == 0);
    signal_to(ready);
    pause();
  }
  await(ready, 1);
  kill_and_wait(dead);
  shoal_store32_relaxed(ready, 0);
  pid_t pid = fork_child();
  if (pid == 0) {
    MUST(shoal_directory_acquire_(seg) == 0);
    signal_to(ready);
    pause();
  }
  await(ready, 1);
  assert_has(tool("repair", name), "its directory is busy");
  kill_and_wait(pid);
  assert_has(tool("repair", "--yes", name), "objects_freed=1");
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

static uint64_t number_of(const struct run *r, const char *key) {  // of the row that has it; 0: none
  char text[64];
  snprintf(text, sizeof text, "\"%s\":", key);
  const char *at = strstr(r->out, text);
  return at ? strtoull(at + strlen(text), NULL, 10) : 0;
}
static struct shoal_heap_audit audit_of(struct shoal_heap *heap) {
  struct shoal_heap_audit a;
  assert_ok(shoal_heap_audit(heap, &a));
  return a;
}

static void test_repair_of_a_damaged_heap(void **state) {
  (void)state;
  const char *name = test_name("heap");
  struct shoal_segment *seg;
  struct shoal_heap *heap;
  struct shoal_object o;
  struct shoal_block_ref ref;
  void *block, *pages;
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_ok(shoal_heap_open(seg, &heap));
  assert_ok(shoal_object_create(seg, "thing", "thing", 64, NULL, NULL, &o));
  assert_ok(shoal_heap_alloc(heap, 3000, &block));
  assert_ok(shoal_heap_alloc(heap, 5 * 4096, &pages));
  assert_has(tool("repair", name), "Nothing is to be done.");

  assert_ok(shoal_block_give_(heap, block, o.entry, o.generation, &ref));
  struct run *r = tool("repair", "--json", "--yes", name);
  assert_status(r, 0);
  assert_json(r);
  assert_has(r, "\"action\":\"left\",\"unreferenced\":1,\"unreferenced_bytes\":3072,\"left\":");
  assert_has(tool("repair", joined(name, "shoal.heap")), "nothing leads to some of its blocks");
  memcpy(o.memory, &ref, sizeof ref);
  assert_has(tool("repair", name), "Nothing is to be done.");
  *(uint64_t *)o.memory = ref.off >> 4 << 22 | 5;  // as a word of a dict does
  assert_has(tool("repair", name), "Nothing is to be done.");

  const struct shoal_chunk_ *c = &heap->chunk[0];
  uint64_t first = ((uintptr_t)pages - (uintptr_t)c->data) / 4096;
  shoal_store32_relaxed(&c->page[first].pages, 0);
  r = tool("repair", "--json", "--yes", name);
  assert_status(r, 0);
  assert_json(r);
  assert_int_equal(number_of(r, "damaged"), 5);
  assert_int_equal(number_of(r, "damaged_at"), shoal_segment_off(seg, pages));
  assert_has(tool("repair", name), "it is damaged");
  shoal_store32_relaxed(&c->page[first].pages, 5);
  shoal_store64_relaxed(&c->page[first].owner, UINT64_C(9) << 28);
  assert_int_equal(number_of(tool("repair", "--json", name), "damaged"), 5);
  assert_ok(shoal_heap_close(heap));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

// What lives is asked about once, not for each block that it has; and a dead one's are found among them.
static void test_repair_beside_many_blocks(void **state) {
  (void)state;
  const char *name = test_name("many");
  struct shoal_segment *seg;
  struct shoal_heap *heap;
  void *block;
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_ok(shoal_heap_open(seg, &heap));
  for (int i = 0; i < 1000000; i++) MUST(shoal_heap_alloc(heap, 16, &block) == 0);
  pid_t pid = fork_child();
  if (pid == 0) {
    MUST(shoal_heap_alloc(heap, 16, &block) == 0);
    _exit(0);
  }
  assert_int_equal(status_of(pid), 0);
  assert_has(tool("repair", "--json", joined(name, "shoal.heap")), "\"action\":\"would be\"");
  struct run *r = tool("repair", "--json", "--yes", joined(name, "shoal.heap"));
  assert_status(r, 0);
  assert_json(r);
  assert_has(r, "\"action\":\"repaired\"");
  assert_int_equal(number_of(r, "dead_runs"), 1);
  assert_int_equal(number_of(r, "dead_blocks"), 1);
  assert_int_equal(audit_of(heap).blocks, 1000000);
  assert_has(tool("repair", name), "Nothing is to be done.");
  assert_ok(shoal_heap_close(heap));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

// No sweep knows what it held: it is said to be damaged, and not, each time, to be repaired.
static void test_repair_of_a_dead_ones_damaged_slab(void **state) {
  (void)state;
  const char *name = test_name("slab");
  struct shoal_segment *seg;
  struct shoal_heap *heap;
  void *block;
  unsigned slabs = 0;
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_ok(shoal_heap_open(seg, &heap));
  pid_t pid = fork_child();
  if (pid == 0) {
    MUST(shoal_heap_alloc(heap, 16, &block) == 0);
    _exit(0);
  }
  assert_int_equal(status_of(pid), 0);
  assert_ok(shoal_chunks_look_(heap));
  const struct shoal_chunk_ *c = &heap->chunk[0];
  for (uint64_t i = 0; i < c->pages; i++)
    if (shoal_word_kind_(shoal_load64_relaxed(&c->page[i].owner)) == SLAB)
      shoal_store32_relaxed(&c->page[i].tag, 0), slabs++;
  assert_int_equal(slabs, 1);
  assert_int_equal(audit_of(heap).dead_runs, 0);
  for (int lap = 0; lap < 2; lap++) {
    struct run *r = tool("repair", "--json", "--yes", joined(name, "shoal.heap"));
    assert_status(r, 0);
    assert_json(r);
    assert_has(r, "\"action\":\"left\",\"damaged\":1,");
    assert_int_equal(number_of(r, "dead_runs") + number_of(r, "blocks_freed"), 0);
  }
  assert_ok(shoal_heap_close(heap));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
static struct run *tool_within(rlim_t most, const char *name) {
  static struct run r;
  int out = memfd_create("tool", MFD_CLOEXEC);
  assert_true(out >= 0);
  pid_t pid = fork_child();
  if (pid == 0) {
    MUST(dup2(out, 1) == 1 && dup2(out, 2) == 2 && setrlimit(RLIMIT_AS, &(struct rlimit){most, most}) == 0);
    execv(tool_path, (char *const *)WORDS("repair", "--json", name));
    _exit(127);
  }
  free(r.out);
  r = (struct run){status_of(pid), slurp(out), (char[]){""}};
  return &r;
}
#endif
// The marks of what leads where want memory: without it, what was done is told all the same.
static void test_repair_without_memory_to_look(void **state) {
  (void)state;
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
  skip();  // a sanitizer wants the address space for itself
#else
  const char *name = test_name("short");
  const struct shoal_segment_options o = {.size = 256 << 20, .size_max = 256 << 20};  // marks of 2 MiB
  struct shoal_segment *seg;
  struct shoal_heap *heap;
  void *pages;
  assert_ok(shoal_segment_create(name, &o, &seg));
  assert_ok(shoal_heap_open(seg, &heap));
  pid_t pid = fork_child();
  if (pid == 0) {
    MUST(shoal_heap_alloc(heap, 5 * 4096, &pages) == 0);
    _exit(0);
  }
  assert_int_equal(status_of(pid), 0);
  const char *heaps = joined(name, "shoal.heap");
  struct run *r = NULL;
  for (rlim_t most = 512 << 20; most >= 256 << 20; most -= 1 << 20)
    if (strstr((r = tool_within(most, heaps))->out, "\"left\"")) break;
  assert_has(r, "\"left\":\"what is left was not seen: private memory\"");
  assert_has(r, "\"action\":\"would be\",\"blocks_freed\":1,");
  assert_status(r, 0);
  assert_ok(shoal_heap_close(heap));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
#endif
}

// ---- killed in the middle of an allocation ----

static struct shoal_heap *stepped;
static void use_it_once(void) {
  void *pages;
  MUST(shoal_heap_alloc(stepped, 3 * 4096, &pages) == 0 && shoal_heap_free(stepped, pages) == 0);
}
static void allocate(void) {
  void *pages;
  MUST(shoal_heap_alloc(stepped, 7 * 4096, &pages) == 0);
}
static void test_repair_of_half_an_allocation(void **state) {
  (void)state;
  const char *name = test_name("half");
  struct shoal_segment *seg;
  struct victim_trace trace = {0};
  unsigned with = 0, without = 0;
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_ok(shoal_heap_open(seg, &stepped));
  use_it_once();
  struct victim *v = victim_start(0, use_it_once, allocate);
  while (victim_record(v, &trace) < VICTIM_FINISHED) assert_int_equal(v->state, VICTIM_STOPPED);
  assert_int_equal(v->state, VICTIM_FINISHED);
  victim_kill(v);
  assert_has(tool("repair", "--yes", name), "dead_runs=1");
  struct shoal_heap_audit before = audit_of(stepped);
  for (uint32_t k = 0; k <= trace.n; k += trace.n / 16 + 1) {
    v = victim_start(0, use_it_once, allocate);
    assert_true(victim_run_to(v, &trace, k, NULL) == VICTIM_STOPPED || v->state == VICTIM_FINISHED);
    victim_kill(v);
    struct shoal_heap_audit half = audit_of(stepped), whole;
    assert_true(half.dead_runs <= 1 && half.damaged == 0);
    *(half.dead_runs ? &with : &without) += 1;
    struct run *r = tool("repair", "--json", name);
    assert_json(r);
    assert_int_equal(number_of(r, "dead_runs"), half.dead_runs);
    assert_int_equal(number_of(r, "blocks_freed"), half.dead_runs);
    assert_int_equal(number_of(r, "damaged") + number_of(r, "unreferenced"), 0);
    assert_int_equal(audit_of(stepped).dead_runs, half.dead_runs);  // it was a copy
    assert_status(tool("repair", "--yes", name), 0);
    whole = audit_of(stepped);
    assert_memory_equal(&whole, &before, sizeof before);
  }
  assert_true(with && without);
  victim_trace_clear(&trace);
  assert_ok(shoal_heap_close(stepped));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

// ---- measuring ----

static void test_bench(void **state) {
  (void)state;
  struct run *r = tool("bench", "--json", "-t", "0.01");
  assert_status(r, 0);
  assert_json(r);
  static const char *const names[] = {"lines/rtt",    "spsc/rtt",   "spsc/stream", "queue/stream", "futex/asleep",
                                      "queue/asleep", "lock/alone", "lock/two",    "executor/jobs"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"name\":\"%s\"", names[i]);
    assert_has(r, wanted);
  }
  r = tool("bench", "-t", "0.01", "-f", "lock/alone");
  assert_has(r, "lock/alone");
  assert_null(strstr(r->out, "spsc"));
  assert_status(tool("bench", "-t", "0"), 2);
}

// ---- tracepoints ----

static void test_tracepoints(void **state) {
  (void)state;
#ifdef SHOAL_TRACED_
  static const char *const names[] = {"block", "wake", "claim", "owner_died", "skip", "redeliver", "reap"};
  char command[512], *notes = malloc(1 << 20);
  snprintf(command, sizeof command, "readelf -n %s", tool_path);
  FILE *in = popen(command, "re");  // NOLINT(cert-env33-c)
  assert_non_null(in);
  assert_non_null(notes);
  notes[fread(notes, 1, (1 << 20) - 1, in)] = 0;
  assert_int_equal(pclose(in), 0);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char wanted[64];
    snprintf(wanted, sizeof wanted, "Provider: shoal\n    Name: %s\n", names[i]);
    if (!strstr(notes, wanted)) fail_msg("no note of %s", names[i]);
  }
  free(notes);
#else
  skip();  // no <sys/sdt.h> for this compiler
#endif
}

// ---- how it answers ----

static void test_statuses(void **state) {
  (void)state;
  assert_status(tool("nothing"), 2);
  assert_status(run_words("", WORDS(NULL)), 2);
  assert_status(tool("--help"), 0);
  assert_status(tool("ls", "--help"), 0);
  assert_status(tool("ls", "--nonsense"), 2);
  assert_status(tool("show"), 2);
  assert_status(tool("show", "/x"), 2);
  assert_status(tool("show", test_name("none")), 1);
  assert_status(tool("ls", test_name("none")), 1);
  assert_status(tool("show", joined(test_name("none"), "x")), 1);
}

// ---- the manual, and the shell's completion ----

static const char *manual_path, *completion_path;  // argv[2], argv[3]

static char *content_of(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  assert_true(fd >= 0);
  return slurp(fd);
}
static unsigned times(const char *text, const char *end, const char *what) {
  unsigned n = 0;
  for (const char *at = text; (at = strstr(at, what)) && at < end; at++) n++;
  return n;
}
// As the manual has it: \- for -
static void in_roff(const char *from, char to[128]) {
  for (; *from; *to++ = *from++)
    if (*from == '-') *to++ = '\\';
  *to = 0;
}

// Calls `each` for the lines of `text`: command, short form, long form, as `shoal --words options` writes them.
static unsigned each_option(const char *text, void (*each)(const char *, const char *, const char *, void *),
                            void *arg) {
  char command[32], shorter[32], longer[64];
  unsigned n = 0;
  for (const char *at = text; sscanf(at, "%31s %31s %63s", command, shorter, longer) == 3;
       at = strchr(at, '\n') + 1, n++)
    each(command, shorter, longer, arg);
  return n;
}

static void in_manual(const char *command, const char *shorter, const char *longer, void *arg) {
  char head[64], wanted[300], s[128], l[128];
  snprintf(head, sizeof head, "\n.SS shoal %s", command);
  const char *section = strstr(arg, head);
  if (!section) fail_msg("the manual has no %s", command);
  const char *end = strstr(section + 1, "\n.S");
  in_roff(shorter, s);
  in_roff(longer, l);
  snprintf(wanted, sizeof wanted, "\n.B %s, %s\n", s, l);
  if (times(section, end, wanted) != 1) fail_msg("the manual of %s has not once: %s", command, wanted);
}
static void test_manual(void **state) {
  (void)state;
  if (!manual_path) skip();
  char *manual = content_of(manual_path);
  const char *end = manual + strlen(manual);
  char *options = strdup(tool("--words", "options")->out);
  assert_int_equal(each_option(options, in_manual, manual), times(manual, end, "\n.B \\-") - 1);  // one in EXIT STATUS
  struct run *r = tool("--words");
  assert_int_equal(times(r->out, r->out + strlen(r->out), "\n"), times(manual, end, "\n.SS shoal "));
  free(options);
  free(manual);
}

// What bash offers for these words, the last of them being completed.
static char *offered(const char *words) {
  char command[1024], *text = malloc(65536);
  snprintf(command, sizeof command,
           "bash -c 'PATH=$(dirname %s):$PATH; . %s; COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _shoal; "
           "printf \"%%s\\n\" \"${COMPREPLY[@]}\"'",
           tool_path, completion_path, words);
  FILE *in = popen(command, "re");  // NOLINT(cert-env33-c): the shell is what is tested
  assert_non_null(in);
  assert_non_null(text);
  text[fread(text, 1, 65535, in)] = 0;
  assert_int_equal(pclose(in), 0);
  return text;
}
static void is_offered(const char *command, const char *shorter, const char *longer, void *arg) {
  char words[64], line[64];
  (void)shorter;
  snprintf(words, sizeof words, "shoal %s --", command);
  snprintf(line, sizeof line, "%.*s\n", (int)strcspn(longer, "="), longer);
  static char last[64], *text;
  if (strcmp(last, words) != 0) {
    free(text);
    text = offered(words);
    strcpy(last, words);
    *(unsigned *)arg += times(text, text + strlen(text), "\n") - 2;  // --help, --usage
  }
  if (!strstr(text, line)) fail_msg("%s: no %s", words, line);
}
static void test_completion(void **state) {
  (void)state;
  if (!completion_path) skip();
  unsigned n = 0;
  char *options = strdup(tool("--words", "options")->out), *text = offered("shoal \"\"");
  assert_string_equal(tool("--words")->out, text);
  free(text);
  unsigned there = each_option(options, is_offered, &n);
  assert_int_equal(there, n);
  const char *name = test_name("completed");
  struct shoal_segment *seg;
  assert_ok(shoal_segment_create(name, &small, &seg));
  text = offered("shoal show test-");
  assert_non_null(strstr(text, name));
  free(text);
  free(options);
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

static void test_doctor(void **state) {
  (void)state;
  struct run *r = tool("doctor", "--json");
  assert_json(r);
  assert_true(r->status == 0 || r->status == 1);
  assert_has(r, "a killed child's word was marked by the kernel");
  assert_has(r, "made, joined, opened and removed");
  assert_has(tool("doctor"), "futex_waitv");
}

// Whatever it starts is killed as it begins; a look for leaks begins with that call, too.
static void doctor_whose_children_die(void) {
  MUST(setenv("ASAN_OPTIONS", "detect_leaks=0", 1) == 0);
  kill_at_call(SYS_prctl, PR_SET_PDEATHSIG);
  struct run *r = tool("doctor", "--json");
  const char *end = json_value(r->out);
  MUST(r->status == 1 && end && !*json_space(end));
  MUST(strstr(r->out, "the process beside was killed"));
}
static void test_doctor_of_the_killed(void **state) {
  (void)state;
  in_child(doctor_whose_children_die);
}

int main(int argc, char **argv) {
  alarm(WATCHDOG_S);
  if (argc < 2) return 2;
  tool_path = argv[1];
  manual_path = argc > 2 ? argv[2] : NULL;
  completion_path = argc > 3 ? argv[3] : NULL;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_everything_is_shown_and_nothing_changed),
      cmocka_unit_test(test_why_a_barrier_is_broken),
      cmocka_unit_test(test_what_an_order_has_met),
      cmocka_unit_test(test_a_killed_holder_and_who_waits),
      cmocka_unit_test(test_who_waits_is_counted),
      cmocka_unit_test(test_scribbled_segments),
      cmocka_unit_test(test_foreign_and_truncated_files),
      cmocka_unit_test(test_json_of_a_killed_look),
      cmocka_unit_test(test_gc),
      cmocka_unit_test(test_stat_and_watch),
      cmocka_unit_test(test_top_in_a_pipe),
      cmocka_unit_test(test_top_on_a_terminal),
      cmocka_unit_test(test_top_beside_a_look_that_does_not_end),
      cmocka_unit_test(test_top_tells_what_it_cannot_look_at),
      cmocka_unit_test(test_top_scrolls),
      cmocka_unit_test(test_counts_are_told),
      cmocka_unit_test(test_top_shows_what_workers_run),
      cmocka_unit_test(test_repair),
      cmocka_unit_test(test_repair_of_what_else_the_dead_had),
      cmocka_unit_test(test_repair_of_a_full_segment),
      cmocka_unit_test(test_repair_beside_a_busy_directory),
      cmocka_unit_test(test_repair_of_a_damaged_heap),
      cmocka_unit_test(test_repair_beside_many_blocks),
      cmocka_unit_test(test_repair_of_a_dead_ones_damaged_slab),
      cmocka_unit_test(test_repair_without_memory_to_look),
      cmocka_unit_test(test_repair_of_half_an_allocation),
      cmocka_unit_test(test_bench),
      cmocka_unit_test(test_tracepoints),
      cmocka_unit_test(test_statuses),
      cmocka_unit_test(test_manual),
      cmocka_unit_test(test_completion),
      cmocka_unit_test(test_doctor),
      cmocka_unit_test(test_doctor_of_the_killed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
