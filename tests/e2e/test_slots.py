"""What a node of a cluster tells about its slots: CLUSTER SLOT-STATS, and CLUSTERSCAN, which goes over all of them."""

import pytest

from resp import ErrorReply, encode
from servers import eventually

SLOTS = 16384
FIGURES = (b"cpu-usec", b"network-bytes-in", b"network-bytes-out")


@pytest.fixture
def node(start):
    """A cluster of one node that counts what its slots cost."""
    server = start("baton", "--cluster-enabled", "yes", "--cluster-slot-stats-enabled", "yes")
    server("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
    eventually(lambda: b"cluster_state:ok" in server("CLUSTER", "INFO"), "the cluster is up")
    return server


def stats(node, *args):
    """The rows by slot, in the order of the reply."""
    return {slot: dict(zip(row[::2], row[1::2])) for slot, row in node("CLUSTER", "SLOT-STATS", *args)}


def slot_of(node, key):
    return node("CLUSTER", "KEYSLOT", key)


def test_a_command_is_counted_for_the_slot_of_its_key(node):
    node("SET", "key", "value")
    node("GET", "key")
    node("PING")
    slot = slot_of(node, "key")
    rows = stats(node, "SLOTSRANGE", 0, SLOTS - 1)
    assert len(rows) == SLOTS
    row = rows.pop(slot)
    sent = len(encode("SET", "key", "value")) + len(encode("GET", "key"))
    assert (row[b"key-count"], row[b"network-bytes-in"]) == (1, sent)
    assert row[b"network-bytes-out"] == len(b"+OK\r\n$5\r\nvalue\r\n")
    assert all(other[figure] == 0 for other in rows.values() for figure in FIGURES)


def test_a_pipeline_and_a_transaction_are_counted_to_the_byte(node):
    transaction = [("MULTI",), ("SET", "key", "value"), ("EXEC",)]
    requests = b"".join(encode(*command) for command in transaction)
    with node.connect() as connection:
        connection.send(requests)
        assert [connection.read() for _ in transaction] == [b"OK", b"QUEUED", [b"OK"]]
        slot = slot_of(node, "key")
        assert stats(node, "SLOTSRANGE", slot, slot)[slot][b"network-bytes-in"] == len(requests)
        connection.send(encode("SET", "key", "value") * 100 + encode("SET", "{key}2"))
        replies = [connection.read() for _ in range(101)]
        assert isinstance(replies[-1], ErrorReply)
    row = stats(node, "SLOTSRANGE", slot, slot)[slot]
    # What was refused before it ran costs nothing.
    assert row[b"network-bytes-in"] == len(requests) + 100 * len(encode("SET", "key", "value"))


def test_a_command_that_waits_is_counted_when_it_is_answered(node):
    slot = slot_of(node, "key")
    row = lambda: stats(node, "SLOTSRANGE", slot, slot)[slot]  # noqa: E731
    with node.connect() as connection:
        waits = encode("BLPOP", "key", "0")
        connection.send(waits)
        eventually(lambda: node.info("clients")["blocked_clients"] == "1", "it to wait")
        assert all(row()[figure] == 0 for figure in FIGURES)
        wakes = encode("LPUSH", "key", "value")
        node("LPUSH", "key", "value")
        assert connection.read() == [b"key", b"value"]
        assert row()[b"network-bytes-in"] == len(waits) + len(wakes)
        assert row()[b"network-bytes-out"] == len(b":1\r\n") + len(b"*2\r\n$3\r\nkey\r\n$5\r\nvalue\r\n")
        assert connection("BLPOP", "key", "0.01") is None
    assert row()[b"network-bytes-in"] == len(waits) + len(wakes) + len(encode("BLPOP", "key", "0.01"))


def test_a_script_is_counted_for_the_only_slot_that_it_reaches(node):
    text = "return redis.call('SET', 'key', 'value')"
    node("EVAL", text, 0)
    slot = slot_of(node, "key")
    counted = stats(node, "SLOTSRANGE", slot, slot)[slot]
    assert counted[b"network-bytes-in"] == len(encode("EVAL", text, 0))
    both = "#!lua flags=allow-cross-slot-keys\nredis.call('GET', 'key'); return redis.call('GET', 'other')"
    node("EVAL", both, 0)
    assert stats(node, "SLOTSRANGE", slot, slot)[slot] == counted


def test_figures_begin_anew_where_a_slot_left(node):
    node("SET", "key", "value")
    slot = slot_of(node, "key")
    node("CONFIG", "SET", "cluster-require-full-coverage", "no")
    node("CLUSTER", "DELSLOTS", slot)
    assert stats(node, "SLOTSRANGE", slot, slot) == {}
    node("CLUSTER", "ADDSLOTS", slot)
    assert stats(node, "SLOTSRANGE", slot, slot)[slot][b"network-bytes-in"] == 0
    node("SET", "key", "value")
    node("CONFIG", "RESETSTAT")
    row = stats(node, "SLOTSRANGE", slot, slot)[slot]
    assert row[b"key-count"] == 1 and all(row[figure] == 0 for figure in FIGURES)


@pytest.fixture
def pair(start):
    """A primary with all slots, and one that knows it."""
    one, two = (start("baton", "--cluster-enabled", "yes", "--cluster-databases", "4") for _ in range(2))
    one("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
    one("CLUSTER", "MEET", "127.0.0.1", two.port)
    for node in (one, two):
        eventually(lambda node=node: b"cluster_state:ok" in node("CLUSTER", "INFO"), "the cluster is up")
    return one, two


def test_who_waits_for_a_key_of_an_open_slot_waits_until_it_is_elsewhere(pair):
    one, two = pair
    slot, id_of_two = slot_of(one, "key"), two("CLUSTER", "MYID")
    with one.connect() as connection:
        connection.send(encode("BRPOP", "key", "0"))
        eventually(lambda: one.info("clients")["blocked_clients"] == "1", "it to wait")
        one("CLUSTER", "SETSLOT", slot, "MIGRATING", id_of_two)
        with pytest.raises(ErrorReply, match="^ASK"):
            one("GET", "key")
        assert one.info("clients")["blocked_clients"] == "1"
        one("CLUSTER", "SETSLOT", slot, "NODE", id_of_two)
        assert str(connection.read()) == f"MOVED {slot} 127.0.0.1:{two.port}"


def test_keys_of_queued_commands_are_looked_for_in_their_databases_when_exec_comes(pair):
    one, two = pair
    with one.connect() as connection:
        connection("SET", "{t}0", "of 0")
        connection("SELECT", 1)
        connection("SET", "{t}1", "of 1")
        connection("SELECT", 0)
        connection("CLUSTER", "SETSLOT", slot_of(one, "{t}"), "MIGRATING", two("CLUSTER", "MYID"))
        for command in (["MULTI"], ["GET", "{t}0"], ["SELECT", 1], ["GET", "{t}1"]):
            connection(*command)
        assert connection("EXEC") == [b"of 0", b"OK", b"of 1"]
        connection("SELECT", 0)
        for commands, error in ([["GET", "{t}1"]], "ASK"), ([["GET", "{t}0"], ["SELECT", 2], ["GET", "{t}2"]], "TRYAGAIN"):
            connection("MULTI")
            assert all(connection(*command) == b"QUEUED" for command in commands)
            with pytest.raises(ErrorReply, match=f"^{error}"):
                connection("EXEC")


def test_slots_are_ordered_by_a_figure(node):
    for n in range(3):
        for key in range(n + 1):
            node("SET", f"{{{n}}}{key}", "x")
    most = [slot_of(node, f"{{{n}}}") for n in (2, 1, 0)]
    assert list(stats(node, "ORDERBY", "key-count", "LIMIT", 3)) == most
    assert list(stats(node, "ORDERBY", "network-bytes-in", "DESC", "LIMIT", 3)) == most
    assert list(stats(node, "ORDERBY", "cpu-usec", "LIMIT", 2, "ASC")) == [0, 1]
    node("CONFIG", "SET", "cluster-slot-stats-enabled", "no")
    assert stats(node, "SLOTSRANGE", 0, 0) == {0: {b"key-count": 0}}


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (("SLOTSRANGE", 1), "unknown subcommand or wrong number of arguments for 'SLOT-STATS'. Try CLUSTER HELP."),
        (("SLOTSRANGE", 2, 1), "Start slot number 2 is greater than end slot number 1"),
        (("SLOTSRANGE", 0, SLOTS), "Invalid or out of range slot"),
        (("ORDERBY", "memory-bytes"), "Unrecognized sort metric for ORDERBY."),
        (("ORDERBY", "key-count", "LIMIT"), "syntax error"),
        (("ORDERBY", "key-count", "LIMIT", 0), "Limit has to lie in between 1 and 16384 (maximum number of slots)."),
        (("ORDERBY", "key-count", "ASC", "ASC"), "Multiple filters of the same type are disallowed."),
    ],
)
def test_what_slot_stats_refuses(node, args, error):
    with pytest.raises(ErrorReply) as refused:
        node("CLUSTER", "SLOT-STATS", *args)
    assert str(refused.value) == f"ERR {error}"


def scan(node, cursor, *options):
    """Follows the cursor to its end; gives the names and the cursors that were met."""
    names, cursors = [], []
    while True:
        cursor, found = node("CLUSTERSCAN", cursor, *options)
        names += found
        cursors.append(cursor)
        if cursor == b"0":
            return names, cursors


def test_a_cluster_scan_finds_every_key_once(node):
    keys = {f"key:{n}".encode() for n in range(1000)}
    for key in keys:
        node("SET", key, "x")
    names, cursors = scan(node, 0, "COUNT", 7)
    assert len(names) == len(keys) and set(names) == keys
    # Each cursor is in the slot where the scan goes on, by its hash tag, and no slot without keys is stopped at.
    assert all(node("CLUSTER", "COUNTKEYSINSLOT", slot_of(node, cursor)) for cursor in cursors[1:-1])
    assert len(scan(node, 0, "MATCH", "key:99*")[0]) == 11
    assert scan(node, 0, "TYPE", "list")[0] == []


def test_a_cluster_scan_of_one_slot(node):
    for n in range(50):
        node("SET", f"{{06S}}{n}", "x")
    node("SET", "{Qi}", "x")
    names, cursors = scan(node, 0, "SLOT", 0, "COUNT", 5)
    assert len(names) == 50 and cursors[0] == b"0-{06S}-0"
    assert len(scan(node, 0, "MATCH", "{06S}*")[0]) == 50
    # Places of another process mean nothing here: the slot begins anew.
    assert len(node("CLUSTERSCAN", "elsewhere-{06S}-81920", "SLOT", 0, "COUNT", 1000)[1]) == 50
    assert node("CLUSTERSCAN", "0-{Qi}-0", "MATCH", "{06S}*") == [b"0", []]
    assert node("CLUSTERSCAN", "0-{06S}-0", "MATCH", "{Qi}*") == [b"0-{Qi}-0", []]
    assert node("CLUSTERSCAN", 0, "SLOT", 0, "MATCH", "{Qi}*") == [b"0", []]


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (("x",), "Invalid cursor"),
        (("0-{06S}",), "Invalid cursor"),
        (("0-{06S}-x",), "Invalid cursor"),
        (("0-{06S}-0-0",), "Invalid cursor"),
        (("0-{06S}-0", "SLOT", 1), "Cursor slot mismatch with SLOT argument"),
        ((0, "SLOT", SLOTS), "Invalid or out of range slot"),
        ((0, "SLOT", 0, "SLOT", 0), "SLOT option can only be specified once"),
        ((0, "COUNT", 0), "syntax error"),
        ((0, "NOVALUES"), "NOVALUES option can only be used in HSCAN"),
        (("x", "TYPE", "no"), "unknown type name 'no'"),
    ],
)
def test_what_cluster_scan_refuses(node, args, error):
    with pytest.raises(ErrorReply) as refused:
        node("CLUSTERSCAN", *args)
    assert str(refused.value) == f"ERR {error}"


def test_the_keys_of_a_slot_are_deleted_together(node):
    for n in range(100):
        node("SET", f"{{06S}}{n}", "x")
    node("SET", "{Qi}", "x")
    for option in ("SYNC", "async"):
        assert node("CLUSTER", "FLUSHSLOT", 0, option) == b"OK"
        assert (node("CLUSTER", "COUNTKEYSINSLOT", 0), node("DBSIZE")) == (0, 1)
    for args, error in [
        ((SLOTS,), "Invalid or out of range slot"),
        ((0, "NOW"), "syntax error"),
        ((0, "SYNC", "SYNC"), "unknown subcommand or wrong number of arguments for 'FLUSHSLOT'. Try CLUSTER HELP."),
    ]:
        with pytest.raises(ErrorReply) as refused:
            node("CLUSTER", "FLUSHSLOT", *args)
        assert str(refused.value) == f"ERR {error}"


def test_replicas_delete_the_keys_of_a_slot_too(node, start):
    replica = start("baton", "--cluster-enabled", "yes")
    replica("CLUSTER", "MEET", "127.0.0.1", node.port)
    eventually(lambda: replica("CLUSTER", "REPLICATE", node("CLUSTER", "MYID")), "the replica to know its primary")
    node("SET", "{06S}", "x")
    node("SET", "{Qi}", "x")
    eventually(lambda: replica("DBSIZE") == 2, "the keys to arrive", 30)
    node("CLUSTER", "FLUSHSLOT", 0)
    eventually(lambda: replica("DBSIZE") == 1, "the keys to go")
    with pytest.raises(ErrorReply, match="^READONLY"):
        replica("CLUSTER", "FLUSHSLOT", 1)
