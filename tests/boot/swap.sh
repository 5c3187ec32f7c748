#!/bin/sh
# SPDX-License-Identifier: MIT
# Programs bigger than memory on a swap disk: contents are right, and the machine is whole afterwards, with one and with four
# processors, on a disk and (counted) in memory; swapon, swapoff, mkswap and the reports.
# Prints "N passed, N failed".
cd "$(dirname "$0")/../.." || exit 1
. tests/boot/common.inc
. tests/boot/swapload.inc

user() { case $1 in x86_64*) echo build/user64 ;; *) echo build/user ;; esac; }

# bigger MACHINE CPUS RAM SWAP ARGUMENT...
bigger() {
	machine=$1 cpus=$2 ram=$3 swap=$4
	shift 4
	guest $clock --machine "$machine" --cpus "$cpus" --ram "$ram" --swap "$swap" --report "$dir/report.json" \
		"$(user "$machine")/bigger" "$@" </dev/null
	ends 0 "$machine, $cpus processors: bigger $*"
	output "$machine, $cpus processors: bigger" '^[1-9][0-9]* passed, 0 failed$'
	true_of 'd["audit"]["violations"] == 0' "$machine, $cpus processors: audit"
	true_of 'd["memory"]["swapped_out"] > '$least "$machine, $cpus processors: pages went out"
	true_of 'd["memory"]["disk_begun"] > '$begun "$machine, $cpus processors: transfers end by themselves"
	true_of 'd["memory"]["stolen_step"] > 0' "$machine, $cpus processors: the kernel's thread reclaims"
}

# a real disk: on a busy host each transfer takes long, so these are small
clock= least=300 begun=20
bigger i386-pae 1 32M 64M 30 1 1
bigger x86_64 1 32M 64M 28 1 1
bigger x86_64-la57 2 32M 64M 60 2 1 # each alone is more than fits
# in memory, instruction by instruction: three times what there is
clock=--icount least=2000 begun=-1
bigger i386 1 16M 64M 32
for machine in i386-pae x86_64; do
	bigger $machine 1 32M 128M 80
	bigger $machine 4 32M 128M 64 4
done
for n in 1 2; do
	guest --icount --machine x86_64 --ram 32M --swap 96M --report "$dir/report.json" build/user64/bigger 40 1 1 </dev/null
	cp "$dir/report.json" "$dir/counted.$n"
done
if cmp -s "$dir/counted.1" "$dir/counted.2"; then ok; else bad "two counted runs differ"; fi
guest --machine x86_64 --ram 64M --swap 64M --file build/user64/bigger:/bigger busybox sh -c 'cat /proc/swaps; swapoff /dev/vda
	swapon /dev/vda; swapon /dev/vda 2>/dev/null; echo "in use $?"; /bigger 80 1 1 | tail -n 1; swapon /dev/vda
	dd if=/dev/zero of=/dev/vda bs=4096 count=1 2>/dev/null; swapoff /dev/vda; swapon /dev/vda; echo refused $?
	mkswap /dev/vda >/dev/null; swapon /dev/vda; free | grep Swap' </dev/null
output "swaps" '^/dev/vda  *partition	65532		0		-2$'
output "a disk in use" '^in use 1$'
output "and after that" '^[0-9]* passed, 0 failed$'
output "a disk without the signature" '^refused 1$'
output "free" '^Swap: *65532 *0 *65532$'
# dead slots are told to the disk, of which the host has the place again; without being asked for that nothing is
for how in "" -dpages -donce -d; do
	head -c 67108864 /dev/zero | tr '\0' x >"$dir/disk"
	guest --machine x86_64 --ram 32M --disk "$dir/disk" --report "$dir/report.json" --file build/user64/bigger:/bigger busybox sh -c \
		"mkswap /dev/vda >/dev/null; swapon $how /dev/vda || exit 9; /bigger 32 1 1 | tail -n 1" </dev/null
	ends 0 "discards '$how'"
	output "discards '$how'" '^[1-9][0-9]* passed, 0 failed$'
	case $how in '') is='== 0' ;; -donce) is='== 16383' ;; *) is='> 64' ;; esac
	true_of "d['memory']['disk_discarded'] $is" "discards '$how': pages"
	true_of 'd["audit"]["violations"] == 0' "discards '$how': audit"
done
head -c 67108864 /dev/zero | tr '\0' x >"$dir/disk"
before=$(stat -c %b "$dir/disk")
guest --ram 32M --disk "$dir/disk" busybox sh -c 'mkswap /dev/vda >/dev/null; swapon -donce /dev/vda' </dev/null
after=$(stat -c %b "$dir/disk")
if [ $((after * 100)) -lt "$before" ]; then ok; else bad "discards: the file has $after of $before blocks"; fi
# the same in memory, compressed: nothing needs the disk; and of a small pool the oldest go on to it
for cpus in 1 4; do
	guest --icount --machine x86_64 --cpus $cpus --ram 32M --swap 96M --zswap=40 --policy gen --report "$dir/report.json" \
		build/user64/bigger 64 $cpus 1 </dev/null
	ends 0 "compressed, $cpus processors"
	true_of 'd["memory"]["swapped_out"] == 0' "compressed, $cpus processors: nothing went to the disk"
	true_of 'd["audit"]["violations"] == 0' "compressed, $cpus processors: audit"
done
guest --icount --machine i386-pae --ram 32M --swap 96M --zswap=2 --report "$dir/report.json" build/user/bigger 64 1 1 </dev/null
ends 0 "a small pool"
true_of 'd["memory"]["swapped_out"] > 0' "a small pool: the disk was used"
true_of 'd["audit"]["violations"] == 0' "a small pool: audit"
guest --icount --machine x86_64 --ram 32M --swap 96M --file build/user64/bigger:/bigger busybox sh -c \
	'/bigger 40 1 1 >/dev/null; cat /proc/pressure/memory; grep -E "^(zsw|pgmajfault)" /proc/vmstat; grep Zswap /proc/meminfo' </dev/null
output "waits" '^some avg10=[0-9.]* avg60=[0-9.]* avg300=[0-9.]* total=[1-9][0-9]*$'
output "waits of all" '^full avg10=[0-9.]* avg60=[0-9.]* avg300=[0-9.]* total=[1-9][0-9]*$'
# a file in memory larger than memory, which goes out too
seq 1 6000000 | head -c 41943040 | sha1sum >"$dir/sum"
guest --icount --ram 32M --swap 96M busybox sh -c 'seq 1 6000000 | dd of=/big bs=1M count=40 iflag=fullblock 2>/dev/null
	sha1sum </big' </dev/null
same "$dir/sum" "a file larger than memory"
# memory for a program that fits, but is more than may be promised: it is told so by a call, or it has it
for answer in enomem:1 swap:0; do
	guest --icount --machine x86_64 --ram 32M --when-full ${answer%:*} busybox sh -c \
		'cat /proc/sys/vm/when_full; dd if=/dev/zero of=/dev/null bs=14M count=1 2>/dev/null; echo dd $?' </dev/null
	output "the answer is shown" "^${answer%:*}\$"
	output "the answer ${answer%:*} is given" "^dd ${answer#*:}\$"
done
guest --ram 64M --zswap busybox true </dev/null
ends 2 "compressed swap without swap"
# memory and swap end for two that do not fit together: who holds more is ended, and the log says why
guest --verbose --machine x86_64 --ram 32M --swap 4M --icount --report "$dir/report.json" build/user64/bigger 44 2 1 </dev/null
output "the other goes on" '^9 passed, 1 failed$'
message "why" 'swap is full: 4092 KiB'
message "who" 'killed process .* (bigger), which held most'
true_of 'd["audit"]["violations"] == 0' "memory ends: audit"
# everything that can be done with pages at once, with swapoff and swapon meanwhile; scripts/soak-swap does it for minutes
swapload x86_64 4 32M 128M 3 40
swapload i386-pae 1 16M 128M 3 24
# files on a disk, the last time with more dirty pages than memory; what is left on it is looked at from here
for config in "i386 64M 8" "x86_64 64M 8" "i386-pae 32M 40"; do
	set -- $config
	truncate -s 0 "$dir/disk" && truncate -s 48M "$dir/disk"
	guest --machine "$1" --ram "$2" --disk "$dir/disk" --report "$dir/report.json" "$(user "$1")/diskfile" /dev/vda "$3" </dev/null
	ends 0 "$1: files on a disk"
	output "$1: files on a disk" '^[1-9][0-9]* passed, 0 failed$'
	true_of 'd["audit"]["violations"] == 0' "$1: files on a disk: audit"
	if python3 -c '
import sys
d = open(sys.argv[1], "rb").read(64 * 4096)
sys.exit(d != b"".join(bytes(4096) if n == 5 else bytes(n + i * 7 & 255 for i in range(4096)) for n in range(64)))' "$dir/disk"
	then ok; else bad "$1: what is on the disk"; fi
	guest --machine "$1" --ram "$2" --disk "$dir/disk" --report "$dir/report.json" "$(user "$1")/direct" /dev/vda </dev/null
	output "$1: past the cache" '^[1-9][0-9]* passed, 0 failed$'
	true_of 'd["audit"]["violations"] == 0' "$1: past the cache: audit"
done
guest --ram 64M --disk "$dir/disk" busybox sh -c 'cd /proc/sys/vm; cat dirty_ratio dirty_background_ratio; echo 35 >dirty_ratio
	cat dirty_ratio; (echo 101 >dirty_ratio) 2>/dev/null; echo "refused $?"; cat /dev/vda | wc -c; grep -w Cached /proc/meminfo >/a
	echo 3 >drop_caches; grep -w Cached /proc/meminfo >/b; cut -c16- /a /b | sed "s/kB//" | tr -d "\\n" | (read a b; echo dropped $((a - b > 40000)))' </dev/null
output "the limits" '^35$'
output "limits that cannot be" '^refused 1$'
output "drop_caches" '^dropped 1$'
if [ "$("$(user x86_64)/diskfile" "$dir/disk" 8 | tail -n 1)" = "32 passed, 0 failed" ]; then ok; else bad "files on Linux's disk"; fi
# what a program leaves alone is written in the background
guest --ram 64M --disk "$dir/disk" busybox sh -c 'cd /proc/sys/vm; cat dirty_expire_centisecs dirty_writeback_centisecs
	echo 1 >dirty_expire_centisecs; echo 1 >dirty_writeback_centisecs; dd if=/dev/zero of=/dev/vda bs=4096 seek=1000 count=100 2>/dev/null
	until grep -q "^Dirty: *0 kB" /proc/meminfo; do sleep 0.1; done; echo clean; grep -E "^(nr_dirtied|nr_written) " /proc/vmstat' </dev/null
[ "$(sed -n '1,3p' "$dir/out" | tr '\n' ' ')" = '3000 500 clean ' ] && ok || bad "dirty pages are not written in the background"
output "in the background" '^nr_written [1-9][0-9]*$'
guest --ram 64M --icount --disk "$dir/disk" busybox true </dev/null
ends 2 "--disk with --icount"
guest --ram 64M --disk "$dir/none" busybox true </dev/null
ends 3 "--disk of nothing"
# the story of one page: of each line the words before the entry
cat >"$dir/story" <<'END'
mapped: untouched
fault: read
zero page
fault: write
own frame, dirty
on its way out
swapped: slot 0 of area 0
fault: read
refault: own frame, dirty
no entry
END
for machine in i386-pae x86_64; do
	timeout 300 "$kmm" life 20000000 --icount --machine $machine --ram 32M --swap 64M -- "$(user $machine)/onelife" \
		</dev/null >"$dir/out" 2>"$dir/err"
	status=$?
	ends 0 "$machine: a page's life"
	cut -c 14-45 "$dir/out" | sed 's/ *$//' | grep -v '^unmapped' | awk 'p != $0 { print } { p = $0 }' | sed -n '/^mapped/,$p' >"$dir/told"
	if cmp -s "$dir/story" "$dir/told"; then ok; else bad "$machine: a page's life"; diff "$dir/story" "$dir/told"; fi
done
"$kmm" life 20000000 --json --icount --ram 32M --swap 64M -- build/user/onelife </dev/null 2>/dev/null | python3 -c '
import json, sys
d = json.load(sys.stdin)
sys.exit(not (d["schema"] == "kmm.life" and any(s["state"] == "zero page" and s["bits"].startswith("P US A") for s in d["steps"])))'
if [ $? = 0 ]; then ok; else bad "a page's life, for machines"; fi
"$kmm" life nowhere -- build/user/onelife >/dev/null 2>&1
status=$?
ends 2 "life at no address"
guest --ram 64M --swap 1K busybox true </dev/null
ends 3 "a swap disk that is too small"
sum
