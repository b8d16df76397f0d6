// What callback_*_amd64.s share. The layout of a block comes from the Go struct, by
// go_asm.h; the codes and the names of the steps are those of notifier.h.

#define NOTIFIER_OK 0
#define NOTIFIER_COALESCED 1
#define NOTIFIER_CLOSED -1
#define NOTIFIER_INVALID -2
#define NOTIFIER_FAILED -3

// An address that is called through a pointer begins with this, or the call fails
// where indirect branches are tracked (Intel SDM vol. 1, 17.3). Elsewhere it is a
// no-op.
#define ENDBR64 BYTE $0xf3; BYTE $0x0f; BYTE $0x1e; BYTE $0xfa

// The C functions that are handed out: each loads the handle into CX, says what the
// result is, and goes on to notifySteps. They are leaves without a frame.

// int notify(uint64_t handle)
TEXT cNotify<>(SB),NOSPLIT|NOFRAME,$0-0
	ENDBR64
	ARGUMENT0
	MOVL	$NOTIFIER_COALESCED, AX
	MOVL	$-1, R11
	JMP	notifySteps<>(SB)

#define CALLBACK(load, follow, result) \
	PCALIGN	$32; \
	ENDBR64; \
	load; \
	follow; \
	MOVL	$result, R11; \
	JMP	notifySteps<>(SB)

// An argument's four: the handle itself, then what the argument points to; returning
// 0, then 1.
#define NOTHING
#define FOLLOW MOVQ (CX), CX
#define CALLBACKS(load) \
	CALLBACK(load, NOTHING, 0); \
	CALLBACK(load, NOTHING, 1); \
	CALLBACK(load, FOLLOW, 0); \
	CALLBACK(load, FOLLOW, 1)

TEXT cCallbacks<>(SB),NOSPLIT|NOFRAME,$0-0
	CALLBACKS(ARGUMENT0)
	CALLBACKS(ARGUMENT1)
	CALLBACKS(ARGUMENT2)
	CALLBACKS(ARGUMENT3)
	CALLBACKS(ARGUMENT4)
	CALLBACKS(ARGUMENT5)

// For each slot of boundSlots 8 bytes: ENDBR64; MOVB $slot, AL; a short JMP. Sixteen of
// them, numbers 0 to 15, are followed by what they jump to. All bytes are written out,
// since boundOffset in callback_amd64.go counts on them.
#define BOUND(slot, number) \
	ENDBR64; \
	BYTE	$0xb0; \
	BYTE	$(slot); \
	BYTE	$0xeb; \
	BYTE	$((15-(number))*8)
#define BOUND4(s, n) BOUND(s, n); BOUND(s+1, n+1); BOUND(s+2, n+2); BOUND(s+3, n+3)
#define BOUND16(s) \
	BOUND4(s, 0); \
	BOUND4(s+4, 4); \
	BOUND4(s+8, 8); \
	BOUND4(s+12, 12); \
	JMP	boundSteps<>(SB); \
	PCALIGN	$8
#define BOUND64(s) BOUND16(s); BOUND16(s+16); BOUND16(s+32); BOUND16(s+48)

TEXT cBounds<>(SB),NOSPLIT|NOFRAME,$0-0
	BOUND64(0)
	BOUND64(64)
	BOUND64(128)
	BOUND64(192)

TEXT boundSteps<>(SB),NOSPLIT|NOFRAME,$0-0
	LEAQ	·boundSlots(SB), CX
	MOVBLZX	AL, AX
	SHLL	$4, AX // 16 bytes each
	MOVQ	8(CX)(AX*1), R11
	MOVQ	(CX)(AX*1), CX
	JMP	notifySteps<>(SB)

TEXT ·notifyEntry(SB),NOSPLIT,$0-8
	LEAQ	cNotify<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·callbackEntry(SB),NOSPLIT,$0-8
	LEAQ	cCallbacks<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·bindEntry(SB),NOSPLIT,$0-8
	LEAQ	cBounds<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
