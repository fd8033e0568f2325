-- Stores records, each behind the last one of its hold (an instance's hold of a
-- node), and skips those that are stored already.
--
-- KEYS: the hash that knows the last record of each hold, then the streams.
-- ARGV: the length to trim the streams to, 0 for none; how many holds the hash
-- keeps; how many follow here; for each its stream, counted from 1, its node and
-- its instance; for each record its hold, counted from 1, epoch, seq, kind, name,
-- time and data.
--
-- Returns how many records are stored, how many of them were before, and why the
-- next one is not, or "". -1 records: the hash cannot be written.
local last, length, keep, n, at = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), 4

-- What may fail is done before anything is stored: after the first write of a
-- script neither its permissions nor the server's memory are in its way.
local may = redis.pcall('HSET', last, 'layout', '1')
if type(may) == 'table' and may.err then
	return {-1, 0, may.err}
end

local holds = {}
for i = 1, n do
	local node, instance = ARGV[at + 1], ARGV[at + 2]
	local name = instance .. '/' .. node
	local seq = redis.call('HGET', last, name)
	if not seq then
		-- '#1', '#2' … are the holds in the order in which they were first seen.
		-- The oldest goes.
		seq = '0'
		local count = redis.call('HINCRBY', last, 'holds', 1)
		local oldest = '#' .. (count - keep)
		-- Also if there is none: who may not do it learns so now.
		redis.call('HDEL', last, oldest, redis.call('HGET', last, oldest) or oldest)
		redis.call('HSET', last, '#' .. count, name, name, seq)
	end
	holds[i] = {stream = KEYS[1 + tonumber(ARGV[at])], node = node, instance = instance, name = name, seq = seq, was = seq}
	at = at + 3
end

local stored, duplicates, why = 0, 0, ''
for a = at, #ARGV, 7 do
	local h, epoch, seq = holds[tonumber(ARGV[a])], ARGV[a + 1], ARGV[a + 2]
	-- They are compared as texts: numbers of Lua are exact up to 2^53 only.
	if #seq < #h.seq or (#seq == #h.seq and seq <= h.seq) then
		duplicates = duplicates + 1
	else
		local done
		if length == '0' then
			done = redis.pcall('XADD', h.stream, '*',
				'id', h.name .. '/' .. epoch .. '/' .. seq, 'node', h.node, 'epoch', epoch, 'seq', seq, 'kind', ARGV[a + 3],
				'name', ARGV[a + 4], 'time', ARGV[a + 5], 'instance', h.instance, 'data', ARGV[a + 6])
		else
			done = redis.pcall('XADD', h.stream, 'MAXLEN', '~', length, '*',
				'id', h.name .. '/' .. epoch .. '/' .. seq, 'node', h.node, 'epoch', epoch, 'seq', seq, 'kind', ARGV[a + 3],
				'name', ARGV[a + 4], 'time', ARGV[a + 5], 'instance', h.instance, 'data', ARGV[a + 6])
		end
		if type(done) == 'table' and done.err then
			why = done.err
			break
		end
		h.seq = seq
	end
	stored = stored + 1
end

for _, h in ipairs(holds) do
	if h.seq ~= h.was then
		redis.call('HSET', last, h.name, h.seq)
	end
end
return {stored, duplicates, why}
