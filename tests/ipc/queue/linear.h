// tests/ipc/queue/linear.h: whether what several did to a queue at once can have been done one after the other.
//
// A history is a list of operations, each with when it was called and when it returned. It is linear if there is an
// order of them, in which none comes before one that had returned when it was called, and in which each answers as the
// queue of that kind would. The search: always one of those that may be next; what was seen to lead nowhere is not
// tried again (Wing and Gong, with Lowe's memory).
#pragma once

#include <stdint.h>

// PRIORITY: by value >> 8, among equals the first put. RING: FIFO, but that a get may answer empty while the put of the
// oldest message has not returned, a put full while the get has not whose place it needs: they hold up what was done
// behind them.
enum linear_kind { LINEAR_FIFO, LINEAR_LIFO, LINEAR_PRIORITY, LINEAR_RING };
enum { LINEAR_EMPTY = UINT32_MAX };  // what a get answers that finds nothing

struct linear_op {
  uint64_t called, returned;  // by one clock
  uint32_t is_get;
  uint32_t value;  // put or got; never 0, never put twice
};
#define LINEAR_OPS 64

int linear(enum linear_kind kind, uint32_t capacity, const struct linear_op *ops, unsigned n);
