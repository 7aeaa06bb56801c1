// Arguments and results of any length: texts go to workers as bytes, and come back packed, each as long as it turns
// out.
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "ipc/work/executor.h"
#include "ipc/work/future.h"

// Each letter, and how often it follows: at most twice as long. The room is made smaller in the end.
SHOAL_BYTES_TASK(pack) {
  const char *text = arg->data;
  char *out;
  uint64_t n = 0;
  int rc = shoal_bytes_reply(arg, 2 * arg->size, (void **)&out);
  if (rc) return rc;
  for (uint64_t i = 0, run; i < arg->size; i += run) {
    for (run = 1; i + run < arg->size && run < 9 && text[i + run] == text[i];) run++;
    out[n++] = text[i];
    if (run > 1) out[n++] = (char)('0' + run);
  }
  return shoal_bytes_reply(arg, n, (void **)&out);
}

static int run(struct shoal_executor *ex) {
  static const char *const texts[] = {"aaaaabbbbbbbb", "abc", "", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"};
  enum { N = sizeof texts / sizeof *texts };
  struct shoal_future f[N];
  int rc = 0;
  for (int i = 0; rc == 0 && i < N; i++) rc = SHOAL_SUBMIT_BYTES(ex, pack, texts[i], strlen(texts[i]), &f[i]);
  for (int i = 0; rc == 0 && i < N; i++) {
    const void *packed;
    uint64_t size;
    rc = shoal_future_view_bytes(&f[i], &packed, &size, NULL, SHOAL_FOREVER);  // in place, until it is released
    if (rc == 0)
      printf("%zu bytes, packed %u: %.*s\n", strlen(texts[i]), (unsigned)size, (int)size,
             size ? (const char *)packed : "");
    if (rc == 0) rc = shoal_future_release(&f[i]);
  }
  return rc;
}

int main(void) {
  struct shoal_segment *seg = NULL;
  struct shoal_executor *ex = NULL;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_executor_create(seg, NULL, &(struct shoal_executor_options){.workers = 4}, &ex);
  if (rc == 0) rc = run(ex);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  if (ex) shoal_executor_detach(ex);
  if (seg) shoal_segment_close(seg);
  return rc != 0;
}
