// shoal top: what happens in all segments, again and again.
#include <string.h>
#include <unistd.h>

#include "tools/shoal/top.h"

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct top *t = state->input;
  switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &t->common; return 0;
    case 'i':
      t->interval = tool_seconds(arg, state);
      if (t->interval < 10000000) argp_error(state, "an interval of 10 ms at least");
      return 0;
    case 'n': t->count = tool_number(arg, state); return 0;
    case 'f': snprintf(t->filter, sizeof t->filter, "%s", arg); return 0;
    case 's':
      for (t->sort = 0; t->sort < SORTS && strcmp(arg, top_sort_name(t->sort)) != 0;) t->sort++;
      if (t->sort == SORTS) argp_error(state, "sorted by name, depth, rate or waiters");
      return 0;
    case ARGP_KEY_ARG: argp_usage(state); return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}
static const struct argp_option options[] = {
    {"interval", 'i', "SECONDS", 0, "Between two looks (1)", 0},
    {"count", 'n', "NUMBER", 0, "Ends after so many looks; 0: for ever (0)", 0},
    {"sort", 's', "BY", 0, "name, depth, rate or waiters (name)", 0},
    {"filter", 'f', "TEXT", 0, "Only objects and workers that contain it in name, type or segment", 0},
    {0}};
static const struct argp_child children[] = {TOOL_COMMON, {0}};
static const struct argp argp = {
    options,
    parse,
    NULL,
    "Shows segments, objects, and what workers run, live: depths, the counter that rises fastest, who holds a lock and "
    "whether others wait; for how long a worker has run its task (>: at least, as nobody has seen it begin). Keys: q "
    "quit, s sort, / filter, arrows and enter for one object, escape back, + and - slower and faster. In a pipe: plain "
    "text, frame by frame.",
    children,
    NULL,
    NULL};

static void print(const char *text, int selected, void *arg) {
  (void)selected, (void)arg;
  puts(text);
}
static void as_json(const struct top *t) {
  struct tool_json j = {.out = stdout};
  const char *key;
  tool_json_open(&j, NULL, '{');
  tool_json_open(&j, "segments", '[');
  for (size_t i = 0; i < t->now.n; i++) {
    if (t->now.row[i].kind != ROW_SEGMENT) continue;
    tool_json_open(&j, NULL, '{');
    tool_json_text(&j, "name", t->now.row[i].segment);
    tool_json_fields(&j, &t->now.row[i]);
    tool_json_close(&j, '}');
  }
  tool_json_close(&j, ']');
  tool_json_open(&j, "objects", '[');
  for (size_t i = 0; i < t->n_shown; i++) {
    tool_json_open(&j, NULL, '{');
    tool_json_text(&j, "segment", t->shown[i].row->segment);
    double rate = top_rate(t, t->shown[i].row, &key);
    if (rate > 0) tool_json_text(&j, "fastest", key), tool_json_float(&j, "per_second", rate);
    tool_json_row(&j, "object", t->shown[i].row);
    tool_json_close(&j, '}');
  }
  tool_json_close(&j, ']');
  tool_json_open(&j, "workers", '[');
  for (size_t i = 0; i < t->now.n; i++) {
    int least = 0;
    if (!top_is_worker(t, &t->now.row[i])) continue;
    tool_json_open(&j, NULL, '{');
    tool_json_text(&j, "segment", t->now.row[i].segment);
    tool_json_float(&j, "seconds", (double)top_busy(t, &t->now.row[i], &least) / 1e9);
    tool_json_flag(&j, "at_least", least);
    tool_json_row(&j, "worker", &t->now.row[i]);
    tool_json_close(&j, '}');
  }
  tool_json_close(&j, ']');
  tool_json_close(&j, '}');
}
static int in_a_pipe(struct top *t) {
  for (uint64_t i = 0; !t->count || i < t->count; i++) {
    if (i) tool_sleep_until(shoal_now_ns() + t->interval);
    int rc = top_look(t);
    if (rc) return tool_failed(rc, "top");
    top_arrange(t);
    if (t->common.json) as_json(t);
    else top_draw(t, print, NULL), puts("");
    if (fflush(stdout)) return TOOL_FAILED;
  }
  return TOOL_DONE;
}

static int run(int argc, char **argv) {
  struct top t = {.interval = 1000000000};
  argp_parse(&argp, argc, argv, 0, NULL, &t);
  int status = isatty(0) && isatty(1) && !t.common.json ? top_screen(&t) : in_a_pipe(&t);
  top_free(&t);
  return status;
}

const struct tool_command tool_top = {"top", "segments, queues and locks, live", &argp, run};
