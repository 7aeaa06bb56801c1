// `shoal top` on a terminal.
#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <string.h>

#include "core/deadline.h"
#include "tools/shoal/top.h"

enum { SOON_MS = 200 };  // until it says at what it looks

struct painting {
  int y, from;  // the next line; how many are scrolled away
};

static void paint(const char *text, int selected, void *arg) {
  struct painting *p = arg;
  int y = p->y++ - p->from + 1;
  if (y < 1 || y >= LINES) return;
  if (selected) attron(A_REVERSE);
  mvaddnstr(y, 0, text, COLS);
  if (selected) attroff(A_REVERSE);
}
static void find(const char *text, int selected, void *arg) {
  struct painting *p = arg;
  (void)text;
  if (selected) p->from = p->y;
  p->y++;
}

// `looking`: at what it looks, and hears nothing; NULL: all is known.
static void redraw(struct top *t, const char *looking) {
  struct painting p = {0, 0}, at = {0, 0};
  top_draw(t, find, &at);
  p.from = at.from > LINES - 3 ? at.from - (LINES - 3) : 0;  // so that what is selected is seen
  int left = at.y - (LINES - 1) - p.from;
  if (t->scroll > left) t->scroll = left > 0 ? left : 0;
  p.from += t->scroll;
  erase();
  attron(A_BOLD);
  mvprintw(0, 0, "shoal top  every %.1f s  by %s%s%s   %s%s", (double)t->interval / 1e9, top_sort_name(t->sort),
           *t->filter ? "  only " : "", t->filter,
           looking ? "looking at " : "q quit  s sort  / filter  enter  esc back", looking ? tool_clean(looking) : "");
  attroff(A_BOLD);
  top_draw(t, paint, &p);
  refresh();
}

static void ask_filter(struct top *t) {
  timeout(-1);
  echo();
  move(0, 0);
  clrtoeol();
  mvaddstr(0, 0, "only what contains: ");
  getnstr(t->filter, (int)sizeof t->filter - 1);
  noecho();
}
static void choose(struct top *t) {
  if (t->selected >= t->n_shown) return;
  memcpy(t->chosen.segment, t->shown[t->selected].row->segment, sizeof t->chosen.segment);
  memcpy(t->chosen.object, t->shown[t->selected].row->name, sizeof t->chosen.object);
  t->detail = 1;
  t->scroll = 0;
}

// 1: it is over.
static int press(struct top *t, int key) {
  switch (key) {
    case 'q': return 1;
    case 's': t->sort = (t->sort + 1) % SORTS; break;
    case '/': ask_filter(t); break;
    case '+': t->interval += t->interval < INT64_C(60000000000) ? t->interval / 2 : 0; break;
    case '-': t->interval -= t->interval > INT64_C(200000000) ? t->interval / 3 : 0; break;
    case KEY_UP:
      if (t->scroll) t->scroll--;
      else if (!t->detail && t->selected) t->selected--;
      break;
    case KEY_DOWN:  // behind the last of them are what workers run
      if (!t->detail && t->selected + 1 < t->n_shown) t->selected++;
      else t->scroll++;
      break;
    case '\n':
    case KEY_ENTER: choose(t); break;
    case 27:
    case KEY_LEFT:
    case KEY_BACKSPACE: t->detail = t->scroll = 0; break;
    default: return 0;
  }
  top_arrange(t);
  return 0;
}

// While the look has nothing to tell, the screen shows what was known, and keys are listened to.
static int attend(int fd, int ms, const struct tool_row *at, void *arg) {
  if (poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) > 0) return 1;
  struct top *t = arg;
  char looking[2 * SHOAL_NAME_MAX + 2];
  int64_t now = shoal_now_ns(), begun = now, until = begun + INT64_C(1000000) * (at ? top_patience(t, at, ms) : ms);
  snprintf(looking, sizeof looking, at ? "%s/%s" : "%s", t->looking, at ? at->name : "");
  for (;; now = shoal_now_ns()) {
    struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    int64_t left = (until - now + 999999) / 1000000;
    (void)poll(p, 2, left < 0 ? 0 : left < SOON_MS ? (int)left : SOON_MS);
    if (p[0].revents) return 1;
    if (left <= 0) return 0;
    timeout(0);
    for (int key; (key = getch()) != ERR;)
      if (press(t, key)) return -ECANCELED;
    redraw(t, now - begun < SOON_MS * INT64_C(1000000) ? NULL : looking);
  }
}

static int loop(struct top *t) {
  int64_t next = 0;
  uint64_t looks = 0;
  for (;;) {
    int64_t now = shoal_now_ns();
    if (now >= next) {
      if (t->count && looks++ >= t->count) return 0;
      int rc = top_look(t);
      if (rc) return rc == -ECANCELED ? 0 : rc;
      top_arrange(t);
      next = now + t->interval;
    }
    redraw(t, NULL);
    int64_t left = (next - shoal_now_ns()) / 1000000 + 1;
    timeout(left < 1 ? 1 : (int)left);
    int key = getch();
    if (key != ERR && press(t, key)) return 0;
  }
}

int top_screen(struct top *t) {
  setlocale(LC_CTYPE, "");
  SCREEN *screen = newterm(NULL, stdout, stdin);
  if (!screen) return tool_failed(shoal_fail_(-ENOSYS, "this terminal cannot be used: TERM"), "top");
  cbreak();
  noecho();
  keypad(stdscr, TRUE);
  set_escdelay(50);
  curs_set(0);
  t->wait = attend;
  int rc = loop(t);
  endwin();
  delscreen(screen);
  return rc ? tool_failed(rc, "top") : TOOL_DONE;
}
