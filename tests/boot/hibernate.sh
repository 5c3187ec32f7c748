#!/bin/sh
# SPDX-License-Identifier: MIT
# Machines that go to a disk and come back in another boot: programs go on with memory, swap, threads, files and pipes as they were,
# on one and on four processors; images that are damaged, of another machine, or were used are refused.
# Prints "N passed, N failed".
cd "$(dirname "$0")/../.." || exit 1
. tests/boot/common.inc

user() { case $1 in x86_64*) echo build/user64 ;; *) echo build/user ;; esac; }
resume() { guest --resume "$@" </dev/null; }

# there_and_back MACHINE CPUS MIB: the disk as it was in between stays in $dir/disk.kept
there_and_back() {
	machine=$1 what="$1, $2 processors"
	rm -f "$dir/disk"
	guest --machine "$machine" --cpus "$2" --ram 32M --swap 48M --hibernate "$dir/disk" --report "$dir/report.json" \
		"$(user "$machine")/hibernate" "$3" </dev/null
	ends 0 "$what: hibernates"
	output "$what: started" '^before$'
	if grep -q after "$dir/out"; then bad "$what: it went on without a resume"; else ok; fi
	message "$what: it says where it is" 'the machine is in .*disk; --resume goes on with it'
	cp "$dir/disk" "$dir/disk.kept"
	resume "$dir/disk" --report "$dir/report.json"
	ends 0 "$what: goes on"
	output "$what: everything is there" '^14 passed, 0 failed$'
	true_of 'd["audit"]["violations"] == 0' "$what: audit"
}

there_and_back i386-pae 4 6
there_and_back x86_64 1 26
true_of 'd["memory"]["swapped_in"] > 0' "pages came back from the disk"
resume "$dir/disk"
ends 3 "an image is used once"
message "an image is used once" 'holds no hibernated machine, or it went on already'

# refused: by the command, or by the kernel that would go on
kept() { cp "$dir/disk.kept" "$dir/disk"; }
# change OFFSET: a byte of the disk; "index": of the first index block, whose slot the head names
change() {
	python3 - "$dir/disk" "$1" <<'END'
import struct, sys
with open(sys.argv[1], "r+b") as f:
    f.seek(1536 + 8 + 8 + 8 * 8 + 4)
    slot, = struct.unpack("<I", f.read(4))
    at = (slot + 1) * 4096 + 200 if sys.argv[2] == "index" else int(sys.argv[2])
    f.seek(at)
    byte = f.read(1)[0]
    f.seek(at)
    f.write(bytes([byte ^ 16]))
END
}
kept && change 1600
resume "$dir/disk"
ends 3 "a damaged head"
message "a damaged head" 'the head of the image is damaged'
kept && change index
resume "$dir/disk"
ends 3 "a damaged index"
message "a damaged index" 'image is damaged: slot [0-9]*: the sum of an index block'
kept
resume "$dir/disk" --ram 40M
ends 3 "more memory"
message "more memory" 'of a machine with other memory'
guest --hibernate "$dir/disk" busybox true </dev/null
ends 3 "a machine is not overwritten"
message "a machine is not overwritten" 'holds a hibernated machine'
guest --resume "$dir/disk" --cpus 2 --verbose --machine x86_64 busybox echo fresh </dev/null
message "other processors" 'another number of processors; the machine starts anew'
output "a fresh start" '^fresh$'

# what cannot be written leaves the machine as it was
guest --machine i386 --ram 32M --swap 1M --hibernate "$dir/small" build/user/hibernate </dev/null
output "no room" '^hibernate: No space left on device$'
guest --machine x86_64 --ram 32M busybox sh -c 'cat /sys/power/state; echo disk >/sys/power/state; echo status $?' </dev/null
output "no disk" '^status 1$'
sum
