"""What is done to a generated migration before it is written, in order."""

from collections.abc import Callable
from typing import Any

from alembic.operations import ops

from .. import messages, report
from . import left_over, naming, schemas


def chain(
    *first: Callable[..., None] | None, agree: str = messages.NO_CHANGES
) -> Callable[..., None]:
    """Return one function that does it all.

    :param first: what goes before the steps of this module; what the application gave Flask-Migrate
        as ``process_revision_directives`` is one of them
    :param agree: what is said when there is nothing to write
    """

    def process(context: Any, revision: Any, directives: list[ops.MigrationScript]) -> None:
        empty = stop_when_empty(agree)
        own = (empty, name_it, left_over.say, schemas.create_first, go_with_the_table)
        for step in (*first, *own):
            if step is not None:
                step(context, revision, directives)

    return process


def stop_when_empty(agree: str) -> Callable[..., None]:
    """Return the step that writes no file when the models and the history agree."""

    def step(context: Any, revision: Any, directives: list[ops.MigrationScript]) -> None:
        if directives and directives[0].upgrade_ops.is_empty():
            directives[:] = []
            messages.say(messages.LINE, line=agree)

    return step


def name_it(context: Any, revision: Any, directives: list[ops.MigrationScript]) -> None:
    """Say what was found, and name the migration after it when nobody else did."""
    for script in directives:
        phrases = naming.phrases(script.upgrade_ops)
        for phrase in phrases:
            messages.say(messages.OPERATION, operation=phrase)
        report.add("operations", phrases)
        if not script.message:
            script.message = naming.shorten(phrases)


def go_with_the_table(context: Any, revision: Any, directives: list[ops.MigrationScript]) -> None:
    """Leave out the drops of indexes whose table is dropped: they go with it.

    MySQL refuses to drop an index that a foreign key needs.
    """
    for script in directives:
        for container in (script.upgrade_ops, script.downgrade_ops):
            gone = {op.table_name for op in container.ops if isinstance(op, ops.DropTableOp)}
            container.ops[:] = [op for op in container.ops if not _only_drops_indexes(op, gone)]


def _only_drops_indexes(op: Any, gone: set[str]) -> bool:
    inside = op.ops if isinstance(op, ops.ModifyTableOps) else [op]
    return bool(inside) and all(
        isinstance(each, ops.DropIndexOp) and each.table_name in gone for each in inside
    )
