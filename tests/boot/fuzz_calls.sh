#!/bin/sh
# SPDX-License-Identifier: MIT
# Random system calls from ring 3, in a row and in crowds (tests/user/fuzz_calls_raw.c): the machine goes on, the audit at
# the end finds nothing, and no memory of a process is left. ROUNDS and KMM_SEED change the length and the start.
# Prints "N passed, N failed".
cd "$(dirname "$0")/../.." || exit 1
. tests/boot/common.inc
rounds=${ROUNDS:-60}

hostile() { # MACHINE RAM SEED
	what="$1 $2 seed $3"
	guest --machine "$1" --ram "$2" --report "$dir/report.json" build/user/fuzz_calls_raw "rounds=$rounds" "seed=$3" </dev/null
	ends 0 "$what"
	output "$what" "^$rounds rounds survived\$"
	true_of 'd["audit"]["violations"] == 0' "$what: audit"
	true_of 'd["processes_ended"] > 8 * '"$rounds" "$what: processes"
	true_of 'sum(x["kinds"]["anonymous"] for x in d["zones"]) == 0' "$what: memory of the dead"
}

seed=${KMM_SEED:-1}
hostile i386 16M "$seed"
hostile i386-pae 64M "$((seed + 1))"
hostile i386 1G "$((seed + 2))"
hostile i386-pae 6G "$((seed + 3))"

sum
