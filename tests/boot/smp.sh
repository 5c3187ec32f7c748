#!/bin/sh
# SPDX-License-Identifier: MIT
# Machines with several processors: threads of one space, processes that map, fork, fault and end all at once for a time
# (stress.c), the scripts of programs.sh, and the audit at the end. SECONDS_EACH is the time of one stress run.
# Prints "N passed, N failed".
cd "$(dirname "$0")/../.." || exit 1
. tests/boot/common.inc
make --no-print-directory -s debug-kernels >"$dir/out" 2>"$dir/err" || bad "the debug kernels do not build"
seconds=${SECONDS_EACH:-8}

user() { case $1 in x86_64*) echo build/user64 ;; *) echo build/user ;; esac; }

clock= kernel=
# program MACHINE CPUS PROGRAM ARGUMENT...: it passes all its checks, and the machine is whole afterwards
program() {
	machine=$1 cpus=$2 program=$3
	shift 3
	timeout $((seconds + 300)) "$kmm" run $clock $kernel --timeout $((seconds + 240)) --machine "$machine" --cpus "$cpus" --ram 512M \
		--report "$dir/report.json" "$(user "$machine")/$program" "$@" </dev/null >"$dir/out" 2>"$dir/err"
	status=$?
	ends 0 "$machine, $cpus processors: $program"
	output "$machine, $cpus processors: $program" '^[1-9][0-9]* passed, 0 failed$'
	true_of 'd["audit"]["violations"] == 0' "$machine, $cpus processors: $program: audit"
	if [ "$program${SECONDS_EACH:+ long}" = 'stress long' ]; then # what a long run did, for docs/testing.md
		echo "$machine, $cpus processors${kernel:+, debug kernel}: $(grep -h -e steps -e passed "$dir/out" | tr '\n' ';')"
	fi
}

for machine in i386 i386-pae x86_64 x86_64-la57; do
	program $machine 4 threads
	clock=--icount # its timers must not depend on how busy this host is
	program $machine 4 signals
	clock=
	program $machine 4 vectors
	program $machine 4 shared
	guest --machine $machine --cpus 3 --ram 256M --report "$dir/report.json" --file tests/boot/programs.script:/script \
		busybox sh -c '. /script; grep -c ^processor /proc/cpuinfo >/dev/null; exit 42' </dev/null
	ends 42 "$machine, 3 processors: programs"
	same tests/boot/programs.expected "$machine, 3 processors: programs"
	true_of 'd["audit"]["violations"] == 0' "$machine, 3 processors: audit"
done
guest --cpus 8 busybox sh -c 'grep -c ^processor /proc/cpuinfo; grep -c "^cpu[0-7] " /proc/stat' </dev/null
[ "$(tr '\n' ' ' <"$dir/out")" = '8 8 ' ] && ok || bad "8 processors are counted"
# An idle processor keeps no free frames back: somebody may sleep for want of one.
guest --cpus 4 --ram 128M busybox sh -c 'for i in 1 2 3 4; do busybox sha1sum /bin/busybox >/dev/null & done; wait
	sleep 1; cat /proc/zoneinfo' </dev/null
awk '/^ *cpu: / { cpu = $2 } /^ *count: / { seen[cpu]; held[cpu] += $2 }
     END { for (c in seen) empty += !held[c]; exit !(empty >= 2) }' "$dir/out" && ok || bad "idle processors keep frames"
guest --cpus 9 busybox true </dev/null
ends 2 "9 processors"
guest --cpus 0 busybox true </dev/null
ends 2 "no processor"
for n in 1 2; do
	guest --icount --cpus 3 --machine x86_64 build/user64/threads </dev/null
	ends 0 "a counted run with 3 processors" # which stands still where turns are not given on
	cp "$dir/out" "$dir/counted.$n"
done
if cmp -s "$dir/counted.1" "$dir/counted.2"; then ok; else bad "two counted runs with 3 processors differ"; fi
for n in 2 4; do
	guest --icount --cpus $n --machine x86_64 build/user64/threads </dev/null
	ends 0 "a counted run with $n processors"
done
for machine in i386-pae x86_64; do # the order of locks is checked as each is taken
	kernel="--kernel build/kernel-$machine-debug.elf"
	for name in threads shared files crowd; do
		program $machine 4 $name
	done
	clock=--icount
	program $machine 4 signals
	clock=
	program $machine 4 stress "${SECONDS_EACH:-4}"
	kernel=
done
program i386-pae 8 threads
program x86_64 2 crowd
for machine in i386-pae x86_64; do # random system calls of many processes
	guest --machine $machine --cpus 4 --ram 256M --report "$dir/report.json" build/user/fuzz_calls_raw rounds=20 \
		"seed=${KMM_SEED:-1}" </dev/null
	ends 0 "$machine, 4 processors: random calls"
	output "$machine, 4 processors: random calls" '^20 rounds survived$'
	true_of 'd["audit"]["violations"] == 0' "$machine, 4 processors: random calls: audit"
done
for machine in i386-pae x86_64; do
	program $machine 4 stress "$seconds"
done
for machine in i386 x86_64-la57; do # what these have of their own is little: half a time is enough for make check
	program $machine 4 stress "${SECONDS_EACH:-4}"
done
# with a process for each processor, ends and forks happen more often
program x86_64 4 stress "$((seconds / 2))" 6

sum
