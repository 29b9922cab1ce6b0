"""Starts servers on free loopback ports with folders of their own, and stops them. Ends only what it started."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import resp

START_SECONDS = 30


def program(kind):
    """The command line of a server program, or None where it is not there."""
    if kind == "baton":
        path = Path(os.environ.get("BATON_BIN", "target/fast/baton")).resolve()
        if not path.exists():
            return None
        # Under a name that ends so, the program is a server without being told.
        return [str(path)] if path.name.endswith("-server") else [str(path), "server"]
    path = os.environ.get(f"{kind.upper()}_SERVER") or shutil.which(f"{kind}-server")
    return [path] if path else None


def eventually(condition, what, seconds=20.0):
    """Waits for a condition that only the outside of a server shows; returns its value. Errors count as 'not yet'."""
    end = time.monotonic() + seconds
    last = None
    while True:
        try:
            last = condition()
            if last:
                return last
        except (OSError, resp.ErrorReply, resp.Closed) as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:g} s for: {what}; at last: {last!r}")
        time.sleep(0.01)


def free_port():
    """A port of which neither it nor its bus port (10000 higher) is in use."""
    for _ in range(200):
        port = random.randrange(20000, 31000)
        try:
            for number in (port, port + 10000):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
            return port
        except OSError:
            continue
    raise RuntimeError("no free pair of ports found")


class Server:
    """One running server and its folder."""

    def __init__(self, kind, *flags, folder=None, config=None):
        self.kind = kind
        self.flags = [str(flag) for flag in flags]
        self.config = config
        self.port = free_port()
        self.folder = Path(folder or tempfile.mkdtemp(prefix=f"baton-e2e-{kind}-"))
        self.process = None

    def __repr__(self):
        return f"{self.kind}:{self.port}"

    def start(self):
        self.launch()
        eventually(self._answers, f"{self} to start", START_SECONDS)
        return self

    def launch(self):
        """Starts the process without waiting for anything."""
        command = program(self.kind) + ([str(self.config)] if self.config else []) + [
            "--port", str(self.port), "--dir", str(self.folder), "--bind", "127.0.0.1", "--daemonize", "no",
        ] + ([] if self.config else ["--save", "", "--appendonly", "no"]) + self.flags
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self} ended with {self.process.returncode}:\n{self.log()[-3000:]}")
        try:
            return self("PING") == b"PONG"
        except resp.ErrorReply as error:
            return not str(error).startswith("LOADING")

    def __call__(self, *args):
        """One command on a connection of its own."""
        with resp.Connection(self.port) as connection:
            return connection(*args)

    def connect(self, timeout=20.0):
        return resp.Connection(self.port, timeout)

    def info(self, section="everything"):
        lines = self("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))

    def is_linked(self):
        """Whether it is a replica whose link is up. One that has just been started may not have taken up its role yet."""
        return self.info("replication").get("master_link_status") == "up"

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def send_signal(self, number):
        os.kill(self.process.pid, number)

    def stop(self):
        """Lets it stand still, and waits until it does: the signal stops one thread, which stops the others when it next
        runs, and on a busy machine these answer until then."""
        self.send_signal(signal.SIGSTOP)
        tasks = Path(f"/proc/{self.process.pid}/task")
        # The state is behind the name, which is in parentheses and may hold anything.
        states = lambda: {(task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks.iterdir()}
        eventually(lambda: states() == {"T"}, f"{self} to stand still")

    def go_on(self):
        self.send_signal(signal.SIGCONT)

    def terminate(self):
        """Asks it to end and returns its exit code."""
        self.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def restart(self):
        """Starts again in the same folder, on the same port."""
        self.kill()
        return self.start()

    def remove(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def value(connection, key):
    """A value of any type; what has no order is sorted."""
    kind = connection("TYPE", key)
    if kind == b"list":
        return connection("LRANGE", key, 0, -1)
    if kind == b"set":
        return sorted(connection("SMEMBERS", key))
    if kind == b"zset":
        return connection("ZRANGE", key, 0, -1, "WITHSCORES")
    if kind == b"hash":
        texts = connection("HGETALL", key)
        return sorted(zip(texts[::2], texts[1::2], strict=True))
    return connection("GET", key)


def contents(server, databases=1):
    """Every value with its remaining time to live rounded to ten seconds, by database: what two copies must share."""
    found = {}
    with server.connect() as connection:
        for database in range(databases):
            if databases > 1:
                connection("SELECT", database)
            cursor = b"0"
            while True:
                cursor, keys = connection("SCAN", cursor, "COUNT", 1000)
                for key in keys:
                    ttl = connection("PTTL", key)
                    found[database, key] = (value(connection, key), ttl if ttl < 0 else round(ttl / 10000))
                if cursor == b"0":
                    break
    return found


SAMPLE_DATABASES = 2


# Collections of every form that a snapshot has for them: packed, of integers, large by number and by size.
SAMPLE_COLLECTIONS = [
    ("SADD", "set:ints", 1, -1, 70_000, 9_000_000_000),
    ("SADD", "set:packed", "a", 1, "binary\x00\r\n"),
    ("SADD", "set:many", *(f"member {number}" for number in range(3000))),
    ("SADD", "set:many-ints", *range(3000)),
    ("SADD", "set:long", "x" * 100, "y" * 100_000, 7),
    ("HSET", "hash:packed", "field", "value", "number", 12, 34, "field is a number"),
    ("HSET", "hash:many", *(text for number in range(3000) for text in (f"field {number}", number))),
    ("HSET", "hash:long", "field", "x" * 100, "y" * 100_000, "z" * 100_000, 5, 6),
    ("RPUSH", "list:packed", "a", 1, "b"),
    ("RPUSH", "list:many", *(f"element {number}" for number in range(3000))),
]


def fill(server, databases=SAMPLE_DATABASES):
    """Values of every shape that a snapshot writes in its own way; returns how many keys there are."""
    values = {
        b"empty": b"",
        b"zero": b"0",
        b"int8": b"-128",
        b"int16": b"32767",
        b"int32": b"-2147483648",
        b"int64": b"9223372036854775807",
        b"not-an-int": b"007",
        b"text": b"hello world",
        b"binary": bytes(range(256)),
        b"compressible": b"abc" * 5000,
        b"long": random.Random(7).randbytes(300_000),
        b"\x00binary\r\nkey\xff": b"v",
    }
    with server.connect() as connection:
        for database in range(databases):
            if databases > 1:
                connection("SELECT", database)
            for key, value in values.items():
                connection("SET", key, value)
            for request in SAMPLE_COLLECTIONS:
                connection(*request)
            for number in range(500):
                connection("SET", f"key:{number}", f"value {number} in {database}")
            for number in range(100):
                connection("SET", f"volatile:{number}", number, "PX", 1_000_000 + number)
    return databases * (len(values) + len(SAMPLE_COLLECTIONS) + 600)


def needs_command(server, name):
    """Skips a test of a command that this version of the server does not have at all."""
    if server("COMMAND", "INFO", name) in ([None], []):
        pytest.skip(f"the server has no {name} yet")
