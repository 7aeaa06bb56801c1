// crew.h: the workers: units go to them, results come back, each once.
//
//     walker --units--> workers --results--> walker
//
// A worker that is killed leaves its unit to another, and if its result had been sent the other sends it again: the
// numbers tell. What the unit is about is done by then and not touched again (unit.h).
#pragma once

#include "core/deadline.h"
#include "examples/copy_tree/unit.h"
#include "ipc/queue/queue.h"
#include "ipc/work/pool.h"

struct crew {
  const struct job *job;
  struct figures *f;
  struct shoal_queue *units, *results;
  struct shoal_pool *pool;
  uint64_t sent, received;
  unsigned char *seen;  // one for each unit
  uint64_t seen_room;
  shoal_deadline next_tend, next_kill;
  int (*take)(void *arg, const struct result *r);  // each result once; 0, or <0 an end to it
  void (*tick)(void *arg);                         // now and then
  void *arg;
};

// 0, or <0: why is said.
int crew_start(struct crew *c, struct shoal_segment *seg);
int crew_send(struct crew *c, const struct unit *u);  // waits for room, and takes results meanwhile
int crew_settle(struct crew *c);                      // until the results of all units have come
int crew_stop(struct crew *c);                        // until all workers have ended
void crew_free(struct crew *c);                       // ends what still runs
