// Ten processes put an entry each into one dict. There is no manager but the segment.
#include <stdio.h>

#include "core/error.h"
#include "ipc/data/dict.h"
#include "ipc/work/process.h"

enum { JOBS = 10 };
struct job {
  struct shoal_dict *d;
  int key, item;
};

static int put(void *arg) {
  const struct job *job = arg;
  return shoal_dict_set(job->d, &job->key, sizeof job->key, &job->item, sizeof job->item, SHOAL_FOREVER);
}

static int work(struct shoal_dict *d) {
  struct shoal_process p[JOBS];
  struct job jobs[JOBS];
  int rc = 0, n = 0;
  for (; n < JOBS && rc == 0; n += !rc) {
    jobs[n] = (struct job){d, n, n * 2};
    rc = shoal_process_start(&p[n], put, &jobs[n], NULL);
  }
  while (n--) {
    int joined = shoal_process_join(&p[n], SHOAL_FOREVER);
    if (rc == 0) rc = joined;
    shoal_process_close(&p[n]);
  }
  return rc;
}

static int print(struct shoal_dict *d) {
  printf("Results: {");
  for (int key = 0; key < JOBS; key++) {
    int item;
    uint64_t size;
    int rc = shoal_dict_get(d, &key, sizeof key, &item, sizeof item, &size);
    if (rc) return rc;
    printf("%s%d: %d", key ? ", " : "", key, item);
  }
  printf("}, %d in all\n", (int)shoal_dict_len(d));
  return 0;
}

int main(void) {
  struct shoal_segment *seg = NULL;
  struct shoal_dict *d = NULL;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_dict_create(seg, "dictionary", NULL, &d);
  if (rc == 0) rc = work(d);
  if (rc == 0) rc = print(d);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  if (d) shoal_dict_close(d);
  if (seg) shoal_segment_close(seg);
  return rc != 0;
}
