"""A look at the rows before a column becomes NOT NULL."""

from alembic.util import CommandError
from sqlalchemy import column
from sqlalchemy import table as table_clause

from . import misfits


def require_no_nulls(table: str, *columns: str, schema: str | None = None) -> None:
    """Stop a migration before it writes anything, when rows hold NULL where none may be any more.

    The database would stop by itself, but in the middle: MySQL does not undo what came before.
    With ``--sql`` there are no rows to look at, and nothing is done.

    :param table: the table's name
    :param columns: the columns that are to become NOT NULL
    :raises CommandError: naming the columns, how many rows hold NULL, and three of them
    """
    from alembic import op

    if op.get_context().as_sql:
        return
    connection = op.get_bind()
    source = table_clause(table, schema=schema)
    found = []
    for name in columns:
        look = column(name)
        said = misfits.said(connection, source, look.is_(None))
        if said:
            found.append(f"{table}.{name} is to be NOT NULL, and {said} hold NULL")
    if found:
        raise CommandError(f"{'; '.join(found)}: give them a value, then try again.")
