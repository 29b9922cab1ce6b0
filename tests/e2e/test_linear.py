"""The checker of histories itself: what it must accept, what it must find, and a slow twin that tries every order."""

import itertools
import random

from linear import GET, INCR, SET, History, Operation, explained


def op(kind, value, result, began, ended):
    return Operation(kind, value, result, began, ended)


def test_overlapping_operations_may_take_either_order():
    write = op(SET, 1, True, 0, 10)
    assert explained([write, op(GET, None, None, 1, 2), op(GET, None, 1, 3, 4)])
    assert not explained([write, op(GET, None, 1, 1, 2), op(GET, None, None, 3, 4)]), "a value that was seen went away"


def test_a_lost_write_is_found():
    assert not explained([op(SET, 1, True, 0, 1), op(GET, None, None, 2, 3)])
    assert not explained([op(INCR, None, 1, 0, 1), op(INCR, None, 1, 2, 3)])


def test_a_stale_read_is_found():
    history = [op(SET, 1, True, 0, 1), op(SET, 2, True, 2, 3), op(GET, None, 1, 4, 5)]
    assert not explained(history)
    assert explained(history[:2] + [op(GET, None, 1, 2.5, 5)])


def test_without_a_reply_a_write_may_happen_late_or_never():
    pending = op(SET, 7, None, 0, None)
    assert explained([pending, op(GET, None, None, 1, 2)])
    assert explained([pending, op(GET, None, None, 1, 2), op(GET, None, 7, 3, 4)])
    assert not explained([pending, op(GET, None, 7, 1, 2), op(GET, None, None, 3, 4)])
    assert not explained([op(GET, None, 7, 0, 1), op(SET, 7, None, 2, None)]), "nothing is seen before it was asked for"


def test_the_end_of_the_shortest_unexplained_beginning_is_shown():
    history = History()
    for i in range(20):
        history.note("k", op(SET, i, True, 10 * i, 10 * i + 1))
        history.note("k", op(GET, None, i if i != 9 else 3, 10 * i + 2, 10 * i + 3))
    shown = history.violations()["k"]
    assert shown[-1].kind == GET and shown[-1].result == 3


def every_order(operations):
    """Tries all orders of all that was answered and any part of the rest."""
    answered = [o for o in operations if o.ended is not None]
    rest = [o for o in operations if o.ended is None]
    for count in range(len(rest) + 1):
        for some in itertools.combinations(rest, count):
            for order in itertools.permutations(answered + list(some)):
                late = any(b.ended is not None and b.ended < a.began for i, a in enumerate(order) for b in order[i + 1:])
                if late:
                    continue
                state = None
                for o in order:
                    state = o.apply(state)
                    if state is False:
                        break
                else:
                    return True
    return False


def test_a_slow_twin_agrees():
    chance = random.Random(7)
    verdicts = set()
    for _ in range(600):
        operations = []
        for _ in range(chance.randint(1, 5)):
            kind = chance.choice([SET, GET, INCR])
            began = chance.randint(0, 8)
            ended = None if kind != GET and chance.random() < 0.2 else began + chance.randint(1, 6)
            result = None if ended is None else chance.choice([None, 1, 2, 3] if kind == GET else [1, 2, 3])
            operations.append(op(kind, chance.randint(1, 3), result, began, ended))
        verdict = explained(operations)
        assert verdict == every_order(operations), operations
        verdicts.add(verdict)
    assert verdicts == {True, False}
