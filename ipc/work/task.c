#include "ipc/work/task.h"

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
