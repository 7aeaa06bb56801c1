// bench/twin.h: the library twice in one program, with its counters and without: two of its fast paths, each through
// its own copy.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct twin {
  void *(*make)(void);                         // by the lane that uses it; NULL: failed
  int (*lock_pairs)(void *made, uint64_t n);   // acquired, released; 0, or why not
  int (*queue_pairs)(void *made, uint64_t n);  // put, got; 0, or why not
  void (*end)(void *made);
};
extern const struct twin twin_counted, twin_uncounted;

#ifdef __cplusplus
}
#endif
