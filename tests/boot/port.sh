#!/bin/sh
# SPDX-License-Identifier: MIT
# The x86 port alone (ports/x86/selftest): traps, system calls, frames that lie, SMEP, SMAP and UMIP tripped one by one, both
# ways to be started, 16 MiB to 64 GiB; and what the debug kernels check of themselves at boot, each check also with the
# fault that it must find. Prints "N passed, N failed".
cd "$(dirname "$0")/../.." || exit 1
. tests/boot/common.inc

make --no-print-directory -s -f ports/x86/selftest/selftest.mk x86-selftest >"$dir/selftest" 2>"$dir/err"
grep '^FAIL' "$dir/selftest"
passed=$((passed + $(grep -c '^ok' "$dir/selftest"))) failed=$((failed + $(grep -c '^FAIL' "$dir/selftest")))
[ "$passed" -ge 40 ] && ok || bad "the port's own tests: $passed passed"

make --no-print-directory -s debug-kernels >"$dir/out" 2>"$dir/err" || bad "the debug kernels do not build"

# guard MACHINE WORD STATUS PATTERN: the debug kernel ends with the status, and says so
guard() {
	: >"$dir/out"
	timeout 120 qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none -accel tcg -cpu qemu64 -m 128M \
		-kernel "build/kernel-$1-debug.elf" -append "broken=$2" -chardev "file,id=log,path=$dir/err" \
		-device isa-debugcon,iobase=0xe9,chardev=log -device isa-debug-exit,iobase=0x501,iosize=2 \
		-serial "file:$dir/out" </dev/null
	status=$?
	cat "$dir/err" >>"$dir/out"
	[ -z "$3" ] || ends "$3" "$1: broken=$2"
	output "$1: broken=$2" "$4"
}

for machine in i386-pae x86_64; do
	guard $machine nothing '' 'guard: [1-9][0-9]* leaves of the kernel.s tables have the rights they should'
	guard $machine rights 127 'panic: guard: a page is both written and executed'
	guard $machine locks 127 'panic: lock order: pipe taken while holding run queue'
done
sum
