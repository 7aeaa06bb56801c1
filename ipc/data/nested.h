// ipc/data/nested.h: dicts, lists and namespaces that are values of dicts and lists: Python's d["a"] = {}, where all
// see what is put into it.
//
// USE
//   struct shoal_dict *d, *inner;
//   struct shoal_list *l;
//   rc = shoal_dict_setdefault_list(d, "words", 5, &l, SHOAL_FOREVER);         // d.setdefault("words", []): 0 made, 1 it was there
//   rc = shoal_list_append(l, "apple", 5, SHOAL_FOREVER);                      // d["words"].append("apple"), seen by all
//   rc = shoal_list_close(l);                                                  // mine; d has it
//   rc = shoal_dict_create(seg, NULL, NULL, &inner);                           // without a name: {}
//   rc = shoal_dict_set_dict(d, "inner", 5, inner, SHOAL_FOREVER);             // d["inner"] = inner, which stays open
//   rc = shoal_dict_get_dict(d, "inner", 5, &inner);                           // -EBADMSG: it is a list, or bytes
//   rc = shoal_dict_remove(d, "inner", 5, SHOAL_FOREVER);                      // who has it open keeps it
//   rc = shoal_dict_setdefault_namespace(d, "ns", 2, &ns, SHOAL_FOREVER);      // d.setdefault("ns", Namespace())
//
// What is put into a namespace is put into its dict (shoal_namespace_dict), by the attribute's name. Where a dict is
// asked for a namespace is none (-EBADMSG), nor the other way round; one that is put by its dict stays a namespace.
//
// A container without a name is there as long as an entry of another leads to it, or a process has it open. One may be
// the value of up to SHOAL_NESTED_HOLDERS entries. The value of an entry is a handle: no bytes (get, pop, pop_alloc,
// update, setdefault: -EBADMSG; popitem, if there are no others), of no order (sort: -EBADMSG), equal to nothing (a
// list's index, count, contains and remove; compare_and_set); version, set, delete, clear, a dict's contains and
// remove: as any value. Nothing is ever inside itself, whatever is between: -ELOOP, and nothing is changed.
//
// SAFETY   every call: any thread of any process, together; two that would make a loop only together: one is refused.
//          Not in a signal handler. In a callback: get, type, open.
// ORDERING as ipc/data/dict.h and list.h. An entry holds what it leads to from the compare-and-set that makes its block
//          the container's until the one that ends it (core/tie.c): set before it is published, removed after it is
//          not.
// CRASH    killed at any instruction: the entry is there, and holds it, or it is not. What a dead one has not given
//          back the next writer does, and the next reaper (shoal_heap_reap, shoal_proc_reap) frees what nobody holds,
//          with all that is in it. Made and put nowhere yet, it goes with its maker.
// HOSTILE  a handle that leads elsewhere: -ENOENT, -EBADMSG or -EPROTO.
// COST     made: an object of the directory (one of the segment's `objects`), 1 KiB a list, 2 KiB a dict, and its heap.
//          Put: the directory's lock, and, if it holds others, a look at all that holds the outer one. Opened: the same
//          lock, 2 us. Used: as any.
// SOURCE   own.
#pragma once

#include "ipc/data/dict.h"
#include "ipc/data/list.h"
#include "ipc/data/namespace.h"

SHOAL_BEGIN

#define SHOAL_NESTED_HOLDERS SHOAL_TIES_
enum shoal_nested_type {
  SHOAL_NESTED_NOT = 0,  // bytes
  SHOAL_NESTED_DICT,
  SHOAL_NESTED_LIST,
  SHOAL_NESTED_NAMESPACE
};

// ---- in a dict ----
int shoal_dict_type(struct shoal_dict *d, const void *key, uint64_t key_size);  // one of these; -ENOENT, -EPROTO
// d[key] = inner: the codes of shoal_dict_set; -ELOOP; -EMLINK it has all holders that it can have; -EINVAL it has a
// name, lies in an object of the caller's, or in another segment. Nothing is changed then. The caller has it open as
// before.
int shoal_dict_set_dict(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_dict *inner,
                        shoal_deadline deadline);
int shoal_dict_set_list(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_list *inner,
                        shoal_deadline deadline);
int shoal_dict_set_namespace(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_namespace *inner,
                             shoal_deadline deadline);
// Opens it, to be closed. Waits for the directory's lock only. -ENOENT; -EBADMSG another type; -EPROTO, -ENOMEM,
// -ENOSPC.
int shoal_dict_get_dict(struct shoal_dict *d, const void *key, uint64_t key_size,
                        struct shoal_dict **out) SHOAL_MUST_CHECK;
int shoal_dict_get_list(struct shoal_dict *d, const void *key, uint64_t key_size,
                        struct shoal_list **out) SHOAL_MUST_CHECK;
int shoal_dict_get_namespace(struct shoal_dict *d, const void *key, uint64_t key_size,
                             struct shoal_namespace **out) SHOAL_MUST_CHECK;
// Opens what is there: 1, -EBADMSG; or makes an empty one, and puts it there: 0. `options` as of shoal_dict_create, of
// one made.
int shoal_dict_setdefault_dict(struct shoal_dict *d, const void *key, uint64_t key_size,
                               const struct shoal_dict_options *options, struct shoal_dict **out,
                               shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_dict_setdefault_list(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_list **out,
                               shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_dict_setdefault_namespace(struct shoal_dict *d, const void *key, uint64_t key_size,
                                    struct shoal_namespace **out, shoal_deadline deadline) SHOAL_MUST_CHECK;
// Opens it and takes it out: from here on it is the caller's, and others' who have it open. -ENOENT, -EBADMSG.
int shoal_dict_pop_dict(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_dict **out,
                        shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_dict_pop_list(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_list **out,
                        shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_dict_pop_namespace(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_namespace **out,
                             shoal_deadline deadline) SHOAL_MUST_CHECK;

// ---- in a list: the same; -ERANGE where a dict says -ENOENT ----
int shoal_list_type(struct shoal_list *l, int64_t index);
int shoal_list_append_dict(struct shoal_list *l, struct shoal_dict *inner, shoal_deadline deadline);
int shoal_list_append_list(struct shoal_list *l, struct shoal_list *inner, shoal_deadline deadline);
int shoal_list_append_namespace(struct shoal_list *l, struct shoal_namespace *inner, shoal_deadline deadline);
int shoal_list_insert_dict(struct shoal_list *l, int64_t index, struct shoal_dict *inner, shoal_deadline deadline);
int shoal_list_insert_list(struct shoal_list *l, int64_t index, struct shoal_list *inner, shoal_deadline deadline);
int shoal_list_insert_namespace(struct shoal_list *l, int64_t index, struct shoal_namespace *inner,
                                shoal_deadline deadline);
int shoal_list_set_dict(struct shoal_list *l, int64_t index, struct shoal_dict *inner, shoal_deadline deadline);
int shoal_list_set_list(struct shoal_list *l, int64_t index, struct shoal_list *inner, shoal_deadline deadline);
int shoal_list_set_namespace(struct shoal_list *l, int64_t index, struct shoal_namespace *inner,
                             shoal_deadline deadline);
int shoal_list_get_dict(struct shoal_list *l, int64_t index, struct shoal_dict **out) SHOAL_MUST_CHECK;
int shoal_list_get_list(struct shoal_list *l, int64_t index, struct shoal_list **out) SHOAL_MUST_CHECK;
int shoal_list_get_namespace(struct shoal_list *l, int64_t index, struct shoal_namespace **out) SHOAL_MUST_CHECK;
int shoal_list_pop_dict(struct shoal_list *l, int64_t index, struct shoal_dict **out,
                        shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_list_pop_list(struct shoal_list *l, int64_t index, struct shoal_list **out,
                        shoal_deadline deadline) SHOAL_MUST_CHECK;
int shoal_list_pop_namespace(struct shoal_list *l, int64_t index, struct shoal_namespace **out,
                             shoal_deadline deadline) SHOAL_MUST_CHECK;

// ---- in a snapshot, or a slice: a copy of handles, which holds nothing ----
// Of what next gave last: its type.
int shoal_dict_next_type(const struct shoal_dict_snapshot *s, const struct shoal_dict_item *item);
int shoal_list_next_type(const struct shoal_list_slice *s, const struct iovec *value);
// Opens what such a value leads to. -ENOENT: nobody holds it any more; -EBADMSG another type; -EINVAL no handle has so
// many bytes.
int shoal_nested_open_dict(struct shoal_segment *seg, const void *value, uint64_t size,
                           struct shoal_dict **out) SHOAL_MUST_CHECK;
int shoal_nested_open_list(struct shoal_segment *seg, const void *value, uint64_t size,
                           struct shoal_list **out) SHOAL_MUST_CHECK;
int shoal_nested_open_namespace(struct shoal_segment *seg, const void *value, uint64_t size,
                                struct shoal_namespace **out) SHOAL_MUST_CHECK;

SHOAL_END
