// ipc/queue/packed on the ring and under a lock. Claims: a value whose put returned is got, whole, by one; one whose
// getter was killed is got at most once; one that does not fit the format is the next to be got, whoever dies; and no
// block is lost. Joinable, what is ended is what was got.
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
static void make_of(struct shoal_queue_options o, size_t of_text, uint32_t inside) {
  o.capacity = CAPACITY;
  o.bytes = 1;
  length = of_text;
  fixture_segment(16 << 20);
  CRASH_OK(shoal_queue_create(S, "values", &o, &Q));
  for (int i = 0; i < 3; i++) {  // through a lap; the heap has its memory, and `m` its room
    CRASH_OK(send_id(0, SHOAL_TRY));
    CRASH_OK(recv_one(SHOAL_TRY));
    if (o.joinable) CRASH_OK(shoal_queue_task_done(Q));
  }
  fill_up(inside);
}
static void make(uint32_t kind, size_t of_text, uint32_t inside) {
  make_of((struct shoal_queue_options){.kind = kind}, of_text, inside);
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
// The first is still the first, for whom it does not fit has given it back; of one that died with it in hand it comes
// later.
static void first_comes_first(void) {
  consuming();
  recv_one(SHOAL_TRY);
  CRASH_EXPECT(T->taken[Q->kind == SHOAL_QUEUE_LIFO ? T->word[NEXT] : 1] == 1, "another comes first");
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
OF(spsc, "spsc", SHOAL_QUEUE_SPSC, s, "in the slot", 12);
OF(lifo, "lifo", SHOAL_QUEUE_LIFO, s, "in the slot", 12);
OF(priority, "priority", SHOAL_QUEUE_PRIORITY, s, "in the slot", 12);

// ---- joinable, under a lease: another is stopped inside, somewhere in the midst of it, for some seconds, and goes on ----
#define HOURS 8u  // a second that passes is one
static void joinable_two(void) {
  make_of(
      (struct shoal_queue_options){
          .kind = SHOAL_QUEUE_FIFO, .joinable = 1, .lease_ns = HOURS * UINT64_C(3600000000000)},
      LONGEST, 2);
}
static int ends(int rc) {  // of what is tried again while that one stands there
  CRASH_EXPECT(rc == 0 || rc == -ETIMEDOUT, "answered %d (%s)", rc, shoal_reason());
  return rc != -ETIMEDOUT;
}
static int get_and_note(void) {
  const char *text;
  size_t n;
  int id, rc = shoal_queue_get_packed(Q, SHOAL_TRY, &m, "[i S]", &id, &text, &n);
  if (rc == 0) ledger_took((uint64_t)id);
  return rc;
}
static void op_misfit_then_finish(void) {
  int id, rc = shoal_queue_get_packed(Q, SHOAL_TRY, &m, "[i i]", &id, &id);
  CRASH_EXPECT(rc == -EBADMSG || rc == -ETIMEDOUT, "another format: %d (%s)", rc, shoal_reason());
  while (!ends(get_and_note())) continue;
  while (!ends(shoal_queue_task_done(Q))) continue;
}
static shoal_atomic32 *lock_word(void) { return &Q->ordered.shm->lock.word; }
static void stands_inside(int i) {
  (void)i;
  consuming();
  uint32_t me = shoal_role_known(&Q->wait, SHOAL_CONSUMER);
  CRASH_OK(shoal_ordered_enter(&Q->ordered, me, SHOAL_FOREVER));
  crash_gate();
  shoal_ordered_leave(&Q->ordered, me);
}
static void another_goes_inside(void) {
  if (shoal_load32_relaxed(lock_word()) & SHOAL_ROLE_LOCK_OWNER_) return;
  crash_actor(stands_inside, 0);
  crash_at_gate(1);
}
static void goes_on_inside(void) {
  if (T->at_gate && !T->gate) crash_open_gate();
}
static void seconds_pass_then_it_goes_on(void) {
  for (int i = 0; i < 3 && T->at_gate; i++) {
    crash_victim_asleep_or_finished();
    crash_deadline_passes(&Q->ordered.shm->lock.sleepers);
  }
  crash_victim_asleep_or_finished();
  goes_on_inside();
}
static void finish_all(void) {
  consuming();
  while (recv_one(SHOAL_TRY) == 0) CRASH_OK(shoal_queue_task_done(Q));
}
static void each_finished_once(void) {
  goes_on_inside();
  T->late += HOURS;
  crash_survivor(finish_all);
  ledger_once();
  CRASH_EXPECT(ledger_taken() == 2, "%u of two were got", ledger_taken());
}
SCENARIO(misfit_finish, "fifo, joinable, leased", "in a block",
         "get by another format, then get and task_done, one stopped inside", .kind = CRASH_RESUMED,
         .setup = joinable_two, .prepare = consuming, .op = op_misfit_then_finish, .stopped = another_goes_inside,
         .resumed = seconds_pass_then_it_goes_on, .check = each_finished_once);
