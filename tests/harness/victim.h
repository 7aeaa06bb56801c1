// tests/harness/victim.h: a process that is stepped, one machine instruction at a time, and killed at the one you
// choose.
//
// USE
//   struct victim *v = victim_start(0, prepare, operate);        // forked; stands before the first instruction of operate()
//   struct victim_trace trace = {0};
//   while (victim_record(v, &trace) < VICTIM_FINISHED) if (v->state == VICTIM_ASLEEP) wake_it();
//   victim_kill(v);
//   ... v = victim_start(0, prepare, operate); victim_run_to(v, &trace, k, wake_it); victim_kill(v); look at the
//   survivors
//
// Each step is one event: an instruction executed, or a sleep begun inside one (a futex wait), or, from there, woken. A
// trace remembers where each event left the program counter. victim_run_to() then runs at full speed to the nearest
// event whose address had not been met before (a breakpoint), and steps the rest: a sweep costs little more than its
// length times a fork, where stepping from the start for each point would cost its square. A victim that takes another
// way than its trace (a clock, a race) is stepped wherever it goes, and says so in `strayed`.
//
// What wakes it, `asleep`, finds it at the end of its sleep for as long as it takes, with no lock in hand.
//
// Whether a process sleeps or runs is read from the kernel (/proc), never guessed from time. Linux on x86-64
// and aarch64.
#pragma once

#include <stdint.h>
#include <sys/types.h>

enum victim_state {
  VICTIM_STOPPED,   // between two instructions
  VICTIM_ASLEEP,    // in a futex wait; the next step waits until it is woken
  VICTIM_FINISHED,  // operate() has returned
  VICTIM_FAULTED,   // a signal that nobody sent, or it exited: `signal` (0: exit)
  VICTIM_FREE,      // let go
};

struct victim {
  pid_t pid;
  int slot;
  enum victim_state state;
  int signal;
  uint64_t slept;       // its voluntary context switches when it was last seen asleep
  const char *strayed;  // how it left its trace, or NULL
};

struct victim_trace {  // events 1..n; pc[0]: the start
  uintptr_t *pc;       // 0: asleep
  uint32_t *anchor;    // the last event up to this one whose pc was met for the first time
  uint8_t *visit;      // how often its pc has been met: 1 the first time, 2, 3 and more
  uint8_t *last;       // whether it is met no more (victim_trace_end)
  uint32_t n, room;
  uint32_t *seen_;
};

#define VICTIMS 4             // slots: victims that exist at a time
#define VICTIM_WATCHDOG_S 20  // of a victim that neither stops nor sleeps

// Forks the victim: it runs `prepare` freely (NULL: nothing), then stops before `operate`. Dies with the caller.
struct victim *victim_start(int slot, void (*prepare)(void), void (*operate)(void));
// One event.
enum victim_state victim_step(struct victim *v);
// One event, added to the trace.
enum victim_state victim_record(struct victim *v, struct victim_trace *trace);
// To event k of the trace. `asleep` is called each time it falls asleep on the way, and has to see to its waking.
enum victim_state victim_run_to(struct victim *v, const struct victim_trace *trace, uint32_t k, void (*asleep)(void));
// Lets it go on by itself; when it has finished it sleeps (its exit would be a death, which could wake whom it forgot).
void victim_release(struct victim *v);
int victim_has_finished(const struct victim *v);
void victim_kill(struct victim *v);                 // SIGKILL, and reaped
void victim_trace_end(struct victim_trace *trace);  // all is recorded
void victim_trace_clear(struct victim_trace *trace);
#define VICTIM_NOWHERE UINTPTR_MAX  // of one that has died at its stop
uintptr_t victim_pc(const struct victim *v);

// What the kernel says of a process: 1 asleep in a futex wait; `switches`, if not NULL, its voluntary context switches,
// which tell one sleep from the next.
int process_asleep(pid_t pid, uint64_t *switches);
// 1: it sleeps, in whatever it may be; so it does not run, nor wait for a processor.
int process_rests(pid_t pid);
