/* spsc.pml: the group-count ring (ipc/queue/spsc.c), its two roles killed anywhere and taken over.
 *
 * CLAIM    A reader meets only whole messages, each in its place. A put that returned is there, one that was cut off is a
 *          prefix. No message is used twice, and none is lost but by a consumer killed between `taken` and the use: at most
 *          one batch a death. With -DPEEK (used before it is taken): none is lost, and one a death is used again. A put is
 *          refused only with CAP messages untaken. A role has one owner. Nobody waits for ever (Spin's invalid end states).
 * WHO      CAND threads for each role; NM messages, in batches of 1 .. BATCH; ND deaths, at any step, of either side. A dead
 *          thread's successor is itself or another, and knows what is in the segment only.
 * MEMORY   Steps in program order, each seen at once. Where the code has a release or an acquire, the order it keeps is
 *          broken in a mutant (M1, M2); so the model says which orders the code may not lose, not that a given processor
 *          keeps them: that is what [P1]-[C1] and [C2]-[P2] in the code say. A death drains the dead one's stores.
 * MUTANTS  M1 the count is stored before the message is written        M6 a new consumer begins at `released`
 *          M2 `released` is stored before the group is read            M7 `taken` before the use (-DPEEK)
 *          M3 a batch counts its groups in the wrong order             M8 a dead owner's word is cleared without looking
 *          M4 `released` runs ahead of `taken` in a batch              M9 no group beside the capacity: refused too early
 *          M5 a new producer begins at its group's first message       M10 a count of the lap before is believed
 *          Each must be caught; M3 and M4 need BATCH > N, M8 CAND 2, M9 none of the defaults changed.
 * ABSTRACT A message is written in two steps. N messages a group, NG groups, one of them the quantum. Private state is
 *          folded into its neighbouring shared step. Keeping off the frontier is waiting, and is left out.
 * RUN: -DNM=8 -DND=1 -DPEEK ok
 * RUN: -DNM=6 -DND=1 ok
 * RUN: -DNM=8 -DND=1 -DM1 error
 * RUN: -DNM=8 -DND=1 -DM2 error
 * RUN: -DNM=8 -DND=1 -DM3 error
 * RUN: -DNM=8 -DND=1 -DM4 error
 * RUN: -DNM=8 -DND=1 -DM5 error
 * RUN: -DNM=8 -DND=1 -DM6 error
 * RUN: -DNM=8 -DND=1 -DPEEK -DM7 error
 * RUN: -DNM=3 -DND=2 -DCAND=2 -DNG=2 -DM8 error
 * RUN: -DNM=8 -DND=1 -DM10 error */

#ifndef N
#define N 2
#endif
#ifndef NG
#define NG 3
#endif
#ifndef NM
#define NM 8
#endif
#ifndef ND
#define ND 2
#endif
#ifndef CAND
#define CAND 1
#endif
#ifndef BATCH
#define BATCH 3
#endif
#ifdef M9
#define CAP (NG * N)
#else
#define CAP ((NG - 1) * N)
#endif
#define ROOM (NG * N)

/* ---- the segment ---- */
#define TORN 255
byte count[NG], slot[NG * N];  /* message i is i + 1 */
byte released, taken;
#define FREE 0
#define LIVE 1
#define DEAD 2
byte owner[2];

/* ---- what the claims speak of ---- */
byte deaths, consumer_deaths;
byte owners[2];
byte returned, asked;  /* messages of puts that have returned; of the put under way */
byte used[NM];

/* One step, or death instead of it. */
#define STEP(x)                                 \
  if                                            \
  :: atomic { x }                               \
  :: atomic { deaths < ND -> deaths++; goto dead } \
  fi

#define TAKE(role)                                                    \
  do                                                                  \
  :: atomic { owner[role] == FREE -> owner[role] = LIVE; owners[role]++; assert(owners[role] == 1); break } \
  :: owner[role] == DEAD -> CLEAR(role)                               \
  od
#ifdef M8
#define CLEAR(role) owner[role] = FREE
#else
#define CLEAR(role) atomic { if :: owner[role] == DEAD -> owner[role] = FREE :: else fi }
#endif

/* messages published of group g, from message `from` on */
#define THERE(g, from, end) (count[(g) % NG] > (from) && count[(g) % NG] <= (end))

proctype Producer() {
  byte next, end, limit, g, k, c, i, first;
take:
  TAKE(0);
  STEP(limit = released + ROOM);
  d_step {
    g = (limit - ROOM) / N;
    do
    :: count[g % NG] == (g + 1) * N && g < (limit - ROOM) / N + NG - 1 -> g++
    :: else -> break
    od;
    next = g * N;
    if
    :: THERE(g, g * N, (g + 1) * N) -> next = count[g % NG]
    :: else
    fi;
#ifdef M5
    if
    :: next < (g + 1) * N -> next = g * N
    :: else
    fi;
#endif
    if
    :: next > limit - ROOM && next % N == 0 -> g = next / N - 1
    :: else -> g = next / N
    fi;
    end = (g + 1) * N;
    i = 0; k = 0; c = 0; first = 0
  }
  assert(next >= returned && next <= asked);  /* all that returned, and a prefix of what did not */
  do
  :: next == NM -> break
  :: next < NM ->
    atomic { select(k : 1 .. BATCH); if :: k > NM - next -> k = NM - next :: else fi; asked = next + k; returned = next };
    do
    :: k == 0 -> break
    :: k > 0 ->
      if
      :: next < end
      :: next == end && limit - next >= N -> g++; end = end + N
      :: next == end && limit - next < N ->
        STEP(limit = released + ROOM; assert(limit - next >= N || next - taken >= CAP));
        if
        :: limit - next >= N
        :: limit - next < N ->
          returned = next;
          STEP(released + ROOM - next >= N -> limit = released + ROOM)
        fi;
        g++; end = end + N
      fi;
      c = (k < end - next -> k : end - next);
#ifdef M1
      STEP(count[g % NG] = next + c);
#endif
      i = next;
      do
      :: i == next + c -> break
      :: i < next + c ->
        STEP(slot[i % ROOM] = TORN);
        STEP(slot[i % ROOM] = i + 1; i++)
      od;
#ifdef M3
      if
      :: k > c && limit - end >= N ->  /* the next group's share first */
        STEP(slot[end % ROOM] = end + 1);
        STEP(count[(g + 1) % NG] = end + 1)
      :: else
      fi;
#endif
#ifndef M1
      STEP(count[g % NG] = next + c);
#endif
      atomic { next = next + c; k = k - c; c = 0; i = 0 }
    od
  od;
  atomic { returned = next; asked = next; owners[0]--; owner[0] = FREE };
  goto done;
dead:
  atomic { owners[0]--; owner[0] = DEAD; next = 0; end = 0; limit = 0; g = 0; k = 0; c = 0; i = 0; goto take };
done:
  skip
}

proctype Consumer() {
  byte next, ready, end, g, b, got, i;
  bool there;
take:
  TAKE(1);
#ifdef M6
  STEP(next = released);
#else
  STEP(next = taken);
#endif
  STEP(released = next / N * N);
  atomic { ready = next; g = next / N; end = (g + 1) * N; got = 0; b = 0; i = 0 };
  do
  :: next == NM -> break
  :: next < NM ->
    atomic { select(b : 1 .. BATCH); got = 0 };
    do
    :: got == b -> break
    :: got < b ->
      if
      :: next < ready
      :: next == ready ->
        if
        :: next == end ->
          if
          :: next == NM -> break
          :: else
          fi;
          g++; end = end + N;
#ifdef M2
          STEP(taken = next); STEP(released = end)
#else
#ifndef M4
          STEP(taken = next);
#endif
          STEP(released = next)
#endif
        :: next < end
        fi;
        if  /* the first is waited for, more are not */
#ifdef M10
        :: atomic { count[g % NG] != next -> ready = end }
#else
        :: atomic { THERE(g, next, end) -> ready = count[g % NG] }
#endif
        :: atomic { got > 0 && !THERE(g, next, end) -> break }
        :: atomic { deaths < ND -> deaths++; goto dead }
        fi
      fi;
#ifdef PEEK
      STEP(assert(slot[next % ROOM] == next + 1));
#ifdef M7
      STEP(taken = next + 1);
      STEP(used[next]++);
#else
      STEP(used[next]++; assert(used[next] <= 1 + consumer_deaths));
      STEP(taken = next + 1);
#endif
      atomic { next++; break }  /* one at a time */
#else
      STEP(assert(slot[next % ROOM] == next + 1); next++; got++);
      if
      :: next < ready
      :: next == ready && next < end -> break
      :: next == ready && next == end
      fi
#endif
    od;
#ifndef PEEK
    STEP(taken = next);
    i = next - got;
    do
    :: i == next -> break
    :: i < next -> STEP(used[i]++; assert(used[i] == 1); i++)
    od;
#endif
    atomic { got = 0; b = 0; i = 0 }
  od;
  atomic {
    i = 0; got = 0;
    do
    :: i == NM -> break
    :: i < NM -> got = got + (used[i] == 0); i++
    od;
#ifdef PEEK
    assert(got == 0)
#else
    assert(got <= consumer_deaths * BATCH)
#endif
    ;
    owners[1]--; owner[1] = FREE
  };
  goto done;
dead:
  atomic { consumer_deaths++; owners[1]--; owner[1] = DEAD; next = 0; ready = 0; end = 0; g = 0; b = 0; got = 0; i = 0; goto take };
done:
  skip
}

init {
  byte i;
  atomic {
    for (i : 1 .. CAND) { run Producer(); run Consumer() }
  }
}
