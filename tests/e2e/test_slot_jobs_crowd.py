"""Many moves of slots at a time between all primaries of a cluster, each with clients that go on counting and some of them
cancelled: whoever has a slot in the end has all of it. ROUNDS=100 makes it longer."""

import os
import random
import threading
import time

from resp import Closed, ErrorReply
from servers import eventually
from test_cluster import make_cluster  # noqa: F401 (a fixture)
from test_slot_jobs import DEBUG, jobs, my_id, tag_of

ROUNDS = int(os.environ.get("ROUNDS", 3))
SLOTS_A_NODE = 4
KEYS = 60


class Writer:
    """Counts in the keys of one slot, wherever that is served, and knows what was acknowledged."""

    def __init__(self, cluster, node, slot, tag):
        self.slot, self.tag, self.owner = slot, tag, node
        self.by_port = {n.port: n for n in cluster.nodes}
        self.port, self.connections = node.port, {}
        self.acknowledged = [0] * KEYS
        self.errors, self.ending = [], threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def key(self, n):
        return f"{self.tag}{n}"

    def _run(self):
        n = 0
        while not self.ending.is_set():
            n = (n + 1) % KEYS
            try:
                got = self._increment(n)
            except (ErrorReply, Closed, OSError) as error:
                self.errors.append(f"{type(error).__name__}: {error}")
                return
            self.acknowledged[n] += 1
            if got != self.acknowledged[n]:
                self.errors.append(f"{self.key(n)} of slot {self.slot} is {got} at {self.port} instead of {self.acknowledged[n]}")
                return
            time.sleep(0.0005)

    def _increment(self, n):
        while True:
            if self.port not in self.connections:
                self.connections[self.port] = self.by_port[self.port].connect()
            try:
                return self.connections[self.port]("INCR", self.key(n))
            except ErrorReply as error:
                if not str(error).startswith("MOVED"):
                    raise
                self.port = int(str(error).rpartition(":")[2])

    def finish(self):
        self.ending.set()
        self.thread.join(30)
        assert not self.thread.is_alive()


def begin(writer, target):
    """Asks whoever has the slot to move it; none if that is not known there yet, or another move is not over."""
    source = writer.owner
    try:
        source("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", writer.slot, writer.slot, "NODE", my_id(target))
    except ErrorReply as error:
        return str(error)
    return None


def owner_of(cluster, slot):
    """Whom all nodes believe to have a slot."""
    found = set()
    for node in cluster.nodes:
        ranges = node("CLUSTER", "SLOTS")
        found |= {row[2][1] for row in ranges if row[0] <= slot <= row[1]}
    return next((n for n in cluster.nodes if found == {n.port}), None)


def all_over(cluster):
    return all(job[b"state"] in (b"success", b"failed", b"cancelled") for node in cluster.nodes for job in jobs(node))


def whole(cluster, writer):
    """What is wrong with a slot at whom it belongs to."""
    writer.owner = eventually(lambda: owner_of(cluster, writer.slot), f"an owner of slot {writer.slot}")
    acknowledged = list(writer.acknowledged)
    values = [int(writer.owner("GET", writer.key(n)) or 0) for n in range(KEYS)]
    wrong = [(n, got, known) for n, (got, known) in enumerate(zip(values, acknowledged, strict=True)) if got < known]
    eventually(lambda: all(n("CLUSTER", "COUNTKEYSINSLOT", writer.slot) == 0 for n in cluster.nodes if n is not writer.owner), "others to have nothing left")
    return [f"slot {writer.slot} at {writer.owner.port}: {wrong[:5]} and {len(wrong)} in all"] if wrong else []


def test_slots_cross_each_other(make_cluster):  # noqa: F811
    cluster = make_cluster(*["baton"] * 3, settings=DEBUG)
    chance = random.Random(int(os.environ.get("SEED", 1)))
    writers = []
    for node in cluster.nodes:
        ranges = [row for row in node("CLUSTER", "SLOTS") if row[2][1] == node.port]
        writers += [Writer(cluster, node, slot, tag_of(node, slot)) for slot in range(ranges[0][0], ranges[0][0] + SLOTS_A_NODE)]
    for writer in writers:
        writer.thread.start()
    eventually(lambda: all(min(writer.acknowledged) > 0 for writer in writers), "all keys to be there")
    for round_number in range(ROUNDS):
        together = chance.random() < 0.6
        for node in cluster.nodes:
            node("DEBUG", "SLOTMIGRATION", "PREVENT-PAUSE", int(together))
        moved = 0
        for writer in chance.sample(writers, len(writers)):
            target = chance.choice([n for n in cluster.nodes if n is not writer.owner])
            moved += begin(writer, target) is None
        if together:
            eventually(lambda: all(job[b"state"] not in (b"connecting", b"reading-establish-response", b"snapshotting") for n in cluster.nodes for job in jobs(n)), "the values to be there")
        for node in cluster.nodes:
            node("DEBUG", "SLOTMIGRATION", "PREVENT-PAUSE", 0)
        if chance.random() < 0.3:
            time.sleep(chance.random() * 0.02)
            try:
                chance.choice(cluster.nodes)("CLUSTER", "CANCELSLOTMIGRATIONS")
            except ErrorReply:
                pass  # All of them were over.
        eventually(lambda: all_over(cluster), f"the jobs of round {round_number} to be over")
        wrong = [text for writer in writers for text in whole(cluster, writer)]
        assert wrong == [] and [error for writer in writers for error in writer.errors] == [], f"round {round_number}"
        assert moved > 0
    for writer in writers:
        writer.finish()
    wrong = [text for writer in writers for text in whole(cluster, writer)]
    assert wrong == [] and [error for writer in writers for error in writer.errors] == []
