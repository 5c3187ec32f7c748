# SPDX-License-Identifier: MIT
# The shell itself, not commands: arrays, functions, subshells, pipes, jobs, signals, here documents, files.
declare -A count
words=(the quick brown fox jumps over the lazy dog and the fox runs)
for w in "${words[@]}"; do count[$w]=$((${count[$w]:-0} + 1)); done
for w in the fox dog none; do echo "$w ${count[$w]:-0}"; done

primes=()
for ((n = 2; n < 400; n++)); do
	for p in "${primes[@]}"; do
		((p * p > n)) && break
		((n % p == 0)) && continue 2
	done
	primes+=("$n")
done
echo "${#primes[@]} primes, the last is ${primes[-1]}"

fib() { if (($1 < 2)); then echo "$1"; else echo $(($(fib $(($1 - 1))) + $(fib $(($1 - 2))))); fi; }
echo "fib 7 $(fib 7)"

(exit 3); echo "status $?"
for i in 1 2 3 4 5 6; do (exit $i) & pids+=($!); done
for pid in "${pids[@]}"; do wait "$pid"; sum=$((sum + $?)); done
echo "six children: $sum"

trap 'echo "got usr1"' USR1
kill -USR1 $$
trap 'echo "the end"' EXIT

{ for i in {1..300}; do echo "$i $((i * i))"; done; } | while read -r a b; do
	((a % 100 == 0)) && echo "pipe $a $b"
done
while read -r line; do text+="[$line]"; done <<END
here $((1 + 1))
document
END
echo "$text"

file=$1/work.bash.$$
for i in {1..500}; do printf '%04d %s\n' $i "${words[i % 13]}"; done >"$file"
mapfile -t lines <"$file"
echo "${#lines[@]} lines, ${lines[499]}, ${lines[0]/the/a}"
: >"$file"
[[ -e $file && ! -s $file ]] && echo empty
[[ "linux-6.1.176" =~ ^([a-z]+)-([0-9]+)\.([0-9]+) ]] && echo "${BASH_REMATCH[1]} ${BASH_REMATCH[2]} ${BASH_REMATCH[3]}"
printf -v long '%*s' 100000 x
echo ${#long} "${long: -3}|" "${words[*]:2:3}" "${words[0]^^}"
