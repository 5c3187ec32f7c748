#!/bin/sh
# SPDX-License-Identifier: MIT
# For each fuzz target: what it once found (fuzz/found/NAME), then a fixed number of runs from a fixed seed, starting from
# fuzz/seeds.py where that makes any. For longer ones: build/fuzz/NAME -max_total_time=600 NEW build/fuzz/seeds/NAME
set -eu
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# run COMMAND...: shows the end of what it says, more when it fails
run() {
	if "$@" >"$tmp/log" 2>&1; then
		grep -E '^(Executed|Done)' "$tmp/log"
	else
		echo "FAIL $*"
		tail -n 40 "$tmp/log"
		exit 1
	fi
}

make --no-print-directory fuzz-bins build/user/hello_raw
fuzz/seeds.py build/fuzz/seeds
for target in fuzz/*.c; do
	name=$(basename "$target" .c)
	echo "$name"
	for found in fuzz/found/"$name"/*; do
		[ ! -f "$found" ] || run "build/fuzz/$name" "$found"
	done
	case $name in
	steps) runs=800 ;; # each is a program of up to 64 steps, and two audits
	*) runs=3000 ;;
	esac
	set -- "build/fuzz/$name" -seed=1 -runs="${RUNS:-$runs}" -timeout=20 -artifact_prefix=build/fuzz/ -max_len=512
	if [ -d "build/fuzz/seeds/$name" ]; then
		mkdir "$tmp/$name"
		set -- "$@" -max_len=4096 "$tmp/$name" "build/fuzz/seeds/$name"
	fi
	run "$@"
done
