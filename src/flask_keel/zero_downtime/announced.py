"""What a plan says of the forms in which operations are to run, before anything runs."""

from collections.abc import Iterable, Iterator

from alembic.operations import MigrateOperation, ops

FORMS = {
    ops.CreateIndexOp: "its index {name} is built CONCURRENTLY",
    ops.DropIndexOp: "its index {name} is dropped CONCURRENTLY",
    ops.CreateUniqueConstraintOp: "the index of {name} is built CONCURRENTLY, then it is UNIQUE",
    ops.CreatePrimaryKeyOp: "the index of {name} is built CONCURRENTLY, then it is the PRIMARY KEY",
    ops.CreateForeignKeyOp: "FOREIGN KEY {name} NOT VALID, then VALIDATE",
    ops.CreateCheckConstraintOp: "CHECK {name} NOT VALID, then VALIDATE",
}


def ways(operations: Iterable[MigrateOperation | str]) -> Iterator[str]:
    """Say how the operations of a revision run on the tables that were there before it."""
    made: set[str] = set()
    for op in operations:
        table = str(getattr(op, "table_name", None) or getattr(op, "source_table", None) or "")
        if isinstance(op, ops.CreateTableOp):
            made.add(table)
        elif table not in made and (form := _form(op)):
            yield f"{table}: {form}" if table else form.removeprefix("its ")


def _form(op: MigrateOperation | str) -> str | None:
    if isinstance(op, ops.AlterColumnOp) and op.modify_nullable is False:
        return f"a CHECK of {op.column_name} NOT VALID, then VALIDATE, then SET NOT NULL"
    said = next((said for kind, said in FORMS.items() if isinstance(op, kind)), None)
    name = getattr(op, "constraint_name", None) or getattr(op, "index_name", None)
    return said.format(name=name or "without a name") if said else None
