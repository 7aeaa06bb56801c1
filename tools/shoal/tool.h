// tools/shoal/tool.h: what the subcommands of `shoal` share.
//
// What is in a segment is read by a child (look.c), through a mapping that is the child's own copy: whatever a hostile
// segment makes of its reader, the tool says so and goes on. The child tells what it has found in rows.
#pragma once

#include <argp.h>
#include <stdio.h>
#include <sys/types.h>

#include "core/directory.h"
#include "ipc/work/executor.h"

// ---- exit statuses ----
enum {
  TOOL_DONE = 0,
  TOOL_NO = 1,      // it is not there; something is not as it should be
  TOOL_USAGE = 2,   // the command line
  TOOL_FAILED = 3,  // the library or the system refused
  TOOL_LATE = 4,    // the time was over
};

// ---- subcommands ----
struct tool_command {
  const char *name, *says;  // one line
  const struct argp *argp;
  int (*run)(int argc, char **argv);  // an exit status
};
extern const struct tool_command *const tool_commands[];
extern const char tool_version[], tool_format[];  // version.c, which the build makes  // up to NULL
extern const struct tool_command tool_ls, tool_show, tool_gc, tool_doctor, tool_stat, tool_watch, tool_send, tool_recv,
    tool_record, tool_replay, tool_top, tool_repair_command, tool_bench;

// Says why on stderr and answers TOOL_FAILED, TOOL_NO (-ENOENT) or TOOL_LATE (-ETIMEDOUT).
int tool_failed(int rc, const char *what);
// "SEGMENT/OBJECT" in two; `object` "" if there is none. 0 or TOOL_USAGE, said.
struct tool_target {
  char segment[SHOAL_NAME_MAX + 1], object[SHOAL_NAME_MAX + 1];
};
int tool_target(const char *text, struct tool_target *out);
int tool_object_target(const char *text, struct tool_target *out);  // with an object
// A number of seconds, in nanoseconds; usage error if it is none.
int64_t tool_seconds(const char *text, struct argp_state *state);
uint64_t tool_number(const char *text, struct argp_state *state);
uint32_t tool_number32(const char *text, struct argp_state *state);
int64_t tool_signed(const char *text, struct argp_state *state);
uint32_t tool_pipe_end(const char *text, struct argp_state *state);
shoal_deadline tool_deadline(int64_t timeout);   // nanoseconds from now; 0: a try; below 0: for ever
void tool_sleep_until(int64_t at);               // of shoal_now_ns()
int tool_by_size(const void *a, const void *b);  // for qsort, of int64_t

// ---- rows ----
enum { FIELD_NUMBER, FIELD_BYTES, FIELD_COUNTER, FIELD_FLAG, FIELD_TEXT, FIELD_TIDS };  // TIDS: a text, "12,13"
enum { TOOL_KEY_MAX = 24, TOOL_TEXT_MAX = 128, TOOL_FIELDS_MAX = 48 };
struct tool_field {
  char key[TOOL_KEY_MAX];
  uint32_t kind, reserved;
  uint64_t number;
  char text[TOOL_TEXT_MAX];
};
// BEGUN: an object is about to be looked at. WORKER: what one runs, behind its executor.
enum { ROW_SEGMENT, ROW_PARTICIPANT, ROW_OBJECT, ROW_BEGUN, ROW_WORKER };
struct tool_row {
  uint32_t kind, index, fields;  // index: of the object in its segment
  int32_t error;
  uint32_t bad;  // top's: in so many looks in a row it was an error
  char segment[SHOAL_NAME_MAX + 1], name[SHOAL_NAME_MAX + 1], type[SHOAL_TYPE_MAX + 1];
  char reason[TOOL_TEXT_MAX];
  uint64_t size;
  struct tool_field field[TOOL_FIELDS_MAX];  // `fields` of them
};
void tool_add(struct tool_row *row, uint32_t kind, const char *key, uint64_t number);
void tool_add_text(struct tool_row *row, uint32_t kind, const char *key, const char *text);
const struct tool_field *tool_field(const struct tool_row *row, const char *key);  // NULL: none
// What the same row was, so many seconds before. `row` NULL: it is not known.
struct tool_before {
  const struct tool_row *row;
  double seconds;
};
// How fast a counter rose, a second; 0: it did not, began anew, or is none.
double tool_rate(const struct tool_field *f, const struct tool_before *before);

// Bytes, of the type of what has elements ("queue:64"); 0: of byte messages ("queue:bytes"), or there is none.
uint32_t tool_element_size(const char *type);
// Whether an object of `type` is of that kind: a type, or, if it ends in ':', what it begins with.
int tool_is_of_kind(const char *type, const char *kind);
// Fills in what there is to say of an object of a segment that is looked at. 0 or an error.
int tool_view(struct shoal_segment *look, const struct shoal_object_info *object, struct tool_row *row);
// A value or an array, whatever its elements.
struct shoal_array;
int tool_array_open(struct shoal_segment *seg, const struct shoal_object_info *object, struct shoal_array *out);
// Of an executor: calls `tell` with what to add to a row, for each of its workers that runs something. 0 or an error.
int tool_view_workers(struct shoal_segment *look, const struct shoal_object_info *object,
                      int (*tell)(const struct shoal_executor_running *r, void *arg), void *arg);
// Undoes what the dead have left in it, and says so in counters: none, nothing was to be done. `locks`: see shoal
// repair.
int tool_repair_segment(struct shoal_segment *seg, struct tool_row *row);
int tool_repair(struct shoal_segment *seg, const struct shoal_object_info *object, unsigned locks,
                struct tool_row *row);

// ---- looking ----
// REPAIR: rows say what was undone, of the segment and of its objects, instead of what is there; in the child's copy,
// or (FOR_GOOD) in the segment itself.
enum {
  LOOK_SEGMENT = 1,
  LOOK_PARTICIPANTS = 2,
  LOOK_OBJECTS = 4,
  LOOK_REPAIR = 8,
  LOOK_FOR_GOOD = 16,
  LOOK_LOCKS = 32,
  LOOK_WORKERS = 64,
  LOOK_HASTY = 128,  // what does not answer in three seconds is told as busy, or damaged
};
// Calls `each` for the segment, then its participants, then its objects, as far as `what` asks, of objects only
// `object` if it is not ""; until it answers other than 0, and answers that. 0, or why it could not be looked at.
int tool_look(const char *segment, const char *object, unsigned what,
              int (*each)(const struct tool_row *row, void *arg), void *arg);
// The same for who has other things to do while nothing is told: `wait` answers 1 once `fd` can be read, 0 after `ms`,
// -ECANCELED to end the look. `at`: the object that is being looked at; NULL: none yet.
typedef int tool_wait_fn(int fd, int ms, const struct tool_row *at, void *arg);
int tool_look_and(const char *segment, const char *object, unsigned what,
                  int (*each)(const struct tool_row *row, void *arg), tool_wait_fn *wait, void *arg);

// ---- output ----
// A JSON writer: commas and quotes by itself. Bytes that are no UTF-8 become lone surrogates, as Python's
// surrogateescape has them. `key` NULL: in an array.
struct tool_json {
  FILE *out;
  int begun;  // bits, by depth: something stands before
  unsigned depth;
};
void tool_json_open(struct tool_json *j, const char *key, char bracket);
void tool_json_close(struct tool_json *j, char bracket);  // at depth 0: a newline, too
void tool_json_text(struct tool_json *j, const char *key, const char *text);
void tool_json_bytes(struct tool_json *j, const char *key, const void *text, size_t n);
void tool_json_number(struct tool_json *j, const char *key, uint64_t n);
void tool_json_signed(struct tool_json *j, const char *key, int64_t n);
void tool_json_float(struct tool_json *j, const char *key, double f);
void tool_json_flag(struct tool_json *j, const char *key, int yes);
void tool_json_fields(struct tool_json *j, const struct tool_row *row);  // what it is in error, then all
void tool_json_rates(struct tool_json *j, const struct tool_row *row, const struct tool_before *before);
void tool_json_row(struct tool_json *j, const char *key, const struct tool_row *row);  // an object
void tool_json_row_and_rates(struct tool_json *j, const char *key, const struct tool_row *row,
                             const struct tool_before *before);

// For a terminal: what could command it, and what is no UTF-8, is written \xNN. Static buffers, sixteen of them in
// turn.
const char *tool_clean(const char *text);
const char *tool_bytes_text(uint64_t bytes);  // "1.6M"
const char *tool_age_text(int64_t seconds);   // "3h12m"
const char *tool_field_text(const struct tool_field *f);
void tool_row_print(const struct tool_row *row, const struct tool_before *before);  // a line for each field

// The parser and its options that every subcommand has: --json.
extern const struct argp tool_common_argp;
struct tool_common {
  int json;
};
#define TOOL_COMMON \
  { &tool_common_argp, 0, NULL, 0 }
