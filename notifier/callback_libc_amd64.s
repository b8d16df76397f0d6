//go:build gc && (darwin || (linux && wakechan_fakelibc))

#include "go_asm.h"
#include "textflag.h"
#include "callback_sysv_amd64.h"
#include "callback_amd64.h"

// callback_linux_amd64.s for macOS, where system calls go through the C library. So
// there is a frame, and it is the assembler's, which saves BP and leaves SP a multiple
// of 16 for each call. What must outlive a call is in the frame.
//
// wakechan_write is write$NOCANCEL, as in notifier.h: no thread can be cancelled in it.

#define EINTR 4
#define EAGAIN 35

#define EVFILT_USER 0xfff6 // -10 in 16 bits; the flags above it are 0
#define NOTE_TRIGGER 0x01000000

#define event        0(SP)  // struct kevent, 32 bytes; or the byte for a pipe
#define handleAt     32(SP)
#define blockAt      40(SP)
#define errnoAt      48(SP) // the address of this thread's errno
#define errnoWas     56(SP)
#define resultAt     60(SP) // R11
#define generationAt 64(SP)
#define indexAt      68(SP)
#define asleepAt     68(SP)
#define codeAt       72(SP)
#define descriptorAt 76(SP)
#define scratch      76(SP)

TEXT notifySteps<>(SB),NOSPLIT,$80-0
	MOVQ	CX, handleAt
	MOVL	R11, resultAt
#include "callback_steps_amd64.h"

checkPID:
	MOVQ	R8, blockAt
	MOVL	R9, generationAt
	MOVL	DX, indexAt
	MOVL	block_pid(R8), AX
	MOVL	AX, scratch
	CALL	wakechan_getpid(SB)
	CMPL	scratch, AX
	MOVL	resultAt, R11
	JNE	closed
	MOVQ	handleAt, CX
	MOVQ	blockAt, R8
	MOVL	generationAt, R9
	MOVL	indexAt, DX
	MOVL	$NOTIFIER_COALESCED, AX
	JMP	mine

	// 5a. The signal.
signal:
	MOVL	block_asleep(R8), CX
	TESTL	$1, CX
	JEQ	done // somebody else has signalled since
	MOVQ	R8, blockAt
	MOVL	CX, asleepAt
	MOVL	AX, codeAt
	CALL	wakechan_error(SB)
	MOVQ	AX, errnoAt
	MOVL	(AX), CX
	MOVL	CX, errnoWas
	MOVQ	blockAt, R8
	MOVL	block_kind(R8), CX
	MOVL	block_descriptor(R8), DX
	MOVL	DX, descriptorAt
	CMPL	CX, $const_kindKqueue
	JEQ	kqueue
	CMPL	CX, $const_kindPipe
	JNE	failed
write:
	MOVB	$0, event
	MOVL	descriptorAt, DI
	LEAQ	event, SI
	MOVL	$1, DX
	CALL	wakechan_write(SB)
	TESTQ	AX, AX
	JGE	signalled
	MOVQ	errnoAt, AX
	MOVL	(AX), AX
	CMPL	AX, $EINTR
	JEQ	write
	CMPL	AX, $EAGAIN // full of signals that the poller has not read yet
	JEQ	signalled
failed:
	MOVL	$NOTIFIER_FAILED, AX
finish:
	MOVL	resultAt, R11
	JMP	done

kqueue:
	MOVQ	$0, 0(SP) // ident
	MOVL	$EVFILT_USER, 8(SP)
	MOVL	$NOTE_TRIGGER, 12(SP)
	MOVQ	$0, 16(SP) // data
	MOVQ	$0, 24(SP) // udata
	MOVL	descriptorAt, DI
	LEAQ	event, SI
	MOVL	$1, DX
	XORL	CX, CX
	XORL	R8, R8
	XORL	R9, R9
	CALL	wakechan_kevent(SB)
	TESTL	AX, AX
	JGE	signalled
	MOVQ	errnoAt, AX
	CMPL	(AX), $EINTR
	JEQ	kqueue
	JMP	failed

	// 5b. The even number.
signalled:
	MOVQ	blockAt, R8
	MOVL	asleepAt, AX
	LEAL	1(AX), CX
	LOCK
	CMPXCHGL	CX, block_asleep(R8)
	MOVQ	errnoAt, AX
	MOVL	errnoWas, CX
	MOVL	CX, (AX)
	MOVL	codeAt, AX
	JMP	finish
