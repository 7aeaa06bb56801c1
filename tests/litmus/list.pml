/* list.pml: a list's row, values and intents (ipc/data/list_change.c, list.c, list_internal.h, item.c): writers, any of
 * whom is killed anywhere, and a reader that takes no lock.
 *
 * CLAIM    A get answers, whole, a value that its index had at some moment of the get, or that there was none at one.
 *          Who has the lock finds the list as it is: as before an operation or as after it. When nothing moves any more
 *          and somebody has taken the lock, the list is, value by value, what the last operation left; a block is the
 *          list's just if one word below the length leads to it, and a row just if the root does; none is a process's.
 * WHO      NP writers of NO operations each: -DAPPENDS (ADD), -DEXTENDS by two, -DPOPS the last (CHANGE in place),
 *          -DINSERTS, -DSHIFTS (takes the first), -DREPLACES (the first by two), -DREVERSES, -DCLEARS (CHANGE of the
 *          root), -DSETS the first or last (SET); -DSHRINKS: a row may be much too large, so that a change of the end
 *          makes a new one, too. NG gets by a reader, of index 0, 1 or -1; up to ND deaths of writers, at any step.
 *          FILL values are there from the beginning. At the end another takes the lock (shoal_list_lock_), and looks.
 * STEPS    They are called as in the code: make, begin, settle, end_dropped, end_given, sweep (shoal_sweep_run_),
 *          put, add, make_row, run with intend_change and give_all. END: shoal_block_end_alone_; give: shoal_keep_give_
 *          with begin_to_give of core/heap.c. Reader: find, the copy, is_whole.
 * HEAP     A block is FREE, a process's, or the list's; each change raises its life (core/heap_internal.h). The life
 *          that the block itself says is written when it is given. A dead one's blocks are freed later, by anybody.
 * LOCK     One step each way, free when its owner dies: lock.pml.
 * MEMORY   Steps in program order, each seen at once; orders.pml has the orders: PASS, ITEM.
 * MUTANTS  M1 the lock does not say what is intended      M10 a reader does not look at the length again
 *          M2 the old block ends before the word is       M11 it does so last
 *          published                                      M12 it does not look at the root again
 *          M3 a block is named after it is given          M13 nor at the row's life
 *          M4 the intent is over before the old block     M14 nor at the item's life
 *          has ended                                      M15 nor at its word
 *          M5 an heir ends only what was being given      M16 one from the end asks only whether its index is there
 *          M6 an heir leaves what was never added         M17 a row ends before what it dropped
 *          M7 a block is given before that is said        M18 what is dropped ends before the length says so
 *          M8 the length comes before the word            M19 an heir asks only for the root
 *          M9 a row is published before it has all        M20 a row tells its life before it has all
 * ABSTRACT Rows have ROOM words, words have one bit of the life, values are two words: the reader must not need more.
 *          The root counts to two. A full row is full: the larger one would be one made for its middle. The fields of
 *          an intent are written in one step: nobody looks at them before `state`. What has been freed is others' before the last looks. No handles, no damage, no sort.
 * RUN: -DSETS -DAPPENDS -DNG=0 -DND=2 ok
 * LONG: -DEXTENDS -DPOPS -DNB=5 -DNG=0 ok
 * LONG: -DREPLACES -DNB=5 -DNG=0 ok
 * RUN: -DSHIFTS -DCLEARS -DREVERSES -DPOPS -DFILL=3 -DNB=3 -DNG=0 -DND=2 ok
 * RUN: -DAPPENDS -DPOPS -DSHRINKS -DFILL=2 -DNG=0 ok
 * RUN: -DAPPENDS -DEXTENDS -DPOPS -DNB=5 -DNP=1 -DNO=2 ok
 * RUN: -DSETS -DAPPENDS -DPOPS -DFILL=2 -DNB=4 -DNP=1 -DNO=2 ok
 * RUN: -DINSERTS -DSHIFTS -DREPLACES -DREVERSES -DCLEARS -DFILL=2 -DNB=4 -DNP=1 -DNO=2 ok
 * RUN: -DPOPS -DREPLACES -DSHRINKS -DFILL=2 -DNB=5 -DNP=1 -DNO=2 ok
 * RUN: -DSETS -DNP=1 -DNO=4 ok
 * RUN: -DAPPENDS -DPOPS -DFILL=2 -DND=0 ok
 * RUN: -DSETS -DNP=1 -DNG=0 -DM1 error
 * RUN: -DSETS -DNP=1 -DNG=0 -DM2 error
 * RUN: -DSETS -DNP=1 -DNG=0 -DM3 error
 * RUN: -DSETS -DNP=1 -DNG=0 -DM4 error
 * RUN: -DEXTENDS -DNB=3 -DNP=1 -DNG=0 -DM5 error
 * RUN: -DAPPENDS -DNP=1 -DNG=0 -DM6 error
 * RUN: -DINSERTS -DNP=1 -DNG=0 -DM7 error
 * RUN: -DAPPENDS -DNP=1 -DNG=0 -DM8 error
 * RUN: -DINSERTS -DNP=1 -DNG=0 -DM9 error
 * RUN: -DAPPENDS -DPOPS -DFILL=2 -DND=0 -DNP=1 -DNO=2 -DM10 error
 * RUN: -DAPPENDS -DPOPS -DFILL=2 -DND=0 -DM11 error
 * RUN: -DSHIFTS -DFILL=3 -DND=0 -DNP=1 -DNO=2 -DM12 error
 * RUN: -DSHIFTS -DFILL=3 -DND=0 -DNP=1 -DNO=2 -DM13 error
 * RUN: -DSETS -DND=0 -DNP=1 -DNO=4 -DM14 error
 * RUN: -DSETS -DND=0 -DNP=1 -DNO=2 -DM15 error
 * RUN: -DSETS -DAPPENDS -DNB=3 -DND=0 -DNP=1 -DNO=2 -DM16 error
 * RUN: -DSHIFTS -DFILL=2 -DNP=1 -DNG=0 -DM17 error
 * RUN: -DPOPS -DFILL=2 -DNP=1 -DNG=0 -DM18 error
 * RUN: -DEXTENDS -DNB=3 -DNP=1 -DNG=0 -DM19 error
 * RUN: -DPOPS -DREPLACES -DSHRINKS -DFILL=2 -DNB=5 -DND=0 -DNP=1 -DNO=2 -DM20 error
 * LONG: -DAPPENDS -DPOPS ok
 * LONG: -DPOPS -DSHIFTS -DFILL=3 ok
 * LONG: -DSETS ok
 * LONG: -DEXTENDS -DPOPS -DNB=5 -DNG=0 -DND=2 ok
 * LONG: -DINSERTS -DREPLACES -DNB=5 -DNG=0 -DND=2 ok */

#ifndef NP
#define NP 2
#endif
#ifndef NO
#define NO 1
#endif
#ifndef NG
#define NG 1
#endif
#ifndef ND
#define ND 1
#endif
#ifndef FILL
#define FILL 1
#endif
#ifndef NB
#define NB (FILL + NP)
#endif
#ifndef NR
#define NR 2
#endif
#ifndef ROOM
#define ROOM 3
#endif
#define BIT(x) (1 << (x))
#define HAS(mask, x) ((mask & BIT(x)) != 0)

#define APPEND 1
#define POP 2
#define INSERT 3
#define SHIFT 4
#define REPLACE 5
#define REVERSE 6
#define CLEAR 7
#define PUT 8
#define LOOK 9

/* ---- the heap ---- */
#define FREE 0
#define LISTS 1
#define MINE (2 + me)              /* the process's */
byte whose[NB], life[NB];          /* of items: the heap's words */
byte row_whose[NR], row_life[NR];

/* ---- items, rows ---- */
byte seq[NB], v0[NB], v1[NB];
#define WORD(b, life) (2 + 2 * (b) + (life) % 2)
#define ITEM(word) (((word) - 2) / 2)
byte row_seq[NR], length[NR], words[NR * ROOM];
#define AT(r, i) words[(r) * ROOM + (i)]

/* ---- the list ---- */
#define NOWHERE 255
#ifndef COUNT
#define COUNT 2
#endif
byte root;                         /* 0: no row; its number and 1; 4: how often, counted to COUNT */
#define ROW(root) ((root) % 4 - 1)
#define HAS_ROW(root) ((root) % 4 != 0)
#define LENGTH(root) (HAS_ROW(root) -> length[ROW(root)] : 0)
#define IDLE 0
#define SET 1
#define CHANGE 2
#define ADD 3
byte owner;                        /* writer t as t + 1 */
byte state, slot, word, was, then, length_then;
byte fresh, fresh_seq, old, old_seq;   /* a block and 1; of CHANGE, rows */
byte drop_to, give_phase, give_ref, give_seq, undo_phase, undo_ref, undo_seq, drop_phase, drop_ref, drop_seq;

/* ---- what the claims speak of ---- */
byte deaths, values, now_length, now[ROOM];
#define LAST 9
byte asked = NOWHERE;              /* of the get that is under way: its index */
short may;                         /* mask: what it may answer; 0: there is none */
inline note_answer() {
  if
  :: asked == NOWHERE
  :: asked == LAST && now_length -> may = may | BIT(now[now_length - 1])
  :: asked < now_length -> may = may | BIT(now[asked])
  :: else -> may = may | 1
  fi
}
/* [from, from + drop) become n values from v on, then all is turned round if it is REVERSE. */
inline takes_effect() {
  if
  :: op == REVERSE ->
     w = now[0]; now[0] = now[now_length - 1]; now[now_length - 1] = w; w = 0
  :: else ->
     if
     :: n >= drop ->
        i = now_length;
        do
        :: i == from + drop -> break
        :: else -> i--; now[i + n - drop] = now[i]
        od
     :: else ->
        i = from + drop;
        do
        :: i == now_length -> break
        :: else -> now[i + n - drop] = now[i]; i++
        od
     fi;
     i = 0;
     do
     :: i == n -> break
     :: else -> now[from + i] = v + i; i++
     od;
     now_length = now_length + n - drop;
     i = now_length;
     do
     :: i == ROOM -> break
     :: else -> now[i] = 0; i++
     od;
     i = 0
  fi;
  note_answer()
}

/* One step, or death instead of it. AT_LABEL: Spin jumps into no d_step. */
#define DIE atomic { deaths < ND -> deaths++; goto dead }
#define STEP(x) if :: d_step { true; x } :: DIE fi
#define AT_LABEL(x) if :: atomic { true; x } :: DIE fi

/* shoal_block_end_alone_: if it is the list's still, in that life. */
#define END(b, s)                                                                         \
  if                                                                                      \
  :: b && whose[b - 1] == LISTS && life[b - 1] == s -> whose[b - 1] = FREE; life[b - 1]++ \
  :: else                                                                                 \
  fi
#define END_ROW(r, s)                                                                                     \
  if                                                                                                      \
  :: r && row_whose[r - 1] == LISTS && row_life[r - 1] == s -> row_whose[r - 1] = FREE; row_life[r - 1]++ \
  :: else                                                                                                 \
  fi

/* ---- under the lock ---- */
inline sweep(phase, ref, ref_seq, r, to) {
  do
  :: phase / 2 >= to -> break
  :: else ->
     if
     :: phase % 2 == 0 ->
        STEP(
          i = AT(ROW(r), phase / 2); ref = 0;
          if
          :: i >= 2 && seq[ITEM(i)] % 2 == i % 2 -> ref = ITEM(i) + 1; ref_seq = seq[ITEM(i)]
          :: else
          fi;
          i = 0
        );
        STEP(phase++)
     :: else
     fi;
     STEP(END(ref, ref_seq));
     STEP(phase++)
  od
}
inline end_dropped() {
  if
  :: HAS_ROW(was) ->
#ifdef M17
     STEP(END_ROW(old, old_seq));
     sweep(drop_phase, drop_ref, drop_seq, was, drop_to)
#else
     sweep(drop_phase, drop_ref, drop_seq, was, drop_to);
     STEP(END_ROW(old, old_seq))
#endif
  :: else
  fi
}
inline end_given() {
  if
  :: give_phase % 2 == 1 -> STEP(END(give_ref, give_seq))
  :: else
  fi;
#ifndef M5
  if
  :: HAS_ROW(then) -> sweep(undo_phase, undo_ref, undo_seq, then, give_phase / 2)
  :: else
  fi;
#endif
  STEP(END_ROW(fresh, fresh_seq))
}
#define IS_SET (slot < LENGTH(root) && AT(ROW(root), slot) == word)
#ifdef M6
#define IS_ADDED true
#else
#define IS_ADDED (LENGTH(root) == slot + 1)
#endif
#ifdef M19
#define IS_CHANGED (root == then)
#else
#define IS_CHANGED (root == then && LENGTH(root) == length_then)
#endif
inline settle() {
#ifdef M4
  w = state;
  STEP(state = IDLE);
#define STATE w
#else
#define STATE state
#endif
  if
  :: STATE == SET && IS_SET -> STEP(END(old, old_seq))
  :: STATE == SET && !IS_SET -> STEP(END(fresh, fresh_seq))
  :: STATE == ADD && IS_ADDED
  :: STATE == ADD && !IS_ADDED -> STEP(END(fresh, fresh_seq))
  :: STATE == CHANGE && IS_CHANGED -> end_dropped()
  :: STATE == CHANGE && !IS_CHANGED -> end_given()
#if defined(M1) || defined(M4)
  :: STATE == IDLE
#endif
  fi;
#ifdef M4
  w = 0
#else
  STEP(state = IDLE)
#endif
}
#ifdef M1
#define INTEND(how)
#else
#define INTEND(how) STEP(state = how)
#endif
#ifdef M3
#define NAME(ref, b)
#define NAME_LATE(ref, b) STEP(ref = b + 1)
#else
#define NAME(ref, b) STEP(ref = b + 1)
#define NAME_LATE(ref, b)
#endif
inline give(ref, ref_seq, b) {
  STEP(ref_seq = life[b] + 1);
  NAME(ref, b);
  STEP(whose[b] = LISTS; life[b]++);
  NAME_LATE(ref, b);
  STEP(seq[b] = life[b])
}
inline give_row() {
  STEP(fresh_seq = row_life[r] + 1);
  NAME(fresh, r);
  STEP(row_whose[r] = LISTS; row_life[r]++);
  NAME_LATE(fresh, r);
#ifdef M20
  STEP(row_seq[r] = row_life[r])
#else
  skip
#endif
}
inline put() {
  STEP(
    slot = from; word = NOWHERE; fresh = 0;
    old = ITEM(AT(ROW(root), from)) + 1; old_seq = seq[old - 1]
  );
  INTEND(SET);
  give(fresh, fresh_seq, item[0]);
  STEP(word = WORD(item[0], life[item[0]]));
#ifdef M2
  STEP(END(old, old_seq));
#endif
  STEP(AT(ROW(root), from) = word; takes_effect());
  settle()
}
inline add() {
  STEP(slot = from; fresh = 0);
  INTEND(ADD);
  give(fresh, fresh_seq, item[0]);
#ifdef M8
  STEP(length[ROW(root)] = from + 1; takes_effect());
  STEP(AT(ROW(root), from) = WORD(item[0], life[item[0]]));
#else
  STEP(AT(ROW(root), from) = WORD(item[0], life[item[0]]));
  STEP(length[ROW(root)] = from + 1; takes_effect());
#endif
  STEP(state = IDLE)
}
/* make_row, which has the row r; shoal_list_reorder_ */
inline copy_row() {
  STEP(length[r] = size);
  i = 0;
  do
  :: i == from -> break
  :: i < from -> STEP(AT(r, i) = AT(ROW(root), i); i++)
  od;
  i = from + drop;
  do
  :: i >= LENGTH(root) -> break
  :: i < LENGTH(root) -> STEP(AT(r, i + n - drop) = AT(ROW(root), i); i++)
  od;
  i = 0;
  do
  :: i == from || op != REVERSE -> i = 0; break
  :: i < from && op == REVERSE -> STEP(AT(r, i) = AT(ROW(root), from - 1 - i); i++)
  od
}
#ifdef M9
#define PUBLISH_EARLY STEP(root = then; takes_effect())
#else
#define PUBLISH_EARLY
#endif
#ifdef M18
#define END_EARLY if :: root == then -> end_dropped() :: else fi
#else
#define END_EARLY
#endif
#ifdef M7
#define GIVES
#define GIVES_LATE STEP(give_phase = 2 * (from + k) + 1)
#else
#define GIVES STEP(give_phase = 2 * (from + k) + 1)
#define GIVES_LATE
#endif
inline run_change() {
  STEP(
    was = root;
    then = (moves -> (r == NOWHERE -> 0 : r + 1) + 4 * ((root / 4 + 1) % COUNT) : root);
    length_then = size; fresh = 0;
    old = (moves -> root % 4 : 0); old_seq = (moves && HAS_ROW(root) -> row_seq[ROW(root)] : 0);
    give_phase = 2 * from; undo_phase = 2 * from; drop_phase = 2 * from; drop_to = from + drop
  );
  INTEND(CHANGE);
  if
  :: r != NOWHERE -> give_row(); PUBLISH_EARLY
  :: else
  fi;
  k = 0;
  do
  :: k == n -> k = 0; break
  :: k < n ->
     STEP(give_ref = 0);
     GIVES;
     give(give_ref, give_seq, item[k]);
     GIVES_LATE;
     STEP(
       i = (moves -> r : ROW(root));
       AT(i, from + k) = WORD(item[k], life[item[k]]); i = 0
     );
     STEP(k++; give_phase = 2 * (from + k))
  od;
  END_EARLY;
#ifndef M20
  if :: r != NOWHERE -> STEP(row_seq[r] = row_life[r]) :: else fi;
#endif
  if
  :: then != root -> STEP(root = then; takes_effect())
#ifdef M9
  :: then == root && moves
  :: then == root && !moves -> STEP(length[ROW(root)] = size; takes_effect())
#else
  :: then == root -> STEP(length[ROW(root)] = size; takes_effect())
#endif
  fi;
  settle()
}

/* ---- a writer ---- */
/* What is free by then has become others'. */
inline taken_by_others() {
  do
  :: i == NB -> i = 0; break
  :: i < NB -> if :: whose[i] == FREE -> seq[i] = 0; v0[i] = 0; v1[i] = 0 :: else fi; i++
  od;
  do
  :: i == NR * ROOM -> i = 0; break
  :: i < NR * ROOM -> if :: row_whose[i / ROOM] == FREE -> words[i] = 0; length[i / ROOM] = 0 :: else fi; i++
  od
}
proctype writer(byte me) {
  byte op, ops, v, n, i, k, r, w, from, drop, size;
  byte item[2];
  bool in_place, too_large, moves;
next:
  atomic {
    op = LOOK; v = 0; n = 0; i = 0; k = 0; r = NOWHERE; w = 0; from = 0; drop = 0; size = 0;
    item[0] = NOWHERE; item[1] = NOWHERE; in_place = false; too_large = false; moves = false;
    if
    :: me == NP -> taken_by_others(); goto begin
    :: me < NP && ops == NO -> goto finished
    :: me < NP && ops < NO -> ops++
    fi;
    if
#ifdef APPENDS
    :: op = APPEND; n = 1
#endif
#ifdef EXTENDS
    :: op = APPEND; n = 2
#endif
#ifdef POPS
    :: op = POP; goto begin
#endif
#ifdef INSERTS
    :: op = INSERT; n = 1
#endif
#ifdef SHIFTS
    :: op = SHIFT; goto begin
#endif
#ifdef REPLACES
    :: op = REPLACE; n = 2
#endif
#ifdef REVERSES
    :: op = REVERSE; goto begin
#endif
#ifdef CLEARS
    :: op = CLEAR; goto begin
#endif
#ifdef SETS
    :: op = PUT; n = 1
#endif
    fi;
    v = values + 1; values = values + n
  };
make:
  do
  :: k == n -> k = 0; break
  :: k < n ->
     AT_LABEL(
       i = 0;
       do
       :: i == NB || whose[i] == FREE -> break
       :: else -> i++
       od;
       if :: i == NB -> i = 0; goto unmake :: else fi;
       whose[i] = MINE; life[i]++; item[k] = i; v0[i] = v + k; i = 0
     );
     STEP(v1[item[k]] = v + k; k++)
  od;
begin:
  if
  :: atomic { owner == 0 -> owner = me + 1; if :: state == IDLE -> goto begun :: else fi }
  :: atomic { owner != me + 1 && deaths < ND -> deaths++; goto dead }
  fi;
  settle();
begun:
  atomic {
    assert(LENGTH(root) == now_length);
    size = now_length;
    if
    :: op == LOOK -> goto look
    :: op == APPEND -> from = size
    :: op == INSERT
    :: op == POP && size -> from = size - 1; drop = 1
    :: (op == SHIFT || op == REPLACE) && size -> drop = 1
    :: op == REVERSE && size > 1 -> from = size
    :: op == CLEAR -> drop = size
    :: op == PUT && size
    :: op == PUT && size > 1 -> from = size - 1
    :: (op == POP || op == SHIFT || op == REPLACE || op == PUT) && size == 0 -> goto release
    :: op == REVERSE && size <= 1 -> goto release
    fi;
    if
    :: op == PUT -> drop = 1
    :: else
    fi;
    if
    :: (!drop && !n && op != REVERSE) || size + n - drop > ROOM -> goto release
    :: else
    fi;
    in_place = HAS_ROW(root) && from + drop == size && !(drop && n) && op != REVERSE;
    size = size + n - drop;
    if
    :: too_large = false
#ifdef SHRINKS
    :: too_large = true
#endif
    fi
  };
  if
  :: op == PUT -> put(); item[0] = NOWHERE; goto release
  :: op != PUT && !drop && n == 1 && in_place && !too_large -> add(); item[0] = NOWHERE; goto release
  :: else
  fi;
  if
  :: size && (!in_place || too_large)
  :: size == 0 || (in_place && !too_large) -> goto change
  fi;
  /* make_row */
  STEP(
    r = 0;
    do
    :: r == NR -> r = NOWHERE; break
    :: r < NR && row_whose[r] == FREE -> row_whose[r] = MINE; row_life[r]++; break
    :: else -> r++
    od
  );
  if
  :: r == NOWHERE && !in_place -> goto release
  :: r == NOWHERE && in_place -> goto change
  :: else
  fi;
  copy_row();
change:
  moves = (r != NOWHERE || size == 0);
  run_change();
  item[0] = NOWHERE; item[1] = NOWHERE;
release:
  AT_LABEL(assert(owner == me + 1); owner = 0);
unmake:
  k = 0;
  do
  :: k == n -> break
  :: k < n ->
     if
     :: item[k] != NOWHERE -> STEP(whose[item[k]] = FREE; life[item[k]]++; item[k] = NOWHERE)
     :: else
     fi;
     k++
  od;
  goto next;

look:
  atomic {
    assert(state == IDLE && owner == me + 1);
    k = 0;
    do
    :: k == NB -> k = 0; break
    :: k < NB ->
       n = 0; i = 0;
       do
       :: i == LENGTH(root) -> i = 0; break
       :: else ->
          if
          :: AT(ROW(root), i) == WORD(k, life[k]) -> n++
          :: else -> assert(ITEM(AT(ROW(root), i)) != k)
          fi;
          i++
       od;
       assert(whose[k] <= LISTS && n == (whose[k] == LISTS));
       k++
    od;
    do
    :: k == NR -> k = 0; break
    :: k < NR -> assert(row_whose[k] == (HAS_ROW(root) && ROW(root) == k -> LISTS : FREE)); k++
    od;
    do
    :: k == now_length -> k = 0; break
    :: else -> assert(v0[ITEM(AT(ROW(root), k))] == now[k] && v1[ITEM(AT(ROW(root), k))] == now[k]); k++
    od;
    goto finished
  };

dead:
  atomic {
    if :: owner == me + 1 -> owner = 0 :: else fi;
    k = 0;
    do
    :: k == NB -> k = 0; break
    :: k < NB -> if :: whose[k] == MINE -> whose[k] = FREE; life[k]++ :: else fi; k++
    od;
    do
    :: k == NR -> k = 0; break
    :: k < NR -> if :: row_whose[k] == MINE -> row_whose[k] = FREE; row_life[k]++ :: else fi; k++
    od
  };
finished:
  atomic {
    op = 0; ops = 0; v = 0; n = 0; i = 0; k = 0; r = 0; w = 0; from = 0; drop = 0; size = 0;
    item[0] = 0; item[1] = 0; in_place = false; too_large = false; moves = false
  }
}

/* ---- a reader ---- */
#define IS_THERE(r) (asked == LAST -> length[ROW(r)] == n : i < length[ROW(r)])
#define UNLESS(is) atomic { if :: is :: else -> goto find fi }
proctype reader() {
  byte gets, r, rs, n, i, w, q, a0, a1;
next:
  atomic {
    if
    :: gets == NG -> asked = NOWHERE; may = 0; goto finished
    :: gets < NG -> gets++
    fi;
    if
    :: asked = 0
    :: asked = 1
    :: asked = LAST
    fi;
    may = 0;
    note_answer()
  };
find:
  atomic {
    rs = 0; n = 0; i = 0; w = 0; q = 0; a0 = 0; a1 = 0;
    r = root;
    if
    :: HAS_ROW(r)
    :: !HAS_ROW(r) -> goto answer
    fi
  };
  rs = row_seq[ROW(r)];
  atomic {
    n = length[ROW(r)];
    i = (asked != LAST -> asked : (n -> n - 1 : 0));
    if
    :: i < n
    :: i >= n -> goto none
    fi
  };
  atomic {
    w = AT(ROW(r), i);
    if
    :: w < 2 -> goto find
    :: else
    fi
  };
  atomic {
    q = seq[ITEM(w)];
    if
    :: q % 2 == w % 2
    :: else -> goto find
    fi
  };
  a0 = v0[ITEM(w)];
  a1 = v1[ITEM(w)];
  /* is_whole */
#ifdef M16
  UNLESS(i < length[ROW(r)]);
#elif !defined(M10) && !defined(M11)
  UNLESS(IS_THERE(r));
#endif
#ifndef M15
  UNLESS(AT(ROW(r), i) == w);
#endif
#ifndef M14
  UNLESS(seq[ITEM(w)] == q);
#endif
none:
#ifndef M12
  UNLESS(root == r);
#endif
#ifndef M13
  UNLESS(row_seq[ROW(r)] == rs);
#endif
#ifdef M11
  UNLESS(i >= n || IS_THERE(r));
#endif
answer:
  atomic { assert(a0 == a1 && HAS(may, a0)); goto next };
finished:
  gets = 0
}

init {
  byte i;
  d_step {
    if
    :: FILL > 0 -> root = 1; row_whose[0] = LISTS; row_life[0] = 2; row_seq[0] = 2; length[0] = FILL
    :: else
    fi;
    for (i : 1 .. FILL) {
      values++;
      whose[i - 1] = LISTS; life[i - 1] = 2; seq[i - 1] = 2; v0[i - 1] = values; v1[i - 1] = values;
      AT(0, i - 1) = WORD(i - 1, 2); now[i - 1] = values
    }
    now_length = FILL
  };
  atomic {
    for (i : 0 .. NP - 1) { run writer(i) }
    run reader();
    i = 0
  };
  timeout -> atomic { assert(_nr_pr == 1); deaths = ND; run writer(NP) }
}
