"""A cluster with quorum writes under faults: no order of operations may be left without explanation, nothing acknowledged may be
lost. Real processes are killed, stopped and cut off from the bus while clients go on."""

import os
import random
import signal
import threading
import time

import pytest
import resp
from linear import GET, INCR, SET, History, Operation

from servers import eventually

KEYS = [f"key:{n}" for n in range(24)]
CLIENTS = 8
PATIENCE_SECONDS = 3
# Errors of commands that were not executed.
REFUSALS = ("MOVED", "NOREPLICAS", "CLUSTERDOWN", "LOADING", "READONLY", "MASTERDOWN", "TRYAGAIN")


class Shard:
    """One shard with all keys and two replicas, and two more voters. Replicas have to acknowledge every write."""

    def __init__(self, start, **settings):
        flags = {"cluster-enabled": "yes", "cluster-node-timeout": 1000, "write-ack-replicas": 1, "write-ack-timeout": 400,
                 "cluster-require-full-coverage": "no", "repl-diskless-sync-delay": 0, "enable-debug-command": "yes"} | settings
        words = [word for name, value in flags.items() for word in (f"--{name}", value)]
        self.nodes = [start("baton", *words) for _ in range(5)]
        first, *others = self.nodes
        for number, node in enumerate(self.nodes):
            node("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in others:
            first("CLUSTER", "MEET", "127.0.0.1", node.port)
        first("CLUSTER", "ADDSLOTSRANGE", 0, 16381)
        others[0]("CLUSTER", "ADDSLOTS", 16382)
        others[1]("CLUSTER", "ADDSLOTS", 16383)
        self.members = [first, *others[2:]]
        own = first("CLUSTER", "MYID")
        for replica in self.members[1:]:
            eventually(lambda replica=replica: own in replica("CLUSTER", "NODES"), "the primary to be known")
            replica("CLUSTER", "REPLICATE", own)
        eventually(lambda: all(b"cluster_slots_ok:16384" in node("CLUSTER", "INFO") for node in self.nodes), "the cluster")
        self.whole()

    def primary(self):
        """The one that writes get their acknowledgements from, by trying."""
        for node in self.members:
            if node.process.poll() is None:
                try:
                    with node.connect(1) as connection:
                        connection("SET", "probe", "1")
                    return node
                except (OSError, resp.ErrorReply, resp.Closed):
                    continue
        return None

    def whole(self):
        """Waits until one of the members serves and the two others follow it; gives that one."""

        def check():
            node = self.primary()
            return node if node and node.info("replication").get("write_ack_replicas_present") == "2" else None

        return eventually(check, "a primary and two replicas", 40)


class Client(threading.Thread):
    """Sets, reads and counts keys, and notes what it was told. A write without a reply counts as one that may have happened."""

    def __init__(self, number, shard, history):
        super().__init__(daemon=True)
        self.ports = [node.port for node in shard.members]
        self.history = history
        self.chance = random.Random(number)
        self.value = number * 10_000_000
        self.connection = None
        self.trouble = None
        self.ending = threading.Event()

    def run(self):
        try:
            while not self.ending.is_set():
                self.step()
        except Exception as error:  # noqa: BLE001 - shown by the test
            self.trouble = repr(error)

    def step(self):
        key, kind = self.chance.choice(KEYS), self.chance.choice([SET, GET, GET, INCR])
        self.value += 1000
        command = (kind, key, self.value) if kind == SET else (kind, key)
        began = time.monotonic()
        try:
            if self.connection is None:
                self.connection = resp.Connection(self.ports[0], PATIENCE_SECONDS)
                began = time.monotonic()
            reply = self.connection(*command)
            ended = time.monotonic()
        except resp.ErrorReply as error:
            word = str(error).split()[0]
            if word == "UNACKED":
                self.unknown(key, kind, began)
            elif word not in REFUSALS:
                raise
            if word == "MOVED":
                self.turn_to(int(str(error).rsplit(":", 1)[1]))
            else:
                time.sleep(0.01)
                # Somebody else may know better; but some go on asking here.
                if self.chance.random() < 0.2:
                    self.turn_to(self.chance.choice(self.ports))
            return
        except (OSError, resp.Closed):
            self.unknown(key, kind, began)
            self.turn_to(self.ports[1])
            time.sleep(0.02)
            return
        result = (None if reply is None else int(reply)) if kind == GET else reply
        self.history.note(key, Operation(kind, self.value, result, began, ended))

    def unknown(self, key, kind, began):
        if kind != GET:
            self.history.note(key, Operation(kind, self.value, None, began, None))

    def turn_to(self, port):
        if self.connection:
            self.connection.close()
            self.connection = None
        if port in self.ports:
            self.ports.remove(port)
            self.ports.insert(0, port)


class Clients:
    """Clients that go on while faults happen; looks at their history in the end."""

    def __init__(self, shard):
        self.history = History()
        self.clients = [Client(number, shard, self.history) for number in range(1, CLIENTS + 1)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        self.flows()
        return self

    def flows(self):
        """Waits until operations are answered again."""
        before = self.history.count(SET)
        eventually(lambda: self.history.count(SET) > before + 20, "writes to be acknowledged")

    def __exit__(self, kind, *_):
        for client in self.clients:
            client.ending.set()
        for client in self.clients:
            client.join(30)
        if kind is None:
            assert not [client.trouble for client in self.clients if client.trouble]
            print(f"{self.history.count()} operations answered, {self.history.unanswered()} writes without a reply")
            violations = self.history.violations()
            for key, operations in violations.items():
                print(key, *operations, sep="\n  ")
            assert not violations, "no order of operations explains what clients were told"


@pytest.fixture
def shard(start):
    return Shard(start)


def test_killed_primaries(shard):
    with Clients(shard) as clients:
        for _ in range(3):
            victim = shard.whole()
            time.sleep(0.5)
            victim.kill()
            heir = eventually(shard.primary, "a successor", 20)
            assert heir is not victim
            clients.flows()
            victim.start()
        shard.whole()
        clients.flows()


def test_primaries_that_stand_still(shard):
    with Clients(shard) as clients:
        for _ in range(3):
            victim = shard.whole()
            time.sleep(0.5)
            os.kill(victim.process.pid, signal.SIGSTOP)
            try:
                heir = eventually(shard.primary, "a successor", 20)
                assert heir is not victim
                clients.flows()
            finally:
                os.kill(victim.process.pid, signal.SIGCONT)
        shard.whole()
        clients.flows()


def test_short_pauses_that_nobody_is_replaced_for(shard):
    with Clients(shard) as clients:
        for _ in range(6):
            for node in shard.members:
                os.kill(node.process.pid, signal.SIGSTOP)
                time.sleep(0.15)
                os.kill(node.process.pid, signal.SIGCONT)
            clients.flows()


class OffTheBus:
    """A node that neither says nor hears anything on the cluster bus, while replicas and clients still reach it."""

    def __init__(self, victim, nodes):
        self.victim, self.others = victim, [node("CLUSTER", "MYID") for node in nodes if node is not victim]

    def _switch(self, off):
        self.victim("DEBUG", "DISABLE-CLUSTER-RECONNECTION", int(off))
        self.victim("DEBUG", "DROP-CLUSTER-PACKET-FILTER", -2 if off else -1)
        self.victim("DEBUG", "CLOSE-CLUSTER-LINK-ON-PACKET-DROP", int(off))

    def __enter__(self):
        self._switch(True)
        for other in self.others:
            self.victim("DEBUG", "CLUSTERLINK", "KILL", "all", other)

    def __exit__(self, *_):
        self._switch(False)


def test_a_primary_that_the_bus_has_lost(shard):
    """The worst moment for a second primary: the first one is reached by everybody but those who vote."""
    with Clients(shard) as clients:
        for _ in range(2):
            victim = shard.whole()
            others = [node for node in shard.members if node is not victim]
            with OffTheBus(victim, shard.nodes):
                eventually(lambda: any(b"myself,master" in node("CLUSTER", "NODES") for node in others), "a successor")
                clients.flows()
                # The old one is still asked, by those who never heard of another.
                time.sleep(1)
            shard.whole()
            clients.flows()


def test_planned_handovers(shard):
    with Clients(shard) as clients:
        for _ in range(4):
            old = shard.whole()
            heir = next(node for node in shard.members if node is not old)
            heir("CLUSTER", "FAILOVER")
            eventually(lambda heir=heir: b"myself,master" in heir("CLUSTER", "NODES"), "the handover")
            clients.flows()
