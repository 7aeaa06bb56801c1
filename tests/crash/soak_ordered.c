// tests/crash/soak_ordered.c: messages through a queue of kind FIFO, LIFO or PRIORITY, each with an id, and a full
// ledger; and through one that grows while its consumers are slow.
//
// As tests/crash/soak_queue.c, but that a consumer only receives and releases: it notes the id before it releases, so
// what it dies with between the two may be noted, and come again. In the end each acknowledged id was noted, and none
// was released twice.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/queue.h"
#include "tests/crash/soak.h"

#define WORKERS 9
#define PRODUCERS 4  // seats 0..3; the others consume
#define LEDGER (1u << 23)

struct message {
  int32_t key;
  uint32_t place;  // in the ledger
};

enum { SENT = 1, SEEN = 2, DONE = 4 };
static uint8_t *ledger;
static struct counters { volatile uint64_t next, released, closed, twice; } * counters;
static struct shoal_segment *seg;
static struct shoal_queue *q;  // the driver's
static uint32_t pace, grows;

static void begin_as(uint32_t grow) {
  static const struct shoal_segment_options small = {
      .size = 1 << 20, .size_max = 1 << 26, .participants = 1024, .objects = 64};
  if (!ledger) ledger = soak_shared(LEDGER), counters = soak_shared(4096);
  if (shoal_segment_create(NULL, &small, &seg)) soak_fault("segment: %s", shoal_reason());
  memset(ledger, 0, counters->next < LEDGER ? counters->next : LEDGER);
  memset(counters, 0, sizeof *counters);
  struct shoal_queue_options o = {.capacity = grow ? 2u << soak_below(3) : 1 + soak_below(40),
                                  .element_size = sizeof(struct message),
                                  .kind = SHOAL_QUEUE_FIFO + soak_below(3),
                                  .producers = 16,
                                  .consumers = 16,
                                  .grow = grow};
  grows = grow;
  if (o.kind == SHOAL_QUEUE_PRIORITY) o.key = (struct shoal_queue_key){SHOAL_KEY_I32, 0};
  pace = soak_below(2) || grow ? 100 : 0;
  shoal_spin_max_ = soak_below(2) ? SHOAL_SPIN_MAX : 0;
  int rc = shoal_queue_create(seg, "messages", &o, &q);
  SOAK_EXPECT(rc == 0, "create: %d %s", rc, shoal_reason());
}

static void begin(void) { begin_as(0); }
static void begin_growing(void) { begin_as(1); }

static void goes_on(int rc) {  // after an answer that is no message
  if (soak_is_the_end(rc, counters->closed)) _exit(0);
  SOAK_EXPECT(rc == -EPIPE || rc == -ETIMEDOUT || rc == -EAGAIN || rc == -EUSERS || rc == -ENOSPC, "answered %d (%s)",
              rc, shoal_reason());
  soak_pause_us(200);
}
static shoal_deadline deadline(void) {
  switch (soak_below(8)) {
    case 0: return SHOAL_TRY;
    case 1: return shoal_after_us(soak_below(300));
    default: return SHOAL_FOREVER;
  }
}
static void mark(uint32_t place, uint8_t what) { __atomic_fetch_or(&ledger[place], what, __ATOMIC_SEQ_CST); }

static int put_one(struct shoal_queue *mine, const struct message *m) {
  struct shoal_loan loan;
  if (soak_below(4)) return shoal_queue_put(mine, m, deadline());
  int rc = shoal_queue_reserve(mine, &loan, deadline());
  if (rc) return rc;
  if (soak_below(8) == 0) return shoal_queue_cancel(mine, &loan) ? -EINVAL : -EAGAIN;
  *(struct message *)loan.data = *m;
  return shoal_queue_commit(mine, &loan);
}
static void produce(struct shoal_queue *mine) {
  for (;;) {
    uint64_t place = __atomic_fetch_add(&counters->next, 1, __ATOMIC_SEQ_CST);
    if (place >= LEDGER) break;
    struct message m = {(int32_t)soak_random() % 8, (uint32_t)place};
    int rc;
    while ((rc = put_one(mine, &m))) goes_on(rc);
    mark(m.place, SENT);
    if (pace && soak_below(4) == 0) soak_pause_us(soak_below(2 * pace));
  }
}
// While it grows nothing is taken, now and then for some hundred messages.
static void consume_one(struct shoal_queue *mine) {
  struct shoal_loan loan;
  while (grows && counters->next % 4096 < 512 && !counters->closed) soak_pause_us(50);
  int rc = shoal_queue_receive(mine, &loan, deadline());
  if (rc) {
    goes_on(rc);
    return;
  }
  struct message m = *(struct message *)loan.data;
  SOAK_EXPECT(m.place < LEDGER && m.place < counters->next, "received %x, which nobody sent", m.place);
  if (m.place >= LEDGER) return;
  if (pace && soak_below(grows ? 4 : 16) == 0) soak_pause_us(soak_below(pace));
  if (soak_below(16) == 0) {
    rc = shoal_queue_return(mine, &loan);
    SOAK_EXPECT(rc == 0, "return answered %d (%s)", rc, shoal_reason());
    return;
  }
  mark(m.place, SEEN);
  rc = shoal_queue_release(mine, &loan);
  SOAK_EXPECT(rc == 0, "release answered %d (%s)", rc, shoal_reason());
  if (__atomic_fetch_or(&ledger[m.place], DONE, __ATOMIC_SEQ_CST) & DONE)
    __atomic_fetch_add(&counters->twice, 1, __ATOMIC_SEQ_CST);
  __atomic_fetch_add(&counters->released, 1, __ATOMIC_SEQ_CST);
}
static void work(uint32_t id, int seat) {
  struct shoal_queue *mine;
  (void)id;
  int rc = shoal_queue_open(seg, "messages", sizeof(struct message), &mine);
  SOAK_EXPECT(rc == 0, "open: %d %s", rc, shoal_reason());
  if (rc) return;
  if (seat < PRODUCERS) produce(mine);
  else
    for (;;) {
      consume_one(mine);
      if (soak_below(1000) == 0) shoal_queue_leave(mine, SHOAL_CONSUMER);
    }
  while (!counters->closed) soak_pause_us(500);
  _exit(0);
}

static uint64_t progress(void) { return counters->released; }
static int full(void) { return counters->next > LEDGER / 2; }

static void end(void) {
  struct shoal_queue_info info;
  shoal_queue_close(q);
  counters->closed = 1;
  soak_all_end(WORKERS, PRODUCERS, "producer", "consumer");
  shoal_queue_info(q, &info);
  SOAK_EXPECT(!grows || info.grown || counters->next < 100, "it never grew");
  SOAK_EXPECT(info.size == 0, "%lu messages left in a queue that was closed and drained", info.size);
  for (uint64_t place = 0; place < counters->next && place < LEDGER; place++)
    soak.lost += (ledger[place] & (SENT | SEEN)) == SENT;
  soak.doubled += counters->twice;
  soak.done += counters->released;
  shoal_queue_unlink(seg, "messages");
  shoal_queue_detach(q);
  int rc = shoal_segment_close(seg);
  SOAK_EXPECT(rc == 0, "closing the segment: %d %s", rc, shoal_reason());
}

const struct soak_room soak_growing = {"growing", WORKERS, begin_growing, work, progress, full, end, NULL, NULL};
const struct soak_room soak_ordered = {"ordered", WORKERS, begin, work, progress, full, end, NULL, NULL};
