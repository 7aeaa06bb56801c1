// tests/crash/soak.h: processes that work, are killed at random moments and replaced; and a ledger of what they did.
//
// A room is one kind of work. Its round: begin; workers are born; again and again one or a few are killed and others
// born in their places, for some seconds; end, which settles the accounts. Everything random follows from the seed, but
// for when the scheduler lets whom run.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "core/deadline.h"

struct soak_room {
  const char *name;
  int workers;                          // at a time
  void (*begin)(void);                  // the driver
  void (*work)(uint32_t id, int seat);  // a worker, with an id of its own; it may return: then it waits to be killed
  uint64_t (*progress)(void);           // grows while the work goes on
  int (*full)(void);                    // the ledger is: the round ends. May be NULL
  void (*end)(void);                    // the driver; workers live still
  // NULL, or: after a kill, before others come who might take what there is, or wake who sleeps: the survivors have it.
  // `seen`: the progress by then; `asleep`: all of them sleep
  int (*settled)(uint64_t seen, int asleep);
  void (*buried)(int seat);  // its worker is dead, nobody has its seat yet. May be NULL
};
extern const struct soak_room soak_queue, soak_spsc, soak_ordered, soak_lock, soak_barrier, soak_rwlock, soak_directory,
    soak_rlock, soak_condition, soak_semaphore, soak_items, soak_event, soak_once, soak_seqlock, soak_bytes,
    soak_packed, soak_data, soak_pipe, soak_topic, soak_policy, soak_growing, soak_executor, soak_starter, soak_pool,
    soak_supervisor, soak_mixed, soak_lines;
void soak_closed_loop(double seconds);  // a driver of its own

#define SOAK_WORKERS 16
extern volatile uint32_t *soak_doomed;  // shared: seats whose workers are about to die, or dead and not buried
#define SOAK_IDS 50000u                 // of one round

// ---- the driver's ----
extern pid_t soak_pid[SOAK_WORKERS];  // by seat
extern uint32_t soak_id[SOAK_WORKERS];
struct soak_counts {
  uint64_t done;  // messages, critical sections, ...
  uint64_t kills, lost, doubled, stalled, faults, rechecks;
  double longest;  // seconds without progress
};
extern struct soak_counts soak;  // of the room

void *soak_shared(uint64_t size);
uint32_t soak_random(void);  // in a worker: of its own
uint32_t soak_below(uint32_t n);
int soak_moved(uint64_t seen, int asleep);  // a room's `settled`: the work goes on, at least
shoal_deadline soak_deadline(void);         // mostly for ever
int soak_gave_up(int rc);                   // -EAGAIN, -ETIMEDOUT
void soak_linger(void);                     // sometimes
// What it has given away another is to have: until the progress is not `seen` any more. Counts as asleep meanwhile.
void soak_await_other(int seat, uint64_t seen);
void soak_kill(int seat);
int soak_ends(int seat, double seconds);  // it exits by itself, status 0
// Whether -EPIPE is that of the close: told to a call that began after `closed` was seen. Another end, that of
// producers whose heirs are to come, is taken for it otherwise. The driver closes first, then sets it.
int soak_is_the_end(int rc, uint64_t closed);
// All workers do, after a close; who does not counts as stalled. The first `n` are of one kind, the others of another.
void soak_all_end(int workers, int n, const char *kind, const char *other);
int soak_wait(pid_t pid, int *status);  // waitpid, for ten seconds: 0: it has not ended. -1: any child
void soak_adopt(void);                  // what nobody else waits for comes to us
void soak_no_orphan(void);              // a fault, if a child is left, or does not end; then no more do
pid_t soak_parent(pid_t pid);           // 0: it has ended
int64_t soak_now_ns(void);
void soak_pause_us(uint32_t us);
pid_t soak_fork(void);  // dies with the driver

// A fault, with its reason: counted, printed. In any process.
void soak_fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define SOAK_EXPECT(x, ...)            \
  do {                                 \
    if (!(x)) soak_fault(__VA_ARGS__); \
  } while (0)

// Whether all of them sleep in futexes: 0, or a number that tells this moment's sleeps from others.
uint64_t soak_all_asleep(const pid_t *pid, int n);
