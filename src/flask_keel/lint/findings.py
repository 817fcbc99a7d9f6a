"""A finding: a rule that a migration breaks, where, and how bad it is."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Facts = dict[str, Any]  # what a rule's text says of the place, by the names in the text

UNKNOWN = "cannot be told"
LOSES_DATA = "loses data"
BLOCKS = "blocks the running release"
LOCKS = "takes a lock"
NOTE = "note"
SEVERITIES = (UNKNOWN, LOSES_DATA, BLOCKS, LOCKS, NOTE)


@dataclass
class Finding:
    """One rule, broken at one place.

    :param rule: its name, as a comment in the file silences it: "drop-column"
    :param line: of the migration's file, None when it cannot be told
    :param facts: what the rule's text names: table, column, type ...
    :param dialect: "sqlite", "postgresql", "mysql", or "online" where nobody waits: why it matters differs
    :param silenced: the reason that the file gives, or None
    """

    rule: str
    severity: str
    line: int | None = None
    facts: Facts = field(default_factory=dict)
    dialect: str = "sqlite"
    silenced: str | None = None

    @classmethod
    def not_judged(cls, line: int | None, error: Exception) -> "Finding":
        """Return what is said of a place that could not be judged: the others were.

        :param error: what the lint raised over it
        """
        said = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(".: ")
        return cls("not-judged", UNKNOWN, line, {"error": said})

    @property
    def loses_data(self) -> bool:
        """Whether rows or values are gone after it."""
        return self.severity == LOSES_DATA

    def fails(self, zero_downtime: bool) -> bool:
        """Whether ``db check`` fails on it; a note is only said.

        :param zero_downtime: whether the configuration says ``ZERO_DOWNTIME = True``
        """
        if self.silenced is not None or self.severity == NOTE:
            return False
        return self.loses_data or self.severity == UNKNOWN or zero_downtime

    # the rule's words; squawk's own, where the rule is squawk's

    @property
    def what(self) -> str:
        """What was found."""
        text = RULES.get(self.rule)
        return text.what.format(**self.facts) if text else self.facts["what"]

    @property
    def first(self) -> str:
        """Where and what, the name of the rule and how bad it is."""
        where = f"line {self.line}: " if self.line else ""
        silenced = f"; silenced because {self.silenced}" if self.silenced else ""
        return f"{where}{self.what} [{self.rule}, {self.severity}{silenced}]"

    @property
    def why(self) -> str:
        """Why it matters here; "" where squawk has said it already."""
        text = RULES.get(self.rule)
        return self._here(text.why) if text else ""

    @property
    def instead(self) -> str:
        """What to write instead; "" for nothing."""
        text = RULES.get(self.rule)
        return self._here(text.instead) if text else self.facts["instead"]

    def _here(self, words: "Words") -> str:
        chosen = words.get(self.dialect, words.get("", "")) if isinstance(words, dict) else words
        return chosen.format(**self.facts)

    @property
    def lines(self) -> list[str]:
        """All of it, in one to three lines."""
        why = [f"  {self.why}"] if self.why else []
        return [self.first, *why, *([f"  instead: {self.instead}"] if self.instead else [])]

    def as_facts(self) -> Facts:
        """Return it for a machine."""
        said = {name: getattr(self, name) for name in ("rule", "severity", "line")}
        said |= {"what": self.first, "why": self.why, "instead": self.instead}
        return said | {"silenced": self.silenced}


# the same words everywhere, or other words for other databases; "" stands for the rest
Words = str | dict[str, str]


@dataclass(frozen=True)
class Text:
    """The words of a rule; ``instead`` is code to paste, where there is some."""

    severity: str
    what: str
    why: Words
    instead: Words = ""


OLD_READS = "the release that still runs reads it until the new one is everywhere"
COUNT = "-- count them first: SELECT count(*) FROM {q_table} WHERE "
LOOK = "-- look at them first: SELECT {q_column}, count(*) FROM {q_table} GROUP BY {q_column}"
CONCURRENTLY = (
    "with op.get_context().autocommit_block(): op.create_index({name!r}, {table!r}, [...], "
    "unique=True, postgresql_concurrently=True, if_not_exists=True)"
)

RULES = {
    # cannot be told
    "not-judged": Text(
        UNKNOWN,
        "what it does cannot be judged ({error})",
        "whether it loses data is for its reader to say",
    ),
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
        "{column} = deferred(mapped_column(...))  # deploy code without it, drop it in a later release",
    ),
    "drop-and-add": Text(
        LOSES_DATA,
        "drops {table}.{column} and adds {table}.{added} of the same type",
        "if that is a rename, its values are lost",
        "op.alter_column({table!r}, {column!r}, new_column_name={added!r})",
    ),
    "drop-and-compute": Text(
        LOSES_DATA,
        "makes {table}.{column} a computed column, and drops its values",
        "a downgrade computes them, and does not bring back what was there",
        "op.add_column({table!r}, sa.Column(..., sa.Computed(...)))  # under another name",
    ),
    "narrow-type": Text(
        LOSES_DATA,
        "makes {table}.{column} narrower: {old} to {new}",
        {
            "sqlite": "SQLite keeps longer values; PostgreSQL and MySQL would stop at them or cut them",
            "": "values that do not fit stop the upgrade or are cut",
        },
        "{count}",
    ),
    "change-type": Text(
        LOSES_DATA,
        "changes {table}.{column} from {old} to {new}",
        "values that cannot be converted stop the upgrade or are changed",
        "{count}",
    ),
    "delete-rows": Text(
        LOSES_DATA,
        "deletes rows: {sql}",
        "no downgrade brings them back",
        "op.execute('CREATE TABLE deleted_rows AS SELECT ...')  # keep them for a release",
    ),
    "drop-in-sql": Text(
        LOSES_DATA,
        "drops something in SQL of its own: {sql}",
        "what is in it is gone, and no other tool can see that in the file",
        "op.drop_table(...), op.drop_column(...)",
    ),
    # blocks the running release
    "rename-column": Text(
        BLOCKS,
        "renames {table}.{column} to {new}",
        OLD_READS,
        "{new}: Mapped[...] = mapped_column({column!r}, ...)  # rename the attribute, keep the column",
    ),
    "rename-table": Text(
        BLOCKS,
        "renames {table} to {new}",
        OLD_READS,
        "__tablename__ = {table!r}  # rename the class, keep the table",
    ),
    "rename-in-sql": Text(
        BLOCKS,
        "renames something in SQL of its own: {sql}",
        OLD_READS,
        "op.alter_column(..., new_column_name=...), op.rename_table(...)  # in a later release",
    ),
    "add-not-null": Text(
        BLOCKS,
        "adds {table}.{column} NOT NULL without a default of the database",
        {
            "mysql": "the release that still runs inserts rows without it; rows that are there get 0 or ''",
            "": "the release that still runs inserts rows without it",
        },
        "sa.Column({column!r}, ..., nullable=False, server_default=...)",
    ),
    "set-not-null": Text(
        BLOCKS,
        "makes {table}.{column} NOT NULL",
        {
            "postgresql": "the release that still runs may write NULL, rows that hold it stop the upgrade, "
            "and nobody reads the table while all rows are looked at",
            "": "the release that still runs may write NULL; rows that hold it stop the upgrade",
        },
        {
            "postgresql": "op.create_check_constraint({check!r}, {table!r}, '{q_column} IS NOT NULL', "
            "postgresql_not_valid=True)  # VALIDATE it and set NOT NULL in a later migration",
            "": COUNT + "{q_column} IS NULL",
        },
    ),
    "add-unique": Text(
        BLOCKS,
        "makes {table}({columns}) unique",
        {
            "postgresql": "duplicates stop the upgrade, the running release may write some, "
            "and nobody writes to the table while the index is built",
            "": "duplicates stop the upgrade, and the running release may write some",
        },
        {
            "postgresql": CONCURRENTLY,
            "": "-- count them first: SELECT {q_columns}, count(*) FROM {q_table} WHERE {present} "
            "GROUP BY {q_columns} HAVING count(*) > 1",
        },
    ),
    "add-check": Text(
        BLOCKS,
        "adds a CHECK to {table}: {condition}",
        {
            "postgresql": "rows that break it stop the upgrade, the running release may write some, "
            "and nobody writes to the table while all rows are looked at",
            "": "rows that break it stop the upgrade, and the running release may write some",
        },
        {
            "postgresql": "op.create_check_constraint({name!r}, {table!r}, ..., postgresql_not_valid=True)"
            "  # and VALIDATE CONSTRAINT in a later migration",
            "": COUNT + "NOT ({condition})",
        },
    ),
    "add-foreign-key": Text(
        BLOCKS,
        "adds a foreign key from {table}.{column} to {target}",
        {
            "sqlite": "rows that point to nothing stop the upgrade, and the running release may write some",
            "online": "rows that point to nothing stop the upgrade, and the running release may write some",
            "": "rows that point to nothing stop the upgrade, the running release may write some, "
            "and both tables are locked while all rows are looked at",
        },
        {
            "postgresql": "op.create_foreign_key({name!r}, {table!r}, {target!r}, ..., "
            "postgresql_not_valid=True)  # and VALIDATE CONSTRAINT in a later migration",
            "": COUNT + "{orphans}",
        },
    ),
    # takes a lock
    "rewrite-table": Text(
        LOCKS,
        "rewrites {table}, row by row: {reason}",
        {
            "postgresql": "nobody reads or writes the table meanwhile",
            "": "nobody writes to the table meanwhile",
        },
        "op.add_column({table!r}, sa.Column(..., nullable=True))  # fill it in batches, then switch to it",
    ),
    "add-primary-key": Text(
        LOCKS,
        "adds a primary key to {table}",
        "nobody writes to the table while its index is built; NULLs and duplicates stop the upgrade",
        {
            "postgresql": CONCURRENTLY + "; then ALTER TABLE {q_table} ADD PRIMARY KEY USING INDEX",
            "": "-- at a quiet hour",
        },
    ),
    "add-exclude": Text(
        LOCKS,
        "adds an exclusion constraint to {table}",
        "nobody writes to the table while its index is built; rows that break it stop the upgrade",
        "# at a quiet hour: it cannot be built CONCURRENTLY",
    ),
    "update-every-row": Text(
        LOCKS,
        "updates every row of {table} in one statement",
        "the rows stay locked until the migration ends",
        "flask_keel.backfill({table!r}, where=..., set=...)  # in a migration of its own",
    ),
    "rows-and-schema": Text(
        LOCKS,
        "changes rows of {table} and the schema in one migration",
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
        "# give it a shorter name",
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
    "small-key": Text(
        NOTE,
        "gives {table} a primary key of type SMALLINT",
        "it ends at 32767",
        "sa.BigInteger()",
    ),
    "plain-json": Text(
        NOTE,
        "gives {table}.{column} the type JSON",
        "PostgreSQL cannot compare it: SELECT DISTINCT and GROUP BY fail",
        'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")',
    ),
    "not-repeatable": Text(
        NOTE,
        "builds the index {name} CONCURRENTLY, and cannot be run again",
        "a failure leaves an INVALID index, and the next try finds the name taken",
        "if_not_exists=True",
    ),
    "inline-references": Text(
        NOTE,
        "adds {table}.{column} with REFERENCES in the column",
        "MySQL reads that and makes no foreign key",
        "op.create_foreign_key(...)",
    ),
    "own-transaction": Text(
        NOTE,
        "begins or ends a transaction: {sql}",
        "env.py holds one around the migration",
        "with op.get_context().autocommit_block(): ...",
    ),
    "no-reason": Text(
        NOTE,
        "would silence {silenced}, and gives no reason",
        "who reads it later does not know whether it still holds",
        "# lint: {silenced} because ...",
    ),
}


def briefly(findings: Iterable[Finding], most: int = 6) -> list[str]:
    """Say findings on a screen: each rule is explained once, and what is silenced is only counted."""
    explained: set[str] = set()
    open_ = [finding for finding in findings if finding.silenced is None]
    said: list[str] = []
    for finding in open_[:most]:
        said += [finding.first] if finding.rule in explained else finding.lines
        explained.add(finding.rule)
    if open_[most:]:
        rest = Counter(finding.severity for finding in open_[most:])
        counted = ", ".join(f"{count} [{severity}]" for severity, count in rest.items())
        said.append(f"and more: {counted}; db check --json has them all")
    return said
