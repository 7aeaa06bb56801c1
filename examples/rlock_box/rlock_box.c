// A box whose operations call each other, each under the box's lock: add and remove acquire it, and execute does so
// again. One puts five items in, another takes them out; they take turns, so that the lines come in one order.
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "core/error.h"
#include "sync/rlock.h"

#define ITEMS 5

struct box {
  struct shoal_rlock lock;
  int total_items;
};

static int execute(struct box *box, int n) {
  int rc = shoal_rlock_acquire(&box->lock, SHOAL_FOREVER);
  if (rc) return rc;
  box->total_items += n;
  return shoal_rlock_release(&box->lock);
}
static int change(struct box *box, int n) {
  int rc = shoal_rlock_acquire(&box->lock, SHOAL_FOREVER);
  if (rc) return rc;
  rc = execute(box, n);
  int released = shoal_rlock_release(&box->lock);
  return rc ? rc : released;
}
static int add(struct box *box) { return change(box, 1); }
static int take_out(struct box *box) { return change(box, -1); }

static shoal_atomic32 turns;  // taken so far: even, the adder's; odd, the remover's
static void my_turn(uint32_t n) {
  while (shoal_load32_acquire(&turns) != n) sched_yield();
}

struct part {
  struct box *box;
  const char *line;
  int (*act)(struct box *);
  uint32_t first;
  int rc;
};
static void *play(void *arg) {
  struct part *p = arg;
  for (uint32_t i = 0; i < ITEMS; i++) {
    my_turn(2 * i + p->first);
    puts(p->line);
    int rc = p->act(p->box);
    if (rc) p->rc = rc;
    shoal_add32_seq_cst(&turns, 1);
  }
  return NULL;
}

int main(void) {
  struct box box = {.total_items = 0};
  struct part parts[] = {{&box, "adding 1 item in the box", add, 0, 0},
                         {&box, "removing 1 item in the box", take_out, 1, 0}};
  pthread_t threads[2];
  int rc = shoal_rlock_init(&box.lock);
  printf("putting %d items in the box\n", ITEMS);
  for (int i = 0; i < 2 && rc == 0; i++)
    if (pthread_create(&threads[i], NULL, play, &parts[i])) return 1;
  for (int i = 0; i < 2 && rc == 0; i++) pthread_join(threads[i], NULL);
  if (rc == 0) rc = parts[0].rc ? parts[0].rc : parts[1].rc;
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  else printf("%d items still remain in the box\n", box.total_items);
  return rc != 0;
}
