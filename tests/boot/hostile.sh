#!/bin/sh
# SPDX-License-Identifier: MIT
# Programs that must not get through: the ring-3 tests of tests/user on every kernel, damaged program files, and memory
# that ends. After each the audit must find nothing. Prints "N passed, N failed".
cd "$(dirname "$0")/../.." || exit 1
. tests/boot/common.inc

# user MACHINE RAM NAME [FOLDER]: a program of tests/user; its own counts are added.
user() {
	guest --machine "$1" --ram "$2" --env "MACHINE=$1" --report "$dir/report.json" "build/${4:-user}/$3" </dev/null
	ends 0 "$1 $2 $3 ${4:-}"
	good=$(sed -n 's/^\([0-9]*\) passed, .*/\1/p' "$dir/out")
	passed=$((passed + ${good:-0}))
	true_of 'd["audit"]["violations"] == 0' "$1 $2 $3: audit"
}

for name in traps limits memcalls procmem memfd sysvshm userfault signals threads vectors files shared badcalls edges eat crowd; do
	user i386 16M $name
	user i386 1G $name
	user i386-pae 64M $name
	user i386-pae 2G $name
	user x86_64 64M $name user64
	user x86_64 256M $name # 32-bit
	user x86_64-la57 2G $name user64
	user x86_64-la57 64M $name # 32-bit
done

for gap in 1 300; do
	guest --machine x86_64 --stack-guard-gap $gap build/user64/limits gap $gap </dev/null
	output "$gap pages stay free below a stack" '^5 passed, 0 failed$'
done

for name in places_pie clones execs events storage pins personality names layouts; do
	user i386 64M $name
	user i386-pae 1G $name
	user x86_64 64M $name user64
	user x86_64-la57 256M $name # 32-bit
done
user x86_64 64M wide user64
user x86_64-la57 64M wide user64

# Programs that take all there is of processes, areas, tables or memory; and what was in frames before, looked for under
# pressure; the latter also on swap.
for name in bombs leftovers; do
	user i386 32M $name
	user x86_64 32M $name user64
done

# swapped MACHINE RAM PROGRAM ARGUMENT...
swapped() {
	machine=$1 ram=$2 what="$1 $2 swap ${3##*/}"
	shift 2
	guest --icount --machine "$machine" --ram "$ram" --swap 64M --report "$dir/report.json" "$@" </dev/null
	ends 0 "$what"
	output "$what" '^[1-9][0-9]* passed, 0 failed$'
	true_of 'd["audit"]["violations"] == 0' "$what: audit"
	true_of 'd["memory"]["swapped_out"] > 1000' "$what: pages went out"
}
swapped x86_64 32M build/user64/leftovers 40

guest --machine x86_64 --ram 64M --swap 64M --report "$dir/report.json" build/user64/pins </dev/null # what is pinned is not written there
output "pinned, with swap" '^[1-9][0-9]* passed, 0 failed$'
true_of 'd["audit"]["violations"] == 0' "pinned, with swap: audit"

# Program files that are broken: refused with an error of exec, never loaded, never fatal.
python3 - "$dir" build/debian-i386/bin/busybox <<'END' || bad "making damaged programs"
import struct, sys
folder, good = sys.argv[1], bytearray(open(sys.argv[2], "rb").read())

def write(name, data):
    open(f"{folder}/{name}", "wb").write(bytes(data))

def patched(offset, fmt, *values, size=None):
    data = bytearray(good[:size])
    struct.pack_into(fmt, data, offset, *values)
    return data

phoff = struct.unpack_from("<I", good, 28)[0]
load = next(phoff + 32 * i for i in range(8) if struct.unpack_from("<I", good, phoff + 32 * i)[0] == 1)
write("bad-empty", b"")
write("bad-short", good[:40])
write("bad-truncated", good[:100000])
write("bad-64", patched(4, "<B", 2)) # on a 64-bit kernel its machine is wrong
write("bad-machine", patched(18, "<H", 40))
write("bad-type", patched(16, "<H", 1))
write("bad-phoff", patched(28, "<I", 0xfffffff0))
write("bad-phnum", patched(44, "<H", 0xffff))
write("bad-phentsize", patched(42, "<H", 8))
write("bad-entry", patched(24, "<I", 0xfffff000))
write("bad-kernel", patched(load + 8, "<I", 0xfffff000))
write("bad-wrap", patched(load + 20, "<I", 0xfffff000))
write("bad-filesz", patched(load + 16, "<I", 0x7fffffff))
write("bad-offset", patched(load + 4, "<I", 0xfffff000))
write("bad-overlap", patched(load + 32 + 8, "<I", struct.unpack_from("<I", good, load + 8)[0]))
write("bad-interp", patched(load, "<I", 3))
write("bad-text", b"neither program nor script\n")
write("bad-script", b"#!")
write("bad-loop", b"#!/bad-loop\n")
END
set --
for file in "$dir"/bad-*; do
	chmod +x "$file"
	set -- "$@" --file "$file:/$(basename "$file")"
done
cat >"$dir/try" <<'END'
for f in /bad-*; do
	case $f in /bad-text|/bad-empty|/bad-script) continue;; esac # the shell itself runs those as scripts
	"$f" >/dev/null 2>&1 # tries a refused program as a script, too: 2 or 127
	echo "$f $?"
done
echo done
END
for machine in i386 i386-pae x86_64 x86_64-la57; do
	guest --machine $machine --report "$dir/report.json" "$@" --file "$dir/try:/try" --verbose busybox sh /try </dev/null
	ends 0 "$machine: damaged programs"
	output "$machine: to the end" '^done$'
	if [ "$(grep -c '^/bad-[a-z0-9]* \(2\|126\|127\)$' "$dir/out")" = 16 ]; then ok; else bad "$machine: one was not refused"; fi
	message "$machine: a sentence" 'bad-64: a \(64-bit program\|program for another kind\)'
	message "$machine: a sentence" 'bad-overlap: segments overlap'
	message "$machine: a sentence" 'bad-kernel: a segment reaches into the kernel'
	true_of 'd["audit"]["violations"] == 0' "$machine: audit"
done

# Memory ends: the eater is killed, said in the log, and the shell goes on. Files leave room for programs.
guest --machine i386-pae --ram 32M --verbose --file build/user/eat:/eat busybox sh -c \
	'/eat; echo "status $?"; dd if=/dev/zero of=/tmp/f bs=64k; echo "write $?"; rm /tmp/f; seq 3' </dev/null
output "killed three times" '^10 passed, 0 failed$'
message "named" 'out of memory: killed process'
output "the file system is full" '^write 1$'
output "and says so" 'No space left'
output "goes on" '^3$'
ends 0 "memory ends"

sum
