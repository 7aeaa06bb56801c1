// A clock of its own kind of process: says the time, five times. clock_process [INTERVAL [NOW]]: every INTERVAL
// seconds; with NOW, seconds since 1970, the time begins there and is counted, not waited for.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/work/process.h"

struct clock_process {
  struct shoal_process process;
  unsigned interval;
  time_t now;  // 0: the real time
};

static int run(struct shoal_process *self) {
  struct clock_process *clock = SHOAL_EMBEDS(self, struct clock_process, process);
  for (int n = 5; n > 0; n--) {
    time_t now = clock->now ? clock->now : time(NULL);
    struct tm t;
    char text[32];
    if (!(clock->now ? gmtime_r(&now, &t) : localtime_r(&now, &t)) || !asctime_r(&t, text)) return 1;
    printf("the time is %s", text);
    fflush(stdout);
    if (clock->now) clock->now += clock->interval;
    else sleep(clock->interval);
  }
  return 0;
}

int main(int argc, char **argv) {
  struct clock_process p = {.interval = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 3,
                            .now = argc > 2 ? (time_t)strtoll(argv[2], NULL, 10) : 0};
  int code = 1,
      rc = shoal_process_start_run(&p.process, run, &(struct shoal_process_options){.family = "ClockProcess"});
  if (rc == 0) rc = shoal_process_join(&p.process, SHOAL_FOREVER);
  if (rc == 0) rc = shoal_process_exitcode(&p.process, &code);
  if (rc == 0) rc = shoal_process_close(&p.process);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc || code;
}
