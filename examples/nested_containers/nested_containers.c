// Three processes sort words into lists, which lie in a dict by their first letter: d.setdefault(letter,
// []).append(word).
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "ipc/data/nested.h"
#include "ipc/work/process.h"

enum { JOBS = 3 };
static const char *const words[] = {"avocet", "bittern", "crane", "albatross", "booby",
                                    "coot",   "auk",     "brant", "cuckoo"};
enum { WORDS = sizeof words / sizeof *words };
struct job {
  struct shoal_dict *d;
  int first;
};

static int put(struct shoal_dict *d, const char *word) {
  struct shoal_list *l;
  int rc = shoal_dict_setdefault_list(d, word, 1, &l, SHOAL_FOREVER);  // 0: made; 1: it was there
  if (rc < 0) return rc;
  rc = shoal_list_append(l, word, strlen(word), SHOAL_FOREVER);  // seen by whoever has that list
  shoal_list_close(l);                                           // ours; the dict has it
  return rc;
}
static int work(void *arg) {
  const struct job *job = arg;
  int rc = 0;
  for (int i = job->first; i < WORDS && rc == 0; i += JOBS) rc = put(job->d, words[i]);
  return rc;
}

static int run(struct shoal_dict *d) {
  struct shoal_process p[JOBS];
  struct job jobs[JOBS];
  int rc = 0, n = 0;
  for (; n < JOBS && rc == 0; n += !rc) {
    jobs[n] = (struct job){d, n};
    rc = shoal_process_start(&p[n], work, &jobs[n], NULL);
  }
  while (n--) {
    int joined = shoal_process_join(&p[n], SHOAL_FOREVER);
    if (rc == 0) rc = joined;
    shoal_process_close(&p[n]);
  }
  return rc;
}

static int print(struct shoal_dict *d, const char *letter) {
  struct shoal_list *l;
  struct shoal_list_slice all;
  struct iovec word;
  int rc = shoal_dict_get_list(d, letter, 1, &l);
  if (rc) return rc;
  rc = shoal_list_sort(l, NULL, NULL, SHOAL_FOREVER);
  if (rc == 0) rc = shoal_list_slice(l, 0, SHOAL_LIST_END, &all, SHOAL_FOREVER);
  if (rc == 0) {
    printf("%s:", letter);
    while (shoal_list_next(&all, &word)) printf(" %.*s", (int)word.iov_len, (const char *)word.iov_base);
    printf("\n");
    shoal_list_slice_free(&all);
  }
  shoal_list_close(l);
  return rc;
}

// A list of itself would never end.
static int loop(struct shoal_dict *d) {
  struct shoal_list *l;
  int rc = shoal_dict_get_list(d, "a", 1, &l);
  if (rc) return rc;
  rc = shoal_list_append_list(l, l, SHOAL_FOREVER);
  printf("into itself: %s\n", shoal_reason());
  shoal_list_close(l);
  return rc == -ELOOP ? 0 : -EPROTO;
}

int main(void) {
  struct shoal_segment *seg = NULL;
  struct shoal_dict *d = NULL;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_dict_create(seg, "birds", NULL, &d);
  if (rc == 0) rc = run(d);
  if (rc == 0) rc = print(d, "a");
  if (rc == 0) rc = print(d, "b");
  if (rc == 0) rc = print(d, "c");
  if (rc == 0) rc = loop(d);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  if (d) shoal_dict_close(d);
  if (seg) shoal_segment_close(seg);
  return rc != 0;
}
