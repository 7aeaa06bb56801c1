/* dict.pml: a dict's keys, values and tables (ipc/data/dict.c, dict_table.c, dict_internal.h, item.c): writers, any of
 * whom is killed anywhere, and a reader that takes no lock.
 *
 * CLAIM    A get answers, whole, a value that its key had at some moment of the get, or that it was absent at one. Who
 *          has a stripe finds its keys as they are. When nothing moves any more and somebody has taken all stripes,
 *          each key has the value of the last set that took effect, whole; a block is the dict's just if one word of
 *          the table leads to it, and a table just if the root does; none is a process's; the stripes count what there
 *          is, and `used` is no less than the words that are not NONE.
 * WHO      NP writers of NO operations each, on any of NK keys, of NS stripes (key k of stripe k % NS): -DSETS, of
 *          another size, by a new block and one store (ADD, REPLACE); -DPLACES, in place, by the stripe's intent
 *          (OVERWRITE); -DREMOVES; -DCLEARS; the table moves when it has no room. NG gets by a reader; -DAPART: of
 *          another key than the writers change; up to ND deaths of writers, at any step. FILL keys are there from the
 *          beginning. At the end another writer takes all stripes (shoal_dict_lock_all_), and looks.
 * STEPS    They are called as in the code; but for make: shoal_item_make_. begin, found: begin_with, put, drop.
 *          at_once: set_at_once. mend: repair. overwrite: shoal_dict_overwrite_. END: shoal_block_end_alone_. give:
 *          shoal_keep_give_ with name_block of core/heap.c. resize: resize, move_to. sweep: shoal_sweep_run_. Reader:
 *          find, is_it, get_in_full; get_at_once looks less often, and so does the model.
 * HEAP     A block is FREE, a process's, or the dict's; each change raises its life (core/heap_internal.h). The life
 *          that the block itself says is written when it is given. A dead one's blocks are freed later, by anybody.
 * LOCK     A stripe is one step each way, free when its owner dies: lock.pml.
 * MEMORY   Steps in program order, each seen at once; orders.pml has the orders: ITEM, OVERWRITE.
 * MUTANTS  M1 the stripe does not say what is intended    M11 the table is not looked at again
 *          M2 the old block ends before the word is       M12 nor its life, which is more than the root counts
 *          published                                      M13 a writer does not look whether the table moves
 *          M3 the head does not say that it changes       M14 a clear does not say where it has come to
 *          M4 an heir changes what never began            M15 entries are added to, not told as they will be
 *          M5 an heir leaves what has begun               M16 a word is made the key's by a plain store
 *          M6 what it is to be stands beside too late     M17 a block is named after it is given
 *          M7 the head does not count changes             M18 the intent is over before the old block has ended
 *          M8 nor says when it has come to the last       M19 lives rise only when a block is given
 *          M9 the item's life is not looked at again      M20 a set in place does not look again under the stripe
 *          M10 nor its word                               M21 a table is published before its words
 *                                                         M22 an heir takes what was added for never done
 * ABSTRACT A table is one bucket of NW words, and a table that moves is no larger; all hashes are one. Tags of words
 *          are one bit of the life, the root counts to two, a head its changes up to LAST: the reader must not need
 *          more. It does not compare the tag, which only saves it time. Keys are one word, values two. Who has the stripe
 *          finds its key in one step, and writes the fields of an intent in one: nobody looks at them before `state`. No
 *          handles, no damage.
 * RUN: -DSETS ok
 * RUN: -DPLACES ok
 * RUN: -DSETS -DNK=2 -DFILL=0 -DNG=0 ok
 * RUN: -DSETS -DND=0 -DNP=1 -DNO=4 ok
 * RUN: -DSETS -DPLACES -DNP=1 -DNO=2 ok
 * RUN: -DSETS -DREMOVES -DNP=1 -DNO=2 ok
 * RUN: -DSETS -DREMOVES -DNK=2 -DFILL=2 -DNP=1 -DNO=4 -DAPART ok
 * RUN: -DSETS -DCLEARS -DNK=2 -DFILL=2 -DNP=1 -DNB=4 ok
 * RUN: -DCLEARS -DND=2 -DNK=2 -DFILL=2 -DNP=1 ok
 * RUN: -DSETS -DNP=1 -DNG=0 -DM1 error
 * RUN: -DSETS -DNP=1 -DM2 error
 * RUN: -DPLACES -DND=0 -DNP=1 -DM3 error
 * RUN: -DPLACES -DNP=1 -DM4 error
 * RUN: -DPLACES -DNP=1 -DM5 error
 * RUN: -DPLACES -DND=0 -DNP=1 -DM6 error
 * RUN: -DPLACES -DND=0 -DNP=1 -DM7 error
 * RUN: -DPLACES -DND=0 -DNP=1 -DNO=2 -DM8 error
 * RUN: -DSETS -DND=0 -DNP=1 -DNO=4 -DM9 error
 * RUN: -DSETS -DND=0 -DNP=1 -DNO=2 -DM10 error
 * RUN: -DSETS -DREMOVES -DND=0 -DNK=2 -DFILL=2 -DNP=1 -DNO=4 -DAPART -DM11 error
 * RUN: -DSETS -DREMOVES -DND=0 -DNK=2 -DFILL=2 -DNP=1 -DNO=4 -DAPART -DM12 error
 * RUN: -DSETS -DREMOVES -DNP=1 -DNO=2 -DNG=0 -DM13 error
 * RUN: -DCLEARS -DNK=2 -DFILL=2 -DNP=1 -DNG=0 -DM14 error
 * RUN: -DSETS -DREMOVES -DNP=1 -DNG=0 -DM15 error
 * RUN: -DSETS -DND=0 -DNK=2 -DFILL=0 -DNG=0 -DM16 error
 * RUN: -DSETS -DNP=1 -DNG=0 -DM17 error
 * RUN: -DSETS -DNP=1 -DNG=0 -DM18 error
 * RUN: -DSETS -DNK=2 -DFILL=0 -DNG=0 -DM19 error
 * RUN: -DSETS -DPLACES -DND=0 -DNG=0 -DM20 error
 * RUN: -DSETS -DREMOVES -DND=0 -DNK=2 -DFILL=2 -DNP=1 -DNO=2 -DM21 error
 * RUN: -DSETS -DFILL=0 -DNP=1 -DNG=0 -DM22 error
 * LONG: -DPLACES -DND=2 ok
 * LONG: -DSETS -DREMOVES ok
 * LONG: -DSETS -DCLEARS -DNK=2 -DFILL=2 -DNG=0 ok
 * LONG: -DPLACES -DCLEARS -DNK=2 -DFILL=2 -DNG=0 ok
 * LONG: -DSETS -DREMOVES -DPLACES -DNK=2 -DFILL=2 -DNP=1 -DNO=2 ok
 * LONG: -DSETS -DREMOVES -DNK=2 -DNP=1 -DNO=3 ok
 * LONG: -DSETS -DREMOVES -DND=0 -DNP=1 -DNO=5 ok */

#ifndef NK
#define NK 1
#endif
#ifndef NS
#define NS NK
#endif
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
#ifndef NW
#define NW (NK + 1)
#endif
#ifndef LAST
#define LAST 1
#endif
#define NT 2
#define LIMIT (NW - 1)

#define BIT(x) (1 << (x))
#define HAS(mask, x) ((mask & BIT(x)) != 0)

/* ---- the heap ---- */
#define FREE 0
#define DICTS 1
#define MINE (2 + me)              /* the process's */
byte whose[NB], life[NB];          /* of items: the heap's words */
byte table_whose[NT], table_life[NT];
#ifdef M19
#define RAISE(l)
#else
#define RAISE(l) l++
#endif

/* ---- items, tables ---- */
byte seq[NB], key[NB], head[NB], v0[NB], v1[NB];
#define CHANGING 1                 /* the lowest bit of a head; above it: how often */
#define CHANGED 2
#define NONE 0
#define REMOVED 1
#define WORD(b, life) (2 + 2 * (b) + (life) % 2)
#define ITEM(word) (((word) - 2) / 2)
byte table_seq[NT];
byte words[NT * NW];
#define AT(t, i) words[(t) * NW + (i)]

/* ---- the dict ---- */
#define NOWHERE 255
byte root;                         /* 0: no table; its number and 1; 4: how often, counted to two */
#define TABLE(root) ((root) % 4 - 1)
#define HAS_TABLE(root) ((root) % 4 != 0)
#define STILL 0
#define MOVE 1
#define CLEAR 2
byte moving, was_root, then_root, fresh_table, fresh_table_seq, old_table, old_table_seq;
byte phase, sweep_block, sweep_seq;
byte used;

#define IDLE 0
#define ADD 1
#define REPLACE 2
#define REMOVE 3
#define OVERWRITE 4
byte owner[NS];                    /* thread t as t + 1 */
byte state[NS], slot[NS], word[NS], was[NS], entries[NS], entries_then[NS];
byte fresh[NS], fresh_seq[NS], old[NS], old_seq[NS];  /* a block and 1 */
byte beside0[NS], beside1[NS];

/* ---- what the claims speak of ---- */
byte deaths, values;
byte now[NK];                      /* the value; 0: absent */
byte asked, may;                   /* of the get that is under way: its key; mask: what it may answer */
inline takes_effect(k, value) {
  now[k] = value;
  if :: asked == k -> may = may | BIT(value) :: else fi
}

/* One step, or death instead of it. AT_LABEL: Spin jumps into no d_step. */
#define DIE atomic { deaths < ND -> deaths++; goto dead }
#define STEP(x) if :: d_step { true; x } :: DIE fi
#define AT_LABEL(x) if :: atomic { true; x } :: DIE fi

/* shoal_block_end_alone_: if it is the dict's still, in that life. */
#define END(b, s)                                                                               \
  if                                                                                            \
  :: b && whose[b - 1] == DICTS && life[b - 1] == s -> whose[b - 1] = FREE; RAISE(life[b - 1])  \
  :: else                                                                                       \
  fi
#define END_TABLE(t, s)                                                           \
  if                                                                              \
  :: t && table_whose[t - 1] == DICTS && table_life[t - 1] == s ->                \
     table_whose[t - 1] = FREE; RAISE(table_life[t - 1])                          \
  :: else                                                                         \
  fi

/* ---- under a stripe ---- */
#ifdef M3
#define SAY_CHANGING(b)
#else
#define SAY_CHANGING(b) head[b] = head[b] | CHANGING
#endif
#ifdef M7
#define SAY_CHANGED(b) head[b] = was[s]
#elif defined(M8)
#define SAY_CHANGED(b) head[b] = (was[s] + CHANGED) % (CHANGED * (LAST + 1))
#else
#define SAY_CHANGED(b) head[b] = was[s] + CHANGED
#endif
#ifdef M8
#define MAY_CHANGE(h) ((h & CHANGING) == 0)
#else
#define MAY_CHANGE(h) ((h & CHANGING) == 0 && h / CHANGED < LAST)
#endif
/* effect: 1, it is set now; 0, by an heir */
inline overwrite(effect) {
  STEP(
    SAY_CHANGING(old[s] - 1);
    if :: effect -> takes_effect(k, v) :: else fi
  );
#ifdef M6
  if
  :: effect -> STEP(beside0[s] = v); STEP(beside1[s] = v)
  :: else
  fi;
#endif
  STEP(v0[old[s] - 1] = beside0[s]);
  STEP(v1[old[s] - 1] = beside1[s]);
  STEP(SAY_CHANGED(old[s] - 1));
  STEP(state[s] = IDLE)
}
#ifdef M15
#define COUNT entries[s] = entries[s] + (state[s] == ADD) - (state[s] == REMOVE)
#else
#define COUNT entries[s] = entries_then[s]
#endif
inline settle() {
#ifdef M18
  if
  :: done -> STEP(COUNT); STEP(state[s] = IDLE); STEP(END(old[s], old_seq[s]); done = false)
  :: else -> STEP(state[s] = IDLE); STEP(END(fresh[s], fresh_seq[s]))
  fi
#else
  if
  :: done -> STEP(COUNT); STEP(END(old[s], old_seq[s]); done = false)
  :: else -> STEP(END(fresh[s], fresh_seq[s]))
  fi;
  STEP(state[s] = IDLE)
#endif
}
#define BEGAN (head[old[s] - 1] == (was[s] | CHANGING))
#ifdef M4
#define NEVER_BEGAN (head[old[s] - 1] == was[s] + CHANGED)
#elif defined(M5)
#define NEVER_BEGAN true
#else
#define NEVER_BEGAN (head[old[s] - 1] == was[s] || head[old[s] - 1] == was[s] + CHANGED)
#endif
#ifdef M22
#define IS_DONE (state[s] == REPLACE && slot[s] != NOWHERE && AT(TABLE(root), slot[s]) == word[s])
#else
#define IS_DONE (slot[s] != NOWHERE && AT(TABLE(root), slot[s]) == word[s])
#endif
inline mend() {
  if
  :: state[s] == OVERWRITE && NEVER_BEGAN -> STEP(state[s] = IDLE)
  :: state[s] == OVERWRITE && !(NEVER_BEGAN) -> assert(BEGAN || head[old[s] - 1] == was[s]); overwrite(0)
  :: state[s] != OVERWRITE ->
     STEP(
       if
       :: !HAS_TABLE(root) -> done = false
       :: HAS_TABLE(root) && state[s] == REMOVE -> done = AT(TABLE(root), slot[s]) != was[s]
       :: else -> done = IS_DONE
       fi
     );
     settle()
  fi
}
inline lock_one() {
  if
  :: atomic { owner[s] == 0 -> owner[s] = me + 1 }
  :: atomic { owner[s] != me + 1 && deaths < ND -> deaths++; goto dead }
  fi;
  if
  :: state[s] != IDLE -> mend()
  :: else
  fi
}
#define UNLOCK STEP(owner[s] = 0)

/* ---- under all ---- */
#ifdef M14
#define COME_TO(p) phase = 2 * NW
#else
#define COME_TO(p) phase = p
#endif
inline sweep() {
  do
  :: phase / 2 == NW -> break
  :: phase / 2 < NW ->
     if
     :: phase % 2 == 0 ->
        STEP(
          i = AT(TABLE(was_root), phase / 2); sweep_block = 0;
          if
          :: i > REMOVED && seq[ITEM(i)] % 2 == i % 2 -> sweep_block = ITEM(i) + 1; sweep_seq = seq[ITEM(i)]
          :: else
          fi;
          i = phase
        );
        STEP(COME_TO(i + 1))
     :: else -> i = phase - 1
     fi;
     STEP(END(sweep_block, sweep_seq));
     STEP(phase = i + 2; i = 0)
  od
}
inline end_move() {
  done = (root == then_root);
  if
  :: done && moving == CLEAR ->
     s = 0;
     do
     :: s == NS -> s = 0; break
     :: s < NS -> STEP(entries[s] = 0; s++)
     od;
     sweep()
  :: else
  fi;
  if
  :: done ->
     STEP(END_TABLE(old_table, old_table_seq));
     STEP(used = entries[0] + (NS > 1 -> entries[NS - 1] : 0); done = false)
  :: else -> STEP(END_TABLE(fresh_table, fresh_table_seq))
  fi;
  STEP(moving = STILL)
}
inline lock_all() {
  s = 0;
  do
  :: s == NS -> s = 0; break
  :: s < NS -> lock_one(); s++
  od;
#ifdef M13
  skip
#else
  if
  :: moving != STILL -> end_move()
  :: else
  fi
#endif
}
inline unlock_all() {
  s = NS;
  do
  :: s == 0 -> break
  :: s > 0 -> STEP(s--; owner[s] = 0)
  od
}
inline lock() {
#ifdef M13
  lock_one();
  skip
#else
  do
  :: lock_one();
     if
     :: moving == STILL -> break
     :: else -> UNLOCK; lock_all(); unlock_all(); s = k % NS
     fi
  od
#endif
}
/* table t, or NOWHERE: none, and all is gone */
inline publish(how) {
  STEP(
    was_root = root; fresh_table = 0; old_table = root % 4;
    old_table_seq = (HAS_TABLE(root) -> table_seq[TABLE(root)] : 0); phase = 0;
    then_root = (t == NOWHERE -> 0 : t + 1) + 4 * ((root / 4 + 1) % 2)
  );
  STEP(moving = how);
  if
  :: t != NOWHERE ->
     STEP(fresh_table_seq = table_life[t] + 1; fresh_table = t + 1);
     STEP(table_whose[t] = DICTS; table_life[t]++);
     STEP(table_seq[t] = table_life[t])
  :: else
  fi;
  STEP(
    root = then_root;
    if :: how == CLEAR -> takes_effect(0, 0); if :: NK > 1 -> takes_effect(NK - 1, 0) :: else fi :: else fi
  );
#ifndef M21
  t = 0;
  end_move()
#endif
}
inline copy_words() {
  i = 0;
  do
  :: i == NW -> i = 0; break
  :: i < NW -> STEP(AT(t, i) = NONE; i++)
  od;
  n = 0;
  do
  :: n == NW || !HAS_TABLE(from) -> n = 0; i = 0; break
  :: else ->
     if
     :: AT(TABLE(from), n) > REMOVED -> STEP(AT(t, i) = AT(TABLE(from), n); i++; n++)
     :: else -> n++
     fi
  od
}
/* shoal_dict_resize_; refused: no memory */
inline resize() {
  lock_all();
  if
  :: HAS_TABLE(root) && used + 1 <= LIMIT
  :: else ->
     STEP(
       if
       :: table_whose[0] == FREE -> t = 0; table_whose[0] = MINE; RAISE(table_life[0])
       :: table_whose[0] != FREE && table_whose[1] == FREE -> t = 1; table_whose[1] = MINE; RAISE(table_life[1])
       :: else -> refused = true
       fi
     );
     from = root;
     if
     :: refused
     :: else ->
#ifdef M21
        publish(MOVE); copy_words(); t = 0; end_move()
#else
        copy_words(); publish(MOVE)
#endif
     fi;
     from = 0
  fi;
  unlock_all()
}

/* ---- a writer ---- */
#define LEADS_TO_IT(t, i) (AT(t, i) > REMOVED && key[ITEM(AT(t, i))] == k)
inline find() {
  STEP(
    there = false; at = 0;
    do
    :: at == NW || !HAS_TABLE(root) -> at = NOWHERE; break
    :: at < NW && HAS_TABLE(root) && LEADS_TO_IT(TABLE(root), at) -> there = true; break
    :: else -> at++
    od;
    w = (there -> AT(TABLE(root), at) : NONE);
    assert(there == (now[k] != 0))
  )
}
inline unmake() { STEP(whose[b] = FREE; RAISE(life[b]); b = 0) }
#ifdef M1
#define INTEND(how)
#else
#define INTEND(how) STEP(state[s] = how)
#endif
inline intend(how) {
  STEP(
    slot[s] = at; word[s] = NOWHERE; was[s] = w; fresh[s] = 0;
    entries_then[s] = entries[s] + (how == ADD) - (how == REMOVE);
    old[s] = (there -> ITEM(w) + 1 : 0); old_seq[s] = (there -> seq[ITEM(w)] : 0)
  );
  INTEND(how)
}
#ifdef M17
#define NAME
#define NAME_LATE STEP(fresh[s] = b + 1)
#else
#define NAME STEP(fresh[s] = b + 1)
#define NAME_LATE
#endif
inline give() {
  STEP(fresh_seq[s] = life[b] + 1);
  NAME;
  STEP(whose[b] = DICTS; life[b]++);
  NAME_LATE;
  STEP(seq[b] = life[b])
}
inline add() {
  i = 0;
  do
  :: STEP(w = AT(TABLE(root), i));
     if
     :: w > REMOVED -> i++; assert(i < NW)
     :: else ->
        STEP(slot[s] = i);
        STEP(
          if
#ifdef M16
          :: true ->
#else
          :: AT(TABLE(root), i) == w ->
#endif
             AT(TABLE(root), i) = word[s]; takes_effect(k, v); done = true;
             if :: w == NONE -> reserved = false :: else fi
          :: else -> i++; assert(i < NW)
          fi
        );
        if :: done -> break :: else fi
     fi
  od;
  i = 0; w = 0
}
#define FINISH                                                  \
  if                                                            \
  :: reserved -> STEP(used--; reserved = false)                 \
  :: else                                                       \
  fi;                                                           \
  UNLOCK

#define SET 1
#define PLACE 2
#define DROP 3
#define EMPTY 4
#define LOOK 5

proctype writer(byte me) {
  byte op, ops, k, v, b, s, i, n, t, at, w, h, q, from;
  bool there, done, reserved, refused;
  if
  :: me == NP -> op = LOOK; goto look
  :: else
  fi;
next:
  atomic {
    op = 0; k = 0; v = 0; b = 0; s = 0; i = 0; at = 0; w = 0; h = 0; q = 0;
    there = false; done = false; refused = false;
    if
    :: ops == NO -> goto finished
    :: ops < NO -> ops++
    fi;
    if
#if !defined(APART) || NK == 1
    :: k = 0
#endif
#if NK > 1
    :: k = NK - 1
#endif
    fi;
    s = k % NS;
    if
#ifdef SETS
    :: op = SET; values++; v = values
#endif
#ifdef PLACES
    :: op = PLACE; values++; v = values; goto at_once
#endif
#ifdef REMOVES
    :: op = DROP; goto begin
#endif
#ifdef CLEARS
    :: op = EMPTY; goto clear
#endif
    fi
  };
make:
  AT_LABEL(
    b = 0;
    do
    :: b == NB || whose[b] == FREE -> break
    :: else -> b++
    od;
    if :: b < NB -> whose[b] = MINE; RAISE(life[b]) :: else fi
  );
  if
  :: b == NB -> goto next
  :: else
  fi;
  STEP(key[b] = k);
  STEP(head[b] = 0);
  STEP(v0[b] = v);
  STEP(v1[b] = v);
begin:
  lock();
  find();
  if
  :: there || op == DROP -> goto found
  :: else
  fi;
  STEP(if :: HAS_TABLE(root) && used < LIMIT -> used++; reserved = true :: else fi);
  if
  :: reserved -> goto found
  :: else
  fi;
  UNLOCK;
  if
  :: refused -> unmake(); goto next
  :: else
  fi;
  resize();
  s = k % NS;
  goto begin;

found:
  if
  :: op == DROP && !there -> UNLOCK; goto next
  :: op == DROP && there ->
     intend(REMOVE);
     STEP(AT(TABLE(root), at) = REMOVED; takes_effect(k, 0));
     done = true;
     settle();
     UNLOCK;
     goto next
  :: op == PLACE && there && MAY_CHANGE(head[ITEM(w)]) -> unmake(); goto overwrite_it
  :: else
  fi;
  if
  :: there -> intend(REPLACE)
  :: else -> intend(ADD)
  fi;
  give();
  STEP(word[s] = WORD(b, life[b]); b = 0);
#ifdef M2
  if
  :: there -> STEP(END(old[s], old_seq[s]))
  :: else
  fi;
#endif
  if
  :: there -> STEP(AT(TABLE(root), at) = word[s]; takes_effect(k, v); done = true)
  :: else -> add()
  fi;
  settle();
  FINISH;
  goto next;

at_once:
  AT_LABEL(t = root);
  if
  :: !HAS_TABLE(t) -> t = 0; goto make
  :: else -> t = TABLE(t)
  fi;
  STEP(
    at = 0;
    do
    :: at == NW || LEADS_TO_IT(t, at) -> break
    :: else -> at++
    od;
    if :: at < NW -> w = AT(t, at) :: else fi
  );
  if
  :: at == NW -> at = 0; t = 0; goto make
  :: else
  fi;
  STEP(q = seq[ITEM(w)]);
  STEP(h = head[ITEM(w)]; if :: key[ITEM(w)] != k -> h = CHANGING :: else fi);
  if
  :: !MAY_CHANGE(h) -> at = 0; t = 0; w = 0; goto make
  :: else
  fi;
  lock();
#ifndef M20
  STEP(
    done = (HAS_TABLE(root) && TABLE(root) == t && AT(t, at) == w && seq[ITEM(w)] == q && head[ITEM(w)] == h)
  );
  if
  :: !done -> at = 0; t = 0; w = 0; h = 0; q = 0; UNLOCK; goto make
  :: else -> done = false; there = true
  fi;
#endif
  t = 0; h = 0; q = 0;
overwrite_it:
#ifndef M6
  AT_LABEL(beside0[s] = v);
  STEP(beside1[s] = v);
#endif
  AT_LABEL(old[s] = ITEM(w) + 1; old_seq[s] = seq[ITEM(w)]; was[s] = head[ITEM(w)]);
  STEP(state[s] = OVERWRITE);
  overwrite(1);
  UNLOCK;
  goto next;

clear:
  skip;
  lock_all();
  if
  :: HAS_TABLE(root) -> t = NOWHERE; publish(CLEAR)
  :: else
  fi;
  unlock_all();
  goto next;

look:
  skip;
  lock_all();
  d_step {
    assert(moving == STILL && owner[0] == me + 1);
    b = 0;
    do
    :: b == NB -> b = 0; break
    :: b < NB ->
       i = 0; n = 0;
       do
       :: i == NW || !HAS_TABLE(root) -> i = 0; break
       :: else ->
          if
          :: AT(TABLE(root), i) == WORD(b, life[b]) -> n++
          :: else -> assert(AT(TABLE(root), i) <= REMOVED || ITEM(AT(TABLE(root), i)) != b)
          fi;
          i++
       od;
       assert(whose[b] <= DICTS && n == (whose[b] == DICTS));
       b++
    od;
    do
    :: b == NT -> b = 0; break
    :: b < NT -> assert(table_whose[b] == (HAS_TABLE(root) && TABLE(root) == b -> DICTS : FREE)); b++
    od;
    k = 0;
    do
    :: k == NK -> k = 0; break
    :: k < NK ->
       i = 0; there = false;
       do
       :: i == NW || !HAS_TABLE(root) -> i = 0; break
       :: else ->
          w = AT(TABLE(root), i);
          if
          :: w > REMOVED && key[ITEM(w)] == k ->
             assert(!there && v0[ITEM(w)] == now[k] && v1[ITEM(w)] == now[k] && (head[ITEM(w)] & CHANGING) == 0);
             there = true
          :: else
          fi;
          i++
       od;
       assert(there == (now[k] != 0));
       k++
    od;
    n = 0; i = 0;
    do
    :: i == NW || !HAS_TABLE(root) -> break
    :: else -> n = n + (AT(TABLE(root), i) != NONE); i++
    od;
    assert(used >= n);
    n = (now[0] != 0) + (NK > 1 && now[NK - 1] != 0);
    assert(n == entries[0] + (NS > 1 -> entries[NS - 1] : 0))
  };
  goto finished;

dead:
  atomic {
    s = 0;
    do
    :: s == NS -> s = 0; break
    :: s < NS -> if :: owner[s] == me + 1 -> owner[s] = 0 :: else fi; s++
    od;
    op = 0; k = 0; v = 0; b = 0; i = 0; n = 0; t = 0; at = 0; w = 0; h = 0; q = 0; from = 0;
    there = false; done = false; reserved = false; refused = false
  };
  d_step {
    do
    :: b == NB -> b = 0; break
    :: b < NB -> if :: whose[b] == MINE -> whose[b] = FREE; RAISE(life[b]) :: else fi; b++
    od;
    do
    :: t == NT -> t = 0; break
    :: t < NT -> if :: table_whose[t] == MINE -> table_whose[t] = FREE; RAISE(table_life[t]) :: else fi; t++
    od
  };
finished:
  ops = 0
}

/* ---- a reader ---- */
#define ITS(x) (h & CHANGING -> beside##x[k % NS] : v##x[ITEM(w)])
proctype reader() {
  byte gets, k, r, ts, i, match, w, q, h, a0, a1;
  bool other;
next:
  atomic {
    k = 0; r = 0; ts = 0; i = 0; match = 0; w = 0; q = 0; h = 0; a0 = 0; a1 = 0;
    if
    :: gets == NG -> asked = NOWHERE; may = 0; goto finished
    :: gets < NG -> gets++
    fi;
    if
    :: k = 0
#if !defined(APART) && NK > 1
    :: k = NK - 1
#endif
    fi;
    asked = k; may = BIT(now[k])
  };
search:
  atomic {
    i = 0; match = 0; w = 0; q = 0; h = 0; a0 = 0; a1 = 0; ts = 0;
    r = root;
    if
    :: !HAS_TABLE(r) -> assert(HAS(may, 0)); goto next
    :: else
    fi
  };
  ts = table_seq[TABLE(r)];
  do  /* candidates */
  :: i < NW -> d_step { if :: AT(TABLE(r), i) > REMOVED -> match = match | BIT(i) :: else fi; i++ }
  :: atomic { i == NW -> i = 0; break }
  od;
word_:
  atomic {
    q = 0; h = 0; a0 = 0; a1 = 0;
    do
    :: i == NW || HAS(match, i) -> break
    :: else -> i++
    od;
    if
    :: i == NW -> match = 0; w = 0; goto passed
    :: else -> w = AT(TABLE(r), i)
    fi;
    if
    :: w <= REMOVED -> i++; goto word_
    :: else
    fi
  };
  q = seq[ITEM(w)];
  other = key[ITEM(w)] != k;
  h = head[ITEM(w)];
  if
  :: other
  :: else -> a0 = ITS(0); a1 = ITS(1)
  fi;
  /* shoal_item_is_whole_ */
#ifndef M10
  atomic { if :: AT(TABLE(r), i) == w :: else -> goto changed fi };
#endif
#ifndef M9
  atomic { if :: seq[ITEM(w)] == q :: else -> goto changed fi };
#endif
  atomic {
    if
    :: head[ITEM(w)] != h -> goto changed
    :: head[ITEM(w)] == h && other -> other = false; i++; goto word_
    :: else
    fi
  };
passed:
#ifndef M11
  atomic { if :: root == r :: else -> goto search fi };
#ifndef M12
  atomic { if :: table_seq[TABLE(r)] == ts :: else -> goto search fi };
#endif
#endif
  atomic { assert(a0 == a1 && HAS(may, a0)); goto next };
changed:
  atomic { if :: other -> other = false; goto word_ :: else -> goto search fi };
finished:
  gets = 0
}

init {
  byte i;
  d_step {
    root = 1; table_whose[0] = DICTS; table_life[0] = 2; table_seq[0] = 2; asked = NOWHERE;
    for (i : 0 .. FILL - 1) {
      values++;
      whose[i] = DICTS; life[i] = 2; seq[i] = 2; key[i] = i; head[i] = 0; v0[i] = values; v1[i] = values;
      AT(0, i) = WORD(i, 2); now[i] = values; entries[i % NS] = entries[i % NS] + 1; used++
    }
  };
  atomic {
    for (i : 0 .. NP - 1) { run writer(i) }
    run reader();
    i = 0
  };
  timeout -> atomic { assert(_nr_pr == 1); deaths = ND; run writer(NP) }
}
