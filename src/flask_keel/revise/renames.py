"""What was renamed in the models: found, asked for, and done on the scratch database.

There autogenerate compares again, so that the file has the renames and what is left beside them:
a new type, another nullability, the names of indexes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from alembic.operations import ops
from alembic.util import CommandError
from sqlalchemy import Table

from .. import messages
from . import candidates, differences, questions, renamed
from .answers import Answers
from .differences import Differences, Pair

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

    def process(context: Any, revision: Any, directives: list[ops.MigrationScript]) -> None:
        for script in directives:
            found = differences.read(script.upgrade_ops)
            if not found.any and not answers.renames:
                continue
            renames = decide(found, answers, context.dialect)
            if renames.tables or renames.columns:
                renamed.compare_again(context, script, renames.tables, renames.columns, why)

    return process


def decide(found: Differences, answers: Answers, dialect: Any) -> Renames:
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
        likely = candidates.columns(pair.old, pair.gone, pair.new, pair.come, dialect)
        one = dialect.name != "postgresql"
        for old, new in match(pair.prefixes, pair.gone, pair.come, likely, one):
            renames.columns.append((pair, old, new))
    _require_all_used(found, pairs, match.unused)
    if renames.open:
        none = Answers(answers.renames, True, answers.fills, message=answers.message)
        raise CommandError(
            messages.RENAMES_OPEN.format(
                possible="; ".join(renames.possible),
                command=answers.command(renames.open, {}),
                none=none.command({}, {}),
            )
        )
    return renames


class _Matcher:
    """Matches what went with what came: by answer, by question, or as the likeliest that is open."""

    def __init__(self, renames: Renames, answers: Answers) -> None:
        self.renames = renames
        self.unused = dict(answers.renames)
        self.nothing_else = answers.nothing_else
        self.asking = questions.at_a_terminal()

    def __call__(
        self,
        prefixes: list[str],
        gone: Iterable[str],
        come: Iterable[str],
        likely: Iterable[tuple[Any, str, str]],
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
        matched = []
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
        self.renames.possible.append(messages.MAY_BE.format(old=prefix + old, new=names))


def _ask(prefix: str, old: str, choices: list[str]) -> str | None:
    names = [messages.IS_NOW.format(old=prefix + old, new=prefix + new) for new in choices]
    question = messages.RENAMED.format(old=prefix + old, new=", ".join(prefix + n for n in choices))
    picked = questions.choose(question, [*names, messages.IS_DROPPED.format(old=prefix + old)])
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
        messages.NO_SUCH_RENAME.format(
            answer=f"{old}:{new}",
            gone=", ".join(gone) or messages.NOTHING,
            come=", ".join(come) or messages.NOTHING,
        )
    )
