// What the body of notifySteps begins with, in callback_*_amd64.s: notifier_steps_ of
// notifier.h, step by step, up to the doorbell. A change of one is a change of both. The
// comments here say what the registers hold; why, is said there. It is written for few
// instructions on the way of a notification that is pending already.
//
//	AX     NOTIFIER_COALESCED; of no matter unless R11 is -1
//	CX     the handle
//	R11    what the result is: 0 or 1, whatever the code; or -1: the code
//
// AX, CX, DX and R8 to R11 are all that it changes: every C ABI lets a callee change
// them. R8 is the block from here to the end, AX the code.
//
// The file that includes this defines scratch, 4 bytes of the stack that nobody has, and
// CHECK_PID, which goes to checkPID if the block's process id must be compared; that comes
// back to mine with all registers as they were, or to closed. It goes on at the label
// signal, and comes back to done.

	// A number that is no handle: below 2^48, at least 2^63 (negative), or even.
	MOVQ	$(1<<48), R8
	CMPQ	CX, R8
	JLT	invalid
	TESTL	$1, CX
	JEQ	invalid

	MOVQ	CX, R8
	SHRQ	$(const_indexBits+const_generationBits), R8
	SHLQ	$const_blockShift, R8
	MOVL	CX, R9
	ANDL	$const_generationMask, R9 // R9 is the generation
	MOVQ	CX, DX
	SHRQ	$const_generationBits, DX
	ANDL	$(const_maxHandles-1), DX // DX is the index

	// 1. The fence.
	LOCK
	ORL	$0, scratch

	// Is it a block of this ABI, and of this process?
	CMPL	block_magic(R8), $const_blockMagic
	JNE	otherBlock
	CMPL	block_abi(R8), $const_abiVersion
	JNE	otherBlock
	CHECK_PID
mine:

	// 2. The generation.
	CMPL	block_generation(R8)(DX*4), R9
	JNE	closed

	// 3. The leaf bit. Of word DX, bit CX modulo 32 (position in readyset.go). The word is
	// the index' lower 15 bits, rotated to the left by 4.
	ANDL	$0x7fff, DX
	IMUL3L	$0x8001, DX, DX
	SHRL	$11, DX
	ANDL	$0x7fff, DX
	SHRQ	$(const_generationBits+15), CX
	MOVL	block_leaf(R8)(DX*4), R9
	BTL	CX, R9
	JCC	setLeaf

	// 4. The levels above. Upwards. BTL takes its bit modulo 32.
mid:
	MOVL	DX, CX
	SHRL	$5, DX
	MOVL	block_mid(R8)(DX*4), R9
	BTL	CX, R9
	JCC	setMid
top:
	MOVL	DX, CX
	SHRL	$5, DX
	MOVL	block_top(R8)(DX*4), R9
	BTL	CX, R9
	JCC	setTop
root:
	MOVL	block_root(R8), R9
	BTL	DX, R9
	JCC	setRoot

	// 5. The doorbell. If the poller is asleep.
asleep:
	TESTB	$1, block_asleep(R8)
	JNE	signal
done:
	TESTL	R11, R11
	JMI	result
	MOVL	R11, AX // as wide as a pointer
	RET
result:
	MOVLQSX	AX, AX
	RET

	// Each of these sets a bit, which somebody else may have set since: only of the
	// leaf bit does the code tell. Of memory BTSL takes no modulo.
setLeaf:
	ANDL	$31, CX
	XORL	AX, AX
	LOCK
	BTSL	CX, block_leaf(R8)(DX*4)
	ADCL	$0, AX // NOTIFIER_OK or NOTIFIER_COALESCED
	JMP	mid
setMid:
	ANDL	$31, CX
	LOCK
	BTSL	CX, block_mid(R8)(DX*4)
	JMP	top
setTop:
	ANDL	$31, CX
	LOCK
	BTSL	CX, block_top(R8)(DX*4)
	JMP	root
setRoot:
	LOCK
	BTSL	DX, block_root(R8)
	JMP	asleep

otherBlock:
	CMPL	block_abi(R8), $0
	JNE	invalid
	MOVL	block_magic(R8), AX
	TESTL	AX, AX
	JEQ	closed // zeros: a forked child's
	CMPL	AX, $const_blockMagic
	JNE	invalid
closed:
	MOVL	$NOTIFIER_CLOSED, AX
	JMP	done
invalid:
	MOVL	$NOTIFIER_INVALID, AX
	JMP	done
