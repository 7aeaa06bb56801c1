// Rows, as JSON and for people.
#include <inttypes.h>
#include <string.h>

#include "tools/shoal/tool.h"

// ---- rows ----

static struct tool_field *new_field(struct tool_row *row, uint32_t kind, const char *key) {
  static struct tool_field beyond;
  struct tool_field *f = row->fields < TOOL_FIELDS_MAX ? &row->field[row->fields++] : &beyond;
  *f = (struct tool_field){.kind = kind};
  snprintf(f->key, sizeof f->key, "%s", key);
  return f;
}
void tool_add(struct tool_row *row, uint32_t kind, const char *key, uint64_t number) {
  new_field(row, kind, key)->number = number;
}
void tool_add_text(struct tool_row *row, uint32_t kind, const char *key, const char *text) {
  struct tool_field *f = new_field(row, kind, key);
  snprintf(f->text, sizeof f->text, "%s", text);
}
const struct tool_field *tool_field(const struct tool_row *row, const char *key) {
  for (uint32_t i = 0; i < row->fields; i++)
    if (strcmp(row->field[i].key, key) == 0) return &row->field[i];
  return NULL;
}
double tool_rate(const struct tool_field *f, const struct tool_before *before) {
  const struct tool_field *was = f->kind == FIELD_COUNTER && before->row ? tool_field(before->row, f->key) : NULL;
  return was && f->number > was->number && before->seconds > 0 ? (double)(f->number - was->number) / before->seconds
                                                               : 0;
}

// ---- UTF-8 ----

// Bytes of the sequence that begins at `s`, 0 if it is none: overlong ones and surrogates are none.
static unsigned sequence(const unsigned char *s, size_t n, uint32_t *code) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  unsigned length = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
  if (!length || length > n) return 0;
  uint32_t c = length == 1 ? s[0] : s[0] & (0x7fu >> length);
  for (unsigned i = 1; i < length; i++) {
    if (s[i] >> 6 != 2) return 0;
    c = c << 6 | (s[i] & 0x3f);
  }
  *code = c;
  return c < least[length] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : length;
}

enum { BUFFERS = 16, BUFFER = 1100 };
static char *next_buffer(void) {
  static char buffers[BUFFERS][BUFFER];
  static unsigned turn;
  return buffers[turn++ % BUFFERS];
}

const char *tool_clean(const char *text) {
  char *buffer = next_buffer(), *to = buffer;
  const unsigned char *s = (const unsigned char *)text;
  for (size_t n = strlen(text); n && to < buffer + BUFFER - 8;) {
    uint32_t code = 0;
    unsigned length = sequence(s, n, &code);
    int plain = length && code >= 0x20 && (code < 0x7f || code >= 0xa0);
    if (!length) length = 1;
    if (plain) memcpy(to, s, length), to += length;
    else
      for (unsigned i = 0; i < length; i++) to += sprintf(to, "\\x%02x", s[i]);
    s += length, n -= length;
  }
  *to = 0;
  return buffer;
}

// ---- JSON ----

static void begin(struct tool_json *j, const char *key) {
  if (j->begun >> j->depth & 1) fputc(',', j->out);
  j->begun |= 1 << j->depth;
  if (!key) return;
  tool_json_bytes(&(struct tool_json){.out = j->out}, NULL, key, strlen(key));
  fputc(':', j->out);
}
void tool_json_open(struct tool_json *j, const char *key, char bracket) {
  begin(j, key);
  fputc(bracket, j->out);
  j->begun &= ~(1 << ++j->depth);
}
void tool_json_close(struct tool_json *j, char bracket) {
  j->depth--;
  fputc(bracket, j->out);
  if (j->depth) return;
  j->begun = 0;
  fputc('\n', j->out);
}
void tool_json_bytes(struct tool_json *j, const char *key, const void *text, size_t n) {
  const unsigned char *s = text;
  begin(j, key);
  fputc('"', j->out);
  while (n) {
    uint32_t code = 0;
    unsigned length = sequence(s, n, &code);
    if (!length) fprintf(j->out, "\\udc%02x", s[0]);
    else if (code == '"' || code == '\\') fprintf(j->out, "\\%c", (int)code);
    else if (code < 0x20 || code == 0x7f) fprintf(j->out, "\\u%04x", (unsigned)code);
    else fwrite(s, 1, length, j->out);
    if (!length) length = 1;
    s += length, n -= length;
  }
  fputc('"', j->out);
}
void tool_json_text(struct tool_json *j, const char *key, const char *text) {
  tool_json_bytes(j, key, text, strlen(text));
}
void tool_json_number(struct tool_json *j, const char *key, uint64_t n) {
  begin(j, key);
  fprintf(j->out, "%" PRIu64, n);
}
void tool_json_signed(struct tool_json *j, const char *key, int64_t n) {
  begin(j, key);
  fprintf(j->out, "%" PRId64, n);
}
void tool_json_float(struct tool_json *j, const char *key, double f) {
  begin(j, key);
  if (f - f == 0) fprintf(j->out, "%.17g", f);
  else fputs("null", j->out);  // infinite, or no number: JSON has neither
}
void tool_json_flag(struct tool_json *j, const char *key, int yes) {
  begin(j, key);
  fputs(yes ? "true" : "false", j->out);
}

static void json_field(struct tool_json *j, const struct tool_field *f) {
  switch (f->kind) {
    case FIELD_FLAG: tool_json_flag(j, f->key, f->number != 0); break;
    case FIELD_TEXT: tool_json_text(j, f->key, f->text); break;
    case FIELD_TIDS:
      begin(j, f->key);
      fprintf(j->out, "[%s]", f->text);
      break;
    default: tool_json_number(j, f->key, f->number);
  }
}
void tool_json_fields(struct tool_json *j, const struct tool_row *row) {
  if (row->error) tool_json_signed(j, "error", row->error), tool_json_text(j, "reason", row->reason);
  for (uint32_t i = 0; i < row->fields; i++) json_field(j, &row->field[i]);
}
// Of what was there before, too.
void tool_json_rates(struct tool_json *j, const struct tool_row *row, const struct tool_before *before) {
  tool_json_open(j, "per_second", '{');
  for (uint32_t i = 0; i < row->fields && before->row; i++)
    if (row->field[i].kind == FIELD_COUNTER && tool_field(before->row, row->field[i].key))
      tool_json_float(j, row->field[i].key, tool_rate(&row->field[i], before));
  tool_json_close(j, '}');
}
void tool_json_row(struct tool_json *j, const char *key, const struct tool_row *row) {
  tool_json_row_and_rates(j, key, row, NULL);
}
void tool_json_row_and_rates(struct tool_json *j, const char *key, const struct tool_row *row,
                             const struct tool_before *before) {
  tool_json_open(j, key, '{');
  if (row->kind != ROW_SEGMENT) tool_json_text(j, "name", row->name);
  if (row->kind == ROW_OBJECT) tool_json_text(j, "type", row->type), tool_json_number(j, "bytes", row->size);
  tool_json_fields(j, row);
  if (before) tool_json_rates(j, row, before);
  tool_json_close(j, '}');
}

// ---- for people ----

const char *tool_bytes_text(uint64_t bytes) {
  char *buffer = next_buffer();
  double n = (double)bytes;
  unsigned unit = 0;
  for (; n >= 1024 && unit < 5; unit++) n /= 1024;
  snprintf(buffer, BUFFER, unit && n < 10 ? "%.1f%c" : "%.0f%c", n, "BKMGTP"[unit]);
  return buffer;
}
const char *tool_age_text(int64_t seconds) {
  char *buffer = next_buffer();
  int64_t s = seconds < 0 ? 0 : seconds;
  if (s < 60) snprintf(buffer, BUFFER, "%ds", (int)s);
  else if (s < 3600) snprintf(buffer, BUFFER, "%dm%02ds", (int)(s / 60), (int)(s % 60));
  else if (s < 86400) snprintf(buffer, BUFFER, "%dh%02dm", (int)(s / 3600), (int)(s / 60 % 60));
  else snprintf(buffer, BUFFER, "%lldd%02dh", (long long)(s / 86400), (int)(s / 3600 % 24));
  return buffer;
}
const char *tool_field_text(const struct tool_field *f) {
  char *buffer = next_buffer();
  switch (f->kind) {
    case FIELD_BYTES: return tool_bytes_text(f->number);
    case FIELD_FLAG: return f->number ? "yes" : "no";
    case FIELD_TEXT:
    case FIELD_TIDS: return tool_clean(f->text);
    default: snprintf(buffer, BUFFER, "%" PRIu64, f->number);
  }
  return buffer;
}
void tool_row_print(const struct tool_row *row, const struct tool_before *before) {
  if (row->error) printf("    %-20s %s\n", "cannot be looked at", tool_clean(row->reason));
  for (uint32_t i = 0; i < row->fields; i++) {
    double rate = tool_rate(&row->field[i], before);
    printf("    %-20s %s", row->field[i].key, tool_field_text(&row->field[i]));
    if (rate > 0) printf("  %.0f a second", rate);
    puts("");
  }
}
