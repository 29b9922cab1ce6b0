"""What random commands to two servers at once found: replies that were others than the real server's."""

import pytest
import resp

from servers import eventually

KINDS = pytest.mark.parametrize("kind", ["baton", "valkey"])


@KINDS
def test_exec_with_arguments_ends_the_transaction(start, kind):
    with start(kind).connect() as send:
        refusal = "^EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command$"
        send("MULTI")
        send("SET", "k", "v")
        with pytest.raises(resp.ErrorReply, match=refusal):
            send("EXEC", "all")
        with pytest.raises(resp.ErrorReply, match="^ERR EXEC without MULTI$"):
            send("EXEC")
        with pytest.raises(resp.ErrorReply, match=refusal):
            send("EXEC", "all")
        assert send("GET", "k") is None


@KINDS
def test_scripts_are_told_of_subcommands_that_are_none(start, kind):
    with pytest.raises(resp.ErrorReply, match="^ERR unknown subcommand 'NOSUCH'. Try OBJECT HELP. script: "):
        start(kind)("EVAL", "return redis.call('OBJECT', 'NOSUCH', 'k')", 0)


@KINDS
def test_numbers_to_sort_by_end_at_a_zero_byte_and_may_be_long(start, kind):
    with start(kind).connect() as send:
        send("RPUSH", "l", "1", "2", "3")
        send("MSET", "w1", b"7\x00text", "w2", "0" * 300 + "5", "w3", "6")
        assert send("SORT", "l", "BY", "w*") == [b"2", b"3", b"1"]
        send("SET", "w1", b"\x00")
        with pytest.raises(resp.ErrorReply, match="scores can't be converted into double"):
            send("SORT", "l", "BY", "w*")


@KINDS
def test_the_start_of_a_range_is_judged_before_its_end(start, kind):
    server = start(kind)
    server("XADD", "s", "1-1", "a", "b")
    with pytest.raises(resp.ErrorReply, match="^ERR Invalid stream ID"):
        server("XREVRANGE", "s", "(0-0", "not-an-id")


@KINDS
def test_who_waits_for_the_last_entry_gets_the_one_that_is_the_last_then(start, kind):
    server = start(kind)
    with server.connect() as reader, server.connect() as writer:
        reader.send(resp.encode("XREAD", "COUNT", 5, "BLOCK", 0, "STREAMS", "s", "+"))
        eventually(lambda: server.info("clients")["blocked_clients"] == "1", "the reader to wait")
        writer("MULTI")
        writer("XADD", "s", "1-1", "a", "1")
        writer("XADD", "s", "1-2", "a", "2")
        writer("EXEC")
        assert reader.read() == [[b"s", [[b"1-2", [b"a", b"2"]]]]]


@KINDS
def test_waiters_are_served_in_the_order_in_which_their_keys_came_to_be(start, kind):
    server = start(kind)
    with server.connect() as one, server.connect() as two, server.connect() as writer:
        for number, (connection, key) in enumerate(((one, "first"), (two, "second")), 1):
            connection.send(resp.encode("BLMOVE", key, "served", "LEFT", "RIGHT", 0))
            eventually(lambda number=number: server.info("clients")["blocked_clients"] == str(number), "the wait")
        writer("MULTI")
        writer("SET", "second", "x")
        writer("DEL", "second")
        writer("RPUSH", "first", "1")
        writer("RPUSH", "second", "2")
        writer("EXEC")
        assert (one.read(), two.read()) == (b"1", b"2")
        assert server("LRANGE", "served", 0, -1) == [b"1", b"2"]


@KINDS
def test_a_key_that_was_looked_for_in_vain_is_told_of_and_no_other(start, kind):
    server = start(kind, "--notify-keyspace-events", "Em")
    server("RPUSH", "l", "1")
    with server.connect() as listener:
        listener("PSUBSCRIBE", "__keyevent@0__:keymiss")
        server("SORT", "l", "BY", "w*", "STORE", "d")
        server("LPOP", "none")
        server("SUNIONSTORE", "d", "e", "f")
        server("COPY", "none", "d")
        server("MEMORY", "USAGE", "none")
        server("GET", "last")
        told = [listener.read()[3] for _ in range(5)]
    assert told == [b"w1", b"e", b"f", b"none", b"last"]
