"""The three ways to type a `db` command, each in a process of its own, and what they must not change."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from projects import Answer, Project
from sqlite_contents import contents

HEAD = "8b27e4a9c610"
KEPT = ("cache", "backups")
COPIED = "  backup "
WAYS = {
    "db": (sys.executable, "-c", "from my_app.cli import db; db()"),
    "bin/manage.py db": (sys.executable, "bin/manage.py", "db"),
    "flask --app my_app db": (sys.executable, "-m", "flask", "--app", "my_app", "db"),
}


def answers(
    project: Project, *arguments: str, ways: tuple[str, ...] = tuple(WAYS), **env: str | None
) -> dict[str, Answer]:
    """Run one command in each way."""
    return {way: project.warm(*WAYS[way], *arguments, **env) for way in ways}


def assert_one_sentence(project: Project, command: str, *words: str, **env: str | None) -> None:
    """Assert one sentence that says ``words`` in every way, and that no file changed.

    :param env: the environment's, ``ways`` for fewer ways than all, and ``code`` for its exit code
    """
    before, code = files(project), env.pop("code", 1)
    for way, answer in answers(project, *command.split(), **env).items():
        print(way, command)
        answer.assert_one_sentence(*words, code=code)
        said = [line for line in answer.err.splitlines() if not line.startswith(COPIED)]
        assert len(said) == 1, answer.err
        assert answer.out == ""
    assert files(project) == before


def assert_one_sentence_of_db(project: Project, command: str, *words: str) -> None:
    """The same in one way, for what the ways cannot tell apart."""
    assert_one_sentence(project, command, *words, ways=("db",))


def files(project: Project) -> dict[str, object]:
    """The database with what lies beside it, and the migrations; what is only kept is left out, and of
    a database the log, in which a failure leaves a row."""
    found = {}
    for folder in (project.path / "var", project.versions, project.path / "etc" / "conf"):
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.name != "secret_key" and file.parent.name not in KEPT:
                found[str(file)] = _without_log(file.read_bytes())
    return found


def _without_log(content: bytes) -> object:
    if b"CREATE TABLE alembic_log" not in content:
        return content
    with tempfile.NamedTemporaryFile() as copy:
        copy.write(content)
        copy.flush()
        try:
            return contents(Path(copy.name))
        except sqlite3.DatabaseError:  # a damaged one
            return content


def without_power() -> tuple[str, ...]:
    """What to put before a command so that root heeds permissions too."""
    if os.geteuid() != 0:
        return ()
    if not shutil.which("setpriv"):
        pytest.skip(
            "root heeds no permissions, and there is no setpriv: apt-get install util-linux"
        )
    return ("setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--")


def room(folder: Path, size: str) -> bool:
    """Mount a small disk; return whether that is allowed here."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True).returncode == 0
