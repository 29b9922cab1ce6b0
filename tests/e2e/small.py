"""Clusters of one or two primaries, with and without witnesses: forming them, and what they say about themselves."""

from servers import Server, eventually

FLAGS = ["--cluster-enabled", "yes", "--repl-diskless-sync-delay", "0"]
WITNESS = ["--cluster-witness", "yes"]


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def facts(node, command=("CLUSTER", "INFO")):
    return dict(line.split(":", 1) for line in text(node(*command)).splitlines() if ":" in line)


def my_id(node):
    return text(node("CLUSTER", "MYID"))


def line_of(viewer, node):
    """How a node shows another one in CLUSTER NODES, as words."""
    known = my_id(node) if not isinstance(node, str) else node
    return next((line.split() for line in text(viewer("CLUSTER", "NODES")).splitlines() if line.startswith(known)), None)


def is_primary(node):
    return node("ROLE")[0] == b"master"


def serves(node):
    """A primary whose cluster is up."""
    return is_primary(node) and facts(node)["cluster_state"] == "ok" and "myself,master" in text(node("CLUSTER", "NODES"))


def follows(replica, primary):
    info = replica.info("replication")
    return (
        info["role"] == "slave" and info["master_port"] == str(primary.port) and info["master_link_status"] == "up"
    )


def fulls(primary):
    return int(primary.info("stats")["sync_full"])


def partials(primary):
    return int(primary.info("stats")["sync_partial_ok"])


class Small:
    """`primaries` primaries with one replica each, then witnesses. `nodes` has them in this order."""

    def __init__(self, primaries, witnesses=0, flags=(), make=Server):
        data = 2 * primaries
        self.nodes = [make("baton", *FLAGS, *flags, *(WITNESS if i >= data else [])) for i in range(data + witnesses)]
        self.primaries = self.nodes[:primaries]
        self.replicas = self.nodes[primaries:data]
        self.witnesses = self.nodes[data:]

    def form(self):
        for node in self.nodes:
            if node.process is None:
                node.start()
        first, *others = self.nodes
        for other in others:
            first("CLUSTER", "MEET", "127.0.0.1", other.port)
        share = 16384 // len(self.primaries)
        for number, primary in enumerate(self.primaries):
            end = 16383 if primary is self.primaries[-1] else (number + 1) * share - 1
            primary("CLUSTER", "ADDSLOTSRANGE", number * share, end)
        for primary, replica in zip(self.primaries, self.replicas):
            eventually(lambda p=primary, r=replica: line_of(r, p), f"{replica} to know {primary}")
            replica("CLUSTER", "REPLICATE", my_id(primary))
        self.settle()
        return self

    def settle(self):
        for node in self.nodes:
            eventually(lambda n=node: facts(n)["cluster_state"] == "ok", f"{node} to see the cluster up")
        for primary, replica in zip(self.primaries, self.replicas):
            eventually(lambda p=primary, r=replica: follows(r, p), f"{replica} to follow {primary}")
            eventually(lambda p=primary: "state=online" in str(p.info("replication")), f"{primary} to see its replica")
        if self.witnesses:
            count = str(len(self.nodes))
            for node in self.nodes:
                eventually(lambda n=node: facts(n)["cluster_voters"] == count, f"{node} to count {count} voters")
            possible = lambda n: facts(n)["cluster_failover_possible"] == "1"  # noqa: E731
            for node in self.nodes:
                eventually(lambda n=node: possible(n), f"{node} to say that a failover is possible")
        return self

    def remove(self):
        for node in self.nodes:
            node.remove()
