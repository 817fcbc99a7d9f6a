"""Generated projects for the tests, and how a person would use them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from warm import WARM, Started

TEMPLATE = Path(__file__).resolve().parent.parent
# what a test must not inherit from whoever runs it
STRANGERS = (
    "SETTINGS",
    "DATABASE_URL",
    "DEV_DATABASE_URL",
    "SECRET_KEY",
    "FLASK_DEBUG",
    "FLASK_APP",
    # of the make that runs the tests
    "MAKEFLAGS",
    "MAKELEVEL",
    "MFLAGS",
)

# the proof takes a downgrade that does nothing for one that was forgotten
UNDONE = "pass  # irreversible because the test does not go back"


@dataclass
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err

    def assert_ok(self) -> "Answer":
        assert self.code == 0, self.said
        return self

    def assert_one_sentence(self, *words: str, code: int = 1) -> "Answer":
        """Assert the exit code, no traceback, and one line of error that says ``words``."""
        assert self.code == code, f"exit code {self.code}: {self.said}"
        assert "Traceback" not in self.said, self.said
        errors = [line for line in self.err.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1, self.said
        for word in words:
            assert word in errors[0], f"{word!r} is not in {errors[0]!r}"
        return self


def starting(command: Sequence[str]) -> type[subprocess.Popen]:
    """What starts this command: Python is started warm, where the system lets it."""
    warm = command[0] == sys.executable and sys.platform == "linux"
    return Started if warm else subprocess.Popen


@dataclass
class Project:
    """A generated project, used through its real commands as separate processes."""

    path: Path
    module: str = "my_app"
    env: dict[str, str] = field(default_factory=dict)

    @property
    def package(self) -> Path:
        return self.path / self.module

    @property
    def versions(self) -> Path:
        return self.package / "migrations" / "versions"

    @property
    def database(self) -> Path:
        return self.path / "var" / "dev.db"

    def environment(self, **env: str | None) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in STRANGERS}
        kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        kept.update({"SETTINGS": "dev.conf", "PYTHONDONTWRITEBYTECODE": "1"}, **self.env)
        for key, value in env.items():
            if value is None:
                kept.pop(key, None)
            else:
                kept[key] = value
        return kept

    def run(self, *command: str, cwd: Path | None = None, timeout: float = 120, **env) -> Answer:
        """Run a command in the project's folder; an env of None removes the variable."""
        ran = subprocess.run(
            command,
            cwd=cwd or self.path,
            env=self.environment(**env),
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Answer(ran.returncode, ran.stdout, ran.stderr)

    def start(self, *command: str, stdin: int | None = None, **env) -> subprocess.Popen:
        """Start a command and do not wait for it."""
        return starting(command)(
            command,
            cwd=self.path,
            env=self.environment(**env),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def manage(self) -> tuple[str, str]:
        return sys.executable, str(self.path / "bin" / "manage.py")

    def db(self, *arguments: str, cwd: Path | None = None, timeout: float = 120, **env) -> Answer:
        """Run `db ...`, in a process that is started warm."""
        return self.warm(*self.manage, "db", *arguments, cwd=cwd, timeout=timeout, **env)

    def warm(self, *command: str, cwd: Path | None = None, timeout: float = 120, **env) -> Answer:
        """Run the interpreter in a process that is started warm: all but the imports is as in `run`."""
        return Answer(*WARM.run(command, cwd or self.path, self.environment(**env), timeout))

    def new_migration(self, *arguments: str, **env) -> Path:
        """Run `db migrate` and return the file that it wrote."""
        before = set(self.versions.glob("*.py"))
        self.db("migrate", *arguments, **env).assert_ok()
        (new,) = set(self.versions.glob("*.py")) - before
        return new

    def configure(self, **settings) -> None:
        """Say settings at the end of dev.conf."""
        with (self.path / "etc/conf/dev.conf").open("a") as conf:
            conf.writelines(f"\n{key} = {value!r}\n" for key, value in settings.items())

    def git(self, *arguments: str, **env) -> Answer:
        person = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        return self.run("git", *person, *arguments, **env).assert_ok()

    def remember(self, message: str = "generated") -> None:
        """Put the project as it is into git."""
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def replace(self, name: str, old: str, new: str) -> None:
        path = self.path / name
        text = path.read_text()
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new))

    def model(self, name: str, body: str, imports: str = "") -> Path:
        """Write a model module: ``body`` is the class's inside."""
        title = "".join(part.title() for part in name.split("_"))
        return self.write(
            f"{self.module}/models/{name}.py",
            "from datetime import date, datetime\n"
            "import sqlalchemy as sa\n"
            "from sqlalchemy.orm import Mapped, mapped_column\n"
            f"{imports}\n"
            f"from {self.module}.extensions import db\n\n\n"
            f"class {title}(db.Model):\n"
            f"    __tablename__ = {name!r}\n"
            + "".join(f"    {line}\n" for line in body.splitlines()),
        )

    def head(self, revision: str) -> None:
        """Write head.txt, as the commands do that write a migration."""
        file = self.package / "migrations" / "head.txt"
        if file.exists():
            file.write_text(f"{revision}\n")

    def migration(
        self, revision: str, down: str | None, upgrade: str, downgrade: str = UNDONE
    ) -> Path:
        """Write a migration by hand, and head.txt."""

        def indent(text: str) -> str:
            return "".join(f"    {line}\n" for line in text.splitlines())

        path = self.versions / f"{revision}_by_hand.py"
        path.write_text(
            f'"""{revision} by hand"""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\n'
            f"revision = {revision!r}\ndown_revision = {down!r}\n\n\n"
            f"def upgrade():\n{indent(upgrade)}\n\ndef downgrade():\n{indent(downgrade)}"
        )
        self.head(revision)
        return path


def generate(folder: Path, home: Path, **answers: str) -> Project:
    """Run cookiecutter, as a person would, and return the project."""
    command = [sys.executable, "-m", "cookiecutter", "--no-input", "-o", str(folder), str(TEMPLATE)]
    command += [f"{key}={value}" for key, value in answers.items()]
    env = {**os.environ, "HOME": str(home)}
    code, out, err = WARM.run(command, Path.cwd(), env, timeout=60)
    assert code == 0, out + err
    name = answers.get("project", "my-app")
    module = answers.get("module", name.lower().replace("-", "_").replace(" ", "_"))
    return Project(folder / name, module)


def copy(project: Project, folder: Path) -> Project:
    """Copy a project that was generated once."""
    target = folder / project.path.name
    shutil.copytree(project.path, target, symlinks=True)
    return Project(target, project.module)
