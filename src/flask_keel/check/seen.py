"""What check has seen already: a migration is judged once for each state of all that it rests on."""

import hashlib
import json
import sqlite3
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from ..revise.project import Project

LIBRARIES = ("alembic", "SQLAlchemy", "Flask-Migrate")
TOOLKIT = Path(__file__).resolve().parent.parent


class Seen:
    """The verdicts of earlier runs, in ``var/cache/proved.json``; without ``var`` there are none."""

    def __init__(self, project: Project) -> None:
        var = project.root / "var"
        self.file = var / "cache" / "proved.json" if var.is_dir() else None
        self.dialect = project.dialect
        self.keys = keys(project)
        self.verdicts = self._read()

    def get(self, revision: str) -> dict[str, Any] | None:
        """Return what was found of a migration, when all that it rests on is as it was."""
        return self.verdicts.get(self.keys[revision])

    def put(self, revision: str, verdict: dict[str, Any]) -> None:
        """Keep what was found of a migration."""
        self.verdicts[self.keys[revision]] = {**verdict, "dialect": self.dialect}

    def save(self) -> None:
        """Write the file, without what is of no use any more; a disk that is full is no error."""
        if self.file is None:
            return
        live = set(self.keys.values())
        kept = {
            key: verdict
            for key, verdict in self.verdicts.items()
            if key in live or verdict["dialect"] != self.dialect
        }
        with suppress(OSError):
            self.file.parent.mkdir(exist_ok=True)
            beside = self.file.with_suffix(".new")
            beside.write_text(json.dumps(kept, indent=1), encoding="utf-8")
            beside.replace(self.file)

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            found = json.loads(self.file.read_text(encoding="utf-8")) if self.file else {}
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def keys(project: Project) -> dict[str, str]:
    """Return a checksum for each revision: of its file, its ancestors, the toolkit and the versions."""
    ground = _ground(project)
    found: dict[str, str] = {}
    for revision in reversed(list(project.script.walk_revisions())):
        parents = revision._versioned_down_revisions + revision._resolved_dependencies
        parts = [ground, Path(revision.path).read_bytes()]
        parts += [found[parent].encode() for parent in sorted(parents)]
        found[revision.revision] = _checksum(parts)
    return found


def _ground(project: Project) -> bytes:
    versions = [f"{name} {metadata.version(name)}" for name in LIBRARIES]
    parts = [project.dialect.encode(), sqlite3.sqlite_version.encode(), *map(str.encode, versions)]
    for path in sorted(TOOLKIT.rglob("*.py")):
        parts += [str(path.relative_to(TOOLKIT)).encode(), path.read_bytes()]
    return _checksum(parts).encode()


def _checksum(parts: list[bytes]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest()
