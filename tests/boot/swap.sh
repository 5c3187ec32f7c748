#!/bin/sh
# SPDX-License-Identifier: MIT
# Programs bigger than memory on a swap disk: contents are right, and the machine is whole afterwards, with one and with four
# processors, on a disk and (counted) in memory; swapon, swapoff, mkswap and the reports.
# Prints "N passed, N failed".
cd "$(dirname "$0")/../.." || exit 1
. tests/boot/common.inc

user() { case $1 in x86_64*) echo build/user64 ;; *) echo build/user ;; esac; }

# bigger MACHINE CPUS RAM SWAP ARGUMENT...
bigger() {
	machine=$1 cpus=$2 ram=$3 swap=$4
	shift 4
	guest --machine "$machine" --cpus "$cpus" --ram "$ram" --swap "$swap" --report "$dir/report.json" \
		"$(user "$machine")/bigger" "$@" </dev/null
	ends 0 "$machine, $cpus processors: bigger $*"
	output "$machine, $cpus processors: bigger" '^[1-9][0-9]* passed, 0 failed$'
	true_of 'd["audit"]["violations"] == 0' "$machine, $cpus processors: audit"
	true_of 'd["memory"]["swapped_out"] > 2000' "$machine, $cpus processors: pages went out"
}

for machine in i386-pae x86_64; do
	bigger $machine 1 32M 128M 64
	bigger $machine 4 32M 128M 64 4
done
bigger i386 1 16M 64M 32
bigger x86_64-la57 2 32M 128M 48 2
for n in 1 2; do
	guest --machine x86_64 --ram 32M --swap 96M --icount "build/user64/bigger" 40 1 1 </dev/null
	cp "$dir/out" "$dir/counted.$n"
	ends 1 "counted" # swapoff /dev/ram0 at the end leaves one name that is not there
done
if cmp -s "$dir/counted.1" "$dir/counted.2"; then ok; else bad "two counted runs differ"; fi
guest --ram 64M --swap 64M busybox sh -c 'cat /proc/swaps; swapoff /dev/vda; mkswap /dev/vda; swapon -p 7 /dev/vda; cat /proc/swaps; free | grep Swap' </dev/null
output "swaps" '^/dev/vda  *partition	65532		0		-2$'
output "priority" '^/dev/vda  *partition	65532		0		7$'
output "free" '^Swap: *65532 *0 *65532$'
guest --ram 64M --swap 1K busybox true </dev/null
ends 3 "a swap disk that is too small"
sum
