"""Autogenerate: the models against what the history makes, never against a developer's database."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from alembic.operations import ops
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import Connection, MetaData, inspect
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateIndex

from .. import history as history_module
from .. import lexer, literals, output
from ..catalog import schema
from ..project import AHEAD_TABLE, Environment, Project, left_out
from ..recorder import Recorder
from ..scratch import databases, servers
from ..scratch.cache import Cache
from . import not_null, questioner, renames, render, summary, type_changes
from .comparators import OPTIONS

NO_CHANGES = "The models and the history agree: there is nothing to migrate."

# Where no scratch database may be made: the development database, once it is what the schema file says.
#
# The file is what the history makes. A database at the head of the history that says the very same stands
# in for it: nothing that somebody changed by hand gets into a comparison.


TABLE = re.compile(r'^CREATE TABLE ((?:"(?:[^"]|"")*"|`(?:[^`]|``)*`|[^\s(])+) \(\n', re.MULTILINE)
# what begins a line of a table that is no column
RULES = ("CONSTRAINT", "PRIMARY KEY", "UNIQUE KEY", "KEY", "FULLTEXT KEY", "SPATIAL KEY", "UNIQUE")
MOST_DIFFERENCES = 4


def require(project: Environment, connection: Connection, denied: servers.NotAllowed) -> set[str]:
    """Stop unless the application's database may stand in for the scratch database.

    :param denied: why there is no scratch database
    :returns: the names of the tables of others in it
    :raises CommandError: saying what is in the way, and what to type
    """
    if project.settings.get("DB_REBUILD_ALLOWED") is not True:
        raise CommandError(
            f"{denied.reason}; {project.database} is no development database (DB_REBUILD_ALLOWED), and is "
            "not used in its place: let an administrator do that, or use SETTINGS=dev.conf."
        )
    if inspect(connection).has_table(AHEAD_TABLE):
        raise CommandError(
            f"{denied.reason}, and {project.database} is ahead of the history, so it cannot stand in for "
            "one: type make db, which builds the history alone, then make newmigration."
        )
    if history_module.applied(connection) != set(project.script.get_heads()):
        raise CommandError(
            f"{denied.reason}, and {project.database} is not at the head of the history, so it cannot "
            "stand in for one: type make migrate (db upgrade), then try again."
        )
    file = _file(project)
    found = _live(project, connection, file)
    if not schema.is_equal(file, found):
        said = differences(file.read_text("utf-8") if file.exists() else "", found)
        rest = f"; and {len(said) - MOST_DIFFERENCES} more" if said[MOST_DIFFERENCES:] else ""
        raise CommandError(
            f"{denied.reason}, and {project.database} is not what {project.shown(file)} says "
            f"({'; '.join(said[:MOST_DIFFERENCES])}{rest}), so it was changed by hand or the file is "
            f"older than the history: {_remedy(project, denied)}, then try again."
        )
    return _others(project, connection, file)


def _remedy(project: Environment, denied: servers.NotAllowed) -> str:
    """What to type: a PostgreSQL account that may make no database cannot make this one anew."""
    grant = f"let an administrator type {denied.grant};" if denied.grant else ""
    if project.engine.dialect.name == "postgresql":
        return f"put that back, or {grant}"
    return f"type make db, which builds both anew{', or ' + grant if grant else ''}"


@contextmanager
def followed(project: Environment, connection: Connection) -> Iterator[None]:
    """Let the schema file follow an upgrade of a development database that equals it.

    newmigration writes the file from its scratch database; here is none.
    """
    moves = project.settings.get("DB_REBUILD_ALLOWED") is True and project.moving == "upgrade"
    if not moves or connection.dialect.name == "sqlite":
        yield
        return
    file, equal = _file(project), False
    with suppress(SQLAlchemyError):  # what cannot be read is not followed
        equal = schema.is_equal(file, _live(project, connection, file))
    connection.rollback()
    yield
    if not equal or history_module.applied(connection) != set(project.script.get_heads()):
        return
    found = _live(project, connection, file)
    connection.rollback()
    if not schema.is_equal(file, found) and not _may_make_databases(project):
        schema.write(file, found)
        output.say(f"  {project.shown(file)}")


def _may_make_databases(project: Environment) -> bool:
    try:
        with servers.database(project.engine.url, project.engine_options):
            return True
    except servers.NotAllowed:
        return False


def _file(project: Environment) -> Path:
    return schema.path(project.folder, project.dialect)


def _live(project: Environment, connection: Connection, file: Path) -> str:
    """Return the schema of the application's database without the tables of others."""
    return schema.text(connection, project.version_table, _others(project, connection, file))


def _others(project: Environment, connection: Connection, file: Path) -> set[str]:
    """Return the tables that neither the file nor the models name."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    ours = {_unquoted(name) for name in TABLE.findall(text)}
    ours |= {table.name for table in project.metadata.tables.values()}
    return set(inspect(connection).get_table_names()) - ours


def _unquoted(name: str) -> str:
    return lexer.parts(name)[-1]


def differences(wanted: str, found: str) -> list[str]:
    """Say in words what of one schema's text is not in another's.

    :param wanted: the file's
    :param found: the database's
    """
    olds, news = _parts(wanted), _parts(found)
    said = []
    for key in [*olds, *(key for key in news if key not in olds)]:
        if key not in news:
            said.append(f"{key} is missing")
        elif key not in olds:
            said.append(f"{key} was added")
        elif olds[key] != news[key]:
            said.append(f"{key} is {news[key]}, not {olds[key]}")
    return said


def _parts(text: str) -> dict[str, str]:
    """Return the columns of tables, and everything else by its own text."""
    found = {}
    for statement in text.split(";\n"):
        table = TABLE.search(statement)
        if table is None:
            line = " ".join(re.sub(r"^--.*$", "", statement, flags=re.MULTILINE).split())
            if line:
                found[line] = ""
            continue
        name = _unquoted(table[1])
        found[f"the table {name}"] = ""
        for line in statement[table.end() :].rstrip(")\n ").split("\n"):
            line = line.strip().rstrip(",")
            if line.startswith(RULES):
                found[f"{name}: {line}"] = ""
            elif line:
                column, _, kind = line.partition(" ")
                found[f"{name}.{_unquoted(column)}"] = kind
    return found


def made(config: Any, app: Any, connection: Connection) -> None:
    """Write the schema file from a database that the history has just made from nothing.

    :param config: Alembic's
    :param app: the Flask application
    """
    project = Project.of(app, config)
    file = schema.path(project.folder, project.dialect)
    if schema.write(file, schema.text(connection, project.version_table)):
        output.say(f"  {project.shown(file)}")


def chain(*first: Callable[..., None] | None, agree: str = NO_CHANGES) -> Callable[..., None]:
    """Return one function that does it all.

    :param first: what goes before the steps of this module; what the application gave Flask-Migrate
        as ``process_revision_directives`` is one of them
    :param agree: what is said when there is nothing to write
    """

    def process(context: Any, revision: Any, directives: list[ops.MigrationScript]) -> None:
        empty = stop_when_empty(agree)
        own = (empty, name_it, renames.say, databases.create_first, go_with_the_table)
        for step in (*first, *own):
            if step is not None:
                step(context, revision, directives)

    return process


def stop_when_empty(agree: str) -> Callable[..., None]:
    """Return the step that writes no file when the models and the history agree."""

    def step(context: Any, revision: Any, directives: list[ops.MigrationScript]) -> None:
        if directives and directives[0].upgrade_ops.is_empty():
            directives[:] = []
            output.say(agree)

    return step


def name_it(context: Any, revision: Any, directives: list[ops.MigrationScript]) -> None:
    """Say what was found, and name the migration after it when nobody else did."""
    for script in directives:
        phrases = summary.phrases(script.upgrade_ops)
        for phrase in phrases:
            output.say(f"  {phrase}")
        output.add("operations", phrases)
        if not script.message:
            script.message = summary.shorten(phrases)


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


# What SQLite does not hold and the other databases do: the values of an Enum, a comment, a variant.
#
# There a comparison of schemas is blind, so the models are held against what the history's own operations
# said. It is said, and not written: what PostgreSQL needs for it, SQLite cannot prove.


# by table and column; the table's own under "", an index under its name and a blank
Said = dict[str, dict[str, dict[str, Any]]]
DIALECTS = {
    "PostgreSQL": postgresql.dialect(),  # type: ignore[no-untyped-call]
    "MariaDB": mysql.dialect(),  # type: ignore[no-untyped-call]
}
HERE = sqlite.dialect()  # type: ignore[no-untyped-call]
MOST_FOUND = 6


def note(project: Project) -> str | None:
    """Say what of the models no migration has said and SQLite does not show; None for nothing.

    :returns: a sentence
    """
    if len(project.script.get_heads()) != 1:
        return None
    found = list(_differences(said(project), of_models(project.metadata), _sources(project)))
    if not found:
        return None
    more = f"; and {len(found) - MOST_FOUND} more" if found[MOST_FOUND:] else ""
    return (
        "SQLite does not hold this, and other databases never get it: "
        f"{'; '.join(found[:MOST_FOUND])}{more}; for a history that is to run there, say it in a "
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
    name = getattr(op, "table_name", None)
    table = f"{op.schema}.{name}" if getattr(op, "schema", None) else name
    own = facts.setdefault(table, {}) if table else {}
    match op:
        case ops.CreateTableOp():
            facts[table] = _table(op.to_table())
        case ops.DropTableOp():
            facts.pop(table, None)
        case ops.RenameTableOp():
            facts[f"{op.schema}.{op.new_table_name}" if op.schema else op.new_table_name] = own
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


def _alter(own: dict[str, Any], op: ops.AlterColumnOp) -> None:
    column = own.get(op.column_name, {})
    if op.modify_type is not None:
        column = {**_type(op.modify_type), "comment": column.get("comment")}
    if op.modify_comment is not False:
        column = {**column, "comment": op.modify_comment}
    own.pop(op.column_name, None)
    own[op.modify_name or op.column_name] = column


def _table(table: Any) -> dict[str, dict[str, Any]]:
    found = {column.name: _column(column) for column in table.columns}
    found |= {f"{index.name} ": _index(index) for index in table.indexes}
    found[""] = {"comment": table.comment}
    return found


def _column(column: Any) -> dict[str, Any]:
    return {**_type(column.type), "comment": column.comment}


def _type(kind: Any) -> dict[str, Any]:
    """Return a type as each database writes it, and the values of an Enum; what it cannot is left out."""
    found: dict[str, Any] = {}
    for name, dialect in {"": HERE, **DIALECTS}.items():
        with suppress(Exception):  # a type of the application's own may raise anything
            found[name] = kind.compile(dialect=dialect)
    with suppress(Exception):
        own = kind.dialect_impl(DIALECTS["PostgreSQL"])
        # others are held by a CHECK, which is compared, or by nothing anywhere
        found["values"] = list(own.enums) if own.native_enum else []
    return found


def _index(index: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, dialect in {"": HERE, **DIALECTS}.items():
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


def _difference(
    where: str, was: dict[str, Any], now: dict[str, Any], sources: str
) -> Iterator[str]:
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
    for name in DIALECTS:
        if (
            name in was
            and name in now
            and _without_parentheses(was[name]) != _without_parentheses(now[name])
        ):
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
    given = questioner.read(project.context.get_x_argument(), message)
    if given.empty and project.writing:
        render.write_skeleton(project)
        return
    if project.writing and (others := left_out(current_app)):
        output.say(f"{others}.")
    type_changes.load(project.engine.dialect.name)
    why, checking = None, "at_head" in project.config.attributes
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(databases.at_head(project))
            if checking:  # somebody wants to look, too
                project.config.attributes["at_head"](connection)
                connection.rollback()
        except servers.NotAllowed as denied:
            connection = stack.enter_context(project.engine.connect())
            _leave_alone(project, require(project, connection, denied))
            connection.rollback()
            output.say(
                f"{denied.reason}, so the models are compared with {project.database}, which is what "
                "the schema file says."
            )
            why = denied.reason
        unheld = _say_what_is_unheld(project) if project.writing or checking else False
        _configure(project, connection, given, why, AGREE_HERE if unheld else NO_CHANGES)
        with project.context.begin_transaction():
            project.context.run_migrations()


def _configure(
    project: Environment,
    connection: Connection,
    given: questioner.Answers,
    why: str | None,
    agree: str,
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
    project.configure(
        connection,
        transaction_per_migration=False,
        process_revision_directives=chain(*before, agree=agree) if project.writing else own,
        render_item=render.render_item(project.options.pop("render_item", None)),
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

    def include_object(item: Any, name: str, kind: str, reflected: bool, compared: Any) -> bool:
        if kind == "table" and reflected and compared is None and name in others:
            return False
        return own is None or own(item, name, kind, reflected, compared)

    project.options["include_object"] = include_object
