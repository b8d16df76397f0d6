/* How an Out is read, and how it ends (ring/out.go).  Go writes N records to S slots; a record is two words, so that a torn
 one shows.  A thread reads or peeks, and a signal handler may read in the middle of that.  Close may come at any time; then
 the data is unmapped, and the control block is another Out's.  All accesses are sequentially consistent; the order of the copy
 and the exchange behind it is the exchange's release.  Every option by -DNAME=VALUE.
 N, S     records, slots                      PEEKS 1: the thread peeks, 2: it does either
 HANDLER 1: a handler reads, at most twice    CLOSES 1: the Out is closed
 DIES 1: the thread may die in a call, and another goes on
 Mutants  FIRST 1: the record is taken before it is copied     STORE 1: consumer is stored, not exchanged
          OUTSIDE 1: inside is not raised                      BLIND 1: peek does not look at consumer once more
          LATE 1: held is written after that look              GREEDY 1: read takes what is held
          EARLY 1: Close looks whether the data is in use before it closes      OPEN 1: Close leaves consumer as it is
          ANY 1: the generation is not looked at */
#ifndef N
#define N 3
#endif
#ifndef S
#define S 1
#endif
#ifndef PEEKS
#define PEEKS 0
#endif
#ifndef HANDLER
#define HANDLER 0
#endif
#ifndef CLOSES
#define CLOSES 0
#endif
#ifndef DIES
#define DIES 0
#endif
#ifndef FIRST
#define FIRST 0
#endif
#ifndef STORE
#define STORE 0
#endif
#ifndef OUTSIDE
#define OUTSIDE 0
#endif
#ifndef BLIND
#define BLIND 0
#endif
#ifndef LATE
#define LATE 0
#endif
#ifndef GREEDY
#define GREEDY 0
#endif
#ifndef EARLY
#define EARLY 0
#endif
#ifndef OPEN
#define OPEN 0
#endif
#ifndef ANY
#define ANY 0
#endif

#define NEXT 64 /* the first position of the next Out, in consumer's terms */

/* consumer and position are twice the number of a record; consumer is odd when the Out is closed. held: consumer and 1. */
byte consumer, position, held, inside, generation;
byte first[S], second[S];
byte got[N], total;
bit unmapped, handling, dead, over;

#define SLOT(p) (((p) / 2) % S)
#define RIGHT(x, p) ((x) == (p) / 2 + 1)

inline enter() { if :: OUTSIDE :: else -> inside++ fi }
inline leave() { if :: OUTSIDE :: else -> inside-- fi }

/* The record at p is x and y. It was taken, once. */
inline take(p, x, y) {
  assert(generation == 0 || p < NEXT);
  assert(RIGHT(x, p) && RIGHT(y, p));
  got[(p) / 2]++;
  assert(got[(p) / 2] == 1);
  total++
}

inline mayDie() { if :: DIES && !dead -> dead = 1; goto died :: skip fi }

/* notifier_out_look_: p is the oldest record, or ok is 0. */
inline look(p, ok) {
  p = consumer;
  if
  :: (generation != 0 && !ANY) || p % 2 || position == p -> ok = 0
  :: else -> assert(!unmapped); ok = 1
  fi
}

inline read(p, x, y, was, ok) {
  enter();
  do
  :: look(p, ok);
     if
     :: !ok -> break
     :: ok && !GREEDY && held == p + 1 -> break
     :: else
     fi;
     if
     :: FIRST ->
        atomic { was = consumer; if :: was == p -> consumer = p + 2 :: else fi };
        if :: was != p -> goto again_ :: else fi
     :: else
     fi;
     assert(!unmapped);
     x = first[SLOT(p)];
     assert(!unmapped);
     y = second[SLOT(p)];
     mayDie();
     if
     :: FIRST -> take(p, x, y); break
     :: !FIRST && STORE -> consumer = p + 2; take(p, x, y); break
     :: !FIRST && !STORE ->
        atomic { was = consumer; if :: was == p -> consumer = p + 2; take(p, x, y) :: else fi };
        if :: was == p -> break :: else fi
     fi;
again_: skip
  od;
  leave()
}

inline peek(p, x, y, was, ok) {
  enter();
  do
  :: look(p, ok);
     if :: !ok -> break :: else fi;
     if :: !LATE -> held = p + 1 :: else fi;
     mayDie();
     was = consumer;
     if :: LATE -> held = p + 1 :: else fi;
     if
     :: was == p || BLIND -> break
     :: else -> d_step { if :: held == p + 1 -> held = 0 :: else fi }
     fi
  od;
  leave();
  if
  :: ok ->
     /* The caller looks at it, as long as it likes. */
     assert(!unmapped);
     x = first[SLOT(p)];
     mayDie();
     assert(!unmapped);
     y = second[SLOT(p)];
     assert(RIGHT(x, p) && RIGHT(y, p));
     /* done */
     enter();
     look(was, ok);
     if
     :: ok && held == was + 1 ->
        atomic { if :: consumer == was -> consumer = was + 2; take(was, x, y) :: else fi };
        mayDie();
        held = 0
     :: else ->
        was = consumer;
        if :: was % 2 && generation <= 1 -> held = 0 :: else fi
     fi;
     leave()
  :: else
  fi
}

active proctype Writer() {
  byte i;
  do
  :: i < N ->
     (over || i - consumer / 2 < S);
     if :: over -> break :: else fi;
     first[i % S] = i + 1;
     second[i % S] = i + 1;
     if :: over -> break :: else -> position = 2 * (i + 1); i++ fi
  :: i == N -> break
  od
}

#define END (total == N || over)

proctype Thread() provided (!handling) {
  byte p, x, y, was; bit ok;
  do
  :: END -> break
  :: !END && PEEKS != 1 -> read(p, x, y, was, ok)
  :: !END && PEEKS != 0 -> peek(p, x, y, was, ok)
  od;
  goto end;
died:
  run Thread();
end:
  skip
}

#if HANDLER
active proctype Handler() {
  byte p, x, y, was, times; bit ok;
  do
  :: times < 2 ->
     handling = 1;
     enter();
     do
     :: look(p, ok);
        if
        :: !ok || (!GREEDY && held == p + 1) -> break
        :: else
        fi;
        x = first[SLOT(p)];
        y = second[SLOT(p)];
        atomic { was = consumer; if :: was == p -> consumer = p + 2; take(p, x, y) :: else fi };
        if :: was == p -> break :: else fi
     od;
     leave();
     handling = 0;
     times++
  :: break
  od
}
#endif

#if CLOSES
active proctype Closer() {
  bit idle;
  if :: EARLY -> idle = inside == 0 && held == 0 :: else fi;
  if :: OPEN -> skip :: else -> atomic { consumer = consumer | 1; over = 1 } fi;
  atomic { generation = 1; over = 1 };
  /* The memory goes when nobody uses it; with a dead reader, never. */
  if
  :: EARLY && idle -> unmapped = 1
  :: !(EARLY && idle) && inside == 0 && held == 0 -> unmapped = 1
  :: dead -> goto end
  fi;
  /* The next Out, with data of its own and a record. */
  d_step { position = NEXT + 2; generation = 2 };
  consumer = NEXT;
end:
  skip
}
#endif

init { run Thread() }
