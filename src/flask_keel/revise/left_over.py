"""Where the application still uses the old name of what a migration renames."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic.operations import ops

from .. import history, messages, report
from .renaming import RenameGenerated

STILL = "  {old} still stands in {places}: is it the one that is now {new}?"
MOST = 4  # places
TEMPLATES = {".html", ".htm", ".xml", ".txt", ".j2", ".jinja", ".jinja2"}


def say(context: Any, revision: Any, directives: list[ops.MigrationScript]) -> None:
    """Say where the application's code and templates use a name that a migration takes away."""
    for script in directives:
        for old, new in dict(_renamed(script.upgrade_ops)).items():
            found = places(history.folder().parent, old)
            if found:
                more = [f"{len(found) - MOST} more"] if found[MOST:] else []
                listed = ", ".join(found[:MOST]) + "".join(f" and {rest}" for rest in more)
                messages.say(STILL, old=old, new=new, places=listed)
                report.add("still_used", [{"old": old, "new": new, "places": found}])


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
        if code and inside[0] != history.folder().name and path.is_file():
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
