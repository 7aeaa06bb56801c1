// Claims of ipc/queue/message, for queues of all kinds:
//   1 what is sent is received: whole, once, in order, its boundaries kept, from 0 bytes to more than 4 GiB; copied and
//   in
//     place; by threads and by processes at different addresses
//   2 a buffer that is too small loses nothing; what can never be held is refused at once; a full heap or queue changes
//   nothing 3 loans: less may be committed than was reserved, not more; each ends once, by the thread that took it
//   4 deaths, leaving, dropping: no block stays behind, and no message is lost or comes twice
//   5 calls for elements are refused, and byte messages where there are none
//   6 whatever a peer writes into a slot, nothing outside the segment is touched; what is damaged goes with its block
//   7 policies: what is dropped, cleared or buried gives its block back; what is unfinished keeps it until task_done;
//   of two under
//     a lease one receives the message and the other is told; a look takes nothing
//   8 batches: as many as go, none of them lost or doubled; a message without room ends them and stays
//   9 first, last, smallest key first, growing: as elements are, for messages in slots and in blocks; who receives one,
//   or looks at it, is told its key
#include "ipc/queue/message.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/directory.h"
#include "ipc/queue/queue_internal.h"
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
static void test_any_size_fifo(void **state) { (void)state, any_size(SHOAL_QUEUE_FIFO); }

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
static void many_to_many(uint32_t kind, enum driver driver) {
  one_handle = make(kind, 8);
  run(&arena, driver, 4, two_to_two);
  assert_int_equal(shoal_load64_relaxed(&shared()->received), 2 * EACH);
  for (unsigned i = 0; i < 2 * EACH; i++) assert_int_equal(shared()->ledger[i], 1);
  unmake(one_handle);
}
static void test_many_to_many_threads(void **state) {
  (void)state;
  many_to_many(SHOAL_QUEUE_MPMC, THREADS);
  many_to_many(SHOAL_QUEUE_FIFO, THREADS);
}
static void test_many_to_many_processes(void **state) {
  (void)state;
  many_to_many(SHOAL_QUEUE_MPMC, PROCESSES);
  many_to_many(SHOAL_QUEUE_FIFO, PROCESSES);
}

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

// The same window of a file over and over: so many bytes, and little memory.
enum { WINDOW = 509 * 4096 };
static char *window_again_and_again(uint64_t size) {
  int fd = memfd_create("window", MFD_CLOEXEC);
  assert_true(fd >= 0 && ftruncate(fd, WINDOW) == 0);
  uint64_t all = (size + WINDOW - 1) / WINDOW * WINDOW;
  char *at = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  assert_true(at != MAP_FAILED);
  for (uint64_t i = 0; i < all; i += WINDOW)
    assert_true(mmap(at + i, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == at + i);
  close(fd);
  return at;
}
static void test_more_than_4_gib_copied(void **state) {
  const uint64_t size = 4096 * MIB + 12345, all = (size + WINDOW - 1) / WINDOW * WINDOW;
  (void)state;
#ifdef __SANITIZE_THREAD__
  skip();  // its shadow of such a copy is four times as large
#endif
  if (free_memory() < 10 * 1024 * MIB) skip();
  struct shoal_queue *q = make(SHOAL_QUEUE_SPSC, 2);
  char *from = window_again_and_again(size), *to = window_again_and_again(size);
  fill((unsigned char *)from, WINDOW, 7);
  int rc = shoal_queue_send(q, from, size, SHOAL_TRY);
  if (rc != -ENOSPC) {
    uint64_t got = 0;
    struct shoal_loan loan;
    assert_int_equal(rc, 0);
    assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
    for (uint64_t i = 0; i < size; i += WINDOW) {
      uint64_t n = size - i < WINDOW ? size - i : WINDOW;
      assert_true(memcmp((char *)loan.data + i, from, n) == 0);
    }
    assert_int_equal(shoal_queue_return(q, &loan), 0);
    assert_int_equal(shoal_queue_recv(q, to, size - 1, &got, SHOAL_TRY), -EMSGSIZE);
    assert_true(got == size);
    assert_int_equal(shoal_queue_recv(q, to, size, &got, SHOAL_TRY), 0);
    assert_true(got == size && memcmp(to, from, WINDOW) == 0);
  }
  munmap(from, all);
  munmap(to, all);
  unmake(q);
  if (rc) skip();
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
  too_small(SHOAL_QUEUE_FIFO);
}

// One message wakes one sleeper: here the one whose buffer is too small. Another has it then.
static void recv_in_turn(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_segment *mine;
  struct shoal_queue *q = open_again(&mine);
  unsigned char buffer[200];
  uint64_t size = 0, room = i ? sizeof buffer : 10;
  CHECK(shoal_queue_recv(q, buffer, room, &size, shoal_after_ns(1)) == -ETIMEDOUT);  // it has its role
  shoal_add32_seq_cst(&s->ready, 1);
  await(&s->stage, i + 1);
  CHECK(shoal_queue_recv(q, buffer, room, &size, SHOAL_FOREVER) == (i ? 0 : -EMSGSIZE) && size == 100);
  while (i == 0) pause();
  CHECK(shoal_queue_detach(q) == 0 && shoal_segment_close(mine) == 0);
}
static void hands_on(uint32_t kind, uint32_t joinable, uint64_t lease_ns) {
  struct peer p[2];
  struct shoal_queue_info info;
  make_segment(0);
  struct shoal_queue *q =
      make_with((struct shoal_queue_options){.capacity = 4, .kind = kind, .joinable = joinable, .lease_ns = lease_ns});
  assert_int_equal(shoal_queue_join(q, SHOAL_PRODUCER), 0);
  for (unsigned i = 0; i < 2; i++) {
    p[i] = peer_start(&arena, recv_in_turn, i);
    await(&shared()->ready, i + 1);
  }
  for (unsigned i = 0; i < 2; i++) {
    shoal_store32_seq_cst(&shared()->stage, i + 1);
    peer_asleep(&p[i]);
  }
  assert_int_equal(send_filled(q, 100, 1, SHOAL_TRY), 0);
  peer_join(&p[1]);
  peer_kill(&p[0]);
  assert_int_equal(shoal_queue_clear(q), joinable);  // what it gave back when it left
  assert_int_equal(shoal_queue_info(q, &info), 0);
  assert_int_equal(info.late, 0);
  unmake(q);
}
static void test_too_small_a_buffer_hands_the_wake_on(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_PRIORITY; kind++) {
    if (kind == SHOAL_QUEUE_SPSC) continue;
    hands_on(kind, 0, 0);
    hands_on(kind, 0, 3600000000000);
    hands_on(kind, 1, 0);
    hands_on(kind, 1, 3600000000000);
  }
}

static void full(uint32_t kind) {
  make_segment(64 * MIB);
  struct shoal_queue *q = make_with((struct shoal_queue_options){.capacity = 2, .kind = kind});
  struct shoal_loan loan = {.size = 5};
  char *large = calloc(1, 24 * MIB);
  assert_non_null(large);
  assert_int_equal(shoal_queue_send(q, large, UINT64_MAX, SHOAL_FOREVER), -EMSGSIZE);
  for (uint64_t size = 64 * MIB - 100 * KIB; size <= 64 * MIB + 1; size += size < 64 * MIB ? 4 * KIB : 1)
    assert_int_equal(shoal_queue_send(q, large, size, SHOAL_FOREVER), -EMSGSIZE);
  assert_int_equal(shoal_queue_reserve_bytes(q, UINT64_C(1) << 63 | 5, &loan, SHOAL_FOREVER), -EMSGSIZE);
  assert_int_equal(shoal_queue_reserve_bytes(q, 64 * MIB, &loan, SHOAL_FOREVER), -EMSGSIZE);
  assert_int_equal(shoal_queue_reserve_bytes(q, q->message_max + 1, &loan, SHOAL_FOREVER), -EMSGSIZE);
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
  full(SHOAL_QUEUE_FIFO);
}

// The largest that is not refused for good goes, where nothing else is.
static void test_the_largest_ever(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_PRIORITY; kind++) {
    make_segment(64 * MIB);
    struct shoal_queue *q = make_with((struct shoal_queue_options){.capacity = 2, .kind = kind});
    struct shoal_loan loan;
    uint64_t most = q->message_max;
    assert_true(most > 63 * MIB && most < 64 * MIB);
    assert_int_equal(shoal_queue_reserve_bytes(q, most + 1, &loan, SHOAL_TRY), -EMSGSIZE);
    assert_int_equal(shoal_queue_reserve_bytes(q, most, &loan, SHOAL_TRY), 0);
    ((char *)loan.data)[most - 1] = 'z';
    assert_int_equal(shoal_queue_commit(q, &loan), 0);
    assert_int_equal(shoal_queue_send(q, NAME "................................................", 49, SHOAL_TRY),
                     -ENOSPC);
    assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
    assert_int_equal(((char *)loan.data)[most - 1], 'z');
    assert_int_equal(shoal_queue_release(q, &loan), 0);
    unmake(q);
  }
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
  loans(SHOAL_QUEUE_FIFO);
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
  deaths(SHOAL_QUEUE_FIFO);
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
  leaving(SHOAL_QUEUE_FIFO);
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
  hostile(SHOAL_QUEUE_FIFO);
}

// A damaged message is told of once, and its block goes with it.
static struct shoal_message_shm *send_in_a_block(struct shoal_queue *q) {
  struct shoal_loan loan;
  assert_int_equal(shoal_queue_reserve_bytes(q, 100, &loan, SHOAL_TRY), 0);
  struct shoal_message_shm *slot = q->ops->slot(q, &loan, SHOAL_PRODUCER);
  fill(loan.data, 100, 0);
  assert_int_equal(shoal_queue_commit(q, &loan), 0);
  return slot;
}
static void damage(struct shoal_message_shm *slot) { shoal_store64_relaxed(&slot->size, SHOAL_MESSAGE_BLOCK_ | MIB); }

enum { BY_RECV, BY_RECEIVE, BY_CLEAR };
static int meet(struct shoal_queue *q, int how) {
  char buffer[KIB];
  uint64_t size;
  struct shoal_loan loan;
  if (how == BY_CLEAR) return shoal_queue_clear(q);
  return how == BY_RECV ? shoal_queue_recv(q, buffer, sizeof buffer, &size, SHOAL_TRY)
                        : shoal_queue_receive(q, &loan, SHOAL_TRY);
}
static void damaged(struct shoal_queue *q, const struct shoal_queue_options *o) {
  for (int how = BY_RECV; how <= BY_CLEAR; how++) {
    damage(send_in_a_block(q));
    assert_int_equal(heap_info().blocks, blocks_before + 1);
    assert_int_equal(meet(q, how), how == BY_CLEAR ? 1 : -EPROTO);
    assert_int_equal(heap_info().blocks, blocks_before);
    assert_int_equal(meet(q, BY_RECV), -EAGAIN);
    if (o->joinable) assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), 0);
  }
}
static void damaged_in_hand(struct shoal_queue *q, const struct shoal_queue_options *o) {
  if (!o->joinable) return;
  struct shoal_message_shm *slot = send_in_a_block(q);
  recv_filled(q, 100, 0);
  damage(slot);
  assert_int_equal(shoal_queue_task_done(q), 0);
  assert_int_equal(heap_info().blocks, blocks_before);
}
// Nothing leads to its block, and that is not the reason. (In the ring, under a lease, such a message was received.)
static void damaged_without_a_block(struct shoal_queue *q, const struct shoal_queue_options *o) {
  const char why[] = "a damaged message";
  for (int how = BY_RECV; how <= BY_RECEIVE && !(o->kind == SHOAL_QUEUE_MPMC && o->lease_ns); how++) {
    struct shoal_message_shm *slot = send_in_a_block(q);
    struct shoal_block_ref ref = slot->in.block;
    slot->in.block.off = 0;
    assert_int_equal(meet(q, how), -EPROTO);
    assert_memory_equal(shoal_reason(), why, sizeof why - 1);
    assert_int_equal(shoal_block_end_(heap, &ref, q->object.entry, q->object.generation), 0);
  }
}
// One that is not the first of several is not told of; what was there before it and behind it is received.
static void damaged_among_several(struct shoal_queue *q, const struct shoal_queue_options *o) {
  unsigned char out[3][100];
  struct iovec got[3] = {{out[0], 100}, {out[1], 100}, {out[2], 100}};
  send_in_a_block(q);
  damage(send_in_a_block(q));
  send_in_a_block(q);
  for (int i = 0; i < 2; i++) {
    memset(out, 0xa5, sizeof out);
    assert_int_equal(shoal_queue_recv_n(q, got, 3, SHOAL_TRY), 1);
    assert_true(got[0].iov_len == 100 && is_filled(out[0], 100, 0));
    if (o->joinable) assert_int_equal(shoal_queue_task_done(q), 0);
  }
  damage(send_in_a_block(q));
  assert_int_equal(shoal_queue_recv_n(q, got, 3, SHOAL_TRY), -EPROTO);
  assert_int_equal(shoal_queue_recv_n(q, got, 3, SHOAL_TRY), -EAGAIN);
}
static void in_each(void (*body)(struct shoal_queue *q, const struct shoal_queue_options *o)) {
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_PRIORITY; kind++)
    for (uint32_t with = 0; with < (kind == SHOAL_QUEUE_SPSC ? 1 : 4); with++) {
      struct shoal_queue_options o = {
          .capacity = 4, .kind = kind, .joinable = with & 1, .lease_ns = with / 2 * UINT64_C(3600000000000)};
      make_segment(0);
      struct shoal_queue *q = make_with(o);
      body(q, &o);
      unmake(q);
    }
}
static void test_a_damaged_message_goes_with_its_block(void **state) {
  (void)state;
  in_each(damaged);
}
static void test_what_is_damaged_in_hand_goes_with_its_block(void **state) {
  (void)state;
  in_each(damaged_in_hand);
}
static void test_a_damaged_message_is_the_reason(void **state) {
  (void)state;
  in_each(damaged_without_a_block);
}
static void test_a_damaged_message_ends_a_batch(void **state) {
  (void)state;
  in_each(damaged_among_several);
}

// ---- 7 ----

static struct shoal_queue_info info_of(struct shoal_queue *q) {
  struct shoal_queue_info info;
  CHECK(shoal_queue_info(q, &info) == 0);
  return info;
}
static struct shoal_queue *make_like(struct shoal_queue_options o) {
  make_segment(0);
  return make_with(o);
}
static void *in_thread(void *(*body)(void *), void *arg) {
  pthread_t thread;
  void *result;
  CHECK(pthread_create(&thread, NULL, body, arg) == 0);
  pthread_join(thread, &result);
  return result;
}

static void test_without_room(void **state) {
  (void)state;
  const uint32_t kinds[] = {SHOAL_QUEUE_MPMC, SHOAL_QUEUE_SPSC, SHOAL_QUEUE_LIFO};
  for (unsigned i = 0; i < 6; i++) {
    uint32_t newest = i % 2;
    struct shoal_queue *q = make_like((struct shoal_queue_options){
        .capacity = 2, .kind = kinds[i / 2], .overflow = newest ? SHOAL_OVERFLOW_DROP_NEWEST : SHOAL_OVERFLOW_REFUSE});
    struct shoal_loan loan;
    uint64_t n = 0, size;
    int rc;
    while ((rc = send_filled(q, 1000, n, SHOAL_FOREVER)) == 0) n++;
    assert_int_equal(rc, newest ? SHOAL_DROPPED : -EAGAIN);
    assert_int_equal(send_filled(q, 10, n, SHOAL_FOREVER), rc);
    assert_int_equal(shoal_queue_reserve_bytes(q, 1000, &loan, SHOAL_FOREVER), -EAGAIN);
    struct iovec two[2] = {{"a", 1}, {"b", 1}};
    assert_int_equal(shoal_queue_send_n(q, two, 2, SHOAL_FOREVER), newest ? 0 : -EAGAIN);
    assert_int_equal(info_of(q).discarded, newest ? 4 : 0);
    assert_int_equal(heap_info().blocks, blocks_before + n);
    assert_int_equal(shoal_queue_peek_bytes(q, NULL, 0, &size, SHOAL_TRY), -EMSGSIZE);
    assert_int_equal(size, 1000);
    assert_int_equal(shoal_queue_clear(q), n);
    unmake(q);
  }
}

static void test_the_oldest_is_dropped_with_its_block(void **state) {
  (void)state;
  struct shoal_queue *q =
      make_like((struct shoal_queue_options){.capacity = 4, .overflow = SHOAL_OVERFLOW_DROP_OLDEST});
  struct shoal_loan loan;
  for (uint64_t i = 0; i < 20; i++) {
    assert_int_equal(send_filled(q, i % 3 ? 5000 + i : i, i, SHOAL_FOREVER), 0);
    assert_true(heap_info().blocks <= blocks_before + 4);
  }
  assert_int_equal(shoal_queue_reserve_bytes(q, 300, &loan, SHOAL_FOREVER), 0);
  fill(loan.data, 300, 20);
  assert_int_equal(shoal_queue_commit(q, &loan), 0);
  assert_int_equal(info_of(q).discarded, 17);
  for (uint64_t i = 17; i < 20; i++) recv_filled(q, i % 3 ? 5000 + i : i, i);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  assert_true(loan.size == 300 && is_filled(loan.data, 300, 20));
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  for (uint64_t i = 0; i < 4; i++) assert_int_equal(send_filled(q, 700, i, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
  assert_int_equal(send_filled(q, 700, 4, SHOAL_TRY), -EAGAIN);  // the oldest is in a hand
  assert_int_equal(heap_info().blocks, blocks_before + 4);
  assert_int_equal(shoal_queue_release(q, &loan), 0);
  for (uint64_t i = 1; i < 4; i++) recv_filled(q, 700, i);
  unmake(q);
}

static void test_one_gives_way_with_its_block(void **state) {
  (void)state;
  static const uint64_t order[3][4] = {{16, 17, 18, 19}, {19, 18, 17, 16}, {0, 1, 2, 19}};
  for (uint32_t kind = SHOAL_QUEUE_FIFO; kind <= SHOAL_QUEUE_PRIORITY; kind++) {
    struct shoal_queue *q =
        make_like((struct shoal_queue_options){.capacity = 4, .kind = kind, .overflow = SHOAL_OVERFLOW_DROP_OLDEST});
    struct shoal_loan loans[4];
    for (uint64_t i = 0; i < 20; i++) {
      assert_int_equal(send_filled(q, i % 3 ? 5000 + i : i, i, SHOAL_FOREVER), 0);
      assert_true(heap_info().blocks <= blocks_before + 4);
    }
    assert_int_equal(info_of(q).discarded, 16);
    for (int k = 0; k < 4; k++) {
      uint64_t i = order[kind - SHOAL_QUEUE_FIFO][k];
      recv_filled(q, i % 3 ? 5000 + i : i, i);
    }
    assert_int_equal(heap_info().blocks, blocks_before);
    for (uint64_t i = 0; i < 4; i++) assert_int_equal(send_filled(q, 700, i, SHOAL_FOREVER), 0);
    for (int i = 0; i < 4; i++) assert_int_equal(shoal_queue_receive(q, &loans[i], SHOAL_TRY), 0);
    assert_int_equal(send_filled(q, 700, 4, SHOAL_TRY), -EAGAIN);  // all are in hands
    assert_int_equal(heap_info().blocks, blocks_before + 4);
    assert_int_equal(shoal_queue_return(q, &loans[0]), 0);
    assert_int_equal(shoal_queue_reserve_bytes(q, 3000, &loans[0], SHOAL_TRY), 0);
    assert_int_equal(heap_info().blocks, blocks_before + 4);
    assert_int_equal(shoal_queue_cancel(q, &loans[0]), 0);
    for (int i = 1; i < 4; i++) assert_int_equal(shoal_queue_release(q, &loans[i]), 0);
    assert_int_equal(info_of(q).discarded, 17);
    unmake(q);
  }
}

static void test_clear_frees_the_blocks(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_PRIORITY; kind++) {
    struct shoal_queue *q = make(kind, 4);
    for (uint64_t i = 0; i < 3; i++) assert_int_equal(send_filled(q, i * 3000, i, SHOAL_TRY), 0);
    assert_int_equal(shoal_queue_clear(q), 3);
    assert_int_equal(info_of(q).discarded, 3);
    assert_int_equal(heap_info().blocks, blocks_before);
    assert_int_equal(shoal_queue_close(q), 0);
    assert_int_equal(send_filled(q, 3000, 0, SHOAL_TRY), -EPIPE);
    assert_int_equal(shoal_queue_reopen(q), 0);
    assert_int_equal(send_filled(q, 3000, 7, SHOAL_TRY), 0);
    recv_filled(q, 3000, 7);
    unmake(q);
  }
}

static void test_a_look_takes_nothing(void **state) {
  (void)state;
  static unsigned char buffer[64 * KIB];
  const uint64_t of[] = {0, 40, 60000};
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind <= SHOAL_QUEUE_PRIORITY; kind++) {
    struct shoal_queue *q = make(kind, 4);
    for (uint64_t i = 0; i < 3; i++) {
      uint64_t size = 77;
      assert_int_equal(shoal_queue_peek_bytes(q, buffer, 9, &size, SHOAL_TRY), -EAGAIN);
      assert_int_equal(size, 77);
      assert_int_equal(send_filled(q, of[i], i, SHOAL_TRY), 0);
      for (int again = 0; again < 2; again++) {
        assert_int_equal(shoal_queue_peek_bytes(q, buffer, sizeof buffer, &size, SHOAL_FOREVER), 0);
        assert_true(size == of[i] && is_filled(buffer, size, i));
        if (!i) continue;
        assert_int_equal(shoal_queue_peek_bytes(q, buffer, of[i] - 1, &size, SHOAL_FOREVER), -EMSGSIZE);
        assert_int_equal(size, of[i]);
      }
      recv_filled(q, of[i], i);
    }
    unmake(q);
  }
}

static void *recv_and_die(void *arg) {
  uint64_t size;
  unsigned char byte[100];
  (void)arg;
  CHECK(shoal_queue_recv(one_handle, byte, sizeof byte, &size, SHOAL_TRY) == 0 && size == 100);
  return NULL;
}
static void test_unfinished_until_it_is_done(void **state) {
  (void)state;
  for (uint64_t lease = 0; lease < 2; lease++) {
    struct shoal_queue *q = one_handle =
        make_like((struct shoal_queue_options){.capacity = 4, .joinable = 1, .lease_ns = lease * 3600000000000});
    unsigned char buffer[100];
    struct iovec two[2] = {{buffer, 100}, {buffer, 100}};
    uint64_t size = 0;
    for (uint64_t i = 0; i < 3; i++) assert_int_equal(send_filled(q, i == 1 ? 10 : 100, i, SHOAL_TRY), 0);
    assert_int_equal(shoal_queue_recv(q, buffer, 99, &size, SHOAL_TRY), -EMSGSIZE);
    assert_int_equal(size, 100);
    assert_int_equal(shoal_queue_task_done(q), -EINVAL);
    recv_filled(q, 100, 0);
    recv_filled(q, 10, 1);
    assert_int_equal(heap_info().blocks, blocks_before + 2);
    assert_int_equal(info_of(q).held, 2);
    assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), -EDEADLK);
    assert_int_equal(shoal_queue_task_done(q), 0);
    assert_int_equal(heap_info().blocks, blocks_before + 1);
    assert_int_equal(shoal_queue_task_done(q), 0);
    assert_int_equal(shoal_queue_task_done(q), -EINVAL);
    in_thread(recv_and_die, NULL);  // it comes again
    assert_int_equal(shoal_queue_recv_n(q, two, 2, SHOAL_FOREVER), 1);
    assert_true(two[0].iov_len == 100 && is_filled(buffer, 100, 2));
    assert_int_equal(shoal_queue_task_done(q), 0);
    assert_int_equal(shoal_queue_join_tasks(q, SHOAL_TRY), 0);
    unmake(q);
  }
}

#define LEASE_NS UINT64_C(1000000)
static void out_of_time(void) {
  shoal_deadline end = shoal_after_ns(3 * (int64_t)LEASE_NS);
  while (!shoal_deadline_passed(end)) sched_yield();
}
static void *take_over(void *arg) {
  CHECK(shoal_queue_receive(one_handle, arg, SHOAL_FOREVER) == 0);
  return NULL;
}
static void *take_over_and_release(void *arg) {
  take_over(arg);
  CHECK(shoal_queue_release(one_handle, arg) == 0);
  return NULL;
}
static void test_one_of_two_receives_it(void **state) {
  (void)state;
  for (uint64_t size = 20; size <= 20000; size *= 1000) {
    struct shoal_queue *q = one_handle = make_like((struct shoal_queue_options){.capacity = 4, .lease_ns = LEASE_NS});
    struct shoal_loan mine, others;
    assert_int_equal(send_filled(q, size, 1, SHOAL_TRY), 0);
    assert_int_equal(shoal_queue_receive(q, &mine, SHOAL_TRY), 0);
    out_of_time();
    in_thread(take_over_and_release, &others);
    assert_int_equal(heap_info().blocks, blocks_before);
    assert_int_equal(send_filled(q, size, 2, SHOAL_TRY), 0);  // perhaps the same block, in its next life
    assert_int_equal(shoal_queue_extend(q, &mine), -ETIMEDOUT);
    struct shoal_loan copy = mine;
    assert_int_equal(shoal_queue_release(q, &mine), -ETIMEDOUT);
    assert_int_equal(shoal_queue_return(q, &copy), -ETIMEDOUT);
    recv_filled(q, size, 2);

    assert_int_equal(send_filled(q, size, 3, SHOAL_TRY), 0);  // run out, but nobody came for it
    assert_int_equal(shoal_queue_receive(q, &mine, SHOAL_TRY), 0);
    out_of_time();
    assert_int_equal(shoal_queue_release(q, &mine), 0);
    assert_int_equal(heap_info().blocks, blocks_before);

    assert_int_equal(send_filled(q, size, 4, SHOAL_TRY), 0);  // taken over by one that ends
    assert_int_equal(shoal_queue_receive(q, &mine, SHOAL_TRY), 0);
    out_of_time();
    in_thread(take_over, &others);
    assert_int_equal(shoal_queue_release(q, &mine), -ETIMEDOUT);
    recv_filled(q, size, 4);
    uint64_t got;
    assert_int_equal(shoal_queue_recv(q, NULL, 0, &got, SHOAL_TRY), -EAGAIN);
    unmake(q);
  }
}

// All messages, each released by exactly one, whatever runs out meanwhile.
static void hurry(void *memory, unsigned i) {
  struct shared *s = memory;
  struct shoal_queue *q = one_handle;
  uint32_t x = i * 7919 + 1;
  for (;;) {
    struct shoal_loan loan;
    int rc = shoal_queue_receive(q, &loan, SHOAL_FOREVER);
    if (rc == -EPIPE) break;
    CHECK(rc == 0 && loan.size >= 8);
    uint64_t id;
    memcpy(&id, loan.data, 8);  // what is late may read the next one's
    x = x * 1664525 + 1013904223;
    if (x >> 28 == 0) out_of_time();
    if (shoal_queue_release(q, &loan) == 0) shoal_add64_relaxed(&s->received, 1);
  }
  CHECK(shoal_queue_leave(q, SHOAL_CONSUMER) == 0);
}
static void hurry_or_send(void *memory, unsigned i) {
  if (i) return hurry(memory, i);
  for (uint64_t id = 0; id < 600; id++) CHECK(send_filled(one_handle, 8 + id % 2 * 100, id, SHOAL_FOREVER) == 0);
  CHECK(shoal_queue_close(one_handle) == 0);
  CHECK(shoal_queue_leave(one_handle, SHOAL_PRODUCER) == 0);
}
static void test_released_once(void **state) {
  (void)state;
  one_handle = make_like((struct shoal_queue_options){.capacity = 8, .lease_ns = LEASE_NS});
  run(&arena, PROCESSES, 4, hurry_or_send);
  assert_int_equal(shoal_load64_relaxed(&shared()->received), 600);
  unmake(one_handle);
}

static void test_dead_letters_are_copies(void **state) {
  (void)state;
  for (uint64_t size = 20; size <= 20000; size *= 1000) {
    struct shoal_queue *dead, *q;
    struct shoal_loan loan;
    make_segment(0);
    assert_int_equal(shoal_queue_create(seg, "dead", &(struct shoal_queue_options){.capacity = 2, .bytes = 1}, &dead),
                     0);
    q = make_with((struct shoal_queue_options){.capacity = 4, .delivery_max = 2, .dead_letters = "dead"});
    for (uint64_t i = 0; i < 3; i++) {
      assert_int_equal(send_filled(q, size + i, i, SHOAL_TRY), 0);
      for (int vain = 0; vain < 2; vain++) {
        assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
        assert_int_equal(loan.redelivered, vain);
        assert_int_equal(shoal_queue_return(q, &loan), 0);
        uint64_t is;
        if (!vain) assert_int_equal(shoal_queue_recv(q, NULL, 0, &is, SHOAL_TRY), -EMSGSIZE);  // no delivery
      }
      uint64_t is;
      if (i < 2) assert_int_equal(shoal_queue_recv(q, NULL, 0, &is, SHOAL_TRY), -EAGAIN);
    }
    assert_int_equal(info_of(q).buried, 2);
    recv_filled(q, size + 2, 2);  // there was no room for it
    for (uint64_t i = 0; i < 2; i++) recv_filled(dead, size + i, i);
    assert_int_equal(shoal_queue_detach(dead), 0);
    assert_int_equal(shoal_queue_unlink(seg, "dead"), 0);
    unmake(q);
  }
}

// Buried in another order than that of their keys; of a kind without keys: 0.
static void test_dead_letters_keep_their_keys(void **state) {
  (void)state;
  const int64_t keys[] = {5, -3, 0};
  for (unsigned keyed = 0; keyed < 2; keyed++) {
    struct shoal_queue *dead, *q;
    struct shoal_loan loan;
    const struct shoal_queue_options letters = {.capacity = 4, .bytes = 1, .kind = SHOAL_QUEUE_PRIORITY};
    make_segment(0);
    assert_int_equal(shoal_queue_create(seg, "dead", &letters, &dead), 0);
    q = make_with((struct shoal_queue_options){.capacity = 4,
                                               .kind = keyed ? SHOAL_QUEUE_PRIORITY : SHOAL_QUEUE_FIFO,
                                               .delivery_max = 1,
                                               .dead_letters = "dead"});
    for (uint64_t i = 0; i < 3; i++) {
      char buffer[300];
      void *data = filled(20 + 100 * i, i);
      uint64_t is;
      if (keyed) assert_int_equal(shoal_queue_send_key(q, keys[i], data, 20 + 100 * i, SHOAL_TRY), 0);
      else assert_int_equal(shoal_queue_send(q, data, 20 + 100 * i, SHOAL_TRY), 0);
      free(data);
      assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
      assert_int_equal(shoal_queue_return(q, &loan), 0);
      assert_int_equal(shoal_queue_recv(q, buffer, sizeof buffer, &is, SHOAL_TRY), -EAGAIN);
    }
    const unsigned order[2][3] = {{0, 1, 2}, {1, 2, 0}};
    for (unsigned k = 0; k < 3; k++) {
      unsigned i = order[keyed][k];
      assert_int_equal(shoal_queue_receive(dead, &loan, SHOAL_TRY), 0);
      assert_int_equal(loan.key, keyed ? keys[i] : 0);
      assert_int_equal(loan.size, 20 + 100 * i);
      assert_int_equal(shoal_queue_release(dead, &loan), 0);
    }
    assert_int_equal(shoal_queue_detach(dead), 0);
    assert_int_equal(shoal_queue_unlink(seg, "dead"), 0);
    unmake(q);
  }
}

static void test_loans_of_another_queue(void **state) {
  (void)state;
  struct shoal_queue *q = make(SHOAL_QUEUE_MPMC, 4), *other;
  struct shoal_loan a, b, copy;
  assert_int_equal(shoal_queue_create(seg, "other", &(struct shoal_queue_options){.capacity = 4, .bytes = 1}, &other),
                   0);
  assert_int_equal(shoal_queue_reserve_bytes(q, 100, &a, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_reserve_bytes(other, 100, &b, SHOAL_TRY), 0);
  copy = a;
  assert_int_equal(shoal_queue_commit(other, &copy), -EPERM);
  assert_int_equal(shoal_queue_cancel(other, &copy), -EPERM);
  assert_int_equal(shoal_queue_cancel(q, &a), 0);
  assert_int_equal(shoal_queue_cancel(q, &copy), -EINVAL);
  assert_int_equal(shoal_queue_commit(other, &b), 0);
  assert_int_equal(shoal_queue_receive(other, &b, SHOAL_TRY), 0);
  copy = b;
  assert_int_equal(shoal_queue_release(q, &copy), -EPERM);
  assert_int_equal(shoal_queue_release(other, &b), 0);
  assert_int_equal(shoal_queue_release(other, &copy), -EINVAL);
  assert_int_equal(shoal_queue_detach(other), 0);
  assert_int_equal(shoal_queue_unlink(seg, "other"), 0);
  unmake(q);
}

// ---- 8 ----

static void batches(uint32_t kind) {
  struct shoal_queue *q = make(kind, 8);
  static unsigned char in[8][5000], out[8][5000];
  const uint64_t of[8] = {0, 48, 49, 5000, 1, 4097, 3000, 7};
  struct iovec sent[8], got[8];
  for (unsigned i = 0; i < 8; i++) {
    fill(in[i], of[i], i);
    sent[i] = (struct iovec){in[i], of[i]};
    got[i] = (struct iovec){out[i], sizeof out[i]};
  }
  assert_int_equal(shoal_queue_send_n(q, sent, 0, SHOAL_TRY), -EINVAL);
  assert_int_equal(shoal_queue_recv_n(q, got, 0, SHOAL_TRY), -EINVAL);
  assert_int_equal(shoal_queue_recv_n(q, got, 8, SHOAL_TRY), -EAGAIN);
  sent[7].iov_len = SIZE_MAX;
  assert_int_equal(shoal_queue_send_n(q, sent, 8, SHOAL_FOREVER), -EMSGSIZE);
  assert_int_equal(shoal_queue_recv_n(q, got, 8, shoal_after_ms(1)), -ETIMEDOUT);
  sent[7].iov_len = of[7];
  assert_int_equal(shoal_queue_send_n(q, sent, 8, SHOAL_FOREVER), 8);
  int more = 0, n;
  while ((n = shoal_queue_send_n(q, sent + 3, 2, SHOAL_TRY)) > 0) more += n;  // until it is full
  assert_int_equal(n, -EAGAIN);
  assert_int_equal(shoal_queue_recv_n(q, got, 3, SHOAL_FOREVER), 3);
  got[3].iov_len = 4999;
  assert_int_equal(shoal_queue_recv_n(q, got + 3, 5, SHOAL_FOREVER), -EMSGSIZE);
  assert_int_equal(got[3].iov_len, 5000);
  got[5].iov_len = 4096;
  assert_int_equal(shoal_queue_recv_n(q, got + 3, 5, SHOAL_FOREVER), 2);  // the next has no room
  got[5].iov_len = 4097;
  assert_int_equal(shoal_queue_recv_n(q, got + 5, 3, SHOAL_FOREVER), 3);
  for (unsigned i = 0; i < 8; i++) assert_true(got[i].iov_len == of[i] && is_filled(out[i], of[i], i));
  for (int i = 0; i < more; i++) recv_filled(q, of[3 + i % 2], 3 + (uint64_t)(i % 2));
  unmake(q);
}
static void test_batches(void **state) {
  (void)state;
  batches(SHOAL_QUEUE_MPMC);
  batches(SHOAL_QUEUE_SPSC);
  batches(SHOAL_QUEUE_FIFO);
}

// ---- 9 ----

static void test_last_in_first_out(void **state) {
  (void)state;
  struct shoal_queue *q = make(SHOAL_QUEUE_LIFO, 4);
  for (uint64_t i = 0; i < 4; i++) {
    assert_true(shoal_queue_size(q) == (int64_t)i && shoal_queue_empty(q) == !i && !shoal_queue_full(q));
    assert_int_equal(send_filled(q, i * 1500, i, SHOAL_TRY), 0);
  }
  assert_true(shoal_queue_full(q) && !shoal_queue_empty(q));
  assert_int_equal(send_filled(q, 1500, 4, SHOAL_TRY), -EAGAIN);
  for (uint64_t i = 4; i--;) recv_filled(q, i * 1500, i);
  assert_int_equal(shoal_queue_send_key(q, 1, "x", 1, SHOAL_TRY), -EINVAL);
  unmake(q);
}

static void test_the_smallest_key_first(void **state) {
  (void)state;
  const int64_t keys[] = {5, -3, INT64_MAX, 5, INT64_MIN, 0, 5};
  const uint64_t order[] = {4, 1, 5, 0, 3, 6, 2};
  struct shoal_queue *q = make(SHOAL_QUEUE_PRIORITY, 8), *again;
  struct shoal_loan loan;
  for (uint64_t i = 0; i < 7; i++) {
    uint64_t size = i % 2 ? 30 : 3000;
    if (keys[i] == 0) {
      assert_int_equal(send_filled(q, size, i, SHOAL_TRY), 0);
    } else if (i == 3) {
      assert_int_equal(shoal_queue_reserve_bytes(q, size, &loan, SHOAL_TRY), 0);
      assert_int_equal(loan.key, 0);
      fill(loan.data, size, i);
      loan.key = keys[i];
      assert_int_equal(shoal_queue_commit(q, &loan), 0);
    } else {
      void *data = filled(size, i);
      assert_int_equal(shoal_queue_send_key(q, keys[i], data, size, SHOAL_TRY), 0);
      free(data);
    }
  }
  for (unsigned k = 0; k < 7; k++) {
    uint64_t i = order[k], size = i % 2 ? 30 : 3000;
    assert_int_equal(shoal_queue_receive(q, &loan, SHOAL_TRY), 0);
    assert_int_equal(loan.key, keys[i]);
    assert_int_equal(shoal_queue_return(q, &loan), 0);
    recv_filled(q, size, i);
  }
  const struct shoal_queue_options same = {.capacity = 8, .bytes = 1, .kind = SHOAL_QUEUE_PRIORITY};
  assert_int_equal(shoal_queue_open_or_create(seg, NAME, &same, &again), 0);
  assert_int_equal(shoal_queue_detach(again), 0);
  const struct shoal_queue_options keyed = {
      .capacity = 8, .bytes = 1, .kind = SHOAL_QUEUE_PRIORITY, .key = {SHOAL_KEY_I64, 0}};
  assert_int_equal(shoal_queue_create(seg, "keyed", &keyed, &again), -EINVAL);
  unmake(q);
}

// In the slot and in a block, whatever becomes of what was received; without room, too.
static void test_a_recv_tells_the_key(void **state) {
  (void)state;
  const struct shoal_queue_options policies[] = {{.capacity = 4},
                                                 {.capacity = 4, .joinable = 1},
                                                 {.capacity = 4, .lease_ns = UINT64_C(60000000000)},
                                                 {.capacity = 4, .joinable = 1, .delivery_max = 2},
                                                 {.capacity = 4, .overflow = SHOAL_OVERFLOW_DROP_OLDEST}};
  for (unsigned p = 0; p < sizeof policies / sizeof *policies; p++) {
    struct shoal_queue_options o = policies[p];
    o.kind = SHOAL_QUEUE_PRIORITY;
    make_segment(0);
    struct shoal_queue *q = make_with(o);
    for (uint64_t size = 20; size < 200; size += 100) {
      const int64_t keys[] = {INT64_MIN, -1, INT64_MAX};
      char data[200] = "", buffer[200];
      uint64_t is = 0;
      int64_t key = 3;
      assert_int_equal(shoal_queue_recv_key(q, &key, buffer, size, &is, SHOAL_TRY), -EAGAIN);
      assert_int_equal(shoal_queue_peek_key(q, &key, buffer, size, &is, SHOAL_TRY), -EAGAIN);
      assert_true(key == 3 && is == 0);
      for (unsigned i = 3; i--;) assert_int_equal(shoal_queue_send_key(q, keys[i], data, size, SHOAL_TRY), 0);
      for (unsigned i = 0; i < 3; i++) {
        key = 3;
        assert_int_equal(shoal_queue_peek_key(q, &key, NULL, 0, &is, SHOAL_TRY), -EMSGSIZE);
        assert_true(key == keys[i] && is == size);
        key = 3;
        assert_int_equal(shoal_queue_peek_key(q, &key, buffer, size, &is, SHOAL_TRY), 0);
        assert_true(key == keys[i] && is == size);
        key = 3;
        assert_int_equal(shoal_queue_recv_key(q, &key, buffer, size - 1, &is, SHOAL_TRY), -EMSGSIZE);
        assert_true(key == keys[i] && is == size);
        key = 3;
        assert_int_equal(shoal_queue_recv_key(q, &key, buffer, size, &is, SHOAL_FOREVER), 0);
        assert_true(key == keys[i] && is == size);
        if (o.joinable) assert_int_equal(shoal_queue_task_done(q), 0);
      }
    }
    unmake(q);
  }
}
static void test_a_key_is_refused_where_there_is_none(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_MPMC; kind < SHOAL_QUEUE_PRIORITY; kind++) {
    struct shoal_queue *q = make(kind, 4);
    char buffer[8];
    uint64_t is = 0;
    int64_t key = 3;
    assert_int_equal(send_filled(q, 8, 1, SHOAL_TRY), 0);
    assert_int_equal(shoal_queue_recv_key(q, &key, buffer, sizeof buffer, &is, SHOAL_TRY), -EINVAL);
    assert_int_equal(shoal_queue_recv_key(q, NULL, buffer, sizeof buffer, &is, SHOAL_TRY), -EINVAL);
    assert_int_equal(shoal_queue_peek_key(q, &key, buffer, sizeof buffer, &is, SHOAL_TRY), -EINVAL);
    assert_true(key == 3 && is == 0);
    recv_filled(q, 8, 1);
    unmake(q);
  }
}

static void test_grows(void **state) {
  (void)state;
  for (uint32_t kind = SHOAL_QUEUE_FIFO; kind <= SHOAL_QUEUE_PRIORITY; kind++) {
    struct shoal_queue *q = make_like((struct shoal_queue_options){.capacity = 2, .kind = kind, .grow = 1});
    for (uint64_t i = 0; i < 500; i++) assert_int_equal(send_filled(q, i % 5 * 40, i, SHOAL_TRY), 0);
    for (uint64_t k = 0; k < 500; k++) {
      uint64_t i = kind == SHOAL_QUEUE_LIFO ? 499 - k : k;
      recv_filled(q, i % 5 * 40, i);
    }
    unmake(q);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_any_size_mpmc),
      cmocka_unit_test(test_any_size_spsc),
      cmocka_unit_test(test_any_size_fifo),
      cmocka_unit_test(test_many_to_many_threads),
      cmocka_unit_test(test_many_to_many_processes),
      cmocka_unit_test(test_more_than_4_gib),
      cmocka_unit_test(test_more_than_4_gib_copied),
      cmocka_unit_test(test_too_small_a_buffer_loses_nothing),
      cmocka_unit_test(test_too_small_a_buffer_hands_the_wake_on),
      cmocka_unit_test(test_too_large_and_full),
      cmocka_unit_test(test_the_largest_ever),
      cmocka_unit_test(test_loans),
      cmocka_unit_test(test_deaths),
      cmocka_unit_test(test_dropped_with_its_block),
      cmocka_unit_test(test_leaving_with_a_loan),
      cmocka_unit_test(test_unlinked_with_messages),
      cmocka_unit_test(test_types),
      cmocka_unit_test(test_not_placed),
      cmocka_unit_test(test_hostile),
      cmocka_unit_test(test_a_damaged_message_goes_with_its_block),
      cmocka_unit_test(test_what_is_damaged_in_hand_goes_with_its_block),
      cmocka_unit_test(test_a_damaged_message_is_the_reason),
      cmocka_unit_test(test_a_damaged_message_ends_a_batch),
      cmocka_unit_test(test_without_room),
      cmocka_unit_test(test_the_oldest_is_dropped_with_its_block),
      cmocka_unit_test(test_one_gives_way_with_its_block),
      cmocka_unit_test(test_clear_frees_the_blocks),
      cmocka_unit_test(test_a_look_takes_nothing),
      cmocka_unit_test(test_unfinished_until_it_is_done),
      cmocka_unit_test(test_one_of_two_receives_it),
      cmocka_unit_test(test_released_once),
      cmocka_unit_test(test_dead_letters_are_copies),
      cmocka_unit_test(test_dead_letters_keep_their_keys),
      cmocka_unit_test(test_loans_of_another_queue),
      cmocka_unit_test(test_batches),
      cmocka_unit_test(test_last_in_first_out),
      cmocka_unit_test(test_the_smallest_key_first),
      cmocka_unit_test(test_a_recv_tells_the_key),
      cmocka_unit_test(test_a_key_is_refused_where_there_is_none),
      cmocka_unit_test(test_grows),
  };
  watchdog(280);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
