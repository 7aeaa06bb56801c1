// tests/crash/soak_event.c: a turn goes round among workers who are told of it by events: one for all, or one for each.
// Only who has the turn clears its event, so a turn that is there beside a worker asleep is one it was not told of.
#include <errno.h>
#include <string.h>

#include "sync/event.h"
#include "tests/crash/soak.h"

#define WORKERS 6
static struct ring {
  struct shoal_event events[WORKERS];
  volatile uint64_t turn;
  volatile uint64_t last[WORKERS];     // turn of the seat, and one more
  volatile uint32_t passing[WORKERS];  // the turn is another's, and perhaps it was not told
} * ring;
static int shared_one;

static struct shoal_event *event_of(uint64_t turn) { return &ring->events[shared_one ? 0 : turn % WORKERS]; }

static void begin(void) {
  if (!ring) ring = soak_shared(sizeof *ring);
  memset((void *)ring, 0, sizeof *ring);
  shared_one = (int)soak_below(2);
  for (int i = 0; i < WORKERS; i++) {
    int rc = shoal_event_init(&ring->events[i]);
    SOAK_EXPECT(rc == 0, "init: %d", rc);
  }
}
static void await_turn(int seat) {
  while (ring->turn % WORKERS != (uint64_t)seat) {
    int rc = shoal_event_wait(event_of((uint64_t)seat), soak_deadline());
    SOAK_EXPECT(rc == 0 || soak_gave_up(rc), "wait: %d", rc);
    if (rc || ring->turn % WORKERS == (uint64_t)seat) continue;
    if (shared_one) soak_pause_us(5);                  // who has the turn has not cleared it yet
    else shoal_event_clear(event_of((uint64_t)seat));  // left of a dead one's
  }
}
static void tell(int seat, uint64_t turn) {
  int rc = shoal_event_set(event_of(turn));
  SOAK_EXPECT(rc == 0, "set: %d", rc);
  ring->passing[seat] = 0;
}
static void pass(int seat, uint64_t turn) {
  uint64_t last = ring->last[seat];
  SOAK_EXPECT(!last || turn + 1 == last || turn + 1 == last + WORKERS, "turn %lu after %lu", turn, last - 1);
  ring->last[seat] = turn + 1;
  int rc = shoal_event_clear(event_of(turn));
  SOAK_EXPECT(rc == 0, "clear: %d", rc);
  if (soak_below(2)) soak_pause_us(soak_below(60));  // the others fall asleep
  SOAK_EXPECT(ring->turn == turn, "two have the turn");
  ring->passing[seat] = 1;
  ring->turn = turn + 1;
  tell(seat, turn + 1);
}
static void work(uint32_t id, int seat) {
  (void)id;
  if (ring->passing[seat]) tell(seat, ring->turn);
  for (;;) {
    await_turn(seat);
    pass(seat, ring->turn);
  }
}
static uint64_t progress(void) { return ring->turn; }

// Whose turn it is is dead, or its predecessor, before it has told: others have to come.
static int settled(uint64_t seen, int asleep) {
  int told = shoal_event_is_set(event_of(ring->turn));
  (void)asleep;
  for (int seat = 0; seat < WORKERS; seat++)
    if (!soak_pid[seat] && ((ring->passing[seat] && !told) || ring->turn % WORKERS == (uint64_t)seat)) return 1;
  return ring->turn != seen;
}
static void end(void) {
  for (int seat = 0; seat < WORKERS; seat++) soak_kill(seat);
  for (int seat = 0; seat < WORKERS; seat++) {
    uint64_t last = ring->last[seat], turns = ring->turn;
    uint64_t own = turns / WORKERS * WORKERS + (uint64_t)seat, before = own < WORKERS ? 0 : own + 1 - WORKERS;
    SOAK_EXPECT(last == own + 1 || (own >= turns && last == before), "seat %d had the turn %ld last, of %lu", seat,
                (long)last - 1, turns);
    int rc = shoal_event_destroy(&ring->events[seat]);
    SOAK_EXPECT(rc == 0, "destroy: %d", rc);
  }
  soak.done += ring->turn;
}
const struct soak_room soak_event = {"event", WORKERS, begin, work, progress, NULL, end, settled, NULL};
