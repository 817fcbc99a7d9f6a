"""Writing a migration, proof included, against plain Flask-Migrate: `python benchmarks/newmigration.py`.

Whole processes, in turns, medians of their ratios. A case is a history and models; each run adds a column
and writes the migration for it, here with the scratch database, lint and proof, there by `flask db migrate`.
The first ratio is of the time on the clock, the second of the processor's time of the two processes alone:
on a machine that does other work it is the one to trust, but it leaves out what a server does. The servers
are those of the tests, with their data in memory. Both sides use the environment that `make install` makes
for a generated project: what else is installed may bring commands to Flask, which each start then loads.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

TEMPLATE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TEMPLATE / "tests"))
import databases  # noqa: E402

COLUMNS = "".join(
    f"    {name} = sa.Column(sa.{kind}, nullable=True)\n"
    for name, kind in (
        ("name", "String(80)"),
        ("amount", "Integer"),
        ("price", "Numeric(10, 2)"),
        ("made_at", "DateTime"),
        ("note", "Text"),
    )
)
MODEL = (
    """class T{number}(db.Model):
    __tablename__ = "t{number}"
    id = sa.Column(sa.Integer, primary_key=True)
    parent_id = sa.Column(sa.ForeignKey("t{parent}.id"), nullable=True)
"""
    + COLUMNS
)
STOCK = """import sqlalchemy as sa
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = {url!r}
db = SQLAlchemy(app)
Migrate(app, db)

"""
MIGRATION = """import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {down!r}


def upgrade():
{up}

def downgrade():
{down_code}
"""


def models(tables: int, extra: int = 0) -> str:
    text = "\n\n".join(MODEL.format(number=n, parent=max(0, n - 1)) for n in range(tables))
    added = "".join(
        f"    extra_{n} = sa.Column(sa.String(20), nullable=True)\n" for n in range(extra)
    )
    return text + added


def history(versions: Path, tables: int, revisions: int) -> None:
    """Spread the tables over the revisions; the rest of the revisions are empty."""
    share = max(1, -(-tables // revisions))
    for step in range(revisions):
        numbers = range(step * share, min(tables, (step + 1) * share))
        up = [
            f'    op.create_table("t{n}", sa.Column("id", sa.Integer(), nullable=False),'
            ' sa.Column("parent_id", sa.Integer()), sa.Column("name", sa.String(80)),'
            ' sa.Column("amount", sa.Integer()), sa.Column("price", sa.Numeric(10, 2)),'
            ' sa.Column("made_at", sa.DateTime()), sa.Column("note", sa.Text()),'
            f' sa.PrimaryKeyConstraint("id", name="pk_t{n}"),'
            f' sa.ForeignKeyConstraint(["parent_id"], ["t{max(0, n - 1)}.id"],'
            f' name="fk_t{n}_parent_id_t{max(0, n - 1)}"))\n'
            for n in numbers
        ]
        down = [f'    op.drop_table("t{n}")\n' for n in reversed(numbers)]
        (versions / f"r{step:04d}_.py").write_text(
            MIGRATION.format(
                revision=f"r{step:04d}",
                down=f"r{step - 1:04d}" if step else None,
                up="".join(up) or "    pass\n",
                down_code="".join(down) or "    pass\n",
            )
        )


class Taken(NamedTuple):
    """Seconds on the clock, and of the processor."""

    clock: float
    processor: float

    def __add__(self, other: "Taken") -> "Taken":
        return Taken(self.clock + other.clock, self.processor + other.processor)


class Side:
    """One of the two: where its models and versions are, and its commands."""

    def run(self, *command: str) -> Taken:
        # as on a machine where nothing is set: byte code is kept
        env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        env |= {"SETTINGS": "dev.conf", "DEV_DATABASE_URL": self.url}
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.perf_counter()
        ran = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True)
        taken = time.perf_counter() - begun
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        if ran.returncode:
            raise SystemExit(f"{command} failed:\n{ran.stdout}{ran.stderr}")
        return Taken(taken, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime)

    def db(self, *arguments: str) -> Taken:
        return self.run(*self.command, "db", *arguments)

    def set_models(self, tables: int, extra: int = 0) -> None:
        self.models.write_text(self.head + models(tables, extra))

    def forget(self, known: set) -> None:
        """Take the migration away again that a run has written."""
        for file in set(self.versions.glob("*.py")) - known:
            file.unlink()


class Plain(Side):
    """The smallest application that Flask-Migrate documents.

    :param python: of the environment that both use
    """

    def __init__(self, folder: Path, url: str, python: Path) -> None:
        self.folder, self.url = folder, url
        folder.mkdir(parents=True)
        self.models = folder / "app.py"
        drivers = {"postgresql:": "postgresql+psycopg:", "mysql:": "mysql+pymysql:"}
        for plain, driver in drivers.items():
            url = url.replace(plain, driver)
        self.head = STOCK.format(url=url or f"sqlite:///{folder / 'app.db'}")
        self.set_models(0)
        self.command = [str(python), "-m", "flask", "--app", "app"]
        self.db("init")
        self.versions = folder / "migrations" / "versions"

    def adopt(self) -> None:
        """Make it an application of the library by the three edits of docs/adoption.md."""
        self.head = self.head.replace("flask_migrate import Migrate", "flask_keel import Keel")
        self.head = self.head.replace("Migrate(app, db)", "Keel(app, db)")
        (self.folder / "migrations" / "env.py").write_text(
            "from flask_keel import env\n\nenv.run()\n"
        )


class Keel(Side):
    """A generated project, with an environment of its own."""

    head = "import sqlalchemy as sa\n\nfrom my_app.extensions import db\n\n"

    def __init__(self, folder: Path, url: str) -> None:
        command = [sys.executable, "-m", "cookiecutter", "--no-input", "-o", folder, TEMPLATE]
        kind = f"database={url.partition(':')[0] or 'sqlite'}"
        subprocess.run([*command, "starter=bare", kind], check=True, capture_output=True)
        self.url = url
        self.folder = folder / "my-app"
        self.models = self.folder / "my_app" / "models" / "tables.py"
        self.versions = self.folder / "my_app" / "migrations" / "versions"
        self.python = self.folder / ".venv" / "bin" / "python"
        self.command = [str(self.python), "bin/manage.py"]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
        env["PATH"] = (
            f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"  # uv, as on a machine that has it
        )
        subprocess.run(
            ["make", "-s", "install"], cwd=self.folder, env=env, check=True, capture_output=True
        )


@contextmanager
def both(server: str = "") -> Iterator[tuple[Plain, Keel]]:
    """Give the two, each with a database of its own.

    :param server: its URL; without, SQLite
    """
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        urls = [stack.enter_context(databases.fresh(server)) if server else "" for _ in range(2)]
        keel = Keel(place / "keel", urls[1])
        yield Plain(place / "plain", urls[0], keel.python), keel


def case(
    name: str,
    tables: int,
    revisions: int,
    runs: int,
    target: float,
    upgrade: bool = False,
    server: str = "",
) -> dict:
    """Measure one case; ``upgrade``: plain's figure is its migrate plus the upgrade that it needs first."""
    pairs = []
    with both(server) as sides:
        plain, keel = sides
        for side in sides:
            history(side.versions, tables, revisions)
            side.set_models(tables)
        if not upgrade:
            for side in sides:
                side.db("upgrade")
            keel.db("schema")
        known = {side: set(side.versions.glob("*.py")) for side in sides}
        for side in sides:
            side.set_models(tables, extra=1)
            side.db("migrate", "-m", "warm") if not upgrade else None
            side.forget(known[side])
        for _ in range(runs):
            if upgrade:  # nothing is kept on either side
                (plain.folder / "app.db").unlink(missing_ok=True)
                shutil.rmtree(keel.folder / "var" / "cache", ignore_errors=True)
            theirs = plain.db("upgrade") if upgrade else Taken(0, 0)
            theirs += plain.db("migrate", "-m", "one")
            pairs.append((keel.db("migrate", "-m", "one"), theirs))
            for side in sides:
                side.forget(known[side])
    return report(name, pairs, target)


def start(command: list[str], runs: int) -> Iterator[dict]:
    """Measure a command that has nothing to do: of a generated project, and of the same application."""
    pairs: dict[str, list[tuple[Taken, Taken]]] = {"": [], ", of one application": []}
    with both() as (plain, keel):
        adopted = Plain(plain.folder.parent / "adopted", "", keel.python)
        adopted.adopt()
        for side in (plain, keel, adopted):
            history(side.versions, 20, 10)
            side.set_models(20)
            side.db("upgrade")
            side.db(*command)
        for _ in range(runs * 3):
            theirs = plain.db(*command)
            for side, taken in zip((keel, adopted), pairs.values(), strict=True):
                taken.append((side.db(*command), theirs))
    for name, taken in pairs.items():
        yield report(f"db {' '.join(command)}{name}", taken, 0.75)


def report(name: str, pairs: list[tuple[Taken, Taken]], target: float) -> dict:
    found = {
        "case": name,
        "plain": round(statistics.median(theirs.clock for _, theirs in pairs), 3),
        "ours": round(statistics.median(ours.clock for ours, _ in pairs), 3),
        "ratio": round(statistics.median(ours.clock / theirs.clock for ours, theirs in pairs), 2),
        "processor": round(
            statistics.median(ours.processor / theirs.processor for ours, theirs in pairs), 2
        ),
        "at most": target,
        "pairs": len(pairs),
        "load": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(found), flush=True)
    return found


def table(results: list[dict]) -> str:
    """The figures as a Markdown table, with what was to be reached."""
    lines = [
        "| | plain Flask-Migrate | here | ratio | of the processor | at most | load |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in results:
        times = f"{one['plain']:.2f} s | {one['ours']:.2f} s | {one['ratio']:.2f}"
        more = f"{one['processor']:.2f} | {one['at most']} | {one['load']}"
        lines.append(f"| {one['case']} | {times} | {more} |")
    return "\n".join(lines)


def measured(chosen: argparse.Namespace) -> Iterator[dict]:
    runs = chosen.runs
    if "sqlite" in chosen.on:
        yield case("20 tables, 10 revisions", 20, 10, runs, 1.0)
        yield case("200 tables, 10 revisions", 200, 10, runs, 1.3)
        few, name = min(runs, 3), "20 tables, 1000 revisions, with plain's upgrade"
        yield case(name, 20, 1000, few, 1.0, upgrade=True)
    for kind in sorted({"postgresql", "mariadb"} & set(chosen.on)):
        with getattr(databases, kind)() as server:
            name = f"60 tables, 300 revisions, on {kind}"
            yield case(name, 60, 300, runs, 1.6, server=server)
    if "start" in chosen.on:
        for command in (["heads"], ["current"], ["upgrade"]):
            yield from start(command, runs)


def main() -> None:
    every = ["sqlite", "postgresql", "mariadb", "start"]
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--on", nargs="+", choices=every, default=every)
    arguments.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    chosen = arguments.parse_args()
    results = list(measured(chosen))
    print(f"\n{table(results)}")
    if chosen.on == every:
        chosen.out.mkdir(parents=True, exist_ok=True)
        (chosen.out / "newmigration.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
