// tests/crash/crash.h: what a scenario of the kill sweep is made of.
//
// USE  tests/crash/<room>_scenarios.c
//   static void setup(void) { ...make a queue... }                     // the driver, before anybody is born
//   static void op(void) { T->rc = shoal_queue_put(q, &x, SHOAL_FOREVER); }  // the victim: killed at each instruction
//   of it
//   static void check(void) {                                         // the driver, when the victim is dead
//     crash_survivor(drain);                                          // in a process of its own
//     CRASH_EXPECT(T->taken[7] <= 1, "taken %u times", T->taken[7]);
//   }
//   CRASH_SCENARIO(put_into_empty, .name = "queue: put into an empty one", .setup = setup, .op = op, .check = check);
//
// A point of a scenario is: setup; the victim is born and runs `prepare`; `ready`; the victim executes k instructions
// of
// `op`, with `asleep` called whenever it falls asleep; `stopped`; it is killed; `check`; all that live are killed;
// `cleanup`. The driver itself never calls what could wait for ever: survivors do, in processes of their own, and
// whether one waits in vain is seen in its state: all sleep in futexes, and what is awaited has not come. It never
// will: in here the library's clock is an hour fast, so nobody wakes to look once a second, and who only that look
// would save hangs.
//
// With `second`, a pair of deaths: the first victim is killed (or, PAIR_STALLED, only stopped) at k, then another is
// born, runs `second`, and is killed at each instruction of that; a stalled one goes on after it.
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "core/error.h"

enum crash_kind {
  CRASH_SINGLE,   // killed at k
  CRASH_RESUMED,  // stopped at k, `stopped` is called, goes on and has to finish
  CRASH_PAIR,     // killed at j; the second killed at k
  CRASH_STALLED,  // stopped at j; the second killed at k; the first goes on and has to finish
};

struct crash_limits;
struct crash_result;

struct crash_scenario {
  const char *name;
  enum crash_kind kind;
  void (*setup)(void);
  void (*prepare)(void);  // the victim, before it is stepped
  void (*ready)(void);    // the driver, the victim stands before `op`
  void (*op)(void);       // the victim
  void (*asleep)(void);   // the driver: it sleeps within op, and has to be woken
  void (*stopped)(void);  // the driver: it stands at the point
  void (*resumed)(void);  // the driver: it was let go on (CRASH_RESUMED, CRASH_STALLED), and may sleep for something
  void (*prepare2)(void), (*ready2)(void), (*op2)(void), (*asleep2)(void);  // the second victim
  int prepared_both;  // the second victim has run its `prepare2` before the first takes its first step
  void (*check)(void);
  void (*cleanup)(void);
  // In place of all of these, and of the points: a driver of its own, for a victim that it does not fork itself.
  void (*drive)(const struct crash_limits *limits, struct crash_result *r);
  uint32_t times;  // as many times the run's --points (0: once): what it looks for is a narrow gap
};

#define CRASH_SCENARIO(id, ...)                                                                                    \
  static const struct crash_scenario scenario_##id = {__VA_ARGS__};                                                \
  static const struct crash_scenario *const scenario_##id##_at __attribute__((used, section("crash_scenarios"))) = \
      &scenario_##id

// ---- shared by the driver, the victims and the actors; zeroed before each point ----
#define CRASH_IDS 256
struct crash_table {
  volatile uint32_t taken[CRASH_IDS];  // how many hold the message of this id as delivered
  volatile uint32_t word[32];          // a scenario's own
  volatile int32_t rc[8];
  volatile uint64_t out[8];
  volatile uint32_t gate, at_gate, past_gate;
  volatile uint32_t failing, failed;
  volatile uint32_t late;  // hours: crash_deadline_passes
  char why[256];
  uint8_t raw[4096] __attribute__((aligned(64)));  // for objects that need no segment
};
extern struct crash_table *T;

// ---- expectations: in any process; the first failure of a point is kept ----
void crash_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define CRASH_EXPECT(x, ...)           \
  do {                                 \
    if (!(x)) crash_fail(__VA_ARGS__); \
  } while (0)
// What the library answers: 0; or, of OK, no error.
#define CRASH_OK(call) CRASH_ANSWER_(call, #call, == 0)
#define OK(call) CRASH_ANSWER_(call, #call, >= 0)
#define CRASH_ANSWER_(call, text, is)                                       \
  do {                                                                      \
    int rc_ = (call);                                                       \
    CRASH_EXPECT(rc_ is, "%s answered %d (%s)", text, rc_, shoal_reason()); \
  } while (0)

// Waits until `x`, which has to come by itself. In the driver only. 1 if it came.
#define CRASH_UNTIL(x, ...)                  \
  ({                                         \
    struct crash_wait w_ = {0};              \
    while (!(x) && crash_wait_more(&w_)) {   \
    }                                        \
    if (w_.gave_up) crash_fail(__VA_ARGS__); \
    !w_.gave_up;                             \
  })
struct crash_wait {
  uint64_t sum;  // of the context switches of all, when all slept
  int64_t begun;
  uint32_t looks, gave_up;
};
int crash_wait_more(struct crash_wait *w);

// ---- other processes, numbered in the order of their birth ----
int crash_actor(void (*body)(int), int i);  // lives until the point ends: when body(i) has returned it sleeps for ever
void crash_asleep(int actor);               // waits until it sleeps in a futex
void crash_all_asleep(void);
void crash_all_asleep_or_finished(void);
void crash_kill(int actor);
void crash_stop(int actor);     // it goes no further, and has to be killed before anything is awaited
int crash_finished(int actor);  // its body has returned
int crash_all_finished(void);
// Runs `body` in a new process to its end; a failure if it cannot end.
void crash_survivor(void (*body)(void));

// A gate that actors wait at: joined, not yet at what is tested.
void crash_gate(void);           // an actor: waits until it opens
void crash_at_gate(uint32_t n);  // the driver: n have come
void crash_open_gate(void);      // lets all through, and waits until they are

// For `asleep`: the deadlines of all have passed, and who sleeps on this word wakes, as its timer would have it.
// Deadlines are to be far away: a victim comes to its sleep as slowly as it is stepped.
void crash_deadline_passes(const volatile void *word);

// ---- what the victim did ----
int crash_victim_finished(void);             // op returned
void crash_victim_asleep_or_finished(void);  // waits, once it goes on
int crash_victim_slept(void);                // `asleep` was called
uint32_t crash_point(void);                  // k
int crash_second_finished(void);
void crash_kill_victim(void);  // the first, if it lives still
// For `stopped`: it goes on to where `is` holds, an instruction at a time. 0: it comes to a sleep or its end first.
int crash_step_until(int (*is)(void));
