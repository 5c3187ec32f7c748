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

# Console input once the kernel waits for it.
type_hello() {
	tries=0
	until grep -q 'type a line' "$out" || [ $tries -gt 300 ]; do
		sleep 0.2
		tries=$((tries + 1))
	done
	echo hello
}

# A 64-bit kernel; CPU is one that has what it needs; ACROSS, FAR: GiB, hexadecimal, that the direct map may move by.
run_64() {
	k=$1 cpu=$2 across=$3 far=$4
	run '32 MiB' 1 '^0 failures' $k -cpu $cpu -m 32M </dev/null
	grep -q report "$report" || { echo "FAIL $k: report channel"; failed=1; }
	run '8 GiB' 1 '^0 failures' $k -cpu $cpu -m 8G -append 'a=b' -initrd "$0" </dev/null
	run '64 GiB' 1 '^0 failures' $k -cpu $cpu -m 64G -object memory-backend-ram,id=ram,size=64G,reserve=off \
		-machine memory-backend=ram -initrd "$0" </dev/null
	# Direct maps that move: over themselves, across tables, to the last GiB of a table, as far as they may, and too far.
	run '64 GiB, large leaves, moved by 1 GiB' 1 '^0 failures' $k -cpu $cpu,+pdpe1gb -m 64G -append direct=1 \
		-object memory-backend-ram,id=ram,size=64G,reserve=off -machine memory-backend=ram </dev/null
	run '64 GiB, across tables' 1 '^0 failures' $k -cpu $cpu -m 64G -append "direct=$across" \
		-object memory-backend-ram,id=ram,size=64G,reserve=off -machine memory-backend=ram </dev/null
	run 'moved to the end of a table' 1 '^0 failures' $k -cpu $cpu -m 3G -append direct=1ff </dev/null
	run 'moved far' 1 '^0 failures' $k -cpu $cpu -m 32M -append "direct=$far" </dev/null
	run 'moved too far' 127 'cannot move' $k -cpu $cpu -m 32M -append "direct=${far}0" </dev/null
	run 'instruction count' 1 '^0 failures' $k -cpu $cpu -m 64M -icount shift=0,align=off,sleep=off </dev/null
	run 'every feature' 1 '^0 failures' $k -cpu max -m 64M </dev/null
	run 'no features' 1 '^0 failures' $k -cpu $cpu,-nx,-pdpe1gb,-smep,-smap,-umip,-pge -m 64M </dev/null
	run 'q35' 1 '^0 failures' $k -M q35 -cpu $cpu -m 64M </dev/null
	: >"$out"
	type_hello | run 'console input' 1 '^hello' $k -cpu $cpu -m 64M -append echo || failed=1
	run 'double fault' 127 'double fault' $k -cpu $cpu -m 64M -append doublefault </dev/null
	run 'early trap' 127 'trap 6 ' $k -cpu $cpu -m 64M -append trap </dev/null
	run '32-bit processor' 127 'has no long mode' $k -cpu qemu32 -m 64M </dev/null
	# The multiboot header stands first in the image; without it, QEMU takes the other way in.
	mkdir -p "$dir/$k-pvh" && cp "$dir/$k/x86-selftest.elf" "$dir/$k-pvh/" &&
		dd if=/dev/zero of="$dir/$k-pvh/x86-selftest.elf" bs=1 seek=4096 count=4 conv=notrunc status=none
	run 'started by PVH' 1 '^0 failures' $k-pvh -cpu $cpu -m 5G -append 'a=b' -initrd "$0" </dev/null
	grep -q 'cmdline "a=b"' "$out" || { echo "FAIL $k: command line from PVH"; failed=1; }
	rm -r "$dir/$k-pvh"
}

run_64 x86_64 qemu64 3f0 de00
run_64 x86_64-la57 max 3fff0 1bc0000
run '4 levels only' 127 'no LA57' x86_64-la57 -cpu qemu64 -m 64M </dev/null

for k in i386 i386-pae; do
	run '16 MiB' 1 '^0 failures' $k -cpu qemu64 -m 16M </dev/null
	grep -q report "$report" || { echo "FAIL $k: report channel"; failed=1; }
	run '8 GiB' 1 '^0 failures' $k -cpu qemu64 -m 8G -append 'a=b' -initrd "$0" </dev/null
	run 'instruction count' 1 '^0 failures' $k -cpu qemu64 -m 64M -icount shift=0,align=off,sleep=off </dev/null
	run 'every feature' 1 '^0 failures' $k -cpu max -m 64M </dev/null
	run 'q35' 1 '^0 failures' $k -M q35 -m 64M </dev/null
	: >"$out"
	type_hello | run 'console input' 1 '^hello' $k -m 64M -append echo || failed=1
	run 'double fault' 127 'double fault' $k -m 64M -append doublefault </dev/null
	run 'early trap' 127 'trap 6 ' $k -m 64M -append trap </dev/null
done
exit $failed
