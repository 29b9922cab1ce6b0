"""Replies of many elements: they are written piece by piece, show the value as it was, take no memory for what nobody has read
yet, and nothing comes between their pieces."""

import socket

import pytest
import resp
from servers import eventually

COUNT = 30_000
FILL = 1000
PADDING = "x" * 300  # so that a reply is more than what sockets hold by themselves
KEYS = ("list", "set", "hash", "zset", "stream")
READS = [
    ("LRANGE", "list", "0", "-1"),
    ("SMEMBERS", "set"),
    ("HGETALL", "hash"),
    ("HKEYS", "hash"),
    ("HVALS", "hash"),
    ("ZRANGE", "zset", "0", "-1", "WITHSCORES"),
    ("ZRANGE", "zset", "0", "-1", "REV"),
    ("ZREVRANGEBYSCORE", "zset", "+inf", "10", "WITHSCORES", "LIMIT", "5", "20000"),
    ("XRANGE", "stream", "-", "+"),
    ("XREVRANGE", "stream", "+", "-", "COUNT", "20000"),
]


@pytest.fixture(scope="module")
def filled():
    """A server with a large value of each kind; tests leave them as they are."""
    from servers import Server

    server = Server("baton", "--worker-threads", "2").start()
    fill(server)
    yield server
    server.remove()


def fill(server, count=COUNT):
    with server.connect() as c:
        for start in range(0, count, FILL):
            numbers = range(start, start + FILL)
            requests = [
                ("RPUSH", "list", *(f"element:{n}:{PADDING}" for n in numbers)),
                ("SADD", "set", *(f"member:{n}:{PADDING}" for n in numbers)),
                ("HSET", "hash", *(word for n in numbers for word in (f"field:{n}:{PADDING}", f"{n}:{PADDING}"))),
                ("ZADD", "zset", *(word for n in numbers for word in (n / 4, f"member:{n}:{PADDING}"))),
            ]
            c.send(b"".join(resp.encode(*request) for request in requests))
            for _ in requests:
                assert isinstance(c.read(), int)
        for start in range(0, count, FILL):
            c.send(b"".join(resp.encode("XADD", "stream", f"{n + 1}-0", "f", f"{n}:{PADDING}") for n in range(start, start + FILL)))
            for _ in range(FILL):
                c.read()


def whole(server, protocol, *request):
    """The reply of a command in a transaction, where it is written at once."""
    with server.connect() as c:
        c("HELLO", protocol)
        c("MULTI")
        c(*request)
        return c("EXEC")[0]


def narrow(server):
    """A connection that takes little at a time."""
    connection = server.connect()
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 << 10)
    return connection


def begin(server, *request, protocol="2"):
    """A reader that has got the first bytes of a long reply and reads no further yet."""
    reader = narrow(server)
    reader("HELLO", protocol)
    reader.id = reader("CLIENT", "ID")
    reader.send(resp.encode(*request))
    reader.file.peek(1)
    return reader


@pytest.mark.parametrize("protocol", ["2", "3"])
@pytest.mark.parametrize("request_words", READS, ids=lambda words: " ".join(words[:1]))
def test_pieces_make_the_reply_that_a_transaction_gets(filled, request_words, protocol):
    with filled.connect() as c:
        c("HELLO", protocol)
        assert are_same(c(*request_words), whole(filled, protocol, *request_words))


def test_a_slow_reader_sees_the_value_as_it_was(start):
    server = start("baton", "--worker-threads", "2")
    fill(server)
    expected = {words: whole(server, "2", *words) for words in READS}
    readers = {words: begin(server, *words) for words in READS}
    with server.connect() as c:
        c("LTRIM", "list", "5", "100")
        c("SPOP", "set", "1000")
        c("HSET", "hash", f"field:3:{PADDING}", "changed", "more", "1")
        c("ZINCRBY", "zset", "-5", f"member:100:{PADDING}")
        c("XTRIM", "stream", "MAXLEN", "10")
        c("DEL", "set", "hash")
        c("SWAPDB", "0", "1")
        c("FLUSHALL")
    for words, reader in readers.items():
        assert are_same(reader.read(), expected[words]), words
        assert reader("PING") == b"PONG"


def test_a_reply_that_nobody_reads_takes_no_memory(filled):
    with filled.connect() as c:
        before = memory(c)
        readers = [begin(filled, "HGETALL", "hash") for _ in range(30)]
        listed = [line for line in c("CLIENT", "LIST").decode().splitlines() if "cmd=hgetall" in line]
        assert len(listed) == 30
        assert memory(c) - before < 30 * 400_000, "whole replies would take 30 times 18 MB"
        assert b"blocked_clients:0" in c("INFO", "clients")
        for reader in readers:
            reader.close()
        eventually(lambda: b"cmd=hgetall" not in c("CLIENT", "LIST"), "the readers are gone")
        assert memory(c) - before < 5_000_000


def are_same(reply, expected):
    """Whether two replies are equal. Not compared by the assertion itself: showing where millions of bytes differ takes hours."""
    return reply == expected


def memory(connection):
    line = next(line for line in connection("INFO", "memory").splitlines() if line.startswith(b"used_memory:"))
    return int(line.split(b":")[1])


def test_requests_behind_a_long_reply_are_answered_behind_it(filled):
    with filled.connect() as c:
        elements = whole(filled, "2", "LRANGE", "list", "0", "-1")
        members = sorted(whole(filled, "2", "SMEMBERS", "set"))
        requests = [("GET", "none"), ("LRANGE", "list", "0", "-1"), ("SMEMBERS", "set"), ("PING",)] * 3
        c.send(b"".join(resp.encode(*request) for request in requests))
        for _ in range(3):
            assert c.read() is None
            assert are_same(c.read(), elements)
            assert are_same(sorted(c.read()), members)
            assert c.read() == b"PONG"


def test_a_write_behind_a_long_reply_runs_when_it_is_read(filled):
    reader = begin(filled, "LRANGE", "list", "0", "-1")
    reader.send(resp.encode("INCR", "counter"))
    with filled.connect() as c:
        assert c("EXISTS", "counter") == 0
        assert len(reader.read()) == COUNT
        assert reader.read() == 1
        assert c("DEL", "counter") == 1


def test_a_client_may_leave_or_be_killed_in_the_midst(filled):
    with filled.connect() as c:
        leaving = begin(filled, "SMEMBERS", "set")
        leaving.close()
        killed = begin(filled, "SMEMBERS", "set")
        c("CLIENT", "KILL", "ID", killed.id)
        with pytest.raises(resp.Closed):
            while True:
                killed.read_line()
        eventually(lambda: b"cmd=smembers" not in c("CLIENT", "LIST"), "the readers are gone")


def test_replies_that_nobody_wants(filled):
    with filled.connect() as c:
        lrange = resp.encode("LRANGE", "list", "0", "-1")
        off, skip, on = (resp.encode("CLIENT", "REPLY", mode) for mode in ("OFF", "SKIP", "ON"))
        c.send(off + lrange + on + skip + lrange + resp.encode("PING"))
        assert [c.read(), c.read()] == [b"OK", b"PONG"]


def test_a_script_gets_the_whole(filled):
    with filled.connect() as c:
        assert c("EVAL", "return #redis.call('LRANGE', KEYS[1], 0, -1)", "1", "list") == COUNT
        elements = c("EVAL", "return redis.call('LRANGE', KEYS[1], 0, -1)", "1", "list")
        assert are_same(elements, whole(filled, "2", "LRANGE", "list", "0", "-1"))


def test_messages_come_behind_the_reply(filled):
    reader = narrow(filled)
    reader("HELLO", "3")
    reader("CLIENT", "TRACKING", "ON")
    reader("SUBSCRIBE", "channel")
    reader("GET", "key")
    reader.send(resp.encode("HGETALL", "hash"))
    reader.file.peek(1)
    with filled.connect() as c:
        assert c("PUBLISH", "channel", "news") == 1
        c("SET", "key", "value")
        assert len(reader.read()) == COUNT
        pushes = [reader.read(), reader.read()]
        assert [b"message", b"channel", b"news"] in pushes and [b"invalidate", [b"key"]] in pushes
        c("DEL", "key")


def test_a_long_reply_is_one_call_with_all_its_bytes(start):
    server = start("baton", "--worker-threads", "1")
    fill(server)
    with server.connect() as c:
        c("CONFIG", "SET", "commandlog-reply-larger-than", "2000000")
        c("CONFIG", "RESETSTAT")
        size = sum(len(resp.encode(e)) - 4 for e in c("LRANGE", "list", "0", "-1")) + len("*30000\r\n")
        stats = next(line for line in c("INFO", "commandstats").splitlines() if line.startswith(b"cmdstat_lrange"))
        assert b"calls=1," in stats
        entry = c("COMMANDLOG", "GET", "-1", "large-reply")[0]
        assert entry[2] == size and entry[3] == [b"LRANGE", b"list", b"0", b"-1"]
