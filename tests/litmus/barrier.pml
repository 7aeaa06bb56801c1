/* barrier.pml: the barrier (sync/barrier.c) at its gate (sync/gate.c), with the kernel's futex and robust-list rules.
 *
 * CLAIM    Nobody goes on before all have arrived or, dropped, died; no turn is passed by one and broken for another; with
 *          -DDROP nobody is told that it is broken. When nothing can move any more, each living party has passed all turns or
 *          was told: nobody sleeps beside a completed turn, a broken one or a dead party. There is no once-a-second look here.
 * WHO      N parties that have joined, T turns. Up to ND of them are killed, at any step. -DABORT: one more, no party, aborts.
 *          -DRESET: it resets instead, and is the only one who is killed; who was told comes again, so all pass all turns.
 *          -DAWAY: the last party comes when nothing else can move; by then a death has been noticed without it.
 * KERNEL   as in wait.pml: futex_wake picks any sleeper. A sleeper queues on {gate, turn, live words}, compared as it queues, and
 *          stays queued on the others while one wakes it; it is told the last word only. A dying thread leaves its queues;
 *          the words it owns are marked, one sleeper of each woken; last, one sleeper of the word list_op_pending tells of.
 * MEMORY   Steps in program order, each seen at once: every word that decides is changed by a full barrier.
 * MUTANTS  M1 who completes does not ring                      M5 an heir rings only after it has freed the place
 *          M2 the turn is not slept on                         M6 a woken one does not look after the dead when it leaves
 *          M3 only those that have not arrived are watched     M7 a dropped party's arrival stays counted (-DDROP)
 *          M4 nobody is watched                                M8 list_op_pending is not set (-DABORT)
 *          M9 who was woken and goes on does not tell those of a later turn (-DABORT)
 *          M10 a reset is a new turn at once (-DRESET)         M11 nobody but its author ends a reset (-DRESET)
 *          M12 a reset rings only when it has been ended (-DRESET)
 *          M5 has no line, and is no bug: an heir that dies before it rings has freed the place, and the wake of who watches the place
 *          is pending or done. While anybody sleeps, one of the sleepers watches it (choose_watched: those up to the next that has
 *          arrived), and who is woken there rings. If that one dies first, it leaves a place of its own that is watched. The code
 *          rings first all the same: then it does not matter who watches.
 * ABSTRACT The spin, which only attempts. Turns do not wrap. The live words of one sleep are queued in one step: a death
 *          marks each of them for itself. No newcomers, actions, deadlines: they change the word as an abort or a drop does.
 * RUN: -DN=3 -DT=1 -DND=2 -DAWAY ok
 * RUN: -DN=3 -DT=1 -DND=2 -DAWAY -DDROP ok
 * RUN: -DN=2 -DT=2 -DND=1 -DABORT ok
 * RUN: -DN=2 -DT=1 -DND=1 -DRESET ok
 * LONG: -DN=2 -DT=2 -DND=1 ok
 * LONG: -DN=2 -DT=2 -DND=1 -DRESET ok
 * LONG: -DN=2 -DT=2 -DND=1 -DDROP ok
 * LONG: -DN=3 -DT=1 -DND=1 ok
 * LONG: -DN=3 -DT=1 -DND=1 -DDROP ok
 * RUN: -DN=2 -DT=1 -DND=0 -DM1 error
 * RUN: -DN=2 -DT=3 -DND=0 -DM2 error
 * RUN: -DN=3 -DT=1 -DND=1 -DAWAY -DM3 error
 * RUN: -DN=2 -DT=1 -DND=1 -DM4 error
 * RUN: -DN=3 -DT=1 -DND=1 -DDROP -DM7 error
 * RUN: -DN=2 -DT=1 -DND=1 -DABORT -DM8 error
 * RUN: -DN=2 -DT=2 -DND=1 -DABORT -DM9 error
 * RUN: -DN=3 -DT=1 -DND=1 -DM6 error
 * RUN: -DN=2 -DT=1 -DND=1 -DRESET -DM10 error
 * RUN: -DN=2 -DT=1 -DND=1 -DRESET -DM11 error
 * RUN: -DN=2 -DT=1 -DND=1 -DRESET -DM12 error */

#ifndef N
#define N 3
#endif
#ifndef T
#define T 1
#endif
#ifndef ND
#define ND 1
#endif

#define BIT(r) (1 << (r))
#define ALL (BIT(N) - 1)
#define SET(mask, r) mask = mask | BIT(r)
#define CLEAR(mask, r) mask = mask & ~BIT(r)
#define HAS(mask, r) ((mask & BIT(r)) != 0)

/* ---- the object ---- */
byte turn = 1, left = N, parties = N;
bool sense, broken, W;
bool resetting;               /* with broken: until it is ended; resets counts them */
byte resets;
byte dropped;                 /* mask: places that are waited for no more */
#define FREE 0
#define OWNED 1
#define DEAD 2
#define HEIR 3                /* + r: a dead one's, adopted by r */
byte live[N] = OWNED;
byte record[N];               /* the turn its party waits in; 0: none */

/* ---- the kernel ---- */
#define OUTSIDER N
byte on_gate, on_live[N];     /* masks of who is queued */
#define GATE 1
#define LIVE 2
byte woke[N];                 /* the last of its words at which it was woken, 0: not */
byte pending[N + 1];          /* 0, GATE, or LIVE + q */
chan sigkill = [0] of { byte };
byte deaths;

/* ---- what is claimed ---- */
byte came[T], killed;
bool passed[T], told[T];

#define IF_QUEUED(queue, r, word) HAS(queue, r) -> CLEAR(queue, r); woke[r] = (woke[r] > word -> woke[r] : word)
inline wake_one(queue, word) {
  if
  :: IF_QUEUED(queue, 0, word)
  :: IF_QUEUED(queue, 1, word)
#if N > 2
  :: IF_QUEUED(queue, 2, word)
#endif
  :: queue == 0
  fi
}
inline wake_all(queue, word) {
  if :: IF_QUEUED(queue, 0, word) :: else fi;
  if :: IF_QUEUED(queue, 1, word) :: else fi;
#if N > 2
  if :: IF_QUEUED(queue, 2, word) :: else fi;
#endif
}
#define UNQUEUE(r) CLEAR(on_gate, r); CLEAR(on_live[0], r); CLEAR(on_live[1], r); CLEAR(on_live[N - 1], r); woke[r] = 0

inline ring() {
  if
  :: W -> atomic { W = 0; wake_all(on_gate, GATE) }
  :: !W
  fi
}

#define NEXT_TURN turn++; left = parties
#if N > 2
#define AWAITED (N - HAS(dropped, 0) - HAS(dropped, 1) - HAS(dropped, 2))
#else
#define AWAITED (N - HAS(dropped, 0) - HAS(dropped, 1))
#endif

/* recover() and what surrounds it, of one dead place `q`; its word was taken by the adoption. */
inline reap(r) {
  reaped = 0;
  q = 0;
  do
  :: atomic { q == N -> q = 0; break }
  :: atomic { q < N && live[q] != DEAD -> q++ }
  :: atomic { q < N && live[q] == DEAD -> live[q] = HEIR + r; reaped = 1 }
#ifdef DROP
     atomic {
       SET(dropped, q);
       parties = AWAITED;
#ifdef M7
       left = (left > 1 -> left - 1 : 1); turn++
#else
       NEXT_TURN
#endif
     }
#else
     atomic { if :: !broken -> broken = 1; turn++ :: else fi }
#endif
#ifndef M5
     ring();
#endif
     atomic { record[q] = 0; pending[r] = LIVE + q; live[q] = FREE };
     atomic { wake_all(on_live[q], LIVE); pending[r] = GATE };
#ifdef M5
     ring();
#endif
     atomic { q++ }
  od
}

/* The places behind `r`, up to and with the next that has arrived, and those in the hands of an heir. */
inline choose_watched(r) {
  watched = 0; beyond = 0; dead = 0; i = 1;
  do
  :: i < N ->
     p = (r + i) % N;
     if
     :: live[p] == DEAD -> dead = 1
     :: live[p] >= HEIR -> SET(watched, p)
#ifndef M4
     :: live[p] < DEAD && !beyond && (live[p] == OWNED || !HAS(dropped, p)) ->
#ifdef M3
        if :: record[p] != at -> SET(watched, p) :: else fi
#else
        SET(watched, p)
#endif
#endif
     :: else
     fi;
     if :: record[p] == at -> beyond = 1 :: else fi;
     seen[p] = live[p];
     i++
  :: else -> break
  od;
  p = 0; i = 0; beyond = 0
}
#define CHANGED(p) (HAS(watched, p) && live[p] != seen[p])
#if N > 2
#define ANY_CHANGED (CHANGED(0) || CHANGED(1) || CHANGED(2))
#else
#define ANY_CHANGED (CHANGED(0) || CHANGED(1))
#endif
#define QUEUE(p, r) if :: HAS(watched, p) -> SET(on_live[p], r) :: else fi

#define YES 1
#define NO 2
#define MISSING(t) (ALL & ~came[t] & ~killed)

/* end_reset: all are told, then the next turn begins */
inline end_reset() {
  ring();
  atomic { if :: resetting -> resetting = 0; broken = 0; resets++; NEXT_TURN :: else fi }
}
inline forget_those_who_came() {
  p = 0;
  do :: p < T -> if :: came[p] != ALL -> came[p] = 0 :: else fi; p++ :: else -> break od;
  p = 0
}
inline begin_reset() {
#ifdef M10
  atomic { forget_those_who_came(); resets++; NEXT_TURN };
  ring()
#else
  atomic { if :: !resetting -> forget_those_who_came(); broken = 1; resetting = 1; turn++ :: else fi };
#ifdef M12
  atomic { if :: resetting -> resetting = 0; broken = 0; resets++; NEXT_TURN :: else fi };
  ring()
#else
  end_reset()
#endif
#endif
}

/* what is decided by the compare-and-set of an arrival */
inline come(r) {
  if
  :: broken -> assert(!resetting); answer = NO
  :: !broken && left > 1 -> left--; at = turn; at_sense = sense; at_resets = resets; SET(came[t], r); record[r] = turn
  :: !broken && left <= 1 -> SET(came[t], r); sense = !sense; NEXT_TURN; answer = YES
  fi
}
/* 0: the turn goes on; YES it was passed, NO told. An arrival that completes rings afterwards. */
inline arrive(r) {
#if defined(RESET) && !defined(M11)
  do
  :: resetting -> end_reset()
  :: atomic { !resetting -> come(r); break }
  od;
#else
  atomic { come(r) };
#endif
#ifndef M1
  if
  :: answer == YES -> ring()
  :: else
  fi
#endif
}
inline attempt(r) {
  if
  :: atomic { turn == at }
  :: atomic { turn != at && sense != at_sense -> answer = YES }
  :: atomic { turn != at && sense == at_sense && (broken || resets != at_resets) -> answer = NO }
#ifdef DROP
  :: atomic { turn != at && sense == at_sense && !broken && resets == at_resets } arrive(r)
#endif
  fi
}

inline sleep(r) {
  slept = 1;  /* also if it is woken while it queues, and then finds that a word has changed */
  if
  :: atomic { !W -> goto looked }
  :: atomic { W -> SET(on_gate, r) }
  fi;
#ifndef M2
  if
  :: atomic { turn != at -> UNQUEUE(r); goto looked }
  :: atomic { turn == at }
  fi;
#endif
  if
  :: atomic { ANY_CHANGED -> UNQUEUE(r); goto looked }
  :: atomic { !ANY_CHANGED -> QUEUE(0, r); QUEUE(1, r);
#if N > 2
       QUEUE(2, r);
#endif
     }
  fi;
  atomic { woke[r] != 0 -> by = woke[r]; UNQUEUE(r) };
  if
  :: by == LIVE -> ring()
  :: else
  fi
}

inline die(r) {
  atomic {
    SET(killed, r);
    if :: r < N -> UNQUEUE(r) :: else fi;
    q = 0;
    do
    :: q < N ->
       if
       :: (q == r && live[q] == OWNED) || live[q] == HEIR + r -> live[q] = DEAD; wake_one(on_live[q], LIVE)
       :: else
       fi;
       q++
    :: else -> break
    od;
    if
    :: pending[r] == GATE -> wake_one(on_gate, GATE)
    :: pending[r] >= LIVE && live[pending[r] - LIVE] != OWNED -> wake_one(on_live[pending[r] - LIVE], LIVE)
    :: else
    fi;
    pending[r] = 0; q = 0; p = 0; i = 0
  }
}

proctype Party(byte r) {
  byte at, at_resets, t, q, p, i, watched, seen[N], by, answer;
  bool at_sense, slept, reaped, beyond, dead;
  {
#ifdef AWAY
    if
    :: r == N - 1 -> timeout; assert(broken || dropped || (killed | BIT(r)) == ALL)
    :: else
    fi;
#endif
    do
    :: t < T ->
       pending[r] = GATE;
       arrive(r);
       do
       :: answer == 0 ->
          W = 1;
          attempt(r);
          if
          :: answer != 0 -> goto looked
          :: else
          fi;
          reap(r);
          if
          :: reaped -> goto looked
          :: else
          fi;
          atomic { choose_watched(r) };
          if
          :: dead -> goto looked
          :: else
          fi;
          sleep(r);
looked:   atomic { watched = 0; dead = 0; reaped = 0; by = 0; seen[0] = 0; seen[1] = 0; seen[N - 1] = 0 }
       :: else -> break
       od;
#ifndef M6
       if
       :: slept -> reap(r)
       :: else
       fi;
#endif
#ifndef M9
       if
       :: slept && answer == YES && turn != at + 1 -> ring()
       :: else
       fi;
#endif
       if
       :: slept && answer == NO && W -> atomic { wake_one(on_gate, GATE) }
       :: else
       fi;
       atomic {
         record[r] = 0;
         pending[r] = 0;
         if
         :: answer == YES ->
            passed[t] = 1;
            assert(MISSING(t) == 0);
#ifndef DROP
            assert(came[t] == ALL);
#endif
            t++
         :: else ->
#ifdef DROP
            assert(0);
#endif
#ifndef RESET
            told[t] = 1;
            assert(!passed[t]);
            break
#endif
         fi;
         assert(!(t > 0 && passed[t - 1] && told[t - 1]));
         answer = 0; slept = 0; reaped = 0; at = 0; at_sense = 0; at_resets = 0
       }
    :: else -> break
    od
  } unless {
    sigkill ? eval(r) -> die(r)
  }
}

#if defined(ABORT) || defined(RESET)
proctype Outsider() {
  byte q, p, i;
  {
#ifndef M8
    pending[OUTSIDER] = GATE;
#endif
#ifdef RESET
    begin_reset();
#else
    atomic { if :: !broken -> broken = 1; turn++ :: else fi };
    ring();
#endif
    pending[OUTSIDER] = 0
  } unless {
    sigkill ? eval(OUTSIDER) -> die(OUTSIDER)
  }
}
#endif

active proctype Killer() {
  do
  :: deaths < ND ->
end: if
#ifndef RESET
     :: atomic { sigkill ! 0; deaths++ }
     :: atomic { sigkill ! 1; deaths++ }
#if N > 2
     :: atomic { sigkill ! 2; deaths++ }
#endif
#endif
#if defined(ABORT) || defined(RESET)
     :: atomic { sigkill ! OUTSIDER; deaths++ }
#endif
     fi
  :: else -> break
  od
}

init {
  atomic {
    run Party(0);
    run Party(1);
#if N > 2
    run Party(2);
#endif
#if defined(ABORT) || defined(RESET)
    run Outsider()
#endif
  }
}
