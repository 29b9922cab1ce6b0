"""Replication between Baton and itself, Redis 7.0 and Valkey, both ways; resuming after a cut; chains; WAIT."""

import re
import threading

import pytest

from resp import ErrorReply, encode
from servers import SAMPLE_DATABASES, contents, eventually, fill

PAIRS = [("baton", "baton"), ("redis", "baton"), ("baton", "redis"), ("valkey", "baton"), ("baton", "valkey")]
FLAGS = {
    # Upstream waits 5 s for more replicas before a diskless sync; nothing here gains by it.
    "redis": ["--repl-diskless-sync-delay", "0"],
    "valkey": ["--repl-diskless-sync-delay", "0"],
    "baton": ["--repl-diskless-sync-delay", "0"],
}


def attach(replica, primary):
    replica("REPLICAOF", "127.0.0.1", primary.port)
    linked(replica)


def linked(replica):
    eventually(replica.is_linked, f"{replica} to be linked", 30)


def in_step(primary, *replicas):
    """Waits until the replicas have everything that the primary has written so far."""
    offset = int(primary.info("replication")["master_repl_offset"])
    for replica in replicas:
        eventually(
            lambda replica=replica: int(replica.info("replication")["slave_repl_offset"]) >= offset,
            f"{replica} to reach offset {offset} of {primary}",
        )


@pytest.fixture(params=PAIRS, ids=lambda pair: f"{pair[0]}-to-{pair[1]}")
def pair(request, start):
    """A primary with data and a replica linked to it."""
    primary, replica = (start(kind, *FLAGS[kind]) for kind in request.param)
    fill(primary)
    replica("SET", "stale", "must go")
    attach(replica, primary)
    return primary, replica


def test_full_sync_and_stream(pair):
    primary, replica = pair
    in_step(primary, replica)
    assert contents(replica, SAMPLE_DATABASES) == contents(primary, SAMPLE_DATABASES)
    with primary.connect() as connection:
        connection("SET", "k", "v", "EX", 1000)
        connection("INCR", "n")
        connection("INCRBYFLOAT", "f", "0.1")
        connection("APPEND", "text", " and more")
        connection("DEL", "key:1", "key:2")
        connection("PEXPIRE", "key:3", 500_000)
        connection("GETEX", "volatile:1", "PERSIST")
        connection("RENAME", "key:4", "key:four")
        connection("SET", "gone", "v", "PX", 1)
        connection("SELECT", 1)
        connection("MULTI")
        connection("MSET", "a", "1", "b", "2")
        connection("INCR", "a")
        connection("EXEC")
    eventually(lambda: primary("EXISTS", "gone") == 0, "the key to expire")
    in_step(primary, replica)
    assert contents(replica, SAMPLE_DATABASES) == contents(primary, SAMPLE_DATABASES)


def test_both_sides_say_what_they_are(pair):
    primary, replica = pair
    in_step(primary, replica)
    info = primary.info("replication")
    assert (info["role"], info["connected_slaves"]) == ("master", "1")
    assert f"ip=127.0.0.1,port={replica.port},state=online" in info["slave0"]
    info = replica.info("replication")
    assert (info["role"], info["master_host"], info["master_port"]) == ("slave", "127.0.0.1", str(primary.port))
    assert info["master_replid"] == primary.info("replication")["master_replid"]
    assert primary("ROLE")[0] == b"master"
    assert replica("ROLE")[:4] == [b"slave", b"127.0.0.1", primary.port, b"connected"]


def test_replica_refuses_writes(pair):
    _, replica = pair
    with pytest.raises(ErrorReply, match="READONLY You can't write against a read only replica"):
        replica("SET", "k", "v")


@pytest.mark.parametrize("cut_by", ["primary", "replica"])
def test_cut_link_resumes_without_full_sync(pair, cut_by):
    primary, replica = pair
    in_step(primary, replica)
    before = primary.info("stats")
    if cut_by == "primary":
        assert primary("CLIENT", "KILL", "TYPE", "replica") == 1
    else:
        assert replica("CLIENT", "KILL", "TYPE", "master") == 1
    for number in range(1000):
        primary("SET", f"during:{number}", number)
    linked(replica)
    in_step(primary, replica)
    after = primary.info("stats")
    assert int(after["sync_full"]) == int(before["sync_full"])
    assert int(after["sync_partial_ok"]) == int(before["sync_partial_ok"]) + 1
    assert contents(replica, SAMPLE_DATABASES) == contents(primary, SAMPLE_DATABASES)


def test_too_long_a_cut_needs_a_full_sync(start):
    primary = start("baton", "--repl-backlog-size", "16kb", *FLAGS["baton"])
    replica = start("baton")
    attach(replica, primary)
    replica("CLIENT", "PAUSE", 1, "WRITE")
    replica("REPLICAOF", "127.0.0.1", "1")
    for number in range(100):
        primary("SET", f"k{number}", "x" * 10_000)
    attach(replica, primary)
    in_step(primary, replica)
    assert contents(replica) == contents(primary)


def test_writes_during_a_full_sync_arrive(start):
    primary, replica = start("baton", *FLAGS["baton"]), start("baton")
    with primary.connect() as connection:
        for number in range(200):
            connection("SET", f"big:{number}", bytes(50_000))
    stop = threading.Event()

    def write():
        with primary.connect() as connection:
            number = 0
            while not stop.is_set():
                connection("SET", f"k{number % 500}", number)
                connection("INCR", "counter")
                number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            replica("REPLICAOF", "NO", "ONE")
            replica("FLUSHALL")
            attach(replica, primary)
    finally:
        stop.set()
        writer.join()
    in_step(primary, replica)
    assert contents(replica) == contents(primary)


@pytest.mark.parametrize("kinds", [("baton", "baton", "baton"), ("redis", "baton", "redis"), ("valkey", "baton", "valkey")])
def test_chain(start, kinds):
    top, middle, bottom = (start(kind, *FLAGS[kind]) for kind in kinds)
    fill(top)
    attach(middle, top)
    attach(bottom, middle)
    top("SET", "k", "through the chain")
    in_step(top, middle, bottom)
    assert contents(bottom, SAMPLE_DATABASES) == contents(top, SAMPLE_DATABASES)
    assert bottom.info("replication")["master_replid"] == top.info("replication")["master_replid"]
    # A cut at the top must not make the bottom copy everything again.
    before = int(middle.info("stats")["sync_full"])
    top("CLIENT", "KILL", "TYPE", "replica")
    top("SET", "k", "after the cut")
    linked(middle)
    in_step(top, middle, bottom)
    assert bottom("GET", "k") == b"after the cut"
    assert int(middle.info("stats")["sync_full"]) == before


def test_promoted_replica_keeps_the_history(start):
    """After a promotion a sibling follows the new primary, and the old one comes back, by what they already have."""
    old, new, sibling = (start("baton", *FLAGS["baton"]) for _ in range(3))
    fill(old)
    attach(new, old)
    attach(sibling, old)
    in_step(old, new, sibling)
    assert new("REPLICAOF", "NO", "ONE") == b"OK"
    info = new.info("replication")
    assert info["master_replid2"] == old.info("replication")["master_replid"]
    new("SET", "k", "from the new one")
    attach(sibling, new)
    attach(old, new)
    in_step(new, sibling, old)
    assert int(new.info("stats")["sync_partial_ok"]) == 2
    assert int(new.info("stats")["sync_full"]) == 0
    assert contents(old, SAMPLE_DATABASES) == contents(new, SAMPLE_DATABASES) == contents(sibling, SAMPLE_DATABASES)


def test_who_was_a_primary_for_a_moment_resumes_in_the_selected_database(start):
    """It asks for the history that it left, which goes on without saying again which database is meant."""
    primary, replica = start("baton", *FLAGS["baton"]), start("baton", *FLAGS["baton"])
    with primary.connect() as connection:
        attach(replica, primary)
        connection("SELECT", 9)
        connection("SET", "before", "1")
        in_step(primary, replica)
        replica("REPLICAOF", "NO", "ONE")
        connection("SET", "between", "1")
        attach(replica, primary)
        connection("SET", "after", "1")
        in_step(primary, replica)
    assert primary.info("stats")["sync_partial_ok"] == "1"
    assert contents(replica, 16) == contents(primary, 16)


def test_restarted_replica_resumes_from_its_snapshot(start):
    primary = start("baton", *FLAGS["baton"])
    replica = start("baton", "--save", "3600 1", "--replicaof", f"127.0.0.1 {primary.port}")
    linked(replica)
    fill(primary)
    in_step(primary, replica)
    assert replica.terminate() == 0
    primary("SET", "k", "while it was away")
    before = int(primary.info("stats")["sync_full"])
    replica.start()
    linked(replica)
    in_step(primary, replica)
    assert int(primary.info("stats")["sync_full"]) == before
    assert contents(replica, SAMPLE_DATABASES) == contents(primary, SAMPLE_DATABASES)


@pytest.mark.parametrize("kind", ["baton", "redis", "valkey"])
def test_wait_counts_replicas_that_have_the_write(start, kind):
    primary, replica = start("baton", *FLAGS["baton"]), start(kind)
    with primary.connect() as connection:
        connection("SET", "k", "v")
        assert connection("WAIT", 1, 50) == 0
        attach(replica, primary)
        connection("SET", "k", "w")
        assert connection("WAIT", 1, 10_000) == 1
        assert replica("GET", "k") == b"w"
        assert connection("WAIT", 2, 50) == 1


def test_published_messages_reach_the_replica(pair):
    primary, replica = pair
    with replica.connect() as listener:
        listener("SUBSCRIBE", "news")
        primary("PUBLISH", "news", "hello")
        assert listener.read() == [b"message", b"news", b"hello"]


def test_a_replica_is_one_from_its_first_answer(start):
    for _ in range(20):
        replica = start("baton", "--replicaof", "127.0.0.1 1")
        assert replica("ROLE")[0] == b"slave", "what it takes as a primary would be thrown away"


def test_replica_serves_the_password(start):
    primary = start("baton", "--requirepass", "secret", *FLAGS["baton"])
    replica = start("baton", "--primaryauth", "secret", "--replicaof", f"127.0.0.1 {primary.port}")
    linked(replica)
    with primary.connect() as connection:
        connection("AUTH", "secret")
        connection("SET", "k", "v")
    eventually(lambda: replica("GET", "k") == b"v", "the write to arrive")


def test_keys_that_clients_wrote_on_a_replica_expire_there(start):
    primary, replica = start("baton"), start("baton", "--replica-read-only", "no")
    attach(replica, primary)
    replica("SET", "short", "x", "PX", 100)
    replica("SET", "long", "x", "EX", 1000)
    replica("SET", "ever", "x")
    eventually(lambda: replica("DBSIZE") == 2, "the key to be deleted, not only hidden")
    assert replica("MGET", "short", "long", "ever") == [None, b"x", b"x"]


def test_a_write_on_a_replica_replaces_what_is_due(start):
    primary = start("baton", "--enable-debug-command", "yes")
    replica = start("baton", "--replica-read-only", "no", "--enable-debug-command", "yes")
    attach(replica, primary)
    primary("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    primary("SET", "counted", 5, "PX", 10)
    primary("SET", "read", 5, "PX", 10)
    in_step(primary, replica)
    eventually(lambda: replica("EXISTS", "counted", "read") == 0, "their time to come")
    assert (replica("INCR", "counted"), replica("TTL", "counted")) == (1, -1)
    # A read hides the key; deleting it is the primary's to say.
    assert (replica("GET", "read"), replica("DBSIZE")) == (None, 2)
    assert b"encoding:int" in replica("DEBUG", "OBJECT", "read")


@pytest.mark.parametrize("delay", [5, 1000], ids=["the-default", "another"])
def test_a_delay_that_was_set_counts_for_replicas_that_wait(start, delay):
    primary, replica = start("baton", "--repl-diskless-sync-delay", delay), start("baton")
    replica("REPLICAOF", "127.0.0.1", primary.port)
    eventually(lambda: "state=wait_bgsave" in str(primary.info("replication")), "the replica to wait", 30)
    primary("CONFIG", "SET", "repl-diskless-sync-delay", 0)
    linked(replica)


def test_a_count_on_a_replica_is_kept_in_its_value(start):
    """Upstream's reads keep it too, on a replica as on a primary; the key stays its primary's all the same."""
    primary, replica = (start("baton", *FLAGS["baton"]) for _ in range(2))
    primary("PFADD", "key", *range(20))
    primary("PEXPIRE", "key", 1_000_000)
    attach(replica, primary)
    before = replica("GET", "key")
    assert before == primary("GET", "key")
    assert replica("PFCOUNT", "key") == 20
    assert replica("GET", "key") != before
    assert replica.info("stats")["slave_expires_tracked_keys"] == "0"
    assert primary("PFCOUNT", "key") == 20
    in_step(primary, replica)
    assert replica("GET", "key") == primary("GET", "key")


def test_who_sleeps_hangs_for_its_replication_too(start):
    """A replica that stands still does not ask for the stream again, so it meets a primary that went on without it."""
    primary, replica = (start("baton", *FLAGS["baton"], "--repl-backlog-size", "16384", "--enable-debug-command", "yes") for _ in range(2))
    attach(replica, primary)
    with replica.connect() as connection:
        for command in (["MULTI"], ["CLIENT", "KILL", "TYPE", "master"], ["DEBUG", "SLEEP", "0.5"]):
            connection(*command)
        connection.send(encode("EXEC"))
        eventually(lambda: primary.info("replication")["connected_slaves"] == "0", "the link to be cut")
        fulls = int(primary.info("stats")["sync_full"])
        primary("SET", "large", "x" * 200_000)
        assert primary.info("replication")["connected_slaves"] == "0"
        assert connection.read() == [1, b"OK"]
    linked(replica)
    in_step(primary, replica)
    assert replica("STRLEN", "large") == 200_000
    assert int(primary.info("stats")["sync_full"]) == fulls + 1


@pytest.mark.parametrize("kind", ["baton", "valkey"])
def test_what_came_over_a_link_that_is_cut_is_not_applied_afterwards(start, kind):
    """Else a replica that was cut off on purpose could be as far as those that were not, or farther."""
    primary, replica = (start(kind, *FLAGS[kind], "--enable-debug-command", "yes") for _ in range(2))
    attach(replica, primary)
    primary("SET", "before", "v")
    in_step(primary, replica)
    with replica.connect() as connection:
        for command in (["MULTI"], ["DEBUG", "SLEEP", "1"], ["CLIENT", "KILL", "TYPE", "master"]):
            connection(*command)
        connection.send(encode("EXEC"))
        eventually(lambda: is_deaf(replica), "the replica to sleep")
        sent = lambda: int(primary.info("stats")["total_net_repl_output_bytes"])  # noqa: E731
        before = sent()
        primary("SET", "during", "v" * 1000)
        # It arrives while nobody reads it.
        eventually(lambda: sent() > before + 1000, "the write to be sent")
        primary.stop()
        assert connection.read() == [b"OK", 1]
    eventually(lambda: re.search("Connection with (primary|master) lost", replica.log(), re.IGNORECASE), "the link to be cut")
    assert replica("MGET", "before", "during") == [b"v", None]
    primary.go_on()
    linked(replica)
    in_step(primary, replica)
    assert replica("STRLEN", "during") == 1000
    assert primary.info("stats")["sync_full"] == "1"


@pytest.mark.parametrize(("kind", "patience"), [("baton", 60), ("valkey", 60), ("baton", 4)])
def test_who_shares_a_snapshot_with_one_that_hangs_gets_it_all_the_same(start, kind, patience):
    """What is made waits for the slowest, so the others get nothing either until that one is given up: before they give up
    themselves, though they have been waiting as long."""
    primary = start(
        kind, "--repl-diskless-sync-delay", 100, "--repl-diskless-sync-max-replicas", 2, "--rdbcompression", "no",
        "--enable-debug-command", "yes",
    )
    primary("DEBUG", "POPULATE", 4000, "key", 10_000)
    hangs, waits = start(kind, "--repl-diskless-load", "swapdb", "--key-load-delay", 1000), start(kind, "--repl-timeout", patience)
    for replica in (hangs, waits):
        replica("REPLICAOF", "127.0.0.1", primary.port)
    eventually(lambda: "Loading DB in memory" in hangs.log(), "the snapshot to begin")
    hangs.stop()
    primary("CONFIG", "SET", "repl-timeout", 4)
    eventually(lambda: "Disconnecting timedout replica (full sync)" in primary.log(), "it to be given up")
    primary("CONFIG", "SET", "repl-timeout", 60)
    linked(waits)
    assert waits("DBSIZE") == 4000
    assert primary.log().count("Disconnecting timedout replica") == 1
    assert primary.info("stats")["sync_full"] == "2"


@pytest.mark.parametrize("to_disk", [False, True], ids=["streamed", "by-file"])
def test_a_snapshot_that_nobody_waits_for_any_more_keeps_nobody_waiting(start, to_disk):
    flags = ["--repl-diskless-sync", "no"] if to_disk else FLAGS["baton"]
    # 20 seconds for the whole, little enough to be handed on in one piece.
    primary, replica = start("baton", *flags, "--rdb-key-save-delay", 1_000_000), start("baton")
    for n in range(20):
        primary("SET", n, n)
    making = lambda: primary.info("persistence")["rdb_bgsave_in_progress"]  # noqa: E731
    replica("REPLICAOF", "127.0.0.1", primary.port)
    eventually(lambda: making() == "1", "a snapshot")
    replica("REPLICAOF", "NO", "ONE")
    eventually(lambda: making() == "0", "the end of it")
    replica("REPLICAOF", "127.0.0.1", primary.port)
    eventually(lambda: making() == "1", "another snapshot", 5)


def is_deaf(server):
    """Whether it takes a connection and answers nothing."""
    with server.connect(timeout=0.1) as connection:
        try:
            connection("PING")
        except TimeoutError:
            return True
    return False


def test_a_command_that_fails_ends_no_replica_that_clients_write_to(start):
    flags = [*FLAGS["baton"], "--propagation-error-behavior", "panic"]
    primary = start("baton", *flags)
    replica = start("baton", *flags, "--replica-read-only", "no")
    attach(replica, primary)
    library = "#!lua name=one\nserver.register_function('one', function() return '%s' end)"
    replica("FUNCTION", "LOAD", library % "here")
    primary("FUNCTION", "LOAD", library % "there")
    in_step(primary, replica)
    assert (replica("FCALL", "one", 0), primary("FCALL", "one", 0)) == (b"here", b"there")
    assert "== CRITICAL == This replica is sending an error" in replica.log()


def test_a_snapshot_for_a_replica_shows_as_one_that_is_made(start):
    primary = start("baton", *FLAGS["baton"], "--rdb-key-save-delay", 100_000)
    replica = start("baton", *FLAGS["baton"])
    for n in range(10):
        primary("SET", n, n)
    making = lambda: primary.info("persistence")["rdb_bgsave_in_progress"]  # noqa: E731
    replica("REPLICAOF", "127.0.0.1", primary.port)
    eventually(lambda: making() == "1", "the snapshot")
    assert "state=wait_bgsave" in primary.info("replication")["slave0"]
    linked(replica)
    eventually(lambda: making() == "0", "the end of it")


@pytest.mark.parametrize("asks", ["primary", "replica", "both"])
@pytest.mark.parametrize("kinds", [("baton", "valkey"), ("valkey", "baton"), ("baton", "baton")], ids=lambda kinds: "-to-".join(kinds))
def test_who_wants_a_second_channel_for_the_snapshot_is_served_without_one(start, kinds, asks):
    primary, replica = (start(kind, *FLAGS[kind]) for kind in kinds)
    for server in [primary] * (asks != "replica") + [replica] * (asks != "primary"):
        server("CONFIG", "SET", "dual-channel-replication-enabled", "yes")
    fill(primary)
    attach(replica, primary)
    primary("SET", "later", "v")
    in_step(primary, replica)
    assert contents(replica, SAMPLE_DATABASES) == contents(primary, SAMPLE_DATABASES)
    info = primary.info("replication")
    assert info["connected_slaves"] == "1" and info["slave0"].endswith("type=replica")
    assert primary.info("stats")["sync_full"] == "1"


@pytest.mark.parametrize("kind", ["baton", "valkey"])
@pytest.mark.parametrize(
    ("said", "name", "error"),
    [
        ("PING", "ping", None),
        ("SLOWLOG GET", "slowlog|get", None),
        ("GET foo", "get", "Replica can't interact with the keyspace"),
        ("SET foo", "set", "wrong number of arguments for 'set' command"),
        ("NOSUCH", "<unknown>", "unknown command 'NOSUCH', with args beginning with: "),
        ("REPLCONF foo bar", "replconf", "Unrecognized REPLCONF option: foo"),
    ],
)
def test_why_a_replica_that_asks_something_was_cut_off_is_in_the_log(start, kind, said, name, error):
    primary = start(kind, *FLAGS[kind])
    with primary.connect() as connection:
        assert connection("PSYNC", "?", -1).startswith(b"FULLRESYNC ")
        connection.send(encode(*said.split()))
        # What is left of the snapshot, and the end.
        connection.file.read()
    lines = primary.log().splitlines()
    assert any(f"# Replica generated a reply to command '{name}', disconnecting it: id=" in line for line in lines)
    critical = [line.partition(" # ")[2] for line in lines if "== CRITICAL ==" in line]
    text = "== CRITICAL == This primary is sending an error to its replica: '%s' after processing the command '%s'"
    assert critical == ([text % (error, name)] if error else [])
