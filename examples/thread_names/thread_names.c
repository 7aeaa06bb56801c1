// Three threads that say their names, in turns that a barrier makes.
#include <stdio.h>

#include "core/error.h"
#include "ipc/work/thread.h"
#include "sync/barrier.h"

#define THREADS 3

static struct shoal_barrier *turn;
static const char *const words[] = {"Starting", "Exiting"};

// Waits after each of the six turns, except after the last.
static int function(void *arg) {
  int mine = *(int *)arg, rc = 0;
  for (int i = 0; i < 2 * THREADS && rc == 0; i++) {
    if (i % THREADS == mine) printf("%s is %s\n", shoal_thread_current()->name, words[i / THREADS]);
    if (i < 2 * THREADS - 1) rc = shoal_barrier_wait(turn, SHOAL_FOREVER, NULL);
  }
  return rc;
}

static int run(void) {
  const char *const names[THREADS] = {"first_function", "second_function", "third_function"};
  struct shoal_thread t[THREADS];
  int number[THREADS] = {0, 1, 2}, result, rc = 0, started = 0;
  for (; started < THREADS && rc == 0; started += rc == 0)
    rc = shoal_thread_start(&t[started], function, &number[started],
                            &(struct shoal_thread_options){.name = names[started]});
  if (rc) shoal_barrier_abort(turn);  // else those that have started would wait
  for (int i = 0; i < started; i++) {
    int ended = shoal_thread_join(&t[i], SHOAL_FOREVER);
    if (ended == 0 && shoal_thread_result(&t[i], &result) == 0) ended = result;
    if (rc == 0) rc = ended;
    shoal_thread_close(&t[i]);
  }
  return rc;
}

int main(void) {
  struct shoal_segment *seg;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_barrier_create(seg, "turn", THREADS, NULL, &turn);
  if (rc == 0) rc = run();
  if (rc == 0) rc = shoal_barrier_close(seg, turn);
  if (rc == 0) rc = shoal_segment_close(seg);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}
