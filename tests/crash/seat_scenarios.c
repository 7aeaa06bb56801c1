// sync/seat and sync/gate. Claims: at any instruction a seat is empty, or its sitter's, or marked; a marked one is
// emptied by whoever comes or sleeps, also if that one dies over it; no seat is lost.
#include <errno.h>

#include "sync/gate.h"
#include "sync/seat.h"
#include "tests/crash/crash.h"

#define SEATS 3u
static struct object {
  shoal_atomic32 gate;
  struct shoal_seats seats;
  struct shoal_seat table[SEATS];
} * object(void) {
  return (struct object *)T->raw;
}
#define O object()

enum { UNDONE, SITTER_DEAD };  // T->word: what dead sitters had written has been undone; ..

static void setup(void) { CRASH_EXPECT(shoal_seats_init_(&O->seats, SEATS) == 0, "init"); }

static struct shoal_seat *mine(void) { return shoal_seat_mine_(shoal_self_(), &O->seats); }
static void undo(struct shoal_seat *seat, void *arg) {
  (void)arg;
  if (!seat->record.v_) return;  // died sitting, and had not written yet, or its heir had undone it
  __atomic_fetch_add(&T->word[UNDONE], 1, __ATOMIC_RELAXED);
  seat->record.v_ = 0;
}
static int reap(void) { return shoal_seat_reap_(&O->seats, undo, NULL); }

static void sit(void) {
  struct shoal_seat *seat = mine();
  CRASH_EXPECT(seat != NULL, "no seat");
  shoal_seat_sit_(shoal_self_(), seat);
  seat->record.v_ = 1;
}
static void rise(void) {
  struct shoal_seat *seat = mine();
  seat->record.v_ = 0;
  shoal_seat_rise_(shoal_self_(), seat);
}
static void sit_and_rise(void) {
  sit();
  rise();
}
static void sit_and_leave(void) {
  sit_and_rise();
  shoal_seat_leave_(&O->seats, mine());
}
static void leave_sitting(void) {
  struct shoal_seat *seat = mine();
  seat->record.v_ = 0;
  shoal_seat_leave_(&O->seats, seat);
}
static void reap_once(void) { reap(); }

// All seats can be had by the living.
static void sitter(int i) {
  (void)i;
  struct shoal_seat *seat = mine();
  if (!seat && reap()) seat = mine();
  CRASH_EXPECT(seat && !seat->record.v_ && !seat->live.word.v_, "a seat is lost, or not in order");
  if (seat) shoal_seat_sit_(shoal_self_(), seat);
}
static void all_can_sit(void) {
  for (uint32_t i = 0; i < SEATS; i++) {
    int actor = crash_actor(sitter, 0);
    CRASH_UNTIL(crash_finished(actor), "a survivor hangs");
  }
  CRASH_EXPECT(shoal_seats_sitting_(&O->seats) == SEATS, "%u sit", shoal_seats_sitting_(&O->seats));
}

CRASH_SCENARIO(seat_alone, .name = "seat: take, sit and rise", .setup = setup, .op = sit_and_rise,
               .check = all_can_sit);
CRASH_SCENARIO(seat_leave, .name = "seat: take, sit and leave", .setup = setup, .op = sit_and_leave,
               .check = all_can_sit);

// Sleepers that watch all seats, and end when somebody's record has been undone.
static int attempt(void *arg) {
  (void)arg;
  return T->word[UNDONE] ? 0 : -EAGAIN;
}
static int watch(void *arg, struct shoal_watch_ *w) {
  (void)arg;
  if (reap()) {
    shoal_gate_ring_(&O->gate);
    return 1;
  }
  // STATE of sync/gate.h: who has undone it rings, and then arms the gate itself: the word is as it was.
  if (w) shoal_watch_add_(w, (shoal_atomic32 *)&T->word[UNDONE], 0);
  for (uint32_t i = 0; w && i < SEATS; i++) {
    struct shoal_seat *seat = &O->table[i];
    shoal_watch_add_(w, &seat->live.word, shoal_seat_word_(seat));
  }
  return 0;
}
static void watcher(int i) {
  static const struct shoal_gate_ops_ ops = {attempt, watch};
  struct shoal_thread_ *t = shoal_self_();
  (void)i;
  void *pending = shoal_pending_set_(t, &O->gate);
  int rc = shoal_gate_wait_(&O->gate, &ops, NULL, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0, "the wait answered %d", rc);
  shoal_pending_restore_(t, pending);
}
static void two_watch(void) {
  crash_asleep(crash_actor(watcher, 0));
  crash_asleep(crash_actor(watcher, 1));
}
static void setup_watched(void) {
  setup();
  two_watch();
}
static int written(void) {
  for (uint32_t i = 0; i < SEATS; i++)
    if (O->table[i].record.v_) return 1;
  return T->word[UNDONE] != 0;
}
// What its owner died over is undone by those who slept. Whoever had not written, or had undone it itself, owes
// nothing.
static void watched(void) {
  if (!written()) return;
  CRASH_UNTIL(crash_all_finished(), "a watcher sleeps beside a dead seat");
  for (uint32_t i = 0; i < SEATS; i++)
    CRASH_EXPECT(!O->table[i].live.word.v_ && !O->table[i].record.v_, "seat %u was left as it was", i);
}
CRASH_SCENARIO(seat_watched, .name = "seat: sit, two watch", .setup = setup_watched, .op = sit, .check = watched);
CRASH_SCENARIO(seat_watched_leave, .name = "seat: leave it sitting, two watch", .setup = setup, .prepare = sit,
               .ready = two_watch, .op = leave_sitting, .check = watched);

// A dead one's seat: the victim is its heir.
static void one_sits(int i) {
  (void)i;
  sit();
  crash_gate();
}
static void one_died_sitting(void) {
  setup();
  crash_actor(one_sits, 0);
  crash_at_gate(1);
  crash_kill(0);
}
static void undone_and_all_can_sit(void) {
  crash_survivor(reap_once);
  CRASH_EXPECT(T->word[UNDONE] == 1 || (T->word[UNDONE] == 2 && !crash_victim_finished()), "undone %u times",
               T->word[UNDONE]);
  all_can_sit();
}
CRASH_SCENARIO(seat_reap, .name = "seat: reap", .setup = one_died_sitting, .op = reap_once,
               .check = undone_and_all_can_sit);

// One dies sitting, one of those who watched it is woken, empties its seat, and dies: the other goes on. The second
// victim takes the place of the first watcher: what was told to it is told to nobody else.
static void watch_it(void) { watcher(0); }
static void one_more_watches(void) { crash_asleep(crash_actor(watcher, 1)); }
static void one_sits_at_the_gate(void) {
  setup();
  crash_actor(one_sits, 0);
  crash_at_gate(1);
}
static void the_sitter_dies(void) {
  if (T->word[SITTER_DEAD]++) return;  // it looked before it was all done, and has slept again
  one_more_watches();
  crash_kill(0);
}
static void other_watcher_ends(void) {
  if (!T->word[SITTER_DEAD]) the_sitter_dies();
  watched();
}
CRASH_SCENARIO(seat_heir, .name = "seat: asleep over one who dies, before another", .setup = one_sits_at_the_gate,
               .op = watch_it, .asleep = the_sitter_dies, .check = other_watcher_ends);

CRASH_SCENARIO(seat_pair, .name = "seat: pair, dies sitting, then its heir", .kind = CRASH_PAIR, .setup = setup_watched,
               .op = sit, .op2 = reap_once, .check = watched);
CRASH_SCENARIO(seat_pair_heirs, .name = "seat: pair, an heir dies, then the next", .kind = CRASH_PAIR,
               .setup = one_died_sitting, .op = reap_once, .op2 = reap_once, .check = undone_and_all_can_sit);
CRASH_SCENARIO(seat_stalled, .name = "seat: an heir is stalled, another dies", .kind = CRASH_STALLED,
               .setup = one_died_sitting, .op = reap_once, .op2 = sit_and_leave, .check = all_can_sit);
