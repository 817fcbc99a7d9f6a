"""What a ``Column(...)`` in a migration brings with it, and whether SQLite can add it plainly."""

import re
from dataclasses import dataclass

import libcst as cst

from .reading import UNKNOWN, arguments, calls_within, is_true, last_name, text, value

# https://www.sqlite.org/lang_altertable.html: the default of an added column must be constant
_CONSTANT = re.compile(r"\s*\(?\s*([+-]?\d[\w.]*|'(?:[^']|'')*'|null|true|false)\s*\)?\s*", re.I)
_CONSTANT_CALLS = {"true", "false", "null", "literal", "FetchedValue", "Identity", "Sequence"}


@dataclass(frozen=True)
class Column:
    """The parts of a column that touch constraints and indexes."""

    name: str | None
    foreign_keys: list[cst.Call]
    unique: bool
    index: bool
    rebuilt: bool

    @property
    def lacking(self) -> bool:
        """Whether SQLite cannot add this column with a plain ADD COLUMN."""
        return bool(self.foreign_keys or (self.unique and not self.index) or self.rebuilt)


def column(node: cst.BaseExpression) -> Column | None:
    """Read ``sa.Column(...)``; None for anything else, a variable for one."""
    if not isinstance(node, cst.Call) or last_name(node.func) != "Column":
        return None
    keywords = {arg.keyword.value: arg.value for arg in node.args if arg.keyword}
    positional = [arg.value for arg in node.args if not arg.keyword and not arg.star]
    given = [arg.value for arg in node.args if isinstance(arg.value, cst.Call)]
    return Column(
        name=text(keywords.get("name", positional[0] if positional else None)),
        foreign_keys=[call for call in given if last_name(call.func) == "ForeignKey"],
        unique=is_true(keywords.get("unique")),
        index=is_true(keywords.get("index")),
        rebuilt=_rebuilt(given, keywords.get("server_default")),
    )


def _rebuilt(given: list[cst.Call], default: cst.BaseExpression | None) -> bool:
    for call in given:
        if last_name(call.func) == "Computed":
            persisted = (arguments(call, ("sqltext", "persisted")) or {}).get("persisted")
            if persisted and is_true(persisted.value):
                return True
        elif any(
            arg.keyword and arg.keyword.value == "create_constraint" and is_true(arg.value)
            for inner in calls_within(call)
            for arg in inner.args
        ):
            return True
    return default is not None and not _constant(default)


def _constant(default: cst.BaseExpression) -> bool:
    if isinstance(default, cst.FormattedString) or value(default) is not UNKNOWN:
        return True
    if not isinstance(default, cst.Call):
        return False
    if last_name(default.func) == "text" and default.args:
        words = text(default.args[0].value)
        return words is not None and bool(_CONSTANT.fullmatch(words))
    return last_name(default.func) in _CONSTANT_CALLS
