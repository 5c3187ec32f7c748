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

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
