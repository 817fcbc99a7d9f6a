"""Colour, for a terminal only, and not where https://no-color.org says so."""

import os
import sys
from typing import Any

import click

SEVERE = {"loses data": "red", "blocks the running release": "yellow", "takes a lock": "yellow"}


def wanted() -> bool:
    """Whether stderr, on which people are spoken to, is a terminal that may be coloured."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stderr.isatty()


def paint(text: str, **style: Any) -> str:
    """Return the text in a style of ``click.style``, or as it is."""
    return click.style(text, **style) if wanted() else text


def severity(line: str, name: str) -> str:
    """Return a finding's line with its severity in colour."""
    return line.replace(name, paint(name, fg=SEVERE[name]), 1) if name in SEVERE else line
