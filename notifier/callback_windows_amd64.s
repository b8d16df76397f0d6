//go:build gc

#include "go_asm.h"
#include "textflag.h"

// Where the Win64 convention has the arguments of a C function. Above the return
// address are 32 bytes that belong to the callee.
#define ARGUMENT0
#define ARGUMENT1 MOVQ DX, CX
#define ARGUMENT2 MOVQ R8, CX
#define ARGUMENT3 MOVQ R9, CX
#define ARGUMENT4 MOVQ 40(SP), CX
#define ARGUMENT5 MOVQ 48(SP), CX

#define CHECK_PID // there is no fork

#include "callback_amd64.h"

// callback_linux_amd64.s for Windows. Beside what callback_steps_amd64.h names only the
// arithmetic flags change, and what PostQueuedCompletionStatus may change.
//
// notifySteps calls that function, so it needs a frame that the system can unwind.
// That is the assembler's: for a function with NOFRAME the linker writes no .pdata. The
// functions that jump to notifySteps are leaves, which need none. There is no red zone.

#define lastErrorAt 32(SP) // below it are the 32 bytes that the callee may use
#define asleepAt    36(SP)
#define codeAt      40(SP)
#define resultAt    44(SP) // R11
#define scratch     48(SP)
#define blockAt     56(SP)

#define TEB 0x30(GS)
#define LastErrorValue 0x68

TEXT notifySteps<>(SB),NOSPLIT,$64-0
#include "callback_steps_amd64.h"

	// 5a. The signal.
signal:
	MOVL	block_asleep(R8), CX
	TESTL	$1, CX
	JEQ	done // somebody else has signalled since
	MOVL	CX, asleepAt
	MOVL	AX, codeAt
	MOVL	R11, resultAt
	MOVQ	R8, blockAt
	MOVQ	TEB, DX
	MOVL	LastErrorValue(DX), CX
	MOVL	CX, lastErrorAt
	MOVL	block_kind(R8), DX
	CMPL	DX, $const_kindIOCP
	JNE	failed
	MOVLQSX	block_descriptor(R8), CX // a handle has 32 significant bits, sign-extended
	XORL	DX, DX
	XORL	R8, R8
	XORL	R9, R9
	LEAQ	·postAddress(SB), AX
	MOVQ	(AX), AX
	CALL	AX
	TESTL	AX, AX
	JEQ	failed
	// 5b. The even number.
	MOVQ	blockAt, R8
	MOVL	asleepAt, AX
	LEAL	1(AX), CX
	LOCK
	CMPXCHGL	CX, block_asleep(R8)
	MOVQ	TEB, DX
	MOVL	lastErrorAt, CX
	MOVL	CX, LastErrorValue(DX)
	MOVL	codeAt, AX
finish:
	MOVL	resultAt, R11
	JMP	done
failed:
	MOVL	$NOTIFIER_FAILED, AX
	JMP	finish
