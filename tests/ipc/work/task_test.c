// Claims
//   find       by name, with the size and the type of the argument as written; what it answers is the body's answer
//   unknown    -ENOENT with the name in the reason
//   duplicate  two files may each have a static task of one name: neither is found (-EEXIST), check names it
//   list       every task exactly once; stops at the first non-zero answer
#include "ipc/work/task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/error.h"

struct square {
  double in, out;
};
SHOAL_TASK(square, struct square) {
  arg->out = arg->in * arg->in;
  return 0;
}
SHOAL_TASK(refuse, int) { return *arg; }

// What a second file with a task of the same name would bring into the section.
SHOAL_TASK(twice, char) { return *arg; }
static const struct shoal_task other_twice = {.name = "twice", .type = "long", .size = sizeof(long), .run = twice_run_};
static const struct shoal_task *const other_entry SHOAL_TASK_ENTRY_ = &other_twice;

static void test_find(void **state) {
  (void)state;
  const struct shoal_task *task;
  assert_int_equal(shoal_task_find("square", &task), 0);
  assert_string_equal(task->name, "square");
  assert_string_equal(task->type, "struct square");
  assert_int_equal(task->size, sizeof(struct square));
  struct square argument = {3, 0};
  assert_int_equal(task->run(&argument), 0);
  assert_true(argument.out == 9);
  int answer = -EIO;
  assert_int_equal(shoal_task_find("refuse", &task), 0);
  assert_int_equal(task->run(&answer), -EIO);
}

static void test_unknown(void **state) {
  (void)state;
  const struct shoal_task *task = NULL;
  assert_int_equal(shoal_task_find("squar", &task), -ENOENT);
  assert_non_null(strstr(shoal_reason(), "squar"));
  assert_int_equal(shoal_task_find("", &task), -ENOENT);
  assert_null(task);
}

static void test_duplicate(void **state) {
  (void)state;
  const struct shoal_task *task = NULL;
  assert_int_equal(shoal_task_find("twice", &task), -EEXIST);
  assert_null(task);
  assert_int_equal(shoal_task_check(), -EEXIST);
  assert_non_null(strstr(shoal_reason(), "twice"));
}

struct seen {
  unsigned square, refuse, twice, all, stop_at;
};

static int note(const struct shoal_task *task, void *arg) {
  struct seen *seen = arg;
  seen->square += !strcmp(task->name, "square");
  seen->refuse += !strcmp(task->name, "refuse");
  seen->twice += !strcmp(task->name, "twice");
  return ++seen->all == seen->stop_at ? 7 : 0;
}

static void test_list(void **state) {
  (void)state;
  struct seen seen = {0};
  assert_int_equal(shoal_task_list(note, &seen), 0);
  assert_int_equal(seen.square, 1);
  assert_int_equal(seen.refuse, 1);
  assert_int_equal(seen.twice, 2);
  assert_int_equal(seen.all, 4);
  struct seen stopped = {.stop_at = 2};
  assert_int_equal(shoal_task_list(note, &stopped), 7);
  assert_int_equal(stopped.all, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_find),
      cmocka_unit_test(test_unknown),
      cmocka_unit_test(test_duplicate),
      cmocka_unit_test(test_list),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
