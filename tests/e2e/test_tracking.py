"""Client-side caching: whoever read a key is told when it changed, behind what he read, and before he is answered by anybody
who may know of the change."""

import threading

import pytest
import resp

from servers import eventually


@pytest.fixture
def server(start):
    return start("baton", "--worker-threads", "3")


def cache(server, *options):
    """A connection that is told of changes."""
    connection = server.connect()
    connection("HELLO", "3")
    connection("CLIENT", "TRACKING", "ON", *options)
    return connection


def test_a_change_that_somebody_was_told_of_is_heard_of_before_the_next_reply(server):
    readers, writers = [cache(server) for _ in range(6)], [server.connect() for _ in range(6)]
    for n in range(300):
        reader, writer = readers[n % 6], writers[n // 6 % 6]
        reader("GET", f"key:{n % 7}")
        writer("SET", f"key:{n % 7}", n)
        # The writer has its reply: the reader must not get his in front of the message.
        reader.send(resp.encode("PING"))
        assert reader.read()[:2] == [b"invalidate", [f"key:{n % 7}".encode()]]
        assert reader.read() in ("PONG", b"PONG")
        for other in readers:
            if other is not reader:
                other("CLIENT", "TRACKING", "OFF")
                other("CLIENT", "TRACKING", "ON")


def test_a_cache_is_never_left_with_an_old_value(server):
    """A writer counts up while a cache reads and drops what it is told to. In the end it holds what the server does."""
    connection, keys = cache(server), [f"key:{n}" for n in range(8)]

    def write():
        with server.connect() as writer:
            for n in range(1500):
                writer("SET", keys[n * 5 % 8], n)

    writing = threading.Thread(target=write)
    writing.start()
    held = {}

    def take(reply):
        if isinstance(reply, list) and reply[:1] == [b"invalidate"]:
            for name in reply[1]:
                held.pop(name.decode(), None)
            return True
        return False

    while writing.is_alive() or len(held) < len(keys):
        for key in keys:
            if key not in held:
                connection.send(resp.encode("GET", key))
                while take(reply := connection.read()):
                    pass
                held[key] = reply
        connection.send(resp.encode("PING"))
        while take(connection.read()):
            pass
    writing.join()
    connection.send(resp.encode("PING"))
    while take(connection.read()):
        pass
    assert all(held.get(key, value) == value for key in keys for value in [server("GET", key)])


def test_a_replica_tells_its_caches_what_its_primary_changed(start, server):
    replica = start("baton", "--worker-threads", "2", "--replicaof", f"127.0.0.1 {server.port}")
    with server.connect() as writer:
        # Only who wrote waits for what was written.
        writer("SET", "key", "1")
        assert writer("WAIT", "1", "5000") == 1
    connection, listener = cache(replica), cache(replica, "BCAST", "PREFIX", "k")
    assert connection("GET", "key") == b"1"
    server("SET", "key", "2")
    assert connection.read() == [b"invalidate", [b"key"]]
    assert listener.read() == [b"invalidate", [b"key"]]
    server("FLUSHALL")
    assert connection.read() == [b"invalidate", None]


@pytest.mark.parametrize("kind", ["baton", "valkey"])
def test_a_flush_that_is_refused_tells_nobody(start, kind):
    one = start(kind)
    reader, writer = cache(one), one.connect()
    reader("GET", "key")
    for words in (["FLUSHALL", "NOW"], ["FLUSHDB", "SYNC", "ASYNC"]):
        with pytest.raises(resp.ErrorReply, match="ERR syntax error"):
            writer(*words)
    writer("SET", "key", "1")
    assert reader.read() == [b"invalidate", [b"key"]]
    reader("GET", "key")
    writer("FLUSHALL")
    assert reader.read() == [b"invalidate", None]


def heard(connection, until):
    """All that comes up to this reply."""
    out = []
    while not out or out[-1] != until:
        reply = connection.read()
        out.append(reply[1] if isinstance(reply, list) and reply[:1] == [b"invalidate"] else reply)
    return out[:-1]


@pytest.mark.parametrize("kind", ["baton", "valkey"])
def test_messages_come_in_the_order_of_the_changes(start, kind):
    one = start(kind)
    reader, listener, writer = cache(one), cache(one, "BCAST"), one.connect()
    names = ["a", "b", "c", "d", "e", "f"]
    for name in names:
        reader("SET", name, 1)
    for connection in (reader, listener):
        connection.send(resp.encode("PING", "begun"))
        heard(connection, b"begun")
    reader("MGET", *names)
    # Two keys by one command, some by a transaction, one by a script: nothing else is in any order by itself.
    writer.send(b"".join(resp.encode(*words) for words in [
        ("MSET", "d", 2, "b", 2), ("DEL", "f"), ("MULTI",), ("SET", "e", 2), ("SET", "d", 3), ("SET", "a", 2), ("EXEC",),
        ("EVAL", "redis.call('APPEND', KEYS[1], 'x')", 1, "c"),
    ]))
    for _ in range(8):
        writer.read()
    reader.send(resp.encode("PING", "done"))
    assert heard(reader, b"done") == [[b"d"], [b"b"], [b"f"], [b"e"], [b"a"], [b"c"]]
    told = []
    eventually(lambda: told.extend(*listener.read()[1:]) or len(told) >= 6, "all changes to be told")
    assert sorted(told) == [b"a", b"b", b"c", b"d", b"e", b"f"]


@pytest.mark.parametrize("kind", ["baton", "valkey"])
def test_who_changes_a_key_hears_of_it_behind_the_reply(start, kind):
    connection = cache(start(kind))
    connection("MSET", "a", 1, "b", 2)
    requests = [
        ("MGET", "a", "b"), ("SET", "a", 2), ("GET", "a"), ("MULTI",), ("SET", "a", 3), ("DEL", "b"), ("EXEC",), ("GET", "a"),
        ("EVAL", "redis.call('DEL', KEYS[1]) return 'deleted'", 1, "a"), ("PING", "done"),
    ]
    connection.send(b"".join(resp.encode(*words) for words in requests))
    assert heard(connection, b"done") == [
        [b"1", b"2"], b"OK", [b"a"], b"2", b"OK", b"QUEUED", b"QUEUED", [b"OK", 1], [b"a"], [b"b"], b"3", b"deleted", [b"a"],
    ]
