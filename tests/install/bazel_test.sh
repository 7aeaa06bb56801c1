#!/bin/bash
# bazel_test.sh: a workspace elsewhere has shoal as a repository, and builds and runs with a room of it, and with @shoal//:shoal, all
# of them; nothing is downloaded.
set -euo pipefail
shoal=$(dirname "$(readlink -f "$0")")/../..
mkdir "$TEST_TMPDIR/empty"
cd "$TEST_TMPDIR/empty"
cat >outside.c <<'END'
#include <stdio.h>

#include "core/error.h"
#include "core/segment.h"

int main(void) {
  struct shoal_segment *seg;
  int rc = shoal_segment_create(NULL, NULL, &seg);
  if (rc == 0) rc = shoal_segment_close(seg);
  puts(shoal_strerror(rc));
  return rc != 0;
}
END
cat >whole.c <<'END'
#include <stdio.h>

#include "core/error.h"
#include "ipc/work/manager.h"

int main(void) {
  struct shoal_manager *m;
  struct shoal_dict *d;
  int rc = shoal_manager_open_or_create(NULL, NULL, &m);
  if (rc == 0) rc = shoal_manager_dict(m, NULL, NULL, &d);
  if (rc == 0) rc = shoal_dict_set(d, "k", 1, "v", 1, SHOAL_FOREVER);
  if (rc == 0) rc = shoal_manager_close(m);
  puts(shoal_strerror(rc));
  return rc != 0;
}
END
cat >WORKSPACE <<END
workspace(name = "outside")
local_repository(name = "shoal", path = "$shoal")
load("@shoal//bazel:repositories.bzl", "shoal_repositories")
shoal_repositories()
END
cat >BUILD <<'END'
[cc_binary(
    name = name,
    srcs = [name + ".c"],
    copts = ["-std=gnu11", "-D_GNU_SOURCE", "-pthread"],
    linkopts = ["-pthread"],
    deps = [shoal],
) for name, shoal in {
    "outside": "@shoal//core",
    "whole": "@shoal//:shoal",
}.items()]
END
mine() { HOME=$TEST_TMPDIR bazel --batch --output_user_root="$TEST_TMPDIR/bazel" "$@"; }
mine build --noshow_progress //:outside //:whole
bazel-bin/outside
bazel-bin/whole
chmod -R u+w "$TEST_TMPDIR/bazel"
