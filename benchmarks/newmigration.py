"""Writing a migration, proof included, against plain Flask-Migrate: `python benchmarks/newmigration.py`.

Whole processes, in turns, medians of their ratios. A case is a history and models; each run adds a column
and writes the migration for it, here with the scratch database, lint and proof, there by `flask db migrate`.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parent.parent
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
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///{database}"
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


class Side:
    """One of the two: where its models and versions are, and its commands."""

    def run(self, *command: str) -> float:
        # as on a machine where nothing is set: byte code is kept
        env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        env["SETTINGS"] = "dev.conf"
        begun = time.perf_counter()
        ran = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True)
        taken = time.perf_counter() - begun
        if ran.returncode:
            raise SystemExit(f"{command} failed:\n{ran.stdout}{ran.stderr}")
        return taken

    def db(self, *arguments: str) -> float:
        return self.run(*self.command, "db", *arguments)

    def set_models(self, tables: int, extra: int = 0) -> None:
        self.models.write_text(self.head + models(tables, extra))

    def forget(self, known: set) -> None:
        """Take the migration away again that a run has written."""
        for file in set(self.versions.glob("*.py")) - known:
            file.unlink()


class Plain(Side):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.models = folder / "app.py"
        self.head = STOCK.format(database=folder / "app.db")
        self.set_models(0)
        self.command = [sys.executable, "-m", "flask", "--app", "app"]
        self.db("init")
        self.versions = folder / "migrations" / "versions"


class Keel(Side):
    head = "import sqlalchemy as sa\n\nfrom my_app.extensions import db\n\n"

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "cookiecutter", "--no-input", "-o", folder, TEMPLATE]
        subprocess.run([*command, "starter=bare"], check=True, capture_output=True)
        self.folder = folder / "my-app"
        self.models = self.folder / "my_app" / "models" / "tables.py"
        self.versions = self.folder / "my_app" / "migrations" / "versions"
        self.command = [sys.executable, "bin/manage.py"]


def case(name: str, tables: int, revisions: int, runs: int, target: float, upgrade: bool) -> dict:
    """Measure one case; ``upgrade``: plain's figure is its migrate plus the upgrade that it needs first."""
    ratios, ours, theirs = [], [], []
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        sides = plain, keel = Plain(Path(place) / "plain"), Keel(Path(place) / "keel")
        for side in sides:
            history(side.versions, tables, revisions)
            side.set_models(tables)
        if not upgrade:
            for side in sides:
                side.db("upgrade")
            keel.db("schema")
            keel.db("check")
        known = {side: set(side.versions.glob("*.py")) for side in sides}
        for side in sides:
            side.set_models(tables, extra=1)
        for _ in range(runs):
            if upgrade:  # nothing is kept on either side
                (plain.folder / "app.db").unlink(missing_ok=True)
                shutil.rmtree(keel.folder / "var" / "cache", ignore_errors=True)
            taken = plain.db("upgrade") if upgrade else 0
            taken += plain.db("migrate", "-m", "one")
            mine = keel.db("migrate", "-m", "one")
            for side in sides:
                side.forget(known[side])
            ours.append(mine)
            theirs.append(taken)
            ratios.append(mine / taken)
    return report(name, ratios, ours, theirs, target)


def start(name: str, command: list[str], runs: int) -> dict:
    """Measure a command that has nothing to do."""
    ratios, ours, theirs = [], [], []
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        sides = plain, keel = Plain(Path(place) / "plain"), Keel(Path(place) / "keel")
        for side in sides:
            history(side.versions, 20, 10)
            side.set_models(20)
            side.db("upgrade")
        for _ in range(runs * 3):
            theirs.append(plain.db(*command))
            ours.append(keel.db(*command))
            ratios.append(ours[-1] / theirs[-1])
    return report(name, ratios, ours, theirs, 1.1)


def report(name: str, ratios: list, ours: list, theirs: list, target: float) -> dict:
    found = {
        "case": name,
        "ours": round(statistics.median(ours), 3),
        "plain": round(statistics.median(theirs), 3),
        "ratio": round(statistics.median(ratios), 2),
        "at most": target,
    }
    print(json.dumps(found), flush=True)
    return found


def table(results: list[dict]) -> str:
    """The figures as a Markdown table, with what was to be reached."""
    lines = ["| | plain Flask-Migrate | here | ratio | at most |", "|---|---|---|---|---|"]
    for one in results:
        times = f"{one['plain']:.2f} s | {one['ours']:.2f} s"
        lines.append(f"| {one['case']} | {times} | {one['ratio']:.2f} | {one['at most']} |")
    return "\n".join(lines)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    chosen = arguments.parse_args()
    runs = chosen.runs
    results = [
        case("20 tables, 10 revisions", 20, 10, runs, 1.6, upgrade=False),
        case("200 tables, 10 revisions", 200, 10, runs, 2.0, upgrade=False),
        case(
            "20 tables, 1000 revisions, with plain's upgrade",
            20,
            1000,
            min(runs, 3),
            1.0,
            upgrade=True,
        ),
        *(start(f"db {' '.join(c)}", c, runs) for c in (["heads"], ["current"], ["upgrade"])),
    ]
    print(f"\n{table(results)}")
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / "newmigration.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
