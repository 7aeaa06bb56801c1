// tests/crash/soak_executor.h: the ledger of the room of executors, and its callers.
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "core/segment.h"

#define PLACES (1u << 22)
#define ERAS 1024u
#define MAIL 8u
#define RETRIES 62u

enum { DONE = 1, FAILED, CANCELLED };  // record.end
// record.flags: submit returned; a cancel did, and so did one by force; it fails; it is that of the record before it
enum { ACKED = 1, UNBEGUN = 2, FORCED = 4, FAILING = 8, SECOND = 16 };
enum { RUNNING, ORDERLY, EMPTIED, TERMINATED };  // era.fate

struct table {
  struct record {
    volatile uint8_t begun, ended, end, flags;
    volatile uint32_t era;
  } record[PLACES];
  struct era {
    volatile uint32_t fate, retries, limited, deaths;
  } era[ERAS];
  volatile uint64_t next, done, twice, restarts;
  volatile uint64_t mail[MAIL];  // era:12 | a future's token, whose generation is below 2^20
  volatile uint32_t now, closing, closed;
};
static inline void name_of(uint32_t era, char *out) { snprintf(out, 32, "executor %u", era); }

void callers_begin(struct table *shared, struct shoal_segment *segment);  // the driver, before there are any
void callers_work(uint32_t id, int seat);                                 // one of them
