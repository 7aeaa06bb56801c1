#include "examples/copy_tree/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "examples/copy_tree/dir.h"

struct item {
  uint64_t inode;
  size_t name;  // where in the text
};
struct list {
  struct item *items;
  size_t count, room;
  char *text;
  size_t used, size;
};

static int grow(void **memory, size_t *room, size_t unit, size_t least) {
  size_t more = *room ? *room : 64;
  while (more < least) more *= 2;
  if (more == *room) return 0;
  void *moved = realloc(*memory, more * unit);
  if (!moved) return -ENOMEM;
  *memory = moved;
  *room = more;
  return 0;
}

static int list_add(struct list *l, uint64_t inode, const char *name) {
  size_t size = strlen(name) + 1;
  void *items = l->items, *text = l->text;
  int rc = grow(&items, &l->room, sizeof *l->items, l->count + 1);
  l->items = items;
  if (!rc) rc = grow(&text, &l->size, 1, l->used + size);
  l->text = text;
  if (rc) return rc;
  l->items[l->count++] = (struct item){inode, l->used};
  memcpy(l->text + l->used, name, size);
  l->used += size;
  return 0;
}

static int by_inode(const void *a, const void *b) {
  uint64_t x = ((const struct item *)a)->inode, y = ((const struct item *)b)->inode;
  return (x > y) - (x < y);
}

static int is_dots(const char *name) { return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])); }

static int list_read(struct list *l, int dir) {
  int fd = open_unseen(dir, ".", O_RDONLY | O_DIRECTORY);
  DIR *d = fd < 0 ? NULL : fdopendir(fd);
  if (!d) {
    int rc = -errno;
    if (fd >= 0) close(fd);
    return rc;
  }
  int rc = 0;
  errno = 0;
  for (struct dirent *e; !rc && (e = readdir(d)); errno = 0)
    if (!is_dots(e->d_name)) rc = list_add(l, e->d_ino, e->d_name);
  if (!rc) rc = -errno;
  closedir(d);
  return rc;
}

static void list_free(struct list *l) {
  free(l->items);
  free(l->text);
}

int walk_dir(int dir, int (*visit)(void *arg, const char *name, const struct stat *st), void *arg) {
  struct list l = {0};
  struct stat st;
  int rc = list_read(&l, dir);
  if (!rc && l.count) qsort(l.items, l.count, sizeof *l.items, by_inode);
  for (size_t i = 0; i < l.count && !rc; i++) {
    const char *name = l.text + l.items[i].name;
    rc = visit(arg, name, fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) ? NULL : &st);
  }
  list_free(&l);
  return rc;
}

int walk_names(int dir, int (*visit)(void *arg, const char *name), void *arg) {
  struct list l = {0};
  int rc = list_read(&l, dir);
  for (size_t i = 0; i < l.count && !rc; i++) rc = visit(arg, l.text + l.items[i].name);
  list_free(&l);
  return rc;
}

void walk_count(const char *path, uint64_t *files, uint64_t *bytes) {
  char *const paths[] = {(char *)path, NULL};
  FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW, NULL);
  if (!fts) return;
  for (FTSENT *e; (e = fts_read(fts));) {
    if (e->fts_info == FTS_D || e->fts_info == FTS_DP) continue;
    ++*files;
    if (e->fts_info == FTS_F) *bytes += (uint64_t)e->fts_statp->st_size;
  }
  fts_close(fts);
}
