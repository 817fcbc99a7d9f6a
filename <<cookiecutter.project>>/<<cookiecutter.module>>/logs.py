"""The log: lines to read in development, JSON with the request's id in production, and Sentry."""

import logging
import re
import time
import uuid
from importlib import import_module

from flask import Flask, Response, g, has_request_context, request
from flask_keel import settings
from pythonjsonlogger.json import JsonFormatter

FIELDS = ("levelname", "name", "message", "request_id")
ID = re.compile(r"[\w.-]{1,64}", re.ASCII)


def init_app(app: Flask) -> None:
    """Give each request an id, write the log as LOG_FORMAT says, and tell Sentry of SENTRY_DSN."""
    app.before_request(_begin)
    app.after_request(_end)
    if not settings.serving():
        return
    handler = logging.StreamHandler()
    handler.addFilter(_add_request_id)
    if app.config.get("LOG_FORMAT") == "json":
        renamed = {"levelname": "level", "name": "logger"}
        handler.setFormatter(JsonFormatter(FIELDS, rename_fields=renamed, timestamp="time"))
        app.after_request(_log)
    else:
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    _tell_sentry(app)


def _begin() -> None:
    g.started = time.perf_counter()
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if ID.fullmatch(given) else uuid.uuid4().hex


def _end(response: Response) -> Response:
    if "request_id" in g:  # a probe of /healthz has none
        response.headers["X-Request-ID"] = g.request_id
    return response


def _log(response: Response) -> Response:
    if "started" not in g:
        return response
    extra = {
        "method": request.method,
        "path": request.path,
        "status": response.status_code,
        "milliseconds": round((time.perf_counter() - g.started) * 1000, 1),
        "address": request.remote_addr,
    }
    logging.getLogger("access").info("%s %s", request.method, request.path, extra=extra)
    return response


def _add_request_id(record: logging.LogRecord) -> bool:
    record.request_id = g.get("request_id") if has_request_context() else None
    return True


def _tell_sentry(app: Flask) -> None:
    dsn = app.config.get("SENTRY_DSN")
    if not dsn:
        return
    try:
        import_module("sentry_sdk").init(dsn)
    except ImportError as error:
        raise settings.ConfigError(
            "SENTRY_DSN is set and sentry-sdk is not installed: type "
            "pip install 'sentry-sdk[flask]', or unset it."
        ) from error
    except ValueError as error:
        message = f"SENTRY_DSN is no address of Sentry ({error}): mend it."
        raise settings.ConfigError(message) from error
