// Pipes of bytes, both ways and one way, and of elements, their ends opened, joined, left, given and closed, in a
// segment whose words are edited before they are opened and while they are used: each call answers, and what it lends
// can be written to.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/queue/pipe.h"
#include "ipc/queue/queue_internal.h"
#include "tests/fuzz/fuzz.h"

#define HANDLES 3u  // two of one end

SHOAL_PIPE_TYPED(numbers, uint64_t)

static const struct kind {
  const char *name;
  struct shoal_pipe_options o;
} kinds[] = {
    {"bytes", {.capacity = 4, .duplex = 1}},
    {"one-way", {.capacity = 4}},
    {"numbers", {.capacity = 4, .duplex = 1, .element_size = 8, .type = "uint64_t"}},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static uint64_t sum;  // of all that was shown

struct handle {
  struct shoal_pipe *p;
  struct shoal_loan out, in;
};

static int send(struct shoal_pipe *p, const void *data, uint64_t size, shoal_deadline until) {
  uint64_t number = size;
  return p->element_size ? numbers_send(p, &number, until) : shoal_pipe_send(p, data, size, until);
}

void stage_make(struct shoal_segment *seg) {
  char message[100] = "abc";
  for (unsigned k = 0; k < KINDS; k++) {
    struct shoal_pipe *ends[2];
    FUZZ_CHECK(shoal_pipe_create(seg, kinds[k].name, &kinds[k].o, ends) == 0);
    for (unsigned i = 0; i < 4; i++)
      if (ends[i % 2]->out) FUZZ_CHECK(send(ends[i % 2], message, 20 + 20 * i, SHOAL_TRY) == 0);
    for (unsigned i = 0; i < 2; i++) FUZZ_CHECK(shoal_pipe_give(&ends[i], (uint32_t)getpid()) == 0);
  }
}

static void lend(struct script *s, struct handle *h) {
  uint32_t receives = script_below(s, 2);
  uint64_t size = h->p->element_size ? h->p->element_size : script_below(s, 5000);
  shoal_deadline until = stage_until(s);
  struct shoal_loan *loan = receives ? &h->in : &h->out;
  if (loan->data) return;
  if ((receives ? shoal_pipe_receive(h->p, loan, until) : shoal_pipe_reserve(h->p, size, loan, until)) == 0)
    memset(loan->data, 'x', loan->size);
}
// Of another handle, or of the other side, perhaps.
static void give_back(struct script *s, struct shoal_pipe *p, struct handle *of) {
  uint32_t what = script_below(s, 6);
  if (of->out.size && script_below(s, 2)) of->out.size--;
  switch (what) {
    case 0: (void)shoal_pipe_commit(p, &of->out); break;
    case 1: (void)shoal_pipe_cancel(p, &of->out); break;
    case 2: (void)shoal_pipe_release(p, &of->in); break;
    case 3: (void)shoal_pipe_return(p, &of->in); break;
    case 4: (void)shoal_pipe_commit(p, &of->in); break;
    default: (void)shoal_pipe_return(p, &of->out);
  }
}

static void several(struct script *s, struct shoal_pipe *p, char *memory, uint64_t bytes, shoal_deadline until) {
  struct iovec messages[3];
  uint32_t n = 1 + script_below(s, 3), sends = script_below(s, 2);
  for (unsigned i = 0; i < n; i++) messages[i] = (struct iovec){memory + bytes / n * i, bytes / n};
  if (p->element_size) {
    uint64_t some[3] = {1, 2, 3};
    (void)(sends ? numbers_send_n(p, some, n, until) : numbers_recv_n(p, some, n, until));
  } else {
    (void)(sends ? shoal_pipe_send_n(p, messages, n, until) : shoal_pipe_recv_n(p, messages, n, until));
  }
}
static void carry(struct script *s, struct shoal_pipe *p) {
  uint32_t what = script_below(s, 8);
  uint64_t bytes = script_below(s, 3000), number, size = 0;
  shoal_deadline until = stage_until(s);
  char *memory = calloc(1, bytes ? bytes : 1);  // no byte more: a sanitizer sees what goes beyond
  FUZZ_CHECK(memory);
  switch (what) {
    case 0:
    case 1: (void)send(p, memory, bytes, until); break;
    case 2:
    case 3:
      if (p->element_size) (void)numbers_recv(p, &number, until);
      else if (shoal_pipe_recv(p, memory, bytes, &size, until) == 0) FUZZ_CHECK(size <= bytes);
      break;
    case 4:
      if (shoal_pipe_peek(p, memory, bytes, &size, until) == 0) FUZZ_CHECK(size <= bytes);
      break;
    case 5: several(s, p, memory, bytes, until); break;
    default: (void)shoal_pipe_poll(p, until);
  }
  for (uint64_t i = 0; i < bytes; i++) sum += (uint8_t)memory[i];
  free(memory);
}

static void open_end(struct shoal_segment *seg, const struct kind *k, struct handle *h, uint32_t side) {
  if (shoal_pipe_open(seg, k->name, k->o.element_size, side, &h->p)) h->p = NULL;
}
static void come_and_go(struct script *s, struct handle *h) {
  struct shoal_pipe_info info;
  switch (script_below(s, 8)) {
    case 0: (void)shoal_pipe_join(h->p, SHOAL_PRODUCER); break;
    case 1: (void)shoal_pipe_join(h->p, SHOAL_CONSUMER); break;
    case 2:
    case 3: (void)shoal_pipe_leave(h->p); break;
    case 4: (void)shoal_pipe_close(&h->p); break;
    case 5: (void)shoal_pipe_give(&h->p, (uint32_t)getpid()); break;
    case 6: (void)shoal_pipe_give(&h->p, (uint32_t)getppid()); break;
    default: (void)shoal_pipe_info(h->p, &info);
  }
}

// The word of a role may say that another thread of this process has it.
static void nobody_else(struct shoal_queue *q) {
  for (uint32_t r = 1; q && r <= 2; r++) shoal_store32_relaxed(&shoal_role_at_(&q->wait, r)->pid, 0);
}
static void end(struct handle *h) {
  if (!h->p || !shoal_pipe_close(&h->p)) return;
  nobody_else(h->p->out);
  nobody_else(h->p->in);
  FUZZ_CHECK(shoal_pipe_close(&h->p) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct script s = {data, data + size};
  struct handle handles[HANDLES] = {{0}};
  const struct kind *k = &kinds[script_below(&s, KINDS)];
  struct shoal_segment *seg = stage_take(&s);
  for (unsigned i = 0; i < HANDLES; i++) open_end(seg, k, &handles[i], i % 2);
  while (stage_left(&s)) {
    uint32_t which = script_below(&s, HANDLES), what = script_below(&s, 12);
    struct handle *h = &handles[which];
    if (what < 2) stage_edit(&s);
    else if (!h->p) open_end(seg, k, h, which % 2);
    else if (what < 4) lend(&s, h);
    else if (what < 6) give_back(&s, h->p, &handles[script_below(&s, 8) ? which : 0]);
    else if (what < 8) come_and_go(&s, h);
    else carry(&s, h->p);
  }
  for (unsigned i = 0; i < HANDLES; i++, stage_left(&s)) end(&handles[i]);
  stage_close();
  return 0;
}
