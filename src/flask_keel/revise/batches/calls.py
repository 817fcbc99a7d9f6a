"""One call of an operation: what it is given, which table it is about, whether SQLite can do it."""

from dataclasses import dataclass, replace

import libcst as cst

from . import look
from .columns import Column, column
from .operations import BATCH, CLOSED, LACKING, PLAIN, schema_parameter, table_parameter
from .reading import arguments, is_none, is_true, text


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
    given: dict[str, cst.Arg] | None
    batch: Batch | None
    function: str
    conditional: bool
    line: int
    pure: bool
    whole: bool
    origin: cst.Call
    indexed_table: str | None = None
    stays_plain: bool = False

    def node(self, parameter: str) -> cst.BaseExpression | None:
        """The argument that this parameter is given."""
        found = (self.given or {}).get(parameter)
        return found and found.value

    def reread(self, call: cst.Call) -> "Operation":
        """The same operation after an edit within its call."""
        return self.other(call, self.method)

    def other(self, call: cst.Call, method: str) -> "Operation":
        """Another operation on the same table, in the same place."""
        given = arguments(call, (BATCH if self.batch else PLAIN)[method])
        return replace(self, call=call, method=method, given=given)

    @property
    def column(self) -> Column | None:
        """What ``add_column`` adds, where that can be read."""
        node = self.node("column")
        return column(node) if node is not None else None

    @property
    def table_node(self) -> cst.BaseExpression | None:
        if self.batch:
            argument = self.batch.given.get("table_name")
            return argument and argument.value
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
    def key(self) -> tuple | None:
        """Equal for two operations when they surely are about the same table."""
        table = self.table_node
        name = self.table or (table.value if isinstance(table, cst.Name) else None)
        schema = self.schema_node
        if schema is not None and self.schema is None and not is_none(schema):
            return None
        return name and (isinstance(table, cst.Name), name, self.schema)

    @property
    def constraint(self) -> str | None:
        """The literal name of the constraint or index that this is about."""
        return text(self.node("constraint_name") or self.node("index_name"))

    @property
    def lacking(self) -> bool:
        """Whether SQLite cannot do this plainly."""
        if self.given is None or self.method not in LACKING | {"add_column"}:
            return False
        if self.method == "alter_column":
            return not look.is_rename(set(self.given))
        if self.method == "add_column":
            inline = is_true(self.node("inline_references"))
            added = self.column
            return bool(added and added.lacking and not (inline and len(added.foreign_keys) == 1))
        return True

    @property
    def understood(self) -> bool:
        """Whether its arguments can be read, and can all be given to a batch."""
        return self.given is not None and (self.batch is not None or self.complaint is None)

    @property
    def complaint(self) -> str | None:
        """Why this call has no batch form, as the end of a sentence, or None."""
        if self.given is None:
            return "is given arguments that cannot be read"
        optional = {"type_"} if self.method != "drop_index" else {"table_name"}
        missing = [p for p in PLAIN[self.method] if p not in self.given and p not in optional]
        if missing:
            return f"is not given its {missing[0]}"
        allowed = CLOSED.get(self.method)
        known = {*PLAIN[self.method], "schema", "source_schema"}
        extra = [word for word in self.given if allowed is not None and word not in known | allowed]
        return f"takes {extra[0]}, which a batch does not" if extra else None
