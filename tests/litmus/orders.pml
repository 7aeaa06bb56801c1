/* orders.pml: the memory orders of the code, pair by pair, on a weak memory.
 *
 * CLAIM    With the orders of the code no test fails; with any one of those it names made weaker (-DWEAK=P1: seq_cst
 *          becomes acq_rel, the others relaxed) it does: they are sufficient, and each is needed.
 * MEMORY   C11 by views. A location is the history of its stores, in modification order. For each location a thread
 *          has the oldest store it may still read; a load reads that one or any later. A release store carries its
 *          thread's view, an acquire load that reads it takes it over. A read-modify-write reads the last store, and
 *          passes on what that carried. A seq_cst load reads nothing older than the last seq_cst store. membarrier:
 *          all take over the views of all. What is not atomic is used; a use that has not seen the one before is a
 *          race. Left out: a store that takes effect before a load that precedes it in its thread; a store that is
 *          earlier in modification order than in time; a seq_cst order other than that of time.
 * TESTS    PASS       written, then told: all plain pairs of release and acquire                  WRITE READ
 *          SLOT       a slot is written, read, and written again (ipc/queue/mpmc.h)               P1 G1, F1 W1
 *          HOLE       a dead producer's slot is skipped, and written by another (mpmc.c)          A5 SKIP
 *          STRAYS     a message becomes a stray while a consumer looks for one (mpmc.c)           S1 S2, S3 G1
 *          SLEEP      arm, look; claim, publish, look (sync/eventcount.h)                         A1 LOOK, CLAIM C1
 *                     -DNO_BARRIER: the sleeper has none; -DEXCHANGE: nor needs it                PUBLISH
 *                     -DUNCLAIMED: published without a claim (spsc): the barrier does it all
 *          CLOSE      claim, look at the bell; close; see it closed, look (queue.h)               CLAIM C2, A2 LOOK
 *          BUSY       whose role is seen idle, its slot is seen freed (queue.h)                   R6 A6, CLAIM
 *          LOCK       what the last holder wrote, a dead one included, is seen (core/robust.c)    R1 A1
 *          LOOKUP     a name is read while its entry goes to another (core/directory.c)           D1 D2, D3 D4
 *          REFERENCE  opener and remover each write, then look (core/reference.c)                 F1 F2, F3 F4, F5
 *          SEQLOCK    a copy is read while versions are published (sync/seqlock.h)                S1 S2, S5 S2, S3 S4
 *          ITEM       a value is read while its block goes to another, whose word is the same     I1 I2, I3 I4, W1 W2
 *                     (ipc/data/item_internal.h, core/words.h)
 *          OVERWRITE  a value is read while it is changed in its item (ipc/data/dict_internal.h)  I7 I8, W1 W2
 * RUN: -DPASS ok
 * RUN: -DPASS -DWEAK=WRITE error
 * RUN: -DPASS -DWEAK=READ error
 * RUN: -DSLOT ok
 * RUN: -DSLOT -DWEAK=P1 error
 * RUN: -DSLOT -DWEAK=G1 error
 * RUN: -DSLOT -DWEAK=F1 error
 * RUN: -DSLOT -DWEAK=W1 error
 * RUN: -DHOLE ok
 * RUN: -DHOLE -DWEAK=A5 error
 * RUN: -DHOLE -DWEAK=SKIP error
 * RUN: -DHOLE -DWEAK=W1 error
 * RUN: -DSTRAYS ok
 * RUN: -DSTRAYS -DWEAK=S1 error
 * RUN: -DSTRAYS -DWEAK=S2 error
 * RUN: -DSTRAYS -DWEAK=S3 error
 * RUN: -DSTRAYS -DWEAK=G1 error
 * RUN: -DSLEEP ok
 * RUN: -DSLEEP -DWEAK=A1 error
 * RUN: -DSLEEP -DWEAK=LOOK error
 * RUN: -DSLEEP -DWEAK=CLAIM error
 * RUN: -DSLEEP -DWEAK=C1 error
 * RUN: -DSLEEP -DNO_BARRIER error
 * RUN: -DSLEEP -DEXCHANGE ok
 * RUN: -DSLEEP -DEXCHANGE -DWEAK=PUBLISH error
 * RUN: -DSLEEP -DUNCLAIMED ok
 * RUN: -DSLEEP -DUNCLAIMED -DNO_BARRIER error
 * RUN: -DCLOSE ok
 * RUN: -DCLOSE -DWEAK=A2 error
 * RUN: -DCLOSE -DWEAK=LOOK error
 * RUN: -DCLOSE -DWEAK=CLAIM error
 * RUN: -DCLOSE -DWEAK=C2 error
 * RUN: -DBUSY ok
 * RUN: -DBUSY -DWEAK=R6 error
 * RUN: -DBUSY -DWEAK=A6 error
 * RUN: -DBUSY -DWEAK=LOOK error
 * RUN: -DBUSY -DWEAK=CLAIM error
 * RUN: -DLOCK ok
 * RUN: -DLOCK -DWEAK=R1 error
 * RUN: -DLOCK -DWEAK=A1 error
 * RUN: -DLOOKUP ok
 * RUN: -DLOOKUP -DWEAK=D1 error
 * RUN: -DLOOKUP -DWEAK=D2 error
 * RUN: -DLOOKUP -DWEAK=D3 error
 * RUN: -DLOOKUP -DWEAK=D4 error
 * RUN: -DREFERENCE ok
 * RUN: -DREFERENCE -DWEAK=F1 error
 * RUN: -DREFERENCE -DWEAK=F2 error
 * RUN: -DREFERENCE -DWEAK=F3 error
 * RUN: -DREFERENCE -DWEAK=F4 error
 * RUN: -DREFERENCE -DWEAK=F5 error
 * RUN: -DSEQLOCK ok
 * RUN: -DSEQLOCK -DWEAK=S1 error
 * RUN: -DSEQLOCK -DWEAK=S2 error
 * RUN: -DSEQLOCK -DWEAK=S3 error
 * RUN: -DSEQLOCK -DWEAK=S4 error
 * RUN: -DSEQLOCK -DWEAK=S5 error
 * RUN: -DITEM ok
 * RUN: -DITEM -DWEAK=I1 error
 * RUN: -DITEM -DWEAK=I2 error
 * RUN: -DITEM -DWEAK=I3 error
 * RUN: -DITEM -DWEAK=I4 error
 * RUN: -DITEM -DWEAK=W1 error
 * RUN: -DITEM -DWEAK=W2 error
 * RUN: -DOVERWRITE ok
 * RUN: -DOVERWRITE -DWEAK=I7 error
 * RUN: -DOVERWRITE -DWEAK=I8 error
 * RUN: -DOVERWRITE -DWEAK=W1 error
 * RUN: -DOVERWRITE -DWEAK=W2 error */

mtype = { NONE, WRITE, READ, P1, G1, F1, W1, A5, SKIP, S1, S2, S3, A1, LOOK, CLAIM, C1, PUBLISH, C2, A2, R6, A6, R1,
          D1, D2, D3, D4, F2, F3, F4, F5, S4, S5, I1, I2, I3, I4, I7, I8, W2 };
#ifndef WEAK
#define WEAK NONE
#endif
#define RLX 0
#define ACQ 1
#define REL 2
#define ACQ_REL 3
#define SC 7  /* the third bit: and in one order */
#define O(label, order) ((WEAK != label) * order + (WEAK == label && order == SC) * ACQ_REL)

/* ---- memory ---- */
#if defined(SEQLOCK) || defined(ITEM)
#define NL 4  /* locations */
#else
#define NL 3
#endif
#define NS 8  /* stores to each */
#define NT 3
byte last[NL], sc[NL];  /* of a location: its last store, its last seq_cst store */
byte value[NL * NS], carried[NL * NS * NL];
byte view[NT * NL];
#define MAX(a, b) (a > b -> a : b)
#define VIEW(t, x) view[(t) * NL + (x)]
#define VALUE(x, i) value[(x) * NS + (i)]
#define CARRIED(x, i, y) carried[((x) * NS + (i)) * NL + (y)]

inline take_over(x, i) {
  y = 0;
  do
  :: y == NL -> y = 0; break
  :: y < NL -> VIEW(me, y) = MAX(VIEW(me, y), CARRIED(x, i, y)); y++
  od
}
/* r = x */
inline load(x, order) {
  atomic {
    at = VIEW(me, x);
    if :: (order & 4) && sc[x] > at -> at = sc[x] :: else fi;
    do :: at < last[x] -> at++ :: break od;
    d_step {
      VIEW(me, x) = at; r = VALUE(x, at);
      if :: order & ACQ -> take_over(x, at) :: else fi;
      at = 0
    }
  }
}
inline append(x, v, order) {
  last[x]++; assert(last[x] < NS);
  VALUE(x, last[x]) = v; VIEW(me, x) = last[x];
  y = 0;
  do
  :: y == NL -> y = 0; break
  :: y < NL -> CARRIED(x, last[x], y) = ((order & REL) || y == x -> VIEW(me, y) : 0); y++
  od;
  if :: order & 4 -> sc[x] = last[x] :: else fi
}
inline store(x, v, order) { d_step { append(x, v, order) } }
/* r = x; x = v, which may speak of r */
inline rmw(x, v, order) {
  d_step {
    at = last[x]; r = VALUE(x, at);
    if :: order & ACQ -> take_over(x, at) :: else fi;
    append(x, v, order);
    y = 0;
    do
    :: y == NL -> y = 0; break
    :: y < NL -> CARRIED(x, at + 1, y) = MAX(CARRIED(x, at + 1, y), CARRIED(x, at, y)); y++
    od;
    at = 0
  }
}
/* A compare-and-set that succeeds if it can, else goes to `no`. */
#define CAS(x, old, new, order, no)                              \
  atomic { if :: VALUE(x, last[x]) == old :: else -> goto no fi; rmw(x, new, order) }
inline use(x) { d_step { assert(VIEW(me, x) == last[x]); append(x, 0, RLX) } }
inline membarrier() {
  d_step {
    y = 0;
    do
    :: y == NL -> y = 0; break
    :: y < NL ->
       at = 0; r = 0;
       do :: at < NT -> r = MAX(r, VIEW(at, y)); at++ :: else -> break od;
       at = 0;
       do :: at < NT -> VIEW(at, y) = r; at++ :: else -> break od;
       y++
    od;
    at = 0; r = 0
  }
}

byte ended;
#define THREAD(t) active proctype thread_##t() { byte me = t, at, y, r
#define END(claim) no: atomic { ended++; assert(ended < THREADS || (claim)) } }
#define LAST(x) VALUE(x, last[x])

#define DATA 1

#ifdef PASS
#define THREADS 2
#define FLAG 0
THREAD(0);
  use(DATA);
  store(FLAG, 1, O(WRITE, REL));
END(true)
THREAD(1);
  load(FLAG, O(READ, ACQ));
  if :: r == 1 -> use(DATA) :: else fi;
END(true)
#endif

#define CTL 0  /* a slot's control word; DATA is its payload */
#define EMPTY 0
#define WRITING 1
#define FULL 2
#define READING 3
#define STRAY 4
#define NEXT 8 /* a lap */

#ifdef SLOT
#define THREADS 2
THREAD(0);
  CAS(CTL, EMPTY, WRITING, O(W1, ACQ), no);
  use(DATA);
  store(CTL, FULL, O(P1, REL));
  CAS(CTL, NEXT + EMPTY, NEXT + WRITING, O(W1, ACQ), no);
  use(DATA);
END(true)
THREAD(1);
  CAS(CTL, FULL, READING, O(G1, ACQ), no);
  use(DATA);
  store(CTL, NEXT + EMPTY, O(F1, REL));
END(true)
#endif

#ifdef HOLE
#define THREADS 3
#define DEAD 2
THREAD(0);
  CAS(CTL, EMPTY, WRITING, ACQ, no);
  use(DATA);
  store(DEAD, 1, SC);
END(true)
THREAD(1);
  load(DEAD, O(A5, ACQ));
  if :: r == 1 :: else -> goto no fi;
  CAS(CTL, WRITING, NEXT + EMPTY, O(SKIP, REL), no);
END(true)
THREAD(2);
  CAS(CTL, NEXT + EMPTY, NEXT + WRITING, O(W1, ACQ), no);
  use(DATA);
END(true)
#endif

#ifdef STRAYS
#define THREADS 2
#define TOLD 2
THREAD(0);
  if :: rmw(TOLD, 1, RLX) :: skip fi;  /* of another, before */
  store(CTL, READING, RLX);
  use(DATA);
  store(CTL, STRAY, O(S3, REL));
  rmw(TOLD, (r + 2) | 1, O(S1, REL));
END((LAST(CTL) == STRAY) <= (LAST(TOLD) & 1))
THREAD(1);
  byte seen;
  load(TOLD, O(S2, ACQ));
  seen = r;
  if :: seen & 1 :: else -> goto no fi;
  load(CTL, RLX);
  if
  :: r == STRAY -> CAS(CTL, STRAY, READING, O(G1, ACQ), no); use(DATA)
  :: else -> CAS(TOLD, seen, seen - 1, RLX, no)
  fi;
END((LAST(CTL) == STRAY) <= (LAST(TOLD) & 1))
#endif

#ifdef SLEEP
#define THREADS 2
#define EV 1
bool asleep;
THREAD(0);
  byte armed;
  rmw(EV, (r + 2) | 1, O(A1, SC));
  armed = (r + 2) | 1;
  load(CTL, O(LOOK, SC));
#ifndef UNCLAIMED
  if :: r == WRITING :: else -> goto looked fi;
#endif
#if !defined(NO_BARRIER) && !defined(EXCHANGE)
  membarrier();
#endif
  load(CTL, O(LOOK, SC));
looked:
  if :: r == FULL -> goto no :: else fi;
  atomic { if :: LAST(EV) == armed -> asleep = true :: else fi };  /* futex_wait */
END(!asleep)
THREAD(1);
#ifndef UNCLAIMED
  CAS(CTL, EMPTY, WRITING, O(CLAIM, SC), no);
#endif
#ifdef EXCHANGE
  rmw(CTL, FULL, O(PUBLISH, SC));
#else
  store(CTL, FULL, REL);
#endif
  load(EV, O(C1, SC));
  if :: r & 1 -> atomic { rmw(EV, r + 2, SC); asleep = false } :: else fi;
END(!asleep)
#endif

#ifdef CLOSE
#define THREADS 3
#define BELL 1
bool answered, told_of_the_end;
THREAD(0);
  CAS(CTL, EMPTY, WRITING, O(CLAIM, SC), no);
  load(BELL, O(C2, SC));
  if :: r == 1 -> goto no :: else fi;
  store(CTL, FULL, REL);
  answered = true;
END(!(answered && told_of_the_end))
THREAD(1);
  load(BELL, SC);
  if :: r == 1 :: else -> goto no fi;
  load(CTL, O(LOOK, SC));
  told_of_the_end = (r == EMPTY);
END(!(answered && told_of_the_end))
THREAD(2);
  store(BELL, 1, O(A2, SC));
END(!(answered && told_of_the_end))
#endif

#ifdef BUSY
#define THREADS 2
#define IN_USE 1
THREAD(0);
  store(IN_USE, 1, RLX);
  CAS(CTL, EMPTY, READING, O(CLAIM, REL), no);
  store(CTL, NEXT + EMPTY, REL);
  store(IN_USE, 0, O(R6, REL));
END(true)
THREAD(1);
  load(CTL, O(LOOK, ACQ));
  if :: r == READING :: else -> goto no fi;
  load(IN_USE, O(A6, ACQ));
  if :: r == 0 :: else -> goto no fi;
  load(CTL, RLX);
  assert(r == NEXT + EMPTY);
END(true)
#endif

#ifdef LOCK
#define THREADS 3
#define WORD 0
#define FREE 0
#define WAITERS 10
#define OWNER_DIED 20
THREAD(0);
  CAS(WORD, FREE, 1, O(A1, ACQ), no);
  use(DATA);
  if
  :: rmw(WORD, FREE, O(R1, REL))
  :: store(WORD, WAITERS, O(R1, REL))
  :: store(WORD, OWNER_DIED, SC)
  fi;
END(true)
#define TAKE_AND_RELEASE                                                                                      \
  atomic { if :: LAST(WORD) == FREE || LAST(WORD) >= WAITERS :: else -> goto no fi; rmw(WORD, 2, O(A1, ACQ)) } \
  use(DATA);                                                                                                  \
  rmw(WORD, FREE, O(R1, REL))
THREAD(1);
  TAKE_AND_RELEASE;
END(true)
THREAD(2);
  TAKE_AND_RELEASE;
END(true)
#endif

#ifdef LOOKUP
#define THREADS 2
#define STATE 0  /* 0 LIVE, 1 REMOVED or FREE, 2 CREATING another, 3 that one LIVE */
#define NAME 1
#define OFF 2
THREAD(0);
  rmw(STATE, 1, SC);
  store(NAME, 1, O(D3, REL));
  store(OFF, 1, O(D3, REL));
  store(STATE, 2, O(D1, REL));
  rmw(STATE, 3, O(D1, REL));
END(true)
THREAD(1);
  byte state, off, name;
  load(STATE, O(D2, ACQ));
  state = r;
  load(OFF, O(D4, ACQ));
  off = r;
  load(NAME, O(D4, ACQ));
  name = r;
  load(STATE, O(D2, ACQ));
  assert(r != state || (state != 0 && state != 3) || (off == (state == 3) && name == (state == 3)));
END(true)
#endif

#ifdef REFERENCE
#define THREADS 2
#define RECORD 0
#define STATE 1
bool in_use, freed;
THREAD(0);
  rmw(RECORD, 1, O(F1, SC));
  load(STATE, O(F2, SC));
  if
  :: atomic { r == 0 -> in_use = true; assert(!freed) };
     in_use = false
  :: else
  fi;
  store(RECORD, 0, O(F5, SC));
  load(STATE, O(F2, SC));
  if :: r == 1 -> freed = true :: else fi;
END(freed)
THREAD(1);
  rmw(STATE, 1, O(F3, SC));
  load(RECORD, O(F4, SC));
  if :: r == 0 -> atomic { freed = true; assert(!in_use) } :: else fi;
END(freed)
#endif

#ifdef SEQLOCK
#define THREADS 3
#define SEQUENCE 0  /* version 0, which is 0, is in COPY(0) */
#define COPY(v) (1 + ((v) & 1))
#define LOCK_WORD 3
#define PUBLISH_NEXT                              \
  CAS(LOCK_WORD, 0, 1, ACQ, no);                  \
  load(SEQUENCE, RLX);                            \
  version = r / 2 + 1;                            \
  store(SEQUENCE, 2 * version - 1, O(S5, REL));   \
  store(COPY(version), version, O(S3, REL));      \
  store(SEQUENCE, 2 * version, O(S1, REL));       \
  store(LOCK_WORD, 0, REL)
THREAD(0);
  byte version;
  PUBLISH_NEXT;
END(true)
THREAD(1);
  byte version;
  PUBLISH_NEXT;
END(true)
THREAD(2);
  byte version, found;
  load(SEQUENCE, O(S2, ACQ));
  version = r / 2;
  load(COPY(version), O(S4, ACQ));
  found = r;
  load(SEQUENCE, RLX);
  assert(r - 2 * version > 2 || found == version);
END(true)
#endif

#ifdef ITEM
#define THREADS 2
#define WORD 0  /* 0 leads to the item, in either life; 1 elsewhere */
#define SEQ 1
#define KEY 2   /* a word of it, and one of the value */
#define VALUE 3
THREAD(0);
  store(WORD, 1, O(I3, REL));
  store(KEY, 1, O(W1, REL));
  store(VALUE, 1, O(W1, REL));
  store(SEQ, 1, O(I1, REL));
  store(WORD, 0, O(I3, REL));
END(true)
THREAD(1);
  byte seq, key, item;
  load(WORD, ACQ);
  if :: r == 0 :: else -> goto no fi;
  load(SEQ, O(I2, ACQ));
  seq = r;
  load(KEY, O(W2, ACQ));
  key = r;
  load(VALUE, O(W2, ACQ));
  item = r;
  load(WORD, O(I4, ACQ));
  if :: r == 0 :: else -> goto no fi;
  load(SEQ, O(I4, ACQ));
  assert(r != seq || key == item);
END(true)
#endif

#ifdef OVERWRITE
#define THREADS 2
#define HEAD 0  /* 1 it is being changed, 2 it was */
#define VALUE 1
#define BESIDE 2
THREAD(0);
  store(BESIDE, 1, O(W1, REL));
  store(HEAD, 1, O(I7, REL));
  store(VALUE, 1, O(W1, REL));
  store(HEAD, 2, O(I7, REL));
  store(BESIDE, 2, O(W1, REL));  /* of another item */
END(true)
THREAD(1);
  byte head, is;
  load(HEAD, O(I8, ACQ));
  head = r;
  if
  :: head == 1 -> load(BESIDE, O(W2, ACQ))
  :: else -> load(VALUE, O(W2, ACQ))
  fi;
  is = r;
  load(HEAD, O(I8, ACQ));
  assert(r != head || is == (head != 0));
END(true)
#endif
