#include "tests/crash/queue_fixture.h"

#define BYTES (16u * 1024)

struct shoal_queue *Q;
struct shoal_loan loan;

// ---- looked at from outside: slots and cells have the same states ----

static uint32_t state_of(uint32_t i) {
  if (Q->kind == SHOAL_QUEUE_MPMC)
    return shoal_slot_state_(shoal_load64_relaxed(shoal_mpmc_at(&Q->ring, i, Q->ring.stride).ctl));
  const char *data = shoal_ordered_data(&Q->ordered, i);
  uint32_t offset = Q->element_size <= 40 ? sizeof(struct shoal_cell_shm) : 64;
  return shoal_load32_relaxed(&((const struct shoal_cell_shm *)(const void *)(data - offset))->word) >> 22 & 3;
}
static uint32_t in_state(uint32_t a, uint32_t b) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < CAPACITY; i++) n += state_of(i) == a || state_of(i) == b;
  return n;
}
SHOAL_STATIC_ASSERT((int)SHOAL_SLOT_FULL_ == (int)SHOAL_CELL_READY_, "one look");
SHOAL_STATIC_ASSERT((int)SHOAL_SLOT_READING_ == (int)SHOAL_CELL_READING_, "one look");
uint32_t there(void) { return in_state(SHOAL_SLOT_FULL_, SHOAL_SLOT_READING_); }
int can_put(void) {
  if (Q->kind == SHOAL_QUEUE_MPMC) return shoal_mpmc_blocker(&Q->ring, SHOAL_PRODUCER) == SHOAL_BLOCKER_NONE;
  return in_state(SHOAL_CELL_FREE_, SHOAL_CELL_FREE_) > 0;
}
int is_closed(void) { return shoal_eventcount_closed(Q->wait.shm); }

// ---- the driver ----

struct message message(uint32_t id) {
  return (struct message){-(int64_t)id, id, ~id};
}
void put(uint32_t id) {
  struct message m = message(id);
  int rc = messages_put(Q, &m, SHOAL_TRY);
  CRASH_EXPECT(rc == 0, "put of %u answered %d (%s)", id, rc, shoal_reason());
}
void put_next(void) { put(1 + T->word[NEXT]++); }
void put_two(void) {
  put_next();
  put_next();
}
void get(void) { get_within(SHOAL_TRY); }

void queue_place(void *memory, uint64_t size, struct shoal_queue_options o, struct shoal_queue **out) {
  o.capacity = CAPACITY, o.element_size = sizeof(struct message);
  o.producers = o.consumers = 6;
  if (o.kind == SHOAL_QUEUE_PRIORITY) o.key = (struct shoal_queue_key){SHOAL_KEY_I64, offsetof(struct message, key)};
  int rc = shoal_queue_place_(memory, size, &o);
  if (rc == 0) rc = shoal_queue_attach_(memory, size, sizeof(struct message), out);
  if (rc) crash_fail("making the queue: %d (%s)", rc, shoal_reason());
}
void queue_make(struct shoal_queue_options options, uint32_t before, uint32_t inside) {
  queue_place(fixture_memory(BYTES), BYTES, options, &Q);
  producing();
  for (uint32_t done = 0, n; done < before; done += n) {
    n = before - done < CAPACITY ? before - done : CAPACITY;
    for (uint32_t i = 0; i < n; i++) put(0);
    for (uint32_t i = 0; i < n; i++) get();
  }
  T->taken[0] = 0;
  shoal_queue_leave(Q, SHOAL_CONSUMER);
  for (uint32_t i = 0; i < inside; i++) put_next();
}
void queue_unmake(void) {
  shoal_queue_detach(Q);
  Q = NULL;
}

// ---- what victims do ----

void took(const struct message *m) {
  CRASH_EXPECT(m->not_id == ~m->id && m->key == -(int64_t)m->id, "a torn message: %x %x", m->id, m->not_id);
  ledger_took(m->id);
}
void producing(void) { CRASH_OK(shoal_queue_join(Q, SHOAL_PRODUCER)); }
void consuming(void) { CRASH_OK(shoal_queue_join(Q, SHOAL_CONSUMER)); }
void not_producing(void) { shoal_queue_leave(Q, SHOAL_PRODUCER); }

void put_within(uint32_t id, shoal_deadline deadline) {
  struct message m = message(id);
  int rc = messages_put(Q, &m, deadline);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "put answered %d (%s)", rc, shoal_reason());
  if (rc == 0) T->word[ACKNOWLEDGED]++;
}
void get_within(shoal_deadline deadline) {
  struct message m;
  int rc = messages_get(Q, &m, deadline);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "get answered %d (%s)", rc, shoal_reason());
  if (rc == 0) took(&m);
}
void op_put(void) { put_within(MINE, SHOAL_FOREVER); }
void op_put_another(void) { put_within(MINE + 1, SHOAL_FOREVER); }
void op_try_put(void) { put_within(MINE, SHOAL_TRY); }
void op_get(void) { get_within(SHOAL_FOREVER); }
void op_try_get(void) { get_within(SHOAL_TRY); }
void op_put_n(void) {
  struct message m[3] = {message(MINE), message(MINE + 1), message(MINE + 2)};
  int n = messages_put_n(Q, m, 3, SHOAL_FOREVER);
  CRASH_EXPECT(n > 0 || n == -EPIPE, "put_n answered %d", n);
  if (n > 0) T->word[ACKNOWLEDGED] += (uint32_t)n;
}
void op_get_n(void) {
  struct message m[3];
  int n = messages_get_n(Q, m, 3, SHOAL_FOREVER);
  CRASH_EXPECT(n > 0 || n == -EPIPE, "get_n answered %d", n);
  for (int i = 0; i < n; i++) took(&m[i]);
}
void reserve(void) {
  CRASH_OK(shoal_queue_reserve(Q, &loan, SHOAL_FOREVER));
  *(struct message *)loan.data = message(MINE);
}
void op_commit(void) {
  CRASH_OK(shoal_queue_commit(Q, &loan));
  T->word[ACKNOWLEDGED]++;
}
void op_cancel(void) {
  memset(loan.data, 0x5a, sizeof(struct message));
  CRASH_OK(shoal_queue_cancel(Q, &loan));
}
void op_reserve_commit(void) {
  reserve();
  op_commit();
}
void op_reserve_cancel(void) {
  reserve();
  op_cancel();
}
void receive(void) {
  int rc = shoal_queue_receive(Q, &loan, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "receive answered %d (%s)", rc, shoal_reason());
  if (rc == 0) T->word[HELD] = ((struct message *)loan.data)->id;
}
void release(void) {  // done with what it holds, once it has been released; unless its lease had run out
  if (!loan.data) return;
  struct message m = *(struct message *)loan.data;
  int rc = shoal_queue_release(Q, &loan);
  CRASH_EXPECT(rc == 0 || (rc == -ETIMEDOUT && Q->lease_ns), "release answered %d (%s)", rc, shoal_reason());
  if (rc == 0) took(&m);
  loan = (struct shoal_loan){0};
}
void op_receive_release(void) {
  receive();
  release();
}
void op_return(void) {
  if (!loan.data) return;
  CRASH_OK(shoal_queue_return(Q, &loan));
}
void op_receive_return(void) {
  receive();
  op_return();
}
void op_close(void) { shoal_queue_close(Q); }
void op_leave_producing(void) { shoal_queue_leave(Q, SHOAL_PRODUCER); }
void op_leave_consuming(void) { shoal_queue_leave(Q, SHOAL_CONSUMER); }

void inside_until_told(int i) {
  (void)i;
  consuming();
  uint32_t me = shoal_role_known(&Q->wait, SHOAL_CONSUMER);
  CRASH_OK(shoal_ordered_enter(&Q->ordered, me, SHOAL_FOREVER));
  crash_gate();
  shoal_ordered_leave(&Q->ordered, me);
}
void a_second_passes(void) { crash_deadline_passes(&Q->ordered.shm->lock.sleepers); }

// ---- the survivor ----

// What comes again, a dead one having had it, comes out of order; of MPMC, what was given back, too.
static int in_order(uint32_t last, uint32_t id) {
  if (loan.redelivered || T->word[TOGETHER] || !last) return 1;
  if (Q->kind == SHOAL_QUEUE_MPMC) return id > last || id == T->word[HELD];
  return Q->kind == SHOAL_QUEUE_FIFO ? id > last : id < last;
}
void drain(void) {
  uint32_t last = 0, held = T->word[HELD], n = 0;
  for (int idle = 0; idle < 3; idle += !loan.data) {
    release();
    receive();
    if (!loan.data) continue;
    if (n++ == CRASH_IDS) {
      crash_fail("it is never empty");
      return;
    }
    uint32_t id = ((struct message *)loan.data)->id;
    T->word[HELD] = held;
    CRASH_EXPECT(in_order(last, id), "%u after %u", id, last);
    if (!loan.redelivered) last = id;
  }
}
void fill_and_empty(void) {
  for (uint32_t lap = 0, n; lap < 3; lap++) {
    struct message m = message(200);
    for (n = 0; n < 20 && can_put() && messages_put(Q, &m, SHOAL_TRY) == 0; n++) m = message(m.id + 1);
    CRASH_EXPECT(n == CAPACITY, "room for %u only", n);
    for (uint32_t i = 0; i < CAPACITY; i++) {
      uint32_t id = 200 + (Q->kind <= SHOAL_QUEUE_FIFO ? i : CAPACITY - 1 - i);
      CRASH_EXPECT(messages_get(Q, &m, SHOAL_TRY) == 0 && m.id == id, "in a lap %u comes for %u", m.id, id);
    }
    CRASH_EXPECT(messages_get(Q, &m, SHOAL_TRY) == -EAGAIN, "too many in a lap");
  }
}
void survive(void) {
  loan = (struct shoal_loan){0};
  if (!is_closed()) producing();
  drain();
  CRASH_EXPECT(there() == 0, "%u messages left in the queue", there());
  fixture_roles_free(&Q->wait);
  if (!is_closed()) fill_and_empty();
}
void check_but_put(void) {
  uint32_t inside = there(), before = ledger_taken();
  crash_survivor(survive);
  ledger_once();
  CRASH_EXPECT(ledger_taken() == before + inside, "%u in the queue, %u came out", inside, ledger_taken() - before);
}
static void acknowledged_came(void) {
  CRASH_EXPECT(ledger_mine() >= T->word[ACKNOWLEDGED], "%u put, %u came", T->word[ACKNOWLEDGED], ledger_mine());
}
// What put acknowledged has come, or is gone with a consumer that died just then.
void check(void) {
  check_but_put();
  acknowledged_came();
}

// ---- those who sleep ----

void consumer(int gated) {
  struct message m;
  consuming();
  if (gated) crash_gate();
  while (messages_get(Q, &m, SHOAL_FOREVER) == 0) took(&m);
  __atomic_fetch_add(&T->word[ENDED], 1, __ATOMIC_SEQ_CST);
}
void producer(int gated) {
  producing();
  if (gated) crash_gate();
  for (uint32_t id = 150;; id++) {
    struct message m = message(id);
    if (messages_put(Q, &m, SHOAL_FOREVER)) break;
    __atomic_fetch_add(&T->word[SENT], 1, __ATOMIC_SEQ_CST);
  }
  __atomic_fetch_add(&T->word[ENDED], 1, __ATOMIC_SEQ_CST);
}
void puts_one(int i) {
  producing();
  put_within(160 + (uint32_t)i, SHOAL_FOREVER);
}

void consumers_go_on(void) {
  CRASH_UNTIL(there() == 0, "%u messages left beside sleeping consumers", there());
  crash_all_asleep();
  uint32_t before = ledger_taken();
  put_next();
  CRASH_UNTIL(ledger_taken() == before + 1, "the next message is not taken");
  put_two();
  CRASH_UNTIL(ledger_taken() == before + 3, "the two after it are not taken");
  acknowledged_came();
  ledger_once();
}
// Of MPMC a place may be freed that is not the next.
void producers_go_on(void) {
  CRASH_UNTIL(!can_put(), "a free place beside a sleeping producer");
  crash_all_asleep();
  for (int i = 0; i < 3; i++) {
    uint32_t before = T->word[SENT];
    get();
    CRASH_UNTIL(T->word[SENT] > before || (Q->kind == SHOAL_QUEUE_MPMC && !can_put()),
                "a producer sleeps beside a free place");
    crash_all_asleep();
  }
  CRASH_EXPECT(T->word[SENT] > 0, "no producer got on");
}

void first_in_line(void) {
  fixture_open_gate();
  put_next();
}
void first_in_line_died(void) {
  fixture_open_gate();
  consumers_go_on();
}
void last_in_line(void) {
  for (int i = 0; i < 2 && !T->word[TURN]; i++) {
    uint32_t before = ledger_taken();
    put_next();
    CRASH_UNTIL(ledger_taken() == before + 1, "those who slept before do not take");
    crash_all_asleep();  // again, behind the victim: awake, they would take what is to wake it
  }
  T->word[TURN] = 1;
  put_next();
}
void first_for_room(void) {
  fixture_open_gate();
  get();
}
void first_for_room_died(void) {
  fixture_open_gate();
  producers_go_on();
}
