// What messages go through, whatever its type; and streams of packed values.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/shoal/message.h"

struct finding {
  const char *name;
  struct shoal_object_info object;
  int found;
};
static int is_it(const struct shoal_object_info *o, void *arg) {
  struct finding *f = arg;
  if (strcmp(o->name, f->name) != 0) return 0;
  f->object = *o;
  return f->found = 1;
}

static int fits(unsigned given, unsigned has) {
  unsigned more = given & ~has;
  if (more & TOOL_END) return shoal_fail_(-EINVAL, "--end: it is no pipe");
  if (more & TOOL_KEY) return shoal_fail_(-EINVAL, "--key: it is no PRIORITY queue of byte messages");
  return more ? shoal_fail_(-EINVAL, "--history: it is no topic") : 0;
}
static int open_object(struct tool_channel *c, const char *name, uint32_t end, unsigned given) {
  struct finding f = {.name = name};
  struct shoal_queue_info info = {0};
  shoal_object_list(c->seg, is_it, &f);
  if (!f.found) return shoal_fail_(-ENOENT, "no object \"%s\"", name);
  const char *type = f.object.type;
  c->element_size = tool_element_size(type);
  int topic = tool_is_of_kind(type, "topic:"), pipe = tool_is_of_kind(type, "pipe:");
  int rc = topic || pipe ? fits(given, topic ? TOOL_HISTORY : TOOL_END) : 0;
  if (rc) return rc;
  if (topic) return shoal_topic_open(c->seg, name, c->element_size, &c->topic);
  if (pipe) return shoal_pipe_open(c->seg, name, c->element_size, end, &c->pipe);
  if (!tool_is_of_kind(type, "queue:"))
    return shoal_fail_(-EINVAL, "\"%s\" is of type %s: messages go through queues, topics and pipes", name, type);
  rc = shoal_queue_open(c->seg, name, c->element_size, &c->queue);
  if (rc == 0) rc = shoal_queue_info(c->queue, &info);
  c->priority = info.kind == SHOAL_QUEUE_PRIORITY;
  return rc ? rc : fits(given, c->priority && !c->element_size ? TOOL_KEY : 0);
}

int tool_channel_open(struct tool_channel *c, const struct tool_target *target, uint32_t end, unsigned given) {
  *c = (struct tool_channel){.seg = NULL};
  int rc = shoal_segment_open(target->segment, NULL, &c->seg);
  if (rc == 0) rc = open_object(c, target->object, end, given);
  if (rc) tool_channel_close(c);
  return rc;
}
void tool_channel_close(struct tool_channel *c) {
  if (c->queue) shoal_queue_detach(c->queue);
  if (c->topic) shoal_topic_detach(c->topic);
  if (c->pipe) shoal_pipe_close(&c->pipe);
  if (c->seg) shoal_segment_close(c->seg);
  *c = (struct tool_channel){.seg = NULL};
}

// ---- sending ----

static int put_element(struct tool_channel *c, const void *data, shoal_deadline deadline) {
  if (c->queue) return shoal_queue_put(c->queue, data, deadline);
  if (c->topic) return shoal_topic_publish(c->topic, data, deadline);
  return shoal_pipe_send(c->pipe, data, c->element_size, deadline);
}
int tool_channel_send(struct tool_channel *c, const void *data, uint64_t size, int64_t key, shoal_deadline deadline) {
  shoal_reason_clear();  // what a wait answers comes without one
  if (!c->element_size && c->pipe) return shoal_pipe_send(c->pipe, data, size, deadline);
  if (!c->element_size && c->priority) return shoal_queue_send_key(c->queue, key, data, size, deadline);
  if (!c->element_size) return shoal_queue_send(c->queue, data, size, deadline);
  if (size > c->element_size)
    return shoal_fail_(-EMSGSIZE, "%llu bytes, elements have %u", (unsigned long long)size, c->element_size);
  char *element = calloc(1, c->element_size);
  if (!element) return shoal_fail_(-ENOMEM, "private memory");
  memcpy(element, data, size);
  int rc = put_element(c, element, deadline);
  free(element);
  return rc;
}

// ---- receiving ----

int tool_channel_subscribe(struct tool_channel *c, uint32_t history) {
  if (!c->topic) return 0;
  return shoal_topic_subscribe(c->topic, &(struct shoal_topic_subscription){.history = history});
}
int tool_channel_receive(struct tool_channel *c, struct shoal_loan *loan, shoal_deadline deadline) {
  shoal_reason_clear();
  if (c->queue) return shoal_queue_receive(c->queue, loan, deadline);
  return c->topic ? shoal_topic_receive(c->topic, loan, deadline) : shoal_pipe_receive(c->pipe, loan, deadline);
}
int tool_channel_release(struct tool_channel *c, struct shoal_loan *loan) {
  if (c->queue) return shoal_queue_release(c->queue, loan);
  return c->topic ? shoal_topic_release(c->topic, loan) : shoal_pipe_release(c->pipe, loan);
}
int tool_channel_return(struct tool_channel *c, struct shoal_loan *loan) {
  if (c->queue) return shoal_queue_return(c->queue, loan);
  return c->topic ? shoal_topic_return(c->topic, loan) : shoal_pipe_return(c->pipe, loan);
}

// ---- streams ----

static int read_more(struct tool_stream *s) {
  if (s->from && s->n == s->room) {
    memmove(s->data, s->data + s->from, s->n - s->from);
    s->n -= s->from, s->from = 0;
  }
  if (s->n == s->room) {
    size_t room = s->room ? 2 * s->room : 65536;
    char *data = realloc(s->data, room);
    if (!data) return shoal_fail_(-ENOMEM, "private memory");
    s->data = data, s->room = room;
  }
  ssize_t got = read(fileno(s->in), s->data + s->n, s->room - s->n);
  if (got < 0 && errno != EINTR) return shoal_fail_(-EIO, "read: %m");
  s->ended = got == 0;
  s->n += got > 0 ? (size_t)got : 0;
  return 0;
}

int tool_stream_next(struct tool_stream *s, const void **data, uint64_t *size) {
  for (;;) {
    struct shoal_reader r;
    int rc = -EPROTO;
    if (s->n > s->from) {
      shoal_reader_begin(&r, s->data + s->from, s->n - s->from);
      rc = shoal_reader_raw(&r, data, size);
    }
    if (rc == 0) {
      s->from += *size;
      return 0;
    }
    if (s->ended && s->n == s->from) return -EPIPE;
    if (s->ended) return shoal_fail_(-EPROTO, "no MessagePack, or its end is missing");
    if ((rc = read_more(s))) return rc;
  }
}
void tool_stream_free(struct tool_stream *s) { free(s->data); }
