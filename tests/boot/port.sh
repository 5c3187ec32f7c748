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

# corrupt MACHINE FOLDER LEVELS: a program that touches a page, or has the kernel do it, on the way to which an entry of
# any of these levels has a reserved bit, is killed, and nobody else (corrupt.c)
corrupt() {
	python3 - "build/$2/corrupt" >"$dir/initrd" <<'END'
import sys

def entry(name, mode, data=b""):
    head = [1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    raw = b"070701" + b"".join(b"%08x" % n for n in head) + name.encode() + b"\0"
    raw += b"\0" * (-len(raw) % 4) + data
    return raw + b"\0" * (-len(raw) % 4)

program = open(sys.argv[1], "rb").read()
sys.stdout.buffer.write(entry("bin", 0o40755) + entry("bin/corrupt", 0o100755, program) + entry("TRAILER!!!", 0))
END
	: >"$dir/out"
	timeout 120 qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none -accel tcg -cpu qemu64 -m 128M \
		-kernel "build/kernel-$1-debug.elf" -initrd "$dir/initrd" -append "run=/bin/corrupt report=1 broken=entry" \
		-chardev "file,id=log,path=$dir/err" -device isa-debugcon,iobase=0xe9,chardev=log \
		-serial "file:$dir/out" -serial "file:$dir/report" </dev/null
	output "$1: damaged entries" '^[1-9][0-9]* passed, 0 failed'
	for level in $3; do
		message "$1: damaged entries" "corrupt (process [0-9]*): corrupted page table at address [0-9a-f]*: level $level has [0-9a-f]\{16\}"
	done
	grep -q '"violations": *0' "$dir/report" && ok || bad "$1: damaged entries: audit"
}

make --no-print-directory -s build/user/corrupt build/user64/corrupt >"$dir/out" 2>"$dir/err" || bad "corrupt.c does not build"
corrupt i386-pae user "0 1"
corrupt x86_64 user64 "0 1 2 3"
for machine in i386-pae x86_64; do
	guard $machine nothing '' 'guard: [1-9][0-9]* leaves of the kernel.s tables have the rights they should'
	guard $machine rights 127 'panic: guard: a page is both written and executed'
	guard $machine locks 127 'panic: lock order: pipe taken while holding run queue'
done
sum
