"""How an answer is written into a file: always as data, whatever it holds."""

from __future__ import annotations

import json
import re
from email.headerregistry import Address

_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}

# https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


def quoted(text: str) -> str:
    """Write a text as a string literal that Python, TOML and YAML read alike, quotes included.

    What can be printed stays readable; the rest (control characters, DEL, U+2028, direction
    marks) is escaped, since TOML refuses some of it raw and editors hide or break lines at more.

    :raises ValueError: the text holds a lone surrogate, which TOML cannot express
    """
    return f'"{"".join(map(_escaped, str(text)))}"'


def _escaped(letter: str) -> str:
    if letter in _SHORT:
        return _SHORT[letter]
    if letter.isprintable():
        return letter
    code = ord(letter)
    if 0xD800 <= code <= 0xDFFF:
        raise ValueError(f"a lone surrogate cannot be written: U+{code:04X}")
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def as_json(value: object) -> str:
    """Write a value as indented JSON, with letters of every language readable."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def package_author(author: str, email: str) -> str:
    """Write the author as one entry of `[project] authors` in pyproject.toml.

    Build tools stop at an author with a line break and at an address that is none (hatchling and
    setuptools raise), so what they cannot use is left out of the entry.

    :return: a TOML inline table; the empty string when neither can be used
    """
    fields = []
    if author.strip() and author.isprintable():
        fields.append(f"name = {quoted(author)}")
    if _is_address(email):
        fields.append(f"email = {quoted(email)}")
    return f"{{ {', '.join(fields)} }}" if fields else ""


def _is_address(email: str) -> bool:
    if not _EMAIL.fullmatch(email):
        return False
    try:
        Address(addr_spec=email)
    except (ValueError, IndexError):
        return False
    return True
