"""A primary that comes back with less than its replicas have steps behind them: nobody's data is replaced by less."""

import time

import pytest
import resp

from servers import eventually
from test_cluster import Cluster, cluster, make_cluster  # noqa: F401

KEYS = 300


def slot_keys(node, count=KEYS, start=0):
    """Keys of slots that this node serves."""
    found, number = [], start
    with node.connect() as connection:
        while len(found) < count:
            key = f"k{number}"
            number += 1
            try:
                connection("GET", key)
                found.append(key)
            except resp.ErrorReply:
                pass
    return found


def write(node, keys, value):
    with node.connect() as connection:
        for key in keys:
            connection("SET", key, value)


def values(node, keys):
    with node.connect() as connection:
        return {connection("GET", key) for key in keys}


def caught_up(primary, *replicas):
    end = primary.info("replication")["master_repl_offset"]
    eventually(
        lambda: all(int(r.info("replication")["slave_repl_offset"]) >= int(end) for r in replicas), "replicas to have everything"
    )


def rdb(node):
    return node.folder / "dump.rdb"


def one_shard(cluster):
    primary = cluster.a_primary()
    (replica,) = cluster.replicas_of(primary)
    # Whom it waits for after a restart is what it knew; that is written a moment after it was learned.
    own = primary("CLUSTER", "MYID").decode()
    known = lambda: f"slave {own}" in (primary.folder / "nodes.conf").read_text()  # noqa: E731
    eventually(known, "the replica to be in nodes.conf")
    return primary, replica


@pytest.fixture
def patient_cluster(make_cluster):  # noqa: F811
    """Nobody takes a restart for a failure, however slow the machine is: whoever notices one has not waited for it."""
    cluster = make_cluster(*["baton"] * 6, timeout_ms=15000)  # noqa: F811
    for node in cluster.nodes:
        node("CONFIG", "SET", "cluster-detect-refusals", "no")
    return cluster


@pytest.mark.parametrize("what", ["nothing", "an older snapshot"])
def test_a_primary_restarted_at_once_with_less_gives_way(patient_cluster, what):
    primary, replica = one_shard(patient_cluster)
    keys = slot_keys(primary)
    write(primary, keys, "old")
    if what == "an older snapshot":
        primary("SAVE")
    write(primary, keys, "new")
    caught_up(primary, replica)
    primary.restart()
    eventually(lambda: patient_cluster.is_primary(replica), "the replica to take over", 10)
    patient_cluster.settled()
    assert values(replica, keys) == {b"new"}
    assert not patient_cluster.is_primary(primary)
    assert "not serving before it has taken over" in primary.log()
    with primary.connect() as connection:
        connection("READONLY")
        assert {connection("GET", key) for key in keys} == {b"new"}


def test_a_primary_restarted_with_everything_stays(patient_cluster):
    primary, replica = one_shard(patient_cluster)
    keys = slot_keys(primary)
    write(primary, keys, "new")
    caught_up(primary, replica)
    replica("SAVE")
    primary("SAVE")
    for node in (primary, replica):
        node.kill()
    for node in (primary, replica):
        node.start()
    patient_cluster.settled()
    assert patient_cluster.is_primary(primary) or patient_cluster.is_primary(replica)
    assert values(primary if patient_cluster.is_primary(primary) else replica, keys) == {b"new"}


def test_of_a_shard_restarted_as_a_whole_the_one_with_the_most_wins(patient_cluster):
    primary, replica = one_shard(patient_cluster)
    keys = slot_keys(primary)
    write(primary, keys, "old")
    primary("SAVE")
    write(primary, keys, "new")
    caught_up(primary, replica)
    replica("SAVE")
    primary.kill()
    replica.kill()
    primary.start()
    time.sleep(4)  # Longer than a primary waits anyway after its start.
    replica.start()
    eventually(lambda: patient_cluster.is_primary(replica), "the one with the most to be primary", 20)
    patient_cluster.settled()
    assert values(replica, keys) == {b"new"}


def test_an_empty_primary_whose_replica_comes_later_gives_way(make_cluster):  # noqa: F811
    cluster = make_cluster(*["baton"] * 6, timeout_ms=15000)  # noqa: F811
    primary, replica = one_shard(cluster)
    primary("CONFIG", "SET", "cluster-restart-wait", 500)
    keys = slot_keys(primary)
    write(primary, keys, "new")
    caught_up(primary, replica)
    replica("SAVE")
    primary.flags += ["--cluster-restart-wait", "500"]
    primary.kill()
    replica.kill()
    primary.start()
    eventually(lambda: b"cluster_state:ok" in primary("CLUSTER", "INFO"), "it to serve nothing", 20)
    replica.start()
    eventually(lambda: cluster.is_primary(replica), "the one that has something to be primary", 20)
    cluster.settled()
    assert values(replica, keys) == {b"new"}


def test_a_replica_of_another_release_takes_over_from_an_empty_primary(make_cluster):  # noqa: F811
    cluster = make_cluster("baton", "baton", "baton", "valkey", "valkey", "valkey", timeout_ms=2000)  # noqa: F811
    primary = next(n for n in cluster.nodes if n.kind == "baton" and cluster.is_primary(n) and cluster.replicas_of(n))
    (replica,) = cluster.replicas_of(primary)
    assert replica.kind == "valkey"
    keys = slot_keys(primary)
    write(primary, keys, "new")
    caught_up(primary, replica)
    primary.restart()
    eventually(lambda: cluster.is_primary(replica), "the replica to take over", 30)
    cluster.settled()
    assert values(replica, keys) == {b"new"}


def slow_full_sync(primary, replica, keys):
    """Makes the replica ask for everything again, so slowly that it is in the midst of it when this returns."""
    primary("CONFIG", "SET", "repl-backlog-size", 16384)
    primary("CONFIG", "SET", "rdb-key-save-delay", 20000)
    replica.stop()
    primary("CLIENT", "KILL", "TYPE", "replica")
    write(primary, keys[:50], "x" * 20000)
    replica.go_on()
    eventually(lambda: replica.info("replication").get("master_sync_in_progress") == "1", "the full synchronisation to begin")


def test_a_primary_killed_in_the_midst_of_a_full_synchronisation_leaves_the_old_data(make_cluster):  # noqa: F811
    cluster = make_cluster(*["baton"] * 6, timeout_ms=15000)  # noqa: F811
    primary, replica = one_shard(cluster)
    keys = slot_keys(primary)
    write(primary, keys, "old")
    caught_up(primary, replica)
    slow_full_sync(primary, replica, keys)
    with replica.connect() as connection:
        connection("READONLY")
        assert connection("GET", keys[-1]) == b"old", "the old data is served meanwhile"
    primary.kill()
    eventually(lambda: cluster.is_primary(replica), "the replica to take over", 20)
    assert values(replica, keys) == {b"old"}


def test_who_has_another_shards_data_never_stands(make_cluster):  # noqa: F811
    cluster = make_cluster(*["baton"] * 6, timeout_ms=2000)  # noqa: F811
    primary, replica = one_shard(cluster)
    other = next(n for n in cluster.nodes if n is not primary and cluster.is_primary(n))
    (moving,) = cluster.replicas_of(other)
    write(other, slot_keys(other), "other")
    caught_up(other, moving)
    moving("SAVE")
    keys = slot_keys(primary)
    write(primary, keys, "mine")
    caught_up(primary, replica)
    primary("CONFIG", "SET", "rdb-key-save-delay", 20000)
    moving("CLUSTER", "REPLICATE", primary("CLUSTER", "MYID").decode())
    eventually(lambda: moving.info("replication").get("master_sync_in_progress") == "1", "it to move")
    replica.kill()
    with pytest.raises(resp.ErrorReply, match="My dataset is not complete"):
        moving("CLUSTER", "FAILOVER", "FORCE")
    moving.restart()
    assert "data of another shard" in moving.log()
    assert "Trying a partial resynchronization" not in moving.log().split("data of another shard")[1]
    primary.kill()
    eventually(lambda: "My dataset is not complete" in moving.log(), "it to see that it can't stand", 20)
    assert not cluster.is_primary(moving)
    replica.start()
    primary.start()
    cluster.settled()
    # Nobody has a copy any more, so once the moved one has what its new primary has, any of the three may serve.
    eventually(lambda: any(cluster.is_primary(node) for node in (primary, replica, moving)), "one of them to serve")
    holder = next(node for node in (primary, replica, moving) if cluster.is_primary(node))
    assert holder("DBSIZE") == 0 or values(holder, keys) == {b"mine"}, "not what the moved one had brought along"


def test_a_new_node_at_the_old_address_empties_nobody(patient_cluster):
    """The machine of a primary lost its disk and is back at its address at once, as a node that nobody knows."""
    primary, replica = one_shard(patient_cluster)
    keys = slot_keys(primary)
    write(primary, keys, "kept")
    caught_up(primary, replica)
    old = primary("CLUSTER", "MYID")
    primary.kill()
    for file in primary.folder.glob("*"):
        if file.name.startswith(("nodes.conf", "dump.rdb")):
            file.unlink()
    primary.start()
    assert primary("CLUSTER", "MYID") != old
    eventually(lambda: "there is another node now" in replica.log(), "the replica to see who is there")
    eventually(lambda: patient_cluster.is_primary(replica), "the replica to take over", 30)
    assert values(replica, keys) == {b"kept"}
