// bench/harness/must.h: a call of ours that must not fail.
#pragma once

#include <stdexcept>
#include <string>

#include "core/error.h"

namespace bench {

inline int must(int rc, const char *what) {
  if (rc < 0) throw std::runtime_error(std::string(what) + ": " + shoal_strerror(rc) + ": " + shoal_reason());
  return rc;
}

}  // namespace bench
