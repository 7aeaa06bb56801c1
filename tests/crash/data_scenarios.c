// ipc/data: arrays, values, vectors, texts. Claims, whatever dies where: an element that was set is the old one or the
// new one, and nobody is told; what a block or a range left is told to the next block, and only then; what was appended
// is there, or not, and later appends follow it; a text is one that somebody wrote; what was not created never was.
#include "ipc/data/text.h"
#include "ipc/data/value.h"
#include "ipc/data/vector.h"
#include "tests/crash/fixture.h"

enum { WORDS = 40 };  // so many that copying them takes several stores
struct wide {
  uint64_t word[WORDS];
};
SHOAL_ARRAY_TYPED(wides, struct wide)
SHOAL_VECTOR_TYPED(words, uint64_t)

// T->word: numbers that were begun to be written, and of which it is certain.
enum { BEGUN = OWN_WORDS, CERTAIN };

static struct wide all(uint64_t number) {
  struct wide w;
  for (unsigned i = 0; i < WORDS; i++) w.word[i] = number;
  return w;
}
static int is_whole(const struct wide *w) {
  for (unsigned i = 1; i < WORDS; i++)
    if (w->word[i] != w->word[0]) return 0;
  return 1;
}

// ---- arrays: two elements in T->raw ----
static struct shoal_array a;  // all processes see T at one address
static void placed(void) {
  CRASH_EXPECT(wides_bytes(2) <= sizeof T->raw, "no room");
  CRASH_OK(wides_init(T->raw, 2, NULL, &a));
  T->word[BEGUN] = T->word[CERTAIN] = 0;
  shoal_spin_max_ = 3;
}
static void join(void) { CRASH_EXPECT(shoal_robust_check() == 0, "no robust list"); }

static void set(void) {
  struct wide w = all(++T->word[BEGUN]);
  CRASH_OK(wides_set(&a, 0, &w, SHOAL_FOREVER));
  T->word[CERTAIN] = T->word[BEGUN];
}
static void get(void) {
  struct wide w = all(0);
  CRASH_OK(wides_get(&a, 0, &w, SHOAL_FOREVER));
  CRASH_EXPECT(is_whole(&w), "half an element");
  CRASH_EXPECT(w.word[0] >= T->word[CERTAIN] && w.word[0] <= T->word[BEGUN], "read %lu of %u..%u", w.word[0],
               T->word[CERTAIN], T->word[BEGUN]);
}
static void get_set_get(void) {
  crash_survivor(get);
  crash_survivor(set);
  crash_survivor(get);
  CRASH_EXPECT(T->word[CERTAIN] == T->word[BEGUN], "the last set is not certain");
}
static void placed_and_set(void) {
  placed();
  crash_survivor(set);
}
// Under a given lock every death is told, but the element is whole all the same.
#define LOCK ((struct shoal_lock *)(T->raw + 3072))
static void placed_under_a_lock(void) {
  CRASH_OK(shoal_lock_init(LOCK));
  CRASH_OK(wides_init(T->raw, 2, &(struct shoal_array_options){.lock = LOCK}, &a));
  T->word[BEGUN] = T->word[CERTAIN] = 0;
  crash_survivor(set);
}
static void repair(void) {
  int rc;
  SHOAL_WITH (rc, &a.hold) {
    if (rc == -EOWNERDEAD) CRASH_OK(shoal_array_consistent(&a));
    get();
  }
  CRASH_EXPECT(rc == 0 || rc == -EOWNERDEAD, "block: %d", rc);
}
static void repair_get_set_get(void) {
  crash_survivor(repair);
  get_set_get();
}
CRASH_SCENARIO(data_set, .name = "array: set", .setup = placed_and_set, .prepare = join, .op = set,
               .check = get_set_get);
CRASH_SCENARIO(data_set_given, .name = "array: set under a given lock", .setup = placed_under_a_lock, .prepare = join,
               .op = set, .check = repair_get_set_get);
CRASH_SCENARIO(data_set_pair, .name = "array: pair, a set, then a set", .kind = CRASH_PAIR, .setup = placed_and_set,
               .prepare = join, .op = set, .prepare2 = join, .op2 = set, .check = get_set_get);
CRASH_SCENARIO(data_get, .name = "array: get", .setup = placed_and_set, .prepare = join, .op = get,
               .check = get_set_get);

// ---- a block: both elements are the same before it and behind it; half of it is told ----
static void block(void) {
  int rc;
  SHOAL_WITH (rc, &a.hold) {
    struct wide w = all(7);
    CRASH_OK(wides_set(&a, 0, &w, SHOAL_FOREVER));
    CRASH_OK(wides_set(&a, 1, &w, SHOAL_FOREVER));
  }
  CRASH_OK(rc);
}
static void fill(void) {
  struct wide w = all(7);
  CRASH_OK(wides_fill(&a, 0, 2, &w, SHOAL_FOREVER));
}
static void both_or_told(void) {
  struct wide w[2] = {all(0), all(1)}, now;
  int rc;
  T->rc[0] = wides_read(&a, 0, 1, 2, w, SHOAL_FOREVER);
  SHOAL_WITH (rc, &a.hold) {
    now = wides_data(&a)[0];
    if (rc == -EOWNERDEAD) {
      wides_data(&a)[0] = wides_data(&a)[1] = all(0);
      CRASH_OK(shoal_array_consistent(&a));
    }
  }
  CRASH_EXPECT(rc == T->rc[0], "a call answered %d, then a block %d", T->rc[0], rc);
  CRASH_EXPECT(rc == 0 || rc == -EOWNERDEAD, "block: %d", rc);
  if (rc) return;
  CRASH_EXPECT(is_whole(&w[0]) && is_whole(&w[1]) && w[0].word[0] == w[1].word[0], "half a block, and nobody is told");
  CRASH_EXPECT(now.word[0] == w[0].word[0], "read another");
}
static void both_then_again(void) {
  crash_survivor(both_or_told);
  T->rc[1] = T->rc[0];
  crash_survivor(block);
  crash_survivor(both_or_told);
  CRASH_EXPECT(T->rc[0] == 0, "told again");
}
static void told_only_of_half(void) {
  both_then_again();
  CRASH_EXPECT(!crash_victim_finished() || T->rc[1] == 0, "a block that has ended is told");
}
CRASH_SCENARIO(data_block, .name = "array: a block of two sets", .setup = placed, .prepare = join, .op = block,
               .check = told_only_of_half);
CRASH_SCENARIO(data_fill, .name = "array: fill", .setup = placed, .prepare = join, .op = fill,
               .check = told_only_of_half);
// From its end.
static void write_back(void) {
  struct wide w[2] = {all(7), all(7)};
  CRASH_OK(wides_write(&a, 1, -1, 2, w, SHOAL_FOREVER));
}
CRASH_SCENARIO(data_write, .name = "array: write a range", .setup = placed, .prepare = join, .op = write_back,
               .check = told_only_of_half);
CRASH_SCENARIO(data_block_pair, .name = "array: pair, a block, then its repair", .kind = CRASH_PAIR, .setup = placed,
               .prepare = join, .op = block, .prepare2 = join, .op2 = both_or_told, .check = both_then_again);

// ---- by name ----
static uint64_t used_before;
static uint64_t used(void) {
  struct shoal_segment_info info;
  CRASH_OK(shoal_segment_info(S, &info));
  return info.used;
}
static void segment(void) {
  fixture_segment(1 << 20);
  used_before = used();
}
static void use(void) {
  shoal_proc_id me;
  CRASH_OK(shoal_proc_self(S, &me));
}
static void create(void) {
  struct shoal_array it;
  struct wide w = all(3);
  CRASH_OK(wides_create(S, "a", 1, &(struct shoal_array_options){.first = &w}, &it));
}
static void open_or_create(void) {
  struct shoal_array it;
  struct wide w = all(3);
  CRASH_OK(wides_open_or_create(S, "a", 1, &(struct shoal_array_options){.first = &w}, &it));
  CRASH_OK(wides_get(&it, 0, &w, SHOAL_FOREVER));
  CRASH_EXPECT(is_whole(&w) && w.word[0] == 3, "it was made of something else");
  CRASH_OK(shoal_array_close(S, &it));
  CRASH_OK(shoal_array_unlink(S, "a"));
}
static void made_whole_or_not(void) {
  crash_survivor(open_or_create);
  (void)shoal_proc_reap(S);
  CRASH_EXPECT(used() == used_before, "%lu bytes stay", used() - used_before);
}
CRASH_SCENARIO(data_create, .name = "array: create", .setup = segment, .prepare = use, .op = create,
               .check = made_whole_or_not, .cleanup = fixture_segment_end);

static void with_array(void) {
  segment();
  crash_survivor(create);
}
static void op_open_or_create(void) {
  struct shoal_array it;
  struct wide w = all(3);
  CRASH_OK(wides_open_or_create(S, "a", 1, &(struct shoal_array_options){.first = &w}, &it));
  T->word[CERTAIN] = 1;
}
static struct shoal_array opened;
static void has_array(void) {
  use();
  CRASH_OK(wides_open(S, "a", 1, &opened));
}
static void op_close_array(void) { CRASH_OK(shoal_array_close(S, &opened)); }
static void op_unlink_array(void) { CRASH_OK(shoal_array_unlink(S, "a")); }
static void there_or_not(void) {
  struct shoal_array it;
  int rc = wides_open(S, "a", 1, &it);
  CRASH_EXPECT(rc == 0 || rc == -ENOENT, "open answered %d", rc);
  CRASH_EXPECT(rc == -ENOENT || !crash_victim_finished(), "unlinked, and there");
  if (rc == 0) CRASH_OK(shoal_array_close(S, &it));
  if (rc == 0) CRASH_OK(shoal_array_unlink(S, "a"));
}
static void check_unlinked(void) {
  crash_survivor(there_or_not);
  CRASH_OK(shoal_array_close(S, &opened));
  (void)shoal_proc_reap(S);
  CRASH_EXPECT(used() == used_before, "%lu bytes stay", used() - used_before);
}
static void open_here(void) {
  struct wide w = all(3);
  segment();
  CRASH_OK(wides_create(S, "a", 1, &(struct shoal_array_options){.first = &w}, &opened));
}
CRASH_SCENARIO(data_open_or_create, .name = "array: open or create", .setup = segment, .prepare = use,
               .op = op_open_or_create, .check = made_whole_or_not, .cleanup = fixture_segment_end);
CRASH_SCENARIO(data_open, .name = "array: open or create one that is there", .setup = with_array, .prepare = use,
               .op = op_open_or_create, .check = made_whole_or_not, .cleanup = fixture_segment_end);
CRASH_SCENARIO(data_close, .name = "array: close", .setup = with_array, .prepare = has_array, .op = op_close_array,
               .check = made_whole_or_not, .cleanup = fixture_segment_end);
CRASH_SCENARIO(data_unlink, .name = "array: unlink", .setup = open_here, .prepare = use, .op = op_unlink_array,
               .check = check_unlinked, .cleanup = fixture_segment_end);

// ---- vectors ----
static struct shoal_vector v;
static void append(void) {
  uint64_t number = T->word[BEGUN]++;
  CRASH_OK(words_append(&v, &number, NULL, SHOAL_FOREVER));
  T->word[CERTAIN] = T->word[BEGUN];
}
static void vector_of(unsigned n) {
  segment();
  CRASH_OK(words_create(S, "v", &(struct shoal_vector_options){.first = 2}, &v));
  T->word[BEGUN] = T->word[CERTAIN] = 0;
  while (n--) append();
}
static void vector_with_room(void) { vector_of(3); }
static void vector_full(void) { vector_of(4); }
static void extend(void) {
  uint64_t numbers[5];
  for (unsigned i = 0; i < 5; i++) numbers[i] = T->word[BEGUN] + i;
  T->word[BEGUN] += 5;
  CRASH_OK(words_extend(&v, numbers, 5, NULL, SHOAL_FOREVER));
  T->word[CERTAIN] = T->word[BEGUN];
}
// Each number in its place, but those that nobody finished appending: what comes after them takes their places.
static void look(void) {
  uint64_t n = shoal_vector_length(&v), last = 0, number = 0;
  CRASH_EXPECT(n >= T->word[CERTAIN] - T->word[ENDED] && n <= T->word[BEGUN], "%lu elements of %u..%u", n,
               T->word[CERTAIN], T->word[BEGUN]);
  for (uint64_t i = 0; i < n; i++, last = number) {
    CRASH_OK(words_get(&v, i, &number));
    CRASH_EXPECT(number < T->word[BEGUN] && (i == 0 || number > last), "%lu behind %lu", number, last);
  }
  T->out[0] = n;
}
static void append_more(void) {
  use();
  look();
  uint64_t n = T->out[0];
  T->word[ENDED] = T->word[BEGUN] - (uint32_t)n;  // that many were lost with those who began them
  for (int i = 0; i < 6; i++) append();
  look();
  CRASH_EXPECT(T->out[0] == n + 6, "%lu elements, and 6: %lu", n, T->out[0]);
}
static void alone(void) {
  CRASH_EXPECT(shoal_vector_close(&v) == 0 && shoal_vector_unlink(S, "v") == 0, "close: %s", shoal_reason());
}
static void append_more_and_end(void) {
  uint32_t first = T->word[BEGUN] - T->word[CERTAIN];
  crash_survivor(append_more);
  CRASH_EXPECT(T->word[ENDED] == 0 || T->word[ENDED] == first, "%u of %u at once", T->word[ENDED], first);
  (void)shoal_proc_reap(S);
  alone();
  (void)shoal_proc_reap(S);
  CRASH_EXPECT(used() == used_before, "%lu bytes stay", used() - used_before);
}
CRASH_SCENARIO(data_append, .name = "vector: append", .setup = vector_with_room, .prepare = use, .op = append,
               .check = append_more_and_end, .cleanup = fixture_segment_end);
CRASH_SCENARIO(data_append_grows, .name = "vector: append, growing", .setup = vector_full, .prepare = use, .op = append,
               .check = append_more_and_end, .cleanup = fixture_segment_end);
CRASH_SCENARIO(data_extend, .name = "vector: extend over two chunks", .setup = vector_full, .prepare = use,
               .op = extend, .check = append_more_and_end, .cleanup = fixture_segment_end);

// Zeros, wherever somebody who died had written before.
enum { GROWN = 9, MORE = 5 };
static void grow(void) { CRASH_OK(shoal_vector_grow(&v, GROWN, SHOAL_FOREVER)); }
static void extend_by_ones(void) {
  uint64_t ones[MORE];
  memset(ones, 0xff, sizeof ones);
  CRASH_OK(words_extend(&v, ones, MORE, NULL, SHOAL_FOREVER));
}
// Three numbers, the ones or none of them, zeros.
static void look_grown(void) {
  uint64_t n = shoal_vector_length(&v), number = 0, ones = 0;
  for (uint64_t i = 0; i < n; i++) {
    CRASH_OK(words_get(&v, i, &number));
    if (i >= 3 && number == UINT64_MAX) ones++;
    else CRASH_EXPECT(number == (i < 3 ? i : 0), "%lu at %lu", number, i);
  }
  CRASH_EXPECT(ones == 0 || ones == MORE, "%lu of %d at once", ones, MORE);
}
static void grow_on(void) {
  use();
  look_grown();
  uint64_t n = shoal_vector_length(&v);
  CRASH_EXPECT(n == 3 || n == 3 + MORE || n == GROWN || n == GROWN + MORE, "%lu elements", n);
  CRASH_OK(shoal_vector_grow(&v, 2 * GROWN, SHOAL_FOREVER));
  CRASH_EXPECT(shoal_vector_length(&v) == 2 * GROWN, "%lu elements in the end", shoal_vector_length(&v));
  look_grown();
}
static void grow_on_and_end(void) {
  uint64_t n = shoal_vector_length(&v);
  CRASH_EXPECT(!crash_victim_finished() || n >= 3 + MORE, "%lu elements, and it has ended", n);
  crash_survivor(grow_on);
  (void)shoal_proc_reap(S);
  alone();
  (void)shoal_proc_reap(S);
  CRASH_EXPECT(used() == used_before, "%lu bytes stay", used() - used_before);
}
CRASH_SCENARIO(data_grow, .name = "vector: grow over two chunks", .setup = vector_with_room, .prepare = use, .op = grow,
               .check = grow_on_and_end, .cleanup = fixture_segment_end);
CRASH_SCENARIO(data_extend_dirty, .name = "vector: extend, then grow", .setup = vector_with_room, .prepare = use,
               .op = extend_by_ones, .check = grow_on_and_end, .cleanup = fixture_segment_end);
CRASH_SCENARIO(data_pair_grow, .name = "vector: pair, extend, then grow", .kind = CRASH_PAIR, .setup = vector_with_room,
               .prepare = use, .op = extend_by_ones, .prepare2 = use, .op2 = grow, .check = grow_on_and_end,
               .cleanup = fixture_segment_end);
CRASH_SCENARIO(data_pair_extend, .name = "vector: pair, grow, then extend", .kind = CRASH_PAIR,
               .setup = vector_with_room, .prepare = use, .op = grow, .prepare2 = use, .op2 = extend_by_ones,
               .check = grow_on_and_end, .cleanup = fixture_segment_end);

static void create_vector(void) {
  CRASH_OK(words_create(S, "v", &(struct shoal_vector_options){.first = 2}, &v));
  append();
}
static void open_or_create_vector(void) {
  uint64_t number = 7;
  CRASH_OK(words_open_or_create(S, "v", &(struct shoal_vector_options){.first = 2}, &v));
  CRASH_EXPECT(shoal_vector_length(&v) <= 1, "%lu elements", shoal_vector_length(&v));
  for (int i = 0; i < 4; i++) CRASH_OK(words_append(&v, &number, NULL, SHOAL_FOREVER));
  alone();
}
static void vector_made_or_not(void) {
  crash_survivor(open_or_create_vector);
  (void)shoal_proc_reap(S);
  CRASH_EXPECT(used() == used_before, "%lu bytes stay", used() - used_before);
}
static void op_unlink_vector(void) { CRASH_OK(shoal_vector_unlink(S, "v")); }
static void vector_there_or_not(void) {
  struct shoal_vector it;
  int rc = words_open(S, "v", &it);
  CRASH_EXPECT(rc == 0 || rc == -ENOENT, "open answered %d", rc);
  CRASH_EXPECT(rc == -ENOENT || !crash_victim_finished(), "unlinked, and there");
  if (rc == 0) CRASH_OK(shoal_vector_close(&it) + shoal_vector_unlink(S, "v"));
}
static void check_unlinked_vector(void) {
  crash_survivor(vector_there_or_not);
  crash_survivor(look);  // who has it goes on
  CRASH_EXPECT(shoal_vector_length(&v) == 5, "%lu elements", shoal_vector_length(&v));
  CRASH_OK(shoal_vector_close(&v));
  (void)shoal_proc_reap(S);
  CRASH_EXPECT(used() == used_before, "%lu bytes stay", used() - used_before);
}
static void vector_of_chunks(void) { vector_of(5); }
CRASH_SCENARIO(data_unlink_vector, .name = "vector: unlink, with two chunks", .setup = vector_of_chunks, .prepare = use,
               .op = op_unlink_vector, .check = check_unlinked_vector, .cleanup = fixture_segment_end);
CRASH_SCENARIO(data_create_vector, .name = "vector: create, and the first", .setup = segment, .prepare = use,
               .op = create_vector, .check = vector_made_or_not, .cleanup = fixture_segment_end);

// ---- texts ----
static struct shoal_text t;
static void text(void) {
  CRASH_EXPECT(shoal_text_bytes(40) <= sizeof T->raw, "no room");
  CRASH_OK(shoal_text_init(T->raw, 40, "old", &t));
  shoal_spin_max_ = 3;
}
static void change(void) { CRASH_OK(shoal_text_set(&t, "something new", 13, SHOAL_FOREVER)); }
static void add(void) { CRASH_OK(shoal_text_append(&t, " and new", 8, SHOAL_FOREVER)); }
static int rewrite(char *bytes, uint64_t *length, uint64_t capacity, void *arg) {
  (void)capacity, (void)arg;
  memcpy(bytes, "something new", 13);
  *length = 13;
  return 0;
}
static void update(void) { CRASH_OK(shoal_text_update(&t, rewrite, NULL, SHOAL_FOREVER)); }
static void print(void) { CRASH_OK(shoal_text_printf(&t, SHOAL_FOREVER, "%s new", "something")); }
static void old_or_new(const char *wanted) {
  char now[41] = "";
  CRASH_OK(shoal_text_get(&t, now, sizeof now, NULL));
  CRASH_EXPECT(strcmp(now, "old") == 0 || strcmp(now, wanted) == 0, "\"%s\"", now);
  CRASH_EXPECT(!crash_victim_finished() || strcmp(now, wanted) == 0, "still the old one");
}
static void change_more(void) {
  char now[41] = "";
  CRASH_OK(shoal_text_set(&t, "x", 1, SHOAL_FOREVER));
  CRASH_OK(shoal_text_printf(&t, SHOAL_FOREVER, "%d", 42));
  CRASH_OK(shoal_text_append(&t, "!", 1, SHOAL_FOREVER));
  CRASH_OK(shoal_text_get(&t, now, sizeof now, NULL));
  CRASH_EXPECT(strcmp(now, "42!") == 0, "\"%s\"", now);
}
static void changed_or_not(void) {
  old_or_new("something new");
  crash_survivor(change_more);
}
static void added_or_not(void) {
  old_or_new("old and new");
  crash_survivor(change_more);
}
CRASH_SCENARIO(data_text_set, .name = "text: set", .setup = text, .prepare = join, .op = change,
               .check = changed_or_not);
CRASH_SCENARIO(data_text_append, .name = "text: append", .setup = text, .prepare = join, .op = add,
               .check = added_or_not);
CRASH_SCENARIO(data_text_update, .name = "text: update", .setup = text, .prepare = join, .op = update,
               .check = changed_or_not);
CRASH_SCENARIO(data_text_print, .name = "text: print", .setup = text, .prepare = join, .op = print,
               .check = changed_or_not);

// The second writes on what the first left; who reads meanwhile has one of all that there may be.
static void one_of_all(void) {
  static const char *const may[] = {"old", "something new", "old and new", "something new and new"};
  char now[41] = "";
  int found = 0;
  CRASH_OK(shoal_text_get(&t, now, sizeof now, NULL));
  for (int i = 0; i < 4; i++) found |= strcmp(now, may[i]) == 0;
  CRASH_EXPECT(found, "\"%s\"", now);
  crash_survivor(change_more);
}
CRASH_SCENARIO(data_text_pair, .name = "text: pair, set, then append", .kind = CRASH_PAIR, .setup = text,
               .prepare = join, .op = change, .prepare2 = join, .op2 = add, .check = one_of_all);
static void read_text(void) {
  static const char *const may[] = {"old", "x", "42", "42!"};
  char now[41] = "";
  uint64_t length = 0;
  int found = 0;
  CRASH_OK(shoal_text_get(&t, now, sizeof now, &length));
  for (int i = 0; i < 4; i++) found |= strcmp(now, may[i]) == 0 && length == strlen(may[i]);
  CRASH_EXPECT(found, "\"%s\", %lu bytes", now, length);
}
static void others_change(void) { crash_survivor(change_more); }
CRASH_SCENARIO(data_text_read, .name = "text: get, beside others", .kind = CRASH_RESUMED, .setup = text,
               .prepare = join, .op = read_text, .stopped = others_change, .check = others_change);

static void create_text(void) {
  struct shoal_text it;
  CRASH_OK(shoal_text_create(S, "t", 40, "first", &it));
}
static void open_or_create_text(void) {
  struct shoal_text it;
  char now[41] = "";
  CRASH_OK(shoal_text_open_or_create(S, "t", 40, "first", &it));
  CRASH_OK(shoal_text_get(&it, now, sizeof now, NULL));
  CRASH_EXPECT(strcmp(now, "first") == 0, "it was made of \"%s\"", now);
  CRASH_OK(shoal_text_close(S, &it));
  CRASH_OK(shoal_text_unlink(S, "t"));
}
static void text_made_or_not(void) {
  crash_survivor(open_or_create_text);
  (void)shoal_proc_reap(S);
  CRASH_EXPECT(used() == used_before, "%lu bytes stay", used() - used_before);
}
CRASH_SCENARIO(data_text_create, .name = "text: create", .setup = segment, .prepare = use, .op = create_text,
               .check = text_made_or_not, .cleanup = fixture_segment_end);
