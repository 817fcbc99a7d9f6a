"""A look at the rows before a column becomes NOT NULL."""

from alembic.util import CommandError
from sqlalchemy import column, func, select
from sqlalchemy import table as table_clause

from . import messages


def require_no_nulls(table: str, *columns: str, schema: str | None = None) -> None:
    """Stop a migration before it writes anything, when rows hold NULL where none may be any more.

    The database would stop by itself, but in the middle: MySQL does not undo what came before.
    With ``--sql`` there are no rows to look at, and nothing is done.

    :param table: the table's name
    :param columns: the columns that are to become NOT NULL
    :raises CommandError: naming the columns and how many rows hold NULL
    """
    from alembic import op

    if op.get_context().as_sql:
        return
    found = []
    for name in columns:
        look = column(name)
        query = select(func.count()).select_from(table_clause(table, look, schema=schema))
        count = op.get_bind().execute(query.where(look.is_(None))).scalar_one()
        if count:
            found.append(messages.NULLS.format(count=count, table=table, column=name))
    if found:
        raise CommandError(messages.NULLS_STAND.format(found="; ".join(found)))
