"""Two heads: where they part, and which of them is to stand last."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError

from .. import messages
from ..check import main_branch


def chosen(script: ScriptDirectory, revision: str | None) -> tuple[Script, list[Script]]:
    """Return the head that stays, and the branch that is to stand after it, its first one first.

    :param revision: the head that is to stand last; None to find it out
    :raises CommandError: when there are not two heads, or it cannot be told or done
    """
    heads = [script.get_revision(head) for head in sorted(script.get_heads())]
    if len(heads) > 2:
        files = ", ".join(_named(head) for head in heads)
        raise CommandError(messages.REBASE_MANY.format(count=len(heads), heads=files))
    branches = [_branch(script, head, other) for head, other in (heads, reversed(heads))]
    last = _given(heads, revision) if revision else _later(script, heads, branches)
    for one in branches[last]:
        _require_movable(one)
    return heads[1 - last], branches[last]


def _branch(script: ScriptDirectory, head: Script, other: Script) -> list[Script]:
    """Return what leads to one head alone, the first one first."""
    shared = {one.revision for one in script.iterate_revisions(other.revision, "base")}
    own = [
        one for one in script.iterate_revisions(head.revision, "base") if one.revision not in shared
    ]
    return list(reversed(own))


def _given(heads: list[Script], revision: str) -> int:
    for place, head in enumerate(heads):
        if head.revision.startswith(revision):
            return place
    files = " and ".join(_named(head) for head in heads)
    raise CommandError(messages.REBASE_NOT_A_HEAD.format(revision=revision, heads=files))


def _later(script: ScriptDirectory, heads: list[Script], branches: list[list[Script]]) -> int:
    """Return the place of the head that is not on the main branch; else of the one begun later."""
    new = main_branch.new(Path(script.dir))
    if new is not None:
        ours = [all(Path(one.path).name in new for one in branch) for branch in branches]
        if ours.count(True) == 1:
            return ours.index(True)
    begun = [_date(branch[0]) for branch in branches]
    if None in begun or begun[0] == begun[1]:
        files = " or ".join(_named(head) for head in heads)
        raise CommandError(messages.REBASE_WHICH.format(heads=files))
    return int(begun[1] > begun[0])


def _require_movable(one: Script) -> None:
    facts = {"file": Path(one.path).name}
    if one.is_merge_point:
        raise CommandError(messages.REBASE_MERGE.format(**facts))
    if one._orig_branch_labels or one.dependencies:
        raise CommandError(messages.REBASE_DEPENDS.format(**facts))


def _date(one: Any) -> str | None:
    """Return the Create Date in a migration's docstring."""
    return next(_dates(one.longdoc or ""), None)


def _dates(text: str) -> Iterator[str]:
    for line in text.splitlines():
        name, _, date = line.partition(":")
        if name.strip() == "Create Date":
            yield date.strip()


def _named(head: Script) -> str:
    return f"{head.revision} ({Path(head.path).name})"
