// tests/crash/engine.h: runs one scenario in the calling process, which is its driver.
#pragma once

#include "tests/crash/crash.h"

struct crash_limits {
  uint32_t points;  // of one scenario, about
  int all, stop;    // every point; stop at the first failure
  int verbose;      // every failure on stderr
};
struct crash_result {  // shared with whoever started the driver
  // Places before and behind the instructions of the first victim and, one after another, of the second: how many there
  // are, and at how many of them it was killed (or stopped).
  uint32_t places[2], at[2];
  uint32_t points, failures, strayed, done;
  double seconds;
  char why[320];
};
void crash_sweep(const struct crash_scenario *s, const struct crash_limits *limits, struct crash_result *r);
void crash_abort(const char *what);
