//go:build gc && (linux || darwin)

#include "funcdata.h"
#include "textflag.h"

// func call(f *frame)
TEXT ·call(SB),0,$65536-8
	NO_LOCAL_POINTERS
	MOVQ	f+0(FP), DI
	CALL	·checked(SB)
	RET
