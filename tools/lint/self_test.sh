#!/bin/bash
# Each lint reports exactly the lines that say BAD.
set -euo pipefail
lint=$1
tree=$TEST_TMPDIR/tree
mkdir -p "$tree"/{core,sync,ipc/{queue,data,work},bench,examples,tools}
file() { cat >"$tree/$1"; }

includes() {
    file core/a.h <<'END'
#include <stdint.h>
#include "core/b.h"
#include "sync/lock.h" // BAD upward
#include "b.h" // BAD not from the root
END
    file ipc/queue/q.c <<'END'
#include "core/a_internal.h"
#include "sync/lock.h"
#include "ipc/data/dict.h" // BAD sideways
#include "ipc/data/codec.h"
  #  include <ipc/work/pool.h> // BAD upward
#include "tests/harness/h.h" // BAD
END
    file sync/s.c <<'END'
#include "ipc/data/codec.h" // BAD upward
END
    file ipc/work/w.c <<'END'
#include "ipc/queue/q.h"
#include "ipc/data/dict.h"
END
    file bench/q_bench.cc <<'END'
#include <benchmark/benchmark.h>
#include "bench/harness/h.h"
#include "ipc/queue/q.h"
#include "ipc/queue/q_internal.h" // BAD private
END
    file tools/t.c <<'END'
#include "ipc/work/w.h"
#include "core/a_internal.h" // BAD private
END
}

orders() {
    file core/atomic.h <<'END'
#define shoal_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define shoal_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define DEFINE(bits) void shoal_cas##bits##_acq_rel(shoal_atomic##bits *);
END
    file core/a.h <<'END'
/* A thing.
 * ORDERING
 *   [R2] the count, [A2] the reader
 * COST [A3] is not an order
 */
int x;
shoal_store_release(&x, 1); /* [R2] */
shoal_lock_release(&l);
shoal_store_release(&x, 1); // BAD no label
shoal_load_acquire(&x); /* [A3] BAD no pair */
/* shoal_load_acquire(&x) in words only */
END
    file core/a.c <<'END'
// [A2]
shoal_load_acquire(&x);
/* [R1] the message is written before it is seen: pairs
 * with [A1] */
shoal_store_release(&x, 1);

x = __atomic_load_n(&y, __ATOMIC_SEQ_CST); // BAD no label
/* [A1] */
int z;
shoal_load_acquire(&x); // BAD the label is too far up
f(shoal_load_acquire(&x)); /* [A1] */
#include <stdatomic.h> // BAD
shoal_load_acquire(&x); // [K1] pairs with the kernel's mark
shoal_load_acquire(&x); // [R2] of core/a.h
shoal_load_acquire(&x); // [R7] of core/a.h BAD it is not there
while (!shoal_cas64_acq_rel(&x)); // BAD no label
END
}

"$lint"
expected=$(cd "$tree" && grep -rn BAD . | sed -E 's#^\./([^:]*:[0-9]+):.*#\1#' | sort)
status=0
actual=$("$(dirname "$0")/lint.sh" "$lint" "$tree") || status=$?
diff <(echo "$expected") <(sed -E 's/^([^:]*:[0-9]+):.*/\1/' <<<"$actual" | sort -u)
((status == 1))
find "$tree" -type f -exec sed -i /BAD/d {} +
"$(dirname "$0")/lint.sh" "$lint" "$tree"
