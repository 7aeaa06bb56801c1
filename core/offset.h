// core/offset.h: positions in a segment, valid in every process that maps it.
//
// USE
//   struct node_shm { shoal_off next; uint64_t value; };                     // in a segment: offsets, never pointers
//   const shoal_off next = node->next;                                       // read a shared offset once, into a local
//   struct node_shm *n = shoal_segment_at(seg, next, sizeof *n);             // NULL: nothing, or not wholly inside
//
// An offset is as long as an address and means the same everywhere; the address it stands for differs from process to
// process. Whoever resolves one that was read from a segment has it checked by shoal_segment_at(): what stands in
// shared memory may have been written by a broken peer.
#pragma once

#include "core/base.h"

typedef uint64_t shoal_off;  // bytes from the segment's start; 0: nothing (the header stands there)
