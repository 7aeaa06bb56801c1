// ipc/queue/spsc.h: a ring for one producer and one consumer, in shared memory, that outlives either of them.
//
// USE
//   SHOAL_SPSC_TYPED(ticks, struct tick)                            // once, at file level
//   uint64_t bytes = shoal_spsc_size(1024, sizeof(struct tick));
//   rc = shoal_spsc_init(shm, bytes, 1024, sizeof(struct tick));    // `shm`: zeroed or not, aligned to 64; once
//
//   ticks_producer p; rc = ticks_produce(&p, shm, bytes);           // takes the role; from a dead owner too
//   rc = ticks_try_put(&p, &tick);                                  // 0, or -EAGAIN: full
//   ticks_consumer c; rc = ticks_consume(&c, shm, bytes);
//   rc = ticks_try_get(&c, &tick);                                  // 0, or -EAGAIN: empty
//   for (struct tick *t; (t = ticks_peek(&c)); ticks_release(&c)) work(t);  // in place; seen again if we die in work()
//
// LAYOUT   "group count". Messages lie in groups of cache lines. A group's first word counts what is published up to
//   and in it, so that a small message and the word that announces it travel in one line. Counts never wrap.
//
//     header | group 0: [count| m0 m1 .. ] | group 1: [count| .. ] | ..     message i: group i / slots, slot i % slots
//
//   Element up to 56 bytes: a group is a line. Above: a line for the count, then about 2 KiB of messages, each on a
//   line of its own. An element is aligned to the largest power of two that divides its size, up to 64.
//
// SAFETY   each role belongs to one thread at a time, the one that took it, and to its private struct: not to a copy of
//   it, not to a forked child. The two roles may run together in any two threads or processes. In a signal handler only
//   if its thread is not inside a call on the same role. A foreign or damaged ring is refused (-EPROTO), or looks empty
//   or full: sizes and bounds are private, a shared word is read once and checked. (Not so the links in the two
//   owner words: core/robust.h.)
// ORDERING [P1] a count is stored after the messages it counts; [C1] it is read before them.
//   [C2] `released` is stored after the messages before it were read; [P2] it is read before they are written over.
//   A put takes effect with its [P1] (a batch: one a group, in order), a get with its store of `taken`.
// CRASH    a producer killed anywhere leaves a prefix of its batch, each message whole, none doubled: a count is the
//   only word that says so, and the successor's position is rebuilt from the counts. A consumer killed anywhere: what
//   it took is its own (`taken`); a message it had peeked and not released is seen by its successor. Between `taken`
//   and the use of a copy there is a gap that nothing can close: who must not lose a message peeks, uses, releases.
//   No death hinders the other role; deaths are told by the owner words.
// COST     put: copy, one store of the count. get: copy, one store of `taken`, in a line nobody else reads. Reserve and
//   peek: no copy. Once a quantum of groups: the other side's index. No read-modify-write, no system call. 8-byte
//   elements: 9.1 bytes a message. One quantum (a quarter, at most 32 KiB) is kept beside the capacity.
//   A consumer that has caught up takes each line from under the producer's pen. In a stream it keeps off for a moment
//   where that pays: shoal_spsc_keep_off().
// SOURCE   own; the lazy index in the manner of Lee et al., "A lock-free, cache-efficient shared ring buffer" (2009).
#pragma once

#include <string.h>

#include "core/robust.h"

SHOAL_BEGIN

#define SHOAL_SPSC_CAPACITY_MAX (1u << 30)  // messages
#define SHOAL_SPSC_ELEMENT_MAX (1u << 30)   // bytes

struct shoal_spsc_shm {
  // Whoever initialises; never changed after.
  shoal_atomic32 magic;         // last
  shoal_atomic32 element_size;  // bytes; with it the shape of a group
  shoal_atomic32 groups;
  shoal_atomic32 quantum;  // groups that the consumer releases at once, 1..groups - 1
  uint32_t reserved_[12];
  struct shoal_robust producer;  // who has the role; its thread, the kernel at its death
  uint64_t reserved_producer_[3];
  // The consumer; a multiple of a group's messages, never above `taken`. The producer reads it when its credit is used.
  shoal_atomic64 released;
  uint64_t reserved_released_[15];
  // The consumer; nobody reads it but a successor.
  shoal_atomic64 taken;
  struct shoal_robust consumer;  // as `producer`
  uint64_t reserved_consumer_[10];
  // Then the groups. The producer, all of it.
} SHOAL_ALIGNED(SHOAL_CACHE_LINE);
SHOAL_STATIC_ASSERT(sizeof(struct shoal_spsc_shm) == 384 && offsetof(struct shoal_spsc_shm, producer) == 64 &&
                        offsetof(struct shoal_spsc_shm, released) == 128 &&
                        offsetof(struct shoal_spsc_shm, taken) == 256 &&
                        offsetof(struct shoal_spsc_shm, consumer) == 264,
                    "two lines for what each role writes: neighbours are fetched in pairs");

// How messages lie in a group. Follows from the element size alone, so the compiler knows it where that is a constant.
struct shoal_spsc_shape_ {
  uint32_t element, stride, offset;  // bytes of a message; from one to the next; before the first
  uint32_t slots, group;             // messages and bytes of a group
};

struct shoal_spsc_producer {  // private to the thread that has the role
  uint64_t next, end;         // the next message's number; the first number of the next group
  shoal_atomic64 *count;      // of its group
  uint64_t limit;             // the first number that the consumer has not made room for
  char *first, *last;         // groups
  uint64_t total;             // messages in all groups
  struct shoal_spsc_shm *shm;
  struct shoal_spsc_shape_ shape;
  uint32_t inherited;  // the role's last owner had died with it
};

struct shoal_spsc_keep_off_ {  // private: whether to keep off the frontier, see shoal_spsc_keep_off()
  uint32_t due, on;            // wait before the next look; it is being done
  uint32_t ns, phase;          // for how long, 0: never; of the trial
  uint32_t span, hold, won;    // messages of this phase, of the next hold; what the last trial found
  uint64_t met, begun;         // where the frontier was last met; where this phase began
  int64_t begun_ns, off_pace;  // when; time a message without
};

struct shoal_spsc_consumer {  // private to the thread that has the role
  uint64_t next, ready, end;  // the next message's number; the first not known to be there; the first of the next group
  shoal_atomic64 *count;      // of its group
  char *first, *last;         // groups
  struct shoal_spsc_shm *shm;
  uint32_t quantum, crossings;  // groups; until the next release
  struct shoal_spsc_keep_off_ keep_off;
  struct shoal_spsc_shape_ shape;
  uint32_t inherited;  // the role's last owner had died with it: the first message may have been peeked before
};

// ---- the ring: slow paths ----

// Bytes of a ring of at least `capacity` (1..SHOAL_SPSC_CAPACITY_MAX) elements of `element_size` bytes
// (1..SHOAL_SPSC_ELEMENT_MAX); 0: out of these ranges.
uint64_t shoal_spsc_size(uint32_t capacity, uint32_t element_size);

// Makes an empty ring in `bytes` bytes at `shm`, which nobody else uses yet. -EINVAL: a range, too few bytes, or not
// aligned to SHOAL_CACHE_LINE.
int shoal_spsc_init(struct shoal_spsc_shm *shm, uint64_t bytes, uint32_t capacity,
                    uint32_t element_size) SHOAL_MUST_CHECK;

// Takes the producer's role for the calling thread and goes on where its last owner stopped: left, or died, anywhere.
// -EBUSY its owner lives (this thread included); -EPROTO no sound ring of `bytes` bytes; -EBADMSG its elements have
// another size; -ENOSYS. Never sleeps.
int shoal_spsc_produce(struct shoal_spsc_producer *p, struct shoal_spsc_shm *shm, uint64_t bytes,
                       uint32_t element_size) SHOAL_MUST_CHECK;
// The same for the consumer's role.
int shoal_spsc_consume(struct shoal_spsc_consumer *c, struct shoal_spsc_shm *shm, uint64_t bytes,
                       uint32_t element_size) SHOAL_MUST_CHECK;

// Gives the role back and wipes the private struct. What was reserved or peeked and not finished was not done. -EPERM:
// the calling thread does not have it.
int shoal_spsc_producer_leave(struct shoal_spsc_producer *p);
int shoal_spsc_consumer_leave(struct shoal_spsc_consumer *c);

// How long a get may wait before it looks again, having caught up with a stream; 0: never. Where messages come one by
// one, back and forth, it never does. In a stream it tries both from time to time, on 512 messages, and waits only
// while that brings a quarter more messages a second. A new consumer's is SHOAL_SPSC_KEEP_OFF_NS.
#define SHOAL_SPSC_KEEP_OFF_NS 1600
void shoal_spsc_keep_off(struct shoal_spsc_consumer *c, uint32_t ns);

struct shoal_spsc_info {
  uint32_t element_size;
  uint64_t capacity;            // puts never answer -EAGAIN below it
  uint64_t size;                // messages put and not taken: a moment's value
  uint64_t put;                 // since the ring was made
  uint32_t producer, consumer;  // thread ids of the owners; 0: nobody, or dead
};
// -EPROTO. Anybody may, at any time; never changes the ring.
int shoal_spsc_info(const struct shoal_spsc_shm *shm, uint64_t bytes, struct shoal_spsc_info *out);

// ---- for who recovers from an owner's death, before the role is taken again ----
// Where the next message would be put, or is to be taken from; NULL: full, empty, damaged, of another element size.
void *shoal_spsc_put_slot_(struct shoal_spsc_shm *shm, uint64_t bytes, uint32_t element_size);
void *shoal_spsc_get_slot_(struct shoal_spsc_shm *shm, uint64_t bytes, uint32_t element_size);
// The message there was received: the next owner begins behind it.
void shoal_spsc_received_(struct shoal_spsc_shm *shm);

// ---- internals of the fast path ----

SHOAL_INLINE struct shoal_spsc_shape_ shoal_spsc_shape_(uint32_t element) {
  struct shoal_spsc_shape_ s;
  uint32_t alignment = element & (0u - element);
  s.element = element;
  if (element <= SHOAL_CACHE_LINE - sizeof(shoal_atomic64)) {
    s.stride = element;
    s.offset = alignment < sizeof(shoal_atomic64) ? (uint32_t)sizeof(shoal_atomic64) : alignment;
    s.slots = (SHOAL_CACHE_LINE - s.offset) / element;
    s.group = SHOAL_CACHE_LINE;
  } else {
    s.stride = (element + SHOAL_CACHE_LINE - 1) & ~(SHOAL_CACHE_LINE - 1u);
    s.offset = SHOAL_CACHE_LINE;
    s.slots = s.stride < 32 * SHOAL_CACHE_LINE ? 31 * SHOAL_CACHE_LINE / s.stride : 1;
    s.group = s.offset + s.slots * s.stride;
  }
  return s;
}

// Whether the consumer has made room for another group.
int shoal_spsc_room_(struct shoal_spsc_producer *p);
// Gives back the groups that are read, once a quantum.
void shoal_spsc_give_back_(struct shoal_spsc_consumer *c);
// Waits before a look, as shoal_spsc_frontier_ has said.
void shoal_spsc_wait_(struct shoal_spsc_consumer *c);
// Less than the rest of the group is there, `n` messages: whether to wait for more. How many there are then. `got`: the
// caller has some already, so not now.
uint32_t shoal_spsc_frontier_(struct shoal_spsc_consumer *c, uint32_t n, uint32_t got);

// Where message `next` lies, of the group with that count and `end`. Not kept: that would be a store for each message.
SHOAL_INLINE char *shoal_spsc_at_(shoal_atomic64 *count, uint64_t next, uint64_t end, struct shoal_spsc_shape_ s) {
  return (char *)count + s.offset + (size_t)(s.slots - (end - next)) * s.stride;
}
SHOAL_INLINE char *shoal_spsc_group_after_(shoal_atomic64 *count, char *first, char *last, struct shoal_spsc_shape_ s) {
  return (char *)count == last ? first : (char *)count + s.group;
}

// The lines that will be written lie with the consumer, who has read them: asks for those that come eight later.
SHOAL_INLINE void shoal_spsc_fetch_(const char *at, struct shoal_spsc_shape_ s) {
  shoal_prefetch_write(at + (ptrdiff_t)8 * SHOAL_CACHE_LINE);
  if (s.stride > SHOAL_CACHE_LINE) shoal_prefetch_write(at + (ptrdiff_t)9 * SHOAL_CACHE_LINE);
}

// Moves on to the next group. 0: it has no room.
SHOAL_INLINE int shoal_spsc_enter_(struct shoal_spsc_producer *p, struct shoal_spsc_shape_ s) {
  if (SHOAL_UNLIKELY(p->limit - p->next < s.slots) && !shoal_spsc_room_(p)) return 0;
  char *group = shoal_spsc_group_after_(p->count, p->first, p->last, s);
  p->count = (shoal_atomic64 *)group;
  p->end += s.slots;
  if (s.group == SHOAL_CACHE_LINE) shoal_spsc_fetch_(group, s);
  return 1;
}

// How many messages are there from `next` on. A count of the lap before, or one that makes no sense, is none.
SHOAL_INLINE uint32_t shoal_spsc_published_(const struct shoal_spsc_consumer *c) {
  // [C1] pairs with [P1]: the messages counted are there
  uint64_t n = shoal_load64_acquire(c->count) - c->next;
  return SHOAL_LIKELY(n <= c->end - c->next) ? (uint32_t)n : 0;
}

// Looks for messages beyond `ready`, in the next group if this one is used up. 0: there are none.
SHOAL_INLINE int shoal_spsc_look_(struct shoal_spsc_consumer *c, uint32_t got, struct shoal_spsc_shape_ s) {
  if (c->next == c->end) {
    char *group = shoal_spsc_group_after_(c->count, c->first, c->last, s);
    c->count = (shoal_atomic64 *)group;
    c->end += s.slots;
    if (SHOAL_UNLIKELY(--c->crossings == 0)) shoal_spsc_give_back_(c);
  } else if (SHOAL_UNLIKELY(c->keep_off.due)) {
    shoal_spsc_wait_(c);
  }
  if (s.offset >= SHOAL_CACHE_LINE) {  // the message flies beside its count
    const char *slot = shoal_spsc_at_(c->count, c->next, c->end, s);
    __builtin_prefetch(slot, 0, 3);
    if (s.stride > SHOAL_CACHE_LINE) __builtin_prefetch(slot + SHOAL_CACHE_LINE, 0, 3);
  }
  uint32_t n = shoal_spsc_published_(c);
  if (n != c->end - c->next) n = shoal_spsc_frontier_(c, n, got);
  c->ready = c->next + n;
  return n != 0;
}

SHOAL_INLINE void *shoal_spsc_reserve_(struct shoal_spsc_producer *p, struct shoal_spsc_shape_ s) {
  if (SHOAL_UNLIKELY(p->next == p->end) && !shoal_spsc_enter_(p, s)) return NULL;
  return shoal_spsc_at_(p->count, p->next, p->end, s);
}
SHOAL_INLINE void shoal_spsc_commit_(struct shoal_spsc_producer *p, struct shoal_spsc_shape_ s) {
  if (s.group > SHOAL_CACHE_LINE) shoal_spsc_fetch_(shoal_spsc_at_(p->count, p->next + 1, p->end, s), s);
  // [P1] pairs with [C1]: a consumer that sees the count sees the message, not what was in its slot before
  shoal_store64_release(p->count, ++p->next);
}
SHOAL_INLINE void *shoal_spsc_peek_(struct shoal_spsc_consumer *c, struct shoal_spsc_shape_ s) {
  if (SHOAL_UNLIKELY(c->next == c->ready) && !shoal_spsc_look_(c, 0, s)) return NULL;
  return shoal_spsc_at_(c->count, c->next, c->end, s);
}
SHOAL_INLINE void shoal_spsc_take_(struct shoal_spsc_consumer *c, struct shoal_spsc_shape_ s) {
  (void)s;
  shoal_store64_relaxed(&c->shm->taken, ++c->next);
}
SHOAL_INLINE void shoal_spsc_release_(struct shoal_spsc_consumer *c, struct shoal_spsc_shape_ s) {
  SHOAL_COMPILER_BARRIER();  // what was done with the message is in memory before it counts as done
  shoal_spsc_take_(c, s);
}
SHOAL_INLINE uint32_t shoal_spsc_least_(uint32_t a, uint64_t b) { return b < a ? (uint32_t)b : a; }

// Copies one message. A small one word by word: it was just written that way, and a wider load would wait until those
// stores have left the processor's buffer.
SHOAL_INLINE void shoal_spsc_copy_(void *to, const void *from, uint32_t size) {
  if (size > SHOAL_CACHE_LINE || size % sizeof(uint64_t)) {
    memcpy(to, from, size);
    return;
  }
#pragma GCC unroll 8
  for (uint32_t i = 0; i < size; i += sizeof(uint64_t)) {
    uint64_t word;
    memcpy(&word, (const char *)from + i, sizeof word);
    __asm__("" : "+r"(word));  // not to be made wider again
    memcpy((char *)to + i, &word, sizeof word);
  }
}
// Copies `k` messages: a whole group's at once where that is a constant, otherwise one by one. The compiler shall make
// no string instruction of that: it takes longer to start than a group to copy.
SHOAL_INLINE void shoal_spsc_copy_n_(char *to, size_t to_stride, const char *from, size_t from_stride, uint32_t k,
                                     struct shoal_spsc_shape_ s) {
  if (k == s.slots && s.stride == s.element) {
    memcpy(to, from, (size_t)s.slots * s.element);
    return;
  }
  for (; k; k--, to += to_stride, from += from_stride) {
    memcpy(to, from, s.element);
    __asm__("" : "+r"(to));
  }
}

SHOAL_INLINE int shoal_spsc_put_(struct shoal_spsc_producer *p, const void *element, struct shoal_spsc_shape_ s) {
  void *slot = shoal_spsc_reserve_(p, s);
  if (SHOAL_UNLIKELY(!slot)) return -EAGAIN;
  shoal_spsc_copy_(slot, element, s.element);
  shoal_spsc_commit_(p, s);
  return 0;
}
SHOAL_INLINE int shoal_spsc_get_(struct shoal_spsc_consumer *c, void *element, struct shoal_spsc_shape_ s) {
  const void *slot = shoal_spsc_peek_(c, s);
  if (SHOAL_UNLIKELY(!slot)) return -EAGAIN;
  shoal_spsc_copy_(element, slot, s.element);
  shoal_spsc_take_(c, s);
  return 0;
}
SHOAL_INLINE uint32_t shoal_spsc_put_n_(struct shoal_spsc_producer *p, const void *elements, uint32_t n,
                                        struct shoal_spsc_shape_ s) {
  const char *from = (const char *)elements;
  uint32_t done = 0;
  while (done < n && shoal_spsc_reserve_(p, s)) {
    uint32_t k = shoal_spsc_least_(n - done, p->end - p->next);
    char *slot = shoal_spsc_at_(p->count, p->next, p->end, s);
    for (uint32_t i = 0; s.group > SHOAL_CACHE_LINE && i < k; i++) shoal_spsc_fetch_(slot + (size_t)i * s.stride, s);
    shoal_spsc_copy_n_(slot, s.stride, from + (size_t)done * s.element, s.element, k, s);
    p->next += k;
    done += k;
    shoal_store64_release(p->count, p->next);  // [P1]
  }
  return done;
}
SHOAL_INLINE uint32_t shoal_spsc_get_n_(struct shoal_spsc_consumer *c, void *elements, uint32_t n,
                                        struct shoal_spsc_shape_ s) {
  char *to = (char *)elements;
  uint32_t done = 0;
  while (done < n) {
    if (c->next == c->ready && !shoal_spsc_look_(c, done, s)) break;
    uint32_t k = shoal_spsc_least_(n - done, c->ready - c->next);
    const char *slot = shoal_spsc_at_(c->count, c->next, c->end, s);
    shoal_spsc_copy_n_(to + (size_t)done * s.element, s.element, slot, s.stride, k, s);
    c->next += k;
    done += k;
    if (c->next != c->end) break;  // had enough, or met the producer: the next line is under its pen
  }
  if (done) shoal_store64_relaxed(&c->shm->taken, c->next);
  return done;
}

// ---- the ring, the element size known at run time ----

// One message, copied; seen by the consumer when this returns. 0, or -EAGAIN: full.
int shoal_spsc_try_put(struct shoal_spsc_producer *p, const void *element);
// One message, copied. 0, or -EAGAIN: empty.
int shoal_spsc_try_get(struct shoal_spsc_consumer *c, void *element);
// Up to `n` messages, copied in order; how many. Published group by group: a death leaves a prefix.
uint32_t shoal_spsc_try_put_n(struct shoal_spsc_producer *p, const void *elements, uint32_t n);
// Up to `n` messages, copied in order; how many.
uint32_t shoal_spsc_try_get_n(struct shoal_spsc_consumer *c, void *elements, uint32_t n);
// Where the next message may be written, or NULL: full. The same place until it is committed.
SHOAL_INLINE void *shoal_spsc_reserve(struct shoal_spsc_producer *p) { return shoal_spsc_reserve_(p, p->shape); }
// Publishes what was reserved.
SHOAL_INLINE void shoal_spsc_commit(struct shoal_spsc_producer *p) { shoal_spsc_commit_(p, p->shape); }
// The next message in its place, or NULL: empty. The same one until it is released, by this owner or a successor.
SHOAL_INLINE void *shoal_spsc_peek(struct shoal_spsc_consumer *c) { return shoal_spsc_peek_(c, c->shape); }
// Done with what was peeked.
SHOAL_INLINE void shoal_spsc_release(struct shoal_spsc_consumer *c) { shoal_spsc_release_(c, c->shape); }

SHOAL_END

// The same for elements of type T, with roles that are types of their own. Only forwards, with a constant shape.
// clang-format off
#define SHOAL_SPSC_TYPED(name, T) \
  typedef struct { struct shoal_spsc_producer role; } name##_producer; \
  typedef struct { struct shoal_spsc_consumer role; } name##_consumer; \
  SHOAL_INLINE uint64_t name##_size(uint32_t capacity) { return shoal_spsc_size(capacity, sizeof(T)); } \
  SHOAL_INLINE int name##_init(struct shoal_spsc_shm *shm, uint64_t bytes, uint32_t capacity) { \
    return shoal_spsc_init(shm, bytes, capacity, sizeof(T)); } \
  SHOAL_INLINE int name##_produce(name##_producer *p, struct shoal_spsc_shm *shm, uint64_t bytes) { \
    return shoal_spsc_produce(&p->role, shm, bytes, sizeof(T)); } \
  SHOAL_INLINE int name##_consume(name##_consumer *c, struct shoal_spsc_shm *shm, uint64_t bytes) { \
    return shoal_spsc_consume(&c->role, shm, bytes, sizeof(T)); } \
  SHOAL_INLINE int name##_producer_leave(name##_producer *p) { return shoal_spsc_producer_leave(&p->role); } \
  SHOAL_INLINE int name##_consumer_leave(name##_consumer *c) { return shoal_spsc_consumer_leave(&c->role); } \
  SHOAL_INLINE int name##_try_put(name##_producer *p, const T *element) { \
    return shoal_spsc_put_(&p->role, element, shoal_spsc_shape_(sizeof(T))); } \
  SHOAL_INLINE int name##_try_get(name##_consumer *c, T *element) { \
    return shoal_spsc_get_(&c->role, element, shoal_spsc_shape_(sizeof(T))); } \
  SHOAL_INLINE uint32_t name##_try_put_n(name##_producer *p, const T *elements, uint32_t n) { \
    return shoal_spsc_put_n_(&p->role, elements, n, shoal_spsc_shape_(sizeof(T))); } \
  SHOAL_INLINE uint32_t name##_try_get_n(name##_consumer *c, T *elements, uint32_t n) { \
    return shoal_spsc_get_n_(&c->role, elements, n, shoal_spsc_shape_(sizeof(T))); } \
  SHOAL_INLINE T *name##_reserve(name##_producer *p) { \
    return (T *)shoal_spsc_reserve_(&p->role, shoal_spsc_shape_(sizeof(T))); } \
  SHOAL_INLINE void name##_commit(name##_producer *p) { shoal_spsc_commit_(&p->role, shoal_spsc_shape_(sizeof(T))); } \
  SHOAL_INLINE T *name##_peek(name##_consumer *c) { \
    return (T *)shoal_spsc_peek_(&c->role, shoal_spsc_shape_(sizeof(T))); } \
  SHOAL_INLINE void name##_release(name##_consumer *c) { shoal_spsc_release_(&c->role, shoal_spsc_shape_(sizeof(T))); }
// clang-format on
