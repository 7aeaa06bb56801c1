// tests/crash/soak_core.c: an spsc ring whose two roles change hands, locks, and the names of a directory.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/directory.h"
#include "core/error.h"
#include "core/proc.h"
#include "ipc/queue/spsc.h"
#include "tests/crash/soak.h"

// ---- spsc: four would be the producer, four the consumer; who has the role dies, another takes it over ----

struct message {
  uint64_t id, not_id, pad[2];  // one in a group
};
SHOAL_SPSC_TYPED(ring, struct message)
#define RING_BYTES (64u * 1024)
static struct shoal_spsc_shm *ring;

static void spsc_begin(void) {
  if (!ring) ring = soak_shared(RING_BYTES);
  int rc = ring_init(ring, RING_BYTES, 1u + soak_below(300));
  SOAK_EXPECT(rc == 0, "ring_init: %d", rc);
}
static void fill(struct message *m, uint64_t first, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) m[i] = (struct message){.id = first + i, .not_id = ~(first + i)};
}
static void spsc_produce(void) {
  ring_producer p;
  struct message m[8];
  while (ring_produce(&p, ring, RING_BYTES)) soak_pause_us(100);
  for (uint64_t life = soak_below(8) ? UINT64_MAX : soak_below(1000); life; life--) {
    uint32_t n = soak_below(4) ? 1 : 1 + soak_below(8);
    fill(m, p.role.next + 1, n);
    if (n == 1 ? ring_try_put(&p, m) != 0 : ring_try_put_n(&p, m, n) == 0) soak_pause_us(soak_below(20));
  }
  ring_producer_leave(&p);
}
static void spsc_consume(void) {
  ring_consumer c;
  struct message m[8];
  while (ring_consume(&c, ring, RING_BYTES)) soak_pause_us(100);
  for (uint64_t life = soak_below(8) ? UINT64_MAX : soak_below(1000); life; life--) {
    uint64_t next = c.role.next + 1;
    uint32_t n = soak_below(4) ? ring_try_get(&c, m) == 0 : ring_try_get_n(&c, m, 1 + soak_below(8));
    for (uint32_t i = 0; i < n; i++)
      SOAK_EXPECT(m[i].id == next + i && m[i].not_id == ~m[i].id, "%lu, %lx comes for %lu", m[i].id, m[i].not_id,
                  next + i);
    if (n == 0) soak_pause_us(soak_below(20));
  }
  ring_consumer_leave(&c);
}
static void spsc_work(uint32_t id, int seat) {
  (void)id;
  for (;; soak_pause_us(500)) {
    if (seat % 2) spsc_produce();
    else spsc_consume();
  }
}
static uint64_t spsc_progress(void) { return shoal_load64_relaxed(&ring->taken); }
// A ring cannot close: the driver takes both roles, and looks at what is left.
static void spsc_end(void) {
  ring_producer p;
  ring_consumer c;
  struct message m;
  for (int seat = 0; seat < 4; seat++) soak_kill(seat);
  int rc = ring_produce(&p, ring, RING_BYTES), rc2 = ring_consume(&c, ring, RING_BYTES);
  SOAK_EXPECT(rc == 0 && rc2 == 0, "taking over answered %d, %d", rc, rc2);
  if (rc || rc2) return;
  uint64_t next = c.role.next;
  while (ring_try_get(&c, &m) == 0) {
    if (m.id > next + 1) soak.lost += m.id - next - 1;
    if (m.id <= next) soak.doubled++;
    next = m.id;
  }
  if (p.role.next > next) soak.lost += p.role.next - next;
  SOAK_EXPECT(p.role.next >= next, "%lu came, %lu were put", next, p.role.next);
  soak.done += next;
  ring_producer_leave(&p);
  ring_consumer_leave(&c);
}
const struct soak_room soak_spsc = {"spsc", 4, spsc_begin, spsc_work, spsc_progress, NULL, spsc_end, NULL, NULL};

// ---- objects: made, opened, removed by name, by processes that die with them open ----

#define NAMES 6
#define TYPE "soak:pattern"
static struct shoal_segment *seg;
static volatile uint64_t *steps;

static void directory_begin(void) {
  static const struct shoal_segment_options small = {
      .size = 64 << 10, .size_max = 4 << 20, .participants = 24, .objects = 16};
  if (!steps) steps = soak_shared(4096);
  *steps = 0;
  int rc = shoal_segment_create(NULL, &small, &seg);
  SOAK_EXPECT(rc == 0, "segment: %d %s", rc, shoal_reason());
}
static int pattern(void *memory, uint64_t size, void *arg) {
  memset(memory, *(const int *)arg, size);
  return soak_below(16) ? 0 : -ECANCELED;
}
static void expect_pattern(const struct shoal_object *o, int which) {
  const unsigned char *byte = o->memory;
  for (uint64_t i = 0; i < o->size; i++)
    if (byte[i] != 0x40 + which) {
      soak_fault("byte %lu of object %d is %x", i, which, byte[i]);
      return;
    }
}
static void one_step(void) {
  char name[16];
  struct shoal_object o;
  int which = (int)soak_below(NAMES), fill = 0x40 + which, rc;
  uint64_t size = 1 + soak_below(soak_below(4) ? 2000 : 30000);
  snprintf(name, sizeof name, "o%d", which);
  switch (soak_below(4)) {
    case 0: rc = shoal_object_create(seg, name, TYPE, size, pattern, &fill, &o); break;
    case 1: rc = shoal_object_open_or_create(seg, name, TYPE, size, pattern, &fill, &o); break;
    case 2: rc = shoal_object_open(seg, name, TYPE, &o); break;
    default:
      rc = shoal_object_remove(seg, name);
      SOAK_EXPECT(rc == 0 || rc == -ENOENT, "remove: %d %s", rc, shoal_reason());
      return;
  }
  SOAK_EXPECT(rc == 0 || rc == -ENOENT || rc == -EEXIST || rc == -ECANCELED, "%d %s", rc, shoal_reason());
  if (rc) return;
  expect_pattern(&o, which);
  if (soak_below(8) == 0) soak_pause_us(soak_below(200));
  expect_pattern(&o, which);
  rc = shoal_object_close(seg, &o);
  SOAK_EXPECT(rc == 0, "close: %d %s", rc, shoal_reason());
}
static void directory_work(uint32_t id, int seat) {
  (void)id, (void)seat;
  for (;;) {
    one_step();
    __atomic_fetch_add(steps, 1, __ATOMIC_RELAXED);
    if (soak_below(64) == 0) shoal_proc_leave(seg);
  }
}
static uint64_t directory_progress(void) { return *steps; }
// Nobody is left: every name can be removed, and every unit is free.
static void directory_end(void) {
  struct shoal_segment_info info;
  char name[16];
  for (int seat = 0; seat < 6; seat++) soak_kill(seat);
  for (int i = 0; i < NAMES; i++) {
    snprintf(name, sizeof name, "o%d", i);
    int rc = shoal_object_remove(seg, name);
    SOAK_EXPECT(rc == 0 || rc == -ENOENT, "remove: %d %s", rc, shoal_reason());
  }
  shoal_proc_reap(seg);
  shoal_segment_info(seg, &info);
  SOAK_EXPECT(info.objects == 0 && info.used == 0, "%u objects, %lu bytes are left", info.objects, info.used);
  SOAK_EXPECT(info.participants == 0, "%u participants are left", info.participants);
  soak.done += *steps;
  int rc = shoal_segment_close(seg);
  SOAK_EXPECT(rc == 0, "close: %d %s", rc, shoal_reason());
}
const struct soak_room soak_directory = {
    "directory", 6, directory_begin, directory_work, directory_progress, NULL, directory_end, NULL, NULL};
