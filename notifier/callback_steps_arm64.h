// What the body of notifySteps begins with, in callback_*_arm64.s: notifier_steps_ of
// notifier.h, step by step, up to the doorbell. A change of one is a change of both. The
// comments here say what the registers hold; why, is said there.
//
//	R0     the handle
//	R14    -1 if the result is the code (with R15 0); otherwise 0
//	R15    what the result is, whatever the code: 0 or 1
//
// R0 to R13 are all that it changes: the C ABI lets a callee change them. R9 is the block
// from here to the end, R0 the code.
//
// It goes on at the label checkPID, with the block's process id in R12, and from there to
// mine or done; and at signal, with asleep in R10, and from there to done.
//
// All loads are LDAR and all changes LDAXR and STLXR, as compilers make them of the
// sequentially consistent ones of notifier.h: no LDAR is done before an older STLXR.

// LOOK loads word i of the words at an offset in the block into R2; R5 is its address.
#define LOOK(offset, i) \
	MOVD	$offset, R5; \
	ADD	R9, R5; \
	ADD	i<<2, R5; \
	LDARW	(R5), R2

// SET sets bit i modulo 32 of the word at R5; R2 is what was there before.
#define SET(again, i) \
	MOVW	$1, R3; \
	LSLW	i, R3, R3; \
again: \
	LDAXRW	(R5), R2; \
	ORRW	R3, R2, R6; \
	STLXRW	R6, (R5), R7; \
	CBNZW	R7, again

	LSR	$(const_indexBits+const_generationBits), R0, R9
	LSL	$const_blockShift, R9, R9
	AND	$const_generationMask, R0, R10 // R10 is the generation
	LSR	$const_generationBits, R0, R11
	AND	$(const_maxHandles-1), R11, R11 // R11 is the index

	// A number that is no handle: below 2^48, at least 2^63, or even.
	MOVD	R0, R12
	LSR	$48, R0, R13
	MOVD	$NOTIFIER_INVALID, R0
	CBZ	R13, done
	TBNZ	$63, R12, done
	TBZ	$0, R12, done

	// 1. The fence. DMB ISH.
	DMB	$0xb

	// Is it a block of this ABI, and of this process?
	MOVW	$const_blockMagic, R6
	ADD	$block_magic, R9, R5
	LDARW	(R5), R2
	CMPW	R6, R2
	BNE	otherMagic
	ADD	$block_abi, R9, R5
	LDARW	(R5), R2
	CMPW	$const_abiVersion, R2
	BNE	foreignABI
	ADD	$block_pid, R9, R5
	LDARW	(R5), R12
	CBNZW	R12, checkPID
mine:

	// 2. The generation.
	MOVD	$NOTIFIER_CLOSED, R0
	LOOK(block_generation, R11)
	CMPW	R10, R2
	BNE	done

	// 3. The leaf bit. Of word R12, bit R4 (position in readyset.go).
	ANDW	$2047, R11, R12
	LSLW	$4, R12, R12
	LSRW	$11, R11, R1
	ANDW	$15, R1, R1
	ORRW	R1, R12, R12
	LSRW	$15, R11, R4
	MOVD	$NOTIFIER_COALESCED, R0
	LOOK(block_leaf, R12)
	LSRW	R4, R2, R2
	TBZ	$0, R2, setLeaf

	// 4. The levels above. Upwards: of mid word R13, of top word R11. A shift by a
	// register takes that modulo 32.
mid:
	LSRW	$5, R12, R13
	LOOK(block_mid, R13)
	LSRW	R12, R2, R2
	TBZ	$0, R2, setMid
top:
	LSRW	$5, R13, R11
	LOOK(block_top, R11)
	LSRW	R13, R2, R2
	TBZ	$0, R2, setTop
root:
	ADD	$block_root, R9, R5
	LDARW	(R5), R2
	LSRW	R11, R2, R2
	TBZ	$0, R2, setRoot

	// 5. The doorbell. If the poller is asleep.
asleep:
	ADD	$block_asleep, R9, R5
	LDARW	(R5), R10
	TBNZ	$0, R10, signal
done:
	ANDW	R14, R0, R0
	ORRW	R15, R0, R0
	SXTW	R0, R0 // the result may be as wide as a pointer
	LEAVE

	// Each of these sets a bit, which somebody else may have set since: only of the
	// leaf bit does the code tell.
setLeaf:
	SET(setLeafAgain, R4)
	LSRW	R4, R2, R2
	ANDW	$1, R2, R0 // NOTIFIER_OK or NOTIFIER_COALESCED
	B	mid
setMid:
	SET(setMidAgain, R12)
	B	top
setTop:
	SET(setTopAgain, R13)
	B	root
setRoot:
	SET(setRootAgain, R11)
	B	asleep

otherMagic:
	CBNZW	R2, done // R0 is NOTIFIER_INVALID
	ADD	$block_abi, R9, R5
	LDARW	(R5), R2
foreignABI:
	CBNZW	R2, done
	MOVD	$NOTIFIER_CLOSED, R0
	B	done
