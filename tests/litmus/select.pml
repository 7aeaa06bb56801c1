/* select.pml: one thread waits at two queues, or at a queue and a semaphore (ipc/queue/select.c, sync/eventcount.c,
 * sync/gate.c), with the kernel's futex and robust-list rules.
 *
 * CLAIM    When nothing can move any more, no living thread sleeps beside work: a message, a stray, a dead one's
 *          claim, the end of the stream, at any queue that it sleeps at; a permit. Each message is received once, and
 *          nobody was told of the end of a queue where one is left. There is no timer here: the once-a-second look of
 *          the code does not exist.
 * WHO      Thread 0 selects once (NSEL) among two gets, and goes away, alive: what it did not take is left to others,
 *          who have to know. NC consumers: one, of queue HOME; two, one of each. NP producers: one, which puts a
 *          message into each queue; two, one for each. -DPERMIT: the second case is the acquire of a semaphore
 *          (CONSUMED), there is one more that acquires, and another that releases once; producer and consumer have
 *          queue 0. Up to ND of them are killed, at any step, of those in the mask WHOM; up to NT waits of the select
 *          end by its deadline.
 * KERNEL   as in wait.pml. Of several wakes a sleeper is told the last word of its list only: bells, events, gate,
 *          permits, then the witnesses of the case that was looked at first, and those of the other.
 * MEMORY   x86-TSO where it matters, as in wait.pml: the store that publishes, or frees, may stay in the store buffer
 *          past the loads of the events that follow it.
 * STEPS    round: first_round, round_of     add: add_queue, shoal_role_hold     arm_: arm, shoal_sleeper_arm_
 *          settle_ .. settled: settle_queue, shoal_sleeper_settle_, settle_permit, must_arm_again
 *          then sleep_in_futex     awake, woken_: after_sleep, shoal_sleeper_woken_, shoal_semaphore_woken_
 *          hand_on: hand_on, shoal_sleeper_hand_on_     a consumer: shoal_eventcount_wait
 * MUTANTS  M1 nothing is handed on; M2 only at the queue that the sleep was told of; M3 its roles are no holders; M4
 *          the first hold does not ring; M5 a death is looked for only at the queue that the sleep was told of; M6
 *          the events are queued before the bells; M7 a permit is not passed on; M8 list_op_pending is at the queue,
 *          not at the gate, while it sleeps; M9 no membarrier; M10 woken when its deadline has passed, it leaves
 *          without a look; M11 no arming again for the end; M12 it is a holder at the first queue only.
 * ABSTRACT As in wait.pml, and: a queue has one message, and room for it, so no producer sleeps, and a consumer that
 *          has it goes away; strays are found at once (mpmc.pml has their word). What wait.pml has step by step is
 *          one step here: an attempt that fails and the look behind it, but for a claim in the way and the reaping
 *          (who changes something later changes a word that is compared, or sees W). The first round and the spin are
 *          left out, but with -DNEW: else the thread is a holder by an earlier select. -DTSO: the store buffer.
 *          -DORDER: the only producer puts in any order; -DONE: one message. A queue that ends is found so by settle,
 *          so it is not woken since it armed, and has nothing to hand on. Puts (their queue closed), topics, events,
 *          permits that are held, and the closing are not here.
 * RUN: -DND=0 -DNT=1 ok
 * RUN: -DND=1 -DWHOM=3 -DONE ok
 * RUN: -DND=1 -DWHOM=2 -DNC=0 ok
 * RUN: -DND=1 -DWHOM=1 -DPERMIT -DNC=0 ok
 * RUN: -DND=0 -DM1 error
 * RUN: -DND=0 -DHOME=0 -DM2 error
 * RUN: -DND=1 -DWHOM=1 -DONE -DM3 error
 * RUN: -DND=1 -DWHOM=1 -DONE -DNEW -DM4 error
 * RUN: -DND=0 -DPERMIT -DNC=0 -DM7 error
 * RUN: -DND=1 -DWHOM=1 -DPERMIT -DNC=0 -DM8 error
 * RUN: -DND=0 -DTSO -DM9 error
 * RUN: -DND=0 -DNT=1 -DM10 error
 * RUN: -DND=1 -DWHOM=1 -DONE -DNEW -DM12 error
 * LONG: -DND=0 -DTSO -DORDER ok
 * LONG: -DND=1 -DWHOM=1 ok
 * LONG: -DND=1 -DWHOM=1 -DONE -DNEW ok
 * LONG: -DND=1 -DWHOM=4 -DONE ok
 * LONG: -DND=1 -DWHOM=4 -DHOME=0 -DM5 error
 * LONG: -DND=1 -DWHOM=2 -DONE -DM6 error
 *
 * Not decided: M11. Where it would show, by reading; stopped after a minute: -DND=1 -DNP=2 -DWHOM=8 -DONE */

#ifndef NC
#define NC 1
#endif
#ifndef NP
#define NP 1
#endif
#ifndef NSEL
#define NSEL 1
#endif
#ifndef ND
#define ND 1
#endif
#ifndef NT
#define NT 0
#endif
#ifndef WHOM
#define WHOM 255
#endif
#ifdef PERMIT
#define NR (1 + NC + NP + 2)
#define ACQUIRER (NR - 2)
#define RELEASER (NR - 1)
#else
#define NR (1 + NC + NP)
#endif
#ifdef PERMIT
#define HOME 0
#endif
#ifndef HOME
#define HOME 1                  /* the queue of the only consumer */
#endif
#ifdef ONE
#define PUTS 1                  /* the only producer's: the first goes into queue 1, if -DORDER is not given */
#else
#define PUTS 2
#endif
#define FIRST_P (1 + NC)
#define IS_P(r) (r >= FIRST_P && r < FIRST_P + NP)

#define BIT(r) (1 << (r))
#define SET(mask, r) mask = mask | BIT(r)
#define CLEAR(mask, r) mask = mask & ~BIT(r)
#define HAS(mask, r) ((mask & BIT(r)) != 0)

/* ---- the segment ---- */
#define EMPTY 0
#define WRITING 1
#define FULL 2
#define READING 3
#define FREE 4                  /* received, or a dead producer's and skipped */
#define NOBODY 15
byte state[2], owner[2];        /* of each queue's slot. READING and NOBODY's: a stray */
byte received[2];
#define FREED 0
#define ALIVE 1
#define DEAD 2
#define HEIR 3                  /* + r: a dead one's, adopted by r */
#define ROLE(r, q) ((q) * NR + (r))
byte live[2 * NR];              /* liveness words, of each thread at each queue */
byte busy[2], holder[2];        /* masks */
byte armed[2];                  /* of an event: 1 somebody may sleep (W), 2 more than one may (W2) */
bool until_end[2];              /* somebody waits for the claims of others to end (E) */
byte fresh[2];                  /* of an event, a mask: who has read its present value */
#ifdef PERMIT
byte permits;
bool gate;                      /* W */
byte on_gate;
#endif

/* ---- the kernel and the processors ---- */
byte on_bell[2], on_event[2], on_live[2 * NR];  /* masks of who is queued */
#define BELL(q) (1 + (q))
#define EVENT(q) (3 + (q))
#define GATE 5
#define LIVE(q) (6 + ((q) != first))
byte first;                     /* the case with which the select begins */
byte woke[NR];                  /* the last of its words at which a sleeper was woken, 0: not */
byte pending[NR];               /* list_op_pending: 0, BELL, GATE, or WORD + a liveness word */
#define WORD 8
byte asleep;                    /* mask: is in futex_waitv */
chan sigkill = [0] of { byte };
byte buffered;                  /* mask: the settling store is still in the store buffer */
byte expired, deaths;
byte ended[2], dead;            /* masks: who was told of the end of a queue; who is dead */

#define IF_QUEUED(queue, r, word) HAS(queue, r) -> CLEAR(queue, r); woke[r] = (woke[r] > word -> woke[r] : word)
inline futex_wake_one(queue, word) {
  atomic {
    if
    :: IF_QUEUED(queue, 0, word)
    :: IF_QUEUED(queue, 1, word)
    :: IF_QUEUED(queue, 2, word)
#if NR > 3
    :: IF_QUEUED(queue, 3, word)
#endif
#if NR > 4
    :: IF_QUEUED(queue, 4, word)
#endif
    :: else
    fi
  }
}

/* shoal_eventcount_wake_ of the consumers of queue x */
#define ALL 9
inline wake(x, most) {
  if
  :: atomic { armed[x] == 0 -> fresh[x] = 0 }
  :: atomic { armed[x] != 0 -> fresh[x] = BIT(me); saw = armed[x] };
     atomic {
       do
       :: woken < most && on_event[x] != 0 -> futex_wake_one(on_event[x], EVENT(x)); woken++
       :: else -> break
       od
     };
     d_step {
       if
       :: (woken < most || saw == 1) && HAS(fresh[x], me) -> armed[x] = 0; fresh[x] = 0; until_end[x] = false
       :: else -> CLEAR(fresh[x], me)
       fi;
       saw = 0; woken = 0
     }
  fi
}
#define ring(x) wake(x, ALL)
inline bump(x) { d_step { if :: armed[x] -> fresh[x] = 0 :: else fi } }

/* ---- the queue, q ---- */
#define IS_HOLE(x) (state[x] == WRITING && live[ROLE(owner[x], x)] == DEAD)
#define IS_MESSAGE(x) (state[x] == FULL || (state[x] == READING && owner[x] == NOBODY))
inline claim_get() {
  d_step {
    if :: IS_HOLE(q) -> state[q] = FREE; owner[q] = 0 :: else fi;
    if
    :: IS_MESSAGE(q) -> state[q] = READING; owner[q] = me; got = true
    :: else -> CLEAR(busy[q], me)
    fi
  }
}
/* Settle a claim: `to` is stored, then the event is loaded. In this order; or the store waits in the buffer. */
#define LOAD_EVENTS see_w = armed[q] != 0; see_end = until_end[q]
#define STORE(x, to) state[x] = to; owner[x] = 0; if :: to == FREE -> received[x]++ :: else fi
inline settle(to) {
  if
  :: d_step { STORE(q, to) }; d_step { LOAD_EVENTS }
#ifdef TSO
  :: d_step { LOAD_EVENTS; SET(buffered, me); goal = to };
     d_step { STORE(q, to); CLEAR(buffered, me); goal = 0 }
#endif
  fi
}
/* what role i of the queue holds: its heir does this */
inline recover() {
  d_step {
    if
    :: state[q] == WRITING && owner[q] == i -> state[q] = FREE; owner[q] = 0
    :: state[q] == READING && owner[q] == i -> owner[q] = NOBODY
    :: else
    fi
  }
}
inline reap() {
  pending[me] = WORD + ROLE(i, q);
  d_step { if :: live[ROLE(i, q)] == DEAD -> live[ROLE(i, q)] = HEIR + me; adopted = true :: else fi };
  if
  :: atomic { adopted -> adopted = false; pending[me] = BELL(q) };
     recover();
     d_step { CLEAR(busy[q], i); CLEAR(holder[q], i); pending[me] = WORD + ROLE(i, q) };
     atomic {
       live[ROLE(i, q)] = FREED;
       do :: on_live[ROLE(i, q)] != 0 -> futex_wake_one(on_live[ROLE(i, q)], LIVE(q)) :: else -> break od
     };
     pending[me] = BELL(q);
     ring(q)
  :: atomic { !adopted -> pending[me] = BELL(q) }
  fi
}

/* ---- a sleeper ---- */
inline arm(x) {
  atomic {
    fresh[x] = BIT(me); armed[x] = (armed[x] -> 2 : 1); armed_e[x] = draining[x];
    if :: draining[x] -> until_end[x] = true :: else fi
  }
}
inline disarm(x) {
  if
  :: HAS(fresh[x], me) && armed[x] == 1 -> armed[x] = 0; until_end[x] = false
  :: else
  fi;
  CLEAR(fresh[x], me)
}
inline unqueue() {
  d_step {
    CLEAR(asleep, me); CLEAR(on_bell[0], me); CLEAR(on_bell[1], me); CLEAR(on_event[0], me); CLEAR(on_event[1], me);
#ifdef PERMIT
    CLEAR(on_gate, me);
#endif
    i = 0;
    do :: i < 2 * NR -> CLEAR(on_live[i], me); i++ :: else -> break od;
    i = 0
  }
}
inline forget_witnesses() { i = 0; do :: i < 2 * NR -> expect[i] = 0; i++ :: else -> break od; i = 0 }
inline forget_those_of(x) { i = 0; do :: i < NR -> expect[ROLE(i, x)] = 0; i++ :: else -> break od; i = 0 }
inline is_in_doubt(x) {
  i = 0; doubt = false;
  do :: i < NR -> if :: live[ROLE(i, x)] == DEAD -> doubt = true :: else fi; i++ :: else -> break od;
  i = 0
}
#define NONE 14  /* nothing is in the way by now */
/* whose claim is in the way: a role's, NOBODY's, or NONE */
inline find_blocker(whose) {
  if
  :: IS_MESSAGE(q) -> whose = NONE
  :: state[q] == WRITING -> whose = owner[q]
  :: else -> whose = NOBODY
  fi
}
#define AGAIN 1
#define SLEEP 2
#define OVER 3
#define REAP 4
inline look_at_roles() {
  atomic {
    peer = false; i = 0;
    do
    :: i < NR && live[ROLE(i, q)] != DEAD ->
       if
       :: i != me && live[ROLE(i, q)] != FREED ->
          if
          :: HAS(busy[q], i) || HAS(holder[q], i) || live[ROLE(i, q)] >= HEIR || (IS_P(i) && !peer) ->
             expect[ROLE(i, q)] = live[ROLE(i, q)]
          :: else
          fi;
          if :: IS_P(i) -> peer = true :: else fi
       :: else
       fi;
       i++
    :: else -> break
    od;
    if
    :: i < NR -> out = REAP
    :: i == NR && (peer || blocked) -> out = SLEEP; i = 0
    :: i == NR && !(peer || blocked) && !over -> over = true; out = AGAIN; i = 0
    :: i == NR && !(peer || blocked) && over ->
       i = 0;
       if
       :: state[q] == READING && owner[q] != NOBODY && owner[q] != me -> draining[q] = true; out = SLEEP  /* held */
       :: else -> out = OVER
       fi
    fi;
    blocked = false; peer = false
  }
}
#define IS_LIVE(w) (live[w] != FREED && live[w] != DEAD)
/* look_at_blocker, and if it is nobody's the roles, in the step of the attempt that failed: out */
inline look() {
  out = 0; forget_those_of(q); find_blocker(b);
  if
  :: b == NONE -> out = AGAIN; b = 0
  :: b < NR && IS_LIVE(ROLE(b, q)) -> blocked = true; expect[ROLE(b, q)] = live[ROLE(b, q)]
  :: b == NOBODY || (b < NR && !IS_LIVE(ROLE(b, q))) -> b = 0; look_at_roles()
  fi
}
#ifdef M9
#define MEMBARRIER true
#else
#define MEMBARRIER buffered == 0
#endif
/* its other steps */
inline look_on() {
  if
  :: blocked ->
     MEMBARRIER;
     atomic {
       find_blocker(b2);
       if
       :: b2 != b -> out = AGAIN; blocked = false
       :: else -> look_at_roles()
       fi;
       b = 0; b2 = 0
     }
  :: !blocked
  fi;
  if
  :: out == REAP -> reap(); d_step { out = AGAIN; i = 0 }
  :: out != REAP
  fi
}

/* the get, from the claim on; leaves by goto */
#ifdef TSO
#define RECEIVE(there) \
  settle(FREE); \
  atomic { \
    CLEAR(busy[q], me); got = false; see_w = false; \
    if :: see_end -> see_end = false :: else -> goto there fi \
  }; \
  wake(q, ALL); \
  goto there
#else
#define RECEIVE(there) \
  atomic { STORE(q, FREE); CLEAR(busy[q], me); got = false; if :: until_end[q] :: else -> goto there fi }; \
  wake(q, ALL); \
  goto there
#endif

/* ---- death ---- */
#define LOCALS \
  byte q, k, i, b, b2, woken, saw, goal, why, out, stage, sent, expect[2 * NR]; \
  bool got, adopted, peer, blocked, over, draining[2], armed_e[2], see_w, see_end, doubt, was_woken, past
#define FORGET \
  q = 0; k = 0; b = 0; b2 = 0; woken = 0; saw = 0; goal = 0; why = 0; out = 0; stage = 0; sent = 0; got = 0; \
  adopted = 0; peer = 0; blocked = 0; over = 0; draining[0] = 0; draining[1] = 0; armed_e[0] = 0; armed_e[1] = 0; \
  see_w = 0; see_end = 0; doubt = 0; was_woken = 0; past = 0
#define QUEUE_OF(w) ((w) / NR)
#define MINE(w) (live[w] == HEIR + me || ((w == ROLE(me, 0) || w == ROLE(me, 1)) && live[w] == ALIVE))
inline next_mine(from) { i = from; do :: i < 2 * NR && !MINE(i) -> i++ :: else -> break od }
inline die() {
  atomic {
    sigkill?eval(me) -> deaths++;
    if :: HAS(buffered, me) -> STORE(q, goal); CLEAR(buffered, me) :: else fi;
    unqueue();
    SET(dead, me); woke[me] = 0; CLEAR(fresh[0], me); CLEAR(fresh[1], me);
    forget_witnesses();
    FORGET;
    next_mine(0)
  };
  do
  :: atomic { i < 2 * NR -> live[i] = DEAD; futex_wake_one(on_live[i], LIVE(QUEUE_OF(i))); next_mine(i + 1) }
  :: atomic { i == 2 * NR -> i = 0; break }
  od;
  if
  :: pending[me] == BELL(0) -> futex_wake_one(on_bell[0], BELL(0))
  :: pending[me] == BELL(1) -> futex_wake_one(on_bell[1], BELL(1))
#ifdef PERMIT
  :: pending[me] == GATE -> futex_wake_one(on_gate, GATE)
#endif
  :: pending[me] >= WORD ->
     atomic {
       i = pending[me] - WORD;
       if :: live[i] == FREED || live[i] == DEAD -> futex_wake_one(on_live[i], LIVE(QUEUE_OF(i))) :: else fi;
       i = 0
     }
  :: pending[me] == 0
  fi;
  pending[me] = 0
}

/* ---- the semaphore ---- */
#ifdef PERMIT
/* shoal_gate_wake_: one; there is none: W goes, and all that slept meanwhile are woken */
inline gate_wake() {
  if
  :: atomic { on_gate != 0 -> futex_wake_one(on_gate, GATE) }
  :: atomic { on_gate == 0 -> gate = false }  /* two steps in the code: who comes to sleep between is woken */
  fi
}
inline pass_on() {
  if
  :: gate ->
     if
     :: permits != 0 -> gate_wake()
     :: permits == 0
     fi
  :: !gate
  fi
}
inline attempt_permit() { d_step { if :: permits > 0 -> permits--; got = true :: else fi } }
#endif

/* ---- roles ---- */
#define OTHER (1 - first)
#ifdef M12
#define WATCHED(q) ((q) == 0)
#else
#define WATCHED(q) true
#endif
/* attempt.get; a holder is watched as it is */
#define ATTEMPT pending[me] = BELL(q); if :: !HAS(holder[q], me) -> SET(busy[q], me) :: else fi; claim_get()
#ifdef PERMIT
#define TRY_PERMIT(else_) \
  atomic { pending[me] = GATE; attempt_permit(); if :: got -> got = false :: else -> goto else_ fi }; \
  pass_on(); \
  goto chosen
#endif

proctype selector(byte me) {
  LOCALS;
  byte selects;
  {
    skip;
begin:
    atomic {
      if :: first = 0 :: first = 1 fi;
#ifdef NEW
      q = first; stage = 0
#else
      goto arm_  /* it is a holder, and the rounds before have found nothing */
#endif
    };
round:
    skip;
#ifdef PERMIT
    if
    :: q == 1 -> TRY_PERMIT(next_of_round)
    :: q == 0
    fi;
#endif
    atomic { ATTEMPT; if :: got -> goto claimed :: else fi };
next_of_round:
    atomic {
      if
      :: q == first -> q = OTHER; goto round
      :: q != first && stage == 0 -> stage = 1; q = 0
      :: q != first && stage == 1 -> goto arm_
      fi
    };
add:
    atomic { pending[me] = BELL(q) };
#ifndef M3
    if
    :: atomic { !HAS(holder[q], me) && WATCHED(q) -> SET(holder[q], me) };
#ifndef M4
       ring(q)
#endif
    :: else
    fi;
#endif
#ifndef PERMIT
    atomic { if :: q == 0 -> q = 1; goto add :: else fi };
#endif
arm_:
    atomic { was_woken = false; why = 0; q = 0 };
    arm(0);
#ifdef PERMIT
    gate = true;
#else
    arm(1);
#endif
    atomic { q = first; over = false; if :: !draining[0] && !draining[1] -> goto next_case :: else fi };
    MEMBARRIER;
next_case:
    skip;
settle_:
#ifdef PERMIT
    if
    :: q == 1 -> TRY_PERMIT(settled)
    :: q == 0
    fi;
#endif
    atomic {
      ATTEMPT;
      if
      :: got -> goto claimed
      :: else -> look(); if :: blocked || out == REAP :: else -> goto looked fi
      fi
    };
    look_on();
looked:
    atomic {
      if
      :: out == AGAIN -> out = 0; goto settle_
      :: out == OVER -> out = 0; goto its_end
      :: out == SLEEP -> out = 0; over = false
      fi
    };
settled:
    atomic {
      if
      :: q == first -> q = OTHER; goto next_case
      :: q != first && past -> goto give_up
#ifndef M11
      :: q != first && !past && (draining[0] != armed_e[0] || draining[1] != armed_e[1]) -> goto arm_
#endif
      :: else -> q = 0
      fi
    };
#if NT > 0
    if
    :: atomic { expired < NT -> expired++; goto give_up }
    :: true
    fi;
#endif
    /* sleep_in_futex */
    atomic {
#if defined(PERMIT) && !defined(M8)
      pending[me] = GATE;
#else
      pending[me] = BELL(0);
#endif
#ifndef M6
      SET(on_bell[0], me); SET(on_bell[1], me)
#endif
    };
    if
    :: atomic { HAS(fresh[0], me) -> SET(on_event[0], me) }
    :: atomic { !HAS(fresh[0], me) -> goto awake }
    fi;
#ifdef PERMIT
    if
    :: atomic { gate -> SET(on_gate, me) }
    :: atomic { !gate -> goto awake }
    fi;
    if
    :: permits == 0
    :: atomic { permits != 0 -> goto awake }
    fi;
#else
    if
    :: atomic { HAS(fresh[1], me) -> SET(on_event[1], me) }
    :: atomic { !HAS(fresh[1], me) -> goto awake }
    fi;
#endif
#ifdef M6
    SET(on_bell[0], me);
    SET(on_bell[1], me);
#endif
    atomic {
      i = 0;
      do
      :: i < 2 * NR && expect[i] == 0 -> i++
      :: i < 2 * NR && expect[i] != 0 && live[i] == expect[i] -> SET(on_live[i], me); i++
      :: i < 2 * NR && expect[i] != 0 && live[i] != expect[i] -> goto awake
      :: i == 2 * NR -> SET(asleep, me); i = 0; forget_witnesses(); break
      od
    };
end_asleep:
    if
    :: atomic { woke[me] != 0 -> goto awake }
#if NT > 0
    :: atomic { woke[me] == 0 && expired < NT -> expired++; past = true; goto awake }
#endif
    fi;
awake:
    atomic {
      unqueue(); forget_witnesses(); why = woke[me]; woke[me] = 0; q = first;
      if
      :: why == 0 -> goto round  /* a word differed, or the deadline has passed */
#ifdef M10
      :: why != 0 && expired < NT -> expired++; goto give_up
#endif
      :: else -> was_woken = true; q = 0
      fi
    };
#ifdef PERMIT
#ifndef M7
    atomic { pending[me] = GATE };
    pass_on();
#endif
#endif
woken_:
    atomic {
      pending[me] = BELL(q);
      is_in_doubt(q);
#ifdef M5
      if :: why != EVENT(q) && why != BELL(q) && why != LIVE(q) -> doubt = false :: else fi;
#endif
      if
      :: why == BELL(q) || why == LIVE(q) || doubt -> doubt = false
      :: else -> goto next_woken
      fi
    };
    ring(q);
next_woken:
    atomic {
#ifndef PERMIT
      if :: q == 0 -> q = 1; goto woken_ :: else fi;
#endif
      q = first;
      goto round
    };
its_end:
    atomic { SET(ended[q], me); goto gone };  /* settle found it: it is not woken since it armed */
claimed:
    RECEIVE(chosen);
chosen:
    atomic { k = q; q = 0; if :: !was_woken -> goto gone :: else fi };
#ifdef M1
    goto gone;
#endif
hand_on:
    atomic {
      pending[me] = BELL(q);
      if
      :: q == k -> goto handed
#ifdef M2
      :: q != k && why != EVENT(q) -> goto handed
#endif
      :: else
      fi
    };
    if
    :: HAS(fresh[q], me)
    :: !HAS(fresh[q], me) -> wake(q, 1)
    fi;
handed:
#ifndef PERMIT
    atomic { if :: q == 0 -> q = 1; goto hand_on :: else fi };
#endif
gone:
    atomic {
      pending[me] = 0; CLEAR(fresh[0], me); CLEAR(fresh[1], me); forget_witnesses(); FORGET;
      selects++;
      if :: selects < NSEL -> goto begin :: else -> goto end_away fi
    };
give_up:
    atomic { q = 0; k = 0; was_woken = false; goto gone };
end_away:
    false
  } unless { die() }
}

proctype consumer(byte me) {
  LOCALS;
  {
    skip;
    atomic { q = (NC == 1 -> HOME : me - 1) };
attempt:
    atomic {
      ATTEMPT;
      if
      :: got && stage == 0 -> goto claimed
      :: got && stage == 1 -> disarm(q); goto claimed
      :: !got && stage == 0 -> goto arm_
      :: !got && stage == 1 -> look(); if :: blocked || out == REAP :: else -> goto looked fi
      fi
    };
    look_on();
looked:
    atomic {
      if
      :: out == AGAIN -> out = 0; goto attempt
      :: out == OVER -> out = 0; goto its_end
      :: out == SLEEP && draining[q] != armed_e[q] -> out = 0; goto arm_
      :: else -> out = 0; over = false; goto sleep
      fi
    };
arm_:
    atomic { arm(q); stage = 1; over = false; if :: !draining[q] -> goto attempt :: else fi };
    MEMBARRIER;
    goto attempt;
sleep:
    SET(on_bell[q], me);
    if
    :: atomic { HAS(fresh[q], me) -> SET(on_event[q], me) }
    :: atomic { !HAS(fresh[q], me) -> goto awake }
    fi;
    atomic {
      i = 0;
      do
      :: i < 2 * NR && expect[i] == 0 -> i++
      :: i < 2 * NR && expect[i] != 0 && live[i] == expect[i] -> SET(on_live[i], me); i++
      :: i < 2 * NR && expect[i] != 0 && live[i] != expect[i] -> goto awake
      :: i == 2 * NR -> SET(asleep, me); i = 0; forget_witnesses(); break
      od
    };
end_asleep:
    woke[me] != 0;
awake:
    atomic {
      unqueue(); forget_witnesses(); CLEAR(fresh[q], me); stage = 0; why = woke[me]; woke[me] = 0;
      is_in_doubt(q);
      if
      :: why == 0 || (why == EVENT(q) && !doubt) -> why = 0; goto attempt
      :: else -> why = 0; doubt = false
      fi
    };
    ring(q);
    goto attempt;
its_end:
    atomic { SET(ended[q], me); disarm(q); goto gone };
claimed:
    RECEIVE(gone);
gone:  /* its queue had one message: it may go */
    atomic { CLEAR(fresh[q], me); forget_witnesses(); FORGET; pending[me] = 0 };
end_away:
    false
  } unless { die() }
}

proctype producer(byte me) {
  LOCALS;
  {
    skip;
    atomic {
#if defined(PERMIT)
      q = 0
#elif NP == 2
      q = me - FIRST_P;
#ifdef ONE
      if :: q == 0 -> goto end_away :: else fi
#endif
#elif defined(ORDER)
      if :: q = 0 :: q = 1 fi
#else
      q = 1
#endif
    };
put:
    atomic { pending[me] = BELL(q); state[q] = WRITING; owner[q] = me };
    bump(q);
    settle(FULL);
    if
    :: atomic { see_w -> see_w = false; see_end = false }; wake(q, 1)
    :: atomic { !see_w -> see_end = false }
    fi;
    atomic {
      pending[me] = 0; sent++;
#if NP == 1 && !defined(PERMIT)
      if :: sent < PUTS -> q = 1 - q; goto put :: else fi;
#endif
      q = 0
    };
end_away:
    false
  } unless { die() }
}

#ifdef PERMIT
/* shoal_semaphore_acquire, once: shoal_gate_sleep_ */
proctype acquirer(byte me) {
  LOCALS;
  {
    skip;
    pending[me] = GATE;
arm_:
    gate = true;
    atomic { attempt_permit(); if :: got -> got = false; goto chosen :: else fi };
    if
    :: atomic { gate -> SET(on_gate, me) }
    :: atomic { !gate -> goto arm_ }
    fi;
    if
    :: atomic { permits == 0 -> SET(asleep, me) }
    :: atomic { permits != 0 -> unqueue(); woke[me] = 0; goto arm_ }
    fi;
end_asleep:
    atomic { woke[me] != 0 -> unqueue(); woke[me] = 0; goto arm_ };
chosen:
    pass_on();
    pending[me] = 0;
end_away:
    false
  } unless { die() }
}
proctype releaser(byte me) {
  LOCALS;
  {
    skip;
    pending[me] = GATE;
    permits++;
    if
    :: gate -> gate_wake()
    :: !gate
    fi;
    pending[me] = 0;
end_away:
    false
  } unless { die() }
}
#endif

/* Up to ND deaths, of threads in the mask WHOM. */
proctype killer() {
end:
  do
  :: atomic { deaths < ND ->
     if
#if WHOM & 1
     :: sigkill!0
#endif
#if WHOM & 2
     :: sigkill!1
#endif
#if WHOM & 4
     :: sigkill!2
#endif
#if (WHOM & 8) && NR > 3
     :: sigkill!3
#endif
#if (WHOM & 16) && NR > 4
     :: sigkill!4
#endif
     fi }
  od
}

/* ---- the claim ---- */
bool work, fed;
byte p, r;
#define LIVES(r) (!HAS(dead, r))
#define QUEUES 2
inline check() {
  p = 0;
  do
  :: p < QUEUES ->
     assert(received[p] <= 1);
     work = IS_MESSAGE(p) || (state[p] == READING && !LIVES(owner[p]));
     assert(!(work && (ended[p] & ~dead) != 0));
     fed = state[p] == READING; r = FIRST_P;
     do
     :: r < FIRST_P + NP -> if :: LIVES(r) && live[ROLE(r, p)] != FREED -> fed = true :: else fi; r++
     :: else -> break
     od;
     work = work || !fed;
     r = 0;
     do
     :: r < FIRST_P ->
        assert(!(work && LIVES(r) && HAS(asleep, r) && live[ROLE(r, p)] != FREED)); r++
     :: else -> break
     od;
#ifdef PERMIT
     break;
#endif
     p++
  :: else -> break
  od;
#ifdef PERMIT
  r = 0;
  do
  :: r < NR -> assert(!(permits > 0 && LIVES(r) && HAS(asleep, r) && (r == 0 || r == ACQUIRER))); r++
  :: else -> break
  od
#endif
}

init {
  atomic {
    live[ROLE(0, 0)] = ALIVE;
#ifndef PERMIT
    live[ROLE(0, 1)] = ALIVE;
#endif
#if !defined(NEW) && !defined(M3)
    SET(holder[0], 0);
#ifndef M12
    SET(holder[1], 0);
#endif
#endif
    run selector(0);
    r = 1;
    do
    :: r <= NC -> live[ROLE(r, (NC == 1 -> HOME : r - 1))] = ALIVE; run consumer(r); r++
    :: else -> break
    od;
    do
    :: r < FIRST_P + NP ->
#if defined(PERMIT)
       live[ROLE(r, 0)] = ALIVE;
#elif NP == 2
       live[ROLE(r, r - FIRST_P)] = ALIVE;
#else
       live[ROLE(r, 0)] = ALIVE; live[ROLE(r, 1)] = ALIVE;
#endif
       run producer(r); r++
    :: else -> break
    od;
#ifdef PERMIT
    run acquirer(ACQUIRER);
    run releaser(RELEASER);
#endif
    r = 0;
    run killer()
  };
  timeout -> d_step { check() }
}
