// bench/modules.h: the cases of each module.
#pragma once

#include "bench/harness/suite.h"

namespace bench {

void add_spsc(Suite &suite);
void add_mpmc(Suite &suite);
void add_queue(Suite &suite);
void add_count(Suite &suite);
void add_messages(Suite &suite);
void add_memory(Suite &suite);
void add_bytes(Suite &suite);
void add_pipe(Suite &suite);
void add_select(Suite &suite);
void add_topic(Suite &suite);
void add_lock(Suite &suite);
void add_semaphore(Suite &suite);
void add_condition(Suite &suite);
void add_barrier(Suite &suite);
void add_rwlock(Suite &suite);
void add_seqlock(Suite &suite);
void add_heap(Suite &suite);
void add_dict(Suite &suite);
void add_data(Suite &suite);
void add_ordered(Suite &suite);
void add_work(Suite &suite);
void add_start(Suite &suite);

}  // namespace bench
