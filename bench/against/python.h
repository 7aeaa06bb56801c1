// bench/against/python.h: multiprocessing.Pool(2) of the machine's python3, which times itself.
#pragma once

#include <cstdio>
#include <stdexcept>

#include "bench/executor.h"

namespace bench {

// Elements a second through map(..., chunksize=1); the median of one apply, us.
inline void run_python(double *map, double *apply) {
  static const char program[] =
      "python3 -c '\n"
      "import time, multiprocessing as m\n"
      "def f(x): return x * x\n"
      "def timed(g):\n"
      "  t = time.perf_counter(); r = g(); return time.perf_counter() - t, r\n"
      "with m.get_context(\"fork\").Pool(2) as p:\n"
      "  p.map(f, range(1000), 1)\n"
      "  n = 4000\n"
      "  t, r = timed(lambda: p.map(f, range(n), 1))\n"
      "  assert r == [x * x for x in range(n)]\n"
      "  a = sorted(timed(lambda: p.apply(f, (3,)))[0] for _ in range(301))\n"
      "  print(n / t, a[150] * 1e6)\n"
      "'";
  FILE *out = popen(program, "r");
  if (!out) throw std::runtime_error("popen");
  int n = fscanf(out, "%lf %lf", map, apply);
  if (pclose(out) || n != 2) throw std::runtime_error("python3 has failed");
}

}  // namespace bench
