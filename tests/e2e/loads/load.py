"""As load.js, for libraries of Python: `python load.py '<job>'`, with one thread a loop. See ../load.py."""

import json
import os
import random
import sys
import threading
import time

GAPS_MAX = 50


def now():
    return time.time() * 1000


def connect(job):
    """A client in its default configuration."""
    place = {"host": job["host"], "port": job["port"]}
    if job["library"] == "valkey":
        import valkey

        return valkey.ValkeyCluster(**place) if job["cluster"] else valkey.Valkey(**place)
    import redis

    return redis.RedisCluster(**place) if job["cluster"] else redis.Redis(**place)


class Load:
    def __init__(self, job):
        self.job = job
        self.client = connect(job)
        self.report = {"successes": 0, "errors": [], "events": [], "gaps": [], "lost": []}
        self.lock = threading.Lock()
        self.last = now()
        self.warm = 0
        self.ending = threading.Event()
        self.loops = [threading.Thread(target=self.loop, args=(n,), daemon=True) for n in range(job["loops"])]

    def succeeded(self):
        with self.lock:
            at, report = now(), self.report
            report["successes"] += 1
            if at - self.last > 1:
                report["gaps"].append((self.last, at))
            if len(report["gaps"]) > 20 * GAPS_MAX:
                self.trim()
            self.last = at

    def trim(self):
        self.report["gaps"] = sorted(self.report["gaps"], key=lambda gap: gap[0] - gap[1])[:GAPS_MAX]

    def loop(self, number):
        keys = self.job["keys"]
        key, value = f"{keys[number % len(keys)]}:{os.getpid()}:{number}", 0
        while not self.ending.is_set():
            value += 1
            try:
                self.client.set(key, value)
                self.succeeded()
                read = int(self.client.get(key) or 0)
                self.succeeded()
            except Exception as error:  # Whatever reaches the application counts.
                self.report["errors"].append((now(), f"{type(error).__name__}: {error}"))
                time.sleep(0.005)
                continue
            if read < value:
                self.report["lost"].append((key, value, read))
            if value == 1:
                self.began()
            if self.job.get("think_ms"):
                self.ending.wait(2 * self.job["think_ms"] / 1000 * random.random())

    def began(self):
        with self.lock:
            self.warm += 1
            if self.warm == self.job["loops"]:
                print("ready", flush=True)

    def run(self):
        for loop in self.loops:
            loop.start()
        sys.stdin.read()
        self.ending.set()
        with self.lock:  # The time since the last success is a wait, too.
            self.report["gaps"].append((self.last, now()))
        end = time.monotonic() + 8
        for loop in self.loops:
            loop.join(max(0.0, end - time.monotonic()))
        self.trim()
        print(json.dumps(self.report), flush=True)


if __name__ == "__main__":
    Load(json.loads(sys.argv[1])).run()
