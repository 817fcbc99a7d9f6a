"""Random models and random changes of them: written, proved, applied, empty the second time, undone.

FUZZ_SEED=123 runs that case first, FUZZ_SECONDS=600 says for how long each database's cases are
tried; LONG_DRILLS=1 runs for half an hour.
"""

import decimal
import os
import random
import sqlite3
import time
from contextlib import closing, contextmanager
from random import Random

import databases
import drawn
import kept_rows
import kinds
import pytest
import shorter
from story import Fault, Halfway, Story
from table_changes import several

# the names of kinds and of changes that are left out, on each database: none
OFF: dict[str, frozenset[str]] = {}
# seconds of a short run
SECONDS = {"sqlite": 3, "postgresql": 1, "mysql": 1}
# half an hour together
TIMES = 225 if os.environ.get("LONG_DRILLS") else 1
STEPS = 6


@contextmanager
def _file(tmp_path):
    path = tmp_path / "made.db"
    path.unlink(missing_ok=True)
    yield f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def life(request, new_project, tmp_path):
    """An application on each database, and a way to a new empty database there."""
    kind = request.param
    if kind == "sqlite":
        yield Story(new_project(starter="bare"), kind, lambda: _file(tmp_path))
        return
    server = request.getfixturevalue({"mysql": "mariadb"}.get(kind, kind) + "_server")
    project = new_project(starter="bare", database=kind)
    yield Story(project, kind, lambda: databases.fresh(server))


@contextmanager
def _database(life):
    if life.dialect == "sqlite":
        yield
        return
    with life.fresh() as url:
        life.project.env["DEV_DATABASE_URL"] = url
        yield


def test_random_changes_of_random_models(life, capsys):
    begun = time.monotonic()
    seconds = float(os.environ.get("FUZZ_SECONDS") or SECONDS[life.dialect] * TIMES)
    # the same cases for everybody who runs the tests, others in each long drill
    drawn_seed = random.randrange(10**6) if TIMES > 1 else 7
    first = int(os.environ.get("FUZZ_SEED") or drawn_seed)
    seed, done, refused = first, 0, 0
    while time.monotonic() < begun + seconds or seed == first:
        with _database(life):
            good, no = _case(life, seed, begun + seconds)
        done, refused, seed = done + good, refused + no, seed + 1
    with capsys.disabled():
        print(
            f"\n{life.dialect}: {done} changes of {seed - first} models, {refused} refused, "
            f"{time.monotonic() - begun:.0f} s, FUZZ_SEED={first}"
        )


@pytest.mark.parametrize("name", [n for n in kinds.FAMILY if kinds.of(n).rules])
def test_the_checks_that_are_drawn_hold_for_the_values_that_are_drawn(name):
    kind = kinds.of(name, Random(1))
    with closing(sqlite3.connect(":memory:")) as raw:
        for number in range(201):
            value = kind.value(number)
            given = (float(value) if isinstance(value, decimal.Decimal) else value,)
            for rule in kind.rules:
                (holds,) = raw.execute(f"SELECT {rule.format(c='?1')}", given).fetchone()
                assert holds, (rule, value)


def _case(life: Story, seed: int, end: float) -> tuple[int, int]:
    """Change the models of one seed a few times; give the numbers of changes and of refusals."""
    chance = Random(seed)
    before = drawn.draw(chance, life.dialect, OFF.get(life.dialect, frozenset()))
    after, changes, good, no = None, [], 0, 0
    life.commands, life.file = [], ""
    life.online = life.dialect != "sqlite" and seed % 2 == 1
    try:
        life.begin(before, chance)
        for _ in range(STEPS):
            changes, after, marks = several(chance, before)
            life.commands = []
            if life.change(before, after, marks, chance):
                good, before = good + 1, after
            else:
                no += 1
            if time.monotonic() > end:
                break
            kept_rows.add(before, life.metadata(before), life.engine(), chance)
        changes, life.commands = [], []
        life.check()
    except Halfway:
        return good, no + 1
    except Fault as fault:
        pytest.fail(_short(life, seed, fault, before, after, changes), pytrace=False)
    return good, no


def _short(life, seed, fault, before, after, changes):
    long = shorter.report(life.dialect, seed, fault, before, after, life, changes)
    with _database(life):
        less = shorter.shorten(life, fault, before, changes, seed)
    if less is None:
        return long
    fault, before, changes = less
    with _database(life):
        again, after, _ = shorter.attempt(life, before, changes, seed)
    return shorter.report(life.dialect, seed, again or fault, before, after, life, changes)
