//go:build gc && !wakechan_fakelibc

#include "go_asm.h"
#include "textflag.h"
#include "callback_sysv_amd64.h"
#include "callback_amd64.h"

// C functions of the System V ABI, for any thread, any stack, with or without a g.
// Beside what callback_steps_amd64.h names they change SI, DI, R10, the arithmetic flags
// and 16 bytes of the red zone below SP. They call nobody, and make system calls directly: so
// errno stays as it is, and no thread can be cancelled in them.

#define SYS_read 0
#define SYS_write 1
#define SYS_getpid 39

#define EINTR 4
#define EAGAIN 11

// In the red zone.
#define buffer   -8(SP) // what is written and read
#define scratch  -12(SP)
#define asleepAt -12(SP)
#define codeAt   -16(SP)

// NOFRAME, since nobody is called.
TEXT notifySteps<>(SB),NOSPLIT|NOFRAME,$0-0
#include "callback_steps_amd64.h"

	// A system call changes AX, CX and R11 only.
checkPID:
	MOVL	block_pid(R8), SI
	MOVQ	CX, DI
	MOVL	R11, R10
	MOVL	$SYS_getpid, AX
	SYSCALL
	CMPL	SI, AX
	MOVL	R10, R11
	JNE	closed
	MOVQ	DI, CX
	MOVL	$NOTIFIER_COALESCED, AX
	JMP	mine

	// 5a. The signal.
signal:
	MOVL	block_asleep(R8), CX
	TESTL	$1, CX
	JEQ	done // somebody else has signalled since
	MOVL	AX, codeAt
	MOVL	CX, asleepAt
	MOVL	R11, R9
	MOVL	block_kind(R8), CX
	MOVL	block_descriptor(R8), DI
	LEAQ	buffer, SI
	MOVQ	$1, buffer
	MOVL	$8, DX // an eventfd takes the number 1, of 8 bytes
	CMPL	CX, $const_kindEventFD
	JEQ	write
	MOVQ	$0, buffer
	MOVL	$1, DX // a pipe takes a byte
	CMPL	CX, $const_kindPipe
	JNE	failed
write:
	MOVL	$SYS_write, AX
	SYSCALL
	CMPQ	AX, $-EINTR
	JEQ	write
	CMPQ	AX, $-EAGAIN
	JEQ	full
	TESTQ	AX, AX
	JLT	failed
	// 5b. The even number.
signalled:
	MOVL	asleepAt, AX
	LEAL	1(AX), CX
	LOCK
	CMPXCHGL	CX, block_asleep(R8)
	MOVL	codeAt, AX
	MOVL	R9, R11
	JMP	done

full:
	CMPL	DX, $1 // a pipe: of signals that the poller has not read yet
	JEQ	signalled
read: // an eventfd at its maximum, where a write wakes nobody: empty it, and write again
	MOVL	$SYS_read, AX
	SYSCALL
	CMPQ	AX, $-EINTR
	JEQ	read
	CMPQ	AX, $-EAGAIN
	JEQ	writeAgain
	TESTQ	AX, AX
	JLT	failed
writeAgain:
	MOVQ	$1, buffer
	MOVL	$SYS_write, AX
	SYSCALL
	CMPQ	AX, $-EINTR
	JEQ	writeAgain
	CMPQ	AX, $-EAGAIN // somebody else has written in between
	JEQ	signalled
	TESTQ	AX, AX
	JGE	signalled
failed:
	MOVL	$NOTIFIER_FAILED, AX
	MOVL	R9, R11
	JMP	done
