#!/usr/bin/env python3
"""How long a client that follows redirects cannot write while a primary outside a cluster hands over.

    BATON_BIN=path/to/baton .venv/bin/python bench/handover_standalone.py [--rounds 30] [--clients 1] [--kind baton|valkey]

Each round, a primary with two replicas gets FAILOVER, and then SIGTERM, while clients write without pause. Measured is the
longest time between two acknowledged writes of one client around the event; a round counts its worst client. The servers
and clients share the machine, so the figures include what they take from each other. Exits with 1 if a write was lost.
"""

import argparse
import statistics
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "e2e"))

import resp  # noqa: E402
from servers import Server, eventually  # noqa: E402
from writers import begin, end  # noqa: E402

FLAGS = ["--repl-diskless-sync-delay", "0"]
SETTLE_SECONDS = 0.3


class Writer(threading.Thread):
    """Writes rising numbers, remembers the longest wait, and goes where it is sent."""

    def __init__(self, number, port):
        super().__init__(daemon=True)
        self.key, self.port = f"writer:{number}", port
        self.value, self.redirects, self.gap = 0, 0, 0.0
        self.trouble, self.ending = None, False

    def connect(self):
        self.connection = resp.Connection(self.port)
        self.connection("CLIENT", "CAPA", "redirect")

    def run(self):
        try:
            self.connect()
            last = time.perf_counter()
            while not self.ending:
                try:
                    self.connection("SET", self.key, self.value + 1)
                    self.value += 1
                    now = time.perf_counter()
                    self.gap, last = max(self.gap, now - last), now
                except resp.ErrorReply as error:
                    if not str(error).startswith("REDIRECT "):
                        raise
                    self.redirects += 1
                    self.port = int(str(error).rsplit(":", 1)[1])
                    self.connection.close()
                    self.connect()
            self.connection.close()
        except (OSError, resp.ErrorReply, resp.Closed) as error:
            self.trouble = repr(error)


def follows(replica, primary):
    info = replica.info("replication")
    return info.get("master_port") == str(primary.port) and info.get("master_link_status") == "up"


def link(replica, primary):
    replica("REPLICAOF", "127.0.0.1", primary.port)
    eventually(lambda: follows(replica, primary), "the link")


def by_failover(servers, primary):
    heir = next(s for s in servers if s is not primary)
    primary("FAILOVER", "TO", "127.0.0.1", heir.port)
    eventually(lambda: follows(primary, heir), "the roles to change")
    return heir


def by_sigterm(servers, primary):
    if primary.terminate() != 0:
        raise RuntimeError(f"{primary} ended badly")
    others = [s for s in servers if s is not primary]
    return eventually(lambda: next((s for s in others if s("ROLE")[0] == b"master"), None), "a successor")


def measure(event, servers, primary, clients):
    writers = [Writer(number, primary.port) for number in range(clients)]
    begin(writers, SETTLE_SECONDS)
    for writer in writers:
        writer.gap = 0.0
    successor = event(servers, primary)
    goals = [(w, w.value + 20) for w in writers]
    eventually(lambda: all(w.value >= goal or w.trouble for w, goal in goals), "writes to go on")
    end(writers, successor)
    for server in servers:
        if server.process.poll() is not None:
            server.start()
        if server is not successor:
            link(server, successor)
    return successor, max(w.gap for w in writers) * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--kind", default="baton")
    given = parser.parse_args()
    servers = [Server(given.kind, *FLAGS).start() for _ in range(3)]
    try:
        for server in servers[1:]:
            link(server, servers[0])
        events = {"FAILOVER": by_failover, "SIGTERM": by_sigterm}
        if given.kind != "baton":
            del events["SIGTERM"]
        primary = servers[0]
        for name, event in events.items():
            gaps = []
            for _ in range(given.rounds):
                primary, gap = measure(event, servers, primary, given.clients)
                gaps.append(gap)
            gaps.sort()
            ninth = gaps[min(len(gaps) - 1, len(gaps) * 9 // 10)]
            print(
                f"{name:9} rounds {len(gaps)}, clients {given.clients}: longest wait for a write, ms: "
                f"median {statistics.median(gaps):.1f}, p90 {ninth:.1f}, max {gaps[-1]:.1f}",
                flush=True,
            )
    finally:
        for server in servers:
            server.remove()


if __name__ == "__main__":
    main()
