// ipc/queue/select. Claims: what is in either queue when a select dies is received, once, by others; nobody sleeps
// beside a message or a free place because a select had been woken for it: it took another, only looked, or was killed.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/queue/select.h"
#include "ipc/queue/select_internal.h"
#include "tests/crash/crash.h"

#define CAPACITY 4u
#define BYTES (16u * 1024)

SHOAL_QUEUE_TYPED(numbers, uint64_t)
SHOAL_SELECT_TYPED(numbers, uint64_t)

enum { NEXT, PUT };  // T->word

static struct shoal_queue *Q[2];
#define E ((struct shoal_event *)T->raw)

static uint32_t slots_in(struct shoal_queue *q, uint32_t state) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < CAPACITY; i++)
    n += shoal_slot_state_(shoal_load64_relaxed(shoal_mpmc_at(&q->ring, i, q->ring.stride).ctl)) == state;
  return n;
}
static uint32_t there(void) {
  uint32_t n = 0;
  for (int k = 0; k < 2; k++) n += slots_in(Q[k], SHOAL_SLOT_FULL_) + slots_in(Q[k], SHOAL_SLOT_READING_);
  return n;
}
static int full(struct shoal_queue *q) { return slots_in(q, SHOAL_SLOT_FULL_) == CAPACITY; }
static void took(uint64_t id) {
  CRASH_EXPECT(id < CRASH_IDS, "a message of nobody's: %lu", id);
  if (id < CRASH_IDS) __atomic_fetch_add(&T->taken[id], 1, __ATOMIC_SEQ_CST);
}
static void put_next(int k) {
  uint64_t id = 1 + T->word[NEXT]++;
  int rc = numbers_put(Q[k], &id, SHOAL_TRY);
  CRASH_EXPECT(rc == 0, "put answered %d", rc);
}
static void put_both(void) {
  put_next(0);
  put_next(1);
}

static void setup(void) {
  static char *memory;
  if (!memory) memory = mmap(NULL, 2 * BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  memset(memory, 0, 2 * BYTES);
  shoal_spin_max_ = 3;
  struct shoal_queue_options o = {.capacity = CAPACITY, .element_size = 8, .producers = 6, .consumers = 6};
  for (int k = 0; k < 2; k++) {
    int rc = shoal_queue_place_(memory + k * BYTES, BYTES, &o);
    if (rc == 0) rc = shoal_queue_attach_(memory + k * BYTES, BYTES, 8, &Q[k]);
    if (rc == 0) rc = shoal_queue_join(Q[k], SHOAL_PRODUCER);
    if (rc) crash_fail("making the queues: %d", rc);
  }
  CRASH_EXPECT(shoal_event_init(E) == 0, "init");
}
static void setup_full(void) {
  setup();
  for (int k = 0; k < 2; k++) {
    for (uint32_t i = 0; i < CAPACITY; i++) put_next(k);
    CRASH_EXPECT(shoal_queue_join(Q[k], SHOAL_CONSUMER) == 0, "join");
  }
}
static void cleanup(void) {
  for (int k = 0; k < 2; k++) shoal_queue_detach(Q[k]);
}

// ---- who selects ----
static uint64_t in;
static int select_get(shoal_deadline deadline) {
  struct shoal_case c[] = {numbers_on_get(Q[0], &in), numbers_on_get(Q[1], &in), shoal_on_event(E)};
  c[0].turn_ = 3;  // begins with the first
  int k = shoal_select(c, 3, deadline);
  CRASH_EXPECT((k >= 0 && c[k].result == 0) || k == -EAGAIN || k == -ETIMEDOUT, "select answered %d", k);
  if (k == 0 || k == 1) took(in);
  return k;
}
static void op_select(void) { select_get(SHOAL_FOREVER); }
static void op_try(void) { select_get(SHOAL_TRY); }
static void prepare(void) { select_get(shoal_after_ns(1)); }  // has its roles, and is a holder
static void op_look(void) {
  struct shoal_case c[] = {shoal_on_readable(Q[0]), shoal_on_readable(Q[1])};
  int k = shoal_select(c, 2, SHOAL_FOREVER);
  CRASH_EXPECT(k >= 0, "select answered %d", k);
}
static void op_put(void) {
  uint64_t out = 100;
  struct shoal_case c[] = {numbers_on_put(Q[0], &out), numbers_on_put(Q[1], &out)};
  c[0].turn_ = 2;
  int k = shoal_select(c, 2, SHOAL_FOREVER);
  CRASH_EXPECT(k >= 0 && c[k].result == 0, "select answered %d", k);
  T->word[PUT] += k >= 0;
}
static void prepare_put(void) {
  uint64_t out = 100;
  struct shoal_case c[] = {numbers_on_put(Q[0], &out), numbers_on_put(Q[1], &out)};
  if (full(Q[0]) && full(Q[1])) CRASH_EXPECT(shoal_select(c, 2, shoal_after_ns(1)) == -ETIMEDOUT, "not full");
}

// ---- others: they have their roles, and wait at the gate until the victim sleeps, so that they sleep behind it ----
static void joined(int k, int side) {
  CRASH_EXPECT(shoal_queue_join(Q[k], side) == 0, "join");
  crash_gate();
}
static void gets(int k) {  // for ever
  joined(k, SHOAL_CONSUMER);
  for (uint64_t v; numbers_get(Q[k], &v, SHOAL_FOREVER) == 0;) took(v);
}
static void gets_one(int k) {
  uint64_t v;
  joined(k, SHOAL_CONSUMER);
  if (numbers_get(Q[k], &v, SHOAL_FOREVER) == 0) took(v);
}
static void selects(int k) {
  (void)k;
  prepare();
  crash_gate();
  while (select_get(SHOAL_FOREVER) >= 0) continue;
}
static void setup_with(void (*body)(int), uint32_t n) {
  setup();
  for (uint32_t k = 0; k < n; k++) crash_actor(body, (int)k);
  crash_at_gate(n);
}
static void getters(void) { setup_with(gets, 2); }
static void getters_of_one(void) { setup_with(gets_one, 2); }
static void a_select(void) { setup_with(selects, 1); }
static void they_sleep(void) {
  if (T->gate) return;
  crash_open_gate();
  crash_all_asleep();
}

static void drain(void) {
  for (int idle = 0; idle < 3;) idle += select_get(SHOAL_TRY) < 0;
}
static void nothing_left(void) { CRASH_UNTIL(there() == 0, "%u messages left beside those who sleep", there()); }
static void once_each(void) {
  for (uint32_t i = 0; i < CRASH_IDS; i++) CRASH_EXPECT(T->taken[i] <= 1, "%u was received %u times", i, T->taken[i]);
}
static void check(void) {
  they_sleep();
  nothing_left();
  put_both();
  nothing_left();
  once_each();
}
// Nobody else is there: a survivor comes. What a victim had got may have gone with it.
static void check_alone(void) {
  uint32_t before = there(), taken = 0;
  crash_survivor(drain);
  once_each();
  for (uint32_t i = 0; i < CRASH_IDS; i++) taken += T->taken[i];
  CRASH_EXPECT(there() == 0, "%u of %u messages are left", there(), before);
  CRASH_EXPECT(taken >= before, "%u there, %u received", before, taken);
}

#define SELECT(id, text, ...) CRASH_SCENARIO(select_##id, .name = "select: " text, .cleanup = cleanup, __VA_ARGS__)

SELECT(get, "get, both ready", .setup = setup, .ready = put_both, .op = op_select, .check = check_alone);
SELECT(try_get, "try, nothing there", .setup = setup, .op = op_try, .check = check_alone);
SELECT(first, "get, its first sleep", .setup = setup, .op = op_select, .asleep = put_both, .check = check_alone);

// Beside a time, a descriptor and a process. What comes is the time, or a byte, or a message; those that did not come
// are as they were.
static int pair_of_fds[2];
static void setup_others(void) {
  setup();
  CRASH_EXPECT(pipe2(pair_of_fds, O_CLOEXEC) == 0, "pipe2");
}
static void cleanup_others(void) {
  for (int i = 0; i < 2; i++) close(pair_of_fds[i]);
  cleanup();
}
static void select_of_all(shoal_deadline until, shoal_deadline deadline) {
  struct shoal_case c[] = {numbers_on_get(Q[0], &in), shoal_on_time(until), shoal_on_fd(pair_of_fds[0], POLLIN),
                           shoal_on_process(getppid()), numbers_on_get(Q[1], &in)};
  int k = shoal_select(c, 5, deadline);
  CRASH_EXPECT((k >= 0 && k != 3) || k == -EAGAIN, "select answered %d", k);
  if (k == 0 || k == 4) took(in);
}
static void op_try_all(void) { select_of_all(shoal_after_s(36000), SHOAL_TRY); }
static void op_select_all(void) { select_of_all(shoal_after_s(36000), SHOAL_FOREVER); }
static void op_time_over(void) { select_of_all(shoal_after_ns(0), SHOAL_FOREVER); }
static void a_byte(void) { CRASH_EXPECT(write(pair_of_fds[1], "x", 1) == 1, "write"); }
static void op_select_timed(void) {
  struct shoal_case c[] = {numbers_on_get(Q[0], &in), shoal_on_time(shoal_after_s(36000)), numbers_on_get(Q[1], &in)};
  int k = shoal_select(c, 3, SHOAL_FOREVER);
  CRASH_EXPECT((k == 0 || k == 2) && c[k].result == 0, "select answered %d", k);
  took(in);
}
#define OTHERS(id, text, ...) \
  CRASH_SCENARIO(select_##id, .name = "select: " text, .setup = setup_others, .cleanup = cleanup_others, __VA_ARGS__)
SELECT(timed, "get, beside a time, its first sleep", .setup = setup, .op = op_select_timed, .asleep = put_both,
       .check = check_alone);
OTHERS(others_try, "try, beside a descriptor, a process and a time", .op = op_try_all, .check = check_alone);
OTHERS(others_ready, "get, ready beside a descriptor, a process and a time", .ready = put_both, .op = op_select_all,
       .check = check_alone);
OTHERS(others_fd, "a descriptor is ready beside a process, a time and queues", .ready = a_byte, .op = op_select_all,
       .check = check_alone);
OTHERS(others_time, "a time is over beside a descriptor, a process and queues", .op = op_time_over,
       .check = check_alone);
OTHERS(others_asleep, "get, beside a descriptor, a process and a time, its first sleep", .op = op_select_all,
       .asleep = put_both, .check = check_alone);

// The victim sleeps, others sleep behind it at either queue; a message for each comes at once.
static void both(void) {
  they_sleep();
  put_both();
}
SELECT(woken_for_both, "get, woken for both, others asleep behind it", .setup = getters, .prepare = prepare,
       .op = op_select, .asleep = both, .check = check);

static void one(void) {
  they_sleep();
  put_next(0);
}
SELECT(woken_before_select, "get, woken, a select asleep behind it", .setup = a_select, .prepare = prepare,
       .op = op_select, .asleep = one, .check = check);
SELECT(looks, "readable, woken, others asleep behind it", .setup = getters, .prepare = prepare, .op = op_look,
       .asleep = one, .check = check);
static void both_and_event(void) {
  they_sleep();
  CRASH_EXPECT(shoal_event_set(E) == 0, "set");
  put_both();
}
SELECT(event, "get, an event is set, too", .setup = getters, .prepare = prepare, .op = op_select,
       .asleep = both_and_event, .check = check);

// Not killed: it takes one, and the others, who take one each, have the other one and one more between them.
static int nothing_for(int k) { return crash_finished(k) || !slots_in(Q[k], SHOAL_SLOT_FULL_); }
static void one_each(void) {
  they_sleep();
  CRASH_UNTIL(nothing_for(0) && nothing_for(1), "a message is left, and its getter sleeps");
}
static void ends_after(void (*first)(void)) {
  if (!T->word[NEXT]) first();
  CRASH_UNTIL(crash_victim_finished() || there() == 0, "messages are left, and the select sleeps");
  if (!crash_victim_finished()) put_next(0);
}
static void comes_to_its_end(void) { ends_after(both); }
// The getters, who never have enough, may be faster than one that only looks; the end of a queue is there for all.
static void sees_one(void) {
  if (!T->word[NEXT]) one();
  CRASH_UNTIL(crash_victim_finished() || there() == 0, "messages are left, and the select sleeps");
  if (!crash_victim_finished()) CRASH_EXPECT(shoal_queue_close(Q[0]) == 0, "close");
}
SELECT(looks_goes_on, "readable, woken, goes on", .kind = CRASH_RESUMED, .setup = getters, .prepare = prepare,
       .op = op_look, .asleep = one, .resumed = sees_one, .check = nothing_left);
SELECT(goes_on, "get, woken for both, goes on", .kind = CRASH_RESUMED, .setup = getters_of_one, .prepare = prepare,
       .op = op_select, .asleep = both, .resumed = comes_to_its_end, .check = one_each);

// ---- guarded puts ----
static void puts_one(int k) {
  uint64_t v = 120 + (uint64_t)k;
  joined(k, SHOAL_PRODUCER);
  if (numbers_put(Q[k], &v, SHOAL_FOREVER) == 0) T->word[PUT]++;
}
static void full_putters(void) {
  setup_full();
  for (int k = 0; k < 2; k++) crash_actor(puts_one, k);
  crash_at_gate(2);
}
static void get_one(int k) {
  uint64_t v;
  CRASH_EXPECT(numbers_get(Q[k], &v, SHOAL_TRY) == 0, "get");
}
static void room(void) {
  they_sleep();
  get_one(0);
  get_one(1);
}
// A place that a dead producer had claimed is free again only when the messages before it have gone.
static int no_place_for(int k) {
  return crash_finished(k) || shoal_mpmc_blocker(&Q[k]->ring, SHOAL_PRODUCER) != SHOAL_BLOCKER_NONE;
}
static void all_full(void) {
  if (!T->gate) room();
  CRASH_UNTIL(no_place_for(0) && no_place_for(1), "a producer sleeps beside a free place");
}
SELECT(put, "put, woken for both, others asleep behind it", .setup = full_putters, .prepare = prepare_put, .op = op_put,
       .asleep = room, .check = all_full);

// ---- select_ready: whatever it sees, it takes nothing ----
static int is_sum(const struct shoal_case *c, int n) { return n >= 1 && n == (int)(c[0].ready + c[1].ready); }
static void op_ready(void) {
  struct shoal_case c[] = {numbers_on_get(Q[0], &in), numbers_on_get(Q[1], &in)};
  int n = shoal_select_ready(c, 2, SHOAL_FOREVER);
  CRASH_EXPECT(is_sum(c, n), "ready answered %d", n);
}
static void op_ready_room(void) {
  uint64_t out = 100;
  struct shoal_case c[] = {numbers_on_put(Q[0], &out), shoal_on_writable(Q[1])};
  int n = shoal_select_ready(c, 2, SHOAL_FOREVER);
  CRASH_EXPECT(is_sum(c, n), "ready answered %d", n);
}
static void room_for_the_rest(void) {
  if (!T->gate) room();
  CRASH_UNTIL(crash_finished(0) && crash_finished(1), "a producer sleeps beside a free place");
}
SELECT(ready, "ready, both are", .setup = setup, .ready = put_both, .op = op_ready, .check = check_alone);
SELECT(ready_first, "ready, its first sleep", .setup = setup, .op = op_ready, .asleep = put_both, .check = check_alone);
SELECT(ready_woken, "ready, woken, others asleep behind it", .setup = getters, .prepare = prepare, .op = op_ready,
       .asleep = one, .check = check);
SELECT(ready_goes_on, "ready, woken, goes on", .kind = CRASH_RESUMED, .setup = getters, .prepare = prepare,
       .op = op_ready, .asleep = one, .resumed = sees_one, .check = nothing_left);
SELECT(ready_room, "ready for a put, woken for both, others asleep behind it", .setup = full_putters,
       .prepare = prepare_put, .op = op_ready_room, .asleep = room, .check = room_for_the_rest);

// ---- a selector: its loop arms, and its thread sleeps in its stead, takes nothing and hands on ----
// Both by one thread, so that it is killed at each instruction of either.
static void op_arm_and_sleep(void) {
  static struct shoal_select_ s;
  static shoal_atomic32 never;
  struct shoal_case c[] = {numbers_on_get(Q[0], &in), numbers_on_get(Q[1], &in), shoal_on_event(E)};
  uint32_t words;
  int rc = shoal_select_prepare_(&s, c, 3, &words);
  CRASH_EXPECT(rc >= 0 || rc == -EAGAIN, "arming answered %d", rc);
  if (rc != -EAGAIN) return;
  s.entries[s.words - 1] = (struct shoal_futex_entry){&never, 0};
  shoal_select_woken_(&s, shoal_futex_wait_many(s.entries, words, shoal_select_first_(&s, words), SHOAL_FOREVER));
}
#define SELECTOR(id, text, ...) \
  CRASH_SCENARIO(selector_##id, .name = "selector: " text, .cleanup = cleanup, .op = op_arm_and_sleep, __VA_ARGS__)
SELECTOR(ready, "armed, both are ready", .setup = setup, .ready = put_both, .check = check_alone);
SELECTOR(first, "armed, its first sleep", .setup = setup, .asleep = put_both, .check = check_alone);
SELECTOR(woken, "armed, woken for both, others asleep behind it", .setup = getters, .prepare = prepare, .asleep = both,
         .check = check);
SELECTOR(before_select, "armed, woken, a select asleep behind it", .setup = a_select, .prepare = prepare, .asleep = one,
         .check = check);
SELECTOR(event, "armed, an event is set, too, others asleep behind it", .setup = getters, .prepare = prepare,
         .asleep = both_and_event, .check = check);
SELECTOR(goes_on, "armed, woken, goes on", .kind = CRASH_RESUMED, .setup = getters, .prepare = prepare, .asleep = one,
         .resumed = sees_one, .check = nothing_left);

// The loop's thread is killed at each instruction of its own, the other thread wherever that is.
static struct shoal_selector *selector;
static void selecting(void) {
  prepare();
  CRASH_EXPECT(shoal_selector_open(&selector) == 0, "open");
}
static void op_arm(void) {
  static struct shoal_case c[3];  // stay as long as it is armed
  const struct shoal_case three[] = {numbers_on_get(Q[0], &in), numbers_on_get(Q[1], &in), shoal_on_event(E)};
  memcpy(c, three, sizeof c);
  int rc = shoal_selector_arm(selector, c, 3);
  CRASH_EXPECT(rc == (T->word[NEXT] != 0), "arm answered %d", rc);
}
CRASH_SCENARIO(selector_arm, .name = "selector: arm, others asleep behind it", .setup = getters, .prepare = selecting,
               .op = op_arm, .check = check, .cleanup = cleanup);
CRASH_SCENARIO(selector_arm_ready, .name = "selector: arm, both are ready", .setup = setup, .prepare = selecting,
               .ready = put_both, .op = op_arm, .check = check_alone, .cleanup = cleanup);

// ---- a topic beside a queue: another reads it, and must not wait for the dead ----
SHOAL_TOPIC_TYPED(topic_of, uint64_t)
SHOAL_TOPIC_SELECT_TYPED(topic_of, uint64_t)
enum { READ = PUT + 1, PUBLISHED, WANTED };  // T->word; WANTED: by the victim

static void *topic_memory;
static struct shoal_topic *P;  // of each process; the driver's publishes

static struct shoal_topic *open_topic(void) {
  struct shoal_topic *t = NULL;
  int rc = shoal_topic_attach_(topic_memory, BYTES, 8, &t);
  if (rc) crash_fail("attach answered %d", rc);
  return t;
}
static void setup_topic(void) {
  setup();
  if (!topic_memory) topic_memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  memset(topic_memory, 0, BYTES);
  struct shoal_topic_options o = {.capacity = CAPACITY, .element_size = 8, .publishers = 3, .subscribers = 4};
  int rc = shoal_topic_place_(topic_memory, BYTES, &o);
  if (rc) crash_fail("making the topic: %d", rc);
  P = open_topic();
  CRASH_EXPECT(shoal_topic_join(P) == 0, "join");
}
static void cleanup_topic(void) {
  shoal_topic_detach(P);
  cleanup();
}
static void publish_next(void) {
  uint64_t id = 1 + T->word[PUBLISHED]++;
  int rc = topic_of_publish(P, &id, SHOAL_TRY);
  CRASH_EXPECT(rc == 0, "publish answered %d", rc);
}
static void reads(int i) {
  (void)i;
  CRASH_EXPECT(shoal_topic_subscribe(P, NULL) == 0, "subscribe");
  crash_gate();
  for (uint64_t v; topic_of_get(P, &v, SHOAL_FOREVER) == 0;) __atomic_fetch_add(&T->word[READ], 1, __ATOMIC_SEQ_CST);
}
static void a_reader(void) {
  setup_topic();
  crash_actor(reads, 0);
  crash_at_gate(1);
}
static int select_topic(shoal_deadline deadline) {
  uint64_t v;
  struct shoal_case c[] = {topic_of_on_get(P, &v), numbers_on_get(Q[0], &in)};
  c[0].turn_ = 2;
  int k = shoal_select(c, 2, deadline);
  CRASH_EXPECT((k >= 0 && c[k].result == 0) || k == -EAGAIN || k == -ETIMEDOUT, "select answered %d", k);
  if (k == 1) took(in);
  return k;
}
static void op_select_topic(void) { select_topic(SHOAL_FOREVER); }
static void subscribed(void) {
  CRASH_EXPECT(shoal_topic_subscribe(P, NULL) == 0, "subscribe");
  select_topic(shoal_after_ns(1));
}
static void topic_and_queue(void) {
  they_sleep();
  publish_next();
  put_next(0);
}
static int all_read(void) { return T->word[READ] == T->word[PUBLISHED] + T->word[WANTED]; }
// The victim's place in the ring is nobody's: a whole ring more goes in, and is read.
static void topic_goes_on(void) {
  they_sleep();
  crash_kill_victim();
  shoal_role_reap(&P->wait);
  for (uint32_t i = 0; i < 2 * CAPACITY; i++) {
    publish_next();
    CRASH_UNTIL(all_read(), "%u published, %u read", T->word[PUBLISHED], T->word[READ]);
  }
}
#define TOPIC(id, text, ...) \
  CRASH_SCENARIO(select_##id, .name = "select: " text, .setup = a_reader, .cleanup = cleanup_topic, __VA_ARGS__)
TOPIC(topic, "a topic's next, and a queue's, woken for both, a reader asleep behind it", .prepare = subscribed,
      .op = op_select_topic, .asleep = topic_and_queue, .check = topic_goes_on);

// Who only looks: the topic's message stays its own, its place in the ring nobody's when it dies.
static void op_look_at_topic(void) {
  struct shoal_case c[] = {shoal_on_topic_readable(P), shoal_on_readable(Q[0])};
  int k = shoal_select(c, 2, SHOAL_FOREVER);
  CRASH_EXPECT(k >= 0 && c[k].result == 0, "select answered %d", k);
}
TOPIC(topic_look, "a topic's next is looked at, and a queue's, woken for both, a reader asleep behind it",
      .prepare = subscribed, .op = op_look_at_topic, .asleep = topic_and_queue, .check = topic_goes_on);
static void op_look_for_room(void) {
  struct shoal_case c[] = {shoal_on_topic_writable(P), shoal_on_readable(Q[0])};
  c[0].turn_ = 2;
  CRASH_EXPECT(shoal_select_ready(c, 2, SHOAL_FOREVER) == 1 && c[0].ready, "select_ready");
}
TOPIC(topic_room, "room for a publish, a reader asleep", .prepare = NULL, .ready = they_sleep, .op = op_look_for_room,
      .check = topic_goes_on);

static void op_publish(void) {
  uint64_t id = 100;
  struct shoal_case c[] = {topic_of_on_publish(P, &id), numbers_on_get(Q[0], &in)};
  c[0].turn_ = 2;
  CRASH_EXPECT(shoal_select(c, 2, SHOAL_FOREVER) == 0, "select");
}
static uint64_t claimed_of_topic(void) {
  struct shoal_topic_info info;
  shoal_topic_info(P, &info);
  return info.published - info.holes;
}
// What the victim has published is read, whether or not it lived to wake.
static void published_is_read(void) {
  crash_kill_victim();
  shoal_role_reap(&P->wait);
  T->word[WANTED] = (uint32_t)claimed_of_topic();
  CRASH_UNTIL(all_read(), "%u published, %u read", T->word[WANTED], T->word[READ]);
  topic_goes_on();
}
TOPIC(topic_publish, "a topic's publish, a reader asleep", .prepare = NULL, .ready = they_sleep, .op = op_publish,
      .check = published_is_read);

// ---- pairs ----
SELECT(pair, "pair, woken for both, then another select", .kind = CRASH_PAIR, .setup = setup, .prepare = prepare,
       .op = op_select, .asleep = put_both, .prepare2 = prepare, .op2 = op_select, .asleep2 = put_both,
       .check = check_alone);
