"""Scripts and functions over sockets: what they reach, what travels to replicas, what files keep."""

import pytest
from resp import ErrorReply, encode
from servers import eventually

INCR_TWO = "redis.call('incr', KEYS[1]) return redis.call('incrby', KEYS[1], ARGV[1])"
LIBRARY = """#!lua name=lib
redis.register_function('put', function(keys, args) return redis.call('set', keys[1], args[1]) end)
redis.register_function{function_name='look', callback=function(keys) return redis.call('get', keys[1]) end, flags={'no-writes'}}
"""


def follow(start, primary, kind="baton"):
    replica = start(kind, "--replicaof", f"127.0.0.1 {primary.port}")
    eventually(replica.is_linked, "the link to be up")
    return replica


def acknowledged(primary):
    """A write of its own and its acknowledgement: what came before it has arrived."""
    with primary.connect() as connection:
        connection("SET", "last", "one")
        assert connection("WAIT", "1", "10000") == 1


def test_a_script_is_one_transaction_on_the_replica(start):
    primary = start("baton")
    replica = follow(start, primary)
    assert primary("EVAL", INCR_TWO, 1, "n", 5) == 6
    # Keys that are not declared are reached too, whatever their slots are.
    many = "for i = 1, 50 do redis.call('set', 'k' .. i, i) end return redis.call('dbsize')"
    assert primary("EVAL", many, 0) == 51
    acknowledged(primary)
    assert (replica("GET", "n"), replica("DBSIZE")) == (b"6", 52)
    with pytest.raises(ErrorReply, match="READONLY"):
        replica("EVAL", "return redis.call('set', 'a', 'b')", 0)


def test_what_a_script_did_before_it_strayed_is_done_once(start):
    server = start("baton", "--worker-threads", "2")
    script = "redis.call('incr', KEYS[1]) redis.call('publish', 'c', 'm') redis.call('keys', '*') return redis.call('incr', KEYS[1])"
    with server.connect() as listener:
        listener("SUBSCRIBE", "c")
        assert [server("EVAL", script, 1, "n") for _ in range(2)] == [2, 4]
        assert [listener.read() for _ in range(2)] == [[b"message", b"c", b"m"]] * 2
        server("PUBLISH", "c", "end")
        assert listener.read() == [b"message", b"c", b"end"]
    assert server("GET", "n") == b"4"


def test_functions_reach_replicas_and_files(start):
    primary = start("baton")
    assert primary("FUNCTION", "LOAD", LIBRARY) == b"lib"
    replica = follow(start, primary)
    assert primary("FCALL", "put", 1, "a", "b") == b"OK"
    second = LIBRARY.replace("name=lib", "name=two").replace("'put'", "'put2'").replace("'look'", "'look2'")
    assert primary("FUNCTION", "LOAD", second) == b"two"
    acknowledged(primary)
    assert replica("FCALL_RO", "look", 1, "a") == b"b"
    assert replica("FCALL_RO", "look2", 1, "a") == b"b"
    payload = primary("FUNCTION", "DUMP")
    primary("FUNCTION", "FLUSH")
    assert primary("FUNCTION", "LIST") == []
    assert primary("FUNCTION", "RESTORE", payload) == b"OK"
    primary("SAVE")
    primary.restart()
    assert primary("FCALL", "put2", 1, "c", "d") == b"OK"


def test_functions_travel_between_servers(start):
    primary = start("valkey")
    primary("FUNCTION", "LOAD", LIBRARY)
    replica = follow(start, primary)
    primary("FCALL", "put", 1, "a", "b")
    acknowledged(primary)
    assert replica("FCALL_RO", "look", 1, "a") == b"b"
    dumped = replica("FUNCTION", "DUMP")
    primary("FUNCTION", "FLUSH")
    primary("FUNCTION", "RESTORE", dumped)
    assert primary("FCALL", "look", 1, "a") == b"b"
    # The other way round: Valkey follows Baton.
    other = start("baton")
    other("FUNCTION", "LOAD", LIBRARY)
    follower = follow(start, other, "valkey")
    other("EVAL", INCR_TWO, 1, "n", 5)
    acknowledged(other)
    assert follower("GET", "n") == b"6"
    assert follower("FCALL_RO", "look", 1, "n") == b"6"


LIB = "#!lua name=%s\nserver.register_function('%s', function() return 1 end)"
KEEPS = """#!lua name=keeps
local kept = redis
kept.register_function('change', function() kept.math = math end)
kept.register_function('register', function() kept.register_function('late', function() end) end)
kept.register_function('call', function() return kept.call('ping') end)
kept.register_function('equal', function() return kept == redis end)
kept.register_function('absent', function() return {type(redis.foo), type(redis.register_function)} end)
"""
FULL = "local t = {} for i = 1, %d do t[i] = i end return select('#', unpack(%s))"
REQUESTS = [
    # Names of functions are the same in both cases of letters, those of libraries are not.
    ("FUNCTION", "LOAD", LIB % ("one", "f")),
    ("FCALL", "F", 0),
    ("FUNCTION", "LOAD", LIB % ("ONE", "g")),
    ("FUNCTION", "LOAD", LIB % ("two", "F")),
    ("FUNCTION", "DELETE", "ONE"),
    ("FUNCTION", "LOAD", LIB % ('"quoted"', "q")),
    ("FUNCTION", "LOAD", LIB % ('"open', "r")),
    ("FUNCTION", "LOAD", "#! name=x\n"),
    ("FUNCTION", "LOAD", "#!lua"),
    ("FUNCTION", "STATS"),
    ("EVAL", "#! flags=no-writes\nreturn 1", 0),
    ("EVAL", '#!lua flags="no-writes,allow-oom"\nreturn 1', 0),
    ("EVAL", '#!lua flags="no-writes\nreturn 1', 0),
    ("EVAL", "#!lua name=x\nreturn 1", 0),
    # What a library keeps of the table that it loads with.
    ("FUNCTION", "LOAD", KEEPS),
    *[("FCALL", name, 0) for name in ("change", "register", "call", "equal", "absent")],
    ("FUNCTION", "LOAD", "#!lua name=x\nredis.call('ping')"),
    # What its first line says of a script decides before it runs.
    ("CONFIG", "SET", "maxmemory", 1),
    ("EVAL", "#!lua\nreturn 1", 0),
    ("EVAL", "#!lua flags=allow-oom\nreturn 1", 0),
    ("EVAL", "redis.call('del', KEYS[1]) return redis.call('set', KEYS[1], 'x')", 1, "k"),
    ("EVAL", "return redis.call('set', KEYS[1], 'x')", 1, "k"),
    ("MULTI",),
    ("EVAL", "#!lua\nreturn 1", 0),
    ("EXEC",),
    ("CONFIG", "SET", "maxmemory", 0, "min-replicas-to-write", 1),
    ("EVAL", "#!lua\nreturn 1", 0),
    ("EVAL", "return redis.call('set', KEYS[1], 'x')", 1, "k"),
    ("CONFIG", "SET", "min-replicas-to-write", 0, "replica-serve-stale-data", "no"),
    ("REPLICAOF", "127.0.0.1", 1),
    ("EVAL", "return 1", 0),
    ("EVAL", "#!lua flags=no-writes\nreturn 1", 0),
    ("EVAL", "#!lua flags=no-writes,allow-stale\nreturn 1", 0),
    ("CONFIG", "SET", "replica-serve-stale-data", "yes"),
    ("EVAL", "#!lua\nreturn 1", 0),
    ("EVAL_RO", "#!lua\nreturn 1", 0),
    ("FCALL", "f", 0),
    ("FCALL_RO", "f", 0),
    ("EVAL", "return redis.call('set', KEYS[1], 'x')", 1, "k"),
    ("REPLICAOF", "NO", "ONE"),
    # The language's own function breaks the process for some of these.
    ("EVAL", "return {unpack({1, 2, 3}, -2, 2147483647)}", 0),
    ("EVAL", "return {unpack({1, 2, 3}, -2147483648, -2)}", 0),
    ("EVAL", "return {unpack({1, 2, 3}, 1.9, '2')}", 0),
    ("EVAL", "return {unpack({1}, 'x')}", 0),
    ("EVAL", "return {unpack()}", 0),
    *[("EVAL", FULL % (n, args), 0) for n in (7998, 7999, 8000) for args in ("t", "t, 1", "t, 1, #t")],
    # What a script sees of sets, replies and time does not depend on how things lie in memory.
    ("SADD", "s", "b", "a", "c", "aa"),
    ("EVAL", "return redis.call('sort', KEYS[1], 'by', 'x')", 1, "s"),
    ("EVAL", "return redis.call('sort_ro', KEYS[1], 'by', 'x', 'desc')", 1, "s"),
    ("DEBUG", "SET-DISABLE-DENY-SCRIPTS", 1),
    ("EVAL", "redis.setresp(3) return redis.call('debug', 'protocol', 'attrib')", 0),
    ("EVAL", "local t = redis.call('time') redis.call('debug', 'sleep', 0.01) return t[2] == redis.call('time')[2]", 0),
    ("DEBUG", "SET-DISABLE-DENY-SCRIPTS", 0),
    ("EVAL", "return redis.call('debug', 'protocol', 'attrib')", 0),
    ("CONFIG", "RESETSTAT"),
    ("EVAL_RO", "return redis.call('set', KEYS[1], 'x')", 1, "k"),
    ("EVAL", "return redis.call('set')", 0),
    ("EVAL", "return redis.call('unheard-of')", 0),
    ("INFO", "errorstats"),
]


def test_what_is_flushed_takes_no_memory_on_any_thread(start):
    server = start("baton", "--worker-threads", 3)
    connections = [server.connect() for _ in range(6)]
    for connection in connections:
        connection("EVAL", "return 1", 0)
        connection("FUNCTION", "LOAD", "REPLACE", LIB % ("one", "f"))

    def used(name):
        return int(server.info("memory")[f"used_memory_{name}"])

    assert used("lua") > 0 and used("vm_functions") > 0
    server("SCRIPT", "FLUSH")
    eventually(lambda: used("lua") == 0, "the machines to be gone")
    assert [connection("FCALL", "f", 0) for connection in connections] == [1] * 6
    server("SCRIPT", "FLUSH")
    assert [connection("FCALL", "f", 0) for connection in connections] == [1] * 6
    assert used("lua") > 0
    server("FUNCTION", "FLUSH")
    eventually(lambda: used("lua") == used("vm_functions") == 0, "everything to be gone")
    for connection in connections:
        connection.close()


def test_scripts_answer_as_upstream(start):
    ours, theirs = (start(kind, "--enable-debug-command", "yes") for kind in ("baton", "valkey"))
    with ours.connect() as mine, theirs.connect() as other:
        for request in REQUESTS:
            replies = []
            for connection in (mine, other):
                connection.send(encode(*request))
                replies.append(connection.read())
            assert str(replies[0]) == str(replies[1]), request
    calls = [server.info("commandstats")["cmdstat_set"].split(",") for server in (ours, theirs)]
    assert [call for call in calls[0] if "usec" not in call] == [call for call in calls[1] if "usec" not in call]


def test_a_script_that_says_it_only_reads_is_not_held_with_writes(start):
    server = start("baton")
    server("SET", "k", "v")
    server("CLIENT", "PAUSE", "60000", "WRITE")
    reading = "#!lua flags=no-writes\nreturn server.call('GET', KEYS[1])"
    assert server("EVAL", reading, 1, "k") == b"v"
    telling = "#!lua flags=no-writes\nreturn server.call('PUBLISH', 'c', 'm')"
    with pytest.raises(ErrorReply, match="Write commands are not allowed from read-only scripts"):
        server("EVAL", telling, 0)
    with server.connect() as held:
        held.send(encode("EVAL", "return 1", 0))
        eventually(lambda: server.info("clients")["blocked_clients"] == "1", "it waits")
        server("CLIENT", "UNPAUSE")
        assert held.read() == 1


def test_no_script_ends_the_process(baton):
    for source, told in (
        ("return (('a'):rep(300000)):find(('a?'):rep(300000) .. 'b')", "pattern too complex"),
        ("cjson.decode_max_depth(2^31 - 1) return #cjson.decode(('['):rep(1000000))", "too many nested data structures"),
        ("local f f = function(s) return (s:gsub('.', f)) end return f('x')", "C stack overflow"),
        ("return math.random(-2^63, 2^63)", ""),
    ):
        try:
            baton("EVAL", source, 0)
        except ErrorReply as error:
            assert told in str(error), source
        assert baton("PING") == b"PONG", source
