"""Rows: inserted as the application would, and compared before and after a migration."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from itertools import product
from random import Random
from typing import Any

import sqlalchemy as sa
from change import Marks
from drawn import Schema, Table

Rows = dict[int, list[dict[int, Any]]]


def add(schema: Schema, metadata: sa.MetaData, engine: sa.Engine, random: Random) -> None:
    """Insert a few rows into each table; what the models forbid is left out."""
    tables = {table.name: table for table in schema.tables}
    listed = sorted(metadata.tables.values(), key=lambda table: table.key)
    # sorted_tables warns of tables that refer to each other
    for made, _ in sa.schema.sort_tables_and_constraints(listed):
        if made is None:
            continue
        for _ in range(random.choice([0, 1, 2, 4])):
            values = _row(schema, tables[made.name], metadata, engine, random)
            if values is None:
                continue
            try:
                with engine.begin() as connection:
                    connection.execute(made.insert().values(values))
            except (sa.exc.IntegrityError, sa.exc.DataError):
                continue
            except sa.exc.OperationalError as error:
                if "CONSTRAINT" not in str(error):  # what a CHECK is to MariaDB
                    raise


def differences(before: Rows, after: Rows, marks: Marks) -> Iterator[str]:
    """Say which rows are not what they were, in the columns that both have."""
    for uid in before.keys() & after.keys():
        olds, news = before[uid], after[uid]
        if (uid, None) in marks.lost:
            continue
        if len(olds) != len(news):
            yield f"{len(olds)} rows became {len(news)}: {olds} {news}"
        elif olds:
            yield from _changed(uid, olds, news, marks)


def _changed(uid: int, olds: list, news: list, marks: Marks) -> Iterator[str]:
    columns = [c for c in olds[0] if c in news[0] and (uid, c) not in marks.lost]
    filled = [columns.index(c) for t, c in marks.filled if t == uid and c in columns]
    left = Counter(_shown(uid, columns, marks, row) for row in olds)
    for row in news:
        shown = _shown(uid, columns, marks, row)
        # each value of a filled column may have been a NULL
        may = [(value, NULL) if n in filled else (value,) for n, value in enumerate(shown)]
        was = next((values for values in product(*may) if left[values]), None)
        if was is None:
            yield f"columns {columns}: {shown} was none of {left}"
            return
        left[was] -= 1


NULL = repr("NULL")


def _shown(table: int, columns: list[int], marks: Marks, row: dict[int, Any]) -> tuple[str, ...]:
    shown = []
    for uid in columns:
        value = "NULL" if row[uid] is None else row[uid]
        shown.append(repr(_plain(value) if (table, uid) in marks.loose else value))
    return tuple(shown)


def _plain(value: Any) -> Any:
    """A value less its type: what a person would call the same."""
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            value = _latin1(value)  # as MariaDB reads it, unless it is told otherwise
    text = str(value).strip("'")
    text = re.sub(r" ?00:00:00(\.0+)?$", "", text.replace("''", "'"))
    text = {"true": "1", "false": "0", "True": "1", "False": "0"}.get(text, text)
    if re.fullmatch(r"X'[0-9A-F]*", text):
        text = bytes.fromhex(text[2:]).decode("utf-8", "backslashreplace").replace("''", "'")
    if re.fullmatch(r"-?\d\.\d{15,}e[+-]\d+", text):
        text = repr(float(text))  # SQLite's quote() writes the last digits of a REAL as they come
    try:
        return str(Decimal(text).normalize() + 0)
    except InvalidOperation:
        pass
    try:  # JSONB keeps no order and no escapes
        return json.dumps(json.loads(text), sort_keys=True)
    except json.JSONDecodeError:
        return re.sub(r"\s", "", text)


def _latin1(value: bytes) -> str:
    """Text as MariaDB's latin1 has it: cp1252, and what that leaves out is the byte itself.

    https://dev.mysql.com/doc/refman/8.0/en/charset-we-sets.html
    """
    letters = (bytes([byte]) for byte in value)
    return "".join(b.decode("cp1252", "ignore") or b.decode("latin-1") for b in letters)


def _row(
    schema: Schema, table: Table, metadata: sa.MetaData, engine: sa.Engine, random: Random
) -> dict[str, Any] | None:
    number = random.randint(0, 200)
    values: dict[str, Any] = {}
    keyed: set[int] = set()
    for key in table.keys:
        keyed |= set(key.columns)
        target = schema.table(key.table)
        made = metadata.tables[target.name]
        ours = [table.column(uid) for uid in key.columns]
        with engine.connect() as connection:
            query = sa.select(*(made.c[target.column(uid).name] for uid in target.primary))
            there = [tuple(row) for row in connection.execute(query)]
        if there and (random.random() < 0.8 or not ours[0].nullable):
            chosen = random.choice(there)
            values |= {c.name: v for c, v in zip(ours, chosen, strict=True)}
        elif any(not c.nullable for c in ours):
            return None
    for column in table.columns:
        if column.uid in keyed or column.computed:
            continue
        if column.name == "id" and column.uid in table.primary and column.kind.name == "Integer":
            continue
        if (column.nullable or column.default) and random.random() < 0.25:
            continue
        values[column.name] = column.kind.value(number)
    return values
