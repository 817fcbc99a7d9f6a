"""Finds a name for every constraint that needs one and has none.

Finds every operation of a migration file and says where it stands.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import libcst as cst
from libcst.metadata import PositionProvider

from ..sqlite import naming
from ..sqlite.naming import columns_of_check
from ..typing import Convention
from .calls import (
    Batch,
    Operation,
    arguments,
    calls_within,
    code,
    column,
    dotted,
    is_none,
    last_name,
    text,
    texts,
)
from .scan import BATCH, KINDS, LACKING, PLAIN


@dataclass
class Survey:
    """All that was found: operations and tables made, by their call, and single complaints."""

    operations: dict[cst.Call, Operation] = field(default_factory=dict)
    made_tables: dict[cst.Call, Operation] = field(default_factory=dict)
    batches: dict[cst.With, Batch] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    notes: list[tuple[int, str]] = field(default_factory=list)


class Surveyor(cst.CSTVisitor):
    """Walks a file once and fills in a `Survey`."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, prefixes: Iterable[str], imported: dict[str, str]) -> None:
        super().__init__()
        self.prefixes = set(prefixes)
        self.imported = imported
        self.survey = Survey()
        self._functions: list[cst.FunctionDef] = []
        self._batches: list[Batch] = []
        self._conditions = 0
        self._whole: set[cst.Call] = set()

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        if not self._functions:
            self.survey.functions[node.name.value] = code(node)
        self._functions.append(node)

    def leave_FunctionDef(self, original_node: cst.FunctionDef) -> None:
        self._functions.pop()

    def _enter(self, node: cst.CSTNode) -> None:
        self._conditions += 1

    def _leave(self, original_node: cst.CSTNode) -> None:
        self._conditions -= 1

    visit_If = visit_For = visit_While = visit_Try = visit_Lambda = visit_Match = _enter
    leave_If = leave_For = leave_While = leave_Try = leave_Lambda = leave_Match = _leave

    def leave_Module(self, original_node: cst.Module) -> None:
        for operation in self.survey.operations.values():
            if operation.batch or operation.method not in LACKING | {"add_column"}:
                continue
            why = operation.complaint
            if operation.lacking and not operation.whole:
                why = why or "is part of a larger expression"
            if why and (operation.lacking or operation.method in LACKING):
                words = f"op.{operation.method} {why}; it was left as it is"
                self.survey.notes.append((operation.line, words))

    def visit_With(self, node: cst.With) -> None:
        for item in node.items:
            call, target = item.item, item.asname and item.asname.name
            if (
                isinstance(call, cst.Call)
                and isinstance(call.func, cst.Attribute)
                and call.func.attr.value == "batch_alter_table"
                and isinstance(target, cst.Name)
                and self._is_op(call.func.value)
            ):
                given = arguments(call, ("table_name", "schema"))
                batch = Batch(target.value, call, call.func.value, given or {})
                self.survey.batches[node] = batch
                self._batches.append(batch)

    def leave_With(self, original_node: cst.With) -> None:
        if original_node in self.survey.batches:
            self._batches.pop()

    def visit_Expr(self, node: cst.Expr) -> None:
        if isinstance(node.value, cst.Call):
            self._whole.add(node.value)

    def visit_Call(self, node: cst.Call) -> None:
        if not isinstance(node.func, cst.Attribute):
            return
        method, receiver = node.func.attr.value, node.func.value
        batch = None
        if isinstance(receiver, cst.Name):
            named = (b for b in reversed(self._batches) if b.variable == receiver.value)
            batch = next(named, None)
        if not batch and not self._is_op(receiver):
            return
        if method == "create_table":
            self.survey.made_tables[node] = self._operation(node, method, ("table_name",), None)
        elif method in PLAIN:
            positional = (BATCH if batch else PLAIN)[method]
            self.survey.operations[node] = self._operation(node, method, positional, batch)
        elif method == "create_exclude_constraint":
            line = self.get_metadata(PositionProvider, node).start.line
            words = "op.create_exclude_constraint is PostgreSQL's alone and was left as it is"
            self.survey.notes.append((line, words))

    def _operation(
        self, node: cst.Call, method: str, positional: Sequence[str], batch: Batch | None
    ) -> Operation:
        given = arguments(node, positional)
        if method == "create_table":
            given = {"table_name": node.args[0]} if node.args else {}
            given |= {a.keyword.value: a for a in node.args if a.keyword}
        return Operation(
            call=node,
            method=method,
            arguments=given,
            batch=batch,
            function=self._functions[0].name.value if self._functions else "",
            conditional=bool(self._conditions),
            line=self.get_metadata(PositionProvider, node).start.line,
            pure=all(self._is_pure(call) for arg in node.args for call in calls_within(arg)),
            whole=node in self._whole,
            origin=node,
        )

    def _is_pure(self, call: cst.Call) -> bool:
        """Whether a call builds a value and surely asks no database: types and SQL constructs."""
        name = dotted(call.func)
        if name is None:
            return isinstance(call.func, cst.Attribute)
        root, last = name.partition(".")[0], name.rpartition(".")[2]
        if last == "f" and name != last:
            return True
        sqlalchemy = self.imported.get(root, "").partition(".")[0] == "sqlalchemy"
        return root in self.imported and (last[0].isupper() or (sqlalchemy and last != "inspect"))

    def _is_op(self, receiver: cst.BaseExpression) -> bool:
        name = dotted(receiver)
        if name not in self.prefixes:
            return False
        root = name.partition(".")[0]
        return not any(root in _parameters(function) for function in self._functions)


def _parameters(function: cst.FunctionDef) -> set[str]:
    params = function.params
    every = (*params.posonly_params, *params.params, *params.kwonly_params)
    return {parameter.name.value for parameter in every}


_COLUMN = re.compile(r"""\bcolumn\(\s*['"](\w+)['"]""")

# where each constraint of a table takes its name by position
NAME_PLACES = {"CheckConstraint": 1, "ForeignKeyConstraint": 2}


@dataclass(frozen=True, eq=False)
class Declaration:
    """A constraint or index as the file makes it.

    ``call`` is what a name is written into; None for ``unique=True``, which cannot hold one.
    """

    kind: str
    operation: Operation
    call: cst.Call | None
    name_node: cst.BaseExpression | None
    columns: tuple[str, ...] | None
    referred: tuple[str | None, str, tuple[str, ...]] | None = None
    check: str | None = None

    @property
    def unnamed(self) -> bool:
        return self.name_node is None or is_none(self.name_node)

    @property
    def name(self) -> str | None:
        return text(self.name_node)

    @property
    def is_operation(self) -> bool:
        """Whether it is an operation of its own, not a part of a table or a column."""
        return self.call is self.operation.call


def declarations(survey: Survey) -> list[Declaration]:
    """Every constraint and index that the file makes, in its order."""
    found: list[Declaration] = []
    for operation in survey.operations.values():
        if operation.method == "add_column":
            found += _of_column(operation, operation.node("column"))
        elif operation.method in KINDS:
            found.append(_of_operation(operation))
    for operation in survey.made_tables.values():
        for argument in operation.call.args[1:]:
            found += _of_table(operation, argument.value)
            found += _of_column(operation, argument.value)
    return sorted(found, key=lambda declaration: declaration.operation.line)


def _of_operation(operation: Operation) -> Declaration:
    kind = KINDS[operation.method]
    columns = texts(operation.node("columns") or operation.node("local_cols"))
    referred, check = None, None
    if kind == "fk":
        table, remote = text(operation.node("referent_table")), texts(operation.node("remote_cols"))
        if table and remote:
            referred = text(operation.node("referent_schema")), table, remote
    elif kind == "ck":
        check, columns = _check(operation.node("condition"))
    name_node = operation.node("constraint_name") or operation.node("index_name")
    return Declaration(kind, operation, operation.call, name_node, columns, referred, check)


def _of_table(operation: Operation, node: cst.BaseExpression) -> Iterator[Declaration]:
    if not isinstance(node, cst.Call):
        return
    what = last_name(node.func)
    positional = [arg.value for arg in node.args if not arg.keyword and not arg.star]
    name_node = _name_node(node)
    if what in ("UniqueConstraint", "PrimaryKeyConstraint"):
        names = [name for value in positional if (name := text(value))]
        columns = tuple(names) if len(names) == len(positional) else None
        kind = "uq" if what == "UniqueConstraint" else "pk"
        yield Declaration(kind, operation, node, name_node, columns)
    elif what == "ForeignKeyConstraint" and len(positional) > 1:
        columns, targets = texts(positional[0]), texts(positional[1])
        referred = _referred(targets) if targets else None
        yield Declaration("fk", operation, node, name_node, columns, referred)
    elif what == "CheckConstraint" and positional:
        check, columns = _check(positional[0])
        yield Declaration("ck", operation, node, name_node, columns, check=check)


def _of_column(operation: Operation, node: cst.BaseExpression | None) -> Iterator[Declaration]:
    added = column(node) if isinstance(node, cst.Call) else None
    if added is None or not isinstance(node, cst.Call):
        return
    columns = (added.name,) if added.name else None
    for call in added.foreign_keys:
        target = text(call.args[0].value) if call.args else None
        referred = _referred((target,)) if target else None
        yield Declaration("fk", operation, call, _name_node(call), columns, referred)
    if added.index or added.unique:
        yield Declaration("ix" if added.index else "uq", operation, None, None, columns)
    for argument in node.args:
        if isinstance(argument.value, cst.Call) and last_name(argument.value.func) in NAME_PLACES:
            yield from _of_table(operation, argument.value)


def _name_node(call: cst.Call) -> cst.BaseExpression | None:
    for argument in call.args:
        if argument.keyword and argument.keyword.value == "name":
            return argument.value
    place = NAME_PLACES.get(last_name(call.func))
    if place is not None and len(call.args) > place and not call.args[place].keyword:
        return call.args[place].value
    return None


def _referred(targets: tuple[str, ...]) -> tuple[str | None, str, tuple[str, ...]] | None:
    split = [target.rsplit(".", 2) for target in targets]
    if any(len(parts) < 2 for parts in split):
        return None
    schema = split[0][0] if len(split[0]) == 3 else None
    return schema, split[0][-2], tuple(parts[-1] for parts in split)


def _check(node: cst.BaseExpression | None) -> tuple[str | None, tuple[str, ...] | None]:
    """The text of a CHECK and the columns in it; an expression stands for itself, as written."""
    if isinstance(node, cst.Call) and last_name(node.func) == "text" and node.args:
        node = node.args[0].value
    words = text(node)
    if words is not None:
        return words, tuple(columns_of_check(words))
    if node is None:
        return None, None
    written = code(node)
    return written, tuple(dict.fromkeys(_COLUMN.findall(written))) or None


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
            if declaration.kind == "ix" and declaration.is_operation:
                continue
            if declaration.call is None and operation.method == "add_column":
                if name := self.chosen.name(declaration):
                    self.found.flags[operation.origin] = self.chosen.expression(
                        operation, name, True
                    )
                elif batched and operation.column and operation.column.unique:
                    words = "makes unique what cannot be named from here"
                    self._note(operation, f"{words}; write create_unique_constraint with a name")
            elif declaration.unnamed and (declaration.is_operation or (added and batched)):
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
        return not declaration.is_operation and any(
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
            older = mirror.operation.function == "downgrade" or not mirror.is_operation
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
        if declaration.call is None or (declaration.is_operation and not operation.understood):
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
