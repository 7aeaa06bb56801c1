#include "sync/seqlock.h"

#include "core/error.h"

static int is_seqlock(const struct shoal_seqlock *s) {
  return __atomic_load_n(&s->kind, __ATOMIC_RELAXED) == SHOAL_SEQLOCK_KIND_;
}
static uint64_t size_of(const struct shoal_seqlock *s) { return __atomic_load_n(&s->size, __ATOMIC_RELAXED); }
static uint64_t lines(uint64_t size) { return (size + 63) / 64 * 64; }
static uint64_t version_of(const struct shoal_seqlock *s) { return shoal_load64_relaxed(&s->sequence) / 2; }

static void *draft_of(struct shoal_seqlock *s, uint64_t size) {
  return (char *)(s + 1) + (size <= SHOAL_SEQLOCK_SMALL_ ? 0 : 2 * lines(size));
}

int shoal_seqlock_refuse_(const struct shoal_seqlock *s, uint64_t size) {
  if (!is_seqlock(s)) return shoal_fail_(-EINVAL, "not a seqlock, or one that has been destroyed");
  return shoal_fail_(-EBADMSG, "its values have %lu bytes, not %lu", (unsigned long)size_of(s), (unsigned long)size);
}

// ---- with the word ----

// Killed at any instruction: the younger copy is whole.
static void publish(struct shoal_seqlock *s, const void *value, uint64_t size) {
  uint64_t version = version_of(s);
  shoal_store64_release(&s->sequence, 2 * version + 1);  // [S5] pairs with [S2]; [S3] is after it
  shoal_words_write_(shoal_seqlock_copy_(s, size, version + 1), value, size);
  shoal_store64_release(&s->sequence, 2 * version + 2);  // [S1] pairs with [S2]
}

static int take(struct shoal_seqlock *s, uint64_t size, shoal_deadline deadline) {
  if (!is_seqlock(s) || size_of(s) != size) return shoal_seqlock_refuse_(s, size);
  int rc = shoal_robust_acquire_(&s->writer, deadline);
  if (rc == -EDEADLK) return shoal_fail_(rc, "the calling thread, %u, has begun already", shoal_self_()->tid);
  if (rc && rc != -EOWNERDEAD) return rc;  // what a dead one left is not to be read: nothing is in doubt
  if (is_seqlock(s)) return 0;
  shoal_robust_release_(&s->writer);
  return shoal_seqlock_refuse_(s, size);
}

int shoal_seqlock_store(struct shoal_seqlock *s, const void *value, uint64_t size, shoal_deadline deadline) {
  int rc = take(s, size, deadline);
  if (rc) return rc;
  publish(s, value, size);
  shoal_robust_release_(&s->writer);
  return 0;
}

// The draft is what was committed last, unless somebody has stored since, cancelled or died.
int shoal_seqlock_begin(struct shoal_seqlock *s, uint64_t size, void **draft, shoal_deadline deadline) {
  int rc = take(s, size, deadline);
  if (rc) return rc;
  uint64_t version = version_of(s);
  *draft = draft_of(s, size);
  if (s->draft != version) shoal_words_read_(shoal_seqlock_copy_(s, size, version), *draft, size);
  s->draft = 0;
  SHOAL_COMPILER_BARRIER();  // before the caller changes it
  return 0;
}

static int not_mine(const struct shoal_seqlock *s) {
  return shoal_robust_owner(shoal_load32_relaxed(&s->writer.word)) == shoal_self_()->tid
             ? 0
             : shoal_fail_(-EPERM, "the calling thread, %u, has begun nothing", shoal_self_()->tid);
}

int shoal_seqlock_commit(struct shoal_seqlock *s, uint64_t size) {
  int rc = not_mine(s);
  if (rc) return rc;
  if (size_of(s) != size) return shoal_seqlock_refuse_(s, size);
  publish(s, draft_of(s, size), size);
  SHOAL_COMPILER_BARRIER();  // not before: another may publish another value as this version
  s->draft = version_of(s);
  shoal_robust_release_(&s->writer);
  return 0;
}

int shoal_seqlock_cancel(struct shoal_seqlock *s) {
  int rc = not_mine(s);
  if (rc == 0) shoal_robust_release_(&s->writer);
  return rc;
}

// ---- the lock ----

uint64_t shoal_seqlock_size(uint64_t size) {
  if (size - 1 >= SHOAL_SEQLOCK_MAX) return 0;
  return sizeof(struct shoal_seqlock) + (size <= SHOAL_SEQLOCK_SMALL_ ? 1 : 3) * lines(size);
}

int shoal_seqlock_init(struct shoal_seqlock *s, uint64_t size, const void *first) {
  uint64_t bytes = shoal_seqlock_size(size);
  if (!bytes) return shoal_fail_(-EINVAL, "values of %lu bytes", (unsigned long)size);
  int rc = shoal_robust_check();
  if (rc) return rc;
  memset(s, 0, bytes);
  s->kind = SHOAL_SEQLOCK_KIND_;
  s->size = size;
  shoal_store64_relaxed(&s->sequence, 2);
  if (first) shoal_words_write_(shoal_seqlock_copy_(s, size, 1), first, size);
  return 0;
}

int shoal_seqlock_destroy(struct shoal_seqlock *s) {
  int rc = take(s, size_of(s), SHOAL_TRY);
  if (rc == -EAGAIN || rc == -EDEADLK) return shoal_fail_(-EBUSY, "a writer has it");
  if (rc) return rc;
  __atomic_store_n(&s->size, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&s->kind, 0, __ATOMIC_RELAXED);
  shoal_robust_release_(&s->writer);
  return 0;
}

int shoal_seqlock_check_(const struct shoal_seqlock *s, uint64_t size) {
  if (size < sizeof *s || !is_seqlock(s)) return shoal_fail_(-EPROTO, "no seqlock");
  uint64_t needed = shoal_seqlock_size(size_of(s));
  return needed && needed <= size ? 0
                                  : shoal_fail_(-EPROTO, "values of %lu bytes do not fit", (unsigned long)size_of(s));
}

int shoal_seqlock_info(const struct shoal_seqlock *s, struct shoal_seqlock_info *out) {
  uint32_t word = shoal_load32_relaxed(&s->writer.word);
  *out = (struct shoal_seqlock_info){.version = shoal_seqlock_version(s),
                                     .size = size_of(s),
                                     .writer = shoal_robust_owner(word),
                                     .waiters = (word & FUTEX_WAITERS) != 0,
                                     .dead = shoal_robust_is_dead(word) && !shoal_robust_owner(word)};
  return 0;
}

// ---- by name ----

static int check(const void *memory, uint64_t size) { return shoal_seqlock_check_(memory, size); }

SHOAL_NAMED_DEFINE_(shoal_seqlock, "seqlock", check, shoal_seqlock_size(size), shoal_seqlock_init(it, size, first),
                    uint64_t size, const void *first)

// Objects of one size hold values of several.
static int of_size(struct shoal_segment *seg, struct shoal_seqlock *s, uint64_t size, struct shoal_seqlock **out) {
  if (size_of(s) == size) {
    *out = s;
    return 0;
  }
  (void)shoal_seqlock_close(seg, s);
  return shoal_fail_(-EBADMSG, "its values do not have %lu bytes", (unsigned long)size);
}

int shoal_seqlock_open_sized(struct shoal_segment *seg, const char *name, uint64_t size, struct shoal_seqlock **out) {
  struct shoal_seqlock *s = NULL;
  int rc = shoal_seqlock_open(seg, name, &s);
  return rc ? rc : of_size(seg, s, size, out);
}

int shoal_seqlock_open_or_create_sized(struct shoal_segment *seg, const char *name, uint64_t size, const void *first,
                                       struct shoal_seqlock **out) {
  struct shoal_seqlock *s = NULL;
  int rc = shoal_seqlock_open_or_create(seg, name, size, first, &s);
  return rc ? rc : of_size(seg, s, size, out);
}
