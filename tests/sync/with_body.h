// The tests of sync/with.h, compiled as C (with_test.c) and as C++ (with_cxx_test.cc). Claims:
//   1 what a block holds is let go of on every way out: its end, return, break, continue, goto
//   2 it does not run when the object is not acquired; the code says why
//   3 -EOWNERDEAD: it runs, holding the object
//   4 blocks stand in each other; the object and the deadline are evaluated once
//   5 SHOAL_HOLD holds to the end of the block around it, and break and continue mean the loop around that
static struct shoal_lock lock;
static struct shoal_rlock rlock;
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
  return shoal_lock_init(&lock) || shoal_rlock_init(&rlock);
}

static int leave_by(int way) {
  int rc = 99, after = 0;
  SHOAL_WITH (rc, &lock) {
    assert_int_equal(rc, 0);
    assert_true(is_held());
    if (way == 1) return 1;
    if (way == 2) break;
    if (way == 3) continue;
    if (way == 4) goto out;
    after = 5;
  }
  assert_false(is_held());
  return after;
out:
  assert_false(is_held());
  return 4;
}
static void test_every_way_out(void **state) {
  (void)state;
  assert_int_equal(leave_by(1), 1);
  assert_false(is_held());
  assert_int_equal(leave_by(2), 0);
  assert_int_equal(leave_by(3), 0);
  assert_int_equal(leave_by(4), 4);
  assert_int_equal(leave_by(5), 5);
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
    cmocka_unit_test_setup(test_in_each_other, setup),
    cmocka_unit_test_setup(test_held_to_the_end_of_the_block_around, setup),
};
