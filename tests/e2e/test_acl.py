"""Users as clients meet them: real libraries with restricted users, what happens to connections when users change, users on file,
and replication as a user that may do nothing else."""

import threading

import pytest
import redis
import resp
import valkey

from servers import eventually

FAST = ["--repl-diskless-sync-delay", "0"]


def as_user(server, name, password="pw"):
    connection = server.connect()
    assert connection("AUTH", name, password) == b"OK"
    return connection


def refused(connection, *words):
    with pytest.raises(resp.ErrorReply) as error:
        connection(*words)
    return str(error.value)


def denied(server):
    info = server.info("stats")
    return {kind: int(info[f"acl_access_denied_{kind}"]) for kind in ("auth", "cmd", "key", "channel", "db")}


@pytest.mark.parametrize("library", [redis, valkey], ids=["redis-py", "valkey-py"])
def test_a_restricted_user_of_a_library(start, library):
    server = start("baton")
    admin = library.Redis(port=server.port)
    admin.acl_setuser("worker", enabled=True, passwords=["+pw"], categories=["+@read", "+@write"], keys=["jobs:*"])
    shown = admin.acl_getuser("worker")
    assert shown["keys"] in ("~jobs:*", ["~jobs:*"]) and "on" in shown["flags"]
    worker = library.Redis(port=server.port, username="worker", password="pw")
    worker.set("jobs:1", "x")
    with pytest.raises(library.exceptions.NoPermissionError):
        worker.set("other", "x")
    with pytest.raises(library.exceptions.NoPermissionError):
        worker.config_get("*")
    with pytest.raises(library.exceptions.AuthenticationError):
        library.Redis(port=server.port, username="worker", password="wrong").ping()
    reasons = {(entry["reason"], entry["object"]) for entry in admin.acl_log()}
    assert {("key", "other"), ("command", "config|get")} <= reasons
    assert "auth" in {reason for reason, _ in reasons}
    counts = denied(server)
    # Libraries try a wrong password more than once.
    assert counts["auth"] >= 1 and counts["key"] == 1 and counts["cmd"] >= 1


def test_users_who_change_or_go(start):
    server = start("baton")
    server("ACL", "SETUSER", "u", "on", ">pw", "+@all", "~*", "&news")
    listener, worker, queuer = (as_user(server, "u") for _ in range(3))
    assert listener("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
    queuer("MULTI")
    queuer("SET", "k", "v")
    waiter = as_user(server, "u")
    waiter.send(resp.encode("BLPOP", "l", 0))
    eventually(lambda: int(server.info("clients")["blocked_clients"]) == 1, "the waiter to wait")

    # Keys go: who is connected is judged by the new rules from the very next command on.
    server("ACL", "SETUSER", "u", "resetkeys")
    assert refused(worker, "GET", "k") == "NOPERM No permissions to access a key"
    answers = queuer("EXEC")
    assert [str(answer) for answer in answers] == [
        "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. "
        "This command is no longer allowed for the following reason: no permission to touch the specified keys"
    ]
    server("RPUSH", "l", "x")
    assert str(waiter.read()) == "NOPERM No permissions to access a key"
    assert server("LLEN", "l") == 1

    # A channel goes: who listens to it is closed, others stay.
    server("ACL", "SETUSER", "u", "resetchannels", "&other")
    assert listener.is_closed()
    assert worker("PING") == b"PONG"

    # The user goes: so do its connections. Who removes itself still gets the reply.
    assert worker("ACL", "DELUSER", "u") == 1
    assert worker.is_closed() and queuer.is_closed() and waiter.is_closed()
    assert server("ACL", "USERS") == [b"default"]


def test_nothing_runs_by_old_rules_once_the_change_is_acknowledged(start):
    server = start("baton", "--worker-threads", 2)
    server("ACL", "SETUSER", "u", "on", ">pw", "+@all", "~*")
    admin, stop, problems = server.connect(), threading.Event(), []
    changes = [0]

    def write():
        connection = as_user(server, "u")
        batch = resp.encode("INCR", "n") * 50
        while not stop.is_set():
            connection.send(batch)
            for _ in range(50):
                reply = connection.read()
                if isinstance(reply, resp.ErrorReply) and "NOPERM" not in str(reply):
                    problems.append(reply)

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(60):
            admin("ACL", "SETUSER", "u", "-incr")
            before = admin("GET", "n")
            changes[0] += admin("GET", "n") != before
            admin("ACL", "SETUSER", "u", "+incr")
    finally:
        stop.set()
        for writer in writers:
            writer.join(20)
    assert problems == [] and changes == [0]
    assert int(admin("GET", "n")) > 0


@pytest.mark.parametrize("peer", ["baton", "valkey"])
def test_a_replica_that_is_a_user_of_its_own(start, peer):
    """The primary lets it in as a user that may do nothing but replicate; and the replica's own users are not asked about what
    comes from the primary."""
    primary = start(peer)
    primary("ACL", "SETUSER", "repl", "on", ">pw", "+psync", "+replconf", "+ping")
    admin = primary.connect()
    admin("ACL", "SETUSER", "admin", "on", ">pw", "+@all", "~*", "&*")
    admin("ACL", "SETUSER", "default", "off")
    admin("AUTH", "admin", "pw")
    replica = start("baton", *FAST, "--primaryuser", "repl", "--primaryauth", "wrong")
    replica("REPLICAOF", "127.0.0.1", primary.port)
    eventually(lambda: "Unable to AUTH" in replica.log() or "WRONGPASS" in replica.log(), "the refusal to be logged")
    replica("CONFIG", "SET", "primaryauth", "pw")
    eventually(replica.is_linked, "the link to be up")
    local = replica.connect()
    local("ACL", "SETUSER", "default", "-@all", "+get", "+acl", "resetkeys", "~k")
    admin("SET", "k", "v")
    eventually(lambda: local("GET", "k") == b"v", "the write to arrive")
    admin("SET", "other", "v")
    assert "NOPERM" in refused(local, "GET", "other")
    assert "NOPERM" in refused(local, "SET", "k", "w")


def test_users_on_file(start, tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "users.acl").write_text("user alice on >alice ~a* &* +@all\nuser default on nopass ~* &* +@all\n")
    server = start("baton", "--aclfile", "users.acl", folder=folder)
    as_user(server, "alice", "alice")("SET", "ab", "x")
    server("ACL", "SETUSER", "bob", "on", ">pw", "%R~b*", "+@read", "(+set ~c db=1)")
    listed = server("ACL", "LIST")
    assert server("ACL", "SAVE") == b"OK"
    assert (folder / "users.acl").read_bytes().splitlines() == listed
    server.restart()
    assert server("ACL", "LIST") == listed
    bob = as_user(server, "bob")
    assert "key" in refused(bob, "GET", "a")

    # A file that is wrong changes nothing; one without bob sends him away.
    text = (folder / "users.acl").read_text()
    (folder / "users.acl").write_text(text + "user bob on\n")
    assert "Duplicate user 'bob' found" in refused(server, "ACL", "LOAD")
    assert server("ACL", "LIST") == listed
    alice = as_user(server, "alice", "alice")
    (folder / "users.acl").write_text("".join(line for line in text.splitlines(True) if "bob" not in line))
    assert server("ACL", "LOAD") == b"OK"
    assert bob.is_closed()
    assert alice("ACL", "WHOAMI") == b"alice"


def test_users_in_the_configuration_file(start, tmp_path):
    config = tmp_path / "baton.conf"
    config.write_text('save ""\nrequirepass first\nuser al on >pw ~x* +@read (~y +get)\n')
    server = start("baton", config=config)
    admin = as_user(server, "default", "first")
    admin("ACL", "SETUSER", 'od"d', "on", "nopass", '~a"b', "+get")
    admin("CONFIG", "SET", "requirepass", "second")
    listed = admin("ACL", "LIST")
    assert admin("CONFIG", "REWRITE") == b"OK"
    server.restart()
    assert "WRONGPASS" in refused(server.connect(), "AUTH", "first")
    admin = as_user(server, "default", "second")
    assert admin("ACL", "LIST") == listed


def test_a_restricted_user_is_not_carried_on_as_another(start):
    """Outside of clusters, who listens for changes is carried to the new primary with the password of replication. A user that may
    not do everything must not get more by that."""
    flags = [*FAST, "--primaryuser", "default"]
    primary, replica = start("baton", *flags), start("baton", *flags)
    for server in (primary, replica):
        server("ACL", "SETUSER", "u", "on", ">pw", "+@all", "~mine*", "&*")
    replica("REPLICAOF", "127.0.0.1", primary.port)
    eventually(replica.is_linked, "the link to be up")
    limited, free = primary.connect(), primary.connect()
    for connection in (limited, free):
        connection("HELLO", 3)
    limited("AUTH", "u", "pw")
    for connection in (limited, free):
        assert connection("CLIENT", "MAINT_NOTIFICATIONS", "ON") == b"OK"
    assert primary("FAILOVER") == b"OK"
    eventually(lambda: replica.info("replication")["role"] == "master", "the replica to be primary")
    limited.send(resp.encode("SET", "mine", "v") + resp.encode("SET", "theirs", "v"))
    with pytest.raises(resp.Closed):
        while message := limited.read():
            assert isinstance(message, list), "only what is pushed comes before the end"
    free.send(resp.encode("SET", "free", "v"))
    eventually(lambda: replica("GET", "free") == b"v", "the other one to be carried")
    assert replica("MGET", "mine", "theirs") == [None, None]
