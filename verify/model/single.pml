/* A ring of a single producer (ring/ring.go, "A single producer"): no locked instruction in its reserve, membarrier(2) at
 the other end.  Stores of the producer wait in a buffer (x86-TSO) and leave it one by one, whenever they like.  A membarrier,
 and a locked instruction of its own, empty it.  What the others do is atomic.  Every option by -DNAME=VALUE.
 N        how many records are pushed
 HANDLER 1: a signal handler pushes one more, anywhere in between    CLOSES 1: the ring is shut, at any time
 SPLIT 1: the exchange is not even one instruction, as under an emulator: a membarrier may come between its load and its store
 Mutants  NOBAR 1: none before sleep  2: none in Close     NOENTER 1: the producer does not say that it is in reserve
          EARLY 1: it says that it has left before it has written the header     ZERO 1: a handler leaves 0, not what it found
          ONCE 1: Close does not look whether its closed bit was undone    BLIND 1: Close does not look at entered
          PLAIN 1: no exchange, a store of what was computed before */
#ifndef N
#define N 2
#endif
#ifndef HANDLER
#define HANDLER 0
#endif
#ifndef CLOSES
#define CLOSES 0
#endif
#ifndef SPLIT
#define SPLIT 0
#endif
#ifndef NOBAR
#define NOBAR 0
#endif
#ifndef NOENTER
#define NOENTER 0
#endif
#ifndef EARLY
#define EARLY 0
#endif
#ifndef ZERO
#define ZERO 0
#endif
#ifndef ONCE
#define ONCE 0
#endif
#ifndef BLIND
#define BLIND 0
#endif
#ifndef PLAIN
#define PLAIN 0
#endif

#define ROOM 5 /* records, never full */
#define SHUT 16 /* the closed bit of position */
#define BUSY 1
#define READY 2
#define DROPPED 3

/* Memory. STATE + i is record i's. */
#define POSITION 0
#define ENTERED 1
#define STATE 2
byte memory[STATE + ROOM];
byte wanted; /* odd: asleep; a number that is never the same twice */
bit generation, token, freed;
byte sent, received; /* sent: pushed with success */

/* The producer's buffer, and its own view of what it writes. */
chan buffer = [8] of { byte, byte };
byte pending[STATE + ROOM], mine[STATE + ROOM];
bit gone[2]; /* the thread, its handler */

byte w, v; /* scratch */
inline put(where, what) {
  atomic { nfull(buffer); d_step { w = where; v = what; assert(!(freed && w >= STATE)); mine[w] = v; pending[w]++; buffer!w, v; w = 0; v = 0 } }
}
#define get(where) (pending[where] -> mine[where] : memory[where])

inline drain() { d_step { do :: buffer?[w, v] -> buffer?w, v; memory[w] = v; pending[w]-- :: empty(buffer) -> break od; w = 0; v = 0 } }

active proctype Memory() {
  byte where, what;
end:
  do
  :: d_step { buffer?where, what -> assert(!(freed && where >= STATE)); memory[where] = what; pending[where]--; where = 0; what = 0 }
  od
}

/* One push. */
inline push() {
  before = get(ENTERED);
  if :: !NOENTER -> put(ENTERED, 1) :: else fi;
  if :: ZERO -> before = 0 :: else fi;
  do
  :: p = get(POSITION);
     if :: generation || p >= SHUT -> result = 0; break :: else fi;
     if
     :: PLAIN -> next = p + 1; put(POSITION, next); result = 1; break
     :: !PLAIN && !SPLIT -> atomic { nfull(buffer); d_step { was = get(POSITION); v = (was == p -> p + 1 : was); mine[POSITION] = v; pending[POSITION]++; buffer!POSITION, v; v = 0 } }
     :: !PLAIN && SPLIT -> was = get(POSITION); next = (was == p -> p + 1 : was); put(POSITION, next)
     fi;
     if :: was == p -> result = 1; break :: else fi
  od;
  if :: result && EARLY -> put(ENTERED, before) :: else fi;
  if :: result -> next = STATE + p; put(next, BUSY) :: else fi;
  if :: !NOENTER && !EARLY || !result -> put(ENTERED, before) :: else fi;
  if
  :: result ->
     if
     :: generation -> put(next, DROPPED)
     :: else ->
        sent++; /* before it is seen */
        put(next, READY);
        seen = wanted;
        if
        :: seen % 2 ->
           drain();
           token = 1;
           atomic { if :: wanted == seen -> wanted = seen - 1 :: else fi }
        :: else
        fi;
        seen = 0
     fi
  :: else
  fi;
  before = 0; p = 0; was = 0; next = 0; result = 0
}

bit handling;

active proctype Producer() provided (!handling) {
  byte before, p, was, next, seen, i; bit result;
  do
  :: i < N -> push(); i++
  :: else -> break
  od;
  gone[0] = 1
}

#if HANDLER
active proctype Handler() {
  byte before, p, was, next, seen; bit result;
  if
  :: atomic { !gone[0] -> handling = 1 };
     push();
     handling = 0
  :: gone[0]
  fi;
  gone[1] = 1
}
#endif

active proctype Reader() {
  byte next, epoch;
  do
  :: generation -> break
  :: memory[STATE + next] >= READY ->
     if :: memory[STATE + next] == READY -> received++ :: else fi;
     next++
  :: else ->
     epoch = epoch + 2;
     wanted = epoch + 1;
     if :: NOBAR != 1 -> drain() :: else fi;
     if
     :: memory[POSITION] % SHUT != next -> /* reserved: a timer looks again */
        memory[STATE + next] >= READY || generation;
        wanted = epoch
     :: else ->
        do
        :: token -> token = 0; break
        :: generation -> break
        :: !token && !generation && gone[0] && (gone[1] || !HANDLER) && empty(buffer) ->
           assert(memory[POSITION] % SHUT == next); /* otherwise nobody will ever wake it */
           assert(received == sent);
           goto done
        od
     fi
  od;
done:
  skip
}

#if CLOSES
active proctype Closer() {
  byte end, at;
  atomic { memory[POSITION] = (memory[POSITION] < SHUT -> memory[POSITION] + SHUT : memory[POSITION]) };
  generation = 1;
  do
  :: if :: NOBAR != 2 -> drain() :: else fi;
     if
     :: ONCE || memory[POSITION] >= SHUT -> break
     :: else -> atomic { memory[POSITION] = (memory[POSITION] < SHUT -> memory[POSITION] + SHUT : memory[POSITION]) }
     fi
  od;
  BLIND || memory[ENTERED] == 0;
  end = memory[POSITION] % SHUT;
  do
  :: at < end ->
     assert(memory[STATE + at] != 0); /* who has reserved has said so */
     memory[STATE + at] >= READY;
     at++
  :: else -> break
  od;
  freed = 1;
  gone[0] && (gone[1] || !HANDLER) && empty(buffer);
  assert(memory[POSITION] % SHUT == end);
  assert(SPLIT || memory[POSITION] >= SHUT);
  at = end;
  do
  :: at < ROOM -> assert(memory[STATE + at] == 0); at++
  :: else -> break
  od
}
#endif
