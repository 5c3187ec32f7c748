#!/bin/sh
# SPDX-License-Identifier: MIT
# Tests inside a kernel (tests/bare): the unit tests that need no threads, in ring 0 on machines simulated within the booted
# one, and scenarios on the booted machine itself (live_), at several sizes of RAM. KMM_SEED is the seed of random tests, to
# which each boot adds its number. Where the scenarios run alone, 64-bit kernels have their own places by that seed as well.
# Tests reach for user memory as they like, so 5 levels come without SMAP. Machines run JOBS at a time (default: one for
# each processor). Prints "N passed, N failed".
cd "$(dirname "$0")/../.." || exit 1
. tests/boot/common.inc
skipped=0
jobs=${JOBS:-$(nproc)}

make --no-print-directory test-kernels || exit 1

# The longest first. RAM of the first three: what the largest machine simulated in them needs, as each test ends with an
# audit of all of it; the scenarios see the other sizes. LEAST tests must pass, so that skipping cannot hide what does not work.
cat >"$dir/boots" <<END
i386-pae 768M 160
x86_64 768M 250
i386 768M 150
i386-pae 16G 6 tests=live_
x86_64 16G 6 tests=live_ kaslr
i386-pae 4G 6 tests=live_
i386 4G 6 tests=live_
x86_64-la57 1G 9 tests=la57,live_ kaslr
i386-pae 1G 6 tests=live_
i386 1G 6 tests=live_
x86_64 64M 6 tests=live_ kaslr
i386-pae 16M 6 tests=live_
i386 16M 6 tests=live_
END

# boot NUMBER MACHINE RAM LEAST WORD...: the log in $dir/log.NUMBER, what else was said in $dir/err.NUMBER, QEMU's status
boot() {
	n=$1 machine=$2 ram=$3 seed=$((${KMM_SEED:-1} + $1 - 1))
	shift 4
	case $machine in *la57) cpu=max,-smap ;; *) cpu=qemu64 ;; esac
	: >"$dir/log.$n"
	timeout 900 qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none -accel tcg -cpu $cpu \
		-kernel "build/kernel-test-$machine.elf" -m "$ram" -append "$(echo "$* " | sed "s/kaslr /kaslr=$seed /")seed=$seed" \
		-chardev "file,id=log,path=$dir/log.$n" -device isa-debugcon,iobase=0xe9,chardev=log \
		-device isa-debug-exit,iobase=0x501,iosize=2 -serial "file:$dir/err.$n" </dev/null
	echo $? >"$dir/status.$n"
}

# lane: boots what no lane has taken yet; a folder can be made once
lane() {
	n=0
	while read -r line; do
		n=$((n + 1))
		mkdir "$dir/taken.$n" 2>/dev/null || continue
		# shellcheck disable=SC2086
		(boot $n $line)
	done <"$dir/boots"
}

# count WORD FILE: from the last line of a kernel's log
count() { awk -v word="$1" 'END { for (i = NF; i > 1; i--) if (index($i, word) == 1) n = $(i - 1); print n + 0 }' "$2"; }

# judge NUMBER MACHINE RAM LEAST WORD...
judge() {
	log=$dir/log.$1 err=$dir/err.$1 status=$(cat "$dir/status.$1") machine=$2 ram=$3 least=$4
	shift 4
	good=$(count passed "$log") broken=$(count failed "$log") omitted=$(count skipped "$log")
	echo "$machine $ram $*: $good passed, $broken failed, $omitted skipped, status $status"
	passed=$((passed + good)) failed=$((failed + broken)) skipped=$((skipped + omitted))
	if [ "$status" != 1 ] || [ "$good" -lt "$least" ]; then
		[ "$broken" -gt 0 ] || failed=$((failed + 1))
		echo "FAIL $machine $ram: status $status, $least tests should pass"
		{ grep -A 4 '^FAIL' "$log" || tail -n 5 "$log"; cat "$err"; } | head -n 40 | sed 's/^/  | /'
	fi
}

lanes=0
while [ $lanes -lt "$jobs" ]; do
	lane &
	lanes=$((lanes + 1))
done
wait
n=0
while read -r line; do
	n=$((n + 1))
	# shellcheck disable=SC2086
	judge $n $line
done <"$dir/boots"

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
