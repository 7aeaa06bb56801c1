#include "examples/copy_tree/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WIDTH 24
#define FILE_COSTS 32768  // what making a file takes, in bytes of contents

int progress_on_terminal(void) { return isatty(STDERR_FILENO); }

static shoal_deadline next_time(const struct progress *p) { return shoal_after_ms(p->terminal ? 100 : 1000); }

void progress_start(struct progress *p, const char *what, const struct tally *done, const struct job *job,
                    const struct figures *f) {
  *p = (struct progress){.what = what, .began_ns = shoal_now_ns(), .done = done, .quiet = job->quiet};
  p->files = f->all_files;
  p->bytes = f->all_bytes;
  p->terminal = progress_on_terminal();
  p->next = next_time(p);
}

static uint64_t files_done(const struct tally *t) {
  return t->files + t->symlinks + t->specials + t->skipped + t->verified + t->failed;
}

static double share(const struct progress *p) {
  double all = (double)p->bytes + (double)p->files * FILE_COSTS;
  double done = (double)p->done->bytes + (double)files_done(p->done) * FILE_COSTS;
  return all > 0 ? done > all ? 1 : done / all : 0;
}

static void show_bar(double part) {
  char bar[WIDTH + 1];
  int full = (int)(part * WIDTH);
  memset(bar, ' ', WIDTH);
  memset(bar, '=', (size_t)full);
  if (full < WIDTH) bar[full] = '>';
  bar[WIDTH] = '\0';
  fprintf(stderr, "%3.0f %% [%s]  ", 100 * part, bar);
}

void progress_show(struct progress *p) {
  if (p->quiet || !shoal_deadline_passed(p->next)) return;
  double seconds = (double)(shoal_now_ns() - p->began_ns) / 1e9, part = share(p);
  p->next = next_time(p);
  p->shown = 1;
  fprintf(stderr, "%s%s ", p->terminal ? "\r" : "", p->what);
  if (p->files) show_bar(part);
  fprintf(stderr, "%llu files  %.1f MB  %.1f MB/s", (unsigned long long)files_done(p->done),
          (double)p->done->bytes / 1e6, (double)p->done->bytes / 1e6 / seconds);
  if (part > 0) fprintf(stderr, "  %.0f s left", seconds / part * (1 - part));
  fputs(p->terminal ? "\033[K" : "\n", stderr);
}

void progress_wipe(struct progress *p) {
  if (p->terminal && p->shown) fputs("\r\033[K", stderr);
  p->shown = 0;
}
