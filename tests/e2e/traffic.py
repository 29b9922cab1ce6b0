"""Clients that write without pause while something happens to the servers, and a check that nothing was lost."""

import threading
import time

import redis
import valkey

CLUSTER_ERRORS = (valkey.ValkeyError, redis.RedisError, OSError)


def cluster_client(library, port):
    if library == "valkey":
        return valkey.ValkeyCluster(host="127.0.0.1", port=port, decode_responses=True, socket_timeout=20)
    return redis.RedisCluster(host="127.0.0.1", port=port, decode_responses=True, socket_timeout=20)


class Writer(threading.Thread):
    """Writes rising numbers to its own keys, spread over the slots, and remembers the last one acknowledged for each."""

    KEYS = 50

    def __init__(self, name, client, patient=False):
        super().__init__(name=name, daemon=True)
        self.client = client
        self.patient = patient
        self.acknowledged = {}
        self.errors = []
        self.count = 0
        self._stopping = threading.Event()
        self._resting = threading.Event()
        self._rests = threading.Event()

    def run(self):
        number = 0
        while not self._stopping.is_set():
            if self._resting.is_set():
                self._rests.set()
                time.sleep(0.001)
                continue
            number += 1
            key = f"{self.name}:{number % self.KEYS}"
            try:
                self.client.set(key, number)
                self.acknowledged[key] = number
                self.count += 1
            except CLUSTER_ERRORS as error:
                self.errors.append(f"{type(error).__name__}: {error}")
                if not self.patient:
                    return
                time.sleep(0.01)

    def rest(self):
        self._rests.clear()
        self._resting.set()
        assert self._rests.wait(60), f"{self.name} hangs"

    def go_on(self):
        self._resting.clear()

    def finish(self):
        self._stopping.set()
        self.join(60)
        assert not self.is_alive(), f"{self.name} hangs"

    def lost(self):
        """Keys whose value is older than what was acknowledged."""
        found = {key: self.client.get(key) for key in self.acknowledged}
        return {key: (value, found[key]) for key, value in self.acknowledged.items() if int(found[key] or 0) < value}


class Traffic:
    """One writer of each library. With `patient`, writers go on after errors: for faults that cannot be hidden."""

    def __init__(self, port, patient=False):
        self.writers = [Writer(library, cluster_client(library, port), patient) for library in ("valkey", "redis")]

    def __enter__(self):
        for writer in self.writers:
            writer.start()
        self.flows()
        return self

    def flows(self):
        """Waits until every writer has had more writes acknowledged."""
        for writer in self.writers:
            goal = writer.count + 200
            end = time.monotonic() + 60
            while writer.count < goal:
                assert writer.is_alive(), f"{writer.name} ended: {writer.errors}"
                assert time.monotonic() < end, f"{writer.name} got no further: {writer.errors[-3:]}"
                time.sleep(0.005)

    def pause(self):
        """Nothing is being written when this returns."""
        for writer in self.writers:
            writer.rest()

    def resume(self):
        for writer in self.writers:
            writer.go_on()

    def __exit__(self, kind, *_):
        for writer in self.writers:
            writer.finish()
        if kind is None:
            for writer in self.writers:
                assert writer.lost() == {}, f"{writer.name} lost acknowledged writes"
                assert writer.patient or writer.errors == []
        for writer in self.writers:
            writer.client.close()
