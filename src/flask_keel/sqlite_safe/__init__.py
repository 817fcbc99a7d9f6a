"""The post-generation script: edits a migration file so that it is safe on SQLite.

SQLite's ALTER TABLE knows neither constraints nor a change of a column
(https://www.sqlite.org/omitted.html), so Alembic has batches for it
(https://alembic.sqlalchemy.org/en/latest/batch.html). What a file says plainly becomes a batch
here; what it says otherwise, and how it is written, stays as it is.
"""

import ast
import tokenize
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import click
from alembic.util import CommandError

from .. import binds, history
from ..typing import Convention
from . import scan


def read(path: Path) -> tuple[str, str]:
    """The text of a file and the encoding that it says it has.

    Raises `SyntaxError` for an encoding that does not exist, `UnicodeDecodeError` for one that it
    does not have, `OSError` where there is nothing to read.
    """
    raw = path.read_bytes()
    lines = iter(raw.splitlines(keepends=True))
    encoding, _ = tokenize.detect_encoding(lambda: next(lines, b""))
    return raw.decode(encoding), encoding


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


def make_safe(source: str, convention: Convention | None = None, *, name: bool = True) -> Result:
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
        for node in scan.imported_singly(tree)
    ]
    if not scan.worth_editing(tree):
        return Result(source, notes, source)

    try:
        from libcst import ParserSyntaxError
    except ModuleNotFoundError as error:
        raise CommandError(NO_LIBCST) from error

    from .rewriter import transform

    try:
        changed, more = transform(source, tree, convention or {}, name)
    except ParserSyntaxError as error:
        raise NotUnderstood(f"line {error.raw_line}: {error.message}") from error
    _parsed(changed)
    return Result(changed, [*notes, *more], source)


def rewrite(
    path: Path, convention: Convention | None = None, *, write: bool = True, name: bool = True
) -> Result:
    """Make a file safe in place, in its own encoding and with its own line ends.

    The file is replaced as a whole, so that it is never half written; its mode stays, and a link
    stays a link. With ``write=False`` nothing is written.

    Raises `NotUnderstood`, and `OSError` where the file cannot be read or written.
    """
    path = Path(path).resolve()
    try:
        source, encoding = read(path)
    except (SyntaxError, UnicodeDecodeError) as error:
        raise NotUnderstood(f"its encoding cannot be read: {error}") from error
    result = make_safe(source, convention, name=name)
    if write and result.changed:
        history.replace(path, result.source, encoding)
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


ON_MAIN = (
    "{path} is on the main branch, and servers that ran it have the names that they chose: what has "
    "no name stays without one (--names, with make names=1, gives it one all the same)"
)
PATH = click.Path(path_type=Path)


def naming_convention(path: Path | None = None) -> Convention | None:
    """The convention of the application's models, or None where there is no application.

    :param path: the migration, which may be one of a bind
    """
    from flask import current_app, has_app_context

    if not has_app_context() or "migrate" not in current_app.extensions:
        return None
    bind = binds.of(path.absolute().parent.parent) if path else None
    return binds.metadata(current_app, bind).naming_convention


def register() -> None:
    """Let Alembic know the post-write hook ``sqlite_safe``.

    https://alembic.sqlalchemy.org/en/latest/autogenerate.html#post-write-hooks
    """
    from alembic.script import write_hooks

    write_hooks.register("sqlite_safe")(post_write)


def post_write(path: str, options: object) -> None:
    """The hook: a file that cannot be understood is named and left alone, and nothing fails."""

    try:
        result = rewrite(Path(path), naming_convention(Path(path)))
    except NotUnderstood as error:
        click.echo(_not_understood(path, error), err=True)
        return
    except CommandError as error:
        click.echo(f"{path} was left as it is: {error}", err=True)
        return
    _say_notes(path, result)


@click.command("sqlite-safe")
@click.argument("paths", metavar="FILES...", nargs=-1, required=True, type=PATH)
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 when a file would change.")
@click.option("--diff", is_flag=True, help="Write nothing; show what would change.")
@click.option(
    "--names",
    is_flag=True,
    help="Name constraints without a name in a migration of the main branch, too.",
)
@click.pass_context
def sqlite_safe_command(
    context: click.Context, paths: tuple[Path, ...], check: bool, diff: bool, names: bool
) -> None:
    """Edit migration FILES so that they are safe on SQLite."""
    from .. import history

    failed = False
    for path in paths:
        convention = naming_convention(path)
        try:
            name = names or not history.main_branch_has(path)
            full = result = rewrite(path, convention, write=not (check or diff) and name)
            if not name:
                result = rewrite(path, convention, write=not (check or diff), name=False)
            if result != full:
                click.echo(ON_MAIN.format(path=path), err=True)
        except NotUnderstood as error:
            click.echo(_not_understood(path, error), err=True)
            failed = True
            continue
        except OSError as error:
            click.echo(f"{path}: {error.strerror}; give the path of a migration file.", err=True)
            failed = True
            continue
        _say_notes(path, result)
        failed = failed or (check and result.changed)
        if diff:
            click.echo(_diff(path, result), nl=False)
        if check and result.changed:
            words = f"{path} is not safe on SQLite yet; run {context.command_path} {path}"
            click.echo(words, err=diff)
        elif not check and not diff:
            click.echo(f"{path}: {'made safe for SQLite' if result.changed else 'safe already'}")
    if failed:
        context.exit(1)


def _not_understood(path: object, error: "NotUnderstood") -> str:
    return f"{path} was left alone, since it cannot be read as Python ({error}); mend it and try again."


def _say_notes(path: object, result: "Result") -> None:
    for note in result.notes:
        click.echo(f"{path}: {note}", err=True)


def _diff(path: Path, result: "Result") -> str:
    import difflib
    import io

    # splitlines would also part lines at form feeds
    texts = (result.original, result.source)
    before, after = (list(io.StringIO(text, newline="")) for text in texts)
    lines = difflib.unified_diff(before, after, str(path), str(path))
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
