// tools/shoal/top.h: what `shoal top` knows between two looks, and how it is drawn.
#pragma once

#include "tools/shoal/tool.h"

enum { SORT_NAME, SORT_DEPTH, SORT_RATE, SORT_WAITERS, SORTS };
struct top_rows {  // of one look
  struct tool_row *row;
  size_t n, room;
  const struct tool_row **sorted;  // all of them
  int64_t at;
};
struct top_shown {
  const struct tool_row *row;
  double weight;  // what they are sorted by, the largest first
};
struct top {
  struct tool_common common;
  int64_t interval;
  uint64_t count;
  int sort;
  char filter[64];
  struct top_rows now, before, next;  // next: of the look that goes on
  tool_wait_fn *wait;                 // while it has nothing to tell; NULL: nothing else is to be done
  char looking[SHOAL_NAME_MAX + 1];   // the segment
  struct top_shown *shown;            // objects, filtered and sorted
  size_t n_shown, room_shown;
  size_t selected;  // of these
  size_t workers;   // that run something
  int detail;       // 1: the selected one alone
  int scroll;       // lines further than the selected one needs
  struct tool_target chosen;
};

// Looks at all segments; until then `now` and `before` are what they were. 0, -ENOMEM, -ECANCELED (`wait`), or why
// /dev/shm could not be read.
int top_look(struct top *t);
void top_arrange(struct top *t);                                     // `shown`, by sort and filter
int top_is_worker(const struct top *t, const struct tool_row *row);  // that passes the filter
void top_free(struct top *t);
// How long this look waits for an object, of the `ms` that it has for one that is not known as bad.
int top_patience(const struct top *t, const struct tool_row *at, int ms);
// Of a worker's row: how long it has run its job, in nanoseconds; 1 in *least: at least so long, as nobody but these
// looks has seen it begin.
int64_t top_busy(const struct top *t, const struct tool_row *row, int *least);
// The counter of `row` that rises fastest, and how fast, a second; "" and 0: none.
double top_rate(const struct top *t, const struct tool_row *row, const char **key);

// A frame, line by line. `selected`: 1, the line of what is selected.
void top_draw(const struct top *t, void (*line)(const char *text, int selected, void *arg), void *arg);
const char *top_sort_name(int sort);

int top_screen(struct top *t);  // until q; an exit status
