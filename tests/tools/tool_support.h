// tests/tools/tool_support.h: what tests of the shoal command share: it is run, and what it writes is read.
#pragma once

#include "tests/core/support.h"

static const char *tool_path;  // argv[1]

struct run {
  int status;       // of its exit; -1: killed by a signal
  char *out, *err;  // until the next run
};

static inline char *slurp(int fd) {
  size_t n = 0, room = 65536;
  char *text = malloc(room);
  assert_non_null(text);
  lseek(fd, 0, SEEK_SET);
  for (ssize_t got; (got = read(fd, text + n, room - n - 1)) > 0;)
    if ((n += (size_t)got) > room / 2) assert_non_null(text = realloc(text, room *= 2));
  text[n] = 0;
  close(fd);
  return text;
}

// Starts it with these words; its stdin, stdout and stderr are `fd`.
static inline pid_t start_tool(const char *const *words, const int fd[3]) {
  pid_t pid = fork_child();
  if (pid == 0) {
    for (int i = 0; i < 3; i++) dup2(fd[i], i);
    execv(tool_path, (char *const *)words);
    _exit(127);
  }
  return pid;
}
static inline int status_of(pid_t pid) {
  int st = 0;
  assert_int_equal(waitpid(pid, &st, 0), pid);
  return WIFEXITED(st) ? WEXITSTATUS(st) : -1;
}

static inline struct run *run_words(const char *input, const char *const *words) {
  static struct run run;
  int fd[3];
  free(run.out);
  free(run.err);
  for (int i = 0; i < 3; i++) assert_true((fd[i] = memfd_create("tool", MFD_CLOEXEC)) >= 0);
  assert_int_equal(write(fd[0], input, strlen(input)), strlen(input));
  lseek(fd[0], 0, SEEK_SET);
  run.status = status_of(start_tool(words, fd));
  close(fd[0]);
  run.out = slurp(fd[1]);
  run.err = slurp(fd[2]);
  return &run;
}
#define WORDS(...) ((const char *const[]){"shoal", __VA_ARGS__, NULL})
#define tool(...) run_words("", WORDS(__VA_ARGS__))

// Each runs its argument once.
#define assert_has(of_, what)                                                                       \
  do {                                                                                              \
    const struct run *r_ = (of_);                                                                   \
    const char *w_ = (what);                                                                        \
    if (!strstr(r_->out, w_)) fail_msg("no %s in: %s / %s (%d)", w_, r_->out, r_->err, r_->status); \
  } while (0)
#define assert_status(of_, wanted)                                                            \
  do {                                                                                        \
    const struct run *r_ = (of_);                                                             \
    if (r_->status != (wanted)) fail_msg("status %d: %s / %s", r_->status, r_->out, r_->err); \
  } while (0)

// ---- JSON: whether it is one whole value ----

static inline const char *json_space(const char *s) {
  while (*s == ' ' || *s == '\n') s++;
  return s;
}
static inline const char *json_string(const char *s) {
  for (s++; *s != '"'; s++) {
    if ((unsigned char)*s < 0x20) return NULL;
    if (*s != '\\') continue;
    if (!strchr("\"\\/bfnrtu", *++s)) return NULL;
  }
  return s + 1;
}
static inline const char *json_value(const char *s) {
  s = json_space(s);
  if (*s == '"') return json_string(s);
  if (*s == '{' || *s == '[') {
    char end = *s == '{' ? '}' : ']', next = 0;
    s = json_space(s + 1);
    while (*s != end || next == ',') {
      if (end == '}') {
        if (*s != '"' || !(s = json_string(s)) || *(s = json_space(s)) != ':') return NULL;
        s++;
      }
      if (!(s = json_value(s))) return NULL;
      s = json_space(s);
      next = *s;
      if (next != ',' && next != end) return NULL;
      if (next == ',') s = json_space(s + 1);
    }
    return s + 1;
  }
  size_t n = strspn(s, "-+.eE0123456789aflnrstu");
  return n ? s + n : NULL;
}
#define assert_json(of_)                                                            \
  do {                                                                              \
    const struct run *r_ = (of_);                                                   \
    const char *end_ = json_value(r_->out);                                         \
    if (!end_ || *json_space(end_)) fail_msg("no JSON: %s / %s", r_->out, r_->err); \
  } while (0)
