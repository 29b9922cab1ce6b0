"""A primary with replicas, outside a cluster: planned changes that clients follow by themselves."""

import threading

import pytest
import resp

from servers import contents, eventually, needs_command

FAST = ["--repl-diskless-sync-delay", "0"]


class Follower(threading.Thread):
    """Writes without pause and goes where `REDIRECT` says; any other error ends it."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.acknowledged = 0
        self.redirects = 0
        self.error = None
        self._stopping = threading.Event()

    def run(self):
        try:
            connection = self._connect()
            while not self._stopping.is_set():
                try:
                    connection("SET", "follower", self.acknowledged + 1)
                    self.acknowledged += 1
                except resp.ErrorReply as error:
                    code, place = str(error).split(" ")[:2]
                    if code != "REDIRECT":
                        raise
                    self.redirects += 1
                    self.port = int(place.rsplit(":", 1)[1])
                    connection.close()
                    connection = self._connect()
        except (OSError, resp.ErrorReply, resp.Closed) as error:
            self.error = repr(error)

    def _connect(self):
        connection = resp.Connection(self.port)
        connection("CLIENT", "CAPA", "redirect")
        return connection

    def flows(self):
        goal = self.acknowledged + 200
        eventually(lambda: self.acknowledged >= goal or self.error, "writes to flow", 30)
        assert self.error is None

    def finish(self):
        self._stopping.set()
        self.join(30)
        assert self.error is None


@pytest.fixture
def trio(start):
    primary, first, second = (start("baton", *FAST) for _ in range(3))
    for replica in (first, second):
        replica("REPLICAOF", "127.0.0.1", primary.port)
        eventually(replica.is_linked, f"{replica} to be linked")
    return primary, first, second


def role(server):
    return server("ROLE")[0]


def test_redirect_capable_clients_are_sent_to_the_primary(trio):
    primary, replica, _ = trio
    with replica.connect() as connection:
        connection("CLIENT", "CAPA", "redirect")
        with pytest.raises(resp.ErrorReply, match=f"REDIRECT 127.0.0.1:{primary.port}"):
            connection("SET", "k", "v")
        with pytest.raises(resp.ErrorReply, match=f"REDIRECT 127.0.0.1:{primary.port}"):
            connection("GET", "k")
        connection("READONLY")
        assert connection("GET", "k") is None
        assert connection("PING") == b"PONG"


def test_failover_command_changes_roles_under_writes(trio):
    needs_command(trio[0], "FAILOVER")
    primary, heir, sibling = trio
    follower = Follower(primary.port)
    follower.start()
    follower.flows()
    assert primary("FAILOVER", "TO", "127.0.0.1", heir.port) == b"OK"
    eventually(lambda: role(heir) == b"master" and role(primary) == b"slave", "the roles to change")
    follower.flows()
    follower.finish()
    assert follower.redirects >= 1
    assert int(heir("GET", "follower")) == follower.acknowledged
    eventually(primary.is_linked, "the old primary to follow")
    eventually(lambda: contents(primary) == contents(heir), "the old primary to be in step")
    assert int(heir.info("stats")["sync_full"]) == 0


def test_failover_errors(trio):
    needs_command(trio[0], "FAILOVER")
    primary, replica, _ = trio
    with pytest.raises(resp.ErrorReply, match="ERR FAILOVER is not valid when server is a replica."):
        replica("FAILOVER")
    with pytest.raises(resp.ErrorReply, match="ERR FAILOVER target HOST and PORT is not a replica."):
        primary("FAILOVER", "TO", "127.0.0.1", "1")
    with pytest.raises(resp.ErrorReply, match="ERR No failover in progress."):
        primary("FAILOVER", "ABORT")


def test_terminated_primary_hands_over(trio):
    """The promise of this project, without a cluster: no error, nothing lost, a clean exit, the sibling comes along."""
    needs_command(trio[0], "FAILOVER")
    primary, first, second = trio
    follower = Follower(primary.port)
    follower.start()
    follower.flows()
    assert primary.terminate() == 0
    eventually(lambda: b"master" in (role(first), role(second)), "a replica to be primary")
    follower.flows()
    follower.finish()
    heir, sibling = (first, second) if role(first) == b"master" else (second, first)
    assert int(heir("GET", "follower")) == follower.acknowledged
    eventually(lambda: sibling.info("replication")["master_port"] == str(heir.port), "the sibling to turn to the new primary")
    eventually(sibling.is_linked, "the sibling to be linked")
    assert int(heir.info("stats")["sync_full"]) == 0


def test_terminated_primary_without_replicas_just_ends(start):
    server = start("baton")
    server("SET", "k", "v")
    assert server.terminate() == 0
    assert "ready to exit, bye bye..." in server.log()
