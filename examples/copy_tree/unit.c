#include "examples/copy_tree/unit.h"

#include <string.h>

#include "core/atomic.h"
#include "examples/copy_tree/dir.h"
#include "examples/copy_tree/entry.h"

// Written whole before it counts: whoever comes after a death finds the one state or the other.
static void advance(struct unit *u, const struct state *next) {
  uint32_t other = !u->now;
  u->state[other] = *next;
  SHOAL_COMPILER_BARRIER();
  u->now = other;
  SHOAL_COMPILER_BARRIER();
}

static void note(struct unit *u, struct state *s, const struct failure *f, const char *name) {
  size_t size = strlen(name) + 1;
  memcpy(u->failures + s->failures, f, sizeof *f);
  memcpy(u->failures + s->failures + sizeof *f, name, size);
  s->failures += (uint32_t)(sizeof *f + size);
  s->tally.failed++;
}

// `lost`: no hand can be laid on the directories.
static void each_entry(struct unit *u, struct state *s, struct hand *h, int lost) {
  for (; s->done < u->count; advance(u, s)) {
    const char type = u->names[s->at], *name = u->names + s->at + 1;
    h->entry = s->done;
    if (lost || (u->work == COPY_ENTRIES ? entry_copy : entry_verify)(h, type, name))
      note(u, s, &(struct failure){h->code, (uint8_t)h->step}, name);
    s->done++;
    s->at += (uint32_t)strlen(name) + 2;
  }
}

// Piece by piece, so that it comes to an end although workers live no longer than a few of them take.
static void each_piece(struct unit *u, struct state *s, struct hand *h, int lost) {
  for (; s->done < u->count; advance(u, s)) {
    int64_t from = u->from + s->at, to = u->to - from < PIECE_BYTES ? u->to : from + PIECE_BYTES;
    const char *name = u->names + 1;
    int failed = lost || (u->work == COPY_RANGE ? range_copy : range_verify)(h, name, from, to);
    if (failed) note(u, s, &(struct failure){h->code, (uint8_t)h->step}, name);
    s->at = (uint32_t)(to - u->from);
    s->done = failed || to == u->to;
  }
}

static void each(struct unit *u, struct hand *h, int lost) {
  struct state s = u->state[u->now & 1];
  struct hand mine = *h;
  mine.tally = &s.tally;
  (u->work == COPY_RANGE || u->work == VERIFY_RANGE ? each_piece : each_entry)(u, &s, &mine, lost);
}

void unit_do(struct unit *u, struct trees *trees, const struct job *job) {
  struct hand h = {.job = job, .unit = u->work == COPY_RANGE ? LARGE_UNIT + u->large : u->id};
  int rc = trees_go(trees, u->dir);
  if (rc) hand_failed(&h, STEP_OPEN, rc);
  h.from = trees->fd[SOURCE];
  h.to = trees->fd[COPY];
  h.inherits = u->work == COPY_ENTRIES && !rc && meta_inherits(h.to);
  each(u, &h, rc);
}

void unit_give_up(struct unit *u) {
  struct hand h = {.step = STEP_DEADLY};
  each(u, &h, 1);
}
