#!/bin/bash
# reference_test.sh: what stands above a declaration is said of it, what stands behind a member of that, and of none besides.
set -euo pipefail
cat >"$TEST_TMPDIR/x.h" <<'END'
// x.h: a header.
#pragma once

struct options;  // this process's
// Above the first.
int first(int x);  // behind it
// Above the last.
int second(void);
int third(void);
// Not the first member's.
struct options {  // zero: the default
  int a, b;       // goes on
                  // below
  int c;
  int d;  // behind
  // Above e.
  int e;
};
END
awk -f docs/reference.awk "$TEST_TMPDIR/x.h" | diff -u - <(cat <<'END'
/** @file
@brief a header.
*/
#pragma once

struct options;
/// Above the first.
int first(int x);  ///< behind it
/// Above the last.
int second(void);
/// Above the last.
int third(void);
/// Not the first member's.
/// zero: the default
struct options {
  int a, b;  ///< goes on below
  int c;
  int d;  ///< behind
/// Above e.
  int e;
};
END
)
