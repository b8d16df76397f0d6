package main

// This file is the list of mutations of package ring: producers that wait for room, and
// an Out. Those of the foreign half, in ring.h, are in ring's own tests of C programs.

// inRing says that they are of package ring.
func inRing(list []mutation) []mutation {
	for i := range list {
		list[i].pkg = "ring"
	}
	return list
}

var ringMutations = inRing([]mutation{
	// producers that wait: room.go
	{
		name: "room-looks-once", why: "who waits says so, and does not look once more", in: "Ring.reserveLater",
		old:   "b.ask(); how := never; if b.own(s.who, s.ticket, b.spanAt(b.position(), uintptr(n))) { how = urgent }; if header, err = r.reserve(n, how); err != ErrFull { if header != nil { b.pass(s, e) } else { b.room.remove(e); b.disown(s.who) }; return header, err }",
		new:   "how := never; if b.own(s.who, s.ticket, b.spanAt(b.position(), uintptr(n))) { how = urgent }; if header, err = r.reserve(n, how); err != ErrFull { if header != nil { b.pass(s, e) } else { b.room.remove(e); b.disown(s.who) }; return header, err }; time.Sleep(time.Microsecond); b.ask()",
		first: "TestRingGoroutinesWait",
	},
	{
		name: "room-nobody-woken", why: "the reader gives memory back and wakes nobody", in: "block.give",
		old:   "b.wakeWaiting()",
		new:   "",
		first: "TestRingPushWait", quick: true,
	},
	{
		name: "room-foreign-asleep", why: "the reader wakes goroutines, and no foreign threads", in: "block.wakeThreads",
		old:   "wakeAll(&b.c.given)",
		new:   "",
		first: "TestRingForeignWait", c: true,
	},
	{
		name: "room-same-number", why: "given stays the same when those who wait are woken", in: "block.wakeThreads",
		old:   "atomic.AddUint32(&b.c.given, 2)",
		new:   "",
		first: "TestRingGivenChanges",
	},
	{
		name: "room-looks-first", why: "the reader looks who waits, and then gives back", in: "Ring.publish",
		old:   "atomic.SwapUintptr(&c.consumer, r.published); if w := atomic.LoadUint32(&c.waiting); w != 0 {",
		new:   "w := atomic.LoadUint32(&c.waiting); time.Sleep(time.Microsecond); atomic.SwapUintptr(&c.consumer, r.published); if w != 0 {",
		first: "TestRingGoroutinesWait",
	},
	{
		name: "room-end-wakes-nobody", why: "Finish leaves those asleep who wait for room", in: "block.cease",
		old:   "b.wakeWaiting()",
		new:   "",
		first: "TestRingForeignWait", c: true,
	},
	{
		name: "room-close-wakes-nobody", why: "Close leaves those asleep who wait for room", in: "block.shut",
		old:   "b.wakeWaiting()",
		new:   "",
		first: "TestRingPushWait|TestRingForeignWait", c: true,
	},
	{
		name: "room-no-turn", why: "who waits goes whenever there is room", in: "Ring.reserveLater",
		old:   "how := never",
		new:   "how := patient",
		first: "TestRingWaitersKeepTheirOrder", quick: true,
	},
	{
		name: "room-any-turn", why: "anybody who waits may become the owner", in: "block.own",
		old:   "int32(atomic.LoadUint32(&c.turn)-ticket) >= 0",
		new:   "true",
		first: "TestRingKeepsRoom",
	},
	{
		name: "room-two-owners", why: "a new owner takes what is kept for another", in: "block.own",
		old:   "atomic.CompareAndSwapUint32(&c.owner, 0, who)",
		new:   "atomic.StoreUint32(&c.owner, who)",
		first: "TestRingKeepsRoom", quick: true,
	},
	{
		name: "room-nothing-kept", why: "who does not wait takes what is kept for the owner", in: "Ring.reserve",
		old:   "how == patient && used != 0",
		new:   "false",
		first: "TestRingKeepsRoom", quick: true,
	},
	{
		name: "room-kept-in-empty", why: "what is kept is kept in an empty ring too", in: "Ring.reserve",
		old:   "how == patient && used != 0",
		new:   "how == patient",
		first: "TestRingKeepsRoom",
	},
	{
		name: "room-kept-for-ever", why: "the reader never drops what is kept for one who died", in: "block.give",
		old:   "b.disown(owner)",
		new:   "",
		first: "TestRingKeepsRoom",
	},
	{
		name: "room-again-dead", why: "the reader takes an owner that came again for the one that it saw before", in: "block.give",
		old:   "turn != b.room.turn && kept+span > free",
		new:   "false",
		first: "TestRingSlowReaderKeepsRoom", quick: true,
	},
	{
		name: "room-next-asleep", why: "who has its record wakes nobody for the room that is left", in: "block.pass",
		old:   "b.room.wakeFirst(b.free())",
		new:   "",
		first: "TestRingWaitersWakeTheNext", quick: true,
	},
	{
		name: "room-late-ticket", why: "who was stopped for long takes a ticket of the next ring", in: "block.join",
		old:   "b.life == blockGone",
		new:   "false",
		first: "TestRingWaitersOfAnEarlierRing",
	},
	{
		name: "room-strangers-stay", why: "who took one there is waited for, if foreign code does not know that ring", in: "death.found",
		old:   "b.strangers || b.notifier.Load() != 0",
		new:   "b.notifier.Load() != 0",
		first: "TestRingWaitersOfAnEarlierRing", c: true,
	},
	{
		name: "room-owner-stays", why: "who has its record stays the owner", in: "block.leave",
		old:   "b.disown(who)",
		new:   "",
		first: "TestRingKeepsRoom|TestRingPushWait",
	},
	{
		name: "room-turn-stays", why: "who leaves the queue does not move turn", in: "block.leave",
		old:   "atomic.CompareAndSwapUint32(&c.turn, turn, turn+1)",
		new:   "true",
		first: "TestRingPushWait|TestRingWaitersHaveTurns",
	},
	{
		name: "room-turn-overtakes", why: "turn moves past queue", in: "block.leave",
		old:   "turn == atomic.LoadUint32(&c.queue) ||",
		new:   "",
		first: "TestRingKeepsRoom",
	},
	{
		name: "room-disowns-others", why: "who gives up ends another's ownership", in: "block.disown",
		old:   "atomic.LoadUint32(&b.c.owner) == who",
		new:   "true",
		first: "TestRingKeepsRoom",
	},
	{
		name: "room-dead-stay", why: "who died in the queue is waited for", in: "death.found",
		old:   "next = turn + 1",
		new:   "next = turn",
		first: "TestRingWaitersDie", c: true,
	},
	{
		name: "room-dead-owner-stays", why: "an owner that died stays the owner", in: "death.found",
		old:   "b.disown(owner)",
		new:   "",
		first: "TestRingWaitersDie", c: true,
	},
	{
		name: "room-cancelled-stays", why: "whose context ended stays in the queue", in: "Ring.reserveLater",
		old:   "b.pass(s, e); b.wakeThreads(); return nil, context.Cause(ctx)",
		new:   "return nil, context.Cause(ctx)",
		first: "TestRingPushWait", quick: true,
	},
	{
		name: "room-refusal-lost", why: "a refusal of PushWait is counted in Lost", in: "Ring.reserve",
		old:   "if how == once { r.lost.Add(1) }; return nil, ErrFull",
		new:   "r.lost.Add(1); return nil, ErrFull",
		first: "TestRingPushWait",
	},
	{
		name: "finish-drops", why: "Finish ends a ring that has records", in: "Ring.Finish",
		old:   "!r.iterating && !r.reserved()",
		new:   "true",
		first: "TestRingFinish", quick: true,
	},
	{
		name: "finish-never-ends", why: "the reader that has read all does not see that it was the end", in: "Ring.settle",
		old:   "r.finished.Load()",
		new:   "false",
		first: "TestRingFinish",
	},
	{
		name: "finish-ends-early", why: "the reader ends a finished ring that has reservations", in: "Ring.settle",
		old:    "r.finished.Load() && atomic.LoadUintptr(&c.position) == r.next|closedBit",
		new:    "r.finished.Load()",
		first:  "TestRingFinish",
		reason: "Finish closes the position before it says that it did, so the second look is for memory that somebody wrote over",
	},

	// Out: the writer, out.go
	{
		name: "out-publish-first", why: "position moves before the record is there", in: "Out.write",
		old:   "h := b.put(at, uint32(n)); copy(unsafe.Slice((*byte)(unsafe.Add(h, headerSize)), n), rec); o.position = at + span; atomic.StoreUintptr(&b.c.position, o.position)",
		new:   "o.position = at + span; atomic.StoreUintptr(&b.c.position, o.position); h := b.put(at, uint32(n)); copy(unsafe.Slice((*byte)(unsafe.Add(h, headerSize)), n), rec)",
		first: "TestOutCloseWhileItIsRead|TestOutThreads|TestOutManyThreads", c: true,
	},
	{
		name: "out-overwrites", why: "a record is written over ones that were not read", in: "Out.write",
		old:   "if pad+span > b.size-(o.position-o.read) { return ErrFull }",
		new:   "",
		first: "TestOutFull", quick: true,
	},
	{
		name: "out-never-looks", why: "the writer never finds out what was read", in: "Out.look",
		old:   "o.read = at",
		new:   "",
		first: "TestOutFull",
	},
	{
		name: "out-no-padding", why: "a record runs over the end", in: "Out.write",
		old:   "span > rest",
		new:   "false",
		first: "TestOutRecordsOfEverySizeAtEveryOffset",
	},
	{
		name: "out-empty-record", why: "an empty record is written", in: "Out.write",
		old:   "case n == 0: return errEmptyRecord",
		new:   "",
		first: "TestOutRecordsOfEverySizeAtEveryOffset",
	},
	{
		name: "out-too-large", why: "a record longer than the maximum is written", in: "Out.write",
		old:   "case n > b.max: return ErrTooLarge",
		new:   "",
		first: "TestOutRecordsOfEverySizeAtEveryOffset",
	},
	{
		name: "out-believes-block", why: "the writer does not look whether the control block was overwritten", in: "Out.write",
		old:   "!b.intact() ||",
		new:   "",
		first: "TestOutScribbled", quick: true,
	},
	{
		name: "out-believes-position", why: "the writer does not look whether position was overwritten", in: "Out.write",
		old:   "|| atomic.LoadUintptr(&b.c.position) != o.position",
		new:   "",
		first: "TestOutScribbled",
	},
	{
		name: "out-believes-consumer", why: "the writer believes any consumer", in: "Out.look",
		old:   "at&positionMask != 0 || at-o.read > o.position-o.read",
		new:   "false",
		first: "TestOutScribbled",
	},
	{
		name: "out-believes-tag", why: "the writer does not look for a header where the reader is said to be", in: "Out.look",
		old:   "tag != outTagAt(at)",
		new:   "tag != tag",
		first: "TestOutScribbled",
	},
	{
		name: "out-turns-ignored", why: "whoever waits writes as soon as there is room", in: "Out.retry",
		old:   "o.err == nil && o.waiting[0] != w",
		new:   "false",
		first: "TestOutWaitersTakeTurns", quick: true,
	},
	{
		name: "out-jumps-the-queue", why: "a WriteWait writes while others wait", in: "Out.enqueue",
		old:   "len(o.waiting) == 0",
		new:   "true",
		first: "TestOutWaitersTakeTurns",
	},
	{
		name: "out-stays-in-queue", why: "a WriteWait that returns stays in the queue", in: "Out.leave",
		old:   "o.waiting = append(o.waiting[:i:i], o.waiting[i+1:]...)",
		new:   "_ = i",
		first: "TestOutWriteWaitEnds|TestOutWaitersTakeTurns",
	},
	{
		name: "out-bubble-touched", why: "a waiter in a bubble is woken from outside", in: "Out.nudge",
		old:   "|| o.waiting[0].bubbled",
		new:   "",
		first: "TestOutInABubble",
	},
	{
		name: "out-second-close", why: "a second Close ends it again", in: "Out.Close",
		old:   "o.err == nil",
		new:   "true",
		first: "TestOutClose",
	},
	{
		name: "out-fault-frees", why: "the memory of an Out that somebody wrote over is given back", in: "Out.end",
		old:   "err != ErrClosed",
		new:   "false",
		first: "TestOutScribbled",
	},

	// Out: its memory, outblock.go
	{
		name: "out-close-no-generation", why: "Close does not step the generation", in: "outBlock.close",
		old:   "atomic.StoreUint32(&b.c.generation, b.generation+1)",
		new:   "",
		first: "TestOutClose",
	},
	{
		name: "out-close-not-odd", why: "Close does not make consumer odd", in: "outBlock.close",
		old:   "atomic.OrUintptr(&b.c.consumer, closedBit)",
		new:   "",
		first: "TestOutClose|TestOutLateDone",
	},
	{
		name: "out-close-keeps-number", why: "a closed Out is still found by its number", in: "outBlock.close",
		old:   "delete(outs.open, b.handle())",
		new:   "",
		first: "TestOutClose",
	},
	{
		name: "out-frees-inside", why: "the memory goes while a call uses it", in: "sweepOuts",
		old:   "atomic.LoadUint32(&c.inside) != 0 ||",
		new:   "",
		first: "TestOutCloseKeepsWhatIsInUse", quick: true,
	},
	{
		name: "out-frees-held", why: "the memory goes while a record of it is peeked at", in: "sweepOuts",
		old:   "|| atomic.LoadUintptr(&c.held) != 0",
		new:   "",
		first: "TestOutCloseKeepsWhatIsInUse", quick: true,
	},
	{
		name: "out-same-position", why: "the next Out of a control block begins where the last one did", in: "sweepOuts",
		old:   "(b.end + firstPosition) &^ (firstPosition - 1)",
		new:   "firstPosition",
		first: "TestOutLateDone",
	},
	{
		name: "out-generations-wrap", why: "a control block whose generations are used up starts anew", in: "sweepOuts",
		old:   "next <= generationMask",
		new:   "true",
		first: "TestOutLastGeneration",
	},
	{
		name: "out-held-inherited", why: "a new Out inherits what was held of the last one", in: "openOut",
		old:    "atomic.StoreUintptr(&c.held, 0)",
		new:    "",
		reason: "held is 0 before the control block comes here; this is for a reader that comes between that look and this store, which nothing can stop there",
	},
	{
		name: "out-no-memory-leaks", why: "the data stays if there is no control block", in: "openOut",
		old:   "memory.free(b.data, b.size, b.mirrored); _ = pool.admit(-1); return nil, fmt.Errorf(\"ring: no memory for an Out: %w\", err)",
		new:   "return nil, fmt.Errorf(\"ring: no memory for an Out: %w\", err)",
		first: "TestOutNoMemory",
	},

	// Out: the reader's half in Go, outreader.go
	{
		name: "out-look-no-generation", why: "the reader does not look at the generation", in: "outBlock.lookAt",
		old:   "atomic.LoadUint32(&c.generation) != b.generation ||",
		new:   "",
		first: "TestOutLateDone",
	},
	{
		name: "out-look-closed", why: "the reader reads a closed Out", in: "outBlock.lookAt",
		old:    "|| p&positionMask != 0",
		new:    "",
		first:  "TestOutLateDone|TestOutClose",
		reason: "no header at an odd position has its tag, and Close steps the generation too",
	},
	{
		name: "out-look-past-end", why: "the reader reads beyond position", in: "outBlock.lookAt",
		old:   "|| atomic.LoadUintptr(&c.position) == p",
		new:   "",
		first: "TestOutUnfinished",
	},
	{
		name: "out-look-any-tag", why: "the reader takes any header", in: "outBlock.lookAt",
		old:   "case tag != outTagAt(p):",
		new:   "case tag != tag:",
		first: "TestOutUnfinished",
	},
	{
		name: "out-look-any-length", why: "the reader believes any length", in: "outBlock.lookAt",
		old:   "n == 0 || uintptr(n) > b.max || uintptr(n) > rest",
		new:   "n == 0",
		first: "TestOutScribbledLengths", quick: true,
	},
	{
		name: "out-look-any-padding", why: "the reader believes any padding", in: "outBlock.lookAt",
		old:   "if uintptr(n^outPadding) != rest { return nil, 0, 0 }",
		new:   "",
		first: "TestOutScribbledLengths",
	},
	{
		name: "out-take-by-store", why: "two who read may have the same record", in: "outBlock.takeAt",
		old:   "return atomic.CompareAndSwapUintptr(&b.c.consumer, p, p+spanOf(uintptr(n)))",
		new:   "atomic.StoreUintptr(&b.c.consumer, p+spanOf(uintptr(n))); return true",
		first: "TestOutHeldIsForOneRecord",
	},
	{
		name: "out-read-held", why: "read takes a record that is peeked at", in: "Out.readInto",
		old:   "|| atomic.LoadUintptr(&c.held) == p|1",
		new:   "",
		first: "TestOutPeek", quick: true,
	},
	{
		name: "out-read-cuts", why: "a record that does not fit the buffer is cut off", in: "Out.readInto",
		old:   "if int(n) > len(buf) { return int(n) }",
		new:   "",
		first: "TestOutShortBuffer",
	},
	{
		name: "out-read-outside", why: "read does not say that it is inside", in: "Out.readInto",
		old:    "atomic.AddUint32(&c.inside, 1); defer atomic.AddUint32(&c.inside, ^uint32(0))",
		new:    "",
		first:  "TestOutCloseWhileItIsRead",
		reason: "the data would have to go in the nanoseconds in which a call copies it; verify/model has that (out-outside)",
	},
	{
		name: "out-peek-holds-nothing", why: "peek does not say what it holds", in: "Out.peek",
		old:   "atomic.CompareAndSwapUintptr(&c.held, was, p|1)",
		new:   "atomic.CompareAndSwapUintptr(&c.held, was, was)",
		first: "TestOutPeek",
	},
	{
		name: "out-done-leaves", why: "done does not take the record", in: "outBlock.done",
		old:   "b.takeAt(p, n)",
		new:   "",
		first: "TestOutPeek", quick: true,
	},
	{
		name: "out-done-holds", why: "done of a closed Out still holds its memory", in: "outBlock.done",
		old:   "p&closedBit != 0 && late <= 1 && atomic.LoadUintptr(&c.consumer) == p",
		new:   "late > 1 && p&closedBit != 0",
		first: "TestOutCloseKeepsWhatIsInUse|TestOutLateDone",
	},
	{
		name: "out-done-of-another", why: "done with nothing peeked at takes a record", in: "outBlock.done",
		old:   "n != 0 && held == p|1",
		new:   "n != 0",
		first: "TestOutHeldIsForOneRecord",
	},
})
