/* How producers of a ring wait for room, and who wakes them (ring/room.go, notifier_ring_wait in ring/ring.h).  The ring has
 room for one record.  Each producer has PER records and waits for room for each; the reader reads and gives back, and in the
 end the ring may be closed.  Every option by -DNAME=VALUE.
 N       how many producers     PER  records of each     CLOSES 1: the reader ends the ring with records left unsent
 DIES    1: the first producer may die anywhere in its wait, or between that and its try
 QUITS   1: the first producer may give up while it sleeps; its time is over
 Mutants BLIND 1: a producer does not look once more     LATE 1: it reads given after that look
         ONE 1: the reader wakes one       SAME 1: given does not change     FIRST 1: the reader looks at waiting, then gives back
         QUIET 1: the end wakes nobody    STAYS 1: who leaves the queue does not move turn
         HOLDS 1: who has its record stays the owner until it is committed   DEAF 1: nobody gives the dead up
         PLANTED 1: who gives up does not move turn */
#ifndef N
#define N 2
#endif
#ifndef PER
#define PER 2
#endif
#ifndef CLOSES
#define CLOSES 0
#endif
#ifndef DIES
#define DIES 0
#endif
#ifndef BLIND
#define BLIND 0
#endif
#ifndef LATE
#define LATE 0
#endif
#ifndef ONE
#define ONE 0
#endif
#ifndef SAME
#define SAME 0
#endif
#ifndef FIRST
#define FIRST 0
#endif
#ifndef QUIET
#define QUIET 0
#endif

#ifndef STAYS
#define STAYS 0
#endif
#ifndef HOLDS
#define HOLDS 0
#endif
#ifndef DEAF
#define DEAF 0
#endif
#ifndef QUITS
#define QUITS 0
#endif
#ifndef PLANTED
#define PLANTED 0
#endif

byte given = 1, queue, turn, owner; /* owner: a producer plus 1 */
bit reserved, ready, waiting, closed;
bit asleep[N]; /* in futex(2), which compares and goes to sleep in one step */
byte gone, sent, dead, quit;

#define ME (_pid + 1)
#define MAY_DIE if :: DIES && _pid == 0 -> dead++; goto out :: true fi

/* notifier_ring_room_: ok, if it may go. What is kept is all there is, and nothing in an empty ring, so who found it empty goes. */
#define CHECK                                                   \
  if                                                            \
  :: queued && turn >= ticket ->                                \
     atomic { if :: owner == 0 -> owner = ME :: else fi }       \
  :: else                                                       \
  fi;                                                           \
  atomic { ok = (closed || (!reserved && (!queued || owner == ME))) }

active [N] proctype Producer() {
  byte left = PER, before, ticket;
  bit ok, queued, late;
  do
  :: !left -> break
  :: left ->
     /* try */
     if
     :: atomic { closed -> break }
     :: atomic { !closed && !reserved -> reserved = 1 };
        if :: !HOLDS && owner == ME -> owner = 0 :: else fi;
        atomic { sent++; left--; ready = 1 };
        if :: HOLDS && owner == ME -> owner = 0 :: else fi
     :: atomic { !closed && reserved -> skip };
        /* wait */
        queued = 0; ticket = 0;
        do
        :: if :: !LATE -> before = given :: LATE fi;
           CHECK;
           if :: ok -> break :: else fi;
           if :: !queued -> atomic { ticket = queue; queue++; queued = 1 } :: else fi;
           MAY_DIE;
           waiting = 1;
           MAY_DIE;
           if
           :: !BLIND -> CHECK; if :: ok -> break :: else fi
           :: BLIND
           fi;
           if :: LATE -> before = given :: LATE == 0 fi;
           atomic { if :: given == before -> asleep[_pid] = 1 :: else fi };
           if
           :: !asleep[_pid]
           :: asleep[_pid] && dead && !reserved && !DEAF -> /* for 0.1 s */
              asleep[_pid] = 0;
              owner = 0;
              atomic { if :: turn != queue -> turn++ :: else fi }
           :: asleep[_pid] && QUITS && _pid == 0 && !quit -> /* and wakes nobody */
              asleep[_pid] = 0;
              if :: owner == ME -> owner = 0 :: else fi;
              if :: !PLANTED -> atomic { if :: turn != queue -> turn++ :: else fi } :: PLANTED fi;
              quit = 1;
              goto out
           :: asleep[_pid] && quit && !late -> /* for 0.1 s: it looks again */
              asleep[_pid] = 0;
              late = 1
           fi
        od;
        if
        :: queued && !closed && !STAYS -> atomic { if :: turn != queue -> turn++ :: else fi }
        :: else
        fi;
        MAY_DIE
     fi
  od;
out:
  gone++
}

active proctype Reader() {
  bit had; byte i;
  do
  :: !closed && (ready || CLOSES) ->
     if
     :: ready ->
        if :: FIRST -> had = waiting :: !FIRST fi;
        atomic { ready = 0; reserved = 0 };
        if :: !FIRST -> had = waiting :: FIRST fi
     :: CLOSES ->
        closed = 1;
        had = (QUIET -> 0 : waiting)
     fi;
     if
     :: had ->
        waiting = 0;
        if :: !SAME -> given = given + 2 :: SAME fi;
        d_step {
          i = 0;
          do
          :: i < N ->
             if :: asleep[i] -> asleep[i] = 0; if :: ONE -> i = N :: !ONE -> i++ fi :: else -> i++ fi
          :: i >= N -> break
          od
        }
     :: !had
     fi
  :: (closed || !ready) && gone == N -> break
  :: timeout -> assert(gone == N); break /* nobody can take a step: nobody may be asleep */
  od;
  assert(CLOSES || DIES || quit || sent == N * PER)
}
