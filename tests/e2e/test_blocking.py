"""Commands that wait for keys: fair, alone to see what is meant for them, and never forgotten when something else happens to
their key, their connection or their node."""

import signal

import pytest
import resp

from servers import eventually
from test_cluster import make_cluster  # noqa: F401 (a fixture)


@pytest.fixture
def server(start):
    return start("baton", "--worker-threads", "3")


def count(server, name="blocked_clients"):
    return int(server.info("clients")[name])


class Waiting:
    """A connection whose command is known to wait."""

    def __init__(self, server, *command):
        before = count(server)
        self.connection = server.connect()
        self.id = self.connection("CLIENT", "ID")
        self.connection.send(resp.encode(*command))
        eventually(lambda: count(server) > before, f"{command} to wait")

    def read(self):
        return self.connection.read()


def test_those_who_came_first_are_served_first(server):
    waiting = [Waiting(server, "BLPOP", "list", 0) for _ in range(6)]
    assert server("RPUSH", "list", *range(4)) == 4
    assert server("LLEN", "list") == 0
    assert [one.read() for one in waiting[:4]] == [[b"list", str(n).encode()] for n in range(4)]
    server("RPUSH", "list", "x")
    assert waiting[4].read() == [b"list", b"x"]
    assert count(server) == 1


def test_the_first_of_several_keys_that_has_something(server):
    one = Waiting(server, "BRPOP", "a", "b", "c", 0)
    assert count(server, "total_blocking_keys") == 3
    with server.connect() as connection:
        connection("MULTI")
        connection("RPUSH", "c", "3")
        connection("RPUSH", "b", "1", "2")
        connection("EXEC")
    assert one.read() == [b"b", b"2"]
    assert count(server, "total_blocking_keys") == 0


def test_what_a_transaction_took_back_was_never_there(server):
    one = Waiting(server, "BLPOP", "list", 0)
    with server.connect() as connection:
        for command in (["MULTI"], ["LPUSH", "list", "gone"], ["DEL", "list"], ["SET", "list", "no list"], ["EXEC"]):
            connection(*command)
    server("DEL", "list")
    server("LPUSH", "other", "renamed")
    server("RENAME", "other", "list")
    assert one.read() == [b"list", b"renamed"]


def test_what_is_moved_on_wakes_the_next(server):
    last = Waiting(server, "BLMPOP", 0, 2, "none", "three", "RIGHT", "COUNT", 5)
    middle = Waiting(server, "BRPOPLPUSH", "two", "three", 0)
    first = Waiting(server, "BLMOVE", "one", "two", "LEFT", "RIGHT", 0)
    server("RPUSH", "one", "a")
    assert (first.read(), middle.read(), last.read()) == (b"a", b"a", [b"three", [b"a"]])
    assert server("EXISTS", "one", "two", "three") == 0


def test_a_destination_of_another_type_is_told_to_who_waits(server):
    one = Waiting(server, "BLMOVE", "list", "text", "LEFT", "RIGHT", 0)
    server("SET", "text", "no list")
    server("RPUSH", "list", "a")
    assert str(one.read()).startswith("WRONGTYPE ")
    assert server("LRANGE", "list", 0, -1) == [b"a"]


def test_a_wait_ends_with_its_time(server):
    with server.connect() as connection:
        assert connection("BLPOP", "none", "0.05") is None
        connection("MULTI")
        connection("BLPOP", "none", 0)
        assert connection("EXEC") == [None]


def test_others_can_end_a_wait(server):
    one, two = (Waiting(server, "BLPOP", "list", 0) for _ in range(2))
    assert server("CLIENT", "UNBLOCK", one.id) == 1
    assert server("CLIENT", "UNBLOCK", two.id, "ERROR") == 1
    assert one.read() is None
    assert str(two.read()) == "UNBLOCKED client unblocked via CLIENT UNBLOCK"


def test_what_waits_behind_a_wait_runs_after_it(server):
    one = Waiting(server, "BLPOP", "list", 0)
    one.connection.send(resp.encode("PING"))
    server("RPUSH", "list", "x")
    assert [one.read(), one.read()] == [[b"list", b"x"], b"PONG"]


def test_who_left_gets_nothing(server):
    gone, there = Waiting(server, "BLPOP", "list", 0), Waiting(server, "BLPOP", "list", 0)
    gone.connection.close()
    eventually(lambda: count(server) == 1, "the connection to be forgotten")
    server("RPUSH", "list", "x")
    assert there.read() == [b"list", b"x"]


def test_replicas_hear_of_the_element_that_was_taken(start, server):
    replica = start("baton", "--replicaof", f"127.0.0.1 {server.port}", "--repl-diskless-sync-delay", "0")
    eventually(replica.is_linked, "the replica")
    one = Waiting(server, "BLPOP", "list", 0)
    server("RPUSH", "list", "a", "b", "c")
    one.read()
    # WAIT on another connection waits for nothing.
    eventually(lambda: replica("LRANGE", "list", 0, -1) == [b"b", b"c"], "the replica to hear of it")


@pytest.fixture
def slow(start):
    """A server that can be made to stand still."""
    return start("baton", "--worker-threads", "3", "--enable-debug-command", "yes")


def test_a_waiter_leaves_a_key_whose_time_has_come_to_whoever_comes_next(slow):
    """Upstream only looks whether there is something to wake for, and deletes nothing for that."""
    slow("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    one = Waiting(slow, "BRPOP", "list", 0)
    with slow.connect() as connection:
        connection("SELECT", 1)
        connection("RPUSH", "list", "x")
        assert connection("PEXPIRE", "list", 100) == 1
        # Nothing reaches the key while its time comes.
        connection("DEBUG", "SLEEP", "0.11")
        connection("SWAPDB", 0, 1)
    assert (count(slow), slow("DBSIZE")) == (1, 1)
    assert slow("EXISTS", "list") == 0
    assert (count(slow), slow("DBSIZE")) == (1, 0)
    slow("RPUSH", "list", "y")
    assert one.read() == [b"list", b"y"]


def test_what_came_to_its_end_within_a_transaction_wakes_nobody(slow):
    slow("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    one = Waiting(slow, "BRPOP", "list", 0)
    with slow.connect() as connection:
        for command in (["MULTI"], ["RPUSH", "list", "x"], ["PEXPIRE", "list", 10], ["DEBUG", "SLEEP", "0.02"]):
            connection(*command)
        assert connection("EXEC") == [1, 1, b"OK"]
    assert (count(slow), slow("DBSIZE")) == (1, 1)
    slow("RPUSH", "list", "y")
    assert one.read() == [b"list", b"y"]


def test_who_waits_at_a_primary_that_hands_over_is_sent_to_its_successor(make_cluster):  # noqa: F811
    cluster = make_cluster(*["baton"] * 6)
    old = cluster.a_primary()
    heir = cluster.replicas_of(old)[0]
    key = next(key for key in (f"key:{n}" for n in range(100_000)) if serves(old, key))
    eventually(heir.is_linked, "a replica in sync")
    one = Waiting(old, "BLPOP", key, 0)
    heir("CLUSTER", "FAILOVER")
    answer = one.read()
    assert isinstance(answer, resp.ErrorReply) and str(answer).startswith("MOVED "), answer
    assert str(answer).endswith(f":{heir.port}")
    assert heir("RPUSH", key, "x") == 1


def serves(node, key):
    try:
        node("EXISTS", key)
    except resp.ErrorReply:
        return False
    return True


def test_a_waiting_connection_does_not_hold_up_a_stop(server):
    Waiting(server, "BLPOP", "list", 0)
    server.send_signal(signal.SIGTERM)
    eventually(lambda: server.process.poll() is not None, "the server to end")
    assert server.process.returncode == 0
