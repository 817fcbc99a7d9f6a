"""What was renamed in the models: found, asked for, and done on the scratch database.

There autogenerate compares again, so that the file has the renames and what is left beside them:
a new type, another nullability, the names of indexes.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from alembic.autogenerate import produce_migrations
from alembic.operations import MigrateOperation, Operations, ops
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Dialect, Table

from .. import binds, history, output
from ..catalog import live
from . import candidates, questioner, rename_ops, summary
from .candidates import Differences, Likeness, Pair, named
from .questioner import Answers
from .rename_ops import RenameGenerated

MOST = 4  # places
TEMPLATES = {".html", ".htm", ".xml", ".txt", ".j2", ".jinja", ".jinja2"}


def say(context: MigrationContext, revision: object, directives: list[ops.MigrationScript]) -> None:
    """Say where the application's code and templates use a name that a migration takes away."""
    for script in directives:
        for old, new in dict(_renamed(summary.directions(script)[0])).items():
            found = places(binds.home(history.folder()).parent, old)
            if found:
                more = [f"{len(found) - MOST} more"] if found[MOST:] else []
                listed = ", ".join(found[:MOST]) + "".join(f" and {rest}" for rest in more)
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
    context: MigrationContext,
    script: ops.MigrationScript,
    tables: list[tuple[Table, Table]],
    columns: list[tuple[Pair, str, str]],
    why: str | None,
) -> None:
    """Rename, compare, and give the script the renames and what is still different after them.

    :param why: None on a scratch database; else why there is none, and everything is undone again
    :raises CommandError: on a database that is no scratch, where DDL cannot be undone
    """
    done = list(_operations(context, tables, columns))
    with _undone(context, why):
        operations = Operations(context)
        for op in done:
            operations.invoke(op)
        fresh = produce_migrations(context, context.opts["target_metadata"])
        rename_ops.rename(context, fresh, {new.fullname for _, new in tables}, _new(columns))
    up, down = summary.directions(script)
    new_up, new_down = summary.directions(fresh)
    up.ops[:] = [*done, *new_up.ops]
    down.ops[:] = [
        *new_down.ops,
        *(op.reverse() for op in reversed(done)),
    ]


def _operations(
    context: MigrationContext,
    tables: list[tuple[Table, Table]],
    columns: list[tuple[Pair, str, str]],
) -> Iterator[MigrateOperation]:
    for table, renamed in tables:
        yield rename_ops.table(table, renamed)
    for pair, old, new in columns:
        before, after = named(pair.old)[old], named(pair.new)[new]
        yield rename_ops.column(context, before, after, pair.new)


def _new(columns: list[tuple[Pair, str, str]]) -> set[tuple[str, str]]:
    return {(pair.new.fullname, new) for pair, _, new in columns}


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


SWAPPED = (
    "That {old} and {new} changed places cannot be said: the models and the history have the same "
    "names, and only the values would move; type make newmigration empty=1, and rename there by way of "
    "a third name (op.alter_column(..., new_column_name=...), three times)."
)


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


def step(answers: Answers, why: str | None) -> Callable[..., None]:
    """Return the directive that finds the renames and puts them first.

    :param why: None on a scratch database; on the application's own, where everything is undone
        again, why there is no other
    """

    def process(
        context: MigrationContext, revision: object, directives: list[ops.MigrationScript]
    ) -> None:
        for script in directives:
            found = candidates.read(summary.directions(script)[0])
            if not found.any and not answers.renames:
                continue
            renames = decide(found, answers, context.dialect)
            if renames.tables or renames.columns:
                compare_again(context, script, renames.tables, renames.columns, why)

    return process


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
        for score, old, new in candidates.tables(gone.values(), come.values(), dialect)
    ]
    pairs = list(found.pairs)
    for old, new in match([""], gone, come, likely, dialect.name == "sqlite"):
        renames.tables.append((gone[old], come[new]))
        pairs.append(Pair.of(gone[old], come[new]))
    for pair in pairs:
        alike = candidates.columns(pair.old, pair.gone, pair.new, pair.come, dialect)
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
        raise CommandError(SWAPPED.format(old=old, new=_beside(old, new)))
    gone = [table.fullname for table in found.gone]
    come = [table.fullname for table in found.come]
    gone += [pair.prefixes[0] + name for pair in pairs for name in pair.gone]
    come += [pair.prefixes[0] + name for pair in pairs for name in pair.come]
    raise CommandError(
        f"rename={old}:{new} is about nothing that changed: what went is "
        f"{', '.join(gone) or 'nothing'}, what came is "
        f"{', '.join(come) or 'nothing'}; mend the answer, or leave it out."
    )
