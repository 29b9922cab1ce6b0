#!/usr/bin/env python3
"""Cuts the network around a primary and its client, and shows who acknowledges writes until when.

    BATON_BIN=path/to/baton .venv/bin/python bench/partition.py [--runs 5] [--node-timeout 15000] [--flag NAME=VALUE ...]

Three primaries and three replicas run in network namespaces of their own, joined by a bridge; all of it lives in a user
namespace that the program makes for itself, and is gone when it ends. One writer sits beside the first primary, another one
outside. The cable of that namespace is pulled: measured is when the first writer got its last acknowledgement and when the
other one got its first, both since the cut. Then the cable is put back, and every acknowledged write is looked for.
Prints a line of JSON for each run, and the medians at the end. Exits with 1 if both sides acknowledged at the same time.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "e2e"))

import resp  # noqa: E402
from servers import eventually  # noqa: E402

NODES, SHARDS, PORT = 6, 3, 7000
CUT_SECONDS = 6.0
TAG = "{0}"  # slot 13907, of the third shard


def ip(*words):
    subprocess.run(["ip", *words], check=True)


class Space:
    """A network namespace with one cable to the bridge."""

    def __init__(self, number):
        self.address, self.cable = f"10.99.0.{number + 1}", f"cable{number}"
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "600"])
        ours = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{self.holder.pid}/ns/net") == ours:
            time.sleep(0.001)
        ip("link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", str(self.holder.pid))
        ip("link", "set", self.cable, "master", "hub", "up")
        for words in (["addr", "add", f"{self.address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"], ["link", "set", "lo", "up"]):
            subprocess.run([*self.enter(), "ip", *words], check=True)

    def enter(self):
        return ["nsenter", "--target", str(self.holder.pid), "--net"]

    def plug(self, on):
        ip("link", "set", self.cable, "up" if on else "down")


def link(address, timeout=1.0):
    return resp.Connection(PORT, timeout=timeout, host=address)


class Cluster:
    def __init__(self, arguments):
        self.folder = Path(tempfile.mkdtemp(prefix="baton-partition-"))
        self.spaces = [Space(number) for number in range(NODES)]
        self.servers = [self.start(space, arguments) for space in self.spaces]
        for space in self.spaces:
            eventually(lambda: self.ask(space.address, "PING") == b"PONG", "a server that answers")
        self.form()

    def start(self, space, arguments):
        folder = self.folder / space.cable
        folder.mkdir()
        flags = ["--port", PORT, "--dir", folder, "--bind", f"{space.address} 127.0.0.1", "--protected-mode", "no", "--save", ""]
        flags += ["--cluster-enabled", "yes", "--cluster-node-timeout", arguments.node_timeout, "--repl-diskless-sync-delay", 0]
        for flag in arguments.flag:
            name, value = flag.split("=", 1)
            flags += [f"--{name}", value]
        binary = Path(os.environ.get("BATON_BIN", "target/release/baton")).resolve()
        words = [*space.enter(), binary, "server", *flags]
        with open(folder / "log", "wb") as log:
            return subprocess.Popen([str(word) for word in words], stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def ask(self, address, *words):
        with link(address, 5.0) as connection:
            return connection(*words)

    def form(self):
        addresses = [space.address for space in self.spaces]
        for number, address in enumerate(addresses[:SHARDS]):
            first, last = 16384 * number // SHARDS, 16384 * (number + 1) // SHARDS - 1
            self.ask(address, "CLUSTER", "ADDSLOTSRANGE", first, last)
            self.ask(address, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for address in addresses[1:]:
            self.ask(addresses[0], "CLUSTER", "MEET", address, PORT)
        for address in addresses:
            eventually(lambda: self.ask(address, "CLUSTER", "INFO").count(b"cluster_known_nodes:6"), "all nodes to know each other")
        for number, address in enumerate(addresses[SHARDS:]):
            primary = self.ask(addresses[number], "CLUSTER", "MYID")
            eventually(lambda: self.ask(address, "CLUSTER", "REPLICATE", primary) == b"OK", "a replica to be told")
        for address in addresses:
            eventually(lambda: b"cluster_state:ok" in self.ask(address, "CLUSTER", "INFO"), "a cluster that is well")
        for address in addresses[SHARDS:]:
            eventually(lambda: b"master_link_status:up" in self.ask(address, "INFO", "replication"), "replicas in sync")

    def end(self):
        for process in self.servers + [space.holder for space in self.spaces]:
            process.kill()
            process.wait()
        for space in self.spaces:
            # The namespace takes its cable along, but not at once.
            subprocess.run(["ip", "link", "del", space.cable], capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def write(name, addresses, seconds):
    """Writes keys of its own one after another wherever it is sent, and prints each number with the time it was acknowledged."""
    end, number, target, connection = time.monotonic() + seconds, 0, 0, None
    address = addresses[0]
    while time.monotonic() < end:
        try:
            connection = connection or link(address, 0.3)
            connection("SET", f"{TAG}:{name}:{number}", number)
            print(number, time.monotonic(), flush=True)
            number += 1
        except resp.ErrorReply as error:
            words = str(error).split()
            if words[0] == "MOVED":
                address = words[2].rsplit(":", 1)[0]
            else:
                target += 1
                address = addresses[target % len(addresses)]
                time.sleep(0.002)
            connection = None
        except (OSError, resp.Closed):
            # What was sent may be executed later, so its number is used up.
            number, target, connection = number + 1, target + 1, None
            address = addresses[target % len(addresses)]


class Writer:
    """A process that writes; what it was acknowledged lies in a file, as nobody reads a pipe meanwhile."""

    def __init__(self, name, addresses, seconds, folder, enter=()):
        words = [*enter, sys.executable, __file__, "--write", name, "--seconds", str(seconds)]
        self.path = folder / name
        with open(self.path, "wb") as out:
            self.process = subprocess.Popen([*words, "--addresses", ",".join(addresses)], stdout=out)

    def acknowledged(self):
        self.process.wait(timeout=60)
        rows = [line.split() for line in self.path.read_text().splitlines()]
        return [(int(number), float(at)) for number, at in rows]


def one(arguments):
    cluster = Cluster(arguments)
    try:
        old, addresses = cluster.spaces[SHARDS - 1], [space.address for space in cluster.spaces]
        others = [address for address in addresses if address != old.address]
        seconds = CUT_SECONDS + 3.0
        near = Writer("near", [old.address], seconds, cluster.folder, old.enter())
        far = Writer("far", others, seconds, cluster.folder)
        time.sleep(1.5)
        cut = time.monotonic()
        old.plug(False)
        time.sleep(CUT_SECONDS)
        old.plug(True)
        near, far = near.acknowledged(), far.acknowledged()
        eventually(lambda: b"role:slave" in cluster.ask(old.address, "INFO", "replication"), "the old primary to follow")
        last = max((at for _, at in near if at < cut + CUT_SECONDS), default=cut)
        first = min((at for _, at in far if at > cut + 0.15), default=None)
        lost = count_lost(cluster, others[-1], {"near": near, "far": far})
        return {
            "stops_ms": round((last - cut) * 1000, 1),
            "goes_on_ms": None if first is None else round((first - cut) * 1000, 1),
            "both": first is not None and last > first,
            "acked_near": len(near),
            "acked_far": len(far),
            "lost": lost,
        }
    finally:
        cluster.end()


def count_lost(cluster, address, rows):
    """How many acknowledged writes the cluster does not have, asked at whoever serves the slot."""
    with link(address, 5.0) as connection:
        try:
            connection("GET", f"{TAG}:near:0")
        except resp.ErrorReply as error:
            address = str(error).split()[2].rsplit(":", 1)[0]
    lost = 0
    with link(address, 5.0) as connection:
        for name, acked in rows.items():
            lost += sum(connection("GET", f"{TAG}:{name}:{number}") is None for number, _ in acked)
    return lost


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--node-timeout", type=int, default=15000)
    parser.add_argument("--flag", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--write", help=argparse.SUPPRESS)
    parser.add_argument("--addresses", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        write(arguments.write, arguments.addresses.split(","), arguments.seconds)
        return 0
    if not arguments.inside:
        words = ["unshare", "--user", "--map-root-user", "--net", sys.executable, __file__, "--inside", *sys.argv[1:]]
        return subprocess.run(words, check=False).returncode
    ip("link", "set", "lo", "up")
    ip("link", "add", "hub", "type", "bridge")
    ip("addr", "add", "10.99.0.254/24", "dev", "hub")
    ip("link", "set", "hub", "up")
    results = []
    for _ in range(arguments.runs):
        results.append(one(arguments))
        print(json.dumps(results[-1]), flush=True)
    middle = {name: statistics.median(r[name] or float("inf") for r in results) for name in ("stops_ms", "goes_on_ms")}
    print(json.dumps({"median": middle, "lost": sum(r["lost"] for r in results)}), flush=True)
    return 1 if any(r["both"] for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
