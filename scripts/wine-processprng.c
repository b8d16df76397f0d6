/* bcryptprimitives.dll for Wine before 8.16, which has none: Go's runtime gets its random numbers from ProcessPrng
 * ("ProcessPrng function", learn.microsoft.com). scripts/wine-exec compiles it into the prefix. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG size); /* RtlGenRandom */

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE p, SIZE_T n) {
  while (n) {
    ULONG some = n > 0x10000000 ? 0x10000000 : (ULONG)n;
    if (!SystemFunction036(p, some)) return FALSE;
    p += some;
    n -= some;
  }
  return TRUE;
}

BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, LPVOID reserved) {
  (void)instance, (void)reason, (void)reserved;
  return TRUE;
}
