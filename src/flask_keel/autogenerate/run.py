"""Autogenerate: the models against what the history makes, never against a developer's database."""

import shlex
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial

from alembic.operations import ops
from alembic.operations.ops import MigrateOperation
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import Connection, Table
from sqlalchemy.exc import SQLAlchemyError

from .. import history as history_module
from .. import literals, output
from ..catalog import drift
from ..project import Environment, left_out, listening
from ..scratch import cache, databases, servers
from . import adopted, at_head, not_null, questioner, renames, render, summary, type_changes, unheld
from .comparators import OPTIONS

NO_CHANGES = "The models and the history agree: there is nothing to migrate."


def chain(
    *first: Callable[..., None] | None,
    agree: str = NO_CHANGES,
    agreed: Callable[[], None] = lambda: None,
) -> Callable[..., None]:
    """Return one function that does it all.

    :param first: what goes before the steps of this module; what the application gave Flask-Migrate
        as ``process_revision_directives`` is one of them
    :param agree: what is said when there is nothing to write
    :param agreed: called then
    """

    def process(
        context: MigrationContext, revision: object, directives: list[ops.MigrationScript]
    ) -> None:
        empty = stop_when_empty(agree, agreed)
        own = (empty, name_it, renames.say, databases.create_first, go_with_the_table)
        for step in (*first, *own):
            if step is not None:
                step(context, revision, directives)

    return process


def stop_when_empty(agree: str, agreed: Callable[[], None]) -> Callable[..., None]:
    """Return the step that writes no file when the models and the history agree."""

    def step(
        context: MigrationContext, revision: object, directives: list[ops.MigrationScript]
    ) -> None:
        if directives and summary.directions(directives[0])[0].is_empty():
            directives[:] = []
            output.say(agree)
            agreed()

    return step


def name_it(
    context: MigrationContext, revision: object, directives: list[ops.MigrationScript]
) -> None:
    """Say what was found, and name the migration after it when nobody else did."""
    for script in directives:
        phrases = summary.phrases(script.upgrade_ops)
        for phrase in phrases:
            output.say(f"  {phrase}")
        output.add("operations", phrases)
        if not script.message:
            script.message = summary.shorten(phrases)


def go_with_the_table(
    context: MigrationContext, revision: object, directives: list[ops.MigrationScript]
) -> None:
    """Leave out the drops of indexes whose table is dropped: they go with it.

    MySQL refuses to drop an index that a foreign key needs.
    """
    for script in directives:
        for container in summary.directions(script):
            gone = {op.table_name for op in container.ops if isinstance(op, ops.DropTableOp)}
            container.ops[:] = [op for op in container.ops if not _only_drops_indexes(op, gone)]


def _only_drops_indexes(op: MigrateOperation, gone: set[str]) -> bool:
    inside = op.ops if isinstance(op, ops.ModifyTableOps) else [op]
    return bool(inside) and all(
        isinstance(each, ops.DropIndexOp) and each.table_name in gone for each in inside
    )


AGREE_HERE = "The rest of the models and the history agree: no file is written."


def compare(project: Environment) -> None:
    """Run the command's comparison on a scratch database.

    Where there cannot be one, a sentence says so, and the development database itself is used, once
    it is what the schema file says.

    :raises alembic.util.CommandError: for two heads, or when nothing can stand in for a scratch database
    """
    if project.head_asked == "head":
        history_module.require_one_head(project.script)
    message = project.revision_context.command_args["message"]
    given = questioner.read(list(project.context.get_x_argument()), message)
    if given.empty and project.writing:
        render.write_skeleton(project)
        return
    if project.writing:
        if others := left_out(current_app):
            output.say(f"{others}.")
        _say_what_was_edited(project)
    type_changes.load(project.engine.dialect.name)
    why, checking = None, "at_head" in project.config.attributes
    agreed = partial(cache.note_agreed, project, dict(project.options))
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(databases.at_head(project))
            if checking:  # somebody wants to look, too
                project.config.attributes["at_head"](connection)
                connection.rollback()
        except servers.NotAllowed as denied:
            connection = stack.enter_context(project.engine.connect())
            _leave_alone(project, at_head.require(project, connection, denied))
            connection.rollback()
            output.say(
                f"{denied.reason}, so the models are compared with {project.database}, which is what "
                "the schema file says."
            )
            why = denied.reason
        adopted.keep_names(project, connection)
        connection.rollback()
        if project.dialect == "postgresql":
            connection.begin()  # it is Alembic's no more: nothing of a comparison is committed
        said = _say_what_is_unheld(project) if project.writing or checking else False
        _configure(project, connection, given, why, AGREE_HERE if said else NO_CHANGES, agreed)
        with (
            listening(Table, column_reflect=literals.read_enum),
            project.context.begin_transaction(),
        ):
            project.context.run_migrations()


EDITED = (
    "{file} was edited after it was applied to {database}, which keeps what it made then: put it back "
    "(git checkout {quoted}), or type make db."
)


def _say_what_was_edited(project: Environment) -> None:
    """Say it before a difference is written, which may be nothing but that edit."""
    with suppress(CommandError, SQLAlchemyError, OSError), project.reader.connect() as connection:
        for one in drift.edited(project, connection, project.applied(connection)):
            file = project.shown(one.path)
            said = {"database": project.database, "quoted": shlex.quote(file)}
            output.say(EDITED.format(file=file, **said))


def _configure(
    project: Environment,
    connection: Connection,
    given: questioner.Answers,
    why: str | None,
    agree: str,
    agreed: Callable[[], None],
) -> None:
    project.options = {**OPTIONS, **project.options}
    project.options |= databases.comparison(project.metadata, project.options)
    own = project.options.pop("process_revision_directives", None)
    before = (
        renames.step(given, why),
        own,
        not_null.step(given),
        type_changes.cast,
        type_changes.mend,
    )
    step = chain(*before, agree=agree, agreed=agreed)
    project.configure(
        connection,
        transaction_per_migration=False,
        process_revision_directives=step if project.writing else own,
        render_item=render.render_item(project.options.pop("render_item", None)),
    )
    literals.install(project.context.get_context().impl)


def _say_what_is_unheld(project: Environment) -> bool:
    if project.dialect != "sqlite":
        return False
    said = unheld.note(project)
    if said:
        output.say(said)
        project.config.attributes["unheld"] = said  # for check, which says the rest
    return said is not None


def _leave_alone(project: Environment, others: set[str]) -> None:
    """Leave alone the tables of others, which a scratch database would not show."""
    own = project.options.get("include_object")

    def include_object(
        item: object, name: str, kind: str, reflected: bool, compared: object
    ) -> bool:
        if kind == "table" and reflected and compared is None and name in others:
            return False
        return own is None or own(item, name, kind, reflected, compared)

    project.options["include_object"] = include_object
