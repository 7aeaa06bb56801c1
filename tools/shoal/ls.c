// shoal ls: the segments of this machine.
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/shoal/tool.h"

struct listing {
  struct tool_common common;
  const char *only;  // a name
  struct tool_json json;
  unsigned n, bad;
};
struct one {
  const struct shoal_segment_file *file;
  struct tool_row segment;
};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct listing *l = state->input;
  if (key == ARGP_KEY_INIT) state->child_inputs[0] = &l->common;
  else if (key == ARGP_KEY_ARG && !l->only) l->only = arg;
  else if (key == ARGP_KEY_ARG) argp_usage(state);
  else return ARGP_ERR_UNKNOWN;
  return 0;
}
static const struct argp_child children[] = {TOOL_COMMON, {0}};
static const struct argp argp = {
    NULL,
    parse,
    "[SEGMENT]",
    "Lists the segments in /dev/shm: bytes that are there and used, participants and how many of them "
    "are dead, objects, age, owner, whether somebody has it open. Opens none of them as a user would.",
    children,
    NULL,
    NULL};

static int keep(const struct tool_row *row, void *arg) {
  ((struct one *)arg)->segment = *row;
  return 0;
}

static const char *owner_of(uint32_t uid) {
  static char text[64];
  struct passwd *p = getpwuid(uid);
  if (p) snprintf(text, sizeof text, "%.60s", p->pw_name);
  else snprintf(text, sizeof text, "%u", uid);
  return text;
}

static const char *use_of(const struct shoal_segment_file *f) {
  return f->in_use > 0 ? "in use" : f->in_use < 0 ? "unknown" : f->ours ? "unused" : "foreign";
}

static void as_json(struct listing *l, const struct one *o) {
  const struct shoal_segment_file *f = o->file;
  tool_json_open(&l->json, NULL, '{');
  tool_json_text(&l->json, "name", f->name);
  tool_json_text(&l->json, "state", f->error ? "refused" : use_of(f));
  if (f->error) tool_json_signed(&l->json, "error", f->error), tool_json_text(&l->json, "reason", f->reason);
  if (f->in_use >= 0) tool_json_flag(&l->json, "in_use", f->in_use);
  tool_json_fields(&l->json, &o->segment);
  tool_json_number(&l->json, "allocated", f->allocated);
  tool_json_number(&l->json, "uid", f->uid);
  tool_json_text(&l->json, "owner", owner_of(f->uid));
  tool_json_number(&l->json, "mode", f->mode & 07777);
  tool_json_signed(&l->json, "born", f->born);
  tool_json_signed(&l->json, "age", time(NULL) - f->born);
  tool_json_close(&l->json, '}');
}

static uint64_t value(const struct one *o, const char *key) {
  const struct tool_field *f = tool_field(&o->segment, key);
  return f ? f->number : 0;
}
static void as_line(struct listing *l, const struct one *o) {
  const struct shoal_segment_file *f = o->file;
  if (l->n == 1)
    printf("%-24s %7s %7s %6s %5s %7s %8s %-10s %s\n", "SEGMENT", "SIZE", "USED", "USERS", "DEAD", "OBJECTS", "AGE",
           "OWNER", "STATE");
  printf("%-24s %7s ", tool_clean(f->name), tool_bytes_text(f->error ? f->allocated : value(o, "size")));
  if (f->error) printf("%7s %6s %5s %7s ", "-", "-", "-", "-");
  else
    printf("%7s %6u %5u %7u ", tool_bytes_text(value(o, "used")), (unsigned)value(o, "participants"),
           (unsigned)value(o, "dead"), (unsigned)value(o, "objects"));
  printf("%8s %-10s %s%s%s\n", tool_age_text(time(NULL) - f->born), owner_of(f->uid), f->error ? "refused" : use_of(f),
         f->error ? ": " : "", f->error ? tool_clean(f->reason) : "");
}

static int each(const struct shoal_segment_file *file, void *arg) {
  struct listing *l = arg;
  if (l->only && strcmp(file->name, l->only) != 0) return 0;
  struct one *o = calloc(1, sizeof *o);
  if (!o) return shoal_fail_(-ENOMEM, "private memory");
  struct shoal_segment_file f = *file;
  o->file = &f;
  if (!f.error && (f.error = tool_look(f.name, "", LOOK_SEGMENT, keep, o)))
    snprintf(f.reason, sizeof f.reason, "%s", shoal_reason());
  int gone = f.error == -ENOENT;
  if (!gone) {
    l->n++;
    l->bad += f.error != 0;
    if (l->common.json) as_json(l, o);
    else as_line(l, o);
  }
  free(o);
  return 0;
}

static int run(int argc, char **argv) {
  struct listing l = {.json = {.out = stdout}};
  argp_parse(&argp, argc, argv, 0, NULL, &l);
  if (l.common.json) tool_json_open(&l.json, NULL, '[');
  int rc = shoal_segment_list(each, &l);
  if (l.common.json) tool_json_close(&l.json, ']');
  if (rc) return tool_failed(rc, "ls");
  if (l.only && !l.n) return tool_failed(shoal_fail_(-ENOENT, "no file of that name in /dev/shm"), l.only);
  return l.only && l.bad ? TOOL_FAILED : TOOL_DONE;
}

const struct tool_command tool_ls = {"ls", "segments: size, participants, age, owner, state", &argp, run};
