// shoal stat: how counters change over an interval. shoal watch: an object whenever it changes.
#include <stdlib.h>
#include <string.h>

#include "core/deadline.h"
#include "tools/shoal/tool.h"

struct watching {
  struct tool_common common;
  const char *what;
  struct tool_target target;
  int64_t interval, timeout;
  int has_timeout;
  uint64_t count, done;
  struct tool_row *before, *now;  // arrays
  size_t n_before, n_now, room;
  struct tool_json json;
};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct watching *w = state->input;
  switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &w->common; return 0;
    case 'i': w->interval = tool_seconds(arg, state); return 0;
    case 'n': w->count = tool_number(arg, state); return 0;
    case 't': w->timeout = tool_seconds(arg, state), w->has_timeout = 1; return 0;
    case ARGP_KEY_ARG:
      if (w->what) argp_usage(state);
      w->what = arg;
      return 0;
    case ARGP_KEY_END:
      if (!w->what) argp_usage(state);
      if (w->interval < 1000000) argp_error(state, "an interval of a millisecond at least");
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}
static const struct argp_child children[] = {TOOL_COMMON, {0}};

static int keep(const struct tool_row *row, void *arg) {
  struct watching *w = arg;
  if (w->n_now == w->room) {
    size_t room = w->room ? 2 * w->room : 16;
    struct tool_row *before = realloc(w->before, room * sizeof *before);
    if (before) w->before = before;
    struct tool_row *now = before ? realloc(w->now, room * sizeof *now) : NULL;
    if (!now) return shoal_fail_(-ENOMEM, "private memory");
    w->now = now, w->room = room;
  }
  w->now[w->n_now++] = *row;
  return 0;
}
static int look(struct watching *w) {
  struct tool_row *rows = w->before;
  w->before = w->now, w->n_before = w->n_now;
  w->now = rows, w->n_now = 0;
  int rc = tool_look(w->target.segment, w->target.object,
                     *w->target.object ? LOOK_OBJECTS : LOOK_SEGMENT | LOOK_PARTICIPANTS | LOOK_OBJECTS, keep, w);
  if (rc == 0 && *w->target.object && !w->n_now) rc = shoal_fail_(-ENOENT, "no object \"%s\"", w->target.object);
  return rc;
}
static const struct tool_row *earlier(const struct watching *w, const struct tool_row *row) {
  for (size_t i = 0; i < w->n_before; i++)
    if (w->before[i].kind == row->kind && strcmp(w->before[i].name, row->name) == 0 &&
        strcmp(w->before[i].type, row->type) == 0)
      return &w->before[i];
  return NULL;
}

// ---- stat ----

static void stat_row(struct watching *w, const struct tool_row *row, double seconds) {
  const struct tool_row *old = earlier(w, row);
  const struct tool_before before = {old, seconds};
  const struct tool_field *depth = tool_field(row, "depth"), *tid = tool_field(row, "tid");
  if (!old || row->error || old->error) return;
  const char *name = row->kind == ROW_SEGMENT ? row->segment : row->name;
  const char *type = row->kind == ROW_SEGMENT ? "segment" : row->type;
  if (w->common.json) {
    tool_json_open(&w->json, row->kind == ROW_SEGMENT ? "segment" : NULL, '{');
    tool_json_text(&w->json, "name", name);
    if (row->kind == ROW_OBJECT) tool_json_text(&w->json, "type", type);
    if (tid) tool_json_number(&w->json, "tid", tid->number);
    if (depth) tool_json_number(&w->json, "depth", depth->number);
    tool_json_rates(&w->json, row, &before);
    tool_json_close(&w->json, '}');
    return;
  }
  printf("%-24s %-14s %8s", tool_clean(name), tool_clean(type), depth ? tool_field_text(depth) : "");
  for (uint32_t i = 0; i < row->fields; i++) {
    double rate = tool_rate(&row->field[i], &before);
    if (rate > 0) printf(" %s=%.0f", row->field[i].key, rate);
  }
  puts("");
}
static void stat_kind(struct watching *w, uint32_t kind, const char *array, double seconds) {
  if (w->common.json && array) tool_json_open(&w->json, array, '[');
  for (size_t i = 0; i < w->n_now; i++)
    if (w->now[i].kind == kind) stat_row(w, &w->now[i], seconds);
  if (w->common.json && array) tool_json_close(&w->json, ']');
}
static void stat_all(struct watching *w, double seconds) {
  if (w->common.json) tool_json_open(&w->json, NULL, '{'), tool_json_float(&w->json, "seconds", seconds);
  else printf("%-24s %-14s %8s PER SECOND, over %.3f s\n", "NAME", "TYPE", "DEPTH", seconds);
  stat_kind(w, ROW_SEGMENT, NULL, seconds);
  if (!*w->target.object) stat_kind(w, ROW_PARTICIPANT, "participants", seconds);
  stat_kind(w, ROW_OBJECT, "objects", seconds);
  if (w->common.json) tool_json_close(&w->json, '}');
  fflush(stdout);
}

static const struct argp_option stat_options[] = {{"interval", 'i', "SECONDS", 0, "Between two looks (1)", 0},
                                                  {"count", 'n', "NUMBER", 0, "So many intervals (1); 0: for ever", 0},
                                                  {0}};
static const struct argp stat_argp = {stat_options,
                                      parse,
                                      "SEGMENT[/OBJECT]",
                                      "Looks twice, and tells how fast each counter rose in between, of the segment, "
                                      "of each participant, of each object; and how deep queues are.",
                                      children,
                                      NULL,
                                      NULL};

static int run_stat(int argc, char **argv) {
  struct watching w = {.interval = 1000000000, .count = 1, .json = {.out = stdout}};
  argp_parse(&stat_argp, argc, argv, 0, NULL, &w);
  int rc = tool_target(w.what, &w.target);
  if (rc) return rc;
  rc = look(&w);
  int64_t before = shoal_now_ns();
  while (rc == 0 && (!w.count || w.done++ < w.count)) {
    tool_sleep_until(before + w.interval);
    rc = look(&w);
    int64_t now = shoal_now_ns();
    if (rc == 0) stat_all(&w, (double)(now - before) / 1e9);
    before = now;
  }
  free(w.before);
  free(w.now);
  return rc ? tool_failed(rc, w.what) : TOOL_DONE;
}

// ---- watch ----

static int differs(const struct tool_field *f, const struct tool_row *old) {
  const struct tool_field *was = old ? tool_field(old, f->key) : NULL;
  return !was || was->number != f->number || strcmp(was->text, f->text) != 0;
}
static int has_changed(const struct tool_row *row, const struct tool_row *old) {
  if (!old || row->error != old->error) return 1;
  for (uint32_t i = 0; i < row->fields; i++)
    if (differs(&row->field[i], old)) return 1;
  return 0;
}
static void print_change(struct watching *w, const struct tool_row *row, const struct tool_row *old, double seconds) {
  if (w->common.json) {
    tool_json_open(&w->json, NULL, '{');
    tool_json_float(&w->json, "seconds", seconds);
    tool_json_row(&w->json, "object", row);
    tool_json_close(&w->json, '}');
  } else {
    printf("%10.3f ", seconds);
    if (row->error) printf(" %s", tool_clean(row->reason));
    for (uint32_t i = 0; i < row->fields; i++)
      if (differs(&row->field[i], old)) printf(" %s=%s", row->field[i].key, tool_field_text(&row->field[i]));
    printf("\n");
  }
  fflush(stdout);
}

static const struct argp_option watch_options[] = {
    {"interval", 'i', "SECONDS", 0, "Between two looks (0.1)", 0},
    {"count", 'n', "NUMBER", 0, "Ends after so many, the first look among them; 0: for ever (0)", 0},
    {"timeout", 't', "SECONDS", 0, "Ends, with status 4, when it did not change for so long", 0},
    {0}};
static const struct argp watch_argp = {watch_options,
                                       parse,
                                       "SEGMENT/OBJECT",
                                       "Looks at an object again and again, and writes what has changed since, as "
                                       "often as it has. What comes and goes between two looks is not seen. Ends with "
                                       "status 1 when the object is gone.",
                                       children,
                                       NULL,
                                       NULL};

static int run_watch(int argc, char **argv) {
  struct watching w = {.interval = 100000000, .json = {.out = stdout}};
  argp_parse(&watch_argp, argc, argv, 0, NULL, &w);
  int rc = tool_object_target(w.what, &w.target);
  if (rc) return rc;
  int64_t begun = shoal_now_ns(), next = begun, changed = begun;
  while (rc == 0 && (!w.count || w.done < w.count) && (rc = look(&w)) == 0) {
    const struct tool_row *old = earlier(&w, w.now);
    int64_t now = shoal_now_ns();
    if (has_changed(w.now, old)) print_change(&w, w.now, old, (double)(now - begun) / 1e9), w.done++, changed = now;
    else if (w.has_timeout && now - changed >= w.timeout) rc = shoal_fail_(-ETIMEDOUT, "it did not change");
    if (w.count && w.done >= w.count) break;
    next = next + w.interval > now ? next + w.interval : now;
    if (rc == 0) tool_sleep_until(next);
  }
  free(w.before);
  free(w.now);
  return rc ? tool_failed(rc, w.what) : TOOL_DONE;
}

const struct tool_command tool_stat = {"stat", "how fast counters rise", &stat_argp, run_stat};
const struct tool_command tool_watch = {"watch", "an object, whenever it changes", &watch_argp, run_watch};
