"""Clients through planned and unplanned changes: CLIENT MAINT_NOTIFICATIONS and its messages as such, and real libraries in
their default configuration under load, which must not notice what was planned."""

import time

import load
import pytest
import resp

from servers import Server, eventually
from test_cluster import make_cluster  # noqa: F401 (a fixture)

FAST = ["--repl-diskless-sync-delay", "0"]
ON = ("CLIENT", "MAINT_NOTIFICATIONS", "ON", "MOVING-ENDPOINT-TYPE", "internal-ip")
IN_CLUSTER = ["py-redis", "py-valkey", "node-redis", "ioredis"]


@pytest.fixture
def cluster(make_cluster):  # noqa: F811
    return make_cluster(*["baton"] * 6)


@pytest.fixture
def loads():
    """Puts servers under load; none outlives the test."""
    running = []

    def start(library, port, keys, **options):
        if why := load.missing(library):
            pytest.skip(why)
        running.append(load.Load(library, port, keys, **options))
        return running[-1]

    yield start
    for one in running:
        one.kill()


def listener(server, *words, host=None):
    """A RESP3 connection that asked to be told."""
    connection = server.connect()
    connection("HELLO", 3)
    assert connection(*(words or ON)) == b"OK"
    return connection


def pushes(connection, count):
    return [connection.read() for _ in range(count)]


def names(messages):
    return [message[0].decode() for message in messages]


def tags(cluster, *nodes, count=4):
    """Hash tags of slots that each of these nodes serves."""
    found = []
    for node in nodes:
        owned, number = [], 0
        while len(owned) < count:
            number += 1
            try:
                node("GET", "{%d}" % number)
                owned.append("{%d}" % number)
            except resp.ErrorReply:
                continue
        found += owned
    return found


def another(cluster, *but):
    return next(node for node in cluster.alive() if node not in but)


def unharmed(report):
    assert load.in_short(report["errors"]) == {}
    assert report["lost"] == []


class TestTheCommand:
    def test_what_is_wrong_is_refused_as_usual(self, baton):
        with baton.connect() as connection:
            connection("HELLO", 3)
            for words in (["MAYBE"], ["ON", "x"], ["ON", "moving-endpoint-type", "x"], ["OFF", "x"], ["ON", "moving-endpoint-type"]):
                with pytest.raises(resp.ErrorReply, match="^ERR syntax error$"):
                    connection("CLIENT", "MAINT_NOTIFICATIONS", *words)
            with pytest.raises(resp.ErrorReply, match="wrong number of arguments for 'client\\|maint_notifications' command"):
                connection("CLIENT", "MAINT_NOTIFICATIONS")
            assert connection("CLIENT", "MAINT_NOTIFICATIONS", "OFF") == b"OK"
            assert connection("CLIENT", "MAINT_NOTIFICATIONS", "ON") == b"OK"

    def test_resp2_can_not_be_told(self, baton):
        with baton.connect() as connection:
            with pytest.raises(resp.ErrorReply, match="^ERR .*RESP3"):
                connection(*ON)
            assert connection("CLIENT", "MAINT_NOTIFICATIONS", "OFF") == b"OK"


def test_every_listener_is_told_and_nobody_else(cluster):
    """On every worker, in order, without having to ask; who left RESP3 or switched it off hears nothing."""
    primary = cluster.a_primary()
    heir = cluster.replicas_of(primary)[0]
    listeners = [listener(primary) for _ in range(40)]
    others = [listener(primary) for _ in range(3)]
    others[0]("CLIENT", "MAINT_NOTIFICATIONS", "OFF")
    others[1]("HELLO", 2)
    others[2]("RESET")
    heir("CLUSTER", "FAILOVER")
    for connection in listeners:
        begun, over = pushes(connection, 2)
        assert (begun[0], over[0]) == (b"FAILING_OVER", b"FAILED_OVER")
        assert begun[2] > 0 and over[1] > begun[1]
    for connection in others:
        assert connection("PING") == b"PONG"


def test_who_is_redirected_was_told_before(cluster):
    primary = cluster.a_primary()
    heir = cluster.replicas_of(primary)[0]
    tag = tags(cluster, primary, count=1)[0]
    writers = [listener(primary) for _ in range(20)]
    heir("CLUSTER", "FAILOVER")
    for number, connection in enumerate(writers):
        heard = []
        while True:
            connection.send(resp.encode("SET", tag, number))
            reply = connection.read()
            while isinstance(reply, list):
                heard.append(reply)
                reply = connection.read()
            if isinstance(reply, resp.ErrorReply):
                break
        assert str(reply).startswith("MOVED")
        assert names(heard)[0] == "FAILING_OVER"


def test_who_stays_with_a_stopping_node_is_told_where_its_slots_went(cluster):
    primary = cluster.a_primary()
    heir = cluster.replicas_of(primary)[0]
    slots = ",".join(cluster.view(primary)[primary.port]["slots"])
    connection = listener(primary)
    assert primary.terminate() == 0
    heard = pushes(connection, 3)
    assert names(heard) == ["FAILING_OVER", "FAILED_OVER", "SMIGRATED"]
    place = lambda node: f"127.0.0.1:{node.port}".encode()  # noqa: E731
    assert heard[2][2] == [[place(primary), place(heir), slots.encode()]]
    assert connection.is_closed()


def test_a_failover_is_told_by_every_other_node_under_one_number(cluster):
    primary = cluster.a_primary()
    heir = cluster.replicas_of(primary)[0]
    listeners = [listener(node) for node in cluster.nodes if node is not primary]
    primary.kill()
    heard = [connection.read() for connection in listeners]
    assert names(heard) == ["SMIGRATED"] * len(listeners)
    assert len({message[1] for message in heard}) == 1, "clients take them for one"
    assert {message[2][0][1] for message in heard} == {f"127.0.0.1:{heir.port}".encode()}


def test_outside_a_cluster_writers_are_told_where_to_go(start):
    primary, replica = start("baton", *FAST), start("baton", *FAST)
    replica("REPLICAOF", "127.0.0.1", primary.port)
    eventually(lambda: "state=online" in str(primary.info("replication")), "the replica")
    named, blind = listener(primary), listener(primary, *ON[:3], "moving-endpoint-type", "none")
    later = listener(primary)
    later("MULTI")
    primary("FAILOVER")
    assert names(heard := pushes(named, 3)) == ["FAILING_OVER", "MOVING", "FAILED_OVER"]
    assert heard[1][2] > 0 and heard[1][3] == f"127.0.0.1:{replica.port}".encode()
    assert [m[3] for m in pushes(blind, 3) if m[0] == b"MOVING"] == [None]
    # Whoever writes all the same is carried there, with everything behind it; others are refused.
    named.send(resp.encode("SELECT", 3) + resp.encode("SET", "k", "v") + resp.encode("GET", "k"))
    assert [named.read() for _ in range(3)] == [b"OK", b"OK", b"v"]
    with replica.connect() as there:
        there("SELECT", 3)
        assert there("GET", "k") == b"v"
    newcomer = listener(primary)
    newcomer.send(resp.encode("SET", "k", "w"))
    assert newcomer.read()[0] == b"MOVING"
    assert newcomer.read() == b"OK"
    with pytest.raises(resp.ErrorReply, match="READONLY"):
        primary("SET", "k", "v")
    # So are transactions, but not one that this node has begun: its connection ends.
    newcomer.send(b"".join(resp.encode(*words) for words in (["MULTI"], ["INCR", "n"], ["EXEC"])))
    assert [newcomer.read() for _ in range(3)] == [b"OK", b"QUEUED", [1]]
    pushes(later, 3)
    later.send(resp.encode("SET", "k", "x"))
    assert later.is_closed()
    assert replica("GET", "k") == b"w"
    # A carried connection can still be found, and killed.
    assert primary("CLIENT", "KILL", "ADDR", "%s:%d" % newcomer.socket.getsockname()[:2]) == 1
    assert newcomer.is_closed()


@pytest.mark.parametrize("library", IN_CLUSTER)
def test_planned_changes_reach_no_application(cluster, loads, library):
    """One load on the shard that changes, one on all; a stop, and an exchange of roles."""
    primary = cluster.a_primary()
    heir = cluster.replicas_of(primary)[0]
    port = another(cluster, primary, heir).port
    primaries = [node for node in cluster.nodes if cluster.is_primary(node)]
    running = [loads(library, port, tags(cluster, primary)), loads(library, port, tags(cluster, *primaries), loops=12)]
    time.sleep(0.3)
    assert primary.terminate() == 0
    eventually(lambda: cluster.is_primary(heir), f"{heir} to be primary")
    time.sleep(0.5)
    primary.start()
    cluster.settled()
    assert primary("CLUSTER", "FAILOVER") == b"OK"
    eventually(lambda: cluster.is_primary(primary), f"{primary} to be primary")
    time.sleep(0.5)
    for one in running:
        unharmed(one.finish())


def test_a_stop_reaches_no_application_that_was_idle_meanwhile(cluster, loads):
    """Nobody redirects those who come once the node is gone. Node's client would wait for it for five seconds, and fail."""
    primary = cluster.a_primary()
    port = another(cluster, primary).port
    idle = loads("node-redis", port, tags(cluster, primary, count=1), loops=1, think_ms=1)
    idle.process.send_signal(19)  # SIGSTOP: it sends nothing, and what it is told waits.
    time.sleep(0.1)
    assert primary.terminate() == 0
    idle.process.send_signal(18)
    time.sleep(0.5)
    unharmed(idle.finish())


@pytest.mark.parametrize("library", ["py-redis", "node-redis"])
def test_a_crash_is_over_for_clients_when_it_is_over_for_the_cluster(cluster, loads, library):
    """What was in flight may fail; nothing waits for a topology that is looked at every few seconds."""
    primary = cluster.a_primary()
    heir = cluster.replicas_of(primary)[0]
    running = loads(library, another(cluster, primary, heir).port, tags(cluster, primary))
    primary.kill()
    eventually(lambda: cluster.is_primary(heir), f"{heir} to be primary", 30)
    before = time.time() * 1000
    time.sleep(1.5)
    report = running.finish()
    assert [text for at, text in report["errors"] if at > before + 1000] == []
    assert any(end > before for _, end in report["gaps"]) or report["successes"]


@pytest.mark.parametrize("library", ["py-redis", "node-redis"])
@pytest.mark.parametrize("how", ["FAILOVER", "SIGTERM"])
def test_outside_a_cluster_an_application_goes_on_at_the_new_primary(start, loads, how, library):
    """Addresses differ, ports don't: redis-py takes from MOVING the former alone."""
    primary = start("baton", *FAST)
    replica = Server("baton", *FAST, "--bind", "127.0.0.2", "--replica-announce-ip", "127.0.0.2")
    replica.port = primary.port
    try:
        replica.flags += ["--replicaof", f"127.0.0.1 {primary.port}"]
        replica.start()
        eventually(lambda: "state=online" in str(primary.info("replication")), "the replica")
        running = loads(library, primary.port, ["a", "b"], cluster=False, loops=4)
        time.sleep(0.2)
        if how == "FAILOVER":
            assert primary("FAILOVER") == b"OK"
        else:
            assert primary.terminate() == 0
        time.sleep(1)
        report = running.finish()
        unharmed(report)
    finally:
        replica.remove()
