"""What Alembic's operations take, plainly and inside a batch, and which of them SQLite lacks.

The signatures are those of Alembic 1.20 (``alembic/operations/base.py``); a test holds them
against the installed package.
"""

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
