"""What clients are told while the dataset is loaded at the start."""

import signal

import pytest

import resp
from servers import eventually

KEYS = 2000
DELAY_MICROSECONDS = 20_000


def loading(start, *log):
    """A server that is loading for much longer than anybody waits for it."""
    server = start("baton", "--enable-debug-command", "yes", *log)
    server("DEBUG", "POPULATE", KEYS)
    server("BGREWRITEAOF" if log else "SAVE")
    if log:
        eventually(lambda: server.info("persistence")["aof_rewrite_in_progress"] == "0", "the rewrite to end")
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(30)
    server.flags += ["--key-load-delay", str(DELAY_MICROSECONDS)]
    server.launch()

    def is_told():
        try:
            return server.info("persistence")["loading"] == "1"
        except OSError:
            return False

    eventually(is_told, "INFO to tell of the loading")
    return server


@pytest.mark.parametrize("log", [(), ("--appendonly", "yes")], ids=["snapshot", "log"])
def test_commands_for_keys_are_refused_and_others_answered(start, log):
    server = loading(start, *log)
    for words in [("PING",), ("GET", "key:1"), ("SET", "a", "b"), ("DBSIZE",), ("MULTI",)]:
        with server.connect() as connection:
            if words == ("MULTI",):
                assert connection(*words) == b"OK"
                words = ("INCR", "n")
            with pytest.raises(resp.ErrorReply, match="^LOADING Valkey is loading the dataset in memory$"):
                connection(*words)
    info = server.info("persistence")
    assert int(info["loading_loaded_bytes"]) <= int(info["loading_total_bytes"]) > 0
    assert 0 <= float(info["loading_loaded_perc"]) <= 100 and int(info["loading_eta_seconds"]) >= 0
    assert server("PUBLISH", "channel", "text") == 0
    assert server("CONFIG", "SET", "key-load-delay", "0") == b"OK"
    eventually(lambda: server.info("persistence")["loading"] == "0", "the dataset to be loaded")
    assert server("DBSIZE") == KEYS
    assert server("SET", "a", "b") == b"OK"


@pytest.mark.parametrize("how", ["signal", "command"])
def test_a_server_that_loads_ends_at_once_and_loses_nothing(start, how):
    server = loading(start)
    if how == "signal":
        server.process.send_signal(signal.SIGTERM)
    else:
        with server.connect() as connection, pytest.raises((resp.Closed, OSError)):
            connection("SHUTDOWN")
    assert server.process.wait(KEYS * DELAY_MICROSECONDS / 1e6 / 4) == 0
    server.flags = server.flags[:-2]
    server.start()
    assert server("DBSIZE") == KEYS


def test_what_is_published_meanwhile_is_no_part_of_the_history(start):
    primary = start("baton", "--enable-debug-command", "yes")
    replica = start("baton", "--replicaof", "127.0.0.1", primary.port)
    eventually(replica.is_linked, "the link")
    primary("DEBUG", "POPULATE", KEYS)
    primary("SET", "last", "1")
    eventually(lambda: replica("GET", "last") == b"1", "the write to arrive")
    replica("SAVE")
    replica.process.kill()
    replica.process.wait()
    replica.flags += ["--key-load-delay", "200"]
    replica.launch()

    def publishes():
        try:
            return replica("PUBLISH", "channel", "text") == 0
        except OSError:
            return False

    eventually(publishes, "a message to be published")
    primary("SET", "last", "2")
    eventually(replica.is_linked, "the link again")
    eventually(lambda: replica("GET", "last") == b"2", "the write to arrive")
    assert primary.info("stats")["sync_partial_ok"] == "1"


def test_the_allocator_gives_pages_back_soon(start):
    assert "allocator keeps" not in start("baton").log()
