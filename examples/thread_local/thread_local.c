// A value of which each thread has its own: ten threads count to a thousand, and none disturbs another. Each waits for
// the one before it, so that they show their numbers in order.
#include <stdio.h>

#include "core/error.h"
#include "ipc/work/thread.h"

#define THREADS 10

struct data {
  int num;
};
SHOAL_LOCAL_TYPED(data, struct data)
static struct shoal_local local;

static void show(void) { printf("%s %d\n", shoal_thread_current()->name, data_get(&local)->num); }

static int thread_cal(void *before) {
  if (!data_get(&local)) return -ENOMEM;
  for (int i = 0; i < 1000; i++) data_get(&local)->num += 1;
  int rc = before ? shoal_thread_join(before, SHOAL_FOREVER) : 0;
  if (rc == 0) show();
  return rc;
}

int main(void) {
  struct shoal_thread threads[THREADS];
  int result, started = 0, rc = data_create(&local, NULL);
  for (; started < THREADS && rc == 0; started += rc == 0)
    rc = shoal_thread_start(&threads[started], thread_cal, started ? &threads[started - 1] : NULL, NULL);
  for (int i = started - 1; i >= 0; i--) {  // the last one first: the others are waited for by it
    int ended = shoal_thread_join(&threads[i], SHOAL_FOREVER);
    if (ended == 0 && shoal_thread_result(&threads[i], &result) == 0) ended = result;
    if (rc == 0) rc = ended;
    shoal_thread_close(&threads[i]);
  }
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  shoal_local_close(&local);
  return rc != 0;
}
