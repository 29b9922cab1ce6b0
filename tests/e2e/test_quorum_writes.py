"""Quorum writes: replies that wait for replicas, the errors when they don't answer, and replicas of every kind."""

import socket
import time

import pytest
import resp

from servers import eventually

FAST = ["--repl-diskless-sync-delay", "0"]
KINDS = ["baton", "valkey", "redis"]


def attach(start, primary, kind="baton"):
    replica = start(kind, *FAST, "--replicaof", f"127.0.0.1 {primary.port}")
    eventually(lambda: primary("SET", "attached", "1") == b"OK", f"{replica} to acknowledge a write")
    return replica


def quorum(start, *flags):
    return start("baton", *FAST, "--write-ack-replicas", 1, *flags)


def stands_still(server):
    """The server stops answering, and goes on with the block's end."""

    class Still:
        def __enter__(self):
            server.stop()

        def __exit__(self, *_):
            server.go_on()

    return Still()


def waits(connection, seconds=0.3):
    """Whether no reply comes."""
    connection.socket.settimeout(seconds)
    try:
        return connection.socket.recv(1, 2) == b""  # MSG_PEEK
    except TimeoutError:
        return True
    finally:
        connection.socket.settimeout(20)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reply_comes_as_soon_as_a_replica_has_the_write(start, kind):
    primary = quorum(start, "--write-ack-timeout", 5000)
    replica = attach(start, primary, kind)
    with primary.connect() as client:
        began = time.monotonic()
        for i in range(200):
            assert client("SET", "key", i) == b"OK"
            # Whoever asks the replica finds it, since the reply came after its acknowledgement.
            assert client("GET", "key") == str(i).encode()
        assert replica("GET", "key") == b"199"
        # A reply that waits for the next regular acknowledgement waits for up to a second.
        assert time.monotonic() - began < 100
        client.send(b"".join(resp.encode("SET", f"key:{i}", i) for i in range(2000)))
        assert [client.read() for _ in range(2000)] == [b"OK"] * 2000
    info = primary.info()
    assert info["write_ack_replicas"] == info["write_ack_replicas_present"] == "1"
    assert int(info["write_ack_replies_held"]) >= 2400 and info["write_ack_writes_unacked"] == "0"


def test_without_replicas_writes_are_refused_and_reads_say_why(start):
    primary = quorum(start, "--write-ack-timeout", 200)
    with primary.connect() as client:
        with pytest.raises(resp.ErrorReply, match="^NOREPLICAS Not enough replicas to acknowledge a write: 0 of 1 are there"):
            client("SET", "key", 1)
        client("MULTI")
        with pytest.raises(resp.ErrorReply, match="^NOREPLICAS"):
            client("SET", "key", 1)
        with pytest.raises(resp.ErrorReply, match="^EXECABORT"):
            client("EXEC")
        # What is there may be older than what was acknowledged before a restart.
        with pytest.raises(resp.ErrorReply, match="^UNACKED What was read"):
            client("GET", "key")
        assert client("PING") == b"PONG"
        client("CONFIG", "SET", "write-ack-replicas", 0)
        assert client("GET", "key") is None and client("SET", "key", 1) == b"OK"
    assert primary.info()["role"] == "master"


def test_what_nobody_acknowledged_is_not_shown_and_ends_in_an_honest_error(start):
    primary = quorum(start, "--write-ack-timeout", 1000)
    replica = attach(start, primary)
    writer, reader, listener = primary.connect(), primary.connect(), primary.connect()
    listener("SUBSCRIBE", "news")
    with stands_still(replica):
        writer.send(resp.encode("SET", "key", "new") + resp.encode("PING") + resp.encode("ECHO", "last"))
        eventually(lambda: primary("PUBLISH", "news", "now") == 1, "messages to be passed on")
        assert listener.read() == [b"message", b"news", b"now"]
        reader.send(resp.encode("GET", "key"))
        assert waits(writer) and waits(reader), "a reply was sent that no replica knows of"
        first = writer.read()
        assert isinstance(first, resp.ErrorReply) and str(first).startswith("UNACKED The write was executed here"), first
        assert [writer.read(), writer.read()] == [b"PONG", b"last"], "other replies keep their order"
        seen = reader.read()
        assert isinstance(seen, resp.ErrorReply) and str(seen).startswith("UNACKED What was read"), seen
    assert writer("GET", "key") == b"new", "it was executed, and is shown once a replica has it"
    assert int(primary.info()["write_ack_writes_unacked"]) == 1


def test_a_late_acknowledgement_in_time_releases_everything_in_order(start):
    primary = quorum(start, "--write-ack-timeout", 10000)
    replica = attach(start, primary)
    clients = [primary.connect() for _ in range(20)]
    with stands_still(replica):
        for number, client in enumerate(clients):
            client.send(b"".join(resp.encode("INCR", f"counter:{number}") for _ in range(50)))
            client.send(resp.encode("MULTI") + resp.encode("GET", f"counter:{number}") + resp.encode("EXEC"))
        assert all(waits(client, 0.01) for client in clients)
    for client in clients:
        assert [client.read() for _ in range(50)] == list(range(1, 51))
        assert [client.read() for _ in range(3)] == [b"OK", b"QUEUED", [b"50"]]
    assert primary.info()["write_ack_writes_unacked"] == "0"


def test_two_of_two_replicas(start):
    primary = start("baton", *FAST, "--write-ack-replicas", 2, "--write-ack-timeout", 500)
    first = start("baton", *FAST, "--replicaof", f"127.0.0.1 {primary.port}")
    eventually(lambda: primary.info()["write_ack_replicas_present"] == "1", "the first replica")
    with pytest.raises(resp.ErrorReply, match="1 of 2 are there"):
        primary("SET", "key", 1)
    second = attach(start, primary)
    with primary.connect() as client:
        assert client("SET", "key", 1) == b"OK"
        with stands_still(second):
            with pytest.raises(resp.ErrorReply, match="^UNACKED"):
                client("SET", "key", 2)
        client("CONFIG", "SET", "write-ack-replicas", 1)
        with stands_still(second):
            assert client("SET", "key", 3) == b"OK"
    assert first("GET", "key") == b"3"


def test_a_demotion_meets_held_replies_with_the_truth(start):
    primary = quorum(start, "--write-ack-timeout", 30000)
    replica = attach(start, primary)
    writer, reader = primary.connect(), primary.connect()
    reader("CLIENT", "CAPA", "redirect")
    with stands_still(replica):
        writer.send(resp.encode("SET", "key", "new"))
        reader.send(resp.encode("GET", "key"))
        assert waits(writer) and waits(reader)
        primary("REPLICAOF", "127.0.0.1", replica.port)
        answer = writer.read()
        assert isinstance(answer, resp.ErrorReply) and str(answer).startswith("UNACKED The write was executed here"), answer
        assert str(reader.read()) == f"REDIRECT 127.0.0.1:{replica.port}"
        primary("REPLICAOF", "NO", "ONE")


def test_a_planned_handover_loses_no_reply(start):
    """Writers that are under way when the primary hands over are told the truth: everything confirmed is at the successor."""
    primary = quorum(start)
    replica = attach(start, primary)
    with primary.connect() as client:
        client.send(b"".join(resp.encode("SET", f"key:{i}", i) for i in range(5000)))
        primary("FAILOVER")
        confirmed = []
        for i in range(5000):
            reply = client.read()
            if reply == b"OK":
                confirmed.append(i)
            else:
                assert str(reply).split()[0] in ("UNACKED", "READONLY"), reply
    eventually(lambda: replica("ROLE")[0] == b"master", "the replica to take over")
    with replica.connect() as client:
        assert all(client("GET", f"key:{i}") == str(i).encode() for i in confirmed)


def test_a_large_reply_waits_whole_and_is_written_in_pieces_if_it_need_not_wait(start):
    primary = quorum(start, "--write-ack-timeout", 2000)
    replica = attach(start, primary)
    elements = [b"element:%0250d" % i for i in range(50_000)]
    with primary.connect() as writer, primary.connect() as reader:
        reader.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 << 10)
        for at in range(0, len(elements), 1000):
            writer("RPUSH", "list", *elements[at : at + 1000])
        assert reader("LRANGE", "list", 0, -1) == elements
        asked = resp.encode("LRANGE", "list", 0, -1) + resp.encode("PING")
        held = lambda: int(primary.info()["write_ack_replies_held"])

        def push(element):
            before = held()
            writer.send(resp.encode("RPUSH", "list", element))
            eventually(lambda: held() > before, "the write to wait")

        # Who reads nothing yet lets only pieces be written.
        reader.send(asked)
        eventually(lambda: b"cmd=lrange" in primary("CLIENT", "LIST"), "the reply to begin")
        lines = primary("CLIENT", "LIST").decode().splitlines()
        listed = next(dict(word.split("=", 1) for word in line.split()) for line in lines if "cmd=lrange" in line)
        assert int(listed["omem"]) < 1_000_000, listed
        assert [reader.read(), reader.read()] == [elements, b"PONG"]
        with stands_still(replica):
            push("one more")
            reader.send(asked)
            assert waits(reader), "what no replica has was shown"
            seen = [reader.read(), reader.read()]
            assert str(seen[0]).startswith("UNACKED What was read") and seen[1] == b"PONG", seen
            assert isinstance(writer.read(), resp.ErrorReply)
        assert reader("LRANGE", "list", 0, -1) == [*elements, b"one more"]
        with stands_still(replica):
            push("the last")
            reader.send(asked)
            assert waits(reader)
        assert [reader.read(), reader.read()] == [[*elements, b"one more", b"the last"], b"PONG"]
