#!/usr/bin/env python3
"""How long a client cannot write while one or two shards replace a primary, with a witness and without.

    BATON_BIN=path/to/baton .venv/bin/python bench/small_clusters.py [--rounds 10] [--how kill|stop|sigterm|failover|force ...]

Each round, the primary of the first shard goes away in one of these ways while clients write to it without pause; then it
comes back, and the next round is about its successor. Measured is the longest time between two acknowledged writes of one
client around the event; a round counts its worst client. `kill`, `stop` (SIGSTOP) and `sigterm` leave it to the cluster,
`failover` asks the replica, and `force` (only without a witness) is the operator's word after SIGKILL, 300 ms later.
Servers and clients share the machine. Lost are acknowledged writes that the successor doesn't have.
"""

import argparse
import random
import signal
import statistics
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "e2e"))

import resp  # noqa: E402
from servers import eventually  # noqa: E402
from small import Small, follows, is_primary, serves  # noqa: E402

TAG = "{06S}"  # of slot 0, so of the first shard
SETTLE_SECONDS = 0.5
FORCE_AFTER_SECONDS = 0.3


class Writer(threading.Thread):
    """Writes rising numbers to one key, goes where MOVED says, and tries all nodes when one is gone."""

    def __init__(self, number, ports):
        super().__init__(daemon=True)
        self.key, self.ports, self.value = f"{TAG}:writer:{number}", ports, 0
        self.gap, self.errors, self.ending = 0.0, 0, False

    def run(self):
        connection, port, last = None, self.ports[0], time.perf_counter()
        while not self.ending:
            try:
                connection = connection or resp.Connection(port, timeout=1)
                connection("SET", self.key, self.value + 1)
                self.value += 1
                now = time.perf_counter()
                self.gap, last = max(self.gap, now - last), now
                continue
            except resp.ErrorReply as error:
                moved = str(error).startswith("MOVED ")
                self.errors += not moved
                port = int(str(error).rsplit(":", 1)[1]) if moved else port
            except (OSError, resp.Closed):
                port = random.choice([p for p in self.ports if p != port])
            if connection:
                connection.close()
                connection = None
            time.sleep(0.001)


def disturb(how, old, new):
    if how == "failover":
        new("CLUSTER", "FAILOVER")
    elif how == "stop":
        old.send_signal(signal.SIGSTOP)
    elif how == "sigterm":
        old.send_signal(signal.SIGTERM)
    else:
        old.kill()
        if how == "force":
            time.sleep(FORCE_AFTER_SECONDS)
            new("CLUSTER", "FAILOVER", "FORCE")


def bring_back(how, old):
    if how == "stop":
        old.send_signal(signal.SIGCONT)
    elif how != "failover":
        old.process.wait(30)
        old.start()


def rounds(args, shape, how):
    primaries, witnesses = shape
    cluster = Small(primaries, witnesses, ["--cluster-node-timeout", str(args.timeout), "--save", "3600 1"])
    gaps, lost, errors = [], 0, 0
    try:
        cluster.form()
        old, new = cluster.primaries[0], cluster.replicas[0]
        for _ in range(args.rounds):
            time.sleep(SETTLE_SECONDS)
            writers = [Writer(number, [old.port, new.port]) for number in range(args.clients)]
            for writer in writers:
                writer.start()
            time.sleep(SETTLE_SECONDS)
            disturb(how, old, new)
            eventually(lambda: serves(new), f"{new} to serve", 60)
            reached = [writer.value for writer in writers]
            eventually(lambda: all(w.value > value for w, value in zip(writers, reached)), "all to write again", 60)
            time.sleep(SETTLE_SECONDS)
            for writer in writers:
                writer.ending = True
                writer.join(10)
            gaps.append(1000 * max(writer.gap for writer in writers))
            errors += sum(writer.errors for writer in writers)
            lost += sum(writer.value - int(new("GET", writer.key) or 0) for writer in writers)
            bring_back(how, old)
            eventually(lambda: not is_primary(old) and follows(old, new), f"{old} to follow", 60)
            cluster.primaries[0], cluster.replicas[0] = old, new = new, old
            cluster.settle()
    finally:
        cluster.remove()
    name = f"{primaries}+{primaries}" + (f"+{witnesses} witness" if witnesses else "")
    median, worst = statistics.median(gaps), max(gaps)
    print(f"| {name} | {how} | {median:.0f} | {worst:.0f} | {errors} | {lost} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--timeout", type=int, default=15000, help="cluster-node-timeout, ms")
    parser.add_argument("--how", nargs="*", default=["kill", "sigterm", "failover", "force"])
    args = parser.parse_args()
    print("| Shape | Event | Median ms | Worst ms | Errors | Lost |\n|---|---|---|---|---|---|")
    for shape in ((1, 0), (1, 1), (2, 1)):
        for how in args.how:
            alone = shape[1] == 0
            if (how == "force") == alone or how in ("sigterm", "failover"):
                rounds(args, shape, how)


if __name__ == "__main__":
    main()
