// core/backoff.h: how long to spin before sleeping.
//
// A wake-up costs as much as some hundred messages, where an idle processor halts as much as a thousand. A waiter spins
// for about that long, no longer, and learns from what it gets: a spin that paid lengthens the next one, a spin that
// did not shortens it. A heuristic: any budget is correct.
#pragma once

#include <ck_pr.h>

#include "core/base.h"

#define SHOAL_SPIN_MAX 200u   // looks, each with one pause between
#define SHOAL_SPIN_LONG 800u  // of a stream's two ends: one finds nothing because the other was held up for a moment
#define SHOAL_SPIN_MIN 4u

SHOAL_INLINE void shoal_pause(void) { ck_pr_stall(); }

SHOAL_INLINE uint32_t shoal_spin_paid(uint32_t budget, uint32_t max) {
  budget += 1 + budget / 8;
  return budget < max ? budget : max;
}
SHOAL_INLINE uint32_t shoal_spin_failed(uint32_t budget) {
  budget -= budget / 4;
  return budget > SHOAL_SPIN_MIN ? budget : SHOAL_SPIN_MIN;
}
