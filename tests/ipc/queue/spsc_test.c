// Claims of ipc/queue/spsc:
//   1 a ring holds at least what was asked, of any element size, in order, unchanged, and nothing outside it is touched
//   2 a put is refused only when `capacity` messages are untaken; batches and in-place forms mix with single ones
//   3 what cannot be is refused with its code and changes nothing
//   4 a role has one owner; left or taken over from the dead, it goes on exactly where it was
//   5 killed at any instruction: each message whole, none doubled, none lost but what a consumer had taken for itself
//   6 whatever a peer writes into the ring, nothing outside is read or written
//   7 one message at a time, back and forth, is never held up
#include "ipc/queue/spsc.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

// Also in children, where cmocka's assertions cannot report.
#define CHECK(x)                                                      \
  do {                                                                \
    if (!(x)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x); \
      abort();                                                        \
    }                                                                 \
  } while (0)

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

// ---- two drivers for a concurrent body: two threads; two processes that map the ring elsewhere ----

struct body {
  void (*run)(struct body *, struct shoal_spsc_shm *);
  const struct place *at;
  uint64_t messages;
  unsigned manner;
};

static void *body_thread(void *arg) {
  struct body *b = arg;
  b->run(b, b->at->shm);
  return NULL;
}

static void run_threads(struct body *a, struct body *b) {
  pthread_t t[2];
  CHECK(pthread_create(&t[0], NULL, body_thread, a) == 0 && pthread_create(&t[1], NULL, body_thread, b) == 0);
  CHECK(pthread_join(t[0], NULL) == 0 && pthread_join(t[1], NULL) == 0);
}

static pid_t body_process(struct body *b) {
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid) return pid;
  alarm(100);
  struct shoal_spsc_shm *shm = place_map(b->at);
  CHECK(shm != b->at->shm);
  place_unmap(b->at, b->at->shm);
  b->run(b, shm);
  _exit(0);
}

static void run_processes(struct body *a, struct body *b) {
  pid_t pid[2] = {body_process(a), body_process(b)};
  for (int i = 0; i < 2; i++) {
    int status;
    CHECK(waitpid(pid[i], &status, 0) == pid[i]);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
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

static void stream_put(struct body *b, struct shoal_spsc_shm *shm) {
  uint32_t size = shoal_load32_relaxed(&shm->element_size);
  struct shoal_spsc_producer p;
  CHECK(shoal_spsc_produce(&p, shm, b->at->bytes, size) == 0);
  unsigned char *m = malloc((size_t)BATCH * size);
  for (uint64_t i = 0; i < b->messages;) {
    uint32_t n = (uint32_t)(1 + i % BATCH), k = 0;
    if (n > b->messages - i) n = (uint32_t)(b->messages - i);
    void *slot;
    if (b->manner == 0) {
      fill(m, size, i);
      k = shoal_spsc_try_put(&p, m) == 0;
    } else if (b->manner == 1) {
      for (uint32_t j = 0; j < n; j++) fill(m + j * size, size, i + j);
      k = shoal_spsc_try_put_n(&p, m, n);
    } else if ((slot = shoal_spsc_reserve(&p))) {
      fill(slot, size, i);
      shoal_spsc_commit(&p);
      k = 1;
    }
    if (!k) sched_yield();
    i += k;
  }
  free(m);
  CHECK(shoal_spsc_producer_leave(&p) == 0);
}

static void stream_get(struct body *b, struct shoal_spsc_shm *shm) {
  uint32_t size = shoal_load32_relaxed(&shm->element_size);
  struct shoal_spsc_consumer c;
  CHECK(shoal_spsc_consume(&c, shm, b->at->bytes, size) == 0);
  unsigned char *m = malloc((size_t)BATCH * size);
  for (uint64_t i = 0; i < b->messages;) {
    uint32_t k = 0;
    void *slot;
    if (b->manner == 0) {
      k = shoal_spsc_try_get(&c, m) == 0;
      if (k) CHECK(is(m, size, i));
    } else if (b->manner == 1) {
      k = shoal_spsc_try_get_n(&c, m, (uint32_t)(1 + i % BATCH));
      for (uint32_t j = 0; j < k; j++) CHECK(is(m + j * size, size, i + j));
    } else if ((slot = shoal_spsc_peek(&c))) {
      CHECK(is(slot, size, i));
      shoal_spsc_release(&c);
      k = 1;
    }
    if (!k) sched_yield();
    i += k;
  }
  CHECK(shoal_spsc_try_get(&c, m) == -EAGAIN);
  free(m);
  CHECK(shoal_spsc_consumer_leave(&c) == 0);
}

static void streams(void (*driver)(struct body *, struct body *)) {
  static const uint32_t sizes[] = {1, 8, 16, 32, 56, 64, 100, 1000};
  for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; s++)
    for (unsigned manner = 0; manner < 9; manner++) {
      struct place at = place_make(manner % 2 ? 20 : 300, sizes[s]);
      struct body put = {stream_put, &at, 20000, manner % 3}, get = {stream_get, &at, 20000, manner / 3};
      driver(&put, &get);
      place_destroy(&at);
    }
}

static void test_stream_threads(void **state) {
  (void)state;
  streams(run_threads);
}
static void test_stream_processes(void **state) {
  (void)state;
  streams(run_processes);
}

// ---- 4: roles ----

static void other_is_refused(struct body *b, struct shoal_spsc_shm *shm) {
  struct shoal_spsc_producer p;
  struct shoal_spsc_consumer c;
  CHECK(shoal_spsc_produce(&p, shm, b->at->bytes, 8) == -EBUSY);
  CHECK(shoal_spsc_consume(&c, shm, b->at->bytes, 8) == -EBUSY);
}

struct both {
  struct shoal_spsc_producer p;
  struct shoal_spsc_consumer c;
};
static void *leave_is_refused(void *arg) {
  struct both copy = *(struct both *)arg;
  CHECK(shoal_spsc_producer_leave(&copy.p) == -EPERM && shoal_spsc_consumer_leave(&copy.c) == -EPERM);
  return NULL;
}

static void test_roles_have_one_owner(void **state) {
  (void)state;
  struct place at = place_make(10, 8);
  struct both mine;
  struct body other = {other_is_refused, &at, 0, 0};
  CHECK(shoal_spsc_produce(&mine.p, at.shm, at.bytes, 8) == 0 && shoal_spsc_consume(&mine.c, at.shm, at.bytes, 8) == 0);
  CHECK(!mine.p.inherited && !mine.c.inherited);
  other_is_refused(&other, at.shm);
  run_threads(&other, &other);
  run_processes(&other, &other);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, leave_is_refused, &mine) == 0 && pthread_join(thread, NULL) == 0);
  struct shoal_spsc_info info;
  CHECK(shoal_spsc_info(at.shm, at.bytes, &info) == 0 && info.producer == (uint32_t)gettid() &&
        info.consumer == info.producer);
  CHECK(shoal_spsc_producer_leave(&mine.p) == 0 && shoal_spsc_consumer_leave(&mine.c) == 0);
  CHECK(shoal_spsc_producer_leave(&mine.p) == -EPERM && shoal_spsc_consumer_leave(&mine.c) == -EPERM);
  CHECK(shoal_spsc_info(at.shm, at.bytes, &info) == 0 && info.producer == 0 && info.consumer == 0);
  place_destroy(&at);
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

// A child that is about to run `act`, stopped; its next steps are single instructions.
static pid_t victim_start(void (*act)(void *), void *arg) {
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
    raise(SIGSTOP);
    act(arg);
    raise(SIGSTOP);
    _exit(0);
  }
  int status;
  CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
  return pid;
}
// One instruction. 0: it has done them all.
static int victim_step(pid_t pid) {
  int status;
  CHECK(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0);
  CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
  CHECK(WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == SIGSTOP);
  return WSTOPSIG(status) == SIGTRAP;
}
static void victim_kill(pid_t pid) {
  int status;
  CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
}

// A ring in which `got` of `put` messages were taken, and what the victim does with the next `n`.
struct scene {
  struct place at;
  uint32_t size, n;
  uint64_t put, got;
  unsigned char *messages;  // the victim's, from `put` on
  uint64_t *used;           // shared: how many messages the victim, a consumer, has used
};

static struct scene scene_make(uint32_t size, uint64_t put, uint64_t got, uint32_t n) {
  struct scene s = {place_make(40, size), size, n, 0, 0, malloc((size_t)n * size), NULL};
  s.used = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(s.used != MAP_FAILED);
  struct both r;
  CHECK(shoal_spsc_produce(&r.p, s.at.shm, s.at.bytes, size) == 0);
  CHECK(shoal_spsc_consume(&r.c, s.at.shm, s.at.bytes, size) == 0);
  for (; s.put < put; s.put++) {
    fill(s.messages, size, s.put);
    CHECK(shoal_spsc_try_put(&r.p, s.messages) == 0);
    if (s.got < got) CHECK(shoal_spsc_try_get(&r.c, s.messages) == 0 && is(s.messages, size, s.got++));
  }
  for (; s.got < got; s.got++) CHECK(shoal_spsc_try_get(&r.c, s.messages) == 0);
  CHECK(shoal_spsc_producer_leave(&r.p) == 0 && shoal_spsc_consumer_leave(&r.c) == 0);
  for (uint32_t i = 0; i < n; i++) fill(s.messages + i * size, size, put + i);
  return s;
}

static void scene_destroy(struct scene *s) {
  munmap(s->used, 4096);
  free(s->messages);
  place_destroy(&s->at);
}

static void act_put(void *arg) {  // takes the role; puts one, a batch, and one in place; leaves
  struct scene *s = arg;
  struct shoal_spsc_producer p;
  CHECK(shoal_spsc_produce(&p, s->at.shm, s->at.bytes, s->size) == 0);
  CHECK(shoal_spsc_try_put(&p, s->messages) == 0);
  CHECK(shoal_spsc_try_put_n(&p, s->messages + s->size, s->n - 2) == s->n - 2);
  void *slot = shoal_spsc_reserve(&p);
  CHECK(slot);
  memcpy(slot, s->messages + (s->n - 1) * s->size, s->size);
  shoal_spsc_commit(&p);
  CHECK(shoal_spsc_producer_leave(&p) == 0);
}

static void use(struct scene *s, uint64_t upto) { __atomic_store_n(s->used, upto, __ATOMIC_RELAXED); }

static void act_get(void *arg) {  // takes the role; gets one, a batch, and the rest in place; leaves
  struct scene *s = arg;
  struct shoal_spsc_consumer c;
  uint64_t i = s->got;
  CHECK(shoal_spsc_consume(&c, s->at.shm, s->at.bytes, s->size) == 0);
  CHECK(shoal_spsc_try_get(&c, s->messages) == 0);
  use(s, i += 1);
  uint32_t k = shoal_spsc_try_get_n(&c, s->messages, s->n / 2);
  CHECK(k > 0);
  use(s, i += k);
  for (; shoal_spsc_peek(&c); shoal_spsc_release(&c)) use(s, i += 1);
  CHECK(i == s->put);
  CHECK(shoal_spsc_consumer_leave(&c) == 0);
}

static void act_peek(void *arg) {  // as act_get, all in place
  struct scene *s = arg;
  struct shoal_spsc_consumer c;
  CHECK(shoal_spsc_consume(&c, s->at.shm, s->at.bytes, s->size) == 0);
  for (uint64_t i = s->got; shoal_spsc_peek(&c); shoal_spsc_release(&c)) use(s, i += 1);
  CHECK(shoal_spsc_consumer_leave(&c) == 0);
}

// Both roles go on after a death: what is inside is messages [from, put), then as many again. Answers from where.
static void survivors(struct scene *s, uint64_t *from, uint64_t *to) {
  struct both r;
  unsigned char m[4096];
  CHECK(shoal_spsc_produce(&r.p, s->at.shm, s->at.bytes, s->size) == 0);
  CHECK(shoal_spsc_consume(&r.c, s->at.shm, s->at.bytes, s->size) == 0);
  uint64_t put = r.p.next, got = r.c.next;
  *from = got, *to = put;
  for (uint64_t end = put + 150; got < end;) {
    if (put < end) {
      fill(m, s->size, put);
      if (shoal_spsc_try_put(&r.p, m) == 0) put++;
      else CHECK(put - got >= 40);
    }
    if (put - got < 30 && put < end) continue;
    CHECK(shoal_spsc_try_get(&r.c, m) == 0 && is(m, s->size, got++));
  }
  CHECK(shoal_spsc_try_get(&r.c, m) == -EAGAIN);
  CHECK(shoal_spsc_producer_leave(&r.p) == 0 && shoal_spsc_consumer_leave(&r.c) == 0);
}

static const struct {
  uint32_t size, put, got, n;
} scenes[] = {{8, 0, 0, 18}, {8, 95, 75, 9}, {32, 44, 40, 6}, {64, 60, 50, 28}, {64, 31, 20, 6}, {256, 44, 30, 8}};

enum { PUT, GET, PEEK };
static void (*const acts[])(void *) = {act_put, act_get, act_peek};

// After a death: nothing lost or doubled, and a later death has done no less than `floor`.
static uint64_t check_death(struct scene *s, int kind, uint64_t floor) {
  uint64_t from, to;
  survivors(s, &from, &to);
  if (kind == PUT) {
    CHECK(from == s->got && to >= s->put && to <= s->put + s->n && to >= floor);
    return to;
  }
  CHECK(to == s->put && from >= s->got && from >= floor);
  if (kind == PEEK) CHECK(*s->used == from || *s->used == from + 1);  // the one in hand is seen again
  else CHECK(*s->used <= from + 1 && from <= *s->used + s->n / 2);
  return from;
}

// Deaths that leave the same ring are one death. Each ring that a death can leave is copied and tried, its owner marked
// as the kernel would; and a sample of deaths is real.
static void sweep(int kind, int i) {
  struct scene s = scene_make(scenes[i].size, scenes[i].put, scenes[i].got, scenes[i].n), copy = s;
  copy.at = place_make(40, s.size);
  *s.used = s.got;
  char *last = malloc(s.at.bytes);
  memcpy(last, s.at.shm, s.at.bytes);
  uint64_t floor = 0;
  long steps = 0, rings = 0;
  pid_t pid = victim_start(acts[kind], &s);
  for (int alive = 1; alive; steps++) {
    alive = victim_step(pid);
    if (memcmp(last, s.at.shm, s.at.bytes) == 0) continue;
    memcpy(last, s.at.shm, s.at.bytes);
    memcpy(copy.at.shm, last, s.at.bytes);
    shoal_atomic32 *owner = kind == PUT ? &copy.at.shm->producer.word : &copy.at.shm->consumer.word;
    if (shoal_load32_relaxed(owner)) {
      CHECK(shoal_robust_owner(shoal_load32_relaxed(owner)) == (uint32_t)pid);
      shoal_store32_relaxed(owner, FUTEX_WAITERS | FUTEX_OWNER_DIED);
    }
    floor = check_death(&copy, kind, floor);
    rings++;
  }
  victim_kill(pid);
  CHECK(floor == (kind == PUT ? s.put + s.n : s.put) && rings > 5);
  place_destroy(&copy.at);
  scene_destroy(&s);
  free(last);
  for (long at = 1; at < steps; at += 1 + steps / 16) {
    s = scene_make(scenes[i].size, scenes[i].put, scenes[i].got, scenes[i].n);
    *s.used = s.got;
    pid = victim_start(acts[kind], &s);
    for (long k = 0; k < at; k++) victim_step(pid);
    victim_kill(pid);
    check_death(&s, kind, 0);
    scene_destroy(&s);
  }
}

static void test_producer_killed_at_each_instruction(void **state) {
  (void)state;
  for (unsigned i = 0; i < sizeof scenes / sizeof *scenes; i++) sweep(PUT, (int)i);
}
static void test_consumer_killed_at_each_instruction(void **state) {
  (void)state;
  for (unsigned i = 1; i < sizeof scenes / sizeof *scenes; i++) {
    sweep(GET, (int)i);
    sweep(PEEK, (int)i);
  }
}

// Endless bodies with a ledger in shared memory, killed at random moments.
struct ledger {
  shoal_atomic64 sent, done;  // messages: puts that returned; uses that were finished
  shoal_atomic64 twice;
};
struct endless {
  struct place at;
  uint32_t size;
  struct ledger *ledger;
};

static void endless_put(struct endless *e, uint64_t seed) {
  struct shoal_spsc_producer p;
  CHECK(shoal_spsc_produce(&p, e->at.shm, e->at.bytes, e->size) == 0);
  uint64_t sent = shoal_load64_relaxed(&e->ledger->sent);
  CHECK(p.next >= sent && p.next <= sent + BATCH);  // put and not yet noted; never fewer
  unsigned char *m = malloc((size_t)BATCH * e->size);
  for (uint32_t n = 1;; n = (uint32_t)(1 + random_next(&seed) % BATCH)) {
    shoal_store64_relaxed(&e->ledger->sent, p.next);
    for (uint32_t i = 0; i < n; i++) fill(m + i * e->size, e->size, p.next + i);
    if (seed % 4 ? !shoal_spsc_try_put_n(&p, m, n) : shoal_spsc_try_put(&p, m)) sched_yield();
  }
}

static void endless_get(struct endless *e, uint64_t seed) {
  struct shoal_spsc_consumer c;
  CHECK(shoal_spsc_consume(&c, e->at.shm, e->at.bytes, e->size) == 0);
  uint64_t done = shoal_load64_relaxed(&e->ledger->done);
  // Copied and not noted: at most a batch. Noted and not released: one, peeked; it comes again.
  CHECK(c.next + 1 >= done && c.next <= done + BATCH);
  CHECK(c.next >= done || c.inherited);
  unsigned char *m = malloc((size_t)BATCH * e->size);
  for (void *slot;;) {
    uint32_t n = 1 + (uint32_t)(random_next(&seed) % BATCH), k = 0;
    if (seed % 3) {
      k = seed % 3 == 1 ? shoal_spsc_try_get_n(&c, m, n) : shoal_spsc_try_get(&c, m) == 0;
      for (uint32_t i = 0; i < k; i++) CHECK(is(m + i * e->size, e->size, c.next - k + i));
      if (k) shoal_store64_relaxed(&e->ledger->done, c.next);
    } else if ((slot = shoal_spsc_peek(&c))) {
      CHECK(is(slot, e->size, c.next));
      shoal_store64_relaxed(&e->ledger->done, c.next + 1);
      shoal_spsc_release(&c);
      k = 1;
    }
    if (!k) sched_yield();
  }
}

static pid_t endless_start(struct endless *e, int side, uint64_t seed) {
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid) return pid;
  alarm(100);
  if (side == 0) endless_put(e, seed);
  else endless_get(e, seed);
  _exit(0);
}

static void test_killed_at_random_moments(void **state) {
  (void)state;
  static const uint32_t sizes[] = {8, 32, 64, 500};
  uint64_t seed = 0x9e3779b97f4a7c15u;
  for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    struct endless e = {place_make(s % 2 ? 30 : 500, sizes[s]), sizes[s], NULL};
    e.ledger = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(e.ledger != MAP_FAILED);
    pid_t pid[2] = {endless_start(&e, 0, 1), endless_start(&e, 1, 2)};
    for (int kills = 0; kills < 250; kills++) {
      // A moment is a number of messages, so the ring moves between any two deaths.
      uint64_t until = shoal_load64_relaxed(&e.ledger->done) + random_next(&seed) % 3000;
      while (shoal_load64_relaxed(&e.ledger->done) < until) {
        CHECK(waitpid(-1, NULL, WNOHANG) == 0);  // nobody dies by himself
        sched_yield();
      }
      int both = seed % 8 == 0, side = seed / 8 % 2;
      for (int i = 0; i < 2; i++) {
        if (i != side && !both) continue;
        int status;
        CHECK(kill(pid[i], SIGKILL) == 0 && waitpid(pid[i], &status, 0) == pid[i]);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
      }
      for (int i = 0; i < 2; i++)
        if (i == side || both) pid[i] = endless_start(&e, i, random_next(&seed) | 1);
    }
    for (int i = 0; i < 2; i++) CHECK(kill(pid[i], SIGKILL) == 0 && waitpid(pid[i], NULL, 0) == pid[i]);
    struct scene after = {.at = e.at, .size = e.size};
    uint64_t from, to;
    survivors(&after, &from, &to);
    CHECK(to >= shoal_load64_relaxed(&e.ledger->sent) && from + 1 >= shoal_load64_relaxed(&e.ledger->done) &&
          to >= from);
    munmap(e.ledger, 4096);
    place_destroy(&e.at);
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
    for (int round = 0; round < 1500; round++) {
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
  CHECK(refused > 500 && accepted > 500);
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
  alarm(280);  // a hang ends here
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
      cmocka_unit_test(test_producer_killed_at_each_instruction),
      cmocka_unit_test(test_consumer_killed_at_each_instruction),
      cmocka_unit_test(test_killed_at_random_moments),
      cmocka_unit_test(test_hostile_contents),
      cmocka_unit_test(test_back_and_forth_is_not_held_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
