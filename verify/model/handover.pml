/* handover of a token: Notifier.deliver, unlock and pass.  The poller does not wait for the lock; who has it delivers instead.
 Mutants  ONELOOK 1: the poller does not look at the lock again after it has stored owed
          REORDER 1: that second look may be performed before the store of owed (no fence)
          FORGET 1: unlock does not look at owed     FIRST 1: unlock looks before it gives the lock back, not after
          LATE 1: pass clears owed after it has looked at the bit
 Procs    CALLS: notifications   HOLDERS: goroutines that take the lock and give it back, TIMES times each */
#ifndef ONELOOK
#define ONELOOK 0
#endif
#ifndef REORDER
#define REORDER 0
#endif
#ifndef FORGET
#define FORGET 0
#endif
#ifndef FIRST
#define FIRST 0
#endif
#ifndef LATE
#define LATE 0
#endif
#ifndef CALLS
#define CALLS 2
#endif
#ifndef HOLDERS
#define HOLDERS 2
#endif
#ifndef TIMES
#define TIMES 2
#endif

bool ready, summary, owed, locked; /* the leaf bit; what the poller looks at; Notifier.owed; Notifier.mu */
bool token;                        /* one was put in since the last notification began */

inline pass() { /* with the lock */
  if
  :: LATE -> skip
  :: else -> owed = false
  fi;
  if
  :: atomic { ready -> ready = false }; token = true
  :: else -> skip
  fi;
  if
  :: LATE -> owed = false
  :: else -> skip
  fi
}

inline unlock() {
  if
  :: FIRST ->
     if
     :: owed -> pass()
     :: else -> skip
     fi;
     locked = false
  :: FORGET -> locked = false
  :: else ->
     locked = false;
     do
     :: owed ->
        if
        :: atomic { !locked -> locked = true }; pass(); locked = false
        :: else -> break
        fi
     :: else -> break
     od
  fi
}

active proctype producer() {
  byte i;
  for (i : 1 .. CALLS) {
    token = false;
    ready = true;
    summary = true
  }
}

active [HOLDERS] proctype holder() {
  byte i;
  for (i : 1 .. TIMES) {
    atomic { !locked -> locked = true };
    unlock()
  }
}

active proctype poller() {
  bool taken;
end:
  do
  :: summary ->
     summary = false;
     if
     :: atomic { !locked -> locked = true }; pass(); unlock()
     :: else ->
        if
        :: REORDER -> taken = locked; owed = true /* an older value: if it was free, that is seen by the exchange */
        :: else -> owed = true; taken = locked
        fi;
        if
        :: ONELOOK || taken -> skip
        :: else ->
           if
           :: atomic { !locked -> locked = true }; pass(); unlock()
           :: else -> skip
           fi
        fi
     fi
  od
}

/* When nothing moves any more, what was notified last has its token. */
active proctype monitor() {
end:
  timeout -> assert(!ready && token)
}
