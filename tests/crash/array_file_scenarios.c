// ipc/data/array_file. Claims, whatever dies where: a file is there whole or not at all, and nothing lies beside it;
// who opens it is not kept out; an element is the old one or the new one, when all who had the file have gone, too;
// that a block's holder died is told, however often somebody dies who learns of it.
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "ipc/data/array_file.h"
#include "tests/crash/fixture.h"

enum { WORDS = 40 };  // so many that copying them takes several stores
struct wide {
  uint64_t word[WORDS];
};
#define F SHOAL_FOREVER
#define WIDE "struct wide", sizeof(struct wide), 2

enum { BEGUN = OWN_WORDS, CERTAIN };  // T->word: numbers that were begun to be written, and of which it is certain

static char folder[64], path[80];
static struct shoal_array a;

static struct wide all(uint64_t number) {
  struct wide w;
  for (unsigned i = 0; i < WORDS; i++) w.word[i] = number;
  return w;
}
static int create(uint64_t number) {
  struct wide first[2] = {all(number), all(number)};
  return shoal_array_file_create(path, WIDE, &(struct shoal_array_options){.first = first}, 0, &a);
}
static void set(void) {
  struct wide w = all(++T->word[BEGUN]);
  CRASH_OK(shoal_array_set(&a, 0, &w, F));
  T->word[CERTAIN] = T->word[BEGUN];
}
static void get(void) {
  struct wide w = all(0);
  CRASH_OK(shoal_array_get(&a, 0, &w, F));
  for (unsigned i = 1; i < WORDS; i++) CRASH_EXPECT(w.word[i] == w.word[0], "half an element");
  CRASH_EXPECT(w.word[0] >= T->word[CERTAIN] && w.word[0] <= T->word[BEGUN], "read %lu of %u..%u", w.word[0],
               T->word[CERTAIN], T->word[BEGUN]);
}
static void open_it(void) { CRASH_OK(shoal_array_file_open(path, WIDE, &a)); }
static void close_it(void) { CRASH_OK(shoal_array_file_close(&a)); }

// ---- before and after: in memory, as a disk's answer is no instruction of ours ----
static void no_file(void) {
  strcpy(folder, "/dev/shm/shoal.sweep.XXXXXX");
  CRASH_EXPECT(mkdtemp(folder) != NULL, "mkdtemp %s", folder);
  snprintf(path, sizeof path, "%s/array", folder);
  shoal_spin_max_ = 3;
  T->word[BEGUN] = T->word[CERTAIN] = 0;
}
static void made(void) {
  CRASH_OK(create(0));
  set();
  close_it();
}
static void a_file(void) {
  no_file();
  crash_survivor(made);
}
static void end(void) {
  unlink(path);
  CRASH_EXPECT(rmdir(folder) == 0, "something lies beside the file");
}

// ---- who had it has gone with it ----
static void has_it(void) { open_it(); }
static void gets(void) {
  open_it();
  get();
  close_it();
}
static void sets(void) {
  open_it();
  set();
  close_it();
}
static void syncs(void) { CRASH_OK(shoal_array_sync(&a)); }
static void get_set_get(void) {
  crash_survivor(gets);
  crash_survivor(sets);
  crash_survivor(gets);
  CRASH_EXPECT(T->word[CERTAIN] == T->word[BEGUN], "the last set is not certain");
}

#define FILED(id, text, ...) CRASH_SCENARIO(file_##id, .name = "array file: " text, .cleanup = end, __VA_ARGS__)
FILED(set, "set, by the only one", .setup = a_file, .prepare = has_it, .op = set, .check = get_set_get);
FILED(open, "open, set, close", .setup = a_file, .op = sets, .check = get_set_get);
FILED(sync, "sync", .setup = a_file, .prepare = has_it, .op = syncs, .check = get_set_get);
FILED(pair_set, "pair, set, then get by who opens it", .kind = CRASH_PAIR, .setup = a_file, .prepare = has_it,
      .op = set, .op2 = gets, .check = get_set_get);

// ---- others have it ----
static void a_file_in_use(void) {
  a_file();
  open_it();
}
static void check_in_use(void) {
  crash_survivor(get);
  crash_survivor(set);
  get_set_get();
}
static void end_in_use(void) {
  close_it();
  end();
}
CRASH_SCENARIO(file_set_shared, .name = "array file: set, others have it", .setup = a_file_in_use, .op = set,
               .check = check_in_use, .cleanup = end_in_use);
CRASH_SCENARIO(file_open_shared, .name = "array file: open, others have it", .setup = a_file_in_use, .op = sets,
               .check = check_in_use, .cleanup = end_in_use);

// ---- made ----
static void op_create(void) { CRASH_OK(create(3)); }
static void made_or_not(void) {
  struct wide w = all(0), first[2] = {all(3), all(3)};
  struct shoal_array_options o = {.first = first};
  CRASH_EXPECT(!crash_victim_finished() || access(path, F_OK) == 0, "made, and not there");
  CRASH_OK(shoal_array_file_open_or_create(path, WIDE, &o, 0, &a));
  for (uint64_t i = 0; i < 2; i++) {
    CRASH_OK(shoal_array_get(&a, i, &w, F));
    CRASH_EXPECT(!memcmp(&w, &first[0], sizeof w), "it was made of something else");
  }
  close_it();
}
static void check_made(void) { crash_survivor(made_or_not); }
FILED(create, "create", .setup = no_file, .op = op_create, .check = check_made);
FILED(pair_create, "pair, create, then open or create", .kind = CRASH_PAIR, .setup = no_file, .op = op_create,
      .op2 = made_or_not, .check = check_made);

// ---- a block's holder has died, and all have gone ----
static void dies_in_a_block(void) {
  struct wide w = all(T->word[BEGUN]);
  open_it();
  CRASH_OK(shoal_array_acquire(&a, F));
  CRASH_OK(shoal_array_set(&a, 0, &w, F));
}
static void half_a_block(void) {
  a_file();
  crash_survivor(dies_in_a_block);
}
static void is_told(void) {
  struct wide w;
  open_it();
  int rc = shoal_array_get(&a, 0, &w, F);
  CRASH_EXPECT(rc == -EOWNERDEAD, "get answered %d", rc);
  close_it();
}
static void repairs(void) {
  open_it();
  int rc = shoal_array_acquire(&a, F);
  CRASH_EXPECT(rc == -EOWNERDEAD, "a block answered %d", rc);
  if (rc == -EOWNERDEAD) CRASH_OK(shoal_array_consistent(&a));
  CRASH_OK(shoal_array_release(&a));
  close_it();
}
static void told_until_repaired(void) {
  crash_survivor(is_told);
  crash_survivor(repairs);
  get_set_get();
}
FILED(told, "open, half of a block is told", .setup = half_a_block, .op = is_told, .check = told_until_repaired);
FILED(pair_told, "pair, half of a block is told, and told", .kind = CRASH_PAIR, .setup = half_a_block, .op = is_told,
      .op2 = is_told, .check = told_until_repaired);
