// Large files: the walker makes the part, workers fill its ranges, the walker gives it its name.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "examples/copy_tree/copy.h"
#include "examples/copy_tree/data.h"

static uint64_t ranges_of(int64_t size) { return (uint64_t)((size + RANGE_BYTES - 1) / RANGE_BYTES); }

static struct large *add(struct copy *c, const char *name, const struct stat *st) {
  if (c->large_count == c->large_room) {
    size_t room = c->large_room ? 2 * c->large_room : 16;
    struct large *moved = realloc(c->larges, room * sizeof *moved);
    if (!moved) return NULL;
    c->larges = moved;
    c->large_room = room;
  }
  char *copy = strdup(name);
  if (!copy) return NULL;
  struct large *l = &c->larges[c->large_count++];
  *l = (struct large){c->walk.at, *st, copy, ranges_of(st->st_size), 0, c->verifying};
  return l;
}

static int send_ranges(struct copy *c, enum work work, uint32_t large, const char *name, int64_t size) {
  struct unit u;
  memset(&u, 0, offsetof(struct unit, names));
  u.dir = c->walk.at;
  u.work = work;
  u.large = large;
  u.count = 1;
  u.names[0] = LARGE;
  u.used = (uint32_t)strlen(name) + 2;
  memcpy(u.names + 1, name, u.used - 1);
  int rc = 0;
  for (u.from = 0; u.from < size && !rc; u.from = u.to) {
    u.to = size - u.from < RANGE_BYTES ? size : u.from + RANGE_BYTES;
    rc = crew_send(&c->crew, &u);
  }
  return rc;
}

static struct hand hand_of(struct copy *c, const struct trees *t, uint64_t large) {
  struct hand h = hand_in(c, t, &c->f->copied);
  h.unit = LARGE_UNIT + large;
  h.inherits = meta_inherits(h.to);
  return h;
}

static void finish(struct copy *c, uint64_t large) {
  struct large *l = &c->larges[large];
  int rc = trees_go(&c->other, l->dir);
  if (rc) return complain(c, l->dir, l->name, STEP_OPEN, rc);
  struct hand h = hand_of(c, &c->other, large);
  if (!l->failed && part_finish(&h, l->name, &l->st)) {
    l->failed = 1;
    complain(c, l->dir, l->name, h.step, h.code);
  }
  if (l->failed) unlinkat(h.to, part_name(c->job, h.unit, 0).name, 0);
}

// 1: all of it is there already, by sharing its blocks; 0; -1, said.
static int make_part(struct copy *c, struct hand *h, const char *name, const struct stat *st) {
  struct part part = part_name(c->job, h->unit, 0);
  int to = openat(h->to, part.name, O_CREAT | O_TRUNC | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0600);
  if (to < 0) return hand_failed(h, STEP_MAKE, errno);
  int from = open_unseen(h->from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  int rc = from < 0 ? hand_failed(h, STEP_OPEN, errno) : data_clone(from, to, st->st_dev);
  if (!rc && ftruncate(to, st->st_size)) rc = hand_failed(h, STEP_COPY, errno);
  if (from >= 0) close(from);
  close(to);
  return rc;
}

static int there(struct copy *c, struct hand *h, const char *name, const struct stat *st) {
  if (!c->job->resume || !entry_there(h, name, st)) return 0;
  c->f->copied.skipped++;
  c->f->copied.bytes += (uint64_t)st->st_size;
  return 1;
}

int large_begin(struct copy *c, const char *name, const struct stat *st) {
  struct hand h = hand_of(c, &c->walk, c->large_count);
  if (there(c, &h, name, st)) return 0;
  struct large *l = add(c, name, st);
  if (!l) return -ENOMEM;
  uint32_t large = (uint32_t)(c->large_count - 1);
  int made = make_part(c, &h, name, st);
  if (made == 0) return send_ranges(c, COPY_RANGE, large, name, st->st_size);
  l->left = 0;
  if (made < 0) complain(c, l->dir, name, h.step, h.code), l->failed = 1;
  else c->f->copied.bytes += (uint64_t)st->st_size;
  finish(c, large);
  return 0;
}

int large_verify(struct copy *c, const char *name, const struct stat *st) {
  if (!add(c, name, st)) return -ENOMEM;
  return send_ranges(c, VERIFY_RANGE, (uint32_t)(c->large_count - 1), name, st->st_size);
}

// Of a file that fails, one range says so.
int large_result(struct copy *c, const struct result *r) {
  struct large *l = &c->larges[r->large];
  struct failure f;
  l->left--;
  if (r->failures && !l->failed) {
    memcpy(&f, r->failure, sizeof f);
    complain(c, r->dir, l->name, f.step, f.code);
    l->failed = 1;
  }
  if (!l->left && !l->verifying) finish(c, r->large);
  return 0;
}

// Given up half-way, it leaves no parts.
void large_free(struct copy *c) {
  for (size_t i = 0; i < c->large_count; i++) {
    struct large *l = &c->larges[i];
    if (l->left && !l->verifying && trees_go(&c->other, l->dir) == 0)
      unlinkat(c->other.fd[COPY], part_name(c->job, LARGE_UNIT + i, 0).name, 0);
    free(l->name);
  }
  free(c->larges);
}
