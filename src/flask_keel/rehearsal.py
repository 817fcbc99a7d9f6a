"""Is this run of a migration the real one, or a rehearsal on a scratch database?"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_rehearsing = ContextVar("rehearsing", default=False)


def is_rehearsal() -> bool:
    """Tell a migration whether it runs on a scratch database or a copy.

    What must happen only once in the world (a mail, a role on the server) belongs under
    ``if not flask_keel.is_rehearsal():``.
    """
    return _rehearsing.get()


@contextmanager
def rehearsal() -> Iterator[None]:
    """Mark everything that runs inside as a rehearsal."""
    token = _rehearsing.set(True)
    try:
        yield
    finally:
        _rehearsing.reset(token)
