#!/bin/sh
# SPDX-License-Identifier: MIT
# Run the port's self-test kernels in QEMU:  run.sh DIR  (the build folder). Prints one line per run and
# exits 1 if any run did not end as expected; the console output of a failed run follows its line.
dir=${1:?usage: run.sh DIR}
failed=0
log=$(mktemp) && out=$(mktemp) && report=$(mktemp) || exit 1
trap 'rm -f "$log" "$out" "$report"' EXIT

# run NAME EXPECTED-STATUS EXPECTED-TEXT KERNEL ARGS...: console input comes from standard input.
run() {
	name=$1 status=$2 text=$3 kernel=$4
	shift 4
	: >"$report"
	timeout 120 qemu-system-x86_64 -kernel "$dir/$kernel/x86-selftest.elf" -display none -no-reboot -monitor none \
		-serial stdio -serial "file:$report" -device isa-debug-exit,iobase=0x501,iosize=2 "$@" >"$out" 2>"$log"
	got=$?
	if [ "$got" -eq "$status" ] && grep -q "$text" "$out"; then
		echo "ok   $kernel: $name"
		return 0
	fi
	echo "FAIL $kernel: $name (status $got, expected $status and \"$text\")"
	cat "$out" "$log"
	failed=1
	return 1
}

for kernel in i386 i386-pae; do
	run '16 MiB' 1 '^0 failures' $kernel -cpu qemu64 -m 16M </dev/null
	grep -q report "$report" || { echo "FAIL $kernel: report channel"; failed=1; }
	run '8 GiB' 1 '^0 failures' $kernel -cpu qemu64 -m 8G -append 'a=b' -initrd "$0" </dev/null
	run 'instruction count' 1 '^0 failures' $kernel -cpu qemu64 -m 64M -icount shift=0,align=off,sleep=off </dev/null
	run 'every feature' 1 '^0 failures' $kernel -cpu max -m 64M </dev/null
	run 'q35' 1 '^0 failures' $kernel -M q35 -m 64M </dev/null
	(sleep 2; echo hello) | run 'console input' 1 '^hello' $kernel -m 64M -append echo || failed=1
	run 'double fault' 127 'double fault' $kernel -m 64M -append doublefault </dev/null
	run 'early trap' 127 'trap 6 ' $kernel -m 64M -append trap </dev/null
done
exit $failed
