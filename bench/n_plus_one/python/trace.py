"""Counts what the application sends: every statement, inside or outside a loop, and what gave the loop its rows.

One process serves one request at a time, so a plain variable tells truly whether a statement comes from a loop.
"""

import functools

_depth = 0
_loops = []  # the statements that gave the rows of each open loop
_last = {}  # per depth, the statements of the last operation
_current = []
_counts = {}
_parents = {}


def record(text, times=1):
    """A statement goes out; `times` for one that the driver sends once for each set of parameters."""
    _current.append(text)
    entry = _counts.setdefault(text, [0, 0])
    entry[0 if _depth else 1] += times
    if _depth:
        known = _parents.setdefault(text, {})
        for parent in set(_loops[-1]):
            known[parent] = known.get(parent, 0) + times


def traced(method):
    """Makes a method of an adapter an operation whose statements belong together."""

    @functools.wraps(method)
    def operation(*words, **more):
        global _current
        _current = []
        try:
            return method(*words, **more)
        finally:
            _last[_depth] = _current

    return operation


def loop(items, from_rows=True):
    """Yields the elements: what is sent meanwhile is inside a loop over the rows of the last operation."""
    global _depth
    _loops.append(list(_last.get(_depth, [])) if from_rows else [])
    _depth += 1
    try:
        yield from items
    finally:
        _depth -= 1
        _loops.pop()


def reset():
    _counts.clear()
    _parents.clear()


def report():
    return {"counts": _counts, "parents": _parents}
