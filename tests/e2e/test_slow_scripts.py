"""Scripts that take long: who is told so, who is not kept waiting, and how they end."""

import pathlib
import random
import threading
import time

import pytest
from resp import Closed, ErrorReply, encode
from servers import eventually

SPIN = "while true do end"


class Endless:
    """A script that does not end by itself, known to take long: who needs what it holds is refused."""

    def __init__(self, server, *command, connection=None, needs=("PING",)):
        self.server = server
        self.connection = connection or server.connect()
        self.connection.send(encode(*command))
        eventually(lambda: refusal(server, *needs).startswith("BUSY"), f"{command} to take long")

    def end(self, *command):
        assert self.server(*command) == b"OK"
        self.is_told()
        assert self.server("PING") == b"PONG"

    def is_told(self):
        reply = self.connection.read()
        assert isinstance(reply, ErrorReply) and "killed by user" in str(reply)


def refusal(server, *command):
    try:
        server(*command)
    except ErrorReply as error:
        return str(error)
    return ""


@pytest.fixture(params=[1, 2])
def impatient(request, start):
    return start("baton", "--worker-threads", request.param, "--busy-reply-threshold", 20)


def test_only_what_a_script_holds_is_busy_while_it_takes_long(impatient):
    with impatient.connect() as old:
        old("PING")
        caught = "while true do pcall(function() while true do end end) end"
        script = Endless(impatient, "EVAL", caught, 1, "held")
        assert "SCRIPT KILL" in refusal(impatient, "GET", "held")
        assert "SCRIPT KILL" in refusal(impatient, "FUNCTION", "KILL")
        assert (old("SET", "free", "1"), impatient("GET", "free")) == (b"OK", b"1")
        script.end("SCRIPT", "KILL")
        assert impatient("SET", "held", "1") == b"OK"


def test_everybody_is_told_of_a_script_that_takes_long_where_that_is_wanted(impatient):
    impatient("CONFIG", "SET", "busy-reply-to-all", "yes")
    with impatient.connect() as before, impatient.connect() as after:
        assert (before("MULTI"), before("SET", "free", "1")) == (b"OK", b"QUEUED")
        script = Endless(impatient, "EVAL", SPIN, 1, "held")
        assert refusal(impatient, "SET", "free", "2").startswith("BUSY")
        assert refusal(before, "EXEC").startswith("EXECABORT Transaction discarded because of: BUSY")
        assert after("MULTI") == b"OK"
        assert refusal(after, "SET", "free", "3").startswith("BUSY")
        script.end("SCRIPT", "KILL")
        assert refusal(after, "EXEC").startswith("EXECABORT")
        assert before("GET", "free") is None


def test_a_script_that_has_stopped_everything_can_be_ended(impatient):
    script = Endless(impatient, "EVAL", "redis.call('keys', '*') while true do end", 0)
    assert refusal(impatient, "SET", "free", "1").startswith("BUSY")
    script.end("SCRIPT", "KILL")
    assert refusal(impatient, "SCRIPT", "KILL").startswith("NOTBUSY")


def test_a_function_is_ended_by_its_own_command(impatient):
    code = "#!lua name=lib\nredis.register_function('spin', function() while true do end end)"
    assert impatient("FUNCTION", "LOAD", code) == b"lib"
    script = Endless(impatient, "FCALL", "spin", 1, "held")
    assert "FUNCTION KILL" in refusal(impatient, "SCRIPT", "KILL")
    assert impatient("FUNCTION", "STATS")[1][1] == b"spin"
    script.end("FUNCTION", "KILL")


def test_a_script_that_wrote_ends_with_the_server_only(impatient):
    Endless(impatient, "EVAL", "redis.call('set', KEYS[1], 'x') while true do end", 1, "held")
    assert refusal(impatient, "SCRIPT", "KILL").startswith("UNKILLABLE")
    with pytest.raises(Closed):
        impatient("SHUTDOWN", "NOSAVE")
    assert impatient.process.wait(20) == 0


def test_more_scripts_than_workers_take_long(impatient):
    keys = ["a", "b", "c", "d"]
    scripts = [Endless(impatient, "EVAL", SPIN, 1, key, needs=("GET", key)) for key in keys]
    assert impatient("SET", "free", "1") == b"OK"
    assert impatient("SCRIPT", "KILL") == b"OK"
    for script in scripts:
        script.is_told()
    assert [impatient("SET", key, "1") for key in keys] == [b"OK"] * 4
    # Everything is as before: once more.
    Endless(impatient, "EVAL", SPIN, 1, "a").end("SCRIPT", "KILL")


def test_no_more_scripts_may_begin_than_there_may_be_threads_for(impatient):
    scripts = [Endless(impatient, "EVAL", SPIN, 1, f"k{i}", needs=("GET", f"k{i}")) for i in range(8)]
    assert refusal(impatient, "EVAL", "return 1", 1, "free").startswith("BUSY")
    assert impatient("SET", "free", "1") == b"OK"
    assert impatient("SCRIPT", "KILL") == b"OK"
    for script in scripts:
        script.is_told()
    assert impatient("EVAL", "return 1", 1, "free") == 1


def test_listeners_hear_everything_beside_a_script(start):
    """The listener is on the worker whose thread the script has; a second one runs a script itself."""
    server = start("baton", "--worker-threads", 1, "--busy-reply-threshold", 20)
    with server.connect() as idle, server.connect() as busy:
        for listener in (idle, busy):
            listener("HELLO", 3)
            listener("SUBSCRIBE", "news")
        script = Endless(server, "EVAL", SPIN, 1, "held", connection=busy)
        server("SET", "free", "1")
        publisher = server.connect()
        assert server("SCRIPT", "KILL") == b"OK"
        script.is_told()
        assert publisher("PUBLISH", "news", "1") == 2
        for listener in (idle, busy):
            assert listener.read()[2] == b"1"


def test_what_a_connection_sent_before_is_served_beside_the_script(impatient):
    """Bytes that were reported to the thread of the script are read by the one that stands in for it."""
    others = [impatient.connect() for _ in range(8)]
    with impatient.connect() as busy:
        busy.send(encode("EVAL", SPIN, 1, "held") + encode("SET", "behind", "1"))
        for other in others:
            other.send(encode("SET", "free", "1"))
        assert [other.read() for other in others] == [b"OK"] * 8
        eventually(lambda: refusal(impatient, "SCRIPT", "KILL") == "", "the script to be known")
        assert "killed by user" in str(busy.read())
        assert busy.read() == b"OK"
        assert busy("GET", "behind") == b"1"
    for other in others:
        assert other("GET", "free") == b"1"
        other.close()


def test_who_waits_for_what_a_script_holds_is_refused_once_that_is_known(impatient):
    """Commands that came while nobody knew that the script takes long."""
    impatient("CONFIG", "SET", "busy-reply-threshold", 300)
    commands = [("GET", "held"), ("KEYS", "*"), ("SCAN", "0", "COUNT", "100000"), ("FLUSHALL",), ("EVAL", "return 1", 1, "held")]
    waiters = [impatient.connect() for _ in commands]
    with impatient.connect() as busy:
        busy.send(encode("EVAL", SPIN, 1, "held"))
        time.sleep(0.05)
        for waiter, command in zip(waiters, commands):
            waiter.send(encode(*command))
        for waiter, command in zip(waiters, commands):
            assert str(waiter.read()).startswith("BUSY"), command
        assert impatient("SCRIPT", "KILL") == b"OK"
        assert "killed by user" in str(busy.read())
        assert all(waiter("SET", "held", "1") == b"OK" for waiter in waiters)


def test_transactions_beside_a_script(impatient):
    with impatient.connect() as watching, impatient.connect() as other:
        watching("WATCH", "held")
        watching("MULTI")
        watching("SET", "free", "1")
        script = Endless(impatient, "EVAL", SPIN, 1, "held")
        assert refusal(other, "WATCH", "held").startswith("BUSY")
        assert refusal(watching, "EXEC").startswith("EXECABORT")
        assert [other(*c) for c in (("MULTI",), ("SET", "free", "2"), ("EXEC",))] == [b"OK", b"QUEUED", [b"OK"]]
        other("WATCH", "free")
        # Whose connection ends, holds up nobody either.
        script.end("SCRIPT", "KILL")
        assert watching("SET", "held", "1") == b"OK"


def test_connections_end_beside_a_script_that_holds_what_they_watch(impatient):
    watching = [impatient.connect() for _ in range(4)]
    for connection in watching:
        connection("WATCH", "held")
    script = Endless(impatient, "EVAL", SPIN, 1, "held")
    for connection in watching:
        connection.close()
    assert [impatient("SET", "free", "1") for _ in range(4)] == [b"OK"] * 4
    script.end("SCRIPT", "KILL")


def test_who_waits_for_a_key_gets_it_after_the_script(impatient):
    with impatient.connect() as waiter:
        waiter.send(encode("BLPOP", "list", 0))
        eventually(lambda: impatient.info("clients")["blocked_clients"] == "1", "the wait")
        until = "redis.call('rpush', KEYS[1], 'x') local n = 0 while n < 4e7 do n = n + 1 end redis.call('rpush', KEYS[1], 'y')"
        script = Endless(impatient, "EVAL", until + " return redis.call('llen', KEYS[1])", 1, "list")
        assert script.connection.read() == 2
        assert waiter.read() == [b"list", b"x"]


def test_only_the_end_without_a_save_is_possible_beside_a_script(impatient):
    script = Endless(impatient, "EVAL", SPIN, 1, "held")
    assert refusal(impatient, "SHUTDOWN").startswith("BUSY")
    script.end("SCRIPT", "KILL")


def test_a_script_that_wrote_everywhere_ends_with_the_server_only(impatient):
    Endless(impatient, "EVAL", "redis.call('set', 'a', redis.call('keys', '*')[1] or 'x') " + SPIN, 0)
    assert refusal(impatient, "SCRIPT", "KILL").startswith("UNKILLABLE")
    with pytest.raises(Closed):
        impatient("SHUTDOWN", "NOSAVE")
    assert impatient.process.wait(20) == 0


def test_a_crowd_beside_scripts_is_served_to_the_last(start):
    """Threads take each other's place all the time: no reply is lost, no connection forgotten, no thread left over."""
    server = start("baton", "--worker-threads", 2, "--busy-reply-threshold", 1)
    spin = "for i = 1, tonumber(ARGV[1]) do end "
    end, replies = time.monotonic() + 3, []

    def requests(rng):
        key = rng.choice("abcdef")
        effort = rng.randrange(1000, 300000)
        return rng.choice([
            ("SET", key, "1"), ("INCR", "n" + key), ("LPUSH", "l" + key, "x"), ("BLPOP", "l" + key, "0.01"), ("KEYS", "*"),
            ("EVAL", spin + "return redis.call('incr', KEYS[1])", 1, "n" + key, effort),
            ("EVAL", spin + "redis.call('lpush', KEYS[1], 'y') return redis.call('publish', 'news', 'x')", 1, "l" + key, effort),
            ("EVAL", spin + "return #redis.call('keys', '*')", 0, effort),
            ("WATCH", key), ("UNWATCH",), ("MULTI",), ("EXEC",), ("PING",), ("SCRIPT", "KILL"), ("PUBLISH", "news", "y"),
        ])

    def visitor(seed):
        rng = random.Random(seed)
        while time.monotonic() < end:
            with server.connect() as connection:
                for _ in range(rng.randrange(1, 20)):
                    batch = [requests(rng) for _ in range(rng.choice([1, 2, 10]))]
                    connection.send(b"".join(encode(*request) for request in batch))
                    replies.extend(type(connection.read()) for _ in batch)

    threads = [threading.Thread(target=visitor, args=(seed,)) for seed in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert len(replies) > 1000
    eventually(lambda: server.info()["connected_clients"] == "1", "all to be gone")
    assert server.info()["blocked_clients"] == "0"
    tasks = pathlib.Path(f"/proc/{server.process.pid}/task")
    if tasks.exists():
        assert sum((task / "comm").read_text().startswith("baton-worker") for task in tasks.iterdir()) == 2


def test_what_was_published_before_a_script_is_heard_beside_it(start):
    """By a connection of the same worker, in one batch with the script; and in order."""
    server = start("baton", "--worker-threads", 1, "--busy-reply-threshold", 20)
    with server.connect() as listener, server.connect() as busy:
        listener("SUBSCRIBE", "news")
        busy.send(encode("PUBLISH", "news", "before") + encode("EVAL", SPIN, 1, "held") + encode("PUBLISH", "news", "after"))
        assert listener.read()[2] == b"before"
        assert server("SCRIPT", "KILL") == b"OK"
        assert busy.read() == 1
        assert "killed by user" in str(busy.read())
        assert busy.read() == 1
        assert listener.read()[2] == b"after"


def test_who_counts_the_keys_of_a_slot_that_a_script_holds_is_refused_once_that_is_known(start):
    server = start("baton", "--worker-threads", 2, "--busy-reply-threshold", 300, "--cluster-enabled", "yes")
    server("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    eventually(lambda: "cluster_state:ok" in server("CLUSTER", "INFO").decode(), "the cluster to serve")
    slot = server("CLUSTER", "KEYSLOT", "held")
    for command in (("COUNTKEYSINSLOT", slot), ("GETKEYSINSLOT", slot, 10), ("SLOT-STATS", "SLOTSRANGE", slot, slot)):
        with server.connect() as busy, server.connect() as waiter:
            busy.send(encode("EVAL", SPIN, 1, "held"))
            time.sleep(0.05)
            waiter.send(encode("CLUSTER", *command))
            assert str(waiter.read()).startswith("BUSY"), command
            assert server("SCRIPT", "KILL") == b"OK"
            assert "killed by user" in str(busy.read())


def test_no_reply_waits_for_a_script_that_arrived_in_the_same_turn(start):
    # Nobody takes the worker's place before the reader below has given up.
    server = start("baton", "--worker-threads", 1, "--busy-reply-threshold", 60_000)
    server("SET", "key", "value")
    with server.connect(timeout=10) as early, server.connect() as late:
        assert early("PING") == late("PING") == b"PONG"
        server.stop()
        early.send(encode("GET", "key"))
        late.send(encode("EVAL", SPIN, 0))
        server.go_on()
        assert early.read() == b"value"
        server.kill()
