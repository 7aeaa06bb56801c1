/* job.pml: an executor's cell (ipc/work/job.c, serve.c, future.c, tend.c): claimed, filled, begun, over and free again,
 * whoever is killed.
 *
 * CLAIM    Every job that was published, and not taken back, comes to one end. No two living workers run it; it begins
 *          RETRIES + 1 times at most, and while it runs its argument's block is there. Who gets a result gets its own
 *          job's. When nothing moves any more nobody is asleep; and when somebody has reaped, every cell is FREE and
 *          nobody's, no block is left, and no order.
 * WHO      NO threads of a process each, that submit NJ jobs in NC cells: -DWAIT: wait, and get; -DCANCEL: cancel, with
 *          SHOAL_FORCE; -DGIVEN_UP: have no future; -DFULL: may find no room in time; then they release. -DHEIR: one has
 *          the role of the first, once that is dead. -DWATCH: another waits for the first job. NW workers, each started
 *          again when the creator has dealt with its death. Up to ND deaths of all these, at any step.
 * STEPS    They are called as in the code; but claim: claim_cell. LIVES: shoal_executor_runner_lives_. creator:
 *          look_at_desk, give_orders. wait_for: with shoal_future_arm_. get: get_over. Workers: serve_, begin,
 *          look_back, run. last: shoal_executor_reap.
 * QUEUE    Orders are a bag, put in one step; one in the hand of a dead worker is there again a step later (mpmc.pml).
 * KERNEL   A futex wait compares the low half of the state and sleeps in one step. A dead process's blocks are freed.
 * MEMORY   Steps in program order, each seen at once.
 * MUTANTS  M2 who ends it does not look at its state     M13 a get does not look whether it is still its job
 *          M3 who was ended by a dead one is not woken   M15 attempts are not counted
 *          M5 nobody looks at what submits left          M16 an order is gone before its job has begun
 *          M6 a cell is FREE before its block ends       M17 what a dead worker ran gets no order
 *          M7 a block ends though its cell is another's  M18 what a dead one has filled is not freed
 *          M8 a cell is nobody's before it is FREE       M19 a job is taken back by a plain store
 *          M11 who sleeps does not say so                M20 a cell without an end of its owner is not given back
 *          M12 who begins forgets that somebody sleeps   M23 condemned meanwhile, a dead worker's job is let be
 * ABSTRACT The creator lives; its last look is not timed. No back-off, letters, chunks, ranges, bytes, jobs that begin
 *          after others, time limits, and no job that a worker runs while it waits. Who waits for a job that another
 *          releases is looked at without deaths: killed between an end and its wake, with the cell freed meanwhile, a
 *          worker leaves that one to its look once a second.
 * RUN: -DWAIT ok
 * RUN: -DNW=1 -DWAIT -DCANCEL ok
 * RUN: -DNW=1 -DNJ=2 ok
 * RUN: -DNW=1 -DNJ=2 -DGIVEN_UP ok
 * RUN: -DNW=1 -DNO=2 -DHEIR ok
 * RUN: -DND=2 -DNW=1 -DWAIT -DRETRIES=1 ok
 * RUN: -DND=0 -DWAIT -DWATCH ok
 * RUN: -DNW=1 -DWAIT -DFULL ok
 * RUN: -DNW=1 -DWAIT -DCANCEL -DM2 error
 * RUN: -DNW=1 -DWAIT -DM3 error
 * RUN: -DNW=1 -DM5 error
 * RUN: -DNW=1 -DNJ=2 -DM6 error
 * RUN: -DND=0 -DNO=2 -DM7 error
 * RUN: -DND=0 -DNW=1 -DNO=2 -DM8 error
 * RUN: -DND=0 -DNW=1 -DWAIT -DM11 error
 * RUN: -DND=0 -DNW=1 -DWAIT -DM12 error
 * RUN: -DND=0 -DNW=1 -DWAIT -DWATCH -DNJ=2 -DM13 error
 * RUN: -DND=2 -DNW=1 -DWAIT -DRETRIES=1 -DM15 error
 * RUN: -DNW=1 -DWAIT -DM16 error
 * RUN: -DNW=1 -DWAIT -DRETRIES=1 -DM17 error
 * RUN: -DNW=1 -DM18 error
 * RUN: -DND=0 -DNW=1 -DFULL -DM19 error
 * RUN: -DNW=1 -DNJ=2 -DM20 error
 * RUN: -DNW=1 -DWAIT -DCANCEL -DM23 error
 * LONG: -DWAIT -DRETRIES=1 ok
 * LONG: -DNW=1 -DNO=2 ok
 * LONG: -DWAIT -DCANCEL ok
 * LONG: -DNJ=2 ok */

#ifndef NC
#define NC 1
#endif
#ifndef NW
#define NW 2
#endif
#ifndef NO
#define NO 1
#endif
#ifndef NJ
#define NJ 1
#endif
#ifndef ND
#define ND 1
#endif
#ifndef RETRIES
#define RETRIES 0
#endif
#define NP (NW + NO)               /* workers, then who submits; then who waits, and the creator */
#define NG (NO * NJ + 1)           /* generations of a cell, at most */
#define NB (NO + 1)
#define JOB(c, s) ((c) * NG + GEN(s))
#define NALL (NC * NG)

/* ---- the segment ---- */
#define FREE 0
#define PENDING 1
#define RUNNING 2
#define CONDEMNED 3
#define DONE 4
#define FAILED 5
#define CANCELLED 6
#define OF(s) ((s) & 7)
#define OVER(s) (OF(s) >= DONE)
#define ASLEEP 8
#define DETACHED 16
#define FLAGS 24
#define ATTEMPT(s) ((s) >> 5 & 3)
#define WORKER(s) ((s) >> 7 & 1)
#define LIFE(s) ((s) >> 8 & 3)     /* the worker's incarnation */
#define BY(w, life, attempt) ((attempt) << 5 | (w) << 7 | (life) << 8)
#define ANY_BY BY(1, 3, 3)
#define DIED 1024
#define GEN(s) ((s) >> 11)
#define AT_GEN(g) ((g) << 11)
#define LOW(s) ((s) & 2047)        /* the futex */
#define WITH(s, to) (((s) & ~7) | (to))
short state[NC];
byte owner[NC], owner_gen[NC];     /* one word: a process and 1, and a generation */
byte ref[NC], ref_seq[NC];         /* the argument's block and 1 */
byte result[NC];
byte submitting[NP + 2];           /* of a producer: 1 + its job */
byte whose[NB], life_of[NB];       /* blocks: FREE, OURS, a process's; each change raises its life */
#define OURS 1
#define ITS(p) (2 + (p))
byte desk[NW];                     /* whom to kill: the incarnation and 1 */

/* ---- the queue, the kernel, the pool ---- */
byte orders[NALL];                 /* by job: how many */
byte alive[NW];                    /* 0, or the incarnation and 1 */
bool ended[NW], may_start[NW];     /* dead, and the creator has not seen it; has */
bool killed[NP + 2], gone[NP + 2];
byte sleeping[NC], woken;          /* masks */

/* ---- what the claims speak of ---- */
byte deaths;
byte began[NALL], ends[NALL], inside[NALL];
bool there[NALL], ran[NALL];       /* published; has come to its end */
bool handed;                       /* the first one's future, to who waits for it, too */
#define BIT(x) (1 << (x))

#define MAY_DIE ((deaths < ND && me < NP) || killed[me])
#define DIE atomic { MAY_DIE -> deaths = deaths + !killed[me]; goto dead }
#define STEP(x) if :: d_step { true; x } :: DIE fi
#define WAKE(c) STEP(woken = woken | sleeping[c]; sleeping[c] = 0)
#define LOCALS                               \
  byte c, g, p, n, b, q, j, word, hand, life; \
  short s, is, more, mine;                   \
  bool ok
#define FORGET                                                                                      \
  c = 0; g = 0; p = 0; n = 0; b = 0; q = 0; j = 0; word = 0; s = 0; is = 0; more = 0; mine = 0; \
  ok = false

/* ---- a cell ---- */
inline disown(c, g) {
  STEP(p = owner[c]; n = owner_gen[c]);
#ifdef M9
  STEP(owner[c] = 0; owner_gen[c] = 0);
#else
  if
  :: p && n == g -> STEP(if :: owner[c] == p && owner_gen[c] == n -> owner[c] = 0; owner_gen[c] = 0 :: else fi)
  :: else
  fi;
#endif
  p = 0; n = 0
}
#ifdef M7
#define STILL(same) true
#else
#define STILL(same) same
#endif
inline end_block(c, same) {
  STEP(b = ref[c]; q = ref_seq[c]);
  if
  :: b -> STEP(if :: STILL(same) :: else -> b = 0 fi)
  :: else
  fi;
  if
  :: b -> STEP(if :: whose[b - 1] == OURS && life_of[b - 1] == q -> whose[b - 1] = FREE; life_of[b - 1]++ :: else fi)
  :: else
  fi;
  b = 0; q = 0
}
/* shoal_job_free_ */
inline free_(c, x) {
#ifdef M8
  disown(c, GEN(x));
#endif
#ifndef M6
  end_block(c, state[c] == x);
#endif
  STEP(if :: state[c] == x -> state[c] = AT_GEN(GEN(x) + 1); ok = true :: else fi);
#ifdef M6
  end_block(c, true);
#endif
#ifndef M8
  if
  :: ok -> disown(c, GEN(x))
  :: else
  fi;
#endif
  ok = false
}
/* shoal_job_finish_, from s. s 0: it was in another state. `more`: DETACHED, DIED */
#ifdef M2
#define IS(c) OF(state[c]) != FREE
#else
#define IS(c) state[c] == s
#endif
inline finish(c, to) {
  s = s & ~more; is = s & ~(FLAGS | DIED);
  do
  :: STEP(
       if
       :: IS(c) ->
          ends[JOB(c, s)]++; assert(ends[JOB(c, s)] == 1);
          s = WITH(s, to) | more; state[c] = s; ok = true
       :: else -> s = state[c]; if :: (s & ~FLAGS) != is -> s = 0; is = 0 :: else fi
       fi
     );
     if :: ok || s == 0 -> break :: else fi
  od;
  is = 0; more = 0;
  if
  :: ok ->
     ok = false;
     if
     :: s & ASLEEP -> WAKE(c)
     :: else
     fi;
     if
     :: s & DETACHED -> free_(c, s)
     :: else
     fi
  :: else
  fi
}
#define LIVES(s) (alive[WORKER(s)] == LIFE(s) + 1)
inline after_death() {
  do
  :: mine = GEN(s); more = s & DETACHED;
     if
     :: OF(s) == CONDEMNED -> finish(c, CANCELLED)
     :: else -> more = more | DIED; finish(c, FAILED)
     fi;
#ifdef M23
     break
#else
     if
     :: s -> break
     :: else -> STEP(s = state[c])
     fi;
     if
     :: GEN(s) == mine && OF(s) == CONDEMNED && !LIVES(s)
     :: else -> break
     fi
#endif
  od;
  mine = 0
}
inline after_end() {
#ifndef M3
  if
  :: s & ASLEEP -> WAKE(c)
  :: else
  fi;
#endif
  if
  :: s & DETACHED -> free_(c, s)
  :: else
  fi
}

/* ---- what the dead have left ---- */
/* word: 1 + the job; `known`: who submitted it is known to be dead */
inline abandon(known) {
  j = word - 1; c = j / NG;
  STEP(s = state[c]);
  if
  :: GEN(s) == j % NG && OF(s) == PENDING ->
     STEP(p = owner[c]);
     if
     :: known || (p && gone[p - 1]) -> more = DETACHED; p = 0; finish(c, CANCELLED)
     :: else -> p = 0
     fi
  :: else
  fi;
  s = 0; c = 0; j = 0; word = 0
}
/* shoal_executor_reap */
inline reap() {
#ifndef M5
  n = NW;
  do
  :: n == NP -> n = 0; break
  :: n < NP ->
     STEP(word = submitting[n]);
     if
     :: word -> mine = n; abandon(false); n = mine; mine = 0
     :: else
     fi;
     n++
  od;
#endif
  c = 0;
  do
  :: c == NC -> c = 0; break
  :: c < NC ->
     STEP(s = state[c]);
     STEP(p = owner[c]; g = owner_gen[c]);
     mine = p; p = 0;
     if
     :: OVER(s) && (s & DETACHED) -> free_(c, s)
     :: else
     fi;
#ifndef M20
     if  /* is_left */
     :: mine && OF(s) == FREE && GEN(s) != g ->
#ifdef M22
        ok = true
#else
        STEP(ok = (state[c] == s))
#endif
     :: else
     fi;
#endif
     if
     :: ok -> STEP(if :: owner[c] == mine && owner_gen[c] == g -> owner[c] = 0; owner_gen[c] = 0 :: else fi; ok = false)
     :: !ok && mine && gone[mine - 1] ->  /* reap_cell */
        if
        :: OVER(s) -> free_(c, s)
        :: OF(s) == FREE ->
#ifndef M18
           end_block(c, owner[c] == mine && owner_gen[c] == g);
#endif
           STEP(if :: owner[c] == mine && owner_gen[c] == g -> owner[c] = 0; owner_gen[c] = 0 :: else fi)
        :: else -> STEP(if :: state[c] == s -> state[c] = s | DETACHED :: else fi)
        fi
     :: else
     fi;
     mine = 0; s = 0; g = 0;
     c++
  od
}
#define HAS_LEFT(c) \
  ((owner[c] && (gone[owner[c] - 1] || (OF(state[c]) == FREE && owner_gen[c] != GEN(state[c])))) || \
   (OVER(state[c]) && (state[c] & DETACHED)))

/* ---- a worker ---- */
#ifdef M12
#define KEPT(s) (s & ~(ANY_BY | 7 | ASLEEP))
#else
#define KEPT(s) (s & ~(ANY_BY | 7))
#endif
#ifdef M15
#define COUNTED 1
#else
#define COUNTED (ATTEMPT(s) + 1)
#endif
#ifdef M1
#define RUNNER_IS_DEAD true
#else
#define RUNNER_IS_DEAD !LIVES(s)
#endif
#define MAY_BEGIN (OF(s) == PENDING || (OF(s) == RUNNING && ATTEMPT(s) <= RETRIES && RUNNER_IS_DEAD))
#ifdef M16
#define TAKEN_EARLY STEP(hand = 0)
#else
#define TAKEN_EARLY
#endif
proctype worker(byte me) {
  LOCALS;
start:
  atomic { alive[me] = life + 1; may_start[me] = false };
end_take:
  if
  :: atomic { orders[0] > 0 -> orders[0]--; hand = 1 }
#if NALL > 1
  :: atomic { orders[1] > 0 -> orders[1]--; hand = 2 }
#endif
#if NALL > 2
  :: atomic { orders[2] > 0 -> orders[2]--; hand = 3 }
#endif
#if NALL > 3
  :: atomic { orders[3] > 0 -> orders[3]--; hand = 4 }
#endif
#if NALL > 4
  :: atomic { orders[4] > 0 -> orders[4]--; hand = 5 }
#endif
  :: DIE
  fi;
  /* look_at_order */
  d_step { j = hand - 1; c = j / NG; g = j % NG };
  TAKEN_EARLY;
  STEP(s = state[c]);
  do  /* begin */
  :: GEN(s) == g && MAY_BEGIN ->
     mine = KEPT(s) | RUNNING | BY(me, life, COUNTED);
     STEP(if :: state[c] == s -> state[c] = mine; ok = true :: else -> s = state[c] fi);
     if :: ok -> s = mine; break :: else fi
  :: else -> break
  od;
  mine = 0;
  if
  :: ok
  :: else ->  /* look_back */
     if
     :: GEN(s) != g ->
        if
        :: s == AT_GEN(g + 1) -> disown(c, g)
        :: else
        fi
     :: GEN(s) == g && OVER(s) -> after_end()
     :: GEN(s) == g && !OVER(s) && OF(s) >= RUNNING && !LIVES(s) -> after_death()
     :: else
     fi;
     s = 0
  fi;
  STEP(hand = 0);
  if
  :: !ok
  :: else ->  /* run */
     ok = false;
     STEP(
       assert(inside[j] == 0 && ref[c] && whose[ref[c] - 1] == OURS && life_of[ref[c] - 1] == ref_seq[c]);
       inside[j] = BIT(me); began[j]++; assert(began[j] <= RETRIES + 1)
     );
     STEP(result[c] = j; ran[j] = true);
     d_step { inside[j] = 0; more = s & DETACHED };
     finish(c, DONE);
     if
     :: s == 0 -> goto dead  /* condemned: shoal_process_exit */
     :: else
     fi
  fi;
  atomic { j = 0; c = 0; g = 0; s = 0; goto end_take };
dead:
  atomic {
    if :: j < NALL && inside[j] == BIT(me) -> inside[j] = 0 :: else fi;
    alive[me] = 0; killed[me] = false; ended[me] = true; FORGET
  };
  if  /* a stray */
  :: atomic { hand -> orders[hand - 1]++; hand = 0 }
  :: hand == 0
  fi;
end_dead:
  atomic { may_start[me] -> life++ };
  goto start
}

/* ---- the creator ---- */
proctype creator(byte me) {
  LOCALS;
  byte w;
end_look:
  if
  :: atomic { desk[0] -> w = 0; goto to_kill }
  :: atomic { desk[NW - 1] -> w = NW - 1; goto to_kill }
  :: atomic { ended[0] -> ended[0] = false; w = 0 }
  :: atomic { ended[NW - 1] -> ended[NW - 1] = false; w = NW - 1 }
  fi;
  /* give_orders */
  c = 0;
  do
  :: c == NC -> c = 0; break
  :: c < NC ->
     s = state[c];
     if
     :: OF(s) >= RUNNING && WORKER(s) == w && !LIVES(s) ->
        if
        :: OF(s) == RUNNING && ATTEMPT(s) <= RETRIES ->
#ifndef M17
           orders[JOB(c, s)]++
#else
           skip
#endif
        :: OVER(s) -> after_end()
        :: else -> after_death()
        fi
     :: else
     fi;
     s = 0; c++
  od;
  atomic { may_start[w] = true; w = 0; goto end_look };
to_kill:
  atomic {
    c = desk[w];
    if :: alive[w] == c -> killed[w] = true :: else fi;
    if :: desk[w] == c -> desk[w] = 0 :: else fi;
    c = 0; w = 0; goto end_look
  };
dead:
  false
}

/* ---- who waits ---- */
inline kill_() { STEP(desk[WORKER(s)] = LIFE(s) + 1) }
#ifdef M11
#define ARM
#else
#define ARM                                                                                              \
  if                                                                                                     \
  :: !(s & ASLEEP) -> STEP(if :: state[c] == s -> state[c] = s | ASLEEP; s = s | ASLEEP :: else -> s = 0 fi) \
  :: else                                                                                                \
  fi
#endif
/* wait_for: s, over; 0: released */
inline wait_for() {
  do
  :: STEP(s = state[c]; if :: GEN(s) != g || OF(s) == FREE || (s & DETACHED) -> s = 0 :: else fi);
     if :: s == 0 || OVER(s) -> break :: else fi;
     if
     :: OF(s) == CONDEMNED -> kill_()
     :: else
     fi;
     ARM;
     if
     :: s == 0
     :: d_step { s && LOW(state[c]) != LOW(s) -> skip }
     :: d_step { s && LOW(state[c]) == LOW(s) -> sleeping[c] = sleeping[c] | BIT(me) };
        if
        :: d_step { woken & BIT(me) -> woken = woken & ~BIT(me) }
        :: DIE
        fi
     fi
  od
}
/* get_over, of s */
inline get() {
  STEP(p = result[c]);
#ifdef M13
  ok = true;
#else
  STEP(ok = (state[c] == s));
#endif
  if
  :: ok && OF(s) == DONE -> assert(p == j && ran[j])
  :: else
  fi;
  p = 0; ok = false
}

/* ---- who submits ---- */
#ifdef HEIR
#define ROLE NW
#else
#define ROLE me
#endif
proctype submitter(byte me) {
  LOCALS;
  byte jobs;
#ifdef HEIR
  if
  :: me > NW ->
end_wait:
     gone[NW];
     STEP(word = submitting[ROLE]);
     if
     :: word -> abandon(true)
     :: else
     fi
  :: else
  fi;
#endif
next:
  if
  :: jobs == NJ -> goto finished
  :: else -> jobs++
  fi;
  /* claim */
  do
  :: if
     :: atomic { owner[0] == 0 -> c = 0 }
     :: atomic { owner[NC - 1] == 0 -> c = NC - 1 }
     :: HAS_LEFT(0) || HAS_LEFT(NC - 1) -> reap(); goto again
     :: DIE
     fi;
     STEP(if :: owner[c] == 0 -> ok = true :: else fi);
     if
     :: ok ->
        ok = false;
        STEP(g = GEN(state[c]));
        STEP(if :: owner[c] == 0 -> owner[c] = me + 1; owner_gen[c] = g; ok = true :: else fi)
     :: else
     fi;
 #ifndef M10
     if
     :: ok -> STEP(n = GEN(state[c]))
     :: else -> n = g
     fi;
     if
     :: n != g ->
        STEP(
          if
#ifdef M21
          :: true ->
#else
          :: owner[c] == me + 1 && owner_gen[c] == g ->
#endif
             owner_gen[c] = n; g = n
          :: else -> ok = false
          fi
        )
     :: else
     fi;
     n = 0;
#endif
     if :: ok -> break :: else -> c = 0; g = 0 fi;
again:
     skip
  od;
  ok = false;
  j = c * NG + g;
  /* fill_block */
  STEP(ref[c] = 0);
  STEP(
    do
    :: b == NB || whose[b] == FREE -> break
    :: else -> b++
    od;
    assert(b < NB); whose[b] = ITS(me); life_of[b]++
  );
  STEP(ref_seq[c] = life_of[b] + 1);
  STEP(ref[c] = b + 1);
  STEP(whose[b] = OURS; life_of[b]++; b = 0);
  /* publish */
  mine = AT_GEN(g) | PENDING;
#ifdef GIVEN_UP
  mine = mine | DETACHED;
#endif
  STEP(submitting[ROLE] = 1 + j);
  STEP(assert(OF(state[c]) == FREE && GEN(state[c]) == g); state[c] = mine; there[j] = true);
#ifdef FULL
  if
  :: STEP(orders[j]++)
  :: s = mine;  /* no room in time: take_back */
     do
     :: STEP(
          if
#ifdef M19
          :: true -> state[c] = AT_GEN(g); ok = true
#else
          :: state[c] == s -> state[c] = AT_GEN(g); there[j] = false; ok = true
#endif
          :: else -> s = state[c]
          fi
        );
        if :: ok || (s & ~FLAGS) != (mine & ~FLAGS) -> break :: else fi
     od;
     if
     :: ok ->
        ok = false;
        if
        :: s & ASLEEP -> WAKE(c)
        :: else
        fi;
        s = 0; mine = 0;
        STEP(submitting[ROLE] = 0);
        /* give_up_cell */
        STEP(p = owner[c]; n = owner_gen[c]);
        end_block(c, owner[c] == p && owner_gen[c] == n);
        p = 0; n = 0;
        disown(c, g);
        atomic { c = 0; g = 0; j = 0; goto next }
     :: else -> s = 0
     fi
  fi;
#else
  STEP(orders[j]++);
#endif
  mine = 0;
  STEP(submitting[ROLE] = 0; handed = true);
#ifdef GIVEN_UP
  atomic { c = 0; g = 0; j = 0; goto next };
#endif
  /* the future */
#ifdef CANCEL
  do
  :: STEP(s = state[c]);
     if
     :: GEN(s) != g || OVER(s) -> break
     :: GEN(s) == g && OF(s) == PENDING ->
        more = s & DETACHED; finish(c, CANCELLED);
        if :: s -> break :: else fi
     :: GEN(s) == g && OF(s) == RUNNING ->  /* SHOAL_FORCE: shoal_job_condemn_ */
        is = s & ~FLAGS;
        do
        :: STEP(
             if
             :: state[c] == s -> s = WITH(s, CONDEMNED); state[c] = s; ok = true
             :: else -> s = state[c]; if :: (s & ~FLAGS) != is -> s = 0 :: else fi
             fi
           );
           if :: ok || s == 0 -> break :: else fi
        od;
        is = 0;
        if :: ok -> ok = false; kill_(); break :: else fi
     :: else -> break
     fi
  od;
  s = 0;
#endif
#ifdef WAIT
  wait_for();
  assert(s);
  get();
#endif
  /* shoal_future_release */
  do
  :: STEP(s = state[c]; if :: GEN(s) != g || OF(s) == FREE || (s & DETACHED) -> s = 0 :: else fi);
     if
     :: s == 0 -> break
     :: OVER(s) -> free_(c, s)
     :: else -> STEP(if :: state[c] == s -> state[c] = s | DETACHED; ok = true :: else fi);
        if :: ok -> ok = false; break :: else fi
     fi
  od;
  atomic { c = 0; g = 0; j = 0; s = 0; goto next };
dead:
  atomic {
    FORGET; jobs = 0;
    sleeping[0] = sleeping[0] & ~BIT(me); sleeping[NC - 1] = sleeping[NC - 1] & ~BIT(me); woken = woken & ~BIT(me);
    do
    :: b == NB -> b = 0; break
    :: b < NB -> if :: whose[b] == ITS(me) -> whose[b] = FREE; life_of[b]++ :: else fi; b++
    od
  };
  gone[me] = true;
finished:
  skip
}

/* Another waits for the first job, too. */
proctype watcher(byte me) {
  LOCALS;
end_wait:
  handed -> skip;
  wait_for();
  if
  :: s -> get()
  :: else
  fi;
  s = 0;
  goto finished;
dead:
  false;
finished:
  skip
}

proctype last(byte me) {
  LOCALS;
  reap();
  goto finished;
dead:
  false;
finished:
  skip
}

init {
  byte i;
  atomic {
    for (i : 0 .. NW - 1) { run worker(i) }
    for (i : NW .. NP - 1) { run submitter(i) }
#ifdef WATCH
    run watcher(NP);
#endif
    run creator(NP + 1);
    i = 0
  };
  timeout -> atomic { deaths = ND; run last(NP + 1) };
  timeout -> d_step {
    assert(sleeping[0] == 0 && sleeping[NC - 1] == 0);
    for (i : 0 .. NC - 1) { assert(OF(state[i]) == FREE && owner[i] == 0) }
    for (i : 0 .. NB - 1) { assert(whose[i] == FREE) }
    for (i : 0 .. NALL - 1) { assert(ends[i] == there[i] && orders[i] == 0) }
  }
}
