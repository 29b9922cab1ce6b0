-- What every script finds around it. Shared tables are never handed out themselves but as shields: empty tables that
-- read through to what they stand for and refuse to be written. A host raises opaque objects; whoever catches an error
-- in a script gets what it stands for.
local native = ...
local error, getmetatable, setmetatable, next, type = error, getmetatable, setmetatable, next, type
local rawget, rawset, pcall, xpcall, tostring, pairs = rawget, rawset, pcall, xpcall, tostring, pairs
local loadstring, insert, concat, byte = loadstring, table.insert, table.concat, string.byte
local tonumber, select, unpack, collectgarbage = tonumber, select, unpack, collectgarbage
local find, match, gmatch, gsub = string.find, string.match, string.gmatch, string.gsub
local explain, handler, resume = native.explain, native.handler, coroutine.resume

local READONLY = "Attempt to modify a readonly table"
local shields = {}

local function refuse() error(READONLY, 2) end

local function shield(of)
    local s = {}
    shields[s] = of
    return setmetatable(s, { __index = of, __newindex = refuse })
end

local function missing(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end
local absent = { __index = missing }

-- What is wrong with an argument is said at the place of the call.
local function table_wanted(t, name)
    if type(t) ~= "table" then
        error("bad argument #1 to '" .. name .. "' (table expected, got " .. type(t) .. ")", 3)
    end
end

local function caught(ok, ...)
    if ok then return true, ... end
    local e = explain((...))
    if type(e) == "table" and type(rawget(e, "err")) == "string" then e = rawget(e, "err") end
    return false, e
end

-- The functions of the language that must know of shields and of errors of the host.
local sealed = shield({ __index = shield({}) })
local string_meta
local guarded = {}
function guarded.pcall(...) return caught(pcall(...)) end
local function handled(ok, ...)
    if not ok then explain(nil) end
    return ok, ...
end
function guarded.xpcall(f, h)
    return handled(xpcall(f, function(e) return h(explain(e)) end))
end
function guarded.setmetatable(t, m)
    table_wanted(t, "setmetatable")
    if shields[t] then error(READONLY, 0) end
    return setmetatable(t, m)
end
function guarded.getmetatable(t)
    if t ~= nil and shields[t] then return sealed end
    if type(t) == "string" then return string_meta end
    return getmetatable(t)
end
function guarded.rawset(t, k, v)
    table_wanted(t, "rawset")
    if shields[t] then error(READONLY, 0) end
    return rawset(t, k, v)
end
function guarded.rawget(t, k)
    table_wanted(t, "rawget")
    return rawget(shields[t] or t, k)
end
function guarded.next(t, k)
    table_wanted(t, "next")
    return next(shields[t] or t, k)
end
function guarded.pairs(t)
    table_wanted(t, "pairs")
    if shields[t] then return guarded.next, t, nil end
    return pairs(t)
end
-- The language's own function reckons with numbers that overflow, and breaks the process then.
local STACK_MAX, INT_MIN, INT_MAX = 8000, -2147483648, 2147483647
function guarded.unpack(...)
    local t, i, j = ...
    if type(t) ~= "table" then
        local got = select("#", ...) == 0 and "no value" or type(t)
        error("bad argument #1 to 'unpack' (table expected, got " .. got .. ")", 2)
    end
    local first, last = i == nil and 1 or tonumber(i), j == nil and #t or tonumber(j)
    if not first or not last then
        local nth, wrong = first and 3 or 2, first and j or i
        error("bad argument #" .. nth .. " to 'unpack' (number expected, got " .. type(wrong) .. ")", 2)
    end
    if first > last then return end
    -- Arguments and results have to fit at once.
    if not (last - first < STACK_MAX - select("#", ...) and first >= INT_MIN and last <= INT_MAX) then
        error("too many results to unpack", 2)
    end
    return unpack(...)
end
-- Compiled chunks are refused: they can do anything to the process. So are texts longer than the language can count, and
-- names that end before their end: the language reads a chunk under a copy of such a name, which it collects meanwhile.
local TEXT_MAX = 2 ^ 30
local function is_text(v) return type(v) == "string" or type(v) == "number" end
function guarded.loadstring(text, name)
    if type(text) == "string" then
        if byte(text) == 27 then return nil, "bad header in precompiled chunk" end
        if #text > TEXT_MAX then return nil, "chunk has too many characters" end
    end
    if is_text(text) and (name == nil or is_text(name)) then name = match(name or text, "^[^%z]*") end
    return loadstring(text, name)
end
function guarded.load(f, name)
    local parts = {}
    while true do
        local part = f()
        if part == nil or part == "" then break end
        parts[#parts + 1] = part
    end
    return guarded.loadstring(concat(parts), name or "=(load)")
end

-- The collector belongs to all scripts: what one of them sets about it is said back to it and changes nothing.
local collector = { stop = 0, restart = 0, setpause = 200, setstepmul = 200 }
function guarded.collectgarbage(what, n)
    local told = collector[what]
    if not told then return collectgarbage(what, n) end
    if told > 0 then collector[what] = tonumber(n) or 0 end
    return told
end

-- The language matches a pattern by calling itself for each repetition in it, and its stack ends somewhere.
local REPETITIONS_MAX = 10000
local function check_pattern(p)
    if type(p) == "string" and #p > REPETITIONS_MAX and native.repetitions(p) > REPETITIONS_MAX then
        error("pattern too complex", 3)
    end
end

-- Libraries: the language's own, and those of the host.
local libraries = {}
local function copied(t)
    local copy = {}
    for key, value in next, t do copy[key] = value end
    return copy
end
local function offer(name, lib) libraries[name] = shield(lib) end

local table_lib, math_lib, coroutine_lib, string_lib = copied(table), copied(math), copied(coroutine), copied(string)
function string_lib.find(...)
    local _, p, _, plain = ...
    if not plain then check_pattern(p) end
    return find(...)
end
function string_lib.match(...)
    local _, p = ...
    check_pattern(p)
    return match(...)
end
function string_lib.gmatch(...)
    local _, p = ...
    check_pattern(p)
    return gmatch(...)
end
function string_lib.gsub(...)
    local _, p = ...
    check_pattern(p)
    return gsub(...)
end
if string_lib.gfind then string_lib.gfind = string_lib.gmatch end
function table_lib.insert(t, ...)
    table_wanted(t, "insert")
    if shields[t] then error(READONLY, 0) end
    return insert(t, ...)
end
function coroutine_lib.resume(...) return caught(resume(...)) end
math_lib.random, math_lib.randomseed = native.random, native.randomseed
offer("table", table_lib)
offer("math", math_lib)
offer("string", string_lib)
offer("coroutine", coroutine_lib)
offer("os", { clock = os.clock })
for name, lib in next, native.libraries do
    if name == "cjson" then
        function lib.new() return libraries.cjson end
    end
    offer(name, lib)
end

-- The table `server`: what it offers while a script runs, and while a library of functions is loaded.
local api = native.api
local load_api = setmetatable({ register_function = native.register_function }, absent)
for _, name in next, native.while_loading do load_api[name] = api[name] end

-- Globals of scripts, and of functions, which have next to none while their library is loaded.
local function world()
    local globals = setmetatable({}, absent)
    for _, name in next, native.builtins do globals[name] = guarded[name] or _G[name] end
    for name, lib in next, libraries do globals[name] = lib end
    local server = shield(api)
    globals.server, globals.redis = server, server
    globals._G = shield(globals)
    return globals._G, globals
end

local script_outer, script_globals = world()
local function_outer, function_globals = world()
-- What a library keeps of it stays what it is: the functions that run later can't register anything.
local load_server = shield(load_api)
local load_globals = setmetatable({ server = load_server, redis = load_server }, absent)

local meta = getmetatable("")
meta.__index = libraries.string
string_meta = shield(meta)

local function run(f) return xpcall(f, handler) end

local function call(f, keys, argv)
    return xpcall(function() return f(keys, argv) end, handler)
end

local function set_loading(on)
    local globals = on and load_globals or function_globals
    getmetatable(function_outer).__index, shields[function_outer] = globals, globals
end

-- A cycle costs a few microseconds: there may be a fifth more than is in use when the next one begins.
collectgarbage("setpause", 120)

return script_outer, script_globals, function_outer, run, call, set_loading
