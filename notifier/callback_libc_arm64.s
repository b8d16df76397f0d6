//go:build gc && (darwin || (linux && wakechan_fakelibc))

#include "go_asm.h"
#include "textflag.h"
#include "callback_arm64.h"

// callback_libc_amd64.s for arm64: macOS, where system calls go through the C library.
// What must outlive a call is in the frame.
//
// The frame is made by hand: the assembler's own keeps R29 below the stack pointer, where
// a C function writes.

#define EINTR 4
#define EAGAIN 35

#define EVFILT_USER_NOTE_TRIGGER 0x010000000000fff6 // filter, flags, fflags

#define event        16(RSP) // struct kevent, 32 bytes; or the byte for a pipe
#define handleAt     48(RSP)
#define blockAt      56(RSP)
#define maskAt       64(RSP) // R14
#define resultAt     72(RSP) // R15
#define errnoAt      80(RSP) // the address of this thread's errno
#define errnoWas     88(RSP)
#define asleepAt     92(RSP)
#define codeAt       96(RSP)
#define descriptorAt 100(RSP)
#define pidAt        104(RSP)

#define LEAVE \
	LDP.P	112(RSP), (R29, R30); \
	RET

TEXT notifySteps<>(SB),NOSPLIT|NOFRAME,$0-0
	STP.W	(R29, R30), -112(RSP)
	MOVD	RSP, R29
	MOVD	R0, handleAt
	MOVD	R14, maskAt
	MOVD	R15, resultAt
#include "callback_steps_arm64.h"

checkPID:
	MOVD	R9, blockAt
	MOVW	R12, pidAt
	CALL	wakechan_getpid(SB)
	MOVWU	pidAt, R12
	CMPW	R12, R0
	MOVD	handleAt, R0
	MOVD	blockAt, R9
	MOVD	maskAt, R14
	MOVD	resultAt, R15
	AND	$const_generationMask, R0, R10
	LSR	$const_generationBits, R0, R11
	AND	$(const_maxHandles-1), R11, R11
	BEQ	mine
	MOVD	$NOTIFIER_CLOSED, R0
	B	done

	// 5a. The signal.
signal:
	MOVD	R9, blockAt
	MOVW	R0, codeAt
	MOVW	R10, asleepAt
	CALL	wakechan_error(SB)
	MOVD	R0, errnoAt
	MOVWU	(R0), R1
	MOVW	R1, errnoWas
	MOVD	blockAt, R9
	ADD	$block_kind, R9, R5
	LDARW	(R5), R12
	ADD	$block_descriptor, R9, R5
	LDARW	(R5), R13
	MOVW	R13, descriptorAt
	CMPW	$const_kindKqueue, R12
	BEQ	kqueue
	CMPW	$const_kindPipe, R12
	BNE	failed
write:
	MOVB	ZR, event
	MOVWU	descriptorAt, R0
	ADD	$16, RSP, R1 // event
	MOVD	$1, R2
	CALL	wakechan_write(SB)
	TBZ	$63, R0, signalled
	MOVD	errnoAt, R1
	MOVWU	(R1), R1
	CMPW	$EINTR, R1
	BEQ	write
	CMPW	$EAGAIN, R1 // full of signals that the poller has not read yet
	BEQ	signalled
failed:
	MOVD	$NOTIFIER_FAILED, R0
finish:
	MOVD	maskAt, R14
	MOVD	resultAt, R15
	B	done

kqueue:
	MOVD	ZR, 16(RSP) // ident
	MOVD	$EVFILT_USER_NOTE_TRIGGER, R1
	MOVD	R1, 24(RSP)
	MOVD	ZR, 32(RSP) // data
	MOVD	ZR, 40(RSP) // udata
	MOVWU	descriptorAt, R0
	ADD	$16, RSP, R1 // event
	MOVD	$1, R2
	MOVD	ZR, R3
	MOVD	ZR, R4
	MOVD	ZR, R5
	CALL	wakechan_kevent(SB)
	TBZ	$31, R0, signalled
	MOVD	errnoAt, R1
	MOVWU	(R1), R1
	CMPW	$EINTR, R1
	BEQ	kqueue
	B	failed

	// 5b. The even number.
signalled:
	MOVD	blockAt, R9
	MOVWU	asleepAt, R10
	ADDW	$1, R10, R3
	ADD	$block_asleep, R9, R5
wake:
	LDAXRW	(R5), R2
	CMPW	R10, R2
	BNE	woken
	STLXRW	R3, (R5), R7
	CBNZW	R7, wake
woken:
	MOVD	errnoAt, R1
	MOVWU	errnoWas, R2
	MOVW	R2, (R1)
	MOVW	codeAt, R0
	B	finish
