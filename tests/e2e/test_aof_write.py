"""The append-only file as it is written: what survives a process that is killed, rewrites beside writers, files of other
servers and for them, and what a node that comes back from it has to ask its primary for."""

import itertools
import resource
import signal
import subprocess
import threading
import time

import pytest
import resp
import servers
from servers import eventually
from test_cluster import _accepts, make_cluster  # noqa: F401

ON = ("--appendonly", "yes")


def incr(server):
    """The bytes of the increment that is written."""
    return max(server.folder.glob("appendonlydir/*.incr.aof"), key=lambda p: int(p.name.split(".")[-3])).read_bytes()


def rewrite(server):
    """A rewrite from its beginning to its end."""
    done = int(server.info()["aof_rewrites"])
    assert server("BGREWRITEAOF").startswith(b"Background append only file rewriting")
    over = lambda i: int(i["aof_rewrites"]) > done and i["aof_rewrite_in_progress"] == "0"
    eventually(lambda: over(server.info()), "the rewrite to be over")
    assert server.info()["aof_last_bgrewrite_status"] == "ok"


def values(server):
    """Every value: times to live shrink while one looks."""
    return {key: value for key, (value, _) in servers.contents(server, servers.SAMPLE_DATABASES).items()}


class Writers:
    """Connections that count upwards, each in keys of its own, and remember what they were told."""

    def __init__(self, server, count=4, keys=None):
        self.server, self.keys = server, keys
        count = len(keys) if keys else count
        self.done = [0] * count
        self.stopped = False
        self.threads = [threading.Thread(target=self.work, args=(i,)) for i in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopped = True
        for thread in self.threads:
            thread.join()

    def work(self, i):
        try:
            with self.server.connect() as connection:
                for number in itertools.count(1):
                    if self.stopped:
                        return
                    if self.keys:
                        connection("SET", self.keys[i], number)
                    else:
                        connection("SET", f"writer:{i}:{number % 100}", number)
                        connection("INCR", f"count:{i}")
                    self.done[i] = number
        except Exception:  # The server was killed; what was told before counts.
            return

    def check(self, server):
        """Everything that was answered is there, and at most one more of each writer."""
        for i, told in enumerate(self.done):
            assert told > 0
            assert int(server("GET", f"count:{i}")) in (told, told + 1)
            assert int(server("GET", f"writer:{i}:{told % 100}")) == told


@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
def test_what_was_answered_survives_the_process(start, policy):
    baton = start("baton", *ON, "--appendfsync", policy)
    with Writers(baton) as writers:
        eventually(lambda: min(writers.done) > 200, "some writes")
        if policy != "always":
            # While the file is being synced, answers don't wait for it.
            writers.stop()
            eventually(lambda: baton.info()["aof_buffer_length"] == "0", "everything to be written")
        baton.send_signal(signal.SIGKILL)
        baton.process.wait()
    baton.start()
    writers.check(baton)


@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_a_rewrite_beside_writers_loses_nothing(start, policy):
    baton = start("baton", *ON, "--appendfsync", policy)
    servers.fill(baton)
    with Writers(baton) as writers:
        for _ in range(4):
            rewrite(baton)
        eventually(lambda: min(writers.done) > 200, "some writes")
    before = values(baton)
    assert len(list(baton.folder.glob("appendonlydir/*"))) == 3, "a base, an increment and the manifest"
    assert not list(baton.folder.glob("temp-*"))
    baton.restart()
    assert values(baton) == before
    writers.check(baton)


def test_a_process_killed_in_the_midst_of_rewrites_loses_nothing(start):
    baton = start("baton", *ON, "--appendfsync", "always", "--rdb-key-save-delay", 300)
    for number in range(300):
        baton("SET", f"key:{number}", number)
    for moment in (0, 0.005, 0.02, 0.06, 0.12):
        with Writers(baton) as writers:
            eventually(lambda: min(writers.done) > 20, "some writes")
            baton("BGREWRITEAOF")
            time.sleep(moment)
            baton.send_signal(signal.SIGKILL)
            baton.process.wait()
        baton.start()
        writers.check(baton)
        assert baton("GET", "key:299") == b"299"
        baton("DEL", *(f"count:{i}" for i in range(4)))


def test_the_log_of_writes_is_what_valkey_would_write(start):
    baton, valkey = start("baton", *ON), start("valkey", *ON)
    for server in (baton, valkey):
        with server.connect() as connection:
            for line in ("set a 1", "incr a", "select 3", "lpush l x y", "multi", "set b 2", "set c 3", "exec", "publish ch m",
                         "expire b 0", "eval return(redis.call('set',KEYS[1],'v')) 1 k"):
                connection(*line.split())
    lines = incr(baton).split(b"\r\n")
    assert [line for line in lines if not line.startswith(b"#BATON:")] == incr(valkey).split(b"\r\n")


@pytest.mark.parametrize("peer", ["valkey", "redis"])
def test_files_go_from_one_server_to_another_and_back(start, peer):
    baton = start("baton", *ON)
    servers.fill(baton)
    # Notes of where the stream is stand between the commands.
    other = start("baton", *ON, "--replicaof", f"127.0.0.1 {baton.port}")
    eventually(other.is_linked, "the link")
    rewrite(baton)
    baton("SET", "behind", "the base")
    assert baton("WAIT", 1, 5000) == 1
    baton("SET", "last", "command")
    eventually(lambda: b"#BATON:" in incr(baton), "a note")
    expected = values(baton)
    baton.terminate()
    theirs = start(peer, *ON, folder=baton.folder)
    assert values(theirs) == expected
    theirs("SET", "by", peer)
    theirs("RPUSH", "list:of:theirs", 1, 2, 3)
    rewritten = int(theirs.info()["aof_base_size"])
    theirs("BGREWRITEAOF")
    eventually(lambda: theirs.info()["aof_rewrite_in_progress"] == "0" and rewritten, "their rewrite")
    theirs("SET", "after", "their rewrite")
    expected = values(theirs)
    theirs.terminate()
    again = start("baton", *ON, folder=baton.folder)
    assert values(again) == expected
    again("SET", "written", "on")
    again.restart()
    assert again("GET", "written") == b"on"


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_a_replica_goes_on_where_its_log_ends(start, how):
    primary = start("baton")
    replica = start("baton", *ON, "--appendfsync", "always", "--replicaof", f"127.0.0.1 {primary.port}")
    eventually(replica.is_linked, "the link")
    with primary.connect() as connection:
        connection("SELECT", 5)
        for number in range(100):
            connection("SET", f"key:{number}", number)
        connection("PUBLISH", "channel", "only told")
        # With the stream's database selected long ago.
        connection("SET", "last", "one")
        assert connection("WAITAOF", 0, 1, 10000) == [0, 1]
        replica.kill() if how == "killed" else replica.terminate()
        connection("SET", "meanwhile", "written")
    full = int(primary.info()["sync_full"])
    replica.start()
    eventually(replica.is_linked, "the link")
    assert int(primary.info()["sync_full"]) == full, "it had everything but a little"
    for server in (primary, replica):
        with server.connect() as connection:
            connection("SELECT", 5)
            assert connection("DBSIZE") == 102
            assert connection("GET", "meanwhile") == b"written"
    # What came behind the restart is in the right database of the log.
    primary("WAIT", 1, 5000)
    replica.restart()
    eventually(replica.is_linked, "the link")
    assert servers.contents(replica, 16) == servers.contents(primary, 16)
    assert int(primary.info()["sync_full"]) == full


def test_a_replica_of_a_killed_primary_goes_on_with_it(start):
    primary = start("baton", *ON, "--appendfsync", "always")
    replica = start("baton", "--replicaof", f"127.0.0.1 {primary.port}")
    eventually(replica.is_linked, "the link")
    for number in range(50):
        primary("SET", f"key:{number}", number)
    assert primary("WAIT", 1, 5000) == 1
    synced = lambda: primary.info()["master_repl_offset"] == replica.info()["master_repl_offset"]
    eventually(synced, "the same offset")
    assert primary("WAITAOF", 1, 0, 5000)[0] == 1
    primary.kill()
    primary.start()
    eventually(replica.is_linked, "the link")
    assert primary.info()["sync_full"] == "0", "the offset was written"
    assert servers.contents(replica) == servers.contents(primary)


def test_switching_it_on_and_off(start):
    baton = start("baton")
    servers.fill(baton)
    with Writers(baton) as writers:
        eventually(lambda: min(writers.done) > 20, "some writes")
        assert baton("CONFIG", "SET", "appendonly", "yes", "appendfsync", "always") == b"OK"
        assert baton("WAITAOF", 1, 0, 10000) == [1, 0]
        eventually(lambda: baton.info()["aof_rewrite_in_progress"] == "0", "the first base")
        told = min(writers.done)
        eventually(lambda: min(writers.done) > told + 20, "more writes")
    before = values(baton)
    baton.kill()
    again = start("baton", *ON, folder=baton.folder)
    assert values(again) == before
    writers.check(again)
    again("CONFIG", "SET", "appendonly", "no")
    again("SET", "not", "logged")
    assert b"logged" not in incr(again)
    assert again.info()["aof_enabled"] == "0"
    with pytest.raises(servers.resp.ErrorReply, match="appendonly is disabled"):
        again("WAITAOF", 1, 0, 10)


def test_a_full_disk_is_told_and_gets_better(start):
    baton = start("baton", *ON, "--appendfsync", "everysec")
    baton("SET", "before", 1)
    limit = len(incr(baton)) + 10
    resource.prlimit(baton.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    baton("SET", "too", "x" * 100)
    with pytest.raises(servers.resp.ErrorReply, match="MISCONF Errors writing to the AOF file"):
        baton("SET", "refused", 1)
    assert baton.info("persistence")["aof_last_write_status"] == "err"
    assert baton("GET", "too") == b"x" * 100
    resource.prlimit(baton.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    eventually(lambda: baton.info("persistence")["aof_last_write_status"] == "ok", "the disk to be used again")
    assert baton("SET", "after", 1) == b"OK"
    assert "AOF write error looks solved" in baton.log()
    baton.restart()
    assert baton("MGET", "before", "too", "after") == [b"1", b"x" * 100, b"1"]


def test_with_always_a_full_disk_ends_the_process(start):
    baton = start("baton", *ON, "--appendfsync", "always")
    baton("SET", "before", 1)
    limit = len(incr(baton)) + 10
    resource.prlimit(baton.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    with pytest.raises((OSError, servers.resp.Closed)):
        baton("SET", "unanswered", "x" * 100)
    assert baton.process.wait(20) == 1
    baton.start()
    assert baton("GET", "before") == b"1"


def test_growth_is_rewritten_away(start):
    baton = start("baton", *ON, "--auto-aof-rewrite-min-size", "50kb")
    with baton.connect() as connection:
        for number in range(3000):
            connection("SET", "key", f"{number:0100}")
    eventually(lambda: int(baton.info()["aof_rewrites"]) > 0, "a rewrite")
    eventually(lambda: baton.info()["aof_rewrite_in_progress"] == "0", "its end")
    assert "Starting automatic rewriting of AOF on" in baton.log()
    assert baton("GET", "key") == f"{2999:0100}".encode()


@pytest.mark.parametrize("kind", ["baton", "valkey"])
def test_superseded_files_go_as_soon_as_they_need_not_be_kept(start, kind):
    server = start(kind, *ON, "--aof-disable-auto-gc", "yes")
    files = lambda: sorted(path.name.removeprefix("appendonly.aof.") for path in server.folder.glob("appendonlydir/*"))
    listed = lambda: [line.split()[5] for line in (server.folder / "appendonlydir/appendonly.aof.manifest").read_text().splitlines()]
    rewrite(server)
    rewrite(server)
    assert files() == ["1.base.rdb", "1.incr.aof", "2.base.rdb", "2.incr.aof", "3.base.rdb", "3.incr.aof", "manifest"]
    assert listed() == ["b", "h", "h", "h", "h", "i"]
    assert server("CONFIG", "SET", "aof-disable-auto-gc", "no") == b"OK"
    assert listed() == ["b", "i"]
    eventually(lambda: files() == ["3.base.rdb", "3.incr.aof", "manifest"], "the files to go")


def test_a_server_without_a_base_does_not_end(start):
    baton = start("baton", "--rdb-key-save-delay", 1_000_000)
    for number in range(50):
        baton("SET", f"key:{number}", number)
    baton("CONFIG", "SET", "appendonly", "yes")
    with pytest.raises(servers.resp.ErrorReply):
        baton("SHUTDOWN")
    lines = baton.log()
    assert "Writing initial AOF, can't exit." in lines
    assert lines.count("Errors trying to shut down the server. Check the logs for more information.") == 1
    assert "Error trying to save the DB" not in lines
    baton("CONFIG", "SET", "rdb-key-save-delay", 0)
    eventually(lambda: baton.info()["aof_rewrite_in_progress"] == "0", "the first base")
    assert baton.terminate() == 0


def test_a_primary_that_hands_over_comes_back_with_a_partial_resynchronisation(start):
    old = start("baton", *ON)
    new = start("baton", *ON, "--appendfsync", "always", "--replicaof", f"127.0.0.1 {old.port}")
    eventually(new.is_linked, "the link")
    for number in range(100):
        old("SET", f"key:{number}", number)
    assert old.terminate() == 0
    new.flags = [*ON, "--appendfsync", "always"]
    assert new("SET", "written", "here") == b"OK"
    old.flags += ["--replicaof", f"127.0.0.1 {new.port}"]
    old.start()
    eventually(old.is_linked, "the link")
    assert new.info()["sync_full"] == "0", "the log says where the old primary stopped"
    assert servers.contents(old) == servers.contents(new)
    # Both names of the history are in the files by now; so they are after a kill.
    for server in (new, old):
        assert new("SET", f"before {server.port}", 1) == b"OK"
        assert new("WAITAOF", 1, 1, 10000) == [1, 1]
        server.restart()
        eventually(old.is_linked, "the link")
        assert servers.contents(old) == servers.contents(new)


def test_a_killed_primary_of_a_cluster_follows_its_successor(make_cluster):  # noqa: F811
    cluster = make_cluster(*["baton"] * 6, settings=(*ON, "--appendfsync", "always"))
    old = next(node for node in cluster.nodes if cluster.is_primary(node) and _accepts(node, "foo"))
    with Writers(old, keys=("foo",)) as writers:
        eventually(lambda: writers.done[0] > 50, "some writes")
        eventually(lambda: old("WAIT", 1, 1000) == 1, "the replica to be there")
        writers.stop()
    told = writers.done[0]
    assert old("WAIT", 1, 5000) == 1
    before = {node.port for node in cluster.nodes if cluster.is_primary(node)}
    heirs = lambda: [n for n in cluster.alive() if n.port not in before and cluster.is_primary(n)]
    old.kill()
    new = eventually(heirs, "a successor")[0]
    eventually(lambda: int(new("GET", "foo")) == told, "the cluster to be whole")
    assert new("SET", "foo", "of the successor") == b"OK"
    full = int(new.info()["sync_full"])
    old.start()
    eventually(old.is_linked, "the old primary to follow")
    assert int(new.info()["sync_full"]) == full, "what it had is a part of its successor's history"
    with old.connect() as connection:
        connection("READONLY")
        eventually(lambda: connection("GET", "foo") == b"of the successor", "the write")


@pytest.mark.parametrize("kind", ["baton", "valkey"])
def test_it_is_not_switched_while_a_snapshot_is_loaded(start, kind):
    """What the load ends with depends on it. The directive can be set as soon as the load is over."""
    primary = start(kind, "--repl-diskless-sync-delay", 0)
    with primary.connect() as connection:
        for n in range(3000):
            connection("SET", f"key {n}", n)
    # Only a test's load is slow enough to look at.
    slow = ("--key-load-delay", 1000, "--repl-diskless-load", "swapdb", "--loading-process-events-interval-bytes", 1024)
    replica = start(kind, *slow)
    replica("REPLICAOF", "127.0.0.1", primary.port)
    loads = lambda: (info := replica.info("persistence"))["loading"] == "1" or info["async_loading"] == "1"
    eventually(loads, "the load to begin")
    for directive, value in (("appendonly", "yes"), ("appendonly", "no"), ("repl-diskless-load", "disabled")):
        with pytest.raises(resp.ErrorReply, match="^LOADING"):
            replica("CONFIG", "SET", "maxmemory-samples", 7, directive, value)
    assert replica("CONFIG", "GET", "maxmemory-samples") == [b"maxmemory-samples", b"5"]
    assert replica("CONFIG", "SET", "maxmemory-samples", 7) == b"OK"
    assert loads(), "it was loading all the while"
    replica("CONFIG", "SET", "key-load-delay", 0)
    eventually(lambda: not loads(), "the load to end")
    assert replica("CONFIG", "SET", "appendonly", "yes") == b"OK"
    eventually(lambda: replica.info()["aof_rewrite_in_progress"] == "0" and replica.info()["aof_rewrites"] == "1", "its first base")
    assert replica("DBSIZE") == 3000


def test_slow_writes_and_syncs_are_events_of_latency(start):
    """By upstream's names: each slow write counts twice, the second time by what went on beside it."""
    baton = start("baton", *ON, "--appendfsync", "no", "--enable-debug-command", "yes", "--latency-monitor-threshold", 10)
    events = lambda: {event[0].decode(): event[2] for event in baton("LATENCY", "LATEST") if event[0].startswith(b"aof")}
    baton("DEBUG", "AOF-FLUSH-SLEEP", 20_000)
    baton("SET", "k", 1)
    assert set(events()) == {"aof-write", "aof-write-alone"} and min(events().values()) >= 20
    assert b"append-only file are slow" in baton("LATENCY", "DOCTOR")
    baton("CONFIG", "SET", "rdb-key-save-delay", 1_000_000)
    baton("BGREWRITEAOF")
    eventually(lambda: baton.info()["aof_rewrite_in_progress"] == "1", "a rewrite to begin")
    baton("LATENCY", "RESET")
    baton("SET", "k", 2)
    assert "aof-write-active-child" in events()
    baton("CONFIG", "SET", "rdb-key-save-delay", 0, "latency-monitor-threshold", 0)
    eventually(lambda: baton.info()["aof_rewrite_in_progress"] == "0", "the rewrite to end")
    baton("LATENCY", "RESET")
    baton("SET", "k", 3)
    assert events() == {}, "nothing is measured unless it is asked for"


def test_a_sync_that_replies_wait_for_is_an_event_of_latency(start):
    baton = start("baton", *ON, "--appendfsync", "always", "--latency-monitor-threshold", 1)
    kind = subprocess.run(["stat", "-f", "-c", "%T", baton.folder], capture_output=True, text=True, check=True).stdout.strip()
    if kind in ("tmpfs", "ramfs"):
        pytest.skip("a file system in memory syncs at once")
    # More than any disk takes in a millisecond.
    baton("SET", "large", bytes(64 << 20))
    names = [event[0] for event in baton("LATENCY", "LATEST")]
    assert b"aof-fsync-always" in names and b"aof-write" in names
