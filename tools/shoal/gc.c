// shoal gc: removes the segments that nobody has open. Says of each why, and does so only with --yes.
#include <string.h>
#include <time.h>

#include "tools/shoal/tool.h"

struct collection {
  struct tool_common common;
  int yes;
  const char *only;
  struct tool_json json;
  unsigned seen, removable, failed;
};

enum { YES = 'y' };
static const struct argp_option options[] = {
    {"yes", YES, NULL, 0, "Remove them; without it, only say what would go", 0}, {0}};
static error_t parse(int key, char *arg, struct argp_state *state) {
  struct collection *c = state->input;
  if (key == ARGP_KEY_INIT) state->child_inputs[0] = &c->common;
  else if (key == YES) c->yes = 1;
  else if (key == ARGP_KEY_ARG && !c->only) c->only = arg;
  else if (key == ARGP_KEY_ARG) argp_usage(state);
  else return ARGP_ERR_UNKNOWN;
  return 0;
}
static const struct argp_child children[] = {TOOL_COMMON, {0}};
static const struct argp argp = {
    options,
    parse,
    "[SEGMENT]",
    "Removes segments that nobody has open, and says of each why it goes or stays. What somebody alive has open never "
    "goes, nor what is no segment. A segment that is kept under its name for a next start is one that nobody has open: "
    "name the one that you mean.",
    children,
    NULL,
    NULL};

static int has_died(const struct tool_row *row, void *arg) {
  const struct tool_field *dead = tool_field(row, "dead");
  *(uint64_t *)arg = dead ? dead->number : 0;
  return 0;
}

// 1: it may go.
static int judge(const struct shoal_segment_file *f, char *why, size_t n) {
  uint64_t dead = 0;
  if (!f->ours) return snprintf(why, n, "%s", *f->reason ? f->reason : "not a segment"), 0;
  if (f->in_use) return snprintf(why, n, "%s", f->in_use > 0 ? "somebody alive has it open" : "not ours to read"), 0;
  if (f->error) return snprintf(why, n, "nobody has it open; nobody could: %s", f->reason), 1;
  if (tool_look(f->name, "", LOOK_SEGMENT, has_died, &dead) == 0 && dead)
    return snprintf(why, n, "nobody has it open; %u of its users were killed", (unsigned)dead), 1;
  return snprintf(why, n, "nobody has it open"), 1;
}

static void say(struct collection *c, const struct shoal_segment_file *f, const char *action, const char *why) {
  if (!c->common.json) {
    printf("%-12s %-24s %7s  %s\n", action, tool_clean(f->name), tool_bytes_text(f->allocated), tool_clean(why));
    return;
  }
  tool_json_open(&c->json, NULL, '{');
  tool_json_text(&c->json, "name", f->name);
  tool_json_text(&c->json, "action", action);
  tool_json_text(&c->json, "why", why);
  tool_json_number(&c->json, "allocated", f->allocated);
  tool_json_signed(&c->json, "age", time(NULL) - f->born);
  tool_json_close(&c->json, '}');
}

static int each(const struct shoal_segment_file *f, void *arg) {
  struct collection *c = arg;
  char why[256];
  if (c->only && strcmp(c->only, f->name) != 0) return 0;
  c->seen++;
  int goes = judge(f, why, sizeof why), rc = 0;
  c->removable += (unsigned)goes;
  if (goes && c->yes) rc = shoal_segment_collect(f->name);  // judges again, under the file's lock
  if (rc == -ENOENT) rc = 0;                                // somebody was faster
  if (rc) snprintf(why, sizeof why, "%s", shoal_reason());
  c->failed += rc && rc != -EBUSY;
  say(c, f, !goes || rc ? "stays" : c->yes ? "removed" : "would go", why);
  return 0;
}

static int run(int argc, char **argv) {
  struct collection c = {.json = {.out = stdout}};
  argp_parse(&argp, argc, argv, 0, NULL, &c);
  if (c.common.json) tool_json_open(&c.json, NULL, '[');
  int rc = shoal_segment_list(each, &c);
  if (c.common.json) tool_json_close(&c.json, ']');
  if (rc) return tool_failed(rc, "gc");
  if (c.only && !c.seen) return tool_failed(shoal_fail_(-ENOENT, "no file of that name in /dev/shm"), c.only);
  if (c.only && !c.removable) return TOOL_NO;
  if (!c.common.json && c.removable && !c.yes) printf("With --yes, %u would go.\n", c.removable);
  return c.failed ? TOOL_FAILED : TOOL_DONE;
}

const struct tool_command tool_gc = {"gc", "removes segments that nobody has open, with --yes", &argp, run};
