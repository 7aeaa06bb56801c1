// Two draw from one account, under its lock: the second finds too little left. It starts when the first is inside.
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "core/error.h"
#include "sync/with.h"

struct account {
  struct shoal_rlock lock;
  int number, balance;
  shoal_atomic32 inside;
};

static int balance_of(struct account *a) {
  int rc, balance = -1;
  SHOAL_WITH (rc, &a->lock) balance = a->balance;
  return balance;
}

static int draw(struct account *a, const char *who, int amount) {
  int rc;
  SHOAL_WITH (rc, &a->lock) {
    shoal_store32_release(&a->inside, 1);
    if (balance_of(a) < amount) {  // acquires the lock once more
      printf("%s取钱失败！余额不足！\n", who);
      break;
    }
    printf("%s取钱成功！吐出钞票:%d\n", who, amount);
    a->balance -= amount;
    printf("\t余额为: %d\n", balance_of(a));
  }
  return rc;
}

struct customer {
  struct account *account;
  const char *name;
  int amount, rc;
};
static void *go(void *arg) {
  struct customer *c = arg;
  c->rc = draw(c->account, c->name, c->amount);
  return NULL;
}

int main(void) {
  struct account account = {.number = 1, .balance = 200};
  struct customer customers[] = {{&account, "Thread-9", 100, 0}, {&account, "Thread-10", 200, 0}};
  pthread_t threads[2];
  int rc = shoal_rlock_init(&account.lock);
  for (int i = 0; i < 2 && rc == 0; i++) {
    if (pthread_create(&threads[i], NULL, go, &customers[i])) return 1;
    while (shoal_load32_acquire(&account.inside) == 0) sched_yield();
  }
  for (int i = 0; i < 2 && rc == 0; i++) pthread_join(threads[i], NULL);
  if (rc == 0) rc = customers[0].rc ? customers[0].rc : customers[1].rc;
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}
