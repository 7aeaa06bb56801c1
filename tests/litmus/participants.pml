/* participants.pml: a slot of the table of participants (core/proc.c), and what is undone for the dead (core/directory.c), where numbers of
 * threads come again.
 *
 * CLAIM    A slot is marked dead, or freed, only if its owner died, or it has none. No two owners have one id. Where a slot is freed
 *          nothing that its owner began to make is there. Who is told that a participant is not alive asks of one that died
 *          or left. When nothing can move any more, and a last one has asked and reaped, the slot is no dead one's, and nothing
 *          is half-made.
 * WHO      NT threads, of the numbers 1 and 2 by turns: the third begins when the first has ended. Each joins, begins to make
 *          something, and has made it; then it leaves. Up to ND are killed, the first two, at any step; the kernel marks the
 *          word some time later or, NU times, of one that had joined, never. NR others, who reap, or ask for sure.
 * STEPS    take_slot: the word is free, its compare-and-set; else reap. describe: the tid, the start, `described`; then the
 *          generation. leave: the generation, the word. shoal_proc_reap_: collect_dead, with mark_if_gone, tidy, free_slot.
 *          mark_if_gone: details_of, the kernel's answer, the compare-and-set. Word and generation are one, `both`.
 * MEMORY   sequentially consistent; [P1]-[P2], [P3]-[A3] are PASS of orders.pml.
 * MUTANTS  M1 the slot is freed in two steps: word, generation    M6 `described` is said before the details
 *          M2 it is freed by its word alone                       M7 details are believed, whoever's they are
 *          M3 it is freed before its owner's things are undone    M8 a number alone is an identity: no start
 *          M4 who is dead is looked for after that                M9 a word is marked though its generation is another
 *          M5 leave frees the word, then ends the id              M10 the word of who leaves is as a newcomer's of its number
 *          M2 has no line: it needs two deaths, and was not searched far enough to show.
 * ABSTRACT One slot. Making and undoing are under the writer word: one step each. The robust list and list_op_pending are lock.pml's:
 *          the mark is one step. Seats, epochs and references are not here.
 * RUN: -DND=0 ok
 * RUN: -DND=1 -DNT=2 ok
 * RUN: -DND=1 -DNU=1 -DNR=0 ok
 * RUN: -DND=1 -DNU=1 -DNR=0 -DM1 error
 * RUN: -DND=1 -DNT=2 -DM3 error
 * RUN: -DND=1 -DNT=2 -DM4 error
 * RUN: -DND=1 -DNT=2 -DM5 error
 * RUN: -DND=1 -DNT=2 -DM6 error
 * RUN: -DND=1 -DNT=2 -DM7 error
 * RUN: -DND=1 -DNU=1 -DNR=0 -DM8 error
 * RUN: -DND=1 -DNR=0 -DM9 error
 * RUN: -DND=0 -DM10 error
 * LONG: ok
 * LONG: -DND=2 -DNT=2 ok
 */

#ifndef NT
#define NT 3
#endif
#ifndef ND
#define ND 1
#endif
#ifndef NU
#define NU 0
#endif
#ifndef NR
#define NR 1
#endif
#define NUMBER(t) (1 + (t) % 2)
#define IDS 12

#define BIT(t) (1 << (t))
#define SET(mask, t) mask = mask | BIT(t)
#define HAS(mask, t) ((mask & BIT(t)) != 0)

/* ---- shared: both is generation | word; word: 0 free, DIED, a number, or of who leaves a number | LEAVES ---- */
#define DIED 3
#ifdef M10
#define LEAVES 0
#else
#define LEAVES 4
#endif
#define WORD(both) ((both) % 8)
#define OWNER(both) ((both) % 4)  /* of one that lives */
#define LIVES(both) (OWNER(both) == 1 || OWNER(both) == 2)
#define GENERATION(both) ((both) / 8)
#define BOTH(word, generation) ((generation) * 8 + (word))
#define ID(both) (1 + GENERATION(both))
byte both, described, tid, start;  /* start: 1 + thread */
byte made_by[NT];                  /* the id of who makes it, 0: nobody */

/* ---- the kernel: masks of threads ---- */
byte begun, dead, ended;
byte unmarked;
#define LIVING(t) (t < NT && HAS(begun, t) && !HAS(dead, t) && !HAS(ended, t))
#define MISSING(n) !((n == 1 && (LIVING(0) || LIVING(2))) || (n == 2 && LIVING(1)))

/* ---- ghosts ---- */
byte owner;         /* of the slot: 1 + thread */
byte had[IDS];      /* by id: 1 + thread */
bool gone[IDS];     /* by id: left, or freed */
#define NOT_OF_THE_LIVING assert(owner == 0 || HAS(dead, owner - 1))
#define NOTHING_LEFT(id) assert(made_by[0] != id && made_by[1] != id && made_by[NT - 1] != id)

/* seen: both as it was read; ok: it is gone, and marked */
inline mark_if_gone(thorough) {
#ifdef M7
  ok = true;
#else
  ok = (described == GENERATION(seen) + 1);
#endif
  d_tid = OWNER(seen);
  if
  :: ok -> d_tid = tid; d_start = start
  :: else
  fi;
#ifdef M8
  d_start = 0;
#endif
  atomic {
    ok = MISSING(d_tid) || (thorough && d_start != 0 && !LIVING((d_start - 1)));
    d_tid = 0; d_start = 0
  };
  if
  :: atomic {
       ok ->
#ifdef M9
       ok = (WORD(both) == WORD(seen));
#else
       ok = (both == seen);
#endif
       if :: ok -> NOT_OF_THE_LIVING; both = BOTH(DIED, GENERATION(both)) :: else fi }
  :: else
  fi
}
#define IS_DEAD(id) (!LIVES(both) || ID(both) != id)
inline tidy() {
  d_step {
    k = 0;
    do
    :: k < NT && made_by[k] != 0 && IS_DEAD(made_by[k]) -> made_by[k] = 0; k++
    :: k < NT && !(made_by[k] != 0 && IS_DEAD(made_by[k])) -> k++
    :: k == NT -> k = 0; break
    od
  }
}
inline collect_dead(all) {
  seen = both;
  if
  :: all && LIVES(seen) -> mark_if_gone(false); if :: ok -> seen = both :: else fi
  :: else
  fi;
  atomic { was = (WORD(seen) == DIED -> seen : 0); seen = 0; ok = false }
}
#define FREED NOT_OF_THE_LIVING; NOTHING_LEFT(ID(both)); gone[ID(both)] = true; owner = 0
inline free_slot() {
#if defined(M1)
  atomic { ok = (both == was); if :: ok -> FREED; both = BOTH(0, GENERATION(both)) :: else fi };
  if :: ok -> atomic { both = BOTH(WORD(both), GENERATION(both) + 1); ok = false } :: else fi
#elif defined(M2)
  atomic { if :: WORD(both) == DIED -> FREED; both = BOTH(0, GENERATION(both) + 1) :: else fi }
#else
  atomic { if :: both == was -> FREED; both = BOTH(0, GENERATION(both) + 1) :: else fi }
#endif
}
inline reap(all) {
#ifdef M4
  tidy();
#endif
  collect_dead(all);
#if !defined(M3) && !defined(M4)
  if :: all || was != 0 -> tidy() :: else fi;
#endif
  if :: was != 0 -> free_slot(); was = 0 :: else fi
#ifdef M3
  ; tidy()
#endif
}
#define LOCALS byte k, seen, was, d_tid, d_start, id; bool ok

proctype thread(byte me) {
  LOCALS;
  {
    skip;
end_unborn:
    atomic { me < 2 || HAS(dead | ended, me - 2) -> SET(begun, me) };
    do
    :: atomic { WORD(both) == 0 -> both = BOTH(NUMBER(me), GENERATION(both)); assert(owner == 0); owner = me + 1; break }
    :: WORD(both) != 0 -> reap(true)
    :: WORD(both) != 0 -> goto end_away                            /* -EUSERS: it lives on */
    od;
#ifdef M6
    described = GENERATION(both) + 1;
#endif
    tid = NUMBER(me);
    start = me + 1;
#ifndef M6
    described = GENERATION(both) + 1;
#endif
    atomic { id = ID(both); assert(had[id] == 0); had[id] = me + 1 };
    made_by[me] = id;                                               /* begins to make something */
    made_by[me] = 0;                                               /* has made it */
#ifdef M5
    atomic { gone[id] = true; owner = 0; both = BOTH(0, GENERATION(both)) };
    both = BOTH(WORD(both), GENERATION(both) + 1);
#else
    atomic { gone[id] = true; both = BOTH(NUMBER(me) + LEAVES, GENERATION(both) + 1) };
    atomic { owner = 0; both = BOTH(0, GENERATION(both)) };
#endif

    atomic { SET(ended, me); id = 0 };
end_away:
    false
  } unless { HAS(dead, me) }
}

/* A thread dies; its word is marked some time later, or not. */
proctype killer() {
  byte t;
  if
  :: atomic { LIVING(0) -> t = 0; SET(dead, 0) }
  :: atomic { LIVING(1) -> t = 1; SET(dead, 1) }
  :: goto end
  fi;
  if
  :: atomic { owner == t + 1 && LIVES(both) -> both = BOTH(DIED, GENERATION(both)) }
  :: atomic { owner == t + 1 && LIVES(both) && unmarked < NU && had[ID(both)] == t + 1 -> unmarked++ }
  :: owner != t + 1 || !LIVES(both)
  fi;
end:
  skip
}

/* shoal_proc_alive(.., 1) of whoever has the slot: its id was read somewhere */
inline ask() {
  atomic { id = ID(both); ok = had[id] != 0 };
  if
  :: ok ->
     seen = both;
     if
     :: ID(seen) != id || !LIVES(seen) -> ok = false
     :: else -> mark_if_gone(true); ok = !ok
     fi;
     if
     :: !ok -> assert(gone[id] || HAS(dead, had[id] - 1))
     :: else
     fi
  :: else
  fi;
  atomic { id = 0; ok = false; seen = 0 }
}
proctype reaper() {
  LOCALS;
  if
  :: reap(true)
  :: reap(false)
  :: ask()
  fi
}

proctype keeper() {
  LOCALS;
end_before:
  timeout;
  ask();
  reap(true);
  atomic {
    assert(owner == 0 || !HAS(dead, owner - 1));
    assert(made_by[0] == 0 && made_by[1] == 0 && made_by[NT - 1] == 0)
  }
}

init {
  byte i;
  atomic {
    do :: i < NT -> run thread(i); i++ :: else -> i = 0; break od;
    do :: i < ND -> run killer(); i++ :: else -> i = 0; break od;
    do :: i < NR -> run reaper(); i++ :: else -> i = 0; break od;
    run keeper()
  }
}
