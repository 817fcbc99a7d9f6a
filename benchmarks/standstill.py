"""How long a writer waits while a migration runs: `python benchmarks/standstill.py`.

Stock Flask-Migrate and an application with `ZERO_DOWNTIME = True` in turns, each with the same migration on
a table of its own. Meanwhile four writers change one row each, 50 times a second, and a report that reads
the table for a second is begun every 1.5 s. What is told is the longest that one writer waited for one
statement while the migration ran, and beside it how long the migration took.
"""

import argparse
import json
import multiprocessing
import random
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.synchronize import Event
from pathlib import Path

from newmigration import Side, both, databases
from sqlalchemy import create_engine, text

ROWS = 1_000_000
WRITERS = 4
EVERY = 0.02  # seconds between two changes of a writer
REPORT = 1.5  # seconds between the beginnings of two reports
LONGEST = 0.1  # seconds that a writer may wait here, and at most a tenth of stock's
FILL = {
    "postgresql": "INSERT INTO item SELECT i, i % 1000 + 1, 'item ' || i, i "
    "FROM generate_series(1, {rows}) AS i",
    "mariadb": "INSERT INTO item SELECT seq, seq % 1000 + 1, concat('item ', seq), seq FROM seq_1_to_{rows}",
}
OWNERS = {
    "postgresql": "INSERT INTO owner SELECT i FROM generate_series(1, 1000) AS i",
    "mariadb": "INSERT INTO owner SELECT seq FROM seq_1_to_1000",
}
PAUSE = {"postgresql": "SELECT pg_sleep(1)", "mariadb": "SELECT sleep(1)"}
TABLES = """
    op.create_table("owner", sa.Column("id", sa.Integer, primary_key=True))
    op.create_table("item", sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("owner_id", sa.Integer), sa.Column("title", sa.String(80)), sa.Column("n", sa.Integer))
"""
INDEXES = """
    op.create_index("ix_item_owner_id", "item", ["owner_id"])
    op.create_unique_constraint("uq_item_title", "item", ["title"])
"""
RULES = """
    op.create_foreign_key("fk_item_owner", "item", "owner", ["owner_id"], ["id"])
    op.create_check_constraint("ck_item_n", "item", "n > 0")
"""
REST = """
    op.alter_column("item", "title", existing_type=sa.String(80), nullable=False)
    op.add_column("item", sa.Column("kind", sa.String(9)))
"""
# what each of the two is told to write for the rows
AT_ONCE = """
    op.execute("UPDATE item SET kind = 'plain'")
"""
IN_BATCHES = """
    item = sa.table("item", sa.column("id"), sa.column("kind"))
    flask_keel.backfill(item, item.c.kind.is_(None), {"kind": "plain"})
"""
FILE = '''"""Number {number}."""

import flask_keel
import sqlalchemy as sa
from alembic import op

revision, down_revision = "r{number}", {below!r}


def upgrade():{body}

def downgrade():
    raise RuntimeError("forward only")
'''


def write(side: Side, number: int, body: str) -> None:
    """Write one migration."""
    below = f"r{number - 1}" if number > 1 else None
    file = side.versions / f"r{number}_by_hand.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(FILE.format(number=number, below=below, body=body))


def writer(url: str, rows: int, ends: Event, waits: list) -> None:
    """Change one row after the other, and note when each was sent and for how long it took."""
    engine = create_engine(databases.driven(url), isolation_level="AUTOCOMMIT")
    chance, noted = random.Random(), []
    change = text("UPDATE item SET n = n + 1 WHERE id = :id")
    with engine.connect() as connection:
        while not ends.is_set():
            begun = time.monotonic()
            with suppress(Exception):  # what is refused was waited for, too
                connection.execute(change, {"id": chance.randint(1, rows)})
            noted.append((begun, time.monotonic() - begun))
            time.sleep(max(0.0, EVERY - (time.monotonic() - begun)))
    waits.append(noted)


def report(url: str, kind: str, ends: Event) -> None:
    """Read the table in a transaction that lasts a second, again and again."""
    engine = create_engine(databases.driven(url))
    with engine.connect() as connection:
        while not ends.is_set():
            begun = time.monotonic()
            connection.execute(text("SELECT count(*), max(n) FROM item WHERE id < 1000")).all()
            connection.execute(text(PAUSE[kind])).all()
            connection.rollback()
            time.sleep(max(0.0, REPORT - (time.monotonic() - begun)))


@contextmanager
def busy(url: str, kind: str, rows: int) -> Iterator[list]:
    """Let writers and a report work; give what the writers noted, once they have ended."""
    with multiprocessing.Manager() as manager:
        ends, waits = multiprocessing.Event(), manager.list()
        workers = [
            multiprocessing.Process(target=writer, args=(url, rows, ends, waits))
            for _ in range(WRITERS)
        ]
        workers.append(multiprocessing.Process(target=report, args=(url, kind, ends)))
        found: list = []
        for worker in workers:
            worker.start()
        try:
            time.sleep(2)  # until they are at work
            yield found
            time.sleep(1)
        finally:
            ends.set()
            for worker in workers:
                worker.join()
            found += [one for noted in waits for one in noted]


def one(side: Side, kind: str, rows: int, body: str) -> dict:
    """Run the migration on a side once; return its time, and what the writers waited."""
    write(side, 1, TABLES)
    side.db("upgrade")
    engine = create_engine(databases.driven(side.url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(OWNERS[kind]))
        connection.execute(text(FILL[kind].format(rows=rows)))
        connection.execute(text("ANALYZE item" if kind == "postgresql" else "ANALYZE TABLE item"))
    write(side, 2, body)
    with busy(side.url, kind, rows) as noted:
        begun = time.monotonic()
        side.db("upgrade")
        ended = time.monotonic()
    during = sorted(wait for at, wait in noted if at + wait > begun and at < ended)
    longest: dict[int, float] = {}  # by tenths of a second
    for at, wait in noted:
        tenth = int((at - begun) * 10)
        longest[tenth] = max(longest.get(tenth, 0.0), round(wait, 4))
    return {
        "each tenth": sorted(longest.items()),
        "migration": ended - begun,
        "longest": during[-1],
        "median": statistics.median(during),
        "over": sum(wait > LONGEST for wait in during),
        "changes": len(during),
    }


def measured(kind: str, server: str, rows: int, runs: int) -> dict:
    """Measure both in turns; return what each found in its worst run."""
    shape = INDEXES + (RULES if kind == "postgresql" else "") + REST
    found: dict[str, list[dict]] = {"stock": [], "keel": []}
    for number in range(runs):
        with both(server) as (plain, keel):
            for name, side, body in (("stock", plain, AT_ONCE), ("keel", keel, IN_BATCHES)):
                found[name].append(one(side, kind, rows, shape + body))
                said = {
                    key: round(value, 3)
                    for key, value in found[name][-1].items()
                    if key != "each tenth"
                }
                print(f"{kind} {number + 1}/{runs} {name}: {said}", file=sys.stderr)
    worst = {name: max(runs, key=lambda run: run["longest"]) for name, runs in found.items()}
    least = min(run["longest"] for run in found["stock"])
    kept = worst["keel"]["longest"] <= min(LONGEST, least / 10)
    return {"name": kind, "rows": rows, **worst, "kept": kept}


def table(results: list[dict]) -> str:
    """Return the results for a document."""
    lines = [
        "| database, rows | | longest wait of a writer | waits over 100 ms | the migration |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        for name in ("stock", "keel"):
            run = result[name]
            lines.append(
                f"| {result['name']}, {result['rows']:,} | {name} | {run['longest'] * 1000:,.0f} ms | "
                f"{run['over']} of {run['changes']} | {run['migration']:.1f} s |"
            )
    return "\n".join(lines)


def draw(results: list[dict], path: Path) -> None:
    """The longest wait of each tenth of a second, in the worst run of each side, on a log scale."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, rows = pyplot.subplots(len(results), 1, figsize=(9, 2.4 * len(results)), squeeze=False)
    for (axes,), result in zip(rows, results, strict=True):
        for name, label in (("stock", "stock Flask-Migrate"), ("keel", "ZERO_DOWNTIME = True")):
            places = [tenth / 10 for tenth, _ in result[name]["each tenth"]]
            waits = [wait * 1000 for _, wait in result[name]["each tenth"]]
            axes.plot(places, waits, label=label, linewidth=1)
        axes.axhline(LONGEST * 1000, color="grey", linewidth=0.5, linestyle="dotted")
        axes.set_yscale("log")
        axes.set_ylabel(f"{result['name']}\nlongest wait, ms")
        axes.legend(fontsize="small", loc="upper right")
    rows[-1][0].set_xlabel("seconds since the migration began")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=ROWS)
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--on", nargs="+", choices=[*FILL], default=[*FILL])
    arguments.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    chosen = arguments.parse_args()
    results = []
    for kind in chosen.on:
        with getattr(databases, kind)() as server:
            results.append(measured(kind, server, chosen.rows, chosen.runs))
    print(f"\n{table(results)}")
    for result in results:
        if not result["kept"]:
            print(f"{result['name']}: a writer waited for longer than it may", file=sys.stderr)
    if chosen.rows == ROWS:
        chosen.out.mkdir(parents=True, exist_ok=True)
        (chosen.out / "standstill.json").write_text(json.dumps(results) + "\n")
        draw(results, chosen.out / "standstill.svg")


if __name__ == "__main__":
    main()
