"""What is done to a generated migration before it is written, in order."""

from collections.abc import Callable
from typing import Any

from alembic.operations import ops

from .. import messages, report
from . import naming, schemas


def chain(own: Callable[..., None] | None) -> Callable[..., None]:
    """Return one function that does it all.

    :param own: what the application gave Flask-Migrate as ``process_revision_directives``; goes first
    """

    def process(context: Any, revision: Any, directives: list[ops.MigrationScript]) -> None:
        for step in (own, stop_when_empty, name_it, schemas.create_first):
            if step is not None:
                step(context, revision, directives)

    return process


def stop_when_empty(context: Any, revision: Any, directives: list[ops.MigrationScript]) -> None:
    """Write no file when the models and the history agree."""
    if directives and directives[0].upgrade_ops.is_empty():
        directives[:] = []
        messages.say(messages.NO_CHANGES)


def name_it(context: Any, revision: Any, directives: list[ops.MigrationScript]) -> None:
    """Say what was found, and name the migration after it when nobody else did."""
    for script in directives:
        phrases = naming.phrases(script.upgrade_ops)
        for phrase in phrases:
            messages.say(messages.OPERATION, operation=phrase)
        report.add("operations", phrases)
        if not script.message:
            script.message = naming.shorten(phrases)


def render_item(own: Callable[..., Any] | None) -> Callable[..., Any]:
    """Return a renderer that imports the module of a type that is not SQLAlchemy's.

    Alembic writes ``my_app.types.Json()`` and leaves the import to the reader:
    https://alembic.sqlalchemy.org/en/latest/autogenerate.html#affecting-the-rendering-of-types-themselves
    """

    def render(kind: str, item: Any, context: Any) -> Any:
        rendered = own(kind, item, context) if own else False
        if rendered is False and kind == "type":
            module = type(item).__module__
            if not module.startswith("sqlalchemy."):
                context.imports.add(f"import {module}")
        return rendered

    return render
