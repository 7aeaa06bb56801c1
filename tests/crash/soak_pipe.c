// tests/crash/soak_pipe.c: pairs of processes at the ends of a pipe each, one way and both ways. Who dies has its end
// taken by the next one, and what it sent is received. A full ledger, all in order, and the end of the stream: who is
// left alone by a death receives all that was sent, then hears of the end, before another comes.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/pipe.h"
#include "tests/crash/soak_ledger.h"

#define WORKERS 8  // seat s is at end s % 2 of pipe s / 2
#define PIPES (WORKERS / 2)
#define LENGTH_MAX 6000u

static struct ledger ledger;
static struct table {
  volatile uint32_t closed;
  volatile uint32_t taken[WORKERS];  // its worker has the end
  volatile uint32_t quiet[WORKERS];  // its worker sends nothing any more
  volatile uint64_t ends[WORKERS];   // how often its worker was told of the end
  volatile uint64_t sent[WORKERS];   // 1 + the place of the last message acknowledged
  volatile uint64_t seen[WORKERS];   // 1 + the place of the last message that came, in order
} * t;
static struct shoal_segment *seg;
static struct shoal_pipe *ends[PIPES][2];  // the driver's: never used
static uint32_t pace;

static int sends(int seat) { return seat % 2 == 1 || seat / 2 % 2; }  // every other pipe is duplex
static int receives(int seat) { return seat % 2 == 0 || seat / 2 % 2; }

// Both ways, both would wait for each other.
static shoal_deadline deadline(int seat) {
  return sends(seat) && receives(seat) ? shoal_after_us(soak_below(300)) : soak_deadline();
}

static void begin(void) {
  static const struct shoal_segment_options small = {
      .size = 1 << 20, .size_max = 1 << 26, .participants = 1024, .objects = 64};
  char name[16];
  if (!t) t = soak_shared(sizeof *t);
  memset((void *)t, 0, sizeof *t);
  ledger_begin(&ledger);
  if (shoal_segment_create(NULL, &small, &seg)) soak_fault("segment: %s", shoal_reason());
  pace = soak_below(2) ? 100 : 0;
  shoal_spin_max_ = soak_below(2) ? SHOAL_SPIN_MAX : 0;
  for (int i = 0; i < PIPES; i++) {
    struct shoal_pipe_options o = {.capacity = 1 + soak_below(40), .duplex = i % 2};
    snprintf(name, sizeof name, "pipe%d", i);
    int rc = shoal_pipe_create(seg, name, &o, ends[i]);
    SOAK_EXPECT(rc == 0, "create: %d %s", rc, shoal_reason());
  }
}

static void goes_on(int seat, int rc) {  // after an answer that is no message
  if (rc == -EPIPE && t->closed) _exit(0);
  if (rc == -EPIPE) __atomic_fetch_add(&t->ends[seat], 1, __ATOMIC_SEQ_CST);
  SOAK_EXPECT(rc == -EPIPE || rc == -ETIMEDOUT || rc == -EAGAIN || rc == -EUSERS || rc == -ENOSPC, "answered %d (%s)",
              rc, shoal_reason());
  soak_pause_us(100);
}

// ---- one message ----

static int send_one(struct shoal_pipe *p, int seat, struct ledger_head head) {
  static char text[LENGTH_MAX];
  uint64_t size = sizeof head + soak_below(soak_below(2) ? 40 : LENGTH_MAX - 8);
  struct shoal_loan loan;
  if (soak_below(2)) {
    memset(text, (int)head.place, size);
    memcpy(text, &head, sizeof head);
    return shoal_pipe_send(p, text, size, deadline(seat));
  }
  int rc = shoal_pipe_reserve(p, size, &loan, deadline(seat));
  if (rc) return rc;
  if (soak_below(8) == 0) return shoal_pipe_cancel(p, &loan) ? -EINVAL : -EAGAIN;
  memset(loan.data, (int)head.place, loan.size);
  memcpy(loan.data, &head, sizeof head);
  return shoal_pipe_commit(p, &loan);
}

// Places of one sender's messages only grow. The last one may come again: its receiver died with it.
static int is_next(int seat, const void *message, uint64_t size) {
  struct ledger_head head;
  memcpy(&head, message, sizeof head);
  if (!ledger_sound(&ledger, head)) return 0;
  SOAK_EXPECT(((const unsigned char *)message)[size - 1] == (unsigned char)head.place || size == sizeof head,
              "the last byte of message %x", head.place);
  SOAK_EXPECT(head.place + 1 >= t->seen[seat], "message %x after %lx", head.place, t->seen[seat] - 1);
  t->seen[seat] = head.place + 1u;
  return 1;
}
static int recv_one(struct shoal_pipe *p, int seat) {
  uint64_t size, room = soak_below(8) ? LENGTH_MAX : soak_below(100);
  int rc = shoal_pipe_recv(p, ledger_hand(&ledger, seat), room, &size, deadline(seat));
  if (rc) ledger_drop(&ledger, seat);
  if (rc == -EMSGSIZE) return size > room ? -EAGAIN : rc;
  if (rc == 0 && is_next(seat, ledger_hand(&ledger, seat), size)) ledger_done(&ledger, seat);
  return rc;
}
static int receive_one(struct shoal_pipe *p, int seat) {
  struct shoal_loan loan;
  int rc = shoal_pipe_receive(p, &loan, deadline(seat));
  if (rc) return rc;
  if (!is_next(seat, loan.data, loan.size)) return 0;
  if (pace) soak_linger();
  if (soak_below(16) == 0) return shoal_pipe_return(p, &loan);
  ledger_hold(&ledger, seat, *(struct ledger_head *)loan.data);
  rc = shoal_pipe_release(p, &loan);
  if (rc == 0) ledger_done(&ledger, seat);
  return rc;
}

// The end: all that was acknowledged before the call came, or died in a hand.
static void expect_all_came(uint64_t sent) {
  SOAK_EXPECT(!sent || ledger_is_over(&ledger, (uint32_t)(sent - 1)), "the end came before message %lx", sent - 1);
}
static void take_one(struct shoal_pipe *p, int seat) {
  uint64_t sent = t->sent[seat ^ 1];
  int rc = soak_below(2) ? recv_one(p, seat) : receive_one(p, seat);
  if (rc == -EPIPE) expect_all_came(sent);
  if (rc) goes_on(seat, rc);
}
// Its next message waits for a better moment if there is no room.
static void give_one(struct shoal_pipe *p, int seat, struct ledger_head *head) {
  if (!head->check) *head = ledger_next(&ledger);
  if (head->place == LEDGER_PLACES) return;
  int rc = send_one(p, seat, *head);
  if (rc) {
    goes_on(seat, rc);
    return;
  }
  ledger_sent(&ledger, head->place);
  t->sent[seat] = head->place + 1u;
  *head = (struct ledger_head){0, 0};
  if (pace && soak_below(4) == 0) soak_pause_us(soak_below(2 * pace));
}

static void take_end(struct shoal_pipe *p, int seat) {
  int rc;
  while ((rc = receives(seat) ? shoal_pipe_poll(p, SHOAL_TRY) : shoal_pipe_join(p, SHOAL_PRODUCER)) == -EUSERS)
    soak_pause_us(100);
  SOAK_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "taking end %d: %d %s", seat, rc, shoal_reason());
  t->taken[seat] = 1;
}
static void work(uint32_t id, int seat) {
  struct shoal_pipe *p;
  struct ledger_head head = {0, 0};
  char name[16];
  (void)id;
  snprintf(name, sizeof name, "pipe%d", seat / 2);
  int rc = shoal_pipe_open(seg, name, 0, (uint32_t)seat % 2, &p);
  SOAK_EXPECT(rc == 0, "open: %d %s", rc, shoal_reason());
  if (rc) return;
  for (take_end(p, seat); !t->closed;) {
    if (sends(seat)) give_one(p, seat, &head);
    if (receives(seat)) take_one(p, seat);
  }
  t->quiet[seat] = 1;
  while (receives(seat)) {  // what is left; one way, until the end comes
    uint32_t quiet = sends(seat) && t->quiet[seat ^ 1];
    int rc = sends(seat) ? shoal_pipe_poll(p, SHOAL_TRY) : 0;
    if (rc == -EAGAIN && quiet) break;
    if (rc != -EAGAIN) take_one(p, seat);
  }
  _exit(0);
}

static uint64_t progress(void) { return ledger.counts->done; }
static int full(void) { return ledger_is_full(&ledger); }
static void buried(int seat) {
  ledger_bury(&ledger, seat);
  t->taken[seat] = 0;
}

// Who is left alone at its pipe is told of the end.
static int settled(uint64_t seen, int asleep) {
  static uint64_t kills, told[WORKERS];
  (void)seen, (void)asleep;
  if (kills != soak.kills)
    for (int seat = 0; seat < WORKERS; seat++) told[seat] = t->ends[seat];
  kills = soak.kills;
  for (int seat = 0; seat < WORKERS; seat++) {
    int alone = soak_pid[seat] && !soak_pid[seat ^ 1];
    if (alone && receives(seat) && t->taken[seat] && t->taken[seat ^ 1] && t->ends[seat] == told[seat]) return 0;
  }
  return 1;
}

static void end(void) {
  t->closed = 1;
  for (int pass = 0; pass < 2; pass++)  // who sends closes; then the others hear of the end
    for (int seat = 0; seat < WORKERS; seat++) {
      if (sends(seat) == pass || soak_ends(seat, 10)) continue;
      soak.stalled++;
      printf("  end %d of pipe %d does not end\n", seat % 2, seat / 2);
    }
  ledger_settle(&ledger);
  for (int i = 0; i < PIPES; i++)
    for (int side = 0; side < 2; side++) shoal_pipe_close(&ends[i][side]);
  ledger_expect_no_block(seg);
  int rc = shoal_segment_close(seg);
  SOAK_EXPECT(rc == 0, "closing the segment: %d %s", rc, shoal_reason());
}

const struct soak_room soak_pipe = {"pipe", WORKERS, begin, work, progress, full, end, settled, buried};
