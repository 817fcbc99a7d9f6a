"""The history's revisions, read from their files without Alembic.

A file that says its revision otherwise than Alembic's template does is not understood here, and is
left to Alembic: whoever asks gets None, and asks there.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

NAMES = ("revision", "down_revision", "branch_labels", "depends_on")
ASSIGNED = re.compile(
    rf"^({'|'.join(NAMES)})(?:\s*:\s*[^=\n]+)?\s*=[ \t]*"
    r"(None|\"[^\"\n\\]*\"|'[^'\n\\]*'|[(\[][^()\[\]\n\\]*[)\]])[ \t]*(?:#.*)?$",
    re.MULTILINE,
)
SAID = re.compile(rf"^(?:{'|'.join(NAMES)})\b|\b(?:global|exec|globals)\b", re.MULTILINE)
# alembic.ini may say that the files are elsewhere, or of another kind
ELSEWHERE = re.compile(
    r"^\s*(version_locations|recursive_version_locations|sourceless)\b", re.MULTILINE
)


@dataclass(frozen=True)
class Revision:
    """One file of the history."""

    revision: str
    down: tuple[str, ...]
    path: Path


def read(folder: Path) -> Mapping[str, Revision] | None:
    """Return the revisions of a migrations folder by their names, or None where Alembic has to be asked.

    A history with branch labels, dependencies or files that are not understood is Alembic's, and one
    that is broken: it knows what to say of that.

    :param folder: the one that holds ``alembic.ini`` and ``versions``
    """
    try:
        if ELSEWHERE.search((folder / "alembic.ini").read_text(encoding="utf-8")):
            return None
        found = list(_files(folder / "versions"))
    except (OSError, ValueError):
        return None
    known = {one.revision: one for one in found if one is not None}
    if None in found or len(known) < len(found):
        return None
    if any(below not in known for one in known.values() for below in one.down):
        return None
    return known if _has_an_order(known) else None


def heads(revisions: Mapping[str, Revision]) -> set[str]:
    """Return the revisions on which no other stands."""
    return set(revisions) - {below for one in revisions.values() for below in one.down}


def _has_an_order(known: Mapping[str, Revision]) -> bool:
    try:
        TopologicalSorter({name: one.down for name, one in known.items()}).prepare()
    except CycleError:
        return False
    return True


def _files(versions: Path) -> Iterator[Revision | None]:
    for path in versions.iterdir():
        # as Alembic's own pattern has it
        if path.suffix == ".py" and not path.name.startswith((".#", "__init__")):
            yield _revision(path)


def _revision(path: Path) -> Revision | None:
    text = path.read_text(encoding="utf-8")
    if "coding" in text[:200] and re.search(r"coding[:=]\s*(?!utf-8)", text[:200]):
        return None
    head = text.partition("\ndef ")[0]
    assigned = ASSIGNED.findall(head)
    # each name once, and nothing else that could set one
    if len(assigned) != len(SAID.findall(head)) or SAID.search(text[len(head) :]):
        return None
    said = dict(assigned)
    if len(said) < len(assigned) or "revision" not in said or "down_revision" not in said:
        return None
    try:
        values = {name: ast.literal_eval(value) for name, value in said.items()}
    except (SyntaxError, ValueError):
        return None
    down = values["down_revision"] or ()
    below = (down,) if isinstance(down, str) else tuple(down)
    if values.get("branch_labels") or values.get("depends_on"):
        return None
    if not isinstance(values["revision"], str) or not all(isinstance(one, str) for one in below):
        return None
    return Revision(values["revision"], below, path)
