"""What the tests of new migrations share: rows, schemas, answers at a terminal, up, down and up."""

import errno
import os
import pty
import select
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import databases
import projects
from projects import Answer, Project
from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.pool import NullPool

KEY = "id: Mapped[int] = mapped_column(primary_key=True)\n"


def engine(project: Project) -> Engine:
    """An engine on the project's development database."""
    url = project.env.get("DEV_DATABASE_URL")
    if url:
        return databases.engine(url)
    file = create_engine(f"sqlite:///{project.database}", poolclass=NullPool)
    event.listen(file, "connect", lambda raw, _: raw.execute("PRAGMA foreign_keys=ON"))
    return file


def execute(project: Project, *statements: str) -> None:
    """Run SQL as the application's database user."""
    with engine(project).connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.commit()


def rows(project: Project, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with engine(project).connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def names(project: Project, table: str) -> set[str]:
    """The names of a table's indexes, unique constraints and foreign keys."""
    look = inspect(engine(project))
    found = [*look.get_indexes(table), *look.get_unique_constraints(table)]
    return {item["name"] for item in [*found, *look.get_foreign_keys(table)]}


def columns(project: Project, table: str) -> dict[str, dict]:
    """A table's columns by name."""
    return {column["name"]: column for column in inspect(engine(project)).get_columns(table)}


def applied(project: Project, *arguments: str) -> Path:
    """Write a migration and apply it."""
    file = project.new_migration(*arguments)
    project.db("upgrade").assert_ok()
    return file


def assert_nothing_left(project: Project) -> None:
    """Assert that a second migration finds nothing to do."""
    assert "nothing to migrate" in project.db("migrate").assert_ok().err


def down_and_up(project: Project) -> None:
    """Undo the last migration, do it again, and find that models and history agree."""
    project.db("downgrade").assert_ok()
    project.db("upgrade").assert_ok()
    assert_nothing_left(project)


def files(project: Project) -> set[str]:
    """The names of the migrations."""
    return {path.name for path in project.versions.glob("*.py")}


CTRL_C = "\x03"


def at_terminal(project: Project, *command: str, keys: list[str | Callable[[], str]]) -> Answer:
    """Run a command at a terminal; each of ``keys`` is typed when a question waits.

    A function does something meanwhile, and returns what is typed.

    A question is known by the colon and the space at the end of what was printed.
    """
    ours, theirs = pty.openpty()
    process = projects.starting(command)(
        command,
        cwd=project.path,
        env=project.environment(TERM="dumb", NO_COLOR="1"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=_own_terminal,
    )
    os.close(theirs)
    said, waiting, pressed = "", list(keys), ("", 0.0)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ready, _, _ = select.select([ours], [], [], 0.2)
        if ready:
            try:
                part = os.read(ours, 65536)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                break
            if not part:
                break
            said += part.decode()
        if waiting and said.endswith(": "):
            key = waiting.pop(0)
            key = key() if callable(key) else key
            said += "\n"
            os.write(ours, key.encode())
            pressed = (key, time.monotonic())
        elif pressed[0] == CTRL_C and time.monotonic() > pressed[1] + 3:
            os.write(ours, CTRL_C.encode())  # as anybody would who sees nothing happen
            pressed = (CTRL_C, time.monotonic())
    code = process.wait(30)
    os.close(ours)
    text = said.replace("\r\n", "\n")
    return Answer(code, text, text)


def _own_terminal() -> None:
    # the terminal becomes the process's own, so that Ctrl-C reaches it
    import fcntl
    import signal
    import termios

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job ignores it
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
