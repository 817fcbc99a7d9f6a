"""A Dockerfile without a daemon: its steps are run here, one by one, each stage in a folder of its own.

What stands in the file is what runs. Three things are not as in a container: `/app` is a folder, the
image's Python is one of this machine, and where the tests are not root's, the account is their own.
"""

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from installed import with_uv
from projects import Answer

ROOT = os.geteuid() == 0
ACCOUNT = "10001"
# how packages are reached
REACHED = re.compile(r"(PIP|UV|SSL|REQUESTS)_[A-Z_]+")


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """The instructions of a Dockerfile, each with what stands behind it."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for line in re.sub(r"\\\n", "", "\n".join(lines)).splitlines():
        keyword, _, rest = line.partition(" ")
        yield keyword, rest.strip()


def context(project: Path, folder: Path) -> Path:
    """Copy what a build sees of a project: all that .dockerignore does not name."""
    names = (project / ".dockerignore").read_text().splitlines()
    ignored = [_pattern(name) for name in names if name and not name.startswith("#")]
    for path in sorted(project.rglob("*")):
        name = path.relative_to(project)
        above = [str(one) for one in (name, *name.parents)]
        if path.is_file() and not any(
            pattern.fullmatch(one) for pattern in ignored for one in above
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, folder / name)
    return folder


def _pattern(name: str) -> re.Pattern[str]:
    """https://docs.docker.com/build/concepts/context/#syntax"""
    parts = {"**/": "(?:.*/)?", "*": "[^/]*"}
    split = re.split(r"(\*\*/|\*)", name)
    return re.compile("".join(parts.get(part, re.escape(part)) for part in split))


@dataclass
class Image:
    """The last stage of a Dockerfile, built in a folder, and what a container of it runs."""

    folder: Path
    context: Path
    args: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    workdir: Path = Path()
    account: str = ""
    volumes: list[Path] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)
    stage: str = ""

    @property
    def app(self) -> Path:
        return self.folder / "root" / "app"

    def build(self, text: str, **args: str) -> "Image":
        """Run the steps of a Dockerfile."""
        self.folder.chmod(0o755)
        self.args = args
        for keyword, rest in instructions(self.here(text)):
            getattr(self, f"_{keyword.lower()}")(rest)
        if not ROOT:
            self._read_only()
        return self

    def here(self, text: str) -> str:
        """A text in which /app is the folder, and the account one that there is."""
        text = re.sub(r"(?<![\w.])/app\b", str(self.app), text)
        return text if ROOT else text.replace(ACCOUNT, str(os.getuid()))

    def container(self, **env: str) -> dict[str, str]:
        """The environment of a container: the image's, what is given, and nothing else."""
        return {"HOME": "/", **self.env, **{name: self.here(value) for name, value in env.items()}}

    def as_account(self) -> dict:
        """What Popen is told of the account."""
        user, group = map(int, self.account.split(":"))
        return {"user": user, "group": group, "extra_groups": []} if ROOT else {}

    def run(self, command: list[str], **env: str) -> Answer:
        """Run a command in a container that has this environment."""
        found = shutil.which(command[0], path=self.env["PATH"]) or command[0]
        ran = subprocess.run(
            [found, *command[1:]],
            cwd=self.workdir,
            env=self.container(**env),
            capture_output=True,
            text=True,
            timeout=120,
            **self.as_account(),
        )
        return Answer(ran.returncode, ran.stdout, ran.stderr)

    def _from(self, rest: str) -> None:
        image, _, stage = rest.partition(" AS ")
        assert re.fullmatch(r"python:3\.\d+-slim", image), image
        root = self.folder / "root"
        if root.exists():
            root.rename(self.folder / f"stage-{self.stage}")
        root.mkdir(parents=True)
        self.stage = stage
        python = self.folder / f"python-{stage or 'last'}"
        uv = shutil.which("uv", path=with_uv())
        make = [uv, "venv", "--quiet", "--seed", "--python", python_for_others(), python]
        subprocess.run(make, check=True)
        self.env = {"PATH": f"{python}/bin:/usr/bin:/bin"}
        self.workdir, self.account = root, "0:0"

    def _env(self, rest: str) -> None:
        for name, _, value in (part.partition("=") for part in shlex.split(rest)):
            self.env[name] = Template(value).substitute(self.env)

    def _arg(self, rest: str) -> None:
        name, _, value = shlex.split(rest)[0].partition("=")
        self.args.setdefault(name, value)

    def _workdir(self, rest: str) -> None:
        self.workdir = Path(rest)
        self.workdir.mkdir(parents=True, exist_ok=True)

    def _copy(self, rest: str) -> None:
        *sources, target = rest.split()
        there = self.context
        if sources[0].startswith("--from="):
            place = self.folder / f"stage-{sources.pop(0).partition('=')[2]}"
            sources = [str(Path(name).relative_to(self.folder / "root")) for name in sources]
            there = place
        found = [
            path for name in sources for path in (there.glob(name) if name != "." else [there])
        ]
        assert found, f"COPY {rest}: there is none of them"
        for path in found:
            to = self.workdir / target
            if path.is_dir():
                # a stage that is done is not written to any more: its files may be the same ones
                how = os.link if there != self.context else shutil.copy2
                shutil.copytree(path, to, True, copy_function=how, dirs_exist_ok=True)
            else:
                shutil.copy2(path, to / path.name if target.endswith("/") else to)

    def _run(self, rest: str) -> None:
        reached = {name: value for name, value in os.environ.items() if REACHED.fullmatch(name)}
        cache = os.environ.get("UV_CACHE_DIR", str(Path("~/.cache/uv").expanduser()))
        env = {**reached, "UV_CACHE_DIR": cache, "HOME": str(self.folder), **self.env, **self.args}
        ran = subprocess.run(
            ["/bin/sh", "-c", rest], cwd=self.workdir, env=env, capture_output=True, text=True
        )
        assert ran.returncode == 0, f"RUN {rest}\n{ran.stdout}{ran.stderr}"

    def _user(self, rest: str) -> None:
        self.account = rest

    def _volume(self, rest: str) -> None:
        self.volumes.append(Path(rest))

    def _expose(self, rest: str) -> None:
        assert rest == self.env["PORT"]

    def _healthcheck(self, rest: str) -> None:
        self.healthcheck = json.loads(rest.partition("CMD ")[2])

    def _cmd(self, rest: str) -> None:
        self.command = json.loads(rest)

    def _read_only(self) -> None:
        for path in (self.app, *self.app.rglob("*")):
            if not path.is_symlink() and not any(path.is_relative_to(one) for one in self.volumes):
                path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)


def python_for_others() -> str:
    """A Python that the account of a container may start, as it may start an image's own."""
    candidates = (Path(sys.executable).resolve(), "/usr/local/bin/python3", "/usr/bin/python3")
    account = {"user": int(ACCOUNT), "group": int(ACCOUNT), "extra_groups": []} if ROOT else {}
    ask = ["-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    for candidate in map(str, candidates):
        try:
            if not subprocess.run([candidate, *ask], cwd="/", **account).returncode:
                return candidate
        except OSError:
            continue
    raise AssertionError("no Python 3.11 or newer that another account may start")
