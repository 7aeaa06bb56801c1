// The tests of sync/with.h, compiled as C (with_test.c) and as C++ (with_cxx_test.cc). Claims:
//   1 what a block holds is let go of on every way out: its end, return, break, continue, goto
//   2 it does not run when the object is not acquired; the code says why
//   3 -EOWNERDEAD: it runs, holding the object
//   4 blocks stand in each other; the object and the deadline are evaluated once
//   5 SHOAL_HOLD holds to the end of the block around it, and break and continue mean the loop around that
//   6 all this of a semaphore's permit and of a monitor, too, but that a permit is never in doubt; a block waits for
//   the
//     condition, and whatever the wait answers, leaving lets go of what is held, and of nothing else
static struct shoal_lock lock;
static struct shoal_rlock rlock;
static struct {
  struct shoal_semaphore s;
  struct shoal_permit permits[1];
} permit;
static struct {
  struct shoal_condition c;
  struct shoal_seat seats[4];
} line;
static struct shoal_monitor monitor, recursive;
static int items;
static int evaluated;

static struct shoal_lock *the_lock(void) {
  evaluated++;
  return &lock;
}
static int is_held(void) { return shoal_robust_owner(shoal_load32_relaxed(&lock.robust.word)) != 0; }
static unsigned depth(void) {
  struct shoal_rlock_info info;
  assert_int_equal(shoal_rlock_info(&rlock, &info), 0);
  return info.depth;
}

static int setup(void **state) {
  (void)state;
  items = 0;
  int rc = shoal_lock_init(&lock) || shoal_rlock_init(&rlock) || shoal_semaphore_init(&permit.s, 1, 1, 0) ||
           shoal_condition_init(&line.c, 4);
  monitor = shoal_monitor_of(&line.c, &lock);
  recursive = shoal_monitor_of(&line.c, &rlock);
  return rc;
}
static int is_taken(void) {
  struct shoal_semaphore_info info;
  assert_int_equal(shoal_semaphore_info(&permit.s, &info), 0);
  return (int)info.held;
}
static int is_held_again(void) { return depth() != 0; }

#define LEAVE(name, object, held) \
  static int name(int way) {      \
    int rc = 99, after = 0;       \
    SHOAL_WITH (rc, object) {     \
      assert_int_equal(rc, 0);    \
      assert_true(held());        \
      if (way == 1) return 1;     \
      if (way == 2) break;        \
      if (way == 3) continue;     \
      if (way == 4) goto out;     \
      after = 5;                  \
    }                             \
    assert_false(held());         \
    return after;                 \
  out:                            \
    assert_false(held());         \
    return 4;                     \
  }
LEAVE(leave_lock, &lock, is_held)
LEAVE(leave_rlock, &rlock, is_held_again)
LEAVE(leave_semaphore, &permit.s, is_taken)
LEAVE(leave_monitor, &monitor, is_held)
LEAVE(leave_recursive, &recursive, is_held_again)
static void test_every_way_out(void **state) {
  (void)state;
  int (*const leave[])(int) = {leave_lock, leave_rlock, leave_semaphore, leave_monitor, leave_recursive};
  for (unsigned i = 0; i < sizeof leave / sizeof *leave; i++) {
    assert_int_equal(leave[i](1), 1);
    assert_false(is_held() || depth() || is_taken());
    assert_int_equal(leave[i](2), 0);
    assert_int_equal(leave[i](3), 0);
    assert_int_equal(leave[i](4), 4);
    assert_int_equal(leave[i](5), 5);
  }
}

static void test_not_acquired(void **state) {
  (void)state;
  int rc, ran = 0;
  assert_int_equal(shoal_lock_acquire(&lock, SHOAL_FOREVER), 0);
  SHOAL_WITH (rc, &lock) ran++;
  assert_int_equal(rc, -EDEADLK);
  SHOAL_WITH_UNTIL (rc, &lock, SHOAL_TRY) ran++;
  assert_int_equal(rc, -EDEADLK);
  assert_int_equal(ran, 0);
  assert_true(is_held());  // by us, not by the blocks
  assert_int_equal(shoal_lock_release(&lock), 0);
  SHOAL_WITH_UNTIL (rc, &lock, shoal_after_ms(20)) ran++;
  assert_int_equal(rc, 0);
  assert_int_equal(ran, 1);
}

static void *die_holding(void *arg) {
  assert_int_equal(shoal_lock_acquire(&lock, SHOAL_FOREVER), 0);
  return arg;
}
static void kill_a_holder(void) {
  pthread_t t;
  assert_int_equal(pthread_create(&t, NULL, die_holding, NULL), 0);
  assert_int_equal(pthread_join(t, NULL), 0);
}
static void test_a_dead_holder(void **state) {
  (void)state;
  int rc, ran = 0;
  kill_a_holder();
  SHOAL_WITH (rc, &lock) {
    assert_int_equal(rc, -EOWNERDEAD);
    assert_int_equal(shoal_lock_consistent(&lock), 0);
    ran++;
  }
  assert_int_equal(rc, -EOWNERDEAD);
  assert_int_equal(ran, 1);
  SHOAL_WITH (rc, &lock) ran++;
  assert_int_equal(rc, 0);
  kill_a_holder();
  SHOAL_WITH (rc, &lock) ran++;  // nobody says that it is consistent
  SHOAL_WITH (rc, &lock) ran++;
  assert_int_equal(rc, -ENOTRECOVERABLE);
  assert_int_equal(ran, 3);
}

static void test_a_monitor_of_the_dead(void **state) {
  (void)state;
  int rc, ran = 0;
  kill_a_holder();
  SHOAL_WITH (rc, &monitor) {
    assert_int_equal(rc, -EOWNERDEAD);
    assert_int_equal(shoal_monitor_wait(&monitor, SHOAL_TRY), -EINVAL);  // in doubt: not before it has been repaired
    assert_int_equal(shoal_monitor_consistent(&monitor), 0);
    ran++;
  }
  SHOAL_WITH (rc, &monitor) ran++;
  assert_int_equal(rc, 0);
  kill_a_holder();
  SHOAL_WITH (rc, &monitor) ran++;  // nobody says that it is consistent
  SHOAL_WITH (rc, &monitor) ran++;
  assert_int_equal(rc, -ENOTRECOVERABLE);
  assert_int_equal(ran, 3);
}

static void *put_an_item(void *arg) {
  int rc;
  SHOAL_WITH (rc, (struct shoal_monitor *)arg) {
    items++;
    assert_int_equal(shoal_monitor_notify(&monitor, 1), 0);
  }
  assert_int_equal(rc, 0);
  return NULL;
}
static void *notify_and_die(void *arg) {
  assert_int_equal(shoal_lock_acquire(&lock, SHOAL_FOREVER), 0);
  assert_int_equal(shoal_monitor_notify_all((struct shoal_monitor *)arg), 0);
  return NULL;
}
// Waits in the block, the lock let go of meanwhile, for what `body` does. What the wait answers.
static int wait_for_another(void *(*body)(void *)) {
  pthread_t t;
  int rc, waited = 99;
  SHOAL_WITH (rc, &monitor) {
    assert_int_equal(pthread_create(&t, NULL, body, &monitor), 0);
    waited = shoal_monitor_wait(&monitor, SHOAL_FOREVER);
    assert_true(is_held());
    if (waited == -EOWNERDEAD) assert_int_equal(shoal_monitor_consistent(&monitor), 0);
  }
  assert_int_equal(rc, 0);
  assert_false(is_held());
  assert_int_equal(pthread_join(t, NULL), 0);
  return waited;
}
static void test_a_block_that_waits(void **state) {
  (void)state;
  int rc;
  assert_int_equal(wait_for_another(put_an_item), 0);
  assert_int_equal(items, 1);
  assert_int_equal(wait_for_another(notify_and_die), -EOWNERDEAD);
  SHOAL_WITH (rc, &recursive) {
    SHOAL_WITH (rc, &recursive) {
      assert_int_equal(shoal_monitor_wait(&recursive, shoal_after_ms(1)), -ETIMEDOUT);
      assert_int_equal(depth(), 2);
    }
  }
  assert_int_equal(depth(), 0);
}

static void *take_and_die(void *arg) {
  assert_int_equal(shoal_semaphore_acquire(&permit.s, SHOAL_FOREVER), 0);
  return arg;
}
static void test_a_permit(void **state) {
  (void)state;
  int rc, ran = 0;
  pthread_t t;
  SHOAL_WITH (rc, &permit.s) {
    int inner;
    SHOAL_WITH_UNTIL (inner, &permit.s, SHOAL_TRY) ran++;
    assert_int_equal(inner, -EAGAIN);
    SHOAL_WITH_UNTIL (inner, &permit.s, shoal_after_ms(1)) ran++;
    assert_int_equal(inner, -ETIMEDOUT);
  }
  assert_int_equal(ran, 0);
  assert_int_equal(pthread_create(&t, NULL, take_and_die, NULL), 0);
  assert_int_equal(pthread_join(t, NULL), 0);
  SHOAL_WITH_UNTIL (rc, &permit.s, SHOAL_TRY) ran++;  // what the dead gave back
  assert_int_equal(rc, 0);
  assert_int_equal(ran, 1);
  for (int i = 0; i < 3; i++) {
    SHOAL_HOLD_UNTIL(rc, &permit.s, SHOAL_TRY);
    assert_int_equal(rc, 0);
    assert_true(is_taken());
    if (i == 1) continue;
  }
  assert_false(is_taken());
}

static void test_in_each_other(void **state) {
  (void)state;
  int rc, inner;
  evaluated = 0;
  SHOAL_WITH (rc, the_lock()) {
    SHOAL_WITH (inner, &rlock) {
      SHOAL_WITH_UNTIL (inner, &rlock, SHOAL_TRY) assert_int_equal(depth(), 2);
      assert_int_equal(depth(), 1);
      if (inner == 0) break;
    }
    assert_int_equal(depth(), 0);
    assert_true(is_held());
  }
  assert_int_equal(rc, 0);
  assert_int_equal(evaluated, 1);
  if (rc == 0)
    SHOAL_WITH (rc, &lock) evaluated++;
  else assert_true(0);
  assert_int_equal(evaluated, 2);
}

static int loop_until(int last) {
  int rc, i;
  for (i = 0; i < 10; i++) {
    assert_false(is_held());
    SHOAL_HOLD(rc, &lock);
    assert_int_equal(rc, 0);
    assert_true(is_held());
    SHOAL_HOLD_UNTIL(rc, &rlock, SHOAL_TRY);
    assert_int_equal(depth(), 1);
    if (i < last) continue;
    if (last == 9) return 9;
    break;
  }
  assert_false(is_held());
  return i;
}
static void test_held_to_the_end_of_the_block_around(void **state) {
  (void)state;
  int rc;
  assert_int_equal(loop_until(3), 3);
  assert_int_equal(loop_until(9), 9);
  assert_false(is_held());
  assert_int_equal(shoal_lock_acquire(&lock, SHOAL_FOREVER), 0);
  {
    SHOAL_HOLD(rc, &lock);
    assert_int_equal(rc, -EDEADLK);
  }
  assert_true(is_held());
  assert_int_equal(shoal_lock_release(&lock), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(test_every_way_out, setup),
    cmocka_unit_test_setup(test_not_acquired, setup),
    cmocka_unit_test_setup(test_a_dead_holder, setup),
    cmocka_unit_test_setup(test_a_monitor_of_the_dead, setup),
    cmocka_unit_test_setup(test_a_block_that_waits, setup),
    cmocka_unit_test_setup(test_a_permit, setup),
    cmocka_unit_test_setup(test_in_each_other, setup),
    cmocka_unit_test_setup(test_held_to_the_end_of_the_block_around, setup),
};
