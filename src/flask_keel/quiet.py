"""Alembic's own progress lines ("Generating ... done") are quiet: ours say it."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any


@contextmanager
def alembic() -> Iterator[None]:
    """Silence ``alembic.util.status``, which prints to stdout, for what runs inside."""

    from alembic import util

    def status(*_: Any, **__: Any) -> Any:
        return nullcontext()

    theirs, util.status = util.status, status
    try:
        yield
    finally:
        util.status = theirs
