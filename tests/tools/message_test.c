// What the shoal command claims of messages:
// - what send has sent is received, as lines, as JSON, as MessagePack, as bytes; what is none of these is not sent
// - killed with a message in hand, recv has not received it; what record has recorded, replay sends
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

int main(int argc, char **argv) {
  alarm(WATCHDOG_S);
  if (argc < 2) return 2;
  tool_path = argv[1];
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_messages_go_round),
      cmocka_unit_test(test_recv_killed_in_the_middle),
      cmocka_unit_test(test_record_and_replay),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
