"""Importing what is large, such as SQLAlchemy and Alembic, and looking for garbage the less often."""

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quietly() -> Iterator[None]:
    """Let modules be imported without a look for garbage among them, then or later: they stay.

    That took a tenth of the time of a command. https://docs.python.org/3/library/gc.html#gc.freeze
    """
    collects, there = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > there:  # else it would be other things that stay
            gc.freeze()
        if collects:
            gc.enable()


@contextmanager
def rarely() -> Iterator[None]:
    """Look for garbage a hundred times less often, and never among what is there already.

    For work that makes much and is over soon. https://docs.python.org/3/library/gc.html#gc.set_threshold
    """
    gc.freeze()
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)  # Python looks through all of it once more when it ends
    first, *others = gc.get_threshold()
    gc.set_threshold(100 * first, *others)
    try:
        yield
    finally:
        gc.set_threshold(first, *others)
