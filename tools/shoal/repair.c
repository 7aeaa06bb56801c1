// shoal repair: undoes what the dead have left in a segment, at once instead of when somebody needs it. Says what; does
// so only with --yes, else in a copy.
#include "core/heap.h"
#include "core/proc.h"
#include "ipc/data/array.h"
#include "ipc/queue/pipe.h"
#include "ipc/queue/queue.h"
#include "ipc/queue/topic.h"
#include "ipc/work/executor.h"
#include "sync/lock.h"
#include "sync/rlock.h"
#include "sync/rwlock.h"
#include "tools/shoal/tool.h"

typedef struct shoal_segment seg_t;
typedef const struct shoal_object_info object_t;
typedef struct tool_row row_t;

// ---- in look.c's child: on its copy, or on the segment itself ----

static void did(row_t *row, const char *key, uint64_t n) {
  if (n) tool_add(row, FIELD_COUNTER, key, n);
}
// By how much `b` is less than `a`; others count, too.
static uint64_t less(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

// By who is no participant: where the dead have all places, to find one would do the work untold.
int tool_repair_segment(seg_t *seg, row_t *row) {
  struct shoal_segment_info before = {.size = 0}, after = {.size = 0};
  int rc = shoal_segment_info(seg, &before);
  if (rc) return rc;
  int freed = shoal_proc_reap(seg);
  if (freed == -EBUSY) return tool_add_text(row, FIELD_TEXT, "left", "its directory is busy: look again"), 0;
  if (freed < 0 || (rc = shoal_segment_info(seg, &after))) return freed < 0 ? freed : rc;
  did(row, "participants_freed", (uint64_t)freed);
  did(row, "objects_freed", less(before.objects, after.objects));
  did(row, "bytes_freed", less(before.used, after.used));
  return 0;
}

static int repair_queue(seg_t *seg, object_t *o, unsigned locks, row_t *row) {
  struct shoal_queue *q;
  struct shoal_queue_info before = {0}, after = {0};
  (void)locks;
  int rc = shoal_queue_open(seg, o->name, tool_element_size(o->type), &q);
  if (rc) return rc;
  shoal_queue_info(q, &before);
  int freed = shoal_role_reap(&q->wait);
  shoal_queue_info(q, &after);
  if (freed > 0) did(row, "roles_freed", (uint64_t)freed);
  did(row, "holes_skipped", less(after.holes, before.holes));
  did(row, "redelivered", less(after.redelivered, before.redelivered));
  did(row, "dropped", less(after.dropped, before.dropped));
  rc = shoal_queue_detach(q);
  return freed < 0 ? freed : rc;
}
static int repair_topic(seg_t *seg, object_t *o, unsigned locks, row_t *row) {
  struct shoal_topic *t;
  (void)locks;
  int rc = shoal_topic_open(seg, o->name, tool_element_size(o->type), &t);
  if (rc) return rc;
  int freed = shoal_role_reap(&t->wait);
  if (freed > 0) did(row, "roles_freed", (uint64_t)freed);
  rc = shoal_topic_detach(t);
  return freed < 0 ? freed : rc;
}
static int repair_pipe(seg_t *seg, object_t *o, unsigned locks, row_t *row) {
  struct shoal_pipe *p;
  (void)locks;
  int rc = shoal_pipe_look_(seg, o->name, tool_element_size(o->type), 0, &p);
  if (rc) return rc;
  int roles = 0, freed = 0;
  for (int i = 0; i < 2 && freed >= 0; i++) {
    struct shoal_queue *q = i ? p->in : p->out;
    freed = q ? shoal_role_reap(&q->wait) : 0;
    if (freed > 0) roles += freed;
  }
  did(row, "roles_freed", (uint64_t)roles);
  did(row, "keepers_freed", (uint64_t)shoal_pipe_reap_keepers_(p));
  rc = shoal_pipe_detach_(&p);
  return freed < 0 ? freed : rc;
}
static int repair_executor(seg_t *seg, object_t *o, unsigned locks, row_t *row) {
  struct shoal_executor *ex;
  (void)locks;
  int rc = shoal_executor_open(seg, o->name, &ex);
  if (rc) return rc;
  int freed = shoal_executor_reap(ex);
  if (freed > 0) did(row, "jobs_freed", (uint64_t)freed);
  rc = shoal_executor_detach(ex);
  return freed < 0 ? freed : rc;
}
// What no sweep gives back. What is unreferenced is not freed: somebody may have it in hand.
static void heap_left(row_t *row, const struct shoal_heap_audit *a) {
  if (a->damaged)
    tool_add(row, FIELD_NUMBER, "damaged", a->damaged), tool_add(row, FIELD_NUMBER, "damaged_at", a->damaged_at);
  if (a->unreferenced) {
    tool_add(row, FIELD_NUMBER, "unreferenced", a->unreferenced);
    tool_add(row, FIELD_BYTES, "unreferenced_bytes", a->unreferenced_bytes);
  }
  if (a->damaged)
    tool_add_text(row, FIELD_TEXT, "left", "it is damaged: what is there is nobody's until the segment is made anew");
  else if (a->unreferenced)
    tool_add_text(row, FIELD_TEXT, "left", "nothing leads to some of its blocks, unless somebody has them in hand");
}
static void heap_not_seen(row_t *row, int rc) {
  char text[TOOL_TEXT_MAX];
  snprintf(text, sizeof text, "what is left was not seen: %s", *shoal_reason() ? shoal_reason() : shoal_strerror(rc));
  tool_add_text(row, FIELD_TEXT, "left", text);
}
static int repair_heap(seg_t *seg, object_t *o, unsigned locks, row_t *row) {
  struct shoal_heap *heap;
  struct shoal_heap_info before = {.size = 0}, after = {.size = 0};
  struct shoal_heap_audit had, has = {.pages = 0};
  (void)o, (void)locks;
  int rc = shoal_heap_open(seg, &heap), freed = 0;
  if (rc) return rc;
  shoal_heap_info(heap, &before);
  if ((rc = shoal_heap_audit_words(heap, &had)) || (rc = freed = shoal_heap_reap(heap)) < 0) goto out;
  shoal_heap_info(heap, &after);
  did(row, "blocks_freed", (uint64_t)freed);
  did(row, "bytes_freed", less(before.used, after.used));
  rc = shoal_heap_audit(heap, &has);
  if (rc == 0) {
    did(row, "dead_runs", less(had.dead_runs, has.dead_runs));
    did(row, "dead_blocks", less(had.dead_blocks, has.dead_blocks));
    heap_left(row, &has);
  } else {
    heap_not_seen(row, rc);
    rc = 0;  // what was done is told
  }
out:;
  int closed = shoal_heap_close(heap);
  return rc ? rc : closed;
}

// Only its user knows whether what a lock guards is in order. So its owner's death is told, and undone only for who
// says so.
static void in_doubt(row_t *row, unsigned locks) {
  if (!locks) tool_add_text(row, FIELD_TEXT, "left", "its owner died: who takes it next is told (--locks)");
}
#define REPAIR_LOCK(kind, acquire, release)                                               \
  static int repair_##kind(seg_t *seg, object_t *o, unsigned locks, row_t *row) {         \
    struct shoal_##kind *it;                                                              \
    struct shoal_##kind##_info i = {0};                                                   \
    int rc = shoal_##kind##_open(seg, o->name, &it);                                      \
    if (rc || (rc = shoal_##kind##_info(it, &i))) return rc;                              \
    if (i.dead) in_doubt(row, locks);                                                     \
    if (i.dead && locks) {                                                                \
      rc = acquire(it, SHOAL_TRY);                                                        \
      int told = rc == -EOWNERDEAD;                                                       \
      if (told) rc = shoal_##kind##_consistent(it), did(row, "made_consistent", rc == 0); \
      if (rc == 0) rc = release(it);                                                      \
      if (rc == -EAGAIN) rc = 0; /* somebody has it by now, and was told */               \
    }                                                                                     \
    int closed = shoal_##kind##_close(seg, it);                                           \
    return rc ? rc : closed;                                                              \
  }
REPAIR_LOCK(lock, shoal_lock_acquire, shoal_lock_release)
REPAIR_LOCK(rlock, shoal_rlock_acquire, shoal_rlock_release)
REPAIR_LOCK(rwlock, shoal_rwlock_write_acquire, shoal_rwlock_write_release)
// Its own lock; a given one is an object for itself.
static int repair_array(seg_t *seg, object_t *o, unsigned locks, row_t *row) {
  struct shoal_array a;
  struct shoal_array_info i = {.size = 0};
  int rc = tool_array_open(seg, o, &a);
  if (rc) return rc;
  rc = shoal_array_info(&a, &i);
  int dead = rc == 0 && i.locked == SHOAL_ARRAY_OWN_LOCK_ && i.lock.dead;
  if (dead) in_doubt(row, locks);
  if (dead && locks) {
    rc = shoal_array_acquire(&a, SHOAL_TRY);
    if (rc == -EOWNERDEAD) rc = shoal_array_consistent(&a), did(row, "made_consistent", rc == 0);
    if (rc == 0) rc = shoal_array_release(&a);
    if (rc == -EAGAIN) rc = 0;
  }
  int closed = shoal_array_close(seg, &a);
  return rc ? rc : closed;
}

static const struct {
  const char *kind;
  int (*repair)(seg_t *seg, object_t *o, unsigned locks, row_t *row);
} kinds[] = {{"queue:", repair_queue},      {"topic:", repair_topic},    {"pipe:", repair_pipe},
             {"executor", repair_executor}, {"shoal:heap", repair_heap}, {"lock", repair_lock},
             {"rlock", repair_rlock},       {"rwlock", repair_rwlock},   {"array", repair_array},
             {"value", repair_array}};

int tool_repair(seg_t *seg, object_t *object, unsigned locks, row_t *row) {
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (tool_is_of_kind(object->type, kinds[i].kind)) return kinds[i].repair(seg, object, locks, row);
  return 0;
}

// ---- the command ----

struct repairing {
  struct tool_common common;
  unsigned yes, locks;
  const char *what;
  struct tool_target target;
  struct tool_json json;
  unsigned seen, done, left, failed;
};

static const struct argp_option options[] = {
    {"yes", 'y', NULL, 0, "Do it; without it, only say what would be done", 0},
    {"locks", 'l', NULL, 0,
     "What locks guard whose owner died is in order: nobody is told of that any more, nor who waits for one already",
     0},
    {0}};
static error_t parse(int key, char *arg, struct argp_state *state) {
  struct repairing *r = state->input;
  if (key == ARGP_KEY_INIT) state->child_inputs[0] = &r->common;
  else if (key == 'y') r->yes = 1;
  else if (key == 'l') r->locks = 1;
  else if (key == ARGP_KEY_ARG && !r->what) r->what = arg;
  else if (key == ARGP_KEY_ARG || key == ARGP_KEY_NO_ARGS) argp_usage(state);
  else return ARGP_ERR_UNKNOWN;
  return 0;
}
static const struct argp_child children[] = {TOOL_COMMON, {0}};
static const struct argp argp = {
    options,
    parse,
    "SEGMENT[/OBJECT]",
    "Undoes what the dead have left in a segment - their places, half-made objects, memory, what they had claimed of "
    "queues, ends of pipes that they had, or were still to use - at once instead of when somebody needs it, and says "
    "what. The living go on meanwhile; nothing that they have is touched. Dicts, lists and the like are mended "
    "by their next user.",
    children,
    NULL,
    NULL};

static int has_counter(const struct tool_row *row) {
  uint32_t i = 0;
  while (i < row->fields && row->field[i].kind != FIELD_COUNTER) i++;
  return i < row->fields;
}
static int each(const struct tool_row *row, void *arg) {
  struct repairing *r = arg;
  r->seen++;
  if (!row->fields && !row->error) return 0;
  const char *name = row->kind == ROW_SEGMENT ? row->segment : row->name;
  const char *type = row->kind == ROW_SEGMENT ? "segment" : row->type;
  const struct tool_field *left = tool_field(row, "left");
  int done = !row->error && has_counter(row);
  const char *action = row->error ? "refused" : !done ? "left" : r->yes ? "repaired" : "would be";
  r->failed += row->error != 0;
  r->left += left != NULL;
  r->done += (unsigned)done;
  if (r->common.json) {
    tool_json_open(&r->json, NULL, '{');
    tool_json_text(&r->json, "name", name);
    tool_json_text(&r->json, "type", type);
    tool_json_text(&r->json, "action", action);
    tool_json_fields(&r->json, row);
    tool_json_close(&r->json, '}');
    return 0;
  }
  printf("%-10s %-24s %-14s", action, tool_clean(name), tool_clean(type));
  if (row->error) printf(" %s", tool_clean(row->reason));
  for (uint32_t i = 0; i < row->fields; i++)
    if (row->field[i].kind == FIELD_TEXT) printf(" %s", tool_field_text(&row->field[i]));
    else printf(" %s=%s", row->field[i].key, tool_field_text(&row->field[i]));
  puts("");
  return 0;
}

static int run(int argc, char **argv) {
  struct repairing r = {.json = {.out = stdout}};
  argp_parse(&argp, argc, argv, 0, NULL, &r);
  int rc = tool_target(r.what, &r.target);
  if (rc) return rc;
  unsigned what = LOOK_OBJECTS | LOOK_REPAIR | (r.yes ? LOOK_FOR_GOOD : 0) | (r.locks ? LOOK_LOCKS : 0);
  if (r.common.json) tool_json_open(&r.json, NULL, '[');
  rc = tool_look(r.target.segment, r.target.object, *r.target.object ? what : what | LOOK_SEGMENT, each, &r);
  if (r.common.json) tool_json_close(&r.json, ']');
  if (rc == 0 && *r.target.object && !r.seen) rc = shoal_fail_(-ENOENT, "no object \"%s\"", r.target.object);
  if (rc) return tool_failed(rc, r.what);
  if (!r.common.json && !r.done && !r.left && !r.failed) puts("Nothing is to be done.");
  if (!r.common.json && r.done && !r.yes) printf("With --yes, %u would be repaired.\n", r.done);
  return r.failed ? TOOL_FAILED : TOOL_DONE;
}

const struct tool_command tool_repair_command = {"repair", "undoes what the dead have left, with --yes", &argp, run};
