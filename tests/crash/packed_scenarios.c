// ipc/queue/packed on the ring and under a lock. Claims: a value whose put returned is got, whole, by one; one whose getter was
// killed is got at most once; one that does not fit the format is the next to be got, whoever dies; and no block is lost.
#include "ipc/queue/packed.h"
#include "tests/crash/message_fixture.h"

#define LONGEST 100u

static struct shoal_packed m;  // of the calling process
static size_t length;          // of a value's text: all of it lies in the slot, or in a block

static int send_id(uint64_t id, shoal_deadline deadline) {
  char text[LONGEST];
  memset(text, (int)id, length);
  int rc = shoal_queue_put_packed(Q, deadline, "[i S]", (int)id, text, length);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "put answered %d (%s)", rc, shoal_reason());
  return rc;
}
static int recv_one(shoal_deadline deadline) {
  const char *text;
  size_t n;
  int id, rc = shoal_queue_get_packed(Q, deadline, &m, "[i S]", &id, &text, &n);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "get answered %d (%s)", rc, shoal_reason());
  if (rc) return rc;
  CRASH_EXPECT(n == length && text[0] == (char)id, "%lu bytes of %d", n, id);
  CRASH_EXPECT(memcmp(text, text + 1, n - 1) == 0, "a torn value %d", id);
  ledger_took((uint64_t)id);
  return 0;
}

// ---- states; nobody has a role ----
static void make(uint32_t kind, size_t of_text, uint32_t inside) {
  const struct shoal_queue_options o = {.capacity = CAPACITY, .kind = kind, .bytes = 1};
  length = of_text;
  fixture_segment(16 << 20);
  CRASH_OK(shoal_queue_create(S, "values", &o, &Q));
  for (int i = 0; i < 3; i++) {  // through a lap; the heap has its memory, and `m` its room
    CRASH_OK(send_id(0, SHOAL_TRY));
    CRASH_OK(recv_one(SHOAL_TRY));
  }
  fill_up(inside);
}
static void unmake(void) {
  shoal_queue_detach(Q);
  fixture_segment_end();
}

// ---- what victims do ----
static void warm(void) { fixture_use(LONGEST); }
static void op_put(void) { T->word[ACKNOWLEDGED] += send_id(MINE, SHOAL_TRY) == 0; }
static void op_put_another(void) { T->word[ACKNOWLEDGED] += send_id(MINE + 1, SHOAL_TRY) == 0; }
static void op_put_wait(void) { T->word[ACKNOWLEDGED] += send_id(MINE, SHOAL_FOREVER) == 0; }
static void op_get(void) { recv_one(SHOAL_TRY); }
static void op_get_wait(void) { recv_one(SHOAL_FOREVER); }
static void op_misfit(void) {
  int id, n;
  int rc = shoal_queue_get_packed(Q, SHOAL_TRY, &m, "[i i]", &id, &n);
  CRASH_EXPECT(rc == -EBADMSG, "another format: %d (%s)", rc, shoal_reason());
}

// ---- the survivor ----
static void drain(void) {
  for (int idle = 0; idle < 3;) idle += recv_one(SHOAL_TRY) != 0;
}
static void survive(void) {
  producing();
  consuming();
  drain();
  for (uint32_t lap = 0; lap < 2; lap++) {
    uint32_t before = ledger_taken();
    for (uint32_t i = 0; i < CAPACITY; i++) CRASH_OK(send_id(200 + i, SHOAL_TRY));
    drain();
    CRASH_EXPECT(ledger_taken() == before + CAPACITY, "%u were put, %u came", CAPACITY, ledger_taken() - before);
    for (uint32_t i = 0; i < CAPACITY; i++) T->taken[200 + i] = 0;
  }
  fixture_roles_free(&Q->wait);
  fixture_no_block_lost();
}
// At most `lost` went with a consumer that died with them in hand.
static void check_with(uint32_t lost) {
  crash_survivor(survive);
  uint32_t put = T->word[NEXT] + T->word[ACKNOWLEDGED];
  ledger_once();
  CRASH_EXPECT(ledger_taken() + lost >= put, "%u were put, %u came", put, ledger_taken());
}
// The first is still the first, for whom it does not fit has given it back; of one that died with it in hand it comes later.
static void first_comes_first(void) {
  consuming();
  recv_one(SHOAL_TRY);
  CRASH_EXPECT(T->taken[1] == 1, "another comes first");
  leave();
}
static void check_misfit(void) {
  if (crash_victim_finished()) crash_survivor(first_comes_first);
  check_sent();
}

#define SCENARIO(id, of, how, text, ...) \
  CRASH_SCENARIO(id, .name = "packed " of ": " text ", " how, .cleanup = unmake, __VA_ARGS__)
#define OF(k, of, KIND, s, how, n)                                                                                    \
  static void k##s##_empty(void) { make(KIND, n, 0); }                                                                \
  static void k##s##_part(void) { make(KIND, n, 2); }                                                                 \
  static void k##s##_full(void) { make(KIND, n, UINT32_MAX); }                                                        \
  SCENARIO(k##s##_put_empty, of, how, "put, empty", .setup = k##s##_empty, .prepare = producing, .op = op_put,        \
           .check = check_sent);                                                                                      \
  SCENARIO(k##s##_put_part, of, how, "put, joining by it", .setup = k##s##_part, .prepare = warm, .op = op_put,       \
           .check = check_sent);                                                                                      \
  SCENARIO(k##s##_put_full, of, how, "put, full", .setup = k##s##_full, .prepare = producing, .op = op_put,           \
           .check = check_sent);                                                                                      \
  SCENARIO(k##s##_wake, of, how, "put, the consumer asleep", .setup = k##s##_empty, .prepare = producing,             \
           .ready = consumer_asleep, .op = op_put, .check = told);                                                    \
  SCENARIO(k##s##_put_asleep, of, how, "put, asleep for room", .setup = k##s##_full, .prepare = producing,            \
           .ready = join_consuming, .op = op_put_wait, .asleep = recv_some, .check = left_and_sent);                  \
  SCENARIO(k##s##_get_part, of, how, "get, part full", .setup = k##s##_part, .prepare = consuming, .op = op_get,      \
           .check = check_received);                                                                                  \
  SCENARIO(k##s##_get_full, of, how, "get, full, joining by it", .setup = k##s##_full, .prepare = warm, .op = op_get, \
           .check = check_received);                                                                                  \
  SCENARIO(k##s##_get_asleep, of, how, "get, asleep for a value", .setup = k##s##_empty, .prepare = consuming,        \
           .ready = join_producing, .op = op_get_wait, .asleep = send_next, .check = left_and_received);              \
  SCENARIO(k##s##_misfit, of, how, "get, by another format", .setup = k##s##_part, .prepare = consuming,              \
           .op = op_misfit, .check = check_misfit);                                                                   \
  SCENARIO(k##s##_put_pair, of, how, "pair, put, then who recovers", .kind = CRASH_PAIR, .setup = k##s##_part,        \
           .prepare = producing, .op = op_put, .prepare2 = warm, .op2 = op_put_another, .check = check_sent);         \
  SCENARIO(k##s##_get_pair, of, how, "pair, get, then who recovers", .kind = CRASH_PAIR, .setup = k##s##_part,        \
           .prepare = consuming, .op = op_get, .prepare2 = warm, .op2 = op_get, .check = check_pair)

OF(mpmc, "mpmc", SHOAL_QUEUE_MPMC, s, "in the slot", 12);
OF(mpmc, "mpmc", SHOAL_QUEUE_MPMC, b, "in a block", 100);
OF(fifo, "fifo", SHOAL_QUEUE_FIFO, s, "in the slot", 12);
OF(fifo, "fifo", SHOAL_QUEUE_FIFO, b, "in a block", 100);
