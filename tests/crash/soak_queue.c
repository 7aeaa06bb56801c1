// tests/crash/soak_queue.c: messages through a queue, each with an id, and a full ledger.
//
// A producer notes the id it is about to put (trying) and the last that put acknowledged (sent). A consumer has get
// write into the ledger itself (hand), so that a message it dies with is known, and logs it afterwards; with receive it
// logs after the release. In the end each acknowledged id was logged once, or lies in the hand of one that was killed.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/queue.h"
#include "tests/crash/soak.h"

#define LOG (1u << 23)
#define WORKERS 9
#define PRODUCERS 4  // seats 0..3; the others consume

SHOAL_QUEUE_TYPED(ids, uint64_t)

struct part {  // of one worker's life; written by it
  volatile uint64_t trying, sent, hand;
  volatile uint32_t produces;
};
static struct part *parts;
static uint64_t *entries;  // the log
static volatile uint64_t *n_entries;
static volatile uint32_t *closed;
static struct shoal_segment *seg;
static struct shoal_queue *q;  // the driver's
static uint32_t pace;          // microseconds between puts, about; 0: flat out

static void begin(void) {
  static const struct shoal_segment_options small = {
      .size = 1 << 20, .size_max = 1 << 24, .participants = 1024, .objects = 16};
  if (!parts) {
    parts = soak_shared(sizeof *parts * SOAK_IDS);
    entries = soak_shared(sizeof *entries * LOG);
    n_entries = soak_shared(4096);
    closed = soak_shared(4096);
  }
  if (shoal_segment_create(NULL, &small, &seg)) soak_fault("segment: %s", shoal_reason());
  memset(parts, 0, sizeof *parts * SOAK_IDS);
  memset(entries, 0, sizeof *entries * (*n_entries < LOG ? *n_entries : LOG));
  *n_entries = *closed = 0;
  struct shoal_queue_options options = {.capacity = 2u << soak_below(6), .producers = 16, .consumers = 16};
  pace = soak_below(2) ? 100 : 0;
  shoal_spin_max_ = soak_below(2) ? SHOAL_SPIN_MAX : 0;
  int rc = ids_create(seg, "ids", &options, &q);
  SOAK_EXPECT(rc == 0, "create: %d %s", rc, shoal_reason());
}

static int goes_on(int rc) {  // after an answer that is no message
  if (soak_is_the_end(rc, *closed)) _exit(0);
  SOAK_EXPECT(rc == -EPIPE || rc == -ETIMEDOUT || rc == -EAGAIN || rc == -EUSERS, "answered %d (%s)", rc,
              shoal_reason());
  soak_pause_us(200);  // all peers are dead, their successors on the way
  return 0;
}
static shoal_deadline deadline(void) {
  switch (soak_below(8)) {
    case 0: return SHOAL_TRY;
    case 1: return shoal_after_us(soak_below(300));
    default: return SHOAL_FOREVER;
  }
}

static int put_one(struct shoal_queue *mine, uint64_t id, int in_place) {
  struct shoal_loan loan;
  if (!in_place) return ids_put(mine, &id, deadline());
  int rc = shoal_queue_reserve(mine, &loan, deadline());
  if (rc) return rc;
  if (soak_below(8) == 0) return shoal_queue_cancel(mine, &loan) ? -EINVAL : -EAGAIN;
  *(uint64_t *)loan.data = id;
  return shoal_queue_commit(mine, &loan);
}
static void produce(struct shoal_queue *mine, struct part *p, uint32_t id) {
  uint64_t life = soak_below(8) ? UINT64_MAX : soak_below(100);
  p->produces = 1;
  for (uint64_t i = 1; i <= life; i++) {
    p->trying = i;
    int rc;
    while ((rc = put_one(mine, (uint64_t)id << 32 | i, soak_below(4) == 0))) goes_on(rc);
    p->sent = i;
    if (pace && soak_below(4) == 0) soak_pause_us(soak_below(2 * pace));
  }
  shoal_queue_leave(mine, SHOAL_PRODUCER);
}

static void note(struct part *p) {
  uint64_t i = __atomic_fetch_add(n_entries, 1, __ATOMIC_SEQ_CST);
  if (i < LOG) entries[i] = p->hand;
  p->hand = 0;
}
static int get_one(struct shoal_queue *mine, struct part *p) {
  int rc = ids_get(mine, (uint64_t *)&p->hand, deadline());
  if (rc == 0) note(p);
  return rc;
}
static int receive_one(struct shoal_queue *mine, struct part *p) {
  struct shoal_loan loan;
  int rc = shoal_queue_receive(mine, &loan, deadline());
  if (rc) return rc;
  uint64_t id = *(uint64_t *)loan.data;
  if (pace && soak_below(16) == 0) soak_pause_us(soak_below(pace));
  if (soak_below(16) == 0) return shoal_queue_return(mine, &loan);
  p->hand = id;  // killed before: another receives it
  rc = shoal_queue_release(mine, &loan);
  if (rc == 0) note(p);
  return rc;
}
static void consume(struct shoal_queue *mine, struct part *p) {
  for (uint64_t life = soak_below(8) ? UINT64_MAX : soak_below(100); life; life--) {
    p->hand = 0;
    int rc = soak_below(2) ? get_one(mine, p) : receive_one(mine, p);
    if (rc) goes_on(rc);
    if (pace && soak_below(16) == 0) soak_pause_us(soak_below(pace));
  }
  shoal_queue_leave(mine, SHOAL_CONSUMER);
}

static void work(uint32_t id, int seat) {
  struct shoal_queue *mine;
  int rc = ids_open(seg, "ids", &mine);
  SOAK_EXPECT(rc == 0, "open: %d %s", rc, shoal_reason());
  if (rc) return;
  for (;;) {  // those that leave early come back
    if (seat < PRODUCERS) produce(mine, &parts[id], id);
    else consume(mine, &parts[id]);
    if (seat < PRODUCERS) break;  // its ids are used up
  }
  while (!*closed) soak_pause_us(500);
  _exit(0);
}

static uint64_t progress(void) { return *n_entries; }
static int full(void) { return *n_entries > LOG / 2; }

// ---- the accounts ----
static uint8_t **ledger_make(void) {
  uint8_t **seen = calloc(SOAK_IDS, sizeof *seen);
  for (uint32_t id = 1; id < SOAK_IDS; id++)
    if (parts[id].produces) seen[id] = calloc(parts[id].trying + 1, 1);
  return seen;
}
static uint8_t *ledger_find(uint8_t **seen, uint64_t message) {
  uint32_t id = (uint32_t)(message >> 32), i = (uint32_t)message;
  if (id >= SOAK_IDS || !seen[id] || i == 0 || i > parts[id].trying) return NULL;
  return &seen[id][i];
}
static void settle(void) {
  uint8_t **seen = ledger_make(), *at;
  for (uint64_t i = 0; i < *n_entries && i < LOG; i++) {
    if (!entries[i]) continue;  // killed just before it wrote it: it is in its hand
    if (!(at = ledger_find(seen, entries[i]))) soak_fault("received %lx, which nobody sent", entries[i]);
    else if ((*at)++) soak.doubled++;
    soak.done++;
  }
  for (uint32_t id = 1; id < SOAK_IDS; id++)
    if (!parts[id].produces && parts[id].hand && (at = ledger_find(seen, parts[id].hand)) && !*at) *at = 1;
  for (uint32_t id = 1; id < SOAK_IDS; id++) {
    for (uint64_t i = 1; seen[id] && i <= parts[id].sent; i++) soak.lost += !seen[id][i];
    free(seen[id]);
  }
  free(seen);
}

static uint32_t left(uint32_t capacity) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < capacity; i++) {
    uint32_t state = shoal_slot_state_(shoal_load64_relaxed(shoal_mpmc_at(&q->ring, i, q->ring.stride).ctl));
    n += state != SHOAL_SLOT_EMPTY_;
  }
  return n;
}
static void end(void) {
  struct shoal_queue_info info;
  shoal_queue_close(q);
  *closed = 1;
  soak_all_end(WORKERS, PRODUCERS, "producer", "consumer");
  shoal_queue_info(q, &info);
  SOAK_EXPECT(!left(info.capacity), "%u messages left in a queue that was closed and drained", left(info.capacity));
  SOAK_EXPECT(*n_entries < LOG, "the log is too small");
  settle();
  shoal_queue_unlink(seg, "ids");
  shoal_queue_detach(q);
  int rc = shoal_segment_close(seg);
  SOAK_EXPECT(rc == 0, "closing the segment: %d %s", rc, shoal_reason());
}

const struct soak_room soak_queue = {"queue", WORKERS, begin, work, progress, full, end, NULL, NULL};
