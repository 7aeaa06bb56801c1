// What comes when all contents are there.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "examples/copy_tree/copy.h"
#include "examples/copy_tree/walk.h"

// ---- further names ----

// The first name may have failed, and another file be there of old.
static int first_is_there(const struct trees *t, const struct first *f) {
  struct stat have;
  if (fstatat(t->fd[COPY], f->name, &have, AT_SYMLINK_NOFOLLOW)) return 0;
  return !((have.st_mode ^ f->st.st_mode) & S_IFMT) && have.st_size == f->st.st_size &&
         have.st_mtim.tv_sec == f->st.st_mtim.tv_sec && have.st_mtim.tv_nsec == f->st.st_mtim.tv_nsec;
}

static void make_link(struct copy *c, const struct later *l) {
  int rc = trees_go(&c->walk, l->dir);
  if (!rc) rc = trees_go(&c->other, l->first->dir);
  if (rc) return complain(c, l->dir, l->name, STEP_LINK, rc);
  struct hand h = hand_in(c, &c->walk, &c->f->copied);
  if (!first_is_there(&c->other, l->first)) complain(c, l->dir, l->name, STEP_LINK, ENOENT);
  else if (entry_link(&h, c->other.fd[COPY], l->first->name, l->name)) complain(c, l->dir, l->name, h.step, h.code);
  else c->f->links++;
}

void make_links(struct copy *c) {
  for (size_t i = 0; i < c->links.count; i++) make_link(c, &c->links.later[i]);
}

// ---- directories ----

static int dress_dir(struct copy *c, const struct stat *st, const struct timespec *times, enum step *step) {
  const struct spot from = {c->walk.fd[SOURCE], -1, NULL}, to = {c->walk.fd[COPY], -1, NULL};
  struct stat have;
  *step = STEP_OPEN;
  if (fstat(to.fd, &have) || meta_copy(from, to, st, &have, 0, c->job->root, step)) return -errno;
  return meta_times(to, times, step) ? -errno : 0;
}

static void finish_dir(struct copy *c, shoal_off dir) {
  const struct dir *d = dir_at(c->seg, dir);
  struct stat st;
  enum step step = STEP_OPEN;
  int rc = d ? trees_go(&c->walk, dir) : -EPROTO;
  if (!rc && fstat(c->walk.fd[SOURCE], &st)) rc = -errno;
  const struct timespec times[2] = {{d ? d->times[0] : 0, d ? d->times[1] : 0},
                                    {d ? d->times[2] : 0, d ? d->times[3] : 0}};
  if (!rc) rc = dress_dir(c, &st, times, &step);
  if (rc) complain(c, dir, NULL, step, rc);
}

// Children first: what they are given changes no parent's times, and a parent that may not be written to is made so
// last.
void finish_dirs(struct copy *c) {
  const struct stat *top = &c->job->top;
  const struct timespec times[2] = {top->st_atim, top->st_mtim};
  enum step step;
  for (size_t i = c->dir_count; i-- > 0;)
    if (c->dirs[i]) finish_dir(c, c->dirs[i]);
  trees_leave(&c->walk);
  int rc = dress_dir(c, top, times, &step);
  if (rc) complain(c, 0, NULL, step, rc);
}

// ---- --verify ----

static int verify_entry(void *arg, const char *name, const struct stat *st) {
  struct copy *c = arg;
  if (!st) return complain(c, c->walk.at, name, STEP_OPEN, errno), 0;
  if (S_ISDIR(st->st_mode)) return 0;
  if (S_ISREG(st->st_mode) && st->st_size >= LARGE_BYTES) {
    int rc = add_entry(c, VERIFY_ENTRIES, LARGE, name, 0);
    return rc ? rc : large_verify(c, name, st);
  }
  char type = S_ISREG(st->st_mode) ? REGULAR : S_ISLNK(st->st_mode) ? SYMLINK : SPECIAL;
  return add_entry(c, VERIFY_ENTRIES, type, name, st->st_size);
}

static void verify_dir(struct copy *c, shoal_off dir) {
  const struct spot from = {c->walk.fd[SOURCE], -1, NULL}, to = {c->walk.fd[COPY], -1, NULL};
  struct stat st, have;
  if (fstat(from.fd, &st) || fstat(to.fd, &have)) return complain(c, dir, NULL, STEP_OPEN, errno);
  int same = meta_same(from, to, &st, &have, c->job->root);
  if (same) complain(c, dir, NULL, same < 0 ? STEP_XATTR : (enum step)same, same < 0 ? same : 0);
}

static int verify_one(struct copy *c, shoal_off dir) {
  int rc = trees_go(&c->walk, dir);
  if (rc) return complain(c, dir, NULL, STEP_OPEN, rc), 0;
  verify_dir(c, dir);
  rc = walk_dir(c->walk.fd[SOURCE], verify_entry, c);
  int sent = flush(c);
  return rc ? rc : sent;
}

static void verify_link(struct copy *c, const struct later *l) {
  struct stat a, b;
  int rc = trees_go(&c->walk, l->dir);
  if (!rc) rc = trees_go(&c->other, l->first->dir);
  if (rc) return complain(c, l->dir, l->name, STEP_OPEN, rc);
  if (fstatat(c->walk.fd[COPY], l->name, &a, AT_SYMLINK_NOFOLLOW)) return;  // said when entries were compared
  if (fstatat(c->other.fd[COPY], l->first->name, &b, AT_SYMLINK_NOFOLLOW) || a.st_dev != b.st_dev ||
      a.st_ino != b.st_ino)
    complain(c, l->dir, l->name, DIFFERS_LINK, 0);
}

int verify_all(struct copy *c) {
  c->verifying = 1;
  progress_start(&c->progress, "verify", &c->f->checked, c->job, c->f);
  int rc = verify_one(c, 0);
  for (size_t i = 0; i < c->dir_count && !rc; i++)
    if (c->dirs[i]) rc = verify_one(c, c->dirs[i]);
  if (!rc) rc = crew_settle(&c->crew);
  for (size_t i = 0; i < c->links.count && !rc; i++) verify_link(c, &c->links.later[i]);
  progress_wipe(&c->progress);
  return rc;
}
