// One publishes prices; all who subscribe see each of them, and the late one begins with the last two. Two clerks share
// the orders: a group, so that each order is filled by one of them, although one dies with an order in hand.
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/topic.h"

struct price {
  char name[8];
  int cents;
};
SHOAL_TOPIC_TYPED(prices, struct price)

static int publish(struct shoal_topic *t, const char *name, int cents) {
  struct price p = {{0}, cents};
  snprintf(p.name, sizeof p.name, "%s", name);
  return prices_publish(t, &p, SHOAL_FOREVER);
}
static int print_next(struct shoal_topic *t, const char *who) {
  struct price p;
  int rc = prices_get(t, &p, SHOAL_FOREVER);
  if (rc == 0) printf("%s: %s %d\n", who, p.name, p.cents);
  return rc;
}

static int all_see_all(struct shoal_segment *seg, struct shoal_topic *t) {
  struct shoal_topic *late;
  int rc = shoal_topic_subscribe(t, NULL);
  if (rc == 0) rc = publish(t, "tea", 210);
  if (rc == 0) rc = publish(t, "salt", 90);
  if (rc == 0) rc = publish(t, "silk", 1900);
  for (int i = 0; i < 3 && rc == 0; i++) rc = print_next(t, "early");
  if (rc == 0) rc = prices_open(seg, "prices", &late);
  if (rc) return rc;
  rc = shoal_topic_subscribe(late, &(struct shoal_topic_subscription){.history = 2});
  for (int i = 0; i < 2 && rc == 0; i++) rc = print_next(late, "late");
  shoal_topic_detach(late);
  return rc ? rc : shoal_topic_unsubscribe(t);
}

// A clerk in a process of its own dies with an order in hand.
static int one_clerk_dies(struct shoal_topic *t) {
  struct shoal_topic_subscription clerks = {.group = "clerks"};
  struct shoal_loan loan;
  int joined[2], rc = shoal_topic_subscribe(t, &clerks);
  if (rc || pipe(joined)) return rc ? rc : -errno;
  pid_t pid = fork();
  if (pid < 0) return -errno;
  if (pid == 0) {
    char byte = (char)shoal_topic_subscribe(t, &clerks);
    if (write(joined[1], &byte, 1) != 1) _exit(1);
    if (shoal_topic_receive(t, &loan, SHOAL_FOREVER) == 0)
      printf("first clerk: %s\n", ((struct price *)loan.data)->name);
    fflush(stdout);
    raise(SIGKILL);
  }
  char byte;
  if (read(joined[0], &byte, 1) != 1) return -EPIPE;
  rc = publish(t, "order 1", 1);
  waitpid(pid, NULL, 0);
  if (rc == 0) rc = shoal_topic_receive(t, &loan, SHOAL_FOREVER);
  if (rc) return rc;
  printf("second clerk: %s, after %u death\n", ((struct price *)loan.data)->name, loan.redelivered);
  rc = shoal_topic_release(t, &loan);
  close(joined[0]), close(joined[1]);
  return rc;
}

int main(void) {
  struct shoal_segment *seg;
  struct shoal_topic *t;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (rc == 0) rc = prices_create(seg, "prices", &(struct shoal_topic_options){.capacity = 16, .history = 8}, &t);
  if (rc == 0) rc = all_see_all(seg, t);
  if (rc == 0) rc = one_clerk_dies(t);
  if (rc == 0) rc = shoal_topic_detach(t);
  if (rc == 0) rc = shoal_topic_unlink(seg, "prices");
  if (rc == 0) rc = shoal_segment_close(seg);
  if (rc) fprintf(stderr, "%s: %s\n", shoal_strerror(rc), shoal_reason());
  return rc != 0;
}
