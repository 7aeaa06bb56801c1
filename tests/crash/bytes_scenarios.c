// ipc/queue/message on both rings, in cells, and under policies. Claims: a message whose send returned is received,
// whole, by one; one whose sender or receiver was killed is received at most once; and when all are received the heap
// holds what it held before: no block is lost with a reservation, a lease, or a call cut off anywhere.
#include "ipc/queue/select.h"
#include "tests/crash/message_fixture.h"

#define LONGEST 9000u

static struct shoal_queue *D;  // dead letters
static uint32_t most;          // that a survivor sends at a time
static uint64_t bytes;         // of a message: 16 lie in the slot, 100 in a slab, 9000 in pages of their own
static uint64_t shorter;       // what else may come, if not 0

// ---- messages ----
static void write_message(void *data, uint64_t id) { memset(data, (int)id, bytes); }
static void took(const void *data, uint64_t size) {
  const unsigned char *c = data;
  CRASH_EXPECT(size == bytes || (shorter && size == shorter), "a message of %lu bytes", size);
  CRASH_EXPECT(memcmp(c, c + 1, (size < bytes ? size : bytes) - 1) == 0, "a torn message that begins with %u", c[0]);
  ledger_took(c[0]);
}
static int send_id(uint64_t id, shoal_deadline deadline) {
  unsigned char data[LONGEST];
  write_message(data, id);
  int rc = shoal_queue_send(Q, data, bytes, deadline);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "send answered %d (%s)", rc, shoal_reason());
  return rc;
}
static int recv_one(shoal_deadline deadline) {
  unsigned char data[LONGEST];
  uint64_t size = 0;
  int rc = shoal_queue_recv(Q, data, sizeof data, &size, deadline);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "recv answered %d (%s)", rc, shoal_reason());
  if (rc == 0) took(data, size);
  return rc;
}

// ---- states; nobody has a role ----
static void make_with(struct shoal_queue_options options, uint64_t size, uint32_t inside) {
  const struct shoal_queue_options dead = {.capacity = CAPACITY, .bytes = 1};
  options.capacity = CAPACITY, options.bytes = 1;
  bytes = size;
  most = 8;
  fixture_segment(16 << 20);
  if (options.dead_letters) CRASH_OK(shoal_queue_create(S, options.dead_letters, &dead, &D));
  CRASH_OK(shoal_queue_create(S, "bytes", &options, &Q));
  for (int i = 0; i < 3; i++) {  // through a lap; the heap has its memory
    CRASH_OK(send_id(0, SHOAL_TRY));
    CRASH_OK(recv_one(SHOAL_TRY));
    if (options.joinable) CRASH_OK(shoal_queue_task_done(Q));
  }
  fill_up(inside);
}
static void make(uint32_t kind, uint64_t size, uint32_t inside) {
  make_with((struct shoal_queue_options){.kind = kind}, size, inside);
}
static void unmake(void) {
  if (D) shoal_queue_detach(D);
  D = NULL;
  shoal_queue_detach(Q);
  fixture_segment_end();
}

// ---- what victims do ----
static struct shoal_loan loan;
static void warm(void) { fixture_use(bytes); }
static void op_send(void) { T->word[ACKNOWLEDGED] += send_id(MINE, SHOAL_TRY) == 0; }
static void op_send_another(void) { T->word[ACKNOWLEDGED] += send_id(MINE + 1, SHOAL_TRY) == 0; }
static void op_recv(void) { recv_one(SHOAL_TRY); }
static void reserve(void) {
  int rc = shoal_queue_reserve_bytes(Q, bytes + 3, &loan, SHOAL_TRY);
  T->word[HELD] = rc == 0;
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN, "reserve answered %d", rc);
}
static void receive(void) {
  int rc = shoal_queue_receive(Q, &loan, SHOAL_TRY);
  T->word[HELD] = rc == 0;
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "receive answered %d (%s)", rc, shoal_reason());
}
static void op_commit(void) {
  if (!T->word[HELD]) return;
  write_message(loan.data, MINE);
  loan.size = bytes;
  CRASH_OK(shoal_queue_commit(Q, &loan));
  T->word[ACKNOWLEDGED]++;
}
static void op_cancel(void) { CRASH_OK(shoal_queue_cancel(Q, &loan)); }
static void op_release(void) {
  unsigned char data[LONGEST];
  uint64_t size = loan.size;
  if (!T->word[HELD]) return;
  memcpy(data, loan.data, size <= bytes ? size : 0);
  CRASH_OK(shoal_queue_release(Q, &loan));
  took(data, size);
}
static void op_reserve_commit(void) {
  reserve();
  op_commit();
}
static void op_reserve_cancel(void) {
  reserve();
  if (T->word[HELD]) op_cancel();
}
static void op_receive_release(void) {
  receive();
  op_release();
}
static void op_return(void) { CRASH_OK(shoal_queue_return(Q, &loan)); }
static void op_leave(void) { leave(); }
static void op_too_small(void) {
  char data[8];
  uint64_t size = 0;
  int rc = shoal_queue_recv(Q, data, sizeof data, &size, SHOAL_TRY);
  CRASH_EXPECT(rc == -EMSGSIZE && size == bytes, "too small a buffer: %d, of %lu", rc, size);
}

// ---- the survivor ----
static void drain(void) {
  for (int idle = 0; idle < 3; idle += !T->word[HELD]) {
    receive();
    op_release();
  }
}
static void survive(void) {
  producing();
  consuming();
  drain();
  for (uint32_t lap = 0; lap < 2; lap++) {
    uint32_t n = 0, before = ledger_taken();
    while (n < most && send_id(200 + n, SHOAL_TRY) == 0) n++;
    CRASH_EXPECT(n >= CAPACITY, "room for %u only", n);
    drain();
    CRASH_EXPECT(ledger_taken() == before + n, "%u were sent, %u came", n, ledger_taken() - before);
    for (uint32_t i = 0; i < n; i++) T->taken[200 + i] = 0;
  }
  fixture_roles_free(&Q->wait);
  fixture_no_block_lost();
}
// At most `lost` went with a consumer that died with them in hand.
static void check_with(uint32_t lost) {
  crash_survivor(survive);
  uint32_t sent = T->word[NEXT] + T->word[ACKNOWLEDGED] + T->word[SENT];
  ledger_once();
  CRASH_EXPECT(ledger_taken() + lost >= sent, "%u were sent, %u came", sent, ledger_taken());
}

#define SCENARIO(id, of, how, text, ...) \
  CRASH_SCENARIO(id, .name = "bytes " of ": " text ", " how, .cleanup = unmake, __VA_ARGS__)
#define OF(k, of, KIND, s, how, n)                                                                                    \
  static void k##s##_empty(void) { make(KIND, n, 0); }                                                                \
  static void k##s##_part(void) { make(KIND, n, 2); }                                                                 \
  static void k##s##_full(void) { make(KIND, n, UINT32_MAX); }                                                        \
  static void k##s##_reserved(void) { producing(), reserve(); }                                                       \
  static void k##s##_received(void) { consuming(), receive(); }                                                       \
  SCENARIO(k##s##_send_empty, of, how, "send, empty", .setup = k##s##_empty, .prepare = producing, .op = op_send,     \
           .check = check_sent);                                                                                      \
  SCENARIO(k##s##_send_part, of, how, "send, joining by it", .setup = k##s##_part, .prepare = warm, .op = op_send,    \
           .check = check_sent);                                                                                      \
  SCENARIO(k##s##_send_full, of, how, "send, full", .setup = k##s##_full, .prepare = producing, .op = op_send,        \
           .check = check_sent);                                                                                      \
  SCENARIO(k##s##_wake, of, how, "send, the consumer asleep", .setup = k##s##_empty, .prepare = producing,            \
           .ready = consumer_asleep, .op = op_send, .check = told);                                                   \
  SCENARIO(k##s##_commit_empty, of, how, "reserve and commit, empty", .setup = k##s##_empty, .prepare = producing,    \
           .op = op_reserve_commit, .check = check_sent);                                                             \
  SCENARIO(k##s##_commit, of, how, "reserve and commit, part full", .setup = k##s##_part, .prepare = producing,       \
           .op = op_reserve_commit, .check = check_sent);                                                             \
  SCENARIO(k##s##_commit_wake, of, how, "reserve and commit, the consumer asleep", .setup = k##s##_empty,             \
           .prepare = producing, .ready = consumer_asleep, .op = op_reserve_commit, .check = told);                   \
  SCENARIO(k##s##_cancel, of, how, "reserve and cancel, part full", .setup = k##s##_part, .prepare = producing,       \
           .op = op_reserve_cancel, .check = check_sent);                                                             \
  SCENARIO(k##s##_leave, of, how, "leave with a reservation", .setup = k##s##_part, .prepare = k##s##_reserved,       \
           .op = op_leave, .check = check_sent);                                                                      \
  SCENARIO(k##s##_recv_part, of, how, "recv, part full", .setup = k##s##_part, .prepare = consuming, .op = op_recv,   \
           .check = check_received);                                                                                  \
  SCENARIO(k##s##_recv_full, of, how, "recv, full, joining by it", .setup = k##s##_full, .prepare = warm,             \
           .op = op_recv, .check = check_received);                                                                   \
  SCENARIO(k##s##_too_small, of, how, "recv, too small a buffer", .setup = k##s##_part, .prepare = consuming,         \
           .op = op_too_small, .check = check_sent);                                                                  \
  SCENARIO(k##s##_release, of, how, "receive and release", .setup = k##s##_part, .prepare = consuming,                \
           .op = op_receive_release, .check = check_received);                                                        \
  SCENARIO(k##s##_return, of, how, "return", .setup = k##s##_part, .prepare = k##s##_received, .op = op_return,       \
           .check = check_sent);                                                                                      \
  SCENARIO(k##s##_leave_c, of, how, "leave with a message in hand", .setup = k##s##_part, .prepare = k##s##_received, \
           .op = op_leave, .check = check_sent);                                                                      \
  SCENARIO(k##s##_send_pair, of, how, "pair, send, then who recovers", .kind = CRASH_PAIR, .setup = k##s##_part,      \
           .prepare = producing, .op = op_reserve_commit, .prepare2 = warm, .op2 = op_send_another,                   \
           .check = check_sent);                                                                                      \
  SCENARIO(k##s##_recv_pair, of, how, "pair, recv, then who recovers", .kind = CRASH_PAIR, .setup = k##s##_part,      \
           .prepare = consuming, .op = op_recv, .prepare2 = warm, .op2 = op_recv, .check = check_pair)

OF(mpmc, "mpmc", SHOAL_QUEUE_MPMC, s, "in the slot", 16);
OF(mpmc, "mpmc", SHOAL_QUEUE_MPMC, b, "in a block", 100);
OF(spsc, "spsc", SHOAL_QUEUE_SPSC, s, "in the slot", 16);
OF(spsc, "spsc", SHOAL_QUEUE_SPSC, b, "in a block", 100);
OF(spsc, "spsc", SHOAL_QUEUE_SPSC, p, "in pages", 9000);

// ---- asleep for a message or for room, a block in hand ----
static void op_send_wait(void) { T->word[ACKNOWLEDGED] += send_id(MINE, SHOAL_FOREVER) == 0; }
static void op_recv_wait(void) { recv_one(SHOAL_FOREVER); }
static void op_release_some(void) {
  for (int i = 0; i < 3; i++) op_receive_release();
}
static void op_clear(void) {
  int rc = shoal_queue_clear(Q);
  CRASH_EXPECT(rc == 2, "clear answered %d", rc);
}
static void producer(int i) {
  (void)i;
  producing();
  for (uint64_t id = 150; send_id(id, SHOAL_FOREVER) == 0; id++) T->word[SENT]++;
  T->word[ENDED]++;
}
static void producer_asleep(void) { fixture_asleep(producer, 1); }
// The only consumer is dead, and it is full again.
static void producer_told(void) {
  fixture_told(1);
  crash_kill(0);
  check_received();
}
// What was cleared is gone, and nothing else is.
static void check_cleared(void) {
  crash_survivor(survive);
  ledger_once();
  uint64_t cleared = shoal_load64_relaxed(&Q->shm->discarded);  // but for what it died with
  CRASH_EXPECT(ledger_taken() + cleared + 1 >= 2, "%u came, %lu were cleared", ledger_taken(), cleared);
  CRASH_EXPECT(ledger_taken() == 0 || !crash_victim_finished(), "cleared, and %u came", ledger_taken());
}
#define WAITING(k, of)                                                                                                 \
  SCENARIO(k##_recv_empty, of, "in a block", "try to recv, empty", .setup = k##b_empty, .prepare = consuming,          \
           .op = op_recv, .check = check_sent);                                                                        \
  SCENARIO(k##_send_asleep, of, "in a block", "send, asleep for room", .setup = k##b_full, .prepare = producing,       \
           .ready = join_consuming, .op = op_send_wait, .asleep = recv_some, .check = left_and_sent);                  \
  SCENARIO(k##_recv_asleep, of, "in a block", "recv, asleep for a message", .setup = k##b_empty, .prepare = consuming, \
           .ready = join_producing, .op = op_recv_wait, .asleep = send_next, .check = left_and_received);              \
  SCENARIO(k##_room, of, "in a block", "receive and release three, the producer asleep", .setup = k##b_full,           \
           .prepare = consuming, .ready = producer_asleep, .op = op_release_some, .check = producer_told);             \
  SCENARIO(k##_clear, of, "in a block", "clear", .setup = k##b_part, .prepare = consuming, .op = op_clear,             \
           .check = check_cleared)
WAITING(mpmc, "mpmc");
WAITING(spsc, "spsc");

// In a select, beside what is never ready.
static void op_select_send(void) {
  unsigned char data[LONGEST];
  struct shoal_case c[] = {shoal_on_send(Q, data, bytes), shoal_on_nothing()};
  write_message(data, MINE);
  int k = shoal_select(c, 2, SHOAL_FOREVER);
  CRASH_EXPECT(k == 0 && (c[0].result == 0 || c[0].result == -EPIPE), "select answered %d, %d", k, c[0].result);
  T->word[ACKNOWLEDGED] += c[0].result == 0;
}
static void op_select_recv(void) {
  unsigned char data[LONGEST];
  uint64_t size = 0;
  struct shoal_case c[] = {shoal_on_nothing(), shoal_on_recv(Q, data, sizeof data, &size)};
  int k = shoal_select(c, 2, SHOAL_FOREVER);
  CRASH_EXPECT(k == 1 && (c[1].result == 0 || c[1].result == -EPIPE), "select answered %d, %d", k, c[1].result);
  if (c[1].result == 0) took(data, size);
}
#define SELECTS(k, of)                                                                                             \
  SCENARIO(k##_select_send, of, "in a block", "select, send, part full", .setup = k##b_part, .prepare = producing, \
           .op = op_select_send, .check = check_sent);                                                             \
  SCENARIO(k##_select_room, of, "in a block", "select, send, asleep for room", .setup = k##b_full,                 \
           .prepare = producing, .ready = join_consuming, .op = op_select_send, .asleep = recv_some,               \
           .check = left_and_sent);                                                                                \
  SCENARIO(k##_select_recv, of, "in a block", "select, recv, part full", .setup = k##b_part, .prepare = consuming, \
           .op = op_select_recv, .check = check_received);                                                         \
  SCENARIO(k##_select_wait, of, "in a block", "select, recv, asleep for a message", .setup = k##b_empty,           \
           .prepare = consuming, .ready = join_producing, .op = op_select_recv, .asleep = send_next,               \
           .check = left_and_received)
SELECTS(mpmc, "mpmc");
SELECTS(spsc, "spsc");

OF(fifo, "fifo", SHOAL_QUEUE_FIFO, s, "in the slot", 16);
OF(fifo, "fifo", SHOAL_QUEUE_FIFO, b, "in a block", 100);
OF(lifo, "lifo", SHOAL_QUEUE_LIFO, s, "in the slot", 16);
OF(priority, "priority", SHOAL_QUEUE_PRIORITY, s, "in the slot", 16);
OF(priority, "priority", SHOAL_QUEUE_PRIORITY, b, "in a block", 100);
SELECTS(priority, "priority");
SCENARIO(fifo_clear, "fifo", "in a block", "clear", .setup = fifob_part, .prepare = consuming, .op = op_clear,
         .check = check_cleared);

// ---- policies, all in blocks ----
#define POLICY(id, text, ...) CRASH_SCENARIO(id, .name = "bytes policy: " text, .cleanup = unmake, __VA_ARGS__)
#define WITH(id, inside, ...) \
  static void id(void) { make_with((struct shoal_queue_options){__VA_ARGS__}, 100, inside), most = CAPACITY; }

WITH(full_drops_oldest, 4, .overflow = SHOAL_OVERFLOW_DROP_OLDEST)
WITH(full_drops_newest, 4, .overflow = SHOAL_OVERFLOW_DROP_NEWEST)
static void check_oldest(void) {
  crash_survivor(survive);
  ledger_once();
  for (uint32_t i = 2; i <= CAPACITY; i++) CRASH_EXPECT(T->taken[i] == 1, "%u, not the oldest, is gone", i);
  CRASH_EXPECT(T->taken[MINE] >= T->word[ACKNOWLEDGED], "what was sent is gone");
}
static void op_send_newest(void) {
  char data[100] = {MINE};
  int rc = shoal_queue_send(Q, data, bytes, SHOAL_FOREVER);
  CRASH_EXPECT(rc == SHOAL_DROPPED || rc == -EPIPE, "send answered %d", rc);  // nobody is there to receive
}
static void check_newest(void) {
  crash_survivor(survive);
  ledger_once();
  CRASH_EXPECT(ledger_taken() == CAPACITY, "%u came out of a full one", ledger_taken());
}
POLICY(send_oldest, "send, the oldest dropped", .setup = full_drops_oldest, .prepare = producing, .op = op_send,
       .check = check_oldest);
POLICY(commit_oldest, "reserve and commit, the oldest dropped", .setup = full_drops_oldest, .prepare = producing,
       .op = op_reserve_commit, .check = check_oldest);
// Under a lock it is counted, too, whoever dies.
WITH(fifo_drops, 4, .kind = SHOAL_QUEUE_FIFO, .overflow = SHOAL_OVERFLOW_DROP_OLDEST)
WITH(lifo_drops, 4, .kind = SHOAL_QUEUE_LIFO, .overflow = SHOAL_OVERFLOW_DROP_OLDEST)
static void check_gave_way(void) {
  struct shoal_queue_info info;
  check_oldest();
  CRASH_OK(shoal_queue_info(Q, &info));
  CRASH_EXPECT(ledger_taken() + info.discarded == CAPACITY + T->taken[MINE], "%u came, %lu gave way", ledger_taken(),
               info.discarded);
}
POLICY(send_fifo, "fifo: send, one gives way", .setup = fifo_drops, .prepare = producing, .op = op_send,
       .check = check_gave_way);
POLICY(commit_fifo, "fifo: reserve and commit, one gives way", .setup = fifo_drops, .prepare = producing,
       .op = op_reserve_commit, .check = check_gave_way);
POLICY(send_lifo, "lifo: send, one gives way", .setup = lifo_drops, .prepare = producing, .op = op_send,
       .check = check_gave_way);
POLICY(send_newest, "send, it is dropped", .setup = full_drops_newest, .prepare = producing, .op = op_send_newest,
       .check = check_newest);

WITH(three_inside, 3, .capacity = 0)
static void op_peek(void) {
  unsigned char data[LONGEST];
  uint64_t size = 0;
  CRASH_OK(shoal_queue_peek_bytes(Q, data, sizeof data, &size, SHOAL_TRY));
  CRASH_EXPECT(size == bytes && data[0] == 1 && data[bytes - 1] == 1, "not the next one");
}
static void check_three(void) {
  crash_survivor(survive);
  ledger_once();
  CRASH_EXPECT(ledger_taken() == 3, "%u came out of three", ledger_taken());
}
POLICY(peek, "peek", .setup = three_inside, .prepare = consuming, .op = op_peek, .check = check_three);

// ---- several ----
static void op_send_n(void) {
  static unsigned char data[3][LONGEST];
  struct iovec three[3];
  for (unsigned i = 0; i < 3; i++) {
    memset(data[i], (int)(MINE + i), bytes);
    three[i] = (struct iovec){data[i], bytes};
  }
  int n = shoal_queue_send_n(Q, three, 3, SHOAL_TRY);
  CRASH_EXPECT(n == 3, "three answered %d", n);
  T->word[ACKNOWLEDGED] += (uint32_t)n;
}
static void op_recv_n(void) {
  static unsigned char data[3][LONGEST];
  struct iovec three[3];
  for (unsigned i = 0; i < 3; i++) three[i] = (struct iovec){data[i], LONGEST};
  int n = shoal_queue_recv_n(Q, three, 3, SHOAL_TRY);
  CRASH_EXPECT(n == 3, "three answered %d", n);
  for (unsigned i = 0; i < 3; i++) took(data[i], three[i].iov_len);
}
static void check_three_received(void) { check_with(crash_victim_finished() ? 0 : 3); }
WITH(none_inside, 0, .capacity = 0)
POLICY(send_n, "send three", .setup = none_inside, .prepare = producing, .op = op_send_n, .check = check_sent);
POLICY(send_n_wake, "send three, the consumer asleep", .setup = none_inside, .prepare = producing,
       .ready = consumer_asleep, .op = op_send_n, .check = told);
POLICY(recv_n, "receive three", .setup = three_inside, .prepare = consuming, .op = op_recv_n,
       .check = check_three_received);

// ---- sorted by a number that is sent beside it ----
WITH(sorted, 3, .kind = SHOAL_QUEUE_PRIORITY)
static void op_send_key(void) {
  unsigned char data[LONGEST];
  write_message(data, MINE);
  int rc = shoal_queue_send_key(Q, -1, data, bytes, SHOAL_TRY);
  CRASH_EXPECT(rc == 0, "send answered %d (%s)", rc, shoal_reason());
  T->word[ACKNOWLEDGED]++;
}
static void op_commit_key(void) {
  reserve();
  loan.key = -1;
  op_commit();
}
// There, whether or not that was told: before all others.
static void first_comes_first(void) {
  consuming();
  receive();
  uint32_t id = *(unsigned char *)loan.data, four = shoal_queue_size(Q) == 3;
  CRASH_EXPECT(id == (four ? MINE : 1), "%u comes first", id);
  CRASH_EXPECT(four >= T->word[ACKNOWLEDGED], "sent, and not there");
  op_release();
  leave();
}
static void check_sorted(void) {
  crash_survivor(first_comes_first);
  check_sent();
}
POLICY(send_key, "send with the smallest key", .setup = sorted, .prepare = producing, .op = op_send_key,
       .check = check_sorted);
POLICY(commit_key, "reserve and commit with the smallest key", .setup = sorted, .prepare = producing,
       .op = op_commit_key, .check = check_sorted);
WITH(sorted_empty, 0, .kind = SHOAL_QUEUE_PRIORITY)
POLICY(send_key_wake, "send with a key, the consumer asleep", .setup = sorted_empty, .prepare = producing,
       .ready = consumer_asleep, .op = op_send_key, .check = told);

// ---- joinable: what a victim has got, and not done with, comes again ----
WITH(three_joinable, 3, .joinable = 1)
static void op_recv_kept(void) {
  unsigned char data[LONGEST];
  uint64_t size = 0;
  CRASH_OK(shoal_queue_recv(Q, data, sizeof data, &size, SHOAL_TRY));
}
static void got_one(void) {
  consuming();
  op_recv_kept();
}
static void op_done(void) { CRASH_OK(shoal_queue_task_done(Q)); }
static void check_done(void) {
  crash_survivor(survive);
  ledger_once();
  uint32_t least = crash_victim_finished() ? 2 : 3, n = ledger_taken();
  CRASH_EXPECT(n == least || (n == 2 && !T->taken[1]), "%u came out of three", n);
}
POLICY(recv_kept, "recv, joinable", .setup = three_joinable, .prepare = consuming, .op = op_recv_kept,
       .check = check_three);
POLICY(done, "task_done", .setup = three_joinable, .prepare = got_one, .op = op_done, .check = check_done);

// ---- leases: of half an hour, and the clock is set forward ----
#define HOUR UINT64_C(3600000000000)
WITH(two_leased, 2, .lease_ns = HOUR / 2)
static void try_release(void) {
  unsigned char data[LONGEST];
  uint64_t size = loan.size;
  memcpy(data, loan.data, size <= bytes ? size : 0);
  int rc = shoal_queue_release(Q, &loan);
  CRASH_EXPECT(rc == 0 || rc == -ETIMEDOUT, "release answered %d (%s)", rc, shoal_reason());
  if (rc == 0) took(data, size);
}
static int try_receive(void) {
  int rc = shoal_queue_receive(Q, &loan, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "receive answered %d (%s)", rc, shoal_reason());
  return rc;
}
static void op_leased(void) {
  if (try_receive() == 0) try_release();
}
static void op_leased_recv(void) {
  unsigned char data[LONGEST];
  uint64_t size = 0;
  int rc = shoal_queue_recv(Q, data, sizeof data, &size, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "recv answered %d (%s)", rc, shoal_reason());
  if (rc == 0) took(data, size);
}
static void release_all(void) {
  for (int rc, idle = 0; idle < 3; idle += rc != 0)
    if ((rc = try_receive()) == 0) try_release();
}
static void time_passes(void) {
  T->late++;
  crash_survivor(release_all);
  T->late++;  // of those that were told of their time only now
  crash_survivor(release_all);
}
static void check_two(void) {
  time_passes();
  crash_kill_victim();
  crash_survivor(survive);
  ledger_once();
  uint32_t lost = crash_victim_finished() ? 0 : 1;  // killed when it had received it
  CRASH_EXPECT(ledger_taken() + lost >= 2, "%u came out of two", ledger_taken());
}
static void check_two_resumed(void) {
  time_passes();
  ledger_once();
  CRASH_EXPECT(ledger_taken() == 2, "%u released of two", ledger_taken());
  crash_kill_victim();
  crash_survivor(survive);
}
POLICY(lease, "receive and release under a lease", .setup = two_leased, .prepare = consuming, .op = op_leased,
       .check = check_two);
POLICY(lease_resumed, "receive and release, its time runs out, goes on", .kind = CRASH_RESUMED, .setup = two_leased,
       .prepare = consuming, .op = op_leased, .stopped = time_passes, .check = check_two_resumed);
POLICY(lease_recv, "recv, its time runs out, goes on", .kind = CRASH_RESUMED, .setup = two_leased, .prepare = consuming,
       .op = op_leased_recv, .stopped = time_passes, .check = check_two_resumed);

// Stopped at its claim, or later, for longer than its lease: others receive all, and where its message lay the next one
// is written, and not yet sent. That one is its writer's.
static void someone_writes_there(void) {
  if (Q->kind != SHOAL_QUEUE_MPMC && shoal_load32_relaxed(&Q->ordered.shm->lock.word) & SHOAL_ROLE_LOCK_OWNER_)
    return;  // stopped under the lock it holds up all
  time_passes();
  reserve();
}
static void check_written(void) {
  if (loan.data) op_commit();
  while (send_id(T->word[NEXT] + 1, SHOAL_TRY) == 0) T->word[NEXT]++;
  leave();
  crash_kill_victim();
  check_with(0);
}
WITH(full_leased, 4, .lease_ns = HOUR / 2)
WITH(full_leased_in_line, 4, .lease_ns = HOUR / 2, .kind = SHOAL_QUEUE_FIFO)
WITH(full_leased_by_priority, 4, .lease_ns = HOUR / 2, .kind = SHOAL_QUEUE_PRIORITY)
#define LATE(id, text, state, what)                                                                            \
  POLICY(late_##id, text ", its time runs out, the next one is written there, goes on", .kind = CRASH_RESUMED, \
         .setup = state, .prepare = consuming, .op = what, .stopped = someone_writes_there, .check = check_written)
LATE(recv, "recv", full_leased, op_leased_recv);
LATE(release, "receive and release", full_leased, op_leased);
LATE(fifo_recv, "fifo: recv", full_leased_in_line, op_leased_recv);
LATE(fifo_release, "fifo: receive and release", full_leased_in_line, op_leased);
LATE(priority_recv, "priority: recv", full_leased_by_priority, op_leased_recv);

// A shorter one lies there by then: what was read is the size of one and the block of another.
static void full_leased_long(void) {
  make_with((struct shoal_queue_options){.lease_ns = HOUR / 2}, 1000, 4);
  shorter = 100, most = CAPACITY;
}
static void a_shorter_one_comes(void) {
  char data[100];
  time_passes();
  memset(data, 150, shorter);
  CRASH_OK(shoal_queue_send(Q, data, shorter, SHOAL_TRY));
  T->word[SENT]++;
}
static void check_shorter(void) {
  leave();
  crash_kill_victim();
  check_with(0);
}
POLICY(late_shorter, "recv, its time runs out, a shorter one is written there, goes on", .kind = CRASH_RESUMED,
       .setup = full_leased_long, .prepare = consuming, .op = op_leased_recv, .stopped = a_shorter_one_comes,
       .check = check_shorter, .times = 12);

// A receiver that has claimed a message, and cannot go in once more to end it, or to put it back: it says so, and the
// message comes again with its lease.
#define LONG 8u  // hours: a second that passes is one
WITH(two_leased_long_in_line, 2, .lease_ns = LONG * HOUR, .kind = SHOAL_QUEUE_FIFO)
static void stands_inside(int i) {
  (void)i;
  consuming();
  uint32_t me = shoal_role_known(&Q->wait, SHOAL_CONSUMER);
  CRASH_OK(shoal_ordered_enter(&Q->ordered, me, SHOAL_FOREVER));
  crash_gate();
  shoal_ordered_leave(&Q->ordered, me);
}
static void another_goes_inside(void) {
  if (shoal_load32_relaxed(&Q->ordered.shm->lock.word) & SHOAL_ROLE_LOCK_OWNER_) return;
  crash_actor(stands_inside, 0);
  crash_at_gate(1);
}
static void a_second_passes(void) { crash_deadline_passes(&Q->ordered.shm->lock.sleepers); }
static void it_goes_on(void) {
  if (!T->gate) crash_open_gate();
}
static void a_second_passes_then_it_goes_on(void) {
  if (!T->at_gate) return;
  crash_victim_asleep_or_finished();
  a_second_passes();
  crash_victim_asleep_or_finished();
  it_goes_on();
}
static void op_recv_or_not(void) {
  unsigned char data[LONGEST];
  uint64_t size = 0;
  int rc = shoal_queue_recv(Q, data, sizeof data, &size, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || rc == -ETIMEDOUT, "recv answered %d (%s)", rc, shoal_reason());
  if (rc == 0) took(data, size);
}
static void op_too_small_or_not(void) {
  char data[8];
  uint64_t size = 0;
  int rc = shoal_queue_recv(Q, data, sizeof data, &size, SHOAL_TRY);
  CRASH_EXPECT(rc == -EMSGSIZE || rc == -ETIMEDOUT, "too small a buffer: %d (%s)", rc, shoal_reason());
}
static void check_barred(void) {
  it_goes_on();
  T->late += LONG;
  check_two_resumed();
}
#define BARRED(id, text, what)                                                                               \
  POLICY(barred_##id, "fifo: " text ", leased, another is stopped inside, goes on", .kind = CRASH_RESUMED,   \
         .setup = two_leased_long_in_line, .prepare = consuming, .op = what, .stopped = another_goes_inside, \
         .asleep = a_second_passes, .resumed = a_second_passes_then_it_goes_on, .check = check_barred)
BARRED(recv, "recv", op_recv_or_not);
BARRED(too_small, "recv, too small a buffer", op_too_small_or_not);

// ---- dead letters: at least once ----
static void one_in_vain(void) {
  make_with((struct shoal_queue_options){.delivery_max = 1, .dead_letters = "dead"}, 100, 1);
  most = CAPACITY;
  consuming();
  CRASH_OK(shoal_queue_receive(Q, &loan, SHOAL_TRY));
  CRASH_OK(shoal_queue_return(Q, &loan));
  leave();
}
static void op_bury(void) { CRASH_EXPECT(try_receive() != 0, "it was delivered too often"); }
static void drain_dead(void) {
  unsigned char data[LONGEST];
  uint64_t size;
  for (int rc, idle = 0; idle < 3; idle += rc != 0)
    if ((rc = shoal_queue_recv(D, data, sizeof data, &size, SHOAL_TRY)) == 0) took(data, size);
  shoal_queue_leave(D, SHOAL_CONSUMER);
}
static void survive_the_dead(void) {
  CRASH_OK(shoal_queue_join(Q, SHOAL_CONSUMER));
  release_all();  // buries
  drain_dead();
  survive();
}
static void check_buried(void) {
  crash_survivor(survive_the_dead);
  CRASH_EXPECT(T->taken[1] >= 1 && T->taken[1] <= 2, "it came %u times", T->taken[1]);
}
POLICY(bury, "a message becomes a dead letter", .setup = one_in_vain, .prepare = consuming, .op = op_bury,
       .check = check_buried);
