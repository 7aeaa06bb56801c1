/* seqlock.pml: a value that is read beside its writers (sync/seqlock.c, sync/seqlock.h).
 *
 * CLAIM    A load answers what was stored as one version, whole, and one that was current at some moment of the call; later loads
 *          of a thread none older. A version is of one value for good, whoever died. A draft begins as the last version. A load
 *          begins again only if a version was published meanwhile: so a writer that has stopped, or died, holds no reader up.
 * WHO      NT writers, who store, or begin and commit or cancel, NK times each; up to ND of them are killed, at any step. A reader,
 *          NL loads.
 * STEPS    publish: the odd sequence, each word of the copy, the even sequence; version_of is read as the lock is taken, after which
 *          nobody else changes it.
 *          begin: `draft` is looked at, the copy read word by word, `draft` := 0; then the caller changes it, word by word.
 *          commit: publish, then `draft`. load: the sequence, each word of the copy, the sequence again.
 * LOCK     one step each way, robust (lock.pml): who is killed with it leaves it free.
 * MEMORY   sequentially consistent; orders.pml has [S1] .. [S5].
 * MUTANTS  M1 no odd sequence before the words               M6 commit notes the draft before it publishes
 *          M2 a load does not look again                     M7 begin leaves `draft` as it was
 *          M3 it tolerates the next but one being written    M8 begin believes that the draft is the last version
 *          M4 it counts from an odd sequence                 M9 an odd sequence counts as published: what the dead began is a version
 *          M5 the younger copy is filled                     M10 a load begins again if a writer is at work
 *          M11 the version is published before its words
 * ABSTRACT A value is two words, each with the number of its store. Sizes, `kind`, destroy: the lock's, and constants.
 * RUN: -DND=0 -DNL=2 ok
 * RUN: -DND=2 ok
 * RUN: -DND=0 -DM1 error
 * RUN: -DND=0 -DM2 error
 * RUN: -DND=0 -DM3 error
 * RUN: -DND=0 -DM4 error
 * RUN: -DND=0 -DM5 error
 * RUN: -DM6 error
 * RUN: -DND=0 -DM7 error
 * RUN: -DND=0 -DM8 error
 * RUN: -DM9 error
 * RUN: -DND=0 -DM10 error
 * RUN: -DND=0 -DM11 error
 * LONG: -DND=1 -DNL=3 ok
 * LONG: -DND=2 -DNT=3 -DNK=1 -DNL=2 ok
 * LONG: -DND=2 -DNK=3 ok
 */

#ifndef NT
#define NT 2
#endif
#ifndef NK
#define NK 2
#endif
#ifndef ND
#define ND 1
#endif
#ifndef NL
#define NL 1
#endif
#define VERSIONS (NT * NK + 2)

/* ---- shared ---- */
byte sequence = 2;
byte copy[4];     /* of version v at 2 * (v & 1) */
byte draft_is;    /* `draft`: the version that the draft is a copy of */
byte draft[2];
byte owner;       /* thread + 1 */
#define VERSION_OF (sequence / 2)
#define COPY(v, word) copy[2 * ((v) & 1) + (word)]

/* ---- ghosts ---- */
byte published[VERSIONS];  /* the value of each version */
byte values;               /* so many were stored */
byte deaths;

/* One step, or death instead of it. */
#define STEP(x)                                    \
  if                                               \
  :: atomic { true; x }                            \
  :: atomic { deaths < ND -> deaths++; goto dead } \
  fi

#ifdef M5
#define TO(v) ((v) - 1)
#else
#define TO(v) (v)
#endif
#define EVEN sequence = 2 * version + 2; assert(published[version + 1] == 0); published[version + 1] = value
inline publish(a, b) {
#ifndef M1
  STEP(sequence = 2 * version + 1);
#endif
#ifdef M11
  STEP(EVEN);
#endif
  STEP(COPY(TO(version + 1), 0) = a);
  STEP(COPY(TO(version + 1), 1) = b);
#ifndef M11
  STEP(EVEN)
#endif
}

proctype writer(byte me) {
  byte done, value, version;
  do
  :: done == NK -> break
  :: atomic {
       done < NK && owner == 0 -> owner = me + 1; done++;
#ifdef M9
       version = (sequence + 1) / 2;
#else
       version = VERSION_OF;
#endif
       values++; value = values };
     if
     :: true ->                                                   /* store */
        publish(value, value)
     :: true ->                                                   /* begin */
        if
#ifdef M8
        :: draft_is
#else
        :: draft_is == version
#endif
        :: else -> STEP(draft[0] = COPY(version, 0)); STEP(draft[1] = COPY(version, 1))
        fi;
        atomic { assert(draft[0] == published[version] && draft[1] == published[version]) };
#ifndef M7
        STEP(draft_is = 0);
#endif
        STEP(draft[0] = value);
        if
        :: true ->                                                /* cancel */
        :: STEP(draft[1] = value);                                /* commit */
#ifdef M6
           STEP(draft_is = version + 1);
#endif
           publish(draft[0], draft[1]);
#ifndef M6
           STEP(draft_is = VERSION_OF)
#endif
        fi
     fi;
     STEP(owner = 0; version = 0; value = 0)
  od;
  goto finished;
dead:
  atomic { if :: owner == me + 1 -> owner = 0 :: else fi; version = 0; value = 0; done = NK };
finished:
  skip
}

active proctype reader() {
  byte loads, stable, from, a, b, last;
  do
  :: loads == NL -> break
  :: atomic { loads < NL -> loads++; from = VERSION_OF };         /* a ghost: what is current as the call begins */
again:
#if defined(M4)
     stable = sequence;
#else
     stable = sequence - sequence % 2;
#endif
     a = COPY(stable / 2, 0);
     b = COPY(stable / 2, 1);
     atomic {
#if defined(M2)
       if
       :: true
#elif defined(M3)
       if
       :: sequence - stable > 3 -> goto anew
       :: else
#elif defined(M10)
       if
       :: sequence - stable > 0 -> goto anew
       :: else
#else
       if
       :: sequence - stable > 2 -> goto anew
       :: else
#endif
       fi;
       assert(a == b && a == published[stable / 2]);
       assert(stable / 2 >= from && stable / 2 <= VERSION_OF && stable / 2 >= last);
       last = stable / 2; stable = 0; a = 0; b = 0; from = 0
     };
     goto next;
anew:
     atomic { assert(VERSION_OF > stable / 2); stable = 0; a = 0; b = 0; goto again };
next:
     skip
  od
}

init {
  byte i;
  atomic { for (i : 0 .. NT - 1) { run writer(i) } i = 0 }
}
