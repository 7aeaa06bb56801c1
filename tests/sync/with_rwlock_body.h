// sync/with.h on a readers-writer lock, compiled as C and as C++. Claims:
//   1 shoal_reading holds it for reading, shoal_writing for writing, and both let go on every way out
//   2 the block does not run when the lock is not acquired; the code says why
//   3 a writer died inside: the block runs with -EOWNERDEAD, a reader's too, and has the lock alone
//   4 blocks that read stand in each other; a block that writes may go on as a reader, and lets go of that
static struct {
  struct shoal_rwlock lock;
  struct shoal_seat seats[4];
} rw;

static int setup_rwlock(void **state) {
  (void)state;
  return shoal_rwlock_init(&rw.lock, 4);
}
static struct shoal_rwlock_info rwlock_info(void) {
  struct shoal_rwlock_info info;
  assert_int_equal(shoal_rwlock_info(&rw.lock, &info), 0);
  return info;
}
static void expect_nobody_inside(void) {
  struct shoal_rwlock_info info = rwlock_info();
  assert_int_equal(info.readers, 0);
  assert_int_equal(info.writer, 0);
  assert_int_equal(info.state, SHOAL_RWLOCK_OPEN);
}

static int leave_reading_by(int way) {
  int rc = 99;
  SHOAL_WITH (rc, shoal_reading(&rw.lock)) {
    assert_int_equal(rc, 0);
    assert_int_equal(rwlock_info().readers, 1);
    if (way == 1) return 1;
    if (way == 2) break;
    if (way == 3) continue;
    if (way == 4) goto out;
  }
  expect_nobody_inside();
  return way;
out:
  expect_nobody_inside();
  return 4;
}
static int leave_writing_by(int way) {
  int rc = 99;
  SHOAL_WITH (rc, shoal_writing(&rw.lock)) {
    assert_int_equal(rc, 0);
    assert_int_equal(rwlock_info().state, SHOAL_RWLOCK_WRITING);
    if (way == 1) return 1;
    if (way == 2) break;
    if (way == 3) continue;
    if (way == 4) goto out;
  }
  expect_nobody_inside();
  return way;
out:
  expect_nobody_inside();
  return 4;
}
static void test_rwlock_every_way_out(void **state) {
  (void)state;
  for (int way = 1; way <= 5; way++) {
    assert_int_equal(leave_reading_by(way), way);
    expect_nobody_inside();
    assert_int_equal(leave_writing_by(way), way);
    expect_nobody_inside();
  }
}

static void test_rwlock_not_acquired(void **state) {
  (void)state;
  int rc, ran = 0;
  assert_int_equal(shoal_rwlock_write_acquire(&rw.lock, SHOAL_FOREVER), 0);
  SHOAL_WITH (rc, shoal_reading(&rw.lock)) ran++;
  assert_int_equal(rc, -EDEADLK);
  SHOAL_WITH_UNTIL (rc, shoal_writing(&rw.lock), SHOAL_TRY) ran++;
  assert_int_equal(rc, -EDEADLK);
  assert_int_equal(rwlock_info().state, SHOAL_RWLOCK_WRITING);  // by us, not by the blocks
  assert_int_equal(shoal_rwlock_write_release(&rw.lock), 0);
  SHOAL_WITH (rc, shoal_reading(&rw.lock)) {
    int inner;
    SHOAL_WITH_UNTIL (inner, shoal_writing(&rw.lock), shoal_after_ms(20)) ran++;
    assert_int_equal(inner, -EDEADLK);
  }
  assert_int_equal(ran, 0);
  expect_nobody_inside();
}

static void *die_writing(void *arg) {
  assert_int_equal(shoal_rwlock_write_acquire(&rw.lock, SHOAL_FOREVER), 0);
  return arg;
}
static void kill_a_writer(void) {
  pthread_t t;
  assert_int_equal(pthread_create(&t, NULL, die_writing, NULL), 0);
  assert_int_equal(pthread_join(t, NULL), 0);
}
static void repair_in_a_block(int rc) {
  assert_int_equal(rc, -EOWNERDEAD);
  assert_int_equal(rwlock_info().state, SHOAL_RWLOCK_IN_DOUBT);
  assert_int_equal(shoal_rwlock_consistent(&rw.lock), 0);
}
static void test_rwlock_a_dead_writer(void **state) {
  (void)state;
  int rc, ran = 0;
  kill_a_writer();
  SHOAL_WITH (rc, shoal_reading(&rw.lock)) repair_in_a_block(rc), ran++;
  expect_nobody_inside();
  kill_a_writer();
  SHOAL_WITH (rc, shoal_writing(&rw.lock)) repair_in_a_block(rc), ran++;
  expect_nobody_inside();
  assert_int_equal(ran, 2);
  kill_a_writer();
  SHOAL_WITH (rc, shoal_reading(&rw.lock)) ran++;  // nobody says that it is consistent
  SHOAL_WITH (rc, shoal_reading(&rw.lock)) ran++;
  assert_int_equal(rc, -ENOTRECOVERABLE);
  SHOAL_WITH (rc, shoal_writing(&rw.lock)) ran++;
  assert_int_equal(rc, -ENOTRECOVERABLE);
  assert_int_equal(ran, 3);
}

static void test_rwlock_in_each_other(void **state) {
  (void)state;
  int rc, inner;
  SHOAL_WITH (rc, shoal_reading(&rw.lock)) {
    SHOAL_WITH (inner, shoal_reading(&rw.lock)) assert_int_equal(rwlock_info().readers, 1);
    assert_int_equal(inner, 0);
    assert_int_equal(rwlock_info().readers, 1);
  }
  expect_nobody_inside();
  for (int i = 0; i < 3; i++) {
    SHOAL_HOLD(rc, shoal_writing(&rw.lock));
    assert_int_equal(rc, 0);
    if (i == 0) continue;
    assert_int_equal(shoal_rwlock_downgrade(&rw.lock), 0);
    assert_int_equal(rwlock_info().readers, 1);
    if (i == 2) break;
  }
  expect_nobody_inside();
}

static const struct CMUnitTest rwlock_tests[] = {
    cmocka_unit_test_setup(test_rwlock_every_way_out, setup_rwlock),
    cmocka_unit_test_setup(test_rwlock_not_acquired, setup_rwlock),
    cmocka_unit_test_setup(test_rwlock_a_dead_writer, setup_rwlock),
    cmocka_unit_test_setup(test_rwlock_in_each_other, setup_rwlock),
};
