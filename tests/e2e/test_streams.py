"""Streams between servers: the same entries, groups and pending lists by full synchronisation, by the stream of effects, by
snapshot and by payload, whoever is the primary; and consumers that wait."""

import random
import shutil

import pytest

import resp
from servers import eventually
from test_blocking import Waiting, count


def fill(server):
    """Streams with everything that they can have."""
    with server.connect() as send:
        for number in range(350):
            send("XADD", "long", f"{number // 3 + 1}-{number % 3}", "name", number, "text", "x" * (number % 50))
        send("XADD", "other", "MAXLEN", "~", 200, "*", "a", "b")
        send("XDEL", "long", "5-1", "17-0", "90-2")
        send("XTRIM", "long", "MAXLEN", 300)
        send("XADD", "empty", "7-7", "a", "b")
        send("XDEL", "empty", "7-7")
        send("XGROUP", "CREATE", "empty", "waiting", "$")
        send("XGROUP", "CREATE", "long", "g", "0")
        send("XGROUP", "CREATE", "long", "h", "$", "ENTRIESREAD", 350)
        for consumer in ("alice", "bob", "carol"):
            send("XREADGROUP", "GROUP", "g", consumer, "COUNT", 20, "STREAMS", "long", ">")
        send("XREADGROUP", "GROUP", "g", "dave", "COUNT", 5, "NOACK", "STREAMS", "long", ">")
        send("XACK", "long", "g", "19-0", "20-1", "40-0")
        send("XCLAIM", "long", "g", "dave", 0, "21-0", "22-0", "RETRYCOUNT", 9)
        send("XAUTOCLAIM", "long", "g", "bob", 0, "30", "COUNT", 7, "JUSTID")
        send("XDEL", "long", "33-0", "34-1")
        send("XAUTOCLAIM", "long", "g", "carol", 0, "33", "COUNT", 5)


def shape(server, key):
    """All that XINFO tells of a stream, but for when consumers were seen."""
    with server.connect() as send:
        full = send("XINFO", "STREAM", key, "FULL", "COUNT", 0)
        texts = dict(zip(full[::2], full[1::2], strict=True))
        del texts[b"radix-tree-keys"], texts[b"radix-tree-nodes"]
        groups = []
        for group in texts[b"groups"]:
            of_group = dict(zip(group[::2], group[1::2], strict=True))
            consumers = (dict(zip(one[::2], one[1::2], strict=True)) for one in of_group[b"consumers"])
            of_group[b"consumers"] = [(one[b"name"], one[b"pending"]) for one in consumers]
            groups.append(of_group)
        texts[b"groups"] = groups
        return texts


def shapes(server):
    return {key: shape(server, key) for key in ("long", "other", "empty")}


PAIRS = [("baton", "baton"), ("valkey", "baton"), ("baton", "valkey")]


@pytest.mark.parametrize(("first", "second"), PAIRS + [("redis", "baton"), ("baton", "redis")])
def test_a_replica_has_the_same_streams(start, first, second):
    primary, replica = start(first), start(second)
    fill(primary)
    expected = shapes(primary)
    replica("REPLICAOF", "127.0.0.1", primary.port)
    eventually(replica.is_linked, "the full synchronisation")
    assert shapes(replica) == expected
    # From here on by the effects of commands.
    primary("FLUSHALL")
    fill(primary)
    expected = shapes(primary)
    eventually(lambda: shapes(replica) == expected, "the replica to have the same")


@pytest.mark.parametrize(("writer", "reader"), PAIRS + [("redis", "baton")])
def test_a_snapshot_has_the_same_streams(start, tmp_path, writer, reader):
    source = start(writer)
    fill(source)
    expected = shapes(source)
    assert source("SAVE") == b"OK"
    folder = tmp_path / "loaded"
    folder.mkdir()
    shutil.copy(source.folder / "dump.rdb", folder / "dump.rdb")
    assert shapes(start(reader, folder=folder)) == expected


@pytest.mark.parametrize(("giver", "taker"), PAIRS)
def test_payloads_have_the_same_streams(start, giver, taker):
    # Compressed texts need not be the same bytes.
    source, target = (start(kind, "--rdbcompression", "no") for kind in (giver, taker))
    fill(source)
    for key in ("long", "other", "empty"):
        target("RESTORE", key, 0, source("DUMP", key))
        assert target("DUMP", key) == source("DUMP", key)
    assert shapes(target) == shapes(source)


def test_the_same_commands_leave_the_same_effects(start):
    """What a Valkey replica of Baton has after any commands is what a Baton replica of Valkey has."""
    batons = start("baton"), start("valkey")
    valkeys = start("valkey"), start("baton")
    for primary, replica in (batons, valkeys):
        replica("REPLICAOF", "127.0.0.1", primary.port)
        eventually(replica.is_linked, "the link")
    chance = random.Random(5)
    with batons[0].connect() as one, valkeys[0].connect() as other:
        for command in commands(chance, 600):
            replies = []
            for send in (one, other):
                try:
                    replies.append(send(*command))
                except resp.ErrorReply as error:
                    replies.append(str(error))
            assert replies[0] == replies[1], command
    for primary, replica in (batons, valkeys):
        eventually(
            lambda primary=primary, replica=replica: replica.info("replication")["master_repl_offset"]
            == primary.info("replication")["master_repl_offset"],
            "the replica to have everything",
        )

    def without_times(server):
        texts = shape(server, "s")
        for group in texts[b"groups"]:
            group[b"pending"] = [(id, consumer, times) for id, consumer, _, times in group[b"pending"]]
            group[b"consumers"] = [
                (name, [(id, times) for id, _, times in pending]) for name, pending in group[b"consumers"] if pending
            ]
        return texts

    assert without_times(batons[0]) == without_times(valkeys[0])
    # A replica is not told that a consumer read once more what it has already: not by upstream either.
    assert without_times(batons[1]) == without_times(valkeys[1])


def commands(chance, number):
    """Commands on a stream `s` whose replies depend on nothing but the commands before."""
    yield "CONFIG", "SET", "stream-node-max-entries", 5
    yield "XGROUP", "CREATE", "s", "g", "0", "MKSTREAM"
    last = 0
    for _ in range(number):
        some = [f"{chance.randrange(1, last + 2)}-0" for _ in range(3)]
        who = chance.choice(["a", "b", "c"])
        kind = chance.randrange(15)
        if kind < 5:
            last += 1
            trim = chance.choice([(), (), ("MAXLEN", "~", 30), ("MINID", "~", some[0]), ("MAXLEN", 40)])
            yield "XADD", "s", *trim, f"{last}-0", "name", last, *chance.choice([(), ("more", "x")])
        elif kind < 8:
            ack = chance.choice([(), (), ("NOACK",)])
            yield "XREADGROUP", "GROUP", "g", who, "COUNT", chance.randrange(1, 4), *ack, "STREAMS", "s", ">"
        elif kind == 8:
            yield "XREADGROUP", "GROUP", "g", who, "COUNT", 4, "STREAMS", "s", some[0]
        elif kind == 9:
            yield "XACK", "s", "g", *some
        elif kind == 10:
            force = chance.choice([(), ("FORCE",), ("JUSTID",), ("RETRYCOUNT", 3), ("LASTID", some[0])])
            yield "XCLAIM", "s", "g", who, 0, *some, *force
        elif kind == 11:
            yield "XAUTOCLAIM", "s", "g", who, 0, some[0], "COUNT", 3, *chance.choice([(), ("JUSTID",)])
        elif kind == 12:
            yield "XDEL", "s", *some[: chance.randrange(1, 3)]
        elif kind == 13:
            yield chance.choice([("XTRIM", "s", "MAXLEN", 25), ("XTRIM", "s", "MINID", "~", some[0]), ("XINFO", "GROUPS", "s")])
        else:
            yield chance.choice(
                [
                    ("XGROUP", "SETID", "s", "g", some[0]),
                    ("XGROUP", "SETID", "s", "g", "$"),
                    ("XGROUP", "DELCONSUMER", "s", "g", who),
                    ("XPENDING", "s", "g"),
                    ("XRANGE", "s", some[0], "+", "COUNT", 5),
                    ("XREVRANGE", "s", "+", some[0], "COUNT", 5),
                ]
            )


def test_readers_wait_for_what_comes_later(start):
    server = start("baton", "--worker-threads", "3")
    server("XADD", "s", "1-1", "a", "b")
    all_of_them = [
        Waiting(server, "XREAD", "BLOCK", 0, "STREAMS", "s", "$"),
        Waiting(server, "XREAD", "BLOCK", 0, "COUNT", 1, "STREAMS", "other", "s", "+", "1-1"),
    ]
    server("XADD", "s", "1-2", "c", "d")
    for one in all_of_them:
        assert one.read() == [[b"s", [[b"1-2", [b"c", b"d"]]]]]
    late = Waiting(server, "XREAD", "BLOCK", 0, "STREAMS", "s", "$")
    with server.connect() as connection:
        for command in (["MULTI"], ["XADD", "s", "2-0", "gone", "x"], ["XDEL", "s", "2-0"], ["EXEC"]):
            connection(*command)
    assert count(server) == 1
    server("XADD", "s", "3-0", "e", "f")
    assert late.read() == [[b"s", [[b"3-0", [b"e", b"f"]]]]]


def test_consumers_that_wait_get_each_entry_once(start):
    primary, replica = start("baton", "--worker-threads", "3"), start("valkey")
    replica("REPLICAOF", "127.0.0.1", primary.port)
    eventually(replica.is_linked, "the link")
    primary("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    waiting = [
        Waiting(primary, "XREADGROUP", "GROUP", "g", f"c{n}", "BLOCK", 0, "STREAMS", "s", ">") for n in range(4)
    ]
    for number in range(1, 4):
        primary("XADD", "s", f"{number}-0", "n", number)
    got = [one.read() for one in waiting[:3]]
    assert got == [[[b"s", [[b"%d-0" % n, [b"n", b"%d" % n]]]]] for n in range(1, 4)]
    primary("XGROUP", "DESTROY", "s", "g")
    assert str(waiting[3].read()).startswith("NOGROUP")
    eventually(lambda: replica("XINFO", "GROUPS", "s") == [], "the replica to follow")
