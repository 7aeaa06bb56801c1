// tools/shoal/message.h: what the subcommands that send and receive share. They are users as all others are: they open
// the segment, join, and may be killed at any instruction.
#pragma once

#include "ipc/data/codec.h"
#include "ipc/queue/message.h"
#include "ipc/queue/pipe.h"
#include "ipc/queue/topic.h"
#include "tools/shoal/tool.h"

// ---- what messages go through: a queue, a topic, an end of a pipe ----
struct tool_channel {
  struct shoal_segment *seg;
  struct shoal_queue *queue;
  struct shoal_topic *topic;
  struct shoal_pipe *pipe;
  uint32_t element_size, priority;  // 0: byte messages; 1: of kind PRIORITY
};
enum { TOOL_END = 1, TOOL_KEY = 2, TOOL_HISTORY = 4 };  // what only some of them have
// `end`: of a pipe. `given`: the options that were. -ENOENT; -EINVAL nothing that messages go through, or without what
// was given; what opening answers.
int tool_channel_open(struct tool_channel *c, const struct tool_target *target, uint32_t end, unsigned given);
void tool_channel_close(struct tool_channel *c);
// Elements are filled up with zeros: -EMSGSIZE more than one. SHOAL_DROPPED.
int tool_channel_send(struct tool_channel *c, const void *data, uint64_t size, int64_t key, shoal_deadline deadline);
int tool_channel_subscribe(struct tool_channel *c, uint32_t history);  // a topic; 0 for all others
// In place, until it is released (received) or returned (the next to be received again).
int tool_channel_receive(struct tool_channel *c, struct shoal_loan *loan, shoal_deadline deadline);
int tool_channel_release(struct tool_channel *c, struct shoal_loan *loan);
int tool_channel_return(struct tool_channel *c, struct shoal_loan *loan);

// ---- a stream of packed values ----
struct tool_stream {
  FILE *in;
  char *data;
  size_t from, n, room;
  int ended;
};
// The next value's bytes, until the next call. 0; -EPIPE the end; -EPROTO no value, or cut; -ENOMEM.
int tool_stream_next(struct tool_stream *s, const void **data, uint64_t *size);
void tool_stream_free(struct tool_stream *s);

// One JSON value in `n` bytes. -EINVAL, and where.
int tool_json_pack(const char *text, size_t n, struct shoal_packed *out);
// One packed value as JSON. -EPROTO; nothing written then.
int tool_packed_json(const void *data, uint64_t size, FILE *out);
