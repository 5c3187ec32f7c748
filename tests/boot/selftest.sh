#!/bin/sh
# SPDX-License-Identifier: MIT
# Tests inside a kernel (tests/bare): the unit tests that need no threads, in ring 0 on machines simulated within the booted
# one, and scenarios on the booted machine itself (live_), at several sizes of RAM. KMM_SEED is the seed of random tests.
# Tests reach for user memory as they like, so 5 levels come without SMAP.
# Prints "N passed, N failed".
cd "$(dirname "$0")/../.." || exit 1
. tests/boot/common.inc
skipped=0

make --no-print-directory test-kernels || exit 1

# count WORD: from the last line of the kernel's log
count() { awk -v word="$1" 'END { for (i = NF; i > 1; i--) if (index($i, word) == 1) n = $(i - 1); print n + 0 }' "$dir/out"; }

# boot MACHINE RAM LEAST WORD...: at least LEAST tests must pass, so that skipping cannot hide what does not work
boot() {
	machine=$1 ram=$2 least=$3
	shift 3
	: >"$dir/out"
	case $machine in *la57) cpu=max,-smap ;; *) cpu=qemu64 ;; esac
	timeout 600 qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none -accel tcg -cpu $cpu \
		-kernel "build/kernel-test-$machine.elf" -m "$ram" -append "$* seed=${KMM_SEED:-1}" \
		-chardev "file,id=log,path=$dir/out" -device isa-debugcon,iobase=0xe9,chardev=log \
		-device isa-debug-exit,iobase=0x501,iosize=2 -serial "file:$dir/err" </dev/null
	status=$?
	good=$(count passed) broken=$(count failed) omitted=$(count skipped)
	echo "$machine $ram $*: $good passed, $broken failed, $omitted skipped, status $status"
	passed=$((passed + good)) failed=$((failed + broken)) skipped=$((skipped + omitted))
	if [ "$status" != 1 ] || [ "$good" -lt "$least" ]; then
		[ "$broken" -gt 0 ] || failed=$((failed + 1))
		echo "FAIL $machine $ram: status $status, $least tests should pass"
		{ grep -A 4 '^FAIL' "$dir/out" || tail -n 5 "$dir/out"; cat "$dir/err"; } | head -n 40 | sed 's/^/  | /'
	fi
}

boot i386 2G 150
boot i386-pae 2G 160
boot x86_64 2G 250
boot x86_64-la57 2G 9 tests=la57,live_
for ram in 16M 1G 4G; do
	boot i386 $ram 6 tests=live_
	boot i386-pae $ram 6 tests=live_
done
boot i386-pae 16G 6 tests=live_
boot x86_64 64M 6 tests=live_
boot x86_64 16G 6 tests=live_

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
