package main

// This file is the list of mutations, in the order of the protocol: notify, poller,
// Wait and Clear, Close, the life of an index, doorbells, faults. What the model has
// under the same idea is in verify/model/cases.txt.

const fenceIsThere = "on amd64 the locked instruction before it is a fence as well; its place in the code that other processors run is what TestBarriersGo looks at"

var mutations = []mutation{
	// notify: Handle.Notify, the twin of notifier_notify
	{
		name: "notify-no-fence", why: "Handle.Notify without the fence before its look at the bit", file: "readyset.go",
		old: "	fence()\n	// 2.", new: "	// 2.",
		first: "TestRelaxedPublish", long: "TestRelaxedPublish|TestBarriersGo",
	},
	{
		name: "notify-no-generation", why: "Handle.Notify does not look at the generation", file: "readyset.go",
		old: "if atomic.LoadUint32(&s.generation[i]) != h.generation() {", new: "if false {",
		first: "TestGenerations", quick: true,
	},
	{
		name: "skip-when-coalesced", why: "the bit was set already: neither summaries nor ring", file: "readyset.go",
		old:   "	raise(&s.leaf[word], bit)\n",
		new:   "	if atomic.LoadUint32(&s.leaf[word])&(1<<bit) != 0 {\n		return nil\n	}\n	raise(&s.leaf[word], bit)\n",
		first: "TestDeadCallers", quick: true,
	},
	{
		name: "skip-summaries", why: "the bit was set already: no summaries, but a ring", file: "readyset.go",
		old: "	raise(&s.leaf[word], bit)\n	// 4. The summaries, upwards, also when the bit was set already: whoever set\n	// it may have died before it got here.\n	raise(&s.mid[word>>5], word&31)\n",
		new: "	if atomic.LoadUint32(&s.leaf[word])&(1<<bit) != 0 {\n		goto ring\n	}\n	raise(&s.leaf[word], bit)\n	raise(&s.mid[word>>5], word&31)\n" +
			"	raise(&s.top[word>>10], word>>5&31)\n	raise(&s.root, word>>10)\nring:\n	if a := atomic.LoadUint32(&s.asleep); a&1 != 0 {\n		if err := s.bell.ring(); err != nil {\n			return err\n		}\n		atomic.CompareAndSwapUint32(&s.asleep, a, a+1)\n		return nil\n	}\n	return nil\n}\n\nfunc (s *readySet) unused(word uint32) error {\n",
		first: "TestDeadCallers",
	},
	{
		name: "skip-ring-when-coalesced", why: "the bit was set already: summaries, but no ring", file: "readyset.go",
		old: "	raise(&s.leaf[word], bit)\n", new: "	was := atomic.LoadUint32(&s.leaf[word])&(1<<bit) != 0\n	raise(&s.leaf[word], bit)\n	if was {\n		raise(&s.mid[word>>5], word&31)\n		raise(&s.top[word>>10], word>>5&31)\n		raise(&s.root, word>>10)\n		return nil\n	}\n",
		first: "TestDeadCallers|TestRingFailsOnce",
	},
	{
		name: "summaries-first", why: "root, top and mid are set before the leaf bit", file: "readyset.go",
		old: "	raise(&s.leaf[word], bit)\n	// 4.", new: "	defer raise(&s.leaf[word], bit)\n	// 4.",
		first: "TestSuite|TestDeadCallers",
	},
	{
		name: "no-top", why: "notify leaves out the level top", file: "readyset.go",
		old: "	raise(&s.top[word>>10], word>>5&31)\n", new: "",
		first: "TestSuite",
	},
	{
		name: "no-ring", why: "no ring although the poller is in bed", file: "readyset.go",
		old: "		if err := s.bell.ring(); err != nil {\n			return err\n		}\n", new: "",
		first: "TestSuite",
	},
	{
		name: "even-before-ring", why: "asleep is made even before ringing", file: "readyset.go",
		old:   "		if err := s.bell.ring(); err != nil {\n			return err\n		}\n		atomic.CompareAndSwapUint32(&s.asleep, a, a+1)\n",
		new:   "		atomic.CompareAndSwapUint32(&s.asleep, a, a+1)\n		if err := s.bell.ring(); err != nil {\n			return err\n		}\n",
		first: "TestRingFailsOnce", quick: true,
	},
	{
		name: "never-even", why: "who has rung leaves asleep odd", file: "readyset.go",
		old: "		atomic.CompareAndSwapUint32(&s.asleep, a, a+1)\n", new: "",
		first: "TestOneRingForANight",
	},
	{
		name: "even-whatever", why: "who has rung makes asleep even, also another night's", file: "readyset.go",
		old: "		atomic.CompareAndSwapUint32(&s.asleep, a, a+1)\n", new: "		atomic.StoreUint32(&s.asleep, a+1)\n",
		first: "TestOneRingForANight",
	},

	// the poller
	{
		name: "same-number", why: "the poller arms with the same number every night", file: "readyset.go",
		old: "	s.epoch += 2\n", new: "",
		first: "TestGoingToBed", quick: true,
	},
	{
		name: "look-before-arming", why: "the poller looks at root before it stores asleep", file: "readyset.go",
		old:   "	atomic.SwapUint32(&s.asleep, s.epoch)\n	if atomic.LoadUint32(&s.root) == 0 && stop.Load() == 0 {\n		return false\n	}\n	s.getUp()\n	return true\n",
		new:   "	if atomic.LoadUint32(&s.root) == 0 && stop.Load() == 0 {\n		atomic.SwapUint32(&s.asleep, s.epoch)\n		return false\n	}\n	return true\n",
		first: "TestSuite|TestBedOrRing", long: "TestBarriersGo",
	},
	{
		name: "no-second-look", why: "the poller goes to bed without another look at root", file: "readyset.go",
		old: "	if atomic.LoadUint32(&s.root) == 0 && stop.Load() == 0 {", new: "	if stop.Load() == 0 {",
		first: "TestGoingToBed", quick: true,
	},
	{
		name: "no-look-at-stop", why: "the poller goes to bed without a look at stop", file: "readyset.go",
		old: "	if atomic.LoadUint32(&s.root) == 0 && stop.Load() == 0 {", new: "	if atomic.LoadUint32(&s.root) == 0 {",
		first: "TestGoingToBed",
	},
	{
		name: "stays-in-bed", why: "the poller that finds something to do leaves asleep odd", file: "readyset.go",
		old: "	s.getUp()\n	return true\n", new: "	return true\n",
		first: "TestGoingToBed",
	},
	{
		name: "clear-root-last", why: "the scan clears root after it has looked below", file: "readyset.go",
		old:   "for r := atomic.SwapUint32(&s.root, 0); r != 0; r &= r - 1 {",
		new:   "defer atomic.StoreUint32(&s.root, 0)\n	for r := atomic.LoadUint32(&s.root); r != 0; r &= r - 1 {",
		first: "TestScanClearsFromTheTop", quick: true,
	},
	{
		name: "clear-mid-last", why: "the scan clears a word of mid after it has looked at its leaf words", file: "readyset.go",
		old:   "for mid := atomic.SwapUint32(&s.mid[m], 0); mid != 0; mid &= mid - 1 {",
		new:   "defer atomic.StoreUint32(&s.mid[m], 0)\n			for mid := atomic.LoadUint32(&s.mid[m]); mid != 0; mid &= mid - 1 {",
		first: "TestScanClearsFromTheTop",
	},
	{
		name: "clear-by-store", why: "the scan reads root and then stores 0, not in one step", file: "readyset.go",
		old:   "for r := atomic.SwapUint32(&s.root, 0); r != 0; r &= r - 1 {",
		new:   "r := atomic.LoadUint32(&s.root)\n	atomic.StoreUint32(&s.root, 0)\n	for ; r != 0; r &= r - 1 {",
		first: "TestScanTakesWhatItClears", long: "TestScanTakesWhatItClears",
	},
	{
		name: "deliver-no-fence", why: "no fence between clearing the bit and the look at the channel", file: "notifier.go",
		old: "	fence()\n	sent = n.put()\n", new: "	sent = n.put()\n",
		first: "TestRelaxedPublish", long: "TestRelaxedPublish|TestBarriersGo",
		reason: fenceIsThere,
	},
	{
		name: "send-before-clear", why: "the poller puts the token in before it clears the bit", file: "notifier.go",
		old:   "	if n.state.Load() != open || !s.clear(i) {\n		return false, false\n	}\n",
		new:   "	if n.state.Load() != open {\n		return false, false\n	}\n	defer s.clear(i)\n",
		first: "TestSuite|TestDeliverLooksAtTheBit",
	},
	{
		name: "clear-outside-lock", why: "the poller clears the bit before it has the notifier's lock", file: "notifier.go",
		old:   "	n.mu.Lock()\n	defer n.mu.Unlock()\n	if n.state.Load() != open || !s.clear(i) {",
		new:   "	was := s.clear(i)\n	n.mu.Lock()\n	defer n.mu.Unlock()\n	if n.state.Load() != open || !was {",
		first: "TestDeliverOfAFormerOwner", quick: true,
	},
	{
		name: "send-outside-lock", why: "the poller clears the bit under the lock and sends without it", file: "notifier.go",
		old:   "	defer n.mu.Unlock()\n	if n.state.Load() != open || !s.clear(i) {\n		return false, false\n	}\n",
		new:   "	if n.state.Load() != open || !s.clear(i) {\n		n.mu.Unlock()\n		return false, false\n	}\n	n.mu.Unlock()\n",
		first: "TestDeliverAgainstClear", long: "TestDeliverAgainstClear",
	},
	{
		name: "deliver-to-closed", why: "the poller puts a token into a closed notifier", file: "notifier.go",
		old: "	if n.state.Load() != open || !s.clear(i) {", new: "	if !s.clear(i) {",
		first: "TestDeliverOfAFormerOwner",
	},

	// Notify by a goroutine
	{
		name: "go-notify-no-fence", why: "Notify without the fence before its look at the channel", file: "notifier.go",
		old: "	fence()\n	if n.state.Load() != open {\n		return n.Err()\n	}\n	if len(n.ch) != 0 {", new: "	if n.state.Load() != open {\n		return n.Err()\n	}\n	if len(n.ch) != 0 {",
		first: "TestRelaxedPublish", long: "TestRelaxedPublish|TestBarriersGo",
	},
	{
		name: "go-notify-token-first", why: "Notify looks at the channel before it looks whether the notifier is closed", file: "notifier.go",
		old:   "	if n.state.Load() != open {\n		return n.Err()\n	}\n	if len(n.ch) != 0 {\n		return nil // no shared line was written\n	}\n",
		new:   "	if len(n.ch) != 0 {\n		return nil // no shared line was written\n	}\n	if n.state.Load() != open {\n		return n.Err()\n	}\n",
		first: "TestSuite",
	},
	{
		name: "go-notify-no-second-look", why: "Notify does not look at the state again under the lock", file: "notifier.go",
		old: "	if n.ch == nil || n.state.Load() != open {\n		n.mu.Unlock()", new: "	if n.ch == nil {\n		n.mu.Unlock()",
		first: "TestCloseWhileAllAreAtIt|TestNotifyIsHeldUpByClose|TestEachTakesTheLock",
	},
	{
		name: "go-notify-without-lock", why: "Notify sends without the lock", file: "notifier.go",
		old:   "	n.mu.Lock()\n	if n.ch == nil || n.state.Load() != open {\n		n.mu.Unlock()\n		return n.Err()\n	}\n	n.put()\n	n.mu.Unlock()\n	return nil\n",
		new:   "	n.put()\n	return nil\n",
		first: "TestCloseWhileAllAreAtIt|TestNotifyIsHeldUpByClose|TestEachTakesTheLock",
	},

	// Wait and Clear
	{
		name: "absorb-no-fence", why: "no fence between clearing and the caller's look at the data", file: "notifier.go",
		old: "	fence()\n	n.raceTake()\n", new: "	n.raceTake()\n",
		first: "TestRelaxedPublish", long: "TestRelaxedPublish|TestBarriersGo",
		reason: fenceIsThere,
	},
	{
		name: "absorb-without-lock", why: "Wait and Clear clear without the lock", file: "notifier.go",
		old:   "func (n *Notifier) absorb() bool {\n	n.mu.Lock()\n	defer n.mu.Unlock()\n",
		new:   "func (n *Notifier) absorb() bool {\n",
		first: "TestSuite|TestEachTakesTheLock",
	},
	{
		name: "absorb-leaves-bit", why: "Wait and Clear leave the ready bit", file: "notifier.go",
		old: "&& n.poller.set.clear(n.handle.index()) {", new: "&& n.handle == 1 {",
		first: "TestSuite",
	},
	{
		name: "absorb-leaves-token", why: "Clear leaves the token", file: "notifier.go",
		old:   "	had := false\n	select {\n	case <-n.ch:\n		had = true\n	default:\n	}\n",
		new:   "	had := len(n.ch) != 0\n",
		first: "TestSuite",
	},
	{
		name: "wait-after-close", why: "Wait and Clear of a closed notifier clear the bit, which may be another's", file: "notifier.go",
		old: "if n.handle != 0 && n.state.Load() == open && n.poller", new: "if n.handle != 0 && n.poller",
		first: "TestDeliverOfAFormerOwner", quick: true,
	},
	{
		name: "wait-only-takes", why: "Wait takes the token and nothing with it", file: "notifier.go",
		old:   "	case <-n.ch:\n		n.absorb()\n		return nil\n	case <-ctx.Done():",
		new:   "	case <-n.ch:\n		return nil\n	case <-ctx.Done():",
		first: "TestWaitThatBlockedCoversAll",
	},

	// Close
	{
		name: "close-no-generation", why: "Close does not step the generation", file: "readyset.go",
		old: "	atomic.StoreUint32(&s.generation[i], next)\n", new: "",
		first: "TestGenerations|TestSuite", quick: true,
	},
	{
		name: "close-leaves-bit", why: "Close leaves the ready bit", file: "readyset.go",
		old: "	atomic.StoreUint32(&s.generation[i], next)\n	s.clear(i)\n", new: "	atomic.StoreUint32(&s.generation[i], next)\n",
		first: "TestSuite",
	},
	{
		name: "second-close-acts", why: "a second Close releases the index again", file: "notifier.go",
		old:   "	if n.state.Load() != open {\n		return\n	}\n	n.state.Store(as)\n",
		new:   "	n.state.Store(as)\n",
		first: "TestDeliverOfAFormerOwner|TestSuite",
	},
	{
		name: "close-tells-nobody", why: "Close does not close Done", file: "notifier.go",
		old: "		close(n.done)\n", new: "",
		first: "TestSuite",
	},
	{
		name: "close-without-lock", why: "Close does all of it without the lock", file: "notifier.go",
		old:   "func (n *Notifier) end(as uint32) {\n	n.mu.Lock()\n	defer n.mu.Unlock()\n",
		new:   "func (n *Notifier) end(as uint32) {\n",
		first: "TestCloseWhileAllAreAtIt|TestNotifyIsHeldUpByClose|TestEachTakesTheLock",
	},

	// the life of an index
	{
		name: "admit-leaves-bit", why: "a new owner inherits the bit of a late caller", file: "readyset.go",
		old: "	s.clear(f.index)\n", new: "",
		first: "TestOrphanBits",
	},
	{
		name: "reuse-at-once", why: "an index is reused as soon as it is free", file: "readyset.go",
		old: "	case len(s.freed) > minFreed ||", new: "	case len(s.freed) > 0 ||",
		first: "TestReuseOfIndexes",
	},
	{
		name: "reuse-newest", why: "the index that was freed last is reused first", file: "readyset.go",
		old:   "		f = s.freed[0]\n		s.freed = s.freed[1:]\n",
		new:   "		f = s.freed[len(s.freed)-1]\n		s.freed = s.freed[:len(s.freed)-1]\n",
		first: "TestReuseOfIndexes",
	},
	{
		name: "never-retired", why: "an index whose generations are used up starts anew", file: "readyset.go",
		old:   "	if next <= generationMask { // else the index is retired\n		s.freed = append(s.freed, freedIdx{i, next})\n	}\n",
		new:   "	s.freed = append(s.freed, freedIdx{i, next & generationMask})\n",
		first: "TestRetirementOfIndexes",
	},
	{
		name: "orphans-stay", why: "the poller leaves the bits of indexes that nobody has", file: "poller.go",
		old: "			p.set.dropOrphan(i)\n", new: "",
		first: "TestOrphanBits", quick: true,
	},
	{
		name: "orphans-unchecked", why: "dropOrphan does not look whether the index has an owner by now", file: "readyset.go",
		old: "	if s.owner(i) == nil {\n		s.clear(i)\n	}\n", new: "	s.clear(i)\n",
		first: "TestOrphanBits",
	},

	// doorbells
	{
		name: "full-eventfd", why: "an eventfd whose counter is full is taken for rung", file: "wake_linux.go",
		old: "	if err == unix.EAGAIN {\n		// The counter", new: "	if err == unix.EAGAIN {\n		return nil\n	}\n	if err == unix.EAGAIN {\n		// The counter",
		first: "TestDoorbellIsFull",
	},
	{
		name: "full-pipe-fails", why: "a full pipe is taken for a failure", file: "wake_pipe.go",
		old: "	if err == unix.EAGAIN {\n		return nil // full", new: "	if false {\n		return nil // full",
		first: "TestDoorbellIsFull",
	},
	{
		name: "pipe-not-emptied", why: "the poller never reads its pipe", file: "wake_pipe.go",
		old: "		if p.before != nil {\n			p.before(fd)\n		}\n", new: "",
		first: "TestPipeIsEmptied",
	},
	{
		name: "not-close-on-exec", why: "the eventfd is inherited by programs that are run", file: "wake_linux.go",
		old: "unix.EFD_CLOEXEC|unix.EFD_NONBLOCK", new: "unix.EFD_NONBLOCK",
		first: "TestDescriptorFlags",
	},
	{
		name: "not-wiped", why: "the block is said to be wiped on fork, and is not", file: "memory_unix.go",
		old: "	return (*block)(start), forked.Zero(start, size) == nil, nil\n", new: "	return (*block)(start), true || forked.Zero(start, size) == nil, nil\n",
		first: "TestForkWithoutExec", c: true,
	},
	{
		name: "arms-outside", why: "the poller arms and looks before RawConn.Read, not in its callback", file: "wake_pipe.go",
		old:   "	p.look = look\n	err := p.conn.Read(p.read)\n",
		new:   "	p.look = look\n	if p.read(uintptr(p.fd)) {\n		return nil\n	}\n	time.Sleep(time.Microsecond)\n	first := true\n	err := p.conn.Read(func(fd uintptr) bool {\n		if first {\n			first = false\n			return false\n		}\n		return p.read(fd)\n	})\n",
		first: "TestSuite|TestTotals",
	},

	// faults
	{
		name: "check-never-fails", why: "a descriptor that was closed or replaced is not noticed", file: "wake_pipe.go",
		old:   "	if err := p.stat.check(p.fd); err != nil {\n		return err\n	}\n	if p.other != 0 {\n		return p.otherStat.check(p.other)\n	}\n	return nil\n",
		new:   "	return nil\n",
		first: "TestDescriptorIsReplaced", quick: true,
	},
	{
		name: "check-one-end", why: "only the pipe's reading end is looked after", file: "wake_pipe.go",
		old: "		return p.otherStat.check(p.other)\n", new: "		return nil\n",
		first: "TestDescriptorIsReplaced",
	},
	{
		name: "no-rounds", why: "the poller in bed does not check its doorbell", file: "poller.go",
		old: "			err = p.set.bell.check()\n", new: "			err = nil\n",
		first: "TestDoorbellBreaks|TestDescriptorIsReplaced",
	},
	{
		name: "header-unchecked", why: "an overwritten header is not noticed", file: "poller.go",
		old: "		} else if !p.set.intact() {", new: "		} else if false {",
		first: "TestHeaderIsOverwritten", quick: true,
	},
	{
		name: "no-condemn", why: "a broken doorbell may still be rung", file: "poller.go",
		old: "	if as == faulted {\n		p.set.condemn()\n	}\n", new: "",
		first: "TestDoorbellBreaks",
	},
	{
		name: "broken-set-reused", why: "a set whose doorbell broke serves the next poller", file: "poller.go",
		old: "		if s.intact() && s.bell.check() == nil {", new: "		if true {",
		first: "TestIdleSetIsBroken",
	},
	{
		name: "broken-set-returned", why: "the set of a broken poller is kept for the next", file: "poller.go",
		old: "		if !broken {\n			returnSet", new: "		if broken || !broken {\n			returnSet",
		first: "TestDoorbellBreaks",
	},
	{
		name: "close-without-stop", why: "Poller.Close does not tell the goroutine to stop", file: "poller.go",
		old: "	p.stop.Store(1)\n", new: "",
		first: "TestCloseWithoutRing|TestSuite",
	},
	{
		name: "admits-after-close", why: "a closed poller still gives handles", file: "poller.go",
		old: "	if err := p.endErr(); err != nil {\n		return 0, err\n	}\n	h, err := p.set.admit(n)", new: "	h, err := p.set.admit(n)",
		first: "TestClosedPollerAdmitsNobody",
	},
}
