#!/bin/sh
# SPDX-License-Identifier: MIT
# A fixed number of runs of each fuzz target, from a fixed seed. For longer ones: build/fuzz/NAME -max_total_time=600
set -eu
cd "$(dirname "$0")/.."
make --no-print-directory fuzz-bins
for target in fuzz/*.c; do
	name=$(basename "$target" .c)
	echo "$name"
	"build/fuzz/$name" -seed=1 -runs="${RUNS:-3000}" -max_len=512 -timeout=20 -print_final_stats=0 2>&1 | tail -3
done
