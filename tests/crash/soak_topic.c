// tests/crash/soak_topic.c: publishers and subscribers of one topic: alone, waited for or not, and in a group. Who
// reads alone and is waited for misses nothing from its subscription on, and sees nothing twice; who is not waited for
// sees things in order; what a group received, one of its members did, once: a full ledger.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/topic.h"
#include "tests/crash/soak_ledger.h"

#define WORKERS 9
#define PUBLISHERS 3  // seats 0..2
#define WAITED 5      // 3, 4: alone, and publishers wait; 5: they do not; 6..8 share

struct message {
  struct ledger_head head;
  uint32_t who, number;  // of its publisher, from 1 on
};
static struct ledger ledger;  // the group's
static struct life {          // by id; its publisher's
  volatile uint32_t trying, sent;
} * lives;
static struct table {
  volatile uint32_t closed;
  volatile uint64_t seen;
} * t;
static struct shoal_segment *seg;
static struct shoal_topic
    *topic;  // the driver's, which is in the group as long as the round goes on, so that it does not end
static uint32_t pace;

static void begin(void) {
  static const struct shoal_segment_options small = {
      .size = 1 << 20, .size_max = 1 << 26, .participants = 1024, .objects = 64};
  if (!t) t = soak_shared(sizeof *t), lives = soak_shared(sizeof *lives * SOAK_IDS);
  memset((void *)t, 0, sizeof *t);
  memset((void *)lives, 0, sizeof *lives * SOAK_IDS);
  ledger_begin(&ledger);
  if (shoal_segment_create(NULL, &small, &seg)) soak_fault("segment: %s", shoal_reason());
  struct shoal_topic_options o = {
      .capacity = 2u << soak_below(7), .element_size = sizeof(struct message), .publishers = 16, .subscribers = 16};
  pace = soak_below(2) ? 100 : 0;
  shoal_spin_max_ = soak_below(2) ? SHOAL_SPIN_MAX : 0;
  int rc = shoal_topic_create(seg, "topic", &o, &topic);
  if (rc == 0) rc = shoal_topic_subscribe(topic, &(struct shoal_topic_subscription){.group = "g"});
  SOAK_EXPECT(rc == 0, "create: %d %s", rc, shoal_reason());
}

// 1: it is the end. Nobody publishes at the moment, or the round is over.
static int goes_on(int rc) {
  if (soak_is_the_end(rc, t->closed)) return 1;
  SOAK_EXPECT(rc == -EPIPE || rc == -ETIMEDOUT || rc == -EAGAIN || rc == -EUSERS, "answered %d (%s)", rc,
              shoal_reason());
  soak_pause_us(200);
  return 0;
}

// ---- publishing ----

static int publish_one(struct shoal_topic *mine, const struct message *m) {
  struct shoal_loan loan;
  if (soak_below(4)) return shoal_topic_publish(mine, m, soak_deadline());
  int rc = shoal_topic_reserve(mine, &loan, soak_deadline());
  if (rc) return rc;
  if (soak_below(8) == 0) return shoal_topic_cancel(mine, &loan) ? -EINVAL : -EAGAIN;
  *(struct message *)loan.data = *m;
  return shoal_topic_commit(mine, &loan);
}
static void publish(struct shoal_topic *mine, uint32_t id) {
  struct message m = {.who = id};
  for (;;) {
    m.head = ledger_next(&ledger);
    if (m.head.place == LEDGER_PLACES) break;
    lives[id].trying = ++m.number;
    int rc;
    while ((rc = publish_one(mine, &m)))
      if (goes_on(rc)) _exit(0);
    ledger_sent(&ledger, m.head.place);
    lives[id].sent = m.number;
    if (pace && soak_below(4) == 0) soak_pause_us(soak_below(2 * pace));
    if (soak_below(1000) == 0) shoal_topic_leave(mine);
  }
}

// ---- subscribing ----

static int take(struct shoal_topic *mine, struct message *m) {
  struct shoal_loan loan;
  if (soak_below(2)) return shoal_topic_get(mine, m, soak_deadline());
  int rc = shoal_topic_receive(mine, &loan, soak_deadline());
  if (rc) return rc;
  if (pace) soak_linger();
  *m = *(struct message *)loan.data;
  if (soak_below(16) == 0) return shoal_topic_return(mine, &loan) ? -EINVAL : -EAGAIN;
  return shoal_topic_release(mine, &loan);
}
static uint32_t *numbers(int sent) {
  uint32_t *of = calloc(SOAK_IDS, sizeof *of);
  for (uint32_t id = 0; of && id < SOAK_IDS; id++) of[id] = sent ? lives[id].sent : lives[id].trying;
  return of;
}
static void expect_in_order(const struct message *m, uint32_t *last, const uint32_t *before, int waited) {
  if (!ledger_sound(&ledger, m->head) || m->who >= SOAK_IDS) return;
  uint32_t was = last[m->who];
  SOAK_EXPECT(m->number > was, "number %u of %u after %u", m->number, m->who, was);
  if (waited && was) SOAK_EXPECT(m->number == was + 1, "number %u of %u after %u", m->number, m->who, was);
  if (waited && !was)
    SOAK_EXPECT(m->number <= before[m->who] + 1, "the first of %u is %u, not %u", m->who, m->number,
                before[m->who] + 1);
  last[m->who] = m->number;
}
static void expect_all(const uint32_t *last, const uint32_t *before) {
  for (uint32_t id = 0; id < SOAK_IDS; id++) {
    uint32_t sent = lives[id].sent;
    SOAK_EXPECT(sent <= before[id] || last[id] >= sent, "the end came after %u of %u of %u", last[id], sent, id);
  }
}
static void read_alone(struct shoal_topic *mine, int waited) {
  struct shoal_topic_subscription how = {.slow = waited ? SHOAL_TOPIC_WAIT : SHOAL_TOPIC_DROP};
  struct message m;
  uint32_t *last = calloc(SOAK_IDS, sizeof *last);
  int rc;
  while ((rc = shoal_topic_subscribe(mine, &how)))
    if (goes_on(rc)) _exit(0);
  uint32_t *before = numbers(0);  // what begins from here on is received
  while (last && before) {
    if (soak_below(2000) == 0) break;
    rc = take(mine, &m);
    if (rc == 0) {
      expect_in_order(&m, last, before, waited);
      __atomic_fetch_add(&t->seen, 1, __ATOMIC_RELAXED);
    } else if (goes_on(rc)) {
      if (waited) expect_all(last, before);
      _exit(0);
    }
  }
  free(last);
  free(before);
  shoal_topic_unsubscribe(mine);
}
static int share_one(struct shoal_topic *mine, int seat) {
  struct message *m = (struct message *)(void *)ledger_hand(&ledger, seat);
  struct shoal_loan loan;
  int rc;
  if (soak_below(2)) {
    if ((rc = shoal_topic_get(mine, m, soak_deadline()))) return rc;
  } else {
    if ((rc = shoal_topic_receive(mine, &loan, soak_deadline()))) return rc;
    if (pace) soak_linger();
    if (soak_below(16) == 0) return shoal_topic_return(mine, &loan);
    ledger_hold(&ledger, seat, *(struct ledger_head *)loan.data);
    if ((rc = shoal_topic_release(mine, &loan))) return rc;
  }
  if (ledger_sound(&ledger, m->head)) ledger_done(&ledger, seat);
  return 0;
}
static void share(struct shoal_topic *mine, int seat) {
  int rc;
  while ((rc = shoal_topic_subscribe(mine, &(struct shoal_topic_subscription){.group = "g"})))
    if (goes_on(rc)) _exit(0);
  while (soak_below(2000)) {
    if ((rc = share_one(mine, seat)) && goes_on(rc)) _exit(0);
  }
  shoal_topic_unsubscribe(mine);
}

static void work(uint32_t id, int seat) {
  struct shoal_topic *mine;
  int rc = shoal_topic_open(seg, "topic", sizeof(struct message), &mine);
  SOAK_EXPECT(rc == 0, "open: %d %s", rc, shoal_reason());
  if (rc) return;
  if (seat < PUBLISHERS) publish(mine, id);
  else
    for (;;) {
      if (seat <= WAITED) read_alone(mine, seat < WAITED);
      else share(mine, seat);
    }
  while (!t->closed) soak_pause_us(500);
  _exit(0);
}

static uint64_t progress(void) { return ledger.counts->done + t->seen; }
static int full(void) { return ledger_is_full(&ledger); }
static void buried(int seat) { ledger_bury(&ledger, seat); }

// The driver shares what is left, as the last of the group.
static void drain(void) {
  struct message m;
  while (shoal_topic_get(topic, &m, SHOAL_TRY) == 0) {
    if (!ledger_sound(&ledger, m.head)) return;
    ledger_hold(&ledger, WORKERS, m.head);
    ledger_done(&ledger, WORKERS);
  }
}
static void end(void) {
  struct shoal_topic_info info;
  shoal_topic_close(topic);
  t->closed = 1;
  soak_all_end(WORKERS, PUBLISHERS, "publisher", "subscriber");
  drain();
  shoal_topic_info(topic, &info);
  SOAK_EXPECT(info.subscribers == 1 && info.publishers == 0, "%u subscribers, %u publishers are left", info.subscribers,
              info.publishers);
  ledger_settle(&ledger);
  soak.done += t->seen;
  shoal_topic_unlink(seg, "topic");
  shoal_topic_detach(topic);
  int rc = shoal_segment_close(seg);
  SOAK_EXPECT(rc == 0, "closing the segment: %d %s", rc, shoal_reason());
}

const struct soak_room soak_topic = {"topic", WORKERS, begin, work, progress, full, end, NULL, buried};
