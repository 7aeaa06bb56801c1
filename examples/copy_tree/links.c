#include "examples/copy_tree/links.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

static int by_inode(const void *a, const void *b) {
  const struct first *x = a, *y = b;
  if (x->inode != y->inode) return x->inode < y->inode ? -1 : 1;
  return (x->device > y->device) - (x->device < y->device);
}

static int note(struct links *l, const struct first *first, shoal_off dir, const char *name) {
  if (l->count == l->room) {
    size_t room = l->room ? 2 * l->room : 64;
    struct later *moved = realloc(l->later, room * sizeof *moved);
    if (!moved) return -ENOMEM;
    l->later = moved;
    l->room = room;
  }
  char *copy = strdup(name);
  if (!copy) return -ENOMEM;
  l->later[l->count++] = (struct later){first, dir, copy};
  return 1;
}

int links_meet(struct links *l, shoal_off dir, const char *name, const struct stat *st) {
  size_t size = strlen(name) + 1;
  struct first *f = malloc(sizeof *f + size);
  if (!f) return -ENOMEM;
  f->device = st->st_dev, f->inode = st->st_ino, f->st = *st, f->dir = dir;
  memcpy(f->name, name, size);
  struct first **found = tsearch(f, &l->firsts, by_inode);
  if (found && *found == f) return 0;
  free(f);
  return found ? note(l, *found, dir, name) : -ENOMEM;
}

void links_free(struct links *l) {
  tdestroy(l->firsts, free);
  for (size_t i = 0; i < l->count; i++) free(l->later[i].name);
  free(l->later);
}
