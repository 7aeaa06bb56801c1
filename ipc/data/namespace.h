// ipc/data/namespace.h: named attributes in a segment: Python's Namespace.
//
// USE
//   struct shoal_namespace *ns;
//   rc = shoal_namespace_open_or_create(seg, "settings", &ns);
//   rc = shoal_namespace_set(ns, "limit", &limit, sizeof limit, SHOAL_FOREVER);      // ns.limit = limit
//   rc = shoal_namespace_get(ns, "limit", &limit, sizeof limit, &size);              // -ENOENT: no such attribute
//   rc = shoal_namespace_delete(ns, "limit", SHOAL_FOREVER);                         // del ns.limit
//   rc = shoal_namespace_list(ns, each, arg, SHOAL_FOREVER);                         // vars(ns)
//   rc = shoal_namespace_close(ns);
//
// A dict (ipc/data/dict.h) whose keys are names: SAFETY, ORDERING, CRASH and HOSTILE are a dict's, in the directory it
// is of a type of its own. COST: that of a dict with 8 stripes.
#pragma once

#include "ipc/data/dict.h"

SHOAL_BEGIN

#define SHOAL_ATTRIBUTE_MAX 255u  // bytes of an attribute's name, without the final NUL

struct shoal_namespace;  // this process's view

// The codes of shoal_dict_create, shoal_dict_open, shoal_dict_open_or_create, shoal_dict_close and shoal_dict_unlink.
int shoal_namespace_create(struct shoal_segment *seg, const char *name, struct shoal_namespace **out) SHOAL_MUST_CHECK;
int shoal_namespace_open(struct shoal_segment *seg, const char *name, struct shoal_namespace **out) SHOAL_MUST_CHECK;
int shoal_namespace_open_or_create(struct shoal_segment *seg, const char *name,
                                   struct shoal_namespace **out) SHOAL_MUST_CHECK;
int shoal_namespace_close(struct shoal_namespace *ns);
int shoal_namespace_unlink(struct shoal_segment *seg, const char *name);

// `attribute`: 1..SHOAL_ATTRIBUTE_MAX bytes: -EINVAL, -ENAMETOOLONG. Else the codes of shoal_dict_set, shoal_dict_get,
// shoal_dict_get_alloc, shoal_dict_contains and shoal_dict_remove.
int shoal_namespace_set(struct shoal_namespace *ns, const char *attribute, const void *value, uint64_t size,
                        shoal_deadline deadline);
int shoal_namespace_get(struct shoal_namespace *ns, const char *attribute, void *buffer, uint64_t capacity,
                        uint64_t *size);
int shoal_namespace_get_alloc(struct shoal_namespace *ns, const char *attribute, void **value,
                              uint64_t *size) SHOAL_MUST_CHECK;
int shoal_namespace_has(struct shoal_namespace *ns, const char *attribute);
int shoal_namespace_delete(struct shoal_namespace *ns, const char *attribute, shoal_deadline deadline);
// Calls `each` for every attribute of one moment, in no order, from a copy; stops at its first answer that is not 0,
// and returns it. `type`: an enum shoal_nested_type of ipc/data/nested.h: of what is no bytes the value is a copy of a
// handle, which shoal_nested_open_dict and the others there open, by size. The codes of shoal_dict_snapshot; -EPROTO
// damaged.
int shoal_namespace_list(struct shoal_namespace *ns,
                         int (*each)(const char *attribute, int type, const void *value, uint64_t size, void *arg),
                         void *arg, shoal_deadline deadline);
// The dict that it is, for what has a dict's name only (ipc/data/nested.h, packed.h); closed with it.
struct shoal_dict *shoal_namespace_dict(struct shoal_namespace *ns);
int shoal_namespace_info(struct shoal_namespace *ns, struct shoal_dict_info *out);

SHOAL_END
