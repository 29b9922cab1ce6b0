"""CONFIG GET, SET and REWRITE, and the same file read again."""

import pytest

from resp import ErrorReply
from test_replication import attach, in_step


def get(server, pattern):
    flat = server("CONFIG", "GET", pattern)
    return {flat[i].decode(): flat[i + 1].decode() for i in range(0, len(flat), 2)}


def test_get_by_name_and_pattern(baton):
    assert get(baton, "port") == {"port": str(baton.port)}
    assert get(baton, "PORT") == {"PORT": str(baton.port)}
    assert get(baton, "no-such-parameter") == {}
    found = get(baton, "repl-*size")
    assert "repl-backlog-size" in found
    assert get(baton, "*").keys() >= {"dir", "save", "maxmemory", "appendonly", "cluster-enabled", "replica-priority"}


def test_set_several_at_once_or_none(start):
    server = start("baton")
    assert server("CONFIG", "SET", "maxmemory", "100mb", "timeout", "300") == b"OK"
    assert get(server, "maxmemory") == {"maxmemory": str(100 * 1024 * 1024)}
    with pytest.raises(Exception, match=r"CONFIG SET failed \(possibly related to argument 'timeout'\)"):
        server("CONFIG", "SET", "maxmemory", "200mb", "timeout", "never")
    assert get(server, "maxmemory") == {"maxmemory": str(100 * 1024 * 1024)}
    assert get(server, "timeout") == {"timeout": "300"}


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("no-such-parameter", "1", "Unknown option or number of arguments for CONFIG SET - 'no-such-parameter'"),
        ("port", "99999", "argument must be between 0 and 65535 inclusive"),
        ("appendonly", "maybe", "argument must be 'yes' or 'no'"),
        ("maxmemory", "much", "argument must be a memory value"),
        ("cluster-enabled", "yes", "can't set immutable config"),
    ],
)
def test_wrong_settings_are_explained(baton, name, value, error):
    with pytest.raises(Exception, match=error):
        baton("CONFIG", "SET", name, value)


def test_rewrite_keeps_the_file_and_what_was_set(start, tmp_path):
    config = tmp_path / "baton.conf"
    config.write_text("# Why this port: see the runbook.\ntimeout 100\n\n# No snapshots here.\nsave \"\"\nmaxmemory 50mb\n")
    server = start("baton", config=config)
    assert get(server, "timeout") == {"timeout": "100"}
    server("CONFIG", "SET", "timeout", "200", "repl-backlog-size", "2mb", "requirepass", 'a "b" c')
    with server.connect() as connection:
        connection("AUTH", 'a "b" c')
        assert connection("CONFIG", "REWRITE") == b"OK"
    text = config.read_text()
    assert "# Why this port: see the runbook.\ntimeout 200\n" in text
    assert "# No snapshots here.\nsave \"\"\n" in text
    assert "timeout 100" not in text
    server.kill()
    again = start("baton", config=config)
    with again.connect() as connection:
        connection("AUTH", 'a "b" c')
        for name, value in [("timeout", b"200"), ("repl-backlog-size", b"2097152"), ("maxmemory", b"52428800"), ("save", b"")]:
            assert connection("CONFIG", "GET", name) == [name.encode(), value]
        connection("CONFIG", "REWRITE")
    assert config.read_text().count("timeout") == text.count("timeout")


def test_rewrite_without_a_file_says_so(baton):
    with pytest.raises(Exception, match="The server is running without a config file"):
        baton("CONFIG", "REWRITE")


def test_rewrite_remembers_the_primary(start, tmp_path):
    primary = start("baton")
    config = tmp_path / "baton.conf"
    config.write_text("save \"\"\n")
    replica = start("baton", config=config)
    replica("REPLICAOF", "127.0.0.1", primary.port)
    replica("CONFIG", "REWRITE")
    assert f"replicaof 127.0.0.1 {primary.port}" in config.read_text()
    replica("REPLICAOF", "NO", "ONE")
    replica("CONFIG", "REWRITE")
    assert "replicaof" not in config.read_text()


def written(folder, text):
    path = folder / "server.conf"
    path.write_text(text)
    return path


def test_a_renamed_command_goes_by_its_new_name_only(start, tmp_path):
    text = 'rename-command flushdb badger\nrename-command debug ""\nenable-debug-command yes\n'
    server = start("baton", config=written(tmp_path, text))
    server("SET", "k", "v")
    for gone in (["FLUSHDB"], ["flushdb"], ["DEBUG", "SLEEP", "0"]):
        with pytest.raises(ErrorReply, match=f"unknown command '{gone[0]}'"):
            server(*gone)
    with pytest.raises(ErrorReply, match="Unknown command called from script"):
        server("EVAL", "return server.call('flushdb')", 0)
    with server.connect() as connection:
        for words in (["MULTI"], ["BADGER"], ["DBSIZE"]):
            connection(*words)
        assert connection("EXEC") == [b"OK", 0]
    server("SET", "k", "v")
    assert server("EVAL", "return server.call('Badger')", 0) == b"OK"
    assert server("DBSIZE") == 0
    server("CONFIG", "REWRITE")
    server.restart()
    with pytest.raises(ErrorReply, match="unknown command 'FLUSHDB'"):
        server("FLUSHDB")


def test_replicas_know_nothing_of_new_names(start, tmp_path):
    primary = start("baton", config=written(tmp_path, "rename-command set put\n"))
    replica = start("baton")
    attach(replica, primary)
    primary("PUT", "k", "v")
    in_step(primary, replica)
    assert replica("GET", "k") == b"v"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("rename-command nosuch x", "No such command in rename-command"),
        ("rename-command get set", "Target command name already exists"),
    ],
)
def test_a_rename_that_makes_no_sense_ends_the_start(start, tmp_path, line, why):
    with pytest.raises(RuntimeError, match=why):
        start("baton", config=written(tmp_path, line + "\n"))
