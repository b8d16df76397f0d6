//go:build gc && (linux || darwin || windows)

#include "go_asm.h"
#include "funcdata.h"
#include "textflag.h"

#define KEPT(i, register, value) \
	CMPQ	register, value; \
	JEQ	2(PC); \
	ORQ	$(1<<i), AX

#define PATTERN $0x123456789abcdef

// checked is a C function: it calls frame.fn and fills in the frame. Its frame, below
// the saved registers, aligned to 16:
//	0(SP)    shadow space and arguments 4 and 5, as Win64 has them
//	48(SP)   the frame
//	56(SP)   SP without alignment
//	64(SP)   MXCSR before and after, x87 control word before and after
//	96(SP)   X6 to X15, 16 bytes each
TEXT ·checked(SB),NOSPLIT|NOFRAME,$0-0
	PUSHQ	BX
	PUSHQ	BP
	PUSHQ	SI
	PUSHQ	DI
	PUSHQ	R12
	PUSHQ	R13
	PUSHQ	R14
	PUSHQ	R15
	MOVQ	SP, AX
	SUBQ	$320, SP
	ANDQ	$~15, SP
	MOVQ	AX, 56(SP)
#ifdef GOOS_windows
	MOVQ	CX, BX
	MOVUPS	X6, 96(SP)
	MOVUPS	X7, 112(SP)
	MOVUPS	X8, 128(SP)
	MOVUPS	X9, 144(SP)
	MOVUPS	X10, 160(SP)
	MOVUPS	X11, 176(SP)
	MOVUPS	X12, 192(SP)
	MOVUPS	X13, 208(SP)
	MOVUPS	X14, 224(SP)
	MOVUPS	X15, 240(SP)
#else
	MOVQ	DI, BX
#endif
	MOVQ	BX, 48(SP)
	STMXCSR	64(SP)
	FSTCW	80(SP)
	// Not what a program usually has: round towards zero.
	MOVL	64(SP), AX
	ORL	$0x6000, AX
	MOVL	AX, 68(SP)
	LDMXCSR	68(SP)
	MOVW	80(SP), AX
	ORW	$0x0c00, AX
	MOVW	AX, 82(SP)
	FLDCW	82(SP)
	MOVQ	frame_fn(BX), AX
#ifdef GOOS_windows
	MOVQ	(frame_args+0)(BX), CX
	MOVQ	(frame_args+8)(BX), DX
	MOVQ	(frame_args+16)(BX), R8
	MOVQ	(frame_args+24)(BX), R9
	MOVQ	(frame_args+32)(BX), R10
	MOVQ	R10, 32(SP)
	MOVQ	(frame_args+40)(BX), R10
	MOVQ	R10, 40(SP)
	MOVQ	PATTERN, SI
	MOVQ	PATTERN, DI
	MOVQ	SI, X6
	MOVQ	SI, X7
	MOVQ	SI, X8
	MOVQ	SI, X9
	MOVQ	SI, X10
	MOVQ	SI, X11
	MOVQ	SI, X12
	MOVQ	SI, X13
	MOVQ	SI, X14
	MOVQ	SI, X15
#else
	MOVQ	(frame_args+0)(BX), DI
	MOVQ	(frame_args+8)(BX), SI
	MOVQ	(frame_args+16)(BX), DX
	MOVQ	(frame_args+24)(BX), CX
	MOVQ	(frame_args+32)(BX), R8
	MOVQ	(frame_args+40)(BX), R9
#endif
	MOVQ	PATTERN, BX
	MOVQ	PATTERN, R12
	MOVQ	PATTERN, R13
	MOVQ	SP, R14 // two, so that one of the three may be wrong
	MOVQ	SP, R15
	CALL	AX
	MOVQ	AX, R10
	XORL	AX, AX
	MOVQ	PATTERN, R11
	KEPT(0, BX, R11)
	KEPT(4, R12, R11)
	KEPT(5, R13, R11)
	CMPQ	R14, R15
	JNE	oneOfTwo
	KEPT(8, R14, SP)
	MOVQ	R14, SP
	JMP	found
oneOfTwo:
	KEPT(6, R14, SP)
	KEPT(7, R15, SP)
found:
	MOVQ	56(SP), R11
	KEPT(1, 48(R11), BP) // as it was pushed: the rest of BP is for stack walkers
#ifdef GOOS_windows
	MOVQ	PATTERN, R11
	KEPT(2, SI, R11)
	KEPT(3, DI, R11)
#define KEPTX(i, register) \
	MOVQ	register, CX; \
	KEPT(i, CX, R11)
	KEPTX(12, X6)
	KEPTX(13, X7)
	KEPTX(14, X8)
	KEPTX(15, X9)
	KEPTX(16, X10)
	KEPTX(17, X11)
	KEPTX(18, X12)
	KEPTX(19, X13)
	KEPTX(20, X14)
	KEPTX(21, X15)
	MOVUPS	96(SP), X6
	MOVUPS	112(SP), X7
	MOVUPS	128(SP), X8
	MOVUPS	144(SP), X9
	MOVUPS	160(SP), X10
	MOVUPS	176(SP), X11
	MOVUPS	192(SP), X12
	MOVUPS	208(SP), X13
	MOVUPS	224(SP), X14
	MOVUPS	240(SP), X15
#endif
	PUSHFQ
	POPQ	R11
	TESTQ	$0x400, R11
	JEQ	2(PC)
	ORQ	$(1<<9), AX
	CLD
	STMXCSR	72(SP)
	MOVL	72(SP), R11
	ANDL	$~0x3f, R11 // but for exceptions that were noted
	MOVL	68(SP), CX
	ANDL	$~0x3f, CX
	CMPL	R11, CX
	JEQ	2(PC)
	ORQ	$(1<<10), AX
	FSTCW	84(SP)
	MOVW	84(SP), R11
	MOVW	82(SP), CX
	CMPW	R11, CX
	JEQ	2(PC)
	ORQ	$(1<<11), AX
	LDMXCSR	64(SP)
	FLDCW	80(SP)
	MOVQ	48(SP), CX
	MOVQ	R10, frame_result(CX)
	MOVQ	AX, frame_changed(CX)
	MOVQ	56(SP), SP
	POPQ	R15
	POPQ	R14
	POPQ	R13
	POPQ	R12
	POPQ	DI
	POPQ	SI
	POPQ	BP
	POPQ	BX
	RET

// For this package's own test: a C function that adds up its arguments, and one that
// changes what its argument says.

TEXT sum<>(SB),NOSPLIT|NOFRAME,$0-0
#ifdef GOOS_windows
	LEAQ	(CX)(DX*1), AX
	ADDQ	R8, AX
	ADDQ	R9, AX
	ADDQ	40(SP), AX
	ADDQ	48(SP), AX
#else
	LEAQ	(DI)(SI*1), AX
	ADDQ	DX, AX
	ADDQ	CX, AX
	ADDQ	R8, AX
	ADDQ	R9, AX
#endif
	RET

#define CHANGE(i, register) \
	CMPQ	CX, $i; \
	JNE	2(PC); \
	ADDQ	$8, register
#define CHANGEX(i, register) \
	CMPQ	CX, $i; \
	JNE	2(PC); \
	PXOR	register, register

TEXT changes<>(SB),NOSPLIT|NOFRAME,$0-0
#ifndef GOOS_windows
	MOVQ	DI, CX
#endif
	CHANGE(0, BX)
	CHANGE(1, BP)
	CHANGE(2, SI)
	CHANGE(3, DI)
	CHANGE(4, R12)
	CHANGE(5, R13)
	CHANGE(6, R14)
	CHANGE(7, R15)
	MOVQ	(SP), DX
	CMPQ	CX, $8
	JNE	3(PC)
	ADDQ	$16, SP
	JMP	DX
	CMPQ	CX, $9
	JNE	2(PC)
	STD
	CMPQ	CX, $10
	JNE	2(PC)
	LDMXCSR	initial<>(SB)
	CMPQ	CX, $11
	JNE	2(PC)
	FLDCW	initial<>+4(SB)
#ifdef GOOS_windows
	CHANGEX(12, X6)
	CHANGEX(13, X7)
	CHANGEX(14, X8)
	CHANGEX(15, X9)
	CHANGEX(16, X10)
	CHANGEX(17, X11)
	CHANGEX(18, X12)
	CHANGEX(19, X13)
	CHANGEX(20, X14)
	CHANGEX(21, X15)
#endif
	RET

DATA initial<>+0(SB)/4, $0x1f80
DATA initial<>+4(SB)/4, $0x037f
GLOBL initial<>(SB), NOPTR|RODATA, $8

TEXT ·checkedEntry(SB),NOSPLIT,$0-8
	LEAQ	·checked(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·sumEntry(SB),NOSPLIT,$0-8
	LEAQ	sum<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·changesEntry(SB),NOSPLIT,$0-8
	LEAQ	changes<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
