// tests/crash/fixture.h: what the scenarios of all that carries messages share: where it lies, who received what, who
// sleeps.
//
// USE
//   memory = fixture_memory(BYTES);                       // setup: for an object that is placed, or
//   fixture_segment(16 << 20);                            // S, and its heap H
//   fixture_warm();                                       // all is in use; from here on no block is to be lost
//   ...
//   ledger_took(m.id);                                    // whoever receives
//   fixture_no_block_lost();                              // a survivor, when nothing is in anybody's hands
//   ledger_once();                                        // check
#pragma once

#include <errno.h>
#include <string.h>

#include "core/error.h"
#include "core/heap.h"
#include "core/proc.h"
#include "sync/eventcount.h"
#include "tests/crash/crash.h"

// ---- where it lies ----
void *fixture_memory(size_t bytes);  // shared, zeroed anew; the same for all points
extern struct shoal_segment *S;
extern struct shoal_heap *H;
void fixture_segment(uint64_t size_max);
void fixture_warm(void);
void fixture_segment_end(void);
// The calling process has used the segment and the heap before.
void fixture_use(uint64_t bytes);
uint64_t fixture_blocks(void);
void fixture_no_block_lost(void);
// What the dead left is reaped, nothing is damaged, and there are just so many blocks, all of them objects' and led to
// by something, and so many objects that are no part of the heap.
void fixture_just(uint64_t blocks, uint64_t objects, const char *when);

// ---- the ledger: T->taken by id, and these of T->word; a file's own begin at OWN_WORDS ----
enum { ENDED, SENT, NEXT, ACKNOWLEDGED, HELD, TURN, OWN_WORDS };
#define MINE 100u  // the message of the victim; others of its own, and a second victim's, follow it
void ledger_took(uint64_t id);
uint32_t ledger_taken(void);  // messages of all ids
uint32_t ledger_mine(void);   // of MINE and the two after it
void ledger_once(void);       // none was received twice

// ---- those who sleep ----
void fixture_asleep(void (*body)(int), int n);  // n of them, one after another
void fixture_gated(void (*body)(int), int n);   // body(1) waits at the gate
void fixture_open_gate(void);                   // once: they sleep behind it
void fixture_told(uint32_t n);                  // n have noted that they are told of the end
void fixture_roles_free(struct shoal_eventcount_view *view);
