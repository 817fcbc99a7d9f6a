"""Copies of a server's database, made and given back by its own programs."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from alembic.migration import MigrationContext
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import Connection, create_engine, func, inspect, select, table

from .. import output
from ..project import LOG_TABLE
from ..scratch import servers
from ..typing import Options
from .copies import NOTHING, Copies, where

NO_ROOM = re.compile(r"No space left|Disk quota exceeded|Errcode: (28|122)\b|File too large")
FAULT = re.compile(r".*?(?:error|fatal)(?: *\d+ *\(\w+\)(?: at line \d+)?)?: *", re.IGNORECASE)


class Dumps(Copies):
    """The copies of a server's database."""

    @property
    def name(self) -> str:
        url = self.engine.url
        host = str(url.host or url.query.get("host") or "localhost")
        elsewhere = [] if host == "localhost" or host.startswith("/") else [host]
        return "@".join([str(url.database), *elsewhere, *([str(url.port)] if url.port else [])])

    def beside(self) -> Path:
        return Path(current_app.instance_path)

    @property
    def empty(self) -> bool:
        with self._connect() as connection:
            return {*inspect(connection).get_table_names()} <= {LOG_TABLE}

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        options = servers.connection_options(self.settings.get("SQLALCHEMY_ENGINE_OPTIONS"))
        engine = create_engine(self.engine.url, isolation_level="AUTOCOMMIT", **options)
        with engine.connect() as connection:
            yield connection

    def _arguments(self) -> Options:
        """What the driver is given to connect with."""
        _, said = self.engine.dialect.create_connect_args(self.engine.url)
        options = self.settings.get("SQLALCHEMY_ENGINE_OPTIONS") or {}
        return {**said, **(options.get("connect_args") or {})}

    def describe(self, file: Path | None = None) -> str | None:
        if file is not None:
            return where(self.content(file, str(file))[1])
        with self._connect() as connection:
            context = MigrationContext.configure(connection, opts=self.options)
            look = inspect(connection)
            schemas = {one.schema for one in self.metadata.tables.values()} | {None}
            names = [(name, schema) for schema in schemas for name in look.get_table_names(schema)]
            rows = sum(
                connection.execute(
                    select(func.count()).select_from(table(name, schema=schema))
                ).scalar_one()
                for name, schema in names
                if name not in self.ignored
            )
            return f"{where(set(context.get_current_heads()))}, {rows} rows"

    def _run(
        self,
        command: list[str],
        folder: Path | None = None,
        env: dict[str, str] | None = None,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
    ) -> bytes:
        """Run a program; return what it wrote where that does not go into a file.

        :param folder: in which it writes
        :raises CommandError: with its words, when it fails
        """
        ran = subprocess.run(
            command,
            stdin=stdin or subprocess.DEVNULL,
            stdout=stdout or subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )
        if ran.returncode:
            raise self._failed(command[0], ran.stderr.decode(errors="replace"), folder)
        return ran.stdout or b""

    def _failed(self, program: str, said: str, folder: Path | None = None) -> CommandError:
        if folder and NO_ROOM.search(said):
            return self.no_room(folder)
        if "lock timeout" in said:
            return self.in_use()
        lines = [line for line in said.splitlines() if line.strip()]
        first = next(
            (line for line in lines if FAULT.match(line)), (lines or ["it said nothing"])[-1]
        )
        words = output.plainly(FAULT.sub("", first, count=1)).rstrip(".")
        return CommandError(f"{Path(program).name} on {self.database}: {words}; {NOTHING}.")

    def in_use(self) -> CommandError:
        """Return the error that says so."""
        return CommandError(
            f"{self.database} is in use, and its tables did not come free: stop what works in it, then "
            f"try again; {NOTHING}."
        )
