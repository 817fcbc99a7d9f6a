"""Makes a text or a file safe: a cheap look first, and libcst only for what needs an edit."""

import ast
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from alembic.util import CommandError

from ... import whole
from . import files, look

NO_LIBCST = (
    "libcst, which edits migrations, is not installed: type make install (in production: "
    "pip install libcst), then sqlite-safe and the file."
)


class NotUnderstood(CommandError):
    """A file that cannot be read as Python, with the reason."""


@dataclass(frozen=True)
class Result:
    """A file after the edit, and a sentence for each call that was left alone though it matters."""

    source: str
    notes: list[str] = field(default_factory=list)
    original: str = ""

    @property
    def changed(self) -> bool:
        """Whether the edit changed anything."""
        return self.source != self.original


def make_safe(source: str, convention: Mapping | None = None, *, name: bool = True) -> Result:
    """Turn the plain operations of a migration that SQLite lacks into batches.

    Operations are grouped for each table as far as their order allows, unnamed constraints get
    the name that ``convention`` (as in ``MetaData(naming_convention=...)``) gives to them, indexes
    and constraints are dropped before the columns that they need. Everything else stays byte for
    byte, and a second run changes nothing. With ``name=False`` what has no name stays without one.

    Raises `NotUnderstood` for what is not Python, with the line in its reason, and `CommandError`
    where an edit is needed and libcst is not installed.
    """
    tree = _parsed(source)
    notes = [
        f"line {node.lineno}: import op itself, not its functions; their calls were left as they are"
        for node in look.imported_singly(tree)
    ]
    if not look.worth_editing(tree):
        return Result(source, notes, source)

    try:
        from libcst import ParserSyntaxError
    except ModuleNotFoundError as error:
        raise CommandError(NO_LIBCST) from error

    from .transform import transform

    try:
        changed, more = transform(source, tree, convention or {}, name)
    except ParserSyntaxError as error:
        raise NotUnderstood(f"line {error.raw_line}: {error.message}") from error
    _parsed(changed)
    return Result(changed, [*notes, *more], source)


def rewrite(
    path: Path, convention: Mapping | None = None, *, write: bool = True, name: bool = True
) -> Result:
    """Make a file safe in place, in its own encoding and with its own line ends.

    The file is replaced as a whole, so that it is never half written; its mode stays, and a link
    stays a link. With ``write=False`` nothing is written.

    Raises `NotUnderstood`, and `OSError` where the file cannot be read or written.
    """
    path = Path(path).resolve()
    try:
        source, encoding = files.read(path)
    except (SyntaxError, UnicodeDecodeError) as error:
        raise NotUnderstood(f"its encoding cannot be read: {error}") from error
    result = make_safe(source, convention, name=name)
    if write and result.changed:
        whole.replace(path, result.source, encoding)
    return result


def _parsed(source: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except SyntaxError as error:
        where = f"line {error.lineno}: " if error.lineno else ""
        raise NotUnderstood(f"{where}{error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise NotUnderstood(str(error) or "it is nested too deeply") from error
