"""Takes a statement apart that one batch could not hold, or not do on SQLite."""

import libcst as cst

from . import writing
from .calls import Operation
from .grouping import Statement
from .reading import code

# what a column is once it has been changed, for the operation that comes after the change
_AFTERWARDS = {
    "autoincrement": "existing_autoincrement",
    "comment": "existing_comment",
    "nullable": "existing_nullable",
    "server_default": "existing_server_default",
    "type_": "existing_type",
}


def parts(statement: Statement, flag: str | None) -> list[Statement]:
    """The statements that do what this one does; ``flag`` is the name for ``unique=True``.

    - ``unique=True`` and ``index=True`` of an added column become operations of their own: a batch
      cannot name the first, and makes the second twice.
    - A change that renames as well becomes the change and then the rename: in a rebuild the
      foreign keys of other tables would go on naming the old column
      (https://github.com/sqlalchemy/alembic/issues/1576).
    """
    operation = statement.operation
    if operation.method == "add_column" and flag:
        return _without_flags(statement, flag)
    if operation.method == "alter_column" and "new_column_name" in operation.given:
        return _rename_last(statement) if operation.batch is None else [statement]
    return [statement]


def follow(statement: Statement, operation: Operation, written: str, method: str) -> Statement:
    """A new statement about the same table."""
    call = cst.parse_expression(written)
    line = cst.SimpleStatementLine([cst.Expr(call)])
    return Statement(line, operation.other(call, method))


def _without_flags(statement: Statement, flag: str) -> list[Statement]:
    operation, added = statement.operation, statement.operation.column
    made = operation.node("column")
    gone = [a for a in made.args if a.keyword and a.keyword.value in ("unique", "index")]
    kept, comments = writing.without(made, gone)
    call = operation.call.deep_replace(made, kept)
    line = writing.with_call(statement.node, call)
    line = line.with_changes(leading_lines=[*line.leading_lines, *comments])
    column = Statement(line, operation.reread(call))
    if not (added.index or added.unique):
        return [statement]
    method = "create_index" if added.index else "create_unique_constraint"
    unique = ", unique=True" if added.index and added.unique else ""
    place = "" if operation.batch else f"{code(operation.table_node)}, "
    schema = operation.given.get("schema")
    if schema is not None:
        unique += f", schema={code(schema.value)}"
    names = [a.value for a in made.args if a.keyword and a.keyword.value == "name"]
    column_name = code(names[0] if names else made.args[0].value)
    prefix = code(operation.call.func.value)
    written = f"{prefix}.{method}({flag}, {place}[{column_name}]{unique})"
    return [column, follow(column, operation, written, method)]


def _rename_last(statement: Statement) -> list[Statement]:
    operation = statement.operation
    given = operation.given
    call, comments = writing.without(operation.call, [given["new_column_name"]])
    line = writing.with_call(statement.node, call)
    line = line.with_changes(leading_lines=[*line.leading_lines, *comments])
    words = [
        f"{word}={code(given[word].value)}"
        for word in ("new_column_name", "schema")
        if word in given
    ]
    for change, existing in _AFTERWARDS.items():
        now = given.get(change) or given.get(existing)
        if now is not None:
            words.append(f"{existing}={code(now.value)}")
    place = f"{code(operation.table_node)}, {code(operation.node('column_name'))}"
    written = f"{code(operation.call.func.value)}.alter_column({place}, {', '.join(words)})"
    rename = follow(statement, operation, written, "alter_column")
    return [Statement(line, operation.reread(call)), rename]
