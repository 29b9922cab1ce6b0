"""CLUSTER MIGRATESLOTS: slots that move at once, under load, between nodes of either kind; and jobs that end early."""

import time

import pytest
import resp

from servers import eventually
from test_cluster import make_cluster  # noqa: F401 (a fixture)
from test_migrate import Counters


DEBUG = ["--enable-debug-command", "yes"]


def primaries(cluster):
    return [node for node in cluster.nodes if cluster.is_primary(node)]


def my_id(node):
    return node("CLUSTER", "MYID").decode()


def first_slots(cluster, node, count):
    ranges = [word.partition("-")[::2] for word in cluster.view(node)[node.port]["slots"]]
    start, end = next((int(a), int(b or a)) for a, b in ranges if int(b or a) - int(a) >= count)
    return start, start + count - 1


def jobs(node):
    return [dict(zip(row[::2], row[1::2], strict=True)) for row in node("CLUSTER", "GETSLOTMIGRATIONS")]


def latest(node):
    found = jobs(node)
    return {name.decode(): value.decode() if isinstance(value, bytes) else value for name, value in found[0].items()} if found else {}


def move(source, target, start, end):
    assert source("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", start, end, "NODE", my_id(target)) == b"OK"


def ended(node, seconds=30):
    over = ("success", "failed", "cancelled")
    return eventually(lambda: latest(node).get("state") in over and latest(node), "the job to end", seconds)


def keys_of(node, slot):
    return sorted(node("CLUSTER", "GETKEYSINSLOT", slot, 1000))


KINDS = [["baton"] * 3, ["baton", "valkey", "valkey"], ["valkey", "baton", "valkey"], ["baton"] * 6]


@pytest.mark.parametrize("kinds", KINDS, ids=["baton", "to-valkey", "from-valkey", "with-replicas"])
def test_slots_move_under_load(make_cluster, kinds):  # noqa: F811
    cluster = make_cluster(*kinds)
    first, second = primaries(cluster)[:2]
    load = Counters(first.port)
    time.sleep(0.5)
    start, end = first_slots(cluster, first, 1500)
    for source, target in ((first, second), (second, first)):
        move(source, target, start, end)
        for node, operation in ((source, "EXPORT"), (target, "IMPORT")):
            job = ended(node)
            assert (job["state"], job["message"], job["operation"]) == ("success", "", operation), job
            assert job["slot_ranges"] == f"{start}-{end}"
            assert (job["source_node"], job["target_node"]) == (my_id(source), my_id(target))
        cluster.settled()
        eventually(lambda node=source: all(not keys_of(node, slot) for slot in range(start, end + 1, 100)), "the source to let go of the keys")
    counted = load.finish()
    assert load.errors == [] and counted > 500
    for replica in (node for node in cluster.nodes if not cluster.is_primary(node)):
        eventually(lambda node=replica: node("DBSIZE") == _primary_of(cluster, node)("DBSIZE"), "replicas to have the same keys")


def _primary_of(cluster, replica):
    wanted = cluster.view(replica)[replica.port]["primary"]
    return next(node for node in cluster.nodes if my_id(node) == wanted)


@pytest.mark.parametrize(("source_kind", "target_kind"), [("baton", "baton"), ("baton", "valkey"), ("valkey", "baton")])
def test_all_types_and_times_travel(make_cluster, source_kind, target_kind):  # noqa: F811
    cluster = make_cluster(source_kind, target_kind, "baton")
    source, target = cluster.nodes[:2]
    start, _ = first_slots(cluster, source, 1)
    tag = next(tag for tag in ("{%d}" % n for n in range(100_000)) if source("CLUSTER", "KEYSLOT", tag) == start)
    with source.connect() as connection:
        for words in [
            ("SET", tag + "text", "hello", "PX", 100_000), ("SET", tag + "number", 12345), ("SET", tag + "large", "x" * 300_000),
            ("RPUSH", tag + "list", *range(2000)), ("SADD", tag + "set", *(f"m{i}" for i in range(2000))),
            ("HSET", tag + "hash", *(f"f{i}" for i in range(2000))), ("ZADD", tag + "zset", 1, "a", 2, "b"),
        ]:
            connection(*words)
    names = keys_of(source, start)
    move(source, target, start, start)
    assert ended(source)["state"] == "success"
    cluster.settled()
    assert keys_of(target, start) == names and len(names) == 7
    assert 50_000 < target("PTTL", tag + "text") <= 100_000 and target("PTTL", tag + "number") == -1
    assert target("GET", tag + "number") == b"12345" and target("LLEN", tag + "list") == 2000
    assert target("HLEN", tag + "hash") == 1000 and target("ZRANGE", tag + "zset", 0, -1) == [b"a", b"b"]
    with pytest.raises(resp.ErrorReply, match=f"MOVED {start}"):
        source("GET", tag + "text")


@pytest.mark.parametrize("kind", ["baton", "valkey"])
def test_requests_that_make_no_sense(make_cluster, kind):  # noqa: F811
    cluster = make_cluster(kind, "baton", "baton")
    node, other = cluster.nodes[:2]
    start, end = first_slots(cluster, node, 10)
    theirs, _ = first_slots(cluster, other, 10)
    me, you = my_id(node), my_id(other)
    for words, error in [
        (("SLOTSRANGE", 5, 4, "NODE", you), "ERR Start slot number 5 is greater than end slot number 4."),
        (("SLOTSRANGE", start, end, end, end, "NODE", you), f"ERR Slot range {end}-{end} overlaps with previous range {start}-{end}."),
        (("SLOTSRANGE", start, "NODE", you), "ERR Invalid or out of range slot"),
        (("SLOTSRANGE", "NODE", you), "ERR No slot ranges specified"),
        (("SLOTSRANGE", theirs, theirs, "NODE", you), "ERR Slots are not served by this node."),
        (("SLOTSRANGE", start, theirs, "NODE", you), "ERR Requested slots span multiple shards"),
        (("SLOTSRANGE", start, end, "NODE", me), "ERR Target node can not be this node."),
        (("SLOTSRANGE", start, end, "NODE", "x" * 40), "ERR Unknown node name: x"),
        (("SLOTSRANGE", start, 16384, "NODE", you), "ERR Invalid or out of range slot"),
        (("SLOTSRANGE", start, end, "NODE", you, "SLOTSRANGE", end, end, "NODE", you), "ERR Slot ranges in migrations overlap"),
        (("SLOTSRANGE", start, end, "TO", you), "ERR syntax error"),
    ]:
        with pytest.raises(resp.ErrorReply) as refused:
            node("CLUSTER", "MIGRATESLOTS", *words)
        assert str(refused.value).startswith(error), (words, str(refused.value))
    with pytest.raises(resp.ErrorReply, match="ERR No migrations ongoing"):
        node("CLUSTER", "CANCELSLOTMIGRATIONS")
    with pytest.raises(resp.ErrorReply, match="ERR CLUSTER SYNCSLOTS ACK should only be used by slot migration clients"):
        node("CLUSTER", "SYNCSLOTS", "ACK")
    assert jobs(node) == []


class TestSource:
    """What a target does with a source that is not what it should be: a bare connection that says what a source would."""

    @pytest.fixture
    def parts(self, make_cluster):  # noqa: F811
        cluster = make_cluster(*["baton"] * 6)
        source, target = primaries(cluster)[:2]
        start, end = first_slots(cluster, source, 100)
        name = "0" * 39 + "1"
        connection = target.connect()
        words = ("ESTABLISH", "SOURCE", my_id(source), "NAME", name, "SLOTSRANGE", start, end)
        assert connection("CLUSTER", "SYNCSLOTS", *words) == b"OK"
        key = next(key for key in ("{%d}" % n for n in range(100_000)) if source("CLUSTER", "KEYSLOT", key) == start)
        connection.send(resp.encode("CLUSTER", "SYNCSLOTS", "ACK"))
        assert connection.read() == [b"CLUSTER", b"SYNCSLOTS", b"ACK"]
        connection.send(resp.encode("SET", key, "v") + resp.encode("CLUSTER", "SYNCSLOTS", "SNAPSHOT-EOF"))
        assert connection.read() == [b"CLUSTER", b"SYNCSLOTS", b"REQUEST-PAUSE"]
        yield cluster, target, connection, start, key
        connection.close()

    def test_what_comes_is_not_shown(self, parts):
        cluster, target, _, slot, key = parts
        replica = cluster.replicas_of(target)[0]
        eventually(lambda: replica("CLUSTER", "COUNTKEYSINSLOT", slot) == 1, "the replica to have the key")
        for node in (target, replica):
            assert node("CLUSTER", "COUNTKEYSINSLOT", slot) == 1
            assert node("DBSIZE") == 0 and node("KEYS", "*") == [] and node("RANDOMKEY") is None
            assert node("SCAN", 0, "COUNT", 1000)[1] == []
        assert latest(target)["state"] == "waiting-for-paused" and latest(replica)["state"] == "occurring-on-primary"
        with pytest.raises(resp.ErrorReply, match="MOVED"):
            target("GET", key)

    def test_a_source_that_goes_leaves_nothing(self, parts):
        cluster, target, connection, slot, _ = parts
        replica = cluster.replicas_of(target)[0]
        connection.close()
        job = ended(target)
        assert job["state"] == "failed" and job["message"].startswith("Connection lost to source.")
        for node in (target, replica):
            eventually(lambda node=node: node("CLUSTER", "COUNTKEYSINSLOT", slot) == 0, "the key to be gone")
        assert ended(replica)["state"] == "failed"

    def test_a_replica_that_takes_over_clears_up(self, parts):
        cluster, target, _, slot, _ = parts
        replica = cluster.replicas_of(target)[0]
        eventually(lambda: replica("CLUSTER", "COUNTKEYSINSLOT", slot) == 1, "the replica to have the key")
        assert replica("CLUSTER", "FAILOVER") == b"OK"
        eventually(lambda: cluster.is_primary(replica), "the replica to take over")
        for node in (target, replica):
            eventually(lambda node=node: node("CLUSTER", "COUNTKEYSINSLOT", slot) == 0, "the key to be gone")
            assert ended(node)["state"] == "failed"

    def test_a_flush_that_is_refused_ends_nothing(self, parts):
        _, target, connection, slot, _ = parts
        for words in (["FLUSHALL", "NOW"], ["FLUSHDB", "SYNC", "ASYNC"], ["SWAPDB", "0", "1"], ["CLUSTER", "FLUSHSLOT", slot, "NOW"]):
            with pytest.raises(resp.ErrorReply, match="ERR (syntax error|SWAPDB is not allowed in cluster mode)"):
                target(*words)
        assert latest(target)["state"] == "waiting-for-paused"
        connection.close()
        assert ended(target)["message"].startswith("Connection lost to source.")

    def test_everything_deleted(self, parts):
        _, target, _, slot, _ = parts
        assert target("FLUSHALL") == b"OK"
        job = ended(target)
        assert (job["state"], job["message"]) == ("failed", "Data was flushed")
        assert target("CLUSTER", "COUNTKEYSINSLOT", slot) == 0


def test_a_job_is_cancelled(make_cluster):  # noqa: F811
    cluster = make_cluster(*["baton"] * 3)
    source, target = cluster.nodes[:2]
    start, end = first_slots(cluster, source, 2000)
    key = next(key for key in ("{%d}" % n for n in range(100_000)) if source("CLUSTER", "KEYSLOT", key) == end)
    source("SET", key, "v")
    target("CLIENT", "PAUSE", 3000, "WRITE")
    move(source, target, start, end)
    eventually(lambda: latest(source).get("state") not in (None, "connecting"), "the job to begin")
    with pytest.raises(resp.ErrorReply, match="ERR I am already migrating slot"):
        move(source, target, start, start)
    assert source("CLUSTER", "CANCELSLOTMIGRATIONS") == b"OK"
    assert ended(source)["state"] == "cancelled"
    target("CLIENT", "UNPAUSE")
    assert ended(target)["state"] == "failed"
    assert source("GET", key) == b"v" and target("CLUSTER", "COUNTKEYSINSLOT", end) == 0
    move(source, target, start, end)
    assert ended(source)["state"] == "success"
    cluster.settled()
    assert target("GET", key) == b"v"


def tag_of(node, slot):
    return next(tag for tag in ("{%d}" % n for n in range(200_000)) if node("CLUSTER", "KEYSLOT", tag) == slot)


def test_slots_come_from_two_nodes_and_leave_to_two_at_a_time(make_cluster):  # noqa: F811
    cluster = make_cluster(*["baton"] * 3, settings=DEBUG)
    middle, one, two = cluster.nodes

    def both(moves):
        for node in cluster.nodes:
            node("DEBUG", "SLOTMIGRATION", "PREVENT-PAUSE", 1)
        for source, target, slot, tag in moves:
            for n in range(200):
                source("SET", f"{tag}{n}", "v")
            move(source, target, slot, slot)
        for source, _, _, tag in moves:
            eventually(lambda source=source: all(job[b"state"] != b"snapshotting" for job in jobs(source)), "the values to be there")
            for n in range(200, 300):
                source("SET", f"{tag}{n}", "v")
        for node in cluster.nodes:
            node("DEBUG", "SLOTMIGRATION", "PREVENT-PAUSE", 0)
        for source, target, slot, _ in moves:
            name = next(job[b"name"] for job in jobs(source) if job[b"slot_ranges"] == b"%d-%d" % (slot, slot))
            for node in (source, target):
                eventually(lambda node=node, name=name: [job[b"state"] for job in jobs(node) if job[b"name"] == name] == [b"success"], "success")
            assert (target("CLUSTER", "COUNTKEYSINSLOT", slot), source("CLUSTER", "COUNTKEYSINSLOT", slot)) == (300, 0)
        cluster.settled()

    slots = [(node, first_slots(cluster, node, 1)[0]) for node in (one, two)]
    tagged = [(node, slot, tag_of(node, slot)) for node, slot in slots]
    both([(node, middle, slot, tag) for node, slot, tag in tagged])
    both([(middle, node, slot, tag) for node, slot, tag in tagged])


def follows_with_key(replica, slot):
    return replica.is_linked() and replica("CLUSTER", "COUNTKEYSINSLOT", slot) == 1


def slot_on_its_way(cluster):
    """Copies a slot with a key, but does not let it be handed over. Gives source, target, slot, and a replica of the target that has the key, too."""
    source, target = cluster.nodes[:2]
    slot, _ = first_slots(cluster, source, 1)
    source("SET", tag_of(source, slot), "v")
    source("DEBUG", "SLOTMIGRATION", "PREVENT-PAUSE", 1)
    move(source, target, slot, slot)
    eventually(lambda: latest(source)["state"] == "waiting-to-pause", "the values to be there")
    replica = cluster.replicas_of(target)[0]
    eventually(lambda: follows_with_key(replica, slot), "the replica to have the key")
    return source, target, slot, replica


@pytest.mark.parametrize("kinds", [["baton"] * 6, ["baton", "valkey"] + ["baton"] * 4, ["baton"] * 3 + ["valkey"] * 3], ids=["baton", "of-valkey", "valkey"])
@pytest.mark.parametrize("saved", [False, True], ids=["anew", "saved"])
def test_a_replica_of_the_target_starts_again(make_cluster, kinds, saved):  # noqa: F811
    cluster = make_cluster(*kinds, settings=DEBUG)
    source, target, slot, replica = slot_on_its_way(cluster)
    if saved:
        assert replica("SAVE") == b"OK"
    replica.restart()
    eventually(lambda: follows_with_key(replica, slot), "the replica to have the key again")
    assert replica("DBSIZE") == 0 and replica("KEYS", "*") == [] and latest(replica)["state"] == "occurring-on-primary"
    source("DEBUG", "SLOTMIGRATION", "PREVENT-PAUSE", 0)
    assert ended(target)["state"] == "success"
    eventually(lambda: replica("DBSIZE") == 1, "the replica to show the key")
    # A replica of the other kind lets the success of a job that it knows from a snapshot be followed by a failure.
    assert replica.kind == "valkey" or ended(replica)["state"] == "success"


def test_a_target_that_starts_again_has_nothing(make_cluster):  # noqa: F811
    cluster = make_cluster(*["baton"] * 3, settings=DEBUG)
    source, target = cluster.nodes[:2]
    slot, _ = first_slots(cluster, source, 1)
    key = tag_of(source, slot)
    source("SET", key, "v")
    source("DEBUG", "SLOTMIGRATION", "PREVENT-PAUSE", 1)
    move(source, target, slot, slot)
    eventually(lambda: latest(source)["state"] == "waiting-to-pause", "the values to be there")
    assert target("SAVE") == b"OK"
    target.restart()
    assert ended(source)["message"].startswith("Connection lost to target.")
    job = latest(target)
    assert (job["state"], job["message"]) == ("failed", "Process restarted"), job
    eventually(lambda: keys_of(target, slot) == [], "what came to be gone")
    source("DEBUG", "SLOTMIGRATION", "PREVENT-PAUSE", 0)
    cluster.settled()
    move(source, target, slot, slot)
    assert ended(source)["state"] == "success"
    eventually(lambda: target("GET", key) == b"v", "the target to serve the key")


def test_the_words_of_upstreams_tool_move_slots_and_send_waiters_on(make_cluster):  # noqa: F811
    """The tool sends the first word with the zero that ends it."""
    cluster = make_cluster(*["baton"] * 3)
    source, target = primaries(cluster)[:2]
    slot, _ = first_slots(cluster, source, 1)
    with source.connect() as connection:
        connection.send(resp.encode("BRPOP", tag_of(source, slot), 0))
        eventually(lambda: source.info("clients")["blocked_clients"] == "1", "it to wait")
        assert source("CLUSTER", "MIGRATESLOTS", b"SLOTSRANGE\0", slot, slot, "NODE", my_id(target)) == b"OK"
        assert str(connection.read()) == f"MOVED {slot} 127.0.0.1:{target.port}"
    assert ended(source)["state"] == "success"
    assert source.info("clients")["blocked_clients"] == "0"
