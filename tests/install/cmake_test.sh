#!/bin/bash
# cmake_test.sh: a CMake project finds shoal by its package file, is told of a version it has not, and builds with it.
set -euo pipefail
tools/install/install --prefix "$TEST_TMPDIR/prefix"
mkdir "$TEST_TMPDIR/empty"
cd "$TEST_TMPDIR/empty"
cp "$TEST_TMPDIR/prefix/share/doc/shoal/examples/letters/letters.c" .
cp "$TEST_TMPDIR/prefix/share/doc/shoal/examples/queue_dynamic/queue_dynamic.c" .
cat >arena.c <<'END'
#include "core/arena.h"
int (*volatile create)(struct shoal_heap *, struct shoal_arena **) = shoal_arena_create;  // volatile: it is linked
int main(void) { return !create; }
END
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.13)
project(outside C)
set(CMAKE_C_EXTENSIONS ON)
add_compile_definitions(_GNU_SOURCE)
find_package(shoal ${WANTED} REQUIRED)
add_executable(letters letters.c)
target_link_libraries(letters shoal::shoal)
add_executable(dynamic queue_dynamic.c)
target_link_libraries(dynamic shoal::packed)
add_executable(static letters.c)
target_link_libraries(static shoal::shoal -static)
add_executable(arena arena.c)
target_link_libraries(arena shoal::arena)
END
cmake -S . -B build -DCMAKE_PREFIX_PATH="$TEST_TMPDIR/prefix" -DWANTED=0.1 >log || { cat log; exit 1; }
cmake --build build >log || { cat log; exit 1; }
[[ $(build/letters) == $'A\nB\nC\nD\nE\n'* ]]
[[ $(build/static) == $'A\nB\nC\nD\nE\n'* ]]
if ldd build/static 2>/dev/null; then exit 1; fi
build/dynamic
build/arena
if cmake -S . -B other -DCMAKE_PREFIX_PATH="$TEST_TMPDIR/prefix" -DWANTED=99 >log 2>&1; then exit 1; fi
grep -q 'version: 0' log
