"""What check has seen already: a migration is judged once for each state of all that it rests on."""

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable

from ..cache import IMPORT, Cache
from ..revise.project import Project

NOT_DATA = ("versions", "schema", "__pycache__")


class Seen:
    """The verdicts of earlier runs, in ``var/cache/proved.json``; without ``var`` there are none.

    A verdict is known by the dialect, the migration's file and what it imports, those before it, the
    toolkit, and the libraries' versions. One that failed rests on more, by which it could be mended:
    the models, the files beside the migrations, and the application's code where it imports that.
    """

    def __init__(self, project: Project) -> None:
        var = project.root / "var"
        self.project, self.dialect = project, project.dialect
        self.file = var / "cache" / "proved.json" if var.is_dir() else None
        self.keys = keys(project)
        self.verdicts = self._read()

    def get(self, revision: str) -> dict[str, Any] | None:
        """Return what was found of a migration, when all that it rests on is as it was."""
        found = self.verdicts.get(self.keys[revision])
        if found is None or found["proof"]["ok"] or found["rests_on"] == self._more(revision):
            return found
        return None

    def put(self, revision: str, verdict: dict[str, Any]) -> None:
        """Keep what was found of a migration, unless another try may find something else."""
        proof = verdict["proof"]
        if proof["lasting"]:
            more = {
                "dialect": self.dialect,
                "rests_on": "" if proof["ok"] else self._more(revision),
            }
            self.verdicts[self.keys[revision]] = {**verdict, **more}

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

    def _more(self, revision: str) -> str:
        content = Path(self.project.script.get_revision(revision).path).read_bytes()
        package = self.project.folder.parent.name.encode()
        own = any(name.split(b".")[0] in (b"", package) for name in IMPORT.findall(content))
        return self._around + (self._code if own else "")

    @cached_property
    def _around(self) -> str:
        settings = self.project.settings.get("SQLITE_SCHEMA_EDITS")
        data = [
            path
            for path in self.project.folder.rglob("*")
            if path.relative_to(self.project.folder).parts[0] not in NOT_DATA
        ]
        return _checksum([repr(settings).encode(), *_models(self.project), *_files(data)])

    @cached_property
    def _code(self) -> str:
        return _checksum(_files(self.project.folder.parent.rglob("*.py")))


def keys(project: Project) -> dict[str, str]:
    """Return a checksum for each revision: of its file, its ancestors, the toolkit and the versions."""
    ground = [project.dialect.encode(), metadata.version("Flask-Migrate").encode()]
    kept = Cache(project.script)
    return {
        one.revision: _checksum([*ground, kept.name((one.revision,)).encode()])
        for one in project.script.walk_revisions()
    }


def _models(project: Project) -> Iterable[bytes]:
    """What the models make, and the types that a database does not tell from others."""
    dialect = project.engine.dialect
    for _, table in sorted(project.metadata.tables.items()):
        yield repr([(column.name, column.type) for column in table.columns]).encode()
        with suppress(SQLAlchemyError):  # a type of another database
            yield str(CreateTable(table).compile(dialect=dialect)).encode()
            made = [str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes]
            yield "".join(sorted(made)).encode()


def _files(paths: Iterable[Path]) -> Iterable[bytes]:
    for path in sorted(paths):
        if path.is_file():
            yield from (str(path).encode(), path.read_bytes())


def _checksum(parts: Iterable[bytes]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest()
