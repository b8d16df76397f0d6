//go:build wakechan_fakelibc && linux && gc

#include "textflag.h"

#define SPOIL \
	MOVQ	$0x5555555555555555, CX; \
	MOVQ	CX, DX; \
	MOVQ	CX, SI; \
	MOVQ	CX, DI; \
	MOVQ	CX, R8; \
	MOVQ	CX, R9; \
	MOVQ	CX, R10; \
	MOVQ	CX, R11; \
	MOVQ	CX, -8(SP); \
	MOVQ	CX, -16(SP); \
	MOVQ	CX, -24(SP); \
	MOVQ	CX, -32(SP)

// A call with SP askew would crash in a real C library.
#define ALIGNED \
	LEAQ	8(SP), AX; \
	TESTQ	$15, AX; \
	JEQ	2(PC); \
	UNDEF

TEXT wakechan_error(SB),NOSPLIT|NOFRAME,$0-0
	ALIGNED
	SPOIL
	LEAQ	·fakeErrno(SB), AX
	RET

TEXT wakechan_getpid(SB),NOSPLIT|NOFRAME,$0-0
	ALIGNED
	MOVL	$39, AX
	SYSCALL
	SPOIL
	RET

TEXT wakechan_write(SB),NOSPLIT|NOFRAME,$0-0
	ALIGNED
	JMP	write<>(SB)

// One change, an event of 32 bytes, and nothing else.
TEXT wakechan_kevent(SB),NOSPLIT|NOFRAME,$0-0
	ALIGNED
	CMPL	DX, $1
	JNE	bad
	ORQ	R8, CX
	JNE	bad
	TESTL	R9, R9
	JNE	bad
	MOVL	$32, DX
	JMP	write<>(SB)
bad:
	UNDEF

TEXT write<>(SB),NOSPLIT|NOFRAME,$0-0
	LEAQ	·fakeCalls(SB), R10
	MOVL	(R10), AX
	INCL	AX
	MOVL	AX, (R10)
	LEAQ	·fakeErrno(SB), R10
	MOVL	$4, CX // EINTR
	PUSHQ	DX
	XORL	DX, DX
	MOVL	$3, R11
	DIVL	R11
	CMPL	DX, $0
	POPQ	DX
	JEQ	failed
	MOVL	$1, AX
	SYSCALL
	TESTQ	AX, AX
	JGE	good
	NEGL	AX
	MOVL	AX, CX
	CMPL	CX, $11 // Linux' EAGAIN
	JNE	failed
	MOVL	$35, CX
failed:
	MOVL	CX, (R10)
	MOVQ	$-1, AX
good:
	SPOIL
	RET
