"""Client-side caching: whoever read a key is told when it changed, behind what he read, and before he is answered by anybody
who may know of the change."""

import threading

import pytest
import resp

from servers import Server


@pytest.fixture
def server():
    one = Server("baton", "--worker-threads", "3")
    one.start()
    yield one
    one.remove()


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


def test_a_replica_tells_its_caches_what_its_primary_changed(server):
    replica = Server("baton", "--worker-threads", "2", "--replicaof", f"127.0.0.1 {server.port}")
    replica.start()
    try:
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
    finally:
        replica.remove()
