"""Witnesses: processes that vote and hold nothing, so that one or two shards replace a dead primary by themselves."""

import signal

import pytest
import redis
import resp
import valkey

from servers import Server, eventually
from small import FLAGS, WITNESS, Small, facts, follows, is_primary, line_of, my_id, partials, serves
from traffic import CLUSTER_ERRORS, Traffic, cluster_client

# What a witness may take besides the program itself, in kB. A data node with a 10 MB backlog in use takes more.
WITNESS_KB_MAX = 12 * 1024


def form(start, primaries, witnesses=1, flags=()):
    return Small(primaries, witnesses, flags, lambda kind, *own: start(kind, *own)).form()


@pytest.fixture
def trio(start):
    """A, B and W."""
    return form(start, 1, flags=["--save", "3600 1"])


def test_one_shard_replaces_a_killed_primary_by_itself_again_and_again(trio):
    old, new, witness = trio.nodes
    with Traffic(old.port, patient=True) as traffic:
        for _ in range(3):
            quiet(traffic, old, new)
            old.kill()
            eventually(lambda: serves(new), f"{new} to serve", 5)
            assert facts(new)["cluster_failover_possible"] == "0"
            old.start()
            eventually(lambda: follows(old, new), f"{old} to follow by itself", 15)
            eventually(lambda: facts(new)["cluster_failover_possible"] == "1", "to be safe again")
            traffic.resume()
            traffic.flows()
            old, new = new, old
    assert is_primary(witness) and line_of(old, witness)[2] == "master,witness"


def quiet(traffic, primary, replica):
    """Writers rest until what they wrote is replicated, so that nothing may be missing afterwards."""
    traffic.pause()
    end = int(primary.info("replication")["master_repl_offset"])
    eventually(lambda: int(replica.info("replication")["slave_repl_offset"]) >= end, "the replica to have everything")


def test_failing_back_is_one_command(trio):
    old, new, _ = trio.nodes
    old.kill()
    eventually(lambda: serves(new), f"{new} to serve", 5)
    old.start()
    eventually(lambda: follows(old, new), f"{old} to follow", 15)
    with Traffic(new.port) as traffic:
        assert old("CLUSTER", "FAILOVER") == b"OK"
        eventually(lambda: serves(old) and follows(new, old), "roles to be as they were")
        traffic.flows()
    assert partials(old) >= 1, "nothing is transferred anew"


def test_hung_primary_is_replaced_and_follows_when_it_wakes(start):
    cluster = form(start, 1, flags=["--cluster-node-timeout", "1000"])
    old, new, _ = cluster.nodes
    old.send_signal(signal.SIGSTOP)
    try:
        eventually(lambda: serves(new), f"{new} to serve", 10)
    finally:
        old.send_signal(signal.SIGCONT)
    eventually(lambda: follows(old, new), f"{old} to follow")


def test_primary_without_anybody_stops_and_goes_on_with_either(start):
    cluster = form(start, 1, flags=["--cluster-node-timeout", "1000"])
    primary, replica, witness = cluster.nodes
    replica.kill()
    assert serves(primary)
    witness.kill()
    eventually(lambda: facts(primary)["cluster_state"] == "fail", "one of three to stop")
    with pytest.raises(resp.ErrorReply, match="CLUSTERDOWN"):
        primary("SET", "k", "v")
    witness.start()
    eventually(lambda: serves(primary), "two of three to go on")


@pytest.mark.parametrize("dead", [(0,), (0, 1)], ids=["one", "both"])
def test_two_shards_and_a_witness_survive_their_primaries(start, dead):
    cluster = form(start, 2)
    for index in dead:
        cluster.primaries[index].kill()
    for index in dead:
        eventually(lambda i=index: is_primary(cluster.replicas[i]), "a replica to take over", 10)
    living = [n for n in cluster.nodes if n.process.poll() is None]
    for node in living:
        eventually(lambda n=node: facts(n)["cluster_state"] == "ok", f"{node} to see the cluster up")
    for library in ("valkey", "redis"):
        client = cluster_client(library, living[0].port)
        for number in range(100):
            client.set(f"key:{number}", number)
            assert client.get(f"key:{number}") == str(number)
        client.close()


@pytest.mark.parametrize("primaries", [1, 2])
def test_terminated_primary_hands_over(start, primaries):
    cluster = form(start, primaries)
    old, new = cluster.primaries[0], cluster.replicas[0]
    with Traffic(old.port) as traffic:
        assert old.terminate() == 0
        eventually(lambda: serves(new), f"{new} to serve")
        traffic.flows()


def test_everything_restarts_as_it_was(trio):
    primary, replica, witness = trio.nodes
    for node in trio.nodes:
        node.kill()
    for node in (witness, replica, primary):
        node.start()
    trio.primaries, trio.replicas = ([primary], [replica]) if is_primary(primary) else ([replica], [primary])
    trio.settle()
    assert "voters" in (witness.folder / "nodes.conf").read_text()


def test_a_witness_holds_nothing(trio):
    primary, replica, witness = trio.nodes
    slot = 16383
    with pytest.raises(resp.ErrorReply, match="MOVED"):
        witness("SET", "k", "v")
    refusals = [
        (witness, "CLUSTER", "REPLICATE", my_id(primary)),
        (replica, "CLUSTER", "REPLICATE", my_id(witness)),
        (witness, "CLUSTER", "ADDSLOTS", slot),
        (primary, "CLUSTER", "SETSLOT", slot, "NODE", my_id(witness)),
        (primary, "CLUSTER", "SETSLOT", slot, "MIGRATING", my_id(witness)),
    ]
    for node, *command in refusals:
        with pytest.raises(resp.ErrorReply, match="is a witness: it holds neither slots nor data"):
            node(*command)
    with pytest.raises(resp.ErrorReply, match="immutable"):
        witness("CONFIG", "SET", "cluster-witness", "no")
    shards = primary("CLUSTER", "SHARDS")
    assert len(shards) == 1 and len(primary("CLUSTER", "SLOTS")) == 1
    status = dict(l.split(":", 1) for l in open(f"/proc/{witness.process.pid}/status") if ":" in l)
    assert int(status["VmRSS"].split()[0]) < WITNESS_KB_MAX


def test_stock_clients_take_the_witness_for_an_empty_node(trio):
    nodes = trio.nodes
    for library, error in ((valkey, valkey.ValkeyError), (redis, redis.RedisError)):
        client = cluster_client(library.__name__, nodes[2].port)
        assert client.set("k", library.__name__) and client.get("k") == library.__name__
        assert {n.port for n in client.get_nodes()} >= {nodes[0].port, nodes[1].port}
        client.close()
        parsed = getattr(library, "Valkey" if library is valkey else "Redis")(port=nodes[0].port).cluster("NODES")
        assert "witness" in parsed[f"127.0.0.1:{nodes[2].port}"]["flags"]
        assert issubclass(error, CLUSTER_ERRORS)


def test_nothing_with_data_becomes_a_witness(trio):
    replica = trio.nodes[1]
    replica.kill()
    replica.flags += WITNESS
    with pytest.raises(RuntimeError, match="A witness holds neither slots nor data"):
        replica.start()
    with pytest.raises(RuntimeError, match="'cluster-witness yes' needs 'cluster-enabled yes'"):
        Server("baton", *WITNESS, folder=replica.folder).start()


def test_a_valkey_among_the_members_keeps_upstreams_rule(start):
    cluster = form(start, 1)
    primary = cluster.nodes[0]
    stock = start("valkey", *FLAGS)
    primary("CLUSTER", "MEET", "127.0.0.1", stock.port)
    for node in cluster.nodes:
        eventually(lambda n=node: facts(n)["cluster_voters"] == "1", f"{node} to count primaries only")
    eventually(lambda: line_of(stock, primary) and line_of(stock, cluster.witnesses[0]), "the newcomer to know all")
    assert facts(primary)["cluster_failover_possible"] == "0"
    known = my_id(stock)
    stock.kill()
    for node in cluster.nodes:
        node("CLUSTER", "FORGET", known)
    cluster.settle()


def test_a_forgotten_witness_takes_no_part(trio):
    primary, replica, witness = trio.nodes
    known = my_id(witness)
    witness.kill()
    for node in (primary, replica):
        node("CLUSTER", "FORGET", known)
    for node in (primary, replica):
        eventually(lambda n=node: facts(n)["cluster_witnesses"] == "0", f"{node} to know of none")
        eventually(lambda n=node: facts(n)["cluster_voters"] == "1", f"{node} to go by upstream's rule")
        assert facts(node)["cluster_failover_possible"] == "0"
