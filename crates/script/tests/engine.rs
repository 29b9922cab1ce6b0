//! Scripts against a host of three commands. Replies and errors are those of Valkey 9.1.2 for the same scripts.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use baton_resp::{Args, Out, Proto};
use baton_script::{Call, Engine, Halt, Host, Libraries, LibraryText, Options, Ran, Script, Version};

#[derive(Default)]
struct Desk {
    keys: HashMap<Vec<u8>, Vec<u8>>,
    log: Vec<String>,
    stops: bool,
}

impl Host for Desk {
    fn call(&mut self, args: Args<'_>, proto: Proto, reply: &mut Vec<u8>) -> bool {
        let mut out = Out::new(proto);
        match (args.name(), args.len()) {
            (b"set", 3) => {
                self.keys.insert(args[1].to_vec(), args[2].to_vec());
                out.ok();
            }
            (b"get", 2) => match self.keys.get(&args[1]) {
                Some(value) => out.bulk(value),
                None => out.null(),
            },
            (b"echo", 2) => out.bulk(&args[1]),
            (b"raw", 2) => out.raw(&args[1]),
            (b"stop", _) => return !self.stops,
            _ => out.error("ERR Unknown command called from script"),
        }
        reply.extend_from_slice(&out.buf);
        true
    }

    fn log(&mut self, level: u8, text: &[u8]) {
        self.log.push(format!("{level} {}", String::from_utf8_lossy(text)));
    }

    fn may_call(&mut self, args: Args<'_>) -> Result<bool, Vec<u8>> {
        Ok(args.name() == b"get")
    }

    fn set_repl(&mut self, bits: u8) {
        self.log.push(format!("repl {bits}"));
    }
}

fn engine(watch: baton_script::Watch) -> Engine {
    let version = Version { text: "9.1.2".into(), number: 0x90102, old_text: "7.2.4".into(), old_number: 0x70204 };
    Engine::new(&Options { version, insecure: false, memory_bytes_max: 0 }, watch).expect("there is memory")
}

fn eval_in(engine: &Engine, desk: &mut Desk, source: &str, proto: Proto, argv: &[&[u8]]) -> String {
    let mut out = Out::new(proto);
    let script = match Script::new(source.as_bytes()) {
        Ok(script) => script,
        Err(text) => return String::from_utf8_lossy(&text).into_owned(),
    };
    let call = Call { keys: &[b"key"], argv, seed: 1 };
    match engine.eval(&script, &call, desk, &mut out) {
        Ran::Done => String::from_utf8_lossy(&out.buf).replace("\r\n", " ").trim_end().to_owned(),
        Ran::Failed(text) => String::from_utf8_lossy(&text).into_owned(),
        Ran::Halted(halt) => format!("{halt:?}"),
    }
}

fn eval(source: &str) -> String {
    eval_in(&engine(Box::new(|| None)), &mut Desk::default(), source, Proto::V2, &[b"a", b"b"])
}

fn check(pairs: &[(&str, &str)]) {
    let engine = engine(Box::new(|| None));
    for (source, reply) in pairs {
        let got = eval_in(&engine, &mut Desk::default(), source, Proto::V2, &[b"a", b"b"]);
        assert_eq!(got, *reply, "{source}");
    }
}

#[test]
fn values_become_replies() {
    check(&[
        ("return 3.99", ":3"),
        ("return {1,2,nil,4}", "*2 :1 :2"),
        ("return {true,false}", "*2 :1 $-1"),
        ("return 'x'", "$1 x"),
        ("return", "$-1"),
        ("return {double=3.5}", "$3 3.5"),
        ("return {map={a=1}}", "*2 $1 a :1"),
        ("return {set={a=true}}", "*1 $1 a"),
        ("return {big_number='12345'}", "$5 12345"),
        ("return {verbatim_string={string='hi',format='txt'}}", "$2 hi"),
        ("return {ok='fine\\n'}", "+fine"),
        ("return {err='ERR x'}", "-ERR x"),
        ("return {KEYS[1],ARGV[1],ARGV[2],{}}", "*4 $3 key $1 a $1 b *0"),
        ("return redis.error_reply('My Err')", "-My Err"),
        ("return redis.error_reply('-My Err')", "-My Err"),
        ("return redis.error_reply('-MyErr')", "-ERR MyErr"),
        ("return redis.error_reply()", "-ERR wrong number or type of arguments"),
        ("return redis.status_reply('fine')", "+fine"),
        ("local t = {} t[1] = t return #t", ":1"),
    ]);
    let desk = &mut Desk::default();
    let v3 = |source: &str| eval_in(&engine(Box::new(|| None)), &mut Desk::default(), source, Proto::V3, &[]);
    assert_eq!(v3("return {map={a=1}}"), "%1 $1 a :1");
    assert_eq!(v3("return {double=3.5}"), ",3.5");
    assert_eq!(v3("return true"), ":1");
    assert_eq!(v3("redis.setresp(3) return true"), "#t");
    assert_eq!(eval_in(&engine(Box::new(|| None)), desk, "return {set={a=1}}", Proto::V3, &[]), "~1 $1 a");
}

#[test]
fn replies_become_values() {
    let shown = "local x = redis.call('raw', ARGV[1]) return cjson.encode(x)";
    let engine = engine(Box::new(|| None));
    for (resp, reply, value) in [
        (2, "+OK\r\n", r#"{"ok":"OK"}"#),
        (2, ":-5\r\n", "-5"),
        (2, "$3\r\nabc\r\n", r#""abc""#),
        (2, "$-1\r\n", "false"),
        (2, "*-1\r\n", "false"),
        (2, "*3\r\n:1\r\n$-1\r\n*1\r\n+x\r\n", r#"[1,false,[{"ok":"x"}]]"#),
        (3, "_\r\n", "null"),
        (3, "#t\r\n", "true"),
        (3, ",1.5\r\n", r#"{"double":1.5}"#),
        (3, "%1\r\n$1\r\na\r\n:1\r\n", r#"{"map":{"a":1}}"#),
        (3, "~1\r\n$1\r\na\r\n", r#"{"set":{"a":true}}"#),
        (3, "(123\r\n", r#"{"big_number":"123"}"#),
        (3, "=7\r\ntxt:abc\r\n", r#"{"verbatim_string":"txtabc"}"#),
        (2, "*1000000\r\n", "{}"),
        (2, "$100\r\nabc", r#""""#),
        (2, "!", "null"),
    ] {
        let source = shown.replace("local x", &format!("redis.setresp({resp}) local x"));
        let of_two = "local v = x.verbatim_string x.verbatim_string = v.format .. v.string ";
        let source = if reply.starts_with('=') { source.replace("return", &format!("{of_two}return")) } else { source };
        let got = eval_in(&engine, &mut Desk::default(), &source, Proto::V2, &[reply.as_bytes()]);
        assert_eq!(got.split_once(' ').map(|(_, text)| text), Some(value), "{reply:?}");
    }
}

#[test]
fn errors_say_where() {
    check(&[
        ("return redis.call('nosuch')", "ERR Unknown command called from script script: on @user_script:1."),
        ("return redis.pcall('nosuch')", "-ERR Unknown command called from script"),
        ("\nredis.call()", "ERR Please specify at least one argument for this call script: on @user_script:2."),
        ("return redis.call({})", "ERR Command arguments must be strings or integers script: on @user_script:1."),
        ("error('boom')", "ERR user_script:1: boom script: on @user_script:1."),
        ("error({err='My Err'})", "My Err script: on @user_script:1."),
        ("error()", "ERR nil script: on @user_script:1."),
        ("error({})", "ERR unknown error script: on @user_script:1."),
        (
            "return 1 + nil",
            "ERR user_script:1: attempt to perform arithmetic on a nil value script: on @user_script:1.",
        ),
        (
            "\n\nlocal x = nil return x.y",
            "ERR user_script:3: attempt to index local 'x' (a nil value) script: on @user_script:3.",
        ),
        ("return {1,2", "ERR Error compiling script (new function): user_script:1: '}' expected near '<eof>'"),
        ("redis.setresp(4)", "ERR RESP version must be 2 or 3. script: on @user_script:1."),
        ("redis.log(9,'y')", "ERR Invalid log level. script: on @user_script:1."),
        ("return redis.sha1hex()", "ERR wrong number of arguments script: on @user_script:1."),
        (
            "return cjson.encode(1/0)",
            "ERR user_script:1: Cannot serialise number: must not be NaN or Inf script: on @user_script:1.",
        ),
        (
            "local a,x=pcall(redis.call,'nosuch') return {type(x),x}",
            "*2 $6 string $38 ERR Unknown command called from script",
        ),
        ("local a,x=pcall(cjson.decode,'[1,') return x", "$45 Expected value but found T_END at character 4"),
        ("local a,x=xpcall(function() redis.call('nosuch') end, function(e) return type(e) end) return x", "$5 table"),
        (
            "pairs('x')",
            "ERR user_script:1: bad argument #1 to 'pairs' (table expected, got string) script: on @user_script:1.",
        ),
        ("local a,x=pcall(error,{code=5}) return x.code", ":5"),
    ]);
}

#[test]
fn nothing_shared_can_be_changed() {
    let readonly = "ERR user_script:1: Attempt to modify a readonly table script: on @user_script:1.";
    let plain = "ERR Attempt to modify a readonly table script: on @user_script:1.";
    check(&[
        ("foo = 1", readonly),
        ("redis.call = 1", readonly),
        ("string.x = 1", readonly),
        ("cjson.encode = nil", readonly),
        ("_G.x = 1", readonly),
        ("getmetatable(_G).__index = {}", readonly),
        ("getmetatable('').__index = {}", readonly),
        ("getmetatable('').__index.upper = {}", readonly),
        ("setmetatable(_G, {})", plain),
        ("rawset(_G, 'a', 1)", plain),
        ("table.insert(redis, 1)", plain),
        ("loadstring('x = 1')()", "ERR [string \"x = 1\"]:1: Attempt to modify a readonly table script: on x = 1:1."),
        (
            "return foo",
            "ERR user_script:1: Script attempted to access nonexistent global variable 'foo' script: on @user_script:1.",
        ),
        ("return tostring(rawget(_G, 'print')) .. tostring(rawget(_G, 'dofile'))", "$6 nilnil"),
        ("return loadstring('\\27Lua') == nil", ":1"),
        ("local n = 0 for k in pairs(redis) do n = n + 1 end return n > 15", ":1"),
        (
            "for k, v in next, redis do if k == 'sha1hex' then return v('') end end",
            "$40 da39a3ee5e6b4b0d3255bfef95601890afd80709",
        ),
        ("return ('x'):rep(3)", "$3 xxx"),
        ("return redis == server", ":1"),
        ("return type(coroutine.wrap(function() coroutine.yield(1) end)())", "$6 number"),
    ]);
}

#[test]
fn one_script_leaves_nothing_behind() {
    let engine = engine(Box::new(|| None));
    let run = |source: &str| eval_in(&engine, &mut Desk::default(), source, Proto::V2, &[]);
    assert_eq!(run("redis.setresp(3) cjson.encode_number_precision(3) return 1"), ":1");
    assert_eq!(run("return cjson.encode(1.23456)"), "$7 1.23456");
    assert_eq!(run("return redis.call('get', 'nokey') == false"), ":1");
    let drawn = run("return {math.random(1000), math.random(1000)}");
    assert_eq!(run("return {math.random(1000), math.random(1000)}"), drawn);
}

/// The language's own function, asked for so many values that their number overflows, ends the process.
#[test]
fn unpack_counts_before_it_begins() {
    let wrong = |nth: u32, wanted: &str, got: &str| {
        format!(
            "ERR user_script:1: bad argument #{nth} to 'unpack' ({wanted} expected, got {got}) script: on @user_script:1."
        )
    };
    let too_many = "ERR user_script:1: too many results to unpack script: on @user_script:1.";
    check(&[
        ("return {unpack({1,2,3}, -2, 2147483647)}", too_many),
        ("return {unpack({1,2,3}, -2147483648, -2)}", too_many),
        ("return {unpack({1,2,3}, 4294967294, 4294967299)}", too_many),
        ("return {unpack({1,2,3}, 0/0, 1)}", too_many),
        ("return {unpack({1,2,3}, -2^40, -2^40)}", too_many),
        ("return #{unpack({1}, 1, 8000)}", too_many),
        ("return #{unpack({1}, 1, 7997)}", ":1"),
        ("return #{unpack({1}, 1, 7998)}", too_many),
        ("local t = {} for i = 1, 7999 do t[i] = i end return select('#', unpack(t))", ":7999"),
        ("return {unpack({1,2,3}, 3, 1)}", "*0"),
        ("return {unpack({1,2,3}, 1.9, '2.9')}", "*2 :1 :2"),
        ("return {unpack({1,2,3})}", "*3 :1 :2 :3"),
        ("return {unpack()}", &wrong(1, "table", "no value")),
        ("return {unpack(1)}", &wrong(1, "table", "number")),
        ("return {unpack({1}, 'x', '2')}", &wrong(2, "number", "string")),
        ("return {unpack({1}, 1, {})}", &wrong(3, "number", "table")),
    ]);
}

#[test]
fn libraries_answer_as_they_always_did() {
    check(&[
        (
            r#"return cjson.encode({1,2,{a='b'},cjson.null,true,1.5,1e100,'"\\/\127\1'})"#,
            r#"$57 [1,2,{"a":"b"},null,true,1.5,1e+100,"\"\\\/\u007f\u0001"]"#,
        ),
        ("return cjson.encode({})", "$2 {}"),
        ("return cjson.encode({[1]=1,[5]=2})", "$20 [1,null,null,null,2]"),
        (r#"return cjson.decode('{"a":[1,null,"x\\u00e9"]}').a[3]"#, "$3 xé"),
        ("return cmsgpack.unpack(cmsgpack.pack({1,2,{a=1.5,b='x'}}))[3].b", "$1 x"),
        ("return {cmsgpack.unpack_one('\\1\\2',0)}", "*2 :1 :1"),
        ("return {cmsgpack.unpack_one('\\1\\2',1)}", "*2 :-1 :2"),
        ("return {cmsgpack.unpack_limit('\\1\\2\\3',2)}", "*3 :2 :1 :2"),
        ("return cmsgpack.unpack('')", "$-1"),
        ("return struct.pack('>I2', 258) == '\\1\\2'", ":1"),
        ("return {struct.unpack('>I2hs', struct.pack('>I2hs', 1, -2, 'abc'))}", "*4 :1 :-2 $3 abc :9"),
        ("return struct.size('bhilc5')", ":20"),
        (
            "return {bit.band(1.5,3), bit.tobit(4294967295), bit.tohex(255), bit.tohex(-1,-8), bit.bswap(1)}",
            "*5 :2 :-1 $8 000000ff $8 FFFFFFFF :16777216",
        ),
        ("return {bit.rol(1,33), bit.arshift(-8,1), bit.rshift(-8,1), bit.bnot(0)}", "*4 :2 :-4 :2147483644 :-1"),
    ]);
    for (call, text) in [
        ("cjson.encode({[1]=1,[50]=2})", "Cannot serialise table: excessively sparse array"),
        ("cjson.encode(function() end)", "Cannot serialise function: type not supported"),
        ("cjson.encode()", "bad argument #1 to 'encode' (expected 1 argument)"),
        ("cjson.decode('')", "Expected value but found T_END at character 1"),
        ("cjson.decode('{1')", "Expected object key string but found T_NUMBER at character 2"),
        ("cjson.decode('[1] x')", "Expected the end but found invalid token at character 5"),
        ("cjson.decode('\"abc')", "Expected value but found unexpected end of string at character 5"),
        ("cjson.decode('-')", "Expected value but found invalid number at character 1"),
        ("cjson.decode(string.rep('[',1001))", "Found too many nested data structures (1001) at character 1001"),
        ("cmsgpack.pack()", "bad argument #0 to 'pack' (MessagePack pack needs input.)"),
        ("cmsgpack.unpack('\\220')", "Missing bytes in input."),
        ("cmsgpack.unpack('\\193')", "Bad data format in input."),
        ("cmsgpack.unpack_limit('\\1\\2\\3',1,-5)", "Invalid request to unpack with offset of -5 and limit of 3."),
        ("struct.pack('i99', 1)", "integral size 99 is larger than limit of 32"),
        ("struct.unpack('I4', 'abc')", "bad argument #2 to 'unpack' (data string too short)"),
        ("struct.unpack('s', 'abcd')", "unfinished string in data"),
        ("bit.band()", "bad argument #1 to 'band' (number expected, got no value)"),
    ] {
        let told = format!("ERR user_script:1: {text} script: on @user_script:1.");
        assert_eq!(eval(&format!("return {call}")), told, "{call}");
    }
}

#[test]
fn an_ended_script_cannot_go_on() {
    let ended = Rc::new(Cell::new(false));
    let watch = Rc::clone(&ended);
    let engine = engine(Box::new(move || watch.get().then(|| "ERR enough".to_owned())));
    ended.set(true);
    for source in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "local function f() while true do pcall(coroutine.wrap(function() while true do end end)) end end f()",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
    ] {
        let got = eval_in(&engine, &mut Desk::default(), source, Proto::V2, &[]);
        assert_eq!(got, r#"Killed("ERR enough")"#, "{source}");
    }
    ended.set(false);
    assert_eq!(eval_in(&engine, &mut Desk::default(), "return 1", Proto::V2, &[]), ":1");
    let mut desk = Desk { stops: true, ..Desk::default() };
    let source = "while not pcall(redis.call, 'stop') do end return redis.call('set', 'a', 'b')";
    assert_eq!(eval_in(&engine, &mut desk, source, Proto::V2, &[]), format!("{:?}", Halt::Abandoned));
    assert!(desk.keys.is_empty());
}

#[test]
fn functions_are_registered_and_called() {
    let engine = engine(Box::new(|| None));
    let mut desk = Desk::default();
    let code = b"#!lua name=l1
local hits = 0
redis.register_function('f1', function(keys, args) hits = hits + 1 return {keys[1], args[1], hits} end)
redis.register_function{function_name='f2', callback=function() foo = 1 end, flags={'no-writes'}, description='d'}
redis.register_function('f3', function() return KEYS end)
redis.register_function('f4', function() return redis.register_function end)
local kept = redis
redis.register_function('f5', function() kept.register_function('f6', function() end) end)
redis.register_function('f7', function() return kept.call('echo', 'x') end)
redis.register_function('f8', function() return {kept == redis} end)
redis.log(redis.LOG_WARNING, 'loaded')
";
    let text = LibraryText::parse(code).unwrap();
    let specs = engine.load(text.body, 1, &mut desk).unwrap();
    assert_eq!(desk.log, ["3 loaded"]);
    let mut all = Libraries::default();
    all.add(text.library(specs, 1), false).unwrap();
    let mut call = |name: &[u8]| {
        let (library, function) = all.function(name).unwrap();
        let mut out = Out::new(Proto::V2);
        match engine.call(library, function, &Call { keys: &[b"k"], argv: &[b"v"], seed: 1 }, &mut desk, &mut out) {
            Ran::Done => String::from_utf8_lossy(&out.buf).replace("\r\n", " ").trim_end().to_owned(),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(call(b"f1"), "*3 $1 k $1 v :1");
    assert_eq!(call(b"f1"), "*3 $1 k $1 v :2");
    assert!(call(b"f2").contains("Failed"));
    assert!(call(b"f3").contains("Failed"));
    assert_eq!(call(b"f4"), "$-1");
    let failed = |reply: String, text: &str| {
        let bytes: Vec<u8> = text.bytes().collect();
        let shown = format!("{bytes:?}");
        assert!(reply.contains(&shown[1..shown.len() - 1]), "{text}");
    };
    failed(call(b"F5"), "ERR server.register_function can only be called on FUNCTION LOAD command");
    failed(call(b"f7"), "Script attempted to access nonexistent global variable 'call'");
    assert_eq!(call(b"f8"), "*1 $-1");
    engine.keep_libraries(|_| false);
    assert_eq!(call(b"f1"), "*3 $1 k $1 v :1");
}

#[test]
fn a_library_is_refused_as_upstream_says() {
    let engine = engine(Box::new(|| None));
    let prefix = "Error registering functions: ERR ";
    for (body, error) in [
        ("return 1 +", "Error compiling function: user_function:2: unexpected symbol near '<eof>'".to_owned()),
        (
            "redis.call('set','a','b')",
            format!("{prefix}user_function:2: Script attempted to access nonexistent global variable 'call'"),
        ),
        (
            "error('x')",
            format!("{prefix}user_function:2: Script attempted to access nonexistent global variable 'error'"),
        ),
        ("x = 1", format!("{prefix}user_function:2: Attempt to modify a readonly table")),
        ("redis.register_function()", format!("{prefix}wrong number of arguments to server.register_function")),
        (
            "redis.register_function(1,2)",
            format!("{prefix}second argument to server.register_function must be a function"),
        ),
        ("redis.register_function({})", format!("{prefix}server.register_function must get a function name argument")),
        (
            "redis.register_function{function_name='a', callback=function() end, flags={'x'}}",
            format!("{prefix}unknown flag given"),
        ),
        (
            "redis.register_function('a', function() end) redis.register_function('a', function() end)",
            "Function already exists in the library".to_owned(),
        ),
    ] {
        let got = engine.load(format!("\n{body}").as_bytes(), 1, &mut Desk::default()).unwrap_err();
        assert_eq!(String::from_utf8_lossy(&got), error, "{body}");
    }
}
