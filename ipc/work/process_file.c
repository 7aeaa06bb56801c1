// The memory file in which a child that is no copy of its parent finds its birth, and the fresh image of this program
// that reads one instead of coming to main.
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/segment_internal.h"
#include "ipc/work/process_internal.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)  // else a reader could be killed by SIGBUS
#define FILE_MAX (UINT64_C(1) << 40)

// ---- written ----

static int put(int file, uint64_t *at, const void *data, uint64_t size) {
  while (size) {
    ssize_t n = pwrite(file, data, size, (off_t)*at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return shoal_fail_(n < 0 ? -errno : -ENOSPC, "the memory file of a child: %m");
    data = (const char *)data + n;
    *at += (uint64_t)n;
    size -= (uint64_t)n;
  }
  return 0;
}

static int put_changes(int file, uint64_t at, const char *const *changes) {
  int rc = 0;
  for (; changes && *changes && rc == 0; changes++) rc = put(file, &at, *changes, strlen(*changes) + 1);
  return rc;
}

static uint64_t changes_size(const char *const *changes) {
  uint64_t size = 0;
  for (; changes && *changes; changes++) size += strlen(*changes) + 1;
  return size;
}

static int put_all(int file, const struct shoal_birth_shm_ *birth, const void *argument, const char *const *changes) {
  static const struct shoal_report_shm_ nothing;
  uint64_t at = 0;
  int rc = put(file, &at, &nothing, sizeof nothing);  // its page is there before anybody writes to it
  at = SHOAL_BIRTH_AT_;
  if (rc == 0) rc = put(file, &at, birth, sizeof *birth);
  if (rc == 0 && !birth->argument_off) rc = put(file, &at, argument, birth->argument_size);
  if (rc == 0) rc = put_changes(file, at, changes);
  if (rc == 0 && fcntl(file, F_ADD_SEALS, SEALS)) rc = shoal_fail_(-errno, "seals: %m");
  return rc;
}

int shoal_birth_file_(const struct shoal_birth_shm_ *birth, const void *argument, const char *const *changes,
                      int *out) {
  int file = memfd_create("shoal-child", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (file < 0) return shoal_fail_(-errno, "memfd_create: %m");
  struct shoal_longer_ longer;
  shoal_longer_begin_(&longer);
  int rc = shoal_longer_end_(&longer, put_all(file, birth, argument, changes));
  if (rc) close(file);
  else *out = file;
  return rc;
}

int shoal_birth_write_(struct shoal_start_ *s) {
  struct shoal_birth_shm_ *b = &s->birth;
  const char *const *changes = s->options->environment;
  b->argument_size = s->size;
  b->argument_off = s->context->segment ? shoal_segment_off(s->context->segment, s->arg) : 0;
  b->environment_size = changes_size(changes);
  int rc = shoal_birth_file_(b, s->arg, changes, &s->file);
  if (rc) return rc;
  s->report = mmap(NULL, sizeof *s->report, PROT_READ | PROT_WRITE, MAP_SHARED, s->file, 0);
  return s->report != MAP_FAILED ? 0 : shoal_fail_(-ENOMEM, "no address space for a report: %m");
}

// ---- read ----

static int is_whole(const struct shoal_birth_shm_ *b, uint64_t size) {
  uint64_t argument = b->argument_off ? 0 : b->argument_size;
  return b->name[SHOAL_NAME_MAX] == 0 && b->parent_name[SHOAL_NAME_MAX] == 0 && b->identity[SHOAL_NAME_MAX] == 0 &&
         b->task[SHOAL_TASK_NAME_MAX_] == 0 && argument <= size && b->environment_size == size - argument;
}

// What lies behind the report, in memory of our own; NULL: it is no such file.
static struct shoal_birth_shm_ *read_birth(int file) {
  struct stat st;
  int seals = fcntl(file, F_GET_SEALS);
  if (seals < 0 || (seals & SEALS) != SEALS || fstat(file, &st)) return NULL;
  uint64_t size = (uint64_t)st.st_size;
  if (size < SHOAL_BIRTH_AT_ + sizeof(struct shoal_birth_shm_) || size > FILE_MAX) return NULL;
  size -= SHOAL_BIRTH_AT_;
  struct shoal_birth_shm_ *b = malloc(size + 1);
  if (!b) return NULL;
  for (uint64_t at = 0; at < size;) {
    ssize_t n = pread(file, (char *)b + at, size - at, (off_t)(SHOAL_BIRTH_AT_ + at));
    if (n <= 0) break;
    at += (uint64_t)n;
    if (at < size) continue;
    ((char *)b)[size] = 0;
    if (is_whole(b, size - sizeof *b)) return b;
  }
  free(b);
  return NULL;
}

// The strings at the end, as a list that ends with NULL.
static const char *const *changes_of(const struct shoal_birth_shm_ *b) {
  const char *at = (const char *)(b + 1) + (b->argument_off ? 0 : b->argument_size), *end = at + b->environment_size;
  unsigned n = 0;
  for (const char *c = at; c < end; c += strlen(c) + 1) n++;
  const char **list = calloc(n + 1, sizeof *list);
  if (!list) _exit(127);
  for (n = 0; at < end; at += strlen(at) + 1) list[n++] = at;
  return list;
}

struct work {
  struct shoal_birth_shm_ *birth;
  int segment;
};

static int find_all(const struct work *w, const struct shoal_task **task, void **argument) {
  struct shoal_segment **segment = &shoal_process_self_state_.segment;
  const struct shoal_birth_shm_ *b = w->birth;
  int rc = w->segment >= 0 ? shoal_segment_open_fd(w->segment, segment) : 0;
  if (w->segment >= 0) close(w->segment);
  if (rc == 0) rc = shoal_task_find(b->task, task);
  if (rc == 0 && (*task)->size != b->argument_size) rc = shoal_fail_(-EBADMSG, "the argument of task %s", b->task);
  if (rc) return rc;
  *argument = b->argument_off && *segment ? shoal_segment_at(*segment, b->argument_off, b->argument_size)
                                          : (void *)(w->birth + 1);
  return *argument ? 0 : shoal_fail_(-EOVERFLOW, "the argument lies outside of the segment");
}

static int run_task(void *arg) {
  const struct shoal_task *task;
  void *argument;
  int rc = find_all(arg, &task, &argument);
  if (rc) {
    shoal_process_say("%s", shoal_reason());
    shoal_process_exit(127);
  }
  return task->run(argument);
}

static void run_birth(struct shoal_birth_shm_ *b, int file) {
  struct shoal_report_shm_ *report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (report == MAP_FAILED) _exit(127);
  close(file);
  prctl(PR_SET_NAME, b->name);  // else it is called as the starter is, or as what was executed; 15 bytes
  shoal_child_run_(b, report, NULL, changes_of(b), run_task, &(struct work){b, b->segment});
}

void shoal_child_run_file_(int file, int gate, int segment) {
  struct shoal_birth_shm_ *b = read_birth(file);
  if (!b) _exit(127);
  b->gate = gate;
  b->segment = segment;
  run_birth(b, file);
  _exit(127);
}

// ---- a fresh image ----

// Where its file is: before main, behind all that the program's own objects do before it.
static void __attribute__((constructor)) begin(void) {
  const char *number = secure_getenv(SHOAL_CHILD_VARIABLE_);
  if (!number) return;
  int file = (int)strtol(number, NULL, 10);
  unsetenv(SHOAL_CHILD_VARIABLE_);
  struct shoal_birth_shm_ *b = read_birth(file);
  if (!b) _exit(127);  // not on to main, which would start children again
  if (b->kind == SHOAL_BORN_CHILD_) run_birth(b, file);
  if (b->kind == SHOAL_BORN_STARTER_) shoal_starter_main_(b);
  _exit(127);
}

// The environment with the number of the file, in one block.
static char **environment_with(int file) {
  size_t n = 0, length = sizeof SHOAL_CHILD_VARIABLE_ "=" + 12;
  while (environ && environ[n]) n++;
  char **list = malloc((n + 2) * sizeof *list + length);
  if (!list) return NULL;
  if (n) memcpy(list, environ, n * sizeof *list);
  list[n] = (char *)(list + n + 2);
  list[n + 1] = NULL;
  snprintf(list[n], length, "%s=%d", SHOAL_CHILD_VARIABLE_, file);
  return list;
}

static int spawn_image(const char *name, const posix_spawn_file_actions_t *actions, char **environment, pid_t *pid) {
  posix_spawnattr_t attributes;
  sigset_t all, term;
  char *argv[] = {(char *)(uintptr_t)name, NULL};
  sigfillset(&all);
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  int error = posix_spawnattr_init(&attributes);
  if (error) return error;
  posix_spawnattr_setsigmask(&attributes, &all);
  posix_spawnattr_setsigdefault(&attributes, &term);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  error = posix_spawn(pid, "/proc/self/exe", actions, &attributes, argv, environment);
  posix_spawnattr_destroy(&attributes);
  return error;
}

// begin() of such a program believes no environment, and would go on to main.
static int check_rights(void) {
  if (!getauxval(AT_SECURE)) return 0;
  return shoal_fail_(
      -EPERM, "a program with more rights than its caller (set-user-ID, capabilities) cannot start itself: fork");
}

int shoal_image_start_(int file, const int *keep, unsigned count, const char *name, pid_t *pid) {
  posix_spawn_file_actions_t actions;
  int rc = check_rights();
  if (rc) return rc;
  char **environment = environment_with(file);
  int error = environment ? posix_spawn_file_actions_init(&actions) : ENOMEM;
  if (error == 0) {
    error = posix_spawn_file_actions_adddup2(&actions, file, file);  // to itself: exec does not close it
    for (unsigned i = 0; i < count && error == 0; i++)
      error = posix_spawn_file_actions_adddup2(&actions, keep[i], keep[i]);
    if (error == 0) error = spawn_image(name, &actions, environment, pid);
    posix_spawn_file_actions_destroy(&actions);
  }
  free(environment);
  errno = error;
  return error ? shoal_fail_(-error, "a fresh image of this program: %m") : 0;
}

int shoal_spawn_(struct shoal_start_ *s, pid_t *pid) {
  int keep[] = {s->gate[0], s->birth.segment};
  return shoal_image_start_(s->file, keep, keep[1] >= 0 ? 2 : 1, s->child.name, pid);
}
