// shoal record, shoal replay: what came through, and when, in a file; and once more.
//
// The file is a stream of MessagePack: ["shoal record", 1, element size or 0], then [nanoseconds since the beginning,
// key, bytes] for each message.
#include <stdlib.h>
#include <string.h>

#include "tools/shoal/message.h"

#define MAGIC "shoal record"
struct tape {
  struct tool_common common;
  const char *word[2];
  int words;
  struct tool_target at;
  unsigned given;
  uint32_t end, history;
  uint64_t count, done, dropped;
  int64_t timeout, begun;  // timeout: as of tool_deadline
  double speed;
  struct tool_channel channel;
};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct tape *t = state->input;
  char *rest;
  switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &t->common; return 0;
    case 'e': t->end = tool_pipe_end(arg, state), t->given |= TOOL_END; return 0;
    case 't': t->timeout = tool_seconds(arg, state); return 0;
    case 'n': t->count = tool_number(arg, state); return 0;
    case 'H': t->history = tool_number32(arg, state), t->given |= TOOL_HISTORY; return 0;
    case 's':
      t->speed = strtod(arg, &rest);
      if (*rest || rest == arg || !(t->speed >= 0 && t->speed < 1e9)) argp_error(state, "\"%s\" is no speed", arg);
      return 0;
    case ARGP_KEY_ARG:
      if (t->words == 2) argp_usage(state);
      t->word[t->words++] = arg;
      return 0;
    case ARGP_KEY_END:
      if (t->words < 2) argp_usage(state);
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}
#define EITHER_WAY                                                                                   \
  {"timeout", 't', "SECONDS", 0, "For each message; 0: what goes at once. Without it, for ever", 0}, \
      {"count", 'n', "NUMBER", 0, "Ends after so many; without it, at the end", 0}, {                \
    "end", 'e', "0|1", 0, "Of a pipe (0)", 0                                                         \
  }
static const struct argp_child children[] = {TOOL_COMMON, {0}};

// What is said at the end, with --json as JSON.
static int end(struct tape *t, int rc, const char *what) {
  if (rc == -EAGAIN) rc = -ETIMEDOUT;
  struct tool_json j = {.out = stdout};
  if (t->common.json) {
    tool_json_open(&j, NULL, '{');
    tool_json_number(&j, "messages", t->done);
    tool_json_number(&j, "dropped", t->dropped);
    tool_json_close(&j, '}');
  } else fprintf(stderr, "shoal: %llu messages\n", (unsigned long long)t->done);
  int status = rc ? tool_failed(rc, what) : TOOL_DONE;
  tool_channel_close(&t->channel);
  return status;
}

// ---- record ----

static int write_packed(FILE *out, struct shoal_packed *m) {
  if (fwrite(m->data, 1, m->size, out) == m->size && fflush(out) == 0) return 0;
  return shoal_fail_(-EIO, "the file could not be written: %m");
}
// Written first, then released: killed in between, it is received again; the file has it already, or a part of it.
static int record_one(struct tape *t, FILE *out, struct shoal_packed *m) {
  struct shoal_loan loan = {.data = NULL};
  int rc = tool_channel_receive(&t->channel, &loan, tool_deadline(t->timeout));
  if (rc) return rc;
  int64_t now = shoal_now_ns();
  if (!t->done) t->begun = now;
  rc = shoal_pack(m, "[I I y]", now - t->begun, loan.key, loan.data, (size_t)loan.size);
  if (rc == 0) rc = write_packed(out, m);
  if (rc) {
    (void)tool_channel_return(&t->channel, &loan);
    return rc;
  }
  t->done++;
  return tool_channel_release(&t->channel, &loan);
}
static const struct argp_option record_options[] = {
    EITHER_WAY, {"history", 'H', "NUMBER", 0, "Of a topic: begins so many messages back (0)", 0}, {0}};
static const struct argp record_argp = {record_options,
                                        parse,
                                        "SEGMENT/OBJECT FILE",
                                        "Receives messages of a queue, a topic or a pipe, and writes them to FILE "
                                        "with the time at which each came. It takes them, as every receiver does: of "
                                        "a topic others have them, too.",
                                        children,
                                        NULL,
                                        NULL};

static int run_record(int argc, char **argv) {
  struct tape t = {.timeout = -1};
  struct shoal_packed m = {0};
  argp_parse(&record_argp, argc, argv, 0, NULL, &t);
  int rc = tool_object_target(t.word[0], &t.at);
  if (rc) return rc;
  rc = tool_channel_open(&t.channel, &t.at, t.end, t.given);
  if (rc == 0) rc = tool_channel_subscribe(&t.channel, t.history);
  if (rc) return end(&t, rc, t.word[0]);
  FILE *out = fopen(t.word[1], "we");
  if (!out) return end(&t, shoal_fail_(-errno, "%m"), t.word[1]);
  rc = shoal_pack(&m, "[s i u]", MAGIC, 1, t.channel.element_size);
  if (rc == 0) rc = write_packed(out, &m);
  while (rc == 0 && (!t.count || t.done < t.count)) rc = record_one(&t, out, &m);
  shoal_packed_free(&m);
  if (fclose(out)) rc = shoal_fail_(-EIO, "the file could not be written: %m");
  int early = rc == -EPIPE && t.count;
  int status = end(&t, rc == -EPIPE ? 0 : rc, t.word[0]);
  return early ? TOOL_NO : status;
}

// ---- replay ----

static int sleep_for(const struct tape *t, int64_t after) {
  double ns = (double)after / t->speed;
  if (!(ns < (double)(INT64_MAX / 2)))
    return shoal_fail_(-EINVAL, "the next message comes in %.0f years", ns / 31556952e9);
  tool_sleep_until(t->begun + (int64_t)ns);
  return 0;
}
static int replay_one(struct tape *t, const void *record, uint64_t size) {
  const void *data;
  size_t n;
  int64_t after, key;
  int rc = shoal_unpack(record, size, "[I I y]", &after, &key, &data, &n);
  if (rc == 0 && t->speed > 0 && after > 0) rc = sleep_for(t, after);
  if (rc) return rc;
  rc = tool_channel_send(&t->channel, data, n, key, tool_deadline(t->timeout));
  t->done += rc == 0;
  t->dropped += rc == SHOAL_DROPPED;
  return rc < 0 ? rc : 0;
}
static int read_head(struct tool_stream *s) {
  const void *data;
  const char *magic;
  uint64_t size;
  size_t n;
  int version;
  int rc = tool_stream_next(s, &data, &size);
  if (rc == 0) rc = shoal_unpack(data, size, "[s i x]", &magic, &n, &version);
  if (rc == 0 && n == strlen(MAGIC) && memcmp(magic, MAGIC, n) == 0 && version == 1) return 0;
  return shoal_fail_(-EPROTO, "not a record of shoal");
}
static const struct argp_option replay_options[] = {
    EITHER_WAY, {"speed", 's', "FACTOR", 0, "As fast as it was, times this (1); 0: as fast as it goes", 0}, {0}};
static const struct argp replay_argp = {replay_options,
                                        parse,
                                        "FILE SEGMENT/OBJECT",
                                        "Sends the messages of FILE, as `shoal record` has written it, through a "
                                        "queue, a topic or a pipe, at the pace at which they came.",
                                        children,
                                        NULL,
                                        NULL};

static int run_replay(int argc, char **argv) {
  struct tape t = {.timeout = -1, .speed = 1};
  const void *data;
  uint64_t size;
  argp_parse(&replay_argp, argc, argv, 0, NULL, &t);
  int rc = tool_object_target(t.word[1], &t.at);
  if (rc) return rc;
  struct tool_stream s = {.in = fopen(t.word[0], "re")};
  if (!s.in) return end(&t, shoal_fail_(-errno, "%m"), t.word[0]);
  rc = read_head(&s);
  const char *at = t.word[rc ? 0 : 1];
  if (rc == 0) rc = tool_channel_open(&t.channel, &t.at, t.end, t.given);
  t.begun = shoal_now_ns();
  while (rc == 0 && (!t.count || t.done < t.count) && (rc = tool_stream_next(&s, &data, &size)) == 0)
    rc = replay_one(&t, data, size);
  if (rc == -EPIPE && s.ended && s.from == s.n) rc = 0;
  tool_stream_free(&s);
  fclose(s.in);
  return end(&t, rc, at);
}

const struct tool_command tool_record = {"record", "what comes through a queue, topic or pipe, into a file",
                                         &record_argp, run_record};
const struct tool_command tool_replay = {"replay", "a recorded file, sent once more", &replay_argp, run_replay};
