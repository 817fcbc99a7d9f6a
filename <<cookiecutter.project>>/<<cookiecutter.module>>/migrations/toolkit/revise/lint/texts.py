"""What a person reads of each rule: what happens, why it matters here, what to write instead."""

from dataclasses import dataclass

from .finding import BLOCKS, LOCKS, LOSES_DATA, NOTE


@dataclass(frozen=True)
class Text:
    """The words of a rule; ``instead`` is code to paste, where there is some."""

    severity: str
    what: str
    why: str
    instead: str = ""


TWO_RELEASES = "the release that still runs reads it until the new one is everywhere"

RULES = {
    # loses data
    "drop-table": Text(
        LOSES_DATA,
        "drops {table} and its rows",
        "a downgrade brings back the table, not the rows",
        "op.rename_table({table!r}, {dropped!r})  # and drop it in a later release",
    ),
    "drop-column": Text(
        LOSES_DATA,
        "drops {table}.{column} and its values",
        "a downgrade brings back the column, not the values",
        "# first take the column out of the model, deploy, and drop it in a later release",
    ),
    "drop-and-add": Text(
        LOSES_DATA,
        "drops {table}.{column} and adds {table}.{added} of the same type",
        "if that is a rename, its values are lost",
        "op.alter_column({table!r}, {column!r}, new_column_name={added!r})",
    ),
    "narrow-type": Text(
        LOSES_DATA,
        "makes {table}.{column} narrower: {old} to {new}",
        "values that do not fit stop the upgrade or are cut",
        "-- count them first: SELECT count(*) FROM {table} WHERE {misfits}",
    ),
    "change-type": Text(
        LOSES_DATA,
        "changes {table}.{column} from {old} to {new}",
        "values that cannot be converted stop the upgrade or are changed",
        "-- count them first: SELECT count(*) FROM {table} WHERE {misfits}",
    ),
    "delete-rows": Text(
        LOSES_DATA,
        "deletes rows: {sql}",
        "no downgrade brings them back",
    ),
    "drop-in-sql": Text(
        LOSES_DATA,
        "drops something in SQL of its own: {sql}",
        "what is in it is gone, and the proof cannot follow it",
        "# use op.drop_table, op.drop_column ...",
    ),
    # blocks the running release
    "rename-column": Text(
        BLOCKS,
        "renames {table}.{column} to {new}",
        TWO_RELEASES,
        "{new}: Mapped[...] = mapped_column({column!r}, ...)  # rename the attribute, keep the column",
    ),
    "rename-table": Text(
        BLOCKS,
        "renames {table} to {new}",
        TWO_RELEASES,
        "__tablename__ = {table!r}  # rename the class, keep the table",
    ),
    "add-not-null": Text(
        BLOCKS,
        "adds {table}.{column} NOT NULL without a default of the database",
        "the release that still runs inserts rows without it",
        "sa.Column({column!r}, ..., nullable=False, server_default=...)",
    ),
    "set-not-null": Text(
        BLOCKS,
        "makes {table}.{column} NOT NULL",
        "the release that still runs may write NULL; rows that hold it stop the upgrade",
        "# deploy a release that always writes it, fill the rest, then set NOT NULL",
    ),
    "add-unique": Text(
        BLOCKS,
        "makes {table}({columns}) unique",
        "duplicates stop the upgrade, and the running release may write some",
        "-- count them first: SELECT {columns}, count(*) FROM {table} GROUP BY {columns} HAVING count(*) > 1",
    ),
    "add-check": Text(
        BLOCKS,
        "adds a CHECK to {table}",
        "rows that break it stop the upgrade, and the running release may write some",
        "-- count them first: SELECT count(*) FROM {table} WHERE NOT ({condition})",
    ),
    # takes a lock
    "copy-table": Text(
        LOCKS,
        "copies {table}, row by row ({reason})",
        "MySQL lets nobody write to the table meanwhile",
        "-- at a quiet hour, or with gh-ost or pt-online-schema-change",
    ),
    "add-foreign-key": Text(
        LOCKS,
        "adds a foreign key from {table} to {target}",
        "every row is checked while both tables are locked; rows that point to nothing stop it",
        "-- count them first: SELECT count(*) FROM {table} WHERE {column} IS NOT NULL "
        "AND {column} NOT IN (SELECT {referred} FROM {target})",
    ),
    "update-every-row": Text(
        LOCKS,
        "updates every row in one statement: {sql}",
        "the rows stay locked until the migration ends",
        "toolkit.backfill({table!r}, where=..., set=...)  # in a migration of its own",
    ),
    "rows-and-schema": Text(
        LOCKS,
        "changes rows and the schema in one migration",
        "the lock of the schema change is held until the rows are done",
        '# make newmigration empty=1 m="..."   and move the rows there',
    ),
    # notes
    "drop-foreign-key": Text(
        NOTE,
        "drops the foreign key {name} of {table}",
        "from then on rows may point to nothing",
    ),
    "drop-not-null": Text(
        NOTE,
        "lets {table}.{column} be NULL",
        "code that reads it may not expect None",
    ),
    "wide-index": Text(
        NOTE,
        "indexes {count} columns of {table}",
        "an index of more than three columns is seldom used as a whole",
    ),
    "long-name": Text(
        NOTE,
        "uses a name of {length} bytes: {name}",
        "PostgreSQL cuts names after 63 bytes, MySQL refuses them after 64",
        "# give the constraint a shorter name",
    ),
    "models-imported": Text(
        NOTE,
        "imports the models ({module})",
        "they will have changed when somebody runs this migration again",
        'post = sa.table("post", sa.column("id"), sa.column("slug"))',
    ),
    "default-in-quotes": Text(
        NOTE,
        "gives {table}.{column} the default text {default!r}",
        "that is a string, not a call",
        "server_default=sa.text({default!r})",
    ),
    "big-key-on-sqlite": Text(
        NOTE,
        "gives {table} a primary key of type {type}",
        "on SQLite only INTEGER counts up by itself: rows without an id would get NULL",
        'sa.BigInteger().with_variant(sa.Integer(), "sqlite")',
    ),
    "own-transaction": Text(
        NOTE,
        "begins or ends a transaction: {sql}",
        "env.py holds one around the migration",
        "with op.get_context().autocommit_block(): ...",
    ),
}


def lines(finding) -> list[str]:
    """Say a finding in one to three lines: where and what, why, what to write instead."""
    text = RULES.get(finding.rule)
    where = f"line {finding.line}: " if finding.line else ""
    if text is None:  # squawk's own words
        said = [f"{where}{finding.facts['what']} [{finding.rule}, {finding.severity}]"]
        return said + ([f"  {finding.facts['instead']}"] if finding.facts.get("instead") else [])
    facts = {**finding.facts}
    said = [
        f"{where}{text.what.format(**facts)} [{finding.rule}, {finding.severity}]",
        f"  {text.why}",
    ]
    if text.instead:
        said.append(f"  instead: {text.instead.format(**facts)}")
    return said
