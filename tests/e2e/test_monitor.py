"""Who watches sees every command, as it ran and where; secrets and operators' commands stay out."""

import re

import resp
from test_replication import attach, in_step

LINE = re.compile(rb"^(\d+)\.(\d{6}) \[(\d+) ([^\]]+)\] (.*)$")


def watch(server):
    connection = server.connect()
    assert connection("MONITOR") == b"OK"
    return connection


def lines(connection, count):
    """What the next lines tell: database, whose, command."""
    found = [LINE.match(connection.read()).groups() for _ in range(count)]
    return [(int(db), who.decode(), words.decode()) for _, _, db, who, words in found]


def commands(connection, count):
    return [words for _, _, words in lines(connection, count)]


def test_commands_are_shown_as_they_ran(start):
    server = start("baton", "--worker-threads", "3")
    watcher, client = watch(server), server.connect()
    client("SELECT", 2)
    client("SET", "k", b'a"b\n\xff')
    for refused in (["GET"], ["NOSUCH"]):
        client.send(resp.encode(*refused))
        assert isinstance(client.read(), resp.ErrorReply)
    client("CONFIG", "GET", "port")
    client.send(resp.encode("AUTH", "somebody", "secret"))
    assert isinstance(client.read(), resp.ErrorReply)
    port = client.socket.getsockname()[1]
    assert lines(watcher, 3) == [
        (2, f"127.0.0.1:{port}", '"SELECT" "2"'),
        (2, f"127.0.0.1:{port}", '"SET" "k" "a\\"b\\n\\xff"'),
        (2, f"127.0.0.1:{port}", '"AUTH" "(redacted)" "(redacted)"'),
    ]


def test_a_transaction_is_shown_when_it_runs_and_a_script_before_its_commands(start):
    server = start("baton")
    watcher, client = watch(server), server.connect()
    script = "return server.call('INCR', KEYS[1])"
    client.send(b"".join(resp.encode(*words) for words in (["MULTI"], ["SET", "k", 1], ["EVAL", script, 1, "k"], ["EXEC"])))
    assert [client.read() for _ in range(4)] == [b"OK", b"QUEUED", b"QUEUED", [b"OK", 2]]
    shown = lines(watcher, 5)
    assert [who == "lua" for _, who, _ in shown] == [False, False, False, True, False]
    assert [words.split()[0] for _, _, words in shown] == ['"MULTI"', '"SET"', '"EVAL"', '"INCR"', '"EXEC"']


def test_a_script_that_runs_a_second_time_is_shown_once(start):
    server = start("baton", "--worker-threads", "2")
    watcher, client = watch(server), server.connect()
    # DBSIZE has to see the world standing still: what ran before it is taken back and runs again.
    client("EVAL", "server.call('INCR', KEYS[1]) return server.call('DBSIZE')", 1, "k")
    client("PING")
    assert [words.split()[0] for words in commands(watcher, 4)] == ['"EVAL"', '"INCR"', '"DBSIZE"', '"PING"']


def test_who_watches_may_not_touch_keys_until_reset(start):
    server = start("baton")
    watcher = watch(server)
    watcher.send(resp.encode("GET", "k"))
    assert "Replica can't interact with the keyspace" in str(watcher.read())
    watcher.send(resp.encode("PING"))
    assert watcher.read() == b"PONG"
    assert commands(watcher, 1) == ['"PING"']
    assert b" flags=O " in server("CLIENT", "LIST")
    assert watcher("RESET") == b"RESET"
    server("PING")
    assert watcher("GET", "k") is None, "nothing is shown any more"
    assert b" flags=O " not in server("CLIENT", "LIST")


def test_a_replica_shows_what_its_primary_sent(start):
    primary, replica = start("baton"), start("baton")
    attach(replica, primary)
    watcher = watch(replica)
    primary("SET", "k", "v")
    in_step(primary, replica)
    while (shown := lines(watcher, 1)[0])[2].split()[0] not in ('"SET"',):
        pass
    assert shown[2] == '"SET" "k" "v"'
