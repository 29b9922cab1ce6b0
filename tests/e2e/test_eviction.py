"""Keys that go when memory is full: how many, which, and what replicas hear of it."""

import pytest

from resp import ErrorReply
from servers import eventually
from test_replication import FLAGS, attach, in_step

MEGABYTE = 1 << 20


def used(server):
    return int(server.info("memory")["used_memory"])


def limit(server, megabytes, policy):
    server("CONFIG", "SET", "maxmemory-policy", policy)
    server("CONFIG", "SET", "maxmemory", used(server) + megabytes * MEGABYTE)
    return used(server) + megabytes * MEGABYTE


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-ttl", "volatile-lru"])
@pytest.mark.parametrize("bytes_each", [20, 3000, 200_000])
def test_the_limit_holds_under_a_stream_of_writes(start, policy, bytes_each):
    server = start("baton")
    top = limit(server, 8, policy)
    with server.connect() as connection:
        wanted = 24 * MEGABYTE // (bytes_each + 60)
        text = b"x" * bytes_each
        for number in range(0, wanted, 100):
            for n in range(number, number + 100):
                connection.send(b"*5\r\n$3\r\nSET\r\n$9\r\nk%08d\r\n$%d\r\n%s\r\n$2\r\nEX\r\n$4\r\n9999\r\n" % (n, bytes_each, text))
            for _ in range(100):
                assert connection.read() == b"OK"
    assert used(server) < top + MEGABYTE
    assert int(server.info("stats")["evicted_keys"]) > 0
    assert server("DBSIZE") * bytes_each > 3 * MEGABYTE or bytes_each < 100, "not much more went than had to"


def test_without_keys_that_may_go_writes_are_refused(start):
    server = start("baton")
    server("SET", "stays", "x")
    limit(server, 1, "volatile-lru")
    with pytest.raises(ErrorReply, match="OOM command not allowed when used memory > 'maxmemory'."):
        for number in range(100):
            server("SET", f"k{number}", "x" * 50_000)
    assert server("GET", "stays") == b"x"
    assert server("DEL", "stays") == 1
    server("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert server("SET", "k", "x" * 50_000) == b"OK"


@pytest.mark.parametrize("kind", ["baton", "valkey"])
def test_replicas_hear_what_was_evicted(start, kind):
    # The backlog counts, so it is kept small.
    primary, replica = start("baton", "--repl-backlog-size", "64kb", *FLAGS["baton"]), start(kind, *FLAGS[kind])
    attach(replica, primary)
    limit(primary, 4, "allkeys-lru")
    for number in range(200):
        primary("SET", f"k{number}", "x" * 50_000)
    eventually(lambda: int(primary.info("stats")["evicted_keys"]) > 100, "keys to be evicted")
    in_step(primary, replica)
    assert sorted(primary("KEYS", "*")) == sorted(replica("KEYS", "*"))


def test_keys_go_though_nobody_asks(start):
    server = start("baton")
    with server.connect() as connection:
        for number in range(2000):
            connection("SET", f"k{number}", "x" * 1000)
        connection("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
        connection("CONFIG", "SET", "maxmemory", 1)
    eventually(lambda: "db0" not in server.info("keyspace"), "all keys to go")


def test_access_is_saved_with_the_keys(start):
    server = start("baton", "--maxmemory-policy", "allkeys-lfu", "--lfu-log-factor", "0", "--enable-debug-command", "yes")
    server("SET", "often", 1)
    for _ in range(50):
        server("GET", "often")
    server("SET", "new", 1)
    assert (server("OBJECT", "FREQ", "often"), server("OBJECT", "FREQ", "new")) == (55, 5)
    server("DEBUG", "RELOAD")
    assert (server("OBJECT", "FREQ", "often"), server("OBJECT", "FREQ", "new")) == (55, 5)
    server("RESTORE", "restored", 0, server("DUMP", "new"), "FREQ", 77)
    assert server("OBJECT", "FREQ", "restored") == 77
    with pytest.raises(ErrorReply, match="idle time not tracked"):
        server("OBJECT", "IDLETIME", "often")


def test_keys_do_not_go_for_what_must_be_told_of_keys_that_went(start):
    """Ten connections are told the long name of each key that goes, which takes as much memory as its going frees."""
    server = start("baton", "--maxmemory-eviction-tenacity", "100")
    names = [str(n) + "x" * 1000 for n in range(300)]
    readers = [server.connect() for _ in range(10)]
    for reader in readers:
        reader("HELLO", 3)
        reader("CLIENT", "TRACKING", "ON")
    for name in names:
        server("SET", name, "x")
        for reader in readers:
            reader("GET", name)
    server("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    server("CONFIG", "SET", "maxmemory", used(server) - 40_000)
    eventually(lambda: int(server.info("stats")["evicted_keys"]) > 20, "keys go")
    assert server("DBSIZE") > 200
    for reader in readers:
        assert reader.read()[0] == b"invalidate"
        reader.close()
