"""Libraries that applications are built on, as their own first pages show them: they bring scripts, waiting commands, streams and
messages together in ways of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import load
import pytest
import redis

HERE = Path(__file__).parent / "applications"
SECONDS = 60


@pytest.fixture
def server(start):
    return start("baton")


def environment(server):
    return {**os.environ, "PYTHONPATH": str(HERE), "BROKER": f"redis://127.0.0.1:{server.port}"}


def run(words, **options):
    done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, **options)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_rq_runs_its_jobs(server):
    pytest.importorskip("rq")
    program = """
import jobs, os, redis, rq
connection = redis.Redis.from_url(os.environ["BROKER"])
queue = rq.Queue(connection=connection)
queued = [queue.enqueue(jobs.add, number, 1) for number in range(20)]
rq.SimpleWorker([queue], connection=connection).work(burst=True)
print([job.return_value() for job in queued])
"""
    printed = run([sys.executable, "-c", program], env=environment(server))
    assert json.loads(printed.strip().splitlines()[-1]) == list(range(1, 21))


def test_python_redis_lock_lets_one_in(server):
    redis_lock = pytest.importorskip("redis_lock")
    client = redis.Redis(port=server.port)
    with redis_lock.Lock(client, "door", expire=10, auto_renewal=True):
        assert not redis_lock.Lock(client, "door").acquire(blocking=False)
    assert redis_lock.Lock(client, "door").acquire(blocking=False)


def test_celery_brings_results_back(server):
    pytest.importorskip("celery")
    celery = [sys.executable, "-m", "celery", "-A", "jobs", "worker", "-P", "solo", "-l", "WARNING"]
    worker = subprocess.Popen(celery, env=environment(server), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        program = "import jobs; sent = [jobs.double.delay(n) for n in range(20)]; print([r.get(timeout=40) for r in sent])"
        printed = run([sys.executable, "-c", program], env=environment(server))
        assert json.loads(printed) == [2 * number for number in range(20)]
    finally:
        worker.terminate()
        try:
            worker.wait(10)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


def test_bullmq_works_through_its_queue(server):
    if why := load.missing("bullmq"):
        pytest.skip(why)
    printed = run(["node", str(HERE / "bull.mjs"), str(server.port)], env={**os.environ, "NODE_MODULES": str(load.NODE_MODULES)})
    assert json.loads(printed.strip().splitlines()[-1]) == {
        "results": [2 * number for number in range(21)],
        "counts": {"active": 0, "failed": 0},
    }
