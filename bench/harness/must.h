// bench/harness/must.h: a call of ours that must not fail.
#pragma once

#include <stdexcept>
#include <string>

#include "core/error.h"

namespace bench {

[[noreturn]] SHOAL_NOINLINE inline void must_not(int rc, const char *what) {
  throw std::runtime_error(std::string(what) + ": " + shoal_strerror(rc) + ": " + shoal_reason());
}

inline int must(int rc, const char *what) {  // costs a compare, as the peers' checks do
  if (SHOAL_UNLIKELY(rc < 0)) must_not(rc, what);
  return rc;
}

}  // namespace bench
