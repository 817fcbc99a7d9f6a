"""What the libraries say and nobody is to read: progress lines, warnings that have no ground here."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

# of what is done all the same: what a file says for MySQL, indexes on expressions, keys in a circle
UNFOUNDED = (
    "autoincrement and existing_autoincrement",
    "autogenerate skipping metadata-specified expression-based index",
    "Skipped unsupported reflection of expression-based index",
    "Cannot correctly sort tables; there are unresolvable cycles",
)


def unfounded() -> None:
    """Silence warnings of what is done all the same, for the rest of the process."""
    for message in UNFOUNDED:
        warnings.filterwarnings("ignore", message=message)


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
