// Claims of ipc/queue/message, for queues of both kinds:
//   1 what is sent is received: whole, once, in order, its boundaries kept, from 0 bytes to more than 4 GiB; copied and in
//     place; by threads and by processes at different addresses
//   2 a buffer that is too small loses nothing; what can never be held is refused at once; a full heap or queue changes nothing
//   3 loans: less may be committed than was reserved, not more; each ends once, by the thread that took it
//   4 deaths, leaving, dropping: no block stays behind, and no message is lost or comes twice
//   5 calls for elements are refused, and byte messages where there are none
//   6 whatever a peer writes into a slot, nothing outside the segment is touched
#include "ipc/queue/message.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/directory.h"
#include "tests/harness/drivers.h"

SHOAL_QUEUE_TYPED(number_queue, uint64_t)
SHOAL_QUEUE_TYPED(wide_queue, struct shoal_message_shm)

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define NAME "lines"

struct shared {
  shoal_atomic32 ready, stage;
  shoal_atomic64 received;
  uint8_t ledger[8192];
};
static struct arena arena;
static struct shoal_segment *seg;
static struct shoal_heap *heap;
static uint64_t blocks_before;

static struct shared *shared(void) { return arena.memory; }

static void make_segment(uint64_t size_max) {
  const struct shoal_segment_options options = {.size = 4 * MIB, .size_max = size_max};
  arena_make(&arena, sizeof(struct shared));
  assert_int_equal(shoal_segment_create(NULL, &options, &seg), 0);
  assert_int_equal(shoal_heap_open(seg, &heap), 0);
}
static struct shoal_heap_info heap_info(void) {
  struct shoal_heap_info info;
  CHECK(shoal_heap_info(heap, &info) == 0);
  return info;
}
static void unmake_segment(void) {
  assert_int_equal(shoal_heap_close(heap), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
  arena_free(&arena);
}
static struct shoal_queue *make_with(struct shoal_queue_options o) {
  struct shoal_queue *q;
  o.bytes = 1;
  assert_int_equal(shoal_queue_create(seg, NAME, &o, &q), 0);
  blocks_before = heap_info().blocks;
  return q;
}
static struct shoal_queue *make(uint32_t kind, uint32_t capacity) {
  make_segment(0);
  return make_with((struct shoal_queue_options){.capacity = capacity, .kind = kind});
}
static void unmake(struct shoal_queue *q) {
  assert_int_equal(heap_info().blocks, blocks_before);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_queue_unlink(seg, NAME), 0);
  unmake_segment();
}
// In a child: the same queue at another address.
static struct shoal_queue *open_again(struct shoal_segment **mine) {
  struct shoal_queue *q;
  CHECK(shoal_segment_open_fd(shoal_segment_fd(seg), mine) == 0);
  CHECK(shoal_queue_open(*mine, NAME, 0, &q) == 0);
  return q;
}

// Not only zeros, and another pattern for each message.
static void fill(unsigned char *data, uint64_t size, uint64_t id) {
  for (uint64_t i = 0; i < size; i += 4096)
    memset(data + i, (int)(id * 31 + (i >> 12)), size - i < 4096 ? size - i : 4096);
}
static int is_filled(const unsigned char *data, uint64_t size, uint64_t id) {
  static __thread unsigned char page[4096];
  for (uint64_t i = 0; i < size; i += 4096) {
    uint64_t n = size - i < 4096 ? size - i : 4096;
    memset(page, (int)(id * 31 + (i >> 12)), n);
    if (memcmp(page, data + i, n) != 0) return 0;
  }
  return 1;
}
static void *filled(uint64_t size, uint64_t id) {
  unsigned char *data = malloc(size + 1);
  CHECK(data);
  fill(data, size, id);
  return data;
}
static int send_filled(struct shoal_queue *q, uint64_t size, uint64_t id, shoal_deadline deadline) {
  void *data = filled(size, id);
  int rc = shoal_queue_send(q, data, size, deadline);
  free(data);
  return rc;
}
static void recv_filled(struct shoal_queue *q, uint64_t size, uint64_t id) {
  unsigned char *data = malloc(size + 1);
  uint64_t got = ~size;
  CHECK(data);
  data[size] = 0xa5;
  CHECK(shoal_queue_recv(q, data, size, &got, SHOAL_FOREVER) == 0);
  CHECK(got == size && is_filled(data, size, id) && data[size] == 0xa5);
  free(data);
}
static void await(shoal_atomic32 *word, uint32_t n) {
  while (shoal_load32_seq_cst(word) < n) sched_yield();
}

// ---- 1 ----

static const uint64_t sizes[] = {0, 1, 7, 8, 47, 48, 49, 4095, 4096, 4097, 64 * KIB, MIB + 1, 64 * MIB};
#define SIZES (sizeof sizes / sizeof *sizes)

static void send_all(struct shoal_queue *q) {
  for (unsigned i = 0; i < SIZES; i++) CHECK(send_filled(q, sizes[i], i, SHOAL_FOREVER) == 0);
  for (unsigned i = 0; i < SIZES; i++) {
    struct shoal_loan loan;
    CHECK(shoal_queue_reserve_bytes(q, sizes[i], &loan, SHOAL_FOREVER) == 0);
    CHECK(loan.size == sizes[i] && (uintptr_t)loan.data % (sizes[i] >= 4096 ? 4096 : 8) == 0);
    fill(loan.data, loan.size, i + 100);
    CHECK(shoal_queue_commit(q, &loan) == 0 && loan.data == NULL);
    CHECK(shoal_queue_commit(q, &loan) == -EINVAL);
  }
}
static void recv_all(struct shoal_queue *q) {
  for (unsigned i = 0; i < SIZES; i++) recv_filled(q, sizes[i], i);
  for (unsigned i = 0; i < SIZES; i++) {
    struct shoal_loan loan;
    CHECK(shoal_queue_receive(q, &loan, SHOAL_FOREVER) == 0);
    CHECK(loan.size == sizes[i] && is_filled(loan.data, loan.size, i + 100));
    CHECK(shoal_queue_release(q, &loan) == 0);
    CHECK(shoal_queue_release(q, &loan) == -EINVAL);
  }
}
static void send_all_there(void *memory, unsigned i) {
  struct shoal_segment *mine;
  struct shoal_queue *q = open_again(&mine);
  (void)memory, (void)i;
  send_all(q);
  CHECK(shoal_queue_detach(q) == 0 && shoal_segment_close(mine) == 0);
}
static void any_size(uint32_t kind) {
  struct shoal_queue *q = make(kind, 4);
  struct peer p = peer_start(&arena, send_all_there, 0);
  recv_all(q);
  peer_join(&p);
  assert_int_equal(heap_info().blocks, blocks_before);
  unmake(q);
}
static void test_any_size_mpmc(void **state) { (void)state, any_size(SHOAL_QUEUE_MPMC); }
static void test_any_size_spsc(void **state) { (void)state, any_size(SHOAL_QUEUE_SPSC); }

// Many of each, of mixed sizes: each once.
#define EACH 1500
static uint64_t size_of_message(uint64_t id) { return 8 + (id * id + id) % (id % 16 ? 200 : 40000); }
static struct shoal_queue *one_handle;

static void send_each(struct shoal_queue *q, uint64_t producer) {
  for (uint64_t n = 0; n < EACH; n++) {
    uint64_t id = producer * EACH + n, size = size_of_message(id);
    unsigned char *data = filled(size, id);
    memcpy(data, &id, 8);
    CHECK(shoal_queue_send(q, data, size, SHOAL_FOREVER) == 0);
    free(data);
  }
}
static void recv_each(struct shoal_queue *q, struct shared *s) {
  static __thread unsigned char buffer[64 * KIB];
  uint64_t size, id, last[2] = {0, 0};
  int rc;
  while ((rc = shoal_queue_recv(q, buffer, sizeof buffer, &size, SHOAL_FOREVER)) == 0) {
    CHECK(size >= 8);
    memcpy(&id, buffer, 8);
    CHECK(id < 2 * EACH && size == size_of_message(id));
    memset(buffer, (int)(id * 31), 8);  // the number's place
    CHECK(is_filled(buffer, size, id));
    CHECK(id + 1 > last[id / EACH]);
    last[id / EACH] = id + 1;
    CHECK(__atomic_fetch_add(&s->ledger[id], 1, __ATOMIC_RELAXED) == 0);
    shoal_add64_relaxed(&s->received, 1);
  }
  CHECK(rc == -EPIPE);
}
static void two_to_two(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = one_handle;
  CHECK(shoal_queue_join(q, i < 2 ? SHOAL_PRODUCER : SHOAL_CONSUMER) == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->ready, 4);
  if (i < 2) send_each(q, i);
  else recv_each(q, s);
  CHECK(shoal_queue_leave(q, SHOAL_PRODUCER) == 0 && shoal_queue_leave(q, SHOAL_CONSUMER) == 0);
}
static void many_to_many(enum driver driver) {
  one_handle = make(SHOAL_QUEUE_MPMC, 8);
  run(&arena, driver, 4, two_to_two);
  assert_int_equal(shoal_load64_relaxed(&shared()->received), 2 * EACH);
  for (unsigned i = 0; i < 2 * EACH; i++) assert_int_equal(shared()->ledger[i], 1);
  unmake(one_handle);
}
static void test_many_to_many_threads(void **state) { (void)state, many_to_many(THREADS); }
static void test_many_to_many_processes(void **state) { (void)state, many_to_many(PROCESSES); }

static uint64_t free_memory(void) {
  struct statvfs shm;
  struct sysinfo ram;
  if (statvfs("/dev/shm", &shm) || sysinfo(&ram)) return 0;
  uint64_t there = (uint64_t)shm.f_bavail * shm.f_frsize, real = (uint64_t)ram.freeram * ram.mem_unit;
  return there < real ? there : real;
}
// Only its ends are touched.
static void test_more_than_4_gib(void **state) {
  const uint64_t size = 4096 * MIB + 12345;
  (void)state;
  if (free_memory() < 10 * 1024 * MIB) skip();
  struct shoal_queue *q = make(SHOAL_QUEUE_SPSC, 2);
  struct shoal_loan loan;
  int rc = shoal_queue_reserve_bytes(q, size, &loan, SHOAL_TRY);
  if (rc == -ENOSPC) {
    unmake(q);
    skip();
  }
  assert_int_equal(rc, 0);
  ((char *)loan.data)[0] = 'a';
  ((char *)loan.data)[size - 1] = 'z';
  assert_int_equal(shoal_queue_commit(q, &loan), 0);
  uint64_t is = 0;
  assert_int_equal(shoal_queue_recv(q, NULL, 0, &is, SHOAL_TRY), -EMSGSIZE);
  assert_true(is == size);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  assert_true(loan.size == size);
  assert_int_equal(((char *)loan.data)[0], 'a');
  assert_int_equal(((char *)loan.data)[size - 1], 'z');
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  unmake(q);
}

// ---- 2 ----

static void too_small(uint32_t kind) {
  struct shoal_queue *q = make(kind, 4);
  const uint64_t of[] = {3, 48, 49, 100000};
  for (unsigned i = 0; i < 4; i++) assert_int_equal(send_filled(q, of[i], i, SHOAL_TRY), 0);
  for (unsigned i = 0; i < 4; i++) {
    unsigned char small[48] = {0};
    uint64_t size = 0;
    for (int again = 0; again < 3; again++) {
      uint64_t room = of[i] - 1 < sizeof small ? of[i] - 1 : sizeof small;
      assert_int_equal(shoal_queue_recv(q, small, room, &size, SHOAL_FOREVER), -EMSGSIZE);
      assert_int_equal(size, of[i]);
    }
    recv_filled(q, of[i], i);
  }
  uint64_t size = 77;
  assert_int_equal(shoal_queue_recv(q, NULL, 0, &size, SHOAL_TRY), -EAGAIN);
  assert_int_equal(size, 77);
  unmake(q);
}
static void test_too_small_a_buffer_loses_nothing(void **state) {
  (void)state;
  too_small(SHOAL_QUEUE_MPMC);
  too_small(SHOAL_QUEUE_SPSC);
}

static void full(uint32_t kind) {
  make_segment(64 * MIB);
  struct shoal_queue *q = make_with((struct shoal_queue_options){.capacity = 2, .kind = kind});
  struct shoal_loan loan = {.size = 5};
  char *large = calloc(1, 24 * MIB);
  assert_non_null(large);
  assert_int_equal(shoal_queue_send(q, large, UINT64_MAX, SHOAL_FOREVER), -EMSGSIZE);
  assert_int_equal(shoal_queue_send(q, large, 64 * MIB + 1, SHOAL_FOREVER), -EMSGSIZE);
  assert_int_equal(shoal_queue_reserve_bytes(q, UINT64_C(1) << 63 | 5, &loan, SHOAL_FOREVER), -EMSGSIZE);
  assert_int_equal(shoal_queue_reserve_bytes(q, 64 * MIB, &loan, SHOAL_FOREVER), -ENOSPC);
  assert_int_equal(loan.size, 5);
  assert_int_equal(shoal_queue_send(q, large, 24 * MIB, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_queue_send(q, large, 40 * MIB, SHOAL_FOREVER), -ENOSPC);
  assert_int_equal(heap_info().blocks, blocks_before + 1);
  int rc = 0;  // the ring becomes full
  for (int i = 0; i < 1000 && !rc; i++) rc = shoal_queue_send(q, large, 100, SHOAL_TRY);
  assert_int_equal(rc, -EAGAIN);
  uint64_t blocks = heap_info().blocks, size;
  assert_int_equal(shoal_queue_send(q, large, 100, SHOAL_TRY), -EAGAIN);
  assert_int_equal(shoal_queue_send(q, large, 5000, shoal_after_ms(1)), -ETIMEDOUT);
  assert_int_equal(shoal_queue_reserve_bytes(q, 5000, &loan, SHOAL_TRY), -EAGAIN);
  assert_int_equal(heap_info().blocks, blocks);
  assert_int_equal(shoal_queue_recv(q, large, 24 * MIB, &size, SHOAL_TRY), 0);
  assert_int_equal(size, 24 * MIB);
  while (shoal_queue_recv(q, large, 24 * MIB, &size, SHOAL_TRY) == 0) assert_int_equal(size, 100);
  free(large);
  unmake(q);
}
static void test_too_large_and_full(void **state) {
  (void)state;
  full(SHOAL_QUEUE_MPMC);
  full(SHOAL_QUEUE_SPSC);
}

// ---- 3 ----

static void *finish_foreign(void *arg) {
  CHECK(shoal_queue_commit(one_handle, arg) == -EPERM);
  CHECK(shoal_queue_cancel(one_handle, arg) == -EPERM);
  return NULL;
}
static void loans(uint32_t kind) {
  struct shoal_queue *q = one_handle = make(kind, 4);
  const uint64_t of[] = {20, 4000, 300000};
  for (unsigned i = 0; i < 3; i++) {
    struct shoal_loan loan, copy;
    assert_int_equal(shoal_queue_reserve_bytes(q, of[i], &loan, SHOAL_TRY), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, finish_foreign, &loan), 0);
    pthread_join(thread, NULL);
    loan.size = of[i] + 1;
    assert_int_equal(shoal_queue_commit(q, &loan), -EINVAL);
    loan.size = of[i] / 2;
    fill(loan.data, loan.size, i);
    copy = loan;
    assert_int_equal(shoal_queue_commit(q, &loan), 0);
    assert_int_equal(shoal_queue_commit(q, &copy), -EINVAL);
    assert_int_equal(shoal_queue_reserve_bytes(q, of[i], &loan, SHOAL_TRY), 0);
    assert_int_equal(shoal_queue_cancel(q, &loan), 0);
    assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
    assert_int_equal(shoal_queue_commit(q, &loan), -EPERM);
    assert_int_equal(shoal_queue_return(q, &loan), 0);
    recv_filled(q, of[i] / 2, i);
    assert_int_equal(heap_info().blocks, blocks_before);
  }
  unmake(q);
}
static void test_loans(void **state) {
  (void)state;
  loans(SHOAL_QUEUE_MPMC);
  loans(SHOAL_QUEUE_SPSC);
}

// ---- 4 ----

enum { RESERVE_SHORT, RESERVE_LONG, RECEIVE };
static void take_a_loan_and_wait(void *memory, unsigned what) {
  struct shared *s = memory;
  struct shoal_segment *mine;
  struct shoal_queue *q = open_again(&mine);
  struct shoal_loan loan;
  int rc = what == RECEIVE ? shoal_queue_receive(q, &loan, SHOAL_TRY)
                           : shoal_queue_reserve_bytes(q, what == RESERVE_LONG ? 50000 : 5, &loan, SHOAL_TRY);
  CHECK(rc == 0);
  shoal_add32_seq_cst(&s->ready, 1);
  for (;;) pause();
}
static void killed_with_a_loan(unsigned what) {
  struct peer p = peer_start(&arena, take_a_loan_and_wait, what);
  await(&shared()->ready, 1);
  peer_kill(&p);
  shoal_store32_seq_cst(&shared()->ready, 0);
}
static void deaths(uint32_t kind) {
  struct shoal_queue *q = make(kind, 4);
  uint64_t size;
  for (unsigned what = RESERVE_SHORT; what <= RESERVE_LONG; what++) {
    killed_with_a_loan(what);
    for (uint64_t i = 0; i < 3; i++) assert_int_equal(send_filled(q, 100 + i, i, SHOAL_TRY), 0);
    for (uint64_t i = 0; i < 3; i++) recv_filled(q, 100 + i, i);
    shoal_queue_leave(q, SHOAL_PRODUCER);
    shoal_queue_leave(q, SHOAL_CONSUMER);
  }
  for (unsigned i = 0; i < 2; i++) {
    assert_int_equal(send_filled(q, i ? 3 : 7777, i, SHOAL_TRY), 0);
    killed_with_a_loan(RECEIVE);
    struct shoal_loan loan;
    assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_FOREVER), 0);
    assert_int_equal(loan.redelivered, 1);
    assert_true(loan.size == (i ? 3 : 7777) && is_filled(loan.data, loan.size, i));
    assert_int_equal(shoal_queue_release(q, &loan), 0);
    shoal_queue_leave(q, SHOAL_CONSUMER);
  }
  assert_int_equal(shoal_queue_recv(q, NULL, 0, &size, SHOAL_TRY), -EAGAIN);
  assert_true(shoal_heap_reap(heap) >= 0);
  unmake(q);
}
static void test_deaths(void **state) {
  (void)state;
  deaths(SHOAL_QUEUE_MPMC);
  deaths(SHOAL_QUEUE_SPSC);
}

static void test_dropped_with_its_block(void **state) {
  (void)state;
  make_segment(0);
  struct shoal_queue *q = make_with((struct shoal_queue_options){.capacity = 4, .drop = 1});
  uint64_t size;
  assert_int_equal(send_filled(q, 7777, 1, SHOAL_TRY), 0);
  killed_with_a_loan(RECEIVE);
  assert_int_equal(shoal_queue_recv(q, NULL, 0, &size, SHOAL_TRY), -EAGAIN);
  struct shoal_queue_info info;
  assert_int_equal(shoal_queue_info(q, &info), 0);
  assert_int_equal(info.dropped, 1);
  unmake(q);
}

static void leaving(uint32_t kind) {
  struct shoal_queue *q = make(kind, 4);
  struct shoal_loan loan;
  assert_int_equal(shoal_queue_reserve_bytes(q, 9999, &loan, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_leave(q, SHOAL_PRODUCER), 0);
  assert_int_equal(heap_info().blocks, blocks_before);
  assert_true(shoal_queue_commit(q, &loan) < 0);
  assert_int_equal(send_filled(q, 9999, 1, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_leave(q, SHOAL_CONSUMER), 0);
  recv_filled(q, 9999, 1);
  unmake(q);
}
static void test_leaving_with_a_loan(void **state) {
  (void)state;
  leaving(SHOAL_QUEUE_MPMC);
  leaving(SHOAL_QUEUE_SPSC);
}

// What is in a queue goes with it.
static void test_unlinked_with_messages(void **state) {
  (void)state;
  struct shoal_queue *q = make(SHOAL_QUEUE_MPMC, 4);
  uint64_t before = blocks_before;
  for (unsigned i = 0; i < 3; i++) assert_int_equal(send_filled(q, 5000, i, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_queue_unlink(seg, NAME), 0);
  assert_true(shoal_heap_reap(heap) >= 0);
  assert_int_equal(heap_info().blocks, before);
  unmake_segment();
}

// ---- 5 ----

static void test_types(void **state) {
  (void)state;
  struct shoal_queue *q = make(SHOAL_QUEUE_MPMC, 4), *other;
  struct shoal_message_shm wide = {.size = {0}};
  struct shoal_loan loan;
  uint64_t number = 1, size;
  assert_int_equal(number_queue_open(seg, NAME, &other), -EBADMSG);
  assert_int_equal(wide_queue_open(seg, NAME, &other), -EBADMSG);
  assert_int_equal(number_queue_put(q, &number, SHOAL_TRY), -EBADMSG);
  assert_int_equal(wide_queue_put(q, &wide, SHOAL_TRY), -EBADMSG);
  assert_int_equal(wide_queue_get(q, &wide, SHOAL_TRY), -EBADMSG);
  assert_int_equal(shoal_queue_put(q, &wide, SHOAL_TRY), -EBADMSG);
  assert_int_equal(shoal_queue_get(q, &wide, SHOAL_TRY), -EBADMSG);
  assert_int_equal(shoal_queue_put_n(q, &wide, 1, SHOAL_TRY), -EBADMSG);
  assert_int_equal(shoal_queue_get_n(q, &wide, 1, SHOAL_TRY), -EBADMSG);
  assert_int_equal(shoal_queue_reserve(q, &loan, SHOAL_TRY), -EBADMSG);
  assert_int_equal(number_queue_create(seg, "numbers", &(struct shoal_queue_options){.capacity = 2}, &other), 0);
  assert_int_equal(shoal_queue_send(other, &number, 8, SHOAL_TRY), -EBADMSG);
  assert_int_equal(shoal_queue_recv(other, &number, 8, &size, SHOAL_TRY), -EBADMSG);
  assert_int_equal(shoal_queue_reserve_bytes(other, 8, &loan, SHOAL_TRY), -EBADMSG);
  assert_int_equal(shoal_queue_detach(other), 0);
  assert_int_equal(shoal_queue_open(seg, "numbers", 0, &other), -EBADMSG);
  struct shoal_queue_options both = {.capacity = 2, .bytes = 1, .element_size = 8};
  assert_int_equal(shoal_queue_create(seg, "both", &both, &other), -EINVAL);
  assert_int_equal(shoal_queue_unlink(seg, "numbers"), 0);
  unmake(q);
}

static void test_not_placed(void **state) {
  (void)state;
  const struct shoal_queue_options options = {.capacity = 2, .bytes = 1};
  uint64_t size = shoal_queue_size_(&options);
  struct shoal_queue *q;
  arena_make(&arena, size);
  assert_int_equal(shoal_queue_place_(arena.memory, size, &options), 0);
  assert_int_equal(shoal_queue_attach_(arena.memory, size, 0, &q), -EINVAL);
  arena_free(&arena);
}

// ---- 6 ----

static uint64_t random_of(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 20;
}
static void hostile(uint32_t kind) {
  struct shoal_queue *q = make(kind, 4);
  uint64_t state = 7, size, refused = 0;
  static unsigned char buffer[64 * KIB];
  for (int round = 0; round < 3000; round++) {
    struct shoal_loan loan, other;
    assert_int_equal(shoal_queue_reserve_bytes(q, 40, &loan, SHOAL_TRY), 0);
    struct shoal_message_shm *slot = (void *)((char *)loan.data - offsetof(struct shoal_message_shm, in));
    assert_int_equal(shoal_queue_commit(q, &loan), 0);
    uint64_t r = random_of(&state);
    uint64_t wild[] = {r & 63, r, UINT64_MAX, SHOAL_MESSAGE_BLOCK_ | (r & 0xffff), SHOAL_MESSAGE_BLOCK_ | r};
    shoal_store64_relaxed(&slot->size, wild[r % 5]);
    slot->in.block.off = r % 3 ? random_of(&state) % (8 * MIB) : random_of(&state) << 20;
    slot->in.block.seq = (uint32_t)(random_of(&state) % 4);
    int rc = r % 2 ? shoal_queue_recv(q, buffer, sizeof buffer, &size, SHOAL_TRY)
                   : shoal_queue_receive(q, &other, SHOAL_TRY);
    assert_true(rc == 0 || rc == -EPROTO);
    refused += rc != 0;
    if (rc == 0 && r % 2 == 0) assert_int_equal(shoal_queue_release(q, &other), 0);
    assert_int_equal(shoal_queue_recv(q, buffer, sizeof buffer, &size, SHOAL_TRY), -EAGAIN);
  }
  assert_true(refused > 500);
  assert_int_equal(send_filled(q, 100, 1, SHOAL_TRY), 0);
  recv_filled(q, 100, 1);
  unmake(q);
}
static void test_hostile(void **state) {
  (void)state;
  hostile(SHOAL_QUEUE_MPMC);
  hostile(SHOAL_QUEUE_SPSC);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_any_size_mpmc),
      cmocka_unit_test(test_any_size_spsc),
      cmocka_unit_test(test_many_to_many_threads),
      cmocka_unit_test(test_many_to_many_processes),
      cmocka_unit_test(test_more_than_4_gib),
      cmocka_unit_test(test_too_small_a_buffer_loses_nothing),
      cmocka_unit_test(test_too_large_and_full),
      cmocka_unit_test(test_loans),
      cmocka_unit_test(test_deaths),
      cmocka_unit_test(test_dropped_with_its_block),
      cmocka_unit_test(test_leaving_with_a_loan),
      cmocka_unit_test(test_unlinked_with_messages),
      cmocka_unit_test(test_types),
      cmocka_unit_test(test_not_placed),
      cmocka_unit_test(test_hostile),
  };
  watchdog(280);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
