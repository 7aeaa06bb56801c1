#include "ipc/work/task.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

// The linker's: the bounds of the section, both null in a program without tasks.
extern const struct shoal_task *const __start_shoal_tasks[] __attribute__((weak, visibility("hidden")));
extern const struct shoal_task *const __stop_shoal_tasks[] __attribute__((weak, visibility("hidden")));

typedef const struct shoal_task *const *iterator;

static iterator next_of_name(iterator t, const char *name) {
  while (t < __stop_shoal_tasks && strcmp((*t)->name, name) != 0) t++;
  return t;
}

int shoal_task_find(const char *name, const struct shoal_task **out) {
  iterator found = next_of_name(__start_shoal_tasks, name);
  if (found == __stop_shoal_tasks) return shoal_fail_(-ENOENT, "no task is called %s", name);
  if (next_of_name(found + 1, name) != __stop_shoal_tasks)
    return shoal_fail_(-EEXIST, "more than one task is called %s", name);
  *out = *found;
  return 0;
}

int shoal_task_list(int (*each)(const struct shoal_task *, void *), void *arg) {
  int rc = 0;
  for (iterator t = __start_shoal_tasks; t < __stop_shoal_tasks && rc == 0; t++) rc = each(*t, arg);
  return rc;
}

int shoal_task_check(void) {
  const struct shoal_task *found;
  int rc = 0;
  for (iterator t = __start_shoal_tasks; t < __stop_shoal_tasks && rc == 0; t++)
    rc = shoal_task_find((*t)->name, &found);
  return rc;
}

// ---- words ----
//
// hash:48 | index:12 | user:4. The index says where to look first; the hash decides.

#define INDEX_SHIFT 4
#define INDEX_MASK UINT64_C(0xfff)
#define HASH_MASK (~UINT64_C(0) << 16)

static struct known {  // open addressing by address; made once
  const struct shoal_task *task;
  uint64_t word;
} * known;
static size_t known_mask;

static uint64_t hash_bytes(uint64_t h, const void *bytes, size_t n) {
  for (const unsigned char *b = bytes; n--; b++) h = (h ^ *b) * UINT64_C(0x100000001b3);  // FNV-1a
  return h;
}
static uint64_t word_of(const struct shoal_task *t, uint64_t index) {
  uint64_t h = hash_bytes(UINT64_C(0xcbf29ce484222325), t->name, strlen(t->name) + 1);
  h = hash_bytes(h, t->type, strlen(t->type) + 1);
  h = hash_bytes(h, &t->size, sizeof t->size);
  return ((h ^ h << 16) & HASH_MASK) | UINT64_C(1) << 16 | (index & INDEX_MASK) << INDEX_SHIFT;  // never 0
}
static size_t place_of(const struct shoal_task *t) { return (size_t)((uintptr_t)t >> 3) * 0x9e3779b1u; }

static void learn_all(void) {
  size_t n = (size_t)(__stop_shoal_tasks - __start_shoal_tasks), room = 2;
  while (room < 2 * n) room *= 2;
  known = calloc(room, sizeof *known);
  if (!known) return;
  known_mask = room - 1;
  for (size_t i = 0; i < n; i++) {
    const struct shoal_task *t = __start_shoal_tasks[i];
    size_t at = place_of(t) & known_mask;
    while (known[at].task) at = (at + 1) & known_mask;
    known[at] = (struct known){t, word_of(t, i)};
  }
}

uint64_t shoal_task_word_(const struct shoal_task *task) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, learn_all);
  if (!known) return 0;
  for (size_t at = place_of(task) & known_mask; known[at].task; at = (at + 1) & known_mask)
    if (known[at].task == task) return known[at].word;
  return 0;
}

static int same_hash(const struct shoal_task *t, uint64_t word) {
  return ((shoal_task_word_(t) ^ word) & HASH_MASK) == 0;
}

const struct shoal_task *shoal_task_of_(uint64_t word) {
  uint64_t index = word >> INDEX_SHIFT & INDEX_MASK;
  size_t n = (size_t)(__stop_shoal_tasks - __start_shoal_tasks);
  if (index < n && same_hash(__start_shoal_tasks[index], word)) return __start_shoal_tasks[index];
  for (size_t i = 0; i < n; i++)
    if (same_hash(__start_shoal_tasks[i], word)) return __start_shoal_tasks[i];
  return NULL;
}
