// core/segment, core/proc, core/directory. Claims: a segment, an object is there whole or not at all; what a dead
// creator left is cleaned away by the next; a participant's slot, a name, and every unit of memory can be had again;
// nobody waits for a creator who is dead.
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/proc.h"
#include "core/segment_internal.h"
#include "tests/crash/crash.h"

// As little of each as shows the states: an operation is as long as its tables and runs are.
#define PARTICIPANTS 3u
#define OBJECTS 3u
#define BYTES (16u << 10)  // of a new segment
#define SIZE 1200u         // of an object: a first unit, one between, a last
#define TYPE "crash:pattern"

enum { CREATED, FOUND };  // T->word

static const struct shoal_segment_options options = {
    .size = BYTES, .size_max = 16 * BYTES, .participants = PARTICIPANTS, .objects = OBJECTS};
static struct shoal_segment *S;

#define NAME "it"

// ---- the audit: nobody else is at work ----
// Every unit belongs to the entry that says so, every entry has all its units, and every entry is an object.
static void audit_memory(struct shoal_segment *seg, uint32_t objects) {
  enum { CREATING = 2, LIVE = 3 };
  const struct shoal_geometry_ *g = &seg->g;
  uint64_t units = shoal_segment_size_(seg) / SHOAL_UNIT_, owned = 0, told = 0;
  uint32_t entries = 0;
  for (uint64_t i = 0; i < units; i++) {
    uint32_t owner = shoal_load32_relaxed(&seg->owners[i]);
    if (!owner) continue;
    owned++;
    CRASH_EXPECT(owner <= g->entries, "unit %lu belongs to %u", i, owner);
    const struct shoal_entry_shm *e = &seg->entries[owner - 1];
    uint64_t first = (e->off.v_ - g->units_off) / SHOAL_UNIT_;
    CRASH_EXPECT((e->state.v_ & 7) >= CREATING, "unit %lu belongs to entry %u, which is free", i, owner - 1);
    CRASH_EXPECT(i >= first && i < first + shoal_units_(e->size.v_), "unit %lu is not in the run of its entry", i);
  }
  for (uint32_t at = 0; at < g->entries; at++) {
    const struct shoal_entry_shm *e = &seg->entries[at];
    if ((e->state.v_ & 7) < CREATING) continue;
    CRASH_EXPECT((e->state.v_ & 7) == LIVE, "entry %u stays in state %lu", at, e->state.v_ & 7);
    entries++;
    told += shoal_units_(e->size.v_);
  }
  CRASH_EXPECT(owned == told, "%lu units are owned, %lu belong to objects", owned, told);
  CRASH_EXPECT(entries == objects, "%u objects, not %u", entries, objects);
  CRASH_EXPECT(shoal_load32_relaxed(&seg->header->objects_used) == entries, "objects_used is %u of %u",
               shoal_load32_relaxed(&seg->header->objects_used), entries);
}
static int pattern(void *memory, uint64_t size, void *arg) {
  memset(memory, 0x5a, size);
  (void)arg;
  return 0;
}
static void expect_whole(const struct shoal_object *o, uint64_t size) {
  const unsigned char *byte = o->memory;
  CRASH_EXPECT(o->size == size, "it has %lu bytes", o->size);
  CRASH_EXPECT(byte[0] == 0x5a && memcmp(byte, byte + 1, o->size - 1) == 0, "its bytes are not what was written");
}
// As many threads as there are slots, this one included, are participants at a time.
struct join {
  struct shoal_segment *seg;
  uint32_t left;
};
static void *fill_slots(void *arg) {
  struct join *j = arg, next = {j->seg, j->left - 1};
  shoal_proc_id id;
  pthread_t thread;
  CRASH_OK(shoal_proc_self(j->seg, &id));
  if (!next.left || pthread_create(&thread, NULL, fill_slots, &next)) return NULL;
  while (pthread_tryjoin_np(thread, NULL)) usleep(20);  // in a futex it would look as if it hung
  return NULL;
}
// The survivor empties the segment, takes all slots, makes as many objects as fit, and removes them.
static void reuse(struct shoal_segment *seg) {
  struct shoal_object o;
  char text[16];
  shoal_proc_reap_(seg, 1);
  fill_slots(&(struct join){seg, PARTICIPANTS});
  CRASH_OK(
      shoal_object_create(seg, "probe", TYPE, 1, NULL, NULL, &o));  // through the writer word: a dead one's is mended
  CRASH_OK(shoal_object_remove(seg, "probe"));
  CRASH_OK(shoal_object_close(seg, &o));
  audit_memory(seg, 0);
  for (int lap = 0; lap < 2; lap++) {
    for (uint32_t i = 0; i < OBJECTS; i++) {
      snprintf(text, sizeof text, "%u", i);
      CRASH_OK(shoal_object_create(seg, text, TYPE, 3000, pattern, NULL, &o));
      CRASH_OK(shoal_object_close(seg, &o));
    }
    audit_memory(seg, OBJECTS);
    for (uint32_t i = 0; i < OBJECTS; i++) {
      snprintf(text, sizeof text, "%u", i);
      CRASH_OK(shoal_object_remove(seg, text));
    }
    audit_memory(seg, 0);
  }
}
static void anonymous(void) { CRASH_OK(shoal_segment_create(NULL, &options, &S)); }
static void close_it(void) {
  if (S) CRASH_OK(shoal_segment_close(S));
  S = NULL;
}

// ---- segments ----
static struct shoal_segment *mine;
static void op_create(void) { CRASH_OK(shoal_segment_create(NAME, &options, &mine)); }
static void op_open_join(void) {
  shoal_proc_id id;
  CRASH_OK(shoal_segment_open(NAME, NULL, &mine));
  CRASH_OK(shoal_proc_self(mine, &id));
}
static void op_open_or_create(void) { CRASH_OK(shoal_segment_open_or_create(NAME, &options, &mine)); }
static void op_close(void) { CRASH_OK(shoal_segment_close(mine)); }
static void op_unlink(void) { CRASH_OK(shoal_segment_unlink(NAME)); }
static void op_gc(void) {
  int rc = shoal_segment_gc();
  CRASH_EXPECT(rc >= 0, "gc answered %d", rc);
}
static void op_grow(void) { CRASH_OK(shoal_segment_grow(S, 4 * BYTES)); }

// A directory of the driver's own: another's gc, which runs beside it, would take what a victim has left. Drivers in
// other sandboxes have the same pids.
static char directory[32];
static void no_name(void) {
  snprintf(directory, sizeof directory, "/dev/shm/crash-XXXXXX");
  CRASH_EXPECT(mkdtemp(directory), "mkdtemp %s: %m", directory);
  shoal_shm_directory_ = directory;
}
static void no_directory(void) {
  close_it();
  shoal_segment_unlink(NAME);
  rmdir(directory);
}
static void expect_no_file(void) {
  DIR *dir = opendir(directory);
  for (struct dirent *e; (e = readdir(dir));) CRASH_EXPECT(e->d_name[0] == '.', "%s is left", e->d_name);
  closedir(dir);
}
static void there_or_not(void) {
  struct shoal_segment *seg;
  int rc = shoal_segment_open(NAME, NULL, &seg);
  CRASH_EXPECT(rc == 0 || rc == -ENOENT, "open answered %d (%s)", rc, shoal_reason());
  T->word[FOUND] = rc == 0;
  if (rc == -ENOENT) CRASH_OK(shoal_segment_create(NAME, &options, &seg));
  reuse(seg);
  CRASH_OK(shoal_segment_close(seg));
  CRASH_OK(shoal_segment_unlink(NAME));
  expect_no_file();
}
static void check_created(void) {
  crash_survivor(there_or_not);
  CRASH_EXPECT(!crash_victim_finished() || T->word[FOUND], "created, and not to be found");
}
static void named(void) {
  no_name();
  CRASH_OK(shoal_segment_create(NAME, &options, &S));
}
static void still_there(void) {
  struct shoal_segment *seg;
  CRASH_OK(shoal_segment_open(NAME, NULL, &seg));
  reuse(seg);
}
static void check_still_there(void) { crash_survivor(still_there); }
static void check_gone_or_not(void) {
  crash_survivor(there_or_not);
  CRASH_EXPECT(!crash_victim_finished() || !T->word[FOUND], "unlinked, and still to be found");
}
// Nobody has it any more.
static void creates_and_dies(void) { op_create(); }
static void abandoned(void) {
  no_name();
  crash_survivor(creates_and_dies);
}
static void collected(void) {
  op_gc();
  expect_no_file();
}
static void check_collected(void) { crash_survivor(collected); }
static void opened(void) { op_open_join(); }
static void grown_or_not(void) {
  struct shoal_object o;
  uint64_t size = shoal_segment_size_(S);
  CRASH_EXPECT(size == BYTES || size == 4 * BYTES, "it has %lu bytes", size);
  CRASH_OK(shoal_object_create(S, "large", TYPE, 5 * BYTES, pattern, NULL, &o));
  expect_whole(&o, 5 * BYTES);
  CRASH_OK(shoal_object_remove(S, "large"));
  CRASH_OK(shoal_object_close(S, &o));
  reuse(S);
}
static void check_grown(void) { crash_survivor(grown_or_not); }

#define NAMED(id, text, ...) CRASH_SCENARIO(id, .name = "segment: " text, .cleanup = no_directory, __VA_ARGS__)
NAMED(seg_create, "create", .setup = no_name, .op = op_create, .check = check_created);
NAMED(seg_open_or_create, "open or create", .setup = no_name, .op = op_open_or_create, .check = check_created);
NAMED(seg_open, "open and join", .setup = named, .op = op_open_join, .check = check_still_there);
NAMED(seg_close, "close", .setup = named, .prepare = opened, .op = op_close, .check = check_still_there);
NAMED(seg_unlink, "unlink", .setup = named, .op = op_unlink, .check = check_gone_or_not);
NAMED(seg_gc, "gc of an abandoned one", .setup = abandoned, .op = op_gc, .check = check_collected);
NAMED(seg_gc_used, "gc beside one in use", .setup = named, .op = op_gc, .check = check_still_there);
NAMED(seg_pair, "pair, create, then create", .kind = CRASH_PAIR, .setup = no_name, .op = op_create,
      .op2 = op_open_or_create, .check = check_created);
CRASH_SCENARIO(seg_grow, .name = "segment: grow", .setup = anonymous, .op = op_grow, .check = check_grown,
               .cleanup = close_it);

// ---- participants ----
static void join(void) {
  shoal_proc_id id;
  CRASH_OK(shoal_proc_self(S, &id));
}
static void op_name(void) { CRASH_OK(shoal_proc_name(S, "a participant's name")); }
static void op_leave(void) { CRASH_OK(shoal_proc_leave(S)); }
static void op_reap(void) { shoal_proc_reap(S); }
static void joins_opens(void) {
  struct shoal_object o;
  CRASH_OK(shoal_object_create(S, "of the dead", TYPE, SIZE, pattern, NULL, &o));
  CRASH_OK(shoal_object_remove(S, "of the dead"));  // it keeps its memory till it dies
}
static void two_dead(void) {
  anonymous();
  crash_survivor(join);
  crash_survivor(joins_opens);
}
static void reuse_it(void) { reuse(S); }

// A thread that joins, counts three wakes, and leaves, in a slot in which others have counted before. What the victim
// had counted is counted for good, once; a newcomer in the same slot begins with none.
enum { WAKES = 3 };
static shoal_atomic32 *word_there(void) { return (shoal_atomic32 *)(void *)S->units; }
static uint64_t wakes_of(void) {
  struct shoal_segment_info info;
  CRASH_OK(shoal_segment_info(S, &info));
  return info.counters.wakes;
}
static void op_count(void) {
  join();
  for (int i = 0; i < WAKES; i++) T->word[CREATED]++, shoal_futex_wake(word_there(), 1), T->word[FOUND]++;
  CRASH_OK(shoal_proc_leave(S));
}
static int expect_none(const struct shoal_proc_info *p, void *arg) {
  CRASH_EXPECT(p->counters.wakes == 0, "thread %u begins with %lu wakes", p->tid, p->counters.wakes);
  (void)arg;
  return 0;
}
static void counted_before(void) {
  op_count();
  T->word[CREATED] = T->word[FOUND] = 0;
}
static void counts_are_kept(void) {
  uint64_t before = wakes_of(), begun = T->word[CREATED], most = WAKES + begun, least = WAKES + T->word[FOUND];
  CRASH_EXPECT(before >= least && before <= most, "%lu wakes are counted, of %lu begun", before, begun);
  shoal_proc_reap(S);
  CRASH_EXPECT(wakes_of() == before, "reaping by who is no participant counts %lu wakes", wakes_of() - before);
  for (uint32_t i = 0; i < PARTICIPANTS; i++) {
    join();
    shoal_proc_list(S, expect_none, NULL);
    uint64_t now = wakes_of();
    shoal_futex_wake(word_there(), 1);
    CRASH_EXPECT(wakes_of() == now + 1, "a wake is counted %lu times", wakes_of() - now);
    CRASH_OK(shoal_proc_leave(S));
  }
}
static void counting(void) {
  anonymous();
  crash_survivor(counted_before);
}
static void check_counts(void) {
  crash_survivor(counts_are_kept);
  crash_survivor(reuse_it);
}
static void check_participants(void) { crash_survivor(reuse_it); }
#define PARTICIPANT(id, text, ...) \
  CRASH_SCENARIO(id, .name = "participants: " text, .check = check_participants, .cleanup = close_it, __VA_ARGS__)
PARTICIPANT(proc_join, "join", .setup = anonymous, .op = join);
PARTICIPANT(proc_name, "join with a name", .setup = anonymous, .op = op_name);
PARTICIPANT(proc_leave, "leave", .setup = anonymous, .prepare = join, .op = op_leave);
PARTICIPANT(proc_reap, "reap two dead", .setup = two_dead, .prepare = join, .op = op_reap);
CRASH_SCENARIO(proc_count, .name = "participants: join, count, leave", .setup = counting, .op = op_count,
               .check = check_counts, .cleanup = close_it);
PARTICIPANT(proc_pair, "pair, two reapers of two dead", .kind = CRASH_PAIR, .setup = two_dead, .op = op_reap,
            .op2 = op_reap);
PARTICIPANT(proc_pair_join, "pair, join, then reap", .kind = CRASH_PAIR, .setup = anonymous, .op = join,
            .op2 = op_reap);

// Who leaves has marked its word, and has its slot still: a reaper leaves it that. Else another would come into it.
static void newcomer(int i) {
  shoal_proc_id id;
  shoal_proc_reap_(S, 1);
  int rc = shoal_proc_self(S, &id);
  CRASH_EXPECT(rc == 0 || rc == -EUSERS, "join answered %d (%s)", rc, shoal_reason());
  T->out[i] = rc ? 0 : id;
}
static void all_slots_are_taken(void) {
  for (int i = 0; i < (int)PARTICIPANTS; i++) {
    crash_actor(newcomer, i);
    CRASH_UNTIL(crash_finished(i), "who joins hangs");
  }
}
static void each_lives(void) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < PARTICIPANTS; i++) {
    if (!T->out[i]) continue;
    n++;
    CRASH_EXPECT(shoal_proc_alive(S, (shoal_proc_id)T->out[i], 1), "the slot of participant %u was given back", i);
  }
  CRASH_EXPECT(n >= PARTICIPANTS - 1, "%u have joined", n);
}
static void check_newcomers(void) {
  crash_survivor(each_lives);
  for (int i = 0; i < (int)PARTICIPANTS; i++) crash_kill(i);
  crash_kill_victim();
  crash_survivor(reuse_it);
}
CRASH_SCENARIO(proc_leave_beside, .name = "participants: leave, another reaps, all slots are taken, goes on",
               .kind = CRASH_RESUMED, .setup = anonymous, .prepare = join, .op = op_leave,
               .stopped = all_slots_are_taken, .check = check_newcomers, .cleanup = close_it);

// ---- objects ----
static struct shoal_object object;
static void op_create_object(void) {
  CRASH_OK(shoal_object_create(S, "it", TYPE, SIZE, pattern, NULL, &object));
  T->word[CREATED] = 1;
}
static void op_create_again(void) {  // whatever a dead one left
  int rc = shoal_object_create(S, "it", TYPE, SIZE, pattern, NULL, &object);
  CRASH_EXPECT(rc == 0 || rc == -EEXIST, "create answered %d (%s)", rc, shoal_reason());
}
static void op_open_object(void) { CRASH_OK(shoal_object_open(S, "it", TYPE, &object)); }
static void op_open_or_create_object(void) {
  CRASH_OK(shoal_object_open_or_create(S, "it", TYPE, SIZE, pattern, NULL, &object));
  expect_whole(&object, SIZE);
}
static void op_close_object(void) { CRASH_OK(shoal_object_close(S, &object)); }
static void op_remove_object(void) {
  int rc = shoal_object_remove(S, "it");
  CRASH_EXPECT(rc == 0 || rc == -ENOENT, "remove answered %d (%s)", rc, shoal_reason());
}
static void find_object(void) {
  struct shoal_object o;
  int rc = shoal_object_open(S, "it", TYPE, &o);
  CRASH_EXPECT(rc == 0 || rc == -ENOENT, "open answered %d (%s)", rc, shoal_reason());
  T->word[FOUND] = rc == 0;
  if (rc == 0) {
    expect_whole(&o, SIZE);
    CRASH_OK(shoal_object_close(S, &o));
  } else {
    CRASH_OK(shoal_object_create(S, "it", TYPE, SIZE, pattern, NULL, &o));
    CRASH_OK(shoal_object_close(S, &o));
  }
  CRASH_OK(shoal_object_remove(S, "it"));
  reuse(S);
}
static void check_created_object(void) {
  crash_survivor(find_object);
  CRASH_EXPECT(!T->word[CREATED] || T->word[FOUND], "created, and not to be found");
}
static void check_there(void) {
  crash_survivor(find_object);
  CRASH_EXPECT(T->word[FOUND], "it was there, and is gone");
}
static void check_removed(void) {
  crash_survivor(find_object);
  CRASH_EXPECT(!crash_victim_finished() || !T->word[FOUND], "removed, and still to be found");
}
static void with_object(void) {
  anonymous();
  crash_survivor(op_create_object);
  T->word[CREATED] = 0;
}
// An object that leaves no room: the next has to make the segment grow.
static void filled(void) {
  struct shoal_object o;
  CRASH_OK(shoal_object_create(S, "filler", TYPE, BYTES, pattern, NULL, &o));
}
static void no_room(void) {
  anonymous();
  crash_survivor(filled);
}
static void find_beside_filler(void) {
  CRASH_OK(shoal_object_remove(S, "filler"));
  find_object();
}
static void check_grown_for_it(void) {
  crash_survivor(find_beside_filler);
  CRASH_EXPECT(!T->word[CREATED] || T->word[FOUND], "created, and not to be found");
}
static void user(int i) {
  (void)i;
  op_open_object();
}
static void with_object_in_use(void) {
  with_object();
  int actor = crash_actor(user, 0);
  CRASH_UNTIL(crash_finished(actor), "opening hangs");
}
static void another_uses_it(void) {  // who has it open reads it whole, and is not in the way of the next of that name
  struct shoal_object o;
  op_open_object();
  CRASH_OK(shoal_object_remove(S, "it"));
  expect_whole(&object, SIZE);
  CRASH_OK(shoal_object_create(S, "it", TYPE, SIZE, pattern, NULL, &o));
  expect_whole(&o, SIZE);
}
static void open_object(void) { op_open_object(); }
static void check_used(void) {
  crash_kill(1);  // the user: actor 0 was who made it
  check_removed();
}

#define OBJECT(id, text, ...) CRASH_SCENARIO(id, .name = "directory: " text, .cleanup = close_it, __VA_ARGS__)
OBJECT(dir_create, "create", .setup = anonymous, .prepare = join, .op = op_create_object,
       .check = check_created_object);
OBJECT(dir_create_join, "create, joining by it", .setup = anonymous, .op = op_create_object,
       .check = check_created_object);
OBJECT(dir_create_growing, "create, growing the segment", .setup = no_room, .prepare = join, .op = op_create_object,
       .check = check_grown_for_it);
OBJECT(dir_open, "open", .setup = with_object, .prepare = join, .op = op_open_object, .check = check_there);
OBJECT(dir_open_or_create, "open or create", .setup = anonymous, .prepare = join, .op = op_open_or_create_object,
       .check = check_created_object);
OBJECT(dir_close, "close", .setup = with_object, .prepare = open_object, .op = op_close_object, .check = check_there);
OBJECT(dir_remove, "remove", .setup = with_object, .prepare = join, .op = op_remove_object, .check = check_removed);
OBJECT(dir_remove_used, "remove, in use by another", .setup = with_object_in_use, .prepare = join,
       .op = op_remove_object, .check = check_used);
OBJECT(dir_remove_mine, "remove, in use by itself, then close", .setup = with_object, .prepare = another_uses_it,
       .op = op_close_object, .check = check_there);

// Two sleep until the creator has ended; it dies, and one of them creates it.
static void opener(int i) {
  (void)i;
  op_open_or_create_object();
}
static void two_openers(void) {
  crash_actor(opener, 0);
  crash_actor(opener, 0);
  crash_all_asleep_or_finished();
}
static void check_openers(void) {
  CRASH_UNTIL(crash_all_finished(), "one waits for a creator that is dead");
  crash_kill_victim();
  crash_kill(0);
  crash_kill(1);
  check_there();
}
OBJECT(dir_waited, "create, two wait for it", .setup = anonymous, .prepare = join, .op = op_create_object,
       .stopped = two_openers, .check = check_openers);
OBJECT(dir_waited_resumed, "create, two wait for it, goes on", .kind = CRASH_RESUMED, .setup = anonymous,
       .prepare = join, .op = op_create_again, .stopped = two_openers, .check = check_openers);

#define PAIR(id, text, state, what, what2, look) \
  OBJECT(id, "pair, " text, .kind = CRASH_PAIR, .setup = state, .op = what, .op2 = what2, .check = look)
PAIR(dir_pair_create, "create, then create", anonymous, op_create_object, op_create_again, check_created_object);
PAIR(dir_pair_remove, "remove, then create", with_object, op_remove_object, op_create_again, check_created_object);
PAIR(dir_pair_remove_remove, "remove, then remove", with_object, op_remove_object, op_remove_object,
     check_created_object);
PAIR(dir_pair_reap, "create, then reap", anonymous, op_create_object, op_reap, check_created_object);
