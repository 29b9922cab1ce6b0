"""Bases made of commands (`aof-use-rdb-preamble no`): that they hold everything, whoever writes and whoever reads them, and
where in the stream of replication they stand."""

import pytest
import resp
from servers import SAMPLE_COLLECTIONS, eventually
from test_aof_write import Writers, rewrite
from test_cluster import make_cluster  # noqa: F401 (a fixture)
from test_slot_jobs import ended, follows_with_key, latest, slot_on_its_way

ON = ("--appendonly", "yes", "--aof-use-rdb-preamble", "no")
DEBUG = ("--enable-debug-command", "yes")
LATER = 99_999_999_999_999

# Every kind of value, in every form that has commands of its own. No key is named as a word of HSETEX: Valkey does not read its own
# command then.
ALL_TYPES = [
    *SAMPLE_COLLECTIONS,
    ("SET", "text", "v"),
    ("SET", "number", -12),
    ("SET", "binary\r\n\x00", bytes(range(256))),
    ("SET", "ends", "x", "PXAT", LATER),
    ("PFADD", "loglog", "a", "b"),
    ("GEOADD", "geo", "1.5", "2.5", "x"),
    ("ZADD", "scores", 1, "a", 1.5, "b", "inf", "c", "-inf", "d", 0.1, "e", 1e30, "f", 3, 7),
    ("ZADD", "scores:many", *(word for n in range(3000) for word in (n / 7, f"member {n}"))),
    ("HSET", "ending", "a", 1, "b", 2),
    ("HPEXPIREAT", "ending", LATER, "FIELDS", 1, "b"),
    ("HSET", "ending:many", *(word for n in range(1000) for word in (f"field {n}", n))),
    ("HPEXPIREAT", "ending:many", LATER, "FIELDS", 300, *(f"field {n}" for n in range(300))),
    ("XADD", "stream", "1-1", "a", "b"),
    ("XADD", "stream", "1-2", "a", "b", "c", "d"),
    ("XADD", "stream", "1-3", "e", "f"),
    ("XADD", "stream", "5-0", "gone", "soon"),
    ("XDEL", "stream", "5-0"),
    ("XGROUP", "CREATE", "stream", "readers", "1-1", "ENTRIESREAD", 1),
    ("XGROUP", "CREATECONSUMER", "stream", "readers", "lonely"),
    ("XREADGROUP", "GROUP", "readers", "first", "COUNT", 1, "STREAMS", "stream", ">"),
    ("XREADGROUP", "GROUP", "readers", "second", "STREAMS", "stream", ">"),
    ("XCLAIM", "stream", "readers", "first", 0, "1-3", "RETRYCOUNT", 9),
    ("XGROUP", "CREATE", "stream", "others", 0),
    ("PEXPIREAT", "stream", LATER),
    ("XADD", "stream:emptied", "3-3", "a", "b"),
    ("XDEL", "stream:emptied", "3-3"),
    ("XGROUP", "CREATE", "stream:empty", "readers", 0, "MKSTREAM"),
]


def fill(server):
    with server.connect() as connection:
        for database in (0, 3):
            connection("SELECT", database)
            for request in ALL_TYPES:
                connection(*request)
    server("FUNCTION", "LOAD", "#!lua name=mine\nredis.register_function('f', function() return 7 end)")


def shown(server):
    """What a reader must find as the writer had it: the dataset's digest, and what that does not cover."""
    groups = [server("XINFO", "GROUPS", key) for key in ("stream", "stream:emptied", "stream:empty")]
    pending = [server("XPENDING", "stream", "readers", "-", "+", 10, consumer) for consumer in ("first", "second")]
    pending = [[(entry[0], entry[1], entry[3]) for entry in of_one] for of_one in pending]
    facts = [dict(zip(reply[::2], reply[1::2], strict=True)) for reply in (server("XINFO", "STREAM", "stream"),)]
    facts = [{name: fact[name] for name in (b"last-generated-id", b"max-deleted-entry-id", b"entries-added")} for fact in facts]
    ends = server("HPEXPIRETIME", "ending", "FIELDS", 2, "a", "b"), server("PEXPIRETIME", "ends")
    return server("DEBUG", "DIGEST"), groups, pending, facts, ends, server("FCALL", "f", 0), server("INFO", "keyspace").split(b",avg_ttl")[0]


def base(server):
    (path,) = server.folder.glob("appendonlydir/*.base.*")
    return path


def commands(path):
    """The commands of a log, annotations left out."""
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        end = data.index(b"\r\n", at)
        count, at = data[at:end], end + 2
        if count.startswith(b"#"):
            continue
        words = []
        for _ in range(int(count[1:])):
            end = data.index(b"\r\n", at)
            length, at = int(data[at + 1 : end]), end + 2
            words.append(data[at : at + length])
            at += length + 2
        found.append(words)
    return found


@pytest.mark.parametrize(("writes", "reads"), [("baton", "baton"), ("baton", "valkey"), ("valkey", "baton")])
def test_a_base_of_commands_holds_everything(start, writes, reads):
    writer = start(writes, *ON, *DEBUG)
    fill(writer)
    rewrite(writer)
    expected = shown(writer)
    assert base(writer).name == "appendonly.aof.2.base.aof"
    assert writer.terminate() == 0
    found = commands(base(writer))
    elements = [(len(words) - 2) // (2 if words[0] in (b"ZADD", b"HMSET") else 1) for words in found if words[0] in (b"RPUSH", b"SADD", b"ZADD", b"HMSET")]
    assert max(elements) == 64
    reader = start(reads, *ON, *DEBUG, folder=writer.folder)
    assert shown(reader) == expected
    rewrite(reader)
    reader.restart()
    assert shown(reader) == expected


def test_the_commands_are_those_that_valkey_writes(start):
    written = {}
    for kind in ("valkey", "baton"):
        server = start(kind, *ON, *DEBUG)
        for request in ALL_TYPES:
            # Elements of large collections come in another order.
            if not str(request[1]).partition(":")[2] in ("many", "many-ints", "long") and request[0] != "XREADGROUP" and request[0] != "XCLAIM":
                server(*request)
        server("XCLAIM", "stream", "readers", "first", 0, "1-2", "TIME", 77, "RETRYCOUNT", 9, "FORCE")
        rewrite(server)
        written[kind] = sorted(commands(base(server)))
    assert written["baton"] == written["valkey"]


@pytest.mark.parametrize("reads", ["baton", "valkey"])
def test_what_was_deleted_while_it_was_pending_stays_pending(start, reads):
    """A replica that goes on from its own file must have what its primary has. Valkey's own bases lose such entries."""
    baton = start("baton", *ON, *DEBUG)
    for key, deleted in (("some", ("1-1", "3-3")), ("all", ("1-1", "2-2", "3-3"))):
        for n in range(1, 4):
            baton("XADD", key, f"{n}-{n}", "f", n)
        baton("XGROUP", "CREATE", key, "readers", 0)
        baton("XREADGROUP", "GROUP", "readers", "first", "COUNT", 1, "STREAMS", key, ">")
        baton("XREADGROUP", "GROUP", "readers", "second", "STREAMS", key, ">")
        baton("XDEL", key, *deleted)
    rewrite(baton)
    facts = (b"length", b"last-generated-id", b"max-deleted-entry-id", b"entries-added", b"groups", b"first-entry")

    def state(server):
        for key in ("some", "all"):
            info = server("XINFO", "STREAM", key)
            info = dict(zip(info[::2], info[1::2], strict=True))
            pending = server("XPENDING", key, "readers", "-", "+", 10)
            yield [info[fact] for fact in facts], [(entry[0], entry[1], entry[3]) for entry in pending], server("XINFO", "GROUPS", key)

    expected = list(state(baton))
    assert [len(pending) for _, pending, _ in expected] == [3, 3]
    digest = baton("DEBUG", "DIGEST")
    assert baton.terminate() == 0
    reader = start(reads, *ON, *DEBUG, folder=baton.folder)
    assert list(state(reader)) == expected and reader("DEBUG", "DIGEST") == digest


def test_the_kind_of_base_is_changed_by_the_next_rewrite(start):
    baton = start("baton", *ON)
    assert base(baton).name == "appendonly.aof.1.base.aof"
    baton("SET", "k", "v")
    baton("CONFIG", "SET", "aof-use-rdb-preamble", "yes")
    rewrite(baton)
    assert base(baton).read_bytes().startswith(b"REDIS")
    baton("CONFIG", "SET", "aof-use-rdb-preamble", "no")
    rewrite(baton)
    assert commands(base(baton)) == [[b"SELECT", b"0"], [b"SET", b"k", b"v"]]
    baton.restart()
    assert baton("GET", "k") == b"v"


def test_a_rewrite_that_has_begun_keeps_its_kind_of_base(start):
    baton = start("baton", *ON)
    baton("SET", "k", "v")
    with baton.connect() as connection:
        for number in range(2, 12):
            # At once: the rewrite's own thread has hardly begun when the directive changes.
            before, after = (resp.encode("CONFIG", "SET", "aof-use-rdb-preamble", value) for value in ("no", "yes"))
            connection.send(before + resp.encode("BGREWRITEAOF") + after)
            assert [connection.read() for _ in range(3)] == [b"OK", b"Background append only file rewriting started", b"OK"]
            eventually(lambda: baton.info()["aof_rewrite_in_progress"] == "0", "the rewrite to end")
            assert base(baton).name == f"appendonly.aof.{number}.base.aof"


def test_what_is_due_when_the_base_is_written_is_gone_when_it_is_read(start):
    """Its time stands behind the value, so it must not come back as a key that stays."""
    baton = start("baton", *ON, *DEBUG)
    baton("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    baton("SET", "due", 1, "PX", 1)
    baton("HSET", "hash", "due", 1, "stays", 2)
    baton("HPEXPIRE", "hash", 1, "FIELDS", 1, "due")
    eventually(lambda: baton("HLEN", "hash") == 2 and baton("HGETALL", "hash") == [b"stays", b"2"], "the field to end")
    rewrite(baton)
    assert [b"SET", b"due", b"1"] in commands(base(baton))
    baton.restart()
    assert (baton("EXISTS", "due"), baton("HGETALL", "hash")) == (0, [b"stays", b"2"])


def test_a_process_killed_in_the_midst_of_rewrites_into_commands_loses_nothing(start):
    baton = start("baton", *ON, "--appendfsync", "always", "--rdb-key-save-delay", 300)
    with baton.connect() as connection:
        for n in range(3000):
            connection("RPUSH", f"list {n}", n)
    with Writers(baton) as writers:
        for _ in range(2):
            rewrite(baton)
        baton("BGREWRITEAOF")
        eventually(lambda: baton.info()["aof_rewrite_in_progress"] == "1", "another rewrite to begin")
        baton.kill()
        writers.stop()
    baton.start()
    writers.check(baton)
    assert all(baton("LLEN", f"list {n}") == 1 for n in range(0, 3000, 100))


def test_a_base_of_commands_says_where_in_the_stream_it_stands(start):
    primary = start("baton")
    replica = start("baton", *ON, "--appendfsync", "always", "--replicaof", f"127.0.0.1 {primary.port}")
    linked = lambda: replica.info()["master_link_status"] == "up"
    eventually(linked, "the link")
    with primary.connect() as connection:
        connection("SELECT", 5)
        connection("SET", "before", 1)
    eventually(lambda: b"db5" in replica("INFO", "keyspace"), "the write")
    eventually(lambda: replica.info()["aof_rewrite_in_progress"] == "0", "the first base")
    rewrite(replica)
    replica.kill()
    assert base(replica).name.endswith(".base.aof")
    with primary.connect() as connection:
        connection("SELECT", 5)
        connection("INCR", "before")
    replica.start()
    eventually(linked, "the link again")
    with replica.connect() as connection:
        connection("SELECT", 5)
        eventually(lambda: connection("GET", "before") == b"2", "what came since")
    info = primary.info()
    assert (info["sync_full"], info["sync_partial_ok"]) == ("1", "1")


def test_slots_that_are_coming_are_hidden_still_after_a_base_of_commands(make_cluster):  # noqa: F811
    """Commands have the job as the stream has it, and a line whose data it all is; the replica asks for nothing again."""
    cluster = make_cluster(*["baton"] * 6, settings=(*ON, *DEBUG))
    source, target, slot, replica = slot_on_its_way(cluster)
    rewrite(replica)
    data = base(replica).read_bytes()
    assert data.startswith(b"#BATON-SHARD:%s\r\n" % replica("CLUSTER", "MYSHARDID")) and b"ESTABLISH" in data
    before = target.info("stats")["sync_full"]
    replica.restart()
    eventually(lambda: follows_with_key(replica, slot), "the replica to have the key again")
    assert target.info("stats")["sync_full"] == before
    assert replica("DBSIZE") == 0 and replica("KEYS", "*") == [] and latest(replica)["state"] == "occurring-on-primary"
    source("DEBUG", "SLOTMIGRATION", "PREVENT-PAUSE", 0)
    assert ended(target)["state"] == "success"
    eventually(lambda: replica("DBSIZE") == 1 and ended(replica)["state"] == "success", "the replica to show the key")
