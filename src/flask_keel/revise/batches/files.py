"""Reads a Python file in its own encoding, with its own line ends."""

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
