"""The metrics port: what a scraper gets, what others are refused, and that none of it disturbs the server."""

import http.client
import socket
import threading

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from servers import eventually, free_port

PHASES = {"choose", "catch_up", "fence", "drain", "promote", "redirect", "detect", "schedule", "vote", "succeed", "serve"}


def ask(port, method="GET", path="/metrics"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path)
        reply = connection.getresponse()
        return reply.status, reply.read().decode(), reply.headers
    finally:
        connection.close()


def scrape(port):
    """Values by name and labels, from a parser that is strict about the format."""
    status, text, headers = ask(port)
    assert status == 200
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    families = list(text_string_to_metric_families(text))
    assert all(family.documentation for family in families)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


@pytest.fixture
def watched(start):
    port = free_port()
    return start("baton", "--metrics-port", port), port


def test_figures_follow_what_the_server_does(watched):
    server, port = watched
    before = scrape(port)
    server("SET", "key", "value")
    server("GET", "key")
    server("GET", "nothing")
    now = scrape(port)
    assert now["baton_keys", (("db", "0"),)] == 1
    assert now["baton_keyspace_hits_total", ()] == before["baton_keyspace_hits_total", ()] + 1
    assert now["baton_keyspace_misses_total", ()] == before["baton_keyspace_misses_total", ()] + 1
    assert now["baton_commands_total", ()] >= before["baton_commands_total", ()] + 3
    assert now["baton_role_primary", ()] == 1
    assert now["baton_memory_used_bytes", ()] > 0
    assert ("baton_cluster_ok", ()) not in now
    counts = {labels[0][1] for name, labels in now if name == "baton_primary_change_phase_seconds_count"}
    assert counts == PHASES


def test_a_replica_and_its_lag_are_shown(watched, start):
    server, port = watched
    own = free_port()
    replica = start("baton", "--metrics-port", own, "--replicaof", f"127.0.0.1 {server.port}")
    eventually(replica.is_linked, "the link")
    server("SET", "key", "value")
    name = ("replica", f"127.0.0.1:{replica.port}")
    eventually(lambda: scrape(port).get(("baton_replica_lag_bytes", (name,))) == 0, "the replica to acknowledge")
    seen = scrape(own)
    assert (seen["baton_role_primary", ()], seen["baton_link_up", ()]) == (0, 1)
    assert seen["baton_replication_offset", ()] > 0


def test_only_this_is_served(watched):
    _, port = watched
    assert ask(port, path="/metrics?x=1")[0] == 200
    assert ask(port, path="/")[0] == 404
    assert ask(port, path="/metrics/more")[0] == 404
    status, _, headers = ask(port, method="POST")
    assert (status, headers["Allow"]) == (405, "GET")
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\n" + b"A: " + b"x" * 20_000)
        assert b"431" in connection.recv(100)
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(b"\x00\xff\r\n\r\n")
        assert b"400" in connection.recv(100)


def test_who_says_nothing_is_dropped_and_others_are_served(watched):
    server, port = watched
    silent = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(3)]
    silent[0].sendall(b"GET /metr")
    assert scrape(port)
    crowd = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(100)]
    assert server("PING") == b"PONG"
    for connection in silent + crowd:
        # Closed by the server, at once or when its patience is over.
        try:
            assert connection.recv(1) == b""
        except ConnectionResetError:
            pass
        connection.close()
    assert scrape(port)


def test_scrapes_may_come_together(watched):
    _, port = watched
    found = []
    threads = [threading.Thread(target=lambda: found.append(ask(port)[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [200] * 8


def test_a_port_in_use_keeps_the_server_from_starting(watched, start):
    _, port = watched
    with pytest.raises(RuntimeError, match=r"Failed listening on 127.0.0.1:\d+ \(metrics\)"):
        start("baton", "--metrics-port", port)


def test_nothing_listens_by_default(start):
    server = start("baton")
    assert server("CONFIG", "GET", "metrics-*") == [b"metrics-bind", b"127.0.0.1", b"metrics-port", b"0"]
