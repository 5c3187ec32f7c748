#!/bin/sh
# SPDX-License-Identifier: MIT
# The command line of build/kmm from outside: exit codes, one clear sentence for each mistake, valid JSON,
# help that fits a screen, and the examples. Prints "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
kmm=build/kmm
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

ok() { passed=$((passed + 1)); }
bad() {
	failed=$((failed + 1))
	echo "FAIL $1"
	sed 's/^/  | /' "$dir/out" "$dir/err" | head -n 12
}

# expect CODE ARGUMENT...: runs kmm; the exit status must be CODE.
expect() {
	code=$1
	shift
	"$kmm" "$@" >"$dir/out" 2>"$dir/err"
	status=$?
	if [ "$status" = "$code" ]; then ok; else bad "kmm $* ended with $status, not $code"; fi
}

# mistake CODE WORD ARGUMENT...: also no answer, and one sentence that has WORD in it.
mistake() {
	code=$1 word=$2
	shift 2
	expect "$code" "$@"
	if [ -s "$dir/out" ]; then bad "kmm $*: an answer in spite of an error"; else ok; fi
	if [ "$(wc -l <"$dir/err")" = 1 ] && grep -q -e "$word" "$dir/err"; then ok
	else bad "kmm $*: no single sentence with '$word'"; fi
}

# says PATTERN: the last answer has a line that matches.
says() {
	if grep -q -e "$1" "$dir/out"; then ok; else bad "no line matches '$1'"; fi
}

# json EXPRESSION ARGUMENT...: --json is one valid object of which the Python expression on d is true.
json() {
	expression=$1
	shift
	"$kmm" "$@" --json >"$dir/out" 2>"$dir/err"
	if python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
assert d["schema"].startswith("kmm.") and d["version"] >= 1
assert eval(sys.argv[2]), sys.argv[2]' "$dir/out" "$expression" 2>>"$dir/err"; then ok
	else bad "kmm $* --json: not true: $expression"; fi
}

# --- usage ---
expect 2
expect 0 help
says '^  boot '
expect 0 version
for command in boot layout zones explain walk page report replay; do
	expect 0 "$command" --help
	lines=$(wc -l <"$dir/out")
	if [ "$lines" -le 30 ]; then ok; else bad "kmm $command --help has $lines lines"; fi
	expect 0 help "$command"
done
mistake 2 unknown frobnicate
mistake 2 'unknown machine' boot --machine vax
mistake 2 'not a size' boot --ram lots
mistake 2 'exclude each other' boot --ram 1G --memmap tests/boot/cli.memmap
expect 2 boot --frobnicate
expect 2 boot surplus
mistake 2 'unknown report' report weather
mistake 2 'which address' explain
mistake 2 'which frame' page

# --- input that cannot be ---
mistake 3 'too little' boot --ram 3
mistake 3 '4 GiB' boot --machine i386 --ram 100T
mistake 3 '64 GiB' layout --machine i386-pae --ram 65G
mistake 3 '64 TiB' boot --machine x86_64 --ram 65T
mistake 3 '32-bit' boot --machine x86_64 --vmalloc 256M
mistake 3 'processors' boot --cpus 4000
mistake 3 'no address' explain hello
mistake 3 'beyond the last address' explain 0x100000000
mistake 3 'No such file' boot --memmap "$dir/absent"
echo 'this is no range' >"$dir/map"
mistake 3 ':1:' boot --memmap "$dir/map"

# A host that has no room for the machine.
printf '#!/bin/sh\nulimit -v 4000000\nexec "%s" "$@"\n' "$(realpath "$kmm")" >"$dir/narrow"
chmod +x "$dir/narrow"
roomy=$kmm kmm=$dir/narrow
mistake 5 'cannot map' boot --machine x86_64 --ram 64T
kmm=$roomy

# --- answers ---
expect 0 boot --machine x86_64-la57 --ram 4P
says 'owned exactly once'
for machine in i386 i386-pae x86_64 x86_64-la57; do
	expect 0 boot --machine "$machine" --ram 4G
	says 'owned exactly once'
	expect 0 boot --machine "$machine" --ram 1G --strict
	expect 0 zones --machine "$machine"
	expect 0 layout --machine "$machine" --draw --table mem_map
	expect 0 explain --machine "$machine" --all
	expect 0 walk --machine "$machine" kmalloc
	says 'the byte there'
	expect 0 page --machine "$machine" kmap
	json 'd["violations"] == 0' boot --machine "$machine" --ram 2G
	json 'len(d["zones"]) >= 3' zones --machine "$machine"
	json 'len({z["node"] for z in d["zones"] if z["managed_pages"]}) == 4' zones --machine "$machine" --nodes 4 --cpus 4
	json 'd["layout"]["regions"][0]["first"] == "0x0"' layout --machine "$machine"
	json 'len(d["answers"]) == len(d["demonstration"])' explain --machine "$machine" --list --all
	json 'd["processor_agrees"] and d["walk"]["mapped"]' walk --machine "$machine" heap
	json 'd["page"]["references"] >= 1' page --machine "$machine" data
done
expect 0 boot --machine x86_64 --ram 64T
expect 0 explain kmalloc vmalloc kmap
expect 1 walk null
expect 1 page heap-new
expect 0 report maps
says '\[stack\]'
json '"MemTotal" in d["text"]' report meminfo
expect 0 boot --memmap tests/boot/cli.memmap
says 'owned exactly once'

# Numbers that questions ask for.
json '[r["at_32_bytes"] >> 20 for r in d["mem_map"]] == [8, 16, 32, 64, 128, 256, 512]' \
	layout --machine i386-pae --table mem_map
json '[r["at_40_bytes"] >> 20 for r in d["mem_map"]][2] == 40' layout --machine i386-pae --table mem_map
json 'd["layout"]["lowmem_limit_bytes"] == 0x36ffe000' layout --machine i386-pae --ram 4G --windows linux-6.1
json 'd["layout"]["lowmem_limit_bytes"] == 0x36bfe000' layout --machine i386 --ram 4G --windows linux-6.1
json 'd["layout"]["lowmem_limit_bytes"] >> 20 == 743' layout --machine i386-pae --windows linux-6.1 --vmalloc 256M

# The usual number for the end of low memory is right for no machine here, so it may be printed for none.
for machine in i386 i386-pae; do
	for command in boot layout zones; do
		"$kmm" $command --machine $machine --ram 4G >"$dir/out" 2>"$dir/err"
		if grep -q -w 896 "$dir/out"; then bad "kmm $command --machine $machine prints 896"; else ok; fi
	done
done

# Colour only where it is wanted.
"$kmm" boot >"$dir/out" 2>"$dir/err"
if grep -q "$(printf '\033')" "$dir/out"; then bad 'colour in a pipe'; else ok; fi
"$kmm" boot --color always >"$dir/out" 2>"$dir/err"
if grep -q "$(printf '\033')" "$dir/out"; then ok; else bad 'no colour with --color always'; fi

# The same seed gives the same answer.
"$kmm" explain --machine x86_64 --randomise --seed 7 --all >"$dir/first" 2>&1
"$kmm" explain --machine x86_64 --randomise --seed 7 --all >"$dir/out" 2>"$dir/err"
if cmp -s "$dir/first" "$dir/out"; then ok; else bad 'two runs with one seed differ'; fi

# --- replacement policies ---
expect 0 replay hotscan
says '^clock  *0  *302 '
says "^kmm-idle "
json 'd["policies"][0]["policy"] == "opt" and d["policies"][0]["phases"][1]["major_faults"] == 8276' replay cyclic --policy opt
printf ' S 1000,8\n L 2ffc,8\n' >"$dir/trace"
json 'd["pages"] == 3 and len(d["policies"]) == 7' replay "$dir/trace" -f 1000
json 'len(d["policies"][0]["phases"]) == 5 and d["policies"][0]["phases"][4]["major_faults"] == 302' \
	replay cyclic+hotscan --policy clock
json 'd["policies"][0]["phases"][1]["major_faults"] not in (0, 302)' replay hotscan --seed 3 --policy clock
says_programs=$("$kmm" replay short+short --policy kmm-idle | grep -c '^kmm-idle  *0  *0  *0 ')
if [ "$says_programs" = 2 ]; then ok; else bad 'two programs that fit into memory have major faults'; fi
# what the default policy promises where other programs ran before: not the figures of one machine, but no cliff
json 'd["policies"][0]["phases"][10]["major_faults"] < 1200 and d["policies"][0]["phases"][8]["major_faults"] < 7500' \
	replay cyclic+uniform+skewed+hotscan --policy kmm-idle --seed 5
json 'max(p["major_faults"] for p in d["policies"][0]["phases"] if p["sequence"] == "cyclic") < 15500' \
	replay hotscan+cyclic+uniform+cyclic --policy kmm-idle --seed 5
mistake 2 'which accesses' replay
mistake 3 'no such sequence' replay cyclic+nowhere
mistake 2 'more than 8 programs' replay short+short+short+short+short+short+short+short+short
mistake 2 'power of two' replay short+skewed --pages 1000
mistake 3 'no such sequence' replay nowhere
mistake 2 'power of two' replay skewed --pages 1000
mistake 2 'there are fifo' replay cyclic --policy mru
mistake 2 'whole number' replay cyclic --frames 0
printf 'r 1000\nwrite this down\n' >"$dir/trace"
mistake 3 'line 2' replay "$dir/trace"

# --- examples ---
for example in frames spaces; do
	if build/examples/$example >"$dir/out" 2>"$dir/err"; then ok; else bad "examples/$example"; fi
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
