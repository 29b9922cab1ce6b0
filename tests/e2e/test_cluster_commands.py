"""Commands of all types in a cluster: keys of two slots, several databases, and messages of slots that move. The real server
has to give the same answers."""

import time

import pytest
from resp import ErrorReply
from servers import eventually
from test_cluster import make_cluster  # noqa: F401 (a fixture)
from test_slot_jobs import my_id, primaries

KINDS = pytest.mark.parametrize("kind", ["baton", "valkey"])
SLOTS = 16384


def alone(start, kind, *flags):
    """A cluster of one node."""
    server = start(kind, "--cluster-enabled", "yes", *flags)
    server("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
    eventually(lambda: b"cluster_state:ok" in server("CLUSTER", "INFO"), "the cluster is up")
    return server


# In each, a and b are keys of two slots.
OF_TWO_SLOTS = """
MGET a b; MSET a 1 b 2; MSETNX a 1 b 2; DEL a b; UNLINK a b; EXISTS a b; TOUCH a b; RENAME a b; RENAMENX a b; COPY a b;
SORT a STORE b; LCS a b; BITOP AND a b; PFCOUNT a b; PFMERGE a b; GEOSEARCHSTORE a b FROMLONLAT 0 0 BYRADIUS 1 m;
LMOVE a b LEFT LEFT; RPOPLPUSH a b; LMPOP 2 a b LEFT; BLPOP a b 0; BRPOP a b 0; BLMOVE a b LEFT LEFT 0; BLMPOP 0 2 a b LEFT;
SINTER a b; SUNION a b; SDIFF a b; SINTERSTORE a b; SUNIONSTORE a b; SDIFFSTORE a b; SINTERCARD 2 a b; SMOVE a b m;
ZUNION 2 a b; ZINTER 2 a b; ZDIFF 2 a b; ZUNIONSTORE a 1 b; ZINTERSTORE a 1 b; ZDIFFSTORE a 1 b; ZINTERCARD 2 a b; ZMPOP 2 a b MIN;
ZRANGESTORE a b 0 -1; BZPOPMIN a b 0; BZPOPMAX a b 0; BZMPOP 0 2 a b MIN; XREAD STREAMS a b 0 0; XREADGROUP GROUP g c STREAMS a b > >;
EVAL x 2 a b; EVALSHA 0000000000000000000000000000000000000000 2 a b; FCALL f 2 a b; WATCH a b; SSUBSCRIBE a b
"""


@KINDS
def test_keys_of_two_slots_are_refused(start, kind):
    server = alone(start, kind)
    for request in OF_TWO_SLOTS.replace("\n", " ").split(";"):
        with pytest.raises(ErrorReply, match="^CROSSSLOT Keys in request don't hash to the same slot$"):
            server(*request.split())


def test_keys_of_msetex_are_looked_at_too(start):
    """Upstream sets keys of two slots."""
    with pytest.raises(ErrorReply, match="^CROSSSLOT"):
        alone(start, "baton")("MSETEX", 2, "a", 1, "b", 2)


@KINDS
def test_a_cluster_may_have_several_databases(start, kind):
    server = alone(start, kind, "--cluster-databases", 3)
    with server.connect() as send:
        send("SET", "k", "zero")
        assert send("SELECT", 2) == b"OK"
        assert send("GET", "k") is None
        send("SET", "k", "two")
        assert send("COPY", "k", "k", "DB", 1) == 1
        assert send("MOVE", "k", 0) == 0
        with pytest.raises(ErrorReply, match="DB index is out of range"):
            send("SELECT", 3)
        slot = send("CLUSTER", "KEYSLOT", "k")
        # In the connection's own database.
        assert send("CLUSTER", "COUNTKEYSINSLOT", slot) == 1
        assert send("EVAL", "redis.call('SELECT', 1) return redis.call('GET', KEYS[1])", 1, "k") == b"two"
        assert send("DBSIZE") == 1
        with pytest.raises(ErrorReply, match="SWAPDB is not allowed in cluster mode"):
            send("SWAPDB", 0, 1)
        send("FLUSHDB")
        assert (send("DBSIZE"), send("SELECT", 0), send("GET", "k")) == (0, b"OK", b"zero")


@KINDS
def test_who_listens_to_a_slot_that_leaves_is_told(make_cluster, kind):  # noqa: F811
    cluster = make_cluster(*[kind] * 3)
    first, second = primaries(cluster)[:2]
    slot = int(cluster.view(first)[first.port]["slots"][0].split("-")[0])
    with first.connect() as listener, first.connect() as other:
        channel = next(f"{{{n}}}news" for n in range(200_000) if first("CLUSTER", "KEYSLOT", f"{{{n}}}") == slot)
        assert listener("SSUBSCRIBE", channel) == [b"ssubscribe", channel.encode(), 1]
        other("SUBSCRIBE", "news")
        first("SPUBLISH", channel, "here")
        assert listener.read() == [b"smessage", channel.encode(), b"here"]
        second("CLUSTER", "SETSLOT", slot, "IMPORTING", my_id(first))
        first("CLUSTER", "SETSLOT", slot, "MIGRATING", my_id(second))
        second("CLUSTER", "SETSLOT", slot, "NODE", my_id(second))
        first("CLUSTER", "SETSLOT", slot, "NODE", my_id(second))
        assert listener.read() == [b"sunsubscribe", channel.encode(), 0]
        with pytest.raises(ErrorReply, match=f"^MOVED {slot} 127.0.0.1:{second.port}$"):
            listener("SSUBSCRIBE", channel)
        assert first("PUBSUB", "SHARDCHANNELS") == []
        with second.connect() as there:
            there("SSUBSCRIBE", channel)
            second("SPUBLISH", channel, "there")
            assert there.read() == [b"smessage", channel.encode(), b"there"]
        # Messages to everybody don't mind.
        first("PUBLISH", "news", "still")
        assert other.read() == [b"message", b"news", b"still"]


def test_a_node_dates_a_pong_alike_whenever_it_is_asked(make_cluster):  # noqa: F811
    """Each date comes from two clocks, which round differently from one millisecond to the next."""
    servers = make_cluster(*["baton"] * 3).nodes
    pongs, asked = {}, 0
    with servers[0].connect() as connection:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            for line in connection("CLUSTER", "NODES").decode().splitlines():
                fields = line.split()
                if "myself" not in fields[2]:
                    pongs.setdefault(fields[0], set()).add(int(fields[5]))
            asked += 1
    assert asked > 100 and len(pongs) == 2
    for node, dates in pongs.items():
        ordered = sorted(dates)
        assert all(b - a > 1 for a, b in zip(ordered, ordered[1:])), (node, ordered)
