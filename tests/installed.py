"""Generated projects with an environment of their own, as `make install` makes it."""

import os
import re
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import projects
from projects import Answer, Project

# no fewer: a first install downloads what the caches do not hold
PATIENCE = 900  # seconds


@dataclass
class Installed(Project):
    """A project with its own .venv, used by `make` and by the commands in .venv/bin."""

    def environment(self, **env: str | None) -> dict[str, str]:
        # the compiling of what is installed is left to the first run, by pip as uv does it
        kept = {"PYTHONDONTWRITEBYTECODE": None, "PIP_NO_COMPILE": "1"}
        return super().environment(**{**kept, **env})

    @property
    def stamp(self) -> Path:
        return self.path / ".venv" / ".installed"

    @property
    def revision(self) -> str | None:
        """The revision at which the development database says it is."""
        with closing(sqlite3.connect(self.database)) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return row and row[0]

    def columns(self, table: str) -> list[str]:
        with closing(sqlite3.connect(self.database)) as connection:
            return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]

    def make(self, *arguments: str, **env: str | None) -> Answer:
        return self.run("make", *arguments, timeout=PATIENCE, **env)

    def typed(self, command: str, cwd: Path | None = None, **env: str | None) -> Answer:
        """Run a line of shell in the activated environment."""
        activate = '. "$0/.venv/bin/activate" && ' + command
        return self.run("sh", "-c", activate, str(self.path), cwd=cwd, **env)

    def db(self, *arguments: str, **env: str | None) -> Answer:
        return self.run(str(self.path / ".venv/bin/db"), *arguments, **env)

    def reset(self) -> None:
        """Bring the project back to what was remembered, databases included."""
        self.git("checkout", "--quiet", ".")
        self.git("clean", "--quiet", "--force", "-dx", "--exclude=.venv")
        # what git has just written must not look newer than the environment
        self.stamp.touch()

    def changes(self) -> list[str]:
        """The files that git sees as changed or new."""
        status = self.git("status", "--porcelain", "--untracked-files=all").out.splitlines()
        return [line[3:] for line in status]

    def targets(self) -> list[str]:
        """The targets that `make help` lists."""
        return re.findall(r"^  ([a-z-]+) ", self.make("help").assert_ok().out, re.MULTILINE)


def install(project: Project, folder: Path, path: str) -> Installed:
    """Copy a project and run `make install` there.

    :param folder: where the copy goes
    :param path: the PATH on which make finds uv, or does not find it
    """
    copy = projects.copy(project, folder)
    installed = Installed(copy.path, copy.module, {"PATH": path})
    installed.make("install").assert_ok()
    installed.remember()  # uv.lock too
    return installed


def with_uv() -> str:
    """A PATH on which uv is."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    assert shutil.which("uv", path=path), "pip install uv"
    return path


def without_uv(folder: Path) -> str:
    """A PATH on which uv is not, and python3, make and git are."""
    needed = {name: shutil.which(name) for name in ("make", "git", "sh")}
    needed["python3"] = str(Path(sys.executable).resolve())
    folder.mkdir()
    for name, path in needed.items():
        (folder / name).symlink_to(path)
    kept = [place for place in os.get_exec_path() if not shutil.which("uv", path=place)]
    return os.pathsep.join([str(folder), *kept])
