// tests/crash/soak_policy.c: three queues under policies, each with a full ledger.
//   leased    what is not released in time comes again, what came too often goes to dead letters: released once, or there.
//             Of any kind but SPSC, the dead letters too; got as well as received
//   joinable  done once; when join_tasks answers, all that was put before is done
//   dropping  one gives way, of any kind but SPSC: each that was put is received once, or counted as discarded
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/queue.h"
#include "tests/crash/soak_ledger.h"

#define QUEUES 3
#define WORKERS 12  // of each queue: one produces, the others consume
#define CAPACITY 16u
#define RECENT 256u

enum { LEASED, JOINABLE, DROPPING };
static const char *const names[QUEUES] = {"leased", "joinable", "dropping"};
SHOAL_QUEUE_TYPED(messages, struct ledger_head)

static struct ledger ledgers[QUEUES];
static struct table {
  volatile uint32_t closed;
  volatile uint64_t puts;                      // producers of `dropping` that were killed while they put
  volatile uint32_t putting;                   // there
  volatile uint64_t recent_n, recent[RECENT];  // 1 + places, put to `joinable`
} * t;
static struct shoal_segment *seg;
static struct shoal_queue *queue[QUEUES], *dead;  // the driver's
static uint32_t pace;

static int queue_of(int seat) { return seat % QUEUES; }
static int produces(int seat) { return seat < QUEUES; }

static void of_any_kind(struct shoal_queue_options *o) {
  static const uint32_t kinds[] = {SHOAL_QUEUE_MPMC, SHOAL_QUEUE_FIFO, SHOAL_QUEUE_LIFO, SHOAL_QUEUE_PRIORITY};
  o->kind = kinds[soak_below(4)];
  if (o->kind == SHOAL_QUEUE_PRIORITY) o->key = (struct shoal_queue_key){SHOAL_KEY_U32, 4};
}
static void begin(void) {
  static const struct shoal_segment_options small = {
      .size = 1 << 20, .size_max = 1 << 24, .participants = 1024, .objects = 64};
  struct shoal_queue_options options[QUEUES] = {
      [LEASED] = {.lease_ns = 1000000, .delivery_max = 1 + soak_below(4), .dead_letters = "dead"},
      [JOINABLE] = {.joinable = 1, .kind = soak_below(2) ? SHOAL_QUEUE_MPMC : SHOAL_QUEUE_FIFO + soak_below(2)},
      [DROPPING] = {.overflow = SHOAL_OVERFLOW_DROP_OLDEST,
                    .kind = soak_below(3) ? SHOAL_QUEUE_FIFO + soak_below(3) : SHOAL_QUEUE_MPMC}};
  if (options[DROPPING].kind == SHOAL_QUEUE_PRIORITY)
    options[DROPPING].key = (struct shoal_queue_key){SHOAL_KEY_U32, offsetof(struct ledger_head, place)};
  if (!t) t = soak_shared(sizeof *t);
  memset((void *)t, 0, sizeof *t);
  if (shoal_segment_create(NULL, &small, &seg)) soak_fault("segment: %s", shoal_reason());
  pace = soak_below(2) ? 100 : 0;
  shoal_spin_max_ = soak_below(2) ? SHOAL_SPIN_MAX : 0;
  struct shoal_queue_options letters = {.capacity = 4096};
  of_any_kind(&letters);
  int rc = messages_create(seg, "dead", &letters, &dead);
  for (int i = 0; i < QUEUES && rc == 0; i++) {
    struct shoal_queue_options o = options[i];
    o.capacity = 2 + soak_below(CAPACITY), o.producers = o.consumers = 16;
    if (i == LEASED) of_any_kind(&o);
    ledger_begin(&ledgers[i]);
    rc = messages_create(seg, names[i], &o, &queue[i]);
  }
  SOAK_EXPECT(rc == 0, "create: %d %s", rc, shoal_reason());
}

static void goes_on(int rc) {  // after an answer that is no message
  if (soak_is_the_end(rc, t->closed)) _exit(0);
  SOAK_EXPECT(rc == -EPIPE || rc == -ETIMEDOUT || rc == -EAGAIN || rc == -EUSERS, "answered %d (%s)", rc,
              shoal_reason());
  soak_pause_us(200);
}

// ---- producing ----

static void note(int which, uint32_t place) {
  ledger_sent(&ledgers[which], place);
  if (which != JOINABLE) return;
  t->recent[t->recent_n % RECENT] = place + 1u;
  t->recent_n = t->recent_n + 1;
}
static void produce(struct shoal_queue *mine, int which) {
  for (;;) {
    struct ledger_head head = ledger_next(&ledgers[which]);
    if (head.place == LEDGER_PLACES) break;
    int rc;
    if (which == DROPPING) t->putting = 1;
    while ((rc = messages_put(mine, &head, soak_deadline()))) goes_on(rc);
    note(which, head.place);
    if (which == DROPPING) t->putting = 0;
    if ((pace || which == DROPPING) && soak_below(4) == 0) soak_pause_us(soak_below(200));
  }
}

// ---- consuming ----

static void bury(struct shoal_queue *letters) {
  struct shoal_loan loan;
  while (shoal_queue_receive(letters, &loan, SHOAL_TRY) == 0) {
    struct ledger_head head = *(struct ledger_head *)loan.data;
    if (ledger_sound(&ledgers[LEASED], head)) ledger_buried(&ledgers[LEASED], head.place);
    int rc = shoal_queue_release(letters, &loan);
    SOAK_EXPECT(rc == 0, "a dead letter's release: %d %s", rc, shoal_reason());
  }
}
// In one piece: if the lease has run out by now, it may be that of the next message.
static struct ledger_head head_in(const void *data) {
  uint64_t word = __atomic_load_n((const uint64_t *)data, __ATOMIC_ACQUIRE);
  return (struct ledger_head){(uint32_t)word, (uint32_t)(word >> 32)};
}
static int get_leased(struct shoal_queue *mine, int seat) {
  struct ledger *l = &ledgers[LEASED];
  int rc = messages_get(mine, ledger_hand(l, seat), soak_deadline());
  if (rc) ledger_drop(l, seat);
  else if (ledger_sound(l, *ledger_hand(l, seat))) ledger_done(l, seat);
  return rc;
}
// Now and then it holds on to a message for too long.
static int take_leased(struct shoal_queue *mine, int seat) {
  struct ledger *l = &ledgers[LEASED];
  struct shoal_loan loan;
  if (soak_below(8) == 0) return get_leased(mine, seat);
  int rc = shoal_queue_receive(mine, &loan, soak_deadline());
  if (rc) return rc;
  struct ledger_head head = head_in(loan.data);
  if (!ledger_sound(l, head)) return 0;
  if (soak_below(64) == 0) soak_pause_us(500 + soak_below(1500));
  if (soak_below(16) == 0) {
    rc = shoal_queue_extend(mine, &loan);
    SOAK_EXPECT(rc == 0 || rc == -ETIMEDOUT, "extend: %d %s", rc, shoal_reason());
  }
  if (soak_below(8) == 0) return shoal_queue_return(mine, &loan);
  ledger_hold(l, seat, head);
  rc = shoal_queue_release(mine, &loan);
  if (rc == 0) ledger_done(l, seat);
  else ledger_drop(l, seat);
  return rc;
}
static int take_joinable(struct shoal_queue *mine, int seat) {
  struct ledger *l = &ledgers[JOINABLE];
  struct ledger_head head;
  int rc = messages_get(mine, &head, soak_deadline());
  if (rc) return rc;
  if (!ledger_sound(l, head)) return 0;
  if (pace) soak_linger();
  ledger_hold(l, seat, head);
  rc = shoal_queue_task_done(mine);
  SOAK_EXPECT(rc == 0, "task_done: %d %s", rc, shoal_reason());
  if (rc == 0) ledger_done(l, seat);
  return 0;
}
static int take_dropping(struct shoal_queue *mine, int seat) {
  struct ledger *l = &ledgers[DROPPING];
  int rc = messages_get(mine, ledger_hand(l, seat), soak_deadline());
  if (rc) return rc;
  if (ledger_sound(l, *ledger_hand(l, seat))) ledger_done(l, seat);
  if (soak_below(4) == 0) soak_pause_us(soak_below(200));
  return 0;
}
// All that was put before is done by then.
static void join(struct shoal_queue *mine) {
  uint64_t n = t->recent_n, places[RECENT];
  for (unsigned i = 0; i < RECENT; i++) places[i] = n ? t->recent[i] : 0;
  int rc = shoal_queue_join_tasks(mine, shoal_after_us(soak_below(2000)));
  SOAK_EXPECT(rc == 0 || rc == -ETIMEDOUT || rc == -EPIPE || rc == -EDEADLK, "join_tasks: %d %s", rc, shoal_reason());
  for (unsigned i = 0; rc == 0 && i < RECENT; i++)
    if (places[i] && !ledger_is_over(&ledgers[JOINABLE], (uint32_t)places[i] - 1))
      soak_fault("message %lx is not done, and joined", places[i] - 1);
}

static void consume(struct shoal_queue *mine, int which, int seat) {
  static int (*const take[QUEUES])(struct shoal_queue *, int) = {take_leased, take_joinable, take_dropping};
  for (;;) {
    int rc = take[which](mine, seat);
    if (rc) goes_on(rc);
    if (which == JOINABLE && soak_below(64) == 0) join(mine);
    if (which == LEASED && soak_below(256) == 0) bury(dead);
    if (soak_below(1000) == 0) shoal_queue_leave(mine, SHOAL_CONSUMER);
  }
}
static void work(uint32_t id, int seat) {
  struct shoal_queue *mine;
  int which = queue_of(seat);
  (void)id;
  int rc = messages_open(seg, names[which], &mine);
  SOAK_EXPECT(rc == 0, "open: %d %s", rc, shoal_reason());
  if (rc) return;
  if (produces(seat)) produce(mine, which);
  else consume(mine, which, seat);
  while (!t->closed) soak_pause_us(500);
  _exit(0);
}

static uint64_t progress(void) {
  uint64_t n = 0;
  for (int i = 0; i < QUEUES; i++) n += ledgers[i].counts->done;
  return n;
}
static int full(void) {
  return ledger_is_full(&ledgers[LEASED]) || ledger_is_full(&ledgers[JOINABLE]) || ledger_is_full(&ledgers[DROPPING]);
}
static void buried(int seat) {
  ledger_bury(&ledgers[queue_of(seat)], seat);
  if (queue_of(seat) != DROPPING || !produces(seat)) return;
  t->puts += t->putting;
  t->putting = 0;
}

// What a producer was putting, or dropping, when it was killed may be counted or not.
static void settle_dropping(const struct shoal_queue_info *info) {
  uint64_t missing = ledger_missing(&ledgers[DROPPING]);
  SOAK_EXPECT(missing <= info->discarded + t->puts, "%lu are missing, %lu were dropped", missing, info->discarded);
  SOAK_EXPECT(info->discarded <= missing + t->puts, "%lu were dropped, %lu are missing", info->discarded, missing);
  ledgers[DROPPING].counts->blind = missing;
}
static void end(void) {
  struct shoal_queue_info info;
  for (int i = 0; i < QUEUES; i++) shoal_queue_close(queue[i]);
  t->closed = 1;
  for (int seat = 0; seat < WORKERS; seat++)
    if (!soak_ends(seat, 10)) {
      soak.stalled++;
      printf("  a %s of %s does not end after the close\n", produces(seat) ? "producer" : "consumer",
             names[queue_of(seat)]);
    }
  bury(dead);
  for (int i = 0; i < QUEUES; i++) {
    shoal_queue_info(queue[i], &info);
    SOAK_EXPECT(info.size == 0, "%lu messages left in %s", info.size, names[i]);
    if (i == DROPPING) settle_dropping(&info);
    ledger_settle(&ledgers[i]);
    shoal_queue_detach(queue[i]);
  }
  shoal_queue_detach(dead);
  int rc = shoal_segment_close(seg);
  SOAK_EXPECT(rc == 0, "closing the segment: %d %s", rc, shoal_reason());
}

const struct soak_room soak_policy = {"policies", WORKERS, begin, work, progress, full, end, NULL, buried};
