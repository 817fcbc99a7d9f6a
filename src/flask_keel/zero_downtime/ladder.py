"""MariaDB's and MySQL's ways to change a table while others use it, the lightest first.

https://mariadb.com/kb/en/innodb-online-ddl-overview/ and
https://dev.mysql.com/doc/refman/8.4/en/innodb-online-ddl-operations.html
"""

import re
from collections.abc import Callable

from alembic.util import CommandError

from .. import lexer
from ..lexer import NAME

RUNGS = ("ALGORITHM=INSTANT", "ALGORITHM=NOCOPY, LOCK=NONE", "ALGORITHM=INPLACE, LOCK=NONE")
# takes another time than an index alone, and leaves the same
ANEW = ", FORCE, ALGORITHM=INPLACE, LOCK=NONE"
BUILDS = re.compile(r"ALGORITHM=(NOCOPY|INPLACE),? LOCK=NONE")
# an index that is built with what was asked for, so that it takes longer, and dropped at once
LONGER = "keel_longer"
FIRST = (
    "SHOW INDEX FROM {table} WHERE Key_name = 'PRIMARY' AND Seq_in_index = 1 AND Sub_part IS NULL"
)
LEFT = (
    "SELECT DISTINCT table_name FROM information_schema.statistics "
    f"WHERE table_schema = DATABASE() AND index_name = '{LONGER}'"
)
INDEX = re.compile(
    rf"\s*CREATE\s+(?P<index>(?:UNIQUE\s+)?INDEX\s+(?:IF\s+NOT\s+EXISTS\s+)?{NAME})\s+ON\s+"
    rf"(?P<table>{NAME})\s*(?P<columns>\(.*)",
    re.IGNORECASE | re.DOTALL,
)
# whether a table that is written anew takes little room, and keeps its file and the format of its rows
SAME = """
    SELECT 1 FROM information_schema.tables WHERE table_schema = {schema} AND table_name = {name}
    AND engine = 'InnoDB' AND data_length + index_length <= {most} AND @@innodb_file_per_table
    AND create_options NOT LIKE '%partitioned%'
    AND (create_options LIKE '%row_format=%' OR row_format = @@innodb_default_row_format)
"""
MOST = 2**30  # bytes
# not in this way, for no reason and for one; a way that this server does not know
NOT_SO = {1845, 1846, 1800}
NOT_PARSED = 1064
ALTERS = re.compile(
    rf"\s*(?:(?P<alter>ALTER\s+TABLE)\s+(?:IF\s+EXISTS\s+)?|(?:CREATE|DROP)\b.*?\bINDEX\b.*?\bON\s+)"
    rf"(?P<table>{NAME})",
    re.IGNORECASE | re.DOTALL,
)
WORDS = re.compile(r"ALTER|INDEX", re.IGNORECASE)  # one of which it has
SAID = re.compile(r"\b(ALGORITHM|LOCK)\s*=?\s*\w+", re.IGNORECASE)
COPIES = (
    "{statement} can only be done while nobody writes to {table} (the server refuses INSTANT, NOCOPY and "
    "INPLACE with LOCK=NONE): it was not run; expand and contract in its place, or say in the file "
    "# lint: rewrite-table because ... where others may wait."
)


def table(statement: str) -> str | None:
    """Return the table that a statement alters, as it is written; None where it is none of these.

    Who says himself how it is to be done, is not spoken for.
    """
    if not WORDS.search(statement):  # most are told at a glance
        return None
    found = ALTERS.match(lexer.without_comments(statement))
    if found is None or SAID.search(lexer.without_asides(statement)):
        return None
    return found["table"]


def climb(
    statement: str, run: Callable[[str], None], code: Callable[[Exception], object], few: bool
) -> None:
    """Run a statement in the lightest way in which the server does it.

    :param code: tells the number of a driver's error
    :param few: whether the table has so few rows that nobody feels a copy
    :raises CommandError: when others would have to wait
    """
    plain = _plain(statement)
    comma = ", " if re.match(r"\s*ALTER", plain, re.IGNORECASE) else " "
    for rung in RUNGS:
        try:
            return run(f"{plain}{comma}{rung if comma == ', ' else rung.replace(',', '')}")
        except Exception as error:
            if code(error) == NOT_PARSED:
                return run(statement)
            if code(error) not in NOT_SO:
                raise
    if few:
        return run(statement)
    line = " ".join(plain.split())
    said = f"'{line}'" if len(line) <= 60 else f"'{line[:60]}...'"
    raise CommandError(COPIES.format(statement=said, table=lexer.unquote(str(table(statement)))))


def builds(said: str) -> bool:
    """Whether a statement, said for one of these ways, reads the table from its beginning to its end."""
    return BUILDS.search(said) is not None


def anew(statement: str) -> str | None:
    """Return what has the table written anew together with the index that a statement builds."""
    altering = _altering(statement)
    return f"{altering}{ANEW}" if altering else None


def longer(statement: str, column: str) -> str | None:
    """Return a statement with an index more, which :func:`shorter` drops.

    :param column: of the table, with which its primary key begins
    """
    altering = _altering(statement)
    return f"{altering}, ADD INDEX {LONGER} ({lexer.backquoted(column)})" if altering else None


def shorter(table: str) -> str:
    """Return what drops the index of :func:`longer`, which reads no row.

    :param table: in quotes
    """
    return f"ALTER TABLE {table} DROP INDEX {LONGER}, {RUNGS[1]}"


def _altering(statement: str) -> str | None:
    """The statement as ALTER TABLE; None where it is none."""
    plain = _plain(statement)
    if found := INDEX.fullmatch(plain):
        return f"ALTER TABLE {found['table']} ADD {found['index']} {found['columns']}"
    return plain if re.match(r"\s*ALTER", plain, re.IGNORECASE) else None


def same(statement: str) -> str:
    """Return the query that finds a row where :func:`anew` changes nothing else."""
    parts = lexer.parts(str(table(statement)))
    schema = lexer.string(parts[-2]) if parts[1:] else "DATABASE()"
    return SAME.format(schema=schema, name=lexer.string(parts[-1]), most=MOST)


def _plain(statement: str) -> str:
    return lexer.without_comments(statement).rstrip("; \n")
