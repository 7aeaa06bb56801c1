// What the subcommands share: how they fail, what their arguments mean.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/shoal/tool.h"

static error_t parse_common(int key, char *arg, struct argp_state *state) {
  (void)arg;
  struct tool_common *common = state->input;
  if (key != 'j') return ARGP_ERR_UNKNOWN;
  common->json = 1;
  return 0;
}
static const struct argp_option common_options[] = {{"json", 'j', NULL, 0, "JSON on stdout", 1}, {0}};
const struct argp tool_common_argp = {common_options, parse_common, NULL, NULL, NULL, NULL, NULL};

int tool_failed(int rc, const char *what) {
  const char *why = shoal_reason();
  fprintf(stderr, "shoal: %s: %s", tool_clean(what), shoal_strerror(rc));
  fprintf(stderr, *why ? " (%s)\n" : "%s\n", tool_clean(why));
  return rc == -ENOENT ? TOOL_NO : rc == -ETIMEDOUT ? TOOL_LATE : TOOL_FAILED;
}

int tool_target(const char *text, struct tool_target *out) {
  size_t n = strcspn(text, "/");
  const char *object = text[n] ? text + n + 1 : "";
  if (n == 0 || n > SHOAL_NAME_MAX || strlen(object) > SHOAL_NAME_MAX) {
    fprintf(stderr, "shoal: \"%s\" is not SEGMENT or SEGMENT/OBJECT%s\n", tool_clean(text),
            *text == '/' ? ": a name has no / before it" : "");
    return TOOL_USAGE;
  }
  memset(out, 0, sizeof *out);
  memcpy(out->segment, text, n);
  memcpy(out->object, object, strlen(object));
  return 0;
}

int tool_object_target(const char *text, struct tool_target *out) {
  int rc = tool_target(text, out);
  if (rc || *out->object) return rc;
  fprintf(stderr, "shoal: \"%s\" is not SEGMENT/OBJECT\n", tool_clean(text));
  return TOOL_USAGE;
}

int64_t tool_seconds(const char *text, struct argp_state *state) {
  char *end;
  errno = 0;
  double s = strtod(text, &end);
  if (errno || end == text || *end || !(s >= 0 && s <= 1e9)) argp_error(state, "\"%s\" is no number of seconds", text);
  return (int64_t)(s * 1e9);
}

int64_t tool_signed(const char *text, struct argp_state *state) {
  char *end;
  errno = 0;
  int64_t n = strtoll(text, &end, 10);
  if (errno || end == text || *end) argp_error(state, "\"%s\" is no number", text);
  return n;
}
uint64_t tool_number(const char *text, struct argp_state *state) {
  char *end;
  errno = 0;
  uint64_t n = strtoull(text, &end, 10);
  if (errno || end == text || *end || *text == '-') argp_error(state, "\"%s\" is no number", text);
  return n;
}
uint32_t tool_number32(const char *text, struct argp_state *state) {
  uint64_t n = tool_number(text, state);
  if (n > UINT32_MAX) argp_error(state, "%s is too large", text);
  return (uint32_t)n;
}

uint32_t tool_pipe_end(const char *text, struct argp_state *state) {
  uint32_t end = tool_number32(text, state);
  if (end > 1) argp_error(state, "a pipe has ends 0 and 1");
  return end;
}
shoal_deadline tool_deadline(int64_t timeout) {
  return timeout < 0 ? SHOAL_FOREVER : timeout ? shoal_after_ns(timeout) : SHOAL_TRY;
}

uint32_t tool_element_size(const char *type) {
  const char *colon = strchr(type, ':');
  return colon ? (uint32_t)strtoul(colon + 1, NULL, 10) : 0;
}
int tool_is_of_kind(const char *type, const char *kind) {
  size_t n = strlen(kind);
  return kind[n - 1] == ':' ? strncmp(type, kind, n) == 0 : strcmp(type, kind) == 0;
}

void tool_sleep_until(int64_t at) {
  struct timespec ts = {at / 1000000000, at % 1000000000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR) continue;
}
int tool_by_size(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}
