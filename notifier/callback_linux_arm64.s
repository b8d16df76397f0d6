//go:build gc && !wakechan_fakelibc

#include "go_asm.h"
#include "textflag.h"
#include "callback_arm64.h"

// callback_linux_amd64.s for arm64: C functions of AAPCS64. They change R0 to R15 and the
// flags, of which the ABI lets a callee change all, and nothing else. R27,
// which the assembler may use by itself, does not occur: a test looks.

#define SYS_read 63
#define SYS_write 64
#define SYS_getpid 172

#define EINTR 4
#define EAGAIN 11

#define LEAVE RET

// NOFRAME: the assembler's own frame keeps R29 below the stack pointer, where a signal
// handler writes, since arm64 has no red zone.
TEXT notifySteps<>(SB),NOSPLIT|NOFRAME,$0-0
#include "callback_steps_arm64.h"

	// A system call changes R0 only.
checkPID:
	MOVD	$SYS_getpid, R8
	SVC
	CMPW	R0, R12
	BEQ	mine
	MOVD	$NOTIFIER_CLOSED, R0
	B	done

	// 5a. The signal.
signal:
	MOVW	R0, R11 // the code
	ADD	$block_kind, R9, R5
	LDARW	(R5), R12
	ADD	$block_descriptor, R9, R5
	LDARW	(R5), R13
	SUB	$16, RSP
	MOVD	RSP, R1
	MOVD	$1, R3
	MOVD	R3, (RSP)
	MOVD	$8, R2 // an eventfd takes the number 1, of 8 bytes
	CMPW	$const_kindEventFD, R12
	BEQ	write
	MOVD	ZR, (RSP)
	MOVD	$1, R2 // a pipe takes a byte
	CMPW	$const_kindPipe, R12
	BNE	failed
write:
	MOVW	R13, R0
	MOVD	$SYS_write, R8
	SVC
	CMN	$EINTR, R0
	BEQ	write
	CMN	$EAGAIN, R0
	BEQ	full
	TBNZ	$63, R0, failed
	// 5b. The even number.
signalled:
	ADD	$16, RSP
	ADDW	$1, R10, R3
	ADD	$block_asleep, R9, R5
wake:
	LDAXRW	(R5), R2
	CMPW	R10, R2
	BNE	woken
	STLXRW	R3, (R5), R7
	CBNZW	R7, wake
woken:
	MOVW	R11, R0
	B	done

full:
	CMP	$1, R2 // a pipe: of signals that the poller has not read yet
	BEQ	signalled
read: // an eventfd at its maximum, where a write wakes nobody: empty it, and write again
	MOVW	R13, R0
	MOVD	$SYS_read, R8
	SVC
	CMN	$EINTR, R0
	BEQ	read
	CMN	$EAGAIN, R0
	BEQ	writeAgain
	TBNZ	$63, R0, failed
writeAgain:
	MOVD	$1, R3
	MOVD	R3, (RSP)
	MOVW	R13, R0
	MOVD	$SYS_write, R8
	SVC
	CMN	$EINTR, R0
	BEQ	writeAgain
	CMN	$EAGAIN, R0 // somebody else has written in between
	BEQ	signalled
	TBZ	$63, R0, signalled
failed:
	ADD	$16, RSP
	MOVD	$NOTIFIER_FAILED, R0
	B	done
