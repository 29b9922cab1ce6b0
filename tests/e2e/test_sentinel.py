"""Real Sentinels watch Baton nodes: a crash, a failover that is asked for, and what nodes remember over restarts."""

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
import resp

from servers import Server, contents, eventually, program
from test_failover import Client, follows, link, role

NAME = "mymaster"
FAST = ["--repl-diskless-sync-delay", "0"]


class Sentinel(Server):
    """One Sentinel of Redis or Valkey."""

    def __init__(self, kind):
        super().__init__(kind)
        self.config = self.folder / "sentinel.conf"
        self.config.write_text(f"port {self.port}\ndir {self.folder}\nbind 127.0.0.1\n")

    @staticmethod
    def command(kind):
        if kind == "redis":
            server = program("redis")
            return server and [*server, "{config}", "--sentinel"]
        path = os.environ.get("VALKEY_SENTINEL") or shutil.which("valkey-sentinel")
        return [path, "{config}"] if path else None

    def start(self):
        command = [word.format(config=self.config) for word in Sentinel.command(self.kind)]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(self._answers, f"the sentinel {self} to start", 30)
        return self

    def hasten(self):
        """Looks at nodes more often than usual, so that tests don't have to wait for it."""
        periods = ("info-period", 300, "ping-period", 100, "ask-period", 100, "publish-period", 200)
        self("SENTINEL", "DEBUG", *periods)

    def watch(self, primary, down_after_ms=1000):
        self.hasten()
        self("SENTINEL", "MONITOR", NAME, "127.0.0.1", primary.port, 1)
        self("SENTINEL", "SET", NAME, "down-after-milliseconds", down_after_ms, "failover-timeout", 10000)

    def primary_port(self):
        return int(self("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)[1])

    def master(self):
        flat = self("SENTINEL", "MASTER", NAME)
        return dict(zip(flat[::2], flat[1::2]))

    def replica_flags(self):
        found = []
        for flat in self("SENTINEL", "REPLICAS", NAME):
            about = dict(zip(flat[::2], flat[1::2]))
            found.append((about[b"flags"], about[b"master-link-status"]))
        return found


@pytest.fixture
def sentinel(request):
    started = []

    def starter(kind):
        if Sentinel.command(kind) is None:
            pytest.skip(f"needs a Sentinel of {kind}: put it on the PATH or set {kind.upper()}_SENTINEL")
        one = Sentinel(kind)
        started.append(one)
        return one.start()

    yield starter
    report = getattr(request.node, "report_of_call", None)
    for one in started:
        if report is not None and report.failed:
            print(f"\n--- end of the log of {one}\n{one.log()[-4000:]}")
        one.remove()


@pytest.fixture
def trio(start, tmp_path):
    """A primary and two replicas with configuration files, as Sentinel wants to rewrite them."""
    servers = []
    for number in range(3):
        config = tmp_path / f"{number}.conf"
        config.write_text("save \"\"\nrepl-diskless-sync-delay 0\n")
        servers.append(start("baton", config=config))
    for replica in servers[1:]:
        link(replica, servers[0])
    servers[0]("SET", "before", "1")
    return servers


def sees_both(sentinel):
    return lambda: sentinel.replica_flags() == [(b"slave", b"ok")] * 2


class Listener(threading.Thread):
    """Collects what a Sentinel says of a failover."""

    def __init__(self, sentinel):
        super().__init__(daemon=True)
        self.connection = sentinel.connect(60)
        self.connection("SUBSCRIBE", "+switch-master")
        self.heard = []

    def run(self):
        try:
            while True:
                self.heard.append(self.connection.read()[2].decode())
        except (OSError, resp.Closed, ValueError, TypeError):
            return


def settled(sentinel, servers):
    """The primary that Sentinel names, once all others that live follow it."""
    port = sentinel.primary_port()
    primary = next(s for s in servers if s.port == port)
    others = [s for s in servers if s is not primary and s.process.poll() is None]
    if role(primary) == b"master" and all(follows(other, primary) for other in others):
        return primary
    return None


@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_a_crash_is_followed_by_a_failover(trio, sentinel, kind):
    watcher = sentinel(kind)
    watcher.watch(trio[0])
    eventually(sees_both(watcher), "the replicas to be found", 30)
    listener = Listener(watcher)
    listener.start()
    old = trio[0]
    old.kill()
    eventually(lambda: watcher.primary_port() != old.port, "another primary", 60)
    new = eventually(lambda: settled(watcher, trio), "the survivors to agree", 60)
    said = f"{NAME} 127.0.0.1 {old.port} 127.0.0.1 {new.port}"
    eventually(lambda: listener.heard == [said], "Sentinel to say so", 60)
    assert new("GET", "before") == b"1"
    new("SET", "after", "1")
    # The old primary comes back as it went, and is made a replica; its file remembers that.
    old.start()
    eventually(lambda: follows(old, new), "the old primary to be turned", 60)
    eventually(lambda: f"replicaof 127.0.0.1 {new.port}" in Path(old.config).read_text(), "its file to say so")
    eventually(lambda: contents(old) == contents(new), "it to be in step")
    assert "replicaof" not in Path(new.config).read_text()


@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_a_failover_that_is_asked_for(trio, sentinel, kind):
    watcher = sentinel(kind)
    watcher.watch(trio[0], 5000)
    eventually(sees_both(watcher), "the replicas to be found", 30)
    assert watcher("SENTINEL", "FAILOVER", NAME) == b"OK"
    eventually(lambda: watcher.primary_port() != trio[0].port, "another primary", 60)
    new = eventually(lambda: settled(watcher, trio), "all to agree", 60)
    for server in trio:
        shown = server("CONFIG", "GET", "replicaof")[1]
        assert shown == (b"" if server is new else b"127.0.0.1 %d" % new.port)
    # Roles survive a restart of everybody.
    for server in trio:
        server.restart()
    eventually(lambda: settled(watcher, trio) is new, "everybody to be what it was", 60)


def test_a_coordinated_failover(trio, sentinel):
    """Valkey's: Sentinel has the primary hand over, and clients that can be redirected notice nothing."""
    watcher = sentinel("valkey")
    watcher.watch(trio[0], 5000)
    eventually(sees_both(watcher), "the replicas to be found", 30)
    client = Client(1, trio[0].port)
    client.start()
    eventually(lambda: client.value > 50, "writes")
    full = [int(s.info("stats")["sync_full"]) for s in trio]
    assert watcher("SENTINEL", "FAILOVER", NAME, "COORDINATED") == b"OK"
    eventually(lambda: watcher.primary_port() != trio[0].port, "another primary", 60)
    new = eventually(lambda: settled(watcher, trio), "all to agree", 60)
    assert "Handed over to" in trio[0].log()
    # Sentinel kills the connections of both in the end, as it does after any failover.
    client.end()
    client.join(30)
    assert client.trouble is None or "Closed" in client.trouble or "Broken" in client.trouble or "reset" in client.trouble
    assert int(new("GET", client.key)) >= client.value, "nothing is lost"
    assert sum(int(s.info("stats")["sync_full"]) for s in trio) == sum(full)
    eventually(lambda: trio[0].info("clients")["paused_reason"] == "none", "the pause to be over")


def test_a_stuck_failover_is_ended_by_sentinel(trio, sentinel):
    """As in Valkey's own tests: the target hangs, so Sentinel elects another one and reconfigures the old primary."""
    
    watcher = sentinel("valkey")
    watcher.watch(trio[0], 2000)
    eventually(sees_both(watcher), "the replicas to be found", 30)
    trio[1].stop()
    trio[0]("SET", "k", "v")
    trio[0]("FAILOVER", "TO", "127.0.0.1", trio[1].port, "TIMEOUT", "10", "FORCE")
    eventually(lambda: trio[0].info("replication")["master_failover_state"] == "no-failover", "it to end", 60)
    trio[1].go_on()
    eventually(lambda: settled(watcher, trio), "all to agree", 60)


@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_a_planned_stop_of_a_pair_hands_over(start, sentinel, kind, tmp_path):
    """There is one replica to choose, so the handover comes first and Sentinel agrees with it later."""
    config = tmp_path / "old.conf"
    config.write_text("save \"\"\nrepl-diskless-sync-delay 0\n")
    old, new = start("baton", config=config), start("baton", *FAST)
    link(new, old)
    watcher = sentinel(kind)
    watcher.watch(old)
    eventually(lambda: watcher.replica_flags() == [(b"slave", b"ok")], "the replica to be found", 30)
    assert old.terminate() == 0
    assert role(new) == b"master"
    new("SET", "at", "once")
    eventually(lambda: watcher.primary_port() == new.port, "Sentinel to agree", 60)
    assert new("GET", "at") == b"once"
    old.start()
    eventually(lambda: follows(old, new), "the old primary to be a replica", 60)


def test_a_planned_stop_with_several_replicas_is_left_to_sentinel(trio, sentinel):
    """Sentinel would choose among them by itself, and what another one acknowledged meanwhile would be lost."""
    watcher = sentinel("valkey")
    watcher.watch(trio[0])
    eventually(sees_both(watcher), "the replicas to be found", 30)
    trio[0]("SET", "last", "1")
    assert trio[0].terminate() == 0
    assert "Sentinel watches this node" in trio[0].log()
    eventually(lambda: watcher.primary_port() != trio[0].port, "another primary", 60)
    new = eventually(lambda: settled(watcher, trio), "the others to agree", 60)
    assert new("GET", "last") == b"1", "both replicas had everything when it stopped"
