#include "examples/copy_tree/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "examples/copy_tree/walk.h"

#define SPARE 16  // participants beside workers: this process, and dead ones not yet reaped

// ---- saying so ----

// A name may hold anything but '/' and NUL, and a line is a line.
static void put_name(FILE *out, const char *name) {
  for (; *name; name++) {
    if ((unsigned char)*name >= ' ' && *name != 127 && *name != '\\') fputc(*name, out);
    else fprintf(out, "\\%03o", (unsigned char)*name);
  }
}

void complain(struct copy *c, shoal_off dir, const char *name, enum step step, int code) {
  char *path = trees_path(&c->walk, dir);
  progress_wipe(&c->progress);
  fputs("copy_tree: ", stderr);
  put_name(stderr, c->job->source);
  if (path && *path) fputc('/', stderr), put_name(stderr, path);
  if (name) fputc('/', stderr), put_name(stderr, name);
  fprintf(stderr, ": %s", step_text(step));
  if (code) fprintf(stderr, ": %s", strerror(code < 0 ? -code : code));
  fputc('\n', stderr);
  free(path);
  ++*(c->verifying ? &c->f->differing : &c->f->failed);
}

struct hand hand_in(struct copy *c, const struct trees *t, struct tally *tally) {
  return (struct hand){.job = c->job, .from = t->fd[SOURCE], .to = t->fd[COPY], .unit = LARGE_UNIT, .tally = tally};
}

// ---- units ----

static void tally_add(struct tally *to, const struct tally *t) {
  to->files += t->files;
  to->symlinks += t->symlinks;
  to->specials += t->specials;
  to->skipped += t->skipped;
  to->verified += t->verified;
  to->bytes += t->bytes;
  to->failed += t->failed;
}

static void complain_of_all(struct copy *c, const struct result *r) {
  struct failure f;
  for (uint32_t at = 0; at < r->failures;) {
    const char *name = r->failure + at + sizeof f;
    memcpy(&f, r->failure + at, sizeof f);
    complain(c, r->dir, name, f.step, f.code);
    at += (uint32_t)(sizeof f + strlen(name) + 1);
  }
}

static int take(void *arg, const struct result *r) {
  struct copy *c = arg;
  if (r->work == COPY_RANGE || r->work == VERIFY_RANGE) {
    (c->verifying ? &c->f->checked : &c->f->copied)->bytes += r->tally.bytes;
    return large_result(c, r);
  }
  tally_add(c->verifying ? &c->f->checked : &c->f->copied, &r->tally);
  complain_of_all(c, r);
  return 0;
}

static void tick(void *arg) { progress_show(&((struct copy *)arg)->progress); }

int flush(struct copy *c) {
  struct unit *u = &c->draft;
  int rc = u->count ? crew_send(&c->crew, u) : 0;
  int sent = u->count != 0;
  u->count = u->used = 0;
  u->to = 0;
  return rc || !sent ? rc : large_turn(c);
}

int add_entry(struct copy *c, enum work work, char type, const char *name, int64_t size) {
  struct unit *u = &c->draft;
  uint32_t length = (uint32_t)strlen(name) + 2;
  int rc = u->count == UNIT_ENTRIES || u->used + length > UNIT_NAMES || u->to >= UNIT_BYTES ? flush(c) : 0;
  u->dir = c->walk.at;
  u->work = work;
  u->count++;
  u->to += size;  // of no use to entries but here
  u->names[u->used] = type;
  memcpy(u->names + u->used + 1, name, length - 1);
  u->used += length;
  return rc;
}

// ---- the walk ----

static int note_dir(struct copy *c, const char *name, const struct stat *st) {
  if (c->dir_count == c->dir_room) {
    size_t room = c->dir_room ? 2 * c->dir_room : 256;
    shoal_off *moved = realloc(c->dirs, room * sizeof *moved);
    if (!moved) return -ENOMEM;
    c->dirs = moved;
    c->dir_room = room;
  }
  int rc = dir_add(c->heap, c->seg, c->walk.at, name, st, &c->dirs[c->dir_count]);
  c->dir_count += rc == 0;
  return rc;
}

// One that is there already must let itself be written to.
static int old_dir(struct copy *c, const char *name) {
  struct stat have;
  if (fstatat(c->hand.to, name, &have, AT_SYMLINK_NOFOLLOW)) return -errno;
  if (!S_ISDIR(have.st_mode)) return -EEXIST;
  if (c->job->root || (have.st_mode & 0700) == 0700) return 0;
  return fchmodat(c->hand.to, name, (have.st_mode & 07777) | 0700, 0) ? -errno : 0;
}

static void disinherit(struct copy *c, const char *name) {
  int fd = openat(c->hand.to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return;
  meta_forget_inherited(fd);
  close(fd);
}

static int enter(struct copy *c, const char *name, const struct stat *st) {
  int rc = 0;
  if (st->st_dev == c->job->copy_top.st_dev && st->st_ino == c->job->copy_top.st_ino) rc = -ELOOP;
  else if (mkdirat(c->hand.to, name, 0700)) rc = errno == EEXIST ? old_dir(c, name) : -errno;
  else if (c->hand.inherits) disinherit(c, name);
  if (rc) return complain(c, c->walk.at, name, STEP_MAKE, rc), 0;
  return note_dir(c, name, st);
}

static int visit(void *arg, const char *name, const struct stat *st) {
  struct copy *c = arg;
  if (!st) return complain(c, c->walk.at, name, STEP_OPEN, errno), 0;
  if (S_ISDIR(st->st_mode)) return enter(c, name, st);
  if (st->st_nlink > 1) {
    int rc = links_meet(&c->links, c->walk.at, name, st);
    if (rc) return rc < 0 ? rc : 0;
  }
  if (S_ISREG(st->st_mode) && st->st_size >= LARGE_BYTES) return large_begin(c, name, st);
  char type = S_ISREG(st->st_mode) ? REGULAR : S_ISLNK(st->st_mode) ? SYMLINK : SPECIAL;
  return add_entry(c, COPY_ENTRIES, type, name, st->st_size);
}

// What a killed run had not made whole.
static int clean(void *arg, const char *name) {
  struct copy *c = arg;
  if (part_is_one(name)) unlinkat(c->hand.to, name, 0);
  return 0;
}

// One that cannot be gone into is left as it is from here on.
static int walk_one(struct copy *c, shoal_off *at) {
  shoal_off dir = *at;
  int rc = trees_go(&c->walk, dir);
  if (rc) return complain(c, dir, NULL, STEP_OPEN, rc), *at = 0, 0;
  c->hand = hand_in(c, &c->walk, &c->f->copied);
  c->hand.inherits = meta_inherits(c->hand.to);
  if (c->job->resume && (rc = walk_names(c->hand.to, clean, c))) complain(c, dir, NULL, STEP_OPEN, rc);
  rc = walk_dir(c->hand.from, visit, c);
  int sent = flush(c);
  if (rc == -EACCES || rc == -EPERM || rc == -EIO || rc == -ENOENT) complain(c, dir, NULL, STEP_OPEN, rc), rc = 0;
  return rc ? rc : sent;
}

static int copy_contents(struct copy *c) {
  progress_start(&c->progress, "copy", &c->f->copied, c->job, c->f);
  shoal_off root = 0;
  int rc = walk_one(c, &root);
  for (size_t i = 0; i < c->dir_count && !rc; i++) rc = walk_one(c, &c->dirs[i]);
  if (!rc) rc = large_end(c);
  if (!rc) rc = crew_settle(&c->crew);
  progress_wipe(&c->progress);
  return rc;
}

// ---- all of it ----

static int set_up(struct copy *c) {
  const struct job *job = c->job;
  const struct shoal_segment_options small = {
      .size = UINT64_C(4) << 20, .participants = job->workers + SPARE, .objects = 80};  // a heap takes 64 at most
  int rc = shoal_segment_create(NULL, &small, &c->seg);
  if (!rc) rc = shoal_heap_open(c->seg, &c->heap);
  if (rc) return fprintf(stderr, "copy_tree: %s: %s\n", shoal_strerror(rc), shoal_reason()), rc;
  c->walk = c->other = trees_at_root(c->seg, job->from, job->to);
  c->crew = (struct crew){.job = job, .f = c->f, .take = take, .tick = tick, .arg = c};
  return crew_start(&c->crew, c->seg);
}

static void tear_down(struct copy *c) {
  crew_free(&c->crew);
  large_free(c);
  links_free(&c->links);
  if (c->heap) {
    trees_leave(&c->walk);
    trees_leave(&c->other);
    if (shoal_heap_close(c->heap)) fprintf(stderr, "copy_tree: %s\n", shoal_reason());
  }
  if (c->seg && shoal_segment_close(c->seg)) fprintf(stderr, "copy_tree: %s\n", shoal_reason());
  free(c->dirs);
}

static int run(struct copy *c) {
  int64_t began = shoal_now_ns();
  int rc = copy_contents(c);
  if (!rc) {
    make_links(c);
    finish_dirs(c);
    c->f->copy_ns = shoal_now_ns() - began;
    began = shoal_now_ns();
    if (c->job->verify) rc = verify_all(c);
    c->f->verify_ns = shoal_now_ns() - began;
  }
  return rc ? rc : crew_stop(&c->crew);
}

int copy_all(const struct job *job, struct figures *f) {
  struct copy *c = calloc(1, sizeof *c);
  if (!c) return perror("copy_tree"), -ENOMEM;
  c->job = job;
  c->f = f;
  if (!job->quiet && progress_on_terminal()) walk_count(job->source, &f->all_files, &f->all_bytes);
  int rc = set_up(c);
  if (!rc) rc = run(c);
  if (rc == -ENOMEM) fprintf(stderr, "copy_tree: %s\n", strerror(ENOMEM));
  tear_down(c);
  f->directories += c->dir_count + 1;
  free(c);
  return rc;
}
