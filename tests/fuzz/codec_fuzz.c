// Bytes as a MessagePack value: whoever reads, prints, unpacks or packs them again agrees with the others on whether
// they are one.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/data/codec.h"
#include "tests/fuzz/fuzz.h"

static uint64_t sum;  // of all that was shown: it is there
static void touch(const struct shoal_value *v) {
  if (v->type != SHOAL_VALUE_STR && v->type != SHOAL_VALUE_BYTES && v->type != SHOAL_VALUE_EXT) return;
  for (uint64_t i = 0; i < v->size; i++) sum += ((const uint8_t *)v->data)[i];
}

static int walk(struct shoal_reader *r) {
  struct shoal_value v;
  int rc;
  while ((rc = shoal_reader_next(r, &v)) == 0) {
    touch(&v);
    if (v.type != SHOAL_VALUE_LIST && v.type != SHOAL_VALUE_MAP) continue;
    if ((rc = shoal_reader_enter(r))) return rc;
    if ((rc = walk(r)) != -EPIPE) return rc;
    if ((rc = shoal_reader_leave(r))) return rc;
  }
  return rc;
}

static void unpack_some(const void *data, size_t size) {
  int i;
  uint64_t u;
  int64_t l;
  double f;
  const char *text;
  const void *bytes;
  size_t n, m;
  char copy[16];
  (void)!shoal_unpack(data, size, "i", &i);
  (void)!shoal_unpack(data, size, "U", &u);
  (void)!shoal_unpack(data, size, "I", &l);
  (void)!shoal_unpack(data, size, "f", &f);
  (void)!shoal_unpack(data, size, "z", copy, sizeof copy);
  (void)!shoal_unpack(data, size, "[i n s]", &i, &text, &n);
  (void)!shoal_unpack(data, size, "[x *]");
  if (shoal_unpack(data, size, "[v s *]", &bytes, &m, &text, &n) == 0) {
    for (size_t k = 0; k < m; k++) sum += ((const uint8_t *)bytes)[k];
    for (size_t k = 0; k < n; k++) sum += (uint8_t)text[k];
  }
  (void)!shoal_unpack(data, size, "{s:i s?:s}", "a", &i, "b", &text, &n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static FILE *nowhere;
  struct shoal_reader r;
  struct shoal_packed m = {0};
  struct shoal_packer p;
  if (!nowhere) nowhere = fopen("/dev/null", "w");
  uint8_t *own = malloc(size ? size : 1);  // no byte more: a sanitizer sees what reads beyond
  FUZZ_CHECK(nowhere && own);
  memcpy(own, data, size);

  shoal_reader_begin(&r, own, size);
  int rc = walk(&r), whole = rc == -EPIPE && shoal_reader_end(&r) == 0;
  FUZZ_CHECK(rc == -EPIPE || rc == -EPROTO);
  FUZZ_CHECK((shoal_packed_print(own, size, nowhere) == 0) == whole);
  shoal_packer_begin(&p, &m);
  FUZZ_CHECK((shoal_packer_packed(&p, own, size) == 0) == whole);
  if (whole) {
    uint64_t n;
    FUZZ_CHECK(shoal_packer_end(&p, &n) == 0 && n == size && memcmp(m.data, own, size) == 0);
  }
  shoal_packed_free(&m);
  unpack_some(own, size);
  free(own);
  return 0;
}
