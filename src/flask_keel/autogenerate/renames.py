"""What was renamed in the models: found, asked for, and done on the scratch database.

There autogenerate compares again, so that the file has the renames and what is left beside them:
a new type, another nullability, the names of indexes.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import product
from pathlib import Path
from typing import Any

from alembic.autogenerate import produce_migrations
from alembic.operations import MigrateOperation, Operations, ops
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Dialect, Table, UniqueConstraint
from sqlalchemy import types as sa
from sqlalchemy.dialects import mysql, postgresql

from .. import binds, history, output
from ..catalog import live
from ..typing import AnyColumn, SQLType
from . import questioner, rename_ops, summary
from .questioner import Answers
from .rename_ops import RenameGenerated

# What may have become what: columns and tables that went, and those that came.


Likeness = tuple[Any, ...]  # the more alike, the smaller
FAMILIES: dict[str, type[SQLType] | tuple[type[SQLType], ...]] = {
    "boolean": sa.Boolean,
    "integer": sa.Integer,
    "numeric": (sa.Numeric, sa.Float),
    "text": (sa.String, sa.Enum),
    "date and time": (sa.Date, sa.DateTime, sa.Time, sa.Interval),
    "binary": sa._Binary,
    "JSON": sa.JSON,
    "UUID": sa.Uuid,
    "interval": postgresql.INTERVAL,  # what was reflected has another class than a model's
    "array": sa.ARRAY,
}
# two tables are alike when more than this share of their columns is in both
ALIKE = 0.5


def families(type_: SQLType, dialect: Dialect) -> set[str]:
    """Return the type families of a column, as its database stores it.

    :param type_: a model's type, or a reflected one
    """
    stored = _stored(type_, dialect)
    while isinstance(stored, sa.TypeDecorator):
        stored = _stored(stored.impl_instance, dialect)
    if isinstance(stored, sa.Uuid) and not (stored.native_uuid and dialect.supports_native_uuid):
        return {"text"}
    found = {name for name, types in FAMILIES.items() if isinstance(stored, types)}
    # MySQL stores a Boolean as TINYINT, and MariaDB a JSON as LONGTEXT
    if isinstance(stored, mysql.TINYINT):
        found.add("boolean")
    if isinstance(stored, mysql.LONGTEXT):
        found.add("JSON")
    return found or {type(stored).__name__.lower()}


def _stored(type_: SQLType, dialect: Dialect) -> SQLType:
    """The type as a database has it; as it is where SQLAlchemy makes nothing of another database's."""
    try:
        return type_.dialect_impl(dialect)
    except Exception:  # a SET of MySQL's on PostgreSQL, say, and in older versions an ENUM
        return type_


def likely_columns(pair: "Pair", dialect: Dialect) -> Iterator[tuple[Likeness, str, str]]:
    """Give (score, old name, new name) for each pair of columns of one family; a higher score is likelier.

    By type, nullability, default, keys, position and likeness of the names, in this order.
    """
    olds, news = named(pair.old), named(pair.new)
    for name, other in product(pair.gone, pair.come):
        before, after = olds[name], news[other]
        if families(before.type, dialect) & families(after.type, dialect):
            yield _score(before, after, dialect), name, other


def likely_tables(
    gone: Iterable[Table], come: Iterable[Table], dialect: Dialect
) -> Iterator[Likeness]:
    """Give (score, old table, new table) for tables of one schema with like columns."""
    for old, new in product(gone, come):
        share = _shared(old, new, dialect) if old.schema == new.schema else 0
        if share > ALIKE:
            yield (share, _alike(old.name, new.name)), old, new


def named(table: Table) -> dict[str, AnyColumn]:
    """Return the columns by the names that the database knows (the keys are the model's)."""
    return {column.name: column for column in table.c}


def _shared(old: Table, new: Table, dialect: Dialect) -> float:
    """The share of columns in both; one that has another name but its family counts for a half."""
    olds = {name: families(column.type, dialect) for name, column in named(old).items()}
    news = {name: families(column.type, dialect) for name, column in named(new).items()}
    same = [name for name in olds if name in news and olds[name] & news[name]]
    left = [kinds for name, kinds in news.items() if name not in same]
    renamed = 0
    for name, kinds in olds.items():
        found = next((other for other in left if other & kinds), None) if name not in same else None
        if found is not None:
            left.remove(found)
            renamed += 1
    return (2 * len(same) + renamed) / max(len(olds) + len(news), 1)


def _score(before: AnyColumn, after: AnyColumn, dialect: Dialect) -> Likeness:
    return (
        _type(before, dialect) == _type(after, dialect),
        before.nullable == after.nullable,
        rename_ops.default(before) == rename_ops.default(after),
        -len(_keys(before) ^ _keys(after)),
        -abs(_position(before) - _position(after)),
        _alike(before.name, after.name),
    )


def _type(column: AnyColumn, dialect: Dialect) -> str:
    try:
        return column.type.compile(dialect)
    except Exception:
        return repr(column.type)


def _keys(column: AnyColumn) -> set[object]:
    keys: set[object] = {("references", key.target_fullname) for key in column.foreign_keys}
    keys |= {"primary"} if column.primary_key else set()
    for constraint in column.table.constraints:
        if isinstance(constraint, UniqueConstraint) and column.name in constraint.columns:
            keys.add(("unique", len(constraint.columns)))
    for index in column.table.indexes:
        if column.name in index.columns:
            keys.add(("unique" if index.unique else "index", len(index.columns)))
    return keys


def _position(column: AnyColumn) -> int:
    return list(named(column.table)).index(column.name)


def _alike(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()


@dataclass
class Pair:
    """A table as it is and as it is in the models, with the columns that only one of them has."""

    old: Table
    new: Table
    gone: list[str] = field(default_factory=list)
    come: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, old: Table, new: Table) -> "Pair":
        olds, news = named(old), named(new)
        gone = [name for name in olds if name not in news]
        return cls(old, new, gone, [name for name in news if name not in olds])

    @property
    def prefixes(self) -> list[str]:
        """What may stand before a column in an answer: the table's old name, and its new one."""
        return list(dict.fromkeys([f"{self.old.fullname}.", f"{self.new.fullname}."]))


@dataclass
class Differences:
    """The tables that went, those that came, and those in which columns went and came."""

    gone: list[Table] = field(default_factory=list)
    come: list[Table] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)

    @property
    def any(self) -> bool:
        """Whether something may have been renamed at all."""
        columns = any(pair.gone and pair.come for pair in self.pairs)
        return columns or bool(self.gone and self.come)


def differences(upgrade_ops: ops.UpgradeOps) -> Differences:
    """Read them from the operations, so that the application's own filters are respected."""
    found = Differences()
    for op in upgrade_ops.ops:
        match op:
            case ops.CreateTableOp():
                found.come.append(op.to_table())
            case ops.DropTableOp():
                found.gone.append(op.to_table())
            case ops.ModifyTableOps():
                added = {o.column.name: o.column for o in op.ops if isinstance(o, ops.AddColumnOp)}
                dropped = {
                    o.column_name: o._reverse.column
                    for o in op.ops
                    if isinstance(o, ops.DropColumnOp) and o._reverse is not None
                }
                # a generated column that is generated in another way goes and comes under one name
                come = [name for name in added if name not in dropped]
                gone = [name for name in dropped if name not in added]
                if come and gone:
                    old, new = dropped[gone[0]].table, added[come[0]].table
                    found.pairs.append(Pair(old, new, gone, come))
    return found


# What is renamed: by the answers.


@dataclass
class Renames:
    """The renames that were decided on, and the likeliest where nobody answered.

    :param open: old name to likeliest new name, as an answer says it
    :param possible: the same with every candidate, in words
    """

    tables: list[tuple[Table, Table]] = field(default_factory=list)
    columns: list[tuple[Pair, str, str]] = field(default_factory=list)
    open: dict[str, str] = field(default_factory=dict)
    possible: list[str] = field(default_factory=list)


def step(
    answers: Answers, why: str | None, context: MigrationContext, script: ops.MigrationScript
) -> None:
    """Find the renames and put them first.

    :param why: None on a scratch database; on the application's own, where everything is undone
        again, why there is no other
    """
    found = differences(summary.directions(script)[0])
    if found.any or answers.renames:
        renames = decide(found, answers, context.dialect)
        if renames.tables or renames.columns:
            compare_again(context, script, renames, why)


def decide(found: Differences, answers: Answers, dialect: Dialect) -> Renames:
    """Decide what is a rename: by the answers, and by questions where somebody is there to answer.

    :raises CommandError: for an answer that is about nothing, and for candidates without an answer
    """
    renames = Renames()
    match = _Matcher(renames, answers)
    gone = {table.fullname: table for table in found.gone}
    come = {table.fullname: table for table in found.come}
    likely = [
        (score, old.fullname, new.fullname)
        for score, old, new in likely_tables(gone.values(), come.values(), dialect)
    ]
    pairs = list(found.pairs)
    for old, new in match([""], gone, come, likely, dialect.name == "sqlite"):
        renames.tables.append((gone[old], come[new]))
        pairs.append(Pair.of(gone[old], come[new]))
    for pair in pairs:
        alike = likely_columns(pair, dialect)
        one = dialect.name != "postgresql"
        for old, new in match(pair.prefixes, pair.gone, pair.come, alike, one):
            renames.columns.append((pair, old, new))
    _require_all_used(found, pairs, match.unused)
    if renames.open:
        none = Answers(answers.renames, True, answers.fills, message=answers.message)
        raise CommandError(
            f"{'; '.join(renames.possible)}: no file was written, since a rename keeps the rows "
            f"and a drop loses them; type {answers.command(renames.open, {})} (or, to drop, "
            f"{none.command({}, {})})."
        )
    return renames


class _Matcher:
    """Matches what went with what came: by answer, by question, or as the likeliest that is open."""

    def __init__(self, renames: Renames, answers: Answers) -> None:
        self.renames = renames
        self.unused = dict(answers.renames)
        self.nothing_else = answers.nothing_else
        self.asking = questioner.at_a_terminal()

    def __call__(
        self,
        prefixes: list[str],
        gone: Iterable[str],
        come: Iterable[str],
        likely: Iterable[tuple[Likeness, str, str]],
        capitals_are_one: bool,
    ) -> list[tuple[str, str]]:
        """Give the pairs of old and new name.

        :param prefixes: the names of the table with a dot, or an empty text for tables; the first is
            the one to show
        :param likely: (score, old, new) for the candidates
        :param capitals_are_one: whether two names that differ in capitals only are one name for the
            database, which can hold the old and the new one at no time
        """
        gone, come = set(gone), set(come)
        matched: list[tuple[str, Any]] = []  # None where the answer is that it goes
        for prefix in prefixes:
            for old in sorted(gone):
                if self.unused.get(prefix + old) in come:
                    matched.append((old, self.unused.pop(prefix + old)))
        if capitals_are_one:
            olds, news = {old for old, _ in matched}, {new for _, new in matched}
            pairs = product(sorted(gone - olds), sorted(come - news))
            matched += [(old, new) for old, new in pairs if old.lower() == new.lower()]
        if self.nothing_else:
            return matched
        taken = {new for _, new in matched}
        left = every = sorted(likely, key=lambda item: item[0], reverse=True)
        while True:
            olds, news = {old for old, _ in matched}, {new for _, new in matched}
            left = [item for item in left if item[1] not in olds and item[2] not in news]
            if not left:
                return [pair for pair in matched if pair[1] is not None]
            old = left[0][1]
            if self.asking:
                choices = [new for _, other, new in left if other == old]
                matched.append((old, _ask(prefixes[0], old, choices)))
                continue
            choices = [new for _, other, new in every if other == old and new not in taken]
            self._note(prefixes[0], old, left[0][2], choices)
            matched.append((old, left[0][2]))

    def _note(self, prefix: str, old: str, likeliest: str, choices: list[str]) -> None:
        self.renames.open[prefix + old] = likeliest
        names = " or ".join(prefix + new for new in choices)
        self.renames.possible.append(f"{prefix + old} may have become {names}")


def _ask(prefix: str, old: str, choices: list[str]) -> str | None:
    names = [f"{prefix + old} is now {prefix + new}: its values are kept" for new in choices]
    question = f"{prefix + old} went, and {', '.join(prefix + n for n in choices)} came."
    picked = questioner.choose(question, [*names, f"neither: drop {prefix + old} with its values"])
    return choices[picked] if picked < len(choices) else None


def _beside(old: str, new: str) -> str:
    """The new name with the table of the old one."""
    table = old.rpartition(".")[0]
    return f"{table}.{new}" if table else new


def _require_all_used(found: Differences, pairs: list[Pair], unused: dict[str, str]) -> None:
    if not unused:
        return
    old, new = next(iter(unused.items()))
    if unused.get(_beside(old, new)) == old.rpartition(".")[2]:
        raise CommandError(
            f"That {old} and {_beside(old, new)} changed places cannot be said: the models and the "
            "history have the same names, and only the values would move; type make newmigration "
            "empty=1, and rename there by way of a third name (op.alter_column(..., "
            "new_column_name=...), three times)."
        )
    gone = [table.fullname for table in found.gone]
    come = [table.fullname for table in found.come]
    gone += [pair.prefixes[0] + name for pair in pairs for name in pair.gone]
    come += [pair.prefixes[0] + name for pair in pairs for name in pair.come]
    raise CommandError(
        f"rename={old}:{new} is about nothing that changed: what went is "
        f"{', '.join(gone) or 'nothing'}, what came is "
        f"{', '.join(come) or 'nothing'}; mend the answer, or leave it out."
    )


# It is done, and compared again; and said where the old name still stands.


MOST = 4  # places
TEMPLATES = {".html", ".htm", ".xml", ".txt", ".j2", ".jinja", ".jinja2"}


def say(context: MigrationContext, script: ops.MigrationScript) -> None:
    """Say where the application's code and templates use a name that a migration takes away."""
    for old, new in dict(_renamed(summary.directions(script)[0])).items():
        if found := places(binds.home(history.folder()).parent, old):
            more = f" and {len(found) - MOST} more" if found[MOST:] else ""
            listed = ", ".join(found[:MOST]) + more
            output.say(f"  {old} still stands in {listed}: is it the one that is now {new}?")
            output.add("still_used", [{"old": old, "new": new, "places": found}])


def places(package: Path, name: str) -> list[str]:
    """Return the lines, as ``my_app/seed.py:12``, that hold a name as a whole word.

    :param package: the folder of the application; its migrations are not looked at
    """
    word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    return [
        f"{path.relative_to(package.parent)}:{number}"
        for path in _files(package)
        for number, line in enumerate(_lines(path), 1)
        if word.search(line)
    ]


def _files(package: Path) -> Iterator[Path]:
    for path in sorted(package.rglob("*")):
        inside = path.relative_to(package).parts
        code = path.suffix == ".py" or ("templates" in inside and path.suffix in TEMPLATES)
        if code and inside[0] != binds.home(history.folder()).name and path.is_file():
            yield path


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _renamed(container: ops.OpContainer) -> Iterator[tuple[str, str]]:
    for op in container.ops:
        match op:
            case ops.OpContainer():
                yield from _renamed(op)
            case ops.RenameTableOp():
                yield op.table_name, op.new_table_name
            case ops.AlterColumnOp() if op.modify_name:
                yield op.column_name, op.modify_name
            case RenameGenerated():
                yield op.old, op.new


def compare_again(
    context: MigrationContext, script: ops.MigrationScript, renames: Renames, why: str | None
) -> None:
    """Rename, compare, and give the script the renames and what is still different after them.

    :param why: None on a scratch database; else why there is none, and everything is undone again
    :raises CommandError: on a database that is no scratch, where DDL cannot be undone
    """
    done: list[MigrateOperation] = [
        rename_ops.RenameTable(old.name, new.name, schema=old.schema) for old, new in renames.tables
    ]
    for pair, name, now in renames.columns:
        before, after = named(pair.old)[name], named(pair.new)[now]
        done.append(rename_ops.column(context, before, after, pair.new))
    with _undone(context, why):
        operations = Operations(context)
        for op in done:
            operations.invoke(op)
        fresh = produce_migrations(context, context.opts["target_metadata"])
        tables = {new.fullname for _, new in renames.tables}
        columns = {(pair.new.fullname, now) for pair, _, now in renames.columns}
        rename_ops.rename(context, fresh, tables, columns)
    up, down = summary.directions(script)
    new_up, new_down = summary.directions(fresh)
    up.ops[:] = [*done, *new_up.ops]
    down.ops[:] = [*new_down.ops, *(op.reverse() for op in reversed(done))]


@contextmanager
def _undone(context: MigrationContext, why: str | None) -> Iterator[None]:
    if why is None:
        yield
    elif not context.impl.transactional_ddl:
        raise CommandError(
            f"{why}, and a rename is tried on a scratch database first: no file was written; "
            "mend that, or write the rename by hand (make newmigration empty=1)."
        )
    else:
        with live(context).begin_nested() as savepoint:
            yield
            savepoint.rollback()
