// What `shoal top` shows: a look at everything, sorted, and as lines.
#include <stdlib.h>
#include <string.h>

#include "core/deadline.h"
#include "tools/shoal/top.h"

enum { AGAIN_MS = 300 };  // for what was bad in the last look, and not before

// ---- looking ----

static int keep(const struct tool_row *row, void *arg) {
  struct top_rows *rows = &((struct top *)arg)->next;
  if (rows->n == rows->room) {
    size_t room = rows->room ? 2 * rows->room : 32;
    struct tool_row *more = realloc(rows->row, room * sizeof *more);
    if (!more) return shoal_fail_(-ENOMEM, "private memory");
    rows->row = more, rows->room = room;
  }
  rows->row[rows->n++] = *row;
  return 0;
}
// Why it cannot be looked at: in its own row, if that has been told.
static int keep_why(struct top *t, size_t from, const struct shoal_segment_file *f, int rc, const char *why) {
  struct top_rows *rows = &t->next;
  if (rows->n == from) {
    struct tool_row *row = calloc(1, sizeof *row);
    if (!row) return shoal_fail_(-ENOMEM, "private memory");
    snprintf(row->segment, sizeof row->segment, "%.*s", SHOAL_NAME_MAX, f->name);
    int kept = keep(row, t);
    free(row);
    if (kept) return kept;
  }
  rows->row[from].error = rc;
  snprintf(rows->row[from].reason, sizeof rows->row[from].reason, "%s", *why ? why : shoal_strerror(rc));
  return 0;
}
// One that has gone meanwhile is left out.
static int each(const struct shoal_segment_file *f, void *arg) {
  struct top *t = arg;
  size_t from = t->next.n;
  if (f->error) return keep_why(t, from, f, f->error, f->reason);
  snprintf(t->looking, sizeof t->looking, "%.*s", SHOAL_NAME_MAX, f->name);
  int rc = tool_look_and(f->name, "", LOOK_SEGMENT | LOOK_OBJECTS | LOOK_WORKERS | LOOK_HASTY, keep, t->wait, t);
  if (rc == -ENOMEM || rc == -ECANCELED) return rc;
  return rc == 0 || rc == -ENOENT ? 0 : keep_why(t, from, f, rc, shoal_reason());
}

static int by_place(const void *a, const void *b) {
  const struct tool_row *x = *(const struct tool_row *const *)a, *y = *(const struct tool_row *const *)b;
  int order = strcmp(x->segment, y->segment);
  if (order == 0) order = strcmp(x->name, y->name);
  return order ? order : strcmp(x->type, y->type);
}
static int by_name(const void *a, const void *b) {
  const struct tool_row *x = *(const struct tool_row *const *)a, *y = *(const struct tool_row *const *)b;
  int order = by_place(a, b);
  return order ? order : (x->kind > y->kind) - (x->kind < y->kind);
}
static const struct tool_row *find(const struct top_rows *rows, const struct tool_row *row,
                                   int (*order)(const void *, const void *)) {
  const struct tool_row **old = rows->n ? bsearch(&row, rows->sorted, rows->n, sizeof(struct tool_row *), order) : NULL;
  return old ? *old : NULL;
}
static const struct tool_row *earlier(const struct top *t, const struct tool_row *row) {
  return find(&t->before, row, by_name);
}
static int sort(struct top_rows *rows) {
  const struct tool_row **sorted = realloc(rows->sorted, (rows->n + 1) * sizeof(struct tool_row *));
  if (!sorted) return shoal_fail_(-ENOMEM, "private memory");
  for (size_t i = 0; i < rows->n; i++) sorted[i] = &rows->row[i];
  qsort(sorted, rows->n, sizeof(struct tool_row *), by_name);
  rows->sorted = sorted;
  return 0;
}
static uint64_t number(const struct tool_row *row, const char *key) {
  const struct tool_field *f = row ? tool_field(row, key) : NULL;
  return f ? f->number : 0;
}
// Since when it has been seen with this job.
static void note_since(const struct top *t, struct tool_row *row) {
  const struct tool_row *old = earlier(t, row);
  int same = old && number(old, "token") == number(row, "token") && number(old, "tid") == number(row, "tid");
  tool_add(row, FIELD_NUMBER, "seen_ns", same ? number(old, "seen_ns") : (uint64_t)t->now.at);
}
static void note_bad(const struct top *t, struct tool_row *row) {
  const struct tool_row *old = row->error ? earlier(t, row) : NULL;
  row->bad = row->error ? (old ? old->bad : 0) + 1 : 0;
}
int64_t top_busy(const struct top *t, const struct tool_row *row, int *least) {
  const struct tool_field *busy = tool_field(row, "busy_ns");
  *least = !busy;
  return busy ? (int64_t)busy->number : t->now.at - (int64_t)number(row, "seen_ns");
}
int top_look(struct top *t) {
  t->next.n = 0;
  t->next.at = shoal_now_ns();
  int rc = shoal_segment_list(each, t);
  if (rc == 0) rc = sort(&t->next);
  if (rc) return rc;
  struct top_rows old = t->before;
  t->before = t->now;
  t->now = t->next;
  t->next = old;
  for (size_t i = 0; i < t->now.n; i++) {
    if (t->now.row[i].kind == ROW_WORKER) note_since(t, &t->now.row[i]);
    if (t->now.row[i].kind == ROW_OBJECT) note_bad(t, &t->now.row[i]);
  }
  return 0;
}
void top_free(struct top *t) {
  free(t->now.row);
  free(t->now.sorted);
  free(t->before.row);
  free(t->before.sorted);
  free(t->next.row);
  free(t->next.sorted);
  free(t->shown);
}

// Longer each time, or what needs longer once would be bad for ever.
int top_patience(const struct top *t, const struct tool_row *at, int ms) {
  const struct tool_row *row = find(&t->now, at, by_place);
  if (!row || !row->bad) return ms;
  int again = AGAIN_MS;
  for (uint32_t n = row->bad; n > 1 && again < ms; n--) again *= 2;
  return again < ms ? again : ms;
}
static double rate_of(const struct top *t, const struct tool_row *row, const struct tool_field *f) {
  if (f->kind != FIELD_COUNTER) return 0;
  return tool_rate(f, &(struct tool_before){earlier(t, row), (double)(t->now.at - t->before.at) / 1e9});
}
double top_rate(const struct top *t, const struct tool_row *row, const char **key) {
  double fastest = 0;
  *key = "";
  for (uint32_t i = 0; i < row->fields; i++) {
    double rate = rate_of(t, row, &row->field[i]);
    if (rate > fastest) fastest = rate, *key = row->field[i].key;
  }
  return fastest;
}

// ---- which, in which order ----

static double weight(const struct top *t, const struct tool_row *row) {
  const char *key;
  if (t->sort == SORT_RATE) return top_rate(t, row, &key);
  const struct tool_field *f = tool_field(row, t->sort == SORT_DEPTH ? "depth" : "waiters");
  return t->sort != SORT_NAME && f ? (double)f->number : 0;
}
static int compare(const void *a, const void *b) {
  const struct top_shown *x = a, *y = b;
  if (x->weight > y->weight || x->weight < y->weight) return x->weight > y->weight ? -1 : 1;
  int order = strcmp(x->row->segment, y->row->segment);
  return order ? order : strcmp(x->row->name, y->row->name);
}
static int passes(const struct top *t, const struct tool_row *row) {
  return !*t->filter || strstr(row->name, t->filter) || strstr(row->type, t->filter) || strstr(row->segment, t->filter);
}
int top_is_worker(const struct top *t, const struct tool_row *row) { return row->kind == ROW_WORKER && passes(t, row); }
void top_arrange(struct top *t) {
  t->n_shown = t->workers = 0;
  for (size_t i = 0; i < t->now.n; i++) t->workers += top_is_worker(t, &t->now.row[i]);
  if (t->now.n > t->room_shown) {
    struct top_shown *shown = realloc(t->shown, t->now.n * sizeof *shown);
    if (!shown) return;
    t->shown = shown, t->room_shown = t->now.n;
  }
  for (size_t i = 0; i < t->now.n; i++)
    if (t->now.row[i].kind == ROW_OBJECT && passes(t, &t->now.row[i]))
      t->shown[t->n_shown++] = (struct top_shown){&t->now.row[i], weight(t, &t->now.row[i])};
  if (t->n_shown) qsort(t->shown, t->n_shown, sizeof *t->shown, compare);
  if (t->selected >= t->n_shown) t->selected = t->n_shown ? t->n_shown - 1 : 0;
}

// ---- lines ----

const char *top_sort_name(int sort) {
  static const char *const names[] = {"name", "depth", "rate", "waiters"};
  return sort >= 0 && sort < SORTS ? names[sort] : "";
}
static const char *value(const struct tool_row *row, const char *key) {
  const struct tool_field *f = tool_field(row, key);
  return f ? tool_field_text(f) : "";
}
static const char *state_of(const struct tool_row *row) {
  return row->error ? tool_clean(row->reason) : value(row, "state");
}
static const char *rate_text(const struct top *t, const struct tool_row *row, char text[48]) {
  const char *key;
  double rate = top_rate(t, row, &key);
  text[0] = 0;
  if (rate > 0) snprintf(text, 48, "%.0f %s", rate, key);
  return text;
}

typedef void line_fn(const char *text, int selected, void *arg);

static void draw_segments(const struct top *t, line_fn *line, void *arg) {
  char text[512], rate[48];
  snprintf(text, sizeof text, "%-24s %8s %8s %6s %5s %7s %s", "SEGMENT", "SIZE", "USED", "USERS", "DEAD", "OBJECTS",
           "A SECOND");
  line(text, 0, arg);
  for (size_t i = 0; i < t->now.n; i++) {
    const struct tool_row *row = &t->now.row[i];
    if (row->kind != ROW_SEGMENT) continue;
    if (row->error) {
      snprintf(text, sizeof text, "%-24s %s", tool_clean(row->segment), tool_clean(row->reason));
      line(text, 0, arg);
      continue;
    }
    snprintf(text, sizeof text, "%-24s %8s %8s %6s %5s %7s %s", tool_clean(row->segment), value(row, "size"),
             value(row, "used"), value(row, "participants"), value(row, "dead"), value(row, "objects"),
             rate_text(t, row, rate));
    line(text, 0, arg);
  }
}
static void draw_objects(const struct top *t, line_fn *line, void *arg) {
  char text[1024], rate[48];
  snprintf(text, sizeof text, "%-24s %-13s %6s %7s %7s %-8s %s", "OBJECT", "TYPE", "DEPTH", "OWNER", "WAITERS", "STATE",
           "A SECOND");
  line(text, 0, arg);
  for (size_t i = 0; i < t->n_shown; i++) {
    const struct tool_row *row = t->shown[i].row;
    char name[2 * SHOAL_NAME_MAX + 2];
    snprintf(name, sizeof name, "%s/%s", row->segment, row->name);
    snprintf(text, sizeof text, "%-24s %-13s %6s %7s %7s %-8s %s", tool_clean(name), tool_clean(row->type),
             value(row, "depth"), value(row, "owner"), value(row, "waiters"), state_of(row), rate_text(t, row, rate));
    line(text, i == t->selected, arg);
  }
}
static void draw_workers(const struct top *t, line_fn *line, void *arg) {
  char text[512], name[2 * SHOAL_NAME_MAX + 2];
  snprintf(text, sizeof text, "%-32s %-13s %10s %9s %s", "EXECUTOR", "WORKER", "THREAD", "AGE", "TASK");
  line(text, 0, arg);
  for (size_t i = 0; i < t->now.n; i++) {
    const struct tool_row *row = &t->now.row[i];
    int least = 0;
    if (!top_is_worker(t, row)) continue;
    int64_t ns = top_busy(t, row, &least);
    snprintf(name, sizeof name, "%s/%s", row->segment, row->name);
    snprintf(text, sizeof text, "%-32s %-13s %10s %s%7.*fs %s", tool_clean(name), tool_clean(row->type),
             value(row, "tid"), least ? ">" : " ", ns < 10000000000 ? 2 : 0, (double)ns / 1e9, value(row, "task"));
    line(text, 0, arg);
  }
}
static void draw_one(const struct top *t, const struct tool_row *row, line_fn *line, void *arg) {
  char text[512];
  snprintf(text, sizeof text, "%s/%s  %s  %s", tool_clean(row->segment), tool_clean(row->name), tool_clean(row->type),
           tool_bytes_text(row->size));
  line(text, 0, arg);
  if (row->error) line(tool_clean(row->reason), 0, arg);
  for (uint32_t i = 0; i < row->fields; i++) {
    double rate = rate_of(t, row, &row->field[i]);
    int n = snprintf(text, sizeof text, "  %-20s %16s", row->field[i].key, tool_field_text(&row->field[i]));
    if (rate > 0) snprintf(text + n, sizeof text - (size_t)n, "  %.0f a second", rate);
    line(text, 0, arg);
  }
}
void top_draw(const struct top *t, line_fn *line, void *arg) {
  if (t->detail) {
    for (size_t i = 0; i < t->n_shown; i++)
      if (strcmp(t->shown[i].row->name, t->chosen.object) == 0 &&
          strcmp(t->shown[i].row->segment, t->chosen.segment) == 0) {
        draw_one(t, t->shown[i].row, line, arg);
        return;
      }
    line("It is gone.", 0, arg);
    return;
  }
  draw_segments(t, line, arg);
  line("", 0, arg);
  draw_objects(t, line, arg);
  if (t->workers) line("", 0, arg), draw_workers(t, line, arg);
}
