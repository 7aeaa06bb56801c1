// ipc/queue/ordered, growing. Claims: whoever dies while a queue doubles, what was in it and what it had put comes out,
// once and in order; the queue grows on, by the memory that the dead had taken, and by no more; nobody waits for the
// lock of the dead; those who were there before find what lies in the new cells; without room for more cells all goes
// on as before.
#include "tests/crash/queue_fixture.h"

#define ROUND (3 * CAPACITY)  // more than the next doubling holds

enum { OBJECTS = QUEUE_WORDS };  // T->word: in the directory, before it grew

static uint32_t objects(void) {
  struct shoal_segment_info info;
  CRASH_OK(shoal_segment_info(S, &info));
  return info.objects;
}
static uint32_t grown(void) {
  struct shoal_queue_info info;
  CRASH_OK(shoal_queue_info(Q, &info));
  return info.grown;
}

// ---- states; the driver is a producer, and knows of no cells but the first ----
static void make_with(uint32_t kind, uint32_t overflow, uint32_t inside, uint64_t size_max) {
  struct shoal_queue_options o = {.capacity = CAPACITY,
                                  .element_size = sizeof(struct message),
                                  .kind = kind,
                                  .producers = 6,
                                  .consumers = 6,
                                  .grow = 1,
                                  .overflow = overflow};
  if (kind == SHOAL_QUEUE_PRIORITY) o.key = (struct shoal_queue_key){SHOAL_KEY_I64, offsetof(struct message, key)};
  fixture_segment(size_max);
  CRASH_OK(shoal_queue_create(S, "queue", &o, &Q));
  producing();
  while (T->word[NEXT] < inside) put_next();
  T->word[OBJECTS] = objects();
}
static void make(uint32_t kind, uint32_t inside, uint64_t size_max) {
  make_with(kind, SHOAL_OVERFLOW_WAIT, inside, size_max);
}
static void unmake(void) {
  queue_unmake();
  fixture_segment_end();
}
static void fifo_almost(void) { make(SHOAL_QUEUE_FIFO, CAPACITY - 1, 16 << 20); }
static void fifo_full(void) { make(SHOAL_QUEUE_FIFO, CAPACITY, 16 << 20); }
static void priority_full(void) { make(SHOAL_QUEUE_PRIORITY, CAPACITY, 16 << 20); }
// Another has put three more, in new cells, and is dead.
static void three_more(void) {
  producing();
  for (int i = 0; i < 3; i++) put_next();
}
static void priority_grown(void) {
  priority_full();
  crash_survivor(three_more);
}
static void no_room_and(uint32_t overflow) {
  struct shoal_object filler;
  make_with(SHOAL_QUEUE_FIFO, overflow, CAPACITY, 1 << 20);
  for (uint64_t size = 512 << 10; size >= 64; size /= 2)
    while (shoal_object_create(S, NULL, "filler", size, NULL, NULL, &filler) == 0) continue;
}
static void no_room(void) { no_room_and(SHOAL_OVERFLOW_WAIT); }
static void no_room_drops(void) { no_room_and(SHOAL_OVERFLOW_DROP_OLDEST); }

// ---- what victims do ----
static void at_home(void) {
  shoal_proc_id me;
  CRASH_OK(shoal_proc_self(S, &me));
  producing();
}
static void reader(void) { consuming(); }
static void op_put_in_vain(void) {
  struct message m = message(MINE);
  int rc = messages_put(Q, &m, SHOAL_FOREVER);
  CRASH_EXPECT(rc == -ENOSPC, "put answered %d (%s)", rc, shoal_reason());
}

// ---- the survivor: takes what is there, then has it grow ----
static void fill_and_grow(void) {
  uint32_t n = ROUND + (CAPACITY << grown());
  struct message m;
  for (uint32_t i = 0; i < n; i++) {
    m = message(200 + i);
    CRASH_EXPECT(messages_put(Q, &m, SHOAL_TRY) == 0, "no room for %u: %s", i, shoal_reason());
  }
  for (uint32_t i = 0; i < n; i++) {
    uint32_t id = 200 + (Q->kind == SHOAL_QUEUE_FIFO ? i : n - 1 - i);
    CRASH_EXPECT(messages_get(Q, &m, SHOAL_TRY) == 0 && m.id == id, "%u comes for %u", m.id, id);
  }
  CRASH_EXPECT(messages_get(Q, &m, SHOAL_TRY) == -EAGAIN, "too many came");
}
static void survive_it(void) {
  producing();
  drain();
  fixture_roles_free(&Q->wait);
  fill_and_grow();
  CRASH_EXPECT(shoal_proc_reap(S) >= 0, "reap: %s", shoal_reason());  // of what the dead were creating
  CRASH_EXPECT(objects() == T->word[OBJECTS] + grown(), "%u pieces of memory, grown %u times",
               objects() - T->word[OBJECTS], grown());
}
// At most `lost` went with consumers that died just then.
static void check_with(uint32_t lost) {
  crash_survivor(survive_it);
  ledger_once();
  uint32_t came = ledger_taken() - ledger_mine();
  CRASH_EXPECT(came <= T->word[NEXT] && came + lost >= T->word[NEXT], "%u were inside, %u came", T->word[NEXT], came);
  CRASH_EXPECT(ledger_mine() >= T->word[ACKNOWLEDGED], "%u put, %u came", T->word[ACKNOWLEDGED], ledger_mine());
}
static void check_put(void) { check_with(0); }
static void check_got(void) { check_with(!crash_victim_finished()); }
static void check_pair(void) {
  T->word[ACKNOWLEDGED] = 0;
  check_with(1);
}
static void in_vain(void) {
  producing();
  op_put_in_vain();
  drain();
  fixture_roles_free(&Q->wait);
  fill_and_empty();
}
static void check_no_room(void) {
  crash_survivor(in_vain);
  ledger_once();
  CRASH_EXPECT(ledger_taken() == CAPACITY, "%u came out of %u", ledger_taken(), CAPACITY);
}
// One gave way at most, and is counted.
static void check_gave_way(void) {
  struct shoal_queue_info info;
  crash_survivor(survive);
  ledger_once();
  CRASH_OK(shoal_queue_info(Q, &info));
  CRASH_EXPECT(ledger_taken() + info.discarded == CAPACITY + ledger_mine(), "%u came, %u put, %lu gave way",
               ledger_taken(), ledger_mine(), info.discarded);
  CRASH_EXPECT(ledger_mine() >= T->word[ACKNOWLEDGED] && info.discarded <= 1, "%lu gave way", info.discarded);
}

#define GROW(id, text, ...) CRASH_SCENARIO(grow_##id, .name = "grow: " text, .cleanup = unmake, __VA_ARGS__)
#define PLAIN(id, text, state, role, what, expect) \
  GROW(id, text, .setup = state, .prepare = role, .op = what, .check = expect)
PLAIN(put_fifo, "put, full", fifo_full, at_home, op_put, check_put);
PLAIN(put_priority, "put, full, by priority", priority_full, at_home, op_put, check_put);
PLAIN(put_n, "put three at once, almost full", fifo_almost, at_home, op_put_n, check_put);
PLAIN(commit, "reserve and commit, full", fifo_full, at_home, op_reserve_commit, check_put);
PLAIN(cancel, "reserve and cancel, full", fifo_full, at_home, op_reserve_cancel, check_put);
PLAIN(in_vain, "put, full, no room in the segment", no_room, at_home, op_put_in_vain, check_no_room);
PLAIN(drops, "put, full, no room in the segment, one gives way", no_room_drops, at_home, op_put, check_gave_way);
PLAIN(get_new, "get, from cells that others have added", priority_grown, reader, op_get, check_got);
PLAIN(release_new, "receive and release, from cells that others have added", priority_grown, reader, op_receive_release,
      check_got);

// Three come while the victim is inside, before or behind it, and sleep if they must.
static void gets_one(int i) {
  (void)i;
  consuming();
  op_get();
}
static void three_come(void) {
  T->word[TOGETHER] = 1;
  for (int i = 0; i < 2; i++) crash_actor(puts_one, i);
  crash_actor(gets_one, 0);
  crash_all_asleep_or_finished();
}
static void all_through(void) {
  CRASH_UNTIL(crash_all_finished(), "somebody waits for the lock, and nobody is inside");
  crash_kill_victim();
  for (int i = 0; i < 3; i++) crash_kill(i);
  crash_survivor(survive_it);
  ledger_once();
  for (uint32_t id = 1; id <= CAPACITY; id++) CRASH_EXPECT(T->taken[id] == 1, "%u is lost", id);
  for (uint32_t id = 160; id < 162; id++) CRASH_EXPECT(T->taken[id] == 1, "put beside it, and lost");
}
GROW(others, "put, full, three come and it dies", .setup = fifo_full, .prepare = at_home, .op = op_put,
     .stopped = three_come, .check = all_through);
GROW(others_on, "put, full, three come and it goes on", .kind = CRASH_RESUMED, .setup = fifo_full, .prepare = at_home,
     .op = op_put, .stopped = three_come, .check = all_through);

GROW(pair_put, "pair, put, full, then put", .kind = CRASH_PAIR, .setup = fifo_full, .prepare = at_home, .op = op_put,
     .prepare2 = at_home, .op2 = op_put_another, .check = check_pair);
GROW(pair_get, "pair, put, full, then get, by priority", .kind = CRASH_PAIR, .setup = priority_full, .prepare = at_home,
     .op = op_put, .prepare2 = reader, .op2 = op_try_get, .check = check_pair);
