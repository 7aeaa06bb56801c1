// A topic, alone and in groups, by two handles of one thread, in a segment whose words are edited before it is opened
// and while it is used: each call answers, and what it lends is there.
#include <stdlib.h>
#include <string.h>

#include "ipc/queue/topic_internal.h"
#include "tests/fuzz/fuzz.h"

#define HANDLES 2u
#define SIZE 24u

static uint64_t sum;  // of all that was shown

struct handle {
  struct shoal_topic *t;
  struct shoal_loan out, in;
};

void stage_make(struct shoal_segment *seg) {
  static const struct shoal_topic_options o = {
      .capacity = 8, .element_size = SIZE, .history = 2, .publishers = 2, .subscribers = 4, .groups = 2};
  char message[SIZE] = "abc";
  struct shoal_topic *t;
  FUZZ_CHECK(shoal_topic_create(seg, "topic", &o, &t) == 0);
  for (unsigned i = 0; i < 10; i++) FUZZ_CHECK(shoal_topic_publish(t, message, SHOAL_TRY) == 0);
  FUZZ_CHECK(shoal_topic_detach(t) == 0);
}

static void subscribe(struct script *s, struct shoal_topic *t) {
  static const char *const groups[] = {NULL, "a", "b", "c"};
  uint32_t back = script_below(s, 16);
  struct shoal_topic_subscription how = {
      .history = back < 12 ? back : SHOAL_TOPIC_ALL, .slow = script_below(s, 2), .group = groups[script_below(s, 4)]};
  (void)!shoal_topic_subscribe(t, &how);
}
static void lend(struct script *s, struct handle *h) {
  uint32_t reads = script_below(s, 2);
  shoal_deadline until = stage_until(s);
  if (reads && !h->in.data && shoal_topic_receive(h->t, &h->in, until) == 0)
    for (uint64_t i = 0; i < h->in.size; i++) sum += ((const uint8_t *)h->in.data)[i];
  if (!reads && !h->out.data && shoal_topic_reserve(h->t, &h->out, until) == 0) memset(h->out.data, 'x', h->out.size);
}
// Of another handle, or of the other side, perhaps.
static void give_back(struct script *s, struct shoal_topic *t, struct handle *h) {
  switch (script_below(s, 6)) {
    case 0: (void)shoal_topic_commit(t, &h->out); break;
    case 1: (void)shoal_topic_cancel(t, &h->out); break;
    case 2: (void)shoal_topic_release(t, &h->in); break;
    case 3: (void)shoal_topic_return(t, &h->in); break;
    case 4: (void)shoal_topic_commit(t, &h->in); break;
    default: (void)shoal_topic_return(t, &h->out);
  }
}
static void look(struct script *s, struct shoal_topic *t) {
  struct shoal_topic_info info;
  struct shoal_topic_subscriber_info one;
  shoal_topic_info(t, &info);
  (void)shoal_topic_subscriber(t, script_below(s, 6), &one);
}
static void carry(struct script *s, struct shoal_topic *t) {
  char message[SIZE] = "message";
  uint32_t reads = script_below(s, 2);
  shoal_deadline until = stage_until(s);
  (void)(reads ? shoal_topic_get(t, message, until) : shoal_topic_publish(t, message, until));
}
static void come_and_go(struct script *s, struct shoal_topic *t) {
  switch (script_below(s, 5)) {
    case 0: (void)shoal_topic_join(t); break;
    case 1: (void)shoal_topic_leave(t); break;
    case 2:
    case 3: (void)shoal_topic_unsubscribe(t); break;
    default:
      if (script_below(s, 4) == 0) (void)shoal_topic_close(t);
  }
}

// The word of the groups' lock may say that somebody is inside, this thread even: then the handle stays, until nobody
// is.
static void end(struct shoal_topic *t) {
  if (!shoal_topic_detach(t)) return;
  shoal_store32_relaxed(&t->shm->lock.word, 0);
  FUZZ_CHECK(shoal_topic_detach(t) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct script s = {data, data + size};
  struct handle handles[HANDLES] = {{0}};
  struct shoal_segment *seg = stage_take(&s);
  for (unsigned i = 0; i < HANDLES; i++)
    if (shoal_topic_open(seg, "topic", SIZE, &handles[i].t)) handles[i].t = NULL;
  while (stage_left(&s)) {
    struct handle *h = &handles[script_below(&s, HANDLES)];
    uint32_t what = script_below(&s, 12);
    if (what < 2) stage_edit(&s);
    else if (!h->t) continue;
    else if (what < 4) subscribe(&s, h->t);
    else if (what < 6) lend(&s, h);
    else if (what < 8) give_back(&s, h->t, script_below(&s, 8) ? h : &handles[0]);
    else if (what < 9) look(&s, h->t);
    else if (what < 10) come_and_go(&s, h->t);
    else carry(&s, h->t);
  }
  for (unsigned i = 0; i < HANDLES; i++, stage_left(&s))
    if (handles[i].t) end(handles[i].t);
  stage_close();
  return 0;
}
