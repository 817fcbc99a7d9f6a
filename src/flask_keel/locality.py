"""Is a database on this machine? What cannot be told is not."""

import ipaddress
import os
from collections.abc import Iterator
from typing import Any

from sqlalchemy import make_url

# what libpq reads where a URL says nothing: https://www.postgresql.org/docs/current/libpq-envars.html
ENVIRONMENT = {"host": "PGHOST", "hostaddr": "PGHOSTADDR", "service": "PGSERVICE"}


def elsewhere(url: Any, options: dict[str, Any] | None = None) -> str | None:
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


def _leads(url: Any, arguments: dict[str, Any]) -> Iterator[tuple[str, str]]:
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
    if host == "localhost" or host.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
