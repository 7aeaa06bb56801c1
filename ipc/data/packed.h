// ipc/data/packed.h: values of no fixed type in dicts, lists and namespaces, one line to set and one to get.
//
// USE
//   rc = shoal_namespace_set_packed(ns, "x", SHOAL_FOREVER, "[i n s]", 42, "hello");      // ns.x = [42, None, "hello"]
//   rc = shoal_dict_set_packed(d, "k", 1, SHOAL_FOREVER, "{s:i}", "n", 7);                // d["k"] = {"n": 7}
//
//   struct shoal_packed m = {0}, key = {0};                                              // used again by the next get
//   int i;
//   rc = shoal_dict_get_packed(d, "k", 1, &m, "{s:i}", "n", &i);
//   rc = shoal_list_get_packed(l, -1, &m, "x");                                           // any; then shoal_packed_print
//   rc = shoal_pack(&key, "[i s]", 3, "b");                                               // a key of any type: d[(3, "b")]
//   rc = shoal_dict_set_packed(d, key.data, key.size, SHOAL_FOREVER, "b", 1);
//   rc = shoal_list_extend_packed(l, SHOAL_FOREVER, "[i s]", 1, "two");                   // l.extend([1, "two"])
//   rc = shoal_list_remove_packed(l, SHOAL_FOREVER, "s", "two");                          // -ENOENT: it is not there
//   rc = shoal_dict_setdefault_packed(d, "n", 1, &m, SHOAL_FOREVER, "i", 0);              // 1: m is what is there; shoal_unpack
//   rc = shoal_dict_pop_packed(d, "n", 1, &m, SHOAL_FOREVER, "i", &i);
//   rc = shoal_list_sort(l, shoal_packed_compare, NULL, SHOAL_FOREVER);                   // l.sort(): -1, 2.5, 300, "a", "b"
//   shoal_packed_free(&m);
//
// The formats are those of ipc/data/codec.h; a value made here is bytes to all else. Keys that are packed are the same
// if their bytes are: 1, 1.0 and True are three; and so it is with values that are looked for. A target of its own,
// //ipc/data:packed.
//
// SAFETY, ORDERING, CRASH  those of ipc/data/dict.h and list.h.
// HOSTILE  a value that is cut, too deep, or no MessagePack: -EPROTO, and nothing is stored. pop has taken it all the
//          same: it is m.
// COST     set: packed in private memory, then copied. get: a copy into m.
#pragma once

#include "ipc/data/codec.h"
#include "ipc/data/list.h"
#include "ipc/data/namespace.h"

SHOAL_BEGIN

// For shoal_list_sort, whose order of bytes is not that of values: below, above or 0, as a comes before b, behind it,
// or is equal. As Python has it: bools and numbers by value (True is 1, 1 is 1.0), strs and bytes by their bytes, lists
// value by value; what Python refuses to compare in an order of its own: nil, numbers (nan last), strs, bytes, lists,
// maps (pair by pair, as they stand), others' types, and last what is no MessagePack.
int shoal_packed_compare(const struct iovec *a, const struct iovec *b, void *unused);

// The codes of shoal_dict_set and of shoal_pack; nothing is set then.
int shoal_dict_set_packed(struct shoal_dict *d, const void *key, uint64_t key_size, shoal_deadline deadline,
                          const char *format, ...) SHOAL_MUST_CHECK;
// The codes of shoal_dict_get_alloc and of shoal_unpack: -EBADMSG another type. Nothing is stored then; m is the value.
int shoal_dict_get_packed(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_packed *m,
                          const char *format, ...) SHOAL_MUST_CHECK;
// 0: set; 1: bytes are there, and m is those, whatever they are; -EBADMSG: a container is there.
int shoal_dict_setdefault_packed(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_packed *m,
                                 shoal_deadline deadline, const char *format, ...) SHOAL_MUST_CHECK;
// Taken out, then unpacked: of another type (-EBADMSG), or no MessagePack, it is m, and no longer in d.
int shoal_dict_pop_packed(struct shoal_dict *d, const void *key, uint64_t key_size, struct shoal_packed *m,
                          shoal_deadline deadline, const char *format, ...) SHOAL_MUST_CHECK;
int shoal_namespace_set_packed(struct shoal_namespace *ns, const char *attribute, shoal_deadline deadline,
                               const char *format, ...) SHOAL_MUST_CHECK;
int shoal_namespace_get_packed(struct shoal_namespace *ns, const char *attribute, struct shoal_packed *m,
                               const char *format, ...) SHOAL_MUST_CHECK;
int shoal_list_append_packed(struct shoal_list *l, shoal_deadline deadline, const char *format, ...) SHOAL_MUST_CHECK;
int shoal_list_set_packed(struct shoal_list *l, int64_t index, shoal_deadline deadline, const char *format,
                          ...) SHOAL_MUST_CHECK;
int shoal_list_get_packed(struct shoal_list *l, int64_t index, struct shoal_packed *m, const char *format,
                          ...) SHOAL_MUST_CHECK;
int shoal_list_insert_packed(struct shoal_list *l, int64_t index, shoal_deadline deadline, const char *format,
                             ...) SHOAL_MUST_CHECK;
// The format makes a list, else -EINVAL; its values are appended, all at one moment.
int shoal_list_extend_packed(struct shoal_list *l, shoal_deadline deadline, const char *format, ...) SHOAL_MUST_CHECK;
// As shoal_dict_pop_packed.
int shoal_list_pop_packed(struct shoal_list *l, int64_t index, struct shoal_packed *m, shoal_deadline deadline,
                          const char *format, ...) SHOAL_MUST_CHECK;
// What has the bytes that the format makes: the codes of shoal_list_remove, _index, _count, _contains.
int shoal_list_remove_packed(struct shoal_list *l, shoal_deadline deadline, const char *format, ...) SHOAL_MUST_CHECK;
int shoal_list_index_packed(struct shoal_list *l, int64_t from, uint64_t *index, shoal_deadline deadline,
                            const char *format, ...) SHOAL_MUST_CHECK;
int shoal_list_count_packed(struct shoal_list *l, uint64_t *n, shoal_deadline deadline, const char *format,
                            ...) SHOAL_MUST_CHECK;
int shoal_list_contains_packed(struct shoal_list *l, shoal_deadline deadline, const char *format, ...) SHOAL_MUST_CHECK;

SHOAL_END
