"""A connection that speaks the wire format and nothing else: for what client libraries hide or refuse to send."""

import socket


class ErrorReply(Exception):
    """An error the server answered with; its text starts with the error's code."""


class Closed(Exception):
    """The server closed the connection."""


class Connection:
    """Sends raw bytes and whole commands, reads RESP2 and RESP3 replies. Every wait is bounded."""

    def __init__(self, port, timeout=20.0, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def __call__(self, *args):
        """Sends one command and returns its reply; raises an error reply."""
        self.send(encode(*args))
        reply = self.read()
        if isinstance(reply, ErrorReply):
            raise reply
        return reply

    def send(self, data):
        self.socket.sendall(data)

    def read(self):
        """The next reply. Errors are returned, not raised, so that they can be looked at inside lists."""
        line = self.read_line()
        kind, body = line[:1], line[1:]
        if kind == b"+":
            return body
        if kind == b"-":
            return ErrorReply(body.decode(errors="replace"))
        if kind == b":":
            return int(body)
        if kind in b"$=!":
            return self._bulk(kind, int(body))
        if kind in b"*~>":
            return None if body == b"-1" else [self.read() for _ in range(int(body))]
        if kind == b"%":
            return {self.read(): self.read() for _ in range(int(body))}
        if kind == b"_":
            return None
        if kind == b"#":
            return body == b"t"
        if kind == b",":
            return float(body)
        if kind == b"(":
            return int(body)
        raise ValueError(f"not RESP: {line!r}")

    def read_line(self):
        try:
            line = self.file.readline()
        except ConnectionError as error:
            raise Closed from error
        if not line.endswith(b"\r\n"):
            raise Closed
        return line[:-2]

    def read_bytes(self, count):
        data = self.file.read(count)
        if len(data) != count:
            raise Closed
        return data

    def _bulk(self, kind, length):
        if length < 0:
            return None
        data = self.read_bytes(length + 2)[:-2]
        if kind == b"!":
            return ErrorReply(data.decode(errors="replace"))
        return data[4:] if kind == b"=" else data

    def is_closed(self):
        """Waits until the server closes, having sent nothing more."""
        try:
            return self.file.read(1) == b""
        except ConnectionError:
            return True


def encode(*args):
    """One command as an array of bulk strings."""
    out = [b"*%d\r\n" % len(args)]
    for arg in args:
        data = arg if isinstance(arg, bytes) else str(arg).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(out)
