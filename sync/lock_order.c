#include "sync/lock_order.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/reach.h"

#define MAGIC UINT64_C(0x72656472306b636c)
#define NAME_BITS 6u
#define NAMES SHOAL_LOCK_ORDER_NAMES
SHOAL_STATIC_ASSERT(NAMES == 1u << NAME_BITS, "a name's number stands below the place of a line");

// ---- what is attached ----

static char *line_of(const void *at) { return (char *)((uintptr_t)at & ~(uintptr_t)(SHOAL_CACHE_LINE - 1)); }
static uint64_t place_of(const struct shoal_ordered_ *o, const struct shoal_lock_order *order, unsigned name) {
  return (uint64_t)((const char *)order - line_of(o)) | name;
}
static struct shoal_lock_order *order_at(const struct shoal_ordered_ *o, uint64_t place) {
  return (struct shoal_lock_order *)((uintptr_t)line_of(o) + (uintptr_t)(place & ~(uint64_t)(NAMES - 1)));
}
static unsigned name_of(const struct shoal_ordered_ *o) { return shoal_load64_relaxed(&o->place) & (NAMES - 1); }

static int whole(const struct shoal_lock_order *order) {
  return __atomic_load_n(&order->magic_, __ATOMIC_RELAXED) == MAGIC;
}
// Where a shared word leads: the kernel looks first, and answers where we would crash. Writable, so that no constant
// passes for an order.
static int is_order(const struct shoal_lock_order *order) {
  return shoal_readable_(order, sizeof *order) == sizeof *order && shoal_writable_(&order->writer.word) && whole(order);
}
// NULL: its place leads to no order, so it counts as not attached.
static struct shoal_lock_order *order_of(const struct shoal_ordered_ *o) {
  static __thread const struct shoal_lock_order *seen;  // stays mapped as long as the locks
  struct shoal_lock_order *order = order_at(o, shoal_load64_relaxed(&o->place));
  if (SHOAL_LIKELY(order == seen)) return order;
  if (!is_order(order)) return NULL;
  seen = order;
  return order;
}

static void take_writer(struct shoal_lock_order *order) {
  int rc = shoal_robust_acquire_(&order->writer, SHOAL_FOREVER);
  (void)rc;  // -EOWNERDEAD: all is in order at any time
}
static void drop_writer(struct shoal_lock_order *order) { shoal_robust_release_(&order->writer); }

static uint32_t names_of(const struct shoal_lock_order *order) {
  uint32_t n = shoal_load32_acquire(&order->names);  // [N2] pairs with [N1]: the names counted are written
  return n < NAMES ? n : NAMES;
}

// The number of `name`, which it has from now on. -ENOSPC.
static int number(struct shoal_lock_order *order, const char *name) {
  uint32_t n, i;
  take_writer(order);
  n = names_of(order);
  for (i = 0; i < n && strncmp(order->name[i], name, SHOAL_LOCK_ORDER_NAME_MAX + 1) != 0; i++) continue;
  if (i == n && n < NAMES) {
    memcpy(order->name[n], name, strlen(name) + 1);
    shoal_store32_release(&order->names, n + 1);  // [N1] pairs with [N2]
  }
  drop_writer(order);
  return i < NAMES ? (int)i : shoal_fail_(-ENOSPC, "no more than %u names", NAMES);
}

// For one that is attached. A name that is refused is not learned: there are few.
static int same(const struct shoal_ordered_ *o, const struct shoal_lock_order *order, const char *name) {
  unsigned its = (unsigned)shoal_load64_acquire(&o->place) & (NAMES - 1);  // [N6] pairs with [N5]: the name is written
  if (order_at(o, shoal_load64_relaxed(&o->place)) == order &&
      strncmp(order->name[its], name, SHOAL_LOCK_ORDER_NAME_MAX + 1) == 0)
    return 0;
  return shoal_fail_(-EEXIST, "the lock is in another order, or has another name");
}

int shoal_ordered_attach_(struct shoal_ordered_ *o, struct shoal_lock_order *order, const char *name) {
  if (!whole(order)) return shoal_fail_(-EINVAL, "not a lock order, or a destroyed one");
  if (!name || !*name) return shoal_fail_(-EINVAL, "a lock in an order has a name");
  if (strnlen(name, SHOAL_LOCK_ORDER_NAME_MAX + 1) > SHOAL_LOCK_ORDER_NAME_MAX)
    return shoal_fail_(-ENAMETOOLONG, "a name of more than %d bytes", SHOAL_LOCK_ORDER_NAME_MAX);
  if (shoal_load64_relaxed(&o->place)) return same(o, order, name);
  int n = number(order, name);
  if (n < 0) return n;
  uint64_t none = 0, place = place_of(o, order, (unsigned)n);
  return shoal_cas64_release(&o->place, &none, place) ? 0 : same(o, order, name);  // [N5] pairs with [N6]
}

// ---- reports ----

static struct {
  void (*report)(const char *what, void *arg);
  void *arg;
} told;

void shoal_lock_order_report(void (*report)(const char *, void *), void *arg) {
  told.arg = arg;
  told.report = report;
}

struct text {
  char line[SHOAL_LOCK_ORDER_TEXT];
  size_t n;
};
SHOAL_STATIC_ASSERT(SHOAL_LOCK_ORDER_TEXT % 8 == 0, "whole words");
// Appends; what does not fit is cut off.
#define say(t, ...) grown(t, snprintf((t)->line + (t)->n, sizeof(t)->line - (t)->n, __VA_ARGS__))
static void grown(struct text *t, int n) {
  if (n > 0) t->n = t->n + (size_t)n < sizeof t->line ? t->n + (size_t)n : sizeof t->line - 1;
}
static const char *called(const struct shoal_lock_order *order, unsigned name) { return order->name[name % NAMES]; }

static int tell(struct shoal_lock_order *order, shoal_atomic64 *counter, const struct text *t, int code) {
  uint64_t words[SHOAL_LOCK_ORDER_TEXT / 8];
  memcpy(words, t->line, sizeof words);
  take_writer(order);
  for (unsigned i = 0; i < SHOAL_LOCK_ORDER_TEXT / 8; i++) shoal_store64_relaxed(&order->last[i], words[i]);
  drop_writer(order);
  shoal_add64_relaxed(counter, 1);
  if (told.report) told.report(t->line, told.arg);
  if (code) shoal_note_("%s", t->line);
  return code;
}

// ---- the graph ----

struct chain {
  unsigned n;
  uint8_t name[NAMES];
};

// The shortest way from `from` to `to`, both included.
static int find_chain(const struct shoal_lock_order *order, unsigned from, unsigned to, struct chain *out) {
  uint8_t queue[NAMES], came_from[NAMES] = {0};
  uint64_t seen = UINT64_C(1) << from;
  unsigned n = 0;
  queue[n++] = (uint8_t)from;
  for (unsigned i = 0; i < n; i++) {
    uint64_t next = shoal_load64_relaxed(&order->after[queue[i]]) & ~seen;
    seen |= next;
    for (; next; next &= next - 1) {
      unsigned at = (unsigned)__builtin_ctzll(next);
      came_from[at] = queue[i];
      queue[n++] = (uint8_t)at;
    }
  }
  if (!(seen >> to & 1)) return 0;
  out->n = 1;
  for (unsigned at = to; at != from; at = came_from[at]) out->n++;
  for (unsigned i = out->n, at = to; i--; at = came_from[at]) out->name[i] = (uint8_t)at;
  return 1;
}

static void describe(const struct shoal_lock_order *order, unsigned held, unsigned wanted, const struct chain *c,
                     struct text *t) {
  say(t, "thread %s holds \"%.31s\" and wants \"%.31s\", but ", shoal_thread_name_(shoal_self_()->tid).text,
      called(order, held), called(order, wanted));
  if (held == wanted) say(t, "nothing orders two of that name");
  for (unsigned i = 0; i + 1 < c->n; i++)
    say(t, "%s\"%.31s\" was held when \"%.31s\" was acquired", i ? ", " : "", called(order, c->name[i]),
        called(order, c->name[i + 1]));
}

// `wanted` is acquired while `held` is, for the first time: an edge, unless there is a way back.
static int add_edge(struct shoal_lock_order *order, unsigned held, unsigned wanted) {
  struct text t = {.n = 0};
  struct chain back;
  take_writer(order);
  int cycle = find_chain(order, wanted, held, &back);
  uint64_t after = shoal_load64_relaxed(&order->after[held]);
  if (!cycle) shoal_store64_relaxed(&order->after[held], after | UINT64_C(1) << wanted);
  drop_writer(order);
  if (!cycle) return 0;
  describe(order, held, wanted, &back, &t);
  return tell(order, &order->cycles, &t, order->flags & SHOAL_LOCK_ORDER_STRICT ? -EDEADLK : 0);
}

// ---- what this thread holds ----

#define HELD_MAX 32
static __thread struct held {
  uint32_t epoch, n;
  const struct shoal_ordered_ *what[HELD_MAX];
} mine;

static struct held *held(void) {
  uint32_t epoch = shoal_self_()->epoch;
  if (mine.epoch != epoch) mine.epoch = epoch, mine.n = 0;  // a child of fork holds nothing
  return &mine;
}

int shoal_ordered_enter_(const struct shoal_ordered_ *o, int waits) {
  struct shoal_lock_order *order = order_of(o);
  unsigned name = name_of(o);
  struct held *h = held();
  if (SHOAL_UNLIKELY(!order)) return 0;
  for (uint32_t i = 0; i < h->n; i++)
    if (h->what[i] == o) return 0;
  for (uint32_t i = 0; waits && i < h->n; i++) {
    if (order_of(h->what[i]) != order) continue;
    unsigned before = name_of(h->what[i]);
    uint64_t after = shoal_load64_relaxed(&order->after[before]);
    int rc = after >> name & 1 ? 0 : add_edge(order, before, name);
    if (rc) return rc;
  }
  if (h->n < HELD_MAX) h->what[h->n++] = o;
  else shoal_add64_relaxed(&order->untracked, 1);
  return 0;
}

void shoal_ordered_leave_(const struct shoal_ordered_ *o) {
  struct held *h = held();
  uint32_t i = h->n;
  while (i && h->what[i - 1] != o) i--;
  if (i == 0) return;
  for (h->n--; i <= h->n; i++) h->what[i - 1] = h->what[i];
}

// ---- who waits for whom ----
//
// A thread that waits for ever sits; its seat says for which word (record, from the order on; 0: not), of which name
// (event), and in which of its waits (spare).

#define CIRCLE_MAX 32
struct link {
  uint64_t record;
  uint32_t owner, wait, name, unused;  // compared as bytes: no padding
};

static const struct shoal_seat *seat_of(const struct shoal_lock_order *order, uint32_t tid) {
  for (uint32_t i = 0, top = shoal_seats_top_(&order->seats); i < top; i++) {
    const struct shoal_seat *seat = shoal_seat_at_(&order->seats, i);
    if (shoal_robust_owner(shoal_seat_word_(seat)) != tid) continue;
    if ((uint32_t)shoal_seat_owner_(seat) == tid) return seat;  // else a dead one's, and it is the heir
  }
  return NULL;
}

// Owner after owner, each waiting for the next: how many until it is `me`; 0: it ends elsewhere.
static unsigned follow(const struct shoal_lock_order *order, const shoal_atomic32 *word, uint32_t me,
                       struct link links[CIRCLE_MAX]) {
  for (unsigned n = 0; n < CIRCLE_MAX; n++) {
    struct link *l = &links[n];
    *l = (struct link){.owner = shoal_robust_owner(shoal_load32_seq_cst(word))};  // [W1]
    if (l->owner == me) return n + 1;
    const struct shoal_seat *seat = l->owner ? seat_of(order, l->owner) : NULL;
    if (!seat) return 0;
    l->record = shoal_load64_seq_cst(&seat->record);  // [W1]
    l->wait = shoal_load32_relaxed(&seat->spare);     // after it: a wait begins with its number
    l->name = shoal_load32_relaxed(&seat->event);
    word = (const shoal_atomic32 *)((uintptr_t)order + (uintptr_t)l->record);
    if (l->record == 0 || l->record % sizeof *word || !shoal_readable_(word, sizeof *word)) return 0;
  }
  return 0;
}

// Seen twice alike, each in the same wait: so at the moment between all waited, and none can let go of what it holds.
static unsigned circle(const struct shoal_lock_order *order, const shoal_atomic32 *word, uint32_t me,
                       struct link links[CIRCLE_MAX]) {
  struct link again[CIRCLE_MAX];
  unsigned n = follow(order, word, me, links);
  if (n == 0 || follow(order, word, me, again) != n) return 0;
  return memcmp(links, again, n * sizeof *links) == 0 ? n : 0;
}

static int deadlock(struct shoal_lock_order *order, unsigned name, uint32_t me, const struct link *links, unsigned n) {
  struct text t = {.n = 0};
  say(&t, "thread %s would wait for \"%.31s\"", shoal_thread_name_(me).text, called(order, name));
  for (unsigned i = 0; i + 1 < n; i++)
    say(&t, ", whose holder %s waits for \"%.31s\"", shoal_thread_name_(links[i].owner).text,
        called(order, links[i].name));
  say(&t, ", which it holds itself");
  return tell(order, &order->deadlocks, &t, -EDEADLK);
}

static void recover(struct shoal_seat *seat, void *arg) {
  (void)arg;
  shoal_store64_relaxed(&seat->record, 0);
  shoal_store32_relaxed(&seat->event, 0);
}
static struct shoal_seat *my_seat(struct shoal_lock_order *order, struct shoal_thread_ *t) {
  struct shoal_seat *seat = shoal_seat_mine_(t, &order->seats);
  if (!seat && shoal_seat_reap_(&order->seats, recover, NULL)) seat = shoal_seat_mine_(t, &order->seats);
  if (!seat) shoal_add64_relaxed(&order->untracked, 1);
  return seat;
}

int shoal_ordered_wait_(const struct shoal_ordered_ *o, struct shoal_robust *r, struct shoal_thread_ *t,
                        shoal_deadline deadline) {
  struct shoal_lock_order *order = order_of(o);
  struct shoal_seat *seat = order && shoal_deadline_is_forever(deadline) ? my_seat(order, t) : NULL;
  struct link links[CIRCLE_MAX];
  if (!seat) return shoal_robust_acquire_slow_(r, t, deadline);
  shoal_seat_sit_(t, seat);
  shoal_store32_relaxed(&seat->event, name_of(o));
  shoal_store32_relaxed(&seat->spare, shoal_load32_relaxed(&seat->spare) + 1);
  shoal_exchange64_seq_cst(&seat->record, (uint64_t)((char *)&r->word - (char *)order));  // [W1]
  unsigned n = circle(order, &r->word, t->tid, links);
  int rc = n ? deadlock(order, name_of(o), t->tid, links, n) : shoal_robust_acquire_slow_(r, t, deadline);
  shoal_store64_relaxed(&seat->record, 0);
  shoal_store32_relaxed(&seat->event, 0);
  shoal_seat_rise_unwatched_(t, seat);  // `r` may be ours by now, and not in the list yet: it is what is pending
  return rc;
}

// ---- life ----

uint64_t shoal_lock_order_size(uint32_t threads) {
  uint64_t seats = shoal_seats_size_(threads);
  return seats ? sizeof(struct shoal_lock_order) + seats : 0;
}

int shoal_lock_order_init(struct shoal_lock_order *order, uint32_t flags, uint32_t threads) {
  uint64_t size = shoal_lock_order_size(threads);
  if (flags & ~SHOAL_LOCK_ORDER_STRICT) return shoal_fail_(-EINVAL, "unknown flags %x", flags);
  if (size) memset(order, 0, size);
  int rc = shoal_seats_init_(&order->seats, threads);
  if (rc) return rc;
  order->flags = flags;
  order->magic_ = MAGIC;
  return 0;
}

int shoal_lock_order_destroy(struct shoal_lock_order *order) {
  if (!whole(order)) return shoal_fail_(-EINVAL, "not a lock order, or a destroyed one");
  __atomic_store_n(&order->magic_, 0, __ATOMIC_RELAXED);
  return 0;
}

int shoal_lock_order_info(const struct shoal_lock_order *order, struct shoal_lock_order_info *out) {
  struct shoal_lock_order_info info = {.cycles = shoal_load64_relaxed(&order->cycles),
                                       .deadlocks = shoal_load64_relaxed(&order->deadlocks),
                                       .untracked = shoal_load64_relaxed(&order->untracked),
                                       .names = names_of(order)};
  for (unsigned i = 0; i < NAMES; i++)
    info.edges += (uint32_t)__builtin_popcountll(shoal_load64_relaxed(&order->after[i]));
  uint64_t words[SHOAL_LOCK_ORDER_TEXT / 8];
  for (unsigned i = 0; i < SHOAL_LOCK_ORDER_TEXT / 8; i++) words[i] = shoal_load64_relaxed(&order->last[i]);
  memcpy(info.last, words, sizeof info.last - 1);
  *out = info;
  return 0;
}

static int check(const void *memory, uint64_t size) {
  const struct shoal_lock_order *order = memory;
  if (!whole(order)) return shoal_fail_(-EPROTO, "a destroyed or damaged lock order");
  uint64_t needed = shoal_lock_order_size(order->seats.count);
  if (needed == 0 || size < needed) return shoal_fail_(-EPROTO, "more seats than there is room for");
  return 0;
}

SHOAL_NAMED_DEFINE_(shoal_lock_order, "lock_order", check, shoal_lock_order_size(threads),
                    shoal_lock_order_init(it, flags, threads), uint32_t flags, uint32_t threads)
