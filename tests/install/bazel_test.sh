#!/bin/bash
# bazel_test.sh: a workspace elsewhere has shoal as a repository, and builds and runs with it; nothing is downloaded.
set -euo pipefail
shoal=$(dirname "$(readlink -f "$0")")/../..
mkdir "$TEST_TMPDIR/empty"
cd "$TEST_TMPDIR/empty"
cp "$shoal/examples/letters/letters.c" .
cat >WORKSPACE <<END
workspace(name = "outside")
local_repository(name = "shoal", path = "$shoal")
load("@shoal//bazel:repositories.bzl", "shoal_repositories")
shoal_repositories()
END
cat >BUILD <<'END'
cc_binary(
    name = "letters",
    srcs = ["letters.c"],
    copts = ["-std=gnu11", "-D_GNU_SOURCE", "-pthread"],
    linkopts = ["-pthread"],
    deps = ["@shoal//ipc/queue"],
)
END
mine() { HOME=$TEST_TMPDIR bazel --batch --output_user_root="$TEST_TMPDIR/bazel" "$@"; }
mine build --noshow_progress //:letters
[[ $(bazel-bin/letters) == $'A\nB\nC\nD\nE\n'* ]]
chmod -R u+w "$TEST_TMPDIR/bazel"
