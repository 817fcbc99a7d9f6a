"""One call of an operation: what it is given, which table it is about, whether SQLite can do it."""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import libcst as cst

from . import scan
from .scan import BATCH, CLOSED, LACKING, PLAIN, schema_parameter, table_parameter

UNKNOWN = object()
_EMPTY = cst.Module(body=[])


def code(node: cst.CSTNode) -> str:
    """The text of a node, as it stands in the file."""
    return _EMPTY.code_for_node(node)


def value(node: cst.BaseExpression | None) -> object:
    """What a literal stands for, or UNKNOWN; ``op.f("...")`` stands for its text."""
    if node is None:
        return UNKNOWN
    if isinstance(node, cst.Call) and last_name(node.func) in ("f", "conv", "quoted_name"):
        node = node.args[0].value if node.args else node
    try:
        return ast.literal_eval(code(node).strip())
    except (ValueError, SyntaxError, TypeError):
        return UNKNOWN


def text(node: cst.BaseExpression | None) -> str | None:
    """The string that a literal stands for, or None."""
    found = value(node)
    return found if isinstance(found, str) else None


def texts(node: cst.BaseExpression | None) -> tuple[str, ...] | None:
    """The strings of a list or tuple of literals, or None."""
    found = value(node)
    if isinstance(found, list | tuple) and all(isinstance(item, str) for item in found):
        return tuple(found)
    return None


def is_none(node: cst.BaseExpression | None) -> bool:
    """Whether a node is the literal ``None``."""
    return isinstance(node, cst.Name) and node.value == "None"


def is_true(node: cst.BaseExpression | None) -> bool:
    """Whether a node is the literal ``True``."""
    return isinstance(node, cst.Name) and node.value == "True"


def dotted(node: cst.BaseExpression) -> str | None:
    """``a.b.c`` of names and attributes alone, or None."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        base = dotted(node.value)
        return base and f"{base}.{node.attr.value}"
    return None


def last_name(node: cst.BaseExpression) -> str:
    """The last name of ``a.b.c``, "" for anything else."""
    return (dotted(node) or "").rpartition(".")[2]


def arguments(call: cst.Call, positional: Sequence[str]) -> dict[str, cst.Arg] | None:
    """A call's arguments by the parameter that takes them; None for stars and for too many."""
    found: dict[str, cst.Arg] = {}
    for place, argument in enumerate(call.args):
        if argument.star:
            return None
        if argument.keyword is not None:
            parameter = argument.keyword.value
        elif place < len(positional):
            parameter = positional[place]
        else:
            return None
        if parameter in found:
            return None
        found[parameter] = argument
    return found


def calls_within(node: cst.CSTNode) -> list[cst.Call]:
    """Every call in a node, itself included, from the outside in."""
    found: list[cst.Call] = []

    class _Calls(cst.CSTVisitor):
        def visit_Call(self, node: cst.Call) -> None:
            found.append(node)

    node.visit(_Calls())
    return found


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


@dataclass(eq=False)
class Batch:
    """A ``with op.batch_alter_table(...) as batch_op`` that the file holds already."""

    variable: str
    call: cst.Call
    prefix: cst.BaseExpression
    given: dict[str, cst.Arg]


@dataclass(eq=False)
class Operation:
    """One call of an operation, plain or of a batch."""

    call: cst.Call
    method: str
    arguments: dict[str, cst.Arg] | None  # None where they cannot be read
    batch: Batch | None
    function: str
    conditional: bool
    line: int
    pure: bool
    whole: bool
    origin: cst.Call
    indexed_table: str | None = None
    stays_plain: bool = False

    @property
    def given(self) -> dict[str, cst.Arg]:
        """The arguments that can be read."""
        return self.arguments or {}

    @property
    def prefix(self) -> cst.BaseExpression:
        """What the method is called on: ``op``, ``alembic.op``, ``batch_op``."""
        return cst.ensure_type(self.call.func, cst.Attribute).value

    def node(self, parameter: str) -> cst.BaseExpression | None:
        """The argument that this parameter is given."""
        found = self.given.get(parameter)
        return found.value if found else None

    def reread(self, call: cst.Call) -> "Operation":
        """The same operation after an edit within its call."""
        return self.other(call, self.method)

    def other(self, call: cst.Call, method: str) -> "Operation":
        """Another operation on the same table, in the same place."""
        given = arguments(call, (BATCH if self.batch else PLAIN)[method])
        return replace(self, call=call, method=method, arguments=given)

    @property
    def column(self) -> Column | None:
        """What ``add_column`` adds, where that can be read."""
        node = self.node("column")
        return column(node) if node is not None else None

    @property
    def table_node(self) -> cst.BaseExpression | None:
        if self.batch:
            argument = self.batch.given.get("table_name")
            return argument.value if argument else None
        return self.node(table_parameter(self.method))

    @property
    def schema_node(self) -> cst.BaseExpression | None:
        argument = self.batch.given.get("schema") if self.batch else None
        return argument.value if argument else self.node(schema_parameter(self.method))

    @property
    def table(self) -> str | None:
        """The table's name, where it is a literal."""
        return text(self.table_node) or self.indexed_table

    @property
    def schema(self) -> str | None:
        return text(self.schema_node)

    @property
    def key(self) -> tuple[bool, str, str | None] | None:
        """Equal for two operations when they surely are about the same table."""
        table = self.table_node
        name = self.table or (table.value if isinstance(table, cst.Name) else None)
        schema = self.schema_node
        if schema is not None and self.schema is None and not is_none(schema):
            return None
        return (isinstance(table, cst.Name), name, self.schema) if name else None

    @property
    def constraint(self) -> str | None:
        """The literal name of the constraint or index that this is about."""
        return text(self.node("constraint_name") or self.node("index_name"))

    @property
    def lacking(self) -> bool:
        """Whether SQLite cannot do this plainly."""
        if self.arguments is None or self.method not in LACKING | {"add_column"}:
            return False
        if self.method == "alter_column":
            return not scan.is_rename(set(self.given))
        if self.method == "add_column":
            inline = is_true(self.node("inline_references"))
            added = self.column
            return bool(added and added.lacking and not (inline and len(added.foreign_keys) == 1))
        return True

    @property
    def understood(self) -> bool:
        """Whether its arguments can be read, and can all be given to a batch."""
        return self.arguments is not None and (self.batch is not None or self.complaint is None)

    @property
    def complaint(self) -> str | None:
        """Why this call has no batch form, as the end of a sentence, or None."""
        if self.arguments is None:
            return "is given arguments that cannot be read"
        optional = {"type_"} if self.method != "drop_index" else {"table_name"}
        missing = [p for p in PLAIN[self.method] if p not in self.given and p not in optional]
        if missing:
            return f"is not given its {missing[0]}"
        allowed = CLOSED.get(self.method)
        known = {*PLAIN[self.method], "schema", "source_schema"}
        extra = [word for word in self.given if allowed is not None and word not in known | allowed]
        return f"takes {extra[0]}, which a batch does not" if extra else None
