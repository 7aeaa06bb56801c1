// A process of the user's own kind: a struct that embeds one and supplies `run`.
#include <stdio.h>

#include "core/error.h"
#include "ipc/work/process.h"

struct my_process {
  struct shoal_process process;
  const char *what;
};

static int run(struct shoal_process *self) {
  const struct my_process *my = SHOAL_EMBEDS(self, struct my_process, process);
  return printf("%s in process: %s\n", my->what, self->name) < 0;
}

static int call(void) {
  struct my_process p = {.what = "called run method"};
  int rc = shoal_process_start_run(&p.process, run, &(struct shoal_process_options){.family = "MyProcess"});
  if (rc) return rc;
  rc = shoal_process_join(&p.process, SHOAL_FOREVER);
  return rc ? rc : shoal_process_close(&p.process);
}

int main(void) {
  int rc = 0;
  for (int i = 0; i < 5 && rc == 0; i++) rc = call();
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}
