"""What the benches of handovers do with their writers: threads with a `key`, the last acknowledged `value`, their `trouble`,
and `ending`, which asks them to stop."""

import sys
import time

from servers import eventually


def begin(writers, settle_seconds):
    """Starts them, and gives them time after all have written."""
    for writer in writers:
        writer.start()
    eventually(lambda: all(w.value > 20 or w.trouble for w in writers), "writes")
    time.sleep(settle_seconds)


def end(writers, successor):
    """Stops them. Exits if one had trouble, or if the successor lacks a write that was acknowledged."""
    for writer in writers:
        writer.ending = True
    for writer in writers:
        writer.join(20)
    trouble = [w.trouble for w in writers if w.trouble]
    lost = [w.key for w in writers if int(successor("GET", w.key) or 0) < w.value]
    if trouble or lost:
        sys.exit(f"trouble: {trouble}, lost: {lost}")
