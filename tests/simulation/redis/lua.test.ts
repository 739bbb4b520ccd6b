/** Snippets of Lua mean the same in the model as in Redis; what the model does not know it refuses. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { RedisModel } from '../../../faults/simulation/redis/redis.ts'
import { connect } from '../../support/redis.ts'

let store: Awaited<ReturnType<typeof connect>>
beforeAll(async () => {
  store = await connect()
})
afterAll(() => store.close())

const text = (expression: string) => `return tostring(${expression})`

const snippets: Record<string, string[]> = {
  'nil, false and what is true': [
    'return {1, nil == false and 1 or 2, 0 and 3 or 4, "" and 5 or 6, not nil and 7 or 8}',
    'local a = false; local b = a or nil; return {tostring(a), tostring(b), tostring(nil and 1)}',
    'local x = 1 and false; local y = nil or "y"; return {tostring(x), y}',
    'return {true, false, 3}',
    'local t = {1, 2, nil}; return #t',
    'if redis.call("GET", "millrace-no-such-key") == false then return "false" end return "nil"',
    'return {1, 2, redis.call("GET", "millrace-no-such-key"), 4}',
    'return {1, nil, 3}',
  ],
  'numbers as text': [
    '1e14',
    '1e15',
    '123456789012345',
    '-0.1',
    '1/3',
    '1e100',
    '0.1 + 0.2',
    '2^53',
    '100 .. ""',
    '-(0/1)',
    '1e-5',
    '123456.789e3',
    '1/0',
    '-1/0',
    '5 % 3',
    '-5 % 3',
    '5.5 % 2',
    '-1 % 0.3',
    '10 / 2',
    '3 .. 4',
    '2^0.5',
    '0x10 + 1',
    '.5',
    '3.',
    '1e+2',

    '"10" + 5',
    '"0x10" * 1',
    '" 7 " + 1',
    '-"3"',
    '10 == "10"',
    '1 < 2',
    '"a" < "b"',
    '"9" > "10"',

    'math.floor(-1.5)',
    'math.floor("3.7")',
    'math.min(3, 1, 2)',
    'math.max(1, 5, 2)',
    'math.huge',
    'math.ceil(1.2)',
    'math.abs(-3)',
    '-math.huge',
  ].map(text),
  'text as numbers': [
    '""',
    '" "',
    '"12"',
    '" 12 "',
    '"1e3"',
    '"1e400"',
    '"0x1F"',
    '"-5"',
    '"+5"',
    '"5."',
    '".5"',

    '"."',
    '"1 2"',
    '"12a"',
    '"inf"',
    '"-inf"',
    '"1e"',
    '"--1"',
    'nil',
    'false',
    'true',
    '7',
    '{}',

    '"Infinity"',
    '"0b11"',
    '"1_000"',
    '"12\\n"',
    '"\\160" .. "1"',
    '"9007199254740993"',
    '"-0x10"',
  ].map((argument) => text(`tonumber(${argument})`)),
  'string.format': [
    '"%.0f", 0.5',
    '"%.0f", 1.5',
    '"%.0f", 2.5',
    '"%.0f", -0.5',
    '"%.0f", 9007199254740993',
    '"%.0f", 1e22',
    '"%.0f", "12"',
    '"%.0f", 1e15 + 0.3',
    '"%.0f", -1234567890123',
    '"%d", 42',

    '"%s|%s", "a", 1',
    '"%.3f", 1.23456',
    '"100%%"',
    '"%s", nil',
    '"%.17g", 0.1',
    '"%.0f", -2.5',
  ].map((argument) => `return string.format(${argument})`),
  strings: [
    'string.sub("hello", 2, 4)',
    'string.sub("hello", -3)',
    'string.sub("hello", 0)',
    'string.sub("hello", 2, -2)',
    'string.sub("hello", 10)',
    'string.sub("hello", 4, 2)',
    'string.sub("hello", -100, 2)',
    'string.rep("ab", 3)',
    'string.rep("ab", 0)',
    '#"a\\0b"',

    'string.byte("a")',
    'string.byte("\\255")',
    '"a\\65\\n\\"" .. \'"\'',
    '[[long]]',
    'string.len("é")',
    'string.upper("aé")',
    'string.lower("ABC")',
    'table.concat({1, "a", 2.5}, ",")',
    'table.concat({})',
    '#"é"',
    'type(1)',
    'type(nil)',
    'type({})',
  ].map(text),
  patterns: [
    '"12|34", "^(.*)|(%d+)$"',
    '"a|b|7", "^(.*)|(%d+)$"',
    '"a||", "^([^|]*)|([^|]*)|([^|]*)$"',

    '"x", "^([^|]*)|"',
    '"12:frontier", "^(%d+):frontier$"',
    '"12:frontiers", "^(%d+):frontier$"',
    '"ab12", "%d+"',
    '"ab12", "%a-"',
    '"ab12", "%a-%d"',
    '"a.b", "a%.b"',
    '"a+b", "[%+%-]"',
    '"a-b", "[a-]+"',
    '"]x", "[]x]+"',
    '"^a", "[%^a]+"',
    '"a$b", "a$b"',
    '"abc", "(a)(b)(c)"',

    '"", "^[^|]*"',
    '"  x ", "^%s*(.-)%s*$"',
    '"key=val", "(%w+)=(%w+)"',
    '"\\1", "%c"',
    '"a\\nb", "a.b"',

    '"abcd", "b", 3',
    '"abcd", "^c", 3',
    '"f(x)", "%((.)%)"',
    '"x_1", "[%w_]+"',
    '"12", "%d?%d?%d?"',
    '"[a]", "[[]a[]]"',
    '"X9", "%u%x"',
    '"aaab", "a*ab"',
    '"a{b}/c", "{(%l)}/"',
  ].map((argument) => `return {string.match(${argument})}`),
  'find and gmatch': [
    'return {string.find("a|b", "|", 1, true)}',
    'return {string.find("a|b|c", "|", 3, true)}',
    'return {string.find("abc", "(b)(c)")}',
    'return {string.find("abc", "x")}',
    'return {string.find("abc", "", 10, true)}',
    'local r = {} for a, b in string.gmatch("1|2,30|4", "(%d+)|(%d+)") do r[#r + 1] = b .. a end return r',
    'local r = {} for w in string.gmatch("one two", "%a+") do r[#r + 1] = w end return r',
    'local r = {} for w in string.gmatch("aXb", "X*") do r[#r + 1] = "<" .. w .. ">" end return r',
  ],
  tables: [
    'local t = {} t[1] = "a" t[2] = "b" t[#t + 1] = "c" t[2] = nil t[3] = nil return #t',
    'local t = {} t[3] = 3 t[2] = 2 t[1] = 1 return t',
    'local t = {10, 20, 30, nil} return {#t, unpack(t)}',
    'local t = {1, 2, 3} table.insert(t, 1, 0) table.insert(t, 4) return t',
    'return {unpack({1, 2, 3, 4}, 2, 3)}',
    'return {(unpack({1, 2, 3}))}',
    'return {unpack({1, 2}), unpack({3, 4})}',
    'local t = {a = 1, ["b c"] = 2, 7, [2] = 8} return {t.a, t["b c"], t[1], t[2], #t}',
    'local r = {} for i, v in ipairs({1, 2, nil, 4}) do r[#r + 1] = i * 10 + v end return r',
    'local n = 0 for k, v in pairs({a = 1, b = 2, 3, 4}) do n = n + v end return n',
    'local t = {a = 1, b = 2, c = 3} for k in pairs(t) do t[k] = nil end local n = 0 for _ in pairs(t) do n = n + 1 end return n',
    'return {ok = "fine"}',
    'return {err = "BAD thing"}',
    'return {1, {2, {3, "x"}}, 2.9, -2.9}',
  ],
  control: [
    'local r = {} for i = 1, 3 do r[#r + 1] = i end return r',
    'local r = {} for i = 3, 1, -1 do r[#r + 1] = i end return r',
    'local r = {} for i = 1, 2, 0.5 do r[#r + 1] = tostring(i) end return r',
    'local r = {} for i = 1, 0 do r[1] = i end return r',
    'local r, s = {}, -2 for i = 5, 1, s do r[#r + 1] = i end return r',
    'local n = 0 for i = "1", "3" do n = n + i end return n',
    'local i = 0 repeat local done = i >= 3 i = i + 1 until done return i',
    'local i = 0 while true do i = i + 1 if i == 5 then break end end return i',
    'local f = {} for i = 1, 3 do f[i] = function() return i end end return f[1]() + f[3]()',
    'local a, b, c = (function() return 1, 2 end)() return {a, b, tostring(c)}',
    'local function f() return 1, 2, 3 end return {f(), f()}',
    'local function f() end local a = f() return tostring(a)',
    'local function f() return 1, 2 end local function g(a, b) return tostring(a) .. tostring(b) end return g(f())',
    'local function f() end local function g(a, b) return tostring(a) .. tostring(b) end return g(f())',
    'local function f() return 10, 20 end return {tostring(f()), tostring((f()))}',
    'local t = {a = nil, b = 1, c = false} return {tostring(t.a), t.b, tostring(t.c), tostring(t.d), #t}',
    'local s = "text" return s.a.b',
    'local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end return fib(15)',
    'local a, b = 1, 2 a, b = b, a return {a, b}',
    'local a = 1 do local a = 2 end local b = a local a = a + 5 return {a, b}',
    'local t = {n = 0} local function inc() t.n = t.n + 1 return t.n end return {inc(), inc(), t.n}',
    'return 2 ^ 3 ^ 2 - -2 ^ 2',
    'return tostring(1 .. 2 == "12") .. tostring(not 1 == 2)',
    'return 1 + 2 < 4 and "yes" or "no"',
    'local t = {f = function(x, y) return y, x end} return {t.f(1, 2)}',
    'local s = 0 for k, v in (function(t, i) i = i + 1 if t[i] then return i, t[i] end end), {4, 5}, 0 do s = s + k * v end return s',
    'local function f(a, ...) local b, c = ... return {a, b, tostring(c), ...} end return f(1, 2)',
    'local function f(...) return (...), #{...}, ... end return {f(7, 8), f()}',
    'local function f(...) for i, v in ipairs({...}) do if v == 2 then return i end end end return f(1, 2)',
    '-- a comment\nreturn --[[ another ]] 1;',
  ],
  'struct and cjson': [
    'return struct.pack("<I4", 258) .. struct.pack("<dd", 1.5, -2)',
    'return {tostring(struct.unpack("<d", struct.pack("<d", 0.1))), #struct.pack("<ddd", 1, 2, 3)}',
    'local a = { struct.unpack("<dI4", struct.pack("<dI4", 7, 9)) } return a',
    'return cjson.encode({1, "a/b\\n\\1\\127é\\"", true, 1.5})',
    'return cjson.encode({}) .. cjson.encode("x") .. cjson.encode(12345678901234567)',
    'return cjson.encode({a = {b = {}}})',
  ],
  errors: [
    'return 1 < "2"',
    'return {} < {}',
    'local t = nil return t.x',
    'local t = {} return t.x.y',
    'return 1 + nil',
    'return "a" + 1',
    'return "a" .. nil',
    'local f = nil return f()',
    'return #nil',
    'return redis.call("HGET", "x")',
    'return redis.call("GET", {})',
    'local t = {} t[nil] = 1',
    'return {unpack({}, 1, 9000)}',
    'for i = 1, "x" do end',
    'return struct.unpack("<d", "short")',
    'return table.concat({{}})',
  ],
}

describe('as in Redis', () => {
  const model = new RedisModel({ now: () => 1_700_000_000_000 })
  for (const [what, sources] of Object.entries(snippets)) {
    test(what, async () => {
      for (const source of sources) {
        const real = await store.redis
          .callBuffer('EVAL', source, 0)
          .then(readable, () => 'an error')
        expect({ source, reply: modelled(model, source) }).toEqual({ source, reply: real })
      }
    })
  }
})

function modelled(model: RedisModel, source: string): unknown {
  try {
    return readable(model.executeBuffer(['EVAL', source, 0]))
  } catch (error) {
    if (error instanceof Error && error.name === 'ReplyError') return 'an error'
    throw error
  }
}

function readable(reply: unknown): unknown {
  if (Array.isArray(reply)) return reply.map(readable)
  return Buffer.isBuffer(reply) ? reply.toString('latin1') : reply
}

describe('refused with the line', () => {
  const refused: Record<string, string> = {
    'local x = 1\nglobal = x': 'Lua line 2: assigns to a global',
    'return\nnosuch(1)': "Lua line 2: 'nosuch' is not known here",
    'return string.reverse("x")': "Lua line 1: 'string.reverse' is not known here",
    'local x = 1\nreturn ...': "Lua line 2: no '...' here",
    'local s = "x"\nreturn s:sub(1)': "Lua line 2: unexpected ':'",
    'function f() end': "Lua line 1: no statement begins with 'function' here",
    'local i = ipairs({})': 'Lua line 1: ipairs outside of a for',
    'local t = {': "Lua line 1: unexpected '<end>'",
    'return "\\q"': 'Lua line 1: unknown escape \\q',
    break: 'Lua line 1: no loop to break',
    'local string = 1': "a local 'string' would hide a library",
  }
  for (const [source, message] of Object.entries(refused)) {
    test(JSON.stringify(source), () => {
      const model = new RedisModel({ now: () => 0 })
      expect(() => model.execute(['EVAL', source, 0])).toThrow(message)
    })
  }
})
