// The count by many processes: three queues, two pools, and at-least-once made exactly once by the numbers of the
// units.
//
//     walker --units--> readers --blocks--> workers --results--> walker, who merges
//
// A reader or worker that is killed leaves what it held to another: its unit or block comes again, and in the end one
// result more than there are units. The numbers tell. Nothing is copied: a file is read into an element of `blocks`,
// counted there, and the counts are written into an element of `results`. The queues are bounded, and so is the memory.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "examples/wordcount/job.h"
#include "examples/wordcount/progress.h"
#include "examples/wordcount/read.h"
#include "ipc/queue/queue.h"
#include "ipc/work/pool.h"
#include "ipc/work/task.h"

#define WAIT_MS 5          // the main loop sleeps no longer, and looks after the pools so often
#define CHAOS_EVERY_MS 50  // --chaos: a kill
#define SPARE 16           // participants beside readers and workers: this process, and dead ones not yet reaped

struct result {
  uint64_t unit, read_ns, count_ns;
  uint32_t files, skipped, bytes, lines;
  uint32_t size;  // of pairs
  char pairs[BLOCK_TEXT];
};

// What readers and workers have from the fork.
static struct shoal_queue *units, *blocks, *results;
static struct counts *table;  // each worker its own

// ---- in the readers and the workers ----

SHOAL_TASK(read_files, struct unit) {
  struct shoal_loan block;
  int rc = shoal_queue_reserve(blocks, &block, SHOAL_FOREVER);
  if (rc) return rc;
  read_unit(arg, block.data);
  return shoal_queue_commit(blocks, &block);
}

static int make_table(void *arg, unsigned worker) {
  (void)arg, (void)worker;
  table = counts_create();
  return 0;
}

SHOAL_TASK(count_words, struct block) {
  struct shoal_loan loan;
  uint64_t began = cpu_ns();
  counts_clear(table);
  counts_add_text(table, arg->text, arg->size);
  uint32_t lines = (uint32_t)count_lines(arg->text, arg->size);
  uint64_t counted = cpu_ns();
  int rc = shoal_queue_reserve(results, &loan, SHOAL_FOREVER);
  if (rc) return rc;
  uint64_t reserved = cpu_ns();
  struct result *r = loan.data;
  r->unit = arg->unit;
  r->files = arg->files;
  r->skipped = arg->skipped;
  r->bytes = arg->bytes;
  r->lines = lines;
  r->read_ns = arg->read_ns;
  r->size = (uint32_t)counts_encode(table, r->pairs);
  r->count_ns = counted - began + cpu_ns() - reserved;
  return shoal_queue_commit(results, &loan);
}

// ---- in the main process ----

struct run {
  const struct job *job;
  struct counts *counts;
  struct figures *f;
  struct shoal_segment *seg;
  struct shoal_pool *readers, *workers;
  struct walk *walk;    // NULL: at its end
  uint64_t units;       // of the walk so far
  unsigned char *seen;  // one for each unit number
  uint64_t seen_room;
  shoal_deadline next_kill, next_tend;
  struct progress progress;
  enum { FEEDING, READERS_END, WORKERS_END, DRAINING, DONE } phase;
};

static int say(int rc, const char *what) {
  if (rc < 0) fprintf(stderr, "wordcount: %s: %s: %s\n", what, shoal_strerror(rc), shoal_reason());
  return rc;
}

// Writes one more unit, if there is room for one, straight into the queue. 1, 0, or an error.
static int feed(struct run *r) {
  struct shoal_loan loan;
  if (!r->walk) return 0;
  int rc = shoal_queue_reserve(units, &loan, SHOAL_TRY);
  if (rc) return rc == -EAGAIN ? 0 : say(rc, "units");
  uint64_t began = cpu_ns();
  int more = walk_next(r->walk, loan.data);
  r->f->walked = walk_bytes(r->walk);
  r->f->walk_ns += cpu_ns() - began;
  if (!more) {
    walk_close(r->walk);
    r->walk = NULL;
    return say(shoal_queue_cancel(units, &loan), "units");
  }
  r->units++;
  rc = say(shoal_queue_commit(units, &loan), "units");
  return rc ? rc : 1;
}

// Whether this unit is merged for the first time.
static int first_time(struct run *r, uint64_t unit) {
  if (unit >= r->seen_room) {
    uint64_t room = unit * 2 + 1024;
    unsigned char *seen = realloc(r->seen, room);
    if (!seen) return say(-ENOMEM, "units");
    memset(seen + r->seen_room, 0, room - r->seen_room);
    r->seen = seen;
    r->seen_room = room;
  }
  return r->seen[unit] ? 0 : (r->seen[unit] = 1);
}

static int merge(struct run *r, const struct result *result) {
  struct figures *f = r->f;
  int first = first_time(r, result->unit);
  if (first < 0) return first;
  if (!first) {
    f->redelivered++;
    return 0;
  }
  uint64_t began = cpu_ns();
  counts_add_encoded(r->counts, result->pairs, result->size);
  f->merge_ns += cpu_ns() - began;
  f->read_ns += result->read_ns;
  f->count_ns += result->count_ns;
  f->files += result->files;
  f->skipped += result->skipped;
  f->bytes += result->bytes;
  f->lines += result->lines;
  return 0;
}

static int drain(struct run *r, shoal_deadline deadline) {
  struct shoal_loan loan;
  int rc = shoal_queue_receive(results, &loan, deadline);
  if (rc == -EPIPE) r->phase = DONE;
  if (rc) return rc == -EAGAIN || rc == -ETIMEDOUT || rc == -EPIPE ? 0 : say(rc, "results");
  rc = merge(r, loan.data);
  return rc ? rc : say(shoal_queue_release(results, &loan), "results");
}

// Replaces the dead; a task that failed would be missing in the count.
static int tend_pool(struct shoal_pool *pool, const char *what) {
  struct shoal_pool_info info;
  int rc = shoal_pool_info(pool, &info);
  if (rc || info.broken) return say(rc ? rc : info.broken, what);
  const struct shoal_failure *f = &info.last;
  if (info.failed) fprintf(stderr, "wordcount: %s %u: %s: %s\n", what, f->worker, shoal_strerror(f->code), f->message);
  return info.failed ? -ECANCELED : 0;
}

static void look(struct run *r) {
  struct shoal_queue_info b, c;
  if (shoal_queue_info(blocks, &b) || shoal_queue_info(results, &c)) return;
  r->f->blocks_depth += b.size;
  r->f->results_depth += c.size;
  r->f->looks++;
  if (progress_due(&r->progress)) progress_show(&r->progress, r->f, b.size);
}

static int tend(struct run *r) {
  if (!shoal_deadline_passed(r->next_tend)) return 0;
  r->next_tend = shoal_after_ms(WAIT_MS);
  look(r);
  int rc = tend_pool(r->readers, "reader");
  return rc ? rc : tend_pool(r->workers, "worker");
}

static void chaos(struct run *r) {
  struct shoal_worker_info info;
  if (!r->job->chaos || r->phase >= DRAINING || !shoal_deadline_passed(r->next_kill)) return;
  r->next_kill = shoal_after_ms(CHAOS_EVERY_MS);
  unsigned victim = (unsigned)random() % (r->job->workers + r->job->producers);
  int worker = victim < r->job->workers;
  shoal_pool_worker(worker ? r->workers : r->readers, worker ? victim : victim - r->job->workers, &info);
  if (info.pid > 0 && kill(info.pid, SIGKILL) == 0) r->f->kills++;
}

// All units are fed: the readers end when they have read them, then the workers when they have counted them, then this
// loop when it has merged them. Each pool replaces those who die before.
static int advance(struct run *r) {
  int rc = 0;
  if (r->phase == FEEDING && !r->walk) {
    rc = shoal_pool_close(r->readers);
    r->phase = READERS_END;
  }
  if (!rc && r->phase == READERS_END && (rc = shoal_pool_join(r->readers, SHOAL_TRY)) == 0) {
    rc = shoal_pool_close(r->workers);
    r->phase = WORKERS_END;
  }
  if (!rc && r->phase == WORKERS_END && (rc = shoal_pool_join(r->workers, SHOAL_TRY)) == 0) {
    rc = shoal_queue_close(results);
    r->phase = DRAINING;
  }
  return rc == -EAGAIN ? 0 : say(rc, "end");
}

static int loop(struct run *r) {
  int rc = 0;
  while (rc >= 0 && r->phase != DONE && !interrupted) {
    int fed = rc = feed(r);
    if (rc >= 0) rc = drain(r, fed ? SHOAL_TRY : shoal_after_ms(r->phase == FEEDING ? WAIT_MS : 1));
    if (rc >= 0) rc = tend(r);
    if (rc >= 0) rc = advance(r);
    chaos(r);
  }
  return rc < 0 ? rc : 0;
}

static int queue(struct run *r, const char *name, uint32_t capacity, uint32_t element_size, struct shoal_queue **out) {
  struct shoal_queue_options o = {.capacity = capacity, .element_size = element_size};
  return say(shoal_queue_create(r->seg, name, &o, out), name);
}

static int pool(struct run *r, const char *task, struct shoal_queue *from, unsigned n, int (*init)(void *, unsigned),
                struct shoal_pool **out) {
  struct shoal_pool_options o = {.task = task, .queue = from, .workers = n, .init = init};
  return say(shoal_pool_create(r->seg, &o, out), task);
}

// Readers and workers may all be dead at a time. The queues stay open for those who come: this process is their
// producer too.
static int set_up(struct run *r) {
  const struct job *job = r->job;
  const struct shoal_segment_options small = {.size = UINT64_C(1) << 20,  // it grows by what is created in it
                                              .participants = job->workers + job->producers + SPARE,
                                              .objects = 16};
  r->walk = walk_open(job->paths, job->limit);
  if (!r->walk) return say(-ENOMEM, job->paths[0]);
  int rc = say(shoal_segment_create(NULL, &small, &r->seg), "segment");
  if (!rc) rc = queue(r, "units", 32, sizeof(struct unit), &units);
  if (!rc) rc = queue(r, "blocks", job->workers + job->producers + 1, sizeof(struct block), &blocks);
  if (!rc) rc = queue(r, "results", job->workers + 1, sizeof(struct result), &results);
  if (!rc) rc = say(shoal_queue_join(blocks, SHOAL_PRODUCER), "blocks");
  if (!rc) rc = say(shoal_queue_join(results, SHOAL_PRODUCER), "results");
  if (!rc) rc = say(shoal_queue_join(results, SHOAL_CONSUMER), "results");
  if (!rc) rc = pool(r, "read_files", units, job->producers, NULL, &r->readers);
  if (!rc) rc = pool(r, "count_words", blocks, job->workers, make_table, &r->workers);
  return rc;
}

static void tear_down(struct run *r) {
  struct shoal_pool_info info;
  struct shoal_pool *pools[] = {r->readers, r->workers};
  struct shoal_queue **queues[] = {&units, &blocks, &results};
  for (unsigned i = 0; i < 2; i++) {
    if (!pools[i]) continue;
    if (shoal_pool_info(pools[i], &info) == 0) r->f->restarts += info.restarts;
    shoal_pool_destroy(pools[i]);
  }
  for (unsigned i = 0; i < 3; i++) {
    if (*queues[i]) shoal_queue_detach(*queues[i]);
    *queues[i] = NULL;
  }
  if (r->seg) shoal_segment_close(r->seg);
  if (r->walk) walk_close(r->walk);
  free(r->seen);
}

int count_together(const struct job *job, const struct figures *expected, struct counts *counts, struct figures *f) {
  struct run r = {.job = job, .counts = counts, .f = f, .next_kill = shoal_after_ms(CHAOS_EVERY_MS)};
  int64_t began = shoal_now_ns();
  uint64_t cpu = process_cpu_ns();
  progress_start(&r.progress, expected->bytes, job->workers + job->producers);
  int rc = set_up(&r);
  if (!rc) rc = loop(&r);
  f->units = r.units;
  tear_down(&r);
  progress_end(&r.progress);
  f->cpu_ns = process_cpu_ns() - cpu;
  f->wall_ns = (uint64_t)(shoal_now_ns() - began);
  return rc;
}
