#include "tests/crash/soak_ledger.h"

#include <string.h>

#include "core/error.h"
#include "core/heap.h"

enum { SENT = 1, DONE = 2, HAND = 4, BURIED = 8 };
#define CHECK_OF(place) ((place) ^ 0x5eed0f1eu)

void ledger_begin(struct ledger *l) {
  if (!l->place) {
    l->place = soak_shared(LEDGER_PLACES);
    l->hands = soak_shared((uint64_t)SOAK_WORKERS * LEDGER_HAND_BYTES);
    l->counts = soak_shared(sizeof *l->counts);
  }
  memset(l->place, 0, l->counts->next < LEDGER_PLACES ? l->counts->next : LEDGER_PLACES);
  memset(l->counts, 0, sizeof *l->counts);
  for (int seat = 0; seat < SOAK_WORKERS; seat++) ledger_drop(l, seat);
}

struct ledger_head ledger_next(struct ledger *l) {
  uint64_t place = __atomic_fetch_add(&l->counts->next, 1, __ATOMIC_SEQ_CST);
  if (place >= LEDGER_PLACES) place = LEDGER_PLACES;
  return (struct ledger_head){(uint32_t)place, CHECK_OF((uint32_t)place)};
}
static uint8_t mark(struct ledger *l, uint32_t place, uint8_t what) {
  return __atomic_fetch_or(&l->place[place], what, __ATOMIC_SEQ_CST);
}
void ledger_sent(struct ledger *l, uint32_t place) { mark(l, place, SENT); }
int ledger_is_full(const struct ledger *l) { return l->counts->next > LEDGER_PLACES / 2; }

static int known(const struct ledger *l, struct ledger_head head) {
  return head.place < LEDGER_PLACES && head.place < l->counts->next && head.check == CHECK_OF(head.place);
}
int ledger_sound(struct ledger *l, struct ledger_head head) {
  int is = known(l, head);
  SOAK_EXPECT(is, "received %x %x, which nobody sent", head.place, head.check);
  return is;
}

struct ledger_head *ledger_hand(struct ledger *l, int seat) {
  return (struct ledger_head *)(void *)(l->hands + (uint64_t)seat * LEDGER_HAND_BYTES);
}
void ledger_hold(struct ledger *l, int seat, struct ledger_head head) {
  __atomic_store_n((uint64_t *)(void *)ledger_hand(l, seat), (uint64_t)head.check << 32 | head.place, __ATOMIC_SEQ_CST);
}
void ledger_drop(struct ledger *l, int seat) { ledger_hold(l, seat, (struct ledger_head){0, 0}); }
void ledger_done(struct ledger *l, int seat) {
  if (mark(l, ledger_hand(l, seat)->place, DONE) & DONE) __atomic_fetch_add(&l->counts->twice, 1, __ATOMIC_SEQ_CST);
  __atomic_fetch_add(&l->counts->done, 1, __ATOMIC_SEQ_CST);
  ledger_drop(l, seat);
}
void ledger_buried(struct ledger *l, uint32_t place) { mark(l, place, BURIED); }
void ledger_blind(struct ledger *l, int seat, int blind) {
  __atomic_store_n(&l->counts->seat_blind[seat], (uint32_t)blind, __ATOMIC_SEQ_CST);
}

int ledger_is_over(const struct ledger *l, uint32_t place) {
  for (int look = 0; look < 2; look++) {  // from a hand it goes to the ledger before it leaves the hand
    if (__atomic_load_n(&l->place[place], __ATOMIC_SEQ_CST) & (DONE | HAND | BURIED)) return 1;
    for (int seat = 0; seat < SOAK_WORKERS && look == 0; seat++)
      if (__atomic_load_n((uint64_t *)(void *)(l->hands + (uint64_t)seat * LEDGER_HAND_BYTES), __ATOMIC_SEQ_CST) ==
          ((uint64_t)CHECK_OF(place) << 32 | place))
        return 1;
  }
  return 0;
}

void ledger_bury(struct ledger *l, int seat) {
  struct ledger_head head = *ledger_hand(l, seat);
  if (known(l, head)) mark(l, head.place, HAND);  // else killed while it was copied: it comes again
  ledger_drop(l, seat);
  l->counts->blind += l->counts->seat_blind[seat];
  l->counts->seat_blind[seat] = 0;
}

uint64_t ledger_missing(struct ledger *l) {
  uint64_t missing = 0;
  for (uint64_t i = 0; i < l->counts->next && i < LEDGER_PLACES; i++)
    missing += (l->place[i] & (SENT | DONE | HAND | BURIED)) == SENT;
  return missing;
}
void ledger_settle(struct ledger *l) {
  uint64_t missing = ledger_missing(l);
  soak.lost += missing > l->counts->blind ? missing - l->counts->blind : 0;
  soak.doubled += l->counts->twice;
  soak.done += l->counts->done;
}

void ledger_expect_no_block(struct shoal_segment *seg) {
  struct shoal_heap *heap;
  struct shoal_heap_info info = {0};
  int rc = shoal_heap_open(seg, &heap);
  SOAK_EXPECT(rc == 0, "heap: %d %s", rc, shoal_reason());
  if (rc) return;
  shoal_heap_reap(heap);
  shoal_heap_info(heap, &info);
  SOAK_EXPECT(info.blocks == 0, "%lu blocks are left, %u of them objects'", info.blocks, info.objects);
  shoal_heap_close(heap);
}
