// tests/core/reach_test.c: how far memory may be touched, and when the kernel is not asked again.
#include "core/reach.h"

#include <sys/mman.h>

#include "tests/core/support.h"

#define PAGE 4096
#define OBJECTS 8

static char *map(uint64_t pages) {
  char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(p, MAP_FAILED);
  return p;
}

static void test_as_far_as_is_mapped(void **state) {
  (void)state;
  char *p = map(3);
  assert_int_equal(munmap(p + 2 * PAGE, PAGE), 0);
  assert_int_equal(shoal_reach_(p + 64, PAGE), PAGE);
  assert_int_equal(shoal_reach_(p + 64, 3 * PAGE), 2 * PAGE - 64);
  assert_int_equal(shoal_reach_(p + 64, UINT64_MAX), 0);
  assert_int_equal(munmap(p, 2 * PAGE), 0);
}

// A page that cannot be read any more: only who asks the kernel learns it.
static void test_remembered(void **state) {
  (void)state;
  for (uint64_t apart = PAGE; apart <= 64 * PAGE; apart *= 4) {
    char *p = map(OBJECTS * apart / PAGE);
    for (unsigned i = 0; i < OBJECTS; i++) assert_int_equal(shoal_reach_(p + i * apart, 1024), 1024);
    assert_int_equal(mprotect(p, OBJECTS * apart, PROT_NONE), 0);
    for (unsigned i = 0; i < OBJECTS; i++) assert_int_equal(shoal_reach_(p + i * apart, 1024), 1024);
    shoal_reach_forget_(p);  // whatever changes, all is asked again
    for (unsigned i = 0; i < OBJECTS; i++) assert_int_equal(shoal_reach_(p + i * apart, 1024), 0);
    assert_int_equal(munmap(p, OBJECTS * apart), 0);
  }
}

// More of them than are remembered push one another out, and each answer is right.
static void test_pushed_out(void **state) {
  (void)state;
  enum { MANY = 64 };
  char *p = map(MANY + 1);
  assert_int_equal(munmap(p + MANY * PAGE, PAGE), 0);
  for (int round = 0; round < 3; round++)
    for (uint64_t i = 0; i < MANY; i++)
      assert_int_equal(shoal_reach_(p + i * PAGE, (MANY + 1) * PAGE), (MANY - i) * PAGE);
  assert_int_equal(munmap(p, MANY * PAGE), 0);
}

static void test_an_object_that_is_noted(void **state) {
  (void)state;
  char *p = map(2);
  shoal_reach_note_(p, 256);
  assert_int_equal(shoal_reach_(p + 64, 1024), 192);
  assert_int_equal(shoal_reach_(p + 64, 128), 128);
  shoal_reach_forget_(p);
  assert_int_equal(shoal_reach_(p + 64, 1024), 1024);
  assert_int_equal(munmap(p, 2 * PAGE), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_as_far_as_is_mapped),
      cmocka_unit_test(test_remembered),
      cmocka_unit_test(test_pushed_out),
      cmocka_unit_test(test_an_object_that_is_noted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
