// shoal send, shoal recv: messages from a shell, to a shell.
#include <stdlib.h>
#include <string.h>

#include "tools/shoal/message.h"

enum { LINES, JSON, MSGPACK, RAW };
struct passing {
  struct tool_common common;
  const char *target;
  struct tool_target at;
  int format, close_it;
  unsigned given;
  uint32_t end, history;
  uint64_t count, done, dropped;
  int64_t timeout, key;  // timeout: as of tool_deadline
  struct tool_channel channel;
};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct passing *p = state->input;
  switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &p->common; return 0;
    case 'm': p->format = MSGPACK; return 0;
    case 'r': p->format = RAW; return 0;
    case 'e': p->end = tool_pipe_end(arg, state), p->given |= TOOL_END; return 0;
    case 't': p->timeout = tool_seconds(arg, state); return 0;
    case 'n': p->count = tool_number(arg, state); return 0;
    case 'H': p->history = tool_number32(arg, state), p->given |= TOOL_HISTORY; return 0;
    case 'k': p->key = tool_signed(arg, state), p->given |= TOOL_KEY; return 0;
    case 'c': p->close_it = 1; return 0;
    case ARGP_KEY_ARG:
      if (p->target) argp_usage(state);
      p->target = arg;
      return 0;
    case ARGP_KEY_END:
      if (!p->target) argp_usage(state);
      if (p->common.json && p->format) argp_error(state, "one format, not two");
      if (p->common.json) p->format = JSON;
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

#define EITHER_WAY                                                                                         \
  {"msgpack", 'm', NULL, 0, "MessagePack values, one a message, one behind the other", 0},                 \
      {"timeout", 't', "SECONDS", 0, "For each message; 0: what goes at once. Without it, for ever", 0}, { \
    "end", 'e', "0|1", 0, "Of a pipe (0)", 0                                                               \
  }

static int end(struct passing *p, int rc) {
  if (p->dropped) fprintf(stderr, "shoal: %llu messages dropped\n", (unsigned long long)p->dropped);
  if (rc == -EAGAIN) rc = -ETIMEDOUT;
  int status = rc ? tool_failed(rc, p->target) : TOOL_DONE;
  tool_channel_close(&p->channel);
  return status;
}

// ---- send ----

static int send_one(struct passing *p, const void *data, uint64_t size) {
  int rc = tool_channel_send(&p->channel, data, size, p->key, tool_deadline(p->timeout));
  p->dropped += rc == SHOAL_DROPPED;
  p->done += rc == 0;
  return rc < 0 ? rc : 0;
}
static int not_read(void) { return shoal_fail_(-EIO, "stdin could not be read: %m"); }
static int send_line(struct passing *p, const char *line, size_t n) {
  struct shoal_packed m = {0};
  if (p->format == LINES) return send_one(p, line, n);
  if (strspn(line, " \t\r") == n) return 0;
  int rc = tool_json_pack(line, n, &m);
  if (rc == 0) rc = send_one(p, m.data, m.size);
  shoal_packed_free(&m);
  return rc;
}
static int send_lines(struct passing *p) {
  char *line = NULL;
  size_t room = 0;
  int rc = 0;
  for (ssize_t n; rc == 0 && (n = getline(&line, &room, stdin)) > 0;) {
    if (line[n - 1] == '\n') line[--n] = 0;
    else if (ferror(stdin)) break;  // it is cut
    rc = send_line(p, line, (size_t)n);
  }
  if (rc == 0 && ferror(stdin)) rc = not_read();
  free(line);
  return rc;
}
static int send_values(struct passing *p) {
  struct tool_stream s = {.in = stdin};
  const void *data;
  uint64_t size;
  int rc;
  while ((rc = tool_stream_next(&s, &data, &size)) == 0 && (rc = send_one(p, data, size)) == 0) continue;
  int whole = rc == -EPIPE && s.ended && s.from == s.n;
  tool_stream_free(&s);
  return whole ? 0 : rc;
}
// As many bytes as an element has; of byte messages, all there is in one.
static int send_raw(struct passing *p) {
  size_t each = p->channel.element_size, n = 0, room = each ? each : 65536;
  char *data = malloc(room);
  int rc = data ? 0 : shoal_fail_(-ENOMEM, "private memory");
  while (rc == 0) {
    size_t got = fread(data + n, 1, room - n, stdin);
    n += got;
    if (n < room) break;
    if (each) rc = send_one(p, data, n), n = 0;
    else {
      char *more = realloc(data, room *= 2);
      if (more) data = more;
      else rc = shoal_fail_(-ENOMEM, "private memory");
    }
  }
  if (rc == 0 && ferror(stdin)) rc = not_read();
  if (rc == 0 && each && n) rc = shoal_fail_(-EMSGSIZE, "%zu bytes are left, elements have %zu", n, each);
  if (rc == 0 && !each) rc = send_one(p, data, n);
  free(data);
  return rc;
}

static int close_channel(struct tool_channel *c) {
  if (c->queue) return shoal_queue_close(c->queue);
  return c->topic ? shoal_topic_close(c->topic) : shoal_fail_(-EINVAL, "a pipe ends with its ends");
}

static const struct argp_option send_options[] = {
    EITHER_WAY,
    {"raw", 'r', NULL, 0, "Elements as bytes; of byte messages, all of stdin in one", 0},
    {"key", 'k', "NUMBER", 0, "Of a PRIORITY queue of byte messages (0)", 0},
    {"close", 'c', NULL, 0, "Closes the queue or topic, for all, at the end", 0},
    {0}};
static const struct argp_child children[] = {TOOL_COMMON, {0}};
static const struct argp send_argp = {
    send_options,
    parse,
    "SEGMENT/OBJECT",
    "Sends lines of stdin through a queue, a topic or a pipe, one a message; with --json each line is a value, sent as "
    "MessagePack. Killed at any instruction, a line is sent or is not.",
    children,
    NULL,
    NULL};

static int run_send(int argc, char **argv) {
  struct passing p = {.format = LINES, .timeout = -1};
  argp_parse(&send_argp, argc, argv, 0, NULL, &p);
  int rc = tool_object_target(p.target, &p.at);
  if (rc) return rc;
  rc = tool_channel_open(&p.channel, &p.at, p.end, p.given);
  if (rc) return tool_failed(rc, p.target);
  rc = p.format == RAW ? send_raw(&p) : p.format == MSGPACK ? send_values(&p) : send_lines(&p);
  if (rc == 0 && p.close_it) rc = close_channel(&p.channel);
  return end(&p, rc);
}

// ---- recv ----

static uint64_t trimmed(const char *data, uint64_t n) {
  while (n && !data[n - 1]) n--;
  return n;
}
static int write_value(const struct passing *p, const struct shoal_loan *loan) {
  struct shoal_reader r;
  struct shoal_packed m = {0};
  int rc = 0;
  if (p->channel.element_size) rc = shoal_pack(&m, "y", loan->data, (size_t)loan->size);
  shoal_reader_begin(&r, loan->data, loan->size);
  const void *data = m.data ? m.data : loan->data;
  if (rc == 0 && !m.data) rc = shoal_reader_end(&r);
  if (rc == 0) fwrite(data, 1, m.data ? m.size : loan->size, stdout);
  shoal_packed_free(&m);
  return rc;
}
static int write_message(const struct passing *p, const struct shoal_loan *loan) {
  uint64_t n = p->channel.element_size ? trimmed(loan->data, loan->size) : loan->size;
  int rc = 0;
  switch (p->format) {
    case MSGPACK: return write_value(p, loan);
    case RAW: fwrite(loan->data, 1, loan->size, stdout); return 0;
    case LINES: fwrite(loan->data, 1, n, stdout); break;
    default:
      if (!p->channel.element_size) rc = tool_packed_json(loan->data, loan->size, stdout);
      else tool_json_bytes(&(struct tool_json){.out = stdout}, NULL, loan->data, n);
  }
  if (rc == 0) fputc('\n', stdout);
  return rc;
}
// Written first, then released: killed in between, it is received again.
static int receive_one(struct passing *p) {
  struct shoal_loan loan = {.data = NULL};
  int rc = tool_channel_receive(&p->channel, &loan, tool_deadline(p->timeout));
  if (rc) return rc;
  rc = write_message(p, &loan);
  if (rc == 0 && fflush(stdout)) rc = shoal_fail_(-EIO, "the output could not be written: %m");
  if (rc) {
    (void)tool_channel_return(&p->channel, &loan);
    return rc;
  }
  p->done++;
  return tool_channel_release(&p->channel, &loan);
}

static const struct argp_option recv_options[] = {
    EITHER_WAY,
    {"raw", 'r', NULL, 0, "Bytes as they are, with nothing between them", 0},
    {"count", 'n', "NUMBER", 0, "Ends after so many; without it, at the end of the stream", 0},
    {"history", 'H', "NUMBER", 0, "Of a topic: begins so many messages back (0)", 0},
    {0}};
static const struct argp recv_argp = {
    recv_options,
    parse,
    "SEGMENT/OBJECT",
    "Receives messages of a queue, a topic or a pipe, and writes one a line (of elements, zeros at the end are left "
    "out); with --json, MessagePack as JSON. A message is received when it has been written: killed before, it comes "
    "again. Exit status 1: the stream ended before --count; 4: nothing came in --timeout.",
    children,
    NULL,
    NULL};

static int run_recv(int argc, char **argv) {
  struct passing p = {.format = LINES, .timeout = -1};
  argp_parse(&recv_argp, argc, argv, 0, NULL, &p);
  int rc = tool_object_target(p.target, &p.at);
  if (rc) return rc;
  rc = tool_channel_open(&p.channel, &p.at, p.end, p.given);
  if (rc == 0) rc = tool_channel_subscribe(&p.channel, p.history);
  if (rc) return end(&p, rc);
  while ((!p.count || p.done < p.count) && (rc = receive_one(&p)) == 0) continue;
  if (rc != -EPIPE) return end(&p, rc);
  int status = end(&p, 0);
  return p.count && p.done < p.count ? TOOL_NO : status;
}

const struct tool_command tool_send = {"send", "lines, JSON, MessagePack into a queue, topic or pipe", &send_argp,
                                       run_send};
const struct tool_command tool_recv = {"recv", "messages of a queue, topic or pipe", &recv_argp, run_recv};
