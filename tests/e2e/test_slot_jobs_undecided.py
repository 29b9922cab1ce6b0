"""The last moment of CLUSTER MIGRATESLOTS goes wrong: the target was told that it may take the slots, and the source does not
hear whether it has. No write may be accepted that the target would not know (S11), and none may wait for ever."""

import time

import pytest
import resp

from servers import eventually
from test_cluster import make_cluster  # noqa: F401 (a fixture)
from test_migrate import Counters
from test_slot_jobs import DEBUG, ended, first_slots, keys_of, latest, move, my_id, primaries, tag_of

# Nobody is replaced meanwhile, and slots that nobody serves do not stop the others.
PATIENT = [*DEBUG, "--cluster-require-full-coverage", "no", "--cluster-manual-failover-timeout", 100]


class Undecided:
    """A source that has let its target take over, and a target that stands still and has not read it. There is a key on the
    way."""

    def __init__(self, make_cluster, target_kind):  # noqa: F811
        self.cluster = make_cluster("baton", target_kind, "baton", timeout_ms=60_000, settings=PATIENT)
        self.source, self.target = self.cluster.nodes[:2]
        for node in self.cluster.nodes:
            if node.kind == "baton":
                node("CONFIG", "SET", "cluster-detect-silence", 0)
        self.slot, self.end = first_slots(self.cluster, self.source, 10)
        self.key, self.other = tag_of(self.source, self.slot), tag_of(self.source, self.end)
        self.source("SET", self.key, "before")
        self.source("DEBUG", "SLOTMIGRATION", "PREVENT-GRANT", 1)
        self.ask = ("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", self.slot, self.slot, "NODE", my_id(self.target))
        assert self.source(*self.ask) == b"OK"
        eventually(lambda: latest(self.source)["state"] == "failover-paused", "writes to be held")
        self.target.stop()
        self.source("DEBUG", "SLOTMIGRATION", "PREVENT-GRANT", 0)
        eventually(lambda: latest(self.source)["state"] == "failover-granted", "the target to be told")
        self.writer = self.source.connect(timeout=30)
        self.writer.send(resp.encode("SET", self.key, "during"))

    def outlasts_the_pause(self):
        """Its time is up, and nothing is written: reads and other slots are served."""
        paused = lambda: self.source.info("clients")["paused_timeout_milliseconds"]
        eventually(lambda: paused() == "0", "the time of the hold to be up")
        assert self.source("SET", self.other, "v") == b"OK"
        assert self.source("GET", self.key) == b"before"
        assert latest(self.source)["state"] == "failover-granted"


@pytest.fixture(params=["baton", "valkey"])
def undecided(make_cluster, request):  # noqa: F811
    parts = Undecided(make_cluster, request.param)
    yield parts
    parts.target.go_on()
    parts.writer.close()


def test_a_target_that_stood_still_takes_the_slots_and_no_write_is_lost(undecided):
    undecided.outlasts_the_pause()
    undecided.target.go_on()
    assert str(undecided.writer.read()).startswith(f"MOVED {undecided.slot} ")
    assert ended(undecided.source)["state"] == "success"
    eventually(lambda: undecided.target("GET", undecided.key) == b"before", "the target to serve the key")


def test_a_target_that_died_gives_the_slots_back(undecided):
    undecided.outlasts_the_pause()
    undecided.target.kill()
    undecided.target.start()
    assert undecided.writer.read() == b"OK"
    job = ended(undecided.source)
    assert job["state"] == "failed" and job["message"].startswith("Unpaused before migration completed"), job
    assert undecided.source("GET", undecided.key) == b"during"
    eventually(lambda: keys_of(undecided.target, undecided.slot) == [], "nothing to be left at the target")


def test_an_operator_may_want_the_slots_back_whatever_becomes_of_them(undecided):
    undecided.outlasts_the_pause()
    assert undecided.source("CLUSTER", "CANCELSLOTMIGRATIONS") == b"OK"
    assert latest(undecided.source)["state"] == "cancelled"
    with pytest.raises(resp.ErrorReply, match="ERR I am already migrating slot"):
        undecided.source(*undecided.ask)
    assert undecided.source("CLUSTER", "CANCELSLOTMIGRATIONS") == b"OK"
    assert undecided.writer.read() == b"OK" and "Write loss risk!" in undecided.source.log()


@pytest.mark.parametrize("target_kind", ["baton", "valkey"])
def test_a_target_that_does_not_take_over_in_time_gives_up(make_cluster, target_kind):  # noqa: F811
    cluster = make_cluster("baton", target_kind, "baton", settings=PATIENT)
    source, target = cluster.nodes[:2]
    slot, _ = first_slots(cluster, source, 1)
    key = tag_of(source, slot)
    source("SET", key, "before")
    target("DEBUG", "SLOTMIGRATION", "PREVENT-FAILOVER", 1)
    move(source, target, slot, slot)
    eventually(lambda: latest(source)["state"] == "failover-granted", "the target to be told")
    assert source.info("clients")["paused_reason"] == "slot_migration_in_progress"
    assert source("SET", key, "after") == b"OK"
    job = ended(source)
    assert job["state"] == "failed" and job["message"].startswith("Unpaused before migration completed"), job
    assert ended(target)["state"] == "failed"
    assert source("GET", key) == b"after" and keys_of(target, slot) == []
    assert source.info("clients")["paused_reason"] == "none"
    target("DEBUG", "SLOTMIGRATION", "PREVENT-FAILOVER", 0)
    move(source, target, slot, slot)
    assert ended(source)["state"] == "success"
    eventually(lambda: target("GET", key) == b"after", "the target to serve the key")


@pytest.mark.parametrize("who", ["source", "target"])
@pytest.mark.parametrize("how", ["handed-over", "killed"])
def test_a_primary_that_changes_in_the_midst(make_cluster, who, how):  # noqa: F811
    cluster = make_cluster(*["baton"] * 6, settings=DEBUG)
    source, target = primaries(cluster)[:2]
    load = Counters(source.port) if how == "handed-over" else None
    start, end = first_slots(cluster, source, 1000)
    source("DEBUG", "SLOTMIGRATION", "PREVENT-PAUSE", 1)
    move(source, target, start, end)
    eventually(lambda: latest(source)["state"] == "waiting-to-pause", "the values to be there")
    node = source if who == "source" else target
    successor = cluster.replicas_of(node)[0]
    if how == "killed":
        node.kill()
    else:
        assert successor("CLUSTER", "FAILOVER") == b"OK"
    eventually(lambda: cluster.is_primary(successor), "the replica to take over")
    for other in {source, target, successor} - ({node} if how == "killed" else set()):
        if other is not successor or who == "target":
            assert ended(other)["state"] == "failed"
    cluster.settled()
    now = {"source": source, "target": target} | {who: successor}
    eventually(lambda: not any(keys_of(now["target"], slot) for slot in range(start, end + 1)), "nothing to be left at the target")
    now["source"]("DEBUG", "SLOTMIGRATION", "PREVENT-PAUSE", 0)
    move(now["source"], now["target"], start, end)
    assert ended(now["source"])["state"] == "success" and ended(now["target"])["state"] == "success"
    if load:
        time.sleep(0.2)
        counted = load.finish()
        assert load.errors == [] and counted > 200
