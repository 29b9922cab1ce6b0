"""FAILOVER and stops outside a cluster: between every pair of servers, with clients that follow redirects, and when it fails."""

import signal
import threading
import time

import pytest
import resp

from relay import Relay
from servers import contents, eventually, fill

FAST = ["--repl-diskless-sync-delay", "0"]
KINDS = ["baton", "valkey", "redis"]
CLIENTS = 200


def role(server):
    return server("ROLE")[0]


def replication(server):
    return server.info("replication")


def state(server):
    return replication(server)["master_failover_state"]


def link(replica, place, primary=None):
    primary = primary or place
    replica("REPLICAOF", "127.0.0.1", place.port)
    eventually(replica.is_linked, f"{replica} to follow {primary}")
    eventually(lambda: "online" in str(replication(primary)), f"{primary} to see {replica}")


def follows(replica, primary):
    info = replication(replica)
    return info["role"] == "slave" and info["master_port"] == str(primary.port) and info["master_link_status"] == "up"


def capable(server):
    """A connection that can be redirected."""
    connection = server.connect()
    connection("CLIENT", "CAPA", "redirect")
    return connection


class Client(threading.Thread):
    """Writes and reads its own key; goes where a redirect says, and counts how often one command was sent on."""

    def __init__(self, number, port):
        super().__init__(daemon=True)
        self.key = f"client:{number}"
        self.port = port
        self.value = 0
        self.redirects = 0
        self.worst = 0
        self.trouble = None
        self._ending = threading.Event()

    def run(self):
        try:
            self._connect()
            while not self._ending.is_set():
                self._send("SET", self.key, self.value + 1)
                self.value += 1
                read = int(self._send("GET", self.key))
                assert read == self.value, f"read {read} after {self.value} was acknowledged"
        except (OSError, resp.ErrorReply, resp.Closed, AssertionError) as error:
            self.trouble = repr(error)

    def _connect(self):
        self.connection = resp.Connection(self.port)
        self.connection.send(resp.encode("CLIENT", "CAPA", "redirect"))
        self.connection.read()  # Redis does not know it.

    def _send(self, *command):
        hops = 0
        while True:
            try:
                return self.connection(*command)
            except resp.ErrorReply as error:
                code, place = str(error).split(" ")[:2]
                if code != "REDIRECT":
                    raise
                hops += 1
                self.redirects += 1
                self.worst = max(self.worst, hops)
                self.port = int(place.rsplit(":", 1)[1])
                self.connection.close()
                self._connect()

    def end(self):
        self._ending.set()


@pytest.fixture
def crowd():
    """Starts clients that run until the end of the test, where they must have had no trouble."""
    clients = []

    def start(server, count=CLIENTS):
        clients.extend(Client(number, server.port) for number in range(count))
        for client in clients:
            client.start()
        flow()
        return clients

    def flow():
        goals = [(client, client.value + 2) for client in clients]
        done = lambda: all(c.value >= goal or c.trouble for c, goal in goals)  # noqa: E731
        eventually(done, "all clients to write", 60)
        assert [c.trouble for c in clients if c.trouble] == []

    start.flow = flow
    yield start
    for client in clients:
        client.end()
    for client in clients:
        client.join(30)
    assert [c.trouble for c in clients if c.trouble] == []


@pytest.fixture
def pair(start):
    primary, replica = start("baton", *FAST), start("baton", *FAST)
    link(replica, primary)
    return primary, replica


@pytest.fixture
def relayed(start):
    """A primary, and a replica whose link passes a relay."""
    # Nothing but what the tests do is put into the stream.
    primary, heir = start("baton", *FAST, "--repl-ping-replica-period", 3600), start("baton", *FAST)
    relay = Relay(primary)
    link(heir, relay, primary)
    primary("SET", "k", "v")
    assert primary("WAIT", 1, 10000) == 1
    yield primary, heir, relay
    relay.close()


def nothing_lost(clients, primary):
    for client in clients:
        acknowledged = client.value
        assert int(primary("GET", client.key)) >= acknowledged


def hang(server):
    server.stop()


def go_on(server):
    server.go_on()


# ---- the change itself


@pytest.mark.parametrize("heir_kind", KINDS)
@pytest.mark.parametrize("primary_kind", KINDS)
def test_roles_change_between_any_two(start, primary_kind, heir_kind):
    if "baton" not in (primary_kind, heir_kind):
        pytest.skip("neither of them is Baton")
    primary, heir = start(primary_kind, *FAST), start(heir_kind, *FAST)
    if primary_kind == "valkey" and heir_kind == "baton":
        primary("CONFIG", "SET", "repl-diskless-sync", "yes")
    link(heir, primary)
    for number in range(100):
        primary("SET", f"k{number}", number)
    full = int(heir.info("stats")["sync_full"])
    assert primary("FAILOVER", "TO", "127.0.0.1", heir.port) == b"OK"
    eventually(lambda: state(primary) == "no-failover" and follows(primary, heir), "the roles to change")
    assert role(heir) == b"master"
    heir("SET", "after", "1")
    eventually(lambda: contents(primary) == contents(heir), "the old primary to be in step")
    assert int(heir.info("stats")["sync_full"]) == full, "a partial resynchronisation was enough"
    # And back again.
    heir("FAILOVER")
    eventually(lambda: state(heir) == "no-failover" and follows(heir, primary), "the roles to change back")
    assert int(primary.info("stats")["sync_partial_ok"]) >= 1


def test_many_clients_are_sent_on_once(pair, crowd):
    primary, heir = pair
    clients = crowd(primary)
    for old, new in [(primary, heir), (heir, primary), (primary, heir)]:
        old("FAILOVER")
        eventually(lambda: state(old) == "no-failover" and follows(old, new), "the roles to change")
        crowd.flow()
    assert max(c.worst for c in clients) == 1, "nobody is sent back and forth"
    assert all(c.port == heir.port for c in clients)
    assert int(heir.info("stats")["sync_full"]) == 0
    nothing_lost(clients, heir)


@pytest.mark.parametrize("sibling_kind", KINDS)
def test_siblings_come_along(start, sibling_kind):
    primary, heir = start("baton", *FAST), start("baton", *FAST)
    sibling = start(sibling_kind, *FAST)
    link(heir, primary)
    link(sibling, primary)
    fill(primary, 1)
    primary("FAILOVER", "TO", "127.0.0.1", heir.port)
    eventually(lambda: follows(primary, heir) and follows(sibling, heir), "both to follow the new primary")
    heir("SET", "after", "1")
    eventually(lambda: contents(sibling) == contents(heir), "the sibling to be in step")
    assert int(heir.info("stats")["sync_full"]) == 0


def test_siblings_behind_a_password_come_along(start):
    primary, heir, sibling = (start("baton", *FAST) for _ in range(3))
    link(heir, primary)
    link(sibling, primary)
    known = []
    for server in (primary, heir, sibling):
        connection = server.connect()
        connection("CONFIG", "SET", "primaryauth", "secret", "requirepass", "secret")
        connection("AUTH", "secret")
        known.append(connection)
    known[0]("FAILOVER", "TO", "127.0.0.1", heir.port)
    linked = f"master_port:{heir.port}\r\nmaster_link_status:up"
    eventually(lambda: linked in known[2]("INFO", "replication").decode(), "the sibling to follow the new primary")


def test_a_silent_replica_is_not_chosen(start):
    primary, one, other = (start("baton", *FAST) for _ in range(3))
    link(one, primary)
    link(other, primary)
    hang(one)
    primary("FAILOVER")
    eventually(lambda: state(primary) == "no-failover" and follows(primary, other), "the living one to take over")
    go_on(one)
    eventually(lambda: follows(one, other), "the other one to come along")


def test_a_force_after_the_time(pair):
    primary, heir = pair
    hang(heir)
    primary("SET", "k", "v")
    blocked, capa = primary.connect(), capable(primary)
    assert primary("FAILOVER", "TO", "127.0.0.1", heir.port, "TIMEOUT", "100", "FORCE") == b"OK"
    eventually(lambda: state(primary) == "failover-in-progress", "the time to be over")
    assert role(primary) == b"slave", "never two primaries"
    # Who wants the primary waits, readers too; who reads from replicas is served.
    capa.send(resp.encode("GET", "k"))
    blocked.send(resp.encode("SET", "k", "w"))
    eventually(lambda: primary.info("clients")["blocked_clients"] == "2", "both to be held")
    assert primary("GET", "k") == b"v"
    with pytest.raises(resp.ErrorReply, match="ERR FAILOVER already in progress."):
        primary("FAILOVER")
    with pytest.raises(resp.ErrorReply, match="ERR REPLICAOF not allowed while failing over."):
        primary("REPLICAOF", "NO", "ONE")
    go_on(heir)
    eventually(lambda: state(primary) == "no-failover" and role(heir) == b"master", "the change")
    assert str(capa.read()) == f"REDIRECT 127.0.0.1:{heir.port}"
    assert str(blocked.read()).startswith("READONLY")
    assert "time out exceeded, failing over." in primary.log()
    eventually(lambda: follows(primary, heir), "the old primary to follow")
    # What lay in the connection when the target woke up was received, and counts.
    assert heir("GET", "k") == b"v"
    assert int(heir.info("stats")["sync_full"]) == 0


def test_the_end_of_the_stream_that_is_on_its_way_is_waited_for(start, relayed):
    """The heir has acknowledged all data by itself when the question behind it, the stream's last bytes, is still on its
    way to it. The others have that question, so the heir takes it in before it is primary."""
    primary, heir, relay = relayed
    sibling = start("baton", *FAST)
    link(sibling, primary)
    relay.hold()
    assert primary("FAILOVER", "TO", "127.0.0.1", heir.port) == b"OK"
    eventually(lambda: "Failover request received for replid" in heir.log(), "the request")
    assert relay.held.wait(20)
    relay.release()
    eventually(lambda: state(primary) == "no-failover" and follows(primary, heir), "the roles to change")
    eventually(lambda: follows(sibling, heir), "the sibling to come along")
    assert role(heir) == b"master"
    heir("SET", "after", "1")
    eventually(lambda: contents(primary) == contents(sibling) == contents(heir), "all to be in step")
    assert int(heir.info("stats")["sync_full"]) == 0


def test_an_end_that_never_comes_is_not_waited_for_long(relayed):
    primary, heir, relay = relayed
    relay.hold()
    assert primary("FAILOVER", "TO", "127.0.0.1", heir.port) == b"OK"
    eventually(lambda: state(primary) == "no-failover" and follows(primary, heir), "the roles to change")
    assert relay.held.wait(20)
    assert role(heir) == b"master"
    assert contents(primary) == contents(heir)


# ---- blocked clients and transactions


def test_who_waits_for_replicas_is_sent_away_at_success_only(pair):
    primary, heir = pair
    hang(heir)
    waiting = primary.connect()
    waiting("SET", "k", "v")
    waiting.send(resp.encode("WAIT", 2, 0))
    eventually(lambda: primary.info("clients")["blocked_clients"] == "1", "WAIT to block")
    primary("FAILOVER", "TO", "127.0.0.1", heir.port, "TIMEOUT", "60000")
    assert state(primary) == "waiting-for-sync"
    assert primary("FAILOVER", "ABORT") == b"OK"
    assert primary.info("clients")["blocked_clients"] == "1", "an abort leaves it alone"
    go_on(heir)
    eventually(lambda: state(primary) == "no-failover", "rest")
    primary("FAILOVER")
    assert str(waiting.read()).startswith("UNBLOCKED force unblock from blocking operation, instance state changed")
    assert waiting.is_closed()


def test_transactions_meet_the_change_whole(pair):
    primary, heir = pair
    plain, capa = primary.connect(), capable(primary)
    for connection in (plain, capa):
        connection("MULTI")
        assert connection("SET", "k", "v") == b"QUEUED"
    primary("FAILOVER")
    eventually(lambda: state(primary) == "no-failover" and follows(primary, heir), "the roles to change")
    with pytest.raises(resp.ErrorReply, match=f"REDIRECT 127.0.0.1:{heir.port}"):
        capa("EXEC")
    with pytest.raises(resp.ErrorReply, match="EXECABORT .*READONLY"):
        plain("EXEC")
    assert heir("GET", "k") is None


def test_a_transaction_can_ask_for_it_as_sentinel_does(pair):
    primary, heir = pair
    with primary.connect() as connection:
        connection("MULTI")
        connection("CLIENT", "PAUSE", "60000", "WRITE")
        connection("FAILOVER", "TO", "127.0.0.1", heir.port, "TIMEOUT", "60000")
        assert connection("EXEC") == [b"OK", b"OK"]
    eventually(lambda: state(primary) == "no-failover" and follows(primary, heir), "the roles to change")
    # The pause of clients isn't over, but that keeps nobody from being sent to where writes are served.
    with capable(primary) as connection:
        with pytest.raises(resp.ErrorReply, match=f"REDIRECT 127.0.0.1:{heir.port}"):
            connection("SET", "k", "v")


# ---- when it ends without a change


def test_a_time_that_runs_out_changes_nothing(pair):
    primary, replica = pair
    hang(replica)
    primary("SET", "k", "1")
    replid = replication(primary)["master_replid"]
    held = primary.connect()
    primary("FAILOVER", "TO", "127.0.0.1", replica.port, "TIMEOUT", "300")
    assert primary.info("clients")["paused_reason"] == "failover_in_progress"
    assert primary.info("clients")["paused_actions"] == "write"
    held.send(resp.encode("SET", "k", "2"))
    assert primary("GET", "k") == b"1", "reads go on"
    eventually(lambda: state(primary) == "no-failover", "the time to be over")
    assert held.read() == b"OK", "held, not refused"
    assert "aborted: Replica never caught up before timeout" in primary.log()
    assert replication(primary)["master_replid"] == replid
    assert primary.info("clients")["paused_reason"] == "none"
    go_on(replica)
    eventually(lambda: replica("GET", "k") == b"2", "the replica to go on")


def test_a_target_that_refuses_leaves_the_primary_as_it_was(start):
    primary, replica = start("baton", *FAST), start("valkey", *FAST)
    link(replica, primary)
    replica("ACL", "SETUSER", "default", "-psync")
    old = replication(primary)["master_replid"]
    partial = int(primary.info("stats")["sync_partial_ok"])
    primary("FAILOVER", "TO", "127.0.0.1", replica.port)
    eventually(lambda: "Failover target rejected psync request" in primary.log(), "the refusal")
    eventually(lambda: state(primary) == "no-failover" and role(primary) == b"master", "the old state")
    assert primary("SET", "k", "v") == b"OK"
    assert replication(primary)["master_replid2"] == old, "the history was renewed"
    eventually(lambda: follows(replica, primary), "the replica to come back")
    eventually(lambda: replica("GET", "k") == b"v", "the replica to go on")
    assert int(primary.info("stats")["sync_partial_ok"]) == partial + 1
    assert int(primary.info("stats")["sync_full"]) == 1


def test_a_target_that_hangs_is_given_up(pair):
    primary, replica = pair
    hang(replica)
    primary("SET", "k", "v")
    primary("FAILOVER", "TO", "127.0.0.1", replica.port, "TIMEOUT", "50", "FORCE")
    eventually(lambda: state(primary) == "failover-in-progress", "the turn")
    eventually(lambda: state(primary) == "no-failover", "it to be given up", 20)
    assert role(primary) == b"master"
    assert primary("SET", "k", "w") == b"OK"
    go_on(replica)
    eventually(lambda: follows(replica, primary) and replica("GET", "k") == b"w", "the replica to go on")


def test_calling_it_off_under_way(pair):
    primary, replica = pair
    hang(replica)
    primary("SET", "k", "v")
    held, capa = primary.connect(), capable(primary)
    primary("FAILOVER", "TO", "127.0.0.1", replica.port, "TIMEOUT", "50", "FORCE")
    eventually(lambda: state(primary) == "failover-in-progress", "the turn")
    held.send(resp.encode("SET", "k", "w"))
    capa.send(resp.encode("GET", "other"))
    eventually(lambda: primary.info("clients")["blocked_clients"] == "2", "both to be held")
    assert primary("FAILOVER", "ABORT") == b"OK"
    assert state(primary) == "no-failover"
    assert held.read() == b"OK"
    assert capa.read() is None
    assert "aborted: Failover manually aborted" in primary.log()
    go_on(replica)
    eventually(lambda: follows(replica, primary) and replica("GET", "k") == b"w", "the replica to go on")


def test_what_is_refused(pair):
    primary, replica = pair

    def refused(server, text, *words):
        with pytest.raises(resp.ErrorReply, match=text):
            server("FAILOVER", *words)

    address = ("127.0.0.1", replica.port)
    refused(primary, "ERR No failover in progress.", "ABORT")
    refused(primary, "ERR syntax error", "LATER")
    refused(primary, "ERR syntax error", "TO", "127.0.0.1")
    refused(primary, "ERR FAILOVER timeout must be greater than 0", "TIMEOUT", "0")
    refused(primary, "ERR value is not an integer or out of range", "TO", "127.0.0.1", "port")
    refused(replica, "ERR FAILOVER is not valid when server is a replica.", "TO", *address)
    refused(primary, "ERR FAILOVER with force option requires both a timeout and target HOST and IP.", "TO", *address, "FORCE")
    refused(primary, "ERR FAILOVER target HOST and PORT is not a replica.", "TO", "127.0.0.1", 1)
    replica("REPLICAOF", "NO", "ONE")
    eventually(lambda: replication(primary)["connected_slaves"] == "0", "the replica to leave")
    refused(primary, "ERR FAILOVER requires connected replicas.")


# ---- stops


@pytest.mark.parametrize("heir_kind", KINDS)
def test_a_stop_hands_over(start, crowd, heir_kind):
    primary, heir = start("baton", *FAST), start(heir_kind, *FAST)
    link(heir, primary)
    clients = crowd(primary, 20)
    assert primary.terminate() == 0
    assert role(heir) == b"master"
    crowd.flow()
    assert max(c.worst for c in clients) == 1
    nothing_lost(clients, heir)


@pytest.mark.parametrize("sibling_kind", KINDS)
def test_a_stop_sends_siblings_to_the_successor(start, sibling_kind):
    primary, heir = start("baton", *FAST), start("baton", *FAST)
    link(heir, primary)
    sibling = start(sibling_kind, *FAST)
    link(sibling, primary)
    # The answer of the one that is to follow comes last.
    hang(sibling)
    resume = threading.Timer(0.5, go_on, [sibling])
    resume.start()
    assert primary.terminate() == 0
    resume.join()
    eventually(lambda: follows(sibling, heir), "the sibling to follow the new primary")
    assert int(heir.info("stats")["sync_full"]) == 0


def test_the_words_of_the_signal_decide(start):
    primary, heir = start("baton", *FAST, "--handover-on-shutdown", "no"), start("baton", *FAST)
    link(heir, primary)
    assert primary.terminate() == 0
    assert role(heir) == b"slave"
    primary = start("baton", *FAST, "--shutdown-on-sigint", "nosave failover")
    link(heir, primary)
    primary.send_signal(signal.SIGINT)
    assert primary.process.wait(60) == 0
    assert role(heir) == b"master"


def test_shutdown_failover(pair):
    primary, heir = pair
    with primary.connect() as connection:
        connection.send(resp.encode("SHUTDOWN", "FAILOVER"))
        assert connection.is_closed()
    assert primary.process.wait(60) == 0
    assert role(heir) == b"master"


def test_who_cannot_be_redirected_is_held_until_the_end(pair):
    """An error would tell a client that its connection is fine; its end makes it look for the primary."""
    primary, heir = pair
    primary("SET", "k", "v")
    plain, capa, reader = primary.connect(), capable(primary), primary.connect()
    primary.send_signal(signal.SIGTERM)
    # The client that can be redirected hasn't been yet, so the process stays for a moment.
    eventually(lambda: "Handed over to" in primary.log(), "the handover")
    plain.send(resp.encode("SET", "k", "w"))
    assert reader("GET", "k") == b"v"
    with pytest.raises(resp.ErrorReply, match=f"REDIRECT 127.0.0.1:{heir.port}"):
        capa("SET", "k", "x")
    capa.close()
    assert primary.process.wait(60) == 0
    assert plain.is_closed(), "without an error, and without a write"
    assert heir("GET", "k") == b"v"


def test_saving_comes_after_the_handover(start):
    primary, heir = start("baton", *FAST, "--save", "3600 1"), start("baton", *FAST)
    link(heir, primary)
    primary("SET", "k", "v")
    assert primary.terminate() == 0
    log = primary.log()
    assert log.index("Handed over to") < log.index("Saving the final RDB snapshot before exiting.")
    assert role(heir) == b"master"


def test_the_old_primary_comes_back_as_a_replica(start, tmp_path):
    """Its configuration file says what it is since the handover, so a restart makes no second primary."""
    config = tmp_path / "baton.conf"
    config.write_text("save 3600 1\nrepl-diskless-sync-delay 0\n")
    primary, heir = start("baton", config=config), start("baton", *FAST)
    link(heir, primary)
    primary("SET", "k", "v")
    assert primary.terminate() == 0
    heir("SET", "k", "w")
    primary.start()
    eventually(lambda: follows(primary, heir), "the old primary to follow")
    assert primary("GET", "k") == b"w"
    assert int(heir.info("stats")["sync_full"]) == 0, "it went on where it was"


def test_a_stop_without_a_fit_replica_is_a_plain_stop(start):
    primary, replica = start("baton", *FAST, "--shutdown-timeout", "1"), start("baton", *FAST)
    link(replica, primary)
    hang(replica)
    primary("SET", "k", "v")
    began = time.monotonic()
    assert primary.terminate() == 0
    assert time.monotonic() - began < 30
    assert "Unable to find a replica to perform the auto failover on shutdown." in primary.log()
    go_on(replica)
    eventually(lambda: role(replica) == b"slave", "the replica to stay what it is")


def test_a_node_that_stops_refuses_to_take_over(start):
    """Two neighbours told to stop at once must not hand over to each other."""
    primary, replica = start("baton", *FAST), start("baton", *FAST)
    link(replica, primary)
    ends = [threading.Thread(target=server.terminate) for server in (replica, primary)]
    for end in ends:
        end.start()
    for end in ends:
        end.join(60)
    assert (primary.process.returncode, replica.process.returncode) == (0, 0)
