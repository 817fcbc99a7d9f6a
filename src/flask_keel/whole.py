"""Files that are written as a whole or not at all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic.util import CommandError

from . import messages

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def replace(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Put this text in the place of the file; its mode stays.

    :raises OSError: when it cannot be written; what was there is there still
    """
    new = not path.exists()
    if new:
        path.touch()  # with the mode that the user's umask gives
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode(encoding))
        shutil.copymode(path, name)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        if new:
            path.unlink()
        raise


@contextmanager
def migrations(folder: Path) -> Iterator[None]:
    """Take new migrations away again when the disk is full: one without its end stops every command.

    :param folder: where they are written
    :raises CommandError: when the disk is full
    """
    known = set(folder.glob("*.py"))
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        for file in set(folder.glob("*.py")) - known:
            file.unlink()
        raise CommandError(messages.NO_ROOM.format(folder=folder)) from error
