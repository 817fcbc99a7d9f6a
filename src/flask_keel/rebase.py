"""`db rebase`: of two heads, one is put after the other, and proved where it stands now."""

import ast
import os
import re
import shlex
from collections.abc import Collection, Iterator
from dataclasses import replace
from importlib.util import cache_from_source
from pathlib import Path

from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError

from . import catalog, check, errors, heads, history, output
from .project import Project
from .proof import prove
from .proof.commuting import meeting
from .scratch import databases, servers


def chosen(script: ScriptDirectory, revision: str | None) -> tuple[list[Script], list[Script]]:
    """Return the branch that stays and the one that is to stand after it, the first migration first.

    :param revision: the head that is to stand last; None to find it out
    :raises CommandError: when there are not two heads, or it cannot be told or done
    """
    heads = [script.get_revision(head) for head in sorted(script.get_heads())]
    if len(heads) > 2:
        files = ", ".join(_named(head) for head in heads)
        raise CommandError(
            f"The history has {len(heads)} heads, {files}: make rebase puts one of two after the "
            "other; bring one branch in at a time, or type db merge heads -m 'merge'."
        )
    branches = [_branch(script, head, other) for head, other in (heads, reversed(heads))]
    last = _given(heads, revision) if revision else _later(script, heads, branches)
    for one in branches[last]:
        _require_movable(one)
    return branches[1 - last], branches[last]


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
    raise CommandError(f"{revision} is no head: type db rebase with one of {files}.")


def _later(script: ScriptDirectory, heads: list[Script], branches: list[list[Script]]) -> int:
    """Return the place of the head that is not on the main branch; else of the one begun later."""
    new = history.not_on_main_branch(*script._version_locations)
    if new is not None:
        ours = [all(Path(one.path).name in new for one in branch) for branch in branches]
        if ours.count(True) == 1:
            return ours.index(True)
    begun = [_date(branch[0]) for branch in branches]
    first, second = begun
    if first is None or second is None or first == second:
        files = " or ".join(_named(head) for head in heads)
        raise CommandError(
            f"Which of the two heads is to stand last, {files}? Neither git nor the dates in the "
            "files tell: type db rebase REVISION."
        )
    return int(second > first)


def _require_movable(one: Script) -> None:
    labels = getattr(one.module, "branch_labels", None)
    why = "joins two branches" if one.is_merge_point else "has labels or depends on others"
    if one.is_merge_point or labels or one.dependencies:
        raise CommandError(
            f"{Path(one.path).name} {why}, so its place cannot be changed: "
            "type db merge heads -m 'merge'."
        )


def _date(one: Script) -> str | None:
    """Return the Create Date in a migration's docstring."""
    return next(_dates(one.longdoc or ""), None)


def _dates(text: str) -> Iterator[str]:
    for line in text.splitlines():
        name, _, date = line.partition(":")
        if name.strip() == "Create Date":
            yield date.strip()


def _named(head: Script) -> str:
    return f"{head.revision} ({Path(head.path).name})"


REVISES = re.compile(r"^(Revises:)[^\n]*$", re.MULTILINE)


def after(text: str, down: str) -> str | None:
    """Return the text of a migration that revises ``down``; None when it has no place to say so.

    :param text: Python that runs
    """
    tree = ast.parse(text)
    value = _value(tree)
    if value is None:
        return None
    quoted = f'"{down}"' if _segment(text, value)[:1] != "'" else f"'{down}'"
    changed = _replace(text, value, quoted)
    # the docstring stands before it, so its place is still right
    document = tree.body[0]
    if isinstance(document, ast.Expr) and isinstance(document.value, ast.Constant):
        said = _segment(text, document.value)
        changed = changed.replace(said, REVISES.sub(rf"\g<1> {down}", said), 1)
    return changed


def _value(tree: ast.Module) -> ast.expr | None:
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if "down_revision" in {target.id for target in targets if isinstance(target, ast.Name)}:
            return node.value
    return None


def _segment(text: str, node: ast.expr) -> str:
    return ast.get_source_segment(text, node) or ""


def _replace(text: str, node: ast.expr, new: str) -> str:
    lines = text.splitlines(keepends=True)
    # ast counts bytes
    end = node.end_lineno or node.lineno
    first, last = lines[node.lineno - 1].encode(), lines[end - 1].encode()
    before = "".join(lines[: node.lineno - 1]) + first[: node.col_offset].decode()
    behind = last[node.end_col_offset :].decode() + "".join(lines[end:])
    return before + new + behind


def run(project: Project, revision: str | None) -> None:
    """Put one of two heads after the other.

    :param revision: the head that is to stand last; None to find it out
    :raises CommandError: when it cannot be done; then the files are as they were
    """
    found = project.script.get_heads()
    if len(found) < 2:
        output.say(
            f"The history has one head ({found[0] if found else 'none'}): there is nothing to "
            "put after another."
        )
        _write_heads(project, found)
        return
    stays, moved = chosen(project.script, revision)
    head = stays[-1]
    path = Path(moved[0].path)
    before = path.read_text(encoding="utf-8")
    text = after(before, head.revision)
    if text is None:
        raise CommandError(
            f"{path.name} has no line down_revision = ... that could be changed: change it by hand "
            f"to {head.revision!r}."
        )
    _write(path, text)
    try:
        _prove(replace(project), [one.revision for one in moved])
        commuting = _commuting(project, stays, moved)
    except BaseException as error:
        _write(path, before)
        if not isinstance(error, Exception):
            raise
        reason = errors.of_the_application(error)
        raise CommandError(
            f"{path.name} cannot stand after {head.revision}, so it is as it was: {reason}"
        ) from error
    output.say(f"{project.shown(path)} now stands after {head.revision}")
    output.say(f"  {commuting}")
    _write_heads(project, [moved[-1].revision])
    output.say(
        f"Next: a database that has {moved[0].revision} already does not get {head.revision} "
        "any more: type make db there. Then make check (db check)."
    )
    if command := history.stopped(project.folder):
        folder = os.path.relpath(project.folder)
        output.say(f"Then git add {shlex.quote(folder)} && git {command} --continue.")
    output.add("file", project.shown(path))


def _write_heads(project: Project, found: Collection[str]) -> None:
    if heads.write(project.folder, found):
        output.say(f"  {project.shown(heads.path(project.folder))}")


COMMUTE = "They commute: in either order they make the same schema and the same rows."
MEET = "They meet on {objects}, so read both: {how}."
CANNOT_TELL = "Whether they commute cannot be told: {reason}."
MOST = 5  # objects that are named


def _commuting(project: Project, stays: list[Script], moved: list[Script]) -> str:
    """Say whether the order of two branches matters, before and after a change of their files.

    :param project: as it was read before the change
    """
    ours = {one.revision for one in (*stays, *moved)}
    below = {down for one in (*stays, *moved) for down in history.parents(project.script, one)}
    try:
        met = meeting(project, tuple(sorted(below - ours)), stays, moved)
    except servers.NotAllowed as denied:
        return CANNOT_TELL.format(reason=denied.reason)
    except Exception as error:
        return CANNOT_TELL.format(reason=errors.of_the_application(error).rstrip("."))
    if met is None:
        return COMMUTE
    more = f" and {len(met.objects) - MOST} more" if met.objects[MOST:] else ""
    return MEET.format(objects=", ".join(met.objects[:MOST]) + more, how=met.how)


def _write(path: Path, text: str) -> None:
    history.replace(path, text)
    # python knows a source by second and size, and both may be the same
    Path(cache_from_source(str(path))).unlink(missing_ok=True)


def _prove(project: Project, moved: list[str]) -> None:
    """Run the history as it is now, prove what moved, and write the schema file.

    :raises CommandError: for a proof that fails
    """
    try:
        with databases.at_head(project) as connection:
            wanted = catalog.text(connection, project.version_table)
        for revision in moved:
            proof = prove(project, revision)
            if not proof.ok:
                raise CommandError(f"{proof.sentence}.")
            for line in proof.lines:
                output.say(f"  {line}")
    except servers.NotAllowed as denied:
        output.say(check.NOT_JUDGED.format(reason=denied.reason))
        return
    file = catalog.path(project.folder, project.dialect)
    if catalog.write(file, wanted):
        output.say(f"  {project.shown(file)}")
