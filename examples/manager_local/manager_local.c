// with Manager() as m: d = m.dict(); l = m.list(range(5)); a process changes both; and what there is.
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "ipc/work/manager.h"
#include "ipc/work/process.h"

struct shared {
  struct shoal_dict *d;
  struct shoal_list *l;
  struct shoal_lock *lock;
};

static int change(void *arg) {
  const struct shared *s = arg;
  int rc = shoal_lock_acquire(s->lock, SHOAL_FOREVER);
  if (rc) return rc;
  rc = shoal_dict_set(s->d, "1", 1, "one", 3, SHOAL_FOREVER);
  if (rc == 0) rc = shoal_dict_set(s->d, "2", 1, "two", 3, SHOAL_FOREVER);
  if (rc == 0) rc = shoal_list_reverse(s->l, SHOAL_FOREVER);
  int released = shoal_lock_release(s->lock);
  return rc ? rc : released;
}

static int get(struct shoal_manager *m, struct shared *s) {
  int rc = shoal_manager_dict(m, NULL, NULL, &s->d);
  if (rc == 0) rc = shoal_manager_list(m, NULL, &s->l);
  if (rc == 0) rc = shoal_manager_lock(m, "guard", &s->lock);
  for (char digit = '0'; digit < '5' && rc == 0; digit++) rc = shoal_list_append(s->l, &digit, 1, SHOAL_FOREVER);
  return rc;
}

static int in_a_process(struct shared *s) {
  struct shoal_process p;
  int rc = shoal_process_start(&p, change, s, NULL);
  if (rc) return rc;
  rc = shoal_process_join(&p, SHOAL_FOREVER);
  shoal_process_close(&p);
  return rc;
}

static int print(const struct shared *s) {
  char value[8];
  uint64_t size;
  for (int key = 1; key <= 2; key++) {
    char name[2] = {(char)('0' + key), 0};
    int rc = shoal_dict_get(s->d, name, 1, value, sizeof value, &size);
    if (rc) return rc;
    printf("%s: %.*s\n", name, (int)size, value);
  }
  for (int64_t i = 0; i < (int64_t)shoal_list_len(s->l); i++) {
    int rc = shoal_list_get(s->l, i, value, sizeof value, &size);
    if (rc) return rc;
    printf("%.*s%s", (int)size, value, i == 4 ? "\n" : ", ");
  }
  return 0;
}
static int print_one(const struct shoal_manager_item *item, void *arg) {
  if (strcmp(item->name, arg) == 0) printf("%-8s %-6s %s\n", item->name, item->type, item->text);
  return 0;
}
static int list(struct shoal_manager *m) {
  static const char *names[] = {"#dict-1", "#list-2", "guard"};  // each in turn: the directory has no order
  int rc = 0;
  for (int i = 0; i < 3 && rc == 0; i++) rc = shoal_manager_each(m, print_one, (void *)names[i]);
  return rc;
}

int main(void) {
  struct shoal_manager *m = NULL;
  struct shared s;
  int rc = shoal_manager_create(NULL, NULL, &m);
  if (rc == 0) rc = get(m, &s);
  if (rc == 0) rc = in_a_process(&s);
  if (rc == 0) rc = print(&s);
  if (rc == 0) rc = list(m);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  if (m) {
    int closed = shoal_manager_close(m);  // what was got goes with it
    if (rc == 0) rc = closed;
  }
  return rc != 0;
}
