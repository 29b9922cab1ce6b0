#!/usr/bin/env python3
"""How long everybody else waits while one client asks for, computes with, or deletes something big.

    python3 bench/big_values.py SERVER [--flags "--worker-threads 1"] [--only hgetall del] [--runs 3] [--scale 0.1]

SERVER is the path of a server's program, Baton's or an upstream one's. Connections on every worker PING and GET in turn, one
request each half millisecond and connection, while another one issues the big command; printed is the longest wait of any of
them from the command's start until half a second behind its end (memory is freed then), for each run; the command's own time
until its last byte is read and the processor's time that the server took until then, the medians of the runs; and the most
memory that the process had more than before, as the system counts it. `-slow` reads the reply in pieces of 256 KiB, one each
5 ms. The row `nothing` is what this machine and this program add. Server and probes run at a raised priority where the system
allows it, so that they measure the server and not how busy the machine is.
"""

import argparse
import multiprocessing
import os
import select
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PROBE_EVERY_SECONDS = 0.0005
PROBES = 4
BEHIND_SECONDS = 0.5
MILLION = 1_000_000
END = b"$11\r\n--the end--\r\n"


def encode(*words):
    words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


class Connection:
    """Sends commands and reads until their last byte; understands simple replies only."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=600)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray(1 << 20)

    def line(self, *words):
        """The first line of the reply to a command whose reply is short."""
        return self.until_end(encode(*words))[0].split(b"\r\n")[0]

    def until_end(self, request, slowly=False):
        """Sends a request and reads its reply; gives how it begins and how many bytes it has."""
        self.socket.sendall(request + encode("ECHO", "--the end--"))
        head, tail, size = b"", b"", 0
        room = memoryview(self.buffer)[: 256 << 10] if slowly else memoryview(self.buffer)
        while not tail.endswith(END):
            n = self.socket.recv_into(room)
            if n == 0:
                raise EOFError("the server closed the connection")
            head = head or bytes(room[: min(n, 100)])
            tail = (tail + bytes(room[max(0, n - len(END)) : n]))[-len(END) :]
            size += n
            if slowly:
                time.sleep(0.005)
        return head, size - len(END)

    def dumped(self, key):
        """The payload that DUMP gives for a key."""
        self.socket.sendall(encode("DUMP", key))
        got = b""
        while b"\r\n" not in got:
            got += self.socket.recv(1 << 20)
        head, _, got = got.partition(b"\r\n")
        parts, left = [got], int(head[1:]) + 2 - len(got)
        while left > 0:
            parts.append(self.socket.recv(min(left, 1 << 20)))
            left -= len(parts[-1])
        return b"".join(parts)[:-2]

    def fill(self, requests, lines=1):
        """Sends many requests and drops their replies, which are so many lines each."""
        sender = threading.Thread(target=self.socket.sendall, args=(b"".join(requests),))
        sender.start()
        seen = 0
        while seen < lines * len(requests):
            n = self.socket.recv_into(self.buffer)
            if self.buffer.startswith(b"-"):
                raise ValueError(bytes(self.buffer[:100]))
            seen += self.buffer.count(b"\r\n", 0, n)
        sender.join()


def probe(port, pipe):
    """PINGs and GETs in turn on several connections; gives its longest waits when asked."""
    raise_priority(18)
    requests = (encode("PING"), encode("GET", "small"))
    sockets = []
    for _ in range(PROBES):
        s = socket.create_connection(("127.0.0.1", port), timeout=600)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets.append(s)
    poll = select.poll()
    by_fd = {s.fileno(): [s, 0, None, 0.0] for s in sockets}  # socket, turn, sent at, due at
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    waits = []
    pipe.send("ready")
    while True:
        now = time.perf_counter()
        for state in by_fd.values():
            if state[2] is None and state[3] <= now:
                state[1] ^= 1
                state[2] = time.perf_counter()
                state[0].sendall(requests[state[1]])
        for fd, _ in poll.poll(0.3):
            state = by_fd[fd]
            state[0].recv(4096)
            now = time.perf_counter()
            if now - state[2] > 0.0002:
                waits.append((state[2], now))
            state[2], state[3] = None, max(now, state[2] + PROBE_EVERY_SECONDS)
        if pipe.poll():
            since = pipe.recv()
            if since is None:
                return
            pending = [(s[2], time.perf_counter()) for s in by_fd.values() if s[2] is not None]
            pipe.send(max((b - a for a, b in waits + pending if b > since), default=0.0))
            waits.clear()


def raise_priority(by=10):
    try:
        os.nice(-by)
    except OSError:
        pass


class Server:
    def __init__(self, program, port, flags):
        self.dir = tempfile.TemporaryDirectory(prefix="big-values-")
        command = [program, "--port", str(port), "--save", "", "--dir", self.dir.name, *flags]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, cwd=self.dir.name, preexec_fn=raise_priority
        )
        self.port = port
        for _ in range(200):
            try:
                self.connection = Connection(port)
                break
            except OSError:
                time.sleep(0.05)
        self.connection.line("SET", "small", "value")
        mine, theirs = multiprocessing.Pipe()
        self.pipe = mine
        self.probe = multiprocessing.Process(target=probe, args=(port, theirs), daemon=True)
        self.probe.start()
        mine.recv()

    def stop(self):
        self.pipe.send(None)
        self.probe.join(5)
        self.process.terminate()
        self.process.wait(60)

    def resident(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024

    def processor_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def measure(self, request, slowly):
        """The longest wait of others, the own time, and the most memory above what there was, during a command."""
        before, most, done = self.resident(), [0], threading.Event()

        def watch():
            while not done.wait(0.005):
                most[0] = max(most[0], self.resident() - before)

        watcher = threading.Thread(target=watch)
        watcher.start()
        spent, since = self.processor_seconds(), time.perf_counter()
        head, size = self.connection.until_end(request, slowly)
        own, spent = time.perf_counter() - since, self.processor_seconds() - spent
        done.set()
        watcher.join()
        if head.startswith(b"-"):
            raise ValueError(head)
        time.sleep(BEHIND_SECONDS)
        self.pipe.send(since)
        return self.pipe.recv(), own, spent, most[0], size


def batches(count, step, make):
    for start in range(0, count, step):
        yield make(range(start, min(start + step, count)))


def filled(connection, command, key, count, element, step=1000):
    """Fills a key with `count` elements; `element` gives an element's words."""
    requests = []
    for request in batches(count, step, lambda r: encode(command, key, *(w for i in r for w in element(i)))):
        requests.append(request)
        if len(requests) == 200:
            connection.fill(requests)
            requests = []
    connection.fill(requests)


def filled_stream(connection, key, count):
    for start in range(0, count, 100_000):
        requests = [encode("XADD", key, f"{i + 1}-0", "f", "v") for i in range(start, min(start + 100_000, count))]
        connection.fill(requests, lines=2)


FILLS = {
    "list": lambda c, key, n: filled(c, "RPUSH", key, n, lambda i: (b"element:%09d" % i,)),
    "set": lambda c, key, n: filled(c, "SADD", key, n, lambda i: (b"element:%09d" % i,)),
    "hash": lambda c, key, n: filled(c, "HSET", key, n, lambda i: (b"field:%09d" % i, b"%d" % i)),
    "zset": lambda c, key, n: filled(c, "ZADD", key, n, lambda i: (b"%d" % i, b"element:%09d" % i)),
    # Numbers in no order; half of what `set` and `zset` of the same size have, and as much that they have not, in no order.
    "numbers": lambda c, key, n: filled(c, "RPUSH", key, n, lambda i: (b"%d" % mixed(i, n),)),
    "half-set": lambda c, key, n: filled(c, "SADD", key, n, lambda i: (b"element:%09d" % (mixed(i, n) + n // 2),)),
    "half-zset": lambda c, key, n: filled(
        c, "ZADD", key, n, lambda i: (b"%d" % i, b"element:%09d" % (mixed(i, n) + n // 2))
    ),
    "stream": filled_stream,
    "keys": lambda c, key, n: filled_keys(c, n, b"key:%09d"),
    "weights": lambda c, key, n: filled_keys(c, n, b"weight:%d"),
    "string": lambda c, key, n: c.line("SETRANGE", key, 100 * n - 1, "x"),
}


def mixed(i, n):
    """The numbers below `n` in no order."""
    return i * 7919 % n


def filled_keys(connection, count, name):
    for start in range(0, count, 100_000):
        connection.fill([encode("SET", name % i, b"v%d" % i) for i in range(start, min(start + 100_000, count))])


KINDS = ("list", "set", "hash", "zset", "stream")

# Name, command, and what is filled before it: kinds with their keys.
READS = [
    ("lrange", "LRANGE list 0 -1", [("list", "list")]),
    ("smembers", "SMEMBERS set", [("set", "set")]),
    ("hgetall", "HGETALL hash", [("hash", "hash")]),
    ("hkeys", "HKEYS hash", [("hash", "hash")]),
    ("zrange", "ZRANGE zset 0 -1", [("zset", "zset")]),
    ("zrange-scores", "ZRANGE zset 0 -1 WITHSCORES", [("zset", "zset")]),
    ("zrange-rev", "ZRANGE zset 0 -1 REV", [("zset", "zset")]),
    ("zrangebyscore", "ZRANGEBYSCORE zset -inf +inf", [("zset", "zset")]),
    ("xrange", "XRANGE stream - +", [("stream", "stream")]),
    ("get-100MB", "GET string", [("string", "string")]),
    ("keys", "KEYS *", [("keys", "-")]),
]
WORKS = [
    ("sort", "SORT list LIMIT 0 10 ALPHA", [("list", "list")]),
    ("sort-all", "SORT list ALPHA", [("list", "list")]),
    ("sort-numbers", "SORT numbers", [("numbers", "numbers")]),
    ("sort-store", "SORT numbers STORE to", [("numbers", "numbers")]),
    ("sort-by-get", "SORT numbers BY weight:* ALPHA GET weight:* LIMIT 0 1000", [("numbers", "numbers"), ("weights", "-")]),
    ("lrem", "LREM list 1 missing", [("list", "list")]),
    ("lpos", "LPOS list missing", [("list", "list")]),
    ("zcount", "ZCOUNT zset -inf +inf", [("zset", "zset")]),
    ("sunion", "SUNION set set2", [("set", "set"), ("set", "set2")]),
    ("sinter", "SINTER set set2", [("set", "set"), ("set", "set2")]),
    ("sdiff", "SDIFF set set2", [("set", "set"), ("set", "set2")]),
    ("sunionstore", "SUNIONSTORE to set set2", [("set", "set"), ("set", "set2")]),
    ("sinterstore", "SINTERSTORE to set set2", [("set", "set"), ("set", "set2")]),
    ("sdiffstore", "SDIFFSTORE to set set2", [("set", "set"), ("set", "set2")]),
    ("zunionstore", "ZUNIONSTORE to 2 zset zset2", [("zset", "zset"), ("zset", "zset2")]),
    ("zinterstore", "ZINTERSTORE to 2 zset zset2", [("zset", "zset"), ("zset", "zset2")]),
    ("sunion-half", "SUNION set half", [("set", "set"), ("half-set", "half")]),
    ("sinter-half", "SINTER set half", [("set", "set"), ("half-set", "half")]),
    ("sdiffstore-half", "SDIFFSTORE to set half", [("set", "set"), ("half-set", "half")]),
    ("zunionstore-half", "ZUNIONSTORE to 2 zset half", [("zset", "zset"), ("half-zset", "half")]),
    ("zinterstore-half", "ZINTERSTORE to 2 zset half", [("zset", "zset"), ("half-zset", "half")]),
    ("zdiffstore-half", "ZDIFFSTORE to 2 zset half", [("zset", "zset"), ("half-zset", "half")]),
    ("zunion-sets", "ZUNIONSTORE to 2 set half", [("set", "set"), ("half-set", "half")]),
    ("zrangestore", "ZRANGESTORE to zset 0 -1", [("zset", "zset")]),
    ("copy-zset", "COPY zset copy REPLACE", [("zset", "zset")]),
    ("rename-zset", "RENAME zset zset3", [("zset", "zset")]),
    ("dump-zset", "DUMP zset", [("zset", "zset")]),
    *((f"dump-{kind}", f"DUMP {kind}", [(kind, kind)]) for kind in ("list", "set", "hash")),
    *((f"restore-{kind}", f"RESTORE copy 0 @{kind} REPLACE", [(kind, kind)]) for kind in ("list", "set", "hash", "zset")),
    ("copy-list", "COPY list copy REPLACE", [("list", "list")]),
    ("spop-all", "SPOP set 1000000", [("set", "set")]),
    ("lpop-all", "LPOP list 1000000", [("list", "list")]),
    ("zpopmin-all", "ZPOPMIN zset 1000000", [("zset", "zset")]),
    ("ltrim-all", "LTRIM list 1 0", [("list", "list")]),
    ("zremrange-all", "ZREMRANGEBYRANK zset 0 -1", [("zset", "zset")]),
    ("srandmember-all", "SRANDMEMBER set 1000000", [("set", "set")]),
    ("hrandfield-all", "HRANDFIELD hash 1000000", [("hash", "hash")]),
    ("flushall", "FLUSHALL", [("keys", "-")]),
    ("flushall-async", "FLUSHALL ASYNC", [("keys", "-")]),
]
DELETES = [
    *((f"{verb.lower()}-{kind}", f"{verb} {kind}", [(kind, kind)]) for kind in KINDS for verb in ("DEL", "UNLINK")),
    ("expire-zset", "PEXPIRE zset 1", [("zset", "zset")]),
    ("set-over-zset", "SET zset 1", [("zset", "zset")]),
    ("rename-over-zset", "RENAME small zset", [("zset", "zset")]),
    ("copy-over-zset", "COPY small zset REPLACE", [("zset", "zset")]),
]
# Rows that change nothing, so that their keys need not be filled again.
READING = {name for name, _, _ in READS} | {"sort", "lpos", "zcount", "sunion", "sinter", "sdiff", "sort-all", "sort-numbers", "sort-by-get"}
READING |= {"sunion-half", "sinter-half", *(f"{what}-{kind}" for what in ("dump", "restore") for kind in KINDS)}


def cases(args):
    for name, command, fills in READS:
        yield name, command, fills, int(MILLION * args.scale), False
        if name in ("lrange", "hgetall", "smembers", "zrange-scores"):
            yield name + "-slow", command, fills, int(MILLION * args.scale), True
        if name in ("hgetall", "zrange-scores"):
            yield name + "-resp3", "RESP3 " + command, fills, int(MILLION * args.scale), False
    for name, command, fills in WORKS:
        yield name, command, fills, int(MILLION * args.scale), False
    for name, command, fills in DELETES:
        yield name, command, fills, int(10 * MILLION * args.scale), False


def run_case(args, port, case):
    name, command, fills, count, slowly = case
    server = Server(args.server, port, shlex.split(args.flags))
    changes = name.removesuffix("-slow").removesuffix("-resp3") not in READING
    try:
        rows, is_filled = [], False
        for _ in range(args.runs):
            if changes and is_filled:
                server.connection.line("FLUSHALL")
                time.sleep(1)
            if changes or not is_filled:
                for kind, key in fills:
                    FILLS[kind](server.connection, key, count)
                is_filled = True
                server.connection.line("SET", "small", "value")
                time.sleep(0.3)
            words = [
                server.connection.dumped(word[1:]) if word.startswith("@") else word for word in command.split()
            ]
            request = encode(*words)
            if words[0] == "RESP3":
                server.connection.line("HELLO", "3")
                request = encode(*words[1:])
            rows.append(server.measure(request, slowly))
        waits, owns, spents, mosts, sizes = zip(*rows)
        each = " ".join(f"{wait * 1e3:.1f}" for wait in sorted(waits))
        print(
            f"{name:20} others_wait_ms= {each:24} own_ms={statistics.median(owns) * 1e3:7.1f}"
            f" cpu_ms={statistics.median(spents) * 1e3:6.0f} extra_mb={max(mosts) / 1e6:6.1f} reply_mb={max(sizes) / 1e6:.1f}",
            flush=True,
        )
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("server", type=str)
    parser.add_argument("--flags", default="")
    parser.add_argument("--port", type=int, default=20701)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="1 is a million elements to read, ten million to delete")
    parser.add_argument("--only", nargs="*", default=[], help="beginnings of names of rows")
    args = parser.parse_args()
    args.server = str(Path(args.server).expanduser().resolve())
    everything = [("nothing", "PING", [], 0, False), *cases(args)]
    for case in everything:
        if not args.only or any(case[0].startswith(only) for only in args.only):
            run_case(args, args.port, case)
    return 0


if __name__ == "__main__":
    sys.exit(main())
