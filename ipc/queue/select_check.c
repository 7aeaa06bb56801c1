// Cases of a select that make no sense are refused before anything is done.
#include "core/error.h"
#include "ipc/queue/select_internal.h"

static int check_bytes(const struct shoal_case *c, uint32_t i) {
  int nowhere = c->kind == SHOAL_CASE_RECV && !c->got;
  if (nowhere || (!c->element && c->size)) return shoal_fail_(-EINVAL, "case %u: no buffer, or no size", i);
  int rc = shoal_message_check_(c->queue, c->kind == SHOAL_CASE_RECV ? 0 : c->size);
  if (rc || c->kind != SHOAL_CASE_SEND_KEY || c->queue->kind == SHOAL_QUEUE_PRIORITY) return rc;
  return shoal_fail_(-EINVAL, "case %u: a key in a queue that is sorted by none", i);
}
static int check_queue(const struct shoal_case *c, uint32_t i) {
  if (!c->queue && c->fd == -EPERM) return shoal_fail_(-EPERM, "case %u: not a direction of this end of the pipe", i);
  if (!c->queue) return shoal_fail_(-EINVAL, "case %u: no queue", i);
  if (!shoal_case_takes_(c)) return 0;
  if (shoal_case_is_bytes_(c)) return check_bytes(c, i);
  if (!c->element) return shoal_fail_(-EINVAL, "case %u: no element", i);
  if (!c->queue->element_size) return shoal_fail_(-EBADMSG, "case %u: byte messages: on_send, on_recv", i);
  if (!c->size || c->size == c->queue->element_size) return 0;
  return shoal_fail_(-EBADMSG, "case %u: elements of %u bytes, not %llu", i, c->queue->element_size,
                     (unsigned long long)c->size);
}
static int check_topic(const struct shoal_case *c, uint32_t i) {
  if (!c->topic) return shoal_fail_(-EINVAL, "case %u: no topic", i);
  if (!shoal_case_takes_(c)) return 0;
  if (!c->element) return shoal_fail_(-EINVAL, "case %u: no element", i);
  if (!c->size || c->size == c->topic->element_size) return 0;
  return shoal_fail_(-EBADMSG, "case %u: messages of %u bytes, not %llu", i, c->topic->element_size,
                     (unsigned long long)c->size);
}
static int check_event(const struct shoal_case *c, uint32_t i) {
  struct shoal_event_op_ op;
  return c->event ? shoal_event_begin_(&op, c->event) : shoal_fail_(-EINVAL, "case %u: no event", i);
}
static int check_permit(const struct shoal_case *c, uint32_t i) {
  struct shoal_semaphore_op_ op;
  return c->semaphore ? shoal_semaphore_begin_(&op, c->semaphore) : shoal_fail_(-EINVAL, "case %u: no semaphore", i);
}
static int check(const struct shoal_case *c, uint32_t i) {
  switch (c->kind) {
    case SHOAL_CASE_GET:
    case SHOAL_CASE_PUT:
    case SHOAL_CASE_SEND:
    case SHOAL_CASE_SEND_KEY:
    case SHOAL_CASE_RECV:
    case SHOAL_CASE_READABLE:
    case SHOAL_CASE_WRITABLE: return check_queue(c, i);
    case SHOAL_CASE_TOPIC_GET:
    case SHOAL_CASE_TOPIC_READABLE:
    case SHOAL_CASE_TOPIC_PUBLISH:
    case SHOAL_CASE_TOPIC_WRITABLE: return check_topic(c, i);
    case SHOAL_CASE_EVENT: return check_event(c, i);
    case SHOAL_CASE_ACQUIRE: return check_permit(c, i);
    case SHOAL_CASE_FD: return c->fd >= 0 ? 0 : shoal_fail_(-EINVAL, "case %u: descriptor %d", i, c->fd);
    case SHOAL_CASE_PROCESS: return c->fd > 0 ? 0 : shoal_fail_(-EINVAL, "case %u: process %d", i, c->fd);
    case SHOAL_CASE_WORD: return c->source && c->element ? 0 : shoal_fail_(-EINVAL, "case %u: nothing to wait for", i);
    case SHOAL_CASE_NOTHING:
    case SHOAL_CASE_TIME: return 0;
    default: return shoal_fail_(-EINVAL, "case %u: there is no kind %u", i, c->kind);
  }
}
int shoal_select_check_(const struct shoal_case *cases, uint32_t n) {
  if (n - 1 >= SHOAL_SELECT_MAX) return shoal_fail_(-EINVAL, "%u cases: 1..%u", n, SHOAL_SELECT_MAX);
  int rc = 0;
  for (uint32_t i = 0; i < n && rc == 0; i++) rc = check(&cases[i], i);
  return rc;
}
