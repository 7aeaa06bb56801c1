// tests/crash/soak_bytes.c: messages of any length, in slots and in blocks of the heap, some by a select; and packed
// ones; each time through a queue of another kind. A full ledger, and in the end no block is anybody's.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/packed.h"
#include "ipc/queue/select.h"
#include "tests/crash/soak_ledger.h"

#define WORKERS 9
#define PRODUCERS 4  // seats 0..3; the others consume
#define LENGTH_MAX (100u << 10)

static struct ledger ledger;
static volatile uint32_t *closed;
static struct shoal_segment *seg;
static struct shoal_queue *q;  // the driver's
static uint32_t pace;

static void begin(void) {
  static const struct shoal_segment_options small = {
      .size = 1 << 20, .size_max = 1 << 26, .participants = 1024, .objects = 64};
  if (!closed) closed = soak_shared(4096);
  *closed = 0;
  ledger_begin(&ledger);
  if (shoal_segment_create(NULL, &small, &seg)) soak_fault("segment: %s", shoal_reason());
  static const uint32_t kinds[] = {SHOAL_QUEUE_MPMC, SHOAL_QUEUE_FIFO, SHOAL_QUEUE_LIFO, SHOAL_QUEUE_PRIORITY};
  struct shoal_queue_options o = {
      .capacity = 2u << soak_below(6), .bytes = 1, .producers = 16, .consumers = 16, .kind = kinds[soak_below(4)]};
  pace = soak_below(2) ? 100 : 0;
  shoal_spin_max_ = soak_below(2) ? SHOAL_SPIN_MAX : 0;
  int rc = shoal_queue_create(seg, "messages", &o, &q);
  SOAK_EXPECT(rc == 0, "create: %d %s", rc, shoal_reason());
}

static void goes_on(int rc) {  // after an answer that is no message
  if (soak_is_the_end(rc, *closed)) _exit(0);
  SOAK_EXPECT(rc == -EPIPE || rc == -ETIMEDOUT || rc == -EAGAIN || rc == -EUSERS || rc == -ENOSPC, "answered %d (%s)",
              rc, shoal_reason());
  soak_pause_us(200);
}

// ---- byte messages ----

static uint32_t length(void) {
  switch (soak_below(8)) {
    case 0:
    case 1:
    case 2: return 8 + soak_below(41);
    case 3: return 49 + soak_below(1000);
    case 4: return 1000 + soak_below(8000);
    case 5: return soak_below(16) ? 49 : soak_below(LENGTH_MAX - 8) + 8;
    default: return 8 + soak_below(300);
  }
}
static void write_message(void *out, struct ledger_head head, uint64_t size) {
  memset(out, (int)head.place, size);
  memcpy(out, &head, sizeof head);
}
static int is_whole(const void *message, uint64_t size) {
  const unsigned char *b = message;
  struct ledger_head head;
  memcpy(&head, message, sizeof head);
  if (!ledger_sound(&ledger, head)) return 0;
  uint64_t i = sizeof head;
  while (i < size && b[i] == (unsigned char)head.place) i++;
  SOAK_EXPECT(i == size, "byte %lu of %lu of message %x", i, size, head.place);
  return 1;
}

static int by_select(struct shoal_case c) {
  struct shoal_case cases[] = {shoal_on_nothing(), c};
  int k = shoal_select(cases, 2, soak_deadline());
  return k == 1 ? cases[1].result : k;
}
static int send_whole(struct shoal_queue *mine, const char *text, uint32_t size) {
  int64_t key = soak_below(5);
  if (soak_below(4) == 0)
    return by_select(mine->kind == SHOAL_QUEUE_PRIORITY ? shoal_on_send_key(mine, key, text, size)
                                                        : shoal_on_send(mine, text, size));
  if (mine->kind == SHOAL_QUEUE_PRIORITY) return shoal_queue_send_key(mine, key, text, size, soak_deadline());
  return shoal_queue_send(mine, text, size, soak_deadline());
}
static int send_one(struct shoal_queue *mine, struct ledger_head head) {
  static char text[LENGTH_MAX];
  uint32_t size = length();
  struct shoal_loan loan;
  if (soak_below(2)) {
    write_message(text, head, size);
    return send_whole(mine, text, size);
  }
  int rc = shoal_queue_reserve_bytes(mine, size, &loan, soak_deadline());
  if (rc) return rc;
  if (soak_below(8) == 0) return shoal_queue_cancel(mine, &loan) ? -EINVAL : -EAGAIN;
  if (soak_below(8) == 0) loan.size = 8 + soak_below(size - 7);
  write_message(loan.data, head, loan.size);
  loan.key = soak_below(5);
  rc = shoal_queue_commit(mine, &loan);
  if (rc) (void)shoal_queue_cancel(mine, &loan);
  return rc;
}
static int recv_one(struct shoal_queue *mine, int seat) {
  uint64_t size, room = soak_below(8) ? LEDGER_HAND_BYTES : soak_below(300);
  char *hand = (char *)ledger_hand(&ledger, seat);
  int rc = soak_below(4) ? shoal_queue_recv(mine, hand, room, &size, soak_deadline())
                         : by_select(shoal_on_recv(mine, hand, room, &size));
  if (rc) ledger_drop(&ledger, seat);
  if (rc == -EMSGSIZE) {
    SOAK_EXPECT(size > room, "no room for %lu in %lu", size, room);
    return -EAGAIN;
  }
  if (rc == 0 && is_whole(ledger_hand(&ledger, seat), size)) ledger_done(&ledger, seat);
  return rc;
}
static int receive_one(struct shoal_queue *mine, int seat) {
  struct shoal_loan loan;
  int rc = shoal_queue_receive(mine, &loan, soak_deadline());
  if (rc) return rc;
  if (!is_whole(loan.data, loan.size)) return 0;
  if (pace) soak_linger();
  if (soak_below(16) == 0) return shoal_queue_return(mine, &loan);
  ledger_hold(&ledger, seat, *(struct ledger_head *)loan.data);
  rc = shoal_queue_release(mine, &loan);
  if (rc == 0) ledger_done(&ledger, seat);
  return rc;
}

// ---- packed ones ----

static int put_packed(struct shoal_queue *mine, struct ledger_head head) {
  static char text[600];
  uint32_t n = soak_below(sizeof text - 1);
  memset(text, 'a' + (int)(head.place % 26), n);
  text[n] = 0;
  return shoal_queue_put_packed(mine, soak_deadline(), "[i i s]", (int)head.place, (int)head.check, text);
}
static int take_packed(int seat, int place, int check, const char *text, size_t n) {
  struct ledger_head head = {(uint32_t)place, (uint32_t)check};
  if (!ledger_sound(&ledger, head)) return 0;
  for (size_t i = 0; i < n; i++)
    if (text[i] != 'a' + (int)(head.place % 26)) {
      soak_fault("byte %zu of message %x", i, head.place);
      return 0;
    }
  ledger_hold(&ledger, seat, head);
  return 1;
}
static int get_packed(struct shoal_queue *mine, int seat) {
  static struct shoal_packed m;
  int place, check;
  const char *text;
  size_t n;
  ledger_blind(&ledger, seat, 1);
  int rc = shoal_queue_get_packed(mine, soak_deadline(), &m, "[i i s]", &place, &check, &text, &n);
  int sound = rc == 0 && take_packed(seat, place, check, text, n);
  ledger_blind(&ledger, seat, 0);
  if (sound) ledger_done(&ledger, seat);
  return rc;
}
static int unpack_in_place(struct shoal_queue *mine, int seat) {
  struct shoal_loan loan;
  int place, check, rc = shoal_queue_receive(mine, &loan, soak_deadline());
  const char *text;
  size_t n;
  if (rc) return rc;
  rc = shoal_unpack(loan.data, loan.size, "[i i s]", &place, &check, &text, &n);
  SOAK_EXPECT(rc == 0, "unpack: %d %s", rc, shoal_reason());
  if (rc || !take_packed(seat, place, check, text, n)) return 0;
  rc = shoal_queue_release(mine, &loan);
  if (rc == 0) ledger_done(&ledger, seat);
  return rc;
}

// ---- the work ----

static void produce(struct shoal_queue *mine, int (*one)(struct shoal_queue *, struct ledger_head)) {
  for (;;) {
    struct ledger_head head = ledger_next(&ledger);
    if (head.place == LEDGER_PLACES) break;
    int rc;
    while ((rc = one(mine, head))) goes_on(rc);
    ledger_sent(&ledger, head.place);
    if (pace && soak_below(4) == 0) soak_pause_us(soak_below(2 * pace));
    if (soak_below(1000) == 0) shoal_queue_leave(mine, SHOAL_PRODUCER);
  }
}
static void consume(struct shoal_queue *mine, int seat, int (*const one[2])(struct shoal_queue *, int)) {
  for (;;) {
    int rc = one[soak_below(2)](mine, seat);
    if (rc) goes_on(rc);
    if (soak_below(1000) == 0) shoal_queue_leave(mine, SHOAL_CONSUMER);
  }
}
static void work_as(int seat, int (*put)(struct shoal_queue *, struct ledger_head),
                    int (*const get[2])(struct shoal_queue *, int)) {
  struct shoal_queue *mine;
  int rc = shoal_queue_open(seg, "messages", 0, &mine);
  SOAK_EXPECT(rc == 0, "open: %d %s", rc, shoal_reason());
  if (rc) return;
  if (seat < PRODUCERS) produce(mine, put);
  else consume(mine, seat, get);
  while (!*closed) soak_pause_us(500);
  _exit(0);
}
static void work(uint32_t id, int seat) {
  static int (*const get[2])(struct shoal_queue *, int) = {recv_one, receive_one};
  (void)id;
  work_as(seat, send_one, get);
}
static void work_packed(uint32_t id, int seat) {
  static int (*const get[2])(struct shoal_queue *, int) = {get_packed, unpack_in_place};
  (void)id;
  work_as(seat, put_packed, get);
}

static uint64_t progress(void) { return ledger.counts->done; }
static int full(void) { return ledger_is_full(&ledger); }
static void buried(int seat) { ledger_bury(&ledger, seat); }

static void end(void) {
  struct shoal_queue_info info;
  shoal_queue_close(q);
  *closed = 1;
  soak_all_end(WORKERS, PRODUCERS, "producer", "consumer");
  shoal_queue_info(q, &info);
  SOAK_EXPECT(info.size == 0, "%lu messages left in a queue that was closed and drained", info.size);
  ledger_settle(&ledger);
  ledger_expect_no_block(seg);
  shoal_queue_unlink(seg, "messages");
  shoal_queue_detach(q);
  int rc = shoal_segment_close(seg);
  SOAK_EXPECT(rc == 0, "closing the segment: %d %s", rc, shoal_reason());
}

const struct soak_room soak_bytes = {"bytes", WORKERS, begin, work, progress, full, end, NULL, buried};
const struct soak_room soak_packed = {"packed", WORKERS, begin, work_packed, progress, full, end, NULL, buried};
