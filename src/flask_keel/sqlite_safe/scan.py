"""A cheap look at a migration file: is there anything in it to edit at all?

It may say yes too often, never no too often. It reads the syntax tree that the standard library
makes, so that libcst is imported for those files only that need it.
"""

import ast

# What Alembic's operations take, plainly and inside a batch, and which of them SQLite lacks.
#
# The signatures are those of Alembic 1.20 (``alembic/operations/base.py``); a test holds them
# against the installed package.


# the parameters that may be given by position; what follows is keyword only
PLAIN = {
    "add_column": ("table_name", "column"),
    "alter_column": ("table_name", "column_name"),
    "create_check_constraint": ("constraint_name", "table_name", "condition"),
    "create_foreign_key": (
        "constraint_name",
        "source_table",
        "referent_table",
        "local_cols",
        "remote_cols",
    ),
    "create_index": ("index_name", "table_name", "columns"),
    "create_primary_key": ("constraint_name", "table_name", "columns"),
    "create_table_comment": ("table_name", "comment"),
    "create_unique_constraint": ("constraint_name", "table_name", "columns"),
    "drop_column": ("table_name", "column_name"),
    "drop_constraint": ("constraint_name", "table_name", "type_"),
    "drop_index": ("index_name", "table_name"),
    "drop_table_comment": ("table_name",),
}

# a batch knows its table and its schema
BATCH = {
    method: tuple(name for name in names if name not in ("table_name", "source_table"))
    for method, names in PLAIN.items()
}

# the keywords that may come on top, where the batch form does not take any keyword there is
CLOSED = {
    "add_column": {
        "insert_before",
        "insert_after",
        "if_not_exists",
        "inline_references",
        "inline_primary_key",
    },
    "create_primary_key": set(),
    "create_table_comment": {"existing_comment"},
    "drop_constraint": set(),
    "drop_table_comment": {"existing_comment"},
}

# https://www.sqlite.org/omitted.html: ALTER TABLE adds, drops and renames columns, nothing else;
# and what it drops may be neither a key, nor unique, nor indexed, nor named by a constraint
LACKING = {
    "alter_column",
    "create_check_constraint",
    "create_foreign_key",
    "create_primary_key",
    "create_table_comment",
    "create_unique_constraint",
    "drop_column",
    "drop_constraint",
    "drop_table_comment",
}

# exist on one other database only, have no batch form that SQLite could run
FOREIGN = {"create_exclude_constraint"}

# what is dropped before the columns that it needs
DROPS = {"drop_constraint", "drop_index"}

# the kind of a constraint, as naming conventions call it, for each way to write it
KINDS = {
    "create_check_constraint": "ck",
    "create_foreign_key": "fk",
    "create_index": "ix",
    "create_primary_key": "pk",
    "create_unique_constraint": "uq",
    "check": "ck",
    "foreignkey": "fk",
    "primary": "pk",
    "unique": "uq",
}


def table_parameter(method: str) -> str:
    """The parameter of the plain operation that names its table."""
    return "source_table" if method == "create_foreign_key" else "table_name"


def schema_parameter(method: str) -> str:
    """The parameter of the plain operation that names its table's schema."""
    return "source_schema" if method == "create_foreign_key" else "schema"


_BATCHED = LACKING | DROPS | {"add_column"}


def prefixes(tree: ast.Module) -> set[str]:
    """The dotted names by which a file calls ``alembic.op``."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "alembic" and not node.level:
            found |= {name.asname or name.name for name in node.names if name.name == "op"}
        elif isinstance(node, ast.Import):
            for name in node.names:
                if name.name == "alembic.op":
                    found.add(name.asname or "alembic.op")
                elif name.name == "alembic":
                    found.add(f"{name.asname or 'alembic'}.op")
    return found


def imported_singly(tree: ast.Module) -> list[ast.ImportFrom]:
    """The imports that take operations out of ``alembic.op`` by name."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "alembic.op" and not node.level
    ]


def bound_names(tree: ast.Module) -> set[str]:
    """Every name that a file gives to something else than a batch."""
    batches, names = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.withitem) and _is_batch(node.context_expr):
            batches.add(node.optional_vars)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
    stored = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node not in batches
    )
    return names | {node.id for node in stored}


def imported_names(tree: ast.Module) -> dict[str, str]:
    """Every name that a file imports, and the module that it comes from."""
    return {
        (name.asname or name.name).partition(".")[0]: getattr(node, "module", None) or name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }


def worth_editing(tree: ast.Module) -> bool:
    """Whether a file holds a call that may have to be turned into a batch, named or moved."""
    own = prefixes(tree)
    if not own:
        return False
    for node in ast.walk(tree):
        if isinstance(node, ast.With) and any(_is_batch(i.context_expr) for i in node.items):
            if _drops_late(node):
                return True
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            plain = ast.unparse(node.func.value) in own
            if (plain and _lacking(node)) or (not plain and _unnamed(node)):
                return True
    return False


def _is_batch(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "batch_alter_table"
    )


def is_rename(keywords: set[str]) -> bool:
    """Whether these keywords of ``alter_column`` change the name and nothing else."""
    changes = {word for word in keywords if not word.startswith("existing_")}
    return changes - {"table_name", "column_name", "schema"} == {"new_column_name"}


def _method(call: ast.Call) -> str | None:
    return call.func.attr if isinstance(call.func, ast.Attribute) else None


def _lacking(call: ast.Call) -> bool:
    method = _method(call)
    if method == "alter_column":
        return not is_rename({keyword.arg or "**" for keyword in call.keywords})
    if method == "add_column":
        telling = {"unique", "create_constraint", "server_default"}
        return _marked(call, {"ForeignKey", "Computed"}, telling)
    return method in LACKING | FOREIGN


def _unnamed(call: ast.Call) -> bool:
    method = _method(call)
    if method not in _BATCHED:
        return False
    if method == "add_column":
        return _marked(call, {"ForeignKey"}, {"unique", "index"})
    first = [*call.args, *(k.value for k in call.keywords if k.arg == "constraint_name")][:1]
    return bool(first) and isinstance(first[0], ast.Constant) and first[0].value is None


def _marked(call: ast.Call, calls: set[str], keywords: set[str]) -> bool:
    for node in ast.walk(call):
        if isinstance(node, ast.keyword):
            constant = node.arg == "server_default" and isinstance(node.value, ast.Constant)
            if node.arg in keywords and not constant:
                return True
        elif isinstance(node, ast.Call):
            name = (
                node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            )
            named = any(keyword.arg == "name" for keyword in node.keywords)
            if name in calls and not (name == "ForeignKey" and named and "index" in keywords):
                return True
    return False


def _drops_late(block: ast.With) -> bool:
    seen = False
    for statement in block.body:
        call = statement.value if isinstance(statement, ast.Expr) else None
        method = _method(call) if isinstance(call, ast.Call) else None
        if seen and method in DROPS:
            return True
        seen = seen or method == "drop_column"
    return False
