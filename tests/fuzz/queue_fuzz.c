// Queues of each kind, of elements and of bytes, in a segment whose words are edited before they are opened and while
// they are used: each call answers, and what it lends can be written to.
#include <stdlib.h>
#include <string.h>

#include "ipc/queue/message.h"
#include "ipc/queue/queue_internal.h"
#include "tests/fuzz/fuzz.h"

#define LOANS 3

static const struct kind {
  const char *name;
  struct shoal_queue_options o;
} kinds[] = {
    {"mpmc", {.element_size = 8}},
    {"drops", {.element_size = 24, .overflow = SHOAL_OVERFLOW_DROP_OLDEST}},
    {"leased", {.element_size = 8, .lease_ns = 1000000, .delivery_max = 1, .dead_letters = "mpmc"}},
    {"spsc", {.element_size = 8, .kind = SHOAL_QUEUE_SPSC}},
    {"fifo", {.element_size = 8, .kind = SHOAL_QUEUE_FIFO, .joinable = 1}},
    {"lifo", {.element_size = 8, .kind = SHOAL_QUEUE_LIFO}},
    {"priority", {.element_size = 8, .kind = SHOAL_QUEUE_PRIORITY, .grow = 1, .key = {SHOAL_KEY_I32, 4}}},
    {"bytes", {.bytes = 1}},
    {"bytes-spsc", {.bytes = 1, .kind = SHOAL_QUEUE_SPSC}},
};
#define KINDS (sizeof kinds / sizeof *kinds)

void stage_make(struct shoal_segment *seg) {
  for (unsigned k = 0; k < KINDS; k++) {
    struct shoal_queue_options o = kinds[k].o;
    struct shoal_queue *q;
    char message[24] = "abc";
    o.capacity = 4;
    o.producers = o.consumers = o.kind == SHOAL_QUEUE_SPSC ? 1 : 2;
    FUZZ_CHECK(shoal_queue_create(seg, kinds[k].name, &o, &q) == 0);
    for (unsigned i = 0; i < 2; i++)
      FUZZ_CHECK((o.bytes ? shoal_queue_send(q, message, 20, SHOAL_TRY) : shoal_queue_put(q, message, SHOAL_TRY)) == 0);
    FUZZ_CHECK(shoal_queue_detach(q) == 0);
  }
}

static void lend(struct script *s, struct shoal_queue *q, struct shoal_loan *loan, uint32_t element) {
  shoal_deadline until = stage_until(s);
  if (loan->data) return;
  if (script_below(s, 2)) (void)shoal_queue_receive(q, loan, until);
  else if (element) (void)shoal_queue_reserve(q, loan, until);
  else (void)shoal_queue_reserve_bytes(q, script_below(s, 5000), loan, until);
  if (loan->data) memset(loan->data, 'x', loan->size);
}
static void give_back(struct script *s, struct shoal_queue *q, struct shoal_loan *loan) {
  switch (script_below(s, 5)) {
    case 0: (void)shoal_queue_commit(q, loan); break;
    case 1: (void)shoal_queue_cancel(q, loan); break;
    case 2: (void)shoal_queue_release(q, loan); break;
    case 3: (void)shoal_queue_return(q, loan); break;
    default: (void)shoal_queue_extend(q, loan);
  }
}
static void carry(struct script *s, struct shoal_queue *q, uint32_t element) {
  uint32_t n = 1 + script_below(s, 4), what = script_below(s, 5);
  uint64_t bytes = element ? (uint64_t)n * element : script_below(s, 3000), size;
  shoal_deadline until = stage_until(s);
  char *memory = calloc(1, bytes ? bytes : 1);
  FUZZ_CHECK(memory);
  switch (what) {
    case 0: (void)(element ? shoal_queue_put(q, memory, until) : shoal_queue_send(q, memory, bytes, until)); break;
    case 1:
      (void)(element ? shoal_queue_get(q, memory, until) : shoal_queue_recv(q, memory, bytes, &size, until));
      break;
    case 2: (void)(element && shoal_queue_put_n(q, memory, n, until)); break;
    case 3: (void)(element && shoal_queue_get_n(q, memory, n, until)); break;
    default: (void)(element && shoal_queue_peek(q, memory, until));
  }
  free(memory);
}
static void look(struct shoal_queue *q) {
  struct shoal_queue_info info;
  shoal_queue_info(q, &info);
  shoal_queue_size(q), shoal_queue_empty(q), shoal_queue_full(q);
}

// The word of a lock may say that somebody is inside, this thread even: then the queue stays, until nobody is.
static void end(struct shoal_queue *q) {
  if (!shoal_queue_detach(q)) return;
  if (q->ordered.shm) shoal_store32_relaxed(&q->ordered.shm->lock.word, 0);
  if (q->dead && q->dead->ordered.shm) shoal_store32_relaxed(&q->dead->ordered.shm->lock.word, 0);
  FUZZ_CHECK(shoal_queue_detach(q) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct script s = {data, data + size};
  struct shoal_loan loans[LOANS] = {{0}};
  struct shoal_queue *q;
  uint32_t k = script_below(&s, KINDS), element = kinds[k].o.element_size;
  struct shoal_segment *seg = stage_take(&s);
  if (shoal_queue_open(seg, kinds[k].name, element, &q)) return stage_close(), 0;
  while (stage_left(&s)) {
    struct shoal_loan *loan = &loans[script_below(&s, LOANS)];
    switch (script_below(&s, 12)) {
      case 0:
      case 1: stage_edit(&s); break;
      case 2:
      case 3: lend(&s, q, loan, element); break;
      case 4: give_back(&s, q, loan); break;
      case 5: look(q); break;
      case 6:
        (void)(script_below(&s, 2) ? shoal_queue_task_done(q) : shoal_queue_join_tasks(q, stage_until(&s)));
        break;
      case 7: (void)shoal_queue_leave(q, (int)script_below(&s, 2)); break;
      case 8: (void)(script_below(&s, 2) ? shoal_queue_close(q) : shoal_queue_reopen(q)); break;
      case 9: (void)(script_below(&s, 4) ? shoal_queue_join(q, (int)script_below(&s, 2)) : shoal_queue_clear(q)); break;
      default: carry(&s, q, element);
    }
  }
  end(q);
  stage_close();
  return 0;
}
