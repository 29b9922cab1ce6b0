"""Histories of concurrent clients, and whether some order of their operations explains every reply: linearisability, one key
at a time, by the search of Wing and Gong with the memory of states that Lowe added. Knows neither servers nor sockets."""

import threading
import time

SET, GET, INCR = "set", "get", "incr"


class Operation:
    """What a client asked of one key and what it was told. Without a reply it may have happened at any later time, or never."""

    __slots__ = ("kind", "value", "result", "began", "ended")

    def __init__(self, kind, value, result, began, ended):
        self.kind, self.value, self.result, self.began, self.ended = kind, value, result, began, ended

    def __repr__(self):
        what = self.kind + (f" {self.value}" if self.kind == SET else "")
        told = "no reply" if self.ended is None else f"-> {self.result}"
        return f"{self.began:.6f}..{'' if self.ended is None else f'{self.ended:.6f}'} {what} {told}"

    def apply(self, state):
        """The state after it, or False where its reply can't come from this state."""
        if self.kind == SET:
            return self.value
        if self.kind == GET:
            return state if self.result == state else False
        after = (state or 0) + 1
        return after if self.ended is None or self.result == after else False


def shown_values(answered, pending):
    """Values that some reply depends on. A write without a reply that makes any other value is followed by one that sets
    another, so it may as well not have happened: that need not be tried, which makes the search short."""
    shown = {o.result for o in answered if o.kind == GET} | {o.result - 1 for o in answered if o.kind == INCR}
    for _ in range(sum(o.kind == INCR for o in pending)):
        shown |= {value - 1 for value in shown if value is not None}
    return shown


def explained(operations):
    """Whether one key's operations, in some order that respects who ended before whom began, give their own replies."""
    answered = sorted((o for o in operations if o.ended is not None), key=lambda o: o.began)
    # A read without a reply tells nothing and changes nothing.
    pending = sorted((o for o in operations if o.ended is None and o.kind != GET), key=lambda o: o.began)
    shown = shown_values(answered, pending)
    # What is done: all answered ones before the first number, those of the mask behind it, and those of the second mask.
    start = (0, 0, 0, None)
    seen, stack = {start}, [start]
    while stack:
        low, done, done_pending, state = stack.pop()
        if low == len(answered):
            return True
        window, first_end = [], float("inf")
        for i in range(low, len(answered)):
            operation = answered[i]
            if operation.began > first_end:
                break
            if not done >> (i - low) & 1:
                window.append(i)
                first_end = min(first_end, operation.ended)
        steps = []
        for i, operation in enumerate(pending):
            if operation.began > first_end:
                break
            if not done_pending >> i & 1 and operation.apply(state) in shown:
                steps.append((low, done, done_pending | 1 << i, operation.apply(state)))
        for i in window:
            # Whatever began after the first end among those that are left can't be next.
            if answered[i].began > first_end:
                continue
            after = answered[i].apply(state)
            if after is not False:
                next_low, next_done = low, done | 1 << (i - low)
                while next_done & 1:
                    next_low, next_done = next_low + 1, next_done >> 1
                steps.append((next_low, next_done, done_pending, after))
        for step in steps:
            if step not in seen:
                seen.add(step)
                stack.append(step)
    return False


class History:
    """Collects operations of many threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self.keys = {}

    def note(self, key, operation):
        with self._lock:
            self.keys.setdefault(key, []).append(operation)

    def count(self, kind=None):
        return sum(1 for ops in self.keys.values() for o in ops if o.ended is not None and kind in (None, o.kind))

    def unanswered(self):
        return sum(1 for ops in self.keys.values() for o in ops if o.ended is None)

    def violations(self):
        """The shortest beginning of each key's history that no order explains."""
        found = {}
        for key, operations in self.keys.items():
            if explained(operations):
                continue
            ordered = sorted(operations, key=lambda o: o.ended or float("inf"))
            answered = [o for o in ordered if o.ended is not None]
            low, high = 0, len(answered)
            while low < high:
                middle = (low + high) // 2
                upto = answered[middle].ended
                # What was answered later counts as unanswered so far.
                cut = [o if (o.ended or upto + 1) <= upto else Operation(o.kind, o.value, None, o.began, None)
                       for o in operations if o.began <= upto]
                low, high = (middle + 1, high) if explained(cut) else (low, middle)
            found[key] = answered[max(0, low - 6):low + 1]
        return found


def timed(act):
    """Runs something; gives its result with the times before and after."""
    began = time.monotonic()
    result = act()
    return result, began, time.monotonic()
