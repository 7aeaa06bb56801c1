#include "ipc/work/map.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "ipc/work/executor_internal.h"

#define CHUNKS_A_WORKER 4u
#define PART_BYTES 4096u        // of several chunks, at most
#define JOB_NS UINT64_C(20000)  // that several chunks are to take, each with what a job costs
#define RANGES_A_WORKER 8u
#define CHUNK_MAX INT32_MAX  // structs that a job tells of, as its `progress` counts them

// ---- map ----

struct shoal_map {
  struct shoal_executor *ex;
  const struct shoal_task *task;
  char *array;
  uint64_t n, size, chunk;
  uint64_t begun;           // structs that were submitted
  shoal_atomic64 since_ns;  // 0: it has been got
  uint32_t most;            // chunks of a job
  unsigned jobs;
  unsigned over;  // of the callbacks: so many jobs from the first on were seen to be
  int asked;      // there may be callbacks
  struct job {
    struct shoal_future future;
    uint64_t from;
  } part[];  // several chunks, as begin_map says
};

static uint64_t good_chunk(const struct shoal_executor *ex, uint64_t n, uint64_t chunk) {
  uint64_t jobs = (uint64_t)shoal_executor_wanted_(ex) * CHUNKS_A_WORKER, most = ex->jobs / 4;
  if (!chunk) chunk = (n + jobs - 1) / jobs;
  if (chunk > n) chunk = n;
  if (chunk > CHUNK_MAX) chunk = CHUNK_MAX;
  uint64_t least = (n + most - 1) / most;  // so that several maps have cells
  if (chunk < least) chunk = least;
  return chunk ? chunk : 1;
}

static uint64_t count_of(const struct shoal_map *m, unsigned i) {
  return (i + 1 < m->jobs ? m->part[i + 1].from : m->begun) - m->part[i].from;
}

// Whether a job may be several chunks: each still fails by itself, but is neither tried again, nor kept, nor timed by
// itself.
static int may_join(const struct shoal_executor *ex) {
  return !ex->retries && !ex->backoff && !ex->letters && !ex->limit_ns;
}

// What chunks of a task have taken is known from the last map of it in this process: how many structs a worker does in
// JOB_NS. structs:16 | task:48, as an address has no more bits.
static uint64_t learned(const struct shoal_task *task, uint64_t structs) {
  return (uint64_t)(uintptr_t)task << 16 | (structs < UINT16_MAX ? structs : UINT16_MAX);
}
static void learn(struct shoal_map *m, uint64_t since_ns) {
  uint64_t ns = ((uint64_t)shoal_now_ns() - since_ns) * shoal_executor_wanted_(m->ex);
  if (m->n < UINT64_MAX / JOB_NS) shoal_store64_relaxed(&m->ex->pace, learned(m->task, m->n * JOB_NS / (ns ? ns : 1)));
}
// Once: what the caller does before it asks again is no part of it.
static void done_now(struct shoal_map *m) {
  uint64_t since_ns = shoal_load64_relaxed(&m->since_ns);  // a callback in another thread may do the same
  if (since_ns && m->n && shoal_cas64_relaxed(&m->since_ns, &since_ns, 0)) learn(m, since_ns);
}
static uint32_t chunks_in_time(const struct shoal_map *m) {
  uint64_t pace = shoal_load64_relaxed(&m->ex->pace), fit = PART_BYTES / (m->chunk * m->size);
  uint64_t n = (pace ^ learned(m->task, 0)) <= UINT16_MAX && may_join(m->ex) ? (pace & UINT16_MAX) / m->chunk : 1;
  if (n > fit) n = fit;
  if (n > SHOAL_CHUNKS_) n = SHOAL_CHUNKS_;
  return n ? (uint32_t)n : 1;
}

// How many chunks the next job has: fewer near the end, so that all workers end together.
static uint64_t chunks_of_next(const struct shoal_map *m) {
  uint64_t left = (m->n - m->begun + m->chunk - 1) / m->chunk;
  uint64_t share = m->most > 1 ? left / ((uint64_t)shoal_executor_wanted_(m->ex) * 4) : 0;
  if (share < 2) return 1;
  return m->most < share ? m->most : share;
}

static int submit_next(struct shoal_map *m, shoal_deadline deadline) {
  struct job *part = &m->part[m->jobs];
  uint64_t chunks = chunks_of_next(m), n = chunks * m->chunk;
  if (n > m->n - m->begun) n = m->n - m->begun;
  char *at = m->array + m->begun * m->size;
  shoal_off off = shoal_segment_off(m->ex->seg, at);
  struct shoal_submission_ s = {.task = m->task,
                                .argument = off ? NULL : at,
                                .size = n * m->size,
                                .off = off,
                                .chunk = chunks > 1 ? (uint32_t)m->chunk : 0,
                                .deadline = deadline};
  int rc = shoal_job_submit_(m->ex, &s, &part->future);
  if ((rc == -ENOSPC || rc == -ENOMEM) && chunks > 1) {  // one alone may need no block
    m->most = 1;
    return 0;
  }
  if (rc) return rc;
  part->from = m->begun;
  m->begun += n;
  m->jobs++;
  return 0;
}

static int check_task(const struct shoal_task *task, uint64_t size) {
  if (!task->size) return shoal_fail_(-EBADMSG, "task %s takes no struct, or an empty one", task->name);
  if (size == task->size) return 0;
  return shoal_fail_(-EBADMSG, "task %s takes a %s of %llu bytes, not %llu", task->name, task->type,
                     (unsigned long long)task->size, (unsigned long long)size);
}

static int begin_map(struct shoal_executor *ex, const struct shoal_task *task, void *array, uint64_t n, uint64_t size,
                     uint64_t chunk, shoal_deadline deadline, struct shoal_map **out) {
  int rc = check_task(task, size);
  if (!rc && !array && n) rc = shoal_fail_(-EINVAL, "no array");
  if (!rc && n > INT64_MAX / size) rc = shoal_fail_(-EINVAL, "%llu elements", (unsigned long long)n);
  if (!rc && n > CHUNK_MAX && chunk > CHUNK_MAX)
    rc = shoal_fail_(-EINVAL, "chunks of %llu elements; at most %d", (unsigned long long)chunk, CHUNK_MAX);
  if (rc) return rc;
  chunk = good_chunk(ex, n, chunk);
  if (chunk > CHUNK_MAX) return shoal_fail_(-EINVAL, "%llu elements in %u jobs", (unsigned long long)n, ex->jobs / 4);
  uint64_t jobs = (n + chunk - 1) / chunk;
  struct shoal_map *m = malloc(sizeof *m + jobs * sizeof *m->part);
  if (!m) return shoal_fail_(-ENOMEM, "no memory for %llu futures", (unsigned long long)jobs);
  *m = (struct shoal_map){.ex = ex, .task = task, .array = array, .n = n, .size = size, .chunk = chunk};
  shoal_store64_relaxed(&m->since_ns, (uint64_t)shoal_now_ns());
  m->most = chunks_in_time(m);
  while (m->begun < n && !rc) rc = submit_next(m, deadline);
  if (rc) (void)shoal_map_end(m);
  else *out = m;
  return rc;
}

int shoal_map_async(struct shoal_executor *ex, const struct shoal_task *task, void *array, uint64_t n, uint64_t size,
                    uint64_t chunk, struct shoal_map **out) {
  return begin_map(ex, task, array, n, size, chunk, SHOAL_FOREVER, out);
}

// What a job has come to. Results of one that failed by itself are there as well.
static int get_part(struct shoal_map *m, unsigned i, struct shoal_failure *failure, shoal_deadline deadline) {
  const struct job *part = &m->part[i];
  char *at = m->array + part->from * m->size;
  uint64_t n = count_of(m, i), bytes = n * m->size;
  void *out = shoal_segment_off(m->ex->seg, at) ? NULL : at;
  int rc = shoal_future_get_(&part->future, out, bytes, failure, deadline);
  if (rc != -EREMOTEIO) return rc;
  failure->element += part->from;
  if (out && n > m->chunk) shoal_future_copy_kept_(&part->future, out, bytes, m->size);
  else if (out && failure->code != -ENOTRECOVERABLE && failure->code != -ETIMEDOUT)
    (void)shoal_future_copy_(&part->future, out, bytes);
  return rc;
}

static int get_parts(struct shoal_map *m, struct shoal_failure *failure, shoal_deadline deadline) {
  struct shoal_failure one;
  struct shoal_kept_reason_ first;
  int answer = 0;
  for (unsigned i = 0; i < m->jobs; i++) {
    int rc = get_part(m, i, &one, deadline);
    if (rc && rc != -EREMOTEIO && rc != -ECANCELED) return rc;
    if (!rc || answer) continue;
    answer = rc;
    shoal_reason_keep_(&first);
    if (rc == -EREMOTEIO && failure) *failure = one;
  }
  if (answer) shoal_reason_restore_(&first);
  done_now(m);
  return answer;
}

// Callbacks last: one of them may end the map.
static void call_back(struct shoal_executor *ex) {
  struct shoal_kept_reason_ kept;
  if (!shoal_load32_relaxed(&ex->callbacks_n)) return;
  shoal_reason_keep_(&kept);
  shoal_future_called_(ex);
  shoal_reason_restore_(&kept);
}
int shoal_map_get(struct shoal_map *m, struct shoal_failure *failure, shoal_deadline deadline) {
  struct shoal_executor *ex = m->ex;
  int rc = get_parts(m, failure, deadline);
  call_back(ex);
  return rc;
}
int shoal_map_wait(struct shoal_map *m, shoal_deadline deadline) {
  struct shoal_executor *ex = m->ex;
  int rc = 0;
  for (unsigned i = 0; i < m->jobs && !rc; i++) rc = shoal_futures_wait_any_(&m->part[i].future, NULL, 1, deadline);
  if (!rc) done_now(m);
  call_back(ex);
  return rc;
}
int shoal_map_ready(const struct shoal_map *m) {
  for (unsigned i = 0; i < m->jobs; i++)
    if (shoal_future_done(&m->part[i].future) == 0) return 0;
  return 1;
}
int shoal_map_successful(const struct shoal_map *m) {
  if (!shoal_map_ready(m)) return -EAGAIN;
  for (unsigned i = 0; i < m->jobs; i++)
    if (shoal_future_succeeded(&m->part[i].future) != 1) return 0;
  return 1;
}

// The reason stays: that of what failed before, not that one of these was over already - which is no reason to write
// one.
static void give_up(const struct shoal_future *f) {
  struct shoal_kept_reason_ kept;
  if (shoal_future_over_(f) && !shoal_future_release(f)) return;
  shoal_reason_keep_(&kept);
  (void)shoal_future_cancel(f, 0);
  (void)shoal_future_release(f);
  shoal_reason_restore_(&kept);
}
int shoal_map_end(struct shoal_map *m) {
  if (m->asked) shoal_callbacks_drop_(m->ex, m);
  for (unsigned i = 0; i < m->jobs; i++) give_up(&m->part[i].future);
  free(m);
  return 0;
}

int shoal_map_next_(struct shoal_map *m, struct shoal_future *out) {
  while (m->over < m->jobs && shoal_future_over_(&m->part[m->over].future)) m->over++;
  if (m->over == m->jobs) return 0;
  *out = m->part[m->over].future;
  return 1;
}

int shoal_map_on_done(struct shoal_map *m, void (*call)(struct shoal_map *map, void *arg), void *arg) {
  if (!call) return shoal_fail_(-EINVAL, "no callback");
  m->asked = 1;
  return shoal_callbacks_of_map_(m->ex, m, call, arg);
}

int shoal_map_task(struct shoal_executor *ex, const struct shoal_task *task, void *array, uint64_t n, uint64_t size,
                   struct shoal_failure *failure, shoal_deadline deadline) {
  struct shoal_map *m;
  int rc = begin_map(ex, task, array, n, size, 0, deadline, &m);
  if (rc) return rc;
  rc = shoal_map_get(m, failure, deadline);
  (void)shoal_map_end(m);
  return rc;
}
int shoal_map(struct shoal_executor *ex, const char *task, void *array, uint64_t n, uint64_t size,
              struct shoal_failure *failure, shoal_deadline deadline) {
  const struct shoal_task *found;
  int rc = shoal_task_find(task, &found);
  return rc ? rc : shoal_map_task(ex, found, array, n, size, failure, deadline);
}

// ---- imap ----

struct sent {  // a job that is out: so many arguments, the first of which is this one of the input
  uint64_t from;
  uint32_t n;
};

struct shoal_imap {
  struct shoal_executor *ex;
  const struct shoal_task *task;
  int (*next)(void *arg, void *item);
  void *arg;
  uint32_t window, chunk, unordered;
  uint32_t jobs_max;    // at a time
  uint32_t first, out;  // of the ring of jobs; unordered, `first` stays 0
  uint32_t taken;       // arguments that the input has given, and that were not given out
  uint32_t held;        // of those: in no job yet
  uint64_t asked;       // arguments that the input has given, in all
  int ended;            // 1, or what `next` answered
  char *items;          // those that are held
  struct shoal_future *futures;
  struct sent *sent;  // the futures' jobs
  struct {            // a chunk that is given out one by one
    char *results;
    uint32_t at, n;
    uint32_t good;  // so many of them have results; the others `rc`
    int rc;
    struct shoal_failure failure;
    struct shoal_kept_reason_ reason;
  } got;
};

static void free_imap(struct shoal_imap *it) {
  free(it->items);
  free(it->futures);
  free(it->sent);
  free(it->got.results);
  free(it);
}

static int check_window(const struct shoal_executor *ex, const struct shoal_imap *it) {
  if (it->chunk > it->window) return shoal_fail_(-EINVAL, "chunks of %u in a window of %u", it->chunk, it->window);
  if (it->window > INT32_MAX) return shoal_fail_(-EINVAL, "a window of %u", it->window);
  if (it->jobs_max <= ex->jobs) return 0;
  return shoal_fail_(-EINVAL, "a window of %u in chunks of %u; the executor has %u jobs", it->window, it->chunk,
                     ex->jobs);
}

int shoal_imap_begin(struct shoal_executor *ex, const struct shoal_task *task, uint64_t size,
                     int (*next)(void *arg, void *item), void *arg, const struct shoal_imap_options *options,
                     struct shoal_imap **out) {
  struct shoal_imap_options o = options ? *options : (struct shoal_imap_options){0};
  struct shoal_imap is = {.ex = ex, .task = task, .next = next, .arg = arg, .unordered = o.unordered};
  uint64_t jobs = (uint64_t)shoal_executor_wanted_(ex) * CHUNKS_A_WORKER;
  is.chunk = o.chunk ? o.chunk : 1;
  is.window = o.window ? o.window : jobs * is.chunk > INT32_MAX ? UINT32_MAX : (uint32_t)jobs * is.chunk;
  is.jobs_max = is.window / is.chunk;
  int rc = check_task(task, size);
  if (!rc && !next) rc = shoal_fail_(-EINVAL, "no input");
  if (!rc) rc = check_window(ex, &is);
  if (rc) return rc;
  struct shoal_imap *it = malloc(sizeof *it);
  if (!it) return shoal_fail_(-ENOMEM, "no memory for an imap");
  *it = is;
  it->items = malloc(is.chunk * size);
  it->futures = malloc(is.jobs_max * sizeof *it->futures);
  it->sent = malloc(is.jobs_max * sizeof *it->sent);
  if (is.chunk > 1) it->got.results = malloc(is.chunk * size);
  if (!it->items || !it->futures || !it->sent || (is.chunk > 1 && !it->got.results)) {
    free_imap(it);
    return shoal_fail_(-ENOMEM, "no memory for a window of %u", is.window);
  }
  *out = it;
  return 0;
}

static uint32_t ith(const struct shoal_imap *it, uint32_t i) { return (it->first + i) % it->jobs_max; }

// Whether something can be given out before anything is submitted.
static int has_some(const struct shoal_imap *it) { return it->out || it->got.at < it->got.n; }

// Asks the input for what a chunk still lacks, as far as the window goes.
static void take_chunk(struct shoal_imap *it) {
  while (it->held < it->chunk && it->taken < it->window && !it->ended) {
    int more = it->next(it->arg, it->items + it->held * it->task->size);
    if (more <= 0) it->ended = more ? more : 1;
    if (more <= 0) break;
    it->held++;
    it->taken++;
    it->asked++;
  }
}

static int submit_held(struct shoal_imap *it, shoal_deadline deadline) {
  uint32_t i = ith(it, it->out);
  struct shoal_submission_ s = {
      .task = it->task, .argument = it->items, .size = it->held * it->task->size, .deadline = deadline};
  int rc = shoal_job_submit_(it->ex, &s, &it->futures[i]);
  if (rc) return rc;
  it->sent[i] = (struct sent){it->asked - it->held, it->held};
  it->held = 0;
  it->out++;
  return 0;
}

// Submits until the window is full, the input has ended, or it cannot: what is out comes first, and may make room.
// Waits for room only if nothing is out. A chunk is submitted when it is whole, or no more of it will come.
static int fill_window(struct shoal_imap *it, shoal_deadline deadline) {
  while (it->out < it->jobs_max) {
    take_chunk(it);
    if (!it->held || (it->held < it->chunk && !it->ended)) break;
    int rc = submit_held(it, has_some(it) ? SHOAL_TRY : deadline);
    if (rc) return has_some(it) ? 0 : rc;
  }
  return 0;
}

// Unordered: brings one that is over to the front.
static int bring_front(struct shoal_imap *it, shoal_deadline deadline) {
  for (;;) {
    for (uint32_t i = 0; i < it->out; i++) {
      if (shoal_future_done(&it->futures[i]) == 0) continue;
      struct shoal_future f = it->futures[i];
      struct sent sent = it->sent[i];
      it->futures[i] = it->futures[0];
      it->sent[i] = it->sent[0];
      it->futures[0] = f;
      it->sent[0] = sent;
      return 0;
    }
    int rc = shoal_future_wait(it->futures, it->out, SHOAL_FIRST_DONE, deadline);
    if (rc < 0) return rc;
  }
}

// The front is done with. Unordered, they stay together at the beginning.
static void drop_front(struct shoal_imap *it) {
  (void)shoal_future_release(&it->futures[ith(it, 0)]);
  it->out--;
  if (!it->unordered) {
    it->first = (it->first + 1) % it->jobs_max;
    return;
  }
  it->futures[0] = it->futures[it->out];
  it->sent[0] = it->sent[it->out];
}

static int is_answer(int rc) { return !rc || rc == -EREMOTEIO || rc == -ECANCELED; }

// Of a chunk that has failed, those before the first that did have results.
static int get_chunk(struct shoal_imap *it, shoal_deadline deadline) {
  const struct shoal_future *f = &it->futures[ith(it, 0)];
  struct sent sent = it->sent[ith(it, 0)];
  uint64_t bytes = sent.n * it->task->size;
  int rc = shoal_future_get(f, it->got.results, bytes, &it->got.failure, deadline);
  if (!is_answer(rc)) return rc;
  shoal_reason_keep_(&it->got.reason);
  uint64_t good = rc == -EREMOTEIO ? it->got.failure.element : rc ? 0 : sent.n;
  if (good > sent.n || (rc && good && shoal_future_copy_(f, it->got.results, bytes))) good = 0;
  it->got.failure.element += sent.from;
  it->got.at = 0;
  it->got.n = sent.n;
  it->got.good = (uint32_t)good;
  it->got.rc = rc;
  drop_front(it);
  return 0;
}

static int give_one(struct shoal_imap *it, void *out, struct shoal_failure *failure) {
  uint32_t i = it->got.at++;
  it->taken--;
  if (i < it->got.good) {
    if (out) memcpy(out, it->got.results + i * it->task->size, it->task->size);
    return 0;
  }
  shoal_reason_restore_(&it->got.reason);
  if (failure && it->got.rc == -EREMOTEIO) *failure = it->got.failure;
  return it->got.rc;
}

int shoal_imap_next(struct shoal_imap *it, void *out, uint64_t size, struct shoal_failure *failure,
                    shoal_deadline deadline) {
  if (size != it->task->size) return check_task(it->task, size);
  int rc = fill_window(it, deadline);
  if (rc) return rc;
  if (it->got.at < it->got.n) return give_one(it, out, failure);
  if (!it->out) return it->ended < 0 ? it->ended : -ENOENT;
  if (it->unordered) rc = bring_front(it, deadline);
  if (rc) return rc;
  if (it->chunk > 1) return (rc = get_chunk(it, deadline)) ? rc : give_one(it, out, failure);
  rc = shoal_future_get(&it->futures[ith(it, 0)], out, size, failure, deadline);
  if (!is_answer(rc)) return rc;
  if (rc == -EREMOTEIO && failure) failure->element = it->sent[ith(it, 0)].from;
  it->taken--;
  drop_front(it);
  return rc;
}

int shoal_imap_end(struct shoal_imap *it) {
  for (uint32_t i = 0; i < it->out; i++) give_up(&it->futures[ith(it, i)]);
  free_imap(it);
  return 0;
}

// ---- for_each ----

// What is gathered of jobs that may be tried again has to be counted once: each has one range then, and begins on a
// copy of its argument that lies behind it. Else there is a job for each worker, and a cursor from which they claim.
struct each {
  struct shoal_executor *ex;
  struct shoal_cursor_shm_ *cursor;  // NULL: none
  struct shoal_block_ref ref;
  uint64_t size;  // of a job's argument
  unsigned parts;
  struct shoal_future futures[];
};

static int new_cursor(struct each *e, uint64_t n, uint64_t grain) {
  void *block;
  int rc = shoal_heap_alloc_aligned(e->ex->heap, sizeof *e->cursor, 64, &block);
  if (rc) return rc;
  e->cursor = block;
  shoal_store64_relaxed(&e->cursor->next, 0);
  e->cursor->end = n;
  e->cursor->grain = grain ? grain : 1;
  e->cursor->parts = e->parts;
  rc = shoal_block_give_(e->ex->heap, block, e->ex->object.entry, e->ex->object.generation, &e->ref);
  if (rc) (void)shoal_heap_free(e->ex->heap, block);
  return rc;
}

static void stop(struct each *e) {
  if (e->cursor) shoal_store64_relaxed(&e->cursor->next, e->cursor->end);
  for (unsigned i = 0; i < e->parts && !e->cursor; i++) (void)shoal_future_cancel(&e->futures[i], 0);
}

// The first failure, with every part over; or -ETIMEDOUT and the like, just as well.
static int end_parts(struct each *e, struct shoal_failure *failure, shoal_deadline deadline) {
  int rc = shoal_future_wait(e->futures, e->parts, SHOAL_FIRST_FAILED, deadline), answer = rc < 0 ? rc : 0;
  struct shoal_kept_reason_ first;
  if (rc != (int)e->parts) stop(e);
  shoal_reason_keep_(&first);
  for (unsigned i = 0; i < e->parts; i++) {
    int known = answer && answer != -ECANCELED;  // else what was cancelled for the one that failed
    if (answer) (void)shoal_future_cancel(&e->futures[i], 0);
    rc = shoal_future_get(&e->futures[i], NULL, 0, known ? NULL : failure, SHOAL_FOREVER);
    if (!rc || known || rc == answer) continue;
    answer = rc;
    shoal_reason_keep_(&first);
  }
  shoal_reason_restore_(&first);
  return answer;
}

// Whether no worker claims any more. Else, as nothing is awaited any longer, the block stays the executor's.
static int are_over(const struct each *e) {
  for (unsigned i = 0; i < e->parts; i++)
    if (shoal_future_done(&e->futures[i]) != 1) return 0;
  return 1;
}

static struct shoal_range ith_range(uint64_t n, unsigned parts, unsigned i) {
  uint64_t each = n / parts, more = n % parts, begin = each * i + (i < more ? i : more);
  return (struct shoal_range){begin, begin + each + (i < more)};
}

static int submit_parts(struct each *e, const struct shoal_task *task, const void *argument, uint64_t n, unsigned parts,
                        shoal_deadline deadline) {
  char *own = calloc(1, e->size);
  struct shoal_submission_ s = {.task = task,
                                .argument = own,
                                .size = e->size,
                                .off = e->cursor ? shoal_segment_off(e->ex->seg, e->cursor) : 0,
                                .ranges = 1,
                                .deadline = deadline};
  int rc = own ? 0 : shoal_fail_(-ENOMEM, "no memory for an argument");
  if (own) memcpy(own, argument, task->size);
  for (e->parts = 0; e->parts < parts && !rc; e->parts += rc == 0) {
    struct shoal_range range = ith_range(n, parts, e->parts);
    if (!e->cursor) memcpy(own, &range, sizeof range);
    rc = shoal_job_submit_(e->ex, &s, &e->futures[e->parts]);
  }
  free(own);
  return rc;
}

static int gather(struct each *e, void *argument, uint64_t size, void (*call)(void *, const void *)) {
  char *part = call ? malloc(e->size) : NULL;
  int rc = call && !part ? shoal_fail_(-ENOMEM, "no memory for a part") : 0;
  for (unsigned i = 0; call && i < e->parts && !rc; i++) {
    rc = shoal_future_get(&e->futures[i], part, e->size, NULL, SHOAL_FOREVER);
    if (!rc) call(argument, part + e->size - size);
  }
  free(part);
  return rc;
}

static unsigned count_parts(const struct shoal_executor *ex, uint64_t n, uint64_t grain, int afresh) {
  uint64_t workers = shoal_executor_wanted_(ex), most = afresh ? workers * RANGES_A_WORKER : workers;
  if (most > workers && most > ex->jobs / 4) most = workers > ex->jobs / 4 ? workers : ex->jobs / 4;
  if (afresh && grain > 1) n = n / grain ? n / grain : 1;
  return (unsigned)(n < most ? n : most);
}

int shoal_for_each_task(struct shoal_executor *ex, const struct shoal_task *task, void *argument, uint64_t size,
                        uint64_t n, const struct shoal_for_each_options *options, struct shoal_failure *failure,
                        shoal_deadline deadline) {
  int rc = check_task(task, size);
  if (!rc && size < sizeof(struct shoal_range))
    rc = shoal_fail_(-EBADMSG, "a %s does not begin with a struct shoal_range", task->type);
  if (!rc && !argument) rc = shoal_fail_(-EINVAL, "no argument for task %s", task->name);
  if (rc || !n) return rc;
  uint64_t grain = options ? options->grain : 0;
  int afresh = options && options->gather && ex->retries;
  unsigned parts = count_parts(ex, n, grain, afresh);
  struct each *e = malloc(sizeof *e + parts * sizeof *e->futures);
  if (!e) return shoal_fail_(-ENOMEM, "no memory for %u futures", parts);
  *e = (struct each){.ex = ex, .size = afresh ? 2 * size : size, .parts = parts};
  rc = afresh ? 0 : new_cursor(e, n, grain);
  if (!rc) {
    struct shoal_kept_reason_ kept;
    rc = submit_parts(e, task, argument, n, parts, deadline);
    shoal_reason_keep_(&kept);
    if (rc) stop(e);
    int ended = end_parts(e, failure, rc ? SHOAL_FOREVER : deadline);
    if (rc) shoal_reason_restore_(&kept);
    else rc = ended;
    if (!rc) rc = gather(e, argument, size, options ? options->gather : NULL);
    int over = are_over(e);
    for (unsigned i = 0; i < e->parts; i++) (void)shoal_future_release(&e->futures[i]);
    if (over && e->cursor) shoal_block_end_(ex->heap, &e->ref, ex->object.entry, ex->object.generation);
  }
  free(e);
  return rc;
}
