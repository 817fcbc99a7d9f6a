"""Importing what is large, such as SQLAlchemy and Alembic."""

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
