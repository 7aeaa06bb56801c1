/* vector.pml: an array that grows while others read it (ipc/data/vector.c, vector.h; shoal_object_part_ of
 * core/directory.c): several that append, any of whom is killed anywhere, and a reader that takes no lock.
 *
 * CLAIM    What a reader finds at an index below a length that it saw is there, whole, is what was added there, and the
 *          place stays the vector's. A length never goes back, and is one that some operation left: all of an extend is
 *          seen, or nothing. An index is given once. Elements are written to the vector's own memory only, and inside
 *          it. When all are done or dead, and the dead reaped, another can fill the vector up to its limit: each chunk
 *          is one part, none is lost, and what had been added is there still.
 * WHO      NP writers of NO operations each: appends (1 element); -DEXTENDS, N2 at once; -DGROWS, zeros up to TO. A
 *          reader of NG elements. A reaper. Up to ND deaths of writers, at any step. NE entries of the directory: fewer
 *          than there are chunks: -ENOSPC.
 * STEPS    extend: shoal_vector_extend and _grow, with take, add, fill. chunk_for: the same, with chunk_make, and with
 *          shoal_object_part_: find_part, claim_entry of begin, its memset, the compare-and-set. reap: free_one, of a
 *          dead creator's. Reader: shoal_vector_at, _chunk_, and the copy of _get.
 * LOCK     The writer word is one step each way, free when its owner dies: lock.pml. What is done under the directory's
 *          is one step: nobody else changes the same entry; a dead one's is repaired by whoever has it next.
 * MEMORY   Steps in program order, each seen at once. [G1], [G2]: PASS of orders.pml, and LOCK.
 * MUTANTS  M1 the count runs ahead of the elements          M6 the count is looked at before the word is taken
 *          M2 it runs ahead of where their chunk is          M7 growing leaves what is there
 *          M3 it is published chunk by chunk                 M8 an extend does not stop where a chunk ends
 *          M4 a part that is there is not looked for         M9 a reader looks for the chunk before the count
 *          M5 nor whether it has been published              M10 what was refused half-way is counted
 *                                                            M11 a chunk is told before its part is published
 * ABSTRACT Chunk 0 has one element, an element two words: indices 0 | 1 | 2 3. Memory that goes back is overwritten at
 *          once. Each writer is a process with a view of its own; threads share one, whose places never change. No
 *          deadlines, no damage; the vector is not closed or unlinked.
 * RUN: -DNO=2 -DNG=1 ok
 * RUN: -DEXTENDS ok
 * RUN: -DGROWS ok
 * RUN: -DEXTENDS -DGROWS -DNP=1 -DNO=3 -DNG=2 ok
 * LONG: -DEXTENDS -DN2=3 -DND=2 ok
 * RUN: -DEXTENDS -DNE=1 ok
 * RUN: -DNP=1 -DND=0 -DM1 error
 * RUN: -DNP=1 -DND=0 -DNO=2 -DM2 error
 * RUN: -DEXTENDS -DNP=1 -DND=0 -DM3 error
 * RUN: -DEXTENDS -DNP=1 -DM4 error
 * RUN: -DEXTENDS -DM5 error
 * RUN: -DND=0 -DM6 error
 * RUN: -DEXTENDS -DGROWS -DM7 error
 * RUN: -DEXTENDS -DN2=3 -DNP=1 -DND=0 -DM8 error
 * RUN: -DNP=1 -DND=0 -DNO=2 -DM9 error
 * RUN: -DEXTENDS -DN2=3 -DNP=1 -DND=0 -DNE=1 -DM10 error
 * RUN: -DEXTENDS -DM11 error
 * LONG: -DNO=2 ok
 * LONG: -DEXTENDS -DGROWS -DNO=2 -DNG=1 ok
 * LONG: -DEXTENDS -DNP=3 -DNG=1 ok */

#ifndef NP
#define NP 2
#endif
#ifndef NO
#define NO 1
#endif
#ifndef NG
#define NG 2
#endif
#ifndef ND
#define ND 1
#endif
#ifndef N2
#define N2 2
#endif
#ifndef TO
#define TO 3
#endif
#ifndef NE
#define NE (NC - 1)
#endif
#define NC 3
#define LIMIT 4
#define CHUNK_OF(i) ((i) == 0 -> 0 : ((i) == 1 -> 1 : 2))
#define FIRST(k) ((k) == 0 -> 0 : ((k) == 1 -> 1 : 2))
#define END(k) (1 << (k))
#define SIZE(k) (END(k) - FIRST(k))
#define BIT(x) (1 << (x))

/* ---- the directory: entries of parts, and their memory. A place: an entry + 1; 0: of chunk 0, the vector's ---- */
#define FREE 0
#define CREATING 1
#define REMOVED 2
byte entry[NE], which[NE], creator[NE];
#define JUNK 99
byte memory[(NE + 1) * 4];
#define WORD(place, i, j) memory[(place) * 4 + (i) * 2 + (j)]
#define IS_PART(place, k) ((place) == 0 -> (k) == 0 : entry[(place) - 1] == REMOVED && which[(place) - 1] == (k))

/* ---- the vector ---- */
byte owner;              /* of the writer word: writer t as t + 1 */
byte count, chunk[NC];   /* places; chunk 0's is known */

/* ---- ghosts ---- */
byte deaths, dead, values;
byte given, ends = 1;    /* masks: indices that were given; lengths that an operation left */
byte added[LIMIT];

/* One step, or death instead of it. */
#define DIE atomic { deaths < ND -> deaths++; goto died }
#define STEP(x) if :: d_step { true; x } :: DIE fi

inline wipe(e, with) {
  WORD(e + 1, 0, 0) = with; WORD(e + 1, 0, 1) = with; WORD(e + 1, 1, 0) = with; WORD(e + 1, 1, 1) = with
}
/* An entry of a dead creator is free again. */
#define IS_LOST(e) (entry[e] == CREATING && (dead & BIT(creator[e])))
inline reap(e) { entry[e] = FREE; which[e] = 0; creator[e] = 0; wipe(e, JUNK) }

/* ---- a writer ---- */
#if defined(M4)
#define IS_FOUND(e) false
#elif defined(M5)
#define IS_FOUND(e) (entry[e] != FREE && which[e] == k)
#else
#define IS_FOUND(e) (entry[e] == REMOVED && which[e] == k)
#endif
#ifdef M11
#define TELL_EARLY STEP(chunk[k] = e + 1)
#else
#define TELL_EARLY
#endif
#ifdef M2
#define TELL
#else
#define TELL STEP(chunk[k] = e + 1)
#endif
inline make_part() {
  STEP(
    e = 0;
    do
    :: e == NE || IS_FOUND(e) -> break
    :: else -> e++
    od
  );
  if
  :: e < NE
  :: else ->
     STEP(  /* claim, which reaps what is in its way */
       e = 0;
       do
       :: e == NE -> break
       :: e < NE && IS_LOST(e) -> reap(e); break
       :: e < NE && entry[e] == FREE -> break
       :: else -> e++
       od;
       if
       :: e < NE -> which[e] = k; creator[e] = me; entry[e] = CREATING
       :: else -> refused = true
       fi
     );
     if
     :: refused
     :: else ->
        STEP(wipe(e, 0));
        TELL_EARLY;
        STEP(assert(entry[e] == CREATING && creator[e] == me); creator[e] = 0; entry[e] = REMOVED)
     fi
  fi
}
inline chunk_for() {
  if
  :: k == 0 || known[k]
  :: else ->
     STEP(known[k] = chunk[k]);
     if
     :: known[k]
     :: else ->
        make_part();
        if
        :: refused
        :: else -> TELL; known[k] = e + 1
        fi
     fi
  fi;
  e = 0
}
#ifdef M7
#define FILLS (v != 0)
#else
#define FILLS true
#endif
#define SET(j)                                                                               \
  assert(IS_PART(known[k], k) && from - FIRST(k) < SIZE(k));                                 \
  if :: FILLS -> WORD(known[k], from - FIRST(k), j) = v :: else fi
#ifdef M8
#define HERE n
#else
#define HERE (END(k) - from)
#endif
#ifdef M3
#define SO_FAR if :: from < had + n -> STEP(count = from) :: else fi
#else
#define SO_FAR
#endif
inline fill() {
  from = had;
  do
  :: from == had + n || refused -> break
  :: else ->
     k = CHUNK_OF(from);
     chunk_for();
     if
     :: refused
     :: else ->
        here = (HERE < had + n - from -> HERE : had + n - from);
        do
        :: here == 0 -> break
        :: here > 0 -> STEP(SET(0)); STEP(SET(1); from++; here--)
        od;
        SO_FAR
     fi
  od;
  k = 0; from = 0
}
inline take_effect() {
  from = had;
  do
  :: from == had + n -> break
  :: from < had + n -> assert(!(given & BIT(from))); given = given | BIT(from); added[from] = v; from++
  od;
  ends = ends | BIT(had + n);
  from = 0
}
#define APPEND 1
#define GROW 2

proctype writer(byte me) {
  byte ops, op, v, n, had, from, here, k, e;
  byte known[NC];
  bool refused;
next:
  atomic {
    op = APPEND; n = 0; had = 0; v = 0; refused = false;
    if
    :: ops == NO -> goto finished
    :: ops < NO && me == NP -> ops = NO; op = GROW; n = LIMIT
    :: ops < NO && me < NP ->
       ops++;
       if
       :: n = 1
#ifdef EXTENDS
       :: n = N2
#endif
#ifdef GROWS
       :: n = TO; op = GROW
#endif
       fi;
       if :: op == APPEND -> values++; v = values :: else fi
    fi
  };
extend:
#ifdef M6
  if :: atomic { true; had = count } :: DIE fi;
#endif
  if
  :: atomic { owner == 0 -> owner = me + 1 }
  :: atomic { owner != 0 && deaths < ND -> deaths++; goto died }
  fi;
#ifndef M6
  STEP(had = count);
#endif
  if
  :: op == GROW && n <= had -> goto release
  :: op == GROW && n > had -> n = n - had
  :: else
  fi;
  if
  :: had + n > LIMIT -> goto release
  :: else
  fi;
#ifdef M1
  STEP(count = had + n; take_effect());
#endif
  fill();
#ifndef M10
  if
  :: refused -> goto release
  :: else
  fi;
#endif
#ifndef M1
  STEP(count = had + n; take_effect());
#endif
#ifdef M2
  if :: known[2] -> STEP(chunk[2] = known[2]) :: else fi;
  if :: known[1] -> STEP(chunk[1] = known[1]) :: else fi;
#endif
release:
  if :: d_step { true; assert(owner == me + 1 && (me < NP || !refused)); owner = 0 } :: DIE fi;
  goto next;

died:
  atomic {
    if :: owner == me + 1 -> owner = 0 :: else fi;
    dead = dead | BIT(me)
  };
finished:
  atomic { ops = 0; op = 0; n = 0; had = 0; v = 0; from = 0; here = 0; k = 0; e = 0; refused = false;
           known[1] = 0; known[2] = 0 }
}

#if ND
active proctype reaper() {
  byte e;
end:
  do
  :: atomic { IS_LOST(0) -> e = 0; reap(0) }
#if NE > 1
  :: atomic { IS_LOST(1) -> reap(1) }
#endif
  od
}
#endif

/* ---- a reader ---- */
proctype reader() {
  byte gets, i, n, w, a;
  byte known[NC];
next:
  atomic {
    w = 0; a = 0; i = 0;
    if
    :: gets == NG -> goto finished
    :: gets < NG -> gets++
    fi;
    if
    :: i = 0
    :: i = 1
    :: i = 2
    :: i = 3
    fi
  };
#ifdef M9
  if
  :: i > 0 && !known[CHUNK_OF(i)] -> w = chunk[CHUNK_OF(i)]
  :: else -> w = known[CHUNK_OF(i)]
  fi;
#endif
  atomic {
    assert(count >= n && (ends & BIT(count)));
    n = count;
    if
    :: i >= n -> goto next
    :: else
    fi
  };
#ifdef M9
  assert(w || i == 0);
  known[CHUNK_OF(i)] = w;
#else
  if
  :: i > 0 && !known[CHUNK_OF(i)] -> d_step { known[CHUNK_OF(i)] = chunk[CHUNK_OF(i)]; assert(known[CHUNK_OF(i)]) }
  :: else
  fi;
#endif
  a = WORD(known[CHUNK_OF(i)], i - FIRST(CHUNK_OF(i)), 0);
  atomic {
    assert(IS_PART(known[CHUNK_OF(i)], CHUNK_OF(i)));
    assert(a == added[i] && WORD(known[CHUNK_OF(i)], i - FIRST(CHUNK_OF(i)), 1) == a);
    goto next
  };
finished:
  atomic { gets = 0; n = 0; known[1] = 0; known[2] = 0 }
}

init {
  byte i;
  atomic {
    for (i : 0 .. NE - 1) { wipe(i, JUNK) }  /* chunk 0 was zeroed with the vector */
    for (i : 0 .. NP - 1) { run writer(i) }
    run reader();
    i = 0
  };
  timeout -> atomic { deaths = ND; assert(owner == 0); if :: NE == NC - 1 -> run writer(NP) :: else fi };
  timeout -> d_step {
    i = 0;
    do
    :: i == count -> break
    :: i < count ->
       assert(i == 0 || IS_PART(chunk[CHUNK_OF(i)], CHUNK_OF(i)));
       assert(WORD(chunk[CHUNK_OF(i)], i - FIRST(CHUNK_OF(i)), 0) == added[i]);
       assert(WORD(chunk[CHUNK_OF(i)], i - FIRST(CHUNK_OF(i)), 1) == added[i]);
       i++
    od;
    assert(given == BIT(count) - 1 && (NE < NC - 1 || count == LIMIT))
  }
}
