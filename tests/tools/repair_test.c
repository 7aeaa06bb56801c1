// What shoal repair claims:
// - without --yes it changes no byte, and says what it then does with --yes, once; what a lock guards is its user's to
//   judge
// - it says what of the heap is of the dead, damaged, or led to by nothing, and says damaged what it cannot mend, each
//   time; killed in the middle of an allocation, nothing is left; a million blocks of the living, or no memory to look,
//   hide nothing
// - show says who keeps an end of a pipe, and repair ends what the dead had or kept of it, and says of locks in values
//   that it leaves them
#include <sys/resource.h>

#include "core/directory_internal.h"
#include "core/heap_internal.h"
#include "core/proc.h"
#include "tests/harness/victim.h"
#include "tests/tools/filled.h"

// Dies with a lock, a place to write, a message in hand, a half of memory, and as a participant.
static void leave_all(struct shoal_segment *seg, struct shoal_queue *q) {
  struct shoal_lock *lock;
  struct shoal_loan in, out;
  struct shoal_heap *heap;
  void *block;
  MUST(shoal_lock_open(seg, "lock", &lock) == 0 && shoal_lock_acquire(lock, SHOAL_TRY) == 0);
  MUST(shoal_queue_receive(q, &in, SHOAL_TRY) == 0 && shoal_queue_reserve(q, &out, SHOAL_TRY) == 0);
  MUST(shoal_heap_open(seg, &heap) == 0 && shoal_heap_alloc(heap, 1 << 20, &block) == 0);
  kill(getpid(), SIGKILL);
}
static void test_repair(void **state) {
  (void)state;
  const char *name = test_name("repair");
  const struct shoal_segment_options roomy = {.size = 4 << 20, .size_max = 64 << 20, .participants = 16, .objects = 64};
  struct shoal_segment *seg;
  struct shoal_lock *lock;
  struct shoal_queue *q;
  struct shoal_heap *heap;
  struct shoal_lock_info info;
  uint32_t three = 3, got = 0;
  int status;
  assert_ok(shoal_segment_create(name, &roomy, &seg));
  assert_ok(shoal_lock_create(seg, "lock", &lock));
  assert_ok(shoal_heap_open(seg, &heap));
  assert_ok(shoal_queue_create(seg, "q", &(struct shoal_queue_options){.capacity = 8, .element_size = 4}, &q));
  assert_ok(shoal_queue_put(q, &three, SHOAL_TRY));
  assert_has(tool("repair", name), "Nothing is to be done.");
  pid_t pid = fork_child();
  if (pid == 0) leave_all(seg, q);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  uint64_t before = sum_of(name);
  struct run *r = tool("repair", "--json", "--locks", name);
  assert_status(r, 0);
  assert_json(r);
  assert_has(r, "\"type\":\"segment\",\"action\":\"would be\",\"participants_freed\":1");
  assert_has(r, "\"redelivered\":1");
  assert_has(r, "\"holes_skipped\":1");
  assert_has(r, "\"blocks_freed\":1");
  assert_has(r, "\"made_consistent\":1");
  assert_has(tool("repair", name), "With --yes,");
  assert_true(sum_of(name) == before);
  assert_has(tool("repair", "--yes", joined(name, "lock")), "left       lock ");  // and nothing else, see below
  uint32_t users = info_of(seg).participants;
  r = tool("repair", "--yes", name);
  assert_status(r, 0);
  assert_has(r, "participants_freed=1");
  assert_has(r, "redelivered=1");
  assert_has(r, "left       lock ");
  assert_int_equal(info_of(seg).participants, users);  // nobody more, it has left
  assert_ok(shoal_lock_info(lock, &info));
  assert_true(info.dead);
  r = tool("repair", "--yes", "--locks", joined(name, "lock"));
  assert_has(r, "made_consistent=1");
  assert_ok(shoal_lock_acquire(lock, SHOAL_TRY));  // and not -EOWNERDEAD
  assert_ok(shoal_lock_release(lock));
  assert_null(strstr(tool("repair", "--json", name)->out, "\"name\":\"q\""));  // once
  assert_ok(shoal_queue_get(q, &got, SHOAL_TRY));
  assert_int_equal(got, 3);
  assert_int_equal(shoal_queue_get(q, &got, SHOAL_TRY), -EAGAIN);
  assert_status(tool("repair", joined(name, "nothing")), 1);
  assert_status(tool("repair"), 2);
  assert_ok(shoal_queue_detach(q));
  assert_ok(shoal_heap_close(heap));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

// An end of a pipe, used or only kept, and the lock of a value.
static void leave_others(struct shoal_segment *seg) {
  struct shoal_pipe *p;
  struct shoal_array a;
  MUST(shoal_pipe_open(seg, "p", 0, 0, &p) == 0 && shoal_pipe_send(p, "x", 1, SHOAL_TRY) == 0);
  MUST(shoal_pipe_open(seg, "kept", 0, 0, &p) == 0 && shoal_pipe_open(seg, "one way", 0, 1, &p) == 0);
  MUST(shoal_value_open(seg, "v", "int", 4, &a) == 0 && shoal_array_acquire(&a, SHOAL_TRY) == 0);
  kill(getpid(), SIGKILL);
}
static void test_repair_of_what_else_the_dead_had(void **state) {
  (void)state;
  const char *name = test_name("others");
  static const char *const names[] = {"p", "kept", "one way"};
  struct shoal_segment *seg;
  struct shoal_pipe *ends[3][2];
  struct shoal_array a;
  char target[160], keeper[64], got[8];
  uint64_t size;
  int status;
  assert_ok(shoal_segment_create(name, &small, &seg));
  for (uint32_t i = 0; i < 3; i++) {
    struct shoal_pipe_options o = {.capacity = 8, .duplex = i < 2};
    assert_ok(shoal_pipe_create(seg, names[i], &o, ends[i]));
  }
  assert_ok(shoal_value_create(seg, "v", "int", 4, NULL, &a));
  struct run *r = tool("repair", name);
  assert_has(r, "Nothing is to be done.");
  snprintf(target, sizeof target, "%s/kept", name);
  snprintf(keeper, sizeof keeper, "\"sender_keeper_0\":%d", (int)getpid());
  assert_has(tool("show", "--json", target), keeper);
  pid_t pid = fork_child();
  if (pid == 0) leave_others(seg);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  snprintf(keeper, sizeof keeper, "\"sender_keeper_0\":%d", (int)pid);
  assert_has(tool("show", "--json", target), keeper);
  uint64_t before = sum_of(name);
  for (int yes = 0; yes < 2; yes++) {
    char done[160];
    const char *word = yes ? "repaired" : "would be";
    r = yes ? tool("repair", "--yes", "--json", name) : tool("repair", "--json", name);
    assert_status(r, 0);
    assert_json(r);
    snprintf(done, sizeof done, "\"name\":\"p\",\"type\":\"pipe:bytes\",\"action\":\"%s\",\"roles_freed\":2}", word);
    assert_has(r, done);
    snprintf(done, sizeof done, "\"name\":\"kept\",\"type\":\"pipe:bytes\",\"action\":\"%s\",\"keepers_freed\":2}",
             word);
    assert_has(r, done);
    snprintf(done, sizeof done, "\"name\":\"one way\",\"type\":\"pipe:bytes\",\"action\":\"%s\",\"keepers_freed\":1}",
             word);
    assert_has(r, done);
    assert_has(r, "\"name\":\"v\",\"type\":\"value\",\"action\":\"left\"");
    assert_true(yes || sum_of(name) == before);
  }
  assert_null(strstr(tool("repair", "--json", name)->out, "pipe:bytes"));  // once
  assert_has(tool("show", "--json", target), "\"sender_keeper_0\":0");
  assert_ok(shoal_pipe_recv(ends[0][1], got, sizeof got, &size, SHOAL_TRY));
  assert_int_equal(shoal_pipe_recv(ends[0][1], got, sizeof got, &size, SHOAL_FOREVER), -EPIPE);
  assert_int_equal(shoal_pipe_recv(ends[1][1], got, sizeof got, &size, SHOAL_FOREVER), -EPIPE);
  assert_int_equal(shoal_pipe_recv(ends[2][0], got, sizeof got, &size, SHOAL_FOREVER), -EPIPE);
  assert_ok(shoal_pipe_send(ends[1][0], "x", 1, SHOAL_TRY));  // whoever has it open may take it
  assert_ok(shoal_pipe_recv(ends[1][1], got, sizeof got, &size, SHOAL_FOREVER));
  assert_has(tool("repair", "--yes", "--locks", name), "made_consistent=1");
  assert_ok(shoal_array_acquire(&a, SHOAL_TRY));  // and not -EOWNERDEAD
  assert_ok(shoal_array_release(&a));
  for (int i = 0; i < 6; i++) assert_ok(shoal_pipe_close(&ends[i / 2][i % 2]));
  assert_ok(shoal_value_close(seg, &a));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

// Who looks for a place frees the dead one's first.
static void test_repair_of_a_full_segment(void **state) {
  (void)state;
  const char *name = test_name("full");
  struct shoal_segment_options o = small;
  struct shoal_segment *seg;
  shoal_proc_id me;
  int status;
  o.participants = 2;
  assert_ok(shoal_segment_create(name, &o, &seg));
  assert_ok(shoal_proc_self(seg, &me));
  pid_t pid = fork_child();
  if (pid == 0) {
    MUST(shoal_proc_self(seg, &me) == 0);
    kill(getpid(), SIGKILL);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  assert_has(tool("repair", name), "participants_freed=1");
  assert_has(tool("repair", "--yes", name), "participants_freed=1");
  assert_has(tool("repair", name), "Nothing is to be done.");
  assert_int_equal(info_of(seg).participants, 1);
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

// Somebody alive has the directory as the copy is made: in it, he has it for ever.
static void test_repair_beside_a_busy_directory(void **state) {
  (void)state;
  const char *name = test_name("busy");
  struct shoal_segment *seg;
  struct shoal_object o;
  assert_ok(shoal_segment_create(name, &small, &seg));
  shoal_atomic32 *ready = shared_memory(4096);
  pid_t dead = fork_child();
  if (dead == 0) {
    MUST(shoal_object_create(seg, "thing", "thing", 64, NULL, NULL, &o) == 0 && shoal_object_remove(seg, "thing") == 0);
    signal_to(ready);
    pause();
  }
  await(ready, 1);
  kill_and_wait(dead);
  shoal_store32_relaxed(ready, 0);
  pid_t pid = fork_child();
  if (pid == 0) {
    MUST(shoal_directory_acquire_(seg) == 0);
    signal_to(ready);
    pause();
  }
  await(ready, 1);
  assert_has(tool("repair", name), "its directory is busy");
  kill_and_wait(pid);
  assert_has(tool("repair", "--yes", name), "objects_freed=1");
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

static uint64_t number_of(const struct run *r, const char *key) {  // of the row that has it; 0: none
  char text[64];
  snprintf(text, sizeof text, "\"%s\":", key);
  const char *at = strstr(r->out, text);
  return at ? strtoull(at + strlen(text), NULL, 10) : 0;
}
static struct shoal_heap_audit audit_of(struct shoal_heap *heap) {
  struct shoal_heap_audit a;
  assert_ok(shoal_heap_audit(heap, &a));
  return a;
}

static void test_repair_of_a_damaged_heap(void **state) {
  (void)state;
  const char *name = test_name("heap");
  struct shoal_segment *seg;
  struct shoal_heap *heap;
  struct shoal_object o;
  struct shoal_block_ref ref;
  void *block, *pages;
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_ok(shoal_heap_open(seg, &heap));
  assert_ok(shoal_object_create(seg, "thing", "thing", 64, NULL, NULL, &o));
  assert_ok(shoal_heap_alloc(heap, 3000, &block));
  assert_ok(shoal_heap_alloc(heap, 5 * 4096, &pages));
  assert_has(tool("repair", name), "Nothing is to be done.");

  assert_ok(shoal_block_give_(heap, block, o.entry, o.generation, &ref));
  struct run *r = tool("repair", "--json", "--yes", name);
  assert_status(r, 0);
  assert_json(r);
  assert_has(r, "\"action\":\"left\",\"unreferenced\":1,\"unreferenced_bytes\":3072,\"left\":");
  assert_has(tool("repair", joined(name, "shoal.heap")), "nothing leads to some of its blocks");
  memcpy(o.memory, &ref, sizeof ref);
  assert_has(tool("repair", name), "Nothing is to be done.");
  *(uint64_t *)o.memory = ref.off >> 4 << 22 | 5;  // as a word of a dict does
  assert_has(tool("repair", name), "Nothing is to be done.");

  const struct shoal_chunk_ *c = &heap->chunk[0];
  uint64_t first = ((uintptr_t)pages - (uintptr_t)c->data) / 4096;
  shoal_store32_relaxed(&c->page[first].pages, 0);
  r = tool("repair", "--json", "--yes", name);
  assert_status(r, 0);
  assert_json(r);
  assert_int_equal(number_of(r, "damaged"), 5);
  assert_int_equal(number_of(r, "damaged_at"), shoal_segment_off(seg, pages));
  assert_has(tool("repair", name), "it is damaged");
  shoal_store32_relaxed(&c->page[first].pages, 5);
  shoal_store64_relaxed(&c->page[first].owner, UINT64_C(9) << 28);
  assert_int_equal(number_of(tool("repair", "--json", name), "damaged"), 5);
  assert_ok(shoal_heap_close(heap));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

// What lives is asked about once, not for each block that it has; and a dead one's are found among them.
static void test_repair_beside_many_blocks(void **state) {
  (void)state;
  const char *name = test_name("many");
  struct shoal_segment *seg;
  struct shoal_heap *heap;
  void *block;
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_ok(shoal_heap_open(seg, &heap));
  for (int i = 0; i < 1000000; i++) MUST(shoal_heap_alloc(heap, 16, &block) == 0);
  pid_t pid = fork_child();
  if (pid == 0) {
    MUST(shoal_heap_alloc(heap, 16, &block) == 0);
    _exit(0);
  }
  assert_int_equal(status_of(pid), 0);
  assert_has(tool("repair", "--json", joined(name, "shoal.heap")), "\"action\":\"would be\"");
  struct run *r = tool("repair", "--json", "--yes", joined(name, "shoal.heap"));
  assert_status(r, 0);
  assert_json(r);
  assert_has(r, "\"action\":\"repaired\"");
  assert_int_equal(number_of(r, "dead_runs"), 1);
  assert_int_equal(number_of(r, "dead_blocks"), 1);
  assert_int_equal(audit_of(heap).blocks, 1000000);
  assert_has(tool("repair", name), "Nothing is to be done.");
  assert_ok(shoal_heap_close(heap));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

// No sweep knows what it held: it is said to be damaged, and not, each time, to be repaired.
static void test_repair_of_a_dead_ones_damaged_slab(void **state) {
  (void)state;
  const char *name = test_name("slab");
  struct shoal_segment *seg;
  struct shoal_heap *heap;
  void *block;
  unsigned slabs = 0;
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_ok(shoal_heap_open(seg, &heap));
  pid_t pid = fork_child();
  if (pid == 0) {
    MUST(shoal_heap_alloc(heap, 16, &block) == 0);
    _exit(0);
  }
  assert_int_equal(status_of(pid), 0);
  assert_ok(shoal_chunks_look_(heap));
  const struct shoal_chunk_ *c = &heap->chunk[0];
  for (uint64_t i = 0; i < c->pages; i++)
    if (shoal_word_kind_(shoal_load64_relaxed(&c->page[i].owner)) == SLAB)
      shoal_store32_relaxed(&c->page[i].tag, 0), slabs++;
  assert_int_equal(slabs, 1);
  assert_int_equal(audit_of(heap).dead_runs, 0);
  for (int lap = 0; lap < 2; lap++) {
    struct run *r = tool("repair", "--json", "--yes", joined(name, "shoal.heap"));
    assert_status(r, 0);
    assert_json(r);
    assert_has(r, "\"action\":\"left\",\"damaged\":1,");
    assert_int_equal(number_of(r, "dead_runs") + number_of(r, "blocks_freed"), 0);
  }
  assert_ok(shoal_heap_close(heap));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
static struct run *tool_within(rlim_t most, const char *name) {
  static struct run r;
  int out = memfd_create("tool", MFD_CLOEXEC);
  assert_true(out >= 0);
  pid_t pid = fork_child();
  if (pid == 0) {
    MUST(dup2(out, 1) == 1 && dup2(out, 2) == 2 && setrlimit(RLIMIT_AS, &(struct rlimit){most, most}) == 0);
    execv(tool_path, (char *const *)WORDS("repair", "--json", name));
    _exit(127);
  }
  free(r.out);
  r = (struct run){status_of(pid), slurp(out), (char[]){""}};
  return &r;
}
#endif
// The marks of what leads where want memory: without it, what was done is told all the same.
static void test_repair_without_memory_to_look(void **state) {
  (void)state;
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
  skip();  // a sanitizer wants the address space for itself
#else
  const char *name = test_name("short");
  const struct shoal_segment_options o = {.size = 256 << 20, .size_max = 256 << 20};  // marks of 2 MiB
  struct shoal_segment *seg;
  struct shoal_heap *heap;
  void *pages;
  assert_ok(shoal_segment_create(name, &o, &seg));
  assert_ok(shoal_heap_open(seg, &heap));
  pid_t pid = fork_child();
  if (pid == 0) {
    MUST(shoal_heap_alloc(heap, 5 * 4096, &pages) == 0);
    _exit(0);
  }
  assert_int_equal(status_of(pid), 0);
  const char *heaps = joined(name, "shoal.heap");
  struct run *r = NULL;
  for (rlim_t most = 512 << 20; most >= 256 << 20; most -= 1 << 20)
    if (strstr((r = tool_within(most, heaps))->out, "\"left\"")) break;
  assert_has(r, "\"left\":\"what is left was not seen: private memory\"");
  assert_has(r, "\"action\":\"would be\",\"blocks_freed\":1,");
  assert_status(r, 0);
  assert_ok(shoal_heap_close(heap));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
#endif
}

// ---- killed in the middle of an allocation ----

static struct shoal_heap *stepped;
static void use_it_once(void) {
  void *pages;
  MUST(shoal_heap_alloc(stepped, 3 * 4096, &pages) == 0 && shoal_heap_free(stepped, pages) == 0);
}
static void allocate(void) {
  void *pages;
  MUST(shoal_heap_alloc(stepped, 7 * 4096, &pages) == 0);
}
static void test_repair_of_half_an_allocation(void **state) {
  (void)state;
  const char *name = test_name("half");
  struct shoal_segment *seg;
  struct victim_trace trace = {0};
  unsigned with = 0, without = 0;
  assert_ok(shoal_segment_create(name, &small, &seg));
  assert_ok(shoal_heap_open(seg, &stepped));
  use_it_once();
  struct victim *v = victim_start(0, use_it_once, allocate);
  while (victim_record(v, &trace) < VICTIM_FINISHED) assert_int_equal(v->state, VICTIM_STOPPED);
  assert_int_equal(v->state, VICTIM_FINISHED);
  victim_kill(v);
  assert_has(tool("repair", "--yes", name), "dead_runs=1");
  struct shoal_heap_audit before = audit_of(stepped);
  for (uint32_t k = 0; k <= trace.n; k += trace.n / 16 + 1) {
    v = victim_start(0, use_it_once, allocate);
    assert_true(victim_run_to(v, &trace, k, NULL) == VICTIM_STOPPED || v->state == VICTIM_FINISHED);
    victim_kill(v);
    struct shoal_heap_audit half = audit_of(stepped), whole;
    assert_true(half.dead_runs <= 1 && half.damaged == 0);
    *(half.dead_runs ? &with : &without) += 1;
    struct run *r = tool("repair", "--json", name);
    assert_json(r);
    assert_int_equal(number_of(r, "dead_runs"), half.dead_runs);
    assert_int_equal(number_of(r, "blocks_freed"), half.dead_runs);
    assert_int_equal(number_of(r, "damaged") + number_of(r, "unreferenced"), 0);
    assert_int_equal(audit_of(stepped).dead_runs, half.dead_runs);  // it was a copy
    assert_status(tool("repair", "--yes", name), 0);
    whole = audit_of(stepped);
    assert_memory_equal(&whole, &before, sizeof before);
  }
  assert_true(with && without);
  victim_trace_clear(&trace);
  assert_ok(shoal_heap_close(stepped));
  assert_ok(shoal_segment_unlink(name));
  assert_ok(shoal_segment_close(seg));
}

int main(int argc, char **argv) {
  alarm(WATCHDOG_S);
  if (argc < 2) return 2;
  tool_path = argv[1];
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_repair),
      cmocka_unit_test(test_repair_of_what_else_the_dead_had),
      cmocka_unit_test(test_repair_of_a_full_segment),
      cmocka_unit_test(test_repair_beside_a_busy_directory),
      cmocka_unit_test(test_repair_of_a_damaged_heap),
      cmocka_unit_test(test_repair_beside_many_blocks),
      cmocka_unit_test(test_repair_of_a_dead_ones_damaged_slab),
      cmocka_unit_test(test_repair_without_memory_to_look),
      cmocka_unit_test(test_repair_of_half_an_allocation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
