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
  *l = (struct large){c->walk.at, *st, copy, 0, ranges_of(st->st_size), 0, c->verifying};
  return l;
}

static int has_more(const struct copy *c, size_t large) { return c->larges[large].sent < c->larges[large].st.st_size; }

static int send_range(struct copy *c, size_t large) {
  struct large *l = &c->larges[large];
  struct unit u;
  memset(&u, 0, offsetof(struct unit, names));
  u.dir = l->dir;
  u.work = l->verifying ? VERIFY_RANGE : COPY_RANGE;
  u.large = (uint32_t)large;
  u.count = 1;
  u.names[0] = LARGE;
  u.used = (uint32_t)strlen(l->name) + 2;
  memcpy(u.names + 1, l->name, u.used - 1);
  u.from = l->sent;
  u.to = l->st.st_size - u.from < RANGE_BYTES ? l->st.st_size : u.from + RANGE_BYTES;
  int rc = crew_send(&c->crew, &u);
  if (!rc) l->sent = u.to;
  return rc;
}

int large_turn(struct copy *c) {
  unsigned left = 0;
  int rc = 0;
  for (unsigned i = 0; i < c->open_count; i++) {
    if (!rc) rc = send_range(c, c->open[i]);
    if (has_more(c, c->open[i])) c->open[left++] = c->open[i];
  }
  c->open_count = left;
  return rc;
}

int large_end(struct copy *c) {
  int rc = 0;
  while (c->open_count && !rc) rc = large_turn(c);
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
  size_t large = c->large_count - 1;
  int made = make_part(c, &h, name, st), rc = 0;
  if (made == 0) {
    c->open[c->open_count++] = (uint32_t)large;
    while (c->open_count >= c->job->workers && !rc) rc = large_turn(c);
    return rc;
  }
  l->left = 0;
  if (made < 0) complain(c, l->dir, name, h.step, h.code), l->failed = 1;
  else c->f->copied.bytes += (uint64_t)st->st_size;
  finish(c, large);
  return 0;
}

int large_verify(struct copy *c, const char *name, const struct stat *st) {
  size_t large = c->large_count;
  int rc = add(c, name, st) ? 0 : -ENOMEM;
  while (!rc && has_more(c, large)) rc = send_range(c, large);
  return rc;
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
