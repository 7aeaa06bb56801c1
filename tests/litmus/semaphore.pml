/* semaphore.pml: permits that are robust words, and the gate that their takers sleep at (sync/semaphore.c, sync/gate.c), with
 * the kernel's futex and robust-list rules.
 *
 * CLAIM    When nothing can move any more every living thread has finished: nobody sleeps beside a permit, free or dead. No
 *          permit is a dead thread's. There is no timer here: the once-a-second look of the code does not exist.
 * WHO      NT threads take one of NP permits and give it back, NR times each. Up to ND of them are killed, at any step.
 * KERNEL   futex_wake is one step, and picks any sleeper. A sleeper queues on word after word, each compared as it is queued,
 *          and stays queued on the others while one wakes it. A thread that dies leaves its queues; the words in its robust
 *          list are marked, one sleeper of each woken; last comes list_op_pending: a word that is its own is marked, one that
 *          is nobody's left as it is, and one sleeper woken in both cases.
 * MEMORY   x86-TSO where it matters: the store that gives a permit back may stay in the store buffer past the load of the gate
 *          that follows it, until a read-modify-write of its thread, a membarrier by another, or death drains it.
 * MUTANTS  M1 a sleeper sleeps at the gate alone             M4 no membarrier by the first sleeper
 *          M2 who takes one and sees another tells nobody    M5 list_op_pending is not at the permit while it is taken
 *          M3 list_op_pending is not at the gate             M6 a release that sees somebody has slept passes no barrier
 *          M2 makes no error here, with three threads, two permits and one death: the permits that a sleeper watches tell it,
 *          too. The code needs it where there are more of them than can be watched.
 * ABSTRACT A permit looked at and found held, and steps that touch no shared word, are folded into their neighbours.
 * RUN: -DND=0 ok
 * RUN: -DNT=2 -DND=2 ok
 * RUN: -DNT=2 -DNP=1 -DND=2 ok
 * RUN: -DNT=3 -DNP=1 -DND=1 ok
 * RUN: -DNT=2 -DNP=1 -DND=1 -DM1 error
 * RUN: -DNT=3 -DNP=1 -DND=1 -DM3 error
 * RUN: -DNT=2 -DNP=1 -DND=0 -DM4 error
 * RUN: -DNT=2 -DNP=1 -DND=1 -DM5 error
 * RUN: -DNT=2 -DNP=1 -DND=0 -DM6 error
 * LONG: -DND=1 ok
 * LONG: -DNT=3 -DNP=1 -DND=2 ok
 */

#ifndef NT
#define NT 3
#endif
#ifndef NP
#define NP 2
#endif
#ifndef NR
#define NR 1
#endif
#ifndef ND
#define ND 1
#endif

#define BIT(r) (1 << (r))
#define SET(mask, r) mask = mask | BIT(r)
#define CLEAR(mask, r) mask = mask & ~BIT(r)
#define HAS(mask, r) ((mask & BIT(r)) != 0)

/* ---- the semaphore ---- */
#define FREE 0
#define DEAD 1
#define HELD 2                  /* + t */
byte permit[NP];
bool w, flag, fenced;           /* the gate: somebody may sleep, somebody has slept; the first sleeper's barrier is passed */
#define IS_FREE(p) (permit[p] < HELD)

/* ---- the kernel and the processors ---- */
byte on_gate, on_permit[NP];    /* masks of who is queued */
byte woken, woken_by_permit;    /* masks: has been woken since it began to queue */
byte listed[NT];                /* the robust list: a mask of permits */
#define GATE 1
#define WORD 2                  /* + p */
byte pending[NT];
byte buffer[NT];                /* 1 + the permit whose release is in the store buffer; 0: empty */
chan sigkill = [0] of { byte };
byte finished, dead, unused;    /* masks */

#define WAKE_ONE_IF(queue, t, told) HAS(queue, t) -> CLEAR(queue, t); SET(woken, t); told = told | BIT(t)
inline wake_one(queue, told) {
  atomic {
    if
    :: WAKE_ONE_IF(queue, 0, told)
    :: WAKE_ONE_IF(queue, 1, told)
#if NT > 2
    :: WAKE_ONE_IF(queue, 2, told)
#endif
#if NT > 3
    :: WAKE_ONE_IF(queue, 3, told)
#endif
    :: else
    fi;
    unused = 0
  }
}
inline ring() { d_step { w = false; woken = woken | on_gate; on_gate = 0 } }
inline wake() {
  if
  :: atomic { on_gate != 0 ->
       wake_one(on_gate, unused) }
  :: atomic { on_gate == 0 -> ring() }  /* two steps in the code: who comes to sleep between is rung */
  fi
}
inline drain(t) {
  d_step { if :: buffer[t] -> permit[buffer[t] - 1] = FREE; buffer[t] = 0 :: else fi }
}
#define NOTHING_BUFFERED (buffer[0] == 0 && buffer[1] == 0 && buffer[NT - 1] == 0 && buffer[(NT > 2 -> 2 : 0)] == 0)

#ifdef M3
#define AT_GATE 0
#else
#define AT_GATE GATE
#endif
#ifdef M5
#define AT_PERMIT(p) pending[me]
#else
#define AT_PERMIT(p) (WORD + p)
#endif

/* Of permit p: 1 if it is ours now, and enlisted. */
inline take(p, before) {
  pending[me] = AT_PERMIT(p);
  atomic { drain(me); if :: IS_FREE(p) -> permit[p] = HELD + me; got = true :: else fi };
  if
  :: got -> atomic { SET(listed[me], p); mine = p; pending[me] = before }
  :: !got -> pending[me] = before
  fi
}
/* somebody sleeps and there is another */
inline pass_on() {
#ifndef M2
  if
  :: w ->
     i = 0;
     do
     :: atomic { i < NP && IS_FREE(i) -> i = 0 }; wake(); break
     :: atomic { i < NP && !IS_FREE(i) -> i++ }
     :: atomic { i == NP -> i = 0; break }
     od
  :: !w
  fi
#else
  skip
#endif
}
inline unqueue() {
  d_step {
    CLEAR(on_gate, me); armed_flag = false;
    i = 0; do :: i < NP -> CLEAR(on_permit[i], me); expect[i] = 0; i++ :: else -> break od; i = 0;
    rung = HAS(woken_by_permit, me);
    CLEAR(woken, me); CLEAR(woken_by_permit, me)
  }
}

inline die() {
  atomic {
    drain(me); unqueue(); SET(dead, me); got = false; rung = false;
    i = 0;
    do
    :: i < NP ->
       if
       :: HAS(listed[me], i) && pending[me] != WORD + i -> permit[i] = DEAD; wake_one(on_permit[i], woken_by_permit)
       :: else
       fi;
       i++
    :: else -> break
    od;
    i = 0;
    if
    :: pending[me] >= WORD && permit[pending[me] - WORD] == HELD + me ->
       permit[pending[me] - WORD] = DEAD; wake_one(on_permit[pending[me] - WORD], woken_by_permit)
    :: pending[me] >= WORD && permit[pending[me] - WORD] < HELD ->
       wake_one(on_permit[pending[me] - WORD], woken_by_permit)
    :: pending[me] == GATE -> wake_one(on_gate, unused)
    :: else
    fi;
    listed[me] = 0; pending[me] = 0; mine = 0; rounds = 0
  }
}

proctype thread(byte me) {
  byte i, mine, rounds, expect[NP];
  bool got, rung, armed_flag;
  {
    atomic { true };
again:
    /* the inline acquire: any permit is the one it had last */
    if
    :: take(0, 0)
#if NP > 1
    :: take(1, 0)
#endif
    fi;
    if
    :: atomic { got -> got = false }; pass_on(); goto inside
    :: atomic { !got -> pending[me] = AT_GATE }
    fi;
slow:
    atomic { drain(me); w = true; armed_flag = flag };  /* arm */
    i = 0;
    do
    :: i < NP && IS_FREE(i) -> take(i, AT_GATE); if :: atomic { got -> i = 0; break } :: atomic { !got -> i++ } fi
    :: atomic { i < NP && !IS_FREE(i) -> i++ }
    :: atomic { i == NP -> i = 0; break }
    od;
    if
    :: atomic { got -> got = false; armed_flag = false }; pass_on(); goto inside
    :: !got
    fi;
    /* watch */
#ifndef M4
    if
    :: atomic { !fenced -> flag = true }; NOTHING_BUFFERED; fenced = true; goto slow
    :: fenced
    fi;
#else
    flag = true; armed_flag = true;
#endif
    do
    :: atomic { i < NP && IS_FREE(i) -> unqueue(); goto slow }
    :: atomic { i < NP && !IS_FREE(i) -> expect[i] = permit[i]; i++ }
    :: atomic { i == NP -> i = 0; break }
    od;
    /* futex_waitv */
    if
    :: atomic { w && flag == armed_flag -> SET(on_gate, me) }
    :: atomic { !w || flag != armed_flag -> unqueue(); goto slow }
    fi;
#ifndef M1
    do
    :: atomic { i < NP && permit[i] == expect[i] -> SET(on_permit[i], me); i++ }
    :: atomic { i < NP && permit[i] != expect[i] -> unqueue(); goto slow }
    :: atomic { i == NP -> i = 0; break }
    od;
#endif
    atomic { HAS(woken, me) -> unqueue() };
    if
    :: atomic { rung -> rung = false; ring() }
    :: !rung
    fi;
    goto slow;
inside:
    atomic { pending[me] = WORD + mine };
    atomic { CLEAR(listed[me], mine) };
    if
    :: permit[mine] = FREE
    :: atomic { buffer[me] = mine + 1 }
    fi;
    if
    :: atomic { !w && !flag -> pending[me] = 0; mine = 0 }
    :: w || flag ->
#ifndef M6
       drain(me);  /* a read-modify-write of the gate */
#endif
       if
       :: w -> wake(); atomic { pending[me] = 0; mine = 0 }
       :: atomic { !w -> pending[me] = 0; mine = 0 }
       fi
    fi;
    atomic { rounds++; if :: rounds < NR -> goto again :: else -> rounds = 0 fi };
    SET(finished, me);
end_finished:
    false
  } unless { sigkill?eval(me) -> die() }
}

/* store buffers drain when they like */
proctype processors() {
end_empty:
  do
  :: atomic { buffer[0] != 0 -> drain(0) }
  :: atomic { buffer[1] != 0 -> drain(1) }
#if NT > 2
  :: atomic { buffer[2] != 0 -> drain(2) }
#endif
#if NT > 3
  :: atomic { buffer[3] != 0 -> drain(3) }
#endif
  od
}

proctype killer() {
  byte deaths;
  do
  :: deaths < ND ->
     if
     :: sigkill!0
     :: sigkill!1
#if NT > 2
     :: sigkill!2
#endif
#if NT > 3
     :: sigkill!3
#endif
     fi;
     deaths++
  :: break
  od
}

byte t, p;
init {
  atomic {
    do :: t < NT -> run thread(t); t++ :: else -> break od;
    t = 0;
    run processors();
    run killer()
  };
  timeout -> d_step {
    do :: p < NP -> assert(IS_FREE(p)); p++ :: else -> break od;
    do :: t < NT -> assert(HAS(finished, t) || HAS(dead, t)); t++ :: else -> break od
  }
}
