// sync/event. Claims: nobody sleeps beside a set event; who slept when it was set goes on, also if it is cleared at
// once, whoever dies over that.
#include <errno.h>

#include "sync/event.h"
#include "tests/crash/crash.h"

#define E ((struct shoal_event *)T->raw)

enum { BEGUN };  // T->word

static void setup(void) { CRASH_EXPECT(shoal_event_init(E) == 0, "init"); }
static void set(void) { CRASH_EXPECT(shoal_event_set(E) == 0, "set"); }
static void clear(void) { CRASH_EXPECT(shoal_event_clear(E) == 0, "clear"); }
static void pulse(void) {
  set();
  clear();
}
static void wait(void) {
  int rc = shoal_event_wait(E, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0, "wait answered %d", rc);
}
static void waiter(int i) {
  (void)i;
  wait();
}
static void two_wait(void) {
  crash_asleep(crash_actor(waiter, 0));
  crash_asleep(crash_actor(waiter, 1));
}
static uint32_t sets(void) {
  struct shoal_event_info out = {0};
  CRASH_EXPECT(shoal_event_info(E, &out) == 0, "info");
  return out.sets;
}
static void those_go_on(void) {
  if (sets())
    CRASH_UNTIL(crash_all_finished(), "set, and a waiter sleeps on: the word is %llx", (unsigned long long)E->word.v_);
  if (crash_victim_finished()) CRASH_EXPECT(sets(), "set, and it is not counted");
}
CRASH_SCENARIO(event_set, .name = "event: set, two asleep", .setup = setup, .ready = two_wait, .op = set,
               .check = those_go_on);
CRASH_SCENARIO(event_pulse, .name = "event: set and clear, two asleep", .setup = setup, .ready = two_wait, .op = pulse,
               .check = those_go_on);

CRASH_SCENARIO(event_cleared, .name = "event: set, two asleep, another clears before it dies", .setup = setup,
               .ready = two_wait, .op = set, .stopped = clear, .check = those_go_on);

static void others_then_a_pulse(void) {
  if (T->word[BEGUN]++) return;
  two_wait();
  pulse();
}
static void others_go_on(void) {
  others_then_a_pulse();
  CRASH_UNTIL(crash_all_finished(), "a waiter sleeps on after set and clear");
}
CRASH_SCENARIO(event_wait, .name = "event: wait, asleep before others, set and cleared", .setup = setup, .op = wait,
               .asleep = others_then_a_pulse, .check = others_go_on);

// The setter dies at each point; then another clears, and dies at each point; who slept before the first goes on.
CRASH_SCENARIO(event_pair, .name = "event: pair, dies setting, then another clearing", .kind = CRASH_PAIR,
               .setup = setup, .ready = two_wait, .op = set, .op2 = clear, .check = those_go_on);
CRASH_SCENARIO(event_pair_sets, .name = "event: pair, dies setting, then another setting", .kind = CRASH_PAIR,
               .setup = setup, .ready = two_wait, .op = set, .op2 = set, .check = those_go_on);
static void set_once(void) {
  if (!T->word[BEGUN]++) set();
}
CRASH_SCENARIO(event_stalled, .name = "event: a setter is stalled, a waiter dies", .kind = CRASH_STALLED,
               .setup = setup, .ready = two_wait, .op = set, .op2 = wait, .asleep2 = set_once, .check = those_go_on);
