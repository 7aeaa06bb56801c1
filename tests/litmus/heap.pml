/* heap.pml: small blocks of a heap, and the slab that they are in (core/heap.c, heap_slab.c, heap_sweep.c).
 *
 * CLAIM    A block has one owner at a time: who allocates it finds it nobody's, and nobody else changes its word while it is a living
 *          thread's. A block's word is changed only while its pages are a slab, or by who has them. When nothing can move any
 *          more, and a last process has swept, nothing is a dead one's: the blocks are free, and the slab is, or it is nobody's
 *          and holds an object's block. What a living process's slab has free is found without a look at all of it: it was not
 *          yet looked at, or `returned` says so, unless somebody died.
 * WHO      NT threads, each a process, or two of them one (TOGETHER). Each does NK things, the first NK0: allocate, free, give to an
 *          object, take from it, end the object's, reap, use the pages whole. Then what it has is freed, and its list flushed;
 *          CLOSES: the last closes the heap. Up to ND processes are killed, the first or the last, at any step.
 * BEGINS   FREE pages. FILLED: a slab of the first; a block free and `returned`, the other the second's. NOBODY: a slab of
 *          nobody, a block CACHED by the dead. GONE: a slab of the second, a block the first's, who is dead.
 * STEPS    each load, store and compare-and-set of a shared word: the run's, a block's, `returned`. alloc: pop, else refill:
 *          collect, harvest, adopt, clear_lists; else shoal_run_claim_ and make. free: free_own by a store, else end. reap:
 *          shoal_heap_sweep_ (sweep_at, sweep_slab, sweep_block, sweep_run, reclaim, disown), shoal_slab_dissolve_. close:
 *          shoal_slab_abandon_. Lists are a thread's; `at` and `mine`, which slabs a process has, are under its private lock.
 * MEMORY   sequentially consistent, as [H3]-[H4] are in the code; [H1]-[H2] are PASS of orders.pml.
 * MUTANTS  M1 a block of another's slab goes into a list          M6 an heir does not clear the lists of the dead
 *          M2 `returned` is said before the block is FREE         M7 a block is swept though the pages were no slab any more
 *          M3 it is set back after the look at the words          M8 a living process's slab is reclaimed
 *          M4 a slab with blocks in lists is dissolved            M9 what is CACHED is harvested
 *          M5 a slab is reclaimed though its word has changed     M10 the slab of the dead is left as it is
 *          M11 a dead one's block is swept by a store
 * ABSTRACT One run, one slab of NB blocks, one class. An object lives for ever; any thread takes or ends what is its. Who died has lost
 *          its place: retire_places has been there. Whose pages they are whole writes there what names processes, of sequence 0.
 *          Not here: runs split and joined, chunks, what stands behind the tops of lists, shoal_block_end_alone_.
 * RUN: -DND=0 -DNK0=1 ok
 * RUN: -DND=1 -DNK=1 ok
 * RUN: -DND=1 -DNK=1 -DFILLED ok
 * RUN: -DND=1 -DNK0=0 -DFILLED ok
 * RUN: -DND=0 -DTOGETHER -DFILLED ok
 * RUN: -DND=1 -DNK=1 -DNOBODY -DCLOSES ok
 * RUN: -DND=0 -DNK=1 -DNT=3 -DGONE ok
 * RUN: -DND=1 -DNK0=0 -DFILLED -DM1 error
 * RUN: -DND=0 -DNK0=2 -DNK=1 -DFILLED -DM2 error
 * RUN: -DND=0 -DNK0=2 -DNK=1 -DFILLED -DM3 error
 * RUN: -DND=0 -DNK=1 -DTOGETHER -DFILLED -DM4 error
 * RUN: -DND=0 -DNK=1 -DNOBODY -DM5 error
 * RUN: -DND=0 -DNK=1 -DNOBODY -DM6 error
 * RUN: -DND=0 -DNT=3 -DGONE -DM7 error
 * RUN: -DND=0 -DNK0=1 -DM8 error
 * RUN: -DND=0 -DTOGETHER -DFILLED -DM9 error
 * RUN: -DND=1 -DNK=1 -DFILLED -DM10 error
 * RUN: -DND=0 -DNT=3 -DGONE -DM11 error
 * LONG: -DND=0 ok
 * LONG: -DND=0 -DNOBODY ok
 * LONG: -DND=1 -DFILLED ok
 * LONG: -DND=0 -DNT=3 -DGONE ok
 */

#ifndef NT
#define NT 2
#endif
#ifndef NK
#define NK 2
#endif
#ifndef NK0
#define NK0 NK
#endif
#ifndef ND
#define ND 1
#endif
#ifndef NB
#define NB 2
#endif
#ifdef TOGETHER
#define PR(t) ((t) / 2)
#define LAST (2 * NT)
#else
#define PR(t) (t)
#define LAST NT
#endif
#define NP (NT + 1)

#define BIT(t) (1 << (t))
#define SET(mask, t) mask = mask | BIT(t)
#define CLEAR(mask, t) mask = mask & ~BIT(t)
#define HAS(mask, t) ((mask & BIT(t)) != 0)

/* ---- shared: words, sequence | kind | owner: 1 + its place, 0 nobody ---- */
#define INSIDE 0
#define FREE 1
#define PROCESS 2
#define OBJECT 3
#define SLAB 4
#define CACHED 5
#define W(s, k, o) ((s) * 64 + (k) * 8 + (o))
#define KIND(w) (((w) / 8) % 8)
#define OWNER(w) ((w) % 8)
#define NEXT(w, k, o) W((w) / 64 + 1, k, o)
short slab = W(1, FREE, 0);
short word[NB];
bool returned;

/* ---- a process's ---- */
bool lock[NP], mine[NP];
byte at[NP];
byte dead;  /* mask of processes */

/* ---- ghosts ---- */
byte held[NB];  /* 1 + thread, or THE_OBJECT */
#define THE_OBJECT 9
byte whole;     /* 1 + thread that has the pages */

#define P PR(me)
#define STEP(x) atomic { true; x }
#define LOCK atomic { !lock[P] -> lock[P] = true }
#define IS_DEAD(o) ((o) != 0 && HAS(dead, (o) - 1))
#define CHANGES(b) assert(whole == me + 1 || (whole == 0 && KIND(slab) == SLAB))
#define HOLDER_LIVES(b) (held[b] != 0 && held[b] != THE_OBJECT && !HAS(dead, PR(held[b] - 1)))

/* shoal_slab_returned_ */
inline mark_returned() {
  STEP(if :: returned -> w = 1 :: else -> w = 0 fi);
  if
  :: w == 0 -> STEP(returned = true)
  :: else
  fi
}
/* Blocks of this slab go from FREE to the list. */
inline harvest() {
  do
  :: at[P] < NB ->
     STEP(w = word[at[P]]);
     if
#ifdef M9
     :: KIND(w) == FREE || KIND(w) == CACHED ->
#else
     :: KIND(w) == FREE ->
#endif
        STEP(CHANGES(at[P]); word[at[P]] = NEXT(w, CACHED, 0); SET(list, at[P]))
     :: else
     fi;
     STEP(at[P]++; w = 0)
  :: else -> break
  od
}
inline collect() {
  if
  :: mine[P] ->
#ifdef M3
     harvest();
     if :: at[P] == NB -> STEP(if :: returned -> at[P] = 0; w = 1 :: else fi) :: else fi;
     if :: w == 1 -> harvest(); STEP(returned = false; w = 0) :: else fi
#else
     if
     :: at[P] == NB ->
        STEP(w = returned);
        if :: w == 1 -> STEP(returned = false); STEP(at[P] = 0) :: else fi;
        w = 0
     :: else
     fi;
     harvest()
#endif
  :: else
  fi
}
inline adopt() {
  STEP(w = slab; ok = false);
  if
  :: KIND(w) == SLAB && OWNER(w) == 0 ->
     STEP(if :: slab == w -> slab = NEXT(w, SLAB, P + 1); ok = true :: else fi);
     if
     :: ok ->
#ifndef M6
        b = 0;
        do
        :: b < NB ->
           STEP(w = word[b]);
           if :: KIND(w) == CACHED -> STEP(CHANGES(b); word[b] = NEXT(w, FREE, 0)) :: else fi;
           b++
        :: b == NB -> b = 0; break
        od;
#endif
        STEP(mine[P] = true; at[P] = 0)
     :: else
     fi
  :: else
  fi
}
inline find_run() {
  STEP(w = slab; ok = false);
  if
  :: KIND(w) == FREE -> STEP(if :: slab == w -> slab = NEXT(w, PROCESS, P + 1); assert(whole == 0); whole = me + 1; ok = true :: else fi)
  :: else
  fi;
  w = 0
}
inline make() {
  b = 0;
  do
  :: b < NB -> STEP(CHANGES(b); word[b] = W((slab / 64) * 8, FREE, 0); b++)
  :: b == NB -> b = 0; break
  od;
  STEP(returned = false);
  STEP(slab = NEXT(slab, SLAB, P + 1); whole = 0)
}
inline run_free() {
  STEP(assert(KIND(slab) == PROCESS && OWNER(slab) == P + 1); slab = NEXT(slab, FREE, 0); whole = 0)
}
/* ok: all are FREE, or CACHED if those count, too */
inline is_empty(cached_too) {
  b = 0; ok = true;
  do
  :: b < NB && ok -> STEP(if :: KIND(word[b]) == FREE || (cached_too && KIND(word[b]) == CACHED) :: else -> ok = false fi; b++)
  :: else -> b = 0; break
  od
}
inline sweep_block(seen) {
#ifdef M7
  ok = true;
#else
  STEP(ok = (slab == seen));
#endif
  if
  :: ok ->
#ifdef M11
     STEP(ok = true; CHANGES(b); assert(!HOLDER_LIVES(b)); word[b] = NEXT(w, FREE, 0); held[b] = 0);
#else
     STEP(ok = (word[b] == w); if :: ok -> CHANGES(b); assert(!HOLDER_LIVES(b)); word[b] = NEXT(w, FREE, 0); held[b] = 0 :: else fi);
#endif
     if :: ok -> mark_returned() :: else fi
  :: else
  fi
}
#define TAKE_RUN(from) STEP(ok = (slab == from); if :: ok -> slab = NEXT(from, PROCESS, P + 1); whole = me + 1 :: else fi)
inline sweep() {
  LOCK;
  STEP(s = slab);
  do
  :: KIND(s) == SLAB ->
     b = 0;
     do
     :: b < NB ->
        STEP(w = word[b]);
        if :: KIND(w) == PROCESS && IS_DEAD(OWNER(w)) -> sweep_block(s) :: else fi;
        STEP(b++; w = 0)
     :: b == NB -> b = 0; break
     od;
     if
#ifdef M8
     :: true ->
#else
     :: OWNER(s) == 0 || IS_DEAD(OWNER(s)) ->
#endif
        is_empty(true);
        if
        :: ok ->
#ifdef M5
           STEP(s = slab; slab = NEXT(s, PROCESS, P + 1); whole = me + 1);
#else
           TAKE_RUN(s);
#endif
           if :: ok -> run_free() :: else fi
        :: else ->
#ifndef M10
           if :: OWNER(s) != 0 -> STEP(if :: slab == s -> slab = NEXT(s, SLAB, 0) :: else fi) :: else fi
#endif
        fi
     :: else
     fi;
     STEP(ok = (slab != s && KIND(slab) == SLAB && OWNER(slab) != 0); s = slab);
     if :: ok :: else -> break fi
  :: KIND(s) == PROCESS && IS_DEAD(OWNER(s)) ->
     TAKE_RUN(s);
     if :: ok -> run_free() :: else fi;
     STEP(ok = (slab != s && KIND(slab) == SLAB && OWNER(slab) != 0); s = slab);
     if :: ok :: else -> break fi
  :: else -> break
  od;
  STEP(lock[P] = false; s = 0; w = 0; ok = false)
}
inline flush() {
  b = 0;
  do
  :: b < NB && HAS(list, b) ->
     STEP(w = word[b]);
     if
     :: KIND(w) == CACHED -> STEP(CHANGES(b); word[b] = NEXT(w, FREE, 0)); mark_returned()
     :: else
     fi;
     STEP(CLEAR(list, b); b++)
  :: b < NB && !HAS(list, b) -> b++
  :: b == NB -> b = 0; break
  od
}
/* ok: the slab is none any more */
inline dissolve_one() {
  STEP(s = slab; ok = false);
  if
  :: KIND(s) == SLAB && OWNER(s) == P + 1 ->
#ifdef M4
     is_empty(true);
#else
     is_empty(false);
#endif
     if
     :: ok -> TAKE_RUN(s); if :: ok -> run_free() :: else fi
     :: else
     fi
  :: else
  fi
}
inline dissolve() {
  LOCK;
  flush();
  if
  :: mine[P] ->
     STEP(at[P] = 0);
     dissolve_one();
     if :: ok -> mine[P] = false :: else fi
  :: else
  fi;
  STEP(lock[P] = false; s = 0; ok = false)
}
inline reap() { sweep(); dissolve() }

proctype thread(byte me) {
  byte list, b, done, has;  /* has: 1 + the block that it holds */
  short w, s;
  bool ok, tried;
  {
#ifdef FILLED
  has = (me == 1 -> 2 : 0);
#endif
  do
  :: done < (me -> NK : NK0) ->
     STEP(done++);
     if
     :: has == 0 ->                                                /* shoal_heap_alloc */
pop:    do
        :: list != 0 ->
           b = (HAS(list, 1) -> 1 : 0);
           STEP(w = word[b]);
           if
           :: KIND(w) == CACHED ->
              STEP(CLEAR(list, b); CHANGES(b); word[b] = NEXT(w, PROCESS, P + 1); assert(held[b] == 0); held[b] = me + 1; has = b + 1; b = 0; w = 0);
              goto next
           :: else -> CLEAR(list, b); b = 0; w = 0
           fi
        :: else -> break
        od;
        LOCK;
        collect();
        if
        :: list == 0 -> adopt(); if :: ok -> collect() :: else fi
        :: else
        fi;
        STEP(lock[P] = false; ok = false);
        if :: list != 0 -> goto pop :: else fi;
        find_run();
        if
        :: !ok && !tried -> reap(); tried = true; find_run()
        :: else
        fi;
        tried = false;
        if
        :: ok -> make(); LOCK; STEP(mine[P] = true; at[P] = 0); collect(); STEP(lock[P] = false; ok = false); goto pop
        :: else                                                    /* -ENOSPC */
        fi
     :: has != 0 ->                                                /* shoal_heap_free */
        STEP(s = slab);
        b = has - 1;
        STEP(w = word[b]; assert(KIND(w) == PROCESS && OWNER(w) == P + 1 && held[b] == me + 1));
#ifdef M2
        if :: OWNER(s) != P + 1 -> mark_returned(); w = word[b] :: else fi;
#endif
        if
#ifdef M1
        :: true ->
#else
        :: OWNER(s) == P + 1 ->
#endif
           STEP(CHANGES(b); word[b] = NEXT(w, CACHED, 0); held[b] = 0; SET(list, b); has = 0)
        :: else ->
           STEP(assert(word[b] == w); CHANGES(b); word[b] = NEXT(w, FREE, 0); held[b] = 0; has = 0);
#ifndef M2
           mark_returned()
#endif
        fi;
        b = 0; w = 0; s = 0
     :: has != 0 ->                                                /* shoal_block_give_ */
        b = has - 1;
        STEP(w = word[b]; assert(KIND(w) == PROCESS && OWNER(w) == P + 1));
        STEP(assert(word[b] == w); CHANGES(b); word[b] = NEXT(w, OBJECT, 0); held[b] = THE_OBJECT; has = 0; b = 0; w = 0)
     :: has == 0 && (KIND(word[0]) == OBJECT || KIND(word[NB - 1]) == OBJECT) ->
        b = (KIND(word[0]) == OBJECT -> 0 : NB - 1);
        STEP(s = slab);
        STEP(w = word[b]);
        if
        :: KIND(s) == SLAB && KIND(w) == OBJECT ->
           if
           :: true ->                                              /* shoal_block_take_ */
              STEP(if :: word[b] == w -> CHANGES(b); word[b] = NEXT(w, PROCESS, P + 1); held[b] = me + 1; has = b + 1 :: else fi)
           :: true ->                                              /* shoal_block_end_ */
              STEP(ok = (word[b] == w);
                   if :: ok -> CHANGES(b); held[b] = 0;
                         if :: OWNER(s) == P + 1 -> word[b] = NEXT(w, CACHED, 0); SET(list, b)
                         :: else -> word[b] = NEXT(w, FREE, 0) fi
                   :: else fi);
              if :: ok && OWNER(s) != P + 1 -> mark_returned() :: else fi
           fi
        :: else
        fi;
        b = 0; w = 0; s = 0; ok = false
     :: reap()                                                     /* shoal_heap_reap */
     :: has == 0 && KIND(slab) == FREE ->                           /* whole pages */
        find_run();
        if
        :: ok -> STEP(word[0] = W(0, PROCESS, 1); word[1] = W(0, PROCESS, 2)); run_free()
        :: else
        fi;
        ok = false
     fi;
next:
     skip
  :: else -> break
  od;
  if
  :: has != 0 -> goto last
  :: else -> goto ends
  fi;
last:  /* what it has is freed */
  STEP(s = slab);
  b = has - 1;
  STEP(w = word[b]; assert(KIND(w) == PROCESS && OWNER(w) == P + 1 && held[b] == me + 1));
  STEP(assert(word[b] == w); CHANGES(b); word[b] = NEXT(w, FREE, 0); held[b] = 0; has = 0);
  mark_returned();
ends:  /* thread_ends */
  LOCK;
  flush();
#ifdef CLOSES
  if
  :: me == NT - 1 && mine[P] ->
     dissolve_one();
     if :: !ok -> STEP(if :: slab == s -> slab = NEXT(s, SLAB, 0) :: else fi) :: else fi;
     mine[P] = false
  :: else
  fi;
#endif
  STEP(lock[P] = false; s = 0; w = 0; ok = false);
end_idle:
  false
  } unless { HAS(dead, P) }
}

proctype killer() {
  byte deaths;
  do
  :: deaths < ND -> if :: atomic { dead = dead | BIT(0); deaths++ } :: atomic { dead = dead | BIT(PR(NT - 1)); deaths++ } :: break fi
  :: deaths == ND -> break
  od
}

/* A last process. */
proctype keeper(byte me) {
  byte list, b;
  short w, s;
  bool ok;
end_before:
  timeout;
  if
  :: dead == 0 && KIND(slab) == SLAB && OWNER(slab) != 0 ->
     b = 0;
     do
     :: b < NB -> assert(KIND(word[b]) != FREE || b >= at[OWNER(slab) - 1] || returned); b++
     :: else -> b = 0; break
     od
  :: else
  fi;
  sweep();
  atomic {
    assert(KIND(slab) != PROCESS && !IS_DEAD(OWNER(slab)));
    do
    :: b < NB && KIND(slab) == SLAB ->
       assert(KIND(word[b]) == FREE || KIND(word[b]) == OBJECT || (KIND(word[b]) == CACHED && OWNER(slab) == 0));
       assert((KIND(word[b]) == OBJECT) == (held[b] == THE_OBJECT));
       ok = ok || KIND(word[b]) == OBJECT || OWNER(slab) != 0;
       b++
    :: else -> break
    od;
    assert(KIND(slab) == FREE || ok)
  }
}

init {
  byte i;
  atomic {
    at[0] = NB;
#if defined(FILLED)
    slab = W(3, SLAB, 1); word[0] = W(9, FREE, 0); returned = true; mine[0] = true;
    word[1] = W(9, PROCESS, PR(1) + 1); held[1] = 2;
#elif defined(NOBODY)
    slab = W(3, SLAB, 0); word[0] = W(9, CACHED, 0); word[1] = W(9, FREE, 0);
#elif defined(GONE)
    slab = W(3, SLAB, 2); word[0] = W(9, FREE, 0); returned = true; mine[1] = true; at[1] = NB;
    word[1] = W(9, PROCESS, 1); held[1] = 1; dead = BIT(0);
#endif
    for (i : 0 .. NT - 1) { run thread(i) } run killer(); run keeper(LAST); i = 0
  }
}
