// ipc/queue/topic on sync/eventcount. Claims: what was published is received by every subscriber, once, whole and in
// order, or by none; in a group by one member; nobody sleeps beside a message, beside a free place, or beyond the end;
// nobody waits for the dead; the ring keeps its capacity, and the roles of the dead are free again.
#include "ipc/queue/topic.h"
#include "tests/crash/fixture.h"

#define CAPACITY 4u
#define BYTES (32u * 1024)

struct message {
  uint64_t id, not_id;
};
SHOAL_TOPIC_TYPED(messages, struct message)

enum { STAGE = OWN_WORDS, READ, TOLD = READ + 2 };  // T->word; READ + i: how many reader i has read

static void *memory;
static struct shoal_topic *Q, *R[2], *G;  // the driver's: a publisher; two that read alone; a member of the group
static struct shoal_loan loan;            // a victim's

static struct message message(uint64_t id) { return (struct message){id, ~id}; }
static struct shoal_topic *attach(void) {
  struct shoal_topic *t = NULL;
  int rc = shoal_topic_attach_(memory, BYTES, sizeof(struct message), &t);
  if (rc) crash_fail("attach answered %d", rc);
  return t;
}
static void subscribe_to(struct shoal_topic *t, uint32_t slow, uint32_t history, const char *group) {
  struct shoal_topic_subscription how = {.history = history, .slow = slow, .group = group};
  int rc = shoal_topic_subscribe(t, &how);
  CRASH_EXPECT(rc == 0, "subscribe answered %d", rc);
}
static void publish(uint64_t id) {
  struct message m = message(id);
  int rc = messages_publish(Q, &m, SHOAL_TRY);
  CRASH_EXPECT(rc == 0, "publish of %lu answered %d", id, rc);
}
static void publish_next(void) { publish(1 + T->word[NEXT]++); }

// ---- states ----

static void make(void) {
  memory = fixture_memory(BYTES);
  struct shoal_topic_options o = {CAPACITY, sizeof(struct message), 2, 5, 5, 1, NULL};
  int rc = shoal_topic_place_(memory, BYTES, &o);
  if (rc) crash_fail("making the topic: %d", rc);
  Q = attach();
  for (uint64_t i = 0; i < 5; i++) publish(0);  // nobody reads: it has gone round
}
static void inside(uint32_t n) {
  while (n--) publish_next();
}
// Two that read alone, and are the driver's.
static void read_by_two(void) {
  make();
  for (int i = 0; i < 2; i++) subscribe_to(R[i] = attach(), SHOAL_TOPIC_WAIT, 0, NULL);
}
static void empty(void) { read_by_two(); }
static void part(void) {
  read_by_two();
  inside(2);
}
static void full(void) {
  read_by_two();
  inside(CAPACITY);
}
// Nobody is waited for.
static void passed_by(void) {
  make();
  for (int i = 0; i < 2; i++) subscribe_to(R[i] = attach(), SHOAL_TOPIC_DROP, 0, NULL);
  inside(3 * CAPACITY);
}
static void nobody(void) { make(); }
static void grouped(uint32_t n) {
  make();
  subscribe_to(G = attach(), SHOAL_TOPIC_WAIT, 0, "group");
  inside(n);
}
static void group_empty(void) { grouped(0); }
static void group_part(void) { grouped(2); }
static void group_full(void) { grouped(CAPACITY); }

static void detach(void) {
  for (struct shoal_topic **t = (struct shoal_topic *[]){Q, R[0], R[1], G}, **end = t + 4; t < end; t++)
    if (*t) shoal_topic_detach(*t);
  Q = R[0] = R[1] = G = NULL;
}

// ---- what victims do ----

static void publishing(void) {
  int rc = shoal_topic_join(Q);
  CRASH_EXPECT(rc == 0, "join answered %d", rc);
}
static void publish_within(uint64_t id, shoal_deadline deadline) {
  struct message m = message(id);
  int rc = messages_publish(Q, &m, deadline);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "publish answered %d", rc);
  if (rc == 0) T->word[ACKNOWLEDGED]++;
}
static void op_publish(void) { publish_within(MINE, SHOAL_FOREVER); }
static void op_publish_another(void) { publish_within(MINE + 1, SHOAL_TRY); }
static void op_try_publish(void) { publish_within(MINE, SHOAL_TRY); }
static void op_reserve_commit(void) {
  struct shoal_loan at;
  int rc = shoal_topic_reserve(Q, &at, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0, "reserve answered %d", rc);
  *(struct message *)at.data = message(MINE);
  rc = shoal_topic_commit(Q, &at);
  CRASH_EXPECT(rc == 0, "commit answered %d", rc);
  T->word[ACKNOWLEDGED]++;
}
static void op_reserve_cancel(void) {
  struct shoal_loan at;
  int rc = shoal_topic_reserve(Q, &at, SHOAL_FOREVER);
  CRASH_EXPECT(rc == 0, "reserve answered %d", rc);
  memset(at.data, 0x5a, sizeof(struct message));
  rc = shoal_topic_cancel(Q, &at);
  CRASH_EXPECT(rc == 0, "cancel answered %d", rc);
}
static void op_leave(void) { shoal_topic_leave(Q); }
static void op_close(void) { shoal_topic_close(Q); }

static void subscribed(void) { subscribe_to(Q, SHOAL_TOPIC_WAIT, SHOAL_TOPIC_ALL, NULL); }
static void subscribed_drop(void) { subscribe_to(Q, SHOAL_TOPIC_DROP, SHOAL_TOPIC_ALL, NULL); }
static void member(void) { subscribe_to(Q, SHOAL_TOPIC_WAIT, 0, "group"); }
static void whole(const struct message *m) { CRASH_EXPECT(m->not_id == ~m->id, "torn: %lx %lx", m->id, m->not_id); }
// Into the table, each victim at a place of its own: whether it was copied is seen after a death.
static void get_into(uint32_t at, shoal_deadline deadline) {
  int rc = shoal_topic_get(Q, (void *)&T->out[at], deadline);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "get answered %d", rc);
  struct message m = {T->out[at], T->out[at + 1]};
  if (rc == 0) whole(&m), ledger_took(m.id);
  T->out[at] = 0;
}
static void op_get(void) { get_into(0, SHOAL_FOREVER); }
static void op_try_get(void) { get_into(0, SHOAL_TRY); }
static void op_second_get(void) { get_into(2, SHOAL_TRY); }
static void receive(void) {
  int rc = shoal_topic_receive(Q, &loan, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN, "receive answered %d", rc);
  if (rc == 0) whole(loan.data), T->word[HELD] = (uint32_t)((struct message *)loan.data)->id;
}
static void op_release(void) {
  if (!T->word[HELD]) return;
  int rc = shoal_topic_release(Q, &loan);
  CRASH_EXPECT(rc == 0, "release answered %d", rc);
  ledger_took(T->word[HELD]);
}
static void op_receive_release(void) { receive(), op_release(); }
static void subscribed_receive(void) { subscribed(), receive(); }
static void member_receive(void) { member(), receive(); }
static void op_return(void) {
  int rc = shoal_topic_return(Q, &loan);
  CRASH_EXPECT(rc == 0, "return answered %d", rc);
  T->word[HELD] = 0;
}
static void op_unsubscribe(void) {
  shoal_topic_unsubscribe(Q);
  T->word[HELD] = 0;
}

// ---- what is left ----

// Reads what is there by one of the driver's: how often MINE and its like were there.
static uint32_t drain(struct shoal_topic *t, uint32_t *acknowledged) {
  struct message m;
  uint32_t mine = 0, rc;
  uint64_t last = 0;
  while ((rc = (uint32_t)messages_get(t, &m, SHOAL_TRY)) == 0) {
    whole(&m);
    if (m.id >= MINE) {
      mine++;
    } else {
      CRASH_EXPECT(m.id > last, "%lu after %lu", m.id, last);
      last = m.id;
    }
  }
  CRASH_EXPECT((int)rc == -EAGAIN || (int)rc == -EPIPE, "get answered %d", (int)rc);
  CRASH_EXPECT(last == T->word[NEXT] || !T->word[NEXT], "the last is %lu of %u", last, T->word[NEXT]);
  CRASH_EXPECT(mine >= *acknowledged, "%u published, %u came", *acknowledged, mine);
  return mine;
}
// A ring, no more and no less, between a publisher and one that reads.
static void fill_and_empty(void) {
  struct shoal_topic *reader = attach();
  fixture_roles_free(&Q->wait);
  subscribe_to(reader, SHOAL_TOPIC_WAIT, 0, NULL);
  for (uint32_t lap = 0; lap < 3; lap++) {
    struct message m = message(200);
    while (messages_publish(Q, &m, SHOAL_TRY) == 0 && m.id < 220) m = message(m.id + 1);
    CRASH_EXPECT(m.id == 200 + CAPACITY, "room for %lu only", m.id - 200);
    for (uint64_t id = 200; id < 200 + CAPACITY; id++)
      CRASH_EXPECT(messages_get(reader, &m, SHOAL_TRY) == 0 && m.id == id, "in a lap %lu comes for %lu", m.id, id);
  }
  shoal_topic_detach(reader);
}
static void unsubscribe_all(void) {
  for (int i = 0; i < 2; i++)
    if (R[i]) shoal_topic_unsubscribe(R[i]);
  if (G) shoal_topic_unsubscribe(G);
}
// All have the victim's message, or none.
static void check_alone(void) {
  uint32_t acknowledged = T->word[ACKNOWLEDGED], first = R[0] ? drain(R[0], &acknowledged) : 0;
  if (R[1]) {
    uint32_t second = drain(R[1], &acknowledged);
    CRASH_EXPECT(first == second, "%u messages of the victim came to one, %u to the other", first, second);
  }
  unsubscribe_all();
  if (!shoal_eventcount_closed(Q->wait.shm)) crash_survivor(fill_and_empty);
}
// In the group each message was taken once: by the victim, or by the driver's member. Gone with the victim is at most
// one, which it had copied, or was releasing.
static void check_group_of(uint32_t victims) {
  struct message m;
  while (messages_get(G, &m, SHOAL_TRY) == 0) whole(&m), ledger_took(m.id);
  uint32_t missing = 0;
  for (uint32_t id = T->word[STAGE] + 1; id <= T->word[NEXT]; id++) {
    CRASH_EXPECT(T->taken[id] <= 1, "%u was received %u times", id, T->taken[id]);
    missing += !T->taken[id];
    if (T->taken[id] || victims > 1) continue;
    CRASH_EXPECT(T->out[0] == id || T->word[HELD] == id, "%u has not come, and was in nobody's hands", id);
  }
  CRASH_EXPECT(missing <= victims, "%u messages are gone", missing);
  unsubscribe_all();
  crash_survivor(fill_and_empty);
}
static void check_group(void) { check_group_of(1); }

#define TOPIC(id, text, ...) CRASH_SCENARIO(topic_##id, .name = "topic: " text, .cleanup = detach, __VA_ARGS__)
#define PLAIN(id, text, state, role, what, expect) \
  TOPIC(id, text, .setup = state, .prepare = role, .op = what, .check = expect)

PLAIN(publish_empty, "publish, empty", empty, publishing, op_publish, check_alone);
PLAIN(publish_part, "publish, part full", part, publishing, op_publish, check_alone);
PLAIN(publish_full, "try to publish, full", full, publishing, op_try_publish, check_alone);
PLAIN(publish_first, "publish, joining by it", part, NULL, op_publish, check_alone);
PLAIN(publish_over, "publish over what nobody is waited for", passed_by, publishing, op_publish, check_alone);
PLAIN(publish_nobody, "publish, nobody subscribes", nobody, publishing, op_publish, check_alone);
PLAIN(reserve_commit, "reserve and commit", part, publishing, op_reserve_commit, check_alone);
PLAIN(reserve_cancel, "reserve and cancel", part, publishing, op_reserve_cancel, check_alone);

PLAIN(get_empty, "try to get, empty", empty, subscribed, op_try_get, check_alone);
PLAIN(get_part, "get, part full", part, subscribed, op_get, check_alone);
PLAIN(get_full, "get, full", full, subscribed, op_get, check_alone);
PLAIN(get_drop, "get, nobody is waited for", passed_by, subscribed_drop, op_get, check_alone);
PLAIN(receive_release, "receive and release", part, subscribed, op_receive_release, check_alone);
PLAIN(receive_drop, "receive and release, nobody is waited for", passed_by, subscribed_drop, op_receive_release,
      check_alone);
PLAIN(return_alone, "return", part, subscribed_receive, op_return, check_alone);

PLAIN(subscribe, "subscribe", part, NULL, subscribed, check_alone);
PLAIN(subscribe_over, "subscribe, nobody is waited for", passed_by, NULL, subscribed_drop, check_alone);
PLAIN(unsubscribe, "unsubscribe", part, subscribed_receive, op_unsubscribe, check_alone);
PLAIN(subscribe_first, "subscribe, the first of a group", part, NULL, member, check_alone);
PLAIN(subscribe_second, "subscribe, another of a group", group_part, NULL, member, check_group);
PLAIN(unsubscribe_last, "unsubscribe, the last of a group", part, member, op_unsubscribe, check_alone);
PLAIN(unsubscribe_one, "unsubscribe, one of a group", group_part, member_receive, op_unsubscribe, check_group);

PLAIN(group_get_empty, "try to get in a group, empty", group_empty, member, op_try_get, check_group);
PLAIN(group_get_part, "get in a group, part full", group_part, member, op_get, check_group);
PLAIN(group_get_full, "get in a group, full", group_full, member, op_get, check_group);
PLAIN(group_release, "receive and release in a group", group_part, member, op_receive_release, check_group);
PLAIN(group_return, "return in a group", group_part, member_receive, op_return, check_group);

// What a dead member held comes to the next, and to the next.
static void of_the_dead(void) {
  group_part();
  crash_survivor(member_receive);
  T->word[HELD] = 0;
}
PLAIN(group_stray, "receive and release in a group what a dead one held", of_the_dead, member, op_receive_release,
      check_group);
static void group_drop(void) {
  make();
  subscribe_to(G = attach(), SHOAL_TOPIC_DROP, 0, "group");
  inside(3 * CAPACITY);
  T->word[STAGE] = 2 * CAPACITY;  // are gone
}
static void member_drop(void) { subscribe_to(Q, SHOAL_TOPIC_DROP, 0, "group"); }
PLAIN(group_drop, "receive and release in a group, nobody is waited for", group_drop, member_drop, op_receive_release,
      check_group);
static void publishing_reserved(void) {
  struct shoal_loan at;
  publishing();
  CRASH_OK(shoal_topic_reserve(Q, &at, SHOAL_FOREVER));
}
PLAIN(leave_reserved, "leave with a reservation", part, publishing_reserved, op_leave, check_alone);

// ---- a history, joined while it goes on ----

// Nobody reads; it has gone round twice.
static void of_history(void) {
  make();
  inside(2 * CAPACITY);
}
static void op_join(void) {
  struct shoal_topic_subscriber_info info;
  struct message m = {0, 0};
  subscribed();
  CRASH_EXPECT(messages_get(Q, &m, SHOAL_TRY) == 0, "nothing is there");
  whole(&m);
  T->out[0] = m.id;
  CRASH_EXPECT(shoal_topic_subscriber(Q, 0, &info) == 0 && info.missed == 0, "it missed %lu", info.missed);
}
static void a_ring_more(void) {  // or as much as the one who joins lets them
  struct message m = message(T->word[NEXT] + 1);
  for (int i = 0; i < (int)CAPACITY && messages_publish(Q, &m, SHOAL_TRY) == 0; i++) m = message(++T->word[NEXT] + 1);
}
// At least the two that there are for certain.
static void found_the_history(void) {
  CRASH_EXPECT(T->out[0] && T->out[0] < T->word[NEXT], "it begins with %lu of %u", T->out[0], T->word[NEXT]);
}
static void nobody_in_the_way(void) {
  uint32_t before = T->word[NEXT];
  a_ring_more();
  CRASH_EXPECT(T->word[NEXT] == before + CAPACITY, "a dead subscriber is waited for");
  crash_survivor(fill_and_empty);
}
TOPIC(history, "subscribe with a history, a ring is published meanwhile", .setup = of_history, .op = subscribed,
      .stopped = a_ring_more, .check = nobody_in_the_way);
TOPIC(history_on, "subscribe with a history, a ring is published meanwhile, goes on", .kind = CRASH_RESUMED,
      .setup = of_history, .op = op_join, .stopped = a_ring_more, .check = found_the_history, .times = 4);

// ---- readers asleep ----

static void reader(int i) {
  struct shoal_topic *t = attach();
  struct message m;
  subscribe_to(t, i ? SHOAL_TOPIC_DROP : SHOAL_TOPIC_WAIT, 0, NULL);
  while (messages_get(t, &m, SHOAL_FOREVER) == 0) {
    whole(&m);
    __atomic_fetch_add(&T->word[READ + i], 1, __ATOMIC_SEQ_CST);
  }
  __atomic_fetch_add(&T->word[ENDED], 1, __ATOMIC_SEQ_CST);
}
static void empty_two_asleep(void) {
  empty();
  for (int i = 0; i < 2; i++) crash_asleep(crash_actor(reader, i));
}
static void both_have(uint32_t n) {
  CRASH_UNTIL(T->word[READ] == n && T->word[READ + 1] == n, "%u and %u of %u read: a reader sleeps beside a message",
              T->word[READ], T->word[READ + 1], n);
}
static void readers_go_on(void) {
  uint32_t acknowledged = T->word[ACKNOWLEDGED], n = drain(R[0], &acknowledged);
  both_have(n);
  crash_all_asleep();
  publish_next();
  both_have(n + 1);
  publish_next(), publish_next();
  both_have(n + 3);
}
#define WAKES(id, text, role, what)                                                                  \
  TOPIC(id, text, .setup = empty_two_asleep, .prepare = role, .ready = crash_all_asleep, .op = what, \
        .check = readers_go_on)
WAKES(wake_two, "publish, two asleep", publishing, op_publish);
WAKES(wake_first, "publish, joining by it, two asleep", NULL, op_publish);
WAKES(wake_commit, "reserve and commit, two asleep", publishing, op_reserve_commit);
WAKES(wake_leave, "leave of a publisher, two asleep", publishing, op_leave);
WAKES(wake_subscribe, "subscribe, two asleep", NULL, subscribed);
WAKES(wake_join_group, "subscribe in a group, two asleep", NULL, member);

// Another publish overtakes the victim's while it stands.
static void overtake(void) { publish_next(); }
static void readers_come_to_it(void) {
  uint32_t acknowledged = T->word[ACKNOWLEDGED];
  both_have(drain(R[0], &acknowledged) + T->word[NEXT]);
}
TOPIC(overtaken, "publish, overtaken, two asleep", .setup = empty_two_asleep, .prepare = publishing,
      .ready = crash_all_asleep, .op = op_publish, .stopped = overtake, .check = readers_come_to_it);
TOPIC(overtaken_on, "publish, overtaken, goes on, two asleep", .kind = CRASH_RESUMED, .setup = empty_two_asleep,
      .prepare = publishing, .ready = crash_all_asleep, .op = op_publish, .stopped = overtake,
      .check = readers_come_to_it);

// ---- the end ----

static void closed_or_not(void) {
  if (!shoal_eventcount_closed(Q->wait.shm)) {
    readers_go_on();
    shoal_topic_close(Q);
  }
  fixture_told(2);
}
TOPIC(close, "close, two asleep", .setup = empty_two_asleep, .ready = crash_all_asleep, .op = op_close,
      .check = closed_or_not);

static void two_readers(void) {
  for (int i = 0; i < 2; i++) crash_asleep(crash_actor(reader, i));
}
static void empty_not_publishing(void) {
  empty();
  shoal_topic_leave(Q);
}
static void two_told(void) { fixture_told(2); }
TOPIC(end_leave, "the last publisher leaves, two asleep", .setup = empty_not_publishing, .prepare = publishing,
      .ready = two_readers, .op = op_leave, .check = two_told);
static void last_publish_told(void) {
  uint32_t acknowledged = T->word[ACKNOWLEDGED];
  two_told();
  both_have(drain(R[0], &acknowledged));
}
TOPIC(end_publish, "the last publisher publishes, two asleep", .setup = empty_not_publishing, .prepare = publishing,
      .ready = two_readers, .op = op_publish, .check = last_publish_told);

// ---- asleep for room ----

static void publishes_two(int i) {
  struct shoal_topic *t = attach();
  for (uint64_t k = 0; k < 2; k++) {
    struct message m = message(150 + (uint64_t)i * 2 + k);
    int rc = messages_publish(t, &m, SHOAL_FOREVER);
    CRASH_EXPECT(rc == 0, "publish answered %d", rc);
    __atomic_fetch_add(&T->word[SENT], 1, __ATOMIC_SEQ_CST);
  }
}
static void two_publishers(void) {
  for (int i = 0; i < 2; i++) crash_asleep(crash_actor(publishes_two, i));
}
// The victim alone is in the way; when it is dead, nobody is.
static void full_of_history(void) {
  make();
  inside(2 * CAPACITY);
}
static void all_published(void) {
  CRASH_UNTIL(crash_all_finished(), "%u published: a publisher waits for the dead", T->word[SENT]);
}
#define ROOM(id, text, state, role, what) \
  TOPIC(id, text, .setup = state, .prepare = role, .ready = two_publishers, .op = what, .check = all_published)
ROOM(room_get, "get, two publishers asleep", full_of_history, subscribed, op_get);
ROOM(room_release, "receive and release, two publishers asleep", full_of_history, subscribed, op_receive_release);
ROOM(room_unsubscribe, "unsubscribe, two publishers asleep", full_of_history, subscribed_receive, op_unsubscribe);
static void member_of_all(void) { subscribe_to(Q, SHOAL_TOPIC_WAIT, SHOAL_TOPIC_ALL, "group"); }
static void member_of_all_receive(void) { member_of_all(), receive(); }
ROOM(room_group, "get in a group, two publishers asleep", full_of_history, member_of_all, op_get);
ROOM(room_group_leave, "unsubscribe in a group, two publishers asleep", full_of_history, member_of_all_receive,
     op_unsubscribe);

// It lives on: as many as there are places go on.
static void gets_three(void) {
  for (int i = 0; i < 3; i++) op_try_get();
}
static void three_published(void) {
  CRASH_UNTIL(T->word[SENT] == 3, "%u published: a publisher sleeps beside a free place", T->word[SENT]);
}
TOPIC(room_goes_on, "get, goes on, two publishers asleep", .kind = CRASH_RESUMED, .setup = full_of_history,
      .prepare = subscribed, .ready = two_publishers, .op = gets_three, .check = three_published);

// Two are in the way; the other one passes while the victim stands.
static void full_read_by_one(void) {
  make();
  subscribe_to(R[0] = attach(), SHOAL_TOPIC_WAIT, 0, NULL);
  inside(CAPACITY);
}
static void driver_gets(void) {
  struct message m;
  CRASH_EXPECT(messages_get(R[0], &m, SHOAL_TRY) == 0, "nothing to get");
}
static void one_published(void) {
  uint64_t n = T->word[SENT];
  CRASH_UNTIL(T->word[SENT] == 1, "%lu published: a publisher sleeps beside a free place", n);
}
TOPIC(room_both, "get, another passes meanwhile, two publishers asleep", .setup = full_read_by_one,
      .prepare = subscribed, .ready = two_publishers, .op = op_get, .stopped = driver_gets, .check = one_published);
TOPIC(room_both_on, "get, another passes meanwhile, goes on, two publishers asleep", .kind = CRASH_RESUMED,
      .setup = full_read_by_one, .prepare = subscribed, .ready = two_publishers, .op = op_get, .stopped = driver_gets,
      .check = one_published);

// The victim is one of those that sleep for room.
static void one_publisher(void) { crash_asleep(crash_actor(publishes_two, 0)); }
static void room_for_all(void) {
  while (T->word[STAGE] < CAPACITY) T->word[STAGE]++, driver_gets();
}
static void other_published(void) {
  room_for_all();
  CRASH_UNTIL(crash_all_finished(), "a publisher sleeps beside a free place");
}
TOPIC(room_victim, "publish, asleep for room behind another", .setup = full_read_by_one, .prepare = publishing,
      .ready = one_publisher, .op = op_publish, .asleep = room_for_all, .check = other_published);

// ---- somebody is stopped in a change of groups, for longer than a second; then that one goes on ----

static void stands_inside(int i) {
  struct shoal_topic *t = attach();
  (void)i;
  CRASH_OK(shoal_topic_join(t));
  CRASH_OK(shoal_robust_acquire_(&t->shm->lock, SHOAL_FOREVER));
  crash_gate();
  shoal_robust_release_(&t->shm->lock);
}
static int insider;
static void one_inside(void) {
  insider = crash_actor(stands_inside, 0);
  crash_at_gate(1);
}
static void goes_on_inside(void) {
  if (!T->gate) crash_open_gate();
  CRASH_UNTIL(crash_finished(insider), "it does not come out");
}
static void a_second_passes_then_it_goes_on(void) {
  if (T->word[TURN]++) goes_on_inside();
  else crash_deadline_passes(&Q->shm->lock.word);
}
static void check_group_beside(void) {
  goes_on_inside();
  crash_kill_victim();
  check_group();
}
static int is_told(int rc) { return rc == -ETIMEDOUT && (T->word[TOLD] = 1); }
static void told_if_late(void) {
  CRASH_EXPECT(!T->word[TURN] || T->word[TOLD], "a second has passed, and it was told nothing");
}
static void op_unsubscribe_at_last(void) {
  int rc;
  while (is_told(rc = shoal_topic_unsubscribe(Q)))
    CRASH_EXPECT(shoal_role_known(&Q->wait, SHOAL_CONSUMER), "it has left");
  told_if_late();
  CRASH_EXPECT(rc == 0, "unsubscribe answered %d", rc);
  T->word[HELD] = 0;
}
static void op_subscribe_at_last(void) {
  const struct shoal_topic_subscription how = {.group = "group"};
  int rc;
  while (is_told(rc = shoal_topic_subscribe(Q, &how)))
    CRASH_EXPECT(!shoal_role_known(&Q->wait, SHOAL_CONSUMER), "it has a role");
  told_if_late();
  CRASH_EXPECT(rc == 0, "subscribe answered %d", rc);
}
static void op_get_all(void) {
  int rc;
  do {
    rc = shoal_topic_get(Q, (void *)&T->out[0], SHOAL_TRY);
    CRASH_EXPECT(rc == 0 || is_told(rc) || rc == -EAGAIN, "get answered %d", rc);
    if (rc == 0) whole((const struct message *)&T->out[0]), ledger_took(T->out[0]);
    T->out[0] = 0;
  } while (rc != -EAGAIN);
  told_if_late();
}
static void op_member_gets(void) { member(), op_second_get(); }
static void check_beside_pair(void) { check_group_of(2); }
#define BESIDE(id, text, state, role, what)                                                                        \
  TOPIC(beside_##id, text ", one stopped in a change", .setup = state, .prepare = role, .ready = one_inside,       \
        .op = what, .asleep = a_second_passes_then_it_goes_on, .check = check_group_beside);                       \
  TOPIC(beside_on_##id, text ", one stopped in a change, all go on", .kind = CRASH_RESUMED, .setup = state,        \
        .prepare = role, .ready = one_inside, .op = what, .asleep = a_second_passes_then_it_goes_on,               \
        .resumed = goes_on_inside, .check = check_group_beside);                                                   \
  TOPIC(beside_pair_##id, "pair, " text ", one stopped in a change, then get", .kind = CRASH_PAIR, .setup = state, \
        .prepare = role, .ready = one_inside, .op = what, .asleep = a_second_passes_then_it_goes_on,               \
        .ready2 = goes_on_inside, .op2 = op_member_gets, .check = check_beside_pair)
BESIDE(leave, "unsubscribe in a group", group_part, member_receive, op_unsubscribe_at_last);
BESIDE(join, "subscribe in a group", group_part, NULL, op_subscribe_at_last);
BESIDE(get, "get in a group, another dead with a message", of_the_dead, member, op_get_all);

// A message of the dead is in the way, until another has it.
static void the_dead_in_the_way(void) {
  group_full();
  crash_survivor(member_receive);
  T->word[HELD] = 0;
}
static void ledger_takes_all(void) {
  struct message m;
  while (messages_get(G, &m, SHOAL_TRY) == 0) whole(&m), ledger_took(m.id);
}
static void a_second_passes_then_there_is_room(void) {
  if (T->word[TURN] < 2) a_second_passes_then_it_goes_on();
  else ledger_takes_all();
}
static void published_or_not(void) {
  goes_on_inside();
  ledger_takes_all();
  for (uint32_t id = 1; id <= T->word[NEXT]; id++)
    CRASH_EXPECT(T->taken[id] == 1, "%u came %u times", id, T->taken[id]);
  CRASH_EXPECT(T->taken[MINE] >= T->word[ACKNOWLEDGED] && T->taken[MINE] < 2, "it came %u times", T->taken[MINE]);
  unsubscribe_all();
  crash_survivor(fill_and_empty);
}
TOPIC(beside_publish, "publish, full, another dead with a message, one stopped in a change",
      .setup = the_dead_in_the_way, .prepare = publishing, .ready = one_inside, .op = op_publish,
      .asleep = a_second_passes_then_there_is_room, .check = published_or_not);

// ---- a group asleep ----

static void member_takes(int i) {
  struct shoal_topic *t = attach();
  struct message m;
  (void)i;
  subscribe_to(t, SHOAL_TOPIC_WAIT, 0, "group");
  crash_gate();
  while (messages_get(t, &m, SHOAL_FOREVER) == 0) whole(&m), ledger_took(m.id);
  __atomic_fetch_add(&T->word[ENDED], 1, __ATOMIC_SEQ_CST);
}
static void group_gated(void) {
  make();
  crash_actor(member_takes, 0);
  crash_at_gate(1);
}
static void group_asleep(void) {
  group_gated();
  crash_open_gate();
  crash_all_asleep();
}
static uint32_t taken_once(void) {
  ledger_once();
  return ledger_taken();
}
// What the victim had not got, the other has; then the next.
static void group_goes_on(void) {
  if (!T->gate) crash_open_gate();
  crash_all_asleep();
  for (uint32_t id = 1; id <= T->word[NEXT]; id++)
    CRASH_UNTIL(T->taken[id] || T->out[0] == id || T->word[HELD] == id, "%u is left beside a sleeping member", id);
  uint32_t n = taken_once();
  publish_next();
  CRASH_UNTIL(taken_once() == n + 1, "the next message is not taken");
}
static void wake_group(void) {
  if (T->word[STAGE]++ < 2) publish_next();  // the other takes it, or the victim does
  else shoal_topic_close(Q);
}
static void group_went_on(void) {
  if (!shoal_eventcount_closed(Q->wait.shm)) {
    group_goes_on();
    return;
  }
  fixture_told(1);
  CRASH_EXPECT(taken_once() == T->word[NEXT], "%u of %u have come", taken_once(), T->word[NEXT]);
}
TOPIC(group_first, "get in a group, asleep, another about to", .setup = group_gated, .prepare = member, .op = op_get,
      .asleep = publish_next, .check = group_goes_on);
TOPIC(group_last, "get in a group, asleep behind another", .setup = group_asleep, .prepare = member,
      .ready = crash_all_asleep, .op = op_get, .asleep = wake_group, .check = group_went_on);

static void group_part_gated(void) {
  make();
  crash_actor(member_takes, 0);
  crash_at_gate(1);
  inside(1);
}
static void let_the_other_sleep(void) {
  if (!T->gate) crash_open_gate();
  crash_all_asleep();
}
TOPIC(group_held, "release in a group, another asleep", .setup = group_part_gated, .prepare = member,
      .op = op_receive_release, .stopped = let_the_other_sleep, .check = group_goes_on);
TOPIC(group_returned, "return in a group, another asleep", .setup = group_part_gated, .prepare = member_receive,
      .ready = let_the_other_sleep, .op = op_return, .check = group_goes_on);
TOPIC(group_left, "unsubscribe in a group, another asleep", .setup = group_part_gated, .prepare = member_receive,
      .ready = let_the_other_sleep, .op = op_unsubscribe, .check = group_goes_on);

// Closed while the victim holds the last message: the other is told when that has come to its end.
static void close_it(void) {
  let_the_other_sleep();
  shoal_topic_close(Q);
}
static void the_other_told(void) {
  fixture_told(1);
  taken_once();
  CRASH_EXPECT(T->taken[1] || T->word[HELD] == 1, "told of the end, and the message of the dead has not come");
}
TOPIC(group_end, "release in a group, closed, another asleep", .setup = group_part_gated, .prepare = member_receive,
      .ready = close_it, .op = op_release, .check = the_other_told);

// ---- pairs ----

static void check_pair_of_group(void) { check_group_of(2); }
#define PAIR(id, text, state, role, what, role2, what2, expect)                                                \
  TOPIC(id, "pair, " text, .kind = CRASH_PAIR, .setup = state, .prepare = role, .op = what, .prepare2 = role2, \
        .op2 = what2, .check = expect)
static void check_pair(void) {
  T->word[ACKNOWLEDGED] = 0;
  check_alone();
}
PAIR(pair_publish, "publish, then publish", part, publishing, op_publish, publishing, op_publish_another, check_pair);
PAIR(pair_get, "get, then publish", full, subscribed, op_get, publishing, op_try_publish, check_pair);
PAIR(pair_group, "get in a group, then get", group_full, member, op_get, member, op_second_get, check_pair_of_group);
PAIR(pair_stray, "receive and release in a group what a dead one held, twice", of_the_dead, member, op_receive_release,
     member, op_receive_release, check_pair_of_group);
PAIR(pair_leave, "unsubscribe in a group, then get", group_full, member_receive, op_unsubscribe, member, op_second_get,
     check_pair_of_group);
PAIR(pair_join, "subscribe in a group, then subscribe", group_full, NULL, member, NULL, member, check_pair_of_group);

// ---- one stopped, another killed, the stopped one goes on ----

#define STALLED(id, text, state, role, what, role2, what2, expect)                                                   \
  TOPIC(id, "stopped, " text, .kind = CRASH_STALLED, .setup = state, .prepare = role, .op = what, .prepare2 = role2, \
        .prepared_both = 1, .op2 = what2, .check = expect)
static void check_stalled_group(void) {  // the first has got on: now nothing is in its hands
  crash_kill_victim();
  check_group_of(2);
}
STALLED(stalled_publish, "a publish; a publish dies", empty, publishing, op_publish, publishing, op_publish_another,
        check_pair);
STALLED(stalled_group, "a get in a group; a get dies", group_full, member, op_get, member, op_second_get,
        check_stalled_group);
STALLED(stalled_join, "a subscribe; a publish over it dies", passed_by, NULL, subscribed_drop, publishing,
        op_publish_another, check_pair);
