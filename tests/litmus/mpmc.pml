/* mpmc.pml: the ring of many producers and many consumers (ipc/queue/mpmc.h, mpmc.c), any of whom is killed anywhere.
 *
 * CLAIM    Every message that was published is received (committed) once, or lies with those who all have gone: none
 *          is lost, none doubled, none read before it is written or after it is written over. Messages of one producer
 *          are claimed in order, but for strays. When nothing moves any more and a consumer lives, all slots are EMPTY
 *          and no producer waits for room: no claim of the dead is left over. All that without head and tail being
 *          more than hints.
 * WHO      NP producers of NM messages, NC consumers, N slots; up to ND deaths, at any step. Each receives in two
 *          phases: it claims, reads, and then commits, or (NB times in all) gives the message back: a stray. A dead
 *          thread's successor takes the same role once that is free, or there is none. A reservation may be cancelled
 *          (NX times). -DDROP: a dead consumer's message is dropped.
 * WAITING  Who finds nothing looks again once something was published, freed, skipped or told of since it began to
 *          look, and meanwhile reaps the dead: what sync/eventcount.c does, as wait.pml shows. Head and tail, which
 *          are no more than hints, wake nobody.
 * MEMORY   Steps in program order, each seen at once; orders.pml has the orders. A compare-and-set is one step with
 *          the load before it: if it succeeds the word has not changed (no control word comes twice), if it fails the
 *          loop goes round.
 * MUTANTS  M1 the strays word has no sequence           M7 a hole is EMPTY in its own lap again
 *          M2 a hole is skipped by a plain store        M8 a message given back is FULL again, and no stray
 *          M3 recover does not tell of strays           M9 published before the payload is written
 *          M4 tells before the slot is a stray          M10 committed before the payload is read
 *          M5 any survivor empties a dead role          M11 past a hole it walks a lap too far
 *          M6 a role is free before it is emptied       M12 a living producer's claim is skipped
 * ABSTRACT Laps do not wrap. The count of deaths in a control word, and the counters, are left out.
 * RUN: -DND=1 -DNP=1 -DNM=3 ok
 * RUN: -DND=1 -DNP=1 -DNM=3 -DDROP ok
 * RUN: -DND=1 -DNC=1 -DNM=2 ok
 * RUN: -DND=1 -DNP=1 -DNM=2 -DNB=1 ok
 * RUN: -DND=2 -DNP=1 ok
 * RUN: -DND=1 -DNC=1 -DNP=1 -DNM=4 -DNX=2 ok
 * RUN: -DND=1 -DNP=1 -DNM=2 -DNB=1 -DM1 error
 * RUN: -DND=1 -DNC=1 -DNM=2 -DM2 error
 * RUN: -DND=1 -DNP=1 -DM3 error
 * RUN: -DND=1 -DNP=1 -DM4 error
 * RUN: -DND=1 -DNP=1 -DNM=3 -DM5 error
 * RUN: -DND=1 -DNP=1 -DNM=3 -DM6 error
 * RUN: -DND=1 -DNP=1 -DNM=3 -DM7 error
 * RUN: -DND=0 -DNP=1 -DNM=3 -DNB=1 -DM8 error
 * RUN: -DND=0 -DNP=1 -DM9 error
 * RUN: -DND=0 -DNP=1 -DNM=3 -DM10 error
 * RUN: -DND=0 -DNC=1 -DNP=1 -DNM=4 -DNX=2 -DM11 error
 * RUN: -DND=0 -DNP=1 -DNM=3 -DM12 error
 * LONG: -DND=1 ok
 * LONG: -DND=1 -DNB=1 ok
 * LONG: -DND=1 -DNC=1 -DNM=2 -DNX=1 ok
 * LONG: -DND=2 -DNP=1 -DNM=3 ok
 * LONG: -DND=2 -DNP=1 -DNM=2 -DNB=1 ok
 * LONG: -DND=2 -DNC=1 -DNM=2 ok
 * LONG: -DND=2 ok */

#ifndef N
#define N 2
#endif
#ifndef NP
#define NP 2
#endif
#ifndef NC
#define NC 2
#endif
#ifndef NM
#define NM 1
#endif
#ifndef ND
#define ND 1
#endif
#ifndef NB
#define NB 0
#endif
#ifndef NX
#define NX 0
#endif
#define NR (NP + NC)  /* roles 0 .. NP-1 produce */
#define NALL (NP * NM)

#define BIT(r) (1 << (r))
#define SET(mask, r) mask = mask | BIT(r)
#define CLEAR(mask, r) mask = mask & ~BIT(r)
#define HAS(mask, r) ((mask & BIT(r)) != 0)

/* ---- the segment ---- */
#define EMPTY 0
#define WRITING 1
#define FULL 2
#define READING 3
#define NOBODY 0
byte lap[N], state[N], owner[N];  /* control words; role r owns as r + 1. READING and NOBODY's: a stray */
#define TORN 255
byte payload[N];
byte head, tail;
bool strays;
byte strays_seen;                 /* mask: who has read its present value */
#define ALIVE 0
#define DEAD 1
#define FREED 2
#define HEIR 3                    /* + t: a dead one's, adopted by thread t */
byte live[NR];

/* ---- what the claims speak of ---- */
byte deaths, returns, cancels;
byte looked;                      /* mask: nothing has changed since that thread began to look */
byte gone, idle;                  /* masks: dead without a successor; waits */
bool published[NALL + 1];
byte used[NALL + 1];
byte last[NP];                    /* of each producer: the last message claimed, strays aside */

/* One step, or death instead of it. `true`: an `else` at the head of x would be weighed against the death, too. */
#define STEP(x)                                    \
  if                                               \
  :: atomic { true; x }                            \
  :: atomic { deaths < ND -> deaths++; goto dead } \
  fi
#define CHANGED looked = 0

#define LAP(at) ((at) / N)
#define L lap[at % N]
#define S state[at % N]
#define O owner[at % N]
#define BECOMES(s, o) S = s; O = o
#define IS_MINE (S == READING && O == me + 1)
#ifdef M12
#define IS_HOLE (S == WRITING)
#else
#define IS_HOLE (S == WRITING && live[O - 1] == DEAD)
#endif

/* shoal_mpmc_skip_: the claim that was seen, if it is still there */
#ifdef M7
#define SKIPPED(k) state[k] = EMPTY; owner[k] = NOBODY; CHANGED
#else
#define SKIPPED(k) lap[k] = c + 1; state[k] = EMPTY; owner[k] = NOBODY; CHANGED
#endif
#ifdef M2
#define SKIP(k) SKIPPED(k)
#else
#define SKIP(k) if :: lap[k] == c && state[k] == WRITING && owner[k] == o -> SKIPPED(k) :: else fi
#endif

#define TELL strays = true; strays_seen = 0; CHANGED

/* Adopts a dead role and empties it; leaves by goto at a death only. */
#ifdef M5
#define ADOPT(i) live[i] == DEAD -> r = i; k = 0
#else
#define ADOPT(i) live[i] == DEAD -> live[i] = HEIR + me; r = i; k = 0
#endif
inline give_back() {
#ifdef M6
  STEP(live[r] = FREED; CHANGED);
#endif
#ifdef M4
  STEP(TELL);
#endif
  do
  :: k == N -> break
  :: k < N ->
     STEP(c = lap[k]; o = owner[k]; s = state[k]);
     if
     :: o == r + 1 && s == WRITING -> STEP(SKIP(k); k++)
     :: o == r + 1 && s == READING ->
#ifdef DROP
        STEP(used[payload[k]]++; assert(used[payload[k]] == 1);
             lap[k] = c + 1; state[k] = EMPTY; owner[k] = NOBODY; CHANGED; k++)
#else
        STEP(lap[k] = c; state[k] = READING; owner[k] = NOBODY; k++)
#endif
     :: else -> k++
     fi
  od;
#if !defined(M3) && !defined(M4)
  STEP(TELL);
#endif
#ifdef M6
  atomic { r = 0; k = 0; c = 0; o = 0; s = 0 }
#else
  STEP(live[r] = FREED; CHANGED; r = 0; k = 0; c = 0; o = 0; s = 0)
#endif
}

/* The kernel: words that a dead thread owns are marked, the newest first. */
inline die() {
  atomic {
    at = 0; k = 0; c = 0; o = 0; s = 0; v = 0; CLEAR(strays_seen, me); CLEAR(looked, me); CLEAR(idle, me);
    if
    :: live[r] == HEIR + me -> live[r] = DEAD
    :: else
    fi;
    r = 0
  };
  atomic {
    if
    :: live[me] == ALIVE -> live[me] = DEAD
    :: else
    fi
  };
  if
  :: goto join
  :: atomic { SET(gone, me) }; goto end_gone
  fi
}
#define JOIN                                            \
  if                                                    \
  :: atomic { live[me] == FREED -> live[me] = ALIVE; goto attempt } \
  :: atomic { ADOPT(me) }                               \
  fi;                                                   \
  give_back();                                          \
  goto join

/* Missed: waits, or reaps. */
#define REAP(i) atomic { ADOPT(i); CLEAR(idle, me) }
#define LOOK                                                                 \
  atomic { SET(idle, me) };                                                  \
end_look:                                                                    \
  if                                                                         \
  :: atomic { !HAS(looked, me) -> CLEAR(idle, me); goto attempt }            \
  :: REAP(0)                                                                 \
  :: REAP(1)                                                                 \
  :: REAP(2 % NR)                                                            \
  :: REAP(NR - 1)                                                            \
  :: atomic { deaths < ND -> deaths++; goto dead }                           \
  fi;                                                                        \
  give_back();                                                               \
  goto attempt

/* Claimed by somebody: on, perhaps after a while, to where the hint is then. */
#define GO_ON if :: goto walk :: goto give_way fi

/* the hint: a load, a store */
#define HINT(hint)                                      \
  STEP(if :: hint < at + 1 -> c = 1 :: else fi);        \
  if                                                    \
  :: c -> STEP(hint = at + 1; c = 0)                    \
  :: else                                               \
  fi

proctype producer(byte me) {
  byte at, k, c, o, s, r, sent, v;
attempt:
  if
  :: sent == NM -> goto done
  :: else
  fi;
  STEP(SET(looked, me); at = tail);
walk:
  STEP(
    if
    :: L == LAP(at) && S == EMPTY -> BECOMES(WRITING, me + 1); payload[at % N] = TORN; sent++
    :: L > LAP(at) || (L == LAP(at) && S != EMPTY) -> at = at + (L - LAP(at) - (S == EMPTY)) * N + 1; GO_ON
    :: L < LAP(at) && IS_HOLE -> c = L; o = O; goto hole
    :: else -> goto missed
    fi
  );
  HINT(tail);
#ifdef M9
  STEP(BECOMES(FULL, NOBODY); published[me * NM + sent] = true; CHANGED);
  STEP(payload[at % N] = me * NM + sent);
#else
  STEP(payload[at % N] = me * NM + sent);
  if
  :: STEP(BECOMES(FULL, NOBODY); published[me * NM + sent] = true; CHANGED)
#if NX > 0
  :: atomic { cancels < NX -> cancels++ }; STEP(BECOMES(EMPTY, NOBODY); L = L + 1; CHANGED)
#endif
  fi;
#endif
  atomic { at = 0; goto attempt };
hole:
  STEP(SKIP(at % N); c = 0; o = 0; goto walk);
give_way:
  STEP(if :: tail > at -> at = tail :: else fi; goto walk);
missed:
  STEP(if :: tail > at -> at = tail; goto walk :: else -> at = 0 fi);
  LOOK;
dead:
  die();
join:
  JOIN;
end_gone:
  false;
done:
  skip
}

/* read until here, and used */
#define USE assert(payload[at % N] == v); used[v]++; assert(used[v] == 1)

proctype consumer(byte me) {
  byte at, k, c, o, s, r, v;
attempt:
  STEP(SET(looked, me); if :: strays -> SET(strays_seen, me) :: else -> goto from_head fi);
find_stray:
  STEP(
    if
    :: k < N && state[k] == READING && owner[k] == NOBODY ->
       owner[k] = me + 1; at = lap[k] * N + k; v = payload[k]; k = 0; CLEAR(strays_seen, me); goto claimed
    :: k < N && !(state[k] == READING && owner[k] == NOBODY) -> k++; goto find_stray
    :: k == N ->
       k = 0;
#ifdef M1
       strays = false
#else
       if
       :: HAS(strays_seen, me) -> strays = false; strays_seen = 0
       :: else
       fi
#endif
    fi
  );
from_head:
  STEP(at = head);
walk:
  STEP(
    if
    :: L == LAP(at) && S == FULL ->
       BECOMES(READING, me + 1);
       v = payload[at % N];
       assert(v != TORN && v > last[(v - 1) / NM]);
       last[(v - 1) / NM] = v
    :: L > LAP(at) && S == READING -> at = at + (L - LAP(at)) * N + 1; GO_ON
    :: L == LAP(at) && S == READING -> at = at + 1; GO_ON
#ifdef M11
    :: L > LAP(at) && S == EMPTY -> at = at + (L - LAP(at) - 1) * N + 1; GO_ON
#else
    :: L > LAP(at) && S == EMPTY -> at = at + (L - LAP(at) > 2 -> L - LAP(at) - 2 : 0) * N + 1; GO_ON
#endif
    :: L > LAP(at) && (S == WRITING || S == FULL) -> at = at + (L - LAP(at) - 1) * N + 1; GO_ON
    :: L == LAP(at) && IS_HOLE -> c = L; o = O; goto hole
    :: else -> goto missed
    fi
  );
  HINT(head);
claimed:
#ifdef M10
  STEP(assert(IS_MINE); BECOMES(EMPTY, NOBODY); L = L + 1; CHANGED);
  STEP(USE);
#else
  if
  :: STEP(USE; assert(IS_MINE); BECOMES(EMPTY, NOBODY); L = L + 1; CHANGED)
#if NB > 0
  :: atomic { returns < NB -> returns++ };
#ifdef M8
     STEP(BECOMES(FULL, NOBODY))
#elif defined(M4)
     STEP(TELL); STEP(BECOMES(READING, NOBODY))
#else
     STEP(assert(IS_MINE); BECOMES(READING, NOBODY)); STEP(TELL)
#endif
#endif
  fi;
#endif
  atomic { at = 0; v = 0; goto attempt };
hole:
  STEP(SKIP(at % N); c = 0; o = 0; goto walk);
give_way:
  STEP(if :: head > at -> at = head :: else fi; goto walk);
missed:
  STEP(if :: head > at -> at = head; goto walk :: else -> at = 0 fi);
  LOOK;
dead:
  die();
join:
  JOIN;
end_gone:
  false
}

#define CONSUMERS (BIT(NR) - BIT(NP))
init {
  byte i;
  atomic {
    for (i : 0 .. NP - 1) { run producer(i) }
    for (i : NP .. NR - 1) { run consumer(i) }
    i = 0
  };
  timeout -> d_step {
    if
    :: (gone & CONSUMERS) == CONSUMERS
    :: else ->
       assert((idle & (BIT(NP) - 1)) == 0);
       for (i : 0 .. N - 1) { assert(state[i] == EMPTY) }
       for (i : 1 .. NALL) { assert(used[i] == published[i]) }
    fi
  }
}
