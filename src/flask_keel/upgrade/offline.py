"""Stands where the connection would be while `--sql` runs migrations for a server.

Alembic's own stand-in drops the parameters of ``op.get_bind().execute(text, {...})`` and writes NULL
instead, and makes four spaces of each tab in the data.
"""

import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from sqlalchemy import BindParameter, Dialect, Insert, Update, text
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.schema import CreateTable, DDLElement
from sqlalchemy.sql import visitors
from sqlalchemy.types import NullType

from .. import messages
from ..guard import Refused
from .guards import TABLE, Guards

RUNNING, BEGIN, COMMIT = "-- Running ", "BEGIN;", "COMMIT;"
ROUTINE = re.compile(r"\s*CREATE\b.*?\b(TRIGGER|PROCEDURE|FUNCTION|EVENT)\b", re.IGNORECASE)


class OnlyOnline(Refused, AttributeError):
    """A migration wants something that only the database can tell.

    An AttributeError, since Alembic asks by attributes what a connection can do.
    """


class Offline(MockConnection):
    """Writes statements down, with their parameters, as SQL for the server's own client.

    :param dialect: as :func:`readable.dialect` gives it
    :param write: takes one piece of SQL
    :param again: the command that prints the SQL anew
    """

    def __init__(self, dialect: Dialect, write: Callable[[str], None], again: str) -> None:
        super().__init__(dialect, self.run)
        self.write = write
        self.guards = Guards(dialect, again)
        self.heads: set[str] = set()
        # what runs now, and what of it a rollback would not undo any more
        self.running: str | None = None
        self.begun: str | None = None

    def settle(self, context: Any) -> None:
        """Take the place of the connection that Alembic made for itself."""
        context.connection = context.impl.connection = self
        context.impl._exec = self.run
        context.impl.static_output = self.comment
        self.heads = set(context.get_current_heads())
        context.on_version_apply_callbacks = (*context.on_version_apply_callbacks, self._applied)

    def run(
        self,
        construct: Any,
        execution_options: Any = None,
        multiparams: Any = None,
        params: Any = None,
    ) -> "NoRows":
        if isinstance(construct, CreateTable) and construct.element.name == TABLE:
            # the table stays when a database goes back to the base
            construct = CreateTable(construct.element, if_not_exists=True)
        for row in multiparams or [params or {}]:
            self.write(self._sql(construct, row))
        return NoRows()

    def execute(self, obj: Any, parameters: Any = None, execution_options: Any = None) -> "NoRows":
        if isinstance(parameters, Mapping) or not parameters:
            return self.run(obj, params=parameters)
        return self.run(obj, multiparams=parameters)

    def exec_driver_sql(
        self, sql: str, parameters: Any = None, execution_options: Any = None
    ) -> "NoRows":
        if parameters:
            raise OnlyOnline(messages.DRIVER_PARAMETERS)
        self.write(self._ended(sql))
        return NoRows()

    def comment(self, words: str) -> None:
        if words.startswith(RUNNING):
            # the title of a migration may have several lines
            self.write("\n-- ".join(words.splitlines()))
            self.running = words.removeprefix(RUNNING).splitlines()[0]
            if not self.guards.transactional:
                self.write(self.guards.at(self.heads))
                self._mark()
            return
        if words == COMMIT and self.running:
            self._mark()  # an autocommit block: what ran so far stays, whatever comes
        self.write("\n-- ".join(words.splitlines()) if words.startswith("--") else words)
        if words == BEGIN:
            self.write(self.guards.at(self.heads, self.begun))

    def _mark(self) -> None:
        if self.begun is None:
            self.begun = self.running
            self.write(self.guards.mark(self.begun))

    def _applied(self, heads: set[str], **_: Any) -> None:
        if self.begun is not None:
            self.write(self.guards.mark(None))
        self.heads, self.running, self.begun = heads, None, None

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        raise OnlyOnline(messages.ONLY_ONLINE.format(name=name))

    def _sql(self, construct: Any, row: Mapping[str, Any]) -> str:
        construct = text(construct) if isinstance(construct, str) else construct
        if isinstance(construct, DDLElement):
            return self._ended(str(construct.compile(dialect=self.dialect)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a parameter may well be NULL
            literal = {"literal_binds": True}
            bound = _bound(construct, row)
            return self._ended(str(bound.compile(dialect=self.dialect, compile_kwargs=literal)))

    def _ended(self, sql: str) -> str:
        sql = sql.strip().rstrip(";")
        if self.dialect.name != "postgresql" and ROUTINE.match(sql) and ";" in sql:
            # mariadb and mysql, the programs, would cut it at the first semicolon
            return f"DELIMITER //\n{sql}//\nDELIMITER ;"
        return f"{sql};"


class NoRows:
    """The result of a statement that did not run: whoever looks at it is told so."""

    def __getattr__(self, name: str) -> NoReturn:
        raise OnlyOnline(messages.ONLY_ONLINE.format(name=name))

    def __iter__(self) -> NoReturn:
        raise OnlyOnline(messages.ONLY_ONLINE.format(name="rows"))


def _bound(construct: Any, row: Mapping[str, Any]) -> Any:
    """Return the statement with its parameters in it.

    :raises OnlyOnline: when one has no value
    """
    binds = [item for item in visitors.iterate(construct) if isinstance(item, BindParameter)]
    rest = {key: row[key] for key in row.keys() - {bind.key for bind in binds}}
    if isinstance(construct, Insert | Update) and rest:
        construct = construct.values(**rest)
    if isinstance(construct, Insert):
        construct = construct.inline()  # the key that it would return is of use to nobody here

    def fill(bind: Any) -> None:
        if bind.key in row:
            bind.value, bind.callable, bind.required = row[bind.key], None, False
            if isinstance(bind.type, NullType):
                bind.type = BindParameter(None, bind.value, expanding=bind.expanding).type
        elif bind.required:
            raise OnlyOnline(messages.NO_VALUE.format(name=bind.key))

    return visitors.cloned_traverse(construct, {}, {"bindparam": fill})
