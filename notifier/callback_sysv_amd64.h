// Where the System V ABI has the arguments of a C function.

#define ARGUMENT0 MOVQ DI, CX
#define ARGUMENT1 MOVQ SI, CX
#define ARGUMENT2 MOVQ DX, CX
#define ARGUMENT3
#define ARGUMENT4 MOVQ R8, CX
#define ARGUMENT5 MOVQ R9, CX

#define CHECK_PID \
	CMPL	block_pid(R8), $0; \
	JNE	checkPID
