#!/bin/sh
# SPDX-License-Identifier: MIT
# The program of `make bench-linux` on every kernel: its figures are not looked at here, its checks must hold, which are
# those that Debian's Linux passes too. Prints "N passed, N failed".
cd "$(dirname "$0")/../.." || exit 1
. tests/boot/common.inc

check_on() { # MACHINE WIDTH
	guest --machine "$1" --ram 1G --icount build/bench/versus"$2" faults calls forks areas </dev/null
	ends 0 "$1, the $2-bit program"
	output "$1, the $2-bit program: as many checks as there should be" '^checks:.1[0-9][0-9].0$'
	if grep -q 'FAILED' "$dir/out"; then bad "$1: $(grep -m 1 FAILED "$dir/out")"; else ok; fi
}

make -s build/bench/versus32 build/bench/versus64 || exit 1
check_on i386 32
check_on i386-pae 32
check_on x86_64 64
check_on x86_64-la57 64
check_on x86_64 32

sum
