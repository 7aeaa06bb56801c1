// Claims of the kinds FIFO, LIFO and PRIORITY of ipc/queue/queue, where there is no room:
//   1 growing: to the end of the segment, and on; by many, some of whom are killed; the memory goes with the queue
//   2 one message gives way, if the queue drops the oldest: FIFO the next, LIFO the one at the bottom, PRIORITY the one
//     that would be received last; whatever else is done meanwhile, and after deaths inside; each is counted
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/queue/queue_internal.h"
#include "tests/ipc/queue/ordered_fixture.h"

// ---- 1 ----

static struct shoal_queue_options growing(uint32_t kind) {
  struct shoal_queue_options o = numbers_of(kind, 3);
  o.grow = 1;
  return o;
}
static uint64_t used_of(struct shoal_segment *seg) {
  struct shoal_segment_info info;
  CHECK(shoal_segment_info(seg, &info) == 0);
  return info.used;
}

static void test_grows_to_the_end_of_the_segment_and_on(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_segment *seg;
    struct shoal_queue *q, *other;
    struct shoal_queue_options o = growing(kind);
    struct shoal_segment_options small = {.size = 1 << 20, .size_max = 4 << 20, .objects = 64};
    assert_int_equal(shoal_segment_create(NULL, &small, &seg), 0);
    uint64_t before = used_of(seg), n = 0, rc = 0;
    assert_int_equal(number_queue_create(seg, "numbers", &o, &q), 0);
    assert_int_equal(number_queue_open(seg, "numbers", &other), 0);
    assert_int_equal(info_of(q).capacity, 4);
    while ((rc = (uint64_t)number_queue_put(n % 2 ? q : other, &n, SHOAL_FOREVER)) == 0) n++;
    assert_int_equal((int)rc, -ENOSPC);
    assert_true(n >= 1 << 14);
    assert_int_equal(info_of(q).capacity, n);
    assert_int_equal(info_of(q).size, n);
    assert_int_equal(info_of(q).capacity, UINT64_C(4) << info_of(q).grown);
    assert_int_equal(number_queue_put(q, &n, SHOAL_TRY), -ENOSPC);
    for (uint64_t i = 0; i < n; i++) {
      assert_int_equal(get_number(i % 2 ? other : q), kind == SHOAL_QUEUE_LIFO ? n - 1 - i : i);
      if (i == 10)
        put_number(q, kind == SHOAL_QUEUE_LIFO ? n - 1 - i : n), get_number(other),
            i += kind != SHOAL_QUEUE_LIFO;  // and on
    }
    assert_int_equal(shoal_queue_detach(other), 0);
    assert_int_equal(shoal_queue_unlink(seg, "numbers"), 0);
    put_number(q, 5);
    assert_int_equal(shoal_queue_detach(q), 0);
    assert_int_equal(used_of(seg), before);
    assert_int_equal(shoal_segment_close(seg), 0);
  }
}

static void test_the_ring_that_grows_is_a_list(void **state) {
  (void)state;
  struct shoal_segment *seg;
  struct shoal_queue *q;
  assert_int_equal(shoal_segment_create(NULL, NULL, &seg), 0);
  assert_int_equal(number_queue_create(seg, "n", &(struct shoal_queue_options){.capacity = 5, .grow = 1}, &q), 0);
  assert_int_equal(info_of(q).kind, SHOAL_QUEUE_FIFO);
  for (uint64_t i = 0; i < 1000; i++) put_number(q, i);
  for (uint64_t i = 0; i < 1000; i++) assert_int_equal(get_number(q), i);
  assert_int_equal(shoal_queue_detach(q), 0);
  assert_int_equal(shoal_segment_close(seg), 0);
  struct shoal_queue_options o = growing(SHOAL_QUEUE_FIFO);
  q = make(&o);  // not in a segment
  for (uint64_t i = 0; i < 4; i++) put_number(q, i);
  uint64_t v = 4;
  assert_int_equal(number_queue_put(q, &v, SHOAL_FOREVER), -ENOSPC);
  assert_int_equal(get_number(q), 0);
  put_number(q, 4);
  unmake(q);
}

// Four put, two get, all may be the one who makes it grow; now and then one is killed.
static struct shoal_segment *common;
static struct shoal_queue *inherited;
static void grow_together(unsigned i) {
  struct shared *s = shared();
  for (uint64_t v; (v = shoal_add64_relaxed(&s->answers[0], 1)) < LEDGER;) {
    put_number(inherited, v);
    __atomic_fetch_or(&s->ledger[v], 0x80, __ATOMIC_RELAXED);
    if (i == 0 && v % 16 == 0) usleep(50);
  }
}
static void test_grows_while_its_users_are_killed(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue_options o = growing(kind);
    arena_make(&arena, sizeof(struct shared));
    assert_int_equal(shoal_segment_create(NULL, NULL, &common), 0);
    assert_int_equal(number_queue_create(common, "n", &o, &inherited), 0);
    pid_t pids[4] = {0};
    for (int kills = 0; kills < 60; kills++) {
      for (unsigned i = 0; i < 4; i++) {
        if (pids[i]) continue;
        fflush(NULL);
        if ((pids[i] = fork()) == 0) grow_together(i), _exit(0);
      }
      usleep(random32() & 511);
      unsigned i = random32() % 4;
      kill(pids[i], SIGKILL);
      waitpid(pids[i], NULL, 0);
      pids[i] = 0;
    }
    for (unsigned i = 0; i < 4; i++)
      if (pids[i]) assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
    uint64_t v;
    uint32_t got = 0;
    while (number_queue_get(inherited, &v, SHOAL_TRY) == 0) {
      assert_true(v < LEDGER && !(shared()->ledger[v] & 1));
      shared()->ledger[v] |= 1, got++;
    }
    for (uint32_t k = 0; k < LEDGER; k++) assert_true(shared()->ledger[k] != 0x80);
    assert_true(got <= LEDGER && info_of(inherited).capacity >= got);
    assert_int_equal(shoal_queue_unlink(common, "n"), 0);
    assert_int_equal(shoal_queue_detach(inherited), 0);
    assert_int_equal(shoal_segment_close(common), 0);
    arena_free(&arena);
  }
}

// ---- 2 ----

static struct shoal_queue_options dropping(uint32_t kind, uint32_t capacity) {
  struct shoal_queue_options o = numbers_of(kind, capacity);
  if (kind == SHOAL_QUEUE_PRIORITY)
    o.key = (struct shoal_queue_key){SHOAL_KEY_U32, 4};  // the upper half: equals are many
  o.overflow = SHOAL_OVERFLOW_DROP_OLDEST;
  return o;
}

static struct model {  // what is inside, in the order in which it is received
  uint64_t v[64], id, dropped;
  uint32_t kind, capacity, n, lent;
} model;
static uint64_t model_remove(uint32_t i) {
  uint64_t v = model.v[i];
  memmove(&model.v[i], &model.v[i + 1], (--model.n - i) * sizeof v);
  return v;
}
static void model_insert(uint32_t i, uint64_t v) {
  memmove(&model.v[i + 1], &model.v[i], (model.n++ - i) * sizeof v);
  model.v[i] = v;
}
static void model_add(uint64_t v, int again) {
  uint32_t i = model.kind == SHOAL_QUEUE_FIFO && !again ? model.n : 0;
  while (model.kind == SHOAL_QUEUE_PRIORITY && i < model.n && model.v[i] < v) i++;
  model_insert(i, v);
}
static int model_make_room(void) {
  if (model.n + model.lent < model.capacity) return 0;
  if (!model.n) return -EAGAIN;
  model_remove(model.kind == SHOAL_QUEUE_FIFO ? 0 : model.n - 1);
  model.dropped++;
  return 0;
}
static uint64_t new_number(void) { return (uint64_t)(random32() % 8) << 32 | ++model.id; }

static void model_put(struct shoal_queue *q) {
  uint64_t v = new_number();
  int rc = model_make_room();
  assert_int_equal(number_queue_put(q, &v, SHOAL_TRY), rc);
  if (rc == 0) model_add(v, 0);
}
static void model_put_n(struct shoal_queue *q) {
  uint64_t v[3];
  int n = 0;
  for (int i = 0; i < 3; i++) {
    v[i] = new_number();
    if (model_make_room()) continue;
    model_add(v[i], 0);
    n++;
  }
  assert_int_equal(number_queue_put_n(q, v, 3, SHOAL_TRY), n ? n : -EAGAIN);
}
static void model_get(struct shoal_queue *q) {
  uint64_t v = 0;
  int rc = number_queue_get(q, &v, SHOAL_TRY);
  assert_int_equal(rc, model.n ? 0 : -EAGAIN);
  if (rc == 0) assert_int_equal(v, model_remove(0));
}
// One of each side at a time is lent.
static void model_lend(struct shoal_queue *q, struct shoal_loan *out, struct shoal_loan *in) {
  if (!in->data) {
    int rc = model_make_room();
    assert_int_equal(shoal_queue_reserve(q, in, SHOAL_TRY), rc);
    model.lent += rc == 0;
  }
  if (out->data) return;
  assert_int_equal(shoal_queue_receive(q, out, SHOAL_TRY), model.n ? 0 : -EAGAIN);
  if (!model.n) return;
  assert_int_equal(*(uint64_t *)out->data, model_remove(0));
  model.lent++;
}
static void model_end(struct shoal_queue *q, struct shoal_loan *out, struct shoal_loan *in) {
  if (out->data) {
    uint64_t v = *(uint64_t *)out->data;
    model.lent--;
    if (random32() % 2) {
      assert_int_equal(shoal_queue_return(q, out), 0);
      model_add(v, 1);
    } else {
      assert_int_equal(shoal_queue_release(q, out), 0);
    }
  }
  if (!in->data) return;
  model.lent--;
  if (random32() % 4 == 0) {
    assert_int_equal(shoal_queue_cancel(q, in), 0);
    return;
  }
  uint64_t v = *(uint64_t *)in->data = new_number();
  assert_int_equal(shoal_queue_commit(q, in), 0);
  model_add(v, 0);
}
static void die_in_the_midst(void *memory, unsigned capacity) {
  struct shared *s = memory;
  struct shoal_queue *q = attach(memory);
  struct shoal_ordered_shm *shm = q->ordered.shm;
  int me = shoal_role_mine(&q->wait, SHOAL_CONSUMER);
  CHECK(me > 0 && shoal_ordered_enter(&q->ordered, (uint32_t)me, SHOAL_FOREVER) == 0);
  shoal_store32_relaxed(&shm->count, 1), shoal_store32_relaxed(&shm->lent, 0), shoal_store32_relaxed(&shm->fronts, 7);
  shoal_store32_relaxed(&shm->first, 1), shoal_store32_relaxed(&shm->last, 9), shoal_store32_relaxed(&shm->free, 1);
  if (q->ordered.chunk[0].places) memset((void *)q->ordered.chunk[0].places, 0x77, 16 * (capacity + 8));
  shoal_add32_seq_cst(&s->ready, 1);
  for (;;) pause();
}
static void model_death(void) {
  uint32_t before = shoal_load32_seq_cst(&shared()->ready);
  struct peer p = peer_start(&arena, die_in_the_midst, model.capacity);
  await(&shared()->ready, before + 1);
  peer_kill(&p);
}
static void test_the_one_that_gives_way(void **state) {
  (void)state;
  for (uint32_t round = 0; round < 90; round++) {
    struct shoal_loan out = {0}, in = {0};
    uint32_t capacity = 1 + random32() % (round % 2 ? 40 : 6);
    model = (struct model){.kind = SHOAL_QUEUE_FIFO + round % 3, .capacity = capacity};
    struct shoal_queue_options o = dropping(model.kind, capacity);
    struct shoal_queue *q = make(&o);
    shoal_queue_join(q, SHOAL_PRODUCER);
    shoal_queue_join(q, SHOAL_CONSUMER);
    for (int i = 0; i < 2000; i++) {
      uint32_t what = random32() % 16;
      if (what < 6) model_put(q);
      else if (what == 6) model_put_n(q);
      else if (what < 11) model_get(q);
      else if (what < 13) model_lend(q, &out, &in);
      else if (what < 15) model_end(q, &out, &in);
      else if (i % 50 == 0) model_death(), model_put(q);
      assert_int_equal(shoal_queue_size(q), model.n);
      assert_int_equal(info_of(q).discarded, model.dropped);
    }
    model_end(q, &out, &in);
    while (model.n) model_get(q);
    model_get(q);
    unmake(q);
  }
}

// What grows does so to the end of the segment; from there on it drops.
static void test_what_cannot_grow_drops(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_segment *seg;
    struct shoal_queue *q;
    struct shoal_queue_options o = growing(kind);
    struct shoal_segment_options small = {.size = 1 << 20, .size_max = 4 << 20, .objects = 64};
    o.overflow = SHOAL_OVERFLOW_DROP_OLDEST;
    assert_int_equal(shoal_segment_create(NULL, &small, &seg), 0);
    assert_int_equal(number_queue_create(seg, "numbers", &o, &q), 0);
    uint64_t n = 0, extra = 1000;
    while (info_of(q).discarded < extra) put_number(q, n++);
    uint64_t kept = info_of(q).size;
    assert_true(kept >= 1 << 14);
    assert_int_equal(kept, n - extra);
    assert_int_equal(info_of(q).capacity, kept);
    for (uint64_t i = 0; i < kept; i++) {
      uint64_t v = kind == SHOAL_QUEUE_FIFO   ? extra + i
                   : kind == SHOAL_QUEUE_LIFO ? n - 1 - i
                   : i < kept - 1             ? i
                                              : n - 1;
      assert_int_equal(get_number(q), v);
    }
    struct shoal_loan loans[4];  // a queue that was placed has its first cells only
    assert_int_equal(shoal_queue_detach(q), 0);
    assert_int_equal(shoal_segment_close(seg), 0);
    q = make(&o);
    for (uint64_t i = 0; i < 9; i++) put_number(q, i);
    assert_int_equal(info_of(q).discarded, 5);
    for (int i = 0; i < 4; i++) loans[i] = receive_now(q);
    assert_int_equal(number_queue_put(q, &n, SHOAL_FOREVER), -ENOSPC);  // it does not wait
    for (int i = 0; i < 4; i++) assert_int_equal(shoal_queue_release(q, &loans[i]), 0);
    unmake(q);
  }
}

// Copied outside the lock, and by a reservation.
static void test_large_ones_give_way(void **state) {
  (void)state;
  EACH_KIND(kind) {
    struct shoal_queue_options o = dropping(kind, 3);
    o.element_size = 2000;
    struct shoal_queue *q = make(&o);
    uint32_t v[500] = {0};
    for (uint32_t i = 0; i < 7; i++) {
      v[0] = v[499] = i;
      assert_int_equal(shoal_queue_put(q, v, SHOAL_TRY), 0);
    }
    static const uint32_t order[3][3] = {{4, 5, 6}, {6, 5, 4}, {0, 1, 6}};
    for (int i = 0; i < 3; i++) {
      assert_int_equal(shoal_queue_get(q, v, SHOAL_TRY), 0);
      assert_int_equal(v[0], order[kind - SHOAL_QUEUE_FIFO][i]);
      assert_int_equal(v[499], v[0]);
    }
    assert_int_equal(info_of(q).discarded, 4);
    shoal_queue_close(q);
    assert_int_equal(shoal_queue_put(q, v, SHOAL_TRY), -EPIPE);
    unmake(q);
  }
}

// Of a ring, and of cells, the policy is what the header says it is.
static void test_cells_of_another_policy_are_refused(void **state) {
  (void)state;
  struct shoal_queue_options o = dropping(SHOAL_QUEUE_LIFO, 4);
  struct shoal_queue *q = make(&o), *other;
  q->shm->overflow = SHOAL_OVERFLOW_WAIT;
  assert_int_equal(shoal_queue_attach_(q->shm, shared()->queue_size, 8, &other), -EPROTO);
  q->shm->overflow = SHOAL_OVERFLOW_DROP_OLDEST;
  q->ordered.shm->evicts = 0;
  assert_int_equal(shoal_queue_attach_(q->shm, shared()->queue_size, 8, &other), -EPROTO);
  unmake(q);
}

int main(void) {
  watchdog(280);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_one_that_gives_way),
      cmocka_unit_test(test_what_cannot_grow_drops),
      cmocka_unit_test(test_large_ones_give_way),
      cmocka_unit_test(test_cells_of_another_policy_are_refused),
      cmocka_unit_test(test_grows_to_the_end_of_the_segment_and_on),
      cmocka_unit_test(test_the_ring_that_grows_is_a_list),
      cmocka_unit_test(test_grows_while_its_users_are_killed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
