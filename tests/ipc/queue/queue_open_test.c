// Claims of ipc/queue/queue, of who finds one:
//   1 a damaged header is refused, and whatever a peer writes, nothing outside the memory is touched
//   2 by its name: complete, or not at all; a child of fork holds what it uses
//   3 another type, of another size or of the same, is refused: as it is opened, and by each call
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "core/proc.h"
#include "tests/ipc/queue/queue_fixture.h"

// ---- 1 ----

static void test_a_damaged_header_is_refused(void **state) {
  (void)state;
  struct shoal_queue *q = make_mpmc(16), *other = NULL;
  char *memory = (char *)arena.memory + QUEUE_AT;
  uint64_t size = shared()->queue_size;
  assert_int_equal(shoal_queue_attach_(memory, size, 12, &other), -EBADMSG);
  for (uint64_t cut = 0; cut < size; cut += 64) assert_int_equal(shoal_queue_attach_(memory, cut, 8, &other), -EPROTO);
  struct shoal_queue_shm *shm = (struct shoal_queue_shm *)(void *)memory;
  struct shoal_mpmc_shm *ring = (struct shoal_mpmc_shm *)(void *)(memory + shm->ring);
  uint32_t *fields[] = {&shm->magic.v_,      &shm->kind,          &shm->ring,      &shm->wait.roles[0],
                        &shm->wait.roles[1], &ring->element_size, &ring->capacity, &shm->element_size};
  static const uint32_t values[] = {0, 1, 3, 5, 63, 1u << 16, 1u << 30, 0x7fffffff, 0x80000000, UINT32_MAX};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
      uint32_t good = *fields[i];
      *fields[i] = values[k];
      int rc = shoal_queue_attach_(memory, size, 8, &other);
      if (rc == 0) assert_int_equal(shoal_queue_detach(other), 0);  // smaller than it could be, and sound
      else assert_true(rc == -EPROTO || rc == -EBADMSG);
      assert_true(rc != 0 || (fields[i] != &shm->magic.v_ && fields[i] != &ring->element_size));
      *fields[i] = good;
    }
  put_number(q, 4);
  assert_int_equal(get_number(q), 4);
  unmake(q);
}

// A peer scribbles over everything while this process works: it may be told nonsense, it never leaves its memory.
static void use_scribbled(void *memory, unsigned seed) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  struct shoal_loan loan;
  uint64_t v = 1, x = seed + 1;
  shoal_queue_join(q, SHOAL_PRODUCER), shoal_queue_join(q, SHOAL_CONSUMER);
  uint64_t *words = (uint64_t *)((char *)memory + QUEUE_AT);
  signal(SIGALRM, SIG_DFL);
  alarm(2);  // it may wait for ever for what a liar holds
  for (int i = 0; i < 400; i++) {
    for (int k = 0; k < 3; k++) {
      x ^= x << 13, x ^= x >> 7, x ^= x << 17;
      uint64_t at = x % (s->queue_size / 8);
      // the words of a robust list are addresses: they belong to the C library's trust in its own process
      uint64_t role_bytes = at * 8 - sizeof(struct shoal_queue_shm);
      if (at * 8 >= sizeof(struct shoal_queue_shm) && at * 8 < sizeof(struct shoal_queue_shm) + 128 * 64 &&
          role_bytes % 64 < 40)
        continue;
      words[at] = x >> (x % 64);
    }
    shoal_queue_put(q, &v, SHOAL_TRY);
    shoal_queue_get(q, &v, SHOAL_TRY);
    if (shoal_queue_receive(q, &loan, SHOAL_TRY) == 0) shoal_queue_return(q, &loan);
    if (shoal_queue_reserve(q, &loan, SHOAL_TRY) == 0) shoal_queue_cancel(q, &loan);
    shoal_queue_put(q, &v, shoal_after_us(10));
  }
  _exit(0);
}
static void test_scribbled_memory_is_survived(void **state) {
  (void)state;
  for (unsigned seed = 0; seed < 30; seed++) {
    struct shoal_queue *q = make_mpmc(16);
    struct peer p = peer_start(&arena, use_scribbled, seed);
    int status;
    assert_int_equal(waitpid(p.pid, &status, 0), p.pid);
    assert_true(WIFEXITED(status) || WTERMSIG(status) == SIGALRM);
    free(q);
    arena_free(&arena);
  }
}

// ---- 2 ----

static void test_named_in_a_segment(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_queue *q, *again;
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  struct shoal_queue_options o = {.capacity = 16};
  assert_int_equal(number_queue_create(seg, "numbers", &(struct shoal_queue_options){.capacity = 0}, &q), -EINVAL);
  shoal_reason_clear();
  assert_int_equal(number_queue_create(seg, "numbers", NULL, &q), -EINVAL);
  assert_string_equal(shoal_reason(), "options.capacity is not given");
  assert_int_equal(number_queue_open_or_create(seg, "numbers", NULL, &q), -EINVAL);
  shoal_reason_clear();
  assert_int_equal(shoal_queue_create(seg, "numbers", NULL, &q), -EINVAL);
  assert_string_equal(shoal_reason(), "options.capacity is not given");
  assert_int_equal(shoal_queue_open_or_create(seg, "numbers", NULL, &q), -EINVAL);
  assert_int_equal(number_queue_open(seg, "numbers", &q), -ENOENT);
  assert_int_equal(number_queue_create(seg, "numbers", &o, &q), 0);
  assert_int_equal(number_queue_create(seg, "numbers", &o, &again), -EEXIST);
  assert_int_equal(shoal_queue_open(seg, "numbers", 4, &again), -EBADMSG);
  fflush(NULL);
  struct peer child = {fork()};
  if (child.pid == 0) {
    struct shoal_queue *mine;
    CHECK(number_queue_open_or_create(seg, "numbers", &o, &mine) == 0);
    for (uint64_t n = 0; n < 1000; n++) put_number(mine, n);
    CHECK(shoal_queue_detach(mine) == 0);
    _exit(0);
  }
  for (uint64_t n = 0; n < 1000; n++) assert_int_equal(get_number(q), n);
  peer_join(&child);
  uint64_t v;
  assert_int_equal(number_queue_get(q, &v, SHOAL_FOREVER), -EPIPE);
  assert_int_equal(number_queue_open(seg, "numbers", &again), 0);
  put_number(q, 77);
  assert_int_equal(get_number(again), 77);
  assert_int_equal(shoal_queue_unlink(seg, "numbers"), 0);
  assert_int_equal(shoal_queue_unlink(seg, "numbers"), -ENOENT);
  struct shoal_object other;
  assert_int_equal(shoal_object_create(seg, "numbers", "lock", 64, NULL, NULL, &other), 0);
  assert_int_equal(shoal_queue_unlink(seg, "numbers"), -EBADMSG);  // not a queue's name
  assert_int_equal(shoal_object_remove(seg, "numbers"), 0);
  assert_int_equal(shoal_object_close(seg, &other), 0);
  assert_int_equal(shoal_queue_detach(again), 0);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}

// Who comes while it is being made sleeps, and has it when it is made.
static void test_opened_while_it_is_made(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_queue *q;
  struct shoal_object object;
  struct shoal_queue_options o = {.capacity = 16, .element_size = 8};
  uint64_t size = shoal_queue_size_(&o);
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(number_queue_open_or_create(seg, "none", &(struct shoal_queue_options){.capacity = 0}, &q), -EINVAL);
  assert_int_equal(shoal_object_begin_(seg, "numbers", "queue:8", size, &object), 0);
  fflush(NULL);
  struct peer child = {fork()};
  if (child.pid == 0) {
    CHECK(number_queue_open_or_create(seg, "numbers", &o, &q) == 0);
    put_number(q, 7);
    CHECK(shoal_queue_detach(q) == 0);
    _exit(0);
  }
  peer_asleep(&child);
  assert_int_equal(shoal_object_end_(seg, &object, shoal_queue_place_(object.memory, size, &o)), 0);
  peer_join(&child);
  assert_int_equal(number_queue_open_or_create(seg, "numbers", &(struct shoal_queue_options){.capacity = 0}, &q), 0);
  assert_int_equal(get_number(q), 7);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_object_close(seg, &object), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
}

// The child opens nothing by itself: its role holds the queue, when its parent has long done with it.
static void test_a_child_of_fork_holds_the_queue_it_uses(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_segment_info info;
  struct shoal_queue *q;
  shoal_atomic32 *stage = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(number_queue_create(seg, "numbers", &(struct shoal_queue_options){.capacity = 16}, &q), 0);
  fflush(NULL);
  struct peer child = {fork()};
  if (child.pid == 0) {
    put_number(q, 5);
    shoal_add32_seq_cst(stage, 1);
    await(stage, 2);
    CHECK(get_number(q) == 5);
    _exit(0);
  }
  await(stage, 1);
  assert_int_equal(shoal_queue_unlink(seg, "numbers"), 0);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_segment_info(seg, &info), 0);
  assert_true(info.used > 0);
  assert_int_equal(info.participants, 2);  // the child's thread is one
  shoal_add32_seq_cst(stage, 1);
  peer_join(&child);
  shoal_proc_reap(seg);
  assert_int_equal(shoal_segment_info(seg, &info), 0);
  assert_int_equal(info.used, 0);
  assert_int_equal(shoal_segment_close(seg), 0);
  munmap(stage, 4096);
}

struct pair {
  uint64_t a, b;
};
SHOAL_QUEUE_TYPED(pair_queue, struct pair)
SHOAL_QUEUE_TYPED(byte_queue, char)

// ---- 3 ----

// All queues have one type of handle: what is called with another's writes no byte, and takes no message.
static void another_types_calls_are_refused(uint32_t kind) {
  struct shoal_queue *q = make(&(struct shoal_queue_options){.capacity = 4, .element_size = 8, .kind = kind});
  struct pair pair = {1, 2}, two[2] = {{0}};
  char byte = 'x';
  assert_int_equal(pair_queue_put(q, &pair, SHOAL_TRY), -EBADMSG);
  assert_int_equal(pair_queue_put_n(q, two, 2, SHOAL_TRY), -EBADMSG);
  assert_int_equal(byte_queue_put(q, &byte, SHOAL_FOREVER), -EBADMSG);
  assert_string_equal(shoal_reason(), "elements of 8 bytes, not 1");
  put_number(q, 7);
  assert_int_equal(byte_queue_get(q, &byte, SHOAL_FOREVER), -EBADMSG);
  assert_int_equal(pair_queue_get(q, &pair, SHOAL_TRY), -EBADMSG);
  assert_int_equal(pair_queue_get_n(q, two, 2, SHOAL_TRY), -EBADMSG);
  assert_true(byte == 'x' && pair.a == 1 && pair.b == 2);
  assert_int_equal(get_number(q), 7);
  unmake(q);
}
static void test_another_types_calls_are_refused(void **state) {
  (void)state;
  another_types_calls_are_refused(SHOAL_QUEUE_MPMC);
  another_types_calls_are_refused(SHOAL_QUEUE_SPSC);
}

// Another type of the same size is refused by its name, whatever the kind; who tells no name, or opens one that was
// made without, is asked for none.
struct also_a_pair {
  int64_t a, b;
};
SHOAL_QUEUE_TYPED(also_pair_queue, struct also_a_pair)
static void test_another_type_of_the_same_size_is_refused(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_segment_info before, after;
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_LIFO; kind++) {
    struct shoal_queue *q, *other = NULL;
    struct shoal_queue_options o = {.capacity = 4, .kind = kind};
    assert_int_equal(pair_queue_create(seg, "pairs", &o, &q), 0);
    assert_int_equal(shoal_segment_info(seg, &before), 0);
    assert_int_equal(also_pair_queue_open(seg, "pairs", &other), -EBADMSG);
    assert_string_equal(shoal_reason(), "its elements are of type struct pair, not struct also_a_pair");
    assert_int_equal(also_pair_queue_open_or_create(seg, "pairs", &o, &other), -EBADMSG);
    assert_int_equal(also_pair_queue_create(seg, "pairs", &o, &other), -EEXIST);
    assert_int_equal(shoal_queue_open_as(seg, "pairs", "struct pai", 16, &other), -EBADMSG);
    assert_int_equal(number_queue_open(seg, "pairs", &other), -EBADMSG);  // nor one of another size
    assert_null(other);
    assert_int_equal(shoal_segment_info(seg, &after), 0);
    assert_int_equal(after.used, before.used);
    assert_int_equal(pair_queue_open(seg, "pairs", &other), 0);
    struct shoal_queue_info info;
    assert_int_equal(shoal_queue_info(other, &info), 0);
    assert_string_equal(info.type, "struct pair");
    assert_int_equal(shoal_queue_detach(other), 0);
    assert_int_equal(shoal_queue_open(seg, "pairs", 16, &other), 0);
    assert_int_equal(shoal_queue_detach(other), 0);
    assert_int_equal(shoal_queue_open_as(seg, "pairs", "", 16, &other), 0);
    assert_int_equal(shoal_queue_detach(other), 0);
    assert_int_equal(shoal_queue_detach(q), 0);
    assert_int_equal(shoal_queue_unlink(seg, "pairs"), 0);
    o.element_size = 16;
    assert_int_equal(shoal_queue_create(seg, "pairs", &o, &q), 0);
    assert_int_equal(also_pair_queue_open(seg, "pairs", &other), 0);
    assert_int_equal(shoal_queue_detach(other), 0);
    assert_int_equal(shoal_queue_detach(q), 0);
    assert_int_equal(shoal_queue_unlink(seg, "pairs"), 0);
  }
  assert_int_equal(shoal_segment_close(seg), 0);
}
// A name may be 63 bytes long; what stands in the segment need not end. Byte messages have no type.
static void test_names_of_types(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_queue *q, *other;
  char longest[SHOAL_QUEUE_TYPE_MAX + 2];
  memset(longest, 'T', sizeof longest);
  longest[SHOAL_QUEUE_TYPE_MAX + 1] = 0;
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  struct shoal_queue_options o = {.capacity = 4, .element_size = 8, .type = longest};
  assert_int_equal(shoal_queue_create(seg, "q", &o, &q), -EINVAL);
  assert_string_equal(shoal_reason(), "options.type: 63 bytes at most");
  longest[SHOAL_QUEUE_TYPE_MAX] = 0;
  assert_int_equal(shoal_queue_create(seg, "q", &o, &q), 0);
  assert_int_equal(shoal_queue_open_as(seg, "q", longest, 8, &other), 0);
  assert_int_equal(shoal_queue_detach(other), 0);
  q->shm->type[SHOAL_QUEUE_TYPE_MAX] = 'T';
  assert_int_equal(shoal_queue_open_as(seg, "q", "T", 8, &other), -EBADMSG);
  assert_int_equal(shoal_queue_open_as(seg, "q", longest, 8, &other), 0);
  assert_int_equal(shoal_queue_detach(other), 0);
  assert_int_equal(shoal_queue_detach(q), 0);
  struct shoal_queue_options bytes = {.capacity = 4, .bytes = 1, .type = "T"};
  assert_int_equal(shoal_queue_create(seg, "b", &bytes, &q), -EINVAL);
  assert_string_equal(shoal_reason(), "options.type: byte messages have none");
  assert_int_equal(shoal_segment_close(seg), 0);
}

int main(void) {
  watchdog(240);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_another_types_calls_are_refused),
      cmocka_unit_test(test_another_type_of_the_same_size_is_refused),
      cmocka_unit_test(test_names_of_types),
      cmocka_unit_test(test_a_damaged_header_is_refused),
      cmocka_unit_test(test_scribbled_memory_is_survived),
      cmocka_unit_test(test_named_in_a_segment),
      cmocka_unit_test(test_opened_while_it_is_made),
      cmocka_unit_test(test_a_child_of_fork_holds_the_queue_it_uses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
