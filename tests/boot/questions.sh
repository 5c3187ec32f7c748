#!/bin/sh
# SPDX-License-Identifier: MIT
# The questions that a real program can answer (tests/user/questions.c): asked on both booted kernels, and of this host's
# own Linux first, where it runs 32-bit programs, to show that what the program expects is what Linux does.
cd "$(dirname "$0")/../.." || exit 2

passed=0 failed=0

# ask NAME COMMAND...: adds up the lines of one run
ask()
{
	name=$1
	shift
	out=$(timeout 240 "$@" 2>&1)
	status=$?
	ok=$(printf '%s\n' "$out" | tr -d '\r' | grep -c '^ok S')
	bad=$(printf '%s\n' "$out" | tr -d '\r' | grep -c '^FAIL S')
	# The program says how many answers it gave; a run that stops half way has not said it.
	printf '%s\n' "$out" | tr -d '\r' | grep -qx "$ok passed, $bad failed" || bad=$((bad + 1))
	[ "$bad" -gt 0 ] || [ "$status" -eq 0 ] || bad=1
	echo "$name: $ok ok, $bad failed, status $status"
	if [ "$bad" -gt 0 ]; then
		echo "FAIL $name"
		printf '%s\n' "$out" | tail -40 | sed 's/^/  | /'
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
}

program=build/user/questions
if "$program" >/dev/null 2>&1 || [ $? -eq 1 ]; then
	ask "this host's Linux" "$program"
else
	echo "this host does not run 32-bit programs: its Linux was not asked"
fi
ask "kmm i386, 512 MiB" build/kmm run --machine i386 --ram 512M -- "$program"
ask "kmm i386-pae, 6 GiB" build/kmm run --machine i386-pae --ram 6G -- "$program"

# answer ID STATUS WHAT
answer()
{
	if [ "$2" -eq 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $1: $3"
	fi
}

# S94: each part of a program got a frame when it was touched, in high memory; what the kernel uses is low.
report=build/questions-report.json
rm -f "$report"
frames=$(timeout 240 build/kmm run --machine i386-pae --ram 6G --report "$report" -- busybox cat /proc/kmm/frames)
printf '%s\n' "$frames" | tr -d '\r' | awk '
	$1 ~ /^(text|data|heap|stack)$/ { user++; good += $4 == "HighMem" }
	/^(kernel|its)/ { kernel++; low += !/HighMem/ }
	END { exit !(user == 4 && good == 4 && kernel >= 3 && low == kernel) }'
answer S94 $? "$frames"

# S95: by the machine's report at the end, high memory holds file pages and nothing of the kernel, Normal no user page.
python3 - "$report" <<'END'
import json, sys
zones = {z["name"]: z["kinds"] for z in json.load(open(sys.argv[1]))["zones"]}
high, normal = zones["HighMem"], zones["Normal"]
sys.exit(not (high["file"] > 0 and high["slab"] + high["page table"] + high["memmap"] == 0 and
              normal["file"] + normal["anonymous"] == 0 and normal["slab"] > 0))
END
answer S95 $? "the zones in $report"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
