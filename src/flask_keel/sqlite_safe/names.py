"""Finds a name for every constraint that needs one and has none."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import libcst as cst

from ..sqlite import naming
from ..typing import Convention
from .calls import Operation, code, is_none, text
from .scan import KINDS
from .survey import Declaration, Survey, declarations


class ChosenNames:
    """Chooses one name for each constraint of a file; two checks of a table get two names."""

    def __init__(self, convention: Convention, source: str) -> None:
        self.convention = {**naming.CONVENTION, **convention}
        self._letters = set(source)
        self._checks: dict[tuple[str, str], str | None] = {}
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
        owns = naming.check_names(declaration.check, columns) if declaration.check else [None]
        for own in owns:
            try:
                name = naming.name(
                    kind,
                    self.convention,
                    table,
                    columns,
                    schema=operation.schema,
                    referred=declaration.referred,
                    own=own,
                )
            except naming.Unnameable:
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
        return f"{code(operation.prefix)}.f({literal})" if final else literal


@dataclass
class MissingNames:
    """What to write where, by the call that is to be edited.

    ``written`` holds expressions; ``flags`` those for the ``unique=True`` and ``index=True`` of an
    added column; ``assumed`` the part of the naming convention that a batch must be told so that
    it finds a constraint that has no name in the database.
    """

    declared: list[Declaration]
    names: dict[Declaration, str | None] = field(default_factory=dict)
    flags: dict[cst.Call, str] = field(default_factory=dict)
    written: dict[cst.Call, str] = field(default_factory=dict)
    assumed: dict[cst.Call, dict[str, str]] = field(default_factory=dict)
    notes: list[tuple[int, str]] = field(default_factory=list)


def missing_names(
    survey: Survey, convention: Convention, source: str, name: bool = True
) -> MissingNames:
    """Names for the constraints of a file that have none and cannot do without.

    Every constraint that is an operation of its own or comes with a column that needs a batch; and
    those made with a table that a later ``drop_constraint`` is about.

    :param name: False where what has no name is to stay without one
    """
    search = _Search(survey, convention, source)
    if name:
        search.created()
        search.dropped()
    search.rest()
    return search.found


class _Search:
    def __init__(self, survey: Survey, convention: Convention, source: str) -> None:
        self.survey = survey
        self.found = MissingNames(declarations(survey))
        self.chosen = ChosenNames(convention, source)

    def created(self) -> None:
        for declaration in self.found.declared:
            operation = declaration.operation
            added = operation.method == "add_column" and declaration.kind == "fk"
            batched = operation.batch or operation.lacking
            if declaration.kind == "ix" and declaration.standing:
                continue
            if declaration.call is None and operation.method == "add_column":
                if name := self.chosen.name(declaration):
                    self.found.flags[operation.origin] = self.chosen.expression(
                        operation, name, True
                    )
                elif batched and operation.column and operation.column.unique:
                    words = "makes unique what cannot be named from here"
                    self._note(operation, f"{words}; write create_unique_constraint with a name")
            elif declaration.unnamed and (declaration.standing or (added and batched)):
                self._write(declaration)

    def dropped(self) -> None:
        drops = [o for o in self.survey.operations.values() if o.method == "drop_constraint"]
        for drop in drops:
            if drop.constraint:
                for declaration in self._about(drop):
                    if declaration.unnamed and self.chosen.name(declaration) == drop.constraint:
                        self._write(declaration)
        unnamed = [drop for drop in drops if is_none(drop.node("constraint_name"))]
        for fellows in _fellows(unnamed):
            self._match(fellows, drops)

    def rest(self) -> None:
        """The names of what stays as it is: what a drop is about may be found by them."""
        for declaration in self.found.declared:
            self.found.names[declaration] = declaration.name or self.chosen.name(declaration)

    def _match(self, fellows: list[Operation], drops: list[Operation]) -> None:
        first = fellows[0]
        gone = {d.constraint for d in drops if d.function == first.function and d.constraint}
        mirrors = [
            declaration
            for declaration in self._about(first)
            if declaration.operation.function != first.function
            and (declaration.name or self.chosen.name(declaration)) not in gone
            and not self._goes_with_its_column(declaration, first)
        ]
        if len(mirrors) != len(fellows) or not all(m.name or self.chosen.name(m) for m in mirrors):
            for drop in fellows:
                words = "drops a constraint without a name, and this file does not say which one"
                self._note(drop, f"{words}; write the name that it has in the database")
            return
        # what a downgrade undoes stands in the opposite order of what the upgrade did
        for drop, mirror in zip(fellows, reversed(mirrors), strict=True):
            self._write_drop(drop, mirror)

    def _goes_with_its_column(self, declaration: Declaration, drop: Operation) -> bool:
        return not declaration.standing and any(
            operation.method == "drop_column"
            and operation.function == drop.function
            and operation.key == drop.key
            and text(operation.node("column_name")) in (declaration.columns or ())
            for operation in self.survey.operations.values()
        )

    def _write_drop(self, drop: Operation, mirror: Declaration) -> None:
        final = mirror.name is None or not isinstance(mirror.name_node, cst.SimpleString)
        name = mirror.name or self.chosen.name(mirror)
        self.found.written[drop.call] = self.chosen.expression(drop, name or "", final)
        if mirror.unnamed:
            self._write(mirror)
            older = mirror.operation.function == "downgrade" or not mirror.standing
            pattern = self.chosen.convention.get(mirror.kind)
            if older and isinstance(pattern, str) and mirror.kind != "ck":
                self.found.assumed[drop.call] = {mirror.kind: pattern}

    def _about(self, drop: Operation) -> list[Declaration]:
        kind = KINDS.get(text(drop.node("type_")) or "")
        return [
            declaration
            for declaration in self.found.declared
            if declaration.kind == kind or (kind is None and declaration.kind != "ix")
            if drop.table and declaration.operation.table == drop.table
            if declaration.operation.schema == drop.schema
        ]

    def _write(self, declaration: Declaration) -> None:
        operation = declaration.operation
        if declaration.call is None or (declaration.standing and not operation.understood):
            return
        name = self.chosen.name(declaration)
        if name:
            self.found.written[declaration.call] = self.chosen.expression(operation, name, True)
        else:
            words = "makes a constraint without a name, and its columns are not written out"
            self._note(operation, f"{words}; give it a name")

    def _note(self, operation: Operation, words: str) -> None:
        self.found.notes.append((operation.line, f"op.{operation.method} {words}"))


def _fellows(drops: list[Operation]) -> list[list[Operation]]:
    """Unnamed drops that are about the same kind of constraint of the same table."""
    groups: dict[object, list[Operation]] = {}
    for drop in drops:
        key = (drop.function, drop.key or drop.call, text(drop.node("type_")))
        groups.setdefault(key, []).append(drop)
    return list(groups.values())
