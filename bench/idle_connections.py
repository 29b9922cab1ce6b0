#!/usr/bin/env python3
"""What idle connections cost a server, in bytes of memory each.

    python3 bench/idle_connections.py SERVER [--flags "--worker-threads 2"] [--connections 10000] [--bytes 61440] [--rest 20]

SERVER is the path of a server's program, Baton's or an upstream one's. Every connection asks for PING, then for a value of so
many bytes, in a request that comes in two parts; printed is what the process has more than before the first one connected, as
the system counts it (RSS), divided by their number: once they are connected, right behind the last large reply, and after
so many seconds of rest.
"""

import argparse
import os
import resource
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def rss_bytes(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def connect(port):
    for _ in range(500):
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=60)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise SystemExit("the server does not answer")


def ask(connection, *parts, reply):
    """Sends a request in parts, and reads its reply of so many bytes."""
    for part in parts:
        connection.sendall(part)
        if part is not parts[-1]:
            time.sleep(0.0005)
    while reply > 0:
        got = len(connection.recv(min(reply, 1 << 20)))
        if not got:
            raise SystemExit("the server closed a connection")
        reply -= got


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("server")
    words.add_argument("--flags", default="")
    words.add_argument("--connections", type=int, default=10_000)
    words.add_argument("--bytes", type=int, default=60 * 1024)
    words.add_argument("--rest", type=float, default=20)
    words.add_argument("--port", type=int, default=20309)
    args = words.parse_args()
    wanted = args.connections + 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    folder = tempfile.mkdtemp(prefix="idle-connections-")
    command = [args.server, "--port", args.port, "--dir", folder, "--save", "", "--maxclients", wanted, *shlex.split(args.flags)]
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    try:
        first = connect(args.port)
        first.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\n" % (args.bytes, b"x" * args.bytes))
        ask(first, reply=5)
        before = rss_bytes(process.pid)

        def show(what):
            print(f"{what}: {(rss_bytes(process.pid) - before) / args.connections:.0f} bytes a connection", flush=True)

        connections = []
        for _ in range(args.connections):
            connections.append(connect(args.port))
            ask(connections[-1], b"PING\r\n", reply=7)
        show("connected")
        size = len(b"$%d\r\n\r\n" % args.bytes) + args.bytes
        for connection in connections:
            ask(connection, b"*2\r\n$3\r\nGET\r\n$1", b"\r\nk\r\n", reply=size)
        show("behind the replies")
        time.sleep(args.rest)
        show(f"after {args.rest:g} seconds")
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
