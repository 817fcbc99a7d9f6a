"""Applying migrations, against plain Flask-Migrate: `python benchmarks/upgrade.py`.

Whole processes, in turns, medians of their ratios. 1000 revisions from empty on each database: here with
the lock, the plan, the log and the look at the end; there with a transaction for each migration, as here
on a server, and beside it as Flask-Migrate does it by itself, one for all. Then an upgrade with nothing to
do, which takes no lock, makes no plan and writes nothing.
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from newmigration import Keel, Plain, Taken, both, databases, history, report, table

TABLES = 20
REVISIONS = 1000
AT_MOST = {"sqlite": 0.33, "postgresql": 1.1, "mariadb": 1.3}


@contextmanager
def written(server: str, each: bool) -> Iterator[tuple[Plain, Keel]]:
    """Give the two with the same history, and an empty database for each.

    :param each: whether plain has a transaction for each migration
    """
    with both(server) as sides:
        plain, keel = sides
        if each:
            plain.head = plain.head.replace(
                "Migrate(app, db)", "Migrate(app, db, transaction_per_migration=True)"
            )
        for side in sides:
            history(side.versions, TABLES, REVISIONS)
            side.set_models(TABLES)
            side.db("heads")
        # byte code is there on both sides: heads has loaded plain's, and answers here without Alembic
        (library,) = keel.folder.glob(".venv/lib/python*/site-packages/flask_keel")
        keel.run(str(keel.python), "-m", "compileall", "-q", str(library), str(keel.versions))
        yield sides


def from_empty(kind: str, server: str, each: bool, runs: int) -> dict:
    """Measure all of the history, each time on new databases."""
    pairs: list[tuple[Taken, Taken]] = []
    for _ in range(runs):
        with written(server, each) as (plain, keel):
            theirs = plain.db("upgrade")
            pairs.append((keel.db("upgrade"), theirs))
    way = "a transaction for each" if each else "plain's default"
    name = f"{REVISIONS} revisions from empty, {kind}, {way}"
    return report(name, pairs, AT_MOST[kind])


def nothing_to_do(kind: str, server: str, runs: int) -> dict:
    """Measure an upgrade of a database that is at the head."""
    with written(server, each=True) as sides:
        plain, keel = sides
        for side in sides:
            side.db("upgrade")
        pairs = [(keel.db("upgrade"), plain.db("upgrade")) for _ in range(runs * 3)]
    return report(f"nothing to do, {kind}", pairs, 1.1)


def measured(chosen: argparse.Namespace) -> Iterator[dict]:
    for kind in chosen.on:
        with nullcontext("") if kind == "sqlite" else getattr(databases, kind)() as server:
            # on SQLite the whole upgrade is one transaction here
            for each in (False,) if kind == "sqlite" else (True, False):
                yield from_empty(kind, server, each, chosen.runs)
            yield nothing_to_do(kind, server, chosen.runs)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--on", nargs="+", choices=[*AT_MOST], default=[*AT_MOST])
    arguments.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    chosen = arguments.parse_args()
    results = list(measured(chosen))
    print(f"\n{table(results)}")
    if chosen.on == [*AT_MOST]:
        chosen.out.mkdir(parents=True, exist_ok=True)
        (chosen.out / "upgrade.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
