"""What a command found, for ``--json``: the same as the lines that a person reads."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import click

from . import messages

_report: ContextVar[dict[str, Any] | None] = ContextVar("report", default=None)


def add(key: str, value: Any) -> None:
    """Put a fact into the report; a list is added to the one that is there."""
    report = _report.get()
    if report is None:
        return
    if isinstance(value, list) and isinstance(report.get(key), list):
        report[key] += value
    else:
        report[key] = value


@contextmanager
def printed(wanted: bool, empty: dict[str, Any], sentence: Any) -> Iterator[None]:
    """Print the report of what runs inside as one JSON document on stdout, failed or not.

    :param wanted: whether ``--json`` was typed
    :param empty: the report's keys with what they hold when nothing is added
    :param sentence: makes the sentence of an exception
    """
    if not wanted:
        yield
        return
    report = {"ok": True, **empty, "error": None}
    token = _report.set(report)
    try:
        yield
    except click.exceptions.Exit as left:
        report["ok"] = left.exit_code == 0
        raise
    except BaseException as error:
        report |= {"ok": False, "error": _said(error, sentence)}
        raise
    finally:
        _report.reset(token)
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))


def _said(error: BaseException, sentence: Any) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, click.Abort) or not isinstance(error, Exception):
        return messages.STOPPED
    return sentence(error)
