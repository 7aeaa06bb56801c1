// What the shoal command claims of looking:
// - ls, show, gc and doctor change no byte of a segment, take no place in it, and say what is there: who is alive, who
//   was killed, who holds a lock and how many wait, of every type of object
// - what is damaged, foreign, truncated or named to command a terminal is told as such; the command never crashes of it
// - gc removes nothing without --yes, nothing that somebody alive has open, nothing that is no segment
// - --json is JSON; the exit status is what the manual says
// - stat and watch tell what changed; top, in a pipe, as JSON, and on a terminal, where it listens to its keys
// - what send has sent is received, as lines, as JSON, as MessagePack, as bytes; killed with a message in hand, recv has
//   not received it; what record has recorded, replay sends
#include <pty.h>

#include "ipc/data/list.h"
#include "ipc/data/namespace.h"
#include "ipc/data/text.h"
#include "ipc/data/value.h"
#include "ipc/data/vector.h"
#include "ipc/queue/message.h"
#include "ipc/queue/pipe.h"
#include "ipc/queue/topic.h"
#include "sync/barrier.h"
#include "sync/condition.h"
#include "sync/event.h"
#include "sync/once.h"
#include "sync/rlock.h"
#include "sync/rwlock.h"
#include "sync/semaphore.h"
#include "sync/seqlock.h"
#include "tests/tools/tool_support.h"

static const struct shoal_segment_options small = {
    .size = 1 << 20, .size_max = 64 << 20, .participants = 16, .objects = 64};

static void path_of(const char *name, char path[160]) { snprintf(path, 160, "/dev/shm/shoal.%s", name); }
static const char *joined(const char *segment, const char *object) {
  static char text[2 * SHOAL_NAME_MAX + 2];
  snprintf(text, sizeof text, "%s/%s", segment, object);
  return text;
}

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

// ---- everything there is ----

static int thirteen(void *memory, uint64_t size, void *arg) {
  (void)arg;
  memset(memory, 13, size);
  return 0;
}

static void fill(struct shoal_segment *seg) {
  struct shoal_lock *lock;
  struct shoal_rlock *rlock;
  struct shoal_rwlock *rwlock;
  struct shoal_seqlock *seqlock;
  struct shoal_condition *condition;
  struct shoal_event *event;
  struct shoal_semaphore *semaphore;
  struct shoal_barrier *barrier;
  struct shoal_once *once;
  MUST(shoal_lock_create(seg, "a lock", &lock) == 0);
  MUST(shoal_rlock_create(seg, "an rlock", &rlock) == 0);
  MUST(shoal_rwlock_create(seg, "an rwlock", 4, &rwlock) == 0);
  MUST(shoal_seqlock_create(seg, "a seqlock", 16, NULL, &seqlock) == 0);
  MUST(shoal_condition_create(seg, "a condition", 4, &condition) == 0);
  MUST(shoal_event_create(seg, "an event", &event) == 0);
  MUST(shoal_semaphore_create(seg, "a semaphore", 3, 3, 0, &semaphore) == 0);
  MUST(shoal_barrier_create(seg, "a barrier", 2, 0, &barrier) == 0);
  MUST(shoal_once_create(seg, "a once", &once) == 0);
}
static void fill_queues(struct shoal_segment *seg) {
  struct shoal_queue *q;
  struct shoal_topic *t;
  struct shoal_pipe *ends[2];
  uint32_t three = 3;
  static const char *const names[] = {"mpmc", "spsc", "fifo", "lifo"};
  for (uint32_t kind = 0; kind < 4; kind++) {
    struct shoal_queue_options o = {.capacity = 8, .element_size = 4, .kind = kind};
    MUST(shoal_queue_create(seg, names[kind], &o, &q) == 0);
    MUST(shoal_queue_put(q, &three, SHOAL_TRY) == 0);
    MUST(shoal_queue_detach(q) == 0);
  }
  MUST(shoal_queue_create(seg, "lines", &(struct shoal_queue_options){.capacity = 8, .bytes = 1}, &q) == 0);
  MUST(shoal_queue_send(q, "hello", 5, SHOAL_TRY) == 0);
  MUST(shoal_queue_detach(q) == 0);
  MUST(shoal_topic_create(seg, "a topic", &(struct shoal_topic_options){.capacity = 8, .element_size = 4}, &t) == 0);
  MUST(shoal_topic_detach(t) == 0);
  MUST(shoal_pipe_create(seg, "a pipe", &(struct shoal_pipe_options){.capacity = 8, .element_size = 4, .duplex = 1},
                         ends) == 0);
  MUST(shoal_pipe_close(&ends[0]) == 0 && shoal_pipe_close(&ends[1]) == 0);
}
static void fill_data(struct shoal_segment *seg) {
  struct shoal_array a;
  struct shoal_vector v;
  struct shoal_text t;
  struct shoal_dict *d;
  struct shoal_namespace *ns;
  struct shoal_list *l;
  struct shoal_object object;
  MUST(shoal_value_create(seg, "a value", "int", 4, NULL, &a) == 0);
  MUST(shoal_array_create(seg, "an array", "double", 8, 10, NULL, &a) == 0);
  MUST(shoal_vector_create(seg, "a vector", "int", 4, NULL, &v) == 0);
  MUST(shoal_text_create(seg, "a text", 32, "hello", &t) == 0);
  MUST(shoal_dict_create(seg, "a dict", NULL, &d) == 0);
  MUST(shoal_dict_set(d, "k", 1, "v", 1, SHOAL_FOREVER) == 0);
  MUST(shoal_namespace_create(seg, "a namespace", &ns) == 0);
  MUST(shoal_list_create(seg, "a list", &l) == 0);
  MUST(shoal_object_create(seg, "my own", "thing", 100, thirteen, NULL, &object) == 0);
  MUST(shoal_dict_close(d) == 0 && shoal_namespace_close(ns) == 0 && shoal_list_close(l) == 0);
  MUST(shoal_vector_close(&v) == 0);
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
  static const char *const shown[] = {"lock",      "rlock",   "rwlock", "seqlock",   "condition",   "event",
                                      "semaphore", "barrier", "once",   "queue:4",   "queue:bytes", "topic:4",
                                      "pipe:4",    "value",   "array",  "vector",    "text",        "dict",
                                      "namespace", "list",    "thing",  "shoal:heap"};
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
  snprintf(name, sizeof name, "%s", test_name("foreign"));
  path_of(name, path);
  make_file(name, "hello", 5, 5);
  assert_status(tool("ls", name), 3);
  assert_has(tool("ls", name), "not a shoal segment");
  assert_status(tool("show", name), 3);
  assert_status(tool("gc", "--yes", name), 1);
  assert_int_equal(unlink(path), 0);
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_int_equal(truncate(path, 100000), 0);  // of its user, who does not touch it again
  assert_has(tool("ls", "--json", name), "truncated");
  assert_status(tool("show", "--json", name), 3);
  assert_has(tool("gc", "--yes", name), "somebody alive");
  assert_int_equal(unlink(path), 0);
  strcat(name, "\n\x1b[2J");  // a command to the terminal
  make_file(name, "hello", 5, 5);
  struct run *r = tool("ls");
  assert_null(strchr(r->out, '\x1b'));
  assert_has(r, "\\x0a\\x1b[2J");
  assert_json(tool("ls", "--json"));
  path_of(name, path);
  assert_int_equal(unlink(path), 0);
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

// ---- messages ----

// Who keeps the stream from ending when `send` has left.
static struct shoal_queue *producer_of(struct shoal_segment *seg) {
  struct shoal_queue *q;
  assert_ok(shoal_queue_open(seg, "lines", 0, &q));
  assert_ok(shoal_queue_join(q, SHOAL_PRODUCER));
  return q;
}

static void test_messages_go_round(void **state) {
  (void)state;
  static const char json[] =
      "[1,-2,3.5,\"h\\u00e9\\ud83d\\ude00\\udc80\",null,true,{\"k\":[]}]\n18446744073709551615\n";
  static const char back[] =
      "[1,-2,3.5,\"h\303\251\360\237\230\200\\udc80\",null,true,{\"k\":[]}]\n18446744073709551615\n";
  static const char *const wrong[] = {"[1,", "{1:2}", "\"a", "nul", "1 2", "[1 2]", "\"\\ud800\"", "-", "{\"a\"}"};
  const char *name = test_name("messages");
  struct shoal_segment *seg;
  char target[160];
  assert_ok(shoal_segment_create(name, &small, &seg));
  fill_queues(seg);
  struct shoal_queue *q = producer_of(seg);
  snprintf(target, sizeof target, "%s/lines", name);
  assert_status(run_words("two\n\nfour", WORDS("send", target)), 0);
  struct run *r = tool("recv", "-n", "4", target);
  assert_status(r, 0);
  assert_string_equal(r->out, "hello\ntwo\n\nfour\n");
  assert_status(tool("recv", "-t", "0", target), 4);
  assert_status(run_words(json, WORDS("send", "--json", target)), 0);
  r = tool("recv", "--json", "-n", "2", target);
  assert_string_equal(r->out, back);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_status(run_words(wrong[i], WORDS("send", "--json", target)), 3);
  assert_status(run_words("\x01\x92\x02\xa1z", WORDS("send", "--msgpack", target)), 0);
  assert_string_equal(tool("recv", "--json", "-n", "2", target)->out, "1\n[2,\"z\"]\n");
  assert_status(run_words("\x92\x02", WORDS("send", "--msgpack", target)), 3);
  assert_status(run_words("no MessagePack", WORDS("send", target)), 0);
  assert_status(tool("recv", "--json", "-t", "0", target), 3);  // and it is still there
  assert_string_equal(tool("recv", "--raw", "-n", "1", target)->out, "no MessagePack");
  assert_ok(shoal_queue_detach(q));
  assert_status(tool("recv", target), 0);  // nobody is left to send
  snprintf(target, sizeof target, "%s/fifo", name);
  assert_status(run_words("ab\nabcde", WORDS("send", target)), 3);  // the second is too long
  assert_string_equal(tool("recv", "-n", "2", target)->out, "\x03\nab\n");
  assert_status(run_words("x", WORDS("send", joined(name, "a dict"))), 1);
  assert_status(run_words("bye", WORDS("send", "--close", target)), 0);
  r = tool("recv", "-n", "2", target);
  assert_string_equal(r->out, "bye\n");
  assert_status(r, 1);  // the end came before the second
  assert_status(tool("recv", target), 0);
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

// Its stdout is a pipe that nobody empties: it stops with a message in hand.
static void test_recv_killed_in_the_middle(void **state) {
  (void)state;
  const char *name = test_name("middle");
  struct shoal_segment *seg;
  struct shoal_queue *q;
  char target[160], *large = calloc(1, 1 << 18);
  uint64_t size = 0;
  int ends[2];
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_ok(shoal_queue_create(seg, "q", &(struct shoal_queue_options){.capacity = 8, .bytes = 1}, &q));
  assert_ok(shoal_queue_send(q, large, 1 << 18, SHOAL_TRY));
  snprintf(target, sizeof target, "%s/q", name);
  assert_int_equal(pipe(ends), 0);
  pid_t pid = start_tool(WORDS("recv", target), (const int[3]){0, ends[1], 2});
  assert_int_equal(read(ends[0], large, 1), 1);  // it has begun to write
  kill_and_wait(pid);
  assert_ok(shoal_queue_recv(q, large, 1 << 18, &size, SHOAL_FOREVER));
  assert_int_equal(size, 1 << 18);
  close(ends[0]);
  close(ends[1]);
  free(large);
  assert_ok(shoal_queue_detach(q));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

static void test_record_and_replay(void **state) {
  (void)state;
  const char *name = test_name("tape");
  struct shoal_segment *seg;
  char target[160], file[64];
  int fd = memfd_create("tape", 0);
  snprintf(file, sizeof file, "/proc/%d/fd/%d", (int)getpid(), fd);
  assert_ok(shoal_segment_create(name, &small, &seg));
  fill_queues(seg);
  struct shoal_queue *q = producer_of(seg);
  snprintf(target, sizeof target, "%s/lines", name);
  assert_status(run_words("two\nthree", WORDS("send", target)), 0);
  struct run *r = tool("record", "--json", "-n", "3", target, file);
  assert_status(r, 0);
  assert_has(r, "\"messages\":3");
  assert_status(tool("recv", "-t", "0", target), 4);
  assert_status(tool("replay", file, target), 0);
  assert_string_equal(tool("recv", "-n", "3", target)->out, "hello\ntwo\nthree\n");
  assert_status(tool("replay", "--speed", "0", "-n", "1", file, target), 0);
  assert_string_equal(tool("recv", "-n", "1", target)->out, "hello\n");
  assert_int_equal(ftruncate(fd, lseek(fd, 0, SEEK_END) - 1), 0);  // killed while it wrote
  assert_status(tool("replay", "--speed", "0", file, target), 3);
  assert_string_equal(tool("recv", "-n", "2", target)->out, "hello\ntwo\n");
  assert_int_equal(ftruncate(fd, 3), 0);
  assert_status(tool("replay", file, target), 3);
  close(fd);
  assert_ok(shoal_queue_detach(q));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
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

static void test_doctor(void **state) {
  (void)state;
  struct run *r = tool("doctor", "--json");
  assert_json(r);
  assert_true(r->status == 0 || r->status == 1);
  assert_has(r, "a killed child's word was marked by the kernel");
  assert_has(r, "made, joined, opened and removed");
  assert_has(tool("doctor"), "futex_waitv");
}

int main(int argc, char **argv) {
  alarm(WATCHDOG_S);
  if (argc < 2) return 2;
  tool_path = argv[1];
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_everything_is_shown_and_nothing_changed),
      cmocka_unit_test(test_a_killed_holder_and_who_waits),
      cmocka_unit_test(test_scribbled_segments),
      cmocka_unit_test(test_foreign_and_truncated_files),
      cmocka_unit_test(test_gc),
      cmocka_unit_test(test_stat_and_watch),
      cmocka_unit_test(test_top_in_a_pipe),
      cmocka_unit_test(test_top_on_a_terminal),
      cmocka_unit_test(test_messages_go_round),
      cmocka_unit_test(test_recv_killed_in_the_middle),
      cmocka_unit_test(test_record_and_replay),
      cmocka_unit_test(test_statuses),
      cmocka_unit_test(test_doctor),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
