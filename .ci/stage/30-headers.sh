#!/usr/bin/env bash
# notifier.h by every compiler that it promises to suit, and what C programs see of it: return codes, broken-off calls,
# cancelled threads, sanitizers, valgrind, the litmus test of its fence, the barriers in compiled code. And the Rust example.
set -euo pipefail
cd "$(dirname "$0")/../.."
# The compilers' own packages leave the C library out.
.ci/need gcc=gcc,libc6-dev g++=g++ objdump=binutils clang=clang \
  x86_64-w64-mingw32-gcc=gcc-mingw-w64-x86-64 x86_64-w64-mingw32-g++=g++-mingw-w64-x86-64 i686-w64-mingw32-gcc=gcc-mingw-w64-i686 \
  musl-gcc=musl-tools valgrind=valgrind rustc=rustc qemu-s390x-static=qemu-user-static \
  aarch64-linux-gnu-gcc=gcc-aarch64-linux-gnu /usr/aarch64-linux-gnu/include/stdio.h=libc6-dev-arm64-cross \
  arm-linux-gnueabihf-gcc=gcc-arm-linux-gnueabihf /usr/arm-linux-gnueabihf/include/stdio.h=libc6-dev-armhf-cross \
  s390x-linux-gnu-gcc=gcc-s390x-linux-gnu /usr/s390x-linux-gnu/include/stdio.h=libc6-dev-s390x-cross \
  '/usr/lib/debug/.build-id/*=libc6-dbg'
# clang has its sanitizers in a package of their own.
.ci/need "$(clang -print-resource-dir)/lib/linux/libclang_rt.tsan-x86_64.a=libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev"

WAKECHAN_REQUIRE=cc,c++,clang,mingw,i686-w64-mingw32-gcc,musl-gcc,valgrind,rustc,cgo,go,single-step,objdump
for processor in aarch64-linux-gnu arm-linux-gnueabihf s390x-linux-gnu; do
  WAKECHAN_REQUIRE+=,$processor-gcc,$processor-objdump,qemu-${processor%%-*}-static
done
export WAKECHAN_REQUIRE WAKECHAN_LITMUS=20
.ci/tally "notifier.h: C11 to C++20, gcc, clang, musl, mingw, cross, sanitizers" \
  go test -v -count=1 -timeout=20m -run '^Test(Header|Layout|ABI|API|Codes|BrokenOff|Cancelled|Sanitizers|Valgrind|Litmus|Barriers|Memory|ThreadsWrecked)' ./notifier
.ci/tally "ring.h: C11 to C++20, gcc, clang, musl, mingw, cross, sanitizers" \
  go test -v -count=1 -timeout=20m -run '^Test(Ring|Out)(Header|Layout|InC)' ./ring
.ci/tally "notifierh, Rust examples" go test -v -count=1 ./cmd/notifierh ./examples/rust ./examples/rustring
