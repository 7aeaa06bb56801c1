// tests/crash/soak_spsc.c: elements through queues of kind SPSC, one producer and one consumer at a time, killed and
// succeeded: one by one, in place, in batches, by selects. Numbers come in order; each whose put returned comes once,
// or again if its consumer died with it.
//
// A producer notes the number that it is about to put (trying), then that it was put (acknowledged). A consumer has
// them written into its hands: a number that it dies with is known.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/select.h"
#include "tests/crash/soak.h"

#define LINES 4
#define WORKERS (2 * LINES)  // seat s: the producer, or consumer (odd), of line s / 2
#define NUMBERS (1u << 22)
#define HANDS 8

SHOAL_QUEUE_TYPED(numbers, uint64_t)
SHOAL_SELECT_TYPED(numbers, uint64_t)

static struct line {
  volatile uint64_t trying, seen, got;
  volatile uint64_t hands[HANDS];
  volatile uint8_t acknowledged[NUMBERS];  // the producers
  volatile uint8_t died[NUMBERS];          // the consumers: in the hands of one of them
} * lines;
static volatile uint32_t *closed;
static struct shoal_segment *seg;
static struct shoal_queue *queues[LINES];  // the driver's
static uint32_t pace;

static const char *name_of(int line) {
  static char name[16];
  snprintf(name, sizeof name, "line%d", line);
  return name;
}
static void begin(void) {
  static const struct shoal_segment_options small = {
      .size = 1 << 20, .size_max = 1 << 24, .participants = 1024, .objects = 16};
  if (!lines) lines = soak_shared(sizeof *lines * LINES), closed = soak_shared(4096);
  for (int i = 0; i < LINES; i++) {
    memset((void *)(uintptr_t)lines[i].acknowledged, 0, lines[i].trying + 1);
    memset((void *)(uintptr_t)lines[i].died, 0, lines[i].trying + 1);
    memset((void *)&lines[i], 0, offsetof(struct line, acknowledged));
  }
  *closed = 0;
  if (shoal_segment_create(NULL, &small, &seg)) soak_fault("segment: %s", shoal_reason());
  pace = soak_below(2) ? 100 : 0;
  shoal_spin_max_ = soak_below(2) ? SHOAL_SPIN_MAX : 0;
  for (int i = 0; i < LINES; i++) {
    struct shoal_queue_options o = {.capacity = 2u << soak_below(6), .kind = SHOAL_QUEUE_SPSC};
    int rc = numbers_create(seg, name_of(i), &o, &queues[i]);
    SOAK_EXPECT(rc == 0, "create: %d %s", rc, shoal_reason());
  }
}

static void goes_on(int rc) {  // after an answer that is no number
  if (soak_is_the_end(rc, *closed)) _exit(0);
  SOAK_EXPECT(rc == -EPIPE || rc == -ETIMEDOUT || rc == -EAGAIN || rc == -EUSERS, "answered %d (%s)", rc,
              shoal_reason());
  soak_pause_us(200);
}
static int by_select(struct shoal_case c) {
  struct shoal_case cases[] = {shoal_on_nothing(), c};
  int k = shoal_select(cases, 2, soak_deadline());
  return k == 1 ? cases[1].result : k;
}

// ---- the producer: how many from `n` on went in, or an error ----
static int in_place(struct shoal_queue *q, uint64_t n) {
  struct shoal_loan loan;
  int rc = shoal_queue_reserve(q, &loan, soak_deadline());
  if (rc) return rc;
  if (soak_below(8) == 0) return shoal_queue_cancel(q, &loan) ? -EINVAL : -EAGAIN;
  *(uint64_t *)loan.data = n;
  return shoal_queue_commit(q, &loan);
}
static int put_some(struct shoal_queue *q, struct line *l, uint64_t n) {
  uint64_t many[HANDS];
  uint32_t want = soak_below(4) ? 1 : 1 + soak_below(HANDS);
  for (uint32_t i = 0; i < want; i++) many[i] = n + i;
  l->trying = n + want - 1;
  if (want > 1) return numbers_put_n(q, many, want, soak_deadline());
  int how = (int)soak_below(4);
  int rc = how == 0   ? in_place(q, n)
           : how == 1 ? by_select(numbers_on_put(q, &n))
                      : numbers_put(q, &n, soak_deadline());
  return rc ? rc : 1;
}
static void produce(struct shoal_queue *q, struct line *l) {
  for (uint64_t n = l->trying + 1; n + HANDS < NUMBERS;) {  // of what its predecessor tried, nobody knows
    int rc = put_some(q, l, n);
    if (rc < 0) goes_on(rc);
    for (; rc > 0; rc--) l->acknowledged[n++] = 1;
    if (pace && soak_below(4) == 0) soak_pause_us(soak_below(2 * pace));
    if (soak_below(1000) == 0) shoal_queue_leave(q, SHOAL_PRODUCER);
  }
}

// ---- the consumer ----
// What its predecessor had in its hands is gone, or comes again.
static void bury(struct line *l) {
  for (int i = 0; i < HANDS; i++) {
    uint64_t n = l->hands[i];
    if (n > l->seen && n < NUMBERS) l->died[n] = 1;
  }
}
static void came(struct line *l, uint64_t n) {
  SOAK_EXPECT(n > l->seen && n <= l->trying, "%lu after %lu, of %lu", n, l->seen, l->trying);
  for (uint64_t i = l->seen + 1; i < n && i < NUMBERS; i++)
    SOAK_EXPECT(!l->acknowledged[i] || l->died[i], "%lu is lost: %lu after %lu", i, n, l->seen);
  l->seen = n;
  l->got++;
}
static int get_in_place(struct shoal_queue *q, struct line *l) {
  struct shoal_loan loan;
  int rc = shoal_queue_receive(q, &loan, soak_deadline());
  if (rc) return rc;
  if (soak_below(16) == 0) return shoal_queue_return(q, &loan) ? -EINVAL : -EAGAIN;
  l->hands[0] = *(uint64_t *)loan.data;
  return shoal_queue_release(q, &loan);
}
static int get_some(struct shoal_queue *q, struct line *l) {
  uint64_t *hands = (uint64_t *)(uintptr_t)l->hands;
  if (soak_below(4) == 0) return numbers_get_n(q, hands, 1 + soak_below(HANDS), soak_deadline());
  int how = (int)soak_below(4);
  int rc = how == 0   ? get_in_place(q, l)
           : how == 1 ? by_select(numbers_on_get(q, hands))
                      : numbers_get(q, hands, soak_deadline());
  return rc ? rc : 1;
}
static void consume(struct shoal_queue *q, struct line *l) {
  for (bury(l);;) {
    int n = get_some(q, l);
    if (n < 0) goes_on(n);
    for (int i = 0; i < n; i++) came(l, l->hands[i]);
    if (soak_below(1000) == 0) shoal_queue_leave(q, SHOAL_CONSUMER);
  }
}

static void work(uint32_t id, int seat) {
  struct shoal_queue *q;
  (void)id;
  int rc = numbers_open(seg, name_of(seat / 2), &q);
  SOAK_EXPECT(rc == 0, "open: %d %s", rc, shoal_reason());
  if (rc) return;
  if (seat % 2) consume(q, &lines[seat / 2]);
  else produce(q, &lines[seat / 2]);
  while (!*closed) soak_pause_us(500);
  _exit(0);
}

static uint64_t progress(void) {
  uint64_t n = 0;
  for (int i = 0; i < LINES; i++) n += lines[i].got;
  return n;
}
static int full(void) {
  for (int i = 0; i < LINES; i++)
    if (lines[i].trying > NUMBERS / 2) return 1;
  return 0;
}
static void end(void) {
  for (int i = 0; i < LINES; i++) shoal_queue_close(queues[i]);
  *closed = 1;
  for (int seat = 0; seat < WORKERS; seat++) {
    if (soak_ends(seat, 10)) continue;
    soak.stalled++;
    printf("  the %s of line %d does not end\n", seat % 2 ? "consumer" : "producer", seat / 2);
  }
  for (int i = 0; i < LINES; i++) {
    struct line *l = &lines[i];
    bury(l);
    for (uint64_t n = l->seen + 1; n <= l->trying; n++) soak.lost += l->acknowledged[n] && !l->died[n];
    soak.done += l->got;
    int rc = shoal_queue_detach(queues[i]);
    SOAK_EXPECT(rc == 0, "detach: %d %s", rc, shoal_reason());
  }
  int rc = shoal_segment_close(seg);
  SOAK_EXPECT(rc == 0, "closing the segment: %d %s", rc, shoal_reason());
}

const struct soak_room soak_lines = {"lines", WORKERS, begin, work, progress, full, end, NULL, NULL};
