/* once.pml: what is done once (sync/once.c), upon a robust word (core/robust.h, robust.c), under the kernel's rules.
 *
 * CLAIM    `fn` runs in one thread at a time, and never again once `state` says that it is done. Whoever is told so finds all that
 *          `fn` wrote. It is begun again only for a runner that died before that, or whose `fn` failed. Of those who died
 *          with the word while it was not done each is counted, unless who took the word from him died before he had.
 *          Destroyed, it is never run, and stays so. A child that `fn` forked changes nothing. When nothing moves any more
 *          nobody that lives is asleep (Spin's invalid end states).
 * WHO      NT threads that run it; up to NF times `fn` fails; up to ND deaths, at any step; up to NE waits end by their
 *          deadline. DESTROY: one more thread, which tries that once. FORK: `fn` forks once, and the child returns from it, too.
 * STEPS    shoal_once_run: the look at `state`; shoal_once_run_slow_: acquire, `state`, `deaths`, then run: `runs`, the halves of `fn`,
 *          runner_of, `state`, release. Acquire, release and the kernel are those of lock.pml, step by step.
 * MEMORY   Steps in program order, each seen at once; orders.pml has [A1]-[R1], and [O1]-[O2] as PASS.
 * MUTANTS  M1 who has waited does not look at `state` again   M5 a child of fork is not told from who runs it
 *          M2 it is released before `state` is written        M6 who takes it from the dead leaves it, as it was left
 *          M3 done is said before `fn` is called              M7 one that failed is done
 *          M4 the first look sees that it runs, not that it   M8 a destroyer that takes it from the dead does not count
 *             is done                                         M9 release sets no list_op_pending: a killed one wakes nobody
 *          M10 a destroyer writes without the word
 * ABSTRACT Spinning is looking again. shoal_futex_sleepers, which makes destroy refuse, is a look at who is asleep.
 * RUN: ok
 * RUN: -DND=2 -DNT=2 -DNF=1 ok
 * RUN: -DNT=2 -DDESTROY -DNF=1 ok
 * RUN: -DNT=2 -DFORK -DNE=1 ok
 * RUN: -DND=0 -DM1 error
 * RUN: -DND=0 -DM2 error
 * RUN: -DND=0 -DM3 error
 * RUN: -DND=0 -DM4 error
 * RUN: -DNT=2 -DND=0 -DFORK -DM5 error
 * RUN: -DM6 error
 * RUN: -DND=0 -DNF=1 -DM7 error
 * RUN: -DNT=2 -DDESTROY -DM8 error
 * RUN: -DM9 error
 * RUN: -DND=0 -DNT=2 -DDESTROY -DM10 error
 * LONG: -DND=2 -DNF=1 -DNE=1 ok
 * LONG: -DND=2 -DNF=1 -DDESTROY ok
 */

#ifndef NT
#define NT 3
#endif
#ifndef ND
#define ND 1
#endif
#ifndef NF
#define NF 0
#endif
#ifndef NE
#define NE 0
#endif
#define BIT(t) (1 << (t))
#define SET(mask, t) mask = mask | BIT(t)
#define CLEAR(mask, t) mask = mask & ~BIT(t)
#define HAS(mask, t) ((mask & BIT(t)) != 0)

/* ---- struct shoal_once ---- */
#define FREE 0
byte owner;          /* the word: thread t owns as t + 1 */
bool waiters, died;
#define NEW 0
#define DONE 1
#define DESTROYED 2
byte state, runs, deaths;

/* ---- the kernel ---- */
byte pending, listed, asleep, woken;  /* masks; the former two: list_op_pending and the robust list */
#define WAKE_IF(t) HAS(asleep, t) -> CLEAR(asleep, t); SET(woken, t)
#define WAKE_ONE \
  if             \
  :: WAKE_IF(0)  \
  :: WAKE_IF(1)  \
  :: WAKE_IF(2)  \
  :: WAKE_IF(3)  \
  :: asleep == 0 \
  fi
#define WAKE_ALL woken = woken | asleep; asleep = 0

/* ---- what the claims speak of ---- */
byte killed, ends, fails;
bool forked;
byte inside;       /* mask: who is in `fn` */
byte written;      /* by `fn`: 0, 1 half, 2 all */
bool said_done;    /* by `state` */
byte left_undone;  /* so many died with the word while it was NEW */
byte untold;       /* of those, whose taker died before he had counted */

/* One step, or death instead of it. `true`: an `else` at the head of x would be weighed against the death, too. */
#define STEP(x)                                    \
  if                                               \
  :: atomic { true; x }                            \
  :: atomic { killed < ND -> killed++; goto dead } \
  fi

/* shoal_robust_acquire_; `dirty`: -EOWNERDEAD. A try goes to `no`. */
#define TAKE owner = me + 1
inline acquire(try) {
  STEP(SET(pending, me));
  STEP(if :: owner == FREE && !waiters && !died -> TAKE; goto taken :: else fi);
slow:
  STEP(
    if
    :: owner == FREE -> dirty = died; owes = died && state == NEW; died = false; TAKE; goto taken
    :: owner != FREE && try -> CLEAR(pending, me); goto no
    :: owner != FREE && !try && waiters -> seen = owner
    :: owner != FREE && !try && !waiters -> seen = owner; goto set_waiters
    fi
  );
  goto sleep;
set_waiters:
  STEP(if :: owner == seen && !waiters -> waiters = true :: else -> seen = 0; goto slow fi);
sleep:
  STEP(if :: owner == seen && waiters -> SET(asleep, me); seen = 0 :: else -> seen = 0; goto slow fi);
  if
  :: atomic { HAS(woken, me) -> CLEAR(woken, me) }
  :: atomic { HAS(asleep, me) && ends < NE -> ends++; CLEAR(asleep, me) }
  :: atomic { killed < ND -> killed++; goto dead }
  fi;
  if
  :: owner != FREE && ends < NE -> ends++; STEP(CLEAR(pending, me); goto no)
  :: goto slow
  fi;
taken:
  STEP(SET(listed, me); if :: goto holding :: true fi);
  STEP(CLEAR(pending, me));
holding:
  skip
}
inline release() {
#ifndef M9
  STEP(SET(pending, me));
#endif
  STEP(CLEAR(listed, me));
  STEP(if :: owner == me + 1 && !waiters && !died -> owner = FREE; goto released :: else fi);
  STEP(owner = FREE; waiters = true; died = false);
  STEP(if :: asleep -> WAKE_ONE; goto released :: else fi);
  STEP(waiters = false; WAKE_ALL);
released:
  STEP(CLEAR(pending, me))
}
inline count_deaths() {
  STEP(deaths++; owes = false)  /* nobody else writes it */
}
/* handle_futex_death, of the list and of list_op_pending; out of the queue first */
inline die() {
  atomic {
    CLEAR(asleep, me); CLEAR(woken, me); CLEAR(inside, me); dirty = false; seen = 0;
    if :: owes -> untold++; owes = false :: else fi;
    if
    :: owner == me + 1 && HAS((listed | pending), me) ->
       dirty = waiters; died = true; owner = FREE;
       if :: state == NEW -> left_undone++ :: else fi
    :: owner == FREE && HAS(pending, me) -> dirty = true
    :: else
    fi;
    CLEAR(pending, me); CLEAR(listed, me)
  };
  atomic { if :: dirty -> dirty = false; WAKE_ONE :: else fi }
}
#define TOLD_DONE assert(written == 2 && said_done)

#ifdef FORK
/* What `fn` has forked comes back from it, in a process of its own, with its parent's locals. */
proctype child(byte me) {
#ifdef M5
  state = DONE;
#else
  assert(owner != me + 1)   /* runner_of: -EPERM */
#endif
}
#endif

proctype thread(byte me) {
  byte seen;
  bool dirty, owes;
#ifdef M4
  STEP(if :: state == DONE || owner != FREE -> TOLD_DONE; goto finished :: else fi);
#else
  STEP(if :: state == DONE -> TOLD_DONE; goto finished :: else fi);
#endif
  acquire(false);
#ifdef M6
  if :: dirty -> dirty = false; goto leave :: else fi;
#endif
#ifndef M1
  STEP(if :: state == NEW :: state == DONE -> TOLD_DONE; goto leave :: state == DESTROYED -> goto leave fi);
#endif
  if :: dirty -> count_deaths(); dirty = false :: else fi;
  /* run */
#ifdef M3
  STEP(state = DONE; said_done = true);
#endif
  STEP(runs++);
  STEP(assert(inside == 0 && !said_done && state != DESTROYED); SET(inside, me); written = 1);
#ifdef FORK
  if
  :: atomic { !forked -> forked = true; run child(NT) }
  :: true
  fi;
#endif
  if
  :: STEP(assert(written == 1); written = 2; CLEAR(inside, me))
  :: atomic { fails < NF -> fails++; CLEAR(inside, me);
#ifndef M7
       goto leave
#endif
     }
  fi;
#ifdef M2
  release();
  STEP(state = DONE; said_done = true; TOLD_DONE);
  goto finished;
#else
  STEP(state = DONE; said_done = true; TOLD_DONE);
#endif
leave:
#ifndef M2
  release();
#endif
no:
  goto finished;
dead:
  die();
finished:
  skip
}

#ifdef DESTROY
proctype destroyer(byte me) {
  byte seen;
  bool dirty, owes;
#ifdef M10
  STEP(if :: asleep -> goto no :: else fi);
  STEP(state = DESTROYED);
  goto no;
#endif
  acquire(true);
#ifndef M8
  if
  :: dirty && state == NEW -> count_deaths(); dirty = false
  :: else -> dirty = false
  fi;
#else
  dirty = false; owes = false;
#endif
  STEP(if :: asleep -> goto leave :: else fi);
  STEP(if :: state == DESTROYED -> goto leave :: else -> assert(inside == 0); state = DESTROYED fi);
leave:
  release();
no:
  goto finished;
dead:
  die();
finished:
  skip
}
#endif

init {
  byte i;
  atomic {
    for (i : 0 .. NT - 1) { run thread(i) }
#ifdef DESTROY
    run destroyer(NT);
#endif
    i = 0
  };
  atomic {
    (_nr_pr == 1);
    assert(deaths + untold + (died && state == NEW) == left_undone);
    assert(runs <= 1 + left_undone + fails)
  }
}
