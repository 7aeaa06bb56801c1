// sync/semaphore. Claims: never more inside than there are permits; no permit is lost, whoever dies, wherever; nobody
// sleeps beside one. Of items that are consumed: as many are taken as were released, but for the one whose taker died.
#include <errno.h>

#include "ipc/queue/select.h"
#include "sync/semaphore.h"
#include "tests/crash/crash.h"

#define S ((struct shoal_semaphore *)T->raw)
#define PERMITS 2u

enum { INSIDE, TAKEN };  // T->word

static void setup(void) { CRASH_EXPECT(shoal_semaphore_init(S, PERMITS, PERMITS, 0) == 0, "init"); }
static void setup_one(void) { CRASH_EXPECT(shoal_semaphore_init(S, 1, 1, 0) == 0, "init"); }
static void setup_items(void) { CRASH_EXPECT(shoal_semaphore_init(S, 0, 0, SHOAL_SEMAPHORE_CONSUMED) == 0, "init"); }

static void acquire(void) {
  int rc = shoal_semaphore_acquire(S, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0, "acquire answered %d", rc);
}
static void release(void) {
  int rc = shoal_semaphore_release(S);
  CRASH_EXPECT(rc == 0, "release answered %d", rc);
}
static void acquire_release(void) {
  acquire();
  release();
}
static void acquire_two(void) {
  acquire();
  acquire();
}
static void release_two(void) { CRASH_EXPECT(shoal_semaphore_release_n(S, 2) == 0, "release_n"); }

static void taker(int i) {
  (void)i;
  acquire_release();
}
static void keeper(int i) {  // keeps it until the gate opens
  (void)i;
  acquire();
  __atomic_fetch_add(&T->word[INSIDE], 1, __ATOMIC_SEQ_CST);
  crash_gate();
  __atomic_fetch_sub(&T->word[INSIDE], 1, __ATOMIC_SEQ_CST);
  release();
}

static struct shoal_semaphore_info info(void) {
  struct shoal_semaphore_info out = {0};
  CRASH_EXPECT(shoal_semaphore_info(S, &out) == 0, "info");
  return out;
}
static void all_served(void) {
  CRASH_UNTIL(crash_all_finished(), "a taker hangs beside %u permits", info().value);
  CRASH_EXPECT(info().value == info().bound, "%u of %u permits are left", info().value, info().bound);
}
// All permits can be had at once, and no more: one who comes too many sleeps.
static void all_can_be_had(void) {
  uint32_t bound = info().bound;
  for (uint32_t i = 0; i < bound; i++) crash_actor(keeper, 0);
  if (!CRASH_UNTIL(T->word[INSIDE] == bound, "%u of %u permits can be had", T->word[INSIDE], bound)) return;
  crash_asleep(crash_actor(taker, 0));
  crash_at_gate(bound);
  crash_open_gate();
  all_served();
}
static void two_asleep(void) {
  crash_asleep(crash_actor(taker, 0));
  crash_asleep(crash_actor(taker, 1));
}

CRASH_SCENARIO(semaphore_alone, .name = "semaphore: acquire and release, alone", .setup = setup, .op = acquire_release,
               .check = all_can_be_had);
CRASH_SCENARIO(semaphore_two, .name = "semaphore: acquire two, alone", .setup = setup, .op = acquire_two,
               .check = all_can_be_had);
CRASH_SCENARIO(semaphore_release, .name = "semaphore: release, two asleep", .setup = setup_one, .prepare = acquire,
               .ready = two_asleep, .op = release, .check = all_served);
CRASH_SCENARIO(semaphore_release_two, .name = "semaphore: release two, two asleep", .setup = setup,
               .prepare = acquire_two, .ready = two_asleep, .op = release_two, .check = all_served);

// All permits are held; the victim sleeps before others, or behind them; holders leave, or die.
static void held(void) {
  setup();
  crash_actor(keeper, 0);
  crash_actor(keeper, 1);
  crash_at_gate(2);
}
static void held_and_awaited(void) {
  held();
  two_asleep();
}
static void others_then_let_go(void) {
  if (T->gate) return;
  two_asleep();
  crash_open_gate();
}
static void others_then_holders_die(void) {
  if (T->word[TAKEN]++) return;
  two_asleep();
  crash_kill(0);
  crash_kill(1);
}
static void let_go(void) {
  if (!T->gate) crash_open_gate();
}
static void served_let_go(void) {
  others_then_let_go();
  all_served();
}
static void served_holders_dead(void) {
  others_then_holders_die();
  all_served();
}
static void served_opened(void) {
  let_go();
  all_served();
}
CRASH_SCENARIO(semaphore_first, .name = "semaphore: asleep before others, holders leave", .setup = held,
               .op = acquire_release, .asleep = others_then_let_go, .check = served_let_go);
CRASH_SCENARIO(semaphore_first_dead, .name = "semaphore: asleep before others, holders die", .setup = held,
               .op = acquire_release, .asleep = others_then_holders_die, .check = served_holders_dead);
CRASH_SCENARIO(semaphore_last, .name = "semaphore: asleep behind others, holders leave", .setup = held_and_awaited,
               .op = acquire_release, .asleep = let_go, .check = served_opened);

CRASH_SCENARIO(semaphore_pair, .name = "semaphore: pair, dies releasing to sleepers, then a barger dies",
               .kind = CRASH_PAIR, .setup = setup_one, .prepare = acquire, .ready = two_asleep, .op = release,
               .op2 = acquire_release, .asleep2 = all_served, .check = all_served);
CRASH_SCENARIO(semaphore_pair_woken, .name = "semaphore: pair, the one woken dies, then a barger", .kind = CRASH_PAIR,
               .setup = held, .op = acquire_release, .asleep = others_then_let_go, .stopped = others_then_let_go,
               .op2 = acquire_release, .asleep2 = let_go, .check = all_served);
CRASH_SCENARIO(semaphore_stalled, .name = "semaphore: one is stalled taking, another dies", .kind = CRASH_STALLED,
               .setup = setup, .op = acquire_release, .op2 = acquire_release, .check = all_can_be_had);

// In a select.
static void select_release(void) {
  struct shoal_case c[] = {shoal_on_acquire(S), shoal_on_nothing()};
  int k = shoal_select(c, 2, SHOAL_FOREVER);
  CRASH_EXPECT(k == 0 && c[0].result == 0, "select answered %d", k);
  if (k == 0) release();
}
CRASH_SCENARIO(semaphore_select, .name = "semaphore: select, acquire and release, alone", .setup = setup,
               .op = select_release, .check = all_can_be_had);
CRASH_SCENARIO(semaphore_select_first, .name = "semaphore: select, asleep before others, holders leave", .setup = held,
               .op = select_release, .asleep = others_then_let_go, .check = served_let_go);
CRASH_SCENARIO(semaphore_select_first_dead, .name = "semaphore: select, asleep before others, holders die",
               .setup = held, .op = select_release, .asleep = others_then_holders_die, .check = served_holders_dead);
CRASH_SCENARIO(semaphore_select_last, .name = "semaphore: select, asleep behind others, holders leave",
               .setup = held_and_awaited, .op = select_release, .asleep = let_go, .check = served_opened);

// ---- items ----

static void consumer(int i) {
  (void)i;
  acquire();
  __atomic_fetch_add(&T->word[TAKEN], 1, __ATOMIC_SEQ_CST);
}
static void two_consumers(void) {
  crash_asleep(crash_actor(consumer, 0));
  crash_asleep(crash_actor(consumer, 1));
}
static void none_beside_an_item(void) {
  CRASH_UNTIL(crash_all_finished() || !S->permits.v_, "a consumer sleeps beside %u items", S->permits.v_);
}
static void items_released(void) {
  none_beside_an_item();
  if (!crash_victim_finished()) return;
  CRASH_UNTIL(T->word[TAKEN] + S->permits.v_ == 2, "%u taken, %u left of two", T->word[TAKEN], S->permits.v_);
}
static void others_then_an_item(void) {  // the victim was asleep first: the wake is for it
  if (T->word[INSIDE]++) return;
  two_consumers();
  release();
}
static void item_taken(void) {
  others_then_an_item();
  none_beside_an_item();
}
CRASH_SCENARIO(items_release, .name = "items: release two, two asleep", .setup = setup_items, .ready = two_consumers,
               .op = release_two, .check = items_released);
CRASH_SCENARIO(items_first, .name = "items: acquire, asleep before others", .setup = setup_items, .op = acquire,
               .asleep = others_then_an_item, .check = item_taken);
