/* runs.pml: runs of pages of a heap: claimed, split, joined, given back, and what the dead have left of them
 * (core/heap_pages.c, heap.c, heap_sweep.c).
 *
 * CLAIM    A page has one owner at a time: who claims a run finds all its pages nobody's, has as many as it asked for,
 *          and all of them until it frees or gives them; a sweep takes what is a dead one's, nothing else. At every
 *          instant, whoever was killed, shoal_heap_audit would find each page in one run, FREE just if it is nobody's,
 *          with what is half split or joined behind its run. When nothing can move any more and a last process has
 *          swept, nothing is a dead one's, each block of the object has its reference, and who then asks for as many
 *          pages as are free in a row gets them. No step waits but for who has the reference.
 * WHO      NT processes of NK operations each, the first NK0: allocate one page, or two, up to MOST; free; reap (not
 *          with NO_REAP); with OBJECTS give to an object, or end what a reference of it leads to. What they have at
 *          the end they keep. ND are killed, at any step, or at the end; they are alike: who dies first is the first.
 * BEGINS   One FREE run of N pages. PARTS: the first two are runs of their own. LEFT: a run and what its owner, who is
 *          dead, had split off or was about to take in; then a FREE one. OBJECTS: the first reference is of an old life
 *          of the first page; LATER: of a later one, of no page.
 * STEPS    Each store and compare-and-set of a shared word or length. A load of its own, but for those of what only the
 *          caller may change, and one of a length with the compare-and-set before it. find_run: find, walk; and
 *          find_swept, once. join_and_trim: the rest of claim_joined, or of claim_whole; join, trim, split. sweep:
 *          shoal_heap_sweep_, sweep_at, sweep_run; mend: shoal_run_mend_. claim_recent looks at one run; its two loads
 *          are relaxed, and come in either order. give: shoal_block_give_ with name_block, the place set to 0 before
 *          as its callers do (ipc/work/job.c, ipc/data/dict.c); the reference is not read meanwhile.
 * MEMORY   Sequentially consistent, but for claim_recent; [H1]-[H2] are PASS of orders.pml.
 * MUTANTS  of tests/crash/seeded:                             of this model:
 *          M1 heap_joins_before_it_hides                      M4 the rest has its length after the run ends there
 *          M2 heap_rest_is_free_too_early                     M5 a run is claimed by a store
 *          M3 heap_sweep_mends_nothing                        M6 claim_recent does not look at the length again
 *          M10 heap_names_where_first                         M7 what is joined was not claimed
 *          M11 heap_gives_before_it_says_where                M8 a swept run is FREE before it is mended
 *          M12 heap_ends_without_compare                      M9 a dead one's run is swept by a store
 *                                                             M13 sequences do not rise
 *                                                             M14 a reference has an old place while it is written
 *          BLIND: that is not looked for at every instant, only what comes of it.
 * ABSTRACT One chunk: no other to go to, none made. No slabs (heap.pml): a run that is one is a process's. The object
 *          is there for ever. Who died has lost its place: retire_places has been there. A length of 0 is damage.
 *          What a walk sees of a FREE run that it did not get is one step with the compare-and-set that failed.
 * RUN: ok
 * RUN: -DPARTS ok
 * RUN: -DLEFT ok
 * RUN: -DND=2 ok
 * RUN: -DND=0 -DNK=2 -DNO_REAP ok
 * RUN: -DND=0 -DNK0=3 -DNK=2 -DN=2 -DRECENT -DNO_REAP ok
 * RUN: -DOBJECTS -DNK=2 -DN=1 -DNO_REAP -DLATER=6 ok
 * RUN: -DOBJECTS -DNK=2 -DN=2 -DNO_REAP -DMOST=1 ok
 * RUN: -DOBJECTS -DND=0 -DNK0=4 -DNK=2 -DN=1 -DNO_REAP ok
 * RUN: -DPARTS -DBLIND -DM1 error
 * RUN: -DBLIND -DM2 error
 * RUN: -DPARTS -DBLIND -DM3 error
 * RUN: -DNK=2 -DBLIND -DM4 error
 * RUN: -DND=0 -DBLIND -DM5 error
 * RUN: -DND=0 -DNK0=3 -DNK=2 -DN=2 -DRECENT -DNO_REAP -DBLIND -DM6 error
 * RUN: -DND=0 -DPARTS -DBLIND -DM7 error
 * RUN: -DND=0 -DLEFT -DBLIND -DM8 error
 * RUN: -DND=0 -DLEFT -DBLIND -DM9 error
 * RUN: -DOBJECTS -DNK=2 -DN=1 -DNO_REAP -DLATER=6 -DM10 error
 * RUN: -DOBJECTS -DNK=2 -DN=1 -DNO_REAP -DM11 error
 * RUN: -DOBJECTS -DND=0 -DNK0=3 -DN=1 -DNO_REAP -DM12 error
 * RUN: -DOBJECTS -DND=0 -DNK0=4 -DNK=2 -DN=1 -DNO_REAP -DM13 error
 * RUN: -DOBJECTS -DNK=2 -DN=2 -DNO_REAP -DMOST=1 -DM14 error
 * LONG: -DND=2 -DPARTS ok
 * LONG: -DND=2 -DLEFT ok
 * LONG: -DND=0 -DNK=2 -DNO_REAP -DPARTS ok
 * LONG: -DND=0 -DNK0=3 -DNK=2 -DRECENT -DNO_REAP ok
 * LONG: -DNK=2 -DNO_REAP ok
 * LONG: -DN=4 -DPARTS ok
 * LONG: -DOBJECTS -DNK=3 -DN=2 -DNO_REAP -DMOST=1 ok
 */

#ifndef NT
#define NT 2
#endif
#ifndef NK
#define NK 1
#endif
#ifndef NK0
#define NK0 NK
#endif
#ifndef ND
#define ND 1
#endif
#ifndef N
#define N 3
#endif
#ifdef NO_REAP
#define REAPS false
#else
#define REAPS true
#endif
#ifndef MOST
#define MOST N
#endif

#define BIT(t) (1 << (t))
#define HAS(mask, t) ((mask & BIT(t)) != 0)

/* ---- shared: words, sequence | kind | owner: 1 + process; lengths; references ---- */
#define INSIDE 0
#define FREE 1
#define PROCESS 2
#define OBJECT 3
#define W(s, k, o) ((s) * 64 + (k) * 8 + (o))
#define SEQ(w) ((w) / 64)
#define KIND(w) (((w) / 8) % 8)
#define OWNER(w) ((w) % 8)
#ifdef M13
#define NEXT(w, k, o) W(SEQ(w), k, o)
#else
#define NEXT(w, k, o) W(SEQ(w) + 1, k, o)
#endif
short word[N];
byte pages[N];
#ifdef OBJECTS
#define NR 2
byte ref_seq[NR], ref_at[NR];  /* at: 1 + page, 0 none */
byte ref_lock[NR];             /* its holder's: 1 + thread */
#endif

byte dead; /* mask of processes */
#define THIRD 6
#define IS_DEAD(o) ((o) != 0 && HAS(dead, (o) - 1))

/* ---- ghosts: who has the page: 1 + process, or THE_OBJECTS + reference; 0 nobody ---- */
byte has[N];
#define THE_OBJECTS 8
#define IS_OF_THE_DEAD(i) (has[i] != 0 && has[i] < THE_OBJECTS && HAS(dead, has[i] - 1))
hidden byte l_at, l_n, l_i;
#define EACH(from, n, what) \
  l_i = from; do :: l_i < (from) + (n) -> assert(l_i < N); what; has_next() :: else -> break od; l_i = 0
#define has_next() l_i++
#define CLAIMED(p) EACH(p, pages[p], assert(has[l_i] == 0); has[l_i] = me + 1)
#ifdef M8
#define SWEEPER 0
#else
#define SWEEPER me + 1
#endif
#define SWEPT(p, from) EACH(from, (p) + pages[p] - (from), assert(IS_OF_THE_DEAD(l_i)); has[l_i] = SWEEPER)
#define LET_GO(p, whose) EACH(p, pages[p], assert(has[l_i] == whose); has[l_i] = 0)

/* Every page is in one run, and as the run's word says: look_at_run of core/heap_audit.c. */
#ifdef BLIND
#define LOOK skip
#else
#define LOOK look()
#endif
inline look() {
  l_at = 0;
  do
  :: l_at < N ->
     l_n = pages[l_at];
     assert(KIND(word[l_at]) != INSIDE && l_n != 0 && l_at + l_n <= N);
     l_i = 1;
     do :: l_i < l_n -> assert(KIND(word[l_at + l_i]) == INSIDE); l_i++ :: else -> break od;
     do
     :: KIND(word[l_at]) == PROCESS && l_at + l_n < N ->
        if
        :: KIND(word[l_at + l_n]) == INSIDE -> assert(pages[l_at + l_n] != 0); l_n = l_n + pages[l_at + l_n]
        :: else -> break
        fi
     :: else -> break
     od;
     l_i = 0;
     do
     :: l_i < l_n -> assert((has[l_at + l_i] == 0) == (KIND(word[l_at]) == FREE)); l_i++
     :: else -> break
     od;
     l_at = l_at + l_n
  :: else -> break
  od;
  l_at = 0; l_n = 0; l_i = 0
}

#define STEP(x) d_step { x }
#define FREED(p) LET_GO(p, me + 1); word[p] = NEXT(word[p], FREE, 0); LOOK

/* shoal_run_mend_, of the run that begins at `at` */
inline mend() {
  do
  :: d_step {
       at + pages[at] < N && KIND(word[at + pages[at]]) == INSIDE -> more = pages[at + pages[at]]; assert(more != 0)
     };
     STEP(have = pages[at]; pages[at] = have + more; SWEPT(at, at + have); have = 0; more = 0; LOOK);
  :: else -> break
  od
}
/* The compare-and-set of claim */
#ifdef M5
#define IS_AS_SEEN(p, w) KIND(w) == FREE
#else
#define IS_AS_SEEN(p, w) (KIND(w) == FREE && word[p] == w)
#endif
#ifdef M7
#define HIDDEN EACH(at + have, more, has[l_i] = me + 1)
#else
#define HIDDEN skip
#endif
#define CLAIM(p, w, k) CLAIMED(p); word[p] = NEXT(w, PROCESS, me + 1); k = pages[p]; assert(k != 0); LOOK
/* The run that begins at `at`, `have` pages long, and claimed, takes in what is free behind it, becomes n pages long,
   or is free again. ok: it is large enough */
inline join_and_trim() {
  do
  :: d_step { joining && have < n && at + have < N -> v = word[at + have] };
     if
#ifdef M7
     :: d_step { KIND(v) == FREE -> more = pages[at + have] };
#else
     :: d_step { IS_AS_SEEN(at + have, v) -> CLAIM(at + have, v, more) };
#endif
#ifdef M1
        STEP(pages[at] = have + more; LOOK);
        STEP(word[at + have] = NEXT(word[at + have], INSIDE, 0); have = have + more; more = 0; v = 0; LOOK)
#else
        STEP(word[at + have] = NEXT(word[at + have], INSIDE, 0); HIDDEN; LOOK);
        STEP(have = have + more; pages[at] = have; more = 0; v = 0; LOOK)
#endif
     :: d_step { !(IS_AS_SEEN(at + have, v)) -> FREED(at) }; break
     fi
#if defined(M2)
  :: d_step { have > n -> pages[at + n] = have - n; LOOK };
     STEP(FREED(at + n));
     STEP(pages[at] = n; ok = true; LOOK);
     break
#elif defined(M4)
  :: d_step { have > n -> pages[at] = n; LOOK };
     STEP(pages[at + n] = have - n; LOOK);
     STEP(FREED(at + n); ok = true);
     break
#else
  :: d_step { have > n -> pages[at + n] = have - n; LOOK };
     STEP(pages[at] = n; LOOK);
     STEP(FREED(at + n); ok = true);
     break
#endif
  :: atomic { have == n -> ok = true }; break
  :: d_step { have < n && !(joining && at + have < N) -> FREED(at) }; break
  od
}
/* First runs that are long enough, then others, too; once more if a sweep has freed something. ok: `at` begins the
   caller's run of n pages */
#define WANTED(have) (KIND(w) == FREE && (have >= n || joining))
#define STEP_ON at = at + have; w = 0; v = 0; have = 0
#define BEGIN \
  from = (hint >= N -> 0 : hint); if :: KIND(word[from]) == INSIDE -> from = 0 :: else fi; \
  at = from; to = N; again = (from == 0)
#define NO_WALK from = 0; to = 0; again = false; joining = false
inline find_run() {
  STEP(BEGIN);
  do
  :: d_step { at < to -> w = word[at] };
     if
     :: d_step { WANTED(pages[at]) -> have = pages[at] };
        if
        :: d_step { IS_AS_SEEN(at, w) -> CLAIM(at, w, have) };
           join_and_trim();
           if
           :: atomic { ok -> hint = at + n; w = 0; v = 0; have = 0; freed = false; NO_WALK }; break
           :: atomic { !ok -> have = pages[at]; STEP_ON }
           fi
        :: d_step { !(IS_AS_SEEN(at, w)) -> if :: joining -> have = pages[at] :: else fi; STEP_ON }
        fi
     :: d_step { !WANTED(pages[at]) -> have = (KIND(w) == INSIDE || pages[at] == 0 -> 1 : pages[at]); STEP_ON }
     fi
  :: d_step { at >= to && !again -> again = true; at = 0; to = from }
  :: d_step { at >= to && again && !joining -> joining = true; BEGIN }
  :: d_step { at >= to && again && joining && !freed -> at = 0; NO_WALK };
     sweep();
     if
     :: atomic { freed -> BEGIN }
     :: !freed -> break
     fi
  :: atomic { at >= to && again && joining && freed -> at = 0; freed = false; NO_WALK }; break
  od
}
/* shoal_heap_sweep_, sweep_at, sweep_run */
#define DOOMED(w) (KIND(w) == PROCESS && IS_DEAD(OWNER(w)))
#ifdef M9
#define IS_AS_SWEPT true
#else
#define IS_AS_SWEPT (word[at] == w)
#endif
#define SWEEP_ON at = at + to; to = 0; w = 0
inline sweep() {
  do
  :: d_step { at < N -> w = word[at] };
     if
     :: d_step { KIND(w) > FREE -> to = pages[at] };
        if
        :: d_step { DOOMED(word[at]) -> w = word[at] };
           if
#ifdef M8
           :: d_step { IS_AS_SWEPT -> SWEPT(at, at); word[at] = NEXT(w, FREE, 0); freed = true; LOOK };
              mend();
              atomic { true; SWEEP_ON }
#else
           :: d_step { IS_AS_SWEPT -> SWEPT(at, at); word[at] = NEXT(w, PROCESS, me + 1); freed = true; LOOK };
#ifndef M3
              mend();
#endif
              atomic { true; FREED(at); SWEEP_ON }
#endif
           :: d_step { !IS_AS_SWEPT -> SWEEP_ON }
           fi
        :: d_step { !DOOMED(word[at]) -> SWEEP_ON }
        fi
     :: d_step { KIND(w) <= FREE -> to = (KIND(w) == INSIDE || pages[at] == 0 -> 1 : pages[at]); SWEEP_ON }
     fi
  :: atomic { at >= N -> at = 0 }; break
  od
}
/* claim_recent, of one. ok: `at` begins the run */
#define IS_ENOUGH (KIND(w) == FREE && have >= n && have <= n + n / 4 + 1)
inline claim_recent() {
  if
  :: recent != 0 ->
     if
     :: d_step { true; at = recent - 1; w = word[at] }; STEP(have = pages[at])
     :: d_step { true; at = recent - 1; have = pages[at] }; STEP(w = word[at])
     fi;
     if
     :: d_step { IS_ENOUGH && IS_AS_SEEN(at, w) -> CLAIM(at, w, more) };
#ifdef M6
        ok = true
#else
        if
        :: atomic { more == have -> ok = true }
        :: atomic { more != have -> FREED(at) }
        fi
#endif
     :: else
     fi;
     atomic { true; if :: ok :: else -> at = 0 fi; w = 0; have = 0; more = 0 }
  :: else
  fi
}
#ifdef RECENT
#define RECALL recent = at + 1
#else
#define RECALL skip
#endif
/* alloc_pages, shoal_run_claim_ */
inline alloc() {
#ifdef RECENT
  claim_recent();
  if
  :: ok
  :: else -> find_run()
  fi;
#else
  find_run();
#endif
  atomic {
    if
    :: ok -> EACH(at, pages[at], assert(has[l_i] == me + 1)); assert(pages[at] >= n); mine = at + 1; RECALL
    :: else
    fi;
    at = 0; n = 0; ok = false;
    assert(me != NT || mine != 0)
  }
}
#ifdef OBJECTS
#define LEADS(r, p) (ref_at[r] == (p) + 1 && word[p] == W(ref_seq[r], OBJECT, 0))
#define READ(r) (ref_lock[r] == 0 || HAS(dead, ref_lock[r] - 1)) -> done++; at = ref_at[r]; w = W(ref_seq[r], OBJECT, 0)
#define GIVE(p) \
  EACH(p, pages[p], assert(has[l_i] == me + 1); has[l_i] = THE_OBJECTS + me); word[p] = NEXT(w, OBJECT, 0); LOOK
/* shoal_block_give_, name_block: the run is the object's, and reference `me` leads to it */
inline give() {
  STEP(w = word[mine - 1]; assert(KIND(w) == PROCESS && OWNER(w) == me + 1));
#ifndef M14
  STEP(ref_at[me] = 0);
#endif
#if defined(M10)
  STEP(ref_at[me] = mine);
  STEP(ref_seq[me] = SEQ(NEXT(w, OBJECT, 0)));
  STEP(assert(word[mine - 1] == w); GIVE(mine - 1); mine = 0; ref_lock[me] = 0; w = 0)
#elif defined(M11)
  STEP(assert(word[mine - 1] == w); GIVE(mine - 1));
  STEP(ref_seq[me] = SEQ(NEXT(w, OBJECT, 0)));
  STEP(ref_at[me] = mine; mine = 0; ref_lock[me] = 0; w = 0)
#else
  STEP(ref_seq[me] = SEQ(NEXT(w, OBJECT, 0)));
  STEP(ref_at[me] = mine);
  STEP(assert(word[mine - 1] == w); GIVE(mine - 1); mine = 0; ref_lock[me] = 0; w = 0)
#endif
}
/* shoal_block_end_, of what was read of reference r: find_ref, end */
#ifdef M12
#define IS_STILL true
#else
#define IS_STILL (word[at] == w)
#endif
inline end_block(r) {
  if
  :: d_step { at != 0 && word[at - 1] == w -> at-- };
     STEP(if :: IS_STILL -> LET_GO(at, THE_OBJECTS + r); word[at] = NEXT(w, FREE, 0); LOOK :: else fi; at = 0; w = 0)
  :: d_step { at == 0 || word[at - 1] != w -> at = 0; w = 0 }
  fi
}
#define LED_TO assert(LEADS(0, at) == (has[at] == THE_OBJECTS) && LEADS(1, at) == (has[at] == THE_OBJECTS + 1))
#else
#define LED_TO skip
#endif
/* n: as many as there are in a row */
inline largest() {
  do
  :: at < N ->
     assert(KIND(word[at]) == FREE || !IS_OF_THE_DEAD(at));
     LED_TO;
     if :: KIND(word[at]) == FREE -> have = have + pages[at] :: else -> have = 0 fi;
     if :: have > n -> n = have :: else fi;
     at = at + pages[at]
  :: else -> break
  od;
  at = 0; have = 0
}

#define BEGINS (me != NT && done < (me == 0 -> NK0 : NK))
/* The last one begins when nothing can move any more: it sweeps, and gets as much as there is in a row. */
proctype thread(byte me) {
  byte done, mine;  /* 1 + the page at which the run begins that it has */
  byte at, to, from, n, have, more, hint, recent;
  short w, v;
  bool ok, joining, again, freed;
  {
end_idle:
  do                                                               /* shoal_heap_alloc, _free; give, end; reap */
  :: atomic { BEGINS && mine == 0 -> done++; if :: n = 1 :: MOST > 1 -> n = 2 :: MOST > 2 -> n = 3 fi }; alloc()
  :: d_step { BEGINS && mine != 0 -> done++; w = word[mine - 1]; assert(KIND(w) == PROCESS && OWNER(w) == me + 1) };
     STEP(assert(word[mine - 1] == w); FREED(mine - 1); mine = 0; w = 0)
#ifdef OBJECTS
  :: d_step {
       BEGINS && mine != 0 && (ref_at[me] == 0 || !LEADS(me, ref_at[me] - 1)) -> done++; ref_lock[me] = me + 1
     };
     give()
  :: d_step { BEGINS && READ(0) }; end_block(0)
  :: d_step { BEGINS && READ(1) }; end_block(1)
#endif
  :: atomic { BEGINS && REAPS -> done++ }; sweep(); freed = false
  :: atomic { me == NT && done == 0 && timeout -> done++; LOOK };
     sweep();
     atomic { true; freed = false; look(); largest() };
     if :: n != 0 -> alloc() :: else fi
  od
  } unless { HAS(dead, me) }
}

/* The threads are alike: who dies first is the first. */
proctype killer() {
  byte deaths;
  do
  :: d_step { deaths < ND -> dead = dead | BIT(deaths); deaths++ }
  :: deaths == ND -> break
  od
}

init {
  byte i;
  d_step {
#if defined(PARTS)
    word[0] = W(1, FREE, 0); pages[0] = 1; word[1] = W(1, FREE, 0); pages[1] = 1;
    word[2] = W(1, FREE, 0); pages[2] = N - 2;
#elif defined(LEFT)
    word[0] = W(1, PROCESS, THIRD + 1); pages[0] = 1; pages[1] = 1; word[2] = W(1, FREE, 0); pages[2] = N - 2;
    has[0] = THIRD + 1; has[1] = THIRD + 1; dead = BIT(THIRD);
#else
    word[0] = W(1, FREE, 0); pages[0] = N;
#endif
#if defined(LATER)
    ref_seq[0] = LATER;
#elif defined(OBJECTS)
    ref_at[0] = 1;
#endif
    i = 0
  };
  atomic { for (i : 0 .. NT) { run thread(i) } run killer(); i = 0 }
}
