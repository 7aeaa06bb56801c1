// ipc/queue/pipe. Claims: whoever dies at an end, what it had sent whole is received, once and in order, then the other
// end is told of the end, also where it sleeps; what it had not received whole is its successor's; an end that is
// closed, left or given away in the midst of it is closed, or somebody's, or to be taken; no block is lost.
#include <unistd.h>

#include "ipc/queue/queue_internal.h"
#include "ipc/queue/select.h"
#include "tests/crash/fixture.h"

#define CAPACITY 4u
#define LONGEST 100u
#define NAME "pipe"

enum { WHOM = OWN_WORDS };  // T->word: to whom an end is given
enum { TO_0, TO_1 };        // T->out: the last message that end 0, end 1 received

// One way: end 1 sends blocks to end 0. Duplex: short messages, both ways.
static struct shoal_pipe *P[2];
static uint32_t duplex;
static uint64_t bytes;
static int orphaned;  // actors that had an end and died before
static int hand = 2;  // whose, of `copy`: 0, 1 victims', 2 all others'

// ---- messages ----
// Where what is received lies: whether a victim had a copy is seen after its death.
static unsigned char *copy(int of) { return T->raw + 256 * of; }
static unsigned char *one_of(int i) { return T->raw + 256 * (4 + i); }  // of a batch
static int in_dead_hands(uint32_t id) {
  for (int i = 0; i < 3; i++)
    if (one_of(i)[0] == id) return 1;
  return copy(0)[0] == id || copy(1)[0] == id;
}
static void took(int end, uint64_t size) {
  const unsigned char *c = copy(hand);
  CRASH_EXPECT(size == bytes && memcmp(c, c + 1, size - 1) == 0, "a torn message of %lu bytes", size);
  CRASH_EXPECT(c[0] > T->out[end], "end %d receives %u after %lu", end, c[0], T->out[end]);
  T->out[end] = c[0];
  ledger_took(c[0]);
}
static int say(int end, uint32_t id, shoal_deadline deadline) {
  unsigned char data[LONGEST];
  memset(data, (int)id, bytes);
  int rc = shoal_pipe_send(P[end], data, bytes, deadline);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "send answered %d (%s)", rc, shoal_reason());
  return rc;
}
static int hear(int end, shoal_deadline deadline) {
  uint64_t size = 0;
  copy(hand)[0] = 0;
  int rc = shoal_pipe_recv(P[end], copy(hand), 256, &size, deadline);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "recv answered %d (%s)", rc, shoal_reason());
  if (rc == 0) took(end, size);
  return rc;
}
static void hear_0(void) { hear(0, SHOAL_TRY); }

// ---- whose an end is ----
static void warm(void) {
  fixture_use(bytes);
  hand = 0;
}
static void warm_second(void) {
  warm();
  hand = 1;
}
static int is_closed(void) { return shoal_eventcount_closed(P[0]->in->wait.shm); }
// As its first use would: both directions, where there are two.
static void take(int end) {
  int one = !duplex && end == 1;
  int rc = one ? shoal_pipe_join(P[1], SHOAL_PRODUCER) : shoal_pipe_poll(P[end], SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "end %d is not to be had: %d (%s)", end, rc, shoal_reason());
}
static void leave(int end) { CRASH_OK(shoal_pipe_leave(P[end])); }
static void take_0(void) { take(0); }
static void sender(void) {
  warm();
  take(1);
}
static void receiver(void) {
  warm();
  take(0);
}
// Whom the driver has closed, or given away, who comes later opens anew.
static void have(int end) {
  if (!P[end]) CRASH_OK(shoal_pipe_open(S, NAME, 0, (uint32_t)end, &P[end]));
}
static void have_both(void) {
  have(0);
  have(1);
}

// ---- states; nobody has an end, the driver keeps both ----
static void make(uint32_t both_ways, uint32_t inside) {
  const struct shoal_pipe_options o = {.capacity = CAPACITY, .duplex = both_ways};
  duplex = both_ways;
  orphaned = 0;
  bytes = both_ways ? 16 : LONGEST;
  fixture_segment(16 << 20);
  CRASH_OK(shoal_pipe_create(S, NAME, &o, P));
  for (uint32_t i = 1; i <= 3; i++) {  // through a lap; the heap has its memory
    CRASH_OK(say(1, i, SHOAL_TRY));
    CRASH_OK(hear(0, SHOAL_TRY));
    if (duplex) CRASH_OK(say(0, i, SHOAL_TRY));
    if (duplex) CRASH_OK(hear(1, SHOAL_TRY));
  }
  memset((void *)T->taken, 0, sizeof T->taken);
  T->out[TO_0] = T->out[TO_1] = 0;
  fixture_warm();
  leave(0);
  take(0);  // who takes it gives back what was received: now, and not when it is to be full
  while (T->word[NEXT] < inside && say(1, T->word[NEXT] + 1, SHOAL_TRY) == 0) T->word[NEXT]++;
  leave(0);
  leave(1);
}
static void unmake(void) {
  for (int end = 0; end < 2; end++)
    if (P[end]) shoal_pipe_close(&P[end]);
  fixture_segment_end();
}
#define STATES(v, both_ways)                          \
  static void v##_empty(void) { make(both_ways, 0); } \
  static void v##_part(void) { make(both_ways, 2); }  \
  static void v##_full(void) { make(both_ways, UINT32_MAX); }
STATES(one_way, 0)
STATES(duplex, 1)

// ---- what victims do ----
static struct shoal_loan loan;
static void op_send(void) { T->word[ACKNOWLEDGED] += say(1, MINE, SHOAL_TRY) == 0; }
static void op_send_another(void) { T->word[ACKNOWLEDGED] += say(1, MINE + 1, SHOAL_TRY) == 0; }
static void op_send_wait(void) {
  T->rc[0] = say(1, MINE, SHOAL_FOREVER);
  T->word[ACKNOWLEDGED] += T->rc[0] == 0;
}
static int reserve(void) {
  int rc = shoal_pipe_reserve(P[1], bytes + 3, &loan, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN, "reserve answered %d (%s)", rc, shoal_reason());
  return rc;
}
static void op_reserve_commit(void) {
  if (reserve()) return;
  memset(loan.data, MINE, bytes);
  loan.size = bytes;
  CRASH_OK(shoal_pipe_commit(P[1], &loan));
  T->word[ACKNOWLEDGED]++;
}
static void op_reserve_cancel(void) {
  if (!reserve()) CRASH_OK(shoal_pipe_cancel(P[1], &loan));
}
static void op_recv(void) { hear(0, SHOAL_TRY); }
static void op_recv_wait(void) { T->rc[0] = hear(0, SHOAL_FOREVER); }
static int receive(void) {
  int rc = shoal_pipe_receive(P[0], &loan, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || rc == -EAGAIN || rc == -EPIPE, "receive answered %d (%s)", rc, shoal_reason());
  return rc;
}
static void op_receive_release(void) {
  if (receive()) return;
  uint64_t size = loan.size;
  memcpy(copy(hand), loan.data, size <= bytes ? size : 1);
  CRASH_OK(shoal_pipe_release(P[0], &loan));
  took(0, size);
}
static void op_receive_return(void) {
  if (!receive()) CRASH_OK(shoal_pipe_return(P[0], &loan));
}
static void op_send_n(void) {
  static unsigned char data[3][LONGEST];
  struct iovec three[3];
  for (int i = 0; i < 3; i++) {
    memset(data[i], (int)MINE + i, bytes);
    three[i] = (struct iovec){data[i], bytes};
  }
  int n = shoal_pipe_send_n(P[1], three, 3, SHOAL_TRY);
  CRASH_EXPECT(n == 3, "three answered %d (%s)", n, shoal_reason());
  T->word[ACKNOWLEDGED] += n > 0 ? (uint32_t)n : 0;
}
static void op_recv_n(void) {
  struct iovec three[3];
  for (int i = 0; i < 3; i++) three[i] = (struct iovec){one_of(i), 256};
  int n = shoal_pipe_recv_n(P[0], three, 3, SHOAL_TRY);
  CRASH_EXPECT(n > 0, "three answered %d (%s)", n, shoal_reason());
  for (int i = 0; i < n; i++) {
    memcpy(copy(hand), one_of(i), bytes);
    took(0, three[i].iov_len);
  }
}
static void op_peek(void) {
  unsigned char data[LONGEST];
  uint64_t size = 0;
  CRASH_OK(shoal_pipe_peek(P[0], data, sizeof data, &size, SHOAL_TRY));
  CRASH_EXPECT(size == bytes && data[0] == 1 && data[size - 1] == 1, "not the next one");
}
static void op_poll(void) {
  int rc = shoal_pipe_poll(P[0], SHOAL_TRY);
  CRASH_EXPECT(rc == (T->word[NEXT] ? 0 : -EAGAIN), "poll answered %d", rc);
}
static void op_poll_wait(void) { T->rc[0] = shoal_pipe_poll(P[0], SHOAL_FOREVER); }
static void op_close_0(void) { CRASH_OK(shoal_pipe_close(&P[0])); }
static void op_close_1(void) { CRASH_OK(shoal_pipe_close(&P[1])); }
static void op_leave_1(void) { leave(1); }

// ---- the survivors ----
static void hear_what_is_there(void) {
  hand = 2;
  have_both();
  for (int idle = 0; idle < 3; idle++)
    while (hear(0, SHOAL_TRY) == 0) continue;
}
// For ever: it is told of the end.
static void hear_to_the_end(void) {
  hand = 2;
  have(0);
  while (hear(0, SHOAL_FOREVER) == 0) continue;
}
static void a_lap(int from, int to) {
  uint32_t n = 0;
  T->out[to] = 0;
  while (n < 32 && say(from, 200 + n, SHOAL_TRY) == 0) n++;
  CRASH_EXPECT(n >= CAPACITY, "room for %u only", n);
  for (uint32_t i = 0; i < n; i++) {
    CRASH_EXPECT(hear(to, SHOAL_TRY) == 0, "%u were sent, %u came", n, i);
    T->taken[200 + i] = 0;
  }
  CRASH_EXPECT(hear(to, SHOAL_TRY) != 0, "too many came");
}
// Both ends are to be taken by one who comes later, and no memory is lost.
static void go_on(void) {
  hand = 2;
  have_both();
  take(0);
  take(1);
  while (duplex && hear(1, SHOAL_TRY) == 0) continue;
  for (int lap = 0; lap < 2; lap++) {
    if (!is_closed()) a_lap(1, 0);
    if (duplex && !shoal_eventcount_closed(P[0]->out->wait.shm)) a_lap(0, 1);  // killed between the two closings
  }
  fixture_roles_free(&P[0]->in->wait);
  fixture_no_block_lost();
}
static void nothing_inside_lost(void) {
  ledger_once();
  for (uint32_t id = 1; id <= T->word[NEXT]; id++) CRASH_EXPECT(T->taken[id] || in_dead_hands(id), "%u is lost", id);
}
static void none_lost(void) {
  nothing_inside_lost();
  for (uint32_t id = MINE; id < MINE + T->word[ACKNOWLEDGED]; id++)
    CRASH_EXPECT(T->taken[id] || in_dead_hands(id), "sent whole, and lost");
}
static void leave_both(void) {
  for (int end = 0; end < 2; end++)
    if (P[end]) leave(end);
}
static void goes_on(void) {
  leave_both();
  crash_survivor(go_on);
}
static void hear_and_go_on(void) {
  hear_what_is_there();
  go_on();
}
static void hear_the_end_and_go_on(void) {
  hear_to_the_end();
  go_on();
}
static void check(void) {
  crash_kill_victim();  // one that was stopped has gone on, and has its end still
  leave_both();
  crash_survivor(hear_and_go_on);
  none_lost();
}
// The sender is dead, and nobody keeps its end: not the driver either.
static void check_ended(void) {
  crash_survivor(hear_the_end_and_go_on);
  none_lost();
}
static void check_pair(void) {
  leave_both();
  crash_survivor(hear_and_go_on);
  nothing_inside_lost();
}
// What the dead had not dropped of a closed one.
static void check_rest(void) {
  leave_both();
  crash_survivor(hear_and_go_on);
  ledger_once();
}

#define PIPE(id, text, ...) CRASH_SCENARIO(pipe_##id, .name = "pipe: " text, .cleanup = unmake, __VA_ARGS__)
#define EITHER_WAY(v, how)                                                                                             \
  PIPE(v##_send_part, "send, taking the end by it, " how, .setup = v##_part, .prepare = warm, .op = op_send,           \
       .check = check);                                                                                                \
  PIPE(v##_commit, "reserve and commit, " how, .setup = v##_part, .prepare = sender, .op = op_reserve_commit,          \
       .check = check_ended);                                                                                          \
  PIPE(v##_recv_part, "recv, part full, " how, .setup = v##_part, .prepare = receiver, .op = op_recv, .check = check); \
  PIPE(v##_recv_full, "recv, full, taking the end by it, " how, .setup = v##_full, .prepare = warm, .op = op_recv,     \
       .check = check);                                                                                                \
  PIPE(v##_release, "receive and release, " how, .setup = v##_part, .prepare = receiver, .op = op_receive_release,     \
       .check = check);                                                                                                \
  PIPE(v##_send_n, "send three at once, " how, .setup = v##_empty, .prepare = sender, .op = op_send_n,                 \
       .check = check_ended);                                                                                          \
  PIPE(v##_recv_n, "recv three at once, " how, .setup = v##_full, .prepare = receiver, .op = op_recv_n, .check = check)
EITHER_WAY(one_way, "one way");
EITHER_WAY(duplex, "duplex");
PIPE(send_empty, "send, empty", .setup = one_way_empty, .prepare = sender, .op = op_send, .check = check_ended);
PIPE(send_full, "try to send, full", .setup = one_way_full, .prepare = sender, .op = op_send, .check = check_ended);
PIPE(cancel, "reserve and cancel", .setup = one_way_part, .prepare = sender, .op = op_reserve_cancel,
     .check = check_ended);
PIPE(give_back, "receive and return", .setup = one_way_part, .prepare = receiver, .op = op_receive_return,
     .check = check);
PIPE(peek, "peek", .setup = one_way_part, .prepare = receiver, .op = op_peek, .check = check);
PIPE(poll_part, "poll, part full", .setup = one_way_part, .prepare = receiver, .op = op_poll, .check = check);
PIPE(poll_empty, "try to poll, empty", .setup = one_way_empty, .prepare = receiver, .op = op_poll, .check = check);

// ---- closed: by the sender, what it had sent comes first; by the receiver, that needs no memory any more ----
static void refused(void) {
  have_both();
  CRASH_EXPECT(say(1, MINE, SHOAL_TRY) == -EPIPE, "closed, and it takes a message");
}
static void check_closed_1(void) {
  if (crash_victim_finished()) crash_survivor(refused);
  check_ended();
}
static void dropped_and_refused(void) {
  refused();
  fixture_no_block_lost();
}
static void check_closed_0(void) {
  if (crash_victim_finished()) {
    crash_survivor(dropped_and_refused);
    goes_on();
  } else if (is_closed()) {
    check_rest();
  } else {
    check();
  }
}
#define CLOSED(v, how)                                                                                     \
  PIPE(v##_close_1, "close, the sender, " how, .setup = v##_part, .prepare = sender, .op = op_close_1,     \
       .check = check_closed_1);                                                                           \
  PIPE(v##_close_0, "close, the receiver, " how, .setup = v##_part, .prepare = receiver, .op = op_close_0, \
       .check = check_closed_0)
CLOSED(one_way, "one way");
CLOSED(duplex, "duplex");

// ---- the other end sleeps ----
static void receives(int i) {
  (void)i;
  hand = 2;
  while (hear(0, SHOAL_FOREVER) == 0) continue;
  T->word[ENDED]++;
}
static void sends(int i) {
  (void)i;
  for (uint32_t id = 150; say(1, id, SHOAL_FOREVER) == 0; id++) T->word[SENT]++;
  T->word[ENDED]++;
}
static void receiver_asleep(void) { fixture_asleep(receives, 1); }
static void sender_asleep(void) { fixture_asleep(sends, 1); }
static void told(void) {
  fixture_told(1);
  none_lost();
  crash_kill(0);
  goes_on();
}
#define WAKES(v, how)                                                                             \
  PIPE(v##_send_wake, "send, the receiver asleep, " how, .setup = v##_empty, .prepare = sender,   \
       .ready = receiver_asleep, .op = op_send, .check = told);                                   \
  PIPE(v##_close_wake, "close, the receiver asleep, " how, .setup = v##_empty, .prepare = sender, \
       .ready = receiver_asleep, .op = op_close_1, .check = told)
WAKES(one_way, "one way");
PIPE(send_n_wake, "send three at once, the receiver asleep", .setup = one_way_empty, .prepare = sender,
     .ready = receiver_asleep, .op = op_send_n, .check = told);
WAKES(duplex, "duplex");
PIPE(commit_wake, "reserve and commit, the receiver asleep", .setup = one_way_empty, .prepare = sender,
     .ready = receiver_asleep, .op = op_reserve_commit, .check = told);

// A quantum is a group: with the first look beyond it there is room.
static void op_recv_three(void) {
  for (int i = 0; i < 3; i++) hear_0();
}
static void sender_told(void) {
  fixture_told(1);
  crash_kill(0);
  check();
}
static void sender_told_of_close(void) {
  fixture_told(1);
  crash_kill(0);
  check_closed_0();
}
PIPE(room_recv, "recv three, the sender asleep", .setup = one_way_full, .prepare = receiver, .ready = sender_asleep,
     .op = op_recv_three, .check = sender_told);
PIPE(room_recv_n, "recv three at once, the sender asleep", .setup = one_way_full, .prepare = receiver,
     .ready = sender_asleep, .op = op_recv_n, .check = sender_told);
PIPE(room_close, "close, the sender asleep", .setup = one_way_full, .prepare = receiver, .ready = sender_asleep,
     .op = op_close_0, .check = sender_told_of_close);

// It comes to sleep, or to its end, while the victim stands.
static void receiver_comes(void) {
  crash_actor(receives, 0);
  crash_all_asleep_or_finished();
}
PIPE(close_met, "close, the receiver comes to sleep meanwhile, goes on", .kind = CRASH_RESUMED, .setup = one_way_part,
     .prepare = sender, .op = op_close_1, .stopped = receiver_comes, .check = told);
static void all_heard(void) {
  CRASH_UNTIL(T->taken[MINE], "the receiver sleeps beside a message");
  crash_kill_victim();
  told();
}
PIPE(send_met, "send, the receiver comes to sleep meanwhile, goes on", .kind = CRASH_RESUMED, .setup = one_way_part,
     .prepare = sender, .op = op_send, .stopped = receiver_comes, .check = all_heard);

// ---- the victim sleeps ----
static void take_1(void) { take(1); }
static void say_next(void) { CRASH_OK(say(1, ++T->word[NEXT], SHOAL_TRY)); }
static void hear_three(void) { op_recv_three(); }
static void close_0(void) { CRASH_OK(shoal_pipe_close(&P[0])); }
static void close_1(void) { CRASH_OK(shoal_pipe_close(&P[1])); }
static void takes(int end) {
  take(end);
  T->word[TURN]++;
}
static void idle(int end) {
  crash_actor(takes, end);
  CRASH_UNTIL(T->word[TURN], "nobody takes the end");
}
static void idle_0(void) { idle(0); }
static void peer_dies(void) { crash_kill(0); }
// Sends, and does nothing more.
static void sends_one(int i) {
  (void)i;
  take(1);
  crash_gate();
  CRASH_OK(say(1, ++T->word[NEXT], SHOAL_TRY));
}
static void one_to_come(void) {
  crash_actor(sends_one, 0);
  crash_at_gate(1);
}
static void it_comes_and_dies(void) {
  if (!T->gate) {
    crash_open_gate();
    crash_all_asleep_or_finished();
  }
  crash_kill(0);
}
static void check_and_peer(void) {
  it_comes_and_dies();
  check();
}
static void op_recv_to_the_end(void) {
  for (int i = 0; i < 2; i++) T->rc[i] = hear(0, SHOAL_FOREVER);
  CRASH_EXPECT(T->rc[0] == 0 && T->rc[1] == -EPIPE, "recv answered %d, %d", T->rc[0], T->rc[1]);
}
static void op_poll_to_the_end(void) {
  T->rc[0] = shoal_pipe_poll(P[0], SHOAL_FOREVER);
  hear_0();
  T->rc[1] = shoal_pipe_poll(P[0], SHOAL_FOREVER);
  CRASH_EXPECT(T->rc[0] == 0 && T->rc[1] == -EPIPE, "poll answered %d, %d", T->rc[0], T->rc[1]);
}
static void peer_dead(void) {
  peer_dies();
  check();
}
static void refused_or_dead(void) {
  CRASH_EXPECT(!crash_victim_finished() || T->rc[0] == -EPIPE, "a send behind the end answers %d", T->rc[0]);
}
static void check_refused(void) {
  refused_or_dead();
  if (P[0]) close_0();
  goes_on();
}
static void check_unread(void) {
  refused_or_dead();
  peer_dead();
}
PIPE(recv_asleep, "recv, asleep until a send", .setup = one_way_empty, .prepare = receiver, .ready = take_1,
     .op = op_recv_wait, .asleep = say_next, .check = check);
PIPE(recv_end, "recv, asleep until one sends and dies", .setup = one_way_empty, .prepare = receiver,
     .ready = one_to_come, .op = op_recv_to_the_end, .asleep = it_comes_and_dies, .check = check_and_peer);
PIPE(recv_end_duplex, "recv, asleep until one sends and dies, duplex", .setup = duplex_empty, .prepare = receiver,
     .ready = one_to_come, .op = op_recv_to_the_end, .asleep = it_comes_and_dies, .check = check_and_peer);
PIPE(recv_closed, "recv, asleep until the closing", .setup = one_way_empty, .prepare = receiver, .ready = take_1,
     .op = op_recv_wait, .asleep = close_1, .check = check);
PIPE(poll_asleep, "poll, asleep until a send", .setup = one_way_empty, .prepare = receiver, .ready = take_1,
     .op = op_poll_wait, .asleep = say_next, .check = check);
PIPE(poll_end, "poll, asleep until one sends and dies", .setup = one_way_empty, .prepare = receiver,
     .ready = one_to_come, .op = op_poll_to_the_end, .asleep = it_comes_and_dies, .check = check_and_peer);
PIPE(send_asleep, "send, asleep for room", .setup = one_way_full, .prepare = sender, .ready = take_0,
     .op = op_send_wait, .asleep = hear_three, .check = check);
PIPE(send_closed, "send, asleep until the closing", .setup = one_way_full, .prepare = sender, .ready = take_0,
     .op = op_send_wait, .asleep = close_0, .check = check_refused);
PIPE(send_end, "send, asleep until the receiver dies", .setup = one_way_full, .prepare = sender, .ready = idle_0,
     .op = op_send_wait, .asleep = peer_dies, .check = check_unread);

// ---- in a select ----
static void select_one(struct shoal_case c, int32_t *result) {
  struct shoal_case two[] = {shoal_on_nothing(), c};
  int k = shoal_select(two, 2, SHOAL_FOREVER);
  CRASH_EXPECT(k == 1 && (two[1].result == 0 || two[1].result == -EPIPE), "select answered %d, %d", k, two[1].result);
  *result = two[1].result;
}
static int select_recv(void) {
  uint64_t size = 0;
  int32_t rc;
  copy(hand)[0] = 0;
  select_one(shoal_on_pipe_recv(P[0], copy(hand), 256, &size), &rc);
  if (rc == 0) took(0, size);
  return rc;
}
static void op_select_recv(void) { select_recv(); }
static void op_select_recv_to_the_end(void) {
  for (int i = 0; i < 2; i++) T->rc[i] = select_recv();
  CRASH_EXPECT(T->rc[0] == 0 && T->rc[1] == -EPIPE, "recv answered %d, %d", T->rc[0], T->rc[1]);
}
static void op_select_send(void) {
  unsigned char data[LONGEST];
  int32_t rc;
  memset(data, MINE, bytes);
  select_one(shoal_on_pipe_send(P[1], data, bytes), &rc);
  T->rc[0] = rc;
  T->word[ACKNOWLEDGED] += rc == 0;
}
static void op_select_readable(void) {
  int32_t rc;
  select_one(shoal_on_pipe_readable(P[0]), &rc);
}
static void op_select_writable(void) {
  int32_t rc;
  select_one(shoal_on_pipe_writable(P[1]), &rc);
}
PIPE(select_recv, "select, recv, asleep until a send", .setup = one_way_empty, .prepare = receiver, .ready = take_1,
     .op = op_select_recv, .asleep = say_next, .check = check);
PIPE(select_recv_end, "select, recv, asleep until one sends and dies", .setup = one_way_empty, .prepare = receiver,
     .ready = one_to_come, .op = op_select_recv_to_the_end, .asleep = it_comes_and_dies, .check = check_and_peer);
PIPE(select_recv_duplex, "select, recv, asleep until a send, duplex", .setup = duplex_empty, .prepare = receiver,
     .ready = take_1, .op = op_select_recv, .asleep = say_next, .check = check);
PIPE(select_send, "select, send, asleep for room", .setup = one_way_full, .prepare = sender, .ready = take_0,
     .op = op_select_send, .asleep = hear_three, .check = check);
PIPE(select_send_closed, "select, send, asleep until the closing", .setup = one_way_full, .prepare = sender,
     .ready = take_0, .op = op_select_send, .asleep = close_0, .check = check_refused);
PIPE(select_send_end, "select, send, asleep until the receiver dies", .setup = one_way_full, .prepare = sender,
     .ready = idle_0, .op = op_select_send, .asleep = peer_dies, .check = check_unread);
PIPE(select_readable, "select, readable, asleep until a send", .setup = one_way_empty, .prepare = receiver,
     .ready = take_1, .op = op_select_readable, .asleep = say_next, .check = check);
PIPE(select_writable, "select, writable, asleep for room", .setup = one_way_full, .prepare = sender, .ready = take_0,
     .op = op_select_writable, .asleep = hear_three, .check = check);

// ---- duplex: a question and its answer ----
static void op_ask(void) {
  T->word[ACKNOWLEDGED] += say(0, MINE, SHOAL_FOREVER) == 0;
  hear(0, SHOAL_FOREVER);
}
static void answer(void) {
  CRASH_EXPECT(hear(1, SHOAL_TRY) == 0, "asleep for an answer, and has not asked");
  say_next();
}
static void hear_questions(void) {
  hand = 2;
  have_both();
  while (hear(1, SHOAL_TRY) == 0) continue;
}
static void check_asked(void) {
  leave(1);
  crash_survivor(hear_questions);
  check();
}
PIPE(ask, "ask, asleep for the answer", .setup = duplex_empty, .prepare = receiver, .ready = take_1, .op = op_ask,
     .asleep = answer, .check = check_asked);

// Who takes one direction takes the other. In between it is the keeper's, the driver's, still.
static void serves(int i) {
  (void)i;
  hand = 2;
  while (hear(1, SHOAL_FOREVER) == 0) continue;
  T->word[ENDED]++;
}
static void server_asleep(void) { fixture_asleep(serves, 1); }
static void server_told(void) {
  if (shoal_keeper_(shoal_load64_relaxed(&P[0]->shm->keeper[0][SHOAL_PRODUCER]))) {
    CRASH_EXPECT(!crash_victim_finished(), "one direction was taken, the other is kept");
    CRASH_OK(say(0, MINE + 1, SHOAL_TRY));
    CRASH_UNTIL(T->taken[MINE + 1], "the other end sleeps beside a message");
  } else {
    fixture_told(1);
  }
  crash_kill(0);
  check();
}
PIPE(take_both, "take both directions by a recv, the other end asleep", .setup = duplex_empty, .prepare = warm,
     .ready = server_asleep, .op = op_recv, .check = server_told);

// ---- handed on ----
// The look once a second, at who keeps an end and is dead.
static void look_again(void) { crash_deadline_passes(&P[0]->in->wait.shm->ev[SHOAL_CONSUMER]); }
static void check_given(void) {
  look_again();
  told();
}
static void says_who(void) {
  warm();
  T->word[WHOM] = (uint32_t)getpid();
}
static void give_to_it(void) {
  CRASH_OK(shoal_pipe_give(&P[1], T->word[WHOM]));
  receiver_asleep();
}
PIPE(given, "send, by one that was given the end, the receiver asleep", .setup = one_way_empty, .prepare = says_who,
     .ready = give_to_it, .op = op_send, .check = check_given);
PIPE(leave_wake, "leave, the receiver asleep", .setup = one_way_part, .prepare = sender, .ready = receiver_asleep,
     .op = op_leave_1, .check = check_given);

// Who leaves one direction keeps that one alone: the death of who has the other is its end.
static void receiver_alone(void) {
  warm();
  CRASH_OK(shoal_pipe_join(P[0], SHOAL_CONSUMER));
}
static void op_leave_0(void) { leave(0); }
static void says_alone(int i) {
  (void)i;
  CRASH_OK(shoal_pipe_join(P[0], SHOAL_PRODUCER));
  CRASH_OK(say(0, MINE, SHOAL_TRY));
  T->word[TURN]++;
}
static void other_direction_taken(void) {
  crash_actor(says_alone, 0);
  CRASH_UNTIL(T->word[TURN], "nobody takes the other direction");
}
static void other_direction_ends(void) {
  crash_kill(0);
  crash_actor(serves, 1);
  CRASH_UNTIL(T->word[ENDED], "who left one direction keeps the other, of a dead one");
  CRASH_EXPECT(T->taken[MINE], "sent whole, and lost");
  crash_kill(1);
  check();
}
PIPE(leave_one, "leave one direction, another has the other and dies, goes on", .kind = CRASH_RESUMED,
     .setup = duplex_empty, .prepare = receiver_alone, .op = op_leave_0, .stopped = other_direction_taken,
     .check = other_direction_ends);

// Whom it opened for keeps it, until somebody takes it: also one who does that while it is being opened, whose death is
// the end then, though the opener lives.
static void op_open_1(void) { CRASH_OK(shoal_pipe_open(S, NAME, 0, 1, &P[1])); }
static void check_opened(void) {
  look_again();
  if (shoal_keeper_(shoal_load64_relaxed(&P[0]->shm->keeper[1][SHOAL_PRODUCER])) == shoal_process_self_()) {
    crash_all_asleep();
    CRASH_EXPECT(!T->word[ENDED], "the driver keeps the end, and the receiver was told of it");
    CRASH_OK(say(1, MINE, SHOAL_TRY));
    CRASH_UNTIL(T->taken[MINE], "the receiver sleeps beside a message");
  } else {
    fixture_told(1);
  }
  crash_kill(0);
  check();
}
PIPE(open, "open an end, the receiver asleep", .setup = one_way_empty, .prepare = warm, .ready = receiver_asleep,
     .op = op_open_1, .check = check_opened);
static void idle_1(void) { idle(1); }
static void taker_dies(void) {
  crash_kill(orphaned);
  receiver_comes();
  look_again();
  CRASH_UNTIL(T->word[ENDED], "who opened the end, or was given it, and never used it, keeps that of a dead one");
  crash_kill(orphaned + 1);
  goes_on();
}
PIPE(open_taken, "open an end, another takes it and dies, goes on", .kind = CRASH_RESUMED, .setup = one_way_empty,
     .prepare = warm, .op = op_open_1, .stopped = idle_1, .check = taker_dies);
// The same where it is given away, by another handle of who has it open.
static struct shoal_pipe *other;
static void opens_another(void) {
  warm();
  CRASH_OK(shoal_pipe_open(S, NAME, 0, 1, &other));
}
static void op_give_other(void) {
  int rc = shoal_pipe_give(&other, (uint32_t)getppid());
  CRASH_EXPECT(rc == 0 || rc == -EUSERS, "give answered %d (%s)", rc, shoal_reason());
}
PIPE(give_taken, "give an end by another handle, another takes it and dies, goes on", .kind = CRASH_RESUMED,
     .setup = one_way_empty, .prepare = opens_another, .op = op_give_other, .stopped = idle_1, .check = taker_dies);
static void one_way_orphaned(void) {
  one_way_empty();
  idle_1();
  crash_kill(0);
  T->word[TURN] = 0;
  orphaned = 1;
}
PIPE(open_orphaned, "open an end of a dead one, another takes it and dies, goes on", .kind = CRASH_RESUMED, .times = 8,
     .setup = one_way_orphaned, .prepare = warm, .op = op_open_1, .stopped = idle_1, .check = taker_dies);

// The victim takes the end: from its role's word on it is the taker's, which has not said yet what process that is. Who
// keeps it, and closes it then, only lets go of it; who opens it then does not keep it.
static uint32_t taker(void) {
  const uint32_t producer = 1;
  return shoal_robust_owner(shoal_load32_relaxed(&shoal_role_at_(&P[0]->in->wait, producer)->live.word));
}
static void keeper_closes(void) {
  T->word[TURN] = taker();
  close_1();
}
static void closed_or_taken(void) {
  crash_kill_victim();
  CRASH_EXPECT(!T->word[TURN] || T->word[ACKNOWLEDGED], "closed by another, while it was the taker's");
  check_ended();
}
static void op_send_or_not(void) {
  int rc = say(1, MINE, SHOAL_TRY);
  CRASH_EXPECT(rc == 0 || rc == -EPIPE, "send answered %d", rc);
  T->word[ACKNOWLEDGED] += rc == 0;
}
PIPE(taken_closed, "send, taking the end by it, who keeps it closes it, goes on", .kind = CRASH_RESUMED,
     .setup = one_way_part, .prepare = warm, .op = op_send_or_not, .stopped = keeper_closes, .check = closed_or_taken);
static void opens(int i) {
  (void)i;
  op_open_1();
  T->word[TURN]++;
}
static void opened_beside(void) {
  crash_actor(opens, 0);
  CRASH_UNTIL(T->word[TURN], "nobody opens the end");
}
static void taker_is_told_of(void) {
  crash_kill_victim();
  crash_actor(receives, 1);
  crash_all_asleep_or_finished();
  look_again();
  fixture_told(1);
  none_lost();
  crash_kill(1);
  goes_on();
}
PIPE(taken_opened, "send, taking the end by it, another opens it, goes on", .kind = CRASH_RESUMED,
     .setup = one_way_part, .prepare = warm, .op = op_send, .stopped = opened_beside, .check = taker_is_told_of);

// A dead keeper's end is nobody's once somebody has said so: who sleeps is told at once, and who opens it meanwhile is
// its keeper all the same.
static void one_way_kept(void) {
  one_way_empty();
  crash_actor(opens, 0);
  CRASH_UNTIL(T->word[TURN], "nobody opens the end");
}
static void one_way_kept_by_the_dead(void) {
  one_way_kept();
  crash_kill(0);
}
static void keeper_dies(void) {
  receiver_asleep();
  crash_kill(0);
}
static void op_bury(void) { (void)shoal_pipe_reap_keepers_(P[0]); }
static void check_buried(void) {
  if (!crash_victim_finished()) look_again();
  fixture_told(1);
  crash_kill(1);
  goes_on();
}
static void check_kept(void) {
  CRASH_EXPECT(shoal_keeper_(shoal_load64_relaxed(&P[0]->shm->keeper[1][SHOAL_PRODUCER])),
               "it was opened, and nobody keeps it");
  goes_on();
}
PIPE(bury, "end what a dead one kept, the receiver asleep", .setup = one_way_kept, .prepare = warm,
     .ready = keeper_dies, .op = op_bury, .check = check_buried);
PIPE(open_buried, "open an end that a dead one kept, which is ended meanwhile, goes on", .kind = CRASH_RESUMED,
     .times = 8, .setup = one_way_kept_by_the_dead, .prepare = warm, .op = op_open_1, .stopped = op_bury,
     .check = check_kept);

// An heir waits until the end is its own, or nobody's.
static void heir(int i) {
  (void)i;
  T->word[WHOM] = (uint32_t)getpid();
  crash_gate();
  CRASH_EXPECT(say(1, MINE + 5, SHOAL_FOREVER) == 0, "an end that was given away is not to be had");
}
static void an_heir(void) {
  one_way_part();
  crash_actor(heir, 0);
  crash_at_gate(1);
}
static void op_give(void) { CRASH_OK(shoal_pipe_give(&P[1], T->word[WHOM])); }
static void receiver_beside(void) { crash_asleep(crash_actor(receives, 0)); }
static void heir_heard(void) {
  CRASH_EXPECT(!T->word[ENDED] || !crash_victim_finished(), "given away, and the receiver was told of the end");
  crash_open_gate();
  CRASH_UNTIL(crash_finished(0), "the heir does not get on");
  CRASH_UNTIL(T->taken[MINE + 5] || T->word[ENDED], "the receiver sleeps beside the heir's message");
  crash_kill(0);
  crash_kill(1);
  check();
}
PIPE(give, "give, the receiver asleep", .setup = an_heir, .prepare = sender, .ready = receiver_beside, .op = op_give,
     .check = heir_heard);
// The heir takes it while it is given: it is its own, and no other process's.
static void keeps(void) {
  sender();
  CRASH_OK(shoal_pipe_leave(P[1]));
}
static void heir_is_quicker(void) {
  crash_open_gate();
  CRASH_UNTIL(crash_finished(0), "the heir does not get on");
}
static void heir_was_quicker(void) {
  CRASH_EXPECT(T->taken[MINE + 5] == 0, "received twice");
  crash_kill(0);
  check();
}
PIPE(give_quicker, "give, the heir takes it, goes on", .kind = CRASH_RESUMED, .setup = an_heir, .prepare = keeps,
     .op = op_give, .stopped = heir_is_quicker, .check = heir_was_quicker);

// ---- pairs ----
#define PAIR(id, text, state, role, what, what2, expect)                                          \
  PIPE(pair_##id, "pair, " text, .kind = CRASH_PAIR, .setup = state, .prepare = role, .op = what, \
       .prepare2 = warm_second, .op2 = what2, .check = expect)
PAIR(send, "send, then its successor", one_way_part, sender, op_send, op_send_another, check_pair);
PAIR(release, "receive and release, then its successor, duplex", duplex_part, receiver, op_receive_release, op_recv,
     check_pair);
static void check_drained(void) { (is_closed() ? check_rest : check_pair)(); }
PAIR(close, "close, the receiver, then its successor", one_way_part, receiver, op_close_0, op_recv, check_drained);

// ---- one stopped on its way to sleep, the other end dies ----
static void end_it(void) { shoal_queue_close(P[0]->in); }
static void check_stopped(void) {
  CRASH_EXPECT(T->rc[0] == -EPIPE || T->taken[MINE], "recv answered %d", T->rc[0]);
  check();
}
PIPE(sleeper_close, "stopped, a recv on its way to sleep; a close dies", .kind = CRASH_STALLED, .setup = one_way_empty,
     .prepare = receiver, .op = op_recv_wait, .prepare2 = sender, .op2 = op_close_1, .prepared_both = 1,
     .asleep = end_it, .check = check_stopped);
