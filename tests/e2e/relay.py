"""A relay between a replica and its primary, which can hold back the end of the stream."""

import socket
import threading

import resp


class Relay:
    """Carries the link of a replica. Between `hold` and `release` the replica gets nothing from the next request for
    acknowledgement on, while the primary hears it."""

    QUESTION = resp.encode("REPLCONF", "GETACK", "*")

    def __init__(self, primary):
        self._primary = primary.port
        self._ends = []
        self._holding, self._released, self.held = threading.Event(), threading.Event(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self):
        self._holding.set()

    def release(self):
        self._released.set()

    def close(self):
        self.release()
        for end in (self._listener, *self._ends):
            end.close()

    def _accept(self):
        try:
            while True:
                replica, _ = self._listener.accept()
                primary = socket.create_connection(("127.0.0.1", self._primary))
                self._ends += [replica, primary]
                threading.Thread(target=self._carry, args=(replica, primary, False), daemon=True).start()
                threading.Thread(target=self._carry, args=(primary, replica, True), daemon=True).start()
        except OSError:
            pass

    def _carry(self, source, sink, holds):
        try:
            while data := source.recv(1 << 16):
                at = data.find(self.QUESTION) if holds and self._holding.is_set() else -1
                if at >= 0:
                    sink.sendall(data[:at])
                    self.held.set()
                    self._released.wait()
                sink.sendall(data[max(at, 0) :])
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
