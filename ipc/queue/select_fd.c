// Who sleeps in futex_waitv cannot poll. A thread of the library sleeps in epoll_wait instead, and changes a futex
// word.
//
// A sleep with descriptors makes an epoll of them, and adds that to the thread's: so nobody has to be woken to begin a
// sleep, and to close it ends it. The words are static, and a few: whoever shares one with another sleeper looks once
// in vain.
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/error.h"
#include "ipc/queue/select_internal.h"

#define WORDS 64u
#define MANY 16

static struct { shoal_atomic32 word; } SHOAL_ALIGNED(64) words[WORDS];
static shoal_atomic64 watcher;  // epoch of the process that made it, and its epoll + 1

static void change(uint32_t i) {
  shoal_add32_seq_cst(&words[i].word, 1);  // [F4] pairs with [F3]: who looked before does not fall asleep
  shoal_futex_wake(&words[i].word, INT32_MAX);
}

static void *watch(void *arg) {
  struct epoll_event events[MANY];
  for (;;) {
    int n = epoll_wait((int)(intptr_t)arg, events, MANY, -1);
    if (n < 0 && errno != EINTR) return NULL;  // somebody has closed it: those who sleep look again once a second
    for (int i = 0; i < n; i++) change(events[i].data.u32 % WORDS);
  }
}

// It handles no signals: those are for the program's own threads.
static int start_thread(int epoll) {
  pthread_t thread;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int rc = pthread_create(&thread, NULL, watch, (void *)(intptr_t)epoll);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (rc) return shoal_fail_(-ENOMEM, "no thread to watch descriptors");
  pthread_detach(thread);
  return 0;
}

static int no_descriptor(const char *what) {
  if (errno == ENOMEM) return shoal_fail_(-ENOMEM, "%s: %m", what);
  return shoal_fail_(errno == ENOSYS ? -ENOSYS : -ENOSPC, "%s: %m", what);
}

static uint64_t word_of(int epoll) { return (uint64_t)shoal_epoch() << 32 | ((uint32_t)epoll + 1); }
static int is_ours(uint64_t word) { return (uint32_t)word && word >> 32 == shoal_epoch(); }

// The thread's epoll. Threads that come first at once: one of them makes it. A child of fork has none.
static int watcher_of_this_process(void) {
  uint64_t known = shoal_load64_acquire(&watcher);  // [F2] pairs with [F1]
  if (is_ours(known)) return (int)(uint32_t)known - 1;
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return no_descriptor("epoll_create1");
  uint64_t mine = word_of(epoll);
  if (!shoal_cas64_acq_rel(&watcher, &known, mine)) {  // [F1] pairs with [F2]
    close(epoll);
    return watcher_of_this_process();
  }
  int rc = start_thread(epoll);
  if (rc == 0) return epoll;
  shoal_cas64_acq_rel(&watcher, &mine, 0);  // [F1]: the next one tries again
  close(epoll);
  return rc;
}

// One descriptor may stand in several cases.
static int add(int epoll, const struct pollfd *fds, uint32_t n, uint32_t i) {
  struct epoll_event event = {.events = 0};
  for (uint32_t k = 0; k < n; k++)
    if (fds[k].fd == fds[i].fd) event.events |= (uint32_t)(unsigned short)fds[k].events;
  int rc = epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i].fd, &event);
  if (rc == 0 || errno == EEXIST || errno == EPERM) return 0;  // EPERM: a file, always ready, as poll has said
  return no_descriptor("epoll_ctl");
}

int shoal_fds_watch_(const struct pollfd *fds, uint32_t n, struct shoal_futex_entry *word, int *watched) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.u32 = shoal_self_()->tid % WORDS};
  int main = watcher_of_this_process(), rc = 0;
  if (main < 0) return main;
  word->word = &words[event.data.u32].word;
  word->value = shoal_load32_seq_cst(word->word);  // [F3] pairs with [F4]; before the descriptors are watched
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return no_descriptor("epoll_create1");
  for (uint32_t i = 0; i < n && rc == 0; i++)
    if (fds[i].fd >= 0) rc = add(epoll, fds, n, i);
  if (rc == 0 && epoll_ctl(main, EPOLL_CTL_ADD, epoll, &event)) rc = no_descriptor("epoll_ctl");
  if (rc) close(epoll);
  else *watched = epoll;
  return rc;
}

void shoal_fds_unwatch_(int watched) { close(watched); }
