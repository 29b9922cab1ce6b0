"""A primary that stood still: what was queued meanwhile is not acknowledged before it has heard who is primary now."""


import pytest
import resp

from servers import eventually
from test_cluster import Cluster, make_cluster  # noqa: F401 (a fixture)


@pytest.fixture
def cluster(make_cluster):  # noqa: F811
    return make_cluster(*["baton"] * 6)


def own_key(node):
    for n in range(100_000):
        try:
            node("SET", f"key:{n}", "before")
            return f"key:{n}"
        except resp.ErrorReply as error:
            assert str(error).startswith("MOVED "), error
    raise AssertionError("no key of its own")


def test_nothing_that_was_queued_is_acknowledged_after_a_pause(cluster):
    old = cluster.a_primary()
    heir = cluster.replicas_of(old)[0]
    key = own_key(old)
    eventually(heir.is_linked, "a replica in sync")
    with old.connect() as connection:
        connection("PING")
        old.stop()
        try:
            connection.send(resp.encode("SET", key, "queued"))
            eventually(lambda: heir.info("replication")["role"] == "master", "the replica to take over")
            heir("SET", key, "after")
        finally:
            old.go_on()
        try:
            answer = connection.read()
        except resp.Closed:
            answer = None
        assert answer is None or isinstance(answer, resp.ErrorReply), f"{answer!r} is an acknowledgement"
    eventually(lambda: old.info("replication")["role"] == "slave", "the old primary to follow")
    assert heir("GET", key) == b"after"
