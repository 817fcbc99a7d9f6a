"""What the other function of a migration tells about an index or a constraint that is dropped."""

import re
from collections.abc import Iterable, Iterator

import libcst as cst

from .calls import Operation
from .declared import Declaration
from .missing_names import MissingNames
from .operations import DROPS
from .reading import code, text
from .survey import Survey

_FUNCTIONS = {"upgrade", "downgrade"}


class Mirrors:
    """An upgrade makes what its downgrade drops, and the other way round."""

    def __init__(self, survey: Survey, missing: MissingNames) -> None:
        self.survey = survey
        self.missing = missing
        self._undone: set[tuple[str, str]] = set()
        for operation in survey.operations.values():
            if operation.method == "drop_index":
                self._find_index(operation)

    def needs(self, drop: Operation, column: Operation) -> bool:
        """Whether a dropped index or constraint is about a dropped column, or may be."""
        about = {
            declaration.columns
            for declaration in self._called(self._dropped_name(drop))
            if declaration.operation.table == drop.table
        }
        name = text(column.node("column_name"))
        if len(about) != 1 or None in about or name is None:
            return True
        return name in about.pop()

    def forgotten(self, drop: Operation) -> Iterator[tuple[str, str]]:
        """The drops, as method and arguments, that have to stand before this ``drop_column``.

        Indexes and checks of the column that the other function makes and this one leaves to the
        database: other databases drop them with the column, SQLite does not.
        """
        name = text(drop.node("column_name"))
        for declaration in self.missing.declared:
            made = declaration.operation
            known = self.missing.names.get(declaration)
            if (
                declaration.kind not in ("ix", "ck")
                or {made.function, drop.function} != _FUNCTIONS
                or made.conditional
                or drop.conditional
                or (made.table, made.schema) != (drop.table, drop.schema)
                or not known
                or name not in (declaration.columns or ())
                or not self._is_named(declaration)
                or self._is_mentioned(known, drop.function)
                or self._is_dropped(known, made.function)
                or (drop.function, known) in self._undone
            ):
                continue
            self._undone.add((drop.function, known))
            own = isinstance(declaration.name_node, cst.SimpleString)
            prefix = code(drop.call.func.value)
            written = repr(known) if own else f"{prefix}.f({known!r})"
            yield ("drop_index" if declaration.kind == "ix" else "drop_constraint"), written

    def _find_index(self, drop: Operation) -> None:
        """The table of an index that is dropped without naming it, and whether a batch can do it.

        Reflection skips the indexes of expressions, so that a batch does not know them.
        """
        made = [d for d in self._called(drop.constraint) if d.kind == "ix"]
        tables = {declaration.operation.table for declaration in made}
        if drop.table is None and len(tables) == 1:
            drop.indexed_table = tables.pop()
        drop.stays_plain = any(declaration.columns is None for declaration in made)

    def _called(self, name: str | None) -> Iterable[Declaration]:
        if name is None:
            return []
        return [d for d in self.missing.declared if self.missing.names.get(d) == name]

    def _dropped_name(self, drop: Operation) -> str | None:
        written = self.missing.written.get(drop.origin)
        return text(cst.parse_expression(written)) if written else drop.constraint

    def _is_named(self, declaration: Declaration) -> bool:
        """Whether the database has it under the name that is known here."""
        named = not declaration.unnamed or declaration.kind == "ix"
        return named or declaration.call in self.missing.written

    def _is_mentioned(self, name: str, function: str) -> bool:
        words = self.survey.functions.get(function, "")
        return bool(re.search(rf"\b{re.escape(name)}\b", words)) or self._is_dropped(name, function)

    def _is_dropped(self, name: str, function: str) -> bool:
        return any(
            operation.method in DROPS
            and operation.function == function
            and self._dropped_name(operation) == name
            for operation in self.survey.operations.values()
        )
