"""The table ``alembic_log``: what was run on a database, when, by whom, and how it ended.

It stands beside Alembic's version table. Nothing in it is ever run, and no source code is in it.
"""

import getpass
import hashlib
import json
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Double,
    Identity,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    func,
    inspect,
    select,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError

from .project import LOG_TABLE
from .typing import Options, Row, Value

#: how a step ended; "begun" is one that has not, or whose process was killed
BEGUN, DONE, FAILED, STOPPED = "begun", "done", "failed", "stopped"
#: the number of the row by which a migrator holds a Galera cluster
LEASE = -1


def table(schema: str | None = None) -> Table:
    """Return the table: a row for each revision of each run.

    ``run`` is one for all revisions of a run; ``heads`` (JSON) is where the database was afterwards;
    ``started`` is UTC; ``checksum`` is of the file. Of a revision that cannot be undone as a whole,
    ``statements`` says how many stand, ``digests`` which, ``in_flight`` which one was sent and
    ``position`` (JSON) the last key of a backfill. Only the last row of a run has a ``catalog``: the
    schema as text, and its format.

    :param schema: the one in which the version table is
    """
    long = Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
    return Table(
        LOG_TABLE,
        MetaData(),
        Column("id", Integer, Identity(), primary_key=True),
        Column("run", String(32), nullable=False),
        Column("revision", Text, nullable=False),
        Column("direction", String(16), nullable=False),
        Column("message", Text),
        Column("checksum", String(64)),
        Column("started", DateTime, nullable=False),
        Column("seconds", Double),
        Column("host", String(255)),
        Column("account", String(255)),
        Column("outcome", String(16), nullable=False),
        Column("heads", Text),
        Column("statements", Integer),
        Column("digests", long),
        Column("in_flight", String(16)),
        Column("position", long),
        Column("error", long),
        Column("catalog", long),
        Column("format", Integer),
        schema=schema,
        # whatever the database's own is: what migrations say of themselves is in any language
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )


def checksum(file: Path) -> str | None:
    """Return the SHA-256 of a migration, the same for every way to end lines; None without a file."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    return hashlib.sha256(content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")).hexdigest()


def who() -> Options:
    """Return the machine and the account that run this."""
    try:
        account = getpass.getuser()
    except (KeyError, OSError):  # a number without a name
        account = ""
    return {"host": platform.node()[:255], "account": account[:255]}


LOST = "?"  # in flight: what only the connection had that is gone, such as a temporary table


@dataclass(frozen=True)
class Unfinished:
    """A revision that stopped in the middle: what of it stands."""

    revision: str
    direction: str
    digests: tuple[str, ...]
    in_flight: str | None
    position: str | None


def unfinished(connection: Connection, schema: str | None = None) -> Unfinished | None:
    """Return the revision of which a part stands, and that has not been finished since.

    Whatever was done afterwards, a stamp too, says that somebody has finished or undone it.
    """
    kept = table(schema)
    done = select(func.coalesce(func.max(kept.c.id), 0)).where(kept.c.outcome == DONE)
    query = (
        select(kept.c.revision, kept.c.direction, kept.c.digests, kept.c.in_flight, kept.c.position)
        .where(kept.c.id > done.scalar_subquery(), kept.c.outcome != DONE)
        .where((kept.c.statements > 0) | kept.c.in_flight.is_not(None))
        .order_by(kept.c.id.desc())
        .limit(1)
    )
    for revision, direction, digests, in_flight, position in _rows(connection, kept, query):
        return Unfinished(revision, direction, tuple((digests or "").split()), in_flight, position)
    return None


def last_run(connection: Connection, schema: str | None = None) -> tuple[set[str], str, int] | None:
    """Return where the last run left the database: its revisions, its schema as text, the text's format.

    None where the log does not say it: there is none, it may not be read, the last step was a stamp, or
    the run's process was killed.

    :param schema: the one in which the version table is
    """
    kept = table(schema)
    query = (
        select(kept.c.heads, kept.c.catalog, kept.c.format)
        .where(kept.c.outcome == DONE)
        .order_by(kept.c.id.desc())
        .limit(1)
    )
    for heads, catalog, format in _rows(connection, kept, query):
        if heads is not None and catalog is not None:
            return set(json.loads(heads)), catalog, format
    return None


def checksums(connection: Connection, schema: str | None = None) -> dict[str, str]:
    """Return the checksum that the file of each revision had when it was applied.

    Those that the log does not know are left out, and those that were undone. A stamp is not heeded:
    whether the database is at or above a revision, its version table says.
    """
    kept = table(schema)
    newest = (
        select(func.max(kept.c.id))
        .where(kept.c.outcome == DONE, kept.c.direction != "stamp")
        .group_by(kept.c.revision)
    )
    query = select(kept.c.revision, kept.c.checksum).where(
        kept.c.id.in_(newest), kept.c.direction == "upgrade", kept.c.checksum.is_not(None)
    )
    return dict(_rows(connection, kept, query))


def entries(connection: Connection, schema: str | None, number: int) -> list[Options]:
    """Return the newest rows without their catalogues, the newest last."""
    kept = table(schema)
    columns = [column for column in kept.c if column.name != "catalog"]
    query = select(*columns).where(kept.c.id != LEASE).order_by(kept.c.id.desc()).limit(number)
    return [_entry(dict(row._mapping)) for row in reversed(_rows(connection, kept, query))]


def _entry(entry: Options) -> Options:
    entry["started"] = f"{entry['started']:%Y-%m-%dT%H:%M:%SZ}"
    entry["heads"] = json.loads(entry["heads"]) if entry["heads"] else None
    return entry


def _rows(connection: Connection, kept: Table, query: Select[Value]) -> list[Value]:
    """Return what the query finds: nothing where there is no table, or it may not be read."""
    if not inspect(connection).has_table(kept.name, schema=kept.schema):
        return []
    try:
        return list(connection.execute(query).all())
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        connection.rollback()  # PostgreSQL answers nothing more in this transaction
        return []


def lines(entries: list[Options]) -> Iterator[str]:
    """Return what the entries say, for a person."""
    widths = {
        key: max(len(str(entry[key])) for entry in entries)
        for key in ("direction", "revision", "outcome")
    }
    for entry in entries:
        told = "  ".join(f"{entry[key]:{width}}" for key, width in widths.items())
        seconds = "" if entry["seconds"] is None else f"{entry['seconds']:.2f} s"
        who = f"{entry['account']}@{entry['host']}"
        yield f"{entry['started']}  {told}  {seconds:>8}  {who}  {entry['message'] or ''}".rstrip()
        if entry["error"]:
            yield f"    {entry['error']}"


# The last key of a backfill: what a primary key may hold, as JSON.


def as_position(key: Row) -> str:
    """Return a key for the log.

    :raises TypeError: for a value that no key has
    """
    return json.dumps([*map(_encoded, key)])


def key_of(position: str) -> Row:
    """Return the key that :func:`as_position` was given."""
    return tuple(map(_decoded, json.loads(position)))


def _encoded(value: Value) -> Value:
    if value is None or isinstance(value, str | int | float):
        return value
    for kind, (type_, write, _) in KINDS.items():
        if isinstance(value, type_):
            return {kind: write(value)}
    raise TypeError(f"backfill cannot keep {type(value).__name__}, of which the primary key is")


def _decoded(value: Value) -> Value:
    if not isinstance(value, dict):
        return value
    ((kind, text),) = value.items()
    return KINDS[kind][2](text)


# the order tells a datetime from a date
KINDS: dict[str, tuple[type, Callable[[Value], str], Callable[[str], Value]]] = {
    "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "time": (time, time.isoformat, time.fromisoformat),
    "decimal": (Decimal, str, Decimal),
    "uuid": (UUID, str, UUID),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
}
