// What shoal top claims of what is late:
// - it is told as that, though its answer comes as it is given up; what lies behind it is looked at
// - how long an object is waited for that has not answered: twice as long in each look, up to as long as any; what
//   answers is known good again
#include "tools/shoal/top.h"

#include <poll.h>

#include "tests/tools/filled.h"

static const char *segment;
static struct shoal_segment *seg;
static int late, most, waited;  // late: what it is, or not; waited: how long the last look would have, of `most`

static int attend(int fd, int ms, const struct tool_row *at, void *arg) {
  struct top *t = arg;
  struct pollfd p = {.fd = fd, .events = POLLIN};
  if (at && strcmp(t->looking, segment) == 0 && strcmp(at->name, "a lock") == 0) {
    most = ms;
    waited = top_patience(t, at, ms);
    while (late && !(p.revents & POLLHUP)) poll(&p, 1, -1);  // its look is over, and nobody has heard of it
    if (late) return 0;
  }
  return poll(&p, 1, -1);
}
static int look(struct top *t, int is_late) {
  late = is_late, waited = 0;
  assert_ok(top_look(t));
  top_arrange(t);
  assert_int_equal(t->n_shown, 2);
  assert_int_equal(t->shown[0].row->error, is_late ? -EPROTO : 0);
  assert_int_equal(t->shown[1].row->error, 0);
  return waited;
}

static struct top begin(const char *what) {
  struct shoal_lock *lock[2];
  struct top t = {.wait = attend};
  segment = test_name(what);
  snprintf(t.filter, sizeof t.filter, "%s", segment);
  assert_ok(shoal_segment_create(segment, &small, &seg));
  assert_ok(shoal_lock_create(seg, "a lock", &lock[0]));
  assert_ok(shoal_lock_create(seg, "another", &lock[1]));
  return t;
}
static void end(struct top *t) {
  top_free(t);
  assert_ok(shoal_segment_unlink(segment));
  assert_ok(shoal_segment_close(seg));
}

static void test_what_answers_as_it_is_given_up_is_late(void **state) {
  (void)state;
  struct top t = begin("answered");
  look(&t, 1);
  look(&t, 0);
  end(&t);
}

static void test_what_is_late_again_is_waited_for_longer(void **state) {
  (void)state;
  struct top t = begin("late");
  const int all = look(&t, 0);
  assert_int_equal(all, most);
  assert_int_equal(look(&t, 1), all);
  const int again = look(&t, 1);
  assert_in_range(again, 1, all / 2);
  for (int ms = again; ms < all;) {
    ms = 2 * ms < all ? 2 * ms : all;
    assert_int_equal(look(&t, 1), ms);
  }
  assert_int_equal(look(&t, 1), all);
  assert_int_equal(look(&t, 0), all);
  assert_int_equal(look(&t, 1), all);  // it has been known as good
  assert_int_equal(look(&t, 1), again);
  assert_int_equal(look(&t, 0), 2 * again);
  assert_int_equal(look(&t, 0), all);
  end(&t);
}

int main(void) {
  alarm(WATCHDOG_S);
  own_folder();
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_answers_as_it_is_given_up_is_late),
                                     cmocka_unit_test(test_what_is_late_again_is_waited_for_longer)};
  return cmocka_run_group_tests(tests, NULL, NULL) | own_folder_ends();
}
