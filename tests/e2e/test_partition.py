"""A primary and its client are cut off from the others: who acknowledges, and what is left of it. Real processes in network
namespaces; the program that cuts also measures, here only what must never happen is asserted."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parent.parent.parent / "bench" / "partition.py"


def namespaces_work():
    words = ["unshare", "--user", "--map-root-user", "--net", "ip", "link", "add", "hub", "type", "bridge"]
    tools = all(shutil.which(tool) for tool in ("unshare", "nsenter", "ip"))
    return tools and subprocess.run(words, capture_output=True, check=False).returncode == 0


def cut(*flags):
    words = [sys.executable, str(PROGRAM), "--runs", "1", *flags]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[0])


@pytest.mark.skipif(not namespaces_work(), reason="this machine permits no network namespaces")
class TestCutOff:
    def test_the_majority_goes_on_after_the_minority_stopped(self):
        seen = cut()
        assert seen["goes_on_ms"] is not None and seen["goes_on_ms"] < 6000, seen
        assert not seen["both"], seen

    def test_what_replicas_acknowledged_is_not_lost(self):
        seen = cut("--flag", "write-ack-replicas=1")
        assert seen["acked_near"] > 0 and seen["lost"] == 0, seen
