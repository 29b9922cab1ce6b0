"""MIGRATE: keys leave for another server, of any kind, while clients go on; and slots of a cluster moved with upstream's tool
under load, between nodes of either kind."""

import random
import socket
import threading
import time

import pytest
import redis
import resp

from servers import contents, eventually
from test_cluster import PRIMARIES, make_cluster, run_tool  # noqa: F401 (a fixture)

PEERS = ["baton", "valkey", "redis"]
LATER = 0.3


def fill(server):
    server("SET", "text", "hello", "PX", 100_000)
    server("SET", "number", 12345)
    server("SET", "large", "x" * 300_000)
    server("RPUSH", "list", *range(2000))
    server("SADD", "set", *(f"m{i}" for i in range(2000)))
    server("HSET", "hash", *(f"f{i}" for i in range(2000)))
    server("ZADD", "zset", *(word for i in range(1000) for word in (i, f"m{i}")))
    return ["text", "number", "large", "list", "set", "hash", "zset"]


class Target:
    """A server that takes what is sent to it and answers when it is told to."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(20)
        self.port = self.listener.getsockname()[1]

    def accept(self):
        self.peer, _ = self.listener.accept()
        self.peer.settimeout(20)
        return self.peer

    def wait_for(self, text):
        got = b""
        while text not in got:
            got += self.peer.recv(65536)
        return got

    def close(self):
        self.listener.close()
        if hasattr(self, "peer"):
            self.peer.close()


@pytest.fixture
def target():
    made = Target()
    yield made
    made.close()


def later(connection, *words):
    """Sends a command whose reply is read later."""
    connection.send(resp.encode(*words))
    return connection


def is_silent(connection):
    """Whether no reply comes within a moment."""
    connection.socket.settimeout(LATER)
    try:
        connection.socket.recv(1, socket.MSG_PEEK)
        return False
    except TimeoutError:
        return True
    finally:
        connection.socket.settimeout(20)


class TestTwoServers:
    @pytest.mark.parametrize("peer", PEERS)
    @pytest.mark.parametrize("outward", [True, False], ids=["outward", "inward"])
    def test_values_of_all_types_travel(self, start, peer, outward):
        baton, other = start("baton", "--rdb-version-check", "relaxed"), start(peer)
        source, target = (baton, other) if outward else (other, baton)
        keys = fill(source)
        if outward and peer == "redis":
            # Its payloads are older: what Baton writes is too new for it, and the key stays.
            with pytest.raises(resp.ErrorReply, match="Target instance replied with error: ERR DUMP payload version"):
                source("MIGRATE", "127.0.0.1", target.port, "text", 0, 5000)
            assert source("EXISTS", "text") == 1
            return
        before = {key: found[0] for (_, key), found in contents(source).items()}
        assert source("MIGRATE", "127.0.0.1", target.port, "", 3, 5000, "KEYS", *keys, "missing") == b"OK"
        assert source("DBSIZE") == 0 and source("MIGRATE", "127.0.0.1", target.port, "text", 0, 5000) == b"NOKEY"
        there = {key: found[0] for (database, key), found in contents(target, 4).items() if database == 3}
        assert there == before
        with target.connect() as connection:
            connection("SELECT", 3)
            assert connection("DBSIZE") == len(keys)
            assert 50_000 < connection("PTTL", "text") <= 100_000 and connection("PTTL", "number") == -1
            assert connection("GET", "number") == b"12345" and connection("LLEN", "list") == 2000
            assert connection("ZSCORE", "zset", "m7") == b"7"

    def test_copies_and_names_that_are_taken(self, start):
        source, target = start("baton"), start("baton")
        for key in "abc":
            source("SET", key, "new")
        target("SET", "b", "old")
        with pytest.raises(resp.ErrorReply, match="ERR Target instance replied with error: BUSYKEY Target key name already exists."):
            source("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", "a", "b", "c")
        assert source("KEYS", "*") == [b"b"] and target("MGET", "a", "b", "c") == [b"new", b"old", b"new"]
        assert source("MIGRATE", "127.0.0.1", target.port, "b", 0, 5000, "COPY", "REPLACE") == b"OK"
        assert source("GET", "b") == b"new" == target("GET", "b")
        assert source.info("stats")["migrate_cached_sockets"] == "1"

    def test_a_target_with_a_password(self, start):
        source, target = start("baton"), start("baton", "--requirepass", "secret")
        source("SET", "k", "v")
        for words, error in [((), "NOAUTH"), (("AUTH", "no"), "WRONGPASS")]:
            with pytest.raises(resp.ErrorReply, match=f"ERR Target instance replied with error: {error}"):
                source("MIGRATE", "127.0.0.1", target.port, "k", 0, 5000, *words)
        assert source("MIGRATE", "127.0.0.1", target.port, "k", 0, 5000, "COPY", "AUTH", "secret") == b"OK"
        assert source("MIGRATE", "127.0.0.1", target.port, "k", 0, 5000, "REPLACE", "AUTH2", "default", "secret") == b"OK"

    @pytest.mark.parametrize(
        ("words", "error"),
        [
            (("k", 0, "x"), "ERR value is not an integer or out of range"),
            (("k", "x", 1), "ERR value is not an integer or out of range"),
            (("k", 0, 1, "NOPE"), "ERR syntax error"),
            (("k", 0, 1, "AUTH"), "ERR syntax error"),
            (("k", 0, 1, "AUTH2", "a"), "ERR syntax error"),
            (("k", 0, 1, "KEYS", "a"), "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"),
        ],
    )
    @pytest.mark.parametrize("kind", ["baton", "valkey"])
    def test_requests_that_make_no_sense(self, start, kind, words, error):
        server = start(kind)
        with pytest.raises(resp.ErrorReply, match=f"^{error}"):
            server("MIGRATE", "127.0.0.1", 1, *words)

    @pytest.mark.parametrize("kind", ["baton", "valkey"])
    def test_nobody_there(self, start, target, kind):
        server = start(kind)
        server("SET", "k", "v")
        with pytest.raises(resp.ErrorReply, match="^IOERR error or timeout writing to target instance$"):
            server("MIGRATE", "127.0.0.1", 1, "k", 0, 500)
        with pytest.raises(resp.ErrorReply, match="^IOERR error or timeout connecting to the client$"):
            server("MIGRATE", "no.such.place.invalid", 1, "k", 0, 500)
        with pytest.raises(resp.ErrorReply, match="^IOERR error or timeout reading to target instance$"):
            server("MIGRATE", "127.0.0.1", target.port, "k", 0, 200)
        assert server("GET", "k") == b"v"

    def test_in_a_transaction(self, start):
        source, target = start("baton"), start("baton")
        with source.connect() as connection:
            for words in [("SET", "a", 1), ("SET", "b", 2), ("MULTI",)]:
                connection(*words)
            connection("INCR", "a")
            connection("MIGRATE", "127.0.0.1", target.port, "a", 0, 5000)
            connection("EXISTS", "a")
            assert connection("EXEC") == [2, b"OK", 0]
        assert target("GET", "a") == b"2" and source("DBSIZE") == 1

    def test_a_replica_is_told_what_left_and_listeners_too(self, start):
        source, target = start("baton", "--notify-keyspace-events", "KEA"), start("baton")
        replica = start("baton", "--replicaof", f"127.0.0.1 {source.port}", "--repl-diskless-sync-delay", 0)
        with source.connect() as listener:
            source("MSET", "a", 1, "b", 2, "c", 3)
            eventually(lambda: replica("DBSIZE") == 3, "the replica to have all keys")
            listener("SUBSCRIBE", "__keyevent@0__:del")
            assert source("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", "a", "c") == b"OK"
            assert [listener.read()[2], listener.read()[2]] == [b"a", b"c"]
        eventually(lambda: replica("KEYS", "*") == [b"b"], "the replica to lose the keys that left")


class TestMeanwhile:
    """What other clients see while a target takes its time."""

    @pytest.fixture
    def moving(self, start, target):
        """A server whose key `k` is on its way, and the connection that waits for it."""
        server = start("baton")
        server("MSET", "k", "v", "other", "v")
        connection = server.connect()
        later(connection, "MIGRATE", "127.0.0.1", target.port, "k", 0, 10_000)
        target.accept()
        target.wait_for(b"RESTORE")
        yield server, connection
        connection.close()

    def test_only_changes_of_the_key_wait(self, moving, target):
        server, connection = moving
        assert server("GET", "k") == b"v" and server("SET", "other", "w") == b"OK" and server("DBSIZE") == 2
        with server.connect() as writer, server.connect() as transaction, server.connect() as flusher:
            later(writer, "APPEND", "k", "!")
            transaction("MULTI")
            transaction("SET", "other", "x")
            transaction("APPEND", "k", "?")
            later(transaction, "EXEC")
            assert is_silent(writer) and is_silent(transaction)
            assert server("GET", "other") == b"w"
            target.peer.sendall(b"+OK\r\n+OK\r\n")
            assert connection.read() == b"OK"
            # The value left as it was; what waited found nothing.
            assert sorted([writer.read(), transaction.read()[1]]) == [1, 2]
            later(flusher, "FLUSHALL")
            assert flusher.read() == b"OK"

    def test_a_target_that_fails_loses_nothing(self, moving, target):
        server, connection = moving
        with server.connect() as writer:
            later(writer, "APPEND", "k", "!")
            assert is_silent(writer)
            target.peer.sendall(b"+OK\r\n-OOM no\r\n")
            reply = connection.read()
            assert str(reply) == "ERR Target instance replied with error: OOM no"
            assert writer.read() == 2
        assert server("GET", "k") == b"v!"

    def test_who_asked_may_leave_but_the_key_is_held_until_the_target_is_done(self, moving, target):
        server, connection = moving
        with server.connect() as writer:
            later(writer, "APPEND", "k", "!")
            connection.close()
            assert is_silent(writer)
            target.peer.sendall(b"+OK\r\n+OK\r\n")
            # Nobody is told that the key arrived, so it is still here.
            assert writer.read() == 2
        assert server("GET", "k") == b"v!"

    def test_the_same_key_twice(self, moving, target):
        server, connection = moving
        with server.connect() as second:
            later(second, "MIGRATE", "127.0.0.1", target.port, "", 0, 10_000, "KEYS", "k", "other")
            assert is_silent(second)
            target.peer.sendall(b"+OK\r\n+OK\r\n")
            assert connection.read() == b"OK"
            target.wait_for(b"other")
            target.peer.sendall(b"+OK\r\n")
            assert second.read() == b"OK"
        assert server("DBSIZE") == 0

    def test_who_waits_for_an_element_is_not_forgotten(self, moving, target):
        server, connection = moving
        with server.connect() as waiter:
            later(waiter, "BLMOVE", "from", "k", "LEFT", "LEFT", 0)
            assert is_silent(waiter)
            # The hold ends with the key gone: its place is free for the element.
            server("RPUSH", "from", "e")
            target.peer.sendall(b"+OK\r\n+OK\r\n")
            assert connection.read() == b"OK"
            assert waiter.read() == b"e"
        assert server("LRANGE", "k", 0, -1) == [b"e"]


class Counters:
    """Clients that count in many keys of a cluster, each key by one of them, and know what was acknowledged."""

    def __init__(self, port, threads=4, keys=150):
        self.client = redis.RedisCluster(host="127.0.0.1", port=port, socket_timeout=20)
        self.acknowledged = [{} for _ in range(threads)]
        self.unknown = [{} for _ in range(threads)]
        self.errors, self.keys = [], keys
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self._count, args=(n,), daemon=True) for n in range(threads)]
        for thread in self.threads:
            thread.start()

    def _count(self, number):
        chance = random.Random(number)
        while not self.ending.is_set():
            key = f"{number}:{chance.randrange(self.keys)}"
            try:
                got = self.client.incr(key)
                expected = self.acknowledged[number].get(key, 0) + 1
                if not expected <= got <= expected + self.unknown[number].get(key, 0):
                    self.errors.append(f"{key} is {got} instead of {expected}")
                self.acknowledged[number][key] = got
                self.unknown[number].pop(key, None)
            except Exception as error:  # Whatever reaches the application counts.
                self.unknown[number][key] = self.unknown[number].get(key, 0) + 1
                self.errors.append(f"{type(error).__name__}: {error}")

    def finish(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(30)
        for acknowledged in self.acknowledged:
            for key, value in acknowledged.items():
                got = int(self.client.get(key) or 0)
                if got < value:
                    self.errors.append(f"{key} is {got}, {value} was acknowledged")
        return sum(sum(acknowledged.values()) for acknowledged in self.acknowledged)


def slots_of(node):
    line = next(line for line in node("CLUSTER", "NODES").decode().splitlines() if "myself" in line)
    ranges = [word.partition("-")[::2] for word in line.split()[8:] if not word.startswith("[")]
    return sum(int(last or first) - int(first) + 1 for first, last in ranges)


class TestCluster:
    @pytest.mark.parametrize(
        "kinds",
        [["baton"] * 3, ["baton", "valkey", "baton"], ["valkey", "baton", "valkey"], ["baton"] * 6],
        ids=["baton", "one-valkey", "one-baton", "with-replicas"],
    )
    def test_slots_move_under_load(self, make_cluster, kinds):  # noqa: F811
        cluster = make_cluster(*kinds)
        first, second = [node for node in cluster.nodes if cluster.is_primary(node)][:2]
        load = Counters(first.port)
        time.sleep(0.5)
        ids = [node("CLUSTER", "MYID").decode() for node in (first, second)]
        for source, target in (ids, ids[::-1]):
            code, output = run_tool(
                "--cluster", "reshard", f"127.0.0.1:{first.port}", "--cluster-from", source, "--cluster-to", target,
                "--cluster-slots", 400, "--cluster-yes", "--cluster-pipeline", 5,
            )
            assert code == 0, output
        code, output = run_tool("--cluster", "rebalance", f"127.0.0.1:{first.port}", "--cluster-threshold", 1)
        assert code == 0, output
        counted = load.finish()
        assert load.errors == [] and counted > 1000
        cluster.settled()
        code, output = run_tool("--cluster", "check", f"127.0.0.1:{first.port}")
        assert code == 0, output

    def test_a_half_moved_slot_is_mended(self, make_cluster):  # noqa: F811
        cluster = make_cluster(*["baton"] * PRIMARIES)
        source = next(node for node in cluster.nodes if _serves(node, "{t}"))
        target = next(node for node in cluster.nodes if node is not source)
        slot = source("CLUSTER", "KEYSLOT", "{t}")
        for number in range(20):
            source("SET", "{t}%d" % number, number)
        ids = {node: node("CLUSTER", "MYID").decode() for node in (source, target)}
        target("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        source("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        assert source("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *("{t}%d" % n for n in range(10))) == b"OK"
        assert source("GET", "{t}15") == b"15"
        for words in [("GET", "{t}5"), ("SET", "{t}new", 1)]:
            with pytest.raises(resp.ErrorReply, match=f"ASK {slot} 127.0.0.1:{target.port}"):
                source(*words)
        with pytest.raises(resp.ErrorReply, match="TRYAGAIN"):
            source("MGET", "{t}5", "{t}15")
        with target.connect() as connection:
            assert (connection("ASKING"), connection("GET", "{t}5")) == (b"OK", b"5")
            connection("ASKING")
            with pytest.raises(resp.ErrorReply, match="TRYAGAIN"):
                connection("MGET", "{t}5", "{t}15")
            with pytest.raises(resp.ErrorReply, match="MOVED"):
                connection("GET", "{t}5")
            replies = [connection(*words) for words in [("ASKING",), ("MULTI",), ("GET", "{t}5"), ("INCR", "{t}5"), ("EXEC",)]]
            assert replies[-1] == [b"5", 6] and connection("ASKING") == b"OK" and connection("DECR", "{t}5") == 5
            with pytest.raises(resp.ErrorReply, match="MOVED"):
                connection("GET", "{t}5")
        code, output = run_tool("--cluster", "fix", f"127.0.0.1:{source.port}")
        assert code == 0, output
        cluster.settled()
        client = redis.RedisCluster(host="127.0.0.1", port=source.port)
        assert [int(client.get("{t}%d" % n)) for n in range(20)] == list(range(20))


def _serves(node, key):
    try:
        node("GET", key)
        return True
    except resp.ErrorReply:
        return False
