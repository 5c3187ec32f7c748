#!/bin/sh
# SPDX-License-Identifier: MIT
# kmm run as a tool: what it refuses and how, equal runs under --icount, broken initrds, kernels that stop, timeouts.
# Prints "N passed, N failed".
cd "$(dirname "$0")/../.." || exit 1
. tests/boot/common.inc

# refuses STATUS WORD ARGUMENT...: one sentence with WORD, no output
refuses() {
	want=$1 word=$2
	shift 2
	guest "$@" </dev/null
	ends "$want" "kmm run $*"
	message "kmm run $*" "$word"
	if [ -s "$dir/out" ]; then bad "kmm run $*: output in spite of an error"; else ok; fi
}

refuses 2 'which program'
refuses 2 'unknown machine' --machine vax busybox true
refuses 2 'not a size' --ram lots busybox true
refuses 2 'NAME=VALUE' --env nothing busybox true
refuses 3 'no such program' /nonexistent/program
refuses 3 'no such program' no-such-program-anywhere
refuses 3 '64-bit' --machine i386 build/user64/hello_raw
refuses 3 '32 MiB' --machine x86_64 --ram 31M busybox true
refuses 3 '512 GiB' --machine x86_64-la57 --ram 513G busybox true
refuses 3 'neither a program nor a script' tests/boot/programs.expected
refuses 3 '16 MiB' --ram 15M busybox true
refuses 3 '4 GiB' --machine i386 --ram 5G busybox true
refuses 3 '64 GiB' --machine i386-pae --ram 65G busybox true
refuses 3 'nothing-here' --file nothing-here busybox true
refuses 3 'cannot' --report /nonexistent/report.json busybox true
refuses 3 'No such file' --kernel /nonexistent/kernel busybox true
cp "$kmm" "$dir/kmm"
kmm=$dir/kmm refuses 5 'make kernels' build/user/hello_raw
kmm=build/kmm
(PATH=/nonexistent; export PATH; "$kmm" run build/user/hello_raw </dev/null >"$dir/out" 2>"$dir/err")
status=$?
ends 5 "no QEMU"
message "no QEMU" 'qemu-system-x86_64 cannot be started'

# no end
guest --timeout 2 busybox sleep 1000 </dev/null
ends 124 "timeout"
message "timeout" 'no end after 2 s'

# a kernel that is none
head -c 100000 /dev/urandom >"$dir/noise"
guest --timeout 20 --kernel "$dir/noise" busybox true </dev/null
ends 125 "a kernel of noise"

# the reader of our output goes away: so do we
start=$(date +%s)
timeout 60 "$kmm" run busybox yes </dev/null 2>/dev/null | head -n 2 >"$dir/out"
output "a closed pipe" '^y$'
if [ $(($(date +%s) - start)) -lt 30 ]; then ok; else bad "a closed pipe: kmm run did not notice"; fi

# equal runs: output and report, byte for byte; another seed is another run
for machine in i386 i386-pae x86_64 x86_64-la57; do
	for n in 1 2; do
		guest --icount --machine $machine --ram 1G --report "$dir/report.json" --file tests/boot/programs.script:/script \
			busybox sh -c '. /script; head -c 16 /dev/urandom | xxd; date; cat /proc/uptime /proc/zoneinfo' </dev/null
		mv "$dir/report.json" "$dir/report.$n"
		mv "$dir/out" "$dir/out.$n"
		: >"$dir/out"
	done
	if cmp "$dir/out.1" "$dir/out.2"; then ok; else bad "$machine: two counted runs wrote different things"; fi
	if cmp "$dir/report.1" "$dir/report.2"; then ok; else bad "$machine: two counted runs have different reports"; fi
done
guest --icount --seed 1 busybox head -c 16 /dev/urandom </dev/null; cp "$dir/out" "$dir/seed1"
guest --icount --seed 2 busybox head -c 16 /dev/urandom </dev/null
if cmp -s "$dir/seed1" "$dir/out"; then bad "two seeds, one sequence"; else ok; fi

# random places: the same by the same seed, others by another, and programs do not notice
place() { # MACHINE SEED: the first addresses in vmalloc and of the direct map, in $dir/vmalloc and $dir/direct
	guest --machine "$1" --kaslr-seed "$2" --report "$dir/report.json" busybox sh -c \
		'head -n 1 /proc/vmallocinfo; head -n 1 /proc/kmm/explain' </dev/null
	sed -n 's/^\(0xff[0-9a-f]*\)-.*/\1/p' "$dir/out" >"$dir/vmalloc"
	sed -n 's/^\(0xff[0-9a-f]*\): direct map.*/\1/p' "$dir/out" >"$dir/direct"
	[ "$(cat "$dir/vmalloc" "$dir/direct" | wc -l)" = 2 ] && ok || bad "$1: kaslr seed $2"
	true_of 'd["audit"]["violations"] == 0' "$1: kaslr seed $2: audit"
}
for machine in x86_64 x86_64-la57; do
	rm -f "$dir/places"
	for seed in 1 2 5 1; do
		place $machine $seed
		paste "$dir/vmalloc" "$dir/direct" >>"$dir/places"
	done
	# Three seeds, three places of each; the fourth line is the first again.
	if [ "$(sed -n 1p "$dir/places")" = "$(sed -n 4p "$dir/places")" ]; then ok; else bad "$machine: one seed, two places"; fi
	for column in 1 2; do
		cut -f$column "$dir/places" >"$dir/column"
		[ "$(sort -u "$dir/column" | wc -l)" = 3 ] && ok || bad "$machine: three seeds, not three places, column $column"
	done
	[ "$(grep -c '^0xff[0-9a-f]\{6\}[048c]0000000$' "$dir/column")" = 4 ] && ok || bad "$machine: a direct map not at a GiB"
done
for machine in i386-pae x86_64 x86_64-la57; do
	case $machine in x86*) programs=build/user64 ;; *) programs=build/user ;; esac
	for name in threads files; do
		guest --machine $machine --kaslr-seed 3 --cpus 2 --ram 6G --report "$dir/report.json" $programs/$name </dev/null
		output "$machine: $name at random places" '^[1-9][0-9]* passed, 0 failed$'
		true_of 'd["audit"]["violations"] == 0' "$machine: $name at random places: audit"
	done
done

# the report is JSON with the parts that are promised
guest --ram 2G --report "$dir/report.json" busybox true </dev/null
true_of 'sum(z[n]["present"] for n in z) == d["memory"]["ram_pages"] or d["memory"]["ram_pages"] > 0' "frames"
true_of 'all(sum(x["kinds"].values()) - x["kinds"]["hole"] <= x["spanned"] for x in z.values())' "kinds"
true_of 'all(x["min"] <= x["low"] <= x["high"] for x in z.values())' "watermarks"
true_of 'd["processes"][0]["comm"] == "busybox" and d["processes"][0]["faults"] > 10' "processes"
true_of 'd["memory"]["memmap"].startswith("0x")' "addresses are strings"

# folders of the initrd that have the names of the kernel's own are hidden by them
guest --machine x86_64 --file LICENSE:/proc/mine --file LICENSE:/sys/mine busybox sh -c 'cat /proc/self/comm; ls /proc/mine /sys/mine 2>/dev/null
	ls -d /sys/kernel; ls / | grep -cx -e proc -e sys; cat /sys/fs/cgroup/cgroup.controllers' </dev/null
output "/proc in the initrd" '^cat$'
output "/sys in the initrd" '^/sys/kernel$'
output "/proc and /sys once each" '^2$'
output "/sys/fs/cgroup there" '^memory$'
if grep -q mine "$dir/out"; then bad "what they hid is seen"; else ok; fi

# initrds that are broken: one sentence, status 3 on the second serial port, never a panic
boot() { # INITRD COMMANDLINE
	timeout 60 qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none -accel tcg -cpu qemu64 -m 128 \
		-kernel build/kernel-i386-pae.elf ${1:+-initrd "$1"} -append "$2" -serial file:"$dir/out" \
		-serial file:"$dir/com2" -debugcon file:"$dir/err" -device isa-debug-exit,iobase=0x501,iosize=2 </dev/null
	status=$?
	ends 0 "powers off"
}
broken() { # WORD INITRD [COMMANDLINE]
	boot "$2" "${3:-run=/bin/busybox}"
	message "$1" "$1"
	if grep -q "^fail 3 .*$1" "$dir/com2"; then ok; else bad "no status 3 with '$1'"; fi
}
python3 - "$dir" <<'END' || bad "making initrds"
import sys
folder = sys.argv[1]

def entry(name, mode, data=b"", **fields):
    f = dict(ino=1, mode=mode, uid=0, gid=0, nlink=1, mtime=0, size=len(data), dmaj=0, dmin=0, rmaj=0, rmin=0,
             namesize=len(name) + 1, check=0)
    f.update(fields)
    head = b"070701" + b"".join(b"%08x" % f[k] for k in ("ino", "mode", "uid", "gid", "nlink", "mtime", "size", "dmaj",
                                                         "dmin", "rmaj", "rmin", "namesize", "check"))
    raw = head + name.encode() + b"\0"
    raw += b"\0" * (-len(raw) % 4) + data
    return raw + b"\0" * (-len(raw) % 4)

end = entry("TRAILER!!!", 0)
good = entry("bin", 0o40755) + entry("bin/busybox", 0o100755, b"\x7fELF nothing else")

def write(name, data):
    open(f"{folder}/{name}", "wb").write(data)

write("i-noise", bytes(range(256)) * 64)
write("i-notrailer", good)
write("i-size", entry("f", 0o100644, b"x", size=0x7fffffff) + end)
write("i-namesize", entry("f", 0o100644, b"x", namesize=0xffffffff) + end)
write("i-nodir", entry("a/b/c", 0o100644, b"x") + end)
write("i-twice", entry("f", 0o100644, b"x") + entry("f", 0o100644, b"y") + end)
write("i-hex", (entry("f", 0o100644, b"x") + end).replace(b"000081a4", b"0000zzzz"))
write("i-cut", (good + end)[:200])
write("i-empty", end)
write("i-elf", good + end)
write("i-hello", entry("bin", 0o40755) + entry("bin/hello", 0o100755, open("build/user/hello_raw", "rb").read()) + end)
END
boot "$dir/i-hello" 'run=/bin/hello'
output "booted by hand" '^hello from ring 3$'
if grep -qx 'exit 7' "$dir/com2"; then ok; else bad "booted by hand: no exit status"; fi
broken 'no initrd' ''
broken 'not a cpio archive' "$dir/i-noise"
broken 'without its trailer' "$dir/i-notrailer"
broken "ends inside a file's content" "$dir/i-size"
broken 'name of impossible length' "$dir/i-namesize"
broken 'before its directory' "$dir/i-nodir"
broken 'one name twice' "$dir/i-twice"
broken 'hexadecimal' "$dir/i-hex"
broken 'ends inside' "$dir/i-cut"
broken 'not in the initrd' "$dir/i-empty"
broken 'not a program this kernel runs' "$dir/i-elf"
broken 'names no program' "$dir/i-elf" 'nothing=1'
broken 'start record' "$dir/i-elf" 'start=/nowhere'

sum
