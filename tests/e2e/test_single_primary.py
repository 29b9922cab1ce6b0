"""One primary and one replica, nobody else: what an operator does by CLUSTER FAILOVER FORCE, in both directions and again."""

import signal

import pytest
import resp

from servers import eventually
from small import Small, facts, follows, fulls, is_primary, my_id, partials, serves
from traffic import Traffic

ROUNDS = 4


@pytest.fixture
def pair(request, start):
    """A and B, A having all slots. They keep snapshots, so that a process that was killed knows where it stood."""
    flags = getattr(request, "param", ["--save", "3600 1"])
    cluster = Small(1, flags=flags, make=lambda kind, *own: start(kind, *own))
    return cluster.form().nodes


def write(node, name, count=100):
    with node.connect() as connection:
        for number in range(count):
            connection("SET", f"{name}:{number}", number)
        assert connection("WAIT", 1, 5000) == 1


def missing(node, *names, count=100):
    """What a node doesn't have of what was written."""
    found = {f"{name}:{number}": node("GET", f"{name}:{number}") for name in names for number in range(count)}
    return {key: value for key, value in found.items() if value != key.split(":")[1].encode()}


def test_force_promotes_the_replica_of_a_dead_only_primary_in_both_directions(pair):
    old, new = pair
    for turn in range(ROUNDS):
        write(old, f"turn{turn}")
        epoch = int(facts(new)["cluster_current_epoch"])
        old.kill()
        with pytest.raises(resp.ErrorReply, match="CLUSTERDOWN|MOVED"):
            new("SET", "too early", 1)
        assert new("CLUSTER", "FAILOVER", "FORCE") == b"OK"
        eventually(lambda: serves(new), f"{new} to serve", 5)
        assert int(facts(new)["cluster_my_epoch"]) > epoch
        assert missing(new, *(f"turn{earlier}" for earlier in range(turn + 1))) == {}
        write_alone(new, f"alone{turn}")
        old.start()
        eventually(lambda: follows(old, new), f"{old} to follow {new} by itself", 15)
        eventually(lambda: int(old.info("replication")["slave_repl_offset"]) == offset(new), "it to catch up")
        assert "not a replica" not in old.log()
        old, new = new, old
    assert missing(old, *(f"alone{turn}" for turn in range(ROUNDS))) == {}


def write_alone(node, name, count=100):
    for number in range(count):
        node("SET", f"{name}:{number}", number)


def offset(node):
    return int(node.info("replication")["master_repl_offset"])


def test_what_its_snapshot_tells_lets_the_old_primary_resume_partially(pair):
    old, new = pair
    write(old, "before")
    assert old("SAVE") == b"OK"
    write(old, "after the snapshot")
    old.kill()
    assert new("CLUSTER", "FAILOVER", "FORCE") == b"OK"
    eventually(lambda: serves(new), f"{new} to serve", 5)
    write_alone(new, "alone")
    full = fulls(new)
    old.start()
    eventually(lambda: follows(old, new), f"{old} to follow {new}", 15)
    assert partials(new) == 1 and fulls(new) == full
    assert old("READONLY") == b"OK"
    with old.connect() as connection:
        connection("READONLY")
        assert missing(connection, "before", "after the snapshot", "alone") == {}


def test_no_client_loses_a_write_that_was_replicated(pair):
    old, new = pair
    with Traffic(old.port, patient=True) as traffic:
        for _ in range(2):
            # Writers wait for nothing: what the dying primary acknowledged and did not send may be gone, so it gets to.
            old.send_signal(signal.SIGTERM)
            assert old.process.wait(30) == 0
            eventually(lambda: serves(new), f"{new} to serve")
            traffic.flows()
            old.start()
            eventually(lambda: follows(old, new), f"{old} to follow {new}", 15)
            old, new = new, old


def test_force_asks_a_living_primary(pair):
    primary, replica = pair
    assert replica("CLUSTER", "FAILOVER", "FORCE") == b"OK"
    eventually(lambda: serves(replica) and follows(primary, replica), "roles to change")
    assert "Failover auth granted" in primary.log()
    assert "stands for its vote" not in replica.log()


def test_force_gives_a_hanging_primary_a_moment(pair):
    primary, replica = pair
    primary.send_signal(signal.SIGSTOP)
    try:
        assert replica("CLUSTER", "FAILOVER", "FORCE") == b"OK"
        eventually(lambda: serves(replica), f"{replica} to serve", 5)
    finally:
        primary.send_signal(signal.SIGCONT)
    eventually(lambda: follows(primary, replica), "the sleeper to follow")
    assert "stands for its vote" in replica.log()


def test_two_nodes_alone_never_promote_and_say_why(pair):
    primary, replica = pair
    for node in pair:
        assert facts(node)["cluster_failover_possible"] == "0"
        assert facts(node)["cluster_failover_obstacle"] == "no_majority_without_primary"
    replica("CONFIG", "SET", "cluster-node-timeout", 500)
    primary.kill()
    eventually(lambda: "fail?" in replica("CLUSTER", "NODES").decode(), "the suspicion")
    for _ in range(100):
        assert not is_primary(replica)


def test_where_another_voter_exists_force_is_not_enough(start):
    cluster = Small(2, flags=["--cluster-manual-failover-timeout", "1500"], make=lambda kind, *own: start(kind, *own))
    cluster.form()
    first, _, replica, _ = cluster.nodes
    first.kill()
    assert replica("CLUSTER", "FAILOVER", "FORCE") == b"OK"
    eventually(lambda: "Manual failover timed out." in replica.log(), "the attempt to end")
    assert not is_primary(replica)
    assert replica("CLUSTER", "FAILOVER", "TAKEOVER") == b"OK"
    eventually(lambda: is_primary(replica), f"{replica} to take over regardless")


@pytest.mark.parametrize("primaries", [1, 2])
def test_terminated_primary_hands_over_without_any_other_voter(start, primaries):
    cluster = Small(primaries, make=lambda kind, *own: start(kind, *own)).form()
    old, new = cluster.nodes[0], cluster.replicas[0]
    with Traffic(old.port, patient=primaries == 2) as traffic:
        assert old.terminate() == 0
        eventually(lambda: is_primary(new), f"{new} to be primary")
        if primaries == 1:
            traffic.flows()


def test_clean_cluster_config_puts_the_old_state_aside(pair):
    primary, replica = pair
    old_id = my_id(replica)
    replica.kill()
    replica.flags.append("--clean-cluster-config")
    replica.start()
    assert my_id(replica) != old_id
    assert facts(replica)["cluster_known_nodes"] == "1"
    assert old_id in (replica.folder / "nodes.conf.old-1").read_text()
    assert (replica.folder / "nodes.conf.old-1.epochs").exists()
    assert "are now nodes.conf.old-1 and nodes.conf.old-1.epochs" in replica.log()
    replica.restart()
    assert (replica.folder / "nodes.conf.old-2").exists()
