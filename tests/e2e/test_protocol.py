"""What the parser accepts and refuses, byte by byte, over raw sockets."""

import pytest

from resp import encode
from servers import eventually


def test_inline_commands(baton):
    with baton.connect() as connection:
        connection.send(b"PING\r\n")
        assert connection.read() == b"PONG"
        connection.send(b"\r\n  \r\nSET \"a b\" 'c\\'d'\r\nGET \"\\x61 b\"\n")
        assert connection.read() == b"OK"
        assert connection.read() == b"c'd"


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"*x\r\n", "ERR Protocol error: invalid multibulk length"),
        (b"*2147483648\r\n", "ERR Protocol error: invalid multibulk length"),
        (b"*1\r\nPING\r\n", "ERR Protocol error: expected '$', got 'P'"),
        (b"*1\r\n$x\r\nPING\r\n", "ERR Protocol error: invalid bulk length"),
        (b"*1\r\n$-5\r\n", "ERR Protocol error: invalid bulk length"),
        (b"*1\r\n$2147483649\r\n", "ERR Protocol error: invalid bulk length"),
        (b"SET \"unbalanced\r\n", "ERR Protocol error: unbalanced quotes in request"),
        (b"*" + b"1" * 70_000, "ERR Protocol error: too big mbulk count string"),
        (b"*1\r\n$" + b"1" * 70_000, "ERR Protocol error: too big bulk count string"),
        (b"x" * 70_000, "ERR Protocol error: too big inline request"),
    ],
)
def test_protocol_error_is_said_and_the_connection_closed(baton, sent, error):
    with baton.connect() as connection:
        connection.send(sent)
        assert str(connection.read()) == error
        assert connection.is_closed()
    assert baton("PING") == b"PONG"


def test_replies_before_an_error_are_delivered(baton):
    with baton.connect() as connection:
        connection.send(encode("SET", "k", "v") + encode("GET", "k") + b"*1\r\n!\r\n")
        assert connection.read() == b"OK"
        assert connection.read() == b"v"
        assert str(connection.read()).startswith("ERR Protocol error: expected '$', got '!'")
        assert connection.is_closed()


def test_empty_arrays_are_ignored(baton):
    with baton.connect() as connection:
        connection.send(b"*0\r\n*-1\r\n\r\n" + encode("PING"))
        assert connection.read() == b"PONG"


def test_commands_may_come_in_any_pieces(baton):
    with baton.connect() as connection:
        data = encode("SET", "k", "some\r\nvalue") + encode("GET", "k")
        for at in range(len(data)):
            connection.send(data[at : at + 1])
        assert connection.read() == b"OK"
        assert connection.read() == b"some\r\nvalue"


def test_many_commands_at_once(baton):
    count = 50_000
    with baton.connect() as connection:
        connection.send(encode("SET", "k", "v"))
        assert connection.read() == b"OK"
        connection.send(encode("GET", "k") * count)
        assert all(connection.read() == b"v" for _ in range(count))


def test_unauthenticated_clients_get_little_memory(start):
    server = start("baton", "--requirepass", "secret")
    for sent, error in [
        (b"*11\r\n", "ERR Protocol error: unauthenticated multibulk length"),
        (b"*1\r\n$16385\r\n", "ERR Protocol error: unauthenticated bulk length"),
    ]:
        with server.connect() as connection:
            connection.send(sent)
            assert str(connection.read()) == error
            assert connection.is_closed()


def test_a_client_that_goes_away_in_the_middle_harms_nobody(baton):
    for _ in range(50):
        connection = baton.connect()
        connection.send(encode("SET", "k", "v") + b"*3\r\n$3\r\nSET\r\n$1000000\r\nabc")
        connection.close()
    assert baton("PING") == b"PONG"
    eventually(lambda: int(baton.info("clients")["connected_clients"]) <= 2, "the connections to be noticed as gone")


def test_quit_answers_and_closes(baton):
    with baton.connect() as connection:
        connection.send(encode("QUIT"))
        assert connection.read() == b"OK"
        assert connection.is_closed()


def test_reset_forgets_the_state(baton):
    with baton.connect() as connection:
        connection("SELECT", 3)
        connection("MULTI")
        assert connection("RESET") == b"RESET"
        with pytest.raises(Exception, match="EXEC without MULTI"):
            connection("EXEC")
        connection("SET", "k", "v")
    assert baton("GET", "k") == b"v"


def test_push_messages_are_pushes_in_resp3(baton):
    with baton.connect() as listener:
        listener("HELLO", 3)
        listener.send(encode("SUBSCRIBE", "c"))
        assert listener.read_line() == b">3"
        assert [listener.read() for _ in range(3)] == [b"subscribe", b"c", 1]
        # In RESP3 a subscriber may send anything.
        assert listener("PING", "x") == b"x"
        assert baton("PUBLISH", "c", "m") == 1
        assert listener.read_line() == b">3"
        assert [listener.read() for _ in range(3)] == [b"message", b"c", b"m"]


def test_subscribers_in_resp2_may_send_little(baton):
    with baton.connect() as listener:
        assert listener("SUBSCRIBE", "c") == [b"subscribe", b"c", 1]
        assert listener("PING", "x") == [b"pong", b"x"]
        with pytest.raises(Exception, match="Can't execute 'get': only"):
            listener("GET", "k")
        assert listener("UNSUBSCRIBE") == [b"unsubscribe", b"c", 0]
        assert listener("GET", "k") is None


def test_who_sends_and_leaves_at_once_is_gone(baton):
    """The last bytes and the end may be reported by one and the same event."""
    # A connection of the test before may still be counted.
    before = int(baton.info("clients")["connected_clients"])
    for command in (["PING"], ["BLPOP", "none", 0]):
        for _ in range(50):
            with baton.connect() as connection:
                connection.send(encode(*command))
    eventually(lambda: int(baton.info("clients")["connected_clients"]) <= before, "all of them to be forgotten", 5)
    assert baton.info("clients")["blocked_clients"] == "0"
