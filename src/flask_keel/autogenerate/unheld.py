"""What SQLite does not hold and the other databases do: the values of an Enum, a comment, a variant.

There a comparison of schemas is blind, so the models are held against what the history's own operations
said. It is said, and not written: what PostgreSQL needs for it, SQLite cannot prove.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from alembic.operations import ops
from sqlalchemy import Index, MetaData, PickleType, Table
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.schema import CreateIndex

from ..project import Project
from ..recorder import Recorder
from ..scratch import databases
from ..scratch.cache import Cache
from ..typing import AnyColumn, Options

# by table and column; the table's own under "", an index under its name and a blank
Said = dict[str, dict[str, Options]]
DIALECTS = {
    "PostgreSQL": postgresql.dialect(),  # type: ignore[no-untyped-call]
    "MariaDB": mysql.dialect(),
}
HERE = sqlite.dialect()
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
    name = str(getattr(op, "table_name", None) or "")
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


def _type(kind: Any) -> Options:
    """Return a type as each database writes it, and the values of an Enum; what it cannot is left out."""
    found: Options = {}
    for name, dialect in {"": HERE, **DIALECTS}.items():
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
