/* condition.pml: the line of a condition (sync/condition.c), with the kernel's futex and robust-list rules.
 *
 * CLAIM    When nothing can move any more, no living thread sleeps notified; none sleeps while one that died notified stands in
 *          line; and none sleeps while there is an item, unless the lock was left by the dead and nobody has taken it since
 *          (then its next taker repairs and notifies all; there is no timer here that makes a waiter the next taker).
 * WHO      NW waiters for ever: take an item under the lock, or wait. NN notifiers: under the lock put an item, notify one; NM
 *          times each. Up to ND of them are killed, at any step; up to NT waits end by their deadline.
 * LOCK     one step each way, robust: sync/lock.h is modelled elsewhere. Who finds that its owner died notifies all.
 * KERNEL   as in wait.pml: futex_wake is one step and picks any sleeper; a sleeper queues on its event, then on the live word that
 *          it watches, each compared as it is queued; of two wakes it is told the last word only. A thread that dies leaves the
 *          queues; words of its own are marked, one sleeper of each woken; then one sleeper at list_op_pending, if that
 *          word has no owner.
 * MEMORY   sequentially consistent, as the compare-and-sets of the code are where two threads look at each other.
 * MUTANTS  M1 nobody watches; M2 who leaves before an older one does not hand on; M3 who gives up does not; M4 a grant does
 *          not point list_op_pending; M5 nor does a sleeper; M6 a dead one's notification is not passed on; M7 it is
 *          forgotten before it is passed on; M8 an heir wakes nobody; M9 who looks at the line does so before it is seen asleep;
 *          M10 a grant that went to a thread which came back under a new ticket counts; M11 the woken one does not look at
 *          the seat it watched; M12 a seat that is emptied while it is looked at counts as the oldest; M13 who hands on does not point
 *          list_op_pending.
 *          M11 has no line: whoever does not look there looks at the whole line before it sleeps again, and if it leaves instead,
 *          it has the one behind it look.
 * LINES    LINED: the waiters stand in line, asleep, when it begins. STALE: the first watches the second, as after a seat was
 *          taken anew. UP: the last is awake. SPARE: nobody dies who has the lock. NG: items a put, all notified at once.
 *          GIVEN: and the first has been notified of an item that is there, so that nobody need notify (NN=0).
 *          FINE: each look at a seat is two steps, its event and live word, then its ticket.
 *          ONLY: nobody but that one dies, or has a deadline. AFTER: the notifiers come when it has died; if it lives it comes no further
 *          than to the lock.
 *          Not with M1: LINED, for who begins asleep has chosen whom to watch.
 * ABSTRACT A seat is its thread's for ever. Spinning is no step: a grant may come before the first sleep. Steps that touch no
 *          shared word are folded into their neighbours; but for FINE, a look at all seats is one step.
 * RUN: -DND=0 ok
 * RUN: -DND=1 ok
 * RUN: -DND=0 -DNT=1 ok
 * RUN: -DND=1 -DLINED ok
 * RUN: -DND=1 -DM1 error
 * RUN: -DND=1 -DLINED -DNW=3 -DNG=2 -DM2 error
 * RUN: -DND=1 -DLINED -DNW=3 -DNT=1 -DM3 error
 * RUN: -DND=1 -DM4 error
 * RUN: -DND=1 -DLINED -DSTALE -DFINE ok
 * RUN: -DND=1 -DLINED -DSTALE -DFINE -DM12 error
 * RUN: -DND=2 -DLINED ok
 * RUN: -DND=2 -DLINED -DNW=3 -DNN=0 -DGIVEN ok
 * RUN: -DND=2 -DLINED -DNW=3 -DNN=0 -DGIVEN -DSTALE ok
 * RUN: -DND=2 -DLINED -DNW=3 -DNN=0 -DGIVEN -DSTALE -DM5 error
 * RUN: -DND=1 -DM6 error
 * RUN: -DND=2 -DLINED -DNW=3 -DNN=0 -DGIVEN -DM7 error
 * RUN: -DND=2 -DLINED -DNW=3 -DNN=0 -DGIVEN -DSTALE -DM8 error
 * RUN: -DND=1 -DLINED -DNW=3 -DNN=0 -DGIVEN -DUP -DNT=1 -DM9 error
 * RUN: -DND=1 -DLINED -DNW=3 -DNN=0 -DGIVEN -DUP -DNT=1 -DM10 error
 * LONG: -DND=1 -DLINED -DNW=3 ok
 * LONG: -DND=1 -DLINED -DNW=3 -DNG=2 -DNT=1 -DUP -DONLY=1 -DAFTER ok
 * LONG: -DND=1 -DLINED -DNW=3 -DNG=2 -DNT=1 -DUP -DONLY=1 -DAFTER -DM13 error
 * LONG: -DND=1 -DLINED -DNW=3 -DNN=0 -DGIVEN -DUP -DNT=1 -DSPARE ok
 */

#ifndef NW
#define NW 2
#endif
#ifndef NN
#define NN 1
#endif
#ifndef NM
#define NM 1
#endif
#ifndef NG
#define NG 1
#endif
#ifndef ND
#define ND 1
#endif
#ifndef NT
#define NT 0
#endif
#define NP (NW + NN) /* threads: 0 .. NW-1 wait, NW .. NP-1 notify */

#define BIT(r) (1 << (r))
#define SET(mask, r) mask = mask | BIT(r)
#define CLEAR(mask, r) mask = mask & ~BIT(r)
#define HAS(mask, r) ((mask & BIT(r)) != 0)

/* ---- shared memory ---- */
#define FREE 0
#define ALIVE 1
#define DEAD 2
#define HEIR 3 /* + r: a dead one's, adopted by r */
byte live[NW];
#define OUT 0
#define AWAKE 1
#define ASLEEP 2
#define GRANTED 3
#define WAITS(e) (e == AWAKE || e == ASLEEP)
byte event[NW];
byte ticket[NW];
byte tickets, served;
byte owner; /* of the lock: 0, or thread + 1 */
bool lost;  /* its owner died, nobody has taken it since */
byte items;

/* ---- the kernel ---- */
byte on_event;    /* mask: queued, each on its own */
byte on_live[NW]; /* masks: queued on the live word of a seat */
byte at_event, at_live; /* masks: woken there */
byte asleep;            /* mask: is in the system call, queued wherever it wants to be */
byte pending[NP];       /* 0, LIVE + seat, EVENT + seat */
#define LIVE 1
#define EVENT 8
byte expired;
bool died;
chan sigkill = [0] of { byte };

#define IF_QUEUED(s, r) HAS(on_live[s], r) -> CLEAR(on_live[s], r); SET(at_live, r)
inline wake_one_watcher(s) {
  atomic {
    if
    :: IF_QUEUED(s, 0)
    :: IF_QUEUED(s, 1)
#if NW > 2
    :: IF_QUEUED(s, 2)
#endif
#if NW > 3
    :: IF_QUEUED(s, 3)
#endif
    :: on_live[s] == 0
    fi
  }
}
inline wake_event(s) { /* alone there */
  d_step { if :: HAS(on_event, s) -> CLEAR(on_event, s); SET(at_event, s) :: else fi }
}
#define UNQUEUE(s) CLEAR(on_live[s], me)
inline unqueue() {
  CLEAR(on_event, me); CLEAR(asleep, me); CLEAR(at_event, me); CLEAR(at_live, me); UNQUEUE(0); UNQUEUE(1);
#if NW > 2
  UNQUEUE(2);
#endif
#if NW > 3
  UNQUEUE(3);
#endif
}

/* ---- grants ---- */
/* to: the oldest that waits, NONE */
#define NONE 15
#define IS_OLDER(i) (WAITS(event[i]) && live[i] != FREE && live[i] != DEAD && (to == NONE || ticket[i] < its))
inline find_oldest() {
#ifdef FINE
  d_step { i = 0; to = NONE; its = 0 };
  do
  :: d_step { i < NW && WAITS(event[i]) && live[i] != FREE && live[i] != DEAD -> seen = 1 };
     d_step { seen = 0;
       if
#ifdef M12
       :: to == NONE || ticket[i] <= its -> to = i; its = ticket[i]
#else
       :: ticket[i] != 0 && (to == NONE || ticket[i] <= its) -> to = i; its = ticket[i]
#endif
       :: else
       fi;
       i++ }
  :: d_step { i < NW && !(WAITS(event[i]) && live[i] != FREE && live[i] != DEAD) -> i++ }
  :: atomic { i == NW -> i = 0; if :: its == 0 -> to = NONE :: else fi; break }
  od
#else
  d_step {
    i = 0; to = NONE; its = 0;
    do
    :: i < NW && IS_OLDER(i) -> to = i; its = ticket[i]; i++
    :: i < NW && !IS_OLDER(i) -> i++
    :: else -> break
    od;
    i = 0
  }
#endif
}
/* given: it went to a thread of the line as it was seen */
inline grant() {
  d_step {
#ifndef M4
    saved = pending[me]; pending[me] = EVENT + to;
#endif
    given = false; was = OUT
  };
  d_step { if :: WAITS(event[to]) -> was = event[to]; event[to] = GRANTED :: else fi };
  if
  :: d_step { was != OUT ->
#ifdef M10
       given = true;
       assert(ticket[to] == its)
#else
       given = (ticket[to] == its)
#endif
     };
     if
     :: was == ASLEEP -> wake_event(to)
     :: else
     fi
  :: else
  fi;
  d_step {
#ifndef M4
    pending[me] = saved; saved = 0;
#endif
    was = OUT
  }
}
/* given, its: whether, to which ticket */
inline grant_oldest() {
  given = false;
  do
  :: find_oldest();
     if
     :: atomic { to == NONE -> break }
     :: to != NONE -> grant(); if :: given -> break :: else fi
     fi
  od;
  to = 0
}

/* ---- the dead ---- */
inline reap(s) {
  d_step { if :: live[s] == DEAD -> live[s] = HEIR + me; adopted = true :: else fi };
  if
  :: adopted ->
     d_step { if :: WAITS(event[s]) -> event[s] = OUT :: else fi };
#ifdef M7
     d_step { was_granted = event[s] == GRANTED; event[s] = OUT };
     if :: was_granted -> was_granted = false; grant_oldest() :: else fi;
#else
#ifndef M6
     if :: event[s] == GRANTED -> grant_oldest(); its = 0 :: else fi;
#endif
#ifdef FINE
     ticket[s] = 0;
     event[s] = OUT;
#else
     d_step { ticket[s] = 0; event[s] = OUT };
#endif
#endif
     d_step { given = false; its = 0; saved2 = pending[me]; pending[me] = LIVE + s; live[s] = FREE };
#ifndef M8
     atomic { do :: on_live[s] != 0 -> wake_one_watcher(s) :: else -> break od };
#endif
     d_step { pending[me] = saved2; saved2 = 0; adopted = false }
  :: else
  fi
}
inline reap_all() {
  do
  :: d_step { d < NW && live[d] != DEAD -> d++ }
  :: d < NW && live[d] == DEAD -> reap(d)
  :: atomic { d == NW -> d = 0; break }
  od
}
inline notify(n) {
  any = n;
  do
  :: any > 0 && served < tickets ->
     grant_oldest();
     d_step { served = (given -> its : tickets); its = 0; given = false; any = (any == 9 -> 9 : any - 1) }
  :: atomic { any == 0 || served == tickets -> any = 0; break }
  od;
  if
  :: live[0] == DEAD || live[1] == DEAD || live[NW - 1] == DEAD -> reap_all()
  :: else
  fi
}
#define ALL 9

inline acquire() { atomic { owner == 0 -> owner = me + 1; told = lost; lost = false } }
inline release() { owner = 0 }
inline repair() { if :: told -> notify(ALL); told = false :: else fi }

/* ---- the line ---- */
/* before, expect, behind: the neighbours of `me`; dead: there are dead in it */
#define IN_LINE(i) (i != me && event[i] != OUT && live[i] != FREE)
#define IS_BEFORE(i) (IN_LINE(i) && ticket[i] < ticket[me] && ticket[i] >= b_ticket)
#define IS_BEHIND(i) (IN_LINE(i) && ticket[i] > ticket[me] && (behind == NONE || ticket[i] < h_ticket))
#define NOTE_BEFORE(i) before = i; b_ticket = ticket[i]; expect = live[i]
#define NOTE_BEHIND(i) behind = i; h_ticket = ticket[i]
inline look() {
#ifdef FINE
  d_step { i = 0; before = NONE; behind = NONE; b_ticket = 0; h_ticket = 0; expect = 0; dead = false };
  do
  :: d_step { i < NW && IN_LINE(i) -> dead = dead || live[i] == DEAD; seen = live[i] };
     d_step {
       if
       :: ticket[i] < ticket[me] && ticket[i] >= b_ticket -> before = i; b_ticket = ticket[i]; expect = seen
       :: ticket[i] > ticket[me] && (behind == NONE || ticket[i] < h_ticket) -> NOTE_BEHIND(i)
       :: else
       fi;
       seen = 0;
       i++ }
  :: d_step { i < NW && !IN_LINE(i) -> dead = dead || live[i] == DEAD; i++ }
  :: atomic { i == NW -> i = 0; b_ticket = 0; h_ticket = 0; break }
  od
#else
  d_step {
    i = 0; before = NONE; behind = NONE; b_ticket = 0; h_ticket = 0; expect = 0;
    dead = live[0] == DEAD || live[1] == DEAD || live[(NW > 2 -> 2 : 0)] == DEAD || live[NW - 1] == DEAD;
    do
    :: i < NW && IS_BEFORE(i) -> NOTE_BEFORE(i); i++
    :: i < NW && IS_BEHIND(i) -> NOTE_BEHIND(i); i++
    :: i < NW && !IS_BEFORE(i) && !IS_BEHIND(i) -> i++
    :: else -> break
    od;
    i = 0; b_ticket = 0; h_ticket = 0
  }
#endif
}
inline hand_on() {
  look();
  if
  :: before != NONE && behind != NONE ->
#ifndef M13
     d_step { saved = pending[me]; pending[me] = EVENT + behind };
#endif
     d_step { if :: event[behind] == ASLEEP -> event[behind] = AWAKE; told = true :: else fi };
     if
     :: told -> wake_event(behind); told = false
     :: else
     fi;
#ifndef M13
     d_step { pending[me] = saved; saved = 0 }
#endif
  :: else
  fi;
  d_step { before = NONE; behind = NONE; dead = false; expect = 0 }
}

/* ---- death ---- */
#ifdef FINE
#define SEEN byte seen;
#define FORGET_SEEN seen = 0;
#else
#define SEEN
#define FORGET_SEEN
#endif
#define LOCALS SEEN \
  byte i, d, to, its, was, any, saved, saved2, before, behind, b_ticket, h_ticket, expect, done; \
  bool given, adopted, told, dead, first, was_granted
#define FORGET FORGET_SEEN \
  i = 0; d = 0; to = 0; its = 0; was = 0; any = 0; saved = 0; saved2 = 0; before = 0; behind = 0; b_ticket = 0; h_ticket = 0; \
  expect = 0; done = 0; given = 0; adopted = 0; told = 0; dead = 0; first = 0; was_granted = 0
#define MINE(s) (live[s] == HEIR + me || (s == me && live[s] == ALIVE))
inline die() {
  d_step { unqueue(); FORGET; died = true; if :: owner == me + 1 -> owner = 0; lost = true :: else fi };
  do
  :: atomic { i < NW && MINE(i) -> live[i] = DEAD; wake_one_watcher(i); i++ }
  :: d_step { i < NW && !MINE(i) -> i++ }
  :: atomic { i == NW -> i = 0; break }
  od;
  if
  :: pending[me] >= EVENT -> wake_event(pending[me] - EVENT)
  :: atomic { pending[me] >= LIVE && pending[me] < EVENT && (live[pending[me] - LIVE] == FREE || live[pending[me] - LIVE] == DEAD) ->
       wake_one_watcher(pending[me] - LIVE) }
  :: else
  fi;
  pending[me] = 0
}

#ifdef STALE
#define WATCHED(r) (r -> r - 1 : 1)
#else
#define WATCHED(r) (r -> r - 1 : NONE)
#endif
#ifdef M5
#define SLEEPS_POINTING(r)
#else
#define SLEEPS_POINTING(r) ; pending[r] = LIVE + WATCHED(r)
#endif
#ifdef ONLY
#define LATE (me == ONLY)
#else
#define LATE true
#endif
#ifdef SPARE
#define MORTAL (owner == me + 1 -> 255 : me)
#else
#define MORTAL me
#endif
proctype waiter(byte me) {
  LOCALS;
  {
    before = NONE; behind = NONE;
#ifdef LINED
    atomic {
      if
      :: event[me] == AWAKE -> goto asleep_
      :: else -> first = WATCHED(me) == NONE; before = WATCHED(me); goto end_asleep
      fi
    };
#endif
again:
    acquire();
hold:
    repair();
    if
    :: atomic { items > 0 -> items-- }; release(); goto again
    :: items == 0
    fi;
    live[me] = ALIVE;
    d_step { tickets++; ticket[me] = tickets; event[me] = AWAKE; first = false };
    release();
asleep_:
    if
    :: atomic { event[me] == GRANTED -> goto woken }
    :: event[me] != GRANTED
#if NT > 0
    :: atomic { event[me] != GRANTED && expired < NT && LATE -> expired++; goto give_up }
#endif
    fi;
#ifdef M9
    look();
#endif
    d_step { if :: event[me] == AWAKE -> event[me] = ASLEEP :: else fi };
#ifndef M9
    look();
#endif
    do
    :: dead -> reap_all(); look()
    :: else -> break
    od;
#ifdef M1
    before = NONE;
#endif
    atomic {
      first = before == NONE; behind = NONE;
#ifndef M5
      if :: before != NONE -> pending[me] = LIVE + before :: else fi;
#endif
    };
    atomic {
      if
      :: event[me] == ASLEEP -> SET(on_event, me)
      :: else -> goto looked
      fi
    };
    atomic {
      if
      :: before == NONE
      :: before != NONE && live[before] == expect -> SET(on_live[before], me)
      :: else -> unqueue(); goto looked
      fi;
      SET(asleep, me); expect = 0
    };
end_asleep:
    if
    :: atomic { HAS(at_live, me) -> unqueue() };
#ifndef M11
       reap(before)
#endif
    :: d_step { HAS(at_event, me) && !HAS(at_live, me) -> unqueue() }
#if NT > 0
    :: atomic { !HAS(at_event, me) && !HAS(at_live, me) && expired < NT && LATE -> expired++; unqueue(); goto give_up }
#endif
    fi;
looked:
    atomic { before = NONE; expect = 0; goto asleep_ };
#if NT > 0
give_up:
    atomic { if :: WAITS(event[me]) -> event[me] = OUT :: else -> goto woken fi };
#ifndef M3
    if
    :: !first -> hand_on()
    :: else
    fi;
#endif
#endif
woken:
#ifdef AFTER
    if
    :: me == ONLY ->
end_only: false
    :: else
    fi;
#endif
    atomic { pending[me] = 0; before = NONE; behind = NONE; expect = 0 };
    acquire();
    if
    :: !first ->
       d_step { given = event[me] == GRANTED; event[me] = OUT };
#ifndef M2
       if
       :: given -> dead = told; given = false; told = false; skip; was_granted = dead; hand_on(); told = was_granted; was_granted = false
       :: else
       fi
#endif
    :: else
    fi;
    d_step { given = false; event[me] = OUT; pending[me] = LIVE + me };
    d_step { live[me] = FREE; ticket[me] = 0; pending[me] = 0; first = false };
    goto hold
  } unless { sigkill?eval(MORTAL) -> die() }
}

proctype notifier(byte me) {
  LOCALS;
  {
    skip;
again:
end_before:
#ifdef AFTER
    died -> skip;
#endif
    acquire();
    repair();
    items = items + NG;
    notify(NG);
    atomic { done++; owner = 0; if :: done < NM -> goto again :: else fi };
end_away:
    false
  } unless { sigkill?eval(MORTAL) -> die() }
}

proctype killer() {
  byte deaths;
  do
  :: deaths < ND ->
     if
#ifdef ONLY
     :: sigkill!ONLY
#else
     :: sigkill!0
     :: sigkill!1
     :: sigkill!2
#if NP > 3
     :: sigkill!3
#endif
#if NP > 4
     :: sigkill!4
#endif
#endif
     :: break
     fi;
     deaths++
  :: deaths == ND -> break
  od
}

/* ---- the claim ---- */
byte r;
bool waits, swallowed;
init {
  atomic {
#ifdef LINED
    do
    :: r < NW ->
       live[r] = ALIVE; event[r] = ASLEEP; ticket[r] = r + 1; SET(on_event, r); SET(asleep, r);
       if :: WATCHED(r) != NONE -> SET(on_live[WATCHED(r)], r) SLEEPS_POINTING(r) :: else fi;
       r++
    :: r == NW -> r = 0; break
    od;
    tickets = NW;
#ifdef UP
    event[NW - 1] = AWAKE; CLEAR(on_event, NW - 1); CLEAR(asleep, NW - 1); CLEAR(on_live[NW - 2], NW - 1); pending[NW - 1] = 0;
#endif
#ifdef GIVEN
    event[0] = GRANTED; CLEAR(on_event, 0); SET(at_event, 0); items = 1; served = 1;
#endif
#endif
    do
    :: r < NW -> run waiter(r); r++
    :: r < NP && r >= NW -> run notifier(r); r++
    :: r == NP -> r = 0; break
    od;
    run killer()
  };
  atomic {
    timeout;
    do
    :: r < NW ->
       if
       :: HAS(asleep, r) -> assert(event[r] != GRANTED); waits = true
       :: else
       fi;
       if
       :: live[r] >= HEIR -> assert(false)
       :: live[r] == DEAD && event[r] == GRANTED -> swallowed = true
       :: else
       fi;
       r++
    :: r == NW -> break
    od;
    assert(!(waits && swallowed));
    assert(!waits || lost || items == 0)
  }
}
