//go:build gc && linux

#include "go_asm.h"
#include "funcdata.h"
#include "textflag.h"

// KEPT adds to R9 if it has changed.
#define PATTERN(i) (0x123456789abcd00+i)

#define KEPT(i, register, value) \
	MOVD	$(1<<i), R11; \
	CMP	value, register; \
	CSEL	EQ, ZR, R11, R11; \
	ORR	R11, R9

// checked is a C function: it calls frame.fn and fills in the frame. Its own frame:
//	0(RSP)    R29, R30, R19 to R28, F8 to F15
//	160(RSP)  the frame, RSP, FPCR before and after
TEXT ·checked(SB),NOSPLIT|NOFRAME,$0-0
	SUB	$208, RSP
	STP	(R29, R30), 0(RSP)
	STP	(R19, R20), 16(RSP)
	STP	(R21, R22), 32(RSP)
	STP	(R23, R24), 48(RSP)
	STP	(R25, R26), 64(RSP)
	STP	(R27, g), 80(RSP)
	FSTPD	(F8, F9), 96(RSP)
	FSTPD	(F10, F11), 112(RSP)
	FSTPD	(F12, F13), 128(RSP)
	FSTPD	(F14, F15), 144(RSP)
	MOVD	R0, 160(RSP)
	MOVD	R18_PLATFORM, 168(RSP)
	MOVD	FPCR, R1
	MOVD	R1, 176(RSP)
	// Not what a program usually has: round towards zero.
	ORR	$(3<<22), R1
	MOVD	R1, FPCR
	MOVD	R1, 184(RSP)
	MOVD	frame_fn(R0), R9
	MOVD	(frame_args+8)(R0), R1
	MOVD	(frame_args+16)(R0), R2
	MOVD	(frame_args+24)(R0), R3
	MOVD	(frame_args+32)(R0), R4
	MOVD	(frame_args+40)(R0), R5
	MOVD	(frame_args+0)(R0), R0
	MOVD	$PATTERN(19), R19
	MOVD	$PATTERN(20), R20
	MOVD	$PATTERN(21), R21
	MOVD	$PATTERN(22), R22
	MOVD	$PATTERN(23), R23
	MOVD	$PATTERN(24), R24
	MOVD	$PATTERN(27), R27
	// Two, so that one of the three may be wrong.
	MOVD	RSP, R25
	MOVD	RSP, R26
	MOVD	RSP, R29
	FMOVD	R19, F8
	FMOVD	R19, F9
	FMOVD	R19, F10
	FMOVD	R19, F11
	FMOVD	R19, F12
	FMOVD	R19, F13
	FMOVD	R19, F14
	FMOVD	R19, F15
	CALL	(R9)
	MOVD	ZR, R9
	MOVD	RSP, R10
	CMP	R25, R26
	BNE	oneOfTwo
	KEPT(12, R10, R25)
	MOVD	R25, RSP
oneOfTwo:
	MOVD	RSP, R10
	KEPT(7, R25, R10)
	KEPT(8, R26, R10)
	KEPT(11, R29, R10)
	MOVD	168(RSP), R10
	KEPT(0, R18_PLATFORM, R10)
	MOVD	$PATTERN(19), R10
	KEPT(1, R19, R10)
	FMOVD	F8, R12
	KEPT(14, R12, R10)
	FMOVD	F9, R12
	KEPT(15, R12, R10)
	FMOVD	F10, R12
	KEPT(16, R12, R10)
	FMOVD	F11, R12
	KEPT(17, R12, R10)
	FMOVD	F12, R12
	KEPT(18, R12, R10)
	FMOVD	F13, R12
	KEPT(19, R12, R10)
	FMOVD	F14, R12
	KEPT(20, R12, R10)
	FMOVD	F15, R12
	KEPT(21, R12, R10)
	MOVD	$PATTERN(20), R10
	KEPT(2, R20, R10)
	MOVD	$PATTERN(21), R10
	KEPT(3, R21, R10)
	MOVD	$PATTERN(22), R10
	KEPT(4, R22, R10)
	MOVD	$PATTERN(23), R10
	KEPT(5, R23, R10)
	MOVD	$PATTERN(24), R10
	KEPT(6, R24, R10)
	MOVD	$PATTERN(27), R10
	KEPT(9, R27, R10)
	MOVD	88(RSP), R10
	KEPT(10, g, R10)
	MOVD	184(RSP), R10
	MOVD	FPCR, R12
	KEPT(13, R12, R10)
	MOVD	176(RSP), R10
	MOVD	R10, FPCR
	MOVD	160(RSP), R10
	MOVD	R0, frame_result(R10)
	MOVD	R9, frame_changed(R10)
	MOVD	168(RSP), R18_PLATFORM
	LDP	0(RSP), (R29, R30)
	LDP	16(RSP), (R19, R20)
	LDP	32(RSP), (R21, R22)
	LDP	48(RSP), (R23, R24)
	LDP	64(RSP), (R25, R26)
	LDP	80(RSP), (R27, g)
	FLDPD	96(RSP), (F8, F9)
	FLDPD	112(RSP), (F10, F11)
	FLDPD	128(RSP), (F12, F13)
	FLDPD	144(RSP), (F14, F15)
	ADD	$208, RSP
	RET

// For this package's own test: a C function that adds up its arguments, and one that
// changes what its argument says.

TEXT sum<>(SB),NOSPLIT|NOFRAME,$0-0
	ADD	R1, R0
	ADD	R2, R0
	ADD	R3, R0
	ADD	R4, R0
	ADD	R5, R0
	RET

#define CHANGE(i, register) \
	CMP	$i, R0; \
	BNE	2(PC); \
	ADD	$16, register
#define CHANGEF(i, register) \
	CMP	$i, R0; \
	BNE	2(PC); \
	FMOVD	ZR, register

TEXT changes<>(SB),NOSPLIT|NOFRAME,$0-0
	CHANGE(0, R18_PLATFORM)
	CHANGE(1, R19)
	CHANGE(2, R20)
	CHANGE(3, R21)
	CHANGE(4, R22)
	CHANGE(5, R23)
	CHANGE(6, R24)
	CHANGE(7, R25)
	CHANGE(8, R26)
	CHANGE(9, R27)
	CHANGE(10, g)
	CHANGE(11, R29)
	CHANGE(12, RSP)
	CMP	$13, R0
	BNE	2(PC)
	MOVD	ZR, FPCR
	CHANGEF(14, F8)
	CHANGEF(15, F9)
	CHANGEF(16, F10)
	CHANGEF(17, F11)
	CHANGEF(18, F12)
	CHANGEF(19, F13)
	CHANGEF(20, F14)
	CHANGEF(21, F15)
	RET

TEXT ·checkedEntry(SB),NOSPLIT,$0-8
	MOVD	$·checked(SB), R0
	MOVD	R0, ret+0(FP)
	RET

TEXT ·sumEntry(SB),NOSPLIT,$0-8
	MOVD	$sum<>(SB), R0
	MOVD	R0, ret+0(FP)
	RET

TEXT ·changesEntry(SB),NOSPLIT,$0-8
	MOVD	$changes<>(SB), R0
	MOVD	R0, ret+0(FP)
	RET

// func call(f *frame)
TEXT ·call(SB),0,$65536-8
	NO_LOCAL_POINTERS
	MOVD	f+0(FP), R0
	CALL	·checked(SB)
	RET
