//go:build wakechan_fakelibc && linux && gc

#include "textflag.h"

#define SPOIL \
	MOVD	$0x5555555555555555, R1; \
	MOVD	R1, R2; \
	MOVD	R1, R3; \
	MOVD	R1, R4; \
	MOVD	R1, R5; \
	MOVD	R1, R6; \
	MOVD	R1, R7; \
	MOVD	R1, R8; \
	MOVD	R1, R9; \
	MOVD	R1, R10; \
	MOVD	R1, R11; \
	MOVD	R1, R12; \
	MOVD	R1, R13; \
	MOVD	R1, R14; \
	MOVD	R1, R15; \
	MOVD	R1, R16; \
	MOVD	R1, R17; \
	SUB	$32, RSP; \
	STP	(R1, R1), (RSP); \
	STP	(R1, R1), 16(RSP); \
	ADD	$32, RSP

TEXT wakechan_error(SB),NOSPLIT|NOFRAME,$0-0
	SPOIL
	MOVD	$·fakeErrno(SB), R0
	RET

TEXT wakechan_getpid(SB),NOSPLIT|NOFRAME,$0-0
	MOVD	$172, R8
	SVC
	SPOIL
	RET

TEXT wakechan_write(SB),NOSPLIT|NOFRAME,$0-0
	B	write<>(SB)

// One change, an event of 32 bytes, and nothing else.
TEXT wakechan_kevent(SB),NOSPLIT|NOFRAME,$0-0
	CMPW	$1, R2
	BNE	bad
	ORR	R3, R5, R5
	CBNZ	R5, bad
	CBNZW	R4, bad
	MOVD	$32, R2
	B	write<>(SB)
bad:
	UNDEF

TEXT write<>(SB),NOSPLIT|NOFRAME,$0-0
	MOVD	$·fakeCalls(SB), R10
	MOVWU	(R10), R11
	ADDW	$1, R11
	MOVW	R11, (R10)
	MOVD	$·fakeErrno(SB), R10
	MOVD	$4, R12 // EINTR
	MOVD	$3, R13
	UDIVW	R13, R11, R14
	MULW	R13, R14, R14
	CMPW	R14, R11
	BEQ	failed
	MOVD	$64, R8
	SVC
	TBZ	$63, R0, good
	NEG	R0, R12
	CMPW	$11, R12 // Linux' EAGAIN
	BNE	failed
	MOVD	$35, R12
failed:
	MOVW	R12, (R10)
	MOVD	$-1, R0
good:
	SPOIL
	RET
