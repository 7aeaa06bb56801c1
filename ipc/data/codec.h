// ipc/data/codec.h: values of no fixed type - nil, bool, int, float, str, bytes, list, map - as MessagePack bytes.
//
// USE
//   struct shoal_packed m = {0};
//   rc = shoal_pack(&m, "[i n s]", 42, "hello");                 // Python's [42, None, "hello"], in m.size bytes at m.data
//   int i;
//   const char *s;
//   size_t length;
//   rc = shoal_unpack(m.data, m.size, "[i n s]", &i, &s, &length);  // s: in m.data, no NUL behind it
//   rc = shoal_packed_print(m.data, m.size, stdout);             // [42, None, 'hello']
//   shoal_packed_free(&m);
//
//   struct shoal_packer p;                                       // step by step: an error stays, so that the end tells it
//   shoal_packer_begin(&p, &m);
//   shoal_packer_list(&p, n);
//   for (i = 0; i < n; i++) shoal_packer_int(&p, number[i]);
//   rc = shoal_packer_end(&p, NULL);
//
//   struct shoal_reader r;                                       // of unknown shape
//   struct shoal_value v;
//   shoal_reader_begin(&r, data, size);
//   rc = shoal_reader_next(&r, &v);                              // v.type == SHOAL_VALUE_LIST: v.count values in it
//   rc = shoal_reader_enter(&r);
//   while ((rc = shoal_reader_next(&r, &v)) == 0) ...            // -EPIPE: that was the last
//   rc = shoal_reader_leave(&r);
//   rc = shoal_reader_end(&r);                                   // 0: all of it was one whole value
//
// FORMATS  one value; spaces, commas and colons mean nothing.
//            pack: what is passed                 unpack: what is passed, what fits
//   n        -                                    -, nil
//   b        int, 0 or not                        int *, 0 or 1
//   i u I U  int, unsigned, int64_t, uint64_t     int *, unsigned *, int64_t *, uint64_t *; -EOVERFLOW: too large for it
//   f        double                               double *; an int up to 2^53 fits, too
//   s        const char *, ends with a NUL        const char **, size_t *; into the message
//   S        const char *, size_t                 as s
//   z        -                                    char *, size_t: a copy with a NUL; -EOVERFLOW: no room. No NUL inside
//   y        const void *, size_t: bytes          const void **, size_t *; into the message
//   v        const void *, size_t: packed         const void **, size_t *: any value, packed; into the message
//   x        -                                    -, any value
//   [ ]      a list                               a list of just as many; [i *]: of that many or more
//   { }      a map: {s:i s:i}, any keys           {s:i}: const char * names the key, the first such counts, others are
//                                                 passed over; -ENOENT: no such key. {s?:i}: then nothing is stored
//
// SAFETY   no state but the caller's structs; in a signal handler: unpack, the reader, and packing into a place.
// HOSTILE  bytes that are cut, nested deeper than SHOAL_CODEC_DEPTH, that promise more values than there are bytes, or
//          that are no MessagePack: -EPROTO, before anything is allocated for them - reading allocates nothing. That
//          holds for bytes that change while they are read, too; they give values that nobody wrote, and no access
//          outside [data, data + size). A str is not checked to be UTF-8.
// CRASH    private memory only.
// COST     packing by format: two walks over the format, so that nothing is written unless all of it can be. Unpacking:
//          two over the message, so that nothing is stored unless all of it fits; a key of a map: a walk over that map.
// SOURCE   the format: msgpack.org; what is packed: msgpack-c, in the shortest form; formats: Jansson's json_pack.
#pragma once

#include <stdarg.h>
#include <stdio.h>

#include "core/base.h"

SHOAL_BEGIN

enum { SHOAL_CODEC_DEPTH = 64 };  // lists and maps inside one another

// ---- messages ----
struct shoal_packed {  // private memory; zero: nothing in it. Used again by the next pack
  void *data;
  uint64_t size, capacity;  // bytes
};
void shoal_packed_free(struct shoal_packed *m);  // zero again

// 0, -EINVAL the format or an argument makes no sense, -EOVERFLOW too deep or longer than MessagePack can say, -ENOMEM,
// -EPROTO a `v` is no packed value; nothing changed then. No argument lies in m's memory.
int shoal_pack(struct shoal_packed *m, const char *format, ...) SHOAL_MUST_CHECK;
int shoal_vpack(struct shoal_packed *m, const char *format, va_list args) SHOAL_MUST_CHECK;
// Into `capacity` bytes of the caller's; *size, which may be NULL, says how many it took. -EMSGSIZE: how many it would
// take; nothing written. `memory` NULL: 0, and how many it would take.
int shoal_pack_into(void *memory, uint64_t capacity, uint64_t *size, const char *format, ...) SHOAL_MUST_CHECK;
int shoal_vpack_into(void *memory, uint64_t capacity, uint64_t *size, const char *format,
                     va_list args) SHOAL_MUST_CHECK;
// 0, -EBADMSG a value of another type, a list of another length; -EOVERFLOW, -ENOENT (above); -EPROTO hostile; -EINVAL
// the format makes no sense. Nothing is stored then, if nobody changes the bytes meanwhile.
int shoal_unpack(const void *data, uint64_t size, const char *format, ...) SHOAL_MUST_CHECK;
int shoal_vunpack(const void *data, uint64_t size, const char *format, va_list args) SHOAL_MUST_CHECK;
// As Python's repr prints it, without a newline; whether it could be written, ferror(out) tells. -EPROTO: nothing
// printed.
int shoal_packed_print(const void *data, uint64_t size, FILE *out) SHOAL_MUST_CHECK;

// ---- building ----
struct shoal_packer {  // private
  uint8_t *data;
  uint64_t size, capacity;    // bytes; size > capacity: it would not fit
  struct shoal_packed *grow;  // whose memory it is; NULL: a place of the caller's
  int error;                  // the first
  uint32_t depth;
  uint64_t owed[SHOAL_CODEC_DEPTH + 1];  // values still to come, at each depth
};
// `m` is empty, and nobody else's, until the end.
void shoal_packer_begin(struct shoal_packer *p, struct shoal_packed *m);
void shoal_packer_place(struct shoal_packer *p, void *memory, uint64_t capacity);
// One value each: 0, or the first error: -EINVAL the message is whole already, -EOVERFLOW too deep or too long,
// -ENOMEM.
int shoal_packer_nil(struct shoal_packer *p);
int shoal_packer_bool(struct shoal_packer *p, int yes);
int shoal_packer_int(struct shoal_packer *p, int64_t n);
int shoal_packer_uint(struct shoal_packer *p, uint64_t n);
int shoal_packer_float(struct shoal_packer *p, double f);
int shoal_packer_str(struct shoal_packer *p, const char *s, uint64_t length);  // UTF-8, by agreement
int shoal_packer_bytes(struct shoal_packer *p, const void *bytes, uint64_t length);
int shoal_packer_packed(struct shoal_packer *p, const void *value, uint64_t size);  // -EPROTO: it is no value
int shoal_packer_list(struct shoal_packer *p, uint64_t n);                          // the next n values are in it
int shoal_packer_map(struct shoal_packer *p, uint64_t n);                           // the next 2 n: key, value, key ..
// *size, which may be NULL: bytes. The first error; -EINVAL: values are missing; -EMSGSIZE: *size would fit.
int shoal_packer_end(struct shoal_packer *p, uint64_t *size) SHOAL_MUST_CHECK;

// ---- reading ----
enum shoal_value_type {
  SHOAL_VALUE_NIL = 0,
  SHOAL_VALUE_BOOL,   // i: 0, 1
  SHOAL_VALUE_INT,    // i
  SHOAL_VALUE_UINT,   // u, above INT64_MAX
  SHOAL_VALUE_FLOAT,  // f
  SHOAL_VALUE_STR,    // data, size
  SHOAL_VALUE_BYTES,  // data, size
  SHOAL_VALUE_LIST,   // count: values
  SHOAL_VALUE_MAP,    // count: pairs
  SHOAL_VALUE_EXT     // ext, data, size: a type of others'
};
struct shoal_value {
  uint32_t type;  // enum shoal_value_type
  int32_t ext;
  union {
    int64_t i;
    uint64_t u, count;
    double f;
  };
  const void *data;  // into the message
  uint64_t size;
};
const char *shoal_value_type_name(uint32_t type);  // "nil", "list"; static

struct shoal_reader {  // private; a copy of it is another reader of the same bytes
  const uint8_t *at, *end;
  uint64_t owed;          // values that are promised by all that has been read
  uint32_t level, depth;  // where the caller is; where the bytes are: deeper by what it did not enter
  uint64_t left[SHOAL_CODEC_DEPTH + 1];
};
void shoal_reader_begin(struct shoal_reader *r, const void *data, uint64_t size);
// The next value of the list or map that was entered (of a map: key, value, key ..; before that, the message's one
// value); what the last one has inside is passed over. -EPIPE: there is none; -EPROTO.
int shoal_reader_next(struct shoal_reader *r, struct shoal_value *out) SHOAL_MUST_CHECK;
// The same, as the bytes of one packed value.
int shoal_reader_raw(struct shoal_reader *r, const void **data, uint64_t *size) SHOAL_MUST_CHECK;
int shoal_reader_enter(struct shoal_reader *r);  // the list or map that next has given. -EINVAL: it gave none
int shoal_reader_leave(struct shoal_reader *r);  // what is left of it is passed over. -EINVAL: none was entered
// Reads the rest. -EPROTO: not one whole value and no more.
int shoal_reader_end(struct shoal_reader *r) SHOAL_MUST_CHECK;

SHOAL_END
