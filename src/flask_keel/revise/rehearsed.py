"""The history, run on a scratch database, with what some of its migrations did."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from .. import scratch
from . import lint, schemas
from .lint import Finding
from .project import Project
from .recorded import Recorder, Recording, path_of


@contextmanager
def history(
    project: Project, wanted: Iterable[str]
) -> Iterator[tuple[Connection, dict[str, Recording]]]:
    """Run the whole history; give the database and, by revision, what the wanted ones did.

    :param wanted: revisions
    :raises servers.NotAllowed: when the account may not create a scratch database
    """
    paths = {name: path_of(project.script.get_revision(name)) for name in wanted}
    recorder = Recorder(set(paths.values()))
    schemas.require_isolation(project.engine.url, project.metadata)
    with scratch.empty(project) as connection:
        with redirect_stdout(StringIO()):  # migrations say it when they run for good
            scratch.build(project, connection, recorder, paths)
        yield connection, {name: recorder.recordings[path] for name, path in paths.items()}


def findings(project: Project, connection: Any, revision: str, did: Recording) -> list[Finding]:
    """Return what the lint says of one migration.

    :param did: what it did, as :func:`history` gives it
    """
    return lint.check(Path(project.script.get_revision(revision).path), did, connection.dialect)
