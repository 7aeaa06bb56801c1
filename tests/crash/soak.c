// tests/crash/soak.c: kills at random, and counts what came of it.
//   soak --seconds N [--seed S] [--only REGEX]
#include "tests/crash/soak.h"

#include <errno.h>
#include <getopt.h>
#include <regex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness/victim.h"

#define ROUND_S 4.0
#define STALL_NS INT64_C(2000000000)  // no progress for so long, and all asleep: stalled
#define SETTLE_NS INT64_C(8000000000)
#define DEAD_NS INT64_C(20000000000)  // no progress for so long: stalled, whatever they do

pid_t soak_pid[SOAK_WORKERS];
volatile uint32_t *soak_doomed;
uint32_t soak_id[SOAK_WORKERS];
struct soak_counts soak;

static volatile uint64_t *faults;  // shared
static uint32_t state, seed;

static void abort_with(const char *what) {
  fprintf(stderr, "soak: %s: %s\n", what, strerror(errno));
  _exit(2);
}

int64_t soak_now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}
void soak_pause_us(uint32_t us) {
  if (us) usleep(us);
}

void *soak_shared(uint64_t size) {
  void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) abort_with("mmap");
  return p;
}

uint32_t soak_random(void) {  // xorshift
  state ^= state << 13;
  state ^= state >> 17;
  return state ^= state << 5;
}
uint32_t soak_below(uint32_t n) { return soak_random() % n; }

void soak_fault(const char *format, ...) {
  char text[256];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (__atomic_fetch_add(faults, 1, __ATOMIC_RELAXED) < 20) printf("  FAULT: %s\n", text);
}

// ---- what rooms share ----

static uint64_t (*progress_of)(void);  // the present room's
static volatile uint32_t *idle;        // shared: seats that wait for another's progress
int soak_moved(uint64_t seen, int asleep) {
  (void)asleep;
  return progress_of() != seen;
}
shoal_deadline soak_deadline(void) {
  switch (soak_below(16)) {
    case 0: return SHOAL_TRY;
    case 1: return shoal_after_us(soak_below(300));
    default: return SHOAL_FOREVER;
  }
}
int soak_gave_up(int rc) { return rc == -EAGAIN || rc == -ETIMEDOUT; }
void soak_linger(void) {
  if (soak_below(16) == 0) soak_pause_us(soak_below(100));
}
void soak_await_other(int seat, uint64_t seen) {
  __atomic_fetch_or(idle, 1u << seat, __ATOMIC_SEQ_CST);
  while (progress_of() == seen) soak_pause_us(20);
  __atomic_fetch_and(idle, ~(1u << seat), __ATOMIC_SEQ_CST);
}

// ---- workers ----

pid_t soak_fork(void) {
  pid_t parent = getpid(), pid = fork();
  if (pid < 0) abort_with("fork");
  if (pid) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(2);
  return 0;
}

static void born(const struct soak_room *room, int seat, uint32_t id) {
  uint32_t own = soak_random();
  soak_id[seat] = id;
  soak_pid[seat] = soak_fork();
  if (soak_pid[seat]) return;
  state = own | 1;
  room->work(id, seat);
  for (;;) pause();
}

void soak_kill(int seat) {
  if (!soak_pid[seat]) return;
  int status;
  *soak_doomed |= 1u << seat;
  kill(soak_pid[seat], SIGKILL);
  waitpid(soak_pid[seat], &status, 0);
  if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) soak_fault("worker %d: signal %d", seat, WTERMSIG(status));
  soak_pid[seat] = 0;
}

int soak_ends(int seat, double seconds) {
  int status;
  for (int64_t end = soak_now_ns() + (int64_t)(seconds * 1e9); soak_now_ns() < end; usleep(300)) {
    if (waitpid(soak_pid[seat], &status, WNOHANG) != soak_pid[seat]) continue;
    soak_pid[seat] = 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  return 0;
}
int soak_is_the_end(int rc, uint64_t closed) {
  static uint64_t before;
  int is_it = rc == -EPIPE && before;
  before = closed;
  return is_it;
}
int soak_wait(pid_t pid, int *status) {
  pid_t is = 0;
  for (int64_t end = soak_now_ns() + INT64_C(10000000000); !is && soak_now_ns() < end; soak_pause_us(is ? 0 : 300))
    is = waitpid(pid, status, WNOHANG);
  return is != 0;
}
void soak_adopt(void) { prctl(PR_SET_CHILD_SUBREAPER, 1); }
void soak_no_orphan(void) {
  int none = 0;
  while (!none && soak_wait(-1, NULL)) none = waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
  SOAK_EXPECT(none, "a process is left");
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}
pid_t soak_parent(pid_t pid) {
  char path[32];
  int parent = 0;
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *f = fopen(path, "re");
  if (f && fscanf(f, "%*d (%*[^)]) %*c %d", &parent) != 1) parent = 0;
  if (f) fclose(f);
  return parent;
}
void soak_all_end(int workers, int n, const char *kind, const char *other) {
  for (int seat = 0; seat < workers; seat++) {
    if (soak_ends(seat, 10)) continue;
    soak.stalled++;
    printf("  a %s does not end after the close\n", seat < n ? kind : other);
  }
}

uint64_t soak_all_asleep(const pid_t *pid, int n) {
  uint64_t sum = 1, switches;
  uint32_t waits = *idle;
  for (int i = 0; i < n; i++) {
    if (!pid[i] || (pid == soak_pid && waits >> i & 1)) continue;
    if (!process_asleep(pid[i], &switches)) return 0;
    sum += switches;
  }
  return sum;
}

// ---- a room ----

static int anybody(const struct soak_room *room) {
  for (int seat = 0; seat < room->workers; seat++)
    if (soak_pid[seat] && !(*idle >> seat & 1)) return 1;
  return 0;
}
// Until the survivors have what they can have. All of them asleep beside it: only their once-a-second look will save
// them.
static void settle(const struct soak_room *room) {
  int64_t begun = soak_now_ns();
  uint64_t seen = room->progress(), before = 0;
  for (int late = 0; anybody(room) && !room->settled(seen, 0); soak_pause_us(10)) {
    uint64_t now = soak_all_asleep(soak_pid, room->workers);
    if (now && now == before && !room->settled(seen, 1) && anybody(room) && !late) soak.rechecks += late = 1;
    before = now;
    if (soak_now_ns() - begun < SETTLE_NS) continue;
    soak.stalled++;
    printf("  STALLED: after a death\n");
    return;
  }
}

// One, sometimes two, now and then many at once.
static void kill_some(const struct soak_room *room, uint32_t *next) {
  uint32_t n = 1 + (soak_below(4) == 0) + (soak_below(16) == 0) * soak_below((uint32_t)room->workers), killed = 0;
  for (uint32_t i = 0; i < n; i++) {
    int seat = (int)soak_below((uint32_t)room->workers);
    if (killed >> seat & 1) continue;
    killed |= 1u << seat;
    *soak_doomed |= 1u << seat;
    kill(soak_pid[seat], SIGKILL);
    if (soak_below(2)) soak_pause_us(soak_below(50));
  }
  for (int seat = 0; seat < room->workers; seat++) {
    if (!(killed >> seat & 1)) continue;
    soak_kill(seat);
    soak.kills++;
  }
  if (room->settled) settle(room);
  for (int seat = 0; seat < room->workers; seat++) {
    if (!(killed >> seat & 1)) continue;
    if (room->buried) room->buried(seat);
    *soak_doomed &= ~(1u << seat);
    __atomic_fetch_and(idle, ~(1u << seat), __ATOMIC_SEQ_CST);
    born(room, seat, (*next)++);
  }
}

static int stalled(const struct soak_room *room, int64_t since, int64_t now) {
  if (now - since > DEAD_NS) return 1;
  if (now - since < STALL_NS) return 0;
  uint64_t first = soak_all_asleep(soak_pid, room->workers);
  return first && first == soak_all_asleep(soak_pid, room->workers);
}

static void run_round(const struct soak_room *room, double seconds) {
  uint32_t next = 1;
  *soak_doomed = *idle = 0;
  progress_of = room->progress;
  room->begin();
  for (int seat = 0; seat < room->workers; seat++) born(room, seat, next++);
  int64_t begun = soak_now_ns(), moved = begun, now = begun;
  uint64_t last = 0;
  while (!soak.stalled && now - begun < (int64_t)(seconds * 1e9) && next < SOAK_IDS - SOAK_WORKERS) {
    soak_pause_us(soak_below(800));
    kill_some(room, &next);
    now = soak_now_ns();
    uint64_t progress = room->progress();
    if ((double)(now - moved) / 1e9 > soak.longest) soak.longest = (double)(now - moved) / 1e9;
    if (progress != last) {
      last = progress;
      moved = now;
      if (room->full && room->full()) break;
    } else if (stalled(room, moved, now)) {
      soak.stalled++;
      printf("  STALLED\n");
      break;
    }
  }
  room->end();
  for (int seat = 0; seat < room->workers; seat++) soak_kill(seat);
}

static int report(const char *name, double seconds) {
  soak.faults += *faults;
  int bad = soak.lost || soak.doubled || soak.stalled || soak.faults || soak.rechecks;
  printf(
      "%-12s %6.0f s %8lu kills %10lu done  lost %lu  doubled %lu  stalled %lu  re-checks %lu  faults %lu  longest "
      "pause %.0f ms%s\n",
      name, seconds, soak.kills, soak.done, soak.lost, soak.doubled, soak.stalled, soak.rechecks, soak.faults,
      soak.longest * 1e3, bad ? "  FAILED" : "");
  soak = (struct soak_counts){0};
  *faults = 0;
  return bad;
}

static int run_room(const struct soak_room *room, double seconds) {
  int64_t begun = soak_now_ns();
  for (double left = seconds; left > 0; left = seconds - (double)(soak_now_ns() - begun) / 1e9) {
    run_round(room, left < ROUND_S ? left : ROUND_S);
    if (soak.stalled || *faults || soak.lost || soak.doubled) break;
  }
  return report(room->name, (double)(soak_now_ns() - begun) / 1e9);
}

static void usage(void) {
  fprintf(stderr, "soak [--seconds N] [--seed S] [--only REGEX]\n");
  _exit(2);
}

int main(int argc, char **argv) {
  static const struct soak_room *const rooms[] = {
      &soak_queue,    &soak_spsc,    &soak_ordered,   &soak_lock,       &soak_rlock,  &soak_rwlock,  &soak_seqlock,
      &soak_once,     &soak_event,   &soak_condition, &soak_semaphore,  &soak_items,  &soak_barrier, &soak_directory,
      &soak_bytes,    &soak_packed,  &soak_pipe,      &soak_topic,      &soak_policy, &soak_growing, &soak_data,
      &soak_executor, &soak_starter, &soak_pool,      &soak_supervisor, &soak_mixed,  &soak_lines};
  static const struct option known[] = {
      {"seconds", 1, NULL, 's'}, {"seed", 1, NULL, 'r'}, {"only", 1, NULL, 'o'}, {NULL, 0, NULL, 0}};
  enum { ROOMS = sizeof rooms / sizeof *rooms };
  double seconds = 60;
  const char *only = "";
  regex_t re;
  int c, n = 0, bad = 0, wanted[ROOMS + 1];
  seed = (uint32_t)soak_now_ns();
  while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) switch (c) {
      case 's': seconds = atof(optarg); break;
      case 'r': seed = (uint32_t)strtoul(optarg, NULL, 0); break;
      case 'o': only = optarg; break;
      default: usage();
    }
  if (optind < argc || seconds <= 0 || regcomp(&re, only, REG_EXTENDED | REG_NOSUB)) usage();
  for (int i = 0; i <= ROOMS; i++)
    n += wanted[i] = !regexec(&re, i < ROOMS ? rooms[i]->name : "closed loop", 0, NULL, 0);
  regfree(&re);
  if (!n) usage();
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("seed %u\n", seed);
  faults = soak_shared(sizeof *faults);
  soak_doomed = soak_shared(sizeof *soak_doomed);
  idle = soak_shared(sizeof *idle);
  for (int i = 0; i <= ROOMS; i++) {
    state = seed * 2654435761u + (uint32_t)i * 40503u;
    state += !state;
    if (!wanted[i]) continue;
    if (i < ROOMS) {
      bad |= run_room(rooms[i], seconds / n);
    } else {
      int64_t begun = soak_now_ns();
      soak_closed_loop(seconds / n);
      bad |= report("closed loop", (double)(soak_now_ns() - begun) / 1e9);
    }
  }
  printf("seed %u: %s\n", seed, bad ? "FAILED" : "nothing lost, nothing doubled, nobody stalled");
  return bad;
}
