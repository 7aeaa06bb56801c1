// tests/crash/soak_ledger.h: which messages were sent, and what became of each: a byte a message, written by all
// processes.
//
// A sender takes a place, sends it with its check, and notes that it was sent. A receiver has the message's head in the
// hand of its seat from before it is done with it until that is noted: whoever dies in between has it in its hand. In
// the end each that was sent was done once, or is in the hand of one that was killed, or was buried (dead letters).
#pragma once

#include <stdint.h>

#include "core/segment.h"
#include "tests/crash/soak.h"

#define LEDGER_PLACES (1u << 23)
#define LEDGER_HAND_BYTES (256u << 10)  // of a seat: a message may be received into it

struct ledger_head {  // of a message
  uint32_t place, check;
};
struct ledger {
  uint8_t *place;
  char *hands;
  struct ledger_counts {
    volatile uint64_t next, done, twice, blind;
    volatile uint32_t seat_blind[SOAK_WORKERS];
  } * counts;
};

void ledger_begin(struct ledger *l);               // the driver, before there are workers
struct ledger_head ledger_next(struct ledger *l);  // place LEDGER_PLACES: there is none any more
void ledger_sent(struct ledger *l, uint32_t place);
int ledger_is_full(const struct ledger *l);
// Whether it is a head that was sent: a fault, if not.
int ledger_sound(struct ledger *l, struct ledger_head head);
struct ledger_head *ledger_hand(struct ledger *l, int seat);
void ledger_hold(struct ledger *l, int seat, struct ledger_head head);
void ledger_drop(struct ledger *l, int seat);  // not done with
void ledger_done(struct ledger *l, int seat);  // with what is in its hand
void ledger_buried(struct ledger *l, uint32_t place);
// From here on it may die with one message that nobody knows of; until it is told again.
void ledger_blind(struct ledger *l, int seat, int blind);
// Whether it was done, or is in a hand: then nobody waits for it.
int ledger_is_over(const struct ledger *l, uint32_t place);
void ledger_bury(struct ledger *l, int seat);  // the driver: its worker is dead
// The driver, when all have ended: those that were sent and are nowhere.
uint64_t ledger_missing(struct ledger *l);
void ledger_settle(struct ledger *l);  // that is so many lost; and how many were done, and done twice
// All have ended, and all queues are empty: no block of the heap may be anybody's.
void ledger_expect_no_block(struct shoal_segment *seg);
