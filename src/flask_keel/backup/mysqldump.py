"""Copies of a MariaDB or MySQL database: the SQL of mariadb-dump or mysqldump.

https://mariadb.com/kb/en/mariadb-dump/
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, OperationalError

from .. import output
from ..scratch import servers
from ..scratch.mysql_copy import quoted
from ..typing import Options, Value
from .copies import NOTHING, Half, Keep
from .dumps import Dumps

PATIENCE = 10  # seconds
TIMED_OUT = 1205
CREATE = re.compile(rb"CREATE TABLE (?:IF NOT EXISTS )?`((?:[^`]|``)+)`")
CHARSET = "--default-character-set=utf8mb4"
# who sees none of them may not dump them, and would be refused for the asking
MORE = {
    "--routines": "SELECT count(*) FROM information_schema.routines WHERE routine_schema = DATABASE()",
    "--events": "SELECT count(*) FROM information_schema.events WHERE event_schema = DATABASE()",
}
OBJECTS = """
    SELECT CASE table_type WHEN 'VIEW' THEN 'VIEW' WHEN 'SEQUENCE' THEN 'SEQUENCE' ELSE 'TABLE' END,
        table_name
    FROM information_schema.tables WHERE table_schema = DATABASE()
    UNION ALL
    SELECT routine_type, routine_name FROM information_schema.routines WHERE routine_schema = DATABASE()
    UNION ALL
    SELECT 'EVENT', event_name FROM information_schema.events WHERE event_schema = DATABASE()
"""


class MySQL(Dumps):
    """The copies of a MariaDB or MySQL database, as SQL."""

    suffix = ".sql"

    def write(self, part: Path) -> None:
        with self._connect() as connection:
            more = [flag for flag, sql in MORE.items() if connection.exec_driver_sql(sql).scalar()]
        self._dump(part, more)

    def _dump(self, part: Path, more: list[str]) -> None:
        program, oracle = self._program("dump")
        command = ["--single-transaction", "--quick", "--hex-blob", "--no-tablespaces", *more]
        if oracle:  # what it asks of a server that is not its own, or writes for a replica
            command += ["--set-gtid-purged=OFF", "--column-statistics=0"]
        with self._options() as options, part.open("wb") as file:
            command = [program, options, *command, CHARSET, self._database]
            self._run(command, part.parent, stdout=file)

    @property
    def _database(self) -> str:
        return str(self.engine.url.database)

    def content(self, file: Path, called: str) -> tuple[set[str], set[str] | None]:
        tables, revisions, begun, line = set(), None, False, b""
        begin = f"INSERT INTO {quoted(self.version_table)} VALUES".encode()
        with file.open("rb") as opened:
            for line in opened:
                if found := CREATE.match(line):
                    tables.add(found[1].decode().replace("``", "`"))
                if line.startswith(begin) or begun:
                    begun = not line.rstrip().endswith(b";")
                    values = {value.decode() for value in re.findall(rb"\('([^']*)'\)", line)}
                    revisions = (revisions or set()) | values
        if not line.startswith(b"-- Dump completed"):
            raise CommandError(
                f"{called} is no whole backup of mariadb-dump or mysqldump; {NOTHING}."
            )
        return tables, (revisions or set()) if self.version_table in tables else None

    def replace(self, file: Path, keep: Keep) -> None:
        """Into a scratch database that takes the place of this one; else in its place."""
        kept = None if self.empty else keep(self.write)
        url, options = self.engine.url, self.settings.get("SQLALCHEMY_ENGINE_OPTIONS")
        with suppress(servers.NotAllowed), servers.database(url, options) as fresh:
            self._load(file, str(fresh.database))
            self._require_free()
            if servers.replace(url, fresh, options):
                return
        self._in_its_place(file, kept)

    def _in_its_place(self, file: Path, kept: Path | None) -> None:
        """DDL cannot be undone there: what fails is followed by what was there before."""
        self._require_free()
        try:
            self._clear()
            self._load(file, self._database)
        except BaseException as error:
            if kept is None:
                raise
            try:
                self._clear()
                self._load(kept, self._database)
            except Exception as again:
                said = output.plainly(str(getattr(again, "orig", again))).rstrip(".")
                raise Half(
                    f"{self.database} is half of what {file} holds, and what was there could not be put back "
                    f"({said}): it is whole in {kept}; mend that, then type db restore {kept}."
                ) from error
            raise

    def _load(self, file: Path, database: str) -> None:
        program, _ = self._program("")
        with self._options() as options, file.open("rb") as sql:
            self._run([program, options, CHARSET, f"--database={database}"], stdin=sql)

    def _require_free(self) -> None:
        """Stop where a DROP would wait, by default for a day: nothing has been dropped yet."""
        with self._connect() as connection:
            own = connection.exec_driver_sql("SELECT CONNECTION_ID()").scalar()
            for thread in servers.threads(connection, self._database):
                if thread != own:
                    with suppress(DBAPIError):  # it has ended, or is somebody else's
                        connection.exec_driver_sql(f"KILL {thread}")
            connection.exec_driver_sql(f"SET lock_wait_timeout = {PATIENCE}")
            tables = [
                name for kind, name in connection.exec_driver_sql(OBJECTS).all() if kind == "TABLE"
            ]
            try:
                for name in tables:
                    connection.exec_driver_sql(f"LOCK TABLES {quoted(name)} WRITE")
            except OperationalError as error:
                if error.orig is None or error.orig.args[0] != TIMED_OUT:
                    raise
                raise self.in_use() from error

    def _clear(self) -> None:
        with self._connect() as connection:
            connection.exec_driver_sql(f"SET lock_wait_timeout = {PATIENCE}")
            connection.exec_driver_sql("SET foreign_key_checks = 0")
            for kind, name in connection.exec_driver_sql(OBJECTS).all():
                connection.exec_driver_sql(f"DROP {kind} IF EXISTS {quoted(name)}")

    def _program(self, kind: str) -> tuple[str, bool]:
        """Return the program, and whether it is Oracle's."""
        names = [f"mariadb-{kind}".rstrip("-"), f"mysql{kind}"]
        with self._connect() as connection:
            if not getattr(connection.dialect, "is_mariadb", True):
                names.reverse()
        found = next((path for name in names if (path := shutil.which(name))), None)
        if found is None:
            raise CommandError(
                f"There is no program {names[0]} here: install it (apt-get install mariadb-client, or "
                "whatever brings the programs of the server), then try again."
            )
        ran = subprocess.run([found, "--version"], capture_output=True, text=True)
        return found, "MariaDB" not in ran.stdout

    @contextmanager
    def _options(self) -> Iterator[str]:
        """Give the option that names a file with what the driver connects with: nobody else may read it."""
        said = self._arguments()
        lines = ["[client]", *(f"{key}={_quoted(value)}" for key, value in _client(said))]
        if "socket=" not in "".join(lines) and self.engine.dialect.driver != "mysqldb":
            lines.append(
                "protocol=tcp"
            )  # the programs take localhost for a socket, the drivers do not
        before = [f"!include {said['read_default_file']}"] if said.get("read_default_file") else []
        with tempfile.NamedTemporaryFile("w", suffix=".cnf") as file:
            file.write("\n".join([*before, *lines, ""]))
            file.flush()
            yield f"--defaults-file={file.name}"


def _client(said: Options) -> Iterator[tuple[str, Any]]:
    """The programs' names of what a driver is given."""
    names = {"user": "user", "password": "password", "passwd": "password", "host": "host"}
    names |= {"port": "port", "unix_socket": "socket"}
    for key, name in names.items():
        if said.get(key):
            yield name, said[key]
    ssl: Options = said["ssl"] if isinstance(said.get("ssl"), dict) else {}
    ssl = {**ssl, **{key[4:]: value for key, value in said.items() if key.startswith("ssl_")}}
    for key in ("ca", "capath", "cert", "key", "cipher"):
        if ssl.get(key):
            yield f"ssl-{key}", ssl[key]
    checked = (ssl.get("ca") or ssl.get("capath")) and ssl.get("check_hostname", True)
    # newer programs look at the server's certificate where nobody asked them to
    yield "loose-ssl-verify-server-cert", 1 if checked else 0


def _quoted(value: Value) -> str:
    # https://mariadb.com/kb/en/configuring-mariadb-with-option-files/#option-file-syntax
    return '"' + str(value).replace("\\", "\\\\").replace("\n", "\\n") + '"'
