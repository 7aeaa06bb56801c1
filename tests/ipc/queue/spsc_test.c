// Claims of ipc/queue/spsc:
//   1 a ring holds at least what was asked, of any element size, in order, unchanged, and nothing outside it is touched
//   2 a put is refused only when `capacity` messages are untaken; batches and in-place forms mix with single ones
//   3 what cannot be is refused with its code and changes nothing
//   4 a role has one owner; left or taken over from the dead, it goes on exactly where it was
//   5 killed at random moments: each message whole, none doubled, none lost but what a consumer had taken for itself
//     (at every instruction: tests/crash)
//   6 whatever a peer writes into the ring, nothing outside is read or written
//   7 one message at a time, back and forth, is never held up
#include "ipc/queue/spsc.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness/drivers.h"

static uint64_t random_next(uint64_t *state) {  // xorshift
  *state ^= *state << 13;
  *state ^= *state >> 7;
  return *state ^= *state << 17;
}

// ---- a ring in memory of its own, between two pages that nobody may touch ----

struct place {
  int fd;
  size_t bytes, pages;  // of the ring; of its mapping without the two guards
  struct shoal_spsc_shm *shm;
};

// The ring ends where the last guard begins.
static struct shoal_spsc_shm *place_map(const struct place *at) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char *base = mmap(NULL, at->pages + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(base != MAP_FAILED);
  CHECK(mmap(base + page, at->pages, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, at->fd, 0) != MAP_FAILED);
  return (struct shoal_spsc_shm *)(base + page + at->pages - at->bytes);
}

static void place_unmap(const struct place *at, struct shoal_spsc_shm *shm) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  CHECK(munmap((char *)shm - (at->pages - at->bytes) - page, at->pages + 2 * page) == 0);
}

static struct place place_make(uint32_t capacity, uint32_t element_size) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  struct place at = {.fd = memfd_create("spsc", 0), .bytes = shoal_spsc_size(capacity, element_size)};
  CHECK(at.fd >= 0 && at.bytes > 0 && at.bytes % SHOAL_CACHE_LINE == 0);
  at.pages = (at.bytes + page - 1) / page * page;
  CHECK(ftruncate(at.fd, (off_t)at.pages) == 0);
  at.shm = place_map(&at);
  memset(at.shm, 0xa5, at.bytes);
  CHECK(shoal_spsc_init(at.shm, at.bytes, capacity, element_size) == 0);
  return at;
}

static void place_destroy(struct place *at) {
  place_unmap(at, at->shm);
  close(at->fd);
}

// ---- messages: number i fills its bytes ----

static void fill(void *message, uint32_t size, uint64_t i) {
  unsigned char *m = message;
  for (uint32_t k = 0; k < size; k++)
    m[k] = (unsigned char)((i + 1) * 0x9e3779b97f4a7c15u >> (k % 8 * 8)) ^ (unsigned char)k;
}
static int is(const void *message, uint32_t size, uint64_t i) {
  unsigned char want[4096];
  fill(want, size, i);
  return memcmp(message, want, size) == 0;
}

// ---- 1, 2: what it holds ----

static void check_size(uint32_t capacity, uint32_t size) {
  struct place at = place_make(capacity, size);
  struct shoal_spsc_producer p;
  struct shoal_spsc_consumer c;
  CHECK(shoal_spsc_produce(&p, at.shm, at.bytes, size) == 0);
  CHECK(shoal_spsc_consume(&c, at.shm, at.bytes, size) == 0);
  struct shoal_spsc_info info;
  unsigned char m[4096];
  uint64_t put = 0, got = 0;
  CHECK(shoal_spsc_try_get(&c, m) == -EAGAIN && !shoal_spsc_peek(&c));
  for (int lap = 0; lap < 5; lap++) {
    for (;; put++) {
      fill(m, size, put);
      if (shoal_spsc_try_put(&p, m)) break;
    }
    CHECK(put - got >= capacity && !shoal_spsc_reserve(&p));
    CHECK(shoal_spsc_info(at.shm, at.bytes, &info) == 0 && info.size == put - got && info.element_size == size);
    CHECK(info.capacity >= capacity && info.capacity <= put - got);
    uint64_t keep = lap % 2 ? 0 : (put - got) / 3;
    for (; got < put - keep; got++) CHECK(shoal_spsc_try_get(&c, m) == 0 && is(m, size, got));
  }
  for (; got < put; got++) CHECK(shoal_spsc_try_get(&c, m) == 0 && is(m, size, got));
  CHECK(shoal_spsc_try_get(&c, m) == -EAGAIN);
  CHECK(shoal_spsc_producer_leave(&p) == 0 && shoal_spsc_consumer_leave(&c) == 0);
  place_destroy(&at);
}

static void test_every_size(void **state) {
  (void)state;
  for (uint32_t size = 1; size <= 4096; size += size < 140 ? 1 : size < 1000 ? 61 : 516)
    for (uint32_t capacity = 1; capacity < 400; capacity = capacity * 3 + 1) check_size(capacity, size);
  check_size(1, 4096);
  check_size(1000, 8);
}

static void test_elements_are_aligned(void **state) {
  (void)state;
  for (uint32_t size = 1; size <= 256; size++) {
    struct place at = place_make(50, size);
    struct shoal_spsc_producer p;
    CHECK(shoal_spsc_produce(&p, at.shm, at.bytes, size) == 0);
    uint32_t alignment = size & -size;
    for (void *m; (m = shoal_spsc_reserve(&p)); shoal_spsc_commit(&p)) {
      CHECK((uintptr_t)m % (alignment < 64 ? alignment : 64) == 0);
      CHECK(size <= 56 ? (uintptr_t)m / 64 == ((uintptr_t)m + size - 1) / 64 : (uintptr_t)m % 64 == 0);
      memset(m, 0xff, size);  // no count may be hit
    }
    struct shoal_spsc_info info;
    CHECK(shoal_spsc_info(at.shm, at.bytes, &info) == 0 && info.size == p.total);
    CHECK(shoal_spsc_producer_leave(&p) == 0);
    place_destroy(&at);
  }
}

// A random walk of all forms against a count of what must be inside.
static void test_full_means_full(void **state) {
  (void)state;
  static const uint32_t sizes[] = {1, 8, 24, 56, 57, 64, 200, 2048};
  for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    uint32_t size = sizes[s], capacity = 77;
    struct place at = place_make(capacity, size);
    struct shoal_spsc_producer p;
    struct shoal_spsc_consumer c;
    CHECK(shoal_spsc_produce(&p, at.shm, at.bytes, size) == 0);
    CHECK(shoal_spsc_consume(&c, at.shm, at.bytes, size) == 0);
    static unsigned char m[200 * 4096];
    uint64_t put = 0, got = 0, seed = 88172645463325252u + s;
    for (int step = 0; step < 20000; step++) {
      uint32_t n = (uint32_t)(random_next(&seed) % 200), k;
      switch (random_next(&seed) % 6) {
        case 0:
          fill(m, size, put);
          if (shoal_spsc_try_put(&p, m) == 0) put++;
          else CHECK(put - got >= capacity);
          break;
        case 1:
          for (uint32_t i = 0; i < n; i++) fill(m + i * size, size, put + i);
          k = shoal_spsc_try_put_n(&p, m, n);
          CHECK(k == n || put + k - got >= capacity);
          put += k;
          break;
        case 2: {
          void *slot = shoal_spsc_reserve(&p);
          CHECK(slot == shoal_spsc_reserve(&p));
          if (!slot) {
            CHECK(put - got >= capacity);
            break;
          }
          fill(slot, size, put++);
          shoal_spsc_commit(&p);
          break;
        }
        case 3:
          k = shoal_spsc_try_get(&c, m) == 0;
          CHECK(k == (put > got));
          if (k) CHECK(is(m, size, got++));
          break;
        case 4:
          k = shoal_spsc_try_get_n(&c, m, n);
          CHECK(k <= n && k <= put - got && (k > 0 || n == 0 || put == got));
          for (uint32_t i = 0; i < k; i++) CHECK(is(m + i * size, size, got + i));
          got += k;
          break;
        case 5: {
          void *slot = shoal_spsc_peek(&c);
          CHECK((slot != NULL) == (put > got) && slot == shoal_spsc_peek(&c));
          if (!slot) break;
          CHECK(is(slot, size, got++));
          shoal_spsc_release(&c);
          break;
        }
      }
    }
    CHECK(put > 1000 && got > 1000);
    CHECK(shoal_spsc_producer_leave(&p) == 0 && shoal_spsc_consumer_leave(&c) == 0);
    place_destroy(&at);
  }
}

struct odd {
  uint64_t number;
  uint32_t more[3];
};
SHOAL_SPSC_TYPED(odds, struct odd)

static void test_typed(void **state) {
  (void)state;
  struct place at = place_make(100, sizeof(struct odd));
  odds_producer p;
  odds_consumer c;
  struct odd m[64] = {{0}};
  CHECK(odds_size(100) == at.bytes);
  CHECK(odds_init(at.shm, at.bytes, 100) == 0);
  CHECK(odds_produce(&p, at.shm, at.bytes) == 0 && odds_consume(&c, at.shm, at.bytes) == 0);
  for (uint64_t i = 0; i < 64; i++) m[i].number = i;
  CHECK(odds_try_put(&p, &m[0]) == 0 && odds_try_put_n(&p, &m[1], 62) == 62);
  struct odd *slot = odds_reserve(&p);
  CHECK(slot);
  *slot = m[63];
  odds_commit(&p);
  memset(m, 0xff, sizeof m);
  CHECK(odds_try_get(&c, &m[0]) == 0);
  slot = odds_peek(&c);
  CHECK(slot && slot->number == 1);
  odds_release(&c);
  uint32_t n = 2;
  for (uint32_t k; (k = odds_try_get_n(&c, &m[n], 64 - n)); n += k) continue;
  CHECK(n == 64);
  for (uint64_t i = 0; i < 64; i++) CHECK(i == 1 || m[i].number == i);
  CHECK(odds_producer_leave(&p) == 0 && odds_consumer_leave(&c) == 0);
  place_destroy(&at);
}

// ---- 3: extremes ----

static void test_extremes(void **state) {
  (void)state;
  CHECK(shoal_spsc_size(0, 8) == 0 && shoal_spsc_size(8, 0) == 0);
  CHECK(shoal_spsc_size(SHOAL_SPSC_CAPACITY_MAX + 1, 8) == 0 && shoal_spsc_size(UINT32_MAX, 8) == 0);
  CHECK(shoal_spsc_size(8, SHOAL_SPSC_ELEMENT_MAX + 1) == 0 && shoal_spsc_size(8, UINT32_MAX) == 0);
  CHECK(shoal_spsc_size(SHOAL_SPSC_CAPACITY_MAX, SHOAL_SPSC_ELEMENT_MAX) > UINT64_C(1) << 60);
  CHECK(shoal_spsc_size(SHOAL_SPSC_CAPACITY_MAX, 1) > SHOAL_SPSC_CAPACITY_MAX);
  CHECK(shoal_spsc_size(1, SHOAL_SPSC_ELEMENT_MAX) > 2ull * SHOAL_SPSC_ELEMENT_MAX);
  struct place at = place_make(10, 8);
  char before[512], *ring = (char *)at.shm;
  memcpy(before, at.shm, sizeof before);
  CHECK(shoal_spsc_init(at.shm, at.bytes, 0, 8) == -EINVAL && shoal_spsc_init(at.shm, at.bytes, 8, 0) == -EINVAL);
  CHECK(shoal_spsc_init(at.shm, at.bytes, UINT32_MAX, 8) == -EINVAL);
  CHECK(shoal_spsc_init(at.shm, at.bytes - 1, 10, 8) == -EINVAL);
  CHECK(shoal_spsc_init((struct shoal_spsc_shm *)(ring + 8), at.bytes, 1, 8) == -EINVAL);
  CHECK(memcmp(before, at.shm, sizeof before) == 0);
  struct shoal_spsc_producer p;
  struct shoal_spsc_consumer c;
  CHECK(shoal_spsc_produce(&p, at.shm, at.bytes - 1, 8) == -EPROTO);
  CHECK(shoal_spsc_consume(&c, at.shm, 0, 8) == -EPROTO);
  CHECK(shoal_spsc_produce(&p, (struct shoal_spsc_shm *)(ring + 8), at.bytes, 8) == -EPROTO);
  CHECK(shoal_spsc_consume(&c, at.shm, at.bytes, 9) == -EBADMSG);
  CHECK(shoal_spsc_produce(&p, at.shm, at.bytes, 8) == 0);  // no refusal kept the role
  CHECK(shoal_spsc_consume(&c, at.shm, at.bytes, 8) == 0);
  CHECK(shoal_spsc_try_put_n(&p, NULL, 0) == 0 && shoal_spsc_try_get_n(&c, NULL, 0) == 0);
  CHECK(shoal_spsc_producer_leave(&p) == 0 && shoal_spsc_consumer_leave(&c) == 0);
  place_destroy(&at);
}

// ---- 2: streams ----

#define BATCH 40
#ifdef __SANITIZE_THREAD__
#define STREAM 5000
#else
#define STREAM 20000
#endif

static uint64_t ring_bytes;
static uint32_t ring_element;
static unsigned manner_put, manner_get;  // one at a time; in batches; in place

static void stream_put(struct shoal_spsc_shm *shm) {
  struct shoal_spsc_producer p;
  CHECK(shoal_spsc_produce(&p, shm, ring_bytes, ring_element) == 0);
  unsigned char *m = malloc((size_t)BATCH * ring_element);
  for (uint64_t i = 0; i < STREAM;) {
    uint32_t n = (uint32_t)(1 + i % BATCH), k = 0;
    if (n > STREAM - i) n = (uint32_t)(STREAM - i);
    void *slot;
    if (manner_put == 0) {
      fill(m, ring_element, i);
      k = shoal_spsc_try_put(&p, m) == 0;
    } else if (manner_put == 1) {
      for (uint32_t j = 0; j < n; j++) fill(m + j * ring_element, ring_element, i + j);
      k = shoal_spsc_try_put_n(&p, m, n);
    } else if ((slot = shoal_spsc_reserve(&p))) {
      fill(slot, ring_element, i);
      shoal_spsc_commit(&p);
      k = 1;
    }
    if (!k) sched_yield();
    i += k;
  }
  free(m);
  CHECK(shoal_spsc_producer_leave(&p) == 0);
}

static void stream_get(struct shoal_spsc_shm *shm) {
  struct shoal_spsc_consumer c;
  CHECK(shoal_spsc_consume(&c, shm, ring_bytes, ring_element) == 0);
  unsigned char *m = malloc((size_t)BATCH * ring_element);
  for (uint64_t i = 0; i < STREAM;) {
    uint32_t k = 0;
    void *slot;
    if (manner_get == 0) {
      k = shoal_spsc_try_get(&c, m) == 0;
    } else if (manner_get == 1) {
      k = shoal_spsc_try_get_n(&c, m, (uint32_t)(1 + i % BATCH));
    } else if ((slot = shoal_spsc_peek(&c))) {
      memcpy(m, slot, ring_element);
      shoal_spsc_release(&c);
      k = 1;
    }
    for (uint32_t j = 0; j < k; j++) CHECK(is(m + j * ring_element, ring_element, i + j));
    if (!k) sched_yield();
    i += k;
  }
  CHECK(shoal_spsc_try_get(&c, m) == -EAGAIN);
  free(m);
  CHECK(shoal_spsc_consumer_leave(&c) == 0);
}

static void stream_body(void *memory, unsigned i) {
  if (i == 0) stream_put(memory);
  else stream_get(memory);
}

static struct arena arena_ring(uint32_t capacity, uint32_t size) {
  struct arena a;
  ring_element = size;
  ring_bytes = shoal_spsc_size(capacity, size);
  arena_make(&a, ring_bytes);
  CHECK(shoal_spsc_init(a.memory, ring_bytes, capacity, size) == 0);
  return a;
}

static void streams(enum driver driver) {
  static const uint32_t sizes[] = {1, 8, 16, 32, 56, 64, 100, 1000};
  for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; s++)
    for (unsigned manner = 0; manner < 9; manner++) {
      struct arena a = arena_ring(manner % 2 ? 20 : 300, sizes[s]);
      manner_put = manner % 3, manner_get = manner / 3;
      run(&a, driver, 2, stream_body);
      arena_free(&a);
    }
}
static void test_stream_threads(void **state) {
  (void)state;
  streams(THREADS);
}
static void test_stream_processes(void **state) {
  (void)state;
  streams(PROCESSES);
}

// ---- 4: roles ----

struct both {
  struct shoal_spsc_producer p;
  struct shoal_spsc_consumer c;
};
static struct both mine;

static void other_is_refused(void *memory, unsigned i) {
  struct both other, copy = mine;
  (void)i;
  CHECK(shoal_spsc_produce(&other.p, memory, ring_bytes, ring_element) == -EBUSY);
  CHECK(shoal_spsc_consume(&other.c, memory, ring_bytes, ring_element) == -EBUSY);
  copy.p.shm = copy.c.shm = memory;
  CHECK(shoal_spsc_producer_leave(&copy.p) == -EPERM && shoal_spsc_consumer_leave(&copy.c) == -EPERM);
}

static void test_roles_have_one_owner(void **state) {
  (void)state;
  struct arena a = arena_ring(10, 8);
  struct shoal_spsc_shm *shm = a.memory;
  struct both again;
  struct shoal_spsc_info info;
  CHECK(shoal_spsc_produce(&mine.p, shm, ring_bytes, 8) == 0 && shoal_spsc_consume(&mine.c, shm, ring_bytes, 8) == 0);
  CHECK(!mine.p.inherited && !mine.c.inherited);
  CHECK(shoal_spsc_produce(&again.p, shm, ring_bytes, 8) == -EBUSY);
  CHECK(shoal_spsc_consume(&again.c, shm, ring_bytes, 8) == -EBUSY);
  run(&a, THREADS, 2, other_is_refused);
  run(&a, PROCESSES, 2, other_is_refused);
  CHECK(shoal_spsc_info(shm, ring_bytes, &info) == 0);
  CHECK(info.producer == (uint32_t)gettid() && info.consumer == info.producer);
  CHECK(shoal_spsc_producer_leave(&mine.p) == 0 && shoal_spsc_consumer_leave(&mine.c) == 0);
  CHECK(shoal_spsc_producer_leave(&mine.p) == -EPERM && shoal_spsc_consumer_leave(&mine.c) == -EPERM);
  CHECK(shoal_spsc_info(shm, ring_bytes, &info) == 0 && info.producer == 0 && info.consumer == 0);
  arena_free(&a);
}

// Each message by another producer and another consumer, at every fill.
static void test_left_roles_go_on(void **state) {
  (void)state;
  static const uint32_t sizes[] = {8, 56, 64, 1024};
  for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    uint32_t size = sizes[s];
    struct place at = place_make(9, size);
    uint64_t put = 0, got = 0, seed = 5;
    unsigned char m[4096];
    while (put < 3000) {
      struct both r;
      CHECK(shoal_spsc_produce(&r.p, at.shm, at.bytes, size) == 0 && !r.p.inherited);
      CHECK(shoal_spsc_consume(&r.c, at.shm, at.bytes, size) == 0 && !r.c.inherited);
      void *slot = random_next(&seed) % 3 ? shoal_spsc_reserve(&r.p) : NULL;
      if (slot) memset(slot, 0xee, size);  // not committed: never was
      uint64_t n = random_next(&seed) % 20;
      for (uint64_t i = 0; i < n; i++) {
        fill(m, size, put);
        if (shoal_spsc_try_put(&r.p, m)) break;
        put++;
      }
      CHECK(random_next(&seed) % 2 || !shoal_spsc_peek(&r.c) == (put == got));  // not released: still there
      n = random_next(&seed) % 20;
      for (uint64_t i = 0; i < n && shoal_spsc_try_get(&r.c, m) == 0; i++) CHECK(is(m, size, got++));
      CHECK(shoal_spsc_producer_leave(&r.p) == 0 && shoal_spsc_consumer_leave(&r.c) == 0);
    }
    place_destroy(&at);
  }
}

// ---- 5: deaths ----

static struct ledger {  // shared: survives everybody
  shoal_atomic64 sent;  // puts that have returned
  shoal_atomic64 done;  // uses that were finished
  shoal_atomic64 seed;
} * ledger;

static void endless_put(struct shoal_spsc_shm *shm, uint64_t seed) {
  struct shoal_spsc_producer p;
  CHECK(shoal_spsc_produce(&p, shm, ring_bytes, ring_element) == 0);
  uint64_t sent = shoal_load64_relaxed(&ledger->sent);
  CHECK(p.next >= sent && p.next <= sent + BATCH);  // put and not yet noted; never fewer
  unsigned char *m = malloc((size_t)BATCH * ring_element);
  for (uint32_t n = 1;; n = (uint32_t)(1 + random_next(&seed) % BATCH)) {
    shoal_store64_relaxed(&ledger->sent, p.next);
    for (uint32_t i = 0; i < n; i++) fill(m + i * ring_element, ring_element, p.next + i);
    if (seed % 4 ? !shoal_spsc_try_put_n(&p, m, n) : shoal_spsc_try_put(&p, m)) sched_yield();
  }
}

static void endless_get(struct shoal_spsc_shm *shm, uint64_t seed) {
  struct shoal_spsc_consumer c;
  CHECK(shoal_spsc_consume(&c, shm, ring_bytes, ring_element) == 0);
  uint64_t done = shoal_load64_relaxed(&ledger->done);
  // Copied and not noted: at most a batch. Noted and not released: one, peeked; it comes again.
  CHECK(c.next + 1 >= done && c.next <= done + BATCH);
  CHECK(c.next >= done || c.inherited);
  unsigned char *m = malloc((size_t)BATCH * ring_element);
  for (void *slot;;) {
    uint32_t n = 1 + (uint32_t)(random_next(&seed) % BATCH), k = 0;
    if (seed % 3) {
      k = seed % 3 == 1 ? shoal_spsc_try_get_n(&c, m, n) : shoal_spsc_try_get(&c, m) == 0;
      for (uint32_t i = 0; i < k; i++) CHECK(is(m + i * ring_element, ring_element, c.next - k + i));
      if (k) shoal_store64_relaxed(&ledger->done, c.next);
    } else if ((slot = shoal_spsc_peek(&c))) {
      CHECK(is(slot, ring_element, c.next));
      shoal_store64_relaxed(&ledger->done, c.next + 1);
      shoal_spsc_release(&c);
      k = 1;
    }
    if (!k) sched_yield();
  }
}

static void endless_body(void *memory, unsigned side) {
  watchdog(100);
  uint64_t seed = shoal_load64_relaxed(&ledger->seed) | 1;
  if (side == 0) endless_put(memory, seed);
  else endless_get(memory, seed);
}

// Both roles go on, with what is inside and then with as many again.
static void check_goes_on(struct shoal_spsc_shm *shm, uint32_t capacity) {
  struct both r;
  unsigned char m[4096];
  CHECK(shoal_spsc_produce(&r.p, shm, ring_bytes, ring_element) == 0);
  CHECK(shoal_spsc_consume(&r.c, shm, ring_bytes, ring_element) == 0);
  uint64_t put = r.p.next, got = r.c.next, end = put + 3 * capacity;
  CHECK(put >= shoal_load64_relaxed(&ledger->sent) && got + 1 >= shoal_load64_relaxed(&ledger->done) && got <= put);
  while (got < end) {
    for (; put < end; put++) {
      fill(m, ring_element, put);
      if (shoal_spsc_try_put(&r.p, m)) break;
    }
    CHECK(put == end || put - got >= capacity);
    CHECK(shoal_spsc_try_get(&r.c, m) == 0 && is(m, ring_element, got++));
  }
  CHECK(shoal_spsc_try_get(&r.c, m) == -EAGAIN);
  CHECK(shoal_spsc_producer_leave(&r.p) == 0 && shoal_spsc_consumer_leave(&r.c) == 0);
}

static void test_random_kills_among_processes(void **state) {
  (void)state;
  static const uint32_t sizes[] = {8, 32, 64, 500};
  uint64_t seed = 0x9e3779b97f4a7c15u;
  for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    uint32_t capacity = s % 2 ? 30 : 500;
    struct arena a = arena_ring(capacity, sizes[s]);
    ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(ledger != MAP_FAILED);
    struct peer peer[2] = {peer_start(&a, endless_body, 0), peer_start(&a, endless_body, 1)};
    for (int kills = 0; kills < 150; kills++) {
      // A moment is a number of messages, so the ring moves between any two deaths.
      uint64_t until = shoal_load64_relaxed(&ledger->done) + random_next(&seed) % 3000;
      while (shoal_load64_relaxed(&ledger->done) < until) {
        CHECK(waitpid(-1, NULL, WNOHANG) == 0);  // nobody dies by himself
        sched_yield();
      }
      int both = seed % 8 == 0, side = seed / 8 % 2;
      for (int i = 0; i < 2; i++)
        if (i == side || both) peer_kill(&peer[i]);
      shoal_store64_relaxed(&ledger->seed, random_next(&seed));
      for (unsigned i = 0; i < 2; i++)
        if ((int)i == side || both) peer[i] = peer_start(&a, endless_body, i);
    }
    for (int i = 0; i < 2; i++) peer_kill(&peer[i]);
    check_goes_on(a.memory, capacity);
    munmap(ledger, sizeof *ledger);
    arena_free(&a);
  }
}

// ---- 6: a hostile peer ----

// The words of the ring but for the owner words, whose links are the C library's.
static shoal_atomic64 *hostile_word(const struct place *at, uint64_t r) {
  size_t words = at->bytes / 8, i;
  do {
    i = r % words;
    r = r / words + 0x9e3779b97f4a7c15u * (r | 1);
  } while ((i * 8 >= offsetof(struct shoal_spsc_shm, producer) && i * 8 < offsetof(struct shoal_spsc_shm, released)) ||
           (i * 8 >= offsetof(struct shoal_spsc_shm, consumer) && i * 8 < sizeof(struct shoal_spsc_shm)));
  return (shoal_atomic64 *)at->shm + i;
}

static uint64_t hostile_value(uint64_t *seed, uint64_t old) {
  switch (random_next(seed) % 5) {
    case 0: return 0;
    case 1: return random_next(seed);
    case 2: return old + random_next(seed) % 64 - 32;
    case 3: return old << (random_next(seed) % 64);
    default: return UINT64_MAX - random_next(seed) % 4;
  }
}

static void hostile_moves(struct both *r, uint32_t size, uint64_t *seed) {
  static unsigned char m[BATCH * 4096];
  for (int i = 0; i < 4; i++) {
    void *slot;
    uint32_t n = (uint32_t)(random_next(seed) % BATCH);
    if (r->p.shm) {
      shoal_spsc_try_put(&r->p, m);
      shoal_spsc_try_put_n(&r->p, m, n);
      if ((slot = shoal_spsc_reserve(&r->p))) memset(slot, 1, size), shoal_spsc_commit(&r->p);
    }
    if (r->c.shm) {
      shoal_spsc_try_get(&r->c, m);
      shoal_spsc_try_get_n(&r->c, m, n);
      if ((slot = shoal_spsc_peek(&r->c))) memset(slot, 2, size), shoal_spsc_release(&r->c);
    }
  }
}

// An access outside meets a guard page, or the canary that lies before the ring.
static void test_hostile_contents(void **state) {
  (void)state;
  static const uint32_t sizes[] = {1, 8, 48, 64, 300, 4096};
  uint64_t seed = 77, refused = 0, accepted = 0;
  for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; s++)
    for (int round = 0; round < 1000; round++) {
      struct place at = place_make((uint32_t)(1 + random_next(&seed) % 60), sizes[s]);
      unsigned char *gap = (unsigned char *)at.shm - (at.pages - at.bytes);
      memset(gap, 0x5a, at.pages - at.bytes);
      struct both r = {0};
      struct shoal_spsc_info info;
      if (round % 2) {  // written under the hands of an owner
        CHECK(shoal_spsc_produce(&r.p, at.shm, at.bytes, sizes[s]) == 0);
        CHECK(shoal_spsc_consume(&r.c, at.shm, at.bytes, sizes[s]) == 0);
        shoal_spsc_keep_off(&r.c, 0);
      }
      for (int strike = 0; strike < 30; strike++) {
        hostile_moves(&r, sizes[s], &seed);
        uint64_t pick = random_next(&seed);
        shoal_atomic64 *word = strike % 3 == 0 ? &at.shm->released
                               : strike % 3 == 1
                                   ? (shoal_atomic64 *)at.shm + pick % 3 * (pick % 7 == 0) + (pick % 7 != 0) * 32
                                   : hostile_word(&at, pick);
        shoal_store64_relaxed(word, hostile_value(&seed, shoal_load64_relaxed(word)));
        (void)shoal_spsc_info(at.shm, at.bytes, &info);
      }
      if (round % 2) CHECK(shoal_spsc_producer_leave(&r.p) == 0 && shoal_spsc_consumer_leave(&r.c) == 0);
      int rc = shoal_spsc_produce(&r.p, at.shm, at.bytes, sizes[s]);
      CHECK(rc == 0 || rc == -EPROTO || rc == -EBADMSG);
      if (rc) memset(&r.p, 0, sizeof r.p);
      rc == 0 ? accepted++ : refused++;
      rc = shoal_spsc_consume(&r.c, at.shm, at.bytes, sizes[s]);
      CHECK(rc == 0 || rc == -EPROTO || rc == -EBADMSG);
      if (rc) memset(&r.c, 0, sizeof r.c);
      rc == 0 ? accepted++ : refused++;
      hostile_moves(&r, sizes[s], &seed);
      if (r.p.shm) CHECK(shoal_spsc_producer_leave(&r.p) == 0);
      if (r.c.shm) CHECK(shoal_spsc_consumer_leave(&r.c) == 0);
      for (size_t i = 0; i < at.pages - at.bytes; i++) CHECK(gap[i] == 0x5a);
      place_destroy(&at);
    }
  CHECK(refused > 300 && accepted > 300);
}

// A slot of one byte is no place for a message.
static void test_slots_of_another_element_size(void **state) {
  (void)state;
  struct place at = place_make(16, 16);
  struct both r = {0};
  unsigned char message[16] = {0};
  CHECK(shoal_spsc_produce(&r.p, at.shm, at.bytes, 16) == 0);
  CHECK(shoal_spsc_try_put(&r.p, message) == 0);
  CHECK(shoal_spsc_put_slot_(at.shm, at.bytes, 16) && shoal_spsc_get_slot_(at.shm, at.bytes, 16));
  shoal_store32_relaxed(&at.shm->element_size, 1);
  CHECK(!shoal_spsc_put_slot_(at.shm, at.bytes, 16) && !shoal_spsc_get_slot_(at.shm, at.bytes, 16));
  CHECK(shoal_spsc_producer_leave(&r.p) == 0);
  place_destroy(&at);
}

// ---- 7: keeping off ----

static void test_back_and_forth_is_not_held_up(void **state) {
  (void)state;
  struct place at = place_make(1000, 8);
  struct both r;
  CHECK(shoal_spsc_produce(&r.p, at.shm, at.bytes, 8) == 0 && shoal_spsc_consume(&r.c, at.shm, at.bytes, 8) == 0);
  uint64_t m = 0;
  for (uint64_t begun = r.c.keep_off.begun, i = 0; i < 100000; i++) {
    CHECK(shoal_spsc_try_get(&r.c, &m) == -EAGAIN && shoal_spsc_try_put(&r.p, &m) == 0 &&
          shoal_spsc_try_get(&r.c, &m) == 0);
    CHECK(!r.c.keep_off.due && !r.c.keep_off.on && r.c.keep_off.begun == begun);  // nothing brings a wait nearer
  }
  // While messages stream it tries to keep off, unless told not to.
  for (int off = 0; off < 2; off++) {
    int waits = 0;
    if (off) shoal_spsc_keep_off(&r.c, 0);
    for (int i = 0; i < 100; i++) {
      for (int k = 0; k < 500; k++) CHECK(shoal_spsc_try_put(&r.p, &m) == 0);
      for (int k = 0; k < 500; k++) CHECK(shoal_spsc_try_get(&r.c, &m) == 0);
      waits += r.c.keep_off.due != 0;
    }
    CHECK(off ? waits == 0 : waits > 0);
  }
  CHECK(shoal_spsc_producer_leave(&r.p) == 0 && shoal_spsc_consumer_leave(&r.c) == 0);
  place_destroy(&at);
}

int main(void) {
  watchdog(280);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_size),
      cmocka_unit_test(test_elements_are_aligned),
      cmocka_unit_test(test_full_means_full),
      cmocka_unit_test(test_typed),
      cmocka_unit_test(test_extremes),
      cmocka_unit_test(test_stream_threads),
      cmocka_unit_test(test_stream_processes),
      cmocka_unit_test(test_roles_have_one_owner),
      cmocka_unit_test(test_left_roles_go_on),
      cmocka_unit_test(test_random_kills_among_processes),
      cmocka_unit_test(test_hostile_contents),
      cmocka_unit_test(test_slots_of_another_element_size),
      cmocka_unit_test(test_back_and_forth_is_not_held_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
