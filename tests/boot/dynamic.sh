#!/bin/sh
# SPDX-License-Identifier: MIT
# Dynamically linked programs as Debian ships them (scripts/deps --roots): each must write what it writes on this host, in
# the same files, byte for byte, and the audit at the end must find nothing. The compiler is this host's own.
# KMM_REAL=all: everything on every kernel, and Debian's i386 compiler. Prints "N passed, N failed".
cd "$(dirname "$0")/../.." || exit 1
. tests/boot/common.inc
all=${KMM_REAL:-}

if ! scripts/deps --roots 2>"$dir/err"; then
	echo "SKIP all: the programs cannot be had: $(tail -n 1 "$dir/err")"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi
# How a program is run below another root here.
here=chroot
[ "$(id -u)" = 0 ] || here='unshare -r chroot'
if ! $here build/real/root-i386 /bin/dash -c : 2>"$dir/err"; then
	echo "SKIP all: this host does not run i386 programs below another root: $(tail -n 1 "$dir/err")"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi

# A root for this run, where programs on this host find the same files as in the guest, and may write.
make_root() { # ARCH
	cp -al "$PWD/build/real/root-$1" "$dir/$1" 2>/dev/null || cp -a "$PWD/build/real/root-$1" "$dir/$1"
	mkdir -p "$dir/$1/tmp" "$dir/$1/work" "$dir/$1/dev"
	: >"$dir/$1/dev/null"
	cp tests/real/work.* tests/real/big.sql "$dir/data" "$dir/big" "$dir/$1/work"
}

# both MACHINE ARCH RAM CPUS NAME PROGRAM ARGUMENT...: here and there; arguments that name files take them along
both() {
	machine=$1 arch=$2 ram=$3 cpus=$4 name="$1, $3, $4 CPUs: $5 ($2)" expected="$dir/expected.$2.$5"
	shift 5
	[ -e "$expected" ] || env -i HOME=/ LC_ALL=C PATH=/bin:/usr/bin:/sbin:/usr/sbin $here "$dir/$arch" "$@" <"$dir/stdin" >"$expected" 2>&1
	rm -f "$dir/$arch"/tmp/* # an argument that names a file would take it along
	guest --machine "$machine" --ram "$ram" --cpus "$cpus" --report "$dir/report.json" --env LC_ALL=C \
		--root "$dir/$arch" --add /bin/busybox --add /usr/bin/zstd --add /bin/gzip "$@" <"$dir/stdin"
	cat "$dir/err" >>"$dir/out"
	ends 0 "$name"
	same "$expected" "$name"
	true_of 'd["audit"]["violations"] == 0' "$name: audit"
}

# Compressed, and uncompressed again. Only sums travel through the serial line.
round_trip() { # MACHINE ARCH RAM CPUS FILE
	for packer in 'zstd -q -c -T0' 'gzip -1 -c'; do
		both "$1" "$2" "$3" "$4" "${packer%% *} of $5" /bin/dash -c "$packer /work/$5 >/tmp/packed &&
			busybox sha256sum /tmp/packed && busybox wc -c /tmp/packed && ${packer%% *} -dc </tmp/packed | busybox sha256sum" \
			dash "/work/$5"
	done
}

programs() { # MACHINE ARCH RAM CPUS
	: >"$dir/stdin"
	both "$@" dash /bin/dash /work/work.dash /work/data /tmp
	both "$@" lua /usr/bin/lua5.4 /work/work.lua 1 /tmp
	both "$@" python3 /usr/bin/python3 /work/work.py
	cp tests/real/big.sql "$dir/stdin"
	both "$@" sqlite3 /usr/bin/sqlite3 /tmp/big.db
	: >"$dir/stdin"
}

# This host's compiler, with the files it says it needs, run by busybox's shell.
compile() { # MACHINE RAM CPUS
	src=$dir/work.c
	cp tests/real/work.c "$src"
	set -- "$1" "$2" "$3" $(for name in cc1 collect2 as ld; do command -v "$(gcc -print-prog-name=$name)"; done) \
		$(for name in Scrt1.o crti.o crtn.o crtbeginS.o crtendS.o libgcc.a libgcc_s.so libgcc_s.so.1 libc.so \
			libc_nonshared.a libc.so.6 liblto_plugin.so; do gcc -print-file-name=$name; done) \
		$(gcc -O2 -M "$src" | tr -d '\\' | sed 's/^[^ ]*://') "$(command -v gcc)"
	machine=$1 ram=$2 cpus=$3
	shift 3
	for file; do
		case $file in /*) set -- "$@" --add "$file" ;; esac
		shift
	done
	line="gcc -O2 -o $dir/work.out $src && $dir/work.out && sha256sum $dir/work.out"
	env -i LC_ALL=C PATH="$PATH" sh -c "$line" >"$dir/expected.gcc" 2>&1 </dev/null
	guest --machine "$machine" --ram "$ram" --cpus "$cpus" --report "$dir/report.json" --env LC_ALL=C "$@" \
		busybox sh -c "$line" "$src" </dev/null
	ends 0 "$machine: gcc"
	same "$dir/expected.gcc" "$machine: gcc"
	true_of 'd["audit"]["violations"] == 0' "$machine: gcc: audit"
}

# Debian's i386 compiler, whole.
compile_i386() { # MACHINE
	scripts/deps --gcc || { bad "Debian's i386 compiler cannot be had"; return; }
	mkdir -p build/real/gcc-i386/work build/real/gcc-i386/tmp
	cp tests/real/work.c build/real/gcc-i386/work
	line='gcc -O2 -o /tmp/work.out /work/work.c && /tmp/work.out && while read -r line; do echo "$line"; done </tmp/work.out'
	env -i LC_ALL=C PATH=/bin:/usr/bin:/sbin:/usr/sbin $here build/real/gcc-i386 /bin/sh -c "$line" >"$dir/expected.gcc" 2>&1
	rm -f build/real/gcc-i386/tmp/*
	guest --machine "$1" --ram 1G --env LC_ALL=C --root build/real/gcc-i386 --add / /bin/dash -c "$line" </dev/null
	ends 0 "$1: Debian's gcc for i386"
	same "$dir/expected.gcc" "$1: Debian's gcc for i386"
}

# data that compresses, without a network and always the same
awk -v n=2200000 'BEGIN { for (i = 0; i < n; i++) { x = (x * 1103515245 + 12345) % 2147483648; print i, x % 1000, "line" x % 7 } }' >"$dir/big"
truncate -s 50000000 "$dir/big"
head -n 60000 "$dir/big" >"$dir/data"
make_root i386
make_root amd64

programs i386-pae i386 256M 1
programs x86_64 amd64 512M 2
round_trip x86_64 amd64 512M 2 big
round_trip i386-pae i386 256M 1 data
compile x86_64 512M 1
if [ -n "$all" ]; then
	programs i386 i386 256M 1
	programs x86_64 i386 1G 4
	programs x86_64-la57 amd64 5G 4
	round_trip i386 i386 512M 1 big
	round_trip i386-pae i386 5G 4 big
	compile x86_64-la57 1G 4
	compile_i386 i386
	compile_i386 i386-pae
	compile_i386 x86_64
fi
sum
