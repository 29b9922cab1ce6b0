//! Scripts that are out to end the process. Each has to end with an error, or with a result, on a thread with the stack that
//! the machine asks for; a test each, since one that fails takes its process with it.

use baton_resp::{Args, Out, Proto};
use baton_script::{Call, Engine, Host, Options, Ran, STACK_BYTES, Script, Version};

/// Repeats what it is told.
struct Echo;

impl Host for Echo {
    fn call(&mut self, args: Args<'_>, proto: Proto, reply: &mut Vec<u8>) -> bool {
        let mut out = Out::new(proto);
        match args.name() {
            b"raw" => out.raw(args.at(1)),
            b"count" => out.int(args.len() as i64),
            _ => out.bulk(args.at(1)),
        }
        reply.extend_from_slice(&out.buf);
        true
    }

    fn log(&mut self, _: u8, _: &[u8]) {}

    fn may_call(&mut self, _: Args<'_>) -> Result<bool, Vec<u8>> {
        Ok(true)
    }

    fn set_repl(&mut self, _: u8) {}
}

/// Most memory of a machine in these tests, in bytes.
const MEMORY_MAX: usize = 64 << 20;

fn outcome(engine: &Engine, source: &str) -> String {
    let mut out = Out::new(Proto::V2);
    let script = match Script::new(source.as_bytes()) {
        Ok(script) => script,
        Err(text) => return String::from_utf8_lossy(&text).into_owned(),
    };
    let call = Call { keys: &[], argv: &[], seed: 1 };
    match engine.eval(&script, &call, &mut Echo, &mut out) {
        Ran::Done => String::from_utf8_lossy(&out.buf).replace("\r\n", " ").trim_end().to_owned(),
        Ran::Failed(text) => String::from_utf8_lossy(&text).into_owned(),
        Ran::Halted(halt) => format!("{halt:?}"),
    }
}

/// Runs scripts one after the other in one machine, on a thread as those have that run scripts.
fn run(sources: &[&str]) -> Vec<String> {
    let sources: Vec<String> = sources.iter().map(|source| (*source).to_owned()).collect();
    let run = move || {
        let version = Version { text: "9.1.2".into(), number: 0x90102, old_text: "7.2.4".into(), old_number: 0x70204 };
        let options = Options { version, insecure: false, memory_bytes_max: MEMORY_MAX };
        let engine = Engine::new(&options, Box::new(|| None)).expect("there is memory");
        let told = sources.iter().map(|source| outcome(&engine, source)).collect();
        assert_eq!(outcome(&engine, "return 'still here'"), "$10 still here");
        told
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(run).expect("a thread");
    thread.join().expect("no panic")
}

/// The script ends with a text that holds this.
fn ends(source: &str, with: &str) {
    let told = run(&[source]).remove(0);
    assert!(told.contains(with), "{:?} of {source}", &told[..told.len().min(300)]);
}

const DEEP: &str = "pattern too complex";

#[test]
fn patterns_that_are_matched_by_deep_recursion() {
    for call in ["s:find(p)", "s:match(p)", "s:gsub(p, 'x')", "s:gmatch(p)()", "string.gfind(s, p)()"] {
        for item in ["a?", "a*", "a-", "a+", ".-", "[ab]?"] {
            let source = format!("local s, p = ('a'):rep(300000), ('{item}'):rep(300000) .. 'b' return #{{{call}}}");
            ends(&source, DEEP);
        }
    }
}

#[test]
fn the_deepest_patterns_that_are_taken_have_room() {
    ends("local s, p = ('a'):rep(10000), ('a?'):rep(10000) return (s:find(p))", ":1");
    ends("local s, p = ('a'):rep(10000), ('a-'):rep(9999) .. '$' return (s:find(p))", ":1");
    // In the deepest nest of calls of the language and of the library.
    let nested = "local p = ('a?'):rep(10000) local s = ('a'):rep(10000) local depth = 0
        local function f() depth = depth + 1 return (('x'):gsub('x', f)) .. s:find(p) end
        return {pcall(f)}";
    ends(nested, "C stack overflow");
}

#[test]
fn long_texts_are_still_found_and_patterns_without_repetition_are_free() {
    ends("local p = ('ab-'):rep(100000) return {p:find(p, 1, true)}", ":300000");
    ends("local p = ('ab'):rep(100000) return {p:find(p)}", ":200000");
    ends("local p = ('[ab]'):rep(20000) return {('b'):rep(20000):find(p)}", ":20000");
}

#[test]
fn memory_without_end() {
    for source in [
        "local s = 'x' while true do s = s .. s end",
        "return #string.rep('x', 2^31 - 1)",
        "return #string.rep(string.rep('x', 2^20), 2^20)",
        "local t = {} while true do t[#t + 1] = {} end",
        "local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end",
        "local t = {} for i = 1, 2^14 do t[i] = ('x'):rep(1024) .. i end return #table.concat(t, ('y'):rep(4096))",
        "local s = ('x'):rep(2^20) return #(s:gsub('x', ('y'):rep(1000)))",
        "return #string.format(('%s'):rep(200), unpack((function() local t = {} for i = 1, 200 do t[i] = ('x'):rep(2^21) end return t end)()))",
        "local f = function() end while true do local g = f f = function() return g() end end",
        "local t = {} for i = 1, 1e8 do t[i] = i end return #cjson.encode(t)",
        "local s = ('x'):rep(2^25) local t = {} for i = 1, 100 do t[i] = s end return #cmsgpack.pack(t)",
        "local s = ('\\1'):rep(2^24) return #cjson.encode({s, s, s, s, s})",
    ] {
        let told = run(&[source]).remove(0);
        assert!(
            told.contains("not enough memory") || told.contains("too "),
            "{:?} of {source}",
            &told[..told.len().min(300)]
        );
    }
}

#[test]
fn a_collector_that_was_stopped_runs_for_the_next_script() {
    let told = run(&[
        "collectgarbage('stop') return 1",
        "collectgarbage('setpause', 1000000) collectgarbage('setstepmul', 1) return 1",
        "for i = 1, 3e5 do local t = {{}, {}, {}} end return collectgarbage('count') < 30000 and 'small' or 'large'",
    ]);
    assert_eq!(told[2], "$5 small");
}

#[test]
fn more_references_than_the_machine_has_room_for() {
    let told = run(&[
        "local t = {} for i = 1, 7900 do t[i] = 'x' .. i end return redis.call('count', unpack(t))",
        "local t = {} for i = 1, 7900 do t[i] = 'x' .. i end return #cmsgpack.pack(unpack(t))",
        "local t = {} for i = 1, 7900 do t[i] = {} end return #cmsgpack.pack(unpack(t))",
        "local s = cmsgpack.pack('a') return #{cmsgpack.unpack(s:rep(100000))}",
        "local s = cmsgpack.pack({}) return #{cmsgpack.unpack(s:rep(7990))}",
        "local s = struct.pack('s', 'a') return #{struct.unpack(('s'):rep(100000), s:rep(100000))}",
        "return #{redis.sha1hex(unpack((function() local t = {} for i = 1, 7900 do t[i] = {} end return t end)()))}",
        "return math.random(unpack((function() local t = {} for i = 1, 7900 do t[i] = {} end return t end)()))",
        "return bit.bor(unpack((function() local t = {} for i = 1, 7900 do t[i] = tostring(i) end return t end)()))",
    ]);
    assert_eq!(told[0], ":7901");
    assert!(told[1..].iter().all(|told| told.starts_with(':') || told.starts_with("ERR")), "{told:?}");
}

#[test]
fn many_compiled_scripts_leave_room() {
    let many: Vec<String> = (0..2500).map(|n| format!("return {n}")).collect();
    let mut sources: Vec<&str> = many.iter().map(String::as_str).collect();
    sources.push("local t = {} for i = 1, 7900 do t[i] = 'x' .. i end return redis.call('count', unpack(t))");
    assert_eq!(run(&sources)[2500], ":7901");
}

#[test]
fn deep_data() {
    ends(
        "cjson.decode_max_depth(2^31 - 1) return #cjson.decode(('['):rep(1000000))",
        "too many nested data structures",
    );
    ends("cjson.decode_max_depth(2^31 - 1) return #cjson.decode(('['):rep(3999) .. (']'):rep(3999))", ":1");
    ends(
        "cjson.decode_max_depth(2^31 - 1) return #cjson.decode(('{\"a\":'):rep(1000000))",
        "too many nested data structures",
    );
    ends(
        "cjson.encode_max_depth(2^31 - 1) local t = {} for i = 1, 1e5 do t = {t} end return #cjson.encode(t)",
        "excessive nesting",
    );
    ends("cjson.encode_max_depth(2^31 - 1) local t = {} for i = 1, 3999 do t = {t} end return #cjson.encode(t)", ":");
    ends("cjson.encode_max_depth(2^31 - 1) local t = {} t.t = t return #cjson.encode(t)", "ERR");
    ends("local t = {} t[1] = t return #cmsgpack.pack(t)", ":");
    ends("return #cmsgpack.unpack(('\\145'):rep(1000000))", "Bad data format");
    ends("local t = {} for i = 1, 1e5 do t = {t} end return t", "reached lua stack limit");
    ends("local t = {} t[1] = t return t", "reached lua stack limit");
    ends("local t = {} t.map = t return t", "reached lua stack limit");
    ends("return redis.call('raw', ('*1\\r\\n'):rep(100000))", "");
    ends("return redis.call('raw', '*2147483647\\r\\n')", "");
    ends("return redis.call('raw', '%9999999999999999999\\r\\n')", "");
}

#[test]
fn calls_without_end() {
    ends("local function f() return f() + 1 end return f()", "stack overflow");
    ends(
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k] end return t.x",
        "C stack overflow",
    );
    ends("local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x", "loop in gettable");
    ends("local t = setmetatable({}, {}) getmetatable(t).__newindex = t t.x = 1", "loop in settable");
    ends(
        "local t = {} setmetatable(t, {__tostring = function() return tostring(t) end}) return tostring(t)",
        "C stack overflow",
    );
    ends("local t = {} setmetatable(t, {__concat = function() return t .. t end}) return t .. t", "C stack overflow");
    ends("local t = {} setmetatable(t, {__call = t}) return t()", "");
    // One result each: of more than fit, the language's own pcall notes one too many, for which there is room.
    ends("local function f() local ok = pcall(f) return ok end return tostring(f())", "");
    ends("local function f() local ok = xpcall(f, f) return ok end return tostring(f())", "");
    ends("local function f() error(setmetatable({}, {__tostring = function() error('x') end})) end f()", "");
    ends("local function f() return coroutine.wrap(f)() end return f()", "C stack overflow");
    ends("local function f() local ok = coroutine.resume(coroutine.create(f)) return ok end return tostring(f())", "");
    ends(
        "local co co = coroutine.create(function() return coroutine.resume(co) end) return tostring(coroutine.resume(co))",
        "true",
    );
    ends("local f f = function(s) return (s:gsub('.', f)) end return f('x')", "C stack overflow");
    ends("local t = {} for i = 1, 1000 do t[i] = i end table.sort(t, function() return true end) return 1", "");
    ends(
        "local t = {} for i = 1, 1000 do t[i] = i end table.sort(t, function(a, b) t[a] = nil return a > b end) return 1",
        "",
    );
    ends(
        "local t = {3, 2, 1} local function f(a, b) table.sort(t, f) return a < b end table.sort(t, f)",
        "C stack overflow",
    );
    ends(
        "local t = {} for i = 1, 200 do t[i] = coroutine.wrap(function() while true do coroutine.yield() end end) t[i]() end return #t",
        ":200",
    );
}

#[test]
fn source_that_is_hard_to_read() {
    ends("return loadstring('return ' .. ('('):rep(100000))()", "");
    ends("return tostring(loadstring('return ' .. ('-'):rep(3) .. ('not '):rep(100000) .. '1'))", "");
    ends("return tostring(loadstring('local a = ' .. ('{'):rep(100000)))", "");
    ends("return tostring(loadstring(('do '):rep(100000)))", "");
    ends("return tostring(loadstring(('if x then '):rep(100000)))", "");
    ends("return tostring(loadstring(('function f() '):rep(100000)))", "");
    ends("return tostring(loadstring('return ' .. ('a..'):rep(100000) .. 'a'))", "");
    ends("return tostring(loadstring('return ' .. ('a^'):rep(100000) .. 'a'))", "");
    ends("return tostring(loadstring('local ' .. ('a,'):rep(100000) .. 'a'))", "");
    ends("return tostring(loadstring('return {' .. ('1,'):rep(1000000) .. '}'))", "");
    ends("return tostring(loadstring('return ' .. ('f('):rep(100000)))", "");
    ends("return tostring(loadstring('x' .. ('.a'):rep(100000) .. ' = 1'))", "");
    ends("return tostring(loadstring('x = [' .. ('='):rep(1000000) .. '['))", "");
    ends("return tostring(loadstring('\\27Lua' .. ('x'):rep(1000)))", "nil");
    ends("return tostring(load(function() return nil end))", "function");
    ends(
        "local n = 0 return tostring(load(function() n = n + 1 return n == 1 and '\\27L' or n == 2 and 'ua' or nil end))",
        "nil",
    );
    ends("return tostring(string.dump)", "");
}

/// The name of a chunk that is being read belongs to nobody else: garbage is collected meanwhile.
#[test]
fn the_names_of_chunks_outlive_their_reading() {
    ends(
        "local text = {} for i = 1, 20000 do text[i] = 'local a' .. i % 150 .. ' = \"' .. ('x'):rep(50) .. i .. '\" do end ' end
         text = 'do ' .. table.concat(text, ' end do ') .. ' end error(\"where\")'
         for i = 1, 5 do
            local f = loadstring(text, '=name' .. i .. '\\0' .. i)
            local ok, e = pcall(f)
            if e ~= 'name' .. i .. ':1: where' then return e end
         end
         return 'good'",
        "good",
    );
}

#[test]
fn numbers_out_of_range() {
    for source in [
        "return math.random(-2^63, 2^63)",
        "return math.random(2^63)",
        "return math.random(-2^63, -2^63)",
        "math.randomseed(2^1000) return math.random(10)",
        "math.randomseed(0/0) return math.random(10)",
        "return unpack({}, -2^31, 2^31 - 1)",
        "return unpack({}, 0, 2^31 - 1)",
        "return unpack({}, 2^31 - 2, 2^31 - 1)",
        "return select(-2^31, 1)",
        "return select(2^31, 1)",
        "return ('x'):rep(-2^31)",
        "return ('x'):sub(-2^63, 2^63)",
        "return ('x'):byte(-2^63, 2^63)",
        "return #{(('x'):rep(100000)):byte(1, -1)}",
        "return string.char(unpack((function() local t = {} for i = 1, 7000 do t[i] = 65 end return t end)()))",
        "return string.char(-1)",
        "return string.format('%99.99f', -1e308)",
        "return string.format('%999d', 1)",
        "return string.format('%.999f', 1)",
        "return string.format('%' .. ('0'):rep(100) .. 'd', 1)",
        "return string.format('%q', ('\\0\\r\\n\\\"'):rep(100000))",
        "return string.format('%d', 0/0)",
        "return string.format('%c', 2^40)",
        "return string.format(('%d'):rep(100))",
        "return string.format('%5$d', 1)",
        "return tonumber('1', 2^31)",
        "return tonumber(('1'):rep(1000000), 36)",
        "return table.concat({}, 'x', 1, 2^31 - 1)",
        "return table.concat({}, 'x', -2^31, -2^31 + 5)",
        "return table.remove({}, -2^31)",
        "return table.maxn({[2^53] = 1})",
        "local t = {} t[0/0] = 1",
        "local t = {} t[2^53] = 1 t[-2^53] = 2 return #t",
        "for i = 2^53, 2^53 + 2 do break end return 1",
        "return bit.lshift(1, 2^31) + bit.rol(1, -2^63) + bit.tobit(0/0) + bit.tobit(1/0)",
        "return bit.tohex(1, -2^31) .. bit.tohex(1, 2^31 - 1)",
        "return struct.pack('i33', 1)",
        "return struct.pack('i99999999999999999999', 1)",
        "return struct.pack('c2147483647', 'x')",
        "return struct.pack('!2147483647i4', 1)",
        "return struct.pack('!0i4', 1)",
        "return struct.pack('i0', 1)",
        "return struct.pack('i32', 2^63)",
        "return struct.unpack('i0', 'x')",
        "return struct.unpack('c0', 'x')",
        "return struct.unpack('bc0', '\\255')",
        "return struct.unpack('i4', 'xxxx', 2^53)",
        "return struct.unpack('i4', 'xxxx', 2^63)",
        "return struct.unpack('c2147483647c2147483647', 'xxxx')",
        "return struct.size(('c2147483647'):rep(100000))",
        "return struct.size('!1073741824i32')",
        "return cmsgpack.unpack('\\223\\255\\255\\255\\255')",
        "return cmsgpack.unpack('\\221\\255\\255\\255\\255')",
        "return cmsgpack.unpack('\\219\\255\\255\\255\\255')",
        "return cmsgpack.unpack('\\198\\255\\255\\255\\255')",
        "return cmsgpack.unpack_one('\\1', -2^63)",
        "return cmsgpack.unpack_limit('\\1', 2^63, 2^62)",
        "return cmsgpack.unpack_limit('\\1', 0/0, 0/0)",
        "return cjson.encode({[2^53] = 1})",
        "cjson.encode_sparse_array(true) return #cjson.encode({[2^31] = 1})",
        "cjson.encode_sparse_array(false, 0, 0) return #cjson.encode({[1e6] = 1})",
        "cjson.encode_sparse_array(true, 2^31 - 1, 2^31 - 1) return 1",
        "cjson.encode_number_precision(14) return cjson.encode(1e308)",
        "return cjson.decode('1e999999999999999999999')",
        "return cjson.decode('-')",
        "return cjson.decode('\\\"\\\\uD800\\\\uD800\\\"')",
        "return cjson.decode('\\\"\\\\u')",
        "return cjson.decode(('9'):rep(1000000))",
        "return redis.setresp(2^63)",
        "return redis.log(2^63, 'x')",
        "return redis.set_repl(-2^63)",
        "return {double = 0/0}",
        "return 2^63",
        "return 0/0",
        "return {map = {[0/1] = 0/0}}",
        "return {err = ('x'):rep(1000000) .. '\\r\\n'}",
        "return {ok = '\\r\\n\\0'}",
        "return {big_number = ('9'):rep(100000)}",
        "return {verbatim_string = {format = '', string = ''}}",
        "return {verbatim_string = {format = ('x'):rep(100), string = 'x'}}",
        "error()",
        "error(nil)",
        "error({err = ('x'):rep(1000000)})",
        "error({err = {}})",
        "error(setmetatable({}, {__index = function() error('x') end}))",
        "return setmetatable({}, {__index = function() error('x') end})",
        "local a = {} for i = 1, 100 do a[i] = 'k' end redis.pcall(unpack(a)) redis.call({}, 1)",
        "return os.clock(1, 2, 3)",
        "return collectgarbage('step', 2^31 - 1)",
        "return collectgarbage('step', -2^31)",
        "return collectgarbage('setpause', -1)",
        "return gcinfo()",
        "return newproxy",
    ] {
        // What it says is its own business.
        run(&[source]);
    }
}
