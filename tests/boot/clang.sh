#!/bin/sh
# SPDX-License-Identifier: MIT
# The kernels built by clang do what those built by gcc do: busybox's script, threads on several processors, and the
# benchmark's checks of contents and accounting; the audit at the end must find nothing. Prints "N passed, N failed".
cd "$(dirname "$0")/../.." || exit 1
. tests/boot/common.inc

make -s build/kernel-clang-i386-pae.elf build/kernel-clang-x86_64.elf user build/bench/versus32 build/bench/versus64 || exit 1

# on MACHINE USER-FOLDER VERSUS
on() {
	kernel=build/kernel-clang-$1.elf
	guest --machine "$1" --kernel "$kernel" --report "$dir/report.json" --file tests/boot/programs.script:/script \
		build/debian-i386/bin/busybox sh /script </dev/null
	ends 42 "$1: busybox"
	same tests/boot/programs.expected "$1: busybox"
	true_of 'd["audit"]["violations"] == 0' "$1: audit after busybox"
	guest --machine "$1" --kernel "$kernel" --cpus 4 --report "$dir/report.json" "build/$2/threads" </dev/null
	ends 0 "$1: threads"
	true_of 'd["audit"]["violations"] == 0' "$1: audit after threads"
	guest --machine "$1" --kernel "$kernel" --ram 1G "build/bench/$3" faults calls forks areas </dev/null
	ends 0 "$1: checks of the benchmark"
	output "$1: as many checks as there should be" '^checks:.1[0-9][0-9].0$'
}

on i386-pae user versus32
on x86_64 user64 versus64

sum
