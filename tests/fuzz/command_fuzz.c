// The shoal command: any arguments end with one of its exit statuses, and JSON that it takes is JSON that it gives, the
// same value.
//
// It runs in this process, where no segment is. exit() comes back here from its first handler.
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/segment_internal.h"
#include "tests/fuzz/fuzz.h"
#include "tools/shoal/message.h"

#define ARGS 12

int shoal_main(int argc, char **argv);  // of tools/shoal/main.c

static FILE *nowhere;
static jmp_buf back;
static int running;

static void come_back(void) {
  if (running) longjmp(back, 1);
}

static void set_up(void) {
  static char folder[] = "/tmp/shoal-fuzz-XXXXXX";
  nowhere = fopen("/dev/null", "w");
  FUZZ_CHECK(nowhere && mkdtemp(folder) && chdir(folder) == 0 && rmdir(folder) == 0);  // files it names are not made
  shoal_shm_directory_ = folder;
}

// ---- arguments: words of a table, or the input's own bytes ----

static char *next_word(struct script *s, char *own, size_t room) {
  static char *const words[] = {"ls",     "show", "top",     "stat",      "watch",    "gc",
                                "doctor", "send", "recv",    "record",    "replay",   "--help",
                                "--json", "-j",   "--yes",   "--timeout", "--count",  "--interval=0.1",
                                "--",     "-",    "s",       "s/q",       "s/q/r",    "/",
                                "1",      "0",    "-1",      "1e9",       "nan",      "18446744073709551616",
                                "0x10",   "",     "--words", "options",   "segments", "--usage",
                                "-?",     "=",    "%s%n"};
  static char *const later[] = {"repair", "--locks", "--history",  "--speed",
                                "--key",  "--end",   "4294967296", "1e-300"};  // not bench: seconds a run
  uint32_t which = script_below(s, 96), n = 0;
  if (which < sizeof words / sizeof *words) return strcpy(own, words[which]);
  if (which >= 88) return strcpy(own, later[which - 88]);
  if (which < 64) own[n++] = '-', own[n++] = (char)('a' + which % 26);
  else if (which < 72) own[n++] = '-', own[n++] = '-';
  for (uint32_t more = script_below(s, (uint32_t)room - 3); more-- && script_left(s);) {
    char c = (char)script_take(s, 1);
    if (c == 0) break;
    own[n++] = c == '/' ? '|' : c;  // no file elsewhere
  }
  own[n] = 0;
  return own;
}

static int status_of(int argc, char **argv) {
  if (setjmp(back)) return TOOL_USAGE;  // by exit
  return shoal_main(argc, argv);
}
static void run(struct script *s) {
  static char words[ARGS][80];
  char *argv[ARGS + 2] = {(char *)"shoal"};
  int argc = 1;
  while (argc <= ARGS && script_left(s)) argv[argc] = next_word(s, words[argc - 1], sizeof *words), argc++;
  FILE *out = stdout, *err = stderr, *in = stdin;
  stdout = stderr = nowhere;
  stdin = fopen("/dev/null", "r");
  FUZZ_CHECK(stdin && atexit(come_back) == 0);
  running = 1;
  int status = status_of(argc, argv);
  running = 0;
  fclose(stdin);
  stdout = out, stderr = err, stdin = in;
  FUZZ_CHECK(status >= 0 && status <= TOOL_LATE);
}

// ---- JSON ----

static void there_and_back(struct script *s) {
  struct shoal_packed once = {0}, twice = {0};
  size_t n = (size_t)(s->end - s->at), length = 0;
  char *text = malloc(n + 1), *json = NULL;
  FUZZ_CHECK(text);
  memcpy(text, s->at, n);
  if (tool_json_pack(text, n, &once) == 0) {
    FILE *out = open_memstream(&json, &length);
    FUZZ_CHECK(out && tool_packed_json(once.data, once.size, out) == 0 && fclose(out) == 0);
    FUZZ_CHECK(tool_json_pack(json, length, &twice) == 0);
    FUZZ_CHECK(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    free(json);
  }
  shoal_packed_free(&once), shoal_packed_free(&twice);
  free(text);
}

static void stream(struct script *s) {
  const void *data;
  uint64_t size;
  size_t n = (size_t)(s->end - s->at);
  int fd = memfd_create("stream", MFD_CLOEXEC);
  FUZZ_CHECK(fd >= 0 && write(fd, s->at, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0);
  struct tool_stream in = {.in = fdopen(fd, "r")};
  FUZZ_CHECK(in.in);
  while (tool_stream_next(&in, &data, &size) == 0) (void)!tool_packed_json(data, size, nowhere);
  fclose(in.in);
  tool_stream_free(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct script s = {data, data + size};
  if (!nowhere) set_up();
  switch (script_below(&s, 4)) {
    case 0: there_and_back(&s); break;
    case 1: stream(&s); break;
    default: run(&s);
  }
  return 0;
}
