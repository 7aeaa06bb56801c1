// Claims of ipc/queue/message, for queues of all kinds (deaths and damage: bytes_hurt_test.c; policies:
// bytes_policy_test.c):
//   1 what is sent is received: whole, once, in order, its boundaries kept, from 0 bytes to more than 4 GiB; copied and
//     in place; by threads and by processes at different addresses
//   2 a buffer that is too small loses nothing; what can never be held is refused at once; a full heap or queue changes
//     nothing
//   3 loans: less may be committed than was reserved, not more; each ends once, by the thread that took it
//   4 calls for elements are refused, and byte messages where there are none
//   5 batches: as many as go, none of them lost or doubled; a message without room ends them and stays
//   6 first, last, smallest key first, growing: as elements are, for messages in slots and in blocks; who receives one,
//     or looks at it, is told its key
#include <pthread.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "tests/ipc/queue/bytes_fixture.h"

SHOAL_QUEUE_TYPED(number_queue, uint64_t)
SHOAL_QUEUE_TYPED(wide_queue, struct shoal_message_shm)

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
  assert_int_equal(send_filled(q, 3, 0, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_recv(q, NULL, 0, NULL, SHOAL_TRY), -EMSGSIZE);
  assert_int_equal(shoal_queue_peek_bytes(q, &size, sizeof size, NULL, SHOAL_TRY), 0);
  assert_int_equal(shoal_queue_recv(q, &size, sizeof size, NULL, SHOAL_TRY), 0);
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

// ---- 5 ----

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

// ---- 6 ----

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
      cmocka_unit_test(test_types),
      cmocka_unit_test(test_not_placed),
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
