"""Autogenerate: the models against what the history makes, never against a developer's database.

What SQLite does not hold and the other databases do: the values of an Enum, a comment, a variant.

There a comparison of schemas is blind, so the models are held against what the history's own operations
said. It is said, and not written: what PostgreSQL needs for it, SQLite cannot prove.
"""

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from alembic.operations import ops
from alembic.operations.ops import MigrateOperation
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from flask import g
from sqlalchemy import Connection, Index, MetaData, PickleType, Table, TypeDecorator
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateIndex

from .. import catalog, heads, literals, output
from .. import history as history_module
from ..catalog import diff, drift
from ..lexer import dotted
from ..project import Environment, Project, listening
from ..runner import Recorder
from ..scratch import cache, databases, servers
from ..scratch.cache import Cache
from ..typing import AnyColumn, Options
from . import constraints, not_null, questioner, renames, render, summary, type_changes
from .comparators import OPTIONS

NO_CHANGES = "The models and the history agree: there is nothing to migrate."
Step = Callable[[MigrationContext, ops.MigrationScript], None]
# by table and column; the table's own under "", an index under its name and a blank
Said = dict[str, dict[str, Options]]
DIALECTS = {"PostgreSQL": render.DIALECTS["postgresql"], "MariaDB": render.DIALECTS["mysql"]}
EVERY = {"": render.DIALECTS["sqlite"], **DIALECTS}
MOST_FOUND = 6


def name_it(context: MigrationContext, script: ops.MigrationScript) -> None:
    """Say what was found, and name the migration after it when nobody else did."""
    phrases = summary.phrases(script.upgrade_ops)
    for phrase in phrases:
        output.say(f"  {phrase}")
    output.add("operations", phrases)
    if not script.message:
        script.message = summary.shorten(phrases)


def note_tables(bind: str | None, context: MigrationContext, script: ops.MigrationScript) -> None:
    """Note which tables a migration makes and drops: one may go to another bind."""
    found = summary.directions(script)[0].ops
    made = {op.table_name for op in found if isinstance(op, ops.CreateTableOp)}
    dropped = {op.table_name for op in found if isinstance(op, ops.DropTableOp)}
    g.setdefault("keel_tables", {})[bind] = made, dropped


def go_with_the_table(context: MigrationContext, script: ops.MigrationScript) -> None:
    """Leave out the drops of indexes whose table is dropped: they go with it.

    MySQL refuses to drop an index that a foreign key needs.
    """
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
    checking = "at_head" in project.config.attributes
    meant = checking and heads.meant(project.folder, project.script.get_heads())
    if project.head_asked == "head" and not meant:
        history_module.require_one_head(project.script)
    message = project.revision_context.command_args["message"]
    given = questioner.read(list(project.context.get_x_argument()), message)
    if given.empty and project.writing:
        render.write_skeleton(project)
        return
    if project.writing:
        _say_what_was_edited(project)
    type_changes.load(project.engine.dialect.name)
    why = None
    agreed = partial(cache.note_agreed, project, dict(project.options))
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(databases.at_head(project))
            if project.writing or checking:
                _say_what_types_make_now(project, connection)
                connection.rollback()
            if checking:  # somebody wants to look, too
                project.config.attributes["at_head"](connection)
                connection.rollback()
        except servers.NotAllowed as denied:
            connection = stack.enter_context(project.engine.connect())
            _leave_alone(project, drift.require(project, connection, denied))
            connection.rollback()
            output.say(
                f"{denied.reason}, so the models are compared with {project.database}, which is what "
                "the schema file says."
            )
            why = denied.reason
        constraints.keep_names(project, connection)
        connection.rollback()
        if project.dialect == "postgresql":
            connection.begin()  # it is Alembic's no more: nothing of a comparison is committed
        said = _say_what_is_unheld(project) if project.writing or checking else False
        _configure(project, connection, given, why, AGREE_HERE if said else NO_CHANGES, agreed)
        with (
            listening(Table, column_reflect=literals.read_column),
            project.context.begin_transaction(),
        ):
            project.context.run_migrations()


OTHERWISE = (
    "{column} is {now} in what the history makes now, and {before} in {file}: where {type} stores something "
    "else than it did, write what it stored in its place into the migration that made the column; where "
    "a migration has changed the column since, type db schema."
)


def _say_what_types_make_now(project: Environment, connection: Connection) -> None:
    """Say where a migration that calls a type of the application's may make another column than it did.

    The history agrees with the models then, and databases keep what they have.
    """
    file = catalog.path(project.folder, project.dialect)
    types = {
        (table.name, column.name): type(column.type)
        for table in project.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, TypeDecorator) and not render.known(column.type)
    }
    text = catalog.text(connection, project.version_table) if types and file.exists() else None
    if text is None or catalog.is_equal(file, text):
        return
    for one in diff.between(project.dialect, file.read_text(encoding="utf-8"), text):
        own = types.get((one.part.table or "", one.part.name or ""))
        if own is None or one.part.kind != "column" or one.change != "changed":
            continue
        assert one.before is not None and one.now is not None
        output.say(
            OTHERWISE.format(
                column=f"{one.part.table}.{one.part.name}",
                now=one.now.text,
                before=one.before.text,
                file=project.shown(file),
                type=f"{render.home(own)}.{own.__qualname__}",
            )
        )


def _say_what_was_edited(project: Environment) -> None:
    """Say it before a difference is written, which may be nothing but that edit."""
    with suppress(CommandError, SQLAlchemyError, OSError), project.reader.connect() as connection:
        for one in drift.edited(project, connection, project.applied(connection)):
            file = project.shown(one.path)
            output.say(
                f"{file} was edited after it was applied to {project.database}, which keeps what it "
                f"made then: put it back (git checkout {shlex.quote(file)}), or type make db."
            )


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
    steps: tuple[Step, ...] = (
        partial(not_null.step, given),
        type_changes.cast,
        type_changes.mend,
        partial(note_tables, project.bind),
    )
    last: tuple[Step, ...] = (name_it, renames.say, databases.create_first, go_with_the_table)

    def process(
        context: MigrationContext, revision: object, directives: list[ops.MigrationScript]
    ) -> None:
        for script in directives:
            renames.step(given, why, context, script)
        if own is not None:
            own(context, revision, directives)
        for step in steps:
            for script in directives:
                step(context, script)
        if directives and summary.directions(directives[0])[0].is_empty():
            directives[:] = []
            output.say(agree)
            agreed()
        for step in last:
            for script in directives:
                step(context, script)

    project.configure(
        connection,
        transaction_per_migration=False,
        process_revision_directives=process if project.writing else own,
        render_item=render.render_item(project.options.pop("render_item", None)),
        **{not_null.BATCHES: project.zero_downtime and project.dialect != "sqlite"},
    )
    literals.install(project.context.get_context().impl)


def _say_what_is_unheld(project: Environment) -> bool:
    if project.dialect != "sqlite":
        return False
    said = note(project)
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


def note(project: Project) -> str | None:
    """Say what of the models no migration has said and SQLite does not show; None for nothing.

    :returns: a sentence
    """
    if len(project.script.get_heads()) != 1:
        return None
    found = list(_differences(said(project), of_models(project.metadata), _sources(project)))
    if not found:
        return None
    return (
        "SQLite does not hold this, and other databases never get it: "
        f"{'; '.join(output.listed(found, MOST_FOUND))}; for a history that is to run there, say it in a "
        "migration of your own (make newmigration empty=1)."
    )


def said(project: Project) -> Said:
    """Return what the history's operations said; each revision's is kept beside the scratch database."""
    kept, script = Cache(project), project.script
    pending: list[str] = []
    facts: Said | None = None
    for revision in script.walk_revisions():
        facts = kept.read_facts(revision.revision)
        if facts is not None:
            break
        pending.append(revision.revision)
    facts = facts or {}
    if pending:
        recorder = Recorder(map(script.get_revision, pending))
        with databases.at_head(project, recorder):
            for name in reversed(pending):
                for what in recorder.recordings[name].did:
                    if not isinstance(what, str):
                        _fold(facts, what)
        kept.keep_facts(pending[0], facts)
    return facts


def of_models(metadata: MetaData) -> Said:
    """Return the same of the models."""
    return {table.fullname: _table(table) for table in metadata.tables.values()}


def _fold(facts: Said, op: Any) -> None:
    """Put what one operation says to what was said before it."""
    table = dotted(getattr(op, "schema", None), getattr(op, "table_name", None))
    own = facts.setdefault(table, {}) if table else {}
    match op:
        case ops.CreateTableOp():
            facts[table] = _table(op.to_table())
        case ops.DropTableOp():
            facts.pop(table, None)
        case ops.RenameTableOp():
            facts[dotted(op.schema, op.new_table_name)] = own
            facts.pop(table, None)
        case ops.AddColumnOp():
            own[op.column.name] = _column(op.column)
        case ops.DropColumnOp():
            own.pop(op.column_name, None)
        case ops.CreateIndexOp():
            own[f"{op.index_name} "] = _index(op.to_index())
        case ops.DropIndexOp():
            own.pop(f"{op.index_name} ", None)
        case ops.CreateTableCommentOp() | ops.DropTableCommentOp():
            own[""] = {"comment": getattr(op, "comment", None)}
        case ops.AlterColumnOp():
            _alter(own, op)


def _alter(own: Options, op: ops.AlterColumnOp) -> None:
    column = own.get(op.column_name, {})
    if op.modify_type is not None:
        column = {**_type(op.modify_type), "comment": column.get("comment")}
    if op.modify_comment is not False:
        column = {**column, "comment": op.modify_comment}
    own.pop(op.column_name, None)
    own[op.modify_name or op.column_name] = column


def _table(table: Table) -> dict[str, Options]:
    found = {column.name: _column(column) for column in table.columns}
    found |= {f"{index.name} ": _index(index) for index in table.indexes}
    found[""] = {"comment": table.comment}
    return found


def _column(column: AnyColumn) -> Options:
    return {**_type(column.type), "comment": column.comment}


_written: dict[object, Options] = {}


def _type(kind: Any) -> Options:
    """Return a type as each database writes it, and the values of an Enum; what it cannot is left out."""
    said = tuple(vars(kind).items())
    if not all(value is None or isinstance(value, str | int) for _, value in said):
        return _each(kind)
    key = type(kind), said  # of such types a project has few, on many columns
    if key not in _written:
        _written[key] = _each(kind)
    return _written[key]


def _each(kind: Any) -> Options:
    found: Options = {}
    for name, dialect in EVERY.items():
        with suppress(Exception):  # a type of the application's own may raise anything
            found[name] = kind.compile(dialect=dialect)
    found["pickled"] = isinstance(kind, PickleType)
    with suppress(Exception):
        own = kind.dialect_impl(DIALECTS["PostgreSQL"])
        # others are held by a CHECK, which is compared, or by nothing anywhere
        found["values"] = list(own.enums) if own.native_enum else []
    return found


def _index(index: Index) -> Options:
    found: Options = {}
    for name, dialect in EVERY.items():
        with suppress(Exception):  # each database has its own ways to refuse one
            found[name] = " ".join(str(CreateIndex(index).compile(dialect=dialect)).split())
    return found


def _differences(history: Said, models: Said, sources: str) -> Iterator[str]:
    for table, parts in models.items():
        before = history.get(table, {})
        for part, now in parts.items():
            if part in before:
                where = (
                    f"{table}.{part}" if part and not part.endswith(" ") else part.strip() or table
                )
                yield from _difference(where, before[part], now, sources)


def _difference(where: str, was: Options, now: Options, sources: str) -> Iterator[str]:
    if (was.get("comment") or None) != (now.get("comment") or None):
        yield f"the comment of {where} is {now.get('comment')!r}, not {was.get('comment')!r}"
    if was.get("") != now.get(""):
        return  # SQLite sees that it is another
    olds, news = was.get("values") or [], now.get("values") or []
    if set(olds) != set(news):
        new = [value for value in news if value not in olds and not _added(value, sources)]
        gone = [value for value in olds if value not in news]
        if new or gone:
            yield f"{where} may be {', '.join(map(repr, news))}, not {', '.join(map(repr, olds))}"
        return
    if was.get("pickled", now.get("pickled")) != now.get("pickled"):
        forms = {True: "what pickle makes of it", False: "bytes as they are"}
        yield f"{where} holds {forms[now['pickled']]}, not {forms[was['pickled']]}"
        return
    for name in [name for name in DIALECTS if name in was and name in now]:
        if _without_parentheses(was[name]) != _without_parentheses(now[name]):
            yield f"{where} is {now[name]} on {name}, not {was[name]}"
            return


def _without_parentheses(sql: str) -> str:
    """Parentheses around an expression depend on how the model says it, and mean nothing."""
    return re.sub(r"[()\s]", "", sql) if sql.startswith("CREATE ") else sql


def _added(value: str, sources: str) -> bool:
    """Whether a migration adds the value in SQL of PostgreSQL's own, which did not run here."""
    return bool(re.search(rf"ADD VALUE[^\n]*'{re.escape(value)}'", sources, re.IGNORECASE))


def _sources(project: Project) -> str:
    return "\n".join(
        Path(one.path).read_text(encoding="utf-8") for one in project.script.walk_revisions()
    )
