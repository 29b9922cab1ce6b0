"""What connections take: idle ones nothing for buffers. `maxmemory-clients`: those that take most go first, and nobody who
asked to be spared."""

import resp

from servers import eventually

MEGABYTE = 1 << 20


def fat(server, name, size, *first):
    """A connection that has sent so many bytes of a request that is never whole."""
    connection = server.connect()
    connection("CLIENT", "SETNAME", name)
    for words in first:
        connection(*words)
    connection.send(b"*2\r\n$%d\r\n" % size + b"x" * (size - 1))
    eventually(lambda: queries(server).get(name, size) >= size - 1, "it is read, or its sender gone")
    return connection


def send_as_far_as_possible(connection, request):
    """The connection may be ended before all of a large request is sent."""
    try:
        connection.send(request)
    except ConnectionError:
        pass


def listed(server):
    """What CLIENT LIST tells of every connection that has a name, by their names."""
    lines = [dict(word.split("=", 1) for word in line.split()) for line in server("CLIENT", "LIST").decode().splitlines()]
    return {line["name"]: line for line in lines if line["name"]}


def client(server, name):
    return listed(server)[name]


def queries(server):
    """Bytes of the unfinished query of every connection that has a name."""
    return {name: int(line["qbuf"]) for name, line in listed(server).items()}


def names(server):
    return list(queries(server))


def test_the_largest_go_until_the_others_fit(start):
    server = start("baton", "--worker-threads", "2")
    kept = [fat(server, f"c{n}", (n + 1) * MEGABYTE) for n in range(4)]
    assert names(server) == ["c0", "c1", "c2", "c3"]
    # Ten megabytes in all: without the four and the three it is three.
    server("CONFIG", "SET", "maxmemory-clients", 4 * MEGABYTE)
    assert names(server) == ["c0", "c1"]
    assert server.info("stats")["evicted_clients"] == "2"
    assert kept[3].is_closed() and kept[2].is_closed()


def test_who_grows_too_much_goes_and_who_asked_is_spared(start):
    server = start("baton", "--worker-threads", "2", "--maxmemory-clients", str(2 * MEGABYTE))
    request = resp.encode("SET", "k", b"x" * 3 * MEGABYTE)
    with server.connect() as spared:
        spared("CLIENT", "NO-EVICT", "ON")
        spared.send(request)
        assert spared.read() == b"OK"
    server("DEL", "k")
    with server.connect() as grows:
        send_as_far_as_possible(grows, request)
        assert grows.is_closed()
    assert server("EXISTS", "k") == 0


def test_queued_commands_and_unread_replies_count(start):
    server = start("baton", "--worker-threads", "2", "--maxmemory-clients", str(2 * MEGABYTE))
    queues = server.connect()
    queues("MULTI")
    queues("SET", "k", b"x" * MEGABYTE)
    send_as_far_as_possible(queues, resp.encode("SET", "k", b"x" * MEGABYTE))
    assert queues.is_closed()
    # Larger ones would be written piece by piece, and take no memory until they are read.
    server("SET", "k", b"x" * 200_000)
    with server.connect() as deaf:
        deaf("CLIENT", "SETNAME", "deaf")
        # At once: it may be gone before the last of them.
        deaf.send(resp.encode("GET", "k") * 100)
        eventually(lambda: names(server) == [], "it is evicted")


def test_an_idle_connection_keeps_no_buffers(start):
    server = start("baton", "--worker-threads", "2")
    server("SET", "k", b"x" * 60_000)
    with server.connect() as idle:
        idle("CLIENT", "SETNAME", "idle")
        mostly = resp.encode("SET", "other", b"x" * 60_000)
        idle.send(mostly[:-9])
        eventually(lambda: queries(server)["idle"] > 0, "a part of the request is read")
        idle.send(mostly[-9:] + resp.encode("GET", "k"))
        assert (idle.read(), len(idle.read())) == (b"OK", 60_000)
        sizes = client(server, "idle")
        buffers = [sizes[name] for name in ("qbuf", "qbuf-free", "rbs", "omem", "argv-mem")]
        assert buffers == ["0"] * 5 and int(sizes["tot-mem"]) < 4096


def test_room_for_what_does_not_come_is_given_back(start):
    server = start("baton", "--worker-threads", "1")
    with server.connect() as slow:
        slow("CLIENT", "SETNAME", "slow")
        slow.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\nab")
        eventually(lambda: int(client(server, "slow")["qbuf-free"]) > 900_000, "there is room for what was announced")
        eventually(lambda: int(client(server, "slow")["tot-mem"]) < 8192, "it is given back")
        slow.send(b"x" * 999_998 + b"\r\n")
        assert slow.read() == b"OK"
    assert server("STRLEN", "k") == 1_000_000
