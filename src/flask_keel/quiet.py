"""Alembic's own progress lines ("Generating ... done") are quiet: ours say it."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from alembic import util


@contextmanager
def alembic() -> Iterator[None]:
    """Silence ``alembic.util.status``, which prints to stdout, for what runs inside."""

    def status(*_: Any, **__: Any) -> Any:
        return nullcontext()

    theirs, util.status = util.status, status
    try:
        yield
    finally:
        util.status = theirs
