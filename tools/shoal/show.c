// shoal show: what is in a segment.
#include <string.h>

#include "core/deadline.h"
#include "tools/shoal/tool.h"

struct showing {
  struct tool_common common;
  const char *what;
  struct tool_target target;
  struct tool_json json;
  int64_t interval, at;  // at: when the first look told of it; 0: it has not
  struct tool_row first;
  unsigned objects, bad;
  uint32_t last;  // the kind of row before
};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct showing *s = state->input;
  if (key == ARGP_KEY_INIT) state->child_inputs[0] = &s->common;
  else if (key == 'i') s->interval = tool_seconds(arg, state);
  else if (key == ARGP_KEY_ARG && !s->what) s->what = arg;
  else if (key == ARGP_KEY_ARG || key == ARGP_KEY_NO_ARGS) argp_usage(state);
  else return ARGP_ERR_UNKNOWN;
  return 0;
}
static const struct argp_option options[] = {{"interval", 'i', "SECONDS", 0, "Between its two looks (0.1)", 0}, {0}};
static const struct argp_child children[] = {TOOL_COMMON, {0}};
static const struct argp argp = {
    options,
    parse,
    "SEGMENT[/OBJECT]",
    "Shows who uses a segment, what each has counted since it joined, and what is in it; of an object its type, state, "
    "owner, waiters, depth and counters, as one moment's look has them. It looks twice, and tells of the segment, or "
    "of "
    "the object that is named, how fast each counter rose in between.",
    children,
    NULL,
    NULL};

// The kinds come in groups, each an array of its own, also without any in it.
static void advance(struct showing *s, uint32_t kind) {
  for (; s->last < kind; s->last++) {
    if (s->last != ROW_SEGMENT) tool_json_close(&s->json, ']');
    if (s->last < ROW_OBJECT) tool_json_open(&s->json, s->last == ROW_SEGMENT ? "participants" : "objects", '[');
  }
}
static void as_json(struct showing *s, const struct tool_row *row, const struct tool_before *before) {
  if (!*s->target.object) advance(s, row->kind);
  tool_json_row_and_rates(&s->json, row->kind == ROW_SEGMENT ? "segment" : NULL, row, before);
}

static const char *state_of(const struct tool_row *row) {
  const struct tool_field *state = tool_field(row, "state");
  return row->error ? row->reason : state ? state->text : "";
}
static void as_line(struct showing *s, const struct tool_row *row, const struct tool_before *before) {
  if (row->kind == ROW_SEGMENT) printf("segment %s\n", tool_clean(row->segment)), tool_row_print(row, before);
  if (row->kind == ROW_PARTICIPANT) {
    if (s->last != row->kind) printf("\n%10s %10s %-6s %s\n", "PID", "TID", "", "PARTICIPANT");
    printf("%10s %10s %-6s %-16s", tool_field_text(tool_field(row, "pid")), tool_field_text(tool_field(row, "tid")),
           tool_field(row, "alive")->number ? "alive" : "dead", tool_clean(row->name));
    for (uint32_t i = 0; i < row->fields; i++)
      if (row->field[i].kind == FIELD_COUNTER && row->field[i].number)
        printf(" %s=%s", row->field[i].key, tool_field_text(&row->field[i]));
    puts("");
  }
  if (row->kind != ROW_OBJECT) return;
  if (*s->target.object) {
    printf("%s/%s  %s, %s\n", row->segment, tool_clean(row->name), tool_clean(row->type), tool_bytes_text(row->size));
    tool_row_print(row, before);
    return;
  }
  const struct tool_field *depth = tool_field(row, "depth");
  if (s->last != row->kind) printf("\n%-24s %-14s %7s %8s %s\n", "OBJECT", "TYPE", "BYTES", "DEPTH", "STATE");
  printf("%-24s %-14s %7s %8s %s\n", tool_clean(row->name), tool_clean(row->type), tool_bytes_text(row->size),
         depth ? tool_field_text(depth) : "", tool_clean(state_of(row)));
}

static int each(const struct tool_row *row, void *arg) {
  struct showing *s = arg;
  const struct tool_row *first = strcmp(s->first.type, row->type) == 0 ? &s->first : NULL;
  const struct tool_before before = {first, (double)(shoal_now_ns() - s->at) / 1e9};
  int has_rates = !row->error && (row->kind == ROW_SEGMENT || *s->target.object);
  s->objects += row->kind == ROW_OBJECT;
  s->bad += row->kind == ROW_OBJECT && row->error;
  if (s->common.json) as_json(s, row, has_rates ? &before : NULL);
  else as_line(s, row, &before);
  s->last = row->kind;
  return 0;
}
// What cannot be looked at is not looked at again.
static int keep(const struct tool_row *row, void *arg) {
  struct showing *s = arg;
  if (row->error) return each(row, s);
  s->first = *row;
  s->at = shoal_now_ns();
  return 0;
}

static int run(int argc, char **argv) {
  struct showing s = {.json = {.out = stdout}, .interval = 100000000};
  argp_parse(&argp, argc, argv, 0, NULL, &s);
  int whole = tool_target(s.what, &s.target);
  if (whole) return whole;
  int alone = *s.target.object != 0, json = s.common.json && !alone;
  if (json) tool_json_open(&s.json, NULL, '{');
  int rc = tool_look(s.target.segment, s.target.object, alone ? LOOK_OBJECTS : LOOK_SEGMENT, keep, &s);
  if (rc == 0 && s.at) {
    tool_sleep_until(s.at + s.interval);
    rc = tool_look(s.target.segment, s.target.object,
                   alone ? LOOK_OBJECTS : LOOK_SEGMENT | LOOK_PARTICIPANTS | LOOK_OBJECTS, each, &s);
  }
  if (json && rc == 0) advance(&s, ROW_OBJECT + 1);
  else if (json && s.last != ROW_SEGMENT) tool_json_close(&s.json, ']');
  if (json) tool_json_close(&s.json, '}');
  if (rc == 0 && alone && !s.objects) rc = shoal_fail_(-ENOENT, "no object \"%s\"", s.target.object);
  if (rc) return tool_failed(rc, s.what);
  return alone && s.bad ? TOOL_FAILED : TOOL_DONE;
}

const struct tool_command tool_show = {"show", "a segment, or one of its objects", &argp, run};
