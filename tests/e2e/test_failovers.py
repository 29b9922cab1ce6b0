"""What is known afterwards of a change of primary: CLUSTER FAILOVERS, INFO failover and the log, on every side of it."""

import pytest
import resp

from servers import eventually
from test_cluster import Cluster, make_cluster  # noqa: F401 (a fixture)

PRIMARIES = 3


@pytest.fixture
def cluster(make_cluster):  # noqa: F811
    return make_cluster(*["baton"] * (2 * PRIMARIES))


def changes(node, *options):
    """The reply as dictionaries: RESP2 flattens maps."""

    def as_map(flat):
        return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}

    found = []
    command = ("CLUSTER", "FAILOVERS") if node.info("cluster")["cluster_enabled"] == "1" else ("FAILOVER", "LOG")
    for flat in node(*command, *options):
        change = as_map(flat)
        change["steps"] = [as_map(step) for step in change["steps"]]
        change["phases-us"] = as_map(change["phases-us"])
        found.append({name: value.decode() if isinstance(value, bytes) else value for name, value in change.items()})
    return found


def words(change):
    return [step["step"].decode() for step in change["steps"]]


def in_order(change, *expected):
    """The steps are there in this order, and their times don't go back."""
    found = [step for step in change["steps"] if step["step"].decode() in expected]
    first = [next(step for step in found if step["step"].decode() == word) for word in expected]
    times = [step["after-us"] for step in first]
    assert times == sorted(times), (words(change), times)


def last(node, part):
    """The newest change of a node once it is done, in which it was this."""

    def found():
        newest = changes(node, "COUNT", 1)
        return newest and newest[0]["outcome"] == "done" and newest[0]["part"] == part and newest[0]

    return eventually(found, f"{node} to know of a change as {part}")


def write(cluster, node):
    """A write on a slot of this node."""
    for n in range(100_000):
        key = f"key:{n}"
        try:
            return node("SET", key, n)
        except resp.ErrorReply as error:
            if not str(error).startswith(("MOVED", "CLUSTERDOWN")):
                raise
    raise AssertionError("no key of this node")


def sides(cluster):
    old = cluster.a_primary()
    heir = cluster.replicas_of(old)[0]
    voters = [node for node in cluster.nodes if node not in (old, heir) and cluster.is_primary(node)]
    return old, heir, voters


def told_in_log(node, change):
    story = [line for line in node.log().splitlines() if f"Change of primary {change['id']} " in line]
    said = [line.rsplit("): ", 1)[1].split(",")[0].split()[0] for line in story]
    assert said == words(change), story


def test_nothing_happened_nothing_is_told(cluster):
    for node in cluster.nodes:
        assert node("CLUSTER", "FAILOVERS") == []
        assert node.info("failover")["failover_planned_total"] == "0"
    node = cluster.nodes[0]
    for bad in (["COUNT"], ["COUNT", "x"], ["COUNT", "-1"], ["LIMIT", "1"], ["1"]):
        with pytest.raises(resp.ErrorReply):
            node("CLUSTER", "FAILOVERS", *bad)
    assert "# Failover" not in node("INFO").decode()
    assert "# Failover" in node("INFO", "everything").decode()


def test_a_manual_failover_is_seen_on_all_sides(cluster):
    old, heir, voters = sides(cluster)
    heir("CLUSTER", "FAILOVER")
    lost, won = last(old, "old-primary"), last(heir, "successor")
    write(cluster, heir)
    eventually(lambda: "first-write" in words(changes(heir)[0]), "the first write to be seen")
    eventually(lambda: "resynced" in words(changes(heir)[0]), "the old primary to come back")
    eventually(lambda: "resynced" in words(changes(old)[0]), "the old primary to come back")
    lost, won = changes(old)[0], changes(heir)[0]
    in_order(lost, "asked", "candidate-chosen", "writes-held", "fenced", "told", "claim-seen", "clients-released", "resynced")
    in_order(won, "asked", "offset-known", "caught-up", "election-started", "vote", "won", "first-write")
    assert won["kind"] == lost["kind"] == "cluster-failover"
    assert lost["final-offset"] == won["final-offset"]
    assert won["bytes-missing"] == 0
    assert won["resync"] == lost["resync"] == "partial"
    assert won["planned"] == lost["planned"] == 1
    same = ("id", "epoch", "shard", "old-primary", "new-primary")
    everybody = [lost, won] + [eventually(lambda v=v: changes(v), f"{v} to see it")[0] for v in voters]
    for name in same:
        assert len({change[name] for change in everybody}) == 1, name
    for node, change in ((old, lost), (heir, won)):
        told_in_log(node, change)
    info = old.info("failover")
    assert (info["failover_planned_total"], info["failover_last_id"]) == ("1", lost["id"])
    assert float(info["failover_last_write_pause_ms"]) * 1000 == pytest.approx(lost["write-pause-us"], abs=1)
    assert {"failover_last_fence_ms", "failover_last_drain_ms", "failover_last_promote_ms"} <= info.keys()


def test_a_terminated_primary_is_seen_by_its_successor(cluster):
    old, heir, voters = sides(cluster)
    assert old.terminate() == 0
    won = last(heir, "successor")
    in_order(won, "asked", "election-scheduled", "election-started", "vote", "won")
    assert won["kind"] == "planned"
    assert won["bytes-missing"] == 0
    seen = [eventually(lambda v=v: changes(v), f"{v} to see it")[0] for v in voters]
    assert {(change["id"], change["epoch"], change["planned"]) for change in seen} == {(won["id"], won["epoch"], 1)}
    # The old primary's own side is in its log, which is all that is left of it.
    assert f"Change of primary {won['id']} (sigterm): writes-held" in old.log()
    assert f"Change of primary {won['id']} (sigterm): claim-seen" in old.log()


def test_a_killed_primary_is_seen_by_successor_and_voters(cluster):
    old, heir, voters = sides(cluster)
    old.kill()
    won = last(heir, "successor")
    cluster.settled()
    write(cluster, heir)
    eventually(lambda: "first-write" in words(changes(heir)[0]), "the first write to be seen")
    won = changes(heir)[0]
    in_order(won, "confirmed", "election-scheduled", "election-started", "vote", "won", "first-write")
    assert (won["kind"], won["planned"]) == ("failure", 0)
    assert {"detect", "schedule"} & won["phases-us"].keys()
    assert won["write-pause-us"] > 0
    parts = set()
    for node in voters:
        change = eventually(lambda n=node: changes(n) and changes(n)[0]["outcome"] == "done" and changes(n)[0], "it")
        in_order(change, "confirmed", "claim-seen")
        for name in ("id", "epoch", "kind", "old-primary", "new-primary"):
            assert change[name] == won[name], name
        told_in_log(node, change)
        parts.add(change["part"])
    assert "voter" in parts
    assert heir.info("failover")["failover_unplanned_total"] == "1"
    assert len(changes(heir, "COUNT", 0)) == 0


def test_a_handover_outside_a_cluster_is_told_on_both_sides(start):
    old = start("baton", "--repl-diskless-sync-delay", 0)
    heir = start("baton", "--repl-diskless-sync-delay", 0, "--replicaof", f"127.0.0.1 {old.port}")
    eventually(heir.is_linked, "the link")
    assert changes(old) == []
    old("FAILOVER")
    lost, won = last(old, "old-primary"), last(heir, "successor")
    heir("SET", "key", "value")
    eventually(lambda: "first-write" in words(changes(heir)[0]), "the first write to be seen")
    eventually(lambda: "clients-released" in words(changes(old)[0]), "clients to be released")
    lost = changes(old)[0]
    in_order(lost, "asked", "candidate-chosen", "writes-held", "fenced", "told", "claim-seen", "clients-released")
    assert (lost["kind"], won["kind"]) == ("failover", "planned")
    # Requests for acknowledgement follow the last write in the stream.
    assert lost["final-offset"] <= next(step["offset"] for step in won["steps"] if step["step"] == b"won")
