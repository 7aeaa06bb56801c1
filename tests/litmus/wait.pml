/* wait.pml: the sleeping protocol (sync/eventcount.c) over a bounded queue, with the kernel's futex and robust-list rules.
 *
 * CLAIM    When nothing can move any more, no living thread sleeps beside work: a receiver beside a message, a stray, a dead
 *          one's claim or the end of the stream; a sender beside room, or when no receiver is left. There is no timer here:
 *          the once-a-second look of the code does not exist.
 * WHO      NC receivers for ever, NP senders of NM messages each, over NS slots. Up to ND of them are killed, at any step, but
 *          only those in the mask WHOM (all, if it is not given): two receivers look the same, so one of them dies for both;
 *          up to NT waits end by their deadline. Roles in the mask HOLD keep their claims past the call (two-phase): the
 *          caller has it for a while and settles it, or has it for ever. -DLEAVE: a sender that has finished leaves.
 *          -DDROP: a dead receiver's message is dropped, not redelivered.
 * KERNEL   futex_wake is one step, and picks any sleeper. A sleeper queues on word after word, each compared as it is
 *          queued, and stays queued on the others while one wakes it; of several wakes it is told the last word only. A
 *          thread that dies leaves its queues; the words in its robust list are marked, one sleeper of each woken; last comes
 *          list_op_pending: one sleeper of its word is woken if the word has no owner.
 * MEMORY   x86-TSO where it matters: the store that settles a claim may stay in the store buffer past the loads of the
 *          events that follow it, until a membarrier by another thread, or death, drains it. Claims are full barriers.
 * MUTANTS  M1 a put, M2 a get leaves list_op_pending alone; M3 no bump before the publish; M4 no membarrier; M5 the owner of
 *          the claim in the way is no witness; M6 a busy role is none; M7 no wake after the publish; M8 the bell is queued
 *          after the event; M9 no ring at the first hold; M10 a holder is no witness; M11 holders of the other side are none;
 *          M12 a cancelled reservation wakes nobody; M13 no bump before the commit; M14 a commit wakes one, though younger
 *          slots were free already; M15 an event may hide a bell; M16 the holder says so only after its claim; M17 no
 *          membarrier before the wait for the end; M18 a claim in the way keeps a sender from the end of the stream;
 *          M19 who armed, and need not sleep, disarms though another armed before; M20 though another was told, or armed, since.
 * ABSTRACT An event's value is "unchanged since I read it" (no wrap). Position p needs p - NS to be free: no laps. Head and
 *          tail are exact: mpmc.pml has the hints. Steps that touch no shared word are folded into their neighbours. So are:
 *          the live words of one sleep, queued in one step (a change of one between is one before: it is compared, or it wakes);
 *          the first two steps of a death (a wake that the doomed swallows is one that came before it left the queue);
 *          list_op_pending with the first step behind it (only its owner's death looks at it).
 *          The event of those who wait until all is done with (SHOAL_JOINER) is not here.
 * RUN: -DND=0 ok
 * RUN: -DND=1 -DNC=1 ok
 * RUN: -DND=0 -DNC=1 -DNP=2 ok
 * RUN: -DND=2 -DNC=1 -DNP=2 -DWHOM=6 ok
 * LONG: -DND=1 ok
 * LONG: -DND=2 -DWHOM=5 ok
 * LONG: -DND=2 -DNC=1 -DNP=2 -DNS=1 -DWHOM=3 ok
 * LONG: -DND=0 -DLEAVE ok
 * LONG: -DND=1 -DHOLD=1 ok
 * LONG: -DND=1 -DNT=1 -DNS=1 -DNM=2 -DWHOM=2 ok
 * LONG: -DND=1 -DNT=1 -DNS=1 -DNM=2 -DWHOM=2 -DHOLD=2 -DDROP ok
 * LONG: -DND=1 -DM2 error
 * LONG: -DND=1 -DM6 error
 * LONG: -DND=1 -DM8 error
 * LONG: -DND=1 -DNC=1 -DNP=2 -DM1 error
 * LONG: -DND=1 -DNC=1 -DNP=2 -DM3 error
 * LONG: -DND=1 -DHOLD=1 -DM10 error
 * LONG: -DND=1 -DHOLD=1 -DM16 error
 * LONG: -DND=1 -DNT=1 -DNS=1 -DNM=2 -DWHOM=2 -DM13 error
 * LONG: -DND=1 -DNT=1 -DNS=1 -DNM=2 -DWHOM=2 -DHOLD=2 -DDROP -DM9 error
 * LONG: -DND=1 -DNT=1 -DNS=1 -DNM=2 -DWHOM=2 -DHOLD=2 -DDROP -DM11 error
 * RUN: -DND=0 -DNC=1 -DNP=2 -DNS=1 ok
 * RUN: -DND=0 -DNM=2 -DHOLD=2 ok
 * RUN: -DND=0 -DM4 error
 * RUN: -DND=1 -DNC=1 -DNP=2 -DM5 error
 * RUN: -DND=0 -DM7 error
 * RUN: -DND=0 -DNC=1 -DNP=2 -DHOLD=2 -DM12 error
 * RUN: -DND=0 -DLEAVE -DM17 error
 * RUN: -DND=1 -DNC=1 -DNP=2 -DNS=1 -DM18 error
 * RUN: -DND=0 -DNM=2 -DHOLD=2 -DM19 error
 * RUN: -DND=0 -DNM=2 -DHOLD=2 -DM20 error
 *
 * Not decided: M14 and M15. Where they would show, by reading; each was stopped after millions of states:
 *   M14 two senders asleep, messages finished out of order: -DND=0 -DNP=2 -DNS=2 -DNM=2
 *   M15 two receivers asleep, one of two senders dies: -DND=1 -DNP=2 -DWHOM=4 */

#ifndef NC
#define NC 2
#endif
#ifndef NP
#define NP 1
#endif
#ifndef NM
#define NM 1
#endif
#define NR (NC + NP)    /* roles 0 .. NC-1 receive, NC .. NR-1 send; 2 to 4 in all */
#define NPOS (NP * NM)  /* more than NS: senders sleep, too */
#ifndef NS
#define NS NPOS
#endif
#ifndef ND
#define ND 1
#endif
#ifndef NT
#define NT 0
#endif
#ifndef HOLD
#define HOLD 0
#endif
#ifndef WHOM
#define WHOM 15
#endif

#define BIT(r) (1 << (r))
#define SET(mask, r) mask = mask | BIT(r)
#define CLEAR(mask, r) mask = mask & ~BIT(r)
#define HAS(mask, r) ((mask & BIT(r)) != 0)

/* ---- the segment ---- */
#define EMPTY 0
#define WRITING 1
#define FULL 2
#define READING 3
#define FREE 4                  /* received, cancelled, or a dead sender's and skipped: the slot's next lap may begin */
#define NOBODY 15
byte state[NPOS], owner[NPOS];  /* control words. READING and NOBODY's: a stray */
bool strays;                    /* there may be strays */
byte strays_seen;               /* mask: who has read its present value */
#define FREED 0
#define ALIVE 1
#define DEAD 2
#define HEIR 3                  /* + r: a dead one's, adopted by r */
byte live[NR];                  /* liveness words */
byte busy, holder;              /* masks: inside a get that may have claimed; may hold claims between calls */
#define RX 0
#define TX 1
byte armed[2];                  /* of an event: 1 somebody may sleep (W), 2 more than one may (W2) */
bool until_end;                 /* of the receivers' event: somebody waits for the claims of others to end (E) */
byte fresh[2];                  /* of an event, a mask: who has read its present value */

/* ---- the kernel and the processors ---- */
byte on_bell, on_event, on_live[NR];  /* masks of who is queued; on_event: each on the event of its side */
#define BELL 1
#define EVENT 2
#define LIVE 3
byte woke[NR];                  /* the last of its words at which a sleeper was woken, 0: not */
byte pending[NR];               /* list_op_pending: 0, BELL, or WORD + r: the liveness word of r */
#define WORD 2
byte asleep;                    /* mask: is in futex_waitv */
chan sigkill = [0] of { byte }; /* a wake that the doomed swallows is one that came before */
byte buffered;                  /* mask: the settling store is still in the store buffer */
byte expired;                   /* waits that ended by their deadline */
byte deaths;

#define RECEIVERS (BIT(NC) - 1)
#define SENDERS (BIT(NR) - 1 - RECEIVERS)
#define SIDE(side) (side * SENDERS + (1 - side) * RECEIVERS)
#define ANY 255

#define IF_QUEUED(queue, members, r, word) \
  HAS(queue & (members), r) -> CLEAR(queue, r); woke[r] = (woke[r] > word -> woke[r] : word)
inline futex_wake_one(queue, members, word) {
  atomic {
    if
    :: IF_QUEUED(queue, members, 0, word)
    :: IF_QUEUED(queue, members, 1, word)
#if NC + NP > 2
    :: IF_QUEUED(queue, members, 2, word)
#endif
#if NC + NP > 3
    :: IF_QUEUED(queue, members, 3, word)
#endif
    :: else
    fi
  }
}

/* shoal_eventcount_wake_: bump, wake `most`; W goes if they were all that slept and nobody has armed since */
#define ALL 9
inline wake(side, most) {
  if
  :: atomic { armed[side] == 0 -> fresh[side] = 0 }
  :: atomic { armed[side] != 0 -> fresh[side] = BIT(me); saw = armed[side] };
     atomic {
       do
       :: woken < most && (on_event & SIDE(side)) != 0 -> futex_wake_one(on_event, SIDE(side), EVENT); woken++
       :: else -> break
       od
     };
     d_step {
       if
       :: (woken < most || saw == 1) && HAS(fresh[side], me) ->
          armed[side] = 0; fresh[side] = 0;
          if :: side == RX -> until_end = false :: else fi
       :: else -> CLEAR(fresh[side], me)
       fi;
       saw = 0; woken = 0
     }
  fi
}
inline ring() {
  wake(RX, ALL)
#if NS < NPOS
  ; wake(TX, ALL)
#endif
}
/* a waker that has claimed: whoever armed before, and is not queued yet, looks again */
inline bump(side) { d_step { if :: armed[side] -> fresh[side] = 0 :: else fi } }

/* ---- the queue ---- */
/* h: the oldest position that is neither received nor being received */
inline find_head() {
  h = 0;
  do
  :: h < NPOS && (state[h] == READING || state[h] == FREE) -> h++
  :: else -> break
  od
}
#define IS_HOLE(p) (state[p] == WRITING && live[owner[p]] == DEAD)
inline claim_get() {
  d_step {
    find_head();
    do
    :: h < NPOS && IS_HOLE(h) -> state[h] = FREE; find_head()
    :: else -> break
    od;
    if
    :: h < NPOS && state[h] == FULL -> state[h] = READING; owner[h] = me; pos = h; got = true
    :: else -> CLEAR(busy, me)
    fi;
    h = 0
  }
}
inline claim_stray() {
  SET(strays_seen, me);
  d_step {
    h = 0;
    do
    :: h < NPOS && !(state[h] == READING && owner[h] == NOBODY) -> h++
    :: else -> break
    od;
    if :: h < NPOS -> owner[h] = me; pos = h; got = true; CLEAR(strays_seen, me) :: else fi;
    h = 0
  };
  if
  :: got
  :: d_step { !got -> if :: HAS(strays_seen, me) -> strays = false; strays_seen = 0 :: else fi }
  fi
}
inline tell_of_strays() { d_step { strays = true; strays_seen = 0 } }
/* h: the next position to send; every sender has one left */
inline find_tail() {
  h = 0;
  do
  :: h < NPOS && state[h] != EMPTY -> h++
  :: else -> break
  od
}
#define ROOM(p) (p < NS || state[p - NS] == FREE)
inline claim_put() {
  d_step {
    find_tail();
    if :: h >= NS && IS_HOLE(h - NS) -> state[h - NS] = FREE :: else fi;
    if
    :: ROOM(h) -> state[h] = WRITING; owner[h] = me; pos = h; got = true
    :: else
    fi;
    h = 0
  }
}
#define NONE 14  /* nothing is in the way by now */
/* whose claim is in the way: a role's, NOBODY's, or NONE */
inline find_blocker(whose) {
  d_step {
    if
    :: me < NC ->
       find_head();
       if
       :: strays -> whose = NONE
       :: !strays && (h == NPOS || state[h] == EMPTY) -> whose = NOBODY
       :: !strays && h < NPOS && state[h] == WRITING -> whose = owner[h]
       :: else -> whose = NONE
       fi
    :: else ->
       find_tail();
       if
       :: ROOM(h) -> whose = NONE
       :: !ROOM(h) && state[h - NS] == FULL -> whose = NOBODY
       :: else -> whose = owner[h - NS]
       fi
    fi;
    h = 0
  }
}
/* a receiver's: others have claims that could come back */
inline find_held() {
  h = 0;
  do
  :: h < NPOS && state[h] != READING -> h++
  :: else -> break
  od;
  held = h < NPOS;
  h = 0
}
/* what role i holds: a hole, a stray; only its owner or its heir does this */
inline recover() {
  d_step {
    h = 0;
    do
    :: h < NPOS && owner[h] == i && state[h] == WRITING -> state[h] = FREE
#ifdef DROP
    :: h < NPOS && owner[h] == i && state[h] == READING -> state[h] = FREE
#else
    :: h < NPOS && owner[h] == i && state[h] == READING -> owner[h] = NOBODY
#endif
    :: h < NPOS && !(owner[h] == i && (state[h] == WRITING || state[h] == READING)) -> h++
    :: else -> break
    od;
    h = 0
  };
  tell_of_strays()
}
/* Settle a claim: `to` is stored, then the events are loaded. In this order; or the store waits in the buffer. */
#define LOAD_EVENTS see_rx = armed[RX] != 0; see_tx = armed[TX] != 0; see_end = until_end
inline settle(to) {
  if
  :: state[pos] = to; d_step { LOAD_EVENTS }
  :: d_step { LOAD_EVENTS; SET(buffered, me); goal = to };
     d_step { state[pos] = to; CLEAR(buffered, me); goal = 0 }
  fi
}
/* n: positions behind pos that only waited for it */
inline count_behind(what) {
  d_step {
    n = 0;
    do
    :: pos + 1 + n < NPOS && state[pos + 1 + n] == what -> n++
    :: else -> break
    od
  }
}

/* ---- roles ---- */
/* shoal_role_hold: its first claim that will outlive the call */
inline first_hold() {
#if HOLD
  if
  :: atomic { HAS(HOLD, me) && !HAS(holder, me) -> SET(holder, me) };
#ifndef M9
     ring()
#endif
  :: else
  fi
#else
  skip
#endif
}
/* give_back(i): by its owner, or its heir */
inline give_back() {
  recover();
  d_step { CLEAR(busy, i); CLEAR(holder, i); pending[me] = WORD + i };
  live[i] = FREED;
  atomic { do :: on_live[i] != 0 -> futex_wake_one(on_live[i], ANY, LIVE) :: else -> break od };
  pending[me] = BELL;
  ring()
}
inline reap() {
  pending[me] = WORD + i;
  d_step { if :: live[i] == DEAD -> live[i] = HEIR + me; adopted = true :: else fi };
  if
  :: atomic { adopted -> adopted = false; pending[me] = BELL }; give_back()
  :: atomic { !adopted -> pending[me] = BELL }
  fi
}

/* ---- a sleeper: shoal_eventcount_wait ---- */
#define FIRST 0  /* why it attempts: the first attempt of the call, or after a sleep */
#define ARMED 1  /* if this fails, it looks around */
#define ENDED 2  /* no peer was left: once more */

inline arm(side) {
  atomic {
    fresh[side] = BIT(me); armed[side] = (armed[side] -> 2 : 1); phase = ARMED;
    if :: draining -> until_end = true; armed_e = true :: else fi
  }
}
/* disarm(): it armed, and need not sleep */
#if defined(M19)
#define UNTOUCHED(side) (HAS(fresh[side], me) && armed[side] != 0)
#elif defined(M20)
#define UNTOUCHED(side) (armed[side] == 1)
#else
#define UNTOUCHED(side) (HAS(fresh[side], me) && armed[side] == 1)
#endif
inline disarm(side) {
  if
  :: UNTOUCHED(side) -> armed[side] = 0; if :: side == RX -> until_end = false :: else fi
  :: else
  fi
}
inline unqueue() {
  d_step {
    CLEAR(asleep, me); CLEAR(on_bell, me); CLEAR(on_event, me); CLEAR(fresh[RX], me); CLEAR(fresh[TX], me);
    i = 0;
    do :: i < NR -> CLEAR(on_live[i], me); expect[i] = 0; i++ :: else -> break od;
    i = 0
  }
}
#ifdef M15
#define IN_DOUBT false
#else
#define IN_DOUBT (live[0] == DEAD || live[1] == DEAD || live[(NR > 2 -> 2 : 0)] == DEAD || live[NR - 1] == DEAD)
#endif
#define IS_PEER(r) ((r < NC) != (me < NC))
#ifdef M6
#define IS_BUSY(r) false
#else
#define IS_BUSY(r) HAS(busy, r)
#endif
#if defined(M10)
#define IS_HOLDER(r) false
#elif defined(M11)
#define IS_HOLDER(r) (HAS(holder, r) && !IS_PEER(r))
#else
#define IS_HOLDER(r) HAS(holder, r)
#endif

inline next_witness() { do :: i < NR && expect[i] == 0 -> i++ :: else -> break od }
inline forget_witnesses() {
  d_step {
    i = 0;
    do :: i < NR -> expect[i] = 0; i++ :: else -> break od;
    i = 0; peer = false; blocked = false
  }
}
#define NEXT_ROLE i++; if :: i == me -> i++ :: else fi
#ifdef M18
#define NOT_THE_END peer || blocked
#else
#define NOT_THE_END peer || (blocked && me < NC)  /* what blocks a sender may end without waking senders */
#endif
/* Armed, attempted in vain: look_at_blocker, look_at_roles, then sleep. Leaves by goto only. */
inline look_and_sleep(side) {
  find_blocker(b);
  if
  :: atomic { b == NONE -> b = 0; goto attempt }
  :: atomic { b == NOBODY -> b = 0 }
  :: atomic { b < NR && live[b] != FREED && live[b] != DEAD -> blocked = true; expect[b] = live[b] };
#ifndef M4
     buffered == 0;  /* membarrier */
#endif
     atomic {
       find_blocker(b2);
       if
       :: b2 != b -> expect[b] = 0; b = 0; b2 = 0; blocked = false; goto attempt
       :: else -> b = 0; b2 = 0
       fi
     }
  :: atomic { b < NR && (live[b] == FREED || live[b] == DEAD) -> b = 0 }  /* it is found below */
  fi;
  atomic {
#ifdef M5
    forget_witnesses();
#endif
    i = (me == 0 -> 1 : 0)
  };
  do
  :: d_step { i < NR && live[i] != DEAD ->  /* never me */
       if
       :: live[i] != FREED && expect[i] == 0 && (IS_BUSY(i) || IS_HOLDER(i) || live[i] >= HEIR || (IS_PEER(i) && !peer)) -> expect[i] = live[i]
       :: else
       fi;
       if :: live[i] != FREED && IS_PEER(i) -> peer = true :: else fi;
       NEXT_ROLE }
  :: i < NR && live[i] == DEAD -> reap(); d_step { once_more = true; NEXT_ROLE }
  :: atomic { i == NR && once_more -> once_more = false; forget_witnesses(); goto attempt }
  :: atomic { i == NR && !once_more && (NOT_THE_END) -> i = 0; peer = false; blocked = false; break }
  :: atomic { i == NR && !once_more && !(NOT_THE_END) && phase == ARMED ->
       forget_witnesses(); phase = ENDED; goto attempt }
  :: atomic { i == NR && !once_more && !(NOT_THE_END) && phase == ENDED ->
       if
       :: me < NC -> find_held()
       :: else
       fi;
       if
       :: !held -> forget_witnesses(); goto ended
       :: held && !armed_e -> held = false; draining = true; forget_witnesses(); goto arm_
       :: held && armed_e -> held = false; i = 0; break
       fi }
  od;
#if NT > 0
  if
  :: atomic { expired < NT -> expired++; forget_witnesses(); goto give_up }
  :: true
  fi;
#endif
#ifndef M8
  SET(on_bell, me);
#endif
  if
  :: atomic { HAS(fresh[side], me) -> SET(on_event, me); i = 0; next_witness() }
  :: atomic { !HAS(fresh[side], me) -> goto awake }
  fi;
#ifdef M8
  SET(on_bell, me);
#endif
  atomic {
    do
    :: i < NR && live[i] == expect[i] -> SET(on_live[i], me); i++; next_witness()
    :: i < NR && live[i] != expect[i] -> goto awake
    :: i == NR -> SET(asleep, me); forget_witnesses(); break
    od
  };
end_asleep:
  if
  :: atomic { woke[me] != 0 -> goto awake }
#if NT > 0
  :: atomic { woke[me] == 0 && expired < NT -> expired++; unqueue(); goto give_up }
#endif
  fi;
awake:
  atomic {
    unqueue(); phase = FIRST; armed_e = false; why = woke[me]; woke[me] = 0;
    if
    :: why == 0 -> goto attempt  /* a word differed */
    :: why == EVENT && !(IN_DOUBT) -> why = 0; goto attempt
    :: why == BELL || why == LIVE || (why == EVENT && IN_DOUBT) -> why = 0
    fi
  };
  ring();  /* a death: all look again */
  goto attempt
}

/* ---- death: out of the queues, the buffer drains; the robust list; list_op_pending ---- */
#define LOCALS \
  byte h, i, b, b2, n, woken, saw, pos, goal, phase, why, sent, expect[NR]; \
  bool got, adopted, once_more, peer, blocked, held, draining, armed_e, see_rx, see_tx, see_end
#define FORGET \
  h = 0; b = 0; b2 = 0; n = 0; woken = 0; saw = 0; pos = 0; goal = 0; phase = 0; why = 0; sent = 0; got = 0; adopted = 0; \
  once_more = 0; peer = 0; blocked = 0; held = 0; draining = 0; armed_e = 0; see_rx = 0; see_tx = 0; see_end = 0
#define MINE(r) (live[r] == HEIR + me || (r == me && live[r] == ALIVE))
inline next_mine(from) { i = from; do :: i < NR && !MINE(i) -> i++ :: else -> break od }
inline die() {
  atomic {
    sigkill?eval(me) -> deaths++;
    if :: HAS(buffered, me) -> state[pos] = goal; CLEAR(buffered, me) :: else fi;
    unqueue();
    woke[me] = 0; CLEAR(strays_seen, me);
    FORGET;
    next_mine(0);
    if
    :: i < NR -> live[i] = DEAD; futex_wake_one(on_live[i], ANY, LIVE); next_mine(i + 1)
    :: else
    fi
  };
  do
  :: atomic { i < NR -> live[i] = DEAD; futex_wake_one(on_live[i], ANY, LIVE); next_mine(i + 1) }
  :: atomic { i == NR -> i = 0; break }
  od;
  if
  :: pending[me] == BELL -> futex_wake_one(on_bell, ANY, BELL)
  :: pending[me] >= WORD ->
     atomic {
       i = pending[me] - WORD;
       if :: live[i] == FREED || live[i] == DEAD -> futex_wake_one(on_live[i], ANY, LIVE) :: else fi;
       i = 0
     }
  :: pending[me] == 0
  fi;
  pending[me] = 0
}

#define HAVE(side) got = false; phase = FIRST; draining = false; armed_e = false; CLEAR(fresh[side], me); goto claimed
#define HAVE_OR_LOOK(side) \
  if \
  :: got && phase == FIRST -> HAVE(side) \
  :: got && phase != FIRST -> goto disarm_ \
  :: !got && phase == FIRST -> goto arm_ \
  :: !got && phase != FIRST -> goto look \
  fi

proctype receiver(byte me) {
  LOCALS;
  {
    skip;
receive:
#if HOLD && !defined(M16)
    pending[me] = BELL;
    first_hold();
#endif
    atomic {
#ifndef M2
      pending[me] = BELL;
#endif
      busy = busy | (HAS(HOLD, me) -> 0 : BIT(me))
    };
    goto claim;
attempt:
    busy = busy | (HAS(HOLD, me) -> 0 : BIT(me));  /* a holder is watched as it is */
claim:
    if
    :: strays -> claim_stray(); atomic { if :: !got -> claim_get() :: got fi; HAVE_OR_LOOK(RX) }
    :: atomic { !strays -> claim_get(); HAVE_OR_LOOK(RX) }
    fi;
arm_:
    atomic { arm(RX); if :: !draining -> goto attempt :: else fi };
#ifndef M17
    buffered == 0;  /* membarrier */
#endif
    goto attempt;
look:
    look_and_sleep(RX);
disarm_:
    atomic { disarm(RX); HAVE(RX) };
claimed:
#if HOLD
    if
    :: HAS(HOLD, me) ->
#ifdef M16
       first_hold();
#endif
       pending[me] = 0;
       if  /* the caller has it */
       :: pending[me] = BELL
       :: atomic { true -> pending[me] = BELL; goto hand_back }
       :: goto end_away
       fi
    :: !HAS(HOLD, me)
    fi;
#endif
#ifndef M13
    bump(TX);
#endif
    settle(FREE);
    atomic { CLEAR(busy, me); if :: !see_tx && !see_end -> goto done :: else fi };
    if
    :: see_tx ->
       count_behind(FREE);
#ifdef M14
       n = 0;
#endif
       wake(TX, 1 + n)
    :: !see_tx
    fi;
    if
    :: see_end -> wake(RX, ALL)
    :: !see_end
    fi;
    goto done;
hand_back:
    bump(RX);
    owner[pos] = NOBODY;
    atomic { tell_of_strays(); LOAD_EVENTS; if :: !see_rx -> goto done :: else fi };
    wake(RX, 1);
done:
    atomic { see_rx = 0; see_tx = 0; see_end = 0; n = 0; pos = 0; pending[me] = 0; goto receive };
ended:
    atomic { disarm(RX) };
give_up:  /* its deadline has passed, or the stream has ended: it lives, but does not come back */
    atomic { phase = FIRST; draining = false; armed_e = false; CLEAR(fresh[RX], me); pending[me] = 0 };
end_away:
    false
  } unless { die() }
}

#ifdef LEAVE
#define LAST_WORDS goto leave
#else
#define LAST_WORDS goto end_away
#endif
proctype sender(byte me) {
  LOCALS;
  {
    skip;
send:
#ifdef M1
    sent++;
#else
    atomic { sent++; pending[me] = BELL };
#endif
#if HOLD && !defined(M16)
    first_hold();
#endif
attempt:
    atomic { claim_put(); HAVE_OR_LOOK(TX) };
arm_:
    atomic { arm(TX); goto attempt };
look:
    look_and_sleep(TX);
disarm_:
    atomic { disarm(TX); HAVE(TX) };
claimed:
#if HOLD
    if
    :: HAS(HOLD, me) ->
#ifdef M16
       first_hold();
#endif
       pending[me] = 0;
       if  /* the caller has it */
       :: pending[me] = BELL
       :: atomic { true -> pending[me] = BELL; goto cancel }
       :: goto end_away
       fi
    :: !HAS(HOLD, me)
    fi;
#endif
#ifndef M3
    bump(RX);
#endif
    settle(FULL);
#ifndef M7
    if
    :: see_rx -> count_behind(FULL); wake(RX, 1 + n); goto done
    :: atomic { !see_rx -> goto done }
    fi;
#endif
    goto done;
cancel:
    bump(RX);
    settle(FREE);
    if
    :: see_rx ->
       count_behind(FULL);
#ifndef M12
       wake(RX, 1 + n)
#endif
    :: !see_rx
    fi;
    if
    :: see_tx -> count_behind(FREE); wake(TX, 1 + n)
    :: !see_tx
    fi;
done:
    atomic {
      see_rx = 0; see_tx = 0; see_end = 0; n = 0; pos = 0; pending[me] = 0;
      if
      :: sent < NM -> goto send
      :: sent == NM -> LAST_WORDS
      fi
    };
#ifdef LEAVE
leave:
    atomic { pending[me] = BELL; i = me };
    give_back();
    atomic { i = 0; pending[me] = 0 };
#endif
    goto end_away;
ended:
    atomic { disarm(TX) };
give_up:
    atomic { phase = FIRST; CLEAR(fresh[TX], me); pending[me] = 0 };
end_away:
    false
  } unless { die() }
}

/* Up to ND deaths, of roles in the mask WHOM. */
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
#if (WHOM & 4) && NC + NP > 2
     :: sigkill!2
#endif
#if (WHOM & 8) && NC + NP > 3
     :: sigkill!3
#endif
     fi }
  od
}

/* ---- the claim ---- */
bool work;
byte p, r;
#define LIVES(r) (live[r] == ALIVE)
#define WORK_FOR_RECEIVERS(p) \
  (state[p] == FULL || (state[p] == READING && (owner[p] == NOBODY || !LIVES(owner[p]))))
#define PASSED(p) (state[p] == FREE || (state[p] == READING && !WORK_FOR_RECEIVERS(p)) || IS_HOLE(p))
inline no_one_alive(from, to) {
  work = true; r = from;
  do :: r < to -> if :: LIVES(r) -> work = false :: else fi; r++ :: else -> break od
}
inline none_sleeps_beside(from, to) {
  r = from;
  do :: r < to -> assert(!(work && LIVES(r) && HAS(asleep, r))); r++ :: else -> break od
}
inline find_tail_() { p = 0; do :: p < NPOS && state[p] != EMPTY -> p++ :: else -> break od }
inline check() {
  no_one_alive(NC, NR);
  p = 0;
  do :: p < NPOS -> if :: state[p] == READING -> work = false :: else fi; p++ :: else -> break od;  /* not the end yet */
  p = 0;
  do
  :: p < NPOS && WORK_FOR_RECEIVERS(p) -> work = true; break
  :: p < NPOS && PASSED(p) -> p++
  :: p < NPOS && !WORK_FOR_RECEIVERS(p) && !PASSED(p) -> break
  :: p == NPOS -> break
  od;
  none_sleeps_beside(0, NC);
  no_one_alive(0, NC);
  find_tail_();
  if
  :: p < NPOS && (ROOM(p) || IS_HOLE(p - NS)) -> work = true
#ifdef DROP
  :: p < NPOS && !ROOM(p) && state[p - NS] == READING && owner[p - NS] != NOBODY && !LIVES(owner[p - NS]) -> work = true
#endif
  :: else
  fi;
  none_sleeps_beside(NC, NR)
}

init {
  atomic {
    do :: r < NR -> live[r] = ALIVE; r++ :: else -> break od;
    r = 0;
    do :: r < NC -> run receiver(r); r++ :: else -> break od;
    do :: r < NR -> run sender(r); r++ :: else -> break od;
    r = 0;
    run killer()
  };
  timeout -> d_step { check() }
}
