// The `shoal` command: what subcommand is meant, and what they all share.
#include <errno.h>
#include <string.h>

#include "tools/shoal/tool.h"

const struct tool_command *const tool_commands[] = {
    &tool_ls,     &tool_show, &tool_top,  &tool_stat,   &tool_watch,  &tool_gc,    &tool_repair_command,
    &tool_doctor, &tool_send, &tool_recv, &tool_record, &tool_replay, &tool_bench, NULL,
};

static void list_commands(FILE *out) {
  fprintf(out, "Usage: shoal COMMAND [OPTION...] [ARGUMENT...]\nLooks into shared-memory segments of shoal.\n\n");
  for (const struct tool_command *const *c = tool_commands; *c; c++)
    fprintf(out, "  %-8s %s\n", (*c)->name, (*c)->says);
  fprintf(out,
          "\n`shoal COMMAND --help` says more, `shoal --version` which it is.\nExit status: 0 done; 1 not there, or "
          "not as it should be; 2 the command line; 3 refused; 4 too late.\n");
}

// "send -t --timeout=SECONDS"
static void list_options(const struct argp *argp, const char *command) {
  for (const struct argp_option *o = argp->options; o && (o->name || o->key || o->doc); o++)
    if (o->name) printf("%s -%c --%s%s%s\n", command, o->key, o->name, o->arg ? "=" : "", o->arg ? o->arg : "");
  for (const struct argp_child *c = argp->children; c && c->argp; c++) list_options(c->argp, command);
}

static int name_of(const struct shoal_segment_file *f, void *arg) {
  (void)arg;
  if (!f->error) printf("%s\n", f->name);
  return 0;
}

// For the shell's completion, and for the test that the manual lists all.
static int list_words(const char *what) {
  if (strcmp(what, "segments") == 0) return shoal_segment_list(name_of, NULL) ? TOOL_FAILED : TOOL_DONE;
  for (const struct tool_command *const *c = tool_commands; *c; c++)
    if (strcmp(what, "options") == 0) list_options((*c)->argp, (*c)->name);
    else printf("%s\n", (*c)->name);
  return TOOL_DONE;
}

static const struct tool_command *command_of(const char *name) {
  for (const struct tool_command *const *c = tool_commands; *c; c++)
    if (strcmp((*c)->name, name) == 0) return *c;
  return NULL;
}

int main(int argc, char **argv) {
  argp_err_exit_status = TOOL_USAGE;
  const char *name = argc > 1 ? argv[1] : "";
  if (strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) return list_commands(stdout), TOOL_DONE;
  if (strcmp(name, "--version") == 0)
    return printf("shoal %s, segments of format %s\n", tool_version, tool_format), TOOL_DONE;
  if (strcmp(name, "--words") == 0) return list_words(argc > 2 ? argv[2] : "commands");
  const struct tool_command *c = command_of(name);
  if (!c) {
    if (*name) fprintf(stderr, "shoal: no command \"%s\"\n", tool_clean(name));
    return list_commands(stderr), TOOL_USAGE;
  }
  char whole[32];
  snprintf(whole, sizeof whole, "shoal %s", c->name);
  argv[1] = whole;  // what argp calls itself
  int status = c->run(argc - 1, argv + 1);
  if (fflush(stdout) == 0 && !ferror(stdout)) return status;
  fprintf(stderr, "shoal: the output could not be written: %s\n", strerror(errno));
  return TOOL_FAILED;
}
