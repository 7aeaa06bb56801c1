/* topic.pml: when a slot of a topic may be overwritten (ipc/queue/topic_slots.c, topic_subscriber.c, topic_group.c).
 *
 * CLAIM    What a subscriber reads is the message of the position that it reads, from the first look at it to the last. A joiner
 *          that is waited for misses nothing from its first position on. A position that a publisher was granted is granted for
 *          good. In a group nobody has a position that another has.
 * WHO      NP publishers, each NR positions at the most. J: one that is waited for: it subscribes, from as
 *          far back as it can, reads and leaves, NJ times. D: one that nobody waits for: it holds on only while it reads. G:
 *          two members of a group that claim, read and let go; one of them may die at any step (ND), and what it had goes to
 *          the other.
 * STEPS    Each load, exchange and compare-and-set of a shared word is a step. All of the rule's are sequentially consistent
 *          in the code, so memory is, too.
 * MUTANTS  M1 a publisher looks who reads before it says what it wants         M5 the group's claims are looked at before its cursor
 *          M2 it is granted more than it has said                              M6 the next to claim does not confirm the last
 *          M3 a joiner looks what is wanted before it holds on                 M7 a dead member that tried has had it
 *          M4 one that nobody waits for reads without holding on               M8 a dead member that tried never had it
 *          M9 a reader looks at what was granted, not at what is wanted
 * ABSTRACT Publishers claim in order by one step (the compare-and-set of a slot, and its lap). A position is its own message.
 *          Skipped: holes, sleeping (wait.pml), history counted back from the tail.
 * RUN: ok
 * RUN: -DNJ=2 -DNOD ok
 * RUN: -DNP=2 -DNR=2 -DNOD ok
 * RUN: -DNP=2 -DNR=2 -DNOJ ok
 * RUN: -DNR=2 -DNOJ -DNOD -DNG=2 ok
 * RUN: -DNR=2 -DNOJ -DNOD -DNG=2 -DND=1 ok
 * RUN: -DM1 error
 * RUN: -DM2 error
 * RUN: -DM3 error
 * RUN: -DM4 error
 * RUN: -DNR=3 -DNOJ -DNOD -DNG=2 -DM5 error
 * RUN: -DNR=2 -DNOJ -DNOD -DNG=2 -DND=1 -DM6 error
 * RUN: -DNR=2 -DNOJ -DNOD -DNG=2 -DND=1 -DM7 error
 * RUN: -DNR=2 -DNOJ -DNOD -DNG=2 -DND=1 -DM8 error
 * RUN: -DM9 error
 * LONG: -DNP=2 -DNR=2 ok
 * LONG: -DNR=3 -DNOJ -DNOD -DNG=2 -DND=1 ok
 */

#ifndef NP
#define NP 1
#endif
#ifndef NR
#define NR 4
#endif
#ifndef NJ
#define NJ 1
#endif
#ifndef NG
#define NG 0
#endif
#ifndef ND
#define ND 0
#endif

#define CAP 2
#define AHEAD 1
#define LAST (NP * NR)

/* ---- shared ---- */
byte tail;            /* all positions below are claimed */
byte wanted = CAP, limit = CAP;
byte slot[CAP];       /* 1 + the position whose message lies there; 0: none yet */
bool ready[CAP];       /* it is whole */
byte hold_j, hold_d;  /* 1 + position, or 0 */
bool live = true;     /* the group */
byte cursor, by;      /* the next position; 1 + which member claimed the one before; one word */
#define FREE 0
#define TRIES 1
#define HELD 2
#define STRAY 3
byte entry[2], entry_at[2], entry_of[2];  /* state, position, 1 + owner; one word */

/* ---- ghosts ---- */
byte had[LAST + 1];   /* how often a position was received in the group */
byte reads_j, reads_d, reads_g[2];  /* 1 + the position being read, or 0 */
bool dying, died;

#define SLOT(p) ((p) % CAP)
#define THERE(p) (slot[SLOT(p)] == (p) + 1 && ready[SLOT(p)])
#define LEAST(v) if :: (v) < least -> least = (v) :: else fi

inline look_at_seats() {
  atomic { if :: hold_j -> LEAST(hold_j - 1) :: else fi };
  atomic { if :: hold_d -> LEAST(hold_d - 1) :: else fi }
}
inline look_at_entries() {
  atomic { if :: entry[0] != FREE -> LEAST(entry_at[0]) :: else fi };
  atomic { if :: entry[1] != FREE -> LEAST(entry_at[1]) :: else fi }
}
inline look_at_group() {
#if NG
  if
  :: !live
  :: live ->
#ifdef M5
     look_at_entries();
     atomic { LEAST(cursor) }
#else
     atomic { LEAST(cursor) };
     look_at_entries()
#endif
  fi
#else
  skip
#endif
}

active [NP] proctype publisher() {
  byte at, want, least, n, granted;
  do
  :: n == NR -> break
  :: n < NR ->
     at = tail;
     if
     :: at >= limit ->
        want = at + AHEAD;
        least = want - CAP;
#ifdef M1
        look_at_seats(); look_at_group();
        atomic { if :: wanted < want -> wanted = want :: else fi };
#else
        atomic { if :: wanted < want -> wanted = want :: else fi };
#ifdef M2
        least = least + 1;
#endif
        look_at_seats(); look_at_group();
#endif
        granted = least + CAP;
        atomic { if :: limit < granted -> limit = granted :: else fi };
        least = 0; want = 0; granted = 0
     :: else
     fi;
     if
     :: atomic { at < limit && tail == at && (slot[SLOT(at)] == 0 || ready[SLOT(at)]) ->
          /* whoever reads there, reads no more */
          assert(reads_j == 0 || SLOT(reads_j - 1) != SLOT(at));
          assert(reads_d == 0 || SLOT(reads_d - 1) != SLOT(at));
          assert(reads_g[0] == 0 || SLOT(reads_g[0] - 1) != SLOT(at));
          assert(reads_g[1] == 0 || SLOT(reads_g[1] - 1) != SLOT(at));
          slot[SLOT(at)] = at + 1; ready[SLOT(at)] = false; tail = at + 1; n++ }
        atomic { ready[SLOT(at)] = true; at = 0 }
     :: else -> at = 0
     fi
  :: n < NR -> break               /* as many as it likes */
  od
}

#ifdef M9
#define WANTED limit
#else
#define WANTED wanted
#endif

#ifndef NOJ
active proctype joiner() {
  byte from, at, old, turn, k;
  do
  :: turn == NJ -> break
  :: turn < NJ ->
     old = WANTED - CAP;
#ifdef M3
     from = old;
     hold_j = from + 1;
#else
     do
     :: from = old; hold_j = from + 1;
        old = WANTED - CAP;
        if :: old > from :: else -> break fi
     od;
#endif
     at = from;
     k = 0;
     do
     :: k < 2 && THERE(at) ->
        reads_j = at + 1;
        atomic { assert(THERE(at)); reads_j = 0 };
        at++; k++;
        hold_j = at + 1
     :: k < 2 && !THERE(at) ->
        assert(slot[SLOT(at)] <= at + 1);  /* not yet there: never overwritten */
        break
     :: k == 2 -> break
     od;
     hold_j = 0;
     turn++
  od
}
#endif

#ifndef NOD
active proctype dropped() {
  byte at, k;
  do
  :: k == 3 -> break
  :: k < 3 ->
     if
     :: wanted - CAP > at -> at = wanted - CAP
     :: else
     fi;
     if
     :: !THERE(at) -> break
     :: THERE(at) ->
#ifndef M4
        hold_d = at + 1;
        if
        :: WANTED - CAP > at -> hold_d = 0
        :: else ->
#endif
           reads_d = at + 1;
           atomic { assert(THERE(at)); reads_d = 0 };
           hold_d = 0; at++
#ifndef M4
        fi
#endif
     fi;
     k++
  od
}
#endif

#if NG
#define DIE if :: atomic { ND && me == 0 && !dying -> dying = true; reads_g[0] = 0; goto dead } :: true fi

inline confirm() {
#ifndef M6
  if
  :: atomic { was_by > 0 && entry[was_by - 1] == TRIES && entry_at[was_by - 1] == was - 1 && entry_of[was_by - 1] == was_by ->
       entry[was_by - 1] = HELD }
  :: else
  fi
#else
  skip
#endif
}

active [2] proctype member() {
  byte me, was, was_by, k, at, own;
  bool got;
  atomic { me = _pid - NP;
#ifndef NOJ
    me = me - 1;
#endif
#ifndef NOD
    me = me - 1;
#endif
    own = me
  };
  do
  :: k == NG -> break
  :: k < NG ->
     got = false;
     if                                                     /* a stray first */
     :: atomic { entry[0] == STRAY -> entry[0] = HELD; entry_of[0] = me + 1; own = 0; at = entry_at[0]; got = true }
     :: atomic { entry[1] == STRAY -> entry[1] = HELD; entry_of[1] = me + 1; own = 1; at = entry_at[1]; got = true }
     :: else ->
        atomic { was = cursor; was_by = by };
        if
        :: !THERE(was) -> break
        :: THERE(was) ->
           own = me;
           if
           :: atomic { entry[own] == FREE -> entry[own] = TRIES; entry_at[own] = was; entry_of[own] = me + 1 }
              DIE;
              confirm();
              DIE;
              atomic { if :: cursor == was && by == was_by -> cursor = was + 1; by = me + 1; got = true; at = was
                          :: else fi };
              DIE;
              if
              :: !got -> entry[own] = FREE
              :: got
              fi
           :: else                                          /* in another's hands: it is a stray by and by */
           fi
        fi
     fi;
     if
     :: got ->
        reads_g[me] = at + 1;
        DIE;
        atomic { assert(THERE(at)); reads_g[me] = 0 };
        DIE;
        atomic { entry[own] = FREE; had[at]++; assert(had[at] == 1) };
        DIE;
        k++
     :: !got -> k++
     fi
  od;
  goto end;
dead:
  died = true;
end:
  skip
}

#if ND
/* Whoever reaps the dead: each step may come late. */
active proctype heir() {
  byte i, c_at, c_by;
  bool mine;
end_none:
  died;
  do
  :: i == 2 -> break
  :: i < 2 && !(entry[i] != FREE && entry[i] != STRAY && entry_of[i] == 1) -> i++
  :: i < 2 && entry[i] == HELD && entry_of[i] == 1 -> atomic { entry[i] = STRAY; entry_of[i] = 0 }
  :: i < 2 && entry[i] == TRIES && entry_of[i] == 1 ->
     atomic { c_at = cursor; c_by = by };
     mine = (c_at == entry_at[i] + 1 && c_by == 1);
     if
     :: mine
     :: else -> mine = (entry[i] == HELD)
     fi;
#ifdef M7
     mine = true;
#endif
#ifdef M8
     mine = (entry[i] == HELD);
#endif
     if
     :: mine -> atomic { entry[i] = STRAY; entry_of[i] = 0 }
     :: !mine -> entry[i] = FREE; i++
     fi
  od;
  /* All that was claimed before the cursor has been received, or is in somebody's hands, or waits to be taken. */
  atomic {
    i = 0;
    do
    :: i < cursor ->
       assert(had[i] || (entry[0] != FREE && entry_at[0] == i) || (entry[1] != FREE && entry_at[1] == i)); i++
    :: else -> break
    od
  }
}
#endif
#endif
