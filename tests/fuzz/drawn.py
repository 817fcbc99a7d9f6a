"""A database schema as data, and drawn at random."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import kinds
from kinds import Kind

PLAIN = [
    *("title", "body", "rank", "price", "state", "note", "code", "level", "owner", "place", "born"),
    *("colour", "weight", "seen", "size", "amount", "author", "flag", "token", "label", "score"),
    *("city", "mail", "phone", "street", "due", "spare", "kept", "maker", "model"),
]
ODD = [
    *("order", "select", "group", "user", "from", "index", "key", "values", "primary", "check"),
    *("default", "table", "CamelCase", "UPPER", "Größe", "naïve", "名前", "_under", "x1", "id2"),
    "metadata",
    *("first name", "e-mail", "2nd"),
    "a_name_that_is_so_long_that_nobody_would_type_it_twice",
    # with the "_ibfk_1" that MariaDB puts behind it for a key without a name
    "another_name_that_is_nearly_as_long_as_a_server_takes_it",
]
ACTIONS = [None, None, "CASCADE", "SET NULL", "RESTRICT"]


@dataclass
class Column:
    """One column; ``uid`` stays the same when the name changes."""

    uid: int
    name: str
    kind: Kind
    nullable: bool = True
    default: str | None = None  # of the server, as Python
    scalar: str | None = None  # of Python
    computed: str | None = None  # SQL over {c12}, a column's uid
    stored: bool = True
    unique: bool = False
    index: bool = False
    comment: str | None = None
    identity: bool = False


@dataclass
class Key:
    """A foreign key: from columns to the primary key of a table, all by their uids."""

    uid: int
    columns: list[int]
    table: int
    ondelete: str | None = None
    onupdate: str | None = None
    deferrable: bool = False
    later: bool = False  # use_alter: made when both tables are there


@dataclass
class Rule:
    """A CHECK over {c12}, a column's uid; without a name the convention gives it one."""

    uid: int
    sql: str
    name: str | None = None


@dataclass
class Index:
    """An index or a unique constraint over columns; ``words`` is an expression or a condition."""

    uid: int
    columns: list[int]
    unique: bool = False
    constraint: bool = False
    expression: str | None = None
    where: str | None = None
    name: str | None = None


@dataclass
class Table:
    """A table; ``style`` is how it is written: a class, or a ``db.Table``."""

    uid: int
    name: str
    columns: list[Column] = field(default_factory=list)
    primary: list[int] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    indexes: list[Index] = field(default_factory=list)
    style: str = "class"
    mixin: bool = False
    autoincrement: bool = False  # sqlite_autoincrement
    comment: str | None = None

    def column(self, uid: int) -> Column:
        return next(column for column in self.columns if column.uid == uid)

    def free(self) -> list[Column]:
        """The columns that are in no key and feed no expression."""
        held = {uid for key in self.keys for uid in key.columns} | set(self.primary)
        said = " ".join(self.expressions())
        return [c for c in self.columns if c.uid not in held and f"{{c{c.uid}}}" not in said]

    def expressions(self) -> Iterator[str]:
        yield from (rule.sql for rule in self.rules)
        yield from (column.computed for column in self.columns if column.computed)
        for index in self.indexes:
            yield from (text for text in (index.expression, index.where) if text)

    def alone(self, uid: int) -> bool:
        """Whether one row only can have a value of the column."""
        if self.primary == [uid] or self.column(uid).unique:
            return True
        return any(i.columns == [uid] and (i.unique or i.constraint) for i in self.indexes)


@dataclass
class Schema:
    """All tables, for one database.

    :param off: the names of the kinds and of the changes that are left out
    :param convention: whether the models have a naming convention
    :param sequences: the names of those that the models know (PostgreSQL)
    """

    dialect: str
    off: frozenset[str] = frozenset()
    convention: bool = True
    sequences: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    last: int = 0

    def uid(self) -> int:
        self.last += 1
        return self.last

    def table(self, uid: int) -> Table:
        return next(table for table in self.tables if table.uid == uid)

    def copy(self) -> "Schema":
        return copy.deepcopy(self)

    def points_to(self, uid: int) -> list[tuple[Table, Key]]:
        """The foreign keys that refer to a table."""
        return [(t, key) for t in self.tables for key in t.keys if key.table == uid]

    # drawing

    def name(self, random: Random, taken: list[str]) -> str:
        """A name that is not taken, in any case of its letters."""
        used = {name.casefold() for name in taken}
        pool = ODD if random.random() < 0.2 else PLAIN
        left = [name for name in pool if name.casefold() not in used]
        return random.choice(left) if left else f"n{self.uid()}"

    def draw_table(self, random: Random) -> Table:
        """A new table, which may refer to those that are there."""
        table = Table(self.uid(), self.name(random, [t.name for t in self.tables]))
        parents = [t for t in self.tables if t.primary]
        if len(parents) > 1 and random.random() < 0.15:
            self._association(random, table, random.sample(parents, 2))
            return table
        self._primary(random, table)
        for _ in range(random.randint(1, 5)):
            table.columns.append(self.draw_column(random, table))
        table.mixin = random.random() < 0.2
        if table.mixin:
            table.columns.append(
                Column(self.uid(), "created", kinds.of("DateTime"), False, "sa.func.now()")
            )
        if self.dialect == "sqlite" and random.random() < 0.15:
            table.autoincrement = table.column(table.primary[0]).kind.name == "Integer"
            table.autoincrement &= len(table.primary) == 1
        for parent in [*parents, table]:
            if random.random() < 0.3:
                self.draw_key(random, table, parent)
        for draw in (self.draw_index, self.draw_rule, self.draw_computed):
            if random.random() < 0.4:
                draw(random, table)
        return table

    def _primary(self, random: Random, table: Table) -> None:
        names = random.choice([["id"]] * 6 + [["id"], ["code"], ["part", "code"]])
        for name in names:
            kind = kinds.of("Integer" if name in ("id", "part") else "String", random)
            if name == "id":
                kind = kinds.of(random.choice(["Integer"] * 5 + ["BigInteger", "Uuid"]), random)
            column = Column(self.uid(), name, kind, nullable=False)
            column.identity = name == "id" and kind.name == "Integer" and random.random() < 0.15
            table.columns.append(column)
            table.primary.append(column.uid)

    def _association(self, random: Random, table: Table, parents: list[Table]) -> None:
        table.style = "table"
        for parent in parents:
            key = self.draw_key(random, table, parent, nullable=False)
            table.primary += key.columns if key else []

    def draw_column(self, random: Random, table: Table) -> Column:
        """A new column of a table, which is not put into it."""
        name = self.name(random, [c.name for c in table.columns])
        kind = kinds.draw(random, self.off)
        column = Column(self.uid(), name, kind, nullable=random.random() < 0.6)
        if random.random() < 0.3:
            column.default = kind.server_default(random, self.dialect)
        if kind.indexed(self.dialect) and not column.default and kind.many:
            column.unique = random.random() < 0.12
            column.index = not column.unique and random.random() < 0.15
        column.default = self.next_number(random, kind) or column.default
        if self.dialect != "sqlite" and random.random() < 0.1:
            column.comment = random.choice(["it's a comment", "100% of: it", "Ω"])
        return column

    def next_number(self, random: Random, kind: Kind) -> str | None:
        """A default that counts on, where there are sequences."""
        if kind.family != "integer" or not self.sequences or random.random() < 0.7:
            return None
        return f"sa.Sequence({random.choice(self.sequences)!r}).next_value()"

    def draw_key(
        self,
        random: Random,
        table: Table,
        parent: Table,
        nullable: bool = True,
        later: bool = False,
    ) -> Key | None:
        """Add columns that refer to the primary key of a parent, and the key."""
        made = []
        for uid in parent.primary:
            target = parent.column(uid)
            name = f"{parent.name}_{target.name}"[:50]
            taken = {c.name.casefold() for c in [*table.columns, *made]}
            while name.casefold() in taken:
                name += "_"
            made.append(Column(self.uid(), name, target.kind, nullable))
        if not made:
            return None
        action = random.choice(ACTIONS)
        if action == "SET NULL" and not nullable:
            action = None
        key = Key(self.uid(), [c.uid for c in made], parent.uid, action)
        key.onupdate = random.choice([None, None, None, "CASCADE"])
        # MySQL has no such keys
        key.later = later
        key.deferrable = self.dialect != "mysql" and random.random() < 0.1
        table.columns += made
        table.keys.append(key)
        return key

    def draw_index(self, random: Random, table: Table) -> Index | None:
        """Add an index, unique or not, or a unique constraint."""
        able = [
            c
            for c in table.columns
            if c.kind.indexed(self.dialect) and not (c.computed and not c.stored)
        ]
        if not able:
            return None
        chosen = random.sample(able, min(len(able), random.randint(1, 2)))
        # two of one name cannot be, and a database may take two of the same columns for one
        if self.held(table, {c.uid for c in chosen}):
            return None
        index = Index(self.uid(), [c.uid for c in chosen])
        index.unique = random.random() < 0.3 and any(c.kind.many for c in chosen)
        index.constraint = index.unique and random.random() < 0.5
        if not index.constraint and self.dialect != "mysql":
            text = [c for c in able if c.kind.family == "text"]
            number = [c for c in able if c.kind.family == "integer"]
            if text and random.random() < 0.15:
                index.expression = f"lower({{c{random.choice(text).uid}}})"
            if number and random.random() < 0.2:
                index.where = f"{{c{random.choice(number).uid}}} > {random.randint(0, 3)}"
        named = index.expression or not self.convention or random.random() < 0.4
        if not index.constraint and named:
            index.name = f"ix_own_{index.uid}"
        table.indexes.append(index)
        return index

    def held(self, table: Table, uids: set[int]) -> bool:
        """Whether an index or a constraint has these very columns already."""
        alone = [{c.uid} for c in table.columns if c.unique or c.index]
        return uids in [set(table.primary), *alone, *(set(i.columns) for i in table.indexes)]

    def draw_rule(self, random: Random, table: Table) -> Rule | None:
        """Add a CHECK that every row fulfils."""
        able = [c for c in table.columns if c.kind.rules]
        if self.dialect == "mysql":  # no CHECK of what it counts, or a foreign key may change
            held = {uid for key in table.keys for uid in key.columns} | set(table.primary)
            able = [c for c in able if c.uid not in held]
        if not able:
            return None
        column = random.choice(able)
        sql = random.choice(column.kind.rules).format(c=f"{{c{column.uid}}}")
        if random.random() < 0.2:
            sql += f" OR {random.choice(column.kind.rules)}".format(c=f"{{c{column.uid}}}")
        if any(sql == other.sql for other in table.rules):
            return None
        rule = Rule(self.uid(), sql, f"rule{self.last}" if random.random() < 0.6 else None)
        table.rules.append(rule)
        return rule

    def draw_computed(self, random: Random, table: Table) -> Column | None:
        """Add a column that is computed from another one."""
        held = set(table.primary) | {uid for key in table.keys for uid in key.columns}
        able = [
            c
            for c in table.columns
            if c.kind.computed and not c.computed and c.uid not in held and not c.default
        ]
        if not able:
            return None
        source = random.choice(able)
        sql = random.choice(source.kind.computed).format(c=f"{{c{source.uid}}}")
        column = Column(
            self.uid(),
            self.name(random, [c.name for c in table.columns]),
            kinds.of(source.kind.name),
        )
        column.computed = sql
        column.stored = self.dialect == "postgresql" or random.random() < 0.6
        table.columns.append(column)
        return column


def draw(random: Random, dialect: str, off: frozenset[str] = frozenset()) -> Schema:
    """A schema of a few tables."""
    schema = Schema(dialect, off, convention=random.random() < 0.8)
    if dialect == "postgresql" and random.random() < 0.3:
        schema.sequences = ["numbers", "Bills: 5%"]
    for _ in range(random.randint(1, 4)):
        schema.tables.append(schema.draw_table(random))
    first, last = schema.tables[0], schema.tables[-1]
    if first is not last and last.primary and first.style == "class" and random.random() < 0.3:
        schema.draw_key(random, first, last, later=True)
    return schema
