#include "ipc/work/processors.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- where they may run ----

int shoal_cpu_affinity_(void) {
  for (int most = CPU_SETSIZE; most <= 1 << 20; most *= 2) {  // the kernel refuses a set smaller than its own
    cpu_set_t *set = CPU_ALLOC((size_t)most);
    if (!set) return 1;
    size_t size = CPU_ALLOC_SIZE((size_t)most);
    int count = sched_getaffinity(0, size, set) ? -errno : CPU_COUNT_S(size, set);
    CPU_FREE(set);
    if (count > 0) return count;
    if (count != -EINVAL) return 1;
  }
  return 1;
}

// ---- how much time they get ----

struct group {  // a control group's folder, and how far up it has others above it
  const char *controller;
  int version;
  char folder[PATH_MAX];
  size_t top;
};

// Whether `word` is one of a list, as in "cpu,cpuacct".
static int lists(const char *list, const char *word) {
  size_t n = strlen(word);
  for (; list; list = strchr(list, ',') ? strchr(list, ',') + 1 : NULL)
    if (strncmp(list, word, n) == 0 && (list[n] == ',' || list[n] == 0)) return 1;
  return 0;
}

// The path of this process's group: of version 2, or of the hierarchy of version 1 that has the controller. 0: there is
// none.
static int path_of_group(const char *root, const struct group *g, char path[static PATH_MAX]) {
  char name[PATH_MAX], line[PATH_MAX + 64];
  snprintf(name, sizeof name, "%s/proc/self/cgroup", root);
  FILE *file = fopen(name, "re");
  int found = 0;
  while (file && !found && fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = 0;
    char *controllers = strchr(line, ':'), *at = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!at) continue;
    *at++ = 0;
    found = g->version == 2 ? controllers[1] == 0 : lists(controllers + 1, g->controller);
    if (found) snprintf(path, PATH_MAX, "%s", at);
  }
  if (file) fclose(file);
  return found;
}

// One line of mountinfo: ID PARENT DEVICE ROOT POINT OPTIONS... - TYPE SOURCE OPTIONS.
static int is_mount(char *line, const struct group *g, char **mounted, char **point) {
  char *tail = strstr(line, " - "), *save, *type, *options = NULL;
  if (!tail) return 0;
  *tail = 0;
  type = strtok_r(tail + 3, " \n", &save);
  if (strtok_r(NULL, " \n", &save)) options = strtok_r(NULL, " \n", &save);
  if (!type || strcmp(type, g->version == 2 ? "cgroup2" : "cgroup") != 0) return 0;
  if (g->version == 1 && (!options || !lists(options, g->controller))) return 0;
  for (int i = 0; i < 5; i++) {
    char *field = strtok_r(i ? NULL : line, " ", &save);
    if (!field) return 0;
    if (i == 3) *mounted = field;
    *point = field;
  }
  return 1;
}

// The folder of the group below the place where its hierarchy is mounted, which may show a part of it only.
static int place(struct group *g, const char *root, const char *mounted, const char *point, const char *path) {
  size_t n = strcmp(mounted, "/") == 0 ? 0 : strlen(mounted);
  const char *rest = strncmp(path, mounted, n) == 0 && (path[n] == '/' || path[n] == 0) ? path + n : "";
  if (strncmp(rest, "/..", 3) == 0) rest = "";  // above what this namespace can see
  int top = snprintf(g->folder, sizeof g->folder, "%s%s", root, point);
  if (top < 0 || (size_t)top + strlen(rest) >= sizeof g->folder) return 0;
  g->top = (size_t)top;
  memcpy(g->folder + top, rest, strlen(rest) + 1);
  return 1;
}

static int find_group(const char *root, struct group *g) {
  char path[PATH_MAX], name[PATH_MAX], *mounted = NULL, *point = NULL, *line = NULL;
  size_t room = 0;
  int found = 0;
  if (!path_of_group(root, g, path)) return 0;
  snprintf(name, sizeof name, "%s/proc/self/mountinfo", root);
  FILE *file = fopen(name, "re");
  while (file && !found && getline(&line, &room, file) > 0)
    found = is_mount(line, g, &mounted, &point) && place(g, root, mounted, point, path);
  free(line);
  if (file) fclose(file);
  return found;
}

// The first numbers of a file in the group's folder; how many there are.
static int numbers(const struct group *g, const char *file, long long out[static 2]) {
  char name[PATH_MAX + 32], text[64];
  snprintf(name, sizeof name, "%s/%s", g->folder, file);
  int fd = open(name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  text[n > 0 ? n : 0] = 0;
  return sscanf(text, "%lld %lld", &out[0], &out[1]);  // "max" is none
}

static uint64_t quota_here(const struct group *g, const char *const *unused) {
  long long n[2] = {0, 0}, period[2] = {0, 0};
  (void)unused;
  if (g->version == 2 && numbers(g, "cpu.max", n) != 2) return 0;
  if (g->version == 1 && (numbers(g, "cpu.cfs_quota_us", n) < 1 || numbers(g, "cpu.cfs_period_us", period) < 1))
    return 0;
  if (g->version == 1) n[1] = period[0];
  if (n[0] <= 0 || n[1] <= 0) return 0;
  long long whole = (n[0] - 1) / n[1] + 1;
  return whole > INT_MAX ? 0 : (uint64_t)whole;
}
static uint64_t number_here(const struct group *g, const char *const files[2]) {
  long long n[2] = {0, 0};
  // Almost all is none.
  return numbers(g, files[g->version - 1], n) && n[0] > 0 && n[0] < INT64_MAX / 2 ? (uint64_t)n[0] : 0;
}

typedef uint64_t here_fn(const struct group *g, const char *const files[2]);
static uint64_t least_of(struct group *g, here_fn *limit, const char *const files[2]) {
  for (uint64_t least = 0;;) {
    uint64_t here = limit(g, files);
    if (here && (!least || here < least)) least = here;
    char *last = strrchr(g->folder + g->top, '/');
    if (!last) return least;
    *last = 0;
  }
}

static uint64_t least_in_all(const char *root, const char *controller, here_fn *limit, const char *const files[2]) {
  uint64_t least = 0;
  for (int version = 1; version <= 2; version++) {
    struct group *g = malloc(sizeof *g);
    if (g) g->controller = controller, g->version = version;
    uint64_t here = g && find_group(root, g) ? least_of(g, limit, files) : 0;
    free(g);
    if (here && (!least || here < least)) least = here;
  }
  return least;
}

int shoal_cpu_quota_(const char *root) { return (int)least_in_all(root, "cpu", quota_here, NULL); }
uint64_t shoal_group_limit_(const char *root, const char *controller, const char *version_1, const char *version_2) {
  return least_in_all(root, controller, number_here, (const char *const[]){version_1, version_2});
}

int shoal_cpu_count(void) {
  int may = shoal_cpu_affinity_(), quota = shoal_cpu_quota_("");
  return quota && quota < may ? quota : may;
}
