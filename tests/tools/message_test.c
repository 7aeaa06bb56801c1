// What the shoal command claims of messages:
// - what send has sent is received, as lines, as JSON, as MessagePack, as bytes; what is none of these is not sent
// - killed with a message in hand, recv has not received it; what record has recorded, replay sends, no sooner than it
//   came
// - they go through every way, from either end, by key, from as far back as a topic keeps
// - of a stdin that could not be read to its end nothing cut is sent, and nothing is closed; numbers that are none are
//   refused, and options of other types
#include <pty.h>
#include <termios.h>

#include "tests/tools/filled.h"

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
  static const char *const wrong[] = {"[1,",   "{1:2}",       "\"a", "nul",     "1 2",
                                      "[1 2]", "\"\\ud800\"", "-",   "{\"a\"}", "-1e400"};
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

// ---- what goes through topics, pipes and PRIORITY queues; what a topic has kept ----

static void test_topics_and_pipes(void **state) {
  (void)state;
  const char *name = test_name("ways");
  struct shoal_segment *seg;
  struct shoal_topic *t;
  struct shoal_pipe *there[2], *back[2], *first[2];
  struct shoal_queue *q;
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_ok(
      shoal_topic_create(seg, "t", &(struct shoal_topic_options){.capacity = 8, .element_size = 4, .history = 4}, &t));
  assert_ok(shoal_topic_join(t));  // who keeps the stream from ending
  assert_status(run_words("one\ntwo\nsix\nten", WORDS("send", joined(name, "t"))), 0);
  assert_string_equal(tool("recv", "--history", "2", "-n", "2", joined(name, "t"))->out, "six\nten\n");
  assert_string_equal(tool("recv", "--raw", "-H4", "-n1", joined(name, "t"))->out, "one");  // then a zero
  assert_status(tool("recv", "-t", "0", joined(name, "t")), 4);                             // none back
  assert_status(run_words("", WORDS("send", "--close", joined(name, "t"))), 0);
  assert_string_equal(tool("recv", "--history=1", joined(name, "t"))->out, "ten\n");
  assert_ok(shoal_topic_detach(t));

  const struct shoal_pipe_options o = {.capacity = 8};
  assert_ok(shoal_pipe_create(seg, "p", &(struct shoal_pipe_options){.capacity = 8, .duplex = 1}, there));
  assert_status(run_words("a\nb", WORDS("send", joined(name, "p"))), 0);
  assert_string_equal(tool("recv", "--end", "1", joined(name, "p"))->out, "a\nb\n");  // to the end
  assert_ok(shoal_pipe_create(seg, "r", &o, first));
  assert_status(run_words("c", WORDS("send", "--end=0", joined(name, "r"))), 3);  // it is for receiving
  assert_ok(shoal_pipe_create(seg, "s", &o, back));
  assert_status(run_words("c", WORDS("send", "--end=1", joined(name, "s"))), 0);
  assert_string_equal(tool("recv", joined(name, "s"))->out, "c\n");
  assert_status(run_words("", WORDS("send", "--close", joined(name, "s"))), 3);
  for (int i = 0; i < 2; i++) {
    assert_ok(shoal_pipe_close(&there[i]));
    assert_ok(shoal_pipe_close(&first[i]));
    assert_ok(shoal_pipe_close(&back[i]));
  }

  assert_ok(shoal_queue_create(
      seg, "k", &(struct shoal_queue_options){.capacity = 8, .bytes = 1, .kind = SHOAL_QUEUE_PRIORITY}, &q));
  assert_ok(shoal_queue_join(q, SHOAL_PRODUCER));
  assert_status(run_words("last", WORDS("send", "--key=7", joined(name, "k"))), 0);
  assert_status(run_words("first", WORDS("send", "--key=-7", joined(name, "k"))), 0);
  assert_string_equal(tool("recv", "-n", "2", joined(name, "k"))->out, "first\nlast\n");
  assert_ok(shoal_queue_detach(q));
  assert_ok(shoal_queue_create(seg, "e", &(struct shoal_queue_options){.capacity = 8, .element_size = 4}, &q));
  assert_ok(shoal_queue_join(q, SHOAL_PRODUCER));
  assert_status(run_words("abcdefgh", WORDS("send", "--raw", joined(name, "e"))), 0);
  assert_status(run_words("abcde", WORDS("send", "--raw", joined(name, "e"))), 3);  // a byte is left
  assert_string_equal(tool("recv", "--raw", "-n", "3", joined(name, "e"))->out, "abcdefghabcd");
  assert_ok(shoal_queue_detach(q));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

static void is_refused(struct run *r, const char *why) {
  assert_status(r, 3);
  if (!strstr(r->err, why)) fail_msg("not \"%s\": %s", why, r->err);
}
static void test_options_of_other_types(void **state) {
  (void)state;
  const char *name = test_name("others");
  struct shoal_segment *seg;
  assert_ok(shoal_segment_create(name, &small, &seg));
  fill_queues(seg);
  const char *queue = strdup(joined(name, "lines")), *pipe = strdup(joined(name, "a pipe"));
  is_refused(tool("send", "--end=0", queue), "it is no pipe");
  is_refused(tool("send", "--key=0", queue), "it is no PRIORITY queue");
  is_refused(tool("send", "--key=1", pipe), "it is no PRIORITY queue");
  is_refused(tool("recv", "--history=1", "-n1", queue), "it is no topic");
  is_refused(tool("recv", "--history=0", "-t0", pipe), "it is no topic");
  is_refused(tool("recv", "--end=1", "-t0", joined(name, "a topic")), "it is no pipe");
  is_refused(tool("record", "--history=1", "-n1", queue, "/dev/null"), "it is no topic");
  assert_status(tool("recv", name), 2);
  assert_status(tool("send", name), 2);
  assert_status(tool("record", name, "/dev/null"), 2);
  assert_status(tool("replay", "/dev/null", name), 2);
  assert_string_equal(tool("recv", "-n1", queue)->out, "hello\n");  // nobody has taken it
  free((char *)queue);
  free((char *)pipe);
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

static void test_numbers_that_are_none(void **state) {
  (void)state;
  const char *none = joined(test_name("none"), "q");
  assert_status(tool("send", "--key", "abc", none), 2);
  assert_status(tool("send", "--key", "9223372036854775808", none), 2);
  assert_status(tool("send", "--end", "4294967296", none), 2);
  assert_status(tool("recv", "--end", "2", none), 2);
  assert_status(tool("recv", "--history", "4294967296", none), 2);
  assert_status(tool("record", "--end", "4294967297", none, "/dev/null"), 2);
  assert_status(tool("record", "--history", "4294967296", none, "/dev/null"), 2);
  assert_status(tool("replay", "--end", "2", "/dev/null", none), 2);
}

// ---- stdin that ends in an error ----

static int without_end(const char *written) {  // reads give that, then EIO
  int ends[2];
  struct termios raw;
  assert_int_equal(openpty(&ends[0], &ends[1], NULL, NULL, NULL), 0);
  assert_int_equal(tcgetattr(ends[1], &raw), 0);
  cfmakeraw(&raw);
  assert_int_equal(tcsetattr(ends[1], TCSANOW, &raw), 0);
  assert_int_equal(write(ends[1], written, strlen(written)), strlen(written));
  close(ends[1]);
  return ends[0];
}
static void is_not_sent(const char *target, const char *how, int in, int error) {
  int fd[3] = {in, memfd_create("out", MFD_CLOEXEC), memfd_create("err", MFD_CLOEXEC)};
  assert_int_equal(status_of(start_tool(WORDS("send", "--close", how, target), fd)), 3);
  char *said = slurp(fd[2]);
  if (!strstr(said, strerror(error))) fail_msg("%s", said);
  free(said);
  close(fd[0]);
  close(fd[1]);
}
static void test_stdin_that_cannot_be_read(void **state) {
  (void)state;
  const char *name = test_name("unread");
  struct shoal_segment *seg;
  char target[160];
  assert_ok(shoal_segment_create(name, &small, &seg));
  fill_queues(seg);
  struct shoal_queue *q = producer_of(seg);
  snprintf(target, sizeof target, "%s/lines", name);
  assert_status(tool("recv", "-n", "1", target), 0);  // hello
  static const char *const how[] = {"--timeout=9", "--raw", "--msgpack", "--json"};
  for (size_t i = 0; i < sizeof how / sizeof *how; i++)
    is_not_sent(target, how[i], open("/", O_RDONLY | O_CLOEXEC), EISDIR);
  is_not_sent(target, "--raw", without_end("cut"), EIO);
  is_not_sent(target, "--json", without_end("12"), EIO);
  is_not_sent(target, "--timeout=9", without_end("whole\ncut"), EIO);
  assert_string_equal(tool("recv", "-t", "0", target)->out, "whole\n");
  assert_status(tool("recv", "-t", "0", target), 4);  // nor is it closed
  assert_ok(shoal_queue_detach(q));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

// ---- the pace of a record ----

static int record_of(int64_t after) {  // "a", and so long after it "b"
  unsigned char text[] =
      "\x93\xac"
      "shoal record"
      "\x01\x00"
      "\x93\x00\x00\xc4\x01"
      "a"
      "\x93\xd3--------\x00\xc4\x01"
      "b";
  unsigned char *at = text + sizeof text - 13;
  int fd = memfd_create("tape", 0);
  for (int i = 0; i < 8; i++) at[i] = (unsigned char)((uint64_t)after >> (56 - 8 * i));
  assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
  return fd;
}
static void test_replay_keeps_the_pace(void **state) {
  (void)state;
  const char *name = test_name("pace");
  struct shoal_segment *seg;
  char target[160], file[64];
  assert_ok(shoal_segment_create(name, &small, &seg));
  fill_queues(seg);
  struct shoal_queue *q = producer_of(seg);
  snprintf(target, sizeof target, "%s/lines", name);
  assert_status(tool("recv", "-n", "1", target), 0);
  int fd = record_of(60000000);
  snprintf(file, sizeof file, "/proc/%d/fd/%d", (int)getpid(), fd);
  int64_t begun = shoal_now_ns();
  assert_status(tool("replay", file, target), 0);
  assert_true(shoal_now_ns() - begun >= 60000000);
  begun = shoal_now_ns();
  assert_status(tool("replay", "--speed", "2", file, target), 0);
  assert_true(shoal_now_ns() - begun >= 30000000);
  assert_status(tool("replay", "--speed", "1e-300", file, target), 3);  // not in our time
  close(fd);
  fd = record_of(INT64_MAX);
  snprintf(file, sizeof file, "/proc/%d/fd/%d", (int)getpid(), fd);
  assert_status(tool("replay", file, target), 3);
  close(fd);
  assert_string_equal(tool("recv", "-n", "6", target)->out, "a\nb\na\nb\na\na\n");
  assert_ok(shoal_queue_detach(q));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

int main(int argc, char **argv) {
  alarm(WATCHDOG_S);
  if (argc < 2) return 2;
  tool_path = argv[1];
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_messages_go_round),         cmocka_unit_test(test_recv_killed_in_the_middle),
      cmocka_unit_test(test_record_and_replay),         cmocka_unit_test(test_topics_and_pipes),
      cmocka_unit_test(test_options_of_other_types),    cmocka_unit_test(test_numbers_that_are_none),
      cmocka_unit_test(test_stdin_that_cannot_be_read), cmocka_unit_test(test_replay_keeps_the_pace),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
