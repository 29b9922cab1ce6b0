#!/usr/bin/env python3
"""How long a client of a cluster cannot write while its primary hands over, and how long it waits anyway.

    BATON_BIN=path/to/baton .venv/bin/python bench/handover_cluster.py [--rounds 20] [--clients 1] [--shards 3]

Each round, a primary of a cluster with one replica a shard gets CLUSTER FAILOVER (at the replica), and then SIGTERM, while
clients write to it without pause. For each client two waits between acknowledged writes are measured: the one in which it
was sent to the new primary, and the longest of all others in the second after the event. A round counts its worst client.
Servers and clients share the machine: the second figure is what they take from each other. Exits with 1 if a write was
lost, or a client saw anything but MOVED and the end of its connection.
"""

import argparse
import statistics
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "e2e"))

import resp  # noqa: E402
from servers import eventually  # noqa: E402
from small import Small, follows, is_primary, serves  # noqa: E402
from writers import begin, end  # noqa: E402

TAG = "{06S}"  # of slot 0, so of the first shard
SETTLE_SECONDS = 0.5
WATCH_SECONDS = 1.0


class Writer(threading.Thread):
    """Writes rising numbers to one key and goes where MOVED says. Notes when each was acknowledged, and after what."""

    def __init__(self, number, port):
        super().__init__(daemon=True)
        self.key, self.port, self.value = f"{TAG}:writer:{number}", port, 0
        self.times, self.trouble, self.ending = [], None, False

    def run(self):
        try:
            connection, moved = resp.Connection(self.port), False
            while not self.ending:
                try:
                    connection("SET", self.key, self.value + 1)
                except resp.ErrorReply as error:
                    if not str(error).startswith("MOVED "):
                        raise
                    connection.close()
                    connection, moved = resp.Connection(int(str(error).rsplit(":", 1)[1])), True
                    continue
                self.value += 1
                self.times.append((time.perf_counter(), moved))
                moved = False
            connection.close()
        except (OSError, resp.ErrorReply, resp.Closed) as error:
            self.trouble = repr(error)

    def waits(self, since):
        """The wait in which it was moved, and the longest other one, in ms."""
        pairs = [(after - before, moved) for (before, _), (after, moved) in zip(self.times, self.times[1:]) if after > since]
        of = lambda which: max((wait for wait, moved in pairs if moved == which), default=0.0) * 1000  # noqa: E731
        return of(True), of(False)


def by_failover(old, heir):
    heir("CLUSTER", "FAILOVER")
    eventually(lambda: serves(heir), "the successor")


def by_sigterm(old, heir):
    if old.terminate() != 0:
        sys.exit(f"{old} ended badly")
    eventually(lambda: serves(heir), "the successor")


def measure(event, shard, clients):
    old, heir = sorted(shard, key=is_primary, reverse=True)
    writers = [Writer(number, old.port) for number in range(clients)]
    begin(writers, SETTLE_SECONDS)
    began = time.perf_counter()
    event(old, heir)
    time.sleep(max(0.0, began + WATCH_SECONDS - time.perf_counter()))
    end(writers, heir)
    if old.process.poll() is not None:
        old.start()
    eventually(lambda: follows(old, heir), "the old primary to follow")
    moved, others = zip(*(w.waits(began) for w in writers))
    return max(moved), max(others)


def spread(values):
    return f"median {statistics.median(values):.1f}, max {max(values):.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--shards", type=int, default=3)
    given = parser.parse_args()
    cluster = Small(given.shards)
    try:
        cluster.form()
        shard = [cluster.primaries[0], cluster.replicas[0]]
        for name, event in {"CLUSTER FAILOVER": by_failover, "SIGTERM": by_sigterm}.items():
            moved, others = zip(*(measure(event, shard, given.clients) for _ in range(given.rounds)))
            print(
                f"{name:16} rounds {given.rounds}, clients {given.clients}, wait of the worst client, ms: "
                f"handover {spread(moved)}; else {spread(others)}",
                flush=True,
            )
    finally:
        cluster.remove()


if __name__ == "__main__":
    main()
