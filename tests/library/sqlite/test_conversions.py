"""Random texts that become dates, times and UUIDs: what is rewritten is what SQLAlchemy would write."""

import random
import sqlite3
import uuid
from datetime import datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from flask_keel.sqlite.conversions import made_over, misfit

DIALECT = sqlite.dialect()


def moment(chance: random.Random) -> str:
    """A date and time as people and programs write them, and cut off anywhere."""
    second = chance.choice([0, chance.randint(0, 59)])
    part = chance.choice([0, chance.randint(0, 999999), chance.randint(0, 999) * 1000])
    day = chance.randint(1, 9999), chance.randint(1, 12), chance.randint(1, 28)
    made = datetime(
        *day, chance.choice([0, chance.randint(0, 23)]), chance.choice([0, 7]), second, part
    )
    forms = [
        made.isoformat(),
        made.isoformat(" "),
        made.isoformat(" ", "minutes"),
        made.isoformat("T", "milliseconds"),
        f"{made.isoformat()}Z",
        f"{made.isoformat()}+02:00",
        str(made.date()),
        f"{made.date()} 00:00:00",
        f"{made.date()}T00:00",
        str(made.time()),
        made.strftime("%Y%m%d"),
        made.isoformat(" ")[: chance.randint(1, 26)],
        str(made.time())[: chance.randint(1, 15)],
    ]
    return chance.choice(forms)


def number(chance: random.Random) -> str:
    made = uuid.UUID(int=chance.getrandbits(128))
    forms = [
        str(made),
        made.hex,
        str(made).upper(),
        f"{{{made}}}",
        made.urn,
        made.hex[:-1],
        f"{made}a",
    ]
    return chance.choice(forms)


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (sa.DateTime(), moment),
        (sa.Date(), moment),
        (sa.Time(), moment),
        (sa.Interval(), moment),
        (sa.Uuid(), number),
    ],
    ids=lambda item: getattr(item, "__name__", None) or type(item).__name__,
)
def test_a_text_is_rewritten_as_sqlalchemy_writes_it_or_refused(type_, text):
    seed = random.randrange(10**6)
    print("seed", seed)
    chance = random.Random(seed)
    impl = type_.dialect_impl(DIALECT)
    read, write = impl.result_processor(DIALECT, None), impl.bind_processor(DIALECT)
    value = made_over(DIALECT, "v", "VARCHAR(40)", type_, None)
    broken, fits = misfit(DIALECT, value, "VARCHAR(40)", type_.compile(DIALECT), type_)
    raw = sqlite3.connect(":memory:")
    raw.create_function("keel_fits", 2, fits)
    taken = 0
    for _ in range(1500):
        given = text(chance)
        query = f"SELECT {value}, {broken} FROM (SELECT ? AS v)"
        stored, refused = raw.execute(query, [given]).fetchone()
        if refused:
            continue
        taken += 1
        assert write(read(stored)) == stored, given
        if isinstance(type_, sa.Date) and len(given) > 10:
            whole = datetime.fromisoformat(given)
            assert whole == datetime.combine(read(stored), datetime.min.time()), given
        else:
            assert read(given) == read(stored), given
    assert taken > 50


def refuses(raw, text):
    """Whether a text cannot become a number: ``keel_fits`` is asked for what is no plain one."""
    broken, fits = misfit(DIALECT, "v", "VARCHAR(80)", "NUMERIC(20, 6)", sa.Numeric(20, 6))
    raw.create_function("keel_fits", 2, fits)
    return bool(raw.execute(f"SELECT {broken} FROM (SELECT ? AS v)", [text]).fetchone()[0])


def test_a_number_that_sqlite_has_made_a_text_of_becomes_that_number_again():
    seed = random.randrange(10**6)
    print("seed", seed)
    chance = random.Random(seed)
    raw = sqlite3.connect(":memory:")
    for power in range(-30, 31):
        real = float(f"{chance.uniform(-9.9, 9.9):.{chance.randint(0, 12)}f}e{power}")
        text, number = raw.execute("SELECT CAST(:n AS TEXT), :n", {"n": real}).fetchone()
        if "e" in text:
            assert not refuses(raw, text), text
            back = raw.execute("SELECT CAST(CAST(? AS NUMERIC) AS REAL)", [text]).fetchone()[0]
            assert f"{back:.14g}" == f"{number:.14g}"


@pytest.mark.parametrize("text", ["1e5", "007", "1.0E-06", "1.0e-6", "+1.5", "1.50e-07", "1.5 "])
def test_a_text_that_would_be_another_one_as_a_number_may_be_a_code(text):
    assert refuses(sqlite3.connect(":memory:"), text)
