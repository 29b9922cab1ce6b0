"""Clusters: made by upstream's tools, used by upstream's clients, while nodes come, go and die."""

import os
import shutil
import signal
import subprocess

import pytest

from servers import eventually
from traffic import Traffic

PRIMARIES = 3


def tool():
    """Upstream's command-line client, of either house."""
    found = os.environ.get("VALKEY_CLI") or shutil.which("valkey-cli") or shutil.which("redis-cli")
    if not found:
        pytest.skip("needs valkey-cli or redis-cli: install redis-tools")
    return found


def run_tool(*args):
    done = subprocess.run([tool(), *map(str, args)], capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


class Cluster:
    """Nodes that form a cluster, and what they believe."""

    def __init__(self, nodes):
        self.nodes = nodes

    def alive(self):
        return [node for node in self.nodes if node.process.poll() is None]

    def view(self, node):
        """What a node believes: by port, (flags, primary's id, link, slots), and its own flags under 'myself'."""
        found = {}
        for line in node("CLUSTER", "NODES").decode().splitlines():
            words = line.split()
            port = int(words[1].split("@")[0].rsplit(":", 1)[1])
            found[port] = {"id": words[0], "flags": words[2].split(","), "primary": words[3], "slots": words[8:]}
        return found

    def is_primary(self, node):
        return "master" in self.view(node)[node.port]["flags"]

    def replicas_of(self, primary):
        view = self.view(primary)
        own = view[primary.port]["id"]
        return [node for node in self.alive() if node.port in view and view[node.port]["primary"] == own]

    def a_primary(self):
        return next(node for node in self.alive() if self.is_primary(node) and self.view(node)[node.port]["slots"])

    def settled(self, seconds=60):
        """Waits until all living nodes agree: every slot is served by a living primary, every replica is linked."""

        def agreed():
            for node in self.alive():
                info = node("CLUSTER", "INFO").decode()
                if "cluster_state:ok" not in info or "cluster_slots_ok:16384" not in info:
                    return False
                replication = node.info("replication")
                if replication["role"] == "slave" and replication["master_link_status"] != "up":
                    return False
            return len({self._owners(node) for node in self.alive()}) == 1

        eventually(agreed, "the cluster to settle", seconds)

    def _owners(self, node):
        return tuple(sorted((port, tuple(n["slots"])) for port, n in self.view(node).items() if n["slots"]))


@pytest.fixture
def make_cluster(start):
    def make(*kinds, timeout_ms=2000, settings=()):
        flags = ["--cluster-enabled", "yes", "--cluster-node-timeout", timeout_ms, "--repl-diskless-sync-delay", 0, *settings]
        nodes = [start(kind, *flags) for kind in kinds]
        places = [f"127.0.0.1:{node.port}" for node in nodes]
        replicas = len(nodes) // PRIMARIES - 1
        code, output = run_tool("--cluster", "create", *places, "--cluster-replicas", replicas, "--cluster-yes")
        assert code == 0, output
        cluster = Cluster(nodes)
        cluster.settled()
        eventually(lambda: all(str(cluster.view(n)).count("'slave'") == len(nodes) - PRIMARIES for n in nodes), "replicas to be known")
        cluster.settled()
        return cluster

    return make


@pytest.fixture
def cluster(make_cluster):
    return make_cluster(*["baton"] * 6)


def test_tools_are_content(cluster):
    code, output = run_tool("--cluster", "check", f"127.0.0.1:{cluster.nodes[0].port}")
    assert code == 0, output
    assert "[OK] All nodes agree about slots configuration." in output
    assert "[OK] All 16384 slots covered." in output
    code, output = run_tool("--cluster", "info", f"127.0.0.1:{cluster.nodes[0].port}")
    assert code == 0, output


def test_wrong_node_redirects(cluster):
    owner = next(node for node in cluster.nodes if _accepts(node, "foo"))
    other = next(node for node in cluster.nodes if cluster.is_primary(node) and node is not owner)
    with pytest.raises(Exception, match=f"MOVED 12182 127.0.0.1:{owner.port}"):
        other("GET", "foo")
    with pytest.raises(Exception, match="CROSSSLOT Keys in request don't hash to the same slot"):
        owner("MGET", "foo", "bar")
    assert owner("CLUSTER", "KEYSLOT", "{foo}.x") == 12182
    assert owner("MSET", "{foo}1", "a", "{foo}2", "b") == b"OK"


def _accepts(node, key):
    try:
        node("GET", key)
        return True
    except Exception as error:
        assert str(error).startswith("MOVED"), error
        return False


def test_slots_are_told_in_all_forms(cluster):
    node = cluster.nodes[0]
    rows = node("CLUSTER", "SLOTS")
    assert sum(last - first + 1 for first, last, *_ in rows) == 16384
    # A replica is named once the node has heard of its offset.
    eventually(lambda: all(len(row) == 4 for row in node("CLUSTER", "SLOTS")), "each row to name a primary and its replica")
    shards = node("CLUSTER", "SHARDS")
    assert len(shards) == PRIMARIES
    assert "cluster_size:3" in node("CLUSTER", "INFO").decode()


def test_readonly_clients_read_from_replicas(cluster):
    primary = next(node for node in cluster.nodes if _accepts(node, "foo"))
    replica = cluster.replicas_of(primary)[0]
    primary("SET", "foo", "bar")
    with replica.connect() as connection:
        with pytest.raises(Exception, match=f"MOVED 12182 127.0.0.1:{primary.port}"):
            connection("GET", "foo")
        connection("READONLY")
        eventually(lambda: connection("GET", "foo") == b"bar", "the write to arrive")
        connection("READWRITE")
        with pytest.raises(Exception, match="MOVED"):
            connection("GET", "foo")


def test_terminated_primary_hands_over(cluster):
    """The promise of this project: no error, nothing lost, a clean exit; three times, once for each primary."""
    with Traffic(cluster.nodes[-1].port) as traffic:
        for _ in range(PRIMARIES):
            primary = cluster.a_primary()
            heir = cluster.replicas_of(primary)[0]
            assert primary.terminate() == 0
            eventually(lambda heir=heir: cluster.is_primary(heir), f"{heir} to be primary")
            traffic.flows()
            primary.start()
            cluster.settled()
            assert not cluster.is_primary(primary), "who comes back follows"
        traffic.flows()


def test_returning_primary_resumes_partially(cluster):
    primary = cluster.a_primary()
    heir = cluster.replicas_of(primary)[0]
    # What a node does not write down when it stops, it can't go on from.
    primary("CONFIG", "SET", "save", "3600 1")
    with Traffic(heir.port) as traffic:
        assert primary.terminate() == 0
        traffic.flows()
        before = int(heir.info("stats")["sync_full"])
        primary.start()
        cluster.settled()
        assert int(heir.info("stats")["sync_full"]) == before


def test_manual_failover(cluster):
    with Traffic(cluster.nodes[-1].port) as traffic:
        for _ in range(3):
            primary = cluster.a_primary()
            heir = cluster.replicas_of(primary)[0]
            assert heir("CLUSTER", "FAILOVER") == b"OK"
            eventually(lambda heir=heir: cluster.is_primary(heir), f"{heir} to be primary")
            traffic.flows()
            cluster.settled()
    with pytest.raises(Exception, match="ERR You should send CLUSTER FAILOVER to a replica"):
        heir("CLUSTER", "FAILOVER")


def test_killed_primary_is_replaced(cluster):
    """Acknowledged writes may be lost here (the link is asynchronous), so only service is checked."""
    primary = cluster.a_primary()
    heir = cluster.replicas_of(primary)[0]
    primary("SET", "{%s}" % _key_of(primary), "before")
    assert eventually(heir.is_linked, "the replica")
    primary.kill()
    eventually(lambda: cluster.is_primary(heir), f"{heir} to be primary", 30)
    cluster.settled()
    with Traffic(heir.port) as traffic:
        primary.start()
        cluster.settled()
        assert not cluster.is_primary(primary)
        traffic.flows()


def test_killed_primary_is_replaced_before_the_node_timeout_and_resumes_from_its_snapshot(make_cluster):
    cluster = make_cluster(*["baton"] * 6, timeout_ms=30_000)
    primary = cluster.a_primary()
    heir = cluster.replicas_of(primary)[0]
    key = "{%s}" % _key_of(primary)
    eventually(heir.is_linked, "the replica")
    primary("SET", key, "saved")
    assert primary("SAVE") == b"OK"
    primary("SET", key, "later")
    assert primary("WAIT", 1, 5000) == 1
    primary.kill()
    eventually(lambda: cluster.is_primary(heir), f"{heir} to be primary", 15)
    eventually(lambda: heir("GET", key) == b"later", "the last write")
    before = int(heir.info("stats")["sync_full"])
    primary.start()
    cluster.settled()
    eventually(primary.is_linked, "the old primary to follow")
    assert int(heir.info("stats")["sync_full"]) == before
    with primary.connect() as connection:
        connection("READONLY")
        eventually(lambda: connection("GET", key) == b"later", "the old primary to have the last write")


def _key_of(node):
    return next(str(number) for number in range(100_000) if _accepts(node, str(number)))


def test_hung_primary_is_replaced_and_follows_when_it_wakes(cluster):
    primary = cluster.a_primary()
    heir = cluster.replicas_of(primary)[0]
    primary.send_signal(signal.SIGSTOP)
    try:
        eventually(lambda: cluster.is_primary(heir), f"{heir} to be primary", 30)
    finally:
        primary.send_signal(signal.SIGCONT)
    eventually(lambda: not cluster.is_primary(primary), f"{primary} to step back", 30)
    cluster.settled()


def test_majority_lost_stops_the_rest(cluster):
    primaries = [node for node in cluster.nodes if cluster.is_primary(node)]
    survivor = primaries.pop()
    for node in primaries:
        node.kill()
    for node in cluster.alive():
        if node is not survivor:
            node.kill()
    key = "k"
    eventually(lambda: _says(survivor, key, "CLUSTERDOWN"), "the minority to stop serving", 30)


def _says(node, key, code):
    try:
        node("SET", key, "v")
        return False
    except Exception as error:
        return str(error).startswith(code)


def test_whole_cluster_restarts_as_it_was(cluster):
    owners = cluster.view(cluster.nodes[0])
    for node in cluster.nodes:
        node.kill()
    for node in cluster.nodes:
        node.start()
    cluster.settled()
    after = cluster.view(cluster.nodes[0])
    assert {port: (n["id"], n["slots"]) for port, n in owners.items()} == {port: (n["id"], n["slots"]) for port, n in after.items()}


@pytest.mark.parametrize(
    "kinds", [["valkey"] * 3 + ["baton"] * 3, ["baton"] * 3 + ["valkey"] * 3], ids=["valkey-primaries", "baton-primaries"]
)
def test_mixed_cluster_changes_hands_and_back(make_cluster, kinds):
    """How people migrate: the other program's replica is promoted, then the roles go back."""
    cluster = make_cluster(*kinds)
    with Traffic(cluster.nodes[-1].port) as traffic:
        primary = cluster.nodes[0]
        heir = cluster.replicas_of(primary)[0]
        for giver, taker in ((primary, heir), (heir, primary)):
            assert taker("CLUSTER", "FAILOVER") == b"OK"
            eventually(lambda taker=taker: cluster.is_primary(taker), f"{taker} to be primary", 30)
            eventually(lambda giver=giver: not cluster.is_primary(giver), f"{giver} to follow", 30)
            cluster.settled()
            traffic.flows()


def test_terminated_baton_hands_over_to_valkey(make_cluster):
    cluster = make_cluster(*["baton"] * 3 + ["valkey"] * 3)
    primary = cluster.nodes[0]
    heir = cluster.replicas_of(primary)[0]
    with Traffic(heir.port) as traffic:
        assert primary.terminate() == 0
        eventually(lambda: cluster.is_primary(heir), f"{heir} to be primary")
        traffic.flows()


def test_killed_valkey_is_replaced_by_baton(make_cluster):
    cluster = make_cluster(*["valkey"] * 3 + ["baton"] * 3)
    primary = cluster.nodes[0]
    heir = cluster.replicas_of(primary)[0]
    # A replica that never had the data does not stand.
    eventually(heir.is_linked, "the replica to have everything")
    primary.kill()
    eventually(lambda: cluster.is_primary(heir), f"{heir} to be primary", 60)
    cluster.settled()
    with Traffic(heir.port):
        pass


@pytest.mark.parametrize("kind", ["baton", "valkey"])
def test_a_replica_that_starts_again_is_one_from_its_first_answer(make_cluster, kind):
    cluster = make_cluster(*[kind] * 6)
    replica = cluster.replicas_of(cluster.nodes[0])[0]
    for _ in range(10):
        replica.restart()
        assert replica("ROLE")[0] == b"slave"
