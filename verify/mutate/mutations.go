package main

// This file is the list of mutations of package notifier, in the order of the protocol: notify, poller,
// Wait and Clear, Close, the life of an index, doorbells, faults. What the model has
// under the same idea is in verify/model/cases.txt.
//
// A mutation names a function, and code in it by its tokens: the layout and the
// comments of the source do not matter, and neither does the file.

const fenceIsThere = "on amd64 the locked instruction before it is a fence as well; its place in the code that other processors run is what TestBarriersGo looks at"

var mutations = append([]mutation{
	// notify: Handle.Notify, the twin of notifier_notify
	{
		name: "notify-no-fence", why: "Handle.Notify without the fence before its look at the bit", in: "readySet.notify",
		old: "fence()", new: "",
		first: "TestRelaxedPublish", long: "TestRelaxedPublish|TestBarriersGo",
	},
	{
		name: "notify-no-generation", why: "Handle.Notify does not look at the generation", in: "readySet.notify",
		old: "atomic.LoadUint32(&s.generation[i]) != h.generation()", new: "false",
		first: "TestGenerations", quick: true,
	},
	{
		name: "skip-when-coalesced", why: "the bit was set already: neither summaries nor signal", in: "readySet.notify",
		old:   "raise(&s.leaf[word], bit)",
		new:   "if atomic.LoadUint32(&s.leaf[word])&(1<<bit) != 0 { return nil }; raise(&s.leaf[word], bit)",
		first: "TestDeadCallers", quick: true,
	},
	{
		name: "skip-summaries", why: "the bit was set already: no summaries, but a signal", in: "readySet.notify",
		old: "raise(&s.leaf[word], bit); raise(&s.mid[word>>5], word&31); raise(&s.top[word>>10], word>>5&31); raise(&s.root, word>>10)", new: "was := atomic.LoadUint32(&s.leaf[word])&(1<<bit) != 0; raise(&s.leaf[word], bit); if !was { raise(&s.mid[word>>5], word&31); raise(&s.top[word>>10], word>>5&31); raise(&s.root, word>>10) }",
		first: "TestDeadCallers",
	},
	{
		name: "skip-signal-when-coalesced", why: "the bit was set already: summaries, but no signal", in: "readySet.notify",
		old:   "raise(&s.leaf[word], bit)",
		new:   "was := atomic.LoadUint32(&s.leaf[word])&(1<<bit) != 0; raise(&s.leaf[word], bit); if was { raise(&s.mid[word>>5], word&31); raise(&s.top[word>>10], word>>5&31); raise(&s.root, word>>10); return nil }",
		first: "TestDeadCallers|TestSignalFailsOnce",
	},
	{
		name: "summaries-first", why: "root, top and mid are set before the leaf bit", in: "readySet.notify",
		old:   "raise(&s.leaf[word], bit)",
		new:   "defer raise(&s.leaf[word], bit)",
		first: "TestSuite|TestDeadCallers",
	},
	{
		name: "no-top", why: "notify leaves out the level top", in: "readySet.notify",
		old:   "raise(&s.top[word>>10], word>>5&31)",
		new:   "",
		first: "TestSuite",
	},
	{
		name: "no-signal", why: "no signal although the poller is asleep", in: "readySet.notify",
		old:   "if err := s.bell.signal(); err != nil { return err }",
		new:   "",
		first: "TestSuite",
	},
	{
		name: "even-before-signal", why: "asleep is made even before the doorbell is signalled", in: "readySet.notify",
		old:   "if err := s.bell.signal(); err != nil { return err }; atomic.CompareAndSwapUint32(&s.asleep, a, a+1)",
		new:   "atomic.CompareAndSwapUint32(&s.asleep, a, a+1); if err := s.bell.signal(); err != nil { return err }",
		first: "TestSignalFailsOnce", quick: true,
	},
	{
		name: "never-even", why: "who has signalled leaves asleep odd", in: "readySet.notify",
		old:   "atomic.CompareAndSwapUint32(&s.asleep, a, a+1)",
		new:   "",
		first: "TestOneSignalAnEpoch",
	},
	{
		name: "even-whatever", why: "who has signalled makes asleep even, also of a later sleep", in: "readySet.notify",
		old:   "atomic.CompareAndSwapUint32(&s.asleep, a, a+1)",
		new:   "atomic.StoreUint32(&s.asleep, a+1)",
		first: "TestOneSignalAnEpoch",
	},

	// the poller
	{
		name: "same-number", why: "the poller stores the same number for every sleep", in: "readySet.fallAsleep",
		old:   "s.epoch += 2",
		new:   "",
		first: "TestFallingAsleep", quick: true,
	},
	{
		name: "look-before-arming", why: "the poller looks at root before it stores asleep", in: "readySet.fallAsleep",
		old:   "atomic.SwapUint32(&s.asleep, s.epoch); if atomic.LoadUint32(&s.root) == 0 && stop.Load() == 0 { return false }; s.wakeUp(); return true",
		new:   "if atomic.LoadUint32(&s.root) == 0 && stop.Load() == 0 { atomic.SwapUint32(&s.asleep, s.epoch); return false }; return true",
		first: "TestSuite|TestAsleepOrSignalled", long: "TestBarriersGo",
	},
	{
		name: "no-second-look", why: "the poller falls asleep without another look at root", in: "readySet.fallAsleep",
		old: "atomic.LoadUint32(&s.root) == 0 &&", new: "",
		first: "TestFallingAsleep", quick: true,
	},
	{
		name: "no-look-at-stop", why: "the poller falls asleep without a look at stop", in: "readySet.fallAsleep",
		old: "&& stop.Load() == 0", new: "",
		first: "TestFallingAsleep",
	},
	{
		name: "stays-asleep", why: "the poller that finds something to do leaves asleep odd", in: "readySet.fallAsleep",
		old: "s.wakeUp()", new: "",
		first: "TestFallingAsleep",
	},
	{
		name: "clear-root-last", why: "the scan clears root after it has looked below", in: "readySet.scan",
		old:   "for r := atomic.SwapUint32(&s.root, 0); r != 0; r &= r - 1 {",
		new:   "defer atomic.StoreUint32(&s.root, 0); for r := atomic.LoadUint32(&s.root); r != 0; r &= r - 1 {",
		first: "TestScanClearsFromTheTop", quick: true,
	},
	{
		name: "clear-mid-last", why: "the scan clears a word of mid after it has looked at its leaf words", in: "readySet.scan",
		old:   "for mid := atomic.SwapUint32(&s.mid[m], 0); mid != 0; mid &= mid - 1 {",
		new:   "defer atomic.StoreUint32(&s.mid[m], 0); for mid := atomic.LoadUint32(&s.mid[m]); mid != 0; mid &= mid - 1 {",
		first: "TestScanClearsFromTheTop",
	},
	{
		name: "clear-by-store", why: "the scan reads root and then stores 0, not in one step", in: "readySet.scan",
		old:   "for r := atomic.SwapUint32(&s.root, 0); r != 0; r &= r - 1 {",
		new:   "r := atomic.LoadUint32(&s.root); atomic.StoreUint32(&s.root, 0); for ; r != 0; r &= r - 1 {",
		first: "TestScanTakesWhatItClears", long: "TestScanTakesWhatItClears",
	},
	{
		name: "deliver-no-fence", why: "no fence between clearing the bit and the look at the channel", in: "Notifier.pass",
		old: "fence()", new: "",
		first: "TestRelaxedPublish", long: "TestRelaxedPublish|TestBarriersGo",
		reason: fenceIsThere,
	},
	{
		name: "send-before-clear", why: "the poller puts the token in before it clears the bit", in: "Notifier.pass",
		old:   "if n.handle == 0 || n.state.Load() != open || !n.poller.set.clear(n.handle.index()) { return }",
		new:   "if n.handle == 0 || n.state.Load() != open { return }; defer n.poller.set.clear(n.handle.index())",
		first: "TestSuite|TestDeliverLooksAtTheBit",
	},
	{
		name: "deliver-without-lock", why: "the poller passes the bit on while another has the lock", in: "Notifier.deliver",
		old:   "if !n.mu.TryLock() { return }",
		new:   "if !n.mu.TryLock() { n.pass(); return }",
		first: "TestEachTakesTheLock", quick: true,
	},
	{
		name: "deliver-waits", why: "the poller waits for one notifier's lock", in: "Notifier.deliver",
		old:   "if !n.mu.TryLock() { return }",
		new:   "n.mu.Lock()",
		first: "TestPollerWaitsForNobody|TestEachTakesTheLock",
	},
	{
		name: "deliver-one-look", why: "the poller that finds the lock taken does not look again after it has said so", in: "Notifier.deliver",
		old:   "fence(); if !n.mu.TryLock() { return }",
		new:   "return",
		first: "TestDeliverAgainstUnlock", long: "TestDeliverAgainstUnlock",
	},
	{
		name: "unlock-forgets", why: "who gives the lock back does not do what the poller wanted to", in: "Notifier.unlock",
		old:   "for n.owed.Load() != 0 && n.mu.TryLock() { n.pass(); n.mu.Unlock() }",
		new:   "",
		first: "TestEachTakesTheLock", quick: true,
	},
	{
		name: "unlock-looks-first", why: "who gives the lock back looks before that whether the poller wanted to", in: "Notifier.unlock",
		old:   "n.mu.Unlock(); for n.owed.Load() != 0 && n.mu.TryLock() { n.pass(); n.mu.Unlock() }",
		new:   "if n.owed.Load() != 0 { n.pass() }; n.mu.Unlock()",
		first: "TestDeliverAgainstUnlock", long: "TestDeliverAgainstUnlock",
	},
	{
		name: "send-outside-lock", why: "the poller clears the bit under the lock and sends without it", in: "Notifier.deliver",
		old:   "n.pass(); n.unlock()",
		new:   "had := n.poller.set.clear(n.handle.index()); n.unlock(); if had { n.put() }",
		first: "TestDeliverAgainstClear", long: "TestDeliverAgainstClear",
	},
	{
		name: "deliver-to-closed", why: "the poller puts a token into a closed notifier", in: "Notifier.pass",
		old: "n.state.Load() != open ||", new: "",
		first: "TestDeliverOfAFormerOwner",
	},

	// Notify by a goroutine
	{
		name: "go-notify-no-fence", why: "Notify without the fence before its look at the channel", in: "Notifier.Notify",
		old: "fence()", new: "",
		first: "TestRelaxedPublish", long: "TestRelaxedPublish|TestBarriersGo",
	},
	{
		name: "go-notify-token-first", why: "Notify looks at the channel before it looks whether the notifier is closed", in: "Notifier.Notify",
		old:   "if n.state.Load() != open { return n.Err() }; if len(n.ch) != 0 { return nil }",
		new:   "if len(n.ch) != 0 { return nil }; if n.state.Load() != open { return n.Err() }",
		first: "TestSuite",
	},
	{
		name: "go-notify-no-second-look", why: "Notify does not look at the state again under the lock", in: "Notifier.Notify",
		old: "n.ch == nil || n.state.Load() != open", new: "n.ch == nil",
		first: "TestCloseWhileAllAreAtIt|TestNotifyIsHeldUpByClose|TestEachTakesTheLock",
	},
	{
		name: "go-notify-without-lock", why: "Notify sends without the lock", in: "Notifier.Notify",
		old:   "n.mu.Lock(); if n.ch == nil || n.state.Load() != open { n.unlock(); return n.Err() }; n.put(); n.unlock(); return nil",
		new:   "n.put(); return nil",
		first: "TestCloseWhileAllAreAtIt|TestNotifyIsHeldUpByClose|TestEachTakesTheLock",
	},

	// Wait and Clear
	{
		name: "absorb-no-fence", why: "no fence between clearing and the caller's look at the data", in: "Notifier.take",
		old: "fence()", new: "",
		first: "TestRelaxedPublish", long: "TestRelaxedPublish|TestBarriersGo",
		reason: fenceIsThere,
	},
	{
		name: "absorb-without-lock", why: "Wait and Clear clear without the lock", in: "Notifier.take",
		old: "n.mu.Lock(); defer n.unlock()", new: "",
		first: "TestSuite|TestEachTakesTheLock",
	},
	{
		name: "absorb-leaves-bit", why: "Wait and Clear leave the ready bit", in: "Notifier.take",
		old: "n.poller.set.clear(n.handle.index())", new: "n.handle == 1",
		first: "TestSuite",
	},
	{
		name: "absorb-leaves-token", why: "Clear leaves the token", in: "Notifier.take",
		old:   "had := false; select { case <-n.ch: had = true; default: }",
		new:   "had := len(n.ch) != 0",
		first: "TestSuite",
	},
	{
		name: "wait-after-close", why: "Wait and Clear of a closed notifier clear the bit, which may be another's", in: "Notifier.take",
		old: "&& n.state.Load() == open", new: "",
		first: "TestDeliverOfAFormerOwner", quick: true,
	},
	{
		name: "wait-only-takes", why: "Wait takes the token and nothing with it", in: "Notifier.Wait",
		old: "case <-n.ch: n.absorb(); return nil; case <-ctx.Done():", new: "case <-n.ch: return nil; case <-ctx.Done():",
		first: "TestWaitThatBlockedCoversAll",
	},

	// Close
	{
		name: "close-no-generation", why: "Close does not step the generation", in: "readySet.release",
		old:   "atomic.StoreUint32(&s.generation[i], next)",
		new:   "",
		first: "TestGenerations|TestSuite", quick: true,
	},
	{
		name: "close-leaves-bit", why: "Close leaves the ready bit", in: "readySet.release",
		old: "s.clear(i)", new: "",
		first: "TestSuite",
	},
	{
		name: "second-close-acts", why: "a second Close releases the index again", in: "Notifier.end",
		old: "if n.state.Load() != open { return }", new: "",
		first: "TestDeliverOfAFormerOwner|TestSuite",
	},
	{
		name: "close-tells-nobody", why: "Close does not close Done", in: "Notifier.end",
		old:   "close(n.done)",
		new:   "",
		first: "TestSuite",
	},
	{
		name: "close-without-lock", why: "Close does all of it without the lock", in: "Notifier.end",
		old: "n.mu.Lock(); defer n.unlock()", new: "",
		first: "TestCloseWhileAllAreAtIt|TestNotifyIsHeldUpByClose|TestEachTakesTheLock",
	},

	// the life of an index
	{
		name: "admit-leaves-bit", why: "a new owner inherits the bit of a late caller", in: "readySet.admit",
		old:   "s.clear(f.index)",
		new:   "",
		first: "TestOrphanBits",
	},
	{
		name: "reuse-at-once", why: "an index is reused as soon as it is free", in: "readySet.admit",
		old: "len(s.freed) > minFreed", new: "len(s.freed) > 0",
		first: "TestReuseOfIndexes",
	},
	{
		name: "reuse-newest", why: "the index that was freed last is reused first", in: "readySet.admit",
		old:   "f = s.freed[0]; s.freed = s.freed[1:]",
		new:   "f = s.freed[len(s.freed)-1]; s.freed = s.freed[:len(s.freed)-1]",
		first: "TestReuseOfIndexes",
	},
	{
		name: "never-retired", why: "an index whose generations are used up starts anew", in: "readySet.release",
		old:   "if next <= generationMask { s.freed = append(s.freed, freedIdx{i, next}) } else { s.spent++ }",
		new:   "s.freed = append(s.freed, freedIdx{i, next & generationMask})",
		first: "TestRetirementOfIndexes",
	},
	{
		name: "orphans-stay", why: "the poller leaves the bits of indexes that nobody has", in: "Poller.scan",
		old:   "p.set.dropOrphan(i)",
		new:   "",
		first: "TestOrphanBits", quick: true,
	},
	{
		name: "orphans-unchecked", why: "dropOrphan does not look whether the index has an owner by now", in: "readySet.dropOrphan",
		old:   "if s.owner(i) == nil { s.clear(i) }",
		new:   "s.clear(i)",
		first: "TestOrphanBits",
	},

	// doorbells
	{
		name: "full-eventfd", why: "an eventfd whose counter is full is taken for signalled", in: "eventFD.signal",
		old: "if err == unix.EAGAIN {", new: "if err == unix.EAGAIN { return nil }; if err == unix.EAGAIN {",
		first: "TestDoorbellIsFull",
	},
	{
		name: "full-pipe-fails", why: "a full pipe is taken for a failure", in: "pipe.signal",
		old: "err == unix.EAGAIN", new: "false",
		first: "TestDoorbellIsFull",
	},
	{
		name: "pipe-not-emptied", why: "the poller never reads its pipe", in: "parking.park",
		old:   "if p.before != nil { p.before(fd) }",
		new:   "",
		first: "TestPipeIsEmptied",
	},
	{
		name: "not-close-on-exec", why: "the eventfd is inherited by programs that are run", in: "openEventFD",
		old:   "unix.EFD_CLOEXEC|unix.EFD_NONBLOCK",
		new:   "unix.EFD_NONBLOCK",
		first: "TestDescriptorFlags",
	},
	{
		name: "not-wiped", why: "the block is said to be wiped on fork, and is not", in: "mapBlock",
		old: "forked.Zero", new: "true || forked.Zero",
		first: "TestForkWithoutExec", c: true,
	},
	{
		name: "arms-outside", why: "the poller arms and looks before RawConn.Read, not in its callback", in: "parking.wait",
		old:   "p.look = look; err := p.conn.Read(p.read)",
		new:   "p.look = look; if p.read(uintptr(p.fd)) { return nil }; time.Sleep(time.Microsecond); first := true; err := p.conn.Read(func(fd uintptr) bool { if first { first = false; return false }; return p.read(fd) })",
		first: "TestSuite|TestTotals",
	},

	// faults
	{
		name: "check-never-fails", why: "a descriptor that was closed or replaced is not noticed", in: "parking.check",
		old:   "if err := p.own.Check(); err != nil || p.other == nil { return err }; return p.other.Check()",
		new:   "return nil",
		first: "TestDescriptorIsReplaced", quick: true,
	},
	{
		name: "check-one-end", why: "only the pipe's reading end is looked after", in: "parking.check",
		old:   "return p.other.Check()",
		new:   "return nil",
		first: "TestDescriptorIsReplaced",
	},
	{
		name: "no-self-check", why: "the sleeping poller does not check its doorbell", in: "Poller.serve",
		old:   "err = p.set.bell.check()",
		new:   "err = nil",
		first: "TestDoorbellBreaks|TestDescriptorIsReplaced",
	},
	{
		name: "header-unchecked", why: "an overwritten header is not noticed", in: "Poller.examine",
		old: "!p.set.intact()", new: "false",
		first: "TestHeaderIsOverwritten", quick: true,
	},
	{
		name: "no-condemn", why: "a broken doorbell may still be signalled", in: "Poller.finish",
		old:   "if as == faulted { p.set.condemn() }",
		new:   "",
		first: "TestDoorbellBreaks",
	},
	{
		name: "broken-set-reused", why: "a set whose doorbell broke serves the next poller", in: "takeIdle",
		old: "!s.intact() || s.bell.check() != nil", new: "false",
		first: "TestIdleSetIsBroken",
	},
	{
		name: "broken-set-returned", why: "the set of a broken poller is kept for the next", in: "Poller.Close",
		old: "if !broken {", new: "if broken || !broken {",
		first: "TestDoorbellBreaks",
	},
	{
		name: "close-without-stop", why: "Poller.Close does not tell the goroutine to stop", in: "Poller.finish",
		old:   "p.tell(toldStop)",
		new:   "",
		first: "TestCloseWithoutSignal|TestSuite",
	},
	{
		name: "admits-after-close", why: "a closed poller still gives handles", in: "Poller.admit",
		old: "if err := p.endErr(); err != nil { return 0, err }", new: "",
		first: "TestClosedPollerAdmitsNobody",
	},
}, ringMutations...)
