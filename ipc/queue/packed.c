#include "ipc/queue/packed.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "ipc/queue/queue_internal.h"

static int put(struct shoal_queue *q, int64_t key, shoal_deadline deadline, const char *format, va_list args) {
  struct shoal_loan loan;
  uint64_t size;
  int rc = shoal_vpack_into(NULL, 0, &size, format, args);
  if (rc == 0) rc = shoal_queue_reserve_bytes(q, size, &loan, deadline);
  if (rc) return rc;
  loan.key = key;
  rc = shoal_vpack_into(loan.data, loan.size, &size, format, args);
  if (rc == 0 && size != loan.size) rc = shoal_fail_(-EINVAL, "an argument changed while it was packed");
  if (rc == 0) rc = shoal_queue_commit(q, &loan);
  if (rc) (void)shoal_queue_cancel(q, &loan);
  return rc;
}
int shoal_queue_put_packed(struct shoal_queue *q, shoal_deadline deadline, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int rc = put(q, 0, deadline, format, args);
  va_end(args);
  return rc;
}
int shoal_queue_put_packed_key(struct shoal_queue *q, int64_t key, shoal_deadline deadline, const char *format, ...) {
  va_list args;
  int rc = shoal_message_has_no_key_(q);
  if (rc) return rc;
  va_start(args, format);
  rc = put(q, key, deadline, format, args);
  va_end(args);
  return rc;
}

static int copy(struct shoal_packed *m, const void *data, uint64_t size) {
  if (size > m->capacity) {
    void *larger = realloc(m->data, size);
    if (!larger) return shoal_fail_(-ENOMEM, "no memory for a message of %llu bytes", (unsigned long long)size);
    m->data = larger;
    m->capacity = size;
  }
  if (size) memcpy(m->data, data, size);
  m->size = size;
  return 0;
}
// Unpacked from the copy: what another process writes into the message meanwhile is not seen.
static int get(struct shoal_queue *q, int64_t *key, shoal_deadline deadline, struct shoal_packed *m, const char *format,
               va_list args) {
  struct shoal_loan loan;
  if (q->element_size) return shoal_queue_misfit_(q, 0);
  int rc;
  do {
    rc = shoal_queue_receive(q, &loan, deadline);
    if (rc) return rc;
    rc = copy(m, loan.data, loan.size);
  } while (rc == 0 && q->joinable && !shoal_queue_is_still_(q, &loan));  // else the release says it
  if (rc == 0) rc = shoal_vunpack(m->data, m->size, format, args);
  if (rc) return shoal_queue_not_got_(q, &loan), rc;
  int64_t of = loan.key;
  rc = shoal_queue_got_(q, &loan);
  if (rc == 0 && key) *key = of;
  return rc;
}
int shoal_queue_get_packed(struct shoal_queue *q, shoal_deadline deadline, struct shoal_packed *m, const char *format,
                           ...) {
  va_list args;
  va_start(args, format);
  int rc = get(q, NULL, deadline, m, format, args);
  va_end(args);
  return rc;
}
int shoal_queue_get_packed_key(struct shoal_queue *q, int64_t *key, shoal_deadline deadline, struct shoal_packed *m,
                               const char *format, ...) {
  va_list args;
  int rc = shoal_message_has_no_key_(q);
  if (rc) return rc;
  va_start(args, format);
  rc = get(q, key, deadline, m, format, args);
  va_end(args);
  return rc;
}

// ---- through a pipe ----

int shoal_pipe_send_packed(struct shoal_pipe *p, shoal_deadline deadline, const char *format, ...) {
  va_list args;
  if (!p->out) return shoal_pipe_one_way_(p, SHOAL_PRODUCER);
  va_start(args, format);
  int rc = put(p->out, 0, deadline, format, args);
  va_end(args);
  return rc;
}
int shoal_pipe_recv_packed(struct shoal_pipe *p, shoal_deadline deadline, struct shoal_packed *m, const char *format,
                           ...) {
  va_list args;
  if (!p->in) return shoal_pipe_one_way_(p, SHOAL_CONSUMER);
  va_start(args, format);
  int rc = get(p->in, NULL, deadline, m, format, args);
  va_end(args);
  return rc;
}
