// What the shoal command claims of looking (stat, watch and top: watch_test.c; repair: repair_test.c):
// - ls, show, gc and doctor change no byte of a segment, take no place in it, and say what is there: who is alive, who
//   was killed, who holds a lock and how many wait, of every type of object
// - who sleeps at a queue, a topic or a pipe is counted
// - what is damaged, foreign, truncated or named to command a terminal is told as such; the command never crashes of it
// - gc removes nothing without --yes, nothing that somebody alive has open, nothing that is no segment
// - --json is JSON; the exit status is what the manual says
// - a look that is killed leaves whole JSON, a killed child a doctor that says so
// - bench measures, and says so as JSON
// - the tracepoints are in the binary, as notes that perf and bpftrace read
// - the manual and the completion name the commands and the options that there are, and no others
#include <sys/ioctl.h>

#include "core/directory_internal.h"
#include "core/proc.h"
#include "core/segment_internal.h"
#include "ipc/work/executor.h"
#include "tests/harness/refuse.h"
#include "tests/tools/filled.h"

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
static void test_a_lock_that_was_given_up(void **state) {
  (void)state;
  const char *name = test_name("given");
  struct shoal_segment *seg;
  struct shoal_lock *lock;
  struct shoal_array array;
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_ok(shoal_lock_create(seg, "lock", &lock));
  assert_ok(shoal_value_create(seg, "value", "int", 4, NULL, &array));
  pid_t pid = fork_child();
  if (pid == 0) {
    MUST(shoal_lock_acquire(lock, SHOAL_FOREVER) == 0 && shoal_array_acquire(&array, SHOAL_FOREVER) == 0);
    _exit(0);
  }
  assert_int_equal(status_of(pid), 0);
  assert_has(tool("show", joined(name, "lock")), "its owner died\n");
  assert_int_equal(shoal_lock_acquire(lock, SHOAL_FOREVER), -EOWNERDEAD);
  assert_int_equal(shoal_array_acquire(&array, SHOAL_FOREVER), -EOWNERDEAD);
  assert_has(tool("show", joined(name, "lock")), "held\n");
  assert_ok(shoal_lock_release(lock));  // and nobody has said that it is consistent
  assert_ok(shoal_array_release(&array));
  assert_has(tool("show", joined(name, "lock")), "given up\n");
  assert_has(tool("show", joined(name, "value")), "given up\n");
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}
// Nobody has come yet; one is there; the last has left, or was killed; what a killed one has received comes again.
static void test_a_queue_that_has_ended(void **state) {
  (void)state;
  const char *name = test_name("ended");
  struct shoal_segment *seg;
  struct shoal_queue *q;
  struct shoal_loan loan;
  uint32_t three = 3;
  assert_ok(shoal_segment_create(name, &small, &seg));
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_LIFO; kind++) {
    struct shoal_queue_options o = {.capacity = 8, .element_size = 4, .kind = kind};
    assert_ok(shoal_queue_create(seg, "q", &o, &q));
    assert_has(tool("show", "--json", joined(name, "q")), "\"state\":\"empty\"");
    assert_ok(shoal_queue_join(q, SHOAL_PRODUCER));
    assert_has(tool("show", "--json", joined(name, "q")), "\"state\":\"empty\"");
    assert_ok(shoal_queue_leave(q, SHOAL_PRODUCER));
    assert_has(tool("show", "--json", joined(name, "q")), "\"state\":\"ended\"");
    shoal_atomic32 *ready = shared_memory(4096);
    pid_t pid = fork_child();
    if (pid == 0) {
      MUST(shoal_queue_put(q, &three, SHOAL_TRY) == 0 && shoal_queue_receive(q, &loan, SHOAL_TRY) == 0);
      signal_to(ready);
      for (;;) pause();
    }
    await(ready, 1);
    kill_and_wait(pid);
    assert_has(tool("show", "--json", joined(name, "q")), kind == SHOAL_QUEUE_SPSC ? "filled" : "\"state\":\"empty\"");
    assert_ok(shoal_queue_receive(q, &loan, SHOAL_TRY));
    assert_ok(shoal_queue_release(q, &loan));
    assert_has(tool("show", "--json", joined(name, "q")), "\"state\":\"ended\"");
    assert_ok(shoal_queue_detach(q));
    assert_ok(shoal_queue_unlink(seg, "q"));
  }
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}
static void test_an_executor_whose_creator_died(void **state) {
  (void)state;
  const char *name = test_name("orphan");
  struct shoal_segment *seg;
  assert_ok(shoal_segment_create(name, &small, &seg));
  shoal_atomic32 *ready = shared_memory(4096);
  pid_t pid = fork_child();
  if (pid == 0) {
    struct shoal_executor *ex;
    MUST(shoal_executor_create(seg, "ex", &(struct shoal_executor_options){.workers = 1, .jobs = 16}, &ex) == 0);
    signal_to(ready);
    for (;;) pause();
  }
  await(ready, 1);
  assert_has(tool("show", "--json", joined(name, "ex")), "\"state\":\"idle\"");
  kill_and_wait(pid);
  assert_has(tool("show", "--json", joined(name, "ex")), "\"state\":\"its creator died\"");
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
  assert_status(tool("bench", "-f", "nonsense"), 1);
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
  int release[3] = {-1, -1, -1};
  unsigned format = 0;
  assert_int_equal(sscanf(tool("--version")->out, "shoal %d.%d.%d, segments of format %u\n", &release[0], &release[1],
                          &release[2], &format),
                   4);
  assert_int_equal(format, SHOAL_FORMAT_);
  assert_status(tool("ls", "--nonsense"), 2);
  assert_status(tool("show"), 2);
  assert_status(tool("show", "/x"), 2);
  assert_non_null(strstr(tool("show", "/x")->err, "a name has no / before it"));
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
      cmocka_unit_test(test_a_lock_that_was_given_up),
      cmocka_unit_test(test_a_queue_that_has_ended),
      cmocka_unit_test(test_an_executor_whose_creator_died),
      cmocka_unit_test(test_what_an_order_has_met),
      cmocka_unit_test(test_a_killed_holder_and_who_waits),
      cmocka_unit_test(test_who_waits_is_counted),
      cmocka_unit_test(test_scribbled_segments),
      cmocka_unit_test(test_foreign_and_truncated_files),
      cmocka_unit_test(test_json_of_a_killed_look),
      cmocka_unit_test(test_gc),
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
