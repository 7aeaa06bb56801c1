/* directory.pml: named objects: one is opened, without a lock, while others are created and removed
 * (core/directory.c, core/reference.c).
 *
 * CLAIM    An open of a name that is there from its beginning to its end finds it. What a LIVE entry is seen to say
 *          (view_entry) is of one object. Who has opened one finds what its init wrote, and its memory is nobody
 *          else's, until he closes it. No two entries of one name are LIVE; -EEXIST is told of one that is there, or
 *          whose creator lives. When all is still, and a last one has swept and tidied, nothing of the dead is left:
 *          no entry in creation or removed, no run without its entry; the count is right; FREE is only what a search
 *          must pass.
 * WHO      Thread 0 opens either name, looks at the object, and closes it, NK times; NT - 1 others create or remove
 *          either, NK times each: who has created closes. Up to ND deaths, at any step. Then a last one:
 *          shoal_reference_sweep_, shoal_directory_tidy_. At first two are there, of one hash (-DAPART: of two), at
 *          the table's end and beginning.
 * STEPS    find: each entry's state; view_entry: the state, each word, the state; the record; the look at the state
 *          [F2]. close: the record, the look at the state; then under the writer word. claim_entry: each word, the
 *          state, the run, the count. free_one: the run, the state, the count; shorten: each entry that turns EMPTY.
 *          Repair: the count, shorten, tidy. publish: what init writes, the record, the compare-and-set.
 * LOCK     The writer word: one step each way, robust (lock.pml): who is killed with it leaves it, the next repairs.
 * MEMORY   Sequentially consistent; orders.pml has [D1]-[D2], [D3]-[D4] as LOOKUP, [F1] .. [F5] as REFERENCE.
 * MUTANTS  M1 a view does not look at the state again       M7 an entry is given back before its run
 *          M2 the record comes after the look at the state  M8 an entry's next object has the same generation
 *          M3 who takes the word from the dead repairs not  M9 a run is marked before its entry says so
 *          M4 remove frees what is in use                   M10 shorten does not count what is in creation
 *          M5 shorten makes all that is FREE EMPTY          M11 who frees does not look again under the word
 *          M6 who creates finds what is a dead creator's, and leaves it
 * ABSTRACT A search under the writer word, and what shorten reads, are one step: only a publishing changes it
 *          meanwhile, so the answer is that of before, or of after. The records are looked at in one step: who adds
 *          one later finds the state changed. A name is one word, a run one unit, a thread a process with one record.
 *          Objects without a name, parts, ties, an init that fails, WAITED, and what a child of fork inherits are not
 *          here.
 * RUN: -DND=1 ok
 * RUN: -DND=2 -DAPART ok
 * RUN: -DNT=3 -DNK=1 ok
 * RUN: -DM1 error
 * RUN: -DM2 error
 * RUN: -DND=1 -DM3 error
 * RUN: -DM4 error
 * RUN: -DM5 error
 * RUN: -DNT=3 -DND=1 -DM6 error
 * RUN: -DND=1 -DM7 error
 * RUN: -DM8 error
 * RUN: -DND=1 -DM9 error
 * RUN: -DM10 error
 * RUN: -DNT=3 -DNK=1 -DM11 error
 * LONG: -DNT=3 -DNK=1 -DND=1 ok
 * LONG: -DNK=3 -DND=2 ok
 * LONG: -DNT=3 -DNK=1 -DND=2 -DAPART ok
 */

#ifndef NT
#define NT 2
#endif
#ifndef NK
#define NK 2
#endif
#ifndef ND
#define ND 0
#endif

#define EMPTY 0
#define FREE 1
#define CREATING 2
#define LIVE 3
#define REMOVED 4
#define A 1
#define B 2
#define E 4                          /* entries, runs */
#ifdef APART
#define HASH(w) ((w) == A -> 3 : 0)
#else
#define HASH(w) 3
#endif
#define NONE 9
#define BIT(t) (1 << (t))
#define HAS(mask, t) ((mask & BIT(t)) != 0)

/* ---- the segment ---- */
byte state[E];                       /* generation * 8 + state */
byte creator[E];                     /* in the same word: 1 + thread */
byte name[E], off[E];
byte owner_of[E], memory[E];         /* of a run: 1 + entry; what init wrote */
byte record[NT];                     /* of a process: 1 + entry */
byte used, writer;                   /* the count; the word: 1 + thread */
bool died;
#define STATE(e) (state[e] % 8)
#define SAYS(e, s) state[e] = state[e] - STATE(e) + s
#ifdef M8
#define NEXT 0
#else
#define NEXT 8
#endif

/* ---- ghosts ---- */
byte killed, dead, always;           /* always: a mask of names that were there since thread 0 began to look */
byte was[E * 8];                     /* of an entry's generation: name * 8 + off */

/* One step, or death instead of it. `true`: an `else` at the head of a would be weighed against the death, too. */
#define STEP(a)                                                  \
  if                                                             \
  :: atomic { true; a }                                          \
  :: atomic { killed < ND && me < NT -> killed++; goto killed_ } \
  fi

#define IS_DEAD(e) HAS(dead, (creator[e] - 1))
#define REFERENCED(e) (record[0] == e + 1 || record[1] == e + 1 || record[NT - 1] == e + 1)
#define TO_BE_FREED(e) ((STATE(e) == CREATING && IS_DEAD(e)) || (STATE(e) == REMOVED && !REFERENCED(e)))
#define IS(e, w) (STATE(e) == LIVE && name[e] == w)
#define THERE(w) (IS(0, w) || IS(1, w) || IS(2, w) || IS(3, w))

/* find, under the writer word */
inline search(least) {
  n = 0; place = NONE; found = NONE;
  do
  :: n < E ->
     at = (HASH(what) + n) % E;
     if :: place == NONE && STATE(at) <= FREE -> place = at :: else fi;
     if
     :: STATE(at) == EMPTY -> break
     :: STATE(at) >= least && STATE(at) <= LIVE && name[at] == what -> found = at; break
     :: else -> n++
     fi
  :: n == E -> break
  od;
  n = 0; at = 0
}

/* shorten(e, back): places are counted from e, which is HERE */
#define HERE 16
#define AT(i) ((e + i) % E)
#define REACH(e) ((e + E - HASH(name[e])) % E)
#define PASSES(q, n) (STATE(q) == LIVE && REACH(q) >= (q + E - n) % E)
#ifdef M10
#define SEARCHED(e) (STATE(e) == LIVE)
#else
#define SEARCHED(e) (STATE(e) == CREATING || STATE(e) == LIVE)
#endif
#define EARLIER(i) if :: SEARCHED(AT(i)) && i - REACH(AT(i)) < first -> first = i - REACH(AT(i)) :: else fi
#ifdef M5
#define NOT_PASSED true
#else
#define NOT_PASSED (first > i)
#endif

#define OPEN 0
#define CREATE 1
#define REMOVE 2
#define CLOSE 3
#define TIDY 4
/* what comes when an entry is free, or shortened */
#define REPAIR_ON 1
#define TIDY_ON 2
#define AGAIN 3
#define RELEASE 4

proctype thread(byte me) {
  byte op, what, done, e, n, at, place, found, seen, v_off, v_name, claimed, run_, then;
  byte first, i, back;
  bool dirty, anew;
next:
  atomic {
    op = 0; what = 0; n = 0; at = 0; place = 0; found = 0; seen = 0; v_off = 0; run_ = 0;
    if
    :: me < NT && done < NK -> done++; if :: what = A :: what = B fi
    :: me < NT && done == NK -> goto ends
    :: me == NT
    fi;
    if
    :: me == 0 -> goto open
    :: me > 0 && me < NT -> op = CREATE
    :: me > 0 && me < NT -> op = REMOVE
    :: me == NT -> op = TIDY; goto still
    fi
  };
  goto acquire;
still:
  atomic {
    timeout;
    do
    :: n < NT -> if :: HAS(dead, n) -> record[n] = 0 :: else fi; n++
    :: n == NT -> n = 0; goto acquire
    od
  };

  /* ---- shoal_object_open ---- */
open:
  atomic {
    op = OPEN; n = 0; seen = 0; v_off = 0; anew = false; at = HASH(what);
    always = (THERE(A) -> A : 0) | (THERE(B) -> B : 0)
  };
find:
  STEP(
    if
    :: n == E || STATE(at) == EMPTY -> assert((always & what) == 0); always = 0; goto next
    :: n < E && STATE(at) == LIVE
    :: else -> at = (at + 1) % E; n++; goto find
    fi
  );
  STEP(seen = state[at]);
view:
  STEP(v_off = off[at]);
  STEP(v_name = name[at]);
#ifndef M1
  STEP(if :: state[at] == seen :: else -> seen = state[at]; goto view fi);
#endif
  atomic {
    if
    :: seen % 8 == LIVE -> assert(was[at * 8 + seen / 8] == v_name * 8 + v_off)
    :: else
    fi;
    if
    :: seen % 8 == LIVE && v_name == what -> n = 0; v_name = 0
    :: else -> at = (at + 1) % E; n++; seen = 0; v_off = 0; v_name = 0; goto find
    fi
  };
#ifndef M2
  STEP(record[me] = at + 1);
#endif
  STEP(if :: state[at] == seen -> always = 0 :: else -> goto gone fi);
#ifdef M2
  STEP(record[me] = at + 1);
#endif
  STEP(assert(memory[v_off] == what && owner_of[v_off] == at + 1));
  goto close;
gone:
  STEP(record[me] = 0);
  STEP(if :: STATE(at) == REMOVED && !REFERENCED(at) -> anew = true :: else -> goto open fi);
  atomic { op = CLOSE; found = at; goto acquire };

  /* ---- close ---- */
close:
  STEP(record[me] = 0; seen = 0; v_off = 0);
  STEP(if :: STATE(at) == REMOVED && !REFERENCED(at) -> op = CLOSE; found = at; at = 0 :: else -> goto next fi);

  /* ---- under the writer word ---- */
acquire:
  if
  :: atomic {
       writer == 0 -> writer = me + 1; dirty = died; died = false;
       if :: dirty -> dirty = false :: else -> goto holding fi }
  :: atomic { killed < ND && me < NT -> killed++; goto killed_ }
  fi;
#ifdef M3
  goto holding;
#endif
  STEP(used = 0; do :: n < E -> if :: STATE(n) >= CREATING -> used++ :: else fi; n++ :: n == E -> break od);
repair:
  atomic {
    if
    :: n == 0
    :: n > 0 -> n--; if :: STATE(n) == FREE -> e = n; then = REPAIR_ON; goto shorten :: else -> goto repair fi
    fi
  };
tidy:
  atomic {
    if
    :: n == E -> n = 0; if :: op == TIDY -> goto release :: else -> goto holding fi
    :: n < E && TO_BE_FREED(n) -> e = n; then = TIDY_ON; goto free_one
    :: else -> n++; goto tidy
    fi
  };
holding:
  atomic {
    if
    :: op == TIDY -> goto tidy
#ifdef M11
    :: op == CLOSE -> e = found; then = RELEASE; goto free_one
#else
    :: op == CLOSE -> if :: TO_BE_FREED(found) -> e = found; then = RELEASE; goto free_one :: else -> goto release fi
#endif
    :: op == REMOVE -> search(LIVE); if :: found == NONE -> goto release :: else -> goto remove fi
    :: op == CREATE -> search(CREATING)
    fi;
    if
#ifndef M6
    :: found != NONE && STATE(found) == CREATING && IS_DEAD(found) -> e = found; then = AGAIN; goto free_one
    :: found != NONE && !(STATE(found) == CREATING && IS_DEAD(found)) -> goto exists
#else
    :: found != NONE -> goto exists
#endif
    :: found == NONE && place == NONE -> goto release
    :: found == NONE && place != NONE -> do :: owner_of[run_] || run_ == 0 -> run_++ :: !owner_of[run_] -> break od
    fi
  };
#ifdef M9
  STEP(owner_of[run_] = place + 1);
#endif
  STEP(name[place] = what);
  STEP(off[place] = run_);
  STEP(
    SAYS(place, CREATING) + NEXT; creator[place] = me + 1;
    seen = state[place]; was[place * 8 + seen / 8] = what * 8 + run_
  );
#ifndef M9
  STEP(owner_of[run_] = place + 1);
#endif
  STEP(used++; claimed = place + 1);
  goto release;
exists:
  STEP(assert(STATE(found) == LIVE || !IS_DEAD(found)));
  goto release;
remove:
  STEP(SAYS(found, REMOVED); always = always & ~what);
#ifdef M4
  atomic { e = found; then = RELEASE };
#else
  atomic { if :: TO_BE_FREED(found) -> e = found; then = RELEASE :: else -> goto release fi };
#endif

free_one:
#ifndef M7
  STEP(if :: owner_of[off[e]] == e + 1 -> owner_of[off[e]] = 0; memory[off[e]] = 0 :: else fi);
#endif
  STEP(SAYS(e, FREE); creator[e] = 0);
#ifdef M7
  STEP(if :: owner_of[off[e]] == e + 1 -> owner_of[off[e]] = 0; memory[off[e]] = 0 :: else fi);
#endif
  STEP(used--; back = REACH(e));
shorten:
  atomic {
    first = 100; i = HERE + 1;
    do
    :: i < HERE + E && STATE(AT(i)) != EMPTY -> EARLIER(i); i++
    :: else -> break
    od;
    i = HERE
  };
shorten_:
  STEP(
    if :: STATE(AT(i)) == FREE && NOT_PASSED -> SAYS(AT(i), EMPTY) :: else fi;
    EARLIER(i);
    i--;
    if :: i + back >= HERE -> goto shorten_ :: else fi
  );
  atomic {
    first = 0; i = 0; back = 0; e = 0;
    if
    :: then == REPAIR_ON -> then = 0; goto repair
    :: then == TIDY_ON -> then = 0; n++; goto tidy
    :: then == AGAIN -> then = 0; goto holding
    :: then == RELEASE -> then = 0
    fi
  };
release:
  STEP(
    writer = 0; found = 0; place = 0;
    if
    :: op == TIDY -> goto checked
    :: op == CLOSE && anew -> goto open
    :: op != TIDY && !anew && claimed == 0 -> goto next
    :: claimed
    fi
  );

  /* ---- init; publish ---- */
  STEP(memory[run_] = what; at = claimed - 1);
  STEP(record[me] = at + 1; claimed = 0);
  STEP(assert(state[at] == seen && creator[at] == me + 1); assert(!THERE(what)); SAYS(at, LIVE); creator[at] = 0);
  goto close;

checked:
  atomic {
    do
    :: n < E ->
       assert(STATE(n) <= FREE || STATE(n) == LIVE);
       assert(STATE(n) != LIVE || owner_of[off[n]] == n + 1);
       assert(owner_of[n] == 0 || (STATE((owner_of[n] - 1)) == LIVE && off[owner_of[n] - 1] == n));
       if :: STATE(n) == LIVE -> i++ :: else fi;
       assert(STATE(n) != FREE || PASSES(0, n) || PASSES(1, n) || PASSES(2, n) || PASSES(3, n));
       n++
    :: n == E -> break
    od;
    assert(used == i);
    n = 0; i = 0;
    goto ends
  };
killed_:
  atomic {
    dead = dead | BIT(me);
    if :: writer == me + 1 -> writer = 0; died = true :: else fi;
    if :: me == 0 -> always = 0 :: else fi;
    op = 0; what = 0; done = 0; e = 0; n = 0; at = 0; place = 0; found = 0; seen = 0; v_off = 0; v_name = 0;
    claimed = 0; run_ = 0; then = 0; first = 0; i = 0; back = 0; dirty = false; anew = false
  };
ends:
  skip
}

init {
  byte t;
  atomic {
    do :: break :: killed < ND -> killed++ od;                     /* so many do not happen */
    state[3] = 8 + LIVE; name[3] = A; off[3] = 0; owner_of[0] = 4; memory[0] = A; was[3 * 8 + 1] = A * 8 + 0;
    state[0] = 8 + LIVE; name[0] = B; off[0] = 1; owner_of[1] = 1; memory[1] = B; was[0 * 8 + 1] = B * 8 + 1;
    used = 2;
    do :: t <= NT -> run thread(t); t++ :: else -> break od
  }
}
