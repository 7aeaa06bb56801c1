/* rwlock.pml: the handshake of readers and writers (sync/rwlock.c), with deaths.
 *
 * CLAIM    No writer is inside beside a reader or a writer. Whoever comes after one that died alone inside is told, and has the
 *          lock alone; after any other death nobody is told. Nobody waits for ever (Spin's invalid end states): there is no
 *          once-a-second look here.
 * WHO      NR readers and NW writers, each NM times; ND deaths at any step, asleep too; up to NT writers give up waiting.
 * KERNEL   A thread that dies leaves what it sleeps on; its seat, if it sits, is marked, its word is free again (whoever takes
 *          it learns from the door); one sleeper of the seat is woken if it was marked, or if list_op_pending points at it and
 *          it is empty. That the robust word itself loses no wake is lock.pml's claim: here who waits for it simply waits.
 * MEMORY   x86-TSO where it matters: the store that empties a seat may stay in the store buffer past the look at the door,
 *          until the reader's next read-modify-write or system call, a writer's membarrier, or death drains it.
 * MUTANTS  M1 no membarrier before the sleep                      M5 no list_op_pending while rising
 *          M2 who rises wakes nobody                              M6 the reader looks at the door, then sits
 *          M3 the writer looks at the seats, then shuts the door  M7 who is turned away sits on while it waits
 *          M4 the door says "inside" while the writer waits       M8 gives the word on, then sits
 *          M9 a dead reader's seat is waited for
 * ABSTRACT One seat a reader; taking, giving and reaping are single steps; spins are left out.
 * LONG: -DND=0 -DNM=2 ok
 * RUN: -DND=1 ok
 * LONG: -DND=2 -DNW=1 ok
 * RUN: -DND=1 -DNT=1 -DNW=1 ok
 * RUN: -DND=0 -DM1 error
 * RUN: -DND=0 -DM2 error
 * RUN: -DND=0 -DM3 error
 * RUN: -DND=1 -DM4 error
 * RUN: -DND=1 -DM5 error
 * RUN: -DND=0 -DM6 error
 * RUN: -DND=0 -DM7 error
 * RUN: -DND=0 -DM8 error
 * RUN: -DND=1 -DM9 error */

#ifndef NR
#define NR 2
#endif
#ifndef NW
#define NW 2
#endif
#ifndef NM
#define NM 1
#endif
#ifndef ND
#define ND 1
#endif
#ifndef NT
#define NT 0
#endif
#define NOBODY 255

/* ---- the lock ---- */
mtype = { OPEN, CLOSING, AWAITED, WRITING, IN_DOUBT, EMPTY, SITS, MARKED };
mtype door = OPEN, seat[NR] = EMPTY;
byte owner = NOBODY;

/* ---- kernel and processor ---- */
bool buffered[NR];  /* the reader's seat is EMPTY for itself, not yet for the others */
bool pending[NR];   /* list_op_pending points at its own seat */
byte sleeps = NOBODY;  /* on which seat the owner of the word sleeps */
byte deaths, timeouts;
#define DRAIN(r) if :: buffered[r] -> buffered[r] = false; seat[r] = EMPTY :: else fi
#define WAKE(r) if :: sleeps == r -> sleeps = NOBODY :: else fi

/* ---- what the claims speak of ---- */
byte reading, alone;
bool half_done, died_alone;
#define ENTER_READING assert(alone == 0 && !half_done); reading++
#define ENTER_ALONE assert(alone == 0 && reading == 0); alone++; half_done = true
#define LEAVE_ALONE half_done = false; alone--

#define DIES atomic { deaths < ND -> deaths++; goto dead }
/* One step, or death instead of it. */
#define STEP(x) if :: atomic { x } :: DIES fi
/* The same, when it can be done. */
#define WHEN(guard, x) if :: atomic { guard -> x } :: DIES fi

/* In doubt: repairs, and leaves. */
inline repair(me) {
  atomic { assert(died_alone); door = IN_DOUBT; ENTER_ALONE; inside = 1 };
  STEP(door = WRITING);
  STEP(LEAVE_ALONE; inside = 0);
  STEP(door = OPEN);
  STEP(owner = NOBODY)
}

#ifdef M5
#define POINT(me) skip
#else
#define POINT(me) pending[me] = true
#endif
#ifdef M2
#define RISEN_WAKE(me) pending[me] = false
#else
#define RISEN_WAKE(me)                                                                     \
  if                                                                                       \
  :: atomic { door == AWAITED -> skip }; STEP(DRAIN(me); WAKE(me); pending[me] = false)    \
  :: atomic { door != AWAITED -> pending[me] = false }                                     \
  :: DIES                                                                                  \
  fi
#endif
/* Inside it ends with the store. */
inline rise(me) {
  STEP(POINT(me); assert(!buffered[me]); buffered[me] = true; if :: inside -> reading--; inside = 0 :: else fi);
  RISEN_WAKE(me)
}

proctype reader(byte me) {
  byte n;
  bit inside;
again:
#ifdef M6
  if
  :: door == OPEN -> STEP(DRAIN(me); seat[me] = SITS); STEP(ENTER_READING; inside = 1)
  :: door != OPEN -> goto turned_away
  fi;
#else
  STEP(DRAIN(me); pending[me] = true; seat[me] = SITS);
  if
  :: atomic { door == OPEN -> pending[me] = false; ENTER_READING; inside = 1 }
  :: atomic { door != OPEN -> pending[me] = false; goto turned_away }
  :: DIES
  fi;
#endif
leave:
  rise(me);
  goto next;
turned_away:
#ifndef M7
  rise(me);
#endif
  WHEN(owner == NOBODY, DRAIN(me); owner = NR + me);
  if
  :: door == WRITING || door == IN_DOUBT -> repair(me); goto next
  :: else
  fi;
#ifdef M8
  STEP(door = OPEN);
  STEP(owner = NOBODY);
  STEP(seat[me] = SITS; ENTER_READING; inside = 1);
#else
  STEP(seat[me] = SITS; ENTER_READING; inside = 1);
  STEP(door = OPEN);
  STEP(owner = NOBODY);
#endif
  goto leave;
next:
  atomic {
    n++;
    if
    :: n < NM -> goto again
    :: else -> DRAIN(me); goto done
    fi
  };
dead:
  skip;
  d_step {
    DRAIN(me);
    if
    :: inside && owner == NR + me && alone -> alone--; died_alone = true
    :: inside && !(owner == NR + me && alone) -> reading--
    :: !inside && owner == NR + me && (door == WRITING || door == IN_DOUBT) -> died_alone = true
    :: else
    fi;
    if
    :: seat[me] == SITS -> seat[me] = MARKED; WAKE(me)
    :: seat[me] == EMPTY && pending[me] -> WAKE(me)
    :: else
    fi;
    if :: owner == NR + me -> owner = NOBODY :: else fi
  };
done:
  skip
}

#ifdef M9
#define MUST_WAIT(r) (seat[r] != EMPTY)
#else
#define MUST_WAIT(r) (seat[r] == SITS)
#endif
#ifdef M4
#define SHUT WRITING
#else
#define SHUT CLOSING
#endif

proctype writer(byte me) {
  byte n, r, i;
  bit inside;
again:
  WHEN(owner == NOBODY, owner = 2 * NR + me);
  if
  :: door == WRITING || door == IN_DOUBT -> repair(me); goto next
  :: else
  fi;
#ifndef M3
  STEP(door = SHUT);
#endif
  r = 0;
  do
  :: r == NR -> break
  :: r < NR ->
    if
    :: atomic { !MUST_WAIT(r) -> seat[r] = EMPTY; r++ }  /* a dead one's is reaped */
#ifdef M1
    :: atomic { MUST_WAIT(r) && door != AWAITED -> door = AWAITED }
#else
    :: atomic { MUST_WAIT(r) && door != AWAITED -> door = AWAITED };
       STEP(do :: i < NR -> DRAIN(i); i++ :: else -> i = 0; break od)
#endif
    :: atomic { MUST_WAIT(r) && door == AWAITED -> sleeps = r };  /* compared as it is queued */
       if
       :: sleeps == NOBODY
       :: atomic { timeouts < NT -> timeouts++; sleeps = NOBODY; goto give_up }
       :: DIES
       fi
    :: DIES
    fi
  od;
#ifdef M3
  STEP(door = CLOSING);
#endif
  STEP(door = WRITING);
  STEP(ENTER_ALONE; inside = 1);
  STEP(LEAVE_ALONE; inside = 0);
  STEP(door = OPEN);
  STEP(owner = NOBODY);
  goto next;
give_up:
  STEP(door = OPEN);
  STEP(owner = NOBODY);
next:
  atomic {
    n++;
    if
    :: n < NM -> goto again
    :: else -> goto done
    fi
  };
dead:
  skip;
  d_step {
    if :: inside -> alone-- :: else fi;
    if
    :: owner == 2 * NR + me ->
      if :: door == WRITING || door == IN_DOUBT -> died_alone = true :: else fi;
      owner = NOBODY; sleeps = NOBODY
    :: else
    fi
  };
done:
  skip
}

init {
  byte i;
  atomic {
    for (i : 0 .. NR - 1) { run reader(i) }
    for (i : 0 .. NW - 1) { run writer(i) }
  }
}
