#!/bin/sh
# SPDX-License-Identifier: MIT
# Control groups: tests/user/cgroups.c, whose expectations are Linux's, with one and with four processors; what the log says of
# a group's end; that all is whole afterwards.
# Prints "N passed, N failed".
cd "$(dirname "$0")/../.." || exit 1
. tests/boot/common.inc

groups() { # MACHINE CPUS PROGRAM [OPTION...]
	machine=$1 cpus=$2 program=$3
	shift 3
	what="$machine, $cpus processors, $program $*"
	guest "$@" --verbose --machine "$machine" --cpus "$cpus" --ram 128M --report "$dir/report.json" "$program/cgroups" </dev/null
	ends 0 "$what"
	output "$what" '^[12][0-9][0-9] passed, 0 failed$'
	true_of 'd["audit"]["violations"] == 0' "$what: audit"
}

groups i386-pae 1 build/user
message "whose limit" 'out of memory in group /m/a$'
message "the limit" 'out of memory: memory: usage 12[0-9]* KiB, limit 12288; swap: usage 0 KiB, limit 0$'
message "why nothing can go" 'out of memory: there is no swap'
message "who" 'killed process .* (cgroups), which held most, when process .* (cgroups) needed a page at '
message "who, of all" 'killed process .* (cgroups), as all of group /o end together$'
message "a call" 'killed process .* (cgroups), which held most, when process .* (cgroups) needed a page of a file$'
groups x86_64 4 build/user64
groups x86_64 1 build/user
groups i386 1 build/user
# with swap: also protection of one of two below a limit, memory.reclaim, memory.swap.max
groups i386-pae 1 build/user --swap 64M
groups x86_64 2 build/user64 --swap 64M
true_of 'd["memory"]["swapped_out"] > 4000' "pages went to swap"

# one program with a limit of its own
run='for i in 1 2 3; do dd if=/dev/zero of=/f$i bs=100000 count=30 2>/dev/null; done'
guest --verbose --memory-max 6M busybox sh -c "cat /proc/self/cgroup; cat /sys/fs/cgroup/run/memory.max
	dd if=/dev/zero of=/f bs=8M count=1" </dev/null
ends 137 "--memory-max"
output "--memory-max: its group" '^0::/run$'
output "--memory-max: its limit" '^6291456$'
message "--memory-max: why" 'out of memory in group /run$'
guest --memory-max 6M --swap 32M busybox sh -c "$run; cat /f? | wc -c; cat /sys/fs/cgroup/run/memory.swap.current" </dev/null
ends 0 "--memory-max, with swap"
output "--memory-max, with swap: the files are whole" '^9000000$'
output "--memory-max, with swap: some went there" '^[1-9][0-9]\{5,\}$'
# small files that are written one after the other, in less than they take: what is read back is less than twice what they are
guest --memory-max 1M --swap 32M busybox sh -c 'i=0; while [ $i -lt 400 ]; do echo "line $i of a small file" >/s$i; i=$((i+1)); done
	cat /s[0-9]* | wc -l; [ $(sed -n "s/^pswpin //p" /proc/vmstat) -lt 800 ] && echo few; cat /sys/fs/cgroup/run/memory.events' </dev/null
output "small files" '^400$'
output "small files: little comes back" '^few$'
output "small files: the limit" '^max [1-9]'
guest --memory-high 8M --memory-max 64M busybox cat /sys/fs/cgroup/run/memory.high </dev/null
output "--memory-high" '^8388608$'
for bad in 3 12X -1 63K; do
	guest --memory-max=$bad busybox true </dev/null
	ends 2 "--memory-max=$bad"
	message "--memory-max=$bad" "^kmm run: --memory-max $bad: "
done
guest --memory-max 64K busybox echo $(seq 20000) </dev/null
ends 3 "a program that does not fit"
message "a program that does not fit" 'the program does not fit into memory'

sum
