"""Scripts and functions over sockets: what they reach, what travels to replicas, what files keep."""

import pytest
from resp import ErrorReply
from servers import eventually

INCR_TWO = "redis.call('incr', KEYS[1]) return redis.call('incrby', KEYS[1], ARGV[1])"
LIBRARY = """#!lua name=lib
redis.register_function('put', function(keys, args) return redis.call('set', keys[1], args[1]) end)
redis.register_function{function_name='look', callback=function(keys) return redis.call('get', keys[1]) end, flags={'no-writes'}}
"""


def follow(start, primary, kind="baton"):
    replica = start(kind, "--replicaof", f"127.0.0.1 {primary.port}")
    eventually(lambda: replica.info("replication")["master_link_status"] == "up", "the link to be up")
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
