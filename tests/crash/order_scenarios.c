// sync/lock_order. Claims: killed at any instruction - naming, noting an order, waiting, reporting - its thread leaves
// no survivor hanging, no lock lost, and a graph without a cycle; a circle of those who live is still found.
#include <errno.h>
#include <sys/mman.h>

#include "sync/lock.h"
#include "tests/crash/crash.h"

static struct shared {
  struct shoal_lock a, b;
  struct shoal_lock_order order;
} * S;

static void fresh(uint32_t flags) {
  if (!S)
    S = mmap(NULL, sizeof *S + shoal_lock_order_size(0), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int rc = shoal_lock_order_init(&S->order, flags, 0);
  if (rc == 0) rc = shoal_lock_init(&S->a);
  if (rc == 0) rc = shoal_lock_init(&S->b);
  CRASH_EXPECT(rc == 0, "init: %d", rc);
}
static void attach(void) {
  int rc = shoal_lock_attach(&S->a, &S->order, "a");
  if (rc == 0) rc = shoal_lock_attach(&S->b, &S->order, "b");
  CRASH_EXPECT(rc == 0, "attach: %d", rc);
}
static void attached(void) {
  fresh(SHOAL_LOCK_ORDER_STRICT);
  attach();
}
static void take(struct shoal_lock *l) {
  int rc = shoal_lock_acquire(l, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0 || rc == -EOWNERDEAD, "acquire: %d", rc);
  if (rc) rc = shoal_lock_consistent(l);
  CRASH_EXPECT(rc == 0, "consistent: %d", rc);
}
static void drop(struct shoal_lock *l) {
  int rc = shoal_lock_release(l);
  CRASH_EXPECT(rc == 0, "release: %d", rc);
}
static void a_then_b(void) {
  take(&S->a);
  take(&S->b);
  drop(&S->b);
  drop(&S->a);
}

// The graph has what it should have, and no cycle: both orders cannot stand in it.
static int edge(unsigned from, unsigned to) { return (int)(shoal_load64_relaxed(&S->order.after[from]) >> to & 1); }
static void law_holds(void) {
  attach();
  a_then_b();
  CRASH_EXPECT(edge(0, 1) && !edge(1, 0), "a before b: %d, b before a: %d", edge(0, 1), edge(1, 0));
  take(&S->b);
  int rc = shoal_lock_acquire(&S->a, SHOAL_FOREVER);
  CRASH_EXPECT(rc == -EDEADLK, "the other way round: %d", rc);
  drop(&S->b);
}
static void survivors(void) { crash_survivor(law_holds); }

static void detached(void) { fresh(SHOAL_LOCK_ORDER_STRICT); }
CRASH_SCENARIO(order_attach, .name = "order: attach two locks", .setup = detached, .op = attach, .check = survivors);
CRASH_SCENARIO(order_note, .name = "order: note what is held before what", .setup = attached, .op = a_then_b,
               .check = survivors);

static void ordered(void) {
  attached();
  a_then_b();
}
static void refused(void) {
  take(&S->b);
  int rc = shoal_lock_acquire(&S->a, SHOAL_FOREVER);
  CRASH_EXPECT(rc == -EDEADLK, "the other way round: %d", rc);
  drop(&S->b);
}
CRASH_SCENARIO(order_refuse, .name = "order: be refused", .setup = ordered, .op = refused, .check = survivors);
CRASH_SCENARIO(order_pair, .name = "order: pair, both die noting an order", .kind = CRASH_PAIR, .setup = attached,
               .op = a_then_b, .op2 = a_then_b, .check = survivors);

// An actor holds a and waits for b, which the victim holds. The victim wants a: a circle, of which it is told.
static void counting(void) {
  fresh(0);
  attach();
}
static void hold_b(void) { take(&S->b); }
static void hold_a_want_b(int i) {
  (void)i;
  take(&S->a);
  take(&S->b);
  drop(&S->b);
  drop(&S->a);
}
static void another_waits(void) { crash_asleep(crash_actor(hold_a_want_b, 0)); }
static void want_a(void) {
  int rc = shoal_lock_acquire(&S->a, SHOAL_FOREVER);
  CRASH_EXPECT(rc == -EDEADLK, "a circle is closed, and the answer is %d", rc);
  drop(&S->b);
}
static void other_gets_through(void) {
  CRASH_UNTIL(crash_all_finished(), "it waits in vain, b is %x", S->b.robust.word.v_);
}
CRASH_SCENARIO(order_circle, .name = "order: close a circle, and let go", .setup = counting, .prepare = hold_b,
               .ready = another_waits, .op = want_a, .check = other_gets_through);

// The victim waits, and is killed waiting or just woken; nobody takes its seat for a living one's.
static void holder_of_a(int i) {
  (void)i;
  take(&S->a);
  crash_gate();
  drop(&S->a);
}
static void a_is_held(void) {
  counting();
  crash_actor(holder_of_a, 0);
  crash_at_gate(1);
}
static void wait_for_a(void) {
  take(&S->a);
  drop(&S->a);
}
static void waiter(int i) {
  (void)i;
  wait_for_a();
}
static void another_then_let_go(void) {
  crash_asleep(crash_actor(waiter, 0));
  crash_open_gate();
}
static void all_through(void) {
  if (!crash_victim_slept()) another_then_let_go();
  CRASH_UNTIL(crash_all_finished(), "a waiter hangs, a is %x", S->a.robust.word.v_);
  struct shoal_lock_order_info info;
  shoal_lock_order_info(&S->order, &info);
  CRASH_EXPECT(info.deadlocks == 0, "a deadlock was seen, and there is none");
}
CRASH_SCENARIO(order_wait, .name = "order: wait, asleep before another", .setup = a_is_held, .op = wait_for_a,
               .asleep = another_then_let_go, .check = all_through);
