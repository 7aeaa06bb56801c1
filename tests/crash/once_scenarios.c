// sync/once. Claims: it runs in one at a time; it is done once its function has answered 0, and then never runs again;
// killed before that, the next runs it; nobody hangs, whoever dies: runner, waiter, or one that was just woken.
#include <errno.h>

#include "sync/once.h"
#include "tests/crash/crash.h"

#define O ((struct shoal_once *)T->raw)

// T->word: one is inside; runs that have answered 0; callers that have returned.
enum { INSIDE, DONE, RETURNED, FAIL };

static void setup(void) { CRASH_EXPECT(shoal_once_init(O) == 0, "init"); }

static int work(void *arg) {
  (void)arg;
  T->word[INSIDE]++;  // what a dead one has left is seen by its successor, and by no one else
  if (T->word[FAIL] && T->word[FAIL]--) return -ENOSPC;
  T->word[DONE]++;
  return 0;
}
static void run(void) {
  int rc = shoal_once_run(O, work, NULL, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0, "run answered %d", rc);
  CRASH_EXPECT(T->word[DONE], "it is not done");
  T->word[RETURNED]++;
}
static void caller(int i) {
  (void)i;
  run();
}
static void done_once(void) {
  CRASH_UNTIL(crash_all_finished(), "a caller hangs, the word is %x", O->robust.word.v_);
  struct shoal_once_info info;
  shoal_once_info(O, &info);
  CRASH_EXPECT(info.state == SHOAL_ONCE_DONE, "not done");
  CRASH_EXPECT(T->word[DONE] == 1 || info.deaths, "done %u times, and nobody died at it", T->word[DONE]);
  CRASH_EXPECT(T->word[DONE] <= 1 + info.deaths, "done %u times, %u died at it", T->word[DONE], info.deaths);
  CRASH_EXPECT(info.runs >= T->word[INSIDE], "%u runs, %u told", T->word[INSIDE], info.runs);
}
static void two_callers(void) {
  crash_actor(caller, 0);
  crash_actor(caller, 1);
  done_once();
}
CRASH_SCENARIO(once_first, .name = "once: the first to run it", .setup = setup, .op = run, .check = two_callers);

static void fails_first(void) {
  setup();
  T->word[FAIL] = 1;
}
static void run_and_fail(void) {
  int rc = shoal_once_run(O, work, NULL, SHOAL_FOREVER);
  CRASH_EXPECT(rc == -ENOSPC, "run answered %d", rc);
}
static void callers_after_a_failure(void) {
  T->word[FAIL] = 0;
  two_callers();
}
CRASH_SCENARIO(once_fails, .name = "once: a run that fails", .setup = fails_first, .op = run_and_fail,
               .check = callers_after_a_failure);

// A runner that is let go, or killed, while the victim and others wait.
static int slow_work(void *arg) {
  crash_gate();
  return work(arg);
}
static void slow(int i) {
  (void)i;
  int rc = shoal_once_run(O, slow_work, NULL, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0, "run answered %d", rc);
}
static void running(void) {
  setup();
  crash_actor(slow, 0);
  crash_at_gate(1);
}
static void another_waits(void) { crash_asleep(crash_actor(caller, 0)); }
static void let_it_end(void) {
  another_waits();
  crash_open_gate();
}
static void kill_it(void) {
  another_waits();
  crash_kill(0);
}
static void ended(void) {
  if (!crash_victim_slept()) let_it_end();
  done_once();
}
static void killed(void) {
  if (!crash_victim_slept()) kill_it();
  done_once();
}
CRASH_SCENARIO(once_waits, .name = "once: waits for a runner that ends", .setup = running, .op = run,
               .asleep = let_it_end, .check = ended);
CRASH_SCENARIO(once_inherits, .name = "once: waits for a runner that is killed", .setup = running, .op = run,
               .asleep = kill_it, .check = killed);
CRASH_SCENARIO(once_pair, .name = "once: pair, a runner's death, then its successor's", .kind = CRASH_PAIR,
               .setup = setup, .op = run, .op2 = run, .check = two_callers);
