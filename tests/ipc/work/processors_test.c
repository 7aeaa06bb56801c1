// Claims
//   affinity   no more than the thread may run on
//   quota      of cgroup v2 and v1, the group's and those above it, rounded up; none, or files that make no sense: no
//   limit mounts     a hierarchy that is mounted from a group downwards, a path above what is seen
//   others     what groups of either version, also of both at once, allow of memory and processes
#include "ipc/work/processors.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[256];

static void put(const char *path, const char *text) {
  char name[512];
  snprintf(name, sizeof name, "%s/%s", root, path);
  for (char *c = name + strlen(root) + 1; (c = strchr(c, '/')); *c++ = '/') {
    *c = 0;
    mkdir(name, 0700);
  }
  FILE *f = fopen(name, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

static int begin(void **state) {
  (void)state;
  const char *where = getenv("TEST_TMPDIR");
  snprintf(root, sizeof root, "%s/cgroup.XXXXXX", where ? where : "/tmp");
  return mkdtemp(root) ? 0 : -1;
}
static int end(void **state) {
  (void)state;
  char command[300];
  snprintf(command, sizeof command, "rm -rf '%s'", root);
  return system(command);
}

static void test_affinity(void **state) {
  (void)state;
  cpu_set_t old, one;
  assert_int_equal(sched_getaffinity(0, sizeof old, &old), 0);
  int all = shoal_cpu_count();
  assert_true(all >= 1 && all <= CPU_COUNT(&old));
  CPU_ZERO(&one);
  for (int i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
    if (CPU_ISSET(i, &old)) CPU_SET(i, &one);
  assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
  assert_int_equal(shoal_cpu_count(), 1);
  assert_int_equal(sched_setaffinity(0, sizeof old, &old), 0);
  assert_int_equal(shoal_cpu_count(), all);
}

static const char *const mount2 = "29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";

static void test_version_2(void **state) {
  (void)state;
  assert_int_equal(shoal_cpu_quota_(root), 0);
  put("proc/self/cgroup", "0::/a.slice/b.scope\n");
  put("proc/self/mountinfo", mount2);
  assert_int_equal(shoal_cpu_quota_(root), 0);
  put("sys/fs/cgroup/a.slice/b.scope/cpu.max", "max 100000\n");
  assert_int_equal(shoal_cpu_quota_(root), 0);
  put("sys/fs/cgroup/a.slice/b.scope/cpu.max", "250000 100000\n");
  assert_int_equal(shoal_cpu_quota_(root), 3);
  put("sys/fs/cgroup/a.slice/cpu.max", "200000 100000\n");
  assert_int_equal(shoal_cpu_quota_(root), 2);
  put("sys/fs/cgroup/cpu.max", "1000 100000\n");
  assert_int_equal(shoal_cpu_quota_(root), 1);
  put("sys/fs/cgroup/cpu.max", "9223372036854775807 1\n");
  assert_int_equal(shoal_cpu_quota_(root), 2);
  const char *nonsense[] = {"", "5", "0 0\n", "-1 100000\n", "100000 -1\n", "x y\n"};
  put("sys/fs/cgroup/a.slice/cpu.max", "max 100000\n");
  for (unsigned i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
    put("sys/fs/cgroup/a.slice/b.scope/cpu.max", nonsense[i]);
    assert_int_equal(shoal_cpu_quota_(root), 0);
  }
}

static void test_version_1(void **state) {
  (void)state;
  put("proc/self/cgroup", "5:memory:/m\n4:cpuset:/s\n3:cpuacct,cpu:/box/1\n0::/x\n");
  put("proc/self/mountinfo",
      "30 23 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
      "31 23 0:28 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n");
  put("sys/fs/cgroup/cpu/box/1/cpu.cfs_quota_us", "-1\n");
  put("sys/fs/cgroup/cpu/box/1/cpu.cfs_period_us", "100000\n");
  assert_int_equal(shoal_cpu_quota_(root), 0);
  put("sys/fs/cgroup/cpu/box/1/cpu.cfs_quota_us", "350000\n");
  assert_int_equal(shoal_cpu_quota_(root), 4);
  put("sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "150000\n");
  put("sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n");
  assert_int_equal(shoal_cpu_quota_(root), 2);
}

static void test_mounts(void **state) {
  (void)state;
  put("proc/self/cgroup", "0::/docker/77/inner\n");
  put("proc/self/mountinfo", "29 23 0:26 /docker/77 /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
  put("sys/fs/cgroup/inner/cpu.max", "500000 100000\n");
  assert_int_equal(shoal_cpu_quota_(root), 5);
  put("sys/fs/cgroup/cpu.max", "400000 100000\n");
  assert_int_equal(shoal_cpu_quota_(root), 4);
  put("proc/self/cgroup", "0::/../other\n");
  put("proc/self/mountinfo", mount2);
  assert_int_equal(shoal_cpu_quota_(root), 4);
  put("proc/self/mountinfo", "29 23\n- cgroup2\n29 23 - cgroup2 x y\n\n");
  assert_int_equal(shoal_cpu_quota_(root), 0);
}

static uint64_t memory(void) { return shoal_group_limit_(root, "memory", "memory.limit_in_bytes", "memory.max"); }
static uint64_t pids(void) { return shoal_group_limit_(root, "pids", "pids.max", "pids.max"); }
static void test_other_limits(void **state) {
  (void)state;
  assert_int_equal(memory(), 0);
  put("proc/self/cgroup", "9:pids:/box\n5:memory:/m/n\n0::/x\n");  // hybrid: systemd's own is of version 2
  put("proc/self/mountinfo",
      "30 23 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
      "31 23 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
      "32 23 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  put("sys/fs/cgroup/memory/m/n/memory.limit_in_bytes", "9223372036854771712\n");
  put("sys/fs/cgroup/pids/box/pids.max", "max\n");
  assert_int_equal(memory(), 0);
  assert_int_equal(pids(), 0);
  put("sys/fs/cgroup/memory/m/memory.limit_in_bytes", "67108864\n");
  put("sys/fs/cgroup/pids/box/pids.max", "20\n");
  assert_int_equal(memory(), 64 << 20);
  assert_int_equal(pids(), 20);
  put("sys/fs/cgroup/unified/x/memory.max", "1048576\n");
  assert_int_equal(memory(), 1 << 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_affinity),
      cmocka_unit_test_setup_teardown(test_version_2, begin, end),
      cmocka_unit_test_setup_teardown(test_version_1, begin, end),
      cmocka_unit_test_setup_teardown(test_mounts, begin, end),
      cmocka_unit_test_setup_teardown(test_other_limits, begin, end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
