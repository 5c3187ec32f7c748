#!/bin/sh
# SPDX-License-Identifier: MIT
# Debian's busybox, unmodified, on every kernel and machines from 16 MiB to 64 GiB: programs.script must print what the
# same busybox printed on Linux (programs.expected), and the audit at the end must find nothing.
# Prints "N passed, N failed".
cd "$(dirname "$0")/../.." || exit 1
. tests/boot/common.inc

config() { # MACHINE RAM
	guest --machine "$1" --ram "$2" --report "$dir/report.json" --file tests/boot/programs.script:/script \
		busybox sh /script </dev/null
	ends 42 "$1 $2"
	same tests/boot/programs.expected "$1 $2"
	true_of 'd["audit"]["violations"] == 0' "$1 $2: audit"
	true_of 'd["exit_status"] == 42 and d["machine"] == "'"$1"'"' "$1 $2: report"
	true_of 'd["processes_ended"] > 40' "$1 $2: processes"
}

for ram in 16M 64M 1G 4G; do
	config i386 $ram
	config i386-pae $ram
done
true_of 'z["HighMem"]["present"] > 3 * 2**18 and z["Normal"]["present"] < 2**18' "4 GiB: most of it is high"
config i386-pae 16G
true_of 'z["HighMem"]["kinds"]["slab"] == 0 and z["HighMem"]["kinds"]["page table"] == 0' "kernel memory is low"
true_of 'z["HighMem"]["kinds"]["file"] > 0' "file pages are high"

for machine in x86_64 x86_64-la57; do
	for ram in 32M 1G 64G; do
		config $machine $ram
	done
done
true_of '"HighMem" not in z and z["Normal"]["present"] > 60 * 2**18' "64 GiB: nothing is high"
# the 32-bit busybox on a 64-bit kernel
for machine in x86_64 x86_64-la57; do
	guest --machine $machine --report "$dir/report.json" --file tests/boot/programs.script:/script \
		build/debian-i386/bin/busybox sh /script </dev/null
	ends 42 "$machine, 32-bit busybox"
	same tests/boot/programs.expected "$machine, 32-bit busybox"
	true_of 'd["audit"]["violations"] == 0' "$machine, 32-bit busybox: audit"
done

# standard input, each way it can come
head -c 60000 /dev/urandom >"$dir/bytes"
guest busybox cat <"$dir/bytes"
same "$dir/bytes" "stdin from a file"
cat "$dir/bytes" | guest busybox cat
same "$dir/bytes" "stdin from a pipe"
cat "$dir/bytes" | guest --icount busybox cat
same "$dir/bytes" "stdin from a pipe, counted"
guest busybox wc -c </dev/null
output "stdin from /dev/null" '^0$'

# arguments, environment, statuses
guest --env 'A=b c' --env HOME=/tmp busybox sh -c 'echo "$A|$HOME|$1|$2|$#"; exit 7' x 'one two' '' </dev/null
output "arguments and environment" '^b c|/tmp|one two||2$'
ends 7 "exit status"
guest busybox sh -c 'kill -9 $$' </dev/null
ends 137 "killed"
guest busybox sh -c 'busybox echo $(seq 30000) | wc -c; busybox echo $(seq 400000) 2>&1 | cut -c1-40; env -i A=1 env' </dev/null
output "many arguments" '^168894$'
output "too many arguments" 'Argument list too long'
output "environment of a child" '^A=1$'
guest build/user/hello_raw </dev/null
output "no C library" '^hello from ring 3$'
ends 7 "no C library"
printf '#!/bin/sh\necho script "$0" "$@"\n' >"$dir/run-me"
chmod +x "$dir/run-me"
guest "$dir/run-me" a </dev/null
output "a script with #!" '^script /bin/run-me a$'

sum
