"""What all tests share: servers of each kind, started on demand and ended with the test; clients of both libraries."""

import itertools
import sys
from pathlib import Path

import pytest
import redis
import valkey

sys.path.insert(0, str(Path(__file__).parent))

import servers  # noqa: E402

WHY_MISSING = {
    "baton": "needs Baton: build it or set BATON_BIN",
    "redis": "needs Redis 7.0: install redis-server or set REDIS_SERVER",
    "redis8": "needs Redis 8: put it on the PATH as redis8-server or set REDIS8_SERVER",
    "valkey": "needs Valkey 9: put valkey-server on the PATH or set VALKEY_SERVER",
}


def need(kind):
    """Skips the test, saying why, where a peer is missing. Baton itself must be there."""
    if servers.program(kind) is None:
        if kind == "baton":
            pytest.fail(WHY_MISSING[kind])
        pytest.skip(WHY_MISSING[kind])


@pytest.fixture
def start(request):
    """Starts servers: `start("baton", "--flag", "value")`. Shows their logs if the test fails."""
    started = []

    def starter(kind, *flags, **options):
        need(kind)
        server = servers.Server(kind, *flags, **options)
        started.append(server)
        return server.start()

    yield starter
    report = getattr(request.node, "report_of_call", None)
    for server in started:
        if report is not None and report.failed and (server.folder / "log").exists():
            print(f"\n--- end of the log of {server}\n{server.log()[-4000:]}")
        server.remove()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.report_of_call = outcome.get_result()


@pytest.fixture(scope="module")
def shared():
    """One Baton for all tests of a module that only use keys, emptied before each by `baton`."""
    need("baton")
    server = servers.Server("baton").start()
    yield server
    server.remove()


@pytest.fixture
def baton(shared):
    shared("FLUSHALL")
    return shared


LIBRARIES = {"valkey": valkey, "redis": redis}


@pytest.fixture(params=[f"{name}-resp{protocol}" for name, protocol in itertools.product(LIBRARIES, (2, 3))])
def client(request, baton):
    """A client of either library in either protocol, texts decoded."""
    name, protocol = request.param.split("-resp")
    made = make_client(name, baton.port, protocol=int(protocol))
    yield made
    made.close()


def make_client(name, port, **options):
    library = LIBRARIES[name]
    kind = library.Valkey if name == "valkey" else library.Redis
    return kind(host="127.0.0.1", port=port, decode_responses=True, socket_timeout=20, **options)
