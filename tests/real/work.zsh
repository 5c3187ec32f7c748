# SPDX-License-Identifier: MIT
# What only this shell does: flags of expansions, floating point, sorting, associative arrays, anonymous functions.
typeset -A square
for i in {1..200}; do square[$i]=$((i * i)); done
print ${#square} ${square[17]} ${(k)square[(r)169]}
list=(${(on)${(s: :):-"9 10 2 33 1"}})
print $list ${(j:-:)list} ${#list} ${(L)${:-ABC}} ${(u)${=:-a b a}}
print $((3.0 / 4)) $((16#ff)) $(([##2] 10))
() { local x=$1; print "anonymous ${x:u}" } word
total=0
for x in {1..20000}; do ((total += x % 7)); done
print total $total
print -l one two three | while read -r w; do print "<$w>"; done
print ${${:-$(print -l c b a)}//[[:space:]]/,}
(exit 4) || print "status $?"
coproc { read -r line; print "echoed $line" }
print -p hello
read -rp answer
print $answer
string=${(l:50000::ab:)}
print ${#string} $string[1,4]
