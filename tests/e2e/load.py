"""Programs that put a server or a cluster under load through a client library, each in a process of its own, and report what
the application noticed. One program a language is in `loads/`; they all read the same job and write the same report.

The job: `library`, `cluster` (or one server), `host`, `port`, `keys` (one tag for each slot to use), `loops` (how many run at
once), `think_ms` (the average pause of a loop). Each loop writes rising numbers to a key of its own and reads them back.

The report, times in milliseconds of the wall clock: `successes`; `errors`, whatever the library let the application see, and
when; `events`, what it told besides; `gaps`, the longest times between two successes and the one from the last success to the
end; `lost`, reads older than what was acknowledged.
"""

import collections
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LOADS = Path(__file__).resolve().parent / "loads"
NODE_MODULES = Path(os.environ.get("BATON_NODE_MODULES", ROOT / ".node" / "node_modules"))
NODE_LIBRARIES = {"node-redis": "redis", "ioredis": "ioredis", "bullmq": "bullmq"}
START_SECONDS = 30


def missing(library):
    """Why a library can't be used here, or nothing."""
    if library in NODE_LIBRARIES:
        if not shutil.which("node"):
            return "needs Node: install node and npm"
        if not (NODE_MODULES / NODE_LIBRARIES[library]).exists():
            return "needs Node libraries: scripts/test installs them from npm, or set BATON_NODE_MODULES"
    return None


def command(library):
    """The program that uses a library, and the library's name there."""
    if library in NODE_LIBRARIES:
        return ["node", str(LOADS / "load.js")], NODE_LIBRARIES[library]
    return [sys.executable, str(LOADS / "load.py")], library.removeprefix("py-")


class Load:
    """One running program."""

    def __init__(self, library, port, keys, cluster=True, loops=8, think_ms=0, host="127.0.0.1", program=None):
        words, name = program or command(library)
        job = {
            "library": name, "cluster": cluster, "host": host, "port": port, "keys": keys, "loops": loops, "think_ms": think_ms,
        }
        self.name = library
        environment = {**os.environ, "NODE_PATH": str(NODE_MODULES), "PYTHONDONTWRITEBYTECODE": "1"}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([*words, json.dumps(job)], stdin=pipe, stdout=pipe, text=True, env=environment)
        watchdog = threading.Timer(START_SECONDS, self.process.kill)
        watchdog.start()
        begun = self.process.stdout.readline()
        watchdog.cancel()
        assert begun.strip() == "ready", f"{library} did not begin: {begun!r}"

    def finish(self):
        """Ends it; gives its report."""
        output, _ = self.process.communicate(timeout=START_SECONDS)
        return json.loads(output.splitlines()[-1])

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def in_short(messages):
    """Messages of a report with how often they came."""
    return dict(collections.Counter(text for _, text in messages))
