-- SPDX-License-Identifier: MIT
-- Allocation of many sizes, garbage, strings, sorting, coroutines, files. Prints sums that must be the same everywhere.
local size = tonumber(arg[1] or "1")

local seed = 12345
local function random(n)
	seed = (seed * 1103515245 + 12345) % 2147483648
	return seed % n + 1
end

local function sum_of(text)
	local sum = 0
	for i = 1, #text do
		sum = (sum * 31 + text:byte(i)) % 4294967296
	end
	return sum
end

-- garbage: only the last of each place lives
local live = {}
for i = 1, 60000 * size do
	live[random(500)] = { i, string.rep("x", random(200)), { i * 2 } }
end
local total = 0
for i = 1, 500 do
	if live[i] then
		total = total + #live[i][2] + live[i][3][1]
	end
end
print("live", total)
collectgarbage()
print("small again", collectgarbage("count") < 4000)

local list = {}
for i = 1, 30000 * size do
	list[i] = random(1000000)
end
table.sort(list)
for i = 2, #list do
	assert(list[i - 1] <= list[i])
end
print("sorted", list[1], list[#list // 2], list[#list])

local words = {}
for i = 1, 5000 * size do
	words[#words + 1] = string.format("%05d:%x", i, random(65536))
end
local text = table.concat(words, " ")
print("text", #text, sum_of(text), (text:gsub("%d+:", "")):len())

local numbers = coroutine.wrap(function()
	local a, b = 0, 1
	while true do
		coroutine.yield(a)
		a, b = b, (a + b) % 1000007
	end
end)
local last
for _ = 1, 20000 * size do
	last = numbers()
end
print("fibonacci", last)

local name = (arg[2] or "/tmp") .. "/work.lua.out"
local file = assert(io.open(name, "w"))
for i = 1, #words do
	file:write(words[i], "\n")
end
file:close()
local lines, chars = 0, 0
for line in io.lines(name) do
	lines, chars = lines + 1, chars + #line
end
os.remove(name)
print("file", lines, chars, io.open(name) == nil)
print("pi", string.format("%.12f", 4 * math.atan(1)), 7 // 2, 7.0 / 2, 2 ^ 0.5)
print(pcall(error, "caught"))
