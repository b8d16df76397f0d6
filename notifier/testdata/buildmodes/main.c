/* Loads the shared library that is its argument, and calls its WakechanCheck. */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv) {
  void *library = dlopen(argv[argc - 1], RTLD_NOW);
  int (*check)(void), code;
  if (!library || !(check = (int (*)(void))dlsym(library, "WakechanCheck"))) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  code = check();
  if (code) fprintf(stderr, "WakechanCheck: %d\n", code);
  return code != 0;
}
