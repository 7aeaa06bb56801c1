// ipc/work/thread_internal.h: what the end of a process asks of its threads.
#pragma once

#include "ipc/work/thread.h"

SHOAL_BEGIN

// Waits for all that are no daemons, but the caller. The main thread is not waited for.
void shoal_threads_await_(void);

SHOAL_END
