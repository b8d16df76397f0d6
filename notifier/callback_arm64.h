// What callback_*_arm64.s share. The layout of a block comes from the Go struct, by
// go_asm.h; the codes and the names of the steps are those of notifier.h.

#define NOTIFIER_OK 0
#define NOTIFIER_COALESCED 1
#define NOTIFIER_CLOSED -1
#define NOTIFIER_INVALID -2
#define NOTIFIER_FAILED -3

// BTI c. An address that is called through a pointer begins with this, or the call
// fails where branch targets are checked (Arm ARM, D8.4). Elsewhere it is a no-op.
#define BTI WORD $0xd503245f

// The C functions that are handed out: each loads the handle into R0, says what the
// result is, and goes on to notifySteps. They are leaves without a frame.

// int notify(uint64_t handle)
TEXT cNotify<>(SB),NOSPLIT|NOFRAME,$0-0
	BTI
	MOVD	$-1, R14
	MOVD	$0, R15
	B	notifySteps<>(SB)

#define CALLBACK(handle, result) \
	PCALIGN	$32; \
	BTI; \
	MOVD	handle, R0; \
	MOVD	$0, R14; \
	MOVD	$result, R15; \
	B	notifySteps<>(SB)

// An argument's four: the handle itself, then what the argument points to; returning
// 0, then 1.
#define CALLBACKS(argument) \
	CALLBACK(argument, 0); \
	CALLBACK(argument, 1); \
	CALLBACK((argument), 0); \
	CALLBACK((argument), 1)

TEXT cCallbacks<>(SB),NOSPLIT|NOFRAME,$0-0
	CALLBACKS(R0)
	CALLBACKS(R1)
	CALLBACKS(R2)
	CALLBACKS(R3)
	CALLBACKS(R4)
	CALLBACKS(R5)

// For each slot of boundSlots three instructions: boundOffset in callback_arm64.go
// counts on that.
#define BOUND(slot) \
	BTI; \
	MOVD	$slot, R1; \
	B	boundSteps<>(SB)
#define BOUND4(s) BOUND(s); BOUND(s+1); BOUND(s+2); BOUND(s+3)
#define BOUND16(s) BOUND4(s); BOUND4(s+4); BOUND4(s+8); BOUND4(s+12)
#define BOUND64(s) BOUND16(s); BOUND16(s+16); BOUND16(s+32); BOUND16(s+48)

TEXT cBounds<>(SB),NOSPLIT|NOFRAME,$0-0
	BOUND64(0)
	BOUND64(64)
	BOUND64(128)
	BOUND64(192)

TEXT boundSteps<>(SB),NOSPLIT|NOFRAME,$0-0
	MOVD	$·boundSlots(SB), R2
	ADD	R1<<4, R2 // 16 bytes each
	MOVD	8(R2), R15
	MOVD	(R2), R0
	MOVD	$0, R14
	B	notifySteps<>(SB)

TEXT ·notifyEntry(SB),NOSPLIT,$0-8
	MOVD	$cNotify<>(SB), R0
	MOVD	R0, ret+0(FP)
	RET

TEXT ·callbackEntry(SB),NOSPLIT,$0-8
	MOVD	$cCallbacks<>(SB), R0
	MOVD	R0, ret+0(FP)
	RET

TEXT ·bindEntry(SB),NOSPLIT,$0-8
	MOVD	$cBounds<>(SB), R0
	MOVD	R0, ret+0(FP)
	RET
