/* lock.pml: the robust word (core/robust.h, robust.c) and the lock upon it (sync/lock.c), under the kernel's rules.
 *
 * CLAIM    One thread at a time is inside. Whoever comes in with 0 finds what the lock guards whole; half-written by a
 *          dead holder, it comes with -EOWNERDEAD, until somebody has said `consistent`; given up, with
 *          -ENOTRECOVERABLE, to all. When nothing moves any more nobody that lives is asleep (Spin's invalid end
 *          states). No timer looks again.
 * WHO      NT threads that take the lock NK times each; up to ND deaths, at any step; up to NE waits end by their
 *          deadline. -DGIVE_UP: who got -EOWNERDEAD may release without `consistent`.
 * KERNEL   futex_wait compares and sleeps in one step; a wake picks any sleeper; FUTEX_WAKE_OP is one step. A dying
 *          thread's list is walked, then list_op_pending: a word it owns is marked, and, a step later, one sleeper
 *          woken if WAITERS was set; a pending word without an owner has one sleeper woken.
 * MEMORY   Steps in program order, each seen at once; orders.pml has [A1]-[R1].
 * MUTANTS  M1 release stores 0, as glibc's does      M5 no sleeper: WAITERS is cleared, and nobody is woken
 *          M2 acquire sets no list_op_pending        M6 the kernel wakes at a pending word only if it is 0 (< 5.16)
 *          M3 release sets none                      M7 list_op_pending is restored before the word is enlisted
 *          M4 a taker drops WAITERS                  M8 a taker from the dead does not say so in `state`
 *          M9 the wake comes before the store
 * ABSTRACT Spinning is looking again. Setting list_op_pending, and the list's links, are one step each. While the word
 *          is held list_op_pending stays at it, or is given back to an operation around it: either may happen.
 * RUN: -DND=1 ok
 * RUN: -DND=2 ok
 * RUN: -DND=1 -DM1 error
 * RUN: -DND=1 -DM2 error
 * RUN: -DND=1 -DM3 error
 * RUN: -DND=1 -DM4 error
 * RUN: -DND=0 -DM5 error
 * RUN: -DND=1 -DM6 error
 * RUN: -DND=1 -DM7 error
 * RUN: -DND=1 -DGIVE_UP -DM8 error
 * RUN: -DND=0 -DM9 error
 * LONG: -DND=2 -DNE=2 -DGIVE_UP ok
 * LONG: -DND=2 -DNT=4 -DNK=1 ok */

#ifndef NT
#define NT 3
#endif
#ifndef NK
#define NK 2
#endif
#ifndef ND
#define ND 1
#endif
#ifndef NE
#define NE 0
#endif
#define BIT(t) (1 << (t))
#define SET(mask, t) mask = mask | BIT(t)
#define CLEAR(mask, t) mask = mask & ~BIT(t)
#define HAS(mask, t) ((mask & BIT(t)) != 0)

/* ---- the lock ---- */
#define FREE 0
byte owner;          /* the word: thread t owns as t + 1 */
bool waiters, died;
#define CONSISTENT 0
#define INCONSISTENT 1
#define NOTRECOVERABLE 2
byte state;

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
byte deaths, ends;
byte inside;  /* mask */
bool torn;    /* what the lock guards is half-written */

/* One step, or death instead of it. `true`: an `else` at the head of x would be weighed against the death, too. */
#define STEP(x)                                    \
  if                                               \
  :: atomic { true; x }                            \
  :: atomic { deaths < ND -> deaths++; goto dead } \
  fi
#define TAKE owner = me + 1; SET(inside, me); assert(inside == BIT(me))
#define LEAVE CLEAR(inside, me)

proctype thread(byte me) {
  byte done, seen;
  bool dirty;
acquire:
  if
  :: done == NK -> goto finished
  :: done < NK -> done++
  fi;
#ifndef M2
  STEP(SET(pending, me));
#endif
  STEP(if :: owner == FREE && !waiters && !died -> TAKE; goto taken :: else fi);
slow:
  STEP(
    if
    :: owner == FREE ->
       dirty = died; died = false;
#ifdef M4
       waiters = false;
#endif
       TAKE;
       goto taken
    :: owner != FREE && waiters -> seen = owner
    :: owner != FREE && !waiters -> seen = owner; goto set_waiters
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
  :: atomic { deaths < ND -> deaths++; goto dead }
  fi;
  if
  :: owner != FREE && ends < NE -> ends++; STEP(CLEAR(pending, me); goto acquire)
  :: goto slow
  fi;
taken:
#ifdef M7
  STEP(CLEAR(pending, me));
#endif
  STEP(SET(listed, me); if :: goto holding :: true fi);
  STEP(CLEAR(pending, me));
holding:
  if
  :: state == NOTRECOVERABLE -> dirty = false; goto release
  :: !dirty && state == CONSISTENT -> assert(!torn)
  :: else ->
#ifndef M8
     STEP(state = INCONSISTENT);
#endif
     if
     :: STEP(torn = false); STEP(state = CONSISTENT)
#ifdef GIVE_UP
     :: STEP(if :: state == INCONSISTENT -> state = NOTRECOVERABLE :: else fi); goto release
#endif
     fi;
  fi;
  dirty = false;
  STEP(torn = true);
  STEP(torn = false);
release:
#ifndef M3
  STEP(SET(pending, me));
#endif
  STEP(CLEAR(listed, me));
  STEP(if :: owner == me + 1 && !waiters && !died -> LEAVE; owner = FREE; goto released :: else fi);
#ifdef M1
  STEP(LEAVE; owner = FREE; waiters = false);
  STEP(WAKE_ONE);
#elif defined(M9)
  STEP(WAKE_ONE);
  STEP(LEAVE; owner = FREE; waiters = true; died = false);
#else
  STEP(LEAVE; owner = FREE; waiters = true; died = false);
  STEP(if :: asleep -> WAKE_ONE; goto released :: else fi);
#ifdef M5
  STEP(waiters = false);
#else
  STEP(waiters = false; WAKE_ALL);
#endif
#endif
released:
  STEP(CLEAR(pending, me); goto acquire);
dead:  /* handle_futex_death, of the list and of list_op_pending; out of the queue first */
  atomic {
    LEAVE; CLEAR(asleep, me); CLEAR(woken, me); dirty = false; seen = 0;
    if
    :: owner == me + 1 && HAS((listed | pending), me) -> dirty = waiters; died = true; owner = FREE
    :: owner == FREE && HAS(pending, me) ->
#ifdef M6
       dirty = !waiters && !died
#else
       dirty = true
#endif
    :: else
    fi;
    CLEAR(pending, me); CLEAR(listed, me)
  };
  atomic { if :: dirty -> dirty = false; WAKE_ONE :: else fi };
finished:
  done = NK
}

init {
  byte i;
  atomic { for (i : 0 .. NT - 1) { run thread(i) } i = 0 }
}
