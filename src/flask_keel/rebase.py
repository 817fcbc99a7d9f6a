"""`db rebase`: of two heads, one is put after the other, and proved where it stands now.

Two branches of the history: do they make the same in either order, and if not, on what do they meet?
"""

import ast
import os
import re
import shlex
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from importlib.util import cache_from_source
from pathlib import Path

from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from . import binds, catalog, check, diagram, errors, heads, history, output, runner
from .catalog import Schema
from .project import Project
from .proof import comparison, prove, said, samples
from .proof.scene import Scene
from .runner import Recorder, Recording
from .scratch import databases, servers
from .scratch.databases import stage

SEED = 1
SCHEMA = "the other way round the schema would be another"
ROWS = "the other way round the rows would hold something else"
STOPS = "the other way round it stops: {error}"


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
    if not own:
        raise CommandError(
            f"{other.revision} depends on {head.revision}, so they stand in order, and both are heads: "
            f"write both into {heads.path(Path(script.dir))}, a line each."
        )
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
        folder = binds.home(project.folder)
        others = history.unmerged(folder)
        drawn = diagram.path(project).resolve() in others
        solve = ", ".join(map(os.path.relpath, others)) + " (make diagram)" * drawn
        first = f"solve what else conflicts, {solve}, " if others else ""
        add = shlex.join(map(os.path.relpath, (folder, *others)))
        output.say(f"Then {first}git add {add} && git {command} --continue.")
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


@dataclass
class Meeting:
    """On what two branches meet; ``how`` is what the other order would do, without a full stop."""

    objects: list[str] = field(default_factory=list)
    how: str = ""


def meeting(
    project: Project, base: tuple[str, ...], first: list[Script], last: list[Script]
) -> Meeting | None:
    """Run two branches in both orders, on rows, and compare what they leave; None where it is the same.

    :param project: in which both branches stand on the base
    :param base: the revisions that both have below them
    :param first: the branch that is to stand first, its first migration first
    :param last: the branch that is to stand after it
    :raises servers.NotAllowed: when the account may not create a scratch database
    :raises Exception: what the first order raises
    """
    with warnings.catch_warnings(), stage(project, base) as scratch:
        warnings.simplefilter("ignore")  # each was shown when the real command ran
        scene = Scene(project, last[0], SEED, scratch)
        scene.before = scene.read()
        did = _rehearse(scene, [*first, *last])
        scene.understand(did)
        samples.fill(scene, did)
        wanted = _End.of(scene, [*first, *last])
        try:
            other = _End.of(scene, [*last, *first])
        except Exception as error:
            touched = [_End.of(scene, branch).tables(scene.before) for branch in (first, last)]
            both = sorted(set.intersection(*touched))
            return Meeting(both, STOPS.format(error=said(error, first[0].path)))
        if schema := list(_between(wanted.schema, other.schema)):
            return Meeting(schema, SCHEMA)
        if differ := wanted.unlike(other):
            # a value that each run makes anew, such as the time, is no meeting
            again = wanted.unlike(_End.of(scene, [*first, *last]))
            differ = wanted.unlike(other, again)
        return Meeting(sorted(differ), ROWS) if differ else None


def _rehearse(scene: Scene, order: list[Script]) -> Recording:
    """Run the branches without rows, to know what the rows are to satisfy; return what they did."""
    recorder = Recorder(order)
    with scene.scratch.attempt() as connection:
        for script in order:
            runner.upgrade(scene.project, connection, script, recorder)
        scene.after = scene.read(connection)
    whole = Recording(dialect=scene.connection.dialect)
    for one in recorder.recordings.values():
        whole.events += one.events
        whole.sql += one.sql
        whole.types |= one.types
    return whole


@dataclass
class _End:
    """What an order leaves: the schema, and the rows of its tables."""

    schema: Schema
    rows: dict[str, list[comparison.Row]]

    @classmethod
    def of(cls, scene: Scene, order: Iterable[Script]) -> "_End":
        with scene.scratch.attempt() as connection:
            for script in order:
                runner.upgrade(scene.project, connection, script)
            return cls._read(scene, connection)

    @classmethod
    def _read(cls, scene: Scene, connection: Connection) -> "_End":
        schema = scene.read(connection)
        return cls(schema, comparison.take(connection, schema, schema.tables))

    def tables(self, before: Schema) -> set[str]:
        return catalog.between(before, self.schema).tables

    def unlike(self, other: "_End", without: Iterable[str] = ()) -> set[str]:
        """Name the columns, or the tables, whose rows are others there."""
        left_out, found = set(without), set()
        for label in self.rows:
            columns = self.schema.tables[label].columns
            names = [name for name in columns if f"{label}.{name}" not in left_out]
            if label in left_out or self._values(label, names) == other._values(label, names):
                continue
            odd = [
                one for one in names if self._values(label, [one]) != other._values(label, [one])
            ]
            same = len(self.rows[label]) == len(other.rows[label])  # else it is about whole rows
            found |= {f"{label}.{name}" for name in odd if same} or {label}
        return found

    def _values(self, label: str, names: list[str]) -> Counter[tuple[str, ...]]:
        return Counter(tuple(repr(row[name]) for name in names) for row in self.rows[label])


def _between(one: Schema, other: Schema) -> Iterator[str]:
    """Name the columns, the tables and the rest in which two schemas differ."""
    found = catalog.between(one, other)
    for label in sorted(found.tables):
        sides = [schema.tables[label].columns for schema in (one, other) if label in schema.tables]
        names = {name for side in sides for name in side}
        odd = [name for name in names if len({repr(side.get(name)) for side in sides}) > 1]
        yield from (f"{label}.{name}" for name in sorted(odd)) if odd else (label,)
    yield from (name for name, text in one.others.items() if other.others.get(name) != text)
    yield from sorted(other.others.keys() - one.others.keys())
