#include "examples/wordcount/progress.h"

#include <stdio.h>
#include <unistd.h>

static shoal_deadline next_time(const struct progress *p) { return shoal_after_ms(p->terminal ? 100 : 1000); }

void progress_start(struct progress *p, uint64_t bytes, unsigned processes) {
  *p = (struct progress){shoal_now_ns(), bytes, processes, isatty(STDERR_FILENO), SHOAL_TRY};
  p->next = next_time(p);
}

int progress_due(const struct progress *p) { return shoal_deadline_passed(p->next); }

void progress_show(struct progress *p, const struct figures *f, uint64_t queued) {
  double seconds = (double)(shoal_now_ns() - p->began_ns) / 1e9, rate = (double)f->bytes / seconds;
  double left = rate > 0 && p->bytes > f->bytes ? (double)(p->bytes - f->bytes) / rate : 0;
  p->next = next_time(p);
  fprintf(stderr, "%s%3.0f %%  %6.0f MB/s  %2u blocks waiting  %u processes  %.1f s left%s", p->terminal ? "\r" : "",
          p->bytes ? 100.0 * (double)f->bytes / (double)p->bytes : 100.0, rate / 1e6, (unsigned)queued, p->processes,
          left, p->terminal ? "\033[K" : "\n");
}

void progress_end(struct progress *p) {
  if (p->terminal) fputs("\r\033[K", stderr);
}
