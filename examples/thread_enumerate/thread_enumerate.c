// Which threads there are, who one is oneself, who is the main one.
#include <stdio.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/work/thread.h"

static int ends[2];

static int worker(void *arg) {
  char byte;
  return read(ends[0], &byte, 1) != 1 || arg != NULL;
}

static void show_one(const char *what, const struct shoal_thread *t) {
  printf("%s: <%s, started%s %llu>\n", what, t->name, t->daemon ? " daemon" : "", (unsigned long long)t->ident);
}
static int show(const struct shoal_thread_info *t, void *arg) {
  return printf("<%s, started%s %llu>\n", t->name, t->daemon ? " daemon" : "", (unsigned long long)t->ident) < 0 || arg;
}
static int show_self(void *arg) {
  show_one("current", shoal_thread_current());
  return arg != NULL;
}

int main(void) {
  struct shoal_thread t[3];
  if (pipe(ends)) return 1;
  int rc = shoal_thread_start(&t[0], worker, NULL, &(struct shoal_thread_options){.name = "thread"});
  if (rc == 0) rc = shoal_thread_start(&t[1], worker, NULL, &(struct shoal_thread_options){.daemon = SHOAL_DAEMON});
  printf("active_count: %u\n", shoal_thread_active_count());
  show_one("current", shoal_thread_current());
  show_one("main", shoal_thread_main());
  if (rc == 0) rc = shoal_thread_enumerate(show, NULL);
  if (rc == 0 && write(ends[1], "bb", 2) != 2) rc = -EPIPE;
  for (int i = 0; i < 2 && rc == 0; i++) {
    rc = shoal_thread_join(&t[i], SHOAL_FOREVER);
    if (rc == 0) rc = shoal_thread_close(&t[i]);
  }
  if (rc == 0) rc = shoal_thread_start(&t[2], show_self, NULL, NULL);
  if (rc == 0) rc = shoal_thread_join(&t[2], SHOAL_FOREVER);
  if (rc == 0) rc = shoal_thread_close(&t[2]);
  printf("active_count: %u\n", shoal_thread_active_count());
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}
