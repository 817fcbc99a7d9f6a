"""The name that a constraint is to have, and how it is written."""

from collections.abc import Iterator, Mapping

from . import names
from .calls import Operation
from .declared import Declaration
from .reading import code


class ChosenNames:
    """Chooses one name for each constraint of a file; two checks of a table get two names."""

    def __init__(self, convention: Mapping, source: str) -> None:
        self.convention = {**names.CONVENTION, **convention}
        self._letters = set(source)
        self._checks: dict[tuple, str] = {}
        self._chosen: dict[Declaration, str | None] = {}

    def name(self, declaration: Declaration) -> str | None:
        """The name that the convention gives to it, or None where it cannot be known."""
        if declaration not in self._chosen:
            self._chosen[declaration] = next(self._names(declaration), None)
        return self._chosen[declaration]

    def _names(self, declaration: Declaration) -> Iterator[str]:
        kind, operation = declaration.kind, declaration.operation
        table, columns = operation.table, declaration.columns or ()
        if not table or (kind == "fk" and not declaration.referred):
            return
        if kind != "ck" and not columns:
            return
        owns = names.check_names(declaration.check, columns) if declaration.check else [None]
        for own in owns:
            try:
                name = names.name(
                    kind,
                    self.convention,
                    table,
                    columns,
                    schema=operation.schema,
                    referred=declaration.referred,
                    own=own,
                )
            except names.Unnameable:
                return
            plain = declaration.check
            if kind != "ck" or self._checks.setdefault((table, name), plain) == plain:
                yield name

    def expression(self, operation: Operation, name: str, final: bool) -> str:
        """The name as Python; ``final`` where the convention must not be applied once more."""
        readable = all(ord(letter) < 128 or letter in self._letters for letter in name)
        literal = repr(name) if readable else ascii(name)
        table = operation.table_node
        if table is not None and code(table).lstrip().startswith('"') and '"' not in name:
            literal = f'"{literal[1:-1]}"' if "'" not in name else literal
        return f"{code(operation.call.func.value)}.f({literal})" if final else literal
