/* event.pml: an event: set, clear, and those who wait for it (sync/event.h, sync/event.c, sync/gate.c), with the
 * kernel's futex and robust-list rules.
 *
 * CLAIM    When nothing can move any more, nobody who lives sleeps beside a set event, nor beside one that was set
 *          after he began (shoal_event_begin_), also if it was cleared at once; all others are through. There is no
 *          timer here: the once-a-second look of the code does not exist. A wait answers 0 only if it sees it set, or
 *          it was set after it began. [E3]-[E4]: what is written before a set that takes effect before a clear does is
 *          seen by what is read after that clear; so a reader who alone clears and sleeps for good has read all that
 *          finished sets told of.
 * WHO      NS setters, who write a bit and set, NK times each; NW waiters, who wait once; NR readers, who clear, read,
 *          and wait, until they have read all; NC clearers, once each. Up to ND deaths, at any step; up to NE waits
 *          end by their deadline. -DREFUSED: made where there is no membarrier.
 * STEPS    set_: shoal_event_set, its load; set: the add of 0, each compare-and-set, the ring. clear_: clear: each
 *          load, ring and compare-and-set, the look at `fenced`, shoal_fence_all, `fenced`. wait_: shoal_event_wait,
 *          its load; begin; a look (shoal_gate_wait_); arm, look, the deadline, the gate queued and compared, then the
 *          count (shoal_gate_sleep_, and the kernel); the baton of who gives up; shoal_event_end_. list_op_pending is
 *          set with the step that follows.
 * EFFECT   Of a set: its compare-and-set, or the look that finds it set; of a clear: that, or the look that finds it
 *          cleared.
 * KERNEL   FUTEX_WAKE_OP, the ring, is one step. A thread that dies leaves its queue; then, if its list_op_pending is
 *          at the gate, whose owner part is 0, one sleeper is woken.
 * MEMORY   x86-TSO where it matters: what a setter writes before it sets stays in its store buffer, of one entry,
 *          until it drains, by itself, by a read-modify-write of its thread, a membarrier, or death. A membarrier
 *          drains one after the other.
 * MUTANTS  M1 a sleeper sleeps at the gate alone                M10 set takes W away by its compare-and-set
 *          M2 the count is compared before the gate is          M11 clear passes no barrier
 *          M3 and with what it is by then, not when looked at   M12 `fenced` is said before the barrier
 *          M4 a set is not counted                              M13 who finds it cleared by another passes no barrier
 *          M5 set's list_op_pending is not at the gate          M14 set's first load does not look at CLEARED
 *          M6 nor is a waiter's                                 M15 a set that finds it set is a load, always
 *          M7 who goes on rings nobody                          M16 the barrier is passed before the compare-and-set
 *          M8 clear leaves sleepers behind                      M17 two steps set it: the flag, then the count
 *          M9 the ring wakes, then clears W                     M18 CLEARED is not left out of the count
 * ABSTRACT The spin is another look. Signals, a count that comes round, destroy, and a wait for several at once are
 *          not here. Only setters have a store buffer, and only what they write before a set is in it.
 * RUN: -DNW=2 -DNC=1 ok
 * RUN: -DNW=2 -DND=2 ok
 * RUN: -DNW=1 -DNC=1 -DND=2 -DNE=1 ok
 * RUN: -DNW=2 -DNE=1 ok
 * RUN: -DNR=1 -DNK=2 -DND=2 ok
 * RUN: -DNR=1 -DNK=2 -DREFUSED -DND=1 ok
 * RUN: -DNR=1 -DNS=2 -DND=1 ok
 * RUN: -DNR=1 -DNC=1 -DNK=2 ok
 * RUN: -DNW=2 -DNC=1 -DM1 error
 * RUN: -DNW=2 -DNC=1 -DM2 error
 * RUN: -DNW=2 -DNC=1 -DM3 error
 * RUN: -DNW=1 -DNC=1 -DM4 error
 * RUN: -DNW=1 -DND=1 -DM5 error
 * RUN: -DNW=2 -DND=2 -DM6 error
 * RUN: -DNW=2 -DND=1 -DM7 error
 * RUN: -DNW=2 -DNC=1 -DND=1 -DM8 error
 * RUN: -DNR=1 -DNK=2 -DM9 error
 * RUN: -DNW=2 -DNC=1 -DND=1 -DM10 error
 * RUN: -DNR=1 -DNK=2 -DM11 error
 * RUN: -DNR=1 -DNC=1 -DNK=2 -DM12 error
 * RUN: -DNR=1 -DNC=1 -DNK=2 -DM13 error
 * RUN: -DNR=1 -DNK=3 -DM14 error
 * RUN: -DNR=1 -DNK=2 -DREFUSED -DM15 error
 * RUN: -DNR=1 -DNK=2 -DM16 error
 * RUN: -DNW=1 -DNC=1 -DM17 error
 * RUN: -DNW=1 -DNC=1 -DM18 error
 * LONG: -DNW=2 -DNC=1 -DND=1 ok
 * LONG: -DNW=1 -DNR=1 -DNK=2 -DND=1 ok
 * LONG: -DNW=1 -DNR=1 -DNK=2 -DNE=1 ok
 * LONG: -DNR=2 -DNK=2 ok
 * LONG: -DNR=1 -DNK=2 -DNS=2 -DND=1 ok
 */

#ifndef NS
#define NS 1
#endif
#ifndef NK
#define NK 1
#endif
#ifndef NW
#define NW 0
#endif
#ifndef NR
#define NR 0
#endif
#ifndef NC
#define NC 0
#endif
#ifndef ND
#define ND 0
#endif
#ifndef NE
#define NE 0
#endif
/* threads: the setters, then the waiters, the readers, the clearers */
#define READER (NS + NW)
#define CLEARER (NS + NW + NR)
#define NT (NS + NW + NR + NC)

#define BIT(t) (1 << (t))
#define ENTER(mask, t) mask = mask | BIT(t)
#define LEAVE(mask, t) mask = mask & ~BIT(t)
#define HAS(mask, t) ((mask & BIT(t)) != 0)

/* ---- struct shoal_event ---- */
#define SET 1
#define W 2
#define CLEARED 4
#define ONE 8
#ifdef REFUSED
byte word = CLEARED;
bool fenced = true;
#else
byte word;
bool fenced;
#endif
#define GATE(w) ((w) % 4)  /* half[0] */
#define UPPER(w) ((w) / 4) /* half[1] */
#ifdef M18
#define SETS(w) UPPER(w)
#else
#define SETS(w) ((w) / 8)  /* upper(w & ~CLEARED) */
#endif

/* ---- what setters write: a bit for each set; of a setter 1 + the bit that is in its store buffer, 0: empty ---- */
byte x, buffer[NS];
#define ALL (BIT(NS * NK) - 1)
#define MINE(k) (me * NK + (k))
#define DRAIN(s) if :: buffer[s] -> ENTER(x, buffer[s] - 1); buffer[s] = 0 :: else fi

/* ---- the kernel: masks ---- */
byte pending, asleep, woken;  /* list_op_pending is at the gate */
#define WAKE_IF(t) HAS(asleep, t) -> LEAVE(asleep, t); ENTER(woken, t)
#define WAKE_ONE \
  if             \
  :: WAKE_IF(1)  \
  :: WAKE_IF(2)  \
  :: WAKE_IF(3)  \
  :: WAKE_IF(4)  \
  :: asleep == 0 \
  fi
#define WAKE_ALL woken = woken | asleep; asleep = 0

/* ---- what the claims speak of ---- */
byte killed, ends, through, dead;
byte sets_made, at_begin[NT];  /* at_begin: sets_made when the wait began */
byte effective, has_read[NT];  /* bits of x: whose sets have taken effect; by reader */
#define WAS_SET(t) (sets_made != at_begin[t])

/* One step, or death instead of it. `true`: an `else` at the head of a would be weighed against the death, too. */
#define STEP(a)                                       \
  if                                                  \
  :: atomic { true; a }                               \
  :: atomic { killed < ND -> killed++; goto killed_ } \
  fi

#ifdef M9
#define RING STEP(WAKE_ALL); STEP(word = word & ~W)
#else
#define RING STEP(word = word & ~W; WAKE_ALL)
#endif

/* ---- set ---- */
#if defined(M4)
#define SET_TO (word | SET)
#elif defined(M10)
#define SET_TO (((word | SET) & ~W) + ONE)
#elif defined(M17)
#define SET_TO (word | SET)
#else
#define SET_TO ((word | SET) + ONE)
#endif
#ifdef M17
#define THEN goto count
#else
#define THEN goto is_set
#endif
#ifdef M14
#define MATTERS (SET | W)
#else
#define MATTERS (CLEARED | SET | W)
#endif
#ifdef M5
#define AT_GATE skip
#else
#define AT_GATE ENTER(pending, me)
#endif
#ifdef M15
#define ADD_0 seen = word
#else
#define ADD_0 DRAIN(me); seen = word
#endif
#if NR > 0
#define EFFECT ENTER(effective, MINE(round))
#else
#define EFFECT skip
#endif
#define IF_SET if :: seen & SET -> EFFECT; goto is_set :: else fi
inline set_() {
  STEP(if :: (word & MATTERS) == SET -> EFFECT; goto set_already :: else fi);
  STEP(AT_GATE; ADD_0; IF_SET);
again:
  STEP(if :: word == seen -> DRAIN(me); word = SET_TO; EFFECT; sets_made++; THEN :: else -> seen = word; IF_SET fi);
  goto again;
#ifdef M17
count:
  STEP(word = word + ONE);
#endif
is_set:
  if
  :: seen & W -> RING
  :: else
  fi;
  STEP(LEAVE(pending, me));
set_already:
  seen = 0
}

/* ---- clear ---- */
#if NR > 0
#define DUE due = effective
#else
#define DUE skip
#endif
#ifdef M8
#define SLEEPERS false
#else
#define SLEEPERS (seen & W)
#endif
#ifdef M13
#define CLEARED_BY_ANOTHER goto cleared
#else
#define CLEARED_BY_ANOTHER if :: seen & CLEARED -> goto look :: else -> goto cleared fi
#endif
#define LOOK_AT_IT seen = word; if :: seen & SET -> skip :: else -> DUE; CLEARED_BY_ANOTHER fi
inline barrier_() {
  STEP(DRAIN(0));
#if NS > 1
  STEP(DRAIN(1))
#endif
}
inline clear_() {
#ifdef M16
  if
  :: !fenced && (word & SET) -> barrier_(); STEP(fenced = true)
  :: else
  fi;
#endif
  STEP(ENTER(pending, me); LOOK_AT_IT);
again:
  if
  :: SLEEPERS ->
     RING;
     STEP(LOOK_AT_IT);
     goto again
  :: else
  fi;
  STEP(if :: word == seen -> word = (word & ~SET) | CLEARED; DUE; goto look :: else -> LOOK_AT_IT fi);
  goto again;
look:
  STEP(seen = 0; if :: fenced -> goto cleared :: else fi);
#ifdef M12
  STEP(fenced = true);
#endif
#ifndef M11
  barrier_();
#endif
#ifndef M12
  STEP(fenced = true);
#endif
cleared:
  STEP(LEAVE(pending, me); seen = 0)
}

/* ---- wait ---- */
#ifdef M6
#define WAITS_AT_GATE skip
#else
#define WAITS_AT_GATE ENTER(pending, me)
#endif
#define LOOK                                                                                                    \
  seen = word;                                                                                                  \
  if                                                                                                            \
  :: (seen & SET) || SETS(seen) != sets -> assert((seen & SET) || WAS_SET(me)); goto go_on                       \
  :: else                                                                                                       \
  fi
#define IF_LATE                                             \
  if                                                        \
  :: late -> goto gives_up                                  \
  :: !late && ends < NE -> ends++; late = true; goto gives_up \
  :: !late -> slept = true                                  \
  fi
inline wait_() {
  STEP(if :: word & SET -> goto answered :: else fi);
  STEP(sets = SETS(word); at_begin[me] = sets_made; WAITS_AT_GATE);
  STEP(LOOK);
arm:
  STEP(gate = GATE(word | W); word = word | W);
  STEP(LOOK; IF_LATE);
#ifdef M2
  STEP(if :: UPPER(word) != UPPER(seen) -> goto arm :: else fi);
#endif
  STEP(if :: GATE(word) == gate -> ENTER(asleep, me) :: else -> goto arm fi);
#ifdef M3
  seen = word;
#endif
#if !defined(M1) && !defined(M2)
  STEP(if :: UPPER(word) != UPPER(seen) -> LEAVE(asleep, me); LEAVE(woken, me); goto arm :: else fi);
#endif
end_asleep:
  if
  :: atomic { HAS(woken, me) -> LEAVE(woken, me) }
  :: atomic { HAS(asleep, me) && ends < NE -> ends++; late = true; LEAVE(asleep, me) }
  :: atomic { killed < ND -> killed++; goto killed_ }
  fi;
  goto arm;
gives_up:
  STEP(if :: slept && (word & W) :: else -> goto leave fi);
  STEP(if :: asleep -> WAKE_ONE; goto leave :: else fi);
  RING;
  goto leave;
go_on:
#ifndef M7
  STEP(if :: (seen & SET) && (word & W) :: else -> goto leave fi);
  RING;
#endif
leave:
  STEP(LEAVE(pending, me); at_begin[me] = 0; seen = 0; sets = 0; gate = 0; slept = false);
answered:
  skip
}

/* out of the queue first */
inline die() {
  atomic {
    LEAVE(asleep, me); LEAVE(woken, me); ENTER(dead, me); seen = 0; at_begin[me] = 0;
    if :: me < NS -> DRAIN(me) :: else fi
  };
  atomic { if :: HAS(pending, me) -> LEAVE(pending, me); WAKE_ONE :: else fi }
}

proctype setter(byte me) {
  byte round, seen;
next:
#if NR > 0
  STEP(DRAIN(me); buffer[me] = 1 + MINE(round));
#endif
  set_();
  atomic { round++; if :: round < NK -> goto next :: else fi; ENTER(through, me); goto end };
killed_:
  die();
end:
  skip
}

proctype waiter(byte me) {
  byte seen, sets, gate;
  bool slept, late;
  wait_();
  atomic { ENTER(through, me); late = false; goto end };
killed_:
  die();
end:
  skip
}

proctype reader(byte me) {
  byte seen, sets, gate, due;
  bool slept, late;
next:
  clear_();
  STEP(has_read[me] = x; assert((due & ~x) == 0); due = 0; if :: x == ALL -> goto has_all :: else fi);
  wait_();
  if
  :: !late -> goto next
  :: late
  fi;
has_all:
  atomic { ENTER(through, me); goto end };
killed_:
  die();
end:
  skip
}

proctype clearer(byte me) {
  byte seen, due;
  clear_();
  atomic { ENTER(through, me); due = 0; goto end };
killed_:
  die();
end:
  skip
}

/* store buffers drain when they like */
proctype processors() {
end_empty:
  do
  :: atomic { buffer[0] != 0 -> DRAIN(0) }
  :: atomic { buffer[NS - 1] != 0 -> DRAIN(NS - 1) }
  od
}

init {
  byte t;
  atomic {
    do :: break :: killed < ND -> killed++ od;                     /* so many do not happen */
    do :: break :: ends < NE -> ends++ od;
    do :: t < NS -> run setter(t); t++ :: else -> break od;
    do :: t < READER -> run waiter(t); t++ :: else -> break od;
    do :: t < CLEARER -> run reader(t); t++ :: else -> break od;
    do :: t < NT -> run clearer(t); t++ :: else -> t = 0; break od;
    run processors()
  };
  timeout -> d_step {
    do
    :: t < NT ->
       if
       :: HAS((through | dead), t)
       :: else ->
          assert(t >= NS && t < CLEARER && !(word & SET) && !WAS_SET(t));
          if
          :: t >= READER && NR + NC == 1 ->
             assert(!HAS(through, 0) || (has_read[t] & (BIT(NK) - 1)) == BIT(NK) - 1);
             assert(NS == 1 || !HAS(through, 1) || has_read[t] / BIT(NK) == BIT(NK) - 1)
          :: else
          fi
       fi;
       t++
    :: else -> break
    od
  }
}
