"""The append-only file at the start: directories of other servers, damaged ones, and none at all. What Baton does with a
damaged file is compared with what Valkey does with a copy of it."""

import re
import shutil
import subprocess

import pytest

import resp
import servers
from conftest import need
from servers import SAMPLE_DATABASES, contents, eventually, fill

ON = ("--appendonly", "yes")
DIRECTORY = "appendonlydir"
STEM = "appendonly.aof"
INCR = f"{STEM}.1.incr.aof"
LISTED = f"file {STEM}.1.base.aof seq 1 type b\nfile {INCR} seq 1 type i\n"


def command(*words):
    return resp.encode(*words)


def write(folder, files, manifest=LISTED):
    """An append-only file's directory with these files and this manifest."""
    (folder / DIRECTORY).mkdir(parents=True)
    for name, content in files.items():
        (folder / DIRECTORY / name).write_bytes(content)
    if manifest is not None:
        (folder / DIRECTORY / f"{STEM}.manifest").write_text(manifest)
    return folder


def rewrite(server):
    done = int(server.info("persistence")["aof_rewrites"])
    server("BGREWRITEAOF")
    eventually(lambda: int(server.info("persistence")["aof_rewrites"]) > done, "a rewrite to begin")
    over = lambda: server.info("persistence")["aof_rewrite_in_progress"] == "0"
    eventually(over, "the rewrite to end")


def copy_of(folder, to):
    shutil.copytree(folder, to, ignore=lambda _, names: [name for name in names if name in ("log", "dump.rdb")])
    return to


@pytest.mark.parametrize("preamble", ["yes", "no"])
@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_the_directory_of_another_server_is_loaded(start, tmp_path, kind, preamble):
    writer = start(kind, *ON, "--aof-use-rdb-preamble", preamble, "--aof-timestamp-enabled", "yes")
    fill(writer)
    writer("FUNCTION", "LOAD", "#!lua name=mine\nredis.register_function('f', function() return 7 end)")
    expected_first = contents(writer, SAMPLE_DATABASES)
    first = copy_of(writer.folder, tmp_path / "first")
    rewrite(writer)
    with writer.connect() as connection:
        connection("SELECT", 1)
        connection("MULTI")
        connection("SET", "in a transaction", 1)
        connection("INCRBY", "in a transaction", 41)
        connection("DEL", "zero")
        connection("EXEC")
    second = copy_of(writer.folder, tmp_path / "second")
    expected = contents(writer, SAMPLE_DATABASES)
    assert writer.terminate() == 0
    for folder, keys in ((first, expected_first), (second, expected)):
        loaded = start("baton", *ON, folder=folder)
        assert loaded("FCALL", "f", 0) == 7
        assert contents(loaded, SAMPLE_DATABASES) == keys


def test_nothing_at_all_begins_with_an_empty_base(start, tmp_path):
    """As Valkey does it: the snapshot file is not looked at."""
    left = {}
    for kind in ("valkey", "baton"):
        writer = start(kind, "--appendonly", "no")
        writer("SET", "in the snapshot", 1)
        writer("SAVE")
        writer.kill()
        folder = tmp_path / kind
        folder.mkdir()
        shutil.copy(writer.folder / "dump.rdb", folder)
        server = start(kind, *ON, folder=folder)
        assert server("DBSIZE") == 0
        names = sorted(path.name for path in (folder / DIRECTORY).iterdir())
        left[kind] = (names, (folder / DIRECTORY / f"{STEM}.manifest").read_text())
        assert f"Creating AOF base file {STEM}.1.base.rdb on server start" in server.log()
        assert f"Creating AOF incr file {INCR} on server start" in server.log()
    assert left["baton"] == left["valkey"]


def test_an_old_file_is_moved_in(start, tmp_path):
    need("redis")
    writer = start("redis", "--appendonly", "no")
    fill(writer)
    expected = contents(writer, SAMPLE_DATABASES)
    writer("SAVE")
    commands = command("SELECT", 1) + command("SET", "behind", "it")
    plain = command("SET", "only", "this")
    for name, old, keys in (("mixed", (writer.folder / "dump.rdb").read_bytes() + commands, len(expected) + 1), ("plain", plain, 1)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / STEM).write_bytes(old)
        server = start("baton", *ON, folder=folder)
        assert len(contents(server, SAMPLE_DATABASES)) == keys
        assert not (folder / STEM).exists()
        assert (folder / DIRECTORY / STEM).read_bytes() == old
        assert (folder / DIRECTORY / f"{STEM}.manifest").read_text() == f"file {STEM} seq 1 type b\nfile {INCR} seq 1 type i\n"
        assert f"Successfully migrated an old-style AOF file ({STEM}) into the AOF directory ({DIRECTORY})." in server.log()


def test_a_move_that_was_begun_is_finished(start, tmp_path):
    folder = write(tmp_path / "data", {}, manifest=f"file {STEM} seq 1 type b\n")
    (folder / STEM).write_bytes(command("SET", "k", "v"))
    server = start("baton", *ON, folder=folder)
    assert server("GET", "k") == b"v"
    server = start("baton", *ON, folder=copy_of(folder, tmp_path / "again"))
    assert server("GET", "k") == b"v"


GOOD = command("SET", "a", "1") + command("SET", "b", "2")
OPEN = command("MULTI") + command("SET", "a", "9")
BASE = {f"{STEM}.1.base.aof": command("SET", "base", "1")}

# A directory, and whether a server starts from it with `aof-load-truncated` on and off.
DAMAGED = {
    "cut command": ({**BASE, INCR: GOOD + command("SET", "c", "3")[:-4]}, LISTED),
    "cut length": ({**BASE, INCR: GOOD + b"*3\r\n$3"}, LISTED),
    "open transaction": ({**BASE, INCR: GOOD + OPEN}, LISTED),
    "cut transaction": ({**BASE, INCR: GOOD + OPEN + command("EXEC")[:-1]}, LISTED),
    "bad format": ({**BASE, INCR: GOOD + b"!" + GOOD}, LISTED),
    "inline": ({**BASE, INCR: GOOD + b"PING\r\n"}, LISTED),
    "unknown command": ({**BASE, INCR: GOOD + command("bla", "foo", "123")}, LISTED),
    "wrong arity": ({**BASE, INCR: GOOD + command("SET", "a")}, LISTED),
    "unknown in a transaction": ({**BASE, INCR: command("MULTI") + command("bla") + command("EXEC")}, LISTED),
    "unknown subcommand": ({**BASE, INCR: command("CLUSTER", "bla")}, LISTED),
    "failing command": ({**BASE, INCR: GOOD + command("LPUSH", "a", "x") + command("INCR", "a")}, LISTED),
    "missing base": ({INCR: GOOD}, LISTED),
    "missing increment": (BASE, LISTED),
    "empty manifest": ({**BASE, INCR: GOOD}, ""),
    "no newline": ({**BASE, INCR: GOOD}, LISTED.rstrip("\n")),
    "second base": ({**BASE, INCR: GOOD}, LISTED + f"file {STEM}.1.base.aof seq 2 type b\n"),
    "falling numbers": ({**BASE, INCR: GOOD}, LISTED + f"file {INCR} seq 1 type i\n"),
    "unknown type": ({**BASE, INCR: GOOD}, LISTED + "file x seq 1 type x\n"),
    "odd words": ({**BASE, INCR: GOOD}, LISTED + f"file {INCR} seq 2 type i newkey\n"),
    "a path": ({**BASE, INCR: GOOD}, LISTED + "file a/b seq 2 type i\n"),
    "further words": ({**BASE, INCR: GOOD}, "# a note\n" + LISTED.replace(" type i", " type i newkey newvalue")),
    "missing history": ({**BASE, INCR: GOOD}, LISTED + "file gone seq 1 type h\n"),
    "no manifest": ({**BASE, INCR: GOOD}, None),
    "empty files": ({f"{STEM}.1.base.aof": b"", INCR: b""}, LISTED),
    "gap in numbers": (
        {**BASE, INCR: GOOD, f"{STEM}.3.incr.aof": command("SET", "c", "3")}, LISTED + f"file {STEM}.3.incr.aof seq 3 type i\n",
    ),
}

STAMP = re.compile(r"^\d+:[A-Z] .*? [.*#-] ")


def told(log):
    """What a server says of its append-only file, without the times."""
    lines = [STAMP.sub("", line) for line in log.splitlines()]
    about = re.compile(r"AOF|append only|truncat|Reading the manifest|>>>|DB loaded|File can't|duplicate base|non-monotonic")
    left_out = re.compile(r"Configuration|has no effect|fsync\(\)|background|^Background|rewrit")
    found = [line for line in lines if about.search(line) and not left_out.search(line)]
    found = [re.sub(r"[\d.]+ seconds", "- seconds", line) for line in found]
    return [line for n, line in enumerate(found) if n == 0 or line != found[n-1]]


def outcome(kind, folder, truncated, request):
    """Starts a server there: what it said, which keys it has (or its exit code), and the log's bytes afterwards."""
    need(kind)
    server = servers.Server(kind, *ON, "--aof-load-truncated", truncated, folder=folder)
    request.addfinalizer(server.kill)
    try:
        server.start()
        keys = contents(server)
        server.kill()
    except RuntimeError:
        keys = server.process.wait(20)
    log = folder / DIRECTORY / INCR
    return told(server.log()), keys, log.read_bytes() if log.exists() else None


@pytest.mark.parametrize("truncated", ["yes", "no"])
@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_met_as_valkey_meets_it(tmp_path, request, case, truncated):
    files, manifest = DAMAGED[case]
    theirs = outcome("valkey", write(tmp_path / "valkey", files, manifest), truncated, request)
    ours = outcome("baton", write(tmp_path / "baton", files, manifest), truncated, request)
    assert ours == theirs


@pytest.mark.parametrize("truncated", ["yes", "no"])
def test_only_the_end_of_the_last_file_is_cut(tmp_path, request, truncated):
    """Valkey cuts the file, too, before it refuses to start; then the next start finds nothing wrong, though data is gone."""
    base = GOOD[:-3]
    folder = write(tmp_path / "data", {f"{STEM}.1.base.aof": base, INCR: GOOD}, LISTED)
    lines, keys, _ = outcome("baton", folder, truncated, request)
    last = {"yes": "Fatal error: the truncated file is not the last file", "no": "Unexpected end of file reading the append only file"}
    assert keys == 1 and lines[-1].startswith(last[truncated])
    assert (folder / DIRECTORY / f"{STEM}.1.base.aof").read_bytes() == base


def test_a_damaged_base_is_refused_and_left_as_it_is(start, tmp_path):
    writer = start("baton", "--appendonly", "no")
    fill(writer)
    writer("SAVE")
    snapshot = (writer.folder / "dump.rdb").read_bytes()
    base = f"{STEM}.1.base.rdb"
    for name, content in (("cut", snapshot[: len(snapshot) // 2]), ("spoilt", snapshot[:-3] + b"xyz")):
        listed = f"file {base} seq 1 type b\n"
        folder = write(tmp_path / name, {base: content}, listed)
        server = servers.Server("baton", *ON, folder=folder)
        try:
            with pytest.raises(RuntimeError):
                server.start()
        finally:
            server.kill()
        assert server.process.returncode == 1
        assert f"Error reading the RDB base file {base}, AOF loading aborted" in server.log()
        assert (folder / DIRECTORY / base).read_bytes() == content


def test_scripts_of_old_files_run(start, tmp_path):
    log = command("EVAL", "redis.call('select', 1); redis.call('set', KEYS[1], ARGV[1]); return redis.call('nosuch')", 1, "k", "v")
    log += command("EVAL", "redis.call('incrby', KEYS[1], 2); redis.call('incrby', KEYS[1], '40')", 1, "n")
    server = start("baton", *ON, folder=write(tmp_path / "data", {**BASE, INCR: log}))
    assert server("GET", "n") == b"42"
    with server.connect() as connection:
        connection("SELECT", 1)
        assert connection("GET", "k") == b"v"


def test_users_and_limits_are_not_asked(start, tmp_path):
    log = command("MULTI") + command("SET", "a", "x" * 100) + command("EXEC") + command("SET", "b", "y")
    folder = write(tmp_path / "data", {**BASE, INCR: log})
    limits = ("--maxmemory", "1", "--min-replicas-to-write", "3", "--user", "default", "on", "nopass", "+ping", "+get", "~*")
    server = start("baton", *ON, *limits, folder=folder)
    assert (server("GET", "a"), server("GET", "b")) == (b"x" * 100, b"y")


def test_annotations_are_passed_over_by_everybody(start, tmp_path):
    """Also those that only Baton writes, in front of, behind and within transactions."""
    note = b"#BATON:0123456789abcdef0123456789abcdef01234567:1234:0\r\n"
    inside = command("MULTI") + b"#TS:1628217470\r\n" + command("SET", "c", "3") + command("EXEC")
    log = b"#TS:1628217470\r\n" + note + command("SET", "a", "1") + note + inside + note + b"# anything\r\n"
    for kind in ("baton", "valkey", "redis"):
        folder = write(tmp_path / kind, {**BASE, INCR: log})
        server = start(kind, *ON, folder=folder)
        assert (server("GET", "a"), server("GET", "c"), server("GET", "base")) == (b"1", b"3", b"1")


def test_a_cut_annotation_costs_nothing(start, tmp_path):
    """Whatever is appended to it would be taken for a part of it."""
    for truncated in ("yes", "no"):
        folder = write(tmp_path / truncated, {**BASE, INCR: GOOD + b"#TS:16282"})
        server = start("baton", *ON, "--aof-load-truncated", truncated, folder=folder)
        assert server("DBSIZE") == 3
        server.kill()
        assert (folder / DIRECTORY / INCR).read_bytes() == GOOD


@pytest.mark.parametrize(
    ("behind", "goes_on"),
    [(b"", True), (command("SET", "c", "3") + b"#B\r\n", True), (command("SET", "c", "3"), False)],
)
def test_a_position_lets_a_replica_go_on(start, tmp_path, behind, goes_on):
    """What the log says to hold of the primary's stream is not asked for again; commands behind that are of the stream if a
    line behind them says so."""
    primary = start("baton", "--repl-ping-replica-period", 3600)
    first = start("baton", "--replicaof", f"127.0.0.1 {primary.port}")
    # What the snapshot brings would not be in the stream, and the next command would have a SELECT before it.
    eventually(lambda: first.info("replication")["master_link_status"] == "up", "the link")
    primary("SET", "a", "1")
    primary("SET", "b", "2")
    # The stream begins with a PING.
    begun = lambda: first("GET", "b") == b"2" and int(primary.info("replication")["master_repl_offset"]) > 0
    eventually(begun, "the replica to follow")
    first.kill()
    # From here on the stream is nothing but commands.
    alone = lambda: primary.info("replication")["connected_slaves"] == "0" and primary.info("replication")
    state = eventually(alone, "the replica to be gone")
    primary("SET", "c", "3")
    primary("SET", "d", "4")
    log = command("SELECT", 0) + GOOD
    position = f"#BATON:{state['master_replid']}:{state['master_repl_offset']}:0\r\n".encode()
    folder = write(tmp_path / "data", {**BASE, INCR: log + position + behind})
    before = primary.info("stats")
    replica = start("baton", *ON, "--replicaof", f"127.0.0.1 {primary.port}", folder=folder)
    eventually(lambda: replica("MGET", "c", "d") == [b"3", b"4"], "the replica to catch up")
    after = primary.info("stats")
    grown = [int(after[name]) - int(before[name]) for name in ("sync_partial_ok", "sync_full")]
    assert grown == ([1, 0] if goes_on else [0, 1])
    # With a full synchronisation the base's key is gone.
    assert replica("EXISTS", "base") == (1 if goes_on else 0)


def test_a_primary_serves_a_partial_resync_of_what_it_loaded(start, tmp_path):
    primary = start("baton")
    replica = start("baton", "--replicaof", f"127.0.0.1 {primary.port}")
    primary("SET", "a", "1")
    primary("SET", "b", "2")
    eventually(lambda: replica("GET", "b") == b"2", "the replica to follow")
    state = primary.info("replication")
    primary.kill()
    position = f"#BATON:{state['master_replid']}:{state['master_repl_offset']}\r\n".encode()
    folder = write(tmp_path / "data", {**BASE, INCR: command("SELECT", 0) + GOOD + position})
    again = servers.Server("baton", *ON, folder=folder)
    again.port = primary.port
    try:
        again.start()
        eventually(lambda: again.info("stats")["sync_partial_ok"] == "1", "a partial resynchronisation")
        assert again.info("stats")["sync_full"] == "0"
        assert again.info("replication")["master_replid2"] == state["master_replid"]
    finally:
        again.kill()


@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_what_another_server_appended_is_not_the_stream(start, kind):
    """It goes on in the same file, and offsets of the stream can't be counted over its commands."""
    primary = start("baton")
    following = (*ON, "--replicaof", f"127.0.0.1 {primary.port}")
    replica = start("baton", *following)
    primary("SET", "a", "1")
    eventually(lambda: replica("GET", "a") == b"1", "the replica to follow")
    log = lambda: replica.info("persistence")
    begun = lambda: (log()["aof_rewrites"], log()["aof_rewrite_in_progress"]) == ("1", "0")
    eventually(begun, "its log to begin with what it got")
    primary("SET", "b", "2")
    eventually(lambda: replica("GET", "b") == b"2", "the replica to follow")
    assert replica.terminate() == 0
    other = start(kind, *ON, folder=replica.folder)
    for number in range(20):
        other("SET", f"theirs {number}", "x" * number)
    assert other.terminate() == 0
    for number in range(100):
        primary("SET", f"ours {number}", "y" * 100)
    full = int(primary.info("stats")["sync_full"])
    again = start("baton", *following, folder=replica.folder)
    eventually(lambda: again("GET", "ours 99") == b"y" * 100, "the replica to catch up")
    assert contents(again) == contents(primary)
    after = primary.info("stats")
    # An offset that is counted wrong is granted, too, and the stream begins in the middle of a command.
    assert (int(after["sync_full"]), after["sync_partial_ok"]) == (full + 1, "0")


def test_it_is_loaded_again_on_demand(start, tmp_path):
    log = GOOD + command("FUNCTION", "LOAD", "#!lua name=mine\nredis.register_function('f', function() return 7 end)")
    server = start("baton", *ON, "--enable-debug-command", "yes", folder=write(tmp_path / "data", {**BASE, INCR: log}))
    before = contents(server)
    assert server("DEBUG", "LOADAOF") == b"OK"
    assert contents(server) == before
    assert server("FCALL", "f", 0) == 7


def test_a_node_of_a_cluster_loads_its_log(start, tmp_path):
    folder = write(tmp_path / "data", {**BASE, INCR: GOOD + command("CLUSTER", "SLOTS") + command("MSET", "{x}1", "a", "y", "b")})
    server = start("baton", *ON, "--cluster-enabled", "yes", folder=folder)
    assert server("DBSIZE") == 5
    slots = server("CLUSTER", "COUNTKEYSINSLOT", server("CLUSTER", "KEYSLOT", "y"))
    assert slots == 1


def test_the_program_ends_with_one_where_the_directory_is_a_file(tmp_path):
    need("baton")
    (tmp_path / DIRECTORY).write_bytes(b"")
    command_line = [*servers.program("baton"), "--port", str(servers.free_port()), "--dir", str(tmp_path), *ON]
    ended = subprocess.run(command_line, capture_output=True, timeout=20, check=False, text=True)
    assert ended.returncode == 1
    assert f"Can't open or create append-only dir {DIRECTORY}: " in ended.stdout
