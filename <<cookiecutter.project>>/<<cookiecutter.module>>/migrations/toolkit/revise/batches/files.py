"""Reads and replaces a Python file in its own encoding, with its own line ends."""

import os
import shutil
import tempfile
import tokenize
from pathlib import Path


def read(path: Path) -> tuple[str, str]:
    """The text of a file and the encoding that it says it has.

    Raises `SyntaxError` for an encoding that does not exist, `UnicodeDecodeError` for one that it
    does not have, `OSError` where there is nothing to read.
    """
    raw = path.read_bytes()
    lines = iter(raw.splitlines(keepends=True))
    encoding, _ = tokenize.detect_encoding(lambda: next(lines, b""))
    return raw.decode(encoding), encoding


def replace(path: Path, source: str, encoding: str) -> None:
    """Put this text in the place of the file, as a whole or not at all; its mode stays."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(source.encode(encoding))
        shutil.copymode(path, name)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
