"""The post-generation script: edits a migration file so that it is safe on SQLite.

SQLite's ALTER TABLE knows neither constraints nor a change of a column
(https://www.sqlite.org/omitted.html), so Alembic has batches for it
(https://alembic.sqlalchemy.org/en/latest/batch.html). What a file says plainly becomes a batch
here; what it says otherwise, and how it is written, stays as it is.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
from alembic.util import CommandError

if TYPE_CHECKING:
    from .batches.rewriting import NotUnderstood, Result

ON_MAIN = (
    "{path} is on the main branch, and servers that ran it have the names that they chose: what has "
    "no name stays without one (--names, with make names=1, gives it one all the same)"
)
PATH = click.Path(path_type=Path)


def naming_convention() -> Mapping | None:
    """The convention of the application's models, or None where there is no application."""
    from flask import current_app, has_app_context

    if not has_app_context() or "migrate" not in current_app.extensions:
        return None
    return current_app.extensions["migrate"].db.metadata.naming_convention


def register() -> None:
    """Let Alembic know the post-write hook ``sqlite_safe``.

    https://alembic.sqlalchemy.org/en/latest/autogenerate.html#post-write-hooks
    """
    from alembic.script import write_hooks

    write_hooks.register("sqlite_safe")(post_write)


def post_write(path: str, options: Mapping) -> None:
    """The hook: a file that cannot be understood is named and left alone, and nothing fails."""
    from .batches.rewriting import NotUnderstood, rewrite

    try:
        result = rewrite(Path(path), naming_convention())
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
    from ..check import main_branch
    from .batches.rewriting import NotUnderstood, rewrite

    failed = False
    convention = naming_convention()
    for path in paths:
        try:
            name = names or not main_branch.has(path)
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
