// ipc/queue/select_internal.h: what a select is made of, for ipc/queue/select.c, select_fd.c and select_loop.c.
#pragma once

#include "ipc/queue/queue_internal.h"
#include "ipc/queue/select.h"
#include "ipc/queue/topic_internal.h"

SHOAL_BEGIN

// A case that is slept on by a futex. What comes next to be waited for - a pipe's end is a queue underneath - is an
// attempt on a role's side of what has an eventcount, or a sleeper of its own kind here.
struct shoal_select_permit_ {
  struct shoal_semaphore_op_ op;
  struct shoal_futex_entry words[2];  // the gate, the number of permits
  uint32_t from, n;                   // of `entries`: permits that somebody may die with
};
union shoal_select_op_ {  // of an attempt
  struct shoal_queue_op_ queue;
  struct shoal_topic_op_ topic;
};
union shoal_source_ {
  struct {  // or a topic
    struct shoal_sleeper_ sleeper;
    union shoal_select_op_ op;
    struct shoal_select_ *select;  // of a queue with a lock, beside others
    int (*attempt)(void *op);
  } queue;
  struct shoal_event_op_ event;
  struct shoal_select_permit_ permit;
};

struct shoal_select_ {
  struct shoal_case *cases;
  uint32_t n, first;  // where the search begins
  int can_sleep;      // not SHOAL_TRY
  int only_look;      // nothing is performed
  int polled;         // `fds` is what poll(2) said in this round
  int opened;         // `fds` is filled in
  int woken;          // the last sleep was ended by somebody, and what was attempted since came before the next arming
  int late;           // the last sleep was ended by nobody
  int barred;         // somebody stood inside a queue for too long: nobody knows what is there
  uint32_t added;     // how many of the cases have their sources
  uint32_t queues, events, permits, others;  // how many cases are queues or topics, events, semaphores, descriptors
  uint32_t words_of_others, more;            // how many are of other rooms, and their words
  uint8_t queue_at[SHOAL_SELECT_MAX];        // which
  uint8_t event_at[SHOAL_SELECT_MAX];
  uint8_t permit_at[SHOAL_SELECT_MAX];
  uint32_t words;                       // of `entries`: bells, events of queues, events, semaphores; then witnesses
  shoal_deadline soon;                  // when what other rooms have is to be looked at
  shoal_deadline until;                 // the call's deadline, or the first of its times
  shoal_deadline deadline;              // the call's
  struct pollfd fds[SHOAL_SELECT_MAX];  // by case; -1: none
  union shoal_source_ sources[SHOAL_SELECT_MAX];  // by case
  struct shoal_futex_entry entries[SHOAL_FUTEX_MANY];
};

// ---- what a case is ----
SHOAL_INLINE int shoal_case_is_queue_(const struct shoal_case *c) {
  return c->kind >= SHOAL_CASE_GET && c->kind <= SHOAL_CASE_RECV;
}
SHOAL_INLINE int shoal_case_is_topic_(const struct shoal_case *c) {
  return c->kind >= SHOAL_CASE_TOPIC_GET && c->kind <= SHOAL_CASE_TOPIC_WRITABLE;
}
SHOAL_INLINE int shoal_case_is_bytes_(const struct shoal_case *c) {
  return c->kind >= SHOAL_CASE_SEND && c->kind <= SHOAL_CASE_RECV;
}
SHOAL_INLINE int shoal_case_takes_(const struct shoal_case *c) {
  return c->kind == SHOAL_CASE_GET || c->kind == SHOAL_CASE_PUT || shoal_case_is_bytes_(c) ||
         c->kind == SHOAL_CASE_TOPIC_GET || c->kind == SHOAL_CASE_TOPIC_PUBLISH;
}

// ---- select_check.c ----
// -EINVAL, -EBADMSG, -EMSGSIZE, -EPERM: nothing of it is done.
int shoal_select_check_(const struct shoal_case *cases, uint32_t n);

// ---- to sleep in another thread: select_loop.c ----
// Looks, and performs nothing: the index of a case that is ready, an error, or -EAGAIN: the roles of the calling thread
// are armed, `words` of s->entries are to be slept on, of which the caller fills in [s->words - 1].
int shoal_select_prepare_(struct shoal_select_ *s, struct shoal_case *cases, uint32_t n, uint32_t *words);
// Of `words` words, the one to which most of the wake-ups go: the event of the first queue, or what other source there
// is.
SHOAL_INLINE uint32_t shoal_select_first_(const struct shoal_select_ *s, uint32_t words) {
  return s->queues + s->events + s->permits ? s->queues : words - 1;
}
// What the sleep answered; any thread. Whatever woke it is handed on.
void shoal_select_woken_(struct shoal_select_ *s, int woke);

// ---- descriptors beside futexes: select_fd.c ----
// From here on a change of `fds` changes *word->word, and wakes who sleeps there. 0, -ENOSYS, -ENOMEM, -ENOSPC.
int shoal_fds_watch_(const struct pollfd *fds, uint32_t n, struct shoal_futex_entry *word, int *watch);
void shoal_fds_unwatch_(int watch);

SHOAL_END
