#include "ipc/data/value.h"

#define KIND "value"

struct shoal_array_options shoal_value_options_(const struct shoal_array_options *o) {
  struct shoal_array_options own = {.lock = NULL};
  if (o) own = *o;
  own.columns = 0;
  return own;
}

int shoal_value_create(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                       const struct shoal_array_options *o, struct shoal_array *out) {
  struct shoal_array_options own = shoal_value_options_(o);
  return shoal_array_make_(seg, name, KIND, type, size, 1, &own, out);
}
int shoal_value_open(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                     struct shoal_array *out) {
  return shoal_array_find_(seg, name, KIND, type, size, 1, out);
}
int shoal_value_open_or_create(struct shoal_segment *seg, const char *name, const char *type, uint64_t size,
                               const struct shoal_array_options *o, struct shoal_array *out) {
  struct shoal_array_options own = shoal_value_options_(o);
  return shoal_array_find_or_make_(seg, name, KIND, type, size, 1, &own, out);
}
int shoal_value_close(struct shoal_segment *seg, struct shoal_array *v) { return shoal_array_close(seg, v); }
int shoal_value_unlink(struct shoal_segment *seg, const char *name) {
  return shoal_object_remove_typed(seg, name, KIND);
}
