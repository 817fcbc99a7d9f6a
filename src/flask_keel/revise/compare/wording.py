"""SQL on its way into a migration file: as the database reads it, and as ``sa.text`` takes it."""

import re
from typing import Any

from ...upgrade import readable

# what sa.text would take for a parameter
BIND = re.compile(r"(?<![:\w\\]):(?=\w+(?!:))")
# 'a'::character varying: the type of the column says the same, and other databases cannot read it
CAST = re.compile(r"('(?:[^']|'')*')::[\w ]+(\(\d+\))?")


def as_text(sql: str) -> str:
    """Return SQL so that ``sa.text`` and CheckConstraint leave its colons alone."""
    return BIND.sub(r"\:", sql)


def literal(expression: Any, context: Any) -> str:
    """Return an expression as SQL with its values in it, nothing escaped for a driver."""
    if isinstance(expression, str):
        return "'" + expression.replace("'", "''") + "'"
    compiled = expression.compile(
        dialect=readable.dialect(context.dialect),
        compile_kwargs={"literal_binds": True, "include_table": False},
    )
    sql = str(compiled)
    cast = CAST.fullmatch(sql)
    return cast[1] if cast else sql


def install(impl: Any) -> None:
    """Let Alembic render SQL into files without the driver's percent signs, and with its colons safe.

    :param impl: the comparison's; a file is rendered after env.py has ended
    """
    theirs = impl.render_ddl_sql_expr
    ours = readable.dialect(impl.dialect)

    def render(expression: Any, **options: Any) -> str:
        own = impl.dialect
        impl.dialect = ours
        try:
            said = theirs(expression, **options)
            # a part of an index becomes a literal_column, in which a colon is one
            return said if options.get("is_index") else as_text(said)
        finally:
            impl.dialect = own

    impl.render_ddl_sql_expr = render
