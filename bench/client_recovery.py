#!/usr/bin/env python3
"""How long an application waits, through its client library, when a primary of a cluster stops, changes roles or dies.

    BATON_BIN=path/to/baton .venv/bin/python bench/client_recovery.py [--rounds 5] [--loops 4] [--kind baton|valkey]
        [--libraries py-redis,py-valkey,node-redis,ioredis,redis-rs] [--events SIGTERM,FAILOVER,KILL]

Three primaries with a replica each, on this machine, node timeout 5 seconds. Each library, in its default configuration,
writes and reads keys of one primary without pause; then that primary gets SIGTERM, its replica CLUSTER FAILOVER, or the
primary is killed. Printed are, over the rounds: the time from the event until the successor says that it is primary (asked
every 10 ms), the time from the event to the first success after the longest wait around it, that wait, and the errors that
the application saw. `scripts/test` installs the libraries of Python and Node; that of Rust is built here, if there is a
cargo. Servers and clients share the machine, so the figures include what they take from each other.
"""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

import load  # noqa: E402
import resp  # noqa: E402
from servers import Server, eventually  # noqa: E402
from test_cluster import Cluster, run_tool  # noqa: E402

LIBRARIES = ["py-redis", "py-valkey", "node-redis", "ioredis", "redis-rs"]
EVENTS = ["SIGTERM", "FAILOVER", "KILL"]
# A primary writes to nobody in its first two seconds, so a node that has just come back is no fair successor.
AFTER_START_SECONDS = 2.5


def make_cluster(kind):
    flags = ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000", "--repl-diskless-sync-delay", "0"]
    if kind == "valkey":
        # Without the word it does not hand over.
        flags += ["--shutdown-on-sigterm", "failover"]
    cluster = Cluster([Server(kind, *flags) for _ in range(6)])
    for node in cluster.nodes:
        node.start()
    places = [f"127.0.0.1:{node.port}" for node in cluster.nodes]
    code, output = run_tool("--cluster", "create", *places, "--cluster-replicas", 1, "--cluster-yes")
    assert code == 0, output
    cluster.settled()
    time.sleep(AFTER_START_SECONDS)
    return cluster


def tags(node, count=8):
    """Hash tags of slots that this node serves."""
    found, number = [], 0
    while len(found) < count:
        number += 1
        try:
            node("GET", "{%d}" % number)
            found.append("{%d}" % number)
        except resp.ErrorReply:
            continue
    return found


def rust_program():
    """The program that uses the Rust library; nothing where it can't be built."""
    if not shutil.which("cargo"):
        return None
    folder = ROOT / "bench" / "client_rs"
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "client_rs"
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", folder / "Cargo.toml", "--target-dir", target]
    if subprocess.run(command, check=False).returncode != 0:
        return None
    return [str(target / "release" / "client-rs")], "redis"


def one_round(cluster, library, program, event, loops):
    """Milliseconds from the event to the first success after the longest wait, that wait, the report, and milliseconds from
    the event until the successor said that it is primary."""
    primary = cluster.a_primary()
    heir = cluster.replicas_of(primary)[0]
    other = next(node for node in cluster.nodes if node not in (primary, heir))
    running = load.Load(library, other.port, tags(primary), loops=loops, program=program)
    time.sleep(1)
    began = time.time() * 1000
    if event == "SIGTERM":
        primary.send_signal(signal.SIGTERM)
    elif event == "FAILOVER":
        heir("CLUSTER", "FAILOVER")
    else:
        primary.kill()
    eventually(lambda: cluster.is_primary(heir), f"{heir} to be primary", 60)
    serves = time.time() * 1000
    time.sleep(8 if event == "KILL" else 1.5)
    report = running.finish()
    around = [gap for gap in report["gaps"] if gap[1] > began and gap[0] < serves]
    first, last = max(around, key=lambda gap: gap[1] - gap[0], default=(began, began))
    if event != "FAILOVER":
        primary.process.wait(60)
        primary.start()
        time.sleep(AFTER_START_SECONDS)
    cluster.settled()
    return last - began, last - first, report, serves - began


def show(library, event, rounds):
    recovered, waited = [r[0] for r in rounds], [r[1] for r in rounds]
    errors = [error for r in rounds for error in r[2]["errors"]]
    kinds = ", ".join(sorted({text.split(":")[0] for _, text in errors})) or "none"
    count = f"{len(errors) / len(rounds):.1f} ({kinds})" if errors else "none"
    lost = sum(len(r[2]["lost"]) for r in rounds)
    print(
        f"| {library} | {event} | {statistics.median(r[3] for r in rounds):.0f} | {statistics.median(recovered):.0f} | {max(recovered):.0f} | {statistics.median(waited):.0f} "
        f"| {max(waited):.0f} | {count} | {lost} |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loops", type=int, default=4)
    parser.add_argument("--kind", default="baton", choices=["baton", "valkey"])
    parser.add_argument("--libraries", default=",".join(LIBRARIES))
    parser.add_argument("--events", default=",".join(EVENTS))
    options = parser.parse_args()
    programs = {}
    for library in options.libraries.split(","):
        program = rust_program() if library == "redis-rs" else None
        why = load.missing(library) or ("needs cargo" if library == "redis-rs" and program is None else None)
        if why:
            print(f"{library} is left out: {why}", file=sys.stderr)
        else:
            programs[library] = program
    cluster = make_cluster(options.kind)
    try:
        print(f"{options.kind}, {options.rounds} rounds, {options.loops} loops, milliseconds\n")
        print("| library | event | to successor, median | to success, median | longest | wait, median | longest | errors a round | stale reads |")
        print("|---|---|---|---|---|---|---|---|---|", flush=True)
        for event in options.events.split(","):
            for library, program in programs.items():
                rounds = [one_round(cluster, library, program, event, options.loops) for _ in range(options.rounds)]
                show(library, event, rounds)
    finally:
        for node in cluster.nodes:
            node.remove()


if __name__ == "__main__":
    main()
