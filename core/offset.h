// core/offset.h: positions in a segment, valid in every process that maps it.
#pragma once

#include "core/base.h"

typedef uint64_t shoal_off;  // bytes from the segment's start; 0: nothing (the header stands there)
