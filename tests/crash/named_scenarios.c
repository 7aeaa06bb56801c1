// ipc/queue: what is found by a name. Claims: a queue, topic or pipe whose maker, opener or remover is killed is there,
// whole, or its name is free for the next; nobody waits for a dead maker.
#include <unistd.h>

#include "ipc/queue/pipe.h"
#include "ipc/queue/topic.h"
#include "tests/crash/fixture.h"

enum { MADE = OWN_WORDS, FOUND };  // T->word

static struct shoal_queue *q, *letters;
static struct shoal_topic *t;
static struct shoal_pipe *ends[2];

// ---- each kind: made, opened, used, let go, removed ----
static const struct shoal_queue_options queue_options = {
    .capacity = 4, .element_size = 8, .producers = 2, .consumers = 2, .delivery_max = 1, .dead_letters = "letters"};
static int make_queue(void) { return shoal_queue_create(S, "it", &queue_options, &q); }
static int open_queue(void) { return shoal_queue_open(S, "it", 8, &q); }
static int open_or_make_queue(void) { return shoal_queue_open_or_create(S, "it", &queue_options, &q); }
static void use_queue(void) {
  uint64_t v = 7;
  CRASH_OK(shoal_queue_put(q, &v, SHOAL_TRY));
  CRASH_OK(shoal_queue_get(q, &v, SHOAL_TRY));
  CRASH_EXPECT(v == 7, "put 7, got %lu", v);
}
static int let_go_of_queue(void) { return shoal_queue_detach(q); }
static int remove_queue(void) { return shoal_queue_unlink(S, "it"); }

static const struct shoal_queue_options growing_options = {
    .capacity = 4, .bytes = 1, .kind = SHOAL_QUEUE_PRIORITY, .grow = 1, .producers = 2, .consumers = 2};
static int make_bytes(void) { return shoal_queue_create(S, "it", &growing_options, &q); }
static int open_bytes(void) { return shoal_queue_open(S, "it", 0, &q); }
static int open_or_make_bytes(void) { return shoal_queue_open_or_create(S, "it", &growing_options, &q); }
static void use_bytes(void) {
  char text[100] = "", back[100];
  uint64_t size = 0;
  for (int i = 0; i < 5; i++) CRASH_OK(shoal_queue_send_key(q, i, text, sizeof text, SHOAL_TRY));  // it grows
  for (int i = 0; i < 5; i++) CRASH_OK(shoal_queue_recv(q, back, sizeof back, &size, SHOAL_TRY));
  CRASH_EXPECT(size == sizeof text, "sent %zu bytes, %lu came", sizeof text, size);
}
static int let_go_of_bytes(void) { return shoal_queue_detach(q); }
static int remove_bytes(void) { return shoal_queue_unlink(S, "it"); }

static const struct shoal_topic_options topic_options = {
    .capacity = 4, .element_size = 8, .publishers = 2, .subscribers = 2, .groups = 1};
static int make_topic(void) { return shoal_topic_create(S, "it", &topic_options, &t); }
static int open_topic(void) { return shoal_topic_open(S, "it", 8, &t); }
static int open_or_make_topic(void) { return shoal_topic_open_or_create(S, "it", &topic_options, &t); }
static void use_topic(void) {
  uint64_t v = 7;
  CRASH_OK(shoal_topic_subscribe(t, NULL));
  CRASH_OK(shoal_topic_publish(t, &v, SHOAL_TRY));
  CRASH_OK(shoal_topic_get(t, &v, SHOAL_TRY));
  CRASH_EXPECT(v == 7, "published 7, got %lu", v);
}
static int let_go_of_topic(void) { return shoal_topic_detach(t); }
static int remove_topic(void) { return shoal_topic_unlink(S, "it"); }

static int make_pipe(void) { return shoal_pipe_create(S, "it", &(struct shoal_pipe_options){.capacity = 4}, ends); }
static int open_pipe(void) {
  for (uint32_t end = 0; end < 2; end++) {
    int rc = shoal_pipe_open(S, "it", 0, end, &ends[end]);
    if (rc) return rc;
  }
  return 0;
}
static int open_or_make_pipe(void) {
  int rc = open_pipe();
  return rc == -ENOENT ? make_pipe() : rc;
}
static void use_pipe(void) {
  char back[8] = "";
  uint64_t size = 0;
  CRASH_OK(shoal_pipe_send(ends[1], "seven", 6, SHOAL_TRY));
  CRASH_OK(shoal_pipe_recv(ends[0], back, sizeof back, &size, SHOAL_TRY));
  CRASH_EXPECT(size == 6 && strcmp(back, "seven") == 0, "sent \"seven\", %lu bytes came", size);
}
static int let_go_of_pipe(void) {  // the ends stay as they are, for who comes later
  for (int end = 0; end < 2; end++) CRASH_OK(shoal_pipe_give(&ends[end], T->word[TURN]));
  return 0;
}
static int remove_pipe(void) { return shoal_pipe_unlink(S, "it"); }

// ---- states ----
static void nothing_there(void) {
  static const struct shoal_queue_options dead = {.capacity = 4, .element_size = 8};
  fixture_segment(16 << 20);
  CRASH_OK(shoal_queue_create(S, "letters", &dead, &letters));
  T->word[TURN] = (uint32_t)getpid();
}
static void cleanup(void) {
  CRASH_OK(shoal_queue_detach(letters));
  fixture_segment_end();
}
static void warm(void) { fixture_use(100); }

#define NAMED(id, text, ...) CRASH_SCENARIO(named_##id, .name = "named: " text, .cleanup = cleanup, __VA_ARGS__)
#define KIND(k)                                                                                                        \
  static void there_##k(void) {                                                                                        \
    CRASH_OK(make_##k());                                                                                              \
    CRASH_OK(let_go_of_##k());                                                                                         \
  }                                                                                                                    \
  static void with_##k(void) {                                                                                         \
    nothing_there();                                                                                                   \
    crash_survivor(there_##k);                                                                                         \
  }                                                                                                                    \
  static void opened_##k(void) {                                                                                       \
    warm();                                                                                                            \
    CRASH_OK(open_##k());                                                                                              \
  }                                                                                                                    \
  static void op_make_##k(void) {                                                                                      \
    CRASH_OK(make_##k());                                                                                              \
    T->word[MADE] = 1;                                                                                                 \
  }                                                                                                                    \
  static void op_open_##k(void) { CRASH_OK(open_##k()); }                                                              \
  static void op_open_or_make_##k(void) {                                                                              \
    CRASH_OK(open_or_make_##k());                                                                                      \
    T->word[MADE] = 1;                                                                                                 \
  }                                                                                                                    \
  static void op_let_go_##k(void) { CRASH_OK(let_go_of_##k()); }                                                       \
  static void op_remove_##k(void) {                                                                                    \
    int rc = remove_##k();                                                                                             \
    CRASH_EXPECT(rc == 0 || rc == -ENOENT, "unlink answered %d (%s)", rc, shoal_reason());                             \
  }                                                                                                                    \
  static void find_##k(void) {                                                                                         \
    int rc = open_##k();                                                                                               \
    CRASH_EXPECT(rc == 0 || rc == -ENOENT, "open answered %d (%s)", rc, shoal_reason());                               \
    T->word[FOUND] = rc == 0;                                                                                          \
    if (rc) CRASH_OK(make_##k());                                                                                      \
    use_##k();                                                                                                         \
    CRASH_OK(let_go_of_##k());                                                                                         \
    CRASH_OK(remove_##k());                                                                                            \
    CRASH_EXPECT(open_##k() == -ENOENT, "removed, and still to be found");                                             \
  }                                                                                                                    \
  static void check_##k(void) {                                                                                        \
    crash_survivor(find_##k);                                                                                          \
    CRASH_EXPECT(T->word[FOUND] >= T->word[MADE], "made, and not to be found");                                        \
  }                                                                                                                    \
  static void check_there_##k(void) {                                                                                  \
    T->word[MADE] = 1;                                                                                                 \
    check_##k();                                                                                                       \
  }                                                                                                                    \
  static void check_removed_##k(void) {                                                                                \
    check_##k();                                                                                                       \
    CRASH_EXPECT(!crash_victim_finished() || !T->word[FOUND], "removed, and still to be found");                       \
  }                                                                                                                    \
  NAMED(k##_create, #k ": create", .setup = nothing_there, .prepare = warm, .op = op_make_##k, .check = check_##k);    \
  NAMED(k##_open_or_create, #k ": open or create", .setup = nothing_there, .prepare = warm, .op = op_open_or_make_##k, \
        .check = check_##k);                                                                                           \
  NAMED(k##_open, #k ": open", .setup = with_##k, .prepare = warm, .op = op_open_##k, .check = check_there_##k);       \
  NAMED(k##_let_go, #k ": let go", .setup = with_##k, .prepare = opened_##k, .op = op_let_go_##k,                      \
        .check = check_there_##k);                                                                                     \
  NAMED(k##_unlink, #k ": unlink", .setup = with_##k, .prepare = opened_##k, .op = op_remove_##k,                      \
        .check = check_removed_##k)
KIND(queue);
KIND(bytes);
KIND(topic);
KIND(pipe);
