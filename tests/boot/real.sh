#!/bin/sh
# SPDX-License-Identifier: MIT
# Real programs, unmodified, with files, memory, processes and threads (scripts/real-programs says which and where from):
# each must write what it writes on this host, byte for byte, and the audit at the end must find nothing.
# KMM_REAL=all: 32-bit programs on 64-bit kernels too, more sizes, longer runs. Prints "N passed, N failed".
cd "$(dirname "$0")/../.." || exit 1
. tests/boot/common.inc
all=${KMM_REAL:-}
size=1
[ -z "$all" ] || size=4

if ! scripts/real-programs 2>"$dir/err"; then
	echo "SKIP all: the programs cannot be had: $(tail -n 1 "$dir/err")"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi

# expect ARCH NAME ARGUMENT...: what it writes here, into the file $expected; once for all machines of its width
expect() {
	expected="$dir/expected.$1.$2"
	[ -e "$expected" ] || (
		program=$PWD/build/real/$1/bin/$2
		shift 2
		cd "$dir/host" && env -i LC_ALL=C PATH=/bin:/usr/bin "$program" "$@" >"$expected" 2>&1
	)
}

# both MACHINE ARCH RAM CPUS NAME ARGUMENT...: here and there, with the same files and the same stdin
both() {
	machine=$1 arch=$2 ram=$3 cpus=$4 name=$5
	shift 5
	expect "$arch" "$name" "$@" <"$dir/stdin"
	guest --machine "$machine" --ram "$ram" --cpus "$cpus" --report "$dir/report.json" --env LC_ALL=C \
		--file "$dir/host/data:data" --file tests/real/work.bash:work.bash --file tests/real/work.zsh:work.zsh \
		--file tests/real/work.lua:work.lua \
		"build/real/$arch/bin/$name" "$@" <"$dir/stdin"
	cat "$dir/err" >>"$dir/out"
	ends 0 "$machine $ram, $cpus CPUs, $arch $name"
	same "$expected" "$machine $ram, $cpus CPUs, $arch $name"
	true_of 'd["audit"]["violations"] == 0' "$machine $ram, $cpus CPUs, $arch $name: audit"
}

machine() { # MACHINE ARCH RAM CPUS
	: >"$dir/stdin"
	both "$1" "$2" "$3" "$4" bash work.bash .
	both "$1" "$2" "$3" "$4" zsh -f work.zsh
	both "$1" "$2" "$3" "$4" lua work.lua $size .
	both "$1" "$2" "$3" "$4" zstd -q -c -T4 -B512K --ultra -6 data
	cp tests/real/work.sql "$dir/stdin"
	both "$1" "$2" "$3" "$4" sqlite3 work.db
	rm -f "$dir/host/work.db"
}

mkdir "$dir/host"
cp tests/real/work.lua tests/real/work.bash tests/real/work.zsh "$dir/host"
# data that compresses, without a network and always the same
awk -v n=$((60000 * size)) 'BEGIN { for (i = 0; i < n; i++) { x = (x * 1103515245 + 12345) % 2147483648; print i, x % 1000, "line" x % 7 } }' \
	>"$dir/host/data"

machine i386 i386 64M 1
machine i386-pae i386 1G 4
machine x86_64 amd64 128M 1
machine x86_64-la57 amd64 1G 4
if [ -n "$all" ]; then
	machine i386 i386 1G 4
	machine i386-pae i386 5G 2
	machine x86_64 amd64 5G 4
	machine x86_64 i386 1G 4
	machine x86_64-la57 i386 1G 8
fi
sum
