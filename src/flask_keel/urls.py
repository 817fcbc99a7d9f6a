"""Database URLs as people write them, given the right driver; never printed with a password."""

import importlib.util
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from .typing import Options

DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
# the module of a driver, and what installs it
PACKAGES = {
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
    "pymysql": "PyMySQL[rsa]",
    "mysqldb": "mysqlclient",
    "mysqlconnector": "mysql-connector-python",
    "asyncpg": "asyncpg",
}
MODULES = {"mysqldb": "MySQLdb", "mysqlconnector": "mysql.connector"}


# what speaks for another server than it is, by what it says of its version or has installed; its own
# dialects, by the first word of their URLs
UNLIKE = {
    "cockroach": "CockroachDB",
    "-yb-": "YugabyteDB",
    "yugabyte": "YugabyteDB",
    "tidb": "TiDB",
    "vitess": "Vitess",
    "citus": "Citus",
    "libsql": "libSQL",
    "turso": "libSQL",
}
NOT_SUPPORTED = (
    "{database} is {engine}, on which migrations have not been tried: PostgreSQL, MariaDB, MySQL and SQLite "
    "are supported, so nothing was changed; give one of these."
)


class UrlError(ValueError):
    """The URL cannot be used: one sentence, without its password."""


def normalise(value: str | URL, root: Path) -> URL:
    """Return the URL with its driver, and a SQLite path made absolute.

    :param value: a string or a SQLAlchemy URL
    :param root: the folder to which a relative path belongs
    :raises UrlError: when it is no URL, or its driver is not installed
    """
    try:
        url = make_url(value)
        url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
        if isinstance(value, str) and url.get_backend_name() != "sqlite":
            _require_plain_account(value)
        if engine := unlike(url.drivername):
            raise UrlError(NOT_SUPPORTED.format(database=f"{url.drivername}://", engine=engine))
        url.get_dialect()
    except NoSuchModuleError:
        raise UrlError(
            f"There is no driver for {url.drivername}:// in this environment: "
            "write sqlite://, postgresql:// or mysql://."
        ) from None
    except UrlError:
        raise
    except (ArgumentError, ValueError):
        scheme = "".join(re.findall(r"\A[\w+]+://", str(value)))
        raise UrlError(
            f"The database URL {scheme}... cannot be read: write "
            "postgresql://user:password@host/name, mysql://user:password@host/name or "
            "sqlite:///var/app.db, with odd characters of the password percent-encoded "
            "(@ is %40, / is %2F, ? is %3F, # is %23, % is %25)."
        ) from None  # the cause holds what could not be read
    if url.get_backend_name() == "sqlite":
        return _absolute(url, root)
    require(url.get_driver_name())
    return _without_tls_on_a_socket(url)


def unlike(said: str) -> str | None:
    """Return the name of an engine that is like one that is supported, and is none; None for the others.

    :param said: a driver's or dialect's name, or what a server says of its version
    """
    return next((name for word, name in UNLIKE.items() if word in said.lower()), None)


def _without_tls_on_a_socket(url: URL) -> URL:
    """Return the URL so that PyMySQL, since its release 1.2, does not encrypt what never leaves the
    machine: it would read all certificates of the system for each connection.
    """
    says = any(key.startswith(("ssl", "read_default")) for key in url.query)
    if url.get_driver_name() != "pymysql" or "unix_socket" not in url.query or says:
        return url
    return url.update_query_dict({"ssl_disabled": "true"})


def _require_plain_account(text: str) -> None:
    """Stop at an account that other programs, or SQLAlchemy itself, would end too early: a part of
    the password would be taken for the host, and printed.

    https://www.rfc-editor.org/rfc/rfc3986#section-3.2
    """
    account = text.partition("://")[2].rpartition("@")[0]
    if re.search("[@/?#]", account):
        raise ValueError("a part of the password stands where the host should")


def _absolute(url: URL, root: Path) -> URL:
    name = url.database
    if not name or name == ":memory:" or name.startswith("file:"):
        return url
    return url.set(database=str(Path(root) / Path(name).expanduser()))


def require(driver: str) -> None:
    """Stop when a driver is not installed.

    :raises UrlError: with the command that installs it
    """
    module = MODULES.get(driver, driver)
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        package = PACKAGES.get(driver, driver)
        raise UrlError(f"The driver {driver} is not installed: type {_install()} '{package}'.")


def _install() -> str:
    # an environment that uv made has no pip
    python = shlex.quote(sys.executable)
    if importlib.util.find_spec("pip"):
        return f"{python} -m pip install"
    return f"uv pip install --python {python}"


def shown(url: str | URL) -> str:
    """Return a database as people read it: a path, or a URL without its password."""
    url = make_url(url)
    if url.get_backend_name() == "sqlite":
        return url.database or ":memory:"
    plain = url.set(drivername=url.get_backend_name(), query={})
    return plain._replace(password=None).render_as_string()


# what libpq reads where a URL says nothing: https://www.postgresql.org/docs/current/libpq-envars.html
ENVIRONMENT = {"host": "PGHOST", "hostaddr": "PGHOSTADDR", "service": "PGSERVICE"}


def elsewhere(url: URL, options: Options | None = None) -> str | None:
    """Return what leads to another machine ("host db.example.com"), or None for a local database.

    Nothing is looked up and nobody is asked: a name other than localhost is another machine.

    :param options: the application's engine options, whose connect_args win over the URL
    """
    for key, value in _leads(make_url(url), (options or {}).get("connect_args") or {}):
        if key not in ("host", "hostaddr"):
            return f"{key} {value}"
        for host in value.split(","):
            if host and not _is_local(host):
                return f"host {host}"
    return None


def _leads(url: URL, arguments: Options) -> Iterator[tuple[str, str]]:
    if url.get_backend_name() == "sqlite":
        return
    said = {**url.query, **arguments}
    said["host"] = said.get("host") or url.host
    if url.get_backend_name() == "postgresql":
        for key, variable in ENVIRONMENT.items():
            said[key] = said.get(key) or os.environ.get(variable)
    elif said["host"] or said.get("unix_socket"):
        said.pop("read_default_file", None)
    for key in ("service", "read_default_file", "host", "hostaddr"):
        value = said.get(key)
        if value:
            yield key, value if isinstance(value, str) else ",".join(value)


def _is_local(host: str) -> bool:
    import ipaddress

    if host == "localhost" or host.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
