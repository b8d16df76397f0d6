/* How the reader of a ring goes to sleep, and who wakes it (ring/ring.go, "wanted").  A commit's store waits in its
 producer's buffer while that looks at wanted already: then the timer finds the record.  A ring may be closed at any time; the
 next one gets its control block.  Every option by -DNAME=VALUE.
 N        how many producers, a record each      ASKS  how often somebody calls Stalled
 CLOSES 1: the ring is closed, and another has its control block
 Mutants  FORGET 1: Stalled stops the timer and wakes nobody     NOTIMER 1: there is no timer
          TAKE 1: a producer whose notification fails takes the wanted bit all the same
          EARLY 1: the bit is taken before the notification, by one who may die in between
          SAME 1: the number in wanted does not change    BLIND 1: the reader does not look once more */
#ifndef N
#define N 2
#endif
#ifndef ASKS
#define ASKS 0
#endif
#ifndef CLOSES
#define CLOSES 0
#endif
#ifndef FORGET
#define FORGET 0
#endif
#ifndef NOTIMER
#define NOTIMER 0
#endif
#ifndef TAKE
#define TAKE 0
#endif
#ifndef EARLY
#define EARLY 0
#endif
#ifndef SAME
#define SAME 0
#endif
#ifndef BLIND
#define BLIND 0
#endif

#define BUSY 1
#define READY 2
#define DROPPED 3
#define FINAL(s) ((s) >= READY)

/* wanted: bit 0, bit 1 (only the record at consumer), and a number. */
byte wanted, position, consumer;
byte state[N + 1];
byte waiting[N], at[N]; /* in each producer's buffer: a state, and for which record */
bit closed, token;

/* The reader's, and what it has in common with the timer and Stalled: under a lock. */
byte next, clock_at;
bit asleep, stalling, running, woken;

byte gone; /* producers that are done */

/* The next ring with this control block. */
bit reader_out, other_token;

inline drain(i) { d_step { if :: waiting[i] -> state[at[i]] = waiting[i]; waiting[i] = 0 :: else fi } }

active [N] proctype Producer() {
  byte p, w;
  atomic { if :: closed -> goto done :: else -> p = position; position++; state[p] = BUSY fi }
  /* It has seen whether the ring is closed. What follows may be late. */
  d_step { waiting[_pid] = (closed -> DROPPED : READY); at[_pid] = p };
  w = wanted;
  if
  :: w % 2 && !(w & 2 && consumer != p) ->
     drain(_pid); /* a fence, in notify */
     if
     :: EARLY -> atomic { if :: wanted == w -> wanted = w - 1 :: else fi }; if :: goto done :: skip fi
     :: else
     fi;
     atomic {
       if
       :: !closed -> token = 1
       :: closed && !TAKE -> goto done
       :: closed && TAKE
       fi
     };
     atomic { if :: wanted == w -> wanted = w - 1 :: else fi }
  :: else
  fi;
done:
  gone++
}

/* The buffers reach memory whenever they like. */
active proctype Memory() {
  byte i;
end:
  do
  :: atomic { waiting[0] -> drain(0) }
#if N > 1
  :: atomic { waiting[1] -> drain(1) }
#endif
#if N > 2
  :: atomic { waiting[2] -> drain(2) }
#endif
  od
}

#define QUIET (gone == N && !waiting[0] && (N < 2 || !waiting[1 % N]) && (N < 3 || !waiting[2 % N]))

active proctype Reader() {
  byte epoch; bit reserved;
  do
  :: closed -> goto done
  :: FINAL(state[next]) -> atomic { next++; stalling = 0; running = 0 }
  :: !FINAL(state[next]) ->
     consumer = next;
     reserved = position != next;
     epoch = (SAME -> 4 : epoch + 4);
     wanted = epoch + 1 + (reserved -> 2 : 0);
     if
     :: reserved && FINAL(state[next]) -> wanted = epoch
     :: reserved && !FINAL(state[next]) ->
        d_step { if :: !stalling -> stalling = 1; running = 1; woken = 0; clock_at = next :: else fi; asleep = 1 }
     :: !reserved && !BLIND && position != next
     :: !reserved && (BLIND || position == next) -> asleep = 1
     fi;
     do
     :: !asleep -> break
     :: asleep && token -> atomic { token = 0; asleep = 0 }
     :: asleep && closed -> goto done
     :: asleep && !token && !closed && QUIET && !(running && !woken && !NOTIMER && FINAL(state[clock_at])) ->
        atomic { if :: token || closed -> skip :: else -> assert(next == position); goto done fi }
     od
  od;
done:
  atomic { asleep = 0; reader_out = 1 }
}

#if !NOTIMER
active proctype Timer() {
end:
  do
  :: atomic { running && !woken && FINAL(state[clock_at]) -> woken = 1; token = 1 }
  od
}
#endif

#if ASKS
active proctype Asker() {
  byte i;
  do
  :: i < ASKS ->
     i++;
     d_step { /* Not while the reader reads. */
       if
       :: asleep && FINAL(state[next]) && stalling -> stalling = 0; running = 0; token = !FORGET || token
       :: asleep && !FINAL(state[next]) && position != next && !stalling -> stalling = 1; running = 1; woken = 0; clock_at = next
       :: else
       fi
     }
  :: i == ASKS -> break
  od
}
#endif

#if CLOSES
active proctype Closer() {
  byte i, w;
  closed = 1;
  /* The memory goes when the reader is out and nothing is reserved any more, and the block to the next ring, whose reader
     sleeps. */
  reader_out;
  do
  :: i < position -> FINAL(state[i]); i++
  :: else -> break
  od;
  wanted = 128 + 1;
  /* A producer of that one. */
  w = wanted;
  if
  :: w % 2 -> other_token = 1; atomic { if :: wanted == w -> wanted = w - 1 :: else fi }
  :: else
  fi;
  assert(other_token)
}
#endif
